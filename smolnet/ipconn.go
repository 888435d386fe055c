package smolnet

import (
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/raw"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/internal/inet"
	"github.com/smolnet/smolnet/internal/neterr"
)

// IPConn is a socket for IP packets of one protocol, connected to one peer or not: net.IPConn for a smolnet stack, with its methods but for
// File and SyscallConn, which would need a file descriptor. It implements net.Conn and net.PacketConn.
//
// It gets copies: the stack takes in what it understands as if the socket were not there. As on Linux, what is read from a socket of
// IPv4 begins with the IP header, which ReadFrom and ReadFromIP then leave out, while Read and ReadMsgIP do not. From a socket
// of IPv6 it is what follows the headers. What is written gets a header, and of ICMPv6 a checksum, from the stack; on protocol 255, or after
// SetIncludeHeader, it brings its own.
//
// All methods may be called by several goroutines at once.
type IPConn struct {
	rawSocket
	ip *raw.IP
	v6 bool
}

var (
	_ net.Conn       = (*IPConn)(nil)
	_ net.PacketConn = (*IPConn)(nil)
)

func (c *IPConn) ok() bool { return c != nil && c.rawSocket.ok() }

// Close closes the socket. Calls under way return net.ErrClosed in a *net.OpError, and so does a second Close.
func (c *IPConn) Close() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.close()
}

// LocalAddr returns the local address, a *net.IPAddr that must not be changed.
func (c *IPConn) LocalAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	return c.local
}

// RemoteAddr returns the peer's address, a *net.IPAddr that must not be changed, or nil if the socket is not
// connected.
func (c *IPConn) RemoteAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	return c.remote
}

// Read reads the next packet into b, of IPv4 with its header. What does not fit is lost. If b is empty it returns at once and takes none,
// as package net's does.
func (c *IPConn) Read(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if len(b) == 0 {
		return 0, c.failure("read", "read", c.unclosed())
	}
	n, _, err := c.receive(b)
	return n, c.failure("read", "read", err)
}

// ReadFrom reads the next packet into b, without its header, and returns who sent it, a *net.IPAddr. What does not fit is lost, and the
// header must fit, too.
func (c *IPConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, addr, err := c.ReadFromIP(b)
	if addr == nil {
		return n, nil, err
	}
	return n, addr, err
}

// ReadFromIP is ReadFrom with another type of address.
func (c *IPConn) ReadFromIP(b []byte) (int, *net.IPAddr, error) {
	if !c.ok() {
		return 0, nil, syscall.EINVAL
	}
	n, addr, err := c.receive(b)
	if err != nil {
		return 0, nil, c.failure("read", "recvfrom", err)
	}
	if !c.v6 {
		n = withoutHeader(b, n)
	}
	return n, addr, nil
}

// withoutHeader removes the IPv4 header from b, as package net does it: if b has room for one.
func withoutHeader(b []byte, n int) int {
	if len(b) < wire.IPv4HeaderLen || b[0]>>4 != 4 {
		return n
	}
	length := int(b[0]&0xf) * 4
	if length < wire.IPv4HeaderLen || length > len(b) {
		return n
	}
	copy(b, b[length:])
	return n - length
}

// ReadMsgIP reads the next packet into b, of IPv4 with its header, and returns who sent it. Into oob goes what SetControlMessage has
// asked for, for ControlMessage's Parse. flags has MSG_TRUNC if the packet did not fit, and MSG_CTRUNC if oob was too short.
func (c *IPConn) ReadMsgIP(b, oob []byte) (n, oobn, flags int, addr *net.IPAddr, err error) {
	if !c.ok() {
		return 0, 0, 0, nil, syscall.EINVAL
	}
	p, err := c.next(c.take)
	if err != nil {
		return 0, 0, 0, nil, c.failure("read", "recvmsg", err)
	}
	defer p.Release()
	n = p.CopyTo(b, 0)
	oobn, flags = c.ancillary(p, oob)
	if n < p.Len() {
		flags |= msgTrunc
	}
	return n, oobn, flags, c.ep.stack.shownIP(p.IP.Src, p.IP.Link), nil
}

