package lowpan

import (
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// Cut is how a packet is cut into fragments, and how far that has come. A packet that fits in its frame as it is, with
// p.Len() <= room, is not to be cut:
//
// "If an entire payload (e.g., IPv6) datagram fits within a single 802.15.4 frame, it is unfragmented and the LoWPAN
// encapsulation should not contain a fragmentation header."
// https://www.rfc-editor.org/rfc/rfc4944.html#section-5.3
type Cut struct {
	compressed int // octets of headers at the front of the packet
	saved      int // from a place behind them in the packet to the same place in the datagram, in octets
	next       int // where in the packet the next fragment begins
	size       int // of the datagram, in octets
	tag        uint16
}

// NewCut begins to cut p, which begins with so many octets of compressed headers, dispatch included, that stand for so many
// without compression. All fragments have the tag, which is the next number for each datagram that leaves by an interface in
// fragments; from 65535 it goes on at 0. ok is false if the datagram is longer than wire.LowpanMaxDatagramSize.
func NewCut(p *packet.Packet, compressed, uncompressed int, tag uint16) (c Cut, ok bool) {
	saved := uncompressed - compressed
	size := p.Len() + saved
	if size > wire.LowpanMaxDatagramSize {
		return Cut{}, false
	}
	return Cut{compressed: compressed, saved: saved, size: size, tag: tag}, true
}

// More reports whether fragments are still to be made.
func (c *Cut) More() bool { return c.next+c.saved < c.size }

// Next returns the next fragment of p, the packet that the cut was begun with, which it leaves as it is. It begins with its
// fragmentation header, is at most room octets long, has packet.Headroom before it and the IP field of p. room may be another for
// each fragment. If it is too small for any, Next returns nil; for the first fragment that is so if the compressed headers do not
// fit in it:
//
// "When using the fragmentation mechanism described in Section 5.3 of [RFC4944], any header that cannot fit within the first
// fragment MUST NOT be compressed."
// https://www.rfc-editor.org/rfc/rfc6282.html#section-2
//
// The caller may then try again with fewer headers compressed. Next must not be called once More reports false.
//
// The octets are copied, once: a fragment is shorter than what it would cost to share them.
func (c *Cut) Next(p *packet.Packet, room int) *packet.Packet {
	header := wire.LowpanFragment{DatagramSize: c.size, Tag: c.tag}
	var n int
	if c.next == 0 {
		n = firstPart(room, c.compressed, c.compressed+c.saved, p.Len())
	} else {
		header.Offset = c.next + c.saved
		n = laterPart(room, p.Len()-c.next)
	}
	if n <= 0 {
		return nil
	}
	before := header.Len()
	q := packet.New(before + n)
	b := q.Append(before + n)
	header.Emit(b)
	p.CopyTo(b[before:], c.next)
	q.IP = p.IP
	c.next += n
	return q
}

// firstPart is how many octets of a packet of the given length, which begins with compressed headers, its first fragment carries
// in a frame with room for so many octets. Zero or less: its headers do not fit.
//
// "As the fragment offset can only express multiples of eight bytes, all link fragments for a datagram except the last one MUST
// be multiples of eight bytes in length."
// https://www.rfc-editor.org/rfc/rfc4944.html#section-5.3
// That is without compression: offsets count so.
func firstPart(room, compressed, uncompressed, length int) int {
	n := room - wire.LowpanFirstFragmentLen
	if n >= length {
		return length
	}
	end := (n + uncompressed - compressed) &^ (unit - 1) // in the datagram
	if end < max(uncompressed, unit) {
		return 0
	}
	return compressed + end - uncompressed
}

// laterPart is how many octets a fragment but the first carries in a frame with room for so many octets, if so many are left.
// Zero or less: none.
func laterPart(room, left int) int {
	n := room - wire.LowpanLaterFragmentLen
	if n >= left {
		return left
	}
	return n &^ (unit - 1)
}

// Frames is how many frames, each with room for so many octets, a packet takes whose headers are so long, compressed and without
// compression, with so many octets of payload behind them. It is 1 if the packet fits as it is, and 0 if no frames carry it.
func Frames(room, compressed, uncompressed, payload int) int {
	length := compressed + payload
	if length <= room {
		return 1
	}
	first, next := firstPart(room, compressed, uncompressed, length), (room-wire.LowpanLaterFragmentLen)&^(unit-1)
	if first <= 0 || uncompressed+payload > wire.LowpanMaxDatagramSize {
		return 0
	}
	left := length - first
	switch {
	case left <= room-wire.LowpanLaterFragmentLen:
		return 2
	case next <= 0:
		return 0
	}
	// The last may be as long as the room; the others are of whole units.
	return 2 + (left-(room-wire.LowpanLaterFragmentLen)+next-1)/next
}

// Payload is the most octets of payload that a packet with such headers carries in so many frames, and so what a TCP whose
// segments are to take few frames chooses them by. It is negative if no frames carry even the headers.
func Payload(room, compressed, uncompressed, frames int) int {
	whole := room - compressed
	if frames < 2 {
		return whole
	}
	first := firstPart(room, compressed, uncompressed, wire.LowpanMaxDatagramSize+compressed)
	last := room - wire.LowpanLaterFragmentLen
	if first <= 0 || last <= 0 {
		return whole
	}
	return max(whole, min(first-compressed+(frames-2)*(last&^(unit-1))+last, wire.LowpanMaxDatagramSize-uncompressed))
}
