package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/storage"
)

// A path without bottleneck carries what the windows allow: with buffers that tune themselves that is soon Limits.ReceiveBuffer each
// round trip, with fixed ones always what they hold.
func TestBuffersThatTuneThemselvesFillAPath(t *testing.T) {
	const n, delay = 32 << 20, 50 * time.Millisecond
	transfer := func(o *Options) time.Duration {
		w := newWorld(t, simulatedPath{delay: delay})
		client, server := w.connect(o)
		took := w.transfer(client, server, n)
		t.Logf("%v: receive buffer %d, send buffer %d", took, server.Info().ReceiveBuffer, client.Info().SendBuffer)
		if o.ReceiveBuffer == 0 {
			require.Equal(t, 6<<20, server.Info().ReceiveBuffer, "the limit is reached")
			require.Equal(t, 4<<20, client.Info().SendBuffer)
		}
		w.closeBoth(client, server)
		return took
	}
	tuned := transfer(&Options{})
	require.Less(t, tuned, 25*2*delay, "slow start, and then four windows")
	fixed := transfer(&Options{ReceiveBuffer: initialBuffer, SendBuffer: initialBuffer})
	require.Greater(t, fixed, 10*tuned)
}

// The peer scales no windows or has no timestamps: the round trip is measured by what arrives.
func TestReceiveBufferGrowsWithoutTimestamps(t *testing.T) {
	w := newWorld(t, simulatedPath{delay: 20 * time.Millisecond})
	client, server := w.connect(&Options{NoTimestamps: true})
	w.transfer(client, server, 16<<20)
	require.Greater(t, server.Info().ReceiveBuffer, 2<<20)
	w.closeBoth(client, server)
}

// arrive has octets arrive in segments of 1000 and be read, one round trip's worth after the other.
func (s *script) arrive(next *uint32, octets int, rtt time.Duration) {
	s.t.Helper()
	var q storage.Queue
	for end := *next + uint32(octets); before(*next, end); *next += 1000 {
		s.recv(seg{flags: ".", seq: *next, ack: 1, win: 65535, len: 1000})
		s.conn.Consumed(s.now, s.conn.Receive(1<<20, &q))
		q.Reset()
		s.net.discard()
		s.after(rtt * 1000 / time.Duration(octets))
	}
}

// tuning is a connection whose receive buffer tunes itself and has grown; the peer's next sequence number is returned.
func tuning(t *testing.T, configure ...func(*Config)) (*script, uint32) {
	s := newScript(t, append([]func(*Config){func(c *Config) { c.Options.ReceiveBuffer = 0 }}, configure...)...)
	l := s.listen()
	s.recv(seg{flags: "S", win: 65535, mss: 1460, ws: 7})
	s.want("the window scale is made from the limit, the window from what there is now", seg{flags: "S.", ack: 1, ws: 7, win: 65535})
	s.after(20 * time.Millisecond)
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	s.conn = l.Accept()
	require.Equal(t, initialBuffer, s.conn.Info().ReceiveBuffer)
	next := uint32(1)
	for flight := 20_000; flight <= 640_000; flight *= 2 {
		s.arrive(&next, flight, 20*time.Millisecond)
	}
	require.Greater(t, s.conn.Info().ReceiveBuffer, 4*initialBuffer)
	s.answers()
	s.net.discard()
	return s, next
}

