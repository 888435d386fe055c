package dhcpv6

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// TestStateMachine goes through what may happen in each state.
func TestStateMachine(t *testing.T) {
	wait := func(d time.Duration) func(*script) { return func(s *script) { s.advance(d) } }
	reply := func(change ...func(*wire.DHCPv6Repr)) func(*script) {
		return func(s *script) { s.mustRecv(wire.DHCPv6Reply, serverA, change...) }
	}
	advertise := func(change ...func(*wire.DHCPv6Repr)) func(*script) {
		return func(s *script) { s.mustRecv(wire.DHCPv6Advertise, serverA, change...) }
	}
	discard := func(kind uint8, server wire.DHCPv6DUID, why error, change ...func(*wire.DHCPv6Repr)) func(*script) {
		return func(s *script) {
			require.ErrorIs(s.t, s.recv(s.answer(kind, server, change...)), why)
			require.EqualValues(s.t, 1, s.client.Counters().Discarded)
		}
	}
	bad := func(change func(*wire.DHCPv6Repr)) func(*wire.DHCPv6Repr) { return change }
	start := func(stateful bool) func(*script) { return func(s *script) { s.client.Start(s.now, stateful) } }
	stop := func(s *script) { s.client.Stop(s.now) }
	release := func(s *script) { s.client.Release(s.now) }
	moved := func(s *script) { s.client.LinkChanged(s.now) }
	duplicate := func(s *script) { s.client.Duplicate(s.now, addr1) }
	const (
		gone   = "2001:db8::1 removed"
		bound  = "bound by A"
		config = "2001:db8::1 1h0m0s, 1h0m0s"
	)
	for _, row := range []struct {
		name   string
		from   State
		event  func(s *script)
		want   State
		events []string
	}{
		{"start, stateful", Stopped, start(true), Soliciting, nil},
		{"start, stateful, a moment later", Stopped, func(s *script) { s.client.Start(s.now, true); s.advance(0) }, Soliciting, []string{"solicit"}},
		{"start, stateless, a moment later", Stopped, func(s *script) { s.client.Start(s.now, false); s.advance(0) }, Informing, []string{"inf-req"}},
		{"stop", Stopped, stop, Stopped, nil},
		{"release", Stopped, release, Stopped, nil},
		{"message", Stopped, discard(wire.DHCPv6Reply, serverA, ErrUnexpected), Stopped, nil},

		{"start again", Soliciting, start(true), Soliciting, nil},
		{"start, stateless", Soliciting, start(false), Soliciting, nil},
		{"time", Soliciting, wait(1100 * time.Millisecond), Soliciting, []string{"solicit"}},
		{"Advertise in the first RT", Soliciting, advertise(hour), Soliciting, nil},
		{"Advertise, and the end of the first RT", Soliciting, func(s *script) { advertise(hour)(s); s.advance(1100 * time.Millisecond) },
			Requesting, []string{"request to A 2001:db8::1"}},
		{"Advertise after the first RT", Soliciting, func(s *script) { s.advance(1100 * time.Millisecond); advertise(hour)(s) },
			Requesting, []string{"solicit", "request to A 2001:db8::1"}},
		{"Advertise with preference 255", Soliciting, advertise(hour, preference(255)), Requesting, []string{"request to A 2001:db8::1"}},
		{"Advertise without addresses", Soliciting, advertise(iaStatus(wire.DHCPv6NoAddrsAvail), preference(255)), Soliciting,
			[]string{"refused by A, NoAddrsAvail"}},
		{"Advertise of another association", Soliciting, advertise(func(r *wire.DHCPv6Repr) { hour(r); r.IAs[0].IAID = 8 }, preference(255)),
			Soliciting, []string{"refused by A"}},
		{"Advertise of addresses of no use", Soliciting, advertise(ia(0, 0, 9, 9, wire.DHCPv6Servers, addr1.Next().Prev()), preference(255)),
			Requesting, []string{"request to A 2001:db8::1"}},
		{"Reply without rapid commit", Soliciting, discard(wire.DHCPv6Reply, serverA, ErrUnexpected, hour), Soliciting, nil},
		{"Reply with rapid commit not asked for", Soliciting,
			discard(wire.DHCPv6Reply, serverA, ErrUnexpected, hour, func(r *wire.DHCPv6Repr) { r.RapidCommit = true }), Soliciting, nil},
		{"Advertise of another transaction", Soliciting,
			discard(wire.DHCPv6Advertise, serverA, ErrUnexpected, hour, bad(func(r *wire.DHCPv6Repr) { r.TransactionID++ })), Soliciting, nil},
		{"Advertise to another client", Soliciting,
			discard(wire.DHCPv6Advertise, serverA, ErrIdentifier, hour, bad(func(r *wire.DHCPv6Repr) { r.ClientID = serverB })), Soliciting, nil},
		{"Advertise to nobody", Soliciting,
			discard(wire.DHCPv6Advertise, serverA, ErrIdentifier, hour, bad(func(r *wire.DHCPv6Repr) { r.ClientID = nil })), Soliciting, nil},
		{"Advertise of nobody", Soliciting, discard(wire.DHCPv6Advertise, nil, ErrIdentifier, hour), Soliciting, nil},
		{"Solicit of another client", Soliciting, discard(wire.DHCPv6Solicit, serverA, ErrUnexpected), Soliciting, nil},
		{"Reconfigure", Soliciting, discard(wire.DHCPv6Reconfigure, serverA, ErrUnexpected), Soliciting, nil},
		{"stop", Soliciting, stop, Stopped, nil},
		{"release", Soliciting, release, Stopped, nil},

		{"Reply", Requesting, reply(hour), Assigned, []string{config, bound}},
		{"Reply with name servers", Requesting, reply(hour, nameServers(dns1)), Assigned,
			[]string{config, "informed [2001:db8::53] [] [] []", bound}},
		{"Reply of another server", Requesting, discard(wire.DHCPv6Reply, serverB, ErrIdentifier, hour), Requesting, nil},
		{"Advertise", Requesting, discard(wire.DHCPv6Advertise, serverA, ErrUnexpected, hour), Requesting, nil},
		{"time", Requesting, wait(time.Second), Requesting, []string{"request to A 2001:db8::1"}},
		{"UnspecFail", Requesting, reply(status(wire.DHCPv6UnspecFail)), Requesting, []string{"refused by A, UnspecFail"}},
		{"UseMulticast", Requesting, reply(status(wire.DHCPv6UseMulticast)), Requesting, []string{"refused by A, UseMulticast"}},
		{"NotOnLink", Requesting, reply(status(wire.DHCPv6NotOnLink)), Soliciting, []string{"refused by A, NotOnLink"}},
		{"NotOnLink in the association", Requesting, reply(iaStatus(wire.DHCPv6NotOnLink)), Soliciting, []string{"refused by A, NotOnLink"}},
		{"NoAddrsAvail", Requesting, reply(iaStatus(wire.DHCPv6NoAddrsAvail)), Soliciting, []string{"refused by A, NoAddrsAvail"}},
		{"NoBinding", Requesting, reply(iaStatus(wire.DHCPv6NoBinding)), Soliciting, []string{"refused by A, NoBinding"}},
		{"Reply without an association", Requesting, reply(), Soliciting, []string{"refused by A"}},
		{"Reply with a lifetime of 0", Requesting, reply(ia(0, 0, 0, 0, addr1)), Soliciting, []string{"refused by A"}},
		{"link changed", Requesting, moved, Soliciting, nil},

		{"time", Assigned, wait(1799 * time.Second), Assigned, nil},
		{"T1", Assigned, wait(1800 * time.Second), Renewing, []string{"renew to A 2001:db8::1"}},
		{"Reply again", Assigned, discard(wire.DHCPv6Reply, serverA, ErrUnexpected, hour), Assigned, nil},
		{"link changed", Assigned, func(s *script) { s.client.LinkChanged(s.now); s.advance(0) }, Confirming, []string{"confirm 2001:db8::1"}},
		{"duplicate", Assigned, duplicate, Declining, []string{"decline to A 2001:db8::1", "declined by A"}},
		{"duplicate of somebody else's", Assigned, func(s *script) { s.client.Duplicate(s.now, addr2) }, Assigned, nil},
		{"release", Assigned, release, Releasing, []string{gone, "release to A 2001:db8::1"}},
		{"stop", Assigned, stop, Stopped, []string{gone}},
		{"start", Assigned, start(true), Assigned, nil},

		{"Reply", Renewing, reply(hour), Assigned, []string{config, "renewed by A"}},
		{"Reply with another address too", Renewing, reply(ia(1800, 2880, 3600, 3600, addr1, addr2)), Assigned,
			[]string{config, "2001:db8::2 1h0m0s, 1h0m0s", "renewed by A"}},
		{"Reply without the association", Renewing, reply(), Renewing, nil},
		{"Reply with an empty association", Renewing, reply(ia(0, 0, 0, 0)), Renewing, nil},
		{"Reply with a lifetime of 0", Renewing, reply(ia(0, 0, 0, 0, addr1)), Soliciting, []string{gone, "lost by A"}},
		{"Reply with another address instead", Renewing, reply(ia(0, 0, 0, 0, addr1), func(r *wire.DHCPv6Repr) {
			r.IAs[0].Addresses = append(r.IAs[0].Addresses, wire.DHCPv6IAAddr{Addr: addr2, Preferred: time.Hour, Valid: time.Hour})
		}), Assigned, []string{gone, "2001:db8::2 1h0m0s, 1h0m0s", "renewed by A"}},
		{"Reply of another server", Renewing, discard(wire.DHCPv6Reply, serverB, ErrIdentifier, hour), Renewing, nil},
		{"NoBinding", Renewing, reply(iaStatus(wire.DHCPv6NoBinding)), Requesting,
			[]string{"refused by A, NoBinding", "request to A 2001:db8::1"}},
		{"NoBinding of the whole message", Renewing, reply(status(wire.DHCPv6NoBinding)), Requesting,
			[]string{"refused by A, NoBinding", "request to A 2001:db8::1"}},
		{"NoAddrsAvail", Renewing, reply(iaStatus(wire.DHCPv6NoAddrsAvail)), Renewing, []string{"refused by A, NoAddrsAvail"}},
		{"NotOnLink", Renewing, reply(status(wire.DHCPv6NotOnLink)), Renewing, []string{"refused by A, NotOnLink"}},
		{"UnspecFail", Renewing, reply(status(wire.DHCPv6UnspecFail)), Renewing, []string{"refused by A, UnspecFail"}},
		{"time", Renewing, wait(10 * time.Second), Renewing, []string{"renew to A 2001:db8::1"}},
		{"duplicate", Renewing, duplicate, Declining, []string{"decline to A 2001:db8::1", "declined by A"}},
		{"release", Renewing, release, Releasing, []string{gone, "release to A 2001:db8::1"}},
		{"link changed", Renewing, func(s *script) { s.client.LinkChanged(s.now); s.advance(0) }, Confirming, []string{"confirm 2001:db8::1"}},

		{"Reply", Rebinding, reply(hour), Assigned, []string{config, "renewed by A"}},
		{"Reply of another server", Rebinding, func(s *script) { s.mustRecv(wire.DHCPv6Reply, serverB, hour) }, Assigned,
			[]string{config, "renewed by B"}},
		{"NoBinding of another server", Rebinding, func(s *script) { s.mustRecv(wire.DHCPv6Reply, serverB, iaStatus(wire.DHCPv6NoBinding)) },
			Requesting, []string{"refused by B, NoBinding", "request to B 2001:db8::1"}},
		{"time", Rebinding, wait(10 * time.Second), Rebinding, []string{"rebind 2001:db8::1"}},

		{"Reply", Confirming, reply(), Assigned, nil},
		{"NotOnLink", Confirming, reply(status(wire.DHCPv6NotOnLink)), Confirming, nil},
		{"NotOnLink, and time", Confirming, func(s *script) { reply(status(wire.DHCPv6NotOnLink))(s); s.advance(1100 * time.Millisecond) },
			Soliciting, []string{gone, "lost by A", "solicit"}},
		{"NotOnLink, and another server's success", Confirming, func(s *script) {
			reply(status(wire.DHCPv6NotOnLink))(s)
			s.mustRecv(wire.DHCPv6Reply, serverB)
		}, Assigned, nil},
		{"UnspecFail", Confirming, reply(status(wire.DHCPv6UnspecFail)), Confirming, nil},
		{"duplicate", Confirming, duplicate, Declining, []string{"decline to A 2001:db8::1", "declined by A"}},

		{"Reply", Declining, reply(), Soliciting, nil},
		{"Reply, NoBinding", Declining, reply(status(wire.DHCPv6NoBinding)), Soliciting, nil},
		{"time", Declining, wait(time.Second), Declining, []string{"decline to A 2001:db8::1"}},

		{"Reply", Releasing, reply(), Stopped, []string{"released by A"}},
		{"Reply, NoBinding", Releasing, reply(status(wire.DHCPv6NoBinding)), Stopped, []string{"released by A"}},
		{"time", Releasing, wait(time.Second), Releasing, []string{"release to A 2001:db8::1"}},
		{"release again", Releasing, release, Releasing, nil},
		{"start", Releasing, func(s *script) { s.client.Start(s.now, true); s.advance(0) }, Soliciting, []string{"solicit"}},
		{"link changed", Releasing, moved, Releasing, nil},

		{"Reply", Informing, reply(nameServers(dns1)), Informed, []string{"informed [2001:db8::53] [] [] []", "answered by A"}},
		{"Reply, UnspecFail", Informing, reply(status(wire.DHCPv6UnspecFail)), Informing, []string{"refused by A, UnspecFail"}},
		{"Reply without a server", Informing, discard(wire.DHCPv6Reply, nil, ErrIdentifier), Informing, nil},
		{"time", Informing, wait(time.Second), Informing, []string{"inf-req"}},
		{"start, stateful", Informing, func(s *script) { s.client.Start(s.now, true); s.advance(0) }, Soliciting, []string{"solicit"}},
		{"release", Informing, release, Stopped, nil},

		{"time", Informed, wait(24*time.Hour - time.Second), Informed, nil},
		{"refresh time", Informed, wait(24 * time.Hour), Informing, []string{"inf-req"}},
		{"link changed", Informed, func(s *script) { s.client.LinkChanged(s.now); s.advance(0) }, Informing, []string{"inf-req"}},
		{"start", Informed, start(false), Informed, nil},
		{"start, stateful", Informed, func(s *script) { s.client.Start(s.now, true); s.advance(0) }, Soliciting, []string{"solicit"}},
		{"stop", Informed, stop, Stopped, nil},
	} {
		t.Run(row.from.String()+": "+row.name, func(t *testing.T) {
			s := newScript(t)
			s.in(row.from)
			row.event(s)
			s.wantState(row.want, row.name)
			require.Equal(t, row.events, s.events)
			require.Equal(t, row.want != Stopped, s.client.timer.Armed(), "there is something to wait for")
		})
	}
}

