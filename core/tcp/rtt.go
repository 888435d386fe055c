package tcp

// rtt estimates the round-trip time and the retransmission timeout, as RFC 6298 has it. Nanoseconds.
type rtt struct {
	srtt, rttvar int64
	rto          int64 // without backoff
	min          int64 // the smallest sample; 0: none yet
}

// least learns of a round trip that may be the shortest.
func (r *rtt) least(d int64) {
	if r.min == 0 || d < r.min {
		r.min = d
	}
}

// sample takes a measured round trip.
//
// "RTT samples MUST NOT be made using segments that were retransmitted (and thus for which it is ambiguous whether the reply was
// for the first instance of the packet or a later instance)." The caller sees to that.
// https://www.rfc-editor.org/rfc/rfc6298.html#section-3
func (r *rtt) sample(d, minRTO, maxRTO int64) {
	r.least(d)
	if r.srtt == 0 {
		// "SRTT <- R, RTTVAR <- R/2"
		// https://www.rfc-editor.org/rfc/rfc6298.html#section-2
		r.srtt, r.rttvar = d, d/2
	} else {
		// "RTTVAR <- (1 - beta) * RTTVAR + beta * |SRTT - R'|, SRTT <- (1 - alpha) * SRTT + alpha * R'", alpha being 1/8
		// and beta 1/4.
		// https://www.rfc-editor.org/rfc/rfc6298.html#section-2
		off := r.srtt - d
		if off < 0 {
			off = -off
		}
		r.rttvar += (off - r.rttvar) / 4
		r.srtt += (d - r.srtt) / 8
	}
	// "Whenever RTO is computed, if it is less than 1 second, then the RTO SHOULD be rounded up to 1 second."
	// https://www.rfc-editor.org/rfc/rfc6298.html#section-2
	//
	// The minimum here is 200 ms unless configured otherwise: with a second, one lost segment at the end of an
	// exchange costs a hundred round trips of a fast network. Linux and others have long done so.
	r.rto = min(max(r.srtt+4*r.rttvar, minRTO), maxRTO)
}
