package wire

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNHCUDP(t *testing.T) {
	elide := lowpanTestLink()
	elide.ElideChecksum = true
	for _, test := range []struct{ name, udp, compressed, elided string }{
		{"P 00", "1234 5678", "f0 12345678", "f4 12345678"},
		{"P 00: the destination is one short of P 01", "1234 efff", "f0 1234efff", "f4 1234efff"},
		{"P 01", "1234 f012", "f1 1234 12", "f5 1234 12"},
		{"P 01: of 0xf100 no more", "1234 f100", "f0 1234f100", "f4 1234f100"},
		{"P 10", "f034 5678", "f2 34 5678", "f6 34 5678"},
		{"P 10: both have 8 bits, one can use them", "f034 f012", "f2 34 f012", "f6 34 f012"},
		{"P 10: one of them has 4", "f0b1 f0a0", "f2 b1 f0a0", "f6 b1 f0a0"},
		{"P 11", "f0b1 f0b2", "f3 12", "f7 12"},
		{"P 11: the last of them", "f0bf f0bf", "f3 ff", "f7 ff"},
	} {
		t.Run(test.name, func(t *testing.T) {
			packet := lowpanPacketOf(lowpanTestSrc, lowpanTestDst, IPv6Repr{NextHeader: protocolUDP, HopLimit: 64},
				test.udp+"000b 0000 616263")
			udp := UDPPacket(packet[IPv6HeaderLen:])
			udp.SetChecksum(0xabcd)
			requireLowpan(t, packet, "7e33"+test.compressed+"abcd 616263", lowpanTestLink())

			require.Equal(t, unhex("7e33"+test.elided+"616263"), lowpanCompressed(packet, elide))
			var headers [LowpanMaxDecompressedLen]byte
			b := unhex("7e33" + test.elided + "616263")
			h, err := DecompressIPv6(headers[:], b, 0, lowpanTestLink())
			require.NoError(t, err)
			require.True(t, h.ElidedChecksum)
			udp.FillChecksum(IPv6Packet(packet).Src(), IPv6Packet(packet).Dst())
			require.NoError(t, FillLowpanChecksum(headers[:h.Len], b[h.Consumed:h.Consumed+1], nil, b[h.Consumed+1:]))
			require.Equal(t, packet, append(headers[:h.Len:h.Len], b[h.Consumed:]...))
		})
	}
}

// A length that is not what there is has to be sent, and so the header as it is.
func TestNHCUDPLength(t *testing.T) {
	for name, udp := range map[string]string{
		"short": "1234567800080000 616263", "long": "12345678000c0000 616263", "none": "1234567800000000 616263", "half a header": "12345678",
	} {
		packet := lowpanPacketOf(lowpanTestSrc, lowpanTestDst, IPv6Repr{NextHeader: protocolUDP, HopLimit: 64}, udp)
		t.Run(name, func(t *testing.T) { requireLowpan(t, packet, "7a33 11"+udp, lowpanTestLink()) })
	}
}

// Lengths are told by the datagram's size, of which the first fragment has only a part.
func TestNHCFragmented(t *testing.T) {
	packet := lowpanPacketOf(lowpanTestSrc, lowpanTestDst, IPv6Repr{NextHeader: IPv6DestinationOptions, HopLimit: 64},
		"11 00 010400000000 f0b1 f0b2 0070 abcd"+strings.Repeat("61", 104))
	const first = 40 + 8 + 8 + 40
	var headers [LowpanMaxHeaderLen]byte
	n, consumed := CompressIPv6(headers[:], packet[:first], len(packet), lowpanTestLink())
	require.Equal(t, unhex("7e33 e7 00 f3 12 abcd"), headers[:n])
	require.Equal(t, 56, consumed)

	b := append(headers[:n:n], packet[consumed:first]...)
	var out [LowpanMaxDecompressedLen]byte
	h, err := DecompressIPv6(out[:], b, len(packet), lowpanTestLink())
	require.NoError(t, err)
	require.Equal(t, LowpanHeaders{Len: 56, Consumed: n}, h)
	require.Equal(t, packet[:56], out[:h.Len])
}

