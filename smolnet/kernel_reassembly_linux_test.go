package smolnet_test

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/ipv4"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/reassembly"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// fragments are the counters of the version of IP that the way is by.
func (w way) fragments() core.IPCounters {
	counters := w.stack.stack.Counters()
	if w.to.Is4() {
		return counters.IPv4
	}
	return counters.IPv6
}

// The kernel fragments what is longer than the link's MTU.
func TestKernelSendsFragments(t *testing.T) {
	for _, s := range []setup{overTap, overTapWithoutOffloads, overTapOfJumboFrames, overTun} {
		t.Run(s.name, func(t *testing.T) {
			withKernel(t, s.recorded(), func(t *testing.T, c *cable) {
				for _, w := range c.ways() {
					if w.client != c.kernel {
						continue
					}
					t.Run(w.String(), func(t *testing.T) {
						client, server := w.udp(t)
						heard := make([]byte, 1<<16)
						headers, reassembled := 28, 0
						if w.to.Is6() {
							headers = 48
						}
						longest := 65535 - headers
						for _, size := range []int{1400, 1473, 2000, 2961, 8972, 8973, 16000, 40000, 65000, longest} {
							said := noise(size, size)
							_, err := client.Write(said)
							require.NoError(t, err)
							n, from, err := server.ReadFrom(heard)
							require.NoError(t, err, "%d octets", size)
							require.True(t, bytes.Equal(said, heard[:n]), "%d octets said, %d heard", size, n)
							require.Equal(t, client.LocalAddr().String(), from.String())
							if size+headers > c.link.MTU() {
								reassembled++
							}
						}
						counters := w.fragments()
						require.EqualValues(t, reassembled, counters.ReasmOKs)
						require.Greater(t, counters.ReasmReqds, 65000/uint64(c.link.MTU()))
						require.Zero(t, counters.ReasmFails)
					})
				}
			})
		})
	}
}

// Of many datagrams that come at once, none is taken for another.
func TestKernelSendsFragmentsOfManyDatagrams(t *testing.T) {
	withKernel(t, overTap.recorded(), func(t *testing.T, c *cable) {
		for _, w := range c.ways() {
			if w.client != c.kernel {
				continue
			}
			const clients, datagrams, size = 8, 20, 5000
			server, err := w.server.listenPacket("udp", w.port(0))
			require.NoError(t, err)
			defer server.Close()
			require.NoError(t, server.SetDeadline(time.Now().Add(patience)))
			// Each waits until it was heard, so that all are heard at once but no queue overflows.
			for i := range clients {
				client, err := w.dial("udp", server.LocalAddr().String())
				require.NoError(t, err)
				defer client.Close()
				go func() {
					reply := make([]byte, 1)
					for j := range datagrams {
						_, _ = client.Write(noise(i*datagrams+j, size))
						_, _ = client.Read(reply)
					}
				}()
			}
			b := make([]byte, 1<<16)
			heard := make(map[string]bool)
			for range clients * datagrams {
				n, from, err := server.ReadFrom(b)
				require.NoError(t, err)
				heard[string(b[:n])] = true
				_, err = server.WriteTo([]byte("."), from)
				require.NoError(t, err)
			}
			for i := range clients * datagrams {
				require.True(t, heard[string(noise(i, size))], "datagram %d", i)
			}
			require.EqualValues(t, clients*datagrams, w.fragments().ReasmOKs)
		}
	})
}

