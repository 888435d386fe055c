package smolnet_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// datagramSocket is what net.UDPConn and UDPConn have in common.
type datagramSocket interface {
	net.Conn
	net.PacketConn
	ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error)
	WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error)
}

// telling has a socket of the kernel's tell all that ControlFlags can ask for.
func telling(t *testing.T, c net.PacketConn) {
	t.Helper()
	raw, err := c.(*net.UDPConn).SyscallConn()
	require.NoError(t, err)
	raw.Control(func(fd uintptr) {
		domain, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
		require.NoError(t, err)
		options := [][2]int{{unix.SOL_IP, unix.IP_RECVTTL}, {unix.SOL_IP, unix.IP_RECVTOS}}
		if domain == unix.AF_INET6 {
			options = append(options, [2]int{unix.SOL_IPV6, unix.IPV6_RECVPKTINFO},
				[2]int{unix.SOL_IPV6, unix.IPV6_RECVHOPLIMIT}, [2]int{unix.SOL_IPV6, unix.IPV6_RECVTCLASS})
		} else {
			options = append(options, [2]int{unix.SOL_IP, unix.IP_PKTINFO})
		}
		for _, o := range options {
			require.NoError(t, unix.SetsockoptInt(int(fd), o[0], o[1], 1))
		}
	})
}

// exchanges are a socket that tells all, and how one sends to it.
var exchanges = []struct{ name, network, local, to string }{
	{"IPv4", "udp4", "127.0.0.1:0", "127.0.0.1"},
	{"all of IPv4", "udp4", ":0", "127.0.0.1"},
	{"IPv6", "udp6", "[::1]:0", "::1"},
	{"IPv6 on a socket for both", "udp", ":0", "::1"},
	{"IPv4 on a socket for both", "udp", ":0", "127.0.0.1"},
}

// tellers returns the kernel's and the stack's socket at the same kind of address, both telling all.
func tellers(t *testing.T, stack *system, network, local string) [2]datagramSocket {
	t.Helper()
	k, err := net.ListenPacket(network, local)
	require.NoError(t, err)
	telling(t, k)
	s, err := stack.packet(use{network: network}, local)
	require.NoError(t, err)
	require.NoError(t, s.(*smolnet.UDPConn).SetControlMessage(everything, true))
	both := [2]datagramSocket{k.(datagramSocket), s.(datagramSocket)}
	for _, c := range both {
		t.Cleanup(func() { c.Close() })
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	}
	return both
}

// Whatever the room, the octets of the control messages are the kernel's.
func TestKernelTellsAlike(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	kernel, stack := theKernel(t), theStack(t)
	for _, e := range exchanges {
		t.Run(e.name, func(t *testing.T) {
			receivers := tellers(t, stack, e.network, e.local)
			var senders [2]net.Conn
			for i, s := range []*system{kernel, stack} {
				port := receivers[i].LocalAddr().(*net.UDPAddr).Port
				c, err := s.dial("udp", "", net.JoinHostPort(e.to, fmt.Sprint(port)))
				require.NoError(t, err)
				defer c.Close()
				senders[i] = c
			}
			require.NoError(t, ipv4Or6(senders[0], 0xb9, 33))
			require.NoError(t, senders[1].(*smolnet.UDPConn).SetTrafficClass(0xb9))
			require.NoError(t, senders[1].(*smolnet.UDPConn).SetHopLimit(33))
			for room := range 120 {
				var told [2][]byte
				var ns, flags [2]int
				for i, receiver := range receivers {
					_, err := senders[i].Write([]byte("hello"))
					require.NoError(t, err)
					told[i] = make([]byte, room)
					b := make([]byte, 3+room%3)
					_, ns[i], flags[i], _, err = receiver.ReadMsgUDP(b, told[i])
					require.NoError(t, err)
				}
				require.Equal(t, told[0], told[1], "with room for %d octets", room)
				require.Equal(t, ns[0], ns[1], "with room for %d octets", room)
				require.Equal(t, flags[0]&^unix.MSG_CMSG_CLOEXEC, flags[1], "with room for %d octets", room)
			}
		})
	}
}

// ipv4Or6 sets what a kernel's socket has in its headers.
func ipv4Or6(c net.Conn, class, hopLimit int) error {
	if c.RemoteAddr().(*net.UDPAddr).IP.To4() != nil {
		p := ipv4.NewConn(c)
		return errors.Join(p.SetTOS(class), p.SetTTL(hopLimit))
	}
	p := ipv6.NewConn(c)
	return errors.Join(p.SetTrafficClass(class), p.SetHopLimit(hopLimit))
}

