package core

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// Behind the router's second interface.
var (
	beyond4, beyond6 = addr("10.0.0.9"), addr("fdbb::9")
	farGateway6      = addr("fe80::fe")
)

// routing is a conversation with a router: near is the interface of newScript, far is another Ethernet, 10.0.0.1/8 and
// fdbb::1/64, whose neighbours are known.
type routing struct{ near, far *script }

func newRouting(t *testing.T, far dev.Capabilities, options ...any) routing {
	s := newScript(t, append([]any{func(c *InterfaceConfig) { c.Forward = true }}, options...)...)
	if s.link.Neighbours() != nil {
		s.knowing()
	}
	l, err := s.stack.AddInterface(s.now, InterfaceConfig{
		NoGroupReports: true,
		Name:           "eth1", Device: &testDevice{far}, DuplicateDetection: DetectNone,
		Addresses: []netip.Prefix{prefix("10.0.0.1/8"), prefix("fdbb::1/64")},
	})
	require.NoError(t, err)
	other := &script{t: t, stack: s.stack, link: l, now: s.now}
	if l.Neighbours() != nil {
		for _, a := range []netip.Addr{beyond4, beyond6} {
			require.NoError(t, l.Neighbours().Static(0, a, otherHardware.LinkAddr()))
		}
	}
	other.skip()
	return routing{s, other}
}

// whole sets an IPv4 packet's flag that forbids its fragmentation, as the script has it of all that leaves.
func whole(b []byte) []byte { return rechecked(patched(b, 6, 0x40)) }

func hops(b []byte, n uint8) []byte {
	if b[0]>>4 == 4 {
		return rechecked(patched(b, 8, n))
	}
	return patched(b, 7, n)
}

