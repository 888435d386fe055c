package tcp

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

// flightOfTen is a connection with ten segments on their way.
func flightOfTen(t *testing.T) *script {
	s := newScript(t)
	s.accepted()
	s.write(strings.Repeat("x", 14600))
	s.answers()
	return s
}

func TestDuplicatesAfterATimeoutAreNotALoss(t *testing.T) {
	s := flightOfTen(t)
	s.after(200 * time.Millisecond)
	s.want("the timeout", seg{flags: ".", seq: 1, ack: 1, len: 1460})
	for range 5 {
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	}
	s.wantIdle("RFC 6582, 3.2 (2): only what covers more than recover begins another recovery")
	require.Zero(t, s.host.Counters().FastRetransmits)
}

func TestFirstSegmentIsFastRetransmitted(t *testing.T) {
	s := flightOfTen(t)
	for range 3 {
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	}
	s.want("nothing was acknowledged but the SYN", seg{flags: ".", seq: 1, ack: 1, len: 1460})
}

func TestOnlyBareAcknowledgmentsAreDuplicates(t *testing.T) {
	for _, row := range []struct {
		name string
		in   seg
	}{
		{"new data", seg{flags: ".", seq: 4, ack: 1, win: 65535, data: "new"}},
		{"old data", seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "old"}},
		{"a new window", seg{flags: ".", seq: 4, ack: 1, win: 60000}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := flightOfTen(t)
			s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "old"})
			for i := range uint32(8) {
				in := row.in
				if row.name == "new data" {
					in.seq += 3 * i
				}
				in.win -= int(i)
				if row.name != "a new window" {
					in.win = 65535
				}
				s.recv(in)
			}
			s.answers()
			require.Zero(t, s.host.Counters().FastRetransmits)
		})
	}
}

func TestRecoveryInflatesTheWindowWithinReason(t *testing.T) {
	s := newScript(t)
	c := s.accepted(func(c *ListenConfig) { c.Options = &Options{Congestion: "none"} })
	s.write(strings.Repeat("x", 65535))
	s.answers()
	require.Equal(t, "none", c.Info().CongestionControl)
	for range 100 {
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	}
	s.answers()
	require.Equal(t, RecoveryFast, c.Info().Recovery)
	require.LessOrEqual(t, c.Info().Cwnd, 1<<30+3*1460, "a flood of duplicates does not overflow an int of 32 bits")
	s.recv(seg{flags: ".", seq: 1, ack: 65536, win: 65535})
	require.Equal(t, RecoveryNone, c.Info().Recovery)
	require.Equal(t, 1<<30, c.Info().Cwnd)
}

func TestPartialAcknowledgmentsAreImpatient(t *testing.T) {
	s := flightOfTen(t)
	for range 3 {
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	}
	s.answers()
	for i := range uint32(3) {
		s.after(90 * time.Millisecond)
		s.recv(seg{flags: ".", seq: 1, ack: 1461 * (i + 1), win: 65535})
		s.answers()
	}
	require.Zero(t, s.host.Counters().RetransTimeouts)
	s.after(21 * time.Millisecond)
	require.EqualValues(t, 1, s.host.Counters().RetransTimeouts, "the timer was restarted for the first alone")
	require.Equal(t, phaseLoss, s.conn.flight.recovery.phase)
	s.answers()
}

// NewReno without SACK: each partial acknowledgment has the next hole filled, a round trip after the other.
func TestNewRenoFillsAHoleARoundTrip(t *testing.T) {
	s := newSender(t, withNone)
	s.flies(10)
	s.after(trip)
	for range 7 { // 0, 3 and 6 are lost
		s.acks(0)
	}
	s.leaves("the first", 0, 1)
	for _, hole := range []int{3, 6} {
		s.after(trip)
		s.acks(hole)
		s.leaves("the next hole", hole, hole+1)
		require.NotEqual(t, RecoveryNone, s.conn.Info().Recovery)
	}
	s.after(trip)
	s.acks(10)
	require.Equal(t, RecoveryNone, s.conn.Info().Recovery)
	require.EqualValues(t, 3, s.host.Counters().RetransSegs)
	require.EqualValues(t, 1, s.host.Counters().FastRetransmits)
	require.Zero(t, s.host.Counters().RetransTimeouts)
}

