package wire

import (
	"bytes"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	golden1   = netip.MustParseAddr("192.168.69.1")
	golden100 = netip.MustParseAddr("192.168.69.100")
)

func TestIPv4Accessors(t *testing.T) {
	p, err := ParseIPv4(ethernetPayload(t, goldenPortUnreachable))
	require.NoError(t, err)
	require.Equal(t, 4, p.Version())
	require.Equal(t, 20, p.HeaderLen())
	require.Equal(t, uint8(0xc0), p.TOS())
	require.Equal(t, uint8(48), p.DSCP(), "internetwork control, as routers mark their own")
	require.Equal(t, uint8(0), p.ECN())
	require.Equal(t, 61, p.TotalLen())
	require.Equal(t, uint16(0x5175), p.ID())
	require.False(t, p.DontFragment())
	require.False(t, p.MoreFragments())
	require.Zero(t, p.FragmentOffset())
	require.False(t, p.IsFragment())
	require.Equal(t, uint8(64), p.TTL())
	require.Equal(t, uint8(protocolICMPv4), p.Protocol())
	require.Equal(t, uint16(0x1cd5), p.Checksum())
	require.Equal(t, golden100, p.Src())
	require.Equal(t, golden1, p.Dst())
	require.Empty(t, p.Options())
	require.Equal(t, goldenPortUnreachable[34:], p.Payload())
	require.True(t, p.VerifyChecksum())

	p, err = ParseIPv4(ethernetPayload(t, goldenEchoRequest))
	require.NoError(t, err)
	require.True(t, p.DontFragment())
	require.False(t, p.IsFragment(), "that it must not be fragmented does not make it a fragment")
}

func TestIPv4Options(t *testing.T) {
	p, err := ParseIPv4(ethernetPayload(t, goldenRecordRoute))
	require.NoError(t, err)
	require.Equal(t, 60, p.HeaderLen())
	require.Equal(t, goldenRecordRoute[34:74], p.Options())
	require.Equal(t, goldenRecordRoute[74:], p.Payload())
	require.True(t, p.VerifyChecksum(), "the options are part of the header")

	var r IPv4Repr
	require.NoError(t, r.Parse(p))
	require.Equal(t, 16, r.PayloadLen)
}

func TestIPv4Fragments(t *testing.T) {
	first, err := ParseIPv4Header(goldenFirstFragment)
	require.NoError(t, err)
	require.True(t, first.IsFragment())
	require.True(t, first.MoreFragments())
	require.Zero(t, first.FragmentOffset())

	last, err := ParseIPv4Header(goldenLastFragment)
	require.NoError(t, err)
	require.True(t, last.IsFragment())
	require.False(t, last.MoreFragments())
	require.Equal(t, 1480, last.FragmentOffset())
	require.Equal(t, first.ID(), last.ID())
	require.Equal(t, 8+2000, last.FragmentOffset()+last.TotalLen()-last.HeaderLen())

	require.Equal(t, ErrMalformed, new(IPv4Repr).Parse(first))
	require.Equal(t, ErrMalformed, new(IPv4Repr).Parse(last))
}

func TestIPv4Padding(t *testing.T) {
	padded := append(bytes.Clone(goldenTCPReset), make([]byte, 6)...) // 60 octets, the least that a card sends
	p, err := ParseIPv4(ethernetPayload(t, padded))
	require.NoError(t, err)
	require.Len(t, p, 40)
	require.Len(t, p.Payload(), 20)
}

func TestIPv4Refused(t *testing.T) {
	// change returns a golden packet of 44 octets with one octet changed.
	change := func(i int, to byte) []byte {
		b := bytes.Clone(goldenEchoRequest[14:])
		b[i] = to
		return b
	}
	for _, tt := range []struct {
		name    string
		b       []byte
		packet  error // of ParseIPv4
		header  error // of ParseIPv4Header
		printed string
	}{
		{"nothing", nil, ErrTruncated, ErrTruncated, "IP [|ip]"},
		{"no header", goldenEchoRequest[14:][:19], ErrTruncated, ErrTruncated, "IP [|ip]"},
		{"version 6", change(0, 0x65), ErrVersion, ErrVersion, "IP bad version 6"},
		{"header shorter than a header", change(0, 0x44), ErrLength, ErrLength, "IP bad-hlen 16"},
		{"packet shorter than its header", change(3, 19), ErrLength, ErrLength, "IP bad-len 19"},
		{"packet shorter than its options", change(0, 0x4c), ErrLength, ErrLength, "IP bad-len 44"},
		{"options cut off", goldenRecordRoute[14:][:59], ErrTruncated, ErrTruncated, "IP [|ip]"},
		{
			"payload cut off", goldenEchoRequest[14:][:43], ErrLength, nil,
			"IP truncated-ip - 1 bytes missing! " +
				"192.168.69.1 > 192.168.69.100: ICMP echo request, id 22248, seq 1, length 23",
		},
		{
			"no payload", goldenEchoRequest[14:][:20], ErrLength, nil,
			"IP truncated-ip - 24 bytes missing! 192.168.69.1 > 192.168.69.100: ICMP [|icmp]",
		},
		{
			"unknown protocol", change(9, 253), nil, nil,
			"IP (bad cksum 0x166a) 192.168.69.1 > 192.168.69.100: ip-proto-253, length 24",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseIPv4(tt.b)
			require.Equal(t, tt.packet, err)
			_, err = ParseIPv4Header(tt.b)
			require.Equal(t, tt.header, err)
			require.Equal(t, tt.printed, IPv4Packet(tt.b).String())
		})
	}
}

