package smolnet

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/internal/neterr"
)

// Write sends b as a datagram to the peer of a connected socket.
func (c *UDPConn) Write(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	err := c.send(b, netip.AddrPort{}, nil)
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
	err := c.checkTo(addr)
	if err == nil {
		err = c.sendTo(b, addr.AddrPort(), addr != nil)
	}
	return written(b, err), c.sendFailure("sendto", addr, err)
}

// WriteToUDPAddrPort sends b as a datagram to addr.
func (c *UDPConn) WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	err := c.sendTo(b, addr, addr.IsValid())
	if err != nil {
		err = c.sendFailure("sendto", addrPort{addr}, err)
	}
	return written(b, err), err
}

// WriteMsgUDP sends b as a datagram: to addr, or if the socket is connected, and addr nil, to its peer. oob, made by ControlMessage's
// Marshal, says what its IP header is to have instead of what the socket's do; it may be empty. The errors
// are Linux's, each in a *net.OpError: syscall.EINVAL if it is malformed or its values out of range; EINVAL too, but ENETUNREACH
// for IPv4, if the address to send from is not the stack's own; ENODEV if there is no such interface.
func (c *UDPConn) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	if !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	if err = c.checkTo(addr); err == nil {
		err = c.sendMsg(b, oob, addr.AddrPort(), addr != nil)
	}
	return written(b, err), written(oob, err), c.sendFailure("sendmsg", addr, err)
}

// WriteMsgUDPAddrPort is WriteMsgUDP with another form of address.
func (c *UDPConn) WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error) {
	if !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	if err = c.sendMsg(b, oob, addr, addr.IsValid()); err != nil {
		err = c.sendFailure("sendmsg", addrPort{addr}, err)
	}
	return written(b, err), written(oob, err), err
}

// sendMsg sends b with what oob asks for.
func (c *UDPConn) sendMsg(b, oob []byte, addr netip.AddrPort, given bool) error {
	to, err := netip.AddrPort{}, error(nil)
	if !c.connected || given {
		if to, err = c.destination(addr, given); err != nil {
			return err
		}
	}
	if len(oob) == 0 {
		return c.send(b, to, nil)
	}
	dst := to.Addr()
	if !dst.IsValid() {
		dst = c.udp.RemoteAddr().Addr()
	}
	header, err := headerOf(oob, dst, c.ep.mapped)
	if err != nil {
		return err
	}
	return c.send(b, to, &header)
}

// sendTo sends b to an address that is given with the call.
func (c *UDPConn) sendTo(b []byte, addr netip.AddrPort, given bool) error {
	to, err := c.destination(addr, given)
	if err != nil {
		return err
	}
	return c.send(b, to, nil)
}

// checkTo returns what is wrong with an address, unless that does not matter because it is not to be used.
func (c *UDPConn) checkTo(addr *net.UDPAddr) error {
	if addr == nil || c.connected {
		return nil
	}
	family := byte('4')
	if c.ep.mapped {
		family = '6'
	}
	return (&sockaddr{ip: addr.IP, port: addr.Port}).check(family)
}

// destination returns where a datagram to addr goes, its zone still in it.
func (c *UDPConn) destination(addr netip.AddrPort, given bool) (netip.AddrPort, error) {
	switch {
	case c.connected:
		return netip.AddrPort{}, net.ErrWriteToConnected
	case !given:
		return netip.AddrPort{}, neterr.ErrMissingAddress
	}
	to := addr.Addr().Unmap()
	if !to.IsValid() || to.IsUnspecified() {
		to = itself(c.ep.network, netip.Addr{}, to)
	}
	if c.ep.network.Family() == '6' && to.Is4() {
		return netip.AddrPort{}, ip.ErrNetworkUnreachable // as a socket of IPv6 alone has it
	}
	if !c.ep.mapped && to.Is6() {
		return netip.AddrPort{}, &net.AddrError{Err: "non-IPv4 address", Addr: addr.Addr().String()}
	}
	return netip.AddrPortFrom(to, addr.Port()), nil
}

func written(b []byte, err error) int {
	if err != nil {
		return 0
	}
	return len(b)
}

// maxPayload is more than any datagram can hold.
const maxPayload = 65535

// send sends b; to is for unconnected sockets alone. The zone of a link-local address is still in it. header may be nil.
func (c *UDPConn) send(b []byte, to netip.AddrPort, header *udp.Header) error {
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
	for {
		err := c.sendNow(p, to, header)
		if !errors.Is(err, udp.ErrWouldBlock) {
			return err
		}
		c.ep.wait(&c.ep.write)
	}
}

// sendNow sends p. It takes it, on error too, unless the error is udp.ErrWouldBlock.
func (c *UDPConn) sendNow(p *packet.Packet, to netip.AddrPort, header *udp.Header) error {
	var h udp.Header
	err := c.writable()
	if err == nil && !c.connected && !to.IsValid() {
		err = neterr.ErrNoDestination
	}
	if err == nil {
		to, h, err = c.headed(to, header)
	}
	if err != nil {
		p.Release()
		return err
	}
	return c.udp.SendWith(time.Now(), p, to, h)
}

// headed returns where a datagram goes without a zone, and what its header is to have: the zone's link included. The mutex is held.
func (c *UDPConn) headed(to netip.AddrPort, header *udp.Header) (netip.AddrPort, udp.Header, error) {
	var h udp.Header
	if header != nil {
		h = *header
		if err := c.checkHeader(&h); err != nil {
			return to, h, err
		}
	}
	if !to.IsValid() {
		return to, h, nil
	}
	addr, index, err := c.ep.stack.unzoned(to.Addr())
	if index != 0 {
		if h.Link != 0 && h.Link != index {
			return to, h, ip.ErrInvalid
		}
		h.Link = index
	}
	if h.Link != 0 {
		err = nil // a link-local address without a zone: oob says which link is meant
	}
	return netip.AddrPortFrom(addr, to.Port()), h, err
}

// checkHeader returns what is wrong with the interface and the address that a datagram is to leave by and from. The mutex is held.
func (c *UDPConn) checkHeader(h *udp.Header) error {
	s := c.ep.stack
	group := h.Source.IsMulticast() || h.Source == broadcast
	// A forwarder's flow has an address that is not the stack's.
	own := !h.Source.IsValid() || s.core.Local(0, h.Source) || h.Source == c.udp.LocalAddr().Addr() && !group
	switch {
	case h.Link != 0 && !s.hasLink(h.Link):
		return ip.ErrNoDevice
	case !own && h.Source.Is4() && !group:
		return ip.ErrNetworkUnreachable // as on Linux, where it is the look-up of a route that fails
	case !own:
		return ip.ErrInvalid
	}
	return nil
}

func (c *UDPConn) writable() error {
	if err := c.ep.unusable(&c.ep.write); err != nil {
		return err
	}
	return c.udp.Err()
}
