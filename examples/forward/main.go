// Command forward is a NAT made of sockets: what enters a tap or a tun leaves through the system's own sockets.
//
//	go run ./examples/forward [-device netns|tap:NAME|tun:NAME] [-flows N] [-idle DURATION] [-timeout DURATION] [-v]
//
// A TCP connection is answered once its destination was reached, and refused if that refuses; from then on octets, their end, and
// resets are passed on both ways. UDP is carried datagram by datagram, each flow by a socket of its own, until it is idle for long
// enough. Whoever is behind the device needs no proxy settings; whoever runs this needs no right to route packets.
//
//   - netns: shows it at work. A client in a private network namespace, with nothing but a tap and a default route by it, talks
//     to servers in another one, where this program's sockets are. Nothing of the host's network is touched, and where the system
//     allows user namespaces it needs no root;
//   - tap:NAME, tun:NAME: forwards what enters that device until interrupted. This end is 192.168.69.1 and fdaa::1. The other,
//     the kernel's, is to be 192.168.69.100/24 and fdaa::100/64, with routes by this one to what is to be forwarded. It belongs
//     into another network namespace, a container's for instance: what the program itself sends must not be routed by the device.
//
// Without -device it is netns. Fragments, multicast and pings are lost. The other flags are those of package examples/device.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/internal/netns"
)

func main() {
	flags := device.Register(flag.CommandLine, "netns")
	var s settings
	flag.IntVar(&s.flows, "flows", 1024, "carry `N` flows of UDP at once, and lose what others send")
	flag.DurationVar(&s.idle, "idle", time.Minute, "end a flow of UDP once nothing has come for this `long`")
	flag.DurationVar(&s.timeout, "timeout", 10*time.Second, "give up on a TCP destination that does not answer for this `long`")
	flag.BoolVar(&s.verbose, "v", false, "tell of every connection and flow, not only of those that fail")
	flag.Parse()
	if flag.NArg() > 0 {
		exit(fmt.Errorf("unexpected argument %q", flag.Arg(0)))
	}
	if flags.Name == "netns" && !netns.Inside() {
		// The same again, in a namespace of its own.
		exit(netns.Available())
		status, err := netns.Run()
		exit(err)
		os.Exit(status)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, os.Stdout, flags, s))
}

// exit ends the program if there is an error.
func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "forward:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, flags *device.Flags, s settings) error {
	if s.flows < 1 || s.idle <= 0 || s.timeout <= 0 {
		return fmt.Errorf("-flows %d -idle %v -timeout %v: they are more than zero", s.flows, s.idle, s.timeout)
	}
	out = device.Lines(out)
	if flags.Name == "netns" {
		return show(ctx, out, flags, s)
	}
	return forward(ctx, out, flags, s)
}

// forward forwards what enters a device of the system's until ctx is done.
func forward(ctx context.Context, out io.Writer, flags *device.Flags, s settings) error {
	d, err := flags.Open(out)
	if err != nil {
		return err
	}
	n, err := newNAT(out, flags.Interface(d, device.Own...), s)
	if err != nil {
		return err
	}
	var by []string
	for _, own := range n.own {
		by = append(by, own.Addr().String())
	}
	fmt.Fprintf(out, "forwarding TCP and UDP that enter %s, by %s, until interrupted\n", flags.Name, strings.Join(by, " and "))
	<-ctx.Done()
	n.close()
	return n.summary(out)
}
