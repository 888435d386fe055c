package slaac

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// script is a conversation between a host and its link: what routers and neighbours say on one side, and what the host
// makes of it on the other. It is the Link.
type script struct {
	t      *testing.T
	now    int64
	timers timer.Heap
	host   *Host
	events []string
	random []uint64 // what the host draws next; then zeros, or if there is a seed numbers from it
	seed   uint64

	used      map[netip.Addr]bool
	full      bool                // the link takes no addresses
	addresses map[netip.Addr]bool // that the link has
	routes    map[string]int      // metrics by destination and gateway
}

var (
	routerA = ip("fe80::a")
	routerB = ip("fe80::b")
	routerC = ip("fe80::c")
	home    = pfx("2001:db8:1::/64")
	office  = pfx("2001:db8:2::/64")

	errFull = errors.New("no room")
)

func ip(s string) netip.Addr    { return netip.MustParseAddr(s) }
func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func newScript(t *testing.T, change ...func(*Config)) *script {
	s := &script{
		t: t, used: make(map[netip.Addr]bool), addresses: make(map[netip.Addr]bool), routes: make(map[string]int), seed: 1,
	}
	cfg := Config{
		Timers: &s.timers, Link: s, Rand: s.rand, MTU: 1500,
		Identifier: wire.HardwareAddr{2, 0, 0, 0, 0, 1}.LinkAddr().InterfaceID(), Interface: "eth0",
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	s.host, err = New(cfg)
	require.NoError(t, err)
	return s
}

// started is a script whose host has sent its first solicitation.
func started(t *testing.T, change ...func(*Config)) *script {
	s := newScript(t, change...)
	s.random = []uint64{0, 0}
	s.host.Start(s.now)
	s.advance(0)
	s.want("it asks", "solicit")
	return s
}

func (s *script) rand() uint64 {
	if len(s.random) > 0 {
		n := s.random[0]
		s.random = s.random[1:]
		return n
	}
	s.seed = s.seed*6364136223846793005 + 1442695040888963407
	return s.seed
}

func (s *script) note(format string, args ...any) {
	s.events = append(s.events, fmt.Sprintf(format, args...))
}

// in is when t is from now: "30m0s", or "ever".
func (s *script) in(t int64) string {
	if t == timer.Never {
		return "ever"
	}
	return time.Duration(t - s.now).String()
}

func (s *script) Solicit(now int64) {
	require.Equal(s.t, s.now, now)
	s.note("solicit")
}

func (s *script) Probe(now int64, router netip.Addr) { s.note("probe %v", router) }

func (s *script) Used(now int64, router netip.Addr) bool { return s.used[router] }

func (s *script) SetAddress(now int64, a Address) error {
	kind := "address"
	if a.Temporary {
		kind = "temporary address"
	}
	if s.full {
		s.note("no room for %s %v", kind, a.Prefix)
		return errFull
	}
	s.addresses[a.Prefix.Addr()] = true
	name := a.Prefix.String()
	if a.Temporary {
		name = a.Prefix.Masked().String()
	}
	s.note("%s %s preferred %s valid %s", kind, name, s.in(a.PreferredUntil), s.in(a.ValidUntil))
	return nil
}

func (s *script) DropAddress(now int64, addr netip.Addr) {
	if s.addresses[addr] {
		delete(s.addresses, addr)
		s.note("no address %v", addr)
	}
}

func routeName(r Route) string {
	if r.Gateway.IsValid() {
		return fmt.Sprintf("%v via %v", r.Destination, r.Gateway)
	}
	return r.Destination.String()
}

func (s *script) SetRoute(now int64, r Route) {
	if metric, ok := s.routes[routeName(r)]; !ok || metric != r.Metric {
		s.note("route %s metric %d", routeName(r), r.Metric)
	}
	s.routes[routeName(r)] = r.Metric
}

func (s *script) DropRoute(now int64, r Route) {
	require.Contains(s.t, s.routes, routeName(r), "only what is there is dropped")
	delete(s.routes, routeName(r))
	s.note("no route %s", routeName(r))
}

func (s *script) SetParameters(now int64, p Parameters) {
	s.note("mtu %d hop limit %d reachable %v retransmit %v", p.MTU, p.HopLimit, p.Reachable, p.Retransmit)
}

func (s *script) Managed(now int64, managed, other bool) {
	s.note("managed %v other %v", managed, other)
}

func (s *script) RoutersChanged(now int64)  { s.note("routers changed") }
func (s *script) PrefixesChanged(now int64) { s.note("prefixes changed") }
func (s *script) ServersChanged(now int64)  { s.note("servers changed") }

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

// recv is an advertisement of a router's, of whose parts some are given.
func (s *script) recv(from netip.Addr, r wire.NDRouterAdvertisementRepr, options ...wire.NDOptionRepr) {
	for _, option := range options {
		r.Options = r.Options.Append(option)
	}
	s.host.Advertised(s.now, from, &r)
}

// ra is the head of an advertisement of a default router.
func ra(lifetime time.Duration) wire.NDRouterAdvertisementRepr {
	return wire.NDRouterAdvertisementRepr{RouterLifetime: lifetime}
}

func preferring(p wire.NDPreference) wire.NDRouterAdvertisementRepr {
	return wire.NDRouterAdvertisementRepr{RouterLifetime: time.Hour, Preference: p}
}

// pio is a prefix for both purposes.
func pio(p netip.Prefix, preferred, valid time.Duration) *wire.NDPrefixInformationRepr {
	return &wire.NDPrefixInformationRepr{Prefix: p, OnLink: true, Autonomous: true, PreferredLifetime: preferred, ValidLifetime: valid}
}

func auto(p netip.Prefix, preferred, valid time.Duration) *wire.NDPrefixInformationRepr {
	return &wire.NDPrefixInformationRepr{Prefix: p, Autonomous: true, PreferredLifetime: preferred, ValidLifetime: valid}
}

func onLink(p netip.Prefix, valid time.Duration) *wire.NDPrefixInformationRepr {
	return &wire.NDPrefixInformationRepr{Prefix: p, OnLink: true, ValidLifetime: valid}
}

func rio(p netip.Prefix, preference wire.NDPreference, lifetime time.Duration) *wire.NDRouteInformationRepr {
	return &wire.NDRouteInformationRepr{Prefix: p, Preference: preference, Lifetime: lifetime}
}

func rdnss(lifetime time.Duration, servers ...string) *wire.NDRDNSSRepr {
	r := &wire.NDRDNSSRepr{Lifetime: lifetime}
	for _, server := range servers {
		r.Servers = append(r.Servers, ip(server))
	}
	return r
}

func dnssl(lifetime time.Duration, domains ...string) *wire.NDDNSSLRepr {
	return &wire.NDDNSSLRepr{Lifetime: lifetime, Domains: domains}
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

// wantBest checks which router packets to everywhere go to.
func (s *script) wantBest(why string, router netip.Addr) {
	s.t.Helper()
	best, metric := "", 1<<30
	for name, m := range s.routes {
		if m < metric && len(name) > 5 && name[:5] == "::/0 " {
			best, metric = name, m
		}
	}
	require.Equal(s.t, routeName(Route{Destination: defaultDestination, Gateway: router}), best, why)
}

func (s *script) forget() { s.events = nil }

const (
	infinite = wire.NDInfiniteLifetime
	day      = 24 * time.Hour
)
