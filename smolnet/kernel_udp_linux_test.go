package smolnet_test

import (
	"bytes"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// datagrams of all sizes are echoed, one by one.
func datagrams(t *testing.T, w way) {
	client, server := w.udp(t)
	headers := 20 + 8
	if w.to.Is6() {
		headers = 40 + 8
	}
	largest := w.link.MTU() - headers
	for _, size := range []int{1, 2, 3, 511, 512, 1200, largest - 1, largest} {
		said := noise(size, size)
		n, err := client.Write(said)
		require.NoError(t, err)
		require.Equal(t, size, n)

		heard := make([]byte, largest+1)
		n, from, err := server.ReadFrom(heard)
		require.NoError(t, err)
		require.True(t, bytes.Equal(said, heard[:n]), "%d octets said, %d heard", size, n)
		require.Equal(t, client.LocalAddr().String(), from.String())
		n, err = server.WriteTo(heard[:n], from)
		require.NoError(t, err)
		require.Equal(t, size, n)

		clear(heard)
		n, err = client.Read(heard)
		require.NoError(t, err)
		require.True(t, bytes.Equal(said, heard[:n]), "%d octets said, %d echoed", size, n)
	}
}

// datagramsRefused: where nobody listens, a socket that is connected is told, and works again once somebody does.
func datagramsRefused(t *testing.T, w way) {
	client, server := w.udp(t)
	port := server.LocalAddr().(*net.UDPAddr).Port
	require.NoError(t, server.Close())
	_, err := client.Write([]byte("anybody there?"))
	require.NoError(t, err)
	b := make([]byte, 32)
	_, err = client.Read(b)
	failure := requireSystemError(t, err, "read", "read", syscall.ECONNREFUSED)
	require.Equal(t, client.RemoteAddr(), failure.Addr)
	require.Equal(t, client.LocalAddr(), failure.Source)

	server, err = w.server.listenPacket("udp", w.port(port))
	require.NoError(t, err)
	defer server.Close()
	require.NoError(t, server.SetDeadline(time.Now().Add(patience)))
	_, err = client.Write([]byte("now?"))
	require.NoError(t, err)
	n, from, err := server.ReadFrom(b)
	require.NoError(t, err)
	require.Equal(t, "now?", string(b[:n]))
	_, err = server.WriteTo([]byte("yes"), from)
	require.NoError(t, err)
	n, err = client.Read(b)
	require.NoError(t, err)
	require.Equal(t, "yes", string(b[:n]))
}

// One asks everybody, those who hear it answer the one.
func TestKernelBroadcast(t *testing.T) {
	withKernel(t, overTap, func(t *testing.T, c *cable) {
		for _, w := range c.ways() {
			if w.to.Is6() {
				continue // has no broadcast
			}
			for name, everybody := range map[string]netip.Addr{
				"of the subnet":    netip.MustParseAddr("192.168.69.255"),
				"of whatever link": netip.MustParseAddr("255.255.255.255"),
			} {
				t.Run(w.String()+" at the broadcast address "+name, func(t *testing.T) {
					server, err := w.server.listenPacket("udp4", ":0")
					require.NoError(t, err)
					defer server.Close()
					client, err := w.client.listenPacket("udp4", net.JoinHostPort(w.from.String(), "0"))
					require.NoError(t, err)
					defer client.Close()
					require.NoError(t, server.SetDeadline(time.Now().Add(patience)))
					require.NoError(t, client.SetDeadline(time.Now().Add(patience)))

					port := server.LocalAddr().(*net.UDPAddr).Port
					_, err = client.WriteTo([]byte("who is there?"),
						net.UDPAddrFromAddrPort(netip.AddrPortFrom(everybody, uint16(port))))
					require.NoError(t, err)
					b := make([]byte, 32)
					n, from, err := server.ReadFrom(b)
					require.NoError(t, err)
					require.Equal(t, "who is there?", string(b[:n]))
					require.Equal(t, client.LocalAddr().String(), from.String())

					_, err = server.WriteTo([]byte("me"), from)
					require.NoError(t, err)
					n, from, err = client.ReadFrom(b)
					require.NoError(t, err)
					require.Equal(t, "me", string(b[:n]))
					require.Equal(t, w.port(port), from.String(), "the answer comes from one address")
				})
			}
		}
	})
}

// Nobody is refused by broadcast.
func TestKernelDatagramsThatAreNotDelivered(t *testing.T) {
	withKernel(t, overTap, func(t *testing.T, c *cable) {
		// To where nobody listens by broadcast, then by unicast: what is answered is the second.
		w := c.ways()[0]
		_, server := w.udp(t)
		port := uint16(server.LocalAddr().(*net.UDPAddr).Port)
		require.NoError(t, server.Close())
		client, err := w.client.listenPacket("udp4", net.JoinHostPort(w.from.String(), "0"))
		require.NoError(t, err)
		defer client.Close()
		_, err = client.WriteTo([]byte("everybody"), &net.UDPAddr{IP: net.IPv4(192, 168, 69, 255), Port: int(port)})
		require.NoError(t, err)
		_, err = client.WriteTo([]byte("you"), &net.UDPAddr{IP: w.to.AsSlice(), Port: int(port)})
		require.NoError(t, err)
		until(t, func() bool { return c.stack.stack.Counters().UDP.NoPorts == 2 }, "both have arrived")
		require.EqualValues(t, 1, c.stack.stack.Counters().ICMPv4.OutType[3], "one was unreachable")
	})
}