func TestNHCExtensions(t *testing.T) {
	for _, test := range []struct {
		name       string
		next       uint8
		payload    string
		compressed string
	}{
		{"EID 0, hop-by-hop: no padding", IPv6HopByHop, "3a 00 63041e0000f1 9b00", "7e33 e0 3a 06 63041e0000f1 9b00"},
		{"EID 1, routing", IPv6Routing, "3a 00 0300ff000000 9b00", "7e33 e2 3a 06 0300ff000000 9b00"},
		{"EID 2, fragment: the first", IPv6Fragment, "3a 00 0001 0000002a 8000", "7e33 e4 3a 00 0001 0000002a 8000"},
		{"EID 2, fragment: the reserved octet stays", IPv6Fragment, "3a 5f 0001 0000002a 8000", "7e33 e4 3a 5f 0001 0000002a 8000"},
		{"EID 3, destination options", IPv6DestinationOptions, "3b 00 1e0401020304", "7e33 e6 3b 06 1e0401020304"},
		{"EID 4, mobility", protocolMobility, "3b 00 000000000000", "7e33 e8 3b 06 000000000000"},
		{"none that can be", 51, "3a 04 000000000000", "7a33 33 3a04000000000000"},
		{"none at all", IPv6NoNextHeader, "", "7a33 3b"},

		{"before UDP", IPv6HopByHop, "11 00 63041e0000f1 f0b1f0b20009abcd61", "7e33 e1 06 63041e0000f1 f3 12abcd 61"},
		{"before UDP of another length", IPv6HopByHop, "11 00 63041e0000f1 f0b1f0b20008abcd61", "7e33 e0 11 06 63041e0000f1 f0b1f0b20008abcd61"},
		{"each of them, one behind the other", IPv6HopByHop,
			"2b00 63041e0000f1 3c00 0300ff000000 2c00 1e0401020304 8700 0001 0000002a 1100 000000000000 f0b1 5678 0008 abcd",
			"7e33 e1 06 63041e0000f1 e3 06 0300ff000000 e7 06 1e0401020304 e5 00 00010000002a e9 06 000000000000 f2 b15678 abcd"},
		{"a later fragment, which only looks like UDP", IPv6Fragment, "11 00 0008 0000002a f0b1f0b20009abcd61", "7e33 e4 11 00 0008 0000002a f0b1f0b20009abcd61"},
		{"a later fragment, which only looks like options", IPv6HopByHop, "2c00 63041e0000f1 3c00 0009 0000002a 3a00010400000000",
			"7e33 e1 06 63041e0000f1 e4 3c 00 0009 0000002a 3a00010400000000"},

		{"padding: Pad1", IPv6HopByHop, "3b 00 1e03aaaaaa 00", "7e33 e0 3b 05 1e03aaaaaa"},
		{"PadN of 2", IPv6HopByHop, "3b 00 0502 0000 0100", "7e33 e0 3b 04 05020000"},
		{"PadN of 3", IPv6HopByHop, "3b 00 1e01aa 010100", "7e33 e0 3b 03 1e01aa"},
		{"PadN of 6, and nothing else", IPv6DestinationOptions, "3b 00 010400000000", "7e33 e6 3b 00"},
		{"PadN of 7", IPv6DestinationOptions, "3b 01 1e05aaaaaaaaaa 01050000000000", "7e33 e6 3b 07 1e05aaaaaaaaaa"},
		{"PadN of 8, which would not come back", IPv6DestinationOptions, "3b 01 1e04aaaaaaaa 0106000000000000",
			"7e33 e6 3b 0e 1e04aaaaaaaa 0106000000000000"},
		{"PadN that is not all zeros", IPv6HopByHop, "3b 00 1e01aa 010101", "7e33 e0 3b 06 1e01aa010101"},
		{"PadN before an option", IPv6HopByHop, "3b 00 0100 1e02aaaa", "7e33 e0 3b 06 01001e02aaaa"},
		{"two at the end", IPv6HopByHop, "3b 00 1e02aaaa 0000", "7e33 e0 3b 06 1e02aaaa0000"},
		{"one before an option, one behind", IPv6HopByHop, "3b 00 00 1e01aa 0100", "7e33 e0 3b 04 00 1e01aa"},
		{"Pad1 alone, six times", IPv6HopByHop, "3b 00 000000000000", "7e33 e0 3b 06 000000000000"},
		{"an option beyond the end", IPv6HopByHop, "3b 00 1e05aaaaaaaa", "7e33 e0 3b 06 1e05aaaaaaaa"},
		{"PadN beyond the end", IPv6HopByHop, "3b 00 1e02aaaa 0101", "7e33 e0 3b 06 1e02aaaa0101"},
		{"an option without length", IPv6HopByHop, "3b 00 1e03aaaaaa 1e", "7e33 e0 3b 06 1e03aaaaaa1e"},
		{"what looks like padding of a routing header", IPv6Routing, "3b 00 0300ff000100", "7e33 e2 3b 06 0300ff000100"},

		{"a header beyond the end", IPv6HopByHop, "3b 01 010400000000", "7a33 00 3b01010400000000"},
		{"seven octets of one", IPv6HopByHop, "3b 00 0104000000", "7a33 00 3b000104000000"},
		{"the second beyond the end", IPv6HopByHop, "3c 00 63041e0000f1 3b01", "7e33 e0 3c 06 63041e0000f1 3b01"},
		{"seven octets of a fragment header", IPv6Fragment, "3b 00 0001 000000", "7a33 2c 3b000001000000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			packet := lowpanPacketOf(lowpanTestSrc, lowpanTestDst, IPv6Repr{NextHeader: test.next, HopLimit: 64}, test.payload)
			requireLowpan(t, packet, test.compressed, lowpanTestLink())
		})
	}
}

