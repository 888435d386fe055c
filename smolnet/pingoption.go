package smolnet

import (
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/raw"
)

// SetDeadline sets the read and the write deadline: see net.Conn.
func (c *PingConn) SetDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setDeadline(t, &c.ep.read, &c.ep.write)
}

// SetReadDeadline sets when Reads fail, one under way included, with an error that is os.ErrDeadlineExceeded. Zero:
// never.
func (c *PingConn) SetReadDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setDeadline(t, &c.ep.read)
}

// SetWriteDeadline sets when Writes fail, one under way included, with an error that is os.ErrDeadlineExceeded. Zero:
// never.
func (c *PingConn) SetWriteDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setDeadline(t, &c.ep.write)
}

// SetReadBuffer sets how much memory, in octets, messages that wait to be read may take. Those beyond are dropped. 0 or less is
// the default, core.Limits.Raw.ReceiveBuffer, 256 KiB; more than core.Limits.Raw.MaxBuffer is taken for that.
func (c *PingConn) SetReadBuffer(bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setEndpoint(func(e *raw.Endpoint) error { return e.SetReceiveBuffer(max(bytes, 0)) })
}

// SetWriteBuffer sets how much memory, in octets, messages that wait to be sent may take. Writers wait for room. 0 or less is the
// default, core.Limits.Raw.SendBuffer, 256 KiB; more than core.Limits.Raw.MaxBuffer is taken for that.
func (c *PingConn) SetWriteBuffer(bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setEndpoint(func(e *raw.Endpoint) error { return e.SetSendBuffer(max(bytes, 0)) })
}

// SetHopLimit sets IPv6's hop limit and IPv4's TTL of messages that are not sent to multicast addresses, 1 to 255; 0: the default of
// 64. For any other n the error, a *net.OpError, is syscall.EINVAL.
func (c *PingConn) SetHopLimit(n int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setOctet(n, (*raw.Endpoint).SetHopLimit)
}

// SetMulticastHopLimit sets IPv6's hop limit and IPv4's TTL of messages that are sent to multicast addresses, 1 to 255; 0: the default
// of 1. For any other n the error, a *net.OpError, is syscall.EINVAL.
func (c *PingConn) SetMulticastHopLimit(n int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setOctet(n, (*raw.Endpoint).SetMulticastHopLimit)
}

// SetTrafficClass sets IPv6's traffic class and IPv4's TOS of messages, 0 to 255. For any other n the
// error, a *net.OpError, is syscall.EINVAL.
func (c *PingConn) SetTrafficClass(n int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setOctet(n, (*raw.Endpoint).SetTrafficClass)
}

// SetControlMessage says, of each of the flags, whether ReadMsg tells it from now on; by default none. For unknown flags the error, a *net.OpError, is syscall.EINVAL.
func (c *PingConn) SetControlMessage(flags ControlFlags, on bool) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setControl(flags, on)
}
