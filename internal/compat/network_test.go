package compat

import (
	"bytes"
	"context"
	"crypto/rand"
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

// limit is how long anything here may take in real time, where a limit is needed to tell a hang from a result.
const limit = 3 * time.Minute

// network is a stack for the client and one for the server, which may be the same, and a way between them.
type network struct {
	client, server *smolnet.Stack

	host string // the server, as its client names it
}

// address is a port of the server's.
func (n network) address(port string) string { return net.JoinHostPort(n.host, port) }

// listen listens on a port of the server's. The listener is closed with the test.
func (n network) listen(t testing.TB, port string) net.Listener {
	t.Helper()
	l, err := n.server.Listen("tcp", n.address(port))
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// dial connects to a port of the server's. The connection is closed with the test.
func (n network) dial(t testing.TB, port string) net.Conn {
	t.Helper()
	c, err := n.client.Dial("tcp", n.address(port))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// newStack returns a stack that is closed with the test.
func newStack(t testing.TB) *smolnet.Stack {
	t.Helper()
	s, err := smolnet.New(smolnet.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// newPair returns a client's stack, 10.0.0.2 and fd00::2, and a server's, 10.0.0.1 and fd00::1, joined by an Ethernet.
func newPair(t testing.TB, delay time.Duration) (client, server *smolnet.Stack) {
	t.Helper()
	a, b := pipe.New(pipe.Config{Delay: delay})
	client, server = newStack(t), newStack(t)
	_, err := client.AddInterface(smolnet.Interface{Name: "eth0", Device: a, DuplicateDetection: core.DetectNone,
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24"), netip.MustParsePrefix("fd00::2/64")}})
	require.NoError(t, err)
	_, err = server.AddInterface(smolnet.Interface{Name: "eth0", Device: b, DuplicateDetection: core.DetectNone,
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("fd00::1/64")}})
	require.NoError(t, err)
	return client, server
}

// delay is how long packets take between the two stacks of a pair, each way.
const delay = 5 * time.Millisecond

func onPipe(t testing.TB) network {
	client, server := newPair(t, delay)
	return network{client, server, "10.0.0.1"}
}

func onPipe6(t testing.TB) network {
	client, server := newPair(t, delay)
	return network{client, server, "fd00::1"}
}

func onLoopback(t testing.TB) network {
	s := newStack(t)
	return network{s, s, "127.0.0.1"}
}

var places = []struct {
	name string
	make func(t testing.TB) network
}{
	{"pipe IPv4", onPipe},
	{"pipe IPv6", onPipe6},
	{"loopback", onLoopback},
}

// inPlaces runs a test between two stacks and within one.
func inPlaces(t *testing.T, test func(t *testing.T, n network)) {
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) { test(t, p.make(t)) })
	}
}

// inVirtualTime is inPlaces with time that passes when everybody waits. It also fails if a goroutine is left over. It
// is not for programs that write to a connection with a mutex locked: who waits for that would seem to be busy.
func inVirtualTime(t *testing.T, test func(t *testing.T, n network)) {
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, p.make(t)) })
		})
	}
}

// within returns a context that ends with the test, and when the limit has passed.
func within(t testing.TB, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// random returns n octets like no others.
func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// requireSame is require.Equal for what is too long to print.
func requireSame(t testing.TB, want, got []byte) {
	t.Helper()
	require.Len(t, got, len(want))
	require.True(t, bytes.Equal(want, got), "%d octets differ from those sent", len(want))
}
