package congestion

import (
	"math"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

const (
	ms        = int64(time.Millisecond)
	oneSecond = int64(time.Second)
)

// sender is a connection that always has data: it sends a window's worth a round trip, evenly spread, and every segment is
// acknowledged alone.
type sender struct {
	Controller
	Window
	now, rtt  int64
	una       uint32
	delivered int // segments
	limited   bool
	ack       Ack // the latest, here so as not to be allocated
}

func newSender(name string, rtt int64) *sender {
	s := &sender{Controller: ByName(name), rtt: rtt, limited: true}
	s.Start(&s.Window, 10*mss)
	return s
}

func newCubic(rtt int64) (*sender, *Cubic) {
	s := newSender("cubic", rtt)
	return s, s.Controller.(*Cubic)
}

// avoiding is a sender that has lost at a window of so many segments, and recovered at once.
func avoiding(segments int, rtt int64) (*sender, *Cubic) {
	s, c := newCubic(rtt)
	s.Cwnd = segments * mss
	s.lose()
	return s, c
}

// acknowledge has so many octets acknowledged, after the time that a window of them takes.
func (s *sender) acknowledge(acked int) {
	s.now += s.rtt * int64(acked) / int64(s.Cwnd)
	s.delivered++
	s.una += uint32(acked)
	s.ack = Ack{
		Now: s.now, Acked: acked, Delivered: acked, Prior: s.Cwnd, Flight: s.Cwnd - acked, MSS: mss,
		Una: s.una, Nxt: s.una + uint32(s.Cwnd-acked), Limited: s.limited, RTT: s.rtt, SRTT: s.rtt, MinRTT: s.rtt,
	}
	s.Ack(&s.Window, &s.ack)
}

func (s *sender) loss() Loss { return Loss{Now: s.now, Flight: s.Cwnd, MSS: mss} }

func (s *sender) lose() {
	s.Loss(&s.Window, s.loss())
	s.Recovered(&s.Window, s.loss())
}

func (s *sender) until(now int64) {
	for s.now < now {
		s.acknowledge(mss)
	}
}

// average is the window in segments, over time, when every n-th segment is lost.
func (s *sender) average(n, losses int) float64 {
	cycle := func() {
		for range n {
			s.acknowledge(mss)
		}
		s.lose()
	}
	for range losses / 2 {
		cycle()
	}
	begin, delivered := s.now, s.delivered
	for range losses {
		cycle()
	}
	return float64(s.delivered-delivered) * float64(s.rtt) / float64(s.now-begin)
}

func TestCubicEquations(t *testing.T) {
	for _, row := range []struct {
		name        string
		wMax, epoch int     // segments
		k           float64 // seconds
		at, window  float64 // seconds, segments
	}{
		// K = ∛((100−70)/0.4) = ∛75 = 4.217
		{"at the beginning it is the window of the beginning", 100, 70, 4.217, 0, 70},
		{"concave: 0.4·(−2.217)³ + 100", 100, 70, 4.217, 2, 95.64},
		{"after K it is W_max", 100, 70, 4.217, 4.217, 100},
		{"convex: as far above W_max after twice K as below at first", 100, 70, 4.217, 8.434, 130},
		// K = ∛((1000−700)/0.4) = ∛750 = 9.086
		{"K grows as the cube root of the window", 1000, 700, 9.086, 5, 972.69},
		{"without W_max the window of the beginning is it, and K is 0", 0, 70, 0, 5, 120},
		{"nor is there a way down from beyond W_max", 60, 70, 0, 5, 120},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := &curve{wMax: int32(row.wMax * mss)}
			v.begin(row.epoch*mss, &Ack{MSS: mss})
			require.InDelta(t, row.k, v.k, 0.001)
			require.InDelta(t, row.window, v.window(row.at, mss)/mss, 0.05)
		})
	}
}

func TestCubicEstimateOfReno(t *testing.T) {
	v := &curve{wEst: 70 * mss, cwndPrior: 100 * mss}
	v.estimate(70*mss, 70*mss, mss)
	require.InDelta(t, 70*mss+mss*9.0/17, v.wEst, 1e-6, "α of 9/17 segments a window")
	v.wEst = 100 * mss
	v.estimate(50*mss, 100*mss, mss)
	require.InDelta(t, 100.5*mss, v.wEst, 1e-6, "α of 1 from cwnd_prior on")
}

