package congestion

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	bbrMSS = 1460
)

// share is how much of the path's rate that is.
func (p *bbrPath) share(rate float64) float64 { return rate / float64(p.rate) }

// estimate is how much of the path's rate BBR takes for it.
func (p *bbrPath) estimate() float64 { return p.share(float64(p.model.bandwidth())) }

func TestBBRFindsTheBandwidth(t *testing.T) {
	for _, row := range []struct {
		name  string
		bits  int64
		delay time.Duration
		mss   int
		warm  time.Duration
	}{
		{"1 Mbit/s, 40 ms", 1e6, 40 * time.Millisecond, bbrMSS, 5 * time.Second},
		{"10 Mbit/s, 100 ms", 10e6, 100 * time.Millisecond, bbrMSS, 5 * time.Second},
		{"100 Mbit/s, 20 ms", 100e6, 20 * time.Millisecond, bbrMSS, 2 * time.Second},
		{"1 Gbit/s, 1 ms", 1e9, time.Millisecond, bbrMSS, 200 * time.Millisecond},
		{"10 Gbit/s, 50 µs", 10e9, 50 * time.Microsecond, bbrMSS, 10 * time.Millisecond},
		{"100 Gbit/s, 20 µs", 100e9, 20 * time.Microsecond, 8960, 10 * time.Millisecond},
		{"100 Gbit/s, 10 ms", 100e9, 10 * time.Millisecond, 8960, 300 * time.Millisecond},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newBBRPath(row.bits, row.delay)
			p.mss = row.mss
			p.Start(&p.w, 10*p.mss)
			p.run(row.warm)
			require.InDelta(t, 1, p.share(p.run(row.warm)), 0.05, "all of it is used")
			require.InDelta(t, 1, p.estimate(), 0.05)
			require.Equal(t, bbrProbeBW, p.state)
			// What a host may send at once comes on top, and on the shortest paths it is more than they hold.
			quanta := 3 * quantum(p.rate, p.mss)
			require.LessOrEqual(t, p.maxFlight, 2*p.bdp()+2*quanta)
			require.LessOrEqual(t, p.maxQueue, p.bdp()/3+2*quanta, "a quarter of the pipe, when probing")
		})
	}
}

func TestBBRNeedsLittleQueue(t *testing.T) {
	p := newBBRPath(100e6, 20*time.Millisecond)
	p.queue = p.bdp() / 20
	p.run(2 * time.Second)
	require.Greater(t, p.share(p.run(5*time.Second)), 0.95)
}

func TestBBRGoesOnInSpiteOfLoss(t *testing.T) {
	for _, row := range []struct {
		name                string
		loss                float64
		estimate, delivered float64 // at least
	}{
		// The path delivers what it is not losing, at that rate BBR sends, and of this again a share is lost.
		{"1 %", 0.01, 0.99, 0.96}, // and ProbeRTT takes its 2 %
		{"5 %", 0.05, 0.95, 0.90},
		{"10 %", 0.10, 0.90, 0.80},
		{"20 %", 0.20, 0.75, 0.55},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newBBRPath(100e6, 20*time.Millisecond)
			p.lose = randomly(row.loss)
			p.run(5 * time.Second)
			delivered := p.share(p.run(20 * time.Second))
			require.Greater(t, p.estimate(), row.estimate)
			require.Greater(t, delivered, row.delivered)
			require.Zero(t, p.timeouts)
		})
	}
}

// The receiver's window of 32 KiB allows 328 kB/s at a round trip of 100 time.Millisecond.
func TestBBRGoesOnInASmallWindow(t *testing.T) {
	for _, row := range []struct{ loss, want float64 }{
		{0, 315e3}, {0.01, 240e3}, {0.05, 160e3}, {0.1, 120e3}, {0.2, 75e3}, {0.3, 40e3},
	} {
		t.Run(fmt.Sprintf("%.0f %%", 100*row.loss), func(t *testing.T) {
			p := newBBRPath(100e6, 100*time.Millisecond)
			p.lose, p.rwnd = randomly(row.loss), 32<<10
			require.Greater(t, p.run(time.Minute), row.want)
		})
	}
}

