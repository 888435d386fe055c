package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

func TestDial(t *testing.T) {
	s := newScript(t)
	c := s.dial(nil)
	require.Equal(t, SynSent, c.State())
	s.want("the SYN offers the MSS of the MTU, and a window scale for a buffer of 1 MiB",
		seg{flags: "S", win: 65535, mss: 1460, ws: 5})
	s.wantIdle("one SYN")

	s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1000, ws: 7})
	s.want("the SYN|ACK is acknowledged", seg{flags: ".", seq: 1, ack: 1, win: 1 << 15})
	require.Equal(t, Established, c.State())
	require.Equal(t, ip.Connected|ip.Writable, s.owner.take())
	require.Equal(t, 1000, c.Info().SendMSS)
	require.Equal(t, 65535, c.Info().SendWindow, "the window of a SYN is not scaled")

	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 1000})
	require.Equal(t, 128_000, c.Info().SendWindow, "any other is")
}

func TestDialRefused(t *testing.T) {
	s := newScript(t)
	c := s.dial(nil)
	s.want("the SYN", seg{flags: "S"})
	s.recv(seg{flags: "R.", ack: 7})
	s.wantIdle("a reset that acknowledges something else is ignored")
	require.Equal(t, SynSent, c.State())

	s.recv(seg{flags: "R.", ack: 1})
	s.wantIdle("a reset is not answered")
	require.ErrorIs(t, c.Err(), ip.ErrConnectionRefused)
	require.NotZero(t, s.owner.take()&ip.Failed)
	require.EqualValues(t, 1, s.host.Counters().AttemptFails)
}

func TestDialUnanswered(t *testing.T) {
	s := newScript(t, func(c *Config) { c.SYNRetries = 3 })
	c := s.dial(nil)
	s.want("the SYN", seg{flags: "S"})
	for _, wait := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		s.after(wait - 1)
		s.wantIdle("not before the timeout")
		s.after(1)
		s.want("the SYN again, after twice as long each time", seg{flags: "S"})
	}
	s.after(8*time.Second - 1)
	require.NoError(t, c.Err())
	s.after(1)
	require.ErrorIs(t, c.Err(), ErrTimeout)
	s.wantIdle("nobody is told: nobody was there")
	require.Zero(t, s.host.Connections())
}

func TestDialAnsweredLate(t *testing.T) {
	s := newScript(t)
	c := s.dial(nil)
	s.want("the SYN", seg{flags: "S"})
	s.after(time.Second)
	s.want("and again", seg{flags: "S"})
	s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
	s.want("it is answered", seg{flags: ".", seq: 1, ack: 1})
	require.Equal(t, 3*time.Second, c.Info().RTO, "RFC 6298, (5.7): after a SYN timeout data begins with 3 s")
}

func TestDialUnreachable(t *testing.T) {
	for _, row := range []struct {
		name string
		kind ip.ErrorKind
		want error
	}{
		{"host unreachable", ip.HostUnreachable, ip.ErrHostUnreachable},
		{"network unreachable", ip.NetUnreachable, ip.ErrNetworkUnreachable},
		{"port unreachable", ip.PortUnreachable, ip.ErrConnectionRefused},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			c := s.dial(nil)
			s.want("the SYN", seg{flags: "S"})
			s.icmp(row.kind, 0, 0)
			require.ErrorIs(t, c.Err(), row.want)
		})
	}
	t.Run("about a segment that was never sent", func(t *testing.T) {
		s := newScript(t)
		c := s.dial(nil)
		s.want("the SYN", seg{flags: "S"})
		s.icmp(ip.HostUnreachable, 0, 77)
		require.NoError(t, c.Err())
	})
	t.Run("once established it is remembered, and told instead of a timeout", func(t *testing.T) {
		s := newScript(t, func(c *Config) { c.DataRetries = 1 })
		c := s.dialed(nil)
		s.write("x")
		s.want("data", seg{flags: "P.", seq: 1, ack: 1, data: "x"})
		s.icmp(ip.HostUnreachable, 0, 1)
		require.NoError(t, c.Err())
		s.after(time.Minute)
		require.ErrorIs(t, c.Err(), ip.ErrHostUnreachable)
	})
}

// icmp has an ICMP error arrive about the segment at seq.
func (s *script) icmp(kind ip.ErrorKind, mtu int, seq uint32) {
	n := s.iss + seq
	s.host.Error(s.since(), &ip.Error{
		Kind: kind, MTU: mtu, Src: s.local.Addr(), Dst: s.peer.Addr(), Link: 2, From: s.peer.Addr(),
		Transport: []byte{
			byte(s.local.Port() >> 8), byte(s.local.Port()), byte(s.peer.Port() >> 8), byte(s.peer.Port()),
			byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n),
		},
	})
}

