package wire

import (
	"encoding/binary"
	"math/bits"
)

// LowpanMaxHeaderLen is how much room, in octets, to give CompressIPv6: longer headers fit no frame of IEEE 802.15.4.
const LowpanMaxHeaderLen = 125

// CompressIPv6 writes to dst the compressed form of the headers that an IPv6 packet begins with, dispatch included, and says how
// many octets it wrote and how many of ip these stand for. What follows them in ip, and all that follows ip, is to be sent as it
// is behind the octets written. No more are written than are consumed, except where the packet is not one that can be compressed
// (it has another version, or its payload length is not what length says): then it is 1 octet that stands for none, the dispatch
// of an uncompressed packet.
//
// ip is the packet as far as it is at hand in one piece, at least its IPv6 header, and length that of the whole packet, in
// octets. Extension headers and a UDP header are compressed if they lie wholly within ip, and their compressed form within dst,
// which has at least IPv6HeaderLen octets:
//
// "[...] any header that cannot fit within the first fragment MUST NOT be compressed."
// https://www.rfc-editor.org/rfc/rfc6282.html#section-2
//
// dst and ip must not overlap.
func CompressIPv6(dst, ip []byte, length int, link LowpanLink) (n, consumed int) {
	c := lowpanCompressor{dst: dst, ip: ip, length: length, link: &link}
	if !c.isIPv6(0) {
		dst[0] = lowpanIPv6
		return 1, 0
	}
	c.compress()
	return c.n, c.at
}

// lowpanCompressor takes a packet's headers in turn.
type lowpanCompressor struct {
	dst    []byte
	ip     []byte
	n, at  int // octets written and consumed
	length int // of the packet
	link   *LowpanLink

	headers, extensions int // seen
}

// isIPv6 reports whether there is an IPv6 header at the offset that tells nothing but the truth about what is not sent.
func (c *lowpanCompressor) isIPv6(at int) bool {
	if len(c.ip) < at+IPv6HeaderLen {
		return false
	}
	p := IPv6Packet(c.ip[at:])
	return p[0]>>4 == 6 && p.PayloadLen() == c.length-at-IPv6HeaderLen
}

func (c *lowpanCompressor) compress() {
	src, dst := lowpanLinkIID(c.link.Src), lowpanLinkIID(c.link.Dst)
	for {
		ip := c.ip[c.at:]
		next, compressed := c.header(src, dst)
		for compressed && next != protocolIPv6 {
			if next == protocolUDP {
				c.udp()
				return
			}
			next, compressed = c.extension(next)
		}
		if !compressed {
			return
		}
		// "When the encapsulating header carries IPv6 addresses, bits for the source and destination addresses are copied from
		// the source and destination addresses of the encapsulating IPv6 header."
		// https://www.rfc-editor.org/rfc/rfc6282.html#section-3.2.2
		src, dst = lowpanOuterIID(ip[8:24]), lowpanOuterIID(ip[24:40])
		// The last bits of a group are no interface's identifier, and there are receivers that take the frame's for it then.
		dst.ok = ip[24] != 0xff
		c.dst[c.n] = lowpanNHCExtension | 7<<1
		c.n++
	}
}

// header compresses the IPv6 header at hand, says what follows it, and whether that is to be compressed too.
func (c *lowpanCompressor) header(from, to lowpanIID) (next uint8, compressed bool) {
	ip := c.ip[c.at : c.at+IPv6HeaderLen]
	c.at += IPv6HeaderLen
	c.headers++
	src, dst := lowpanChooseAddresses(ip, from, to, c.link.Contexts)

	iphc := uint16(lowpanIPHC)<<8 | uint16(src.mode)<<4 | uint16(dst.mode)
	size := 2 + src.mode.size() + dst.mode.size()
	if src.context|dst.context != 0 {
		iphc |= 1 << 7 // CID
		size++
	}

	first := binary.BigEndian.Uint32(ip)
	// "To ensure that the ECN bits appear in the same location for all encodings that include them, the Traffic Class field is
	// rotated right by 2 bits in the compressed IPv6 header."
	// https://www.rfc-editor.org/rfc/rfc6282.html#section-3.2.1
	class, label := bits.RotateLeft8(uint8(first>>20), -2), first&0xfffff
	var flow uint32 // the octets of both that are sent
	var flowLen int
	switch {
	case label == 0 && class == 0:
		iphc |= 0b11 << 11
	case label == 0:
		iphc |= 0b10 << 11
		flow, flowLen = uint32(class)<<24, 1
	case class&0x3f == 0:
		iphc |= 0b01 << 11
		flow, flowLen = uint32(class)<<24|label<<8, 3
	default:
		flow, flowLen = uint32(class)<<24|label, 4
	}
	size += flowLen

	hops := ip[7]
	switch hops {
	case 1:
		iphc |= 0b01 << 8
	case 64:
		iphc |= 0b10 << 8
	case 255:
		iphc |= 0b11 << 8
	default:
		size++
	}
	next = ip[6]
	if compressed = c.fits(next, c.n+size); compressed {
		iphc |= 1 << 10 // NH
	}

	b := c.dst[c.n:]
	binary.BigEndian.PutUint16(b, iphc)
	b = b[2:]
	if iphc&(1<<7) != 0 {
		b[0], b = src.context<<4|dst.context, b[1:]
	}
	for range flowLen {
		b[0], b, flow = uint8(flow>>24), b[1:], flow<<8
	}
	if !compressed {
		b[0], b = next, b[1:]
	}
	if iphc>>8&0b11 == 0 {
		b[0], b = hops, b[1:]
	}
	b = src.mode.emit(b, ip[8:24])
	b = dst.mode.emit(b, ip[24:40])
	c.n = len(c.dst) - len(b)
	return next, compressed
}

