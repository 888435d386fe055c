package smolnet_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// What addresses in the text forms of package net stand for: TCP's, and UDP's.
func TestResolveAddr(t *testing.T) {
	s := newStack(t, smolnet.Config{})
	for _, tc := range []struct {
		family, address string // the family "-" is that of no network named at all
		want            string // the address, or the error
		ip              net.IP
	}{
		{"", "127.0.0.1:0", "127.0.0.1:0", net.IPv4(127, 0, 0, 1)},
		{"4", "127.0.0.1:65535", "127.0.0.1:65535", net.IPv4(127, 0, 0, 1)},
		{"", "[::1]:0", "[::1]:0", net.IPv6loopback},
		{"6", "[::1]:65535", "[::1]:65535", net.IPv6loopback},
		{"", "[::1%en0]:1", "[::1%en0]:1", net.IPv6loopback},
		{"6", "[::1%911]:2", "[::1%911]:2", net.IPv6loopback},
		{"-", "127.0.0.1:0", "127.0.0.1:0", net.IPv4(127, 0, 0, 1)},
		{"-", "[::1]:0", "[::1]:0", net.IPv6loopback},
		{"", ":12345", ":12345", nil},
		{"", "", ":0", nil},
		{"", "127.0.0.1:domain", "127.0.0.1:53", net.IPv4(127, 0, 0, 1)},
		{"", "[::ffff:127.0.0.1]:domain", "127.0.0.1:53", net.IPv4(127, 0, 0, 1)},
		{"", "[2001:db8::1]:domain", "[2001:db8::1]:53", net.ParseIP("2001:db8::1")},
		{"4", "[::ffff:127.0.0.1]:domain", "127.0.0.1:53", net.IPv4(127, 0, 0, 1)},
		{"6", "[2001:db8::1]:domain", "[2001:db8::1]:53", net.ParseIP("2001:db8::1")},
		{"4", "[2001:db8::1]:domain", "address 2001:db8::1: no suitable address found", nil},
		{"6", "127.0.0.1:domain", "address 127.0.0.1: no suitable address found", nil},
		{"6", "[::ffff:127.0.0.1]:domain", "address ::ffff:127.0.0.1: no suitable address found", nil},
		{"5", "127.0.0.1:0", "unknown network", nil},
	} {
		t.Run(tc.family+" "+tc.address, func(t *testing.T) {
			network := func(protocol string) string {
				if tc.family == "-" {
					return ""
				}
				return protocol + tc.family
			}
			tcpAddr, tcpErr := s.ResolveTCPAddr(network("tcp"), tc.address)
			udpAddr, udpErr := s.ResolveUDPAddr(network("udp"), tc.address)
			if tc.ip == nil && tc.want[0] != ':' {
				require.Nil(t, tcpAddr)
				require.Nil(t, udpAddr)
				require.ErrorContains(t, tcpErr, tc.want)
				require.ErrorContains(t, udpErr, tc.want)
				return
			}
			require.NoError(t, tcpErr)
			require.NoError(t, udpErr)
			require.Equal(t, tc.want, tcpAddr.String())
			require.Equal(t, tc.want, udpAddr.String())
			require.True(t, tc.ip.Equal(tcpAddr.IP) && tc.ip.Equal(udpAddr.IP))
			again, err := s.ResolveTCPAddr(tcpAddr.Network(), tcpAddr.String())
			require.NoError(t, err)
			require.Equal(t, tcpAddr, again, "what it says of itself stands for itself")
		})
	}
	_, err := s.ResolveTCPAddr("udp", "127.0.0.1:0")
	require.Equal(t, net.UnknownNetworkError("udp"), err)
	_, err = s.ResolveUDPAddr("http", "127.0.0.1:0")
	require.Equal(t, net.UnknownNetworkError("http"), err)
}

func TestNamesOfSockets(t *testing.T) {
	first, second := newPair(t, pipe.Config{})
	server := bind(t, second, "udp", "192.168.69.100:0")
	for _, local := range []*net.UDPAddr{nil, {}, {IP: net.IPv4(192, 168, 69, 1)}, {Port: 7}} {
		c, err := first.DialUDP("udp", local, server.LocalAddr().(*net.UDPAddr))
		require.NoError(t, err)
		ours := c.LocalAddr().(*net.UDPAddr)
		require.Equal(t, "192.168.69.1", ours.IP.String())
		require.NotZero(t, ours.Port)
		if local != nil && local.Port != 0 {
			require.Equal(t, local.Port, ours.Port)
		}
		require.Equal(t, server.LocalAddr().String(), c.RemoteAddr().String())
		require.NoError(t, c.Close())
	}
	require.True(t, server.RemoteAddr() == nil, "no interface around a nil pointer")
	_, err := first.DialUDP("udp", nil, nil)
	require.EqualError(t, err, "dial udp: missing address")
	_, err = first.DialTCP("tcp", nil, nil)
	require.EqualError(t, err, "dial tcp: missing address")
}