func TestSimultaneousOpen(t *testing.T) {
	s := newScript(t)
	c := s.dial(nil)
	s.want("our SYN", seg{flags: "S"})
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("the peer's crossed it: SYN|ACK with the same sequence number", seg{flags: "S.", ack: 1})
	require.Equal(t, SynReceived, c.State())
	s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
	s.want("the peer's SYN|ACK repeats its SYN and is acknowledged", seg{flags: ".", seq: 1, ack: 1})
	require.Equal(t, Established, c.State())
	s.write("hello")
	s.want("data flows", seg{flags: "P.", seq: 1, ack: 1, data: "hello"})
}

func TestPeerWithoutOptions(t *testing.T) {
	s := newScript(t)
	c := s.dial(nil)
	s.want("the SYN", seg{flags: "S", ws: 5})
	s.recv(seg{flags: "S.", ack: 1, win: 65535})
	s.want("the window is not scaled if the peer does not scale", seg{flags: ".", seq: 1, ack: 1, win: 65535})
	require.Equal(t, 536, c.Info().SendMSS, "RFC 9293, 3.7.1: the default MSS of IPv4")
}

func TestTinyMSSIsRaised(t *testing.T) {
	for _, row := range []struct {
		name      string
		mss, want int
	}{{"1 octet", 1, 48}, {"48 octets", 48, 48}} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			c := s.dial(nil)
			s.want("the SYN", seg{flags: "S"})
			s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: row.mss})
			require.Equal(t, row.want, c.Info().SendMSS)
			s.want("the handshake", seg{flags: ".", seq: 1, ack: 1})
		})
	}
}

func TestListen(t *testing.T) {
	s := newScript(t)
	l := s.listen(func(c *ListenConfig) { c.Owner = s.owner })
	s.recv(seg{flags: "S", win: 65535, mss: 1400, ws: 3})
	s.want("the SYN is answered", seg{flags: "S.", ack: 1, win: 65535, mss: 1460, ws: 5})
	require.Zero(t, s.host.Connections(), "no connection yet, only a record")
	require.Nil(t, l.Accept())

	s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 100, data: "GET"})
	require.Equal(t, ip.Accepted, s.owner.take())
	s.conn = l.Accept()
	require.NotNil(t, s.conn)
	require.Equal(t, Established, s.conn.State())
	require.Equal(t, 1400, s.conn.Info().SendMSS)
	require.Equal(t, 800, s.conn.Info().SendWindow)
	s.wantRead("data may come with the final ACK", "GET")
	s.after(40 * time.Millisecond)
	s.want("and is acknowledged", seg{flags: ".", seq: 1, ack: 4})
}

func TestListenAnswersWithoutOptionsThatWereNotOffered(t *testing.T) {
	s := newScript(t)
	s.listen()
	s.recv(seg{flags: "S", win: 65535})
	s.want("no window scale", seg{flags: "S.", ack: 1, mss: 1460, noWS: true})
}

func TestAcceptQueueFull(t *testing.T) {
	s := newScript(t)
	l := s.listen(func(c *ListenConfig) { c.Backlog = 1 })
	second := s.peer
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("the first SYN is answered", seg{flags: "S.", ack: 1})
	firstISS := s.iss

	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	require.Equal(t, 1, l.Pending())
	s.wantIdle("the first is complete")

	s.peer = addPort(second, 1)
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.wantIdle("the queue is full: the SYN is dropped, never reset")
	require.EqualValues(t, 1, s.host.Counters().AcceptQueueFull)

	require.NotNil(t, l.Accept())
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("the peer tries again, and there is room", seg{flags: "S.", ack: 1})
	require.NotEqual(t, firstISS, s.iss)
}

func TestFinalAckFindsNoRoom(t *testing.T) {
	s := newScript(t)
	l := s.listen(func(c *ListenConfig) { c.Backlog = 2 })
	first := s.peer
	iss := make([]uint32, 3)
	open := func(i int) {
		s.peer = addPort(first, uint16(i))
		s.recv(seg{flags: "S", win: 65535, mss: 1460})
		s.want("the SYN is answered", seg{flags: "S.", ack: 1})
		iss[i] = s.iss
	}
	complete := func(i int) {
		s.peer, s.iss = addPort(first, uint16(i)), iss[i]
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	}
	open(0)
	open(1)
	complete(0)
	open(2)
	complete(1)
	require.Equal(t, 2, l.Pending())

	complete(2)
	s.wantIdle("the accept queue is full: the final ACK is dropped")
	require.EqualValues(t, 1, s.host.Counters().AcceptQueueFull)
	require.Equal(t, 2, l.Pending())

	require.NotNil(t, l.Accept())
	complete(2)
	require.Equal(t, 2, l.Pending(), "the peer repeats it, and there is room")
}

