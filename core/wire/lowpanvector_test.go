package wire

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Frames of other stacks, rebuilt from their fields, which smoltcp's tests have too: the node 1a:0b:42:42:42:42:42:42 that Linux's
// 6LoWPAN talks to, and Contiki-NG's.

const loremIpsum = "Lorem ipsum dolor sit amet, consectetur adipiscing elit. "

// A datagram of 307 octets that came in three fragments.
func TestLowpanVectorThreeFragments(t *testing.T) {
	link := LowpanLink{
		Src: ExtendedAddr([8]byte{0x32, 0x93, 0x82, 0x2f, 0x28, 0x08, 0x3e, 0xd9}),
		Dst: ExtendedAddr([8]byte{0x1a, 0x0b, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42}),
	}
	const sentence = loremIpsum + "Aliquam dui odio, iaculis vel rutrum at, tristique non nunc erat curae. "
	text := hex.EncodeToString([]byte(sentence + sentence + "\n"))
	const headers = "6e33 02353d f0 d25f1b39 b46b" // 48 octets of the packet
	at := func(offset int) string { return text[2*(offset-48):] }
	fragments := []string{
		"c133003f" + headers + at(48)[:2*88],
		"e133003f11" + at(136)[:2*96],
		"e133003f1d" + at(232),
	}

	packet := make([]byte, 307)
	for i, octets := range fragments {
		b := unhex(octets)
		var f LowpanFragment
		require.NoError(t, f.Parse(b))
		require.Equal(t, LowpanFragment{DatagramSize: 307, Tag: 63, Offset: []int{0, 136, 232}[i]}, f)
		emitted := make([]byte, f.Len())
		f.Emit(emitted)
		require.Equal(t, b[:f.Len()], emitted)
		b = b[f.Len():]
		if f.First() {
			h, err := DecompressIPv6(packet, b, f.DatagramSize, link)
			require.NoError(t, err)
			require.Equal(t, LowpanHeaders{Len: 48, Consumed: len(unhex(headers))}, h)
			f.Offset, b = h.Len, b[h.Consumed:]
		}
		require.Equal(t, len(b), copy(packet[f.Offset:], b))
	}
	ip, err := ParseIPv6(packet)
	require.NoError(t, err)
	require.Equal(t, "IP6 fe80::3093:822f:2808:3ed9.53855 > fe80::180b:4242:4242:4242.6969: UDP, length 259", ip.String())
	require.Equal(t, uint32(0x2353d), ip.FlowLabel())
	require.True(t, UDPPacket(ip.Payload()).VerifyChecksum(ip.Src(), ip.Dst()), "the sender's checksum is over all that was left out")

	var out [LowpanMaxHeaderLen]byte
	n, _ := CompressIPv6(out[:], packet, len(packet), link)
	require.Equal(t, unhex(headers), out[:n])
}

// Linux's ping, and ping -s 128 in two fragments.
func TestLowpanVectorEcho(t *testing.T) {
	counting := func(from, to int) string {
		s := ""
		for octet := from; octet <= to; octet++ {
			s += hex.EncodeToString([]byte{byte(octet)})
		}
		return s
	}
	link := LowpanLink{
		Src: ExtendedAddr([8]byte{0x26, 0x1c, 0x29, 0x57, 0x34, 0xa6, 0x3a, 0x62}),
		Dst: ExtendedAddr([8]byte{0x1a, 0x0b, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42}),
	}
	echo := "8000b0e3 00040001 82f28264000000006623 0c0000000000" + counting(0x10, 0x37)
	packet := lowpanPacketOf("fe80::241c:2957:34a6:3a62", "fe80::180b:4242:4242:4242",
		IPv6Repr{NextHeader: protocolICMPv6, HopLimit: 64, FlowLabel: 0xa6217}, echo)
	requireLowpan(t, packet, "6a33 0a6217 3a"+echo, link)
	ip := IPv6Packet(packet)
	require.True(t, ICMPv6Packet(ip.Payload()).VerifyChecksum(ip.Src(), ip.Dst()))

	link = LowpanLink{
		Src: ExtendedAddr([8]byte{0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x0b, 0x1a}),
		Dst: ExtendedAddr([8]byte{0x90, 0xfc, 0x48, 0xc2, 0xa4, 0x41, 0xfc, 0x76}),
	}
	echo = "8000e071 00270002 a2c22d6300000000d95e0c0000000000" + counting(0x10, 0x7f)
	packet = lowpanPacketOf("fe80::4042:4242:4242:b1a", "fe80::92fc:48c2:a441:fc76",
		IPv6Repr{NextHeader: protocolICMPv6, HopLimit: 64, FlowLabel: 0x5252c}, echo)
	require.Len(t, packet, 0xb0)
	requireLowpan(t, packet, "6a33 05252c 3a"+echo, link)
}

