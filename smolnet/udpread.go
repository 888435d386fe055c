package smolnet

import (
	"net"
	"net/netip"
	"syscall"

	"github.com/smolnet/smolnet/core/packet"
)

// Read reads the next datagram into b. What does not fit is lost. If b is empty it returns at once and takes none, as package
// net's does, unlike ReadFrom.
func (c *UDPConn) Read(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if len(b) == 0 {
		return 0, c.failure("read", "read", c.unclosed())
	}
	n, _, err := c.receive(b)
	return n, c.failure("read", "read", err)
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
	addr.IP, addr.Port, addr.Zone = from.Addr().AsSlice(), int(from.Port()), from.Addr().Zone()
	return n, addr, nil
}

// ReadFromUDPAddrPort reads the next datagram into b and returns who sent it. What does not fit is lost.
//
// On a socket for both families, IPv4 addresses are in IPv4-mapped form, as package net has them there.
func (c *UDPConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	if !c.ok() {
		return 0, netip.AddrPort{}, syscall.EINVAL
	}
	n, from, err := c.receive(b)
	return n, from, c.failure("read", "recvfrom", err)
}

// ReadMsgUDP reads the next datagram into b and returns who sent it. Into oob goes what SetControlMessage has asked for, for
// ControlMessage's Parse. flags has MSG_TRUNC if the datagram did not fit, and MSG_CTRUNC if oob was too short.
func (c *UDPConn) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	n, oobn, flags, from, err := c.ReadMsgUDPAddrPort(b, oob)
	if from.IsValid() {
		addr = net.UDPAddrFromAddrPort(from)
	}
	return n, oobn, flags, addr, err
}

// ReadMsgUDPAddrPort is ReadMsgUDP with another form of address.
func (c *UDPConn) ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error) {
	if !c.ok() {
		return 0, 0, 0, netip.AddrPort{}, syscall.EINVAL
	}
	p, from, err := c.next()
	if err != nil {
		return 0, 0, 0, netip.AddrPort{}, c.failure("read", "recvmsg", err)
	}
	defer p.Release()
	n = p.CopyTo(b, 0)
	if n < p.Len() {
		flags |= msgTrunc
	}
	if control := ControlFlags(c.control.Load()); control != 0 {
		w := controlWriter{oob: oob}
		w.datagram(control, &p.IP, c.answersFrom(p, from), c.ep.mapped)
		if oobn = w.n; w.truncated {
			flags |= msgCtrunc
		}
	}
	return n, oobn, flags, c.ep.stack.shown(from, p.IP.Link, c.ep.mapped), nil
}

// answersFrom is the address that an answer to p would be sent from.
func (c *UDPConn) answersFrom(p *packet.Packet, to netip.AddrPort) netip.Addr {
	if !p.IP.Group {
		return p.IP.Dst
	}
	s := c.ep.stack
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.udp.Source(to.Addr(), p.IP.Link)
}

// receive waits for a datagram, copies it to b, as far as it fits, and returns who sent it.
func (c *UDPConn) receive(b []byte) (n int, from netip.AddrPort, err error) {
	p, from, err := c.next()
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	n = p.CopyTo(b, 0)
	from = c.ep.stack.shown(from, p.IP.Link, c.ep.mapped)
	p.Release()
	return n, from, nil
}

// next waits for a datagram.
func (c *UDPConn) next() (*packet.Packet, netip.AddrPort, error) {
	c.ep.read.enter()
	defer c.ep.read.leave()
	s := c.ep.stack
	s.mu.Lock()
	defer s.unlock()
	for {
		if err := c.ep.unusable(&c.ep.read); err != nil {
			return nil, netip.AddrPort{}, err
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
