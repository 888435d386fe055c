package core

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/tcp"
)

// newWiredRadios is newWired with radios, which acknowledge frames themselves or have the stacks do it.
func newWiredRadios(t testing.TB, config IEEE802154Config, acknowledge bool) *wired {
	w := &wired{now: epoch}
	for i := range w.stacks {
		var err error
		w.stacks[i], err = New(epoch, Config{Rand: seeded()})
		require.NoError(t, err)
		caps := radioCaps(1280)
		caps.EUI64, caps.Acknowledges = [8]byte{0: 2, 7: byte(i + 1)}, acknowledge
		w.links[i], err = w.stacks[i].AddInterface(epoch, InterfaceConfig{Device: &testDevice{caps}, IEEE802154: &config})
		require.NoError(t, err)
		t.Cleanup(func() { w.stacks[i].Close(w.now) })
	}
	w.carry()
	return w
}

// connectRadios establishes a connection from the first stack to the second.
func (w *wired) connectRadios(t testing.TB) (client, server *tcp.Conn) {
	l, err := w.stacks[1].TCP().Listen(tcp.ListenConfig{Local: addrPort("[::]:80")})
	require.NoError(t, err)
	client, err = w.stacks[0].TCP().Dial(w.now, tcp.DialConfig{Remote: addrPort("[fe80::2]:80"), Link: int32(w.links[0].Index())})
	require.NoError(t, err)
	w.carry()
	server = l.Accept()
	require.NotNil(t, server)
	return client, server
}

var wiredRadios = []struct {
	name        string
	config      IEEE802154Config
	acknowledge bool
}{
	{"default", IEEE802154Config{}, true},
	{"segments of 1220", IEEE802154Config{SegmentFrames: 20}, true},
	{"acknowledged by the stacks", IEEE802154Config{}, false},
}

func TestRadioSteadyStateAllocatesNothing(t *testing.T) {
	if !countsAllocations {
		t.Skip("allocations are not to be counted in this build")
	}
	for _, tc := range wiredRadios {
		t.Run(tc.name, func(t *testing.T) {
			w := newWiredRadios(t, tc.config, tc.acknowledge)
			client, server := w.connectRadios(t)
			there := func() {
				w.move(t, client, server, 4000)
				w.move(t, server, client, 4000)
			}
			for range 200 {
				there()
			}
			require.Zero(t, testing.AllocsPerRun(200, there))
		})
	}
}

func BenchmarkRadioSegments(b *testing.B) {
	const octets = 60000
	for _, bc := range wiredRadios {
		b.Run(bc.name, func(b *testing.B) {
			w := newWiredRadios(b, bc.config, bc.acknowledge)
			client, server := w.connectRadios(b)
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
