package tcp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/storage"
)

func small(n int) func(*ListenConfig) {
	return func(c *ListenConfig) { c.Options = &Options{ReceiveBuffer: n, SendBuffer: n} }
}

// An octet that was received already must not carry others in past the right edge.
func TestOldOctetDoesNotOpenTheWindow(t *testing.T) {
	s := newScript(t)
	c := s.accepted(small(64))
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, len: 64})
	s.want("the buffer is full", seg{flags: ".", seq: 1, ack: 65, win: 0})
	s.recv(seg{flags: ".", seq: 64, ack: 1, win: 65535, len: 1000})
	s.want("what is beyond is not taken", seg{flags: ".", seq: 1, ack: 65, win: 0})
	require.Equal(t, 64, c.Received())
}

func TestDataInSYNACKIsBoundToTheWindow(t *testing.T) {
	s := newScript(t)
	c := s.dial(&Options{ReceiveBuffer: 64})
	s.want("our SYN", seg{flags: "S", win: 64})
	s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460, len: 1000})
	s.want("only what was offered is taken", seg{flags: ".", seq: 1, ack: 65, win: 0})
	require.Equal(t, 64, c.Received())
}

// "The window field in a segment where the SYN bit is set (i.e., a <SYN> or <SYN,ACK>) MUST NOT be scaled."
func TestWindowOfSYNACKIsNeverScaled(t *testing.T) {
	t.Run("repeated", func(t *testing.T) {
		s := newScript(t)
		c := s.dial(nil)
		s.want("our SYN", seg{flags: "S"})
		for range 2 {
			s.recv(seg{flags: "S.", ack: 1, win: 1000, mss: 1460, ws: 7})
			s.want("acknowledged", seg{flags: ".", seq: 1, ack: 1})
			require.Equal(t, 1000, c.Info().SendWindow)
		}
	})
	t.Run("when both opened", func(t *testing.T) {
		s := newScript(t)
		c := s.dial(nil)
		s.want("our SYN", seg{flags: "S"})
		s.recv(seg{flags: "S", win: 1000, mss: 1460, ws: 7})
		s.want("crossed", seg{flags: "S.", ack: 1})
		s.recv(seg{flags: "S.", ack: 1, win: 1000, mss: 1460, ws: 7})
		s.want("acknowledged", seg{flags: ".", seq: 1, ack: 1})
		require.Equal(t, 1000, c.Info().SendWindow)
	})
}

func TestFINNeedsNoRoom(t *testing.T) {
	t.Run("behind data that fills the window", func(t *testing.T) {
		s := newScript(t)
		c := s.accepted(small(64))
		s.recv(seg{flags: "FP.", seq: 1, ack: 1, win: 65535, len: 64})
		s.want("both are taken", seg{flags: ".", seq: 1, ack: 66, win: 0})
		require.Equal(t, CloseWait, c.State())
		s.recv(seg{flags: ".", seq: 66, ack: 1, win: 65535})
		s.wantIdle("what comes behind the FIN lies in the window")
	})
	t.Run("alone, while the window is closed", func(t *testing.T) {
		s := newScript(t)
		c := s.accepted(small(64))
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, len: 64})
		s.want("full", seg{flags: ".", seq: 1, ack: 65, win: 0})
		s.recv(seg{flags: "F.", seq: 65, ack: 1, win: 65535})
		s.want("taken", seg{flags: ".", seq: 1, ack: 66, win: 0})
		require.Equal(t, CloseWait, c.State())
	})
	t.Run("and what comes with it in one batch lies in the window", func(t *testing.T) {
		s := newScript(t)
		c := s.accepted(small(64))
		s.write("ours")
		s.want("data", seg{flags: "P.", seq: 1, ack: 1, data: "ours"})
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, len: 64})
		s.want("full", seg{flags: ".", seq: 5, ack: 65, win: 0})
		for _, in := range []seg{{flags: "F.", seq: 65, ack: 1, win: 65535}, {flags: ".", seq: 66, ack: 5, win: 65535}} {
			s.host.Input(s.since(), s.net, s.packet(in)) // nothing leaves in between
		}
		require.Zero(t, c.Info().InFlight)
		s.want("one answer", seg{flags: ".", seq: 5, ack: 66, win: 0})
	})
	t.Run("not with data that must be sent again", func(t *testing.T) {
		s := newScript(t)
		c := s.accepted(small(64))
		s.recv(seg{flags: "FP.", seq: 1, ack: 1, win: 65535, len: 65})
		s.want("the last octet has no room", seg{flags: ".", seq: 1, ack: 65, win: 0})
		require.Equal(t, Established, c.State())
	})
}

