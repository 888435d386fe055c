package dhcpv6

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// script is a conversation between a client and servers: what happens on one side, and what must follow on the other.
type script struct {
	t      *testing.T
	now    int64
	timers timer.Heap
	client *Client
	random uint64 // what the client draws
	events []string
	sent   wire.DHCPv6Repr // the last message
	silent bool            // the link cannot send
}

var (
	clientID         = wire.DHCPv6DUIDLinkAddr(wire.HardwareAddr{2, 0, 0, 0, 0, 1})
	serverA, serverB = duid('A'), duid('B')

	addr1 = netip.MustParseAddr("2001:db8::1")
	addr2 = netip.MustParseAddr("2001:db8::2")
	dns1  = netip.MustParseAddr("2001:db8::53")
)

// duid is a server's, of one letter.
func duid(name byte) wire.DHCPv6DUID { return wire.DHCPv6DUID{0, 9, name} }

func newScript(t *testing.T, change ...func(*Config)) *script {
	s := &script{t: t}
	cfg := Config{Timers: &s.timers, Link: s, Rand: func() uint64 { return s.random }, DUID: clientID, IAID: 7}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	s.client, err = New(cfg)
	require.NoError(t, err)
	return s
}

func (s *script) event(format string, args ...any) {
	s.events = append(s.events, fmt.Sprintf(format, args...))
}

func (s *script) Send(now int64, message []byte) bool {
	require.Equal(s.t, s.now, now)
	if s.silent {
		return false
	}
	var r wire.DHCPv6Repr
	require.NoError(s.t, r.Parse(message))
	require.Equal(s.t, clientID, r.ClientID, "every message names the client")
	s.sent = r
	s.sent.ServerID = slices.Clone(r.ServerID)
	var b strings.Builder
	name, _, _ := strings.Cut(strings.TrimPrefix(r.String(), "dhcp6 "), " ")
	b.WriteString(name)
	if r.ServerID != nil {
		fmt.Fprintf(&b, " to %c", r.ServerID[2])
	}
	for _, ia := range r.IAs {
		require.EqualValues(s.t, 7, ia.IAID)
		require.Zero(s.t, ia.T1+ia.T2)
		for _, a := range ia.Addresses {
			require.Zero(s.t, a.Valid+a.Preferred)
			fmt.Fprintf(&b, " %v", a.Addr)
		}
	}
	s.events = append(s.events, b.String())
	return true
}

func (s *script) lifetime(until int64) string {
	if until == timer.Never {
		return "for ever"
	}
	return fmt.Sprint(time.Duration(until - s.now))
}

func (s *script) Configured(now int64, lease Lease) {
	require.Equal(s.t, s.now, now)
	s.event("%v %s, %s", lease.Addr, s.lifetime(lease.PreferredUntil), s.lifetime(lease.ValidUntil))
}

func (s *script) Removed(now int64, addr netip.Addr) { s.event("%v removed", addr) }

func (s *script) Informed(now int64, info Information) {
	s.event("informed %v %v %v %v", info.NameServers, info.Domains, info.TimeServers, info.TimeNames)
}

func (s *script) Happened(now int64, e Event) {
	server := "nobody"
	if e.Server != nil {
		server = string(e.Server[2])
	}
	if e.Status.Code != 0 {
		server += ", " + e.Status.String()
	}
	s.event("%v by %s", e.Kind, server)
}

// advance lets time pass, and the timer expire that is due meanwhile, each time at its time.
func (s *script) advance(d time.Duration) {
	until := s.now + int64(d)
	for s.timers.Next() <= until {
		s.now = max(s.now, s.timers.Next())
		s.timers.Expire(s.now, 1)
	}
	s.now = until
}

// want checks what has happened since the last time.
func (s *script) want(why string, events ...string) {
	s.t.Helper()
	require.Equal(s.t, events, s.events, why)
	s.events = nil
}

