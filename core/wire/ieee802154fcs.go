package wire

import "encoding/binary"

// IEEE802154FCSLen is the number of octets of the frame check sequence, behind the frame.
const IEEE802154FCSLen = 2

// ieee802154FCSPoly is the generator polynomial x^16 + x^12 + x^5 + 1, its lowest power in the highest bit.
const ieee802154FCSPoly = 0x8408

// ieee802154FCSTables[k][x] is what an octet x becomes once k octets of zeros have followed it.
var ieee802154FCSTables = func() (tables [8][256]uint16) {
	for x := range tables[0] {
		crc := uint16(x)
		for range 8 {
			crc = crc>>1 ^ crc&1*ieee802154FCSPoly
		}
		tables[0][x] = crc
	}
	for k := 1; k < len(tables); k++ {
		for x, crc := range tables[k-1] {
			tables[k][x] = crc>>8 ^ tables[0][uint8(crc)]
		}
	}
	return tables
}()

// IEEE802154FCS is the frame check sequence of a frame of IEEE 802.15.4 with the octets b: a cyclic redundancy check of 16 bits
// that begins with 0, the lowest bit of each octet first. It goes on the air behind b with the low octet first.
func IEEE802154FCS(b []byte) uint16 {
	t, crc := &ieee802154FCSTables, uint16(0)
	for len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b) ^ uint64(crc)
		crc = t[7][uint8(x)] ^ t[6][uint8(x>>8)] ^ t[5][uint8(x>>16)] ^ t[4][uint8(x>>24)] ^
			t[3][uint8(x>>32)] ^ t[2][uint8(x>>40)] ^ t[1][uint8(x>>48)] ^ t[0][uint8(x>>56)]
		b = b[8:]
	}
	for _, x := range b {
		crc = crc>>8 ^ t[0][uint8(crc)^x]
	}
	return crc
}

// AppendIEEE802154FCS appends to b, a frame, its frame check sequence.
func AppendIEEE802154FCS(b []byte) []byte {
	return binary.LittleEndian.AppendUint16(b, IEEE802154FCS(b))
}

// TrimIEEE802154FCS takes the frame check sequence off b. The errors are ErrTruncated if b is shorter than one, and ErrChecksum
// if it does not match.
func TrimIEEE802154FCS(b []byte) ([]byte, error) {
	n := len(b) - IEEE802154FCSLen
	if n < 0 {
		return nil, ErrTruncated
	}
	if binary.LittleEndian.Uint16(b[n:]) != IEEE802154FCS(b[:n]) {
		return nil, ErrChecksum
	}
	return b[:n], nil
}
