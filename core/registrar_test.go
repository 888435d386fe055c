package core

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/registration"
	"github.com/smolnet/smolnet/core/wire"
)

// newBorderRouter makes a script of a stack that is the border router of 2001:db8::/64, node B, which A comes to.
func newBorderRouter(t *testing.T, options ...any) *radioScript {
	s := newRadioScript(t, append([]any{
		func(c *InterfaceConfig) { c.Addresses, c.Forward = []netip.Prefix{netip.PrefixFrom(globalB, 64)}, true },
		func(c *IEEE802154Config) {
			c.Router = &registration.RouterConfig{
				BorderRouter: globalB, Prefixes: []registration.Prefix{{Prefix: prefix("2001:db8::/64")}},
				Contexts: []wire.NDContextRepr{{Prefix: prefix("2001:db8::/64"), Compress: true, Lifetime: 10 * time.Minute}},
			}
		}, unacknowledged}, options...)...)
	s.after(10 * time.Minute) // until all can know the context
	s.skip()
	s.base = s.link.radio.sending.seq
	return s
}

// asks is a host's solicitation that registers an address.
func asks(src, target netip.Addr, from wire.LinkAddr, owner [8]byte, lifetime time.Duration) []byte {
	return ndPacket(src, linkB, &wire.NDMessageWithOptions{
		Message: &wire.NDNeighborSolicitationRepr{Target: target, SourceLinkAddr: from},
		Options: wire.NDOptions(nil).Append(&wire.NDAddressRegistrationRepr{Lifetime: lifetime, Owner: wire.EUI64ROVR(owner)}),
	})
}