func TestBBRFollowsTheBandwidth(t *testing.T) {
	p := newBBRPath(100e6, 20*time.Millisecond)
	p.queue = 2 * p.bdp()
	p.run(2 * time.Second)

	p.rate /= 4
	p.run(2 * time.Second)
	require.InDelta(t, 1, p.estimate(), 0.05, "the old bandwidth is forgotten after ten round trips")
	require.Greater(t, p.share(p.run(2*time.Second)), 0.95)
	require.Less(t, p.maxFlight, 5*p.bdp()/2, "the queue of the change has drained to what cwnd allows")

	p.rate *= 4
	p.run(2 * time.Second)
	require.InDelta(t, 1, p.estimate(), 0.05, "each probe finds a quarter more")
	require.Greater(t, p.share(p.run(2*time.Second)), 0.95)
}

func TestBBRMeasuresTheRoundTripEveryTenSeconds(t *testing.T) {
	p := newBBRPath(100e6, 20*time.Millisecond)
	p.drift = int64(100 * time.Microsecond) // a second, so that no later round trip is as short as an earlier one

	var since int64
	var began, lasted []time.Duration
	for p.now < int64(45*time.Second) {
		was := p.state
		p.run(time.Millisecond)
		if was != bbrProbeRTT && p.state == bbrProbeRTT {
			since = p.now
			began = append(began, time.Duration(p.now))
		}
		if was == bbrProbeRTT && p.state != bbrProbeRTT {
			lasted = append(lasted, time.Duration(p.now-since))
			own := int64(p.delay) + p.drift*p.now/int64(time.Second)
			require.InDelta(t, own, p.model.rtt, float64(time.Millisecond), "the path's own delay was seen")
			require.Equal(t, bbrProbeBW, p.state)
		}
	}
	require.Len(t, lasted, 4)
	for i := range lasted {
		require.InDelta(t, 200*time.Millisecond, lasted[i], float64(50*time.Millisecond))
		require.InDelta(t, time.Duration(i+1)*10*time.Second, began[i], float64(time.Second))
	}
	require.Greater(t, p.share(p.run(time.Second)), 0.95, "the window was given back, and the estimate not lowered")
}

func TestBBRIsNotMisledByAnApplicationWithLittleToSay(t *testing.T) {
	p := newBBRPath(100e6, 20*time.Millisecond)
	p.run(2 * time.Second)
	written := int64(p.nxt * p.mss)
	since := p.now
	p.app = func(now int64) int64 { return written + (now-since)/1000 } // 1 MB/s
	p.run(30 * time.Second)
	require.InDelta(t, 1, p.estimate(), 0.05)

	p.app = nil
	require.Greater(t, p.share(p.run(time.Second)), 0.95, "at once as fast as before")
}

func TestBBRLearnsFromABetterSampleOfAnApplicationThatLimits(t *testing.T) {
	c := newBBRAcks()
	c.sample(1000, false)
	c.sample(500, true)
	require.EqualValues(t, 1000e3, c.model.bandwidth())
	c.sample(2000, true)
	require.EqualValues(t, 2000e3, c.model.bandwidth())
}

func TestBBRStartsAtOnceAfterIdleness(t *testing.T) {
	p := newBBRPath(100e6, 20*time.Millisecond)
	p.run(2 * time.Second)
	written, since := int64(p.nxt*p.mss), p.now
	p.app = func(now int64) int64 {
		if now-since < int64(15*time.Second) {
			return written
		}
		return math.MaxInt64
	}
	p.run(15*time.Second - time.Millisecond)
	require.Zero(t, p.flight)
	p.w.Pacing *= 2 // left from probing, say

	p.run(2 * time.Millisecond)
	require.Equal(t, p.model.bandwidth(), p.w.Pacing, "neither less nor more")
	require.Greater(t, p.w.Cwnd, p.bdp())
	p.run(25 * time.Millisecond)
	require.NotEqual(t, bbrProbeRTT, p.state, "the silence was as good")
	require.Greater(t, p.share(p.run(time.Second)), 0.95)
}

// Links and devices hold acknowledgments back, up to several round trips, and let them come in one.
func TestBBRSendsOnWhileAcknowledgmentsAreHeldBack(t *testing.T) {
	for _, merge := range []time.Duration{time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond, 60 * time.Millisecond} {
		t.Run(merge.String(), func(t *testing.T) {
			p := newBBRPath(100e6, 20*time.Millisecond)
			p.merge = merge
			p.run(3 * time.Second)
			require.Greater(t, p.share(p.run(5*time.Second)), 0.95)
			require.InDelta(t, 1, p.estimate(), 0.05)
		})
	}
}

func TestBBRHasRoomForSuperSegments(t *testing.T) {
	for _, delay := range []time.Duration{100 * time.Microsecond, 2 * time.Millisecond} {
		t.Run(delay.String(), func(t *testing.T) {
			p := newBBRPath(1e9, delay)
			p.burst = 44 // 64 KiB
			p.run(time.Second)
			require.Greater(t, p.share(p.run(time.Second)), 0.95)
		})
	}
}

