package wire

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Packets of RIOT's nodes, recorded by Wireshark's reckoning as frames 3, 177, 190 and 192 of the capture that the tests of
// 6LoWPAN have, decompressed.
var (
	goldenRPLDIS = unhex(`6000 0000 000a 3a40 fe80 0000 0000 0000 0011 2233 4455 660a ff02 0000 0000 0000 0000 0000 0000 001a
		9b00 9977 0000 0102 0000`)
	goldenRPLDIO = unhex(`6000 0000 004c 3a40 fe80 0000 0000 0000 0011 2233 4455 660a ff02 0000 0000 0000 0000 0000 0000 001a
		9b01 5b06 01f0 0100 9001 0000 2001 0db8 0000 0000 0000 0000 0000 0001 040e 0014 030a 0000 0100 0000 0005 003c
		081e 4040 ffff ffff ffff ffff 0000 0000 2001 0db8 0000 0000 0000 0000 0000 0000`)
	goldenRPLDAO = unhex(`6000 0000 0022 3a40 fe80 0000 0000 0000 0011 2233 4455 660b fe80 0000 0000 0000 0011 2233 4455 660a
		9b02 c5ed 0180 00f0 0512 0080 2001 0db8 0000 0000 0011 2233 4455 660b 0604 0000 0005`)
	goldenRPLDAOAck = unhex(`6000 0000 0008 3a40 fe80 0000 0000 0000 0011 2233 4455 660a fe80 0000 0000 0000 0011 2233 4455 660b
		9b03 dd6e 0100 f000`)
)

// Messages of Contiki-NG's nodes, which smoltcp has among its tests, with no checksum.
var (
	goldenRPLShortDIS = unhex("9b00 0000 0000")
	goldenRPLMRHOF    = unhex(`9b01 0000 00f0 0080 08f0 0000 fd00 0000 0000 0000 0201 0001 0001 0001
		040e 0008 0c00 0400 0080 0001 001e 003c 081e 4040 ffff ffff ffff ffff 0000 0000 fd00 0000 0000 0000 0000 0000 0000 0000`)
	goldenRPLNonStoringDAO = unhex(`9b02 0000 0080 00f1 0512 0080 fd00 0000 0000 0000 0202 0002 0002 0002
		0614 0000 001e fd00 0000 0000 0000 0201 0001 0001 0001`)
)

type rplRepr interface {
	icmpv6Emitter
	Parse(p RPLPacket) error
}

func rplOptions(options ...RPLOptionRepr) (o RPLOptions) {
	for _, option := range options {
		o = o.Append(option)
	}
	return o
}

