package core

import (
	"encoding/binary"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// fragmenting is a packet that is too large for its path and leaves in fragments, of which each is made when its turn comes.
//
// It stands in the line at the link in place of who has sent it, who gets in line again behind the last fragment. So a large
// packet takes no more of the link than its sender would have with small ones, whoever sends small ones passes between its
// fragments, and no sender has more than one packet on its way like this.
type fragmenting struct {
	turn   ip.Turn
	by     *path
	packet *packet.Packet // whole, from the IP header on
	cut    cut
	sender ip.Sender    // nil: there is nobody to get in line again
	next   *fragmenting // in the list of those that are free
}

// fragmented is what an interface keeps of packets that leave in fragments.
type fragmented struct {
	packets, octets int          // on their way, and what they pin
	free            *fragmenting // for those to come
}

// fragment has p, which begins with its transport header and is larger than the path carries, leave in fragments. sender is
// who has sent it and will get in line again; it may be nil.
//
// While the next hop's hardware address is not known p waits for that as a whole, so that it is dropped as a whole if it is.
func (by *path) fragment(now int64, p *packet.Packet, sender ip.Sender) {
	l, v6 := by.link, p.IP.Dst.Is6()
	c := l.counters.ip(v6)
	longest := wire.IPv4MaxLen - wire.IPv4HeaderLen
	if v6 {
		longest = wire.IPv6MaxPayloadLen
	}
	if p.IP.Fragmentation == packet.DontFragment || p.Len() > longest {
		c.OutFragFails++
		by.refuse(p)
		return
	}
	c.OutFragReqds++
	if p.Checksum == packet.ChecksumPartial {
		completeChecksum(p) // no device does that over several packets
	}
	by.prependIP(p, v6)
	first := by
	if l.rpl != nil {
		first = l.rpl.first(by, p.IP.Dst)
	}
	if _, ok := first.resolve(now, p); !ok {
		return
	}
	if l.fragmented.packets > 0 && l.fragmented.octets+p.Cost() > l.stack.limits.Fragmenting {
		c.OutFragFails++
		l.drop(DropFragmenting, p)
		return
	}
	f := l.fragmented.free
	if f == nil {
		f = new(fragmenting)
	} else {
		l.fragmented.free = f.next
	}
	*f = fragmenting{by: by, packet: p, cut: by.cut(p)}
	l.fragmented.packets++
	l.fragmented.octets += p.Cost()
	if sender != nil && !sender.Turn().Queued { // at another link, where its next packet leaves
		sender.Turn().Queued = true // it stands in line here, by proxy
		f.sender = sender
	}
	l.line.push(f)
}

// Turn is the packet's place in the line at the link: see ip.Sender.
func (f *fragmenting) Turn() *ip.Turn { return &f.turn }

// Emit returns the next fragment. Other than ip.Sender has it, the fragment begins with its IP header.
func (f *fragmenting) Emit(int64) (fragment *packet.Packet, by ip.Path, more bool) {
	l := f.by.link
	fragment = f.cut.next(f.packet)
	l.counters.ip(fragment.IP.Dst.Is6()).OutFragCreates++
	by, more = f.by, f.cut.offset < f.packet.Len()
	if !more {
		l.counters.ip(fragment.IP.Dst.Is6()).OutFragOKs++
		l.endFragments(f, &l.line)
	}
	return fragment, by, more
}

// endFragments releases a packet of which no more fragments will leave, and puts its sender in line again.
func (l *Interface) endFragments(f *fragmenting, q *line) {
	l.fragmented.packets--
	l.fragmented.octets -= f.packet.Cost()
	f.packet.Release()
	if f.sender != nil {
		f.sender.Turn().Queued = false
		q.push(f.sender)
	}
	*f = fragmenting{next: l.fragmented.free}
	l.fragmented.free = f
}

// flushFragments puts all fragments of p, which has waited for the neighbour of the given hardware address, into the control
// queue, lest what comes behind overtakes it.
func (l *Interface) flushFragments(by *path, p *packet.Packet, hw wire.LinkAddr) {
	c := l.counters.ip(p.IP.Dst.Is6())
	for cut := by.cut(p); cut.offset < p.Len(); {
		fragment := cut.next(p)
		c.OutFragCreates++
		if l.rpl != nil {
			_, fragment = l.rpl.sourceRoute(by, fragment)
		}
		l.prependLink(fragment, hw, p.IP.Dst.Is6())
		l.control.Push(fragment)
	}
	c.OutFragOKs++
	p.Release()
}

// most is the length of the largest IP packet such as p that leaves by the path in one piece.
func (by *path) most(p *packet.Packet) int {
	most := by.link.mtuOf(p.IP.Dst.Is6())
	if by.link.rpl != nil {
		overhead := by.link.rpl.overhead(p.IP.Dst)
		if p.IP.Fragmentation != packet.DontFragment {
			most -= overhead // nodes inside need not take more than the link's MTU
		}
		most = min(most, wire.LowpanMaxDatagramSize-overhead)
	}
	if by.known != nil && p.IP.Fragmentation == packet.FragmentAtSource {
		most = min(most, by.PathMTU())
	}
	return most
}

// cut is how a packet is cut into fragments, and how far that has come.
type cut struct {
	headers    int // octets of the headers that all fragments have: RFC 8200's per-fragment headers
	nextHeader int // where in them is the number of what follows
	room       int // octets of the packet that a fragment has place for
	offset     int // of the next fragment in the packet
	id         uint32
	v6         bool
	checksum   bool // IPv4: the header's is not left to the device

	// Of a packet that is on its way and a fragment already.
	base int  // its own offset
	open bool // it is not the last
}

// cut begins to cut p, which begins with its IP header.
func (by *path) cut(p *packet.Packet) cut {
	c := cut{id: by.stack.identification(&p.IP), v6: p.IP.Dst.Is6(), checksum: !by.link.fillsIPv4}
	most := by.most(p)
	if c.v6 {
		c.headers, c.nextHeader = perFragmentHeaders(p.Head())
		c.room = most - c.headers - wire.IPv6FragmentLen
	} else {
		c.headers = wire.IPv4Packet(p.Head()).HeaderLen()
		c.room = most - c.headers
	}
	c.offset = c.headers
	return c
}

// next copies the next fragment out of p. Of what it takes to send a large datagram the copies are a fifth; to have the fragments
// share its buffer would take a reference for each and a second piece for every device to send.
func (c *cut) next(p *packet.Packet) *packet.Packet {
	n, more := p.Len()-c.offset, false
	if n > c.room {
		n, more = c.room&^7, true
	}
	before := c.headers
	if c.v6 {
		before += wire.IPv6FragmentLen
	}
	q := packet.New(before + n)
	b := q.Append(before + n)
	p.CopyTo(b[:c.headers], 0)
	p.CopyTo(b[before:], c.offset)
	q.IP = p.IP
	q.IP.Fragmentation = packet.DontFragment // it is cut no further
	if c.v6 {
		header := wire.IPv6FragmentRepr{
			NextHeader: b[c.nextHeader], Offset: c.offset - c.headers, More: more, ID: c.id}
		header.Emit(b[c.headers:])
		b[c.nextHeader] = wire.IPv6Fragment
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-wire.IPv6HeaderLen))
	} else {
		c.fragmentv4(wire.IPv4Packet(b), more)
	}
	c.offset += n
	return q
}

