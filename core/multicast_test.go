package core

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/multicast"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

var (
	group4, group6 = addr("239.1.2.3"), addr("ff05::123")
	anyv4, anyv6   = netip.IPv4Unspecified(), netip.IPv6Unspecified()
)

const (
	// How frames with reports begin.
	igmpTo3    = "IP (options ra) 192.168.69.1 > 224.0.0.22: igmp v3 report, 1 group record(s) "
	mldTo2     = "IP6 fe80::ff:fe00:1 > ff02::16: HBH ICMP6, multicast listener report v2, 1 group record(s) "
	mldTo2Tail = ", length 28"
)

// newMulticastScript is a stack that speaks of its groups, and has said what there is to be said of its addresses.
func newMulticastScript(t *testing.T, options ...any) *script {
	s := newScript(t, append([]any{func(c *InterfaceConfig) { c.NoGroupReports = false }}, options...)...)
	s.after(10 * time.Second)
	s.skip()
	return s
}

func (s *script) join(e *udp.Endpoint, group netip.Addr, sources ...netip.Addr) {
	s.t.Helper()
	require.NoError(s.t, e.JoinGroup(s.now, 0, group, sources...))
}

// igmp is a frame with an IGMP message.
func igmp(src, dst netip.Addr, r igmpMessage, change ...func([]byte)) []byte {
	b := make([]byte, r.Len())
	r.Emit(b)
	p := ipv4Options(src, dst, ip.ProtocolIGMP, routerAlertv4[:], b)
	wire.IPv4Packet(p).SetTTL(1)
	for _, f := range change {
		f(p)
	}
	return toGroup(rechecked(p))
}

// mld is a frame with a Multicast Listener Discovery message.
func mld(src, dst netip.Addr, r mldMessage, change ...func([]byte)) []byte {
	b := make([]byte, r.Len())
	r.Emit(b, src, dst)
	p := ipv6(src, dst, wire.IPv6HopByHop, append(append([]byte(nil), routerAlertv6[:]...), b...))
	wire.IPv6Packet(p).SetHopLimit(1)
	for _, f := range change {
		f(p)
	}
	return toGroup(p)
}

func query4(group netip.Addr) *wire.IGMPQueryRepr {
	return &wire.IGMPQueryRepr{Version: 3, Group: group, MaxResponse: time.Second, Robustness: 2, Interval: 125 * time.Second}
}

func query6(group netip.Addr) *wire.MLDQueryRepr {
	return &wire.MLDQueryRepr{Version: 2, Group: group, MaxResponse: time.Second, Robustness: 2, Interval: 125 * time.Second}
}

func TestAddressesAreReported(t *testing.T) {
	s := newScript(t, func(c *InterfaceConfig) { c.NoGroupReports, c.Addresses = false, c.Addresses[:1] })
	s.after(time.Second)
	s.want("the solicited-node group of the link-local address, and all of IPv4 is nobody's business",
		mldTo2+"[gaddr ff02::1:ff00:1 to_ex { }]"+mldTo2Tail)
	require.NoError(t, s.link.AddAddress(s.now, prefix("fdaa::7/64")))
	s.want("another address, another group", mldTo2+"[gaddr ff02::1:ff00:7 to_ex { }]"+mldTo2Tail,
		"IP6 fdaa::7 > ff02::1: ICMP6, neighbor advertisement, tgt is fdaa::7, Flags [override], "+
			"destination link-address 02:00:00:00:00:01, length 32")
	s.after(time.Second)
	s.want("once more", mldTo2+"[gaddr ff02::1:ff00:7 to_ex { }]"+mldTo2Tail)
	require.True(t, s.link.RemoveAddress(s.now, addr("fdaa::7")))
	s.want("gone", mldTo2+"[gaddr ff02::1:ff00:7 to_in { }]"+mldTo2Tail)
}

