package congestion

// BBR is version 1 of BBR, bottleneck bandwidth and round-trip propagation time, as
// draft-cardwell-iccrg-bbr-congestion-control-00 describes it. It does not take loss for congestion: it measures how fast the
// path delivers and how long it takes when its queues are empty, paces at the one, and keeps about their product in flight.
//
// Of what came after that text it has the allowance for aggregated acknowledgments. It does not look for policers, as Linux
// does. Its limit is that of the version: loss of more than a fifth outweighs the quarter that it probes for, so that the
// estimate sinks, down to where samples of few segments vary enough to hold it up: some tens of them a round trip.
//
// The zero value is ready for Start.
type BBR struct {
	model bbrModel

	state    bbrState
	recovery bbrRecovery
	initial  int // octets of the initial window

	// Startup: whether the pipe is full.
	filled   bool
	measured bool  // whether the pacing rate knows a round trip time
	plateaus uint8 // rounds in which bandwidth has hardly grown
	plateau  int64 // the bandwidth since when it has not

	// ProbeBW.
	phase   uint8 // index in gainCycle
	phaseAt int64 // when the phase began

	// ProbeRTT.
	idle      bool  // nothing was in flight, and none of what was sent since has been acknowledged
	probed    bool  // a round trip was spent with little in flight
	probeDone int64 // the earliest end; 0: there is still too much in flight

	// Recovery.
	prior    int    // cwnd before recovery, or ProbeRTT, has cut it
	repaired uint32 // the round in which the latest recovery ended; 0: there was none
	repair   uint32 // after a timeout: SND.NXT when it expired
	una, nxt uint32 // SND.UNA, and the greatest SND.NXT seen
}

// bbrState is what BBR is doing.
//
//	Startup ─▶ Drain ─▶ ProbeBW ◀─▶ ProbeRTT ◀─▶ Startup
type bbrState uint8

const (
	bbrStartup  bbrState = iota // doubling the rate each round trip
	bbrDrain                    // draining the queue that startup has made
	bbrProbeBW                  // cruising, and trying a little more now and then
	bbrProbeRTT                 // letting the queue run dry, to see the path's own delay
)

// bbrRecovery is how far the repair of a loss is.
type bbrRecovery uint8

const (
	bbrSound      bbrRecovery = iota // nothing is being repaired
	bbrConserving                    // first round trip: as much is sent as has arrived
	bbrRegrowing                     // later ones: at most twice as much
	bbrExpired                       // the retransmission timer has expired, and nothing was acknowledged since
	bbrRepairing                     // after a timeout: until all that was sent before it has arrived
)

// Gains are in thousandths.
const (
	unitGain  = 1000
	highGain  = 2885 // 2/ln 2: the least that doubles the rate each round trip
	drainGain = unitGain * unitGain / highGain
)

// gainCycle are the pacing gains of ProbeBW, a phase for each round trip: one to ask for more, one to drain what it may have
// queued, the others to cruise.
var gainCycle = [...]int64{1250, 750, unitGain, unitGain, unitGain, unitGain, unitGain, unitGain}

const (
	minPipe          = 4              // segments in flight at least, so that two are on their way and ACKs of two come back
	plateausFull     = 3              // rounds of little growth after which the pipe is taken for full
	persistentRounds = 2              // rounds after a recovery in which another loss is no news
	probeRTTDuration = 200_000_000    // ns
	nominalRTT       = 1_000_000      // ns, before a round trip was measured
	maxRate          = 1 << 40        // octets a second, far beyond any link: keeps products within 64 bits
	lowRate          = 1_200_000 / 8  // octets a second, below which a segment leaves at a time,
	middleRate       = 24_000_000 / 8 // and below which two do
	maxQuantum       = 64 << 10       // octets, above: of one super-segment
	quantumTime      = second / 1000  // ns of sending that fit in a quantum
	aggregationTime  = 100_000_000    // ns of sending that aggregated acknowledgments may add to cwnd
	second           = 1_000_000_000  // ns
)

// Name is "bbr".
func (*BBR) Name() string { return "bbr" }

// Start paces the initial window as if the round trip took a millisecond, for want of a better guess.
func (b *BBR) Start(w *Window, initial int) {
	*b = BBR{initial: initial}
	*w = Window{Cwnd: initial, Ssthresh: unlimited, Autonomous: true}
	b.paceInitially(w, nominalRTT)
}

