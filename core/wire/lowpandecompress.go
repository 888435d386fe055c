package wire

import (
	"encoding/binary"
	"math/bits"
)

// LowpanMaxDecompressedLen is the most octets that headers which come in one frame can have.
const LowpanMaxDecompressedLen = 512

// LowpanHeaders says what DecompressIPv6 has done.
type LowpanHeaders struct {
	Len      int // octets of headers it wrote
	Consumed int // octets they were made from: what follows these is what follows the headers
	// ElidedChecksum: the last header written is that of UDP, with 0 for a checksum because the sender left it out. It is to be
	// filled in by FillLowpanChecksum once the whole packet is there, by those only who know that something else holds the
	// payload's integrity:
	//
	// "If the decompressor cannot unambiguously determine the presence of an integrity check or verification fails, the
	// decompressor MUST drop the packet."
	// https://www.rfc-editor.org/rfc/rfc6282.html#section-4.3.2
	ElidedChecksum bool
}

// DecompressIPv6 writes to out the headers that an IPv6 packet begins with, made from their compressed form in b, which begins
// with a dispatch and goes on as far as the frame does. After the dispatch of an uncompressed packet it writes nothing.
//
// datagramSize is the size of the whole packet, in octets, if b is from its first fragment; 0: b has all of it.
//
// The errors are ErrTruncated, ErrLength (an extension header has a length that it cannot have), ErrVersion (an uncompressed
// packet is none of IPv6) and the ErrLowpan ones; ErrLowpanHeaders also if the headers do not fit into out, which with
// LowpanMaxDecompressedLen octets is always long enough. out and b must not overlap.
func DecompressIPv6(out, b []byte, datagramSize int, link LowpanLink) (LowpanHeaders, error) {
	switch ParseLowpanDispatch(b) {
	case LowpanIPHC:
	case LowpanIPv6:
		return lowpanUncompressed(b, datagramSize)
	default:
		if len(b) == 0 {
			return LowpanHeaders{}, ErrTruncated
		}
		return LowpanHeaders{}, ErrLowpanDispatch
	}
	d := lowpanDecompressor{out: out, b: b, link: &link}
	if err := d.decompress(); err != nil {
		return LowpanHeaders{}, err
	}
	there := d.n + len(b) - d.at
	if datagramSize == 0 {
		datagramSize = there
	}
	if datagramSize < there || datagramSize > IPv6HeaderLen+IPv6MaxPayloadLen {
		return LowpanHeaders{}, ErrLowpanSize
	}
	for _, at := range d.ipv6[:d.headers] {
		IPv6Packet(out[at:]).SetPayloadLen(datagramSize - int(at) - IPv6HeaderLen)
	}
	if d.udpAt != 0 {
		UDPPacket(out[d.udpAt:]).SetLength(datagramSize - d.udpAt)
	}
	return LowpanHeaders{Len: d.n, Consumed: d.at, ElidedChecksum: d.elided}, nil
}

// lowpanUncompressed checks a packet behind the dispatch of an uncompressed one.
func lowpanUncompressed(b []byte, datagramSize int) (LowpanHeaders, error) {
	if datagramSize == 0 {
		datagramSize = len(b) - 1
	}
	switch p, err := ParseIPv6Header(b[1:]); {
	case err != nil:
		return LowpanHeaders{}, err
	case datagramSize < IPv6HeaderLen+p.PayloadLen() || datagramSize < len(b)-1:
		return LowpanHeaders{}, ErrLowpanSize
	}
	return LowpanHeaders{Consumed: 1}, nil
}

// lowpanDecompressor takes compressed headers in turn.
type lowpanDecompressor struct {
	out   []byte
	b     []byte
	n, at int // octets written and consumed
	link  *LowpanLink

	ipv6                [lowpanMaxIPv6]uint16 // where in out IPv6 headers begin, whose lengths are still missing
	headers, extensions int                   // seen
	udpAt               int                   // the same of UDP's; 0: there is none
	elided              bool                  // UDP's checksum was not sent
}

// take returns the next n octets; ok is false if they are not there.
func (d *lowpanDecompressor) take(n int) (b []byte, ok bool) {
	if len(d.b)-d.at < n {
		return nil, false
	}
	d.at += n
	return d.b[d.at-n : d.at], true
}

