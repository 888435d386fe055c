package wire

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Packets of RIOT nodes, captured on ZEP's virtual radio: a border router, fe80::11:2233:4455:660a and 2001:db8::1, advertises
// itself, and a host registers the address that it has made. As their link-layer addresses have 8 octets, the options that
// hold those take 16.
var (
	goldenLowpanRouterAdvertisement = unhex(`
		60000000 00683aff fe80000000000000001122334455660a fe80000000000000001122334455660b
		8600b886 00000708 00000000 00000000
		0102 021122334455660a 000000000000
		2303 0000 0000 0000 20010db8000000000000000000000001
		0304 4040 ffffffff ffffffff 00000000 20010db8000000000000000000000000
		2202 4010 0000 0258 20010db800000000`)

	goldenRegistration = unhex(`
		60000000 00383aff 20010db800000000001122334455660b fe80000000000000001122334455660a
		87002889 00000000 fe80000000000000001122334455660a
		0102 021122334455660b 000000000000
		2102 00 00 00 00 000f 021122334455660b`)

	goldenRegistered = unhex(`
		60000000 00283aff 20010db8000000000000000000000001 20010db800000000001122334455660b
		8800d4a9 c0000000 fe80000000000000001122334455660a
		2102 00 00 00 00 000f 021122334455660b`)
)

var eui64B = [8]byte{0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x0b}

// longROVR is a verifier of 8·n octets.
func longROVR(n int) ROVR {
	v, _ := ROVRFrom(unhex(strings.Repeat("0123456789abcdef", n)))
	return v
}

func TestNDLowpanGolden(t *testing.T) {
	registration := &NDAddressRegistrationRepr{Lifetime: 15 * time.Minute, Owner: EUI64ROVR(eui64B)}
	for _, test := range []struct {
		name   string
		packet []byte
		want   []NDOptionRepr // of the types that are of low-power networks
		print  string         // how the message ends
	}{
		{"router advertisement", goldenLowpanRouterAdvertisement, []NDOptionRepr{
			&NDBorderRouterRepr{Lifetime: NDBorderRouterDefaultLifetime, Router: netip.MustParseAddr("2001:db8::1")},
			&NDContextRepr{Prefix: netip.MustParsePrefix("2001:db8::/64"), Compress: true, Lifetime: 10 * time.Hour},
		}, "border router 2001:db8::1, version 0, lifetime 10000m; " +
			"prefix info 2001:db8::/64, Flags [auto], valid time infinity, pref. time infinity; " +
			"context 0 2001:db8::/64, compress, lifetime 600m, length 104"},
		{"registration", goldenRegistration, []NDOptionRepr{registration},
			"address registration 02:11:22:33:44:55:66:0b, lifetime 15m, success, length 56"},
		{"confirmation of it", goldenRegistered, []NDOptionRepr{registration},
			"ICMP6, neighbor advertisement, tgt is fe80::11:2233:4455:660a, Flags [router, solicited], " +
				"address registration 02:11:22:33:44:55:66:0b, lifetime 15m, success, length 40"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := ParseIPv6(test.packet)
			require.NoError(t, err)
			message, err := ParseICMPv6(p[IPv6HeaderLen:])
			require.NoError(t, err)
			require.True(t, message.VerifyChecksum(p.Src(), p.Dst()))
			require.True(t, strings.HasSuffix(FormatIP(test.packet), test.print), FormatIP(test.packet))
			options := NDOptionsOf(message)
			for option, ok := options.Next(); ok; option, ok = options.Next() {
				if option.Type() < NDOptionAddressRegistration {
					continue
				}
				require.NotEmpty(t, test.want)
				r := ndOptionRepr(option.Type())
				require.NoError(t, r.Parse(option))
				require.Equal(t, test.want[0], r)
				if option.Type() != NDOptionBorderRouter { // which gives the default as nothing
					require.Equal(t, []byte(option), emitted(t, r))
				}
				test.want = test.want[1:]
			}
			require.Empty(t, test.want)
		})
	}
}

