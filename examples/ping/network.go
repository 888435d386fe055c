package main

import (
	"errors"
	"io"

	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/smolnet"
)

// network is a stack, and with a pipe the one that it pings.
type network struct{ stack, peer *smolnet.Stack }

// join makes a stack on the device that the flags name. Packets are traced to out.
func join(flags *device.Flags, out io.Writer) (*network, error) {
	n := new(network)
	own, err := n.open(flags, out)
	if err == nil {
		n.stack, _, err = device.NewStack(smolnet.Config{}, flags.Interface(own, device.Own...))
	}
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

// open returns the stack's device.
func (n *network) open(flags *device.Flags, out io.Writer) (dev.Device, error) {
	if flags.Name != "pipe" {
		return flags.Open(out)
	}
	own, peers := pipe.New(pipe.Config{})
	var err error
	if n.peer, _, err = device.NewStack(smolnet.Config{}, smolnet.Interface{Device: peers, Addresses: device.Peer}); err != nil {
		return nil, errors.Join(err, own.Close())
	}
	return flags.Wrap(own, out)
}

// targets are whom to ping unless somebody is named.
func targets() (targets []string) {
	for _, address := range device.Peer {
		targets = append(targets, address.Addr().String())
	}
	return targets
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
