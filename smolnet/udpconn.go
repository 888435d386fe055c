package smolnet

import (
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/internal/neterr"
)

// UDPConn is a UDP socket, connected to one peer or not: net.UDPConn for a smolnet stack, with its methods but for File
// and SyscallConn, which would need a file descriptor. It implements net.Conn and net.PacketConn.
//
// All methods may be called by several goroutines at once.
type UDPConn struct {
	ep        endpoint
	udp       *udp.Endpoint
	connected bool
	control   atomic.Uint32 // ControlFlags: what ReadMsgUDP tells

	local, remote atomic.Pointer[net.UDPAddr] // made when first asked for
}

var (
	_ net.Conn       = (*UDPConn)(nil)
	_ net.PacketConn = (*UDPConn)(nil)
)

func (c *UDPConn) ok() bool { return c != nil && c.ep.stack != nil }

// Close closes the socket. Calls under way return net.ErrClosed in a *net.OpError, and so does a second Close.
func (c *UDPConn) Close() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	s := c.ep.stack
	s.mu.Lock()
	if c.ep.closed {
		s.unlock()
		return c.failure("close", "close", net.ErrClosed)
	}
	c.ep.close()
	c.udp.LeaveGroups(time.Now())
	c.udp.Close()
	s.release()
	return nil
}

// LocalAddr returns the local address, a *net.UDPAddr that must not be changed.
func (c *UDPConn) LocalAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	return c.addr(&c.local, c.udp.LocalAddr())
}

// RemoteAddr returns the peer's address, a *net.UDPAddr that must not be changed, or nil if the socket is not
// connected.
func (c *UDPConn) RemoteAddr() net.Addr {
	if !c.ok() || !c.connected {
		return nil
	}
	return c.addr(&c.remote, c.udp.RemoteAddr())
}

func (c *UDPConn) addr(made *atomic.Pointer[net.UDPAddr], of netip.AddrPort) net.Addr {
	if addr := made.Load(); addr != nil {
		return addr
	}
	addr := net.UDPAddrFromAddrPort(c.ep.stack.shown(of, c.udp.Link(), c.ep.mapped))
	if !made.CompareAndSwap(nil, addr) {
		addr = made.Load()
	}
	return addr
}

// unclosed returns net.ErrClosed if the socket is closed.
func (c *UDPConn) unclosed() error {
	c.ep.stack.mu.Lock()
	defer c.ep.stack.mu.Unlock()
	if !c.ep.open() {
		return net.ErrClosed
	}
	return nil
}

// failure puts err into a *net.OpError of this socket's.
func (c *UDPConn) failure(op, call string, err error) error {
	if err == nil {
		return nil
	}
	return neterr.Op(op, call, c.ep.network.String(), c.LocalAddr(), c.RemoteAddr(), err)
}

// sendFailure puts err into a *net.OpError about a datagram to addr.
func (c *UDPConn) sendFailure(call string, addr net.Addr, err error) error {
	if err == nil {
		return nil
	}
	return neterr.Op("write", call, c.ep.network.String(), c.LocalAddr(), addr, err)
}

// addrPort is a netip.AddrPort in an error. Package net, too, keeps the type to itself.
type addrPort struct{ netip.AddrPort }

func (addrPort) Network() string { return "udp" }
