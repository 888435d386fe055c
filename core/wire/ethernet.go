package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// HardwareAddr is an IEEE 802 MAC-48 address, in the order of transmission.
type HardwareAddr [6]byte

// BroadcastHardwareAddr is the address of every station on the link.
var BroadcastHardwareAddr = HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// IsBroadcast reports whether a is BroadcastHardwareAddr.
func (a HardwareAddr) IsBroadcast() bool { return a == BroadcastHardwareAddr }

// IsMulticast reports whether a has the group bit: whether it stands for several stations, as the broadcast address
// does too, and so cannot be anybody's own.
func (a HardwareAddr) IsMulticast() bool { return a[0]&1 != 0 }

// IsZero reports whether a is the zero value, which no station has.
func (a HardwareAddr) IsZero() bool { return a == HardwareAddr{} }

// String prints a in lower-case hexadecimal, such as "02:00:5e:10:00:01".
func (a HardwareAddr) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4], a[5])
}

// MulticastHardwareAddr returns the hardware address that packets to the IP multicast group addr are sent to.
func MulticastHardwareAddr(addr netip.Addr) HardwareAddr {
	if addr.Is4() {
		// "An IP host group address is mapped to an Ethernet multicast address by placing the low-order 23-bits of the
		// IP address into the low-order 23 bits of the Ethernet multicast address 01-00-5E-00-00-00 (hex)."
		// https://www.rfc-editor.org/rfc/rfc1112.html#section-6.4
		group := addr.As4()
		return HardwareAddr{0x01, 0x00, 0x5e, group[1] & 0x7f, group[2], group[3]}
	}
	// "An IPv6 packet with a multicast destination address DST, consisting of the sixteen octets DST[1] through
	// DST[16], is transmitted to the Ethernet multicast address whose first two octets are the value 3333 hexadecimal
	// and whose last four octets are the last four octets of DST."
	// https://www.rfc-editor.org/rfc/rfc2464.html#section-7
	group := addr.As16()
	return HardwareAddr{0x33, 0x33, group[12], group[13], group[14], group[15]}
}

// EtherType says what an Ethernet II frame carries. The numbers are IANA's "IEEE 802 Numbers".
type EtherType uint16

// The EtherTypes that this package knows.
const (
	EtherTypeIPv4 EtherType = 0x0800
	EtherTypeARP  EtherType = 0x0806
	EtherTypeVLAN EtherType = 0x8100 // an IEEE 802.1Q tag, with another EtherType after it
	EtherTypeIPv6 EtherType = 0x86dd
	EtherTypeQinQ EtherType = 0x88a8 // an IEEE 802.1ad service tag, with another EtherType after it
)

// minEtherType is the least value of the type field that is an EtherType; less is the length of an IEEE 802.3 frame.
const minEtherType = 0x0600

// String prints the name of t, or "Unknown", and the number: "IPv4 (0x0800)".
func (t EtherType) String() string {
	name := "Unknown"
	switch t {
	case EtherTypeIPv4:
		name = "IPv4"
	case EtherTypeARP:
		name = "ARP"
	case EtherTypeVLAN:
		name = "802.1Q"
	case EtherTypeIPv6:
		name = "IPv6"
	case EtherTypeQinQ:
		name = "802.1Q-QinQ"
	}
	return fmt.Sprintf("%s (0x%04x)", name, uint16(t))
}

const (
	// EthernetHeaderLen is the length of an Ethernet header in octets.
	EthernetHeaderLen = 14

	vlanTagLen = 4
)

// EthernetFrame is an Ethernet frame without its preamble and frame check sequence: the addresses, the type and what
// follows (RFC 894). Made by ParseEthernet, none of its methods panics.
type EthernetFrame []byte

// ParseEthernet takes b for a frame. The error is ErrTruncated if b is shorter than a header.
func ParseEthernet(b []byte) (EthernetFrame, error) {
	if len(b) < EthernetHeaderLen {
		return nil, ErrTruncated
	}
	return EthernetFrame(b), nil
}

// Dst is the station, or the group of them, that the frame is for.
func (f EthernetFrame) Dst() HardwareAddr { return HardwareAddr(f[0:6]) }

// Src is the station that sent the frame.
func (f EthernetFrame) Src() HardwareAddr { return HardwareAddr(f[6:12]) }

