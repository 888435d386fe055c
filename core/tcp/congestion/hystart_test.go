package congestion

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// round is a flight of so many segments, all acknowledged one by one, all with the given round-trip time.
func (h *hyStart) round(una *uint32, segments int, rtt int64) (over bool) {
	nxt := *una + uint32(segments*mss)
	for range segments {
		*una += mss
		over = h.ack(&Ack{Acked: mss, MSS: mss, Una: *una, Nxt: nxt, Limited: true, RTT: rtt})
	}
	return over
}

func TestHyStartSuspectsLongerRoundTrips(t *testing.T) {
	for _, row := range []struct {
		name       string
		last, next int64
		samples    int
		css        bool
	}{
		{"an eighth longer", 80 * ms, 90 * ms, 8, true},
		{"hardly less than that", 80 * ms, 90*ms - 1, 8, false},
		{"of a short one 4 ms", 10 * ms, 14 * ms, 8, true},
		{"and nothing less", 10 * ms, 14*ms - 1, 8, false},
		{"of a long one 16 ms", 800 * ms, 816 * ms, 8, true},
		{"and nothing less", 800 * ms, 816*ms - 1, 8, false},
		{"with too few samples", 80 * ms, 160 * ms, 7, false},
		{"shorter", 80 * ms, 60 * ms, 8, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, start := range []uint32{0, math.MaxUint32 - 12*mss} { // wrapping around in the second round
				h, una := new(hyStart), start
				h.round(&una, 10, row.last)
				require.Equal(t, mss, h.growth(mss), "the first round has nothing to compare with")
				h.round(&una, row.samples, row.next)
				want := mss
				if row.css {
					want = mss / 4
				}
				require.Equal(t, want, h.growth(mss))
			}
		})
	}
}

func TestHyStartConservativeSlowStartLastsFiveRounds(t *testing.T) {
	for _, start := range []uint32{0, math.MaxUint32 - 50*mss} {
		h, una := new(hyStart), start
		h.round(&una, 10, 100*ms)
		for n := 1; n <= 5; n++ {
			over := h.round(&una, 10, 120*ms)
			require.Equal(t, n == 5, over, "round %d, that of the transition included", n)
			require.Equal(t, mss/4, h.growth(mss))
		}
	}
}

func TestHyStartReturnsToSlowStartWhenRoundTripsAreShortAgain(t *testing.T) {
	h, una := new(hyStart), uint32(0)
	h.round(&una, 10, 100*ms)
	h.round(&una, 10, 120*ms)
	h.round(&una, 10, 120*ms)
	require.Equal(t, mss/4, h.growth(mss))
	h.round(&una, 10, 119*ms)
	require.Equal(t, mss, h.growth(mss))

	h.round(&una, 10, 140*ms)
	for n := 2; n <= 5; n++ {
		require.Equal(t, n == 5, h.round(&una, 10, 140*ms), "the rounds are counted anew")
	}
}

func TestHyStartTakesTheLeastOfARound(t *testing.T) {
	h, una := new(hyStart), uint32(0)
	h.round(&una, 10, 100*ms)
	nxt := una + 10*mss
	for i := range 10 {
		una += mss
		rtt := 200 * ms
		if i == 3 {
			rtt = 101 * ms
		}
		h.ack(&Ack{Acked: mss, MSS: mss, Una: una, Nxt: nxt, RTT: rtt})
	}
	require.Equal(t, mss, h.growth(mss), "one short round-trip time is enough")
}

func TestHyStartWithoutRoundTripTimesIsSlowStart(t *testing.T) {
	h, una := new(hyStart), uint32(0)
	for range 10 {
		require.False(t, h.round(&una, 10, 0))
		require.Equal(t, mss, h.growth(mss))
	}
	h.round(&una, 10, 100*ms)
	h.round(&una, 10, 120*ms)
	require.Equal(t, mss/4, h.growth(mss), "until there are some")
}

func TestHyStartCountsOnlyWhatIsMeasured(t *testing.T) {
	for measured, want := range map[int]int{7: mss, 8: mss / 4} {
		h, una := new(hyStart), uint32(0)
		h.round(&una, 10, 100*ms)
		nxt := una + 20*mss
		for i := range 16 {
			rtt := int64(0)
			if i%2 == 0 && i < 2*measured {
				rtt = 120 * ms
			}
			una += mss
			h.ack(&Ack{Acked: mss, MSS: mss, Una: una, Nxt: nxt, RTT: rtt})
		}
		require.Equal(t, want, h.growth(mss), "%d samples", measured)
	}
}

