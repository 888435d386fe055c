package tcp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

func TestDataIsDelivered(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "hello, "})
	require.Equal(t, ip.Readable, s.owner.take())
	s.wantIdle("a small segment's acknowledgment waits for something to ride on")
	s.recv(seg{flags: "P.", seq: 8, ack: 1, win: 65535, data: "world"})
	s.wantRead("in order", "hello, world")
	s.after(40*time.Millisecond - 1)
	s.wantIdle("not yet")
	s.after(1)
	s.want("after the delay it leaves alone", seg{flags: ".", seq: 1, ack: 13})
	require.False(t, c.ReadClosed())
}

func TestAcknowledgmentRidesOnData(t *testing.T) {
	s := newScript(t)
	s.accepted()
	s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "ping"})
	s.write("pong")
	s.want("the answer acknowledges", seg{flags: "P.", seq: 1, ack: 5, data: "pong"})
	s.recv(seg{flags: ".", seq: 5, ack: 5, win: 65535})
	s.after(time.Second)
	s.wantIdle("and no more is needed")
}

func TestEverySecondFullSegmentIsAcknowledged(t *testing.T) {
	s := newScript(t)
	s.accepted()
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, len: 1460})
	s.wantIdle("one full segment waits")
	s.recv(seg{flags: ".", seq: 1461, ack: 1, win: 65535, len: 1460})
	s.want("the second does not", seg{flags: ".", seq: 1, ack: 2921})
}

func TestNoDelayedACK(t *testing.T) {
	s := newScript(t)
	s.accepted(func(c *ListenConfig) { c.Options = &Options{DelayedACK: -1} })
	s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "x"})
	s.want("acknowledged at once", seg{flags: ".", seq: 1, ack: 2})
}

func TestOutOfOrder(t *testing.T) {
	s := newScript(t)
	s.accepted()
	s.recv(seg{flags: ".", seq: 4, ack: 1, win: 65535, data: "def"})
	s.want("a gap: a duplicate acknowledgment at once", seg{flags: ".", seq: 1, ack: 1})
	s.recv(seg{flags: ".", seq: 10, ack: 1, win: 65535, data: "jkl"})
	s.want("and another", seg{flags: ".", seq: 1, ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "abc"})
	s.want("the first gap is filled: acknowledged at once", seg{flags: ".", seq: 1, ack: 7})
	s.wantRead("what is contiguous", "abcdef")
	s.recv(seg{flags: ".", seq: 5, ack: 1, win: 65535, data: "efghijk"})
	s.want("overlapping both sides", seg{flags: ".", seq: 1, ack: 13})
	s.wantRead("each octet once", "ghijkl")
}

func TestFINOutOfOrder(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.recv(seg{flags: "F.", seq: 4, ack: 1, win: 65535})
	s.want("a FIN ahead of data", seg{flags: ".", seq: 1, ack: 1})
	require.Equal(t, Established, c.State())
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "abc"})
	s.want("counts once the data is there", seg{flags: ".", seq: 1, ack: 5})
	require.Equal(t, CloseWait, c.State())
	s.wantRead("data comes before the end", "abc")
	require.True(t, c.ReadClosed())
}

func TestDuplicateData(t *testing.T) {
	s := newScript(t)
	s.accepted()
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "abc"})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "abc"})
	s.want("what came already is acknowledged again, at once", seg{flags: ".", seq: 1, ack: 4})
	s.recv(seg{flags: ".", seq: 2, ack: 1, win: 65535, data: "bcdef"})
	s.want("partly new", seg{flags: ".", seq: 1, ack: 7})
	s.wantRead("each octet once", "abcdef")
}

func TestUrgentDataIsDeliveredInLine(t *testing.T) {
	s := newScript(t)
	s.accepted()
	p := s.packet(seg{flags: "PU.", seq: 1, ack: 1, win: 65535, data: "now!"})
	wire.TCPPacket(p.Head()).SetUrgent(2)
	wire.TCPPacket(p.Head()).FillChecksum(p.IP.Src, p.IP.Dst)
	s.recvPacket(p)
	s.wantRead("the pointer is ignored, its octets are not", "now!")
}

