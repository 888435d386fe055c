package registration

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

func TestAdvertisementsAreDelayed(t *testing.T) {
	s := newRouterScript(t)
	s.random = []uint64{uint64(2*time.Second) - 1}
	require.Equal(t, CauseNone, s.router.Solicited(s.now, linkLocal, linkAddr))
	require.Equal(t, CauseNone, s.router.Solicited(s.now, linkLocal, linkAddr), "it will have its answer")
	s.advance(2*time.Second - 2)
	s.wantIdle("up to two seconds")
	s.advance(1)
	s.want("once", "advertise to fe80::11:2233:4455:660b at 02:11:22:33:44:55:66:0b")
	s.advance(time.Hour)
	s.wantIdle("nobody asks")
	require.Equal(t, timer.Never, s.timers.Next())
}

func TestWhoDoesNotSayItsAddressIsAnsweredWithAllOthers(t *testing.T) {
	s := newRouterScript(t)
	for range 5 {
		require.Equal(t, CauseNone, s.router.Solicited(s.now, netip.IPv6Unspecified(), wire.LinkAddr{}))
		s.advance(time.Second)
	}
	s.want("at first at once", "advertise to ff02::1 at none")
	s.advance(9*time.Second - 1 - 4*time.Second)
	s.wantIdle("then no sooner than after ten seconds")
	s.advance(1)
	s.want("but then", "advertise to ff02::1 at none")
}

func TestSolicitorsAreBounded(t *testing.T) {
	s := newRouterScript(t)
	for i := range 1000 {
		s.router.Solicited(s.now, ip(fmt.Sprintf("fe80::%x", i+1)), linkAddr)
	}
	require.Equal(t, uint64(1000-DefaultMaxSolicitors), s.router.Counters().Refused[CauseFull])
	s.advance(0)
	require.Len(t, s.events, DefaultMaxSolicitors+1)
	require.Equal(t, "advertise to ff02::1 at none", s.events[DefaultMaxSolicitors], "for the others")
	require.Equal(t, CauseNone, s.router.Solicited(s.now, linkLocal, linkAddr), "there is room again")
}

func TestAdvertisementsUnaskedFor(t *testing.T) {
	s := newRouterScript(t, func(cfg *RouterConfig) { cfg.Interval = time.Minute })
	for range 3 {
		s.advance(0)
		s.want("at once, and then every minute", "advertise to ff02::1 at none")
		s.advance(time.Minute - 1)
		s.wantIdle("not before")
		s.advance(1)
		s.want("the next", "advertise to ff02::1 at none")
		s.advance(time.Minute)
	}
	s.forget()
	s.router.Stop(s.now)
	s.advance(time.Hour)
	s.wantIdle("it has stopped")
	require.Equal(t, CauseUnasked, s.router.Solicited(s.now, linkLocal, linkAddr))
}

func TestWhatIsAdvertised(t *testing.T) {
	s := newRouterScript(t, func(cfg *RouterConfig) {
		cfg.RouterLifetime, cfg.HopLimit, cfg.Reachable, cfg.Retransmit = time.Hour, 64, time.Minute, 2*time.Second
		cfg.MTU, cfg.Version, cfg.InformationLifetime = 1280, 0x10000, time.Hour
		cfg.Prefixes = append(cfg.Prefixes, Prefix{netip.MustParsePrefix("2001:db8:1::1/64"), time.Hour, 2 * time.Hour})
		cfg.Options = wire.NDOptions{}.Append(&wire.NDRDNSSRepr{Lifetime: time.Hour, Servers: []netip.Addr{border}})
	})
	ra := s.router.Advertisement(s.now)
	require.Equal(t, time.Hour, ra.RouterLifetime)
	require.Equal(t, uint8(64), ra.HopLimit)
	require.Equal(t, "border router 2001:db8::1, version 65536, lifetime 60m; "+
		"prefix info 2001:db8::/64, Flags [auto], valid time infinity, pref. time infinity; "+
		"prefix info 2001:db8:1::/64, Flags [auto], valid time 7200s, pref. time 3600s; "+
		"context 0 2001:db8::/64, compress, lifetime 600m; mtu 1280; capabilities LBE; "+
		"rdnss lifetime 3600s, addr: 2001:db8::1", ra.Options.String())
}

