package wire

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	hardwareA  = HardwareAddr{2, 0, 0, 0, 0, 1}
	hardwareB  = HardwareAddr{2, 0, 0, 0, 0, 2}
	linkLocalA = netip.MustParseAddr("fe80::ff:fe00:1")
)

// ndRepr is what all representations of neighbor discovery messages have.
type ndRepr interface {
	icmpv6Emitter
	Parse(p ICMPv6Packet) error
}

func TestNDISCGolden(t *testing.T) {
	redirect, _, _ := goldenICMPv6(t, goldenRedirect6)
	for _, test := range []struct {
		name         string
		packet       []byte
		parsed, want ndRepr
		print        string
	}{
		{"router solicitation", goldenRouterSolicitation, &NDRouterSolicitationRepr{},
			&NDRouterSolicitationRepr{SourceLinkAddr: hardwareA.LinkAddr()},
			"ICMP6, router solicitation, source link-address 02:00:00:00:00:01, length 16"},
		{"router advertisement", goldenRouterAdvertisement, &NDRouterAdvertisementRepr{},
			&NDRouterAdvertisementRepr{
				HopLimit: 64, Other: true, Preference: NDPreferenceHigh, RouterLifetime: 12 * time.Second,
				Reachable: 30 * time.Second, Retransmit: time.Second,
				Options: NDOptions(goldenRouterAdvertisement[IPv6HeaderLen+16:]),
			},
			"ICMP6, router advertisement, hop limit 64, Flags [other stateful], pref high, router lifetime 12s, " +
				"reachable time 30000ms, retrans timer 1000ms, " +
				"prefix info fdcc::/64, Flags [onlink, auto], valid time 86400s, pref. time 14400s; " +
				"route info fdbb:1::/48, pref=low, lifetime=infinity; " +
				"rdnss lifetime 600s, addr: fdaa::53, addr: fdaa::54; " +
				"dnssl lifetime 600s, domain: example.com., domain: lan.; mtu 1400; " +
				"source link-address 02:00:00:00:00:02, length 160"},
		{"duplicate address detection", goldenDuplicateAddressDetection, &NDNeighborSolicitationRepr{},
			&NDNeighborSolicitationRepr{Target: netip.MustParseAddr("fdcc::ff:fe00:1"), Nonce: unhex("041e17e66b90")},
			"ICMP6, neighbor solicitation, who has fdcc::ff:fe00:1, nonce 041e17e66b90, length 32"},
		{"neighbor solicitation", goldenNeighborSolicitation, &NDNeighborSolicitationRepr{},
			&NDNeighborSolicitationRepr{Target: addr6B, SourceLinkAddr: hardwareA.LinkAddr()},
			"ICMP6, neighbor solicitation, who has fdaa::2, source link-address 02:00:00:00:00:01, length 32"},
		{"neighbor advertisement", goldenNeighborAdvertisement, &NDNeighborAdvertisementRepr{},
			&NDNeighborAdvertisementRepr{Router: true, Solicited: true, Override: true, Target: addr6B, TargetLinkAddr: hardwareB.LinkAddr()},
			"ICMP6, neighbor advertisement, tgt is fdaa::2, Flags [router, solicited, override], " +
				"destination link-address 02:00:00:00:00:02, length 32"},
		{"redirect", goldenRedirect6, &NDRedirectRepr{},
			&NDRedirectRepr{
				Target: netip.MustParseAddr("fe80::3"), Destination: netip.MustParseAddr("fdbb::9"),
				TargetLinkAddr: HardwareAddr{2, 0, 0, 0, 0, 3}.LinkAddr(), Quote: redirect[56:160],
			},
			"ICMP6, redirect, fdbb::9 to fe80::3, destination link-address 02:00:00:00:00:03; redirected header 104 octets, length 160"},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.EqualValues(t, NDHopLimit, IPv6Packet(test.packet).HopLimit())
			p, src, dst := goldenICMPv6(t, test.packet)
			require.NoError(t, test.parsed.Parse(p))
			require.Equal(t, test.want, test.parsed)
			require.Equal(t, test.print, p.String())
			require.Equal(t, test.print, test.parsed.String())
			// Emitted, it is the peer's, octet by octet.
			require.Equal(t, p, emitted6(t, test.parsed, src, dst))
		})
	}
}