func TestWindowClosesAndReopens(t *testing.T) {
	s := newScript(t)
	c := s.accepted(func(c *ListenConfig) { c.Options = &Options{ReceiveBuffer: 4000} })
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, len: 1460})
	s.want("a quarter of the buffer is worth an ACK", seg{flags: ".", seq: 1, ack: 1461, win: 2540})
	s.recv(seg{flags: ".", seq: 1461, ack: 1, win: 65535, len: 1460})
	s.want("the window shrinks by what arrives", seg{flags: ".", seq: 1, ack: 2921, win: 1080})
	s.recv(seg{flags: ".", seq: 2921, ack: 1, win: 65535, len: 1080})
	s.want("and closes, its right edge where it was", seg{flags: ".", seq: 1, ack: 4001, win: 0})

	s.recv(seg{flags: ".", seq: 4001, ack: 1, win: 65535, data: "x"})
	s.want("a probe is answered, its octet not taken", seg{flags: ".", seq: 1, ack: 4001, win: 0})

	s.readSome(c, 1000)
	s.wantIdle("a small opening is not worth telling (silly window)")
	s.readSome(c, 1000)
	s.want("half of the buffer is", seg{flags: ".", seq: 1, ack: 4001, win: 2000})
}

// readSome reads n octets.
func (s *script) readSome(c *Conn, n int) {
	if s.read.Octets() < n {
		c.Receive(n-s.read.Octets(), &s.read)
	}
	require.Equal(s.t, n, s.read.Read(make([]byte, n)))
	c.Consumed(s.now, n)
	s.net.collect(s.since())
}

func TestDataBeyondTheWindow(t *testing.T) {
	s := newScript(t)
	s.accepted(func(c *ListenConfig) { c.Options = &Options{ReceiveBuffer: 64} })
	s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: strings.Repeat("a", 64) + "beyond"})
	s.want("only what lies in the window is taken", seg{flags: ".", seq: 1, ack: 65, win: 0})
	s.wantRead("64 octets", strings.Repeat("a", 64))
}

func TestSegmentsOutsideTheWindow(t *testing.T) {
	s := newScript(t)
	s.accepted()
	s.recv(seg{flags: ".", seq: 1 + 2<<20, ack: 1, win: 65535, data: "far ahead"})
	s.want("acknowledged, and dropped", seg{flags: ".", seq: 1, ack: 1})
	require.EqualValues(t, 1, s.host.Counters().OutOfWindow)
	s.recv(seg{flags: ".", seq: 1<<32 - 2<<20, ack: 1, win: 65535})
	s.want("far behind likewise", seg{flags: ".", seq: 1, ack: 1})
	s.recv(seg{flags: ".", seq: 1 + 3<<20, ack: 1, win: 65535})
	s.wantIdle("but those without data only twice a second")
	s.after(501 * time.Millisecond)
	s.recv(seg{flags: ".", seq: 1 + 3<<20, ack: 1, win: 65535})
	s.want("or two sides would do so for ever", seg{flags: ".", seq: 1, ack: 1})
}

func TestReset(t *testing.T) {
	t.Run("exactly in sequence", func(t *testing.T) {
		s := newScript(t)
		c := s.accepted()
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "last words"})
		s.recv(seg{flags: "R", seq: 11})
		s.wantIdle("a reset is not answered")
		require.ErrorIs(t, c.Err(), ErrReset)
		require.NotZero(t, s.owner.take()&ip.Failed)
		s.wantRead("what came before it can still be read", "last words")
		_, err := c.Reserve(nil, 1)
		require.ErrorIs(t, err, ErrReset)
	})
	t.Run("in the window but not in sequence: RFC 5961, 3.2", func(t *testing.T) {
		s := newScript(t)
		c := s.accepted()
		s.recv(seg{flags: "R", seq: 100})
		s.want("a challenge ACK", seg{flags: ".", seq: 1, ack: 1})
		require.Equal(t, Established, c.State())
		require.EqualValues(t, 1, s.host.Counters().ChallengeAcks)
	})
	t.Run("outside the window", func(t *testing.T) {
		s := newScript(t)
		c := s.accepted()
		s.recv(seg{flags: "R", seq: 1 + 2<<20})
		s.recv(seg{flags: "R", seq: 0})
		s.wantIdle("ignored")
		require.Equal(t, Established, c.State())
	})
	t.Run("after the peer's FIN", func(t *testing.T) {
		s := newScript(t)
		c := s.accepted()
		s.recv(seg{flags: "F.", seq: 1, ack: 1, win: 65535})
		s.want("the FIN is acknowledged", seg{flags: ".", seq: 1, ack: 2})
		s.recv(seg{flags: "R", seq: 2})
		require.ErrorIs(t, c.Err(), ErrWriteClosed)
	})
}

