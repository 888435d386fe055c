package core

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/wire"
)

func TestSolicitationIsAnswered(t *testing.T) {
	s := newScript(t)
	s.recv(nd(them6, wire.SolicitedNodeMulticast(us6), &wire.NDNeighborSolicitationRepr{Target: us6, SourceLinkAddr: theirHardware.LinkAddr()}))
	frames := s.want("with the hardware address",
		"IP6 fdaa::1 > fdaa::100: ICMP6, neighbor advertisement, tgt is fdaa::1, Flags [solicited, override], destination link-address 02:00:00:00:00:01, length 32")
	require.Equal(t, theirHardware, wire.EthernetFrame(frames[0]).Dst())
	require.Equal(t, neighbour.Stale, s.link.Neighbours().Lookup(them6).State(), "and who asked is remembered")

	s.recv(nd(theirLinkLocal, ourLinkLocal, &wire.NDNeighborSolicitationRepr{Target: ourLinkLocal, SourceLinkAddr: theirHardware.LinkAddr()}))
	s.want("to one host alone too, as for reachability",
		"IP6 fe80::ff:fe00:1 > fe80::64: ICMP6, neighbor advertisement, tgt is fe80::ff:fe00:1, Flags [solicited, override], destination link-address 02:00:00:00:00:01, length 32")

	s.recv(nd(them6, us6, &wire.NDNeighborSolicitationRepr{Target: us6}))
	require.Len(t, s.send(), 1, "without a hardware address in it if it is known")
}

func TestProbeForOurAddressIsAnswered(t *testing.T) {
	s := newScript(t)
	s.recv(nd(addr("::"), wire.SolicitedNodeMulticast(us6), &wire.NDNeighborSolicitationRepr{Target: us6}))
	frames := s.want("RFC 4862: the address is taken",
		"IP6 fdaa::1 > ff02::1: ICMP6, neighbor advertisement, tgt is fdaa::1, Flags [override], destination link-address 02:00:00:00:00:01, length 32")
	require.Equal(t, "33:33:00:00:00:01", wire.EthernetFrame(frames[0]).Dst().String())
	require.Zero(t, s.link.Neighbours().Len())
}

func TestAdvertisementIsLearnt(t *testing.T) {
	s := newScript(t)
	s.recv(toUs(echo6(them6, us6, "")))
	require.Len(t, s.send(), 1, "a solicitation")
	s.recv(nd(them6, us6, &wire.NDNeighborAdvertisementRepr{Router: true, Solicited: true, Override: true, Target: them6, TargetLinkAddr: theirHardware.LinkAddr()}))
	s.want("the reply", "IP6 fdaa::1 > fdaa::100: ICMP6, echo reply, id 1, seq 2, length 8")
	e := s.link.Neighbours().Lookup(them6)
	require.Equal(t, neighbour.Reachable, e.State())
	require.True(t, e.Router())
	s.recv(nd(them6, addr("ff02::1"), &wire.NDNeighborAdvertisementRepr{Override: true, Target: them6, TargetLinkAddr: otherHardware.LinkAddr()}))
	s.recv(toUs(echo6(them6, us6, "")))
	frames := s.want("the neighbour has moved", "IP6 fdaa::1 > fdaa::100: ICMP6, echo reply, id 1, seq 2, length 8")
	require.Equal(t, otherHardware, wire.EthernetFrame(frames[0]).Dst())
}

func TestAdvertisementOfTheTargetNotTheSource(t *testing.T) {
	// What is learnt is about the target, whoever sends it.
	s := newScript(t)
	s.recv(toUs(echo6(them6, us6, "")))
	s.skip()
	s.recv(nd(theirLinkLocal, us6, &wire.NDNeighborAdvertisementRepr{Solicited: true, Override: true, Target: them6, TargetLinkAddr: theirHardware.LinkAddr()}))
	s.want("the reply", "IP6 fdaa::1 > fdaa::100: ICMP6, echo reply, id 1, seq 2, length 8")
}

func TestDuplicateAddressIsCounted(t *testing.T) {
	s := newScript(t)
	s.recv(nd(theirLinkLocal, addr("ff02::1"), &wire.NDNeighborAdvertisementRepr{Override: true, Target: us6, TargetLinkAddr: theirHardware.LinkAddr()}))
	require.EqualValues(t, 1, s.stack.Counters().ICMPv6.NeighborDuplicates)
	s.wantIdle("and nothing else happens yet")
}

func TestRouterMessagesAreCounted(t *testing.T) {
	s := newScript(t)
	routes := s.stack.Routes()
	s.recv(nd(theirLinkLocal, addr("ff02::1"), &wire.NDRouterAdvertisementRepr{RouterLifetime: 1800e9}))
	s.recv(nd(theirLinkLocal, us6, &wire.NDRedirectRepr{Target: theirLinkLocal, Destination: addr("fdcc::1")}))
	s.wantIdle("nothing is said")
	c := s.stack.Counters()
	require.EqualValues(t, 1, c.ICMPv6.InType[wire.ICMPv6RouterAdvertisement])
	require.EqualValues(t, 1, c.ICMPv6.InType[wire.ICMPv6Redirect])
	require.Zero(t, c.ICMPv6.InErrors)
	require.Equal(t, routes, s.stack.Routes(), "nor done")
}

func TestSolicitedNodeGroupsFollowAddresses(t *testing.T) {
	s := newScript(t)
	group := wire.SolicitedNodeMulticast(addr("fdbb::5:1234"))
	probe := nd(them6, group, &wire.NDNeighborSolicitationRepr{Target: addr("fdbb::5:1234"), SourceLinkAddr: theirHardware.LinkAddr()})
	s.recv(probe)
	s.wantIdle("not an address of ours")
	require.NoError(t, s.link.AddAddress(s.now, prefix("fdbb::5:1234/64")))
	require.NoError(t, s.link.AddAddress(s.now, prefix("fdcc::5:1234/64")), "which has the same group")
	s.skip()
	s.recv(probe)
	require.Len(t, s.send(), 1)
	require.True(t, s.link.RemoveAddress(s.now, addr("fdcc::5:1234")))
	s.recv(probe)
	require.Len(t, s.send(), 1, "one of them is still there")
	require.True(t, s.link.RemoveAddress(s.now, addr("fdbb::5:1234")))
	require.False(t, s.link.RemoveAddress(s.now, addr("fdbb::5:1234")))
	before := s.link.Counters().Drops[DropNotOurs]
	s.recv(probe)
	s.wantIdle("no more")
	require.Equal(t, before+1, s.link.Counters().Drops[DropNotOurs])
}
