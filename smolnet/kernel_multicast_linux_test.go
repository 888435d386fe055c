package smolnet_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/smolnet"
)

// Groups that both the stack and the kernel are in.
var kernelGroups = []string{"239.1.2.3:5000", "[ff05::123]:5000"}

// TestKernelMulticast: what either says to a group the other hears, and both hear themselves if they want to.
func TestKernelMulticast(t *testing.T) {
	for _, s := range []setup{overTap, overTapWithoutOffloads, overTun} {
		t.Run(s.name, func(t *testing.T) {
			withKernel(t, s.recorded(), func(t *testing.T, c *cable) {
				until(t, func() bool { return usable(c.link) }, "addresses that can be used")
				for _, group := range kernelGroups {
					t.Run(group, func(t *testing.T) { multicastBothWays(t, c, udpAddr(t, group)) })
				}
			})
		})
	}
}

func multicastBothWays(t *testing.T, c *cable, group *net.UDPAddr) {
	ifi, err := net.InterfaceByName(kernelInterface)
	require.NoError(t, err)
	theirs, err := net.ListenMulticastUDP("udp", ifi, group)
	require.NoError(t, err)
	defer theirs.Close()
	require.NoError(t, theirs.SetReadDeadline(time.Now().Add(patience)))
	ours, err := c.stack.stack.ListenMulticastUDP("udp", interfaceOf(t, c.stack.stack), group)
	require.NoError(t, err)
	defer ours.Close()
	require.Equal(t, theirs.LocalAddr(), ours.LocalAddr(), "as package net's")

	heard := make([]byte, 100)
	_, err = ours.WriteToUDP([]byte("from the stack"), group)
	require.NoError(t, err)
	n, from, err := theirs.ReadFromUDP(heard)
	require.NoError(t, err)
	require.Equal(t, "from the stack", string(heard[:n]))
	require.Equal(t, group.Port, from.Port)

	_, err = theirs.WriteToUDP([]byte("from the kernel"), group)
	require.NoError(t, err)
	from = hears(t, ours, "from the kernel")
	require.Equal(t, group.Port, from.Port)

	// Source-specific: the kernel's address, and then another's.
	source := &net.IPAddr{IP: from.IP}
	require.NoError(t, ours.LeaveGroup(interfaceOf(t, c.stack.stack), group))
	require.NoError(t, ours.JoinSourceSpecificGroup(interfaceOf(t, c.stack.stack), group, source))
	_, err = theirs.WriteToUDP([]byte("from a source"), group)
	require.NoError(t, err)
	hears(t, ours, "from a source")

	// And the kernel's socket hears the stack as a source.
	us := net.IP(c.stack.ipv4.AsSlice())
	if group.IP.To4() == nil {
		us = c.stack.ipv6.AsSlice()
	}
	if group.IP.To4() != nil {
		p := ipv4.NewPacketConn(theirs)
		require.NoError(t, p.LeaveGroup(ifi, group))
		require.NoError(t, p.JoinSourceSpecificGroup(ifi, group, &net.IPAddr{IP: us}))
	} else {
		p := ipv6.NewPacketConn(theirs)
		require.NoError(t, p.LeaveGroup(ifi, group))
		require.NoError(t, p.JoinSourceSpecificGroup(ifi, group, &net.IPAddr{IP: us}))
	}
	_, err = ours.WriteToUDP([]byte("by the stack"), group)
	require.NoError(t, err)
	n, _, err = theirs.ReadFromUDP(heard)
	require.NoError(t, err)
	require.Equal(t, "by the stack", string(heard[:n]))
}

// wiretap is a packet socket of the kernel's on the cable: it sees all frames, and sends any.
type wiretap struct {
	t     *testing.T
	fd    int
	index int
}

func newWiretap(t *testing.T) *wiretap {
	t.Helper()
	ifi, err := net.InterfaceByName(kernelInterface)
	require.NoError(t, err)
	all := uint16(unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all))
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	require.NoError(t, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifi.Index}))
	require.NoError(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(patience / time.Second)}))
	return &wiretap{t, fd, ifi.Index}
}

func (w *wiretap) send(frame []byte) {
	w.t.Helper()
	_, err := unix.Write(w.fd, frame)
	require.NoError(w.t, err)
}

// report returns the next report of the stack's that has the given words in it, as it prints itself.
func (w *wiretap) report(words ...string) string {
	w.t.Helper()
	b := make([]byte, 65536)
next:
	for {
		n, err := unix.Read(w.fd, b)
		require.NoError(w.t, err, "no report with %q", words)
		frame := wire.EthernetFrame(b[:n])
		line := frame.String()
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue next
			}
		}
		return line
	}
}

