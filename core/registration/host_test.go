package registration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/slaac"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

func TestRegistrationIsRenewed(t *testing.T) {
	s := registered(t)
	require.Equal(t, []HostRegistration{{global, routerA, int64(time.Hour)}}, s.host.Registrations())
	for range 5 {
		s.advance(40*time.Minute - 1)
		s.wantIdle("two thirds of an hour")
		s.advance(1)
		s.want("it is renewed", "register 2001:db8::11:2233:4455:660b at A")
		require.Equal(t, CauseNone, s.answer(wire.RegistrationSuccess))
		s.wantIdle("that is no news")
	}
	require.Equal(t, uint64(6), s.host.Counters().Registrations)
}

func TestRegistrationIsRenewedSoonerAtRandom(t *testing.T) {
	s := newHostScript(t)
	s.add(global)
	s.ra(routerA, infinite)
	s.random = []uint64{uint64(4 * time.Minute)}
	s.answer(wire.RegistrationSuccess)
	s.forget()
	s.advance(36*time.Minute - 1)
	s.wantIdle("up to a tenth sooner")
	s.advance(1)
	s.want("hosts that began together do not go on together", "register 2001:db8::11:2233:4455:660b at A")
}

func TestRegistrationForLessThanAskedFor(t *testing.T) {
	s := newHostScript(t)
	s.add(global)
	s.ra(routerA, infinite)
	s.answer(wire.RegistrationSuccess, func(_ *Answer, o *wire.NDAddressRegistrationRepr) { o.Lifetime = 3 * time.Minute })
	s.forget()
	s.advance(2 * time.Minute)
	s.want("the router's word holds", "register 2001:db8::11:2233:4455:660b at A")
	s.answer(wire.RegistrationSuccess, func(_ *Answer, o *wire.NDAddressRegistrationRepr) { o.Lifetime = 0 })
	s.want("no time at all is none",
		"A refuses 2001:db8::11:2233:4455:660b: removed", "unregistered 2001:db8::11:2233:4455:660b")
}

func TestAddressesThatAreRegistered(t *testing.T) {
	s := newHostScript(t)
	s.ra(routerA, infinite)
	s.add(linkLocal)
	s.wantIdle("the one that follows from the EUI-64 is not")
	s.add(ip("fe80::1"))
	s.want("another link-local one is", "register fe80::1 at A")
	s.answer(wire.RegistrationSuccess)
	s.want("it can be used", "registered fe80::1")
	s.add(global)
	s.want("a global one is", "register 2001:db8::11:2233:4455:660b at A")
	s.add(other)
	s.wantIdle("one after another: an error does not say which it is about")
	s.answer(wire.RegistrationSuccess)
	s.want("and the next", "registered 2001:db8::11:2233:4455:660b", "register 2001:db8::2 at A")
	tentative, err := s.host.AddAddress(s.now, other)
	require.NoError(t, err)
	require.True(t, tentative, "again")

	for _, addr := range []string{"::", "::1", "ff02::1", "10.0.0.1", "::ffff:10.0.0.1"} {
		_, err := s.host.AddAddress(s.now, ip(addr))
		require.ErrorIs(t, err, ErrInvalid, addr)
	}
}

func TestUnansweredRegistrationIsRepeated(t *testing.T) {
	s := newHostScript(t)
	s.add(global)
	s.ra(routerA, infinite)
	s.want("first", "register 2001:db8::11:2233:4455:660b at A")
	for range 2 {
		s.advance(time.Second - 1)
		s.wantIdle("it takes a second")
		s.advance(1)
		s.want("again", "register 2001:db8::11:2233:4455:660b at A")
	}
	s.advance(time.Second)
	s.want("three are enough", "unreachable A")
	s.advance(time.Minute - 1)
	s.wantIdle("there is nobody to ask")
	s.advance(1)
	s.want("a minute later it may be back", "register 2001:db8::11:2233:4455:660b at A")
	s.answer(wire.RegistrationSuccess)
	s.want("so it is", "registered 2001:db8::11:2233:4455:660b")
}

func TestRetransmitTimeIsTheRouters(t *testing.T) {
	s := newHostScript(t)
	s.host.SetRetransmit(5 * time.Second)
	s.add(global)
	s.ra(routerA, infinite)
	s.forget()
	s.advance(5*time.Second - 1)
	s.wantIdle("as it said")
	s.advance(1)
	s.want("again", "register 2001:db8::11:2233:4455:660b at A")
	s.host.SetRetransmit(0)
	s.advance(5 * time.Second)
	s.want("what was sent keeps its time", "register 2001:db8::11:2233:4455:660b at A")
	s.advance(time.Second)
	s.want("the configured time again", "unreachable A")
}

