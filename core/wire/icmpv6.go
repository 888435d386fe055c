package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

const (
	// ICMPv6HeaderLen is the length, in octets, of what the messages known here have at least: type, code,
	// checksum and four octets that depend on the type.
	ICMPv6HeaderLen = 8
	// ICMPv6ChecksumField is where the checksum is, in octets from the message's first.
	ICMPv6ChecksumField = 2
	// ICMPv6MaxQuoteLen is how many octets of a packet an error quotes at most, sent without extension headers.
	//
	// "As much of invoking packet as possible without the ICMPv6 packet exceeding the minimum IPv6 MTU"
	// https://www.rfc-editor.org/rfc/rfc4443.html#section-3.1
	ICMPv6MaxQuoteLen = IPv6MinMTU - IPv6HeaderLen - ICMPv6HeaderLen
)

// Types of ICMPv6 messages. Those below 128 are errors.
const (
	ICMPv6DestinationUnreachable = 1 // RFC 4443, section 3.1
	ICMPv6PacketTooBig           = 2 // RFC 4443, section 3.2
	ICMPv6TimeExceeded           = 3 // RFC 4443, section 3.3
	ICMPv6ParameterProblem       = 4 // RFC 4443, section 3.4

	ICMPv6EchoRequest           = 128 // RFC 4443, section 4.1
	ICMPv6EchoReply             = 129 // RFC 4443, section 4.2
	ICMPv6MulticastQuery        = 130 // RFC 2710 and RFC 3810
	ICMPv6MulticastReport       = 131 // RFC 2710
	ICMPv6MulticastDone         = 132 // RFC 2710
	ICMPv6RouterSolicitation    = 133 // RFC 4861, section 4.1
	ICMPv6RouterAdvertisement   = 134 // RFC 4861, section 4.2
	ICMPv6NeighborSolicitation  = 135 // RFC 4861, section 4.3
	ICMPv6NeighborAdvertisement = 136 // RFC 4861, section 4.4
	ICMPv6Redirect              = 137 // RFC 4861, section 4.5
	ICMPv6MulticastReport2      = 143 // RFC 3810
	ICMPv6RPL                   = 155 // RFC 6550: see RPLPacket
)

// Codes of ICMPv6DestinationUnreachable.
const (
	ICMPv6NoRoute            = 0
	ICMPv6AdminProhibited    = 1
	ICMPv6BeyondScope        = 2
	ICMPv6AddressUnreachable = 3
	ICMPv6PortUnreachable    = 4
	ICMPv6SourcePolicy       = 5
	ICMPv6RejectRoute        = 6
)

// Codes of ICMPv6TimeExceeded.
const (
	ICMPv6HopLimitExceeded   = 0
	ICMPv6ReassemblyTimedOut = 1
)

// Codes of ICMPv6ParameterProblem.
const (
	ICMPv6ErroneousHeader        = 0
	ICMPv6UnrecognizedNextHeader = 1
	ICMPv6UnrecognizedOption     = 2
	ICMPv6IncompleteHeaderChain  = 3 // RFC 7112: in a first fragment
)

// ICMPv6Packet is an ICMPv6 message (RFC 4443, section 2.1). Made by ParseICMPv6, none of its methods panics.
type ICMPv6Packet []byte

// ParseICMPv6 takes all of b for a message. The error is ErrTruncated if b is shorter than ICMPv6HeaderLen.
func ParseICMPv6(b []byte) (ICMPv6Packet, error) {
	if len(b) < ICMPv6HeaderLen {
		return nil, ErrTruncated
	}
	return b, nil
}

// Type is what the message is, such as ICMPv6EchoRequest.
func (p ICMPv6Packet) Type() uint8 { return p[0] }

// Code says more about the type.
func (p ICMPv6Packet) Code() uint8 { return p[1] }

// IsError reports whether the message is an error, known or not.
func (p ICMPv6Packet) IsError() bool {
	// "[...] error messages have message types from 0 to 127; informational messages have message types from 128
	// to 255."
	// https://www.rfc-editor.org/rfc/rfc4443.html#section-2.1
	return p[0] < 128
}

