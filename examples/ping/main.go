// Command ping sends echo requests through smolnet, and prints what comes back as ping does.
//
//	go run ./examples/ping [-device pipe|tap:NAME|tun:NAME] [-drop-chance P] [-c COUNT] [-i INTERVAL] [-s SIZE] [-t TTL] [-W TIMEOUT] [ADDRESS...]
//
// Without -device it pings a second stack that is joined to the first by an in-memory link, by both of its addresses. With a device,
// the stack is 192.168.69.1 and fdaa::1 on it, and pings the host at the other end, 192.168.69.100 and fdaa::100, unless it is
// told other addresses. The other flags, to lose packets for instance, are those of package examples/device.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/examples/device"
)

func main() {
	var o options
	flags := device.Register(flag.CommandLine, "pipe")
	flag.IntVar(&o.count, "c", 4, "send this `many` requests; 0: until interrupted")
	flag.DurationVar(&o.interval, "i", time.Second, "`time` between requests")
	flag.IntVar(&o.size, "s", 56, "octets of `data` in a request")
	flag.IntVar(&o.ttl, "t", 0, "time to live, or hop limit, of requests; 0: the stack's default")
	flag.DurationVar(&o.timeout, "W", 10*time.Second, "`time` to wait for replies after the last request")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, device.Lines(os.Stdout), flags, o, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "ping:", err)
		os.Exit(1)
	}
}

// options are how to ping.
type options struct {
	count     int
	interval  time.Duration
	size, ttl int
	timeout   time.Duration
}

func run(ctx context.Context, out io.Writer, flags *device.Flags, o options, names []string) error {
	if o.count < 0 || o.interval < 0 || o.timeout < 0 || o.size < 0 {
		return errors.New("-c, -i, -W and -s cannot be negative")
	}
	net, err := join(flags, out)
	if err != nil {
		return err
	}
	defer net.close()
	if len(names) == 0 {
		names = targets()
	}
	var failures error
	for _, target := range names {
		p, err := newPinger(net.stack, out, target, o)
		if err == nil {
			err = p.run(ctx)
		}
		failures = errors.Join(failures, err)
	}
	return failures
}
