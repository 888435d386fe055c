package wire

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// dhcpv4Message is a message with the given beginning of its header, the rest of which is zeros, and options.
func dhcpv4Message(header, options string) []byte {
	b := make([]byte, DHCPv4HeaderLen)
	copy(b, unhex(header))
	copy(b[dhcpv4CookieOffset:], unhex("63825363"))
	return append(b, unhex(options)...)
}

var (
	// A DISCOVER: the first frame of Wireshark's sample capture dhcp.pcap.
	goldenDHCPDiscover = dhcpv4Message("01010600 00003d1d 0000 0000 00000000 00000000 00000000 00000000 000b8201fc42",
		"350101 3d0701000b8201fc42 320400000000 37040103062a ff 00000000000000")

	// The conversation of BusyBox 1.35.0's udhcpc, with -x hostname:probe, and dnsmasq 2.90, which hands out routes, a
	// search list and so on; captured between two namespaces.
	goldenDHCPRequest = dhcpv4Message("01010600 151e167d 0000 0000 00000000 00000000 00000000 00000000 969a8e5ed9c3", `
		350103 3204c0a84d37 3604c0a84d01 39020240 370a0103060c0f1a1c2a7779 0c0570726f6265 3c0c756468637020312e33352e30
		3d0701969a8e5ed9c3 ff`)
	goldenDHCPACK = dhcpv4Message("02010600 151e167d 0000 0000 00000000 c0a84d37 c0a84d01 00000000 969a8e5ed9c3", `
		350105 3604c0a84d01 330400000e10 3a0400000708 3b0400000c4e 0104ffffff00 1c04c0a84dff 0304c0a84d01 0c0570726f6265
		0f0b6578616d706c652e636f6d 0608c0a84d05c0a84d06 1a020578 2a04c0a84d04 7713076578616d706c6503636f6d00036c6162c000
		790b080ac0a84d0200c0a84d03 ff`)

	// A server's answer with the options in three fields, made by hand after RFC 2131, section 4.1: the domain name
	// goes on from the options field to file, and the DNS servers to sname.
	goldenDHCPOverload = func() []byte {
		b := dhcpv4Message("02010600 00000001 0000 8000 00000000 0a000002 00000000 00000000 020000000001",
			"00 350102 340103 36040a000001 330400000e10 0f076578616d706c65 06040a000035 ff 00 00")
		copy(b[dhcpv4BootFileOffset:], unhex("0f042e636f6d 0104ffffff00 ff"))
		copy(b[dhcpv4ServerNameOffset:], unhex("06040a000036 00 0104ffff0000 ff 00 03040a000009"))
		return b
	}()
)

var goldenDHCP = [][]byte{goldenDHCPDiscover, goldenDHCPRequest, goldenDHCPACK, goldenDHCPOverload}

func parsedDHCPv4(t testing.TB, b []byte) DHCPv4Repr {
	t.Helper()
	p, err := ParseDHCPv4(b)
	require.NoError(t, err)
	var r DHCPv4Repr
	require.NoError(t, r.Parse(p))
	return r
}

