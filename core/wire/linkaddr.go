package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// LinkAddr is a link-layer address of whatever medium: of 6 octets on an Ethernet, and of 8 (extended, an EUI-64) or 2 (short)
// on IEEE 802.15.4. Its octets are in the order in which people write them, which IEEE 802.15.4 turns round on the air. The
// zero value is no address.
type LinkAddr struct {
	octets uint64 // the first in the topmost bits, zeros behind the last: a number passes in a register, an array would not
	len    uint8
}

const maxLinkAddrLen = 8

// Lengths of addresses in octets.
const (
	HardwareAddrLen = 6 // Ethernet
	ExtendedAddrLen = 8 // IEEE 802.15.4
	ShortAddrLen    = 2 // IEEE 802.15.4
)

// BroadcastShortAddr is the address of every IEEE 802.15.4 node in reach.
var BroadcastShortAddr = ShortAddr(0xffff)

// LinkAddrFrom is the address of b's octets, of which there are 8 at most: of a longer b, the first 8.
func LinkAddrFrom(b []byte) LinkAddr {
	var octets [maxLinkAddrLen]byte
	n := copy(octets[:], b)
	return LinkAddr{binary.BigEndian.Uint64(octets[:]), uint8(n)}
}

// ExtendedAddr is the extended address of IEEE 802.15.4 with the octets of eui64, the company's first.
func ExtendedAddr(eui64 [8]byte) LinkAddr {
	return LinkAddr{binary.BigEndian.Uint64(eui64[:]), ExtendedAddrLen}
}

// ShortAddr is the short address of IEEE 802.15.4 with the number.
func ShortAddr(number uint16) LinkAddr { return LinkAddr{uint64(number) << 48, ShortAddrLen} }

// LinkAddr is a as an address of whatever medium. The zero address is none there either.
func (a HardwareAddr) LinkAddr() LinkAddr {
	if a.IsZero() {
		return LinkAddr{}
	}
	return LinkAddrFrom(a[:])
}

// Len is the number of octets; 0: no address.
func (a LinkAddr) Len() int { return int(a.len) }

// IsZero reports whether a is no address.
func (a LinkAddr) IsZero() bool { return a.len == 0 }

// AppendTo appends the octets to b.
func (a LinkAddr) AppendTo(b []byte) []byte {
	eui64 := a.all()
	return append(b, eui64[:a.len]...)
}

// all are the octets, and zeros behind them.
func (a LinkAddr) all() (octets [maxLinkAddrLen]byte) {
	binary.BigEndian.PutUint64(octets[:], a.octets)
	return octets
}

// Ethernet is a as an address of 6 octets; zero if it has another length.
func (a LinkAddr) Ethernet() (hw HardwareAddr) {
	if a.len == HardwareAddrLen {
		binary.BigEndian.PutUint32(hw[:], uint32(a.octets>>32))
		binary.BigEndian.PutUint16(hw[4:], uint16(a.octets>>16))
	}
	return hw
}

// Extended is a as an extended address; ok is false if it is none.
func (a LinkAddr) Extended() (eui64 [8]byte, ok bool) { return a.all(), a.len == ExtendedAddrLen }

// Short is a as a short address; ok is false if it is none.
func (a LinkAddr) Short() (number uint16, ok bool) {
	return uint16(a.octets >> 48), a.len == ShortAddrLen
}

// IsMulticast reports whether a stands for several nodes, as the broadcast address does too, and so cannot be anybody's own.
//
// RFC 4944 has short addresses that begin with the bits 100 stand for groups.
// https://www.rfc-editor.org/rfc/rfc4944.html#section-9
func (a LinkAddr) IsMulticast() bool {
	switch a.len {
	case HardwareAddrLen:
		return a.octets>>56&1 != 0
	case ShortAddrLen:
		return a == BroadcastShortAddr || a.octets>>61 == 0b100
	}
	return false
}

// InterfaceID is the interface identifier, the second half of an IPv6 address, that follows from a. It is zero if a is none.
//
// Of an address of 48 bits: "[...] is to insert two octets, with hexadecimal values of 0xFF and 0xFE [...], in the middle of
// the 48-bit MAC (between the company_id and vendor-supplied id)" and to invert the "u" (universal/local) bit.
// https://www.rfc-editor.org/rfc/rfc4291.html#appendix-A
//
// Of an extended address it is that with the same bit inverted, and of a short one 0000:00ff:fe00 with the address behind it.
// https://www.rfc-editor.org/rfc/rfc6282.html#section-3.2.2
func (a LinkAddr) InterfaceID() (id [8]byte) {
	hw := a.all()
	switch a.len {
	case HardwareAddrLen:
		return [8]byte{hw[0] ^ 2, hw[1], hw[2], 0xff, 0xfe, hw[3], hw[4], hw[5]}
	case ExtendedAddrLen:
		hw[0] ^= 2
		return hw
	case ShortAddrLen:
		return [8]byte{3: 0xff, 4: 0xfe, 6: hw[0], 7: hw[1]}
	}
	return id
}

// LinkLocal is the link-local address with a's interface identifier.
func (a LinkAddr) LinkLocal() netip.Addr {
	octets, id := [16]byte{0: 0xfe, 1: 0x80}, a.InterfaceID()
	copy(octets[8:], id[:])
	return netip.AddrFrom16(octets)
}

// String prints a in lower-case hexadecimal, "02:00:5e:10:00:01" or "1a:0b:42:ff:fe:00:00:01", and a short address as a number:
// "0xbeef". No address is "none".
func (a LinkAddr) String() string {
	switch a.len {
	case 0:
		return "none"
	case ShortAddrLen:
		return fmt.Sprintf("0x%04x", a.octets>>48)
	}
	b := make([]byte, 0, 3*maxLinkAddrLen)
	for i, octet := range a.AppendTo(nil) {
		if i > 0 {
			b = append(b, ':')
		}
		b = fmt.Appendf(b, "%02x", octet)
	}
	return string(b)
}

// OnIEEE802154 is a, which a neighbor discovery option said, as an address of IEEE 802.15.4: short if the option had room for no more.
func (a LinkAddr) OnIEEE802154() LinkAddr {
	if a.len == HardwareAddrLen {
		return ShortAddr(uint16(a.octets >> 48))
	}
	return a
}
