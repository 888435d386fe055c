package wire

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// The addresses and contexts of these tests. lowpanTestLink's interface identifiers are 0011:2233:4455:660a, whose U/L bit is
// turned, and 0000:00ff:fe00:beef.
func lowpanTestLink() LowpanLink {
	set := func(prefix string) LowpanContext {
		return LowpanContext{Prefix: netip.MustParsePrefix(prefix), Compress: true}
	}
	return LowpanLink{
		Src: ExtendedAddr([8]byte{0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x0a}),
		Dst: ShortAddr(0xbeef),
		Contexts: &LowpanContexts{
			0:  set("2001:db8::/64"),
			1:  set("2001:db8:1::/48"),
			2:  set("2001:db8:2:0:aaaa:bbbb::/96"),
			3:  set("2001:db8:3::1/128"),
			4:  {Prefix: netip.MustParsePrefix("2001:db8:4::/64")}, // to be decompressed only
			5:  set("2001:db8:5550::/44"),
			6:  set("2001:db8:6:0:fc00::/70"),
			7:  {Prefix: netip.MustParsePrefix("192.0.2.0/24"), Compress: true}, // which is none
			15: set("2001:db8:15::/64"),
		},
	}
}

func TestParseLowpanDispatch(t *testing.T) {
	require.Equal(t, LowpanUnknown, ParseLowpanDispatch(nil))
	want := func(octet int) LowpanDispatch {
		switch {
		case octet < 0x40:
			return LowpanNALP
		case octet == 0x40:
			return LowpanESC
		case octet == 0x41:
			return LowpanIPv6
		case octet == 0x42:
			return LowpanHC1
		case octet == 0x50:
			return LowpanBC0
		case octet >= 0x60 && octet < 0x80:
			return LowpanIPHC
		case octet >= 0x80 && octet < 0xc0:
			return LowpanMesh
		case octet >= 0xc0 && octet < 0xc8:
			return LowpanFRAG1
		case octet >= 0xe0 && octet < 0xe8:
			return LowpanFRAGN
		case octet >= 0xf0:
			return LowpanPage
		}
		return LowpanUnknown
	}
	for octet := range 256 {
		require.Equal(t, want(octet), ParseLowpanDispatch([]byte{byte(octet), 0x60}), "0x%02x", octet)
	}
}

func TestLowpanDispatchString(t *testing.T) {
	for dispatch, want := range map[LowpanDispatch]string{
		LowpanUnknown: "unknown", LowpanNALP: "NALP", LowpanESC: "ESC", LowpanIPv6: "IPv6", LowpanHC1: "HC1", LowpanBC0: "BC0",
		LowpanIPHC: "IPHC", LowpanMesh: "MESH", LowpanFRAG1: "FRAG1", LowpanFRAGN: "FRAGN", LowpanPage: "page", 99: "dispatch 99",
	} {
		require.Equal(t, want, dispatch.String())
	}
}

func TestLowpanFragment(t *testing.T) {
	for _, test := range []struct {
		name, octets string
		want         LowpanFragment
		printed      string
	}{
		{"the first", "c4e0 0003", LowpanFragment{DatagramSize: 1248, Tag: 3}, "FRAG1 size 1248, tag 0x0003"},
		{"another", "e4e0 0003 0c", LowpanFragment{DatagramSize: 1248, Tag: 3, Offset: 96}, "FRAGN size 1248, tag 0x0003, offset 96"},
		{"the largest datagram's last", "e7ff ffff ff", LowpanFragment{2047, 0xffff, 2040}, "FRAGN size 2047, tag 0xffff, offset 2040"},
		{"of the smallest datagram", "c028 0000", LowpanFragment{DatagramSize: 40}, "FRAG1 size 40, tag 0x0000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got LowpanFragment
			require.NoError(t, got.Parse(unhex(test.octets)))
			require.Equal(t, test.want, got)
			require.Equal(t, test.want.Offset == 0, got.First())
			b := make([]byte, got.Len())
			got.Emit(b)
			require.Equal(t, unhex(test.octets), b)
			require.Equal(t, test.printed, got.String())
		})
	}
}

