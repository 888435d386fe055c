// Package device is what the examples' flags about their device mean: how it is opened, what address it has, who watches what
// passes, and what becomes of that on the way.
//
//	-device tap:NAME, tun:NAME, or what else the example knows    -addr PREFIX   -gateway ADDRESS   -mac ADDRESS
//	-pcap FILE   -trace   -seed N   -delay TIME   -jitter TIME   -rate N   -bandwidth OCTETS   -size-limit OCTETS
//	-drop-chance P   -corrupt-chance P   -duplicate-chance P   -reorder-chance P
//
// Times are in package time's notation, chances between 0 and 1. -addr and -gateway may be given several times.
//
// So an example has its flags, opens the device that they name or wraps one of its own, and makes a stack on it:
//
//	flags := device.Register(flag.CommandLine, "pipe")
//	flag.Parse()
//	d, err := flags.Open(os.Stdout)
//	stack, link, err := device.NewStack(smolnet.Config{}, flags.Interface(d, device.Own...))
package device

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/fault"
	"github.com/smolnet/smolnet/dev/pcap"
	"github.com/smolnet/smolnet/dev/tap"
	"github.com/smolnet/smolnet/dev/trace"
	"github.com/smolnet/smolnet/dev/tun"
	"github.com/smolnet/smolnet/smolnet"
)

// Addresses that the examples have on their links: an example's own stack, and whoever is at the other end.
var (
	Own  = prefixes("192.168.69.1/24", "fdaa::1/64")
	Peer = prefixes("192.168.69.100/24", "fdaa::100/64")
)

func prefixes(texts ...string) (parsed []netip.Prefix) {
	for _, text := range texts {
		parsed = append(parsed, netip.MustParsePrefix(text))
	}
	return parsed
}

// Flags are what the flags say.
type Flags struct {
	// Name is the value of -device.
	Name string
	// Addresses and Gateways are the values of -addr and -gateway.
	Addresses []netip.Prefix
	Gateways  []netip.Addr

	hardware wire.HardwareAddr
	pcap     string
	trace    bool
	seed     uint64
	fault    fault.Direction
	kinds    string // that -device may be
}

// Register defines the flags. others are what -device may be besides tap:NAME and tun:NAME, the first of them the default.
func Register(fs *flag.FlagSet, others ...string) *Flags {
	f := new(Flags)
	f.kinds = strings.Join(append(append([]string(nil), others...), "tap:NAME"), ", ") + " and tun:NAME"
	fs.StringVar(&f.Name, "device", others[0], "how to reach the network: a `device` of "+f.kinds)
	fs.Func("addr", "an `address` of the interface's own with its prefix, as 192.168.69.1/24; may be repeated", func(s string) error {
		p, err := netip.ParsePrefix(s)
		f.Addresses = append(f.Addresses, p)
		return err
	})
	fs.Func("gateway", "the `address` of a router to everywhere else; may be repeated", func(s string) error {
		a, err := netip.ParseAddr(s)
		f.Gateways = append(f.Gateways, a)
		return err
	})
	fs.Func("mac", "the interface's hardware `address`", func(s string) error {
		hardware, err := net.ParseMAC(s)
		if err == nil && len(hardware) != len(f.hardware) {
			err = errors.New("it has six octets")
		}
		copy(f.hardware[:], hardware)
		return err
	})
	fs.StringVar(&f.pcap, "pcap", "", "record what passes in this `file`, for Wireshark")
	fs.BoolVar(&f.trace, "trace", false, "print what passes")
	fs.Uint64Var(&f.seed, "seed", 0, "the `number` that faults follow from")
	d := &f.fault
	fs.DurationVar(&d.Delay, "delay", 0, "every frame takes this `long`")
	fs.DurationVar(&d.Jitter, "jitter", 0, "and up to this much `longer`")
	fs.IntVar(&d.Rate, "rate", 0, "drop all but so `many` frames in each 50 ms")
	fs.IntVar(&d.Bandwidth, "bandwidth", 0, "so many `octets` pass in a second")
	fs.IntVar(&d.MaxSize, "size-limit", 0, "drop packets of more `octets`")
	for _, chance := range []struct {
		name, what string
		value      *float64
	}{
		{"drop", "is lost", &d.Drop}, {"corrupt", "has an octet changed", &d.Corrupt},
		{"duplicate", "comes twice", &d.Duplicate}, {"reorder", "comes late", &d.Reorder},
	} {
		fs.Float64Var(chance.value, chance.name+"-chance", 0, "the `probability` that a frame "+chance.what+", either way")
	}
	return f
}

