package wire

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// The addresses that follow from lowpanTestLink.
const (
	lowpanTestSrc = "fe80::11:2233:4455:660a"
	lowpanTestDst = "fe80::ff:fe00:beef"
)

// lowpanPacketOf is an IPv6 packet.
func lowpanPacketOf(src, dst string, r IPv6Repr, payload string) []byte {
	octets := unhex(payload)
	r.Src, r.Dst, r.PayloadLen = netip.MustParseAddr(src), netip.MustParseAddr(dst), len(octets)
	b := make([]byte, r.Len(), r.Len()+len(octets))
	r.Emit(b)
	return append(b, octets...)
}

// lowpanCompressed is a packet as it is sent.
func lowpanCompressed(packet []byte, link LowpanLink) []byte {
	var headers [LowpanMaxHeaderLen]byte
	n, consumed := CompressIPv6(headers[:], packet, len(packet), link)
	return append(headers[:n:n], packet[consumed:]...)
}

// lowpanDecompressed is a packet as it was before it was sent as b.
func lowpanDecompressed(b []byte, link LowpanLink) ([]byte, error) {
	var headers [LowpanMaxDecompressedLen]byte
	h, err := DecompressIPv6(headers[:], b, 0, link)
	return append(headers[:h.Len:h.Len], b[h.Consumed:]...), err
}

// requireLowpan demands that the packet is sent as compressed, and the other way round.
func requireLowpan(t *testing.T, packet []byte, compressed string, link LowpanLink) {
	t.Helper()
	require.Equal(t, hex.EncodeToString(unhex(compressed)), hex.EncodeToString(lowpanCompressed(packet, link)))
	requireLowpanDecompressed(t, packet, compressed, link)
}

func requireLowpanDecompressed(t *testing.T, packet []byte, compressed string, link LowpanLink) {
	t.Helper()
	got, err := lowpanDecompressed(unhex(compressed), link)
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(packet), hex.EncodeToString(got))
}

func TestIPHCSource(t *testing.T) {
	for _, test := range []struct{ name, src, compressed string }{
		{"SAM 00", "2001:db9::1", "7a03 3a 20010db9000000000000000000000001"},
		{"SAM 01", "fe80::1:2:3:4", "7a13 3a 0001000200030004"},
		{"SAM 10", "fe80::ff:fe00:1234", "7a23 3a 1234"},
		{"SAM 11", lowpanTestSrc, "7a33 3a"},
		{"SAC SAM 00: unspecified", "::", "7a43 3a"},
		{"SAC SAM 01", "2001:db8::1", "7a53 3a 0000000000000001"},
		{"SAC SAM 10", "2001:db8::ff:fe00:1234", "7a63 3a 1234"},
		{"SAC SAM 11", "2001:db8::11:2233:4455:660a", "7a73 3a"},

		{"link-local, but not of fe80::/64", "fe80:1::11:2233:4455:660a", "7a03 3a fe800001000000000011223344 55660a"},
		{"the last context", "2001:db8:15::1", "7ad3 f0 3a 0000000000000001"},
		{"the last context, 16 bits", "2001:db8:15::ff:fe00:1234", "7ae3 f0 3a 1234"},
		{"the last context, elided", "2001:db8:15::11:2233:4455:660a", "7af3 f0 3a"},
		{"a context that is not to be used for sending", "2001:db8:4::1", "7a03 3a 20010db8000400000000000000000001"},
		{"multicast, which a source cannot be", "ff02::1", "7a03 3a ff020000000000000000000000000001"},

		{"48 bits: zeros up to the interface identifier", "2001:db8:1::ff:fe00:1234", "7ae3 10 3a 1234"},
		{"48 bits: a subnet, which nothing would restore", "2001:db8:1:1::ff:fe00:1234", "7a03 3a 20010db800010001000000fffe001234"},
		{"44 bits: the last ones are the context's", "2001:db8:5550::1", "7ad3 50 3a 0000000000000001"},
		{"44 bits: the next ones are not", "2001:db8:5551::1", "7a03 3a 20010db8555100000000000000000001"},
		{"96 bits: the context's stand in for the link's", "2001:db8:2:0:aaaa:bbbb:4455:660a", "7af3 20 3a"},
		{"96 bits: and for those of a short identifier", "2001:db8:2:0:aaaa:bbbb:fe00:1234", "7ae3 20 3a 1234"},
		{"96 bits: all 64 are sent", "2001:db8:2:0:aaaa:bbbb:1:2", "7ad3 20 3a aaaabbbb00010002"},
		{"70 bits, elided", "2001:db8:6:0:fc11:2233:4455:660a", "7af3 60 3a"},
		{"70 bits: one of them is another", "2001:db8:6:0:f811:2233:4455:660a", "7a03 3a 20010db800060000f81122334455660a"},
		{"128 bits", "2001:db8:3::1", "7af3 30 3a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			packet := lowpanPacketOf(test.src, lowpanTestDst, IPv6Repr{NextHeader: protocolICMPv6, HopLimit: 64}, "0102")
			requireLowpan(t, packet, test.compressed+"0102", lowpanTestLink())
		})
	}
}

