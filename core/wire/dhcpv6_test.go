package wire

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Messages between ISC dhclient 4.4.3 (dhclient -6), at 02:00:00:00:00:01, and dnsmasq 2.90, at 02:00:00:00:00:02,
// captured with tcpdump -w on a veth pair; from the DHCPv6 header on.
var (
	goldenDHCPv6Solicit = unhex(`
		015bf882 0001000e 000100013294 6a7c020000000001 00060004 00170018 00080002 0000
		0003000c 00000001 00000e10 00001518`)

	goldenDHCPv6Advertise = unhex(`
		025bf882 0001000e 0001000132946a7c020000000001 0002000e 0001000132946a7b020000000001
		00030028 00000001 0000012c 0000020d 00050018 fd0000060000000000000000000001f6 00000258 00000258
		000d0009 0000 73756363657373 00070001 00 00180012 076578616d706c6503636f6d00036c616e00
		00170010 fd000006000000000000000000000053`)

	goldenDHCPv6Request = unhex(`
		035dd41a 0001000e 0001000132946a7c020000000001 0002000e 0001000132946a7b020000000001
		00060004 00170018 00080002 0000
		00030028 00000001 00000e10 00001518 00050018 fd0000060000000000000000000001f6 00001c20 00001d4c`)

	goldenDHCPv6Reply = unhex(`
		075dd41a 0001000e 0001000132946a7c020000000001 0002000e 0001000132946a7b020000000001
		00030028 00000001 0000012c 0000020d 00050018 fd0000060000000000000000000001f6 00000258 00000258
		000d0009 0000 73756363657373 00180012 076578616d706c6503636f6d00036c616e00
		00170010 fd000006000000000000000000000053`)

	goldenDHCPv6Release = unhex(`
		085a955e 0001000e 0001000132946a7c020000000001 0002000e 0001000132946a7b020000000001
		00060004 00170018 00080002 0000
		00030028 00000001 00000000 00000000 00050018 fd0000060000000000000000000001f6 00000000 00000000`)

	goldenDHCPv6Released = unhex(`
		075a955e 0001000e 0001000132946a7c020000000001 0002000e 0001000132946a7b020000000001
		000d0012 0000 72656c65617365207265636569766564`)
)

var (
	dhcpv6Made   = time.Date(2026, 11, 21, 14, 43, 8, 0, time.UTC)
	dhcpv6Client = DHCPv6DUIDLinkAddrTime(hardwareA, dhcpv6Made)
	dhcpv6Server = DHCPv6DUIDLinkAddrTime(hardwareA, dhcpv6Made.Add(-time.Second))
	dhcpv6Addr   = netip.MustParseAddr("fd00:6::1f6")
)

