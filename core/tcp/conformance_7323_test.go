package tcp

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// stamp is a timestamps option. A peer's clock may show anything; the host's is read off what it sends.
type stamp struct{ val, ecr uint32 }

// recvStamped has a segment arrive with a timestamps option.
func (s *script) recvStamped(ts stamp, sg seg) {
	s.t.Helper()
	data := sg.octets()
	p := packet.New(len(data))
	copy(p.Append(len(data)), data)
	r := wire.TCPRepr{
		SrcPort: s.peer.Port(), DstPort: s.local.Port(), Seq: s.irs + sg.seq, Window: uint16(sg.win), Flags: flagsOf(sg.flags),
		Options: wire.TCPOptions{HasTimestamps: true, TSVal: ts.val, TSEcr: ts.ecr, HasMSS: sg.mss != 0, MSS: uint16(sg.mss)},
	}
	if r.Flags.Has(wire.TCPAck) {
		r.Ack = s.iss + sg.ack
	}
	r.Emit(p.Prepend(r.Len()))
	p.IP = packet.IPInfo{Src: s.peer.Addr(), Dst: s.local.Addr(), Link: 2, Protocol: ip.ProtocolTCP, HopLimit: 64}
	var sum wire.Sum
	sum.AddPseudoHeader(p.IP.Src, p.IP.Dst, ip.ProtocolTCP, p.Len())
	sum.Add(p.Head())
	wire.TCPPacket(p.Head()).SetChecksum(sum.Checksum())
	s.recvPacket(p)
}

// stampOf is the timestamps option of the next segment that has left, nil if it has none.
func (s *script) stampOf(why string) *stamp {
	s.t.Helper()
	s.net.collect(s.since())
	require.NotEmpty(s.t, s.net.sent, "%s: nothing left", why)
	p := s.net.sent[0]
	b := make([]byte, p.Len())
	p.CopyTo(b, 0)
	header, err := wire.ParseTCP(b)
	require.NoError(s.t, err)
	var r wire.TCPRepr
	require.NoError(s.t, r.Parse(header))
	if !r.Options.HasTimestamps {
		return nil
	}
	return &stamp{r.Options.TSVal, r.Options.TSEcr}
}

// wantStamped takes the next segment that has left, which is to echo ecr, and returns its TSval.
func (s *script) wantStamped(why string, ecr uint32, want seg) uint32 {
	s.t.Helper()
	ts := s.stampOf(why)
	require.NotNil(s.t, ts, "%s: no timestamps in %v", why, want)
	s.want(why, want)
	require.Equal(s.t, ecr, ts.ecr, "%s: TSecr of %v", why, want)
	return ts.val
}

// wantUnstamped takes the next segment that has left, which is to have no timestamps.
func (s *script) wantUnstamped(why string, want seg) {
	s.t.Helper()
	require.Nil(s.t, s.stampOf(why), why)
	s.want(why, want)
}

// stamped is a connection that the peer opened with a clock that showed val and has not moved since. The host's clock showed what is
// returned.
func (s *script) stamped(val uint32, options *Options) uint32 {
	s.t.Helper()
	l := s.listen(func(c *ListenConfig) { c.Options = options })
	s.recvStamped(stamp{val, 0}, seg{flags: "S", win: 65535, mss: 1460})
	ours := s.wantStamped("the SYN is answered", val, seg{flags: "S.", ack: 1})
	s.recvStamped(stamp{val, ours}, seg{flags: ".", seq: 1, ack: 1, win: 65535})
	s.conn = l.Accept()
	require.NotNil(s.t, s.conn)
	s.wantIdle("the handshake is complete")
	return ours
}

