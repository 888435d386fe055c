package wire

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	addr6A = netip.MustParseAddr("fdaa::1")
	addr6B = netip.MustParseAddr("fdaa::2")
	addr4A = netip.MustParseAddr("10.0.0.1")
	addr4B = netip.MustParseAddr("10.0.0.2")
)

// ipv6Payload is what a golden IPv6 packet carries behind its header.
func ipv6Payload(t testing.TB, packet []byte) []byte {
	t.Helper()
	p, err := ParseIPv6(packet)
	require.NoError(t, err)
	return p.Payload()
}

func TestUDPGolden(t *testing.T) {
	p, err := ParseUDP(ipv6Payload(t, goldenUDP6))
	require.NoError(t, err)
	require.EqualValues(t, 5000, p.SrcPort())
	require.EqualValues(t, 9, p.DstPort())
	require.Equal(t, 14, p.Length())
	require.EqualValues(t, 0xb8a4, p.Checksum())
	require.Equal(t, "closed", string(p.Payload()))
	require.True(t, p.VerifyChecksum(addr6A, addr6B))
	require.Equal(t, "5000 > 9: UDP, length 6", p.String())

	var r UDPRepr
	require.NoError(t, r.Parse(p))
	require.Equal(t, UDPRepr{SrcPort: 5000, DstPort: 9, PayloadLen: 6}, r)
	require.Equal(t, p.String(), r.String())

	b := append(emitted(t, &r), "closed"...)
	UDPPacket(b).FillChecksum(addr6A, addr6B)
	require.Equal(t, []byte(p), b)
}

func TestUDPTrailingOctetsAreNotPayload(t *testing.T) {
	p, err := ParseUDP(append(ipv6Payload(t, goldenUDP6), 1, 2, 3))
	require.NoError(t, err)
	require.Equal(t, "closed", string(p.Payload()))
	require.True(t, p.VerifyChecksum(addr6A, addr6B))
}

func TestParseUDPErrors(t *testing.T) {
	for _, test := range []struct {
		name        string
		octets      string
		err, header error
	}{
		{"nothing", "", ErrTruncated, ErrTruncated},
		{"one octet less than a header", "1388 0009 0008 00", ErrTruncated, ErrTruncated},
		{"length less than a header", "1388 0009 0007 0000", ErrLength, ErrLength},
		{"length 0, as in a jumbogram", "1388 0009 0000 0000", ErrLength, ErrLength},
		{"length beyond the end", "1388 0009 0009 0000", ErrLength, nil},
		{"no payload", "1388 0009 0008 0000", nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseUDP(unhex(test.octets))
			require.Equal(t, test.err, err)
			_, err = ParseUDPHeader(unhex(test.octets))
			require.Equal(t, test.header, err)
		})
	}
}

func TestUDPReprRefusesDestinationPort0(t *testing.T) {
	p, err := ParseUDP(unhex("1388 0000 0008 0000"))
	require.NoError(t, err)
	var r UDPRepr
	require.Equal(t, ErrMalformed, r.Parse(p))
}

func TestUDPVerifyChecksum(t *testing.T) {
	v4, err := ParseIPv4(goldenUDP4)
	require.NoError(t, err)
	none4, err := ParseIPv4(goldenUDPNoChecksum4)
	require.NoError(t, err)
	v6 := ipv6Payload(t, goldenUDP6)
	set := func(payload []byte, sum uint16) UDPPacket {
		p := UDPPacket(append([]byte(nil), payload...))
		p.SetChecksum(sum)
		return p
	}

	require.True(t, UDPPacket(v4.Payload()).VerifyChecksum(addr4A, addr4B))
	require.True(t, UDPPacket(none4.Payload()).VerifyChecksum(addr4A, addr4B), "over IPv4 there need not be a checksum")
	require.False(t, set(v4.Payload(), 0x946f).VerifyChecksum(addr4A, addr4B))
	require.False(t, UDPPacket(v4.Payload()).VerifyChecksum(addr4A, addr4A), "another destination")
	require.True(t, UDPPacket(v6).VerifyChecksum(addr6A, addr6B))
	require.False(t, set(v6, 0).VerifyChecksum(addr6A, addr6B), "over IPv6 there must be a checksum")
	require.False(t, set(v6, 0xb8a5).VerifyChecksum(addr6A, addr6B))
}

func TestUDPChecksumOfZeroIsSentAsAllOnes(t *testing.T) {
	b := make([]byte, UDPHeaderLen+2)
	r := UDPRepr{SrcPort: 1, DstPort: 2, PayloadLen: 2}
	r.Emit(b)
	UDPPacket(b).FillChecksum(addr4A, addr4B)
	// What is missing from a sum of all ones becomes payload.
	copy(b[UDPHeaderLen:], b[UDPChecksumField:UDPHeaderLen])
	UDPPacket(b).FillChecksum(addr4A, addr4B)
	require.EqualValues(t, 0xffff, UDPPacket(b).Checksum())
	require.True(t, UDPPacket(b).VerifyChecksum(addr4A, addr4B))
}

func TestFormatUDP(t *testing.T) {
	for _, test := range []struct{ name, octets, want string }{
		{"whole", "1388 0009 0009 0000 61", "fdaa::1.5000 > fdaa::2.9: UDP, length 1"},
		{"quoted to 8 octets", "1388 0009 0800 0000", "fdaa::1.5000 > fdaa::2.9: UDP, length 2040 [2040 octets missing]"},
		{"bad length", "1388 0009 0003 0000", "fdaa::1.5000 > fdaa::2.9: UDP, bad length 3"},
		{"seven octets", "1388 0009 0003 00", "fdaa::1 > fdaa::2: [|udp]"},
		{"nothing", "", "fdaa::1 > fdaa::2: [|udp]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, formatUDP(addr6A, addr6B, unhex(test.octets)))
		})
	}
	require.Equal(t, "[|udp]", UDPPacket(nil).String())
}

func TestUDPAllocatesNothing(t *testing.T) {
	b := append([]byte(nil), ipv6Payload(t, goldenUDP6)...)
	requireNoAllocs(t, func() {
		p, err := ParseUDP(b)
		var r UDPRepr
		if err != nil || !p.VerifyChecksum(addr6A, addr6B) || r.Parse(p) != nil {
			panic("refused")
		}
		r.Emit(b)
		p.FillChecksum(addr6A, addr6B)
	})
}

func FuzzUDP(f *testing.F) {
	for _, seed := range []string{"", "1388 0009 000e 9d59 636c 6f73 6564", "1388 0009 0007 0000", "1388 0000 ffff 0000"} {
		f.Add(unhex(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = formatUDP(addr6A, addr6B, b)
		_ = UDPPacket(b).String()
		if p, err := ParseUDPHeader(b); err == nil {
			_, _ = p.Payload(), p.String()
		}
		p, err := ParseUDP(b)
		if err != nil {
			return
		}
		require.Equal(t, p.Length(), UDPHeaderLen+len(p.Payload()))
		_, _ = p.VerifyChecksum(addr6A, addr6B), p.String()
		var r UDPRepr
		if r.Parse(p) != nil {
			return
		}
		again := append([]byte(nil), p...)
		r.Emit(again)
		UDPPacket(again).SetChecksum(p.Checksum())
		require.Equal(t, []byte(p), again)
	})
}
