package wire

import (
	"fmt"
	"net/netip"
)

// Printing follows tcpdump: one line a packet, headers that carry others not shown unless something about them is
// unusual, what a packet is about before its lengths. A few conventions hold for every protocol:
//
//   - What prints a transport's packet begins with the endpoints, because ports belong to them:
//     "192.168.69.1.80 > 192.168.69.100.4242: Flags [S], …", and without ports
//     "192.168.69.1 > 192.168.69.100: ICMP …".
//   - Octets that end too early show as tcpdump shows them: "[|tcp]" after as much as could be read.
//   - What an ICMP error quotes follows the error, after a colon.
//
// The functions take octets from anywhere, check them themselves and never panic.

// FormatIP prints an IP packet of either version, as a tun device carries it, with what it contains.
func FormatIP(b []byte) string {
	if len(b) == 0 {
		return "IP [|ip]"
	}
	switch version := b[0] >> 4; version {
	case 4:
		return formatIPv4(b)
	case 6:
		return formatIPv6(b)
	default:
		return fmt.Sprintf("IP unknown version %d, length %d", version, len(b))
	}
}

// formatTransport prints what an IP packet from src to dst carries, beginning with the endpoints. payload may end
// early, as it does in the quote of an ICMP error.
func formatTransport(src, dst netip.Addr, protocol uint8, payload []byte) string {
	switch protocol {
	case protocolICMPv4:
		return formatICMPv4(src, dst, payload)
	case protocolIGMP:
		return formatIGMP(src, dst, payload)
	case protocolTCP:
		return formatTCP(src, dst, payload)
	case protocolUDP:
		return formatUDP(src, dst, payload)
	case protocolICMPv6:
		return formatICMPv6(src, dst, payload)
	case protocolNone:
		return formatEndpoints(src, dst) + "no next header"
	default:
		return fmt.Sprintf("%sip-proto-%d, length %d", formatEndpoints(src, dst), protocol, len(payload))
	}
}

// formatQuotedTransport is formatTransport for what an ICMP error quotes. An error quoted in turn is printed without
// its own quote, or a packet made of nothing but quotes would print as some thousand of them.
func formatQuotedTransport(src, dst netip.Addr, protocol uint8, payload []byte) string {
	switch protocol {
	case protocolICMPv4:
		return formatEndpoints(src, dst) + ICMPv4Packet(payload).summary()
	case protocolICMPv6:
		return fmt.Sprintf("%sip-proto-%d, length %d", formatEndpoints(src, dst), protocol, len(payload))
	default:
		return formatTransport(src, dst, protocol, payload)
	}
}

// formatEndpoints prints the addresses that a packet without ports travels between.
func formatEndpoints(src, dst netip.Addr) string {
	return src.String() + " > " + dst.String() + ": "
}

// protocolName names a protocol as tcpdump does.
func protocolName(protocol uint8) string {
	switch protocol {
	case protocolICMPv4:
		return "icmp"
	case protocolIGMP:
		return "igmp"
	case protocolTCP:
		return "tcp"
	case protocolUDP:
		return "udp"
	case protocolICMPv6:
		return "icmp6"
	default:
		return fmt.Sprintf("ip-proto-%d", protocol)
	}
}

// Protocol numbers, as assigned by IANA, that printing tells apart.
const (
	protocolICMPv4 = 1
	protocolIGMP   = 2
	protocolTCP    = 6
	protocolUDP    = 17
	protocolICMPv6 = 58
	protocolNone   = 59 // nothing comes after the IPv6 header (RFC 8200, section 4.7)
)
