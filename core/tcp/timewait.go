package tcp

import (
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
	window         uint16
	hopLimit       uint8
	trafficClass   uint8
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
		entry: entry{id: c.id}, host: c.host, sndNxt: c.sndMax, rcvNxt: c.rcvNxt, window: c.receiveWindow(),
		hopLimit: c.options.HopLimit, trafficClass: c.options.TrafficClass,
	}
	acknowledge := c.pending&pendingACK != 0
	c.leave(TimeWait)
	h := c.host
	if h.timeWaits.len >= h.config.Limits.TimeWait {
		h.counters.TimeWaitEvicted++
		h.timeWaits.first.forget()
	}
	h.table.insert(&w.entry, w)
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
	w.host.table.remove(&w.entry)
	w.host.timeWaits.remove(w)
}

// segment is what TIME-WAIT does with an arriving segment.
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.7.4
func (w *timeWait) segment(now int64, s *segment) {
	switch {
	case s.has(wire.TCPRst):
		// A reset ends it, but only one that is exactly in sequence: an old duplicate must not open the way for others (RFC
		// 1337), nor a guess (RFC 5961).
		if s.seq == w.rcvNxt {
			w.host.counters.InRsts++
			w.forget()
		} else {
			w.host.ignoreReset(s)
		}
	case s.has(wire.TCPSyn) && !s.has(wire.TCPAck) && before(w.rcvNxt, s.seq):
		// "it MAY accept a new SYN from the remote TCP endpoint to reopen the connection directly from TIME-WAIT state [...], if it:
		// (1) assigns its initial sequence number for the new connection to
		// be larger than the largest sequence number it used on the previous connection incarnation, and (2) returns to
		// TIME-WAIT state if the SYN turns out to be an old duplicate."
		// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.6.1
		//
		// The second is not done: a sequence number that is higher than all of the previous incarnation's is not an old one's.
		if l := w.host.listener(s.local, s.link); l != nil {
			if l.admits(s) {
				w.host.counters.TimeWaitReused++
				w.forget()
				l.open(now, s, w.sndNxt+65536)
			}
			return
		}
		w.acknowledge(now)
	case !s.has(wire.TCPAck | wire.TCPSyn):
		// "if the ACK bit is off, drop the segment and return"
		w.host.dropped(&w.host.counters.InNoAck, s.packet, "no ACK")
	case s.has(wire.TCPFin) && s.end() == w.rcvNxt:
		// "The only thing that can arrive in this state is a retransmission of the remote FIN. Acknowledge it, and restart the 2 MSL
		// timeout."
		w.start(now)
		w.host.timeWaits.remove(w)
		w.host.timeWaits.push(w)
		w.acknowledge(now)
	case s.spans() > 0, s.seq != w.rcvNxt, s.has(wire.TCPAck) && before(w.sndNxt, s.ack):
		if w.challengedAt == 0 || now-w.challengedAt >= challengeInterval {
			w.challengedAt = max(now, 1)
			w.acknowledge(now)
		}
	}
}

func (w *timeWait) acknowledge(now int64) {
	w.host.sendControl(now, &control{
		local: w.id.localAddrPort(), remote: w.id.remoteAddrPort(), link: w.id.link,
		seq: w.sndNxt, ack: w.rcvNxt, flags: wire.TCPAck, window: w.window,
		hopLimit: w.hopLimit, trafficClass: w.trafficClass,
	})
}

func (w *timeWait) unreachable(int64, *ip.Error, uint32) {}
