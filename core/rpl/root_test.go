package rpl

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

const dioOfRoot = "to ff02::1a: DIO version 240 rank 256 dtsn 240"

func TestRootAdvertises(t *testing.T) {
	s := newRoot(t, func(c *RootConfig) { c.Prefixes = []wire.RPLPrefixInformationRepr{*pio(wire.NDInfiniteLifetime)} })
	s.advance(4*time.Millisecond - 1)
	s.wantIdle("not before the interval's second half")
	s.advance(1)
	s.want("the first", dioOfRoot)
	s.advance(4*time.Millisecond + 8*time.Millisecond)
	s.want("the second, twice as late", dioOfRoot)
	s.advance(24 * time.Hour)
	require.InDelta(t, 18+9, len(s.events), 1, "20 doublings lead to one in 2.3 h")
	s.forget()
	s.root.Stop(s.now)
	s.want("it is nobody's parent any more", "to ff02::1a: DIO version 240 rank infinite dtsn 240")
	require.Equal(t, timer.Never, s.timers.Next())
	s.root.Stop(s.now)
	s.wantIdle("it has said so")
	require.Equal(t, NotRunning, s.recv(nodeA, dao(1, to(globalA), transit(240, 5))))
	_, ok := s.root.Option()
	require.False(t, ok)
}

// TestRootsMessage compares what a root sends with what RIOT's sends, octet by octet.
func TestRootsMessage(t *testing.T) {
	s := newRoot(t, func(c *RootConfig) {
		c.Prefixes = []wire.RPLPrefixInformationRepr{*pio(wire.NDInfiniteLifetime)}
		c.Configuration.DefaultLifetime = 5
	})
	r := wire.RPLDIORepr{Instance: 1, Version: 240, Rank: 256, Grounded: true, Mode: wire.RPLStoring, DTSN: 240, DODAG: rootID,
		Options: options(config(), pio(wire.NDInfiniteLifetime))}
	require.Equal(t, r.Options, s.root.options)
	require.Equal(t, 76, r.Len(), "as long as RIOT's")
}

func TestRootIsSuppressed(t *testing.T) {
	s := newRoot(t, func(c *RootConfig) { c.Configuration.Redundancy = 2 })
	s.advance(8 * time.Millisecond)
	s.forget()
	s.mustRecv(nodeA, dio(1024))
	s.mustRecv(nodeA, dio(wire.RPLInfiniteRank))
	s.advance(8 * time.Millisecond)
	s.want("one is not enough, and poison says nothing", dioOfRoot)
	s.advance(8 * time.Millisecond)
	s.mustRecv(nodeA, dio(1024))
	s.mustRecv(nodeB, dio(1024))
	s.advance(16 * time.Millisecond)
	s.wantIdle("two others have said it")
}

func TestRootIsSolicited(t *testing.T) {
	s := newRoot(t)
	s.advance(time.Hour)
	s.forget()
	dis := &wire.RPLDISRepr{}
	s.mustRecv(nodeA, dis)
	s.want("who asks it alone is answered alone", "to fe80::a: DIO version 240 rank 256 dtsn 240")
	require.Equal(t, None, s.root.Input(s.now, nodeA, AllNodes, emitted(dis)))
	s.wantIdle("an answer to all waits for Trickle's time")
	s.advance(4 * time.Millisecond)
	s.want("which is soon", dioOfRoot)
	s.advance(time.Hour)
	s.forget()
	for _, row := range []struct {
		name  string
		from  netip.Addr
		r     wire.RPLOptionRepr
		cause Cause
	}{
		{"another instance", nodeA, &wire.RPLSolicitedInformationRepr{MatchInstance: true, Instance: 2}, Unasked},
		{"another DODAG", nodeA, &wire.RPLSolicitedInformationRepr{MatchDODAG: true, DODAG: otherID}, Unasked},
		{"an older version", nodeA, &wire.RPLSolicitedInformationRepr{MatchVersion: true, Version: 239}, Unasked},
		{"from afar", globalA, &wire.RPLPaddingRepr{Octets: 2}, WrongSource},
		{"this one", nodeA, &wire.RPLSolicitedInformationRepr{MatchInstance: true, Instance: 1}, None},
	} {
		m := &wire.RPLDISRepr{Options: options(row.r)}
		require.Equal(t, row.cause, s.root.Input(s.now, row.from, AllNodes, emitted(m)), row.name)
	}
	s.advance(4 * time.Millisecond)
	s.want("only the last is answered", dioOfRoot)
}

