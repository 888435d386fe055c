package core

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/wire"
)

var (
	better4        = addr("192.168.69.253")
	gateway6       = addr("fe80::fe")
	better6        = addr("fe80::fd")
	betterHardware = wire.HardwareAddr{2, 0, 0, 0, 0, 0xfd}
	away4, away6   = addr("8.8.8.8"), addr("2001:db8::8")
)

// newRedirected makes a host with a default router of each family.
func newRedirected(t *testing.T, options ...any) *script {
	s := newScript(t, append([]any{func(c *InterfaceConfig) {
		c.Routes = []Route{{Destination: prefix("0.0.0.0/0"), Gateway: router4}, {Destination: prefix("::/0"), Gateway: gateway6}}
	}}, options...)...)
	for _, a := range []netip.Addr{router4, gateway6} {
		require.NoError(t, s.link.Neighbours().Static(0, a, theirHardware.LinkAddr()))
	}
	return s
}

func redirect4(from, gateway, dst netip.Addr, code uint8) []byte {
	r := wire.ICMPv4ErrorRepr{Type: wire.ICMPv4Redirect, Code: code, Gateway: gateway, Quote: udpTo(us4, dst, 1000, 7, "")}
	b := make([]byte, r.Len())
	r.Emit(b)
	return toUs(ipv4(from, us4, ip.ProtocolICMPv4, b))
}

func redirect6(from, target, dst netip.Addr) []byte {
	return nd(from, us6, &wire.NDRedirectRepr{Target: target, Destination: dst, TargetLinkAddr: betterHardware.LinkAddr(), Quote: udpTo(us6, dst, 1000, 7, "")})
}

// hop is where packets to dst go to first; dst itself if it is on the link.
func (s *script) hop(dst netip.Addr) string {
	_, nextHop, _ := s.stack.nextHop(0, dst)
	return nextHop.String()
}