func TestNDLowpanOptionsEmitParse(t *testing.T) {
	for _, test := range []struct {
		name   string
		r      NDOptionRepr
		octets string
		print  string
	}{
		{"duplicate address", &NDAddressRegistrationRepr{
			Status: RegistrationDuplicate, Lifetime: time.Hour, Owner: EUI64ROVR(eui64B)},
			"2102 01 00 00 00 003c 021122334455660b",
			"address registration 02:11:22:33:44:55:66:0b, lifetime 60m, duplicate address"},
		{"end of a registration", &NDAddressRegistrationRepr{Owner: EUI64ROVR(eui64B)}, "2102 00 00 00 00 0000 021122334455660b",
			"address registration 02:11:22:33:44:55:66:0b, lifetime 0m, success"},
		{"extended registration", &NDAddressRegistrationRepr{
			Extended: true, TID: 0xf0, Reachable: true, Lifetime: NDMaxLowpanLifetime, Owner: EUI64ROVR(eui64B)},
			"2102 00 00 03 f0 ffff 021122334455660b",
			"address registration 02:11:22:33:44:55:66:0b, lifetime 65535m, tid 240, reachable, success"},
		{"verifier of 128 bits", &NDAddressRegistrationRepr{
			Status: RegistrationMoved, Extended: true, Opaque: 0x1e, Instance: 2, Owner: longROVR(2)},
			"2103 03 1e 09 00 0000 0123456789abcdef 0123456789abcdef",
			"address registration 0123456789abcdef0123456789abcdef, lifetime 0m, tid 0, opaque 2/0x1e, moved"},
		{"verifier of 256 bits", &NDAddressRegistrationRepr{Status: 11, Extended: true, TID: 1, Owner: longROVR(4)},
			"2105 0b 00 01 01 0000" + strings.Repeat("0123456789abcdef", 4),
			"address registration " + strings.Repeat("0123456789abcdef", 4) + ", lifetime 0m, tid 1, unknown status (11)"},
		{"context of 64 bits", &NDContextRepr{
			ID: 15, Prefix: netip.MustParsePrefix("2001:db8:1::/64"), Compress: true, Lifetime: time.Minute},
			"2202 40 1f 0000 0001 20010db800010000", "context 15 2001:db8:1::/64, compress, lifetime 1m"},
		{"context of an address", &NDContextRepr{ID: 1, Prefix: netip.MustParsePrefix("2001:db8::1/128"), Lifetime: time.Hour},
			"2203 80 01 0000 003c 20010db8000000000000000000000001", "context 1 2001:db8::1/128, decompress, lifetime 60m"},
		{"context of no bits, to be forgotten", &NDContextRepr{Prefix: netip.MustParsePrefix("::/0")},
			"2202 00 00 0000 0000 0000000000000000", "context 0 ::/0, decompress, lifetime 0m"},
		{"border router", &NDBorderRouterRepr{Version: 0x12345678, Lifetime: time.Hour, Router: addr6A},
			"2303 5678 1234 003c fdaa0000000000000000000000000001", "border router fdaa::1, version 305419896, lifetime 60m"},
		{"capabilities", &NDCapabilitiesRepr{NDCapabilityExtendedRegistration | NDCapabilityBorderRouter | NDCapabilityRouter},
			"2401 001a 00000000", "capabilities LBE"},
		{"every capability", &NDCapabilitiesRepr{0x3f}, "2401 003f 00000000", "capabilities DLBPEG"},
		{"an unknown capability", &NDCapabilitiesRepr{0x8001}, "2401 8001 00000000", "capabilities G+0x8000"},
		{"no capabilities", &NDCapabilitiesRepr{}, "2401 0000 00000000", "capabilities none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := NDOption(emitted(t, test.r))
			require.Equal(t, unhex(test.octets), []byte(b))
			parsed := ndOptionRepr(b.Type())
			require.NoError(t, parsed.Parse(b))
			require.Equal(t, test.r, parsed)
			require.Equal(t, test.print, parsed.String())
			require.Equal(t, test.print, b.String())
		})
	}
}

