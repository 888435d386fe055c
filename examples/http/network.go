package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dev/tap"
	"github.com/smolnet/smolnet/dev/tun"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

var (
	stackAddresses    = prefixes("192.168.69.1/24", "fdaa::1/64")
	peerAddresses     = prefixes("192.168.69.100/24", "fdaa::100/64")
	loopbackAddresses = prefixes("127.0.0.1/8", "::1/128")
)

func prefixes(texts ...string) (parsed []netip.Prefix) {
	for _, text := range texts {
		parsed = append(parsed, netip.MustParsePrefix(text))
	}
	return parsed
}

// names are what the stacks know the hosts by. Package net, which is the kernel's language, would ask the system for them.
var names = map[string][]netip.Addr{
	"smolnet.test": addrs(stackAddresses),
	"peer.test":    addrs(peerAddresses),
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
func withKernel() (*network, error) {
	const name = "smol0"
	device, err := openDevice("tap", name)
	if err != nil {
		return nil, err
	}
	stack, err := newHost("smolnet", device, stackAddresses)
	if err != nil {
		return nil, err
	}
	kernel := &host{"kernel", peerAddresses, net.Listen, new(net.Dialer).DialContext, nil}
	for _, address := range kernel.addresses {
		err = errors.Join(err, netns.AddAddress(name, address))
	}
	if err = errors.Join(err, netns.Up(name)); err != nil {
		return nil, errors.Join(err, stack.stack.Close())
	}
	return &network{"a stack and the kernel, joined by a tap in a private network namespace", []*host{stack, kernel}}, nil
}

// withPipe joins two stacks by an in-memory link.
func withPipe() (*network, error) {
	a, b := pipe.New(pipe.Config{Medium: dev.Ethernet, MTU: 1500})
	first, err := newHost("stack 1", a, stackAddresses)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	second, err := newHost("stack 2", b, peerAddresses)
	if err != nil {
		return nil, errors.Join(err, first.stack.Close())
	}
	return &network{"two stacks, joined by an in-memory link", []*host{first, second}}, nil
}

// withLoopback is one stack that talks to itself, by the loopback interface that every stack has.
func withLoopback() (*network, error) {
	stack, err := newHost("smolnet", nil, loopbackAddresses)
	if err != nil {
		return nil, err
	}
	return &network{"one stack, over its own loopback", []*host{stack}}, nil
}

// openDevice opens a tap or a tun, and makes it if there is none of that name.
func openDevice(kind, name string) (dev.Device, error) {
	if kind == "tun" {
		return tun.Open(tun.Config{Name: name, Network: peerAddresses[0]})
	}
	return tap.Open(tap.Config{Name: name})
}

// newHost makes a stack, with an interface of these addresses if there is a device for it. If it cannot, it closes the
// device.
func newHost(name string, device dev.Device, addresses []netip.Prefix) (*host, error) {
	stack, err := smolnet.New(smolnet.Config{Resolver: smolnet.ResolverConfig{Hosts: names}})
	if err != nil {
		if device != nil {
			err = errors.Join(err, device.Close())
		}
		return nil, err
	}
	if device != nil {
		_, err = stack.AddInterface(smolnet.Interface{Name: name, Device: device, Addresses: addresses})
		if err != nil {
			return nil, errors.Join(err, device.Close(), stack.Close())
		}
	}
	return &host{name, addresses, stack.Listen, stack.DialContext, stack}, nil
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