func TestReportsWithoutAnAddress(t *testing.T) {
	s := newScript(t, func(c *InterfaceConfig) {
		c.NoGroupReports, c.DuplicateDetection, c.Addresses = false, DetectLearnt, nil
	})
	e := s.bind("0.0.0.0:5353")
	require.NoError(t, e.JoinGroup(s.now, s.link.Index(), group4))
	s.want("no address: nobody's", "IP (options ra) 0.0.0.0 > 224.0.0.22: igmp v3 report, 1 group record(s) [gaddr 239.1.2.3 to_ex { }]")
	for range 20 {
		s.after(time.Second / 2)
	}
	sent := s.send()
	last := wire.EthernetFrame(sent[len(sent)-1]).String()
	require.Equal(t, mldTo2+"[gaddr ff02::1:ff00:1 to_ex { }]"+mldTo2Tail, last, "once the address is nobody else's, from it")
}

func TestSilentMedia(t *testing.T) {
	s := newScript(t, func(c *InterfaceConfig) { c.NoGroupReports = false },
		func(c *dev.Capabilities) { c.Medium = dev.IP })
	s.after(time.Minute)
	s.wantIdle("nobody there has a hardware address to be looked for")
	e := s.bind("0.0.0.0:5353")
	s.join(e, group4)
	s.want("but a socket's group is reported", igmpTo3+"[gaddr 239.1.2.3 to_ex { }]")
}

func TestEndpointsAreReported(t *testing.T) {
	s := newMulticastScript(t)
	a, b, c := s.bind("0.0.0.0:1000"), s.bind("0.0.0.0:1001"), s.bind("[::]:1002")
	s.join(a, group4)
	s.want("joins", igmpTo3+"[gaddr 239.1.2.3 to_ex { }]")
	s.join(b, group4)
	s.wantIdle("the interface is in the group already")
	s.join(c, group6, addr("fdaa::9"))
	s.want("one source", "IP6 fe80::ff:fe00:1 > ff02::16: HBH ICMP6, multicast listener report v2, 1 group record(s) "+
		"[gaddr ff05::123 allow { fdaa::9 }], length 44")
	s.after(10 * time.Second)
	s.skip()
	a.Close()
	s.wantIdle("one is still there")
	b.LeaveGroups(s.now)
	s.want("leaves", igmpTo3+"[gaddr 239.1.2.3 to_in { }]")
	c.Close()
	s.want("closing leaves", "IP6 fe80::ff:fe00:1 > ff02::16: HBH ICMP6, multicast listener report v2, 1 group record(s) "+
		"[gaddr ff05::123 block { fdaa::9 }], length 44")
}

func TestFramesOfReports(t *testing.T) {
	s := newMulticastScript(t)
	e := s.bind("[::]:1000")
	s.join(e, group6)
	frame := wire.EthernetFrame(s.send()[0])
	require.Equal(t, wire.MulticastHardwareAddr(addr("ff02::16")), frame.Dst())
	p := wire.IPv6Packet(frame.Payload())
	require.EqualValues(t, 1, p.HopLimit())
	require.Equal(t, []byte{58, 0, 5, 2, 0, 0, 1, 0}, p.Payload()[:8], "as the Linux kernel's")

	e = s.bind("0.0.0.0:1000")
	s.join(e, group4)
	frame = wire.EthernetFrame(s.send()[0])
	require.Equal(t, wire.MulticastHardwareAddr(addr("224.0.0.22")), frame.Dst())
	header := wire.IPv4Packet(frame.Payload())
	require.EqualValues(t, 1, header.TTL())
	require.EqualValues(t, 0xc0, header.TOS())
	require.Equal(t, []byte{0x94, 4, 0, 0}, header.Options())
}

