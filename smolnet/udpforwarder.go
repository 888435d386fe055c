package smolnet

import (
	"net"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/internal/neterr"
)

// UDPForwarder takes the datagrams that peers behind one interface send to any address and port, as flows: each is what goes
// from one address and port to another, and is a UDPConn that is connected to the sender and whose LocalAddr is what the
// sender meant to reach. All methods may be called by several goroutines at once.
type UDPForwarder struct {
	ep  endpoint
	udp *udp.Forwarder
}

var _ net.Listener = (*UDPForwarder)(nil)

func (f *UDPForwarder) ok() bool { return f != nil && f.ep.stack != nil }

// Accept waits for the first datagram of a flow and returns the flow, a *UDPConn, from which to read that datagram and those
// that follow. The flow lasts until it is closed: a datagram that comes later begins another.
func (f *UDPForwarder) Accept() (net.Conn, error) {
	c, err := f.AcceptUDP()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptUDP is Accept with another type.
func (f *UDPForwarder) AcceptUDP() (*UDPConn, error) {
	if !f.ok() {
		return nil, syscall.EINVAL
	}
	c, err := f.accept()
	return c, f.failure("accept", err)
}

func (f *UDPForwarder) accept() (*UDPConn, error) {
	f.ep.read.enter()
	defer f.ep.read.leave()
	s := f.ep.stack
	s.mu.Lock()
	defer s.unlock()
	for {
		if err := f.ep.unusable(&f.ep.read); err != nil {
			return nil, err
		}
		if flow := f.udp.Accept(); flow != nil {
			c := &UDPConn{ep: endpoint{stack: s, network: f.ep.network}, udp: flow, connected: true}
			flow.SetOwner(&c.ep)
			return c, nil
		}
		f.ep.wait(&f.ep.read)
	}
}

// Close ends the taking of flows. Calls under way return net.ErrClosed in a *net.OpError, and so does a second Close. Flows that
// nobody has accepted are closed, those that were live on.
func (f *UDPForwarder) Close() error {
	if !f.ok() {
		return syscall.EINVAL
	}
	s := f.ep.stack
	s.mu.Lock()
	defer s.unlock()
	if f.ep.closed {
		return f.failure("close", net.ErrClosed)
	}
	f.ep.close()
	f.udp.Close()
	return nil
}

// Addr returns a *net.UDPAddr that stands for any address and port.
func (f *UDPForwarder) Addr() net.Addr {
	if !f.ok() {
		return nil
	}
	return &net.UDPAddr{IP: net.IPv6unspecified}
}

// SetDeadline sets when Accept fails, one under way included, with an error that is os.ErrDeadlineExceeded. Zero: never.
func (f *UDPForwarder) SetDeadline(t time.Time) error {
	if !f.ok() {
		return syscall.EINVAL
	}
	return f.failure("set", f.ep.setDeadlines(t, &f.ep.read))
}

func (f *UDPForwarder) failure(op string, err error) error {
	return neterr.Op(op, op, f.ep.network.String(), nil, f.Addr(), err)
}

// Reject closes a flow of a UDPForwarder's and tells its sender, by an ICMP error, that nobody is at the port: a Read or Write of
// the sender's socket fails with syscall.ECONNREFUSED if it is connected. How many such errors a stack sends is bounded by
// core.Limits.ICMPErrorRate. For a socket that is no flow the error is syscall.EINVAL, and it stays open.
func (c *UDPConn) Reject() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	s := c.ep.stack
	s.mu.Lock()
	var err error
	switch {
	case !c.ep.open():
		err = net.ErrClosed
	case !c.udp.Reject(time.Now()):
		err = ip.ErrInvalid
	default:
		c.ep.close()
	}
	s.release()
	return c.failure("reject", "reject", err)
}
