package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/smolnet"
)

// settings are what the flags say.
type settings struct {
	flows   int           // of UDP, at once
	idle    time.Duration // after which one ends
	timeout time.Duration // of dialing a TCP destination
	verbose bool
}

// nat forwards the TCP connections and the flows of UDP that come by a stack's interface to where they want to go, through the
// system's own sockets. near is what a variable is called that is on the stack's side, and far one on the system's.
type nat struct {
	settings
	stack *smolnet.Stack
	own   []netip.Prefix // addresses of the stack's
	tcp   *smolnet.TCPForwarder
	udp   *smolnet.UDPForwarder
	slots chan struct{} // one for each flow of UDP

	ctx        context.Context // until close
	end        context.CancelFunc
	goroutines sync.WaitGroup

	out     io.Writer // to which several goroutines may write at once
	counted counters
}

// counters say what has come of all that was asked for. Octets and datagrams are counted in the end.
type counters struct {
	connections                      atomic.Int64
	refused, unanswered, abandoned   atomic.Int64 // those that came to nothing: by the far side, for want of one, by the near
	octetsOut, octetsIn              atomic.Int64
	flows, flowsRefused, flowsBeyond atomic.Int64
	datagramsOut, datagramsIn, lost  atomic.Int64
}

// newNAT makes a stack with an interface and begins to forward. It prints to out what fails. If it cannot, it closes the device.
func newNAT(out io.Writer, ifc smolnet.Interface, s settings) (*nat, error) {
	ifc.DuplicateDetection = core.DetectNone // whoever is at the other end is known
	stack, link, err := device.NewStack(smolnet.Config{}, ifc)
	if err != nil {
		return nil, err
	}
	n := &nat{settings: s, stack: stack, own: ifc.Addresses, slots: make(chan struct{}, s.flows), out: out}
	if n.tcp, err = stack.ForwardTCP(smolnet.ForwardConfig{Link: link}); err == nil {
		n.udp, err = stack.ForwardUDP(smolnet.ForwardConfig{Link: link})
	}
	if err != nil {
		return nil, errors.Join(err, stack.Close())
	}
	n.ctx, n.end = context.WithCancel(context.Background())
	n.goroutines.Go(n.acceptConnections)
	n.goroutines.Go(n.acceptFlows)
	return n, nil
}

// close ends all that is forwarded, and returns once nothing is left of it.
func (n *nat) close() {
	n.end()
	n.stack.Close() // all that is near ends with it, and all that is far with that
	n.goroutines.Wait()
}

// permits reports whether the destination is one to forward to. What is at the stack's own addresses is nowhere else. Loopback
// addresses and those of one link only mean something else to the system: nobody is to reach by them what it keeps to itself.
func (n *nat) permits(to netip.Addr) bool {
	to = to.Unmap()
	own := slices.ContainsFunc(n.own, func(p netip.Prefix) bool { return p.Addr() == to })
	return !own && to.IsGlobalUnicast()
}

var errNotPermitted = errors.New("this is not forwarded to")

// print writes a line about something that goes from one address to another.
func (n *nat) print(from, to net.Addr, format string, values ...any) {
	fmt.Fprintf(n.out, "%s %v > %v: %s\n", to.Network(), from, to, fmt.Sprintf(format, values...))
}

// reason is an error without the addresses, which are known.
func reason(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// summary says what was forwarded.
func (n *nat) summary(out io.Writer) error {
	c := &n.counted
	_, err := fmt.Fprintf(out, "\nTCP: %d connections, %d octets out and %d in; %d refused, %d without an answer, %d given up by the client\n"+
		"UDP: %d flows, %d datagrams out and %d in; %d flows refused, %d beyond the limit, %d datagrams lost\n",
		c.connections.Load(), c.octetsOut.Load(), c.octetsIn.Load(), c.refused.Load(), c.unanswered.Load(), c.abandoned.Load(),
		c.flows.Load(), c.datagramsOut.Load(), c.datagramsIn.Load(), c.flowsRefused.Load(), c.flowsBeyond.Load(), c.lost.Load())
	return err
}
