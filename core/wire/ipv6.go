package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

const (
	// IPv6HeaderLen is the length of an IPv6 header in octets, without extension headers.
	IPv6HeaderLen = 40
	// IPv6MinMTU is the size of packet, in octets, that every link under IPv6 carries (RFC 8200, section 5).
	IPv6MinMTU = 1280
	// IPv6MaxPayloadLen is the most, in octets, that can follow an IPv6 header. Jumbograms (RFC 2675) are not
	// known here.
	IPv6MaxPayloadLen = 65535
)

// IPv6Packet is an IPv6 packet: header, extension headers and what they carry (RFC 8200, section 3). Made by
// ParseIPv6, none of its methods panics.
type IPv6Packet []byte

// ParseIPv6 takes b, which begins with an IPv6 header, for a packet. Octets of b beyond the packet's length are
// not part of it. The error is ErrTruncated if b is shorter than a header, ErrVersion if it is of another version,
// and ErrLength if the payload length is more than b has.
func ParseIPv6(b []byte) (IPv6Packet, error) {
	p, err := ParseIPv6Header(b)
	if err == nil && len(p) < IPv6HeaderLen+p.PayloadLen() {
		return nil, ErrLength
	}
	return p, err
}

// ParseIPv6Header is ParseIPv6 for a packet of which not all is there, such as one quoted in an ICMPv6 error: the
// payload length may say more than b has.
func ParseIPv6Header(b []byte) (IPv6Packet, error) {
	if len(b) < IPv6HeaderLen {
		return nil, ErrTruncated
	}
	if b[0]>>4 != 6 {
		return nil, ErrVersion
	}
	n := min(IPv6HeaderLen+int(binary.BigEndian.Uint16(b[4:])), len(b))
	return IPv6Packet(b[:n:n]), nil
}

// TrafficClass is DSCP and ECN.
func (p IPv6Packet) TrafficClass() uint8 { return uint8(binary.BigEndian.Uint16(p) >> 4) }

// DSCP is the differentiated services code point, 6 bits (RFC 2474).
func (p IPv6Packet) DSCP() uint8 { return p.TrafficClass() >> 2 }

// ECN is the explicit congestion notification field, 2 bits (RFC 3168).
func (p IPv6Packet) ECN() uint8 { return p.TrafficClass() & 3 }

// FlowLabel is the flow label, 20 bits (RFC 6437).
func (p IPv6Packet) FlowLabel() uint32 { return binary.BigEndian.Uint32(p) & 0xfffff }

// PayloadLen is the payload length field: the octets behind the header.
func (p IPv6Packet) PayloadLen() int { return int(binary.BigEndian.Uint16(p[4:])) }

// NextHeader is the protocol number of what follows the header, be it an extension header or the upper layer's.
func (p IPv6Packet) NextHeader() uint8 { return p[6] }

// HopLimit is how many more times the packet may be forwarded.
func (p IPv6Packet) HopLimit() uint8 { return p[7] }

// Src is the source address.
func (p IPv6Packet) Src() netip.Addr { return netip.AddrFrom16([16]byte(p[8:24])) }

// Dst is the destination address.
func (p IPv6Packet) Dst() netip.Addr { return netip.AddrFrom16([16]byte(p[24:40])) }

// Payload is what follows the header, extension headers included. It shares p's octets.
func (p IPv6Packet) Payload() []byte { return p[IPv6HeaderLen:] }

// Extensions walks the extension headers.
func (p IPv6Packet) Extensions() IPv6ExtensionIter { return WalkIPv6(p.NextHeader(), p.Payload()) }

// SetTrafficClass sets DSCP and ECN.
func (p IPv6Packet) SetTrafficClass(class uint8) {
	binary.BigEndian.PutUint16(p, binary.BigEndian.Uint16(p)&0xf00f|uint16(class)<<4)
}

// SetFlowLabel sets the flow label to the lower 20 bits of label.
func (p IPv6Packet) SetFlowLabel(label uint32) {
	binary.BigEndian.PutUint32(p, binary.BigEndian.Uint32(p)&0xfff00000|label&0xfffff)
}

// SetPayloadLen sets the payload length field.
func (p IPv6Packet) SetPayloadLen(n int) { binary.BigEndian.PutUint16(p[4:], uint16(n)) }

// SetNextHeader sets the protocol number of what follows the header.
func (p IPv6Packet) SetNextHeader(protocol uint8) { p[6] = protocol }

// SetHopLimit sets how many more times the packet may be forwarded.
func (p IPv6Packet) SetHopLimit(hops uint8) { p[7] = hops }

// SetSrc sets the source address. A zone is not carried.
func (p IPv6Packet) SetSrc(addr netip.Addr) { putAddr16(p[8:], addr) }

// SetDst sets the destination address. A zone is not carried.
func (p IPv6Packet) SetDst(addr netip.Addr) { putAddr16(p[24:], addr) }

// putAddr16 writes the 16 octets of addr to the front of b. The zero Addr is written as the unspecified address.
func putAddr16(b []byte, addr netip.Addr) {
	*(*[16]byte)(b) = addr.As16()
}

