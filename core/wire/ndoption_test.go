package wire

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ndOptionRepr returns an empty representation for options of the type, nil for a type not known.
func ndOptionRepr(kind uint8) NDOptionRepr {
	switch kind {
	case NDOptionSourceLinkAddr, NDOptionTargetLinkAddr:
		return new(NDLinkAddrRepr)
	case NDOptionPrefixInformation:
		return new(NDPrefixInformationRepr)
	case NDOptionRedirectedHeader:
		return new(NDRedirectedHeaderRepr)
	case NDOptionMTU:
		return new(NDMTURepr)
	case NDOptionNonce:
		return new(NDNonceRepr)
	case NDOptionRouteInformation:
		return new(NDRouteInformationRepr)
	case NDOptionRDNSS:
		return new(NDRDNSSRepr)
	case NDOptionDNSSL:
		return new(NDDNSSLRepr)
	case NDOptionAddressRegistration:
		return new(NDAddressRegistrationRepr)
	case NDOptionContext:
		return new(NDContextRepr)
	case NDOptionBorderRouter:
		return new(NDBorderRouterRepr)
	case NDOptionCapabilities:
		return new(NDCapabilitiesRepr)
	}
	return nil
}

func TestNDOptionsGolden(t *testing.T) {
	options, err := ParseNDOptions(goldenRouterAdvertisement[IPv6HeaderLen+16:])
	require.NoError(t, err)
	want := []NDOptionRepr{
		&NDPrefixInformationRepr{
			Prefix: netip.MustParsePrefix("fdcc::/64"), OnLink: true, Autonomous: true,
			ValidLifetime: 24 * time.Hour, PreferredLifetime: 4 * time.Hour,
		},
		&NDRouteInformationRepr{
			Prefix: netip.MustParsePrefix("fdbb:1::/48"), Preference: NDPreferenceLow, Lifetime: NDInfiniteLifetime,
		},
		&NDRDNSSRepr{
			Lifetime: 10 * time.Minute,
			Servers:  []netip.Addr{netip.MustParseAddr("fdaa::53"), netip.MustParseAddr("fdaa::54")},
		},
		&NDDNSSLRepr{Lifetime: 10 * time.Minute, Domains: []string{"example.com", "lan"}},
		&NDMTURepr{MTU: 1400},
		&NDLinkAddrRepr{Addr: hardwareB.LinkAddr()},
	}
	for option, ok := options.Next(); ok; option, ok = options.Next() {
		require.NotEmpty(t, want)
		r := ndOptionRepr(option.Type())
		require.NoError(t, r.Parse(option))
		require.Equal(t, want[0], r)
		if option.Type() != NDOptionRouteInformation { // radvd pads its prefix to 16 octets
			require.Equal(t, []byte(option), emitted(t, r))
		}
		want = want[1:]
	}
	require.Empty(t, want)
}

