package wire

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// emitted6 returns what r emits from src to dst, having checked what emitted does, and the checksum.
func emitted6(t testing.TB, r icmpv6Emitter, src, dst netip.Addr) ICMPv6Packet {
	t.Helper()
	p := ICMPv6Packet(emitted(t, icmpv6Sender{r, src, dst}))
	require.True(t, p.VerifyChecksum(src, dst))
	require.False(t, p.VerifyChecksum(src, netip.MustParseAddr("2001:db8::1")))
	return p
}

type icmpv6Emitter interface {
	Len() int
	Emit(b []byte, src, dst netip.Addr)
	String() string
}

// icmpv6Sender gives an emitter its addresses.
type icmpv6Sender struct {
	icmpv6Emitter
	src, dst netip.Addr
}

func (s icmpv6Sender) Emit(b []byte) { s.icmpv6Emitter.Emit(b, s.src, s.dst) }

// goldenICMPv6 is the message in a golden packet, with its addresses.
func goldenICMPv6(t testing.TB, packet []byte) (p ICMPv6Packet, src, dst netip.Addr) {
	t.Helper()
	ip, err := ParseIPv6(packet)
	require.NoError(t, err)
	p, err = ParseICMPv6(ip.Payload())
	require.NoError(t, err)
	require.True(t, p.VerifyChecksum(ip.Src(), ip.Dst()))
	return p, ip.Src(), ip.Dst()
}

func TestICMPv6EchoGolden(t *testing.T) {
	for _, test := range []struct {
		name   string
		packet []byte
		reply  bool
		print  string
	}{
		{"request", goldenEchoRequest6, false, "ICMP6, echo request, id 24519, seq 1, length 64"},
		{"reply", goldenEchoReply6, true, "ICMP6, echo reply, id 24519, seq 1, length 64"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, src, dst := goldenICMPv6(t, test.packet)
			require.EqualValues(t, 24519, p.Ident())
			require.EqualValues(t, 1, p.Seq())
			require.False(t, p.IsError())
			require.Equal(t, test.print, p.String())
			var r ICMPv6EchoRepr
			require.NoError(t, r.Parse(p))
			require.Equal(t, ICMPv6EchoRepr{Reply: test.reply, Ident: 24519, Seq: 1, Data: p.Body()}, r)
			require.Equal(t, test.print, r.String())
			require.Equal(t, p, emitted6(t, &r, src, dst))
		})
	}
}

func TestICMPv6ErrorGolden(t *testing.T) {
	const quoted = "fdaa::1 > fdbb::8: ICMP6, echo request, id 24627, seq 1, length 64"
	for _, test := range []struct {
		name   string
		packet []byte
		want   ICMPv6ErrorRepr
		print  string
	}{
		{"port unreachable", goldenPortUnreachable6,
			ICMPv6ErrorRepr{Type: ICMPv6DestinationUnreachable, Code: ICMPv6PortUnreachable},
			"ICMP6, destination unreachable, unreachable port, length 62: IP6 fdaa::1.5000 > fdaa::2.9: UDP, length 6"},
		{"no route", goldenNoRoute6, ICMPv6ErrorRepr{Type: ICMPv6DestinationUnreachable, Code: ICMPv6NoRoute},
			"ICMP6, destination unreachable, unreachable route, length 112: " +
				"IP6 fdaa::1 > fdbc::9: ICMP6, echo request, id 24566, seq 1, length 64"},
		{"time exceeded", goldenTimeExceeded6, ICMPv6ErrorRepr{Type: ICMPv6TimeExceeded, Code: ICMPv6HopLimitExceeded},
			"ICMP6, time exceeded in-transit, length 112: " +
				"IP6 fdaa::1 > fdbb::8: ICMP6, echo request, id 24627, seq 1, length 64"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, src, dst := goldenICMPv6(t, test.packet)
			require.True(t, p.IsError())
			require.Equal(t, test.print, p.String())
			test.want.Quote = p.Body()
			var r ICMPv6ErrorRepr
			require.NoError(t, r.Parse(p))
			require.Equal(t, test.want, r)
			require.Equal(t, test.print, r.String())
			require.Equal(t, p, emitted6(t, &r, src, dst))

			// A quote that ends anywhere parses, and is printed.
			for n := range p.Body() {
				cut, err := ParseICMPv6(p[:ICMPv6HeaderLen+n])
				require.NoError(t, err)
				require.NoError(t, r.Parse(cut))
				require.Len(t, r.Quote, n)
				require.Contains(t, cut.String(), icmpv6TypeName(p.Type()))
			}
		})
	}
	require.Contains(t, ICMPv6Packet(goldenTimeExceeded6[IPv6HeaderLen:]).String(), quoted)
}

