package wire

// What a header is compressed as, behind a compressed one. The first octet's pattern tells.
//
// https://www.rfc-editor.org/rfc/rfc6282.html#section-4
const (
	lowpanNHCExtension     = 0xe0 // 1110EEEN: an extension header, of what kind, and whether its next header is compressed
	lowpanNHCExtensionMask = 0xf0
	lowpanNHCNext          = 0x01 // N
	lowpanNHCUDP           = 0xf0 // 11110CPP: a UDP header, whether without checksum, and the form of the ports
	lowpanNHCUDPMask       = 0xf8
	lowpanNHCElided        = 0x04 // C

	lowpanNHCHeaderLen = 2 // octets of a compressed extension header before what it carries, without a next header
)

// How many headers a packet may have for them to be compressed or decompressed.
const (
	lowpanMaxExtensions = IPv6MaxExtensions
	lowpanMaxIPv6       = 4 // IPv6 headers, each but the last around the next
)

const (
	protocolIPv6     = 41
	protocolMobility = 135
)

// lowpanExtensions are the protocol numbers of the extension headers that can be compressed, by their EID.
var lowpanExtensions = [8]uint8{
	IPv6HopByHop, IPv6Routing, IPv6Fragment, IPv6DestinationOptions, protocolMobility, lowpanNoExtension, lowpanNoExtension, protocolIPv6,
}

// lowpanNoExtension stands for the reserved EIDs.
const lowpanNoExtension = 255

// lowpanEID is the EID of a protocol number; ok is false if it has none.
func lowpanEID(protocol uint8) (eid uint8, ok bool) {
	switch protocol {
	case IPv6HopByHop:
		return 0, true
	case IPv6Routing:
		return 1, true
	case IPv6Fragment:
		return 2, true
	case IPv6DestinationOptions:
		return 3, true
	case protocolMobility:
		return 4, true
	case protocolIPv6:
		return 7, true
	}
	return 0, false
}

// lowpanHasOptions reports whether an extension header consists of options, and so may be padded with some.
func lowpanHasOptions(protocol uint8) bool {
	return protocol == IPv6HopByHop || protocol == IPv6DestinationOptions
}

// lowpanTrailingPadding is how many octets of padding, at the end of a header that consists of options, need not be sent, because
// the receiver restores the same.
//
// "When there is a single trailing Pad1 or PadN option of 7 octets or less and the containing header is a multiple of 8 octets,
// the trailing Pad1 or PadN option MAY be elided by the compressor."
// https://www.rfc-editor.org/rfc/rfc6282.html#section-4.2
func lowpanTrailingPadding(header []byte) int {
	options, last, padding := header[lowpanNHCHeaderLen:], 0, 0
	for at := 0; at < len(options); {
		n := 1
		if options[at] != IPv6OptionPad1 {
			if at+1 == len(options) {
				return 0
			}
			n = 2 + int(options[at+1])
		}
		if options[at] > IPv6OptionPadN {
			padding = 0
		} else {
			padding++
		}
		last, at = at, at+n
		if at > len(options) {
			return 0
		}
	}
	n := len(options) - last
	if padding != 1 || n >= ipv6ExtensionUnit {
		return 0
	}
	if n > 2 {
		for _, octet := range options[last+2:] {
			if octet != 0 {
				return 0
			}
		}
	}
	return n
}

// lowpanPad writes the padding that makes b, all of it, part of an extension header.
func lowpanPad(b []byte) {
	clear(b) // a single zero is Pad1
	if len(b) > 1 {
		b[0], b[1] = IPv6OptionPadN, uint8(len(b)-2)
	}
}

// Ports that are sent in 8 bits, and pairs of ports that are in 4 bits each.
const (
	lowpanPort8, lowpanPort8Mask = 0xf000, 0xff00
	lowpanPort4, lowpanPort4Mask = 0xf0b0, 0xfff0
)

// lowpanPortMode is the form that the ports are sent in, and the number of octets that takes.
//
// https://www.rfc-editor.org/rfc/rfc6282.html#section-4.3.3
func lowpanPortMode(src, dst uint16) (mode uint8, n int) {
	switch {
	case src&lowpanPort4Mask == lowpanPort4 && dst&lowpanPort4Mask == lowpanPort4:
		return 0b11, 1
	case src&lowpanPort8Mask == lowpanPort8:
		return 0b10, 3
	case dst&lowpanPort8Mask == lowpanPort8:
		return 0b01, 3
	}
	return 0b00, 4
}

// lowpanPortLen is how many octets the ports have in each form.
var lowpanPortLen = [4]int{4, 3, 3, 1}
