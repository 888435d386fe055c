package tcp

import (
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/timer"
)

// connTimers are the deadlines of a connection. One entry in the stack's heap stands for the earliest of them.
//
// kind and at are one timer of several meanings, since what it stands for never runs together: either something is in
// flight, or nothing is but the window is closed, or nothing happens at all.
type connTimers struct {
	heap timer.Timer

	kind    timerKind
	retries uint8 // expirations since SND.UNA last moved
	backoff uint8 // doublings of the timeout
	probes  uint8 // probes, of the window or for life, since anything was received
	linger  int32 // seconds; negative: Close leaves the data to the background for as long as it takes

	at    int64 // when kind expires
	ackAt int64 // when a delayed acknowledgment is due, or never
	endAt int64 // when a connection without user is given up, or never

	since        int64 // when the user's patience began: what is at SND.UNA was sent, or the first probe
	lastReceived int64
	lastSent     int64
}

// maxOverride is the most time for which data waits for a window to be worth a segment.
const maxOverride = int64(time.Second)

type timerKind uint8

const (
	timerNone timerKind = iota
	timerRetransmit
	timerProbe   // the tail is to be probed
	timerReorder // what has not arrived by then is lost
	timerPersist
	timerKeepAlive
)

const never = timer.Never

func (t *connTimers) stop() {
	t.kind, t.ackAt, t.endAt = timerNone, never, never
}

func nanoseconds(n int64) time.Duration { return time.Duration(n) }

// setTimers starts the timer that the connection's situation asks for, unless it runs already, and has the heap expire at the
// earliest deadline.
func (c *Conn) setTimers(now int64) {
	t := &c.timers
	if c.state == Closed || c.state == TimeWait {
		return
	}
	kind := c.timerNeeded()
	if kind != t.kind && !(t.kind == timerReorder && (kind == timerRetransmit || kind == timerProbe)) {
		t.kind = kind
		switch kind {
		case timerRetransmit:
			// "Every time a packet containing data is sent (including a retransmission), if the timer is not running, start it
			// running so that it will expire after RTO seconds"
			// https://www.rfc-editor.org/rfc/rfc6298.html#section-5
			from := now
			if c.flight != nil {
				from = c.flight.restarted // it has run behind the timers that are to expire before it
			} else if t.retries == 0 {
				t.since = now // a SYN has left
			}
			t.at = c.patient(max(from+c.timeout(), now))
		case timerProbe:
			// "If Now() + PTO > TCP_RTO_expiration(): PTO = TCP_RTO_expiration() - Now()"
			// https://www.rfc-editor.org/rfc/rfc8985.html#section-7.2
			t.at = c.patient(max(min(now+c.probeTimeout(), c.flight.restarted+c.timeout()), now))
		case timerPersist:
			// "The transmitting host SHOULD send the first zero-window probe when a zero window has existed for the
			// retransmission timeout period, and SHOULD increase exponentially the interval between successive probes."
			// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.8.6.1
			t.at = now + c.timeout()
			if c.sndWnd > 0 && t.backoff == 0 {
				// Some would fit, and waits to be worth a segment: "The override timeout should be in the range 0.1 - 1.0 seconds."
				// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.8.6.2.1
				t.at = min(t.at, now+maxOverride)
			}
		case timerKeepAlive:
			t.at = t.lastReceived + int64(c.options.KeepAlive.Idle)
		}
	}
	next := min(t.ackAt, t.endAt)
	if c.flight != nil {
		next = min(next, c.flight.paceAt)
	}
	if t.kind != timerNone {
		next = min(next, t.at)
	}
	if next == never {
		c.host.network.Timers().Stop(&t.heap)
	} else if t.heap.Deadline() != next {
		c.host.network.Timers().Arm(&t.heap, c, next)
	}
}

func (c *Conn) timerNeeded() timerKind {
	switch {
	case !c.state.synchronized() || c.openedFast():
		return timerRetransmit
	case c.inFlight() > 0:
		if c.probes() {
			return timerProbe
		}
		return timerRetransmit
	case c.flight != nil && (c.flight.sent.sacked > 0 || c.flight.dupOctets > 0) && c.flight.sent.lost == 0:
		return timerRetransmit // all has arrived, says the peer, and yet it acknowledges no more: it may have thrown it away
	case c.state.sends() && (c.unsent() > 0 || c.sndNxt != c.sndUna):
		// Nothing is in flight, and there is something to send: either it leaves in this very turn, or the window keeps it.
		if _, n := c.resendable(); n > 0 || c.sendable() > 0 || c.flight != nil && c.flight.paceAt != never {
			return timerNone
		}
		return timerPersist
	case c.options.KeepAlive.Enable && c.state.synchronized():
		return timerKeepAlive
	}
	return timerNone
}