// TestTimestampsOption is RFC 7323 section 3.2.
// https://www.rfc-editor.org/rfc/rfc7323.html#section-3.2
func TestTimestampsOption(t *testing.T) {
	const (
		always  = `"the TSopt MUST be sent in every non-<RST> segment for the duration of the connection"`
		dropped = `"If a non-<RST> segment is received without a TSopt, a TCP SHOULD silently drop the segment."`
		noAbort = `"A TCP MUST NOT abort a TCP connection because any segment lacks an expected TSopt."`
	)
	now := &Options{DelayedACK: -1}
	playRules(t, []rule{
		{"our SYN",
			`"If the ACK bit is not set in the outgoing TCP header, the sender of that segment SHOULD set the TSecr field to ` +
				`zero."`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.dial(now)
				s.wantStamped(holds, 0, seg{flags: "S"})
			}},
		{"every segment of who dials", always, func(t *testing.T, holds string) {
			s := newScript(t)
			c := s.dial(now)
			ours := s.wantStamped("our SYN", 0, seg{flags: "S"})
			s.recvStamped(stamp{1000, ours}, seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
			s.wantStamped(holds, 1000, seg{flags: ".", seq: 1, ack: 1})
			s.write("data")
			s.wantStamped(holds, 1000, seg{flags: "P.", seq: 1, ack: 1, data: "data"})
			s.after(c.Info().RTO)
			s.wantStamped(holds, 1000, seg{flags: "P.", seq: 1, ack: 1, data: "data"})
			s.recvStamped(stamp{1300, ours}, seg{flags: ".", seq: 1, ack: 5, win: 65535})
			c.CloseWrite(s.now)
			s.wantStamped(holds, 1300, seg{flags: "F.", seq: 5, ack: 1})
			s.recvStamped(stamp{1301, ours}, seg{flags: ".", seq: 1, ack: 6, win: 65535})
			s.recvStamped(stamp{1302, ours}, seg{flags: "F.", seq: 1, ack: 6, win: 65535})
			s.wantStamped(holds, 1302, seg{flags: ".", seq: 6, ack: 2})
			s.recvStamped(stamp{1303, ours}, seg{flags: "F.", seq: 1, ack: 6, win: 65535})
			require.NotNil(t, s.stampOf(holds), "in TIME-WAIT: %s", holds)
			s.count()
		}},
		{"every segment of who listens", always, func(t *testing.T, holds string) {
			s := newScript(t)
			s.listen(func(c *ListenConfig) { c.Options = now })
			s.recvStamped(stamp{1000, 0}, seg{flags: "S", win: 65535, mss: 1460})
			ours := s.wantStamped(holds, 1000, seg{flags: "S.", ack: 1})
			s.after(time.Second)
			again := s.wantStamped(holds, 1000, seg{flags: "S.", ack: 1})
			require.Greater(t, int32(again-ours), int32(0), "the clock goes on")
			s.recvStamped(stamp{2000, again}, seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "x"})
			s.wantStamped(holds, 2000, seg{flags: ".", seq: 1, ack: 2})
			s.recvStamped(stamp{2001, again}, seg{flags: "R", seq: 100})
			require.NotNil(t, s.stampOf(holds), "a challenge: %s", holds)
			s.count()
		}},
		{"keep-alive probes and those of the window", always, func(t *testing.T, holds string) {
			s := newScript(t)
			s.stamped(1000, &Options{KeepAlive: KeepAlive{Enable: true, Idle: time.Minute, Interval: time.Second, Count: 9}})
			s.after(time.Minute)
			ours := s.wantStamped(holds, 1000, seg{flags: ".", seq: 0, ack: 1})
			s.recvStamped(stamp{2000, ours}, seg{flags: ".", seq: 1, ack: 1, win: 0})
			s.write("hello")
			s.after(s.conn.Info().RTO)
			s.wantStamped(holds, 2000, seg{flags: ".", seq: 1, ack: 1, data: "h"})
		}},
		{"resets", `"and SHOULD be sent in an <RST> segment"`, func(t *testing.T, holds string) {
			s := newScript(t)
			s.stamped(1000, now)
			s.conn.Abort(s.now)
			s.wantStamped(holds, 1000, seg{flags: "R.", seq: 1, ack: 1})
		}},
		{"a SYN without",
			`"MAY send a TSopt in <SYN,ACK> only if it received a TSopt in the initial <SYN> segment for the connection"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				l := s.listen(func(c *ListenConfig) { c.Options = now })
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
				s.wantUnstamped(holds, seg{flags: "S.", ack: 1})
				s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "x"})
				s.wantUnstamped("nor in anything else", seg{flags: ".", seq: 1, ack: 2})
				s.recvStamped(stamp{1, 1}, seg{flags: "P.", seq: 2, ack: 1, win: 65535, data: "y"})
				s.wantUnstamped("though the peer should", seg{flags: ".", seq: 1, ack: 3})
				require.Equal(t, 1, l.Pending())
			}},
		{"a SYN|ACK without",
			`"Once TSopt has been successfully negotiated, that is both <SYN> and <SYN,ACK> contain TSopt": else not`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.dial(now)
				s.want("our SYN", seg{flags: "S"})
				s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
				s.wantUnstamped(holds, seg{flags: ".", seq: 1, ack: 1})
				s.write("data")
				s.wantUnstamped(holds, seg{flags: "P.", seq: 1, ack: 1, data: "data"})
			}},
		{"SYNs that cross", always, func(t *testing.T, holds string) {
			s := newScript(t)
			s.dial(now)
			s.want("our SYN", seg{flags: "S"})
			s.recvStamped(stamp{1000, 0}, seg{flags: "S", win: 65535, mss: 1460})
			ours := s.wantStamped(holds, 1000, seg{flags: "S.", ack: 1})
			s.recvStamped(stamp{1010, ours}, seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
			require.NotNil(t, s.stampOf(holds), holds)
			s.want("the handshake", seg{flags: ".", seq: 1, ack: 1})
		}},
		{"they take room",
			`RFC 9293, 3.7.1: "if there are any IP or TCP Options to be sent in a packet, then the sender must decrease the ` +
				`size of the TCP data accordingly"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.stamped(1000, now)
				s.writeSome(strings.Repeat("x", 2000))
				s.wantStamped(holds, 1000, seg{flags: ".", seq: 1, ack: 1, len: 1448})
				s.wantStamped(holds, 1000, seg{flags: "P.", seq: 1449, ack: 1, len: 552})
			}},
		{"data without", dropped, func(t *testing.T, holds string) {
			s := newScript(t)
			ours := s.stamped(1000, now)
			s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "lost"})
			s.wantIdle(holds)
			s.wantRead(holds, "")
			s.recvStamped(stamp{1001, ours}, seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "here"})
			s.wantStamped(noAbort, 1001, seg{flags: ".", seq: 1, ack: 5})
			s.wantRead("repeated with", "here")
		}},
		{"an acknowledgment without", dropped, func(t *testing.T, holds string) {
			s := newScript(t)
			ours := s.stamped(1000, now)
			s.write("data")
			s.want("in flight", seg{flags: "P.", seq: 1, ack: 1, data: "data"})
			s.recv(seg{flags: ".", seq: 1, ack: 5, win: 65535})
			s.wantIdle(holds)
			require.Equal(t, 4, s.conn.Info().InFlight, holds)
			s.recvStamped(stamp{1001, ours}, seg{flags: ".", seq: 1, ack: 5, win: 65535})
			require.Zero(t, s.conn.Info().InFlight)
		}},
		{"a FIN without", dropped, func(t *testing.T, holds string) {
			s := newScript(t)
			s.stamped(1000, now)
			s.recv(seg{flags: "F.", seq: 1, ack: 1, win: 65535})
			s.wantIdle(holds)
			require.Equal(t, Established, s.conn.State(), holds)
		}},
		{"a RST without",
			`"If a non-<RST> segment is received without a TSopt": a reset needs none`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.stamped(1000, now)
				s.recv(seg{flags: "R", seq: 1})
				require.ErrorIs(t, s.conn.Err(), ErrReset, holds)
			}},
		{"the final acknowledgment without",
			`"If a receiver chooses to accept a segment without an expected Timestamps option": there are systems that leave ` +
				`it out of this one`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				l := s.listen(func(c *ListenConfig) { c.Options = now })
				s.recvStamped(stamp{1000, 0}, seg{flags: "S", win: 65535, mss: 1460})
				ours := s.wantStamped("the SYN is answered", 1000, seg{flags: "S.", ack: 1})
				s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
				require.Equal(t, 1, l.Pending(), holds)
				s.recvStamped(stamp{1001, ours}, seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "x"})
				s.wantStamped("they are in use all the same", 1001, seg{flags: ".", seq: 1, ack: 2})
			}},
		{"the clock", `5.4: a tick of 1 ms to 1 s`, func(t *testing.T, holds string) {
			s := newScript(t)
			ours := s.stamped(1000, now)
			for _, d := range []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour} {
				s.after(d)
				s.write("x")
				s.net.collect(s.since())
				val := s.stampOf(holds).val
				s.count()
				ticks := val - ours
				require.GreaterOrEqual(t, ticks, uint32(d/time.Second), holds)
				require.LessOrEqual(t, ticks, uint32(d/time.Millisecond), holds)
				ours = val
				s.recvStamped(stamp{1000, val}, seg{flags: ".", seq: 1, ack: uint32(s.conn.Info().OctetsSent) + 1, win: 65535})
			}
		}},
	})
}

// TestWhichTimestampToEcho is RFC 7323 section 4.3.
// https://www.rfc-editor.org/rfc/rfc7323.html#section-4.3
func TestWhichTimestampToEcho(t *testing.T) {
	const rule2 = `"(2) If: SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent then SEG.TSval is copied to TS.Recent; ` +
		`otherwise, it is ignored."`
	now := &Options{DelayedACK: -1}
	playRules(t, []rule{
		{"(A) delayed acknowledgments",
			`"the receiver SHOULD reply with the TSval field from the earliest unacknowledged segment"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				ours := s.stamped(1000, nil)
				s.recvStamped(stamp{1010, ours}, seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "first"})
				s.wantIdle("it may wait")
				s.recvStamped(stamp{1020, ours}, seg{flags: "P.", seq: 6, ack: 1, win: 65535, data: "second"})
				s.after(time.Second)
				s.wantStamped(holds, 1010, seg{flags: ".", seq: 1, ack: 12})
				s.recvStamped(stamp{1030, ours}, seg{flags: "P.", seq: 12, ack: 1, win: 65535, data: "third"})
				s.after(time.Second)
				s.wantStamped(holds, 1030, seg{flags: ".", seq: 1, ack: 17})
			}},
		{"(A) riding on data", `"the receiver SHOULD reply with the TSval field from the earliest unacknowledged segment"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				ours := s.stamped(1000, nil)
				s.recvStamped(stamp{1010, ours}, seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "a"})
				s.recvStamped(stamp{1020, ours}, seg{flags: "P.", seq: 2, ack: 1, win: 65535, data: "b"})
				s.write("answer")
				s.wantStamped(holds, 1010, seg{flags: "P.", seq: 1, ack: 3, data: "answer"})
			}},
		{"(B) a hole",
			`"An <ACK> for an out-of-order segment SHOULD, therefore, contain the timestamp from the most recent segment that ` +
				`advanced RCV.NXT."`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				ours := s.stamped(1000, now)
				s.recvStamped(stamp{1010, ours}, seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "A"})
				s.wantStamped("in order", 1010, seg{flags: ".", seq: 1, ack: 2})
				for i := range uint32(3) {
					s.recvStamped(stamp{1030 + i, ours}, seg{flags: ".", seq: 3 + i, ack: 1, win: 65535, data: "C"})
					s.wantStamped(holds, 1010, seg{flags: ".", seq: 1, ack: 2})
				}
			}},
		{"(C) a filled hole", `the segment that fills it is the latest news of the network: its timestamp is echoed`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				ours := s.stamped(1000, now)
				s.recvStamped(stamp{1030, ours}, seg{flags: ".", seq: 2, ack: 1, win: 65535, data: "B"})
				s.wantStamped("a hole", 1000, seg{flags: ".", seq: 1, ack: 1})
				s.recvStamped(stamp{1020, ours}, seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "A"})
				s.wantStamped(holds, 1020, seg{flags: ".", seq: 1, ack: 3})
				s.wantRead("reordering is not a wrapped sequence number", "AB")
			}},
		{"the example of section 4.3", `segments A, C, B, E, D stamped 1, 3, 2, 5, 4 are answered with 1, 1, 2, 2, 4`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.stamped(0, now)
				for _, step := range []struct{ seq, val, ack, ecr uint32 }{
					{1, 1, 2, 1}, {3, 3, 2, 1}, {2, 2, 4, 2}, {5, 5, 4, 2}, {4, 4, 6, 4},
				} {
					s.recvStamped(stamp{step.val, 0}, seg{flags: ".", seq: step.seq, ack: 1, win: 65535, data: "x"})
					s.wantStamped(holds, step.ecr, seg{flags: ".", seq: 1, ack: step.ack})
				}
			}},
		{"beyond Last.ACK.sent", rule2, func(t *testing.T, holds string) {
			s := newScript(t)
			ours := s.stamped(1000, now)
			s.recvStamped(stamp{1010, ours}, seg{flags: ".", seq: 2, ack: 1, win: 65535}) // an acknowledgment that overtook data
			s.write("x")
			s.wantStamped(holds, 1000, seg{flags: "P.", seq: 1, ack: 1, data: "x"})
		}},
		{"partly before Last.ACK.sent", rule2, func(t *testing.T, holds string) {
			s := newScript(t)
			ours := s.stamped(1000, now)
			s.recvStamped(stamp{1010, ours}, seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "A"})
			s.wantStamped("in order", 1010, seg{flags: ".", seq: 1, ack: 2})
			s.recvStamped(stamp{1020, ours}, seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "AB"})
			s.wantStamped(holds, 1020, seg{flags: ".", seq: 1, ack: 3})
		}},
		{"an acknowledgment", rule2, func(t *testing.T, holds string) {
			s := newScript(t)
			ours := s.stamped(1000, now)
			s.recvStamped(stamp{1010, ours}, seg{flags: ".", seq: 1, ack: 1, win: 65535})
			s.write("x")
			s.wantStamped(holds, 1010, seg{flags: "P.", seq: 1, ack: 1, data: "x"})
		}},
		{"outside the window", `5.3, R2 before R3: "If the segment is outside the window, reject it (normal TCP processing)."`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				ours := s.stamped(1000, now)
				s.recvStamped(stamp{9000, ours}, seg{flags: "P.", seq: 1 + 1<<20, ack: 1, win: 65535, data: "far"})
				s.wantStamped(holds, 1000, seg{flags: ".", seq: 1, ack: 1})
			}},
		{"of what acknowledges the unsent",
			`RFC 5961, 5.2: it is discarded, so that it does not set the clock either`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				ours := s.stamped(1000, now)
				s.recvStamped(stamp{1 << 30, ours}, seg{flags: "P.", seq: 1, ack: 1 << 20, win: 65535, data: "forged"})
				s.want("challenged", seg{flags: ".", seq: 1, ack: 1})
				s.recvStamped(stamp{1001, ours}, seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "x"})
				s.wantStamped(holds, 1001, seg{flags: ".", seq: 1, ack: 2})
			}},
	})
}
