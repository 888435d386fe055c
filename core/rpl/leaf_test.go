package rpl

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

func TestSolicitationsBackOff(t *testing.T) {
	s := newScript(t)
	var err error
	s.leaf, err = NewLeaf(LeafConfig{Timers: &s.timers, Owner: s, Rand: s.rand})
	require.NoError(t, err)
	s.random = []uint64{uint64(700 * time.Millisecond)}
	s.leaf.Start(s.now)
	s.advance(700*time.Millisecond - 1)
	s.wantIdle("nodes that start together do not ask together")
	s.advance(1)
	s.want("now it asks", "to ff02::1a: DIS")
	for _, interval := range []time.Duration{4, 8, 16, 32, 64, 120, 120, 120} {
		s.advance(interval*time.Second - 1)
		s.wantIdle("not before its time")
		s.advance(1)
		s.want("the next", "to ff02::1a: DIS")
	}
	require.Equal(t, State{}, s.leaf.State())
	_, ok := s.leaf.Option()
	require.False(t, ok)
}

// TestJoinStoring is what RIOT's nodes say to each other.
func TestJoinStoring(t *testing.T) {
	s := newLeaf(t)
	s.mustRecv(nodeA, dio(256, with(config(), pio(wire.NDInfiniteLifetime))))
	s.want("the first DODAG is joined", "route ::/0 via fe80::a", "parent fe80::a",
		"prefix 2001:db8::/64 autonomous true valid 1193046h28m15s from fe80::a")
	s.advance(time.Second)
	s.want("the parent is told where the leaf is", "to fe80::a: DAO 240 ack, 2001:db8::5e1f, path 240 lifetime 5")
	s.mustRecv(nodeA, daoAck(240, 0))
	require.Equal(t, State{1, rootID, 240, wire.RPLStoring, true, nodeA, 256 + 3*256, true}, s.leaf.State())
	s.mustRecv(nodeA, dio(256, with(pio(time.Hour))))
	s.want("a DIO without configuration is as good", "prefix 2001:db8::/64 autonomous true valid 1h0m0s from fe80::a")
	info, ok := s.leaf.Option()
	require.True(t, ok)
	require.Equal(t, wire.RPLPacketInfoRepr{Instance: 1, SenderRank: 1024}, info)
	s.leaf.Stop(s.now)
	s.want("it takes back what it has said", "to fe80::a: DAO 241, 2001:db8::5e1f, path 241 lifetime 0", "no route ::/0", "no parent")
	require.Equal(t, timer.Never, s.timers.Next())
	require.Equal(t, NotRunning, s.recv(nodeA, dio(256)))
}

func TestJoinNonStoring(t *testing.T) {
	s := newLeaf(t)
	s.mustRecv(nodeA, dio(256, nonStoring))
	s.advance(time.Second)
	s.want("the root is told, of itself as the parent", "route ::/0 via fe80::a", "parent fe80::a",
		"to 2001:db8::1: DAO 240 ack, 2001:db8::5e1f, path 240 lifetime 5 parent 2001:db8::1")
	s.mustRecv(globalC, daoAck(240, 0))
	require.True(t, s.leaf.State().Acked, "whichever address the root has")
	s.leaf.Stop(s.now)
	s.want("it takes it back", "to 2001:db8::1: DAO 241, 2001:db8::5e1f, path 241 lifetime 0 parent 2001:db8::1", "no route ::/0", "no parent")
}

func TestJoinNonStoringByARouter(t *testing.T) {
	for _, row := range []struct {
		name   string
		prefix *wire.RPLPrefixInformationRepr
		parent string
	}{
		{"that says its address", &wire.RPLPrefixInformationRepr{Prefix: prefix, Router: globalC}, "2001:db8::c"},
		{"whose address follows from its prefix", pio(time.Hour), "2001:db8::a"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newLeaf(t)
			s.mustRecv(nodeA, dio(512, nonStoring))
			s.advance(time.Second)
			s.want("the router's address is not known", "route ::/0 via fe80::a", "parent fe80::a")
			s.mustRecv(nodeA, dio(512, nonStoring, with(row.prefix)))
			s.forget()
			s.advance(time.Second)
			s.want("now it is", "to 2001:db8::1: DAO 240 ack, 2001:db8::5e1f, path 240 lifetime 5 parent "+row.parent)
		})
	}
}

