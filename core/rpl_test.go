package core

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// dio is what A says of the network with the prefix of the mesh addresses, whose root it is.
func dio(s *radioScript, mode wire.RPLMode, lifetime time.Duration) {
	var options wire.RPLOptions
	options = options.Append(&wire.RPLDODAGConfigurationRepr{
		IntervalMin: 3, IntervalDoublings: 20, MinHopRankIncrease: 256, DefaultLifetime: 30, LifetimeUnit: 60,
	})
	options = options.Append(&wire.RPLPrefixInformationRepr{
		Prefix: within, Autonomous: true, PreferredLifetime: lifetime, ValidLifetime: lifetime,
	})
	s.hearAll(rplPacket(linkA, addr("ff02::1a"), &wire.RPLDIORepr{
		Version: 240, Rank: 256, Grounded: true, Mode: mode, DTSN: 240, DODAG: meshA, Options: options,
	}))
}

func withoutAddresses(c *InterfaceConfig) { c.Addresses = nil }

// A leaf makes itself an address from the network's prefix, for as long as that is advertised, and tells where it is reached: once,
// however often the prefix is advertised.
func TestRPLLeafTellsOnceWhereItIs(t *testing.T) {
	s := newRPLLeaf(t, withoutAddresses)
	own := func() (until time.Duration) {
		for _, a := range s.link.Addresses() {
			if a.Origin == route.RPL {
				require.Equal(t, meshB, a.Prefix.Addr())
				until = a.ValidUntil.Sub(s.now)
			}
		}
		return until
	}
	require.NoError(t, s.link.Neighbours().Static(0, linkA, nodeA))
	s.skip()
	dio(s, wire.RPLNonStoring, time.Hour)
	require.Equal(t, time.Hour, own())
	s.after(time.Second)
	s.want("to the root", "0 to A: IP6 meshB > meshA: ICMP6, RPL, destination advertisement object [seq:240,instance:0,flags:80], "+
		"target meshB/128; transit control 0x80, seq 240, lifetime 30, parent meshA, length 50")
	s.hear(rplPacket(meshA, meshB, &wire.RPLDAOAckRepr{Sequence: 240}))
	state, _ := s.link.RPL()
	require.True(t, state.Acked)
	for range 5 {
		s.after(time.Minute)
		dio(s, wire.RPLNonStoring, time.Hour)
		require.Equal(t, time.Hour, own(), "from now")
		s.after(time.Second)
		s.wantIdle("the root knows")
	}
	require.NoError(t, s.link.AddAddress(s.now, prefix("fd00::b/128")))
	s.after(0)
	s.after(time.Second)
	require.Contains(t, s.print(s.next()), "target fd00::b/128")
}

// A target that is reached by another neighbour is not reached by the one before any more.
func TestRPLTargetMoves(t *testing.T) {
	s := newRPLRoot(t, wire.RPLStoring)
	gateways := func() (by []netip.Addr) {
		for _, r := range s.stack.Routes() {
			if r.Origin == route.RPL && r.Destination.Addr() == meshC {
				by = append(by, r.Gateway)
			}
		}
		return by
	}
	require.Equal(t, []netip.Addr{linkA}, gateways())
	s.told(linkC, meshC, netip.Addr{})
	require.Equal(t, []netip.Addr{linkC}, gateways())
	s.told(linkA, meshC, netip.Addr{})
	require.Equal(t, []netip.Addr{linkA}, gateways())
}

// A node that tells by a DAO of its own where it is is a neighbour, and its link-layer address that of the frame: nobody looks for it.
func TestRPLRootKnowsItsNeighbours(t *testing.T) {
	for _, tc := range []struct {
		name   string
		target netip.Addr
		asks   bool
	}{
		{"by its identifier", meshA, false},
		{"by another, which may be somebody's behind it", addr("fd00::a"), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newRPLRoot(t, wire.RPLNonStoring)
			s.told(tc.target, tc.target, meshB)
			s.skip()
			e := s.bind("[::]:1000")
			require.NoError(t, e.Send(s.now, packetOf([]byte("hello")), netip.AddrPortFrom(tc.target, 7), 0))
			frames := s.send()
			require.Len(t, frames, 1)
			require.Equal(t, tc.asks, s.print(frames[0])[:7] == "0 to al", s.print(frames[0]))
		})
	}
}

// In a network of RPL there are nodes that answer no solicitations. What they acknowledge has reached them.
func TestRPLAcknowledgmentsConfirmNeighbours(t *testing.T) {
	s := newRPLLeaf(t, func(c *dev.Capabilities) { c.Acknowledges = false })
	s.after(10 * time.Second)
	s.skip()
	dio(s, wire.RPLStoring, time.Hour)
	for range 10 {
		s.after(time.Second)
		for s.link.Pending() {
			require.NotContains(t, s.print(s.next()), "solicitation, who has")
			s.acked()
		}
	}
	require.Equal(t, neighbour.Reachable, s.link.Neighbours().Lookup(linkA).State())
	state, _ := s.link.RPL()
	require.Equal(t, linkA, state.Parent)
}

// What a network of RPL and a router advertise alike is the router's affair, whoever has been heard first, and nothing is refused.
func TestRPLAndRouterAdvertiseOnePrefix(t *testing.T) {
	var events []Event
	collect := func(c *Config) { c.Event = func(e Event) { events = append(events, e) } }
	s := newRPLLeaf(t, withoutAddresses, collect, func(c *InterfaceConfig) { c.Autoconf = true })
	advertise := func(lifetime time.Duration) {
		options := wire.NDOptions(nil).Append(&wire.NDLinkAddrRepr{Addr: nodeA})
		options = options.Append(&wire.NDPrefixInformationRepr{Prefix: within, Autonomous: true, ValidLifetime: lifetime, PreferredLifetime: lifetime})
		s.hear(ndPacket(linkA, linkB, &wire.NDRouterAdvertisementRepr{RouterLifetime: time.Hour, Options: options}))
	}
	s.skip()
	for _, heard := range []func(){
		func() { dio(s, wire.RPLStoring, time.Hour) }, func() { advertise(2 * time.Hour) },
		func() { dio(s, wire.RPLStoring, time.Hour) }, func() { advertise(2 * time.Hour) },
	} {
		heard()
		require.NotNil(t, s.link.find(meshB))
		require.Equal(t, Preferred, s.link.find(meshB).state)
	}
	require.Equal(t, route.Autoconf, s.link.find(meshB).origin)
	for _, e := range events {
		require.NotEqual(t, AdvertisementRefused, e.Kind, "%v", e)
	}
	s.after(2 * time.Hour)
	require.Nil(t, s.link.find(meshB))
	dio(s, wire.RPLStoring, time.Hour)
	require.Equal(t, route.RPL, s.link.find(meshB).origin)
}