func TestStoringRoot(t *testing.T) {
	s := newRoot(t)
	s.root.trickle.stop()
	s.mustRecv(nodeA, dao(240, to(globalA), transit(240, 5)))
	s.want("a leaf", "route 2001:db8::a/128 via fe80::a", "to fe80::a: DAO-ACK 240 status 0")
	s.mustRecv(nodeB, dao(7, to(globalB), transit(1, 255), to(globalC), transit(2, 1)))
	s.want("a router and a leaf below it", "route 2001:db8::b/128 via fe80::b", "route 2001:db8::c/128 via fe80::b", "to fe80::b: DAO-ACK 7 status 0")
	require.Equal(t, []Target{
		{netip.PrefixFrom(globalA, 128), nodeA, int64(5 * time.Minute)},
		{netip.PrefixFrom(globalB, 128), nodeB, timer.Never},
		{netip.PrefixFrom(globalC, 128), nodeB, int64(time.Minute)},
	}, s.root.Targets())
	s.advance(30 * time.Second)
	s.mustRecv(nodeB, dao(8, to(globalC), transit(3, 1)))
	s.want("it is still there", "to fe80::b: DAO-ACK 8 status 0")
	s.advance(time.Minute - 1)
	s.wantIdle("its time begins anew")
	s.advance(1)
	s.want("and ends", "no route 2001:db8::c/128")
	s.mustRecv(nodeC, dao(1, to(globalA), transit(241, 5)))
	s.want("a leaf has found another parent", "route 2001:db8::a/128 via fe80::c", "to fe80::c: DAO-ACK 1 status 0")
	require.Equal(t, Stale, s.recv(nodeA, dao(9, to(globalA), transit(240, 5))))
	s.want("what was true before is not any more, but the DAO is good", "to fe80::a: DAO-ACK 9 status 0")
	require.Equal(t, Stale, s.recv(nodeA, dao(10, to(globalA), transit(242, 0))))
	s.want("nor can it be taken back", "to fe80::a: DAO-ACK 10 status 0")
	noPath := dao(11, to(globalA), transit(242, 0))
	noPath.Ack = false
	s.mustRecv(nodeC, noPath)
	s.want("by who has said it, it can", "no route 2001:db8::a/128")
	s.root.Unreachable(s.now, nodeB)
	s.want("who does not answer is no gateway", "no route 2001:db8::b/128")
	_, ok := s.root.Route(nil, globalA)
	require.False(t, ok, "there are no source routes in storing mode")
}

func TestNodeBegunAnewIsBelieved(t *testing.T) {
	s := newRoot(t)
	s.mustRecv(nodeA, dao(240, to(globalA), transit(245, 5)))
	s.forget()
	s.mustRecv(nodeA, dao(240, to(globalA), transit(240, 5)))
	s.mustRecv(nodeB, dao(240, to(globalA), transit(240, 5)))
	require.Equal(t, nodeB, s.root.Targets()[0].Via, "of equals the last counts")
	require.Equal(t, Stale, s.recv(nodeA, dao(240, to(globalA), transit(239, 5))), "what is older does not")
	s.mustRecv(nodeC, dao(240, to(globalA), transit(200, 5)))
	require.Equal(t, nodeC, s.root.Targets()[0].Via, "what cannot be compared is news")
}

