package wire

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Sum is a running Internet checksum, as RFC 1071 defines it, over octets that may come in pieces of any length. The
// zero value is the sum of nothing. Copying a Sum forks it: a sum over a header may be kept and continued over
// several payloads.
type Sum struct {
	// sum is a one's complement sum of 64-bit words in little-endian order. Such a sum folds to that of 16-bit words,
	// because 2^16-1 divides 2^64-1, and is wrong by no more than the order of its two octets:
	//
	// "The sum of 16-bit integers can be computed in either byte order."
	// https://www.rfc-editor.org/rfc/rfc1071.html#section-2
	//
	// Little-endian loads are plain loads on nearly every machine; Fold swaps once.
	sum uint64
	odd bool // the pieces so far end in the middle of a 16-bit word
}

// Add continues the sum over b, which follows the octets added before it, also when those were an odd number.
func (s *Sum) Add(b []byte) {
	sum := sumWords(b)
	if s.odd {
		// Every octet sits one further in its word than sumWords assumed. Rotating by eight bits multiplies by 2^8
		// modulo 2^64-1, and so moves each of them to its place.
		sum = bits.RotateLeft64(sum, 8)
	}
	s.addWord(sum)
	s.odd = s.odd != (len(b)&1 != 0)
}

// AddUint16 adds one 16-bit value, such as a header field or the Fold of another Sum. It counts as a word of its own,
// wherever the octets given to Add have stopped.
func (s *Sum) AddUint16(v uint16) {
	s.addWord(uint64(bits.ReverseBytes16(v)))
}

// AddPseudoHeader adds the pseudo-header that TCP, UDP and ICMPv6 include in their checksums: the addresses, both of
// the same family, the protocol number and the length in octets of transport header and payload. It may come before
// or after the octets themselves.
//
// The IPv4 form is RFC 9293 section 3.1's, the IPv6 form RFC 8200 section 8.1's; they sum alike.
func (s *Sum) AddPseudoHeader(src, dst netip.Addr, protocol uint8, length int) {
	s.addAddr(src)
	s.addAddr(dst)
	// A zero octet and the protocol, then the length, 16 bits of it for IPv4 and 32 for IPv6. Their plain sum fits
	// in 18 bits.
	n := uint32(length)
	s.addWord(uint64(bits.ReverseBytes16(uint16(n))) + uint64(bits.ReverseBytes16(uint16(n>>16))) + uint64(protocol)<<8)
}

func (s *Sum) addAddr(addr netip.Addr) {
	if addr.Is4() {
		b := addr.As4()
		s.addWord(uint64(binary.LittleEndian.Uint32(b[:])))
		return
	}
	b := addr.As16()
	s.addWord(binary.LittleEndian.Uint64(b[:8]))
	s.addWord(binary.LittleEndian.Uint64(b[8:]))
}

func (s *Sum) addWord(w uint64) {
	sum, carry := bits.Add64(s.sum, w, 0)
	s.sum = sum + carry
}

// Fold returns the sum in 16 bits, not complemented: what a checksum field holds that somebody else is to complete.
// An odd last octet counts as if a zero octet followed.
func (s Sum) Fold() uint16 {
	sum := s.sum>>32 + s.sum&0xffffffff
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	return bits.ReverseBytes16(uint16(sum))
}

// Checksum returns the checksum, the complement of Fold: what a header's checksum field must hold, if the field was
// zero or left out while summing, and zero if the field was included and right.
func (s Sum) Checksum() uint16 { return ^s.Fold() }

// Checksum returns the Internet checksum of b, as [Sum.Checksum] does.
func Checksum(b []byte) uint16 {
	return ^Sum{sum: sumWords(b)}.Fold()
}

// UpdateChecksum returns the checksum of a header whose checksum was old, after one of its 16-bit fields has changed
// from one value to another.
func UpdateChecksum(old uint16, from, to uint16) uint16 {
	// "HC' = ~(C + (-m) + m')    --    [Eqn. 3]
	//      = ~(~HC + ~m + m')"
	// https://www.rfc-editor.org/rfc/rfc1624.html#section-3
	sum := uint32(^old) + uint32(^from) + uint32(to)
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum)
}

// sumWords returns the one's complement sum of b as little-endian 64-bit words, the last one padded with zeros.
func sumWords(b []byte) uint64 {
	// A processor has one carry flag, and each addition waits for the one before. Two sums, a block each in turn, let
	// it work on both at once.
	var sum, other, carry uint64
	for len(b) >= 64 {
		sum = addBlock(sum, (*[32]byte)(b))
		other = addBlock(other, (*[32]byte)(b[32:]))
		b = b[64:]
	}
	for len(b) >= 8 {
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b), carry)
		b = b[8:]
	}
	sum, carry = bits.Add64(sum, lastWord(b), carry)
	sum, carry = bits.Add64(sum, other, carry)
	sum, carry = bits.Add64(sum, 0, carry)
	return sum + carry
}

// addBlock adds four words to a one's complement sum. The last carry is added on its own, in two steps, because
// adding it may carry once more.
func addBlock(sum uint64, b *[32]byte) uint64 {
	sum, carry := bits.Add64(sum, binary.LittleEndian.Uint64(b[0:]), 0)
	sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b[8:]), carry)
	sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b[16:]), carry)
	sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b[24:]), carry)
	sum, carry = bits.Add64(sum, 0, carry)
	return sum + carry
}

// lastWord returns up to seven octets as a little-endian word.
func lastWord(b []byte) uint64 {
	var word uint64
	shift := 0
	if len(b) >= 4 {
		word = uint64(binary.LittleEndian.Uint32(b))
		b, shift = b[4:], 32
	}
	for i, octet := range b {
		word |= uint64(octet) << ((shift + 8*i) & 63)
	}
	return word
}
