package congestion

import "time"

// hyStart is HyStart++ (RFC 9406): slow start that ends when round trips take longer, before a queue overflows. Suspecting
// that, it goes through some rounds of Conservative Slow Start (CSS), and back if it was wrong.
type hyStart struct {
	last     int64  // lastRoundMinRTT in nanoseconds; 0: infinity
	current  int64  // currentRoundMinRTT; 0: infinity
	baseline int64  // cssBaselineMinRtt, in CSS; 0: infinity, in slow start
	end      uint32 // windowEnd: when SND.UNA reaches it, the round is over
	samples  uint8  // rttSampleCount, no further than it matters
	rounds   uint8  // rounds that CSS has ended
	open     bool   // whether a round is under way: not when all was acknowledged as one ended
}

// The constants that RFC 9406 recommends.
//
// Of L, which limits what a single ACK may add to 8 segments unless the sender is paced, there is none: "A paced TCP
// implementation SHOULD use L = infinity", and so does this one that is not. It is meant against bursts. But where devices
// carry super-segments the receiver acknowledges tens of segments at once, always: a limit of 8 would turn doubling into a
// crawl, and the burst that answers is no longer than twice the one that came through. Octets are counted, not ACKs, so that
// nobody gains by splitting them.
//
// https://www.rfc-editor.org/rfc/rfc9406.html#section-4.3
const (
	minRTTThresh     = int64(4 * time.Millisecond)
	maxRTTThresh     = int64(16 * time.Millisecond)
	minRTTDivisor    = 8
	nRTTSample       = 8
	cssGrowthDivisor = 4
	cssRounds        = 5
)

// growth is by how many octets cwnd grows for so many acknowledged.
//
// https://www.rfc-editor.org/rfc/rfc9406.html#section-4.2
func (h *hyStart) growth(acked int) int {
	if h.baseline != 0 {
		return acked / cssGrowthDivisor
	}
	return acked
}

// ack takes an acknowledgment, and reports whether slow start is over.
//
// "If CSS_ROUNDS rounds are complete, enter congestion avoidance by setting the ssthresh to the current cwnd."
// "CSS lasts at most CSS_ROUNDS rounds. If the transition into CSS happens in the middle of a round, that partial round counts
// towards the limit."
// https://www.rfc-editor.org/rfc/rfc9406.html#section-4.2
func (h *hyStart) ack(a *Ack) (over bool) {
	if !h.open {
		h.open, h.end = true, a.Nxt
	}
	if a.RTT > 0 {
		h.sample(a.RTT)
	}
	if int32(a.Una-h.end) < 0 {
		return false
	}
	if h.baseline != 0 {
		h.rounds++
		if h.rounds == cssRounds {
			return true
		}
	}
	// "When windowEnd is ACKed, the current round ends and windowEnd is set to SND.NXT."
	// https://www.rfc-editor.org/rfc/rfc9406.html#section-4.2
	//
	// If nothing is in flight SND.NXT is acknowledged already, and the next round begins with what is sent next.
	h.last, h.current, h.samples = h.current, 0, 0
	h.open, h.end = a.Una != a.Nxt, a.Nxt
	return false
}

// sample takes a round-trip time, and with enough of them in a round decides between slow start and CSS.
//
// "For rounds where at least N_RTT_SAMPLE RTT samples have been obtained and currentRoundMinRTT and lastRoundMinRTT are valid,
// check to see if delay increase triggers slow start exit"
// "For CSS rounds where at least N_RTT_SAMPLE RTT samples have been obtained, check to see if the current round's minRTT drops
// below baseline (cssBaselineMinRtt) indicating that slow start exit was spurious"
// https://www.rfc-editor.org/rfc/rfc9406.html#section-4.2
func (h *hyStart) sample(rtt int64) {
	if h.current == 0 || rtt < h.current {
		h.current = rtt
	}
	h.samples = min(h.samples+1, nRTTSample)
	if h.samples < nRTTSample {
		return
	}
	switch {
	case h.baseline != 0:
		if h.current < h.baseline {
			h.baseline, h.rounds = 0, 0
		}
	case h.last != 0:
		thresh := max(minRTTThresh, min(h.last/minRTTDivisor, maxRTTThresh))
		if h.current >= h.last+thresh {
			h.baseline = h.current
		}
	}
}
