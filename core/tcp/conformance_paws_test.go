package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPAWS is RFC 7323 section 5.
// https://www.rfc-editor.org/rfc/rfc7323.html#section-5.3
func TestPAWS(t *testing.T) {
	const (
		r1 = `R1: "SEG.TSval < TS.Recent, TS.Recent is valid (see later discussion), and if the RST bit is not set, then treat ` +
			`the arriving segment as not acceptable": an acknowledgment in reply, and the segment is dropped`
		outdated = `5.5: "We therefore require that an implementation of PAWS include a mechanism to "invalidate" the ` +
			`TS.Recent value when a connection is idle for more than 24 days."`
		resets = `5.2: a reset is not subject to the check, nor is TS.Recent to be set by one`
	)
	now := &Options{DelayedACK: -1}
	playRules(t, []rule{
		{"old data", r1, func(t *testing.T, holds string) {
			s := newScript(t)
			ours := s.stamped(1000, now)
			s.recvStamped(stamp{999, ours}, seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "wrapped"})
			s.wantStamped(holds, 1000, seg{flags: ".", seq: 1, ack: 1})
			s.wantRead(holds, "")
		}},
		{"old data out of order", r1, func(t *testing.T, holds string) {
			s := newScript(t)
			ours := s.stamped(1000, now)
			s.recvStamped(stamp{999, ours}, seg{flags: "P.", seq: 5, ack: 1, win: 65535, data: "wrapped"})
			s.wantStamped(holds, 1000, seg{flags: ".", seq: 1, ack: 1})
			s.recvStamped(stamp{1001, ours}, seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "1234"})
			s.wantStamped("it was not kept", 1001, seg{flags: ".", seq: 1, ack: 5})
		}},
		{"an old acknowledgment", r1, func(t *testing.T, holds string) {
			s := newScript(t)
			ours := s.stamped(1000, now)
			s.write("data")
			s.want("in flight", seg{flags: "P.", seq: 1, ack: 1, data: "data"})
			s.recvStamped(stamp{999, ours}, seg{flags: ".", seq: 1, ack: 5, win: 65535})
			s.wantStamped(holds, 1000, seg{flags: ".", seq: 5, ack: 1})
			require.Equal(t, 4, s.conn.Info().InFlight, holds)
		}},
		{"an old FIN", r1, func(t *testing.T, holds string) {
			s := newScript(t)
			ours := s.stamped(1000, now)
			s.recvStamped(stamp{999, ours}, seg{flags: "F.", seq: 1, ack: 1, win: 65535})
			s.wantStamped(holds, 1000, seg{flags: ".", seq: 1, ack: 1})
			require.Equal(t, Established, s.conn.State())
		}},
		{"an old final acknowledgment",
			`appendix D: SYN-RECEIVED checks as the synchronized states do`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				l := s.listen()
				s.recvStamped(stamp{1000, 0}, seg{flags: "S", win: 65535, mss: 1460})
				ours := s.wantStamped("the SYN is answered", 1000, seg{flags: "S.", ack: 1})
				s.recvStamped(stamp{999, ours}, seg{flags: ".", seq: 1, ack: 1, win: 65535})
				require.Zero(t, l.Pending(), holds)
				s.count()
				s.recvStamped(stamp{1000, ours}, seg{flags: ".", seq: 1, ack: 1, win: 65535})
				require.Equal(t, 1, l.Pending(), "the same tick is not old")
			}},
		{"the same tick", `"SEG.TSval < TS.Recent": not one that is equal`, func(t *testing.T, holds string) {
			s := newScript(t)
			ours := s.stamped(1000, now)
			for i := range uint32(10) {
				s.recvStamped(stamp{1000, ours}, seg{flags: "P.", seq: 1 + i, ack: 1, win: 65535, data: "x"})
				s.wantStamped(holds, 1000, seg{flags: ".", seq: 1, ack: 2 + i})
			}
		}},
		{"a clock that wraps", `5.2: timestamps are compared in modular 32-bit space`, func(t *testing.T, holds string) {
			s := newScript(t)
			ours := s.stamped(1<<32-10, now)
			s.recvStamped(stamp{10, ours}, seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "new"})
			s.wantStamped(holds, 10, seg{flags: ".", seq: 1, ack: 4})
			s.recvStamped(stamp{1<<32 - 10, ours}, seg{flags: "P.", seq: 4, ack: 1, win: 65535, data: "old"})
			s.wantStamped(holds, 10, seg{flags: ".", seq: 1, ack: 4})
		}},
		{"half of the clock's range", `5.2: timestamps are compared in modular 32-bit space`, func(t *testing.T, holds string) {
			s := newScript(t)
			ours := s.stamped(1000, now)
			s.recvStamped(stamp{1000 + 1<<31 - 1, ours}, seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "x"})
			s.wantStamped(holds, 1000+1<<31-1, seg{flags: ".", seq: 1, ack: 2})
		}},
		{"reordered",
			`5.3: TS.Recent follows what is in order, so that what was overtaken is not taken for old`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				ours := s.stamped(1000, now)
				s.recvStamped(stamp{1030, ours}, seg{flags: ".", seq: 3, ack: 1, win: 65535, data: "3"})
				s.recvStamped(stamp{1020, ours}, seg{flags: ".", seq: 2, ack: 1, win: 65535, data: "2"})
				s.recvStamped(stamp{1010, ours}, seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "1"})
				s.count()
				s.wantRead(holds, "123")
			}},
		{"an exact RST with an old timestamp", resets, func(t *testing.T, holds string) {
			s := newScript(t)
			ours := s.stamped(1000, now)
			s.recvStamped(stamp{1, ours}, seg{flags: "R", seq: 1})
			require.ErrorIs(t, s.conn.Err(), ErrReset, holds)
		}},
		{"a RST that is not exact, with a new timestamp", resets, func(t *testing.T, holds string) {
			s := newScript(t)
			ours := s.stamped(1000, now)
			s.recvStamped(stamp{1 << 30, ours}, seg{flags: "R", seq: 10})
			s.wantStamped(holds, 1000, seg{flags: ".", seq: 1, ack: 1})
			s.recvStamped(stamp{1001, ours}, seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "x"})
			s.wantStamped(holds, 1001, seg{flags: ".", seq: 1, ack: 2})
		}},
		{"a SYN with a new timestamp",
			`RFC 5961, 4.2: it is challenged, and does not set TS.Recent`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				ours := s.stamped(1000, now)
				s.recvStamped(stamp{1 << 30, 0}, seg{flags: "S", seq: 1, win: 65535})
				s.wantStamped(holds, 1000, seg{flags: ".", seq: 1, ack: 1})
				s.recvStamped(stamp{1001, ours}, seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "x"})
				s.wantStamped(holds, 1001, seg{flags: ".", seq: 1, ack: 2})
			}},
		{"idle for 23 days", outdated, func(t *testing.T, holds string) {
			s := newScript(t)
			ours := s.stamped(1000, now)
			s.after(23 * 24 * time.Hour)
			s.recvStamped(stamp{999, ours}, seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "old"})
			s.wantStamped("not yet", 1000, seg{flags: ".", seq: 1, ack: 1})
		}},
		{"idle for 25 days", outdated, func(t *testing.T, holds string) {
			s := newScript(t)
			ours := s.stamped(1000, now)
			s.after(25 * 24 * time.Hour) // in which a clock of 1 ms has passed half of its range
			val := uint32(1000 + 25*24*3600*1000)
			require.Negative(t, int32(val-1000))
			s.recvStamped(stamp{val, ours}, seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "alive"})
			s.wantStamped(holds, val, seg{flags: ".", seq: 1, ack: 6})
			s.wantRead(holds, "alive")
			s.recvStamped(stamp{val - 1, ours}, seg{flags: "P.", seq: 6, ack: 1, win: 65535, data: "old"})
			s.wantStamped("and what it showed is valid again", val, seg{flags: ".", seq: 1, ack: 6})
		}},
		{"many old segments", `RFC 5961, 7: data is answered, acknowledgments are throttled`, func(t *testing.T, holds string) {
			s := newScript(t)
			ours := s.stamped(1000, now)
			for range 1000 {
				s.recvStamped(stamp{999, ours}, seg{flags: ".", seq: 1, ack: 1, win: 65535})
			}
			require.LessOrEqual(t, s.count(), 10, "two sides with clocks that have gone wrong do not answer one another for ever")
		}},
	})
}

