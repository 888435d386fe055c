package tcp

// rack tells lost segments from late ones by time: what was sent well before something that has arrived is lost. It takes
// selective acknowledgments.
// https://www.rfc-editor.org/rfc/rfc8985.html
type rack struct {
	sentAt int64 // RACK.xmit_ts: when the segment sent last of those delivered was sent; 0: none was delivered yet
	end    uint32
	rtt    int64  // RACK.rtt: that segment's
	fack   uint32 // RACK.fack: after the highest octet that has arrived
}

// reordering is what a connection has learned of its path's reordering: part of RACK's state that outlives a flight.
type reordering struct {
	seen    bool  // RACK.reordering_seen
	mult    uint8 // RACK.reo_wnd_mult, less 1
	persist uint8 // RACK.reo_wnd_persist: recoveries until mult is forgotten
	rounds  bool  // whether round means something
	round   uint32
}

// The numbers that RFC 8985 suggests.
const (
	dupThresh      = 3
	reoWndPersists = 16
)

// A scoreboard of more than so many ranges is gone through no more often than takes a small part of the time: a peer whose
// acknowledgments keep it large would else have each of them cost a walk. Who has so much in flight has a round trip that is long
// against it.
const (
	manyRanges = 4096
	rangePause = 100 // ns for each
)

// sentAfter reports whether what ends at aEnd was sent after what ends at bEnd: RACK_sent_after.
func sentAfter(aAt int64, aEnd uint32, bAt int64, bEnd uint32) bool {
	return aAt > bAt || aAt == bAt && before(bEnd, aEnd)
}

// overtaken notes that r was delivered, and reports whether others that were sent after it had been before. What one acknowledgment
// tells of comes in the order of sequence numbers.
func (k *rack) overtaken(r sentRange) bool {
	if before(k.fack, r.end) {
		k.fack = r.end
		return false
	}
	return before(r.end, k.fack) && !r.is(sentAgain)
}

// acked notes when what was sent last of what an acknowledgment has told of had left.
func (k *rack) acked(now int64, a *acknowledgment) {
	if a.newestAt == 0 {
		return
	}
	k.rtt = now - a.newestAt
	if sentAfter(a.newestAt, a.newestEnd, k.sentAt, k.end) {
		k.sentAt, k.end = a.newestAt, a.newestEnd
	}
}

// duplicate learns that a DSACK has come: something was sent again without need, so more reordering must be borne with.
//
// "Grow the reordering window per round that sees DSACK. Reset the window after 16 DSACK-free recoveries"
// https://www.rfc-editor.org/rfc/rfc8985.html#section-6.2
func (o *reordering) duplicate(una, nxt uint32) {
	if o.rounds && before(una, o.round) && beforeEq(o.round, nxt) {
		return // this round trip's; one beyond SND.NXT is from before the sequence numbers came around
	}
	o.rounds, o.round = true, nxt
	o.mult = saturate(o.mult)
	o.persist = reoWndPersists
}

// recovered learns that a recovery is over.
func (o *reordering) recovered() {
	if o.persist > 0 {
		if o.persist--; o.persist == 0 {
			o.mult = 0
		}
	}
}

// window is how much later than what was sent after it a segment may arrive: RACK.reo_wnd. urgent says that recovery is under
// way, or that three segments have arrived ahead.
func (o *reordering) window(minRTT, srtt int64, urgent bool) int64 {
	if !o.seen && urgent {
		return 0
	}
	return min((int64(o.mult)+1)*minRTT/4, srtt)
}

// urgent reports whether losses are being repaired, or three segments have arrived ahead: they are more than two full ones, as
// RFC 6675 counts them in octets.
func (c *Conn) urgent() bool {
	f := c.flight
	return f != nil && (f.recovery.phase >= phaseFast || f.sent.sacked > (dupThresh-1)*int(c.sndMSS))
}

// detectLosses takes for lost what RACK says is, and returns how many octets that are. Segments that may yet turn out to be lost
// have the reordering timer run.
// https://www.rfc-editor.org/rfc/rfc8985.html#section-6.2
func (c *Conn) detectLosses(now int64) (lost int) {
	f := c.flight
	k, s := &f.rack, &f.sent
	if k.sentAt == 0 || s.empty() {
		return 0
	}
	if n := len(s.all()); n > manyRanges {
		if due := f.lookedAt + int64(n)*rangePause; now < due {
			c.timers.kind, c.timers.at = timerReorder, due
			return 0
		}
		f.lookedAt = now
	}
	patience := k.rtt + c.reordering.window(c.rtt.min, c.rtt.srtt, c.urgent())
	wait := int64(0)
	for i := range s.all() {
		r := &s.all()[i]
		if r.is(sentSacked | sentLost) {
			continue
		}
		if !sentAfter(k.sentAt, k.end, r.sentAt, r.end) {
			// Whatever is behind was sent later still, but for what was sent again.
			if !s.resends || !before(r.end, s.resentTo) {
				break
			}
			continue
		}
		if r.is(sentAgain) && r.sentAt == now {
			// Of what left at the same time the ends tell the order, but not of what was sent again: on a loopback, and by a coarse
			// clock, it has left after all that has arrived, and would leave once more for every acknowledgment of this moment.
			continue
		}
		if left := r.sentAt + patience - now; left <= 0 {
			probe := r.is(sentProbe)
			n := s.lose(i)
			if probe {
				c.pending |= pendingRetransmit // that tells of its size, not of congestion
			} else {
				lost += n
			}
		} else {
			wait = max(wait, left)
		}
	}
	if wait > 0 {
		c.timers.kind, c.timers.at = timerReorder, now+wait
	} else if c.timers.kind == timerReorder {
		c.timers.kind = timerNone
	}
	return lost
}

// loseLate takes for lost what is at a retransmission timeout.
//
// "Upon RTO timer expiration, RACK marks the first outstanding segment as lost (since it was sent an RTO ago); for all the other
// segments, RACK only marks the segment as lost if the time elapsed since the segment was transmitted is at least the sum of the
// recent RTT and the reordering window."
// https://www.rfc-editor.org/rfc/rfc8985.html#section-6.3
func (c *Conn) loseLate(now int64) {
	f := c.flight
	c.loseFirst()
	patience := f.rack.rtt + c.reordering.window(c.rtt.min, c.rtt.srtt, true)
	for i, r := range f.sent.all() {
		if r.sentAt+patience <= now {
			f.sent.lose(i)
		}
	}
}
