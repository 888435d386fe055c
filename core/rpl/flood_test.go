package rpl

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

// stranger is the n-th address of a flood.
func stranger(first [8]byte, n int) netip.Addr {
	var octets [16]byte
	copy(octets[:], first[:])
	octets[8], octets[13], octets[14], octets[15] = 0xff, byte(n>>16), byte(n>>8), byte(n)
	return netip.AddrFrom16(octets)
}

var (
	linkLocal = [8]byte{0xfe, 0x80}
	global    = [8]byte{0x20, 0x01, 0x0d, 0xb8}
)

// heap is how many octets are in use.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

const floodLen = 20_000

func TestLeafUnderAFloodOfDIOs(t *testing.T) {
	s := newLeaf(t)
	s.seed = 1
	s.join(nodeA, dio(256))
	before := heap()
	causes := make(map[Cause]int)
	for i := range floodLen {
		s.now += int64(time.Millisecond)
		causes[s.recv(stranger(linkLocal, i), dio(512))]++
		causes[s.recv(stranger(linkLocal, i), dio(256, func(r *wire.RPLDIORepr) { r.DODAG = stranger(global, i) }))]++
		causes[s.recv(stranger(linkLocal, i), dio(256, with(), func(r *wire.RPLDIORepr) { r.Instance, r.DODAG = 3, stranger(global, i) }))]++
		if i%1000 == 0 {
			s.advance(0)
			s.events = nil
		}
		count := 0
		for _, d := range s.leaf.dodags {
			count += len(d.neighbours)
		}
		require.LessOrEqual(t, count, DefaultMaxNeighbours)
		require.LessOrEqual(t, len(s.leaf.dodags), DefaultMaxDODAGs)
	}
	s.events = nil
	require.Greater(t, causes[TableFull], floodLen/2)
	require.Less(t, heap(), before+32<<10, "octets")

	require.Equal(t, nodeA, s.leaf.State().Parent, "the parent stays")
	s.mustRecv(nodeA, dio(256, version(241)))
	s.advance(time.Second)
	require.Contains(t, s.events, "to fe80::a: DAO 241 ack, 2001:db8::5e1f, path 241 lifetime 5", "and is listened to")
	s.mustRecv(nodeA, daoAck(241, 0))
	require.True(t, s.leaf.State().Acked)
}

// TestLeafGetsOverMadeUpParents: those that were made up do not answer, and the real one is found in the end.
func TestLeafGetsOverMadeUpParents(t *testing.T) {
	s := newLeaf(t)
	for i := range 100 {
		s.recv(stranger(linkLocal, i), dio(256))
	}
	require.Equal(t, TableFull, s.recv(nodeA, dio(256)))
	for range DefaultMaxNeighbours {
		s.leaf.Unreachable(s.now, s.leaf.State().Parent)
	}
	require.Equal(t, State{}, s.leaf.State())
	s.mustRecv(nodeA, dio(256))
	require.Equal(t, nodeA, s.leaf.State().Parent)
}

func TestRootUnderAFloodOfDAOs(t *testing.T) {
	s := newRoot(t)
	s.seed = 1
	s.mustRecv(nodeA, dao(1, to(globalA), transit(240, 5)))
	before := heap()
	refused := 0
	for i := range floodLen {
		s.now += int64(time.Millisecond)
		if s.recv(stranger(linkLocal, i), dao(1, to(stranger(global, i)), transit(240, 255))) == TableFull {
			refused++
		}
		require.LessOrEqual(t, len(s.root.targets.table), DefaultMaxTargets)
		s.events = s.events[:0]
	}
	require.Equal(t, floodLen-(DefaultMaxTargets-1), refused)
	require.Less(t, heap(), before+128<<10, "octets")
	s.events = nil
	s.mustRecv(nodeA, dao(2, to(globalA), transit(241, 5)))
	s.want("who was there before is served", "to fe80::a: DAO-ACK 2 status 0")
	s.mustRecv(nodeB, dao(2, to(globalA), transit(242, 5)))
	s.want("even if it moves", "route 2001:db8::a/128 via fe80::b", "to fe80::b: DAO-ACK 2 status 0")
}

func TestRootUnderAFloodOfDISs(t *testing.T) {
	s := newRoot(t)
	for range 1000 {
		require.Equal(t, None, s.root.Input(s.now, nodeA, AllNodes, emitted(&wire.RPLDISRepr{})))
		s.advance(100 * time.Microsecond)
	}
	require.LessOrEqual(t, len(s.events), 100/8+1, "no more than one answer in Imin")
	require.GreaterOrEqual(t, len(s.events), 3)
}