func TestCubicReduces(t *testing.T) {
	for _, row := range []struct {
		name                   string
		cwnd, flight, wMaxWas  int
		ecn                    bool
		ssthresh, cwnd2, wMax2 int
	}{
		{"a loss: to 0.7", 100_000, 100_000, 0, false, 70_000, 70_000, 100_000},
		{"what is in flight counts, what was remembered is cwnd", 100_000, 50_000, 0, false, 35_000, 35_000, 100_000},
		{"below W_max: fast convergence", 80_000, 80_000, 100_000, false, 56_000, 56_000, 68_000},
		{"less than a segment below it: none", 99_001, 99_001, 100_000, false, 69_300, 69_300, 99_001},
		{"at W_max: none", 100_000, 100_000, 100_000, false, 70_000, 70_000, 100_000},
		{"a loss: two segments remain", 2000, 2000, 0, false, 2000, 2000, 2000},
		{"a mark: to 0.7", 100_000, 100_000, 0, true, 70_000, 70_000, 100_000},
		{"a mark: less than two segments may remain", 2000, 2000, 0, true, 2000, 1400, 2000},
		{"a mark: one segment remains", 1000, 1000, 0, true, 2000, 1000, 1000},
		{"the largest window", unlimited, unlimited, 0, false, unlimited / 10 * 7, unlimited / 10 * 7, unlimited},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, w := new(Cubic), new(Window)
			c.Start(w, row.cwnd)
			c.curve = &curve{wMax: int32(row.wMaxWas)}
			l := Loss{Flight: row.flight, MSS: mss, ECN: row.ecn}
			c.Loss(w, l)
			require.Equal(t, row.cwnd, w.Cwnd, "recovery reduces it")
			require.InDelta(t, row.ssthresh, w.Ssthresh, 3)
			c.Recovered(w, l)
			require.InDelta(t, row.cwnd2, w.Cwnd, 3)
			require.EqualValues(t, row.wMax2, c.curve.wMax)
			require.EqualValues(t, row.cwnd, c.curve.cwndPrior)
		})
	}
}

func TestCubicWindowFollowsTheCurve(t *testing.T) {
	for _, row := range []struct {
		name string
		each int // octets an acknowledgment is for
	}{
		{"an acknowledgment for every segment", mss},
		{"for every other", 2 * mss},
		{"merged ones for 64 KB", 64 * mss},
		{"split ones", mss / 10},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, c := avoiding(1000, 100*ms)
			require.Equal(t, 700*mss, s.Cwnd)
			k := 0.0
			for s.now < 18*oneSecond {
				s.acknowledge(row.each)
				k = c.curve.k
				want := c.curve.window(seconds(s.now), mss)
				require.InEpsilon(t, want, s.Cwnd, 0.02, "at %v s", seconds(s.now))
			}
			require.InDelta(t, 9.086, k, 0.001)
			require.InEpsilon(t, 1300*mss, s.Cwnd, 0.02, "beyond W_max too")
		})
	}
}

func TestCubicGrowsByNoMoreThanHalfAWindowARoundTrip(t *testing.T) {
	s, _ := avoiding(100, 10*oneSecond) // a round trip in which the curve runs away
	before := s.Cwnd
	for range before / mss {
		s.acknowledge(mss)
	}
	require.LessOrEqual(t, float64(s.Cwnd), float64(before)*math.Exp(0.5))
	s, _ = avoiding(100, 10*oneSecond)
	s.acknowledge(mss)
	before = s.Cwnd
	s.acknowledge(before)
	require.InDelta(t, before*3/2, s.Cwnd, 1, "all in one acknowledgment")
	before = s.Cwnd
	s.acknowledge(3 * before)
	require.InDelta(t, before*3/2, s.Cwnd, 1, "nor more for what was sent when the window was larger")
}

func TestCubicAverageWindow(t *testing.T) {
	for _, row := range []struct {
		name   string
		rtt    int64
		losses int // one in so many segments
		want   float64
	}{
		// 1.054 · ∜(RTT³/p³), RFC 9438 section 5.1, figure 8; the numbers are those of its tables 1 and 2
		{"RTT 100 ms, 1e-4", 100 * ms, 10_000, 187},
		{"RTT 100 ms, 1e-5", 100 * ms, 100_000, 1054},
		{"RTT 100 ms, 1e-6", 100 * ms, 1_000_000, 5926},
		// Reno-friendly: √(1.5/p), section 4.3, figure 3; in the tables √(1.44/p) (RFC 3649)
		{"RTT 100 ms, 1e-3: as Reno", 100 * ms, 1000, 38.7},
		{"RTT 10 ms, 1e-4: as Reno", 10 * ms, 10_000, 122.5},
		{"RTT 1 ms, 1e-5: as Reno", ms, 100_000, 387.3},
	} {
		t.Run(row.name, func(t *testing.T) {
			// The model is about a window that is W_max again at every loss: CUBIC stays there, but as the curve is flat there
			// it would take hundreds of losses to come from elsewhere. On average it is 0.925 of that.
			s, _ := avoiding(int(row.want/0.925), row.rtt)
			got := s.average(row.losses, 4)
			t.Logf("%.1f segments, by the model %.1f", got, row.want)
			require.InEpsilon(t, row.want, got, 0.05)
		})
	}
}