// ReadPacket reads the next packet into b, whole: with the headers of IPv6, too, which nothing else that a socket has to offer shows. It
// returns how many octets of headers there are, extension headers included, and who sent it. What does not fit is lost. It has no
// counterpart in package net.
func (c *IPConn) ReadPacket(b []byte) (n, headers int, addr *net.IPAddr, err error) {
	if !c.ok() {
		return 0, 0, nil, syscall.EINVAL
	}
	p, err := c.next(func() (p *packet.Packet) {
		p, headers, _ = c.ip.Receive()
		return p
	})
	if err != nil {
		return 0, 0, nil, c.failure("read", "recvmsg", err)
	}
	defer p.Release()
	return p.CopyTo(b, 0), headers, c.ep.stack.shownIP(p.IP.Src, p.IP.Link), nil
}

// receive waits for a packet, copies it to b, as far as it fits, and returns who sent it.
func (c *IPConn) receive(b []byte) (int, *net.IPAddr, error) {
	p, err := c.next(c.take)
	if err != nil {
		return 0, nil, err
	}
	defer p.Release()
	return p.CopyTo(b, 0), c.ep.stack.shownIP(p.IP.Src, p.IP.Link), nil
}

// take returns the next packet as a socket of its family has it, nil if there is none.
func (c *IPConn) take() *packet.Packet {
	p, headers, ok := c.ip.Receive()
	if ok && c.v6 {
		p.TrimFront(headers)
	}
	return p
}

// Write sends b to the peer of a connected socket.
func (c *IPConn) Write(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	err := c.transmit(b, netip.Addr{}, udp.Header{})
	return written(b, err), c.failure("write", "write", err)
}

// WriteTo sends b to addr, a *net.IPAddr.
func (c *IPConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	to, ok := addr.(*net.IPAddr)
	if !ok {
		return 0, c.sendFailure("", addr, syscall.EINVAL)
	}
	return c.WriteToIP(b, to)
}

// WriteToIP sends b to addr.
func (c *IPConn) WriteToIP(b []byte, addr *net.IPAddr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	to, err := c.destination(addr)
	if err == nil {
		err = c.transmit(b, to, udp.Header{})
	}
	return written(b, err), c.sendFailure("sendto", addr, err)
}

// WriteMsgIP sends b to addr. oob, made by ControlMessage's Marshal, says what its IP header is to have instead of what the
// socket's do; it may be empty. The errors are those of UDPConn.WriteMsgUDP.
func (c *IPConn) WriteMsgIP(b, oob []byte, addr *net.IPAddr) (n, oobn int, err error) {
	if !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	to, err := c.destination(addr)
	var header udp.Header
	if err == nil && len(oob) > 0 {
		header, err = headerOf(oob, to, false)
	}
	if err == nil {
		err = c.transmit(b, to, header)
	}
	return written(b, err), written(oob, err), c.sendFailure("sendmsg", addr, err)
}

// destination returns where a packet to addr goes, its zone still in it.
func (c *IPConn) destination(addr *net.IPAddr) (netip.Addr, error) {
	switch {
	case c.connected:
		return netip.Addr{}, net.ErrWriteToConnected
	case addr == nil:
		return netip.Addr{}, neterr.ErrMissingAddress
	}
	family, loopback := byte('4'), inet.IP4
	if c.v6 {
		family, loopback = '6', inet.IP6
	}
	if err := (&sockaddr{ip: addr.IP}).check(family); err != nil {
		return netip.Addr{}, err
	}
	to := plain(inet.IP, addr).Addr()
	switch {
	case !to.IsValid() || to.IsUnspecified():
		return itself(loopback, netip.Addr{}, netip.Addr{}), nil
	case c.v6 && to.Is4():
		return netip.Addr{}, ip.ErrNetworkUnreachable
	}
	return to, nil
}

// transmit sends b; to is for unconnected sockets alone.
func (c *IPConn) transmit(b []byte, to netip.Addr, header udp.Header) error {
	return c.send(b, func(p *packet.Packet) error {
		var h raw.Header
		err := error(neterr.ErrNoDestination)
		if c.connected || to.IsValid() {
			to, h, err = c.headed(to, header)
		}
		if err != nil {
			p.Release()
			return err
		}
		return c.ip.Send(time.Now(), p, to, h)
	})
}
