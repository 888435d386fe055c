package smolnet_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// exchange returns an unconnected socket and a connected one in the place, the latter's peer being the former.
func (p place) exchange(t testing.TB) (server, client *smolnet.UDPConn) {
	t.Helper()
	dialing, listening := p.stacks(t)
	network := "udp" + strings.TrimPrefix(p.network, "tcp")
	server = bind(t, listening, network, p.address)
	c, err := dialing.Dial(network, server.LocalAddr().String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return server, c.(*smolnet.UDPConn)
}

func TestDatagrams(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		server, client := p.exchange(t)
		b := make([]byte, 2000)
		for _, size := range []int{0, 1, 7, 1400} {
			n, err := client.Write(make([]byte, size))
			require.NoError(t, err)
			require.Equal(t, size, n)
			n, from, err := server.ReadFrom(b)
			require.NoError(t, err)
			require.Equal(t, size, n, "one datagram, one read")
			require.Equal(t, client.LocalAddr().String(), from.String())

			n, err = server.WriteTo(b[:size], from)
			require.NoError(t, err)
			require.Equal(t, size, n)
			n, err = client.Read(b)
			require.NoError(t, err)
			require.Equal(t, size, n)
		}
		require.Nil(t, server.RemoteAddr())
		require.Equal(t, server.LocalAddr().String(), client.RemoteAddr().String())
	})
}

func TestDatagramsKeepTheirBoundsAndOrder(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		server, client := p.exchange(t)
		const n = 50
		for i := range n {
			_, err := fmt.Fprintf(client, "datagram %d", i)
			require.NoError(t, err)
		}
		b := make([]byte, 100)
		for i := range n {
			got, _, err := server.ReadFromUDP(b)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("datagram %d", i), string(b[:got]))
		}
	})
}

func TestEveryWayToReadAndWriteDatagrams(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		server, client := p.exchange(t)
		to := server.LocalAddr().(*net.UDPAddr)
		from := client.LocalAddr().(*net.UDPAddr)
		data := []byte("hello")
		for name, write := range map[string]func() (int, error){
			"Write":       func() (int, error) { return client.Write(data) },
			"WriteMsgUDP": func() (int, error) { n, _, err := client.WriteMsgUDP(data, nil, nil); return n, err },
			"WriteMsgUDPAddrPort": func() (int, error) {
				n, _, err := client.WriteMsgUDPAddrPort(data, nil, netip.AddrPort{})
				return n, err
			},
		} {
			for _, read := range []func(b []byte) (int, netip.AddrPort, error){
				server.ReadFromUDPAddrPort,
				func(b []byte) (int, netip.AddrPort, error) {
					n, addr, err := server.ReadFromUDP(b)
					return n, addr.AddrPort(), err
				},
				func(b []byte) (int, netip.AddrPort, error) {
					n, addr, err := server.ReadFrom(b)
					return n, addr.(*net.UDPAddr).AddrPort(), err
				},
				func(b []byte) (int, netip.AddrPort, error) {
					n, _, _, addr, err := server.ReadMsgUDP(b, nil)
					return n, addr.AddrPort(), err
				},
				func(b []byte) (int, netip.AddrPort, error) {
					n, _, _, addr, err := server.ReadMsgUDPAddrPort(b, nil)
					return n, addr, err
				},
			} {
				n, err := write()
				require.NoError(t, err, name)
				require.Equal(t, len(data), n)
				b := make([]byte, 10)
				n, addr, err := read(b)
				require.NoError(t, err)
				require.Equal(t, "hello", string(b[:n]))
				require.Equal(t, from.AddrPort(), addr)
			}
		}
		for name, write := range map[string]func() (int, error){
			"WriteTo":            func() (int, error) { return server.WriteTo(data, from) },
			"WriteToUDP":         func() (int, error) { return server.WriteToUDP(data, from) },
			"WriteToUDPAddrPort": func() (int, error) { return server.WriteToUDPAddrPort(data, from.AddrPort()) },
			"WriteMsgUDP":        func() (int, error) { n, _, err := server.WriteMsgUDP(data, nil, from); return n, err },
			"WriteMsgUDPAddrPort": func() (int, error) {
				n, _, err := server.WriteMsgUDPAddrPort(data, nil, from.AddrPort())
				return n, err
			},
		} {
			n, err := write()
			require.NoError(t, err, name)
			require.Equal(t, len(data), n)
			b := make([]byte, 10)
			n, addr, err := client.ReadFromUDPAddrPort(b)
			require.NoError(t, err)
			require.Equal(t, "hello", string(b[:n]))
			require.Equal(t, to.AddrPort(), addr)
		}
	})
}

