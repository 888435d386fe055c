package slaac

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
)

// Identifier is an interface identifier: the second half of an address.
type Identifier [8]byte

// Stable is the identifier that an interface has in a prefix of 64 bits: always the same, and of no use to anybody
// who wants to know where else the host has been. duplicates is how often the address made of it was found to be
// somebody else's.
//
// "RID = F(Prefix, Net_Iface, Network_ID, DAD_Counter, secret_key)"
// https://www.rfc-editor.org/rfc/rfc7217.html#section-5
// F is SHA-256; there is no Network_ID, which is optional. The prefix and counter have a fixed length, and the name's
// length precedes it, so that no two sets of values run together.
func Stable(prefix netip.Prefix, name string, duplicates uint8, secret []byte) Identifier {
	network := prefix.Masked().Addr().As16()
	for attempt := uint16(duplicates); ; attempt += retryStep {
		h := sha256.New()
		h.Write(network[:8])
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(name))))
		h.Write([]byte(name))
		h.Write(binary.BigEndian.AppendUint16(nil, attempt))
		h.Write(secret)
		sum := h.Sum(nil)
		// Its least significant bits are taken, as section 5 goes on.
		id := Identifier(sum[len(sum)-8:])
		if !id.reserved() {
			return id
		}
	}
}

// retryStep makes the counter of a reserved identifier's successor differ from those after duplicates.
const retryStep = 256

// reserved reports whether no interface may have the identifier: the subnet-router anycast address's, and those of
// IANA's registry, among them the reserved subnet anycast addresses.
// https://www.rfc-editor.org/rfc/rfc5453.html#section-3
func (id Identifier) reserved() bool {
	const anycast = 0xfdff_ffff_ffff_ff80 // up to 0xfdffffffffffffff
	n := binary.BigEndian.Uint64(id[:])
	return n == 0 || n >= anycast && n <= anycast+0x7f || n>>24 == ethernetBlock
}

// ethernetBlock begins the identifiers that proxy mobile IPv6 and others have from IANA's own Ethernet block.
const ethernetBlock = 0x0200_5eff_fe

// With is the address that the identifier makes with the prefix, of 64 bits, whose length it keeps.
func (id Identifier) With(prefix netip.Prefix) netip.Prefix {
	octets := prefix.Masked().Addr().As16()
	copy(octets[8:], id[:])
	return netip.PrefixFrom(netip.AddrFrom16(octets), prefix.Bits())
}

// RandomIdentifier is an identifier made of random numbers. It is zero, which is nobody's, only if those are none.
func RandomIdentifier(random func() uint64) Identifier {
	for range 8 {
		var id Identifier
		binary.LittleEndian.PutUint64(id[:], random())
		if !id.reserved() {
			return id
		}
	}
	return Identifier{}
}