func TestIPHCDestination(t *testing.T) {
	for _, test := range []struct{ name, dst, compressed string }{
		{"DAM 00", "2001:db9::1", "7a30 3a 20010db9000000000000000000000001"},
		{"DAM 01", "fe80::1:2:3:4", "7a31 3a 0001000200030004"},
		{"DAM 10", "fe80::ff:fe00:1234", "7a32 3a 1234"},
		{"DAM 11", lowpanTestDst, "7a33 3a"},
		{"DAC DAM 01", "2001:db8::1", "7a35 3a 0000000000000001"},
		{"DAC DAM 10", "2001:db8::ff:fe00:1234", "7a36 3a 1234"},
		{"DAC DAM 11", "2001:db8::ff:fe00:beef", "7a37 3a"},
		{"the last context, elided", "2001:db8:15::ff:fe00:beef", "7ab7 0f 3a"},
		{"128 bits of context", "2001:db8:3::1", "7ab7 03 3a"},
		{"unspecified, which a destination cannot be", "::", "7a30 3a 00000000000000000000000000000000"},

		{"M DAM 00", "ff05::1:2:3:4", "7a38 3a ff050000000000000001000200030004"},
		{"M DAM 01", "ff02::1:ff55:660b", "7a39 3a 02 01ff55660b"},
		{"M DAM 01: all the bits it has", "ff3e::ff:ffff:ffff", "7a39 3a 3e ffffffffff"},
		{"M DAM 00: one bit more", "ff3e::100:0:0", "7a38 3a ff3e0000000000000000010000000000"},
		{"M DAM 10", "ff05::1:3", "7a3a 3a 05 010003"},
		{"M DAM 10: all the bits it has", "ff02::ff:ffff", "7a3a 3a 02 ffffff"},
		{"M DAM 01: one bit more", "ff02::100:0", "7a39 3a 02 0001000000"},
		{"M DAM 11", "ff02::1", "7a3b 3a 01"},
		{"M DAM 11: all the bits it has", "ff02::ff", "7a3b 3a ff"},
		{"M DAM 10: one bit more", "ff02::100", "7a3a 3a 02 000100"},
		{"M DAM 10: of another scope", "ff05::1", "7a3a 3a 05 000001"},
		{"M DAC DAM 00", "ff3e:40:2001:db8::1234:5678", "7a3c 3a 3e00 12345678"},
		{"M DAC DAM 00 with a rendezvous point", "ff7e:540:2001:db8::42", "7a3c 3a 7e05 00000042"},
		{"M DAC DAM 00 of another context", "ff35:30:2001:db8:1::77", "7abc 01 3a 3500 00000077"},
		{"of no context's length", "ff35:20:2001:db8::77", "7a38 3a ff3500202001 0db8000000000000 0077"},
		{"of a context longer than fits", "ff35:60:2001:db8:2::77", "7a38 3a ff3500602001 0db80002 0000 00000077"},
	} {
		t.Run(test.name, func(t *testing.T) {
			packet := lowpanPacketOf(lowpanTestSrc, test.dst, IPv6Repr{NextHeader: protocolICMPv6, HopLimit: 64}, "0102")
			requireLowpan(t, packet, test.compressed+"0102", lowpanTestLink())
		})
	}
}

