package smolnet_test

import (
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/smolnet"
)

// What package net's types can say though it is no address, or none of the network, is not taken for another.
func TestAddressesThatCannotBe(t *testing.T) {
	s := newStack(t, smolnet.Config{})
	of4, err := s.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7})
	require.NoError(t, err)
	defer of4.Close()
	ofBoth, err := s.ListenUDP("udp", &net.UDPAddr{Port: 8})
	require.NoError(t, err)
	defer ofBoth.Close()
	connected, err := s.DialUDP("udp4", nil, of4.LocalAddr().(*net.UDPAddr))
	require.NoError(t, err)
	defer connected.Close()

	eight := net.IP{1, 2, 3, 4, 5, 6, 7, 8}
	localhost, localhost6 := net.IPv4(127, 0, 0, 1), net.IPv6loopback
	dialTCP := func(network string, laddr, raddr *net.TCPAddr) error {
		c, err := s.DialTCP(network, laddr, raddr)
		require.Nil(t, c)
		return err
	}
	dialUDP := func(network string, laddr, raddr *net.UDPAddr) error {
		c, err := s.DialUDP(network, laddr, raddr)
		require.Nil(t, c)
		return err
	}
	listenTCP := func(network string, laddr *net.TCPAddr) error {
		l, err := s.ListenTCP(network, laddr)
		require.Nil(t, l)
		return err
	}
	listenUDP := func(network string, laddr *net.UDPAddr) error {
		c, err := s.ListenUDP(network, laddr)
		require.Nil(t, c)
		return err
	}
	writeTo := func(c *smolnet.UDPConn, addr *net.UDPAddr) error {
		n, err := c.WriteToUDP([]byte("x"), addr)
		require.Zero(t, n)
		return err
	}
	writeMsg := func(c *smolnet.UDPConn, addr *net.UDPAddr) error {
		n, _, err := c.WriteMsgUDP([]byte("x"), nil, addr)
		require.Zero(t, n)
		return err
	}
	for _, tc := range []struct {
		op   string
		err  error
		want any // as requireInside has it
		text string
	}{
		{"dial", dialTCP("tcp", nil, &net.TCPAddr{Port: 1 << 16}), syscall.EINVAL, "dial tcp :65536: connect: invalid argument"},
		{"dial", dialUDP("udp", nil, &net.UDPAddr{Port: 1 << 16}), syscall.EINVAL, "dial udp :65536: connect: invalid argument"},
		{"dial", dialUDP("udp", nil, &net.UDPAddr{Port: -1}), syscall.EINVAL, "dial udp :-1: connect: invalid argument"},
		{"dial", dialUDP("udp", &net.UDPAddr{Port: 1 << 16}, &net.UDPAddr{Port: 7}), syscall.EINVAL,
			"dial udp :65536->:7: bind: invalid argument"},
		{"listen", listenTCP("tcp", &net.TCPAddr{Port: 1 << 16}), syscall.EINVAL, "listen tcp :65536: bind: invalid argument"},
		{"listen", listenUDP("udp", &net.UDPAddr{Port: 1 << 16}), syscall.EINVAL, "listen udp :65536: bind: invalid argument"},
		{"write", writeTo(of4, &net.UDPAddr{IP: localhost, Port: 1<<16 + 7}), syscall.EINVAL,
			"write udp4 127.0.0.1:7->127.0.0.1:65543: sendto: invalid argument"},
		{"write", writeMsg(of4, &net.UDPAddr{IP: localhost, Port: -1}), syscall.EINVAL,
			"write udp4 127.0.0.1:7->127.0.0.1:-1: sendmsg: invalid argument"},

		{"dial", dialTCP("tcp", nil, &net.TCPAddr{IP: eight, Port: 80}), &net.AddrError{},
			"dial tcp ?0102030405060708:80: address ?0102030405060708: non-IPv6 address"},
		{"dial", dialTCP("tcp4", nil, &net.TCPAddr{IP: eight, Port: 80}), &net.AddrError{},
			"dial tcp4 ?0102030405060708:80: address ?0102030405060708: non-IPv4 address"},
		{"listen", listenTCP("tcp6", &net.TCPAddr{IP: eight}), &net.AddrError{},
			"listen tcp6 ?0102030405060708:0: address ?0102030405060708: non-IPv6 address"},
		{"write", writeTo(of4, &net.UDPAddr{IP: eight, Port: 7}), &net.AddrError{},
			"write udp4 127.0.0.1:7->?0102030405060708:7: address ?0102030405060708: non-IPv4 address"},
		{"write", writeMsg(ofBoth, &net.UDPAddr{IP: eight, Port: 7}), &net.AddrError{},
			"write udp [::]:8->?0102030405060708:7: address ?0102030405060708: non-IPv6 address"},

		{"dial", dialTCP("tcp4", nil, &net.TCPAddr{IP: localhost6, Port: 80}), &net.AddrError{},
			"dial tcp4 [::1]:80: address ::1: non-IPv4 address"},
		{"dial", dialUDP("udp6", nil, &net.UDPAddr{IP: localhost, Port: 7}), syscall.ENETUNREACH,
			"dial udp6 127.0.0.1:7: connect: network is unreachable"},
		{"listen", listenTCP("tcp4", &net.TCPAddr{IP: localhost6}), &net.AddrError{}, "listen tcp4 [::1]:0: address ::1: non-IPv4 address"},
		{"listen", listenUDP("udp4", &net.UDPAddr{IP: net.IPv6unspecified}), &net.AddrError{},
			"listen udp4 [::]:0: address ::: non-IPv4 address"},
		{"listen", listenTCP("tcp6", &net.TCPAddr{IP: localhost}), syscall.EINVAL, "listen tcp6 127.0.0.1:0: bind: invalid argument"},
		{"write", writeTo(of4, &net.UDPAddr{IP: localhost6, Port: 7}), &net.AddrError{},
			"write udp4 127.0.0.1:7->[::1]:7: address ::1: non-IPv4 address"},

		{"dial", dialTCP("tcp", nil, nil), nil, "dial tcp: missing address"},
		{"dial", dialTCP("udp", nil, &net.TCPAddr{}), net.UnknownNetworkError("udp"), "dial udp :0: unknown network udp"},
		{"listen", listenUDP("tcp", nil), net.UnknownNetworkError("tcp"), "listen tcp: unknown network tcp"},
		{"write", writeTo(of4, nil), nil, "write udp4 127.0.0.1:7: missing address"},
		{"write", writeMsg(of4, nil), nil, "write udp4 127.0.0.1:7: missing address"},
		{"write", writeTo(connected, &net.UDPAddr{Port: 1 << 16}), nil,
			"write udp4 " + connected.LocalAddr().String() + "->:65536: use of WriteTo with pre-connected connection"},
	} {
		t.Run(tc.text, func(t *testing.T) {
			require.EqualError(t, tc.err, tc.text)
			requireWellFormed(t, tc.err, tc.op)
			requireInside(t, tc.err, tc.want)
		})
	}
	_, err = connected.Write([]byte("first"))
	require.NoError(t, err)
	b := make([]byte, 5)
	n, _, err := of4.ReadFrom(b)
	require.NoError(t, err)
	require.Equal(t, "first", string(b[:n]), "nothing has come to the port that the low 16 bits say")
}

// The Dialer's own functions for addresses hold to the network too.
func TestDialerOfOneFamily(t *testing.T) {
	d := dialer.Dialer{Stack: newStack(t, smolnet.Config{})}
	_, err := d.DialTCP(t.Context(), "tcp4", netip.AddrPort{}, netip.MustParseAddrPort("[::1]:80"))
	require.EqualError(t, err, "dial tcp4 :0->[::1]:80: address ::1: non-IPv4 address")
	_, err = d.DialUDP(t.Context(), "udp6", netip.AddrPort{}, netip.MustParseAddrPort("127.0.0.1:80"))
	require.EqualError(t, err, "dial udp6 :0->127.0.0.1:80: connect: network is unreachable")
}