func TestRPLGolden(t *testing.T) {
	root, node := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::11:2233:4455:660b")
	for _, test := range []struct {
		name   string
		packet []byte
		empty  rplRepr
		want   rplRepr
		print  string
	}{
		{"DIS", goldenRPLDIS, new(RPLDISRepr), &RPLDISRepr{Options: rplOptions(&RPLPaddingRepr{4})},
			"IP6 fe80::11:2233:4455:660a > ff02::1a: ICMP6, RPL, DODAG information solicitation, length 10"},
		{"DIO", goldenRPLDIO, new(RPLDIORepr), &RPLDIORepr{
			Instance: 1, Version: 240, Rank: 256, Grounded: true, Mode: RPLStoring, DTSN: 1, DODAG: root,
			Options: rplOptions(
				&RPLDODAGConfigurationRepr{
					IntervalDoublings: 20, IntervalMin: 3, Redundancy: 10, MinHopRankIncrease: 256, DefaultLifetime: 5, LifetimeUnit: 60},
				&RPLPrefixInformationRepr{Prefix: netip.MustParsePrefix("2001:db8::/64"), Autonomous: true,
					ValidLifetime: NDInfiniteLifetime, PreferredLifetime: NDInfiniteLifetime}),
		}, "IP6 fe80::11:2233:4455:660a > ff02::1a: ICMP6, RPL, DODAG information object " +
			"[dodagid:2001:db8::1,seq:240,instance:1,rank:256,dtsn:1,grounded,mop:storing,prf:0], " +
			"config pcs 0, imin 3, doublings 20, k 10, max-rank-inc 0, min-hop-rank-inc 256, ocp 0, lifetime 5 x 60s; " +
			"prefix info 2001:db8::/64, Flags [auto], valid time infinity, pref. time infinity, length 76"},
		{"DAO", goldenRPLDAO, new(RPLDAORepr), &RPLDAORepr{Instance: 1, Ack: true, Sequence: 240, Options: rplOptions(
			&RPLTargetRepr{netip.PrefixFrom(node, 128)}, &RPLTransitInformationRepr{PathLifetime: 5})},
			"IP6 fe80::11:2233:4455:660b > fe80::11:2233:4455:660a: ICMP6, RPL, destination advertisement object " +
				"[seq:240,instance:1,flags:80], target 2001:db8::11:2233:4455:660b/128; transit control 0x00, seq 0, lifetime 5, length 34"},
		{"DAO-ACK", goldenRPLDAOAck, new(RPLDAOAckRepr), &RPLDAOAckRepr{Instance: 1, Sequence: 240, Options: RPLOptions{}},
			"IP6 fe80::11:2233:4455:660a > fe80::11:2233:4455:660b: ICMP6, RPL, destination advertisement object ack " +
				"[seq:240,instance:1,status:0], length 8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			packet, err := ParseIPv6(test.packet)
			require.NoError(t, err)
			p, err := ParseRPL(packet.Payload())
			require.NoError(t, err)
			require.True(t, p.VerifyChecksum(packet.Src(), packet.Dst()))
			require.NoError(t, test.empty.Parse(p))
			require.Equal(t, test.want, test.empty)
			require.Equal(t, []byte(p), []byte(emitted6(t, test.want, packet.Src(), packet.Dst())))
			require.Equal(t, test.print, packet.String())
			require.Equal(t, p.String(), test.want.String())
			require.Equal(t, p.String(), ICMPv6Packet(p).String())
		})
	}
}

// TestRPLCapture has every RPL message of RIOT's parsed, and made again octet by octet.
func TestRPLCapture(t *testing.T) {
	b, err := os.ReadFile("testdata/rpl.txt")
	require.NoError(t, err)
	count := 0
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		count++
		packet, err := ParseIPv6(unhex(line))
		require.NoError(t, err, line)
		p, err := ParseRPL(packet.Payload())
		require.NoError(t, err, line)
		require.True(t, p.VerifyChecksum(packet.Src(), packet.Dst()), line)
		require.NotContains(t, p.String(), "unknown", line)
		require.NotContains(t, p.String(), "bad", line)
		r := []rplRepr{new(RPLDISRepr), new(RPLDIORepr), new(RPLDAORepr), new(RPLDAOAckRepr)}[p.Code()]
		require.NoError(t, r.Parse(p), line)
		require.Equal(t, []byte(p), []byte(emitted6(t, r, packet.Src(), packet.Dst())), line)
	}
	require.Equal(t, 29, count)
}

func TestRPLGoldenOfOthers(t *testing.T) {
	t.Run("a DIS of six octets", func(t *testing.T) {
		p, err := ParseRPL(goldenRPLShortDIS)
		require.NoError(t, err)
		var r RPLDISRepr
		require.NoError(t, r.Parse(p))
		require.Equal(t, 6, r.Len())
		require.Equal(t, "ICMP6, RPL, DODAG information solicitation, length 6", p.String())
		require.Contains(t, formatICMPv6(addr6A, addr6B, p), p.String())
	})
	t.Run("MRHOF", func(t *testing.T) {
		var r RPLDIORepr
		require.NoError(t, r.Parse(goldenRPLMRHOF))
		require.Equal(t, RPLNonStoring, r.Mode)
		option, ok := r.Options.Find(RPLOptionDODAGConfiguration)
		require.True(t, ok)
		var config RPLDODAGConfigurationRepr
		require.NoError(t, config.Parse(option))
		require.Equal(t, RPLDODAGConfigurationRepr{
			IntervalDoublings: 8, IntervalMin: 12, MaxRankIncrease: 1024, MinHopRankIncrease: 128, Objective: RPLObjectiveMRHOF,
			DefaultLifetime: 30, LifetimeUnit: 60,
		}, config)
		require.Equal(t, goldenRPLMRHOF[4:], []byte(emitted6(t, &r, addr6A, addr6B)[4:]))
	})
	t.Run("non-storing DAO", func(t *testing.T) {
		var r RPLDAORepr
		require.NoError(t, r.Parse(goldenRPLNonStoringDAO))
		require.True(t, r.Ack)
		option, ok := r.Options.Find(RPLOptionTransitInformation)
		require.True(t, ok)
		var transit RPLTransitInformationRepr
		require.NoError(t, transit.Parse(option))
		require.Equal(t, RPLTransitInformationRepr{PathLifetime: 30, Parent: netip.MustParseAddr("fd00::201:1:1:1")}, transit)
	})
}