func TestBBRSharesTheCycleOut(t *testing.T) {
	seen := map[uint8]bool{}
	for una := range uint32(100) {
		b := BBR{una: una * bbrMSS}
		b.enterProbeBW(0)
		seen[b.phase] = true
	}
	require.Len(t, seen, 7, "flows begin in all phases")
	require.NotContains(t, seen, uint8(1), "but the one that drains")
}

// bbrAcks are acknowledgments made by hand: of all that is in flight, a round trip each.
type bbrAcks struct {
	*BBR
	w   Window
	ack Ack
}

func newBBRAcks() *bbrAcks {
	c := &bbrAcks{BBR: new(BBR)}
	c.Start(&c.w, 10*bbrMSS)
	c.ack = Ack{MSS: bbrMSS, SRTT: int64(10 * time.Millisecond), MinRTT: int64(10 * time.Millisecond), RTT: int64(10 * time.Millisecond), Una: 1, Nxt: 1}
	return c
}

// sample acknowledges in a new round, after 10 time.Millisecond, what was delivered at kB/s.
func (c *bbrAcks) sample(rate int, limited bool) {
	c.ack.Now += int64(10 * time.Millisecond)
	delivered := 10 * rate
	c.ack.Acked, c.ack.Delivered = delivered, delivered
	c.ack.Rate = Rate{
		Delivered: delivered, Interval: int64(10 * time.Millisecond), AppLimited: limited,
		Prior: c.ack.Rate.Total, Total: c.ack.Rate.Total + uint64(delivered),
	}
	c.Ack(&c.w, &c.ack)
}

func TestBBRStartsWithTheInitialWindow(t *testing.T) {
	c := newBBRAcks()
	require.Equal(t, 10*bbrMSS, c.w.Cwnd)
	require.True(t, c.w.Autonomous)
	require.EqualValues(t, 10*bbrMSS*1000*highGain/unitGain, c.w.Pacing, "in a millisecond, times the gain")

	c.sample(1, true)
	require.EqualValues(t, 10*bbrMSS*100*highGain/unitGain, c.w.Pacing, "in the round trip that was measured")

	c.Start(&c.w, bbrMSS)
	require.Equal(t, bbrMSS, c.w.Cwnd)
	require.Zero(t, c.model)
}

func TestBBRDoublesUntilThePipeIsFull(t *testing.T) {
	c := newBBRAcks()
	c.ack.Flight = 1 << 20
	for _, rate := range []int{1000, 2000, 4000, 8000, 9000, 9500, 9500} {
		require.Equal(t, bbrStartup, c.state)
		c.sample(rate, false)
	}
	require.Equal(t, bbrDrain, c.state, "three rounds have not added a quarter")
	require.Less(t, c.w.Pacing, c.model.bandwidth()/2)
	c.ack.Flight = 95_000
	c.sample(9500, false)
	require.Equal(t, bbrProbeBW, c.state, "no more is in flight than the path holds")
}

func TestBBRDoesNotTakeAnApplicationsLimitForAFullPipe(t *testing.T) {
	c := newBBRAcks()
	for range 20 {
		c.sample(1000, true)
	}
	require.Equal(t, bbrStartup, c.state)
}

func TestBBRTakesTheHandshakesRoundTripForWantOfAnother(t *testing.T) {
	c := newBBRAcks()
	c.ack.RTT, c.ack.SRTT = 0, int64(30*time.Millisecond)
	c.sample(1000, false)
	require.EqualValues(t, 30*time.Millisecond, c.model.rtt)
	c.ack.SRTT = int64(20 * time.Millisecond)
	c.sample(1000, false)
	require.EqualValues(t, 30*time.Millisecond, c.model.rtt, "which smoothed ones after it are not")
}

func TestBBRDoesNotTrustTheModelBeforeTheInitialWindowHasArrived(t *testing.T) {
	c := newBBRAcks()
	c.sample(1, true) // 10 octets in 10 time.Millisecond
	require.Less(t, c.inflight(&c.w, &c.ack, highGain), 10*bbrMSS)
	require.Equal(t, 10*bbrMSS+10, c.w.Cwnd)
}

func TestBBRTimeoutIsNoRoundWithoutGrowth(t *testing.T) {
	c := newBBRAcks()
	for range 3 {
		c.sample(1000, false)
	}
	c.Timeout(&c.w, Loss{Now: c.ack.Now, Flight: 80_000, MSS: bbrMSS})
	for range 3 {
		c.sample(1000, false)
		require.Equal(t, bbrStartup, c.state)
	}
	c.sample(1000, false)
	require.NotEqual(t, bbrStartup, c.state)
}

