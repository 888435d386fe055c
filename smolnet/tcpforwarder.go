package smolnet

import (
	"net"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/internal/neterr"
)

// TCPForwarder takes the connections that peers behind one interface open to any address and port. What a connection's peer
// meant to reach is its LocalAddr.
//
// As a net.Listener it takes them all: http.Serve of a TCPForwarder is a transparent proxy. AcceptRequest instead tells of each
// before it is answered, so that a peer is connected only once the far side is, and is refused if it is not. However long one
// request takes, it holds up no other. All methods may be called by several goroutines at once; what Accept and AcceptRequest
// return is each returned once, by either.
type TCPForwarder struct {
	ep  endpoint
	tcp *tcp.Forwarder
}

var _ net.Listener = (*TCPForwarder)(nil)

func (f *TCPForwarder) ok() bool { return f != nil && f.ep.stack != nil }

// Accept answers every SYN that comes, waits for the next connection to be established and returns it, a *TCPConn.
func (f *TCPForwarder) Accept() (net.Conn, error) {
	c, err := f.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptTCP is Accept with another type.
func (f *TCPForwarder) AcceptTCP() (*TCPConn, error) {
	if !f.ok() {
		return nil, syscall.EINVAL
	}
	c, err := f.accept()
	return c, f.failure("accept", err)
}

func (f *TCPForwarder) accept() (*TCPConn, error) {
	f.ep.read.enter()
	defer f.ep.read.leave()
	s := f.ep.stack
	s.mu.Lock()
	for {
		if err := f.ep.unusable(&f.ep.read); err != nil {
			s.unlock()
			return nil, err
		}
		if accepted := f.tcp.Accept(); accepted != nil {
			c := &TCPConn{ep: endpoint{stack: s, network: f.ep.network}, tcp: accepted}
			accepted.SetOwner(&c.ep)
			s.unlock()
			return c, nil
		}
		if f.answer() {
			s.release()
			s.mu.Lock()
			continue
		}
		f.ep.wait(&f.ep.read)
	}
}

// answer has every request that nobody has seen become a connection to be accepted. It reports whether there was one.
func (f *TCPForwarder) answer() bool {
	r := f.tcp.Next()
	if r == nil {
		return false
	}
	for ; r != nil; r = f.tcp.Next() {
		r.Answer(time.Now(), nil) // if there is no way back there is nobody to tell
	}
	return true
}

// AcceptRequest waits for the next SYN and returns what it asks for. The peer waits until the request is decided on.
func (f *TCPForwarder) AcceptRequest() (*TCPRequest, error) {
	if !f.ok() {
		return nil, syscall.EINVAL
	}
	r, err := f.acceptRequest()
	return r, f.failure("accept", err)
}

func (f *TCPForwarder) acceptRequest() (*TCPRequest, error) {
	f.ep.read.enter()
	defer f.ep.read.leave()
	s := f.ep.stack
	s.mu.Lock()
	defer s.unlock()
	for {
		if err := f.ep.unusable(&f.ep.read); err != nil {
			return nil, err
		}
		if r := f.tcp.Next(); r != nil {
			return &TCPRequest{stack: s, tcp: r, link: f.tcp.Link()}, nil
		}
		f.ep.wait(&f.ep.read)
	}
}

// Close ends the taking of connections. Calls under way return net.ErrClosed in a *net.OpError, and so does a second Close. Peers
// whose requests are not decided on are reset, as are connections that nobody has accepted. Those that were live on.
func (f *TCPForwarder) Close() error {
	if !f.ok() {
		return syscall.EINVAL
	}
	s := f.ep.stack
	s.mu.Lock()
	if f.ep.closed {
		s.unlock()
		return f.failure("close", net.ErrClosed)
	}
	f.ep.close()
	f.tcp.Close(time.Now())
	s.release()
	return nil
}

// Addr returns a *net.TCPAddr that stands for any address and port.
func (f *TCPForwarder) Addr() net.Addr {
	if !f.ok() {
		return nil
	}
	return &net.TCPAddr{IP: net.IPv6unspecified}
}

// SetDeadline sets when Accept and AcceptRequest fail, one under way included, with an error that is os.ErrDeadlineExceeded.
// Zero: never.
func (f *TCPForwarder) SetDeadline(t time.Time) error {
	if !f.ok() {
		return syscall.EINVAL
	}
	return f.failure("set", f.ep.setDeadlines(t, &f.ep.read))
}

func (f *TCPForwarder) failure(op string, err error) error {
	return neterr.Op(op, op, f.ep.network.String(), nil, f.Addr(), err)
}
