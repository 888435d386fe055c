package tcp

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// dialedIn is a connection that the host opened, the SYN|ACK having come after a round trip of d: that is measured.
func (s *script) dialedIn(d time.Duration) *Conn {
	s.t.Helper()
	s.after(time.Second) // at the epoch itself time is off by a nanosecond
	s.dial(nil)
	s.want("it opens", seg{flags: "S"})
	s.after(d)
	s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
	s.want("the handshake is complete", seg{flags: ".", seq: 1, ack: 1})
	return s.conn
}

// echo sends five octets, which are at seq, and has them acknowledged after d.
func (s *script) echo(seq uint32, d time.Duration) {
	s.t.Helper()
	s.write("hello")
	s.want("data", seg{flags: "P.", seq: seq, ack: 1, data: "hello"})
	s.after(d)
	s.wantIdle("not sent again")
	s.recv(seg{flags: ".", seq: 1, ack: seq + 5, win: 65535})
	s.wantIdle("acknowledged")
}

// wantAgainAfter checks that nothing leaves before d has passed, and then sg.
func (s *script) wantAgainAfter(why string, d time.Duration, sg seg) {
	s.t.Helper()
	s.after(d - 1)
	s.wantIdle(why)
	s.after(1)
	s.want(why, sg)
	s.wantIdle(why)
}

// TestRetransmissionTimeout is RFC 6298 section 2: how RTO is computed.
// https://www.rfc-editor.org/rfc/rfc6298.html#section-2
func TestRetransmissionTimeout(t *testing.T) {
	hello := seg{flags: "P.", seq: 1, ack: 1, data: "hello"}
	playRules(t, []rule{
		{"(2.1)", `"Until a round-trip time (RTT) measurement has been made [...], the sender SHOULD set RTO <- 1 second"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.dial(nil)
				require.Equal(t, time.Second, c.Info().RTO, holds)
				s.want("our SYN", seg{flags: "S"})
				s.wantAgainAfter(holds, time.Second, seg{flags: "S"})
			}},
		{"(2.1), listening",
			`"Until a round-trip time (RTT) measurement has been made [...], the sender SHOULD set RTO <- 1 second"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.listen()
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
				s.want("the SYN is answered", seg{flags: "S.", ack: 1})
				s.wantAgainAfter(holds, time.Second, seg{flags: "S.", ack: 1})
			}},
		{"(2.2)", `"SRTT <- R, RTTVAR <- R/2, RTO <- SRTT + max (G, K*RTTVAR) where K = 4"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.dialedIn(400 * time.Millisecond)
				require.Equal(t, 400*time.Millisecond, c.Info().RTT, holds)
				require.Equal(t, 200*time.Millisecond, c.Info().RTTVar, holds)
				s.write("hello")
				s.want("data", hello)
				s.wantAgainAfter(holds, 1200*time.Millisecond, hello)
			}},
		{"(2.2), listening", `"When the first RTT measurement R is made": here of the SYN|ACK`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.after(time.Second)
				l := s.listen()
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
				s.want("the SYN is answered", seg{flags: "S.", ack: 1})
				s.after(400 * time.Millisecond)
				s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
				s.conn = l.Accept()
				s.write("hello")
				s.want("data", hello)
				s.wantAgainAfter(holds, 1200*time.Millisecond, hello)
			}},
		{"(2.3)",
			`"RTTVAR <- (1 - beta) * RTTVAR + beta * |SRTT - R'|; SRTT <- (1 - alpha) * SRTT + alpha * R'" and "MUST be ` +
				`computed in the above order"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.dialedIn(400 * time.Millisecond)
				s.echo(1, 800*time.Millisecond)
				require.Equal(t, 250*time.Millisecond, c.Info().RTTVar, holds) // 3/4 of 200 and 1/4 of 400
				require.Equal(t, 450*time.Millisecond, c.Info().RTT, holds)    // 7/8 of 400 and 1/8 of 800
				s.echo(6, 50*time.Millisecond)
				require.Equal(t, 287500*time.Microsecond, c.Info().RTTVar, holds)
				require.Equal(t, 400*time.Millisecond, c.Info().RTT, holds)
				s.write("hello")
				again := seg{flags: "P.", seq: 11, ack: 1, data: "hello"}
				s.want("data", again)
				s.wantAgainAfter(holds, 1550*time.Millisecond, again)
			}},
		{"(2.4), as configured",
			`"Whenever RTO is computed, if it is less than 1 second, then the RTO SHOULD be rounded up to 1 second."`,
			func(t *testing.T, holds string) {
				s := newScript(t, func(c *Config) { c.MinRTO = time.Second })
				s.dialedIn(10 * time.Millisecond)
				s.write("hello")
				s.want("data", hello)
				s.wantAgainAfter(holds, time.Second, hello)
			}},
		{"(2.4), by default", `"research may show that a smaller minimum RTO is acceptable or superior": 200 ms, as Linux has it`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.dialedIn(10 * time.Millisecond)
				s.write("hello")
				s.want("data", hello)
				s.wantAgainAfter(holds, 200*time.Millisecond, hello)
			}},
		{"(2.5)", `"A maximum value MAY be placed on RTO provided it is at least 60 seconds."`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.dialedIn(900 * time.Millisecond)
				s.write("hello")
				s.want("data", hello)
				for wait := 2700 * time.Millisecond; wait < time.Minute; wait *= 2 {
					s.wantAgainAfter(holds, wait, hello)
				}
				for range 3 {
					s.wantAgainAfter(holds, time.Minute, hello)
				}
			}},
		{"section 4", `"if the K*RTTVAR term in the RTO calculation equals zero, the variance term MUST be rounded to G seconds"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.dialedIn(800 * time.Millisecond)
				for i := range uint32(200) {
					s.echo(1+5*i, 800*time.Millisecond)
				}
				require.Greater(t, c.Info().RTO, 800*time.Millisecond, holds)
			}},
	})
}

