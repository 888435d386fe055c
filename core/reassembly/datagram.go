package reassembly

import (
	"bytes"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// datagram is what has come of one datagram.
type datagram struct {
	table     *Table
	key       Key
	abandoned Cause // why it was given up; None: it was not

	// The fragments are linked by Next in the order of their offsets, which are in Seq, and begin with their payload.
	first, last *packet.Packet
	count       int
	octets      int // of memory
	received    int // octets of the datagram that are here
	length      int // octets of the datagram; unknown until its last fragment has come
	headerLen   int // of the fragment at offset zero; 0 until that has come
	ecn         uint8
	group       bool

	timer      timer.Timer
	prev, next *datagram
}

// unknown is the length of a datagram whose last fragment has not come.
const unknown = -1

// longest is the length of the longest packet as Fragment counts it, with all headers.
func (k *Key) longest() int {
	if k.Src.Is4() {
		return wire.IPv4MaxLen
	}
	return wire.IPv6HeaderLen + wire.IPv6MaxPayloadLen + wire.IPv6FragmentLen
}

// Expire forgets the datagram. The timer heap calls it.
func (d *datagram) Expire(now int64) { d.table.giveUp(now, d, TimedOut) }

// end is where the fragment p, which is one of the datagram's, ends in it.
func end(p *packet.Packet) int { return int(p.Seq) + p.Len() }

// before returns the last fragment that does not begin behind offset, nil if there is none.
func (d *datagram) before(offset int) *packet.Packet {
	if d.last != nil && int(d.last.Seq) <= offset {
		return d.last // the next in order, as it should be
	}
	var found *packet.Packet
	for p := d.first; p != nil && int(p.Seq) <= offset; p = p.Next {
		found = p
	}
	return found
}

// after returns the fragment behind p, or the first if p is nil.
func (d *datagram) after(p *packet.Packet) *packet.Packet {
	if p == nil {
		return d.first
	}
	return p.Next
}

// judge returns what is wrong with a fragment, given those that are here.
func (d *datagram) judge(f *Fragment, p *packet.Packet) Cause {
	if d.abandoned != None {
		return d.abandoned
	}
	ends := f.Offset + p.Len() - f.HeaderLen
	before := d.before(f.Offset)
	after := d.after(before)
	switch {
	case before != nil && end(before) > f.Offset:
		// "It should be noted that fragments may be duplicated in the network. Instead of treating these exact duplicate
		// fragments as overlapping fragments, an implementation may choose to detect this case and drop exact duplicate
		// fragments while keeping the other fragments belonging to the same packet."
		// https://www.rfc-editor.org/rfc/rfc8200.html#section-4.5
		// Exact means octet for octet.
		if int(before.Seq) == f.Offset && end(before) == ends && f.More == (ends != d.length) && same(before, p, f.HeaderLen) {
			return Duplicate
		}
		return Overlap
	case after != nil && int(after.Seq) < ends:
		return Overlap
	case d.length != unknown && ends > d.length, !f.More && (d.length != unknown || after != nil):
		return Overlap // a second end, or something behind the end
	case d.count == d.table.cfg.MaxFragments:
		return TooMany
	}
	return None
}

// same reports whether p holds the octets of fragment behind its headers.
func same(fragment, p *packet.Packet, headerLen int) bool {
	p.Own()
	rest := p.Head()[headerLen:]
	for _, piece := range fragment.Pieces() {
		if !bytes.HasPrefix(rest, piece) {
			return false
		}
		rest = rest[len(piece):]
	}
	return len(rest) == 0
}

// insert takes p, which nothing is wrong with.
func (d *datagram) insert(f *Fragment, p *packet.Packet) {
	d.count++
	d.octets += p.Cost()
	d.received += p.Len() - f.HeaderLen
	d.ecn |= 1 << (p.IP.TrafficClass & 3)
	d.group = d.group || p.IP.Group
	if f.Offset == 0 {
		d.headerLen = f.HeaderLen
	}
	if !f.More {
		d.length = f.Offset + p.Len() - f.HeaderLen
	}
	p.TrimFront(f.HeaderLen)
	p.Seq = uint32(f.Offset)
	before := d.before(f.Offset)
	p.Next = d.after(before)
	if before == nil {
		d.first = p
	} else {
		before.Next = p
	}
	if p.Next == nil {
		d.last = p
	}
}

// missing reports whether fragments are still to come: as none overlap, it is enough to count octets.
func (d *datagram) missing() bool { return d.received != d.length }

// takeFragments returns the fragments, and leaves the datagram without any.
func (d *datagram) takeFragments() *packet.Packet {
	fragments := d.first
	d.table.octets -= d.octets
	d.first, d.last, d.count, d.octets, d.received, d.headerLen = nil, nil, 0, 0, 0, 0
	return fragments
}

// assemble copies the headers of the first fragment, and the payload of all, into one packet.
func (d *datagram) assemble() *packet.Packet {
	first := d.first
	whole := packet.New(d.headerLen + d.length)
	first.Prepend(d.headerLen)
	for p := first; p != nil; p = p.Next {
		p.CopyTo(whole.Append(p.Len()), 0)
	}
	whole.IP = first.IP
	whole.IP.Group = d.group
	whole.Checksum = packet.ChecksumAssembled
	return whole
}

// combinedECN is the ECN field of the datagram, made of those of its fragments. ok is false if there is none to be made.
//
// "Reassembly of a fragmented packet MUST NOT lose indications of congestion."
// https://www.rfc-editor.org/rfc/rfc3168.html#section-5.3
// So one fragment marked CE marks the datagram, unless another says Not-ECT, whose sender could not make sense of that: then the
// datagram is dropped. Other mixtures with Not-ECT, for which the RFC has no rule, are dropped too, as on Linux. Of ECT(0) and
// ECT(1) the first fragment's holds.
func (d *datagram) combinedECN() (ecn uint8, ok bool) {
	const notECT, ce = 0, 3
	switch {
	case d.ecn&(1<<notECT) != 0:
		return notECT, d.ecn == 1<<notECT
	case d.ecn&(1<<ce) != 0:
		return ce, true
	}
	return d.first.IP.TrafficClass & 3, true
}
