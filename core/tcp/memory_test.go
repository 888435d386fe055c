package tcp

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/storage"
)

func limitMemory(n int64) func(*Config) {
	return func(c *Config) { c.Limits.Memory = n }
}

// A host whose connections together hold as much as they may: windows freeze where they are.
func TestFullMemoryFreezesTheWindow(t *testing.T) {
	s := newScript(t, limitMemory(10_000))
	c := s.accepted(func(c *ListenConfig) { c.Options = &Options{ReceiveBuffer: 20_000, DelayedACK: -1} })
	next, edge := uint32(1), uint32(0)
	recv := func(n int) {
		t.Helper()
		s.recv(seg{flags: ".", seq: next, ack: 1, win: 65535, len: n})
		next += uint32(n)
		s.answers()
		s.wantConsistent()
	}
	for range 10 {
		recv(1000)
	}
	edge = c.rcvEdge
	require.Equal(t, uint32(20_001), edge-s.irs, "before, it is the buffer's")
	require.True(t, s.host.memory.full())

	recv(1000)
	require.Equal(t, 11_000, c.Received(), "what was offered is still taken")
	require.Equal(t, edge, c.rcvEdge)
	s.recv(seg{flags: ".", seq: next + 100, ack: 1, win: 65535, len: 1000})
	s.want("nothing is kept out of order", seg{flags: ".", seq: 1, ack: next})
	require.EqualValues(t, 1, s.host.Counters().OutOfOrderDropped)
	require.Nil(t, c.rcvOoo)

	var q storage.Queue
	c.Consumed(s.now, c.Receive(500, &q))
	require.Equal(t, edge, c.rcvEdge, "reading a little moves nothing while others find no room")
	q.Reset()
	for next != 20_001 {
		recv(1000)
	}
	require.Equal(t, edge, c.rcvEdge, "up to the edge all is taken")
	recv(1000)
	require.Equal(t, 19_000, c.Received(), "and beyond it nothing")
	next -= 1000

	c.Consumed(s.now, c.Receive(1<<20, &q))
	q.Reset()
	s.net.collect(s.since())
	s.want("once it is read the window opens by itself", seg{flags: ".", seq: 1, ack: next, win: 20_000})
	require.Zero(t, s.host.memory.used)
}

func TestConnectionThatHoldsNothingIsOfferedASegment(t *testing.T) {
	s := newScript(t, limitMemory(10_000))
	c := s.accepted(func(c *ListenConfig) { c.Options = &Options{ReceiveBuffer: 2000, DelayedACK: -1} })
	s.host.memory.used += 10_000 // the others hold them
	var q storage.Queue
	next := uint32(1)
	for range 2 {
		s.recv(seg{flags: ".", seq: next, ack: 1, win: 65535, len: 1000})
		next += 1000
		s.answers()
	}
	require.Equal(t, c.rcvNxt, c.rcvEdge)
	for range 5 {
		require.Equal(t, 1000, min(1000, c.Receive(1<<20, &q)))
		c.Consumed(s.now, q.Octets())
		q.Reset()
		s.want("a segment", seg{flags: ".", seq: 1, ack: next, win: 1000})
		s.recv(seg{flags: ".", seq: next, ack: 1, win: 65535, len: 1000})
		next += 1000
		s.want("no more", seg{flags: ".", seq: 1, ack: next, win: 0})
	}
	s.host.memory.used -= 10_000
}

// A peer that sends octet by octet has the window rounded up to what its scale can express. It must not get more than the buffer by
// that, full memory or not.
func TestTinySegmentsDoNotMoveTheWindow(t *testing.T) {
	for _, memory := range []int64{5000, 1 << 30} {
		tinySegments(t, memory)
	}
}

