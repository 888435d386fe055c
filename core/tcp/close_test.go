package tcp

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

func TestActiveClose(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.write("bye")
	c.Close(s.now)
	s.want("data, and the FIN behind it", seg{flags: "P.", seq: 1, ack: 1, data: "bye"})
	s.want("data, and the FIN behind it", seg{flags: "F.", seq: 4, ack: 1})
	require.Equal(t, FinWait1, c.State())
	s.recv(seg{flags: ".", seq: 1, ack: 5, win: 65535})
	require.Equal(t, FinWait2, c.State())
	s.recv(seg{flags: "F.", seq: 1, ack: 5, win: 65535})
	s.want("the peer's FIN is acknowledged", seg{flags: ".", seq: 5, ack: 2})
	require.Equal(t, TimeWait, c.State())
	require.Zero(t, s.host.Connections(), "only a record is left")
	require.Equal(t, 1, s.host.timeWaits.len)

	s.recv(seg{flags: "F.", seq: 1, ack: 5, win: 65535})
	s.want("our ACK was lost: again", seg{flags: ".", seq: 5, ack: 2})
	s.after(60*time.Second - 1)
	require.Equal(t, 1, s.host.timeWaits.len)
	s.after(1)
	require.Zero(t, s.host.timeWaits.len, "after 60 s from the last FIN it is forgotten")
	require.Zero(t, s.host.table.len)
}

func TestFINLeavesWithTheLastData(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	s.write("bye")
	c.CloseWrite(s.now)
	require.Equal(t, FinWait1, c.State(), "the state moves as the FIN is queued")
	s.wantIdle("behind a closed window")
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 100})
	s.want("both in one segment", seg{flags: "FP.", seq: 1, ack: 1, data: "bye"})
}

func TestPassiveClose(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.recv(seg{flags: "FP.", seq: 1, ack: 1, win: 65535, data: "that is all"})
	s.want("acknowledged at once", seg{flags: ".", seq: 1, ack: 13})
	require.Equal(t, CloseWait, c.State())
	s.wantRead("data", "that is all")
	require.True(t, c.ReadClosed())
	s.write("still talking")
	s.want("half closed: we may send", seg{flags: "P.", seq: 1, ack: 13, data: "still talking"})
	s.recv(seg{flags: ".", seq: 13, ack: 14, win: 65535})
	c.Close(s.now)
	s.want("our FIN", seg{flags: "F.", seq: 14, ack: 13})
	require.Equal(t, LastAck, c.State())
	s.recv(seg{flags: ".", seq: 13, ack: 15, win: 65535})
	require.Equal(t, Closed, c.State())
	require.Zero(t, s.host.table.len, "the passive side has no TIME-WAIT")
	require.NoError(t, c.Err())
}

func TestHalfCloseStillReceives(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	c.CloseWrite(s.now)
	s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 2, win: 65535})
	_, err := c.Reserve(nil, 1)
	require.ErrorIs(t, err, ErrWriteClosed)
	s.after(time.Hour)
	require.Equal(t, FinWait2, c.State(), "its user still reads: no time limit")
	s.recv(seg{flags: "P.", seq: 1, ack: 2, win: 65535, data: "answer"})
	s.wantRead("what the peer has still to say", "answer")
	s.after(time.Second)
	s.want("acknowledged", seg{flags: ".", seq: 2, ack: 7})
	s.recv(seg{flags: "F.", seq: 7, ack: 2, win: 65535})
	s.want("and its FIN", seg{flags: ".", seq: 2, ack: 8})
	require.Equal(t, TimeWait, c.State())
}

func TestSimultaneousClose(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	c.Close(s.now)
	s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
	s.recv(seg{flags: "F.", seq: 1, ack: 1, win: 65535})
	s.want("the peer's crossed it", seg{flags: ".", seq: 2, ack: 2})
	require.Equal(t, Closing, c.State())
	s.recv(seg{flags: ".", seq: 2, ack: 2, win: 65535})
	require.Equal(t, TimeWait, c.State())
}

func TestFINIsRetransmitted(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	c.Close(s.now)
	s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
	s.after(200 * time.Millisecond)
	s.want("lost: again", seg{flags: "F.", seq: 1, ack: 1})
	s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535})
	s.want("acknowledged both ways", seg{flags: ".", seq: 2, ack: 2})
}

