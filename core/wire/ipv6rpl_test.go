package wire

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRPLPacketInfo(t *testing.T) {
	for _, test := range []struct {
		name   string
		r      RPLPacketInfoRepr
		octets string
		print  string
	}{
		{"up", RPLPacketInfoRepr{Instance: 1, SenderRank: 512}, "6304 00 01 0200", "rpl up,instance:1,rank:512"},
		{"down", RPLPacketInfoRepr{Skip: true, Down: true, Instance: 0x80, SenderRank: 1}, "2304 80 80 0001", "rpl down,instance:128,rank:1"},
		{"errors", RPLPacketInfoRepr{RankError: true, ForwardingError: true}, "6304 60 00 0000",
			"rpl up,rank-error,forwarding-error,instance:0,rank:0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := emitted(t, &test.r)
			require.Equal(t, unhex(test.octets), b)
			header := IPv6OptionsRepr{NextHeader: protocolUDP, Options: b}
			require.Equal(t, 8, header.Len(), "no padding")
			p, err := ParseIPv6Options(emitted(t, &header))
			require.NoError(t, err)
			walk := p.Options()
			option, ok := walk.Next()
			require.True(t, ok)
			var parsed RPLPacketInfoRepr
			require.NoError(t, parsed.Parse(option))
			require.Equal(t, test.r, parsed)
			require.Equal(t, test.print, parsed.String())
			require.Equal(t, "opts (("+test.print+"))", p.String())
			require.Equal(t, test.r.Skip, option.Action() == IPv6OptionSkip)
		})
	}
	var r RPLPacketInfoRepr
	require.Equal(t, ErrOption, r.Parse(IPv6Option{Type: IPv6OptionRPL, Data: make([]byte, 3)}))
	require.Equal(t, ErrOption, r.Parse(IPv6Option{Type: IPv6OptionRouterAlert, Data: make([]byte, 4)}))
	require.NoError(t, r.Parse(IPv6Option{Type: IPv6OptionRPL, Data: make([]byte, 9)}), "with sub-TLVs")
}

// TestRPLSourceRoute emits and parses routes; those of fd00::2 and fd00::301 are smoltcp's, from Contiki-NG's nodes.
func TestRPLSourceRoute(t *testing.T) {
	for _, test := range []struct {
		name   string
		r      RPLSourceRouteRepr
		octets string
		print  string
	}{
		{"full addresses", RPLSourceRouteRepr{NextHeader: protocolICMPv6, SegmentsLeft: 2,
			Destination: netip.MustParseAddr("2001:db8::1"), Addresses: addrs("fd00::2", "fd00::301")},
			"3a 04 03 02 00 00 0000 fd000000000000000000000000000002 fd000000000000000000000000000301",
			"srcrt (len=4, type=3, segleft=2, cmpri=0, cmpre=0, pad=0, [0]fd000000000000000000000000000002, [1]fd000000000000000000000000000301)"},
		{"as short as can be", RPLSourceRouteRepr{NextHeader: protocolUDP, SegmentsLeft: 2,
			Destination: netip.MustParseAddr("fd00::1"), Addresses: addrs("fd00::2", "fd00::301")},
			"11 01 03 02 fe 50 0000 02 0301 0000000000", "srcrt (len=1, type=3, segleft=2, cmpri=15, cmpre=14, pad=5, [0]02, [1]0301)"},
		{"one address, of the same prefix", RPLSourceRouteRepr{SegmentsLeft: 1,
			Destination: netip.MustParseAddr("2001:db8::1:2:3:4"), Addresses: addrs("2001:db8::5:6:7:8")},
			"00 01 03 01 99 10 0000 05000600070008 00", "srcrt (len=1, type=3, segleft=1, cmpri=9, cmpre=9, pad=1, [0]05000600070008)"},
		{"the last is another prefix's", RPLSourceRouteRepr{SegmentsLeft: 1,
			Destination: netip.MustParseAddr("2001:db8::1"), Addresses: addrs("2001:db8::2", "2001:db8::3", "3fff::1")},
			"00 03 03 01 f0 60 0000 02 03 3fff0000000000000000000000000001 000000000000",
			"srcrt (len=3, type=3, segleft=1, cmpri=15, cmpre=0, pad=6, [0]02, [1]03, [2]3fff0000000000000000000000000001)"},
		{"the last is nearer to the destination than to the others", RPLSourceRouteRepr{SegmentsLeft: 2,
			Destination: netip.MustParseAddr("2001:db8::1:1"), Addresses: addrs("2001:db8::2:2", "2001:db8::1:3")},
			"00 01 03 02 dd 20 0000 020002 010003 0000", "srcrt (len=1, type=3, segleft=2, cmpri=13, cmpre=13, pad=2, [0]020002, [1]010003)"},
		{"no address", RPLSourceRouteRepr{Destination: netip.MustParseAddr("2001:db8::1")}, "00 00 03 00 00 00 0000",
			"srcrt (len=0, type=3, segleft=0, cmpri=0, cmpre=0, pad=0)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := emitted(t, &test.r)
			require.Equal(t, unhex(test.octets), b)
			p, err := ParseRPLSourceRoute(b)
			require.NoError(t, err)
			var parsed RPLSourceRouteRepr
			require.NoError(t, parsed.Parse(p, test.r.Destination))
			require.Equal(t, test.r, parsed)
			require.Equal(t, test.print, p.String())
			require.Equal(t, test.print, parsed.String())
			require.Equal(t, test.print, IPv6RoutingPacket(p).String(), "nested in a packet")
		})
	}
}