func TestCubicIsAsFastAsRenoWhereRenoIsFast(t *testing.T) {
	for _, losses := range []int{100, 1000, 10_000} {
		reno := newSender("reno", 10*ms).average(losses, 100)
		cubic := newSender("cubic", 10*ms).average(losses, 100)
		t.Logf("one loss in %d: cubic %.1f segments, reno %.1f", losses, cubic, reno)
		require.InEpsilon(t, reno, cubic, 0.1)
	}
}

func TestCubicDoesNotGrowUnusedWindows(t *testing.T) {
	s, c := avoiding(100, 100*ms)
	s.until(2 * oneSecond)
	s.limited = false
	before, t0 := s.Cwnd, c.curve.elapsed
	s.until(60 * oneSecond)
	require.Equal(t, before, s.Cwnd)
	require.Equal(t, t0, c.curve.elapsed, "nor does time pass for the curve")
	s.limited = true
	s.until(61 * oneSecond)
	require.InDelta(t, c.curve.window(3, mss), s.Cwnd, 2*mss, "it goes on as if a minute ago were now")
}

func TestCubicDoesNotGrowByIdling(t *testing.T) {
	s, c := avoiding(100, 100*ms)
	s.until(2 * oneSecond)
	s.now += 3600 * oneSecond
	s.Restart(&s.Window, s.now, 3600*oneSecond)
	s.until(3603 * oneSecond)
	require.InDelta(t, c.curve.window(3, mss), s.Cwnd, 2*mss)
	require.InDelta(t, 3*oneSecond, c.curve.elapsed, float64(100*ms))
}

func TestCubicSlowStartInBetweenBeginsAnotherStage(t *testing.T) {
	s, c := avoiding(100, 100*ms)
	s.until(3 * oneSecond)
	s.Ssthresh, s.Cwnd = 75*mss, 50*mss // congestion window validation, after an idle time
	for range 25 {
		s.acknowledge(mss)
	}
	require.Equal(t, 75*mss, s.Cwnd, "slow start, up to the threshold")
	s.acknowledge(mss)
	require.InDelta(t, math.Cbrt(25/0.4), c.curve.k, 0.001, "K is of the window it begins with")
	require.Zero(t, c.curve.elapsed)
}

func TestCubicDoesNotLeapWhenTheWindowWasReduced(t *testing.T) {
	s, c := avoiding(100, 10*ms)
	s.until(oneSecond)
	require.Greater(t, c.curve.wEst, 100.0*mss)
	s.Cwnd = 20 * mss
	s.acknowledge(mss)
	require.LessOrEqual(t, s.Cwnd, 21*mss, "not even back to where Reno would be")
}

func TestCubicLeavesSlowStartWithoutLoss(t *testing.T) {
	s, c := newCubic(100 * ms)
	for s.rtt = 100 * ms; s.Cwnd < s.Ssthresh; s.rtt += ms / 2 {
		s.acknowledge(mss)
	}
	require.Equal(t, s.Cwnd, s.Ssthresh)
	require.Nil(t, c.start)
	require.Nil(t, c.curve)
	left := s.Cwnd
	s.acknowledge(mss)
	require.Zero(t, c.curve.k)
	require.EqualValues(t, left, c.curve.wMax)
	require.EqualValues(t, left, c.curve.cwndPrior)
	require.InDelta(t, left+mss*mss/left, s.Cwnd, 1, "on the plateau it grows as Reno does")
}

func TestCubicTimeout(t *testing.T) {
	s, c := avoiding(100, 100*ms)
	s.until(2 * oneSecond)
	s.Timeout(&s.Window, Loss{Flight: 50 * mss, MSS: mss})
	require.Equal(t, mss, s.Cwnd)
	require.Equal(t, 35*mss, s.Ssthresh)
	for s.Cwnd < s.Ssthresh {
		before := s.Cwnd
		s.acknowledge(before)
		require.Equal(t, min(2*before, 35*mss), s.Cwnd, "slow start")
	}
	s.acknowledge(mss)
	require.Zero(t, c.curve.k)
	require.EqualValues(t, 35*mss, c.curve.wMax, "the plateau is here")
}