func TestIPHCContexts(t *testing.T) {
	for _, test := range []struct{ name, src, dst, compressed string }{
		{"both 0", "2001:db8::11:2233:4455:660a", "2001:db8::ff:fe00:beef", "7a77 3a"},
		{"another and 0", "2001:db8:15::11:2233:4455:660a", "2001:db8::ff:fe00:beef", "7af7 f0 3a"},
		{"another for both", "2001:db8:15::11:2233:4455:660a", "2001:db8:15::ff:fe00:beef", "7af7 ff 3a"},
		{"two others", "2001:db8:15::1", "2001:db8:3::1", "7ad7 f3 3a 0000000000000001"},
		{"another and none", "2001:db8:15::1", "fe80::2", "7ad1 f0 3a 0000000000000001 0000000000000002"},
	} {
		t.Run(test.name, func(t *testing.T) {
			packet := lowpanPacketOf(test.src, test.dst, IPv6Repr{NextHeader: protocolICMPv6, HopLimit: 64}, "0102")
			requireLowpan(t, packet, test.compressed+"0102", lowpanTestLink())
		})
	}
}

// A context that saves no more than the octet it costs is not used.
func TestIPHCContextCost(t *testing.T) {
	link := lowpanTestLink()
	link.Contexts = &LowpanContexts{
		3: {Prefix: netip.MustParsePrefix("fe80::1:2:3:0/112"), Compress: true},
		4: {Prefix: netip.MustParsePrefix("fe80::/64"), Compress: true},
	}
	r := IPv6Repr{NextHeader: protocolICMPv6, HopLimit: 64}
	requireLowpan(t, lowpanPacketOf("fe80::ff:fe00:1", lowpanTestDst, r, ""), "7a23 3a 0001", link)
	requireLowpan(t, lowpanPacketOf("fe80::1:2:3:4", lowpanTestDst, r, ""), "7ae3 30 3a 0004", link)
	link.Contexts[0] = LowpanContext{Prefix: netip.MustParsePrefix("fe80::1:2:3:0/112"), Compress: true}
	requireLowpan(t, lowpanPacketOf("fe80::1:2:3:4", lowpanTestDst, r, ""), "7a63 3a 0004", link)
}

func TestIPHCFields(t *testing.T) {
	for _, test := range []struct {
		name       string
		r          IPv6Repr
		compressed string
	}{
		{"TF 00", IPv6Repr{TrafficClass: 0xb9, FlowLabel: 0x12345, HopLimit: 64}, "6233 6e012345 3a"},
		{"TF 00, all bits", IPv6Repr{TrafficClass: 0xff, FlowLabel: 0xfffff, HopLimit: 64}, "6233 ff0fffff 3a"},
		{"TF 00, DSCP only", IPv6Repr{TrafficClass: 0x04, FlowLabel: 1, HopLimit: 64}, "6233 01000001 3a"},
		{"TF 01", IPv6Repr{TrafficClass: 0x01, FlowLabel: 0x12345, HopLimit: 64}, "6a33 412345 3a"},
		{"TF 01, all bits", IPv6Repr{TrafficClass: 0x03, FlowLabel: 0xfffff, HopLimit: 64}, "6a33 cfffff 3a"},
		{"TF 01, no ECN", IPv6Repr{FlowLabel: 0x80000, HopLimit: 64}, "6a33 080000 3a"},
		{"TF 10", IPv6Repr{TrafficClass: 0xb9, HopLimit: 64}, "7233 6e 3a"},
		{"TF 10, ECN only", IPv6Repr{TrafficClass: 0x02, HopLimit: 64}, "7233 80 3a"},
		{"TF 11", IPv6Repr{HopLimit: 64}, "7a33 3a"},
		{"HLIM 00", IPv6Repr{HopLimit: 63}, "7833 3a 3f"},
		{"HLIM 00 of 0", IPv6Repr{HopLimit: 0}, "7833 3a 00"},
		{"HLIM 01", IPv6Repr{HopLimit: 1}, "7933 3a"},
		{"HLIM 10", IPv6Repr{HopLimit: 64}, "7a33 3a"},
		{"HLIM 11", IPv6Repr{HopLimit: 255}, "7b33 3a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.r.NextHeader = protocolICMPv6
			packet := lowpanPacketOf(lowpanTestSrc, lowpanTestDst, test.r, "0102")
			requireLowpan(t, packet, test.compressed+"0102", lowpanTestLink())
		})
	}
}

