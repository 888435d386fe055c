package smolnet_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/smolnet"
)

// announced is what listens, for connections or for datagrams.
type announced interface {
	io.Closer
	port() string
}

type announcedTCP struct{ net.Listener }

func (a announcedTCP) port() string { return strconv.Itoa(a.Addr().(*net.TCPAddr).Port) }

type announcedUDP struct{ net.PacketConn }

func (a announcedUDP) port() string { return strconv.Itoa(a.LocalAddr().(*net.UDPAddr).Port) }

// announce listens on the network, of either kind.
func announce(s *smolnet.Stack, network, host, port string) (announced, error) {
	address := net.JoinHostPort(host, port)
	if strings.HasPrefix(network, "udp") {
		c, err := s.ListenPacket(network, address)
		return announcedUDP{c}, err
	}
	l, err := s.Listen(network, address)
	return announcedTCP{l}, err
}

// An address belongs to whoever is the first to listen there, and to nobody once that is closed.
func TestNobodyElseListensOnTheSameAddress(t *testing.T) {
	for _, protocol := range []string{"tcp", "udp"} {
		for _, tc := range []struct{ family, host string }{
			{"", ""}, {"", "0.0.0.0"}, {"", "::ffff:0.0.0.0"}, {"", "::"},
			{"", "127.0.0.1"}, {"", "::ffff:127.0.0.1"}, {"", "::1"}, {"", "192.168.69.100"}, {"", "fdaa::100"},
			{"4", ""}, {"4", "0.0.0.0"}, {"4", "::ffff:0.0.0.0"}, {"4", "127.0.0.1"}, {"4", "::ffff:127.0.0.1"},
			{"6", ""}, {"6", "::"}, {"6", "::1"},
		} {
			t.Run(protocol+tc.family+" "+tc.host, func(t *testing.T) {
				_, s := newPair(t, pipe.Config{})
				first, err := announce(s, protocol+tc.family, tc.host, "0")
				require.NoError(t, err)
				require.NotEqual(t, "0", first.port())
				_, err = announce(s, protocol+tc.family, tc.host, first.port())
				require.ErrorIs(t, err, syscall.EADDRINUSE)
				requireOp(t, err, "listen")
				require.NoError(t, first.Close())
				second, err := announce(s, protocol+tc.family, tc.host, first.port())
				require.NoError(t, err, "it is free at once")
				require.NoError(t, second.Close())
			})
		}
	}
}

// Two listen on one port if no address is that of both.
func TestTwoListenOnOnePort(t *testing.T) {
	for _, protocol := range []string{"tcp", "udp"} {
		for _, tc := range []struct {
			family1, host1 string
			family2, host2 string
			ok             bool
		}{
			{"", "", "", "", false},
			{"", "", "", "0.0.0.0", false},
			{"", "0.0.0.0", "", "", false},
			{"", "", "", "::", false},
			{"", "::", "", "", false},
			{"", "0.0.0.0", "", "::", false},
			{"", "::", "", "0.0.0.0", false},
			{"", "::ffff:0.0.0.0", "", "::", false},
			{"", "::", "", "::ffff:0.0.0.0", false},
			{"", "", "4", "", false},
			{"", "", "6", "", false},
			{"4", "", "", "", false},
			{"6", "", "", "", false},
			{"4", "", "6", "", true},
			{"6", "", "4", "", true},
			{"4", "0.0.0.0", "6", "::", true},
			{"6", "::", "4", "0.0.0.0", true},
			{"", "127.0.0.1", "", "::1", true},
			{"", "::1", "", "127.0.0.1", true},
			{"4", "127.0.0.1", "6", "::1", true},
			{"6", "::1", "4", "127.0.0.1", true},
			{"", "127.0.0.1", "", "127.0.0.2", true},
		} {
			t.Run(fmt.Sprintf("%s%s %s, %s%s %s", protocol, tc.family1, tc.host1, protocol, tc.family2, tc.host2), func(t *testing.T) {
				s := newStack(t, smolnet.Config{})
				first, err := announce(s, protocol+tc.family1, tc.host1, "0")
				require.NoError(t, err)
				defer first.Close()
				second, err := announce(s, protocol+tc.family2, tc.host2, first.port())
				if !tc.ok {
					require.ErrorIs(t, err, syscall.EADDRINUSE)
					return
				}
				require.NoError(t, err)
				require.Equal(t, first.port(), second.port())
				require.NoError(t, second.Close())
			})
		}
	}
}