func TestNoDownwardRoutes(t *testing.T) {
	s := newLeaf(t)
	s.mustRecv(nodeA, dio(256, func(r *wire.RPLDIORepr) { r.Mode = wire.RPLNoDownward }))
	s.advance(time.Minute)
	s.want("nobody is told anything", "route ::/0 via fe80::a", "parent fe80::a")
	s.leaf.AddressesChanged(s.now)
	s.leaf.Stop(s.now)
	s.want("nor at the end", "no route ::/0", "no parent")
}

func TestConfigurationIsAskedFor(t *testing.T) {
	s := newLeaf(t)
	s.mustRecv(nodeA, dio(256, with()))
	s.want("without configuration nothing can be joined", "to fe80::a: DIS")
	s.mustRecv(nodeB, dio(256, with()))
	s.wantIdle("not all are asked at once")
	s.advance(time.Second)
	s.mustRecv(nodeB, dio(256, with()))
	s.want("the next is", "to fe80::b: DIS")
	s.mustRecv(nodeB, dio(256))
	s.want("one knows", "route ::/0 via fe80::a", "parent fe80::a")
}

func TestWhatIsNotJoined(t *testing.T) {
	for _, row := range []struct {
		name  string
		from  netip.Addr
		m     *wire.RPLDIORepr
		cause Cause
	}{
		{"from afar", globalA, dio(256), WrongSource},
		{"another instance", nodeA, dio(256, func(r *wire.RPLDIORepr) { r.Instance = 2 }), WrongInstance},
		{"another DODAG", nodeA, dio(256, func(r *wire.RPLDIORepr) { r.DODAG = otherID }), WrongDODAG},
		{"a mode of the future", nodeA, dio(256, func(r *wire.RPLDIORepr) { r.Mode = 4 }), WrongMode},
		{"rank 0", nodeA, dio(0), Malformed},
		{"a group as DODAG ID", nodeA, dio(256, func(r *wire.RPLDIORepr) { r.DODAG = AllNodes }), WrongDODAG},
		{"ranks that do not increase", nodeA,
			dio(256, with(config(func(c *wire.RPLDODAGConfigurationRepr) { c.MinHopRankIncrease = 0 }))), Malformed},
		{"half an option", nodeA, dio(256, func(r *wire.RPLDIORepr) { r.Options = []byte{4, 3, 1, 2, 3} }), Malformed},
		{"poison", nodeA, dio(wire.RPLInfiniteRank), None},
		{"a rank beyond all", nodeA, dio(65000), None},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newLeaf(t, func(c *LeafConfig) { c.Instances, c.DODAG = []uint8{1}, rootID })
			require.Equal(t, row.cause, s.recv(row.from, row.m))
			s.wantIdle("it is not joined")
			require.EqualValues(t, 1, s.leaf.Counters().Received[row.cause])
		})
	}
	s := newLeaf(t)
	require.Equal(t, WrongInstance, s.recv(nodeA, dio(256, func(r *wire.RPLDIORepr) { r.Instance = 0x80 })), "local instances are not for all")
	require.Equal(t, Malformed, s.recv(nodeA, dio(256, func(r *wire.RPLDIORepr) { r.DODAG = AllNodes })))
	require.Equal(t, WrongRole, s.recv(nodeA, dao(1, to(globalA), transit(1, 1))))
	require.Equal(t, Secured, s.node.Input(s.now, nodeA, AllNodes, wire.RPLPacket{155, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}))
	require.Equal(t, UnknownCode, s.node.Input(s.now, nodeA, AllNodes, wire.RPLPacket{155, 4, 0, 0}))
	require.Equal(t, Malformed, s.node.Input(s.now, nodeA, AllNodes, wire.RPLPacket{155, 1, 0, 0}))
}

