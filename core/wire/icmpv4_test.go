package wire

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestICMPv4EchoRepr(t *testing.T) {
	for _, tt := range []struct {
		name  string
		frame []byte
		repr  ICMPv4EchoRepr
		want  string
	}{
		{
			"request", goldenEchoRequest,
			ICMPv4EchoRepr{Ident: 22248, Seq: 1, Data: unhex("6ff5006b0000000075b6010000000000")},
			"ICMP echo request, id 22248, seq 1, length 24",
		},
		{
			"reply", goldenEchoReply,
			ICMPv4EchoRepr{Reply: true, Ident: 22248, Seq: 1, Data: unhex("6ff5006b0000000075b6010000000000")},
			"ICMP echo reply, id 22248, seq 1, length 24",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := ipv4Payload(t, tt.frame)
			require.Equal(t, b, emitted(t, &tt.repr))
			require.Equal(t, tt.want, tt.repr.String())

			p, err := ParseICMPv4(b)
			require.NoError(t, err)
			require.False(t, p.IsError())
			require.True(t, p.VerifyChecksum())
			require.Equal(t, tt.want, p.String())
			var got ICMPv4EchoRepr
			require.NoError(t, got.Parse(p))
			require.Equal(t, tt.repr, got)
		})
	}

	t.Run("in place", func(t *testing.T) {
		// A request becomes the reply without its data being moved.
		b := bytes.Clone(ipv4Payload(t, goldenEchoRequest))
		var r ICMPv4EchoRepr
		require.NoError(t, r.Parse(b))
		r.Reply = true
		r.Emit(b)
		require.Equal(t, ipv4Payload(t, goldenEchoReply), b)
	})
	t.Run("no data", func(t *testing.T) {
		b := emitted(t, &ICMPv4EchoRepr{Ident: 1, Seq: 2})
		require.Equal(t, unhex("0800f7fc 00010002"), b)
		var got ICMPv4EchoRepr
		require.NoError(t, got.Parse(b))
		require.Empty(t, got.Data)
	})
}

func TestICMPv4ErrorRepr(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    []byte
		repr ICMPv4ErrorRepr
		want string
	}{
		{
			"port unreachable", ipv4Payload(t, goldenPortUnreachable),
			ICMPv4ErrorRepr{Type: ICMPv4DestinationUnreachable, Code: ICMPv4PortUnreachable, Quote: goldenUDP[14:]},
			"ICMP 192.168.69.100 udp port 9 unreachable, length 41: " +
				"IP 192.168.69.1.43306 > 192.168.69.100.9: UDP, length 5",
		},
		{
			"prohibited", ipv4Payload(t, goldenAdminProhibited),
			ICMPv4ErrorRepr{
				Type: ICMPv4DestinationUnreachable, Code: ICMPv4AdminProhibited, Quote: goldenAdminProhibited[42:],
			},
			"ICMP host 10.2.0.1 unreachable - admin prohibited filter, length 44: " +
				"IP 192.168.69.1 > 10.2.0.1: ICMP echo request, id 22300, seq 1, length 16",
		},
		{
			"protocol unreachable", ipv4Payload(t, goldenProtocolUnreachable),
			ICMPv4ErrorRepr{
				Type: ICMPv4DestinationUnreachable, Code: ICMPv4ProtocolUnreachable, Quote: goldenProtocolUnreachable[42:],
			},
			"ICMP 192.168.69.100 protocol 132 unreachable, length 40: " +
				"IP 192.168.69.1 > 192.168.69.100: ip-proto-132, length 12",
		},
		{
			"time exceeded", ipv4Payload(t, goldenTimeExceeded),
			ICMPv4ErrorRepr{Type: ICMPv4TimeExceeded, Code: ICMPv4TTLExceeded, Quote: goldenTimeExceeded[42:]},
			"ICMP time exceeded in-transit, length 44: " +
				"IP 192.168.69.1 > 10.3.0.9: ICMP echo request, id 22302, seq 1, length 16",
		},
		{
			"redirect", ipv4Payload(t, goldenRedirect),
			ICMPv4ErrorRepr{
				Type: ICMPv4Redirect, Code: ICMPv4RedirectHost, Gateway: netip.MustParseAddr("192.168.69.50"),
				Quote: goldenRedirect[42:],
			},
			"ICMP redirect 10.4.0.9 to host 192.168.69.50, length 44: " +
				"IP 192.168.69.1 > 10.4.0.9: ICMP echo request, id 22303, seq 1, length 16",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.b, emitted(t, &tt.repr))
			require.Equal(t, tt.want, tt.repr.String())

			p, err := ParseICMPv4(tt.b)
			require.NoError(t, err)
			require.True(t, p.IsError())
			require.True(t, p.VerifyChecksum())
			require.Equal(t, tt.want, p.String())
			var got ICMPv4ErrorRepr
			require.NoError(t, got.Parse(p))
			require.Equal(t, tt.repr, got)
		})
	}
}