func TestListenOnNothingInParticular(t *testing.T) {
	s := newStack(t, smolnet.Config{})
	for _, tc := range []struct {
		name   string
		listen func() (net.Addr, io.Closer, error)
		want   string
	}{
		{"Listen tcp", func() (net.Addr, io.Closer, error) { l, err := s.Listen("tcp", ""); return l.Addr(), l, err }, "::"},
		{"Listen tcp4", func() (net.Addr, io.Closer, error) { l, err := s.Listen("tcp4", ""); return l.Addr(), l, err }, "0.0.0.0"},
		{"ListenPacket", func() (net.Addr, io.Closer, error) { c, err := s.ListenPacket("udp", ""); return c.LocalAddr(), c, err }, "::"},
		{"ListenTCP", func() (net.Addr, io.Closer, error) { l, err := s.ListenTCP("tcp", nil); return l.Addr(), l, err }, "::"},
		{"ListenTCP of IPv4", func() (net.Addr, io.Closer, error) { l, err := s.ListenTCP("tcp4", nil); return l.Addr(), l, err }, "0.0.0.0"},
		{"ListenTCP without IP", func() (net.Addr, io.Closer, error) {
			l, err := s.ListenTCP("tcp4", &net.TCPAddr{})
			return l.Addr(), l, err
		}, "0.0.0.0"},
		{"ListenTCP on one", func() (net.Addr, io.Closer, error) {
			l, err := s.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
			return l.Addr(), l, err
		}, "127.0.0.1"},
		{"ListenUDP", func() (net.Addr, io.Closer, error) { c, err := s.ListenUDP("udp", nil); return c.LocalAddr(), c, err }, "::"},
		{"ListenUDP of IPv4", func() (net.Addr, io.Closer, error) {
			c, err := s.ListenUDP("udp4", &net.UDPAddr{})
			return c.LocalAddr(), c, err
		}, "0.0.0.0"},
		{"ListenUDP on one", func() (net.Addr, io.Closer, error) {
			c, err := s.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			return c.LocalAddr(), c, err
		}, "127.0.0.1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr, closer, err := tc.listen()
			require.NoError(t, err)
			local := netip.MustParseAddrPort(addr.String())
			require.Equal(t, tc.want, local.Addr().String())
			require.NotZero(t, local.Port())
			require.NoError(t, closer.Close())
		})
	}
}

