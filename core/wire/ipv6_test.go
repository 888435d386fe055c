package wire

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIPv6Golden(t *testing.T) {
	p, err := ParseIPv6(goldenUDP6)
	require.NoError(t, err)
	require.Zero(t, p.TrafficClass())
	require.EqualValues(t, 0x663ad, p.FlowLabel())
	require.Equal(t, 14, p.PayloadLen())
	require.EqualValues(t, protocolUDP, p.NextHeader())
	require.EqualValues(t, 64, p.HopLimit())
	require.Equal(t, addr6A, p.Src())
	require.Equal(t, addr6B, p.Dst())
	require.Len(t, p.Payload(), 14)

	var r IPv6Repr
	require.NoError(t, r.Parse(p))
	require.Equal(t, IPv6Repr{
		Src: addr6A, Dst: addr6B, NextHeader: protocolUDP, HopLimit: 64, FlowLabel: 0x663ad, PayloadLen: 14,
	}, r)
	require.Equal(t, goldenUDP6[:IPv6HeaderLen], emitted(t, &r))
	require.Equal(t, "IP6 (class 0x00, flowlabel 0x663ad, hlim 64, next-header udp (17), payload length: 14) "+
		"fdaa::1 > fdaa::2", r.String())
}

func TestIPv6EmitParse(t *testing.T) {
	for _, r := range []IPv6Repr{
		{Src: netip.IPv6Unspecified(), Dst: netip.IPv6LinkLocalAllNodes(), NextHeader: protocolICMPv6, HopLimit: 255},
		{Src: addr6A, Dst: addr6B, TrafficClass: 0xb9, FlowLabel: 0xfffff, PayloadLen: 1, NextHeader: 255, HopLimit: 1},
		{Src: addr6A, Dst: addr6B, TrafficClass: 0xff, NextHeader: IPv6NoNextHeader},
	} {
		b := append(emitted(t, &r), make([]byte, r.PayloadLen)...)
		p, err := ParseIPv6(b)
		require.NoError(t, err)
		var parsed IPv6Repr
		require.NoError(t, parsed.Parse(p))
		require.Equal(t, r, parsed)
	}
}

func TestIPv6ReprDropsZones(t *testing.T) {
	r := IPv6Repr{Src: netip.MustParseAddr("fe80::1%eth0"), Dst: addr6B}
	require.Equal(t, netip.MustParseAddr("fe80::1"), IPv6Packet(emitted(t, &r)).Src())
}

func TestIPv6Setters(t *testing.T) {
	b := append([]byte(nil), goldenUDP6...)
	p := IPv6Packet(b)
	p.SetTrafficClass(0xb9)
	require.EqualValues(t, 0xb9, p.TrafficClass())
	require.EqualValues(t, 46, p.DSCP())
	require.EqualValues(t, 1, p.ECN())
	require.EqualValues(t, 0x663ad, p.FlowLabel(), "as before")
	p.SetFlowLabel(0xabcdef12)
	require.EqualValues(t, 0xdef12, p.FlowLabel())
	require.EqualValues(t, 0xb9, p.TrafficClass(), "as before")
	p.SetPayloadLen(7)
	p.SetNextHeader(8)
	p.SetHopLimit(9)
	p.SetSrc(addr6B)
	p.SetDst(addr6A)
	require.Equal(t, unhex("6b9def12 0007 08 09 fdaa0000000000000000000000000002 fdaa0000000000000000000000000001"),
		b[:IPv6HeaderLen])
}

func TestParseIPv6Errors(t *testing.T) {
	short := append([]byte(nil), goldenUDP6[:len(goldenUDP6)-1]...)
	for _, test := range []struct {
		name        string
		octets      []byte
		err, header error
	}{
		{"nothing", nil, ErrTruncated, ErrTruncated},
		{"one octet less than a header", goldenUDP6[:39], ErrTruncated, ErrTruncated},
		{"version 4", append([]byte{0x45}, goldenUDP6[1:]...), ErrVersion, ErrVersion},
		{"payload length beyond the end", short, ErrLength, nil},
		{"whole", goldenUDP6, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseIPv6(test.octets)
			require.Equal(t, test.err, err)
			_, err = ParseIPv6Header(test.octets)
			require.Equal(t, test.header, err)
		})
	}
}

