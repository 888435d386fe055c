package smolnet_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
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
	_, err := first.AddInterface(smolnet.Interface{
		Name: "first", Device: a, Addresses: firstAddresses, DuplicateDetection: core.DetectNone})
	require.NoError(t, err)
	_, err = second.AddInterface(smolnet.Interface{
		Name: "second", Device: b, Addresses: secondAddresses, DuplicateDetection: core.DetectNone})
	require.NoError(t, err)
	return first, second
}

// prefixes are an interface's addresses.
func prefixes(l *smolnet.Link) (p []netip.Prefix) {
	for _, a := range l.Addresses() {
		p = append(p, a.Prefix)
	}
	return p
}

// linkLocal is the address of IPv6 that the stack's first interface beside the loopback has on its link alone.
func linkLocal(t testing.TB, s *smolnet.Stack) netip.Addr {
	t.Helper()
	for _, prefix := range prefixes(s.Links()[1]) {
		if prefix.Addr().Is6() && prefix.Addr().IsLinkLocalUnicast() {
			return prefix.Addr()
		}
	}
	t.Fatal("an Ethernet interface has a link-local address")
	return netip.Addr{}
}

// place is where the tests' connections live: on the loopback of one stack, or between two.
type place struct {
	name    string
	network string
	address string // of the listening side, the port 0
	stacks  func(t testing.TB) (dialing, listening *smolnet.Stack)

	virtual bool // in virtual time: set where a test is run
}

func onLoopback(t testing.TB) (dialing, listening *smolnet.Stack) {
	s := newStack(t, smolnet.Config{})
	return s, s
}

func onPipe(t testing.TB) (dialing, listening *smolnet.Stack) { return newPair(t, pipe.Config{}) }

var places = []place{
	{name: "loopback IPv4", network: "tcp4", address: "127.0.0.1:0", stacks: onLoopback},
	{name: "loopback IPv6", network: "tcp6", address: "[::1]:0", stacks: onLoopback},
	{name: "pipe IPv4", network: "tcp", address: "192.168.69.100:0", stacks: onPipe},
	{name: "pipe IPv6", network: "tcp", address: "[fdaa::100]:0", stacks: onPipe},
	{name: "pipe of IP packets with offloads", network: "tcp", address: "192.168.69.100:0", stacks: func(t testing.TB) (_, _ *smolnet.Stack) {
		return newPair(t, offloading)
	}},
	{name: "pipe with a short queue", network: "tcp", address: "[fdaa::100]:0", stacks: func(t testing.TB) (_, _ *smolnet.Stack) {
		return newPair(t, pipe.Config{Queue: 2})
	}},
}

// inPlaces runs a test in every place.
func inPlaces(t *testing.T, test func(t *testing.T, p place)) {
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) { test(t, p) })
	}
}

// everywhere runs a test in every place in virtual time, and on the loopback in real time as well, where the race detector sees
// goroutines that run at once.
func everywhere(t *testing.T, test func(t *testing.T, p place)) {
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			p.virtual = true
			synctest.Test(t, func(t *testing.T) { test(t, p) })
		})
	}
	for _, p := range places[:2] {
		t.Run(p.name+" in real time", func(t *testing.T) { test(t, p) })
	}
}

// settle waits until all that can happen by now has. In real time nobody can tell; there, what a test requires must not depend on it.
func (p place) settle() {
	if p.virtual {
		synctest.Wait()
	}
}

// requireTook requires that it has taken so long since the start; in real time, no less.
func (p place) requireTook(t testing.TB, want time.Duration, start time.Time) {
	t.Helper()
	if took := time.Since(start); p.virtual {
		require.Equal(t, want, took)
	} else {
		require.GreaterOrEqual(t, took, want)
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

// start has somebody do something meanwhile, and returns where the error will be.
func start(do func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	return done
}
