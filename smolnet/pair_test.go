package smolnet_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// The addresses of the two stacks of a pair.
var (
	firstAddresses  = []netip.Prefix{netip.MustParsePrefix("192.168.69.1/24"), netip.MustParsePrefix("fdaa::1/64")}
	secondAddresses = []netip.Prefix{netip.MustParsePrefix("192.168.69.100/24"), netip.MustParsePrefix("fdaa::100/64")}
)

// newStack returns a stack that is closed with the test.
func newStack(t testing.TB, config smolnet.Config) *smolnet.Stack {
	t.Helper()
	s, err := smolnet.New(config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// newPair returns two stacks joined by a pipe, closed with the test.
func newPair(t testing.TB, link pipe.Config) (first, second *smolnet.Stack) {
	t.Helper()
	return newPairOf(t, link, smolnet.Config{})
}

// newPairOf is newPair with a configuration, of both.
func newPairOf(t testing.TB, link pipe.Config, config smolnet.Config) (first, second *smolnet.Stack) {
	t.Helper()
	a, b := pipe.New(link)
	first, second = newStack(t, config), newStack(t, config)
	_, err := first.AddInterface(smolnet.Interface{Name: "first", Device: a, Addresses: firstAddresses})
	require.NoError(t, err)
	_, err = second.AddInterface(smolnet.Interface{Name: "second", Device: b, Addresses: secondAddresses})
	require.NoError(t, err)
	return first, second
}

// place is where the tests' connections live: on the loopback of one stack, or between two.
type place struct {
	name    string
	network string
	address string // of the listening side, the port 0
	stacks  func(t testing.TB) (dialing, listening *smolnet.Stack)
}

func onLoopback(t testing.TB) (dialing, listening *smolnet.Stack) {
	s := newStack(t, smolnet.Config{})
	return s, s
}

func onPipe(t testing.TB) (dialing, listening *smolnet.Stack) { return newPair(t, pipe.Config{}) }

var places = []place{
	{"loopback IPv4", "tcp4", "127.0.0.1:0", onLoopback},
	{"loopback IPv6", "tcp6", "[::1]:0", onLoopback},
	{"pipe IPv4", "tcp", "192.168.69.100:0", onPipe},
	{"pipe IPv6", "tcp", "[fdaa::100]:0", onPipe},
	{"pipe of IP packets with offloads", "tcp", "192.168.69.100:0", func(t testing.TB) (_, _ *smolnet.Stack) {
		return newPair(t, offloading)
	}},
	{"pipe with a short queue", "tcp", "[fdaa::100]:0", func(t testing.TB) (_, _ *smolnet.Stack) {
		return newPair(t, pipe.Config{Queue: 2})
	}},
}

// inPlaces runs a test in every place.
func inPlaces(t *testing.T, test func(t *testing.T, p place)) {
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) { test(t, p) })
	}
}

// listen returns a listener.
func listen(t testing.TB, s *smolnet.Stack, network, address string) *smolnet.TCPListener {
	t.Helper()
	l, err := s.Listen(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l.(*smolnet.TCPListener)
}

// dial returns a connection to l, both ends of it.
func dial(t testing.TB, s *smolnet.Stack, l *smolnet.TCPListener) (dialed, accepted *smolnet.TCPConn) {
	t.Helper()
	c, err := s.Dial(l.Addr().Network(), l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	a, err := l.AcceptTCP()
	require.NoError(t, err)
	t.Cleanup(func() { a.Close() })
	return c.(*smolnet.TCPConn), a
}

// connect returns the ends of a connection in the place.
func (p place) connect(t testing.TB) (dialed, accepted *smolnet.TCPConn) {
	t.Helper()
	d, l := p.stacks(t)
	return dial(t, d, listen(t, l, p.network, p.address))
}

// bind returns a UDP socket.
func bind(t testing.TB, s *smolnet.Stack, network, address string) *smolnet.UDPConn {
	t.Helper()
	c, err := s.ListenPacket(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c.(*smolnet.UDPConn)
}