func TestDHCPv6Golden(t *testing.T) {
	ia := func(t1, t2, preferred, valid time.Duration) []DHCPv6IANA {
		return []DHCPv6IANA{{IAID: 1, T1: t1 * time.Second, T2: t2 * time.Second,
			Addresses: []DHCPv6IAAddr{{Addr: dhcpv6Addr, Preferred: preferred * time.Second, Valid: valid * time.Second}}}}
	}
	wanted := []uint16{DHCPv6OptionDNSServers, DHCPv6OptionDomains}
	servers, domains := []netip.Addr{netip.MustParseAddr("fd00:6::53")}, []string{"example.com", "lan"}
	const ids = "(client-ID hwaddr/time type 1 time 848587388 020000000001) (server-ID hwaddr/time type 1 time 848587387 020000000001)"
	for _, test := range []struct {
		name   string
		octets []byte
		want   DHCPv6Repr
		print  string
	}{
		{"solicit", goldenDHCPv6Solicit,
			DHCPv6Repr{Type: DHCPv6Solicit, TransactionID: 0x5bf882, ClientID: dhcpv6Client, Requested: wanted,
				IAs: []DHCPv6IANA{{IAID: 1, T1: time.Hour, T2: 90 * time.Minute}}},
			"dhcp6 solicit (xid=5bf882 (client-ID hwaddr/time type 1 time 848587388 020000000001) " +
				"(option-request DNS-server DNS-search-list) (elapsed-time 0) (IA_NA IAID:1 T1:3600 T2:5400))"},
		{"advertise", goldenDHCPv6Advertise,
			DHCPv6Repr{Type: DHCPv6Advertise, TransactionID: 0x5bf882, ClientID: dhcpv6Client, ServerID: dhcpv6Server,
				IAs: ia(300, 525, 600, 600), Status: DHCPv6Status{Message: "success"}, DNSServers: servers, Domains: domains},
			"dhcp6 advertise (xid=5bf882 " + ids + " (IA_NA IAID:1 T1:300 T2:525 (IA_ADDR fd00:6::1f6 pltime:600 vltime:600)) " +
				"(status-code Success) (preference 0) (DNS-search-list example.com. lan.) (DNS-server fd00:6::53))"},
		{"request", goldenDHCPv6Request,
			DHCPv6Repr{Type: DHCPv6Request, TransactionID: 0x5dd41a, ClientID: dhcpv6Client, ServerID: dhcpv6Server,
				Requested: wanted, IAs: ia(3600, 5400, 7200, 7500)},
			"dhcp6 request (xid=5dd41a " + ids + " (option-request DNS-server DNS-search-list) (elapsed-time 0) " +
				"(IA_NA IAID:1 T1:3600 T2:5400 (IA_ADDR fd00:6::1f6 pltime:7200 vltime:7500)))"},
		{"reply", goldenDHCPv6Reply,
			DHCPv6Repr{Type: DHCPv6Reply, TransactionID: 0x5dd41a, ClientID: dhcpv6Client, ServerID: dhcpv6Server,
				IAs: ia(300, 525, 600, 600), Status: DHCPv6Status{Message: "success"}, DNSServers: servers, Domains: domains},
			"dhcp6 reply (xid=5dd41a " + ids + " (IA_NA IAID:1 T1:300 T2:525 (IA_ADDR fd00:6::1f6 pltime:600 vltime:600)) " +
				"(status-code Success) (DNS-search-list example.com. lan.) (DNS-server fd00:6::53))"},
		{"release", goldenDHCPv6Release,
			DHCPv6Repr{Type: DHCPv6Release, TransactionID: 0x5a955e, ClientID: dhcpv6Client, ServerID: dhcpv6Server,
				Requested: wanted, IAs: ia(0, 0, 0, 0)},
			"dhcp6 release (xid=5a955e " + ids + " (option-request DNS-server DNS-search-list) (elapsed-time 0) " +
				"(IA_NA IAID:1 T1:0 T2:0 (IA_ADDR fd00:6::1f6 pltime:0 vltime:0)))"},
		{"reply to release", goldenDHCPv6Released,
			DHCPv6Repr{Type: DHCPv6Reply, TransactionID: 0x5a955e, ClientID: dhcpv6Client, ServerID: dhcpv6Server,
				Status: DHCPv6Status{Message: "release received"}},
			"dhcp6 reply (xid=5a955e " + ids + " (status-code Success))"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := ParseDHCPv6(test.octets)
			require.NoError(t, err)
			require.Equal(t, test.print, p.String(), "what tcpdump 4.99 prints with -v")
			var r, again DHCPv6Repr
			require.NoError(t, r.Parse(p))
			require.Equal(t, test.want, r)
			require.NoError(t, again.Parse(emitted(t, &r)))
			require.Equal(t, r, again)
		})
	}
}

