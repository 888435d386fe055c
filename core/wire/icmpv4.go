package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// ICMPv4HeaderLen is the length in octets of the header that every ICMP message has.
const ICMPv4HeaderLen = 8

// Types of ICMP messages. The numbers of types and codes are IANA's "ICMP Type Numbers"; RFC 792 has the messages.
const (
	ICMPv4EchoReply              = 0
	ICMPv4DestinationUnreachable = 3
	ICMPv4SourceQuench           = 4 // deprecated by RFC 6633
	ICMPv4Redirect               = 5
	ICMPv4EchoRequest            = 8
	ICMPv4RouterAdvertisement    = 9
	ICMPv4RouterSolicitation     = 10
	ICMPv4TimeExceeded           = 11
	ICMPv4ParameterProblem       = 12
	ICMPv4TimestampRequest       = 13
	ICMPv4TimestampReply         = 14
)

// Codes of ICMPv4DestinationUnreachable (RFC 792; RFC 1122, section 3.2.2.1; RFC 1812, section 5.2.7.1).
const (
	ICMPv4NetUnreachable          = 0
	ICMPv4HostUnreachable         = 1
	ICMPv4ProtocolUnreachable     = 2
	ICMPv4PortUnreachable         = 3
	ICMPv4FragmentationNeeded     = 4 // the MTU of the next hop is in the header (RFC 1191)
	ICMPv4SourceRouteFailed       = 5
	ICMPv4NetUnknown              = 6
	ICMPv4HostUnknown             = 7
	ICMPv4SourceHostIsolated      = 8
	ICMPv4NetProhibited           = 9
	ICMPv4HostProhibited          = 10
	ICMPv4NetUnreachableForTOS    = 11
	ICMPv4HostUnreachableForTOS   = 12
	ICMPv4AdminProhibited         = 13
	ICMPv4HostPrecedenceViolation = 14
	ICMPv4PrecedenceCutoff        = 15
)

// Codes of ICMPv4Redirect.
const (
	ICMPv4RedirectNet        = 0
	ICMPv4RedirectHost       = 1
	ICMPv4RedirectNetForTOS  = 2
	ICMPv4RedirectHostForTOS = 3
)

// Codes of ICMPv4TimeExceeded.
const (
	ICMPv4TTLExceeded            = 0
	ICMPv4ReassemblyTimeExceeded = 1
)

// Codes of ICMPv4ParameterProblem.
const (
	ICMPv4PointerIndicatesError = 0
	ICMPv4MissingOption         = 1
	ICMPv4BadLength             = 2
)

// ICMPv4Packet is an ICMP message, its header and what follows (RFC 792). Which of the accessors mean something
// depends on the type. Made by ParseICMPv4, none of its methods panics.
type ICMPv4Packet []byte

// ParseICMPv4 takes b for a message. The checksum is not verified. The error is ErrTruncated if b is shorter than a
// header.
func ParseICMPv4(b []byte) (ICMPv4Packet, error) {
	if len(b) < ICMPv4HeaderLen {
		return nil, ErrTruncated
	}
	return ICMPv4Packet(b), nil
}

// Type is the type of the message.
func (p ICMPv4Packet) Type() uint8 { return p[0] }

// Code tells messages of a type apart.
func (p ICMPv4Packet) Code() uint8 { return p[1] }

// Checksum is the checksum field.
func (p ICMPv4Packet) Checksum() uint16 { return binary.BigEndian.Uint16(p[2:]) }

// Ident is the identifier of an echo request or reply.
func (p ICMPv4Packet) Ident() uint16 { return binary.BigEndian.Uint16(p[4:]) }

// Seq is the sequence number of an echo request or reply.
func (p ICMPv4Packet) Seq() uint16 { return binary.BigEndian.Uint16(p[6:]) }

// MTU is, with ICMPv4FragmentationNeeded, the length in octets of the largest packet that the next hop takes; 0 from
// a router that does not say (RFC 1191, section 4).
func (p ICMPv4Packet) MTU() uint16 { return binary.BigEndian.Uint16(p[6:]) }

// Pointer is, with ICMPv4ParameterProblem, the index in the quoted packet of the octet at fault.
func (p ICMPv4Packet) Pointer() uint8 { return p[4] }

