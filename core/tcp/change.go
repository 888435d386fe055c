package tcp

import (
	"time"

	"github.com/smolnet/smolnet/core/tcp/congestion"
)

// change gives the connection options of its own, altered by f, unless they would be illegal.
func (c *Conn) change(f func(*Options)) error {
	options := *c.options
	f(&options)
	if err := options.validate(); err != nil {
		return err
	}
	c.options = &options
	return nil
}

// SetNoDelay turns the Nagle algorithm off, which is the default, or on.
func (c *Conn) SetNoDelay(noDelay bool) {
	if c.options.Nagle == !noDelay {
		return
	}
	_ = c.change(func(o *Options) { o.Nagle = !noDelay })
	c.ready() // what waited for an acknowledgment may leave
}

// SetDelayedACK sets how long an acknowledgment may wait for more data or for a segment to ride on, less than 500 ms; 0: the
// default; negative: every segment is acknowledged at once, and what waits now is too.
func (c *Conn) SetDelayedACK(now time.Time, d time.Duration) error {
	fill(&d, defaultOptions.DelayedACK)
	if err := c.change(func(o *Options) { o.DelayedACK = d }); err != nil {
		return err
	}
	if t := &c.timers; d < 0 && t.ackAt != never {
		t.ackAt = never
		c.pending |= pendingACK
		c.ready()
		c.setTimers(c.host.since(now))
	}
	return nil
}

// SetKeepAlive says whether and how the connection is probed while idle.
func (c *Conn) SetKeepAlive(now time.Time, k KeepAlive) error {
	k = k.withDefaults()
	if k == c.options.KeepAlive {
		return nil
	}
	if err := c.change(func(o *Options) { o.KeepAlive = k }); err != nil {
		return err
	}
	if c.timers.kind == timerKeepAlive {
		c.timers.kind, c.timers.probes = timerNone, 0
	}
	c.setTimers(c.host.since(now))
	return nil
}

// KeepAlive returns whether and how the connection is probed while idle.
func (c *Conn) KeepAlive() KeepAlive { return c.options.KeepAlive }

// SetLinger says what Close does with data not yet acknowledged: sec < 0, the default, sends it in the background for as long as
// it takes; 0 discards it and resets the connection; sec > 0 sends it for so many seconds at most.
func (c *Conn) SetLinger(sec int) { c.timers.linger = int32(min(max(sec, -1), 1<<30)) }

// SetReadBuffer sets how many octets may wait to be read. A window once offered is not taken back: less takes effect as
// what has been offered is used up; and the window scale that was negotiated bounds how much more can be offered.
func (c *Conn) SetReadBuffer(n int) error {
	err := c.change(func(o *Options) { o.ReceiveBuffer = min(max(n, minBuffer), maxBuffer) })
	c.rcvBuffer = int32(c.options.ReceiveBuffer)
	c.tellWindow()
	return err
}

// SetWriteBuffer sets how many octets may wait to be acknowledged.
func (c *Conn) SetWriteBuffer(n int) error {
	err := c.change(func(o *Options) { o.SendBuffer = min(max(n, minBuffer), maxBuffer) })
	c.sndBuffer = int32(c.options.SendBuffer)
	c.tellWriter()
	return err
}

// SetUserTimeout sets how long sent data may stay unacknowledged, and probes unanswered, before the connection is given up with
// ErrTimeout; 0: the number of retransmissions decides.
//
// "The TCP user timeout controls how long transmitted data may remain unacknowledged before a connection is forcefully closed. It
// is a local, per-connection parameter."
// https://www.rfc-editor.org/rfc/rfc5482.html
//
// And local it stays: the option by which RFC 5482 lets two hosts tell each other theirs is neither sent nor taken from a peer.
// What the user asks for holds, be it less than the 100 s that the RFC has for the least value to be taken from a peer. While it
// is set it decides about keep-alive too, in place of the number of probes, so that neither gives up before the other.
func (c *Conn) SetUserTimeout(now time.Time, d time.Duration) error {
	if err := c.change(func(o *Options) { o.UserTimeout = d }); err != nil {
		return err
	}
	switch t := &c.timers; t.kind {
	case timerRetransmit, timerProbe:
		t.at = c.patient(t.at)
	case timerPersist, timerKeepAlive:
		if t.probes > 0 {
			t.at = c.patient(t.at)
		}
	}
	c.setTimers(c.host.since(now))
	return nil
}

// SetHopLimit sets IPv6's hop limit and IPv4's TTL; 0 stands for the interface's, 64 unless routers say otherwise.
func (c *Conn) SetHopLimit(n uint8) {
	_ = c.change(func(o *Options) { o.HopLimit = n })
}

// SetTrafficClass sets IPv6's traffic class and IPv4's TOS; the two low bits, which are ECN's, must be zero.
func (c *Conn) SetTrafficClass(tc uint8) error {
	return c.change(func(o *Options) { o.TrafficClass = tc })
}

// SetCongestionControl goes on with the congestion control called name: "cubic", "bbr", "reno" or "none". The window stays as it
// is, except after "none", which has not measured any: then it is what is in flight, or the initial window if that is more. The
// error, for another name, wraps ip.ErrInvalid.
func (c *Conn) SetCongestionControl(now time.Time, name string) error {
	if name == c.options.Congestion {
		return nil
	}
	if err := c.change(func(o *Options) { o.Congestion = name }); err != nil {
		return err
	}
	before := c.congestion
	c.congestion = congestion.ByName(name)
	if c.window.Cwnd == 0 {
		return nil // the handshake will start it
	}
	t := c.host.since(now)
	c.takeOver(t, before)
	c.ready()
	c.setTimers(t)
	return nil
}

// takeOver starts the connection's congestion control in the middle of a connection that another has controlled.
func (c *Conn) takeOver(now int64, before congestion.Controller) {
	was, cwnd := c.window, c.window.Cwnd
	if before == (congestion.None{}) {
		cwnd = max(c.initialWindow(), c.inFlight())
	}
	c.congestion.Start(&c.window, cwnd)
	if !was.Autonomous && !c.window.Autonomous {
		c.window.Ssthresh = was.Ssthresh // and a recovery goes on as it has begun
		return
	}
	c.own().validation = nil
	f := c.flight
	if f == nil {
		return
	}
	// A recovery that only one of the two leaves to us begins once more, now that the other kind has to do with it; and what the
	// window was before it is of no use any more.
	f.pacer, f.paceAt, f.undo = pacer{}, never, undo{}
	loss := congestion.Loss{Now: now, Flight: min(distance(c.sndUna, c.sndNxt), c.window.Cwnd), MSS: int(c.sndMSS)}
	switch f.recovery.phase {
	case phaseReduced, phaseFast:
		c.congestion.Loss(&c.window, loss)
		f.prr.start(c.inFlight())
	case phaseLoss:
		c.congestion.Timeout(&c.window, loss)
	}
}