func TestNDISCEmitParse(t *testing.T) {
	for _, test := range []struct {
		name       string
		r, parsed  ndRepr
		wantLength int
	}{
		{"router solicitation without an address", &NDRouterSolicitationRepr{}, &NDRouterSolicitationRepr{}, 8},
		{"router advertisement of nothing", &NDRouterAdvertisementRepr{Options: NDOptions{}}, &NDRouterAdvertisementRepr{}, 16},
		{"router advertisement of everything", &NDRouterAdvertisementRepr{
			HopLimit: 255, Managed: true, Other: true, Preference: NDPreferenceLow, RouterLifetime: 65535 * time.Second,
			Reachable: (1<<32 - 1) * time.Millisecond, Retransmit: (1<<32 - 1) * time.Millisecond,
			Options: NDOptions(nil).Append(&NDMTURepr{MTU: 1500}).Append(&NDLinkAddrRepr{Addr: hardwareA.LinkAddr()}),
		}, &NDRouterAdvertisementRepr{}, 32},
		{"neighbor solicitation with everything", &NDNeighborSolicitationRepr{
			Target: addr6A, SourceLinkAddr: hardwareB.LinkAddr(), Nonce: make([]byte, 14),
		}, &NDNeighborSolicitationRepr{}, 48},
		{"neighbor advertisement without an address", &NDNeighborAdvertisementRepr{Target: addr6A, Solicited: true},
			&NDNeighborAdvertisementRepr{}, 24},
		{"redirect to the destination itself", &NDRedirectRepr{Target: addr6A, Destination: addr6A}, &NDRedirectRepr{}, 40},
		{"redirect with a quote that is padded", &NDRedirectRepr{Target: linkLocalA, Destination: addr6A, Quote: goldenUDP6},
			&NDRedirectRepr{}, 40 + 8 + 56},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := emitted6(t, test.r, addr6A, addr6B)
			require.Len(t, p, test.wantLength)
			require.NoError(t, test.parsed.Parse(p))
			require.Equal(t, test.r, test.parsed)
		})
	}
}

func TestNDISCParseErrors(t *testing.T) {
	const (
		target    = "fdaa0000000000000000000000000002"
		multicast = "ff020000000000000000000000000001"
		linkLocal = "fe800000000000000000000000000003"
	)
	for _, test := range []struct {
		name   string
		r      ndRepr
		octets string
		err    error
	}{
		{"a code", &NDRouterSolicitationRepr{}, "8501 0000 00000000", ErrMalformed},
		{"another type", &NDRouterSolicitationRepr{}, "8600 0000 00000000 0000000000000000", ErrMalformed},
		{"option of length 0", &NDRouterSolicitationRepr{}, "8500 0000 00000000 0100 000000000000", ErrMalformed},
		{"option of length 0, unknown and last", &NDRouterSolicitationRepr{},
			"8500 0000 00000000 0101 020000000001 fe00 000000000000", ErrMalformed},
		{"option beyond the end", &NDRouterSolicitationRepr{}, "8500 0000 00000000 0102 020000000001", ErrTruncated},
		{"seven octets of an option", &NDRouterSolicitationRepr{}, "8500 0000 00000000 0101 0200000000", ErrTruncated},
		{"address of 22 octets", &NDRouterSolicitationRepr{}, "8500 0000 00000000 0103 02000000000100000000000000000000000000000000", ErrOption},
		{"unknown option", &NDRouterSolicitationRepr{}, "8500 0000 00000000 fe01 000000000000", nil},

		{"advertisement cut short", &NDRouterAdvertisementRepr{}, "8600 0000 00000000 00000000000000", ErrTruncated},
		{"advertisement with an option of length 0", &NDRouterAdvertisementRepr{},
			"8600 0000 00000000 0000000000000000 0500 000000000000", ErrMalformed},
		{"advertisement with a malformed option", &NDRouterAdvertisementRepr{},
			"8600 0000 00000000 0000000000000000 0301 000000000000", nil},

		{"solicitation cut short", &NDNeighborSolicitationRepr{}, "8700 0000 00000000" + target[2:], ErrTruncated},
		{"solicitation for a multicast address", &NDNeighborSolicitationRepr{}, "8700 0000 00000000" + multicast, ErrMalformed},
		{"solicitation with a target's address", &NDNeighborSolicitationRepr{},
			"8700 0000 00000000" + target + "0201 020000000001", nil},
		{"solicitation with an address of 22 octets", &NDNeighborSolicitationRepr{},
			"8700 0000 00000000" + target + "0103 02000000000100000000000000000000000000000000", ErrOption},

		{"neighbor advertisement cut short", &NDNeighborAdvertisementRepr{}, "8800 0000 00000000" + target[2:], ErrTruncated},
		{"neighbor advertisement of a multicast address", &NDNeighborAdvertisementRepr{},
			"8800 0000 00000000" + multicast, ErrMalformed},
		{"neighbor advertisement with an address of 22 octets", &NDNeighborAdvertisementRepr{},
			"8800 0000 00000000" + target + "0203 02000000000100000000000000000000000000000000", ErrOption},

		{"redirect cut short", &NDRedirectRepr{}, "8900 0000 00000000" + linkLocal + target[2:], ErrTruncated},
		{"redirect of a multicast address", &NDRedirectRepr{}, "8900 0000 00000000" + linkLocal + multicast, ErrMalformed},
		{"redirect to neither router nor destination", &NDRedirectRepr{},
			"8900 0000 00000000 fdaa0000000000000000000000000009" + target, ErrMalformed},
		{"redirect to the destination", &NDRedirectRepr{}, "8900 0000 00000000" + target + target, nil},
		{"redirect with an address of 22 octets", &NDRedirectRepr{},
			"8900 0000 00000000" + linkLocal + target + "0203 02000000000100000000000000000000000000000000", ErrOption},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := ParseICMPv6(unhex(test.octets))
			require.NoError(t, err)
			require.Equal(t, test.err, test.r.Parse(p))
		})
	}
}

