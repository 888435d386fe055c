package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

const (
	// IPv4HeaderLen is the length of an IPv4 header without options, in octets.
	IPv4HeaderLen = 20
	// IPv4MaxHeaderLen is the length of an IPv4 header with as many options as it can hold.
	IPv4MaxHeaderLen = 60
	// IPv4MinMTU is the size of the largest packet that every host must be able to receive (RFC 791, section 3.1).
	IPv4MinMTU = 576
	// IPv4MaxLen is the length of the longest packet, header included.
	IPv4MaxLen = 65535

	ipv4DontFragment  = 0x4000
	ipv4MoreFragments = 0x2000
	ipv4OffsetMask    = 0x1fff // in units of eight octets
)

// IPv4Packet is an IPv4 packet: the header, its options, and what it carries (RFC 791, section 3.1). Made by
// ParseIPv4 or ParseIPv4Header, none of its methods panics.
type IPv4Packet []byte

// ParseIPv4 takes b for a packet. Octets of b beyond the packet's length, such as the padding of a short Ethernet
// frame, are not part of it. The checksum is not verified. The errors are ErrTruncated if b is shorter than the
// header, ErrVersion if the version is not 4, and ErrLength if the header's length is less than IPv4HeaderLen, or the
// total length less than the header's or more than b's.
func ParseIPv4(b []byte) (IPv4Packet, error) {
	p, err := ParseIPv4Header(b)
	if err != nil {
		return nil, err
	}
	if p.TotalLen() > len(p) {
		return nil, ErrLength
	}
	return p, nil
}

// ParseIPv4Header is like ParseIPv4, but b may end early, anywhere behind the header: what an ICMP error quotes, or the
// header of a packet whose payload is elsewhere.
func ParseIPv4Header(b []byte) (IPv4Packet, error) {
	if len(b) < IPv4HeaderLen {
		return nil, ErrTruncated
	}
	p := IPv4Packet(b)
	if p.Version() != 4 {
		return nil, ErrVersion
	}
	header, total := p.HeaderLen(), p.TotalLen()
	if header < IPv4HeaderLen || total < header {
		return nil, ErrLength
	}
	if header > len(b) {
		return nil, ErrTruncated
	}
	return p[:min(total, len(p))], nil
}

// Version is the version of the protocol: 4.
func (p IPv4Packet) Version() int { return int(p[0] >> 4) }

// HeaderLen is the length of the header with its options, in octets.
func (p IPv4Packet) HeaderLen() int { return int(p[0]&0xf) * 4 }

// TOS is the type of service octet, which DSCP and ECN share today.
func (p IPv4Packet) TOS() uint8 { return p[1] }

// DSCP is the differentiated services codepoint (RFC 2474), six bits.
func (p IPv4Packet) DSCP() uint8 { return p[1] >> 2 }

// ECN is the explicit congestion notification field (RFC 3168), two bits.
func (p IPv4Packet) ECN() uint8 { return p[1] & 3 }

// TotalLen is the length of header and payload in octets, as the header has it.
func (p IPv4Packet) TotalLen() int { return int(binary.BigEndian.Uint16(p[2:])) }

// ID is the identification, which the fragments of one packet share.
func (p IPv4Packet) ID() uint16 { return binary.BigEndian.Uint16(p[4:]) }

func (p IPv4Packet) fragment() uint16 { return binary.BigEndian.Uint16(p[6:]) }

// DontFragment reports whether routers must not fragment the packet.
func (p IPv4Packet) DontFragment() bool { return p.fragment()&ipv4DontFragment != 0 }

// MoreFragments reports whether other fragments come after this one.
func (p IPv4Packet) MoreFragments() bool { return p.fragment()&ipv4MoreFragments != 0 }

// FragmentOffset is where the payload belongs in that of the whole packet, in octets, a multiple of eight.
func (p IPv4Packet) FragmentOffset() int { return int(p.fragment()&ipv4OffsetMask) * 8 }

// IsFragment reports whether the packet is only a part of one.
func (p IPv4Packet) IsFragment() bool { return p.fragment()&(ipv4MoreFragments|ipv4OffsetMask) != 0 }

// TTL is the time to live: how many hops the packet may go yet.
func (p IPv4Packet) TTL() uint8 { return p[8] }

// Protocol is the number of the protocol that the packet carries.
func (p IPv4Packet) Protocol() uint8 { return p[9] }

// Checksum is the header checksum field.
func (p IPv4Packet) Checksum() uint16 { return binary.BigEndian.Uint16(p[10:]) }

