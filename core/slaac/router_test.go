package slaac

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

// TestDefaultRouter goes through what makes and unmakes a default router.
func TestDefaultRouter(t *testing.T) {
	const known = "route ::/0 via fe80::a metric 1024"
	gone := []string{"no route ::/0 via fe80::a", "routers changed"}
	for _, row := range []struct {
		name  string
		known bool
		event func(s *script)
		want  []string
	}{
		{"unknown: advertisement with a lifetime", false, func(s *script) { s.recv(routerA, ra(time.Hour)) },
			[]string{known, "routers changed", "managed false other false"}},
		{"unknown: advertisement without a lifetime", false, func(s *script) { s.recv(routerA, ra(0)) },
			[]string{"managed false other false"}},
		{"unknown: it is no router", false, func(s *script) { s.host.NotRouter(s.now, routerA) }, nil},
		{"unknown: it is unreachable", false, func(s *script) { s.host.Unreachable(s.now, routerA) }, nil},
		{"unknown: it is reachable", false, func(s *script) { s.host.Reachable(s.now, routerA) }, nil},
		{"known: its lifetime is extended", true, func(s *script) {
			s.recv(routerA, ra(2*time.Hour))
			s.advance(2*time.Hour - 1)
		}, nil},
		{"known: its lifetime is shortened", true, func(s *script) {
			s.recv(routerA, ra(time.Minute))
			s.advance(time.Minute)
		}, gone},
		{"known: its lifetime is over", true, func(s *script) { s.advance(time.Hour) }, gone},
		{"known: advertisement without a lifetime", true, func(s *script) { s.recv(routerA, ra(0)) }, gone},
		{"known: route information overrides the header", true, func(s *script) {
			s.recv(routerA, ra(time.Hour), rio(defaultDestination, 0, 0))
		}, gone},
		{"known: it prefers itself", true, func(s *script) { s.recv(routerA, preferring(wire.NDPreferenceHigh)) },
			[]string{"route ::/0 via fe80::a metric 1023", "routers changed"}},
		{"known: it is no router", true, func(s *script) { s.host.NotRouter(s.now, routerA) }, gone},
		{"known: somebody else is no router", true, func(s *script) { s.host.NotRouter(s.now, routerB) }, nil},
		{"known: it is unreachable", true, func(s *script) { s.host.Unreachable(s.now, routerA) },
			[]string{"route ::/0 via fe80::a metric 2048", "routers changed"}},
		{"known: it is unreachable, and again", true, func(s *script) {
			s.host.Unreachable(s.now, routerA)
			s.forget()
			s.host.Unreachable(s.now, routerA)
		}, nil},
		{"known: it is unreachable, and then not", true, func(s *script) {
			s.host.Unreachable(s.now, routerA)
			s.forget()
			s.host.Reachable(s.now, routerA)
		}, []string{known, "routers changed"}},
		{"known: all is forgotten", true, func(s *script) { s.host.Stop(s.now) }, gone},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := started(t)
			if row.known {
				s.recv(routerA, ra(time.Hour))
				s.forget()
			}
			row.event(s)
			require.Equal(t, row.want, s.events)
		})
	}
}

func TestRouterLifetimeWithoutEnd(t *testing.T) {
	s := started(t)
	s.recv(routerA, ra(0), rio(defaultDestination, wire.NDPreferenceLow, infinite))
	s.want("a route to everywhere makes a default router", "route ::/0 via fe80::a metric 1025", "routers changed",
		"managed false other false")
	s.advance(1000 * day)
	s.wantIdle("it stays")
}

// TestRouterChoice is RFC 4861 section 6.3.6 and RFC 4191 section 3.2: reachability first, then preference.
func TestRouterChoice(t *testing.T) {
	s := started(t)
	s.recv(routerA, preferring(wire.NDPreferenceHigh))
	s.recv(routerB, preferring(wire.NDPreferenceMedium))
	s.recv(routerC, preferring(wire.NDPreferenceLow))
	s.wantBest("the preferred one", routerA)
	s.host.Unreachable(s.now, routerA)
	s.wantBest("it does not answer", routerB)
	s.host.Unreachable(s.now, routerB)
	s.wantBest("neither does that", routerC)
	s.host.Unreachable(s.now, routerC)
	s.wantBest("none does: in turns, the one that was tried first", routerA)
	s.host.Unreachable(s.now, routerA)
	s.wantBest("in turns", routerB)
	s.host.Unreachable(s.now, routerB)
	s.wantBest("in turns", routerC)
	s.host.Reachable(s.now, routerB)
	s.wantBest("it is back", routerB)
	s.host.Reachable(s.now, routerA)
	s.wantBest("it is back, and preferred", routerA)
	s.recv(routerA, ra(0))
	s.wantBest("it is no longer a router", routerB)
	require.Equal(t, []Router{
		{Addr: routerB, Until: s.now + int64(time.Hour), Reachable: true},
		{Addr: routerC, Preference: wire.NDPreferenceLow, Until: s.now + int64(time.Hour)},
	}, s.host.Routers())
}