// cruising is a BBR in ProbeBW at 10 MB/s and 10 time.Millisecond, with 80,000 octets in flight.
func cruising() *bbrAcks {
	c := newBBRAcks()
	c.ack.Flight = 80_000
	for range 20 {
		c.sample(10_000, false)
	}
	return c
}

// lose delivers so much in a new segment's time, not a round's, and finds so much lost.
func (c *bbrAcks) lose(delivered, lost int) {
	c.ack.Now += int64(time.Millisecond)
	c.ack.Prior = c.ack.Flight
	c.ack.Flight -= delivered + lost
	c.ack.Delivered, c.ack.Lost = delivered, lost
	c.ack.Rate = Rate{Total: c.ack.Rate.Total + uint64(delivered)}
	c.Ack(&c.w, &c.ack)
	c.ack.Lost = 0
}

func TestBBRProbesUntilThePathIsFullOrLoses(t *testing.T) {
	for _, row := range []struct {
		name         string
		flight, lost int
		ends         bool
	}{
		{"neither", 100_000, 0, false},
		{"full", 200_000, 0, true},
		{"lost", 100_000, bbrMSS, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := cruising()
			c.phase, c.phaseAt = 0, c.ack.Now
			c.ack.Now += int64(11 * time.Millisecond)
			c.ack.Flight = row.flight
			c.lose(bbrMSS, row.lost)
			require.Equal(t, row.ends, c.phase != 0)
		})
	}
}

func TestBBRMeasuresForARoundTripAtLeast(t *testing.T) {
	c := cruising()
	c.ack.Now += rttWindow
	c.ack.RTT++
	c.sample(10_000, false)
	c.ack.Flight = 4*bbrMSS + 1
	c.lose(1, 0)
	require.Equal(t, c.ack.Now+probeRTTDuration, c.probeDone, "little enough is in flight now")
	c.ack.Now += probeRTTDuration
	c.lose(1, 0)
	require.Equal(t, bbrProbeRTT, c.state, "nothing has come that was sent since")
	c.sample(1000, false)
	require.Equal(t, bbrProbeBW, c.state)
}

func TestBBRIdlenessEndsTheMeasurement(t *testing.T) {
	for _, row := range []struct {
		idle time.Duration
		want bbrState
	}{{199 * time.Millisecond, bbrProbeRTT}, {200 * time.Millisecond, bbrProbeBW}} {
		c := cruising()
		cwnd := c.w.Cwnd
		c.ack.Now += rttWindow
		c.ack.RTT++
		c.sample(10_000, false)
		require.Equal(t, bbrProbeRTT, c.state)
		require.Equal(t, minPipe*bbrMSS, c.w.Cwnd)
		c.Restart(&c.w, c.ack.Now+int64(row.idle), int64(row.idle))
		require.Equal(t, row.want, c.state)
		if row.want == bbrProbeBW {
			require.Equal(t, cwnd, c.w.Cwnd)
		}
	}
}

func TestBBRConservesPacketsInTheFirstRoundOfRecovery(t *testing.T) {
	c := cruising()
	require.Equal(t, bbrProbeBW, c.state)
	cwnd := c.w.Cwnd
	require.Greater(t, cwnd, 200_000)

	c.Loss(&c.w, Loss{Now: c.ack.Now, Flight: 80_000, MSS: bbrMSS})
	c.lose(2*bbrMSS, 3*bbrMSS)
	require.Equal(t, c.ack.Flight+2*bbrMSS, c.w.Cwnd, "as much is sent as has arrived")
	c.ack.Flight = c.w.Cwnd
	c.lose(2*bbrMSS, 0)
	require.Equal(t, c.ack.Flight+2*bbrMSS, c.w.Cwnd)

	before := c.w.Cwnd
	c.sample(1000, false)
	require.Equal(t, before+10_000, c.w.Cwnd, "after a round it grows by what arrives")

	c.Recovered(&c.w, Loss{Now: c.ack.Now, Flight: c.ack.Flight, MSS: bbrMSS})
	require.Equal(t, cwnd, c.w.Cwnd, "the window is given back")
}

