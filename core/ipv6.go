package core

import (
	"encoding/binary"
	"net/netip"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// inputIPv6 processes a packet that begins with what should be an IPv6 header.
func (l *Interface) inputIPv6(now int64, p *packet.Packet) {
	l.stack.networkLen, l.stack.fragmented = 0, false
	c := &l.counters.IPv6
	c.InReceives++
	c.InOctets += uint64(p.Len())
	b := p.Header(wire.IPv6HeaderLen)
	if b == nil {
		l.dropv6(DropTruncated, p)
		return
	}
	if b[0]>>4 != 6 {
		l.dropv6(DropVersion, p)
		return
	}
	payloadLen := int(binary.BigEndian.Uint16(b[4:]))
	length := wire.IPv6HeaderLen + payloadLen
	if length > p.Len() {
		l.dropv6(DropTruncated, p)
		return
	}
	h := wire.IPv6Packet(b)
	if payloadLen == 0 && h.NextHeader() == wire.IPv6HopByHop {
		// A length of zero with hop-by-hop options announces a jumbo payload.
		// https://www.rfc-editor.org/rfc/rfc2675.html#section-3
		l.dropv6(DropJumbogram, p)
		return
	}
	p.Truncate(length) // what follows is the link's padding

	p.IP.Src, p.IP.Dst = h.Src(), h.Dst()
	p.IP.Protocol, p.IP.HopLimit, p.IP.TrafficClass = h.NextHeader(), h.HopLimit(), h.TrafficClass()
	if cause, ok := l.checkAddressesv6(p, (*[16]byte)(b[8:]), (*[16]byte)(b[24:])); !ok {
		l.drop(cause, p)
		return
	}
	if p.IP.Forwarded {
		l.forwardIPv6(now, p)
		return
	}
	l.inputPayloadv6(now, p)
}

// inputPayloadv6 processes what comes behind the IPv6 header that p begins with.
func (l *Interface) inputPayloadv6(now int64, p *packet.Packet) {
	headerLen, pointer := wire.IPv6HeaderLen, 6 // the next header field's place
	switch p.IP.Protocol {
	case ip.ProtocolTCP, ip.ProtocolUDP, ip.ProtocolICMPv6:
	default:
		var ok bool
		if headerLen, pointer, ok = l.inputExtensions(now, p); !ok {
			return
		}
	}
	if p.IP.Protocol != ip.ProtocolICMPv6 && p.IP.Src.IsUnspecified() {
		// Only hosts that are about to make themselves an address speak without one, and they speak ICMPv6.
		l.drop(DropUnspecifiedIPv6, p)
		return
	}
	l.stack.strip(p, headerLen)
	l.deliver(now, p, pointer)
}

// checkAddressesv6 judges a packet by its addresses, and fills in whether it came to a group. If it is not to be
// processed, the cause says why.
func (l *Interface) checkAddressesv6(p *packet.Packet, src, dst *[16]byte) (cause DropCause, ok bool) {
	s := l.stack
	loopback := l.loopback()
	switch {
	case src[0] == 0xff:
		// "Multicast addresses must not be used as source addresses in IPv6 packets"
		// https://www.rfc-editor.org/rfc/rfc4291.html#section-2.7
		return DropMartianSource, false
	case src[0] == 0 && martianZeros(p.IP.Src) && !(loopback && p.IP.Src.IsLoopback()):
		return DropMartianSource, false
	case loopback:
	case linkLocal(src):
		// Others may have the same address on another link.
		if l.has(p.IP.Src) {
			return DropOwnSource, false
		}
	case s.local.containsv6(src):
		return DropOwnSource, false
	}

	switch {
	case dst[0] == 0xff:
		// "Nodes must not originate a packet to a multicast address whose scop field contains the reserved value 0;
		// if such a packet is received, it must be silently dropped." And scope 1 does not leave its node.
		// https://www.rfc-editor.org/rfc/rfc4291.html#section-2.7
		if scope := dst[1] & 0xf; scope == 0 || scope == 1 && !loopback {
			return DropMartianDestination, false
		}
		return l.checkGroup(p, l.proxiesFor(dst))
	case dst[0] == 0 && !loopback && (p.IP.Dst.IsUnspecified() || martianZeros(p.IP.Dst)):
		return DropMartianDestination, false
	case linkLocal(dst) && !loopback:
		if l.has(p.IP.Dst) {
			return 0, true
		}
	case s.local.containsv6(dst), p.IP.Protocol == ip.ProtocolICMPv6 && l.registers(p.IP.Dst):
		return 0, true
	}
	return l.checkForeign(p)
}

// martianZeros reports whether addr, which begins with zeros, is one that appears on no link: the loopback address or
// an IPv4 address in IPv6's clothes.
//
// "An IPv6 packet with a destination address of loopback must never be sent outside of a single node and must never
// be forwarded by an IPv6 router. A packet received on an interface with a destination address of loopback must be
// dropped."
// https://www.rfc-editor.org/rfc/rfc4291.html#section-2.5.3
func martianZeros(addr netip.Addr) bool { return addr.IsLoopback() || addr.Is4In6() }

// linkLocal reports whether addr is in fe80::/10.
func linkLocal(addr *[16]byte) bool { return addr[0] == 0xfe && addr[1]&0xc0 == 0x80 }

// inputExtensions processes the extension headers of p, which begins with the IPv6 header. It returns how many octets
// of headers there are, the IPv6 header included, and where the last of them names the protocol that follows, and
// fills that in. If the packet is not to be processed further, inputExtensions has dealt with it.
func (l *Interface) inputExtensions(now int64, p *packet.Packet) (headerLen, pointer int, ok bool) {
	p.Own()
	walk := wire.WalkIPv6(p.IP.Protocol, p.Head()[wire.IPv6HeaderLen:])
	count := 0
	for header, more := walk.Next(); more; header, more = walk.Next() {
		if count++; count > l.stack.limits.ExtensionHeaders {
			l.drop(DropExtensionCount, p)
			return 0, 0, false
		}
		offset := wire.IPv6HeaderLen + header.Offset
		switch header.Type {
		case wire.IPv6HopByHop, wire.IPv6DestinationOptions:
			ok = l.inputOptions(now, p, wire.IPv6OptionsPacket(header.Octets), offset)
		case wire.IPv6Routing:
			ok = l.inputRouting(now, p, wire.IPv6RoutingPacket(header.Octets), offset)
		case wire.IPv6Fragment:
			ok = l.inputFragmentv6(now, p, header)
		}
		if !ok {
			return 0, 0, false
		}
	}
	switch {
	case walk.Err() == wire.ErrMalformed:
		l.drop(DropExtensionCount, p)
	case walk.Err() != nil:
		l.drop(DropExtension, p)
	case walk.Protocol() == wire.IPv6NoNextHeader:
		l.drop(DropNoNextHeader, p)
	case walk.Protocol() == wire.IPv6HopByHop:
		l.sendProblemv6(now, p, wire.ICMPv6UnrecognizedNextHeader, walk.Pointer())
		l.drop(DropExtensionOrder, p)
	default:
		p.IP.Protocol = walk.Protocol()
		return wire.IPv6HeaderLen + walk.Offset(), walk.Pointer(), true
	}
	return 0, 0, false
}

// inputOptions obeys the hop-by-hop or destination options at offset in p: the stack knows none that would change
// anything for it, so each says itself what becomes of the packet.
func (l *Interface) inputOptions(now int64, p *packet.Packet, header wire.IPv6OptionsPacket, offset int) bool {
	walk := header.Options()
	count := 0
	for option, more := walk.Next(); more; option, more = walk.Next() {
		if count++; count > l.stack.limits.ExtensionOptions {
			l.drop(DropExtensionCount, p)
			return false
		}
		if option.Type == wire.IPv6OptionRouterAlert {
			continue // meant for routers
		}
		if l.rpl != nil && (option.Type == wire.IPv6OptionRPL || option.Type == wire.IPv6OptionRPLSkip) {
			if !l.rpl.readOption(now, p, option, offset+option.Offset) {
				l.drop(DropRPLOption, p)
				return false
			}
			continue
		}
		pointer := offset + option.Offset
		switch option.Action() {
		case wire.IPv6OptionSkip:
			continue
		case wire.IPv6OptionDiscardSend:
			// "[...] regardless of whether or not the packet's Destination Address was a multicast address"
			// https://www.rfc-editor.org/rfc/rfc8200.html#section-4.2
			l.sendErrorv6(now, p, wire.ICMPv6ErrorRepr{Type: wire.ICMPv6ParameterProblem, Code: wire.ICMPv6UnrecognizedOption,
				Pointer: uint32(pointer)}, true)
		case wire.IPv6OptionDiscardSendUnlessMulticast:
			l.sendProblemv6(now, p, wire.ICMPv6UnrecognizedOption, pointer)
		}
		l.drop(DropExtensionOption, p)
		return false
	}
	if walk.Err() != nil {
		l.drop(DropExtension, p)
		return false
	}
	return true
}

// inputRouting obeys the routing header at offset in p. The stack knows no routing type; type 0, which RFC 5095
// abolished, is to be treated like any other that a node does not know:
//
// "If Segments Left is zero, the node must ignore the Routing header and proceed to process the next header in the
// packet [...]. If Segments Left is non-zero, the node must discard the packet and send an ICMP Parameter Problem,
// Code 0, message to the packet's Source Address, pointing to the unrecognized Routing Type."
// https://www.rfc-editor.org/rfc/rfc8200.html#section-4.4
func (l *Interface) inputRouting(now int64, p *packet.Packet, header wire.IPv6RoutingPacket, offset int) bool {
	if header.SegmentsLeft() == 0 {
		return true
	}
	l.sendProblemv6(now, p, wire.ICMPv6ErroneousHeader, offset+2)
	l.drop(DropRoutingHeader, p)
	return false
}
