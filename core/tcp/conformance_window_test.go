package tcp

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestZeroWindowRules is RFC 9293 section 3.8.6.1, and what it says of an arriving segment while the window is closed.
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.8.6.1
func TestZeroWindowRules(t *testing.T) {
	probe := seg{flags: ".", seq: 1, ack: 1, data: "h"}
	// closed is a connection whose peer has closed its window while "hello" waits; RTO is 1.2 s.
	closed := func(t *testing.T) *script {
		s := newScript(t)
		s.dialedIn(400 * time.Millisecond)
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
		s.write("hello")
		s.wantIdle("the window is closed")
		return s
	}
	// full is a connection whose own window is closed.
	full := func(t *testing.T) *script {
		s := newScript(t)
		s.accepted(small(64))
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, len: 64})
		s.want("full", seg{flags: ".", seq: 1, ack: 65, win: 0})
		return s
	}
	wantClosed := func(s *script, holds string) {
		s.t.Helper()
		s.net.collect(s.since())
		require.NotEmpty(s.t, s.net.sent, holds)
		p := s.net.sent[0]
		s.net.sent = s.net.sent[1:]
		got, _ := s.decode(p)
		require.Equal(s.t, seg{flags: ".", seq: 1, ack: 65}, got, "with a window of zero: %s", holds)
	}
	playRules(t, []rule{
		{"probes",
			`"SHOULD send the first zero-window probe when a zero window has existed for the retransmission timeout period ` +
				`(SHLD-29), and SHOULD increase exponentially the interval between successive probes (SHLD-30)"`,
			func(t *testing.T, holds string) {
				s := closed(t)
				for wait := 1200 * time.Millisecond; wait < time.Minute; wait *= 2 {
					s.wantAgainAfter(holds, wait, probe)
					s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
					s.wantIdle("the peer's answer is not answered")
				}
				s.wantAgainAfter(holds, time.Minute, probe)
			}},
		{"probes of a peer that answers",
			`"As long as the receiving TCP peer continues to send acknowledgments in response to the probe segments, the ` +
				`sending TCP peer MUST allow the connection to stay open (MUST-37)."`,
			func(t *testing.T, holds string) {
				s := closed(t)
				for range 24 * 60 {
					s.after(time.Minute)
					require.Positive(t, s.count(), holds)
					s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
				}
				require.Equal(t, Established, s.conn.State(), holds)
				s.recv(seg{flags: ".", seq: 1, ack: 1, win: 100})
				s.want("a day later", seg{flags: "P.", seq: 1, ack: 1, data: "hello"})
			}},
		{"the update is lost",
			`"This retransmission is essential to guarantee that when either TCP peer has a zero window the reopening of the ` +
				`window will be reliably reported to the other."`,
			func(t *testing.T, holds string) {
				s := closed(t)
				s.after(1200 * time.Millisecond) // in which the peer has opened its window, and its update was lost
				s.want("a probe", probe)
				s.recv(seg{flags: ".", seq: 1, ack: 2, win: 100})
				s.want(holds, seg{flags: "P.", seq: 2, ack: 1, data: "ello"})
			}},
		{"our update is lost", `"the reopening of the window will be reliably reported to the other"`,
			func(t *testing.T, holds string) {
				s := full(t)
				s.wantRead("the reader makes room", strings.Repeat("x", 64))
				s.want("and the peer is told, in vain", seg{flags: ".", seq: 1, ack: 65, win: 64})
				s.after(time.Minute)
				s.wantIdle("an acknowledgment is not repeated by itself")
				s.recv(seg{flags: ".", seq: 65, ack: 1, win: 65535, data: "p"})
				s.after(time.Second)
				s.want(holds, seg{flags: ".", seq: 1, ack: 66, win: 63})
			}},
		{"a probe with an octet",
			`"When the receiving TCP peer has a zero window and a segment arrives, it must still send an acknowledgment ` +
				`showing its next expected sequence number and current window (zero)."`,
			func(t *testing.T, holds string) {
				s := full(t)
				for range 100 {
					s.recv(seg{flags: ".", seq: 65, ack: 1, win: 65535, data: "p"})
					wantClosed(s, holds)
				}
			}},
		{"a probe without data",
			`"it must still send an acknowledgment showing its next expected sequence number and current window (zero)"`,
			func(t *testing.T, holds string) {
				s := full(t)
				for range 10 { // as Linux does
					s.after(time.Second)
					s.recv(seg{flags: ".", seq: 64, ack: 1, win: 65535})
					wantClosed(s, holds)
				}
			}},
		{"a probe of a whole segment",
			`"it must still send an acknowledgment showing its next expected sequence number and current window (zero)"`,
			func(t *testing.T, holds string) {
				s := full(t)
				s.recv(seg{flags: "P.", seq: 65, ack: 1, win: 65535, len: 1460})
				wantClosed(s, holds)
				require.Equal(t, 64, s.conn.Received(), "nothing of it is taken")
			}},
		{"an acknowledgment", `"special allowance should be made to accept valid ACKs, URGs, and RSTs"`,
			func(t *testing.T, holds string) {
				s := full(t)
				s.write("ours")
				s.want("data", seg{flags: "P.", seq: 1, ack: 65, data: "ours"})
				s.recv(seg{flags: ".", seq: 65, ack: 5, win: 65535})
				s.wantIdle(holds)
				require.Zero(t, s.conn.Info().InFlight, holds)
			}},
		{"an acknowledgment with data", `"special allowance should be made to accept valid ACKs": though the data is not taken`,
			func(t *testing.T, holds string) {
				s := full(t)
				s.write("ours")
				s.want("data", seg{flags: "P.", seq: 1, ack: 65, data: "ours"})
				s.recv(seg{flags: "P.", seq: 65, ack: 5, win: 65535, data: "theirs"})
				s.want("its own is answered", seg{flags: ".", seq: 5, ack: 65})
				require.Zero(t, s.conn.Info().InFlight, holds)
			}},
		{"both windows closed", `A.2: "simultaneous window probes": each side takes the other's acknowledgment`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.accepted(small(64))
				s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0, len: 64})
				s.want("full", seg{flags: ".", seq: 1, ack: 65, win: 0})
				s.writeSome("hello")
				s.after(200 * time.Millisecond)
				s.want("our probe", seg{flags: ".", seq: 1, ack: 65, data: "h"})
				s.recv(seg{flags: ".", seq: 65, ack: 1, win: 0, data: "p"}) // theirs crosses it
				wantClosed(s, "answered from where the peer expects it")
				s.recv(seg{flags: ".", seq: 65, ack: 1, win: 100})
				s.want(holds, seg{flags: "P.", seq: 1, ack: 65, data: "hello"})
			}},
		{"from the beginning", `"Probing of zero (offered) windows MUST be supported (MUST-36)": that of a SYN|ACK too`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.after(time.Second)
				s.dial(nil)
				s.want("our SYN", seg{flags: "S"})
				s.recv(seg{flags: "S.", ack: 1, win: 0, mss: 1460})
				s.want("the handshake", seg{flags: ".", seq: 1, ack: 1})
				s.write("hello")
				s.wantIdle("the window is closed")
				s.after(s.conn.Info().RTO)
				s.want(holds, probe)
				s.recv(seg{flags: ".", seq: 1, ack: 1, win: 100})
				s.want("it opens", seg{flags: "P.", seq: 1, ack: 1, data: "hello"})
			}},
	})
}

