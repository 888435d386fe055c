package core

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// extended is an IPv6 packet to us with an extension header of the type, and after it UDP to nobody.
func extended(kind uint8, header ...byte) []byte {
	return ipv6(them6, us6, kind, append(header, udpTo(them6, us6, 1000, 9, "")[40:]...))
}

// TestBadFrames: whatever cannot be used is dropped, and counted under one cause and the MIB counter that the cause
// belongs to.
func TestBadFrames(t *testing.T) {
	good4, good6 := udpTo(them4, us4, 1000, 9, "hello"), udpTo(them6, us6, 1000, 9, "hello")
	from := func(src string) []byte { return udpTo(addr(src), us4, 1000, 9, "") }
	to := func(dst string) []byte { return udpTo(them4, addr(dst), 1000, 9, "") }
	from6 := func(src string) []byte { return udpTo(addr(src), us6, 1000, 9, "") }
	to6 := func(dst string) []byte { return udpTo(them6, addr(dst), 1000, 9, "") }
	arpPacket := arp(wire.ARPRepr{Operation: wire.ARPRequest, SenderHardware: theirHardware, SenderProtocol: them4, TargetProtocol: us4})
	arpFrom := func(hw wire.HardwareAddr, sender string) []byte {
		return ether(wire.BroadcastHardwareAddr, wire.EtherTypeARP, arp(wire.ARPRepr{
			Operation: wire.ARPRequest, SenderHardware: hw, SenderProtocol: addr(sender), TargetProtocol: us4}))
	}
	solicitation := nd(theirLinkLocal, us6, &wire.NDNeighborSolicitationRepr{Target: us6, SourceLinkAddr: theirHardware.LinkAddr()})
	advertisement := nd(theirLinkLocal, us6, &wire.NDNeighborAdvertisementRepr{Target: theirLinkLocal, TargetLinkAddr: theirHardware.LinkAddr()})
	rechecked6 := func(frame []byte, offset int, octets ...byte) []byte {
		frame = patched(frame, offset, octets...)
		p := wire.IPv6Packet(frame[14:])
		wire.ICMPv6Packet(p.Payload()).FillChecksum(p.Src(), p.Dst())
		return frame
	}
	header := func(c *IPCounters) uint64 { return c.InHdrErrors }
	address := func(c *IPCounters) uint64 { return c.InAddrErrors }
	truncated := func(c *IPCounters) uint64 { return c.InTruncatedPkts }
	discards := func(c *IPCounters) uint64 { return c.InDiscards }
	fails := func(c *IPCounters) uint64 { return c.ReasmFails }

	for _, tc := range []struct {
		name  string
		frame []byte
		cause DropCause
		mib   func(*IPCounters) uint64 // nil: none
	}{
		{"empty frame", nil, DropFrameTruncated, nil},
		{"frame shorter than its header", toUs(good4)[:13], DropFrameTruncated, nil},
		{"frame to another station", patched(toUs(good4), 0, otherHardware[:]...), DropOtherHost, nil},
		{"frame from a group", patched(toUs(good4), 6, 3), DropFrameSource, nil},
		{"frame from everybody", patched(toUs(good4), 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), DropFrameSource, nil},
		{"IEEE 802.3", patched(toUs(good4), 12, 0, 38), DropIEEE8023, nil},
		{"IEEE 802.3, largest length", patched(toUs(good4), 12, 5, 0xff), DropIEEE8023, nil},
		{"IEEE 802.1Q", patched(toUs(good4), 12, 0x81, 0), DropVLAN, nil},
		{"IEEE 802.1ad", patched(toUs(good4), 12, 0x88, 0xa8), DropVLAN, nil},
		{"unknown EtherType", patched(toUs(good4), 12, 0x88, 0xcc), DropEtherType, nil},
		{"smallest EtherType", patched(toUs(good4), 12, 6, 0), DropEtherType, nil},

		{"IPv6 in an IPv4 frame", ether(ourHardware, wire.EtherTypeIPv4, good6), DropVersion, header},
		{"no IPv4 header", ether(ourHardware, wire.EtherTypeIPv4, nil), DropTruncated, truncated},
		{"IPv4 header truncated", toUs(good4)[:14+19], DropTruncated, truncated},
		{"IPv4 header length 4", toUs(patched(good4, 0, 0x44)), DropHeaderLength, header},
		{"IPv4 header longer than packet", toUs(rechecked(patched(ipv4(them4, us4, 17, nil), 0, 0x46, 0, 0, 20))[:20]), DropHeaderLength, header},
		{"IPv4 header longer than frame", toUs(patched(ipv4(them4, us4, 17, nil), 0, 0x4f, 0, 0, 60)), DropTruncated, truncated},
		{"IPv4 total length less than header", toUs(rechecked(patched(good4, 2, 0, 19))), DropHeaderLength, header},
		{"IPv4 total length zero", toUs(rechecked(patched(good4, 2, 0, 0))), DropHeaderLength, header},
		{"IPv4 packet truncated", toUs(good4)[:14+30], DropTruncated, truncated},
		{"IPv4 checksum wrong", toUs(patched(good4, 10, 0xde, 0xad)), DropHeaderChecksum, header},
		{"IPv4 option without length", toUs(ipv4Options(them4, us4, 17, []byte{1, 1, 1, 7}, nil)), DropOptions, header},
		{"IPv4 option of length 1", toUs(ipv4Options(them4, us4, 17, []byte{7, 1, 0, 0}, nil)), DropOptions, header},
		{"IPv4 option longer than header", toUs(ipv4Options(them4, us4, 17, []byte{7, 5, 0, 0}, nil)), DropOptions, header},
		{"loose source route goes on", toUs(ipv4Options(them4, us4, 17, []byte{131, 7, 4, 10, 0, 0, 1, 0}, nil)), DropSourceRoute, address},
		{"strict source route goes on", toUs(ipv4Options(them4, us4, 17, []byte{137, 7, 4, 10, 0, 0, 1, 0}, nil)), DropSourceRoute, address},
		{"source route without pointer", toUs(ipv4Options(them4, us4, 17, []byte{131, 2, 0, 0}, nil)), DropSourceRoute, address},
		{"IPv4 fragment that is not a multiple of eight octets", toUs(rechecked(patched(good4, 6, 0x20, 0))), DropFragmentLength, fails},
		{"IPv4 fragment without octets", toUs(rechecked(patched(ipv4(them4, us4, 17, nil), 6, 0x20, 0))), DropFragmentLength, fails},
		{"last IPv4 fragment without octets", toUs(rechecked(patched(ipv4(them4, us4, 17, nil), 6, 0, 1))), DropFragmentLength, fails},
		{"ping of death", toUs(rechecked(patched(ipv4(them4, us4, 1, make([]byte, 8)), 6, 0x1f, 0xff))), DropFragmentLength, fails},
		{"first fragment with half a TCP header", toUs(rechecked(patched(ipv4(them4, us4, 6, make([]byte, 16)), 6, 0x20, 0))), DropFragmentTiny, fails},
		{"second half of a TCP header", toUs(rechecked(patched(ipv4(them4, us4, 6, make([]byte, 16)), 6, 0x20, 1))), DropFragmentTiny, fails},
		{"first fragment with half a UDP header", toUs(rechecked(patched(ipv4(them4, us4, 17, make([]byte, 4)), 6, 0x20, 0))), DropFragmentTiny, fails},
		{"IPv4 to a neighbour", toUs(to("192.168.69.7")), DropNotOurs, address},
		{"IPv4 to somewhere else", toUs(to("8.8.8.8")), DropNotOurs, address},
		{"IPv4 to a group not joined", toGroup(to("224.0.0.251")), DropNotOurs, address},
		{"IPv4 to a foreign broadcast", toAll(to("10.255.255.255")), DropNotOurs, address},
		{"IPv4 unicast in a broadcast frame", toAll(good4), DropLinkGroup, address},
		{"IPv4 from a group", toUs(from("224.0.0.1")), DropMartianSource, address},
		{"IPv4 from everybody", toUs(from("255.255.255.255")), DropMartianSource, address},
		{"IPv4 from the subnet's broadcast address", toUs(from("192.168.69.255")), DropMartianSource, address},
		{"IPv4 from 240.0.0.0/4", toUs(from("240.0.0.1")), DropMartianSource, address},
		{"IPv4 from 127.0.0.1", toUs(from("127.0.0.1")), DropMartianSource, address},
		{"IPv4 from 0.0.0.0 to one host", toUs(from("0.0.0.0")), DropMartianSource, address},
		{"IPv4 from 0.0.0.1", toUs(from("0.0.0.1")), DropMartianSource, address},
		{"IPv4 from ourselves", toUs(from("192.168.69.1")), DropOwnSource, address},
		{"IPv4 to 127.0.0.1", toUs(to("127.0.0.1")), DropMartianDestination, address},
		{"IPv4 to 127.0.0.2", toUs(to("127.0.0.2")), DropMartianDestination, address},
		{"IPv4 to 0.0.0.0", toUs(to("0.0.0.0")), DropMartianDestination, address},
		{"IPv4 to 240.0.0.0/4", toUs(to("240.0.0.1")), DropMartianDestination, address},

		{"IPv4 in an IPv6 frame", ether(ourHardware, wire.EtherTypeIPv6, udpTo(them4, us4, 1, 2, "long enough for a header")), DropVersion, header},
		{"no IPv6 header", ether(ourHardware, wire.EtherTypeIPv6, nil), DropTruncated, truncated},
		{"IPv6 header truncated", toUs(good6)[:14+39], DropTruncated, truncated},
		{"IPv6 packet truncated", toUs(good6)[:14+50], DropTruncated, truncated},
		{"jumbogram", toUs(ipv6(them6, us6, wire.IPv6HopByHop, nil)), DropJumbogram, header},
		{"IPv6 from a group", toUs(from6("ff02::1")), DropMartianSource, address},
		{"IPv6 from ::1", toUs(from6("::1")), DropMartianSource, address},
		{"IPv6 from an IPv4 address", toUs(from6("::ffff:192.168.69.100")), DropMartianSource, address},
		{"UDP from ::", toUs(from6("::")), DropUnspecifiedIPv6, address},
		{"echo request from ::", toUs(echo6(addr("::"), us6, "")), DropUnspecifiedIPv6, address},
		{"IPv6 from ourselves", toUs(from6("fdaa::1")), DropOwnSource, address},
		{"IPv6 from our link-local address", toUs(from6("fe80::ff:fe00:1")), DropOwnSource, address},
		{"IPv6 to ::", toUs(to6("::")), DropMartianDestination, address},
		{"IPv6 to ::1", toUs(to6("::1")), DropMartianDestination, address},
		{"IPv6 to an IPv4 address", toUs(to6("::ffff:192.168.69.1")), DropMartianDestination, address},
		{"IPv6 to a group of the reserved scope", toGroup(to6("ff00::1")), DropMartianDestination, address},
		{"IPv6 to a group inside the interface", toGroup(to6("ff01::1")), DropMartianDestination, address},
		{"IPv6 to a group not joined", toGroup(to6("ff02::2")), DropNotOurs, address},
		{"IPv6 to a neighbour", toUs(to6("fdaa::7")), DropNotOurs, address},
		{"IPv6 to another link-local address", toUs(to6("fe80::7")), DropNotOurs, address},
		{"IPv6 unicast with the 16 bits of ours", toUs(to6("fdbb::1")), DropNotOurs, address},
		{"IPv6 unicast with the 24 bits of ours", toUs(to6("fdaa::5:1")), DropNotOurs, address},
		{"solicited-node group with 16 bits of ours", toGroup(to6("ff02::1:ff01:1")), DropNotOurs, address},
		{"low bits of our solicited-node group in another prefix", toGroup(to6("ff05::1:ff00:1")), DropNotOurs, address},

		{"no next header", toUs(ipv6(them6, us6, wire.IPv6NoNextHeader, nil)), DropNoNextHeader, discards},
		{"extension header truncated", toUs(ipv6(them6, us6, wire.IPv6DestinationOptions, make([]byte, 7))), DropExtension, header},
		{"extension header longer than packet", toUs(extended(wire.IPv6DestinationOptions, 17, 9, 1, 4, 0, 0, 0, 0)), DropExtension, header},
		{"fragment header truncated", toUs(ipv6(them6, us6, wire.IPv6Fragment, make([]byte, 7))), DropExtension, header},
		{"option longer than header", toUs(extended(wire.IPv6DestinationOptions, 17, 0, 1, 5, 0, 0, 0, 0)), DropExtension, header},
		{"option without length", toUs(extended(wire.IPv6DestinationOptions, 17, 0, 1, 3, 0, 0, 0, 1)), DropExtension, header},
		{"option that discards", toUs(extended(wire.IPv6DestinationOptions, 17, 0, 0x43, 4, 0, 0, 0, 0)), DropExtensionOption, header},
		{"hop-by-hop option that discards", toUs(extended(wire.IPv6HopByHop, 17, 0, 0x43, 4, 0, 0, 0, 0)), DropExtensionOption, header},
		{"option that discards with an error", toUs(extended(wire.IPv6DestinationOptions, 17, 0, 0x83, 4, 0, 0, 0, 0)), DropExtensionOption, header},
		{"jumbo payload option", toUs(extended(wire.IPv6HopByHop, 17, 0, 0xc2, 4, 0, 1, 0, 0)), DropExtensionOption, header},
		{"hop-by-hop options not first", toUs(extended(wire.IPv6DestinationOptions, 0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0)), DropExtensionOrder, header},
		{"routing type 0 with segments left", toUs(extended(wire.IPv6Routing, 17, 0, 0, 1, 0, 0, 0, 0)), DropRoutingHeader, header},
		{"routing type 3 with segments left", toUs(extended(wire.IPv6Routing, 17, 0, 3, 1, 0, 0, 0, 0)), DropRoutingHeader, header},
		{"IPv6 fragment that is not a multiple of eight octets", toUs(fragment6(1, 0, true, 17, make([]byte, 9))), DropFragmentLength, fails},
		{"IPv6 fragment without octets", toUs(fragment6(1, 0, true, 17, nil)), DropFragmentLength, fails},
		{"last IPv6 fragment without octets", toUs(fragment6(1, 8, false, 17, nil)), DropFragmentLength, fails},
		{"ping of death, IPv6", toUs(fragment6(1, 65528, false, 58, make([]byte, 8))), DropFragmentLength, fails},
		{"first fragment with half a TCP header, IPv6", toUs(fragment6(1, 0, true, 6, make([]byte, 16))), DropFragmentTiny, fails},
		{"first fragment with half the chain of headers", toUs(fragment6(1, 0, true, wire.IPv6DestinationOptions,
			[]byte{17, 0, 1, 4, 0, 0, 0, 0})), DropFragmentTiny, fails},
		{"first fragment with half an extension header", toUs(fragment6(1, 0, true, wire.IPv6DestinationOptions,
			[]byte{17, 1, 1, 4, 0, 0, 0, 0})), DropFragmentTiny, fails},
		{"atomic fragment in an atomic fragment", toUs(extended(wire.IPv6Fragment, wire.IPv6Fragment, 0, 0, 0, 0, 0, 0, 1,
			17, 0, 0, 0, 0, 0, 0, 2)), DropFragmentNested, nil},
		{"fragment in an atomic fragment", toUs(extended(wire.IPv6Fragment, wire.IPv6Fragment, 0, 0, 0, 0, 0, 0, 1,
			17, 0, 0, 1, 0, 0, 0, 2)), DropFragmentNested, nil},
		{"nine extension headers", toUs(ipv6(them6, us6, wire.IPv6DestinationOptions, manyHeaders(9))), DropExtensionCount, header},
		{"seventeen extension headers", toUs(ipv6(them6, us6, wire.IPv6DestinationOptions, manyHeaders(17))), DropExtensionCount, header},
		{"nine options", toUs(extended(wire.IPv6DestinationOptions,
			17, 2, 5, 0, 5, 0, 5, 0, 5, 0, 5, 0, 5, 0, 5, 0, 5, 0, 5, 0, 1, 2, 0, 0)), DropExtensionCount, header},

		{"ARP truncated", ether(ourHardware, wire.EtherTypeARP, arpPacket[:27]), DropARPMalformed, nil},
		{"ARP empty", ether(ourHardware, wire.EtherTypeARP, nil), DropARPMalformed, nil},
		{"ARP of another hardware", ether(ourHardware, wire.EtherTypeARP, patched(arpPacket, 0, 0, 6)), DropARPMalformed, nil},
		{"ARP of another protocol", ether(ourHardware, wire.EtherTypeARP, patched(arpPacket, 2, 0x86, 0xdd)), DropARPMalformed, nil},
		{"ARP with long hardware addresses", ether(ourHardware, wire.EtherTypeARP, patched(arpPacket, 4, 255)), DropARPMalformed, nil},
		{"ARP operation 3", ether(ourHardware, wire.EtherTypeARP, patched(arpPacket, 7, 3)), DropARPMalformed, nil},
		{"ARP from a group's hardware", arpFrom(wire.HardwareAddr{1, 0, 0x5e, 0, 0, 1}, "192.168.69.100"), DropARPSource, nil},
		{"ARP from no hardware", arpFrom(wire.HardwareAddr{}, "192.168.69.100"), DropARPSource, nil},
		{"ARP from a group", arpFrom(theirHardware, "224.0.0.1"), DropARPSource, nil},
		{"ARP from a broadcast address", arpFrom(theirHardware, "192.168.69.255"), DropARPSource, nil},
		{"ARP from 127.0.0.1", arpFrom(theirHardware, "127.0.0.1"), DropARPSource, nil},
		{"ARP from our address", arpFrom(theirHardware, "192.168.69.1"), DropARPSource, nil},
		{"ARP among others", arpRequest(addr("192.168.69.7")), DropARPTarget, nil},

		{"ICMP truncated", toUs(ipv4(them4, us4, ip.ProtocolICMPv4, make([]byte, 7))), DropICMPMalformed, nil},
		{"ICMP checksum wrong", toUs(patched(echo4(them4, us4, "hello"), 22, 0xde, 0xad)), DropICMPChecksum, nil},
		{"ICMP timestamp request", toUs(ipv4(them4, us4, ip.ProtocolICMPv4, []byte{13, 0, 0xf2, 0xff, 0, 0, 0, 0})), DropICMPType, nil},
		{"ICMP redirect", toUs(error4(router4, wire.ICMPv4Redirect, 1, 0, udpTo(us4, addr("8.8.8.8"), 1, 2, ""))), DropRedirect, nil},
		{"echo reply", toUs(ipv4(them4, us4, ip.ProtocolICMPv4, []byte{0, 0, 0xff, 0xff, 0, 0, 0, 0})), DropICMPReply, nil},
		{"ICMPv6 truncated", toUs(ipv6(them6, us6, ip.ProtocolICMPv6, make([]byte, 7))), DropICMPMalformed, nil},
		{"ICMPv6 checksum wrong", toUs(patched(echo6(them6, us6, "hello"), 42, 0xde, 0xad)), DropICMPChecksum, nil},
		{"ICMPv6 of an unknown type", rechecked6(toUs(echo6(them6, us6, "")), 54, 200), DropICMPType, nil},
		{"echo reply, IPv6", rechecked6(toUs(echo6(them6, us6, "")), 54, 129), DropICMPReply, nil},

		{"solicitation from beyond the link", patched(solicitation, 14+7, 254), DropNDHopLimit, nil},
		{"solicitation of another code", rechecked6(solicitation, 55, 1), DropNDMalformed, nil},
		{"solicitation of a group", rechecked6(solicitation, 62, 0xff), DropNDMalformed, nil},
		{"solicitation with an option of length zero", rechecked6(solicitation, 14+40+24+1, 0), DropNDMalformed, nil},
		{"solicitation with an option beyond its end", rechecked6(solicitation, 14+40+24+1, 2), DropNDMalformed, nil},
		{"probe for an address, to one host", nd(addr("::"), us6, &wire.NDNeighborSolicitationRepr{Target: us6}), DropNDMalformed, nil},
		{"probe for an address, to all", nd(addr("::"), addr("ff02::1"), &wire.NDNeighborSolicitationRepr{Target: us6}), DropNDMalformed, nil},
		{"probe for an address, with a hardware address", nd(addr("::"), wire.SolicitedNodeMulticast(us6),
			&wire.NDNeighborSolicitationRepr{Target: us6, SourceLinkAddr: theirHardware.LinkAddr()}), DropNDMalformed, nil},
		{"solicitation of another's address in our group", nd(them6, wire.SolicitedNodeMulticast(us6),
			&wire.NDNeighborSolicitationRepr{Target: addr("fdbb::1"), SourceLinkAddr: theirHardware.LinkAddr()}), DropNDTarget, nil},
		{"advertisement nobody has asked for", advertisement, DropNDTarget, nil},
		{"advertisement of our address", nd(them6, addr("ff02::1"),
			&wire.NDNeighborAdvertisementRepr{Override: true, Target: us6, TargetLinkAddr: theirHardware.LinkAddr()}), DropNDTarget, nil},
		{"solicited advertisement to a group", nd(them6, addr("ff02::1"),
			&wire.NDNeighborAdvertisementRepr{Solicited: true, Target: them6, TargetLinkAddr: theirHardware.LinkAddr()}), DropNDMalformed, nil},
		{"router advertisement from a global address", nd(them6, addr("ff02::1"), &wire.NDRouterAdvertisementRepr{}), DropNDMalformed, nil},
		{"redirect from a global address", nd(them6, us6, &wire.NDRedirectRepr{Target: theirLinkLocal, Destination: addr("fdcc::1")}), DropNDMalformed, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t)
			before := s.link.Counters()
			s.recv(tc.frame)
			c := s.link.Counters()
			require.EqualValues(t, 1, c.Drops[tc.cause], "%v", c.Drops)
			require.EqualValues(t, 1, c.Drops.Total(), "%v", c.Drops)
			require.EqualValues(t, 1, c.Link.InFrames)
			require.EqualValues(t, len(tc.frame), c.Link.InOctets)
			if tc.mib != nil {
				require.EqualValues(t, 1, tc.mib(&c.IPv4)+tc.mib(&c.IPv6))
			} else {
				for _, mib := range []func(*IPCounters) uint64{header, address, truncated, discards} {
					require.EqualValues(t, mib(&before.IPv4)+mib(&before.IPv6), mib(&c.IPv4)+mib(&c.IPv6))
				}
			}
			require.NotContains(t, tc.cause.String(), "drop cause")
		})
	}
}