func TestCloseWithUnreadData(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "unread"})
	c.Close(s.now)
	s.want("a reset shows that data was lost: RFC 9293, 3.6.1", seg{flags: "R.", seq: 1, ack: 7})
	require.Zero(t, s.host.table.len)
}

func TestCloseWithDataHeldByTheReader(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "unread"})
	c.Receive(1, &s.read)
	c.Consumed(s.now, 1)
	c.Close(s.now)
	s.want("five octets were moved out and never consumed", seg{flags: "R.", seq: 1, ack: 7})
}

func TestDataAfterClose(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	c.Close(s.now)
	s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
	s.recv(seg{flags: "P.", seq: 1, ack: 2, win: 65535, data: "too late"})
	s.want("a reset shows that data was lost", seg{flags: "R.", seq: 2, ack: 1})
	require.Zero(t, s.host.table.len)
	require.EqualValues(t, 1, s.host.Counters().DataAfterClose)
}

func TestLinger(t *testing.T) {
	t.Run("0 resets", func(t *testing.T) {
		s := newScript(t)
		c := s.accepted()
		c.SetLinger(0)
		c.Close(s.now)
		s.want("at once", seg{flags: "R.", seq: 1, ack: 1})
	})
	t.Run("a second", func(t *testing.T) {
		s := newScript(t)
		c := s.accepted()
		c.SetLinger(1)
		s.write("bye")
		c.Close(s.now)
		s.want("sent in the background", seg{flags: "P.", seq: 1, ack: 1, data: "bye"})
		s.want("sent in the background", seg{flags: "F.", seq: 4, ack: 1})
		s.after(time.Second)
		require.Zero(t, s.host.table.len, "but not for longer")
		for _, p := range s.net.sent {
			p.Release()
		}
		s.net.sent = nil
	})
}

func TestOrphanInFinWait2(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	c.Close(s.now)
	s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 2, win: 65535})
	s.after(60*time.Second - 1)
	require.Equal(t, FinWait2, c.State())
	s.after(1)
	require.Zero(t, s.host.table.len, "a peer that never closes does not hold it for ever")
	s.wantIdle("without a word")
}

// What is written before Close is delivered, and the FIN behind it, though the peer's window is closed at the time.
func TestCloseBehindAClosedWindow(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	s.write("hello")
	c.Close(s.now)
	require.Equal(t, FinWait1, c.State(), "as soon as the FIN is queued")
	for wait := 200 * time.Millisecond; wait < 10*time.Second; wait *= 2 {
		s.wantAgainAfter("the window is probed", wait, seg{flags: ".", seq: 1, ack: 1, data: "h"})
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
		require.Equal(t, FinWait1, c.State(), "and its acknowledgment is not the FIN's")
	}
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 1000})
	s.want("the window is open", seg{flags: "FP.", seq: 1, ack: 1, data: "hello"})
	s.recv(seg{flags: ".", seq: 1, ack: 7, win: 1000})
	require.Equal(t, FinWait2, c.State())
}

func TestOrphanBehindZeroWindow(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	s.write("never taken")
	c.Close(s.now)
	require.Equal(t, FinWait1, c.State())
	for range 60 {
		s.after(30 * time.Second)
		for _, p := range s.net.sent {
			p.Release()
		}
		s.net.sent = nil
		if c.State() != Closed {
			s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
		}
	}
	require.Equal(t, Closed, c.State(), "RFC 6429: without a user, a live peer with a closed window is given up too")
}

func TestAbort(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.write("lost")
	s.want("data", seg{flags: "P.", seq: 1, ack: 1, data: "lost"})
	c.Abort(s.now)
	s.want("a reset", seg{flags: "R.", seq: 5, ack: 1})
	require.ErrorIs(t, c.Err(), ErrAborted)
	require.NotZero(t, s.owner.take()&ip.Failed)
	c.Abort(s.now)
	c.Close(s.now)
	s.wantIdle("once")
}

func TestCloseRead(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "unread"})
	c.CloseRead(s.now)
	require.True(t, c.ReadClosed())
	require.Zero(t, c.Received())
	for i := range uint32(2000) {
		s.recv(seg{flags: ".", seq: 7 + 1460*i, ack: 1, win: 65535, len: 1460})
	}
	require.Zero(t, c.Received(), "what comes is dropped")
	require.Greater(t, distance(c.rcvNxt, c.rcvEdge), 60_000, "and never closes the window")
	for _, p := range s.net.sent {
		p.Release()
	}
	s.net.sent = nil
}

