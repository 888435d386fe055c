package core

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/registration"
	"github.com/smolnet/smolnet/core/wire"
)

var globalA, globalB = addr("2001:db8::11:2233:4455:660a"), addr("2001:db8::11:2233:4455:660b")

// likeRIOT has a host do as RIOT's, which takes the router's word for 15 minutes and knows RFC 6775's registration only.
func likeRIOT(c *IEEE802154Config) {
	c.Registration = registration.HostConfig{Mode: registration.ModeBasic, Lifetime: 15 * time.Minute}
}

// newRadioHost makes a script of a stack that listens to routers.
func newRadioHost(t *testing.T, options ...any) *radioScript {
	return newRadioScript(t, append([]any{func(c *InterfaceConfig) { c.Addresses, c.Autoconf = nil, true }}, options...)...)
}

// state is that of the stack's address; -1: it has none such.
func (s *radioScript) state(addr netip.Addr) AddressState {
	if a := s.link.find(addr); a != nil {
		return a.state
	}
	return numAddressStates
}

// A host comes up in RIOT's network: what it hears is what RIOT's border router said to RIOT's host, and what it says is, from the
// link-layer header on, what that said.
func TestRadioHostInRIOTsNetwork(t *testing.T) {
	riot := radioCapture(t)
	frame := func(number int) []byte { return riot[number-1].frame }
	const header, groupHeader = radioHeader, radioHeader - 6
	s := newRadioHost(t, likeRIOT)
	passed := s.due(time.Second)
	require.LessOrEqual(t, passed, time.Second)
	sent := s.want("it asks for routers", "0 to all: IP6 linkB > ff02::2: ICMP6, router solicitation, source link-address B, length 24")
	require.Equal(t, frame(640)[groupHeader:], sent[0][groupHeader:], "as RIOT's host")
	require.Equal(t, frame(640)[:2], sent[0][:2], "in a frame like its")

	s.recv(frame(641))
	s.want("the first of two fragments", "ack 124")
	s.recv(frame(643))
	sent = s.want("it makes itself an address, and registers it", "ack 125",
		"1 to A: IP6 2001:db8::11:2233:4455:660b > linkA: ICMP6, neighbor solicitation, who has linkA, source link-address B; "+
			"address registration B, lifetime 15m, success, length 56")
	require.Equal(t, frame(645)[header:], sent[1][header:], "as RIOT's host")
	require.Equal(t, frame(645)[:2], sent[1][:2])
	s.acked()
	require.Equal(t, Tentative, s.state(globalB), "it is not its own yet")

	s.recv(frame(647))
	s.want("it is confirmed", "ack 126")
	require.Equal(t, Preferred, s.state(globalB))
	s.recv(frame(649))
	s.want("and there", "ack 127",
		"2 to A: IP6 2001:db8::11:2233:4455:660b > 2001:db8::1: ICMP6, neighbor advertisement, tgt is 2001:db8::11:2233:4455:660b, "+
			"Flags [solicited, override], destination link-address B, length 40")
	s.acked()
	s.recv(patched(frame(655), 2, 200))
	require.Equal(t, 1, s.drops(DropICMPReply), "a ping that another host has sent is answered to it")
	s.want("it was heard all the same", "ack 200")

	e := s.bind("[::]:7")
	require.NoError(t, e.Send(s.now, packetOf([]byte("hello")), addrPort("[2001:db8:99::1]:7"), 0))
	s.want("everything goes to the router, which is where its address says",
		"3 to A: IP6 2001:db8::11:2233:4455:660b.7 > 2001:db8:99::1.7: UDP, length 5")
	s.acked()
	require.NoError(t, e.Send(s.now, packetOf([]byte("hello")), netip.AddrPortFrom(globalA, 7), 0))
	s.want("even to who has the prefix, which is on no link", "4 to A: IP6 2001:db8::11:2233:4455:660b.7 > 2001:db8::11:2233:4455:660a.7: UDP, length 5")
	s.acked()
	require.Equal(t, prefix("2001:db8::/64"), s.link.radio.contexts[0].Prefix, "by a context that the router told")
	require.True(t, s.link.radio.contexts[0].Compress)
	require.Less(t, len(s.last), header+25, "which takes no octet of the addresses' prefixes")
}

