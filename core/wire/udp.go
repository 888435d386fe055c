package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
)

const (
	// UDPHeaderLen is the length of a UDP header in octets.
	UDPHeaderLen = 8
	// UDPChecksumField is where the checksum is, in octets from the header's first.
	UDPChecksumField = 6
)

// UDPPacket is a datagram: the UDP header and what follows (RFC 768). Made by ParseUDP, none of its methods panics.
type UDPPacket []byte

// ParseUDP takes b, which begins with a UDP header, for a datagram. Octets of b beyond the datagram's length are
// not part of it. The error is ErrTruncated if b is shorter than a header, and ErrLength if the length field is
// less than the header or more than b.
func ParseUDP(b []byte) (UDPPacket, error) {
	if len(b) < UDPHeaderLen {
		return nil, ErrTruncated
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length < UDPHeaderLen || length > len(b) {
		return nil, ErrLength
	}
	return UDPPacket(b[:length:length]), nil
}

// ParseUDPHeader is ParseUDP for a datagram of which not all is there: the length field may say more than b has.
// It is for what ICMP errors quote.
func ParseUDPHeader(b []byte) (UDPPacket, error) {
	if len(b) < UDPHeaderLen {
		return nil, ErrTruncated
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length < UDPHeaderLen {
		return nil, ErrLength
	}
	length = min(length, len(b))
	return UDPPacket(b[:length:length]), nil
}

// SrcPort is the sender's port, 0 if no answer is expected.
func (p UDPPacket) SrcPort() uint16 { return binary.BigEndian.Uint16(p[0:]) }

// DstPort is the receiver's port.
func (p UDPPacket) DstPort() uint16 { return binary.BigEndian.Uint16(p[2:]) }

// Length is the length field: octets of header and payload.
func (p UDPPacket) Length() int { return int(binary.BigEndian.Uint16(p[4:])) }

// Checksum is the checksum field, 0 if the sender computed none.
func (p UDPPacket) Checksum() uint16 { return binary.BigEndian.Uint16(p[UDPChecksumField:]) }

// Payload is what follows the header. It shares p's octets.
func (p UDPPacket) Payload() []byte { return p[UDPHeaderLen:] }

// SetSrcPort sets the sender's port.
func (p UDPPacket) SetSrcPort(port uint16) { binary.BigEndian.PutUint16(p[0:], port) }

// SetDstPort sets the receiver's port.
func (p UDPPacket) SetDstPort(port uint16) { binary.BigEndian.PutUint16(p[2:], port) }

// SetLength sets the length field: octets of header and payload.
func (p UDPPacket) SetLength(n int) { binary.BigEndian.PutUint16(p[4:], uint16(n)) }

// SetChecksum sets the checksum field to exactly sum. A complete checksum that comes out as zero must be given as
// 0xffff, which FillChecksum sees to.
func (p UDPPacket) SetChecksum(sum uint16) { binary.BigEndian.PutUint16(p[UDPChecksumField:], sum) }

// FillChecksum computes the checksum of the whole datagram, sent from src to dst, and sets it.
func (p UDPPacket) FillChecksum(src, dst netip.Addr) {
	p.SetChecksum(0)
	var sum Sum
	sum.AddPseudoHeader(src, dst, protocolUDP, len(p))
	sum.Add(p)
	p.SetChecksum(UDPChecksum(sum))
}

// UDPChecksum is the complement of sum as UDP's checksum field holds it.
func UDPChecksum(sum Sum) uint16 {
	c := sum.Checksum()
	if c == 0 {
		// "If the computed checksum is zero, it is transmitted as all ones (the equivalent in one's complement
		// arithmetic). An all zero transmitted checksum value means that the transmitter generated no checksum"
		// https://www.rfc-editor.org/rfc/rfc768.html
		return 0xffff
	}
	return c
}

// VerifyChecksum reports whether the datagram, sent from src to dst, has a right checksum, or none where it needs
// none.
func (p UDPPacket) VerifyChecksum(src, dst netip.Addr) bool {
	if p.Checksum() == 0 {
		// "IPv6 receivers must discard UDP packets containing a zero checksum and should log the error."
		// https://www.rfc-editor.org/rfc/rfc8200.html#section-8.1
		return dst.Unmap().Is4()
	}
	var sum Sum
	sum.AddPseudoHeader(src, dst, protocolUDP, len(p))
	sum.Add(p)
	return sum.Fold() == 0xffff
}

// String prints the datagram as tcpdump would, without addresses.
func (p UDPPacket) String() string {
	if len(p) < UDPHeaderLen {
		return "[|udp]"
	}
	return fmt.Sprintf("%d > %d: %s", p.SrcPort(), p.DstPort(), p.describe())
}

// describe prints what follows addresses and ports. p has at least a header.
func (p UDPPacket) describe() string {
	if length := p.Length(); length < UDPHeaderLen {
		return fmt.Sprintf("UDP, bad length %d", length)
	} else if length > len(p) {
		return fmt.Sprintf("UDP, length %d [%d octets missing]", length-UDPHeaderLen, length-len(p))
	}
	if b := appendUDPContent(nil, p.SrcPort(), p.DstPort(), p.Payload()); b != nil {
		return string(b)
	}
	return fmt.Sprintf("UDP, length %d", p.Length()-UDPHeaderLen)
}

// appendUDPContent prints what a datagram carries, by the port at either end. It returns nil if it does not know.
func appendUDPContent(b []byte, src, dst uint16, payload []byte) []byte {
	between := func(ports ...uint16) bool { return slices.Contains(ports, src) || slices.Contains(ports, dst) }
	switch {
	case len(payload) == 0:
	case between(DHCPv4ServerPort, DHCPv4ClientPort):
		return append(b, formatDHCPv4(payload)...)
	case between(DHCPv6ClientPort, DHCPv6ServerPort):
		return appendDHCPv6(b, payload, dhcpv6PrintDepth)
	case between(DNSPort):
		return DNSPacket(payload).append(b, false)
	case between(MDNSPort):
		return DNSPacket(payload).append(b, true)
	}
	return nil
}

func formatUDP(src, dst netip.Addr, payload []byte) string {
	if len(payload) < UDPHeaderLen {
		return fmt.Sprintf("%v > %v: [|udp]", src, dst)
	}
	p := UDPPacket(payload)
	return fmt.Sprintf("%v.%d > %v.%d: %s", src, p.SrcPort(), dst, p.DstPort(), p.describe())
}

// UDPRepr is a UDP header.
type UDPRepr struct {
	SrcPort    uint16 // 0: no answer is expected
	DstPort    uint16 // never 0
	PayloadLen int    // octets of payload, at most 65,527
}

// Parse sets r to what p's header says. It does not look at the checksum. The error is ErrMalformed for
// destination port 0, which is reserved.
func (r *UDPRepr) Parse(p UDPPacket) error {
	if p.DstPort() == 0 {
		return ErrMalformed
	}
	*r = UDPRepr{SrcPort: p.SrcPort(), DstPort: p.DstPort(), PayloadLen: len(p.Payload())}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *UDPRepr) Len() int { return UDPHeaderLen }

// Emit writes the header to the front of b, with a zero checksum for the caller to fill in. It panics if b is
// shorter than Len.
func (r *UDPRepr) Emit(b []byte) {
	_ = b[UDPHeaderLen-1]
	p := UDPPacket(b)
	p.SetSrcPort(r.SrcPort)
	p.SetDstPort(r.DstPort)
	p.SetLength(UDPHeaderLen + r.PayloadLen)
	p.SetChecksum(0)
}

// String prints the header as tcpdump would, without addresses.
func (r *UDPRepr) String() string {
	return fmt.Sprintf("%d > %d: UDP, length %d", r.SrcPort, r.DstPort, r.PayloadLen)
}
