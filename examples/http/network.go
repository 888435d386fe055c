package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dev/tap"
	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

var loopbackAddresses = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128")}

// names are what the stacks know the hosts by. Package net, which is the kernel's language, would ask the system for them.
var names = map[string][]netip.Addr{
	"smolnet.test": addrs(device.Own),
	"peer.test":    addrs(device.Peer),
}

func addrs(prefixes []netip.Prefix) (addrs []netip.Addr) {
	for _, prefix := range prefixes {
		addrs = append(addrs, prefix.Addr())
	}
	return addrs
}

// nameOf returns the name of the host that has the address, as the host that is to dial it knows it.
func (h *host) nameOf(addr netip.Addr) string {
	if h.stack != nil {
		for name, addrs := range names {
			if slices.Contains(addrs, addr) {
				return name
			}
		}
		if addr.IsLoopback() {
			return "localhost"
		}
	}
	return addr.String()
}

// network is one host, which reaches itself, or two that reach each other.
type network struct {
	how   string
	hosts []*host
}

// host is a stack, or the kernel: both speak package net's language.
type host struct {
	name      string
	addresses []netip.Prefix
	listen    func(network, address string) (net.Listener, error)
	dial      func(ctx context.Context, network, address string) (net.Conn, error)
	stack     *smolnet.Stack // nil: the kernel
}

// withKernel joins a stack and the kernel by a tap. It is for a private namespace, where it disturbs nobody.
func withKernel(flags *device.Flags, out io.Writer) (*network, error) {
	const name = "smol0"
	opened, err := tap.Open(tap.Config{Name: name})
	if err != nil {
		return nil, err
	}
	d, err := flags.Wrap(opened, out)
	if err != nil {
		return nil, err
	}
	stack, err := newHost("smolnet", smolnet.Interface{Device: d, Addresses: device.Own})
	if err != nil {
		return nil, err
	}
	kernel := &host{"kernel", device.Peer, net.Listen, new(net.Dialer).DialContext, nil}
	for _, address := range kernel.addresses {
		err = errors.Join(err, netns.AddAddress(name, address))
	}
	if err = errors.Join(err, netns.Up(name)); err != nil {
		return nil, errors.Join(err, stack.stack.Close())
	}
	return &network{"a stack and the kernel, joined by a tap in a private network namespace", []*host{stack, kernel}}, nil
}

// withPipe joins two stacks by an in-memory link.
func withPipe(flags *device.Flags, out io.Writer) (*network, error) {
	a, b := pipe.New(pipe.Config{})
	d, err := flags.Wrap(a, out)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	first, err := newHost("stack 1", smolnet.Interface{Device: d, Addresses: device.Own})
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	second, err := newHost("stack 2", smolnet.Interface{Device: b, Addresses: device.Peer})
	if err != nil {
		return nil, errors.Join(err, first.stack.Close())
	}
	return &network{"two stacks, joined by an in-memory link", []*host{first, second}}, nil
}

// withLoopback is one stack that talks to itself, by the loopback interface that every stack has.
func withLoopback() (*network, error) {
	stack, err := smolnet.New(config)
	if err != nil {
		return nil, err
	}
	return &network{"one stack, over its own loopback", []*host{newHostOf(stack, "smolnet", loopbackAddresses)}}, nil
}

// config has the stacks know the names.
var config = smolnet.Config{Resolver: smolnet.ResolverConfig{Hosts: names}}

// newHost makes a stack with the interface, which gets the host's name. If it cannot, it closes the device.
func newHost(name string, ifc smolnet.Interface) (*host, error) {
	ifc.Name = name
	ifc.DuplicateDetection = core.DetectNone // whoever is at the other end is known
	stack, _, err := device.NewStack(config, ifc)
	if err != nil {
		return nil, err
	}
	return newHostOf(stack, name, ifc.Addresses), nil
}

func newHostOf(stack *smolnet.Stack, name string, addresses []netip.Prefix) *host {
	return &host{name, addresses, stack.Listen, stack.DialContext, stack}
}

// counted says whose counters an exchange shows: see exchange.run.
func (n *network) counted() string {
	stacks := 0
	for _, h := range n.hosts {
		if h.stack != nil {
			stacks++
		}
	}
	if stacks > 1 {
		return "the serving stack"
	}
	return "the stack"
}

func (n *network) close() {
	for _, h := range n.hosts {
		if h.stack != nil {
			h.stack.Close()
		}
	}
}
