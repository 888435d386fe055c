package slaac

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func temporary(c *Config) { c.Temporary = true }

// temp is the temporary address that was made last.
func (s *script) temp() netip.Addr {
	p := s.host.prefixes[0]
	return p.temporary[len(p.temporary)-1].Prefix.Addr()
}

// withTemporary is a script whose host has just made a temporary address, from which desync was taken off.
func withTemporary(t *testing.T, desync time.Duration) *script {
	s := quiet(t, temporary)
	s.random = []uint64{uint64(desync)}
	s.recv(routerA, ra(0), auto(home, infinite, infinite))
	return s
}

func TestTemporaryAddress(t *testing.T) {
	s := withTemporary(t, time.Hour)
	s.want("a stable one and a temporary one", "address "+homeAddress+"/64 preferred ever valid ever",
		"temporary address 2001:db8:1::/64 preferred 23h0m0s valid 48h0m0s", "prefixes changed")
	first := s.temp()
	require.True(t, home.Contains(first))
	require.NotEqual(t, ip(homeAddress), first)

	s.advance(10 * time.Hour)
	s.recv(routerA, ra(0), auto(home, infinite, infinite))
	s.wantIdle("it gets no older than it may")
	s.random = []uint64{uint64(2 * time.Hour)}
	s.advance(13*time.Hour - 5*time.Second - 1)
	s.wantIdle("not before its time")
	s.advance(1)
	s.want("in time before that is deprecated", "temporary address 2001:db8:1::/64 preferred 22h0m0s valid 48h0m0s")
	require.NotEqual(t, first, s.temp())
	require.Len(t, s.addresses, 3)
	s.advance(22*time.Hour - 5*time.Second)
	s.forget()
	s.advance(48*time.Hour - 45*time.Hour + 10*time.Second)
	s.want("the first one's time is over", "no address "+first.String())
}

// TestTemporaryLifetimes is RFC 8981 section 3.4.
func TestTemporaryLifetimes(t *testing.T) {
	const name = "temporary address 2001:db8:1::/64 "
	for _, row := range []struct {
		name             string
		preferred, valid time.Duration
		want             []string
	}{
		{"the prefix lives longer", 30 * day, 60 * day, []string{name + "preferred 24h0m0s valid 48h0m0s"}},
		{"the prefix is preferred for less", time.Hour, 60 * day, []string{name + "preferred 1h0m0s valid 48h0m0s"}},
		{"the prefix is valid for less", time.Hour, time.Hour, []string{name + "preferred 1h0m0s valid 1h0m0s"}},
		{"just long enough", 5*time.Second + time.Second, time.Hour, []string{name + "preferred 6s valid 1h0m0s"}},
		{"too short to be worth it", 5 * time.Second, time.Hour, nil},
		{"deprecated", 0, time.Hour, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := quiet(t, temporary)
			s.random = []uint64{0}
			s.recv(routerA, ra(0), auto(home, row.preferred, row.valid))
			s.events = slices.DeleteFunc(s.events, func(e string) bool { return e[0] != 't' })
			require.Equal(t, row.want, append([]string(nil), s.events...))
			require.Greater(t, s.timers.Next(), s.now)
		})
	}
}

func TestTemporaryAddressFollowsPrefix(t *testing.T) {
	s := withTemporary(t, 0)
	s.forget()
	s.recv(routerA, ra(0), auto(home, time.Hour, 3*time.Hour))
	s.want("as long as the prefix", "address "+homeAddress+"/64 preferred 1h0m0s valid 3h0m0s",
		"temporary address 2001:db8:1::/64 preferred 1h0m0s valid 3h0m0s")
	s.recv(routerA, ra(0), auto(home, 0, 3*time.Hour))
	s.want("deprecated with it, and nothing takes its place", "address "+homeAddress+"/64 preferred 0s valid 3h0m0s",
		"temporary address 2001:db8:1::/64 preferred 0s valid 3h0m0s")
	s.random = []uint64{0}
	s.recv(routerA, ra(0), auto(home, infinite, infinite))
	s.want("preferred again, but not beyond its age", "address "+homeAddress+"/64 preferred ever valid ever",
		"temporary address 2001:db8:1::/64 preferred 24h0m0s valid 48h0m0s")
	s.host.Stop(s.now)
	require.Empty(t, s.addresses)
}

func TestTemporaryDuplicates(t *testing.T) {
	s := withTemporary(t, 0)
	s.forget()
	var seen []netip.Addr
	for range 3 {
		seen = append(seen, s.temp())
		s.random = []uint64{0}
		s.host.Duplicate(s.now, s.temp())
		s.want("another at once", "temporary address 2001:db8:1::/64 preferred 24h0m0s valid 48h0m0s")
		require.NotContains(t, seen, s.temp())
	}
	s.host.Duplicate(s.now, s.temp())
	s.recv(routerA, ra(0), auto(home, infinite, infinite))
	s.advance(10 * day)
	s.wantIdle("something is wrong here")
}

func TestTemporaryAddressesAreBounded(t *testing.T) {
	for _, row := range []struct {
		name      string
		preferred time.Duration
		interval  time.Duration // between advertisements
		lifetimes []time.Duration
	}{
		{"prefix without end", day, time.Hour, []time.Duration{infinite}},
		{"the shortest that can be", time.Minute, time.Second, []time.Duration{infinite}},
		{"deprecated, and not, in turns", day, time.Second, []time.Duration{0, 6 * time.Second}},
		{"lifetimes too short", day, time.Second, []time.Duration{5 * time.Second, 6 * time.Second, 7 * time.Second}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := quiet(t, temporary, func(c *Config) { c.TemporaryPreferred = row.preferred })
			for i := range 5000 {
				lifetime := row.lifetimes[i%len(row.lifetimes)]
				s.recv(routerA, ra(0), auto(home, lifetime, infinite))
				s.advance(row.interval)
				p := s.host.prefixes[0]
				require.LessOrEqual(t, len(p.temporary), maxTemporaries)
				if lifetime == infinite {
					require.Greater(t, p.temporary[len(p.temporary)-1].PreferredUntil, s.now, "one is preferred at all times")
				}
			}
			require.Len(t, s.addresses, 1+len(s.host.prefixes[0].temporary))
		})
	}
}

func TestRandomNumbersThatAreNone(t *testing.T) {
	s := quiet(t, temporary, func(c *Config) { c.Rand = func() uint64 { return 0 } })
	s.recv(routerA, ra(0), auto(home, infinite, infinite))
	require.Len(t, s.addresses, 1, "an identifier of zeros is nobody's")
}