func TestCloseBeforeEstablished(t *testing.T) {
	s := newScript(t)
	c := s.dial(nil)
	s.want("the SYN", seg{flags: "S"})
	c.Close(s.now)
	require.Zero(t, s.host.table.len)
	s.recv(seg{flags: "S.", ack: 1, win: 65535})
	s.want("what comes later belongs to nothing", seg{flags: "R", seq: 1})
}

func TestTimeWait(t *testing.T) {
	closed := func(t *testing.T) *script {
		s := newScript(t)
		s.accepted().Close(s.now)
		s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
		s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535})
		s.want("acknowledged", seg{flags: ".", seq: 2, ack: 2})
		return s
	}
	t.Run("a new SYN with a higher sequence number reopens", func(t *testing.T) {
		s := closed(t)
		old := s.iss
		s.irs += 1000
		s.recv(seg{flags: "S", win: 65535, mss: 1460})
		s.want("RFC 9293, 3.6.1", seg{flags: "S.", ack: 1})
		require.True(t, before(old+2, s.iss), "above all that was sent before")
		require.EqualValues(t, 1, s.host.Counters().TimeWaitReused)
		require.Zero(t, s.host.timeWaits.len)
	})
	t.Run("an old SYN does not", func(t *testing.T) {
		s := closed(t)
		s.recv(seg{flags: "S", seq: 0, win: 65535, mss: 1460})
		s.want("an acknowledgment", seg{flags: ".", seq: 2, ack: 2})
		require.Equal(t, 1, s.host.timeWaits.len)
	})
	t.Run("a reset out of sequence does not end it", func(t *testing.T) {
		s := closed(t)
		s.recv(seg{flags: "R", seq: 100})
		require.Equal(t, 1, s.host.timeWaits.len)
		s.recv(seg{flags: "R", seq: 2})
		require.Zero(t, s.host.timeWaits.len)
	})
	t.Run("its number is bounded", func(t *testing.T) {
		s := newScript(t, func(c *Config) { c.Limits.TimeWait = 2 })
		l := s.listen()
		for i := range uint16(5) {
			s.peer = addPort(s.peer, i)
			s.recv(seg{flags: "S", win: 65535, mss: 1460})
			s.want("open", seg{flags: "S.", ack: 1})
			s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
			l.Accept().Close(s.now)
			s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
			s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535})
			s.want("acknowledged", seg{flags: ".", seq: 2, ack: 2})
		}
		require.Equal(t, 2, s.host.timeWaits.len)
		require.EqualValues(t, 3, s.host.Counters().TimeWaitEvicted)
	})
}

func TestListenerClose(t *testing.T) {
	s := newScript(t)
	l := s.listen(func(c *ListenConfig) { c.Owner = s.owner })
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("half open", seg{flags: "S.", ack: 1})
	waiting := s.peer
	s.peer = addPort(s.peer, 1)
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("another", seg{flags: "S.", ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	l.Close(s.now)
	s.want("who waited to be accepted is reset", seg{flags: "R.", seq: 1, ack: 1})
	require.Zero(t, s.host.table.len)
	s.peer, s.iss = waiting, 0
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("nobody listens any more", seg{flags: "R.", ack: 1})
	l.Close(s.now)
}

func TestHostClose(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.write(strings.Repeat("x", 100))
	s.host.Close(s.now)
	require.ErrorIs(t, c.Err(), ErrAborted)
	require.Zero(t, s.host.table.len)
	require.Empty(t, s.host.listeners)
	for _, p := range s.net.sent {
		p.Release()
	}
	s.net.sent = nil
}

func TestPeerGoneWhileOrphan(t *testing.T) {
	s := newScript(t, func(c *Config) { c.OrphanRetries = 2 })
	c := s.accepted()
	s.write("bye")
	c.Close(s.now)
	s.after(time.Minute)
	require.Equal(t, Closed, c.State(), "fewer retries without a user")
	for _, p := range s.net.sent {
		p.Release()
	}
	s.net.sent = nil
}