// Ack is where nearly all happens: the model learns, the state follows the model, and rate and window follow both.
//
// https://datatracker.ietf.org/doc/html/draft-cardwell-iccrg-bbr-congestion-control-00#section-3.5.2
func (b *BBR) Ack(w *Window, a *Ack) {
	b.countSequence(w, a)
	b.model.updateBandwidth(a)
	b.model.updateAggregation(w, a)
	if b.model.roundStart && b.recovery == bbrConserving {
		b.recovery = bbrRegrowing
	}
	b.checkCycle(w, a)
	b.checkFull(a)
	b.checkDrain(w, a)
	expired := b.model.updateRTT(a)
	b.checkProbeRTT(w, a, expired)
	b.setPacing(w, a)
	b.setCwnd(w, a)
}

// Loss begins recovery with a round trip of packet conservation, in which nothing is added to what is in flight. A router's mark
// is answered in the same way as a drop, as RFC 3168 section 5 has it.
//
// "BBR interprets loss as a hint that there may be recent changes in path behavior that are not yet fully reflected in its
// model of the path, and thus it needs to be more conservative."
// https://datatracker.ietf.org/doc/html/draft-cardwell-iccrg-bbr-congestion-control-00#section-4.2.3.4
//
// Departing from the draft, we do without conservation where one recovery follows upon the other: this path always loses, and
// the model has seen as much. On a path that loses a segment in five, conservation would hold back every other probe for
// bandwidth, and the estimate would sink to a tenth.
func (b *BBR) Loss(w *Window, l Loss) {
	b.save(w)
	if b.repaired != 0 && b.model.round-b.repaired <= persistentRounds {
		b.recovery = bbrRegrowing
	} else {
		b.recovery = bbrConserving
		b.model.restartRound()
	}
	// Of this, what was lost goes off with the Ack that tells how much that is.
	w.Cwnd = max(min(w.Cwnd, l.Flight), l.MSS)
}

// Recovered gives back the window that was.
//
// "When BBR exits loss recovery it restores the cwnd to the "last known good" value that cwnd held before entering recovery."
// https://datatracker.ietf.org/doc/html/draft-cardwell-iccrg-bbr-congestion-control-00#section-4.2.3.4
func (b *BBR) Recovered(w *Window, l Loss) {
	b.recovery = bbrSound
	b.repaired = b.model.round
	if b.state != bbrProbeRTT { // which gives it back when it ends
		w.Cwnd = max(w.Cwnd, b.prior)
	}
}

// Timeout sends one segment, since nothing is known of the others any more. The estimates stay.
//
// "Upon a retransmission timeout, meaning the sender thinks all in-flight packets are lost, BBR conservatively reduces cwnd to
// one packet (1 MSS) and sends a single packet."
// https://datatracker.ietf.org/doc/html/draft-cardwell-iccrg-bbr-congestion-control-00#section-4.2.3.4
func (b *BBR) Timeout(w *Window, l Loss) {
	b.save(w)
	b.recovery = bbrExpired
	w.Cwnd = l.MSS
	b.resetFull() // that rounds of repair do not grow says nothing
}

// Undo ends a recovery that was none.
func (b *BBR) Undo(*Window) {
	b.recovery = bbrSound
	b.resetFull() // what was held back did not grow
}

// Restart after idleness goes on with what is known of the path, at its rate and no more.
//
// https://datatracker.ietf.org/doc/html/draft-cardwell-iccrg-bbr-congestion-control-00#section-4.3.4.4
func (b *BBR) Restart(w *Window, now, idle int64) {
	b.idle = true
	switch {
	case b.state == bbrProbeBW:
		b.setPacingGain(w, unitGain)
	case b.state == bbrProbeRTT && idle >= probeRTTDuration:
		b.leaveProbeRTT(w, now) // the silence has drained the queue as well as ProbeRTT would
	}
}

// countSequence follows the sequence numbers, by which the end of the repair after a timeout is seen.
func (b *BBR) countSequence(w *Window, a *Ack) {
	b.una = a.Una
	if b.nxt == 0 || int32(a.Nxt-b.nxt) > 0 {
		b.nxt = a.Nxt // which may have gone back to SND.UNA with the timeout
	}
	if b.recovery == bbrExpired {
		b.recovery, b.repair = bbrRepairing, b.nxt
	}
	if b.recovery == bbrRepairing && int32(a.Una-b.repair) >= 0 {
		b.Recovered(w, Loss{})
	}
}