func TestAnotherRouterTakesOver(t *testing.T) {
	s := registered(t)
	s.ra(routerB, infinite)
	s.wantIdle("one router is what was configured")
	s.advance(40 * time.Minute)
	s.want("renewal", "register 2001:db8::11:2233:4455:660b at A")
	s.advance(3 * time.Second)
	s.want("the router is gone, and its registrations with it",
		"register 2001:db8::11:2233:4455:660b at A", "register 2001:db8::11:2233:4455:660b at A",
		"unreachable A", "unregistered 2001:db8::11:2233:4455:660b", "register 2001:db8::11:2233:4455:660b at B")
	s.answer(wire.RegistrationSuccess)
	s.want("the other one serves", "registered 2001:db8::11:2233:4455:660b")

	s.routers[0].Reachable = true
	s.host.SetRouters(s.now, s.routers)
	s.want("a router that is back is used again", "register 2001:db8::11:2233:4455:660b at A")
}

func TestSeveralRegistrars(t *testing.T) {
	s := registered(t, func(cfg *HostConfig) { cfg.Registrars = 2 })
	s.ra(routerB, infinite)
	s.want("a new default router", "register 2001:db8::11:2233:4455:660b at B")
	s.answer(wire.RegistrationSuccess)
	s.wantIdle("it was registered already")
	s.ra(ip("fe80::3"), infinite)
	s.wantIdle("two are enough")

	s.host.SetRouters(s.now, s.routers[1:])
	s.want("one is no default router any longer", "register 2001:db8::11:2233:4455:660b at fe80::3")
	s.host.SetRouters(s.now, nil)
	s.want("all are gone", "unregistered 2001:db8::11:2233:4455:660b")
	s.advance(10 * time.Hour)
	s.wantIdle("there is nobody to ask")
}

func TestPreferredRouterComesFirst(t *testing.T) {
	s := newHostScript(t)
	s.add(global)
	s.host.SetRouters(s.now, []slaac.Router{
		{Addr: ip("fe80::1"), Until: 0, Reachable: true},
		{Addr: ip("fe80::2"), Until: timer.Never, Preference: wire.NDPreferenceHigh},
		{Addr: routerA, Until: timer.Never, Reachable: true},
		{Addr: routerB, Until: timer.Never, Reachable: true, Preference: wire.NDPreferenceHigh},
	})
	s.want("of those that are reachable", "register 2001:db8::11:2233:4455:660b at B")
}

func TestDuplicateAddress(t *testing.T) {
	s := registered(t, func(cfg *HostConfig) { cfg.Registrars = 2 })
	s.ra(routerB, infinite)
	s.forget()
	s.answer(wire.RegistrationDuplicate)
	s.want("it must not be used, and others' registrations are ended",
		"end 2001:db8::11:2233:4455:660b at A", "duplicate 2001:db8::11:2233:4455:660b")
	require.Equal(t, global, s.request.Source)
	s.advance(2 * time.Hour)
	s.wantIdle("it is not registered again")
	require.Equal(t, CauseUnasked, s.answer(wire.RegistrationSuccess))
}

func TestFullRouter(t *testing.T) {
	s := newHostScript(t)
	s.add(global)
	s.ra(routerA, infinite)
	s.forget()
	s.answer(wire.RegistrationFull)
	s.want("there is no other", "A refuses 2001:db8::11:2233:4455:660b: neighbor cache full")
	s.advance(30 * time.Second)
	s.ra(routerB, infinite)
	s.want("now there is", "register 2001:db8::11:2233:4455:660b at B")
	s.answer(wire.RegistrationFull)
	s.forget()
	s.advance(30 * time.Second)
	s.want("a minute after it refused", "register 2001:db8::11:2233:4455:660b at A")
}

