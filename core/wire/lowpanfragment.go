package wire

import (
	"encoding/binary"
	"fmt"
)

// Lengths of fragmentation headers in octets, and what they can say.
const (
	LowpanFirstFragmentLen = 4
	LowpanLaterFragmentLen = 5
	// LowpanMaxDatagramSize is the size, in octets, of the largest datagram that can be fragmented.
	LowpanMaxDatagramSize = 1<<11 - 1
)

const (
	lowpanFRAG1        = 0xc0
	lowpanFRAGN        = 0xe0
	lowpanFragmentUnit = 8 // octets in which offsets are counted
)

// LowpanFragment is a fragmentation header: what follows it is part of a datagram.
//
// Sizes and offsets are those of the uncompressed packet, from its IPv6 header's first octet:
//
// "The value of datagram_size SHALL be the same for all link-layer fragments of an IP packet."
// https://www.rfc-editor.org/rfc/rfc4944.html#section-5.3
type LowpanFragment struct {
	DatagramSize int    // octets of the whole datagram, at most LowpanMaxDatagramSize
	Tag          uint16 // tells the sender's datagrams apart
	// Offset is where the fragment belongs, in octets: a multiple of 8, and 0 for the first alone. The first begins with a
	// dispatch of its own, the others with the datagram's octets.
	Offset int
}

// First reports whether it is the datagram's first fragment.
func (f *LowpanFragment) First() bool { return f.Offset == 0 }

// Parse sets f to what the header that b begins with says. The error is ErrLowpanDispatch if there is no such header,
// ErrTruncated if b is shorter than it, ErrLowpanSize if the datagram has no room for an IPv6 header, and ErrLowpanOffset if
// the fragment begins, or its octets behind the header end, outside the datagram, or if it is a later one at offset 0.
func (f *LowpanFragment) Parse(b []byte) error {
	dispatch := ParseLowpanDispatch(b)
	n := LowpanFirstFragmentLen
	switch {
	case dispatch == LowpanFRAGN:
		n = LowpanLaterFragmentLen
	case len(b) == 0:
		return ErrTruncated
	case dispatch != LowpanFRAG1:
		return ErrLowpanDispatch
	}
	if len(b) < n {
		return ErrTruncated
	}
	*f = LowpanFragment{DatagramSize: int(binary.BigEndian.Uint16(b) & LowpanMaxDatagramSize), Tag: binary.BigEndian.Uint16(b[2:])}
	if f.DatagramSize < IPv6HeaderLen {
		return ErrLowpanSize
	}
	if dispatch == LowpanFRAG1 {
		return nil
	}
	f.Offset = int(b[4]) * lowpanFragmentUnit
	if f.Offset == 0 || f.Offset >= f.DatagramSize || f.Offset+len(b)-n > f.DatagramSize {
		return ErrLowpanOffset
	}
	return nil
}

// Len is the number of octets that Emit writes.
func (f *LowpanFragment) Len() int {
	if f.First() {
		return LowpanFirstFragmentLen
	}
	return LowpanLaterFragmentLen
}

// Emit writes the header to the front of b. It panics if b is shorter than Len.
func (f *LowpanFragment) Emit(b []byte) {
	size := uint16(f.DatagramSize) & LowpanMaxDatagramSize
	if f.First() {
		binary.BigEndian.PutUint32(b, (lowpanFRAG1<<8|uint32(size))<<16|uint32(f.Tag))
		return
	}
	b[4] = uint8(f.Offset / lowpanFragmentUnit)
	binary.BigEndian.PutUint32(b, (lowpanFRAGN<<8|uint32(size))<<16|uint32(f.Tag))
}

// String prints the header on one line: "FRAG1 size 1248, tag 0x0003", "FRAGN size 1248, tag 0x0003, offset 96".
func (f *LowpanFragment) String() string {
	if f.First() {
		return fmt.Sprintf("FRAG1 size %d, tag 0x%04x", f.DatagramSize, f.Tag)
	}
	return fmt.Sprintf("FRAGN size %d, tag 0x%04x, offset %d", f.DatagramSize, f.Tag, f.Offset)
}
