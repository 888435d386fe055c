package wire

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Packets of the Linux 6 kernel, captured between two interfaces of a veth pair: a socket of fe80::ff:fe00:1 joins
// ff05::123 and leaves it; force_mld_version was 2 and 1.
var (
	goldenMLDv2Join = unhex(`60000000 00240001 fe800000000000000000 00fffe000001 ff020000000000000000000000000016
		3a00050200000100 8f006fe4 00000001 04000000 ff050000000000000000000000000123`)
	goldenMLDv2Leave = unhex(`60000000 00240001 fe800000000000000000 00fffe000001 ff020000000000000000000000000016
		3a00050200000100 8f0070e4 00000001 03000000 ff050000000000000000000000000123`)
	goldenMLDv1Report = unhex(`60000000 00200001 fe800000000000000000 00fffe000001 ff050000000000000000000000000123
		3a00050200000100 83007ed9 00000000 ff050000000000000000000000000123`)
	goldenMLDv1Done = unhex(`60000000 00200001 fe800000000000000000 00fffe000001 ff020000000000000000000000000002
		3a00050200000100 84007efd 00000000 ff050000000000000000000000000123`)
)

var goldenMLD = [][]byte{goldenMLDv2Join, goldenMLDv2Leave, goldenMLDv1Report, goldenMLDv1Done}

var (
	groupA6  = netip.MustParseAddr("ff05::123")
	groupB6  = netip.MustParseAddr("ff35::8000:1")
	allNodes = netip.MustParseAddr("ff02::1")
)

// mldRepr is what all representations of Multicast Listener Discovery messages have.
type mldRepr interface {
	icmpv6Emitter
	Parse(p ICMPv6Packet) error
}

func TestMLDGolden(t *testing.T) {
	for _, test := range []struct {
		name         string
		packet       []byte
		parsed, want mldRepr
		print        string
	}{
		{"v2 report of a join", goldenMLDv2Join, &MLDv2ReportRepr{},
			&MLDv2ReportRepr{Records: []MulticastRecord{{MulticastToExclude, groupA6, nil}}},
			"ICMP6, multicast listener report v2, 1 group record(s) [gaddr ff05::123 to_ex { }], length 28"},
		{"v2 report of leaving", goldenMLDv2Leave, &MLDv2ReportRepr{},
			&MLDv2ReportRepr{Records: []MulticastRecord{{MulticastToInclude, groupA6, nil}}},
			"ICMP6, multicast listener report v2, 1 group record(s) [gaddr ff05::123 to_in { }], length 28"},
		{"v1 report", goldenMLDv1Report, &MLDReportRepr{}, &MLDReportRepr{Group: groupA6},
			"ICMP6, multicast listener report addr: ff05::123, length 24"},
		{"v1 done", goldenMLDv1Done, &MLDReportRepr{}, &MLDReportRepr{Done: true, Group: groupA6},
			"ICMP6, multicast listener done addr: ff05::123, length 24"},
	} {
		t.Run(test.name, func(t *testing.T) {
			packet, err := ParseIPv6(test.packet)
			require.NoError(t, err)
			p, err := ParseICMPv6(packet.Payload()[8:])
			require.NoError(t, err)
			require.True(t, p.VerifyChecksum(packet.Src(), packet.Dst()))
			require.NoError(t, test.parsed.Parse(p))
			require.Equal(t, test.want, test.parsed)
			require.Equal(t, test.print, test.parsed.String())
			require.Contains(t, packet.String(), test.print)
			require.Equal(t, p, emitted6(t, test.parsed, packet.Src(), packet.Dst()), "emitted, it is the peer's, octet by octet")
		})
	}
}

// The layouts of queries are those of RFC 2710 section 3 and RFC 3810 section 5.1.
func TestMLDQuery(t *testing.T) {
	general := make([]byte, 16)
	for _, test := range []struct {
		name   string
		octets []byte // without checksum
		want   MLDQueryRepr
		print  string
	}{
		{"v1 about all groups", append(unhex("82000000 27100000"), general...),
			MLDQueryRepr{Version: 1, Group: netip.IPv6Unspecified(), MaxResponse: 10 * time.Second},
			"ICMP6, multicast listener query v1 [max resp delay 10s], length 24"},
		{"v1 about a group", append(unhex("82000000 ffff0000"), groupA6.AsSlice()...),
			MLDQueryRepr{Version: 1, Group: groupA6, MaxResponse: 65535 * time.Millisecond},
			"ICMP6, multicast listener query v1 [max resp delay 1m5.535s] [gaddr ff05::123], length 24"},
		{"v2 about all groups", append(append(unhex("82000000 27100000"), general...), unhex("027d0000")...),
			MLDQueryRepr{
				Version: 2, Group: netip.IPv6Unspecified(), MaxResponse: 10 * time.Second, Robustness: 2, Interval: 125 * time.Second,
			}, "ICMP6, multicast listener query v2 [max resp delay 10s] robustness 2, qqi 2m5s, length 28"},
		{"v2 about a group and a source", append(append(unhex("82000000 80000000"), groupA6.AsSlice()...),
			append(unhex("0a7d0001"), addr6A.AsSlice()...)...),
			MLDQueryRepr{
				Version: 2, Group: groupA6, MaxResponse: 32768 * time.Millisecond, Suppress: true, Robustness: 2,
				Interval: 125 * time.Second, Sources: []netip.Addr{addr6A},
			}, "ICMP6, multicast listener query v2 [max resp delay 32.768s] [gaddr ff05::123] sflag robustness 2, qqi 2m5s " +
				"{ " + addr6A.String() + " }, length 44"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := ICMPv6Packet(test.octets)
			p.FillChecksum(linkLocalA, allNodes)
			var r MLDQueryRepr
			require.NoError(t, r.Parse(p))
			require.Equal(t, test.want, r)
			require.Equal(t, test.print, r.String())
			require.Equal(t, test.print, p.String())
			require.Equal(t, p, emitted6(t, &r, linkLocalA, allNodes))
		})
	}
}

