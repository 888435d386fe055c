package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

// A configured address is used although no router registers it if there is none, and nobody waits for a router that does not want to.
func TestRadioHostWithConfiguredAddress(t *testing.T) {
	own := addr("2001:db8::b")
	configured := func(c *InterfaceConfig) {
		c.Addresses, c.Autoconf = append(c.Addresses[:0:0], prefix("2001:db8::b/128")), true
	}
	advertise := func(s *radioScript) {
		options := wire.NDOptions(nil).Append(&wire.NDLinkAddrRepr{Addr: nodeA})
		s.hear(ndPacket(linkA, linkB, &wire.NDRouterAdvertisementRepr{RouterLifetime: 2 * time.Hour, Options: options}))
	}
	refuse := func(s *radioScript) {
		s.hear(ndPacket(linkA, linkB, &wire.NDMessageWithOptions{
			Message: &wire.NDNeighborAdvertisementRepr{Router: true, Solicited: true, Target: linkA},
			Options: wire.NDOptions(nil).Append(&wire.NDAddressRegistrationRepr{Status: wire.RegistrationFull, Owner: wire.EUI64ROVR(euiB)}),
		}))
	}
	state := func(s *radioScript) AddressState { return s.link.find(own).state }
	t.Run("without a router", func(t *testing.T) {
		s := newRadioScript(t, unacknowledged, configured)
		s.after(4 * time.Second)
		require.Equal(t, Tentative, state(s))
		require.True(t, s.stack.Settling(true), "routers have time to answer")
		s.after(time.Second)
		require.Equal(t, Preferred, state(s))
		require.False(t, s.stack.Settling(true))
		s.skip()
		advertise(s)
		require.Contains(t, s.print(s.next()), "2001:db8::b > linkA", "a router that comes later registers it")
		require.Equal(t, Preferred, state(s))
	})
	t.Run("with a router that refuses it", func(t *testing.T) {
		s := newRadioScript(t, unacknowledged, configured)
		s.after(time.Second)
		s.skip()
		advertise(s)
		s.skip()
		refuse(s)
		require.True(t, s.stack.Settling(true), "it is another's turn perhaps")
		s.after(4 * time.Second)
		require.False(t, s.stack.Settling(true))
		require.Equal(t, Tentative, state(s))
	})
	t.Run("with one that does not answer", func(t *testing.T) {
		s := newRadioScript(t, unacknowledged, configured)
		s.after(time.Second)
		s.skip()
		advertise(s)
		for range 3 {
			s.after(time.Second)
			s.skip()
		}
		s.after(time.Second)
		require.Equal(t, Preferred, state(s))
	})
}

// Who has no address yet says nothing of its link-layer address, as RFC 4861 section 6.1.1 has it, and is answered all the same.
func TestRadioHostAsksForRoutersWithoutAnAddress(t *testing.T) {
	s := newRadioScript(t, unacknowledged, func(c *InterfaceConfig) {
		c.Addresses, c.Autoconf = append(c.Addresses[:0:0], prefix("fe80::b/64")), true
	})
	s.after(time.Second)
	s.want("from nobody", "0 to all: IP6 :: > ff02::2: ICMP6, router solicitation, capabilities E, length 16")
}