func TestNewContextIsForDecompressionFirst(t *testing.T) {
	s := newRouterScript(t)
	contexts := []wire.NDContextRepr{
		*context(0, "2001:db8::/64", true, 10*time.Hour), *context(1, "2001:db8::1/128", true, 10*time.Hour),
	}
	require.NoError(t, s.router.SetInformation(s.now, []Prefix{{Prefix: prefix}}, contexts))
	require.Equal(t, uint32(1), s.router.Version())
	said := func() string { ra := s.router.Advertisement(s.now); return ra.Options.String() }
	require.Contains(t, said(), "version 1, ")
	require.Contains(t, said(), "context 0 2001:db8::/64, compress, ")
	require.Contains(t, said(), "context 1 2001:db8::1/128, decompress, ")
	require.Equal(t, []Context{
		{0, netip.MustParsePrefix("2001:db8::/64"), true, timer.Never}, {1, netip.MustParsePrefix("2001:db8::1/128"), false, timer.Never},
	}, s.router.Contexts(s.now), "nor does the router compress by it")
	s.advance(5 * time.Minute)
	require.Contains(t, said(), "context 1 2001:db8::1/128, compress, ", "all have had time to hear of it")
	require.True(t, s.router.Contexts(s.now)[1].Compress)

	require.ErrorIs(t, s.router.SetInformation(s.now, nil, append(contexts, contexts[0])), ErrInvalid)
	require.Equal(t, uint32(1), s.router.Version(), "nothing has changed")
	contexts[0].Lifetime = 0
	require.NoError(t, s.router.SetInformation(s.now, nil, contexts))
	require.Contains(t, said(), "context 0 2001:db8::/64, compress, lifetime 0m")
	require.Len(t, s.router.Contexts(s.now), 1, "that is to be forgotten")
}

func TestRegistrationAndRenewal(t *testing.T) {
	s := newRouterScript(t)
	s.recv("new", aro(global, owner, linkAddr, time.Hour), CauseNone)
	s.want("a neighbour",
		"neighbour 2001:db8::11:2233:4455:660b at 02:11:22:33:44:55:66:0b for 1h0m0s",
		"reply to 2001:db8::11:2233:4455:660b at 02:11:22:33:44:55:66:0b: success")
	require.Equal(t, []netip.Addr{global}, s.probed, "it is asked to answer")
	s.router.Confirmed(global)
	s.advance(40 * time.Minute)
	s.recv("renewed", aro(global, owner, linkAddr, time.Hour), CauseNone)
	s.want("that is no news", "reply to 2001:db8::11:2233:4455:660b at 02:11:22:33:44:55:66:0b: success")
	require.Len(t, s.probed, 1, "it has answered")
	s.advance(time.Hour - 1)
	s.wantIdle("it holds for another hour")
	require.Len(t, s.router.Registrations(), 1)
	s.advance(1)
	s.want("and no longer", "no neighbour 2001:db8::11:2233:4455:660b")

	s.recv("back", aro(global, owner, linkAddr, time.Hour), CauseNone)
	s.forget()
	s.recv("with another radio", aro(global, owner, wire.ShortAddr(7), time.Hour), CauseNone)
	s.want("it is found there",
		"neighbour 2001:db8::11:2233:4455:660b at 0x0007 for 1h0m0s", "reply to 2001:db8::11:2233:4455:660b at 0x0007: success")
	registration, ok := s.router.Lookup(global)
	require.True(t, ok)
	require.Equal(t, s.known[global].LinkAddr, registration.LinkAddr)
	require.Len(t, s.router.registry.perLinkAddr, 1)
}

func TestRegistrationIsEnded(t *testing.T) {
	s := newRouterScript(t)
	s.recv("there is none", aro(global, owner, linkAddr, 0), CauseNone)
	s.want("that is well", "reply to 2001:db8::11:2233:4455:660b at 02:11:22:33:44:55:66:0b: success")
	s.recv("one", aro(global, owner, linkAddr, time.Hour), CauseNone)
	s.forget()
	s.recv("by somebody else", aro(global, stranger, linkAddr, 0), CauseDuplicate)
	s.forget()
	s.recv("by its owner", aro(global, owner, linkAddr, 0), CauseNone)
	s.want("it is gone",
		"no neighbour 2001:db8::11:2233:4455:660b", "reply to 2001:db8::11:2233:4455:660b at 02:11:22:33:44:55:66:0b: success")
	require.Empty(t, s.router.registry.perLinkAddr)
	require.Zero(t, s.router.registry.probation.Len())
	require.Equal(t, timer.Never, s.timers.Next())
	_, ok := s.router.Lookup(global)
	require.False(t, ok)

	s.recv("one", aro(global, owner, linkAddr, time.Hour), CauseNone)
	s.forget()
	s.router.Remove(s.now, global)
	s.router.Remove(s.now, global)
	s.want("by the router's owner", "no neighbour 2001:db8::11:2233:4455:660b")
}