// Open opens the tap or tun that -device names, and wraps it: see Wrap. If it names neither, the error says what it may be.
func (f *Flags) Open(out io.Writer) (dev.Device, error) {
	var inner dev.Device
	var err error
	switch kind, name, _ := strings.Cut(f.Name, ":"); {
	case kind == "tap" && name != "":
		inner, err = tap.Open(tap.Config{Name: name})
	case kind == "tun" && name != "":
		inner, err = tun.Open(tun.Config{Name: name, Network: Peer[0]})
	default:
		return nil, fmt.Errorf("-device %s: there is %s", f.Name, f.kinds)
	}
	if err != nil {
		return nil, fmt.Errorf("-device %s: %w", f.Name, err)
	}
	return f.Wrap(inner, out)
}

// Wrap has what passes through a device recorded and injured, as the flags say, and printed to out. It takes the device, and closes
// it if it fails.
func (f *Flags) Wrap(device dev.Device, out io.Writer) (dev.Device, error) {
	fail := func(err error) (dev.Device, error) { return nil, errors.Join(err, device.Close()) }
	if f.injures() {
		faulty, err := fault.New(device, fault.Config{Seed: f.seed, Out: f.fault, In: f.fault})
		if err != nil {
			return fail(err)
		}
		device = faulty
	}
	if f.pcap != "" {
		recorded, err := f.record(device)
		if err != nil {
			return fail(err)
		}
		device = recorded
	}
	if f.trace {
		traced, err := trace.New(device, trace.Config{Writer: out})
		if err != nil {
			return fail(err)
		}
		device = traced
	}
	return device, nil
}

// injures reports whether any flag has something become of frames. (A Direction cannot be compared: it may have a script.)
func (f *Flags) injures() bool {
	d := &f.fault
	return d.Delay != 0 || d.Jitter != 0 || d.Rate != 0 || d.Bandwidth != 0 || d.MaxSize != 0 ||
		d.Drop != 0 || d.Corrupt != 0 || d.Duplicate != 0 || d.Reorder != 0
}

// record has what passes through a device written to the file of -pcap, which is closed with the device.
func (f *Flags) record(device dev.Device) (dev.Device, error) {
	file, err := os.Create(f.pcap)
	if err != nil {
		return nil, err
	}
	w, err := pcap.NewWriter(file, pcap.Config{})
	if err == nil {
		var recorded *pcap.Device
		if recorded, err = pcap.New(device, w, pcap.InterfaceConfig{Name: f.Name}); err == nil {
			return &recording{recorded, w, file}, nil
		}
	}
	return nil, errors.Join(err, file.Close())
}

// recording is a device whose record is complete when it is closed.
type recording struct {
	*pcap.Device
	writer *pcap.Writer
	file   *os.File
}

func (r *recording) Close() error {
	return errors.Join(r.Device.Close(), r.writer.Err(), r.file.Close())
}

// Interface describes an interface with the device, and with the gateways and hardware address of the flags. Its addresses are those of
// -addr, or else the ones given.
func (f *Flags) Interface(device dev.Device, addresses ...netip.Prefix) smolnet.Interface {
	ifc := smolnet.Interface{Device: device, HardwareAddr: f.hardware, Addresses: f.Addresses}
	if len(f.Addresses) == 0 {
		ifc.Addresses = addresses
	}
	for _, gateway := range f.Gateways {
		everywhere := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if gateway.Is6() {
			everywhere = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		ifc.Routes = append(ifc.Routes, core.Route{Destination: everywhere, Gateway: gateway})
	}
	return ifc
}

// NewStack makes a stack with one interface. If it cannot, it closes the interface's device.
func NewStack(config smolnet.Config, ifc smolnet.Interface) (*smolnet.Stack, *smolnet.Link, error) {
	stack, err := smolnet.New(config)
	if err != nil {
		return nil, nil, errors.Join(err, ifc.Device.Close())
	}
	link, err := stack.AddInterface(ifc)
	if err != nil {
		return nil, nil, errors.Join(err, ifc.Device.Close(), stack.Close())
	}
	return stack, link, nil
}
