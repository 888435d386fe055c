package tcp

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/storage"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// path is a simulated path between two hosts: each direction loses, delays, reorders and duplicates by a seeded source.
type simulatedPath struct {
	name      string
	delay     time.Duration
	loss      float64
	reorder   float64 // of segments that take twice the delay
	duplicate float64
	bandwidth int // octets a second; 0: no limit
	queue     int // octets that wait for the bandwidth; more are dropped
	mark      int // octets that wait before packets are marked that may be (RFC 3168); 0: never
	mtu       int
	hole      int // octets: larger packets vanish on the way, and nobody says so; 0: none do
	segment   bool
}

// world is two hosts with a simulated path between them.
type world struct {
	t       *testing.T
	path    simulatedPath
	random  *rand.Rand
	now     int64
	hosts   [2]*Host
	nets    [2]*fakeNetwork
	flying  []underway
	freeAt  [2]int64 // when each direction's bandwidth is free again
	dropped int
	marked  int
	sent    int
	lose    func(n int) bool // whether the n-th packet of all is lost

	// Of packets with much payload from host 0, numbered from 0 on, what else happens to them: they are lost, or come later. again is how
	// often one of the same sequence number has left before.
	data  func(n, again int) (lost bool, later time.Duration)
	left  []int64 // when they left
	again map[uint32]int
}

type underway struct {
	at int64
	to int
	p  *packet.Packet
}

func newWorld(t *testing.T, path simulatedPath, configure ...func(*Config)) *world {
	w := &world{t: t, path: path, random: rand.New(rand.NewPCG(1, 2)), again: make(map[uint32]int)}
	if w.path.mtu == 0 {
		w.path.mtu = 1500
	}
	for i := range w.hosts {
		w.nets[i] = &fakeNetwork{mtu: w.path.mtu, segment: path.segment, offload: path.segment}
		config := Config{Network: w.nets[i], Epoch: epoch, Rand: rand.NewChaCha8([32]byte{byte(i)})}
		for _, f := range configure {
			f(&config)
		}
		var err error
		w.hosts[i], err = NewHost(config)
		require.NoError(t, err)
	}
	return w
}

func (w *world) time() time.Time { return epoch.Add(time.Duration(w.now)) }

// next is the next moment at which something happens, or timer.Never.
func (w *world) next() int64 {
	next := int64(timer.Never)
	for i := range w.nets {
		next = min(next, w.nets[i].timers.Next())
	}
	for _, f := range w.flying {
		next = min(next, f.at)
	}
	return next
}

// step moves on to it; false: nothing ever will happen.
func (w *world) step() bool {
	next := w.next()
	if next == timer.Never {
		return false
	}
	w.now = max(w.now, next)
	for i := range w.nets {
		w.nets[i].timers.Expire(w.now, 1000)
	}
	arrived := w.flying[:0:0]
	var still []underway
	for _, f := range w.flying {
		if f.at <= w.now {
			arrived = append(arrived, f)
		} else {
			still = append(still, f)
		}
	}
	w.flying = still
	for _, f := range arrived {
		w.hosts[f.to].Input(w.now, w.nets[f.to], f.p)
	}
	w.send()
	return true
}

// send takes what the hosts have to send on its way.
func (w *world) send() {
	for i, n := range w.nets {
		n.collect(w.now)
		for _, p := range n.sent {
			w.launch(1-i, p)
		}
		n.sent = nil
	}
}