func (s *script) wantIdle(why string) {
	s.t.Helper()
	require.Empty(s.t, s.events, why)
}

func (s *script) wantState(state State, why string) {
	s.t.Helper()
	require.Equal(s.t, state.String(), s.client.State().String(), why)
}

// answer is a message that answers what the client has sent last.
func (s *script) answer(kind uint8, server wire.DHCPv6DUID, change ...func(*wire.DHCPv6Repr)) *wire.DHCPv6Repr {
	r := &wire.DHCPv6Repr{Type: kind, TransactionID: s.sent.TransactionID, ClientID: clientID, ServerID: server}
	for _, f := range change {
		f(r)
	}
	return r
}

// recv gives the client a message.
func (s *script) recv(r *wire.DHCPv6Repr) error { return s.client.Receive(s.now, r.Append(nil)) }

func (s *script) mustRecv(kind uint8, server wire.DHCPv6DUID, change ...func(*wire.DHCPv6Repr)) {
	s.t.Helper()
	require.NoError(s.t, s.recv(s.answer(kind, server, change...)))
}

// ia puts an association in a message, with T1, T2 and the addresses' lifetimes in seconds.
func ia(t1, t2, preferred, valid time.Duration, addrs ...netip.Addr) func(*wire.DHCPv6Repr) {
	return func(r *wire.DHCPv6Repr) {
		a := wire.DHCPv6IANA{IAID: 7, T1: t1 * time.Second, T2: t2 * time.Second}
		for _, addr := range addrs {
			a.Addresses = append(a.Addresses,
				wire.DHCPv6IAAddr{Addr: addr, Preferred: preferred * time.Second, Valid: valid * time.Second})
		}
		r.IAs = append(r.IAs, a)
	}
}

// iaStatus puts an association in a message that has nothing but a status.
func iaStatus(code uint16) func(*wire.DHCPv6Repr) {
	return func(r *wire.DHCPv6Repr) {
		r.IAs = append(r.IAs, wire.DHCPv6IANA{IAID: 7, Status: wire.DHCPv6Status{Code: code}})
	}
}

func status(code uint16) func(*wire.DHCPv6Repr) {
	return func(r *wire.DHCPv6Repr) { r.Status.Code = code }
}

func preference(n uint8) func(*wire.DHCPv6Repr) {
	return func(r *wire.DHCPv6Repr) { r.Preference = n }
}

func nameServers(addrs ...netip.Addr) func(*wire.DHCPv6Repr) {
	return func(r *wire.DHCPv6Repr) { r.DNSServers = addrs }
}

// hour is an association of an address for an hour, renewed after half of it.
var hour = ia(1800, 2880, 3600, 3600, addr1)

// in brings the client into a state; server A has given it addr1 for an hour, where that is so.
func (s *script) in(state State) {
	s.t.Helper()
	switch state {
	case Soliciting:
		s.client.Start(s.now, true)
		s.advance(0)
	case Requesting:
		s.in(Soliciting)
		s.mustRecv(wire.DHCPv6Advertise, serverA, hour, preference(255))
	case Assigned:
		s.in(Requesting)
		s.mustRecv(wire.DHCPv6Reply, serverA, hour)
	case Renewing:
		s.in(Assigned)
		s.advance(1800 * time.Second)
	case Rebinding:
		s.in(Assigned)
		s.advance(2880 * time.Second)
	case Confirming:
		s.in(Assigned)
		s.client.LinkChanged(s.now)
		s.advance(0)
	case Declining:
		s.in(Assigned)
		s.client.Duplicate(s.now, addr1)
	case Releasing:
		s.in(Assigned)
		s.client.Release(s.now)
	case Informing:
		s.client.Start(s.now, false)
		s.advance(0)
	case Informed:
		s.in(Informing)
		s.mustRecv(wire.DHCPv6Reply, serverA)
	}
	s.wantState(state, "to begin with")
	s.events = nil
}