func TestShortReadTruncates(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		server, client := p.exchange(t)
		for range 3 {
			_, err := client.Write([]byte("hello"))
			require.NoError(t, err)
		}
		b := make([]byte, 2)
		n, _, err := server.ReadFrom(b)
		require.NoError(t, err)
		require.Equal(t, "he", string(b[:n]))
		n, _, flags, _, err := server.ReadMsgUDP(b, nil)
		require.NoError(t, err)
		require.Equal(t, "he", string(b[:n]))
		require.NotZero(t, flags)
		n, _, err = server.ReadFrom(nil)
		require.NoError(t, err, "the whole of a datagram is lost")
		require.Zero(t, n)
		_, err = client.Write([]byte("x"))
		require.NoError(t, err)
		n, _, flags, _, err = server.ReadMsgUDP(b, nil)
		require.NoError(t, err)
		require.Equal(t, "x", string(b[:n]))
		require.Zero(t, flags)
	})
}

func TestDatagramErrors(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		server, client := p.exchange(t)
		data := []byte("x")
		to := server.LocalAddr().(*net.UDPAddr)

		_, err := client.WriteTo(data, to)
		require.ErrorIs(t, err, net.ErrWriteToConnected)
		requireOp(t, err, "write")
		_, err = client.WriteToUDPAddrPort(data, to.AddrPort())
		require.ErrorIs(t, err, net.ErrWriteToConnected)
		_, _, err = client.WriteMsgUDP(data, nil, to)
		require.ErrorIs(t, err, net.ErrWriteToConnected)

		_, err = server.Write(data)
		require.ErrorIs(t, err, syscall.EDESTADDRREQ)
		requireOp(t, err, "write")
		_, err = server.WriteTo(data, &net.TCPAddr{})
		require.ErrorIs(t, err, syscall.EINVAL, "a foreign address")
		requireOp(t, err, "write")
		_, err = server.WriteTo(data, nil)
		require.ErrorIs(t, err, syscall.EINVAL)
		_, err = server.WriteToUDP(data, nil)
		require.ErrorContains(t, err, "missing address")
		requireOp(t, err, "write")
		_, err = server.WriteToUDPAddrPort(data, netip.AddrPort{})
		require.ErrorContains(t, err, "missing address")
		_, _, err = server.WriteMsgUDP(data, nil, nil)
		require.ErrorContains(t, err, "missing address")
		_, _, err = server.WriteMsgUDP(data, make([]byte, 16), to) // a message that has no room for its own length
		require.ErrorIs(t, err, syscall.EINVAL)

		longest := 65535 - 20 - 8
		if to.IP.To4() == nil {
			longest = 65535 - 8 // IPv6's length does not count its header
		}
		for _, size := range []int{longest + 1, 65536, 1 << 20} {
			_, err = client.Write(make([]byte, size))
			require.ErrorIs(t, err, syscall.EMSGSIZE, "%d octets", size)
			requireOp(t, err, "write")
		}
	})
}

func TestClosedSocket(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		server, client := p.exchange(t)
		var calls sync.WaitGroup
		for range 3 {
			calls.Go(func() {
				n, addr, err := server.ReadFrom(make([]byte, 1))
				require.Zero(t, n)
				require.True(t, addr == nil, "no interface around a nil pointer")
				requireOp(t, err, "read")
				require.ErrorIs(t, err, net.ErrClosed)
			})
		}
		synctest.Wait()
		require.NoError(t, server.Close())
		calls.Wait()

		b := make([]byte, 1)
		for _, tc := range []struct {
			op   string
			call func() error
		}{
			{"read", func() error { _, err := server.Read(b); return err }},
			{"write", func() error { _, err := server.WriteTo(b, client.LocalAddr()); return err }},
			{"close", server.Close},
			{"set", func() error { return server.SetDeadline(time.Now()) }},
			{"set", func() error { return server.SetReadBuffer(1 << 10) }},
			{"set", func() error { return server.SetWriteBuffer(1 << 10) }},
		} {
			err := tc.call()
			require.ErrorIs(t, err, net.ErrClosed)
			requireOp(t, err, tc.op)
		}
	})
}

func TestDatagramDeadlines(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		server, client := p.exchange(t)
		_, err := client.Write([]byte("x"))
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, server.SetReadDeadline(time.Now()))
		_, _, err = server.ReadFrom(make([]byte, 1))
		wantDeadline(t, err)
		start := time.Now()
		require.NoError(t, server.SetReadDeadline(start.Add(time.Second)))
		_, _, err = server.ReadFrom(make([]byte, 1))
		require.NoError(t, err)
		_, _, err = server.ReadFrom(make([]byte, 1))
		wantDeadline(t, err)
		require.Equal(t, time.Second, time.Since(start))

		require.NoError(t, client.SetWriteDeadline(time.Now().Add(-5*time.Second)))
		n, err := client.Write([]byte("x"))
		require.Zero(t, n)
		wantDeadline(t, err)
	})
}

