package smolnet_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/listener"
	"github.com/smolnet/smolnet/smolnet"
)

func TestDialErrors(t *testing.T) {
	first, _ := newPair(t, pipe.Config{})
	for _, tc := range []struct {
		network, address string
		want             any // the type inside, or the error itself
		text             string
	}{
		{"foo", "", net.UnknownNetworkError("foo"), "dial foo: unknown network foo"},
		{"tcp", "", nil, "dial tcp: missing address"},
		{"tcp", "192.168.69.100", &net.AddrError{}, "dial tcp: address 192.168.69.100: missing port in address"},
		{"tcp", "fdaa::100:80", &net.AddrError{}, "dial tcp: address fdaa::100:80: too many colons in address"},
		{"tcp", "[fdaa::100]", &net.AddrError{}, "dial tcp: address [fdaa::100]: missing port in address"},
		{"tcp", "127.0.0.1:-1", &net.AddrError{}, "dial tcp: address -1: invalid port"},
		{"udp", "127.0.0.1:65536", &net.AddrError{}, "dial udp: address 65536: invalid port"},
		{"tcp", "127.0.0.1:123456789123456789123456789", &net.AddrError{},
			"dial tcp: address 123456789123456789123456789: invalid port"},
		{"tcp", "127.0.0.1:☺", &net.DNSError{}, "dial tcp: lookup tcp/☺: unknown port"},
		{"udp", "127.0.0.1:http", &net.DNSError{}, "dial udp: lookup udp/http: unknown port"},
		{"tcp", "no-such-name:80", &net.DNSError{}, "dial tcp: lookup no-such-name: no such host"},
		{"tcp4", "[::1]:80", &net.AddrError{}, "dial tcp4: address ::1: no suitable address found"},
		{"tcp6", "127.0.0.1:80", &net.AddrError{}, "dial tcp6: address 127.0.0.1: no suitable address found"},
		{"udp6", "[::ffff:127.0.0.1]:80", &net.AddrError{}, "dial udp6: address ::ffff:127.0.0.1: no suitable address found"},
		{"tcp", "127.0.0.1:1", syscall.ECONNREFUSED, "dial tcp 127.0.0.1:1: connect: connection refused"},
		{"tcp", "[::1]:1", syscall.ECONNREFUSED, "dial tcp [::1]:1: connect: connection refused"},
		{"tcp", "[::ffff:127.0.0.1]:1", syscall.ECONNREFUSED, "dial tcp 127.0.0.1:1: connect: connection refused"},
		{"tcp", ":1", syscall.ECONNREFUSED, "dial tcp :1: connect: connection refused"},
		{"tcp4", ":http", syscall.ECONNREFUSED, "dial tcp4 :80: connect: connection refused"},
		{"tcp", ":0", syscall.ECONNREFUSED, "dial tcp :0: connect: connection refused"},
		{"tcp", "0.0.0.0:1", syscall.ECONNREFUSED, "dial tcp 0.0.0.0:1: connect: connection refused"},
		{"tcp", "[::]:1", syscall.ECONNREFUSED, "dial tcp [::]:1: connect: connection refused"},
		{"tcp", "192.168.69.100:1", syscall.ECONNREFUSED, "dial tcp 192.168.69.100:1: connect: connection refused"},
		{"tcp", "[fdaa::100]:1", syscall.ECONNREFUSED, "dial tcp [fdaa::100]:1: connect: connection refused"},
		{"tcp", "203.0.113.1:1", syscall.ENETUNREACH, "dial tcp 203.0.113.1:1: connect: network is unreachable"},
		{"udp", "[2001:db8::1]:1", syscall.ENETUNREACH, "dial udp [2001:db8::1]:1: connect: network is unreachable"},
		{"tcp", "224.0.0.1:1", syscall.ENETUNREACH, "dial tcp 224.0.0.1:1: connect: network is unreachable"},
		{"tcp", "255.255.255.255:1", syscall.ENETUNREACH, "dial tcp 255.255.255.255:1: connect: network is unreachable"},
		{"tcp", "127.0.0.1:0", syscall.ECONNREFUSED, "dial tcp 127.0.0.1:0: connect: connection refused"},
		{"tcp", "[fe80::1]:1", syscall.EINVAL, "dial tcp [fe80::1]:1: connect: invalid argument"},
		{"tcp", "[fe80::1%nowhere]:1", syscall.EINVAL, "dial tcp [fe80::1%nowhere]:1: connect: invalid argument"},
	} {
		t.Run(tc.network+" "+tc.address, func(t *testing.T) {
			c, err := first.Dial(tc.network, tc.address)
			require.True(t, c == nil)
			requireOp(t, err, "dial")
			require.EqualError(t, err, tc.text)
			requireInside(t, err, tc.want)
		})
	}
}

