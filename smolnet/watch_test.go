package smolnet_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// newDetecting returns two stacks on an Ethernet that look for others with their addresses, and the time it is.
func newDetecting(t *testing.T, config smolnet.Config) (first, second *smolnet.Stack, start time.Time) {
	t.Helper()
	a, b := pipe.New(pipe.Config{})
	first, second = newStack(t, config), newStack(t, config)
	start = time.Now()
	_, err := first.AddInterface(smolnet.Interface{Device: a, Addresses: firstAddresses})
	require.NoError(t, err)
	_, err = second.AddInterface(smolnet.Interface{Device: b, Addresses: secondAddresses})
	require.NoError(t, err)
	return first, second, start
}

func TestDialAndListenWaitForAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second, start := newDetecting(t, smolnet.Config{})
		l, err := second.Listen("tcp", "[fdaa::100]:80")
		require.NoError(t, err, "the address is there in the end")
		took := time.Since(start)
		require.Greater(t, took, time.Second)
		require.LessOrEqual(t, took, 2*time.Second)
		defer l.Close()
		c, err := first.Dial("tcp", "[fdaa::100]:80")
		require.NoError(t, err)
		require.LessOrEqual(t, time.Since(start), 2*time.Second)
		c.Close()
	})
}

func TestIPv4NeedNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second, start := newDetecting(t, smolnet.Config{})
		l, err := second.Listen("tcp", ":80")
		require.NoError(t, err)
		defer l.Close()
		c, err := first.Dial("tcp", "192.168.69.100:80")
		require.NoError(t, err)
		c.Close()
		_, err = first.Dial("tcp", "[::1]:80")
		require.Error(t, err, "nor does what stays inside: it is refused at once")
		require.Zero(t, time.Since(start))
	})
}

func TestWaitForAddressesEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, _, start := newDetecting(t, smolnet.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := first.DialContext(ctx, "udp", "[fdaa::100]:80")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 300*time.Millisecond, time.Since(start))
		time.AfterFunc(100*time.Millisecond, func() { first.Close() })
		_, err = first.Listen("tcp", "[fdaa::1]:80")
		require.ErrorIs(t, err, net.ErrClosed)
		require.Equal(t, 400*time.Millisecond, time.Since(start))
	})
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStack(t, smolnet.Config{})
		w, idle := s.Watch(), s.Watch()
		a, b := pipe.New(pipe.Config{})
		defer b.Close()
		_, err := s.AddInterface(smolnet.Interface{Device: a, NoIPv6: true, Addresses: firstAddresses[:1]})
		require.NoError(t, err)
		for _, want := range []string{
			"group joined: 224.0.0.1 (link 2)",
			"route added: 192.168.69.0/24 link 2 metric 0 (link 2)",
			"address added: 192.168.69.1/24 tentative (link 2)",
			"address changed: 192.168.69.1/24 preferred (link 2)",
		} {
			e, err := w.Next(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, e.String())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = w.Next(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded, "nothing more happens")
		require.Zero(t, w.Lost())

		done := make(chan core.Event, 1)
		go func() {
			e, _ := w.Next(context.Background())
			done <- e
		}()
		synctest.Wait()
		link := s.Links()[1]
		require.NoError(t, link.AddAddress(netip.MustParsePrefix("10.0.0.1/8")))
		require.Equal(t, core.RouteAdded, (<-done).Kind, "who waits is woken")

		for range 600 {
			require.NoError(t, link.AddAddress(netip.MustParsePrefix("10.0.0.2/8")))
			require.True(t, link.RemoveAddress(netip.MustParseAddr("10.0.0.2")))
		}
		require.Equal(t, 4+3+600*3-1024, idle.Lost(), "the oldest are forgotten where nobody asks")
		require.NoError(t, w.Close())
		require.NoError(t, w.Close())
		for err == nil || err == context.DeadlineExceeded {
			_, err = w.Next(context.Background())
		}
		require.Equal(t, net.ErrClosed, err)
		require.NoError(t, s.Close())
		_, err = s.Watch().Next(t.Context())
		require.Equal(t, net.ErrClosed, err)
	})
}