func TestQueriesAreAnswered(t *testing.T) {
	s := newMulticastScript(t)
	a, b := s.bind("0.0.0.0:1000"), s.bind("[::]:1001")
	s.join(a, group4)
	s.join(b, group6)
	s.after(10 * time.Second)
	s.skip()
	answered := func(why string, frame []byte, want ...string) {
		t.Helper()
		s.recv(frame)
		at, ok := s.stack.NextTimer()
		require.True(t, ok, "PollAt knows when there is something to be said")
		require.LessOrEqual(t, at.Sub(s.now), time.Second)
		s.after(10 * time.Second)
		s.want(why, want...)
	}
	answered("about all", igmp(router4, allSystemsv4, query4(anyv4)), igmpTo3+"[gaddr 239.1.2.3 is_ex { }]")
	answered("about the group", igmp(router4, group4, query4(group4)), igmpTo3+"[gaddr 239.1.2.3 is_ex { }]")
	answered("about all", mld(theirLinkLocal, allNodesv6, query6(anyv6)),
		"IP6 fe80::ff:fe00:1 > ff02::16: HBH ICMP6, multicast listener report v2, 2 group record(s) "+
			"[gaddr ff02::1:ff00:1 is_ex { }] [gaddr ff05::123 is_ex { }], length 48")
	answered("about the group", mld(theirLinkLocal, group6, query6(group6)), mldTo2+"[gaddr ff05::123 is_ex { }]"+mldTo2Tail)

	answered("a querier of IGMPv2", igmp(router4, allSystemsv4, &wire.IGMPQueryRepr{Version: 2, Group: anyv4, MaxResponse: time.Second}),
		"IP (options ra) 192.168.69.1 > 239.1.2.3: igmp v2 report 239.1.2.3")
	answered("a querier of MLDv1", mld(theirLinkLocal, allNodesv6, &wire.MLDQueryRepr{Version: 1, Group: anyv6, MaxResponse: time.Second}),
		"IP6 fe80::ff:fe00:1 > ff02::1:ff00:1: HBH ICMP6, multicast listener report addr: ff02::1:ff00:1, length 24",
		"IP6 fe80::ff:fe00:1 > ff05::123: HBH ICMP6, multicast listener report addr: ff05::123, length 24")
	require.NoError(t, a.LeaveGroup(s.now, 0, group4))
	b.LeaveGroups(s.now)
	s.want("who leaves says so", "IP (options ra) 192.168.69.1 > 224.0.0.2: igmp leave 239.1.2.3",
		"IP6 fe80::ff:fe00:1 > ff02::2: HBH ICMP6, multicast listener done addr: ff05::123, length 24")
	require.Equal(t, multicast.V2, s.link.Multicast().Version(false))
}

func TestOthersReportsAreHeard(t *testing.T) {
	s := newMulticastScript(t)
	a, b := s.bind("0.0.0.0:1000"), s.bind("[::]:1001")
	s.recv(igmp(router4, allSystemsv4, &wire.IGMPQueryRepr{Version: 2, Group: anyv4, MaxResponse: time.Second}))
	s.recv(mld(theirLinkLocal, allNodesv6, &wire.MLDQueryRepr{Version: 1, Group: anyv6, MaxResponse: time.Second}))
	s.join(a, group4)
	s.join(b, group6)
	s.after(10 * time.Second)
	s.skip()
	s.recv(igmp(router4, allSystemsv4, &wire.IGMPQueryRepr{Version: 2, Group: anyv4, MaxResponse: time.Second}))
	s.recv(mld(theirLinkLocal, group6, &wire.MLDQueryRepr{Version: 1, Group: group6, MaxResponse: time.Second}))
	s.recv(igmp(them4, group4, &wire.IGMPGroupRepr{Type: wire.IGMPv2Report, Group: group4}))
	s.recv(mld(theirLinkLocal, group6, &wire.MLDReportRepr{Group: group6}))
	s.after(10 * time.Second)
	s.wantIdle("another has said it")
	require.EqualValues(t, 1, s.link.Counters().IGMP.InReports)
}