// threeLeaves is a root in non-storing mode, with C below B below A below the root.
func threeLeaves(t *testing.T) *script {
	s := newRoot(t, func(c *RootConfig) { c.Mode = wire.RPLNonStoring })
	s.root.trickle.stop()
	s.mustRecv(globalA, dao(1, to(globalA), transit(240, 5, rootID)))
	s.mustRecv(globalB, dao(1, to(globalB), transit(240, 5, globalA)))
	s.mustRecv(globalC, dao(1, to(globalC), transit(240, 5, globalB)))
	s.want("no routes, acknowledgments", "to 2001:db8::a: DAO-ACK 1 status 0", "to 2001:db8::b: DAO-ACK 1 status 0",
		"to 2001:db8::c: DAO-ACK 1 status 0")
	return s
}

func TestNonStoringRoot(t *testing.T) {
	s := threeLeaves(t)
	route := func(dst netip.Addr) []netip.Addr {
		hops, ok := s.root.Route(nil, dst)
		require.Equal(t, len(hops) > 0, ok)
		return hops
	}
	require.Equal(t, []netip.Addr{globalA}, route(globalA))
	require.Equal(t, []netip.Addr{globalA, globalB}, route(globalB))
	require.Equal(t, []netip.Addr{globalA, globalB, globalC}, route(globalC))
	require.Empty(t, route(own), "nobody has told of it")
	require.Empty(t, route(rootID), "it is the root's own")
	hops, ok := s.root.Route([]netip.Addr{own}, globalB)
	require.True(t, ok)
	require.Equal(t, []netip.Addr{own, globalA, globalB}, hops, "it is appended")

	s.mustRecv(globalC, dao(2, to(globalC), transit(241, 5, globalA)))
	require.Equal(t, []netip.Addr{globalA, globalC}, route(globalC), "it has found another parent")
	s.mustRecv(globalA, dao(2, to(globalA), transit(241, 5, globalC)))
	require.Empty(t, route(globalC), "a loop")
	require.Empty(t, route(globalB), "that leads into one")
	s.mustRecv(globalA, dao(3, to(globalA), transit(242, 5, globalA)))
	require.Empty(t, route(globalA), "its own parent")
	s.mustRecv(globalA, dao(4, to(globalA), transit(243, 5, rootID)))
	require.Equal(t, []netip.Addr{globalA, globalB}, route(globalB))

	require.Equal(t, Stale, s.recv(globalB, dao(3, to(globalB), transit(242, 0, globalC))), "that is not its parent")
	s.mustRecv(globalB, dao(4, to(globalB), transit(242, 0, globalA)))
	require.Empty(t, route(globalB))
	s.mustRecv(globalB, dao(5, to(globalB), transit(243, 5, globalA)))
	s.mustRecv(globalB, dao(6, to(globalB), transit(244, 0)))
	require.Empty(t, route(globalB), "without a parent, all is taken back")

	external := &wire.RPLTargetRepr{Prefix: netip.MustParsePrefix("2001:db8:7::/48")}
	s.mustRecv(globalC, dao(7, external, &wire.RPLTransitInformationRepr{External: true, PathLifetime: 5, PathSequence: 1, Parent: globalC}))
	require.Equal(t, []netip.Addr{globalA, globalC, ip("2001:db8:7::99")}, route(ip("2001:db8:7::99")), "behind a node")
	s.forget()
	s.advance(5 * time.Minute)
	require.Empty(t, s.root.Targets(), "all lifetimes have ended")
	require.Equal(t, timer.Never, s.timers.Next())
	s.wantIdle("no routes have been there")
}

func TestBestOfSeveralParents(t *testing.T) {
	s := threeLeaves(t)
	most, least := transit(241, 5, globalA), transit(241, 5, globalB)
	most.PathControl, least.PathControl = 0xc0, 0x30
	gone := transit(241, 0, rootID)
	gone.PathControl = 0xff
	s.mustRecv(globalC, dao(2, to(globalC), least, gone, most))
	hops, _ := s.root.Route(nil, globalC)
	require.Equal(t, []netip.Addr{globalA, globalC}, hops)
}

