package smolnet_test

import (
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

func udpAddr(t testing.TB, s string) *net.UDPAddr {
	t.Helper()
	addr, err := net.ResolveUDPAddr("udp", s)
	require.NoError(t, err)
	return addr
}

// interfaceOf is the stack's first interface besides the loopback, as package net describes one.
func interfaceOf(t testing.TB, s *smolnet.Stack) *net.Interface {
	t.Helper()
	all, err := s.Interfaces()
	require.NoError(t, err)
	return &all[1].Interface
}

// hears requires that the payload is what the socket receives next.
func hears(t testing.TB, c *smolnet.UDPConn, payload string) *net.UDPAddr {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute))) // it is there already, or never will be
	b := make([]byte, 1500)
	n, from, err := c.ReadFromUDP(b)
	require.NoError(t, err)
	require.Equal(t, payload, string(b[:n]))
	return from
}

// hearsNothing requires that a second brings nothing.
func hearsNothing(t testing.TB, c *smolnet.UDPConn, why string) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
	_, _, err := c.ReadFromUDP(make([]byte, 1500))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, why)
}

// Several sockets of several stacks are in one group, and whoever speaks is heard by all.
func TestListenMulticastUDP(t *testing.T) {
	for _, group := range []string{"239.1.2.3:5000", "[ff02::123]:5000"} {
		t.Run(group, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := newPair(t, pipe.Config{})
				addr := udpAddr(t, group)
				var hearers []*smolnet.UDPConn
				for _, s := range []*smolnet.Stack{first, first, second} {
					c, err := s.ListenMulticastUDP("udp", interfaceOf(t, s), addr)
					require.NoError(t, err)
					defer c.Close()
					hearers = append(hearers, c)
				}
				sender, err := first.ListenUDP("udp", nil)
				require.NoError(t, err)
				defer sender.Close()
				require.NoError(t, sender.SetMulticastInterface(interfaceOf(t, first)))
				_, err = sender.WriteToUDP([]byte("to all"), addr)
				require.NoError(t, err)
				for _, c := range hearers {
					from := hears(t, c, "to all")
					require.Equal(t, sender.LocalAddr().(*net.UDPAddr).Port, from.Port)
				}
				// What such a socket says itself does not come back, as package net has it.
				_, err = hearers[0].WriteToUDP([]byte("to others"), addr)
				require.NoError(t, err)
				hears(t, hearers[2], "to others")
				hearsNothing(t, hearers[0], "it does not hear itself")
				hearsNothing(t, hearers[1], "nor does its neighbour")

				require.NoError(t, hearers[0].SetMulticastLoopback(true))
				_, err = hearers[0].WriteToUDP([]byte("to myself"), addr)
				require.NoError(t, err)
				for _, c := range hearers {
					hears(t, c, "to myself")
				}
			})
		})
	}
}

func TestListenMulticastUDPErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newPair(t, pipe.Config{})
		for _, tc := range []struct {
			name, network string
			ifi           *net.Interface
			gaddr         *net.UDPAddr
			want          error
			text          string
		}{
			{"a network of another kind", "tcp", nil, udpAddr(t, "239.1.2.3:1"), net.UnknownNetworkError("tcp"), "listen tcp 239.1.2.3:1: unknown network tcp"},
			{"no address", "udp", nil, nil, nil, "listen udp: missing address"},
			{"no group", "udp", nil, udpAddr(t, "192.168.69.1:1"), syscall.EINVAL, "listen udp 192.168.69.1:1: setsockopt: invalid argument"},
			{"no such interface", "udp", &net.Interface{Index: 99}, udpAddr(t, "239.1.2.3:1"), syscall.ENODEV,
				"listen udp 239.1.2.3:1: setsockopt: no such device"},
		} {
			c, err := s.ListenMulticastUDP(tc.network, tc.ifi, tc.gaddr)
			require.Nil(t, c, tc.name)
			require.EqualError(t, err, tc.text, tc.name)
			if tc.want != nil {
				require.ErrorIs(t, err, tc.want, tc.name)
			}
		}
		c, err := s.ListenMulticastUDP("udp", nil, udpAddr(t, "239.1.2.3:1000"))
		require.NoError(t, err, "none of the failures has left a socket")
		require.Equal(t, "0.0.0.0:1000", c.LocalAddr().String())
		require.NoError(t, c.Close())
	})
}

