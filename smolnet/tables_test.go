package smolnet_test

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// next is the next event of one of the kinds.
func next(t *testing.T, w *smolnet.Watch, kinds ...core.EventKind) core.Event {
	t.Helper()
	for {
		e, err := w.Next(t.Context())
		require.NoError(t, err)
		for _, kind := range kinds {
			if e.Kind == kind {
				return e
			}
		}
	}
}

// Neighbours are listed, and watched while they come and go.
func TestNeighbours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPair(t, pipe.Config{})
		link, other := first.Links()[1], second.Links()[1]
		require.Nil(t, first.Links()[0].Neighbours(), "the loopback has none")
		time.Sleep(time.Minute) // all is announced
		w := first.Watch()
		defer w.Close()
		c, err := first.Dial("udp", "192.168.69.100:7")
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Write(nil)
		require.NoError(t, err)
		want := neighbour.Neighbour{
			Addr: netip.MustParseAddr("192.168.69.100"), LinkAddr: other.HardwareAddr().LinkAddr(), State: neighbour.Reachable}
		e := next(t, w, core.NeighbourChanged)
		require.Equal(t, want, e.Neighbour)
		require.Equal(t, "neighbour changed: 192.168.69.100 "+other.HardwareAddr().String()+" REACHABLE (link 2)", e.String())
		require.Contains(t, link.Neighbours(), want)

		e = next(t, w, core.NeighbourRemoved)
		require.Equal(t, want.Addr, e.Neighbour.Addr, "in the end it is forgotten")
		require.NotContains(t, link.Neighbours(), want)

		_, err = first.Dial("tcp", "192.168.69.77:7")
		require.Error(t, err)
		e = next(t, w, core.NeighbourChanged)
		require.Equal(t, neighbour.Neighbour{Addr: netip.MustParseAddr("192.168.69.77"), State: neighbour.Failed}, e.Neighbour)
		require.Contains(t, link.Neighbours(), e.Neighbour)
	})
}

func TestGroupsOfALink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, _ := newPair(t, pipe.Config{})
		link := first.Links()[1]
		group := netip.MustParseAddr("239.1.2.3")
		require.Contains(t, link.Groups(), netip.MustParseAddr("224.0.0.1"))
		require.NotContains(t, link.Groups(), group)
		c, err := first.ListenMulticastUDP("udp4", nil, udpAddr(t, "239.1.2.3:5000"))
		require.NoError(t, err)
		require.Contains(t, link.Groups(), group)
		require.NoError(t, c.Close())
		require.NotContains(t, link.Groups(), group)
	})
}

// What a Watch tells, the logger is told of as well.
func TestEventsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		logger := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: core.LevelTrace}))
		s := newStack(t, smolnet.Config{Logger: logger})
		w := s.Watch()
		defer w.Close()
		a, b := pipe.New(pipe.Config{})
		defer b.Close()
		link, err := s.AddInterface(smolnet.Interface{Device: a, Addresses: firstAddresses})
		require.NoError(t, err)
		time.Sleep(3 * time.Second)
		_, err = s.Dial("tcp", "192.168.69.77:7")
		require.Error(t, err)
		require.True(t, link.RemoveAddress(firstAddresses[0].Addr()))
		require.NoError(t, s.Close())
		count, kinds := 0, make(map[core.EventKind]bool)
		for e, err := w.Next(t.Context()); err == nil; e, err = w.Next(t.Context()) {
			count++
			kinds[e.Kind] = true
		}
		for _, kind := range []core.EventKind{core.AddressAdded, core.AddressChanged, core.AddressRemoved, core.RouteAdded,
			core.RouteRemoved, core.NeighbourChanged, core.GroupJoined, core.GroupLeft} {
			require.True(t, kinds[kind], "%v", kind)
			require.Contains(t, text.String(), `msg="`+kind.String()+`" interface=if2`)
			count -= strings.Count(text.String(), `msg="`+kind.String()+`"`)
		}
		require.Zero(t, count, "each is logged once")
	})
}
