package smolnet

import (
	"errors"
	"math"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/raw"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/internal/neterr"
)

// rawSocket is what IPConn, PingConn and FrameConn have in common.
type rawSocket struct {
	ep        endpoint
	raw       *raw.Endpoint
	connected bool
	name      string        // of the network, in errors
	control   atomic.Uint32 // ControlFlags: what reading a message tells
	local     net.Addr
	remote    net.Addr // nil unless connected
}

func (c *rawSocket) ok() bool { return c.ep.stack != nil }

// failure puts err into a *net.OpError of this socket's.
func (c *rawSocket) failure(op, call string, err error) error {
	return neterr.Op(op, call, c.name, c.local, c.remote, err)
}

// sendFailure puts err into a *net.OpError about what was to be sent to addr.
func (c *rawSocket) sendFailure(call string, addr net.Addr, err error) error {
	return neterr.Op("write", call, c.name, c.local, addr, err)
}

func (c *rawSocket) close() error {
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
	c.raw.Close()
	s.release()
	return nil
}

// unclosed returns net.ErrClosed if the socket is closed.
func (c *rawSocket) unclosed() error {
	c.ep.stack.mu.Lock()
	defer c.ep.stack.mu.Unlock()
	if !c.ep.open() {
		return net.ErrClosed
	}
	return nil
}

// next waits until receive returns something.
func (c *rawSocket) next(receive func() *packet.Packet) (*packet.Packet, error) {
	c.ep.read.enter()
	defer c.ep.read.leave()
	s := c.ep.stack
	s.mu.Lock()
	defer s.unlock()
	for {
		if err := c.ep.unusable(&c.ep.read); err != nil {
			return nil, err
		}
		if err := c.raw.Err(); err != nil {
			return nil, err
		}
		if p := receive(); p != nil {
			return p, nil
		}
		c.ep.wait(&c.ep.read)
	}
}

// send makes a packet of b and calls queue with it and the mutex held, until there is room for it.
func (c *rawSocket) send(b []byte, queue func(*packet.Packet) error) error {
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
		err := c.ep.unusable(&c.ep.write)
		if err == nil {
			err = c.raw.Err()
		}
		if err != nil {
			p.Release()
			return err
		}
		if err = queue(p); !errors.Is(err, raw.ErrWouldBlock) {
			return err
		}
		c.ep.wait(&c.ep.write)
	}
}

// headed returns where a packet to addr goes without a zone, and what its header is to have: the zone's link included. The mutex
// is held.
func (c *rawSocket) headed(addr netip.Addr, given udp.Header) (netip.Addr, raw.Header, error) {
	s, h := c.ep.stack, raw.Header(given)
	group := h.Source.IsMulticast() || h.Source == broadcast
	own := !h.Source.IsValid() || s.core.Local(0, h.Source) && !group
	switch {
	case h.Link != 0 && !s.hasLink(h.Link):
		return addr, h, ip.ErrNoDevice
	case !own && h.Source.Is4() && !group:
		return addr, h, ip.ErrNetworkUnreachable // as UDPConn's
	case !own:
		return addr, h, ip.ErrInvalid
	case !addr.IsValid():
		return addr, h, nil
	}
	addr, index, err := s.unzoned(addr)
	if index != 0 {
		if h.Link != 0 && h.Link != index {
			return addr, h, ip.ErrInvalid
		}
		h.Link = index
	}
	if h.Link != 0 || c.raw.Link() != 0 {
		err = nil
	}
	return addr, h, err
}

// shownIP is an address of the core's as package net has it.
func (s *Stack) shownIP(addr netip.Addr, link int32) *net.IPAddr {
	addr = s.shown(netip.AddrPortFrom(addr, 0), link, false).Addr()
	return &net.IPAddr{IP: addr.AsSlice(), Zone: addr.Zone()}
}

// source is the address that an answer to p would be sent from.
func (c *rawSocket) source(p *packet.Packet) netip.Addr {
	if !p.IP.Group {
		return p.IP.Dst
	}
	s := c.ep.stack
	s.mu.Lock()
	defer s.mu.Unlock()
	_, source, err := s.core.Route(p.IP.Link, netip.Addr{}, p.IP.Src)
	if err != nil {
		return netip.Addr{}
	}
	return source
}

// ancillary writes into oob what SetControlMessage has asked for of p.
func (c *rawSocket) ancillary(p *packet.Packet, oob []byte) (oobn, flags int) {
	control := ControlFlags(c.control.Load())
	if control == 0 {
		return 0, 0
	}
	w := controlWriter{oob: oob}
	w.datagram(control, &p.IP, c.source(p), false)
	if w.truncated {
		flags = msgCtrunc
	}
	return w.n, flags
}

func (c *rawSocket) setDeadline(t time.Time, sides ...*side) error {
	return c.set(func() error { return c.ep.setDeadlines(t, sides...) })
}

func (c *rawSocket) setOctet(n int, set func(*raw.Endpoint, uint8)) error {
	return c.setEndpoint(func(e *raw.Endpoint) error {
		if n < 0 || n > math.MaxUint8 {
			return ip.ErrInvalid
		}
		set(e, uint8(n))
		return nil
	})
}

func (c *rawSocket) setControl(flags ControlFlags, on bool) error {
	return c.setEndpoint(func(*raw.Endpoint) error { return flags.set(&c.control, on) })
}

func (c *rawSocket) setEndpoint(set func(*raw.Endpoint) error) error {
	return c.set(func() error {
		s := c.ep.stack
		s.mu.Lock()
		defer s.unlock()
		if !c.ep.open() {
			return net.ErrClosed
		}
		return set(c.raw)
	})
}

func (c *rawSocket) set(do func() error) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return neterr.Op("set", "setsockopt", c.name, nil, c.local, do())
}