func TestOtherRefusals(t *testing.T) {
	for _, status := range []wire.RegistrationStatus{
		wire.RegistrationMoved, wire.RegistrationRemoved, wire.RegistrationValidationRequested, wire.RegistrationInvalidSource,
		wire.RegistrationOffPrefix, wire.RegistrationSaturated, wire.RegistrationValidationFailed, 200,
	} {
		t.Run(status.String(), func(t *testing.T) {
			s := registered(t)
			s.advance(40 * time.Minute)
			s.forget()
			require.Equal(t, CauseNone, s.answer(status))
			s.want("it is no longer registered", "A refuses 2001:db8::11:2233:4455:660b: "+status.String(),
				"unregistered 2001:db8::11:2233:4455:660b")
			s.advance(time.Minute)
			s.want("another try", "register 2001:db8::11:2233:4455:660b at A")
		})
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Answer, *wire.NDAddressRegistrationRepr)
		want   Cause
	}{
		{"for somebody else", func(_ *Answer, o *wire.NDAddressRegistrationRepr) { o.Owner = stranger }, CauseForeign},
		{"of another router", func(a *Answer, _ *wire.NDAddressRegistrationRepr) { a.Target = routerB }, CauseUnasked},
		{"to another address", func(a *Answer, _ *wire.NDAddressRegistrationRepr) { a.Destination = other }, CauseUnasked},
		{"success at the link-local address", func(a *Answer, _ *wire.NDAddressRegistrationRepr) { a.Destination = linkLocal }, CauseUnasked},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newHostScript(t)
			s.add(global)
			s.ra(routerA, infinite)
			s.forget()
			require.Equal(t, test.want.String(), s.answer(wire.RegistrationSuccess, test.change).String())
			s.wantIdle("nothing comes of it")
			require.Equal(t, uint64(1), s.host.Counters().Refused[test.want])
			require.Equal(t, CauseNone, s.answer(wire.RegistrationSuccess))
			s.want("it was waited for", "registered 2001:db8::11:2233:4455:660b")
			require.Equal(t, CauseUnasked, s.answer(wire.RegistrationDuplicate), "it was answered already")
		})
	}
	s := registered(t)
	require.Equal(t, CauseMalformed, s.host.Answered(s.now, Answer{Option: unhex("2103 0000 0000 003c 0000000000000000 0000000000000000")}))
	require.Equal(t, CauseUnasked, s.host.Answered(s.now, Answer{Source: routerA, Destination: global, Target: routerA}))
}

func TestRouterThatRegistersNothing(t *testing.T) {
	s := newHostScript(t)
	s.add(global)
	s.ra(routerA, infinite)
	for range 3 {
		require.Equal(t, CauseNone, s.host.Answered(s.now, Answer{Source: routerA, Destination: global, Target: routerA}))
		s.want("the answer may be to another solicitation", "register 2001:db8::11:2233:4455:660b at A")
		s.advance(time.Second)
	}
	s.want("it has no objections", "registered 2001:db8::11:2233:4455:660b")
}

func TestRemovedAddress(t *testing.T) {
	s := registered(t)
	s.host.RemoveAddress(s.now, other)
	s.wantIdle("there is none such")
	s.host.RemoveAddress(s.now, global)
	s.want("the router is told", "end 2001:db8::11:2233:4455:660b at A")
	require.Equal(t, global, s.request.Source)
	s.advance(2 * time.Hour)
	s.wantIdle("that is all")

	s.add(global)
	s.want("it is back", "register 2001:db8::11:2233:4455:660b at A")
	s.host.RemoveAddress(s.now, global)
	s.want("the router may have registered it", "end 2001:db8::11:2233:4455:660b at A")
}

func TestStoppedHost(t *testing.T) {
	s := registered(t)
	s.add(other)
	s.answer(wire.RegistrationSuccess)
	s.forget()
	s.host.Stop(s.now)
	s.want("its registrations are ended", "end 2001:db8::2 at A", "end 2001:db8::11:2233:4455:660b at A")
	require.Equal(t, timer.Never, s.timers.Next(), "there is nothing to wait for")
}

func TestHostBounds(t *testing.T) {
	s := newHostScript(t, func(cfg *HostConfig) { cfg.Addresses, cfg.Routers = 1, 2 })
	s.add(global)
	_, err := s.host.AddAddress(s.now, other)
	require.ErrorIs(t, err, ErrInvalid)
	s.ra(routerA, infinite)
	s.ra(routerB, infinite)
	s.ra(ip("fe80::3"), infinite)
	require.Len(t, s.host.routers, 2)
	require.Equal(t, uint64(2), s.host.Counters().Refused[CauseFull], "by the advertisement, and as a default router")
}

