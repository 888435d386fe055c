package core

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/registration"
	"github.com/smolnet/smolnet/core/rpl"
	"github.com/smolnet/smolnet/core/wire"
)

// radioRoles are what an interface on a radio can be, and what keeps each busy.
var radioRoles = []struct {
	name string
	be   func(*InterfaceConfig)
	busy func(*radioScript)
}{
	{"a host", func(c *InterfaceConfig) { c.Autoconf = true }, func(s *radioScript) {
		options := wire.NDOptions(nil).Append(&wire.NDLinkAddrRepr{Addr: nodeA})
		options = options.Append(&wire.NDContextRepr{Prefix: within, Compress: true, Lifetime: time.Hour})
		options = options.Append(&wire.NDPrefixInformationRepr{Prefix: prefix("2001:db8::/64"), Autonomous: true,
			ValidLifetime: time.Hour, PreferredLifetime: time.Hour})
		s.hear(ndPacket(linkA, linkB, &wire.NDRouterAdvertisementRepr{RouterLifetime: time.Hour, Options: options}))
	}},
	{"a router", func(c *InterfaceConfig) {
		c.Forward, c.IEEE802154.Router = true, &registration.RouterConfig{
			Prefixes: []registration.Prefix{{Prefix: within}}, Interval: time.Minute,
			Contexts: []wire.NDContextRepr{{Prefix: within, Compress: true, Lifetime: time.Hour}},
		}
	}, func(s *radioScript) {
		s.hear(ndPacket(meshA, linkB, &wire.NDMessageWithOptions{
			Message: &wire.NDNeighborSolicitationRepr{Target: linkB, SourceLinkAddr: nodeA},
			Options: wire.NDOptions(nil).Append(&wire.NDAddressRegistrationRepr{Lifetime: time.Hour, Owner: wire.EUI64ROVR(euiA)}),
		}))
		s.hear(ndPacket(linkC, linkB, &wire.NDRouterSolicitationRepr{SourceLinkAddr: nodeC}))
		require.Len(s.t, s.link.Registrations(), 1)
	}},
	{"a leaf", func(c *InterfaceConfig) { c.IEEE802154.RPLLeaf = &rpl.LeafConfig{} }, func(s *radioScript) {
		dio(s, wire.RPLStoring, time.Hour)
		s.after(time.Second)
	}},
	{"a root", func(c *InterfaceConfig) {
		c.IEEE802154.RPLRoot = &rpl.RootConfig{DODAG: meshB, Mode: wire.RPLStoring}
	}, func(s *radioScript) {
		(&rplRoot{radioScript: s}).told(linkA, meshA, netip.Addr{})
		require.Len(s.t, s.link.RPLTargets(), 1)
	}},
	{"a host and a leaf", func(c *InterfaceConfig) { c.Autoconf, c.IEEE802154.RPLLeaf = true, &rpl.LeafConfig{} }, func(s *radioScript) {
		dio(s, wire.RPLNonStoring, time.Hour)
		s.after(time.Second)
	}},
}

// Nothing is left of an interface that is removed while it is at work: no timer, no route, no packet.
func TestRadioRemoved(t *testing.T) {
	for _, role := range radioRoles {
		for _, sent := range []bool{false, true} {
			t.Run(role.name, func(t *testing.T) {
				s := newRadioScript(t, role.be)
				s.after(time.Second)
				role.busy(s)
				s.recv(s.fragments(echo6(linkA, linkB, noise(300)))[0])
				if sent {
					s.skip()
					s.hear(echo6(linkA, linkB, noise(300)))
					s.skip() // and there is more, once this is acknowledged
				}
				require.NoError(t, s.stack.RemoveInterface(s.now, s.link))
				s.stack.Advance(s.now)
				at, ok := s.stack.NextTimer()
				require.False(t, ok, "at %v", at)
				require.Empty(t, s.stack.Routes())
			})
		}
	}
}

// A router that does not forward would have hosts send to it in vain.
func TestRadioRouterForwards(t *testing.T) {
	s := newRadioScript(t, radioRoles[1].be)
	require.ErrorIs(t, s.link.SetForward(false), ErrConfig)
	require.True(t, s.link.Forwards())
}
