package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/rpl"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/radio"
	"github.com/smolnet/smolnet/dev/tap"
	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
	"github.com/smolnet/smolnet/smolnet/httpclient"
)

// show has a node and the kernel fetch a page from each other, by a router in between. It is for a private namespace, where it disturbs
// nobody.
func show(ctx context.Context, journal *device.Journal, o *options) error {
	medium := radio.New(radio.Config{Seed: 1, Bitrate: radio.Bitrate2450MHz})
	ethernet, err := addKernel(o)
	if err != nil {
		return err
	}
	d, err := o.Wrap(medium.Node(radio.NodeConfig{}), journal)
	if err != nil {
		return errors.Join(err, ethernet.Close())
	}
	r, err := newRouter(journal, o, d, ethernet)
	if err != nil {
		return err
	}
	defer r.stack.Close()
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		r.run(watching)
		close(watched)
	}()
	err = fetchBoth(ctx, journal, o, medium.Node(radio.NodeConfig{}))
	stop()
	<-watched
	for _, registered := range r.radio.Registrations() {
		journal.Printf("router: %v is registered by %v", registered.Addr, registered.LinkAddr)
	}
	for _, target := range r.radio.RPLTargets() {
		journal.Printf("router: %v is reached by %v", target.Prefix, target.Via)
	}
	forwarded := r.radio.Counters().IPv6.OutForwDatagrams + r.ethernet.Counters().IPv6.OutForwDatagrams
	journal.Printf("router: %d packets forwarded", forwarded)
	return err
}

// addKernel makes the tap, and has the kernel be at the other end.
func addKernel(o *options) (dev.Device, error) {
	ethernet, err := tap.Open(tap.Config{Name: o.tap})
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		netns.AddAddress(o.tap, kernelAddr(o)), netns.Up(o.tap), netns.AddRoute(o.prefix.Masked(), o.ethernet.Addr(), o.tap),
	)
	if err != nil {
		return nil, errors.Join(err, ethernet.Close())
	}
	return ethernet, nil
}

// kernelAddr is the kernel's address on the Ethernet.
func kernelAddr(o *options) netip.Prefix {
	addr := o.ethernet.Addr().As16()
	addr[14] ^= 1
	return netip.PrefixFrom(netip.AddrFrom16(addr), o.ethernet.Bits())
}

// fetchBoth has a node on the radio configure itself, and then the kernel fetch a page from it, and it one from the kernel.
func fetchBoth(ctx context.Context, journal *device.Journal, o *options, d dev.Device) error {
	config := core.IEEE802154Config{PAN: o.Config.PAN, NoAcknowledgments: o.Config.NoAcknowledgments}
	ifc := smolnet.Interface{Name: "radio", Device: d, IEEE802154: &config, Autoconf: true}
	if o.rpl != wire.RPLNoDownward {
		config.RPLLeaf = new(rpl.LeafConfig) // contexts are told by router advertisements still
	}
	node, link, err := device.NewStack(smolnet.Config{}, ifc)
	if err != nil {
		return err
	}
	defer node.Close()
	own, err := awaitAddr(ctx, node, link)
	if err != nil {
		return err
	}
	journal.Printf("node: %v is its address", own)

	pages, err := node.Listen("tcp", ":80")
	if err != nil {
		return err
	}
	if err := fetch(ctx, journal, "the kernel", http.DefaultClient, pages, own); err != nil {
		return err
	}
	kernel := kernelAddr(o).Addr()
	if pages, err = net.Listen("tcp", net.JoinHostPort(kernel.String(), "80")); err != nil {
		return err
	}
	return fetch(ctx, journal, "the node", httpclient.New(node), pages, kernel)
}

// awaitAddr waits until a node has an address that a router has told of.
func awaitAddr(ctx context.Context, node *smolnet.Stack, link *smolnet.Link) (netip.Addr, error) {
	for watch := node.Watch(); ; {
		for _, own := range link.Addresses() {
			if addr := own.Prefix.Addr(); addr.IsGlobalUnicast() && own.State == core.Preferred {
				return addr, nil
			}
		}
		if _, err := watch.Next(ctx); err != nil {
			return netip.Addr{}, err
		}
	}
}

// fetch has a client fetch a page that is served at an address.
func fetch(ctx context.Context, journal *device.Journal, who string, client *http.Client, pages net.Listener, at netip.Addr) error {
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello to %s\n", r.RemoteAddr)
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(pages) }()
	defer client.CloseIdleConnections()
	start := time.Now()
	page := "http://" + net.JoinHostPort(at.String(), "80") + "/"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return errors.Join(err, server.Close())
	}
	response, err := client.Do(request)
	if err != nil {
		return errors.Join(err, server.Close())
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return errors.Join(err, server.Close())
	}
	journal.Printf("%s fetches %s in %v: %s, %q", who, page, time.Since(start).Round(time.Millisecond), response.Status, body)
	if err = server.Close(); err == nil {
		if err = <-served; errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
	}
	return err
}