// The texts are those of package net on Linux.
func TestAddressesOfAnotherFamilyThanTheNetworks(t *testing.T) {
	s := newStack(t, smolnet.Config{})
	port := listen(t, s, "tcp", ":80").Addr().(*net.TCPAddr).Port
	bind(t, s, "udp", ":80")
	addr := func(text string, port int) netip.AddrPort {
		if text == "" {
			return netip.AddrPortFrom(netip.Addr{}, uint16(port))
		}
		return netip.AddrPortFrom(netip.MustParseAddr(text), uint16(port))
	}
	for _, tc := range []struct {
		family, local, remote string
		want                  string // whom it leads to, or the error
	}{
		{"4", "", "::1", "address ::1: non-IPv4 address"},
		{"4", "::1", "127.0.0.1", "address ::1: non-IPv4 address"},
		{"4", "::", "127.0.0.1", "address ::: non-IPv4 address"},
		{"4", "", "::", "address ::: non-IPv4 address"},
		{"4", "", "::ffff:127.0.0.1", "127.0.0.1"},
		{"6", "", "127.0.0.1", "connect: network is unreachable"},
		{"6", "127.0.0.1", "::1", "bind: invalid argument"},
		{"6", "0.0.0.0", "::1", "::1"},
		{"6", "", "0.0.0.0", "::1"},
		{"6", "", "", "::1"},
		{"", "", "", "127.0.0.1"},
		{"", "127.0.0.1", "::1", "connect: address family not supported by protocol"},
		{"", "::1", "127.0.0.1", "connect: network is unreachable"},
		{"", "0.0.0.0", "::1", "::1"},
		{"", "::", "127.0.0.1", "127.0.0.1"},
		{"", "::1", "", "::1"},
		{"", "127.0.0.1", "", "127.0.0.1"},
		{"", "127.0.0.1", "::", "127.0.0.1"},
		{"", "::1", "0.0.0.0", "::1"},
	} {
		t.Run(fmt.Sprintf("dial %s from %s to %s", tc.family, tc.local, tc.remote), func(t *testing.T) {
			d := dialer.Dialer{Stack: s}
			for protocol, dial := range map[string]func(context.Context, string, netip.AddrPort, netip.AddrPort) (net.Conn, error){
				"tcp": d.DialTCP, "udp": d.DialUDP,
			} {
				c, err := dial(t.Context(), protocol+tc.family, addr(tc.local, 0), addr(tc.remote, port))
				if strings.Contains(tc.want, " ") {
					requireOp(t, err, "dial")
					require.EqualError(t, err.(*net.OpError).Err, tc.want)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, tc.want, netip.MustParseAddrPort(c.RemoteAddr().String()).Addr().String())
				require.NoError(t, c.Close())
			}
		})
	}
	for _, tc := range []struct{ family, local, want string }{
		{"4", "::", "address ::: non-IPv4 address"},
		{"4", "::1", "address ::1: non-IPv4 address"},
		{"6", "127.0.0.1", "bind: invalid argument"},
		{"6", "0.0.0.0", ""},
	} {
		t.Run("listen "+tc.family+" "+tc.local, func(t *testing.T) {
			l, err := s.ListenTCP("tcp"+tc.family, net.TCPAddrFromAddrPort(addr(tc.local, 0)))
			c, err2 := s.ListenUDP("udp"+tc.family, net.UDPAddrFromAddrPort(addr(tc.local, 0)))
			if tc.want == "" {
				require.NoError(t, err)
				require.Equal(t, "::", l.Addr().(*net.TCPAddr).IP.String())
				require.NoError(t, err2)
				require.Equal(t, "::", c.LocalAddr().(*net.UDPAddr).IP.String())
				return
			}
			for _, err := range []error{err, err2} {
				requireOp(t, err, "listen")
				require.EqualError(t, err.(*net.OpError).Err, tc.want)
			}
		})
	}
}

// What LocalAddr allows, as package net's own table has it.
func TestDialerLocalAddr(t *testing.T) {
	s := newStack(t, smolnet.Config{})
	listen(t, s, "tcp", ":80")
	tcpAddr := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip)} }
	for _, tc := range []struct {
		network, remote string
		local           net.Addr
		want            string // the error inside; empty: none
	}{
		{"tcp4", "127.0.0.1:80", nil, ""},
		{"tcp4", "127.0.0.1:80", &net.TCPAddr{}, ""},
		{"tcp4", "127.0.0.1:80", tcpAddr("0.0.0.0"), ""},
		{"tcp4", "127.0.0.1:80", &net.TCPAddr{IP: net.IPv4zero.To4()}, ""},
		{"tcp4", "127.0.0.1:80", tcpAddr("::"), "address ::: non-IPv4 address"},
		{"tcp4", "127.0.0.1:80", tcpAddr("127.0.0.1"), ""},
		{"tcp4", "127.0.0.1:80", tcpAddr("::1"), "address [::1]:0: no suitable address found"},
		{"tcp4", "127.0.0.1:80", &net.UDPAddr{}, "address :0: mismatched local address type"},
		{"tcp4", "127.0.0.1:80", &net.UnixAddr{Name: "x"}, "address x: mismatched local address type"},
		{"tcp6", "[::1]:80", nil, ""},
		{"tcp6", "[::1]:80", &net.TCPAddr{}, ""},
		{"tcp6", "[::1]:80", tcpAddr("0.0.0.0"), ""},
		{"tcp6", "[::1]:80", tcpAddr("::"), ""},
		{"tcp6", "[::1]:80", tcpAddr("127.0.0.1"), "address 127.0.0.1:0: no suitable address found"},
		{"tcp6", "[::1]:80", tcpAddr("::1"), ""},
		{"tcp6", "[::1]:80", &net.UDPAddr{}, "address :0: mismatched local address type"},
		{"tcp", "127.0.0.1:80", tcpAddr("::"), ""},
		{"tcp", "127.0.0.1:80", tcpAddr("127.0.0.1"), ""},
		{"tcp", "127.0.0.1:80", tcpAddr("::1"), "address [::1]:0: no suitable address found"},
		{"tcp", "[::1]:80", tcpAddr("0.0.0.0"), ""},
		{"tcp", "[::1]:80", tcpAddr("127.0.0.1"), "address 127.0.0.1:0: no suitable address found"},
		{"tcp", "[::1]:80", tcpAddr("::1"), ""},
		{"tcp", "[::]:80", tcpAddr("127.0.0.1"), ""},
		{"tcp", "0.0.0.0:80", tcpAddr("::1"), ""},
		{"tcp", ":80", tcpAddr("::1"), ""},
	} {
		t.Run(fmt.Sprintf("%s %s from %v", tc.network, tc.remote, tc.local), func(t *testing.T) {
			c, err := (&dialer.Dialer{Stack: s, LocalAddr: tc.local}).Dial(tc.network, tc.remote)
			if tc.want != "" {
				requireOp(t, err, "dial")
				require.EqualError(t, err.(*net.OpError).Err, tc.want)
				return
			}
			require.NoError(t, err)
			if local, ok := tc.local.(*net.TCPAddr); ok && len(local.IP) > 0 && !local.IP.IsUnspecified() {
				require.True(t, local.IP.Equal(c.LocalAddr().(*net.TCPAddr).IP))
			}
			require.NoError(t, c.Close())
		})
	}
}