func TestDuplicateIsToldItsEUI64(t *testing.T) {
	s := newRouterScript(t)
	s.recv("the first", aro(global, owner, linkAddr, time.Hour), CauseNone)
	s.forget()
	s.recv("another", aro(global, stranger, linkAddr, time.Hour), CauseDuplicate)
	s.want("not sent where the first would get it", "reply to fe80::9:0:0:0 at 02:09:00:00:00:00:00:00: duplicate address")
	require.Equal(t, routerA, s.reply.Target)
	registration, _ := s.router.Lookup(global)
	require.Equal(t, owner, registration.Owner)
	s.recv("the router's own", aro(border, owner, linkAddr, time.Hour), CauseDuplicate)
	s.want("likewise", "reply to fe80::11:2233:4455:660b at 02:11:22:33:44:55:66:0b: duplicate address")
}

func TestRegistrationsOfOtherPrefixes(t *testing.T) {
	s := newRouterScript(t)
	s.recv("a link-local address", aro(ip("fe80::7"), owner, linkAddr, time.Hour), CauseNone)
	s.forget()
	s.recv("somebody else's", aro(ip("2001:db8:9::1"), owner, linkAddr, time.Hour), CauseOffPrefix)
	s.want("it is not of this network", "reply to fe80::11:2233:4455:660b at 02:11:22:33:44:55:66:0b: topologically incorrect")
}

func TestSolicitationsThatRegisterNothing(t *testing.T) {
	status := wire.NDOption(wire.NDOptions{}.Append(&wire.NDAddressRegistrationRepr{
		Owner: owner, Lifetime: time.Hour, Status: wire.RegistrationDuplicate}))
	for _, test := range []struct {
		name   string
		change func(*Solicitation)
		want   Cause
	}{
		{"unspecified source", func(s *Solicitation) { s.Source = netip.IPv6Unspecified() }, CauseUnspecified},
		{"no link-layer address", func(s *Solicitation) { s.LinkAddr = wire.LinkAddr{} }, CauseUnspecified},
		{"a group's link-layer address", func(s *Solicitation) { s.LinkAddr = wire.BroadcastShortAddr }, CauseMalformed},
		{"by multicast", func(s *Solicitation) { s.Destination = ip("ff02::1:ff55:660a") }, CauseMalformed},
		{"multicast source", func(s *Solicitation) { s.Source = ip("ff02::1") }, CauseMalformed},
		{"a status", func(s *Solicitation) { s.Option = status }, CauseStatus},
		{"length of 3", func(s *Solicitation) { s.Option = unhex("2103 0000 0000 003c 0000000000000000 0000000000000000") }, CauseMalformed},
		{"no option", func(s *Solicitation) { s.Option = nil }, CauseMalformed},
		{"a loopback address", func(s *Solicitation) { *s = earo(linkLocal, ip("::1"), owner, 240, time.Hour) }, CauseMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newRouterScript(t)
			solicitation := aro(global, owner, linkAddr, time.Hour)
			test.change(&solicitation)
			cause, replied := s.router.Requested(s.now, solicitation)
			require.Equal(t, test.want.String(), cause.String())
			require.False(t, replied)
			s.wantIdle("silently ignored")
			require.Equal(t, uint64(1), s.router.Counters().Refused[test.want])
		})
	}
}

func TestExtendedRequests(t *testing.T) {
	s := newRouterScript(t)
	s.recv("first the link-local address", earo(linkLocal, linkLocal, owner, 240, time.Hour), CauseNone)
	s.forget()
	s.recv("then others from there", earo(linkLocal, global, owner, 240, time.Hour), CauseNone)
	s.want("the target is registered",
		"neighbour 2001:db8::11:2233:4455:660b at 02:11:22:33:44:55:66:0b for 1h0m0s",
		"reply to fe80::11:2233:4455:660b at 02:11:22:33:44:55:66:0b: success")
	require.Equal(t, global, s.reply.Target)
	require.Equal(t, uint8(240), s.reply.Option.TID)

	s.recv("repeated", earo(linkLocal, global, owner, 240, time.Hour), CauseNone)
	s.recv("renewed", earo(linkLocal, global, owner, 241, time.Hour), CauseNone)
	s.forget()
	s.recv("older", earo(linkLocal, global, owner, 240, 0), CauseMoved)
	s.want("that was long ago", "reply to fe80::11:2233:4455:660b at 02:11:22:33:44:55:66:0b: moved")
	s.recv("somebody else's", earo(linkLocal, global, stranger, 0, time.Hour), CauseSource)
	s.want("who uses the first's address, too", "reply to fe80::11:2233:4455:660b at 02:11:22:33:44:55:66:0b: duplicate source address")
	duplicate := earo(ip("fe80::9:0:0:0"), global, stranger, 0, time.Hour)
	duplicate.LinkAddr = wire.ExtendedAddr([8]byte{2, 9})
	s.recv("or an own one", duplicate, CauseDuplicate)
	s.want("the address is taken", "reply to fe80::9:0:0:0 at 02:09:00:00:00:00:00:00: duplicate address")

	s.recv("from a global address", earo(other, global, owner, 242, time.Hour), CauseSource)
	s.want("that is not how it is done", "reply to 2001:db8::2 at 02:11:22:33:44:55:66:0b: invalid source address")
	s.recv("from a link-local one of nobody's", earo(ip("fe80::9"), global, owner, 242, time.Hour), CauseSource)
	s.want("nor this", "reply to fe80::9 at 02:11:22:33:44:55:66:0b: invalid source address")

	s.recv("at an end", earo(linkLocal, global, owner, 242, 0), CauseNone)
	s.want("and gone", "no neighbour 2001:db8::11:2233:4455:660b", "reply to fe80::11:2233:4455:660b at 02:11:22:33:44:55:66:0b: success")
}