// manyHeaders are n destination options headers, and nothing after them.
func manyHeaders(n int) (b []byte) {
	for i := range n {
		next := byte(wire.IPv6DestinationOptions)
		if i == n-1 {
			next = wire.IPv6NoNextHeader
		}
		b = append(b, next, 0, 1, 4, 0, 0, 0, 0)
	}
	return b
}

// TestUnusualFramesAreTaken: what is odd but sound reaches its endpoint.
func TestUnusualFramesAreTaken(t *testing.T) {
	datagram := udpTo(them6, us6, 1000, 7, "hello")[40:]
	headers := func(kind uint8, octets ...byte) []byte {
		return toUs(ipv6(them6, us6, kind, append(octets, datagram...)))
	}
	for _, tc := range []struct {
		name  string
		frame []byte
	}{
		{"padding behind IPv4", append(toUs(udpTo(them4, us4, 1000, 7, "hello")), make([]byte, 13)...)},
		{"padding behind IPv6", append(toUs(udpTo(them6, us6, 1000, 7, "hello")), make([]byte, 13)...)},
		{"IPv4 options", toUs(ipv4Options(them4, us4, 17, []byte{1, 7, 3, 4, 0, 0, 0, 0}, udpTo(them4, us4, 1000, 7, "hello")[20:]))},
		{"source route at its end", toUs(ipv4Options(them4, us4, 17, []byte{131, 7, 8, 10, 0, 0, 1, 0}, udpTo(them4, us4, 1000, 7, "hello")[20:]))},
		{"hop-by-hop options", headers(wire.IPv6HopByHop, 17, 0, 5, 2, 0, 0, 1, 0)},
		{"unknown option to be skipped", headers(wire.IPv6DestinationOptions, 17, 0, 0x1e, 4, 0, 0, 0, 0)},
		{"atomic fragment", headers(wire.IPv6Fragment, 17, 0, 0, 0, 1, 2, 3, 4)},
		{"routing header without segments left", headers(wire.IPv6Routing, 17, 0, 0, 0, 0, 0, 0, 0)},
		{"IPv4 whose time to live is used up", toUs(rechecked(patched(udpTo(them4, us4, 1000, 7, "hello"), 8, 0)))},
		{"IPv6 whose hop limit is used up", toUs(patched(udpTo(them6, us6, 1000, 7, "hello"), 7, 0))},
		{"IPv6 with a flow label", toUs(patched(udpTo(them6, us6, 1000, 7, "hello"), 0, 0x6f, 0xff, 0xff, 0xff))},
		{"routing header type 0 without segments left", headers(wire.IPv6Routing, 17, 2, 0, 0, 0, 0, 0, 0,
			0xfd, 0xaa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9)},
		{"destination options", headers(wire.IPv6DestinationOptions, 17, 0, 0x1e, 1, 7, 1, 1, 0)},
		{"fragment header with its reserved bits set", headers(wire.IPv6Fragment, 17, 0xff, 0, 6, 1, 2, 3, 4)},
		{"all of them", headers(wire.IPv6HopByHop, wire.IPv6DestinationOptions, 0, 1, 4, 0, 0, 0, 0, wire.IPv6Routing, 0, 1, 4, 0, 0, 0, 0,
			wire.IPv6Fragment, 0, 0, 0, 0, 0, 0, 0, wire.IPv6DestinationOptions, 0, 0, 0, 1, 2, 3, 4, 17, 0, 1, 4, 0, 0, 0, 0)},
		{"IPv6 unicast in a multicast frame", ether(wire.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}, wire.EtherTypeIPv6, udpTo(them6, us6, 1000, 7, "hello"))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t)
			e4, e6 := s.bind("0.0.0.0:7"), s.bind("[::]:7")
			s.recv(tc.frame)
			if p, _, ok := e4.Receive(); ok {
				p.Release()
				return
			}
			s.wantDatagram(e6, "hello", "[fdaa::100]:1000")
		})
	}
}