// Checksum is the checksum field.
func (p ICMPv6Packet) Checksum() uint16 { return binary.BigEndian.Uint16(p[ICMPv6ChecksumField:]) }

// Ident is the identifier of an echo request or reply.
func (p ICMPv6Packet) Ident() uint16 { return binary.BigEndian.Uint16(p[4:]) }

// Seq is the sequence number of an echo request or reply.
func (p ICMPv6Packet) Seq() uint16 { return binary.BigEndian.Uint16(p[6:]) }

// MTU is, of ICMPv6PacketTooBig, the largest packet in octets that the next link carries.
func (p ICMPv6Packet) MTU() uint32 { return binary.BigEndian.Uint32(p[4:]) }

// Pointer is, of ICMPv6ParameterProblem, where the problem is in the packet, in octets from its first.
func (p ICMPv6Packet) Pointer() uint32 { return binary.BigEndian.Uint32(p[4:]) }

// Body is what follows the first 8 octets: an echo's data, an error's quote. It shares p's octets.
func (p ICMPv6Packet) Body() []byte { return p[ICMPv6HeaderLen:] }

// SetType sets what the message is.
func (p ICMPv6Packet) SetType(kind uint8) { p[0] = kind }

// SetCode sets the code.
func (p ICMPv6Packet) SetCode(code uint8) { p[1] = code }

// SetChecksum sets the checksum field.
func (p ICMPv6Packet) SetChecksum(sum uint16) {
	binary.BigEndian.PutUint16(p[ICMPv6ChecksumField:], sum)
}

// FillChecksum computes the checksum of the whole message, sent from src to dst, and sets it.
func (p ICMPv6Packet) FillChecksum(src, dst netip.Addr) {
	p.SetChecksum(0)
	var sum Sum
	sum.AddPseudoHeader(src, dst, protocolICMPv6, len(p))
	sum.Add(p)
	p.SetChecksum(sum.Checksum())
}

// VerifyChecksum reports whether the checksum of the message, sent from src to dst, is right.
func (p ICMPv6Packet) VerifyChecksum(src, dst netip.Addr) bool {
	var sum Sum
	sum.AddPseudoHeader(src, dst, protocolICMPv6, len(p))
	sum.Add(p)
	return sum.Fold() == 0xffff
}

// String prints the message, and the packet that an error quotes, as tcpdump would, without addresses.
func (p ICMPv6Packet) String() string {
	if len(p) < ICMPv6HeaderLen {
		return "[|icmp6]"
	}
	return p.describe(false)
}

func formatICMPv6(src, dst netip.Addr, payload []byte) string {
	return formatICMPv6Message(src, dst, payload, false)
}

// formatICMPv6Message prints the message that payload begins with. quoted says that it is from a packet quoted
// itself.
func formatICMPv6Message(src, dst netip.Addr, payload []byte, quoted bool) string {
	if len(payload) < ICMPv6HeaderLen && !(len(payload) >= rplHeaderLen && payload[0] == ICMPv6RPL) {
		return formatEndpoints(src, dst) + "[|icmp6]"
	}
	return formatEndpoints(src, dst) + ICMPv6Packet(payload).describe(quoted)
}