func TestExtendedRegistration(t *testing.T) {
	s := newHostScript(t)
	s.add(linkLocal)
	s.add(global)
	s.ra(routerA, infinite, &wire.NDCapabilitiesRepr{Flags: wire.NDCapabilityExtendedRegistration})
	s.want("the address that the others are registered from comes first", "register fe80::11:2233:4455:660b at A tid 240")
	require.Equal(t, linkLocal, s.request.Source)
	require.Equal(t, linkLocal, s.request.Target)
	require.True(t, s.request.Option.Reachable, "the host does not route")
	s.answer(wire.RegistrationSuccess)
	s.want("then they", "registered fe80::11:2233:4455:660b", "register 2001:db8::11:2233:4455:660b at A tid 240")
	require.Equal(t, linkLocal, s.request.Source)
	require.Equal(t, global, s.request.Target)
	require.Equal(t, CauseUnasked, s.answer(wire.RegistrationSuccess, func(_ *Answer, o *wire.NDAddressRegistrationRepr) { o.TID++ }))
	require.Equal(t, CauseUnasked, s.answer(wire.RegistrationSuccess, func(_ *Answer, o *wire.NDAddressRegistrationRepr) {
		o.Extended = false
	}))
	s.answer(wire.RegistrationSuccess, func(a *Answer, _ *wire.NDAddressRegistrationRepr) { a.Source = border })
	s.want("the router may answer from another address", "registered 2001:db8::11:2233:4455:660b")

	s.advance(40 * time.Minute)
	s.want("renewal", "register fe80::11:2233:4455:660b at A tid 241")
	s.answer(wire.RegistrationSuccess)
	s.want("of both", "register 2001:db8::11:2233:4455:660b at A tid 241")
	s.answer(wire.RegistrationSuccess)
	s.host.RemoveAddress(s.now, global)
	s.want("and the end", "end 2001:db8::11:2233:4455:660b at A tid 242")
	require.Equal(t, linkLocal, s.request.Source)
}

func extended(cfg *HostConfig) { cfg.Mode = ModeExtended }

func TestExtendedRegistrationsInParallel(t *testing.T) {
	s := registeredExtended(t, func(cfg *HostConfig) { cfg.Registrars = 2 })
	s.ra(routerB, infinite)
	s.want("the same transaction", "register 2001:db8::11:2233:4455:660b at B tid 240")
	s.answer(wire.RegistrationSuccess)
	s.advance(40 * time.Minute)
	s.want("and the next", "register 2001:db8::11:2233:4455:660b at A tid 241", "register 2001:db8::11:2233:4455:660b at B tid 241")
}

// registeredExtended is a script whose host has an address that is registered with A by RFC 8505.
func registeredExtended(t *testing.T, change ...func(*HostConfig)) *hostScript {
	s := newHostScript(t, append(change, extended)...)
	s.add(global)
	s.ra(routerA, infinite)
	s.answer(wire.RegistrationSuccess)
	s.want("without a link-local address, from the address itself",
		"register 2001:db8::11:2233:4455:660b at A tid 240", "registered 2001:db8::11:2233:4455:660b")
	return s
}

func TestOlderRegistrationIsOutdone(t *testing.T) {
	s := newHostScript(t, extended)
	s.add(global)
	s.ra(routerA, infinite)
	s.forget()
	s.answer(wire.RegistrationMoved)
	s.want("the router knows of one from before the last start", "register 2001:db8::11:2233:4455:660b at A tid 247")
	s.answer(wire.RegistrationMoved)
	s.want("further", "register 2001:db8::11:2233:4455:660b at A tid 254")
	s.answer(wire.RegistrationMoved)
	s.want("and further", "register 2001:db8::11:2233:4455:660b at A tid 5")
	s.answer(wire.RegistrationMoved)
	s.want("that is beyond all that is comparable", "A refuses 2001:db8::11:2233:4455:660b: moved")
}

func TestNewsOfRegistrations(t *testing.T) {
	s := registeredExtended(t)
	news := func(status wire.RegistrationStatus, tid uint8) Cause {
		return s.answer(status, func(a *Answer, o *wire.NDAddressRegistrationRepr) { o.TID = tid })
	}
	require.Equal(t, CauseUnasked, news(wire.RegistrationRemoved, 239), "of an earlier one")
	require.Equal(t, CauseUnasked, news(wire.RegistrationDuplicate, 240), "that can only be an answer")
	s.wantIdle("nothing comes of these")
	require.Equal(t, CauseNone, news(wire.RegistrationRemoved, 240))
	s.want("it is gone", "A refuses 2001:db8::11:2233:4455:660b: removed", "unregistered 2001:db8::11:2233:4455:660b")
	s.advance(time.Minute)
	s.want("it is asked for again", "register 2001:db8::11:2233:4455:660b at A tid 240")
}

