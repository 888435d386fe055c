package main

import (
	"errors"
	"io"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/smolnet"
)

// network is a stack, and whom it asks.
type network struct {
	stack     *smolnet.Stack
	server    string     // unless another is named
	questions []question // what to ask for unless names are given
	peer      *smolnet.Stack
}

// join makes a stack on the device that the flags name; with a pipe, there is another stack behind it that serves names. Packets are
// traced to out.
func join(flags *device.Flags, out io.Writer) (*network, error) {
	n := &network{server: device.Peer[0].Addr().String()}
	own, err := n.open(flags, out)
	if err == nil {
		n.stack, err = newStack(flags.Interface(own, device.Own...))
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
	peer, err := newStack(smolnet.Interface{Device: peers, Addresses: device.Peer})
	if err == nil {
		n.peer, n.questions = peer, everything
		err = serve(peer)
	}
	if err != nil {
		return nil, errors.Join(err, own.Close())
	}
	return flags.Wrap(own, out)
}

// newStack makes a stack with one interface. If it cannot, it closes the device.
func newStack(ifc smolnet.Interface) (*smolnet.Stack, error) {
	ifc.DuplicateDetection = core.DetectNone // whoever is at the other end is known
	stack, _, err := device.NewStack(smolnet.Config{}, ifc)
	return stack, err
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
