package main

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/smolnet/smolnet/smolnet"
)

// acceptConnections takes every connection that somebody wants. Each is on its own: one whose destination does not answer holds up
// no other. Those that are not established are bounded by the forwarder, and so are the goroutines.
func (n *nat) acceptConnections() {
	for {
		request, err := n.tcp.AcceptRequest()
		if err != nil {
			return // it was closed
		}
		n.goroutines.Go(func() { n.connect(request) })
	}
}

// connect reaches the far side, then answers the near one, and forwards between them.
func (n *nat) connect(request *smolnet.TCPRequest) {
	from, to := request.RemoteAddr(), request.LocalAddr()
	far, err := n.dial(request.Context(), to.(*net.TCPAddr)) // for as long as the client waits
	if err != nil {
		n.decline(request, err)
		return
	}
	near, err := request.Accept(n.ctx)
	if err != nil {
		n.counted.abandoned.Add(1)
		abort(far)
		n.print(from, to, "the client has given up: %v", reason(err))
		return
	}
	n.counted.connections.Add(1)
	start := time.Now()
	out, in, err := relay(near, far)
	n.counted.octetsOut.Add(out)
	n.counted.octetsIn.Add(in)
	switch {
	case err != nil && n.ctx.Err() == nil:
		n.print(from, to, "%d octets out, %d in, %v; %v", out, in, time.Since(start).Round(time.Millisecond), reason(err))
	case n.verbose:
		n.print(from, to, "%d octets out, %d in, %v", out, in, time.Since(start).Round(time.Millisecond))
	}
}

func (n *nat) dial(ctx context.Context, to *net.TCPAddr) (*net.TCPConn, error) {
	if !n.permits(to.AddrPort().Addr()) {
		return nil, errNotPermitted
	}
	dialer := net.Dialer{Timeout: n.timeout}
	c, err := dialer.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// decline tells the near side what became of dialing: nothing where there was no answer, as then it goes on asking, and gives up
// when it likes; else that it is refused, for the sooner it knows the better. (A router would tell an unreachable host from a
// refused connection, by ICMP.)
func (n *nat) decline(request *smolnet.TCPRequest, err error) {
	failure, ok := errors.AsType[net.Error](err)
	switch {
	case n.ctx.Err() != nil:
		return // closing the stack has declined it
	case request.Context().Err() != nil:
		n.counted.abandoned.Add(1)
		err = context.Cause(request.Context())
	case ok && failure.Timeout():
		n.counted.unanswered.Add(1)
		request.Ignore()
	default:
		n.counted.refused.Add(1)
		request.Reject()
	}
	n.print(request.RemoteAddr(), request.LocalAddr(), "%v", reason(err))
}

// stream is what a smolnet.TCPConn and a net.TCPConn are alike.
type stream interface {
	net.Conn
	CloseWrite() error
	SetLinger(seconds int) error
}

// relay passes on what comes from either side, and closes both when that has ended. It returns how many octets it was and, if one
// side has failed, why.
func relay(near, far stream) (out, in int64, err error) {
	back := make(chan error, 1)
	go func() {
		var err error
		in, err = pass(near, far)
		back <- err
	}()
	out, err = pass(far, near)
	err = first(err, <-back)
	near.Close()
	far.Close()
	return out, in, err
}

// pass copies what comes from src to dst until it ends, and then ends that. If either fails it resets both, so that whoever is
// there knows as much, and whoever copies the other way returns.
func pass(dst, src stream) (octets int64, err error) {
	octets, err = io.Copy(dst, src)
	if err == nil {
		err = dst.CloseWrite()
	}
	if err != nil {
		abort(dst)
		abort(src)
	}
	return octets, err
}

// abort resets a connection.
func abort(c stream) {
	c.SetLinger(0)
	c.Close()
}

// first is the error that came first: after that the connections are closed.
func first(a, b error) error {
	if a == nil || b != nil && errors.Is(a, net.ErrClosed) {
		return b
	}
	return a
}