// TestShrinkingWindow is RFC 9293 section 3.8.6: a peer takes back what it has offered.
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.8.6
func TestShrinkingWindow(t *testing.T) {
	// shrunk is a connection with ten segments in flight, whose peer then takes back all but win octets.
	shrunk := func(t *testing.T, win int) *script {
		s := newScript(t)
		s.dialedIn(400 * time.Millisecond)
		s.writeSome(strings.Repeat("x", 20_000))
		require.Equal(t, 10, s.count())
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: win})
		return s
	}
	playRules(t, []rule{
		{"nothing new",
			`"a sending TCP peer MUST be robust against window shrinking, which may cause the "usable window" to become ` +
				`negative (MUST-34). If this happens, the sender SHOULD NOT send new data (SHLD-15)"`,
			func(t *testing.T, holds string) {
				s := shrunk(t, 2000)
				s.wantIdle(holds)
				s.recv(seg{flags: ".", seq: 1, ack: 1461, win: 2000})
				s.wantIdle(holds)
			}},
		{"what is in it",
			`"but SHOULD retransmit normally the old unacknowledged data between SND.UNA and SND.UNA+SND.WND (SHLD-16)"`,
			func(t *testing.T, holds string) {
				s := shrunk(t, 2000)
				s.wantAgainAfter(holds, 1200*time.Millisecond, seg{flags: ".", seq: 1, ack: 1, len: 1460})
			}},
		{"less than a segment",
			`"SHOULD retransmit normally the old unacknowledged data between SND.UNA and SND.UNA+SND.WND (SHLD-16)"`,
			func(t *testing.T, holds string) {
				s := shrunk(t, 500)
				s.wantAgainAfter(holds, 1200*time.Millisecond, seg{flags: ".", seq: 1, ack: 1, len: 500})
			}},
		{"to zero", `"If the window shrinks to zero, the TCP implementation MUST probe it in the standard way (MUST-35)."`,
			func(t *testing.T, holds string) {
				s := shrunk(t, 0)
				s.wantAgainAfter(holds, 1200*time.Millisecond, seg{flags: ".", seq: 1, ack: 1, data: "x"})
				s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
				s.wantAgainAfter(holds, 2400*time.Millisecond, seg{flags: ".", seq: 1, ack: 1, data: "x"})
			}},
		{"beyond it", `"SHOULD NOT time out the connection if data beyond the right window edge is not acknowledged (SHLD-17)"`,
			func(t *testing.T, holds string) {
				s := shrunk(t, 0)
				for range 60 {
					s.after(time.Minute)
					s.count()
					s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
				}
				require.Equal(t, Established, s.conn.State(), holds)
				s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
				require.Positive(t, s.count(), "once it is wider all is sent again")
				s.recv(seg{flags: ".", seq: 1, ack: 14601, win: 65535})
				s.want("and what is new", seg{flags: ".", seq: 14601, ack: 1, len: 1460})
			}},
		{"not by us", `"A TCP receiver SHOULD NOT shrink the window, i.e., move the right window edge to the left (SHLD-14)."`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.accepted(small(4096), func(c *ListenConfig) { c.Options.DelayedACK = -1 })
				edge, seq := 0, uint32(1)
				for i := range 200 {
					s.recv(seg{flags: ".", seq: seq, ack: 1, win: 65535, len: 1 + i%7*37})
					for _, p := range s.net.sent {
						got, _ := s.decode(p)
						require.GreaterOrEqual(t, int(got.ack)+got.win, edge, holds)
						edge, seq = int(got.ack)+got.win, got.ack
					}
					s.net.sent = nil
					if i%3 == 0 && s.conn.Received() > 100 {
						s.readSome(s.conn, 100)
					}
				}
				require.Greater(t, edge, 8000, "it moves right all the same")
			}},
	})
}

