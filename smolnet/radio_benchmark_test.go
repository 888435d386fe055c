package smolnet_test

import (
	"io"
	"net/netip"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/dev/radio"
	"github.com/smolnet/smolnet/smolnet"
)

// TCP between two nodes, as fast as they can: the air takes no time. Every frame has 125 octets at most, and the headers of the MAC, of
// 6LoWPAN, and a share of TCP's in them. Octets are those of TCP's payload.
func BenchmarkRadio(b *testing.B) {
	for _, bb := range []struct {
		name   string
		config core.IEEE802154Config
		kind   radio.Config
		procs  int
	}{
		{"default", core.IEEE802154Config{}, radio.Config{Lossless: true, Acknowledges: true}, 0},
		{"default-one-core", core.IEEE802154Config{}, radio.Config{Lossless: true, Acknowledges: true}, 1},
		{"segments-of-1220", core.IEEE802154Config{SegmentFrames: 20}, radio.Config{Lossless: true, Acknowledges: true}, 0},
		{"segments-of-1220-one-core", core.IEEE802154Config{SegmentFrames: 20}, radio.Config{Lossless: true, Acknowledges: true}, 1},
		{"acknowledged-by-the-stacks-one-core", core.IEEE802154Config{}, radio.Config{Lossless: true}, 1},
	} {
		b.Run(bb.name, func(b *testing.B) {
			if bb.procs > 0 {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(bb.procs))
			}
			medium := radio.New(bb.kind)
			first := radioNode(b, medium, 1, radio.NodeConfig{}, smolnet.Interface{IEEE802154: &bb.config})
			second := radioNode(b, medium, 2, radio.NodeConfig{}, smolnet.Interface{IEEE802154: &bb.config})
			l, err := second.Listen("tcp", "[::]:7")
			require.NoError(b, err)
			defer l.Close()
			c, err := first.Dial("tcp", netip.AddrPortFrom(radioAddr(b, second), 7).String())
			require.NoError(b, err)
			defer c.Close()
			peer, err := l.Accept()
			require.NoError(b, err)
			defer peer.Close()
			const size = 64 << 10
			done := make(chan error)
			go func() {
				_, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{peer}, make([]byte, size))
				done <- err
			}()
			buffer := make([]byte, size)
			b.SetBytes(size)
			b.ReportAllocs()
			frames := first.Links()[1].Counters().Link
			b.ResetTimer()
			for range b.N {
				if _, err := c.Write(buffer); err != nil {
					b.Fatal(err)
				}
			}
			require.NoError(b, c.(*smolnet.TCPConn).CloseWrite())
			require.NoError(b, <-done)
			b.StopTimer()
			sent := first.Links()[1].Counters().Link
			b.ReportMetric(float64(sent.OutFrames-frames.OutFrames)/b.Elapsed().Seconds(), "frames/s")
			b.ReportMetric(float64(sent.OutOctets-frames.OutOctets)*8/1e9/b.Elapsed().Seconds(), "Gbit/s")
		})
	}
}