func TestPointersOfParameterProblems(t *testing.T) {
	for _, tc := range []struct {
		name  string
		frame []byte
		want  string
	}{
		{"IPv4 option", toUs(ipv4Options(them4, us4, 99, []byte{1, 1, 7, 9}, nil)), "parameter problem - octet 22"},
		{"unknown header", toUs(ipv6(them6, us6, 99, make([]byte, 8))), "next header - octet 6"},
		{"unknown header behind another", toUs(extended(wire.IPv6DestinationOptions, 99, 0, 1, 4, 0, 0, 0, 0)), "next header - octet 40"},
		{"hop-by-hop options behind another", toUs(extended(wire.IPv6DestinationOptions, 0, 0, 1, 4, 0, 0, 0, 0)), "next header - octet 40"},
		{"unknown option", toUs(extended(wire.IPv6DestinationOptions, 17, 0, 1, 0, 0xc7, 2, 0, 0)), "option - octet 44"},
		{"unknown hop-by-hop option", toUs(extended(wire.IPv6HopByHop, 17, 0, 0x87, 4, 0, 0, 0, 0)), "option - octet 42"},
		{"unknown option of the last kind", toUs(extended(wire.IPv6DestinationOptions, 17, 0, 0xc7, 4, 0, 0, 0, 0)), "option - octet 42"},
		{"unknown option behind padding", toUs(extended(wire.IPv6DestinationOptions, 17, 1, 0, 0, 0, 1, 2, 0, 0, 0x87, 5, 0, 0, 0, 0, 0)), "option - octet 49"},
		{"unknown option in the second header", toUs(extended(wire.IPv6HopByHop, wire.IPv6DestinationOptions, 0, 1, 4, 0, 0, 0, 0,
			17, 0, 0xc7, 4, 0, 0, 0, 0)), "option - octet 50"},
		{"jumbo payload option", toUs(extended(wire.IPv6HopByHop, 17, 0, 0xc2, 4, 0, 1, 0, 0)), "option - octet 42"},
		{"routing header behind another", toUs(extended(wire.IPv6HopByHop, wire.IPv6Routing, 0, 1, 4, 0, 0, 0, 0,
			17, 0, 4, 1, 0, 0, 0, 0)), "erroneous - octet 50"},
		{"routing header", toUs(extended(wire.IPv6Routing, 17, 0, 0, 1, 0, 0, 0, 0)), "erroneous - octet 42"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t).knowing()
			s.recv(tc.frame)
			sent := s.send()
			require.Len(t, sent, 1)
			require.Contains(t, wire.EthernetFrame(sent[0]).String(), tc.want)
			s.verify(sent[0])
		})
	}
}

