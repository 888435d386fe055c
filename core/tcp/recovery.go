package tcp

// recovery finds lost segments by duplicate acknowledgments and sends them again: the fast retransmit of RFC 5681 with the
// NewReno modification of RFC 6582.
type recovery struct {
	dupAcks uint16
	active  bool
	partial bool   // a partial acknowledgment has been seen in this recovery
	recover uint32 // SND.MAX when recovery was last entered, or the retransmission timer last expired
}

// start sets recover "to the initial send sequence number".
// https://www.rfc-editor.org/rfc/rfc6582.html#section-3.2
func (r *recovery) start(iss uint32) { r.recover = iss }

// duplicateAck counts a duplicate acknowledgment.
func (c *Conn) duplicateAck(now int64) {
	r := &c.recovery
	mss := int(c.sndMSS)
	if r.active {
		// "For each additional duplicate ACK received (after the third), cwnd MUST be incremented by SMSS. This artificially
		// inflates the congestion window in order to reflect the additional segment that has left the network."
		// https://www.rfc-editor.org/rfc/rfc5681.html#section-3.2
		c.window.Cwnd = min(c.window.Cwnd+mss, maxBuffer)
		return
	}
	r.dupAcks++
	// "When the third duplicate ACK is received, the TCP sender first checks the value of recover to see if the Cumulative
	// Acknowledgment field covers more than recover. If so, the value of recover is incremented to the value of the highest
	// sequence number transmitted by the TCP so far. The TCP then enters fast retransmit".
	// https://www.rfc-editor.org/rfc/rfc6582.html#section-3.2
	if r.dupAcks != 3 || beforeEq(c.sndUna, r.recover) {
		return
	}
	flight := distance(c.sndUna, c.sndMax)
	r.active, r.partial = true, false
	r.recover = c.sndMax
	c.host.counters.FastRetransmits++
	c.congestion.Loss(&c.window, flight, mss)
	// "The lost segment starting at SND.UNA MUST be retransmitted and cwnd set to ssthresh plus 3*SMSS."
	// https://www.rfc-editor.org/rfc/rfc5681.html#section-3.2
	c.window.Cwnd = c.window.Ssthresh + 3*mss
	c.pending |= pendingRetransmit
	c.timers.kind = timerNone // restarted as the segment leaves
}

// acked learns that ack has moved SND.UNA by acked octets. It reports whether recovery decides about the congestion window, rather
// than congestion control.
func (r *recovery) acked(c *Conn, ack uint32, acked int) bool {
	r.dupAcks = 0
	if !r.active {
		// Drawn along, lest it lie ahead again once half of the sequence space has been sent without a loss.
		if before(r.recover, ack-1) {
			r.recover = ack - 1
		}
		return false
	}
	mss := int(c.sndMSS)
	if !before(ack, r.recover) {
		// "Full acknowledgments: If this ACK acknowledges all of the data up to and including recover, [...] Exit the fast recovery
		// procedure."
		// https://www.rfc-editor.org/rfc/rfc6582.html#section-3.2
		r.active = false
		c.congestion.Recovered(&c.window, distance(ack, c.sndMax), mss)
		return true
	}
	// "Partial acknowledgments: If this ACK does *not* acknowledge all of the data up to and including recover, then this is a
	// partial ACK. In this case, retransmit the first unacknowledged segment. Deflate the congestion window by the amount of new
	// data acknowledged by the Cumulative Acknowledgment field. If the partial ACK acknowledges at least one SMSS of new data, then
	// add back SMSS bytes to the congestion window."
	// https://www.rfc-editor.org/rfc/rfc6582.html#section-3.2
	r.partial = true
	c.window.Cwnd = max(c.window.Cwnd-acked, mss)
	if acked >= mss {
		c.window.Cwnd += mss
	}
	c.pending |= pendingRetransmit
	return true
}

// timeout ends recovery, since the retransmission timer starts over.
//
// "After a retransmit timeout, record the highest sequence number transmitted in the variable recover, and exit the fast recovery
// procedure if applicable."
// https://www.rfc-editor.org/rfc/rfc6582.html#section-3.2
func (r *recovery) timeout(sndMax uint32) {
	r.active, r.partial, r.dupAcks = false, false, 0
	r.recover = sndMax
}
