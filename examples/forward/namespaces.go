package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"

	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/tap"
	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// Addresses of the servers, those where nobody answers, and any.
var (
	serverAddresses = prefixes("203.0.113.1/32", "2001:db8::1/128")
	holes           = prefixes("198.51.100.0/24", "2001:db8:dead::/48")
	everywhere      = prefixes("0.0.0.0/0", "::/0")
)

// namespaces are two, with a NAT in between: that of the process, where the servers are and the sockets of the NAT, and one inside
// of which there is only a client's end of a tap.
type namespaces struct {
	inside *netns.Namespace
	nat    *nat
}

// newNamespaces is for a process in a private namespace, where it disturbs nobody.
func newNamespaces(out io.Writer, flags *device.Flags, s settings) (*namespaces, error) {
	if err := addOutside(); err != nil {
		return nil, err
	}
	inside, err := netns.New()
	if err != nil {
		return nil, err
	}
	var d dev.Device
	err = inside.Do(func() error {
		d, err = addInside("smol0")
		return err
	})
	if err == nil {
		d, err = flags.Wrap(d, out)
	}
	if err != nil {
		return nil, errors.Join(err, inside.Close())
	}
	n, err := newNAT(out, smolnet.Interface{Device: d, Addresses: device.Own}, s)
	if err != nil {
		return nil, errors.Join(err, inside.Close())
	}
	return &namespaces{inside, n}, nil
}

// addOutside gives the process's namespace the servers' addresses, and a tun for what is to get lost: nobody reads from it.
func addOutside() error {
	const hole = "hole0"
	if _, err := net.InterfaceByName(hole); err == nil {
		return nil
	}
	err := netns.AddTun(hole)
	for _, address := range serverAddresses {
		err = errors.Join(err, netns.AddAddress("lo", address))
	}
	err = errors.Join(err, netns.Up(hole))
	for _, prefix := range holes {
		err = errors.Join(err, netns.AddRoute(prefix, netip.Addr{}, hole))
	}
	return err
}

// addInside makes a tap that leads everywhere, and returns the other end of it.
func addInside(name string) (dev.Device, error) {
	d, err := tap.Open(tap.Config{Name: name})
	if err != nil {
		return nil, err
	}
	if err := joinInside(name); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// joinInside gives the kernel's end of a device its addresses, and routes by the other end.
func joinInside(name string) (err error) {
	for _, address := range device.Peer {
		err = errors.Join(err, netns.AddAddress(name, address))
	}
	err = errors.Join(err, netns.Up(name))
	for i, prefix := range everywhere {
		err = errors.Join(err, netns.AddRoute(prefix, device.Own[i].Addr(), name))
	}
	return err
}

func prefixes(texts ...string) (parsed []netip.Prefix) {
	for _, text := range texts {
		parsed = append(parsed, netip.MustParsePrefix(text))
	}
	return parsed
}

// dial is net.Dialer's DialContext for a client inside. The address is a numeric one, for which package net starts no goroutine: that
// would be outside.
func (n *namespaces) dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	inside := n.inside.Do(func() error {
		c, err = new(net.Dialer).DialContext(ctx, network, address)
		return nil
	})
	if inside != nil {
		return nil, inside
	}
	return c, err
}

func (n *namespaces) close() error {
	n.nat.close()
	return n.inside.Close()
}
