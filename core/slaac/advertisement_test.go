package slaac

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// TestParameters goes through what an advertisement can say of the link.
func TestParameters(t *testing.T) {
	mtu := func(n uint32) wire.NDOptionRepr { return &wire.NDMTURepr{MTU: n} }
	for _, row := range []struct {
		name    string
		ra      wire.NDRouterAdvertisementRepr
		options []wire.NDOptionRepr
		want    Parameters
		ignored uint64
	}{
		{"nothing", ra(0), nil, Parameters{}, 0},
		{"hop limit", wire.NDRouterAdvertisementRepr{HopLimit: 9}, nil, Parameters{HopLimit: 9}, 0},
		{"reachable time", wire.NDRouterAdvertisementRepr{Reachable: time.Minute}, nil, Parameters{Reachable: time.Minute}, 0},
		{"the longest reachable time", wire.NDRouterAdvertisementRepr{Reachable: time.Hour}, nil, Parameters{Reachable: time.Hour}, 0},
		{"a longer reachable time", wire.NDRouterAdvertisementRepr{Reachable: time.Hour + time.Millisecond}, nil, Parameters{}, 1},
		{"retransmit timer", wire.NDRouterAdvertisementRepr{Retransmit: 2 * time.Second}, nil, Parameters{Retransmit: 2 * time.Second}, 0},
		{"retransmit timer so short as to flood", wire.NDRouterAdvertisementRepr{Retransmit: time.Millisecond}, nil,
			Parameters{Retransmit: 10 * time.Millisecond}, 0},
		{"retransmit timer so long as to break", wire.NDRouterAdvertisementRepr{Retransmit: math.MaxUint32 * time.Millisecond}, nil,
			Parameters{}, 1},
		{"MTU", ra(0), []wire.NDOptionRepr{mtu(1400)}, Parameters{MTU: 1400}, 0},
		{"the least MTU", ra(0), []wire.NDOptionRepr{mtu(1280)}, Parameters{MTU: 1280}, 0},
		{"less than the least MTU", ra(0), []wire.NDOptionRepr{mtu(1279)}, Parameters{}, 1},
		{"the link's MTU", ra(0), []wire.NDOptionRepr{mtu(1500)}, Parameters{MTU: 1500}, 0},
		{"more than the link's MTU", ra(0), []wire.NDOptionRepr{mtu(1501)}, Parameters{}, 1},
		{"much more than the link's MTU", ra(0), []wire.NDOptionRepr{mtu(math.MaxUint32)}, Parameters{}, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := quiet(t)
			s.recv(routerA, row.ra, row.options...)
			require.Equal(t, row.want, s.host.Parameters())
			require.Equal(t, row.want != Parameters{}, len(s.events) == 1, "the link is told if there is something to tell")
			require.Equal(t, row.ignored, s.host.Counters().Ignored)
			s.forget()
			s.recv(routerA, row.ra, row.options...)
			s.wantIdle("the same again is no news")
			s.recv(routerA, ra(0))
			require.Equal(t, row.want, s.host.Parameters(), "what is not said again still holds")
		})
	}
}

func TestParametersAreForgotten(t *testing.T) {
	s := quiet(t)
	s.recv(routerA, wire.NDRouterAdvertisementRepr{HopLimit: 9}, &wire.NDMTURepr{MTU: 1300})
	s.want("both at once", "mtu 1300 hop limit 9 reachable 0s retransmit 0s")
	s.host.Stop(s.now)
	require.Contains(t, s.events, "mtu 0 hop limit 0 reachable 0s retransmit 0s")
}

// TestFlags: DHCPv6 is begun when a router says so for the first time, and then goes on.
func TestFlags(t *testing.T) {
	s := started(t)
	flags := func(managed, other bool) wire.NDRouterAdvertisementRepr {
		return wire.NDRouterAdvertisementRepr{Managed: managed, Other: other}
	}
	s.recv(routerA, flags(false, false))
	s.want("a router says that there is none", "managed false other false")
	s.recv(routerA, flags(false, true))
	s.want("it is switched on", "managed false other true")
	s.recv(routerA, flags(false, false))
	s.wantIdle("it goes on")
	s.recv(routerB, flags(true, false))
	s.want("another router says more", "managed true other true")
	s.recv(routerB, flags(true, true))
	s.wantIdle("no news")
	s.host.Stop(s.now)
	s.host.Start(s.now)
	s.forget()
	s.recv(routerA, flags(true, false))
	s.want("anew", "managed true other false")
}

