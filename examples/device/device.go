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
	"strings"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/tap"
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
	kinds    string // that -device may be
	wrapping
}

// Register defines the flags. others are what -device may be besides tap:NAME and tun:NAME, the first of them the default.
func Register(fs *flag.FlagSet, others ...string) *Flags {
	f := new(Flags)
	f.kinds = strings.Join(append(append([]string(nil), others...), "tap:NAME"), ", ") + " and tun:NAME"
	fs.StringVar(&f.Name, "device", others[0], "how to reach the network: a `device` of "+f.kinds)
	registerAddresses(fs, &f.Addresses)
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
	f.wrapping.register(fs)
	return f
}

// registerAddresses defines -addr.
func registerAddresses(fs *flag.FlagSet, addresses *[]netip.Prefix) {
	fs.Func("addr", "an `address` of the interface's own with its prefix, as 192.168.69.1/24; may be repeated", func(s string) error {
		p, err := netip.ParsePrefix(s)
		*addresses = append(*addresses, p)
		return err
	})
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
	return f.wrap(f.Name, device, out)
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
