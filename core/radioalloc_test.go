package core

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ieee802154"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
)

// newRadioWired is two stacks on radios, A and B, between which a test carries frames.
func newRadioWired(t testing.TB, acknowledges bool, security *ieee802154.SecurityConfig) *wired {
	w := &wired{now: epoch}
	caps := radioCaps(1280)
	caps.Acknowledges = acknowledges
	for i, eui := range [][8]byte{euiA, euiB} {
		var err error
		w.stacks[i], err = New(epoch, Config{Rand: seeded()})
		require.NoError(t, err)
		w.links[i], err = w.stacks[i].AddInterface(epoch, InterfaceConfig{Device: &testDevice{caps},
			IEEE802154: &IEEE802154Config{PAN: radioPAN, EUI64: eui, Security: security}})
		require.NoError(t, err)
		t.Cleanup(func() { w.stacks[i].Close(w.now) })
	}
	return w
}

// connectRadio establishes a connection from A to B.
func (w *wired) connectRadio(t testing.TB) (client, server *tcp.Conn) {
	l, err := w.stacks[1].TCP().Listen(tcp.ListenConfig{Local: addrPort("[::]:80")})
	require.NoError(t, err)
	client, err = w.stacks[0].TCP().Dial(w.now, tcp.DialConfig{Remote: netip.AddrPortFrom(linkB, 80), Link: w.links[0].Index()})
	require.NoError(t, err)
	w.carry()
	server = l.Accept()
	require.NotNil(t, server)
	return client, server
}

// echoes has A send a datagram to B, which answers it.
func (w *wired) echoes(t testing.TB, octets int) func() {
	var ends [2]*udp.Endpoint
	for i := range ends {
		var err error
		ends[i], err = w.stacks[i].UDP().Bind(udp.BindConfig{Local: addrPort("[::]:7")})
		require.NoError(t, err)
	}
	return func() {
		p := packet.New(octets)
		p.Append(octets)
		if err := ends[0].Send(w.now, p, netip.AddrPortFrom(linkB, 7), w.links[0].Index()); err != nil {
			t.Fatal(err)
		}
		w.carry()
		p, from, ok := ends[1].Receive()
		if !ok || p.Len() != octets {
			t.Fatal("it did not arrive")
		}
		if err := ends[1].Send(w.now, p, from, w.links[1].Index()); err != nil {
			t.Fatal(err)
		}
		w.carry()
		if p, _, ok = ends[0].Receive(); !ok || p.Len() != octets {
			t.Fatal("it did not come back")
		}
		p.Release()
		w.now = w.now.Add(10 * time.Millisecond)
	}
}

// radioKinds are the ways in which frames go to and fro.
var radioKinds = []struct {
	name         string
	acknowledges bool // by the device
	security     *ieee802154.SecurityConfig
}{
	{"acknowledged by the stack", false, nil},
	{"acknowledged by the device", true, nil},
	{"secured", true, &ieee802154.SecurityConfig{Keys: []ieee802154.Key{radioKey}}},
}

// radioSizes are those of datagrams.
var radioSizes = []struct {
	name   string
	octets int
}{{"in a frame", 20}, {"in fragments", 1000}}

func TestRadioAllocatesNothing(t *testing.T) {
	if !countsAllocations {
		t.Skip("allocations are not to be counted in this build")
	}
	for _, tc := range radioKinds {
		for _, size := range radioSizes {
			t.Run("a datagram "+size.name+", "+tc.name, func(t *testing.T) {
				once := newRadioWired(t, tc.acknowledges, tc.security).echoes(t, size.octets)
				for range 200 {
					once()
				}
				require.Zero(t, testing.AllocsPerRun(200, once))
			})
		}
		t.Run("segments, "+tc.name, func(t *testing.T) {
			w := newRadioWired(t, tc.acknowledges, tc.security)
			client, server := w.connectRadio(t)
			once := func() {
				w.move(t, client, server, 5000)
				w.move(t, server, client, 1)
			}
			for range 300 {
				once()
			}
			require.Zero(t, testing.AllocsPerRun(200, once))
		})
	}
}

func BenchmarkRadio(b *testing.B) {
	for _, tc := range radioKinds {
		for _, size := range radioSizes {
			b.Run("echo "+size.name+", "+tc.name, func(b *testing.B) {
				once := newRadioWired(b, tc.acknowledges, tc.security).echoes(b, size.octets)
				b.SetBytes(int64(2 * size.octets))
				b.ReportAllocs()
				for b.Loop() {
					once()
				}
			})
		}
		b.Run("segments, "+tc.name, func(b *testing.B) {
			w := newRadioWired(b, tc.acknowledges, tc.security)
			client, server := w.connectRadio(b)
			const octets = 60_000
			for range 100 {
				w.move(b, client, server, octets)
			}
			b.SetBytes(octets)
			b.ReportAllocs()
			for b.Loop() {
				w.move(b, client, server, octets)
			}
		})
	}
}
