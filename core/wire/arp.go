package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// ARPOperation says what an ARP packet asks or tells.
type ARPOperation uint16

const (
	ARPRequest ARPOperation = 1 // who has the target protocol address?
	ARPReply   ARPOperation = 2 // the sender has the sender protocol address
)

// String prints the name of o, or its number.
func (o ARPOperation) String() string {
	switch o {
	case ARPRequest:
		return "Request"
	case ARPReply:
		return "Reply"
	}
	return fmt.Sprintf("operation %d", uint16(o))
}

const (
	// ARPLen is the length in octets of an ARP packet for IPv4 over Ethernet.
	ARPLen = 28

	arpHeaderLen        = 8 // up to the first address
	arpHardwareEthernet = 1
)

// ARPPacket is an ARP packet (RFC 826) for any kinds of hardware and protocol. Made by ParseARP, none of its methods
// panics.
type ARPPacket []byte

// ParseARP takes b, which may go on after it as the padding of a short Ethernet frame does, for an ARP packet. The
// error is ErrTruncated if b ends before the last address does.
func ParseARP(b []byte) (ARPPacket, error) {
	if len(b) < arpHeaderLen {
		return nil, ErrTruncated
	}
	n := arpHeaderLen + 2*(int(b[4])+int(b[5]))
	if n > len(b) {
		return nil, ErrTruncated
	}
	return ARPPacket(b[:n]), nil
}

// HardwareType is the kind of hardware addresses: 1 for Ethernet.
func (p ARPPacket) HardwareType() uint16 { return binary.BigEndian.Uint16(p[0:]) }

// ProtocolType is the kind of protocol addresses: EtherTypeIPv4.
func (p ARPPacket) ProtocolType() EtherType { return EtherType(binary.BigEndian.Uint16(p[2:])) }

// HardwareLen is the length of each hardware address in octets.
func (p ARPPacket) HardwareLen() int { return int(p[4]) }

// ProtocolLen is the length of each protocol address in octets.
func (p ARPPacket) ProtocolLen() int { return int(p[5]) }

// Operation is what the packet asks or tells.
func (p ARPPacket) Operation() ARPOperation { return ARPOperation(binary.BigEndian.Uint16(p[6:])) }

// SenderHardware is the sender's hardware address, HardwareLen octets.
func (p ARPPacket) SenderHardware() []byte {
	return p[arpHeaderLen:][:p.HardwareLen()]
}

// SenderProtocol is the sender's protocol address, ProtocolLen octets.
func (p ARPPacket) SenderProtocol() []byte {
	return p[arpHeaderLen+p.HardwareLen():][:p.ProtocolLen()]
}

// TargetHardware is the hardware address of whom the packet is for, HardwareLen octets. In a request it is what the
// sender does not know, and usually zeros.
func (p ARPPacket) TargetHardware() []byte {
	return p[arpHeaderLen+p.HardwareLen()+p.ProtocolLen():][:p.HardwareLen()]
}

// TargetProtocol is the protocol address of whom the packet is for, ProtocolLen octets.
func (p ARPPacket) TargetProtocol() []byte {
	return p[arpHeaderLen+2*p.HardwareLen()+p.ProtocolLen():][:p.ProtocolLen()]
}

// isIPv4OverEthernet reports whether the packet is of the only kind that ARPRepr represents.
func (p ARPPacket) isIPv4OverEthernet() bool {
	return p.HardwareType() == arpHardwareEthernet && p.HardwareLen() == 6 &&
		p.ProtocolType() == EtherTypeIPv4 && p.ProtocolLen() == 4
}

// String prints the packet.
func (p ARPPacket) String() string { return formatARP(p) }

func formatARP(b []byte) string {
	p, err := ParseARP(b)
	if err != nil {
		return "ARP [|arp]"
	}
	if !p.isIPv4OverEthernet() {
		return fmt.Sprintf("ARP, hardware %d (len %d), protocol %v (len %d), %v, length %d",
			p.HardwareType(), p.HardwareLen(), p.ProtocolType(), p.ProtocolLen(), p.Operation(), len(b))
	}
	r := p.repr()
	return fmt.Sprintf("%v, length %d", &r, len(b))
}

// ARPRepr is an ARP packet for IPv4 over Ethernet.
type ARPRepr struct {
	Operation ARPOperation // ARPRequest or ARPReply

	// The addresses. Those of the protocol are IPv4; any other value, such as the zero value, is emitted as 0.0.0.0,
	// which in a request says that the sender has no address yet (RFC 5227).
	SenderHardware HardwareAddr
	SenderProtocol netip.Addr
	TargetHardware HardwareAddr
	TargetProtocol netip.Addr
}

// Parse reads p. The errors are ErrVersion for other hardware than Ethernet or another protocol than IPv4, and
// ErrMalformed for an operation that is neither request nor reply.
func (r *ARPRepr) Parse(p ARPPacket) error {
	// "?Do I have the hardware type in ar$hrd? [...] ?Do I speak the protocol in ar$pro?"
	// https://www.rfc-editor.org/rfc/rfc826.html
	if !p.isIPv4OverEthernet() {
		return ErrVersion
	}
	if op := p.Operation(); op != ARPRequest && op != ARPReply {
		return ErrMalformed
	}
	*r = p.repr()
	return nil
}

// repr reads a packet for IPv4 over Ethernet.
func (p ARPPacket) repr() ARPRepr {
	return ARPRepr{
		Operation:      p.Operation(),
		SenderHardware: HardwareAddr(p[8:14]),
		SenderProtocol: netip.AddrFrom4([4]byte(p[14:18])),
		TargetHardware: HardwareAddr(p[18:24]),
		TargetProtocol: netip.AddrFrom4([4]byte(p[24:28])),
	}
}

// Len is the number of octets that Emit writes: ARPLen.
func (r *ARPRepr) Len() int { return ARPLen }

// Emit writes the packet to the front of b.
func (r *ARPRepr) Emit(b []byte) {
	b = b[:ARPLen]
	binary.BigEndian.PutUint16(b[0:], arpHardwareEthernet)
	binary.BigEndian.PutUint16(b[2:], uint16(EtherTypeIPv4))
	b[4], b[5] = 6, 4
	binary.BigEndian.PutUint16(b[6:], uint16(r.Operation))
	copy(b[8:14], r.SenderHardware[:])
	putIPv4Addr(b[14:], r.SenderProtocol)
	copy(b[18:24], r.TargetHardware[:])
	putIPv4Addr(b[24:], r.TargetProtocol)
}

// String prints the packet as "ARP, Request who-has 192.168.69.1 tell 192.168.69.100".
func (r *ARPRepr) String() string {
	switch {
	case r.Operation == ARPReply:
		return fmt.Sprintf("ARP, Reply %v is-at %v", r.SenderProtocol, r.SenderHardware)
	case r.Operation != ARPRequest:
		return fmt.Sprintf("ARP, %v, sender %v %v, target %v %v", r.Operation,
			r.SenderProtocol, r.SenderHardware, r.TargetProtocol, r.TargetHardware)
	case r.TargetHardware.IsZero() || r.TargetHardware.IsBroadcast():
		return fmt.Sprintf("ARP, Request who-has %v tell %v", r.TargetProtocol, r.SenderProtocol)
	default:
		return fmt.Sprintf("ARP, Request who-has %v (%v) tell %v", r.TargetProtocol, r.TargetHardware, r.SenderProtocol)
	}
}