// FuzzNode: whatever neighbours say to a leaf and to a root, nothing that is learnt exceeds its bound, routes are those that
// have been added, and nothing is left in the end.
func FuzzNode(f *testing.F) {
	join := emitted(dio(256, with(config(), pio(time.Hour))))
	f.Add([]byte(join), []byte(emitted(daoAck(240, 0))), []byte(emitted(dio(wire.RPLInfiniteRank))), uint16(300))
	f.Add([]byte(join), []byte(emitted(dio(512, version(241), nonStoring))), []byte(emitted(&wire.RPLDISRepr{})), uint16(1))
	f.Add([]byte(emitted(dao(1, to(globalA), transit(240, 5)))), []byte(emitted(dao(2, to(globalB), to(globalC), transit(1, 0)))),
		[]byte(emitted(dao(3, to(globalA), transit(242, 1, globalB)))), uint16(60))
	f.Fuzz(func(t *testing.T, first, second, third []byte, seconds uint16) {
		for _, mode := range []wire.RPLMode{wire.RPLStoring, wire.RPLNonStoring} {
			root := newScript(t)
			root.addresses = []netip.Addr{rootID}
			var err error
			root.root, err = NewRoot(RootConfig{Timers: &root.timers, Owner: root, Rand: root.rand, Instance: 1, DODAG: rootID, Mode: mode, Targets: 3})
			require.NoError(t, err)
			root.node = root.root
			leaf := newScript(t)
			leaf.addresses = []netip.Addr{own}
			leaf.leaf, err = NewLeaf(LeafConfig{Timers: &leaf.timers, Owner: leaf, Rand: leaf.rand, Neighbours: 2, DODAGs: 2})
			require.NoError(t, err)
			leaf.node = leaf.leaf
			for _, s := range []*script{root, leaf} {
				s.seed = 1
				s.node.Start(s.now)
				for i, message := range [][]byte{first, second, third, first, third, second} {
					from := []netip.Addr{nodeA, nodeB, globalA, nodeC, globalB, nodeA}[i]
					dst := []netip.Addr{AllNodes, self}[i%2]
					s.node.Input(s.now, from, dst, message)
					s.check()
					s.advance(time.Duration(seconds) * time.Second / 100)
					s.check()
				}
				s.node.Unreachable(s.now, nodeA)
				s.check()
				s.node.Stop(s.now)
				require.Empty(t, s.routes)
				s.advance(0)
				require.Equal(t, int64(1<<63-1), s.timers.Next(), "no timer is left")
			}
		}
	})
}

// check holds what is always so.
func (s *script) check() {
	if s.root != nil {
		known := s.root.Targets()
		require.LessOrEqual(s.t, len(known), s.root.cfg.Targets)
		routes := 0
		if s.root.cfg.Mode == wire.RPLStoring {
			routes = len(known)
		}
		require.Len(s.t, s.routes, routes)
		for _, target := range known {
			require.Greater(s.t, target.Until, s.now-1)
			if hops, ok := s.root.Route(nil, target.Prefix.Addr()); ok {
				require.LessOrEqual(s.t, len(hops), maxHops)
				require.Equal(s.t, target.Prefix.Addr(), hops[len(hops)-1])
				seen := make(map[netip.Addr]bool)
				for _, hop := range hops {
					require.False(s.t, seen[hop], "no loop")
					seen[hop] = true
				}
			}
		}
		return
	}
	l := s.leaf
	neighbours := 0
	for _, d := range l.dodags {
		neighbours += len(d.neighbours)
	}
	require.LessOrEqual(s.t, neighbours, l.cfg.Neighbours)
	require.LessOrEqual(s.t, len(l.dodags), l.cfg.DODAGs)
	require.Equal(s.t, l.parent != nil, len(s.routes) == 1)
	if l.parent == nil {
		require.EqualValues(s.t, wire.RPLInfiniteRank, l.rank)
		return
	}
	require.Equal(s.t, l.parent.addr, s.routes[everywhere])
	require.Contains(s.t, l.joined.neighbours, l.parent)
	require.Greater(s.t, l.rank, l.parent.rank, "no parent is as far from the root as the leaf")
	require.LessOrEqual(s.t, l.joined.lowest, l.rank)
}
