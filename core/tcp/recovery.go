package tcp

import (
	"github.com/smolnet/smolnet/core/tcp/congestion"
)

// recovery is where a connection stands in repairing what was lost.
//
//	           a segment lost                     timeout
//	  open ───────────────────▶ fast ──────────────────────▶ loss
//	   │ ▲                        │                            │
//	   │ └──── all that was in flight has arrived, or undo ────┘
//	   ▼
//	reduced: a router has marked a packet; as fast, but that nothing was lost
type recovery struct {
	phase   phase
	frto    frto
	partial bool // a partial acknowledgment has come in this recovery
}

type phase uint8

const (
	phaseOpen    phase = iota // nothing is known to be lost
	phaseReduced              // the congestion window comes down because of a mark (RFC 3168)
	phaseFast                 // fast recovery: losses were found by what has arrived
	phaseLoss                 // after a retransmission timeout
)

// takeLosses follows up what the acknowledgment a has brought to light, and has congestion control know.
func (c *Conn) takeLosses(now int64, a *acknowledgment) {
	f := c.flight
	if !c.sackOK && f.recovery.phase != phaseLoss {
		c.countDuplicates(a)
	}
	c.leaveRecovery(now, a)
	switch f.recovery.phase {
	case phaseOpen:
		if a.duplicated && f.undo.again && f.undo.possible(a) {
			c.undoReduction() // the report of the last copy that was not needed comes behind the end of recovery
		}
	case phaseLoss:
		c.judgeTimeout(a)
	case phaseFast:
		if a.moved {
			c.partialAck(now, a)
		}
	}
	if c.sackOK {
		f.rack.acked(now, a)
		if all := f.sent.all(); a.sacked > 0 && len(all) > 0 && a.newestAt < all[0].sentAt {
			// What left before the first segment was last sent still arrives, so that the answer to that is not due: a queue may
			// have grown by more in a round trip than the timeout allows for. This departs from RFC 6298, and lasts for a round
			// trip at most.
			if f.restarted = now; c.timers.kind == timerRetransmit {
				c.timers.kind = timerNone
			}
		}
		a.lost += c.detectLosses(now)
	} else if f.dupAcks >= dupThresh && f.recovery.phase < phaseFast && before(c.recover, c.sndUna) {
		// "When the third duplicate ACK is received, the TCP sender first checks the value of recover to see if the Cumulative
		// Acknowledgment field covers more than recover."
		// https://www.rfc-editor.org/rfc/rfc6582.html#section-3.2
		a.lost += c.loseFirst()
	}
	if a.lost > 0 && f.recovery.phase < phaseFast {
		c.enterRecovery(now, a)
	}
	c.tailProbeAcked(now, a)
	c.controlCongestion(now, a)
}

// enterRecovery begins fast recovery.
func (c *Conn) enterRecovery(now int64, a *acknowledgment) {
	f := c.flight
	c.host.counters.FastRetransmits++
	if f.recovery.phase == phaseOpen {
		c.slowDown(now, a, false)
	} // else the window comes down already, for the same round trip
	f.recovery = recovery{phase: phaseFast}
	c.recover = c.sndNxt
	c.probe.out = false // RACK tells now
	c.pending |= pendingRetransmit
	c.timers.kind, f.restarted = timerNone, now // started over as the segment leaves
}

// slowDown has congestion control know of a loss, or a mark, and begins to reduce what is in flight.
func (c *Conn) slowDown(now int64, a *acknowledgment, mark bool) {
	f := c.flight
	f.undo.begin(c)
	flight := min(distance(c.sndUna, c.sndNxt)+a.acked, max(c.window.Cwnd, a.prior))
	c.congestion.Loss(&c.window, congestion.Loss{Now: now, Flight: flight, MSS: int(c.sndMSS), ECN: mark})
	if c.validation != nil {
		if used, ok := c.validation.loss(now, c.rtt.srtt, f.undo.window.Cwnd, f.undo.window.Ssthresh, flight, int(c.sndMSS)); ok {
			c.window.Ssthresh = min(c.window.Ssthresh, used)
		}
	}
	f.prr.start(a.prior)
	c.tellReduced()
}

