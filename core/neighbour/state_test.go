package neighbour

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

var none wire.LinkAddr

// known are the states that the RFC calls !INCOMPLETE: those with a hardware address.
var known = []State{Stale, Delay, Probe, Reachable}

// TestStateMachine goes through the state machine of RFC 4861, row by row and, where the body of the RFC says more or
// otherwise, by that.
// https://www.rfc-editor.org/rfc/rfc4861.html#appendix-C
func TestStateMachine(t *testing.T) {
	const unchanged = State(255)
	type row struct {
		name   string
		from   []State
		event  func(s *script, e *Entry)
		want   State
		hw     wire.LinkAddr
		events []string
	}
	send := func(s *script, e *Entry) { s.output(e, 2) }
	wait := func(d time.Duration) func(*script, *Entry) {
		return func(s *script, e *Entry) { s.advance(d) }
	}
	advertise := func(hw wire.LinkAddr, solicited, override bool) func(*script, *Entry) {
		return func(s *script, e *Entry) { s.cache.Advertised(s.now, e.Addr(), hw, solicited, override, false) }
	}
	hear := func(hw wire.LinkAddr) func(*script, *Entry) {
		return func(s *script, e *Entry) { s.cache.Heard(s.now, e.Addr(), hw) }
	}
	confirm := func(s *script, e *Entry) { e.Confirm(s.now) }
	asked, delivered := []string{"who has fdaa::100"}, []string{"packet 1 to A"}
	probed := []string{"A, are you fdaa::100"}

	for _, row := range []row{
		{"packet to send", []State{None}, send, Incomplete, none, asked},
		{"retransmit timeout, less than N retransmissions", []State{Incomplete}, wait(time.Second), Incomplete, none, asked},
		{"retransmit timeout, N retransmissions", []State{Incomplete}, wait(3 * time.Second), Failed, none,
			[]string{"who has fdaa::100", "who has fdaa::100", "packet 1 undeliverable"}},
		{"NA, S=0, O=0", []State{Incomplete}, advertise(hwA, false, false), Stale, hwA, delivered},
		{"NA, S=0, O=1", []State{Incomplete}, advertise(hwA, false, true), Stale, hwA, delivered},
		{"NA, S=1, O=0", []State{Incomplete}, advertise(hwA, true, false), Reachable, hwA, delivered},
		{"NA, S=1, O=1", []State{Incomplete}, advertise(hwA, true, true), Reachable, hwA, delivered},
		{"NA, S=0, O=0, no link-layer address", []State{Incomplete}, advertise(none, false, false), unchanged, none, nil},
		{"NA, S=1, O=1, no link-layer address", []State{Incomplete}, advertise(none, true, true), unchanged, none, nil},
		{"NS, RS, Redirect, no link-layer address", []State{None, Incomplete, Failed}, hear(none), unchanged, none, nil},
		{"NS, RS, RA, no link-layer address", known, hear(none), unchanged, hwA, nil},
		{"NA, S=1, O=0, same link-layer address", known, advertise(hwA, true, false), Reachable, hwA, nil},
		{"NA, S=0, O=0, no link-layer address", known, advertise(none, false, false), unchanged, hwA, nil},
		{"NA, S=0, O=1, no link-layer address", known, advertise(none, false, true), unchanged, hwA, nil},
		{"NA, S=1, O=0, no link-layer address: 7.2.5 II", known, advertise(none, true, false), Reachable, hwA, nil},
		{"NA, S=1, O=1, no link-layer address: 7.2.5 II", known, advertise(none, true, true), Reachable, hwA, nil},
		{"NA, S=1, O=0, different link-layer address", []State{Reachable}, advertise(hwB, true, false), Stale, hwA, nil},
		{"NA, S=1, O=0, different link-layer address", []State{Stale, Probe, Delay}, advertise(hwB, true, false), unchanged, hwA, nil},
		{"NA, S=1, O=1, same link-layer address", known, advertise(hwA, true, true), Reachable, hwA, nil},
		{"NA, S=1, O=1, different link-layer address", known, advertise(hwB, true, true), Reachable, hwB, nil},
		{"NA, S=0, O=0, same link-layer address", known, advertise(hwA, false, false), unchanged, hwA, nil},
		{"NA, S=0, O=0, different link-layer address: 7.2.5 I a", []State{Reachable}, advertise(hwB, false, false), Stale, hwA, nil},
		{"NA, S=0, O=0, different link-layer address: 7.2.5 I b", []State{Stale, Probe, Delay}, advertise(hwB, false, false), unchanged, hwA, nil},
		{"NA, S=0, O=1, same link-layer address", known, advertise(hwA, false, true), unchanged, hwA, nil},
		{"NA, S=0, O=1, different link-layer address", known, advertise(hwB, false, true), Stale, hwB, nil},
		{"upper-layer reachability confirmation", known, confirm, Reachable, hwA, nil},
		{"upper-layer reachability confirmation", []State{None, Incomplete, Failed}, confirm, unchanged, none, nil},
		{"timeout, more than N seconds since reachability confirmation", []State{Reachable}, wait(30 * time.Second), Stale, hwA, nil},
		{"sending packet", []State{Stale}, send, Delay, hwA, []string{"packet 2 to A"}},
		{"sending packet", []State{Delay, Probe, Reachable}, send, unchanged, hwA, []string{"packet 2 to A"}},
		{"delay timeout", []State{Delay}, wait(5 * time.Second), Probe, hwA, probed},
		{"retransmit timeout, less than N retransmissions", []State{Probe}, wait(time.Second), Probe, hwA, probed},
		{"retransmit timeout, N retransmissions", []State{Probe}, wait(3 * time.Second), Failed, none,
			[]string{"A, are you fdaa::100", "A, are you fdaa::100"}},

		{"NS, RS, RA, Redirect", []State{None, Failed}, hear(hwA), Stale, hwA, nil},
		{"NS, RS, RA, Redirect", []State{Incomplete}, hear(hwA), Stale, hwA, delivered},
		{"NS, RS, RA, Redirect, different link-layer address", known, hear(hwB), Stale, hwB, nil},
		{"NS, RS, RA, Redirect, same link-layer address", known, hear(hwA), unchanged, hwA, nil},

		// What the RFC has no entries for, or no states.
		{"packet to send, after a failure", []State{Failed}, send, Incomplete, none, asked},
		{"NA of somebody not asked, S=1", []State{None, Failed}, advertise(hwA, true, true), Stale, hwA, nil},
		{"NA of somebody not asked, S=0", []State{None, Failed}, advertise(hwA, false, true), Stale, hwA, nil},
		{"sending packet", []State{Static}, send, unchanged, hwA, []string{"packet 2 to A"}},
		{"time", []State{Static}, wait(time.Hour), unchanged, hwA, nil},
		{"NA, S=1, O=1, different link-layer address", []State{Static}, advertise(hwB, true, true), unchanged, hwA, nil},
		{"NS, different link-layer address", []State{Static}, hear(hwB), unchanged, hwA, nil},
		{"upper-layer reachability confirmation", []State{Static}, confirm, unchanged, hwA, nil},
	} {
		for _, from := range row.from {
			t.Run(from.String()+" "+row.name, func(t *testing.T) {
				s := newScript(t)
				e := s.in(from, peer6)
				row.event(s, e)
				want := row.want
				if want == unchanged {
					want = from
				}
				s.wantState(e, want, row.name)
				if hw, ok := e.LinkAddr(); ok {
					require.Equal(t, row.hw, hw)
				} else {
					require.Equal(t, none, row.hw)
				}
				require.Equal(t, row.events, s.events)
				require.Equal(t, e.State() != None && e.State() != Static, e.timer.Armed())
			})
		}
	}
}

