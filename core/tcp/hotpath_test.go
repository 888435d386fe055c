package tcp

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/storage"
	"github.com/smolnet/smolnet/core/wire"
)

func skipCountingAllocations(t *testing.T) {
	if !countsAllocations {
		t.Skip("allocations cannot be counted in this build")
	}
}

// backToBack is two hosts without anything between them, and an established connection.
type backToBack struct {
	now   int64
	hosts [2]*Host
	nets  [2]*fakeNetwork
	conns [2]*Conn
	fill  storage.Fill
	queue storage.Queue
	data  []byte
	into  []byte
}

func newBackToBack(t testing.TB, mtu int, segment bool, options *Options) *backToBack {
	b := &backToBack{data: make([]byte, 64<<10), into: make([]byte, 64<<10)}
	for i := range b.hosts {
		b.nets[i] = &fakeNetwork{mtu: mtu, segment: segment, offload: segment}
		var err error
		b.hosts[i], err = NewHost(Config{
			Network: b.nets[i], Epoch: epoch, Rand: rand.NewChaCha8([32]byte{byte(i)}),
		})
		require.NoError(t, err)
	}
	address := netip.MustParseAddrPort("192.0.2.2:80")
	l, err := b.hosts[1].Listen(ListenConfig{Local: address, Options: options})
	require.NoError(t, err)
	b.conns[0], err = b.hosts[0].Dial(epoch, DialConfig{Remote: address, Options: options})
	require.NoError(t, err)
	b.pass()
	b.conns[1] = l.Accept()
	require.NotNil(t, b.conns[1])
	return b
}

// pass takes what each side has to send to the other, until neither has anything. It takes no time.
func (b *backToBack) pass() {
	for moved := true; moved; {
		moved = false
		for i, n := range b.nets {
			n.collect(b.now)
			for j, p := range n.sent {
				n.sent[j] = nil
				b.hosts[1-i].Input(b.now, b.nets[1-i], p)
				moved = true
			}
			n.sent = n.sent[:0]
		}
	}
}

// send has one side write n octets and the other read them.
func (b *backToBack) send(from, n int) {
	sender, receiver := b.conns[from], b.conns[1-from]
	for n > 0 {
		room, err := sender.Reserve(&b.fill, min(n, len(b.data)))
		if room == 0 || err != nil {
			panic("no room, though everything was read")
		}
		b.fill.Write(b.data[:room])
		sender.Commit(epoch, &b.fill)
		b.pass()
		for receiver.Receive(len(b.into), &b.queue) > 0 {
			receiver.Consumed(epoch, b.queue.Read(b.into))
			b.pass()
		}
		n -= room
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	skipCountingAllocations(t)
	for _, row := range []struct {
		name    string
		mtu     int
		segment bool
		each    int
	}{
		{"bulk", 1500, false, 64 << 10},
		{"bulk in super-segments", 1500, true, 64 << 10},
		{"bulk in frames of 64 KiB", 65535, false, 64 << 10},
		{"an octet to and fro", 1500, false, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBackToBack(t, row.mtu, row.segment, nil)
			b.send(0, 4<<20)
			b.send(1, 4<<20)
			require.Zero(t, testing.AllocsPerRun(500, func() {
				b.send(0, row.each)
				b.send(1, row.each)
			}))
			require.Zero(t, b.hosts[0].counters.RetransSegs+b.hosts[1].counters.RetransSegs)
		})
	}
}

// An idle connection holds no chunk and no packet, and little else.
func TestIdleConnectionsAreSmall(t *testing.T) {
	skipCountingAllocations(t)
	const n = 10_000
	network := &fakeNetwork{mtu: 1500}
	h, err := NewHost(Config{Network: network, Epoch: epoch, Rand: rand.NewChaCha8([32]byte{})})
	require.NoError(t, err)
	l, err := h.Listen(ListenConfig{Local: netip.AddrPortFrom(localHost, 80)})
	require.NoError(t, err)
	conns := make([]*Conn, 0, n)
	before := liveMemory()
	var fill storage.Fill
	for i := range n {
		peer := netip.AddrPortFrom(peerHost, uint16(1024+i))
		seq := uint32(i)
		exchange := func(flags wire.TCPFlags, seq, ack uint32, data string) uint32 {
			h.Input(0, network, segmentFrom(peer, flags, seq, ack, data))
			network.collect(0)
			for _, p := range network.sent {
				ack = wire.TCPPacket(p.Head()).Seq()
				p.Release()
			}
			network.sent = network.sent[:0]
			return ack + 1
		}
		ack := exchange(wire.TCPSyn, seq, 0, "")
		exchange(wire.TCPAck, seq+1, ack, "")
		c := l.Accept()
		require.NotNil(t, c)
		// It is idle, not unused: a request came and was answered.
		exchange(wire.TCPAck|wire.TCPPsh, seq+1, ack, "request")
		var read storage.Queue
		c.Consumed(epoch, c.Receive(100, &read))
		read.Reset()
		_, err := c.Reserve(&fill, 100)
		require.NoError(t, err)
		fill.Write([]byte("answer"))
		c.Commit(epoch, &fill)
		exchange(wire.TCPAck, seq+8, ack, "")
		exchange(wire.TCPAck, seq+8, ack+6, "")
		require.Zero(t, c.Info().InFlight)
		conns = append(conns, c)
	}
	network.timers.Expire(1<<60, 1<<30) // those that were stopped leave the heap
	each := int(liveMemory()-before) / n
	t.Logf("%d octets for each of %d connections", each, len(conns))
	require.LessOrEqual(t, each, 690)
	runtime.KeepAlive(conns)
}