func TestICMPv6PacketTooBigGolden(t *testing.T) {
	ip, err := ParseIPv6Header(goldenPacketTooBig6)
	require.NoError(t, err)
	require.Equal(t, IPv6MinMTU, IPv6HeaderLen+ip.PayloadLen())
	p, err := ParseICMPv6(ip.Payload())
	require.NoError(t, err)
	require.EqualValues(t, 1280, p.MTU())
	var r ICMPv6ErrorRepr
	require.NoError(t, r.Parse(p))
	require.Equal(t, ICMPv6ErrorRepr{Type: ICMPv6PacketTooBig, MTU: 1280, Quote: p.Body()}, r)
	// The cut quote ends within the echo request's data.
	require.Equal(t, "IP6 fdaa::2 > fdaa::1: ICMP6, packet too big, mtu 1280, length 56: "+
		"IP6 fdaa::1 > fdbd::9: ICMP6, echo request, id 24630, seq 1, length 8", FormatIP(goldenPacketTooBig6))
}

func TestICMPv6ErrorEmitParse(t *testing.T) {
	for _, r := range []ICMPv6ErrorRepr{
		{Type: ICMPv6DestinationUnreachable, Code: ICMPv6AdminProhibited, Quote: goldenUDP6},
		{Type: ICMPv6PacketTooBig, MTU: 1<<32 - 1, Quote: goldenUDP6[:1]},
		{Type: ICMPv6TimeExceeded, Code: ICMPv6ReassemblyTimedOut, Quote: []byte{}},
		{Type: ICMPv6ParameterProblem, Code: ICMPv6UnrecognizedOption, Pointer: 42, Quote: goldenUDP6},
	} {
		p := emitted6(t, &r, addr6A, addr6B)
		var parsed ICMPv6ErrorRepr
		require.NoError(t, parsed.Parse(p))
		require.Equal(t, r, parsed)
		require.Equal(t, p.String(), r.String())
	}
}

func TestICMPv6EmitAroundAQuoteInPlace(t *testing.T) {
	b := make([]byte, ICMPv6HeaderLen+len(goldenUDP6))
	copy(b[3:], goldenUDP6) // not where it belongs, and under the header
	r := ICMPv6ErrorRepr{Type: ICMPv6TimeExceeded, Quote: b[3 : 3+len(goldenUDP6)]}
	r.Emit(b, addr6A, addr6B)
	require.Equal(t, goldenUDP6, b[ICMPv6HeaderLen:])
}

func TestICMPv6ParseErrors(t *testing.T) {
	_, err := ParseICMPv6(make([]byte, 7))
	require.Equal(t, ErrTruncated, err)
	for _, test := range []struct {
		name, octets string
		echo, err    error
	}{
		{"echo request", "8000 0000 00010002", nil, ErrMalformed},
		{"echo request with a code", "8001 0000 00010002", ErrMalformed, ErrMalformed},
		{"unreachable", "0104 0000 00000000", ErrMalformed, nil},
		{"unreachable with an unknown code", "0163 0000 00000000", ErrMalformed, nil},
		{"unknown error", "0500 0000 00000000", ErrMalformed, ErrMalformed},
		{"unknown information", "c800 0000 00000000", ErrMalformed, ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := ParseICMPv6(unhex(test.octets))
			require.NoError(t, err)
			var echo ICMPv6EchoRepr
			require.Equal(t, test.echo, echo.Parse(p))
			var e ICMPv6ErrorRepr
			require.Equal(t, test.err, e.Parse(p))
		})
	}
}