func TestBBRDoesNotConserveWhereLossIsNoNews(t *testing.T) {
	c := cruising()
	for _, row := range []struct {
		rounds int
		want   bbrRecovery
	}{{0, bbrConserving}, {0, bbrRegrowing}, {2, bbrRegrowing}, {3, bbrConserving}} {
		for range row.rounds {
			c.sample(10_000, false)
		}
		c.Loss(&c.w, Loss{Now: c.ack.Now, Flight: 80_000, MSS: bbrMSS})
		require.Equal(t, row.want, c.recovery, "%d rounds after the last one", row.rounds)
		c.Recovered(&c.w, Loss{Now: c.ack.Now, Flight: 80_000, MSS: bbrMSS})
	}
}

func TestBBRTimeoutSendsASegmentAndGivesTheWindowBackAfterTheRepair(t *testing.T) {
	c := cruising()
	c.ack.Nxt = 80_001
	c.sample(10_000, false)
	cwnd, bandwidth := c.w.Cwnd, c.model.bandwidth()

	c.Timeout(&c.w, Loss{Now: c.ack.Now, Flight: 80_000, MSS: bbrMSS})
	require.Equal(t, bbrMSS, c.w.Cwnd)
	c.ack.Flight, c.ack.Una, c.ack.Nxt = 0, 40_001, 40_001
	c.lose(0, 0)
	require.Equal(t, minPipe*bbrMSS, c.w.Cwnd)
	c.ack.Una, c.ack.Nxt = 80_001, 90_001
	c.lose(0, 0)
	require.Equal(t, cwnd, c.w.Cwnd)
	require.Equal(t, bandwidth, c.model.bandwidth())
}

func TestBBRUndoEndsRecovery(t *testing.T) {
	c := cruising()
	cwnd := c.w.Cwnd
	for _, row := range []struct {
		name string
		fail func(*Window, Loss)
	}{{"loss", c.Loss}, {"timeout", c.Timeout}} {
		t.Run(row.name, func(t *testing.T) {
			row.fail(&c.w, Loss{Now: c.ack.Now, Flight: 80_000, MSS: bbrMSS})
			require.Less(t, c.w.Cwnd, cwnd)
			c.w.Cwnd = cwnd // as the connection does
			c.Undo(&c.w)
			c.lose(bbrMSS, 0)
			require.Equal(t, cwnd, c.w.Cwnd, "no conservation any more")
		})
	}
}

func TestBBRStaysInBoundsWhateverItIsTold(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	b, w, a := new(BBR), Window{}, Ack{}
	b.Start(&w, 10*bbrMSS)
	huge := func() int64 { return r.Int64N(1 << r.IntN(62)) }
	for range 20_000 {
		delivered := 1 + int(huge()%unlimited)
		a.Now += huge() % int64(time.Hour)
		a.MSS = 1 + r.IntN(65535)
		a.Delivered, a.Lost, a.Flight, a.Prior = delivered, int(huge()%unlimited), int(huge()%unlimited), int(huge()%unlimited)
		a.Una, a.Nxt = r.Uint32(), r.Uint32()
		a.RTT, a.SRTT = huge(), huge()
		total := a.Rate.Total + uint64(delivered)
		a.Rate = Rate{
			Delivered: delivered, Interval: huge(), AppLimited: r.IntN(4) == 0, Prior: uint64(huge()) % (total + 1), Total: total,
		}
		switch l := (Loss{Now: a.Now, Flight: a.Flight, MSS: a.MSS}); r.IntN(20) {
		case 0:
			b.Loss(&w, l)
		case 1:
			b.Recovered(&w, l)
		case 2:
			b.Timeout(&w, l)
		case 3:
			b.Undo(&w)
		case 4:
			b.Restart(&w, a.Now, huge())
		}
		b.Ack(&w, &a)
		require.Positive(t, w.Pacing)
		require.LessOrEqual(t, w.Pacing, int64(maxRate))
		require.GreaterOrEqual(t, w.Cwnd, 1)
		require.LessOrEqual(t, int64(w.Cwnd), int64(2*unlimited))
	}
}

func TestMulDiv(t *testing.T) {
	require.EqualValues(t, 3, mulDiv(7, 3, 6))
	require.Equal(t, int64(100e9), mulDiv(100e9, 10*second, 10*second), "beyond 64 bits in between")
	require.Equal(t, int64(math.MaxInt64), mulDiv(math.MaxInt64, 3, 2))
	require.Equal(t, int64(math.MaxInt64), mulDiv(math.MaxInt64, math.MaxInt64, 1))
}

func TestBBRAckAllocatesNothing(t *testing.T) {
	c := cruising()
	require.Zero(t, testing.AllocsPerRun(1000, func() { c.sample(10_000, false) }))
}
