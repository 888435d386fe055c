package tcp

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

// rule is a script that holds a sentence.
type rule struct {
	name, holds string
	play        func(t *testing.T, holds string)
}

func playRules(t *testing.T, rules []rule) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) { r.play(t, r.holds) })
	}
}

// count is how many segments have left since it was last called.
func (s *script) count() int {
	s.net.collect(s.since())
	n := len(s.net.sent)
	s.net.discard()
	return n
}

// TestBlindResets is RFC 5961 section 3.
// https://www.rfc-editor.org/rfc/rfc5961.html#section-3.2
func TestBlindResets(t *testing.T) {
	playRules(t, []rule{
		{"outside the window, wherever it is",
			`"the sequence number is outside the current receive window, silently drop the segment"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.accepted()
				for i := range uint32(1000) {
					s.recv(seg{flags: "R", seq: 1 + offered + i<<22})
					s.recv(seg{flags: "R", seq: -i})
				}
				s.wantIdle(holds)
				require.Equal(t, Established, c.State(), holds)
			}},
		{"a sweep of the window",
			`"yet is within the current receive window [...], TCP MUST send an acknowledgment (challenge ACK)"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.accepted()
				s.recv(seg{flags: "R", seq: 2})
				s.want(holds, seg{flags: ".", seq: 1, ack: 1})
				for i := range uint32(offered - 2) {
					s.recv(seg{flags: "R", seq: 3 + i})
				}
				s.wantIdle("not each of many")
				require.Equal(t, Established, c.State(), holds)
			}},
		{"one that the peer meant",
			`"If the RST bit is set and the sequence number exactly matches the next expected sequence number (RCV.NXT), then ` +
				`TCP MUST reset the connection"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.accepted()
				s.recv(seg{flags: "R", seq: 100})
				s.want("the challenge", seg{flags: ".", seq: 1, ack: 1})
				s.recv(seg{flags: "R", seq: 1}) // the peer has no connection, and answers the acknowledgment from its number
				s.wantIdle("a reset is not answered")
				require.ErrorIs(t, c.Err(), ErrReset, holds)
			}},
		{"behind a segment that was lost", `"does not exactly match the next expected sequence value": it is challenged`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.accepted()
				s.recv(seg{flags: "P.", seq: 6, ack: 1, win: 65535, data: "world"})
				s.want("a gap", seg{flags: ".", seq: 1, ack: 1})
				s.recv(seg{flags: "R", seq: 11})
				s.want(holds, seg{flags: ".", seq: 1, ack: 1})
				require.Equal(t, Established, c.State())
				s.recv(seg{flags: "R", seq: 1})
				require.ErrorIs(t, c.Err(), ErrReset)
			}},
		{"while the window is closed",
			`RFC 9293, 3.10.7.4: "special allowance should be made to accept valid ACKs, URGs, and RSTs"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.accepted(small(64))
				s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, len: 64})
				s.want("full", seg{flags: ".", seq: 1, ack: 65, win: 0})
				s.recv(seg{flags: "R", seq: 66})
				s.wantIdle("there is no window that it could be in")
				s.recv(seg{flags: "R", seq: 65})
				require.ErrorIs(t, c.Err(), ErrReset, holds)
			}},
		{"with data", `RFC 9293, 3.5.3: "TCP implementations SHOULD allow a received RST segment to include data (SHLD-2)."`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.accepted()
				s.recv(seg{flags: "R", seq: 1, data: "go away"})
				require.ErrorIs(t, c.Err(), ErrReset, holds)
				s.wantRead("which is not the stream's", "")
			}},
		{"to who dials",
			`RFC 9293, 3.5.3: "In the SYN-SENT state [...], the RST is acceptable if the ACK field acknowledges the SYN."`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.dial(nil)
				s.want("our SYN", seg{flags: "S"})
				for i := range uint32(1000) {
					s.recv(seg{flags: "R", seq: i << 22})
					s.recv(seg{flags: "R.", seq: i << 22, ack: 2 + i<<22})
				}
				s.recv(seg{flags: "R.", ack: 0})
				s.wantIdle("no reset is answered")
				require.Equal(t, SynSent, c.State(), holds)
				s.recv(seg{flags: "R.", ack: 1})
				require.ErrorIs(t, c.Err(), ip.ErrConnectionRefused, holds)
			}},
	})
}