// describe prints what follows the addresses. p has at least a header. quoted leaves out what an error quotes.
func (p ICMPv6Packet) describe(quoted bool) string {
	if p.Type() == ICMPv6RPL {
		return RPLPacket(p).String()
	}
	b := fmt.Appendf(nil, "ICMP6, %s", icmpv6TypeName(p.Type()))
	switch p.Type() {
	case ICMPv6DestinationUnreachable:
		b = fmt.Appendf(b, ", %s", icmpv6UnreachableName(p.Code()))
	case ICMPv6PacketTooBig:
		b = fmt.Appendf(b, ", mtu %d", p.MTU())
	case ICMPv6TimeExceeded:
		switch p.Code() {
		case ICMPv6HopLimitExceeded:
			b = append(b, " in-transit"...)
		case ICMPv6ReassemblyTimedOut:
			b = append(b, " (reassembly)"...)
		default:
			b = fmt.Appendf(b, ", unknown code (%d)", p.Code())
		}
	case ICMPv6ParameterProblem:
		switch p.Code() {
		case ICMPv6ErroneousHeader:
			b = append(b, ", erroneous"...)
		case ICMPv6UnrecognizedNextHeader:
			b = append(b, ", next header"...)
		case ICMPv6UnrecognizedOption:
			b = append(b, ", option"...)
		case ICMPv6IncompleteHeaderChain:
			b = append(b, ", incomplete header chain"...)
		default:
			b = fmt.Appendf(b, ", unknown code (%d)", p.Code())
		}
		b = fmt.Appendf(b, " - octet %d", p.Pointer())
	case ICMPv6EchoRequest, ICMPv6EchoReply:
		b = fmt.Appendf(b, ", id %d, seq %d", p.Ident(), p.Seq())
	case ICMPv6RouterSolicitation, ICMPv6RouterAdvertisement, ICMPv6NeighborSolicitation, ICMPv6NeighborAdvertisement,
		ICMPv6Redirect:
		b = appendNDMessage(b, p)
	case ICMPv6DuplicateAddressRequest, ICMPv6DuplicateAddressConfirmation:
		b = appendNDDuplicateAddress(b, p)
	case ICMPv6MulticastQuery, ICMPv6MulticastReport, ICMPv6MulticastDone, ICMPv6MulticastReport2:
		b = appendMLDMessage(b, p)
	}
	b = fmt.Appendf(b, ", length %d", len(p))
	if p.IsError() && len(p.Body()) > 0 && !quoted {
		b = append(b, ": "...)
		b = append(b, formatIPv6Packet(p.Body(), true)...)
	}
	return string(b)
}

func icmpv6TypeName(kind uint8) string {
	switch kind {
	case ICMPv6DestinationUnreachable:
		return "destination unreachable"
	case ICMPv6PacketTooBig:
		return "packet too big"
	case ICMPv6TimeExceeded:
		return "time exceeded"
	case ICMPv6ParameterProblem:
		return "parameter problem"
	case ICMPv6EchoRequest:
		return "echo request"
	case ICMPv6EchoReply:
		return "echo reply"
	case ICMPv6MulticastQuery:
		return "multicast listener query"
	case ICMPv6MulticastReport:
		return "multicast listener report"
	case ICMPv6MulticastDone:
		return "multicast listener done"
	case ICMPv6RouterSolicitation:
		return "router solicitation"
	case ICMPv6RouterAdvertisement:
		return "router advertisement"
	case ICMPv6NeighborSolicitation:
		return "neighbor solicitation"
	case ICMPv6NeighborAdvertisement:
		return "neighbor advertisement"
	case ICMPv6Redirect:
		return "redirect"
	case ICMPv6MulticastReport2:
		return "multicast listener report v2"
	case ICMPv6DuplicateAddressRequest:
		return "duplicate address request"
	case ICMPv6DuplicateAddressConfirmation:
		return "duplicate address confirmation"
	}
	return fmt.Sprintf("unknown icmp6 type (%d)", kind)
}

func icmpv6UnreachableName(code uint8) string {
	switch code {
	case ICMPv6NoRoute:
		return "unreachable route"
	case ICMPv6AdminProhibited:
		return "unreachable prohibited"
	case ICMPv6BeyondScope:
		return "beyond scope"
	case ICMPv6AddressUnreachable:
		return "unreachable address"
	case ICMPv6PortUnreachable:
		return "unreachable port"
	case ICMPv6SourcePolicy:
		return "source address failed policy"
	case ICMPv6RejectRoute:
		return "reject route to destination"
	}
	return fmt.Sprintf("unknown unreach code (%d)", code)
}

// putICMPv6Header writes type, code and the four octets that depend on the type.
func putICMPv6Header(b []byte, kind, code uint8, rest uint32) {
	binary.BigEndian.PutUint32(b, uint32(kind)<<24|uint32(code)<<16)
	binary.BigEndian.PutUint32(b[4:], rest)
}

// ICMPv6EchoRepr is an echo request or reply (RFC 4443, section 4).
type ICMPv6EchoRepr struct {
	Reply bool   // else request
	Ident uint16 // tells whose request it is
	Seq   uint16
	Data  []byte // any octets; a reply has the request's
}