func TestBetterDODAG(t *testing.T) {
	floating := func(r *wire.RPLDIORepr) { r.Grounded, r.DODAG = false, otherID }
	preferred := func(r *wire.RPLDIORepr) { r.Preference, r.Instance = 3, 2 }
	s := newLeaf(t)
	s.join(nodeA, dio(256, floating))
	s.mustRecv(nodeB, dio(256))
	s.want("one that is grounded is better", "to fe80::a: DAO 241, 2001:db8::5e1f, path 241 lifetime 0", "no route ::/0",
		"route ::/0 via fe80::b", "parent fe80::b")
	s.mustRecv(nodeC, dio(256, func(r *wire.RPLDIORepr) { r.DODAG = ip("2001:db8:3::1") }))
	s.wantIdle("of equals the first stays")
	s.mustRecv(nodeA, dio(256, preferred))
	s.forget()
	require.EqualValues(t, 2, s.leaf.State().Instance, "one that its root prefers is better")
	s.leaf.Unreachable(s.now, nodeA)
	s.forget()
	require.Equal(t, rootID, s.leaf.State().DODAG, "while it lasts")
}

func TestOneDODAGAtATime(t *testing.T) {
	other := func(r *wire.RPLDIORepr) { r.DODAG, r.Preference = otherID, 7 }
	s := newLeaf(t, func(c *LeafConfig) { c.DODAGs = 1 })
	s.join(nodeA, dio(256))
	require.Equal(t, TableFull, s.recv(nodeB, dio(256, other)), "there is no room for a better one")
	s.leaf.Unreachable(s.now, nodeA)
	s.mustRecv(nodeB, dio(256, other))
	require.Equal(t, otherID, s.leaf.State().DODAG, "until it has lost the first")
}

func TestMalformedMessages(t *testing.T) {
	for name, s := range map[string]*script{"leaf": newLeaf(t), "root": newRoot(t)} {
		for code := range wire.RPLAcknowledgment + 1 {
			if name == "leaf" && code == wire.RPLAdvertisement || name == "root" && code == wire.RPLAcknowledgment {
				continue // which are for others
			}
			p := make(wire.RPLPacket, 40)
			p[0], p[1], p[len(p)-1] = wire.ICMPv6RPL, uint8(code), wire.RPLOptionPadN // an option without length
			require.Equal(t, Malformed, s.node.Input(s.now, nodeA, AllNodes, p), "%s %d", name, code)
		}
	}
	s := newLeaf(t)
	for _, option := range []wire.RPLOptions{{wire.RPLOptionMetricContainer, 1, 7}, {wire.RPLOptionPrefixInformation, 1, 64}} {
		require.Equal(t, Malformed, s.recv(nodeA, dio(256, func(r *wire.RPLDIORepr) { r.Options = option })))
	}
	s.leaf.Start(s.now)
	s.leaf.Stop(s.now)
	s.leaf.Stop(s.now)
	s.wantIdle("twice is as good as once")
}

func TestParentByOF0(t *testing.T) {
	s := newLeaf(t)
	s.join(nodeA, dio(512))
	s.mustRecv(nodeB, dio(512))
	s.wantIdle("of equals the parent stays")
	s.mustRecv(nodeB, dio(256))
	s.want("one that is nearer to the root takes its place", "to fe80::a: DAO 241, 2001:db8::5e1f, path 241 lifetime 0",
		"no route ::/0", "route ::/0 via fe80::b", "parent fe80::b")
	s.advance(time.Second)
	s.want("and is told", "to fe80::b: DAO 242 ack, 2001:db8::5e1f, path 242 lifetime 5")
	s.etx[nodeA], s.etx[nodeB] = 128, 512
	s.mustRecv(nodeA, dio(512))
	require.Equal(t, nodeA, s.leaf.State().Parent, "a good link to one further off")
	require.EqualValues(t, 512+256, s.leaf.State().Rank)
}

func TestParentByMRHOF(t *testing.T) {
	metric := func(etx uint16) func(*wire.RPLDIORepr) {
		return with(config(useMRHOF), &wire.RPLMetricContainerRepr{Metrics: wire.RPLMetrics(nil).Append(wire.RPLETX(etx))})
	}
	s := newLeaf(t)
	s.etx[nodeA], s.etx[nodeB] = 256, 128
	s.join(nodeA, dio(256, metric(256)))
	require.EqualValues(t, 512, s.leaf.State().Rank, "256 of the path and 256 of the link")
	s.mustRecv(nodeB, dio(256, metric(193)))
	s.wantIdle("321 is not much better than 512")
	s.mustRecv(nodeB, dio(256, metric(192)))
	s.want("320 is", "to fe80::a: DAO 241, 2001:db8::5e1f, path 241 lifetime 0", "no route ::/0", "route ::/0 via fe80::b", "parent fe80::b")
	require.EqualValues(t, 256+128, s.leaf.State().Rank, "a hop is no less than MinHopRankIncrease")
	s.etx[nodeB] = 513
	s.leaf.LinksChanged(s.now)
	require.Equal(t, nodeA, s.leaf.State().Parent, "a link that is too bad is none")
}

