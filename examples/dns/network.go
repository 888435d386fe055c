package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dev/tap"
	"github.com/smolnet/smolnet/dev/tun"
	"github.com/smolnet/smolnet/smolnet"
)

var (
	ownAddresses  = []netip.Prefix{netip.MustParsePrefix("192.168.69.1/24"), netip.MustParsePrefix("fdaa::1/64")}
	peerAddresses = []netip.Prefix{netip.MustParsePrefix("192.168.69.100/24"), netip.MustParsePrefix("fdaa::100/64")}
)

// network is a stack, and whom it asks.
type network struct {
	stack     *smolnet.Stack
	server    string     // unless another is named
	questions []question // what to ask for unless names are given
	peer      *smolnet.Stack
}

// join makes a stack on a device; with a pipe, there is another stack behind it that serves names.
func join(device string) (*network, error) {
	n := &network{server: peerAddresses[0].Addr().String()}
	own, err := n.open(device)
	if err != nil {
		return nil, err
	}
	if n.stack, err = newStack(own, ownAddresses); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

// open returns the stack's device.
func (n *network) open(name string) (dev.Device, error) {
	kind, name, named := strings.Cut(name, ":")
	switch {
	case kind == "pipe" && !named:
		own, peers := pipe.New(pipe.Config{})
		peer, err := newStack(peers, peerAddresses)
		if err != nil {
			return nil, errors.Join(err, own.Close())
		}
		n.peer, n.questions = peer, everything
		return own, serve(peer)
	case kind == "tap" && name != "":
		return tap.Open(tap.Config{Name: name})
	case kind == "tun" && name != "":
		return tun.Open(tun.Config{Name: name, Network: peerAddresses[0]})
	}
	return nil, fmt.Errorf("-device %s: there is pipe, tap:NAME and tun:NAME", kind)
}

// newStack makes a stack with one interface. If it cannot, it closes the device.
func newStack(device dev.Device, addresses []netip.Prefix) (*smolnet.Stack, error) {
	stack, err := smolnet.New(smolnet.Config{})
	if err != nil {
		return nil, errors.Join(err, device.Close())
	}
	if _, err = stack.AddInterface(smolnet.Interface{Device: device, Addresses: addresses}); err != nil {
		return nil, errors.Join(err, device.Close(), stack.Close())
	}
	return stack, nil
}

func (n *network) close() error {
	var err error
	for _, stack := range []*smolnet.Stack{n.stack, n.peer} {
		if stack != nil {
			err = errors.Join(err, stack.Close())
		}
	}
	return err
}