func (w *world) launch(to int, p *packet.Packet) {
	w.sent++
	var later time.Duration
	if to == 1 && p.Len() > 500 {
		var lost bool
		if w.data != nil {
			seq := wire.TCPPacket(p.Head()).Seq()
			lost, later = w.data(len(w.left), w.again[seq])
			w.again[seq]++
		}
		w.left = append(w.left, w.now)
		if lost {
			w.dropped++
			p.Release()
			return
		}
	}
	tooLarge := w.path.hole > 0 && p.Len()+20 > w.path.hole
	if w.random.Float64() < w.path.loss || tooLarge || w.lose != nil && w.lose(w.sent-1) {
		w.dropped++
		p.Release()
		return
	}
	at := w.now
	if w.path.bandwidth > 0 {
		start := max(w.now, w.freeAt[to])
		waiting := int((start - w.now) * int64(w.path.bandwidth) / 1e9)
		if waiting > w.path.queue {
			w.dropped++
			p.Release()
			return
		}
		if w.path.mark > 0 && waiting > w.path.mark && p.IP.TrafficClass&ecnField != 0 {
			p.IP.TrafficClass |= ecnMarked
			w.marked++
		}
		at = start + int64(p.Len())*1e9/int64(w.path.bandwidth)
		w.freeAt[to] = at
	}
	at += int64(w.path.delay + later)
	if w.random.Float64() < w.path.reorder {
		at += int64(w.path.delay)
	}
	if w.random.Float64() < w.path.duplicate {
		w.flying = append(w.flying, underway{at, to, p.Clone()})
	}
	w.flying = append(w.flying, underway{at, to, p})
}

// connect opens a connection from host 0 to host 1.
func (w *world) connect(options *Options) (client, server *Conn) {
	w.t.Helper()
	address := netip.MustParseAddrPort("192.0.2.2:80")
	l, err := w.hosts[1].Listen(ListenConfig{Local: address, Options: options})
	require.NoError(w.t, err)
	client, err = w.hosts[0].Dial(w.time(), DialConfig{Remote: address, Options: options})
	require.NoError(w.t, err)
	w.send()
	for server == nil {
		require.True(w.t, w.step(), "the connection is never established")
		server = l.Accept()
	}
	return client, server
}

// transfer sends n octets from one side to the other, closing behind them, and checks what arrives.
func (w *world) transfer(from, to *Conn, n int) (took time.Duration) {
	w.t.Helper()
	began := w.now
	var fill storage.Fill
	var queue storage.Queue
	content := rand.New(rand.NewPCG(7, 7))
	sent, received := fnv.New64a(), fnv.New64a()
	left, got := n, 0
	buffer := make([]byte, 64<<10)
	for got < n || !to.ReadClosed() {
		for left > 0 {
			room, err := from.Reserve(&fill, min(left, 1+content.IntN(len(buffer))))
			require.NoError(w.t, err)
			if room == 0 {
				break
			}
			chunk := buffer[:room]
			for i := range chunk {
				chunk[i] = byte(content.Uint32())
			}
			sent.Write(chunk)
			require.Equal(w.t, room, fill.Write(chunk))
			from.Commit(w.time(), &fill)
			if left -= room; left == 0 {
				from.CloseWrite(w.time())
			}
		}
		for to.Received() > 0 {
			to.Receive(len(buffer), &queue)
			for queue.Octets() > 0 {
				k := queue.Read(buffer)
				received.Write(buffer[:k])
				got += k
				to.Consumed(w.time(), k)
			}
		}
		w.send()
		if got == n && to.ReadClosed() {
			break
		}
		require.NoError(w.t, from.Err())
		require.NoError(w.t, to.Err())
		require.True(w.t, w.step(), "%d of %d octets have arrived, and nothing moves any more: %+v / %+v",
			got, n, from.Info(), to.Info())
		require.Less(w.t, time.Duration(w.now-began), 24*time.Hour, "it takes for ever")
	}
	require.Equal(w.t, n, got)
	require.Equal(w.t, sent.Sum64(), received.Sum64(), "what arrived is what was sent")
	return time.Duration(w.now - began)
}