// Nothing of these may end the repair, or the connection.
func TestRecoveryIsDisturbed(t *testing.T) {
	repairing := func(t *testing.T) *sender {
		s := newSender(t, withSACK)
		s.flies(10)
		s.after(trip)
		s.acks(0, [2]int{1, 9})
		s.leaves("lost", 0, 1)
		return s
	}
	t.Run("by a closed window", func(t *testing.T) {
		s := repairing(t)
		s.win = 0
		s.acks(0, [2]int{1, 9})
		for range 20 {
			s.after(time.Minute)
			require.NotEmpty(t, s.answers(), "the window is probed")
			s.acks(0, [2]int{1, 9})
		}
		require.NoError(t, s.conn.Err())
		s.win = 65535
		s.acks(0, [2]int{1, 9})
		require.Equal(t, 0, s.left()[0], "it goes on as the window opens")
		s.acks(9)
		s.after(trip)
		s.acks(10)
		require.Zero(t, s.conn.Info().InFlight)
	})
	t.Run("by the loss of a FIN", func(t *testing.T) {
		s := repairing(t)
		s.conn.CloseWrite(s.now)
		s.want("the FIN", seg{flags: "F.", seq: s.at(10), ack: 1})
		s.after(trip)
		s.acks(10)
		s.after(time.Minute)
		require.NotZero(t, len(s.net.sent))
		s.want("again", seg{flags: "F.", seq: s.at(10), ack: 1})
		s.answers()
		s.recv(seg{flags: ".", seq: 1, ack: s.at(10) + 1, win: 65535})
		require.Equal(t, FinWait2, s.conn.State())
	})
	t.Run("by a smaller path MTU", func(t *testing.T) {
		s := repairing(t)
		s.icmp(ip.PacketTooBig, 1000, 1)
		s.answers()
		for at := s.at(0); at < s.at(10); at += 960 {
			s.after(trip)
			s.recv(seg{flags: ".", seq: 1, ack: at, win: 65535})
			s.answers()
			s.wantConsistent()
		}
		s.acks(10)
		require.Zero(t, s.conn.Info().InFlight)
		require.NoError(t, s.conn.Err())
	})
	t.Run("by a peer that has thrown away what it had", func(t *testing.T) {
		s := repairing(t)
		s.after(trip)
		s.acks(1)
		s.after(time.Second)
		require.Contains(t, s.left(), 1, "the timeout shows that it is not there")
		s.after(trip)
		s.acks(10)
		require.Zero(t, s.conn.Info().InFlight)
	})
}

// What measures the round trip.
func TestRoundTripSamples(t *testing.T) {
	t.Run("not what was sent twice (Karn)", func(t *testing.T) {
		s := newSender(t, withNone)
		s.flies(1)
		s.after(3 * trip)
		s.leaves("again", 0, 1)
		s.after(time.Millisecond)
		s.acks(1)
		require.Equal(t, trip, s.conn.Info().RTT)
		require.Equal(t, trip, s.conn.Info().MinRTT)
	})
	t.Run("but by its timestamp", func(t *testing.T) {
		s := newSender(t, withStamp)
		s.flies(1)
		s.after(3 * trip)
		s.leaves("again", 0, 1)
		s.after(2 * trip)
		s.echo = 3 * trip
		s.acks(1)
		require.Equal(t, trip+trip/8, s.conn.Info().RTT, "the second copy took 200 ms")
		require.Zero(t, s.conn.Info().Backoff)
	})
	t.Run("one a round trip", func(t *testing.T) {
		s := newSender(t, withNone)
		s.flies(10)
		s.after(2 * trip)
		for i := range 10 {
			s.acks(i + 1)
		}
		require.Equal(t, trip+trip/8, s.conn.Info().RTT)
	})
	t.Run("not what has waited behind a hole", func(t *testing.T) {
		for _, opening := range []seg{withNone, withSACK} {
			s := newSender(t, opening)
			s.flies(10)
			s.after(trip)
			for i := range 9 {
				if opening.sackOK {
					s.acks(0, [2]int{1, 2 + i})
				} else {
					s.acks(0)
				}
			}
			s.leaves("lost", 0, 1)
			s.after(trip)
			s.acks(10)
			require.Equal(t, trip, s.conn.Info().RTT)
		}
	})
	t.Run("but what has arrived there, as it is reported", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.flies(10)
		s.after(2 * trip)
		s.acks(0, [2]int{1, 2})
		s.acks(0, [2]int{1, 3})
		require.Equal(t, trip+trip/8, s.conn.Info().RTT, "once a round trip too")
	})
}

// The timer is for what was sent again, and does not expire while what left before that still arrives.
func TestTimerWaitsForWhatLeftBefore(t *testing.T) {
	s := newSender(t, withSACK)
	s.flies(10)
	s.after(trip)
	s.acks(0, [2]int{1, 4})
	s.leaves("lost", 0, 1)
	for i := 4; i < 10; i++ {
		s.after(trip)
		s.acks(0, [2]int{1, i + 1})
		require.Zero(t, s.host.Counters().RetransTimeouts)
	}
	s.after(s.conn.Info().RTO - 1)
	require.Zero(t, s.host.Counters().RetransTimeouts)
	s.after(1)
	require.EqualValues(t, 1, s.host.Counters().RetransTimeouts, "nothing comes any more")
	s.left()
}

// Where a window is less than a full segment, a hole that is less need not wait for room for one.
func TestSmallSegmentsAreRepairedTogether(t *testing.T) {
	s := newSender(t, withSACK)
	for range 8 {
		s.write("0123456789")
	}
	s.net.discard()
	s.after(trip)
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, sack: [][2]uint32{{61, 81}, {21, 41}}})
	s.after(trip / 4)
	s.want("the first hole", seg{flags: ".", seq: 1, ack: 1, len: 20})
	s.want("and the second", seg{flags: ".", seq: 41, ack: 1, len: 20})
	s.wantIdle("that was all")
}