// UDP of the same node, in two fragments.
func TestLowpanVectorUDP(t *testing.T) {
	link := LowpanLink{
		Src: ExtendedAddr([8]byte{0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x0b, 0x1a}),
		Dst: ExtendedAddr([8]byte{0x90, 0xfc, 0x48, 0xc2, 0xa4, 0x41, 0xfc, 0x76}),
	}
	text := hex.EncodeToString([]byte(loremIpsum +
		"In at rhoncus tortor. Cras blandit tellus diam, varius vestibulum nibh commodo nec."))
	packet := lowpanPacketOf("fe80::4042:4242:4242:b1a", "fe80::92fc:48c2:a441:fc76",
		IPv6Repr{NextHeader: protocolUDP, HopLimit: 64, FlowLabel: 0x7e7dc}, "d3c91b390094bfa0"+text)
	require.Len(t, packet, 0xbc)
	requireLowpan(t, packet, "6e33 07e7dc f0 d3c91b39 bfa0"+text, link)
}

// A DAO behind the option of RPL, 78 octets for 114; of a prefix that is context 0, which the frame says though it need not.
func TestLowpanVectorRPL(t *testing.T) {
	link := LowpanLink{
		Src:      ExtendedAddr([8]byte{0, 3, 0, 3, 0, 3, 0, 3}),
		Dst:      ExtendedAddr([8]byte{0, 1, 0, 1, 0, 1, 0, 1}),
		Contexts: &LowpanContexts{{Prefix: netip.MustParsePrefix("fd00::/64"), Compress: true}},
	}
	const (
		option = "6304001e0800"
		root   = "fd00000000000000 0201000100010001"
		node   = "fd00000000000000 0203000300030003"
		dao    = "9b023e63 1e4000f1" + root + "05120080" + node + "06140000001e" + root
	)
	packet := lowpanPacketOf("fd00::203:3:3:3", "fd00::201:1:1:1", IPv6Repr{NextHeader: IPv6HopByHop, HopLimit: 64}, "3a00"+option+dao)
	require.Len(t, packet, 114)
	const compressed = "7ef7 00 e0 3a 06" + option + dao
	requireLowpanDecompressed(t, packet, compressed, link)
	requireLowpan(t, packet, strings.Replace(compressed, "7ef7 00", "7e77", 1), link)
	require.True(t, ICMPv6Packet(packet[48:]).VerifyChecksum(IPv6Packet(packet).Src(), IPv6Packet(packet).Dst()))
}

// The source routing header of RPL with no segments left, its next header inline and compressed.
func TestLowpanVectorRouting(t *testing.T) {
	const header = "0300ff000000"
	packet := lowpanPacketOf(lowpanTestSrc, lowpanTestDst, IPv6Repr{NextHeader: IPv6Routing, HopLimit: 64}, "3a00"+header+"9b00")
	requireLowpan(t, packet, "7e33 e2 3a 06"+header+"9b00", lowpanTestLink())
	packet = lowpanPacketOf(lowpanTestSrc, lowpanTestDst, IPv6Repr{NextHeader: IPv6Routing, HopLimit: 64}, "1100"+header+"162e223d000828c4")
	requireLowpan(t, packet, "7e33 e3 06"+header+"f0 162e223d 28c4", lowpanTestLink())
}