// A router's advertisement that says all that there is in a 6LoWPAN.
func radioAdvertisement(lifetime time.Duration, options ...wire.NDOptionRepr) *wire.NDRouterAdvertisementRepr {
	r := &wire.NDRouterAdvertisementRepr{RouterLifetime: lifetime}
	r.Options = r.Options.Append(&wire.NDLinkAddrRepr{Addr: nodeA})
	for _, option := range options {
		r.Options = r.Options.Append(option)
	}
	return r
}

// sixPrefix is a prefix to make addresses from, that is on no link.
func sixPrefix(valid time.Duration) *wire.NDPrefixInformationRepr {
	return &wire.NDPrefixInformationRepr{Prefix: prefix("2001:db8::/64"), Autonomous: true, ValidLifetime: valid, PreferredLifetime: valid}
}

// registered is a router's answer to a registration.
func registered(status wire.RegistrationStatus, lifetime time.Duration) ndMessage {
	return &wire.NDMessageWithOptions{
		Message: &wire.NDNeighborAdvertisementRepr{Router: true, Solicited: true, Target: linkA},
		Options: wire.NDOptions(nil).Append(&wire.NDAddressRegistrationRepr{Status: status, Lifetime: lifetime, Owner: wire.EUI64ROVR(euiB)}),
	}
}

const asksToRegister = "IP6 2001:db8::11:2233:4455:660b > linkA: ICMP6, neighbor solicitation, who has linkA, source link-address B; " +
	"address registration B, lifetime 15m, success, length 56"

// newRegistering makes a host that has just asked a router to register its address.
func newRegistering(t *testing.T, options ...any) *radioScript {
	s := newRadioHost(t, append([]any{likeRIOT, unacknowledged}, options...)...)
	s.after(time.Second)
	s.skip()
	s.base = s.link.radio.sending.seq
	s.hear(ndPacket(linkA, linkB, radioAdvertisement(2*time.Hour, sixPrefix(4*time.Hour))))
	s.want("at once", "0 to A: "+asksToRegister)
	return s
}