// What golang.org/x/net reads of a datagram that the stack has received, and writes for one to send.
func TestKernelLayoutOfControlMessages(t *testing.T) {
	s := newStack(t, smolnet.Config{})
	send := func(t *testing.T, network, local string, oob []byte) (told []byte) {
		server := bind(t, s, network, local)
		require.NoError(t, server.SetControlMessage(everything, true))
		c, err := s.Dial("udp", server.LocalAddr().String())
		require.NoError(t, err)
		defer c.Close()
		_, oobn, err := c.(*smolnet.UDPConn).WriteMsgUDP([]byte("x"), oob, nil)
		require.NoError(t, err)
		require.Equal(t, len(oob), oobn)
		told = make([]byte, 200)
		_, n, _, _, err := server.ReadMsgUDP(make([]byte, 10), told)
		require.NoError(t, err)
		return told[:n]
	}
	t.Run("ipv4", func(t *testing.T) {
		asked := ipv4.ControlMessage{TTL: 17, Src: net.IPv4(127, 0, 0, 1), IfIndex: 1}
		told := send(t, "udp4", "127.0.0.1:0", asked.Marshal())
		var got ipv4.ControlMessage
		require.NoError(t, got.Parse(told))
		require.Equal(t, "ttl=64 src=<nil> dst=127.0.0.1 ifindex=1", got.String(), "x/net does not marshal the TTL")
		var ours smolnet.ControlMessage
		require.NoError(t, ours.Parse(asked.Marshal()))
		require.Equal(t, 1, ours.IfIndex)
	})
	t.Run("ipv6", func(t *testing.T) {
		asked := ipv6.ControlMessage{HopLimit: 17, TrafficClass: 3, Src: net.IPv6loopback, IfIndex: 1}
		told := send(t, "udp6", "[::1]:0", asked.Marshal())
		var got ipv6.ControlMessage
		require.NoError(t, got.Parse(told))
		require.Equal(t, "tclass=0x3 hoplim=17 src=<nil> dst=::1 ifindex=1 nexthop=<nil> mtu=0", got.String())
		var ours smolnet.ControlMessage
		require.NoError(t, ours.Parse(told))
		require.Equal(t, smolnet.ControlMessage{HopLimit: 17, TrafficClass: 3, Dst: netip.IPv6Loopback(), IfIndex: 1}, ours)
	})
	t.Run("both ways for those who do not want it", func(t *testing.T) {
		asked := smolnet.ControlMessage{HopLimit: 17, TrafficClass: 3, IfIndex: 1}
		for local, dst := range map[string]string{"127.0.0.1:0": "127.0.0.1", "[::1]:0": "::1"} {
			var got smolnet.ControlMessage
			require.NoError(t, got.Parse(send(t, "udp", local, asked.Marshal())))
			require.Equal(t, netip.MustParseAddr(dst), got.Dst.Unmap())
			require.Equal(t, []int{17, 3, 1}, []int{got.HopLimit, got.TrafficClass, got.IfIndex})
		}
	})
}

// message makes a control message of any kind with any data.
func message(level, kind int, data ...byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	m := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	m.Level, m.Type = int32(level), int32(kind)
	m.SetLen(unix.CmsgLen(len(data)))
	copy(b[unix.CmsgLen(0):], data)
	return b
}

func number(n int32) []byte { return []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)} }

func info4(index int32, source string) []byte {
	source4 := netip.MustParseAddr(source).As4()
	return message(unix.SOL_IP, unix.IP_PKTINFO, slices.Concat(number(index), source4[:], make([]byte, 4))...)
}

func info6(index int32, source string) []byte {
	source16 := netip.MustParseAddr(source).As16()
	return message(unix.SOL_IPV6, unix.IPV6_PKTINFO, slices.Concat(source16[:], number(index))...)
}

