package tcp

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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

// A connection without a loss for two gibibytes must still know one when it comes.
func TestRecoverIsDrawnAlong(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	ack := c.sndUna
	for range 32 {
		ack += 1 << 27
		c.recovery.acked(c, ack, 1<<27)
		require.True(t, before(c.recovery.recover, ack))
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
	require.True(t, c.Info().Recovering)
	require.LessOrEqual(t, c.Info().Cwnd, 1<<30+3*1460, "a flood of duplicates does not overflow an int of 32 bits")
	s.recv(seg{flags: ".", seq: 1, ack: 65536, win: 65535})
	require.False(t, c.Info().Recovering)
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
	require.False(t, s.conn.Info().Recovering)
	s.answers()
}