func TestFormatICMPv6(t *testing.T) {
	for _, test := range []struct{ name, octets, want string }{
		{"nothing", "", "[|icmp6]"},
		{"seven octets", "8000 0000 000100", "[|icmp6]"},
		{"administratively prohibited", "0101 0000 00000000", "ICMP6, destination unreachable, unreachable prohibited, length 8"},
		{"beyond scope", "0102 0000 00000000", "ICMP6, destination unreachable, beyond scope, length 8"},
		{"address unreachable", "0103 0000 00000000", "ICMP6, destination unreachable, unreachable address, length 8"},
		{"source policy", "0105 0000 00000000", "ICMP6, destination unreachable, source address failed policy, length 8"},
		{"reject route", "0106 0000 00000000", "ICMP6, destination unreachable, reject route to destination, length 8"},
		{"unknown code", "0107 0000 00000000", "ICMP6, destination unreachable, unknown unreach code (7), length 8"},
		{"reassembly", "0301 0000 00000000", "ICMP6, time exceeded (reassembly), length 8"},
		{"time exceeded, unknown code", "0302 0000 00000000", "ICMP6, time exceeded, unknown code (2), length 8"},
		{"erroneous header", "0400 0000 00000007", "ICMP6, parameter problem, erroneous - octet 7, length 8"},
		{"next header", "0401 0000 00000006", "ICMP6, parameter problem, next header - octet 6, length 8"},
		{"option", "0402 0000 0000002a", "ICMP6, parameter problem, option - octet 42, length 8"},
		{"header chain", "0403 0000 00000000", "ICMP6, parameter problem, incomplete header chain - octet 0, length 8"},
		{"parameter problem, unknown code", "0404 0000 00000000", "ICMP6, parameter problem, unknown code (4) - octet 0, length 8"},
		{"multicast query", "8200 0000 00000000", "ICMP6, multicast listener query of unknown version, length 8"},
		{"multicast report", "8300 0000 00000000", "ICMP6, multicast listener report [|icmp6], length 8"},
		{"multicast done", "8400 0000 00000000", "ICMP6, multicast listener done [|icmp6], length 8"},
		{"unknown type", "c800 0000 00000000", "ICMP6, unknown icmp6 type (200), length 8"},
		{"a quote of one octet", "0104 0000 00000000 60", "ICMP6, destination unreachable, unreachable port, length 9: IP6 [|ip6]"},
		{"a quote of another version", "0104 0000 00000000 45" + "0000000000000000000000000000000000000000000000000000" +
			"00000000000000000000000000", "ICMP6, destination unreachable, unreachable port, length 48: IP6 wrong version 4, length 40"},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, ICMPv6Packet(unhex(test.octets)).String())
			require.Equal(t, "fdaa::1 > fdaa::2: "+test.want, formatICMPv6(addr6A, addr6B, unhex(test.octets)))
		})
	}
}

func TestICMPv6Setters(t *testing.T) {
	p := ICMPv6Packet(append([]byte(nil), goldenEchoRequest6[IPv6HeaderLen:]...))
	p.SetType(ICMPv6EchoReply)
	p.FillChecksum(addr6B, addr6A)
	require.Equal(t, ICMPv6Packet(goldenEchoReply6[IPv6HeaderLen:]), p)
	p.SetCode(7)
	require.EqualValues(t, 7, p.Code())
	require.EqualValues(t, 0x4e17, p.Checksum())
}

func TestICMPv6AllocatesNothing(t *testing.T) {
	echo := append([]byte(nil), goldenEchoRequest6[IPv6HeaderLen:]...)
	unreachable := append([]byte(nil), goldenPortUnreachable6[IPv6HeaderLen:]...)
	requireNoAllocs(t, func() {
		p, err := ParseICMPv6(echo)
		var r ICMPv6EchoRepr
		if err != nil || !p.VerifyChecksum(addr6A, addr6B) || r.Parse(p) != nil {
			panic("refused")
		}
		r.Emit(echo, addr6A, addr6B)
		p, err = ParseICMPv6(unreachable)
		var e ICMPv6ErrorRepr
		if err != nil || !p.VerifyChecksum(addr6B, addr6A) || e.Parse(p) != nil {
			panic("refused")
		}
		e.Emit(unreachable, addr6B, addr6A)
	})
}

func FuzzICMPv6(f *testing.F) {
	for _, packet := range goldenPackets6 {
		if packet[6] == protocolICMPv6 {
			f.Add(packet[IPv6HeaderLen:])
		}
	}
	f.Add(goldenPacketTooBig6[IPv6HeaderLen:])
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = formatICMPv6(addr6A, addr6B, b)
		_ = ICMPv6Packet(b).String()
		p, err := ParseICMPv6(b)
		if err != nil {
			return
		}
		_, _ = p.VerifyChecksum(addr6A, addr6B), p.Body()
		var echo, echoAgain ICMPv6EchoRepr
		if echo.Parse(p) == nil {
			require.NoError(t, echoAgain.Parse(emitted6(t, &echo, addr6A, addr6B)))
			require.Equal(t, echo, echoAgain)
			_ = echo.String()
		}
		var e, eAgain ICMPv6ErrorRepr
		if e.Parse(p) == nil {
			require.NoError(t, eAgain.Parse(emitted6(t, &e, addr6A, addr6B)))
			require.Equal(t, e, eAgain)
			_ = e.String()
		}
	})
}
