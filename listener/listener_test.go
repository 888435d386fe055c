package listener

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

// stack answers as it is told and takes note of what it is asked.
type stack struct {
	addrs    []netip.AddrPort
	resolve  func(context.Context) error // nil: it is known
	err      error
	listener net.Listener
	conn     net.PacketConn

	network string
	local   netip.AddrPort
	options Options
}

func (s *stack) Resolve(ctx context.Context, _, _ string) ([]netip.AddrPort, error) {
	if s.resolve != nil {
		if err := s.resolve(ctx); err != nil {
			return nil, err
		}
	}
	return s.addrs, nil
}

func (s *stack) ListenOnTCP(network string, local netip.AddrPort, o Options) (net.Listener, error) {
	s.network, s.local, s.options = network, local, o
	return s.listener, s.err
}

func (s *stack) ListenOnUDP(network string, local netip.AddrPort, o Options) (net.PacketConn, error) {
	s.network, s.local, s.options = network, local, o
	return s.conn, s.err
}

func (s *stack) ListenOnIP(network string, local netip.Addr, o Options) (net.PacketConn, error) {
	return s.ListenOnUDP(network, netip.AddrPortFrom(local, 0), o)
}

func addrPorts(texts ...string) (addrs []netip.AddrPort) {
	for _, text := range texts {
		addrs = append(addrs, netip.MustParseAddrPort(text))
	}
	return addrs
}

func TestListensOnOneAddress(t *testing.T) {
	for _, tc := range []struct {
		name  string
		addrs []netip.AddrPort
		want  string
	}{
		{"the only one", addrPorts("[2001:db8::1]:80"), "[2001:db8::1]:80"},
		{"that of IPv4, if there is one", addrPorts("[::]:80", "0.0.0.0:80"), "0.0.0.0:80"},
		{"the first of IPv4", addrPorts("192.0.2.1:80", "192.0.2.2:80"), "192.0.2.1:80"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &stack{addrs: tc.addrs}
			_, err := (&ListenConfig{Stack: s}).Listen(t.Context(), "tcp", "host:80")
			require.NoError(t, err)
			require.Equal(t, tc.want, s.local.String())
			require.Equal(t, "tcp", s.network)

			_, err = (&ListenConfig{Stack: s}).ListenPacket(t.Context(), "udp6", "host:80")
			require.NoError(t, err)
			require.Equal(t, tc.want, s.local.String())
			require.Equal(t, "udp6", s.network)
		})
	}
}

func TestErrors(t *testing.T) {
	s := &stack{addrs: addrPorts("192.0.2.1:80"), err: ip.ErrAddressInUse}
	lc := ListenConfig{Stack: s}

	l, err := lc.Listen(t.Context(), "tcp", "192.0.2.1:80")
	require.True(t, l == nil)
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.EqualError(t, err, "listen tcp 192.0.2.1:80: bind: address already in use")

	c, err := lc.ListenPacket(t.Context(), "udp", "192.0.2.1:80")
	require.True(t, c == nil)
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.EqualError(t, err, "listen udp 192.0.2.1:80: bind: address already in use")

	s.addrs = []netip.AddrPort{netip.AddrPortFrom(netip.Addr{}, 80)}
	_, err = lc.Listen(t.Context(), "tcp", ":80")
	require.EqualError(t, err, "listen tcp :80: bind: address already in use")
}

// Who replaces net.ListenConfig by this one may forget to set what that has not.
func TestStackIsNotSet(t *testing.T) {
	var lc ListenConfig
	_, err := lc.Listen(t.Context(), "tcp", ":80")
	require.EqualError(t, err, "listen tcp: the ListenConfig's Stack is not set")
	_, err = lc.ListenPacket(t.Context(), "udp", ":80")
	require.EqualError(t, err, "listen udp: the ListenConfig's Stack is not set")
}

func TestNetworks(t *testing.T) {
	lc := ListenConfig{Stack: &stack{addrs: addrPorts("192.0.2.1:80")}}
	for _, network := range []string{"", "foo", "tcp5", "unix", "ip4", "ip5:icmp"} {
		var unknown net.UnknownNetworkError
		_, err := lc.Listen(t.Context(), network, "192.0.2.1:80")
		require.ErrorAs(t, err, &unknown, network)
		_, err = lc.ListenPacket(t.Context(), network, "192.0.2.1:80")
		require.ErrorAs(t, err, &unknown, network)
	}
	s := &stack{addrs: addrPorts("192.0.2.1:0")}
	_, err := (&ListenConfig{Stack: s}).ListenPacket(t.Context(), "ip4:icmp", "192.0.2.1")
	require.NoError(t, err)
	require.Equal(t, "ip4:icmp", s.network)
	var wrong *net.AddrError
	_, err = lc.Listen(t.Context(), "udp", "192.0.2.1:80")
	require.ErrorAs(t, err, &wrong)
	_, err = lc.ListenPacket(t.Context(), "tcp", "192.0.2.1:80")
	require.ErrorAs(t, err, &wrong)
	require.EqualError(t, err, "listen tcp 192.0.2.1:80: address 192.0.2.1:80: unexpected address type")
}