func TestDHCPv6EmitParse(t *testing.T) {
	for _, test := range []struct {
		name   string
		r      DHCPv6Repr
		octets string
		print  string
	}{
		{"solicit with rapid commit", DHCPv6Repr{Type: DHCPv6Solicit, TransactionID: 0x010203, Elapsed: 1230 * time.Millisecond,
			ClientID: DHCPv6DUIDLinkAddr(hardwareA), RapidCommit: true, IAs: []DHCPv6IANA{{IAID: 7}},
			Requested: []uint16{DHCPv6OptionSolicitMaxRT, 200}},
			"01010203 0001000a 00030001020000000001 00080002007b 000e0000 0003000c 000000070000000000000000 00060004005200c8",
			"(xid=10203 (client-ID hwaddr type 1 020000000001) (elapsed-time 123) (rapid-commit) (IA_NA IAID:7 T1:0 T2:0) " +
				"(option-request SOL_MAX_RT opt_200))"},
		{"reply with statuses", DHCPv6Repr{Type: DHCPv6Reply, Status: DHCPv6Status{Code: DHCPv6NotOnLink, Message: "no"},
			ServerID: DHCPv6DUIDEnterprise(32473, unhex("0cc084d303000912")),
			IAs: []DHCPv6IANA{{IAID: 1, T1: DHCPv6Infinity, T2: DHCPv6Infinity, Status: DHCPv6Status{Code: DHCPv6NoBinding},
				Addresses: []DHCPv6IAAddr{{Addr: addr6A, Preferred: 1, Valid: DHCPv6Infinity, Status: DHCPv6Status{Code: 9}}}}}},
			"07000000 0002000e 000200007ed90cc084d303000912 00030034 00000001 ffffffff ffffffff 000d0002 0003" +
				"0005001e fdaa0000000000000000000000000001 00000000 ffffffff 000d0002 0009 000d0004 0004 6e6f",
			"(xid=0 (server-ID vid 00007ed90cc084d303000912) (IA_NA IAID:1 T1:4294967295 T2:4294967295 (status-code NoBinding) " +
				"(IA_ADDR fdaa::1 pltime:0 vltime:4294967295 (status-code code9))) (status-code NotOnLink))"},
		{"reply with everything else", DHCPv6Repr{Type: DHCPv6Reply, ServerID: DHCPv6DUIDUUID([16]byte{15: 1}), Preference: 255,
			NTPServers: []netip.Addr{addr6A, netip.MustParseAddr("ff05::101")}, NTPNames: []string{"time.test"},
			Refresh: DHCPv6MinRefresh, SolicitMaxRT: time.Minute, InformationMaxRT: 24 * time.Hour,
			Unknown: DHCPv6Options(unhex("00630001ff"))},
			"07000000 00020012 000400000000000000000000000000000001 00070001 ff 00380037 00010010fdaa0000000000000000000000000001" +
				"00020010ff050000000000000000000000000101 0003000b 0474696d650474657374 00 00200004 00000258 00520004 0000003c" +
				"00530004 00015180 00630001 ff",
			"(xid=0 (server-ID uuid 00000000-0000-0000-0000-000000000001) (preference 255) (NTP-server subopt:1 fdaa::1 " +
				"subopt:2 ff05::101 subopt:3 time.test.) (lifetime 600) (SOL_MAX_RT 60) (INF_MAX_RT 86400) (opt_99))"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := emitted(t, &test.r)
			require.Equal(t, unhex(test.octets), b)
			require.Contains(t, test.r.String(), test.print)
			var r DHCPv6Repr
			require.NoError(t, r.Parse(b))
			for i := range test.r.IAs {
				for j := range test.r.IAs[i].Addresses {
					address := &test.r.IAs[i].Addresses[j]
					address.Preferred = address.Preferred.Truncate(time.Second)
				}
			}
			require.Equal(t, test.r, r)
		})
	}
}

func TestDHCPv6ParseErrors(t *testing.T) {
	for _, test := range []struct {
		name, octets string
		packet, repr error
	}{
		{"nothing", "", ErrTruncated, ErrTruncated},
		{"three octets", "010203", ErrTruncated, ErrTruncated},
		{"no options", "01010203", nil, nil},
		{"type 0", "00010203", nil, ErrMalformed},
		{"type 14", "0e010203", nil, ErrMalformed},
		{"relayed", "0c01" + strings.Repeat("00", 32), nil, ErrMalformed},
		{"relayed, a part of it", "0c01" + strings.Repeat("00", 31), ErrTruncated, ErrMalformed},
		{"half an option's header", "01010203 0008", ErrTruncated, ErrTruncated},
		{"an option beyond the end", "01010203 00080002 00", ErrTruncated, ErrTruncated},
		{"an empty client ID", "07010203 00010000", nil, ErrOption},
		{"a server ID of 2 octets", "07010203 00020002 0001", nil, ErrOption},
		{"a client ID of 131 octets", "07010203 00010083" + strings.Repeat("00", 131), nil, ErrOption},
		{"a client ID of 130 octets", "07010203 00010082" + strings.Repeat("00", 130), nil, nil},
		{"a status of one octet", "07010203 000d0001 00", nil, ErrOption},
		{"an association of 11 octets", "07010203 0003000b" + strings.Repeat("00", 11), nil, ErrOption},
		{"an association with an option beyond its end", "07010203 00030010" + strings.Repeat("00", 12) + "0005 0018", nil, ErrOption},
		{"an association with a status of one octet", "07010203 00030011" + strings.Repeat("00", 12) + "000d 0001 00", nil, ErrOption},
		{"an address of 23 octets", "07010203 00030027" + strings.Repeat("00", 12) + "0005 0017" + strings.Repeat("00", 23), nil, ErrOption},
		{"an address with half an option", "07010203 0003002a" + strings.Repeat("00", 12) + "0005 001a" + strings.Repeat("00", 26), nil, ErrOption},
		{"an address with a bad status", "07010203 0003002d" + strings.Repeat("00", 12) + "0005 001d" + strings.Repeat("00", 24) + "000d000100", nil, ErrOption},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseDHCPv6(unhex(test.octets))
			require.Equal(t, test.packet, err)
			var r DHCPv6Repr
			require.Equal(t, test.repr, r.Parse(unhex(test.octets)))
			require.NotEmpty(t, DHCPv6Packet(unhex(test.octets)).String())
		})
	}
}