func addrs(list ...string) []netip.Addr {
	var addrs []netip.Addr
	for _, s := range list {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	return addrs
}

func dhcpv4Route(prefix, router string) DHCPv4Route {
	return DHCPv4Route{netip.MustParsePrefix(prefix), netip.MustParseAddr(router)}
}

func TestDHCPv4Golden(t *testing.T) {
	client := HardwareAddr(unhex("969a8e5ed9c3"))
	for _, test := range []struct {
		name   string
		octets []byte
		want   DHCPv4Repr
		print  string
	}{
		{"DISCOVER", goldenDHCPDiscover, DHCPv4Repr{
			Type: DHCPv4Discover, XID: 0x3d1d, ClientHardware: HardwareAddr(unhex("000b8201fc42")), ClientID: unhex("01000b8201fc42"),
			Parameters: []uint8{1, 3, 6, 42},
		}, "BOOTP/DHCP, Request from 00:0b:82:01:fc:42, length 272, xid 0x3d1d, Flags [none], DHCP-Message Discover, " +
			"Client-ID ether 00:0b:82:01:fc:42, Requested-IP 0.0.0.0, " +
			"Parameter-Request Subnet-Mask,Default-Gateway,Domain-Name-Server,NTP"},
		{"REQUEST", goldenDHCPRequest, DHCPv4Repr{
			Type: DHCPv4Request, XID: 0x151e167d, ClientHardware: client, ClientID: append([]byte{1}, client[:]...),
			RequestedAddr: netip.MustParseAddr("192.168.77.55"), ServerID: netip.MustParseAddr("192.168.77.1"), MaxMessageSize: 576,
			Parameters: []uint8{1, 3, 6, 12, 15, 26, 28, 42, 119, 121}, Hostname: "probe", VendorClass: "udhcp 1.35.0",
		}, "BOOTP/DHCP, Request from 96:9a:8e:5e:d9:c3, length 302, xid 0x151e167d, Flags [none], DHCP-Message Request, " +
			"Requested-IP 192.168.77.55, Server-ID 192.168.77.1, MSZ 576, Parameter-Request Subnet-Mask,Default-Gateway," +
			"Domain-Name-Server,Hostname,Domain-Name,MTU,BR,NTP,Domain-Search,Classless-Static-Route, Hostname \"probe\", " +
			"Vendor-Class \"udhcp 1.35.0\", Client-ID ether 96:9a:8e:5e:d9:c3"},
		{"ACK", goldenDHCPACK, DHCPv4Repr{
			Type: DHCPv4ACK, XID: 0x151e167d, ClientHardware: client, YourAddr: netip.MustParseAddr("192.168.77.55"),
			NextServer: netip.MustParseAddr("192.168.77.1"), ServerID: netip.MustParseAddr("192.168.77.1"),
			LeaseTime: time.Hour, RenewalTime: 30 * time.Minute, RebindingTime: 52*time.Minute + 30*time.Second, SubnetBits: 24,
			BroadcastAddr: netip.MustParseAddr("192.168.77.255"), Routers: addrs("192.168.77.1"), Hostname: "probe",
			DomainName: "example.com", DNSServers: addrs("192.168.77.5", "192.168.77.6"), MTU: 1400, NTPServers: addrs("192.168.77.4"),
			DomainSearch: []string{"example.com", "lab.example.com"},
			Routes:       []DHCPv4Route{dhcpv4Route("10.0.0.0/8", "192.168.77.2"), dhcpv4Route("0.0.0.0/0", "192.168.77.3")},
		}, "BOOTP/DHCP, Reply to 96:9a:8e:5e:d9:c3, length 360, xid 0x151e167d, Flags [none], Your-IP 192.168.77.55, " +
			"Server-IP 192.168.77.1, DHCP-Message ACK, Server-ID 192.168.77.1, Lease-Time 3600, RN 1800, RB 3150, " +
			"Subnet-Mask 255.255.255.0, BR 192.168.77.255, Default-Gateway 192.168.77.1, Hostname \"probe\", " +
			"Domain-Name \"example.com\", Domain-Name-Server 192.168.77.5,192.168.77.6, MTU 1400, NTP 192.168.77.4, " +
			"Domain-Search example.com.,lab.example.com., " +
			"Classless-Static-Route (10.0.0.0/8:192.168.77.2),(default:192.168.77.3)"},
		{"options in three fields", goldenDHCPOverload, DHCPv4Repr{
			Type: DHCPv4Offer, XID: 1, Broadcast: true, ClientHardware: HardwareAddr{2, 0, 0, 0, 0, 1},
			YourAddr: netip.MustParseAddr("10.0.0.2"), ServerID: netip.MustParseAddr("10.0.0.1"), LeaseTime: time.Hour,
			DomainName: "example.com", DNSServers: addrs("10.0.0.53", "10.0.0.54"), SubnetBits: 24,
		}, "BOOTP/DHCP, Reply to 02:00:00:00:00:01, length 277, xid 0x1, Flags [Broadcast], Your-IP 10.0.0.2, " +
			"DHCP-Message Offer, OO length 1: 03, Server-ID 10.0.0.1, Lease-Time 3600, Domain-Name \"example.com\", " +
			"Domain-Name-Server 10.0.0.53,10.0.0.54, Subnet-Mask 255.255.255.0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			original := bytes.Clone(test.octets)
			r := parsedDHCPv4(t, test.octets)
			require.Equal(t, test.want, r)
			require.Equal(t, original, test.octets, "putting options together leaves the message as it is")
			require.Equal(t, test.print, DHCPv4Packet(test.octets).String())
			again := parsedDHCPv4(t, emitted(t, &r))
			require.Equal(t, r, again)
		})
	}
}

