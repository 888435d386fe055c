package congestion

import "math"

// Cubic is CUBIC (RFC 9438) with HyStart++ (RFC 9406) for the initial slow start. The zero value is ready for Start. It is
// made small, as there is one in every connection: what only a busy connection needs is made when it is first needed.
type Cubic struct {
	start *hyStart // the initial slow start; nil before cwnd first limits the sender, and when it is over
	curve *curve   // congestion avoidance; nil before the first of it, and before the first congestion
}

// curve is what CUBIC remembers of the latest congestion, and the stage of congestion avoidance that follows it. Windows are
// octets, the fields are named as RFC 9438 section 4.1.2 names them.
type curve struct {
	before    *Cubic  // what there was before the congestion, for Undo; nil: too long ago
	elapsed   int64   // t: nanoseconds of the stage in which cwnd limited the sender
	last      int64   // when elapsed was last brought up to date
	wEst      float64 // W_est: the window that Reno would have
	k         float64 // K: seconds from the beginning of the stage to W_max
	wMax      int32   // W_max: where the curve is flat; 0: not known, the window at the beginning of the stage is taken
	cwndPrior int32   // cwnd when ssthresh was set; 0: there was no congestion, and no stage yet
	marked    int32   // the window after a mark (ECN), where it is smaller than ssthresh can be; 0 otherwise
	fraction  float32 // of an octet by which cwnd should be larger
	begun     bool    // whether the stage has begun
}

// The constants of RFC 9438, as fractions where they meet integers.
//
// https://www.rfc-editor.org/rfc/rfc9438.html#section-4.1.1
const (
	cubicC             = 0.4      // segments per second³
	cubicAlpha         = 9.0 / 17 // 3·(1−β)/(1+β)
	betaNum, betaDen   = 7, 10    // β = 0.7
	convNum, convDen   = 17, 20   // (1+β)/2
	cubicTargetCeiling = 1.5      // of cwnd, within a round trip
)

// Name is "cubic".
func (*Cubic) Name() string { return "cubic" }

// Start opens the window.
func (c *Cubic) Start(w *Window, initial int) {
	*c = Cubic{}
	*w = Window{Cwnd: initial, Ssthresh: unlimited}
}

// Ack lets the window grow.
//
// RFC 9438 section 4.10 has slow start up to and with ssthresh; here, as in RFC 5681, it ends when cwnd reaches it: there it
// is set after every recovery, and so no recovery is followed by an acknowledgment's worth of slow start.
func (c *Cubic) Ack(w *Window, a *Ack) {
	switch {
	case a.Recovering:
	case w.Cwnd < w.Ssthresh:
		c.slowStart(w, a)
	default:
		c.avoidCongestion(w, a)
	}
}

// slowStart is HyStart++ the first time and RFC 5681's slow start after that.
//
// "An implementation SHOULD use HyStart++ only for the initial slow start (when the ssthresh is at its initial value of
// arbitrarily high per [RFC5681]) and fall back to using standard slow start for the remainder of the connection lifetime."
// https://www.rfc-editor.org/rfc/rfc9406.html#section-4.3
//
// What never fills its window needs nothing of it, and so the state waits for the first acknowledgment that finds it full.
func (c *Cubic) slowStart(w *Window, a *Ack) {
	if c.curve != nil {
		c.curve.begun = false // what follows is another stage
	}
	if w.Ssthresh < unlimited {
		if a.Limited {
			w.Cwnd = min(w.Cwnd+a.Acked, w.Ssthresh)
		}
		return
	}
	if c.start == nil {
		if !a.Limited {
			return
		}
		c.start = new(hyStart)
	}
	if a.Limited {
		w.Cwnd = min(w.Cwnd+c.start.growth(a.Acked), unlimited)
	}
	if c.start.ack(a) {
		w.Ssthresh = w.Cwnd
		c.start = nil
	}
}

// avoidCongestion follows the curve, or Reno where Reno is faster.
func (c *Cubic) avoidCongestion(w *Window, a *Ack) {
	v := c.curve
	if v == nil || !v.begun {
		if !a.Limited {
			return
		}
		if v == nil {
			v = new(curve)
			c.curve = v
		}
		v.begin(w.Cwnd, a)
	}
	v.pass(a)
	if a.Limited {
		v.grow(w, a)
	}
	if w.Cwnd >= int(v.cwndPrior) {
		// A loss found to be none only now, when the window is back at where it was, leaves things as they are.
		// https://www.rfc-editor.org/rfc/rfc9438.html#section-4.9.2
		v.before = nil
	}
}