func TestSYNInConnection(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.recv(seg{flags: "S", seq: 50, win: 65535})
	s.want("RFC 5961, 4: a challenge ACK, whatever its sequence number", seg{flags: ".", seq: 1, ack: 1})
	require.Equal(t, Established, c.State())
	s.recv(seg{flags: "S", seq: 60, win: 65535})
	s.wantIdle("the challenges are limited")
	require.EqualValues(t, 1, s.host.Counters().ChallengeLimited)
}

func TestSYNACKAgain(t *testing.T) {
	s := newScript(t)
	s.dialed(nil)
	s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
	s.want("our ACK was lost: the peer's SYN|ACK is acknowledged again", seg{flags: ".", seq: 1, ack: 1})
}

func TestUnacceptableAck(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.recv(seg{flags: ".", seq: 1, ack: 100, win: 65535, data: "x"})
	s.want("it acknowledges what was never sent: RFC 5961, 5", seg{flags: ".", seq: 1, ack: 1})
	require.Zero(t, c.Received(), "and its data is not taken")
}

func TestOldAckDoesNotShrinkTheWindow(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.write("abc")
	s.want("data", seg{flags: "P.", seq: 1, ack: 1, data: "abc"})
	s.recv(seg{flags: ".", seq: 1, ack: 4, win: 5000})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 10})
	require.Equal(t, 5000, c.Info().SendWindow, "SND.WL1 and SND.WL2 tell old from new")
}

func TestMalformedSegments(t *testing.T) {
	for _, row := range []struct {
		name    string
		spoil   func(b []byte) []byte
		counter func(Counters) uint64
	}{
		{"nothing at all", func(b []byte) []byte { return nil }, func(c Counters) uint64 { return c.InHeaderErrors }},
		{"shorter than a header", func(b []byte) []byte { return b[:19] }, func(c Counters) uint64 { return c.InHeaderErrors }},
		{"a data offset of 4", func(b []byte) []byte { b[12] = 4 << 4; return b }, func(c Counters) uint64 { return c.InHeaderErrors }},
		{"a data offset beyond the end", func(b []byte) []byte { b[12] = 15 << 4; return b[:24] }, func(c Counters) uint64 { return c.InHeaderErrors }},
		{"a wrong checksum", func(b []byte) []byte { b[17]++; return b }, func(c Counters) uint64 { return c.InChecksumErrors }},
		{"port 0", func(b []byte) []byte {
			b[0], b[1] = 0, 0
			wire.TCPPacket(b).FillChecksum(peerHost, localHost)
			return b
		}, func(c Counters) uint64 { return c.InHeaderErrors }},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			c := s.accepted()
			p := s.packet(seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "never"})
			b := row.spoil(append([]byte(nil), p.Head()...))
			p.Truncate(len(b))
			copy(p.Head(), b)
			s.recvPacket(p)
			s.wantIdle("dropped")
			require.Zero(t, c.Received())
			require.EqualValues(t, 1, row.counter(s.host.Counters()))
			require.EqualValues(t, 1, s.host.Counters().InErrs)
		})
	}
	t.Run("to a broadcast address", func(t *testing.T) {
		s := newScript(t)
		s.listen()
		p := s.packet(seg{flags: "S", win: 65535})
		p.IP.Group = true
		s.recvPacket(p)
		s.wantIdle("RFC 9293, 3.9.2.3")
		require.EqualValues(t, 1, s.host.Counters().InGroup)
	})
	t.Run("a malformed option", func(t *testing.T) {
		s := newScript(t)
		s.listen()
		p := s.packet(seg{flags: "S", win: 65535, mss: 1460})
		p.Head()[wire.TCPHeaderLen+1] = 0 // the MSS option's length
		wire.TCPPacket(p.Head()).FillChecksum(p.IP.Src, p.IP.Dst)
		s.recvPacket(p)
		s.want("does not cost the segment", seg{flags: "S.", ack: 1})
		require.EqualValues(t, 1, s.host.Counters().InOptionErrors)
	})
}