// checkCycle goes on to the next gain of ProbeBW when the present one has had its time.
//
// https://datatracker.ietf.org/doc/html/draft-cardwell-iccrg-bbr-congestion-control-00#section-4.3.4.3
func (b *BBR) checkCycle(w *Window, a *Ack) {
	if b.state != bbrProbeBW {
		return
	}
	gain := gainCycle[b.phase]
	next := a.Now-b.phaseAt > b.model.rtt
	switch {
	case gain > unitGain:
		// "It does this until the elapsed time in the phase has been at least BBR.RTprop and either inflight has reached
		// 5/4 * estimated_BDP [...] or some packets have been lost"
		next = next && (a.Lost > 0 || a.Prior >= b.inflight(w, a, gain))
	case gain < unitGain:
		// "This phase lasts until either a full BBR.RTprop has elapsed or inflight drops below estimated_BDP"
		next = next || a.Prior <= b.inflight(w, a, unitGain)
	}
	if next {
		b.phase = (b.phase + 1) % uint8(len(gainCycle))
		b.phaseAt = a.Now
	}
}

// checkFull looks for the end of growth in Startup.
//
// "If BBR notices that there are several (three) rounds where attempts to double the delivery rate actually result in little
// increase (less than 25 percent), then it estimates that it has reached BBR.BtlBw"
// https://datatracker.ietf.org/doc/html/draft-cardwell-iccrg-bbr-congestion-control-00#section-4.3.2.2
func (b *BBR) checkFull(a *Ack) {
	if b.filled || !b.model.roundStart || b.model.isLimited(a) {
		return
	}
	if bandwidth := b.model.bandwidth(); bandwidth >= b.plateau*5/4 {
		b.plateau, b.plateaus = bandwidth, 0
		return
	}
	b.plateaus++
	b.filled = b.plateaus >= plateausFull
}

// resetFull begins the count of rounds without growth anew.
func (b *BBR) resetFull() { b.plateau, b.plateaus = 0, 0 }

// checkDrain ends Startup when the pipe is full, and Drain when no more than the pipe is.
//
// https://datatracker.ietf.org/doc/html/draft-cardwell-iccrg-bbr-congestion-control-00#section-4.3.3
func (b *BBR) checkDrain(w *Window, a *Ack) {
	if b.state == bbrStartup && b.filled {
		b.state = bbrDrain
	}
	if b.state == bbrDrain && a.Flight <= b.inflight(w, a, unitGain) {
		b.enterProbeBW(a.Now)
	}
}

// enterProbeBW begins the gain cycle somewhere.
//
// "BBR randomizes the phases of ProbeBW gain cycling by randomly picking an initial phase, from among all but the 3/4 phase"
// https://datatracker.ietf.org/doc/html/draft-cardwell-iccrg-bbr-congestion-control-00#section-4.3.4.2
//
// It is for flows at one bottleneck not to probe all at once, for which it need not be random, only different between
// them: SND.UNA is, since initial sequence numbers are (RFC 6528), and leaves a simulation reproducible.
func (b *BBR) enterProbeBW(now int64) {
	b.state = bbrProbeBW
	b.phaseAt = now
	b.phase = uint8(b.una % uint32(len(gainCycle)-1))
	if b.phase > 0 {
		b.phase++ // over the drain of a probe that has not been
	}
}

// checkProbeRTT drains the path when its own delay has not been seen for long.
//
// "After maintaining BBRMinPipeCwnd or fewer packets in flight for at least ProbeRTTDuration (200 ms) and one round trip, BBR
// leaves ProbeRTT"
// https://datatracker.ietf.org/doc/html/draft-cardwell-iccrg-bbr-congestion-control-00#section-4.3.5
func (b *BBR) checkProbeRTT(w *Window, a *Ack, expired bool) {
	// "When restarting from idle [...] and finding that the BBR.RTprop has expired, BBR does not enter ProbeRTT; the idleness is
	// deemed a sufficient attempt to coordinate to drain the queue."
	if b.state != bbrProbeRTT && expired && !b.idle {
		b.save(w)
		b.state = bbrProbeRTT
		b.probeDone = 0
	}
	b.idle = false
	if b.state != bbrProbeRTT {
		return
	}
	b.model.limit(a)
	if b.probeDone == 0 {
		if a.Flight <= minPipe*a.MSS {
			b.probeDone = a.Now + probeRTTDuration
			b.probed = false
			b.model.restartRound()
		}
		return
	}
	b.probed = b.probed || b.model.roundStart
	if b.probed && a.Now >= b.probeDone {
		b.leaveProbeRTT(w, a.Now)
	}
}

func (b *BBR) leaveProbeRTT(w *Window, now int64) {
	b.model.rttAt = now
	w.Cwnd = max(w.Cwnd, b.prior)
	if b.filled {
		b.enterProbeBW(now)
	} else {
		b.state = bbrStartup
	}
}