func TestDataBehindAFIN(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.recv(seg{flags: "F.", seq: 4, ack: 1, win: 65535})
	s.want("a FIN ahead of data", seg{flags: ".", seq: 1, ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "abcdef"})
	require.Equal(t, CloseWait, c.State(), "a peer that goes on behind its FIN does not keep the reader waiting for ever")
	s.answers()
	require.True(t, c.ReadClosed())
}

// A segment that comes late, with an old window, does not replace a newer one.
func TestOldDataDoesNotCloseTheWindow(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0, data: "abc"})
	s.recv(seg{flags: ".", seq: 4, ack: 1, win: 5000})
	require.Equal(t, 5000, c.Info().SendWindow)
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0, data: "abc"})
	require.Equal(t, 5000, c.Info().SendWindow, "the network has doubled the first")
	s.answers()
}

// "A refinement to avoid this problem is to act on the window information from segments that carry the highest acknowledgment
// number": they are the newest, though their data may be old.
func TestNewAcknowledgmentBringsItsWindow(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 5000, data: "abc"})
	s.recv(seg{flags: ".", seq: 4, ack: 1, win: 5000, data: "def"})
	s.write("hello")
	s.want("our data", seg{flags: "P.", seq: 1, ack: 7, data: "hello"})
	s.recv(seg{flags: ".", seq: 1, ack: 6, win: 0, data: "abc"})
	require.Zero(t, c.Info().SendWindow, "the peer repeats what we have acknowledged, and has closed its window")
	s.answers()
}

func TestReaderGrowsItsBuffer(t *testing.T) {
	s := newScript(t)
	c := s.accepted(small(64))
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, len: 64})
	s.want("full", seg{flags: ".", seq: 1, ack: 65, win: 0})
	require.NoError(t, c.SetReadBuffer(4096))
	s.want("the peer, which waits, is told", seg{flags: ".", seq: 1, ack: 65, win: 4032})
}

func TestReaderShrinksItsBuffer(t *testing.T) {
	s := newScript(t)
	c := s.accepted(small(4096))
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, len: 1460})
	s.want("acknowledged", seg{flags: ".", seq: 1, ack: 1461, win: 2636})
	require.NoError(t, c.SetReadBuffer(64))
	s.wantIdle("nothing is taken back")
	s.recv(seg{flags: ".", seq: 1461, ack: 1, win: 65535, len: 1460})
	s.want("what was offered is taken", seg{flags: ".", seq: 1, ack: 2921, win: 1176})
	s.recv(seg{flags: ".", seq: 2921, ack: 1, win: 65535, len: 1176})
	s.want("then the window is closed", seg{flags: ".", seq: 1, ack: 4097, win: 0})
	s.wantRead("all", strings.Repeat("x", 4096))
	s.want("and opens by the smaller buffer", seg{flags: ".", seq: 1, ack: 4097, win: 64})
}

func TestWriterGrowsItsBuffer(t *testing.T) {
	s := newScript(t)
	c := s.accepted(small(64))
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	require.Equal(t, 64, s.writeSome(strings.Repeat("x", 100)))
	require.Zero(t, s.writeSome("more"))
	s.owner.take()
	require.NoError(t, c.SetWriteBuffer(4096))
	require.NotZero(t, s.owner.take()&ip.Writable, "who waits for room learns of it, though nothing is acknowledged")
	require.Equal(t, 4, s.writeSome("more"))
}

func TestCloseWriteWakesWhoWaitsForRoom(t *testing.T) {
	s := newScript(t)
	c := s.accepted(small(64))
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	require.Equal(t, 64, s.writeSome(strings.Repeat("x", 100)))
	require.Zero(t, s.writeSome("more"))
	s.owner.take()
	c.CloseWrite(s.now)
	require.NotZero(t, s.owner.take()&ip.Writable)
	_, err := c.Reserve(nil, 1)
	require.ErrorIs(t, err, ErrWriteClosed)
}

