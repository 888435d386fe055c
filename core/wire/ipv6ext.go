package wire

import (
	"encoding/binary"
	"fmt"
)

// Protocol numbers of IPv6's extension headers, and of none.
const (
	IPv6HopByHop           = 0  // RFC 8200, section 4.3
	IPv6Routing            = 43 // RFC 8200, section 4.4
	IPv6Fragment           = 44 // RFC 8200, section 4.5
	IPv6NoNextHeader       = 59 // RFC 8200, section 4.7
	IPv6DestinationOptions = 60 // RFC 8200, section 4.6
)

// IPv6MaxExtensions is how many extension headers a packet may have for an IPv6ExtensionIter to walk them all. RFC
// 8200 recommends at most five.
const IPv6MaxExtensions = 16

const (
	// ipv6ExtensionUnit is the unit, in octets, in which extension headers count their length, and the least they
	// have.
	ipv6ExtensionUnit = 8
	// IPv6FragmentLen is the length of a fragment header in octets.
	IPv6FragmentLen = 8
)

// IPv6Extension is one extension header of a packet.
type IPv6Extension struct {
	Type   uint8  // its protocol number, such as IPv6Routing
	Octets []byte // the whole header, for ParseIPv6Options, ParseIPv6Routing or ParseIPv6Fragment
	Offset int    // where it begins, in octets from the end of the IPv6 header
}

// String prints the header as tcpdump would.
func (h IPv6Extension) String() string {
	switch h.Type {
	case IPv6HopByHop:
		return "HBH"
	case IPv6DestinationOptions:
		return "DSTOPT"
	case IPv6Routing:
		if p, err := ParseIPv6Routing(h.Octets); err == nil {
			return p.String()
		}
	case IPv6Fragment:
		if p, err := ParseIPv6Fragment(h.Octets); err == nil {
			return p.String()
		}
	}
	return fmt.Sprintf("ip-proto-%d", h.Type)
}

// IPv6ExtensionIter walks the extension headers of a packet up to what follows them:
//
//	walk := packet.Extensions()
//	for header, ok := walk.Next(); ok; header, ok = walk.Next() {
//		…
//	}
//	if walk.Err() != nil { … }
//	protocol, payload := walk.Protocol(), walk.Payload()
//
// Headers other than hop-by-hop options, routing, fragment and destination options count as upper layer, and so
// does a hop-by-hop options header that is not the first.
type IPv6ExtensionIter struct {
	payload  []byte
	offset   int
	pointer  int
	count    int
	protocol uint8
	later    bool
	err      error
}

// WalkIPv6 walks the extension headers in payload, all that follows the IPv6 header, whose Next Header field is
// nextHeader.
func WalkIPv6(nextHeader uint8, payload []byte) IPv6ExtensionIter {
	return IPv6ExtensionIter{payload: payload, protocol: nextHeader, pointer: 6}
}

// Next returns the next extension header, or false when there is none, because the upper layer has been reached or
// because of an error; see Err.
func (w *IPv6ExtensionIter) Next() (IPv6Extension, bool) {
	if w.err != nil || w.later || !w.atExtension() {
		return IPv6Extension{}, false
	}
	if w.count == IPv6MaxExtensions {
		w.err = ErrMalformed
		return IPv6Extension{}, false
	}
	rest := w.payload[w.offset:]
	if len(rest) < ipv6ExtensionUnit {
		w.err = ErrTruncated
		return IPv6Extension{}, false
	}
	n := ipv6ExtensionUnit
	if w.protocol == IPv6Fragment {
		// What follows a later fragment's header is from the middle of a packet.
		w.later = IPv6FragmentPacket(rest).Offset() != 0
	} else {
		n = ipv6ExtensionLen(rest)
	}
	if n > len(rest) {
		w.err = ErrTruncated
		return IPv6Extension{}, false
	}
	header := IPv6Extension{Type: w.protocol, Octets: rest[:n:n], Offset: w.offset}
	w.protocol = rest[0]
	w.pointer = IPv6HeaderLen + w.offset
	w.offset += n
	w.count++
	return header, true
}

