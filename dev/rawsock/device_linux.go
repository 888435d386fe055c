package rawsock

import (
	"encoding/binary"
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

// Device is a packet socket on an interface. It implements dev.Device.
type Device struct {
	name    string
	index   uint32
	caps    dev.Capabilities
	monitor bool // frames are received with their frame check sequence

	file   *os.File
	raw    syscall.RawConn
	closed atomic.Bool
	close  sync.Once

	rx receiver
	tx sender

	tooLong, badFCS, down, noBuffer atomic.Uint64
}

// Open makes a device of the interface called name. It may be down, and go up and down: frames sent meanwhile are lost. The
// errors are those of the system, and an interface of another kind.
func Open(name string, cfg Config) (*Device, error) {
	d, err := open(name, cfg)
	if err != nil {
		return nil, fmt.Errorf("rawsock: %s: %w", name, err)
	}
	return d, nil
}

func open(name string, cfg Config) (*Device, error) {
	// Without a protocol the socket receives nothing, until it is bound: nothing from other interfaces.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	d, err := newDevice(fd, name, cfg)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return d, nil
}

// newDevice makes a device of fd, a packet socket.
func newDevice(fd int, name string, cfg Config) (*Device, error) {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr); err != nil {
		return nil, os.NewSyscallError("SIOCGIFINDEX", err)
	}
	d := &Device{name: name, index: ifr.Uint32(), caps: dev.Capabilities{Medium: dev.IEEE802154, MTU: mtu, EUI64: cfg.EUI64}}

	// A socket of this protocol, other than one of all protocols, does not receive what leaves by the interface.
	bound := &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_IEEE802154), Ifindex: int(d.index)}
	if err := unix.Bind(fd, bound); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	self, err := unix.Getsockname(fd)
	if err != nil {
		return nil, os.NewSyscallError("getsockname", err)
	}
	link, ok := self.(*unix.SockaddrLinklayer)
	if !ok {
		return nil, fmt.Errorf("the socket's address is a %T", self)
	}
	switch link.Hatype {
	case unix.ARPHRD_IEEE802154:
		// The radio acknowledges and retransmits, or nobody does: acknowledgments do not get through the kernel.
		d.caps.Acknowledges = true
	case unix.ARPHRD_IEEE802154_MONITOR:
		d.monitor = true
	default:
		return nil, fmt.Errorf("it is no IEEE 802.15.4 interface: its type is %d%s", link.Hatype, typeName(link.Hatype))
	}
	if int(link.Halen) == len(link.Addr) && link.Addr != [8]byte{} {
		d.caps.EUI64 = link.Addr
	}

	d.rx.init(d)
	d.tx.init(d)
	d.file = os.NewFile(uintptr(fd), name)
	if d.raw, err = d.file.SyscallConn(); err != nil {
		return nil, err
	}
	return d, nil
}

// networkOrder is n with its octets as they are in a packet.
func networkOrder(n uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], n)
	return binary.NativeEndian.Uint16(b[:])
}

// typeName explains the types of interface that are likely to be met instead.
func typeName(hatype uint16) string {
	switch hatype {
	case unix.ARPHRD_ETHER:
		return ", Ethernet"
	case unix.ARPHRD_LOOPBACK:
		return ", loopback"
	case unix.ARPHRD_NONE:
		return ", IP without link headers"
	case unix.ARPHRD_6LOWPAN:
		return ", 6LoWPAN: the interface is that below it"
	}
	return ""
}

// Name is the interface's name when the device was opened.
func (d *Device) Name() string { return d.name }

// Capabilities says what the interface is. The MTU is 1280. EUI64 is the interface's own address, if it has one. Acknowledging is the
// radio's affair, except with a monitor interface.
func (d *Device) Capabilities() dev.Capabilities { return d.caps }

// Counters returns what had to be dropped so far.
func (d *Device) Counters() Counters {
	return Counters{
		TooLong:  d.tooLong.Load(),
		BadFCS:   d.badFCS.Load(),
		Down:     d.down.Load(),
		NoBuffer: d.noBuffer.Load(),
	}
}

// PollAt reports that time makes no difference.
func (d *Device) PollAt() (time.Time, bool) { return time.Time{}, false }

// Close closes the socket. The interface stays as it is.
func (d *Device) Close() error {
	d.close.Do(func() {
		d.closed.Store(true)
		_ = d.file.Close() // nothing was buffered that could be lost
		d.rx.release()
	})
	return nil
}

// isUp asks the kernel whether the interface is up. The error is errDeleted, or unheard of.
func (d *Device) isUp(fd uintptr) (bool, error) {
	// By its index: another may have got its name by now.
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return false, err
	}
	ifr.SetUint32(d.index)
	if err := unix.IoctlIfreq(int(fd), unix.SIOCGIFNAME, ifr); err != nil {
		return false, gone("SIOCGIFNAME", err)
	}
	if err := unix.IoctlIfreq(int(fd), unix.SIOCGIFFLAGS, ifr); err != nil {
		return false, gone("SIOCGIFFLAGS", err)
	}
	return ifr.Uint16()&unix.IFF_UP != 0, nil
}

// gone is what it means that a call said err.
func gone(call string, err error) error {
	if err == unix.ENODEV || err == unix.ENXIO {
		return errDeleted
	}
	return os.NewSyscallError(call, err)
}

// failed is the error for a caller to whom the socket said err.
func (d *Device) failed(err error) error {
	if d.closed.Load() {
		return net.ErrClosed
	}
	return fmt.Errorf("%s: %w", d.name, err)
}
