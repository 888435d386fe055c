package wire

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// LowpanPacket is what a frame of IEEE 802.15.4 carries: 6LoWPAN headers and what follows them, or something else. Any octets
// are one.
type LowpanPacket []byte

// String prints the packet, as Format does, but its frame's addresses and the contexts are not known, nor is then an IPv6 packet
// whose addresses follow from them.
func (p LowpanPacket) String() string { return p.Format(LowpanLink{}) }

// Format prints the headers of the packet, which came over the link, on one line, each in the terms of its RFC, and behind them
// the IPv6 packet that they make, as far as it is there:
//
//	6LoWPAN FRAG1 size 1248, tag 0x0001: IPHC TF 11 HLIM 64 SAM 11 DAM 11: IP6 fe80::1 > fe80::2: ICMP6, …
func (p LowpanPacket) Format(link LowpanLink) string {
	return string(p.append([]byte("6LoWPAN "), link))
}

func (p LowpanPacket) append(b []byte, link LowpanLink) []byte {
	rest, size := []byte(p), 0
	if ParseLowpanDispatch(rest) == LowpanMesh {
		var mesh LowpanMeshHeader
		if mesh.Parse(rest) == nil {
			b = append(append(b, mesh.String()...), ": "...)
		}
	}
	n, err := SkipLowpanMesh(rest, &link)
	if err != nil {
		return append(b, "[|6lowpan]"...)
	}
	if n > lowpanMeshLen(rest) {
		b = fmt.Appendf(b, "BC0 seq %d: ", rest[n-1])
	}
	rest = rest[n:]

	dispatch := ParseLowpanDispatch(rest)
	if dispatch == LowpanFRAG1 || dispatch == LowpanFRAGN {
		var f LowpanFragment
		err := f.Parse(rest)
		if err == ErrTruncated {
			return append(b, "[|6lowpan]"...) // there is not even a size to print
		}
		b = append(b, f.String()...)
		if err != nil {
			return appendLowpanError(b, err)
		}
		rest, size = rest[f.Len():], f.DatagramSize
		if dispatch == LowpanFRAGN {
			return fmt.Appendf(b, ", length %d", len(rest))
		}
		b, dispatch = append(b, ": "...), ParseLowpanDispatch(rest)
	}

	switch {
	case len(rest) == 0:
		return append(b, "[|6lowpan]"...)
	case dispatch == LowpanIPHC:
		b = appendIPHC(b, rest)
	case dispatch == LowpanIPv6:
		b = append(b, "IPv6"...)
	default:
		return fmt.Appendf(b, "%v 0x%02x, length %d", dispatch, rest[0], len(rest))
	}
	var headers [LowpanMaxDecompressedLen]byte
	h, err := DecompressIPv6(headers[:], rest, size, link)
	if err != nil {
		return appendLowpanError(b, err)
	}
	return append(append(b, ": "...), FormatIP(append(headers[:h.Len:h.Len], rest[h.Consumed:]...))...)
}

// appendLowpanError says why no more could be made of the octets.
func appendLowpanError(b []byte, err error) []byte {
	if err == ErrTruncated {
		return append(b, " [|6lowpan]"...)
	}
	return fmt.Appendf(b, " [%s]", strings.TrimPrefix(err.Error(), "wire: "))
}

// appendIPHC prints the compressed headers that packet begins with.
func appendIPHC(b []byte, packet []byte) []byte {
	for len(packet) >= 2 {
		iphc := binary.BigEndian.Uint16(packet)
		b = fmt.Appendf(b, "IPHC TF %02b", iphc>>11&0b11)
		if iphc&(1<<10) != 0 {
			b = append(b, " NH"...)
		}
		b = append(b, [4]string{" HLIM inline", " HLIM 1", " HLIM 64", " HLIM 255"}[iphc>>8&0b11]...)
		if iphc&(1<<7) != 0 && len(packet) > 2 {
			b = fmt.Appendf(b, " CID %d,%d", packet[2]>>4, packet[2]&0xf)
		}
		if iphc&(1<<6) != 0 {
			b = append(b, " SAC"...)
		}
		b = fmt.Appendf(b, " SAM %02b", iphc>>4&0b11)
		if iphc&(1<<3) != 0 {
			b = append(b, " M"...)
		}
		if iphc&(1<<2) != 0 {
			b = append(b, " DAC"...)
		}
		b = fmt.Appendf(b, " DAM %02b", iphc&0b11)
		if iphc&(1<<10) == 0 {
			return b
		}
		n := lowpanIPHCLen(iphc)
		if b, packet = appendNHC(b, packet[min(n, len(packet)):]); len(packet) >= 2 {
			b = append(b, ", "...)
		}
	}
	return b
}

// lowpanIPHCLen is the length of a compressed IPv6 header that begins with iphc and whose next header is compressed too.
func lowpanIPHCLen(iphc uint16) int {
	n := 2 + [4]int{4, 3, 1, 0}[iphc>>11&0b11] + lowpanMode(iphc>>4&0b111).size() + lowpanMode(iphc&0b1111).size()
	if iphc&(1<<7) != 0 {
		n++
	}
	if iphc>>8&0b11 == 0 {
		n++
	}
	return n
}

// appendNHC prints the compressed headers that packet begins with up to the next one of IPv6, which it returns with what follows
// it; nil if there is none.
func appendNHC(b []byte, packet []byte) ([]byte, []byte) {
	for len(packet) > 0 {
		nhc := packet[0]
		switch {
		case nhc&lowpanNHCUDPMask == lowpanNHCUDP:
			b = fmt.Appendf(b, ", NHC UDP P %02b", nhc&0b11)
			if nhc&lowpanNHCElided != 0 {
				b = append(b, " C"...)
			}
			return b, nil
		case nhc&lowpanNHCExtensionMask != lowpanNHCExtension:
			return fmt.Appendf(b, ", NHC unknown 0x%02x", nhc), nil
		}
		b = append(b, ", NHC "...)
		b = append(b, [8]string{"HBH", "routing", "fragment", "DSTOPT", "mobility", "reserved", "reserved", "IPv6"}[nhc>>1&0b111]...)
		compressed := nhc&lowpanNHCNext != 0
		n := lowpanNHCHeaderLen
		if !compressed {
			n++
		}
		switch protocol := lowpanExtensions[nhc>>1&0b111]; {
		case protocol == protocolIPv6:
			return b, packet[1:]
		case protocol == lowpanNoExtension || !compressed:
			return b, nil
		case protocol == IPv6Fragment:
			n = IPv6FragmentLen
		case len(packet) >= n:
			n += int(packet[n-1])
		}
		packet = packet[min(n, len(packet)):]
	}
	return b, nil
}