// gains are the state's, for the pacing rate and for cwnd. That of cwnd leaves room for acknowledgments that come late or merged.
func (b *BBR) gains() (pacing, cwnd int64) {
	switch b.state {
	case bbrStartup:
		return highGain, highGain
	case bbrDrain:
		return drainGain, highGain
	case bbrProbeBW:
		return gainCycle[b.phase], 2 * unitGain
	default:
		return unitGain, unitGain
	}
}

// setPacing makes the bandwidth the pacing rate, once it is known.
func (b *BBR) setPacing(w *Window, a *Ack) {
	if !b.measured && a.SRTT > 0 {
		b.measured = true
		b.paceInitially(w, a.SRTT)
	}
	gain, _ := b.gains()
	b.setPacingGain(w, gain)
}

// setPacingGain does not lower the rate while it is still being looked for: that could be for want of data.
//
// https://datatracker.ietf.org/doc/html/draft-cardwell-iccrg-bbr-congestion-control-00#section-4.2.1
func (b *BBR) setPacingGain(w *Window, gain int64) {
	rate := min(b.model.bandwidth()*gain/unitGain, maxRate)
	if b.filled || rate > w.Pacing {
		w.Pacing = max(rate, 1)
	}
}

// paceInitially spreads the initial window over less than a round trip.
func (b *BBR) paceInitially(w *Window, rtt int64) {
	rate := min(mulDiv(int64(b.initial), second, rtt), maxRate)
	w.Pacing = max(min(rate*highGain/unitGain, maxRate), 1)
}

// setCwnd moves cwnd to its target: down at once, up by no more than has arrived.
//
// https://datatracker.ietf.org/doc/html/draft-cardwell-iccrg-bbr-congestion-control-00#section-4.2.3.6
func (b *BBR) setCwnd(w *Window, a *Ack) {
	w.Cwnd = max(w.Cwnd-a.Lost, a.MSS)
	if b.recovery == bbrConserving {
		w.Cwnd = max(w.Cwnd, a.Flight+a.Delivered)
	} else {
		_, gain := b.gains()
		target := b.inflight(w, a, gain)
		if b.filled {
			target = min(target+b.aggregation(), unlimited)
			w.Cwnd = min(w.Cwnd+a.Delivered, target)
		} else if w.Cwnd < target || a.Rate.Total < uint64(b.initial) {
			w.Cwnd = min(w.Cwnd+a.Delivered, unlimited)
		}
		w.Cwnd = max(w.Cwnd, minPipe*a.MSS)
	}
	if b.state == bbrProbeRTT {
		w.Cwnd = min(w.Cwnd, minPipe*a.MSS)
	}
}

// inflight is what is in flight when gain times the path's capacity is used, and the hosts at both ends have all they need
// besides: a super-segment in the sender's queue, one that its device is sending, and one that the receiver is collecting.
//
// https://datatracker.ietf.org/doc/html/draft-cardwell-iccrg-bbr-congestion-control-00#section-4.2.3.2
func (b *BBR) inflight(w *Window, a *Ack, gain int64) int {
	if b.model.rtt == 0 {
		return b.initial
	}
	capacity := mulDiv(b.model.bandwidth(), b.model.rtt, second)
	return int(min(mulDiv(capacity, gain, unitGain), unlimited)) + 3*quantum(w.Pacing, a.MSS)
}

// aggregation is what cwnd needs for sending to go on while acknowledgments are being held back to come in one.
func (b *BBR) aggregation() int {
	return int(min(b.model.extraAcked(), mulDiv(b.model.bandwidth(), aggregationTime, second)))
}

// quantum is how many octets may leave at once at a rate. Whoever paces should not send more at a time, or else the
// acknowledgments that come merged for it are what teaches BBR to allow for it.
//
// https://datatracker.ietf.org/doc/html/draft-cardwell-iccrg-bbr-congestion-control-00#section-4.2.2
func quantum(rate int64, mss int) int {
	switch {
	case rate < lowRate:
		return mss
	case rate < middleRate:
		return 2 * mss
	default:
		return max(int(min(mulDiv(rate, quantumTime, second), maxQuantum)), 2*mss)
	}
}

// save remembers cwnd for the end of recovery or ProbeRTT, unless one of them has already cut it.
func (b *BBR) save(w *Window) {
	if b.recovery != bbrSound || b.state == bbrProbeRTT {
		b.prior = max(b.prior, w.Cwnd)
	} else {
		b.prior = w.Cwnd
	}
}