func TestRPLSourceRouteIsFollowed(t *testing.T) {
	hops := addrs("2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::1:4")
	dst, r := RPLSourceRoute(protocolUDP, hops)
	p, err := ParseRPLSourceRoute(emitted(t, &r))
	require.NoError(t, err)
	require.Equal(t, hops[0], dst)
	visited := []netip.Addr{dst}
	for p.SegmentsLeft() > 0 {
		dst, err = p.Advance(dst, func(a netip.Addr) bool { return a == visited[len(visited)-1] })
		require.NoError(t, err)
		visited = append(visited, dst)
	}
	require.Equal(t, hops, visited)
	next, err := p.Advance(dst, nil)
	require.NoError(t, err)
	require.False(t, next.IsValid(), "there is nothing left to visit")
	var back RPLSourceRouteRepr
	require.NoError(t, back.Parse(p, hops[2]))
	require.Equal(t, hops[:3], back.Addresses, "the header has become the way that the packet came")

	dst, r = RPLSourceRoute(protocolUDP, hops[:1])
	require.Equal(t, hops[0], dst)
	require.Empty(t, r.Addresses)
}

func TestRPLSourceRouteRefusals(t *testing.T) {
	dst := netip.MustParseAddr("2001:db8::1")
	for _, test := range []struct {
		name, octets string
		want         error
	}{
		{"seven octets", "1101 0302 fe50 00", ErrTruncated},
		{"longer than there are octets", "1102 0302 fe50 0000 02 0301 0000000000", ErrLength},
		{"another type", "1101 0402 fe50 0000 02 0301 0000000000", ErrMalformed},
		{"padding alone", "1100 0300 0010 0000", ErrLength},
		{"more padding than octets", "1101 0302 fef0 0000 02 0301 0000000000", ErrLength},
		{"shorter than one address", "1101 0301 0000 0000 0203010000000000", ErrLength},
		{"two and a half addresses", "1103 0302 8800 0000" + "0000000000000002" + "0000000000000003" + "0000000000000004", nil},
		{"an address and a quarter", "1103 0302 8000 0000" + "00000002" + "00000000000000000000000000000000" + "00000000", nil},
		{"an address and an eighth", "1103 0302 4070 0000" + "000000000000000000000000000000000000000000000000", ErrLength},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseRPLSourceRoute(unhex(test.octets))
			require.Equal(t, test.want, err)
			require.NotEmpty(t, RPLSourceRoutePacket(unhex(test.octets)).String())
		})
	}

	refused := func(name string, want error, octets string, own func(netip.Addr) bool) {
		p, err := ParseRPLSourceRoute(unhex(octets))
		require.NoError(t, err, name)
		_, err = p.Advance(dst, own)
		require.Equal(t, want, err, name)
		require.Equal(t, unhex(octets), []byte(p), "%s: as it was", name)
	}
	refused("more segments left than addresses", ErrLength, "1101 0303 fe50 0000 02 0301 0000000000", nil)
	refused("multicast", ErrMalformed, "1102 0301 0000 0000 ff020000000000000000000000000001", nil)
	refused("a way that comes back", ErrMalformed, "1101 0303 ff50 0000 01 02 01 0000000000", func(a netip.Addr) bool { return a == dst })
	var r RPLSourceRouteRepr
	require.Equal(t, ErrLength, r.Parse(RPLSourceRoutePacket(unhex("1101 0303 fe50 0000 02 0301 0000000000")), dst))
	require.Equal(t, netip.Addr{}, RPLSourceRoutePacket(unhex("1101 0302 fe50 0000 02 0301 0000000000")).Address(2, dst))
}