// String prints the packet and what it carries as tcpdump would.
func (p IPv6Packet) String() string { return formatIPv6(p) }

// formatIPv6 prints the IPv6 packet that b begins with; b may end early.
func formatIPv6(b []byte) string { return formatIPv6Packet(b, false) }

// formatIPv6Packet prints the IPv6 packet that b begins with. quoted says that it is from an ICMP error, whose
// own quote, which no node should have sent, is then not looked into: nesting has an end.
func formatIPv6Packet(b []byte, quoted bool) string {
	p, err := ParseIPv6Header(b)
	switch err {
	case nil:
	case ErrVersion:
		return fmt.Sprintf("IP6 wrong version %d, length %d", b[0]>>4, len(b))
	default:
		return "IP6 [|ip6]"
	}
	src, dst := p.Src(), p.Dst()

	extensions := ""
	walk := p.Extensions()
	for header, ok := walk.Next(); ok; header, ok = walk.Next() {
		extensions += header.String() + " "
	}
	if walk.Err() != nil || walk.LaterFragment() {
		// The last of extensions, if any, says which header it is.
		if walk.Err() != nil {
			extensions += "[|ip6]"
		}
		return "IP6 " + formatEndpoints(src, dst) + strings.TrimSuffix(extensions, " ")
	}

	var upper string
	switch walk.Protocol() {
	case protocolICMPv6:
		upper = formatICMPv6Message(src, dst, walk.Payload(), quoted)
	case protocolICMPv4:
		// There is no such thing over IPv6, and so no reason to look inside.
		upper = fmt.Sprintf("%sip-proto-%d, length %d", formatEndpoints(src, dst), protocolICMPv4, len(walk.Payload()))
	default:
		upper = formatTransport(src, dst, walk.Protocol(), walk.Payload())
	}
	// Extension headers are shown between the endpoints, which come with the upper layer's ports, and the rest.
	source, upper, _ := strings.Cut(upper, " > ") // which may be "::"
	destination, rest, _ := strings.Cut(upper, ": ")
	return "IP6 " + source + " > " + destination + ": " + extensions + rest
}

// IPv6Repr is an IPv6 header.
type IPv6Repr struct {
	Src          netip.Addr // not multicast
	Dst          netip.Addr // not unspecified
	NextHeader   uint8      // protocol number of what follows
	HopLimit     uint8
	TrafficClass uint8  // DSCP and ECN
	FlowLabel    uint32 // 20 bits
	PayloadLen   int    // octets, at most IPv6MaxPayloadLen
}

// Parse sets r to what p's header says. The error is ErrMalformed for a multicast source and for an unspecified
// destination.
func (r *IPv6Repr) Parse(p IPv6Packet) error {
	// "Multicast addresses must not be used as source addresses in IPv6 packets"
	// https://www.rfc-editor.org/rfc/rfc4291.html#section-2.7
	// "The unspecified address must not be used as the destination address of IPv6 packets"
	// https://www.rfc-editor.org/rfc/rfc4291.html#section-2.5.2
	if p.Src().IsMulticast() || p.Dst().IsUnspecified() {
		return ErrMalformed
	}
	*r = IPv6Repr{
		Src:          p.Src(),
		Dst:          p.Dst(),
		NextHeader:   p.NextHeader(),
		HopLimit:     p.HopLimit(),
		TrafficClass: p.TrafficClass(),
		FlowLabel:    p.FlowLabel(),
		PayloadLen:   p.PayloadLen(),
	}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *IPv6Repr) Len() int { return IPv6HeaderLen }

// Emit writes the header to the front of b. It panics if b is shorter than Len.
func (r *IPv6Repr) Emit(b []byte) {
	_ = b[IPv6HeaderLen-1]
	p := IPv6Packet(b)
	binary.BigEndian.PutUint32(p, 6<<28|uint32(r.TrafficClass)<<20|r.FlowLabel&0xfffff)
	p.SetPayloadLen(r.PayloadLen)
	p.SetNextHeader(r.NextHeader)
	p.SetHopLimit(r.HopLimit)
	p.SetSrc(r.Src)
	p.SetDst(r.Dst)
}

// String prints the header as tcpdump -v would.
func (r *IPv6Repr) String() string {
	return fmt.Sprintf("IP6 (class 0x%02x, flowlabel 0x%05x, hlim %d, next-header %s (%d), payload length: %d) %v > %v",
		r.TrafficClass, r.FlowLabel, r.HopLimit, protocolName(r.NextHeader), r.NextHeader, r.PayloadLen, r.Src, r.Dst)
}

// SolicitedNodeMulticast is the multicast address under which solicitations for addr reach its owner.
func SolicitedNodeMulticast(addr netip.Addr) netip.Addr {
	// "A Solicited-Node multicast address is formed by taking the low-order 24 bits of an address (unicast or anycast)
	// and appending those bits to the prefix FF02:0:0:0:0:1:FF00::/104"
	// https://www.rfc-editor.org/rfc/rfc4291.html#section-2.7.1
	from := addr.As16()
	return netip.AddrFrom16([16]byte{0xff, 0x02, 11: 1, 12: 0xff, 13: from[13], 14: from[14], 15: from[15]})
}