func TestExtendedRequestOfOneWhoDoesNotKnowTheRouter(t *testing.T) {
	s := newRouterScript(t)
	s.recv("the target is the router", earo(global, routerA, owner, 240, time.Hour), CauseNone)
	s.want("so the source is registered",
		"neighbour 2001:db8::11:2233:4455:660b at 02:11:22:33:44:55:66:0b for 1h0m0s",
		"reply to 2001:db8::11:2233:4455:660b at 02:11:22:33:44:55:66:0b: success")
	require.Equal(t, routerA, s.reply.Target)
	s.recv("older", earo(global, routerA, owner, 239, time.Hour), CauseMoved)
	s.recv("without order", aro(global, owner, linkAddr, time.Hour), CauseNone)
}

func TestLinkAddrHasItsShare(t *testing.T) {
	s := newRouterScript(t)
	address := func(i int) netip.Addr { return ip(fmt.Sprintf("2001:db8::1:%x", i)) }
	for i := range DefaultMaxPerLinkAddr {
		s.recv("its share", aro(address(i), owner, linkAddr, time.Hour), CauseNone)
		if i > 0 {
			s.router.Confirmed(address(i))
		}
	}
	require.Len(t, s.probed, DefaultMaxPerLinkAddr, "each is asked to answer")
	s.forget()
	s.recv("one more", aro(address(100), owner, linkAddr, time.Hour), CauseNone)
	require.Contains(t, s.events, "no neighbour 2001:db8::1:0", "in place of the one that has not answered")
	s.router.Confirmed(address(100))
	s.forget()
	s.recv("and one more", aro(address(101), owner, linkAddr, time.Hour), CauseFull)
	s.want("all have answered", "reply to fe80::11:2233:4455:660b at 02:11:22:33:44:55:66:0b: neighbor cache full")
	s.recv("somebody else", aro(address(101), owner, wire.ShortAddr(1), time.Hour), CauseNone)
	s.recv("one of them again", aro(address(5), owner, linkAddr, time.Hour), CauseNone)
	s.recv("the other moves in", aro(address(101), owner, linkAddr, time.Hour), CauseFull)
	require.Len(t, s.known, DefaultMaxPerLinkAddr+1)
}