func TestMembershipMessagesThatAreRefused(t *testing.T) {
	query := func(change ...func([]byte)) []byte { return igmp(router4, allSystemsv4, query4(anyv4), change...) }
	query6 := func(change ...func([]byte)) []byte { return mld(theirLinkLocal, allNodesv6, query6(anyv6), change...) }
	hopLimit6 := func(b []byte) { wire.IPv6Packet(b).SetHopLimit(2) }
	noAlert6 := func(b []byte) { b[wire.IPv6HeaderLen+2] = 1 } // PadN
	for _, tc := range []struct {
		name  string
		frame []byte
		cause DropCause
	}{
		{"IGMP query with TTL 2", query(func(b []byte) { b[8] = 2 }), DropMembershipHopLimit},
		{"IGMP query without router alert", query(func(b []byte) { copy(b[20:], []byte{1, 1, 1, 0}) }), DropRouterAlert},
		{"IGMP query, wrong checksum", query(func(b []byte) { b[26]++ }), DropIGMPChecksum},
		{"IGMP query about all to a group", igmp(router4, group4, query4(anyv4)), DropMembershipSource},
		{"IGMP query about what is no group", query(func(b []byte) {
			b[28] = 10
			wire.IGMPPacket(b[24:]).FillChecksum()
		}), DropIGMPMalformed},
		{"IGMP of four octets", toGroup(ipv4Options(router4, allSystemsv4, ip.ProtocolIGMP, routerAlertv4[:], make([]byte, 4))), DropIGMPMalformed},
		{"IGMP of an unknown type", query(func(b []byte) { b[24] = 0x99 }), DropMembershipType},
		{"IGMP leave", igmp(them4, allSystemsv4, &wire.IGMPGroupRepr{Type: wire.IGMPv2Leave, Group: group4}), DropMembershipType},
		{"IGMPv2 report without router alert", igmp(them4, group4, &wire.IGMPGroupRepr{Type: wire.IGMPv2Report, Group: group4},
			func(b []byte) { copy(b[20:], []byte{1, 1, 1, 0}) }), DropRouterAlert},
		{"IGMPv3 report", igmp(them4, allSystemsv4, &wire.IGMPv3ReportRepr{}), DropMembershipType},
		{"MLD query with hop limit 2", query6(hopLimit6), DropMembershipHopLimit},
		{"MLD query without router alert", query6(noAlert6), DropRouterAlert},
		{"MLD query from a global address", mld(them6, allNodesv6, query6R()), DropMembershipSource},
		{"MLD query from nobody", mld(anyv6, allNodesv6, query6R()), DropMembershipSource},
		{"MLD report with hop limit 2", mld(theirLinkLocal, group6, &wire.MLDReportRepr{Group: group6}, hopLimit6), DropMembershipHopLimit},
		{"MLD done", mld(theirLinkLocal, allNodesv6, &wire.MLDReportRepr{Done: true, Group: group6}), DropMembershipType},
		{"MLDv2 report", mld(theirLinkLocal, allNodesv6, &wire.MLDv2ReportRepr{}), DropMembershipType},
		{"MLD query about what is no group", mld(theirLinkLocal, allNodesv6, &wire.MLDQueryRepr{Version: 1, Group: us6}), DropMLDMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newMulticastScript(t)
			a, b := s.bind("0.0.0.0:1000"), s.bind("[::]:1000")
			s.join(a, group4)
			s.join(b, group6)
			s.after(10 * time.Second)
			s.skip()
			s.recv(tc.frame)
			s.after(10 * time.Second)
			s.wantIdle("no answer")
			drops := s.link.Counters().Drops
			require.EqualValues(t, 1, drops[tc.cause], "%v", drops)
			require.EqualValues(t, 1, drops.Total(), "%v", drops)
		})
	}
	// Version 1 knows no router alert.
	s := newMulticastScript(t)
	s.recv(igmp(router4, allSystemsv4, &wire.IGMPQueryRepr{Version: 1, Group: anyv4}, func(b []byte) { copy(b[20:], []byte{1, 1, 1, 0}) }))
	require.Equal(t, multicast.V1, s.link.Multicast().Version(false))
}

