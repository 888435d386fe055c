package core

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// autoconfiguring is an interface that has only what it makes of advertisements.
func autoconfiguring(c *InterfaceConfig) {
	c.Addresses, c.Autoconf, c.DuplicateDetection = nil, true, DetectLearnt
}

var (
	advertisedPrefix = prefix("2001:db8:1::/64")
	ownAdvertised    = addr("2001:db8:1::ff:fe00:1")
	faraway          = addr("2001:db8:ffff::1")
	otherRouter      = addr("fe80::99")
)

// recorded keeps the events of the stack's.
func recorded(events *[]string) func(*Config) {
	return func(c *Config) { c.Event = func(e Event) { *events = append(*events, e.String()) } }
}

func advertisement(lifetime time.Duration, options ...wire.NDOptionRepr) *wire.NDRouterAdvertisementRepr {
	r := &wire.NDRouterAdvertisementRepr{RouterLifetime: lifetime}
	for _, option := range options {
		r.Options = r.Options.Append(option)
	}
	return r
}

func sourceOption(hw wire.HardwareAddr) *wire.NDLinkAddrRepr {
	return &wire.NDLinkAddrRepr{Addr: hw.LinkAddr()}
}

func prefixOption(valid time.Duration) *wire.NDPrefixInformationRepr {
	return &wire.NDPrefixInformationRepr{
		Prefix: advertisedPrefix, OnLink: true, Autonomous: true, ValidLifetime: valid, PreferredLifetime: valid / 2,
	}
}

// settled lets duplicate detection end, and drops what leaves.
func (s *script) settled() {
	for range 40 {
		s.after(100 * time.Millisecond)
		s.skip()
	}
}

func (s *script) advertise(from netip.Addr, r *wire.NDRouterAdvertisementRepr) {
	s.recv(nd(from, allNodesv6, r))
}

// wantNextHop requires that a packet to faraway goes to the hardware address.
func (s *script) wantNextHop(why string, hw wire.HardwareAddr) {
	s.t.Helper()
	e := s.bind("[::]:0")
	defer e.Close()
	require.NoError(s.t, e.Send(s.now, packetOf([]byte("x")), netip.AddrPortFrom(faraway, 9), 0))
	for _, b := range s.send() {
		p := wire.IPv6Packet(wire.EthernetFrame(b).Payload())
		if p.Dst() == faraway {
			require.Equal(s.t, hw, wire.EthernetFrame(b).Dst(), why)
			return
		}
	}
	require.Fail(s.t, "nothing left", why)
}

