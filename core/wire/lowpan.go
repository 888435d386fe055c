package wire

import (
	"errors"
	"fmt"
	"net/netip"
)

// LowpanContexts are the prefixes that the nodes of a 6LoWPAN share, by their context identifiers, so that addresses are sent
// without them. The zero value has none.
type LowpanContexts [16]LowpanContext

// LowpanContext is one of LowpanContexts.
type LowpanContext struct {
	Prefix netip.Prefix // of IPv6 and of any length; the zero Prefix: no such context
	// Compress says that the context may be used for what is sent; what is received may always use it. It is the C flag of
	// RFC 6775's option: a context is made known to all before it is used, and used by none a while before it is forgotten.
	Compress bool
}

// LowpanLink is what the headers of a packet are compressed against. The zero value is a frame without addresses among nodes
// without contexts.
type LowpanLink struct {
	// Src and Dst are the frame's addresses or, if it has a mesh header, those of the originator and the final destination,
	// from which interface identifiers follow that are then not sent. Dst may be the broadcast address.
	Src, Dst LinkAddr
	Contexts *LowpanContexts // nil: none
	// ElideChecksum leaves out UDP's checksum, when compressing. The packet's own checksum is then never looked at again, so
	// this is for those only who have the upper layer's leave, and its word that something else holds the payload's integrity:
	// RFC 6282, section 4.3.2. Default: the checksum is sent.
	ElideChecksum bool
}

// What can be wrong with a 6LoWPAN frame, beside ErrTruncated and ErrLength.
var (
	// ErrLowpanDispatch: what the frame begins with is not 6LoWPAN, or of a kind not known here.
	ErrLowpanDispatch = errors.New("wire: unsupported 6LoWPAN dispatch")
	// ErrLowpanReserved: the compressed header uses a combination of bits that is reserved.
	ErrLowpanReserved = errors.New("wire: reserved 6LoWPAN compression mode")
	// ErrLowpanContext: the compressed header uses a context that is not known.
	ErrLowpanContext = errors.New("wire: unknown 6LoWPAN context")
	// ErrLowpanNextHeader: what follows the compressed header is compressed in a way not known here.
	ErrLowpanNextHeader = errors.New("wire: unknown 6LoWPAN next header compression")
	// ErrLowpanAddress: the compressed header leaves out an address for the frame's, which has none.
	ErrLowpanAddress = errors.New("wire: elided 6LoWPAN address without a link-layer address")
	// ErrLowpanHeaders: the headers are more than a packet may have, or longer than there is room for.
	ErrLowpanHeaders = errors.New("wire: too many 6LoWPAN headers")
	// ErrLowpanSize: the datagram's size is less than that of its headers and what comes with them.
	ErrLowpanSize = errors.New("wire: wrong 6LoWPAN datagram size")
	// ErrLowpanOffset: the fragment lies, as a whole or in part, outside its datagram, or where only the first may.
	ErrLowpanOffset = errors.New("wire: wrong 6LoWPAN fragment offset")
)

// LowpanDispatch is what a header inside a 6LoWPAN frame is, which its first octet says.
//
// https://www.rfc-editor.org/rfc/rfc4944.html#section-5.1
// https://www.rfc-editor.org/rfc/rfc6282.html#section-5
type LowpanDispatch uint8

// The kinds of headers.
const (
	LowpanUnknown LowpanDispatch = iota // reserved, or no octet at all
	LowpanNALP                          // 00xxxxxx: not a 6LoWPAN frame
	LowpanESC                           // 01000000: another octet says what it is; none is known here
	LowpanIPv6                          // 01000001: an uncompressed IPv6 packet follows
	LowpanHC1                           // 01000010: compressed as RFC 4944 has it, which RFC 6282 deprecates; not known here
	LowpanBC0                           // 01010000: broadcast in a mesh
	LowpanIPHC                          // 011xxxxx: a compressed IPv6 header
	LowpanMesh                          // 10xxxxxx: mesh addresses
	LowpanFRAG1                         // 11000xxx: the first fragment of a datagram
	LowpanFRAGN                         // 11100xxx: another fragment
	LowpanPage                          // 1111xxxx: another page of dispatches (RFC 8025), as RFC 8138's 6LoRH needs; not known here
)

const (
	lowpanESC  = 0x40
	lowpanIPv6 = 0x41
	lowpanHC1  = 0x42
	lowpanBC0  = 0x50
	lowpanIPHC = 0x60
)

// ParseLowpanDispatch says what b begins with.
func ParseLowpanDispatch(b []byte) LowpanDispatch {
	if len(b) == 0 {
		return LowpanUnknown
	}
	switch octet := b[0]; {
	case octet>>5 == lowpanIPHC>>5:
		return LowpanIPHC
	case octet>>3 == lowpanFRAG1>>3:
		return LowpanFRAG1
	case octet>>3 == lowpanFRAGN>>3:
		return LowpanFRAGN
	case octet == lowpanIPv6:
		return LowpanIPv6
	case octet>>6 == lowpanMesh>>6:
		return LowpanMesh
	case octet == lowpanBC0:
		return LowpanBC0
	case octet>>6 == 0:
		return LowpanNALP
	case octet == lowpanHC1:
		return LowpanHC1
	case octet == lowpanESC:
		return LowpanESC
	case octet>>4 == 0xf:
		return LowpanPage
	}
	return LowpanUnknown
}

// String is the name that RFC 4944 or its successors give the dispatch.
func (d LowpanDispatch) String() string {
	switch d {
	case LowpanUnknown:
		return "unknown"
	case LowpanNALP:
		return "NALP"
	case LowpanESC:
		return "ESC"
	case LowpanIPv6:
		return "IPv6"
	case LowpanHC1:
		return "HC1"
	case LowpanBC0:
		return "BC0"
	case LowpanIPHC:
		return "IPHC"
	case LowpanMesh:
		return "MESH"
	case LowpanFRAG1:
		return "FRAG1"
	case LowpanFRAGN:
		return "FRAGN"
	case LowpanPage:
		return "page"
	default:
		return fmt.Sprintf("dispatch %d", uint8(d))
	}
}
