package fault_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/fault"
	"github.com/smolnet/smolnet/dev/pipe"
)

// FuzzSend: whatever is in a frame, and whatever a packet claims of it, the device does no harm but to the frame, and all frames are
// accounted for.
func FuzzSend(f *testing.F) {
	segment := wire.TCPRepr{SrcPort: 1, DstPort: 2, Flags: wire.TCPAck}
	b := make([]byte, wire.IPv4HeaderLen+segment.Len()+100)
	segment.Emit(b[wire.IPv4HeaderLen:])
	header := wire.IPv4Repr{
		Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("192.0.2.2"), Protocol: 6, TTL: 64, TOS: 2,
		PayloadLen: len(b) - wire.IPv4HeaderLen,
	}
	header.Emit(b)
	f.Add(b, false, uint16(0), false, uint64(1))
	f.Add(b, false, uint16(40), true, uint64(2))
	f.Add(append(make([]byte, wire.EthernetHeaderLen), b...), true, uint16(1), true, uint64(3))
	f.Fuzz(func(t *testing.T, b []byte, ethernet bool, segmentSize uint16, verified bool, seed uint64) {
		const mtu = 65535
		link := pipe.Config{
			Medium: dev.IP, MTU: mtu, Queue: 1 << 17, SegmentTCP4: true, SegmentTCP6: true,
			Checksum: dev.Checksums{IPv4: dev.ChecksumNone, TCP: dev.ChecksumNone, UDP: dev.ChecksumNone, ICMPv4: dev.ChecksumNone, ICMPv6: dev.ChecksumNone},
		}
		if ethernet {
			link.Medium = dev.Ethernet
		}
		if len(b) == 0 || len(b) > mtu {
			return
		}
		faults := fault.Direction{Drop: 0.1, Corrupt: 0.3, Duplicate: 0.3, Reorder: 0.3, Mark: 0.5, Jitter: time.Millisecond}
		w := wrap(t, link, fault.Config{Seed: seed, Out: faults})
		p := packet.New(len(b))
		copy(p.Append(len(b)), b)
		p.SegmentSize = segmentSize
		if verified {
			p.Checksum = packet.ChecksumVerified
		}
		n, err := w.d.Send(epoch, []*packet.Packet{p})
		if err != nil {
			p.Release()
			return
		}
		require.Equal(t, 1, n)
		for i := range 100 {
			_, err := w.d.Send(at(time.Duration(i)*time.Millisecond), nil)
			require.NoError(t, err)
		}
		arrived := w.frames(w.other, at(time.Second))
		for _, frame := range arrived {
			require.LessOrEqual(t, len(frame), len(b))
		}
		out, _ := w.d.Counters()
		require.EqualValues(t, out.Passed, len(arrived))
		require.Equal(t, out.Frames+out.Duplicated, out.Passed+out.Dropped.Total())
	})
}