// EtherType is the type field. In an IEEE 802.3 frame it is a length.
func (f EthernetFrame) EtherType() EtherType { return EtherType(binary.BigEndian.Uint16(f[12:])) }

// Is8023 reports whether the frame is an IEEE 802.3 one, whose type field is a length, as those of spanning trees are.
func (f EthernetFrame) Is8023() bool { return f.EtherType() < minEtherType }

// IsVLAN reports whether a VLAN tag, of IEEE 802.1Q or 802.1ad, stands before what the frame carries.
func (f EthernetFrame) IsVLAN() bool {
	return f.EtherType() == EtherTypeVLAN || f.EtherType() == EtherTypeQinQ
}

// Payload is what follows the header, with the padding of a short frame. It shares f's octets.
func (f EthernetFrame) Payload() []byte { return f[EthernetHeaderLen:] }

// SetDst sets the destination.
func (f EthernetFrame) SetDst(addr HardwareAddr) { copy(f[0:6], addr[:]) }

// SetSrc sets the source.
func (f EthernetFrame) SetSrc(addr HardwareAddr) { copy(f[6:12], addr[:]) }

// SetEtherType sets the type field.
func (f EthernetFrame) SetEtherType(t EtherType) { binary.BigEndian.PutUint16(f[12:], uint16(t)) }

// String prints what the frame carries and, where that is nothing known here, the header.
func (f EthernetFrame) String() string {
	if len(f) < EthernetHeaderLen {
		return "[|ether]"
	}
	if s, ok := formatEtherPayload(f.EtherType(), f.Payload()); ok {
		return s
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%v > %v, ", f.Src(), f.Dst())
	if f.Is8023() {
		fmt.Fprintf(&s, "802.3, length %d", uint16(f.EtherType()))
		return s.String()
	}
	t, b := f.EtherType(), f.Payload()
	for t == EtherTypeVLAN || t == EtherTypeQinQ {
		if len(b) < vlanTagLen {
			s.WriteString("[|vlan]")
			return s.String()
		}
		// Tag control information: three bits of priority, one of drop eligibility, twelve of VLAN identifier.
		tag := binary.BigEndian.Uint16(b)
		fmt.Fprintf(&s, "vlan %d, p %d, ", tag&0xfff, tag>>13)
		if tag&0x1000 != 0 {
			s.WriteString("DEI, ")
		}
		t, b = EtherType(binary.BigEndian.Uint16(b[2:])), b[vlanTagLen:]
	}
	if inner, ok := formatEtherPayload(t, b); ok {
		s.WriteString(inner)
	} else if t < minEtherType {
		fmt.Fprintf(&s, "802.3, length %d", uint16(t))
	} else {
		fmt.Fprintf(&s, "ethertype %v, length %d", t, len(b))
	}
	return s.String()
}

// formatEtherPayload prints b if t is a type known here.
func formatEtherPayload(t EtherType, b []byte) (s string, ok bool) {
	switch t {
	case EtherTypeIPv4:
		return formatIPv4(b), true
	case EtherTypeARP:
		return formatARP(b), true
	case EtherTypeIPv6:
		return formatIPv6(b), true
	}
	return "", false
}

// EthernetRepr is the header of an Ethernet II frame.
type EthernetRepr struct {
	Dst, Src  HardwareAddr
	EtherType EtherType // 0x0600 or more
}

// Parse reads the header of f. The error is ErrMalformed for an IEEE 802.3 frame.
func (r *EthernetRepr) Parse(f EthernetFrame) error {
	if f.Is8023() {
		return ErrMalformed
	}
	*r = EthernetRepr{Dst: f.Dst(), Src: f.Src(), EtherType: f.EtherType()}
	return nil
}

// Len is the number of octets that Emit writes: EthernetHeaderLen.
func (r *EthernetRepr) Len() int { return EthernetHeaderLen }

// Emit writes the header to the front of b.
func (r *EthernetRepr) Emit(b []byte) {
	f := EthernetFrame(b[:EthernetHeaderLen])
	f.SetDst(r.Dst)
	f.SetSrc(r.Src)
	f.SetEtherType(r.EtherType)
}

// String prints the header as "02:00:5e:10:00:01 > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806)".
func (r *EthernetRepr) String() string {
	return fmt.Sprintf("%v > %v, ethertype %v", r.Src, r.Dst, r.EtherType)
}