// TestSillyWindow is RFC 9293 section 3.8.6.2.
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.8.6.2
func TestSillyWindow(t *testing.T) {
	// offering is a connection whose peer has offered 10,000 octets once, and now offers win.
	offering := func(t *testing.T, win int) *script {
		s := newScript(t)
		s.after(time.Second)
		s.dial(nil)
		s.want("our SYN", seg{flags: "S"})
		s.recv(seg{flags: "S.", ack: 1, win: 10_000, mss: 1460})
		s.want("the handshake", seg{flags: ".", seq: 1, ack: 1})
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: win})
		return s
	}
	playRules(t, []rule{
		{"(1)", `"if a maximum-sized segment can be sent, i.e., if: min(D,U) >= Eff.snd.MSS"`,
			func(t *testing.T, holds string) {
				s := offering(t, 1460)
				s.writeSome(strings.Repeat("x", 5000))
				s.want(holds, seg{flags: ".", seq: 1, ack: 1, len: 1460})
				s.wantIdle("and no more than the window")
			}},
		{"(1), less than a segment", `"if a maximum-sized segment can be sent": not one octet less`,
			func(t *testing.T, holds string) {
				s := offering(t, 1459)
				s.writeSome(strings.Repeat("x", 5000))
				s.wantIdle(holds)
			}},
		{"(1), more than a segment", `"if a maximum-sized segment can be sent": what is left of the window is not worth one`,
			func(t *testing.T, holds string) {
				s := offering(t, 2000)
				s.writeSome(strings.Repeat("x", 5000))
				s.want(holds, seg{flags: ".", seq: 1, ack: 1, len: 1460})
				s.wantIdle(holds)
				s.recv(seg{flags: ".", seq: 1, ack: 1461, win: 1460})
				s.want("as the edge moves", seg{flags: ".", seq: 1461, ack: 1, len: 1460})
			}},
		{"(2)",
			`"or if the data is pushed and all queued data can be sent now, i.e., if: [SND.NXT = SND.UNA and] PUSHed and D <= U"`,
			func(t *testing.T, holds string) {
				s := offering(t, 100)
				s.writeSome(strings.Repeat("x", 100))
				s.want(holds, seg{flags: "P.", seq: 1, ack: 1, len: 100})
			}},
		{"(2), all but an octet", `"all queued data can be sent now"`,
			func(t *testing.T, holds string) {
				s := offering(t, 100)
				s.writeSome(strings.Repeat("x", 101))
				s.wantIdle(holds)
			}},
		{"(3)", `"or if at least a fraction Fs of the maximum window can be sent": Fs is 1/2`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.after(time.Second)
				s.dial(nil)
				s.want("our SYN", seg{flags: "S"})
				s.recv(seg{flags: "S.", ack: 1, win: 1000, mss: 1460}) // all that the peer will ever offer
				s.want("the handshake", seg{flags: ".", seq: 1, ack: 1})
				s.writeSome(strings.Repeat("x", 3000))
				s.want(holds, seg{flags: ".", seq: 1, ack: 1, len: 1000})
				s.recv(seg{flags: ".", seq: 1, ack: 1001, win: 499})
				s.wantIdle("less than half")
				s.recv(seg{flags: ".", seq: 1, ack: 1001, win: 500})
				s.want(holds, seg{flags: ".", seq: 1001, ack: 1, len: 500})
			}},
		{"(4)", `"or if the override timeout occurs"`,
			func(t *testing.T, holds string) {
				s := offering(t, 100)
				s.writeSome(strings.Repeat("x", 5000))
				s.wantAgainAfter(holds, 200*time.Millisecond, seg{flags: ".", seq: 1, ack: 1, len: 100})
			}},
		{"the receiver's", `"avoid advancing the right window edge RCV.NXT+RCV.WND in small increments"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.accepted(small(8192))
				for i := range uint32(4) {
					s.recv(seg{flags: ".", seq: 1 + 2048*i, ack: 1, win: 65535, len: 2048})
				}
				s.count()
				edge := 0
				for i := range 8192 {
					s.readSome(c, 1)
					for _, p := range s.net.sent {
						got, _ := s.decode(p)
						require.GreaterOrEqual(t, got.win-edge, 1460, "after %d octets: %s", i, holds)
						edge = got.win
					}
					s.net.sent = nil
				}
				require.GreaterOrEqual(t, edge, 4096, "but told it is")
			}},
		{"the receiver's, with a small buffer",
			`"min( Fr * RCV.BUFF, Eff.snd.MSS )": half of a buffer that is smaller than two segments`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.accepted(small(1000))
				s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, len: 1000})
				s.want("full", seg{flags: ".", seq: 1, ack: 1001})
				s.readSome(c, 499)
				s.wantIdle(holds)
				s.readSome(c, 1)
				s.want(holds, seg{flags: ".", seq: 1, ack: 1001, win: 500})
			}},
	})
}

// A window too small to be worth a segment does not hold data back for as long as the retransmission timeout may have become.
func TestOverrideTimeout(t *testing.T) {
	const holds = `RFC 9293, 3.8.6.2.1: "The override timeout should be in the range 0.1 - 1.0 seconds."`
	s := newScript(t)
	c := s.dialedIn(800 * time.Millisecond)
	require.Equal(t, 2400*time.Millisecond, c.Info().RTO)
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 100})
	s.writeSome(strings.Repeat("x", 5000))
	s.wantIdle("100 octets are not worth a segment")
	s.after(time.Second)
	s.want(holds, seg{flags: ".", seq: 1, ack: 1, len: 100})
}
