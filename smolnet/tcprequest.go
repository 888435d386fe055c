package smolnet

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/internal/inet"
	"github.com/smolnet/smolnet/internal/neterr"
)

// TCPRequest is a connection that somebody wants to open through a TCPForwarder. One call of Accept, Reject or Ignore decides
// on it; after that they return net.ErrClosed in a *net.OpError, as they do once the forwarder or the stack was closed. If the
// peer has given up, or nobody has decided in ForwardConfig.Timeout, the error is syscall.ECONNRESET or syscall.ETIMEDOUT.
type TCPRequest struct {
	stack   *Stack
	tcp     *tcp.Request
	link    int32
	decided bool // guarded by the stack's mutex, as is what follows

	ctx context.Context // made when first asked for
	end context.CancelCauseFunc
}

func (r *TCPRequest) ok() bool { return r != nil && r.stack != nil }

// LocalAddr returns what the peer wants to connect to, a *net.TCPAddr.
func (r *TCPRequest) LocalAddr() net.Addr {
	if !r.ok() {
		return nil
	}
	return r.addr(r.tcp.LocalAddr())
}

// RemoteAddr returns the peer's address, a *net.TCPAddr.
func (r *TCPRequest) RemoteAddr() net.Addr {
	if !r.ok() {
		return nil
	}
	return r.addr(r.tcp.RemoteAddr())
}

func (r *TCPRequest) addr(addr netip.AddrPort) net.Addr {
	return net.TCPAddrFromAddrPort(r.stack.shown(addr, r.link, false))
}

// Context returns a context that lasts as long as there is use in reaching the far side: it ends when the peer resets the request,
// when nobody has decided on it in time, when the forwarder or the stack is closed, and when Accept, Reject or Ignore returns.
// context.Cause then is what those would fail with, syscall.ECONNRESET for instance, or context.Canceled after the latter.
func (r *TCPRequest) Context() context.Context {
	if !r.ok() {
		return context.Background()
	}
	s := r.stack
	s.mu.Lock()
	defer s.unlock()
	if r.ctx == nil {
		r.ctx, r.end = context.WithCancelCause(context.Background())
		if r.decided || !r.tcp.Held() {
			r.end(neterr.Map("accept", r.tcp.Err()))
		} else {
			r.tcp.SetOwner((*requestWatch)(r))
		}
	}
	return r.ctx
}

// requestWatch is a TCPRequest as core knows it.
type requestWatch TCPRequest

// Notify learns that the request has come to nothing. The mutex is held: ending a context calls nobody.
func (w *requestWatch) Notify(ip.Event) { w.end(neterr.Map("accept", w.tcp.Err())) }

// over ends the context once the request is decided on.
func (r *TCPRequest) over() {
	r.stack.mu.Lock()
	defer r.stack.unlock()
	if r.end != nil && r.decided {
		r.end(nil)
	}
}

// Accept answers the peer, waits until the connection is established and returns it. If ctx ends before that, or the peer
// resets or does not answer, the attempt is over and Accept returns why; if ctx has ended already nothing is decided.
func (r *TCPRequest) Accept(ctx context.Context) (*TCPConn, error) {
	if !r.ok() {
		return nil, syscall.EINVAL
	}
	defer r.over()
	c, err := r.accept(ctx)
	return c, r.failure("accept", err)
}

func (r *TCPRequest) accept(ctx context.Context) (*TCPConn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := &TCPConn{ep: endpoint{stack: r.stack, network: inet.TCP}}
	err := r.decide(func() error { return r.tcp.Answer(time.Now(), &c.ep) })
	if err != nil {
		return nil, err
	}
	if err := r.established(ctx, c); err != nil {
		return nil, err
	}
	return c, nil
}

// established waits for the end of the handshake, and makes c the connection.
func (r *TCPRequest) established(ctx context.Context, c *TCPConn) error {
	s := r.stack
	s.mu.Lock()
	for {
		if c.tcp = r.tcp.Conn(); c.tcp != nil {
			c.ep.write.wake = nil // a Write may never have to wait
			s.unlock()
			return nil
		}
		err := r.tcp.Err()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			c.ep.close()
			r.tcp.Cancel(time.Now())
			s.release()
			return err
		}
		wake := c.ep.write.prepare()
		s.unlock()
		select {
		case <-wake:
		case <-ctx.Done():
		}
		s.mu.Lock()
	}
}

// Reject refuses the connection, as a host does where nothing listens: the peer's dial fails with syscall.ECONNREFUSED.
func (r *TCPRequest) Reject() error {
	if !r.ok() {
		return syscall.EINVAL
	}
	defer r.over()
	return r.failure("reject", r.decide(func() error { return r.tcp.Refuse(time.Now()) }))
}

// Ignore forgets the request without an answer, as a host does that is not there. If the peer sends its SYN again that is a new
// request.
func (r *TCPRequest) Ignore() error {
	if !r.ok() {
		return syscall.EINVAL
	}
	defer r.over()
	return r.failure("ignore", r.decide(r.tcp.Ignore))
}

// decide calls do, which decides on the request, once.
func (r *TCPRequest) decide(do func() error) error {
	s := r.stack
	s.mu.Lock()
	defer s.release()
	if r.decided || s.closed {
		return net.ErrClosed
	}
	r.decided = true
	return do()
}

func (r *TCPRequest) failure(op string, err error) error {
	if err == nil {
		return nil
	}
	return neterr.Op(op, op, inet.TCP.String(), r.RemoteAddr(), r.LocalAddr(), err)
}