func TestNDOptionsEmitParse(t *testing.T) {
	for _, test := range []struct {
		name   string
		r      NDOptionRepr
		octets string
		print  string
	}{
		{"source link-layer address", &NDLinkAddrRepr{Addr: hardwareA.LinkAddr()}, "0101 020000000001", "source link-address 02:00:00:00:00:01"},
		{"source extended address", &NDLinkAddrRepr{Addr: ExtendedAddr([8]byte{2, 0, 0, 0, 0, 0, 0, 1})}, "0102 0200000000000001 000000000000",
			"source link-address 02:00:00:00:00:00:00:01"},
		{"target link-layer address", &NDLinkAddrRepr{Target: true, Addr: hardwareA.LinkAddr()}, "0201 020000000001",
			"destination link-address 02:00:00:00:00:01"},
		{"prefix on the link", &NDPrefixInformationRepr{
			Prefix: netip.MustParsePrefix("2001:db8::/33"), OnLink: true, ValidLifetime: NDInfiniteLifetime,
			PreferredLifetime: NDInfiniteLifetime,
		}, "0304 2180 ffffffff ffffffff 00000000 20010db8000000000000000000000000",
			"prefix info 2001:db8::/33, Flags [onlink], valid time infinity, pref. time infinity"},
		{"prefix for addresses", &NDPrefixInformationRepr{
			Prefix: netip.MustParsePrefix("2001:db8::/128"), Autonomous: true, ValidLifetime: time.Second,
		}, "0304 8040 00000001 00000000 00000000 20010db8000000000000000000000000",
			"prefix info 2001:db8::/128, Flags [auto], valid time 1s, pref. time 0s"},
		{"prefix of everything", &NDPrefixInformationRepr{Prefix: netip.MustParsePrefix("::/0")},
			"0304 0000 00000000 00000000 00000000 00000000000000000000000000000000",
			"prefix info ::/0, Flags [none], valid time 0s, pref. time 0s"},
		{"redirected header, not a packet", &NDRedirectedHeaderRepr{Quote: unhex("0102030405060708")},
			"0402 0000 00000000 0102030405060708", "redirected header 8 octets"},
		{"redirected header, empty", &NDRedirectedHeaderRepr{Quote: []byte{}}, "0401 0000 00000000", "redirected header 0 octets"},
		{"MTU", &NDMTURepr{MTU: 1280}, "0501 0000 00000500", "mtu 1280"},
		{"nonce", &NDNonceRepr{Nonce: unhex("010203040506")}, "0e01 010203040506", "nonce 010203040506"},
		{"default route", &NDRouteInformationRepr{Prefix: netip.MustParsePrefix("::/0"), Preference: NDPreferenceHigh},
			"1801 0008 00000000", "route info ::/0, pref=high, lifetime=0s"},
		{"route to 64 bits", &NDRouteInformationRepr{Prefix: netip.MustParsePrefix("2001:db8::/64"), Lifetime: time.Second},
			"1802 4000 00000001 20010db800000000", "route info 2001:db8::/64, pref=medium, lifetime=1s"},
		{"route to 65 bits", &NDRouteInformationRepr{
			Prefix: netip.MustParsePrefix("2001:db8:0:0:8000::/65"), Preference: NDPreferenceLow},
			"1803 4118 00000000 20010db8000000008000000000000000", "route info 2001:db8:0:0:8000::/65, pref=low, lifetime=0s"},
		{"DNS server", &NDRDNSSRepr{Lifetime: time.Hour, Servers: []netip.Addr{addr6A}},
			"1903 0000 00000e10 fdaa0000000000000000000000000001", "rdnss lifetime 3600s, addr: fdaa::1"},
		{"DNS search list", &NDDNSSLRepr{Domains: []string{"a", "b-c.d", "e"}},
			"1f03 0000 00000000 0161 00 03622d63 0164 00 0165 00 000000", "dnssl lifetime 0s, domain: a., domain: b-c.d., domain: e."},
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

func TestNDOptionsParseErrors(t *testing.T) {
	address := "fdaa0000000000000000000000000001"
	for _, test := range []struct{ name, octets string }{
		{"link-layer address of 22 octets", "0103 02000000000100000000000000000000000000000000"},
		{"prefix of 24 octets", "0303 4000 00000000 00000000 00000000 0000000000000000"},
		{"prefix of 129 bits", "0304 8100 00000000 00000000 00000000" + address},
		{"prefix preferred longer than valid", "0304 4000 00000001 00000002 00000000" + address},
		{"MTU of 16 octets", "0502 0000 00000500 0000000000000000"},
		{"route of 129 bits", "1803 8100 00000000" + address},
		{"route of 65 bits in 16 octets", "1802 4100 00000000 fdaa000000000000"},
		{"route of 1 bit in 8 octets", "1801 0100 00000000"},
		{"route of 32 octets", "1804 0000 00000000 0000000000000000" + address},
		{"route of reserved preference", "1801 0010 00000000"},
		{"no DNS server", "1901 0000 00000000"},
		{"half a DNS server", "1902 0000 00000000 fdaa000000000000"},
		{"a DNS server and a half", "1904 0000 00000000" + address + "fdaa000000000000"},
		{"no domain", "1f01 0000 00000000"},
		{"padding alone", "1f02 0000 00000000 0000000000000000"},
		{"domain without an end", "1f02 0000 00000000 0761626364656667"},
		{"label beyond the end", "1f02 0000 00000000 0861626364656667"},
		{"label of 64 octets", "1f0a 0000 00000000 40" + strings.Repeat("61", 64) + "00000000000000"},
		{"compressed domain", "1f02 0000 00000000 0161c00800000000"},
		{"a dot in a label", "1f02 0000 00000000 03612e6200000000"},
		{"a newline in a label", "1f02 0000 00000000 03610a6200000000"},
		{"a blank in a label", "1f02 0000 00000000 0361206200000000"},
		{"an octet beyond ASCII in a label", "1f02 0000 00000000 0361e96200000000"},
		{"domain of 254 characters", "1f21 0000 00000000" + strings.Repeat("3f"+strings.Repeat("61", 63), 3) + "3e" + strings.Repeat("61", 62) + "00"},
	} {
		t.Run(test.name, func(t *testing.T) {
			options, err := ParseNDOptions(unhex(test.octets))
			require.NoError(t, err)
			option, ok := options.Next()
			require.True(t, ok)
			require.Empty(t, options)
			require.Equal(t, ErrOption, ndOptionRepr(option.Type()).Parse(option))
			require.Contains(t, option.String(), "bad option")
		})
	}
	for _, r := range []NDOptionRepr{
		new(NDLinkAddrRepr), new(NDPrefixInformationRepr), new(NDRedirectedHeaderRepr), new(NDMTURepr),
		new(NDNonceRepr), new(NDRouteInformationRepr), new(NDRDNSSRepr), new(NDDNSSLRepr),
	} {
		require.Equal(t, ErrOption, r.Parse(nil))
		require.Equal(t, ErrOption, r.Parse(NDOption(unhex("fe04"+strings.Repeat("00", 30)))), "another type")
	}
}

func TestNDPrefixBitsBeyondItsLengthAreIgnored(t *testing.T) {
	var r NDPrefixInformationRepr
	require.NoError(t, r.Parse(unhex("0304 4000 00000000 00000000 00000000 20010db8000000010000000000000009")))
	require.Equal(t, netip.MustParsePrefix("2001:db8:0:1::/64"), r.Prefix)
	unmasked := NDPrefixInformationRepr{Prefix: netip.MustParsePrefix("2001:db8:0:1::9/64")}
	require.Zero(t, emitted(t, &unmasked)[31])
	zero := NDPrefixInformationRepr{}
	require.Zero(t, emitted(t, &zero)[2], "the zero Prefix is ::/0")
}

func TestNDPreferredLifetimeNeverExceedsValid(t *testing.T) {
	r := NDPrefixInformationRepr{ValidLifetime: time.Second, PreferredLifetime: time.Hour}
	require.Equal(t, unhex("00000001 00000001"), emitted(t, &r)[4:12])
}

func TestNDRedirectedHeaderDropsPadding(t *testing.T) {
	r := NDRedirectedHeaderRepr{Quote: goldenUDP6} // 54 octets
	b := emitted(t, &r)
	require.Len(t, b, 8+56)
	var parsed NDRedirectedHeaderRepr
	require.NoError(t, parsed.Parse(b))
	require.Equal(t, r, parsed)

	r.Quote = make([]byte, 5000)
	require.Len(t, emitted(t, &r), 2040)
}

func TestNDRDNSSBounds(t *testing.T) {
	r := NDRDNSSRepr{Servers: make([]netip.Addr, 200)}
	b := emitted(t, &r)
	require.Len(t, b, 8+127*16)
	var parsed NDRDNSSRepr
	require.NoError(t, parsed.Parse(b))
	require.Len(t, parsed.Servers, 127)
}

func TestNDDNSSLEmitsLegalNamesOnly(t *testing.T) {
	long := strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("a", 61) // 253 characters
	r := NDDNSSLRepr{Domains: []string{
		"", ".", "a..b", "a.", ".a", "a b", "a\nb", "é", strings.Repeat("a", 64), long + "a", "ok", long,
	}}
	var parsed NDDNSSLRepr
	require.NoError(t, parsed.Parse(emitted(t, &r)))
	require.Equal(t, []string{"ok", long}, parsed.Domains)

	r.Domains = []string{long, long, long, long, long, long, long, long, "fits"} // the eighth does not
	require.NoError(t, parsed.Parse(emitted(t, &r)))
	require.Equal(t, append(r.Domains[:7:7], "fits"), parsed.Domains)
}

func TestNDNoncePads(t *testing.T) {
	for n, want := range map[int]int{0: 8, 1: 8, 6: 8, 7: 16, 14: 16, 5000: 2040} {
		r := NDNonceRepr{Nonce: make([]byte, n)}
		require.Len(t, emitted(t, &r), want)
	}
}

func TestNDOptionsStopAtWhatIsNotAnOption(t *testing.T) {
	options := NDOptions(unhex("0501 0000 00000500 0500 0000 00000500"))
	_, ok := options.Next()
	require.True(t, ok)
	_, ok = options.Next()
	require.False(t, ok)
	_, ok = options.Find(NDOptionNonce)
	require.False(t, ok)
	require.Equal(t, "[|nd opt]", options.String())
	require.Equal(t, "[|nd opt]", NDOption(nil).String())
	require.Empty(t, NDOptions(nil).String())
}

// fuzzNDOptions checks that every option that parses is emitted, and parses back to the same.
func fuzzNDOptions(t *testing.T, options NDOptions) {
	_ = options.String()
	for option, ok := options.Next(); ok; option, ok = options.Next() {
		r := ndOptionRepr(option.Type())
		if r == nil || r.Parse(option) != nil {
			continue
		}
		again := ndOptionRepr(option.Type())
		require.NoError(t, again.Parse(emitted(t, r)))
		require.Equal(t, r, again)
	}
}
