package smolnet_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The rows open sockets for protocols that nobody speaks, each for its own, because every socket hears all of its protocol.

func TestKernelErrorsOfIP(t *testing.T) { errorRows(t, ipOpen, ipSending, ipReceiving, ipNothing) }

// endsOf are the addresses of a socket, if there is one.
func endsOf(c net.Conn) string {
	if c == nil {
		return "none"
	}
	return fmt.Sprint(c.LocalAddr().Network(), " ", c.LocalAddr(), " ", c.RemoteAddr())
}

// Why the two differ.
const (
	everybody = "the kernel has no route to everybody, the stack takes the first link that could reach anybody"
	noMapped  = "the kernel's IP sockets of IPv6 take an IPv4-mapped address for one of IPv6"
)

var ipOpen = []row{
	{name: "listen for IP packets", do: func(a *actor) {
		for _, tc := range []struct{ network, address string }{
			{"ip", "127.0.0.1"}, {"ip4", "127.0.0.1"}, {"ip4:", "127.0.0.1"}, {"ip4:foo", "127.0.0.1"}, {"ip5:1", "127.0.0.1"},
			{"ip4:1:2", "127.0.0.1"}, {":1", "127.0.0.1"}, {"ip4:-1", "127.0.0.1"}, {"ip4:+1", "127.0.0.1"}, {"udp4:1", "127.0.0.1"},
			{"ip4:0", "127.0.0.1"}, {"ip4:300", "127.0.0.1"}, {"ip6:0", "::1"}, {"ip4:16777216", "127.0.0.1"},
			{"ip4:icmp", ""}, {"ip4:ICMP", "127.0.0.1"}, {"ip4:1", "127.0.0.1"}, {"ip6:ipv6-icmp", "::1"}, {"ip6:58", "::"},
			{"ip:icmp", ""}, {"ip:1", "127.0.0.1"}, {"ip:1", "::1"}, {"ip4:1", "::1"}, {"ip6:1", "127.0.0.1"}, {"ip4:1", "127.0.0.1:0"},
			{"ip4:1", "192.168.69.77"}, {"ip6:1", "fdaa::77"}, {"ip6:1", "fe80::77"}, {"ip6:1", "[::1]"}, {"ip4:255", "127.0.0.1"},
		} {
			c, err := a.ListenPacket(tc.network, tc.address)
			if err == nil {
				a.note("address of "+tc.network+" "+tc.address, free, nil, c.LocalAddr().Network(), c.LocalAddr())
			}
			a.opened(tc.network+" "+tc.address, c, err)
			l, err := a.Listen(tc.network, tc.address)
			a.opened("Listen "+tc.network+" "+tc.address, l, err)
		}
	}},
	{name: "dial IP", do: func(a *actor) {
		for _, tc := range []struct{ network, address string }{
			{"ip", "127.0.0.1"}, {"ip4:foo", "127.0.0.1"}, {"ip4:0", "127.0.0.1"}, {"ip4:icmp", ""}, {"ip4:icmp", "127.0.0.1"},
			{"ip:icmp", "127.0.0.1"}, {"ip:icmp", "::1"}, {"ip6:icmp", "127.0.0.1"}, {"ip4:icmp", "::1"}, {"ip4:icmp", "127.0.0.1:0"},
			{"ip4:icmp", "0.0.0.0"}, {"ip:icmp", "::"}, {"ip6:58", "::"}, {"ip4:icmp", "8.8.8.8"}, {"ip4:icmp", "255.255.255.255"},
			{"ip4:icmp", "192.168.69.77"},
		} {
			c, err := a.Dial(tc.network, tc.address)
			a.note("addresses of "+tc.network+" "+tc.address, free, nil, endsOf(c))
			a.opened(tc.network+" "+tc.address, c, err)
		}
		for _, local := range []net.Addr{
			&net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.IPAddr{IP: net.IPv6loopback}, &net.IPAddr{}, &net.UDPAddr{},
			&net.IPAddr{IP: net.IPv4(192, 168, 69, 77)},
		} {
			c, err := a.DialBy(a.t.Context(), net.Dialer{LocalAddr: local}, "ip4:icmp", "127.0.0.1")
			a.opened(fmt.Sprintf("from %T %v", local, local), c, err)
		}
	}, but: []difference{
		{"addresses of ip4:icmp 255.255.255.255", "none, nil", "ip SELF4 255.255.255.255, nil", everybody},
		{"ip4:icmp 255.255.255.255", "nil, OpError{dial ip4:icmp ->IPAddr 255.255.255.255}: SyscallError{connect}: ENETUNREACH",
			"something, nil", everybody},
	}},
	{name: "DialIP and ListenIP", do: func(a *actor) {
		for _, tc := range []struct {
			network string
			local   *net.IPAddr
			remote  *net.IPAddr
		}{
			{"foo", nil, nil}, {"ip4:1", nil, nil}, {"tcp", nil, &net.IPAddr{}}, {"ip", nil, &net.IPAddr{}},
			{"ip4:1", nil, &net.IPAddr{}}, {"ip:1", nil, &net.IPAddr{}}, {"ip6:1", nil, &net.IPAddr{}},
			{"ip4:1", &net.IPAddr{}, &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}},
			{"ip4:1", &net.IPAddr{IP: net.IPv6loopback}, &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}},
			{"ip:1", &net.IPAddr{IP: net.IPv6loopback}, &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}},
			{"ip:1", &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.IPAddr{IP: net.IPv6loopback}},
			{"ip:1", nil, &net.IPAddr{IP: net.IP{1, 2, 3}}},
			{"ip6:1", nil, &net.IPAddr{IP: net.ParseIP("fe80::77")}},
		} {
			step := fmt.Sprintf("%s %v %v", tc.network, tc.local, tc.remote)
			c, err := a.DialIP(tc.network, tc.local, tc.remote)
			a.opened("DialIP "+step, c, err)
			if tc.remote != nil {
				c, err = a.ListenIP(tc.network, tc.remote)
			} else {
				c, err = a.ListenIP(tc.network, tc.local)
			}
			a.opened("ListenIP "+step, c, err)
		}
	}, but: []difference{
		{"DialIP ip:1 ::1 127.0.0.1", "something, nil",
			"nil, OpError{dial ip:1 IPAddr ::1->IPAddr 127.0.0.1}: SyscallError{connect}: ENETUNREACH", noMapped},
		{"DialIP ip:1 127.0.0.1 ::1", "nil, OpError{dial ip:1 IPAddr 127.0.0.1->IPAddr ::1}: SyscallError{bind}: EADDRNOTAVAIL",
			"nil, OpError{dial ip:1 IPAddr 127.0.0.1->IPAddr ::1}: SyscallError{connect}: EAFNOSUPPORT", noMapped},
	}},
}

