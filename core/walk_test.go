package core

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/dhcpv4"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// Whatever happens in whatever order, what must hold of addresses and routes holds, and in the end nothing is left.
func TestRandomWalk(t *testing.T) {
	for seed := range uint64(60) {
		s := newScript(t, everything, func(c *InterfaceConfig) {
			c.DuplicateDetection = DuplicateDetection(seed % 3)
			if seed%4 < 2 {
				c.StableSecret = []byte("sixteen octets..")
			}
		})
		random := rand.New(rand.NewPCG(seed, 0))
		for range 100 {
			steps[random.IntN(len(steps))](s, random)
			if random.IntN(2) == 0 {
				s.after(time.Duration(random.Int64N(int64(time.Second) << random.IntN(14))))
			}
			if random.IntN(4) > 0 {
				s.catchUp()
			}
			s.wantConsistent(seed)
		}
		if seed%2 == 0 {
			require.NoError(t, s.stack.RemoveInterface(s.now, s.link))
			require.Empty(t, s.stack.Routes())
		}
		s.stack.Close(s.now)
		require.Equal(t, timer.Never, s.stack.timers.Next(), "seed %d", seed)
	}
}

// wantConsistent requires what must hold of addresses and routes.
func (s *script) wantConsistent(seed uint64) {
	s.t.Helper()
	routes := s.stack.Routes()
	byAddress := make(map[netip.Prefix]bool)
	linkLocal, other := false, false
	for _, a := range s.link.addresses {
		network := a.prefix.Masked()
		if a.hasPrefixRoute() {
			byAddress[network] = true
			_, found := s.stack.routes.Find(Route{Destination: network, Link: s.link.index})
			require.True(s.t, found, "seed %d: there is a way to %v", seed, network)
		}
		if a.addr().Is4() && a.state.usable() {
			linkLocal = linkLocal || a.origin == route.LinkLocal
			other = other || a.origin != route.LinkLocal
		}
		require.Equal(s.t, a.state.usable(), s.stack.local.contains(a.addr()), "seed %d: %v", seed, a.describe())
	}
	require.False(s.t, linkLocal && other, "seed %d: a link-local address gives way", seed)
	for _, r := range routes {
		if !r.Gateway.IsValid() && r.Destination.Addr().Is4() && !r.Destination.IsSingleIP() {
			require.True(s.t, byAddress[r.Destination], "seed %d: there is an address in %v", seed, r)
		}
	}
}

// steps are what may happen.
var steps = []func(*script, *rand.Rand){
	func(s *script, random *rand.Rand) { _ = s.link.AddAddress(s.now, anyAddress(random)) },
	func(s *script, random *rand.Rand) { s.link.RemoveAddress(s.now, anyAddress(random).Addr()) },
	func(s *script, random *rand.Rand) {
		if all := s.link.Addresses(); len(all) > 0 {
			s.link.RemoveAddress(s.now, all[random.IntN(len(all))].Prefix.Addr())
		}
	},
	func(s *script, random *rand.Rand) { // somebody claims one
		if all := s.link.Addresses(); len(all) > 0 {
			claimed := all[random.IntN(len(all))].Prefix.Addr()
			if claimed.Is4() {
				s.recv(arpRequest(claimed))
				s.recv(arpReply(claimed, otherHardware))
			} else {
				s.recv(nd(anyv6, wire.SolicitedNodeMulticast(claimed), &wire.NDNeighborSolicitationRepr{Target: claimed}))
				s.recv(nd(claimed, allNodesv6, &wire.NDNeighborAdvertisementRepr{Override: true, Target: claimed, TargetLinkAddr: otherHardware.LinkAddr()}))
			}
		}
	},
	func(s *script, random *rand.Rand) {
		r := advertisement(time.Duration(random.IntN(3))*time.Hour, prefixOption(time.Duration(random.IntN(3))*time.Hour), sourceOption(theirHardware),
			&wire.NDMTURepr{MTU: 1280 + random.Uint32N(300)})
		r.Managed, r.Other = random.IntN(2) == 0, random.IntN(2) == 0
		s.advertise(theirLinkLocal, r)
	},
	func(s *script, random *rand.Rand) { s.offer(wire.DHCPv4Offer) },
	func(s *script, random *rand.Rand) { s.offer(wire.DHCPv4ACK) },
	func(s *script, random *rand.Rand) { s.offer(wire.DHCPv4ACK) },
	func(s *script, random *rand.Rand) { s.offer(wire.DHCPv4NAK) },
	func(s *script, random *rand.Rand) { s.link.RenewDHCPv4(s.now) },
	func(s *script, random *rand.Rand) { s.link.StopDHCPv4(s.now) },
	func(s *script, random *rand.Rand) { _ = s.link.StartDHCPv4(s.now, dhcpv4.Config{}) },
	func(s *script, random *rand.Rand) { s.link.RenewDHCPv6(s.now) },
	func(s *script, random *rand.Rand) { s.link.StopDHCPv6(s.now) },
	func(s *script, random *rand.Rand) { _ = s.link.StartDHCPv6(s.now, random.IntN(2) == 0) },
	func(s *script, random *rand.Rand) { s.recv(redirect4(router4, better4, away4, 1)) },
	func(s *script, random *rand.Rand) { s.recv(redirect6(gateway6, better6, away6)) },
	func(s *script, random *rand.Rand) {
		_ = s.stack.ReplaceRoute(Route{Destination: prefix("0.0.0.0/0"), Gateway: them4, Link: s.link.Index()})
	},
	func(s *script, random *rand.Rand) {
		_ = s.stack.RemoveRoute(Route{Destination: prefix("0.0.0.0/0"), Gateway: them4, Link: s.link.Index()})
	},
	func(s *script, random *rand.Rand) {
		e := s.bind("0.0.0.0:0")
		_ = e.JoinGroup(s.now, s.link.Index(), addr("239.1.2.3"))
		_ = e.Send(s.now, packetOf([]byte(numbered(random.IntN(5000)))), netip.AddrPortFrom(away4, 9), 0)
		_ = e.Send(s.now, packetOf([]byte("x")), addrPort("239.1.2.3:9"), s.link.Index())
		e.Close()
	},
	func(s *script, random *rand.Rand) {
		s.recv(igmp(them4, allSystemsv4, query4(anyv4)))
		s.recv(mld(theirLinkLocal, allNodesv6, query6(anyv6)))
	},
	func(s *script, random *rand.Rand) { _ = s.link.SetForward(random.IntN(2) == 0) },
}

// anyAddress is one out of a few.
func anyAddress(random *rand.Rand) netip.Prefix {
	all := []string{"192.168.69.1/24", "192.168.69.77/24", "192.168.69.78/24", "10.1.0.1/16", "fdaa::1/64", "fdaa::2/64", "2001:db8:1::5/64"}
	return prefix(all[random.IntN(len(all))])
}

// offer has a DHCP server give 192.168.69.77/24, and a route to everywhere, or not.
func (s *script) offer(kind wire.DHCPv4MessageType) {
	d := s.link.dhcpv4
	if d == nil {
		return
	}
	r := wire.DHCPv4Repr{
		Type: kind, XID: d.client.XID(), ServerID: them4, LeaseTime: time.Hour, ClientHardware: ourHardware,
	}
	if kind != wire.DHCPv4NAK {
		r.YourAddr, r.SubnetBits, r.Routers = addr("192.168.69.77"), 24, []netip.Addr{them4, router4}
	}
	b := make([]byte, r.Len())
	r.Emit(b)
	s.recv(toAll(udpTo(them4, broadcastAddrv4, 67, 68, string(b))))
}
