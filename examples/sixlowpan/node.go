package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/rpl"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/radio"
	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/smolnet"
)

// node is a stack on a radio.
type node struct {
	*options
	out   io.Writer
	stack *smolnet.Stack
	link  *smolnet.Link
}

// newNode makes a node. It returns once all of its addresses can be used; with -autoconf or -rpl, once it has one of a border router's
// network. If it cannot, it closes the device.
func newNode(ctx context.Context, out io.Writer, o *options, d dev.Device) (*node, error) {
	ifc := o.Interface(d)
	ifc.Autoconf = o.autoconf
	if o.rpl {
		ifc.IEEE802154.RPLLeaf = new(rpl.LeafConfig)
	}
	stack, link, err := device.NewStack(smolnet.Config{}, ifc)
	if err != nil {
		return nil, err
	}
	n := &node{o, out, stack, link}
	for watch := stack.Watch(); !n.configured(); {
		if _, err := watch.Next(ctx); err != nil {
			return nil, errors.Join(err, stack.Close())
		}
	}
	return n, nil
}

// configured reports whether there is nothing to wait for.
func (n *node) configured() bool {
	global := false
	for _, own := range n.link.Addresses() {
		if own.State == core.Tentative {
			return false
		}
		global = global || own.Prefix.Addr().IsGlobalUnicast()
	}
	return global || !n.autoconf && !n.rpl
}

// linkLocal is the address by which neighbours know it.
func (n *node) linkLocal() netip.Addr {
	for _, own := range n.link.Addresses() {
		if addr := own.Prefix.Addr(); addr.IsLinkLocalUnicast() {
			return addr
		}
	}
	return netip.Addr{}
}

// parse returns what is meant by an address: one of a neighbour's without a zone is on the radio.
func (n *node) parse(address string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(address)
	if err == nil && addr.Zone() == "" && (addr.IsLinkLocalUnicast() || addr.IsLinkLocalMulticast()) {
		addr = addr.WithZone(n.link.Name())
	}
	return addr, err
}

// show has two nodes on a medium in memory, of which one serves and the other executes a command, or all of them. Unless there is an
// address they are for the one that serves.
func show(ctx context.Context, out io.Writer, o *options, command, address string) error {
	medium := radio.New(radio.Config{Seed: 1, Bitrate: radio.Bitrate2450MHz})
	// The other node has no addresses of the command line's, and nobody tells it any.
	serving := *o.Radio
	serving.Config.EUI64, serving.Config.ShortAddr, serving.Addresses = [8]byte{}, 0, nil
	server, err := newNode(ctx, out, &options{Radio: &serving}, medium.Node(radio.NodeConfig{}))
	if err != nil {
		return err
	}
	defer server.stack.Close()
	d, err := o.Wrap(medium.Node(radio.NodeConfig{}), out)
	if err != nil {
		return err
	}
	client, err := newNode(ctx, out, o, d)
	if err != nil {
		return err
	}
	defer client.stack.Close()

	serve, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	listening, err := server.listen()
	if err != nil {
		stop()
		return err
	}
	go func() { served <- listening.serve(serve) }()
	if address == "" {
		address = server.linkLocal().String()
	}
	todo := []string{command}
	if command == "" {
		todo = []string{"ping", "udp", "tcp", "get"}
	}
	for _, command := range todo {
		err = errors.Join(err, client.do(ctx, command, address))
	}
	stop()
	fmt.Fprintln(out)
	return errors.Join(err, <-served)
}