func query6R() *wire.MLDQueryRepr { return query6(anyv6) }

// TestDeliveryToGroups: who of several endpoints hears what is sent to a group.
func TestDeliveryToGroups(t *testing.T) {
	s := newScript(t)
	bind := func(options udp.Options) *udp.Endpoint {
		e, err := s.stack.UDP().Bind(udp.BindConfig{Local: addrPort("0.0.0.0:1000"), ReuseAddr: true, Options: options})
		require.NoError(t, err)
		return e
	}
	all, one, blocked, bystander, deaf := bind(udp.Options{}), bind(udp.Options{}), bind(udp.Options{}), bind(udp.Options{}),
		bind(udp.Options{NoMulticastAll: true})
	other := addr("192.168.69.101")
	from := func(src netip.Addr) {
		s.recv(toGroup(udpTo(src, group4, 9, 1000, "hello")))
	}
	heard := func(why string, want ...*udp.Endpoint) {
		t.Helper()
		for i, e := range []*udp.Endpoint{all, one, blocked, bystander, deaf} {
			expected := false
			for _, w := range want {
				expected = expected || w == e
			}
			p, _, ok := e.Receive()
			require.Equal(t, expected, ok, "%s: endpoint %d", why, i)
			if ok {
				p.Release()
			}
			require.Zero(t, e.Received(), "one copy")
		}
	}
	from(them4)
	heard("nobody has joined")
	require.EqualValues(t, 1, s.link.Counters().Drops[DropNotOurs])

	s.join(one, group4, them4)
	from(them4)
	heard("by the one who asked for it, and those who do not mind", all, one, blocked, bystander)
	from(other)
	heard("nobody wants it")
	require.EqualValues(t, 1, s.link.Counters().Drops[DropSourceFilter])

	s.join(all, group4)
	s.join(blocked, group4)
	require.NoError(t, blocked.BlockSources(s.now, 0, group4, them4))
	from(them4)
	heard("each by its own filter", all, one, bystander)
	from(other)
	heard("each by its own filter", all, blocked, bystander)
	require.NoError(t, blocked.UnblockSources(s.now, 0, group4, them4))
	from(them4)
	heard("not blocked any more", all, one, blocked, bystander)
	require.NoError(t, one.JoinGroup(s.now, 0, group4, other))
	from(other)
	heard("a second source", all, one, blocked, bystander)
	require.NoError(t, one.LeaveGroup(s.now, 0, group4, other))
	from(other)
	heard("that is left again", all, blocked, bystander)
	all.LeaveGroups(s.now)
	blocked.Close()
	blocked = all
	require.NoError(t, one.LeaveGroup(s.now, 0, group4, them4))
	require.Empty(t, one.Memberships(), "the last source")
	from(them4)
	heard("nobody is there any more")
}