// ip returns a socket for a protocol that is the row's alone.
func (a *actor) ip(network string, protocol int) ipConn {
	a.t.Helper()
	c, err := a.ListenIP(fmt.Sprintf("%s:%d", network, protocol), nil)
	a.must(err)
	a.t.Cleanup(func() { c.Close() })
	a.must(c.SetDeadline(time.Now().Add(patience)))
	return c
}

// ipPair returns a connected socket and the peer's, connected too.
func (a *actor) ipPair(protocol int) (c, peer ipConn) {
	a.t.Helper()
	network := fmt.Sprintf("ip4:%d", protocol)
	self, other := &net.IPAddr{IP: a.self.ipv4.AsSlice()}, &net.IPAddr{IP: a.peer.ipv4.AsSlice()}
	peer, err := a.peerWorld.DialIP(network, nil, self)
	a.must(err)
	a.t.Cleanup(func() { peer.Close() })
	a.must(peer.SetDeadline(time.Now().Add(patience)))
	c, err = a.DialIP(network, nil, other)
	a.must(err)
	a.t.Cleanup(func() { c.Close() })
	a.must(c.SetDeadline(time.Now().Add(patience)))
	return c, peer
}

var ipSending = []row{
	{name: "writing without a peer", do: func(a *actor) {
		for _, network := range []string{"ip4", "ip6", "ip"} {
			c := a.ip(network, 200)
			a.note("addresses of "+network, free, nil, c.LocalAddr(), something(c.RemoteAddr()))
			a.write("Write", c, 8)
			a.writeTo("WriteTo another type", c, 8, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			a.writeTo("WriteTo nil", c, 8, nil)
			for _, to := range []*net.IPAddr{
				nil, {}, {IP: net.IPv4(127, 0, 0, 1)}, {IP: net.IPv6loopback}, {IP: net.IP{1, 2, 3}}, {IP: net.IPv4(8, 8, 8, 8)},
				{IP: net.IPv4zero}, {IP: net.ParseIP("2001:db8::1")}, {IP: a.peer.ipv4.AsSlice()}, {IP: a.peer.ipv6.AsSlice()},
				{IP: net.ParseIP("fe80::77")},
			} {
				step := a.anonymous(fmt.Sprintf("%s to %v", network, to))
				n, err := c.WriteToIP(make([]byte, 8), to)
				a.note("WriteToIP, "+step, writing, err, n)
				n, oobn, err := c.WriteMsgIP(make([]byte, 8), nil, to)
				a.note("WriteMsgIP, "+step, writing, err, n, oobn)
			}
			n, err := c.WriteToIP(make([]byte, 70000), &net.IPAddr{IP: a.peer.in(silentNetworks[0]).AsSlice()})
			a.note("70,000 octets", writing, err, n)
		}
	}, but: []difference{
		{"WriteToIP, ip6 to fe80::77", "8, nil", "0, OpError{write ip6 IPAddr ::->IPAddr fe80::77}: SyscallError{sendto}: EINVAL", whichLink},
		{"WriteMsgIP, ip6 to fe80::77", "8 0, nil", "0 0, OpError{write ip6 IPAddr ::->IPAddr fe80::77}: SyscallError{sendmsg}: EINVAL", whichLink},
		{"WriteToIP, ip to fe80::77", "8, nil", "0, OpError{write ip IPAddr ::->IPAddr fe80::77}: SyscallError{sendto}: EINVAL", whichLink},
		{"WriteMsgIP, ip to fe80::77", "8 0, nil", "0 0, OpError{write ip IPAddr ::->IPAddr fe80::77}: SyscallError{sendmsg}: EINVAL", whichLink},
	}},
	{name: "writing to a peer", do: func(a *actor) {
		c, peer := a.ipPair(201)
		a.note("addresses", free, nil, c.LocalAddr(), c.RemoteAddr())
		n, err := c.WriteTo([]byte("x"), peer.LocalAddr())
		a.note("WriteTo while connected", writing, err, n)
		n, err = c.WriteToIP([]byte("x"), nil)
		a.note("WriteToIP nil while connected", writing, err, n)
		n, oobn, err := c.WriteMsgIP([]byte("x"), nil, nil)
		a.note("WriteMsgIP while connected", writing, err, n, oobn)
		a.write("Write", c, 8)
		a.write("Write nothing", c, 0)
		a.must(c.Close())
		a.write("Write after Close", c, 8)
		a.note("Close again", closing, c.Close())
		a.note("SetDeadline after Close", setting, c.SetDeadline(time.Time{}))
		a.note("SetReadBuffer after Close", setting, c.SetReadBuffer(1000))
		a.read("Read after Close", c, 8)
		a.readFrom("ReadFrom after Close", c, 8)
	}},
}

var ipReceiving = []row{
	{name: "what is read of a packet of IPv4", do: func(a *actor) {
		c, peer := a.ipPair(202)
		for _, size := range []int{64, 28, 24, 20, 19, 1, 0} {
			b := make([]byte, size)
			_, err := peer.Write([]byte("payload!"))
			a.must(err)
			n, addr, err := c.ReadFromIP(b)
			if size < 20 { // the header's identification differs
				clear(b)
			}
			a.note(fmt.Sprintf("ReadFromIP %d", size), reading, err, n, addr, string(b[:max(0, min(n, 8))]))
			_, err = peer.Write([]byte("payload!"))
			a.must(err)
			n, oobn, flags, addr, err := c.ReadMsgIP(b, nil)
			a.note(fmt.Sprintf("ReadMsgIP %d", size), reading, err, n, oobn, flags, addr)
			if size == 0 {
				break
			}
			_, err = peer.Write([]byte("payload!"))
			a.must(err)
			n, err = c.Read(b)
			a.note(fmt.Sprintf("Read %d", size), reading, err, n)
		}
		a.read("Read nothing", c, 0)
	}},
	{name: "what is read of a packet of IPv6", do: func(a *actor) {
		c := a.ip("ip6", 203)
		peer, err := a.peerWorld.DialIP("ip6:203", nil, &net.IPAddr{IP: a.self.ipv6.AsSlice()})
		a.must(err)
		a.t.Cleanup(func() { peer.Close() })
		for _, size := range []int{64, 8, 7, 1} {
			b := make([]byte, size)
			_, err := peer.Write([]byte("payload!"))
			a.must(err)
			n, addr, err := c.ReadFromIP(b)
			a.note(fmt.Sprintf("ReadFromIP %d", size), reading, err, n, addr, string(b[:n]))
			_, err = peer.Write([]byte("payload!"))
			a.must(err)
			n, oobn, flags, addr, err := c.ReadMsgIP(b, nil)
			a.note(fmt.Sprintf("ReadMsgIP %d", size), reading, err, n, oobn, flags, addr, string(b[:n]))
		}
	}},
	{name: "deadlines of an IP socket", do: func(a *actor) {
		c, _ := a.ipPair(204)
		a.must(c.SetDeadline(time.Now().Add(-time.Second)))
		a.read("Read", c, 8)
		a.readFrom("ReadFrom", c, 8)
		a.write("Write", c, 8)
		_, _, _, _, err := c.ReadMsgIP(make([]byte, 8), nil)
		a.note("ReadMsgIP", reading, err)
		a.must(c.SetDeadline(time.Time{}))
		a.write("Write again", c, 8)
	}},
	{name: "an IP socket whose protocol the peer does not speak", do: func(a *actor) {
		c, err := a.DialIP("ip4:205", nil, &net.IPAddr{IP: a.peer.ipv4.AsSlice()})
		a.must(err)
		a.t.Cleanup(func() { c.Close() })
		a.must(c.SetDeadline(time.Now().Add(patience)))
		a.write("Write", c, 8)
		a.read("Read", c, 8)
		a.must(c.Close()) // or it would be a socket that speaks the protocol
		six, err := a.DialIP("ip6:205", nil, &net.IPAddr{IP: a.peer.ipv6.AsSlice()})
		a.must(err)
		a.t.Cleanup(func() { six.Close() })
		a.must(six.SetDeadline(time.Now().Add(patience)))
		a.write("Write, IPv6", six, 8)
		a.read("Read, IPv6", six, 8)
		a.must(six.Close())
	}},
}

var ipNothing = []row{
	{name: "an IP socket that nobody has opened", do: func(a *actor) {
		c := a.zeroIP()
		_, err := c.Read(make([]byte, 8))
		a.note("Read", free, err)
		_, _, err = c.ReadFromIP(make([]byte, 8))
		a.note("ReadFromIP", free, err)
		_, err = c.Write(make([]byte, 8))
		a.note("Write", free, err)
		_, err = c.WriteTo(make([]byte, 8), &net.IPAddr{})
		a.note("WriteTo", free, err)
		_, _, err = c.WriteMsgIP(nil, nil, nil)
		a.note("WriteMsgIP", free, err)
		_, _, _, _, err = c.ReadMsgIP(nil, nil)
		a.note("ReadMsgIP", free, err)
		a.note("Close", free, c.Close())
		a.note("LocalAddr", free, nil, something(c.LocalAddr()), something(c.RemoteAddr()))
		for _, set := range []func(time.Time) error{c.SetDeadline, c.SetReadDeadline, c.SetWriteDeadline} {
			a.note("deadline", free, set(time.Time{}))
		}
		a.note("buffers", free, c.SetReadBuffer(1), c.SetWriteBuffer(1))
	}},
}

// The kernel's raw sockets and the stack's see the same packets.
func TestKernelAndStackHearTheSame(t *testing.T) {
	withKernel(t, overTap, func(t *testing.T, c *cable) {
		at := &net.IPAddr{IP: c.stack.ipv4.AsSlice()}
		heard, err := c.stack.stack.ListenIP("ip4:210", at)
		require.NoError(t, err)
		defer heard.Close()
		require.NoError(t, heard.SetDeadline(time.Now().Add(patience)))
		said, err := net.DialIP("ip4:210", nil, at)
		require.NoError(t, err)
		defer said.Close()
		for _, size := range []int{0, 1, 1000, c.link.MTU() - 20} {
			payload := noise(size, size)
			_, err = said.Write(payload)
			require.NoError(t, err)
			b := make([]byte, 2000)
			n, from, err := heard.ReadFromIP(b)
			require.NoError(t, err)
			require.Equal(t, payload, b[:n])
			require.Equal(t, c.kernel.ipv4.String(), from.String())
		}
	})
}