func TestLowpanFragmentMalformed(t *testing.T) {
	for _, test := range []struct {
		name, octets string
		want         error
	}{
		{"nothing", "", ErrTruncated},
		{"a first one's three octets", "c4e000", ErrTruncated},
		{"another's four octets", "e4e00003", ErrTruncated},
		{"no fragment", "7a33 3a00", ErrLowpanDispatch},
		{"a datagram of 0 octets", "c000 0001", ErrLowpanSize},
		{"a datagram shorter than its header", "c027 0001", ErrLowpanSize},
		{"another of a datagram shorter than its header", "e027 0001 01", ErrLowpanSize},
		{"another at offset 0", "e064 0001 00 00", ErrLowpanOffset},
		{"at the end", "e068 0001 0d", ErrLowpanOffset},
		{"past the end", "e064 0001 ff", ErrLowpanOffset},
		{"over the end", "e064 0001 0c 0000000000", ErrLowpanOffset},
	} {
		t.Run(test.name, func(t *testing.T) {
			var f LowpanFragment
			require.ErrorIs(t, f.Parse(unhex(test.octets)), test.want)
		})
	}
}

func TestLowpanMesh(t *testing.T) {
	extended, other := ExtendedAddr([8]byte{2, 0, 0, 0, 0, 0, 0, 1}), ExtendedAddr([8]byte{2, 0, 0, 0, 0, 0, 0, 2})
	for _, test := range []struct {
		name, octets string
		want         LowpanMeshHeader
	}{
		{"both extended", "85 0200000000000001 0200000000000002", LowpanMeshHeader{5, extended, other}},
		{"originator short", "a1 0001 0200000000000002", LowpanMeshHeader{1, ShortAddr(1), other}},
		{"final destination short", "90 0200000000000001 0002", LowpanMeshHeader{0, extended, ShortAddr(2)}},
		{"both short", "be 0001 0002", LowpanMeshHeader{14, ShortAddr(1), ShortAddr(2)}},
		{"deep", "bf 0f 0001 0002", LowpanMeshHeader{15, ShortAddr(1), ShortAddr(2)}},
		{"as deep as can be", "bf ff 0001 ffff", LowpanMeshHeader{255, ShortAddr(1), BroadcastShortAddr}},
	} {
		t.Run(test.name, func(t *testing.T) {
			octets := unhex(test.octets)
			var got LowpanMeshHeader
			require.NoError(t, got.Parse(octets))
			require.Equal(t, test.want, got)
			b := make([]byte, got.Len())
			got.Emit(b)
			require.Equal(t, octets, b)
			require.Contains(t, got.String(), " > ")

			for n := range octets {
				require.ErrorIs(t, got.Parse(octets[:n]), ErrTruncated, "%d octets", n)
			}
			link := lowpanTestLink()
			n, err := SkipLowpanMesh(append(octets, unhex("50 07 7a33")...), &link)
			require.NoError(t, err)
			require.Equal(t, len(octets)+2, n)
			require.Equal(t, []LinkAddr{got.Origin, got.Dest}, []LinkAddr{link.Src, link.Dst})
		})
	}
	var m LowpanMeshHeader
	require.ErrorIs(t, m.Parse(unhex("7a33")), ErrLowpanDispatch)
}

func TestSkipLowpanMesh(t *testing.T) {
	for _, test := range []struct {
		name, octets string
		n            int
		err          error
	}{
		{"nothing", "", 0, nil},
		{"neither", "7a33", 0, nil},
		{"broadcast alone", "5007 7a33", 2, nil},
		{"mesh alone", "b1 0001 0002 7a33", 5, nil},
		{"few hops said the long way", "bf 01 0001 0002 7a33", 6, nil},
		{"mesh and nothing", "b1 0001 0002", 5, nil},
		{"broadcast without number", "b1 0001 0002 50", 0, ErrTruncated},
		{"mesh that ends early", "b1 0001 00", 0, ErrTruncated},
	} {
		t.Run(test.name, func(t *testing.T) {
			link := lowpanTestLink()
			n, err := SkipLowpanMesh(unhex(test.octets), &link)
			require.ErrorIs(t, err, test.err)
			require.Equal(t, test.n, n)
		})
	}
}

