// Command borderrouter joins an IEEE 802.15.4 network to an Ethernet: a radio on one side, a tap on the other.
//
//	go run ./examples/borderrouter [-device netns|zep:LOCAL,REMOTE|serial:PATH[,BAUD]|rawsock:NAME] [-tap NAME] [-ethernet PREFIX]
//	    [-gateway ADDRESS] [-prefix PREFIX] [-context ID=PREFIX,...] [-rpl storing|non-storing]
//
// On the radio it is a router of a 6LoWPAN: it advertises the prefix, which is context 0 unless -context or -rpl say otherwise, and nodes
// register with it the addresses that they make of it, as far as they are in its reach. With -rpl it is the root of a network of RPL
// besides, and nodes tell it of their addresses by that. RPL does not tell them of contexts: then all must have the same -context. What
// is for others leaves by the tap. There it is fdaa::1, and expects of the kernel at the other end, or of whoever is there, a route:
//
//	ip address add fdaa::100/64 dev smol0 nodad
//	ip route add 2001:db8:6::/64 via fdaa::1
//
// With it runs, for instance, a node that gets its address from there:
//
//	go run ./examples/borderrouter -device zep:[::1]:17754,[::1]:17755 -tap smol0
//	go run ./examples/sixlowpan -device zep:[::1]:17755,[::1]:17754 -autoconf
//
// Without -device all of it is shown at work, with a node in this process on a radio medium in memory, and a tap in a private network
// namespace: the kernel fetches a page from the node, and the node one from the kernel. The other flags are those of package
// examples/device; they are about the radio.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev/tap"
	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/internal/netns"
)

func main() {
	o := register(flag.CommandLine)
	flag.Parse()
	if flag.NArg() > 0 {
		exit(fmt.Errorf("unexpected argument %q", flag.Arg(0)))
	}
	if o.Name == private && !netns.Inside() {
		// The same again, in a namespace of its own.
		exit(netns.Available())
		status, err := netns.Run()
		exit(err)
		os.Exit(status)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, os.Stdout, o))
}

// exit ends the program if there is an error.
func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "borderrouter:", err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	*device.Radio
	tap      string
	ethernet netip.Prefix
	gateway  netip.Addr
	prefix   netip.Prefix
	rpl      wire.RPLMode // RPLNoDownward: it is no root
}

// private is the -device of a show in a private network namespace.
const private = "netns"

func register(fs *flag.FlagSet) *options {
	o := &options{Radio: device.RegisterRadio(fs, private)}
	fs.StringVar(&o.tap, "tap", "smol0", "the Ethernet: a tap's `name`")
	fs.TextVar(&o.ethernet, "ethernet", device.Own[1], "the address on the Ethernet, with its `prefix`")
	fs.TextVar(&o.gateway, "gateway", netip.Addr{}, "the `address` of a router on the Ethernet to everywhere else")
	fs.TextVar(&o.prefix, "prefix", netip.MustParsePrefix("2001:db8:6::/64"), "the `prefix` of the nodes' addresses")
	fs.Func("rpl", "be the root of a network of RPL, in which routes are kept in this `mode`: storing or non-storing", func(s string) error {
		switch s {
		case "storing":
			o.rpl = wire.RPLStoring
		case "non-storing":
			o.rpl = wire.RPLNonStoring
		default:
			return errors.New("there is storing and non-storing")
		}
		return nil
	})
	return o
}

func run(ctx context.Context, out io.Writer, o *options) error {
	if err := o.check(); err != nil {
		return err
	}
	journal := device.NewJournal(out)
	if o.Name == private {
		return show(ctx, journal, o)
	}
	radio, err := o.Open(journal)
	if err != nil {
		return err
	}
	ethernet, err := tap.Open(tap.Config{Name: o.tap})
	if err != nil {
		return errors.Join(fmt.Errorf("-tap %s: %w", o.tap, err), radio.Close())
	}
	r, err := newRouter(journal, o, radio, ethernet)
	if err != nil {
		return err
	}
	r.run(ctx)
	return r.stack.Close()
}

// check reports what cannot be.
func (o *options) check() error {
	switch {
	case !o.prefix.Addr().Is6() || o.prefix.Bits() != 64:
		return fmt.Errorf("-prefix %v: it is no /64 of IPv6", o.prefix)
	case !o.ethernet.Addr().Is6():
		return fmt.Errorf("-ethernet %v: it is no address of IPv6", o.ethernet)
	case o.gateway.IsValid() && !o.gateway.Is6():
		return fmt.Errorf("-gateway %v: it is no address of IPv6", o.gateway)
	}
	return nil
}
