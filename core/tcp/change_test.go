package tcp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

var controllers = []string{"cubic", "bbr", "reno", "none"}

// Whatever the congestion control, and whatever is going on, another can take over: what was lost is repaired, all arrives, and the
// window stays within reason.
func TestCongestionControlIsExchanged(t *testing.T) {
	for _, from := range controllers {
		for _, to := range controllers {
			for _, when := range []struct {
				name string
				do   func(s *script)
			}{
				{"while nothing is on its way", func(s *script) { s.recv(seg{flags: ".", seq: 1, ack: 14601, win: 65535}) }},
				{"while all is well", func(*script) {}},
				{"in fast recovery", func(s *script) {
					s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, sack: [][2]uint32{{1461, 14601}}})
				}},
				{"after a timeout", func(s *script) { s.after(2 * time.Second) }},
			} {
				t.Run(fmt.Sprintf("%s to %s %s", from, to, when.name), func(t *testing.T) {
					s := selective(t, &Options{Congestion: from})
					c := s.conn
					s.write(strings.Repeat("x", 10*1460))
					s.after(50 * time.Millisecond)
					s.answers()
					when.do(s)
					was := c.Info()
					require.NoError(t, c.SetCongestionControl(s.now, to))
					i := c.Info()
					require.Equal(t, to, i.CongestionControl)
					require.Equal(t, to, i.Options.Congestion)
					require.Equal(t, was.Recovery, i.Recovery)
					switch {
					case to == "none":
						require.Equal(t, 1<<30, i.Cwnd)
					case from == "none":
						require.LessOrEqual(t, i.Cwnd, 14600, "nobody has measured any window, which is the initial one then")
					case was.Recovery == RecoveryNone:
						require.Equal(t, was.Cwnd, i.Cwnd)
					}
					require.Equal(t, to == "bbr", i.PacingRate > 0)
					if lossBased := to == "cubic" || to == "reno"; lossBased && was.Recovery != RecoveryNone {
						require.Less(t, i.Ssthresh, 14600, "what was lost counts, though the other made nothing of it")
					}
					sent := 14601
					for range 6 {
						s.answers()
						s.after(100 * time.Millisecond)
						s.answers()
						s.recv(seg{flags: ".", seq: 1, ack: uint32(sent), win: 65535})
						s.write(strings.Repeat("y", 2*1460))
						sent += 2 * 1460
					}
					s.after(100 * time.Millisecond)
					s.answers()
					s.recv(seg{flags: ".", seq: 1, ack: uint32(sent), win: 65535})
					i = c.Info()
					require.EqualValues(t, sent-1, i.OctetsAcked, "all has left")
					require.Equal(t, RecoveryNone, i.Recovery)
					require.Zero(t, i.Lost)
					if to != "none" {
						require.Less(t, i.Cwnd, 1<<20, "the window is one that was measured")
					}
					if to == "cubic" || to == "reno" {
						require.Zero(t, i.PacingRate)
					}
				})
			}
		}
	}
}

// What one paces, and another would not, leaves at once when the other takes over.
func TestPaceIsForgotten(t *testing.T) {
	for _, to := range []string{"cubic", "reno", "none"} {
		t.Run(to, func(t *testing.T) {
			s := selective(t, &Options{Congestion: "bbr"})
			c := s.conn
			c.window.Pacing, c.window.Cwnd = 10_000, 30*1460 // as on a slow path
			s.write(strings.Repeat("x", 20*1460))
			s.answers()
			require.Positive(t, c.Info().Unsent, "the pace holds it back")
			require.NoError(t, c.SetCongestionControl(s.now, to))
			s.answers()
			require.Zero(t, c.Info().Unsent)
		})
	}
}

func TestCongestionControlExchangedBeforeTheHandshake(t *testing.T) {
	s := newScript(t)
	c := s.dial(nil)
	require.NoError(t, c.SetCongestionControl(s.now, "bbr"))
	s.want("our SYN", seg{flags: "S"})
	s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
	s.answers()
	require.Equal(t, "bbr", c.Info().CongestionControl)
	require.Equal(t, 14600, c.Info().Cwnd)
}