func TestOptions(t *testing.T) {
	config := net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: -1, Count: 3}
	for _, tc := range []struct {
		name string
		lc   ListenConfig
		want Options
	}{
		{"default", ListenConfig{}, Options{KeepAlive: net.KeepAliveConfig{Enable: true}}},
		{"period", ListenConfig{KeepAlive: time.Minute}, Options{KeepAlive: net.KeepAliveConfig{Enable: true, Idle: time.Minute}}},
		{"off", ListenConfig{KeepAlive: -1}, Options{}},
		{"config", ListenConfig{KeepAlive: -1, KeepAliveConfig: config}, Options{KeepAlive: config}},
		{"the rest", ListenConfig{KeepAlive: -1, Backlog: 1, ReadBuffer: 2, WriteBuffer: 3},
			Options{Backlog: 1, ReadBuffer: 2, WriteBuffer: 3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &stack{addrs: addrPorts("192.0.2.1:80")}
			tc.lc.Stack = s
			_, err := tc.lc.Listen(t.Context(), "tcp", "192.0.2.1:80")
			require.NoError(t, err)
			require.Equal(t, tc.want, s.options)
		})
	}
}

// The context matters while the address is resolved, and not a moment longer.
func TestContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stack{addrs: addrPorts("192.0.2.1:80"), resolve: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		lc := ListenConfig{Stack: s}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		l, err := lc.Listen(ctx, "tcp", "host:80")
		require.Equal(t, time.Second, time.Since(start))
		require.True(t, l == nil)
		require.EqualError(t, err, "listen tcp: i/o timeout")
		require.True(t, err.(net.Error).Timeout())
		require.ErrorIs(t, err, context.DeadlineExceeded)

		gone, cancel := context.WithCancel(t.Context())
		cancel()
		c, err := lc.ListenPacket(gone, "udp", "host:80")
		require.True(t, c == nil)
		require.EqualError(t, err, "listen udp: operation was canceled")
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, s.network, "nothing was opened")

		s.resolve = nil
		_, err = lc.Listen(gone, "tcp", "192.0.2.1:80")
		require.NoError(t, err)
	})
}

func TestResolveFails(t *testing.T) {
	unknown := &net.DNSError{Err: "no such host", Name: "host", IsNotFound: true}
	s := &stack{resolve: func(context.Context) error { return unknown }}
	lc := ListenConfig{Stack: s}
	_, err := lc.Listen(t.Context(), "tcp", "host:80")
	require.EqualError(t, err, "listen tcp: lookup host: no such host")
	require.Equal(t, error(unknown), err.(*net.OpError).Err)
	_, err = lc.ListenPacket(t.Context(), "udp4", "host:80")
	require.EqualError(t, err, "listen udp4: lookup host: no such host")
	require.Empty(t, s.network, "nothing was opened")
}

func TestControl(t *testing.T) {
	for _, tc := range []struct {
		network string
		addr    netip.AddrPort
		want    string
	}{
		{"tcp", netip.MustParseAddrPort("192.0.2.1:80"), "tcp4 192.0.2.1:80"},
		{"tcp", netip.MustParseAddrPort("[2001:db8::1]:80"), "tcp6 [2001:db8::1]:80"},
		{"tcp", netip.AddrPortFrom(netip.Addr{}, 80), "tcp6 :80"},
		{"tcp", netip.MustParseAddrPort("0.0.0.0:80"), "tcp6 0.0.0.0:80"},
		{"tcp4", netip.AddrPortFrom(netip.Addr{}, 80), "tcp4 :80"},
		{"tcp6", netip.MustParseAddrPort("[::]:80"), "tcp6 [::]:80"},
		{"udp", netip.AddrPortFrom(netip.Addr{}, 53), "udp6 :53"},
		{"udp4", netip.MustParseAddrPort("0.0.0.0:53"), "udp4 0.0.0.0:53"},
	} {
		t.Run(tc.network+" "+tc.want, func(t *testing.T) {
			s := &stack{addrs: []netip.AddrPort{tc.addr}}
			var called string
			lc := ListenConfig{Stack: s, Backlog: 7, KeepAlive: -1}
			lc.Control = func(network, address string, options *Options) error {
				require.Equal(t, Options{Backlog: 7}, *options, "what the fields amount to")
				called = network + " " + address
				options.Backlog, options.UDP.HopLimit = 8, 9
				return nil
			}
			var err error
			if tc.network[:3] == "tcp" {
				_, err = lc.Listen(t.Context(), tc.network, "host:80")
			} else {
				_, err = lc.ListenPacket(t.Context(), tc.network, "host:80")
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, called)
			require.Equal(t, 8, s.options.Backlog)
			require.EqualValues(t, 9, s.options.UDP.HopLimit)
			require.Equal(t, 7, lc.Backlog, "the ListenConfig is as it was")
		})
	}
}

func TestErrorOfControlIsTheListeners(t *testing.T) {
	no := errors.New("no")
	s := &stack{addrs: addrPorts("192.0.2.1:80")}
	lc := ListenConfig{Stack: s, Control: func(string, string, *Options) error { return no }}
	l, err := lc.Listen(t.Context(), "tcp", "192.0.2.1:80")
	require.True(t, l == nil)
	require.EqualError(t, err, "listen tcp 192.0.2.1:80: no")
	require.Equal(t, no, err.(*net.OpError).Err, "nothing in between")
	require.Empty(t, s.network, "nothing was opened")
}