func TestForwarding(t *testing.T) {
	hopByHop := func(options ...byte) []byte {
		return ipv6(them6, beyond6, wire.IPv6HopByHop, append(append([]byte{ip.ProtocolUDP, 0}, options...),
			udpTo(them6, beyond6, 1000, 7, "hello")[40:]...))
	}
	long := strings.Repeat("x", 1452)
	unreachable4 := error4(them4, wire.ICMPv4DestinationUnreachable, 1, 0, udpTo(beyond4, them4, 1, 2, ""))
	copy(unreachable4[16:], beyond4.AsSlice())
	for _, tc := range []struct {
		name  string
		frame []byte
		far   string // what leaves by the other interface
		near  string // what goes back
		cause DropCause
	}{
		{name: "IPv4", frame: toUs(whole(udpTo(them4, beyond4, 1000, 7, "hello"))),
			far: "IP 192.168.69.100.1000 > 10.0.0.9.7: UDP, length 5"},
		{name: "IPv6", frame: toUs(udpTo(them6, beyond6, 1000, 7, "hello")),
			far: "IP6 fdaa::100.1000 > fdbb::9.7: UDP, length 5"},
		{name: "of the MTU", frame: toUs(udpTo(them6, beyond6, 1000, 7, long)),
			far: "IP6 fdaa::100.1000 > fdbb::9.7: UDP, length 1452"},
		{name: "with the last hop but one", frame: toUs(hops(whole(udpTo(them4, beyond4, 1000, 7, "")), 2)),
			far: "IP 192.168.69.100.1000 > 10.0.0.9.7: UDP, length 0"},
		{name: "any protocol", frame: toUs(ipv6(them6, beyond6, 253, []byte("hello"))),
			far: "IP6 fdaa::100 > fdbb::9: ip-proto-253, length 5"},
		{name: "an echo request", frame: toUs(whole(echo4(them4, beyond4, ""))),
			far: "IP 192.168.69.100 > 10.0.0.9: ICMP echo request, id 1, seq 2, length 8"},
		{name: "an ICMP error", frame: toUs(whole(unreachable4)),
			far: "IP 192.168.69.100 > 10.0.0.9: ICMP host 192.168.69.100 unreachable, length 36: IP 10.0.0.9.1 > 192.168.69.100.2: UDP, length 0"},
		{name: "router alert", frame: toUs(hopByHop(5, 2, 0, 0, 1, 0)),
			far: "IP6 fdaa::100.1000 > fdbb::9.7: HBH UDP, length 5"},
		{name: "router alert, IPv4", frame: toUs(whole(ipv4Options(them4, beyond4, 253, []byte{148, 4, 0, 0}, nil))),
			far: "IP (options ra) 192.168.69.100 > 10.0.0.9: ip-proto-253, length 0"},
		{name: "to an address of the stack's own on the other link", frame: toUs(echo4(them4, addr("10.0.0.1"), "")),
			near: "IP 10.0.0.1 > 192.168.69.100: ICMP echo reply, id 1, seq 2, length 8"},

		{name: "with the last hop", frame: toUs(hops(udpTo(them4, beyond4, 1000, 7, ""), 1)), cause: DropHopLimit,
			near: "IP 192.168.69.1 > 192.168.69.100: ICMP time exceeded in-transit, length 36: IP 192.168.69.100.1000 > 10.0.0.9.7: UDP, length 0"},
		{name: "without any hop", frame: toUs(hops(udpTo(them4, beyond4, 1000, 7, ""), 0)), cause: DropHopLimit,
			near: "IP 192.168.69.1 > 192.168.69.100: ICMP time exceeded in-transit, length 36: IP 192.168.69.100.1000 > 10.0.0.9.7: UDP, length 0"},
		{name: "with the last hop, IPv6", frame: toUs(hops(udpTo(them6, beyond6, 1000, 7, ""), 1)), cause: DropHopLimit,
			near: "IP6 fdaa::1 > fdaa::100: ICMP6, time exceeded in-transit, length 56: IP6 fdaa::100.1000 > fdbb::9.7: UDP, length 0"},
		{name: "an ICMP error with the last hop", frame: toUs(hops(unreachable4, 1)), cause: DropHopLimit},
		{name: "no route", frame: toUs(udpTo(them4, addr("8.8.8.8"), 1000, 7, "")), cause: DropUnroutable,
			near: "IP 192.168.69.1 > 192.168.69.100: ICMP net 8.8.8.8 unreachable, length 36: IP 192.168.69.100.1000 > 8.8.8.8.7: UDP, length 0"},
		{name: "no route, IPv6", frame: toUs(udpTo(them6, addr("2001:db8::1"), 1000, 7, "")), cause: DropUnroutable,
			near: "IP6 fdaa::1 > fdaa::100: ICMP6, destination unreachable, unreachable route, length 56: IP6 fdaa::100.1000 > 2001:db8::1.7: UDP, length 0"},
		{name: "link-local source", frame: toUs(udpTo(theirLinkLocal, beyond6, 1000, 7, "")), cause: DropScope,
			near: "IP6 fe80::ff:fe00:1 > fe80::64: ICMP6, destination unreachable, beyond scope, length 56: IP6 fe80::64.1000 > fdbb::9.7: UDP, length 0"},
		{name: "link-local destination", frame: toUs(udpTo(them6, addr("fe80::77"), 1000, 7, "")), cause: DropScope},
		{name: "link-local source, IPv4", frame: toUs(udpTo(addr("169.254.1.1"), beyond4, 1000, 7, "")), cause: DropScope},
		{name: "link-local destination, IPv4", frame: toUs(udpTo(them4, addr("169.254.1.1"), 1000, 7, "")), cause: DropScope},
		{name: "source route", frame: toUs(ipv4Options(them4, beyond4, 253, []byte{131, 7, 8, 10, 0, 0, 1, 0}, make([]byte, 8))), cause: DropSourceRoute,
			near: "IP 192.168.69.1 > 192.168.69.100: ICMP 10.0.0.9 unreachable - source route failed, length 44: IP (options lsrr,eol) 192.168.69.100 > 10.0.0.9: ip-proto-253, length 8"},
		{name: "malformed options", frame: toUs(ipv4Options(them4, beyond4, 253, []byte{7, 1, 0, 0}, make([]byte, 8))), cause: DropOptions,
			near: "IP 192.168.69.1 > 192.168.69.100: ICMP parameter problem - octet 20, length 40: IP (options [|ip]) 192.168.69.100 > 10.0.0.9: ip-proto-253, length 8"},
		{name: "unknown option that says so", frame: toUs(hopByHop(0x83, 4, 0, 0, 0, 0)), cause: DropExtensionOption,
			near: "IP6 fdaa::1 > fdaa::100: ICMP6, parameter problem, option - octet 42, length 69: IP6 fdaa::100.1000 > fdbb::9.7: HBH UDP, length 5"},
		{name: "directed broadcast", frame: toUs(udpTo(them4, addr("10.255.255.255"), 1000, 7, "")), cause: DropDirectedBroadcast},
		{name: "in a link-layer broadcast", frame: toAll(udpTo(them4, beyond4, 1000, 7, "")), cause: DropLinkGroup},
		{name: "multicast", frame: toGroup(udpTo(them4, addr("239.1.2.3"), 1000, 7, "")), cause: DropNotOurs},
		{name: "multicast, IPv6", frame: toGroup(udpTo(them6, addr("ff0e::1"), 1000, 7, "")), cause: DropNotOurs},
		{name: "loopback destination", frame: toUs(udpTo(them4, addr("127.0.0.1"), 1000, 7, "")), cause: DropMartianDestination},
		{name: "loopback source", frame: toUs(udpTo(addr("127.0.0.1"), beyond4, 1000, 7, "")), cause: DropMartianSource},
		{name: "unspecified source", frame: toUs(udpTo(addr("::"), beyond6, 1000, 7, "")), cause: DropMartianSource},
		{name: "multicast source", frame: toUs(udpTo(addr("ff02::1"), beyond6, 1000, 7, "")), cause: DropMartianSource},
		{name: "source of the router's own", frame: toUs(udpTo(us4, beyond4, 1000, 7, "")), cause: DropOwnSource},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRouting(t, ethernet(1500))
			r.near.recv(tc.frame)
			c := r.near.link.Counters()
			ip, sent := c.IPv4, tc.frame[14:]
			if sent[0]>>4 == 6 {
				ip = c.IPv6
			}
			if tc.far != "" {
				frames := r.far.want("it goes on", tc.far)
				require.Equal(t, otherHardware, wire.EthernetFrame(frames[0]).Dst())
				want := hops(sent, ttl(sent)-1)
				require.Equal(t, want, frames[0][14:], "one hop less, and else as it came")
				require.EqualValues(t, 1, ip.InForwDatagrams)
				out := r.far.link.Counters()
				require.EqualValues(t, 1, out.IPv4.OutForwDatagrams+out.IPv6.OutForwDatagrams)
				require.Zero(t, out.IPv4.OutRequests+out.IPv6.OutRequests-2, "which is none of the stack's own") // the announcements
			}
			r.far.wantIdle("nothing else does")
			if tc.near == "" {
				r.near.wantIdle("and nothing comes back")
			} else {
				r.near.want("its sender hears of it", tc.near)
			}
			if tc.cause != 0 {
				require.EqualValues(t, 1, r.near.link.Counters().Drops[tc.cause], "%v", c.Drops)
			}
		})
	}
}

