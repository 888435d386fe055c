package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestClosing is RFC 9293 section 3.6.
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.6
func TestClosing(t *testing.T) {
	playRules(t, []rule{
		{"the FIN is lost", `"All segments preceding and including FIN will be retransmitted until acknowledged."`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.dialedIn(400 * time.Millisecond)
				s.write("bye")
				c.CloseWrite(s.now)
				s.want("data", seg{flags: "P.", seq: 1, ack: 1, data: "bye"})
				s.want("and FIN", seg{flags: "F.", seq: 4, ack: 1})
				s.recv(seg{flags: ".", seq: 1, ack: 4, win: 65535})
				require.Equal(t, FinWait1, c.State())
				s.wantAgainAfter(holds, c.Info().RTO, seg{flags: "F.", seq: 4, ack: 1})
				s.recv(seg{flags: ".", seq: 1, ack: 5, win: 65535})
				require.Equal(t, FinWait2, c.State())
			}},
		{"data before the FIN is lost", `"All segments preceding and including FIN will be retransmitted until acknowledged."`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.dialedIn(400 * time.Millisecond)
				s.write("bye")
				c.CloseWrite(s.now)
				require.Equal(t, 2, s.count())
				s.wantAgainAfter(holds, 1200*time.Millisecond, seg{flags: "FP.", seq: 1, ack: 1, data: "bye"})
				s.recv(seg{flags: ".", seq: 1, ack: 5, win: 65535})
				require.Equal(t, FinWait2, c.State())
			}},
		{"half closed by us",
			`3.6: "The user who CLOSEs may continue to RECEIVE until the TCP receiver is told that the remote peer has CLOSED ` +
				`also."`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.accepted(atOnce)
				c.CloseWrite(s.now)
				s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
				for i := range uint32(3) { // before the FIN is acknowledged, with it, and after
					s.recv(seg{flags: "P.", seq: 1 + 4*i, ack: 1 + min(i, 1), win: 65535, data: "more"})
					s.want(holds, seg{flags: ".", seq: 2, ack: 5 + 4*i})
					s.wantRead(holds, "more")
				}
				s.recv(seg{flags: "FP.", seq: 13, ack: 2, win: 65535, data: "end"})
				s.want("the peer's FIN", seg{flags: ".", seq: 2, ack: 17})
				s.wantRead("and what came with it", "end")
				require.Equal(t, TimeWait, c.State())
			}},
		{"half closed by the peer",
			`3.6.1: "a host is permitted to continue sending data in the open direction on a half-closed connection"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.accepted(atOnce)
				s.recv(seg{flags: "F.", seq: 1, ack: 1, win: 65535})
				s.want("the peer's FIN", seg{flags: ".", seq: 1, ack: 2})
				s.after(time.Hour)
				s.write("more")
				s.want(holds, seg{flags: "P.", seq: 1, ack: 2, data: "more"})
				s.recv(seg{flags: ".", seq: 2, ack: 5, win: 65535})
				require.Equal(t, CloseWait, c.State(), `3.6: it "will ACK but not send its own FIN until its user has CLOSED"`)
			}},
		{"half duplex, data pending",
			`3.6.1: "If such a host issues a CLOSE call while received data is still pending [...], SHOULD send a RST (SHLD-3)"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.accepted(atOnce)
				s.recv(seg{flags: "FP.", seq: 1, ack: 1, win: 65535, data: "x"})
				s.want("data and FIN", seg{flags: ".", seq: 1, ack: 3})
				c.Close(s.now)
				s.want(holds, seg{flags: "R.", seq: 1, ack: 3})
			}},
		{"half duplex, data that is new",
			`3.6.1: "or if new data is received after CLOSE is called, its TCP implementation SHOULD send a RST"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.accepted(atOnce)
				c.Close(s.now)
				s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
				s.recv(seg{flags: ".", seq: 1, ack: 2, win: 65535})
				s.recv(seg{flags: "FP.", seq: 1, ack: 2, win: 65535, data: "x"})
				s.want(holds, seg{flags: "R.", seq: 2, ack: 1})
				require.Equal(t, "CLOSED", s.state())
			}},
		{"half duplex, data that is old", `3.6.1: "if new data is received": what was read before is not new`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.accepted(atOnce)
				s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "hello"})
				s.want("taken", seg{flags: ".", seq: 1, ack: 6})
				s.wantRead("and read", "hello")
				c.Close(s.now)
				s.want("our FIN", seg{flags: "F.", seq: 1, ack: 6})
				s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "hello"})
				s.want(holds, seg{flags: ".", seq: 2, ack: 6})
				s.recv(seg{flags: "F.", seq: 6, ack: 2, win: 65535})
				s.want("and it ends in good order", seg{flags: ".", seq: 2, ack: 7})
				require.Equal(t, "TIME-WAIT", s.state())
			}},
	})
}

// TestClosingAtOnce is RFC 9293 section 3.6, figure 13.
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.6
func TestClosingAtOnce(t *testing.T) {
	// crossed is a connection whose FIN has crossed the peer's; RTO is 1.2 s.
	crossed := func(t *testing.T) *script {
		s := newScript(t)
		s.dialedIn(400 * time.Millisecond).CloseWrite(s.now)
		s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
		s.recv(seg{flags: "F.", seq: 1, ack: 1, win: 65535})
		s.want("the peer's", seg{flags: ".", seq: 2, ack: 2})
		require.Equal(t, "CLOSING", s.state())
		return s
	}
	playRules(t, []rule{
		{"figure 13", `"Both will, upon receiving these ACKs, delete the connection."`, func(t *testing.T, holds string) {
			s := crossed(t)
			s.recv(seg{flags: ".", seq: 2, ack: 2, win: 65535})
			require.Equal(t, "TIME-WAIT", s.state())
			s.after(time.Hour)
			s.wantIdle(holds)
			require.Equal(t, "CLOSED", s.state(), holds)
		}},
		{"the peer's acknowledgment is lost",
			`"All segments preceding and including FIN will be retransmitted until acknowledged."`,
			func(t *testing.T, holds string) {
				s := crossed(t)
				s.wantAgainAfter(holds, 1200*time.Millisecond, seg{flags: "F.", seq: 1, ack: 2})
				s.recv(seg{flags: ".", seq: 2, ack: 2, win: 65535})
				require.Equal(t, "TIME-WAIT", s.state())
			}},
		{"our acknowledgment is lost",
			`A.2: "conditions of [...] simultaneous close": the FIN again has the only acknowledgment of ours`,
			func(t *testing.T, holds string) {
				s := crossed(t)
				s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535})
				s.want(holds, seg{flags: ".", seq: 2, ack: 2})
				require.Equal(t, "TIME-WAIT", s.state(), holds)
			}},
		{"with data from both",
			`"When all segments preceding the FINs have been processed and acknowledged, each TCP peer can ACK the FIN"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.accepted(atOnce)
				s.write("ours")
				c.CloseWrite(s.now)
				s.want("ours", seg{flags: "P.", seq: 1, ack: 1, data: "ours"})
				s.want("and FIN", seg{flags: "F.", seq: 5, ack: 1})
				s.recv(seg{flags: "F.", seq: 7, ack: 1, win: 65535}) // overtakes its data
				s.want("out of order", seg{flags: ".", seq: 6, ack: 1})
				require.Equal(t, FinWait1, c.State(), holds)
				s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "theirs"})
				s.want(holds, seg{flags: ".", seq: 6, ack: 8})
				require.Equal(t, Closing, c.State(), holds)
				s.recv(seg{flags: ".", seq: 8, ack: 5, win: 65535})
				require.Equal(t, Closing, c.State(), `"otherwise, ignore the segment"`)
				s.recv(seg{flags: ".", seq: 8, ack: 6, win: 65535})
				require.Equal(t, TimeWait, c.State())
				s.wantRead("nothing is lost", "theirs")
			}},
	})
}

