package wire

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Packets of the Linux 6 kernel, captured between two interfaces of a veth pair: a socket of 192.168.69.1 joins 239.1.2.3
// and then 232.1.2.3 with one source, and leaves both; force_igmp_version was 3, 2 and 1. The queries are a bridge's with
// mcast_querier.
var (
	goldenIGMPv3Join = unhex(`46c00034 00004000 0102fe43 c0a84501 e0000016 94040000
		2200f3e5 00000002 05000001 e8010203 c0a84564 04000000 ef010203`)
	goldenIGMPv3Leave = unhex(`46c00034 00004000 0102fe43 c0a84501 e0000016 94040000
		2200f3e5 00000002 06000001 e8010203 c0a84564 03000000 ef010203`)
	goldenIGMPv2Report = unhex(`46c00020 00004000 0102ed69 c0a84501 ef010203 94040000 1600f8fa ef010203`)
	goldenIGMPv2Leave  = unhex(`46c00020 00004000 0102fe6b c0a84501 e0000002 94040000 1700f7fa ef010203`)
	goldenIGMPv1Report = unhex(`46c00020 00004000 0102ed69 c0a84501 ef010203 94040000 1200fcfa ef010203`)
	goldenIGMPv3Query  = unhex(`46c00024 00004000 0102fe68 c0a84501 e0000001 94040000 1164ec1e 00000000 027d0000`)
	goldenIGMPv2Query  = unhex(`46c00020 00004000 0102fe6c c0a84501 e0000001 94040000 1164ee9b 00000000`)
)

var goldenIGMP = [][]byte{
	goldenIGMPv3Join, goldenIGMPv3Leave, goldenIGMPv2Report, goldenIGMPv2Leave, goldenIGMPv1Report, goldenIGMPv3Query,
	goldenIGMPv2Query,
}

var (
	groupA  = netip.MustParseAddr("239.1.2.3")
	groupB  = netip.MustParseAddr("232.1.2.3")
	sourceA = netip.MustParseAddr("192.168.69.100")
	sourceB = netip.MustParseAddr("192.168.69.101")
)

// igmpRepr is what all representations of IGMP messages have.
type igmpRepr interface {
	Len() int
	Emit(b []byte)
	String() string
	Parse(p IGMPPacket) error
}

func TestIGMPGolden(t *testing.T) {
	for _, test := range []struct {
		name         string
		packet       []byte
		parsed, want igmpRepr
		print        string
	}{
		{"v3 report of a join", goldenIGMPv3Join, &IGMPv3ReportRepr{}, &IGMPv3ReportRepr{Records: []MulticastRecord{
			{MulticastAllowNew, groupB, []netip.Addr{sourceA}}, {MulticastToExclude, groupA, nil},
		}}, "igmp v3 report, 2 group record(s) [gaddr 232.1.2.3 allow { 192.168.69.100 }] [gaddr 239.1.2.3 to_ex { }]"},
		{"v3 report of leaving", goldenIGMPv3Leave, &IGMPv3ReportRepr{}, &IGMPv3ReportRepr{Records: []MulticastRecord{
			{MulticastBlockOld, groupB, []netip.Addr{sourceA}}, {MulticastToInclude, groupA, nil},
		}}, "igmp v3 report, 2 group record(s) [gaddr 232.1.2.3 block { 192.168.69.100 }] [gaddr 239.1.2.3 to_in { }]"},
		{"v2 report", goldenIGMPv2Report, &IGMPGroupRepr{}, &IGMPGroupRepr{IGMPv2Report, groupA}, "igmp v2 report 239.1.2.3"},
		{"v2 leave", goldenIGMPv2Leave, &IGMPGroupRepr{}, &IGMPGroupRepr{IGMPv2Leave, groupA}, "igmp leave 239.1.2.3"},
		{"v1 report", goldenIGMPv1Report, &IGMPGroupRepr{}, &IGMPGroupRepr{IGMPv1Report, groupA}, "igmp v1 report 239.1.2.3"},
		{"v3 query", goldenIGMPv3Query, &IGMPQueryRepr{}, &IGMPQueryRepr{
			Version: 3, Group: netip.IPv4Unspecified(), MaxResponse: 10 * time.Second, Robustness: 2, Interval: 125 * time.Second,
		}, "igmp query v3 [max resp time 10s] robustness 2, qqi 2m5s"},
		{"v2 query", goldenIGMPv2Query, &IGMPQueryRepr{}, &IGMPQueryRepr{
			Version: 2, Group: netip.IPv4Unspecified(), MaxResponse: 10 * time.Second,
		}, "igmp query v2 [max resp time 10s]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			packet, err := ParseIPv4(test.packet)
			require.NoError(t, err)
			p, err := ParseIGMP(packet.Payload())
			require.NoError(t, err)
			require.NoError(t, test.parsed.Parse(p))
			require.Equal(t, test.want, test.parsed)
			require.Equal(t, test.print, test.parsed.String())
			require.Equal(t, "IP (options ra) "+packet.Src().String()+" > "+packet.Dst().String()+": "+test.print, packet.String())
			require.Equal(t, []byte(p), emitted(t, test.parsed), "emitted, it is the peer's, octet by octet")
		})
	}
}