// liveMemory is how many octets of memory are in use.
func liveMemory() int64 {
	runtime.GC()
	runtime.GC() // the first only moves what lies in pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// segmentFrom is a segment from peer to port 80, whose checksum needs no verification.
func segmentFrom(peer netip.AddrPort, flags wire.TCPFlags, seq, ack uint32, data string) *packet.Packet {
	p := packet.New(len(data))
	copy(p.Append(len(data)), data)
	r := wire.TCPRepr{
		SrcPort: peer.Port(), DstPort: 80, Seq: seq, Ack: ack, Flags: flags, Window: 65535, PayloadLen: len(data),
	}
	r.Emit(p.Prepend(r.Len()))
	p.IP = packet.IPInfo{Src: peer.Addr(), Dst: localHost, Link: 2, Protocol: ip.ProtocolTCP, HopLimit: 64}
	p.Checksum = packet.ChecksumVerified
	return p
}

func BenchmarkBulk(b *testing.B) {
	for _, bench := range []struct {
		name    string
		mtu     int
		segment bool
	}{
		{"mtu=1500", 1500, false},
		{"mtu=1500/offload", 1500, true},
		{"mtu=65535", 65535, false},
	} {
		b.Run(bench.name, func(b *testing.B) {
			both := newBackToBack(b, bench.mtu, bench.segment, nil)
			both.send(0, 4<<20)
			b.SetBytes(64 << 10)
			b.ReportAllocs()
			for b.Loop() {
				both.send(0, 64<<10)
			}
		})
	}
}

func BenchmarkPingPong(b *testing.B) {
	both := newBackToBack(b, 1500, false, nil)
	b.ReportAllocs()
	for b.Loop() {
		both.send(0, 1)
		both.send(1, 1)
	}
}

// inSequence is what the first side expects next: a segment in sequence, which acknowledges all that was sent.
func (b *backToBack) inSequence(data string) *packet.Packet {
	c := b.conns[0]
	p := packet.New(len(data))
	copy(p.Append(len(data)), data)
	r := wire.TCPRepr{
		SrcPort: c.RemoteAddr().Port(), DstPort: c.LocalAddr().Port(), Seq: c.rcvNxt, Ack: c.sndNxt, Flags: wire.TCPAck, Window: 65535,
		Options:    wire.TCPOptions{HasTimestamps: c.ts.on, TSVal: c.ts.recent, TSEcr: c.ts.val(b.now)},
		PayloadLen: len(data),
	}
	r.Emit(p.Prepend(r.Len()))
	p.IP = packet.IPInfo{Src: c.RemoteAddr().Addr(), Dst: c.LocalAddr().Addr(), Link: 2, Protocol: ip.ProtocolTCP, HopLimit: 64}
	p.Checksum = packet.ChecksumVerified
	return p
}

// BenchmarkSegmentIn takes in full segments in order, which are read at once; the checksum is not verified.
func BenchmarkSegmentIn(b *testing.B) {
	both := newBackToBack(b, 1500, true, nil)
	c := both.conns[0]
	data := string(make([]byte, 1460))
	b.SetBytes(1460)
	b.ReportAllocs()
	for b.Loop() {
		both.hosts[0].Input(0, both.nets[0], both.inSequence(data))
		c.Receive(1460, &both.queue)
		both.queue.Reset()
		c.Consumed(epoch, 1460)
		both.nets[0].collect(0)
		both.nets[0].discard()
	}
	require.EqualValues(b, b.N*len(data), c.octets.received)
}

// BenchmarkSegmentOut writes full segments, each of which is acknowledged at once; the checksum is left to the device.
func BenchmarkSegmentOut(b *testing.B) {
	both := newBackToBack(b, 1500, true, nil)
	c := both.conns[0]
	b.SetBytes(1460)
	b.ReportAllocs()
	for b.Loop() {
		c.Reserve(&both.fill, 1460)
		both.fill.Write(both.data[:1460])
		c.Commit(epoch, &both.fill)
		both.nets[0].collect(0)
		both.nets[0].discard()
		both.hosts[0].Input(0, both.nets[0], both.inSequence(""))
	}
	require.EqualValues(b, b.N*1460, c.octets.sent)
}

// BenchmarkConnections opens and resets connections.
func BenchmarkConnections(b *testing.B) {
	network := &fakeNetwork{mtu: 1500, segment: true, offload: true}
	h, err := NewHost(Config{Network: network, Epoch: epoch, Rand: rand.NewChaCha8([32]byte{})})
	require.NoError(b, err)
	l, err := h.Listen(ListenConfig{Local: netip.AddrPortFrom(localHost, 80)})
	require.NoError(b, err)
	peer := netip.AddrPortFrom(peerHost, 1024)
	b.ReportAllocs()
	for b.Loop() {
		h.Input(0, network, segmentFrom(peer, wire.TCPSyn, 0, 0, ""))
		iss := wire.TCPPacket(network.sent[0].Head()).Seq()
		h.Input(0, network, segmentFrom(peer, wire.TCPAck, 1, iss+1, ""))
		l.Accept().Abort(epoch)
		network.discard()
	}
}