// Src is the source address.
func (p IPv4Packet) Src() netip.Addr { return netip.AddrFrom4([4]byte(p[12:16])) }

// Dst is the destination address.
func (p IPv4Packet) Dst() netip.Addr { return netip.AddrFrom4([4]byte(p[16:20])) }

// Options are the octets of the header's options, padding included. They share p's octets.
func (p IPv4Packet) Options() []byte { return p[IPv4HeaderLen:p.HeaderLen()] }

// Payload is what the packet carries, as much of it as there is. It shares p's octets.
func (p IPv4Packet) Payload() []byte { return p[p.HeaderLen():] }

// VerifyChecksum reports whether the header checksum is right.
func (p IPv4Packet) VerifyChecksum() bool { return Checksum(p[:p.HeaderLen()]) == 0 }

// SetTOS sets the type of service octet.
func (p IPv4Packet) SetTOS(tos uint8) { p[1] = tos }

// SetTotalLen sets the length of header and payload, in octets up to IPv4MaxLen.
func (p IPv4Packet) SetTotalLen(n int) { binary.BigEndian.PutUint16(p[2:], uint16(n)) }

// SetID sets the identification.
func (p IPv4Packet) SetID(id uint16) { binary.BigEndian.PutUint16(p[4:], id) }

// SetFragment makes the packet a fragment: offset, in octets, is a multiple of eight, and more says that others come
// after it. 0 and false make it whole. DontFragment stays as it is.
func (p IPv4Packet) SetFragment(offset int, more bool) {
	field := p.fragment()&ipv4DontFragment | uint16(offset/8)&ipv4OffsetMask
	if more {
		field |= ipv4MoreFragments
	}
	binary.BigEndian.PutUint16(p[6:], field)
}

// SetTTL sets the time to live.
func (p IPv4Packet) SetTTL(ttl uint8) { p[8] = ttl }

// SetProtocol sets the number of the protocol that the packet carries.
func (p IPv4Packet) SetProtocol(protocol uint8) { p[9] = protocol }

// SetChecksum sets the header checksum field.
func (p IPv4Packet) SetChecksum(sum uint16) { binary.BigEndian.PutUint16(p[10:], sum) }

// FillChecksum computes the header checksum and sets it. It comes after every other setter.
func (p IPv4Packet) FillChecksum() {
	p.SetChecksum(0)
	p.SetChecksum(Checksum(p[:p.HeaderLen()]))
}

// SetSrc sets the source address, which is IPv4.
func (p IPv4Packet) SetSrc(addr netip.Addr) { putIPv4Addr(p[12:], addr) }

// SetDst sets the destination address, which is IPv4.
func (p IPv4Packet) SetDst(addr netip.Addr) { putIPv4Addr(p[16:], addr) }

// putIPv4Addr writes addr to the front of b: 0.0.0.0 if it is not an IPv4 address.
func putIPv4Addr(b []byte, addr netip.Addr) {
	var octets [4]byte
	if addr.Is4() {
		octets = addr.As4()
	}
	copy(b[:4], octets[:])
}

// String prints the packet and what it carries.
func (p IPv4Packet) String() string { return formatIPv4(p) }

// formatIPv4 prints b and says when octets are missing.
func formatIPv4(b []byte) string {
	p, err := ParseIPv4Header(b)
	if err != nil {
		return formatBadIPv4(b, err)
	}
	s := p.format(formatTransport)
	if missing := p.TotalLen() - len(p); missing > 0 {
		return fmt.Sprintf("IP truncated-ip - %d bytes missing! %s", missing, s)
	}
	return "IP " + s
}

// formatQuotedIPv4 prints b, the quote in an ICMP error, which is expected to end early.
func formatQuotedIPv4(b []byte) string {
	p, err := ParseIPv4Header(b)
	if err != nil {
		return formatBadIPv4(b, err)
	}
	return "IP " + p.format(formatQuotedTransport)
}

func formatBadIPv4(b []byte, err error) string {
	p := IPv4Packet(b)
	switch {
	case err == ErrTruncated:
		return "IP [|ip]"
	case err == ErrVersion:
		return fmt.Sprintf("IP bad version %d", p.Version())
	case p.HeaderLen() < IPv4HeaderLen:
		return fmt.Sprintf("IP bad-hlen %d", p.HeaderLen())
	default:
		return fmt.Sprintf("IP bad-len %d", p.TotalLen())
	}
}

