package tcp

import (
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestValidationSize(t *testing.T) {
	assert.LessOrEqual(t, unsafe.Sizeof(validation{}), uintptr(40))
}

const (
	validationMSS = 1000
	validationRTT = int64(100e6)
)

// validationScript is a sender and what validation sees of it.
type validationScript struct {
	*testing.T
	validation
	now            int64
	cwnd, ssthresh int
}

func validationAt(t *testing.T, cwnd, ssthresh int) *validationScript {
	return &validationScript{T: t, now: 5e9, cwnd: cwnd, ssthresh: ssthresh}
}

// roundTrips has so many octets sent and acknowledged in each of n round trips, by acknowledgments of two segments spread over
// it, and returns how often the window was found to be in use.
func (s *validationScript) roundTrips(n, octets int) (limited, acks int) {
	for range n {
		step := validationRTT / int64(octets/(2*validationMSS))
		for left := octets; left > 0; left -= 2 * validationMSS {
			s.now += step
			s.acked(s.now, min(left, 2*validationMSS), validationRTT)
			if s.limited(s.now, validationRTT, s.cwnd, s.ssthresh, octets) {
				limited++
			}
			acks++
			s.cwnd, s.ssthresh = s.expire(s.now, s.cwnd, s.ssthresh, 10*validationMSS)
		}
	}
	return limited, acks
}

func (s *validationScript) wait(d time.Duration) { s.now += int64(d) }

func TestValidationLetsSlowStartDouble(t *testing.T) {
	for _, rtt := range []int64{1e6, 100e6, 2e9} {
		t.Run(time.Duration(rtt).String(), func(t *testing.T) {
			var v validation
			cwnd, now := 10*validationMSS, int64(5e9)
			for range 8 {
				// All of the window is in flight; its acknowledgments arrive one after the other, in the tenth part of a
				// round trip.
				flight := cwnd
				for i := range flight / validationMSS {
					at := now + rtt/10*int64(i)/int64(flight/validationMSS)
					v.acked(at, validationMSS, rtt)
					require.True(t, v.limited(at, rtt, cwnd, 1<<30, cwnd-validationMSS))
					cwnd += validationMSS
				}
				now += rtt
			}
			require.Equal(t, 10*validationMSS<<8, cwnd)
		})
	}
}

func TestValidationLimited(t *testing.T) {
	for _, row := range []struct {
		name   string
		octets int // of a window of 100 segments
		grows  bool
	}{
		{"the whole window is used", 100_000, true},
		{"a little more than half", 54_000, true},
		{"a little less than half", 46_000, false},
		{"a tenth", 10_000, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := validationAt(t, 100_000, 50_000)
			s.roundTrips(3, row.octets)
			limited, acks := s.roundTrips(10, row.octets)
			if row.grows {
				assert.Equal(t, acks, limited)
			} else {
				assert.Zero(t, limited)
			}
			assert.Equal(t, 100_000, s.cwnd)
		})
	}
}

func TestValidationSlowStartOfASmallSender(t *testing.T) {
	// A quarter of the window in each round trip is less than slow start proves, though pipeACK counts twice there: it was not
	// all in flight at once.
	s := validationAt(t, 100_000, 1<<30)
	s.roundTrips(3, 30_000)
	limited, _ := s.roundTrips(10, 30_000)
	assert.Zero(t, limited)
}

func TestValidationFollowsTheSamplingPeriod(t *testing.T) {
	s := validationAt(t, 100_000, 50_000)
	s.roundTrips(4, 100_000)
	_, ok := s.pipeACK()
	require.True(t, ok)

	// The largest sample counts for a second, and not for more than two.
	limited, acks := s.roundTrips(9, 10_000)
	assert.Equal(t, acks, limited)
	s.roundTrips(11, 10_000)
	limited, _ = s.roundTrips(1, 10_000)
	assert.Zero(t, limited)
	assert.Equal(t, 100_000, s.cwnd, "a window that is not used is kept")

	// The application has much to send again: the window it still has is used at once, and proven a round trip later.
	limited, acks = s.roundTrips(1, 100_000)
	assert.Less(t, limited, acks)
	assert.NotZero(t, limited)
	limited, acks = s.roundTrips(1, 100_000)
	assert.Equal(t, acks, limited)
}