func TestLowpanPrinted(t *testing.T) {
	for _, test := range []struct{ name, octets, want string }{
		{"nothing", "", "6LoWPAN [|6lowpan]"},
		{"another protocol", "00ff", "6LoWPAN NALP 0x00, length 2"},
		{"RFC 4944's compression", "42fb 0102", "6LoWPAN HC1 0x42, length 4"},
		{"a page", "f1 a0", "6LoWPAN page 0xf1, length 2"},
		{"reserved", "43", "6LoWPAN unknown 0x43, length 1"},
		{"no next header", "7a33 3b", "6LoWPAN IPHC TF 11 HLIM 64 SAM 11 DAM 11: " +
			"IP6 fe80::11:2233:4455:660a > fe80::ff:fe00:beef: no next header"},
		{"mesh, broadcast, first fragment", "b1 0001 ffff 5007 c064 0001 7a3b 3b 01 00",
			"6LoWPAN MESH 0x0001 > 0xffff, hops left 1: BC0 seq 7: FRAG1 size 100, tag 0x0001: " +
				"IPHC TF 11 HLIM 64 SAM 11 M DAM 11: IP6 fe80::ff:fe00:1 > ff02::1: no next header"},
		{"another fragment", "e064 0001 05 0000", "6LoWPAN FRAGN size 100, tag 0x0001, offset 40, length 2"},
		{"a fragment outside its datagram", "e064 0001 ff", "6LoWPAN FRAGN size 100, tag 0x0001, offset 2040 [wrong 6LoWPAN fragment offset]"},
		{"uncompressed", "41 6000000000003b40 fe800000000000000000000000000001 fe800000000000000000000000000002",
			"6LoWPAN IPv6: IP6 fe80::1 > fe80::2: no next header"},
		{"contexts", "7cf6 20 3b beef", "6LoWPAN IPHC TF 11 NH HLIM inline CID 2,0 SAC SAM 11 DAC DAM 10 [|6lowpan]"},
		{"UDP without checksum", "7e33 f7 12", "6LoWPAN IPHC TF 11 NH HLIM 64 SAM 11 DAM 11, NHC UDP P 11 C: " +
			"IP6 fe80::11:2233:4455:660a.61617 > fe80::ff:fe00:beef.61618: UDP, length 0"},
		{"extension headers", "7e33 e1 00 e5 00 0000 00000001 e3 06 030000000000 e6 3b 00",
			"6LoWPAN IPHC TF 11 NH HLIM 64 SAM 11 DAM 11, NHC HBH, NHC fragment, NHC routing, NHC DSTOPT: " +
				"IP6 fe80::11:2233:4455:660a > fe80::ff:fe00:beef: HBH frag (0x00000001:0) srcrt (len=0, type=3, segleft=0, cmpri=0, cmpre=0, pad=0) DSTOPT no next header"},
		{"IPv6 in IPv6", "7e33 ee 7a33 3b", "6LoWPAN IPHC TF 11 NH HLIM 64 SAM 11 DAM 11, NHC IPv6, IPHC TF 11 HLIM 64 SAM 11 DAM 11: " +
			"IP6 fe80::11:2233:4455:660a > fe80::ff:fe00:beef: ip-proto-41, length 40"},
		{"unknown compression", "7e33 d0", "6LoWPAN IPHC TF 11 NH HLIM 64 SAM 11 DAM 11, NHC unknown 0xd0 [unknown 6LoWPAN next header compression]"},
		{"a reserved mode", "7a34 3b", "6LoWPAN IPHC TF 11 HLIM 64 SAM 11 DAC DAM 00 [reserved 6LoWPAN compression mode]"},
		{"a mesh header that ends early", "b1 00", "6LoWPAN [|6lowpan]"},
		{"a fragment header that ends early", "c0 64", "6LoWPAN [|6lowpan]"},
		{"one octet of a header", "7a", "6LoWPAN  [|6lowpan]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, LowpanPacket(unhex(test.octets)).Format(lowpanTestLink()))
		})
	}
	require.Equal(t, "6LoWPAN IPHC TF 11 HLIM 64 SAM 11 DAM 11 [elided 6LoWPAN address without a link-layer address]",
		LowpanPacket(unhex("7a33 3b")).String())
}
