package smolnet_test

import (
	"net"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// Who must know that nothing is cut, as QUIC, says so; and others need not know what the link carries.
func TestSetPathMTUDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPair(t, pipe.Config{MTU: 1500})
		c, err := first.ListenUDP("udp4", nil)
		require.NoError(t, err)
		to := &net.UDPAddr{IP: firstAddr(second), Port: 9}
		for _, tc := range []struct {
			name    string
			mode    udp.PathMTUDiscovery
			refused bool
		}{
			{"wanted", udp.PathMTUWant, false},
			{"not wanted", udp.PathMTUDont, false},
			{"done", udp.PathMTUDo, true},
			{"probed", udp.PathMTUProbe, true},
		} {
			require.NoError(t, c.SetPathMTUDiscovery(tc.mode))
			_, err = c.WriteTo(make([]byte, 1472), to)
			require.NoError(t, err, tc.name)
			n, err := c.WriteTo(make([]byte, 1473), to)
			if tc.refused {
				require.ErrorIs(t, err, syscall.EMSGSIZE, tc.name)
				continue
			}
			require.NoError(t, err, tc.name)
			require.Equal(t, 1473, n)
		}
		require.ErrorIs(t, c.SetPathMTUDiscovery(udp.PathMTUProbe+1), syscall.EINVAL)
		require.Empty(t, first.PathMTUs())
		require.NoError(t, c.Close())
		require.ErrorIs(t, c.SetPathMTUDiscovery(udp.PathMTUDo), net.ErrClosed)
		var none *smolnet.UDPConn
		require.Equal(t, syscall.EINVAL, none.SetPathMTUDiscovery(udp.PathMTUDo))
	})
}

// firstAddr is an IPv4 address of the stack's that others can reach.
func firstAddr(s *smolnet.Stack) net.IP {
	for _, link := range s.Links() {
		for _, address := range prefixes(link) {
			if addr := address.Addr(); addr.Is4() && !addr.IsLoopback() {
				return addr.AsSlice()
			}
		}
	}
	return nil
}
