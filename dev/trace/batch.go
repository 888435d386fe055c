package trace

import (
	"time"

	"github.com/smolnet/smolnet/core/packet"
)

// batch is frames copied from packets that are about to be somebody else's.
type batch struct {
	frames []Frame
	octets []byte // of all of them, one after the other
	ends   []int  // where in octets each ends
}

func (b *batch) add(now time.Time, direction Direction, p *packet.Packet) {
	f := Frame{
		Time:        now,
		Direction:   direction,
		SegmentSize: int(p.SegmentSize),
		Checksum:    p.Checksum,
	}
	if p.Checksum == packet.ChecksumPartial {
		f.transport, f.field = p.PartialChecksum()
	}
	for _, piece := range p.Pieces() {
		b.octets = append(b.octets, piece...)
	}
	b.frames = append(b.frames, f)
	b.ends = append(b.ends, len(b.octets))
}

// frame returns the frame number i, which is good until reset.
func (b *batch) frame(i int) *Frame {
	start := 0
	if i > 0 {
		start = b.ends[i-1]
	}
	f := &b.frames[i]
	f.Octets = b.octets[start:b.ends[i]:b.ends[i]]
	return f
}

func (b *batch) reset() {
	clear(b.frames) // they would keep an outgrown buffer from the garbage collector
	b.frames, b.octets, b.ends = b.frames[:0], b.octets[:0], b.ends[:0]
}