func TestRPLSourceRouteHasBounds(t *testing.T) {
	r := RPLSourceRouteRepr{SegmentsLeft: 300, Destination: netip.MustParseAddr("2001:db8::1"), Addresses: make([]netip.Addr, 300)}
	for i := range r.Addresses {
		r.Addresses[i] = netip.MustParseAddr("fd00::1")
	}
	p, err := ParseRPLSourceRoute(emitted(t, &r))
	require.NoError(t, err)
	require.Equal(t, RPLMaxSourceRoute, p.Count())
	require.Equal(t, RPLMaxSourceRoute, p.SegmentsLeft())
}

func FuzzRPLExtension(f *testing.F) {
	f.Add(unhex("11 01 03 02 fe 50 0000 02 0301 0000000000"), uint8(1))
	f.Add(unhex("3a 04 03 02 00 00 0000 fd000000000000000000000000000002 fd000000000000000000000000000301"), uint8(0))
	f.Add(unhex("3a00 6304 00 01 0200"), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, own uint8) {
		_ = RPLSourceRoutePacket(b).String()
		if p, err := ParseIPv6Options(b); err == nil {
			_ = p.String()
			walk := p.Options()
			for option, ok := walk.Next(); ok; option, ok = walk.Next() {
				var r, again RPLPacketInfoRepr
				if r.Parse(option) != nil {
					continue
				}
				emit := emitted(t, &r)
				require.NoError(t, again.Parse(IPv6Option{Type: emit[0], Data: emit[2:]}))
				require.Equal(t, r, again)
			}
		}
		p, err := ParseRPLSourceRoute(b)
		if err != nil {
			return
		}
		dst := netip.MustParseAddr("2001:db8::1")
		var r, again RPLSourceRouteRepr
		if r.Parse(p, dst) == nil && len(r.Addresses) <= RPLMaxSourceRoute {
			p, err := ParseRPLSourceRoute(emitted(t, &r))
			require.NoError(t, err)
			require.NoError(t, again.Parse(p, dst))
			require.Equal(t, r, again)
		}
		left := p.SegmentsLeft()
		next, err := p.Advance(dst, func(a netip.Addr) bool { return a.As16()[15] == own })
		switch {
		case err != nil || left == 0:
			require.False(t, next.IsValid())
			require.Equal(t, left, p.SegmentsLeft())
		default:
			require.Equal(t, left-1, p.SegmentsLeft())
			require.Equal(t, dst, p.Address(p.Count()-left, next), "what was the destination is in the header")
		}
	})
}