func TestDuplicateSourceAddress(t *testing.T) {
	s := newHostScript(t, extended)
	s.add(linkLocal)
	s.add(global)
	s.ra(routerA, infinite)
	s.answer(wire.RegistrationSuccess)
	s.forget()
	s.answer(wire.RegistrationDuplicateSource)
	s.want("the link-local address is somebody else's",
		"duplicate fe80::11:2233:4455:660b", "register 2001:db8::11:2233:4455:660b at A tid 240")
	require.Equal(t, global, s.request.Source)
}

func TestHostModes(t *testing.T) {
	capable := &wire.NDCapabilitiesRepr{Flags: wire.NDCapabilityExtendedRegistration}
	s := newHostScript(t, func(cfg *HostConfig) { cfg.Mode = ModeBasic })
	s.add(global)
	s.ra(routerA, infinite, capable)
	s.want("by RFC 6775 only", "register 2001:db8::11:2233:4455:660b at A")
	require.Nil(t, s.host.Capabilities())

	verifier, _ := wire.ROVRFrom(make([]byte, 32))
	s = newHostScript(t, func(cfg *HostConfig) { cfg.ROVR, cfg.Routes = verifier, true })
	s.add(global)
	s.ra(routerA, infinite, capable)
	require.Equal(t, wire.NDAddressRegistrationRepr{
		Extended: true, TID: 240, Lifetime: time.Hour, Owner: verifier,
	}, s.request.Option)
	require.Equal(t, "capabilities E", s.host.Capabilities().String())
	require.Equal(t, CauseNone, s.answer(wire.RegistrationSuccess))
}

func TestHostConfig(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*HostConfig)
		names  string
	}{
		{"no timers", func(c *HostConfig) { c.Timers = nil }, "Timers"},
		{"no EUI-64", func(c *HostConfig) { c.EUI64 = [8]byte{} }, "EUI64"},
		{"unknown mode", func(c *HostConfig) { c.Mode = 3 }, "Mode 3"},
		{"lifetime too long", func(c *HostConfig) { c.Lifetime = 1 << 62 }, "Lifetime"},
		{"lifetime of seconds", func(c *HostConfig) { c.Lifetime = 90 * time.Second }, "Lifetime 1m30s"},
		{"retransmission too fast", func(c *HostConfig) { c.Retransmit = 1 }, "Retransmit 1ns"},
		{"no routers", func(c *HostConfig) { c.Routers = -1 }, "Routers -1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &hostScript{}
			cfg := HostConfig{Timers: &s.timers, Owner: s, Rand: s.rand, EUI64: eui}
			test.change(&cfg)
			_, err := NewHost(cfg)
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, test.names)
		})
	}
}

func TestRegistrationRunsOutWhereItIsNotNeeded(t *testing.T) {
	s := registered(t)
	s.ra(routerB, infinite)
	s.routers[1].Preference = wire.NDPreferenceHigh
	s.host.SetRouters(s.now, s.routers)
	s.want("a better router", "register 2001:db8::11:2233:4455:660b at B")
	s.answer(wire.RegistrationSuccess)
	s.advance(40 * time.Minute)
	s.want("only there it is renewed", "register 2001:db8::11:2233:4455:660b at B")
	s.answer(wire.RegistrationSuccess)
	require.Len(t, s.host.Registrations(), 2)
	s.advance(20 * time.Minute)
	require.Equal(t, []HostRegistration{{global, routerB, int64(100 * time.Minute)}}, s.host.Registrations())
	s.wantIdle("that is no news")
}

func TestNewRoundEndsTheLast(t *testing.T) {
	s := newHostScript(t, extended, func(cfg *HostConfig) { cfg.Registrars = 2 })
	s.add(global)
	s.ra(routerA, infinite)
	s.ra(routerB, infinite)
	s.want("at both", "register 2001:db8::11:2233:4455:660b at A tid 240", "register 2001:db8::11:2233:4455:660b at B tid 240")
	s.answer(wire.RegistrationMoved)
	s.want("at both anew", "register 2001:db8::11:2233:4455:660b at A tid 247", "register 2001:db8::11:2233:4455:660b at B tid 247")
	s.answer(wire.RegistrationSuccess)
	s.want("the second", "registered 2001:db8::11:2233:4455:660b")
}
