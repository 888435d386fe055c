package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What the SYN of goldenTCPSyn6 says.
var synRepr = TCPRepr{
	SrcPort: 59706, DstPort: 80, Seq: 3438702078, Flags: TCPSyn, Window: 64320,
	Options: TCPOptions{
		MSS: 1340, HasMSS: true, SACKPermitted: true, HasTimestamps: true, TSVal: 1633575823,
		WindowScale: 10, HasWindowScale: true,
	},
}

func TestTCPGolden(t *testing.T) {
	synAck := TCPRepr{
		SrcPort: 80, DstPort: 59706, Seq: 668552058, Ack: 3438702079, Flags: TCPSyn | TCPAck, Window: 65072,
		Options: TCPOptions{
			MSS: 1340, HasMSS: true, SACKPermitted: true, HasTimestamps: true, TSVal: 1096362208, TSEcr: 1633575823,
			WindowScale: 10, HasWindowScale: true,
		},
	}
	timestamps := TCPOptions{HasTimestamps: true, TSVal: 1633575823, TSEcr: 1096362208}
	for _, test := range []struct {
		name    string
		packet  []byte
		repr    TCPRepr
		payload string
		print   string
	}{
		{"SYN", goldenTCPSyn6, synRepr, "",
			"59706 > 80: Flags [S], seq 3438702078, win 64320, " +
				"options [mss 1340,sackOK,TS val 1633575823 ecr 0,nop,wscale 10], length 0"},
		{"SYN and ACK", goldenTCPSynAck6, synAck, "",
			"80 > 59706: Flags [S.], seq 668552058, ack 3438702079, win 65072, " +
				"options [mss 1340,sackOK,TS val 1096362208 ecr 1633575823,nop,wscale 10], length 0"},
		{"data", goldenTCPData6, TCPRepr{
			SrcPort: 59706, DstPort: 80, Seq: 3438702079, Ack: 668552059, Flags: TCPPsh | TCPAck, Window: 63,
			Options: timestamps, PayloadLen: 5,
		}, "hello",
			"59706 > 80: Flags [P.], seq 3438702079:3438702084, ack 668552059, win 63, " +
				"options [nop,nop,TS val 1633575823 ecr 1096362208], length 5"},
		{"FIN", goldenTCPFin6, TCPRepr{
			SrcPort: 59706, DstPort: 80, Seq: 3438702084, Ack: 668552064, Flags: TCPFin | TCPAck, Window: 63,
			Options: timestamps,
		}, "",
			"59706 > 80: Flags [F.], seq 3438702084, ack 668552064, win 63, " +
				"options [nop,nop,TS val 1633575823 ecr 1096362208], length 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ip, err := ParseIPv6(test.packet)
			require.NoError(t, err)
			p, err := ParseTCP(ip.Payload())
			require.NoError(t, err)
			require.True(t, p.VerifyChecksum(ip.Src(), ip.Dst()))
			require.False(t, p.VerifyChecksum(ip.Src(), ip.Src()), "another destination")
			require.Equal(t, test.payload, string(p.Payload()))
			require.Equal(t, test.print, p.String())

			var r TCPRepr
			require.NoError(t, r.Parse(p))
			require.Equal(t, test.repr, r)
			require.Equal(t, test.print, r.String())

			// Emitted, it is the kernel's, octet by octet.
			b := append(emitted(t, &r), test.payload...)
			TCPPacket(b).FillChecksum(ip.Src(), ip.Dst())
			require.Equal(t, []byte(p), b)
		})
	}
}

func TestTCPChecksumOverIPv4(t *testing.T) {
	ip, err := ParseIPv4(goldenTCPSynAck4)
	require.NoError(t, err)
	p, err := ParseTCP(ip.Payload())
	require.NoError(t, err)
	require.True(t, p.VerifyChecksum(ip.Src(), ip.Dst()))
	p = append(TCPPacket(nil), p...)
	p.SetWindow(p.Window() + 1)
	require.False(t, p.VerifyChecksum(ip.Src(), ip.Dst()))
}