func ttl(b []byte) uint8 {
	if b[0]>>4 == 4 {
		return b[8]
	}
	return b[7]
}

func TestHostsDoNotForward(t *testing.T) {
	r := newRouting(t, ethernet(1500), func(c *InterfaceConfig) { c.Forward = false })
	r.near.recv(toUs(udpTo(them4, beyond4, 1000, 7, "hello")))
	r.near.recv(toUs(udpTo(them6, beyond6, 1000, 7, "hello")))
	r.far.wantIdle("nothing goes on")
	r.near.wantIdle("and nobody is told")
	require.EqualValues(t, 2, r.near.link.Counters().Drops[DropNotOurs])

	require.NoError(t, r.near.link.SetForward(true))
	require.True(t, r.near.link.Forwards())
	r.near.recv(toUs(whole(udpTo(them4, beyond4, 1000, 7, "hello"))))
	require.Len(t, r.far.send(), 1, "a router does")
	require.Contains(t, r.near.link.Groups(), addr("ff02::2"), "and is one of all routers")

	require.NoError(t, r.near.link.SetForward(false))
	r.near.recv(toUs(udpTo(them4, beyond4, 1000, 7, "hello")))
	r.far.wantIdle("no more")
	require.NotContains(t, r.near.link.Groups(), addr("ff02::2"))
	require.ErrorIs(t, r.near.stack.Interface(1).SetForward(true), ErrConfig)
}

