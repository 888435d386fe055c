package tcp

import (
	"github.com/smolnet/smolnet/core/tcp/congestion"
)

// acknowledge takes a segment's acknowledgment and window, and reports whether the segment's payload is to be looked at.
func (c *Conn) acknowledge(now int64, s *segment) bool {
	// "The ACK value is considered acceptable only if it is in the range of ((SND.UNA - MAX.SND.WND) <= SEG.ACK <= SND.NXT). All
	// incoming segments whose ACK value doesn't satisfy the above condition MUST be discarded and an ACK sent back."
	// https://www.rfc-editor.org/rfc/rfc5961.html#section-5.2
	if before(c.sndMax, s.ack) || before(s.ack, c.sndUna-c.maxWnd) {
		c.challenge(now)
		return false
	}
	c.alive(now)
	switch {
	case before(c.sndUna, s.ack):
		c.newlyAcked(now, s.ack)
		// Without a look at SND.WL1: nothing that came before this segment can be newer.
		c.setSendWindow(s)
	case s.ack == c.sndUna:
		window := c.sndWnd
		// "If SND.UNA =< SEG.ACK =< SND.NXT, the send window should be updated. If (SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and
		// SND.WL2 =< SEG.ACK)), set SND.WND <- SEG.WND, set SND.WL1 <- SEG.SEQ, and set SND.WL2 <- SEG.ACK."
		// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.7.4
		if before(c.sndWl1, s.origin) || c.sndWl1 == s.origin && beforeEq(c.sndWl2, s.ack) {
			c.setSendWindow(s)
		}
		// "An acknowledgment is considered a "duplicate" in the following algorithms when (a) the receiver of the ACK has
		// outstanding data, (b) the incoming acknowledgment carries no data, (c) the SYN and FIN bits are both off, (d) the
		// acknowledgment number is equal to the greatest acknowledgment received on the given connection [...] and (e) the
		// advertised window in the incoming acknowledgment equals the advertised window in the last incoming acknowledgment."
		// https://www.rfc-editor.org/rfc/rfc5681.html#section-2
		if c.sndMax != c.sndUna && s.bare && c.sndWnd == window && window != 0 {
			c.duplicateAck(now)
		}
	}
	return true
}

// newlyAcked moves SND.UNA to ack and on what follows from it.
func (c *Conn) newlyAcked(now int64, ack uint32) {
	acked := distance(c.sndUna, ack)
	flight := distance(c.sndUna, c.sndMax)
	limited := c.cwndLimited(flight)
	c.sndUna = ack
	c.sndNxt = latest(c.sndNxt, ack)
	c.softErr = 0
	c.timers.retries = 0
	c.timers.since = now
	c.pending &^= pendingProbe | pendingRetransmit
	c.path.Confirm(now)

	data := min(max(distance(c.sndBase, ack), 0), c.sndQ.Len())
	if data > 0 {
		c.sndQ.Discard(data)
		c.sndBase += uint32(data)
	}
	if sample := c.rtt.acked(now, ack, int64(c.host.config.MinRTO), int64(c.host.config.MaxRTO)); sample > 0 {
		c.host.counters.RTT.add(nanoseconds(sample))
		// "Note that after retransmitting, once a new RTT measurement is obtained (which can only happen when new data has been
		// sent and acknowledged), the computations outlined in Section 2 are performed, including the computation of RTO, which may
		// result in "collapsing" RTO back down after it has been subject to exponential back off". Not before: where the round
		// trip has grown beyond the RTO nothing could ever be measured.
		// https://www.rfc-editor.org/rfc/rfc6298.html#section-5
		c.timers.backoff = 0
	}
	impatient := c.recovery.active && c.recovery.partial
	if !c.recovery.acked(c, ack, acked) && data > 0 {
		c.congestion.Ack(&c.window, congestion.Ack{Acked: data, Flight: flight, MSS: int(c.sndMSS), Limited: limited})
	}
	// "When an ACK is received that acknowledges new data, restart the retransmission timer so that it will expire after RTO
	// seconds"
	// https://www.rfc-editor.org/rfc/rfc6298.html#section-5
	//
	// But: "For the first partial ACK that arrives during fast recovery, also reset the retransmit timer." After it the timer runs
	// on, "the Impatient variant": if a whole window was lost, it ends a repair of one segment a round trip.
	// https://www.rfc-editor.org/rfc/rfc6582.html#section-3.2
	if !impatient || !c.recovery.active {
		c.timers.kind = timerNone
	}
	c.tellWriter()
	if c.finAcked() {
		c.closeAcked(now)
	}
}

// finAcked reports whether everything this side will ever send, its FIN included, was acknowledged.
func (c *Conn) finAcked() bool {
	return c.sndClosed && c.sndUna == c.sndBase+uint32(c.sndQ.Len())+1
}

// cwndLimited reports whether it is the congestion window that keeps more from being in flight, or might soon.
func (c *Conn) cwndLimited(flight int) bool {
	if c.window.Cwnd < c.window.Ssthresh {
		// In slow start half the window in use is enough: it doubles a round trip.
		return 2*flight >= c.window.Cwnd
	}
	return flight+int(c.sndMSS) > c.window.Cwnd
}

// setSendWindow takes over a segment's window.
func (c *Conn) setSendWindow(s *segment) {
	window := s.window
	if !s.opening {
		// "The window field in a segment where the SYN bit is set (i.e., a <SYN> or <SYN,ACK>) MUST NOT be scaled."
		// https://www.rfc-editor.org/rfc/rfc7323.html#section-2.2
		window <<= c.sndShift
	}
	if c.sndWnd == 0 && window > 0 && c.timers.kind == timerPersist {
		// The window has opened: what was probed for is sent in earnest, from SND.UNA on. The probes were no attempts at that.
		c.timers.kind = timerNone
		c.timers.retries, c.timers.backoff = 0, 0
		c.sndNxt = c.sndUna
	}
	c.sndWnd = window
	c.maxWnd = max(c.maxWnd, window)
	c.sndWl1, c.sndWl2 = s.origin, s.ack
}