// The length of a compressed extension header is an octet.
func TestNHCExtensionLength(t *testing.T) {
	for _, test := range []struct {
		name    string
		options string // of a header, behind its length
		sent    int    // 0: it is not compressed
	}{
		{"254 octets", "1efc" + strings.Repeat("aa", 252), 254},
		{"255, and padding", "1efd" + strings.Repeat("aa", 253) + "01050000000000", 255},
		{"256, and padding", "1efe" + strings.Repeat("aa", 254) + "010400000000", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			options := unhex(test.options)
			require.Zero(t, (2+len(options))%8)
			packet := lowpanPacketOf(lowpanTestSrc, lowpanTestDst, IPv6Repr{NextHeader: IPv6DestinationOptions, HopLimit: 64}, "3b00"+test.options)
			packet[IPv6HeaderLen+1] = uint8((2+len(options))/8 - 1)
			var headers [LowpanMaxDecompressedLen]byte
			n, consumed := CompressIPv6(headers[:], packet, len(packet), lowpanTestLink())
			if test.sent == 0 {
				require.Equal(t, unhex("7a33 3c"), headers[:n])
				return
			}
			require.Equal(t, 5+test.sent, n)
			require.Equal(t, len(packet), consumed)
			require.Equal(t, uint8(test.sent), headers[4])
			got, err := lowpanDecompressed(headers[:n], lowpanTestLink())
			require.NoError(t, err)
			require.Equal(t, packet, got)
		})
	}
}

// Headers are compressed as far as they fit.
func TestCompressIPv6Room(t *testing.T) {
	const payload = "3c00 63041e0000f1 2900 1e0401020304"
	inner := lowpanPacketOf("2001:db9::1", "2001:db9::2", IPv6Repr{NextHeader: protocolUDP, HopLimit: 3, FlowLabel: 1, TrafficClass: 4},
		"12345678 000babcd 616263")
	packet := lowpanPacketOf(lowpanTestSrc, lowpanTestDst, IPv6Repr{NextHeader: IPv6HopByHop, HopLimit: 64}, payload)
	packet = append(packet, inner...)
	IPv6Packet(packet).SetPayloadLen(len(packet) - IPv6HeaderLen)
	last := 0
	for room := IPv6HeaderLen; room <= LowpanMaxHeaderLen; room++ {
		headers := make([]byte, room)
		n, consumed := CompressIPv6(headers, packet, len(packet), lowpanTestLink())
		require.LessOrEqual(t, n, room)
		require.LessOrEqual(t, n, consumed)
		require.GreaterOrEqual(t, consumed, last)
		last = consumed
		got, err := lowpanDecompressed(append(headers[:n:n], packet[consumed:]...), lowpanTestLink())
		require.NoError(t, err)
		require.Equal(t, packet, got, "room for %d octets", room)
	}
	require.Equal(t, len(packet)-3, last)

	// Of a packet of which less is at hand, less is compressed.
	var headers [LowpanMaxHeaderLen]byte
	for _, test := range []struct{ there, consumed int }{
		{40, 40}, {47, 40}, {48, 48}, {55, 48}, {56, 56}, {95, 56}, {96, 96}, {103, 96}, {104, 104}, {105, 104},
	} {
		n, consumed := CompressIPv6(headers[:], packet[:test.there], len(packet), lowpanTestLink())
		require.Equal(t, test.consumed, consumed, "%d octets of it", test.there)
		got, err := lowpanDecompressed(append(headers[:n:n], packet[consumed:]...), lowpanTestLink())
		require.NoError(t, err)
		require.Equal(t, packet, got)
	}
}