// What becomes later of an address that a call was given, or has returned, is nothing to the stack.
func TestAddressesAreCopied(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		dialing, listening := p.stacks(t)
		l := listen(t, listening, p.network, p.address)
		to := *l.Addr().(*net.TCPAddr)
		to.IP = slices.Clone(to.IP)
		c, err := dialing.DialTCP(p.network, nil, &to)
		require.NoError(t, err)
		defer c.Close()
		to.IP[len(to.IP)-1], to.Port = 77, 77
		require.Equal(t, l.Addr().String(), c.RemoteAddr().String())

		server, client := p.exchange(t)
		for range 2 {
			_, err := client.Write([]byte("x"))
			require.NoError(t, err)
			_, from, err := server.ReadFromUDP(make([]byte, 1))
			require.NoError(t, err)
			require.Equal(t, client.LocalAddr().String(), from.String())
			_, err = server.WriteTo([]byte("y"), from)
			require.NoError(t, err)
			from.IP[len(from.IP)-1], from.Port = 77, 77
			_, err = client.Read(make([]byte, 1))
			require.NoError(t, err)
		}
	})
}

func TestWriteToOfConnectedSockets(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		server, client := p.exchange(t)
		to := server.LocalAddr().(*net.UDPAddr)
		b := []byte("x")
		for name, write := range map[string]func() error{
			"WriteTo":             func() error { _, err := client.WriteTo(b, to); return err },
			"WriteToUDP":          func() error { _, err := client.WriteToUDP(b, to); return err },
			"WriteToUDPAddrPort":  func() error { _, err := client.WriteToUDPAddrPort(b, to.AddrPort()); return err },
			"WriteMsgUDP":         func() error { _, _, err := client.WriteMsgUDP(b, nil, to); return err },
			"WriteMsgUDPAddrPort": func() error { _, _, err := client.WriteMsgUDPAddrPort(b, nil, to.AddrPort()); return err },
		} {
			err := write()
			requireOp(t, err, "write")
			require.Equal(t, net.ErrWriteToConnected, err.(*net.OpError).Err, name)
		}
		require.NoError(t, server.SetReadDeadline(time.Now().Add(time.Second)))
		_, _, err := server.ReadFrom(b)
		wantDeadline(t, err)
	})
}

// An error comes with no octets and no address.
func TestReadThatFailsNamesNobody(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		server, _ := p.exchange(t)
		require.NoError(t, server.SetDeadline(time.Now()))
		b := make([]byte, 1)
		n, addr, err := server.ReadFrom(b)
		require.True(t, n == 0 && addr == nil)
		wantDeadline(t, err)
		n, udp, err := server.ReadFromUDP(b)
		require.True(t, n == 0 && udp == nil)
		wantDeadline(t, err)
		n, ap, err := server.ReadFromUDPAddrPort(b)
		require.True(t, n == 0 && !ap.IsValid())
		wantDeadline(t, err)
		n, oobn, flags, udp, err := server.ReadMsgUDP(b, nil)
		require.True(t, n == 0 && oobn == 0 && flags == 0 && udp == nil)
		wantDeadline(t, err)
	})
}

