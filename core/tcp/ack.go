package tcp

// acknowledgment is what an arriving segment tells of what was sent, as it is found out.
type acknowledgment struct {
	prior     int  // octets in flight before it
	moved     bool // SND.UNA has moved
	duplicate bool // by RFC 5681's definition
	acked     int  // octets newly acknowledged cumulatively
	sacked    int  // octets newly acknowledged selectively
	delivered int  // octets newly known to have arrived
	lost      int  // octets newly taken for lost
	ends      bool // it has ended a reduction: the window is where it was to come down to, and this does not have it grow

	again      bool // something is acknowledged cumulatively that was sent again
	original   bool // something has arrived that was in flight at the latest loss and not sent again since
	beyond     bool // something has arrived that was first sent since the latest loss
	duplicated bool // it tells of octets that have arrived twice (RFC 2883), up to duplicateEnd

	duplicateEnd uint32

	newestAt  int64 // when what was sent last left, of what was delivered and is sure to be what has arrived; 0: there is none
	newestEnd uint32

	firstSentAt int64 // when the first of those acknowledged left that were sent once; 0: none were
	lastSentAt  int64 // when the last of those delivered left that were sent once; 0: none were
	rtt         int64 // the latest round trip, 0 if not known
	hasEcho     bool
	echo        uint32 // TSecr
}

// acknowledge takes a segment's acknowledgment and window, and reports whether the segment's payload is to be looked at.
func (c *Conn) acknowledge(now int64, s *segment) bool {
	// "The ACK value is considered acceptable only if it is in the range of ((SND.UNA - MAX.SND.WND) <= SEG.ACK <= SND.NXT). All
	// incoming segments whose ACK value doesn't satisfy the above condition MUST be discarded and an ACK sent back."
	// https://www.rfc-editor.org/rfc/rfc5961.html#section-5.2
	if before(c.sndNxt, s.ack) || before(s.ack, c.sndUna-c.maxWnd) {
		c.challenge(now)
		return false
	}
	if c.ts.on && s.options.HasTimestamps {
		// Not before the acknowledgment was found acceptable: one forged segment with a timestamp far ahead would have all that
		// follow taken for old.
		c.ts.update(now, s.options.TSVal, s.origin, c.rcvAcked)
	}
	c.alive(now)
	a := &c.host.acking
	*a = acknowledgment{
		prior:   c.inFlight(),
		hasEcho: s.options.HasTimestamps && c.ts.on, echo: s.options.TSEcr,
	}
	una, window := c.sndUna, c.sndWnd
	switch {
	case before(c.sndUna, s.ack):
		a.moved = true
		c.newlyAcked(now, s.ack, a)
		// Without a look at SND.WL1: nothing that came before this segment can be newer.
		c.setSendWindow(s)
	case s.ack == c.sndUna:
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
		a.duplicate = c.sndNxt != c.sndUna && s.bare && c.sndWnd == window && window != 0
	}
	if c.sackOK && s.options.NumSACK > 0 {
		c.takeSACK(now, s, una, a)
	}
	if c.flight == nil {
		c.tailProbeAcked(now, a)
	} else {
		c.takeRTT(now, a)
		c.takeMark(now, s, a)
		c.takeLosses(now, a)
		if c.flight.sent.empty() && c.unsent() <= 0 {
			c.land() // what it remembers of a repair is of use for as long as more is sent
		}
	}
	if a.moved {
		c.charge() // what was acknowledged leaves room
		c.tuneSend()
		c.tellWriter()
		if c.finAcked() {
			c.closeAcked(now)
		}
	}
	return true
}

// newlyAcked moves SND.UNA to ack and on what follows from it.
func (c *Conn) newlyAcked(now int64, ack uint32, a *acknowledgment) {
	c.sndUna = ack
	c.softErr = 0
	c.timers.retries = 0
	c.timers.since = now
	c.pending &^= pendingProbe | pendingRetransmit | pendingTailProbe
	c.path.Confirm(now)

	data := min(max(distance(c.sndBase, ack), 0), c.sndQ.Len())
	if data > 0 {
		c.sndQ.Discard(data)
		c.sndBase += uint32(data)
	}
	// "When an ACK is received that acknowledges new data, restart the retransmission timer so that it will expire after RTO
	// seconds"
	// https://www.rfc-editor.org/rfc/rfc6298.html#section-5
	//
	// But: "For the first partial ACK that arrives during fast recovery, also reset the retransmit timer." After it the timer runs
	// on, "the Impatient variant": if a whole window was lost, it ends a repair of one segment a round trip.
	// https://www.rfc-editor.org/rfc/rfc6582.html#section-3.2
	f := c.flight
	if (f == nil || f.recovery.phase == phaseOpen) && before(c.recover, ack-1) {
		c.recover = ack - 1 // drawn along, lest it lie ahead again once half of the sequence space has been sent without a loss
	}
	impatient := f != nil && !c.sackOK && f.recovery.phase == phaseFast && f.recovery.partial && before(ack, c.recover)
	if !impatient {
		c.timers.kind = timerNone
	}
	if f == nil {
		return
	}
	if !impatient {
		f.restarted = now
	}
	f.sent.discard(ack, func(r sentRange) {
		a.acked += r.len()
		if !r.is(sentSacked) {
			c.arrived(now, r, a)
			if r.is(sentAgain) {
				a.again = true
			} else if a.firstSentAt == 0 || r.sentAt < a.firstSentAt {
				a.firstSentAt = r.sentAt
			}
		}
	})
}