func TestNDRouterAdvertisementPreference(t *testing.T) {
	for _, test := range []struct {
		name, octets string
		want         NDPreference
	}{
		{"high", "8600 0000 40080001", NDPreferenceHigh},
		{"medium", "8600 0000 40000001", NDPreferenceMedium},
		{"low", "8600 0000 40180001", NDPreferenceLow},
		{"reserved", "8600 0000 40100001", NDPreferenceMedium},
		{"of what is not a default router", "8600 0000 40080000", NDPreferenceMedium},
	} {
		t.Run(test.name, func(t *testing.T) {
			var r NDRouterAdvertisementRepr
			require.NoError(t, r.Parse(unhex(test.octets+"0000000000000000")))
			require.Equal(t, test.want, r.Preference)
		})
	}
}

func TestNDRouterAdvertisementKeepsUnknownOptions(t *testing.T) {
	octets := unhex("8600 0000 40000708 00000000 00000000 fe01 112233445566 0501 0000 00000578")
	ICMPv6Packet(octets).FillChecksum(addr6A, addr6B)
	var r NDRouterAdvertisementRepr
	require.NoError(t, r.Parse(octets))
	unknown, ok := r.Options.Find(0xfe)
	require.True(t, ok)
	require.Equal(t, unhex("112233445566"), unknown.Data())
	require.Equal(t, ICMPv6Packet(octets), emitted6(t, &r, addr6A, addr6B))
}

func TestNDISCClampsTimes(t *testing.T) {
	r := NDRouterAdvertisementRepr{RouterLifetime: 24 * time.Hour, Reachable: 2000 * time.Hour, Retransmit: -time.Second}
	p := emitted6(t, &r, addr6A, addr6B)
	require.Equal(t, unhex("0000ffff ffffffff 00000000"), []byte(p[4:]))
}

func TestFormatNDISC(t *testing.T) {
	for _, test := range []struct{ name, octets, want string }{
		{"cut short", "8700 0000 00000000 fdaa", "ICMP6, neighbor solicitation [|nd], length 10"},
		{"option cut short", "8500 0000 00000000 0101 0200", "ICMP6, router solicitation, [|nd opt], length 12"},
		{"option of length 0", "8500 0000 00000000 fe01 000000000000 0100 000000000000",
			"ICMP6, router solicitation, unknown option (254), length 8; [|nd opt], length 24"},
		{"bad option", "8500 0000 00000000 0301 000102030405",
			"ICMP6, router solicitation, bad option (3), length 8: 000102030405, length 16"},
		{"no flags", "8600 0000 00100000 00000000 00000000",
			"ICMP6, router advertisement, hop limit 0, Flags [none], pref reserved, router lifetime 0s, " +
				"reachable time 0ms, retrans timer 0ms, length 16"},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, ICMPv6Packet(unhex(test.octets)).String())
		})
	}
}