func TestIPv4Setters(t *testing.T) {
	p := IPv4Packet(bytes.Clone(goldenEchoRequest[14:]))
	p.SetTOS(0x03)
	p.SetTotalLen(40)
	p.SetID(0xbeef)
	p.SetFragment(1480, true)
	p.SetTTL(1)
	p.SetProtocol(253)
	p.SetSrc(golden100)
	p.SetDst(golden1)
	require.False(t, p.VerifyChecksum())
	p.FillChecksum()
	require.True(t, p.VerifyChecksum())

	require.Equal(t, uint8(3), p.ECN())
	require.Equal(t, 40, p.TotalLen())
	require.Equal(t, uint16(0xbeef), p.ID())
	require.Equal(t, 1480, p.FragmentOffset())
	require.True(t, p.MoreFragments())
	require.True(t, p.DontFragment(), "as it was")
	require.Equal(t, uint8(1), p.TTL())
	require.Equal(t, uint8(253), p.Protocol())
	require.Equal(t, golden100, p.Src())
	require.Equal(t, golden1, p.Dst())
	p.SetFragment(0, false)
	require.False(t, p.IsFragment())
}

func TestIPv4Repr(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    []byte
		repr IPv4Repr
		want string
	}{
		{
			"echo request", goldenEchoRequest[14:],
			IPv4Repr{
				Src: golden1, Dst: golden100, Protocol: protocolICMPv4, TTL: 64, ID: 0x18b1, DontFragment: true, PayloadLen: 24,
			},
			"IP (tos 0x0, ttl 64, id 6321, flags [DF], proto icmp (1), length 44) 192.168.69.1 > 192.168.69.100",
		},
		{
			"unreachable", goldenPortUnreachable[14:],
			IPv4Repr{
				Src: golden100, Dst: golden1, Protocol: protocolICMPv4, TTL: 64, TOS: 0xc0, ID: 0x5175, PayloadLen: 41,
			},
			"IP (tos 0xc0, ttl 64, id 20853, flags [none], proto icmp (1), length 61) 192.168.69.100 > 192.168.69.1",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.b[:IPv4HeaderLen], emitted(t, &tt.repr))
			require.Equal(t, tt.want, tt.repr.String())
			p, err := ParseIPv4(tt.b)
			require.NoError(t, err)
			var got IPv4Repr
			require.NoError(t, got.Parse(p))
			require.Equal(t, tt.repr, got)
		})
	}

	t.Run("wrong checksum", func(t *testing.T) {
		p := IPv4Packet(bytes.Clone(goldenEchoRequest[14:]))
		p.SetTTL(63)
		require.Equal(t, ErrChecksum, new(IPv4Repr).Parse(p))
	})
	t.Run("no addresses", func(t *testing.T) {
		b := emitted(t, &IPv4Repr{Dst: netip.MustParseAddr("fdaa::1")})
		require.Equal(t, make([]byte, 8), b[12:])
	})
}

// What can be constructed can be emitted, and parses back to the same.
func TestIPv4ReprRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	addr := func() netip.Addr { return netip.AddrFrom4([4]byte(randomOctets(random, 4))) }
	b := make([]byte, IPv4HeaderLen)
	for range 1000 {
		want := IPv4Repr{
			Src: addr(), Dst: addr(),
			Protocol:     uint8(random.Uint32()),
			TTL:          uint8(random.Uint32()),
			TOS:          uint8(random.Uint32()),
			ID:           uint16(random.Uint32()),
			DontFragment: random.IntN(2) == 0,
			PayloadLen:   random.IntN(IPv4MaxLen - IPv4HeaderLen + 1),
		}
		want.Emit(b)
		p, err := ParseIPv4Header(b)
		require.NoError(t, err)
		var got IPv4Repr
		require.NoError(t, got.Parse(p))
		require.Equal(t, want, got)
	}
}

