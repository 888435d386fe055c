package core

import (
	"encoding/binary"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// Packets on their way through the stack wait to leave in a queue of their own. It takes turns with the stack's own senders,
// one packet each, so that neither starves the other, whichever has more to send; and it is bounded, so that the newest is
// lost if more comes in than goes out. What concerns the link itself, in the control queue, is before both.

// queueTransit puts a packet on its way that is ready for the device.
func (l *Interface) queueTransit(p *packet.Packet) {
	if l.transit.Len() > 0 && l.transit.Cost()+p.Cost() > l.stack.limits.ForwardQueue {
		l.drop(DropForwardQueue, p)
		return
	}
	l.transit.Push(p)
}

// nextTransit returns the next packet on its way, nil if there is none or it is a sender's turn.
func (l *Interface) nextTransit() *packet.Packet {
	if l.transit.Len() == 0 || l.passed && l.line.first != nil {
		l.passed = false
		return nil
	}
	l.passed = true
	return l.transit.Pop()
}

// forward sends p, which came by in and begins with network headers of so many octets that are as they have to be, on by
// the path.
func (by *path) forward(now int64, in *Interface, p *packet.Packet, headerLen int) {
	l, v6 := by.link, p.IP.Dst.Is6()
	mtu := l.mtuOf(v6)
	if p.Checksum == packet.ChecksumPartial {
		// The device has said where the checksum is, and only now is it known how long the packet is.
		if offset, field := p.PartialChecksum(); offset < headerLen || offset+field+2 > p.Len() {
			in.drop(DropTruncated, p)
			return
		}
	}
	l.counters.ip(v6).OutForwDatagrams++
	if p.SegmentSize != 0 && (!l.segments(v6) || p.Checksum != packet.ChecksumPartial || forwardedLen(p, headerLen) > mtu) {
		by.resegment(now, p, headerLen)
		return
	}
	switch {
	case p.Checksum == packet.ChecksumPartial && (!l.fills(forwardedProtocol(p, headerLen)) || p.SegmentSize == 0 && p.Len() > mtu):
		completeChecksum(p)
	case p.Checksum == packet.ChecksumFull && !l.fills(p.IP.Protocol) && in.verifies(p.IP.Protocol):
		restoreChecksum(p, headerLen)
	}
	by.pass(now, p)
}

// pass gives p, a packet on its way, the link's header. IPv4's that is too large is fragmented, which it may be.
func (by *path) pass(now int64, p *packet.Packet) {
	if p.SegmentSize == 0 && p.Len() > by.link.mtuOf(p.IP.Dst.Is6()) {
		by.fragmentForwarded(now, p)
		return
	}
	if by.link.rpl != nil {
		by, p = by.link.rpl.sourceRoute(by, p)
	}
	if by.link.neighbours != nil {
		hw, ok := by.resolve(now, p)
		if !ok {
			return
		}
		by.link.prependLink(p, hw, p.IP.Dst.Is6())
	}
	by.link.queueTransit(p)
}

// forwardedProtocol is the protocol that follows the headerLen octets of network headers of p.
func forwardedProtocol(p *packet.Packet, headerLen int) uint8 {
	switch header := p.Header(headerLen); {
	case p.IP.Dst.Is4():
		return p.IP.Protocol
	case headerLen > wire.IPv6HeaderLen:
		return header[wire.IPv6HeaderLen]
	default:
		return header[6]
	}
}

// forwardedLen is the length of p as far as an MTU is concerned, of what leaves of it: of a super-segment, which is many
// packets that the device has put together, the longest of them.
func forwardedLen(p *packet.Packet, headerLen int) int {
	if p.SegmentSize != 0 && forwardedProtocol(p, headerLen) == ip.ProtocolTCP {
		if n := tcpHeaderLen(p, headerLen); n > 0 {
			return min(p.Len(), headerLen+n+int(p.SegmentSize))
		}
	}
	return p.Len()
}

// resegment sends p, a super-segment for a device that takes none, on as the segments that it was made of.
func (by *path) resegment(now int64, p *packet.Packet, headerLen int) {
	if forwardedProtocol(p, headerLen) != ip.ProtocolTCP {
		by.link.drop(DropTooBig, p)
		return
	}
	n := uint16(0)
	ok := segmentTCP(p, headerLen, func(segment *packet.Packet) {
		header := segment.Header(headerLen)
		if segment.IP.Dst.Is4() {
			h := wire.IPv4Packet(header)
			h.SetTotalLen(segment.Len())
			h.SetID(h.ID() + n) // for those that may be fragmented later
			h.FillChecksum()
		} else {
			wire.IPv6Packet(header).SetPayloadLen(segment.Len() - wire.IPv6HeaderLen)
		}
		n++
		by.pass(now, segment)
	})
	if !ok {
		by.link.drop(DropTooBig, p)
		return
	}
	p.Release()
}

// fragmentForwarded sends p, an IPv4 packet without any offload that is too large for the link, on in fragments. p may be a
// fragment itself.
func (by *path) fragmentForwarded(now int64, p *packet.Packet) {
	whole := wire.IPv4Packet(p.Header(wire.IPv4MaxHeaderLen)) // it is longer than any MTU
	headerLen := whole.HeaderLen()
	c := cut{
		headers: headerLen, offset: headerLen, room: by.link.mtu - headerLen, id: uint32(whole.ID()),
		base: whole.FragmentOffset(), open: whole.MoreFragments(), checksum: !by.link.fillsIPv4,
	}
	for c.offset < p.Len() {
		by.pass(now, c.next(p))
	}
	p.Release()
}

// restoreChecksum computes the checksum of an ICMP message that came from where nobody need have done so, as over a link in
// memory; those of other protocols come from there marked as partial.
func restoreChecksum(p *packet.Packet, headerLen int) {
	header := p.Header(headerLen + wire.ICMPv4HeaderLen)
	var sum wire.Sum
	switch {
	case header == nil:
		return
	case p.IP.Protocol == ip.ProtocolICMPv6 && headerLen == wire.IPv6HeaderLen:
		sum.AddPseudoHeader(p.IP.Src, p.IP.Dst, ip.ProtocolICMPv6, p.Len()-headerLen)
	case p.IP.Protocol == ip.ProtocolICMPv4 && p.IP.Dst.Is4() && !wire.IPv4Packet(header).IsFragment():
	default:
		return
	}
	field := header[headerLen+2:]
	binary.BigEndian.PutUint16(field, 0)
	addFrom(&sum, p, headerLen)
	binary.BigEndian.PutUint16(field, sum.Checksum())
}