func TestNDISCAllocatesNothing(t *testing.T) {
	for name, packet := range map[string][]byte{
		"router solicitation": goldenRouterSolicitation, "router advertisement": goldenRouterAdvertisement,
		"duplicate address detection": goldenDuplicateAddressDetection, "neighbor solicitation": goldenNeighborSolicitation,
		"neighbor advertisement": goldenNeighborAdvertisement, "redirect": goldenRedirect6,
	} {
		t.Run(name, func(t *testing.T) {
			p := ICMPv6Packet(append([]byte(nil), packet[IPv6HeaderLen:]...))
			var scratch [ndPrefixLen]byte
			requireNoAllocs(t, func() {
				var err error
				switch p.Type() {
				case ICMPv6RouterSolicitation:
					var r NDRouterSolicitationRepr
					err = r.Parse(p)
					r.Emit(p, addr6A, addr6B)
				case ICMPv6RouterAdvertisement:
					var r NDRouterAdvertisementRepr
					err = r.Parse(p)
					r.Emit(p, addr6A, addr6B)
					for option, ok := r.Options.Next(); ok; option, ok = r.Options.Next() {
						var prefix NDPrefixInformationRepr
						if prefix.Parse(option) == nil {
							prefix.Emit(scratch[:])
						}
						var route NDRouteInformationRepr
						if route.Parse(option) == nil {
							route.Emit(scratch[:])
						}
					}
				case ICMPv6NeighborSolicitation:
					var r NDNeighborSolicitationRepr
					err = r.Parse(p)
					r.Emit(p, addr6A, addr6B)
				case ICMPv6NeighborAdvertisement:
					var r NDNeighborAdvertisementRepr
					err = r.Parse(p)
					r.Emit(p, addr6A, addr6B)
				case ICMPv6Redirect:
					var r NDRedirectRepr
					err = r.Parse(p)
					r.Emit(p, addr6A, addr6B)
				}
				if err != nil {
					panic("refused")
				}
			})
		})
	}
}

func FuzzNDISC(f *testing.F) {
	for _, packet := range goldenPackets6 {
		if packet[6] == protocolICMPv6 && packet[7] == NDHopLimit {
			f.Add(packet[IPv6HeaderLen:])
		}
	}
	for _, packet := range [][]byte{goldenLowpanRouterAdvertisement, goldenRegistration, goldenRegistered} {
		f.Add(packet[IPv6HeaderLen:])
	}
	f.Add(unhex("9d01 0000 0007 003c 021122334455660b fdaa0000000000000000000000000001"))
	f.Add(unhex("8600 0000 00000000 00000000 00000000 1f02 0000 00000258 ff61626300000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseICMPv6(b)
		if err != nil {
			return
		}
		_ = p.String()
		fuzzNDOptions(t, NDOptionsOf(p))
		switch p.Type() {
		case ICMPv6DuplicateAddressRequest, ICMPv6DuplicateAddressConfirmation:
			fuzzND(t, p, &NDDuplicateAddressRepr{}, &NDDuplicateAddressRepr{})
		case ICMPv6RouterSolicitation:
			fuzzND(t, p, &NDRouterSolicitationRepr{}, &NDRouterSolicitationRepr{})
		case ICMPv6RouterAdvertisement:
			r := &NDRouterAdvertisementRepr{}
			fuzzND(t, p, r, &NDRouterAdvertisementRepr{})
			fuzzNDOptions(t, r.Options)
		case ICMPv6NeighborSolicitation:
			fuzzND(t, p, &NDNeighborSolicitationRepr{}, &NDNeighborSolicitationRepr{})
		case ICMPv6NeighborAdvertisement:
			fuzzND(t, p, &NDNeighborAdvertisementRepr{}, &NDNeighborAdvertisementRepr{})
		case ICMPv6Redirect:
			// A quote that is not a packet keeps the zeros that a length of a multiple of 8 needs: it has that length.
			fuzzND(t, p, &NDRedirectRepr{}, &NDRedirectRepr{})
		}
	})
}

// fuzzND checks that what parses is emitted, and parses back to the same.
func fuzzND(t *testing.T, p ICMPv6Packet, r, again ndRepr) {
	if r.Parse(p) != nil {
		return
	}
	_ = r.String()
	require.NoError(t, again.Parse(emitted6(t, r, addr6A, addr6B)))
	require.Equal(t, r, again)
}
