package tuntap

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/smolnet/smolnet/dev"
)

// errDeleted is what a device says once somebody has deleted its interface, which cannot come back.
var errDeleted = errors.New("the interface was deleted")

// Device is a tap or tun. It implements dev.Device.
type Device struct {
	name   string
	caps   dev.Capabilities
	queues bool // the interface has several queues, of which this is one
	vnet   bool // frames have a virtio-net header before them

	file   *os.File
	raw    syscall.RawConn
	closed atomic.Bool
	close  sync.Once

	rx receiver
	tx sender

	badOffload, down, noBuffer atomic.Uint64
}

// Open attaches to the interface that cfg names, a tap for the medium dev.Ethernet or a tun for dev.IP.
func Open(medium dev.Medium, cfg Config) (*Device, error) {
	kind, err := kindOf(medium)
	if err != nil {
		return nil, err
	}
	// What is attached to must be non-blocking before os.NewFile sees it, and attached before the poller does: a
	// file that is not attached yet is in error, and the poller would never hear of it again.
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/dev/net/tun", Err: err}
	}
	name, flags, err := attach(fd, kind|unix.IFF_NO_PI, cfg)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("attaching to the %s %q: %w", kindName(medium), cfg.Name, err)
	}
	d, err := newDevice(fd, name, medium, flags)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return d, nil
}

// FromFile makes a device of a file that is attached to a tap or tun already, as a container runtime or another process
// hands them over. It takes f over: it is closed at once, and a duplicate with the device. On error f is left alone.
//
// The device has offloads if the file was attached with IFF_VNET_HDR. It must have been attached with IFF_NO_PI, which
// cannot be found out: the kernel uses that bit for something else when asked.
func FromFile(medium dev.Medium, f *os.File) (*Device, error) {
	kind, err := kindOf(medium)
	if err != nil {
		return nil, err
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	var dupErr error
	if err := conn.Control(func(from uintptr) { fd, dupErr = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, os.NewSyscallError("fcntl", dupErr)
	}
	d, err := fromDescriptor(fd, medium, kind)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	_ = f.Close() // a duplicate of what is in use; closing it loses nothing
	return d, nil
}

func fromDescriptor(fd int, medium dev.Medium, kind uint16) (*Device, error) {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return nil, err
	}
	if err := unix.IoctlIfreq(fd, unix.TUNGETIFF, ifr); err != nil {
		return nil, fmt.Errorf("it is not attached to a tap or tun: %w", os.NewSyscallError("TUNGETIFF", err))
	}
	flags := ifr.Uint16()
	if flags&(unix.IFF_TAP|unix.IFF_TUN) != kind {
		return nil, fmt.Errorf("%s is not a %s", ifr.Name(), kindName(medium))
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return newDevice(fd, ifr.Name(), medium, flags)
}

// attach ties fd to an interface and returns its name, and the flags that it has got.
func attach(fd int, flags uint16, cfg Config) (name string, got uint16, err error) {
	wanted := []uint16{unix.IFF_VNET_HDR, 0}
	if cfg.NoOffload {
		wanted = wanted[1:]
	}
	for _, more := range wanted {
		// An interface that was made with several queues is attached to with this flag only, one that was not without
		// only.
		for _, queues := range []uint16{0, unix.IFF_MULTI_QUEUE} {
			var ifr *unix.Ifreq
			if ifr, err = unix.NewIfreq(cfg.Name); err != nil {
				return "", 0, err
			}
			got = flags | more | queues
			ifr.SetUint16(got)
			if err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err == nil {
				return ifr.Name(), got, nil
			}
			if !errors.Is(err, unix.EINVAL) {
				return "", 0, os.NewSyscallError("TUNSETIFF", err)
			}
		}
	}
	return "", 0, os.NewSyscallError("TUNSETIFF", err)
}

// newDevice makes a device of fd, which is attached and non-blocking.
func newDevice(fd int, name string, medium dev.Medium, flags uint16) (*Device, error) {
	mtu, err := readMTU(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	d := &Device{
		name:   name,
		caps:   dev.Capabilities{Medium: medium, MTU: min(mtu, 65535)},
		queues: flags&unix.IFF_MULTI_QUEUE != 0,
		vnet:   flags&unix.IFF_VNET_HDR != 0,
	}
	if d.vnet {
		if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, vnetHeaderLen); err != nil {
			return nil, fmt.Errorf("%s: %w", name, os.NewSyscallError("TUNSETVNETHDRSZ", err))
		}
		// What the kernel is given it always completes and segments. What it may leave undone in return, it is told
		// here; if it knows nothing of it, it does it all itself.
		for _, offload := range []int{unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6, unix.TUN_F_CSUM} {
			if unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, offload) == nil {
				break
			}
		}
		d.caps.Checksum.TCP, d.caps.Checksum.UDP = dev.ChecksumTx, dev.ChecksumTx
		d.caps.SegmentTCP4, d.caps.SegmentTCP6 = true, true
	}
	d.rx.init(d)
	d.tx.init(d)
	d.file = os.NewFile(uintptr(fd), name)
	if d.raw, err = d.file.SyscallConn(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return d, nil
}

// Name is the interface's name.
func (d *Device) Name() string { return d.name }

// Capabilities says what the device can do. The MTU is what the interface had when it was attached to. HardwareAddr is
// zero: the interface's own is that of the kernel's end.
func (d *Device) Capabilities() dev.Capabilities { return d.caps }

// Counters returns what had to be dropped so far.
func (d *Device) Counters() Counters {
	return Counters{BadOffload: d.badOffload.Load(), Down: d.down.Load(), NoBuffer: d.noBuffer.Load()}
}

// PollAt reports that time makes no difference.
func (d *Device) PollAt() (time.Time, bool) { return time.Time{}, false }

// Close detaches from the interface, which ceases to exist if Open made it.
func (d *Device) Close() error {
	d.close.Do(func() {
		d.closed.Store(true)
		if d.vnet && !d.queues {
			// An interface that stays keeps the setting, and who comes next may not know super-segments.
			_ = d.raw.Control(func(fd uintptr) { _ = unix.IoctlSetInt(int(fd), unix.TUNSETOFFLOAD, 0) })
		}
		_ = d.file.Close() // nothing was buffered that could be lost
		d.rx.release()
	})
	return nil
}

// failed is the error for a caller to whom the file said err.
func (d *Device) failed(err error) error {
	if d.closed.Load() {
		return net.ErrClosed
	}
	return fmt.Errorf("%s: %w", d.name, err)
}

func kindOf(medium dev.Medium) (uint16, error) {
	switch medium {
	case dev.Ethernet:
		return unix.IFF_TAP, nil
	case dev.IP:
		return unix.IFF_TUN, nil
	}
	return 0, fmt.Errorf("tuntap: there is no interface for %v", medium)
}

func kindName(medium dev.Medium) string {
	if medium == dev.Ethernet {
		return "tap"
	}
	return "tun"
}

func readMTU(name string) (int, error) {
	// Any socket will do to ask for an interface's attributes.
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFMTU, ifr); err != nil {
		return 0, os.NewSyscallError("SIOCGIFMTU", err)
	}
	return int(ifr.Uint32()), nil
}