func TestForwardedPacketThatIsTooBig(t *testing.T) {
	for _, tc := range []struct {
		name  string
		frame []byte
		near  string
	}{
		{"IPv4", whole(udpTo(them4, beyond4, 1000, 7, strings.Repeat("x", 1300))),
			"IP 192.168.69.1 > 192.168.69.100: ICMP 10.0.0.9 unreachable - need to frag (mtu 1280)"},
		{"IPv6", udpTo(them6, beyond6, 1000, 7, strings.Repeat("x", 1300)),
			"IP6 fdaa::1 > fdaa::100: ICMP6, packet too big, mtu 1280"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRouting(t, ethernet(1280))
			r.near.recv(toUs(tc.frame))
			r.far.wantIdle("it does not fit")
			sent := r.near.send()
			require.Len(t, sent, 1)
			require.Contains(t, wire.FormatIP(sent[0][14:]), tc.near)
			require.EqualValues(t, 1, r.far.link.Counters().Drops[DropTooBig])
		})
	}
}

// A router that listens to others on the way out sends no more than they say the link carries.
func TestForwardedPacketIsTooBigForOthers(t *testing.T) {
	r := newRouting(t, ethernet(1500))
	l, err := r.near.stack.AddInterface(r.near.now, InterfaceConfig{
		NoGroupReports: true, Device: &testDevice{ethernet(1500)}, DuplicateDetection: DetectNone, Autoconf: true,
		Addresses: []netip.Prefix{prefix("fdcc::1/64")},
	})
	require.NoError(t, err)
	behind := addr("fdcc::9")
	require.NoError(t, l.Neighbours().Static(0, behind, otherHardware.LinkAddr()))
	upstream := &script{t: t, stack: r.near.stack, link: l, now: r.near.now}
	upstream.recv(patched(nd(theirLinkLocal, allNodesv6, advertisement(0, &wire.NDMTURepr{MTU: 1400})), 0, 0x33, 0x33, 0, 0, 0, 1))
	upstream.skip()
	r.near.recv(toUs(udpTo(them6, behind, 1000, 7, strings.Repeat("x", 1352))))
	require.Len(t, upstream.send(), 1, "1400 octets")
	r.near.recv(toUs(udpTo(them6, behind, 1000, 7, strings.Repeat("x", 1353))))
	upstream.wantIdle("1401 are too many")
	sent := r.near.send()
	require.Len(t, sent, 1)
	require.Contains(t, wire.FormatIP(sent[0][14:]), "packet too big, mtu 1400")
}

// TestForwardedFragments: what is not forbidden to be fragmented is, by RFC 791 section 3.2: also what is a fragment already.
func TestForwardedFragments(t *testing.T) {
	payload := make([]byte, 3000)
	for i := range payload {
		payload[i] = byte(i % 251)
	}
	record, alert := []byte{7, 3, 4}, []byte{148, 4, 0, 0}
	for _, tc := range []struct {
		name  string
		field []byte // flags and offset, as it comes
		want  []string
	}{
		{"a whole packet", []byte{0, 0}, []string{"(frag 7:1248@0+)", "(frag 7:1248@1248+)", "(frag 7:504@2496)"}},
		{"a first fragment", []byte{0x20, 0}, []string{"(frag 7:1248@0+)", "(frag 7:1248@1248+)", "(frag 7:504@2496+)"}},
		{"a last fragment", []byte{0, 100}, []string{"(frag 7:1248@800+)", "(frag 7:1248@2048+)", "(frag 7:504@3296)"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRouting(t, ethernet(1280), func(c *dev.Capabilities) { c.MTU = 9000 })
			options := append(append(append([]byte(nil), record...), alert...), 0)
			datagram := rechecked(patched(patched(ipv4Options(them4, beyond4, 253, options, payload), 4, 0, 7), 6, tc.field...))
			r.near.recv(toUs(datagram))
			sent := r.far.send()
			require.Len(t, sent, len(tc.want))
			var got []byte
			for i, b := range sent {
				f, err := wire.ParseIPv4(b[14:])
				require.NoError(t, err)
				require.LessOrEqual(t, len(f), 1280)
				require.True(t, f.VerifyChecksum())
				require.EqualValues(t, 63, f.TTL())
				require.Contains(t, f.String(), tc.want[i])
				want := options
				if i > 0 {
					want = []byte{1, 1, 1, 148, 4, 0, 0, 0}
				}
				require.Equal(t, want, f.Options(), "only some go with every fragment")
				got = append(got, f.Payload()...)
			}
			require.Equal(t, payload, got)
			r.near.wantIdle("and nobody is told")
		})
	}
}