// TestGroupsOfASocket: any-source and source-specific membership, by the names of golang.org/x/net.
func TestGroupsOfASocket(t *testing.T) {
	for _, tc := range []struct{ name, group, source, other string }{
		{"IPv4", "232.1.2.3", "192.168.69.1", "192.168.69.99"},
		{"IPv6", "ff35::8000:1", "fdaa::1", "fdaa::99"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := newPair(t, pipe.Config{})
				group, source, other := &net.IPAddr{IP: net.ParseIP(tc.group)}, &net.IPAddr{IP: net.ParseIP(tc.source)}, &net.IPAddr{IP: net.ParseIP(tc.other)}
				c, err := second.ListenUDP("udp", &net.UDPAddr{Port: 5000})
				require.NoError(t, err)
				defer c.Close()
				sender, err := first.ListenUDP("udp", nil)
				require.NoError(t, err)
				defer sender.Close()
				send := func() {
					_, err := sender.WriteToUDP([]byte("hello"), &net.UDPAddr{IP: group.IP, Port: 5000})
					require.NoError(t, err)
				}
				ifi := interfaceOf(t, second)

				send()
				hearsNothing(t, c, "it has not joined")
				require.NoError(t, c.JoinGroup(ifi, group))
				send()
				hears(t, c, "hello")
				require.ErrorIs(t, c.JoinGroup(ifi, group), syscall.EADDRINUSE)
				require.ErrorIs(t, c.JoinSourceSpecificGroup(ifi, group, source), syscall.EINVAL)
				require.NoError(t, c.ExcludeSourceSpecificGroup(ifi, group, source))
				send()
				hearsNothing(t, c, "the source is excluded")
				require.NoError(t, c.IncludeSourceSpecificGroup(ifi, group, source))
				send()
				hears(t, c, "hello")
				require.NoError(t, c.LeaveGroup(ifi, group))
				send()
				hearsNothing(t, c, "it has left")
				require.ErrorIs(t, c.LeaveGroup(ifi, group), syscall.EADDRNOTAVAIL)

				require.NoError(t, c.JoinSourceSpecificGroup(nil, group, other))
				send()
				hearsNothing(t, c, "another source")
				require.NoError(t, c.JoinSourceSpecificGroup(nil, group, source))
				send()
				hears(t, c, "hello")
				require.NoError(t, c.LeaveSourceSpecificGroup(nil, group, source))
				require.NoError(t, c.LeaveSourceSpecificGroup(nil, group, other))
				groups, err := mustInterface(t, second).MulticastAddrs()
				require.NoError(t, err)
				require.NotContains(t, groups, net.Addr(group), "the last source was left")

				require.ErrorIs(t, c.JoinGroup(&net.Interface{Index: 99}, group), syscall.ENODEV)
				require.ErrorIs(t, c.JoinGroup(nil, source), syscall.EINVAL)
				require.ErrorIs(t, c.JoinGroup(nil, nil), syscall.EINVAL)
				require.ErrorIs(t, c.SetMulticastInterface(&net.Interface{Index: 99}), syscall.ENODEV)
				require.NoError(t, c.Close())
				require.ErrorIs(t, c.JoinGroup(nil, group), net.ErrClosed)
				require.ErrorIs(t, (*smolnet.UDPConn)(nil).JoinGroup(nil, group), syscall.EINVAL)
			})
		})
	}
}

func mustInterface(t testing.TB, s *smolnet.Stack) *smolnet.NetInterface {
	t.Helper()
	i, err := s.InterfaceByIndex(interfaceOf(t, s).Index)
	require.NoError(t, err)
	return i
}

func TestMulticastAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPair(t, pipe.Config{})
		group := udpAddr(t, "239.1.2.3:5000")
		member, err := second.ListenUDP("udp", nil)
		require.NoError(t, err)
		defer member.Close()
		require.NoError(t, member.JoinGroup(nil, group))
		bystander, err := second.ListenUDP("udp", &net.UDPAddr{Port: 5000})
		require.NoError(t, err)
		defer bystander.Close()
		sender, err := first.ListenUDP("udp", nil)
		require.NoError(t, err)
		defer sender.Close()

		_, err = sender.WriteToUDP([]byte("hello"), group)
		require.NoError(t, err)
		hears(t, bystander, "hello")
		require.NoError(t, bystander.SetMulticastAll(false))
		_, err = sender.WriteToUDP([]byte("hello"), group)
		require.NoError(t, err)
		hearsNothing(t, bystander, "it is not a member")
	})
}

// A broadcast comes back to the stack that sends it.
func TestBroadcastComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newPair(t, pipe.Config{})
		c, err := s.ListenUDP("udp4", &net.UDPAddr{Port: 5000})
		require.NoError(t, err)
		defer c.Close()
		for _, to := range []string{"255.255.255.255:5000", "192.168.69.255:5000"} {
			_, err = c.WriteToUDP([]byte("anybody?"), udpAddr(t, to))
			require.NoError(t, err)
			require.Equal(t, "192.168.69.1:5000", hears(t, c, "anybody?").String())
		}
	})
}

func TestLimitOfGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newPairOf(t, pipe.Config{}, smolnet.Config{Limits: core.Limits{Groups: 6, Addresses: 4}})
		c, err := s.ListenUDP("udp4", nil)
		require.NoError(t, err)
		defer c.Close()
		for i := range 10 {
			if err = c.JoinGroup(nil, &net.IPAddr{IP: net.IPv4(239, 0, 0, byte(i))}); err != nil {
				break
			}
		}
		require.ErrorIs(t, err, syscall.ENOBUFS)
	})
}
