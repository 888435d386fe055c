package core

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/wire"
)

// A neighbour that was given up is asked by unicast, and need not say then where it is: its address says that.
func TestDerivedNeighbourIsBack(t *testing.T) {
	s := newRadioScript(t, unacknowledged)
	e := s.bind("[::]:1000")
	send := func(payload string) {
		require.NoError(t, e.Send(s.now, packetOf([]byte(payload)), netip.AddrPortFrom(linkA, 7), s.link.Index()))
	}
	solicitation := ": IP6 linkB > linkA: ICMP6, neighbor solicitation, who has linkA, source link-address B, length 40"
	send("there")
	s.want("nobody is asked", "0 to A: IP6 linkB.1000 > linkA.7: UDP, length 5")
	s.after(5 * time.Second)
	s.want("is it there?", "1 to A"+solicitation)
	for range 3 {
		s.after(time.Second)
		s.skip()
	}
	require.Equal(t, neighbour.Failed, s.link.Neighbours().Lookup(linkA).State())
	send("again")
	s.want("is it back?", "4 to A"+solicitation)
	s.hear(ndPacket(linkA, linkB, &wire.NDNeighborAdvertisementRepr{Solicited: true, Override: true, Target: linkA}))
	s.want("it is", "5 to A: IP6 linkB.1000 > linkA.7: UDP, length 5")
	require.Equal(t, neighbour.Reachable, s.link.Neighbours().Lookup(linkA).State())
}
