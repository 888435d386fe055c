// Command slaac has an interface of smolnet's configure itself for IPv6 from what routers advertise, or is such a router.
//
//	go run ./examples/slaac [-device pipe|tap:NAME] [-temporary] [-secret TEXT]
//	                        [-advertise PREFIX] [-lifetime TIME] [-interval TIME] [-advertisements N] [-dns ADDRESS] [-domain NAME]
//
// Without -device a little network comes with it: a second stack, joined to the first by an in-memory link, that is the router. The
// first one makes itself addresses and tells of everything that it learns. After a few advertisements the router says farewell, and what
// it has advertised wears off.
//
//   - tap:NAME: listens to whatever routers are on the tap's network, until interrupted;
//   - tap:NAME with -advertise: is a router there, until interrupted.
//
// The other flags are those of package examples/device.
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
	"time"

	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/examples/device"
)

func main() {
	o := register(flag.CommandLine)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, "slaac:", err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	*device.Flags

	// The host's.
	temporary bool
	secret    string

	// The router's.
	prefix         netip.Prefix
	lifetime       time.Duration
	interval       time.Duration
	advertisements int
	dns            netip.Addr
	domain         string
}

func register(fs *flag.FlagSet) *options {
	o := &options{Flags: device.Register(fs, "pipe")}
	fs.BoolVar(&o.temporary, "temporary", false, "make temporary addresses, too, for privacy")
	fs.StringVar(&o.secret, "secret", "", "make addresses that nothing but this `text` gives away; empty: from the hardware address")
	fs.TextVar(&o.prefix, "advertise", netip.Prefix{}, "be a router, and advertise this `prefix`")
	fs.DurationVar(&o.lifetime, "lifetime", 12*time.Second, "for which everything that is advertised is valid: a `time`")
	fs.DurationVar(&o.interval, "interval", 3*time.Second, "advertise so `often`")
	fs.IntVar(&o.advertisements, "advertisements", 0, "say farewell after so `many`; 0: when interrupted (on a pipe: 3)")
	fs.TextVar(&o.dns, "dns", netip.MustParseAddr("2001:db8::53"), "advertise a name server at this `address`")
	fs.StringVar(&o.domain, "domain", "example", "advertise this `domain`")
	return o
}

func run(ctx context.Context, out io.Writer, o *options) error {
	if o.lifetime < time.Second || o.interval <= 0 || o.advertisements < 0 {
		return errors.New("-lifetime is a second at least, -interval more than nothing, and -advertisements not negative")
	}
	journal := device.NewJournal(out)
	if o.Name == "pipe" {
		return show(ctx, journal, o)
	}
	d, err := o.Open(journal)
	if err != nil {
		return err
	}
	if !o.prefix.IsValid() {
		return configure(ctx, journal, o.Interface(d), o)
	}
	r, err := newRouter(ctx, journal, o.Interface(d), o)
	if err != nil {
		return err
	}
	return r.run(ctx)
}

// show has a stack configure itself from what another one advertises.
func show(ctx context.Context, journal *device.Journal, o *options) error {
	if !o.prefix.IsValid() {
		o.prefix = netip.MustParsePrefix("2001:db8:69::/64")
	}
	if o.advertisements == 0 {
		o.advertisements = 3
	}
	here, there := pipe.New(pipe.Config{})
	routing := o.Interface(there)
	routing.HardwareAddr = wire.HardwareAddr{2, 0, 0, 0, 0, 0xfe} // -mac is the host's
	r, err := newRouter(ctx, journal, routing, o)
	if err != nil {
		return errors.Join(err, here.Close())
	}
	routed := make(chan error, 1)
	ctx, end := context.WithCancel(ctx)
	go func() { routed <- r.run(ctx) }()
	d, err := o.Wrap(here, journal)
	if err == nil {
		host := o.Interface(d)
		host.Addresses, host.Routes = nil, nil // the router's
		err = configure(ctx, journal, host, o)
	}
	end()
	return errors.Join(err, <-routed)
}