// dnsmasq's octets come out of the representation, in another order.
func TestDHCPv4EmitsAsDnsmasq(t *testing.T) {
	r := parsedDHCPv4(t, goldenDHCPACK)
	options, err := DHCPv4Packet(goldenDHCPACK).Options()
	require.NoError(t, err)
	own, err := DHCPv4Packet(emitted(t, &r)).Options()
	require.NoError(t, err)
	require.ElementsMatch(t, options, own)
}

func TestDHCPv4Accessors(t *testing.T) {
	p, err := ParseDHCPv4(dhcpv4Message("02060a03 01020304 0506 8000 0a000001 0a000002 0a000003 0a000004 0102030405060708090a0b", "ff"))
	require.NoError(t, err)
	require.EqualValues(t, 2, p.Op())
	require.EqualValues(t, 6, p.HardwareType())
	require.Equal(t, 10, p.HardwareLen())
	require.EqualValues(t, 3, p.Hops())
	require.EqualValues(t, 0x01020304, p.XID())
	require.EqualValues(t, 0x0506, p.Secs())
	require.True(t, p.Broadcast())
	require.Equal(t, addrs("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"),
		[]netip.Addr{p.ClientAddr(), p.YourAddr(), p.NextServer(), p.RelayAddr()})
	require.Equal(t, unhex("0102030405060708090a"), p.ClientHardware())
	require.Len(t, p.ServerName(), 64)
	require.Len(t, p.BootFile(), 128)
	require.Equal(t, "BOOTP/DHCP, Reply, hardware 6 (len 10), length 241, hops 3, xid 0x1020304, secs 1286, Flags [Broadcast], "+
		"Client-IP 10.0.0.1, Your-IP 10.0.0.2, Server-IP 10.0.0.3, Gateway-IP 10.0.0.4", p.String())
}

func TestDHCPv4Refused(t *testing.T) {
	ethernet := "01010600 00000001"
	for _, test := range []struct {
		name            string
		octets          []byte
		parse, reprFail error
	}{
		{"nothing", nil, ErrTruncated, nil},
		{"one octet less than the header", goldenDHCPACK[:DHCPv4HeaderLen-1], ErrTruncated, nil},
		{"no cookie: BOOTP", make([]byte, 300), ErrVersion, nil},
		{"no option", dhcpv4Message(ethernet, ""), nil, ErrMalformed},
		{"no message type", dhcpv4Message(ethernet, "3604 0a000001 ff"), nil, ErrMalformed},
		{"message type of two octets", dhcpv4Message(ethernet, "3502 0101 ff"), nil, ErrMalformed},
		{"message type 9", dhcpv4Message(ethernet, "350109 ff"), nil, ErrMalformed},
		{"an OFFER that is a request", dhcpv4Message(ethernet, "350102 ff"), nil, ErrMalformed},
		{"a DISCOVER that is a reply", dhcpv4Message("02010600", "350101 ff"), nil, ErrMalformed},
		{"not for Ethernet", dhcpv4Message("01060600", "350101 ff"), nil, ErrVersion},
		{"hardware address of 16 octets", dhcpv4Message("01011000", "350101 ff"), nil, ErrVersion},
		{"option without length", dhcpv4Message(ethernet, "350101 36"), nil, ErrTruncated},
		{"option past the end", dhcpv4Message(ethernet, "350101 3604 0a0000"), nil, ErrTruncated},
		{"no end option, as some servers have it", dhcpv4Message(ethernet, "350101"), nil, nil},
		{"behind the end is nothing", dhcpv4Message(ethernet, "350101 ff 36"), nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := ParseDHCPv4(test.octets)
			require.Equal(t, test.parse, err)
			if err == nil {
				require.Equal(t, test.reprFail, new(DHCPv4Repr).Parse(p))
			}
			require.NotEmpty(t, DHCPv4Packet(test.octets).String())
		})
	}
	overrun := bytes.Clone(goldenDHCPOverload)
	overrun[dhcpv4BootFileOffset+1] = 200
	require.Equal(t, ErrTruncated, new(DHCPv4Repr).Parse(overrun), "an option must be contained in its field")
	overrun = bytes.Clone(goldenDHCPOverload)
	overrun[dhcpv4ServerNameOffset+1] = 64
	require.Equal(t, ErrTruncated, new(DHCPv4Repr).Parse(overrun), "an option must be contained in its field")
}