func TestOutOfOrderDataIsBounded(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.OutOfOrder = 64 << 10 })
	c := s.accepted()
	for i := range uint32(1000) {
		s.recv(seg{flags: ".", seq: 3 + 2*i, ack: 1, win: 65535, data: "x"})
	}
	require.LessOrEqual(t, c.rcvOoo.Cost(), 64<<10, "segments of one octet cannot pin memory")
	require.NotZero(t, s.host.Counters().OutOfOrderDropped)
	for _, p := range s.net.sent {
		p.Release()
	}
	s.net.sent = nil
}

// Whatever window was offered is kept, in whatever order it comes and however small its segments: packets are as a device
// delivers them, each in a buffer for a whole frame.
func TestAWholeWindowIsKeptOutOfOrder(t *testing.T) {
	for _, buffer := range []int{64 << 10, 1 << 20, 16 << 20} {
		for _, mss := range []int{536, 600, 1000, 1460} {
			t.Run(fmt.Sprintf("%d octets in segments of %d", buffer, mss), func(t *testing.T) {
				s := newScript(t)
				l := s.listen(func(c *ListenConfig) { c.Options = &Options{ReceiveBuffer: buffer, DelayedACK: -1} })
				s.recv(seg{flags: "S", win: 65535, mss: 1460, ws: 7})
				s.want("the SYN is answered", seg{flags: "S.", ack: 1})
				s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
				s.conn = l.Accept()
				s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "x"})
				s.wantRead("which opens the window", "x")
				s.answers()
				c := s.conn
				window := distance(c.rcvNxt, c.rcvEdge)
				require.Greater(t, window, buffer-buffer/16-1)

				pattern := func(i int) byte { return byte(i % 251) }
				deliver := func(from, to int) {
					p := s.packetIn(2048, seg{flags: ".", seq: uint32(2 + from), ack: 1, win: 65535, len: to - from})
					b := p.Head()[wire.TCPHeaderLen:]
					for i := range b {
						b[i] = pattern(from + i)
					}
					p.Checksum = packet.ChecksumVerified
					s.recvPacket(p)
					s.net.discard()
				}
				for to := window; to > 1; to -= mss {
					deliver(max(1, to-mss), to)
				}
				require.Zero(t, s.host.Counters().OutOfOrderDropped)
				require.Equal(t, window-1, c.Info().OutOfOrder, "all is kept")
				deliver(0, 1)
				require.Equal(t, window, c.Received(), "and all is there once the first octet is")
				c.Receive(window, &s.read)
				b := make([]byte, window)
				require.Equal(t, window, s.read.Read(b))
				for i := range b {
					if b[i] != pattern(i) {
						require.Equal(t, pattern(i), b[i], "octet %d", i)
					}
				}
			})
		}
	}
}

// The right edge of the window never moves left, whatever arrives and however it is read.
func TestRightEdgeNeverMovesLeft(t *testing.T) {
	for _, size := range []int{1460, 1, 100} {
		s := newScript(t)
		l := s.listen(func(c *ListenConfig) { c.Options = &Options{ReceiveBuffer: 1 << 20} })
		s.recv(seg{flags: "S", win: 65535, mss: 1460, ws: 7})
		s.want("the SYN is answered", seg{flags: "S.", ack: 1, ws: 5})
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
		s.conn = l.Accept()
		seq, edge := uint32(1), 0
		for range 2000 {
			s.recv(seg{flags: ".", seq: seq, ack: 1, win: 65535, len: size})
			seq += uint32(size)
			for _, p := range s.net.sent {
				got, _ := s.decode(p)
				now := int(got.ack) + got.win<<5
				require.GreaterOrEqual(t, now, edge, "after %d octets in segments of %d", seq, size)
				edge = now
			}
			s.net.sent = nil
		}
		require.LessOrEqual(t, edge, 1+1<<20+1<<16, "and stays near the buffer's size")
	}
}