// A quote may be as short as "the Internet header plus the first 64 bits of the original datagram's data" (RFC 792).
func TestICMPv4ShortQuote(t *testing.T) {
	for _, tt := range []struct {
		name  string
		frame []byte
		code  uint8
		want  string
	}{
		{
			"UDP", goldenUDP, ICMPv4PortUnreachable,
			"ICMP 192.168.69.100 udp port 9 unreachable, length 36: " +
				"IP 192.168.69.1.43306 > 192.168.69.100.9: UDP, length 5 [5 octets missing]",
		},
		{
			"TCP", goldenTCPReset, ICMPv4HostUnreachable,
			"ICMP host 192.168.69.1 unreachable, length 36: " +
				"IP 192.168.69.100.80 > 192.168.69.1.35260: seq 0 [|tcp]",
		},
		{
			"ICMP", goldenEchoRequest, ICMPv4NetUnreachable,
			"ICMP net 192.168.69.100 unreachable, length 36: " +
				"IP 192.168.69.1 > 192.168.69.100: ICMP echo request, id 22248, seq 1, length 8",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := ICMPv4ErrorRepr{
				Type: ICMPv4DestinationUnreachable, Code: tt.code, Quote: ethernetPayload(t, tt.frame)[:IPv4HeaderLen+8],
			}
			require.Equal(t, tt.want, r.String())
			var got ICMPv4ErrorRepr
			require.NoError(t, got.Parse(emitted(t, &r)))
			require.Equal(t, r, got)

			quote, err := ParseIPv4Header(got.Quote)
			require.NoError(t, err)
			require.Len(t, quote.Payload(), 8)
		})
	}
}

func TestICMPv4Accessors(t *testing.T) {
	p, err := ParseICMPv4(goldenFragmentationNeeded)
	require.NoError(t, err)
	require.Equal(t, uint8(ICMPv4DestinationUnreachable), p.Type())
	require.Equal(t, uint8(ICMPv4FragmentationNeeded), p.Code())
	require.Equal(t, uint16(0xf056), p.Checksum())
	require.Equal(t, uint16(1400), p.MTU())
	require.False(t, p.VerifyChecksum(), "most of the quote is cut off")

	p, err = ParseICMPv4(ipv4Payload(t, goldenRedirect))
	require.NoError(t, err)
	require.Equal(t, netip.MustParseAddr("192.168.69.50"), p.Gateway())
	require.Equal(t, uint8(192), p.Pointer())

	p = bytes.Clone(ipv4Payload(t, goldenEchoRequest))
	p.SetType(ICMPv4EchoReply)
	p.SetCode(0)
	p.SetIdent(22248)
	p.SetSeq(1)
	p.SetChecksum(UpdateChecksum(p.Checksum(), ICMPv4EchoRequest<<8, ICMPv4EchoReply<<8))
	require.Equal(t, ICMPv4Packet(ipv4Payload(t, goldenEchoReply)), p)

	for n := range ICMPv4HeaderLen {
		_, err := ParseICMPv4(goldenFragmentationNeeded[:n])
		require.Equal(t, ErrTruncated, err, "%d octets", n)
	}
}