// What an option must not be, it is not; the message holds all the same.
func TestDHCPv4Options(t *testing.T) {
	long := strings.Repeat("ab", 200)
	for _, test := range []struct {
		name    string
		octets  string
		want    DHCPv4Repr
		unequal bool // the octets are not what Emit makes of want
	}{
		{"mask of 32 bits", "0104 ffffffff", DHCPv4Repr{SubnetBits: 32}, false},
		{"mask of 1 bit", "0104 80000000", DHCPv4Repr{SubnetBits: 1}, false},
		{"mask of no bits", "0104 00000000", DHCPv4Repr{}, true},
		{"mask with holes", "0104 ff00ff00", DHCPv4Repr{}, true},
		{"mask of three octets", "0103 ffff00", DHCPv4Repr{}, true},
		{"mask twice: the first", "0104 ffff0000 0104 ffffff00", DHCPv4Repr{SubnetBits: 16}, true},
		{"eight routers", "0320 0a000001 0a000002 0a000003 0a000004 0a000005 0a000006 0a000007 0a000008", DHCPv4Repr{
			Routers: addrs("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8")}, false},
		{"routers of six octets", "0306 0a000001 0a00", DHCPv4Repr{}, true},
		{"routers, none", "0300", DHCPv4Repr{}, true},
		{"routers in two parts", "0304 0a000001 0304 0a000002", DHCPv4Repr{Routers: addrs("10.0.0.1", "10.0.0.2")}, true},
		{"a router cut in two", "0302 0a00 0302 0001", DHCPv4Repr{Routers: addrs("10.0.0.1")}, true},
		{"DNS servers filled up with zeros", "060c 0a000001 00000000 00000000", DHCPv4Repr{DNSServers: addrs("10.0.0.1")}, true},
		{"NTP server", "2a04 0a000001", DHCPv4Repr{NTPServers: addrs("10.0.0.1")}, false},
		{"infinite lease", "3304 ffffffff", DHCPv4Repr{LeaseTime: DHCPv4Infinite}, false},
		{"lease of nothing", "3304 00000000", DHCPv4Repr{}, true},
		{"lease of 8 octets", "3308 0000000100000001", DHCPv4Repr{}, true},
		{"T1 later than T2, as they were sent", "3a04 00000002 3b04 00000001",
			DHCPv4Repr{RenewalTime: 2 * time.Second, RebindingTime: time.Second}, false},
		{"MTU", "1a02 05dc", DHCPv4Repr{MTU: 1500}, false},
		{"MTU of one octet", "1a01 ff", DHCPv4Repr{}, true},
		{"hostname", "0c04 686f7374", DHCPv4Repr{Hostname: "host"}, false},
		{"hostname that ends in zeros", "0c06 686f73740000", DHCPv4Repr{Hostname: "host"}, true},
		{"hostname with a line feed", "0c05 686f737a0a", DHCPv4Repr{}, true},
		{"domain name with a dot at its end", "0f04 6c616e2e", DHCPv4Repr{DomainName: "lan"}, true},
		{"domain name that is none", "0f04 6c2e2e6e", DHCPv4Repr{}, true},
		{"client identifier", "3d03 00aabb", DHCPv4Repr{ClientID: unhex("00aabb")}, false},
		{"client identifier of one octet", "3d01 00", DHCPv4Repr{}, true},
		{"unknown options", "5203 010203 5000", DHCPv4Repr{Options: []DHCPv4Option{{82, unhex("010203")}, {80, []byte{}}}}, false},
		{"routes", "7916 00 0a000001 12 0a0140 0a000002 20 0a000003 00000000", DHCPv4Repr{Routes: []DHCPv4Route{
			dhcpv4Route("0.0.0.0/0", "10.0.0.1"), dhcpv4Route("10.1.64.0/18", "10.0.0.2"), dhcpv4Route("10.0.0.3/32", "0.0.0.0"),
		}}, false},
		{"route with bits beyond its length", "7907 09 0aff 0a000001",
			DHCPv4Repr{Routes: []DHCPv4Route{dhcpv4Route("10.128.0.0/9", "10.0.0.1")}}, true},
		{"route of 33 bits", "790a 21 0a00000100 0a000001", DHCPv4Repr{}, true},
		{"route cut short", "7908 08 0a 0a000000 00 00", DHCPv4Repr{}, true},
		{"search list", "770e 0161 0162 00 0163 c002 03 78797a 00", DHCPv4Repr{DomainSearch: []string{"a.b", "c.b", "xyz"}}, false},
		{"search list in two parts", "7703 016101 7705 6200 0163 00", DHCPv4Repr{DomainSearch: []string{"a.b", "c"}}, true},
		{"name that points at itself", "7702 c000", DHCPv4Repr{}, true},
		{"name that points forwards", "7705 c002 0161 00", DHCPv4Repr{}, true},
		{"name that points into a loop", "7706 0161 c000 c000", DHCPv4Repr{}, true},
		{"name without end", "7703 016162", DHCPv4Repr{}, true},
		{"name with half a pointer", "7703 0161 c0", DHCPv4Repr{}, true},
		{"label of a reserved kind", "7703 406100", DHCPv4Repr{}, true},
		{"name with a dot in a label is left out", "7708 03612e62 00 0163 00", DHCPv4Repr{DomainSearch: []string{"c"}}, true},
		{"the root is left out", "7704 00 0163 00", DHCPv4Repr{DomainSearch: []string{"c"}}, true},
		{"vendor class of 400 octets", "3cff" + strings.Repeat("6162", 127) + "61 3c91 62" + strings.Repeat("6162", 72),
			DHCPv4Repr{VendorClass: long}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			octets := dhcpv4Message("02010600", "350102"+test.octets+"ff")
			test.want.Type = DHCPv4Offer
			r := parsedDHCPv4(t, octets)
			require.Equal(t, test.want, r)
			require.NotEmpty(t, DHCPv4Packet(octets).String())
			again := emitted(t, &r)
			require.Equal(t, r, parsedDHCPv4(t, again))
			if padded := append(octets, make([]byte, max(0, DHCPv4MinLen-len(octets)))...); test.unequal {
				require.NotEqual(t, padded, again)
			} else {
				padded[2] = 6
				require.Equal(t, padded, again)
			}
		})
	}
}