func TestIPv6TrailingOctetsAreNotPayload(t *testing.T) {
	p, err := ParseIPv6(append(append([]byte(nil), goldenUDP6...), 1, 2, 3))
	require.NoError(t, err)
	require.Len(t, p.Payload(), 14)
}

func TestIPv6ReprParseErrors(t *testing.T) {
	multicast := IPv6Repr{Src: netip.IPv6LinkLocalAllNodes(), Dst: addr6B}
	unspecified := IPv6Repr{Src: addr6A, Dst: netip.IPv6Unspecified()}
	for name, r := range map[string]*IPv6Repr{"multicast source": &multicast, "unspecified destination": &unspecified} {
		t.Run(name, func(t *testing.T) {
			var parsed IPv6Repr
			require.Equal(t, ErrMalformed, parsed.Parse(emitted(t, r)))
		})
	}
}

func TestSolicitedNodeMulticast(t *testing.T) {
	// The example of RFC 4291, section 2.7.1.
	require.Equal(t, netip.MustParseAddr("ff02::1:ff0e:8c6c"), SolicitedNodeMulticast(netip.MustParseAddr("4037::01:800:200e:8c6c")))
	require.Equal(t, netip.MustParseAddr("ff02::1:ff00:1"), SolicitedNodeMulticast(netip.MustParseAddr("fe80::1%eth0")))
}

func TestFormatIPv6(t *testing.T) {
	header := func(next uint8, n int) []byte {
		b := make([]byte, IPv6HeaderLen)
		r := IPv6Repr{Src: addr6A, Dst: addr6B, NextHeader: next, PayloadLen: n}
		r.Emit(b)
		return b
	}
	for _, test := range []struct {
		name   string
		octets []byte
		want   string
	}{
		{"TCP", goldenTCPSyn6, "IP6 fdaa::1.59706 > fdaa::2.80: Flags [S], seq 3438702078, win 64320, " +
			"options [mss 1340,sackOK,TS val 1633575823 ecr 0,nop,wscale 10], length 0"},
		{"UDP", goldenUDP6, "IP6 fdaa::1.5000 > fdaa::2.9: UDP, length 6"},
		{"hop-by-hop options", goldenListenerReport6,
			"IP6 fe80::ff:fe00:1 > ff02::16: HBH ICMP6, multicast listener report v2, 1 group record(s) [gaddr ff02::1:ff00:1 to_ex { }], length 28"},
		{"hop-by-hop options, from nobody", slices.Concat(goldenListenerReport6[:8], make([]byte, 16), goldenListenerReport6[24:]),
			"IP6 :: > ff02::16: HBH ICMP6, multicast listener report v2, 1 group record(s) [gaddr ff02::1:ff00:1 to_ex { }], length 28"},
		{"destination options", goldenDestinationOptions6, "IP6 fdaa::1.54801 > fdaa::2.7: DSTOPT UDP, length 3"},
		{"first fragment", goldenFirstFragment6, "IP6 fdaa::1.5000 > fdaa::2.7: frag (0xfe17ed2b:0+) UDP, length 2048 " +
			"[2040 octets missing]"},
		{"last fragment", goldenLastFragment6, "IP6 fdaa::1 > fdaa::2: frag (0xfe17ed2b:1352)"},
		{"routing header", append(header(IPv6Routing, 8), 59, 0, 3, 1, 0, 0, 0, 0),
			"IP6 fdaa::1 > fdaa::2: srcrt (len=0, type=3, segleft=1, cmpri=0, cmpre=0, pad=0) no next header"},
		{"extension header cut short", append(header(IPv6HopByHop, 8), 59, 1, 0, 0, 0, 0, 0, 0),
			"IP6 fdaa::1 > fdaa::2: [|ip6]"},
		{"unknown protocol", append(header(200, 1), 0), "IP6 fdaa::1 > fdaa::2: ip-proto-200, length 1"},
		{"ICMP of IPv4", append(header(protocolICMPv4, 1), 0), "IP6 fdaa::1 > fdaa::2: ip-proto-1, length 1"},
		{"header alone", goldenUDP6[:40], "IP6 fdaa::1 > fdaa::2: [|udp]"},
		{"less than a header", goldenUDP6[:39], "IP6 [|ip6]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, IPv6Packet(test.octets).String())
			require.Equal(t, test.want, FormatIP(test.octets))
		})
	}
	require.Equal(t, "IP6 wrong version 4, length 60", IPv6Packet(goldenTCPSynAck4).String())
	require.Equal(t, "IP6 [|ip6]", IPv6Packet(nil).String())
}