func TestLongRoutesEnd(t *testing.T) {
	s := newRoot(t, func(c *RootConfig) { c.Mode = wire.RPLNonStoring })
	parent := rootID
	for i := range maxHops + 1 {
		node := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 14: 1, 15: byte(i)})
		s.mustRecv(node, dao(1, to(node), transit(240, 5, parent)))
		parent = node
		hops, ok := s.root.Route(nil, node)
		require.Equal(t, i < maxHops, ok)
		if ok {
			require.Len(t, hops, i+1)
		}
	}
}

func TestWhatARootDoesNotTake(t *testing.T) {
	storing := func(*RootConfig) {}
	nonStoring := func(c *RootConfig) { c.Mode = wire.RPLNonStoring }
	for _, row := range []struct {
		name   string
		change func(*RootConfig)
		from   netip.Addr
		m      Message
		cause  Cause
		ack    string // "": none
	}{
		{"another instance", storing, nodeA, &wire.RPLDAORepr{Instance: 2, Ack: true}, WrongInstance, ""},
		{"another DODAG", storing, nodeA, &wire.RPLDAORepr{Instance: 1, Ack: true, DODAG: otherID}, WrongDODAG, ""},
		{"no downward routes", func(c *RootConfig) { c.Mode = wire.RPLNoDownward }, nodeA, dao(1, to(globalA), transit(240, 5)), WrongMode, ""},
		{"from afar in storing mode", storing, globalA, dao(1, to(globalA), transit(240, 5)), WrongSource, ""},
		{"from a neighbour in non-storing mode", nonStoring, nodeA, dao(1, to(globalA), transit(240, 5, rootID)), WrongSource, ""},
		{"nothing but padding", storing, nodeA, dao(1, &wire.RPLPaddingRepr{Octets: 3}), Malformed, ""},
		{"no target", storing, nodeA, dao(1), Malformed, ""},
		{"target without transit", storing, nodeA, dao(1, to(globalA)), Malformed, ""},
		{"a second target without transit", storing, nodeA, dao(1, to(globalA), transit(240, 5), to(globalB)), Malformed, ""},
		{"transit without target", storing, nodeA, dao(1, transit(240, 5)), Malformed, ""},
		{"no parent in non-storing mode", nonStoring, globalA, dao(1, to(globalA), transit(240, 5)), Malformed, ""},
		{"a link-local parent", nonStoring, globalA, dao(1, to(globalA), transit(240, 5, nodeB)), Malformed, ""},
		{"half a target", storing, nodeA, &wire.RPLDAORepr{Instance: 1, Ack: true, Options: []byte{5, 2, 0, 9, 6, 4, 0, 0, 240, 5}}, Malformed, ""},
		{"half a transit", storing, nodeA, &wire.RPLDAORepr{Instance: 1, Ack: true, Options: []byte{5, 3, 0, 8, 0x20, 6, 3, 0, 0, 240}}, Malformed, ""},
		{"everywhere", storing, nodeA, dao(1, &wire.RPLTargetRepr{Prefix: everywhere}, transit(240, 5)), ForbiddenTarget, "to fe80::a: DAO-ACK 1 status 128"},
		{"the root itself", storing, nodeA, dao(1, to(rootID), transit(240, 5)), ForbiddenTarget, "to fe80::a: DAO-ACK 1 status 128"},
		{"a link-local address", storing, nodeA, dao(1, to(globalA), to(nodeA), transit(240, 5)), ForbiddenTarget, "to fe80::a: DAO-ACK 1 status 128"},
		{"a group", storing, nodeA, dao(1, to(ip("ff05::1")), transit(240, 5)), ForbiddenTarget, "to fe80::a: DAO-ACK 1 status 128"},
		{"beyond what is allowed", func(c *RootConfig) { c.TargetsIn = []netip.Prefix{prefix} }, nodeA, dao(1, to(otherID), transit(240, 5)),
			ForbiddenTarget, "to fe80::a: DAO-ACK 1 status 128"},
		{"more than is allowed", func(c *RootConfig) { c.TargetsIn = []netip.Prefix{prefix} }, nodeA,
			dao(1, &wire.RPLTargetRepr{Prefix: netip.MustParsePrefix("2001:db8::/48")}, transit(240, 5)), ForbiddenTarget, "to fe80::a: DAO-ACK 1 status 128"},
		{"no room", func(c *RootConfig) { c.Targets = 1 }, nodeA, dao(1, to(globalA), to(globalB), transit(240, 5)), TableFull,
			"to fe80::a: DAO-ACK 1 status 128"},
		{"taking back what nobody has said", storing, nodeA, dao(1, to(globalA), transit(240, 0)), Stale, "to fe80::a: DAO-ACK 1 status 0"},
		{"an acknowledgment", storing, nodeA, daoAck(1, 0), WrongRole, ""},
		{"a DIO from afar", storing, globalA, dio(512), WrongSource, ""},
		{"a DIO of another instance", storing, nodeA, dio(512, func(r *wire.RPLDIORepr) { r.Instance = 2 }), WrongInstance, ""},
		{"a DIO of another DODAG", storing, nodeA, dio(512, func(r *wire.RPLDIORepr) { r.DODAG = otherID }), WrongDODAG, ""},
		{"a DIO of rank 0", storing, nodeA, dio(0), Malformed, ""},
		{"another root", storing, nodeA, dio(511), WrongRank, ""},
		{"an older version", storing, nodeA, dio(512, version(239)), WrongVersion, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newRoot(t, row.change)
			s.root.trickle.stop()
			require.Equal(t, row.cause, s.recv(row.from, row.m))
			require.EqualValues(t, 1, s.root.Counters().Received[row.cause])
			require.Empty(t, s.root.Targets())
			if row.ack == "" {
				s.wantIdle("no answer")
			} else {
				s.want("the answer", row.ack)
			}
		})
	}
}

