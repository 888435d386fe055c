package rpl

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// script is a conversation between a node and its neighbours: what they say on one side, and what the node makes of it on the
// other. It is the Owner.
type script struct {
	t      *testing.T
	now    int64
	timers timer.Heap
	node   Node
	leaf   *Leaf // the node, if it is one
	root   *Root // the node, if it is one
	events []string
	random []uint64 // what the node draws next; then zeros, or if there is a seed numbers from it
	seed   uint64

	addresses []netip.Addr
	etx       map[netip.Addr]uint16
	routes    map[netip.Prefix]netip.Addr
}

var (
	self    = ip("fe80::5e1f")
	nodeA   = ip("fe80::a")
	nodeB   = ip("fe80::b")
	nodeC   = ip("fe80::c")
	rootID  = ip("2001:db8::1")
	otherID = ip("2001:db8:2::1")
	own     = ip("2001:db8::5e1f")
	globalA = ip("2001:db8::a")
	globalB = ip("2001:db8::b")
	globalC = ip("2001:db8::c")
	prefix  = netip.MustParsePrefix("2001:db8::/64")
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func newScript(t *testing.T) *script {
	return &script{t: t, etx: make(map[netip.Addr]uint16), routes: make(map[netip.Prefix]netip.Addr)}
}

// newLeaf is a script of a leaf that has an address and has asked for DODAGs.
func newLeaf(t *testing.T, change ...func(*LeafConfig)) *script {
	s := newScript(t)
	s.addresses = []netip.Addr{own}
	cfg := LeafConfig{Timers: &s.timers, Owner: s, Rand: s.rand}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	s.leaf, err = NewLeaf(cfg)
	require.NoError(t, err)
	s.node = s.leaf
	s.leaf.Start(s.now)
	s.advance(0)
	s.want("it asks", "to ff02::1a: DIS")
	return s
}

// newRoot is a script of a root that has just been started.
func newRoot(t *testing.T, change ...func(*RootConfig)) *script {
	s := newScript(t)
	s.addresses = []netip.Addr{rootID}
	cfg := RootConfig{Timers: &s.timers, Owner: s, Rand: s.rand, Instance: 1, DODAG: rootID, Mode: wire.RPLStoring}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	s.root, err = NewRoot(cfg)
	require.NoError(t, err)
	s.node = s.root
	s.root.Start(s.now)
	return s
}

func (s *script) rand() uint64 {
	if len(s.random) > 0 {
		n := s.random[0]
		s.random = s.random[1:]
		return n
	}
	if s.seed != 0 {
		s.seed = s.seed*6364136223846793005 + 1442695040888963407
		return s.seed >> 11
	}
	return 0
}

func (s *script) note(format string, args ...any) {
	s.events = append(s.events, fmt.Sprintf(format, args...))
}

// Send notes the message, as it is once it has been emitted and parsed, in few words.
func (s *script) Send(now int64, dst netip.Addr, m Message) {
	require.Equal(s.t, s.now, now)
	b := make([]byte, m.Len())
	m.Emit(b, self, dst)
	p, err := wire.ParseRPL(b)
	require.NoError(s.t, err)
	s.note("to %v: %s", dst, describe(s.t, p))
}

// describe is a message in few words.
func describe(t *testing.T, p wire.RPLPacket) string {
	switch p.Code() {
	case wire.RPLSolicitation:
		require.GreaterOrEqual(t, len(p), wire.ICMPv6HeaderLen)
		return "DIS"
	case wire.RPLInformation:
		var r wire.RPLDIORepr
		require.NoError(t, r.Parse(p))
		rank := fmt.Sprint(r.Rank)
		if r.Rank == wire.RPLInfiniteRank {
			rank = "infinite"
		}
		return fmt.Sprintf("DIO version %d rank %s dtsn %d", r.Version, rank, r.DTSN)
	case wire.RPLAdvertisement:
		var r wire.RPLDAORepr
		require.NoError(t, r.Parse(p))
		words := []string{fmt.Sprintf("DAO %d", r.Sequence)}
		if r.Ack {
			words[0] += " ack"
		}
		for option, ok := r.Options.Next(); ok; option, ok = r.Options.Next() {
			var target wire.RPLTargetRepr
			var transit wire.RPLTransitInformationRepr
			switch {
			case target.Parse(option) == nil:
				words = append(words, target.Prefix.Addr().String())
			case transit.Parse(option) == nil:
				word := fmt.Sprintf("path %d lifetime %d", transit.PathSequence, transit.PathLifetime)
				if transit.Parent.IsValid() {
					word += " parent " + transit.Parent.String()
				}
				words = append(words, word)
			}
		}
		return strings.Join(words, ", ")
	}
	var r wire.RPLDAOAckRepr
	require.NoError(t, r.Parse(p))
	return fmt.Sprintf("DAO-ACK %d status %d", r.Sequence, r.Status)
}

func (s *script) SetRoute(now int64, r Route) {
	s.routes[r.Destination] = r.Gateway
	s.note("route %v via %v", r.Destination, r.Gateway)
}

func (s *script) DropRoute(now int64, r Route) {
	require.Equal(s.t, s.routes[r.Destination], r.Gateway, "only what is there is dropped")
	delete(s.routes, r.Destination)
	s.note("no route %v", r.Destination)
}

func (s *script) Prefix(now int64, parent netip.Addr, p *wire.RPLPrefixInformationRepr) {
	s.note("prefix %v autonomous %v valid %v from %v", p.Prefix, p.Autonomous, p.ValidLifetime, parent)
}

func (s *script) ParentChanged(now int64, parent netip.Addr) {
	if !parent.IsValid() {
		s.note("no parent")
		return
	}
	s.note("parent %v", parent)
}

func (s *script) Addresses(list []netip.Addr) []netip.Addr { return append(list, s.addresses...) }

func (s *script) ETX(neighbour netip.Addr) (uint16, bool) {
	etx, ok := s.etx[neighbour]
	return etx, ok
}

// advance lets time pass, and the timers expire that are due meanwhile, each at its time.
func (s *script) advance(d time.Duration) {
	until := s.now + int64(d)
	for s.timers.Next() <= until {
		require.GreaterOrEqual(s.t, s.timers.Next(), s.now, "time that has passed must not be waited for")
		s.now = max(s.now, s.timers.Next())
		s.timers.Expire(s.now, 1)
	}
	s.now = until
}

// emitted is a message as it is received.
func emitted(m Message) wire.RPLPacket {
	b := make([]byte, m.Len())
	m.Emit(b, nodeA, self)
	return b
}

// recv is a message to all nodes, or if it is not a DIO to this one.
func (s *script) recv(from netip.Addr, m Message) Cause {
	dst := self
	if _, ok := m.(*wire.RPLDIORepr); ok {
		dst = AllNodes
	}
	return s.node.Input(s.now, from, dst, emitted(m))
}

// mustRecv is a message that is of use.
func (s *script) mustRecv(from netip.Addr, m Message) {
	s.t.Helper()
	require.Equal(s.t, None, s.recv(from, m))
}

// want checks what has happened since the last time.
func (s *script) want(why string, events ...string) {
	s.t.Helper()
	require.Equal(s.t, events, s.events, why)
	s.events = nil
}

func (s *script) wantIdle(why string) {
	s.t.Helper()
	require.Empty(s.t, s.events, why)
}

func (s *script) forget() { s.events = nil }

// options are those of a message.
func options(list ...wire.RPLOptionRepr) (o wire.RPLOptions) {
	for _, option := range list {
		o = o.Append(option)
	}
	return o
}

// config is the configuration that RIOT's root has, but for a time of a minute that its routes live.
func config(change ...func(*wire.RPLDODAGConfigurationRepr)) *wire.RPLDODAGConfigurationRepr {
	c := &wire.RPLDODAGConfigurationRepr{
		IntervalDoublings: 20, IntervalMin: 3, Redundancy: 10, MinHopRankIncrease: 256, DefaultLifetime: 5, LifetimeUnit: 60,
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func useMRHOF(c *wire.RPLDODAGConfigurationRepr) {
	c.Objective, c.MinHopRankIncrease = wire.RPLObjectiveMRHOF, 128
}

// dio is a DIO of instance 1, version 240, in storing mode, with the configuration.
func dio(rank uint16, change ...func(*wire.RPLDIORepr)) *wire.RPLDIORepr {
	r := &wire.RPLDIORepr{
		Instance: 1, Version: 240, Rank: rank, Grounded: true, Mode: wire.RPLStoring, DTSN: 240, DODAG: rootID, Options: options(config()),
	}
	for _, f := range change {
		f(r)
	}
	return r
}

func nonStoring(r *wire.RPLDIORepr) { r.Mode = wire.RPLNonStoring }

func version(v uint8) func(*wire.RPLDIORepr) { return func(r *wire.RPLDIORepr) { r.Version = v } }

func with(list ...wire.RPLOptionRepr) func(*wire.RPLDIORepr) {
	return func(r *wire.RPLDIORepr) { r.Options = options(list...) }
}

func pio(valid time.Duration) *wire.RPLPrefixInformationRepr {
	return &wire.RPLPrefixInformationRepr{Prefix: prefix, Autonomous: true, ValidLifetime: valid, PreferredLifetime: valid}
}

// dao is a DAO of instance 1 that asks for an acknowledgment.
func dao(sequence uint8, list ...wire.RPLOptionRepr) *wire.RPLDAORepr {
	return &wire.RPLDAORepr{Instance: 1, Ack: true, Sequence: sequence, Options: options(list...)}
}

func to(addr netip.Addr) *wire.RPLTargetRepr {
	return &wire.RPLTargetRepr{Prefix: netip.PrefixFrom(addr, addr.BitLen())}
}

func transit(path, lifetime uint8, parent ...netip.Addr) *wire.RPLTransitInformationRepr {
	r := &wire.RPLTransitInformationRepr{PathSequence: path, PathLifetime: lifetime}
	if len(parent) > 0 {
		r.Parent = parent[0]
	}
	return r
}

func daoAck(sequence, status uint8) *wire.RPLDAOAckRepr {
	return &wire.RPLDAOAckRepr{Instance: 1, Sequence: sequence, Status: status}
}

// join has the leaf join by a root that is a neighbour, and its DAO acknowledged.
func (s *script) join(from netip.Addr, m *wire.RPLDIORepr) {
	s.t.Helper()
	s.mustRecv(from, m)
	s.advance(time.Second)
	require.Equal(s.t, from, s.leaf.State().Parent)
	if s.leaf.advertiser.state == waiting {
		s.mustRecv(s.leaf.advertiser.to, daoAck(s.leaf.advertiser.message.Sequence, 0))
		require.True(s.t, s.leaf.State().Acked)
	}
	s.forget()
}