func TestNHCIPv6(t *testing.T) {
	r := IPv6Repr{NextHeader: protocolICMPv6, HopLimit: 64}
	for _, test := range []struct {
		name              string
		src, dst, payload string
		compressed        string
	}{
		{"the outer packet's addresses", lowpanTestSrc, lowpanTestDst, "0102", "7e33 ee 7a33 3a 0102"},
		{"with another prefix", "2001:db8::11:2233:4455:660a", "2001:db8::ff:fe00:beef", "0102", "7e33 ee 7a77 3a 0102"},
		{"others", "fe80::ff:fe00:1", "ff02::1", "0102", "7e33 ee 7a2b 3a 0001 01 0102"},
		{"others in full", "2001:db9::1", "2001:db9::2", "",
			"7e33 ee 7a00 3a 20010db9000000000000000000000001 20010db9000000000000000000000002"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inner := lowpanPacketOf(test.src, test.dst, r, test.payload)
			packet := lowpanPacketOf(lowpanTestSrc, lowpanTestDst, IPv6Repr{NextHeader: protocolIPv6, HopLimit: 64}, "")
			packet = append(packet, inner...)
			IPv6Packet(packet).SetPayloadLen(len(inner))
			requireLowpan(t, packet, test.compressed, lowpanTestLink())
		})
	}

	t.Run("of the encapsulating header, not of the frame", func(t *testing.T) {
		inner := lowpanPacketOf("2001:db8::1:2:3:4", "2001:db8::5:6:7:8", r, "")
		packet := append(lowpanPacketOf("2001:db8::1:2:3:4", "2001:db8::5:6:7:8", IPv6Repr{NextHeader: protocolIPv6, HopLimit: 64}, ""), inner...)
		IPv6Packet(packet).SetPayloadLen(len(inner))
		requireLowpan(t, packet, "7e55 0001000200030004 0005000600070008 ee 7a77 3a", lowpanTestLink())
	})
	t.Run("not of a group, though it can be understood so", func(t *testing.T) {
		inner := lowpanPacketOf(lowpanTestSrc, "fe80::1:2:3:4", r, "")
		packet := append(lowpanPacketOf(lowpanTestSrc, "ff05::1:2:3:4", IPv6Repr{NextHeader: protocolIPv6, HopLimit: 64}, ""), inner...)
		IPv6Packet(packet).SetPayloadLen(len(inner))
		const outer = "7e38 ff050000000000000001000200030004 ee"
		requireLowpan(t, packet, outer+"7a31 3a 0001000200030004", lowpanTestLink())
		requireLowpanDecompressed(t, packet, outer+"7a33 3a", lowpanTestLink())
	})
	t.Run("of another length", func(t *testing.T) {
		inner := lowpanPacketOf(lowpanTestSrc, lowpanTestDst, r, "01")
		IPv6Packet(inner).SetPayloadLen(0)
		packet := append(lowpanPacketOf(lowpanTestSrc, lowpanTestDst, IPv6Repr{NextHeader: protocolIPv6, HopLimit: 64}, ""), inner...)
		IPv6Packet(packet).SetPayloadLen(len(inner))
		got := lowpanCompressed(packet, lowpanTestLink())
		require.Equal(t, append(unhex("7a33 29"), inner...), got)
	})
	t.Run("deeper than is looked into", func(t *testing.T) {
		packet := lowpanPacketOf(lowpanTestSrc, lowpanTestDst, r, "0102")
		for range 5 {
			outer := lowpanPacketOf(lowpanTestSrc, lowpanTestDst, IPv6Repr{NextHeader: protocolIPv6, HopLimit: 64}, "")
			IPv6Packet(outer).SetPayloadLen(len(packet))
			packet = append(outer, packet...)
		}
		got := lowpanCompressed(packet, lowpanTestLink())
		require.Equal(t, append(unhex("7e33 ee 7e33 ee 7e33 ee 7a33 29"), packet[4*IPv6HeaderLen:]...), got)
	})
	t.Run("more extension headers than are looked at", func(t *testing.T) {
		packet := lowpanPacketOf(lowpanTestSrc, lowpanTestDst, IPv6Repr{NextHeader: IPv6DestinationOptions, HopLimit: 64},
			strings.Repeat("3c00 010400000000", 17)+"3b00 010400000000")
		requireLowpan(t, packet, "7e33"+strings.Repeat("e700", 15)+"e6 3c 00 3c00 010400000000 3b00 010400000000", lowpanTestLink())
	})
}