// TestRTTM is RFC 7323 section 4.1.
// https://www.rfc-editor.org/rfc/rfc7323.html#section-4.1
func TestRTTM(t *testing.T) {
	const advances = `"A TSecr value received in a segment MAY be used to update the averaged RTT measurement only if the ` +
		`segment advances the left edge of the send window, i.e., SND.UNA is increased."`
	// measured is a connection whose handshake took 100 ms.
	measured := func(t *testing.T) (*script, uint32) {
		s := newScript(t)
		s.after(time.Second)
		s.dial(&Options{DelayedACK: -1})
		ours := s.wantStamped("our SYN", 0, seg{flags: "S"})
		s.after(100 * time.Millisecond)
		s.recvStamped(stamp{1000, ours}, seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
		s.want("the handshake", seg{flags: ".", seq: 1, ack: 1})
		require.InDelta(t, 100*time.Millisecond, s.conn.Info().RTT, float64(2*time.Millisecond))
		return s, ours
	}
	playRules(t, []rule{
		{"what advances", advances, func(t *testing.T, holds string) {
			s, _ := measured(t)
			s.write("data")
			ours := s.wantStamped("in flight", 1000, seg{flags: "P.", seq: 1, ack: 1, data: "data"})
			s.after(180 * time.Millisecond)
			s.recvStamped(stamp{1001, ours}, seg{flags: ".", seq: 1, ack: 5, win: 65535})
			require.InDelta(t, 110*time.Millisecond, s.conn.Info().RTT, float64(2*time.Millisecond), holds)
		}},
		{"what does not", advances, func(t *testing.T, holds string) {
			s, ours := measured(t)
			rtt := s.conn.Info().RTT
			s.after(time.Hour) // in which the host had nothing to say
			s.recvStamped(stamp{1001, ours}, seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "hello"})
			s.recvStamped(stamp{1002, ours}, seg{flags: ".", seq: 6, ack: 1, win: 65535})
			s.count()
			require.Equal(t, rtt, s.conn.Info().RTT, holds)
		}},
		{"duplicates", advances, func(t *testing.T, holds string) {
			s, ours := measured(t)
			s.write("data")
			s.want("in flight", seg{flags: "P.", seq: 1, ack: 1, data: "data"})
			rtt := s.conn.Info().RTT
			s.after(150 * time.Millisecond)
			s.recvStamped(stamp{1001, ours}, seg{flags: ".", seq: 1, ack: 1, win: 65535})
			require.Equal(t, rtt, s.conn.Info().RTT, holds)
		}},
		{"what was sent again",
			`RFC 6298, 3: "the timestamp option removes the ambiguity regarding which instance of the data segment triggered ` +
				`the acknowledgment"`,
			func(t *testing.T, holds string) {
				s, _ := measured(t)
				s.write("data")
				s.want("in flight", seg{flags: "P.", seq: 1, ack: 1, data: "data"})
				s.after(s.conn.Info().RTO)
				again := s.wantStamped("again", 1000, seg{flags: "P.", seq: 1, ack: 1, data: "data"})
				s.after(100 * time.Millisecond)
				s.recvStamped(stamp{1001, again}, seg{flags: ".", seq: 1, ack: 5, win: 65535})
				require.InDelta(t, 100*time.Millisecond, s.conn.Info().RTT, float64(2*time.Millisecond), holds)
			}},
		{"an echo from the future", `an echo of what was never sent measures nothing`, func(t *testing.T, holds string) {
			for _, off := range []uint32{1 << 20, 1 << 30, 1 << 31, 1<<32 - 1<<20} {
				s, _ := measured(t)
				s.write("data")
				ours := s.wantStamped("in flight", 1000, seg{flags: "P.", seq: 1, ack: 1, data: "data"})
				s.after(100 * time.Millisecond)
				s.recvStamped(stamp{1001, ours + off}, seg{flags: ".", seq: 1, ack: 5, win: 65535})
				require.Zero(t, s.conn.Info().InFlight)
				require.LessOrEqual(t, s.conn.Info().RTO, time.Minute, holds)
				require.InDelta(t, 100*time.Millisecond, s.conn.Info().RTT, float64(20*time.Millisecond), holds)
			}
		}},
	})
}