// Parse sets r to what p says; Data shares p's octets. It does not look at the checksum. The error is ErrMalformed
// if p is of another type, or has a code.
func (r *ICMPv6EchoRepr) Parse(p ICMPv6Packet) error {
	if p.Type() != ICMPv6EchoRequest && p.Type() != ICMPv6EchoReply || p.Code() != 0 {
		return ErrMalformed
	}
	*r = ICMPv6EchoRepr{Reply: p.Type() == ICMPv6EchoReply, Ident: p.Ident(), Seq: p.Seq(), Data: p.Body()}
	return nil
}

// Len is the number of octets that Emit writes, Data included.
func (r *ICMPv6EchoRepr) Len() int { return ICMPv6HeaderLen + len(r.Data) }

// Emit writes the message, sent from src to dst, to the front of b. It panics if b is shorter than Len.
func (r *ICMPv6EchoRepr) Emit(b []byte, src, dst netip.Addr) {
	b = b[:r.Len()]
	copy(b[ICMPv6HeaderLen:], r.Data)
	putICMPv6Header(b, r.kind(), 0, uint32(r.Ident)<<16|uint32(r.Seq))
	ICMPv6Packet(b).FillChecksum(src, dst)
}

func (r *ICMPv6EchoRepr) kind() uint8 {
	if r.Reply {
		return ICMPv6EchoReply
	}
	return ICMPv6EchoRequest
}

// String prints the message as tcpdump would.
func (r *ICMPv6EchoRepr) String() string {
	return fmt.Sprintf("ICMP6, %s, id %d, seq %d, length %d", icmpv6TypeName(r.kind()), r.Ident, r.Seq, r.Len())
}

// ICMPv6ErrorRepr is one of the errors of RFC 4443, section 3.
type ICMPv6ErrorRepr struct {
	// Type is ICMPv6DestinationUnreachable, ICMPv6PacketTooBig, ICMPv6TimeExceeded or ICMPv6ParameterProblem.
	Type uint8
	Code uint8
	MTU  uint32 // of ICMPv6PacketTooBig: the largest packet, in octets
	// Pointer is, of ICMPv6ParameterProblem, where the problem is, in octets from the packet's first; it may lie
	// behind what is quoted.
	Pointer uint32
	// Quote is the packet in question from its IPv6 header on, which may end anywhere. A sender should give as much of
	// it as there is up to ICMPv6MaxQuoteLen.
	Quote []byte
}

// Parse sets r to what p says; Quote shares p's octets. It does not look at the checksum, nor at what is quoted.
// The error is ErrMalformed if p is of another type.
func (r *ICMPv6ErrorRepr) Parse(p ICMPv6Packet) error {
	e := ICMPv6ErrorRepr{Type: p.Type(), Code: p.Code(), Quote: p.Body()}
	switch p.Type() {
	case ICMPv6DestinationUnreachable, ICMPv6TimeExceeded:
	case ICMPv6PacketTooBig:
		e.MTU = p.MTU()
	case ICMPv6ParameterProblem:
		e.Pointer = p.Pointer()
	default:
		return ErrMalformed
	}
	*r = e
	return nil
}

// Len is the number of octets that Emit writes, Quote included.
func (r *ICMPv6ErrorRepr) Len() int { return ICMPv6HeaderLen + len(r.Quote) }

// Emit writes the message, sent from src to dst, to the front of b, which may hold Quote already. It panics if b
// is shorter than Len.
func (r *ICMPv6ErrorRepr) Emit(b []byte, src, dst netip.Addr) {
	b = b[:r.Len()]
	copy(b[ICMPv6HeaderLen:], r.Quote)
	var rest uint32
	switch r.Type {
	case ICMPv6PacketTooBig:
		rest = r.MTU
	case ICMPv6ParameterProblem:
		rest = r.Pointer
	}
	putICMPv6Header(b, r.Type, r.Code, rest)
	ICMPv6Packet(b).FillChecksum(src, dst)
}

// String prints the message, and what it quotes, as tcpdump would.
func (r *ICMPv6ErrorRepr) String() string {
	b := make([]byte, r.Len())
	r.Emit(b, netip.IPv6Unspecified(), netip.IPv6Unspecified())
	return ICMPv6Packet(b).String()
}
