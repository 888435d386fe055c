package smolnet_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// links are what throughput is measured on. Offloads are off and checksums on, except where the name says otherwise
// and on the built-in loopback, which needs neither.
//
// A dev/loopback with an MTU of 1500 is not among them, because no connection can cross it: what a stack sends to its
// own addresses takes the built-in loopback, and what a device delivers with such an address as its source is dropped.
// The work would be that of the pipe.
var links = []struct {
	name   string
	stacks func(testing.TB) (dialing, listening *smolnet.Stack)
	host   string
}{
	{"loopback", onLoopback, "127.0.0.1"},
	{"pipe-MTU-1500", onPipe, "192.168.69.100"},
	{"pipe-MTU-65535", func(t testing.TB) (_, _ *smolnet.Stack) { return newPair(t, pipe.Config{MTU: 65535}) }, "192.168.69.100"},
	{"pipe-MTU-1500-offloads", func(t testing.TB) (_, _ *smolnet.Stack) {
		return newPair(t, pipe.Config{
			Checksum:    dev.Checksums{TCP: dev.ChecksumNone},
			SegmentTCP4: true,
		})
	}, "192.168.69.100"},
}

func BenchmarkThroughput(b *testing.B) {
	for _, link := range links {
		b.Run(link.name, func(b *testing.B) {
			dialing, listening := link.stacks(b)
			c, peer := dial(b, dialing, listen(b, listening, "tcp", link.host+":0"))
			const size = 64 << 10
			done := make(chan error)
			go func() {
				buffer := make([]byte, size)
				for {
					if _, err := peer.Read(buffer); err != nil {
						done <- err
						return
					}
				}
			}()
			buffer := make([]byte, size)
			b.SetBytes(size)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if _, err := c.Write(buffer); err != nil {
					b.Fatal(err)
				}
			}
			require.NoError(b, c.CloseWrite())
			require.Equal(b, io.EOF, <-done)
		})
	}
}

func BenchmarkStreams(b *testing.B) {
	const streams = 16
	for _, link := range links {
		b.Run(link.name, func(b *testing.B) {
			dialing, listening := link.stacks(b)
			l := listen(b, listening, "tcp", link.host+":0")
			const size = 64 << 10
			done := make(chan error)
			for i := range streams {
				c, peer := dial(b, dialing, l)
				go func() {
					_, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{peer}, make([]byte, size))
					done <- err
				}()
				go func() {
					buffer := make([]byte, size)
					for range (b.N + i) / streams {
						c.Write(buffer)
					}
					c.CloseWrite()
				}()
			}
			b.SetBytes(size)
			b.ReportAllocs()
			b.ResetTimer()
			for range streams {
				require.NoError(b, <-done)
			}
		})
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, link := range links[:2] {
		b.Run(link.name, func(b *testing.B) {
			dialing, listening := link.stacks(b)
			c, peer := dial(b, dialing, listen(b, listening, "tcp", link.host+":0"))
			go func() {
				buffer := make([]byte, 1)
				for {
					if _, err := peer.Read(buffer); err != nil {
						return
					}
					if _, err := peer.Write(buffer); err != nil {
						return
					}
				}
			}()
			buffer := make([]byte, 1)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if _, err := c.Write(buffer); err != nil {
					b.Fatal(err)
				}
				if _, err := c.Read(buffer); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "round-trips/s")
		})
	}
}

func BenchmarkDatagrams(b *testing.B) {
	for _, link := range links[:2] {
		b.Run(link.name, func(b *testing.B) {
			dialing, listening := link.stacks(b)
			server := bind(b, listening, "udp", link.host+":0")
			c, err := dialing.Dial("udp", server.LocalAddr().String())
			require.NoError(b, err)
			defer c.Close()
			go func() {
				buffer := make([]byte, 1400)
				for {
					n, from, err := server.ReadFromUDPAddrPort(buffer)
					if err != nil {
						return
					}
					if _, err := server.WriteToUDPAddrPort(buffer[:n], from); err != nil {
						return
					}
				}
			}()
			buffer := make([]byte, 1400)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if _, err := c.Write(buffer); err != nil {
					b.Fatal(err)
				}
				if _, err := c.Read(buffer); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "round-trips/s")
		})
	}
}

func BenchmarkConnect(b *testing.B) {
	for _, link := range links[:2] {
		b.Run(link.name, func(b *testing.B) {
			dialing, listening := link.stacks(b)
			l := listen(b, listening, "tcp", link.host+":0")
			b.ReportAllocs()
			for range b.N {
				c, err := dialing.Dial("tcp", l.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				peer, err := l.Accept()
				if err != nil {
					b.Fatal(err)
				}
				// Without this the ports of connections in TIME-WAIT would run out.
				if err := c.(*smolnet.TCPConn).SetLinger(0); err != nil {
					b.Fatal(err)
				}
				c.Close()
				peer.Close()
			}
		})
	}
}