func TestFillLowpanChecksum(t *testing.T) {
	const udp = "1234 5678 000b 0000 616263"
	// As of a packet without extension headers between the two.
	checksum := func(t *testing.T, src, dst string) uint16 {
		packet := lowpanPacketOf(src, dst, IPv6Repr{NextHeader: protocolUDP}, udp)
		UDPPacket(packet[IPv6HeaderLen:]).FillChecksum(IPv6Packet(packet).Src(), IPv6Packet(packet).Dst())
		return UDPPacket(packet[IPv6HeaderLen:]).Checksum()
	}
	for _, test := range []struct {
		name  string
		next  uint8
		extra string // headers between IPv6's and UDP's
		final string // whom the packet is for in the end
	}{
		{"no extension headers", protocolUDP, "", "2001:db8::2"},
		{"options", IPv6HopByHop, "3c00 63041e0000f1 1101 010c 000000000000 000000000000", "2001:db8::2"},
		{"mobility", protocolMobility, "1100 000000000000", "2001:db8::2"},
		{"one fragment", IPv6Fragment, "1100 0000 0000002a", "2001:db8::2"},
		{"routing, at its end", IPv6Routing, "1102 0300 00000000 fe80000000000000 0000000000000003", "2001:db8::2"},
		{"routing", IPv6Routing, "1102 0301 00000000 20010db800000000 0000000000000003", "2001:db8::3"},
		{"routing of type 2", IPv6Routing, "1102 0201 00000000 20010db800000000 0000000000000004", "2001:db8::4"},
		{"routing, 14 octets left out and 4 of padding", IPv6Routing, "1101 0302 ee400000 0005 0006 00000000", "2001:db8::6"},
	} {
		t.Run(test.name, func(t *testing.T) {
			packet := lowpanPacketOf("2001:db8::1", "2001:db8::2", IPv6Repr{NextHeader: test.next}, test.extra+udp)
			require.NoError(t, FillLowpanChecksum(packet))
			require.Equal(t, checksum(t, "2001:db8::1", test.final), UDPPacket(packet[len(packet)-11:]).Checksum())
		})
	}
	t.Run("IPv6 in IPv6", func(t *testing.T) {
		packet := lowpanPacketOf("2001:db8::8", "2001:db8::9", IPv6Repr{NextHeader: protocolIPv6}, "")
		packet = append(packet, lowpanPacketOf("2001:db8::1", "2001:db8::2", IPv6Repr{NextHeader: protocolUDP}, udp)...)
		require.NoError(t, FillLowpanChecksum(packet))
		require.Equal(t, checksum(t, "2001:db8::1", "2001:db8::2"), UDPPacket(packet[80:]).Checksum())
	})
	for _, test := range []struct {
		name    string
		next    uint8
		payload string
		want    error
	}{
		{"TCP", protocolTCP, udp, ErrMalformed},
		{"nothing", IPv6NoNextHeader, "", ErrMalformed},
		{"half a header", protocolUDP, "12345678", ErrTruncated},
		{"of another length", protocolUDP, "1234 5678 000c 0000 616263", ErrLength},
		{"a fragment of it", IPv6Fragment, "1100 0001 0000002a" + udp, ErrMalformed},
		{"half a fragment header", IPv6Fragment, "1100 0001", ErrTruncated},
		{"routing of an unknown type", IPv6Routing, "1102 0401 00000000 20010db800000000 0000000000000003" + udp, ErrMalformed},
		{"routing without an address", IPv6Routing, "1100 0301 00000000" + udp, ErrMalformed},
		{"options that end early", IPv6HopByHop, "1101 010400000000", ErrLength},
		{"half an inner header", protocolIPv6, "60000000", ErrTruncated},
	} {
		t.Run(test.name, func(t *testing.T) {
			packet := lowpanPacketOf("2001:db8::1", "2001:db8::2", IPv6Repr{NextHeader: test.next}, test.payload)
			require.ErrorIs(t, FillLowpanChecksum(packet), test.want)
		})
	}
}