func TestRepair(t *testing.T) {
	s := newRoot(t)
	s.advance(time.Hour)
	s.forget()
	s.root.Repair(s.now)
	s.advance(4 * time.Millisecond)
	s.want("a new version is told at once", "to ff02::1a: DIO version 241 rank 256 dtsn 240")
	require.EqualValues(t, 241, s.root.Version())
	s.advance(time.Hour)
	s.forget()
	s.root.Refresh(s.now)
	s.advance(4 * time.Millisecond)
	s.want("so is that DAOs are wanted", "to ff02::1a: DIO version 241 rank 256 dtsn 241")
	s.mustRecv(nodeA, dio(512, version(250)))
	require.EqualValues(t, 251, s.root.Version(), "a root that has begun anew goes on from where it was")
}

func TestPacketInformationAtARoot(t *testing.T) {
	s := newRoot(t)
	info, ok := s.root.Option()
	require.True(t, ok)
	require.Equal(t, wire.RPLPacketInfoRepr{Down: true, Instance: 1, SenderRank: 1}, info)
	s.mustRecv(nodeB, dao(1, to(globalC), transit(240, 5)))
	s.forget()
	for _, row := range []struct {
		name  string
		dst   netip.Addr
		info  wire.RPLPacketInfoRepr
		cause Cause
		error bool // the packet sent on has a rank error
		news  bool // DIOs are sent again soon
	}{
		{"from a child", globalC, wire.RPLPacketInfoRepr{Instance: 1, SenderRank: 1024}, None, false, false},
		{"from who made the packet, by RFC 6550", globalC, wire.RPLPacketInfoRepr{Instance: 1}, None, false, false},
		{"from another instance", globalC, wire.RPLPacketInfoRepr{Instance: 2, SenderRank: 1024}, WrongInstance, false, false},
		{"downwards to the root", globalC, wire.RPLPacketInfoRepr{Down: true, Instance: 1, SenderRank: 1024}, None, true, true},
		{"as near as the root", globalC, wire.RPLPacketInfoRepr{Instance: 1, SenderRank: 1}, None, true, true},
		{"twice", globalC, wire.RPLPacketInfoRepr{Down: true, RankError: true, Instance: 1, SenderRank: 1024}, RankError, false, true},
		{"back, with another way", globalC, wire.RPLPacketInfoRepr{ForwardingError: true, Instance: 1, SenderRank: 1024}, None, false, false},
		{"back, to the root itself", rootID, wire.RPLPacketInfoRepr{ForwardingError: true, Instance: 1, SenderRank: 1024}, None, false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s.advance(time.Minute)
			s.mustRecv(nodeB, dao(1, to(globalC), transit(240, 5)))
			s.forget()
			info := row.info
			require.Equal(t, row.cause, s.root.CheckOption(s.now, nodeA, row.dst, &info))
			if row.cause == None {
				require.Equal(t, wire.RPLPacketInfoRepr{Down: true, RankError: row.error, Instance: 1, SenderRank: 1}, info)
			}
			require.Equal(t, row.news, s.root.trickle.interval == s.root.trickle.min)
		})
	}
	back := wire.RPLPacketInfoRepr{ForwardingError: true, Instance: 1, SenderRank: 1024}
	require.Equal(t, NoDownward, s.root.CheckOption(s.now, nodeB, globalC, &back))
	require.Contains(t, s.events, "no route 2001:db8::c/128", "who sends the packet back has no route")
}