// endReduction ends what slowDown began: the window is set for what follows.
func (c *Conn) endReduction(now int64) {
	c.congestion.Recovered(&c.window, c.congestionNow(now))
	if c.validation != nil {
		if used, ok := c.validation.recovered(now, c.flight.undo.octets, int(c.sndMSS)); ok {
			c.window.Cwnd, c.window.Ssthresh = min(c.window.Cwnd, used), min(c.window.Ssthresh, used)
		}
	}
}

// validate reports whether the window is being used, so that it may grow; a Controller that is autonomous is not asked after that.
func (c *Conn) validate(now int64, a *acknowledgment) bool {
	if c.window.Autonomous {
		return false
	}
	if c.validation == nil {
		if 2*a.prior < c.window.Cwnd {
			return false
		}
		c.own().validation = new(validation)
	}
	v := c.validation
	v.acked(now, a.acked, c.rtt.srtt)
	limited := v.limited(now, c.rtt.srtt, c.window.Cwnd, c.window.Ssthresh, a.prior)
	c.expireWindow(now)
	return limited
}

// expireWindow takes back what of the window has not been used for long.
func (c *Conn) expireWindow(now int64) {
	if c.validation != nil {
		c.window.Cwnd, c.window.Ssthresh = c.validation.expire(now, c.window.Cwnd, c.window.Ssthresh, c.initialWindow())
	}
}

// enterLoss begins anew after a retransmission timeout.
func (c *Conn) enterLoss(now int64) {
	f := c.flight
	doubtful := f.recovery.phase < phaseFast
	// "When a TCP sender detects segment loss using the retransmission timer and the given segment has not yet been resent by way
	// of the retransmission timer, the value of ssthresh MUST be set". If it has, ssthresh is kept.
	// https://www.rfc-editor.org/rfc/rfc5681.html#section-3.1
	if c.timers.retries == 1 {
		if doubtful {
			f.undo.begin(c)
		} // else what it remembers is from before the repair that is under way, all of which must prove needless
		flight := min(distance(c.sndUna, c.sndNxt), c.window.Cwnd)
		if c.validation != nil {
			c.validation.restart(now)
		}
		c.congestion.Timeout(&c.window, congestion.Loss{Now: now, Flight: flight, MSS: int(c.sndMSS)})
		c.tellReduced()
	}
	if all := f.sent.all(); len(all) > 0 && all[0].is(sentSacked) {
		// "Because the data receiver is allowed to discard SACKed data, when a retransmit timeout occurs the data sender MUST
		// ignore prior SACK information in determining which data to retransmit." Only of a peer that shows it has done so is it
		// ignored here, as what others hold need not be sent again.
		// https://www.rfc-editor.org/rfc/rfc2018.html#section-5.1
		f.sent.renege()
	}
	if c.sackOK {
		c.loseLate(now)
	} else {
		f.sent.loseAll()
	}
	c.suspectBlackHole(now)
	f.dupAcks, f.dupOctets = 0, 0
	c.probe.out = false
	c.pending &^= pendingTailProbe
	f.recovery = recovery{phase: phaseLoss}
	if doubtful {
		f.recovery.frto = frtoFirst
	}
	c.recover = c.sndNxt
	c.pending |= pendingRetransmit
}

// reorderExpired is the expiry of RACK's reordering timer: what has still not arrived is lost.
func (c *Conn) reorderExpired(now int64) {
	if c.flight == nil {
		return
	}
	a := &c.host.acking
	*a = acknowledgment{prior: c.inFlight()}
	a.lost = c.detectLosses(now)
	if a.lost > 0 {
		if c.flight.recovery.phase < phaseFast {
			c.enterRecovery(now, a)
		}
		c.controlCongestion(now, a)
	}
}

