package smolnet_test

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestKernelHostUnreachable: whoever calls an address of the link that nobody has learns of it when nobody has answered
// the three requests, one a second, that ask for its owner. The kernel does not do it for the stack, nor the stack for
// the kernel, but both do it alike.
func TestKernelHostUnreachable(t *testing.T) {
	withKernel(t, overTap, func(t *testing.T, c *cable) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var calls []<-chan error
		var addresses []string
		for _, caller := range []*host{c.stack, c.kernel} {
			for _, nobody := range []string{"192.168.69.77:80", "[fdaa::77]:80"} {
				addresses = append(addresses, nobody)
				calls = append(calls, start(func() error {
					_, err := caller.dial(ctx, "tcp", nobody)
					return err
				}))
			}
		}
		// A datagram is lost, and a connected socket is told.
		var sockets []net.Conn
		for _, nobody := range []string{"192.168.69.78:80", "[fdaa::78]:80"} {
			socket, err := c.stack.dial(ctx, "udp", nobody)
			require.NoError(t, err)
			defer socket.Close()
			require.NoError(t, socket.SetDeadline(time.Now().Add(patience)))
			_, err = socket.Write([]byte("hello?"))
			require.NoError(t, err)
			sockets = append(sockets, socket)
		}
		for i, call := range calls {
			err := <-call
			failure := requireSystemError(t, err, "dial", "connect", syscall.EHOSTUNREACH)
			require.EqualError(t, err, "dial tcp "+addresses[i]+": connect: no route to host")
			require.False(t, failure.Timeout())
		}
		for _, socket := range sockets {
			_, err := socket.Read(make([]byte, 1))
			requireSystemError(t, err, "read", "read", syscall.EHOSTUNREACH)
		}
	})
}

// Whoever calls beyond the link without a route learns of it at once.
func TestKernelNetworkUnreachable(t *testing.T) {
	withKernel(t, overTap, func(t *testing.T, c *cable) {
		for _, caller := range []*host{c.stack, c.kernel} {
			for _, away := range []string{"10.1.2.3:80", "[fdbb::1]:80"} {
				_, err := caller.dial(t.Context(), "tcp", away)
				failure := requireSystemError(t, err, "dial", "connect", syscall.ENETUNREACH)
				require.Equal(t, away, failure.Addr.String())
				_, err = caller.dial(t.Context(), "udp", away)
				requireSystemError(t, err, "dial", "connect", syscall.ENETUNREACH)
			}
		}
	})
}

// TestKernelLinkLocal: link-local addresses mean something together with an interface only, whose name is their zone.
// Each side has its own name for it.
func TestKernelLinkLocal(t *testing.T) {
	withKernel(t, overTap, func(t *testing.T, c *cable) {
		for _, w := range []way{
			{c, c.kernel, c.stack, c.kernel.linkLocal, c.stack.linkLocal},
			{c, c.stack, c.kernel, c.stack.linkLocal, c.kernel.linkLocal},
		} {
			t.Run(w.client.name+" calls "+w.server.name, func(t *testing.T) {
				seenByServer := func(addr netip.Addr) netip.Addr { return addr.WithZone(w.server.zone) }
				seenByClient := func(addr netip.Addr) netip.Addr { return addr.WithZone(w.client.zone) }

				l, err := w.server.listen("tcp", net.JoinHostPort(seenByServer(w.to).String(), "0"))
				require.NoError(t, err)
				defer l.Close()
				local := l.Addr().(*net.TCPAddr).AddrPort()
				require.Equal(t, seenByServer(w.to), local.Addr())

				remote := netip.AddrPortFrom(seenByClient(w.to), local.Port())
				dialed, err := w.dial("tcp", remote.String())
				require.NoError(t, err)
				defer dialed.Close()
				accepted, err := l.Accept()
				require.NoError(t, err)
				defer accepted.Close()
				require.NoError(t, accepted.SetDeadline(time.Now().Add(patience)))
				require.Equal(t, remote.String(), dialed.RemoteAddr().String())
				port := dialed.LocalAddr().(*net.TCPAddr).AddrPort().Port()
				require.Equal(t, netip.AddrPortFrom(seenByClient(w.from), port).String(), dialed.LocalAddr().String())
				require.Equal(t, netip.AddrPortFrom(seenByServer(w.from), port).String(), accepted.RemoteAddr().String())
				require.Equal(t, local.String(), accepted.LocalAddr().String())
				_, err = dialed.Write([]byte("here I am"))
				require.NoError(t, err)
				read(t, accepted, []byte("here I am"))

				// An answer to whom a datagram came from finds its way by the zone.
				server, err := w.server.listenPacket("udp6", "[::]:0")
				require.NoError(t, err)
				defer server.Close()
				remote = netip.AddrPortFrom(remote.Addr(), uint16(server.LocalAddr().(*net.UDPAddr).Port))
				client, err := w.dial("udp", remote.String())
				require.NoError(t, err)
				defer client.Close()
				require.NoError(t, client.SetDeadline(time.Now().Add(patience)))
				require.NoError(t, server.SetDeadline(time.Now().Add(patience)))
				_, err = client.Write([]byte("and here"))
				require.NoError(t, err)
				b := make([]byte, 32)
				n, from, err := server.ReadFrom(b)
				require.NoError(t, err)
				require.Equal(t, w.server.zone, from.(*net.UDPAddr).Zone)
				_, err = server.WriteTo(b[:n], from)
				require.NoError(t, err)
				n, err = client.Read(b)
				require.NoError(t, err)
				require.Equal(t, "and here", string(b[:n]))

				// Without a zone nobody knows which link is meant.
				_, err = w.dial("tcp", net.JoinHostPort(w.to.String(), "80"))
				requireSystemError(t, err, "dial", "connect", syscall.EINVAL)
			})
		}
	})
}