func tinySegments(t *testing.T, memory int64) {
	s := newScript(t, limitMemory(memory))
	l := s.listen(func(c *ListenConfig) { c.Options = &Options{ReceiveBuffer: 1 << 20, DelayedACK: -1} })
	s.recv(seg{flags: "S", win: 65535, mss: 1460, ws: 7})
	s.want("the SYN is answered", seg{flags: "S.", ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	s.conn = l.Accept()
	require.NoError(t, s.conn.SetReadBuffer(20_000))
	for next := uint32(1); next < 100_000; {
		n := 1
		if next < 60_000 {
			n = 1000
		}
		s.recv(seg{flags: ".", seq: next, ack: 1, win: 65535, len: n})
		s.net.discard()
		next += uint32(n)
	}
	require.LessOrEqual(t, s.conn.Received(), 65535+1<<10)
}

func TestFullMemoryMakesWritersWait(t *testing.T) {
	s := newScript(t, limitMemory(10_000))
	c := s.accepted(func(c *ListenConfig) { c.Options = &Options{SendBuffer: 1 << 20} })
	s.host.memory.used += 10_000 // the others hold them
	require.Equal(t, 1460, s.writeSome(strings.Repeat("x", 5000)), "a segment may always be written")
	require.Zero(t, s.writeSome("more"), "not more, while it is not acknowledged")
	s.answers()
	s.owner.take()
	s.recv(seg{flags: ".", seq: 1, ack: 1000, win: 65535})
	require.Zero(t, s.owner.take()&ip.Writable)
	s.recv(seg{flags: ".", seq: 1, ack: 1461, win: 65535})
	require.NotZero(t, s.owner.take()&ip.Writable, "woken")
	require.Equal(t, 1460, s.writeSome(strings.Repeat("x", 5000)))
	require.Zero(t, s.writeSome("more"))
	s.answers()
	s.host.memory.used -= 1000
	require.True(t, s.host.memory.full())
	s.recv(seg{flags: ".", seq: 1, ack: 2500, win: 65535})
	require.NotZero(t, s.owner.take()&ip.Writable, "there is room for everybody again")
	require.Equal(t, 5000, s.writeSome(strings.Repeat("x", 5000)))
	s.answers()
	c.Abort(s.now)
	require.EqualValues(t, 9000, s.host.memory.used)
	s.answers()
}

func TestBuffersDoNotGrowUnderPressure(t *testing.T) {
	w := newWorld(t, simulatedPath{delay: 20 * time.Millisecond}, limitMemory(64<<10))
	client, server := w.connect(nil)
	for _, h := range w.hosts {
		h.memory.used += 50 << 10 // the others hold them
	}
	w.transfer(client, server, 4<<20)
	require.Equal(t, initialBuffer, client.Info().SendBuffer)
	require.Equal(t, initialBuffer, server.Info().ReceiveBuffer)
	for _, h := range w.hosts {
		h.memory.used -= 50 << 10
	}
	w.closeBoth(client, server)
}

// stream is one direction of a connection in a crowd.
type stream struct {
	from, to   *Conn
	left, want int
}

// Two hosts that may hold very little, and many connections on which both sides send at once: everything arrives, however slowly.
func TestTinyMemoryNeverDeadlocks(t *testing.T) {
	for _, row := range []struct {
		name   string
		memory int64
		path   simulatedPath
	}{
		{"a good path", 20_000, simulatedPath{delay: time.Millisecond}},
		{"losses and reordering", 20_000, simulatedPath{delay: time.Millisecond, loss: 0.02, reorder: 0.05}},
		{"next to nothing", 64, simulatedPath{delay: time.Millisecond, loss: 0.01}},
	} {
		t.Run(row.name, func(t *testing.T) {
			const connections, octets = 20, 30_000
			w := newWorld(t, row.path, limitMemory(row.memory))
			address := netip.MustParseAddrPort("192.0.2.2:80")
			l, err := w.hosts[1].Listen(ListenConfig{Local: address})
			require.NoError(t, err)
			clients := make(map[netip.AddrPort]*Conn)
			for range connections {
				c, err := w.hosts[0].Dial(w.time(), DialConfig{Remote: address})
				require.NoError(t, err)
				clients[c.LocalAddr()] = c
			}
			w.until("all are established", func() bool { return l.Pending() == connections })
			var streams []*stream
			for server := l.Accept(); server != nil; server = l.Accept() {
				client := clients[server.RemoteAddr()]
				streams = append(streams, &stream{client, server, octets, octets}, &stream{server, client, octets, octets})
			}
			var most int64
			random := rand.New(rand.NewPCG(3, 3))
			for done := false; !done; {
				done = true
				for _, s := range streams {
					s.pump(w, random)
					done = done && s.left == 0 && s.want == 0
				}
				w.send()
				for _, h := range w.hosts {
					wantConsistent(t, h)
					most = max(most, h.memory.used)
				}
				require.Less(t, w.now, int64(time.Hour))
				require.True(t, done || w.step(), "nothing moves any more")
			}
			t.Logf("%v, %d octets held at most, %v", time.Duration(w.now), most, w.hosts[0].Counters().RetransTimeouts)
			// A segment written and one received for each connection, and the windows offered before memory was full.
			require.LessOrEqual(t, most, row.memory+connections*(initialBuffer+1460))
			for _, s := range streams {
				s.from.Close(w.time())
			}
			w.send()
			for w.step() {
			}
			for _, h := range w.hosts {
				require.Zero(t, h.memory.used)
				require.Zero(t, h.table.len)
			}
		})
	}
}

// pump writes and reads, now and then, as much as it can.
func (s *stream) pump(w *world, random *rand.Rand) {
	var fill storage.Fill
	var q storage.Queue
	for s.left > 0 {
		room, err := s.from.Reserve(&fill, s.left)
		require.NoError(w.t, err)
		if room == 0 {
			break
		}
		for fill.Room() > 0 {
			fill.Write([]byte("written"))
		}
		s.from.Commit(w.time(), &fill)
		s.left -= room
	}
	if random.IntN(2) == 0 {
		n := s.to.Receive(1+random.IntN(4000), &q)
		s.want -= n
		s.to.Consumed(w.time(), n)
		q.Reset()
	}
}