func TestRedirects(t *testing.T) {
	ignoring := func(c *InterfaceConfig) { c.IgnoreRedirects = true }
	forwarding := func(c *InterfaceConfig) { c.Forward = true }
	configured := func(c *InterfaceConfig) {
		c.Routes = append(c.Routes, Route{Destination: prefix("8.8.8.8/32"), Gateway: router4}, Route{Destination: prefix("2001:db8::8/128"), Gateway: gateway6})
	}
	stranger := redirect4(router4, better4, away4, 1)[34:]
	copy(stranger[8+12:], them4.AsSlice())
	wire.ICMPv4Packet(stranger).FillChecksum()
	for _, tc := range []struct {
		name    string
		options []any
		frame   []byte
		dst     netip.Addr
		hop     string
		cause   DropCause // if it is not followed
	}{
		{name: "for a host", frame: redirect4(router4, better4, away4, 1), dst: away4, hop: "192.168.69.253"},
		{name: "for a network", frame: redirect4(router4, better4, away4, 0), dst: away4, hop: "192.168.69.253"},
		{name: "for a type of service", frame: redirect4(router4, better4, away4, 3), dst: away4, hop: "192.168.69.253"},
		{name: "only for that host", frame: redirect4(router4, better4, away4, 0), dst: addr("8.8.8.9"), hop: "192.168.69.254"},
		{name: "IPv6", frame: redirect6(gateway6, better6, away6), dst: away6, hop: "fe80::fd"},
		{name: "to a neighbour", frame: redirect6(gateway6, away6, away6), dst: away6, hop: "2001:db8::8"},

		{name: "of another code", frame: redirect4(router4, better4, away4, 4), dst: away4, hop: "192.168.69.254", cause: DropRedirect},
		{name: "from somebody else", frame: redirect4(them4, better4, away4, 1), dst: away4, hop: "192.168.69.254", cause: DropRedirect},
		{name: "from beyond the link", frame: redirect4(addr("9.9.9.9"), better4, away4, 1), dst: away4, hop: "192.168.69.254", cause: DropRedirect},
		{name: "to beyond the link", frame: redirect4(router4, addr("10.1.1.1"), away4, 1), dst: away4, hop: "192.168.69.254", cause: DropRedirect},
		{name: "to ourselves", frame: redirect4(router4, us4, away4, 1), dst: away4, hop: "192.168.69.254", cause: DropRedirect},
		{name: "to the one who says so", frame: redirect4(router4, router4, away4, 1), dst: away4, hop: "192.168.69.254", cause: DropRedirect},
		{name: "to everybody", frame: redirect4(router4, addr("192.168.69.255"), away4, 1), dst: away4, hop: "192.168.69.254", cause: DropRedirect},
		{name: "to a group", frame: redirect4(router4, addr("224.0.0.2"), away4, 1), dst: away4, hop: "192.168.69.254", cause: DropRedirect},
		{name: "to nobody", frame: redirect4(router4, addr("0.0.0.0"), away4, 1), dst: away4, hop: "192.168.69.254", cause: DropRedirect},
		{name: "about what somebody else has sent", frame: toUs(ipv4(router4, us4, ip.ProtocolICMPv4, stranger)), dst: away4, hop: "192.168.69.254", cause: DropRedirect},
		{name: "for a neighbour", frame: redirect4(router4, better4, them4, 1), dst: them4, hop: "192.168.69.100", cause: DropRedirect},
		{name: "for the router itself", frame: redirect4(router4, better4, router4, 1), dst: router4, hop: "192.168.69.254", cause: DropRedirect},
		{name: "where a route is configured", options: []any{configured}, frame: redirect4(router4, router4, away4, 1), dst: away4, hop: "192.168.69.254", cause: DropRedirect},
		{name: "where they are ignored", options: []any{ignoring}, frame: redirect4(router4, better4, away4, 1), dst: away4, hop: "192.168.69.254", cause: DropRedirect},
		{name: "on a router", options: []any{forwarding}, frame: redirect4(router4, better4, away4, 1), dst: away4, hop: "192.168.69.254", cause: DropRedirect},

		{name: "IPv6 from somebody else", frame: redirect6(theirLinkLocal, better6, away6), dst: away6, hop: "fe80::fe", cause: DropRedirect},
		{name: "IPv6 from a global address", frame: redirect6(them6, better6, away6), dst: away6, hop: "fe80::fe", cause: DropNDMalformed},
		{name: "IPv6 to a global address", frame: redirect6(gateway6, them6, away6), dst: away6, hop: "fe80::fe", cause: DropNDMalformed},
		{name: "IPv6 to ourselves", frame: redirect6(gateway6, ourLinkLocal, away6), dst: away6, hop: "fe80::fe", cause: DropRedirect},
		{name: "IPv6 for a group", frame: redirect6(gateway6, better6, addr("ff0e::1")), dst: away6, hop: "fe80::fe", cause: DropNDMalformed},
		{name: "IPv6 for a neighbour", frame: redirect6(gateway6, better6, them6), dst: them6, hop: "fdaa::100", cause: DropRedirect},
		{name: "IPv6 forwarded to us", frame: patched(redirect6(gateway6, better6, away6), 14+7, 254), dst: away6, hop: "fe80::fe", cause: DropNDHopLimit},
		{name: "IPv6 where they are ignored", options: []any{ignoring}, frame: redirect6(gateway6, better6, away6), dst: away6, hop: "fe80::fe", cause: DropRedirect},
		{name: "IPv6 on a router", options: []any{forwarding}, frame: redirect6(gateway6, better6, away6), dst: away6, hop: "fe80::fe", cause: DropRedirect},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newRedirected(t, tc.options...)
			s.recv(tc.frame)
			require.Equal(t, tc.hop, s.hop(tc.dst))
			drops := s.link.Counters().Drops
			if tc.cause != 0 {
				require.EqualValues(t, 1, drops[tc.cause], "%v", drops)
				require.Empty(t, s.stack.redirects.list)
			} else {
				require.Zero(t, drops.Total(), "%v", drops)
			}
			s.wantIdle("nobody answers a redirect")
		})
	}
}