// What is of no use is as if it were not there; the rest of the message holds.
func TestDHCPv6Ignores(t *testing.T) {
	address := func(preferred, valid string) string { return strings.Repeat("00", 15) + "01" + preferred + valid }
	base := DHCPv6Repr{Type: DHCPv6Reply, TransactionID: 0x010203}
	for _, test := range []struct {
		name, octets string
		change       func(r *DHCPv6Repr)
	}{
		{"an association with T1 after T2", "0003000c 00000001 00000002 00000001", func(*DHCPv6Repr) {}},
		{"an association without T2", "0003000c 00000001 00000002 00000000", func(r *DHCPv6Repr) {
			r.IAs = []DHCPv6IANA{{IAID: 1, T1: 2 * time.Second}}
		}},
		{"an association again", "0003000c 00000001 00000000 00000000 0003000c 00000001 00000000 00000009", func(r *DHCPv6Repr) {
			r.IAs = []DHCPv6IANA{{IAID: 1}}
		}},
		{"an address preferred for longer than valid", "00030028 00000001 00000000 00000000 00050018" + address("00000002", "00000001"),
			func(r *DHCPv6Repr) { r.IAs = []DHCPv6IANA{{IAID: 1}} }},
		{"a preference of 2 octets", "00070002 0102", func(*DHCPv6Repr) {}},
		{"a second preference", "00070001 01 00070001 02", func(r *DHCPv6Repr) { r.Preference = 1 }},
		{"a second server ID, longer than allowed", "00020003 000901 00020000", func(r *DHCPv6Repr) { r.ServerID = DHCPv6DUID{0, 9, 1} }},
		{"elapsed time of a server", "00080002 0001", func(*DHCPv6Repr) {}},
		{"rapid commit with something in it", "000e0001 00", func(*DHCPv6Repr) {}},
		{"DNS server of 15 octets", "0017000f" + strings.Repeat("00", 15), func(*DHCPv6Repr) {}},
		{"a domain, and a bad one", "00180007 016100 02610000", func(r *DHCPv6Repr) { r.Domains = []string{"a"} }},
		{"a compressed domain", "00180002 c000", func(*DHCPv6Repr) {}},
		{"NTP servers of wrong lengths", "00380015 00010001 00 00030000 00030003 016101 00090001 00", func(*DHCPv6Repr) {}},
		{"a refresh time of a second", "00200004 00000001", func(r *DHCPv6Repr) { r.Refresh = 10 * time.Minute }},
		{"a refresh time of 3 octets", "00200003 000001", func(*DHCPv6Repr) {}},
		{"SOL_MAX_RT of 59 s", "00520004 0000003b", func(*DHCPv6Repr) {}},
		{"SOL_MAX_RT of more than a day", "00520004 00015181", func(*DHCPv6Repr) {}},
		{"INF_MAX_RT of 2 octets", "00530002 003c", func(*DHCPv6Repr) {}},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := base
			test.change(&want)
			var r DHCPv6Repr
			require.NoError(t, r.Parse(unhex("07010203"+test.octets)))
			require.Equal(t, want, r)
		})
	}
}

func TestDHCPv6EmitsWhatIsLegalOnly(t *testing.T) {
	r := DHCPv6Repr{Type: DHCPv6Solicit, TransactionID: 0xff000001, Elapsed: time.Hour, Domains: []string{"", "a..b", "ok"},
		NTPNames: []string{"a b"}, Unknown: nil, Status: DHCPv6Status{Message: strings.Repeat("x", 0x10000)},
		IAs: []DHCPv6IANA{{IAID: 1, T1: -1, Addresses: []DHCPv6IAAddr{{Addr: addr6A, Preferred: time.Hour, Valid: time.Second}}}}}
	var parsed DHCPv6Repr
	require.NoError(t, parsed.Parse(emitted(t, &r)))
	require.Equal(t, DHCPv6Repr{Type: DHCPv6Solicit, TransactionID: 1, Elapsed: DHCPv6MaxElapsed, Domains: []string{"ok"},
		IAs: []DHCPv6IANA{{IAID: 1, Addresses: []DHCPv6IAAddr{{Addr: addr6A, Preferred: time.Second, Valid: time.Second}}}}}, parsed)
}

