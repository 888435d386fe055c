package smolnet_test

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// families are the two ends' addresses of each family.
func (c *cable) families() []struct {
	network         string
	stack, kernel   netip.Addr
	kernelLinkLocal netip.Addr
} {
	return []struct {
		network         string
		stack, kernel   netip.Addr
		kernelLinkLocal netip.Addr
	}{
		{"ip4", c.stack.ipv4, c.kernel.ipv4, netip.Addr{}},
		{"ip6", c.stack.ipv6, c.kernel.ipv6, c.kernel.linkLocal.WithZone(stackInterface)},
	}
}

// The stack pings the kernel: the first request is answered, though nobody knows the other yet.
func TestKernelIsPinged(t *testing.T) {
	for _, s := range []setup{overTap, overTapWithoutOffloads, overTun} {
		t.Run(s.name, func(t *testing.T) {
			withKernel(t, s.recorded(), func(t *testing.T, c *cable) {
				for _, f := range c.families() {
					conn, err := c.stack.stack.ListenPing(f.network, nil)
					require.NoError(t, err)
					defer conn.Close()
					require.NoError(t, conn.SetControlMessage(smolnet.ControlHopLimit|smolnet.ControlPacketInfo, true))
					require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
					targets := []netip.Addr{f.kernel}
					if f.kernelLinkLocal.IsValid() && s.name != overTun.name {
						targets = append(targets, f.kernelLinkLocal)
					}
					for seq, target := range targets {
						_, err = conn.WriteTo(echoRequest(f.network, uint16(seq)), ipAddr(target.String()))
						require.NoError(t, err)
						b, oob := make([]byte, 100), make([]byte, 100)
						n, oobn, _, from, err := conn.ReadMsg(b, oob)
						require.NoError(t, err)
						require.Equal(t, target.String(), from.String())
						ident, gotSeq, data := echoReply(t, f.network, b[:n])
						require.Equal(t, []any{conn.Ident(), uint16(seq), "data"}, []any{ident, gotSeq, string(data)})
						var control smolnet.ControlMessage
						require.NoError(t, control.Parse(oob[:oobn]))
						require.Equal(t, 64, control.HopLimit)
						require.Equal(t, c.link.Index(), control.IfIndex)
					}
				}
			})
		})
	}
}

// kernelPingSocket opens an unprivileged ping socket of the kernel's, connected.
func kernelPingSocket(t *testing.T, to netip.Addr) net.Conn {
	t.Helper()
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 0"), 0))
	domain, protocol := unix.AF_INET6, unix.IPPROTO_ICMPV6
	address := unix.Sockaddr(&unix.SockaddrInet6{Addr: to.As16()})
	if to.Is4() {
		domain, protocol = unix.AF_INET, unix.IPPROTO_ICMP
		address = &unix.SockaddrInet4{Addr: to.As4()}
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	require.NoError(t, err)
	file := os.NewFile(uintptr(fd), "ping")
	defer file.Close()
	require.NoError(t, unix.Connect(fd, address))
	c, err := net.FileConn(file)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return c
}

// Ping sockets of either side are the same to those who use them: what they send, what they refuse, what they receive.
func TestKernelPingSocketsCompared(t *testing.T) {
	withKernel(t, overTap.recorded(), func(t *testing.T, c *cable) {
		for _, f := range c.families() {
			ours, err := c.stack.stack.DialPing(f.network, nil, ipAddr(f.kernel.String()))
			require.NoError(t, err)
			defer ours.Close()
			require.NoError(t, ours.SetDeadline(time.Now().Add(patience)))
			request := echoRequest(f.network, 7)
			for side, conn := range map[string]net.Conn{"stack": ours, "kernel": kernelPingSocket(t, f.stack)} {
				_, err := conn.Write(request)
				require.NoError(t, err, side)
				b := make([]byte, 100)
				n, err := conn.Read(b)
				require.NoError(t, err, side)
				_, seq, data := echoReply(t, f.network, b[:n])
				require.Equal(t, []any{uint16(7), "data"}, []any{seq, string(data)}, side)
				for what, bad := range map[string][]byte{
					"a reply":   patchedAt(request, 0, request[0]&0x80|request[0]>>7),
					"a code":    patchedAt(request, 1, 1),
					"too short": request[:7],
					"nothing":   nil,
				} {
					_, err = conn.Write(bad)
					require.ErrorIs(t, err, syscall.EINVAL, "%s: %s", side, what)
				}
			}
		}
	})
}

func patchedAt(b []byte, at int, octet byte) []byte {
	b = append([]byte(nil), b...)
	b[at] = octet
	return b
}

// What is too far is told of, and what nobody answers is told by the stack itself.
func TestKernelPingErrors(t *testing.T) {
	withKernel(t, overTap.recorded(), func(t *testing.T, c *cable) {
		conn, err := c.stack.stack.DialPing("ip4", nil, ipAddr("192.168.69.77"))
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		_, err = conn.Write(echoRequest("ip4", 1))
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 100))
		require.ErrorIs(t, err, syscall.EHOSTUNREACH)
	})
}