// Into no room Read reads nothing, and is content, whether there is something or not. ReadFrom takes a datagram, and waits for it.
func TestReadIntoNoRoom(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		server, client := p.exchange(t)
		n, err := server.Read(nil)
		require.True(t, n == 0 && err == nil)
		_, err = client.Write([]byte("x"))
		require.NoError(t, err)
		synctest.Wait()
		n, err = server.Read([]byte{})
		require.True(t, n == 0 && err == nil)
		b := make([]byte, 2)
		n, err = server.Read(b)
		require.NoError(t, err)
		require.Equal(t, "x", string(b[:n]), "it is there still")

		require.NoError(t, server.SetReadDeadline(time.Now().Add(time.Second)))
		_, _, err = server.ReadFrom(nil)
		wantDeadline(t, err)
		require.NoError(t, server.Close())
		_, err = server.Read(nil)
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

// The form of the sender's address is that of the socket's family.
func TestFormOfTheSendersAddress(t *testing.T) {
	s := newStack(t, smolnet.Config{})
	for _, tc := range []struct {
		network, host string
		is4           bool
	}{
		{"udp4", "127.0.0.1", true}, {"udp", "127.0.0.1", true}, {"udp4", "", true}, {"udp6", "::1", false}, {"udp", "", false},
	} {
		t.Run(tc.network+" "+tc.host, func(t *testing.T) {
			c := bind(t, s, tc.network, net.JoinHostPort(tc.host, "0"))
			to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(c.LocalAddr().(*net.UDPAddr).Port))
			if tc.network == "udp6" {
				to = netip.AddrPortFrom(netip.IPv6Loopback(), to.Port())
			}
			b := make([]byte, 8)
			for range 2 {
				_, err := c.WriteToUDPAddrPort(b, to)
				require.NoError(t, err)
			}
			_, _, _, from, err := c.ReadMsgUDPAddrPort(b, nil)
			require.NoError(t, err)
			require.Equal(t, tc.is4, from.Addr().Is4())
			_, _, _, addr, err := c.ReadMsgUDP(b, nil)
			require.NoError(t, err)
			require.Equal(t, tc.is4, len(addr.IP) == net.IPv4len)
		})
	}
}

// A socket for both families sends to addresses of either, in any form, and one of IPv4 to IPv4's.
func TestFormOfTheTargetsAddress(t *testing.T) {
	s := newStack(t, smolnet.Config{})
	bind(t, s, "udp", ":12345")
	both, err := s.ListenUDP("udp", nil)
	require.NoError(t, err)
	defer both.Close()
	one, err := s.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer one.Close()
	for _, tc := range []struct {
		to   string
		also bool // the socket of IPv4 does
	}{
		{"127.0.0.1:12345", true}, {"[::ffff:127.0.0.1]:12345", true}, {"[::1]:12345", false},
	} {
		to := netip.MustParseAddrPort(tc.to)
		_, _, err := both.WriteMsgUDPAddrPort([]byte("x"), nil, to)
		require.NoError(t, err, tc.to)
		_, _, err = one.WriteMsgUDPAddrPort([]byte("x"), []byte{}, to)
		if tc.also {
			require.NoError(t, err, tc.to)
		} else {
			requireOp(t, err, "write")
			require.EqualError(t, err.(*net.OpError).Err, "address ::1: non-IPv4 address")
		}
	}
}

// Room for out-of-band data that is there but empty is no room, and no mistake.
func TestNoRoomForOutOfBandData(t *testing.T) {
	s := newStack(t, smolnet.Config{})
	c := bind(t, s, "udp4", "127.0.0.1:0")
	b := make([]byte, 8)
	for _, oob := range [][]byte{nil, {}, make([]byte, 8)[:0]} {
		_, oobn, err := c.WriteMsgUDPAddrPort(b, oob, c.LocalAddr().(*net.UDPAddr).AddrPort())
		require.NoError(t, err)
		require.Zero(t, oobn)
		n, oobn, _, _, err := c.ReadMsgUDPAddrPort(b, oob)
		require.NoError(t, err)
		require.Equal(t, 8, n)
		require.Zero(t, oobn)
	}
}

func TestDatagramsAllocateNothing(t *testing.T) {
	s := newStack(t, smolnet.Config{})
	c := bind(t, s, "udp4", "127.0.0.1:0")
	addr := c.LocalAddr().(*net.UDPAddr)
	to := addr.AddrPort()
	b := make([]byte, 8)
	const n = 1000
	for _, tc := range []struct {
		name string
		each uint64 // what a datagram may allocate
		do   func() error
	}{
		{"messages", 0, func() error {
			if _, _, err := c.WriteMsgUDPAddrPort(b, nil, to); err != nil {
				return err
			}
			_, _, _, _, err := c.ReadMsgUDPAddrPort(b, nil)
			return err
		}},
		{"AddrPort", 0, func() error {
			if _, err := c.WriteToUDPAddrPort(b, to); err != nil {
				return err
			}
			_, _, err := c.ReadFromUDPAddrPort(b)
			return err
		}},
		{"addresses of package net", 1, func() error {
			if _, err := c.WriteTo(b, addr); err != nil {
				return err
			}
			_, _, err := c.ReadFromUDP(b)
			return err
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := allocations(t, func() {
				for range n {
					if err := tc.do(); err != nil {
						t.Fatal(err)
					}
				}
			})
			require.LessOrEqual(t, got, tc.each*n+20)
		})
	}
}