func TestNDLowpanOptionsParseErrors(t *testing.T) {
	verifier := "0123456789abcdef"
	for _, test := range []struct{ name, octets string }{
		{"registration without a verifier", "2101 0000 0000 003c"},
		{"long verifier without transaction ID", "2103 0000 0000 003c" + verifier + verifier},
		{"verifier of 40 octets", "2106 0000 0101 003c" + strings.Repeat(verifier, 5)},
		{"context without a prefix", "2201 0010 0000 003c"},
		{"context of 65 bits in 8 octets", "2202 4110 0000 003c 20010db800000000"},
		{"context of 129 bits", "2203 8110 0000 003c 20010db8000000000000000000000000"},
		{"context of 32 octets", "2204 4010 0000 003c" + strings.Repeat(verifier, 3)},
		{"border router of 16 octets", "2302 0000 0000 003c 20010db800000000"},
		{"border router of 32 octets", "2304 0000 0000 003c" + strings.Repeat(verifier, 3)},
		{"capabilities of 16 octets", "2402 0000 00000000" + verifier},
	} {
		t.Run(test.name, func(t *testing.T) {
			options, err := ParseNDOptions(unhex(test.octets))
			require.NoError(t, err)
			option, ok := options.Next()
			require.True(t, ok)
			require.Equal(t, ErrOption, ndOptionRepr(option.Type()).Parse(option))
			require.Contains(t, option.String(), "bad option")
		})
	}
	for _, r := range []NDOptionRepr{
		new(NDAddressRegistrationRepr), new(NDContextRepr), new(NDBorderRouterRepr), new(NDCapabilitiesRepr),
	} {
		require.Equal(t, ErrOption, r.Parse(nil))
		require.Equal(t, ErrOption, r.Parse(NDOption(unhex("fe04"+strings.Repeat("00", 30)))), "another type")
	}
}

func TestNDContextBitsBeyondItsLengthAreIgnored(t *testing.T) {
	var r NDContextRepr
	require.NoError(t, r.Parse(unhex("2202 2010 0000 0001 20010db8ffffffff")))
	require.Equal(t, netip.MustParsePrefix("2001:db8::/32"), r.Prefix)
	require.NoError(t, r.Parse(unhex("2203 4010 0000 0001 20010db800000000 0000000000000001")))
	require.Equal(t, netip.MustParsePrefix("2001:db8::/64"), r.Prefix, "more room than it takes")
}

func TestNDLowpanLifetimesAreRoundedUp(t *testing.T) {
	for lifetime, want := range map[time.Duration]string{
		0: "0000", -time.Hour: "0000", time.Second: "0001", time.Minute: "0001", time.Minute + 1: "0002", 1 << 62: "ffff",
	} {
		r := NDContextRepr{Lifetime: lifetime}
		require.Equal(t, unhex(want), emitted(t, &r)[6:8], "%v", lifetime)
	}
}

func TestROVR(t *testing.T) {
	for _, n := range []int{0, 1, 7, 9, 40} {
		_, ok := ROVRFrom(make([]byte, n))
		require.False(t, ok, "%d octets", n)
	}
	v, ok := ROVRFrom(eui64B[:])
	require.True(t, ok)
	require.Equal(t, EUI64ROVR(eui64B), v)
	require.NotEqual(t, EUI64ROVR([8]byte{}), ROVR{}, "zeros are one all the same")
	require.True(t, ROVR{}.IsZero())
	require.Equal(t, "none", ROVR{}.String())
	require.Equal(t, eui64B[:], v.AppendTo(nil))
	_, ok = longROVR(2).EUI64()
	require.False(t, ok)
}