func TestParseTCPErrors(t *testing.T) {
	for _, test := range []struct {
		name, octets string
		err          error
	}{
		{"nothing", "", ErrTruncated},
		{"one octet less than a header", "005004d2 00000001 00000002 50100000 000000", ErrTruncated},
		{"data offset less than a header", "005004d2 00000001 00000002 40100000 00000000", ErrLength},
		{"data offset beyond the end", "005004d2 00000001 00000002 60100000 00000000 000000", ErrLength},
		{"no options and no data", "005004d2 00000001 00000002 50100000 00000000", nil},
		{"options to the end", "005004d2 00000001 00000002 60100000 00000000 01010101", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseTCP(unhex(test.octets))
			require.Equal(t, test.err, err)
		})
	}
}

func TestTCPReprParseErrors(t *testing.T) {
	for _, test := range []struct {
		name, octets string
		err          error
	}{
		{"source port 0", "000004d2 00000001 00000002 50100000 00000000", ErrMalformed},
		{"destination port 0", "00500000 00000001 00000002 50100000 00000000", ErrMalformed},
		{"option of length 0", "005004d2 00000001 00000002 60100000 00000000 fe000000", ErrOption},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := ParseTCP(unhex(test.octets))
			require.NoError(t, err)
			var r TCPRepr
			require.Equal(t, test.err, r.Parse(p))
		})
	}
}

func TestTCPReprKeepsNothingUrgent(t *testing.T) {
	p, err := ParseTCP(unhex("005004d2 00000001 00000002 50300000 00000007 61"))
	require.NoError(t, err)
	require.EqualValues(t, 7, p.Urgent())
	require.Equal(t, "80 > 1234: Flags [.U], seq 1:2, ack 2, win 0, urg 7, length 1", p.String())
	var r TCPRepr
	require.NoError(t, r.Parse(p))
	require.Equal(t, TCPAck, r.Flags)
	r.Flags |= TCPUrg
	require.Equal(t, TCPAck, TCPPacket(emitted(t, &r)).Flags())
}

func TestTCPReprHasNoAcknowledgmentWithoutACK(t *testing.T) {
	p, err := ParseTCP(unhex("005004d2 00000001 12345678 50040000 00000000"))
	require.NoError(t, err)
	var r TCPRepr
	require.NoError(t, r.Parse(p))
	require.Zero(t, r.Ack)
	r.Ack = 5
	require.Zero(t, TCPPacket(emitted(t, &r)).Ack())
}

func TestTCPSetters(t *testing.T) {
	p, err := ParseTCP(unhex("005004d2 00000001 00000002 6e100000 00000000 01010101"))
	require.NoError(t, err)
	p.SetSrcPort(1)
	p.SetDstPort(2)
	p.SetSeq(3)
	p.SetAck(4)
	p.SetFlags(TCPNs | TCPCwr | TCPSyn)
	p.SetWindow(5)
	p.SetChecksum(6)
	p.SetUrgent(7)
	// The data offset and the reserved bits are as before.
	require.Equal(t, unhex("00010002 00000003 00000004 6f820005 00060007 01010101"), []byte(p))
	require.Equal(t, 24, p.HeaderLen())
	require.Equal(t, TCPNs|TCPCwr|TCPSyn, p.Flags())
	require.EqualValues(t, 3, p.Seq())
	require.EqualValues(t, 4, p.Ack())
}

func TestTCPFlagsString(t *testing.T) {
	require.Equal(t, "none", TCPFlags(0).String())
	require.Equal(t, "FSRP.UEWe", TCPFlags(0x1ff).String())
	require.Equal(t, "none", TCPFlags(0xe00).String(), "reserved bits are not flags")
	require.True(t, (TCPSyn | TCPAck).Has(TCPSyn))
	require.False(t, TCPSyn.Has(TCPSyn|TCPAck))
}

