package smolnet

import (
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/raw"
)

// SetDeadline sets the read and the write deadline: see net.Conn.
func (c *IPConn) SetDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setDeadline(t, &c.ep.read, &c.ep.write)
}

// SetReadDeadline sets when Reads fail, one under way included, with an error that is os.ErrDeadlineExceeded. Zero:
// never.
func (c *IPConn) SetReadDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setDeadline(t, &c.ep.read)
}

// SetWriteDeadline sets when Writes fail, one under way included, with an error that is os.ErrDeadlineExceeded. Zero:
// never.
func (c *IPConn) SetWriteDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setDeadline(t, &c.ep.write)
}

// SetReadBuffer sets how much memory, in octets, packets that wait to be read may take. Those beyond are dropped. 0 or less is
// the default, core.Limits.Raw.ReceiveBuffer, 256 KiB; more than core.Limits.Raw.MaxBuffer is taken for that.
func (c *IPConn) SetReadBuffer(bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setEndpoint(func(e *raw.Endpoint) error { return e.SetReceiveBuffer(max(bytes, 0)) })
}

// SetWriteBuffer sets how much memory, in octets, packets that wait to be sent may take. Writers wait for room. 0 or less is the
// default, core.Limits.Raw.SendBuffer, 256 KiB; more than core.Limits.Raw.MaxBuffer is taken for that.
func (c *IPConn) SetWriteBuffer(bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setEndpoint(func(e *raw.Endpoint) error { return e.SetSendBuffer(max(bytes, 0)) })
}

// SetHopLimit sets IPv6's hop limit and IPv4's TTL of packets that are not sent to multicast addresses, 1 to 255; 0: the default of
// 64. Package net has no such method. For any other n the error, a *net.OpError, is syscall.EINVAL.
func (c *IPConn) SetHopLimit(n int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setOctet(n, (*raw.Endpoint).SetHopLimit)
}

// SetMulticastHopLimit sets IPv6's hop limit and IPv4's TTL of packets that are sent to multicast addresses, 1 to 255; 0: the default
// of 1. Package net has no such method. For any other n the error, a *net.OpError, is syscall.EINVAL.
func (c *IPConn) SetMulticastHopLimit(n int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setOctet(n, (*raw.Endpoint).SetMulticastHopLimit)
}

// SetTrafficClass sets IPv6's traffic class and IPv4's TOS of packets, 0 to 255. Package net has no such method. For any other n the
// error, a *net.OpError, is syscall.EINVAL.
func (c *IPConn) SetTrafficClass(n int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setOctet(n, (*raw.Endpoint).SetTrafficClass)
}

// SetControlMessage says, of each of the flags, whether ReadMsgIP tells it from now on; by default none. Package net has no such
// method. For unknown flags the error, a *net.OpError, is syscall.EINVAL.
func (c *IPConn) SetControlMessage(flags ControlFlags, on bool) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setControl(flags, on)
}

// SetIncludeHeader says whether what is written brings its own IP header, Linux's IP_HDRINCL and IPV6_HDRINCL: of IPv4 the stack fills
// in the length, the checksum, and the source if it is zero; the address that is written to alone says where the packet goes. The default
// is off, but for protocol 255. Package net has no such method.
func (c *IPConn) SetIncludeHeader(on bool) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setEndpoint(func(*raw.Endpoint) error {
		c.ip.SetIncludeHeader(on)
		return nil
	})
}
