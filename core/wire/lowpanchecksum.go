package wire

import "net/netip"

// FillLowpanChecksum computes and sets the UDP checksum of a packet whose sender left it out. headers begins with the IPv6 header
// and has all of the packet's headers; what follows them may be in pieces.
//
// The error is ErrMalformed if there is no UDP header behind headers that can be compressed, or not of a whole datagram, ErrLength
// if its length is not that of what is there, and otherwise what was wrong with another header.
func FillLowpanChecksum(headers []byte, payload ...[]byte) error {
	var src, dst netip.Addr
	protocol := uint8(protocolIPv6)
	for at := 0; ; {
		rest := headers[at:]
		n := IPv6HeaderLen
		switch protocol {
		case protocolIPv6:
			p, err := ParseIPv6Header(rest)
			if err != nil {
				return err
			}
			src, dst, protocol = p.Src(), p.Dst(), p.NextHeader()
		case IPv6HopByHop, IPv6Routing, IPv6DestinationOptions, protocolMobility:
			header, err := parseIPv6Extension(rest)
			if err != nil {
				return err
			}
			if protocol == IPv6Routing {
				if dst, err = ipv6FinalDestination(IPv6RoutingPacket(header), dst); err != nil {
					return err
				}
			}
			n, protocol = len(header), header[0]
		case IPv6Fragment:
			p, err := ParseIPv6Fragment(rest)
			if err != nil {
				return err
			}
			if p.Offset() != 0 || p.More() {
				return ErrMalformed
			}
			n, protocol = IPv6FragmentLen, p.NextHeader()
		case protocolUDP:
			return fillPieces(rest, payload, src, dst)
		default:
			return ErrMalformed
		}
		at += n
	}
}

// fillPieces sets the checksum of a UDP datagram, from src to dst, whose payload is partly in pieces.
func fillPieces(header []byte, pieces [][]byte, src, dst netip.Addr) error {
	if len(header) < UDPHeaderLen {
		return ErrTruncated
	}
	p := UDPPacket(header)
	p.SetChecksum(0)
	var sum Sum
	sum.Add(p)
	n := len(p)
	for _, piece := range pieces {
		sum.Add(piece)
		n += len(piece)
	}
	if n != p.Length() {
		return ErrLength
	}
	sum.AddPseudoHeader(src, dst, protocolUDP, n)
	p.SetChecksum(UDPChecksum(sum))
	return nil
}

// ipv6FinalDestination is where a packet goes in the end whose routing header is p and whose IPv6 header says dst: the address
// that its upper layer's checksum covers. The error is ErrMalformed if the header's type is not known or it is shorter than an address.
//
// "If the IPv6 packet contains a Routing header, the Destination Address used in the pseudo-header is that of the final
// destination."
// https://www.rfc-editor.org/rfc/rfc8200.html#section-8.1
func ipv6FinalDestination(p IPv6RoutingPacket, dst netip.Addr) (netip.Addr, error) {
	if p.SegmentsLeft() == 0 {
		return dst, nil
	}
	addrs := p.Data()[4:]
	elided, padding := 0, 0
	switch p.Type() {
	case 0, 2: // RFC 5095 and RFC 6275, section 6.4
	case 3:
		// CmprE is how many of the last address's first octets are those of the destination, and Pad how many octets follow it.
		// https://www.rfc-editor.org/rfc/rfc6554.html#section-3
		elided, padding = int(p.Data()[0]&0xf), int(p.Data()[1]>>4)
	default:
		return netip.Addr{}, ErrMalformed
	}
	begin, end := len(addrs)-padding-(16-elided), len(addrs)-padding
	if begin < 0 {
		return netip.Addr{}, ErrMalformed
	}
	final := dst.As16()
	copy(final[elided:], addrs[begin:end])
	return netip.AddrFrom16(final), nil
}
