package smolnet

import (
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/raw"
)

// SetDeadline sets the read and the write deadline: see net.Conn.
func (c *FrameConn) SetDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setDeadline(t, &c.ep.read, &c.ep.write)
}

// SetReadDeadline sets when Reads fail, one under way included, with an error that is os.ErrDeadlineExceeded. Zero:
// never.
func (c *FrameConn) SetReadDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setDeadline(t, &c.ep.read)
}

// SetWriteDeadline sets when Writes fail, one under way included, with an error that is os.ErrDeadlineExceeded. Zero:
// never.
func (c *FrameConn) SetWriteDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setDeadline(t, &c.ep.write)
}

// SetReadBuffer sets how much memory, in octets, frames that wait to be read may take. Those beyond are dropped. 0 or less is
// the default, core.Limits.Raw.ReceiveBuffer, 256 KiB; more than core.Limits.Raw.MaxBuffer is taken for that.
func (c *FrameConn) SetReadBuffer(bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setEndpoint(func(e *raw.Endpoint) error { return e.SetReceiveBuffer(max(bytes, 0)) })
}

// SetWriteBuffer sets how much memory, in octets, frames that wait to be sent may take. Writers wait for room. 0 or less is the
// default, core.Limits.Raw.SendBuffer, 256 KiB; more than core.Limits.Raw.MaxBuffer is taken for that.
func (c *FrameConn) SetWriteBuffer(bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setEndpoint(func(e *raw.Endpoint) error { return e.SetSendBuffer(max(bytes, 0)) })
}