// TestServers goes through what an advertisement can say of name servers and domains.
func TestServers(t *testing.T) {
	const changed = "servers changed"
	in := func(s *script, d time.Duration) int64 { return s.now + int64(d) }
	one, two := ip("2001:db8::1"), ip("fe80::53")
	for _, row := range []struct {
		name    string
		options []wire.NDOptionRepr
		wait    time.Duration
		servers func(s *script) []Server
		domains func(s *script) []Domain
		want    []string
	}{
		{"new", []wire.NDOptionRepr{rdnss(time.Hour, "2001:db8::1", "fe80::53"), dnssl(time.Minute, "example.com")}, 0,
			func(s *script) []Server { return []Server{{one, in(s, time.Hour)}, {two, in(s, time.Hour)}} },
			func(s *script) []Domain { return []Domain{{"example.com", in(s, time.Minute)}} }, []string{changed}},
		{"without end", []wire.NDOptionRepr{rdnss(infinite, "2001:db8::1"), dnssl(infinite, "example.com")}, 1000 * day,
			func(s *script) []Server { return []Server{{one, timer.Never}} },
			func(s *script) []Domain { return []Domain{{"example.com", timer.Never}} }, []string{changed}},
		{"over", []wire.NDOptionRepr{rdnss(time.Hour, "2001:db8::1"), dnssl(time.Hour, "example.com")}, time.Hour,
			nil, nil, []string{changed, changed}},
		{"over, one after the other", []wire.NDOptionRepr{rdnss(time.Hour, "2001:db8::1"), dnssl(time.Minute, "example.com")}, time.Hour,
			nil, nil, []string{changed, changed, changed}},
		{"extended", []wire.NDOptionRepr{rdnss(time.Minute, "2001:db8::1"), rdnss(time.Hour, "2001:db8::1"),
			dnssl(time.Minute, "example.com"), dnssl(time.Hour, "EXAMPLE.com")}, 0,
			func(s *script) []Server { return []Server{{one, in(s, time.Hour)}} },
			func(s *script) []Domain { return []Domain{{"example.com", in(s, time.Hour)}} }, []string{changed}},
		{"lifetime zero", []wire.NDOptionRepr{rdnss(time.Hour, "2001:db8::1", "fe80::53"), rdnss(0, "2001:db8::1"),
			dnssl(time.Hour, "example.com", "example.net"), dnssl(0, "Example.Com")}, 0,
			func(s *script) []Server { return []Server{{two, in(s, time.Hour)}} },
			func(s *script) []Domain { return []Domain{{"example.net", in(s, time.Hour)}} }, []string{changed}},
		{"lifetime zero, unknown", []wire.NDOptionRepr{rdnss(0, "2001:db8::1"), dnssl(0, "example.com")}, 0, nil, nil, nil},
		{"addresses that are no server's", []wire.NDOptionRepr{rdnss(time.Hour, "::", "::1", "ff02::1", "::ffff:192.0.2.1")}, 0,
			nil, nil, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := quiet(t)
			s.recv(routerA, ra(0), row.options...)
			s.advance(row.wait)
			var servers []Server
			var domains []Domain
			if row.servers != nil {
				servers, domains = row.servers(s), row.domains(s)
			}
			require.Equal(t, servers, append([]Server(nil), s.host.Servers()...))
			require.Equal(t, domains, append([]Domain(nil), s.host.Domains()...))
			require.Equal(t, row.want, s.events)
			s.forget()
			s.host.Stop(s.now)
			require.Equal(t, len(servers) > 0, len(s.events) == 3, "they are forgotten, besides the router")
		})
	}
}

func TestServersAreBounded(t *testing.T) {
	s := quiet(t, func(c *Config) { c.Limits.Servers, c.Limits.Domains = 2, 2 })
	s.recv(routerA, ra(0), rdnss(time.Hour, "2001:db8::1", "2001:db8::2"), dnssl(time.Hour, "a.example", "b.example"))
	s.forget()
	for i := range 100 {
		r := rdnss(infinite)
		r.Servers = []netip.Addr{netip.AddrFrom16([16]byte{0: 0x20, 15: byte(i)})}
		s.recv(routerB, ra(0), r, dnssl(infinite, "c.example"))
	}
	s.wantIdle("a flood pushes out nothing")
	require.Len(t, s.host.Servers(), 2)
	require.EqualValues(t, 200, s.host.Counters().Refused)
}