func TestJoinErrors(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.Groups, c.Limits.GroupSources, c.Limits.Addresses = 5, 2, 3 })
	e := s.bind("0.0.0.0:1000")
	at := s.now
	src := them4
	s.join(e, group4)
	for _, tc := range []struct {
		name string
		err  error
		want error
	}{
		{"a member already", e.JoinGroup(at, 0, group4), ip.ErrAddressInUse},
		{"a member already, by name", e.JoinGroup(at, s.link.Index(), group4), ip.ErrAddressInUse},
		{"joined without sources", e.JoinGroup(at, 0, group4, src), ip.ErrInvalid},
		{"no group", e.JoinGroup(at, 0, them4), ip.ErrInvalid},
		{"another family", e.JoinGroup(at, 0, group6), ip.ErrInvalid},
		{"no such interface", e.JoinGroup(at, 99, addr("239.1.2.4")), ip.ErrNoDevice},
		{"no source", e.JoinGroup(at, 0, addr("239.1.2.4"), group4), ip.ErrInvalid},
		{"too many sources", e.JoinGroup(at, 0, addr("239.1.2.4"), src, us4, router4), ip.ErrNoBufferSpace},
		{"not a member", e.LeaveGroup(at, 0, addr("239.1.2.4")), ip.ErrAddressNotAvailable},
		{"a source of none", e.LeaveGroup(at, 0, group4, src), ip.ErrInvalid},
		{"nothing to block in", e.BlockSources(at, 0, addr("239.1.2.4"), src), ip.ErrInvalid},
		{"blocks", e.BlockSources(at, 0, group4, src), nil},
		{"blocked already", e.BlockSources(at, 0, group4, src), ip.ErrAddressNotAvailable},
		{"not blocked", e.UnblockSources(at, 0, group4, us4), ip.ErrAddressNotAvailable},
		{"joins with a source", e.JoinGroup(at, 0, addr("239.1.2.5"), src), nil},
		{"joined with the source", e.JoinGroup(at, 0, addr("239.1.2.5"), src), ip.ErrAddressNotAvailable},
		{"not joined with the source", e.LeaveGroup(at, 0, addr("239.1.2.5"), us4), ip.ErrAddressNotAvailable},
		{"joined with a source: any", e.JoinGroup(at, 0, addr("239.1.2.5")), ip.ErrAddressInUse},
		{"too many groups", e.JoinGroup(at, 0, addr("239.1.2.6")), ip.ErrNoBufferSpace},
	} {
		require.ErrorIs(t, tc.err, tc.want, tc.name)
	}
	e.Close()
	require.ErrorIs(t, e.JoinGroup(at, 0, group4), udp.ErrClosed)
	require.ErrorIs(t, e.LeaveGroup(at, 0, group4), udp.ErrClosed)
	require.ErrorIs(t, e.BlockSources(at, 0, group4, src), udp.ErrClosed)
}

func TestRemovalOfAnInterfaceEndsMemberships(t *testing.T) {
	s := newScript(t)
	e := s.bind("0.0.0.0:1000")
	s.join(e, group4)
	require.NoError(t, s.stack.RemoveInterface(s.now, s.link))
	require.ErrorIs(t, e.BlockSources(s.now, 0, group4, them4), ip.ErrInvalid, "there is no such membership any more")
	e.Close()
}

// TestMulticastLoopback: RFC 1112 section 6.1, and broadcasts alike.
func TestMulticastLoopback(t *testing.T) {
	broadcast, subnet := broadcastAddrv4, addr("192.168.69.255")
	for _, tc := range []struct {
		name  string
		dst   netip.Addr
		join  []netip.Addr
		off   bool
		heard bool
		link  bool // it comes by the Ethernet
	}{
		{"a group that is joined", group4, []netip.Addr{group4}, false, true, true},
		{"a group that is joined, of IPv6", group6, []netip.Addr{group6}, false, true, true},
		{"a link-local group of IPv6", addr("ff02::123"), []netip.Addr{addr("ff02::123")}, false, true, true},
		{"the group of all nodes", allNodesv6, nil, false, true, true},
		{"a group that nobody has joined", group4, nil, false, false, false},
		{"switched off", group4, []netip.Addr{group4}, true, false, false},
		{"everybody", broadcast, nil, false, true, true},
		{"everybody in the network", subnet, nil, false, true, true},
		{"everybody, which cannot be switched off", broadcast, nil, true, true, true},
	} {
		for _, medium := range []dev.Medium{dev.Ethernet, dev.IP} {
			t.Run(tc.name+" on "+medium.String(), func(t *testing.T) {
				s := newScript(t, func(c *dev.Capabilities) { c.Medium = medium })
				bind := func(port uint16) *udp.Endpoint {
					e, err := s.stack.UDP().Bind(udp.BindConfig{Local: netip.AddrPortFrom(anyv6, port), DualStack: true, ReuseAddr: true})
					require.NoError(t, err)
					return e
				}
				sender, hearers := bind(999), []*udp.Endpoint{bind(1000), bind(1000)}
				for _, e := range hearers {
					for _, group := range tc.join {
						s.join(e, group)
					}
				}
				sender.SetMulticastLoopback(!tc.off)
				p := packet.New(5)
				copy(p.Append(5), "hello")
				require.NoError(t, sender.Send(s.now, p, netip.AddrPortFrom(tc.dst, 1000), 0))
				require.Len(t, s.send(), 1, "it leaves")
				for s.stack.PollLoopback(s.now) {
				}
				for _, e := range hearers {
					require.Equal(t, tc.heard, e.Received() == 1)
					if tc.heard {
						p, from, _ := e.Receive()
						require.Equal(t, tc.dst, p.IP.Dst)
						require.Equal(t, s.link.Index(), p.IP.Link, "as if it had come by the link")
						require.Equal(t, from.Addr(), p.IP.Src)
						require.True(t, s.stack.Local(0, from.Addr()))
						p.Release()
					}
				}
				require.Zero(t, s.stack.Counters().ICMPv4.OutMsgs)
				s.wantIdle("and that is all")
			})
		}
	}
}

