package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// timedOut is a sender whose path has held back ten segments for longer than the timeout: the first was sent again. More waits to be
// sent; next is the first that has not left: with SACK there was a probe.
func timedOut(t *testing.T, opening seg) (s *sender, next int) {
	s = newSender(t, opening)
	s.flies(10)
	s.send(20)
	next = 10
	for s.host.Counters().RetransTimeouts == 0 {
		s.after(time.Millisecond)
		for _, n := range s.left() {
			if n != 0 {
				require.Equal(t, 10, n, "a probe")
				next = 11
			}
		}
	}
	require.EqualValues(t, 1, s.host.Counters().RetransSegs)
	require.Equal(t, s.mss, s.conn.Info().Cwnd)
	return s, next
}

// "If the Cumulative Acknowledgment field or a SACK information in the ACK does not cover more than "RecoveryPoint" AND it
// acknowledges data that was not acknowledged earlier (either with cumulative acknowledgment or using SACK information), declare the
// timeout spurious"
// https://www.rfc-editor.org/rfc/rfc5682.html#section-3.1
func TestSpuriousTimeout(t *testing.T) {
	for _, row := range []struct {
		name    string
		opening seg
	}{{"with SACK", withSACK}, {"without", withNone}} {
		t.Run(row.name, func(t *testing.T) {
			s, next := timedOut(t, row.opening)
			s.acks(1)
			s.leaves("two new segments rather than the next of the old", next, next+2)
			s.acks(2)
			require.EqualValues(t, 1, s.host.Counters().SpuriousRecoveries, "it was not sent twice, and has arrived")
			require.GreaterOrEqual(t, s.conn.Info().Cwnd, 10*s.mss)
			require.Greater(t, s.conn.Info().Ssthresh, 1<<20)
			for i := 3; i <= next; i++ {
				s.acks(i)
			}
			for _, n := range s.left() {
				require.Greater(t, n, next, "all is new")
			}
			require.EqualValues(t, 1, s.host.Counters().RetransSegs)
			require.Zero(t, s.conn.Info().Backoff)
		})
	}
	t.Run("with timestamps: the first acknowledgment tells", func(t *testing.T) {
		s, _ := timedOut(t, withBoth)
		s.acks(1)
		require.EqualValues(t, 1, s.host.Counters().SpuriousRecoveries)
		require.GreaterOrEqual(t, s.conn.Info().Cwnd, 10*s.mss)
	})
	t.Run("duplicates that the copy has caused are no loss", func(t *testing.T) {
		s, _ := timedOut(t, withNone)
		s.acks(1)
		s.acks(2)
		s.left()
		for range 2 {
			s.acks(2)
		}
		require.Equal(t, RecoveryNone, s.conn.Info().Recovery)
		s.acks(5)
		s.left()
		for range 3 {
			s.acks(5)
		}
		require.Contains(t, s.left(), 5, "but of what is acknowledged since they are")
	})
}

func TestRealTimeout(t *testing.T) {
	t.Run("what is new arrives, and what is old does not", func(t *testing.T) {
		// "set the congestion window to no more than 3 * MSS and proceed with the conventional RTO recovery, retransmitting
		// unacknowledged segments"
		s, next := timedOut(t, withSACK)
		s.acks(1)
		s.leaves("two new ones", next, next+2)
		s.after(trip)
		s.acks(1, [2]int{next, next + 1})
		require.LessOrEqual(t, s.conn.Info().Cwnd, 3*s.mss)
		require.Equal(t, 1, s.left()[0])
		require.Zero(t, s.host.Counters().SpuriousRecoveries)
	})
	t.Run("without SACK, duplicates", func(t *testing.T) {
		s, next := timedOut(t, withNone)
		s.acks(1)
		s.leaves("two new ones", next, next+2)
		s.after(trip)
		s.acks(1)
		require.Equal(t, 1, s.left()[0])
	})
	t.Run("what had waited behind the first tells nothing", func(t *testing.T) {
		s, next := timedOut(t, withNone)
		s.after(trip)
		s.acks(3)
		require.Zero(t, s.host.Counters().SpuriousRecoveries, "the second and third had arrived before the timeout")
		s.leaves("two new ones are to tell", next, next+2)
		s.after(trip)
		s.acks(3)
		require.Equal(t, 3, s.left()[0])
	})
	t.Run("nothing new to send: the conventional recovery", func(t *testing.T) {
		s := newSender(t, withNone)
		s.flies(10)
		s.after(3 * trip)
		s.leaves("the timeout", 0, 1)
		s.acks(1)
		s.leaves("the next two", 1, 3)
	})
	t.Run("nothing that may be sent: likewise", func(t *testing.T) {
		s := newSender(t, withNone, func(c *Config) { c.Options.Nagle = true })
		s.flies(10)
		s.write("a small one waits")
		s.after(3 * trip)
		s.leaves("the timeout", 0, 1)
		s.acks(1)
		s.leaves("the next two", 1, 3)
	})
	t.Run("during fast recovery: there is no doubt", func(t *testing.T) {
		s := impatient(t, withNone)
		s.after(s.conn.Info().RTO)
		s.answers()
		require.Equal(t, frtoOff, s.conn.flight.recovery.frto)
	})
	t.Run("twice in one repair: likewise", func(t *testing.T) {
		s, _ := timedOut(t, withNone)
		s.acks(1)
		s.left()
		s.after(s.conn.Info().RTO)
		require.EqualValues(t, 2, s.host.Counters().RetransTimeouts)
		require.Equal(t, frtoOff, s.conn.flight.recovery.frto)
		s.left()
	})
}
