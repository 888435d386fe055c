package tuntap_test

import (
	"net"
	"testing"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/tuntap"
)

// receiveAll throws away what has arrived.
func receiveAll(d *tuntap.Device) (n int, octets int64) {
	pkts := make([]*packet.Packet, 32)
	for {
		got, err := d.Receive(time.Time{}, pkts)
		if got == 0 || err != nil {
			return n, octets
		}
		for _, p := range pkts[:got] {
			octets += int64(p.Len())
			p.Release()
		}
		n += got
	}
}

// UDP datagrams to a port that nobody listens on would be answered; those to a socket that nobody reads are dropped
// there, after all of the kernel's way up.
func BenchmarkTapSend(b *testing.B) {
	k := newPeer(b, dev.Ethernet, tuntap.Config{})
	k.listen(4)
	datagram := make([]byte, 1480)
	copy(datagram, []byte{0x10, 0, 0, 7, 1480 >> 8, 1480 & 0xff})
	first := k.packet(4, protocolUDP, datagram, 6, true)
	defer first.Release()
	pkts := make([]*packet.Packet, 32)
	b.SetBytes(int64(first.Len()))
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += len(pkts) {
		for i := range pkts {
			pkts[i] = first.Clone()
		}
		k.send(pkts...)
	}
}

// The kernel refuses the segments, being no part of a connection, but takes them first.
func BenchmarkTapSendSuperSegments(b *testing.B) {
	converse(b, dev.Ethernet, 4, tuntap.Config{}, func(c *conversation, _ net.Conn) {
		first := c.segment(ack, nil, noise(60000), true)
		first.SegmentSize = mss
		defer first.Release()
		pkts := make([]*packet.Packet, 8)
		b.SetBytes(int64(first.Len()))
		b.ReportAllocs()
		b.ResetTimer()
		for i := 0; i < b.N; i += len(pkts) {
			for i := range pkts {
				pkts[i] = first.Clone()
			}
			c.send(pkts...)
			receiveAll(c.device)
		}
		b.StopTimer()
	})
}

// The kernel sends a stream as fast as it is acknowledged.
func BenchmarkTapReceiveStream(b *testing.B) {
	for _, way := range []struct {
		name string
		cfg  tuntap.Config
	}{{"offloads", tuntap.Config{}}, {"plain", tuntap.Config{NoOffload: true}}} {
		b.Run(way.name, func(b *testing.B) {
			converse(b, dev.Ethernet, 4, way.cfg, func(c *conversation, conn net.Conn) {
				const size = 1 << 16
				_ = conn.SetDeadline(time.Time{})
				go func() {
					block := noise(size)
					for {
						if _, err := conn.Write(block); err != nil {
							return
						}
					}
				}()
				b.SetBytes(size)
				b.ReportAllocs()
				b.ResetTimer()
				pkts := make([]*packet.Packet, 32)
				packets := 0
				for left := int64(b.N) * size; left > 0; {
					if err := c.device.WaitReceive(); err != nil {
						b.Fatal(err)
					}
					n, err := c.device.Receive(time.Time{}, pkts)
					if err != nil {
						b.Fatal(err)
					}
					before := packets
					for _, p := range pkts[:n] {
						if head := p.Head(); head[12] == 8 && head[13] == 0 && head[23] == protocolTCP {
							left -= int64(c.take(head[34:], p.Len()-54))
							packets++
						}
						p.Release()
					}
					if packets > before {
						c.send(c.segment(ack, nil, nil, true))
					}
				}
				b.StopTimer()
				b.ReportMetric(float64(packets)/float64(b.N), "packets/op")
			})
		})
	}
}