func TestRPLMessagesEmitParse(t *testing.T) {
	dodag := netip.MustParseAddr("2001:db8::1")
	for _, test := range []struct {
		name  string
		empty rplRepr
		r     rplRepr
	}{
		{"DIS without options", new(RPLDISRepr), &RPLDISRepr{Options: RPLOptions{}}},
		{"poison", new(RPLDIORepr), &RPLDIORepr{
			Instance: 0x81, Version: 3, Rank: RPLInfiniteRank, Mode: rplMaxMode, Preference: 7, DTSN: 9, DODAG: dodag, Options: RPLOptions{}}},
		{"DAO of a local instance", new(RPLDAORepr), &RPLDAORepr{Instance: 0x80, Sequence: 1, DODAG: dodag, Options: RPLOptions{}}},
		{"refusal in a local instance", new(RPLDAOAckRepr),
			&RPLDAOAckRepr{Instance: 0x80, Sequence: 1, Status: 200, DODAG: dodag, Options: rplOptions(&RPLPaddingRepr{1})}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := ParseRPL(emitted6(t, test.r, addr6A, addr6B))
			require.NoError(t, err)
			require.NoError(t, test.empty.Parse(p))
			require.Equal(t, test.r, test.empty)
		})
	}
}

func TestRPLParseErrors(t *testing.T) {
	for _, test := range []struct {
		name, octets string
		want         error
	}{
		{"nothing", "", ErrTruncated},
		{"three octets", "9b0000", ErrTruncated},
		{"an echo request", "8000 0000 0000 0000", ErrMalformed},
		{"DIS of five octets", "9b00 0000 00", ErrTruncated},
		{"DIO without the last octet of its DODAG ID", "9b01 0000 01f0 0100 9001 0000 20010db80000000000000000000000", ErrTruncated},
		{"DAO of seven octets", "9b02 0000 0180 00", ErrTruncated},
		{"DAO without the DODAG ID that it says it has", "9b02 0000 0140 0001", ErrTruncated},
		{"DAO-ACK without the DODAG ID that it says it has", "9b03 0000 0180 0001 2001", ErrTruncated},
		{"secure DIS without its security section", "9b80 0000 0000 0000 0000 00", ErrTruncated},
		{"secure DIS without its key", "9b80 0000 0000 8000 0000 0000 0102030405060708", ErrTruncated},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseRPL(unhex(test.octets))
			require.Equal(t, test.want, err)
			require.NotEmpty(t, RPLPacket(unhex(test.octets)).String())
		})
	}
	for _, r := range []rplRepr{new(RPLDISRepr), new(RPLDIORepr), new(RPLDAORepr), new(RPLDAOAckRepr)} {
		require.Error(t, r.Parse(nil))
		require.Error(t, r.Parse(unhex("9b80 0000 0000 0000 0000 0000 01")), "a secure message")
		require.Error(t, r.Parse(unhex("9b04 0000 0000 0000 0000 0000")), "an unknown message")
	}
	var dis RPLDISRepr
	require.Equal(t, ErrTruncated, dis.Parse(unhex("9b00 0000 0000 0405 01")))
}