func TestICMPv4Refused(t *testing.T) {
	message := func(typ, code uint8) ICMPv4Packet {
		p := ICMPv4Packet(make([]byte, 16))
		p.SetType(typ)
		p.SetCode(code)
		p.FillChecksum()
		return p
	}
	wrong := bytes.Clone(ipv4Payload(t, goldenEchoRequest))
	wrong[9]++

	require.Equal(t, ErrChecksum, new(ICMPv4EchoRepr).Parse(wrong))
	require.Equal(t, ErrChecksum, new(ICMPv4ErrorRepr).Parse(wrong))
	require.Equal(t, ErrMalformed, new(ICMPv4EchoRepr).Parse(message(ICMPv4EchoRequest, 1)), "an echo has no codes")
	require.Equal(t, ErrMalformed, new(ICMPv4EchoRepr).Parse(message(ICMPv4TimeExceeded, 0)))
	require.Equal(t, ErrMalformed, new(ICMPv4ErrorRepr).Parse(message(ICMPv4EchoReply, 0)))
	require.Equal(t, ErrMalformed, new(ICMPv4ErrorRepr).Parse(message(ICMPv4SourceQuench, 0)), "deprecated")
}

func TestICMPv4String(t *testing.T) {
	quote := goldenUDP[14:]
	for _, tt := range []struct {
		name       string
		typ, code  uint8
		rest       uint32 // the header's second word
		quote      []byte
		want       string
		wantQuoted bool
	}{
		{name: "source quench", typ: 4, quote: quote, want: "source quench", wantQuoted: true},
		{name: "router advertisement", typ: 9, want: "router advertisement"},
		{name: "router solicitation", typ: 10, want: "router solicitation"},
		{name: "timestamp", typ: 13, rest: 1<<16 | 2, want: "time stamp query id 1 seq 2"},
		{name: "timestamp reply", typ: 14, rest: 1<<16 | 2, want: "time stamp reply id 1 seq 2"},
		{name: "unknown type", typ: 42, want: "type-#42"},
		{name: "nothing quoted", typ: 3, code: 3, want: "? port unreachable"},
		{name: "protocol, nothing quoted", typ: 3, code: 2, want: "? protocol unreachable"},
		{
			name: "fragmentation needed", typ: 3, code: 4, rest: 1400, quote: quote,
			want: "192.168.69.100 unreachable - need to frag (mtu 1400)", wantQuoted: true,
		},
		{
			name: "fragmentation needed, before RFC 1191", typ: 3, code: 4, quote: quote,
			want: "192.168.69.100 unreachable - need to frag", wantQuoted: true,
		},
		{
			name: "unknown code", typ: 3, code: 16, quote: quote,
			want: "192.168.69.100 unreachable - #16", wantQuoted: true,
		},
		{name: "reassembly", typ: 11, code: 1, quote: quote, want: "ip reassembly time exceeded", wantQuoted: true},
		{name: "time exceeded, unknown code", typ: 11, code: 2, want: "time exceeded-#2"},
		{
			name: "parameter problem", typ: 12, rest: 20 << 24, quote: quote,
			want: "parameter problem - octet 20", wantQuoted: true,
		},
		{name: "missing option", typ: 12, code: 1, want: "parameter problem - code 1"},
		{name: "redirect for a net", typ: 5, rest: 0x0a000001, want: "redirect ? to net 10.0.0.1"},
		{name: "redirect for a net and TOS", typ: 5, code: 2, rest: 0x0a000001, want: "redirect-tos ? to net 10.0.0.1"},
		{name: "redirect for a host and TOS", typ: 5, code: 3, rest: 0x0a000001, want: "redirect-tos ? to host 10.0.0.1"},
		{name: "redirect, unknown code", typ: 5, code: 4, rest: 0x0a000001, want: "redirect-#4 ? to 10.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := append(binary.BigEndian.AppendUint32([]byte{tt.typ, tt.code, 0, 0}, tt.rest), tt.quote...)
			want := "ICMP " + tt.want + ", length 8"
			if tt.wantQuoted {
				want = "ICMP " + tt.want + ", length 41: IP 192.168.69.1.43306 > 192.168.69.100.9: UDP, length 5"
			}
			require.Equal(t, want, ICMPv4Packet(b).String())
		})
	}
	require.Equal(t, "ICMP [|icmp]", ICMPv4Packet(nil).String())
}

