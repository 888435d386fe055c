package smolnet_test

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/internal/netns"
)

// ping has the kernel send one echo request, by a raw socket, and reads the answer.
func ping(t *testing.T, from, to netip.Addr, data []byte) {
	t.Helper()
	const ident, seq = 0x5019, 1
	network, request := "ip4:icmp", make([]byte, 8+len(data))
	if to.Is4() {
		echo := wire.ICMPv4EchoRepr{Ident: ident, Seq: seq, Data: data}
		echo.Emit(request)
	} else {
		network = "ip6:ipv6-icmp"
		echo := wire.ICMPv6EchoRepr{Ident: ident, Seq: seq, Data: data}
		echo.Emit(request, from, to)
	}
	socket, err := net.DialIP(network, &net.IPAddr{IP: from.AsSlice()}, &net.IPAddr{IP: to.AsSlice()})
	require.NoError(t, err)
	defer socket.Close()
	require.NoError(t, socket.SetDeadline(time.Now().Add(patience)))
	_, err = socket.Write(request)
	require.NoError(t, err)

	b := make([]byte, 1<<16)
	for {
		n, _, err := socket.ReadFromIP(b)
		require.NoError(t, err)
		if to.Is4() {
			reply, err := wire.ParseICMPv4(b[:n])
			require.NoError(t, err)
			require.True(t, reply.VerifyChecksum())
			var echo wire.ICMPv4EchoRepr
			require.NoError(t, echo.Parse(reply))
			require.Equal(t, wire.ICMPv4EchoRepr{Reply: true, Ident: ident, Seq: seq, Data: data}, echo)
			return
		}
		reply, err := wire.ParseICMPv6(b[:n])
		require.NoError(t, err)
		if reply.Type() != wire.ICMPv6EchoReply {
			continue // neighbour discovery
		}
		require.True(t, reply.VerifyChecksum(to, from))
		var echo wire.ICMPv6EchoRepr
		require.NoError(t, echo.Parse(reply))
		require.Equal(t, wire.ICMPv6EchoRepr{Reply: true, Ident: ident, Seq: seq, Data: data}, echo)
		return
	}
}

// The first ping is answered, whoever has to find the other first: packets wait until the neighbour is known.
func TestKernelFirstPingIsAnswered(t *testing.T) {
	for _, s := range []setup{overTap, overTun} {
		t.Run(s.name, func(t *testing.T) {
			withKernel(t, s.recorded(), func(t *testing.T, c *cable) {
				for _, tc := range []struct {
					from, to netip.Addr
					size     int
				}{
					{c.kernel.ipv4, c.stack.ipv4, 56},
					{c.kernel.ipv6, c.stack.ipv6, 56},
					{c.kernel.ipv4, c.stack.ipv4, 0},
					{c.kernel.ipv6, c.stack.ipv6, 0},
					{c.kernel.ipv4, c.stack.ipv4, c.link.MTU() - 28},
					{c.kernel.ipv6, c.stack.ipv6, c.link.MTU() - 48},
				} {
					ping(t, tc.from, tc.to, noise(8, tc.size))
				}
				counters := c.stack.stack.Counters()
				require.EqualValues(t, 3, counters.ICMPv4.OutType[wire.ICMPv4EchoReply])
				require.EqualValues(t, 3, counters.ICMPv6.OutType[wire.ICMPv6EchoReply])
			})
		})
	}
}

// The kernel has been told where the stack is, the stack has yet to find out where the kernel is.
func TestKernelFirstPingIsAnsweredByAStackThatKnowsNobody(t *testing.T) {
	withKernel(t, overTap.recorded(), func(t *testing.T, c *cable) {
		for _, pair := range [][2]netip.Addr{{c.kernel.ipv4, c.stack.ipv4}, {c.kernel.ipv6, c.stack.ipv6}} {
			from, to := pair[0].Next(), pair[1]
			bits := 24
			if from.Is6() {
				bits = 64
			}
			require.NoError(t, netns.AddAddress(kernelInterface, netip.PrefixFrom(from, bits)))
			require.NoError(t, netns.AddNeighbour(kernelInterface, to, c.link.HardwareAddr()))
			asked := c.link.Counters().ARP.OutRequests
			ping(t, from, to, noise(9, 56))
			if from.Is4() {
				require.Equal(t, asked+1, c.link.Counters().ARP.OutRequests)
			}
		}
	})
}

// What everybody tries first.
func TestKernelPingProgram(t *testing.T) {
	withKernel(t, overTap.recorded(), func(t *testing.T, c *cable) {
		program, err := exec.LookPath("ping")
		if err != nil && os.Getenv("CI") == "" {
			t.Skip("there is no ping: install iputils-ping")
		}
		require.NoError(t, err)
		for _, address := range []string{
			c.stack.ipv4.String(), c.stack.ipv6.String(), c.stack.linkLocal.WithZone(kernelInterface).String(),
		} {
			out, err := exec.CommandContext(t.Context(), program, "-n", "-c", "1", "-W", "20", address).CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "1 packets transmitted, 1 received, 0% packet loss")
			require.NotContains(t, string(out), "DUP!")
		}
	})
}