// timeout is the retransmission timeout with its backoff.
//
// "The host MUST set RTO <- RTO * 2 ("back off the timer"). The maximum value discussed in (2.5) above may be used to provide an
// upper bound to this doubling operation."
// https://www.rfc-editor.org/rfc/rfc6298.html#section-5
func (c *Conn) timeout() int64 {
	return doubled(c.rtt.rto, c.timers.backoff, int64(c.host.config.MaxRTO))
}

// doubled is d doubled so many times, but at most limit.
func doubled(d int64, times uint8, limit int64) int64 {
	for range times {
		if d >= limit {
			break
		}
		d *= 2
	}
	return min(d, limit)
}

// Expire is called by the stack's timer heap.
func (c *Conn) Expire(now int64) {
	t := &c.timers
	if t.endAt <= now {
		c.sendResetIfUnfinished(now)
		c.leave(Closed)
		return
	}
	if t.ackAt <= now {
		t.ackAt = never
		c.pending |= pendingACK
	}
	c.shrinkIdle(now)
	if c.flight != nil && c.flight.paceAt <= now {
		c.flight.paceAt = never
	}
	if t.kind != timerNone && t.at <= now {
		kind := t.kind
		t.kind = timerNone
		switch kind {
		case timerRetransmit:
			c.retransmitTimeout(now)
		case timerProbe:
			c.probeExpired(now)
		case timerReorder:
			c.reorderExpired(now)
		case timerPersist:
			c.persistTimeout(now)
		case timerKeepAlive:
			c.keepAliveTimeout(now)
		}
	}
	if c.state == Closed {
		return
	}
	c.ready()
	c.setTimers(now)
}

// retransmitTimeout is the expiry of the retransmission timer: RFC 6298 section 5, (5.4) to (5.7).
// https://www.rfc-editor.org/rfc/rfc6298.html#section-5
func (c *Conn) retransmitTimeout(now int64) {
	t := &c.timers
	if c.openedFast() {
		c.fastOpenTimeout(now)
		return
	}
	if c.sndWnd == 0 && c.state.synchronized() {
		// The peer has closed the window over what is in flight. It is probed from now on; a live peer may keep
		// it closed for as long as it likes.
		c.flight.sent.loseAll()
		c.persistTimeout(now)
		return
	}
	t.retries = saturate(t.retries)
	if int(t.retries) > c.mostRetries() || c.outOfPatience(now) {
		c.giveUp(now)
		return
	}
	t.backoff = saturate(t.backoff)
	c.host.counters.RetransTimeouts++
	if !c.state.synchronized() {
		c.pending |= pendingSYN
		t.kind, t.at = timerRetransmit, c.patient(now+c.timeout())
		return
	}
	c.enterLoss(now)
	t.kind, t.at = timerRetransmit, c.patient(now+c.timeout())
}

// patient is at, or earlier if the user's patience ends before.
func (c *Conn) patient(at int64) int64 {
	if limit := int64(c.options.UserTimeout); limit > 0 {
		at = min(at, c.timers.since+limit)
	}
	return at
}

func (c *Conn) mostRetries() int {
	switch {
	case !c.state.synchronized():
		return c.host.config.SYNRetries
	case c.orphan:
		return c.host.config.OrphanRetries
	}
	return c.host.config.DataRetries
}

// outOfPatience reports whether sent data has been unacknowledged, or probes unanswered, for as long as the user allows.
func (c *Conn) outOfPatience(now int64) bool {
	limit := int64(c.options.UserTimeout)
	return limit > 0 && now-c.timers.since >= limit
}

// giveUp ends a connection whose peer does not answer.
func (c *Conn) giveUp(now int64) {
	c.host.counters.Timeouts++
	if c.state.synchronized() {
		c.sendReset(now)
	}
	err := c.softErr.Err()
	if err == nil {
		err = ErrTimeout
	}
	c.fail(err)
}