// Errors about errors are not sent by any honest host; a packet that is nothing but quotes must not print as
// thousands of them.
func TestICMPv4QuotesDoNotNest(t *testing.T) {
	var quote []byte
	for range 2000 {
		e := ICMPv4ErrorRepr{Type: ICMPv4TimeExceeded, Quote: quote}
		header := IPv4Repr{Src: golden1, Dst: golden100, Protocol: protocolICMPv4, TTL: 1, PayloadLen: e.Len()}
		b := make([]byte, header.Len()+e.Len())
		header.Emit(b)
		e.Emit(b[header.Len():])
		quote = b
	}
	require.Equal(t, "IP 192.168.69.1 > 192.168.69.100: ICMP time exceeded in-transit, length 55980: "+
		"IP 192.168.69.1 > 192.168.69.100: ICMP time exceeded in-transit, length 55952", FormatIP(quote))
}

// What can be constructed can be emitted, and parses back to the same.
func TestICMPv4ReprRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	for range 1000 {
		want := ICMPv4EchoRepr{
			Reply: random.IntN(2) == 0,
			Ident: uint16(random.Uint32()),
			Seq:   uint16(random.Uint32()),
			Data:  randomOctets(random, random.IntN(100)),
		}
		var got ICMPv4EchoRepr
		require.NoError(t, got.Parse(emitted(t, &want)))
		require.Equal(t, want, got)
	}
	for range 1000 {
		want := ICMPv4ErrorRepr{
			Code:  uint8(random.IntN(17)),
			Quote: randomOctets(random, random.IntN(100)),
		}
		switch random.IntN(4) {
		case 0:
			want.Type = ICMPv4DestinationUnreachable
			if want.Code == ICMPv4FragmentationNeeded {
				want.MTU = uint16(random.Uint32())
			}
		case 1:
			want.Type = ICMPv4TimeExceeded
		case 2:
			want.Type = ICMPv4ParameterProblem
			want.Pointer = uint8(random.Uint32())
		case 3:
			want.Type = ICMPv4Redirect
			want.Gateway = netip.AddrFrom4([4]byte(randomOctets(random, 4)))
		}
		var got ICMPv4ErrorRepr
		require.NoError(t, got.Parse(emitted(t, &want)))
		require.Equal(t, want, got)
	}
}

func TestICMPv4Allocs(t *testing.T) {
	b := bytes.Clone(ipv4Payload(t, goldenEchoRequest))
	requireNoAllocs(t, func() {
		p, err := ParseICMPv4(b)
		var r ICMPv4EchoRepr
		if err != nil || r.Parse(p) != nil {
			panic("refused")
		}
		r.Reply = !r.Reply
		r.Emit(b)
	})
}

func FuzzICMPv4(f *testing.F) {
	for _, frame := range [][]byte{
		goldenEchoRequest, goldenEchoReply, goldenPortUnreachable, goldenAdminProhibited, goldenTimeExceeded, goldenRedirect,
		goldenProtocolUnreachable,
	} {
		f.Add(ipv4Payload(f, frame))
	}
	f.Add(goldenFragmentationNeeded)
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = ICMPv4Packet(b).String()
		p, err := ParseICMPv4(b)
		if err != nil {
			require.Less(t, len(b), ICMPv4HeaderLen)
			return
		}
		_, _, _, _, _, _ = p.Ident(), p.Seq(), p.MTU(), p.Pointer(), p.Gateway(), p.Payload()

		// The fuzzer seldom finds a right checksum.
		p = bytes.Clone(p)
		p.FillChecksum()
		var echo, echoAgain ICMPv4EchoRepr
		echoErr := echo.Parse(p)
		if echoErr == nil {
			out := emitted(t, &echo)
			require.Equal(t, []byte(p), out)
			require.NoError(t, echoAgain.Parse(out))
			require.Equal(t, echo, echoAgain)
		}
		var e, again ICMPv4ErrorRepr
		if e.Parse(p) == nil {
			require.Equal(t, ErrMalformed, echoErr, "both an echo and an error")
			require.True(t, p.IsError())
			require.NoError(t, again.Parse(emitted(t, &e)))
			require.Equal(t, e, again)
			_ = e.String()
		}
	})
}

func BenchmarkICMPv4Echo(b *testing.B) {
	request := bytes.Clone(ipv4Payload(b, goldenEchoRequest))
	reply := make([]byte, len(request))
	b.ReportAllocs()
	for b.Loop() {
		var r ICMPv4EchoRepr
		if err := r.Parse(request); err != nil {
			b.Fatal(err)
		}
		r.Reply = true
		r.Emit(reply)
	}
}
