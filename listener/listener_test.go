package listener

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

// stack answers as it is told and takes note of what it is asked.
type stack struct {
	addrs    []netip.AddrPort
	err      error
	listener net.Listener
	conn     net.PacketConn

	network string
	local   netip.AddrPort
	options Options
}

func (s *stack) Resolve(context.Context, string, string) ([]netip.AddrPort, error) {
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

func TestNetworks(t *testing.T) {
	lc := ListenConfig{Stack: &stack{addrs: addrPorts("192.0.2.1:80")}}
	for _, network := range []string{"", "foo", "tcp5", "unix", "ip4:icmp"} {
		var unknown net.UnknownNetworkError
		_, err := lc.Listen(t.Context(), network, "192.0.2.1:80")
		require.ErrorAs(t, err, &unknown, network)
		_, err = lc.ListenPacket(t.Context(), network, "192.0.2.1:80")
		require.ErrorAs(t, err, &unknown, network)
	}
	var wrong *net.AddrError
	_, err := lc.Listen(t.Context(), "udp", "192.0.2.1:80")
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
