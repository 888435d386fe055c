package tcp

import (
	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/wire"
)

// segment takes an arriving segment: RFC 9293 section 3.10.7.
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.7
func (c *Conn) segment(now int64, s *segment) {
	if c.state == SynSent {
		c.segmentSynSent(now, s)
	} else {
		c.segmentSynchronized(now, s)
	}
	if c.state == Closed || c.state == TimeWait {
		return
	}
	c.charge()
	c.ready()
	c.setTimers(now)
}

// segmentSynSent is "SYN-SENT STATE".
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.7.3
func (c *Conn) segmentSynSent(now int64, s *segment) {
	acceptable := s.has(wire.TCPAck) && !beforeEq(s.ack, c.iss) && beforeEq(s.ack, c.sndNxt+c.dataInSYN())
	if s.has(wire.TCPAck) && !acceptable {
		// "If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset (unless the RST bit is set, if so drop the segment and return)"
		c.host.refuse(now, s)
		return
	}
	if s.has(wire.TCPRst) {
		// "If the ACK was acceptable, then signal to the user "error: connection reset", drop the segment, enter CLOSED state"
		if acceptable {
			c.host.counters.InRsts++
			c.fail(ip.ErrConnectionRefused)
		} else {
			c.host.ignoreReset(s)
		}
		return
	}
	if !s.has(wire.TCPSyn) {
		// "if neither of the SYN or RST bits is set, then drop the segment and return."
		c.host.dropped(&c.host.counters.InNoSyn, s.packet, "before the peer's SYN")
		return
	}
	c.receivedSYN(now, s)
	c.agreeECN(s)
	s.trimFront(c.rcvNxt)
	if !acceptable {
		// "Otherwise, enter SYN-RECEIVED, form a SYN,ACK segment <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK> and send it."
		// Data in this segment is not acknowledged, so the peer repeats it.
		c.setState(SynReceived)
		c.own().fastOpen = nil // not with both sides opening: the data follows
		c.pending |= pendingSYN
		return
	}
	c.pending &^= pendingSYN
	retries := c.timers.retries
	c.synAcked(now, s)
	c.fastOpenAcked(now, s)
	c.alive(now)
	c.established(retries)
	c.pending |= pendingACK
	s.trimBack(c.rcvEdge)
	c.payload(now, s)
}

// segmentSynchronized is "OTHER STATES".
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.7.4
func (c *Conn) segmentSynchronized(now int64, s *segment) {
	if c.openedFast() && c.synAgain(now, s) || c.ts.on && !c.timely(now, s) || !c.inWindow(now, s) {
		return
	}
	if s.has(wire.TCPRst) {
		c.reset(now, s)
		return
	}
	if s.has(wire.TCPSyn) {
		// "RFC 5961 recommends that in these synchronized states, if the SYN bit is set, irrespective of the sequence number, TCP
		// endpoints MUST send a "challenge ACK" to the remote peer"
		// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.7.4
		//
		// In SYN-RECEIVED, reached when both sides opened, the peer's SYN|ACK repeats its SYN and was trimmed by now.
		c.challenge(now)
		return
	}
	if !s.has(wire.TCPAck) {
		// "if the ACK bit is off, drop the segment and return"
		c.host.dropped(&c.host.counters.InNoAck, s.packet, "no ACK")
		return
	}
	if c.state == SynReceived || c.openedFast() {
		if beforeEq(s.ack, c.iss) || before(c.sndNxt, s.ack) {
			if !before(s.origin, c.rcvNxt) {
				c.host.refuse(now, s)
			} // else it is old, and an acknowledgment says so
			return
		}
		if c.openedFast() {
			c.completeFastOpen(now, s)
		} else {
			retries := c.timers.retries
			c.synAcked(now, s)
			c.established(retries)
		}
	}
	c.resumed(now, s)
	if !c.acknowledge(now, s) || c.state == Closed || c.state == TimeWait {
		return
	}
	c.payload(now, s)
}

// timely reports whether a segment on a connection with timestamps is to be looked at: PAWS, the protection against wrapped
// sequence numbers.
// https://www.rfc-editor.org/rfc/rfc7323.html#section-5.3
func (c *Conn) timely(now int64, s *segment) bool {
	switch {
	case s.has(wire.TCPRst):
		return true
	case !s.options.HasTimestamps:
		// "If a non-<RST> segment is received without a TSopt, a TCP SHOULD silently drop the segment."
		// https://www.rfc-editor.org/rfc/rfc7323.html#section-3.2
		c.host.dropped(&c.host.counters.TimestampMissing, s.packet, "no timestamp")
		return false
	case c.ts.old(now, s.options.TSVal):
		// "Send an acknowledgment in reply as specified in [RFC0793], page 69, and drop the segment."
		c.host.dropped(&c.host.counters.TimestampOld, s.packet, "old timestamp")
		if s.spans() > 0 {
			c.pending |= pendingACK
		} else {
			c.challenge(now)
		}
		return false
	}
	return true
}