// TestBlindSYNs is RFC 5961 section 4.
// https://www.rfc-editor.org/rfc/rfc5961.html#section-4.2
func TestBlindSYNs(t *testing.T) {
	const challenged = `"If the SYN bit is set, irrespective of the sequence number, TCP MUST send an ACK (also referred to as ` +
		`challenge ACK)"`
	playRules(t, []rule{
		{"wherever it is", challenged, func(t *testing.T, holds string) {
			s := newScript(t)
			c := s.accepted()
			for _, seq := range []uint32{0, 1, 2, offered, 1 + offered, 1 << 30, 1 << 31, 3 << 30, 1<<32 - 1} {
				s.after(time.Second)
				s.recv(seg{flags: "S", seq: seq, win: 65535})
				s.want(holds, seg{flags: ".", seq: 1, ack: 1})
			}
			require.Equal(t, Established, c.State())
		}},
		{"with data", `"After sending the acknowledgment, TCP MUST drop the unacceptable segment and stop processing further."`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.accepted()
				s.recv(seg{flags: "S.", seq: 1, ack: 1, win: 0, data: "forged"})
				s.want("the challenge", seg{flags: ".", seq: 1, ack: 1})
				s.wantRead(holds, "")
				s.write("x")
				s.want("nor is its window taken", seg{flags: "P.", seq: 1, ack: 1, data: "x"})
			}},
		{"of a peer that has restarted",
			`RFC 9293, 3.5.1, figure 9: the challenge is answered by a reset, and its next SYN opens`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.accepted()
				irs, iss := s.irs, s.iss
				s.irs += 1 << 28
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
				s.irs = irs
				s.want("the challenge", seg{flags: ".", seq: 1, ack: 1})
				s.recv(seg{flags: "R", seq: 1})
				require.ErrorIs(t, c.Err(), ErrReset)
				s.irs += 1 << 28
				s.after(time.Second)
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
				s.want(holds, seg{flags: "S.", ack: 1})
				require.NotEqual(t, iss, s.iss)
			}},
		{"to one half open",
			`RFC 5961, 4.2, for SYN-RECEIVED too: whatever SYN comes, the first one's connection can still complete`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				l := s.listen()
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
				s.want("the first", seg{flags: "S.", ack: 1})
				for i := range uint32(1000) {
					s.recv(seg{flags: "S", seq: 77 + i<<22, win: 65535, mss: 1460})
				}
				require.Equal(t, 1, s.count(), "one challenge for all of them")
				s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
				require.Equal(t, 1, l.Pending(), holds)
			}},
	})
}

// TestBlindData is RFC 5961 section 5.
// https://www.rfc-editor.org/rfc/rfc5961.html#section-5.2
func TestBlindData(t *testing.T) {
	const (
		acceptable = `"The ACK value is considered acceptable only if it is in the range of ((SND.UNA - MAX.SND.WND) <= ` +
			`SEG.ACK <= SND.NXT)."`
		discarded = `"All incoming segments whose ACK value doesn't satisfy the above condition MUST be discarded and an ACK ` +
			`sent back."`
	)
	// sent is a connection that has sent 100,005 octets, all of them acknowledged, and then five more.
	sent := func(t *testing.T) *script {
		s := newScript(t)
		c := s.accepted(atOnce)
		s.write(strings.Repeat("x", 100_005))
		for acked := uint64(0); acked < 100_005; {
			s.answers()
			acked = c.Info().OctetsSent
			s.recv(seg{flags: ".", seq: 1, ack: 1 + uint32(acked), win: 65535})
		}
		s.write("01234")
		s.want("in flight", seg{flags: "P.", seq: 100006, ack: 1, data: "01234"})
		return s
	}
	for _, row := range []struct {
		name string
		ack  uint32
		take bool
	}{
		{"SND.NXT", 100011, true},
		{"beyond SND.NXT", 100012, false},
		{"SND.UNA", 100006, true},
		{"before SND.UNA", 100005, true},
		{"SND.UNA - MAX.SND.WND", 100006 - 65535, true},
		{"before SND.UNA - MAX.SND.WND", 100006 - 65536, false},
		{"far ahead", 100011 + 1<<31 - 1, false},
		{"far behind", 100006 + 1<<31 + 1, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := sent(t)
			s.recv(seg{flags: "P.", seq: 1, ack: row.ack, win: 65535, data: "data"})
			if row.take {
				s.want(acceptable, seg{flags: ".", seq: 100011, ack: 5})
				s.wantRead(acceptable, "data")
			} else {
				s.want(discarded, seg{flags: ".", seq: 100011, ack: 1})
				s.wantRead(discarded, "")
			}
		})
	}
	playRules(t, []rule{
		{"MAX.SND.WND outlives a smaller window", `"the largest window that the local sender has ever received from its peer"`,
			func(t *testing.T, holds string) {
				s := sent(t)
				s.recv(seg{flags: ".", seq: 1, ack: 100011, win: 10})
				s.recv(seg{flags: "P.", seq: 1, ack: 100011 - 65535, win: 10, data: "data"})
				s.want(holds, seg{flags: ".", seq: 100011, ack: 5})
			}},
		{"a FIN", discarded, func(t *testing.T, holds string) {
			s := newScript(t)
			c := s.accepted(atOnce)
			s.recv(seg{flags: "F.", seq: 1, ack: 1 << 20, win: 65535})
			s.want(holds, seg{flags: ".", seq: 1, ack: 1})
			require.Equal(t, Established, c.State())
		}},
		{"a window", discarded, func(t *testing.T, holds string) {
			s := newScript(t)
			s.accepted(atOnce)
			s.recv(seg{flags: ".", seq: 1, ack: 1 << 20, win: 0})
			s.want(holds, seg{flags: ".", seq: 1, ack: 1})
			s.write("x")
			s.want("the window is as it was", seg{flags: "P.", seq: 1, ack: 1, data: "x"})
		}},
		{"duplicate acknowledgments", discarded, func(t *testing.T, holds string) {
			s := newScript(t)
			s.accepted()
			s.writeSome(strings.Repeat("x", 14600))
			s.answers()
			for range 10 {
				s.recv(seg{flags: ".", seq: 1, ack: 1 << 20, win: 65535})
			}
			s.want(holds, seg{flags: ".", seq: 14601, ack: 1})
			s.wantIdle("nothing is sent again")
		}},
		{"guessed acknowledgments", acceptable, func(t *testing.T, holds string) {
			s := newScript(t)
			s.accepted(atOnce)
			taken := 0
			for i := range uint32(1 << 16) {
				s.recv(seg{flags: "P.", seq: 1, ack: i<<16 + 0x8000, win: 65535, data: "x"})
				s.net.discard()
				if n := s.conn.Received(); n > taken {
					taken = n
					require.EqualValues(t, 1<<16-1, i, holds)
				}
			}
			require.Equal(t, 1, taken, "of one guess in each 64 KiB one is right")
		}},
	})
}