// fragmentv4 makes b, which is a fragment with the header of the whole packet, have one of its own.
func (c *cut) fragmentv4(b wire.IPv4Packet, more bool) {
	offset := c.offset - c.headers
	field := c.id<<16 | uint32((c.base+offset)/8)
	if more || c.open {
		field |= 0x2000
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint32(b[4:], field)
	if offset > 0 {
		blankOptions(b[wire.IPv4HeaderLen:c.headers])
	}
	binary.BigEndian.PutUint16(b[10:], 0)
	if c.checksum {
		binary.BigEndian.PutUint16(b[10:], wire.Checksum(b[:c.headers]))
	}
}

// blankOptions leaves of IPv4 options only those that all fragments have: what their number says, by RFC 791 section 3.1.
func blankOptions(options []byte) {
	const copied = 0x80
	for i := 0; i < len(options) && options[i] != optionEnd; {
		length := 1
		if options[i] != optionNop && i+1 < len(options) {
			length = min(max(int(options[i+1]), 1), len(options)-i)
		}
		if options[i]&copied == 0 {
			for j := range length {
				options[i+j] = optionNop
			}
		}
		i += length
	}
}

// perFragmentHeaders returns the length of those headers of an IPv6 packet that nodes on the way look at, and where in them is
// the number of what follows: all up to a routing header if there is one, or else hop-by-hop options.
// https://www.rfc-editor.org/rfc/rfc8200.html#section-4.5
func perFragmentHeaders(b []byte) (length, nextHeader int) {
	length, nextHeader = wire.IPv6HeaderLen, 6
	at, field := length, nextHeader
	for {
		protocol := b[field]
		switch protocol {
		case wire.IPv6HopByHop, wire.IPv6Routing, wire.IPv6DestinationOptions:
		default:
			return length, nextHeader
		}
		if len(b) < at+8 || len(b) < at+int(b[at+1])*8+8 {
			return length, nextHeader
		}
		field = at
		at += int(b[at+1])*8 + 8
		if protocol != wire.IPv6DestinationOptions { // those before a routing header are between
			length, nextHeader = at, field
		}
	}
}

// isFragment reports whether an IP packet of the stack's own is a fragment.
func isFragment(b []byte, v6 bool) bool {
	if v6 {
		_, nextHeader := perFragmentHeaders(b)
		return b[nextHeader] == wire.IPv6Fragment
	}
	return wire.IPv4Packet(b).IsFragment()
}

// cutter is the path for which p, which begins with its IP header and has waited for a neighbour, is to be cut into fragments;
// nil: it is not.
func (l *Interface) cutter(p *packet.Packet) *path {
	if p.SegmentSize != 0 || p.IP.Fragmentation == packet.DontFragment || p.Len() <= minMTU {
		return nil
	}
	by := l.stack.pathFor(p.IP.Link, p.IP.Src, p.IP.Dst)
	if by == nil || by.link != l {
		by = l.arrival(p.IP.Dst.Is6()) // the routes have changed since it began to wait
	}
	if p.Len() <= by.most(p) {
		return nil
	}
	return by
}
