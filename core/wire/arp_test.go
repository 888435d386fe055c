package wire

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

var arpReprs = []struct {
	name string
	b    []byte
	repr ARPRepr
	want string
}{
	{
		"request", goldenARPRequest[14:],
		ARPRepr{
			Operation:      ARPRequest,
			SenderHardware: HardwareAddr{2, 0, 0, 0, 0, 1},
			SenderProtocol: netip.MustParseAddr("192.168.69.1"),
			TargetProtocol: netip.MustParseAddr("192.168.69.100"),
		},
		"ARP, Request who-has 192.168.69.100 tell 192.168.69.1",
	},
	{
		"reply", goldenARPReply[14:],
		ARPRepr{
			Operation:      ARPReply,
			SenderHardware: HardwareAddr{2, 0, 0, 0, 0, 2},
			SenderProtocol: netip.MustParseAddr("192.168.69.100"),
			TargetHardware: HardwareAddr{2, 0, 0, 0, 0, 1},
			TargetProtocol: netip.MustParseAddr("192.168.69.1"),
		},
		"ARP, Reply 192.168.69.100 is-at 02:00:00:00:00:02",
	},
	{
		// RFC 5227, section 1.1: a probe is a request "with an all-zero 'sender IP address'".
		"probe", unhex("0001 0800 06 04 0001 020000000001 00000000 000000000000 c0a84501"),
		ARPRepr{
			Operation:      ARPRequest,
			SenderHardware: HardwareAddr{2, 0, 0, 0, 0, 1},
			SenderProtocol: netip.IPv4Unspecified(),
			TargetProtocol: netip.MustParseAddr("192.168.69.1"),
		},
		"ARP, Request who-has 192.168.69.1 tell 0.0.0.0",
	},
	{
		// RFC 1122, section 2.3.2.1 (2): a "Unicast Poll" of a neighbour already known.
		"poll", unhex("0001 0800 06 04 0001 020000000001 c0a84501 020000000002 c0a84564"),
		ARPRepr{
			Operation:      ARPRequest,
			SenderHardware: HardwareAddr{2, 0, 0, 0, 0, 1},
			SenderProtocol: netip.MustParseAddr("192.168.69.1"),
			TargetHardware: HardwareAddr{2, 0, 0, 0, 0, 2},
			TargetProtocol: netip.MustParseAddr("192.168.69.100"),
		},
		"ARP, Request who-has 192.168.69.100 (02:00:00:00:00:02) tell 192.168.69.1",
	},
}

func TestARPRepr(t *testing.T) {
	for _, tt := range arpReprs {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.b, emitted(t, &tt.repr))
			require.Equal(t, tt.want, tt.repr.String())

			p, err := ParseARP(tt.b)
			require.NoError(t, err)
			require.Equal(t, tt.want+", length 28", p.String())
			var got ARPRepr
			require.NoError(t, got.Parse(p))
			require.Equal(t, tt.repr, got)
		})
	}
}

func TestARPReprWithoutAddresses(t *testing.T) {
	none := ARPRepr{Operation: ARPRequest, TargetProtocol: netip.MustParseAddr("fdaa::1")}
	require.Equal(t, unhex("0001 0800 06 04 0001 000000000000 00000000 000000000000 00000000"), emitted(t, &none))
}

func TestARPAccessors(t *testing.T) {
	p, err := ParseARP(append(bytes.Clone(goldenARPReply[14:]), make([]byte, 18)...)) // padded to 60 octets
	require.NoError(t, err)
	require.Len(t, p, ARPLen, "the padding is not part of it")
	require.Equal(t, uint16(1), p.HardwareType())
	require.Equal(t, EtherTypeIPv4, p.ProtocolType())
	require.Equal(t, ARPReply, p.Operation())
	require.Equal(t, unhex("020000000002"), p.SenderHardware())
	require.Equal(t, unhex("c0a84564"), p.SenderProtocol())
	require.Equal(t, unhex("020000000001"), p.TargetHardware())
	require.Equal(t, unhex("c0a84501"), p.TargetProtocol())

	// Hardware addresses of another length: EUI-64, IANA's type 27.
	p, err = ParseARP(unhex("001b 0800 08 04 0001 0001020304050607 c0a84501 1011121314151617 c0a84564"))
	require.NoError(t, err)
	require.Equal(t, 8, p.HardwareLen())
	require.Equal(t, 4, p.ProtocolLen())
	require.Equal(t, unhex("c0a84501"), p.SenderProtocol())
	require.Equal(t, unhex("1011121314151617"), p.TargetHardware())
	require.Equal(t, unhex("c0a84564"), p.TargetProtocol())
}

func TestARPRefused(t *testing.T) {
	// change returns the golden request with one octet changed.
	change := func(i int, to byte) []byte {
		b := bytes.Clone(goldenARPRequest[14:])
		b[i] = to
		return b
	}
	for _, tt := range []struct {
		name  string
		b     []byte
		parse error
		repr  error
		want  string
	}{
		{"nothing", nil, ErrTruncated, nil, "ARP [|arp]"},
		{"no lengths", goldenARPRequest[14:][:7], ErrTruncated, nil, "ARP [|arp]"},
		{"no last octet", goldenARPRequest[14:][:27], ErrTruncated, nil, "ARP [|arp]"},
		{"longer addresses than there are", change(4, 255), ErrTruncated, nil, "ARP [|arp]"},
		{
			"IEEE 802 hardware", change(1, 6), nil, ErrVersion,
			"ARP, hardware 6 (len 6), protocol IPv4 (0x0800) (len 4), Request, length 28",
		},
		{
			"other protocol", change(3, 6), nil, ErrVersion,
			"ARP, hardware 1 (len 6), protocol ARP (0x0806) (len 4), Request, length 28",
		},
		{
			"short hardware address", change(4, 5), nil, ErrVersion,
			"ARP, hardware 1 (len 5), protocol IPv4 (0x0800) (len 4), Request, length 28",
		},
		{
			"no protocol address", change(5, 0), nil, ErrVersion,
			"ARP, hardware 1 (len 6), protocol IPv4 (0x0800) (len 0), Request, length 28",
		},
		{
			"reverse request", change(7, 3), nil, ErrMalformed,
			"ARP, operation 3, sender 192.168.69.1 02:00:00:00:00:01, " +
				"target 192.168.69.100 00:00:00:00:00:00, length 28",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, ARPPacket(tt.b).String())
			p, err := ParseARP(tt.b)
			require.Equal(t, tt.parse, err)
			if err == nil {
				require.Equal(t, tt.repr, new(ARPRepr).Parse(p))
			}
		})
	}
}

func FuzzARP(f *testing.F) {
	for _, tt := range arpReprs {
		f.Add(tt.b)
	}
	f.Add(unhex("001b 0800 08 04 0001 0001020304050607 c0a84501 1011121314151617 c0a84564"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = ARPPacket(b).String()
		p, err := ParseARP(b)
		if err != nil {
			return
		}
		require.Len(t, p.SenderHardware(), p.HardwareLen())
		require.Len(t, p.SenderProtocol(), p.ProtocolLen())
		require.Len(t, p.TargetHardware(), p.HardwareLen())
		require.Len(t, p.TargetProtocol(), p.ProtocolLen())
		_, _ = p.HardwareType(), p.ProtocolType()
		var r, again ARPRepr
		if r.Parse(p) != nil {
			return
		}
		out := emitted(t, &r)
		require.Equal(t, []byte(p), out)
		require.NoError(t, again.Parse(out))
		require.Equal(t, r, again)
	})
}