func TestForwardedPacketWhoseNeighbourIsSilent(t *testing.T) {
	for _, tc := range []struct {
		name     string
		dst, src netip.Addr
		near     string
	}{
		{"IPv4", addr("10.0.0.77"), them4, "IP 192.168.69.1 > 192.168.69.100: ICMP host 10.0.0.77 unreachable, length 36: " +
			"IP 192.168.69.100.1000 > 10.0.0.77.7: UDP, length 0"},
		{"IPv6", addr("fdbb::77"), them6, "IP6 fdaa::1 > fdaa::100: ICMP6, destination unreachable, unreachable address, length 56: " +
			"IP6 fdaa::100.1000 > fdbb::77.7: UDP, length 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRouting(t, ethernet(1500))
			r.near.recv(toUs(whole4(udpTo(tc.src, tc.dst, 1000, 7, ""))))
			for range 3 {
				require.Len(t, r.far.send(), 1, "it is looked for")
				r.near.after(time.Second)
				r.far.now = r.near.now
			}
			r.far.wantIdle("in vain")
			r.near.want("and the sender is told", tc.near)
			require.EqualValues(t, 1, r.far.link.Counters().Drops[DropNeighbourFailed])
		})
	}
}

func TestForwardedPacketsWaitForTheirNeighbour(t *testing.T) {
	r := newRouting(t, ethernet(1500))
	dst := addr("10.0.0.77")
	for _, text := range []string{"a", "bc"} {
		r.near.recv(toUs(whole(udpTo(them4, dst, 1000, 7, text))))
	}
	r.far.want("nobody knows where it is", "ARP, Request who-has 10.0.0.77 tell 10.0.0.1, length 28")
	hw := r.far.link.HardwareAddr()
	r.far.recv(patched(ether(hw, wire.EtherTypeARP, arp(wire.ARPRepr{Operation: wire.ARPReply, SenderHardware: otherHardware,
		SenderProtocol: dst, TargetHardware: hw, TargetProtocol: addr("10.0.0.1")})), 6, otherHardware[:]...))
	require.Equal(t, 2, r.far.link.transit.Len(), "they take turns with others from now on")
	r.near.recv(toUs(whole(udpTo(them4, dst, 1000, 7, "def"))))
	r.far.want("in the order in which they came", "IP 192.168.69.100.1000 > 10.0.0.77.7: UDP, length 1",
		"IP 192.168.69.100.1000 > 10.0.0.77.7: UDP, length 2", "IP 192.168.69.100.1000 > 10.0.0.77.7: UDP, length 3")
}

// whole4 is whole for whatever may be IPv4.
func whole4(b []byte) []byte {
	if b[0]>>4 == 4 {
		return whole(b)
	}
	return b
}

// A device without neighbours leads to one place.
func TestWhatWouldGoBack(t *testing.T) {
	r := newRouting(t, dev.Capabilities{Medium: dev.IP, MTU: 1500})
	require.NoError(t, r.far.link.SetForward(true))
	r.far.recv(udpTo(beyond4, addr("10.7.7.7"), 1000, 7, ""))
	r.far.recv(udpTo(beyond6, addr("fdbb::77"), 1000, 7, ""))
	r.far.want("to somebody on the link: never",
		"IP 10.0.0.1 > 10.0.0.9: ICMP host 10.7.7.7 unreachable, length 36: IP 10.0.0.9.1000 > 10.7.7.7.7: UDP, length 0",
		"IP6 fdbb::1 > fdbb::9: ICMP6, destination unreachable, unreachable address, length 56: IP6 fdbb::9.1000 > fdbb::77.7: UDP, length 0")
	require.NoError(t, r.far.stack.AddRoute(Route{Destination: prefix("8.0.0.0/8"), Gateway: beyond4, Link: r.far.link.Index()}))
	r.far.recv(whole(udpTo(addr("10.0.0.8"), addr("8.8.8.8"), 1000, 7, "")))
	r.far.want("by way of a router there: if somebody says so", "IP 10.0.0.8.1000 > 8.8.8.8.7: UDP, length 0")
}

