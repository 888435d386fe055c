package smolnet

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
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

	local, remote atomic.Pointer[net.UDPAddr] // made when first asked for
}

var (
	_ net.Conn       = (*UDPConn)(nil)
	_ net.PacketConn = (*UDPConn)(nil)
)

func (c *UDPConn) ok() bool { return c != nil && c.ep.stack != nil }

// datagram is what is known of a datagram received.
type datagram struct {
	n         int // octets copied
	from      netip.AddrPort
	truncated bool
}

// receive waits for a datagram and copies it to b, as far as it fits.
func (c *UDPConn) receive(b []byte) (d datagram, err error) {
	p, from, err := c.next()
	if err != nil {
		return d, err
	}
	d.n = p.CopyTo(b, 0)
	d.truncated = d.n < p.Len()
	d.from = c.ep.stack.shown(from, p.IP.Link, c.ep.mapped)
	p.Release()
	return d, nil
}

// next waits for a datagram.
func (c *UDPConn) next() (*packet.Packet, netip.AddrPort, error) {
	c.ep.read.enter()
	defer c.ep.read.leave()
	s := c.ep.stack
	s.mu.Lock()
	defer s.unlock()
	for {
		switch {
		case !c.ep.open():
			return nil, netip.AddrPort{}, net.ErrClosed
		case c.ep.read.passed():
			return nil, netip.AddrPort{}, os.ErrDeadlineExceeded
		}
		if err := c.udp.Err(); err != nil {
			return nil, netip.AddrPort{}, err
		}
		if p, from, ok := c.udp.Receive(); ok {
			return p, from, nil
		}
		c.ep.wait(&c.ep.read)
	}
}

// maxPayload is more than any datagram can hold.
const maxPayload = 65535

// send sends b; to is for unconnected sockets alone. The zone of a link-local address is still in it.
func (c *UDPConn) send(b []byte, to netip.AddrPort) error {
	if len(b) > maxPayload {
		return ip.ErrMessageTooLong
	}
	p := packet.New(len(b))
	copy(p.Append(len(b)), b)
	c.ep.write.enter()
	defer c.ep.write.leave()
	s := c.ep.stack
	s.mu.Lock()
	defer s.release()
	var link int32
	if to.IsValid() {
		addr, index, err := s.unzoned(to.Addr())
		if err != nil {
			p.Release()
			return err
		}
		to, link = netip.AddrPortFrom(addr, to.Port()), index
	}
	for {
		err := c.writable()
		if err != nil {
			p.Release()
			return err
		}
		err = c.udp.Send(time.Now(), p, to, link)
		if !errors.Is(err, udp.ErrWouldBlock) {
			return err
		}
		c.ep.wait(&c.ep.write)
	}
}

func (c *UDPConn) writable() error {
	switch {
	case !c.ep.open():
		return net.ErrClosed
	case c.ep.write.passed():
		return os.ErrDeadlineExceeded
	}
	return c.udp.Err()
}

// Read reads the next datagram into b. What does not fit is lost.
func (c *UDPConn) Read(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	d, err := c.receive(b)
	return d.n, c.failure("read", "read", err)
}

// ReadFrom reads the next datagram into b and returns who sent it, a *net.UDPAddr. What does not fit is lost.
func (c *UDPConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, addr, err := c.readFromUDP(b, &net.UDPAddr{})
	if addr == nil {
		return n, nil, err
	}
	return n, addr, err
}

// ReadFromUDP reads the next datagram into b and returns who sent it. What does not fit is lost.
func (c *UDPConn) ReadFromUDP(b []byte) (int, *net.UDPAddr, error) {
	// This is inlined into the caller, so that an address that does not outlive it costs no allocation.
	return c.readFromUDP(b, &net.UDPAddr{})
}

func (c *UDPConn) readFromUDP(b []byte, addr *net.UDPAddr) (int, *net.UDPAddr, error) {
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		return n, nil, err
	}
	*addr = *net.UDPAddrFromAddrPort(from)
	return n, addr, nil
}

// ReadFromUDPAddrPort reads the next datagram into b and returns who sent it. What does not fit is lost.
//
// On a socket for both families, IPv4 addresses are in IPv4-mapped form, as package net has them there.
func (c *UDPConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	if !c.ok() {
		return 0, netip.AddrPort{}, syscall.EINVAL
	}
	d, err := c.receive(b)
	return d.n, d.from, c.failure("read", "recvfrom", err)
}

// ReadMsgUDP reads the next datagram into b and returns who sent it. Nothing is written to oob. flags has MSG_TRUNC
// if the datagram did not fit.
func (c *UDPConn) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	n, oobn, flags, from, err := c.ReadMsgUDPAddrPort(b, oob)
	if from.IsValid() {
		addr = net.UDPAddrFromAddrPort(from)
	}
	return n, oobn, flags, addr, err
}

// ReadMsgUDPAddrPort is ReadMsgUDP with another form of address.
func (c *UDPConn) ReadMsgUDPAddrPort(b, _ []byte) (n, oobn, flags int, addr netip.AddrPort, err error) {
	if !c.ok() {
		return 0, 0, 0, netip.AddrPort{}, syscall.EINVAL
	}
	d, err := c.receive(b)
	if d.truncated {
		flags = msgTrunc
	}
	return d.n, 0, flags, d.from, c.failure("read", "recvmsg", err)
}