func TestConfig(t *testing.T) {
	var timers timer.Heap
	s := &script{t: t}
	good := Config{Timers: &timers, Link: s, Rand: func() uint64 { return 0 }, DUID: clientID}
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"sound", func(*Config) {}, ""},
		{"no timers", func(c *Config) { c.Timers = nil }, "Timers"},
		{"no link", func(c *Config) { c.Link = nil }, "Link"},
		{"no randomness", func(c *Config) { c.Rand = nil }, "Rand"},
		{"no DUID", func(c *Config) { c.DUID = nil }, "DUID of 0 octets"},
		{"long DUID", func(c *Config) { c.DUID = make(wire.DHCPv6DUID, 131) }, "DUID of 131 octets"},
		{"negative addresses", func(c *Config) { c.MaxAddresses = -1 }, "MaxAddresses -1"},
		{"negative servers", func(c *Config) { c.MaxServers = -2 }, "MaxServers -2"},
		{"negative information", func(c *Config) { c.MaxInformation = -3 }, "MaxInformation -3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := good
			test.change(&cfg)
			_, err := New(cfg)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestNames(t *testing.T) {
	require.Equal(t, "renewing", Renewing.String())
	require.Equal(t, "unknown", State(200).String())
	require.Equal(t, "bound", Bound.String())
	require.Equal(t, "event kind 0", EventKind(0).String())
}