func TestIPv4String(t *testing.T) {
	checksummed := func(b []byte) []byte {
		IPv4Packet(b).FillChecksum()
		return b
	}
	for _, tt := range []struct {
		name string
		b    []byte
		want string
	}{
		{
			"in an Ethernet frame's place", goldenEchoReply[14:],
			"IP 192.168.69.100 > 192.168.69.1: ICMP echo reply, id 22248, seq 1, length 24",
		},
		{
			"options", goldenRecordRoute[14:],
			"IP (options rr,eol) 192.168.69.100 > 192.168.69.1: ICMP echo reply, id 22249, seq 1, length 16",
		},
		{
			"every kind of option", checksummed(unhex(`
				4c000030 00000000 40fd0000 c0a84501 c0a84564
				01 8202 8302 8902 4402 5202 940400 00 9902 99ff 0000000000000000000000`)),
			"IP (options nop,security,lsrr,ssrr,ts,traceroute,ra,unknown-153,[|ip]) " +
				"192.168.69.1 > 192.168.69.100: ip-proto-253, length 0",
		},
		{
			"later fragment", goldenLastFragment,
			"IP truncated-ip - 520 bytes missing! 192.168.69.1 > 192.168.69.100: udp (frag 36269:528@1480)",
		},
		{
			"fragment in the middle", checksummed(unhex("4500001c 00072001 40fd0000 c0a84501 c0a84564 0000000000000000")),
			"IP 192.168.69.1 > 192.168.69.100: ip-proto-253 (frag 7:8@8+)",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, IPv4Packet(tt.b).String())
			require.Equal(t, tt.want, FormatIP(tt.b))
		})
	}
}

func TestIPv4Allocs(t *testing.T) {
	b := bytes.Clone(goldenEchoRequest[14:])
	requireNoAllocs(t, func() {
		p, err := ParseIPv4(b)
		var r IPv4Repr
		if err != nil || r.Parse(p) != nil {
			panic("refused")
		}
		r.Emit(b)
	})
}

func FuzzIPv4(f *testing.F) {
	for _, frame := range goldenFrames {
		f.Add(frame[14:])
	}
	f.Add(goldenFirstFragment)
	f.Add(goldenLastFragment)
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = IPv4Packet(b).String()
		_ = FormatIP(b)
		p, err := ParseIPv4Header(b)
		whole, wholeErr := ParseIPv4(b)
		if err != nil {
			require.Equal(t, err, wholeErr)
			return
		}
		if p.TotalLen() > len(b) {
			require.Equal(t, ErrLength, wholeErr)
		} else {
			require.NoError(t, wholeErr)
			require.Equal(t, p, whole)
			require.Len(t, whole, p.TotalLen())
		}
		require.Equal(t, len(p), IPv4HeaderLen+len(p.Options())+len(p.Payload()))
		_, _, _, _, _, _, _ = p.TOS(), p.DSCP(), p.ECN(), p.ID(), p.DontFragment(), p.MoreFragments(), p.FragmentOffset()
		_, _, _, _, _, _ = p.IsFragment(), p.TTL(), p.Protocol(), p.Checksum(), p.Src(), p.Dst()

		// The fuzzer seldom finds a right checksum.
		p = IPv4Packet(bytes.Clone(p))
		p.FillChecksum()
		var r, again IPv4Repr
		if r.Parse(p) != nil {
			require.True(t, p.IsFragment())
			return
		}
		_ = r.String()
		require.LessOrEqual(t, r.PayloadLen, math.MaxUint16)
		header, err := ParseIPv4Header(emitted(t, &r))
		require.NoError(t, err)
		require.NoError(t, again.Parse(header))
		require.Equal(t, r, again)
	})
}

func BenchmarkIPv4Parse(b *testing.B) {
	frame := goldenEchoRequest
	b.ReportAllocs()
	for b.Loop() {
		f, err := ParseEthernet(frame)
		if err != nil || f.EtherType() != EtherTypeIPv4 {
			b.Fatal(err)
		}
		p, err := ParseIPv4(f.Payload())
		if err != nil || !p.VerifyChecksum() || p.Dst() != golden100 {
			b.Fatal(err)
		}
	}
}

func BenchmarkIPv4ReprParse(b *testing.B) {
	p := IPv4Packet(goldenEchoRequest[14:])
	var r IPv4Repr
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Parse(p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIPv4Emit(b *testing.B) {
	ethernet := EthernetRepr{Dst: BroadcastHardwareAddr, EtherType: EtherTypeIPv4}
	r := IPv4Repr{Src: golden1, Dst: golden100, Protocol: protocolTCP, TTL: 64, DontFragment: true, PayloadLen: 1480}
	buf := make([]byte, EthernetHeaderLen+IPv4HeaderLen)
	b.ReportAllocs()
	for b.Loop() {
		ethernet.Emit(buf)
		r.Emit(buf[EthernetHeaderLen:])
	}
}