// Gateway is, with ICMPv4Redirect, the router to use instead.
func (p ICMPv4Packet) Gateway() netip.Addr { return netip.AddrFrom4([4]byte(p[4:8])) }

// Payload is what follows the header: the data of an echo, or the front of the packet that an error is about, for
// ParseIPv4Header, which extensions (RFC 4884) may follow. It shares p's octets.
func (p ICMPv4Packet) Payload() []byte { return p[ICMPv4HeaderLen:] }

// IsError reports whether the message is an error, of which no other error must ever be sent.
func (p ICMPv4Packet) IsError() bool {
	// "ICMP error messages: Destination Unreachable [...] Redirect [...] Source Quench [...] Time Exceeded [...]
	// Parameter Problem"
	// https://www.rfc-editor.org/rfc/rfc1122.html#section-3.2.2
	switch p.Type() {
	case ICMPv4DestinationUnreachable, ICMPv4SourceQuench, ICMPv4Redirect, ICMPv4TimeExceeded, ICMPv4ParameterProblem:
		return true
	}
	return false
}

// VerifyChecksum reports whether the checksum over the whole message is right.
func (p ICMPv4Packet) VerifyChecksum() bool { return Checksum(p) == 0 }

// SetType sets the type of the message.
func (p ICMPv4Packet) SetType(t uint8) { p[0] = t }

// SetCode sets the code.
func (p ICMPv4Packet) SetCode(code uint8) { p[1] = code }

// SetChecksum sets the checksum field.
func (p ICMPv4Packet) SetChecksum(sum uint16) { binary.BigEndian.PutUint16(p[2:], sum) }

// SetIdent sets the identifier of an echo request or reply.
func (p ICMPv4Packet) SetIdent(ident uint16) { binary.BigEndian.PutUint16(p[4:], ident) }

// SetSeq sets the sequence number of an echo request or reply.
func (p ICMPv4Packet) SetSeq(seq uint16) { binary.BigEndian.PutUint16(p[6:], seq) }

// FillChecksum computes the checksum over the whole message and sets it. It comes after every other setter.
func (p ICMPv4Packet) FillChecksum() {
	p.SetChecksum(0)
	p.SetChecksum(Checksum(p))
}

// String prints the message and, of an error, the packet that it is about.
func (p ICMPv4Packet) String() string {
	s := p.summary()
	if len(p) > ICMPv4HeaderLen && p.IsError() {
		s += ": " + formatQuotedIPv4(p.Payload())
	}
	return s
}

func formatICMPv4(src, dst netip.Addr, payload []byte) string {
	return formatEndpoints(src, dst) + ICMPv4Packet(payload).String()
}

// summary prints the message without what it quotes.
func (p ICMPv4Packet) summary() string {
	if len(p) < ICMPv4HeaderLen {
		return "ICMP [|icmp]"
	}
	return fmt.Sprintf("ICMP %s, length %d", p.describe(), len(p))
}

func (p ICMPv4Packet) describe() string {
	switch p.Type() {
	case ICMPv4EchoRequest:
		return fmt.Sprintf("echo request, id %d, seq %d", p.Ident(), p.Seq())
	case ICMPv4EchoReply:
		return fmt.Sprintf("echo reply, id %d, seq %d", p.Ident(), p.Seq())
	case ICMPv4DestinationUnreachable:
		return p.describeUnreachable()
	case ICMPv4SourceQuench:
		return "source quench"
	case ICMPv4Redirect:
		return p.describeRedirect()
	case ICMPv4RouterAdvertisement:
		return "router advertisement"
	case ICMPv4RouterSolicitation:
		return "router solicitation"
	case ICMPv4TimeExceeded:
		switch p.Code() {
		case ICMPv4TTLExceeded:
			return "time exceeded in-transit"
		case ICMPv4ReassemblyTimeExceeded:
			return "ip reassembly time exceeded"
		}
		return fmt.Sprintf("time exceeded-#%d", p.Code())
	case ICMPv4ParameterProblem:
		if p.Code() == ICMPv4PointerIndicatesError {
			return fmt.Sprintf("parameter problem - octet %d", p.Pointer())
		}
		return fmt.Sprintf("parameter problem - code %d", p.Code())
	case ICMPv4TimestampRequest:
		return fmt.Sprintf("time stamp query id %d seq %d", p.Ident(), p.Seq())
	case ICMPv4TimestampReply:
		return fmt.Sprintf("time stamp reply id %d seq %d", p.Ident(), p.Seq())
	}
	return fmt.Sprintf("type-#%d", p.Type())
}

