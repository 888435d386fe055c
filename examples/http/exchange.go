package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// exchangeAll has every host serve the tree to the other, at each of its addresses, and writes a summary.
func exchangeAll(ctx context.Context, out io.Writer, n *network, root string, files []file) error {
	s := summary{counted: n.counted()}
	for i, server := range n.hosts {
		client := n.hosts[len(n.hosts)-1-i]
		for _, address := range server.addresses {
			e := exchange{server: server, client: client, address: address.Addr()}
			if err := e.run(ctx, root, files); err != nil {
				return fmt.Errorf("%s from %s, at %s: %w", client.name, server.name, e.address, err)
			}
			s.add(&e)
		}
	}
	return s.write(out)
}

// exchange is one server at one address and one client that fetches everything there is.
type exchange struct {
	server, client *host
	address        netip.Addr

	requests int
	elapsed  time.Duration
	traffic  traffic
}

func (e *exchange) run(ctx context.Context, root string, files []file) error {
	network := "tcp4"
	if e.address.Is6() {
		network = "tcp6"
	}
	listener, err := e.server.listen(network, netip.AddrPortFrom(e.address, 80).String())
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.FileServer(http.Dir(root))}
	go server.Serve(listener)
	defer server.Close()

	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return e.client.dial(ctx, network, address)
		},
		MaxConnsPerHost:     connections,
		MaxIdleConnsPerHost: connections,
		DisableCompression:  true,
	}
	defer transport.CloseIdleConnections()
	// Both addresses of a host have the same name: the network says which is meant.
	f := fetcher{client: &http.Client{Transport: transport, Timeout: patience}, host: net.JoinHostPort(e.client.nameOf(e.address), "80")}

	// One of the two is a stack. What its core has counted is what is shown.
	stack := e.server.stack
	if stack == nil {
		stack = e.client.stack
	}
	before, start := stack.Counters().TCP, time.Now()
	err = f.fetchAll(ctx, files)
	e.requests, e.elapsed = int(f.fetched.Load()), time.Since(start)
	e.traffic = trafficSince(before, stack.Counters().TCP)
	return err
}