// fits reports whether the header at hand, of the protocol, is to be compressed, to be written from octet n of dst on. If so it
// will fit, whatever follows it.
func (c *lowpanCompressor) fits(protocol uint8, n int) bool {
	room := len(c.dst) - n
	switch protocol {
	case protocolUDP:
		rest := c.ip[c.at:]
		// A length other than what is there, as that of a datagram in several fragments, must be sent, and so the header as it is.
		return len(rest) >= UDPHeaderLen && room >= UDPHeaderLen && UDPPacket(rest).Length() == c.length-c.at
	case protocolIPv6:
		return room >= 1+IPv6HeaderLen && c.headers < lowpanMaxIPv6 && c.isIPv6(c.at)
	}
	if _, ok := lowpanEID(protocol); !ok || c.extensions == lowpanMaxExtensions {
		return false
	}
	total, sent := c.extensionLen(protocol)
	// "Note that specifying units in octets means that LOWPAN_NHC MUST NOT be used to encode IPv6 Extension Headers that have
	// more than 255 octets following the Length field after compression."
	// https://www.rfc-editor.org/rfc/rfc6282.html#section-4.2
	return total > 0 && sent <= 255 && room >= lowpanNHCHeaderLen+1+sent
}

// extensionLen is the length of the extension header at hand, and how many of its octets behind the length are sent; 0 if the
// header is not wholly there.
func (c *lowpanCompressor) extensionLen(protocol uint8) (total, sent int) {
	rest := c.ip[c.at:]
	if len(rest) < ipv6ExtensionUnit {
		return 0, 0
	}
	total = ipv6ExtensionUnit
	if protocol != IPv6Fragment {
		total = ipv6ExtensionLen(rest)
	}
	if total > len(rest) {
		return 0, 0
	}
	sent = total - lowpanNHCHeaderLen
	if lowpanHasOptions(protocol) {
		sent -= lowpanTrailingPadding(rest[:total])
	}
	return total, sent
}

// extension compresses the extension header at hand, says what follows it, and whether that is to be compressed too.
func (c *lowpanCompressor) extension(protocol uint8) (next uint8, compressed bool) {
	total, sent := c.extensionLen(protocol)
	header := c.ip[c.at : c.at+total]
	c.at += total
	c.extensions++
	next = header[0]

	eid, _ := lowpanEID(protocol)
	nhc := lowpanNHCExtension | eid<<1
	length := uint8(sent)
	later := false
	if protocol == IPv6Fragment {
		length = header[1] // which is reserved there, and not a length
		later = IPv6FragmentPacket(header).Offset() != 0
	}
	// What follows a later fragment's header is from the middle of a packet.
	compressed = !later && c.fits(next, c.n+lowpanNHCHeaderLen+sent)
	if compressed {
		nhc |= lowpanNHCNext
	}
	b := append(c.dst[:c.n], nhc)
	if !compressed {
		b = append(b, next)
	}
	b = append(b, length)
	b = append(b, header[lowpanNHCHeaderLen:lowpanNHCHeaderLen+sent]...)
	c.n = len(b)
	return next, compressed
}

// udp compresses the UDP header at hand.
func (c *lowpanCompressor) udp() {
	p := UDPPacket(c.ip[c.at : c.at+UDPHeaderLen])
	c.at += UDPHeaderLen
	mode, _ := lowpanPortMode(p.SrcPort(), p.DstPort())
	nhc := lowpanNHCUDP | mode
	if c.link.ElideChecksum {
		nhc |= lowpanNHCElided
	}
	b := append(c.dst[:c.n], nhc)
	switch mode {
	case 0b11:
		b = append(b, p[1]<<4|p[3]&0xf)
	case 0b10:
		b = append(b, p[1], p[2], p[3])
	case 0b01:
		b = append(b, p[0], p[1], p[3])
	default:
		b = append(b, p[0], p[1], p[2], p[3])
	}
	if !c.link.ElideChecksum {
		b = append(b, p[UDPChecksumField], p[UDPChecksumField+1])
	}
	c.n = len(b)
}
