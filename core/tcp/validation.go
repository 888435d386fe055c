package tcp

// validation is congestion window validation: it says whether the congestion window is being used, so that it may grow, and
// what becomes of a window that is not.
// https://www.rfc-editor.org/rfc/rfc7661.html
//
// What was acknowledged in a round trip, and the most of that in a period of three round trips or a second (pipeACK), is what
// the path is known to carry. While that is half the window or more, or not known yet, the window is validated, and all goes by
// the controller. Otherwise the window is kept as it is for a while, since a sender that pauses is not one that congests, but
// it does not grow; a loss shows that it was not worth its size; and after five minutes half of it is given up.
//
// When to call what, unless the Window is Autonomous (then nothing of it):
//   - acked, for every acknowledgment of new data, before limited, with the octets newly acknowledged.
//   - limited, then, for congestion.Ack's Limited.
//   - expire, before data is sent while nothing is in flight, and with every
//     acknowledgment after limited. RFC 5681's restart of an idle connection from the restart window is replaced by it.
//   - loss, when recovery begins, after Controller.Loss and with the window as it was before it: if ok, the window was not
//     validated: Ssthresh, which proportional rate reduction aims at, becomes the lesser of itself and what loss returns.
//   - recovered, when recovery has ended, after Controller.Recovered: if ok, Cwnd and Ssthresh become the lesser of themselves
//     and what it returns.
//   - restart, at a retransmission timeout (its loss window of one segment is proven by slow start).
//   - undo, when a recovery turns out to have been needless and the window is restored.
//
// The zero value knows nothing of the path.
type validation struct {
	periodAt   int64 // when the sampling period began; 0: pipeACK is undefined
	sampleAt   int64 // when the sample under way began, with the first acknowledgment in it; 0: none is under way
	validAt    int64 // when the window was last validated, or reduced; 0: not looked at yet
	sample     int32 // octets acknowledged in it
	most       int32 // the largest sample of the period under way
	mostPrior  int32 // of the period before
	lossFlight int32 // LossFlightSize, in a recovery that began when the window was not validated, or else 0
}

const (
	// A window that is not used is kept for the Non-Validated Period.
	// https://www.rfc-editor.org/rfc/rfc7661.html#section-4.4.3
	nonValidatedPeriod = 300e9
	// The pipeACK Sampling Period is max(3*RTT, 1 second).
	// https://www.rfc-editor.org/rfc/rfc7661.html#section-2
	samplingPeriod = 1e9
)

// acked notes that octets were acknowledged. srtt is the smoothed round-trip time, 0 if it is not known.
func (v *validation) acked(now int64, octets int, srtt int64) {
	if v.lossFlight != 0 || octets <= 0 {
		return // pipeACK is not updated in loss recovery
	}
	v.advance(now, srtt)
	if v.sampleAt == 0 {
		v.sampleAt = max(now, 1)
	}
	v.sample = int32(min(int64(v.sample)+int64(octets), 1<<30))
}

// advance ends the sample and the period under way if they are over. A sample holds what is acknowledged within a round trip from
// its first acknowledgment on, no matter when the next one comes.
func (v *validation) advance(now, srtt int64) {
	if v.sampleAt != 0 && now-v.sampleAt >= srtt {
		if v.periodAt == 0 {
			v.periodAt = v.sampleAt
		}
		v.most = max(v.most, v.sample)
		v.sampleAt, v.sample = 0, 0
	}
	if v.periodAt == 0 {
		return
	}
	// Two periods are kept, the one under way and the one before, so that each sample counts for one period at least.
	period := max(3*srtt, samplingPeriod)
	switch elapsed := now - v.periodAt; {
	case elapsed >= 2*period:
		v.periodAt, v.most, v.mostPrior = now, 0, 0
	case elapsed >= period:
		v.periodAt, v.most, v.mostPrior = v.periodAt+period, 0, v.most
	}
}

// pipeACK is the most that was acknowledged in a round trip lately. ok is false as long as there is no whole sample.
func (v *validation) pipeACK() (octets int, ok bool) {
	return int(max(v.most, v.mostPrior, v.sample)), v.periodAt != 0
}

// limited reports whether the window may grow: whether it is validated. prior is what was in flight before the acknowledgment.
func (v *validation) limited(now, srtt int64, cwnd, ssthresh, prior int) bool {
	v.advance(now, srtt)
	if !v.validated(cwnd, ssthresh, prior) {
		return false
	}
	v.validAt = max(now, 1)
	return true
}

// The window is validated if pipeACK is at least half of it or undefined.
// https://www.rfc-editor.org/rfc/rfc7661.html#section-4.3
//
// In slow start pipeACK tells of the round trip before, while the window doubles in the present one: there it counts twice, as
// long as what is in flight is half the window.
func (v *validation) validated(cwnd, ssthresh, prior int) bool {
	proven, ok := v.pipeACK()
	if cwnd < ssthresh && prior >= cwnd/2 {
		proven *= 2
	}
	return !ok || proven >= cwnd/2
}

// expire takes back half of a window that has not been validated for the Non-Validated Period, for each such period, and
// returns what Cwnd and Ssthresh become. initial is the initial window.
//
// RFC 7661 has ssthresh become at least 3/4 of cwnd first, so that slow start soon finds the window again if the path still
// carries it, and then cwnd at most half of what it was, but not less than the initial window.
// https://www.rfc-editor.org/rfc/rfc7661.html#section-4.4.3
func (v *validation) expire(now int64, cwnd, ssthresh, initial int) (newCwnd, newSsthresh int) {
	if v.validAt == 0 {
		v.validAt = max(now, 1)
	}
	if now-v.validAt < nonValidatedPeriod || v.lossFlight != 0 {
		return cwnd, ssthresh
	}
	periods := (now - v.validAt) / nonValidatedPeriod
	v.validAt += periods * nonValidatedPeriod
	for ; periods > 0 && cwnd > initial; periods-- {
		ssthresh = max(ssthresh, cwnd/4*3)
		cwnd = max(cwnd/2, initial)
	}
	return cwnd, ssthresh
}

// loss learns that recovery begins with flight octets in flight, and returns what the window is reduced to if it was not
// validated: half of what was used of it, the larger of pipeACK and the flight.
// https://www.rfc-editor.org/rfc/rfc7661.html#section-4.4.1
func (v *validation) loss(now, srtt int64, cwnd, ssthresh, flight, mss int) (window int, ok bool) {
	v.advance(now, srtt)
	if v.validated(cwnd, ssthresh, flight) {
		return 0, false
	}
	v.lossFlight = int32(max(min(flight, 1<<30), 1))
	return v.reduced(0, mss), true
}

// recovered learns that recovery has ended, in which so many octets were found lost and repeated, each counted once. The window
// is halved from what was used of it less what was lost, since the path did not carry that. pipeACK is undefined from then on.
// https://www.rfc-editor.org/rfc/rfc7661.html#section-4.4.1
func (v *validation) recovered(now int64, retransmitted, mss int) (window int, ok bool) {
	if v.lossFlight != 0 {
		window, ok = v.reduced(retransmitted, mss), true
	}
	v.restart(now)
	return window, ok
}

func (v *validation) reduced(retransmitted, mss int) int {
	used, _ := v.pipeACK()
	return max((max(used, int(v.lossFlight))-retransmitted)/2, mss)
}

// restart forgets what is known of the path: the window is taken to be validated until there is a new sample.
func (v *validation) restart(now int64) { *v = validation{validAt: max(now, 1)} }

// undo learns that there was no loss: what was known before holds.
func (v *validation) undo() { v.lossFlight = 0 }
