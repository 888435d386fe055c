package tcp

// pacer says when segments may leave so that they leave at a rate, evenly rather than in the bursts that acknowledgments,
// timers and writers come in. The rate is the congestion.Window's, and may differ from call to call.
//
// It is an account of octets. Time pays into it at the rate, exactly, to a billionth of an octet; segments are paid from it,
// and may overdraw it. What it may hold, and so how much may leave at once after a pause, is bounded: see allowance. One thing
// may exceed the bound: what is owed because the timer that next has asked for expired late.
//
// When to call what:
//   - budget, before a segment of new data is built: how large it, or the super-segment, may be. If that is less than what is
//     worth sending, nothing leaves, and next says until when.
//   - sent, with the octets of payload, for whatever leaves, be it new, repeated, or beyond the budget.
//   - next, if there is something to send that the windows allow and the budget does not: arm a timer for what it returns. Not
//     to be called if there is nothing to send.
//
// The zero value has paced nothing yet: its first budget is the whole allowance.
type pacer struct {
	at     int64  // when time last paid in; 0: never
	due    int64  // when next said that what waits may leave; 0: nothing waits; negated once something has left since
	credit int32  // octets; negative: overdrawn
	part   uint32 // billionths of an octet on top
}

const (
	// pacerUnlimited is the budget at rate 0, and the most the account holds or owes.
	pacerUnlimited = 1 << 30

	// pacerFastest is the highest rate that is told from higher ones, in octets a second: some 9 Tbit/s.
	pacerFastest = 1 << 40

	// pacerLateness is how late a timer may be for the octets of that time to be still owed.
	pacerLateness = 2e6

	parts = int64(1e9) // of an octet: what a nanosecond pays at an octet a second
)

// allowance is how many octets may leave at once after a pause: a quantum, but at least as many as any connection may begin with on a
// path that it knows nothing of, which is min(10*MSS, max(2*MSS, 14600)). Less would cost a connection that a window holds back again and
// again: what is not sent in time is not made up for.
// https://www.rfc-editor.org/rfc/rfc6928.html#section-2
func (p *pacer) allowance(rate int64, mss int) int64 {
	return max(pacerQuantum(rate, mss), min(10*int64(mss), 14600))
}

// pacerQuantum is how many octets are worth a turn: a millisecond of the rate, for a timer is hardly finer, but at least two segments, so
// that the peer acknowledges them without delay, and otherwise at most 64 KiB, a super-segment.
func pacerQuantum(rate int64, mss int) int64 {
	return max(min(rate/1000, 64<<10), 2*int64(mss))
}

// budget is how many octets may leave now, at rate octets a second in segments of mss; pacerUnlimited if rate is 0 or less,
// which is not to be paced.
func (p *pacer) budget(now, rate int64, mss int) int {
	if rate <= 0 {
		*p = pacer{}
		return pacerUnlimited
	}
	p.pay(now, min(rate, pacerFastest), mss)
	return int(max(p.credit, 0))
}

// sent notes that n octets leave.
func (p *pacer) sent(now int64, n int) {
	if p.at == 0 {
		return // not paced
	}
	p.credit = int32(max(int64(p.credit)-int64(n), -pacerUnlimited))
	if p.due > 0 && p.due <= now {
		p.due = -p.due
	}
}

// next is when need octets may leave, or as many as the allowance if that is less; now if they may at once.
func (p *pacer) next(now, rate int64, mss, need int) int64 {
	if rate <= 0 {
		return now
	}
	rate = min(rate, pacerFastest)
	p.pay(now, rate, mss)
	lacking := (min(int64(need), p.allowance(rate, mss))-int64(p.credit))*parts - int64(p.part)
	if lacking <= 0 {
		return now
	}
	p.due = now + (lacking+rate-1)/rate
	return p.due
}

// pay pays in what the time since the last payment is worth.
func (p *pacer) pay(now, rate int64, mss int) {
	most := p.allowance(rate, mss)
	if p.at == 0 {
		p.at, p.credit = max(now, 1), int32(most)
		return
	}
	elapsed := now - p.at
	if elapsed <= 0 {
		return // nor is anything taken away that was granted at this very time
	}
	p.at = now
	most = min(most+p.owed(now)*rate/1e9, pacerUnlimited)
	room := most*parts - int64(p.credit)*parts - int64(p.part)
	if room <= 0 || elapsed > room/rate {
		p.credit, p.part = int32(most), 0
		return
	}
	// No more than room, so that nothing overflows however fast and long it was.
	gain := elapsed*rate + int64(p.part)
	p.credit += int32(gain / parts)
	p.part = uint32(gain % parts)
}

// owed is how much time what waited has lost because its timer was late. It stays owed for a little while after the first segment
// has left, for several may leave in turn, and is forgotten then: an idle time is no lateness.
func (p *pacer) owed(now int64) int64 {
	switch {
	case p.due > 0 && now > p.due:
		return min(now-p.due, pacerLateness)
	case p.due < 0 && now+p.due <= pacerLateness:
		return max(now+p.due, 0)
	}
	return 0
}
