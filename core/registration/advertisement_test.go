package registration

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

func context(id uint8, prefix string, compress bool, lifetime time.Duration) *wire.NDContextRepr {
	return &wire.NDContextRepr{ID: id, Prefix: netip.MustParsePrefix(prefix), Compress: compress, Lifetime: lifetime}
}

func pio(prefix string) *wire.NDPrefixInformationRepr {
	return &wire.NDPrefixInformationRepr{
		Prefix: netip.MustParsePrefix(prefix), Autonomous: true, ValidLifetime: infinite, PreferredLifetime: infinite,
	}
}

func abro(router string, version uint32) *wire.NDBorderRouterRepr {
	return &wire.NDBorderRouterRepr{Router: ip(router), Version: version, Lifetime: time.Hour}
}

func TestContexts(t *testing.T) {
	s := newHostScript(t)
	s.ra(routerA, time.Hour, context(0, "2001:db8::/64", true, 20*time.Hour), context(15, "2001:db8::1/128", false, 30*time.Hour))
	s.want("two", "contexts 0 2001:db8::/64 compress 15 2001:db8::1/128 decompress")
	s.ra(routerA, time.Hour, context(0, "2001:db8::/64", true, 20*time.Hour))
	s.wantIdle("no news")
	s.ra(routerA, time.Hour, context(15, "2001:db8::1/128", true, 30*time.Hour))
	s.want("now everybody knows it", "contexts 0 2001:db8::/64 compress 15 2001:db8::1/128 compress")
	s.ra(routerA, time.Hour, context(15, "2001:db8::2/128", true, 30*time.Hour))
	s.want("another prefix", "contexts 0 2001:db8::/64 compress 15 2001:db8::2/128 compress")
	s.ra(routerA, time.Hour, context(0, "2001:db8::/64", true, 0))
	s.want("no lifetime: at once", "contexts 15 2001:db8::2/128 compress")
	require.Equal(t, []Context{{15, netip.MustParsePrefix("2001:db8::2/128"), true, s.now + int64(30*time.Hour)}}, s.host.Contexts())
}

func TestContextOutlivesItsLifetimeForDecompression(t *testing.T) {
	s := newHostScript(t)
	s.ra(routerA, time.Hour, context(1, "2001:db8::/64", true, 10*time.Minute))
	s.forget()
	s.host.SetRouters(s.now, nil)
	s.advance(10*time.Minute - 1)
	s.wantIdle("its lifetime")
	s.advance(1)
	s.want("others may not know yet", "contexts 1 2001:db8::/64 decompress")
	s.advance(2*time.Hour - 1)
	s.wantIdle("twice the router's lifetime")
	s.advance(1)
	s.want("that is all", "contexts")
	require.Nil(t, s.host.Contexts())
}

func TestFadingContextComesBack(t *testing.T) {
	s := newHostScript(t)
	s.ra(routerA, time.Hour, context(1, "2001:db8::/64", true, 10*time.Minute))
	s.advance(time.Hour)
	s.forget()
	s.ra(routerA, time.Hour, context(1, "2001:db8::/64", true, 10*time.Minute))
	s.want("heard of again", "contexts 1 2001:db8::/64 compress")
}

func TestOlderVersionsAreIgnored(t *testing.T) {
	for _, test := range []struct {
		name        string
		first, then uint32
		fresh       bool
	}{
		{"the same", 7, 7, true},
		{"newer", 7, 8, true},
		{"older", 7, 6, false},
		{"newer, after all numbers", 0xffffffff, 0, true},
		{"older, before that", 0, 0xffffffff, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newHostScript(t)
			s.ra(routerA, infinite, abro("2001:db8::1", test.first), context(0, "2001:db8::/64", true, time.Hour))
			s.forget()
			mtu := &wire.NDMTURepr{MTU: 1280}
			r := s.ra(routerB, infinite, mtu, pio("2001:db8:1::/64"), context(0, "2001:db8:1::/64", true, time.Hour),
				abro("2001:db8::1", test.then), mtu)
			_, kept := r.Options.Find(wire.NDOptionPrefixInformation)
			require.Equal(t, test.fresh, kept)
			if test.fresh {
				s.want("it is taken", "contexts 0 2001:db8:1::/64 compress")
				return
			}
			s.wantIdle("contexts are ignored")
			require.Equal(t, uint64(1), s.host.Counters().Refused[CauseStale])
			require.Equal(t, "mtu 1280; context 0 2001:db8:1::/64, compress, lifetime 60m; "+
				fmt.Sprintf("border router 2001:db8::1, version %d, lifetime 60m; mtu 1280", test.then), r.Options.String())
			s.ra(routerB, infinite, abro("2001:db8::9", test.then), context(0, "2001:db8:2::/64", true, time.Hour))
			s.want("another border router has its own", "contexts 0 2001:db8:2::/64 compress")
		})
	}
}