// Forms that we do not send, because there are shorter ones, or bits that are to be ignored.
func TestIPHCLongForms(t *testing.T) {
	for _, test := range []struct{ name, src, dst, compressed string }{
		{"no compression at all", lowpanTestSrc, lowpanTestDst,
			"41 60000000 0002 3a40 fe80000000000000001122334455660a fe80000000000000000000fffe00beef"},
		{"everything inline", lowpanTestSrc, lowpanTestDst,
			"6000 00000000 3a 40 fe80000000000000001122334455660a fe80000000000000000000fffe00beef"},
		{"the reserved bits of TF 00", lowpanTestSrc, lowpanTestDst, "6233 00f00000 3a"},
		{"the reserved bits of TF 01", lowpanTestSrc, lowpanTestDst, "6a33 300000 3a"},
		{"a context number for addresses that need none", lowpanTestSrc, lowpanTestDst, "7ab3 ee 3a"},
		{"context 0 said", "2001:db8::11:2233:4455:660a", "2001:db8::ff:fe00:beef", "7af7 00 3a"},
		{"unspecified, with the number of no context", "::", lowpanTestDst, "7ac3 e0 3a"},
		{"64 bits where the context has 32", "2001:db8:2:0:aaaa:bbbb:1:2", lowpanTestDst, "7ad3 20 3a 1111222200010002"},
		{"64 bits where the context has 6", "2001:db8:6:0:fc00::1", lowpanTestDst, "7ad3 60 3a 0000000000000001"},
		{"16 bits where the context has all", "2001:db8:3::1", lowpanTestDst, "7ae3 30 3a 1234"},
		{"multicast in full", lowpanTestSrc, "ff02::1", "7a38 3a ff020000000000000000000000000001"},
		{"multicast in full, and not said to be", lowpanTestSrc, "ff02::1", "7a30 3a ff020000000000000000000000000001"},
		{"multicast in 48 bits", lowpanTestSrc, "ff02::1", "7a39 3a 02 0000000001"},
		{"multicast in 32 bits", lowpanTestSrc, "ff02::1", "7a3a 3a 02 000001"},
	} {
		t.Run(test.name, func(t *testing.T) {
			packet := lowpanPacketOf(test.src, test.dst, IPv6Repr{NextHeader: protocolICMPv6, HopLimit: 64}, "0102")
			requireLowpanDecompressed(t, packet, test.compressed+"0102", lowpanTestLink())
			require.LessOrEqual(t, len(lowpanCompressed(packet, lowpanTestLink())), len(unhex(test.compressed+"0102")))
		})
	}
}

// A context that is not to be used any more for sending is still understood.
func TestIPHCContextReceived(t *testing.T) {
	packet := lowpanPacketOf("2001:db8:4::1", lowpanTestDst, IPv6Repr{NextHeader: protocolICMPv6, HopLimit: 64}, "0102")
	requireLowpanDecompressed(t, packet, "7ad3 40 3a 0000000000000001 0102", lowpanTestLink())
}

func TestIPHCWithoutLink(t *testing.T) {
	packet := lowpanPacketOf(lowpanTestSrc, lowpanTestDst, IPv6Repr{NextHeader: protocolICMPv6, HopLimit: 64}, "0102")
	requireLowpan(t, packet, "7a12 3a 001122334455660a beef 0102", LowpanLink{})

	// A context of all 128 bits needs no interface identifier.
	packet = lowpanPacketOf("2001:db8:3::1", "2001:db8:3::1", IPv6Repr{NextHeader: protocolICMPv6, HopLimit: 64}, "")
	requireLowpan(t, packet, "7af7 33 3a", LowpanLink{Contexts: lowpanTestLink().Contexts})

	// Of Ethernet, so that the codec serves whatever medium has addresses.
	packet = lowpanPacketOf("fe80::5eff:fe10:1", lowpanTestDst, IPv6Repr{NextHeader: protocolICMPv6, HopLimit: 64}, "")
	requireLowpan(t, packet, "7a32 3a beef", LowpanLink{Src: LinkAddrFrom(unhex("02005e100001"))})
}

