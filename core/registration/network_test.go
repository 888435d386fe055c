package registration

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/slaac"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// network is a border router and hosts, with nothing between them but loss.
type network struct {
	t      *testing.T
	now    int64
	timers timer.Heap
	random *rand.Rand
	loss   float64 // of messages
	router *Router
	hosts  map[netip.Addr]*node // by link-local address
	queue  []func()             // messages on their way
}

// node is a host of the network. It is the HostOwner.
type node struct {
	*network
	host       *Host
	linkAddr   wire.LinkAddr
	linkLocal  netip.Addr
	global     netip.Addr
	usable     bool
	duplicates int
	lost       int // how many times it was not registered any longer
}

func newNetwork(t *testing.T, loss float64, change ...func(*RouterConfig)) *network {
	n := &network{t: t, random: rand.New(rand.NewPCG(1, 2)), loss: loss, hosts: make(map[netip.Addr]*node)}
	cfg := RouterConfig{
		Timers: &n.timers, Owner: n, Rand: n.random.Uint64, BorderRouter: border, Prefixes: []Prefix{{Prefix: prefix}},
		Contexts: []wire.NDContextRepr{{Prefix: prefix, Compress: true, Lifetime: time.Hour}},
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	n.router, err = NewRouter(cfg)
	require.NoError(t, err)
	n.router.Start(n.now)
	return n
}

// join adds a host, which makes itself an address with the interface identifier of who as soon as it has heard the router.
func (n *network) join(number, who byte, mode Mode) *node {
	eui64 := [8]byte{2, 0, 0, 0, 0, 0, 1, number}
	h := &node{network: n, linkAddr: wire.ExtendedAddr(eui64), linkLocal: wire.ExtendedAddr(eui64).LinkLocal()}
	global := prefix.Addr().As16()
	id := wire.ExtendedAddr([8]byte{2, 0, 0, 0, 0, 0, 1, who}).InterfaceID()
	copy(global[8:], id[:])
	h.global = netip.AddrFrom16(global)
	var err error
	h.host, err = NewHost(HostConfig{Timers: &n.timers, Owner: h, Rand: n.random.Uint64, EUI64: eui64, Mode: mode})
	require.NoError(n.t, err)
	if before := n.hosts[h.linkLocal]; before != nil {
		n.timers.Remove(&before.host.timer) // it was switched off
	}
	n.hosts[h.linkLocal] = h
	_, err = h.host.AddAddress(n.now, h.linkLocal)
	require.NoError(n.t, err)
	h.SolicitRouter(n.now, routerA)
	return h
}

// send has a message arrive, or not.
func (n *network) send(arrive func()) {
	if n.random.Float64() >= n.loss {
		n.queue = append(n.queue, arrive)
	}
}

// advance lets time pass, in which messages arrive at once.
func (n *network) advance(d time.Duration) {
	until := n.now + int64(d)
	for {
		for len(n.queue) > 0 {
			arrive := n.queue[0]
			n.queue = n.queue[1:]
			arrive()
		}
		if n.timers.Next() > until {
			break
		}
		n.now = max(n.now, n.timers.Next())
		n.timers.Expire(n.now, 1)
	}
	n.now = until
}

func (n *network) Advertise(_ int64, to netip.Addr, _ wire.LinkAddr, r *wire.NDRouterAdvertisementRepr) {
	h := n.hosts[to]
	n.send(func() {
		h.host.Advertised(n.now, routerA, r)
		h.host.SetRouters(n.now, []slaac.Router{{Addr: routerA, Until: n.now + int64(r.RouterLifetime), Reachable: true}})
		if h.duplicates == 0 {
			_, err := h.host.AddAddress(n.now, h.global)
			require.NoError(n.t, err)
		}
	})
}

func (n *network) Reply(_ int64, r Reply) {
	a := Answer{Source: routerA, Destination: r.To, Target: r.Target, Option: wire.NDOption(wire.NDOptions{}.Append(&r.Option))}
	for _, h := range n.hosts {
		if h.linkAddr == r.LinkAddr {
			n.send(func() { h.host.Answered(n.now, a) })
		}
	}
}

func (n *network) Probe(_ int64, r Registration)      {}
func (n *network) Own(addr netip.Addr) bool           { return addr == routerA || addr == border }
func (n *network) Registered(_ int64, r Registration) {}
func (n *network) Removed(_ int64, r Registration)    {}

func (h *node) Register(_ int64, r Request) {
	s := Solicitation{
		Source: r.Source, Destination: r.Router, Target: r.Target, LinkAddr: h.linkAddr,
		Option: wire.NDOption(wire.NDOptions{}.Append(&r.Option)),
	}
	h.send(func() { h.router.Requested(h.now, s) })
}

func (h *node) SolicitRouter(int64, netip.Addr) {
	h.send(func() { h.router.Solicited(h.now, h.linkLocal, h.linkAddr) })
}

func (h *node) Registered(_ int64, addr netip.Addr) { h.usable = h.usable || addr == h.global }

func (h *node) Unregistered(_ int64, addr netip.Addr) {
	if addr == h.global {
		h.usable = false
		h.lost++
	}
}

func (h *node) Duplicate(_ int64, addr netip.Addr) {
	h.usable = false
	h.duplicates++
}

func (h *node) Refused(int64, netip.Addr, netip.Addr, wire.RegistrationStatus) {}
func (h *node) Unreachable(int64, netip.Addr)                                  {}
func (h *node) ContextsChanged(int64)                                          {}

func TestNetworkOfEveryMode(t *testing.T) {
	for _, mode := range []Mode{ModeAuto, ModeBasic, ModeExtended} {
		n := newNetwork(t, 0)
		var hosts []*node
		for i := range 50 {
			hosts = append(hosts, n.join(byte(i), byte(i), mode))
			n.advance(2 * time.Second) // the router answers no more than so many at once
		}
		n.advance(24 * time.Hour)
		for _, h := range hosts {
			require.True(t, h.usable)
			require.Zero(t, h.lost, "it was registered all the time")
			registration, ok := n.router.Lookup(h.global)
			require.True(t, ok)
			require.Equal(t, h.linkAddr, registration.LinkAddr)
			require.Equal(t, "2001:db8::/64", h.host.Contexts()[0].Prefix.String())
			require.True(t, h.host.Contexts()[0].Compress, "the router was asked in time")
			counters := h.host.Counters()
			require.InDelta(t, 24*60/38.0, float64(counters.Registrations)/float64(addressesOf(mode)), 4, "every 36 to 40 minutes")
		}
	}
}

// addressesOf is how many addresses each host registers.
func addressesOf(mode Mode) int {
	if mode == ModeBasic {
		return 1
	}
	return 2
}

func TestNetworkWithLoss(t *testing.T) {
	n := newNetwork(t, 0.1)
	var hosts []*node
	for i := range 20 {
		h := n.join(byte(i), byte(i), ModeAuto)
		for h.SolicitRouter(n.now, routerA); len(h.host.routers) == 0; h.SolicitRouter(n.now, routerA) {
			n.advance(10 * time.Second) // as package slaac's host does
		}
		hosts = append(hosts, h)
	}
	n.advance(24 * time.Hour)
	n.loss = 0
	n.advance(5 * time.Minute)
	for _, h := range hosts {
		require.True(t, h.usable)
		registration, ok := n.router.Lookup(h.global)
		require.True(t, ok)
		require.Equal(t, Registration{
			Addr: h.global, LinkAddr: h.linkAddr, Owner: wire.EUI64ROVR(h.host.cfg.EUI64), Reachable: true, Until: registration.Until,
		}, registration)
	}
}

func TestNetworkWithDuplicates(t *testing.T) {
	for _, mode := range []Mode{ModeAuto, ModeBasic} {
		n := newNetwork(t, 0)
		first := n.join(1, 1, mode)
		n.advance(time.Minute)
		second := n.join(2, 1, mode)
		n.advance(24 * time.Hour)
		require.True(t, first.usable)
		require.False(t, second.usable)
		require.Equal(t, 1, second.duplicates)
		require.Zero(t, first.duplicates)
		registration, _ := n.router.Lookup(first.global)
		require.Equal(t, first.linkAddr, registration.LinkAddr)

		first.host.Stop(n.now)
		n.advance(0)
		_, known := n.router.Lookup(first.global)
		require.False(t, known, "the first left")
	}
}

func TestNetworkWithAHostThatStartsAnew(t *testing.T) {
	n := newNetwork(t, 0)
	n.join(1, 1, ModeAuto)
	for range 30 {
		n.advance(7 * time.Hour)
		h := n.join(1, 1, ModeAuto)
		n.advance(time.Minute)
		require.True(t, h.usable, "whatever transaction the router was at")
	}
}