// What must not be in a representation is not emitted.
func TestDHCPv4EmitsOnlyWhatIsLegal(t *testing.T) {
	wrong := DHCPv4Repr{
		Type: DHCPv4Request, ClientAddr: addr6A, ServerID: netip.IPv4Unspecified(), ClientID: []byte{1}, SubnetBits: 33,
		Routers: []netip.Addr{addr6A, {}}, Routes: []DHCPv4Route{{netip.MustParsePrefix("fdaa::/64"), addr6B}}, Hostname: "a\nb",
		DomainName: "a..b", DomainSearch: []string{"", strings.Repeat("a", 64)}, LeaseTime: time.Millisecond,
		Options: []DHCPv4Option{{DHCPv4OptionPad, nil}, {DHCPv4OptionEnd, nil}, {DHCPv4OptionOverload, []byte{3}}, {DHCPv4OptionMTU, []byte{1, 1}}},
	}
	require.Equal(t, DHCPv4Repr{Type: DHCPv4Request}, parsedDHCPv4(t, emitted(t, &wrong)))
	forever := DHCPv4Repr{Type: DHCPv4Offer, LeaseTime: DHCPv4Infinite + time.Hour}
	require.Equal(t, DHCPv4Infinite, parsedDHCPv4(t, emitted(t, &forever)).LeaseTime)
}