// TestTimeWaitTimestamps is RFC 6191 section 2: whether a SYN is new is told by its timestamp.
// https://www.rfc-editor.org/rfc/rfc6191.html#section-2
func TestTimeWaitTimestamps(t *testing.T) {
	closed := func(t *testing.T) *script {
		s := newScript(t)
		ours := s.stamped(1000, &Options{DelayedACK: -1})
		s.conn.Close(s.now)
		s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
		s.recvStamped(stamp{1001, ours}, seg{flags: "F.", seq: 1, ack: 2, win: 65535})
		s.want("the peer's", seg{flags: ".", seq: 2, ack: 2})
		return s
	}
	for _, row := range []struct {
		name   string
		seq    uint32
		val    uint32
		opened bool
	}{
		{"a later timestamp, a higher sequence number", 1000, 1002, true},
		{"a later timestamp, a lower sequence number", 1<<32 - 1000, 1002, true},
		{"the same timestamp, a higher sequence number", 1000, 1001, true},
		{"the same timestamp, a lower sequence number", 1<<32 - 1000, 1001, false},
		{"an earlier timestamp, a higher sequence number", 1000, 1000, false},
		{"an earlier timestamp, a lower sequence number", 1<<32 - 1000, 1000, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := closed(t)
			s.recvStamped(stamp{row.val, 0}, seg{flags: "S", seq: row.seq, win: 65535, mss: 1460})
			if row.opened {
				s.wantStamped("it is new", row.val, seg{flags: "S.", ack: row.seq + 1})
				require.Equal(t, "half-open", s.state())
			} else {
				require.Equal(t, "TIME-WAIT", s.state(), "it may be old")
				s.count()
			}
		})
	}
	t.Run("without timestamps, a higher sequence number", func(t *testing.T) {
		s := closed(t)
		s.recv(seg{flags: "S", seq: 1000, win: 65535, mss: 1460})
		s.wantUnstamped("it is new", seg{flags: "S.", ack: 1001})
	})
	t.Run("without timestamps, a lower sequence number", func(t *testing.T) {
		s := closed(t)
		s.recv(seg{flags: "S", seq: 1<<32 - 1000, win: 65535, mss: 1460})
		require.Equal(t, "TIME-WAIT", s.state(), "it may be old")
		s.count()
	})
	t.Run("old data and resets", func(t *testing.T) {
		s := closed(t)
		s.recvStamped(stamp{999, 0}, seg{flags: "P.", seq: 2, ack: 2, win: 65535, data: "old"})
		require.NotNil(t, s.stampOf("acknowledged"))
		s.count()
		require.Equal(t, "TIME-WAIT", s.state())
	})
}
