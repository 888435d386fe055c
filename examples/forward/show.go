package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/examples/device"
)

// show has a client in a namespace of its own do by the NAT what a client does, and says what it was.
func show(ctx context.Context, out io.Writer, flags *device.Flags, s settings) error {
	n, err := newNamespaces(out, flags, s)
	if err != nil {
		return err
	}
	defer n.close()
	servers, err := startServers()
	if err != nil {
		return err
	}
	defer servers.close()
	fmt.Fprintf(out, "the client is in a namespace with a tap and routes to everywhere by it, "+
		"the servers and the NAT's sockets are in another\n")
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, address := range serverAddresses {
		c := client{dial: n.dial, server: address.Addr(), hole: holes[0].Addr().Next()}
		if c.server.Is6() {
			c.hole = holes[1].Addr().Next()
		}
		if err := c.doAll(ctx, out); err != nil {
			return fmt.Errorf("%v: %w", c.server, err)
		}
	}
	n.nat.close()
	return n.nat.summary(out)
}

// client speaks to a server, and to where there is none.
type client struct {
	dial         dialFunc
	server, hole netip.Addr
}

func (c *client) doAll(ctx context.Context, out io.Writer) error {
	unanswered := c.startDialing(ctx, c.hole, 8)
	defer unanswered.stop()
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"8 HTTP requests at once, of 1 MiB each, which came back", func(ctx context.Context) error { return c.exchange(ctx, 8, 1<<20) }},
		{"1 MiB, its end, and then all of it back", func(ctx context.Context) error { return c.halfClose(ctx, 1<<20) }},
		{"a connection refused", c.refusedConnection},
		{"a DNS lookup", c.lookUp},
		{"100 flows of UDP at once, 10 datagrams each, which came back", func(ctx context.Context) error { return c.flows(ctx, 100, 10) }},
		{"a datagram refused", c.refusedDatagram},
		{"8 connections to where nobody answers waited all the while", unanswered.waiting},
	} {
		start := time.Now()
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		fmt.Fprintf(out, "%v: %s: %v\n", c.server, step.what, time.Since(start).Round(100*time.Microsecond))
	}
	return nil
}