func TestAutoconf(t *testing.T) {
	var events []string
	s := newScript(t, autoconfiguring, recorded(&events))
	for range 20 {
		if s.after(100 * time.Millisecond); s.link.autoconf.host.Counters().Solicitations > 0 {
			break
		}
	}
	var solicited bool
	for _, b := range s.send() {
		solicited = solicited || wire.EthernetFrame(b).String() == "IP6 :: > ff02::2: ICMP6, router solicitation, length 8"
	}
	require.True(t, solicited, "without an option, for the link-local address may be somebody else's yet")
	s.settled()
	events = nil

	s.advertise(theirLinkLocal, advertisement(30*time.Minute, sourceOption(theirHardware), prefixOption(4*time.Hour),
		&wire.NDMTURepr{MTU: 1300}, &wire.NDRDNSSRepr{Lifetime: time.Hour, Servers: []netip.Addr{addr("2001:db8::53")}},
		&wire.NDDNSSLRepr{Lifetime: time.Hour, Domains: []string{"example.com"}}))
	require.Equal(t, []string{
		"router found: fe80::64 (link 2)",
	}, slices.DeleteFunc(slices.Clone(events), func(e string) bool { return e != "router found: fe80::64 (link 2)" }))
	require.Contains(t, events, "address added: 2001:db8:1::ff:fe00:1/64 tentative autoconf (link 2)")
	require.Contains(t, events, "servers changed: (link 2)")
	require.False(t, s.link.has(ownAdvertised), "not before it is known to be nobody else's")
	s.settled()
	require.True(t, s.link.has(ownAdvertised))

	until := func(d time.Duration) time.Time { return s.now.Add(d - 4*time.Second) }
	require.Equal(t, []Router{{Addr: theirLinkLocal, Default: true, Until: until(30 * time.Minute), Reachable: true}}, s.link.Routers())
	require.Equal(t, []Prefix{{
		Prefix: advertisedPrefix, OnLink: true, OnLinkUntil: until(4 * time.Hour),
		Autonomous: true, PreferredUntil: until(2 * time.Hour), ValidUntil: until(4 * time.Hour),
	}}, s.link.Prefixes())
	require.Equal(t, []NameServer{{addr("2001:db8::53"), until(time.Hour)}}, s.link.NameServers())
	require.Equal(t, []SearchDomain{{"example.com", until(time.Hour)}}, s.link.SearchDomains())
	require.Equal(t, []Route{
		{Destination: advertisedPrefix, Metric: 256, Link: s.link.index, Origin: route.Autoconf},
		{Destination: prefix("::/0"), Gateway: theirLinkLocal, Metric: 1024, Link: s.link.index, Origin: route.Autoconf},
	}, slices.DeleteFunc(s.stack.Routes(), func(r Route) bool { return r.Link != s.link.index }))
	s.wantNextHop("the router is known by its own option", theirHardware)
	by, source, err := s.stack.Route(0, netip.Addr{}, faraway)
	require.NoError(t, err)
	require.Equal(t, ownAdvertised, source)
	require.Equal(t, 1300, by.MTU())
	require.Equal(t, 1500, s.link.MTU(), "IPv4's is not the routers' concern")

	s.after(2 * time.Hour)
	require.Equal(t, Deprecated, s.link.find(ownAdvertised).state)
	s.after(2 * time.Hour)
	require.Nil(t, s.link.find(ownAdvertised))
	require.Empty(t, s.link.Routers())
	require.Empty(t, s.link.Prefixes())
	require.Empty(t, s.link.NameServers())
	require.Contains(t, events, "router lost: fe80::64 (link 2)")
}

// TestAdvertisementValidity goes through RFC 4861 section 6.1.2.
func TestAdvertisementValidity(t *testing.T) {
	good := advertisement(time.Hour, prefixOption(time.Hour))
	frame := nd(theirLinkLocal, allNodesv6, good)
	const ether, header = wire.EthernetHeaderLen, wire.IPv6HeaderLen
	// checked makes the checksum right again.
	checked := func(b []byte) []byte {
		wire.ICMPv6Packet(b[ether+header:]).FillChecksum(theirLinkLocal, allNodesv6)
		return b
	}
	short := func() []byte {
		b := make([]byte, 12)
		copy(b, frame[ether+header:])
		p := ipv6(theirLinkLocal, allNodesv6, 58, b)
		wire.IPv6Packet(p).SetHopLimit(wire.NDHopLimit)
		return checked(toGroup(p))
	}
	for _, row := range []struct {
		name  string
		frame []byte
		want  DropCause
	}{
		{"valid", frame, numDropCauses},
		{"to the interface alone", nd(theirLinkLocal, ourLinkLocal, good), numDropCauses},
		{"source not link-local", nd(addr("2001:db8::1"), allNodesv6, good), DropNDMalformed},
		{"hop limit", patched(frame, ether+7, 254), DropNDHopLimit},
		{"checksum", patched(frame, ether+header+2, 1, 2), DropICMPChecksum},
		{"code", checked(patched(frame, ether+header+1, 1)), DropNDMalformed},
		{"too short", short(), DropNDMalformed},
		{"an option of length 0", checked(patched(frame, ether+header+17, 0)), DropNDMalformed},
		{"an option longer than the rest", checked(patched(frame, ether+header+17, 5)), DropNDMalformed},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t, autoconfiguring)
			s.settled()
			s.recv(row.frame)
			require.Equal(t, row.want == numDropCauses, len(s.link.Prefixes()) == 1)
			if row.want != numDropCauses {
				require.EqualValues(t, 1, s.link.Counters().Drops[row.want])
			}
		})
	}
}