// TestUnknownOptions: the two highest bits of its type say what becomes of a packet with an option that is not known.
//
// https://www.rfc-editor.org/rfc/rfc8200.html#section-4.2
func TestUnknownOptions(t *testing.T) {
	const taken, dropped, told = 0, 1, 2
	for _, tc := range []struct {
		name         string
		option       byte
		host, groups int // what becomes of a packet to one host, and to a group
	}{
		{"00: skip", 0x1e, taken, taken},
		{"01: discard", 0x5e, dropped, dropped},
		{"10: discard, and tell the sender", 0x9e, told, told},
		{"11: discard, and tell the sender unless it was multicast", 0xde, told, dropped},
	} {
		for _, header := range []struct {
			name string
			kind uint8
		}{{"hop-by-hop", wire.IPv6HopByHop}, {"destination", wire.IPv6DestinationOptions}} {
			t.Run(header.name+" options, "+tc.name, func(t *testing.T) {
				for _, to := range []struct {
					dst  netip.Addr
					want int
				}{{us6, tc.host}, {addr("ff02::1"), tc.groups}} {
					s := newScript(t).knowing()
					datagram := udpTo(them6, to.dst, 1000, 7, "hello")[wire.IPv6HeaderLen:]
					b := ipv6(them6, to.dst, header.kind, append([]byte{17, 0, tc.option, 4, 0, 0, 0, 0}, datagram...))
					if to.dst.IsMulticast() {
						s.recv(toGroup(b))
					} else {
						s.recv(toUs(b))
					}
					got := taken
					if s.link.Counters().Drops[DropExtensionOption] > 0 {
						got = dropped
						for _, frame := range s.send() {
							got = told
							require.Contains(t, wire.EthernetFrame(frame).String(), "parameter problem, option - octet 42")
						}
					}
					require.Equal(t, to.want, got, "to %v", to.dst)
				}
			})
		}
	}
}