func TestTransfer(t *testing.T) {
	const n = 4 << 20
	for _, path := range []simulatedPath{
		{name: "a good path", delay: 10 * time.Millisecond},
		{name: "no delay at all"},
		{name: "super-segments", delay: time.Millisecond, segment: true},
		{name: "a bottleneck that drops", delay: 10 * time.Millisecond, bandwidth: 10 << 20, queue: 128 << 10},
		{name: "1 % loss", delay: 10 * time.Millisecond, loss: 0.01},
		{name: "10 % loss", delay: 10 * time.Millisecond, loss: 0.1},
		{name: "30 % loss", delay: time.Millisecond, loss: 0.3},
		{name: "reordering", delay: 10 * time.Millisecond, reorder: 0.05},
		{name: "duplicates", delay: 10 * time.Millisecond, duplicate: 0.1},
		{name: "everything at once", delay: 10 * time.Millisecond, loss: 0.03, reorder: 0.05, duplicate: 0.05},
		{name: "jumbo frames and loss", delay: time.Millisecond, mtu: 9000, loss: 0.02},
		{name: "the least MTU", delay: time.Millisecond, mtu: 88, loss: 0.01},
	} {
		t.Run(path.name, func(t *testing.T) {
			size := n
			if path.loss > 0.2 || path.mtu == 88 {
				size = 256 << 10
			}
			w := newWorld(t, path)
			client, server := w.connect(nil)
			took := w.transfer(client, server, size)
			t.Logf("%d octets in %v, %d dropped, %+v", size, took, w.dropped, client.Info())
			w.transfer(server, client, size/4)
			w.closeBoth(client, server)
		})
	}
}

// closeBoth closes both sides and waits until nothing is left of them.
func (w *world) closeBoth(a, b *Conn) {
	w.t.Helper()
	a.Close(w.time())
	b.Close(w.time())
	w.send()
	for w.step() {
	}
	for i, h := range w.hosts {
		require.Zero(w.t, h.Connections(), "host %d", i)
		require.Zero(w.t, h.table.len, "host %d", i)
		require.Zero(w.t, h.memory.used, "host %d", i)
	}
}

func TestTransferWithSmallBuffers(t *testing.T) {
	for _, size := range []int{64, 100, 1000, 1460, 5000, 65535, 65536} {
		for _, nagle := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d octets, Nagle %v", size, nagle), func(t *testing.T) {
				w := newWorld(t, simulatedPath{delay: time.Millisecond, loss: 0.01})
				options := &Options{ReceiveBuffer: size, SendBuffer: size, Nagle: nagle}
				client, server := w.connect(options)
				w.transfer(client, server, min(200*size, 1<<20))
				w.closeBoth(client, server)
			})
		}
	}
}

// Segments as large as the receiver's whole buffer come one at a time, and no second one follows before the first is
// acknowledged: a delayed acknowledgment would stall each of them.
func TestDelayedAcknowledgmentsNeverStallLargeSegments(t *testing.T) {
	for _, row := range []struct {
		name          string
		mtu           int
		receive, send int
	}{
		{"the buffer of one segment", 65535, 64 << 10, 1 << 20},
		{"both buffers of one segment", 65535, 64 << 10, 64 << 10},
		{"the send buffer of one segment", 65535, 1 << 20, 64 << 10},
		{"a buffer of a few segments", 65535, 256 << 10, 256 << 10},
		{"jumbo frames", 9000, 64 << 10, 64 << 10},
	} {
		t.Run(row.name, func(t *testing.T) {
			const n, delay = 4 << 20, time.Millisecond
			w := newWorld(t, simulatedPath{delay: delay, mtu: row.mtu})
			client, server := w.connect(&Options{ReceiveBuffer: row.receive, SendBuffer: row.send})
			took := w.transfer(client, server, n)
			// At the worst half a buffer goes each round trip, and a stall takes 40 ms.
			most := time.Duration(2*n/min(row.receive, row.send)+10) * 2 * delay
			require.Less(t, took, most, "nothing waits for the delay to pass")
			require.Zero(t, w.hosts[0].Counters().RetransTimeouts)
			w.closeBoth(client, server)
		})
	}
}

var _ ip.Sender = (*Conn)(nil)