// TestFloodOfRegistrations has everything made up: addresses, owners and link-layer addresses. It costs no more memory than the
// registry has room for, and pushes out only its like: who has answered since it registered, as it is asked to, stays.
func TestFloodOfRegistrations(t *testing.T) {
	s := newRouterScript(t)
	flood := func(from, to int) {
		for i := from; i < to; i++ {
			e := [8]byte{2, 0xff, 0, 0, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
			at := wire.ExtendedAddr(e)
			addr := prefix.Addr().As16()
			id := at.InterfaceID()
			copy(addr[8:], id[:])
			cause, _ := s.router.Requested(s.now, aro(netip.AddrFrom16(addr), wire.EUI64ROVR(e), at, 18*time.Hour))
			if cause != CauseNone || len(s.known) > DefaultMaxRegistrations {
				t.Fatalf("%v: %v, with %d known", at, cause, len(s.known))
			}
			s.forget()
		}
	}
	flood(0, 20_000)
	s.probed = nil
	s.recv("one that is there", aro(global, owner, linkAddr, time.Hour), CauseNone)
	require.Equal(t, []netip.Addr{global}, s.probed, "it is asked to answer")
	flood(20_000, 20_000+DefaultMaxRegistrations-1)
	require.Contains(t, s.known, global, "it has as long as that")
	s.router.Confirmed(global)
	flood(30_000, 50_000)
	require.Contains(t, s.known, global)
	s.recv("it is renewed, too", aro(global, owner, linkAddr, time.Hour), CauseNone)

	require.Len(t, s.known, DefaultMaxRegistrations)
	require.Len(t, s.router.registry.entries, DefaultMaxRegistrations)
	require.Len(t, s.router.registry.perLinkAddr, DefaultMaxRegistrations)
	require.Equal(t, DefaultMaxRegistrations-1, s.router.registry.probation.Len())
	timers := 0
	for ; s.timers.Next() != timer.Never; timers++ {
		s.now = s.timers.Next()
		s.timers.Expire(s.now, 1)
	}
	require.Equal(t, DefaultMaxRegistrations, timers, "nothing is left of the others")
	require.Empty(t, s.known)
}

func TestRegistryFullOfThoseThatAnswer(t *testing.T) {
	s := newRouterScript(t, func(cfg *RouterConfig) { cfg.Registrations = 2 })
	for _, addr := range []netip.Addr{global, other} {
		s.recv("room", aro(addr, owner, linkAddr, time.Hour), CauseNone)
		s.router.Confirmed(addr)
	}
	s.forget()
	s.recv("no more", aro(ip("2001:db8::3"), owner, linkAddr, time.Hour), CauseFull)
	s.want("it may try another router", "reply to fe80::11:2233:4455:660b at 02:11:22:33:44:55:66:0b: neighbor cache full")
}

func TestStoppedRouterForgets(t *testing.T) {
	s := newRouterScript(t)
	s.recv("one", aro(global, owner, linkAddr, time.Hour), CauseNone)
	s.recv("another", aro(other, owner, linkAddr, time.Hour), CauseNone)
	s.forget()
	s.router.Stop(s.now)
	s.want("all", "no neighbour 2001:db8::2", "no neighbour 2001:db8::11:2233:4455:660b")
	require.Equal(t, timer.Never, s.timers.Next())
	s.recv("after that", aro(global, owner, linkAddr, time.Hour), CauseMalformed)
}

func TestRouterConfig(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*RouterConfig)
		names  string
	}{
		{"no owner", func(c *RouterConfig) { c.Owner = nil }, "Owner"},
		{"MTU too small", func(c *RouterConfig) { c.MTU = 1279 }, "MTU 1279"},
		{"border router of IPv4", func(c *RouterConfig) { c.BorderRouter = ip("10.0.0.1") }, "BorderRouter 10.0.0.1"},
		{"too many advertisements", func(c *RouterConfig) { c.Interval = time.Second }, "Interval 1s"},
		{"router lifetime beyond its field", func(c *RouterConfig) { c.RouterLifetime = 19 * time.Hour }, "RouterLifetime 19h"},
		{"no solicitors", func(c *RouterConfig) { c.Solicitors = -1 }, "Solicitors -1"},
		{"prefix of 63 bits", func(c *RouterConfig) { c.Prefixes = []Prefix{{Prefix: netip.MustParsePrefix("2001:db8::/63")}} }, "2001:db8::/63"},
		{"link-local prefix", func(c *RouterConfig) { c.Prefixes = []Prefix{{Prefix: netip.MustParsePrefix("fe80::/64")}} }, "fe80::/64"},
		{"preferred longer than valid", func(c *RouterConfig) { c.Prefixes = []Prefix{{prefix, 0, time.Hour}} }, "preferred for 0s"},
		{"too many prefixes", func(c *RouterConfig) { c.Prefixes = make([]Prefix, 9) }, "9 prefixes"},
		{"context 16", func(c *RouterConfig) { c.Contexts = []wire.NDContextRepr{*context(16, "2001:db8::/64", true, 0)} }, "context 16"},
		{"context of IPv4", func(c *RouterConfig) { c.Contexts = []wire.NDContextRepr{*context(1, "10.0.0.0/8", true, 0)} }, "10.0.0.0/8"},
		{"lifetime beyond its field", func(c *RouterConfig) {
			c.Contexts = []wire.NDContextRepr{*context(1, "2001:db8::/64", true, 1<<62)}
		}, "context 1: lifetime"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &routerScript{}
			cfg := RouterConfig{Timers: &s.timers, Owner: s, Rand: s.rand}
			test.change(&cfg)
			_, err := NewRouter(cfg)
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, test.names)
		})
	}
}

func TestCauseNames(t *testing.T) {
	for c := range causes {
		require.NotEmpty(t, c.String())
	}
	require.Equal(t, "cause 200", Cause(200).String())
}
