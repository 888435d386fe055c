package smolnet

import (
	"math"
	"net"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/internal/neterr"
)

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

// SetReadBuffer sets how much memory, in octets, datagrams that wait to be read may take. Those beyond are dropped. 0 or less is
// the default, core.Limits.UDP.ReceiveBuffer, 256 KiB; more than core.Limits.UDP.MaxBuffer is taken for that.
func (c *UDPConn) SetReadBuffer(bytes int) error {
	// Package net takes a negative number, too.
	return c.setEndpoint(func(e *udp.Endpoint) error { return e.SetReceiveBuffer(max(bytes, 0)) })
}

// SetWriteBuffer sets how much memory, in octets, datagrams that wait to be sent may take. Writers wait for room. 0 or less is the
// default, core.Limits.UDP.SendBuffer, 256 KiB; more than core.Limits.UDP.MaxBuffer is taken for that.
func (c *UDPConn) SetWriteBuffer(bytes int) error {
	return c.setEndpoint(func(e *udp.Endpoint) error { return e.SetSendBuffer(max(bytes, 0)) })
}

// SetHopLimit sets IPv6's hop limit and IPv4's TTL of datagrams that are not sent to multicast addresses, 1 to 255; 0: the
// interface's, which is 64 unless routers say otherwise. Package net has no such method; golang.org/x/net has. For any other n the error, a *net.OpError, is syscall.EINVAL.
func (c *UDPConn) SetHopLimit(n int) error { return c.setOctet(n, (*udp.Endpoint).SetHopLimit) }

// SetMulticastHopLimit sets IPv6's hop limit and IPv4's TTL of datagrams that are sent to multicast addresses, 1 to 255; 0: the
// default of 1, which no router forwards. Package net has no such method; golang.org/x/net has. For any other n the error, a
// *net.OpError, is syscall.EINVAL.
func (c *UDPConn) SetMulticastHopLimit(n int) error {
	return c.setOctet(n, (*udp.Endpoint).SetMulticastHopLimit)
}

// SetTrafficClass sets IPv6's traffic class and IPv4's TOS of datagrams, 0 to 255, the two bits of ECN included. Package net has no
// such method; golang.org/x/net has. For any other n the error, a *net.OpError, is syscall.EINVAL.
func (c *UDPConn) SetTrafficClass(n int) error {
	return c.setOctet(n, (*udp.Endpoint).SetTrafficClass)
}

func (c *UDPConn) setOctet(n int, set func(*udp.Endpoint, uint8)) error {
	return c.setEndpoint(func(e *udp.Endpoint) error {
		if n < 0 || n > math.MaxUint8 {
			return ip.ErrInvalid
		}
		set(e, uint8(n))
		return nil
	})
}

// SetPathMTUDiscovery says what becomes from now on of datagrams larger than the link, or the path to their destination, carries:
// by default, udp.PathMTUWant, they leave in fragments. With udp.PathMTUDo and udp.PathMTUProbe nothing is cut, and they fail with
// syscall.EMSGSIZE. Package net has no such method; it is Linux's IP_MTU_DISCOVER. For an unknown mode the error, a *net.OpError, is
// syscall.EINVAL.
func (c *UDPConn) SetPathMTUDiscovery(mode udp.PathMTUDiscovery) error {
	return c.setEndpoint(func(e *udp.Endpoint) error {
		if mode > udp.PathMTUProbe {
			return ip.ErrInvalid
		}
		e.SetPathMTUDiscovery(mode)
		return nil
	})
}

// SetBroadcast says whether datagrams may be sent to the broadcast address 255.255.255.255, as they may by default; sending them
// fails with syscall.EACCES otherwise. Package net has no such method.
func (c *UDPConn) SetBroadcast(allowed bool) error {
	return c.setEndpoint(func(e *udp.Endpoint) error {
		e.SetBroadcast(allowed)
		return nil
	})
}

// SetControlMessage says, of each of the flags, whether ReadMsgUDP tells it from now on; by default none. It matters when the
// datagram is read, not when it arrives. Package net has no such method; golang.org/x/net has. For unknown flags the error, a
// *net.OpError, is syscall.EINVAL.
func (c *UDPConn) SetControlMessage(flags ControlFlags, on bool) error {
	return c.setEndpoint(func(*udp.Endpoint) error { return flags.set(&c.control, on) })
}

func (c *UDPConn) setEndpoint(set func(*udp.Endpoint) error) error {
	return c.set(func() error {
		s := c.ep.stack
		s.mu.Lock()
		defer s.unlock()
		if !c.ep.open() {
			return net.ErrClosed
		}
		return set(c.udp)
	})
}

func (c *UDPConn) set(do func() error) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return neterr.Op("set", "setsockopt", c.ep.network.String(), nil, c.LocalAddr(), do())
}
