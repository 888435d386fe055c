package smolnet

import (
	"math"
	"net"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/internal/neterr"
)

// Keep-alive as package net has it by default.
const (
	keepAliveIdle     = 15 * time.Second
	keepAliveInterval = 15 * time.Second
	keepAliveCount    = 9
)

// keepAliveOf returns what config asks for, where a negative field keeps what was before.
func keepAliveOf(config net.KeepAliveConfig, before tcp.KeepAlive) tcp.KeepAlive {
	return tcp.KeepAlive{
		Enable:   config.Enable,
		Idle:     choose(config.Idle, keepAliveIdle, before.Idle),
		Interval: choose(config.Interval, keepAliveInterval, before.Interval),
		Count:    choose(config.Count, keepAliveCount, before.Count),
	}
}

func choose[T time.Duration | int](asked, standard, before T) T {
	switch {
	case asked == 0:
		return standard
	case asked < 0:
		return before
	}
	return asked
}

var defaultKeepAlive = tcp.KeepAlive{Enable: true, Idle: keepAliveIdle, Interval: keepAliveInterval, Count: keepAliveCount}

// SetDeadline sets the read and the write deadline: see net.Conn.
func (c *TCPConn) SetDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setFailure(c.ep.setDeadlines(t, &c.ep.read, &c.ep.write))
}

// SetReadDeadline sets when Reads fail, one under way included, with an error that is os.ErrDeadlineExceeded. Zero:
// never.
func (c *TCPConn) SetReadDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setFailure(c.ep.setDeadlines(t, &c.ep.read))
}

// SetWriteDeadline sets when Writes fail, one under way included, with an error that is os.ErrDeadlineExceeded. Zero:
// never.
func (c *TCPConn) SetWriteDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.setFailure(c.ep.setDeadlines(t, &c.ep.write))
}

// SetLinger says what Close does with what is still to be sent: with sec < 0, the default, it is sent in the background for
// as long as it takes, with sec > 0 for so many seconds at most; with sec == 0 it is discarded and the connection reset.
func (c *TCPConn) SetLinger(sec int) error {
	return c.control("set", "setsockopt", func(time.Time) error {
		c.tcp.SetLinger(sec)
		return nil
	})
}

// SetNoDelay says whether data is sent as soon as it is written, which is the default, or may wait for the
// acknowledgment of what was sent before: Nagle's algorithm.
func (c *TCPConn) SetNoDelay(noDelay bool) error {
	return c.control("set", "setsockopt", func(now time.Time) error {
		c.tcp.SetNoDelay(noDelay)
		return nil
	})
}

// SetKeepAlive says whether the peer is probed when nothing comes from it.
func (c *TCPConn) SetKeepAlive(enable bool) error {
	return c.changeKeepAlive(func(k *tcp.KeepAlive) { k.Enable = enable })
}

// SetKeepAlivePeriod sets how long nothing may come from the peer before it is probed. Zero is the default of 15
// seconds.
func (c *TCPConn) SetKeepAlivePeriod(d time.Duration) error {
	return c.changeKeepAlive(func(k *tcp.KeepAlive) { k.Idle = choose(d, keepAliveIdle, k.Idle) })
}

// SetKeepAliveConfig sets all of keep-alive. Zero fields are the defaults, negative ones change nothing. If one is out
// of range the error, a *net.OpError, is syscall.EINVAL, and nothing has changed.
func (c *TCPConn) SetKeepAliveConfig(config net.KeepAliveConfig) error {
	return c.changeKeepAlive(func(k *tcp.KeepAlive) { *k = keepAliveOf(config, *k) })
}

func (c *TCPConn) changeKeepAlive(change func(*tcp.KeepAlive)) error {
	return c.control("set", "setsockopt", func(now time.Time) error {
		k := c.tcp.KeepAlive()
		change(&k)
		return c.tcp.SetKeepAlive(now, k)
	})
}

// SetReadBuffer sets how many octets may wait to be read. What is beyond the bounds of tcp.Options is moved to them.
func (c *TCPConn) SetReadBuffer(bytes int) error {
	return c.setBuffer(bytes, (*tcp.Conn).SetReadBuffer)
}