func TestAdvertisementsConcernNobodyElse(t *testing.T) {
	s := newScript(t)
	s.advertise(theirLinkLocal, advertisement(time.Hour, prefixOption(time.Hour)))
	require.Nil(t, s.link.find(ownAdvertised), "Autoconf is off")
	require.Nil(t, s.link.Routers())
	require.Nil(t, s.link.Prefixes())
	require.Nil(t, s.link.NameServers())
	require.Nil(t, s.link.SearchDomains())
	s.after(time.Hour)
	s.wantIdle("nor does it ask")
}

func TestAdvertisedAddressIsSomebodyElses(t *testing.T) {
	for _, row := range []struct {
		name   string
		secret []byte
		again  bool
	}{
		{"made from the hardware address", nil, false},
		{"stable and opaque", []byte("sixteen octets!!"), true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t, autoconfiguring, func(c *InterfaceConfig) { c.StableSecret = row.secret })
			s.settled()
			s.advertise(theirLinkLocal, advertisement(time.Hour, prefixOption(time.Hour)))
			own := s.link.addresses[1].addr()
			require.True(t, advertisedPrefix.Contains(own))
			s.recv(nd(own, allNodesv6, &wire.NDNeighborAdvertisementRepr{Override: true, Target: own, TargetLinkAddr: theirHardware.LinkAddr()}))
			s.settled()
			require.Nil(t, s.link.find(own))
			require.Equal(t, row.again, slices.ContainsFunc(s.link.addresses, func(a *address) bool { return advertisedPrefix.Contains(a.addr()) }))
			require.EqualValues(t, 1, s.link.autoconf.host.Counters().Duplicates)
		})
	}
}

func TestLinkLocalAddressIsSomebodyElses(t *testing.T) {
	s := newScript(t, autoconfiguring, func(c *InterfaceConfig) { c.StableSecret = []byte("sixteen octets!!") })
	seen := map[netip.Addr]bool{}
	for range maxLinkLocals {
		require.Len(t, s.link.addresses, 1)
		own := s.link.addresses[0].addr()
		require.True(t, own.IsLinkLocalUnicast())
		require.NotEqual(t, ourLinkLocal, own, "it does not say which hardware it is")
		require.False(t, seen[own], "another each time")
		seen[own] = true
		s.recv(nd(own, allNodesv6, &wire.NDNeighborAdvertisementRepr{Override: true, Target: own, TargetLinkAddr: theirHardware.LinkAddr()}))
	}
	require.False(t, slices.ContainsFunc(s.link.addresses, func(a *address) bool { return a.state != Duplicate }), "something is wrong here")
}

// TestRouterUnreachability: when the neighbour cache finds that a router does not answer, another is used, and when it
// is heard again it is.
func TestRouterUnreachability(t *testing.T) {
	s := newScript(t, autoconfiguring)
	s.settled()
	preferred := advertisement(2*time.Hour, sourceOption(theirHardware), prefixOption(2*time.Hour))
	preferred.Preference = wire.NDPreferenceHigh
	s.advertise(theirLinkLocal, preferred)
	s.advertise(otherRouter, advertisement(2*time.Hour, sourceOption(otherHardware)))
	s.settled()
	s.wantNextHop("the preferred one", theirHardware)
	for range 90 { // it is in use, is asked whether it is there, and does not answer
		s.after(100 * time.Millisecond)
		s.skip()
	}
	s.wantNextHop("another in its place", otherHardware)
	require.False(t, s.link.Routers()[0].Reachable)
	require.True(t, s.link.Routers()[1].Reachable)

	// As long as the other is in use, the first is asked once a minute whether it is back.
	asked := false
	for range 700 {
		s.recv(nd(otherRouter, ourLinkLocal, &wire.NDNeighborAdvertisementRepr{
			Router: true, Solicited: true, Override: true, Target: otherRouter, TargetLinkAddr: otherHardware.LinkAddr()}))
		s.after(100 * time.Millisecond)
		for _, b := range s.send() {
			asked = asked || wire.IPv6Packet(wire.EthernetFrame(b).Payload()).Dst() == wire.SolicitedNodeMulticast(theirLinkLocal)
		}
	}
	require.True(t, asked)
	s.recv(nd(theirLinkLocal, ourLinkLocal, &wire.NDNeighborAdvertisementRepr{
		Router: true, Solicited: true, Override: true, Target: theirLinkLocal, TargetLinkAddr: theirHardware.LinkAddr()}))
	s.wantNextHop("it is back", theirHardware)

	s.recv(nd(theirLinkLocal, ourLinkLocal, &wire.NDNeighborAdvertisementRepr{
		Solicited: true, Override: true, Target: theirLinkLocal, TargetLinkAddr: theirHardware.LinkAddr()}))
	s.wantNextHop("it says that it is no router", otherHardware)
	require.Len(t, s.link.Routers(), 1)
}

