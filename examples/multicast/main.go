// Command multicast joins multicast groups, prints what it hears and from whom, and sends lines.
//
//	go run ./examples/multicast [-device pipe|tap:NAME|tun:NAME] [-port PORT] [-source ADDRESS]... [-ttl N] [-lines N] [GROUP...]
//
// Without -device two stacks that are joined by an in-memory link talk to each other, each by a few lines, through a group of each family.
// With a device, the stack is 192.168.69.1 and fdaa::1 on it, sends what is typed to all of the groups, and prints what comes, until
// interrupted.
//
// With -source, groups are joined for those sources alone. The other flags are those of package examples/device.
package main

import (
	"bufio"
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

	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/smolnet"
)

func main() {
	o := register(flag.CommandLine)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdin, os.Stdout, o, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "multicast:", err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	*device.Flags
	port    int
	sources []netip.Addr
	ttl     int
	lines   int
}

func register(fs *flag.FlagSet) *options {
	o := &options{Flags: device.Register(fs, "pipe")}
	fs.IntVar(&o.port, "port", 5000, "the `port` of the groups")
	fs.Func("source", "hear only what is from this `address`; may be repeated", func(s string) error {
		addr, err := netip.ParseAddr(s)
		o.sources = append(o.sources, addr)
		return err
	})
	fs.IntVar(&o.ttl, "ttl", 1, "time to live, or hop limit, of what is sent: how `many` links it may pass")
	fs.IntVar(&o.lines, "lines", 3, "on a pipe, say so `many` lines")
	return o
}

// Groups to join if none are named: those that any site may use as it likes, and those for specific sources.
var (
	anySource      = []netip.Addr{netip.MustParseAddr("239.255.69.1"), netip.MustParseAddr("ff15::69:1")}
	sourceSpecific = []netip.Addr{netip.MustParseAddr("232.0.69.1"), netip.MustParseAddr("ff35::8000:6901")}
)

func run(ctx context.Context, in io.Reader, out io.Writer, o *options, names []string) error {
	groups, err := o.groups(names)
	if err != nil {
		return err
	}
	journal := device.NewJournal(out)
	if o.Name == "pipe" {
		return talk(ctx, journal, o, groups)
	}
	d, err := o.Open(journal)
	if err != nil {
		return err
	}
	p, err := join(journal, "", o.Interface(d, device.Own...), o, groups)
	if err != nil {
		return err
	}
	defer p.close()
	defer context.AfterFunc(ctx, func() { p.close() })()
	said := make(chan error, 1)
	go func() { said <- p.sayLines(in) }()
	select {
	case err = <-said: // the end of what is typed is not that of what is heard
		if err == nil {
			<-ctx.Done()
		}
	case <-ctx.Done():
	}
	return err
}

// groups are those that are named, or else those of each family.
func (o *options) groups(names []string) (groups []netip.Addr, err error) {
	for _, name := range names {
		group, err := netip.ParseAddr(name)
		if err != nil || !group.IsMulticast() {
			return nil, fmt.Errorf("%s is no multicast group", name)
		}
		groups = append(groups, group)
	}
	switch {
	case len(groups) > 0:
		return groups, nil
	case len(o.sources) > 0:
		return sourceSpecific, nil
	default:
		return anySource, nil
	}
}

// talk has two stacks say lines to each other.
func talk(ctx context.Context, journal *device.Journal, o *options, groups []netip.Addr) error {
	here, there := pipe.New(pipe.Config{})
	d, err := o.Wrap(here, journal)
	if err != nil {
		return errors.Join(err, there.Close())
	}
	first, err := join(journal, "first ", o.Interface(d, device.Own...), o, groups)
	if err != nil {
		return errors.Join(err, there.Close())
	}
	defer first.close()
	second, err := join(journal, "second ", smolnet.Interface{Device: there, Addresses: device.Peer}, o, groups)
	if err != nil {
		return err
	}
	defer second.close()

	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for i := range 2*o.lines + 1 { // one turn more, so that the last line is heard
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		speaker := first
		if i%2 == 1 {
			speaker = second
		}
		if i == 2*o.lines {
			break
		}
		if err := speaker.say(fmt.Sprintf("line %d", i/2+1)); err != nil {
			return err
		}
	}
	return nil
}

// sayLines says what is read, line by line.
func (p *party) sayLines(in io.Reader) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if err := p.say(lines.Text()); err != nil {
			return err
		}
	}
	return lines.Err()
}