func TestCubicUndoRestoresAll(t *testing.T) {
	for _, row := range []struct {
		name    string
		prepare func(s *sender)
	}{
		{"slow start", func(s *sender) { s.acknowledge(mss); s.acknowledge(mss) }},
		{"congestion avoidance", func(s *sender) { s.Cwnd = 100 * mss; s.lose(); s.until(2 * oneSecond) }},
		{"slow start after a timeout", func(s *sender) {
			s.Cwnd = 100 * mss
			s.Timeout(&s.Window, s.loss())
			for range 20 {
				s.acknowledge(mss)
			}
		}},
	} {
		for _, event := range []struct {
			name string
			do   func(s *sender)
		}{
			{"loss", func(s *sender) { s.Loss(&s.Window, s.loss()) }},
			{"loss and recovery", (*sender).lose},
			{"loss and growth", func(s *sender) { s.lose(); s.acknowledge(mss) }},
			{"timeout", func(s *sender) { s.Timeout(&s.Window, s.loss()) }},
		} {
			t.Run(row.name+", "+event.name, func(t *testing.T) {
				s, c := newCubic(100 * ms)
				row.prepare(s)
				window, start, v := s.Window, hyStart{}, curve{}
				if c.start != nil {
					start = *c.start
				}
				if c.curve != nil {
					v = *c.curve
				}
				event.do(s)
				require.NotEqual(t, window, s.Window)

				s.Window = window // the connection does that
				s.Undo(&s.Window)
				require.Equal(t, window, s.Window)
				if c.start != nil {
					require.Equal(t, start, *c.start)
				} else {
					require.Zero(t, start)
				}
				if c.curve != nil {
					v.before = nil
					require.Equal(t, v, *c.curve)
				} else {
					require.Zero(t, v)
				}
				s.Undo(&s.Window)
				require.Equal(t, window, s.Window, "there is nothing more to undo")
			})
		}
	}
}

func TestCubicUndoComesTooLateWhenTheWindowHasGrownBack(t *testing.T) {
	s, c := avoiding(100, 100*ms)
	for s.Cwnd < 100*mss {
		require.NotNil(t, c.curve.before)
		s.acknowledge(mss)
	}
	require.Nil(t, c.curve.before, "nor is what it was kept any longer")
	v := *c.curve
	s.Undo(&s.Window)
	require.Equal(t, v, *c.curve)
}

func TestCubicRemembersOneCongestionOnly(t *testing.T) {
	s, c := avoiding(100, 100*ms)
	for range 5 {
		s.lose()
		require.NotNil(t, c.curve.before)
		require.Nil(t, c.curve.before.curve.before)
	}
}

func TestCubicWindowIsBounded(t *testing.T) {
	s, _ := avoiding(unlimited/mss, 100*ms)
	for range 1000 {
		s.now += 100 * oneSecond
		s.acknowledge(s.Cwnd)
		require.LessOrEqual(t, s.Cwnd, unlimited)
	}
	require.Equal(t, unlimited, s.Cwnd)
}

func TestCubicStartsAnew(t *testing.T) {
	s, c := avoiding(100, 100*ms)
	s.Start(&s.Window, 4*mss)
	require.Equal(t, Window{Cwnd: 4 * mss, Ssthresh: unlimited}, s.Window)
	require.Zero(t, *c)
}

func TestCubicGrowsWithoutRoundTripTimes(t *testing.T) {
	s, _ := newCubic(100 * ms)
	for range 10 {
		s.Ack(&s.Window, &Ack{Now: s.now, Acked: mss, MSS: mss, Limited: true})
	}
	require.Equal(t, 20*mss, s.Cwnd, "slow start")
	s.lose()
	for range 100 {
		s.now += 10 * ms
		s.Ack(&s.Window, &Ack{Now: s.now, Acked: mss, MSS: mss, Limited: true})
	}
	require.Greater(t, s.Cwnd, 14*mss, "congestion avoidance")
}

func TestCubicKeepsNothingForAConnectionThatIsNotBusy(t *testing.T) {
	s, c := newCubic(100 * ms)
	s.limited = false
	for range 100 {
		s.acknowledge(mss)
	}
	s.Restart(&s.Window, s.now, oneSecond)
	require.Zero(t, *c)
	require.Equal(t, 10*mss, s.Cwnd)
}

func TestCubicIsSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(Cubic{}), uintptr(16))
	require.LessOrEqual(t, unsafe.Sizeof(hyStart{}), uintptr(32))
	require.LessOrEqual(t, unsafe.Sizeof(curve{}), uintptr(64))
}

func TestCubicAckDoesNotAllocate(t *testing.T) {
	for _, row := range []struct {
		name string
		s    func() (*sender, *Cubic)
	}{
		{"slow start", func() (*sender, *Cubic) { return newCubic(100 * ms) }},
		{"congestion avoidance", func() (*sender, *Cubic) { return avoiding(1000, 100*ms) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, _ := row.s()
			s.acknowledge(mss) // makes what it needs
			require.Zero(t, testing.AllocsPerRun(100, func() { s.acknowledge(mss) }))
		})
	}
}

func BenchmarkCubicAck(b *testing.B) {
	s, _ := avoiding(1000, 100*ms)
	b.ReportAllocs()
	for b.Loop() {
		s.acknowledge(mss)
	}
}
