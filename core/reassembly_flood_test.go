package core

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/reassembly"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
)

// A flood of fragments of which nothing becomes, from everywhere and of all sizes, fills the table and no more, and takes no
// datagram with it that comes in a reasonable time.
func TestFragmentFlood(t *testing.T) {
	const limit, datagrams = 512 << 10, 150
	s := newScript(t, func(c *Config) { c.Limits.Reassembly, c.Limits.ReassemblyDatagrams = limit, datagrams })
	e := s.bind("0.0.0.0:7")
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // the first leaves what is in pools
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	random := seeded()
	flood := func() []byte {
		n := random.Uint64()
		size := []int{8, 64, 512, 1448}[n&3]
		offset := 8 + int(n>>2&0x3f)*8
		if n&0x100 == 0 {
			src := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 24), byte(n >> 32)})
			b := wire.IPv4Packet(ipv4(src, us4, ip.ProtocolUDP, make([]byte, size)))
			b.SetID(uint16(n >> 40))
			b.SetFragment(offset, n&0x200 == 0)
			b.FillChecksum()
			return b
		}
		b := fragment6(uint32(n>>16), offset, n&0x200 == 0, ip.ProtocolUDP, make([]byte, size))
		binary.BigEndian.PutUint32(b[16:], uint32(n>>24))
		return b
	}
	const legitimate, between = 200, 20
	for i := range legitimate {
		said := noise(6000 + i)
		for _, fragment := range inFragments(udpTo(them4, us4, 1000, 7, said), uint32(i), 1448) {
			for range between {
				s.recv(toUs(flood()))
				require.LessOrEqual(t, s.stack.fragments.Octets(), limit)
				require.LessOrEqual(t, s.stack.fragments.Len(), datagrams)
			}
			s.recv(toUs(fragment))
		}
		s.wantDatagram(e, said, "192.168.69.100:1000")
		s.after(time.Millisecond)
	}
	require.Greater(t, s.stack.fragments.Octets()+s.stack.fragments.Len()*limit/datagrams, limit, "the table is full")
	require.Less(t, heap()-before, uint64(4*limit), "what it holds is what it says")
	c := s.link.Counters()
	require.EqualValues(t, legitimate, c.IPv4.ReasmOKs)
	require.EqualValues(t, c.IPv4.ReasmReqds+c.IPv6.ReasmReqds, 5*legitimate*(between+1))
	require.Greater(t, c.Drops[DropFragmentEvicted], uint64(legitimate*5*between-2*datagrams))
	s.after(time.Hour)
	require.Zero(t, s.stack.fragments.Octets())
	require.Zero(t, s.stack.fragments.Len())
	_, ok := s.stack.PollAt()
	require.False(t, ok)
}

// One sender alone, whose datagrams have more fragments than there may be.
func TestFloodOfTinyFragments(t *testing.T) {
	s := newScript(t)
	e := s.bind("0.0.0.0:7")
	for id := range uint32(100) {
		for _, fragment := range inFragments(udpTo(them4, us4, 1000, 7, noise(4000)), 1000+id, 8) {
			s.recv(toUs(fragment))
			require.LessOrEqual(t, s.stack.fragments.Octets(), reassembly.DefaultMaxFragments*2304)
		}
	}
	require.Zero(t, s.stack.fragments.Octets(), "each is given up as a whole")
	require.EqualValues(t, 100, s.link.Counters().IPv4.ReasmFails)
	s.recvAll(inFragments(udpTo(them4, us4, 1000, 7, noise(4000)), 1, 1448))
	s.wantDatagram(e, noise(4000), "192.168.69.100:1000")
}

func TestFragmentsAllocateNothing(t *testing.T) {
	if !countsAllocations {
		t.Skip("allocations are not to be counted in this build")
	}
	for _, once := range datagramsInFragments(t) {
		for range 100 {
			once()
		}
		require.Zero(t, testing.AllocsPerRun(100, once))
	}
}

// datagramsInFragments are what has a datagram of 65,000 octets come in, by IPv4 and by IPv6.
func datagramsInFragments(t testing.TB) (once []func()) {
	stack, err := New(epoch, Config{Rand: seeded()})
	require.NoError(t, err)
	t.Cleanup(func() { stack.Close(epoch) })
	link, err := stack.AddInterface(epoch, InterfaceConfig{Device: &testDevice{ethernet(1500)}, HardwareAddr: ourHardware, DuplicateDetection: DetectNone,
		Addresses: []netip.Prefix{netip.PrefixFrom(us4, 24), netip.PrefixFrom(us6, 64)}})
	require.NoError(t, err)
	for _, pair := range [][2]netip.Addr{{them4, us4}, {them6, us6}} {
		e, err := stack.UDP().Bind(udp.BindConfig{Local: netip.AddrPortFrom(pair[1], 7)})
		require.NoError(t, err)
		frames := toUsAll(inFragments(udpTo(pair[0], pair[1], 1000, 7, noise(65_000)), 1, 1448))
		pkts := make([]*packet.Packet, len(frames))
		once = append(once, func() {
			for i, frame := range frames {
				pkts[i] = packetOf(frame)
			}
			stack.Input(epoch, link, pkts)
			p, _, ok := e.Receive()
			if !ok || p.Len() != 65_000 {
				t.Fatal("it did not arrive")
			}
			p.Release()
		})
	}
	return once
}

func BenchmarkReassembly(b *testing.B) {
	for i, once := range datagramsInFragments(b) {
		b.Run(fmt.Sprintf("IPv%d", 4+2*i), func(b *testing.B) {
			b.SetBytes(65_000)
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
		})
	}
}