// begin starts a stage of congestion avoidance with the given window.
//
// "K is the time period that the above function takes to increase the congestion window size at the beginning of the current
// congestion avoidance stage to W_max if there are no further congestion events."
// https://www.rfc-editor.org/rfc/rfc9438.html#section-4.2
//
// Without a W_max, after a timeout (section 4.8) or when HyStart++ has ended slow start without loss (section 4.10), "K is set
// to 0, and W_max is set to the congestion window size at the beginning of the current congestion avoidance stage". So it is
// too where the window is beyond W_max already, rather than to begin with the curve's steep end.
func (v *curve) begin(cwnd int, a *Ack) {
	v.begun = true
	v.elapsed, v.last = 0, a.Now
	v.wEst, v.fraction = float64(cwnd), 0
	if v.cwndPrior == 0 {
		v.cwndPrior = int32(cwnd)
	}
	v.k = 0
	if int(v.wMax) <= cwnd {
		v.wMax = int32(cwnd)
	} else {
		v.k = math.Cbrt(float64(int(v.wMax)-cwnd) / (cubicC * float64(a.MSS)))
	}
}

// pass lets the time pass, if cwnd limited the sender in it.
//
// "The elapsed time t in Figure 1 MUST NOT include periods during which cwnd has not been updated due to application-limited
// behavior (see Section 5.8)."
// https://www.rfc-editor.org/rfc/rfc9438.html#section-4.2
func (v *curve) pass(a *Ack) {
	if a.Limited {
		v.elapsed += a.Now - v.last
	}
	v.last = a.Now
}

// grow takes an acknowledgment's step.
//
// "To summarize, CUBIC computes both W_cubic(t) and W_est (see Section 4.3) on receiving a new ACK in congestion avoidance and
// chooses the larger of the two values."
// https://www.rfc-editor.org/rfc/rfc9438.html#section-4.2
func (v *curve) grow(w *Window, a *Ack) {
	cwnd, acked := float64(w.Cwnd), float64(min(a.Acked, w.Cwnd))
	t, rtt, mss := seconds(v.elapsed), seconds(a.SRTT), float64(a.MSS)

	v.estimate(acked, cwnd, mss)
	if v.window(t, mss) < v.wEst {
		// "If so, CUBIC is in the Reno-friendly region and cwnd SHOULD be set to W_est at each reception of a new ACK."
		// https://www.rfc-editor.org/rfc/rfc9438.html#section-4.3
		//
		// It does not shrink for it, nor outrun slow start should something else have reduced it in between.
		w.Cwnd = max(w.Cwnd, min(int(v.wEst), w.Cwnd+a.Acked))
		v.fraction = 0
		return
	}
	// "The lower and upper bounds below ensure that CUBIC's congestion window increase rate is non-decreasing and is less than
	// the increase rate of slow start [SXEZ19]."
	// https://www.rfc-editor.org/rfc/rfc9438.html#section-4.2
	target := min(max(v.window(t+rtt, mss), cwnd), cubicTargetCeiling*cwnd)

	// Sections 4.4 and 4.5, which are the same, add (target − cwnd) / cwnd segments for an ACK. Here that is for a segment
	// acknowledged: so a window's worth of ACKs reaches the target however they were delayed, merged or split.
	step := float64((target-cwnd)*acked/cwnd) + float64(v.fraction)
	w.Cwnd = min(w.Cwnd+int(step), unlimited)
	v.fraction = float32(step - math.Floor(step))
}

// estimate grows W_est as Reno would grow.
//
// "Once W_est has grown to reach the cwnd at the time of most recently setting ssthresh -- that is, W_est >= cwnd_prior -- the
// sender SHOULD set α_cubic to 1 to ensure that it can achieve the same congestion window increment rate as Reno, which uses
// AIMD(1, 0.5)."
// https://www.rfc-editor.org/rfc/rfc9438.html#section-4.3
func (v *curve) estimate(acked, cwnd, mss float64) {
	alpha := cubicAlpha
	if v.wEst >= float64(v.cwndPrior) {
		alpha = 1
	}
	v.wEst = min(v.wEst+float64(alpha*mss*acked/cwnd), unlimited)
}