// inWindow trims the segment to the receive window and reports whether it is to be looked at any further. What lies before
// the window is trimmed off rather than the segment dropped, so that what it acknowledges counts even if its data is
// old.
func (c *Conn) inWindow(now int64, s *segment) bool {
	if s.has(wire.TCPRst) {
		return true // reset judges for itself
	}
	old := distance(s.seq, c.rcvNxt)
	if old > 0 {
		if s.has(wire.TCPSyn) && s.seq != c.irs {
			return true // not our peer's SYN again: challenged by the caller
		}
		if old-int(s.spans()) > c.largestWindow()+1 {
			// Older than anything this side could have offered a window for: not even its acknowledgment is credible.
			return c.unacceptable(now, s)
		}
		// "If an incoming segment is not acceptable, an acknowledgment should be sent in reply"
		// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.7.4
		//
		// A keep-alive probe is such a segment: SND.NXT-1 and no data.
		if s.spans() > 0 {
			c.pending |= pendingACK
			if s.length > 0 {
				c.arrivedTwice(s.seq, earliest(s.seq+uint32(s.length), c.rcvNxt))
			}
			s.trimFront(c.rcvNxt)
		} else {
			c.challenge(now)
		}
	}
	if before(c.rcvEdge, s.seq) {
		return c.unacceptable(now, s)
	}
	if before(c.rcvEdge, s.seq+uint32(s.length)) {
		// "If the RCV.WND is zero, no segments will be acceptable, but special allowance should be made to accept valid ACKs, URGs,
		// and RSTs." Nor need a FIN wait whose data fits: it takes no room.
		// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.7.4
		c.pending |= pendingACK
		s.trimBack(c.rcvEdge)
	}
	return true
}

// unacceptable answers a segment outside the window, and drops it.
func (c *Conn) unacceptable(now int64, s *segment) bool {
	c.host.dropped(&c.host.counters.OutOfWindow, s.packet, "outside the window")
	if s.length > 0 {
		c.pending |= pendingACK
	} else {
		// Only the answers to segments without data are limited: two sides that each take the other's acknowledgment for
		// unacceptable would otherwise answer each other for ever.
		c.challenge(now)
	}
	return false
}

// reset is the RST of RFC 5961: "If the RST bit is set and the sequence number exactly matches the next expected sequence number
// (RCV.NXT), then TCP MUST reset the connection. [...] If the RST bit is set and the sequence number does not exactly match
// the next expected sequence value, yet is within the current receive window, TCP MUST send an acknowledgment (challenge
// ACK)."
// https://www.rfc-editor.org/rfc/rfc5961.html#section-3.2
func (c *Conn) reset(now int64, s *segment) {
	if s.seq != c.rcvNxt {
		c.host.ignoreReset(s)
		if before(s.seq, c.rcvNxt) || !before(s.seq, c.rcvEdge) {
			return
		}
		c.challenge(now)
		return
	}
	c.host.counters.InRsts++
	c.resetFastOpen(now)
	switch c.state {
	case SynReceived:
		c.fail(ip.ErrConnectionRefused)
	case Established, FinWait1, FinWait2:
		c.fail(ErrReset)
	case CloseWait:
		// The peer had ended its stream already; who still writes learns what writing to a closed pipe is.
		c.fail(ErrWriteClosed)
	default:
		// "If the RST bit is set, then enter the CLOSED state": both streams were closed anyway.
		c.leave(Closed)
	}
}

// challengeInterval is the least time between answers to suspicious segments on one connection.
//
// RFC 5961 section 7 suggests a limit for the whole host, which lets an attacker count what is left of it and so learn of
// other connections (CVE-2016-5696); a limit per connection tells nothing.
const challengeInterval = 500e6

// challengeTime is now in units of 2^20 ns, about a millisecond, and never 0: four octets are enough, though after some seven
// weeks without a challenge one that is due might be put off.
func challengeTime(now int64) uint32 { return max(uint32(now>>20), 1) }

// challenge sends an acknowledgment to find out whether the peer meant what came.
func (c *Conn) challenge(now int64) {
	if c.challenged != 0 && challengeTime(now)-c.challenged < challengeTime(challengeInterval) {
		c.host.counters.ChallengeLimited++
		return
	}
	c.challenged = challengeTime(now)
	c.host.counters.ChallengeAcks++
	c.pending |= pendingACK
}
