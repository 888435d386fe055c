package congestion

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const mss = 1000

func reno() (Controller, *Window) {
	w := new(Window)
	c := ByName("reno")
	c.Start(w, 10*mss)
	return c, w
}

func TestSlowStartDoublesARoundTrip(t *testing.T) {
	c, w := reno()
	for _, want := range []int{20, 40, 80} {
		for range w.Cwnd / mss {
			c.Ack(w, &Ack{Acked: mss, Flight: w.Cwnd, MSS: mss, Limited: true})
		}
		require.Equal(t, want*mss, w.Cwnd)
	}
}

func TestAWindowThatIsNotUsedDoesNotGrow(t *testing.T) {
	c, w := reno()
	c.Ack(w, &Ack{Acked: mss, Flight: mss, MSS: mss})
	require.Equal(t, 10*mss, w.Cwnd)
}

func TestSlowStartEndsAtTheThreshold(t *testing.T) {
	c, w := reno()
	w.Ssthresh = 15 * mss
	c.Ack(w, &Ack{Acked: 10 * mss, Flight: 10 * mss, MSS: mss, Limited: true})
	require.Equal(t, 15*mss, w.Cwnd, "one acknowledgment of a whole flight does not leap over it")
}

func TestCongestionAvoidanceAddsASegmentARoundTrip(t *testing.T) {
	c, w := reno()
	w.Ssthresh = 10 * mss
	for round := range 5 {
		before := w.Cwnd
		for range before / mss {
			require.Equal(t, before, w.Cwnd)
			c.Ack(w, &Ack{Acked: mss, Flight: before, MSS: mss, Limited: true})
		}
		require.Equal(t, before+mss, w.Cwnd, "round %d", round)
	}
}

func TestSplitAcknowledgmentsGainNothing(t *testing.T) {
	c, w := reno()
	for range 10 * mss {
		c.Ack(w, &Ack{Acked: 1, Flight: 10 * mss, MSS: mss, Limited: true})
	}
	require.Equal(t, 20*mss, w.Cwnd, "octets are counted, not ACKs")
}

func TestLossHalves(t *testing.T) {
	c, w := reno()
	c.Loss(w, Loss{Flight: 10 * mss, MSS: mss})
	require.Equal(t, 5*mss, w.Ssthresh)
	c.Loss(w, Loss{Flight: mss, MSS: mss})
	require.Equal(t, 2*mss, w.Ssthresh, "never below two segments")
}

func TestRecoveredEndsAtTheThreshold(t *testing.T) {
	c, w := reno()
	c.Loss(w, Loss{Flight: 10 * mss, MSS: mss})
	w.Cwnd = 3 * mss
	c.Recovered(w, Loss{Flight: 2 * mss, MSS: mss})
	require.Equal(t, 5*mss, w.Cwnd, "however little recovery has left in flight")
}

func TestNothingGrowsInRecovery(t *testing.T) {
	for _, name := range []string{"cubic", "reno"} {
		t.Run(name, func(t *testing.T) {
			c, w := ByName(name), new(Window)
			c.Start(w, 10*mss)
			c.Loss(w, Loss{Flight: 10 * mss, MSS: mss})
			w.Cwnd = 3 * mss
			c.Ack(w, &Ack{Acked: mss, Flight: 3 * mss, MSS: mss, Limited: true, Recovering: true})
			require.Equal(t, 3*mss, w.Cwnd)
		})
	}
}

func TestTimeoutBeginsWithOneSegment(t *testing.T) {
	c, w := reno()
	c.Timeout(w, Loss{Flight: 10 * mss, MSS: mss})
	require.Equal(t, mss, w.Cwnd)
	require.Equal(t, 5*mss, w.Ssthresh)
}

func TestRenoHasNothingToUndoNorToRestart(t *testing.T) {
	c, w := reno()
	before := *w
	c.Undo(w)
	c.Restart(w, 2e9, 1e9)
	require.Equal(t, before, *w)
}

func TestWindowIsBounded(t *testing.T) {
	c, w := reno()
	w.Cwnd = unlimited - 1
	c.Ack(w, &Ack{Acked: unlimited, Flight: unlimited, MSS: mss, Limited: true})
	require.Equal(t, unlimited, w.Cwnd)
	for range 3 {
		c.Ack(w, &Ack{Acked: unlimited, Flight: unlimited, MSS: mss, Limited: true})
		require.Equal(t, unlimited, w.Cwnd)
	}
}

func TestNoneLimitsNothing(t *testing.T) {
	w := new(Window)
	c := ByName("none")
	for _, event := range []struct {
		name string
		do   func()
	}{
		{"start", func() { c.Start(w, mss) }},
		{"acknowledgment", func() { c.Ack(w, &Ack{Acked: mss, Limited: true}) }},
		{"loss", func() { c.Loss(w, Loss{Flight: mss, MSS: mss}) }},
		{"recovered", func() { c.Recovered(w, Loss{Flight: mss, MSS: mss}) }},
		{"timeout", func() { c.Timeout(w, Loss{Flight: mss, MSS: mss}) }},
		{"undo", func() { c.Undo(w) }},
		{"restart", func() { c.Restart(w, 2e9, 1e9) }},
	} {
		event.do()
		require.Equal(t, Window{Cwnd: unlimited, Ssthresh: unlimited, Autonomous: true}, *w, event.name)
	}
}

func TestByName(t *testing.T) {
	for _, name := range []string{"cubic", "reno", "none"} {
		c := ByName(name)
		require.NotNil(t, c, name)
		require.Equal(t, name, c.Name())
	}
	require.Nil(t, ByName("fast"))
}