func TestRadioBorderRouter(t *testing.T) {
	const (
		probe   = "IP6 linkB > 2001:db8::11:2233:4455:660a: ICMP6, neighbor solicitation, who has 2001:db8::11:2233:4455:660a, source link-address B, length 40"
		replied = "IP6 linkB > 2001:db8::11:2233:4455:660a: ICMP6, neighbor advertisement, tgt is linkB, " +
			"Flags [router, solicited, override], destination link-address B; address registration A, lifetime 15m, "
	)
	t.Run("answers who asks for routers", func(t *testing.T) {
		s := newBorderRouter(t)
		s.hearAll(ndPacket(linkA, allRoutersv6, &wire.NDRouterSolicitationRepr{SourceLinkAddr: nodeA}))
		s.after(2 * time.Second)
		sent := s.send()
		require.Len(t, sent, 2, "in two fragments, to it alone")
		ip := putTogether(t, sent, &s.link.radio.contexts)
		require.Equal(t, "IP6 "+linkB.String()+" > "+linkA.String(), wire.FormatIP(ip)[:len("IP6 "+linkB.String()+" > "+linkA.String())])
		var ra wire.NDRouterAdvertisementRepr
		require.NoError(t, ra.Parse(ip[40:]))
		require.Equal(t, 30*time.Minute, ra.RouterLifetime)
		var kinds []uint8
		for options := ra.Options; len(options) > 0; options = options[int(options[1])*8:] {
			kinds = append(kinds, options[0])
		}
		require.Equal(t, uint8(wire.NDOptionSourceLinkAddr), kinds[0])
		require.Subset(t, kinds, []uint8{wire.NDOptionSourceLinkAddr, wire.NDOptionPrefixInformation, wire.NDOptionContext, wire.NDOptionBorderRouter})
	})
	t.Run("registers who asks for that", func(t *testing.T) {
		s := newBorderRouter(t)
		s.hear(asks(globalA, linkB, nodeA, euiA, 15*time.Minute))
		s.want("the answer, and whether it is there", "0 to A: "+replied+"success, length 56", "1 to A: "+probe)
		require.Len(t, s.link.Registrations(), 1)
		require.Equal(t, nodeA, s.neighbour(globalA).LinkAddr)
		require.Equal(t, neighbour.Static, s.neighbour(globalA).State)
	})
	t.Run("and sends to it without asking", func(t *testing.T) {
		s := newBorderRouter(t)
		s.hear(asks(globalA, linkB, nodeA, euiA, 15*time.Minute))
		s.skip()
		s.base = s.link.radio.sending.seq
		e := s.bind("[::]:7")
		require.NoError(t, e.Send(s.now, packetOf([]byte("hello")), netip.AddrPortFrom(globalA, 7), 0))
		s.want("at once", "0 to A: IP6 2001:db8::11:2233:4455:660b.7 > 2001:db8::11:2233:4455:660a.7: UDP, length 5")
	})
	t.Run("not an address that is another's", func(t *testing.T) {
		s := newBorderRouter(t)
		s.hear(asks(globalA, linkB, nodeA, euiA, 15*time.Minute))
		s.skip()
		c := asks(globalA, linkB, nodeC, euiC, 15*time.Minute)
		h := s.header()
		h.Src = nodeC
		s.recv(radioFrame(h, compress(c, wire.LowpanLink{Src: nodeC, Dst: nodeB, Contexts: &s.link.radio.contexts})))
		require.Contains(t, s.printed(), "duplicate address", "the answer goes to C, whose address it is not")
		require.Equal(t, nodeC, wire.IEEE802154Frame(s.last).Dst())
		require.Len(t, s.link.Registrations(), 1)
		require.Equal(t, nodeA, s.neighbour(globalA).LinkAddr)
	})
	t.Run("nor its own", func(t *testing.T) {
		s := newBorderRouter(t)
		s.hear(asks(globalB, linkB, nodeA, euiA, 15*time.Minute))
		s.skip()
		require.Empty(t, s.link.Registrations())
		require.Equal(t, 1, s.drops(DropOwnSource))
	})
	t.Run("until the host has enough of it", func(t *testing.T) {
		s := newBorderRouter(t)
		s.hear(asks(globalA, linkB, nodeA, euiA, 15*time.Minute))
		s.hear(asks(globalA, linkB, nodeA, euiA, 0))
		require.Contains(t, s.printed(), "lifetime 0m, success")
		require.Empty(t, s.link.Registrations())
		if e := s.link.Neighbours().Lookup(globalA); e != nil {
			require.NotEqual(t, neighbour.Static, e.State())
		}
	})
	t.Run("or it is not renewed", func(t *testing.T) {
		s := newBorderRouter(t)
		s.hear(asks(globalA, linkB, nodeA, euiA, 15*time.Minute))
		s.after(14 * time.Minute)
		s.hear(asks(globalA, linkB, nodeA, euiA, 15*time.Minute))
		s.after(14 * time.Minute)
		require.Len(t, s.link.Registrations(), 1)
		s.after(time.Minute)
		require.Empty(t, s.link.Registrations())
		s.skip()
	})
	t.Run("but not more than it may, of those who are there", func(t *testing.T) {
		s := newBorderRouter(t, func(c *Config) { c.Limits.Lowpan.Registrations = 1 })
		s.hear(asks(globalA, linkB, nodeA, euiA, 15*time.Minute))
		s.skip()
		s.hear(ndPacket(globalA, linkB, &wire.NDNeighborAdvertisementRepr{Solicited: true, Target: globalA}))
		s.hear(asks(addr("2001:db8::1"), linkB, nodeA, euiA, 15*time.Minute))
		require.Contains(t, s.printed(), "neighbor cache full")
		require.Len(t, s.link.Registrations(), 1)
	})
	t.Run("solicitations without a registration are answered as ever", func(t *testing.T) {
		s := newBorderRouter(t)
		s.hear(ndPacket(linkA, linkB, &wire.NDNeighborSolicitationRepr{Target: linkB, SourceLinkAddr: nodeA}))
		s.want("by RFC 4861", "0 to A: IP6 linkB > linkA: ICMP6, neighbor advertisement, tgt is linkB, Flags [router, solicited, override], destination link-address B, length 40")
		require.Empty(t, s.link.Registrations())
	})
	t.Run("what RIOT's host asks", func(t *testing.T) {
		riot := radioCapture(t)
		s := newBorderRouter(t, func(c *InterfaceConfig) {
			c.Addresses = []netip.Prefix{prefix("2001:db8::1/64")}
		}, func(c *IEEE802154Config) { c.EUI64, c.Router.BorderRouter = euiA, addr("2001:db8::1") })
		s.recv(riot[645-1].frame)
		frames := s.send()
		require.NotEmpty(t, frames)
		require.Len(t, s.link.Registrations(), 1)
		require.Equal(t, globalB, s.link.Registrations()[0].Addr)
		s.recv(riot[653-1].frame)
		pong := s.send()
		require.Equal(t, riot[655-1].frame[radioHeader:], pong[len(pong)-1][radioHeader:], "its ping is answered as by RIOT's router")
	})
	t.Run("is nothing without forwarding, nor beside other routers", func(t *testing.T) {
		for _, change := range []func(*InterfaceConfig){
			func(c *InterfaceConfig) {}, func(c *InterfaceConfig) { c.Forward, c.Autoconf = true, true },
		} {
			stack, err := New(epoch, Config{Rand: seeded()})
			require.NoError(t, err)
			config := InterfaceConfig{Device: &testDevice{radioCaps(1280)}, IEEE802154: &IEEE802154Config{Router: &registration.RouterConfig{}}}
			change(&config)
			_, err = stack.AddInterface(epoch, config)
			require.ErrorIs(t, err, ErrConfig)
			stack.Close(epoch)
		}
	})
}

// printed is all that leaves now.
func (s *radioScript) printed() string {
	s.t.Helper()
	text := ""
	for _, b := range s.send() {
		text += s.print(b) + "\n"
	}
	return text
}

// putTogether is the packet that frames carry.
func putTogether(t *testing.T, frames [][]byte, contexts *wire.LowpanContexts) (ip []byte) {
	t.Helper()
	for _, b := range frames {
		frame := wire.IEEE802154Frame(b)
		payload := frame.Payload()
		var f wire.LowpanFragment
		require.NoError(t, f.Parse(payload))
		payload = payload[f.Len():]
		if f.First() {
			var headers [wire.LowpanMaxDecompressedLen]byte
			h, err := wire.DecompressIPv6(headers[:], payload, f.DatagramSize, wire.LowpanLink{Src: frame.Src(), Dst: frame.Dst(), Contexts: contexts})
			require.NoError(t, err)
			ip, payload = append(ip, headers[:h.Len]...), payload[h.Consumed:]
		}
		require.Equal(t, f.Offset, map[bool]int{true: 0, false: len(ip)}[f.First()])
		ip = append(ip, payload...)
	}
	return ip
}
