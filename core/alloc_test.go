package core

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/storage"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/dev"
)

// wired is two stacks whose frames a test carries from one to the other.
type wired struct {
	stacks [2]*Stack
	links  [2]*Interface
	now    time.Time
	batch  [64]*packet.Packet
}

func newWired(t testing.TB, caps dev.Capabilities) *wired {
	w := &wired{now: epoch}
	for i := range w.stacks {
		var err error
		w.stacks[i], err = New(epoch, Config{Rand: seeded()})
		require.NoError(t, err)
		address := []string{"192.168.69.1/24", "192.168.69.100/24"}[i]
		hw := ourHardware
		if i == 1 {
			hw = theirHardware
		}
		w.links[i], err = w.stacks[i].AddInterface(epoch, InterfaceConfig{Device: &testDevice{caps}, HardwareAddr: hw, DuplicateDetection: DetectNone, Addresses: []netip.Prefix{prefix(address)}})
		require.NoError(t, err)
		t.Cleanup(func() { w.stacks[i].Close(w.now) })
	}
	return w
}

// carry takes frames to and fro until there are none, and returns how many there were.
func (w *wired) carry() (frames int) {
	for {
		before := frames
		for i := range w.stacks {
			n := w.stacks[i].Output(w.now, w.links[i], w.batch[:])
			w.stacks[1-i].Input(w.now, w.links[1-i], w.batch[:n])
			frames += n
		}
		if frames == before {
			return frames
		}
	}
}

// connect establishes a connection from the first stack to the second.
func (w *wired) connect(t testing.TB) (client, server *tcp.Conn) {
	l, err := w.stacks[1].TCP().Listen(tcp.ListenConfig{Local: addrPort("0.0.0.0:80")})
	require.NoError(t, err)
	client, err = w.stacks[0].TCP().Dial(w.now, tcp.DialConfig{Remote: addrPort("192.168.69.100:80")})
	require.NoError(t, err)
	w.carry()
	server = l.Accept()
	require.NotNil(t, server)
	return client, server
}

// move sends octets from one connection to the other.
func (w *wired) move(t testing.TB, from, to *tcp.Conn, octets int) {
	var f storage.Fill
	n, err := from.Reserve(&f, octets)
	if n != octets || err != nil {
		t.Fatal(n, err)
	}
	for n > 0 {
		b := f.Buffer()
		b = b[:min(len(b), n)]
		f.Advance(len(b))
		n -= len(b)
	}
	from.Commit(w.now, &f)
	w.carry()
	var q storage.Queue
	got := to.Receive(to.Received(), &q)
	if got != octets {
		t.Fatal(got, "octets of", octets)
	}
	to.Consumed(w.now, got)
	q.Reset()
	w.carry()
	w.now = w.now.Add(time.Millisecond)
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	if !countsAllocations {
		t.Skip("allocations are not to be counted in this build")
	}
	for _, tc := range []struct {
		name   string
		caps   dev.Capabilities
		octets int
	}{
		{"bulk", ethernet(1500), 30000},
		{"one octet", ethernet(1500), 1},
		{"super-segments", dev.Capabilities{Medium: dev.Ethernet, MTU: 1500, SegmentTCP4: true,
			Checksum: dev.Checksums{TCP: dev.ChecksumNone}}, 30000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWired(t, tc.caps)
			client, server := w.connect(t)
			there := func() {
				w.move(t, client, server, tc.octets)
				w.move(t, server, client, tc.octets)
			}
			for range 200 {
				there()
			}
			require.Zero(t, testing.AllocsPerRun(200, there))
		})
	}
}

func TestInputAndOutputAllocateNothing(t *testing.T) {
	if !countsAllocations {
		t.Skip("allocations are not to be counted in this build")
	}
	s := newScript(t).knowing()
	e := s.bind("0.0.0.0:7")
	for _, tc := range []struct {
		name  string
		frame []byte
		sent  int
	}{
		{"echo", toUs(echo4(them4, us4, "hello")), 1},
		{"echo, IPv6", toUs(echo6(them6, us6, "hello")), 1},
		{"datagram", toUs(udpTo(them4, us4, 1000, 7, "hello")), 0},
		{"not ours", toUs(udpTo(them4, addr("192.168.69.7"), 1000, 7, "hello")), 0},
		{"fragment", toUs(rechecked(patched(udpTo(them4, us4, 1000, 7, "hello"), 6, 0x20, 0))), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pkts := make([]*packet.Packet, 4)
			once := func() {
				pkts[0] = packetOf(tc.frame)
				s.stack.Input(s.now, s.link, pkts[:1])
				n := s.stack.Output(s.now, s.link, pkts)
				if n != tc.sent {
					t.Fatal(n, "packets sent")
				}
				for i := range n {
					pkts[i].Release()
				}
				if p, _, ok := e.Receive(); ok {
					p.Release()
				}
			}
			require.Zero(t, testing.AllocsPerRun(100, once))
		})
	}
}

func BenchmarkSegments(b *testing.B) {
	for _, bc := range []struct {
		name   string
		caps   dev.Capabilities
		octets int
	}{
		{"mtu=1500", ethernet(1500), 60000},
		{"one octet", ethernet(1500), 1},
		{"super-segments", dev.Capabilities{Medium: dev.Ethernet, MTU: 1500, SegmentTCP4: true,
			Checksum: dev.Checksums{TCP: dev.ChecksumNone}}, 60000},
	} {
		b.Run(bc.name, func(b *testing.B) {
			w := newWired(b, bc.caps)
			client, server := w.connect(b)
			for range 100 {
				w.move(b, client, server, bc.octets)
			}
			b.SetBytes(int64(bc.octets))
			b.ReportAllocs()
			for b.Loop() {
				w.move(b, client, server, bc.octets)
			}
		})
	}
}

func BenchmarkEcho(b *testing.B) {
	w := newWired(b, ethernet(1500))
	require.NoError(b, w.links[0].Neighbours().Static(0, them4, theirHardware.LinkAddr()))
	frame := toUs(echo4(them4, us4, "hello"))
	pkts := make([]*packet.Packet, 1)
	b.ReportAllocs()
	for b.Loop() {
		pkts[0] = packetOf(frame)
		w.stacks[0].Input(epoch, w.links[0], pkts)
		w.stacks[0].Output(epoch, w.links[0], pkts)
		pkts[0].Release()
	}
}