func TestIdleConnectionsGiveTheirBufferBack(t *testing.T) {
	t.Run("when a segment comes", func(t *testing.T) {
		s, next := tuning(t)
		edge := s.conn.rcvEdge
		s.after(9 * time.Second)
		s.recv(seg{flags: ".", seq: next, ack: 1, win: 60000})
		require.Greater(t, s.conn.Info().ReceiveBuffer, initialBuffer, "not yet")
		s.after(9 * time.Second)
		s.recv(seg{flags: ".", seq: next, ack: 1, win: 65535, len: 1000})
		require.Equal(t, initialBuffer, s.conn.Info().ReceiveBuffer)
		s.after(time.Second)
		require.Equal(t, edge, s.conn.rcvEdge, "what was offered stays so")
	})
	t.Run("when a timer expires", func(t *testing.T) {
		s, _ := tuning(t, func(c *Config) { c.Options.KeepAlive = KeepAlive{Enable: true, Idle: 20 * time.Second} })
		s.after(21 * time.Second)
		require.Equal(t, initialBuffer, s.conn.Info().ReceiveBuffer)
		s.net.discard()
	})
	t.Run("not while something is unread", func(t *testing.T) {
		s, next := tuning(t)
		s.recv(seg{flags: ".", seq: next, ack: 1, win: 65535, len: 1000})
		s.after(20 * time.Second)
		s.recv(seg{flags: ".", seq: next + 1000, ack: 1, win: 65535, len: 1000})
		require.Greater(t, s.conn.Info().ReceiveBuffer, initialBuffer)
		s.answers()
	})
	t.Run("and grow again", func(t *testing.T) {
		s, next := tuning(t)
		s.after(20 * time.Second)
		for flight := 20_000; flight <= 640_000; flight *= 2 {
			s.arrive(&next, flight, 20*time.Millisecond)
		}
		require.Greater(t, s.conn.Info().ReceiveBuffer, 4*initialBuffer)
	})
}

func TestSetBuffersFixThem(t *testing.T) {
	s, next := tuning(t)
	require.NoError(t, s.conn.SetReadBuffer(200_000))
	require.NoError(t, s.conn.SetWriteBuffer(100_000))
	s.arrive(&next, 2_000_000, 20*time.Millisecond)
	require.Equal(t, 200_000, s.conn.Info().ReceiveBuffer)
	s.after(time.Minute)
	s.arrive(&next, 10_000, 20*time.Millisecond)
	require.Equal(t, 200_000, s.conn.Info().ReceiveBuffer, "not when idle either")
	require.Equal(t, 100_000, s.conn.Info().SendBuffer)
}

func TestSendBufferFollowsTheCongestionWindow(t *testing.T) {
	w := newWorld(t, simulatedPath{delay: 10 * time.Millisecond, bandwidth: 20 << 20, queue: 1 << 20})
	client, server := w.connect(nil)
	require.Equal(t, initialBuffer, client.Info().SendBuffer)
	w.transfer(client, server, 8<<20)
	require.Greater(t, client.Info().SendBuffer, 2*initialBuffer)
	require.LessOrEqual(t, client.Info().SendBuffer, 8<<20)
	w.closeBoth(client, server)
}

// A peer that has paused begins with a small window, and wants to hear of each segment.
func TestQuickAcknowledgmentsAfterAPause(t *testing.T) {
	s := newScript(t, func(c *Config) { c.QuickACKs = 2 })
	s.accepted()
	recv := func(seq uint32, n int) { s.recv(seg{flags: ".", seq: seq, ack: 1, win: 65535, len: n}) }
	for i := range uint32(2) {
		recv(1+1000*i, 1000)
		s.want("at once", seg{flags: ".", seq: 1, ack: 1001 + 1000*i})
	}
	recv(2001, 1000)
	s.wantIdle("it may wait")
	s.after(40 * time.Millisecond)
	s.want("for the delay", seg{flags: ".", seq: 1, ack: 3001})
	s.after(2 * time.Second)
	recv(3001, 10)
	s.wantIdle("a small segment is no beginning of many")
	s.after(2 * time.Second)
	s.want("late", seg{flags: ".", seq: 1, ack: 3011})
	for i := range uint32(2) {
		recv(3011+1000*i, 1000)
		s.want("at once again", seg{flags: ".", seq: 1, ack: 4011 + 1000*i})
	}
	recv(5011, 1000)
	s.wantIdle("it may wait")
	s.after(time.Second)
	s.answers()
}