func TestVersionIsForgotten(t *testing.T) {
	s := newHostScript(t)
	s.ra(routerA, infinite, abro("2001:db8::1", 7))
	s.advance(time.Hour)
	s.forget()
	s.ra(routerA, infinite, abro("2001:db8::1", 1), context(0, "2001:db8::/64", true, time.Hour))
	s.want("its lifetime is over", "contexts 0 2001:db8::/64 compress")
}

func TestBorderRoutersAreBounded(t *testing.T) {
	s := newHostScript(t)
	for i := range 100 {
		s.ra(routerA, infinite, abro(fmt.Sprintf("2001:db8::1:%x", i), 1), context(uint8(i&15), "2001:db8::/64", true, time.Hour))
	}
	require.Len(t, s.host.border, DefaultMaxBorder)
	require.Len(t, s.host.Contexts(), DefaultMaxBorder, "of others nothing is taken")
	require.Equal(t, uint64(96), s.host.Counters().Refused[CauseFull])
}

func TestOptionsThatAreNotListenedTo(t *testing.T) {
	s := newHostScript(t)
	onLink := pio("2001:db8::/64")
	onLink.OnLink = true
	r := s.ra(routerA, infinite, onLink, pio("2001:db8:1::/64"))
	require.Equal(t, "prefix info 2001:db8:1::/64, Flags [auto], valid time infinity, pref. time infinity", r.Options.String())
	require.Equal(t, uint64(1), s.host.Counters().Refused[CauseMalformed])

	for _, test := range []struct{ name, options string }{
		{"context of 129 bits", "2203 8110 0000 003c 20010db8000000000000000000000000"},
		{"capabilities of 16 octets", "2402 0002 00000000 0000000000000000"},
		{"border router that is multicast", "2303 0000 0000 003c ff020000000000000000000000000001"},
	} {
		before := s.host.Counters().Refused[CauseMalformed]
		r := wire.NDRouterAdvertisementRepr{Options: unhex(test.options)}
		s.host.Advertised(s.now, routerA, &r)
		require.Equal(t, before+1, s.host.Counters().Refused[CauseMalformed], test.name)
	}
	s.wantIdle("nothing comes of them")
}

func TestRouterIsAskedBeforeWhatItSaidExpires(t *testing.T) {
	for _, test := range []struct {
		name     string
		lifetime time.Duration
		option   wire.NDOptionRepr
		after    time.Duration
	}{
		{"the router's lifetime", 30 * time.Minute, pio("2001:db8::/64"), 20 * time.Minute},
		{"a context's", 30 * time.Minute, context(0, "2001:db8::/64", true, 15*time.Minute), 10 * time.Minute},
		{"a prefix's", 30 * time.Minute, &wire.NDPrefixInformationRepr{
			Prefix: prefix, Autonomous: true, ValidLifetime: infinite, PreferredLifetime: 3 * time.Minute}, 2 * time.Minute},
		{"hardly any", time.Second, pio("2001:db8::/64"), time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newHostScript(t)
			s.ra(routerA, test.lifetime, test.option)
			s.forget()
			s.advance(test.after - 1)
			s.wantIdle("there is time")
			s.advance(1)
			s.want("by unicast", "solicit A")
			for _, interval := range []time.Duration{10, 10, 20, 40, 60, 60} {
				s.advance(interval*time.Second - 1)
				require.NotContains(t, s.events, "solicit A")
				s.forget()
				s.advance(1)
				require.Contains(t, s.events, "solicit A", "it did not answer")
				s.forget()
			}
			s.ra(routerA, test.lifetime, test.option)
			s.forget()
			s.advance(test.after - 1)
			s.wantIdle("it answered")
			s.host.SetRouters(s.now, nil)
			s.advance(time.Hour)
			require.NotContains(t, s.events, "solicit A", "it is a router no longer")
		})
	}
}