func TestFormatDHCPv6(t *testing.T) {
	relayed := "0c01 20010db8000000000000000000000001 fe800000000000000000000000000007 00120004 65746830" +
		"0009000a 0b5bf882 00080002 0000"
	for _, test := range []struct{ name, octets, want string }{
		{"nothing", "", "dhcp6 [|dhcp6]"},
		{"two octets", "0100", "dhcp6 solicit ([|dhcp6])"},
		{"unknown type", "ff000001", "dhcp6 msgtype-255 (xid=1)"},
		{"relayed", relayed, "dhcp6 relay-fwd (linkaddr=2001:db8::1 peeraddr=fe80::7 (interface-ID) " +
			"(relay-message (dhcp6 inf-req (xid=5bf882 (elapsed-time 0)))))"},
		{"relayed, cut", relayed[:60], "dhcp6 relay-fwd ([|dhcp6])"},
		{"options that are not as they should be",
			"01000001 00010001 00 00030001 00 00050001 00 00060001 00 00070000 00080000 000d0000 00170001 00 00180001 05 00380001 00 00200000",
			"dhcp6 solicit (xid=1 (client-ID ?) (IA_NA ?) (IA_ADDR ?) (option-request ?) (preference ?) (elapsed-time ?) " +
				"(status-code ?) (DNS-server ?) (DNS-search-list [|domain]) (NTP-server ?) (lifetime ?))"},
		{"an option beyond the end", "01000001 00080002", "dhcp6 solicit (xid=1 [|dhcp6ext])"},
		{"DUIDs", "01000001 00010004 00010001 00020004 00050102", "dhcp6 solicit (xid=1 (client-ID type 1 0001) (server-ID type 5 0102))"},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, DHCPv6Packet(unhex(test.octets)).String())
		})
	}
	b := make([]byte, UDPHeaderLen)
	r := UDPRepr{SrcPort: DHCPv6ClientPort, DstPort: DHCPv6ServerPort, PayloadLen: len(goldenDHCPv6Released)}
	r.Emit(b)
	require.Equal(t, fmt.Sprintf("fdaa::1.546 > fdaa::2.547: %v", DHCPv6Packet(goldenDHCPv6Released)),
		formatUDP(addr6A, addr6B, append(b, goldenDHCPv6Released...)))
}

// A message of nothing but messages inside one another prints as a few of them.
func TestFormatDHCPv6NestsOnlySoFar(t *testing.T) {
	var b []byte
	for range 1000 {
		relay := append([]byte{DHCPv6RelayForward}, make([]byte, dhcpv6RelayHeaderLen-1)...)
		b = appendDHCPv6Option(relay, DHCPv6OptionRelayMessage, b)
	}
	require.Equal(t, 1+dhcpv6PrintDepth, strings.Count(DHCPv6Packet(b).String(), "relay-fwd"))
	b = nil
	for range 1000 {
		b = appendDHCPv6Option(nil, DHCPv6OptionIANA, append(make([]byte, dhcpv6IANALen), b...))
	}
	require.Equal(t, 1+dhcpv6PrintDepth, strings.Count(DHCPv6Packet(append([]byte{1, 0, 0, 1}, b...)).String(), "IA_NA"))
}

func TestDHCPv6DUIDValid(t *testing.T) {
	for n, want := range map[int]bool{0: false, 2: false, 3: true, 130: true, 131: false} {
		require.Equal(t, want, make(DHCPv6DUID, n).Valid(), n)
	}
	require.True(t, dhcpv6Client.Equal(DHCPv6DUIDLinkAddrTime(hardwareA, dhcpv6Made)))
	require.False(t, dhcpv6Client.Equal(dhcpv6Server))
}

func FuzzDHCPv6(f *testing.F) {
	for _, seed := range [][]byte{nil, goldenDHCPv6Solicit, goldenDHCPv6Advertise, goldenDHCPv6Request, goldenDHCPv6Reply,
		goldenDHCPv6Release, goldenDHCPv6Released, unhex("07000000 00380037 00010010fdaa000000000000000000000000000100020010" +
			"ff0500000000000000000000000001010003000b0474696d650474657374 00 00200004 00000258 00520004 0000003c 00530004 00015180 00630001 ff")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		require.NotEmpty(t, DHCPv6Packet(b).String())
		p, err := ParseDHCPv6(b)
		if err != nil {
			return
		}
		var r, again DHCPv6Repr
		if r.Parse(p) != nil {
			return
		}
		require.NoError(t, again.Parse(emitted(t, &r)))
		require.Equal(t, r, again)
		_ = r.String()
	})
}