// persistTimeout probes a window that is closed.
//
// "A TCP implementation MAY keep its offered receive window closed indefinitely. As long as the receiving TCP peer continues to
// send acknowledgments in response to the probe segments, the sending TCP peer MUST allow the connection to stay open."
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.8.6.1
//
// Not so once the user has gone: "a TCP implementation needs to allow connections in the ZWP or persist condition to be closed or
// aborted by their applications or other resource management routines in the operating system" (RFC 6429), lest peers
// that never read hold memory for ever.
// https://www.rfc-editor.org/rfc/rfc6429.html
func (c *Conn) persistTimeout(now int64) {
	t := &c.timers
	silent := int(t.probes) > c.host.config.DataRetries || t.probes > 0 && c.outOfPatience(now)
	if silent || c.orphan && int(t.retries) >= c.host.config.OrphanRetries {
		c.giveUp(now)
		return
	}
	t.countProbe(now)
	t.backoff = saturate(t.backoff)
	if c.sndWnd == 0 {
		t.retries = saturate(t.retries) // what goes into a window that is merely small is sent in earnest
	}
	if c.sndQ.Len() > 0 {
		c.pending |= pendingProbe
	} // else the FIN alone is in flight, and leaves again by itself
	t.kind, t.at = timerPersist, c.patient(now+c.timeout())
}

// countProbe counts a probe that is about to leave.
func (t *connTimers) countProbe(now int64) {
	if t.probes == 0 {
		t.since = now
	}
	t.probes = saturate(t.probes)
}

func saturate(n uint8) uint8 {
	if n == 255 {
		return n
	}
	return n + 1
}

// alive notes that the peer has been heard: by an acceptable acknowledgment, not by just any segment, or else whoever knows the
// connection's name could keep it alive when the peer is long gone.
func (c *Conn) alive(now int64) {
	c.timers.lastReceived = now
	c.timers.probes = 0
}

// keepAliveTimeout probes an idle connection.
//
// "Implementers MAY include "keep-alives" in their TCP implementations [...] If keep-alives are included, the application MUST be
// able to turn them on or off for each TCP connection, and they MUST default to off."
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.8.4
func (c *Conn) keepAliveTimeout(now int64) {
	t, k := &c.timers, &c.options.KeepAlive
	if t.probes == 0 && now < t.lastReceived+int64(k.Idle) {
		return // something came meanwhile: setTimers starts the timer anew
	}
	dead := int(t.probes) >= k.Count
	if c.options.UserTimeout > 0 {
		dead = t.probes > 0 && c.outOfPatience(now)
	}
	if dead {
		c.giveUp(now)
		return
	}
	t.countProbe(now)
	c.pending |= pendingKeepAlive
	t.kind, t.at = timerKeepAlive, c.patient(now+int64(k.Interval))
}

// restartAfterIdle has congestion control know that nothing was in flight for a while.
func (c *Conn) restartAfterIdle(now int64) {
	if c.sndNxt == c.sndUna {
		c.expireWindow(now)
		c.congestion.Restart(&c.window, now, now-c.timers.lastSent)
	}
}

// unreachable learns of an ICMP error about a segment of this connection.
func (c *Conn) unreachable(now int64, e *ip.Error, seq uint32) {
	// "These implementations check that the TCP sequence number contained in the payload of the ICMP error message is within the
	// range SND.UNA =< SEG.SEQ < SND.NXT": what is not in flight cannot have caused it.
	// https://www.rfc-editor.org/rfc/rfc5927.html#section-4.1
	inFlight := beforeEq(c.sndUna, seq) && before(seq, c.sndNxt)
	if e.From.IsValid() && !inFlight {
		return
	}
	if c.openedFast() {
		return // as a half-open connection
	}
	if e.Kind == ip.PacketTooBig {
		c.packetTooBig(now, e.MTU)
		return
	}
	if !c.state.synchronized() {
		// RFC 9293 section 3.9.2.2 calls unreachable networks and hosts soft errors that must not abort a connection. Before it
		// is established nothing is lost by it, and who dials wants to know; RFC 5461 section 4.1 describes this as what
		// systems do.
		if err := e.Kind.Err(); err != nil {
			c.fail(err)
		}
		return
	}
	c.softErr = e.Kind
}
