package device

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/rawsock"
	"github.com/smolnet/smolnet/dev/serial"
	"github.com/smolnet/smolnet/dev/zep"
	"github.com/smolnet/smolnet/smolnet"
)

// Radio is what the flags of a node of an IEEE 802.15.4 network say: of the radio
//
//	-device zep:LOCAL,REMOTE   a virtual radio over UDP, as RIOT's native nodes have: at LOCAL, and the other node or the dispatcher
//	                           is at REMOTE, both of them host:port. Without LOCAL the system chooses
//	-device serial:PATH,BAUD   at the end of a serial line, which carries frames as package serial says. Without BAUD the line's
//	                           speed is left alone
//	-device rawsock:NAME       an interface of Linux's on such a radio
//	-channel 26                of a virtual radio
//	-pan 0x23   -eui64 02:00:00:00:00:00:00:01   -short 0x1234   -ack=false   -ack-wait 100ms
//
// of IPv6 over it
//
//	-addr 2001:db8::1/64   -context 0=2001:db8::/64,1=2001:db8:1::/64
//
// and of what passes as Flags has it. -addr and -context may be repeated.
type Radio struct {
	// Name is the value of -device.
	Name string
	// Config is what -pan, -eui64, -short, -ack and -context say.
	Config core.IEEE802154Config
	// Addresses are the values of -addr.
	Addresses []netip.Prefix

	channel uint8
	kinds   string // that -device may be
	wrapping
}

// The networks of RIOT's nodes, if nobody says otherwise.
const (
	defaultPAN     = 0x23
	defaultChannel = 26
)

// RegisterRadio defines the flags. others are what -device may be besides radios, the first of them the default.
func RegisterRadio(fs *flag.FlagSet, others ...string) *Radio {
	r := &Radio{channel: defaultChannel, Config: core.IEEE802154Config{PAN: defaultPAN}}
	r.kinds = strings.Join(append(append([]string(nil), others...), "zep:LOCAL,REMOTE", "serial:PATH[,BAUD]"), ", ") + " and rawsock:NAME"
	fs.StringVar(&r.Name, "device", others[0], "the radio: a `device` of "+r.kinds)
	number := func(name, what string, bits, most int, set func(uint64)) {
		fs.Func(name, what, func(s string) error {
			n, err := strconv.ParseUint(s, 0, bits)
			if err == nil && n > uint64(most) {
				err = strconv.ErrRange
			}
			set(n)
			return err
		})
	}
	number("channel", "the `number` of a virtual radio's channel (default 26)", 8, 26, func(n uint64) { r.channel = uint8(n) })
	number("pan", "the `identifier` of the network (default 0x23)", 16, 0xfffe, func(n uint64) { r.Config.PAN = uint16(n) })
	number("short", "a short `address` that it has besides", 16, 0xfffd, func(n uint64) { r.Config.ShortAddr = uint16(n) })
	fs.Func("eui64", "the extended `address`, as 02:00:00:00:00:00:00:01; by default the radio's, or a random one", func(s string) error {
		extended, err := net.ParseMAC(s)
		if err == nil && len(extended) != len(r.Config.EUI64) {
			err = errors.New("it has eight octets")
		}
		copy(r.Config.EUI64[:], extended)
		return err
	})
	fs.BoolFunc("ack", "ask for acknowledgments, and send frames again that are not acknowledged (default true)", func(s string) error {
		ack, err := strconv.ParseBool(s)
		r.Config.NoAcknowledgments = !ack
		return err
	})
	fs.DurationVar(&r.Config.Sender.AckWait, "ack-wait", 0, "`time` that an acknowledgment may take; by default the standard's, "+
		"and more where virtual radios are far apart")
	fs.Func("context", "prefixes by numbers, `ID=PREFIX,...`, with which addresses are compressed; may be repeated", r.addContexts)
	registerAddresses(fs, &r.Addresses)
	r.wrapping.register(fs)
	return r
}

// addContexts adds what a -context says.
func (r *Radio) addContexts(s string) error {
	for text := range strings.SplitSeq(s, ",") {
		number, prefix, _ := strings.Cut(text, "=")
		id, err := strconv.ParseUint(number, 0, 8)
		if err != nil || id >= uint64(len(r.Config.Contexts)) {
			return fmt.Errorf("%q is no number from 0 to %d", number, len(r.Config.Contexts)-1)
		}
		context := wire.LowpanContext{Compress: true}
		if context.Prefix, err = netip.ParsePrefix(prefix); err != nil {
			return err
		}
		r.Config.Contexts[id] = context
	}
	return nil
}

// Open opens the radio that -device names, and wraps it: see Flags.Wrap. If it names none, the error says what it may be.
func (r *Radio) Open(out io.Writer) (dev.Device, error) {
	inner, err := r.open()
	if err != nil {
		return nil, fmt.Errorf("-device %s: %w", r.Name, err)
	}
	return r.Wrap(inner, out)
}

func (r *Radio) open() (dev.Device, error) {
	switch kind, where, _ := strings.Cut(r.Name, ":"); kind {
	case "zep":
		if local, remote, both := strings.Cut(where, ","); both && remote != "" {
			// Hello, since the other end may be a dispatcher. A node ignores it.
			return zep.Open(zep.Config{Local: local, Remote: remote, Channel: r.channel, EUI64: r.Config.EUI64, Hello: true})
		}
	case "serial":
		if path, baud, timed := strings.Cut(where, ","); path != "" {
			speed, err := strconv.Atoi(baud)
			if timed && err != nil {
				return nil, err
			}
			return serial.Open(path, speed, serial.Config{EUI64: r.Config.EUI64})
		}
	case "rawsock":
		if where != "" {
			return rawsock.Open(where, rawsock.Config{EUI64: r.Config.EUI64})
		}
	}
	return nil, errors.New("there is " + r.kinds)
}

// Wrap does with a radio what Flags.Wrap does.
func (r *Radio) Wrap(device dev.Device, out io.Writer) (dev.Device, error) {
	return r.wrap(r.Name, device, out)
}

// Interface describes an interface with the device, and with what the flags say. Its name, and so the zone of its neighbours' addresses,
// is "radio".
func (r *Radio) Interface(device dev.Device) smolnet.Interface {
	config := r.Config
	return smolnet.Interface{Name: "radio", Device: device, IEEE802154: &config, Addresses: r.Addresses}
}