func TestRadioHostRegisters(t *testing.T) {
	answer := func(status wire.RegistrationStatus, lifetime time.Duration) []byte {
		return ndPacket(linkA, globalB, registered(status, lifetime))
	}
	success := answer(wire.RegistrationSuccess, 15*time.Minute)
	t.Run("again if there is no answer, and then asks for other routers", func(t *testing.T) {
		s := newRegistering(t)
		for i := range 2 {
			s.after(time.Second)
			s.want("again", []string{"1", "2"}[i]+" to A: "+asksToRegister)
		}
		s.pass(12 * time.Second)
		s.want("the router is gone, for what it knows", "3 to all: IP6 linkB > ff02::2: ICMP6, router solicitation, source link-address B, length 24")
		require.Equal(t, Tentative, s.state(globalB))
	})
	t.Run("again before it is over", func(t *testing.T) {
		s := newRegistering(t)
		s.hear(success)
		require.Equal(t, Preferred, s.state(globalB))
		s.after(8 * time.Minute)
		s.wantIdle("15 minutes are long")
		s.after(2 * time.Minute)
		s.want("two thirds of them are over", "1 to A: "+asksToRegister)
		require.Equal(t, Preferred, s.state(globalB), "it is used meanwhile")
		s.hear(success)
		s.after(10 * time.Minute)
		s.want("and so on", "2 to A: "+asksToRegister)
	})
	t.Run("with a router that has forgotten it", func(t *testing.T) {
		s := newRegistering(t)
		s.hear(success)
		s.hear(answer(wire.RegistrationRemoved, 0))
		require.Equal(t, Preferred, s.state(globalB), "it is unique still")
	})
	t.Run("not an address that somebody else has", func(t *testing.T) {
		var events []Event
		s := newRegistering(t, func(c *Config) { c.Event = func(e Event) { events = append(events, e) } })
		s.hear(answer(wire.RegistrationDuplicate, 0))
		require.NotEqual(t, Preferred, s.state(globalB))
		require.NotEqual(t, Tentative, s.state(globalB))
		require.Contains(t, eventKindsOf(events), AddressConflict)
		s.after(time.Minute)
		for _, b := range s.send() {
			require.NotContains(t, s.print(b), "registration")
		}
		e := s.bind("[::]:7")
		require.NoError(t, e.Send(s.now, packetOf([]byte("hello")), addrPort("[2001:db8:99::1]:7"), 0))
		for _, b := range s.send() {
			require.NotContains(t, s.print(b), "IP6 2001:db8::11:2233:4455:660b", "it is not used")
		}
	})
	t.Run("what a router has no room for", func(t *testing.T) {
		var events []Event
		s := newRegistering(t, func(c *Config) { c.Event = func(e Event) { events = append(events, e) } })
		s.hear(answer(wire.RegistrationFull, 0))
		require.Equal(t, Tentative, s.state(globalB))
		require.Contains(t, eventKindsOf(events), RegistrationRefused)
		s.after(time.Minute)
		s.want("another time perhaps", "1 to A: "+asksToRegister)
	})
	t.Run("and takes nothing in before but the answer", func(t *testing.T) {
		s := newRegistering(t)
		s.hear(echo6(linkA, globalB, "hello"))
		s.wantIdle("it may be somebody else's address")
		s.hear(success)
		s.hear(echo6(linkA, globalB, "hello"))
		s.want("now it is not", "1 to A: IP6 2001:db8::11:2233:4455:660b > linkA: ICMP6, echo reply, id 1, seq 2, length 13")
	})
	t.Run("no longer what is removed", func(t *testing.T) {
		s := newRegistering(t)
		s.hear(success)
		s.link.RemoveAddress(s.now, globalB)
		s.want("the router need not keep it", "1 to A: IP6 2001:db8::11:2233:4455:660b > linkA: ICMP6, neighbor solicitation, who has linkA, source link-address B; "+
			"address registration B, lifetime 0m, success, length 56")
		require.NoError(t, s.stack.RemoveInterface(s.now, s.link))
		s.after(time.Hour)
		require.Zero(t, s.stack.Counters().Drops[DropNeighbourFailed], "there is nothing more to do")
	})
	t.Run("by somebody's answer who was not asked", func(t *testing.T) {
		s := newRegistering(t)
		s.hear(ndPacket(linkC, globalB, &wire.NDMessageWithOptions{
			Message: &wire.NDNeighborAdvertisementRepr{Router: true, Solicited: true, Target: linkC},
			Options: wire.NDOptions(nil).Append(&wire.NDAddressRegistrationRepr{Lifetime: time.Hour, Owner: wire.EUI64ROVR(euiB)}),
		}))
		require.Equal(t, Tentative, s.state(globalB))
	})
	t.Run("by RFC 8505 with a router that knows it", func(t *testing.T) {
		s := newRadioHost(t, unacknowledged)
		s.after(time.Second)
		s.want("it says that it knows it", "0 to all: IP6 linkB > ff02::2: ICMP6, router solicitation, source link-address B; capabilities E, length 32")
		s.hear(ndPacket(linkA, linkB, radioAdvertisement(30*time.Minute, sixPrefix(4*time.Hour), &wire.NDCapabilitiesRepr{Flags: wire.NDCapabilityExtendedRegistration | wire.NDCapabilityRouter})))
		s.want("one address at a time, the link-local one too, as the target",
			"1 to A: IP6 linkB > linkA: ICMP6, neighbor solicitation, who has linkB, source link-address B; "+
				"address registration B, lifetime 60m, tid 240, reachable, success, length 56")
		s.hear(ndPacket(linkA, linkB, &wire.NDMessageWithOptions{
			Message: &wire.NDNeighborAdvertisementRepr{Router: true, Solicited: true, Target: linkB},
			Options: wire.NDOptions(nil).Append(&wire.NDAddressRegistrationRepr{Extended: true, TID: 240, Lifetime: time.Hour, Owner: wire.EUI64ROVR(euiB)}),
		}))
		require.Contains(t, s.printed(), "who has 2001:db8::11:2233:4455:660b, source link-address B; address registration B, lifetime 60m, tid ")
		require.Equal(t, Preferred, s.state(linkB), "which nobody has claimed by answering with it")
	})
}