// What cannot be restored is not compressed at all.
func TestIPHCUncompressed(t *testing.T) {
	packet := func() []byte {
		return lowpanPacketOf(lowpanTestSrc, lowpanTestDst, IPv6Repr{NextHeader: protocolICMPv6, HopLimit: 64}, "0102")
	}
	shorter, longer, other := packet(), packet(), packet()
	IPv6Packet(shorter).SetPayloadLen(1)
	IPv6Packet(longer).SetPayloadLen(3)
	other[0] = 0x45
	for name, packet := range map[string][]byte{"payload length too small": shorter, "too large": longer, "another version": other} {
		require.Equal(t, append([]byte{0x41}, packet...), lowpanCompressed(packet, lowpanTestLink()), name)
	}
	got, err := lowpanDecompressed(append([]byte{0x41}, shorter...), lowpanTestLink())
	require.NoError(t, err, "padding behind an uncompressed packet is for IPv6 to ignore")
	require.Equal(t, shorter, got)
	_, err = lowpanDecompressed(append([]byte{0x41}, longer...), lowpanTestLink())
	require.ErrorIs(t, err, ErrLowpanSize)
	_, err = lowpanDecompressed(append([]byte{0x41}, other...), lowpanTestLink())
	require.ErrorIs(t, err, ErrVersion)
}

func TestDecompressIPv6Malformed(t *testing.T) {
	const ip = "41 6000000000003b40 fe800000000000000000000000000001 fe800000000000000000000000000002"
	for _, test := range []struct {
		name, octets string
		size         int
		want         error
	}{
		{"nothing", "", 0, ErrTruncated},
		{"another protocol", "00", 0, ErrLowpanDispatch},
		{"ESC", "40 00", 0, ErrLowpanDispatch},
		{"HC1", "42fb", 0, ErrLowpanDispatch},
		{"a fragment in a fragment", "c064 0001 7a33 3b", 0, ErrLowpanDispatch},
		{"a page", "f1", 0, ErrLowpanDispatch},
		{"half an IPHC", "7a", 0, ErrTruncated},
		{"no next header", "7a33", 0, ErrTruncated},
		{"no context numbers", "7eb3", 0, ErrTruncated},
		{"half an address", "7a13 3a 00010002", 0, ErrTruncated},
		{"no compressed next header", "7e33", 0, ErrTruncated},

		{"DAC DAM 00", "7a34 3a", 0, ErrLowpanReserved},
		{"M DAC DAM 01", "7a3d 3a 0000000000000000", 0, ErrLowpanReserved},
		{"M DAC DAM 10", "7a3e 3a 0000000000000000", 0, ErrLowpanReserved},
		{"M DAC DAM 11", "7a3f 3a 0000000000000000", 0, ErrLowpanReserved},
		{"IPv6 in IPv6 with NH", "7e33 ef 7a33 3b", 0, ErrLowpanReserved},

		{"an unknown context", "7af3 e0 3a", 0, ErrLowpanContext},
		{"of the destination", "7ab7 0e 3a", 0, ErrLowpanContext},
		{"of a group", "7abc 0e 3a 3e00 12345678", 0, ErrLowpanContext},
		{"one of IPv4", "7af3 70 3a", 0, ErrLowpanContext},
		{"one too long for a group", "7abc 02 3a 3e00 12345678", 0, ErrLowpanContext},

		{"EID 5", "7e33 ea 3a 00", 0, ErrLowpanNextHeader},
		{"EID 6", "7e33 ed 00", 0, ErrLowpanNextHeader},
		{"generic compression", "7e33 d0 00", 0, ErrLowpanNextHeader},
		{"reserved", "7e33 f8 00", 0, ErrLowpanNextHeader},
		{"behind an extension header", "7e33 e1 00 00", 0, ErrLowpanNextHeader},
		{"IPv6 in IPv6 that is not compressed", "7e33 ee 41", 0, ErrTruncated},
		{"IPv6 in IPv6 that is none", "7e33 ee 4100", 0, ErrLowpanDispatch},

		{"an extension header without length", "7e33 e1", 0, ErrTruncated},
		{"without next header", "7e33 e0", 0, ErrTruncated},
		{"shorter than its length", "7e33 e0 3a 06 0502", 0, ErrTruncated},
		{"a fragment header of five octets", "7e33 e4 3a 00 0000000000", 0, ErrTruncated},
		{"a routing header that would need padding", "7e33 e2 3a 05 0300000000", 0, ErrLength},
		{"a mobility header of nothing", "7e33 e8 3b 00", 0, ErrLength},
		{"half of a UDP header", "7e33 f0 123456", 0, ErrTruncated},
		{"UDP without its checksum", "7e33 f3 12", 0, ErrTruncated},

		{"a datagram shorter than its headers", "7a33 3a 01", 40, ErrLowpanSize},
		{"than its UDP header", "7e33 f3 12 0000", 47, ErrLowpanSize},
		{"longer than IPv6 can be", "7a33 3a 01", 70000, ErrLowpanSize},

		{"an uncompressed packet that ends early", "41 60000000", 0, ErrTruncated},
		{"an uncompressed packet longer than its datagram", ip + "00", 40, ErrLowpanSize},
		{"of more than its datagram's length", "41 6000000000013b40 fe80000000000000 0000000000000001 fe80000000000000 0000000000000002", 40, ErrLowpanSize},
	} {
		t.Run(test.name, func(t *testing.T) {
			var headers [LowpanMaxDecompressedLen]byte
			h, err := DecompressIPv6(headers[:], unhex(test.octets), test.size, lowpanTestLink())
			require.ErrorIs(t, err, test.want)
			require.Zero(t, h)
		})
	}
	for _, compressed := range []string{"7a33 3a", "7a37 3a", "7a23 3a 1234"} {
		link := lowpanTestLink()
		link.Src, link.Dst = LinkAddr{}, LinkAddr{}
		_, err := lowpanDecompressed(unhex(compressed), link)
		require.ErrorIs(t, err, ErrLowpanAddress, compressed)
	}
	link := lowpanTestLink()
	link.Contexts = nil
	_, err := lowpanDecompressed(unhex("7a77 3a"), link)
	require.ErrorIs(t, err, ErrLowpanContext)
}

