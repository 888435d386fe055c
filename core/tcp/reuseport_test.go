package tcp

import (
	"net/netip"
	"testing"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/stretchr/testify/require"
)

func TestListenersThatShareAPort(t *testing.T) {
	s := newScript(t)
	shared := func(c *ListenConfig) { c.ReusePort = true }
	listeners := []*Listener{s.listen(shared), s.listen(shared), s.listen(shared), s.listen(shared)}
	_, err := s.host.Listen(ListenConfig{Local: s.local})
	require.ErrorIs(t, err, ip.ErrAddressInUse, "who does not share gets nothing")
	arrive := func(port uint16) {
		peer := netip.AddrPortFrom(peerHost, port)
		for range 2 { // the second is the same again
			s.host.Input(0, s.net, segmentFrom(peer, wire.TCPSyn, 1, 0, ""))
		}
	}
	for port := range uint16(400) {
		arrive(1024 + port)
	}
	for _, l := range listeners {
		require.InDelta(t, 100, l.halfOpen, 40, "to each its share")
	}
	s.wantConsistent()
	before := listeners[1].halfOpen
	listeners[0].Close(s.now)
	for port := range uint16(400) {
		arrive(2048 + port)
	}
	require.Greater(t, listeners[1].halfOpen, before, "what would have been the other's is shared")
	require.Equal(t, s.host.halfOpen, listeners[1].halfOpen+listeners[2].halfOpen+listeners[3].halfOpen)
	for _, l := range listeners[1:] {
		require.NotNil(t, s.host.listener(s.local, 0))
		l.Close(s.now)
	}
	require.Nil(t, s.host.listener(s.local, 0), "all are gone")
	require.Empty(t, s.host.sharers)
	require.Zero(t, s.host.ports.count(s.local.Port()))
	s.listen().Close(s.now)
	s.net.discard()
}