// Nothing longer than an option's 255 octets gets lost.
func TestDHCPv4LongOptions(t *testing.T) {
	r := DHCPv4Repr{Type: DHCPv4ACK}
	for i := range 200 {
		r.DNSServers = append(r.DNSServers, netip.AddrFrom4([4]byte{10, 0, 0, uint8(i + 1)}))
		r.DomainSearch = append(r.DomainSearch, "a"+strings.Repeat("b", i%60)+string(rune('a'+i%26))+".example.com")
		r.Routes = append(r.Routes, DHCPv4Route{netip.PrefixFrom(netip.AddrFrom4([4]byte{20, 0, uint8(i), 0}), 24), r.DNSServers[i]})
	}
	require.Equal(t, r, parsedDHCPv4(t, emitted(t, &r)))
}

func TestDHCPv4PrintsInUDP(t *testing.T) {
	b := append(unhex("0043 0044 0170 0000"), goldenDHCPACK...)
	require.Equal(t, "192.168.77.1.67 > 192.168.77.55.68: "+DHCPv4Packet(goldenDHCPACK).String(),
		formatUDP(netip.MustParseAddr("192.168.77.1"), netip.MustParseAddr("192.168.77.55"), b))
	require.Equal(t, "10.0.0.1.67 > 10.0.0.2.68: BOOTP/DHCP, length 1 [|bootp]", formatUDP(addr4A, addr4B, unhex("0043 0044 0009 0000 00")))
	require.Equal(t, "10.0.0.1.67 > 10.0.0.2.68: UDP, length 0", formatUDP(addr4A, addr4B, unhex("0043 0044 0008 0000")))
}

// Whatever is cut off or changed, something is printed.
func TestDHCPv4PrintingNeverPanics(t *testing.T) {
	for _, message := range goldenDHCP {
		for n := range len(message) + 1 {
			require.NotEmpty(t, DHCPv4Packet(message[:n]).String())
		}
		for i := range message {
			for _, octet := range []byte{0x00, 0x01, 0x34, 0x7f, 0xc0, 0xff} {
				changed := bytes.Clone(message)
				changed[i] = octet
				require.NotEmpty(t, DHCPv4Packet(changed).String())
			}
		}
	}
}

func FuzzDHCPv4(f *testing.F) {
	for _, message := range goldenDHCP {
		f.Add(message)
	}
	f.Add(dhcpv4Message("02010600", "350102 7706 0161 c000 c000 7906 08 0a 0a000000 00 00 ff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = DHCPv4Packet(b).String()
		p, err := ParseDHCPv4(b)
		if err != nil {
			return
		}
		original := bytes.Clone(b)
		var r DHCPv4Repr
		if r.Parse(p) != nil {
			return
		}
		require.Equal(t, original, b)
		emitted := make([]byte, r.Len())
		r.Emit(emitted)
		require.Equal(t, r, parsedDHCPv4(t, emitted))
		require.Equal(t, DHCPv4Packet(emitted).String(), r.String())
	})
}