// window is W_cubic(t) in octets, for segments of mss octets.
//
// W_cubic(t) = C·(t − K)³ + W_max
// https://www.rfc-editor.org/rfc/rfc9438.html#section-4.2
//
// A product is rounded before it is added to, here and elsewhere, lest a machine that can do both at once gets other windows.
func (v *curve) window(t, mss float64) float64 {
	d := t - v.k
	return float64(cubicC*mss*d*d*d) + float64(v.wMax)
}

// seconds is for nanoseconds.
func seconds(ns int64) float64 { return float64(ns) / 1e9 }

// Loss reduces what may be in flight to 0.7 of what is, be it for a loss or for a mark.
func (c *Cubic) Loss(w *Window, l Loss) {
	wMax := 0
	if c.curve != nil {
		wMax = int(c.curve.wMax)
	}
	reduced := c.reduce(w, l)
	if l.ECN && reduced < w.Ssthresh {
		// "Note that CUBIC MUST continue to reduce cwnd in response to congestion events detected by ECN-Echo ACKs until it
		// reaches a value of 1 SMSS."
		// https://www.rfc-editor.org/rfc/rfc9438.html#section-4.6
		c.curve.marked = int32(max(reduced, l.MSS))
	}
	// "During a congestion event, if the current cwnd is less than W_max, this indicates that the saturation point experienced
	// by this flow is getting reduced because of a change in available bandwidth. This flow can then release more bandwidth by
	// reducing W_max further."
	// https://www.rfc-editor.org/rfc/rfc9438.html#section-4.7
	//
	// The RFC counts segments: what is a few octets short of W_max, as every other window is that returns to it, is not less.
	c.curve.wMax = int32(w.Cwnd)
	if w.Cwnd+l.MSS <= wMax {
		c.curve.wMax = int32(int64(w.Cwnd) * convNum / convDen)
	}
}

// reduce sets ssthresh, which is two segments at least, begins another curve, and says how large a window the congestion asks
// for, however small.
//
// https://www.rfc-editor.org/rfc/rfc9438.html#section-4.6
func (c *Cubic) reduce(w *Window, l Loss) int {
	before := *c
	if before.curve != nil {
		before.curve.before = nil // only the latest is undone
	}
	*c = Cubic{curve: &curve{before: &before, cwndPrior: int32(w.Cwnd)}}
	reduced := int(int64(l.Flight) * betaNum / betaDen)
	w.Ssthresh = max(reduced, 2*l.MSS)
	return reduced
}

// Recovered ends at the threshold, or below it after a mark that asked for less.
func (c *Cubic) Recovered(w *Window, _ Loss) {
	w.Cwnd = w.Ssthresh
	if c.curve != nil && c.curve.marked != 0 {
		w.Cwnd = min(w.Cwnd, int(c.curve.marked))
	}
}

// Timeout starts again from one segment, with a threshold of 0.7 of what was in flight. What W_max was is forgotten.
//
// "During the first congestion avoidance stage after a timeout, CUBIC increases its congestion window size using Figure 1,
// where t is the elapsed time since the beginning of the current congestion avoidance stage, K is set to 0, and W_max is set to
// the congestion window size at the beginning of the current congestion avoidance stage."
// https://www.rfc-editor.org/rfc/rfc9438.html#section-4.8
func (c *Cubic) Timeout(w *Window, l Loss) {
	c.reduce(w, l)
	w.Cwnd = l.MSS
}

// Undo puts the curve, or the slow start, back to what it was before the latest Loss or Timeout, unless the window has grown
// beyond what it was then.
//
// https://www.rfc-editor.org/rfc/rfc9438.html#section-4.9
func (c *Cubic) Undo(*Window) {
	if c.curve != nil && c.curve.before != nil {
		*c = *c.curve.before
	}
}

// Restart leaves the idle time out of the curve.
//
// "Per Section 4.2, it is required that t in Figure 1 not include application-limited periods, such as idle periods; otherwise,
// W_cubic(t) might be very high after restarting from these periods."
// https://www.rfc-editor.org/rfc/rfc9438.html#section-5.8
func (c *Cubic) Restart(_ *Window, now, _ int64) {
	if c.curve != nil {
		c.curve.last = now
	}
}
