package tcp

// receiveTuning finds how large a receive buffer lets the peer send as fast as the path and the reader can: dynamic
// right-sizing. Twice of what the reader has taken in a round trip lets the next round trip's octets be in flight while those
// of this one are read; and if that grows from round trip to round trip, because the peer is in slow start, as much again as it
// grows.
//
// The buffer itself is the connection's to keep: what the window is computed from. It never moves the right edge left: if it
// shrinks, what was offered stays so, and no more is offered until the peer has used it up.
//
// When to call what:
//   - start, when the connection is established.
//   - sampleRTT, with the time the handshake has taken, unless its segment was repeated, and then with each round-trip time
//     that a full-sized data segment's timestamp echo shows.
//   - received, when RCV.NXT has moved, with the window offered.
//   - consumed, when the reader has taken octets: the buffer is what it returns from then on.
//   - idle, when something happens (a segment, a timer) while nothing is queued for the reader, in order or not, and nothing is
//     withheld from the peer; before received.
type receiveTuning struct {
	at        int64  // when the measurement of what is read in a round trip began
	windowAt  int64  // when the measurement of how long a window takes began
	windowEnd uint32 // the sequence number that ends it
	rtt       uint32 // microseconds; 0: not known
	octets    int32  // read in the measurement under way
	space     int32  // the most that was read in one
}

// tuningIdle is how long nothing must have been read for the buffer to shrink.
const tuningIdle = 10e9

// start begins with a first guess of what is read in a round trip: the initial window of most senders.
func (r *receiveTuning) start(now int64, mss int) {
	*r = receiveTuning{at: now, space: int32(10 * mss)}
}

// sampleRTT learns of a round-trip time, in nanoseconds. It may be too long, if the peer had nothing to send for a while.
func (r *receiveTuning) sampleRTT(d int64) {
	if d <= 0 {
		return
	}
	if r.rtt == 0 {
		r.shorterRTT(d)
		return
	}
	r.rtt = uint32(int64(r.rtt) + (microseconds(d)-int64(r.rtt))/8)
}

// shorterRTT learns of a time that is at least a round-trip time.
func (r *receiveTuning) shorterRTT(d int64) {
	if us := microseconds(d); r.rtt == 0 || us < int64(r.rtt) {
		r.rtt = uint32(us)
	}
}

// microseconds are at least 1, and at most what an uint32 holds.
func microseconds(d int64) int64 { return min(max(d/1000, 1), 1<<32-1) }

// received measures how long one window takes to arrive: at least a round trip, for the peer may send no more than a window in
// one. It is how a connection without timestamps that sends nothing itself learns of the round-trip time.
func (r *receiveTuning) received(now int64, rcvNxt uint32, window int) {
	if r.windowAt != 0 {
		if before(rcvNxt, r.windowEnd) {
			return
		}
		r.shorterRTT(now - r.windowAt)
	}
	r.windowAt, r.windowEnd = 0, rcvNxt+uint32(window)
	if window > 0 {
		r.windowAt = max(now, 1)
	}
}

// consumed notes that the reader has taken n octets, and returns how large the buffer, which is current, is to be: current, or
// more up to limit.
func (r *receiveTuning) consumed(now int64, n, current, limit int) (buffer int, changed bool) {
	r.octets = int32(min(int64(r.octets)+int64(n), 1<<30))
	if r.rtt == 0 || now-r.at < int64(r.rtt)*1000 {
		return current, false
	}
	read := r.octets
	r.at, r.octets = now, 0
	if read <= r.space {
		return current, false
	}
	// Slow start no more than doubles what arrives in a round trip.
	want := 2 * int64(read)
	want += min(want, want*int64(read-r.space)/int64(max(r.space, 1)))
	r.space = read
	buffer = int(min(want, int64(limit)))
	if buffer <= current {
		return current, false
	}
	return buffer, true
}

// idle returns how large the buffer, which is current, is to be while nothing is queued: what it was initially, if nothing has
// been read for a while.
func (r *receiveTuning) idle(now int64, current, initial, mss int) (buffer int, changed bool) {
	if now-r.at < tuningIdle || current <= initial {
		return current, false
	}
	rtt := r.rtt
	r.start(now, mss)
	r.rtt = rtt
	return initial, true
}

// sendBuffer is how large the send buffer, which is current, is to be: twice the congestion window, so that what the next round
// trip needs is at hand while that of the present one is in flight, but at most limit. It does not shrink: the writer was told
// of it.
func sendBuffer(cwnd, mss, current, limit int) int {
	const initialWindow = 10 // segments
	want := 2 * int64(max(cwnd, initialWindow*mss))
	return max(current, int(min(want, int64(limit))))
}