func TestFormatTCP(t *testing.T) {
	header := "005004d2 00000001 00000002 "
	for _, test := range []struct{ name, octets, want string }{
		{"whole", header + "5010ffff 00000000 61", "fdaa::1.80 > fdaa::2.1234: Flags [.], seq 1:2, ack 2, win 65535, length 1"},
		{"SYN", header + "80120000 00000000 020405b4 01030307 01010000",
			"fdaa::1.80 > fdaa::2.1234: Flags [S.], seq 1, ack 2, win 0, options [mss 1460,nop,wscale 7,nop,nop,eol], length 0"},
		{"bad data offset", header + "40100000 00000000", "fdaa::1.80 > fdaa::2.1234: Flags [.], bad header length 16"},
		{"options missing", header + "80100000 00000000 0101",
			"fdaa::1.80 > fdaa::2.1234: Flags [.], ack 2, win 0 [10 octets missing]"},
		{"bad option", header + "60100000 00000000 01050000",
			"fdaa::1.80 > fdaa::2.1234: Flags [.], ack 2, win 0, options [nop,bad opt 0x050000], length 0"},
		{"quoted to 8 octets", "005004d2 00000001", "fdaa::1.80 > fdaa::2.1234: seq 1 [|tcp]"},
		{"ports alone", "005004d2 000000", "fdaa::1.80 > fdaa::2.1234: [|tcp]"},
		{"nothing", "", "fdaa::1 > fdaa::2: [|tcp]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, formatTCP(addr6A, addr6B, unhex(test.octets)))
		})
	}
	require.Equal(t, "[|tcp]", TCPPacket(nil).String())
}

func TestTCPAllocatesNothing(t *testing.T) {
	for name, packet := range map[string][]byte{"SYN": goldenTCPSyn6, "data": goldenTCPData6} {
		t.Run(name, func(t *testing.T) {
			b := append([]byte(nil), ipv6Payload(t, packet)...)
			requireNoAllocs(t, func() {
				p, err := ParseTCP(b)
				var r TCPRepr
				if err != nil || !p.VerifyChecksum(addr6A, addr6B) || r.Parse(p) != nil {
					panic("refused")
				}
				r.Emit(b)
				p.FillChecksum(addr6A, addr6B)
			})
		})
	}
}

func FuzzTCP(f *testing.F) {
	for _, packet := range [][]byte{goldenTCPSyn6, goldenTCPSynAck6, goldenTCPData6, goldenTCPFin6} {
		f.Add(packet[IPv6HeaderLen:])
	}
	f.Add(unhex("005004d2 00000001 00000002 60300000 00000001 fe000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = formatTCP(addr6A, addr6B, b)
		_ = TCPPacket(b).String()
		p, err := ParseTCP(b)
		if err != nil {
			return
		}
		require.Equal(t, len(p), TCPHeaderLen+len(p.Options())+len(p.Payload()))
		_, _ = p.VerifyChecksum(addr6A, addr6B), p.String()
		var r TCPRepr
		if r.Parse(p) != nil {
			return
		}
		again := make([]byte, r.Len()+r.PayloadLen)
		r.Emit(again)
		var parsed TCPRepr
		require.NoError(t, parsed.Parse(again))
		fitSACK(&r.Options)
		require.Equal(t, r, parsed)
	})
}

func BenchmarkParseTCP(b *testing.B) {
	for _, bench := range []struct {
		name   string
		packet []byte
	}{{"SYN", goldenTCPSyn6}, {"data", goldenTCPData6}} {
		b.Run(bench.name, func(b *testing.B) {
			octets := bench.packet[IPv6HeaderLen:]
			b.ReportAllocs()
			var r TCPRepr
			for b.Loop() {
				p, err := ParseTCP(octets)
				if err != nil || r.Parse(p) != nil {
					b.Fatal("refused")
				}
			}
		})
	}
}

func BenchmarkEmitTCP(b *testing.B) {
	for _, bench := range []struct {
		name   string
		packet []byte
	}{{"SYN", goldenTCPSyn6}, {"data", goldenTCPData6}} {
		b.Run(bench.name, func(b *testing.B) {
			var r TCPRepr
			require.NoError(b, r.Parse(bench.packet[IPv6HeaderLen:]))
			octets := make([]byte, r.Len())
			b.ReportAllocs()
			for b.Loop() {
				r.Emit(octets)
			}
		})
	}
}