// SetWriteBuffer sets how many octets may wait to be acknowledged. What is beyond the bounds of tcp.Options is moved
// to them.
func (c *TCPConn) SetWriteBuffer(bytes int) error {
	return c.setBuffer(bytes, (*tcp.Conn).SetWriteBuffer)
}

func (c *TCPConn) setBuffer(bytes int, set func(*tcp.Conn, int) error) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	s := c.ep.stack
	s.mu.Lock()
	var err error = net.ErrClosed
	if c.ep.open() {
		err = set(c.tcp, bytes)
	}
	s.release()
	return c.setFailure(err)
}

// Info describes the connection as it is now, as Linux's TCP_INFO does. Package net has no such method. The error, a
// *net.OpError, is net.ErrClosed after Close; of a connection that has failed there is still something to tell.
func (c *TCPConn) Info() (info tcp.Info, err error) {
	err = c.control("get", "getsockopt", func(time.Time) error {
		info = c.tcp.Info()
		return nil
	})
	return info, err
}

// SetCongestionControl goes on with the congestion control called name, as the option TCP_CONGESTION does: "cubic", "bbr",
// "reno" or "none". Package net has no such method. For another name the error, a *net.OpError, is syscall.EINVAL, and
// nothing has changed. How new connections begin is in tcp.Options: see Config.TCP and the field TCP of dialer.Dialer
// and listener.ListenConfig.
func (c *TCPConn) SetCongestionControl(name string) error {
	return c.control("set", "setsockopt", func(now time.Time) error { return c.tcp.SetCongestionControl(now, name) })
}

// SetUserTimeout sets how long what was sent may stay unacknowledged, and probes of an idle connection unanswered, before the
// connection fails with syscall.ETIMEDOUT, as the option TCP_USER_TIMEOUT does; 0, the default: the number of repetitions
// decides. It is this side's alone: the peer is not told (RFC 5482's option is not sent). Package net has no such
// method. If d is negative the error, a *net.OpError, is syscall.EINVAL.
func (c *TCPConn) SetUserTimeout(d time.Duration) error {
	return c.control("set", "setsockopt", func(now time.Time) error { return c.tcp.SetUserTimeout(now, d) })
}

// SetHopLimit sets IPv6's hop limit and IPv4's TTL, 1 to 255; 0: the interface's, which is 64 unless routers say otherwise. Package net has no such method;
// golang.org/x/net has. For any other n the error, a *net.OpError, is syscall.EINVAL.
func (c *TCPConn) SetHopLimit(n int) error {
	return c.control("set", "setsockopt", func(time.Time) error {
		if n < 0 || n > math.MaxUint8 {
			return ip.ErrInvalid
		}
		c.tcp.SetHopLimit(uint8(n))
		return nil
	})
}

// SetTrafficClass sets IPv6's traffic class and IPv4's TOS, 0 to 255. The two low bits are ECN's, not the user's: they
// are left out, as a Unix system does for TCP. Package net has no such method; golang.org/x/net has. For any other n
// the error, a *net.OpError, is syscall.EINVAL.
func (c *TCPConn) SetTrafficClass(n int) error {
	return c.control("set", "setsockopt", func(time.Time) error {
		if n < 0 || n > math.MaxUint8 {
			return ip.ErrInvalid
		}
		return c.tcp.SetTrafficClass(uint8(n) &^ 3)
	})
}

// SetDelayedACK sets how long an acknowledgment may wait for data to ride on, less than 500 ms; 0: the default of 40 ms;
// negative: not at all, as with the option TCP_QUICKACK but for good. Package net has no such method. For more the error, a
// *net.OpError, is syscall.EINVAL.
func (c *TCPConn) SetDelayedACK(d time.Duration) error {
	return c.control("set", "setsockopt", func(now time.Time) error { return c.tcp.SetDelayedACK(now, d) })
}

// MultipathTCP reports whether the connection uses Multipath TCP, which this stack does not speak.
func (c *TCPConn) MultipathTCP() (bool, error) {
	if !c.ok() {
		return false, syscall.EINVAL
	}
	return false, nil
}

// setFailure is failure in the form that package net gives the errors of deadlines and buffers.
func (c *TCPConn) setFailure(err error) error {
	if err == nil {
		return nil
	}
	return neterr.Op("set", "setsockopt", c.ep.network.String(), nil, c.LocalAddr(), err)
}
