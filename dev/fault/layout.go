package fault

import (
	"net/netip"

	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// Protocol numbers above IP.
const (
	protocolICMPv4 = 1
	protocolTCP    = 6
	protocolUDP    = 17
	protocolICMPv6 = 58
)

// layout says where in a frame everything is, as far as it can be read.
type layout struct {
	version   int // of IP; 0: it is no IP packet that can be read
	network   int // where the IP header begins
	end       int // where the IP packet ends; what follows is padding
	transport int // where the transport header begins; 0: it is a fragment, or cannot be read
	protocol  uint8
	src, dst  netip.Addr
}

// layoutOf reads the headers of a frame.
func layoutOf(b []byte, medium dev.Medium) (l layout) {
	switch medium {
	case dev.IP:
	case dev.Ethernet:
		frame, err := wire.ParseEthernet(b)
		if err != nil || frame.EtherType() != wire.EtherTypeIPv4 && frame.EtherType() != wire.EtherTypeIPv6 {
			return layout{}
		}
		l.network = wire.EthernetHeaderLen
	default:
		return layout{}
	}
	ip := b[l.network:]
	if h, err := wire.ParseIPv4(ip); err == nil {
		l.version, l.end = 4, l.network+len(h)
		l.src, l.dst = h.Src(), h.Dst()
		if !h.IsFragment() {
			l.transport, l.protocol = l.network+h.HeaderLen(), h.Protocol()
		}
		return l
	}
	h, err := wire.ParseIPv6(ip)
	if err != nil {
		return layout{}
	}
	l.version, l.end = 6, l.network+len(h)
	l.src, l.dst = h.Src(), h.Dst()
	walk := h.Extensions()
	fragment := false
	for header, ok := walk.Next(); ok; header, ok = walk.Next() {
		// A fragment header need not make a fragment: an atomic one is the whole packet.
		if header.Type == wire.IPv6Fragment {
			f := wire.IPv6FragmentPacket(header.Octets)
			fragment = fragment || f.Offset() != 0 || f.More()
		}
	}
	if walk.Err() == nil && !fragment {
		l.transport, l.protocol = l.network+wire.IPv6HeaderLen+walk.Offset(), walk.Protocol()
	}
	return l
}

// tcp is the frame's TCP segment, nil if it has none.
func (l *layout) tcp(b []byte) wire.TCPPacket {
	if l.transport == 0 || l.protocol != protocolTCP {
		return nil
	}
	segment, err := wire.ParseTCP(b[l.transport:l.end])
	if err != nil {
		return nil
	}
	return segment
}

// markCongestion sets the codepoint that says "congestion experienced" if the frame is an IP packet whose sender
// understands it, and reports whether it has: RFC 3168 section 5 has ECN-capable packets carry 01 or 10, and 11 once
// they are marked.
// https://www.rfc-editor.org/rfc/rfc3168.html#section-5
func markCongestion(b []byte, medium dev.Medium) bool {
	const notCapable, experienced = 0, 3
	l := layoutOf(b, medium)
	switch l.version {
	case 4:
		h := wire.IPv4Packet(b[l.network:])
		if h.ECN() == notCapable || h.ECN() == experienced {
			return false
		}
		word := uint16(h[0])<<8 | uint16(h.TOS())
		h.SetTOS(h.TOS() | experienced)
		h.SetChecksum(wire.UpdateChecksum(h.Checksum(), word, word|experienced))
		return true
	case 6:
		h := wire.IPv6Packet(b[l.network:])
		if h.ECN() == notCapable || h.ECN() == experienced {
			return false
		}
		h.SetTrafficClass(h.TrafficClass() | experienced)
		return true
	}
	return false
}
