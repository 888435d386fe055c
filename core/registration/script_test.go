package registration

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/slaac"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// script is a conversation with a host or a router: what its link brings on one side, and what it makes of that on the other.
type script struct {
	t      *testing.T
	now    int64
	timers timer.Heap
	events []string
	random []uint64 // what is drawn next; then zeros
}

var (
	routerA, routerB = ip("fe80::11:2233:4455:660a"), ip("fe80::11:2233:4455:660c")
	border           = ip("2001:db8::1")
	eui              = [8]byte{0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x0b}
	linkAddr         = wire.ExtendedAddr(eui)
	linkLocal        = ip("fe80::11:2233:4455:660b")
	global           = ip("2001:db8::11:2233:4455:660b")
	other            = ip("2001:db8::2")
	prefix           = netip.MustParsePrefix("2001:db8::/64")
	owner            = wire.EUI64ROVR(eui)
	stranger         = wire.EUI64ROVR([8]byte{2, 9})
)

const infinite = wire.NDInfiniteLifetime

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func (s *script) rand() uint64 {
	if len(s.random) == 0 {
		return 0
	}
	n := s.random[0]
	s.random = s.random[1:]
	return n
}

func (s *script) note(format string, args ...any) {
	s.events = append(s.events, fmt.Sprintf(format, args...))
}