func TestNoEntry(t *testing.T) {
	s := newScript(t)
	s.cache.Advertised(s.now, peer6, hwA, true, true, false)
	require.Nil(t, s.cache.Lookup(peer6), `"There is no need to create an entry if none exists"`)
	e := s.cache.Heard(s.now, peer6, hwA)
	require.Same(t, e, s.cache.Lookup(peer6))
	s.wantState(e, Stale, "whoever asks for us is about to talk to us")
	s.wantIdle("nobody has a packet for it")
}

// TestRouterFlag follows RFC 4861 appendix D.
func TestRouterFlag(t *testing.T) {
	s := newScript(t)
	e := s.in(Incomplete, peer6)
	s.cache.Advertised(s.now, peer6, none, true, true, true)
	require.False(t, e.Router(), "the advertisement is silently discarded")
	s.cache.Advertised(s.now, peer6, hwA, true, true, true)
	require.True(t, e.Router())
	s.cache.Heard(s.now, peer6, hwB)
	require.True(t, e.Router(), "a solicitation says nothing about it")
	s.cache.Advertised(s.now, peer6, hwA, false, false, false)
	require.True(t, e.Router(), "the advertisement must not update the cache")
	s.cache.Advertised(s.now, peer6, hwB, false, false, false)
	require.False(t, e.Router(), "the router has become a host")
	e.SetRouter(true)
	require.True(t, e.Router())
}

func TestIncredible(t *testing.T) {
	s := newScript(t)
	e := s.in(Reachable, peer6)
	for _, hw := range []wire.LinkAddr{wire.BroadcastHardwareAddr.LinkAddr(), wire.LinkAddrFrom([]byte{0x33, 0x33, 0, 0, 0, 1})} {
		s.cache.Advertised(s.now, peer6, hw, true, true, false)
		require.Nil(t, s.cache.Heard(s.now, peer6, hw))
		got, _ := e.LinkAddr()
		require.Equal(t, hwA, got, "%v is nobody's", hw)
		require.ErrorIs(t, s.cache.Static(s.now, peer6, hw), ErrInvalid)
	}
	for _, addr := range []string{"0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1"} {
		require.Nil(t, s.cache.Heard(s.now, ip(addr), hwA), "%v is nobody's", addr)
		require.ErrorContains(t, s.cache.Static(s.now, ip(addr), hwA), addr)
	}
	require.Equal(t, 1, s.cache.Len())
}