func TestSolicitationFromLinkLocalAddress(t *testing.T) {
	s := newScript(t, autoconfiguring)
	s.settled()
	for !s.link.Pending() {
		at, ok := s.stack.NextTimer()
		require.True(t, ok)
		s.after(at.Sub(s.now))
	}
	s.want("nobody has answered the first", "IP6 fe80::ff:fe00:1 > ff02::2: ICMP6, router solicitation, source link-address 02:00:00:00:00:01, length 16")
}

// A router that has never told its hardware address has no place in the neighbour cache until it is used.
func TestRouterWithoutSourceOption(t *testing.T) {
	s := newScript(t, autoconfiguring)
	s.settled()
	s.advertise(theirLinkLocal, advertisement(2*time.Hour, prefixOption(2*time.Hour)))
	s.settled()
	e := s.bind("[::]:0")
	require.NoError(t, e.Send(s.now, packetOf([]byte("x")), netip.AddrPortFrom(faraway, 9), 0))
	require.Len(t, s.send(), 1, "a solicitation")
	s.recv(nd(theirLinkLocal, ourLinkLocal, &wire.NDNeighborAdvertisementRepr{Solicited: true, Target: theirLinkLocal}))
	require.Len(t, s.link.Routers(), 1, "an advertisement that is to be discarded does not make it a host")
	s.recv(nd(theirLinkLocal, ourLinkLocal, &wire.NDNeighborAdvertisementRepr{
		Router: true, Solicited: true, Target: theirLinkLocal, TargetLinkAddr: theirHardware.LinkAddr()}))
	require.Len(t, s.link.Routers(), 1)
	s.wantNextHop("it is used", theirHardware)
}

func TestParametersOfTheLink(t *testing.T) {
	s := newScript(t, func(c *InterfaceConfig) { c.Autoconf = true }).knowing()
	r := advertisement(0, &wire.NDMTURepr{MTU: 1280})
	r.HopLimit, r.Reachable, r.Retransmit = 9, time.Minute, 2*time.Second
	s.advertise(theirLinkLocal, r)
	s.skip()
	require.Equal(t, 2*time.Second, s.link.retransmit())

	e := s.bind("[::]:0")
	require.NoError(t, e.Send(s.now, packetOf([]byte("x")), netip.AddrPortFrom(them6, 9), 0))
	sent := s.send()
	require.EqualValues(t, 9, wire.IPv6Packet(wire.EthernetFrame(sent[0]).Payload()).HopLimit())
	require.Equal(t, 1280, s.link.mtuOf(true))
	require.Equal(t, 1500, s.link.mtuOf(false))
	require.NoError(t, s.stack.RemoveInterface(s.now, s.link))
	require.Zero(t, s.link.params)
}

// A router behind a tun has no hardware address, nor has the interface.
func TestAutoconfWithoutHardware(t *testing.T) {
	s := newScript(t, autoconfiguring, func(c *dev.Capabilities) { c.Medium = dev.IP })
	own := s.link.addresses[0].addr()
	require.True(t, own.IsLinkLocalUnicast())
	s.after(time.Second)
	s.want("it asks", "IP6 "+own.String()+" > ff02::2: ICMP6, router solicitation, length 8")
}

