package smolnet_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/tun"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// The kernel puts together what the stack has cut, of any size.
func TestKernelTakesFragments(t *testing.T) {
	for _, s := range []setup{overTap, overTapWithoutOffloads, overTun} {
		t.Run(s.name, func(t *testing.T) {
			withKernel(t, s.recorded(), func(t *testing.T, c *cable) {
				for _, w := range c.ways() {
					if w.client != c.stack {
						continue
					}
					client, server := w.udp(t)
					heard := make([]byte, 1<<16)
					for _, size := range []int{1400, 1452, 1453, 1472, 1473, 2952, 2953, 8000, 30000, 65000, 65507} {
						said := noise(size, size)
						n, err := client.Write(said)
						require.NoError(t, err)
						require.Equal(t, size, n)
						n, from, err := server.ReadFrom(heard)
						require.NoError(t, err)
						require.True(t, bytes.Equal(said, heard[:n]), "%d octets said, %d heard", size, n)
						require.Equal(t, client.LocalAddr().String(), from.String())
						_, err = server.WriteTo([]byte("heard"), from)
						require.NoError(t, err)
						n, err = client.Read(heard)
						require.NoError(t, err)
						require.Equal(t, "heard", string(heard[:n]))
					}
				}
			})
		})
	}
}

// A far is a host behind the kernel, which is a router then, and a link that carries little: 1300 octets.
const (
	farInterface = "far0"
	farMTU       = 1300
)

var (
	far4, far6             = netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("fdbb::2")
	farRouter4, farRouter6 = netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("fdbb::1")
)

// withFar runs a test in a namespace in which there is a stack, the kernel as its router, and behind that a device of the far
// host's.
func withFar(t *testing.T, test func(t *testing.T, c *cable, far dev.Device)) {
	t.Helper()
	t.Parallel()
	if !netns.Test(t) {
		return
	}
	device := overTap.recorded().open(t)
	far, err := tun.Open(tun.Config{Name: farInterface, NoOffload: true})
	require.NoError(t, err)
	kernel := newKernel(t)
	require.NoError(t, netns.Up(farInterface))
	require.NoError(t, netns.AddAddress(farInterface, netip.PrefixFrom(farRouter4, 24)))
	require.NoError(t, netns.AddAddress(farInterface, netip.PrefixFrom(farRouter6, 64)))
	require.NoError(t, netns.SetMTU(farInterface, farMTU))
	for _, setting := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		err := os.WriteFile("/proc/sys/net/"+setting, []byte("1"), 0)
		if errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission) {
			t.Skip("the kernel cannot be made a router here: ", err)
		}
		require.NoError(t, err)
	}
	c := attach(t, device, kernel, smolnet.Config{},
		core.Route{Destination: netip.PrefixFrom(far4, 24).Masked(), Gateway: kernel.ipv4},
		core.Route{Destination: netip.PrefixFrom(far6, 64).Masked(), Gateway: kernel.ipv6})
	test(t, c, far)
}

// hearing tells of the UDP payloads that arrive at a device of IP packets, and how large the packets were, the fragments of one
// being taken together.
type hearing struct {
	payload []byte
	largest int
}

func hear(device dev.Device) <-chan hearing {
	heard := make(chan hearing, 64)
	go func() {
		defer close(heard)
		var batch [16]*packet.Packet
		var h hearing // of fragments, which the kernel passes on in order
		for device.WaitReceive() == nil {
			n, err := device.Receive(time.Now(), batch[:])
			if err != nil {
				return
			}
			for _, p := range batch[:n] {
				b := make([]byte, p.Len())
				p.CopyTo(b, 0)
				p.Release()
				protocol, payload, more := protocolOf(b)
				if protocol != ip.ProtocolUDP {
					continue
				}
				h.largest = max(h.largest, len(b))
				h.payload = append(h.payload, payload...)
				if !more {
					h.payload = h.payload[wire.UDPHeaderLen:]
					heard <- h
					h = hearing{}
				}
			}
		}
	}()
	return heard
}

// protocolOf is what an IP packet says of itself.
func protocolOf(b []byte) (protocol uint8, payload []byte, more bool) {
	if b[0]>>4 == 4 {
		p := wire.IPv4Packet(b)
		return p.Protocol(), p.Payload(), p.MoreFragments()
	}
	p := wire.IPv6Packet(b)
	if p.NextHeader() == wire.IPv6Fragment {
		f := wire.IPv6FragmentPacket(p.Payload())
		return f.NextHeader(), f.Payload(), f.More()
	}
	return p.NextHeader(), p.Payload(), false
}

