package congestion

// Reno is slow start and congestion avoidance as RFC 5681 defines them. It keeps no state of its own.
type Reno struct{}

// Name is "reno".
func (Reno) Name() string { return "reno" }

// Start opens the window.
//
// "The initial value of ssthresh SHOULD be set arbitrarily high"
// https://www.rfc-editor.org/rfc/rfc5681.html#section-3.1
func (Reno) Start(w *Window, initial int) {
	*w = Window{Cwnd: initial, Ssthresh: unlimited}
}

// Ack lets the window grow, if it was the window that limited the sender: one that is not used proves nothing.
func (Reno) Ack(w *Window, a *Ack) {
	if !a.Limited || a.Recovering {
		return
	}
	if w.Cwnd < w.Ssthresh {
		// "During slow start, a TCP increments cwnd by at most SMSS bytes for each ACK received that cumulatively acknowledges new
		// data. Slow start ends when cwnd exceeds ssthresh (or, optionally, when it reaches it [...])"
		// https://www.rfc-editor.org/rfc/rfc5681.html#section-3.1
		//
		// All that was acknowledged counts here, as octets (RFC 3465), without the limit of a segment or two an ACK: devices
		// and receivers merge a burst of ACKs into one, and who splits ACKs gains nothing where octets are counted.
		w.Cwnd = min(w.Cwnd+a.Acked, w.Ssthresh)
		return
	}
	// "The RECOMMENDED way to increase cwnd during congestion avoidance is to count the number of bytes that have been
	// acknowledged by ACKs for new data. [...] When the number of bytes acknowledged reaches cwnd, then cwnd can be incremented
	// by up to SMSS bytes."
	// https://www.rfc-editor.org/rfc/rfc5681.html#section-3.1
	w.acked += int32(a.Acked)
	if int(w.acked) >= w.Cwnd {
		w.acked -= int32(w.Cwnd)
		w.Cwnd = min(w.Cwnd+a.MSS, unlimited)
	}
}

// Loss halves what may be in flight.
//
// "ssthresh = max (FlightSize / 2, 2*SMSS)"
// https://www.rfc-editor.org/rfc/rfc5681.html#section-3.1
func (Reno) Loss(w *Window, l Loss) {
	w.Ssthresh = max(l.Flight/2, 2*l.MSS)
	w.acked = 0
}

// Recovered ends at the threshold.
func (Reno) Recovered(w *Window, _ Loss) { w.Cwnd = w.Ssthresh }

// Timeout starts again from one segment.
//
// "upon a timeout [...] cwnd MUST be set to no more than the loss window, LW, which equals 1 full-sized segment"
// https://www.rfc-editor.org/rfc/rfc5681.html#section-3.1
func (r Reno) Timeout(w *Window, l Loss) {
	r.Loss(w, l)
	w.Cwnd = l.MSS
}

// Undo does nothing: Reno has no state but the window.
func (Reno) Undo(*Window) {}

// Restart does nothing: what an idle window is still worth is for congestion window validation to say.
func (Reno) Restart(*Window, int64, int64) {}