func TestMaxRankIncrease(t *testing.T) {
	limited := with(config(func(c *wire.RPLDODAGConfigurationRepr) { c.MaxRankIncrease = 512 }))
	s := newLeaf(t)
	s.join(nodeA, dio(256, limited))
	require.EqualValues(t, 1024, s.leaf.State().Rank)
	s.mustRecv(nodeB, dio(769, limited))
	s.mustRecv(nodeC, dio(768, limited))
	s.leaf.Unreachable(s.now, nodeA)
	require.Equal(t, nodeC, s.leaf.State().Parent, "a rank of 1536 is allowed")
	s.leaf.Unreachable(s.now, nodeC)
	require.Equal(t, State{}, s.leaf.State(), "one of 1537 is not")
	s.mustRecv(nodeB, dio(769, limited, version(241)))
	require.Equal(t, nodeB, s.leaf.State().Parent, "in a new version all begins anew")
}

func TestParentLoss(t *testing.T) {
	for _, row := range []struct {
		name string
		lose func(*script)
	}{
		{"it does not answer", func(s *script) { s.leaf.Unreachable(s.now, nodeA) }},
		{"it has no way to the root", func(s *script) { s.mustRecv(nodeA, dio(wire.RPLInfiniteRank)) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newLeaf(t)
			s.join(nodeA, dio(256))
			s.mustRecv(nodeB, dio(512))
			s.advance(10 * time.Second)
			row.lose(s)
			s.want("there is another", "no route ::/0", "route ::/0 via fe80::b", "parent fe80::b")
			s.advance(time.Second)
			s.want("which is told", "to fe80::b: DAO 241 ack, 2001:db8::5e1f, path 241 lifetime 5")
			s.leaf.Unreachable(s.now, nodeB)
			s.want("there is none", "no route ::/0", "no parent")
			s.advance(time.Second)
			s.want("it asks", "to ff02::1a: DIS")
			s.mustRecv(nodeA, dio(256))
			s.want("there is one again", "route ::/0 via fe80::a", "parent fe80::a")
			require.EqualValues(t, 1, s.leaf.Counters().Repairs)
			require.EqualValues(t, 4, s.leaf.Counters().ParentChanges)
		})
	}
}

func TestSilentParent(t *testing.T) {
	quick := with(config(func(c *wire.RPLDODAGConfigurationRepr) {
		c.IntervalMin, c.IntervalDoublings, c.DefaultLifetime = 10, 3, wire.RPLInfiniteLifetime // Imax is 8.192 s
	}))
	s := newLeaf(t)
	s.join(nodeA, dio(256, quick))
	s.mustRecv(nodeB, dio(512, quick))
	const twice = 16384 * time.Millisecond
	s.advance(twice - time.Second - 1)
	s.wantIdle("it need not say anything in twice Imax")
	s.advance(1)
	s.want("it is asked for a sign of life", "to fe80::a: DIS")
	s.mustRecv(nodeA, dio(256, quick))
	s.mustRecv(nodeB, dio(512, quick))
	s.advance(twice)
	s.want("and again", "to fe80::a: DIS")
	s.advance(10 * time.Second)
	s.want("and again", "to fe80::a: DIS", "to fe80::a: DIS")
	s.advance(5 * time.Second)
	s.want("it is gone, and so is the other", "no route ::/0", "no parent", "to ff02::1a: DIS")
	require.Empty(t, s.leaf.joined.neighbours)
}

func TestVersionIncrease(t *testing.T) {
	s := newLeaf(t)
	s.join(nodeA, dio(256))
	s.mustRecv(nodeB, dio(256))
	s.mustRecv(nodeA, dio(256, version(241)))
	s.wantIdle("the parent is the same")
	s.advance(time.Second)
	s.want("but it is to be told anew", "to fe80::a: DAO 241 ack, 2001:db8::5e1f, path 241 lifetime 5")
	require.EqualValues(t, 241, s.leaf.State().Version)
	require.Equal(t, WrongVersion, s.recv(nodeB, dio(256)), "who has not migrated is no parent")
	s.mustRecv(nodeA, dio(wire.RPLInfiniteRank, version(241)))
	s.want("none is left", "no route ::/0", "no parent")
	s.mustRecv(nodeB, dio(256, version(200)))
	s.want("a root that has lost its version is believed once there is nobody else", "route ::/0 via fe80::b", "parent fe80::b")
	require.EqualValues(t, 200, s.leaf.State().Version)
}