// arrived notes that r, a part of what was sent, is now known to have arrived.
func (c *Conn) arrived(now int64, r sentRange, a *acknowledgment) {
	f := c.flight
	a.delivered += r.len()
	f.delivery.arrived(now, r)
	if c.mtu != nil {
		c.mtuArrived(now, r)
	}
	again := r.is(sentAgain)
	if !again {
		a.lastSentAt = max(a.lastSentAt, r.sentAt)
		if beforeEq(r.end, c.recover) {
			a.original = true
		} else {
			a.beyond = true
		}
	}
	if !c.sackOK {
		return
	}
	if f.rack.overtaken(r) {
		c.reordering.seen = true
	}
	// Of what was sent again it may be the earlier copy that has arrived: it is if the timestamp echoed says so, or if it would
	// have been faster than the path.
	earlier := again && (now-r.sentAt < c.rtt.min || a.hasEcho && before(a.echo, c.ts.val(r.sentAt)))
	if !earlier && sentAfter(r.sentAt, r.end, a.newestAt, a.newestEnd) {
		a.newestAt, a.newestEnd = r.sentAt, r.end
	}
}

// takeRTT measures the round trip, if the acknowledgment lets it be known.
func (c *Conn) takeRTT(now int64, a *acknowledgment) {
	sample := int64(0)
	switch {
	case a.firstSentAt != 0 && !a.again:
		// What is acknowledged along with something that was sent again may have arrived long before, and waited for it.
		sample = max(now-a.firstSentAt, 1)
	case a.moved && a.delivered > 0 && a.hasEcho && a.echo != 0:
		// What was sent again is measured by the timestamp that it carried: RFC 7323, section 4.1.
		// https://www.rfc-editor.org/rfc/rfc7323.html#section-4.1
		if ticks := distance(a.echo, c.ts.val(now)); ticks >= 0 && int64(ticks)*tsTick < int64(c.host.config.MaxRTO) {
			sample = max(int64(ticks), 1) * tsTick
		}
	}
	highest := c.sndUna
	if sample == 0 && a.sacked > 0 && a.lastSentAt != 0 {
		// While a hole is repaired nothing is acknowledged cumulatively for a round trip and more, and a queue that fills meanwhile
		// would have the timer expire. What has arrived behind the hole and left once has come as directly.
		sample = max(now-a.lastSentAt, 1)
		highest = latest(highest, c.flight.rack.fack)
	}
	a.rtt = sample
	if a.lastSentAt != 0 && !a.again {
		a.rtt = max(now-a.lastSentAt, 1)
	}
	if sample == 0 {
		if a.rtt != 0 {
			c.rtt.least(a.rtt)
		}
		return
	}
	c.rtt.least(a.rtt)
	c.probe.spent = false
	if c.sampleRTT(sample, highest) {
		c.host.counters.RTT.add(nanoseconds(sample))
	}
	// "Note that after retransmitting, once a new RTT measurement is obtained (which can only happen when new data has been
	// sent and acknowledged), the computations outlined in Section 2 are performed, including the computation of RTO, which may
	// result in "collapsing" RTO back down after it has been subject to exponential back off". Not before: where the round
	// trip has grown beyond the RTO nothing could ever be measured.
	// https://www.rfc-editor.org/rfc/rfc6298.html#section-5
	c.timers.backoff = 0
}

// finAcked reports whether everything this side will ever send, its FIN included, was acknowledged.
func (c *Conn) finAcked() bool {
	return c.sndClosed && c.sndUna == c.finSeqOut()+1
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
		c.timers.since = c.timers.lastReceived
	}
	c.sndWnd = window
	c.maxWnd = max(c.maxWnd, window)
	c.sndWl1, c.sndWl2 = s.origin, s.ack
}

// sampleRTT takes a measured round trip that has ended as una was acknowledged, unless one of the same round trip was taken
// already, and reports whether it did: many acknowledgments are not to outweigh what the round trips before have said, which is
// what RFC 7323's appendix G is about.
func (c *Conn) sampleRTT(d int64, una uint32) bool {
	if c.rtt.srtt != 0 && before(una, c.rttSeq) {
		return false
	}
	c.rttSeq = c.sndNxt + 1
	c.rtt.sample(d, int64(c.host.config.MinRTO), int64(c.host.config.MaxRTO))
	return true
}
