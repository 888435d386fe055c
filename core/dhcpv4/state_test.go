package dhcpv4

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

// What the client says in its states.
const (
	discover     = "Discover 0.0.0.0>255.255.255.255"
	discoverSame = "Discover 0.0.0.0>255.255.255.255 requested 10.0.0.100"
	request      = "Request 0.0.0.0>255.255.255.255 requested 10.0.0.100 server 10.0.0.1"
	reboot       = "Request 0.0.0.0>255.255.255.255 requested 10.0.0.100"
	renewal      = "Request 10.0.0.100>10.0.0.1 ciaddr 10.0.0.100"
	rebinding    = "Request 10.0.0.100>255.255.255.255 ciaddr 10.0.0.100"
	decline      = "Decline 0.0.0.0>255.255.255.255 requested 10.0.0.100 server 10.0.0.1"
	release      = "Release 10.0.0.100>10.0.0.1 ciaddr 10.0.0.100 server 10.0.0.1"
	probe        = "probe 10.0.0.100/24"
	bound        = "bound 10.0.0.100/24"
	lost         = "lost 10.0.0.100/24: "
)

// TestStateMachine goes through RFC 2131's figure 5, row by row, and what is besides.
func TestStateMachine(t *testing.T) {
	const unchanged = State(255)
	wait := func(d time.Duration) func(*script) { return func(s *script) { s.advance(d) } }
	offer := func(s *script) { s.receive(wire.DHCPv4Offer) }
	ack := func(s *script) { s.receive(wire.DHCPv4ACK) }
	nak := func(s *script) { s.receive(wire.DHCPv4NAK) }
	free := func(s *script) { s.client.Probed(s.now, false) }
	conflict := func(s *script) { s.client.Probed(s.now, true) }
	start := func(s *script) { s.client.Start(s.now) }
	restart := func(s *script) { s.client.Restart(s.now) }
	end := func(s *script) { s.client.Release(s.now) }
	from := func(kind wire.DHCPv4MessageType, server netip.Addr) func(*script) {
		return func(s *script) { s.receive(kind, func(r *wire.DHCPv4Repr) { r.ServerID = server }) }
	}
	of := func(kind wire.DHCPv4MessageType, addr netip.Addr) func(*script) {
		return func(s *script) { s.receive(kind, func(r *wire.DHCPv4Repr) { r.YourAddr = addr }) }
	}
	all := []State{Init, InitReboot, Selecting, Requesting, Rebooting, Checking, Bound, Renewing, Rebinding, Stopped}
	except := func(states ...State) []State {
		var rest []State
		for _, state := range all {
			if !contains(states, state) {
				rest = append(rest, state)
			}
		}
		return rest
	}
	t1, t2 := 30*time.Minute-time.Second, 52*time.Minute+30*time.Second

	for _, row := range []struct {
		name   string
		from   []State
		event  func(s *script)
		want   State
		events []string
	}{
		{"start", []State{Init}, start, Selecting, []string{discover}},
		{"start with an address of before", []State{InitReboot}, start, Rebooting, []string{reboot}},
		{"start, running already", except(Init, InitReboot), start, unchanged, nil},

		{"OFFER", []State{Selecting}, offer, Requesting, []string{request}},
		{"OFFER, uncalled for", except(Selecting), offer, unchanged, nil},
		{"a second OFFER is discarded", []State{Requesting}, from(wire.DHCPv4Offer, server2), unchanged, nil},
		{"ACK in place of an OFFER", []State{Selecting}, ack, unchanged, nil},
		{"NAK in place of an OFFER", []State{Selecting}, nak, unchanged, nil},
		{"no OFFER", []State{Selecting}, wait(4 * time.Second), Selecting, []string{discover}},
		{"no OFFER, still", []State{Selecting}, wait(12 * time.Second), Selecting, []string{discover, discover, "silent"}},

		{"ACK", []State{Requesting, Rebooting}, ack, Checking, []string{probe}},
		{"ACK of another server", []State{Requesting}, from(wire.DHCPv4ACK, server2), unchanged, nil},
		{"ACK of another address", []State{Requesting, Rebooting, Renewing, Rebinding}, of(wire.DHCPv4ACK, other), unchanged, nil},
		{"NAK", []State{Requesting, Rebooting}, nak, Selecting, []string{discover}},
		{"NAK of another server", []State{Requesting, Renewing}, from(wire.DHCPv4NAK, server2), unchanged, nil},
		{"no ACK", []State{Requesting}, wait(4 * time.Second), Requesting, []string{request}},
		{"no ACK within a minute", []State{Requesting}, wait(60 * time.Second), Selecting,
			[]string{request, request, request, discoverSame}},
		{"nobody answers the address of before", []State{Rebooting}, wait(12 * time.Second), Selecting, []string{reboot, discoverSame}},

		{"the address is free", []State{Checking}, free, Bound, []string{bound}},
		{"the address is in use", []State{Checking, Bound, Renewing, Rebinding}, conflict, Init, []string{decline, lost + ErrConflict.Error()}},
		{"news of an address that is free, uncalled for", except(Checking), free, unchanged, nil},
		{"news of a conflict, without a lease", []State{Init, Selecting, Requesting, Rebooting, Stopped}, conflict, unchanged, nil},
		{"the check takes longer than the lease", []State{Checking}, wait(time.Hour), Selecting,
			[]string{discoverSame, lost + ErrExpired.Error()}},
		{"ten seconds after a conflict", []State{Checking}, func(s *script) { conflict(s); s.events = nil; s.advance(10 * time.Second) },
			Selecting, []string{discover}},
		{"not ten seconds after a conflict", []State{Checking}, func(s *script) { conflict(s); s.events = nil; s.advance(9 * time.Second) },
			Init, nil},

		{"OFFER, ACK, NAK, DHCPACK/Discard", []State{Bound}, func(s *script) { offer(s); ack(s); nak(s) }, unchanged, nil},
		{"before T1", []State{Bound}, wait(t1 - 1), Bound, nil},
		{"T1", []State{Bound}, wait(t1), Renewing, []string{renewal}},
		{"ACK of a renewal", []State{Renewing, Rebinding}, ack, Bound, []string{bound}},
		{"ACK of another server for a renewal", []State{Renewing}, from(wire.DHCPv4ACK, server2), unchanged, nil},
		{"ACK of another server for all", []State{Rebinding}, from(wire.DHCPv4ACK, server2), Bound, []string{bound}},
		{"NAK of a renewal", []State{Renewing, Rebinding}, nak, Selecting, []string{discover, lost + ErrRefused.Error() + `: "no"`}},
		{"no ACK of a renewal: half the time to T2 later", []State{Renewing}, wait((t2 - t1) / 2), Renewing, []string{renewal}},
		{"T2", []State{Renewing}, func(s *script) { s.advance(t2 - t1 - 1); s.events = nil; s.advance(1) }, Rebinding, []string{rebinding}},
		{"no ACK: half the rest of the lease later", []State{Rebinding}, wait((time.Hour - t2) / 2), Rebinding, []string{rebinding}},
		{"the lease's end", []State{Rebinding}, func(s *script) { s.advance(time.Hour - t2 - 1); s.events = nil; s.advance(1) }, Selecting,
			[]string{discoverSame, lost + ErrExpired.Error()}},

		{"the link was away", []State{Bound, Renewing, Rebinding, Rebooting}, restart, Rebooting, []string{reboot}},
		{"the link was away, no lease", []State{Init, Selecting, Requesting}, restart, Selecting, nil},
		{"the link was away, and nobody answers", []State{Bound}, func(s *script) { restart(s); s.advance(12 * time.Second) }, Bound,
			[]string{reboot, reboot}},
		{"the link was away, and the server knows better", []State{Bound}, func(s *script) { restart(s); nak(s) }, Selecting,
			[]string{reboot, discover, lost + ErrRefused.Error() + `: "no"`}},
		{"the link was away, ACK", []State{Bound}, func(s *script) { restart(s); ack(s) }, Bound, []string{reboot, bound}},

		{"the link was away, and the lease ends meanwhile", []State{Rebinding}, func(s *script) {
			s.advance(time.Hour - t2 - 2*time.Second)
			restart(s)
			s.events = nil
			s.advance(2 * time.Second)
		}, Selecting, []string{discoverSame, lost + ErrExpired.Error()}},

		{"release", []State{Bound, Renewing, Rebinding}, end, Stopped, []string{release, lost + ErrReleased.Error()}},
		{"release of an address not yet in use", []State{Checking}, end, Stopped, []string{lost + ErrReleased.Error()}},
		{"release of nothing", []State{Init, InitReboot, Selecting, Requesting, Rebooting, Stopped}, end, Stopped, nil},
		{"after the release nothing happens", all, func(s *script) {
			end(s)
			s.events = nil
			offer(s)
			ack(s)
			nak(s)
			start(s)
			restart(s)
			conflict(s)
			s.advance(24 * time.Hour)
		}, Stopped, nil},
	} {
		for _, state := range row.from {
			t.Run(row.name+" in "+state.String(), func(t *testing.T) {
				s := in(t, state)
				row.event(s)
				if row.want == unchanged {
					s.wantState(state, row.name)
				} else {
					s.wantState(row.want, row.name)
				}
				if row.events != nil || row.want == unchanged {
					require.Equal(t, row.events, s.events)
				}
			})
		}
	}
}

func contains(states []State, state State) bool {
	for _, s := range states {
		if s == state {
			return true
		}
	}
	return false
}

func TestStateNames(t *testing.T) {
	require.Equal(t, "INIT-REBOOT", InitReboot.String())
	require.Equal(t, "REBINDING", Rebinding.String())
	require.Equal(t, "unknown", State(99).String())
}
