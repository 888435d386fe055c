// Command dhcp gets an interface of smolnet's its IPv4 configuration by DHCP, or hands out such to others.
//
//	go run ./examples/dhcp [-device pipe|tap:NAME] [-hostname NAME] [-request ADDRESS] [-link-local] [-renewals N]
//	                       [-serve FIRST-LAST] [-lease TIME] [-dns ADDRESS] [-domain NAME]
//
// Without -device a little network comes with it: a second stack, joined to the first by an in-memory link, that is the server. The
// first one gets a lease and tells of everything that comes of it, renews it a few times, and gives it back.
//
//   - tap:NAME: gets a lease from whatever server is on the tap's network;
//   - tap:NAME with -serve: is the server there, at 192.168.69.1 unless -addr says otherwise, until interrupted.
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
		fmt.Fprintln(os.Stderr, "dhcp:", err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	*device.Flags

	// The client's.
	hostname  string
	requested netip.Addr
	linkLocal bool
	renewals  int

	// The server's.
	pool   string
	lease  time.Duration
	dns    []netip.Addr
	domain string
}

func register(fs *flag.FlagSet) *options {
	o := &options{Flags: device.Register(fs, "pipe")}
	fs.StringVar(&o.hostname, "hostname", "guest", "the `name` that the client says it has")
	fs.TextVar(&o.requested, "request", netip.Addr{}, "the `address` that the client would like to have")
	fs.BoolVar(&o.linkLocal, "link-local", false, "take a link-local address while no server answers")
	fs.IntVar(&o.renewals, "renewals", 2, "give the lease back once it was renewed so `often`; 0: when interrupted")
	fs.StringVar(&o.pool, "serve", "", "be a server, and hand out the addresses of this `range`, FIRST-LAST")
	fs.DurationVar(&o.lease, "lease", 16*time.Second, "hand them out for this `long`")
	fs.Func("dns", "tell of a name server at this `address`; may be repeated (default: the server's own)", func(s string) error {
		addr, err := netip.ParseAddr(s)
		o.dns = append(o.dns, addr)
		return err
	})
	fs.StringVar(&o.domain, "domain", "example", "tell of this `domain`")
	return o
}

func run(ctx context.Context, out io.Writer, o *options) error {
	journal := device.NewJournal(out)
	if o.Name == "pipe" {
		return show(ctx, journal, o)
	}
	d, err := o.Open(journal)
	if err != nil {
		return err
	}
	if o.pool == "" {
		return lease(ctx, journal, o.Interface(d), o)
	}
	s, err := newServer(journal, o.Interface(d, device.Own[0]), o)
	if err != nil {
		return err
	}
	s.run(ctx)
	return s.stack.Close()
}

// show has a stack lease from another one.
func show(ctx context.Context, journal *device.Journal, o *options) error {
	here, there := pipe.New(pipe.Config{})
	if o.pool == "" {
		o.pool = "192.168.69.100-192.168.69.199"
	}
	serving := o.Interface(there, device.Own[0])
	serving.HardwareAddr = wire.HardwareAddr{2, 0, 0, 0, 0, 0xfe} // -mac is the client's
	s, err := newServer(journal, serving, o)
	if err != nil {
		return errors.Join(err, here.Close())
	}
	ctx, end := context.WithCancel(ctx)
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.run(ctx)
	}()
	defer func() {
		end()
		<-served
		s.stack.Close()
	}()
	d, err := o.Wrap(here, journal)
	if err != nil {
		return err
	}
	leasing := o.Interface(d)
	leasing.Addresses, leasing.Routes = nil, nil // the server's
	return lease(ctx, journal, leasing, o)
}