func TestSlowStartThresholdIsKept(t *testing.T) {
	s := selective(t, nil)
	s.write(strings.Repeat("x", 10*1460))
	s.answers()
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, sack: [][2]uint32{{1461, 14601}}})
	s.answers()
	threshold := s.conn.Info().Ssthresh
	require.Less(t, threshold, 14600)
	require.NoError(t, s.conn.SetCongestionControl(s.now, "cubic"))
	require.Equal(t, threshold, s.conn.Info().Ssthresh, "the recovery goes on as it has begun")
	s.recv(seg{flags: ".", seq: 1, ack: 14601, win: 65535})
	require.Equal(t, RecoveryNone, s.conn.Info().Recovery)
	require.Equal(t, threshold, s.conn.Info().Cwnd)
}

func TestUnknownCongestionControl(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	for _, name := range []string{"", "vegas", "Reno"} {
		err := c.SetCongestionControl(s.now, name)
		require.ErrorIs(t, err, ip.ErrInvalid)
		require.ErrorContains(t, err, fmt.Sprintf("%q", name))
		require.Equal(t, "reno", c.Info().CongestionControl)
	}
}

// RFC 5482: "The TCP user timeout controls how long transmitted data may remain unacknowledged before a connection is forcefully
// closed."
func TestUserTimeoutIsChanged(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(s *script)
		want time.Duration // from the write on
	}{
		{"before anything is sent", func(s *script) {
			require.NoError(s.t, s.conn.SetUserTimeout(s.now, 5*time.Second))
			s.write("x")
		}, 5 * time.Second},
		{"while it is on its way", func(s *script) {
			s.write("x")
			require.NoError(s.t, s.conn.SetUserTimeout(s.now, 5*time.Second))
		}, 5 * time.Second},
		{"to less than has passed", func(s *script) {
			s.write("x")
			s.after(6 * time.Second)
			require.NoError(s.t, s.conn.SetUserTimeout(s.now, 5*time.Second))
		}, 6 * time.Second},
		{"to more", func(s *script) {
			require.NoError(s.t, s.conn.SetUserTimeout(s.now, 5*time.Second))
			s.write("x")
			s.after(4 * time.Second)
			require.NoError(s.t, s.conn.SetUserTimeout(s.now, 9*time.Second))
		}, 9 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := selective(t, nil)
			began := s.now
			row.do(s)
			if left := row.want - s.now.Sub(began); left > 0 {
				s.after(left - 1)
				require.NoError(t, s.conn.Err())
				s.after(1)
			}
			s.after(0)
			require.ErrorIs(t, s.conn.Err(), ErrTimeout)
			s.answers()
		})
	}
	t.Run("negative", func(t *testing.T) {
		s := newScript(t)
		require.ErrorIs(t, s.accepted().SetUserTimeout(s.now, -1), ip.ErrInvalid)
	})
}

func TestDelayedACKIsChanged(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "a"})
	s.wantIdle("its acknowledgment may wait")
	require.NoError(t, c.SetDelayedACK(s.now, -1))
	s.want("it may not any more", seg{flags: ".", seq: 1, ack: 2})
	s.recv(seg{flags: "P.", seq: 2, ack: 1, win: 65535, data: "b"})
	s.want("nor may others", seg{flags: ".", seq: 1, ack: 3})
	require.NoError(t, c.SetDelayedACK(s.now, 0))
	s.recv(seg{flags: "P.", seq: 3, ack: 1, win: 65535, data: "c"})
	s.wantIdle("until the default is back")
	s.after(40 * time.Millisecond)
	s.want("of 40 ms", seg{flags: ".", seq: 1, ack: 4})
	require.ErrorIs(t, c.SetDelayedACK(s.now, time.Second), ip.ErrInvalid)
}

func TestHopLimitAndTrafficClassAreChanged(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	c.SetHopLimit(3)
	require.NoError(t, c.SetTrafficClass(0xb8))
	s.write("x")
	s.net.collect(s.since())
	require.Len(t, s.net.sent, 1)
	require.EqualValues(t, 3, s.net.sent[0].IP.HopLimit)
	require.EqualValues(t, 0xb8, s.net.sent[0].IP.TrafficClass)
	require.ErrorIs(t, c.SetTrafficClass(0xb9), ip.ErrInvalid, "the two low bits are ECN's")
	c.SetHopLimit(0)
	require.Zero(t, c.Info().Options.HopLimit, "the interface's again")
}