// With automatic replies switched off the program ping hears nothing, unless somebody else answers.
func TestKernelPingOfAStackThatDoesNotReply(t *testing.T) {
	t.Parallel()
	if !netns.Test(t) {
		return
	}
	device, kernel := overTap.recorded().open(t), newKernel(t)
	c := attach(t, device, kernel, smolnet.Config{NoEchoReply: true})
	program, err := exec.LookPath("ping")
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("there is no ping: install iputils-ping")
	}
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), program, "-n", "-c", "1", "-W", "1", c.stack.ipv4.String()).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "1 packets transmitted, 0 received, 100% packet loss")

	// A program that answers instead, and says the same.
	raw, err := c.stack.stack.ListenIP("ip4:icmp", nil)
	require.NoError(t, err)
	answered := start(func() error {
		b := make([]byte, 2000)
		n, from, err := raw.ReadFromIP(b)
		if err != nil {
			return err
		}
		b[0] = wire.ICMPv4EchoReply
		reply := wire.ICMPv4Packet(b[:n])
		reply.FillChecksum()
		_, err = raw.WriteToIP(b[:n], from)
		return err
	})
	out, err = exec.CommandContext(t.Context(), program, "-n", "-c", "1", "-W", "20", c.stack.ipv4.String()).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.True(t, strings.Contains(string(out), "1 received"), "%s", out)
	require.NoError(t, <-answered)
	require.NoError(t, raw.Close())
}

// Frames of an experimental EtherType, to and from the kernel's AF_PACKET.
func TestKernelFrames(t *testing.T) {
	withKernel(t, overTap.recorded(), func(t *testing.T, c *cable) {
		const experimental = 0x88b5
		network := uint16(experimental>>8 | experimental&0xff<<8)
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(network))
		require.NoError(t, err)
		defer unix.Close(fd)
		ifc, err := net.InterfaceByName(kernelInterface)
		require.NoError(t, err)
		at := &unix.SockaddrLinklayer{Ifindex: ifc.Index, Protocol: network}
		require.NoError(t, unix.Bind(fd, at))
		require.NoError(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(patience / time.Second)}))

		conn, err := c.link.ListenFrames(experimental)
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		header := wire.EthernetRepr{Dst: wire.HardwareAddr(ifc.HardwareAddr), Src: c.link.HardwareAddr(), EtherType: experimental}
		frame := make([]byte, header.Len(), 100)
		header.Emit(frame)
		frame = append(frame, strings.Repeat("octet", 12)...)
		_, err = conn.Write(frame)
		require.NoError(t, err)
		b := make([]byte, 2000)
		n, _, err := unix.Recvfrom(fd, b, 0)
		require.NoError(t, err)
		require.Equal(t, frame, b[:n])

		header.Dst, header.Src = header.Src, header.Dst
		header.Emit(frame)
		require.NoError(t, unix.Sendto(fd, frame, 0, at))
		n, err = conn.Read(b)
		require.NoError(t, err)
		require.Equal(t, frame, b[:n])
	})
}

// Errors about a port, from the kernel.
func TestKernelErrorsAboutAPort(t *testing.T) {
	withKernel(t, overTap.recorded(), func(t *testing.T, c *cable) {
		u, err := c.stack.stack.ListenPacket("udp4", "192.168.69.1:5000")
		require.NoError(t, err)
		defer u.Close()
		errors, err := c.stack.stack.OpenPing(smolnet.PingConfig{Network: "ip4", Transport: "udp", Port: 5000})
		require.NoError(t, err)
		defer errors.Close()
		require.NoError(t, errors.SetDeadline(time.Now().Add(patience)))
		_, err = u.WriteTo([]byte("is anybody there?"), net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.kernel.ipv4, unused)))
		require.NoError(t, err)
		b := make([]byte, 1000)
		n, from, err := errors.ReadFrom(b)
		require.NoError(t, err)
		require.Equal(t, c.kernel.ipv4.String(), from.String())
		message := wire.ICMPv4Packet(b[:n])
		require.True(t, message.VerifyChecksum())
		require.EqualValues(t, wire.ICMPv4PortUnreachable, message.Code())
	})
}
