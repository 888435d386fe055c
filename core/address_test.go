package core

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/dhcpv4"
	"github.com/smolnet/smolnet/core/route"
)

// routesTo returns the routes to just that network, each with its origin.
func (s *script) routesTo(network netip.Prefix) (routes []string) {
	for _, r := range s.stack.Routes() {
		if r.Destination == network {
			routes = append(routes, fmt.Sprintf("%v %v", r, r.Origin))
		}
	}
	return routes
}

// learn gives the interface an address as if a server had.
func (s *script) learn(address string) {
	s.t.Helper()
	config := configured(prefix(address))
	config.origin = route.DHCPv4
	require.NoError(s.t, s.link.setAddress(s.stack.now, config))
}

func TestAddressesOfSeveralOriginsInOneNetwork(t *testing.T) {
	const ours, given = "10.1.0.1/16", "10.1.0.2/16"
	network := prefix("10.1.0.0/16")
	add := func(s *script) { require.NoError(s.t, s.link.AddAddress(s.now, prefix(ours))) }
	learn := func(s *script) { s.learn(given) }
	remove := func(address string) func(*script) {
		return func(s *script) { require.True(s.t, s.link.RemoveAddress(s.now, prefix(address).Addr())) }
	}
	const static, learnt = "10.1.0.0/16 link 2 metric 0 static", "10.1.0.0/16 link 2 metric 0 dhcpv4"
	for _, tc := range []struct {
		name  string
		steps []func(*script)
		want  []string // the route after each
	}{
		{"configured, given, configured goes", []func(*script){add, learn, remove(ours), remove(given)}, []string{static, static, learnt, ""}},
		{"configured, given, given goes", []func(*script){add, learn, remove(given), remove(ours)}, []string{static, static, static, ""}},
		{"given, configured, configured goes", []func(*script){learn, add, remove(ours), remove(given)}, []string{learnt, static, learnt, ""}},
		{"given, configured, given goes", []func(*script){learn, add, remove(given), remove(ours)}, []string{learnt, static, static, ""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t)
			for i, step := range tc.steps {
				step(s)
				var want []string
				if tc.want[i] != "" {
					want = []string{tc.want[i]}
				}
				require.Equal(t, want, s.routesTo(network), "step %d", i+1)
			}
		})
	}
}

func TestLearntRoutesComeBack(t *testing.T) {
	t.Run("the prefix is on the link after the address in it is gone", func(t *testing.T) {
		s := newScript(t, autoconfiguring)
		s.settled()
		for _, lifetime := range []time.Duration{time.Hour, 1<<32*time.Second - time.Second} {
			s.advertise(theirLinkLocal, advertisement(time.Hour, prefixOption(lifetime)))
			require.Len(t, s.routesTo(advertisedPrefix), 1)
			before := s.routesTo(advertisedPrefix)
			require.NoError(t, s.link.AddAddress(s.now, prefix("2001:db8:1::5/64")))
			require.Equal(t, []string{"2001:db8:1::/64 link 2 metric 0 static"}, s.routesTo(advertisedPrefix))
			require.True(t, s.link.RemoveAddress(s.now, addr("2001:db8:1::5")))
			require.Equal(t, before, s.routesTo(advertisedPrefix))
		}
	})
	t.Run("the router is used after the route by it is gone", func(t *testing.T) {
		s := newScript(t, autoconfiguring)
		s.settled()
		everywhere := prefix("::/0")
		own := Route{Destination: everywhere, Gateway: theirLinkLocal, Link: s.link.Index()}
		require.NoError(t, s.stack.AddRoute(own))
		s.advertise(theirLinkLocal, advertisement(time.Hour))
		require.Equal(t, []string{"::/0 via fe80::64 link 2 metric 0 static"}, s.routesTo(everywhere), "which was there before")
		require.NoError(t, s.stack.RemoveRoute(own))
		require.Len(t, s.routesTo(everywhere), 1)
		require.Contains(t, s.routesTo(everywhere)[0], "autoconf")
		s.after(2 * time.Hour)
		require.Empty(t, s.routesTo(everywhere), "as long as the router has said")
	})
	t.Run("whichever was there first", func(t *testing.T) {
		var events []string
		s := newScript(t, autoconfiguring, recorded(&events))
		s.settled()
		everywhere := prefix("::/0")
		own := Route{Destination: everywhere, Gateway: theirLinkLocal, Link: s.link.Index()}
		s.advertise(theirLinkLocal, advertisement(time.Hour))
		before := s.routesTo(everywhere)
		require.Len(t, before, 1)
		events = nil
		require.NoError(t, s.stack.AddRoute(own))
		require.Equal(t, []string{"::/0 via fe80::64 link 2 metric 0 static"}, s.routesTo(everywhere))
		require.Len(t, events, 2)
		require.Contains(t, events[0], "route removed: ")
		require.Contains(t, events[1], "route added: ")
		require.ErrorIs(t, s.stack.AddRoute(own), route.ErrDuplicate, "but only once")
		s.advertise(theirLinkLocal, advertisement(2*time.Hour))
		require.Equal(t, []string{"::/0 via fe80::64 link 2 metric 0 static"}, s.routesTo(everywhere))
		require.NoError(t, s.stack.RemoveRoute(own))
		require.Equal(t, before, s.routesTo(everywhere))
	})
	t.Run("so are the lease's", func(t *testing.T) {
		l := newLessor(t, fullServer())
		l.run(20 * time.Second)
		require.Equal(t, dhcpv4.Bound, l.state())
		s := &script{t: t, stack: l.stacks[1], link: l.client, now: l.now}
		everywhere := prefix("0.0.0.0/0")
		before := s.routesTo(everywhere)
		require.NotEmpty(t, before)
		for _, r := range s.stack.Routes() {
			if r.Destination == everywhere {
				r.Origin = route.Static
				require.NoError(t, s.stack.ReplaceRoute(r))
				require.NotEqual(t, before, s.routesTo(everywhere))
				require.NoError(t, s.stack.RemoveRoute(r))
				break
			}
		}
		require.ElementsMatch(t, before, s.routesTo(everywhere))
		s.link.StopDHCPv4(l.now)
		require.Empty(t, s.routesTo(everywhere))
	})
}