// unreachableFormats are the ways to say what could not be reached, by code. %s is the address of the quoted packet's
// destination.
var unreachableFormats = [...]string{
	ICMPv4NetUnreachable:          "net %s unreachable",
	ICMPv4HostUnreachable:         "host %s unreachable",
	ICMPv4ProtocolUnreachable:     "%s protocol unreachable",
	ICMPv4PortUnreachable:         "%s port unreachable",
	ICMPv4FragmentationNeeded:     "%s unreachable - need to frag",
	ICMPv4SourceRouteFailed:       "%s unreachable - source route failed",
	ICMPv4NetUnknown:              "net %s unreachable - unknown",
	ICMPv4HostUnknown:             "host %s unreachable - unknown",
	ICMPv4SourceHostIsolated:      "%s unreachable - source host isolated",
	ICMPv4NetProhibited:           "net %s unreachable - admin prohibited",
	ICMPv4HostProhibited:          "host %s unreachable - admin prohibited",
	ICMPv4NetUnreachableForTOS:    "net %s unreachable - tos prohibited",
	ICMPv4HostUnreachableForTOS:   "host %s unreachable - tos prohibited",
	ICMPv4AdminProhibited:         "host %s unreachable - admin prohibited filter",
	ICMPv4HostPrecedenceViolation: "host %s unreachable - host precedence violation",
	ICMPv4PrecedenceCutoff:        "host %s unreachable - precedence cutoff",
}

func (p ICMPv4Packet) describeUnreachable() string {
	dst := "?"
	quote, err := ParseIPv4Header(p.Payload())
	if err == nil {
		dst = quote.Dst().String()
		switch protocol := quote.Protocol(); p.Code() {
		case ICMPv4ProtocolUnreachable:
			return fmt.Sprintf("%s protocol %d unreachable", dst, protocol)
		case ICMPv4PortUnreachable:
			// TCP and UDP alike have the destination port in the third and fourth octet.
			if ports := quote.Payload(); len(ports) >= 4 && (protocol == protocolTCP || protocol == protocolUDP) {
				return fmt.Sprintf("%s %s port %d unreachable", dst, protocolName(protocol), binary.BigEndian.Uint16(ports[2:]))
			}
		}
	}
	code := int(p.Code())
	if code >= len(unreachableFormats) {
		return fmt.Sprintf("%s unreachable - #%d", dst, code)
	}
	s := fmt.Sprintf(unreachableFormats[code], dst)
	if code == ICMPv4FragmentationNeeded && p.MTU() != 0 {
		s += fmt.Sprintf(" (mtu %d)", p.MTU())
	}
	return s
}

func (p ICMPv4Packet) describeRedirect() string {
	dst := "?"
	if quote, err := ParseIPv4Header(p.Payload()); err == nil {
		dst = quote.Dst().String()
	}
	switch p.Code() {
	case ICMPv4RedirectNet:
		return fmt.Sprintf("redirect %s to net %v", dst, p.Gateway())
	case ICMPv4RedirectHost:
		return fmt.Sprintf("redirect %s to host %v", dst, p.Gateway())
	case ICMPv4RedirectNetForTOS:
		return fmt.Sprintf("redirect-tos %s to net %v", dst, p.Gateway())
	case ICMPv4RedirectHostForTOS:
		return fmt.Sprintf("redirect-tos %s to host %v", dst, p.Gateway())
	}
	return fmt.Sprintf("redirect-#%d %s to %v", p.Code(), dst, p.Gateway())
}

// ICMPv4EchoRepr is an echo request or reply.
type ICMPv4EchoRepr struct {
	Reply      bool
	Ident, Seq uint16
	Data       []byte // comes back in the reply as it went in the request
}

