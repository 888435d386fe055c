package tcp

// rtt estimates the round-trip time and the retransmission timeout, as RFC 6298 has it. Nanoseconds.
type rtt struct {
	srtt, rttvar int64
	rto          int64 // without backoff
	min          int64 // the smallest sample; 0: none yet

	// One segment at a time is measured: sentAt is when it left, 0 if none is under way, and seq what acknowledges it.
	sentAt int64
	seq    uint32
}

// sent notes that an octet before seq has left for the first time.
func (r *rtt) sent(now int64, seq uint32) {
	if r.sentAt == 0 {
		// 0 means none, so that a segment that leaves at the epoch itself is taken to have left just after it.
		r.sentAt, r.seq = max(now, 1), seq
	}
}

// cancel forgets the measurement under way.
//
// "RTT samples MUST NOT be made using segments that were retransmitted"
// https://www.rfc-editor.org/rfc/rfc6298.html#section-3
func (r *rtt) cancel() { r.sentAt = 0 }

// acked learns that everything before ack has arrived, and returns what was measured if that ended a measurement, or 0.
func (r *rtt) acked(now int64, ack uint32, minRTO, maxRTO int64) (sample int64) {
	if r.sentAt == 0 || before(ack, r.seq) {
		return 0
	}
	sample = max(now-r.sentAt, 1)
	r.sample(sample, minRTO, maxRTO)
	r.sentAt = 0
	return sample
}

func (r *rtt) sample(d, minRTO, maxRTO int64) {
	if r.min == 0 {
		// "SRTT <- R, RTTVAR <- R/2"
		// https://www.rfc-editor.org/rfc/rfc6298.html#section-2
		r.srtt, r.rttvar = d, d/2
		r.min = d
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
		r.min = min(r.min, d)
	}
	// "Whenever RTO is computed, if it is less than 1 second, then the RTO SHOULD be rounded up to 1 second."
	// https://www.rfc-editor.org/rfc/rfc6298.html#section-2
	//
	// The minimum here is 200 ms unless configured otherwise: with a second, one lost segment at the end of an
	// exchange costs a hundred round trips of a fast network. Linux and others have long done so.
	r.rto = min(max(r.srtt+4*r.rttvar, minRTO), maxRTO)
}