func TestRPLSecure(t *testing.T) {
	for _, test := range []struct {
		name, octets, print string
		want                RPLSecurity
	}{
		{"key index", "9b81 0000 8000 0200 00000007 05 ffff", "RPL, (SEC) DODAG information object [algorithm:0,kim:0,level:2,counter:7,key:05], length 15",
			RPLSecurity{CounterIsTime: true, Level: 2, Counter: 7, Key: []byte{5}}},
		{"pair of nodes", "9b82 0000 0000 4300 00000007", "destination advertisement object [algorithm:0,kim:1,level:3,counter:7], length 12",
			RPLSecurity{KeyMode: 1, Level: 3, Counter: 7, Key: []byte{}}},
		{"key source and index", "9b83 0000 0000 8000 00000007 010203040506070809", "object ack [algorithm:0,kim:2,level:0,counter:7,key:010203040506070809]",
			RPLSecurity{KeyMode: 2, Counter: 7, Key: unhex("010203040506070809")}},
		{"consistency check", "9b8a 0000 0000 4000 00000007 0180 0009 20010db8000000000000000000000001 00000003",
			"consistency check [algorithm:0,kim:1,level:0,counter:7,dodagid:2001:db8::1,instance:1,nonce:9]",
			RPLSecurity{KeyMode: 1, Counter: 7, Key: []byte{}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := ParseRPL(unhex(test.octets))
			require.NoError(t, err)
			s, ok := p.Security()
			require.True(t, ok)
			require.Equal(t, test.want, s)
			require.Empty(t, p.Options())
			require.Contains(t, p.String(), test.print)
		})
	}
	_, ok := RPLPacket(goldenRPLShortDIS).Security()
	require.False(t, ok)
}

func TestRPLOptionsEmitParse(t *testing.T) {
	addr := "20010db8000000000000000000000001"
	for _, test := range []struct {
		name   string
		r      RPLOptionRepr
		octets string
		print  string
	}{
		{"Pad1", &RPLPaddingRepr{1}, "00", "padding 1"},
		{"PadN of two octets", &RPLPaddingRepr{2}, "0100", "padding 2"},
		{"PadN", &RPLPaddingRepr{5}, "0103 000000", "padding 5"},
		{"metrics", &RPLMetricContainerRepr{RPLMetrics(nil).Append(RPLETX(384)).Append(RPLHopCount(3))},
			"020c 07000002 0180 03000002 0003", "metrics (metric etx 384/128, metric hops 3)"},
		{"constraint", &RPLMetricContainerRepr{RPLMetrics(nil).Append(RPLMetric{
			Type: 1, Partial: true, Constraint: true, Optional: true, Recorded: true, Aggregation: 5, Precedence: 9, Body: []byte{7}})},
			"0205 0107d901 07", "metrics (constraint 1: 07)"},
		{"no metrics", &RPLMetricContainerRepr{RPLMetrics{}}, "0200", "metrics ()"},
		{"default route", &RPLRouteInformationRepr{Prefix: netip.MustParsePrefix("::/0"), Preference: NDPreferenceHigh, Lifetime: time.Hour},
			"0306 0008 00000e10", "route info ::/0, pref=high, lifetime=3600s"},
		{"route", &RPLRouteInformationRepr{Prefix: netip.MustParsePrefix("2001:db8::/33"), Lifetime: NDInfiniteLifetime},
			"030b 2100 ffffffff 20010db800", "route info 2001:db8::/33, pref=medium, lifetime=infinity"},
		{"configuration", &RPLDODAGConfigurationRepr{
			SkipOption: true, Authenticated: true, PathControlSize: 7, IntervalDoublings: 1, IntervalMin: 2, Redundancy: 3, MaxRankIncrease: 4,
			MinHopRankIncrease: 5, Objective: 6, DefaultLifetime: 7, LifetimeUnit: 8,
		}, "040e 1f 01 02 03 0004 0005 0006 00 07 0008",
			"config skip-option authenticated pcs 7, imin 2, doublings 1, k 3, max-rank-inc 4, min-hop-rank-inc 5, ocp 6, lifetime 7 x 8s"},
		{"target", &RPLTargetRepr{netip.MustParsePrefix("2001:db8::1/128")}, "0512 0080" + addr, "target 2001:db8::1/128"},
		{"target of no octets", &RPLTargetRepr{netip.MustParsePrefix("::/0")}, "0502 0000", "target ::/0"},
		{"external transit", &RPLTransitInformationRepr{External: true, PathControl: 0xc0, PathSequence: 241, PathLifetime: 255},
			"0604 80 c0 f1 ff", "transit control 0xc0, seq 241, lifetime 255, external"},
		{"transit by a parent", &RPLTransitInformationRepr{PathLifetime: 30, Parent: netip.MustParseAddr("2001:db8::1")},
			"0614 00 00 00 1e" + addr, "transit control 0x00, seq 0, lifetime 30, parent 2001:db8::1"},
		{"solicited", &RPLSolicitedInformationRepr{
			MatchInstance: true, MatchDODAG: true, MatchVersion: true, Instance: 1, DODAG: netip.MustParseAddr("2001:db8::1"), Version: 240},
			"0713 01 e0" + addr + "f0", "solicited instance 1 dodagid 2001:db8::1 version 240"},
		{"prefix", &RPLPrefixInformationRepr{Prefix: netip.MustParsePrefix("2001:db8::/64"), OnLink: true, ValidLifetime: time.Second},
			"081e 40 80 00000001 00000000 00000000 20010db8000000000000000000000000",
			"prefix info 2001:db8::/64, Flags [onlink], valid time 1s, pref. time 0s"},
		{"prefix with a router's address", &RPLPrefixInformationRepr{
			Prefix: netip.MustParsePrefix("2001:db8::/64"), Autonomous: true, Router: netip.MustParseAddr("2001:db8::1")},
			"081e 40 60 00000000 00000000 00000000" + addr,
			"prefix info 2001:db8::/64, Flags [auto], valid time 0s, pref. time 0s, router 2001:db8::1"},
		{"descriptor", &RPLTargetDescriptorRepr{0xdeadbeef}, "0904 deadbeef", "descriptor 0xdeadbeef"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := emitted(t, test.r)
			require.Equal(t, unhex(test.octets), b)
			options, err := ParseRPLOptions(b)
			require.NoError(t, err)
			option, ok := options.Next()
			require.True(t, ok)
			require.Empty(t, options)
			parsed := newRPLOptionRepr(option.Type())
			require.NoError(t, parsed.Parse(option))
			require.Equal(t, test.r, parsed)
			require.Equal(t, test.print, parsed.String())
			require.Equal(t, test.print, option.String())
		})
	}
}