func TestAutoconfConfig(t *testing.T) {
	stack, err := New(epoch, Config{Rand: seeded()})
	require.NoError(t, err)
	defer stack.Close(epoch)
	for _, row := range []struct {
		name   string
		config InterfaceConfig
		want   string
	}{
		{"without IPv6", InterfaceConfig{Autoconf: true, NoIPv6: true}, "what Autoconf needs"},
		{"an MTU too small", InterfaceConfig{Autoconf: true, MTU: 1279}, "what Autoconf needs"},
		{"a secret for nothing", InterfaceConfig{StableSecret: make([]byte, 16)}, "without Autoconf"},
		{"temporary addresses of nothing", InterfaceConfig{TemporaryAddresses: true}, "without Autoconf"},
		{"a short secret", InterfaceConfig{Autoconf: true, StableSecret: make([]byte, 15)}, "15 octets"},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.config.Device = &testDevice{dev.Capabilities{Medium: dev.Ethernet, MTU: 1500}}
			_, err := stack.AddInterface(epoch, row.config)
			require.ErrorIs(t, err, ErrConfig)
			require.ErrorContains(t, err, row.want)
		})
	}
	_, err = New(epoch, Config{Limits: Limits{Routers: 1}})
	require.ErrorContains(t, err, "Limits.Routers 1")
}

// A segment of a connection that was begun before a router lowered the link's MTU is refused, not sent, and
// super-segments of such are taken apart first.
func TestLoweredMTU(t *testing.T) {
	for _, tc := range []struct {
		name      string
		src, dst  netip.Addr
		headerLen int
		lower     func(s *script)
	}{
		{"by a router", us6, them6, wire.IPv6HeaderLen, func(s *script) {
			s.advertise(theirLinkLocal, advertisement(0, &wire.NDMTURepr{MTU: 1280}))
		}},
		{"by a DHCP server", us4, them4, wire.IPv4HeaderLen, func(s *script) { (&dhcpClient{Interface: s.link}).setMTU(1280) }},
		{"by that, less than by a router", us6, them6, wire.IPv6HeaderLen, func(s *script) {
			s.advertise(theirLinkLocal, advertisement(0, &wire.NDMTURepr{MTU: 1400}))
			(&dhcpClient{Interface: s.link}).setMTU(1280)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t, func(c *InterfaceConfig) { c.Autoconf = true },
				func(c *dev.Capabilities) { c.SegmentTCP4, c.SegmentTCP6 = true, true }).knowing()
			way, _, err := s.stack.Route(0, netip.Addr{}, tc.dst)
			require.NoError(t, err)
			segment := func(payload, size int) *packet.Packet {
				p := packet.New(wire.TCPHeaderLen + payload)
				r := wire.TCPRepr{SrcPort: 1, DstPort: 2, Flags: wire.TCPAck}
				r.Emit(p.Append(wire.TCPHeaderLen + payload))
				p.IP = packet.IPInfo{Src: tc.src, Dst: tc.dst, Link: s.link.index, Protocol: 6, Fragmentation: packet.DontFragment}
				p.SegmentSize = uint16(size)
				return p
			}
			s.stack.Send(s.stack.now, way, segment(4000, 1440))
			require.Len(t, s.send(), 1, "as the device likes it")
			tc.lower(s)
			require.Equal(t, 1280, way.MTU())
			s.stack.Send(s.stack.now, way, segment(4000, 1440))
			sent := s.send()
			require.Len(t, sent, 1, "only the last of the three is short enough")
			require.Len(t, sent[0], wire.EthernetHeaderLen+tc.headerLen+wire.TCPHeaderLen+4000-2*1440)
			s.stack.Send(s.stack.now, way, segment(4000, 1220))
			require.Len(t, s.send(), 1, "short enough")
		})
	}
}