func TestUnreachableRoutersAreProbed(t *testing.T) {
	s := started(t)
	s.recv(routerA, ra(infinite))
	s.recv(routerA, ra(0), rio(defaultDestination, 0, infinite))
	s.host.Unreachable(s.now, routerA)
	s.forget()
	s.advance(time.Hour)
	s.wantIdle("there is nobody in its place: what is sent tries it anyway")
	s.recv(routerB, ra(0), rio(defaultDestination, 0, infinite))
	s.forget()
	s.advance(time.Hour)
	s.wantIdle("there is nothing to send")
	s.used[routerB] = true
	s.advance(time.Minute)
	s.want("once a minute", "probe fe80::a")
	s.advance(time.Minute)
	s.want("once a minute", "probe fe80::a")
	s.host.Reachable(s.now, routerA)
	s.forget()
	s.advance(time.Hour)
	s.wantIdle("it has answered")
}

// TestRouteInformation is RFC 4191's: routes to some destinations by one router, default router or not.
func TestRouteInformation(t *testing.T) {
	site := pfx("2001:db8:f::/48")
	const learnt = "route 2001:db8:f::/48 via fe80::a metric 1023"
	for _, row := range []struct {
		name  string
		event func(s *script)
		want  []string
	}{
		{"new", func(s *script) {}, nil},
		{"lifetime over", func(s *script) { s.advance(time.Hour) }, []string{"no route 2001:db8:f::/48 via fe80::a", "routers changed"}},
		{"lifetime extended", func(s *script) {
			s.recv(routerA, ra(0), rio(site, wire.NDPreferenceHigh, 2*time.Hour))
			s.advance(time.Hour)
		}, nil},
		{"lifetime zero", func(s *script) { s.recv(routerA, ra(0), rio(site, 0, 0)) },
			[]string{"no route 2001:db8:f::/48 via fe80::a", "routers changed"}},
		{"lifetime zero, of another router", func(s *script) { s.recv(routerB, ra(0), rio(site, 0, 0)) }, nil},
		{"another preference", func(s *script) { s.recv(routerA, ra(0), rio(site, wire.NDPreferenceLow, time.Hour)) },
			[]string{"route 2001:db8:f::/48 via fe80::a metric 1025", "routers changed"}},
		{"another router", func(s *script) { s.recv(routerB, ra(0), rio(site, 0, time.Hour)) },
			[]string{"route 2001:db8:f::/48 via fe80::b metric 1024", "routers changed"}},
		{"the router is unreachable, and the only one", func(s *script) { s.host.Unreachable(s.now, routerA) },
			[]string{"route 2001:db8:f::/48 via fe80::a metric 2048", "routers changed"}},
		{"the router is unreachable, and there is a shorter prefix by another", func(s *script) {
			s.recv(routerB, ra(time.Hour))
			s.forget()
			s.host.Unreachable(s.now, routerA)
		}, []string{"no route 2001:db8:f::/48 via fe80::a", "routers changed"}},
		{"that router is reachable again", func(s *script) {
			s.recv(routerB, ra(time.Hour))
			s.host.Unreachable(s.now, routerA)
			s.forget()
			s.host.Reachable(s.now, routerA)
		}, []string{learnt, "routers changed"}},
		{"it is no router", func(s *script) { s.host.NotRouter(s.now, routerA) },
			[]string{"no route 2001:db8:f::/48 via fe80::a", "routers changed"}},
		{"link-local destinations are ignored", func(s *script) { s.recv(routerA, ra(0), rio(pfx("fe80::/64"), 0, time.Hour)) }, nil},
		{"groups are ignored", func(s *script) { s.recv(routerA, ra(0), rio(pfx("ff00::/8"), 0, time.Hour)) }, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := started(t)
			s.host.solicitor.stop() // what it asks is not the matter here
			s.recv(routerA, ra(0), rio(site, wire.NDPreferenceHigh, time.Hour))
			s.want("a route", learnt, "routers changed", "managed false other false")
			require.Zero(t, s.host.Routers()[0].Until, "it is no default router")
			row.event(s)
			require.Equal(t, row.want, s.events)
		})
	}
}

func TestRoutersAreBounded(t *testing.T) {
	s := started(t, func(c *Config) { c.Limits.Routers, c.Limits.Routes = 2, 3 })
	s.recv(routerA, ra(time.Hour))
	s.recv(routerB, ra(time.Hour))
	s.forget()
	for i := range 100 {
		s.recv(netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: byte(i), 14: 1}), preferring(wire.NDPreferenceHigh))
	}
	s.wantIdle("a flood pushes out nobody")
	require.EqualValues(t, 100, s.host.Counters().Refused)
	s.host.Unreachable(s.now, routerA)
	s.recv(routerC, ra(time.Hour))
	require.Equal(t, []netip.Addr{routerB, routerC}, addrs(s.host.Routers()), "who does not answer makes room")
	for i := range 100 {
		s.recv(routerC, ra(time.Hour), rio(netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0x20, 1: byte(i)}), 48), 0, time.Hour))
	}
	require.Len(t, s.host.Routes(), 2+3, "default routes, and others up to their limit")
}

func addrs(routers []Router) []netip.Addr {
	var all []netip.Addr
	for _, r := range routers {
		all = append(all, r.Addr)
	}
	return all
}
