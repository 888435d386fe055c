package tcp

import (
	"time"

	"github.com/smolnet/smolnet/core/packet"
)

// tailProbe is the tail loss probe of RFC 8985: when acknowledgments fail to come, the last segment, or a new one, is sent well
// before the retransmission timeout, so that its acknowledgment tells what was lost. What becomes of a probe may show only after
// all has arrived.
// https://www.rfc-editor.org/rfc/rfc8985.html#section-7
type tailProbe struct {
	out   bool   // a probe is on its way: TLP.end_seq means something
	again bool   // it repeats octets: TLP.is_retrans
	spent bool   // no round trip was measured since
	end   uint32 // TLP.end_seq
}

// maxAckDelay is how long a peer may delay the acknowledgment of a single segment: TLP.max_ack_delay, which "is implementation
// specific". Few systems delay for longer.
// https://www.rfc-editor.org/rfc/rfc8985.html#section-7.2
const maxAckDelay = int64(200 * time.Millisecond)

// probes reports whether the tail is to be probed, rather than to wait for the retransmission timer.
//
// "The sender SHOULD start or restart a loss probe PTO timer after transmitting new data (that was not itself a loss probe) or
// upon receiving an ACK that cumulatively acknowledges new data unless it is already in fast recovery, RTO recovery, or segments
// have been SACKed (i.e., RACK.segs_sacked is not zero)."
// https://www.rfc-editor.org/rfc/rfc8985.html#section-7.2
//
// And no probe may be on its way already, and a round trip must have been measured since the last, or else probes would keep the
// round trip from ever being measured.
// https://www.rfc-editor.org/rfc/rfc8985.html#section-7.3
func (c *Conn) probes() bool {
	f := c.flight
	return f != nil && c.sackOK && f.recovery.phase < phaseFast && f.sent.sacked == 0 && f.sent.lost == 0 && !f.sent.empty() &&
		!c.probe.out && !c.probe.spent && c.rtt.srtt != 0 &&
		c.pending&pendingTailProbe == 0 && c.timers.retries == 0 && c.sndWnd != 0
}

// probeTimeout is how long acknowledgments may fail to come before the tail is probed: PTO.
//
// "If SRTT is available: PTO = 2 * SRTT. If FlightSize is one segment: PTO += TLP.max_ack_delay"
// https://www.rfc-editor.org/rfc/rfc8985.html#section-7.2
func (c *Conn) probeTimeout() int64 {
	pto := 2 * c.rtt.srtt
	if distance(c.sndUna, c.sndNxt) <= int(c.sndMSS) {
		pto += maxAckDelay
	} else {
		pto += 2 * int64(time.Millisecond) // a clock of milliseconds, and what merges ACKs, are given their time
	}
	return pto
}

// probeExpired sends a probe.
//
// "After attempting to send a loss probe, regardless of whether a loss probe was sent, the sender MUST re-arm the RTO timer, not
// the PTO timer, if the FlightSize is not zero."
// https://www.rfc-editor.org/rfc/rfc8985.html#section-7.3
func (c *Conn) probeExpired(now int64) {
	c.pending |= pendingTailProbe
	c.flight.restarted = now
	c.timers.kind, c.timers.at = timerRetransmit, c.patient(now+c.timeout())
}

// sendProbe makes a new segment, or the last one again, to make the peer acknowledge; nil if there is nothing to send after all.
// It leaves whatever the congestion window says.
// https://www.rfc-editor.org/rfc/rfc8985.html#section-7.3
func (c *Conn) sendProbe(now int64) *packet.Packet {
	f := c.flight
	if f == nil || f.sent.empty() || f.sent.lost > 0 {
		return nil
	}
	c.host.counters.TailLossProbes++
	mss := int(c.sndMSS) - c.sackOptionLen()
	seq, n := c.sndNxt, min(c.unsent(), mss, distance(c.sndNxt, c.sndUna+c.sndWnd))
	again := n <= 0
	if again {
		if n = mss; c.sndClosed && c.sndNxt == c.finSeqOut()+1 {
			n++ // a FIN takes no room
		}
		n = min(n, distance(c.sndUna, c.sndNxt))
		seq = c.sndNxt - uint32(n)
	}
	p := c.dataSegment(now, seq, n)
	c.probe = tailProbe{out: true, again: again, spent: true, end: c.sndNxt}
	return p
}

// tailProbeAcked learns what an acknowledgment says of the probe.
// https://www.rfc-editor.org/rfc/rfc8985.html#section-7.4.2
func (c *Conn) tailProbeAcked(now int64, a *acknowledgment) {
	t := &c.probe
	if !t.out || before(c.sndUna, t.end) {
		return
	}
	switch {
	case !t.again, a.duplicated && a.duplicateEnd == t.end:
		t.out = false // it was new data, or the first copy has arrived as well
	case before(t.end, c.sndUna):
		// The probe has repaired a loss that nothing else tells of: "If the TLP sender does not receive such an indication, then
		// it MUST assume that the original data segment, the TLP retransmission, or a corresponding ACK was lost for congestion
		// control purposes."
		t.out = false
		c.host.counters.TailLossRecoveries++
		if f := c.flight; f != nil && f.recovery.phase == phaseOpen {
			c.slowDown(now, a, false)
			f.undo = undo{}
			c.endReduction(now)
			a.ends = true
		}
	case !a.moved && !a.duplicated && a.sacked == 0:
		t.out = false // a duplicate without news: both copies have arrived
	}
}