func TestNewVersionByAnotherParent(t *testing.T) {
	s := newLeaf(t)
	s.join(nodeA, dio(256))
	s.mustRecv(nodeB, dio(512, version(0)))
	s.want("the circle follows the line", "no route ::/0", "route ::/0 via fe80::b", "parent fe80::b")
}

func TestModeDoesNotChangeWithinAVersion(t *testing.T) {
	s := newLeaf(t)
	s.join(nodeA, dio(256))
	require.Equal(t, WrongMode, s.recv(nodeA, dio(256, nonStoring)))
	s.mustRecv(nodeA, dio(256, nonStoring, version(241)))
	require.Equal(t, wire.RPLNonStoring, s.leaf.State().Mode)
}

func TestLeafIsNobodysParent(t *testing.T) {
	s := newLeaf(t)
	dis := &wire.RPLDISRepr{}
	require.Equal(t, Unasked, s.recv(nodeB, dis), "it has nothing to say yet")
	s.join(nodeA, dio(256))
	s.mustRecv(nodeB, dis)
	s.want("it answers, for it must", "to fe80::b: DIO version 240 rank infinite dtsn 240")
	require.Equal(t, Unasked, s.leaf.Input(s.now, nodeB, AllNodes, emitted(dis)), "others answer this")
	other := &wire.RPLDISRepr{Options: options(&wire.RPLSolicitedInformationRepr{MatchInstance: true, Instance: 7})}
	require.Equal(t, Unasked, s.recv(nodeB, other))
	require.Equal(t, WrongSource, s.recv(globalA, dis))
	bad := &wire.RPLDISRepr{Options: wire.RPLOptions{wire.RPLOptionSolicitedInformation, 1, 0}}
	require.Equal(t, Malformed, s.recv(nodeB, bad))
	s.wantIdle("nothing of that is answered")
}

func TestPacketInformationAtALeaf(t *testing.T) {
	s := newLeaf(t)
	check := func(info wire.RPLPacketInfoRepr) Cause { return s.leaf.CheckOption(s.now, nodeA, own, &info) }
	require.Equal(t, WrongInstance, check(wire.RPLPacketInfoRepr{Down: true, Instance: 1}), "before it has joined")
	s.join(nodeA, dio(256))
	require.Equal(t, None, check(wire.RPLPacketInfoRepr{Down: true, Instance: 1, SenderRank: 1}))
	s.wantIdle("as it should be")
	require.Equal(t, WrongInstance, check(wire.RPLPacketInfoRepr{Down: true, Instance: 2}))
	require.Equal(t, None, check(wire.RPLPacketInfoRepr{Instance: 1, SenderRank: 5}), "the packet has arrived, if in a strange way")
	s.want("somebody takes it for a router", "to ff02::1a: DIO version 240 rank infinite dtsn 240")
	require.Equal(t, RankError, check(wire.RPLPacketInfoRepr{Down: true, RankError: true, Instance: 1}))
	s.wantIdle("it does not say so all the time")
	require.EqualValues(t, 1, s.leaf.Counters().Packets[RankError])
}

func TestLeafConfig(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*LeafConfig)
		want   string
	}{
		{"no timers", func(c *LeafConfig) { c.Timers = nil }, "required"},
		{"no owner", func(c *LeafConfig) { c.Owner = nil }, "required"},
		{"no random numbers", func(c *LeafConfig) { c.Rand = nil }, "required"},
		{"negative limit", func(c *LeafConfig) { c.DODAGs = -1 }, "DODAGs -1"},
		{"one neighbour", func(c *LeafConfig) { c.Neighbours = 1 }, "Neighbours 1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			cfg := LeafConfig{Timers: &s.timers, Owner: s, Rand: s.rand}
			row.change(&cfg)
			_, err := NewLeaf(cfg)
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, row.want)
		})
	}
}