func TestWhatIsRedirectedGoesTheNewWay(t *testing.T) {
	s := newRedirected(t)
	e := s.bind("[::]:5000")
	say := func() []byte {
		require.NoError(t, e.Send(s.now, packetOf([]byte("x")), netip.AddrPortFrom(away6, 7), 0))
		return s.want("it leaves", "IP6 fdaa::1.5000 > 2001:db8::8.7: UDP, length 1")[0]
	}
	require.Equal(t, theirHardware, wire.EthernetFrame(say()).Dst())
	s.recv(redirect6(gateway6, better6, away6))
	require.Equal(t, betterHardware, wire.EthernetFrame(say()).Dst(), "whose hardware address the redirect says")
	require.True(t, s.link.Neighbours().Lookup(better6).Router())

	// It is a route like others, and ends.
	require.Contains(t, s.stack.Routes(), Route{Destination: prefix("2001:db8::8/128"), Gateway: better6, Link: 2, Origin: route.Redirect})
	s.after(redirectLifetime - time.Second)
	require.Equal(t, "fe80::fd", s.hop(away6))
	s.after(time.Second)
	require.Equal(t, "fe80::fe", s.hop(away6))
}

func TestRedirectsFollowEachOther(t *testing.T) {
	s := newRedirected(t)
	s.recv(redirect4(router4, better4, away4, 1))
	s.recv(redirect4(router4, them4, away4, 1))
	require.Equal(t, "192.168.69.253", s.hop(away4), "the old router has nothing more to say")
	s.recv(redirect4(better4, them4, away4, 1))
	require.Equal(t, "192.168.69.100", s.hop(away4), "but the new one has")
	require.Len(t, s.stack.redirects.list, 1)
}

func TestRedirectToANeighbourThatIsSilentEnds(t *testing.T) {
	s := newRedirected(t)
	s.recv(redirect4(router4, better4, away4, 1))
	e := s.bind("0.0.0.0:5000")
	require.NoError(t, e.Send(s.now, packetOf([]byte("x")), netip.AddrPortFrom(away4, 7), 0))
	for range 3 {
		s.want("is it there?", "ARP, Request who-has 192.168.69.253 tell 192.168.69.1, length 28")
		s.after(time.Second)
	}
	require.Equal(t, "192.168.69.254", s.hop(away4))
}

func TestRedirectsAreBounded(t *testing.T) {
	s := newRedirected(t, func(c *Config) { c.Limits.Redirects = 3 })
	routes := len(s.stack.Routes())
	for i := range byte(10) {
		s.recv(redirect4(router4, better4, netip.AddrFrom4([4]byte{8, 8, 8, i}), 1))
		s.after(time.Second)
	}
	require.Len(t, s.stack.Routes(), routes+3)
	require.Equal(t, "192.168.69.254", s.hop(addr("8.8.8.6")), "the oldest have made room")
	require.Equal(t, "192.168.69.253", s.hop(addr("8.8.8.7")))
	s.after(redirectLifetime)
	require.Len(t, s.stack.Routes(), routes)
	_, ok := s.stack.PollAt()
	require.False(t, ok, "nothing is left to be done")
}

func TestReplaceRoute(t *testing.T) {
	s := newRedirected(t)
	all := prefix("0.0.0.0/0")
	require.NoError(t, s.stack.ReplaceRoute(Route{Destination: all, Gateway: better4, Link: 2}))
	require.Equal(t, "192.168.69.253", s.hop(away4))
	before := s.stack.Routes()
	require.ErrorIs(t, s.stack.ReplaceRoute(Route{Destination: all, Gateway: addr("10.1.1.1"), Link: 2}), ErrConfig)
	require.Equal(t, before, s.stack.Routes(), "nothing has changed")
	require.NoError(t, s.stack.ReplaceRoute(Route{Destination: all, Gateway: router4, Link: 2, Metric: 5}))
	require.Equal(t, "192.168.69.253", s.hop(away4), "one of another metric stands beside it")
	require.NoError(t, s.stack.ReplaceRoute(Route{Destination: all, Gateway: better4, Link: 2, Metric: 9}))
	require.Equal(t, "192.168.69.254", s.hop(away4), "the same by another metric takes its place")
	require.NoError(t, s.stack.ReplaceRoute(Route{Destination: prefix("10.0.0.0/8"), Gateway: better4, Link: 2}))
	require.Equal(t, "192.168.69.253", s.hop(addr("10.1.1.1")), "what was not there is added")
}
