package smolnet_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dialer"
)

// wellFormed says what is wrong with the form of an error of the operation, on which callers rely.
func wellFormed(err error, op string) error {
	if outer, ok := err.(*net.OpError); ok && outer.Op != op {
		return fmt.Errorf("the operation is %q: %v", outer.Op, err)
	}
	return kindOf(op).breaks(err)
}

func requireWellFormed(t testing.TB, err error, op string) {
	t.Helper()
	require.NoError(t, wellFormed(err, op))
}

func TestDialErrorsAreWellFormed(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		dialing, listening := p.stacks(t)
		d := dialer.Dialer{Stack: dialing, Timeout: time.Second}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		gone := listen(t, listening, p.network, p.address)
		require.NoError(t, gone.Close())
		for _, tc := range []struct{ network, address string }{
			{"foo", ""}, {"bar", "baz"}, {"datakit", "mh/astro/r70"}, {"tcp5", "127.0.0.1:80"},
			{"unix", "/path/to/somewhere"}, {"unixgram", "/path/to/somewhere"}, {"unixpacket", "/path/to/somewhere"},
			{"tcp", ""}, {"udp", ""}, {"tcp", "127.0.0.1"}, {"tcp", "127.0.0.1:☺"}, {"tcp", "no-such-name:80"}, {"udp", "no-such-name:80"},
			{"tcp", "mh/astro/r70:http"}, {"tcp", "127.0.0.1:-1"}, {"tcp", "127.0.0.1:123456789"}, {"udp", "127.0.0.1:-1"},
			{"udp", "127.0.0.1:123456789"}, {"tcp4", "[::1]:0"}, {"tcp6", "127.0.0.1:0"}, {"tcp", "[fe80::1%none]:80"},
			{"tcp", "[::1%]:80"}, {"tcp", gone.Addr().String()}, {"tcp", "203.0.113.1:80"},
		} {
			for _, ctx := range []context.Context{t.Context(), cancelled} {
				c, err := d.DialContext(ctx, tc.network, tc.address)
				require.Error(t, err, "%s %s", tc.network, tc.address)
				require.True(t, c == nil, "no interface around a nil pointer")
				requireWellFormed(t, err, "dial")
			}
		}
	})
}

func TestListenErrorsAreWellFormed(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		_, s := p.stacks(t)
		for _, tc := range []struct{ network, address string }{
			{"foo", ""}, {"bar", "baz"}, {"datakit", "mh/astro/r70"}, {"unix", "/path/to/somewhere"}, {"unixgram", "/path/to/somewhere"},
			{"tcp", "127.0.0.1"}, {"tcp", "127.0.0.1:☺"}, {"tcp", "no-such-name:80"}, {"tcp", "mh/astro/r70:http"},
			{"tcp", "127.0.0.1:-1"}, {"tcp", "127.0.0.1:123456789"}, {"udp", "127.0.0.1:☺"}, {"udp", "no-such-name:80"},
			{"udp", "mh/astro/r70:http"}, {"udp", "127.0.0.1:-1"}, {"udp", "127.0.0.1:123456789"}, {"tcp4", "[::1]:0"}, {"udp6", "127.0.0.1:0"},
			{"tcp", "203.0.113.1:0"}, {"udp", "203.0.113.1:0"},
		} {
			l, err := s.Listen(tc.network, tc.address)
			require.Error(t, err, "%s %s", tc.network, tc.address)
			require.True(t, l == nil, "no interface around a nil pointer")
			requireWellFormed(t, err, "listen")
			c, err := s.ListenPacket(tc.network, tc.address)
			require.Error(t, err, "%s %s", tc.network, tc.address)
			require.True(t, c == nil, "no interface around a nil pointer")
			requireWellFormed(t, err, "listen")
		}
	})
}