func TestRootConfig(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*RootConfig)
		want   string
	}{
		{"no timers", func(c *RootConfig) { c.Timers = nil }, "required"},
		{"no owner", func(c *RootConfig) { c.Owner = nil }, "required"},
		{"no random numbers", func(c *RootConfig) { c.Rand = nil }, "required"},
		{"negative limit", func(c *RootConfig) { c.Targets = -1 }, "Targets -1"},
		{"local instance", func(c *RootConfig) { c.Instance = 0x80 }, "Instance 128"},
		{"no DODAG ID", func(c *RootConfig) { c.DODAG = netip.Addr{} }, "DODAG invalid IP"},
		{"link-local DODAG ID", func(c *RootConfig) { c.DODAG = nodeA }, "DODAG fe80::a"},
		{"multicast", func(c *RootConfig) { c.Mode = wire.RPLStoringMulticast }, "Mode storing-multicast"},
		{"preference", func(c *RootConfig) { c.Preference = 8 }, "Preference 8"},
		{"intervals", func(c *RootConfig) { c.Configuration.IntervalMin = 11 }, "IntervalMin 11"},
		{"objective", func(c *RootConfig) { c.Configuration.Objective = 2 }, "Objective 2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			cfg := RootConfig{Timers: &s.timers, Owner: s, Rand: s.rand, DODAG: rootID}
			row.change(&cfg)
			_, err := NewRoot(cfg)
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, row.want)
		})
	}
}

func TestCauseNames(t *testing.T) {
	seen := make(map[string]bool)
	for c := range Cause(Causes) {
		require.NotEmpty(t, c.String())
		require.False(t, seen[c.String()], c)
		seen[c.String()] = true
	}
	require.Equal(t, "unknown", Cause(Causes).String())
}

func TestForwardingDoesNotAllocate(t *testing.T) {
	if !countsAllocations {
		t.Skip("allocations are not counted")
	}
	s := threeLeaves(t)
	hops := make([]netip.Addr, 0, 8)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		route, ok := s.root.Route(hops, globalC)
		info, _ := s.root.Option()
		if !ok || len(route) != 3 || s.root.CheckOption(s.now, nodeA, globalC, &info) != None {
			t.Fail()
		}
	}))
	leaf := newLeaf(t)
	leaf.join(nodeA, dio(256))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		info, ok := leaf.leaf.Option()
		info.Down = true
		if !ok || leaf.leaf.CheckOption(leaf.now, nodeA, own, &info) != None {
			t.Fail()
		}
	}))
}