// Parse reads p. Data then shares p's octets. The errors are ErrChecksum if the checksum is wrong, and ErrMalformed
// if p is no echo, or its code is not 0.
func (r *ICMPv4EchoRepr) Parse(p ICMPv4Packet) error {
	if !p.VerifyChecksum() {
		return ErrChecksum
	}
	if p.Type() != ICMPv4EchoRequest && p.Type() != ICMPv4EchoReply || p.Code() != 0 {
		return ErrMalformed
	}
	*r = ICMPv4EchoRepr{
		Reply: p.Type() == ICMPv4EchoReply,
		Ident: p.Ident(),
		Seq:   p.Seq(),
		Data:  p.Payload(),
	}
	return nil
}

// Len is the number of octets that Emit writes: the header and Data.
func (r *ICMPv4EchoRepr) Len() int { return ICMPv4HeaderLen + len(r.Data) }

// Emit writes the message, with its checksum, to the front of b. Data may lie in b already.
func (r *ICMPv4EchoRepr) Emit(b []byte) {
	p := ICMPv4Packet(b[:r.Len()])
	copy(p[ICMPv4HeaderLen:], r.Data)
	p[0], p[1] = ICMPv4EchoRequest, 0
	if r.Reply {
		p[0] = ICMPv4EchoReply
	}
	p.SetIdent(r.Ident)
	p.SetSeq(r.Seq)
	p.FillChecksum()
}

// String prints the message as "ICMP echo request, id 1, seq 2, length 64".
func (r *ICMPv4EchoRepr) String() string { return icmpv4String(r) }

// ICMPv4ErrorRepr is an error: destination unreachable, time exceeded, parameter problem or redirect.
type ICMPv4ErrorRepr struct {
	Type, Code uint8
	MTU        uint16     // octets, with ICMPv4FragmentationNeeded alone
	Pointer    uint8      // with ICMPv4ParameterProblem alone
	Gateway    netip.Addr // with ICMPv4Redirect alone; IPv4, any other value is emitted as 0.0.0.0

	// Quote is the front of the packet that the error is about: its IP header and at least eight octets more, for
	// ParseIPv4Header.
	Quote []byte
}

// Parse reads p. Quote then shares p's octets, and has not been looked at. The errors are ErrChecksum if the checksum
// is wrong, and ErrMalformed if p is of another type.
func (r *ICMPv4ErrorRepr) Parse(p ICMPv4Packet) error {
	if !p.VerifyChecksum() {
		return ErrChecksum
	}
	e := ICMPv4ErrorRepr{Type: p.Type(), Code: p.Code(), Quote: p.Payload()}
	switch e.Type {
	case ICMPv4DestinationUnreachable:
		if e.Code == ICMPv4FragmentationNeeded {
			e.MTU = p.MTU()
		}
	case ICMPv4TimeExceeded:
	case ICMPv4ParameterProblem:
		e.Pointer = p.Pointer()
	case ICMPv4Redirect:
		e.Gateway = p.Gateway()
	default:
		return ErrMalformed
	}
	*r = e
	return nil
}

// Len is the number of octets that Emit writes: the header and Quote.
func (r *ICMPv4ErrorRepr) Len() int { return ICMPv4HeaderLen + len(r.Quote) }

// Emit writes the message, with its checksum, to the front of b. Quote may lie in b already.
func (r *ICMPv4ErrorRepr) Emit(b []byte) {
	p := ICMPv4Packet(b[:r.Len()])
	copy(p[ICMPv4HeaderLen:], r.Quote)
	clear(p[:ICMPv4HeaderLen])
	p[0], p[1] = r.Type, r.Code
	switch r.Type {
	case ICMPv4DestinationUnreachable:
		if r.Code == ICMPv4FragmentationNeeded {
			binary.BigEndian.PutUint16(p[6:], r.MTU)
		}
	case ICMPv4ParameterProblem:
		p[4] = r.Pointer
	case ICMPv4Redirect:
		putIPv4Addr(p[4:], r.Gateway)
	}
	p.FillChecksum()
}

// String prints the message and the packet that it is about.
func (r *ICMPv4ErrorRepr) String() string { return icmpv4String(r) }

// icmpv4String prints a representation as the message that it emits.
func icmpv4String(r interface {
	Len() int
	Emit(b []byte)
}) string {
	b := make([]byte, r.Len())
	r.Emit(b)
	return ICMPv4Packet(b).String()
}
