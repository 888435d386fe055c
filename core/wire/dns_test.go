package wire

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Messages of a resolver and of dnsmasq 2.90, captured on a loopback interface, and a few that are cut off; what they
// print as is, but for the last ones and the name of HTTPS, what tcpdump 4.99 prints with -vv.
func TestFormatDNS(t *testing.T) {
	for _, test := range []struct {
		name   string
		port   uint16
		octets string
		want   string
	}{
		{"query with EDNS", DNSPort, "03e901000001000000000001037777770474657374000001000100002904d0000080000000",
			`1001+ [1au] A? www.test. ar: . OPT UDPsize=1232 DO (37)`},
		{"A", DNSPort, "03e9858000010001000000010377777704746573740000010001c00c000100010000012c00040a01020300002904d0000080000000",
			`1001* q: A? www.test. 1/0/1 www.test. A 10.1.2.3 ar: . OPT UDPsize=1232 DO (53)`},
		{"query for AAAA", DNSPort, "03ea0100000100000000000003777777047465737400001c0001",
			`1002+ AAAA? www.test. (26)`},
		{"AAAA", DNSPort, "03ea8580000100010000000003777777047465737400001c0001c00c001c00010000012c0010fd010000000000000000000000000003",
			`1002* q: AAAA? www.test. 1/0/0 www.test. AAAA fd01::3 (54)`},
		{"query for A", DNSPort, "03eb0100000100000000000005616c69617304746573740000010001",
			`1003+ A? alias.test. (28)`},
		{"CNAME", DNSPort, "03eb8580000100020000000005616c69617304746573740000010001c00c000500010000012c000a03777777047465737400c028000100010000012c00040a010203",
			`1003* q: A? alias.test. 2/0/0 alias.test. CNAME www.test., www.test. A 10.1.2.3 (66)`},
		{"query for MX", DNSPort, "03ec01000001000000000000047465737400000f0001",
			`1004+ MX? test. (22)`},
		{"MX", DNSPort, "03ec85800001000200000000047465737400000f0001c00c000f00010000012c000e000a056669727374047465737400c00c000f00010000012c000f0014067365636f6e64047465737400",
			`1004* q: MX? test. 2/0/0 test. MX first.test. 10, test. MX second.test. 20 (75)`},
		{"query for TXT", DNSPort, "03ed0100000100000000000004746573740000100001",
			`1005+ TXT? test. (22)`},
		{"TXT", DNSPort, "03ed8580000100010000000004746573740000100001c00c001000010000012c000c0568656c6c6f05776f726c64",
			`1005* q: TXT? test. 1/0/0 test. TXT "hello" "world" (46)`},
		{"query for SRV", DNSPort, "03ee01000001000000000000045f736970045f74637004746573740000210001",
			`1006+ SRV? _sip._tcp.test. (32)`},
		{"SRV", DNSPort, "03ee85800001000100000001045f736970045f74637004746573740000210001c00c002100010000012c00100001000213c403736970047465737400c032000100010000012c00040a010205",
			`1006* q: SRV? _sip._tcp.test. 1/0/1 _sip._tcp.test. SRV sip.test.:5060 1 2 ar: sip.test. A 10.1.2.5 (76)`},
		{"query for PTR", DNSPort, "03ef0100000100000000000001330132013102313007696e2d61646472046172706100000c0001",
			`1007+ PTR? 3.2.1.10.in-addr.arpa. (39)`},
		{"PTR", DNSPort, "03ef8580000100010000000001330132013102313007696e2d61646472046172706100000c0001c00c000c00010000012c000a03777777047465737400",
			`1007* q: PTR? 3.2.1.10.in-addr.arpa. 1/0/0 3.2.1.10.in-addr.arpa. PTR www.test. (61)`},
		{"query for nobody", DNSPort, "03f001000001000000000000066e6f626f647904746573740000010001",
			`1008+ A? nobody.test. (29)`},
		{"no such name", DNSPort, "03f081830001000000000000066e6f626f647904746573740000010001",
			`1008 NXDomain q: A? nobody.test. 0/0/0 (29)`},
		{"query for SOA", DNSPort, "03f10100000100000000000004746573740000060001",
			`1009+ SOA? test. (22)`},
		{"no data", DNSPort, "03f18180000100000000000004746573740000060001",
			`1009 q: SOA? test. 0/0/0 (22)`},
		{"query for anything", DNSPort, "03f201000001000000000000017804746573740000ff0001",
			`1010+ ANY? x.test. (24)`},
		{"no such name, of any type", DNSPort, "03f281830001000000000000017804746573740000ff0001",
			`1010 NXDomain q: ANY? x.test. 0/0/0 (24)`},
		{"query for HTTPS", DNSPort, "03f3010000010000000000000377777704746573740000410001",
			`1011+ HTTPS? www.test. (26)`},
		{"no data of HTTPS", DNSPort, "03f3818000010000000000000377777704746573740000410001",
			`1011 q: HTTPS? www.test. 0/0/0 (26)`},
		{"query of CHAOS", DNSPort, "03f4010000010000000000000776657273696f6e0462696e640000100003",
			`1012+ TXT CHAOS? version.bind. (30)`},
		{"CHAOS", DNSPort, "03f4858000010001000000000776657273696f6e0462696e640000100003c00c001000030000012c000d0c646e736d6173712d322e3930",
			`1012* q: TXT CHAOS? version.bind. 1/0/0 version.bind. CHAOS TXT "dnsmasq-2.90" (55)`},
		{"multicast query", MDNSPort, "000000000001000000000000077072696e746572056c6f63616c0000018001",
			`0 A (QU)? printer.local. (31)`},
		{"multicast answer", MDNSPort, "000084000000000100000000077072696e746572056c6f63616c00000180010000007800040a000007",
			`0*- [0q] 1/0/0 printer.local. (Cache flush) A 10.0.0.7 (41)`},
		{"cut in a name", DNSPort, "000084000000000100000000077072696e746572",
			`0*- [0q] 1/0/0 [|domain]`},
		{"cut in the data, class with multicast's flag", DNSPort, "000084000000000100000000077072696e746572056c6f63616c00000180010000007800040a00",
			`0*- [0q] 1/0/0 printer.local. (Class 32769) A [|domain]`},
		{"11 octets", DNSPort, "0000840000000001000000",
			`domain [length 11 < 12] (invalid)`},
		{"nothing", DNSPort, "", `UDP, length 0`},
		{"cut in a question", DNSPort, "0007010000010000000000000377777704746573740000",
			`7+ [|domain]`},
		{"a name that points at itself", DNSPort, "000981800001000000000000c00c00010001",
			`9 q: [|domain]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := make([]byte, UDPHeaderLen, 512)
			b = append(b, unhex(test.octets)...)
			r := UDPRepr{SrcPort: 4242, DstPort: test.port, PayloadLen: len(b) - UDPHeaderLen}
			r.Emit(b)
			require.Equal(t, fmt.Sprintf("fdaa::1.4242 > fdaa::2.%d: %s", test.port, test.want), formatUDP(addr6A, addr6B, b))
			UDPPacket(b).SetSrcPort(test.port)
			UDPPacket(b).SetDstPort(4242)
			require.Equal(t, fmt.Sprintf("%d > 4242: %s", test.port, test.want), UDPPacket(b).String())
		})
	}
}

// What is in the messages of others, but has not been captured.
func TestFormatDNSData(t *testing.T) {
	for _, test := range []struct{ name, octets, want string }{
		{"NS and SOA", "0001 8080 0000 0001 0001 0000" +
			"0161 00 0002 0001 00000001 0004 0162 c00c" +
			"0161 00 0006 0001 00000001 001a 0162 00 0163 00 00000001 00000002 00000003 00000004 00000005",
			"1 [0q] 1/1/0 a. NS b.a. ns: a. SOA b. c. 1 2 3 4 5 (68)"},
		{"unknown type and class", "0001 8080 0000 0001 0000 0000 00 0063 0007 00000001 0001 ff",
			"1 [0q] 1/0/0 . (Class 7) Type99 (24)"},
		{"flags of a response", "0001 8630 0000 0000 0000 0000", "1*-|$% [0q] 0/0/0 (12)"},
		{"operation and outcome", "0001 a805 0000 0000 0000 0000", "1 update Refused- [0q] 0/0/0 (12)"},
		{"unknown operation and outcome", "0001 b80c 0000 0000 0000 0000", "1 op7 Resp12- [0q] 0/0/0 (12)"},
		{"notify, with more than a query has", "0001 2000 0000 0001 0000 0000 00 0001 0001 00000001 0004 01020304",
			"1 notify [1a] [0q] . A 1.2.3.4 (27)"},
		{"a name with what is not its own", "0001 0000 0001 0000 0000 0000 03 610a5c 00 0001 0001", `1 A? a\010\\. (21)`},
		{"data longer than its type's", "0001 8080 0000 0001 0000 0000 00 0001 0001 00000001 0003 010203", "1 [0q] 1/0/0 . A [|domain]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, DNSPacket(unhex(test.octets)).String())
		})
	}
}

func TestFormatDNSOverTCP(t *testing.T) {
	message := unhex("07d0 0100 0001 0000 0000 0000 0377777704746573740000010001")
	for _, test := range []struct {
		name    string
		payload []byte
		want    string
	}{
		{"nothing", nil, ", length 0"},
		{"a message", append([]byte{0, byte(len(message))}, message...), ", length 28 2000+ A? www.test. (26)"},
		{"the front of a message", append([]byte{0, byte(len(message))}, message[:20]...), ", length 22 2000+ [|domain]"},
		{"a message and the front of another", append(append([]byte{0, byte(len(message))}, message...), 0, 26, 1), ", length 31 2000+ A? www.test. (26)"},
		{"a length alone", []byte{0, 26}, ", length 2"},
		{"no message", make([]byte, 30), ", length 30"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := TCPRepr{SrcPort: 4242, DstPort: DNSPort, Flags: TCPAck | TCPPsh, PayloadLen: len(test.payload)}
			b := append(emitted(t, &r), test.payload...)
			require.Contains(t, TCPPacket(b).String()+"$", test.want+"$")
		})
	}
}

func FuzzDNS(f *testing.F) {
	f.Add(unhex("03eb8580000100020000000005616c69617304746573740000010001c00c000500010000012c000a03777777047465737400c028000100010000012c00040a010203"))
	f.Add(unhex("009981800001000000000000c00c00010001"))
	f.Fuzz(func(t *testing.T, b []byte) {
		printed := DNSPacket(b).append(nil, len(b)%2 == 0)
		require.NotEmpty(t, printed)
		require.False(t, bytes.ContainsAny(printed, "\n\r\x00\x1b"), "%q", printed)
		_ = appendDNSStream(nil, b)
	})
}