func TestMalformedOptionsAreSkipped(t *testing.T) {
	s := quiet(t)
	r := ra(0)
	r.Options = wire.NDOptions{
		wire.NDOptionMTU, 2, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, // too long
		wire.NDOptionPrefixInformation, 1, 64, 0xc0, 0, 0, 0, 9,
		wire.NDOptionRDNSS, 1, 0, 0, 0, 0, 0, 9,
		wire.NDOptionDNSSL, 1, 0, 0, 0, 0, 0, 9,
		wire.NDOptionRouteInformation, 1, 129, 0, 0, 0, 0, 9,
		200, 1, 0, 0, 0, 0, 0, 0, // of a type that nobody knows
	}
	s.recv(routerA, r, onLink(home, time.Hour))
	s.want("the rest is good", "route 2001:db8:1::/64 metric 256", "prefixes changed")
	require.EqualValues(t, 5, s.host.Counters().Ignored)
}

func TestNotRunning(t *testing.T) {
	s := newScript(t)
	s.recv(routerA, ra(time.Hour), pio(home, time.Hour, time.Hour))
	s.wantIdle("before Start")
	s.host.Start(s.now)
	s.host.Stop(s.now)
	s.recv(routerA, ra(time.Hour), pio(home, time.Hour, time.Hour))
	s.advance(day)
	s.wantIdle("after Stop")
	require.Equal(t, timer.Never, s.timers.Next())
}

func TestConfig(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no timers", func(c *Config) { c.Timers = nil }, "required"},
		{"no link", func(c *Config) { c.Link = nil }, "required"},
		{"no random numbers", func(c *Config) { c.Rand = nil }, "required"},
		{"MTU", func(c *Config) { c.MTU = 1279 }, "MTU 1279"},
		{"secret", func(c *Config) { c.Secret = make([]byte, 15) }, "15 octets"},
		{"negative limit", func(c *Config) { c.Limits.Servers = -1 }, "Limits.Servers -1"},
		{"one router", func(c *Config) { c.Limits.Routers = 1 }, "Limits.Routers 1"},
		{"preferred for too short", func(c *Config) { c.TemporaryPreferred = time.Second }, "TemporaryPreferred 1s"},
		{"preferred for too long", func(c *Config) { c.TemporaryPreferred = 1000 * day }, "TemporaryPreferred 24000h"},
		{"valid for much longer than preferred", func(c *Config) { c.TemporaryValid = 3 * day }, "TemporaryValid 72h"},
		{"valid for less than preferred", func(c *Config) { c.TemporaryValid = time.Hour }, "TemporaryValid 1h"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			cfg := s.host.cfg
			cfg.TemporaryPreferred, cfg.TemporaryValid = 0, 0
			row.change(&cfg)
			_, err := New(cfg)
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, row.want)
		})
	}
}

// FuzzAdvertisement: whatever routers say, nothing that is learnt exceeds its bound, and time goes on.
func FuzzAdvertisement(f *testing.F) {
	r := ra(time.Hour)
	for _, option := range []wire.NDOptionRepr{pio(home, time.Hour, day), rio(office, 1, time.Hour), rdnss(time.Hour, "2001:db8::1"),
		dnssl(time.Hour, "example.com"), &wire.NDMTURepr{MTU: 1400}} {
		r.Options = r.Options.Append(option)
	}
	b := make([]byte, r.Len())
	r.Emit(b, routerA, ip("ff02::1"))
	f.Add(b, b[:16], uint16(7200))
	f.Fuzz(func(t *testing.T, first, second []byte, seconds uint16) {
		s := quiet(t, temporary)
		for i, message := range [][]byte{first, second, first, second} {
			var r wire.NDRouterAdvertisementRepr
			if r.Parse(message) == nil {
				s.recv([]netip.Addr{routerA, routerB, routerB, routerA}[i], r)
			}
			limits := s.host.cfg.Limits
			require.LessOrEqual(t, len(s.host.Routers()), limits.Routers)
			require.LessOrEqual(t, len(s.host.Prefixes()), limits.Prefixes)
			require.LessOrEqual(t, len(s.host.routes), limits.Routers+limits.Routes)
			require.LessOrEqual(t, len(s.host.Servers()), limits.Servers)
			require.LessOrEqual(t, len(s.host.Domains()), limits.Domains)
			require.LessOrEqual(t, len(s.addresses), limits.Prefixes*(1+maxTemporaries))
			s.advance(time.Duration(seconds) * time.Second)
		}
		s.host.Stop(s.now)
		require.Empty(t, s.addresses)
		require.Empty(t, s.routes)
		require.Equal(t, timer.Never, s.timers.Next())
	})
}