func TestPacketsWithoutFrames(t *testing.T) {
	s := newScript(t, func(c *dev.Capabilities) { c.Medium = dev.IP })
	e := s.bind("0.0.0.0:7")
	s.recv(udpTo(them4, us4, 1000, 7, "hello"))
	s.wantDatagram(e, "hello", "192.168.69.100:1000")
	s.recv(echo4(them4, us4, ""))
	s.want("no address resolution on such a medium", "IP 192.168.69.1 > 192.168.69.100: ICMP echo reply, id 1, seq 2, length 8")
	s.recv(echo6(them6, us6, ""))
	s.want("nor in IPv6", "IP6 fdaa::1 > fdaa::100: ICMP6, echo reply, id 1, seq 2, length 8")
	require.Equal(t, []string{"192.168.69.1/24", "fdaa::1/64"}, texts(prefixes(s.link)), "and no link-local address")

	for _, tc := range []struct {
		name  string
		octet []byte
		cause DropCause
	}{
		{"nothing", nil, DropFrameTruncated},
		{"version 0", []byte{0}, DropVersion},
		{"version 5", make([]byte, 60), DropVersion},
		{"version 4 and nothing more", []byte{0x45}, DropTruncated},
		{"version 6 and nothing more", []byte{0x60}, DropTruncated},
		{"neighbor discovery", nd(them6, us6, &wire.NDNeighborSolicitationRepr{Target: us6})[14:], DropICMPType},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := s.link.Counters().Drops[tc.cause]
			s.recv(tc.octet)
			require.Equal(t, before+1, s.link.Counters().Drops[tc.cause])
		})
	}
}

// prefixes are an interface's addresses.
func prefixes(l *Interface) (p []netip.Prefix) {
	for _, a := range l.Addresses() {
		p = append(p, a.Prefix)
	}
	return p
}

func texts[T interface{ String() string }](values []T) (s []string) {
	for _, v := range values {
		s = append(s, v.String())
	}
	return s
}