func TestListenErrors(t *testing.T) {
	s := newStack(t, smolnet.Config{})
	taken := listen(t, s, "tcp", "127.0.0.1:0").Addr().String()
	bound := bind(t, s, "udp", "127.0.0.1:0").LocalAddr().String()
	for _, tc := range []struct {
		network, address string
		want             any
		text             string
	}{
		{"foo", "", net.UnknownNetworkError("foo"), "listen foo: unknown network foo"},
		{"tcp", "127.0.0.1:☺", &net.DNSError{}, "listen tcp: lookup tcp/☺: unknown port"},
		{"tcp", "127.0.0.1:-1", &net.AddrError{}, "listen tcp: address -1: invalid port"},
		{"udp", "no-such-name:80", &net.DNSError{}, "listen udp: lookup no-such-name: no such host"},
		{"tcp", "192.0.2.1:0", syscall.EADDRNOTAVAIL, "listen tcp 192.0.2.1:0: bind: cannot assign requested address"},
		{"udp", "192.0.2.1:0", syscall.EADDRNOTAVAIL, "listen udp 192.0.2.1:0: bind: cannot assign requested address"},
		{"tcp", taken, syscall.EADDRINUSE, "listen tcp " + taken + ": bind: address already in use"},
		{"udp", bound, syscall.EADDRINUSE, "listen udp " + bound + ": bind: address already in use"},
		{"tcp", "[fe80::1]:0", syscall.EINVAL, "listen tcp [fe80::1]:0: bind: invalid argument"},
	} {
		t.Run(tc.network+" "+tc.address, func(t *testing.T) {
			var err error
			if tc.network == "udp" {
				var c net.PacketConn
				c, err = s.ListenPacket(tc.network, tc.address)
				require.True(t, c == nil)
			} else {
				var l net.Listener
				l, err = s.Listen(tc.network, tc.address)
				require.True(t, l == nil)
			}
			requireOp(t, err, "listen")
			require.EqualError(t, err, tc.text)
			requireInside(t, err, tc.want)
		})
	}
}

// requireInside requires that a *net.OpError holds what package net's would: an error number in an
// *os.SyscallError, an error of the same type, or the same error.
func requireInside(t *testing.T, err error, want any) {
	t.Helper()
	inside := err.(*net.OpError).Err
	switch want := want.(type) {
	case nil:
	case syscall.Errno:
		call, ok := inside.(*os.SyscallError)
		require.True(t, ok, "%T", inside)
		require.Equal(t, want, call.Err)
	case net.UnknownNetworkError:
		require.Equal(t, want, inside)
	case *net.DNSError:
		require.IsType(t, want, inside)
		require.True(t, inside.(*net.DNSError).IsNotFound)
	default:
		require.IsType(t, want, inside)
	}
}

func TestDialFromLocalAddress(t *testing.T) {
	first, second := newPair(t, pipe.Config{})
	l := listen(t, second, "tcp", ":9")
	for _, tc := range []struct {
		name    string
		local   *net.TCPAddr
		address string
		want    string // the local address of the connection, without its port
		err     error
	}{
		{"chosen", &net.TCPAddr{IP: net.IPv4(192, 168, 69, 1)}, "192.168.69.100:9", "192.168.69.1", nil},
		{"any", &net.TCPAddr{IP: net.IPv4zero}, "192.168.69.100:9", "192.168.69.1", nil},
		{"of IPv6", &net.TCPAddr{IP: net.ParseIP("fdaa::1")}, "[fdaa::100]:9", "fdaa::1", nil},
		{"not ours", &net.TCPAddr{IP: net.IPv4(192, 168, 69, 7)}, "192.168.69.100:9", "", syscall.EADDRNOTAVAIL},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := dialer.Dialer{Stack: first, LocalAddr: tc.local}
			c, err := d.Dial("tcp", tc.address)
			if tc.err != nil {
				require.ErrorIs(t, err, tc.err)
				require.ErrorContains(t, err, "bind: ")
				require.ErrorContains(t, err, tc.local.String()+"->"+tc.address)
				return
			}
			require.NoError(t, err)
			defer c.Close()
			a, err := l.Accept()
			require.NoError(t, err)
			defer a.Close()
			require.Equal(t, tc.want, c.LocalAddr().(*net.TCPAddr).IP.String())
			require.Equal(t, c.LocalAddr().String(), a.RemoteAddr().String())
		})
	}

	d := dialer.Dialer{Stack: first, LocalAddr: &net.TCPAddr{Port: 4321}}
	c, err := d.Dial("tcp", "192.168.69.100:9")
	require.NoError(t, err)
	defer c.Close()
	require.Equal(t, 4321, c.LocalAddr().(*net.TCPAddr).Port)
	_, err = d.Dial("tcp", "192.168.69.100:9")
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.ErrorContains(t, err, "bind: address already in use")
}

func TestHostUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, _ := newPair(t, pipe.Config{})
		for _, address := range []string{"192.168.69.7:80", "[fdaa::7]:80"} {
			_, err := first.Dial("tcp", address)
			require.ErrorIs(t, err, syscall.EHOSTUNREACH)
			require.EqualError(t, err, "dial tcp "+address+": connect: no route to host")
		}
	})
}

func TestLinkLocalAddresses(t *testing.T) {
	first, second := newPair(t, pipe.Config{})
	var there netip.Addr
	for _, prefix := range prefixes(second.Links()[1]) {
		if prefix.Addr().IsLinkLocalUnicast() {
			there = prefix.Addr()
		}
	}
	require.True(t, there.IsValid(), "an Ethernet interface has a link-local address")

	l := listen(t, second, "tcp6", "["+there.WithZone("second").String()+"]:0")
	require.Equal(t, there.WithZone("second").String(), l.Addr().(*net.TCPAddr).AddrPort().Addr().String())
	remote := netip.AddrPortFrom(there.WithZone("first"), l.Addr().(*net.TCPAddr).AddrPort().Port())
	for _, address := range []string{remote.String(), netip.AddrPortFrom(there.WithZone("2"), remote.Port()).String()} {
		c, err := first.Dial("tcp", address)
		require.NoError(t, err)
		defer c.Close()
		a, err := l.Accept()
		require.NoError(t, err)
		defer a.Close()
		require.Equal(t, remote.String(), c.RemoteAddr().String(), "the zone is shown by name")
		require.Equal(t, "first", c.LocalAddr().(*net.TCPAddr).Zone)
		require.Equal(t, "second", a.RemoteAddr().(*net.TCPAddr).Zone)
	}

	server := bind(t, second, "udp", "[::]:0")
	client := bind(t, first, "udp", "[::]:0")
	port := server.LocalAddr().(*net.UDPAddr).Port
	_, err := client.WriteTo([]byte("x"), &net.UDPAddr{IP: there.AsSlice(), Port: port, Zone: "first"})
	require.NoError(t, err)
	b := make([]byte, 1)
	_, from, err := server.ReadFrom(b)
	require.NoError(t, err)
	require.Equal(t, "second", from.(*net.UDPAddr).Zone)
	_, err = server.WriteTo(b, from)
	require.NoError(t, err, "an answer finds its way by the zone")
	_, ap, err := client.ReadFromUDPAddrPort(b)
	require.NoError(t, err)
	require.Equal(t, there.WithZone("first"), ap.Addr())
}

func TestWildcardListeners(t *testing.T) {
	for _, tc := range []struct {
		network, address string
		shown            string
		ipv4, ipv6       bool
	}{
		{"tcp", ":0", "::", true, true},
		{"tcp", "0.0.0.0:0", "::", true, true},
		{"tcp", "[::]:0", "::", true, true},
		{"tcp", "", "::", true, true},
		{"tcp4", ":0", "0.0.0.0", true, false},
		{"tcp4", "0.0.0.0:0", "0.0.0.0", true, false},
		{"tcp6", ":0", "::", false, true},
		{"tcp6", "[::]:0", "::", false, true},
	} {
		t.Run(tc.network+" "+tc.address, func(t *testing.T) {
			s := newStack(t, smolnet.Config{})
			l := listen(t, s, tc.network, tc.address)
			addr := l.Addr().(*net.TCPAddr)
			require.Equal(t, tc.shown, addr.IP.String())
			require.NotZero(t, addr.Port)
			for _, to := range []struct {
				ip string
				ok bool
			}{{"127.0.0.1", tc.ipv4}, {"127.1.2.3", tc.ipv4}, {"::1", tc.ipv6}} {
				c, err := s.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr(to.ip), uint16(addr.Port)).String())
				if !to.ok {
					require.ErrorIs(t, err, syscall.ECONNREFUSED, to.ip)
					continue
				}
				require.NoError(t, err, to.ip)
				a, err := l.Accept()
				require.NoError(t, err)
				require.Equal(t, c.LocalAddr().String(), a.RemoteAddr().String())
				require.Equal(t, to.ip, a.LocalAddr().(*net.TCPAddr).IP.String())
				require.NoError(t, a.Close())
				require.NoError(t, c.Close())
			}
			_, err := s.Listen(tc.network, l.Addr().String())
			require.ErrorIs(t, err, syscall.EADDRINUSE)
		})
	}
}

func TestBothFamiliesOnOnePort(t *testing.T) {
	s := newStack(t, smolnet.Config{})
	l4 := listen(t, s, "tcp4", ":7")
	l6 := listen(t, s, "tcp6", ":7")
	_, err := s.Listen("tcp", ":7")
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.NoError(t, l4.Close())
	require.NoError(t, l6.Close())
	listen(t, s, "tcp", ":7")
}