// Write sends b as a datagram to the peer of a connected socket.
func (c *UDPConn) Write(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	var err error = neterr.ErrNoDestination
	if c.connected {
		err = c.send(b, netip.AddrPort{})
	}
	return written(b, err), c.failure("write", "write", err)
}

// WriteTo sends b as a datagram to addr, a *net.UDPAddr.
func (c *UDPConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	to, ok := addr.(*net.UDPAddr)
	if !ok {
		return 0, neterr.Op("write", "", c.ep.network.String(), c.LocalAddr(), addr, syscall.EINVAL)
	}
	return c.WriteToUDP(b, to)
}

// WriteToUDP sends b as a datagram to addr.
func (c *UDPConn) WriteToUDP(b []byte, addr *net.UDPAddr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	err := c.sendTo(b, addr.AddrPort(), addr != nil)
	return written(b, err), c.sendFailure("sendto", addr, err)
}

// WriteToUDPAddrPort sends b as a datagram to addr.
func (c *UDPConn) WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	err := c.sendTo(b, addr, addr.IsValid())
	if err != nil {
		err = c.sendFailure("sendto", net.UDPAddrFromAddrPort(addr), err)
	}
	return written(b, err), err
}

// WriteMsgUDP sends b as a datagram: to addr, or if the socket is connected, and addr nil, to its peer. There is no
// out-of-band data: oob must be empty.
func (c *UDPConn) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	if !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	err = c.sendMsg(b, oob, addr.AddrPort(), addr != nil)
	return written(b, err), 0, c.sendFailure("sendmsg", addr, err)
}

// WriteMsgUDPAddrPort is WriteMsgUDP with another form of address.
func (c *UDPConn) WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error) {
	if !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	if err = c.sendMsg(b, oob, addr, addr.IsValid()); err != nil {
		err = c.sendFailure("sendmsg", net.UDPAddrFromAddrPort(addr), err)
	}
	return written(b, err), 0, err
}

func (c *UDPConn) sendMsg(b, oob []byte, addr netip.AddrPort, given bool) error {
	switch {
	case len(oob) > 0:
		return ip.ErrInvalid
	case c.connected && !given:
		return c.send(b, netip.AddrPort{})
	}
	return c.sendTo(b, addr, given)
}

// sendTo sends b to an address that is given with the call.
func (c *UDPConn) sendTo(b []byte, addr netip.AddrPort, given bool) error {
	switch {
	case c.connected:
		return net.ErrWriteToConnected
	case !given:
		return neterr.ErrMissingAddress
	}
	to := addr.Addr().Unmap()
	if !to.IsValid() || to.IsUnspecified() {
		to = c.ep.network.itself(netip.Addr{}, to)
	}
	if !c.ep.mapped && to.Is6() {
		return &net.AddrError{Err: "non-IPv4 address", Addr: addr.Addr().String()}
	}
	return c.send(b, netip.AddrPortFrom(to, addr.Port()))
}

func written(b []byte, err error) int {
	if err != nil {
		return 0
	}
	return len(b)
}

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

// SetDeadline sets the read and the write deadline: see net.Conn.
func (c *UDPConn) SetDeadline(t time.Time) error {
	return c.set(func() error { return c.ep.setDeadlines(t, &c.ep.read, &c.ep.write) })
}

// SetReadDeadline sets when Reads fail, one under way included, with an error that is os.ErrDeadlineExceeded. Zero:
// never.
func (c *UDPConn) SetReadDeadline(t time.Time) error {
	return c.set(func() error { return c.ep.setDeadlines(t, &c.ep.read) })
}

// SetWriteDeadline sets when Writes fail, one under way included, with an error that is os.ErrDeadlineExceeded. Zero:
// never.
func (c *UDPConn) SetWriteDeadline(t time.Time) error {
	return c.set(func() error { return c.ep.setDeadlines(t, &c.ep.write) })
}

// SetReadBuffer sets how much memory, in octets, datagrams that wait to be read may take. Those beyond are dropped.
func (c *UDPConn) SetReadBuffer(bytes int) error {
	return c.setBuffer(bytes, (*udp.Endpoint).SetReceiveBuffer)
}

// SetWriteBuffer sets how much memory, in octets, datagrams that wait to be sent may take. Writers wait for room.
func (c *UDPConn) SetWriteBuffer(bytes int) error {
	return c.setBuffer(bytes, (*udp.Endpoint).SetSendBuffer)
}

func (c *UDPConn) setBuffer(bytes int, set func(*udp.Endpoint, int) error) error {
	return c.set(func() error {
		s := c.ep.stack
		s.mu.Lock()
		defer s.unlock()
		if !c.ep.open() {
			return net.ErrClosed
		}
		return set(c.udp, bytes)
	})
}

func (c *UDPConn) set(do func() error) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return neterr.Op("set", "setsockopt", c.ep.network.String(), nil, c.LocalAddr(), do())
}

// failure puts err into a *net.OpError of this socket's.
func (c *UDPConn) failure(op, call string, err error) error {
	if err == nil {
		return nil
	}
	return neterr.Op(op, call, c.ep.network.String(), c.LocalAddr(), c.RemoteAddr(), err)
}

// sendFailure puts err into a *net.OpError about a datagram to addr.
func (c *UDPConn) sendFailure(call string, addr *net.UDPAddr, err error) error {
	if err == nil {
		return nil
	}
	return neterr.Op("write", call, c.ep.network.String(), c.LocalAddr(), addr, err)
}
