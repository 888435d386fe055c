package congestion

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const mss = 1000

func reno() (Controller, *Window) {
	w := new(Window)
	c, _ := ByName("reno")
	c.Start(w, 10*mss)
	return c, w
}

func TestSlowStartDoublesARoundTrip(t *testing.T) {
	c, w := reno()
	for _, want := range []int{20, 40, 80} {
		for range w.Cwnd / mss {
			c.Ack(w, Ack{Acked: mss, Flight: w.Cwnd, MSS: mss, Limited: true})
		}
		require.Equal(t, want*mss, w.Cwnd)
	}
}

func TestAWindowThatIsNotUsedDoesNotGrow(t *testing.T) {
	c, w := reno()
	c.Ack(w, Ack{Acked: mss, Flight: mss, MSS: mss})
	require.Equal(t, 10*mss, w.Cwnd)
}

func TestSlowStartEndsAtTheThreshold(t *testing.T) {
	c, w := reno()
	w.Ssthresh = 15 * mss
	c.Ack(w, Ack{Acked: 10 * mss, Flight: 10 * mss, MSS: mss, Limited: true})
	require.Equal(t, 15*mss, w.Cwnd, "one acknowledgment of a whole flight does not leap over it")
}

func TestCongestionAvoidanceAddsASegmentARoundTrip(t *testing.T) {
	c, w := reno()
	w.Ssthresh = 10 * mss
	for round := range 5 {
		before := w.Cwnd
		for range before / mss {
			require.Equal(t, before, w.Cwnd)
			c.Ack(w, Ack{Acked: mss, Flight: before, MSS: mss, Limited: true})
		}
		require.Equal(t, before+mss, w.Cwnd, "round %d", round)
	}
}

func TestSplitAcknowledgmentsGainNothing(t *testing.T) {
	c, w := reno()
	for range 10 * mss {
		c.Ack(w, Ack{Acked: 1, Flight: 10 * mss, MSS: mss, Limited: true})
	}
	require.Equal(t, 20*mss, w.Cwnd, "octets are counted, not ACKs")
}

func TestLossHalves(t *testing.T) {
	c, w := reno()
	c.Loss(w, 10*mss, mss)
	require.Equal(t, 5*mss, w.Ssthresh)
	c.Loss(w, mss, mss)
	require.Equal(t, 2*mss, w.Ssthresh, "never below two segments")
}

func TestRecoveredEndsAtTheThresholdOrBelow(t *testing.T) {
	for _, row := range []struct {
		name         string
		flight, want int
	}{
		{"all is on its way", 10 * mss, 5 * mss},
		{"little is", 2 * mss, 3 * mss},
		{"nothing is", 0, 2 * mss},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, w := reno()
			c.Loss(w, 10*mss, mss)
			w.Cwnd = 13 * mss
			c.Recovered(w, row.flight, mss)
			require.Equal(t, row.want, w.Cwnd)
		})
	}
}

func TestTimeoutBeginsWithOneSegment(t *testing.T) {
	c, w := reno()
	c.Timeout(w, 10*mss, mss)
	require.Equal(t, mss, w.Cwnd)
	require.Equal(t, 5*mss, w.Ssthresh)
}

func TestIdleReturnsToTheInitialWindow(t *testing.T) {
	c, w := reno()
	w.Cwnd = 100 * mss
	c.Idle(w, 10*mss)
	require.Equal(t, 10*mss, w.Cwnd)
	w.Cwnd = 2 * mss
	c.Idle(w, 10*mss)
	require.Equal(t, 2*mss, w.Cwnd, "it does not grow by being idle")
}

func TestWindowIsBounded(t *testing.T) {
	c, w := reno()
	w.Cwnd = unlimited - 1
	c.Ack(w, Ack{Acked: unlimited, Flight: unlimited, MSS: mss, Limited: true})
	require.Equal(t, unlimited, w.Cwnd)
	for range 3 {
		c.Ack(w, Ack{Acked: unlimited, Flight: unlimited, MSS: mss, Limited: true})
		require.Equal(t, unlimited, w.Cwnd)
	}
}

func TestNoneLimitsNothing(t *testing.T) {
	w := new(Window)
	c, ok := ByName("none")
	require.True(t, ok)
	for _, event := range []struct {
		name string
		do   func()
	}{
		{"start", func() { c.Start(w, mss) }},
		{"acknowledgment", func() { c.Ack(w, Ack{Acked: mss, Limited: true}) }},
		{"loss", func() { c.Loss(w, mss, mss) }},
		{"recovered", func() { w.Cwnd = mss; c.Recovered(w, mss, mss) }},
		{"timeout", func() { c.Timeout(w, mss, mss) }},
		{"idle", func() { c.Idle(w, mss) }},
	} {
		event.do()
		require.Equal(t, unlimited, w.Cwnd, event.name)
	}
}

func TestByName(t *testing.T) {
	for _, name := range []string{"reno", "none"} {
		c, ok := ByName(name)
		require.True(t, ok)
		require.Equal(t, name, c.Name())
	}
	_, ok := ByName("fast")
	require.False(t, ok)
}