// extend returns n octets of out to write a header to; ok is false if there is no room.
func (d *lowpanDecompressor) extend(n int) (b []byte, ok bool) {
	if len(d.out)-d.n < n {
		return nil, false
	}
	d.n += n
	return d.out[d.n-n : d.n], true
}

func (d *lowpanDecompressor) decompress() error {
	src, dst := lowpanLinkIID(d.link.Src), lowpanLinkIID(d.link.Dst)
	for inner := true; inner; {
		inner = false
		at := d.n
		next, compressed, err := d.header(src, dst)
		for compressed && !inner && err == nil {
			var protocol, nhc uint8
			if protocol, nhc, err = d.nextHeader(); err != nil {
				return err
			}
			d.out[next] = protocol
			switch protocol {
			case protocolUDP:
				return d.udp(nhc)
			case protocolIPv6:
				inner = true
			default:
				next, compressed, err = d.extension(protocol, nhc)
			}
		}
		if err != nil {
			return err
		}
		src, dst = lowpanOuterIID(d.out[at+8:at+24]), lowpanOuterIID(d.out[at+24:at+40])
	}
	return nil
}

// header decompresses an IPv6 header. next is where in out it says what follows; compressed says that this is still to be found
// out, from how that is compressed.
func (d *lowpanDecompressor) header(from, to lowpanIID) (next int, compressed bool, err error) {
	if d.headers == lowpanMaxIPv6 {
		return 0, false, ErrLowpanHeaders
	}
	b, ok := d.take(2)
	if !ok {
		return 0, false, ErrTruncated
	}
	iphc := binary.BigEndian.Uint16(b)
	if iphc>>13 != lowpanIPHC>>5 {
		return 0, false, ErrLowpanDispatch
	}
	src, dst := lowpanMode(iphc>>4&0b111), lowpanMode(iphc&0b1111)
	if dst == lowpanContextual || dst > lowpanMulticastPrefix {
		return 0, false, ErrLowpanReserved
	}

	at := d.n
	ip, ok := d.extend(IPv6HeaderLen)
	if !ok {
		return 0, false, ErrLowpanHeaders
	}
	d.ipv6[d.headers] = uint16(at)
	d.headers++

	compressed = iphc>>10&1 != 0
	flowLen := [4]int{4, 3, 1, 0}[iphc>>11&0b11]
	n := flowLen + src.size() + dst.size()
	extended := iphc>>7&1 != 0 // CID
	if extended {
		n++
	}
	if !compressed {
		n++
	}
	hops := [4]uint8{0, 1, 64, 255}[iphc>>8&0b11]
	if hops == 0 {
		n++
	}
	if b, ok = d.take(n); !ok {
		return 0, false, ErrTruncated
	}

	var srcContext, dstContext uint8
	if extended {
		srcContext, dstContext, b = b[0]>>4, b[0]&0xf, b[1:]
	}
	var flow uint32
	for _, octet := range b[:flowLen] {
		flow = flow<<8 | uint32(octet)
	}
	b = b[flowLen:]
	var class uint8 // rotated
	switch flowLen {
	case 4:
		class = uint8(flow >> 24)
	case 3:
		class, flow = uint8(flow>>16)&0xc0, flow&0xfffff
	case 1:
		class, flow = uint8(flow), 0
	}
	binary.BigEndian.PutUint32(ip, 6<<28|uint32(bits.RotateLeft8(class, 2))<<20|flow&0xfffff)
	if !compressed {
		ip[6], b = b[0], b[1:]
	}
	if hops == 0 {
		hops, b = b[0], b[1:]
	}
	ip[7] = hops

	srcInline, dstInline := b[:src.size()], b[src.size():]
	if src == lowpanUnspecified {
		clear(ip[8:24])
	} else if err = lowpanReadAddress(ip[8:24], srcInline, src, from, d.link.Contexts, srcContext); err != nil {
		return 0, false, err
	}
	if err = lowpanReadAddress(ip[24:40], dstInline, dst, to, d.link.Contexts, dstContext); err != nil {
		return 0, false, err
	}
	return at + 6, compressed, nil
}

