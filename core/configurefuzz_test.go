package core

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/smolnet/smolnet/core/dhcpv4"
	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// configureLimits are tight, so that few frames reach them.
var configureLimits = Limits{
	Addresses: 10, Groups: 16, Routes: 40, Neighbours: 8, Redirects: 4, PathMTUs: 4,
	Routers: 3, RouterRoutes: 4, Prefixes: 3, NameServers: 3, SearchDomains: 3, DHCPv6Addresses: 3, DHCPv6Servers: 2, DHCPv6Information: 3,
}

// pauses are how long it can be between two frames.
var pauses = [...]time.Duration{0, time.Second, 20 * time.Minute, 30 * time.Hour}

// FuzzConfigure gives a stack that configures itself in every way, hands out addresses, and belongs to groups, whatever frames: nothing panics, nothing
// leaks, no table grows beyond its bound, what leaves is sound, and it is no flood. The octets are a sequence of frames, each
// behind two octets of length, whose two topmost bits say how long it is before it arrives. DHCP messages are given the
// transaction of the last that the stack has sent, so that they mean something to it.
func FuzzConfigure(f *testing.F) {
	v4 := func(kind wire.DHCPv4MessageType) []byte {
		r := wire.DHCPv4Repr{Type: kind, ServerID: them4, YourAddr: addr("192.168.69.9"), LeaseTime: time.Hour, ClientHardware: ourHardware,
			SubnetBits: 24, Routers: []netip.Addr{router4}, DNSServers: []netip.Addr{them4}, MTU: 1400, DomainSearch: []string{"example.com"},
			Routes: []wire.DHCPv4Route{{Prefix: prefix("10.0.0.0/8"), Router: router4}}}
		b := make([]byte, r.Len())
		r.Emit(b)
		return toAll(udpTo(them4, broadcastAddrv4, 67, 68, string(b)))
	}
	v6 := func(kind uint8, given ...wire.DHCPv6IAAddr) []byte {
		r := wire.DHCPv6Repr{Type: kind, ClientID: configuredDUID, ServerID: dhcpv6ServerID, DNSServers: []netip.Addr{them6}, Preference: 255,
			IAs: []wire.DHCPv6IANA{{IAID: 7, Addresses: given}}}
		return toUs(udpTo(theirLinkLocal, ourLinkLocal, wire.DHCPv6ServerPort, wire.DHCPv6ClientPort, string(r.Append(nil))))
	}
	asked := func(r wire.DHCPv4Repr) []byte {
		r.ClientHardware = theirHardware
		b := make([]byte, r.Len())
		r.Emit(b)
		return toAll(udpTo(anyv4, broadcastAddrv4, 68, 67, string(b)))
	}
	hour := wire.DHCPv6IAAddr{Addr: addr("fd00:6::9"), Preferred: time.Hour, Valid: time.Hour}
	router := advertisement(30*time.Minute, sourceOption(theirHardware), prefixOption(4*time.Hour), &wire.NDMTURepr{MTU: 1300},
		&wire.NDRDNSSRepr{Lifetime: time.Hour, Servers: []netip.Addr{them6}}, &wire.NDDNSSLRepr{Lifetime: time.Hour, Domains: []string{"example.com"}})
	type frame struct {
		after int // one of pauses
		b     []byte
	}
	for _, frames := range [][]frame{
		{{1, nd(theirLinkLocal, allNodesv6, router)}, {2, nd(theirLinkLocal, allNodesv6, advertisement(0))}, {3, nd(otherRouter, allNodesv6, router)}},
		{{1, v4(wire.DHCPv4Offer)}, {0, v4(wire.DHCPv4ACK)}, {2, v4(wire.DHCPv4ACK)}, {2, v4(wire.DHCPv4NAK)}, {1, v4(wire.DHCPv4Offer)}},
		{{0, asked(wire.DHCPv4Repr{Type: wire.DHCPv4Discover})},
			{0, asked(wire.DHCPv4Repr{Type: wire.DHCPv4Request, RequestedAddr: addr("192.168.69.2")})}, {3, arpRequest(us4)}},
		{{1, v6(wire.DHCPv6Advertise, hour)}, {0, v6(wire.DHCPv6Reply, hour)}, {2, v6(wire.DHCPv6Reply)}, {3, v6(wire.DHCPv6Advertise)}},
		{{1, igmp(router4, allSystemsv4, query4(anyv4))}, {1, igmp(router4, allSystemsv4, &wire.IGMPQueryRepr{Version: 2, Group: anyv4})}},
		{{1, mld(theirLinkLocal, allNodesv6, query6(anyv6))}, {1, mld(theirLinkLocal, allNodesv6, &wire.MLDQueryRepr{Version: 1, Group: anyv6})}},
		{{1, redirect4(router4, better4, away4, 1)}, {0, redirect6(theirLinkLocal, better6, away6)}},
		{{0, nd(addr("::"), addr("ff02::1:ff00:1"), &wire.NDNeighborSolicitationRepr{Target: ourLinkLocal})}},
		{{0, nd(ourLinkLocal, allNodesv6, &wire.NDNeighborAdvertisementRepr{Target: ourLinkLocal, Override: true, TargetLinkAddr: otherHardware.LinkAddr()})}},
		{{1, arpReply(us4, otherHardware)}, {1, arpReply(us4, otherHardware)}, {0, arpRequest(us4)}},
	} {
		var b []byte
		for _, frame := range frames {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(frame.b)|frame.after<<14)), frame.b...)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		live := livePackets()
		c := newLessee(t)
		for frames := 0; len(b) >= 2 && frames < 64; frames++ {
			control := binary.BigEndian.Uint16(b)
			n := min(int(control&0x3fff), len(b)-2)
			c.pause(pauses[control>>14])
			c.give(b[2 : 2+n])
			b = b[2+n:]
		}
		c.pause(time.Minute)
		c.stack.Close(c.now)
		if leaked := livePackets() - live; leaked != 0 {
			t.Fatalf("%d packets leaked", leaked)
		}
	})
}

