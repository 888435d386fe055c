package tcp

import (
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// timeWait is what remains of a connection in TIME-WAIT: enough to acknowledge the peer's FIN again, should our
// acknowledgment have been lost, and to tell old segments from a new connection's.
type timeWait struct {
	entry
	host           *Host
	timer          timer.Timer
	previous, next *timeWait // in the order in which they end
	sndNxt, rcvNxt uint32
	rcvEdge        uint32 // the right edge of the largest window that was offered
	maxWnd         uint32 // the largest window that the peer has offered
	ts             timestamps
	window         uint16
	hopLimit       uint8
	trafficClass   uint8
	accepted       bool // a listener's connection
	challengedAt   int64
}

// timeWaitQueue holds the records of a host, the oldest first, so that it can be forgotten for a newer one.
type timeWaitQueue struct {
	first, last *timeWait
	len         int
}

// timeWait leaves a record in the connection's place.
func (c *Conn) timeWait(now int64) {
	w := &timeWait{
		entry: entry{id: c.id}, host: c.host, sndNxt: c.sndNxt, rcvNxt: c.rcvNxt, maxWnd: c.maxWnd, ts: c.ts,
		window: c.receiveWindow(), hopLimit: c.options.HopLimit, trafficClass: c.options.TrafficClass, accepted: c.accepted,
	}
	w.rcvEdge = c.rcvEdge
	acknowledge := c.pending&pendingACK != 0
	c.leave(TimeWait)
	h := c.host
	if h.timeWaits.len >= h.config.Limits.TimeWait {
		h.counters.TimeWaitEvicted++
		h.timeWaits.first.forget()
	}
	h.insert(&w.entry, w)
	h.timeWaits.push(w)
	w.start(now)
	if acknowledge {
		w.acknowledge(now)
	}
}

func (q *timeWaitQueue) push(w *timeWait) {
	w.previous, w.next = q.last, nil
	if q.last != nil {
		q.last.next = w
	} else {
		q.first = w
	}
	q.last = w
	q.len++
}

func (q *timeWaitQueue) remove(w *timeWait) {
	if w.previous != nil {
		w.previous.next = w.next
	} else {
		q.first = w.next
	}
	if w.next != nil {
		w.next.previous = w.previous
	} else {
		q.last = w.previous
	}
	w.previous, w.next = nil, nil
	q.len--
}

func (w *timeWait) start(now int64) {
	w.host.network.Timers().Arm(&w.timer, w, now+int64(w.host.config.TimeWait))
}

// Expire is called by the stack's timer heap when the time is over.
func (w *timeWait) Expire(int64) { w.forget() }

func (w *timeWait) forget() {
	w.host.network.Timers().Remove(&w.timer)
	w.host.remove(&w.entry)
	w.host.timeWaits.remove(w)
}

// segment is what TIME-WAIT does with an arriving segment.
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.7.4
func (w *timeWait) segment(now int64, s *segment) {
	h := w.host
	switch {
	case s.has(wire.TCPRst):
		w.reset(now, s)
		return
	case s.has(wire.TCPSyn) && !s.has(wire.TCPAck):
		w.syn(now, s)
		return
	case !s.has(wire.TCPAck | wire.TCPSyn):
		// "if the ACK bit is off, drop the segment and return"
		h.dropped(&h.counters.InNoAck, s.packet, "no ACK")
		return
	case w.ts.on && !s.options.HasTimestamps:
		// "If a non-<RST> segment is received without a TSopt, a TCP SHOULD silently drop the segment."
		// https://www.rfc-editor.org/rfc/rfc7323.html#section-3.2
		h.dropped(&h.counters.TimestampMissing, s.packet, "no timestamp")
		return
	case w.ts.on && w.ts.old(now, s.options.TSVal):
		h.dropped(&h.counters.TimestampOld, s.packet, "old timestamp")
		w.challenge(now)
		return
	}
	if w.ts.on {
		w.ts.update(now, s.options.TSVal, s.seq, w.rcvNxt)
	}
	switch {
	case s.has(wire.TCPFin) && s.end() == w.rcvNxt:
		// "The only thing that can arrive in this state is a retransmission of the remote FIN. Acknowledge it, and restart the 2
		// MSL timeout."
		w.start(now)
		h.timeWaits.remove(w)
		h.timeWaits.push(w)
		w.acknowledge(now)
	case s.spans() > 0, s.seq != w.rcvNxt, before(w.sndNxt, s.ack), before(s.ack, w.sndNxt-w.maxWnd):
		w.challenge(now)
	}
}

// reset takes a RST. It ends TIME-WAIT, but only if it is exactly in sequence: an old duplicate must not open the way for others
// (RFC 1337), nor a guess.
// https://www.rfc-editor.org/rfc/rfc5961.html#section-3.2
func (w *timeWait) reset(now int64, s *segment) {
	if s.seq == w.rcvNxt {
		w.host.counters.InRsts++
		w.forget()
		return
	}
	w.host.ignoreReset(s)
	if before(w.rcvNxt, s.seq) && before(s.seq, w.rcvEdge) {
		w.challenge(now)
	}
}

// syn takes a SYN, which may open a new incarnation of the connection.
func (w *timeWait) syn(now int64, s *segment) {
	o := w.host.opener(s)
	if o == nil || !w.precedes(s, o.defaults()) {
		// RFC 6191 would have it dropped silently. The acknowledgment finds out whether it is old: a peer that means it answers
		// with a reset that is exact, and tries again.
		w.challenge(now)
		return
	}
	if !o.admits(s) {
		return
	}
	// "it MAY accept a new SYN from the remote TCP endpoint to reopen the connection directly from TIME-WAIT state [...], if it:
	// (1) assigns its initial sequence number for the new connection to be larger than the largest sequence number it used on the
	// previous connection incarnation, and (2) returns to TIME-WAIT state if the SYN turns out to be an old duplicate."
	// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.6.1
	//
	// The second is not done: what precedes has asked of it is not an old one's.
	w.host.counters.TimeWaitReused++
	leastISS := w.leastISS()
	w.forget()
	o.open(now, s, leastISS)
}

// precedes reports whether a SYN to a listener with the options o comes from a later incarnation of the connection: its
// timestamp, where both have one, is later than all that came before, or, if the clock has not ticked since or there is none, its
// sequence number is. A SYN that would have timestamps where the connection had none cannot be an old one.
// https://www.rfc-editor.org/rfc/rfc6191.html#section-2
func (w *timeWait) precedes(s *segment, o *Options) bool {
	later := before(w.rcvNxt, s.seq)
	if !s.options.HasTimestamps || o.NoTimestamps {
		return later
	}
	return !w.ts.on || before(w.ts.recent, s.options.TSVal) || w.ts.recent == s.options.TSVal && later
}

// leastISS is the least initial sequence number of ours for another incarnation.
func (w *timeWait) leastISS() uint32 { return w.sndNxt + 65536 }

// reusable reports whether Dial may open another incarnation: the peer can tell its segments from those of this one by their
// timestamps, and so can this side once the peer's clock has ticked, which RFC 7323 has it do at least once a second.
// https://www.rfc-editor.org/rfc/rfc7323.html#section-5.4
func (w *timeWait) reusable(now int64) bool { return w.ts.on && w.ts.idle(now) >= int64(time.Second) }

// challenge answers a suspicious segment, not too often.
func (w *timeWait) challenge(now int64) {
	if w.challengedAt == 0 || now-w.challengedAt >= challengeInterval {
		w.challengedAt = max(now, 1)
		w.acknowledge(now)
	}
}

func (w *timeWait) acknowledge(now int64) {
	a := control{
		id: w.id, seq: w.sndNxt, ack: w.rcvNxt, flags: wire.TCPAck, window: w.window,
		hopLimit: w.hopLimit, trafficClass: w.trafficClass,
	}
	w.ts.echo(now, &a.options)
	w.host.sendControl(now, &a)
}

func (w *timeWait) unreachable(int64, *ip.Error, uint32) {}
