package smolnet_test

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// inLine makes three stacks of which the second is between the others, which are 10.1.0.1 and 10.2.0.2, and returns them and the
// second's links.
func inLine(t *testing.T) (a, router, b *smolnet.Stack, near, far *smolnet.Link) {
	a, router, b = newStack(t, smolnet.Config{}), newStack(t, smolnet.Config{}), newStack(t, smolnet.Config{})
	add := func(s *smolnet.Stack, device dev.Device, address string, forward bool) *smolnet.Link {
		l, err := s.AddInterface(smolnet.Interface{Device: device, Forward: forward, NoIPv6: true, DuplicateDetection: core.DetectNone,
			Addresses: []netip.Prefix{netip.MustParsePrefix(address)}})
		require.NoError(t, err)
		return l
	}
	d0, d1 := pipe.New(pipe.Config{})
	d2, d3 := pipe.New(pipe.Config{})
	add(a, d0, "10.1.0.1/16", false)
	near, far = add(router, d1, "10.1.0.254/16", true), add(router, d2, "10.2.0.254/16", true)
	add(b, d3, "10.2.0.2/16", false)
	for s, gateway := range map[*smolnet.Stack]string{a: "10.1.0.254", b: "10.2.0.254"} {
		require.NoError(t, s.AddRoute(core.Route{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr(gateway), Link: 2}))
	}
	return a, router, b, near, far
}

func TestConversationThroughARouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, router, b, near, _ := inLine(t)
		defer func() { a.Close(); router.Close(); b.Close() }()
		l, err := b.Listen("tcp", ":80")
		require.NoError(t, err)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				io.Copy(c, c)
				c.Close()
			}
		}()
		c, err := a.Dial("tcp", "10.2.0.2:80")
		require.NoError(t, err)
		go c.Write([]byte("hello"))
		got := make([]byte, 5)
		_, err = io.ReadFull(c, got)
		require.NoError(t, err)
		require.Equal(t, "hello", string(got))
		require.NoError(t, c.Close())

		require.True(t, near.Forwards())
		require.NoError(t, near.SetForward(false))
		_, err = a.DialTimeout("tcp", "10.2.0.2:80", time.Second)
		require.ErrorContains(t, err, "timeout", "it is a host now")

		// What no route leads to, the router says.
		require.NoError(t, near.SetForward(true))
		_, err = a.Dial("tcp", "10.3.0.3:80")
		require.ErrorContains(t, err, "network is unreachable")

		// One that answers for others can be reached at any address of theirs.
		require.NoError(t, near.SetAnyIP([]netip.Prefix{netip.MustParsePrefix("10.3.0.0/16")}))
		require.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.3.0.0/16")}, near.AnyIP())
		here, err := router.Listen("tcp", ":81")
		require.NoError(t, err)
		c, err = a.Dial("tcp", "10.3.0.3:81")
		require.NoError(t, err)
		accepted, err := here.Accept()
		require.NoError(t, err)
		require.Equal(t, "10.3.0.3:81", accepted.LocalAddr().String())
		accepted.Close()
		c.Close()
	})
}

func TestRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, router, b, _, _ := inLine(t)
		defer func() { a.Close(); router.Close(); b.Close() }()
		all, gateway := netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("10.1.0.254")
		require.Contains(t, a.Routes(), core.Route{Destination: all, Gateway: gateway, Link: 2})
		require.ErrorIs(t, a.AddRoute(core.Route{Destination: all, Gateway: gateway, Link: 2}), route.ErrDuplicate)
		other := core.Route{Destination: all, Gateway: netip.MustParseAddr("10.1.0.7"), Link: 2}
		require.NoError(t, a.ReplaceRoute(other))
		require.Contains(t, a.Routes(), other)
		require.Len(t, a.Routes(), 2, "the network, and the default")
		require.NoError(t, a.RemoveRoute(other))
		require.ErrorIs(t, a.RemoveRoute(other), route.ErrNotFound)
		_, err := a.Dial("tcp", "10.2.0.2:80")
		require.ErrorContains(t, err, "network is unreachable")
		require.NoError(t, a.Close())
		require.ErrorIs(t, a.AddRoute(other), net.ErrClosed)
	})
}