// What a control message asks for is done, or refused, as the kernel does.
func TestKernelTakesControlMessagesAlike(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	_, stack := theKernel(t), theStack(t)
	cut := message(unix.SOL_IP, unix.IP_TTL, number(5)...)
	long := slices.Clone(cut)
	long[0] = 60
	short := slices.Clone(cut)
	short[0] = 15
	rows := []struct {
		name string
		oob  []byte
	}{
		{"nothing", nil},
		{"TTL", message(unix.SOL_IP, unix.IP_TTL, number(7)...)},
		{"TTL of 0", message(unix.SOL_IP, unix.IP_TTL, number(0)...)},
		{"TTL of 256", message(unix.SOL_IP, unix.IP_TTL, number(256)...)},
		{"TTL of -1", message(unix.SOL_IP, unix.IP_TTL, number(-1)...)},
		{"TTL of one octet", message(unix.SOL_IP, unix.IP_TTL, 7)},
		{"TOS", message(unix.SOL_IP, unix.IP_TOS, number(0xb8)...)},
		{"TOS of one octet", message(unix.SOL_IP, unix.IP_TOS, 0x03)},
		{"TOS of 0", message(unix.SOL_IP, unix.IP_TOS, number(0)...)},
		{"TOS of 256", message(unix.SOL_IP, unix.IP_TOS, number(256)...)},
		{"TOS of two octets", message(unix.SOL_IP, unix.IP_TOS, 1, 0)},
		{"IPv4 source", info4(0, "192.168.69.1")},
		{"IPv4 interface", info4(1, "0.0.0.0")},
		{"IPv4 foreign source", info4(0, "192.0.2.1")},
		{"IPv4 multicast source", info4(0, "224.0.0.1")},
		{"IPv4 no such interface", info4(99, "0.0.0.0")},
		{"IPv4 packet info too short", message(unix.SOL_IP, unix.IP_PKTINFO, make([]byte, 11)...)},
		{"IPv4 packet info too long", message(unix.SOL_IP, unix.IP_PKTINFO, make([]byte, 13)...)},
		{"IPv4 unknown", message(unix.SOL_IP, 99, number(1)...)},
		{"hop limit", message(unix.SOL_IPV6, unix.IPV6_HOPLIMIT, number(7)...)},
		{"hop limit of -1", message(unix.SOL_IPV6, unix.IPV6_HOPLIMIT, number(-1)...)},
		{"hop limit of -2", message(unix.SOL_IPV6, unix.IPV6_HOPLIMIT, number(-2)...)},
		{"hop limit of 256", message(unix.SOL_IPV6, unix.IPV6_HOPLIMIT, number(256)...)},
		{"hop limit of one octet", message(unix.SOL_IPV6, unix.IPV6_HOPLIMIT, 7)},
		{"traffic class", message(unix.SOL_IPV6, unix.IPV6_TCLASS, number(0xb8)...)},
		{"traffic class of 256", message(unix.SOL_IPV6, unix.IPV6_TCLASS, number(256)...)},
		{"IPv6 source", info6(0, "fdaa::1")},
		{"IPv6 interface", info6(1, "::")},
		{"IPv6 foreign source", info6(0, "2001:db8::1")},
		{"IPv6 multicast source", info6(0, "ff02::1")},
		{"IPv6 no such interface", info6(99, "::")},
		{"IPv4-mapped source", info6(0, "::ffff:192.168.69.1")},
		{"IPv6 packet info too short", message(unix.SOL_IPV6, unix.IPV6_PKTINFO, make([]byte, 19)...)},
		{"IPv6 unknown", message(unix.SOL_IPV6, 99, number(1)...)},
		{"another level", message(99, 1, number(1)...)},
		{"segments", message(unix.SOL_UDP, 104, number(1)...)},
		{"too short for a message", cut[:15]},
		{"something behind the message", append(slices.Clone(cut), 1, 2, 3)},
		{"a length beyond", long},
		{"a length too small", short},
		{"two", slices.Concat(message(unix.SOL_IP, unix.IP_TTL, number(7)...), message(unix.SOL_IPV6, unix.IPV6_HOPLIMIT, number(8)...))},
	}
	for _, e := range exchanges[1:] {
		if e.network == "udp6" {
			e.local = ":0"
		}
		for _, row := range rows {
			if e.name == "IPv4 on a socket for both" && (row.name == "IPv6 interface" || row.name == "IPv6 no such interface") {
				continue // the kernel wants an address with it; ControlMessage's Marshal need not know where the datagram goes
			}
			t.Run(e.name+"/"+row.name, func(t *testing.T) {
				receivers, senders := tellers(t, stack, e.network, e.local), tellers(t, stack, e.network, e.local)
				var fates [2]string
				for i, sender := range senders {
					to := &net.UDPAddr{IP: net.ParseIP(e.to), Port: receivers[i].LocalAddr().(*net.UDPAddr).Port}
					n, oobn, err := sender.WriteMsgUDP([]byte("x"), row.oob, to)
					if err != nil {
						fates[i] = fmt.Sprint(n, oobn, errors.Unwrap(err))
						continue
					}
					told := make([]byte, 200)
					_, got, _, from, err := receivers[i].ReadMsgUDP(make([]byte, 1), told)
					require.NoError(t, err)
					var m smolnet.ControlMessage
					require.NoError(t, m.Parse(told[:got]))
					fates[i] = fmt.Sprint(n, oobn, from.IP, m)
				}
				require.Equal(t, fates[0], fates[1], "of the kernel's, and of the stack's")
			})
		}
	}
}