// TestChallengesAreThrottled is RFC 5961 section 7.
// https://www.rfc-editor.org/rfc/rfc5961.html#section-7
func TestChallengesAreThrottled(t *testing.T) {
	const throttled = `"In order to alleviate multiple RSTs/SYNs from triggering multiple challenge ACKs, an ACK throttling ` +
		`mechanism is suggested"`
	for _, row := range []struct {
		name string
		in   seg
	}{
		{"RST in the window", seg{flags: "R", seq: 10}},
		{"SYN", seg{flags: "S", seq: 10}},
		{"ACK of what was never sent", seg{flags: ".", seq: 1, ack: 100}},
		{"ACK beyond the window", seg{flags: ".", seq: 1 << 20, ack: 1}},
		{"keep-alive probe", seg{flags: ".", seq: 0, ack: 1}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			s.accepted()
			answered := 0
			for range 500 {
				s.recv(row.in)
				answered += s.count()
				s.after(10 * time.Millisecond)
			}
			require.Positive(t, answered)
			require.LessOrEqual(t, answered, 10, "in any 5 seconds: %s", throttled)
		})
	}
	playRules(t, []rule{
		{"each connection for itself",
			`a limit that connections share tells an attacker of one what happens to another (CVE-2016-5696)`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				l := s.listen()
				var iss []uint32
				first := s.peer
				for i := range uint16(2) {
					s.peer = addPort(first, i)
					s.recv(seg{flags: "S", win: 65535, mss: 1460})
					s.want("open", seg{flags: "S.", ack: 1})
					s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
					iss = append(iss, s.iss)
				}
				require.Equal(t, 2, l.Pending())
				s.peer, s.iss = first, iss[0]
				for range 1000 {
					s.recv(seg{flags: "R", seq: 10})
				}
				require.Positive(t, s.count())
				s.peer, s.iss = addPort(first, 1), iss[1]
				s.recv(seg{flags: "R", seq: 10})
				s.want(holds, seg{flags: ".", seq: 1, ack: 1})
			}},
		{"not what a live peer repeats",
			`RFC 9293, 3.10.7.4: "If an incoming segment is not acceptable, an acknowledgment should be sent in reply"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.accepted(atOnce)
				s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "hello"})
				s.want("taken", seg{flags: ".", seq: 1, ack: 6})
				s.recv(seg{flags: "R", seq: 10})
				s.want("a challenge", seg{flags: ".", seq: 1, ack: 6})
				for range 100 {
					s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "hello"})
					s.want(holds, seg{flags: ".", seq: 1, ack: 6})
					s.recv(seg{flags: "P.", seq: 1 << 20, ack: 1, win: 65535, data: "beyond the window"})
					s.want(holds, seg{flags: ".", seq: 1, ack: 6})
				}
			}},
		{"acknowledgments do not answer one another", throttled, func(t *testing.T, holds string) {
			s := newScript(t)
			s.accepted()
			s.recv(seg{flags: ".", seq: 1 << 20, ack: 1 << 20, win: 65535})
			s.want("the first is answered", seg{flags: ".", seq: 1, ack: 1})
			for range 1000 { // as fast as a loopback lets two that both believe to be right
				s.after(10 * time.Microsecond)
				s.recv(seg{flags: ".", seq: 1 << 20, ack: 1 << 20, win: 65535})
			}
			s.wantIdle(holds)
		}},
	})
}