// advance lets time pass, and the timers expire that are due meanwhile, each at its time.
func (s *script) advance(d time.Duration) {
	s.t.Helper()
	until := s.now + int64(d)
	for n := 0; s.timers.Next() <= until; n++ {
		if n > 100_000 || s.timers.Next() < s.now {
			s.t.Fatal("time stands still, or runs backwards")
		}
		s.now = max(s.now, s.timers.Next())
		s.timers.Expire(s.now, 1)
	}
	s.now = until
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

// hostScript is a conversation with a host. It is the HostOwner.
type hostScript struct {
	script
	host    *Host
	request Request // the last
	routers []slaac.Router
}

func newHostScript(t *testing.T, change ...func(*HostConfig)) *hostScript {
	s := &hostScript{script: script{t: t}}
	cfg := HostConfig{Timers: &s.timers, Owner: s, Rand: s.rand, EUI64: eui, Registrars: 1}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	s.host, err = NewHost(cfg)
	require.NoError(t, err)
	return s
}

func (s *hostScript) Register(now int64, r Request) {
	require.Equal(s.t, s.now, now)
	s.request = r
	what := fmt.Sprintf("register %v at %v", r.Address, name(r.Router))
	if r.Option.Lifetime == 0 {
		what = fmt.Sprintf("end %v at %v", r.Address, name(r.Router))
	}
	if r.Option.Extended {
		what += fmt.Sprintf(" tid %d", r.Option.TID)
	}
	s.note("%s", what)
}

// name is a router's.
func name(router netip.Addr) string {
	switch router {
	case routerA:
		return "A"
	case routerB:
		return "B"
	}
	return router.String()
}

func (s *hostScript) SolicitRouter(_ int64, router netip.Addr) { s.note("solicit %v", name(router)) }
func (s *hostScript) Registered(_ int64, addr netip.Addr)      { s.note("registered %v", addr) }
func (s *hostScript) Unregistered(_ int64, addr netip.Addr)    { s.note("unregistered %v", addr) }
func (s *hostScript) Duplicate(_ int64, addr netip.Addr)       { s.note("duplicate %v", addr) }
func (s *hostScript) Refused(_ int64, addr, router netip.Addr, status wire.RegistrationStatus) {
	s.note("%v refuses %v: %v", name(router), addr, status)
}

func (s *hostScript) Unreachable(now int64, router netip.Addr) {
	s.note("unreachable %v", name(router))
	for i := range s.routers {
		if s.routers[i].Addr == router {
			s.routers[i].Reachable = false
		}
	}
	s.host.SetRouters(now, s.routers) // as package slaac's host would have it
}

func (s *hostScript) ContextsChanged(now int64) {
	list := "contexts"
	for _, c := range s.host.Contexts() {
		use := "decompress"
		if c.Compress {
			use = "compress"
		}
		list += fmt.Sprintf(" %d %v %s", c.ID, c.Prefix, use)
	}
	s.note("%s", list)
}

// ra is an advertisement of a default router's, which is then known.
func (s *hostScript) ra(from netip.Addr, lifetime time.Duration, options ...wire.NDOptionRepr) wire.NDRouterAdvertisementRepr {
	r := wire.NDRouterAdvertisementRepr{RouterLifetime: lifetime}
	for _, option := range options {
		r.Options = r.Options.Append(option)
	}
	s.host.Advertised(s.now, from, &r)
	for i := range s.routers {
		if s.routers[i].Addr == from {
			return r
		}
	}
	s.routers = append(s.routers, slaac.Router{Addr: from, Until: timer.Never, Reachable: true})
	s.host.SetRouters(s.now, s.routers)
	return r
}

// add has the host register an address.
func (s *hostScript) add(addr netip.Addr) {
	s.t.Helper()
	_, err := s.host.AddAddress(s.now, addr)
	require.NoError(s.t, err)
}

// answer is the answer to the last request: with the option, of which some parts may be changed.
func (s *hostScript) answer(status wire.RegistrationStatus, change ...func(*Answer, *wire.NDAddressRegistrationRepr)) Cause {
	r := s.request
	option := r.Option
	option.Status = status
	a := Answer{Source: r.Router, Destination: r.Source, Target: r.Target}
	if status != wire.RegistrationSuccess && !option.Extended {
		a.Destination = linkLocal
	}
	for _, f := range change {
		f(&a, &option)
	}
	a.Option = wire.NDOption(wire.NDOptions{}.Append(&option))
	return s.host.Answered(s.now, a)
}

// registered is a script whose host has an address that is registered with A.
func registered(t *testing.T, change ...func(*HostConfig)) *hostScript {
	s := newHostScript(t, change...)
	s.add(global)
	s.ra(routerA, infinite)
	s.want("it registers", "register 2001:db8::11:2233:4455:660b at A")
	require.Equal(t, CauseNone, s.answer(wire.RegistrationSuccess))
	s.want("the address can be used", "registered 2001:db8::11:2233:4455:660b")
	return s
}

// routerScript is a conversation with a router. It is the RouterOwner.
type routerScript struct {
	script
	router *Router
	ra     wire.NDRouterAdvertisementRepr // the last
	reply  Reply                          // the last
	known  map[netip.Addr]Registration    // as the owner was told
	probed []netip.Addr
}

func newRouterScript(t *testing.T, change ...func(*RouterConfig)) *routerScript {
	s := &routerScript{script: script{t: t}, known: make(map[netip.Addr]Registration)}
	cfg := RouterConfig{
		Timers: &s.timers, Owner: s, Rand: s.rand, BorderRouter: border, Prefixes: []Prefix{{Prefix: prefix}},
		Contexts: []wire.NDContextRepr{{Prefix: prefix, Compress: true, Lifetime: 10 * time.Hour}},
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	s.router, err = NewRouter(cfg)
	require.NoError(t, err)
	s.router.Start(s.now)
	return s
}

func (s *routerScript) Advertise(_ int64, to netip.Addr, linkAddr wire.LinkAddr, r *wire.NDRouterAdvertisementRepr) {
	s.ra = *r
	s.note("advertise to %v at %v", to, linkAddr)
}

func (s *routerScript) Reply(_ int64, r Reply) {
	s.reply = r
	s.note("reply to %v at %v: %v", r.To, r.LinkAddr, r.Option.Status)
}

func (s *routerScript) Probe(_ int64, r Registration) {
	s.probed = append(s.probed, r.Addr)
}

func (s *routerScript) Own(addr netip.Addr) bool { return addr == routerA || addr == border }

func (s *routerScript) Registered(_ int64, r Registration) {
	s.known[r.Addr] = r
	s.note("neighbour %v at %v for %v", r.Addr, r.LinkAddr, time.Duration(r.Until-s.now))
}

func (s *routerScript) Removed(_ int64, r Registration) {
	if _, ok := s.known[r.Addr]; !ok {
		s.t.Fatalf("%v is taken back without having been told", r.Addr)
	}
	delete(s.known, r.Addr)
	s.note("no neighbour %v", r.Addr)
}

// aro is a solicitation by RFC 6775 that registers addr, from the host with the link-layer address.
func aro(addr netip.Addr, by wire.ROVR, at wire.LinkAddr, lifetime time.Duration) Solicitation {
	return Solicitation{
		Source: addr, Destination: routerA, Target: routerA, LinkAddr: at,
		Option: wire.NDOption(wire.NDOptions{}.Append(&wire.NDAddressRegistrationRepr{Owner: by, Lifetime: lifetime})),
	}
}

// earo is one by RFC 8505.
func earo(source, addr netip.Addr, by wire.ROVR, tid uint8, lifetime time.Duration) Solicitation {
	return Solicitation{
		Source: source, Destination: routerA, Target: addr, LinkAddr: linkAddr,
		Option: wire.NDOption(wire.NDOptions{}.Append(&wire.NDAddressRegistrationRepr{
			Owner: by, Lifetime: lifetime, Extended: true, TID: tid,
		})),
	}
}

// recv gives the router a solicitation, and checks the cause for which it is refused.
func (s *routerScript) recv(why string, solicitation Solicitation, want Cause) {
	s.t.Helper()
	cause, _ := s.router.Requested(s.now, solicitation)
	require.Equal(s.t, want.String(), cause.String(), why)
}