func TestMulticastInterface(t *testing.T) {
	s := newScript(t)
	other, err := s.stack.AddInterface(s.now, InterfaceConfig{
		Device: &testDevice{dev.Capabilities{Medium: dev.Ethernet, MTU: 1500}}, Addresses: []netip.Prefix{prefix("10.0.0.1/8")},
		HardwareAddr: otherHardware, DuplicateDetection: DetectNone, NoGroupReports: true,
	})
	require.NoError(t, err)
	first := s.link
	s.link = other
	s.skip()
	e := s.bind("0.0.0.0:1000")
	e.SetMulticastLink(other.Index())
	p := packet.New(0)
	require.NoError(t, e.Send(s.now, p, netip.AddrPortFrom(group4, 7), 0))
	s.want("where it was told to", "IP 10.0.0.1.1000 > 239.1.2.3.7: UDP, length 0")
	s.link = first
	p = packet.New(0)
	require.NoError(t, e.Send(s.now, p, netip.AddrPortFrom(group4, 7), first.Index()))
	s.want("unless the datagram says otherwise", "IP 192.168.69.1.1000 > 239.1.2.3.7: UDP, length 0")

	require.NoError(t, e.JoinGroup(s.now, other.Index(), group4))
	s.recv(toGroup(udpTo(them4, group4, 9, 1000, "hello")))
	require.Zero(t, e.Received(), "it is a member on the other link alone")
}

func TestGroupEvents(t *testing.T) {
	var events []string
	s := newScript(t, func(c *Config) { c.Event = func(e Event) { events = append(events, e.String()) } })
	events = nil
	e := s.bind("0.0.0.0:1000")
	s.join(e, group4)
	e.Close()
	require.Equal(t, []string{"group joined: 239.1.2.3 (link 2)", "group left: 239.1.2.3 (link 2)"}, events)
}

func TestMulticastReceptionDoesNotAllocate(t *testing.T) {
	if !countsAllocations {
		t.Skip("allocations are not counted")
	}
	s := newScript(t)
	e := s.bind("0.0.0.0:1000")
	s.join(e, group4, them4)
	frame := toGroup(udpTo(them4, group4, 9, 1000, "hello"))
	pkts := make([]*packet.Packet, 1)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		p := packet.New(len(frame))
		copy(p.Append(len(frame)), frame)
		pkts[0] = p
		s.stack.Input(s.now, s.link, pkts)
		p, _, _ = e.Receive()
		p.Release()
	}))
}

func TestMulticastConfig(t *testing.T) {
	_, err := New(epoch, Config{Multicast: multicast.Config{Robustness: 9}})
	require.ErrorIs(t, err, ErrConfig)
	require.ErrorContains(t, err, "Robustness 9")
	_, err = New(epoch, Config{Multicast: multicast.Config{MaxGroups: 9}})
	require.ErrorIs(t, err, ErrConfig)
	require.ErrorContains(t, err, "Limits")
}