func TestRefusedDatagrams(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		server, client := p.exchange(t)
		require.NoError(t, server.Close())
		_, err := client.Write([]byte("x"))
		require.NoError(t, err, "nobody knows yet")
		_, err = client.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		requireOp(t, err, "read")

		_, err = client.Write([]byte("x"))
		require.NoError(t, err, "it is told once for each refusal")
		synctest.Wait()
		_, err = client.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		requireOp(t, err, "write")
	})
}

func TestRefusalDoesNotDisturbUnconnectedSockets(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		server, client := p.exchange(t)
		nobody := *client.LocalAddr().(*net.UDPAddr)
		nobody.Port = 9
		_, err := server.WriteTo([]byte("x"), &nobody)
		require.NoError(t, err)
		synctest.Wait()
		_, err = client.Write([]byte("y"))
		require.NoError(t, err)
		_, _, err = server.ReadFrom(make([]byte, 1))
		require.NoError(t, err)
		_, err = server.WriteTo([]byte("x"), client.LocalAddr())
		require.NoError(t, err)
	})
}

func TestSocketForBothFamilies(t *testing.T) {
	first, second := newPair(t, pipe.Config{})
	server := bind(t, second, "udp", ":0")
	local := server.LocalAddr().(*net.UDPAddr)
	require.Equal(t, "::", local.IP.String())
	for _, host := range []string{"192.168.69.100", "[fdaa::100]"} {
		c, err := first.Dial("udp", fmt.Sprintf("%s:%d", host, local.Port))
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Write([]byte("x"))
		require.NoError(t, err)
		b := make([]byte, 1)
		_, from, err := server.ReadFromUDPAddrPort(b)
		require.NoError(t, err)
		require.False(t, from.Addr().Is4(), "in IPv4-mapped form, as package net has it")
		require.Equal(t, c.LocalAddr().String(), netip.AddrPortFrom(from.Addr().Unmap(), from.Port()).String())
		for _, to := range []netip.AddrPort{from, netip.AddrPortFrom(from.Addr().Unmap(), from.Port())} {
			_, err = server.WriteToUDPAddrPort([]byte("y"), to)
			require.NoError(t, err)
			_, err = io.ReadFull(c, b)
			require.NoError(t, err)
		}
	}
}

func TestSocketForOneFamily(t *testing.T) {
	s := newStack(t, smolnet.Config{})
	c := bind(t, s, "udp4", ":0")
	require.Equal(t, "0.0.0.0", c.LocalAddr().(*net.UDPAddr).IP.String())
	_, err := c.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv6loopback, Port: 7})
	require.ErrorContains(t, err, "non-IPv4 address")
	c = bind(t, s, "udp6", ":0")
	require.Equal(t, "::", c.LocalAddr().(*net.UDPAddr).IP.String())
	_, err = c.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7})
	require.Error(t, err)
	requireOp(t, err, "write")
}

func TestBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPair(t, pipe.Config{})
		server := bind(t, second, "udp4", ":7")
		client := bind(t, first, "udp4", ":0")
		for _, to := range []string{"192.168.69.255:7", "255.255.255.255:7"} {
			_, err := client.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(to))
			require.NoError(t, err, to)
			_, from, err := server.ReadFromUDPAddrPort(make([]byte, 1))
			require.NoError(t, err)
			require.Equal(t, "192.168.69.1", from.Addr().String())
		}
	})
}

func TestWritersWaitForRoom(t *testing.T) {
	// Nothing is lost inside the program: a link that is slow holds its writers up.
	synctest.Test(t, func(t *testing.T) {
		first, second := newPair(t, pipe.Config{Medium: dev.IP, Queue: 4, Delay: 10 * time.Millisecond})
		server := bind(t, second, "udp", "192.168.69.100:0")
		require.NoError(t, server.SetReadBuffer(16<<20))
		c, err := first.Dial("udp", server.LocalAddr().String())
		require.NoError(t, err)
		defer c.Close()
		const n = 2000
		go func() {
			for range n {
				if _, err := c.Write(make([]byte, 1000)); err != nil {
					t.Error(err)
				}
			}
		}()
		b := make([]byte, 1000)
		for range n {
			_, _, err := server.ReadFrom(b)
			require.NoError(t, err)
		}
	})
}

func TestLargestDatagram(t *testing.T) {
	s := newStack(t, smolnet.Config{})
	server := bind(t, s, "udp", "127.0.0.1:0")
	c, err := s.Dial("udp", server.LocalAddr().String())
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Write(make([]byte, 65507))
	require.NoError(t, err)
	n, _, err := server.ReadFrom(make([]byte, 1<<17))
	require.NoError(t, err)
	require.Equal(t, 65507, n)
}