func TestHyStartIsForTheInitialSlowStart(t *testing.T) {
	s, c := newCubic(100 * ms)
	s.acknowledge(mss)
	require.NotNil(t, c.start)
	s.lose()
	require.Nil(t, c.start)
	s.Timeout(&s.Window, s.loss())
	s.acknowledge(mss)
	require.Nil(t, c.start)
	require.Equal(t, 2*mss, s.Cwnd)
}

// bottleneck is a path with one queue, before the slowest link, and a sender that has data without end.
type bottleneck struct {
	perSegment int64 // nanoseconds that the link takes for a segment
	rtt        int64 // without queueing
	merged     int   // segments that an acknowledgment is for
	queue      int   // segments that find room in the queue

	free   int64 // when the link has sent all it has
	flight []segment
}

// segment is one in flight.
type segment struct {
	sent, acknowledged int64
	lost               bool
}

// slowStart sends until slow start is over or the first loss is found, and returns how many segments are lost by then.
func (b *bottleneck) slowStart(c Controller, w *Window) (lost int) {
	now, una := int64(0), uint32(math.MaxUint32-100*mss)
	for w.Cwnd < w.Ssthresh {
		for (len(b.flight)+1)*mss <= w.Cwnd {
			s := segment{sent: now}
			b.free = max(b.free, now)
			if s.lost = b.free-now > int64(b.queue)*b.perSegment; s.lost {
				lost++
			} else {
				b.free += b.perSegment
			}
			s.acknowledged = b.free + b.rtt
			b.flight = append(b.flight, s)
		}
		prior, n := len(b.flight), min(b.merged, len(b.flight))
		for _, s := range b.flight[:n] {
			if s.lost {
				return lost
			}
		}
		s := b.flight[n-1]
		b.flight = b.flight[n:]
		now = s.acknowledged
		una += uint32(n * mss)
		c.Ack(w, &Ack{
			Now: now, Acked: n * mss, Delivered: n * mss, Prior: prior * mss, Flight: len(b.flight) * mss, MSS: mss,
			Una: una, Nxt: una + uint32(len(b.flight)*mss), Limited: true, RTT: now - s.sent, MinRTT: b.rtt,
		})
	}
	return lost
}

func TestHyStartSparesTheQueue(t *testing.T) {
	for _, row := range []struct {
		name       string
		perSegment int64
		rtt        int64
		merged     int
		queue      int // windows that fill the path
		spared     int // of so many segments that slow start alone loses one is lost at most; 0: none
	}{
		{"100 segments fill the path, as many the queue", ms, 100 * ms, 1, 1, 1},
		{"a deep queue", ms, 100 * ms, 1, 4, 3},
		{"a bloated queue", ms, 100 * ms, 1, 16, 0},
		{"1000 segments fill the path", ms / 10, 100 * ms, 1, 4, 3},
		{"and a bloated queue", ms / 10, 100 * ms, 1, 16, 0},
		{"half as many acknowledgments", ms / 10, 100 * ms, 2, 4, 3},
		{"half as many acknowledgments, a bloated queue", ms / 10, 100 * ms, 2, 16, 0},
		{"acknowledgments for 32 KB", ms / 10, 100 * ms, 32, 4, 3},
		{"acknowledgments for 32 KB, a bloated queue", ms / 10, 100 * ms, 32, 16, 0},
		{"a short path and a bloated queue", ms / 50, 20 * ms, 1, 16, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			fill := int(row.rtt / row.perSegment)
			run := func(name string) (*Window, int) {
				c, w := ByName(name), new(Window)
				c.Start(w, 10*mss)
				b := &bottleneck{perSegment: row.perSegment, rtt: row.rtt, merged: row.merged, queue: row.queue * fill}
				return w, b.slowStart(c, w)
			}
			_, reno := run("reno")
			w, cubic := run("cubic")
			t.Logf("lost %d segments, with slow start alone %d; cwnd %d", cubic, reno, w.Cwnd/mss)
			require.Greater(t, reno, row.queue*fill)
			require.Greater(t, w.Cwnd, fill*mss, "slow start fills the path")
			if row.spared == 0 {
				require.Zero(t, cubic)
				require.Equal(t, w.Ssthresh, w.Cwnd, "slow start ends before the queue overflows")
			} else {
				require.LessOrEqual(t, cubic*row.spared, reno)
			}
		})
	}
}
