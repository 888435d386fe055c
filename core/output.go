package core

import (
	"cmp"
	"encoding/binary"
	"math"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// defaultHopLimit is the hop limit of packets whose sender did not choose one, by RFC 1700 and RFC 8200.
const defaultHopLimit = 64

// controlBurst is how many packets of the control queue may leave one after the other while endpoints stand in line.
const controlBurst = 8

// Output fills pkts with packets that link's device should send, frames or IP packets as its medium has it, and
// returns how many; they become the caller's. The control queue comes first, then endpoints in turns, one packet
// each. Due timers fire before. 0 means that there is nothing to send now; fewer than len(pkts) means the same unless
// link.Pending. The work is bounded by len(pkts), except that the first packet is looked for among all that endpoints
// have queued: they may wait for neighbours not yet known.
func (s *Stack) Output(now time.Time, link *Interface, pkts []*packet.Packet) int {
	t := s.enter(now)
	turns := anyTurns
	for n := range pkts {
		p := link.pull(t, &turns)
		if p == nil {
			return n
		}
		pkts[n] = p
		turns = min(turns, 2*len(pkts))
	}
	return len(pkts)
}

// anyTurns is a number of turns that is no bound.
const anyTurns = math.MaxInt

// Pending reports whether the interface has packets to send, or endpoints that stand in line to send some, and may.
func (l *Interface) Pending() bool {
	if l.radio != nil {
		return l.radio.pending()
	}
	return l.hasPackets()
}

// hasPackets reports whether there are packets to send, or endpoints that stand in line to send some.
func (l *Interface) hasPackets() bool {
	return l.control.Len() > 0 || l.line.first != nil || l.transit.Len() > 0
}

// pull returns the next frame to leave by the interface, or where there are no frames the next packet; nil if there is none or the
// turns are used up: senders whose packets go elsewhere, as into a neighbour's queue, take one each.
func (l *Interface) pull(now int64, turns *int) *packet.Packet {
	if l.radio != nil {
		return l.radio.pull(now, turns)
	}
	p := l.pullPacket(now, turns)
	if p != nil {
		l.counters.Link.OutFrames++
		l.counters.Link.OutOctets += uint64(p.Len())
	}
	return p
}

// pullPacket returns the next packet to leave, with the header that names the neighbour on the link.
func (l *Interface) pullPacket(now int64, turns *int) *packet.Packet {
	for {
		// What has waited for a neighbour leaves whole, lest what its senders have still to send overtakes it.
		if l.control.Len() > 0 && (l.line.first == nil && l.transit.Len() == 0 || l.burst < controlBurst || l.flushed > 0) {
			l.burst++
			l.flushed = max(l.flushed-1, 0)
			return l.leaves(l.control.Pop())
		}
		l.burst = 0
		if p := l.nextTransit(); p != nil {
			return l.leaves(p)
		}
		if l.line.first == nil || *turns == 0 {
			return nil
		}
		*turns--
		sender := l.line.pop()
		p, by, more := sender.Emit(now)
		if p == nil {
			continue
		}
		way := l.stack.way(by, p)
		_, fragment := sender.(*fragmenting)
		switch {
		case way == nil:
			l.drop(DropNoRoute, p)
			p = nil
		case fragment:
			p = way.transmit(now, p)
		default:
			p = way.emit(now, p, sender)
		}
		if more {
			l.line.push(sender)
		}
		if p == nil {
			continue
		}
		if way.link == l {
			return l.leaves(p)
		}
		way.link.enqueue(p) // routes have changed since the sender got in line here
	}
}

// way is the path that p, which its sender means to leave by the given one, leaves by: another if that is stale, nil
// if there is none any more.
func (s *Stack) way(by ip.Path, p *packet.Packet) *path {
	way := by.(*path)
	if way.generation == s.generation || p.IP.Whole && !p.IP.Dst.IsValid() { // a frame has no other way
		return way
	}
	if p.IP.Foreign {
		return s.pathBack(p.IP.Link, p.IP.Dst)
	}
	return s.pathFor(p.IP.Link, p.IP.Src, p.IP.Dst)
}

// line is the line of senders at a link, linked through their turns.
type line struct{ first, last ip.Sender }

func (q *line) push(s ip.Sender) {
	turn := s.Turn()
	if turn.Queued {
		return
	}
	turn.Queued, turn.Next = true, nil
	if q.last == nil {
		q.first = s
	} else {
		q.last.Turn().Next = s
	}
	q.last = s
}

func (q *line) pop() ip.Sender {
	s := q.first
	turn := s.Turn()
	q.first = turn.Next
	if q.first == nil {
		q.last = nil
	}
	turn.Queued, turn.Next = false, nil
	return s
}

// Ready puts sender at the end of the line at path's link, unless it stands in one already. It is a
// method of ip.Network, for the transports.
func (s *Stack) Ready(by ip.Path, sender ip.Sender) {
	l := by.(*path).link
	if l.removed {
		l = s.loopback // from where its packets go wherever they are routed
	}
	l.line.push(sender)
}

// Send transmits p by path, or by whatever way its destination has if the path is stale, through the interface's
// control queue. It takes p. It is a method of ip.Network, for the transports.
func (s *Stack) Send(now int64, by ip.Path, p *packet.Packet) {
	way := s.way(by, p)
	if way == nil {
		by.(*path).link.drop(DropNoRoute, p)
		return
	}
	if p = way.emit(now, p, nil); p != nil {
		way.link.enqueue(p)
	}
}

// enqueue puts a packet that is ready for the device into the control queue.
func (l *Interface) enqueue(p *packet.Packet) {
	if l.control.Len() >= l.stack.limits.ControlQueue {
		l.drop(DropControlQueue, p)
		return
	}
	l.control.Push(p)
}

// emit makes p, which begins with its transport header, ready for the device: it prepends the IP header and the
// link's. It returns nil if p has gone elsewhere: into the queue of a neighbour not yet known, into pieces that leave one
// by one, or nowhere at all. sender is who has sent it from its place in the line; nil: somebody who has none.
func (by *path) emit(now int64, p *packet.Packet, sender ip.Sender) *packet.Packet {
	if p.IP.Whole {
		return by.emitWhole(now, p)
	}
	l, v6 := by.link, p.IP.Dst.Is6()
	c := l.counters.ip(v6)
	c.OutRequests++
	if p.IP.Loop {
		by.loop(p)
	}
	headerLen := wire.IPv4HeaderLen
	if v6 {
		headerLen = wire.IPv6HeaderLen
	}
	switch {
	case p.SegmentSize != 0:
		if !l.segments(v6) || headerLen+p.Len() > maxMTU || headerLen+segmentLen(p) > l.mtuOf(v6) {
			by.segment(now, p)
			return nil
		}
	case headerLen+p.Len() > by.most(p):
		by.fragment(now, p, sender)
		return nil
	}
	if p.Checksum == packet.ChecksumPartial && !l.fills(p.IP.Protocol) {
		completeChecksum(p)
	}
	by.prependIP(p, v6)
	return by.frame(now, p)
}

// transmit makes p, which begins with its IP header, ready for the device, as emit does. It may be too large: a fragment, after the
// routes have changed, or a packet that somebody has made as a whole.
func (by *path) transmit(now int64, p *packet.Packet) *packet.Packet {
	if p.Len() > by.link.mtuOf(p.IP.Dst.Is6()) {
		by.link.drop(DropTooBig, p)
		return nil
	}
	return by.frame(now, p)
}

// frame gives p, which begins with its IP header, the link's.
func (by *path) frame(now int64, p *packet.Packet) *packet.Packet {
	l := by.link
	if l.rpl != nil {
		by, p = l.rpl.sourceRoute(by, p)
	}
	if l.neighbours != nil {
		hw, ok := by.resolve(now, p)
		if !ok {
			return nil
		}
		l.prependLink(p, hw, p.IP.Dst.Is6())
	}
	return p
}

// resolve returns the hardware address that p, which begins with its IP header, goes to; on a medium without, zero. If that is not
// known yet it reports false: p waits for it.
func (by *path) resolve(now int64, p *packet.Packet) (hw wire.LinkAddr, ok bool) {
	if by.neighbour == nil {
		return by.group, true
	}
	if by.neighbour.Dead {
		by.neighbour = by.link.neighbour(now, by.nextHop)
	}
	return by.neighbour.Output(now, p)
}

// leaves counts a packet that goes to the device now, and returns it.
func (l *Interface) leaves(p *packet.Packet) *packet.Packet {
	length := p.Len()
	dst := p.IP.Dst
	if !dst.IsValid() {
		return p // ARP
	}
	switch l.medium {
	case dev.Ethernet:
		length -= wire.EthernetHeaderLen
	case dev.IEEE802154:
		length -= radioHeaderLen
	}
	c := l.counters.ip(dst.Is6())
	c.OutTransmits++
	c.OutOctets += uint64(length)
	if dst.IsMulticast() {
		c.OutMcastPkts++
	} else if dst == broadcastAddrv4 || l.Broadcasts(dst) {
		c.OutBcastPkts++
	}
	if l.stack.log.trace {
		l.stack.log.passed(l, "packet sent", p)
	}
	return p
}

// prependIP prepends the header that p.IP describes.
func (by *path) prependIP(p *packet.Packet, v6 bool) {
	l := by.link
	if v6 {
		prependIPv6(p, l.params.HopLimit, &l.stack.flowLabels)
		return
	}
	// "Sources emitting atomic datagrams MAY set the IPv4 ID field to any value."
	// https://www.rfc-editor.org/rfc/rfc6864.html#section-4.1
	fragment := uint32(dontFragmentv4)
	switch p.IP.Fragmentation {
	case packet.FragmentAtSource:
		if by.cutByRouters() {
			fragment = by.stack.identification(&p.IP) << 16
		}
	case packet.FragmentAnywhere:
		fragment = by.stack.identification(&p.IP) << 16
	}
	prependIPv4(p, fragment, !l.fillsIPv4)
}

const dontFragmentv4 = 0x4000

// prependIPv4 prepends the header that p.IP describes. fragment is its second word: identification, flags and offset.
func prependIPv4(p *packet.Packet, fragment uint32, checksum bool) {
	b := p.Prepend(wire.IPv4HeaderLen)
	src, dst := p.IP.Src.As4(), p.IP.Dst.As4()
	b[0], b[1] = 4<<4|wire.IPv4HeaderLen/4, p.IP.TrafficClass
	binary.BigEndian.PutUint16(b[2:], uint16(p.Len()))
	binary.BigEndian.PutUint32(b[4:], fragment)
	b[8], b[9] = hopLimit(p, 0), p.IP.Protocol
	binary.BigEndian.PutUint16(b[10:], 0)
	copy(b[12:16], src[:])
	copy(b[16:20], dst[:])
	if checksum {
		binary.BigEndian.PutUint16(b[10:], wire.Checksum(b))
	}
}

// prependIPv6 prepends the header that p.IP describes. standard is the hop limit if its sender has not chosen one; 0: the default.
func prependIPv6(p *packet.Packet, standard uint8, labels *flowLabels) {
	payloadLen := p.Len()
	src, dst := p.IP.Src.As16(), p.IP.Dst.As16()
	label := labels.label(p, &src, &dst)
	b := p.Prepend(wire.IPv6HeaderLen)
	binary.BigEndian.PutUint32(b, 6<<28|uint32(p.IP.TrafficClass)<<20|label)
	binary.BigEndian.PutUint16(b[4:], uint16(payloadLen))
	b[6], b[7] = p.IP.Protocol, hopLimit(p, standard)
	copy(b[8:24], src[:])
	copy(b[24:40], dst[:])
}

func hopLimit(p *packet.Packet, standard uint8) uint8 {
	return cmp.Or(p.IP.HopLimit, standard, defaultHopLimit)
}

// prependLink prepends what says where on the link p goes, which begins with its IP header: to dst.
func (l *Interface) prependLink(p *packet.Packet, dst wire.LinkAddr, v6 bool) {
	if l.radio != nil {
		prependRadio(p, dst)
		return
	}
	l.prependEthernet(p, dst, v6)
}

func (l *Interface) prependEthernet(p *packet.Packet, dst wire.LinkAddr, v6 bool) {
	b := wire.EthernetFrame(p.Prepend(wire.EthernetHeaderLen))
	b.SetDst(dst.Ethernet())
	b.SetSrc(l.hardware)
	if v6 {
		b.SetEtherType(wire.EtherTypeIPv6)
	} else {
		b.SetEtherType(wire.EtherTypeIPv4)
	}
}

// addFrom adds the octets of p from offset on to sum.
func addFrom(sum *wire.Sum, p *packet.Packet, offset int) {
	for _, piece := range p.Pieces() {
		n := min(offset, len(piece))
		sum.Add(piece[n:])
		offset -= n
	}
}

// completeChecksum fills in a partial checksum, as the device would have done that the packet was made for.
func completeChecksum(p *packet.Packet) {
	offset, field := p.PartialChecksum()
	header := p.Header(offset + field + 2)[offset:]
	var sum wire.Sum
	addFrom(&sum, p, offset)
	checksum := sum.Checksum()
	if checksum == 0 && field == wire.UDPChecksumField {
		checksum = 0xffff // in UDP zero stands for no checksum
	}
	binary.BigEndian.PutUint16(header[field:], checksum)
	p.Checksum = packet.ChecksumFull
}
