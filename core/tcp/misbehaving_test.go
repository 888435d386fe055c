package tcp

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A peer that acknowledges every other octet selectively has the scoreboard fall into pieces, but only into as many as segments that
// are on their way could fall into, and some.
func TestSACKOfSingleOctetsIsBounded(t *testing.T) {
	s := newSender(t, withSACK, func(c *Config) { c.InitialWindow = 44 })
	s.flies(44)
	f := s.conn.flight
	for left := uint32(2); left < s.at(44)-8; left += 8 {
		sg := seg{flags: ".", seq: 1, ack: 1, win: s.win}
		for i := range uint32(4) {
			sg.sack = append(sg.sack, [2]uint32{left + 2*i, left + 2*i + 1})
		}
		s.recv(sg)
		s.net.discard()
	}
	require.LessOrEqual(t, len(f.sent.all()), minSentRanges+2*44)
	s.wantConsistent()
	for round := 0; s.conn.sndUna != s.conn.sndNxt; round++ {
		require.Less(t, round, 1000, "and all of it can still be repaired")
		s.after(time.Second)
		s.net.discard()
		s.recv(seg{flags: ".", seq: 1, ack: min(1+uint32(1000*round), s.at(44)), win: s.win})
	}
}

// Three duplicates, none of which stands for a segment that has arrived, as the partial acknowledgment shows: what was sent again is on
// its way, and has the retransmission timer run, not that of a closed window.
func TestDuplicatesOfNothingDoNotStopTheTimer(t *testing.T) {
	s := newSender(t, withNone)
	s.flies(4)
	for range 3 {
		s.acks(0)
	}
	s.leaves("the fast retransmit", 0, 1)
	s.acks(1)
	s.leaves("a partial acknowledgment", 1, 2)
	require.Equal(t, s.mss, s.conn.Info().InFlight)
	s.after(time.Second)
	require.NotZero(t, s.host.Counters().RetransTimeouts)
	require.Zero(t, s.host.Counters().ZeroWindowProbes)
}

// smallOn is a sender whose segments are smaller than what the link could carry, for which it may send probes.
func smallOn(t *testing.T, mtu, mss int) *sender {
	s := newSender(t, seg{sackOK: true}, func(c *Config) { c.InitialWindow = 100 })
	m := s.conn.probeMTU()
	m.start(mss, mtu-40, false)
	s.conn.setMSS(mss)
	s.mss = mss
	return s
}

// A probe that is lost together with all that follows it, so that only the timeout tells, is not the last.
func TestProbesGoOnAfterATimeout(t *testing.T) {
	s := smallOn(t, 1500, 1000)
	s.send(10)
	s.left()
	require.EqualValues(t, 1, s.host.Counters().PathMTUProbes)
	s.after(600 * time.Millisecond)
	s.left()
	require.NotZero(t, s.host.Counters().RetransTimeouts)
	s.acks(10)
	s.after(10 * time.Second)
	s.send(10)
	s.left()
	require.EqualValues(t, 2, s.host.Counters().PathMTUProbes)
}

// What is written in small pieces lies in small chunks, few of which fit in a packet: a probe proves no more than its own size.
func TestAProbeProvesWhatItHeld(t *testing.T) {
	s := smallOn(t, 9000, 1000)
	s.net.mtu = 9000
	s.recv(seg{flags: ".", seq: 1, ack: 1}) // the window closes, while it is written
	for range 20 {
		s.write(strings.Repeat("x", 1000))
	}
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	s.net.collect(s.since())
	longest := 0
	for _, p := range s.net.sent {
		longest = max(longest, p.Len()-20)
	}
	require.Greater(t, longest, 1000, "a probe")
	s.recv(seg{flags: ".", seq: 1, ack: 20001, win: 65535})
	require.LessOrEqual(t, s.conn.Info().SendMSS, longest)
}

// What is on its way is in very many pieces, and every acknowledgment tells of another one: losses are looked for now and then.
func TestManyRangesAreNotGoneThroughForEachAcknowledgment(t *testing.T) {
	const segments = 6000
	s := newSender(t, seg{sackOK: true, ws: 8}, func(c *Config) { c.InitialWindow = segments })
	s.win = 65535
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: s.win})
	require.NoError(t, s.conn.SetWriteBuffer(1<<30))
	for range segments {
		s.send(1)
		s.now = s.now.Add(time.Microsecond) // so that nothing makes them one
	}
	s.left()
	looked := 0
	for i := range 1000 {
		s.after(time.Microsecond)
		at := s.conn.flight.lookedAt
		s.acks(0, [2]int{2*i + 1, 2*i + 2})
		if s.conn.flight.lookedAt != at {
			looked++
		}
	}
	require.Positive(t, looked)
	require.LessOrEqual(t, looked, 3)
	s.after(trip)
	require.Equal(t, RecoveryFast, s.conn.Info().Recovery, "what was lost is found soon nevertheless")
	require.NotEmpty(t, s.left())
}

// Nothing bounds the window of a connection without congestion control, neither a timeout that was real nor a smaller segment size.
func TestNoCongestionControlStaysUnlimited(t *testing.T) {
	for _, row := range []struct {
		name   string
		happen func(s *sender)
	}{
		{"a timeout that was real", func(s *sender) {
			s.flies(4)
			s.after(800 * time.Millisecond)
			s.left()
			s.conn.flight.recovery.frto = frtoNew // as if an acknowledgment had come before all was sent again
			s.acks(1)
		}},
		{"smaller segments, and larger ones again", func(s *sender) {
			for range 50 {
				s.conn.setMSS(536)
				s.conn.setMSS(1460)
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSender(t, withSACK, func(c *Config) { c.Options.Congestion = "none" })
			cwnd := s.conn.Info().Cwnd
			row.happen(s)
			require.Equal(t, cwnd, s.conn.Info().Cwnd)
		})
	}
}

// After a timeout the window is a segment, and still is when segments turn out to be larger.
func TestTheWindowHoldsASegment(t *testing.T) {
	s := smallOn(t, 1500, 536)
	s.conn.window.Cwnd = 536
	s.conn.setMSS(1460)
	s.mss = 1460
	s.send(3)
	s.leaves("one at once, not when a timer expires", 0, 1)
}