func TestNDMessageWithOptions(t *testing.T) {
	options := NDOptions{}.Append(&NDAddressRegistrationRepr{Lifetime: 15 * time.Minute, Owner: EUI64ROVR(eui64B)})
	src, dst := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::11:2233:4455:660b")
	message := emitted6(t, &NDMessageWithOptions{
		Message: &NDNeighborAdvertisementRepr{Router: true, Solicited: true, Target: netip.MustParseAddr("fe80::11:2233:4455:660a")},
		Options: options,
	}, src, dst)
	require.Equal(t, goldenRegistered[IPv6HeaderLen:], []byte(message), "as RIOT sends it")
	require.Equal(t, options, NDOptionsOf(message))
	require.Nil(t, NDOptionsOf(message[:20]))
	require.Nil(t, NDOptionsOf(append(message[:24:24], 0, 0, 0, 0, 0, 0, 0, 0)))
	require.Nil(t, NDOptionsOf(unhex("8000 0000 00000000")), "an echo request has none")
}

func TestNDDuplicateAddress(t *testing.T) {
	src, dst := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	for _, test := range []struct {
		name   string
		r      NDDuplicateAddressRepr
		octets string // but for the checksum
		print  string
	}{
		{"request", NDDuplicateAddressRepr{Lifetime: time.Hour, Owner: EUI64ROVR(eui64B), Address: addr6A},
			"9d00 0000 00 00 003c 021122334455660b fdaa0000000000000000000000000001",
			"ICMP6, duplicate address request, fdaa::1 of 02:11:22:33:44:55:66:0b, lifetime 60m, success, length 32"},
		{"confirmation", NDDuplicateAddressRepr{
			Confirmation: true, Status: RegistrationDuplicate, Owner: EUI64ROVR(eui64B), Address: addr6A},
			"9e00 0000 01 00 0000 021122334455660b fdaa0000000000000000000000000001",
			"ICMP6, duplicate address confirmation, fdaa::1 of 02:11:22:33:44:55:66:0b, lifetime 0m, duplicate address, length 32"},
		{"extended request", NDDuplicateAddressRepr{
			Extended: true, TID: 7, Lifetime: time.Hour, Owner: EUI64ROVR(eui64B), Address: addr6A},
			"9d01 0000 00 07 003c 021122334455660b fdaa0000000000000000000000000001",
			"ICMP6, duplicate address request, fdaa::1 of 02:11:22:33:44:55:66:0b, lifetime 60m, tid 7, success, length 32"},
		{"verifier of 192 bits", NDDuplicateAddressRepr{
			Confirmation: true, Status: RegistrationSaturated, Extended: true, TID: 9, Owner: longROVR(3), Address: addr6A},
			"9e03 0000 09 09 0000 0123456789abcdef0123456789abcdef0123456789abcdef fdaa0000000000000000000000000001",
			"ICMP6, duplicate address confirmation, fdaa::1 of 0123456789abcdef0123456789abcdef0123456789abcdef, " +
				"lifetime 0m, tid 9, registry saturated, length 48"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := emitted6(t, &test.r, src, dst)
			want := ICMPv6Packet(unhex(test.octets))
			want.FillChecksum(src, dst)
			require.Equal(t, want, p)
			var r NDDuplicateAddressRepr
			require.NoError(t, r.Parse(p))
			require.Equal(t, test.r, r)
			require.Equal(t, test.print, r.String())
			require.Equal(t, ErrTruncated, r.Parse(p[:len(p)-1]))
			require.Contains(t, p[:len(p)-1].String(), "[|nd]")
		})
	}
	var r NDDuplicateAddressRepr
	for _, test := range []struct{ name, octets string }{
		{"multicast", "9d00 0000 0000 003c 021122334455660b ff020000000000000000000000000001"},
		{"verifier of 40 octets", "9d05 0000 0000 003c" + strings.Repeat("0123456789abcdef", 7)},
		{"another type", "8000 0000 0000 003c 021122334455660b fdaa0000000000000000000000000001"},
	} {
		require.Equal(t, ErrMalformed, r.Parse(unhex(test.octets)), test.name)
	}
	require.Contains(t, ICMPv6Packet(unhex("9d05 0000 0000 003c")).String(), "bad code 0x05")
}