func TestRedirectsAreSent(t *testing.T) {
	routes := func(c *InterfaceConfig) {
		c.Routes = []Route{
			{Destination: prefix("8.0.0.0/8"), Gateway: router4},
			{Destination: prefix("2001:db8::/32"), Gateway: farGateway6},
			{Destination: prefix("2001:db9::/32"), Gateway: addr("fdaa::fe")},
			{Destination: prefix("2001:dba::/32")},
			{Destination: prefix("172.16.0.0/12"), Gateway: them4},
			{Destination: prefix("fdcc::/16"), Gateway: theirLinkLocal},
		}
	}
	const quote4 = ": IP 192.168.69.100.1000 > "
	for _, tc := range []struct {
		name  string
		frame []byte
		want  []string
	}{
		{"to a router", udpTo(them4, addr("8.8.8.8"), 1000, 7, ""), []string{
			"IP 192.168.69.1 > 192.168.69.100: ICMP redirect 8.8.8.8 to host 192.168.69.254, length 36" + quote4 + "8.8.8.8.7: UDP, length 0",
			"IP 192.168.69.100.1000 > 8.8.8.8.7: UDP, length 0"}},
		{"to the destination", udpTo(them4, router4, 1000, 7, ""), []string{
			"IP 192.168.69.1 > 192.168.69.100: ICMP redirect 192.168.69.254 to host 192.168.69.254, length 36" + quote4 + "192.168.69.254.7: UDP, length 0",
			"IP 192.168.69.100.1000 > 192.168.69.254.7: UDP, length 0"}},
		{"from somebody who is not on the link", udpTo(addr("172.16.0.1"), addr("8.8.8.8"), 1000, 7, ""), []string{
			"IP 172.16.0.1.1000 > 8.8.8.8.7: UDP, length 0"}},
		{"from somebody who is not on the link, IPv6", udpTo(addr("fdcc::1"), addr("2001:db8::1"), 1000, 7, ""), []string{
			"IP6 fdcc::1.1000 > 2001:db8::1.7: UDP, length 0"}},
		{"to a router, IPv6", udpTo(them6, addr("2001:db8::1"), 1000, 7, ""), []string{
			"IP6 fe80::ff:fe00:1 > fdaa::100: ICMP6, redirect, 2001:db8::1 to fe80::fe, destination link-address 02:00:00:00:00:99; redirected header 48 octets, length 104",
			"IP6 fdaa::100.1000 > 2001:db8::1.7: UDP, length 0"}},
		{"to the destination, IPv6", udpTo(them6, addr("2001:dba::1"), 1000, 7, ""), []string{
			"IP6 fe80::ff:fe00:1 > fdaa::100: ICMP6, redirect, 2001:dba::1 to 2001:dba::1, destination link-address 02:00:00:00:00:99; redirected header 48 octets, length 104",
			"IP6 fdaa::100.1000 > 2001:dba::1.7: UDP, length 0"}},
		{"to a router whose link-local address is not known", udpTo(them6, addr("2001:db9::1"), 1000, 7, ""), []string{
			"IP6 fdaa::100.1000 > 2001:db9::1.7: UDP, length 0"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRouting(t, ethernet(1500), routes)
			for _, a := range []netip.Addr{router4, farGateway6, addr("fdaa::fe"), addr("2001:dba::1")} {
				require.NoError(t, r.near.link.Neighbours().Static(0, a, otherHardware.LinkAddr()))
			}
			r.near.recv(toUs(whole4(tc.frame)))
			frames := r.near.want("the packet goes on all the same", tc.want...)
			require.Equal(t, otherHardware, wire.EthernetFrame(frames[len(frames)-1]).Dst())
			if len(frames) == 2 && tc.frame[0]>>4 == 6 {
				require.EqualValues(t, 255, wire.IPv6Packet(frames[0][14:]).HopLimit())
			}
		})
	}
	t.Run("not too many", func(t *testing.T) {
		r := newRouting(t, ethernet(1500), routes)
		require.NoError(t, r.near.link.Neighbours().Static(0, router4, otherHardware.LinkAddr()))
		for range 100 {
			r.near.recv(toUs(whole(udpTo(them4, addr("8.8.8.8"), 1000, 7, ""))))
		}
		require.Len(t, r.near.send(), 105)
		r.near.recv(toUs(udpTo(them4, addr("9.9.9.9"), 1000, 7, "")))
		require.Len(t, r.near.send(), 1, "and not at the cost of errors")
	})
}

