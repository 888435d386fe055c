package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// impatient is a sender that has just sent segment 0 again for want of patience: of ten it was overtaken by four. More waits to be
// sent.
func impatient(t *testing.T, opening seg) *sender {
	s := newSender(t, opening)
	s.flies(10)
	s.send(10)
	s.after(trip)
	for i := range 3 {
		if opening.sackOK {
			s.acks(0, [2]int{1, 2 + i})
		} else {
			s.acks(0)
		}
	}
	left := s.left()
	require.Contains(t, left, 0)
	require.NotEqual(t, RecoveryNone, s.conn.Info().Recovery)
	require.Less(t, s.conn.Info().Ssthresh, 10*s.mss)
	return s
}

// "If the value of the Timestamp Echo Reply field of the acceptable ACK's Timestamps option is smaller than the value of RetransmitTS",
// then it answers the first copy: it was late, and not lost.
// https://www.rfc-editor.org/rfc/rfc3522.html#section-3.2
func TestEifelTellsTheFirstCopy(t *testing.T) {
	for _, row := range []struct {
		name    string
		opening seg
	}{{"with SACK", withBoth}, {"without", withStamp}} {
		t.Run(row.name, func(t *testing.T) {
			s := impatient(t, row.opening)
			s.after(time.Millisecond)
			s.acks(4)
			require.EqualValues(t, 1, s.host.Counters().SpuriousRecoveries)
			require.Equal(t, RecoveryNone, s.conn.Info().Recovery)
			require.GreaterOrEqual(t, s.conn.Info().Cwnd, 10*s.mss, "the window is what it was")
			require.Greater(t, s.conn.Info().Ssthresh, 1<<20)
			require.EqualValues(t, 1, s.host.Counters().RetransSegs)
		})
	}
	t.Run("not if the second is answered", func(t *testing.T) {
		s := impatient(t, withBoth)
		s.echo = trip
		s.after(trip)
		s.acks(10)
		require.Zero(t, s.host.Counters().SpuriousRecoveries)
		require.Less(t, s.conn.Info().Ssthresh, 10*s.mss)
	})
}

// RFC 3708: once all that was sent again is known to have arrived twice, what was done to the window is taken back.
// https://www.rfc-editor.org/rfc/rfc3708.html#section-3
func TestDSACKUndoesARecovery(t *testing.T) {
	t.Run("behind its end", func(t *testing.T) {
		s := impatient(t, withSACK)
		s.after(time.Millisecond)
		s.acks(12)
		require.Zero(t, s.host.Counters().SpuriousRecoveries, "nothing tells yet")
		require.Equal(t, s.conn.Info().Ssthresh, s.conn.Info().Cwnd)
		s.after(trip)
		s.acks(12, [2]int{0, 1})
		require.EqualValues(t, 1, s.host.Counters().SpuriousRecoveries)
		require.GreaterOrEqual(t, s.conn.Info().Cwnd, 10*s.mss)
		require.Greater(t, s.conn.Info().Ssthresh, 1<<20)
	})
	t.Run("not one of half of it", func(t *testing.T) {
		s := impatient(t, withSACK)
		s.acks(12)
		s.recv(seg{flags: ".", seq: 1, ack: s.at(12), win: s.win, sack: [][2]uint32{{1, 1 + uint32(s.mss)/2}}})
		require.Zero(t, s.host.Counters().SpuriousRecoveries)
	})
	t.Run("not one of an acknowledgment that was overtaken", func(t *testing.T) {
		s := impatient(t, withSACK)
		s.acks(12)
		s.acks(0, [2]int{1, 2})
		require.Zero(t, s.host.Counters().SpuriousRecoveries)
	})
}

// A timeout in the middle of a repair does not forget the repair: what came first was a loss, even if the timeout was none.
func TestTimeoutDuringRecoveryUndoesNotTheRecovery(t *testing.T) {
	s := impatient(t, withBoth)
	reduced := s.conn.Info().Ssthresh
	s.after(s.conn.Info().RTO)
	require.EqualValues(t, 1, s.host.Counters().RetransTimeouts)
	s.answers()
	s.echo = trip // the first of those sent again has arrived, late
	s.acks(4)
	require.Zero(t, s.host.Counters().SpuriousRecoveries)
	require.LessOrEqual(t, s.conn.Info().Ssthresh, reduced)
}