func TestSYNQueueFull(t *testing.T) {
	s := newScript(t)
	s.host.config.SYNCookies = CookiesNever
	s.listen(func(c *ListenConfig) { c.Backlog = 1 })
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("the SYN is answered", seg{flags: "S.", ack: 1})
	s.peer = addPort(s.peer, 1)
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.wantIdle("the SYN queue is full: the SYN is dropped, never reset")
	require.EqualValues(t, 1, s.host.Counters().SynQueueFull)
}

func TestHalfOpenExpires(t *testing.T) {
	s := newScript(t, func(c *Config) { c.SYNRetries = 2 })
	l := s.listen()
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("the SYN is answered", seg{flags: "S.", ack: 1})
	s.after(time.Second)
	s.want("again after 1 s", seg{flags: "S.", ack: 1})
	s.after(2 * time.Second)
	s.want("again after 2 s", seg{flags: "S.", ack: 1})
	s.after(4 * time.Second)
	s.wantIdle("then it is forgotten")
	require.EqualValues(t, 1, s.host.Counters().HalfOpenTimeouts)
	require.Zero(t, l.halfOpen)
	require.Zero(t, s.host.halfOpen)
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	s.want("an ACK that comes later belongs to nothing", seg{flags: "R", seq: 1})
}

func TestHalfOpenReset(t *testing.T) {
	s := newScript(t)
	l := s.listen()
	for range 100 {
		s.recv(seg{flags: "S", win: 65535, mss: 1460})
		s.want("the SYN is answered", seg{flags: "S.", ack: 1})
		s.recv(seg{flags: "R", seq: 9})
		require.Equal(t, 1, l.halfOpen, "a reset out of sequence ends nothing")
		s.want("and is challenged: RFC 5961, 3.2", seg{flags: "S.", ack: 1})
		s.recv(seg{flags: "R", seq: 10})
		s.wantIdle("not each of many")
		s.recv(seg{flags: "R", seq: 0})
		s.recv(seg{flags: "R", seq: 1 + 65535})
		s.wantIdle("nor one outside the window")
		s.recv(seg{flags: "R", seq: 1})
		require.Zero(t, l.halfOpen, "one in sequence frees the place")
	}
	s.wantIdle("one that is accepted is not answered")
	require.EqualValues(t, 400, s.host.Counters().InRstsIgnored)
	require.EqualValues(t, 100, s.host.Counters().HalfOpenResets)
}

// Resets that are not exact are challenged as often as the rate limit allows.
func TestHalfOpenChallengesAgain(t *testing.T) {
	s := newScript(t)
	s.after(time.Second)
	s.listen()
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("the SYN is answered", seg{flags: "S.", ack: 1})
	s.recv(seg{flags: "R", seq: 9})
	s.want("a challenge", seg{flags: "S.", ack: 1})
	s.after(challengeInterval - 1)
	s.recv(seg{flags: "R", seq: 9})
	s.wantIdle("too soon")
	s.after(1)
	s.recv(seg{flags: "R", seq: 9})
	s.want("another", seg{flags: "S.", ack: 1})
}

func TestFinalAckUnacceptable(t *testing.T) {
	s := newScript(t)
	s.listen()
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("the SYN is answered", seg{flags: "S.", ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 2, win: 65535})
	s.want("it acknowledges what was not sent", seg{flags: "R", seq: 2})
}

func TestSegmentToNobody(t *testing.T) {
	for _, row := range []struct {
		name string
		in   seg
		want seg
	}{
		{"SYN", seg{flags: "S", seq: 10}, seg{flags: "R.", ack: 11}},
		{"SYN with data", seg{flags: "S", seq: 10, data: "abc"}, seg{flags: "R.", ack: 14}},
		{"ACK", seg{flags: ".", seq: 10, ack: 20}, seg{flags: "R", seq: 20}},
		{"FIN without ACK", seg{flags: "F", seq: 10}, seg{flags: "R.", ack: 11}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			s.recv(row.in)
			s.want("RFC 9293, 3.10.7.1", row.want)
		})
	}
	t.Run("RST", func(t *testing.T) {
		s := newScript(t)
		s.recv(seg{flags: "R", seq: 10})
		s.wantIdle("a reset is never answered")
	})
}
