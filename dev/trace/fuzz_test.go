package trace_test

import (
	"io"
	"testing"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/loopback"
	"github.com/smolnet/smolnet/dev/trace"
)

// FuzzFrame has octets from anywhere pass, in both directions and through every offload, and arrive as they were.
func FuzzFrame(f *testing.F) {
	for _, octets := range [][]byte{nil, echo(), datagram(7, "x"), segment(10), segment(0)[:30]} {
		f.Add(octets, uint8(dev.IP), -1)
		f.Add(octets, uint8(dev.Ethernet), wire.IPv4HeaderLen)
		f.Add(octets, uint8(dev.IEEE802154), -1)
	}
	f.Fuzz(func(t *testing.T, octets []byte, number uint8, transport int) {
		medium := dev.Medium(number)
		if medium < dev.Ethernet || medium > dev.IEEE802154 || len(octets) > 2000 || medium == dev.IEEE802154 && len(octets) > 125 {
			return
		}
		handler, err := trace.New(loopback.New(loopback.Config{Medium: medium}), trace.Config{
			Handler: func(f *trace.Frame) error {
				f.CompleteChecksum()
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		d := traced(t, handler, trace.Config{Writer: io.Discard})
		p := hold(octets)
		if transport >= 0 && transport < 3000 {
			p.SetPartialChecksum(transport, wire.TCPChecksumField)
		}
		send(t, d, epoch, p)
		pkts := make([]*packet.Packet, 1)
		if n, err := d.Receive(epoch, pkts); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if string(pkts[0].Head()) != string(octets) {
			t.Fatal("the trace has changed what it shows")
		}
		pkts[0].Release()
	})
}
