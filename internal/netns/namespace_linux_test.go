package netns_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev/tap"
	"github.com/smolnet/smolnet/internal/netns"
)

func TestANamespaceBesideTheOwn(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	there, err := netns.New()
	require.NoError(t, err)
	defer there.Close()
	require.NoError(t, netns.AddTap("here0"))
	require.NoError(t, there.Do(func() error { return netns.AddTap("there0") }))

	_, err = net.InterfaceByName("there0")
	require.Error(t, err)
	require.NoError(t, there.Do(func() error {
		_, err := net.InterfaceByName("here0")
		require.Error(t, err)
		_, err = net.InterfaceByName("there0")
		return err
	}))

	want := errors.New("f's")
	require.ErrorIs(t, there.Do(func() error { return want }), want)
	_, err = net.InterfaceByName("here0")
	require.NoError(t, err, "who was there is back")
}

// What is opened in a namespace works from everywhere.
func TestSocketsOfAnotherNamespace(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	there, err := netns.New()
	require.NoError(t, err)
	defer there.Close()
	here, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer here.Close()

	var l, c net.Conn
	require.NoError(t, there.Do(func() error {
		_, err := net.Dial("tcp", here.Addr().String())
		require.Error(t, err, "it is another loopback")
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer listener.Close()
		if c, err = net.Dial("tcp", listener.Addr().String()); err != nil {
			return err
		}
		l, err = listener.Accept()
		return err
	}))
	defer l.Close()
	_, err = io.WriteString(c, "hello")
	require.NoError(t, err)
	require.NoError(t, c.Close())
	b, err := io.ReadAll(l)
	require.NoError(t, err)
	require.Equal(t, "hello", string(b))
}

func TestNamespacesAreEnteredByManyAtOnce(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			n, err := netns.New()
			if err != nil {
				t.Error(err)
				return
			}
			defer n.Close()
			for range 20 {
				if err := n.Do(func() error { return netns.AddTap("tap0") }); err != nil {
					t.Error(err)
				}
				if err := n.Do(func() error { return netns.Delete("tap0") }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	_, err := net.InterfaceByName("tap0")
	require.Error(t, err)
}

func TestAClosedNamespaceIsNotEntered(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	n, err := netns.New()
	require.NoError(t, err)
	require.NoError(t, n.Close())
	require.Error(t, n.Do(func() error { t.Error("it is gone"); return nil }))
}

func TestDefaultRoute(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	const name = "tap7"
	device, err := tap.Open(tap.Config{Name: name})
	require.NoError(t, err)
	defer device.Close()
	require.NoError(t, netns.AddAddress(name, netip.MustParsePrefix("192.168.69.100/24")))
	require.NoError(t, netns.AddAddress(name, netip.MustParsePrefix("fdaa::100/64")))
	require.NoError(t, netns.Up(name))
	for _, far := range []string{"203.0.113.1:9", "[2001:db8::1]:9"} {
		_, err := net.Dial("udp", far)
		require.Error(t, err)
	}
	require.NoError(t, netns.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("192.168.69.1"), name))
	require.NoError(t, netns.AddRoute(netip.MustParsePrefix("::/0"), netip.MustParseAddr("fdaa::1"), name))
	for _, far := range []string{"203.0.113.1:9", "[2001:db8::1]:9"} {
		c, err := net.Dial("udp", far)
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
}