// What everybody tries next: a ping as long as can be, either way.
func TestKernelLongPings(t *testing.T) {
	withKernel(t, overTap.recorded(), func(t *testing.T, c *cable) {
		const size = 65000
		for _, f := range c.families() {
			ping(t, f.kernel, f.stack, noise(7, size))

			conn, err := c.stack.stack.ListenPing(f.network, nil)
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
			said := noise(8, size)
			request := append(echoRequest(f.network, 1)[:8], said...)
			_, err = conn.WriteTo(request, ipAddr(f.kernel.String()))
			require.NoError(t, err)
			heard := make([]byte, 1<<16)
			n, from, err := conn.ReadFrom(heard)
			require.NoError(t, err)
			require.Equal(t, f.kernel.String(), from.String())
			ident, seq, data := echoReply(t, f.network, heard[:n])
			require.Equal(t, []uint16{conn.Ident(), 1}, []uint16{ident, seq})
			require.True(t, bytes.Equal(said, data), "%d octets said, %d heard", size, len(data))
		}
		counters := c.stack.stack.Counters()
		// Each was asked once and answered once.
		require.EqualValues(t, 2, counters.IPv4.ReasmOKs)
		require.EqualValues(t, 2, counters.IPv4.OutFragOKs)
		require.EqualValues(t, 2, counters.IPv6.ReasmOKs)
		require.EqualValues(t, 2, counters.IPv6.OutFragOKs)
	})
}

// The kernel is told when the rest of a packet does not come.
func TestKernelIsToldOfMissingFragments(t *testing.T) {
	t.Parallel()
	if !netns.Test(t) {
		return
	}
	device := overTap.recorded().open(t)
	c := attach(t, device, newKernel(t), smolnet.Config{
		Reassembly: reassembly.Config{Timeout4: time.Millisecond, Timeout6: time.Millisecond},
	})
	part := noise(1, 64)

	t.Run("IPv4", func(t *testing.T) {
		socket, err := net.ListenPacket("ip4:udp", c.kernel.ipv4.String())
		require.NoError(t, err)
		defer socket.Close()
		raw, err := ipv4.NewRawConn(socket)
		require.NoError(t, err)
		header := ipv4.Header{
			Version: 4, Len: ipv4.HeaderLen, TotalLen: ipv4.HeaderLen + len(part), ID: 7, Flags: ipv4.MoreFragments,
			TTL: 64, Protocol: 17, Dst: c.stack.ipv4.AsSlice(),
		}
		message := afterwards(t, "ip4:icmp", c.kernel.ipv4, wire.ICMPv4TimeExceeded, func() {
			require.NoError(t, raw.WriteTo(&header, part, nil))
		})
		require.EqualValues(t, wire.ICMPv4ReassemblyTimeExceeded, message[1])
		quoted, err := wire.ParseIPv4(wire.ICMPv4Packet(message).Payload())
		require.NoError(t, err)
		require.EqualValues(t, 7, quoted.ID())
		require.Equal(t, part, quoted.Payload())
	})
	t.Run("IPv6", func(t *testing.T) {
		socket, err := net.DialIP("ip6:44", &net.IPAddr{IP: c.kernel.ipv6.AsSlice()}, &net.IPAddr{IP: c.stack.ipv6.AsSlice()})
		require.NoError(t, err)
		defer socket.Close()
		header := wire.IPv6FragmentRepr{NextHeader: 17, More: true, ID: 7}
		b := make([]byte, header.Len())
		header.Emit(b)
		b = append(b, part...)
		message := afterwards(t, "ip6:ipv6-icmp", c.kernel.ipv6, wire.ICMPv6TimeExceeded, func() {
			_, err := socket.Write(b)
			require.NoError(t, err)
		})
		require.EqualValues(t, wire.ICMPv6ReassemblyTimedOut, message[1])
		require.Equal(t, b, wire.ICMPv6Packet(message).Body()[wire.IPv6HeaderLen:])
	})
}

// afterwards is the first ICMP message of a type that the kernel is sent after something was done.
func afterwards(t *testing.T, network string, to netip.Addr, kind uint8, do func()) []byte {
	t.Helper()
	socket, err := net.ListenIP(network, &net.IPAddr{IP: to.AsSlice()})
	require.NoError(t, err)
	defer socket.Close()
	require.NoError(t, socket.SetDeadline(time.Now().Add(patience)))
	do()
	b := make([]byte, 1500)
	for {
		n, _, err := socket.ReadFromIP(b)
		require.NoError(t, err)
		if n >= 8 && b[0] == kind {
			return b[:n]
		}
	}
}