// partialAck is an acknowledgment in fast recovery that moves SND.UNA, but not beyond recover.
func (c *Conn) partialAck(now int64, a *acknowledgment) {
	f := c.flight
	if f.undo.delayed(a) {
		// What has arrived left before it was sent again: it was late, not lost.
		f.sent.findLost()
		c.undoReduction()
		return
	}
	f.recovery.partial = true
	if !c.sackOK {
		// "Partial acknowledgments: If this ACK does *not* acknowledge all of the data up to and including recover, then this is a
		// partial ACK. In this case, retransmit the first unacknowledged segment."
		// https://www.rfc-editor.org/rfc/rfc6582.html#section-3.2
		a.lost += c.loseFirst()
		c.pending |= pendingRetransmit
	}
}

// leaveRecovery ends a recovery whose every octet has arrived.
func (c *Conn) leaveRecovery(now int64, a *acknowledgment) {
	f := c.flight
	r := &f.recovery
	if r.phase == phaseOpen || before(c.sndUna, c.recover) {
		return
	}
	was := r.phase
	a.ends = was != phaseLoss
	spurious := was != phaseReduced && f.undo.possible(a)
	*r = recovery{}
	if spurious {
		c.undoReduction()
	} else if was != phaseLoss {
		c.endReduction(now)
	}
	if was != phaseReduced {
		c.reordering.recovered()
	}
	if was != phaseLoss {
		f.dupAcks, f.dupOctets = 0, 0
	}
}

// controlCongestion tells congestion control what was delivered, and sets the window in recovery.
func (c *Conn) controlCongestion(now int64, a *acknowledgment) {
	if a.delivered == 0 && a.lost == 0 {
		return
	}
	f := c.flight
	phase := f.recovery.phase
	reducing := phase == phaseFast || phase == phaseReduced
	if reducing && !c.window.Autonomous {
		c.window.Cwnd = f.prr.window(a.delivered, c.inFlight(), c.window.Ssthresh, int(c.sndMSS), a.moved && a.lost == 0)
	}
	ack := &c.host.ack
	*ack = congestion.Ack{
		Now: now, Acked: a.acked, Delivered: a.delivered, Lost: a.lost, Prior: a.prior, Flight: c.inFlight(),
		MSS: int(c.sndMSS), Una: c.sndUna, Nxt: c.sndNxt,
		Limited: c.validate(now, a), Recovering: reducing || a.ends,
		RTT: a.rtt, SRTT: c.rtt.srtt, MinRTT: c.rtt.min,
		Rate: f.delivery.sample(c.rtt.min),
	}
	c.measured(&ack.Rate)
	c.congestion.Ack(&c.window, ack)
}

// congestionNow is what congestion control is told of what is in flight.
func (c *Conn) congestionNow(now int64) congestion.Loss {
	return congestion.Loss{Now: now, Flight: c.inFlight(), MSS: int(c.sndMSS)}
}

// loseFirst takes the first segment that is not acknowledged for lost.
func (c *Conn) loseFirst() (lost int) {
	s := &c.flight.sent
	last, _ := s.split(c.sndUna+uint32(c.sndMSS), maxSentRanges)
	for i := range min(max(last, 1), len(s.all())) {
		lost += s.lose(i)
	}
	return lost
}

// countDuplicates counts duplicate acknowledgments on a connection without selective ones: each says that a segment has arrived,
// and that one before it has not.
func (c *Conn) countDuplicates(a *acknowledgment) {
	f, mss := c.flight, int(c.sndMSS)
	switch {
	case a.moved:
		// What is acknowledged now beyond one segment are those that the duplicates stood for.
		// Some may have stood for nothing: the first segment, at least, has not arrived.
		f.dupOctets = max(min(f.dupOctets-max(a.acked-mss, 0), distance(c.sndUna, c.sndNxt)-mss), 0)
		f.dupAcks = 0
		if f.recovery.phase == phaseOpen {
			f.dupOctets = 0
		}
	case a.duplicate:
		f.dupAcks++
		if room := distance(c.sndUna, c.sndNxt) - f.sent.lost - mss; f.dupOctets < room {
			n := min(mss, room-f.dupOctets)
			f.dupOctets += n
			a.delivered += n
		}
	}
}