var configuredDUID = wire.DHCPv6DUID{0, 9, 'C'}

// lessee is a stack that configures itself, and the transactions of what it has asked DHCP servers last.
type lessee struct {
	*script
	xid4, xid6 [4]byte  // of DHCPv6 with the message's type before it
	sent       [][]byte // what has left last
	total      int      // how many frames have left
}

func newLessee(t *testing.T) *lessee {
	c := &lessee{script: &script{t: t, now: epoch}}
	fail := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	c.stack, err = New(epoch, Config{Rand: seeded(), Limits: configureLimits, Event: func(e Event) { _ = e.String() }})
	fail(err)
	c.link, err = c.stack.AddInterface(epoch, InterfaceConfig{
		Device: &testDevice{dev.Capabilities{Medium: dev.Ethernet, MTU: 1500}}, HardwareAddr: ourHardware,
		Addresses: []netip.Prefix{prefix("192.168.69.1/24"), prefix("fdaa::1/64")}, DuplicateDetection: DetectAll, Autoconf: true,
		TemporaryAddresses: true, DHCPv4: &dhcpv4.Config{}, LinkLocalv4: true,
		DHCPv6: DHCPv6Config{Mode: DHCPv6Stateful, DUID: configuredDUID, IAID: 7}, DHCPv4Server: &dhcpv4.ServerConfig{},
	})
	fail(err)
	for _, group := range []string{"239.1.2.3", "ff05::123"} {
		e, err := c.stack.UDP().Bind(udp.BindConfig{Local: addrPort("[::]:0"), DualStack: true})
		fail(err)
		fail(e.JoinGroup(epoch, c.link.Index(), addr(group)))
	}
	c.pause(10 * time.Second) // its addresses are its own by then
	return c
}

// pause lets time pass, by and by: as much of it as there is nothing to do in one step.
func (c *lessee) pause(d time.Duration) {
	end := c.now.Add(d)
	for steps := 0; steps < 200; steps++ {
		c.stack.Advance(c.now)
		c.collect()
		next, ok := c.stack.PollAt()
		if !ok || next.After(end) {
			break
		}
		if next.After(c.now) {
			c.now = next
		}
	}
	c.now = end
	c.stack.Advance(c.now)
	c.collect()
}

// give has a frame arrive.
func (c *lessee) give(b []byte) {
	b = append([]byte(nil), b...)
	switch at := 14 + 20 + 8; {
	case len(b) >= at+8 && b[12] == 8 && b[13] == 0 && b[23] == ip.ProtocolUDP && binary.BigEndian.Uint16(b[36:]) == 68:
		copy(b[at+4:], c.xid4[:])
	case len(b) >= at+24 && b[12] == 0x86 && b[13] == 0xdd && b[20] == ip.ProtocolUDP && binary.BigEndian.Uint16(b[56:]) == 546:
		copy(b[at+21:], c.xid6[1:])
	}
	p := packetOf(b)
	p.Checksum = packet.ChecksumVerified
	c.recvPackets(p)
	c.collect()
	c.wantBounded()
}

// wantBounded holds that no table has more than it may.
func (c *lessee) wantBounded() {
	c.t.Helper()
	l := configureLimits
	for _, table := range []struct {
		name     string
		len, max int
	}{
		{"addresses", len(c.link.Addresses()), l.Addresses}, {"routers", len(c.link.Routers()), l.Routers},
		{"prefixes", len(c.link.Prefixes()), l.Prefixes}, {"name servers", len(c.link.NameServers()), l.NameServers},
		{"search domains", len(c.link.SearchDomains()), l.SearchDomains}, {"routes", len(c.stack.Routes()), l.Routes},
		{"path MTUs", len(c.stack.PathMTUs()), l.PathMTUs}, {"neighbours", c.link.Neighbours().Len(), l.Neighbours},
		{"groups", len(c.link.Groups()), l.Groups}, {"bindings", len(c.link.DHCPv4Bindings(c.now)), c.stack.limits.DHCPv4.Leases},
	} {
		if table.len > table.max {
			c.t.Fatalf("%d %s, which are bounded by %d", table.len, table.name, table.max)
		}
	}
}

// collect takes what leaves.
func (c *lessee) collect() {
	c.sent = c.send()
	if len(c.sent) > 150 {
		c.t.Fatalf("%d frames leave at once", len(c.sent))
	}
	c.total += len(c.sent)
	for _, b := range c.sent {
		c.verify(b)
		switch at := 14 + 20 + 8; {
		case b[12] == 8 && b[13] == 0 && b[23] == ip.ProtocolUDP && binary.BigEndian.Uint16(b[36:]) == 67:
			copy(c.xid4[:], b[at+4:])
		case b[12] == 0x86 && b[20] == ip.ProtocolUDP && binary.BigEndian.Uint16(b[56:]) == 547:
			copy(c.xid6[:], b[at+20:])
		}
	}
}