// TestTimeWaitRules is what RFC 9293 section 3.6.1 and RFC 1337 say of TIME-WAIT.
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.6.1
func TestTimeWaitRules(t *testing.T) {
	// closed is a connection that this side has closed first, four minutes being 2 MSL.
	closed := func(t *testing.T) *script {
		s := newScript(t, func(c *Config) { c.TimeWait = 4 * time.Minute })
		s.accepted(atOnce).Close(s.now)
		s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
		s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535})
		s.want("the peer's", seg{flags: ".", seq: 2, ack: 2})
		return s
	}
	playRules(t, []rule{
		{"2 MSL", `"When a connection is closed actively, it MUST linger in the TIME-WAIT state for a time 2xMSL (MUST-13)."`,
			func(t *testing.T, holds string) {
				s := closed(t)
				s.after(4*time.Minute - 1)
				require.Equal(t, "TIME-WAIT", s.state(), holds)
				s.after(1)
				require.Equal(t, "CLOSED", s.state(), `3.10.8: "delete the TCB, enter the CLOSED state"`)
				s.wantIdle("without a word")
			}},
		{"the FIN again", `3.10.7.4: "Acknowledge it, and restart the 2 MSL timeout."`, func(t *testing.T, holds string) {
			s := closed(t)
			for range 3 {
				s.after(3 * time.Minute)
				s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535})
				s.want(holds, seg{flags: ".", seq: 2, ack: 2})
			}
			s.after(4*time.Minute - 1)
			require.Equal(t, "TIME-WAIT", s.state(), holds)
			s.after(1)
			require.Equal(t, "CLOSED", s.state())
		}},
		{"the FIN again, with data",
			`3.10.7.4: "Acknowledge it": however the peer packs its last segment`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.accepted(atOnce).CloseWrite(s.now)
				s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
				s.recv(seg{flags: "FP.", seq: 1, ack: 2, win: 65535, data: "last words"})
				s.want("the peer's", seg{flags: ".", seq: 2, ack: 12})
				for range 3 {
					s.recv(seg{flags: "FP.", seq: 1, ack: 2, win: 65535, data: "last words"})
					s.want(holds, seg{flags: ".", seq: 2, ack: 12})
				}
			}},
		{"old data", `RFC 1337: an old duplicate is acknowledged, and neither it nor what comes of it ends TIME-WAIT`,
			func(t *testing.T, holds string) {
				s := closed(t)
				s.recv(seg{flags: "P.", seq: 1<<32 - 100, ack: 1, win: 65535, data: "old"})
				s.want(holds, seg{flags: ".", seq: 2, ack: 2})
				s.after(4 * time.Minute)
				require.Equal(t, "CLOSED", s.state(), "nor does it prolong it")
			}},
		{"old resets",
			`RFC 1337: "TIME-WAIT state can be prematurely terminated ("assassinated")": not by a reset that is not exact`,
			func(t *testing.T, holds string) {
				s := closed(t)
				for _, seq := range []uint32{0, 1, 1<<32 - 100, 2 + offered, 1 << 31} {
					s.recv(seg{flags: "R", seq: seq})
				}
				s.wantIdle(holds)
				require.Equal(t, "TIME-WAIT", s.state(), holds)
			}},
		{"a new SYN",
			`"it MAY accept a new SYN [...], if it: (1) assigns its initial sequence number for the new connection to be ` +
				`larger than the largest sequence number it used on the previous connection incarnation"`,
			func(t *testing.T, holds string) {
				s := closed(t)
				before := s.iss + 2
				s.irs += 1 << 20
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
				s.want("it opens", seg{flags: "S.", ack: 1})
				require.Positive(t, int32(s.iss-before), holds)
				s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "again"})
				require.Equal(t, "ESTABLISHED", s.state())
				s.count()
			}},
		{"an old SYN", `"(2) returns to TIME-WAIT state if the SYN turns out to be an old duplicate": it is never left for one`,
			func(t *testing.T, holds string) {
				for _, seq := range []uint32{0, 1, 1<<32 - 1000, 3 << 30} {
					s := closed(t)
					s.recv(seg{flags: "S", seq: seq, win: 65535, mss: 1460})
					s.want(holds, seg{flags: ".", seq: 2, ack: 2})
					require.Equal(t, "TIME-WAIT", s.state(), holds)
				}
			}},
		{"a new SYN where nobody listens",
			`3.10.7.4: "if the SYN bit is set, irrespective of the sequence number, [...] MUST send a "challenge ACK""`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.dialed(nil).Close(s.now)
				s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
				s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535})
				s.want("the peer's", seg{flags: ".", seq: 2, ack: 2})
				s.recv(seg{flags: "S", seq: 1 << 20, win: 65535})
				s.want(holds, seg{flags: ".", seq: 2, ack: 2})
				require.Equal(t, "TIME-WAIT", s.state())
			}},
		{"acknowledgments", `TIME-WAIT has nothing to say to one that is right, or two such sides would never be quiet`,
			func(t *testing.T, holds string) {
				s := closed(t)
				for range 10 {
					s.recv(seg{flags: ".", seq: 2, ack: 2, win: 65535})
				}
				s.wantIdle(holds)
			}},
		{"the passive side", `3.6, figure 12: "TIME-WAIT --> <SEQ=101><ACK=301><CTL=ACK> --> CLOSED"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.accepted(atOnce)
				s.recv(seg{flags: "F.", seq: 1, ack: 1, win: 65535})
				s.want("the peer's FIN", seg{flags: ".", seq: 1, ack: 2})
				c.Close(s.now)
				s.want("our FIN", seg{flags: "F.", seq: 1, ack: 2})
				s.recv(seg{flags: ".", seq: 2, ack: 2, win: 65535})
				require.Equal(t, "CLOSED", s.state(), holds)
				s.recv(seg{flags: "F.", seq: 1, ack: 1, win: 65535})
				s.want("an old duplicate then belongs to nothing that is open", seg{flags: "R", seq: 1})
			}},
	})
}