func TestDecompressIPv6Bombs(t *testing.T) {
	many := func(n int, s string) string {
		all := ""
		for range n {
			all += s
		}
		return all
	}
	for _, test := range []struct {
		name, octets string
		out          int
		want         error
		len          int
	}{
		{"as many options as a packet may have", "7e33" + many(15, "e100") + "e0 3b 00", LowpanMaxDecompressedLen, nil, 40 + 16*8},
		{"one more", "7e33" + many(16, "e100") + "e0 3b 00", LowpanMaxDecompressedLen, ErrLowpanHeaders, 0},
		{"as many IPv6 headers", many(3, "7e33 ee") + "7a33 3b", LowpanMaxDecompressedLen, nil, 4 * 40},
		{"one more header", many(4, "7e33 ee") + "7a33 3b", LowpanMaxDecompressedLen, ErrLowpanHeaders, 0},
		{"no room for the IPv6 header", "7a33 3b", 39, ErrLowpanHeaders, 0},
		{"no room for options", "7e33 e0 3b 00", 47, ErrLowpanHeaders, 0},
		{"just room", "7e33 e0 3b 00", 48, nil, 48},
		{"no room for UDP", "7e33 f3 12 0000", 47, ErrLowpanHeaders, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, err := DecompressIPv6(make([]byte, test.out), unhex(test.octets), 0, lowpanTestLink())
			require.ErrorIs(t, err, test.want)
			require.Equal(t, test.len, h.Len)
		})
	}

	// All that one frame can have: the most headers of the shortest forms, and as many octets of options as fit.
	worst := many(3, "7e33 ee") + "7e33" + many(15, "e100") + "e0 3b"
	options := LowpanMaxHeaderLen - len(unhex(worst)) - 1
	worst += fmt.Sprintf("%02x", options) + many(options, "00")
	h, err := DecompressIPv6(make([]byte, LowpanMaxDecompressedLen), unhex(worst), 0, lowpanTestLink())
	require.NoError(t, err)
	require.Equal(t, LowpanMaxHeaderLen, h.Consumed)
}
