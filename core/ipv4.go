package core

import (
	"encoding/binary"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// broadcastv4 is 255.255.255.255.
const broadcastv4 = 1<<32 - 1

// inputIPv4 processes a packet that begins with what should be an IPv4 header.
func (l *Interface) inputIPv4(now int64, p *packet.Packet) {
	l.stack.networkLen = 0
	c := &l.counters.IPv4
	c.InReceives++
	c.InOctets += uint64(p.Len())
	b := p.Header(wire.IPv4HeaderLen)
	if b == nil {
		l.dropv4(DropTruncated, p)
		return
	}
	if b[0]>>4 != 4 {
		l.dropv4(DropVersion, p)
		return
	}
	headerLen := int(b[0]&0xf) * 4
	totalLen := int(binary.BigEndian.Uint16(b[2:]))
	if headerLen < wire.IPv4HeaderLen || totalLen < headerLen {
		l.dropv4(DropHeaderLength, p)
		return
	}
	if totalLen > p.Len() {
		l.dropv4(DropTruncated, p)
		return
	}
	if headerLen > wire.IPv4HeaderLen {
		b = p.Header(headerLen)
	}
	// "A host MUST verify the IP header checksum on every received datagram and silently discard every datagram that
	// has a bad checksum."
	// https://www.rfc-editor.org/rfc/rfc1122.html#section-3.2.1.2
	// What never left memory, or what the device vouches for, is not verified again.
	if !l.verifiesIPv4 && wire.Checksum(b) != 0 {
		l.dropv4(DropHeaderChecksum, p)
		return
	}
	p.Truncate(totalLen) // what follows is the link's padding

	h := wire.IPv4Packet(b)
	p.IP.Src, p.IP.Dst = h.Src(), h.Dst()
	p.IP.Protocol, p.IP.HopLimit, p.IP.TrafficClass = h.Protocol(), h.TTL(), h.TOS()
	if cause, ok := l.checkAddressesv4(p, binary.BigEndian.Uint32(b[12:]), binary.BigEndian.Uint32(b[16:])); !ok {
		l.drop(cause, p)
		return
	}
	if p.IP.Forwarded {
		l.forwardIPv4(now, p, b)
		return
	}
	if headerLen > wire.IPv4HeaderLen && !l.checkOptionsv4(now, p, b[wire.IPv4HeaderLen:]) {
		return
	}
	if fragment := binary.BigEndian.Uint16(b[6:]); fragment&0x3fff != 0 { // more fragments, or an offset
		if p = l.inputFragmentv4(now, p, headerLen); p == nil {
			return
		}
		headerLen = wire.IPv4Packet(p.Head()).HeaderLen()
	}
	l.stack.strip(p, headerLen)
	l.deliver(now, p, 9) // the protocol field's place
}

// checkAddressesv4 judges a packet by its addresses, and fills in whether it came to a group. If it is not to be
// processed, the cause says why.
func (l *Interface) checkAddressesv4(p *packet.Packet, src, dst uint32) (cause DropCause, ok bool) {
	s, c := l.stack, &l.counters.IPv4
	loopback := l.loopback()
	switch first := src >> 24; {
	case first >= 224, first == 127 && !loopback, !loopback && l.broadcastv4(src):
		// "A host MUST silently discard an incoming datagram containing an IP source address that is invalid by the
		// rules of this section."
		// https://www.rfc-editor.org/rfc/rfc1122.html#section-3.2.1.3
		// 240.0.0.0/4, which is not multicast, is reserved by
		// https://www.rfc-editor.org/rfc/rfc6890.html#section-2.2.2
		return DropMartianSource, false
	case first == 0:
		// A host that has no address yet, as a DHCP client, uses 0.0.0.0 and speaks to everybody at once.
		if src != 0 || dst != broadcastv4 && dst>>28 != 0xe {
			return DropMartianSource, false
		}
	case !loopback && s.local.containsv4(src):
		return DropOwnSource, false
	}

	switch first := dst >> 24; {
	case first == 0, first == 127 && !loopback, first >= 240 && dst != broadcastv4:
		return DropMartianDestination, false
	case s.local.containsv4(dst), first == 127:
		// "A host SHOULD silently discard a datagram that is received via a link-layer broadcast [...] but does not
		// specify an IP multicast or broadcast destination address."
		// https://www.rfc-editor.org/rfc/rfc1122.html#section-3.3.6
		if p.IP.Group {
			return DropLinkGroup, false
		}
		return 0, true
	case dst == broadcastv4, l.broadcastv4(dst):
		c.InBcastPkts++
		p.IP.Group = true
		return 0, true
	case dst>>28 == 0xe:
		return l.checkGroup(p, false)
	}
	if l.awaitsDHCPv4(p) {
		return 0, true
	}
	return l.checkForeign(p)
}

// IPv4 options that matter to who receives them, by RFC 791 section 3.1.
const (
	optionEnd               = 0
	optionNop               = 1
	optionLooseSourceRoute  = 131
	optionStrictSourceRoute = 137
)

// checkOptionsv4 walks the options of p, which still begins with its header: they are skipped, but must be sound, and
// the packet must not be on its way to somebody else. If it is not to be processed, checkOptionsv4 has dealt with it.
func (l *Interface) checkOptionsv4(now int64, p *packet.Packet, options []byte) bool {
	for i := 0; i < len(options); {
		switch options[i] {
		case optionEnd:
			return true
		case optionNop:
			i++
			continue
		}
		rest := options[i:]
		if len(rest) < 2 || rest[1] < 2 || int(rest[1]) > len(rest) {
			pointer := wire.IPv4HeaderLen + i
			l.sendErrorv4(now, p, wire.ICMPv4ErrorRepr{Type: wire.ICMPv4ParameterProblem, Pointer: uint8(pointer)})
			l.drop(DropOptions, p)
			return false
		}
		length := int(rest[1])
		if kind := rest[0]; kind == optionLooseSourceRoute || kind == optionStrictSourceRoute {
			// The pointer is beyond the route once the packet is where it was to go. No source route is followed.
			if p.IP.Forwarded || length < 3 || int(rest[2]) <= length {
				// "If a host receives a datagram with an incomplete source route but does not forward it for some
				// reason, the host SHOULD return an ICMP Destination Unreachable (code 5, Source Route Failed)
				// message"
				// https://www.rfc-editor.org/rfc/rfc1122.html#section-3.2.1.8
				l.sendErrorv4(now, p, wire.ICMPv4ErrorRepr{
					Type: wire.ICMPv4DestinationUnreachable, Code: wire.ICMPv4SourceRouteFailed})
				l.drop(DropSourceRoute, p)
				return false
			}
		}
		i += length
	}
	return true
}