func TestRPLOptionsParseErrors(t *testing.T) {
	addr := "20010db8000000000000000000000001"
	for _, test := range []struct{ name, octets string }{
		{"metric without its end", "0205 07000002 01"},
		{"half a metric", "0202 0700"},
		{"route of 129 bits", "0316 8100 00000000" + addr},
		{"route of 65 bits in 8 octets", "030e 4100 00000000 20010db800000000"},
		{"route of reserved preference", "0306 0010 00000000"},
		{"route without lifetime", "0302 0000"},
		{"configuration of 13 octets", "040d 00 14 03 0a 0000 0100 0000 00 05 00"},
		{"configuration of 15 octets", "040f 00 14 03 0a 0000 0100 0000 00 05 003c 00"},
		{"target of 129 bits", "0512 0081" + addr},
		{"target of 17 octets", "0513 0080" + addr + "00"},
		{"target of 1 bit without octets", "0502 0001"},
		{"transit of 3 octets", "0603 000000"},
		{"transit with half a parent", "060c 00000000 20010db800000000"},
		{"solicited without version", "0712 01 e0" + addr},
		{"prefix of 29 octets", "081d 40 80 00000001 00000000 00000000 200100000000000000000000000000"},
		{"prefix of 129 bits", "081e 81 80 00000001 00000000 00000000" + addr},
		{"prefix preferred longer than valid", "081e 40 80 00000001 00000002 00000000" + addr},
		{"descriptor of 3 octets", "0903 000000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			options, err := ParseRPLOptions(unhex(test.octets))
			require.NoError(t, err)
			option, ok := options.Next()
			require.True(t, ok)
			require.Equal(t, ErrOption, newRPLOptionRepr(option.Type()).Parse(option))
			require.Contains(t, options.String()+option.String(), "bad option")
		})
	}
	for kind := range uint8(10) {
		require.Equal(t, ErrOption, newRPLOptionRepr(kind).Parse(RPLOption(unhex("0b02 0000"))), "another type")
	}
	require.Nil(t, newRPLOptionRepr(10))
	require.Equal(t, "unknown option (11), length 1; [|rpl opt]", RPLOptions(unhex("00 0b01 00 01 02 0000 05")).String())
	_, err := ParseRPLOptions(unhex("0b02 00"))
	require.Equal(t, ErrTruncated, err)
}