func TestIGMPEmitParse(t *testing.T) {
	for _, test := range []struct {
		name      string
		r, parsed igmpRepr
		print     string
	}{
		{"v1 query", &IGMPQueryRepr{Version: 1, Group: netip.IPv4Unspecified(), MaxResponse: 10 * time.Second}, &IGMPQueryRepr{},
			"igmp query v1"},
		{"v2 query about a group", &IGMPQueryRepr{Version: 2, Group: groupA, MaxResponse: 25500 * time.Millisecond}, &IGMPQueryRepr{},
			"igmp query v2 [max resp time 25.5s] [gaddr 239.1.2.3]"},
		{"v3 query about a group and sources", &IGMPQueryRepr{
			Version: 3, Group: groupA, MaxResponse: time.Second, Suppress: true, Robustness: 7, Interval: 31744 * time.Second,
			Sources: []netip.Addr{sourceA, sourceB},
		}, &IGMPQueryRepr{}, "igmp query v3 [max resp time 1s] [gaddr 239.1.2.3] sflag robustness 7, qqi 8h49m4s " +
			"{ 192.168.69.100 192.168.69.101 }"},
		{"v3 query with a time in floating point", &IGMPQueryRepr{
			Version: 3, Group: netip.IPv4Unspecified(), MaxResponse: 3174400 * time.Millisecond,
		}, &IGMPQueryRepr{}, "igmp query v3 [max resp time 52m54.4s] robustness 0, qqi 0s"},
		{"v3 report of every type", &IGMPv3ReportRepr{Records: []MulticastRecord{
			{MulticastIsInclude, groupA, []netip.Addr{sourceA, sourceB}}, {MulticastIsExclude, groupA, nil},
			{MulticastToInclude, groupA, nil}, {MulticastToExclude, groupA, []netip.Addr{sourceB}},
			{MulticastAllowNew, groupB, []netip.Addr{sourceA}}, {MulticastBlockOld, groupB, []netip.Addr{sourceA}},
		}}, &IGMPv3ReportRepr{}, "igmp v3 report, 6 group record(s) [gaddr 239.1.2.3 is_in { 192.168.69.100 192.168.69.101 }] " +
			"[gaddr 239.1.2.3 is_ex { }] [gaddr 239.1.2.3 to_in { }] [gaddr 239.1.2.3 to_ex { 192.168.69.101 }] " +
			"[gaddr 232.1.2.3 allow { 192.168.69.100 }] [gaddr 232.1.2.3 block { 192.168.69.100 }]"},
		{"v3 report of nothing", &IGMPv3ReportRepr{}, &IGMPv3ReportRepr{}, "igmp v3 report, 0 group record(s)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := IGMPPacket(emitted(t, test.r))
			require.NoError(t, test.parsed.Parse(p))
			require.Equal(t, test.r, test.parsed)
			require.Equal(t, test.print, test.r.String())
		})
	}
}

func TestIGMPParseErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		octets string // without checksum
		r      igmpRepr
		err    error
	}{
		{"query of 9 octets", "11640000 00000000 00", &IGMPQueryRepr{}, ErrMalformed},
		{"query of 11 octets", "11640000 00000000 000000", &IGMPQueryRepr{}, ErrMalformed},
		{"query about what is no group", "11640000 c0a84501", &IGMPQueryRepr{}, ErrMalformed},
		{"query without its sources", "11640000 ef010203 027d0002 c0a84564", &IGMPQueryRepr{}, ErrTruncated},
		{"query about sources of no group", "11640000 00000000 027d0001 c0a84564", &IGMPQueryRepr{}, ErrMalformed},
		{"report instead of a query", "16000000 ef010203", &IGMPQueryRepr{}, ErrMalformed},
		{"report of what is no group", "16000000 c0a84501", &IGMPGroupRepr{}, ErrMalformed},
		{"query instead of a report", "11640000 ef010203", &IGMPGroupRepr{}, ErrMalformed},
		{"v3 report without its record", "22000000 00000001", &IGMPv3ReportRepr{}, ErrTruncated},
		{"v3 report without its sources", "22000000 00000001 04000001 ef010203", &IGMPv3ReportRepr{}, ErrTruncated},
		{"v3 report without its auxiliary data", "22000000 00000001 04010000 ef010203", &IGMPv3ReportRepr{}, ErrTruncated},
		{"v3 report of type 7", "22000000 00000001 07000000 ef010203", &IGMPv3ReportRepr{}, ErrMalformed},
		{"v3 report of type 0", "22000000 00000001 00000000 ef010203", &IGMPv3ReportRepr{}, ErrMalformed},
		{"v3 report of what is no group", "22000000 00000001 04000000 c0a84501", &IGMPv3ReportRepr{}, ErrMalformed},
		{"v3 report instead of a v2 report", "22000000 00000000", &IGMPGroupRepr{}, ErrMalformed},
		{"v2 report instead of a v3 report", "16000000 ef010203", &IGMPv3ReportRepr{}, ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := ParseIGMP(unhex(test.octets))
			require.NoError(t, err)
			require.Equal(t, ErrChecksum, test.r.Parse(p))
			p.FillChecksum()
			require.Equal(t, test.err, test.r.Parse(p))
		})
	}
	_, err := ParseIGMP(make([]byte, 7))
	require.Equal(t, ErrTruncated, err)
}

func TestIGMPSkipsAuxiliaryData(t *testing.T) {
	p := IGMPPacket(unhex("22000000 00000002 04010000 ef010203 ffffffff 03000000 e8010203"))
	p.FillChecksum()
	var r IGMPv3ReportRepr
	require.NoError(t, r.Parse(p))
	require.Equal(t, []MulticastRecord{{MulticastToExclude, groupA, nil}, {MulticastToInclude, groupB, nil}}, r.Records)
}

func TestIGMPPrintsWhatItRefuses(t *testing.T) {
	for print, octets := range map[string]string{
		"[|igmp]":                                 "1164",
		"igmp unknown type 0x99, length 8":        "9964000000000000",
		"igmp query of unknown version, length 9": "116400000000000000",
		"igmp query v3 [max resp time 10s] robustness 2, qqi 2m5s [|igmp]":      "1164000000000000027d0001",
		"igmp v3 report, 2 group record(s) [gaddr 239.1.2.3 to_ex { }] [|igmp]": "220000000000000204000000ef010203",
		"igmp v2 report 192.168.69.1":                                           "16000000c0a84501",
		"igmp v3 report, 1 group record(s) [|igmp]":                             "220000000000000109000000ef010203",
	} {
		require.Equal(t, print, IGMPPacket(unhex(octets)).String())
	}
}

func TestMulticastFloat(t *testing.T) {
	for code := range uint32(256) {
		require.Equal(t, code, encodeFloat(uint64(decodeFloat(code, 4)), 4), "every code stands for one number")
	}
	for code := range uint32(65536) {
		require.Equal(t, code, encodeFloat(uint64(decodeFloat(code, 12)), 12))
	}
	require.EqualValues(t, 128, decodeFloat(0x80, 4))
	require.EqualValues(t, 31744, decodeFloat(0xff, 4))
	require.EqualValues(t, 8387584, decodeFloat(0xffff, 12))
	require.EqualValues(t, 0x80, encodeFloat(135, 4), "rounded down")
	require.EqualValues(t, 0xff, encodeFloat(1<<40, 4), "the most there is")
}

func FuzzIGMP(f *testing.F) {
	for _, packet := range goldenIGMP {
		f.Add(packet[24:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = IGMPPacket(b).String()
		p, err := ParseIGMP(b)
		if err != nil {
			return
		}
		p = bytes.Clone(p)
		p.FillChecksum() // the fuzzer seldom finds a right one
		for _, r := range [][2]igmpRepr{
			{&IGMPQueryRepr{}, &IGMPQueryRepr{}}, {&IGMPGroupRepr{}, &IGMPGroupRepr{}}, {&IGMPv3ReportRepr{}, &IGMPv3ReportRepr{}},
		} {
			if r[0].Parse(p) == nil {
				require.NoError(t, r[1].Parse(emitted(t, r[0])))
				require.Equal(t, r[0], r[1])
				_ = r[0].String()
			}
		}
	})
}