// A datagram that is too large for a link on the way is lost; those that follow are cut to fit.
func TestKernelSaysWhatThePathCarries(t *testing.T) {
	withFar(t, func(t *testing.T, c *cable, far dev.Device) {
		t.Cleanup(func() { far.Close() })
		heard := hear(far)
		await := func() hearing {
			select {
			case h := <-heard:
				return h
			case <-time.After(patience):
				require.Fail(t, "nothing is heard")
				return hearing{}
			}
		}
		for i, to := range []netip.Addr{far4, far6} {
			network, most := "udp4", farMTU-28
			if to.Is6() {
				network, most = "udp6", farMTU-48
			}
			socket, err := c.stack.listenPacket(network, ":0")
			require.NoError(t, err)
			defer socket.Close()
			conn, remote := socket.(*smolnet.UDPConn), netip.AddrPortFrom(to, 7)
			say := func(octets int) []byte {
				said := noise(octets, octets)
				_, err := conn.WriteToUDPAddrPort(said, remote)
				require.NoError(t, err)
				return said
			}
			said := say(most)
			require.Equal(t, hearing{said, farMTU}, await(), "it fits")
			require.Len(t, c.stack.stack.PathMTUs(), i)

			say(most + 1)
			until(t, func() bool { return len(c.stack.stack.PathMTUs()) > i }, "the router says that it was too big")
			known := c.stack.stack.PathMTUs()[i]
			require.Equal(t, to, known.Addr)
			require.Equal(t, farMTU, known.MTU)
			for _, octets := range []int{most, most + 1, 5000, 65000} {
				said := say(octets)
				h := await()
				require.True(t, bytes.Equal(said, h.payload), "%d octets said, %d heard", octets, len(h.payload))
				require.LessOrEqual(t, h.largest, farMTU)
				require.Greater(t, h.largest, farMTU-8)
			}

			require.NoError(t, conn.SetPathMTUDiscovery(udp.PathMTUDo))
			_, err = conn.WriteToUDPAddrPort(make([]byte, most+1), remote)
			requireSystemError(t, err, "write", "sendto", syscall.EMSGSIZE)
			require.Equal(t, say(most), await().payload)

			// IPv4 is cut by the router if the sender wants it so.
			if to.Is4() {
				require.NoError(t, conn.SetPathMTUDiscovery(udp.PathMTUDont))
				said := say(1400)
				require.True(t, bytes.Equal(said, await().payload))
			}
		}
	})
}

// A connected socket is told, once.
func TestKernelTellsASocketThatItWasTooLong(t *testing.T) {
	withFar(t, func(t *testing.T, c *cable, far dev.Device) {
		t.Cleanup(func() { far.Close() })
		heard := hear(far)
		for _, to := range []netip.Addr{far4, far6} {
			conn, err := c.stack.dial(t.Context(), "udp", netip.AddrPortFrom(to, 7).String())
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
			_, err = conn.Write(make([]byte, 1400))
			require.NoError(t, err)
			_, err = conn.Read(make([]byte, 1))
			requireSystemError(t, err, "read", "read", syscall.EMSGSIZE)
			_, err = conn.Write(make([]byte, 1400))
			require.NoError(t, err)
			require.Len(t, (<-heard).payload, 1400)
		}
	})
}

// TCP finds the size of its segments by itself.
func TestKernelPathMTUOfTCP(t *testing.T) {
	withFar(t, func(t *testing.T, c *cable, device dev.Device) {
		far := newStack(t, smolnet.Config{})
		_, err := far.AddInterface(smolnet.Interface{
			Device:    device,
			Addresses: []netip.Prefix{netip.PrefixFrom(far4, 24), netip.PrefixFrom(far6, 64)},
			Routes: []core.Route{
				{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: farRouter4},
				{Destination: netip.MustParsePrefix("::/0"), Gateway: farRouter6},
			},
		})
		require.NoError(t, err)
		for _, to := range []netip.Addr{far4, far6} {
			before := c.counters().PathMTUReduced
			l, err := far.Listen("tcp", netip.AddrPortFrom(to, 80).String())
			require.NoError(t, err)
			defer l.Close()
			said := noise(1, 1<<20)
			done := start(func() error {
				conn, err := c.stack.dial(t.Context(), "tcp", l.Addr().String())
				if err != nil {
					return err
				}
				defer conn.Close()
				_, err = conn.Write(said)
				return err
			})
			conn, err := l.Accept()
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
			heard, err := io.ReadAll(conn)
			require.NoError(t, err)
			require.True(t, bytes.Equal(said, heard))
			require.NoError(t, <-done)
			require.Equal(t, before+1, c.counters().PathMTUReduced, "a router has said so")
			require.Empty(t, c.stack.stack.PathMTUs(), "it is the connection's to remember")
		}
	})
}