func TestValidationIdle(t *testing.T) {
	for _, row := range []struct {
		name     string
		idle     time.Duration
		cwnd     int
		ssthresh int
	}{
		{"three seconds", 3 * time.Second, 100_000, 50_000},
		{"almost five minutes", 299 * time.Second, 100_000, 50_000},
		{"five minutes", 301 * time.Second, 50_000, 75_000},
		{"ten minutes", 601 * time.Second, 25_000, 75_000},
		{"a day", 24 * time.Hour, 10_000, 75_000},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := validationAt(t, 100_000, 50_000)
			s.roundTrips(4, 100_000)
			s.wait(row.idle)
			cwnd, ssthresh := s.expire(s.now, s.cwnd, s.ssthresh, 10_000)
			assert.Equal(t, row.cwnd, cwnd)
			assert.Equal(t, row.ssthresh, ssthresh)
			again, _ := s.expire(s.now, cwnd, ssthresh, 10_000)
			assert.Equal(t, cwnd, again, "once for each period")

			assert.False(t, s.limited(s.now, validationRTT, s.cwnd, s.ssthresh, 0), "nothing was acknowledged lately")
		})
	}
	t.Run("a window smaller than the initial one stays", func(t *testing.T) {
		s := validationAt(t, 4000, 2000)
		s.roundTrips(4, 4000)
		s.wait(time.Hour)
		cwnd, ssthresh := s.expire(s.now, s.cwnd, s.ssthresh, 10_000)
		assert.Equal(t, 4000, cwnd)
		assert.Equal(t, 2000, ssthresh)
	})
	t.Run("from the beginning", func(t *testing.T) {
		s := validationAt(t, 100_000, 1<<30)
		cwnd, _ := s.expire(s.now, s.cwnd, s.ssthresh, 10_000)
		assert.Equal(t, 100_000, cwnd, "the period begins when the window is first looked at")
		s.wait(301 * time.Second)
		cwnd, ssthresh := s.expire(s.now, s.cwnd, s.ssthresh, 10_000)
		assert.Equal(t, 50_000, cwnd)
		assert.Equal(t, 1<<30, ssthresh)
	})
}

func TestValidationRateLimitedSender(t *testing.T) {
	// 20 segments a round trip in a window of 100: half of the window is given up after five minutes, and once more, until half
	// of what is left is in use.
	s := validationAt(t, 100_000, 1000)
	s.roundTrips(3300, 20_000)
	assert.Equal(t, 50_000, s.cwnd)
	s.roundTrips(3300, 20_000)
	assert.Equal(t, 25_000, s.cwnd)
	s.roundTrips(10_000, 20_000)
	assert.Equal(t, 25_000, s.cwnd, "it is in use")
}

func TestValidationLoss(t *testing.T) {
	t.Run("of a window in use is the controller's", func(t *testing.T) {
		s := validationAt(t, 100_000, 50_000)
		s.roundTrips(4, 100_000)
		_, ok := s.loss(s.now, validationRTT, s.cwnd, s.ssthresh, 100_000, validationMSS)
		assert.False(t, ok)
		_, ok = s.recovered(s.now, 2000, validationMSS)
		assert.False(t, ok)
		_, known := s.pipeACK()
		assert.False(t, known, "pipeACK begins anew")
	})
	t.Run("of a window not in use", func(t *testing.T) {
		s := validationAt(t, 100_000, 50_000)
		s.roundTrips(30, 20_000)
		window, ok := s.loss(s.now, validationRTT, s.cwnd, s.ssthresh, 12_000, validationMSS)
		require.True(t, ok)
		assert.Equal(t, 10_000, window, "half of pipeACK")
		s.roundTrips(2, 60_000)
		window, ok = s.recovered(s.now, 4000, validationMSS)
		require.True(t, ok)
		assert.Equal(t, 8000, window, "half of pipeACK less what was lost; recovery's acknowledgments do not count")
		assert.True(t, s.limited(s.now, validationRTT, 8000, 8000, 4000), "pipeACK is undefined")
	})
	t.Run("of a burst into a window not in use", func(t *testing.T) {
		s := validationAt(t, 100_000, 50_000)
		s.roundTrips(30, 20_000)
		window, ok := s.loss(s.now, validationRTT, s.cwnd, s.ssthresh, 90_000, validationMSS)
		require.True(t, ok)
		assert.Equal(t, 45_000, window, "half of what was in flight")
		window, _ = s.recovered(s.now, 60_000, validationMSS)
		assert.Equal(t, 15_000, window)
	})
	t.Run("of everything", func(t *testing.T) {
		s := validationAt(t, 100_000, 50_000)
		s.roundTrips(30, 20_000)
		_, ok := s.loss(s.now, validationRTT, s.cwnd, s.ssthresh, 20_000, validationMSS)
		require.True(t, ok)
		window, _ := s.recovered(s.now, 20_000, validationMSS)
		assert.Equal(t, validationMSS, window)
	})
	t.Run("that was none", func(t *testing.T) {
		s := validationAt(t, 100_000, 50_000)
		s.roundTrips(30, 20_000)
		_, ok := s.loss(s.now, validationRTT, s.cwnd, s.ssthresh, 20_000, validationMSS)
		require.True(t, ok)
		s.undo()
		proven, ok := s.pipeACK()
		assert.True(t, ok)
		assert.Equal(t, 20_000, proven)
		_, ok = s.recovered(s.now, 0, validationMSS)
		assert.False(t, ok)
	})
}

func TestValidationStretchedAcknowledgments(t *testing.T) {
	// One acknowledgment a round trip, for all that was in flight, is a sample.
	var v validation
	now := int64(1)
	for range 20 {
		now += validationRTT
		v.acked(now, 50_000, validationRTT)
	}
	proven, ok := v.pipeACK()
	assert.True(t, ok)
	assert.Equal(t, 50_000, proven)
}