func (w *IPv6ExtensionIter) atExtension() bool {
	switch w.protocol {
	case IPv6HopByHop:
		// "[...] the Hop-by-Hop Options header, which is restricted to appear immediately after an IPv6 header only."
		// https://www.rfc-editor.org/rfc/rfc8200.html#section-4.1
		// "[...] discard the packet and send an ICMP Parameter Problem message to the source of the packet, with
		// an ICMP Code value of 1 ("unrecognized Next Header type encountered") [...] The same action should be
		// taken if a node encounters a Next Header value of zero in any header other than an IPv6 header."
		// https://www.rfc-editor.org/rfc/rfc8200.html#section-4
		return w.count == 0
	case IPv6Routing, IPv6Fragment, IPv6DestinationOptions:
		return true
	}
	return false
}

// Err is why the walk ended before the upper layer: ErrTruncated if a header does not end within the payload,
// ErrMalformed if there are more than IPv6MaxExtensions. It is nil if the walk got through, or has not ended.
func (w *IPv6ExtensionIter) Err() error { return w.err }

// Protocol is, once Next has returned false without an error, the upper layer's protocol number.
func (w *IPv6ExtensionIter) Protocol() uint8 { return w.protocol }

// Offset is where the walk stands: in the end, where the upper layer begins, in octets from the end of the IPv6
// header.
func (w *IPv6ExtensionIter) Offset() int { return w.offset }

// Payload is what comes where the walk stands: in the end, the upper layer's header and payload.
func (w *IPv6ExtensionIter) Payload() []byte { return w.payload[w.offset:] }

// Pointer is where the octet is that says Protocol, in octets from the IPv6 header's first: what an ICMPv6
// parameter problem about an unrecognized next header points to.
func (w *IPv6ExtensionIter) Pointer() int { return w.pointer }

// LaterFragment reports that the walk ended at the header of a fragment other than a packet's first. Payload then
// does not begin with the header of Protocol.
func (w *IPv6ExtensionIter) LaterFragment() bool { return w.later }

// ipv6ExtensionLen is the length in octets that an extension header other than the fragment header says it has. b
// has two octets.
func ipv6ExtensionLen(b []byte) int { return (int(b[1]) + 1) * ipv6ExtensionUnit }

// parseIPv6Extension returns the extension header that b begins with.
func parseIPv6Extension(b []byte) ([]byte, error) {
	if len(b) < ipv6ExtensionUnit {
		return nil, ErrTruncated
	}
	n := ipv6ExtensionLen(b)
	if n > len(b) {
		return nil, ErrLength
	}
	return b[:n:n], nil
}

// IPv6RoutingPacket is a routing header (RFC 8200, section 4.4).
type IPv6RoutingPacket []byte

// ParseIPv6Routing takes b for a routing header. The error is ErrTruncated if b is shorter than any header, and
// ErrLength if the header's length is more than b has.
func ParseIPv6Routing(b []byte) (IPv6RoutingPacket, error) { return parseIPv6Extension(b) }

// NextHeader is the protocol number of what follows the header.
func (p IPv6RoutingPacket) NextHeader() uint8 { return p[0] }

// Type is the routing type, such as 0, which RFC 5095 has abolished, or 3 (RFC 6554).
func (p IPv6RoutingPacket) Type() uint8 { return p[2] }

// SegmentsLeft is how many nodes are still to be visited.
func (p IPv6RoutingPacket) SegmentsLeft() uint8 { return p[3] }

// Data is the type-specific data: 4 octets more than a multiple of 8. It shares p's octets.
func (p IPv6RoutingPacket) Data() []byte { return p[4:] }

// String prints the header as tcpdump would.
func (p IPv6RoutingPacket) String() string {
	if len(p) < ipv6ExtensionUnit {
		return "[|srcrt]"
	}
	if p.Type() == IPv6RoutingRPL {
		return RPLSourceRoutePacket(p).String()
	}
	return fmt.Sprintf("srcrt (len=%d, type=%d, segleft=%d)", p[1], p.Type(), p.SegmentsLeft())
}

// IPv6RoutingRepr is a routing header.
type IPv6RoutingRepr struct {
	NextHeader   uint8 // protocol number of what follows
	Type         uint8
	SegmentsLeft uint8
	Data         []byte // depends on Type; 4 octets more than a multiple of 8, at most 2,044
}