// TestRTTSamples is RFC 6298 section 3.
// https://www.rfc-editor.org/rfc/rfc6298.html#section-3
func TestRTTSamples(t *testing.T) {
	const karn = `"RTT samples MUST NOT be made using segments that were retransmitted"`
	playRules(t, []rule{
		{"of what was sent again", karn, func(t *testing.T, holds string) {
			s := newScript(t)
			c := s.dialedIn(100 * time.Millisecond)
			s.write("hello")
			s.after(400 * time.Millisecond)
			require.Equal(t, 2, s.count(), "sent, and sent again")
			s.recv(seg{flags: ".", seq: 1, ack: 6, win: 65535})
			require.Equal(t, 100*time.Millisecond, c.Info().RTT, holds)
		}},
		{"of what was sent behind it", karn, func(t *testing.T, holds string) {
			s := newScript(t)
			c := s.dialedIn(100 * time.Millisecond)
			s.write("first")
			s.after(200 * time.Millisecond)
			s.write("again")
			s.after(150 * time.Millisecond)
			require.Equal(t, 3, s.count(), "the first twice, the second once")
			s.recv(seg{flags: ".", seq: 1, ack: 11, win: 65535})
			require.Equal(t, 100*time.Millisecond, c.Info().RTT, "its acknowledgment waited for what was lost: %s", holds)
		}},
		{"of a SYN that was sent again", karn, func(t *testing.T, holds string) {
			s := newScript(t)
			c := s.dial(nil)
			s.want("our SYN", seg{flags: "S"})
			s.after(1300 * time.Millisecond)
			s.want("again", seg{flags: "S"})
			s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
			require.Zero(t, c.Info().RTT, holds)
		}},
		{"of a SYN|ACK that was sent again", karn, func(t *testing.T, holds string) {
			s := newScript(t)
			l := s.listen()
			s.recv(seg{flags: "S", win: 65535, mss: 1460})
			s.want("the SYN is answered", seg{flags: "S.", ack: 1})
			s.after(1300 * time.Millisecond)
			s.want("again", seg{flags: "S.", ack: 1})
			s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
			require.Zero(t, l.Accept().Info().RTT, holds)
		}},
		{"once a round trip", `"A TCP implementation MUST take at least one RTT measurement per RTT"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.dialedIn(100 * time.Millisecond)
				for i := range uint32(10) {
					s.echo(1+5*i, 100*time.Millisecond)
					require.EqualValues(t, 2+i, s.host.Counters().RTT.Samples, holds)
				}
			}},
	})
}

// TestRetransmissionTimer is RFC 6298 section 5.
// https://www.rfc-editor.org/rfc/rfc6298.html#section-5
func TestRetransmissionTimer(t *testing.T) {
	first, second := seg{flags: "P.", seq: 1, ack: 1, data: "hello"}, seg{flags: "P.", seq: 6, ack: 1, data: "world"}
	// both is a connection with two segments in flight, the second sent 100 ms after the first; RTO is 1.2 s.
	both := func(t *testing.T) *script {
		s := newScript(t)
		s.dialedIn(400 * time.Millisecond)
		s.write("hello")
		s.want("the first", first)
		s.after(100 * time.Millisecond)
		s.write("world")
		s.want("the second", second)
		return s
	}
	playRules(t, []rule{
		{"(5.1)",
			`"Every time a packet containing data is sent (including a retransmission), if the timer is not running, start it ` +
				`running"`,
			func(t *testing.T, holds string) {
				s := both(t)
				s.after(1100*time.Millisecond - 1)
				s.wantIdle("an RTO after the first")
				s.after(1)
				s.want(holds, seg{flags: "P.", seq: 1, ack: 1, data: "helloworld"})
			}},
		{"(5.2)", `"When all outstanding data has been acknowledged, turn off the retransmission timer."`,
			func(t *testing.T, holds string) {
				s := both(t)
				s.recv(seg{flags: ".", seq: 1, ack: 11, win: 65535})
				s.after(time.Hour)
				s.wantIdle(holds)
			}},
		{"(5.3)", `"When an ACK is received that acknowledges new data, restart the retransmission timer"`,
			func(t *testing.T, holds string) {
				s := both(t)
				s.after(300 * time.Millisecond)
				s.recv(seg{flags: ".", seq: 1, ack: 6, win: 65535}) // R' is 400 ms: RTTVAR is 150 ms now
				s.wantAgainAfter(holds, 1000*time.Millisecond, second)
			}},
		{"(5.3), nothing new", `"an ACK [...] that acknowledges new data": others do not put the timer off`,
			func(t *testing.T, holds string) {
				s := both(t)
				for range 2 {
					s.after(500 * time.Millisecond)
					s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
				}
				s.after(100*time.Millisecond - 1)
				s.wantIdle(holds)
				s.after(1)
				require.Equal(t, 1, s.count(), holds)
			}},
		{"(5.4)", `"Retransmit the earliest segment that has not been acknowledged by the TCP receiver."`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.dialedIn(400 * time.Millisecond)
				s.writeSome(strings.Repeat("x", 14600))
				require.Equal(t, 10, s.count())
				s.wantAgainAfter(holds, 1200*time.Millisecond, seg{flags: ".", seq: 1, ack: 1, len: 1460})
			}},
		{"(5.4), once some has arrived", `"Retransmit the earliest segment that has not been acknowledged by the TCP receiver."`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.dialedIn(400 * time.Millisecond)
				s.writeSome(strings.Repeat("x", 14600))
				s.recv(seg{flags: ".", seq: 1, ack: 2921, win: 65535})
				s.count()
				rto := s.conn.Info().RTO
				s.wantAgainAfter(holds, rto, seg{flags: ".", seq: 2921, ack: 1, len: 1460})
			}},
		{"(5.5), (5.6)", `"The host MUST set RTO <- RTO * 2 ("back off the timer"). [...] Start the retransmission timer"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.dialedIn(400 * time.Millisecond)
				s.write("hello")
				s.want("data", first)
				for i := range 5 {
					s.wantAgainAfter(holds, 1200*time.Millisecond<<i, first)
				}
			}},
		{"(5.7)", `"If the timer expires awaiting the ACK of a SYN segment [...], the RTO MUST be re-initialized to 3 seconds"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.dial(nil)
				s.want("our SYN", seg{flags: "S"})
				s.after(time.Second)
				s.want("again", seg{flags: "S"})
				s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
				s.want("the handshake", seg{flags: ".", seq: 1, ack: 1})
				s.write("hello")
				s.want("data", first)
				s.wantAgainAfter(holds, 3*time.Second, first)
				s.wantAgainAfter(holds, 6*time.Second, first)
			}},
		{"(5.7), listening",
			`section 7: "unless the SYN or the ACK of the SYN is lost, in which case the default RTO is reverted to 3 seconds"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				l := s.listen()
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
				s.want("the SYN is answered", seg{flags: "S.", ack: 1})
				s.after(time.Second)
				s.want("again", seg{flags: "S.", ack: 1})
				s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
				s.conn = l.Accept()
				s.write("hello")
				s.want("data", first)
				s.wantAgainAfter(holds, 3*time.Second, first)
			}},
		{"collapsing",
			`"which may result in "collapsing" RTO back down after it has been subject to exponential back off (rule 5.5)"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.dialedIn(400 * time.Millisecond)
				s.write("hello")
				s.want("data", first)
				for i := range 3 {
					s.wantAgainAfter("backed off", 1200*time.Millisecond<<i, first)
				}
				s.recv(seg{flags: ".", seq: 1, ack: 6, win: 65535})
				require.Equal(t, 9600*time.Millisecond, c.Info().RTO, `RFC 9293, 3.8.2: "keeping the backed-off value until `+
					`[...] new data"`)
				s.echo(6, 400*time.Millisecond)
				require.Equal(t, 1000*time.Millisecond, c.Info().RTO, holds) // RTTVAR is 150 ms now
			}},
		{"never too early",
			`"a segment is never retransmitted too early, i.e., less than one RTO after the previous transmission of that ` +
				`segment"`,
			func(t *testing.T, holds string) {
				s := both(t)
				s.after(1100 * time.Millisecond)
				s.count()
				s.wantAgainAfter(holds, 2400*time.Millisecond, seg{flags: "P.", seq: 1, ack: 1, data: "helloworld"})
			}},
	})
}