func eventKindsOf(events []Event) (kinds []EventKind) {
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// Contexts are those that are configured, and those that routers tell of beside them.
func TestRadioContexts(t *testing.T) {
	context := func(id uint8, p string, compress bool, lifetime time.Duration) *wire.NDContextRepr {
		return &wire.NDContextRepr{ID: id, Prefix: prefix(p), Compress: compress, Lifetime: lifetime}
	}
	of := func(s *radioScript) (known map[int]string) {
		known = make(map[int]string)
		for id, c := range s.link.radio.contexts {
			if c.Prefix.IsValid() {
				known[id] = c.Prefix.String()
				if c.Compress {
					known[id] += " compress"
				}
			}
		}
		return known
	}
	s := newRadioHost(t, unacknowledged, func(c *IEEE802154Config) {
		c.Contexts[3] = wire.LowpanContext{Prefix: prefix("fd00::/64"), Compress: true}
	})
	s.after(time.Second)
	s.skip()
	require.Equal(t, map[int]string{3: "fd00::/64 compress"}, of(s))
	say := func(lifetime time.Duration) {
		s.hear(ndPacket(linkA, linkB, radioAdvertisement(30*time.Minute, context(0, "2001:db8::/64", true, lifetime),
			context(1, "2001:db8:1::/48", false, 10*time.Minute), context(3, "2001:db8:3::/64", true, 10*time.Minute))))
	}
	e := s.bind("[::]:7")
	arrives := func(source netip.Addr, payload []byte, ok bool) {
		t.Helper()
		unknown := s.drops(DropLowpanContext)
		s.recv(s.frame(payload))
		p, from, received := e.Receive()
		require.Equal(t, ok, received)
		if !ok {
			require.Equal(t, unknown+1, s.drops(DropLowpanContext))
			return
		}
		p.Release()
		require.Equal(t, source, from.Addr())
	}
	byContext := func(id uint8, source netip.Addr) []byte { // its prefix from the context, its identifier from the frame
		network, _ := source.Prefix(64)
		b := compress(udpTo(source, linkB, 1000, 7, "hello"), wire.LowpanLink{Src: nodeA, Dst: nodeB,
			Contexts: &wire.LowpanContexts{{Prefix: network, Compress: true}}})
		require.Zero(t, b[1]&0x80, "context 0 needs no octet")
		b[1] |= 0x80
		return append(append(append([]byte(nil), b[:2]...), id<<4), b[2:]...)
	}
	arrives(globalA, byContext(0, globalA), false)
	say(10 * time.Minute)
	require.Equal(t, map[int]string{0: "2001:db8::/64 compress", 1: "2001:db8:1::/48", 3: "fd00::/64 compress"}, of(s), "what is configured stays")
	arrives(globalA, byContext(0, globalA), true)
	arrives(meshA, byContext(3, meshA), true)
	arrives(globalA, byContext(7, globalA), false)
	s.after(10 * time.Minute)
	s.skip()
	require.Equal(t, map[int]string{0: "2001:db8::/64", 1: "2001:db8:1::/48", 3: "fd00::/64 compress"}, of(s),
		"a context that is over is for decompression only, and for as long again")
	arrives(globalA, byContext(0, globalA), true)
	s.after(time.Hour)
	s.skip()
	require.Equal(t, map[int]string{3: "fd00::/64 compress"}, of(s))
	arrives(globalA, byContext(0, globalA), false)
}