// What was being filled in while writing ended cannot follow the FIN.
func TestCommitAfterCloseWrite(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func(*Conn, time.Time)
		want []seg
	}{
		{"CloseWrite", (*Conn).CloseWrite, []seg{{flags: "F.", seq: 1, ack: 1}}},
		{"Close", (*Conn).Close, []seg{{flags: "F.", seq: 1, ack: 1}}},
		{"Abort", (*Conn).Abort, []seg{{flags: "R.", seq: 1, ack: 1}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			c := s.accepted()
			var f storage.Fill
			_, err := c.Reserve(&f, 10)
			require.NoError(t, err)
			f.Write([]byte("too late"))
			row.end(c, s.now)
			for _, want := range row.want {
				s.want("the end", want)
			}
			c.Commit(s.now, &f)
			s.wantIdle("and nothing behind it")
			require.Zero(t, f.Len())
			if c.State() != Closed {
				s.recv(seg{flags: ".", seq: 1, ack: 2, win: 65535})
				require.Equal(t, FinWait2, c.State(), "the FIN is where it was")
			}
		})
	}
}

func TestConsumedAfterCloseRead(t *testing.T) {
	s := newScript(t)
	c := s.accepted(small(4096))
	s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "unread"})
	c.Receive(1, &s.read)
	c.CloseRead(s.now)
	c.Consumed(s.now, 6)
	require.Zero(t, c.Info().Unread, "it does not count twice")
	s.after(time.Second)
	s.want("acknowledged, with no more than the buffer", seg{flags: ".", seq: 1, ack: 7, win: 4090})
}

func TestTinyBufferHoldsDataOutOfOrder(t *testing.T) {
	s := newScript(t)
	s.accepted(small(64))
	s.recv(seg{flags: ".", seq: 4, ack: 1, win: 65535, data: "def"})
	s.want("a gap", seg{flags: ".", seq: 1, ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "abc"})
	s.want("filled", seg{flags: ".", seq: 1, ack: 7})
}

// "An implementation is deemed to comply with this requirement if it sends at least one acknowledgment every time it receives
// 2*RMSS bytes of new data from the sender [...] it is desirable for receivers to attempt to prevent this situation": that segments
// are smaller than this side would take.
func TestEverySecondSegmentOfASmallMSSIsAcknowledged(t *testing.T) {
	s := newScript(t)
	s.accepted()
	for i := range uint32(4) {
		s.recv(seg{flags: ".", seq: 1 + i*1072, ack: 1, win: 65535, len: 536})
		s.wantIdle("one waits")
		s.recv(seg{flags: ".", seq: 537 + i*1072, ack: 1, win: 65535, len: 536})
		s.want("two do not", seg{flags: ".", seq: 1, ack: 1 + (i+1)*1072})
	}
}

func TestWindowScaleBeyondTheLimit(t *testing.T) {
	s := newScript(t)
	c := s.dial(nil)
	s.want("our SYN", seg{flags: "S"})
	s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460, ws: 15})
	s.want("the handshake", seg{flags: ".", seq: 1, ack: 1})
	require.EqualValues(t, 14, c.Info().SendWindowScale, "RFC 7323, 2.3")
}

// Each window scale that there is, offered by both sides: what the peer offers is taken for what it is, and all of a buffer of its size
// is offered to the peer.
func TestEveryWindowScale(t *testing.T) {
	for shift := range 15 {
		t.Run(fmt.Sprint(shift), func(t *testing.T) {
			s := newScript(t)
			l := s.listen(func(c *ListenConfig) { c.Options = &Options{ReceiveBuffer: 65535 << shift} })
			s.recv(seg{flags: "S", win: 65535, mss: 1460, ws: shift}) // 0: the option is not there
			s.want("a SYN's window is not scaled", seg{flags: "S.", ack: 1, ws: shift, win: 65535, noWS: shift == 0})
			s.recv(seg{flags: ".", seq: 1, ack: 1, win: 5})
			s.conn = l.Accept()
			i := s.conn.Info()
			require.EqualValues(t, shift, i.SendWindowScale)
			require.EqualValues(t, shift, i.ReceiveWindowScale)
			require.Equal(t, 5<<shift, i.SendWindow)
			s.write("x")
			s.want("the whole buffer", seg{flags: "P.", seq: 1, ack: 1, data: "x", win: 65535})
			require.Equal(t, 65535<<shift, s.conn.Info().ReceiveWindow)
		})
	}
}
