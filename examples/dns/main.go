// Command dns asks name servers through smolnet, like a small dig.
//
//	go run ./examples/dns [-server ADDR[:PORT]] [-type TYPE] [-device pipe|tap:NAME|tun:NAME] [NAME...]
//
// Without -device it brings its own server, on a second stack that is joined to the first by an in-memory link, with a zone
// named "example", and asks for all that is in it. With a device, the stack is 192.168.69.1 and fdaa::1 on it, and asks the host
// at the other end, 192.168.69.100, unless -server names another. Names below ".local" are asked for by Multicast DNS. The other flags
// are those of package examples/device.
//
// Without -type it looks up the addresses of names, and the names of addresses.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/smolnet"
)

func main() {
	server := flag.String("server", "", "ask the server at this `address` (default: the host at the other end of the device)")
	kind := flag.String("type", "", "look up this `type` of records: A, AAAA, CNAME, MX, NS, PTR, SRV or TXT")
	flags := device.Register(flag.CommandLine, "pipe")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, device.Lines(os.Stdout), *server, *kind, flags, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "dns:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, server, kind string, flags *device.Flags, names []string) error {
	net, err := join(flags, out)
	if err != nil {
		return err
	}
	defer net.close()
	asked, err := parseServer(cmp.Or(server, net.server))
	if err != nil {
		return err
	}
	resolver, err := smolnet.NewResolver(net.stack, smolnet.ResolverConfig{Servers: []netip.AddrPort{asked}})
	if err != nil {
		return err
	}
	questions := net.questions
	if len(names) > 0 {
		questions = nil
		for _, name := range names {
			questions = append(questions, question{name, strings.ToUpper(kind)})
		}
	}
	if len(questions) == 0 {
		return fmt.Errorf("no name to look up")
	}
	for _, q := range questions {
		if err := q.answer(ctx, out, resolver); err != nil {
			return err
		}
	}
	return nil
}

// parseServer reads an address, with a port or without.
func parseServer(text string) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(addr, 0), nil
	}
	server, err := netip.ParseAddrPort(text)
	if err != nil {
		return server, fmt.Errorf("-server %s: it is no address", text)
	}
	return server, nil
}