// querierFrame is a frame to the group dst, as a router on the kernel's side sends it.
func querierFrame(dst netip.Addr, header func(payloadLen int) []byte, payload []byte) []byte {
	e := wire.EthernetRepr{Dst: wire.MulticastHardwareAddr(dst), Src: wire.HardwareAddr{2, 0, 0, 0, 0, 0x77}, EtherType: wire.EtherTypeIPv4}
	if dst.Is6() {
		e.EtherType = wire.EtherTypeIPv6
	}
	b := make([]byte, e.Len())
	e.Emit(b)
	return append(append(b, header(len(payload))...), payload...)
}

func queryFrame4(src, dst netip.Addr, q *wire.IGMPQueryRepr) []byte {
	payload := make([]byte, q.Len())
	q.Emit(payload)
	return querierFrame(dst, func(n int) []byte {
		r := wire.IPv4Repr{Src: src, Dst: dst, Protocol: 2, TTL: 1, PayloadLen: 4 + n}
		b := make([]byte, r.Len())
		r.Emit(b)
		b = append(b, 0x94, 4, 0, 0)
		b[0]++
		wire.IPv4Packet(b).FillChecksum()
		return b
	}, payload)
}

func queryFrame6(src, dst netip.Addr, q *wire.MLDQueryRepr) []byte {
	payload := make([]byte, q.Len())
	q.Emit(payload, src, dst)
	return querierFrame(dst, func(n int) []byte {
		r := wire.IPv6Repr{Src: src, Dst: dst, NextHeader: wire.IPv6HopByHop, HopLimit: 1, PayloadLen: 8 + n}
		b := make([]byte, r.Len())
		r.Emit(b)
		return append(b, 58, 0, 5, 2, 0, 0, 1, 0)
	}, payload)
}

// TestKernelQuerier: a scripted querier on the kernel's side is answered, in its own version.
func TestKernelQuerier(t *testing.T) {
	withKernel(t, overTap.recorded(), func(t *testing.T, c *cable) {
		w := newWiretap(t)
		s, ifi := c.stack.stack, interfaceOf(t, c.stack.stack)
		router4, router6 := c.kernel.ipv4, c.kernel.linkLocal
		all4, all6 := netip.MustParseAddr("224.0.0.1"), netip.MustParseAddr("ff02::1")
		from4, from6 := c.stack.ipv4.String()+" > ", c.stack.linkLocal.String()+" > "
		until(t, func() bool { return usable(c.link) }, "addresses that can be used")

		var sockets []*smolnet.UDPConn
		for _, group := range kernelGroups {
			socket, err := s.ListenMulticastUDP("udp", ifi, udpAddr(t, group))
			require.NoError(t, err)
			defer socket.Close()
			sockets = append(sockets, socket)
		}
		w.report("IP (options ra)", from4+"224.0.0.22: igmp v3 report", "[gaddr 239.1.2.3 to_ex { }]")
		w.report(from6+"ff02::16: HBH ICMP6", "[gaddr ff05::123 to_ex { }]")

		w.send(queryFrame4(router4, all4, &wire.IGMPQueryRepr{Version: 3, Group: netip.IPv4Unspecified(), MaxResponse: 100 * time.Millisecond, Robustness: 2}))
		w.report(from4+"224.0.0.22: igmp v3 report", "[gaddr 239.1.2.3 is_ex { }]")
		w.send(queryFrame6(router6, all6, &wire.MLDQueryRepr{Version: 2, Group: netip.IPv6Unspecified(), MaxResponse: 100 * time.Millisecond, Robustness: 2}))
		w.report(from6+"ff02::16: HBH ICMP6", "[gaddr ff05::123 is_ex { }]")

		w.send(queryFrame4(router4, all4, &wire.IGMPQueryRepr{Version: 2, Group: netip.IPv4Unspecified(), MaxResponse: 100 * time.Millisecond}))
		w.report("IP (options ra)", from4+"239.1.2.3: igmp v2 report 239.1.2.3")
		w.send(queryFrame6(router6, all6, &wire.MLDQueryRepr{Version: 1, Group: netip.IPv6Unspecified(), MaxResponse: 100 * time.Millisecond}))
		w.report(from6+"ff05::123: HBH ICMP6", "multicast listener report addr: ff05::123")

		for _, socket := range sockets {
			require.NoError(t, socket.Close())
		}
		w.report(from4 + "224.0.0.2: igmp leave 239.1.2.3")
		w.report(from6+"ff02::2: HBH ICMP6", "multicast listener done addr: ff05::123")
		require.Zero(t, c.link.Counters().IGMP.InErrors)
	})
}

// usable reports whether all of the interface's addresses can be used.
func usable(l *smolnet.Link) bool {
	for _, a := range l.Addresses() {
		if a.State.String() != "preferred" {
			return false
		}
	}
	return true
}