// Whatever a listener says that its address is can be dialled.
func TestDialWhereAListenerSaysItIs(t *testing.T) {
	for _, network := range []string{"tcp", "tcp4", "tcp6"} {
		s := newStack(t, smolnet.Config{})
		l := listen(t, s, network, ":0")
		_, port, err := net.SplitHostPort(l.Addr().String())
		require.NoError(t, err)
		for _, address := range []string{l.Addr().String(), "[::]:" + port, ":" + port} {
			for _, by := range []string{network, "tcp"} {
				if network == "tcp6" && by == "tcp" && address == ":"+port {
					continue // that is IPv4's loopback
				}
				c, err := s.Dial(by, address)
				require.NoError(t, err, "%s %s", by, address)
				require.NoError(t, c.Close())
			}
		}
	}
}

// Where nobody listens a stack must not find itself, as it would if it chose the port that it dials.
func TestNobodyConnectsToItselfByChance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStack(t, smolnet.Config{TCP: tcp.Config{FirstPort: 30000, LastPort: 30001}})
		for range 100 {
			_, err := s.Dial("tcp", "127.0.0.1:30000")
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
		}
		c, err := (&dialer.Dialer{Stack: s, LocalAddr: &net.TCPAddr{Port: 30000}}).Dial("tcp", "127.0.0.1:30000")
		require.NoError(t, err, "who asks for it gets it, as RFC 9293 has it")
		require.Equal(t, c.LocalAddr(), c.RemoteAddr())
		_, err = c.Write([]byte("x"))
		require.NoError(t, err)
		_, err = c.Read(make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, c.Close())
	})
}

// As many as package net's listeners on Linux have wait to be accepted. Who comes then has to try again until somebody is.
func TestDefaultBacklog(t *testing.T) {
	const backlog = 4096
	synctest.Test(t, func(t *testing.T) {
		s := newStack(t, smolnet.Config{TCP: tcp.Config{SYNCookies: tcp.CookiesNever}})
		l := listen(t, s, "tcp", "127.0.0.1:0")
		for range backlog {
			c, err := s.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			defer c.Close()
		}
		_, err := s.DialTimeout("tcp", l.Addr().String(), time.Minute)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotZero(t, s.Counters().TCP.AcceptQueueFull)
		time.AfterFunc(10*time.Second, func() {
			a, err := l.Accept()
			if err == nil {
				err = a.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
		start := time.Now()
		c, err := s.DialTimeout("tcp", l.Addr().String(), time.Minute)
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(start), 10*time.Second)
		require.NoError(t, c.Close())
	})
}

// Who has dialled is not accepted any more once the listener is closed.
func TestClosedListenerAcceptsNobody(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		dialing, listening := p.stacks(t)
		l := listen(t, listening, p.network, p.address)
		for range 2 {
			c, err := dialing.Dial(p.network, l.Addr().String())
			require.NoError(t, err)
			defer c.Close()
		}
		a, err := l.Accept()
		require.NoError(t, err)
		require.NoError(t, a.Close())
		synctest.Wait()
		require.NoError(t, l.Close())
		_, err = l.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
	})
}
