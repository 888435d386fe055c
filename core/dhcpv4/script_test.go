package dhcpv4

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// script is a conversation between a client and its link: what happens on one side, and what must follow on the other.
type script struct {
	t      *testing.T
	now    int64
	timers timer.Heap
	client *Client
	events []string
	sent   []wire.DHCPv4Repr
	times  []time.Duration // when messages were sent

}

var (
	hardware = wire.HardwareAddr{2, 0, 0, 0, 0, 1}
	server1  = netip.MustParseAddr("10.0.0.1")
	server2  = netip.MustParseAddr("10.0.0.2")
	address  = netip.MustParseAddr("10.0.0.100")
	other    = netip.MustParseAddr("10.0.0.101")
)

// middle is what Rand returns for no jitter: the low bits count.
const middle = uint64(time.Second)

func newScript(t *testing.T, change ...func(*Config)) *script {
	s := &script{t: t}
	cfg := Config{Timers: &s.timers, Link: s, Rand: func() uint64 { return middle }, HardwareAddr: hardware}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	s.client, err = NewClient(cfg)
	require.NoError(t, err)
	return s
}

func (s *script) Send(now int64, message []byte, src, dst netip.Addr) {
	require.Equal(s.t, s.now, now)
	p, err := wire.ParseDHCPv4(message)
	require.NoError(s.t, err)
	var r wire.DHCPv4Repr
	require.NoError(s.t, r.Parse(p))
	s.sent = append(s.sent, r)
	s.times = append(s.times, time.Duration(now))
	event := fmt.Sprintf("%v %v>%v", r.Type, src, dst)
	for _, field := range []struct {
		name string
		addr netip.Addr
	}{{"ciaddr", r.ClientAddr}, {"requested", r.RequestedAddr}, {"server", r.ServerID}} {
		if field.addr.IsValid() {
			event += fmt.Sprintf(" %s %v", field.name, field.addr)
		}
	}
	s.events = append(s.events, event)
}

func (s *script) Probe(now int64, l *Lease) { s.event("probe %v", l.Prefix) }

func (s *script) Bound(now int64, l *Lease) { s.event("bound %v", l.Prefix) }

func (s *script) Lost(now int64, l *Lease, why error) { s.event("lost %v: %v", l.Prefix, why) }

func (s *script) Silent(now int64) { s.event("silent") }

func (s *script) event(format string, args ...any) {
	s.events = append(s.events, fmt.Sprintf(format, args...))
}

// advance lets time pass, and the timers expire that are due meanwhile, each at its time.
func (s *script) advance(d time.Duration) {
	until := s.now + int64(d)
	for s.timers.Next() <= until {
		s.now = max(s.now, s.timers.Next())
		s.timers.Expire(s.now, 1)
	}
	s.now = until
}

func (s *script) wantIdle(why string) {
	s.t.Helper()
	require.Empty(s.t, s.events, why)
}

func (s *script) wantState(state State, why string) {
	s.t.Helper()
	require.Equal(s.t, state.String(), s.client.State().String(), why)
}

// reply is an answer to the client's last message as a server gives it, with a lease of an hour.
func (s *script) reply(kind wire.DHCPv4MessageType, change ...func(*wire.DHCPv4Repr)) wire.DHCPv4Repr {
	r := wire.DHCPv4Repr{
		Type: kind, XID: s.client.XID(), ClientHardware: hardware, ServerID: server1,
		YourAddr: address, LeaseTime: time.Hour, SubnetBits: 24, Routers: []netip.Addr{server1},
		DNSServers: []netip.Addr{server2}, DomainName: "example.com",
	}
	if kind == wire.DHCPv4NAK {
		r = wire.DHCPv4Repr{Type: kind, XID: s.client.XID(), ClientHardware: hardware, ServerID: server1, Message: "no"}
	}
	for _, f := range change {
		f(&r)
	}
	return r
}

// receive gives the client a reply, and reports whether it was taken for an answer.
func (s *script) receive(kind wire.DHCPv4MessageType, change ...func(*wire.DHCPv4Repr)) bool {
	r := s.reply(kind, change...)
	b := make([]byte, r.Len())
	r.Emit(b)
	return s.client.Receive(s.now, b)
}

// in brings a new client into a state.
func in(t *testing.T, state State, change ...func(*Config)) *script {
	t.Helper()
	if state == InitReboot || state == Rebooting {
		change = append(change, func(c *Config) { c.Previous = address })
	}
	s := newScript(t, change...)
	if state == Init || state == InitReboot {
		return s
	}
	s.client.Start(s.now)
	if state >= Requesting && state != Rebooting {
		require.True(t, s.receive(wire.DHCPv4Offer))
	}
	if state >= Checking {
		require.True(t, s.receive(wire.DHCPv4ACK))
	}
	if state >= Bound {
		s.client.Probed(s.now, false)
	}
	if state >= Renewing {
		s.advance(time.Duration(s.client.Lease().Renew - s.now))
	}
	if state >= Rebinding {
		s.advance(time.Duration(s.client.Lease().Rebind - s.now))
	}
	if state == Stopped {
		s.client.Release(s.now)
	}
	s.wantState(state, "the state to begin with")
	s.events, s.sent, s.times = nil, nil, nil
	return s
}