func TestIPv6AllocatesNothing(t *testing.T) {
	b := append([]byte(nil), goldenListenerReport6...)
	requireNoAllocs(t, func() {
		p, err := ParseIPv6(b)
		var r IPv6Repr
		if err != nil || r.Parse(p) != nil {
			panic("refused")
		}
		walk := p.Extensions()
		for header, ok := walk.Next(); ok; header, ok = walk.Next() {
			options, _ := ParseIPv6Options(header.Octets)
			for w, more := options.Options(), true; more; {
				_, more = w.Next()
			}
		}
		if walk.Protocol() != protocolICMPv6 {
			panic("wrong protocol")
		}
		r.Emit(b)
	})
}

func FuzzIPv6(f *testing.F) {
	for _, packet := range goldenPackets6 {
		f.Add(packet)
	}
	f.Add(goldenPacketTooBig6)
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = FormatIP(b)
		_ = IPv6Packet(b).String()
		if p, err := ParseIPv6Header(b); err == nil {
			_ = p.Payload()
		}
		p, err := ParseIPv6(b)
		if err != nil {
			return
		}
		require.Len(t, p.Payload(), p.PayloadLen())
		var r IPv6Repr
		if r.Parse(p) != nil {
			return
		}
		again := append([]byte(nil), p...)
		clear(again[:IPv6HeaderLen])
		r.Emit(again)
		require.Equal(t, []byte(p), again)
		_ = r.String()
	})
}

func TestNestedQuotesEnd(t *testing.T) {
	// An error that quotes an error that quotes an error …: no node sends that, and printing it must not take long.
	packet := append([]byte(nil), goldenUDP6...)
	for len(packet) < 60000 {
		e := ICMPv6ErrorRepr{Type: ICMPv6TimeExceeded, Quote: packet}
		ip := IPv6Repr{Src: addr6A, Dst: addr6B, NextHeader: protocolICMPv6, PayloadLen: e.Len()}
		outer := make([]byte, ip.Len()+e.Len())
		ip.Emit(outer)
		e.Emit(outer[ip.Len():], addr6A, addr6B)
		packet = outer
	}
	require.Equal(t, 2, strings.Count(FormatIP(packet), "time exceeded"))
}

func BenchmarkParseIPv6(b *testing.B) {
	b.ReportAllocs()
	var r IPv6Repr
	for b.Loop() {
		p, err := ParseIPv6(goldenTCPData6)
		if err != nil || r.Parse(p) != nil {
			b.Fatal("refused")
		}
	}
}

func BenchmarkEmitIPv6(b *testing.B) {
	var r IPv6Repr
	require.NoError(b, r.Parse(goldenTCPData6))
	octets := make([]byte, r.Len())
	b.ReportAllocs()
	for b.Loop() {
		r.Emit(octets)
	}
}
