package rpl

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// network is a root and leaves that all hear each other, but for what is lost.
type network struct {
	t      *testing.T
	now    int64
	timers timer.Heap
	random *rand.Rand
	loss   float64
	nodes  []*member
	air    []frame
	sent   int
}

// member is one node, and its owner.
type member struct {
	*network
	node   Node
	addr   netip.Addr // link-local
	global netip.Addr
	routes map[netip.Prefix]netip.Addr
}

type frame struct {
	at       int64
	src, dst netip.Addr
	message  wire.RPLPacket
}

const latency = 3 * time.Millisecond

func (m *member) Send(now int64, dst netip.Addr, message Message) {
	src := m.addr
	if !dst.IsMulticast() && !dst.IsLinkLocalUnicast() {
		src = m.global
	}
	b := make([]byte, message.Len())
	message.Emit(b, src, dst)
	m.sent++
	m.air = append(m.air, frame{now + int64(latency), src, dst, b})
}

func (m *member) SetRoute(_ int64, r Route)                                { m.routes[r.Destination] = r.Gateway }
func (m *member) DropRoute(_ int64, r Route)                               { delete(m.routes, r.Destination) }
func (m *member) Prefix(int64, netip.Addr, *wire.RPLPrefixInformationRepr) {}
func (m *member) ParentChanged(int64, netip.Addr)                          {}
func (m *member) Addresses(list []netip.Addr) []netip.Addr                 { return append(list, m.global) }
func (m *member) ETX(netip.Addr) (uint16, bool)                            { return 128, true }
func (m *member) is(dst netip.Addr) bool                                   { return dst == AllNodes || dst == m.addr || dst == m.global }
func (m *member) wantRoute(why string, destination netip.Prefix, gateway netip.Addr) {
	m.t.Helper()
	require.Equal(m.t, gateway, m.routes[destination], why)
}

// add puts a node on the air; make makes it for its owner.
func (n *network) add(id byte, make func(Owner) (Node, error)) *member {
	m := &member{network: n, addr: netip.AddrFrom16([16]byte{0xfe, 0x80, 15: id}), routes: map[netip.Prefix]netip.Addr{}}
	m.global = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: id})
	var err error
	m.node, err = make(m)
	require.NoError(n.t, err)
	n.nodes = append(n.nodes, m)
	m.node.Start(n.now)
	return m
}

// advance lets time pass, in the order of what happens.
func (n *network) advance(d time.Duration) {
	until := n.now + int64(d)
	for {
		next := n.timers.Next()
		if len(n.air) > 0 && n.air[0].at <= next {
			if n.air[0].at > until {
				break
			}
			f := n.air[0]
			n.air = n.air[1:]
			n.now = f.at
			for _, m := range n.nodes {
				if m.addr == f.src || m.global == f.src || !m.is(f.dst) || n.random.Float64() < n.loss {
					continue
				}
				m.node.Input(n.now, f.src, f.dst, f.message)
			}
			continue
		}
		if next > until {
			break
		}
		n.now = max(n.now, next)
		n.timers.Expire(n.now, 1)
	}
	n.now = until
}

func TestRootWithThreeLeaves(t *testing.T) {
	for _, mode := range []wire.RPLMode{wire.RPLStoring, wire.RPLNonStoring} {
		for _, loss := range []float64{0, 0.1, 0.3} {
			t.Run(fmt.Sprintf("%v, %v %% lost", mode, loss*100), func(t *testing.T) {
				n := &network{t: t, random: rand.New(rand.NewPCG(1, 2)), loss: loss}
				var leaves []*member
				for id := byte(2); id <= 4; id++ {
					leaves = append(leaves, n.add(id, func(o Owner) (Node, error) {
						return NewLeaf(LeafConfig{Timers: &n.timers, Owner: o, Rand: n.random.Uint64})
					}))
				}
				n.advance(time.Minute)
				start := n.now
				root := n.add(1, func(o Owner) (Node, error) {
					return NewRoot(RootConfig{Timers: &n.timers, Owner: o, Rand: n.random.Uint64, Instance: 1, DODAG: rootID, Mode: mode})
				})
				r := root.node.(*Root)
				joined := func() bool {
					for _, m := range leaves {
						if !m.node.(*Leaf).State().Acked {
							return false
						}
					}
					return true
				}
				wantAll := func(why string, within time.Duration) {
					t.Helper()
					for start := n.now; !joined(); n.advance(10 * time.Millisecond) {
						require.Less(t, n.now-start, int64(within), why)
					}
					require.Len(t, r.Targets(), len(leaves), why)
					for _, m := range leaves {
						require.Equal(t, r.Version(), m.node.(*Leaf).State().Version, why)
						m.wantRoute(why, everywhere, root.addr)
						if mode == wire.RPLStoring {
							root.wantRoute(why, netip.PrefixFrom(m.global, 128), m.addr)
							continue
						}
						hops, ok := r.Route(nil, m.global)
						require.True(t, ok, why)
						require.Equal(t, []netip.Addr{m.global}, hops, why)
					}
				}
				within := 2 * time.Second
				if loss > 0 {
					within = 5 * time.Minute // a DAO may be lost time and again
				}
				wantAll("all join", within)
				require.Greater(t, n.now, start)

				n.sent = 0
				n.advance(6 * time.Hour)
				require.Less(t, n.sent, 6*3*20, "little is said when nothing happens")
				n.advance(2 * time.Minute)
				wantAll("what is refreshed is still there", 5*time.Minute)

				r.Repair(n.now)
				n.advance(2 * time.Second)
				wantAll("a new version is joined", 5*time.Minute)

				gone := leaves[2]
				leaves = leaves[:2]
				gone.node.Stop(n.now)
				n.advance(time.Hour)
				require.Len(t, r.Targets(), 2, "who leaves is forgotten")

				root.node.Stop(n.now)
				n.advance(3 * time.Hour)
				for _, m := range leaves {
					require.Empty(t, m.routes, "without a root there are no routes")
				}
				require.Empty(t, root.routes)
				root.node.Start(n.now)
				n.advance(5 * time.Minute)
				wantAll("it is found again", 5*time.Minute)
			})
		}
	}
}