func TestListenerClose(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		dialing, listening := p.stacks(t)
		l := listen(t, listening, p.network, p.address)
		accepts := make(chan error)
		for range 3 {
			go func() {
				_, err := l.Accept()
				accepts <- err
			}()
		}
		synctest.Wait()
		require.NoError(t, l.Close())
		for range 3 {
			err := <-accepts
			requireOp(t, err, "accept")
			require.ErrorIs(t, err, net.ErrClosed)
			require.False(t, err.(*net.OpError).Temporary(), "http.Server would try for ever")
		}
		err := l.Close()
		requireOp(t, err, "close")
		require.ErrorIs(t, err, net.ErrClosed)
		require.ErrorIs(t, l.SetDeadline(deadlineNever), net.ErrClosed)

		_, err = dialing.Dial(p.network, l.Addr().String())
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		again := listen(t, listening, p.network, l.Addr().String())
		dial(t, dialing, again)
	})
}

func TestListenerCloseResetsWhatWaits(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		dialing, listening := p.stacks(t)
		l := listen(t, listening, p.network, p.address)
		c, err := dialing.Dial(p.network, l.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		synctest.Wait()
		require.NoError(t, l.Close())
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

// Without cookies: who was answered with one believes to be connected, and if it waits for the server to speak first nobody will
// know of it.
func TestFullBacklogRefusesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPairOf(t, pipe.Config{}, smolnet.Config{TCP: tcp.Config{SYNCookies: tcp.CookiesNever}})
		lc := listener.ListenConfig{Stack: second, Backlog: 2}
		l, err := lc.Listen(t.Context(), "tcp", ":7")
		require.NoError(t, err)
		defer l.Close()
		const n = 10
		dialed := make(chan error)
		for range n {
			go func() {
				c, err := first.Dial("tcp", "192.168.69.100:7")
				if err == nil {
					defer c.Close()
					_, err = c.Read(make([]byte, 1))
				}
				dialed <- err
			}()
		}
		synctest.Wait()
		for range n {
			c, err := l.Accept()
			require.NoError(t, err)
			_, err = c.Write([]byte("x"))
			require.NoError(t, err)
			require.NoError(t, c.Close())
			require.NoError(t, <-dialed)
		}
		counters := second.Counters().TCP
		require.NotZero(t, counters.AcceptQueueFull+counters.SynQueueFull, "somebody had to try again")
	})
}

func TestServiceNames(t *testing.T) {
	s := newStack(t, smolnet.Config{})
	for _, tc := range []struct {
		network, address string
		want             []string
	}{
		{"tcp", "127.0.0.1:http", []string{"127.0.0.1:80"}},
		{"tcp6", "[::1]:https", []string{"[::1]:443"}},
		{"udp4", "127.0.0.1:domain", []string{"127.0.0.1:53"}},
		{"tcp", "127.0.0.1:", []string{"127.0.0.1:0"}},
		{"tcp", "127.0.0.1:+7", []string{"127.0.0.1:7"}},
		{"tcp", "[::]:7", []string{"[::]:7", "0.0.0.0:7"}},
		{"tcp4", "[::]:7", []string{"0.0.0.0:7"}},
		{"tcp6", "[::]:7", []string{"[::]:7"}},
		{"tcp", "[fe80::1%eth0]:7", []string{"[fe80::1%eth0]:7"}},
		{"tcp", ":7", []string{"invalid AddrPort"}},
	} {
		addrs, err := s.Resolve(context.Background(), tc.network, tc.address)
		require.NoError(t, err, tc.address)
		var got []string
		for _, addr := range addrs {
			got = append(got, addr.String())
		}
		require.Equal(t, tc.want, got, tc.address)
	}
}

func TestBadInterfaces(t *testing.T) {
	a, b := pipe.New(pipe.Config{})
	defer b.Close()
	s := newStack(t, smolnet.Config{})
	_, err := s.AddInterface(smolnet.Interface{Device: a, MTU: -1})
	require.ErrorIs(t, err, core.ErrConfig)
	require.ErrorContains(t, err, "-1")
	_, err = s.AddInterface(smolnet.Interface{})
	require.ErrorIs(t, err, core.ErrConfig)
	_, err = s.AddInterface(smolnet.Interface{Device: a})
	require.NoError(t, err, "what failed before has left nothing behind")
	_, err = s.AddInterface(smolnet.Interface{Device: a})
	require.ErrorIs(t, err, core.ErrConfig)

	_, err = smolnet.New(smolnet.Config{Limits: core.Limits{Routes: -1}})
	require.ErrorIs(t, err, core.ErrConfig)
	require.ErrorContains(t, err, "Routes")
}