func TestForwardedErrorsAreLimited(t *testing.T) {
	r := newRouting(t, ethernet(1500), func(c *Config) { c.Limits.ICMPErrorBurst = 3 })
	for range 10 {
		r.near.recv(toUs(hops(udpTo(them4, beyond4, 1000, 7, ""), 1)))
	}
	require.Len(t, r.near.send(), 3)
	require.EqualValues(t, 7, r.near.stack.Counters().ICMPv4.OutRateLimited)
}

// What a device with offloads has merged, or left unfinished, leaves by one without as it was.
func TestForwardingBetweenUnlikeDevices(t *testing.T) {
	merged := func(c *dev.Capabilities) {
		c.SegmentTCP4, c.SegmentTCP6 = true, true
		c.Checksum = dev.Checksums{IPv4: dev.ChecksumNone, TCP: dev.ChecksumNone, UDP: dev.ChecksumNone, ICMPv4: dev.ChecksumNone, ICMPv6: dev.ChecksumNone}
	}
	payload := bytes.Repeat([]byte("0123456789"), 500)
	super := func(src, dst netip.Addr, size uint16) *packet.Packet {
		segment := wire.TCPRepr{SrcPort: 1, DstPort: 2, Seq: 1000, Ack: 1, Flags: wire.TCPAck | wire.TCPPsh, Window: 1000, PayloadLen: len(payload)}
		b := make([]byte, segment.Len(), segment.Len()+len(payload))
		segment.Emit(b)
		b = append(b, payload...)
		var sum wire.Sum
		sum.AddPseudoHeader(src, dst, ip.ProtocolTCP, len(b))
		wire.TCPPacket(b).SetChecksum(sum.Fold())
		headerLen := wire.IPv4HeaderLen
		if src.Is4() {
			b = whole(ipv4(src, dst, ip.ProtocolTCP, b))
			b[10], b[11] = 0, 0 // nobody has computed it
		} else {
			b, headerLen = ipv6(src, dst, ip.ProtocolTCP, b), wire.IPv6HeaderLen
		}
		p := packetOf(toUs(b))
		p.SegmentSize = size
		p.SetPartialChecksum(wire.EthernetHeaderLen+headerLen, wire.TCPChecksumField)
		return p
	}
	for _, v := range []struct {
		name     string
		src, dst netip.Addr
		header   int
	}{{"IPv4", them4, beyond4, 20}, {"IPv6", them6, beyond6, 40}} {
		t.Run(v.name, func(t *testing.T) {
			r := newRouting(t, ethernet(1500), merged)
			r.near.recvPackets(super(v.src, v.dst, 1400))
			var got []byte
			seq, id := uint32(1000), uint16(0)
			sent := r.far.send()
			require.Len(t, sent, 4)
			for i, b := range sent {
				r.far.verify(b)
				b = b[14:]
				require.LessOrEqual(t, len(b), 1500)
				require.EqualValues(t, 63, ttl(b))
				if v.header == 20 {
					require.Equal(t, id, wire.IPv4Packet(b).ID())
					id++
				}
				segment, err := wire.ParseTCP(b[v.header:])
				require.NoError(t, err)
				require.Equal(t, seq, segment.Seq())
				require.Equal(t, i == 3, segment.Flags()&wire.TCPPsh != 0)
				seq += uint32(len(segment.Payload()))
				got = append(got, segment.Payload()...)
			}
			require.Equal(t, payload, got)

			r.near.recvPackets(super(v.src, v.dst, 1470))
			r.far.wantIdle("the segments themselves may be too long")
			require.Len(t, r.near.send(), 1, "of which their sender is told")
		})
		t.Run(v.name+" to a device that takes them", func(t *testing.T) {
			caps := ethernet(1500)
			merged(&caps)
			r := newRouting(t, caps, merged)
			r.near.recvPackets(super(v.src, v.dst, 1400))
			var pkts [2]*packet.Packet
			require.Equal(t, 1, r.near.stack.Output(r.far.now, r.far.link, pkts[:]))
			require.EqualValues(t, 1400, pkts[0].SegmentSize)
			require.Equal(t, packet.ChecksumPartial, pkts[0].Checksum)
			offset, field := pkts[0].PartialChecksum()
			require.Equal(t, []int{14 + v.header, wire.TCPChecksumField}, []int{offset, field})
			pkts[0].Release()
		})
		t.Run(v.name+" unfinished", func(t *testing.T) {
			r := newRouting(t, ethernet(9000), merged)
			r.near.recvPackets(super(v.src, v.dst, 0))
			sent := r.far.send()
			require.Len(t, sent, 1)
			r.far.verify(sent[0])

			// An ICMP message of whoever need not compute a checksum.
			echo := echo6(v.src, v.dst, "odd")
			if v.header == 20 {
				echo = whole(echo4(v.src, v.dst, "odd"))
			}
			echo[v.header+2], echo[v.header+3] = 0, 0
			r.near.recv(toUs(echo))
			sent = r.far.send()
			require.Len(t, sent, 1)
			r.far.verify(sent[0])
		})
	}
}