func TestRPLMetricContainerHasBounds(t *testing.T) {
	var r RPLMetricContainerRepr
	r.Metrics = r.Metrics.Append(RPLMetric{Type: 9, Body: make([]byte, 300)})
	require.Equal(t, 257, r.Len())
	r.Metrics = r.Metrics.Append(RPLETX(128))
	require.Len(t, emitted(t, &r), 257, "what has no room is left out")
}

func TestRPLSolicitedInformationMatches(t *testing.T) {
	dodag := netip.MustParseAddr("2001:db8::1")
	for _, test := range []struct {
		name string
		r    RPLSolicitedInformationRepr
		want bool
	}{
		{"everybody", RPLSolicitedInformationRepr{Instance: 9, Version: 9}, true},
		{"the instance", RPLSolicitedInformationRepr{MatchInstance: true, Instance: 1}, true},
		{"another instance", RPLSolicitedInformationRepr{MatchInstance: true, Instance: 2}, false},
		{"the DODAG", RPLSolicitedInformationRepr{MatchDODAG: true, DODAG: dodag}, true},
		{"another DODAG", RPLSolicitedInformationRepr{MatchDODAG: true, DODAG: dodag.Next()}, false},
		{"another version", RPLSolicitedInformationRepr{MatchVersion: true, Version: 239}, false},
	} {
		require.Equal(t, test.want, test.r.Matches(1, dodag, 240), test.name)
	}
}

func FuzzRPL(f *testing.F) {
	for _, packet := range [][]byte{goldenRPLDIS, goldenRPLDIO, goldenRPLDAO, goldenRPLDAOAck} {
		f.Add(packet[IPv6HeaderLen:])
	}
	for _, message := range [][]byte{goldenRPLShortDIS, goldenRPLMRHOF, goldenRPLNonStoringDAO} {
		f.Add(message)
	}
	f.Add(unhex("9b8a 0000 0000 4000 00000007 0180 0009 20010db8000000000000000000000001 00000003"))
	f.Add(unhex("9b00 0000 0000 020c 07000002 0180 03000002 0003 0713 01 e0 20010db8000000000000000000000001 f0 0904 deadbeef 0306 0008 00000e10"))
	f.Fuzz(func(t *testing.T, b []byte) {
		require.NotEmpty(t, RPLPacket(b).String())
		_ = formatICMPv6(addr6A, addr6B, b)
		p, err := ParseRPL(b)
		if err != nil {
			return
		}
		_, _ = p.Security()
		_ = p.Checksum()
		for _, r := range [][2]rplRepr{
			{new(RPLDISRepr), new(RPLDISRepr)}, {new(RPLDIORepr), new(RPLDIORepr)}, {new(RPLDAORepr), new(RPLDAORepr)},
			{new(RPLDAOAckRepr), new(RPLDAOAckRepr)},
		} {
			if r[0].Parse(p) != nil {
				continue
			}
			again, err := ParseRPL(emitted6(t, r[0], addr6A, addr6B))
			require.NoError(t, err)
			require.NoError(t, r[1].Parse(again))
			require.Equal(t, r[0], r[1])
		}
		options := p.Options()
		for option, ok := options.Next(); ok; option, ok = options.Next() {
			r := newRPLOptionRepr(option.Type())
			if r == nil || r.Parse(option) != nil {
				continue
			}
			again := newRPLOptionRepr(option.Type())
			require.NoError(t, again.Parse(emitted(t, r)))
			require.Equal(t, r, again)
		}
	})
}
