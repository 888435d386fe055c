package tcp

// prr is proportional rate reduction: during recovery it lets as much leave as has arrived, in proportion, so that what is in
// flight comes down to ssthresh by the end of it, without a pause and without a burst.
// https://www.rfc-editor.org/rfc/rfc9937.html
type prr struct {
	delivered int // octets delivered since recovery began: prr_delivered
	out       int // octets sent since: prr_out
	recoverFS int // octets in flight as it began: RecoverFS
}

// start begins a recovery with so many octets in flight.
func (p *prr) start(flight int) { *p = prr{recoverFS: max(flight, 1)} }

// sent notes that n octets leave.
func (p *prr) sent(n int) { p.out += n }

// window is the congestion window after an acknowledgment that has delivered octets; inFlight is what is on its way now. safe
// says that SND.UNA has moved and nothing more was found lost.
//
// RFC 9937, section 6.2: while more than ssthresh is in flight, sending is proportional to what is delivered. Below, the
// reduction bound keeps it to what was delivered, and a segment more if the acknowledgment is safe ("PRR-SSRB" rather than
// "PRR-CRB").
// https://www.rfc-editor.org/rfc/rfc9937.html#section-6.2
func (p *prr) window(delivered, inFlight, ssthresh, mss int, safe bool) int {
	p.delivered += delivered
	var room int
	if inFlight > ssthresh {
		room = int((int64(p.delivered)*int64(ssthresh)+int64(p.recoverFS)-1)/int64(p.recoverFS)) - p.out
	} else {
		room = max(p.delivered-p.out, delivered)
		if safe {
			room += mss
		}
		room = min(room, ssthresh-inFlight)
	}
	if p.out == 0 {
		room = max(room, mss) // the fast retransmit leaves in any case
	}
	return max(inFlight+room, inFlight, mss) // never less than a segment, lest nothing could leave
}