// However much is to be forwarded, the stack's own senders have every other turn, and ARP comes before both.
func TestForwardingStarvesNobody(t *testing.T) {
	r := newRouting(t, ethernet(1500), func(c *Config) { c.Limits.ForwardQueue = 1 << 20 })
	e := r.far.bind("10.0.0.1:5000")
	flood := make([]*packet.Packet, 1000)
	for i := range flood {
		flood[i] = packetOf(toUs(whole(udpTo(them4, beyond4, 1000, 7, strings.Repeat("x", 1400)))))
	}
	r.near.recvPackets(flood...)
	require.NotZero(t, r.far.link.Counters().Drops[DropForwardQueue], "the queue has an end")
	for range 100 {
		require.NoError(t, e.Send(r.far.now, packetOf([]byte("own")), netip.AddrPortFrom(beyond4, 7), 0))
	}
	hw := r.far.link.HardwareAddr()
	r.far.recv(ether(hw, wire.EtherTypeARP, arp(wire.ARPRepr{Operation: wire.ARPRequest, SenderHardware: otherHardware,
		SenderProtocol: beyond4, TargetProtocol: addr("10.0.0.1")})))
	sent := r.far.send()
	require.Equal(t, wire.EtherTypeARP, wire.EthernetFrame(sent[0]).EtherType())
	own := 0
	for _, b := range sent[1:101] {
		if wire.IPv4Packet(b[14:]).Src() == addr("10.0.0.1") {
			own++
		}
	}
	require.Equal(t, 50, own, "of the next 100")
	require.Greater(t, len(sent), 400, "and the others follow")
}

// A forwarder and a router share an interface: each protocol belongs to one of them.
func TestForwarderOnARouter(t *testing.T) {
	r := newRouting(t, ethernet(1500))
	f := r.near.forwardTCP()
	r.near.recv(toUs(syn(them4, beyond4, 4242, 443)))
	require.NotNil(t, f.Next(), "TCP is the forwarder's")
	r.far.wantIdle("and not routed")
	r.near.recv(toUs(whole(udpTo(them4, beyond4, 1000, 7, "hello"))))
	r.near.recv(toUs(udpTo(them6, beyond6, 1000, 7, "hello")))
	r.far.want("UDP is routed", "IP 192.168.69.100.1000 > 10.0.0.9.7: UDP, length 5", "IP6 fdaa::100.1000 > fdbb::9.7: UDP, length 5")
}

func TestInterfaceGoesWithWhatItWasToForward(t *testing.T) {
	r := newRouting(t, ethernet(1500))
	for _, dst := range []netip.Addr{beyond4, addr("10.0.0.77")} {
		r.near.recv(toUs(whole(udpTo(them4, dst, 1000, 7, ""))))
	}
	require.NoError(t, r.near.stack.RemoveInterface(r.near.now, r.far.link))
	r.near.recv(toUs(udpTo(them4, beyond4, 1000, 7, "")))
	r.near.want("there is no way any more", "IP 192.168.69.1 > 192.168.69.100: ICMP net 10.0.0.9 unreachable, length 36: "+
		"IP 192.168.69.100.1000 > 10.0.0.9.7: UDP, length 0")
}