// nextHeader says what header comes next and in what form.
func (d *lowpanDecompressor) nextHeader() (protocol, nhc uint8, err error) {
	b, ok := d.take(1)
	if !ok {
		return 0, 0, ErrTruncated
	}
	nhc = b[0]
	switch {
	case nhc&lowpanNHCUDPMask == lowpanNHCUDP:
		return protocolUDP, nhc, nil
	case nhc&lowpanNHCExtensionMask != lowpanNHCExtension:
		return 0, 0, ErrLowpanNextHeader
	}
	switch protocol = lowpanExtensions[nhc>>1&0b111]; protocol {
	case lowpanNoExtension:
		return 0, 0, ErrLowpanNextHeader
	case protocolIPv6:
		// "When the identified next header is an IPv6 Header (EID=7), the NH bit of the LOWPAN_NHC encoding is unused and MUST be
		// set to zero. The following bytes MUST be encoded using LOWPAN_IPHC as defined in Section 3."
		// https://www.rfc-editor.org/rfc/rfc6282.html#section-4.2
		if nhc&lowpanNHCNext != 0 {
			return 0, 0, ErrLowpanReserved
		}
	}
	return protocol, nhc, nil
}

// extension decompresses an extension header; it returns what header does.
func (d *lowpanDecompressor) extension(protocol, nhc uint8) (next int, compressed bool, err error) {
	if d.extensions == lowpanMaxExtensions {
		return 0, false, ErrLowpanHeaders
	}
	d.extensions++
	var following uint8
	if compressed = nhc&lowpanNHCNext != 0; !compressed {
		b, ok := d.take(1)
		if !ok {
			return 0, false, ErrTruncated
		}
		following = b[0]
	}
	b, ok := d.take(1)
	if !ok {
		return 0, false, ErrTruncated
	}
	// "The Length field contained in a compressed IPv6 Extension Header indicates the number of octets that pertain to the
	// (compressed) extension header following the Length field."
	// https://www.rfc-editor.org/rfc/rfc6282.html#section-4.2
	sent := int(b[0])
	total := roundUp8(lowpanNHCHeaderLen + sent)
	second := uint8(total/ipv6ExtensionUnit - 1)
	if protocol == IPv6Fragment {
		// A fragment header has no length but something reserved in its place, which stays as it is.
		total, second = IPv6FragmentLen, b[0]
		sent = total - lowpanNHCHeaderLen
	}
	padding := total - lowpanNHCHeaderLen - sent
	if padding > 0 && !lowpanHasOptions(protocol) {
		return 0, false, ErrLength
	}
	if b, ok = d.take(sent); !ok {
		return 0, false, ErrTruncated
	}

	at := d.n
	header, ok := d.extend(total)
	if !ok {
		return 0, false, ErrLowpanHeaders
	}
	header[0], header[1] = following, second
	// "A decompressor MUST ensure that the containing header is padded out to a multiple of 8 octets in length, using a Pad1 or
	// PadN option if necessary."
	lowpanPad(header[lowpanNHCHeaderLen+copy(header[lowpanNHCHeaderLen:], b):])
	return at, compressed, nil
}

// udp decompresses a UDP header.
func (d *lowpanDecompressor) udp(nhc uint8) error {
	mode := nhc & 0b11
	n := lowpanPortLen[mode]
	d.elided = nhc&lowpanNHCElided != 0
	if !d.elided {
		n += 2
	}
	b, ok := d.take(n)
	if !ok {
		return ErrTruncated
	}
	d.udpAt = d.n
	header, ok := d.extend(UDPHeaderLen)
	if !ok {
		return ErrLowpanHeaders
	}

	p := UDPPacket(header)
	ports := b[:lowpanPortLen[mode]]
	switch mode {
	case 0b11:
		p.SetSrcPort(lowpanPort4 | uint16(ports[0]>>4))
		p.SetDstPort(lowpanPort4 | uint16(ports[0]&0xf))
	case 0b10:
		p.SetSrcPort(lowpanPort8 | uint16(ports[0]))
		p.SetDstPort(binary.BigEndian.Uint16(ports[1:]))
	case 0b01:
		p.SetSrcPort(binary.BigEndian.Uint16(ports))
		p.SetDstPort(lowpanPort8 | uint16(ports[2]))
	default:
		copy(header, ports)
	}
	p.SetChecksum(0)
	copy(header[UDPChecksumField:], b[len(ports):])
	return nil
}