func TestMLDEmitParse(t *testing.T) {
	r := &MLDv2ReportRepr{Records: []MulticastRecord{
		{MulticastIsInclude, groupB6, []netip.Addr{addr6A, addr6B}}, {MulticastIsExclude, groupA6, nil},
		{MulticastAllowNew, groupB6, []netip.Addr{addr6A}}, {MulticastBlockOld, groupB6, []netip.Addr{addr6B}},
	}}
	var again MLDv2ReportRepr
	require.NoError(t, again.Parse(emitted6(t, r, linkLocalA, allNodes)))
	require.Equal(t, *r, again)
}

func TestMLDParseErrors(t *testing.T) {
	const group, nobody = "ff050000000000000000000000000123", "fdaa0000000000000000000000000001"
	const general = "00000000000000000000000000000000"
	for _, test := range []struct {
		name   string
		octets string
		r      mldRepr
		err    error
	}{
		{"query cut short", "8200000027100000" + group[2:], &MLDQueryRepr{}, ErrMalformed},
		{"query between versions", "8200000027100000" + group + "0000", &MLDQueryRepr{}, ErrMalformed},
		{"query with a code", "8201000027100000" + group, &MLDQueryRepr{}, ErrMalformed},
		{"query about what is no group", "8200000027100000" + nobody, &MLDQueryRepr{}, ErrMalformed},
		{"query without its sources", "8200000027100000" + group + "027d0001", &MLDQueryRepr{}, ErrTruncated},
		{"query about sources of no group", "8200000027100000" + general + "027d0001" + nobody, &MLDQueryRepr{}, ErrMalformed},
		{"report instead of a query", "8300000000000000" + group, &MLDQueryRepr{}, ErrMalformed},
		{"report cut short", "8300000000000000" + group[2:], &MLDReportRepr{}, ErrTruncated},
		{"report of what is no group", "8300000000000000" + nobody, &MLDReportRepr{}, ErrMalformed},
		{"query instead of a report", "8200000000000000" + group, &MLDReportRepr{}, ErrMalformed},
		{"v2 report without its record", "8f00000000000001", &MLDv2ReportRepr{}, ErrTruncated},
		{"v2 report without its sources", "8f00000000000001 04000001" + group, &MLDv2ReportRepr{}, ErrTruncated},
		{"v2 report of type 7", "8f00000000000001 07000000" + group, &MLDv2ReportRepr{}, ErrMalformed},
		{"v2 report of what is no group", "8f00000000000001 04000000" + nobody, &MLDv2ReportRepr{}, ErrMalformed},
		{"v1 report instead of a v2 report", "8300000000000000" + group, &MLDv2ReportRepr{}, ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := ParseICMPv6(unhex(test.octets))
			require.NoError(t, err)
			require.Equal(t, test.err, test.r.Parse(p))
			_ = p.String()
		})
	}
}

func FuzzMLD(f *testing.F) {
	for _, packet := range goldenMLD {
		f.Add(packet[IPv6HeaderLen+8:])
	}
	f.Add(unhex("8200000027100000 ff050000000000000000000000000123 027d0001 fdaa0000000000000000000000000001"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = ICMPv6Packet(b).String()
		p, err := ParseICMPv6(b)
		if err != nil {
			return
		}
		for _, r := range [][2]mldRepr{
			{&MLDQueryRepr{}, &MLDQueryRepr{}}, {&MLDReportRepr{}, &MLDReportRepr{}}, {&MLDv2ReportRepr{}, &MLDv2ReportRepr{}},
		} {
			if r[0].Parse(p) == nil {
				require.NoError(t, r[1].Parse(emitted6(t, r[0], linkLocalA, allNodes)))
				require.Equal(t, r[0], r[1])
				_ = r[0].String()
			}
		}
	})
}
