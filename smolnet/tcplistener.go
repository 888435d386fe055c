package smolnet

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/internal/neterr"
)

// TCPListener listens for TCP connections: net.TCPListener for a smolnet stack, with its methods but for File and
// SyscallConn. All methods may be called by several goroutines at once.
type TCPListener struct {
	ep   endpoint
	tcp  *tcp.Listener
	link int32 // whose link-local address it is; else 0

	addr atomic.Pointer[net.TCPAddr] // made when first asked for
}

var _ net.Listener = (*TCPListener)(nil)

func (l *TCPListener) ok() bool { return l != nil && l.ep.stack != nil }

// Accept waits for the next connection and returns it, a *TCPConn.
func (l *TCPListener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptTCP waits for the next connection and returns it.
func (l *TCPListener) AcceptTCP() (*TCPConn, error) {
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	c, err := l.accept()
	return c, l.failure("accept", err)
}

func (l *TCPListener) accept() (*TCPConn, error) {
	l.ep.read.enter()
	defer l.ep.read.leave()
	s := l.ep.stack
	s.mu.Lock()
	defer s.unlock()
	for {
		if err := l.ep.unusable(&l.ep.read); err != nil {
			return nil, err
		}
		if accepted := l.tcp.Accept(); accepted != nil {
			c := &TCPConn{ep: endpoint{stack: s, network: l.ep.network, mapped: l.ep.mapped}, tcp: accepted}
			accepted.SetOwner(&c.ep)
			return c, nil
		}
		l.ep.wait(&l.ep.read)
	}
}

// Close ends listening. Calls under way return net.ErrClosed in a *net.OpError, and so does a second Close. Connections
// that were accepted live on, those that wait to be are reset.
func (l *TCPListener) Close() error {
	if !l.ok() {
		return syscall.EINVAL
	}
	s := l.ep.stack
	s.mu.Lock()
	if l.ep.closed {
		s.unlock()
		return l.failure("close", net.ErrClosed)
	}
	l.ep.close()
	l.tcp.Close(time.Now())
	s.release()
	return nil
}

// Addr returns the address listened on, a *net.TCPAddr that must not be changed.
func (l *TCPListener) Addr() net.Addr {
	if !l.ok() {
		return nil
	}
	if addr := l.addr.Load(); addr != nil {
		return addr
	}
	addr := net.TCPAddrFromAddrPort(l.ep.stack.shown(l.tcp.Addr(), l.link, false))
	if !l.addr.CompareAndSwap(nil, addr) {
		addr = l.addr.Load()
	}
	return addr
}

// SetDeadline sets when Accepts fail, one under way included, with an error that is os.ErrDeadlineExceeded. Zero:
// never. After Close the error is net.ErrClosed, bare, as package net has it here.
func (l *TCPListener) SetDeadline(t time.Time) error {
	if !l.ok() {
		return syscall.EINVAL
	}
	return l.ep.setDeadlines(t, &l.ep.read)
}

func (l *TCPListener) failure(op string, err error) error {
	return neterr.Op(op, op, l.ep.network.String(), nil, l.Addr(), err)
}