func (p IPv4Packet) format(transport func(src, dst netip.Addr, protocol uint8, payload []byte) string) string {
	var s strings.Builder
	if options := p.Options(); len(options) > 0 {
		fmt.Fprintf(&s, "(options %s) ", formatIPv4Options(options))
	}
	if !p.VerifyChecksum() {
		fmt.Fprintf(&s, "(bad cksum 0x%04x) ", p.Checksum())
	}
	if offset := p.FragmentOffset(); offset == 0 {
		s.WriteString(transport(p.Src(), p.Dst(), p.Protocol(), p.Payload()))
	} else {
		// The transport header is in another fragment.
		s.WriteString(formatEndpoints(p.Src(), p.Dst()) + protocolName(p.Protocol()))
	}
	if p.IsFragment() {
		// The notation is identification:size@offset, with a + if more fragments come.
		fmt.Fprintf(&s, " (frag %d:%d@%d", p.ID(), p.TotalLen()-p.HeaderLen(), p.FragmentOffset())
		if p.MoreFragments() {
			s.WriteByte('+')
		}
		s.WriteByte(')')
	}
	return s.String()
}

// formatIPv4Options names the options in b, as far as their lengths lead.
func formatIPv4Options(b []byte) string {
	var names []string
	for len(b) > 0 {
		kind := b[0]
		if kind == 0 {
			names = append(names, "eol")
			break
		}
		if kind == 1 {
			names = append(names, "nop")
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			names = append(names, "[|ip]")
			break
		}
		name, ok := ipv4OptionNames[kind]
		if !ok {
			name = fmt.Sprintf("unknown-%d", kind)
		}
		names = append(names, name)
		b = b[b[1]:]
	}
	return strings.Join(names, ",")
}

// ipv4OptionNames are the options by their type octet, copy flag and class included (RFC 791, 1393, 2113 and 1108).
var ipv4OptionNames = map[uint8]string{
	7:   "rr",
	68:  "ts",
	82:  "traceroute",
	130: "security",
	131: "lsrr",
	137: "ssrr",
	148: "ra",
}

// IPv4Repr is the header of a whole packet without options.
type IPv4Repr struct {
	Src, Dst     netip.Addr // IPv4; any other value, such as the zero value, is emitted as 0.0.0.0
	Protocol     uint8
	TTL          uint8
	TOS          uint8
	ID           uint16
	DontFragment bool
	PayloadLen   int // octets after the header, up to IPv4MaxLen-IPv4HeaderLen
}

// Parse reads the header of p; options are skipped. The errors are ErrChecksum if the header checksum is wrong, and
// ErrMalformed if p is a fragment, which has no representation before it is put together.
func (r *IPv4Repr) Parse(p IPv4Packet) error {
	if !p.VerifyChecksum() {
		return ErrChecksum
	}
	if p.IsFragment() {
		return ErrMalformed
	}
	*r = IPv4Repr{
		Src:          p.Src(),
		Dst:          p.Dst(),
		Protocol:     p.Protocol(),
		TTL:          p.TTL(),
		TOS:          p.TOS(),
		ID:           p.ID(),
		DontFragment: p.DontFragment(),
		PayloadLen:   p.TotalLen() - p.HeaderLen(),
	}
	return nil
}

// Len is the number of octets that Emit writes: IPv4HeaderLen.
func (r *IPv4Repr) Len() int { return IPv4HeaderLen }

// Emit writes the header, with its checksum, to the front of b.
func (r *IPv4Repr) Emit(b []byte) {
	p := IPv4Packet(b[:IPv4HeaderLen])
	p[0] = 4<<4 | IPv4HeaderLen/4
	p[1] = r.TOS
	p.SetTotalLen(IPv4HeaderLen + r.PayloadLen)
	p.SetID(r.ID)
	var fragment uint16
	if r.DontFragment {
		fragment = ipv4DontFragment
	}
	binary.BigEndian.PutUint16(p[6:], fragment)
	p[8] = r.TTL
	p[9] = r.Protocol
	p.SetSrc(r.Src)
	p.SetDst(r.Dst)
	p.FillChecksum()
}

// String prints the header as "IP (tos 0x0, ttl 64, id 7, flags [DF], proto tcp (6), length 40) 192.0.2.1 > 192.0.2.2".
func (r *IPv4Repr) String() string {
	flags := "none"
	if r.DontFragment {
		flags = "DF"
	}
	return fmt.Sprintf("IP (tos 0x%x, ttl %d, id %d, flags [%s], proto %s (%d), length %d) %v > %v",
		r.TOS, r.TTL, r.ID, flags, protocolName(r.Protocol), r.Protocol, IPv4HeaderLen+r.PayloadLen, r.Src, r.Dst)
}