// Parse sets r to what p says; Data shares p's octets. It always succeeds.
func (r *IPv6RoutingRepr) Parse(p IPv6RoutingPacket) error {
	*r = IPv6RoutingRepr{NextHeader: p.NextHeader(), Type: p.Type(), SegmentsLeft: p.SegmentsLeft(), Data: p.Data()}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *IPv6RoutingRepr) Len() int { return roundUp8(4 + max(len(r.Data), 4)) }

// Emit writes the header to the front of b, Data that is of another length than it should have followed by zeros.
// It panics if b is shorter than Len.
func (r *IPv6RoutingRepr) Emit(b []byte) {
	b = b[:r.Len()]
	clear(b[4+copy(b[4:], r.Data):])
	b[0], b[1], b[2], b[3] = r.NextHeader, uint8(len(b)/ipv6ExtensionUnit-1), r.Type, r.SegmentsLeft
}

// String prints the header as tcpdump would.
func (r *IPv6RoutingRepr) String() string {
	b := make([]byte, r.Len())
	r.Emit(b)
	return IPv6RoutingPacket(b).String()
}

// IPv6FragmentPacket is a fragment header and the fragment that follows it (RFC 8200, section 4.5).
type IPv6FragmentPacket []byte

// ParseIPv6Fragment takes b, which begins with a fragment header, for a fragment. The error is ErrTruncated if b
// is shorter than the header.
func ParseIPv6Fragment(b []byte) (IPv6FragmentPacket, error) {
	if len(b) < IPv6FragmentLen {
		return nil, ErrTruncated
	}
	return b, nil
}

// NextHeader is the protocol number of what the whole packet has behind its fragment headers.
func (p IPv6FragmentPacket) NextHeader() uint8 { return p[0] }

// Offset is where in the packet the fragment belongs, in octets: a multiple of 8.
func (p IPv6FragmentPacket) Offset() int { return int(binary.BigEndian.Uint16(p[2:]) &^ 7) }

// More reports whether fragments follow.
func (p IPv6FragmentPacket) More() bool { return p[3]&1 != 0 }

// ID tells which fragments belong together, for one pair of addresses.
func (p IPv6FragmentPacket) ID() uint32 { return binary.BigEndian.Uint32(p[4:]) }

// Payload is the fragment. It shares p's octets.
func (p IPv6FragmentPacket) Payload() []byte { return p[IPv6FragmentLen:] }

// String prints the header as tcpdump would: offset and, if p has it, length of the fragment.
func (p IPv6FragmentPacket) String() string {
	if len(p) < IPv6FragmentLen {
		return "[|frag]"
	}
	r := IPv6FragmentRepr{p.NextHeader(), p.Offset(), p.More(), p.ID()}
	return r.String()
}

// IPv6FragmentRepr is a fragment header.
type IPv6FragmentRepr struct {
	NextHeader uint8  // protocol number of what the whole packet has behind its fragment headers
	Offset     int    // octets: a multiple of 8, at most 65,528
	More       bool   // fragments follow
	ID         uint32 // of the packet
}

// Parse sets r to what p's header says. It always succeeds.
func (r *IPv6FragmentRepr) Parse(p IPv6FragmentPacket) error {
	*r = IPv6FragmentRepr{NextHeader: p.NextHeader(), Offset: p.Offset(), More: p.More(), ID: p.ID()}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *IPv6FragmentRepr) Len() int { return IPv6FragmentLen }

// Emit writes the header to the front of b. It panics if b is shorter than Len.
func (r *IPv6FragmentRepr) Emit(b []byte) {
	_ = b[IPv6FragmentLen-1]
	offset := uint16(r.Offset) &^ 7
	if r.More {
		offset |= 1
	}
	b[0], b[1] = r.NextHeader, 0
	binary.BigEndian.PutUint16(b[2:], offset)
	binary.BigEndian.PutUint32(b[4:], r.ID)
}

// String prints the header as tcpdump -v would.
func (r *IPv6FragmentRepr) String() string {
	more := ""
	if r.More {
		more = "+"
	}
	return fmt.Sprintf("frag (0x%08x:%d%s)", r.ID, r.Offset, more)
}

// roundUp8 is n, or the next larger multiple of 8.
func roundUp8(n int) int { return (n + 7) &^ 7 }
