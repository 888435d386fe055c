package smolnet_test

import (
	"math"
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestKernelErrorsOfUDP(t *testing.T) {
	errorRows(t, udpListen, udpSending, udpReceiving, udpEnded, udpNothing)
}

func TestKernelErrorsOfNames(t *testing.T) { errorRows(t, nameRows) }

// Why the two differ.
const (
	noAddress = "beside an error package net has the address of nobody, and -1 octets, in these two methods alone"
	whichLink = "the kernel sends by the first link there is"
	ownRule   = "package net's own rule is that such an address is nil"
)

var udpListen = []row{
	{name: "listen for datagrams", do: func(a *actor) {
		for _, tc := range []struct{ network, address string }{
			{"foo", ""}, {"", ""}, {"tcp", "127.0.0.1:0"}, {"udp", "127.0.0.1"}, {"udp", "127.0.0.1:-1"}, {"udp", "127.0.0.1:65536"},
			{"udp", "127.0.0.1:☺"}, {"udp6", "[::1]:foo"}, {"udp", "[::1"}, {"udp4", "[::1]:0"}, {"udp6", "127.0.0.1:0"},
			{"udp", "192.168.69.77:0"}, {"udp", "[fdaa::77]:0"}, {"udp", "[fe80::77]:0"}, {"udp", "[fe80::77%nowhere]:0"},
		} {
			c, err := a.ListenPacket(tc.network, tc.address)
			a.opened(tc.network+" "+tc.address, c, err)
		}
	}},
	{name: "listen for datagrams where somebody does", do: func(a *actor) {
		taken := a.bound(a.world, "127.0.0.1:0")
		a.call(taken.LocalAddr(), "TAKEN")
		c, err := a.ListenPacket("udp", taken.LocalAddr().String())
		a.opened("ListenPacket", c, err)
		c, err = a.ListenUDP("udp", taken.LocalAddr().(*net.UDPAddr))
		a.opened("ListenUDP", c, err)
	}},
	{name: "ListenUDP", do: func(a *actor) {
		for _, tc := range []struct {
			step, network string
			addr          *net.UDPAddr
		}{
			{"unknown network", "foo", nil},
			{"no network", "", &net.UDPAddr{}},
			{"the other protocol", "tcp", &net.UDPAddr{}},
			{"port -1", "udp", &net.UDPAddr{Port: -1}},
			{"port 65536", "udp", &net.UDPAddr{Port: 65536}},
			{"an IP of 3 octets", "udp", &net.UDPAddr{IP: net.IP{1, 2, 3}}},
			{"IPv6 by udp4", "udp4", &net.UDPAddr{IP: net.IPv6loopback}},
			{"IPv4 by udp6", "udp6", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}},
			{"somebody else's", "udp", &net.UDPAddr{IP: net.IPv4(192, 168, 69, 77)}},
			{"link-local without a zone", "udp", &net.UDPAddr{IP: net.ParseIP("fe80::77")}},
		} {
			c, err := a.ListenUDP(tc.network, tc.addr)
			a.opened(tc.step, c, err)
		}
	}},
}

// there is an address of the peer's where nobody listens.
func (a *actor) there() *net.UDPAddr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.peer.ipv4, unused))
}

var udpSending = []row{
	{name: "send to an address from a connected socket", do: func(a *actor) {
		c, _ := a.connectedUDP()
		a.writeTo("WriteTo", c, 1, a.there())
		a.writeTo("WriteTo its peer", c, 1, c.RemoteAddr())
		a.writeTo("WriteTo nobody", c, 1, nil)
		a.writeTo("WriteTo a nil pointer", c, 1, (*net.UDPAddr)(nil))
		a.writeTo("WriteTo a stranger", c, 1, stranger{})
		n, err := c.WriteToUDP([]byte("x"), a.there())
		a.note("WriteToUDP", writing, err, n)
		n, err = c.WriteToUDP([]byte("x"), nil)
		a.note("WriteToUDP nobody", writing, err, n)
		n, err = c.WriteToUDPAddrPort([]byte("x"), a.there().AddrPort())
		a.note("WriteToUDPAddrPort", writing, err, n)
		n, err = c.WriteToUDPAddrPort([]byte("x"), netip.AddrPort{})
		a.note("WriteToUDPAddrPort nobody", writing, err, n)
		n, oobn, err := c.WriteMsgUDP([]byte("x"), nil, a.there())
		a.note("WriteMsgUDP", writing, err, n, oobn)
		n, oobn, err = c.WriteMsgUDPAddrPort([]byte("x"), nil, a.there().AddrPort())
		a.note("WriteMsgUDPAddrPort", writing, err, n, oobn)
		n, oobn, err = c.WriteMsgUDP([]byte("x"), nil, nil)
		a.note("WriteMsgUDP to the peer", writing, err, n, oobn)
	}},
	{name: "send without an address from a socket that is not connected", do: func(a *actor) {
		for _, network := range []string{"udp", "udp4", "udp6"} {
			c := a.udp(network)
			a.write(network+" Write", c, 1)
			a.write(network+" Write of nothing", c, 0)
			a.writeTo(network+" WriteTo nobody", c, 1, nil)
			a.writeTo(network+" WriteTo a nil pointer", c, 1, (*net.UDPAddr)(nil))
			n, err := c.WriteToUDP([]byte("x"), nil)
			a.note(network+" WriteToUDP nobody", writing, err, n)
			n, err = c.WriteToUDPAddrPort([]byte("x"), netip.AddrPort{})
			a.note(network+" WriteToUDPAddrPort nobody", writing, err, n)
			n, oobn, err := c.WriteMsgUDP([]byte("x"), nil, nil)
			a.note(network+" WriteMsgUDP nobody", writing, err, n, oobn)
			n, oobn, err = c.WriteMsgUDPAddrPort([]byte("x"), nil, netip.AddrPort{})
			a.note(network+" WriteMsgUDPAddrPort nobody", writing, err, n, oobn)
		}
	}},
	{name: "send to an address of a foreign type", but: []difference{
		{
			step:   "WriteTo a nil pointer",
			kernel: "0, OpError{write udp UDPAddr LOCAL->typed nil}: EINVAL",
			stack:  "0, OpError{write udp UDPAddr LOCAL->}: EINVAL",
			why:    ownRule,
		},
	}, do: func(a *actor) {
		c := a.udp("udp")
		for _, to := range []net.Addr{
			&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}, &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.UnixAddr{Name: "x", Net: "unix"},
			&net.IPNet{IP: net.IPv4(127, 0, 0, 1), Mask: net.CIDRMask(8, 32)}, stranger{}, (*net.TCPAddr)(nil),
		} {
			n, err := c.WriteTo([]byte("x"), to)
			step := "WriteTo " + to.Network()
			if typedNil(to) {
				step = "WriteTo a nil pointer"
			}
			a.note(step, free, err, n)
		}
	}},
	{name: "send to an address of the other family", do: func(a *actor) {
		four, six, loopback := a.udp("udp4"), a.udp("udp6"), a.bound(a.world, "127.0.0.1:0")
		a.call(loopback.LocalAddr(), "LOOPBACK")
		there6 := &net.UDPAddr{IP: net.IPv6loopback, Port: unused}
		a.writeTo("IPv6 by udp4", four, 1, there6)
		a.writeTo("IPv6 by a socket at 127.0.0.1", loopback, 1, there6)
		a.writeTo("IPv4 by udp6", six, 1, a.there())
		n, err := four.WriteToUDPAddrPort([]byte("x"), there6.AddrPort())
		a.note("IPv6 by udp4, AddrPort", writing, err, n)
		n, err = six.WriteToUDPAddrPort([]byte("x"), a.there().AddrPort())
		a.note("IPv4 by udp6, AddrPort", writing, err, n)
		n, _, err = four.WriteMsgUDP([]byte("x"), nil, there6)
		a.note("IPv6 by udp4, Msg", writing, err, n)
		n, _, err = four.WriteMsgUDPAddrPort([]byte("x"), nil, there6.AddrPort())
		a.note("IPv6 by udp4, MsgAddrPort", writing, err, n)
	}},
	{name: "send to an address that cannot be", but: []difference{
		{
			step:   "link-local without a zone",
			kernel: "1, nil",
			stack:  "0, OpError{write udp UDPAddr LOCAL->UDPAddr [fe80::77]:9}: SyscallError{sendto}: EINVAL",
			why:    whichLink,
		},
		{
			step:   "link-local in no such zone",
			kernel: "1, nil",
			stack:  "0, OpError{write udp UDPAddr LOCAL->UDPAddr [fe80::77%nowhere]:9}: SyscallError{sendto}: EINVAL",
			why:    whichLink,
		},
	}, do: func(a *actor) {
		c := a.udp("udp")
		for _, tc := range []struct {
			step string
			to   *net.UDPAddr
		}{
			{"port 0", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}},
			{"port -1", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: -1}},
			{"port 65536", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 65536}},
			{"no host", &net.UDPAddr{Port: unused}},
			{"an IP of 3 octets", &net.UDPAddr{IP: net.IP{1, 2, 3}, Port: unused}},
			{"link-local without a zone", &net.UDPAddr{IP: net.ParseIP("fe80::77"), Port: unused}},
			{"link-local in no such zone", &net.UDPAddr{IP: net.ParseIP("fe80::77"), Port: unused, Zone: "nowhere"}},
			{"no route", &net.UDPAddr{IP: net.IPv4(203, 0, 113, 1), Port: unused}},
			{"no route, IPv6", &net.UDPAddr{IP: net.ParseIP("2001:db8::1"), Port: unused}},
		} {
			a.writeTo(tc.step, c, 1, tc.to)
		}
	}},
	{name: "send too much", do: func(a *actor) {
		for _, network := range []string{"udp4", "udp6"} {
			c := a.udp(network)
			to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.peer.ipv4, unused))
			if network == "udp6" {
				to = net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.peer.ipv6, unused))
			}
			a.writeTo(network+" 65508", c, 65508, to)
			a.writeTo(network+" 65528", c, 65528, to)
			a.writeTo(network+" 100000", c, 100000, to)
			n, _, err := c.WriteMsgUDP(make([]byte, 65536), nil, to)
			a.note(network+" WriteMsgUDP 65536", writing, err, n)
			n, err = c.WriteToUDPAddrPort(make([]byte, 65536), to.AddrPort())
			a.note(network+" WriteToUDPAddrPort 65536", writing, err, n)
		}
		c, _ := a.connectedUDP()
		a.write("connected, 65508", c, 65508)
		a.write("connected, 1 MiB", c, 1<<20)
	}},
	{name: "send much", do: func(a *actor) {
		c := a.udp("udp4")
		a.writeTo("65507", c, 65507, a.there())
		a.writeTo("1473", c, 1473, a.there())
		a.writeTo("1472", c, 1472, a.there())
		a.writeTo("0", c, 0, a.there())
	}},
}

var udpReceiving = []row{
	{name: "send to a closed port, connected", but: []difference{
		{
			step:   "ReadMsgUDP",
			kernel: "-1 0 0 something, OpError{read udp UDPAddr LOCAL->UDPAddr PEER4:9}: SyscallError{recvmsg}: ECONNREFUSED",
			stack:  "0 0 0 typed nil, OpError{read udp UDPAddr LOCAL->UDPAddr PEER4:9}: SyscallError{recvmsg}: ECONNREFUSED",
			why:    noAddress,
		},
		{
			step:   "ReadMsgUDP",
			kernel: "-1 0 0 something, OpError{read udp UDPAddr LOCAL->UDPAddr [PEER6]:9}: SyscallError{recvmsg}: ECONNREFUSED",
			stack:  "0 0 0 typed nil, OpError{read udp UDPAddr LOCAL->UDPAddr [PEER6]:9}: SyscallError{recvmsg}: ECONNREFUSED",
			why:    noAddress,
		},
	}, do: func(a *actor) {
		for _, to := range []netip.Addr{a.peer.ipv4, a.peer.ipv6} {
			dialed, err := a.Dial("udp", netip.AddrPortFrom(to, unused).String())
			a.must(err)
			defer dialed.Close()
			a.call(dialed.LocalAddr(), "LOCAL")
			a.must(dialed.SetDeadline(time.Now().Add(patience)))
			c := dialed.(udpConn)
			a.write("Write", c, 1)
			a.read("Read", c, 1)
			a.write("Write again", c, 1)
			a.readFrom("ReadFrom", c, 1)
			a.write("Write, third", c, 1)
			n, addr, err := c.ReadFromUDP(make([]byte, 1))
			a.note("ReadFromUDP", reading, err, n, something(addr))
			a.write("Write, fourth", c, 1)
			n, from, err := c.ReadFromUDPAddrPort(make([]byte, 1))
			a.note("ReadFromUDPAddrPort", reading, err, n, from)
			a.write("Write, fifth", c, 1)
			n, oobn, flags, addr, err := c.ReadMsgUDP(make([]byte, 1), nil)
			a.note("ReadMsgUDP", reading, err, n, oobn, flags, something(addr))
			a.write("Write, sixth", c, 1)
			a.settle()
			a.write("Write, and is told", c, 1)
			a.settle()
			n, oobn, err = c.WriteMsgUDP([]byte("x"), nil, nil)
			a.note("WriteMsgUDP, and is told", writing, err, n, oobn)
			a.read("Read of what the last one led to", c, 1)
			a.must(c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)))
			a.read("nothing is left", c, 1)
		}
	}},
	{name: "send to a closed port, not connected", do: func(a *actor) {
		c := a.udp("udp")
		a.writeTo("WriteTo", c, 1, a.there())
		a.settle()
		a.writeTo("WriteTo again", c, 1, a.there())
		a.must(c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)))
		a.readFrom("ReadFrom", c, 1)
	}},
	{name: "deadlines of a UDP socket", but: []difference{
		{
			step:   "ReadMsgUDP",
			kernel: "0 0 0 something, OpError{read udp UDPAddr LOCAL->UDPAddr REMOTE} timeout temporary: os.ErrDeadlineExceeded timeout temporary",
			stack:  "0 0 0 typed nil, OpError{read udp UDPAddr LOCAL->UDPAddr REMOTE} timeout temporary: os.ErrDeadlineExceeded timeout temporary",
			why:    noAddress,
		},
		{
			step:   "ReadMsgUDPAddrPort",
			kernel: "0 0 0 0.0.0.0:0, OpError{read udp UDPAddr LOCAL->UDPAddr REMOTE} timeout temporary: os.ErrDeadlineExceeded timeout temporary",
			stack:  "0 0 0 invalid AddrPort, OpError{read udp UDPAddr LOCAL->UDPAddr REMOTE} timeout temporary: os.ErrDeadlineExceeded timeout temporary",
			why:    noAddress,
		},
	}, do: func(a *actor) {
		c, _ := a.connectedUDP()
		a.read("Read of nothing", c, 0)
		a.must(c.SetDeadline(time.Unix(1, 0)))
		a.udpMethods(c)
		a.read("Read of nothing, past", c, 0)
		a.must(c.SetDeadline(time.Time{}))
		a.must(c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)))
		a.read("Read, soon", c, 1)
		timer := time.AfterFunc(10*time.Millisecond, func() { c.SetReadDeadline(time.Unix(1, 0)) })
		defer timer.Stop()
		a.must(c.SetReadDeadline(time.Time{}))
		a.readFrom("ReadFrom, set meanwhile", c, 1)
	}},
	{name: "deadlines of a UDP socket that is not connected", do: func(a *actor) {
		c := a.udp("udp")
		a.must(c.SetDeadline(time.Unix(1, 0)))
		a.readFrom("ReadFrom", c, 1)
		a.writeTo("WriteTo", c, 1, a.there())
		n, err := c.WriteToUDPAddrPort([]byte("x"), a.there().AddrPort())
		a.note("WriteToUDPAddrPort", writing, err, n)
	}},
}

// udpMethods notes what reading and writing a connected socket comes to.
func (a *actor) udpMethods(c udpConn) {
	a.read("Read", c, 1)
	a.readFrom("ReadFrom", c, 1)
	n, addr, err := c.ReadFromUDP(make([]byte, 1))
	a.note("ReadFromUDP", reading, err, n, something(addr))
	n, from, err := c.ReadFromUDPAddrPort(make([]byte, 1))
	a.note("ReadFromUDPAddrPort", reading, err, n, from)
	n, oobn, flags, addr, err := c.ReadMsgUDP(make([]byte, 1), nil)
	a.note("ReadMsgUDP", reading, err, n, oobn, flags, something(addr))
	n, oobn, flags, from, err = c.ReadMsgUDPAddrPort(make([]byte, 1), nil)
	a.note("ReadMsgUDPAddrPort", reading, err, n, oobn, flags, from)
	a.write("Write", c, 1)
	a.write("Write of nothing", c, 0)
	n, oobn, err = c.WriteMsgUDP([]byte("x"), nil, nil)
	a.note("WriteMsgUDP", writing, err, n, oobn)
}

var udpEnded = []row{
	{name: "everything after Close, connected", but: []difference{
		{
			step:   "ReadMsgUDP",
			kernel: "0 0 0 something, OpError{read udp UDPAddr LOCAL->UDPAddr REMOTE}: net.ErrClosed",
			stack:  "0 0 0 typed nil, OpError{read udp UDPAddr LOCAL->UDPAddr REMOTE}: net.ErrClosed",
			why:    noAddress,
		},
		{
			step:   "ReadMsgUDPAddrPort",
			kernel: "0 0 0 0.0.0.0:0, OpError{read udp UDPAddr LOCAL->UDPAddr REMOTE}: net.ErrClosed",
			stack:  "0 0 0 invalid AddrPort, OpError{read udp UDPAddr LOCAL->UDPAddr REMOTE}: net.ErrClosed",
			why:    noAddress,
		},
	}, do: func(a *actor) {
		c, _ := a.connectedUDP()
		a.note("Close", free, c.Close())
		a.note("Close again", closing, c.Close())
		a.udpMethods(c)
		a.writeTo("WriteTo", c, 1, a.there())
		a.udpSetters(c, false)
		a.note("LocalAddr", free, nil, c.LocalAddr())
		a.note("RemoteAddr", free, nil, c.RemoteAddr())
	}},
	{name: "everything after Close, not connected", do: func(a *actor) {
		c := a.udp("udp")
		a.must(c.Close())
		a.note("Close again", closing, c.Close())
		a.readFrom("ReadFrom", c, 1)
		a.write("Write", c, 1)
		a.writeTo("WriteTo", c, 1, a.there())
		a.writeTo("WriteTo nobody", c, 1, nil)
		a.writeTo("WriteTo a stranger", c, 1, stranger{})
		n, err := c.WriteToUDPAddrPort([]byte("x"), a.there().AddrPort())
		a.note("WriteToUDPAddrPort", writing, err, n)
		a.note("RemoteAddr", free, nil, something(c.RemoteAddr()))
	}},
	{name: "close while reading datagrams", do: func(a *actor) {
		c := a.udp("udp")
		timer := time.AfterFunc(10*time.Millisecond, func() { c.Close() })
		defer timer.Stop()
		a.readFrom("ReadFrom", c, 1)
	}},
	{name: "setters of a UDP socket", do: func(a *actor) {
		c := a.udp("udp")
		a.udpSetters(c, false)
		a.note("SetReadBuffer of 0", setting, c.SetReadBuffer(0))
		a.note("SetReadBuffer of -1", setting, c.SetReadBuffer(-1))
		a.note("SetWriteBuffer of -1", setting, c.SetWriteBuffer(-1))
	}},
}

func (a *actor) udpSetters(c udpConn, try bool) {
	for _, set := range []struct {
		name string
		do   func() error
	}{
		{"SetDeadline", func() error { return c.SetDeadline(time.Time{}) }},
		{"SetReadDeadline", func() error { return c.SetReadDeadline(time.Time{}) }},
		{"SetWriteDeadline", func() error { return c.SetWriteDeadline(time.Time{}) }},
		{"SetReadBuffer", func() error { return c.SetReadBuffer(65536) }},
		{"SetWriteBuffer", func() error { return c.SetWriteBuffer(65536) }},
	} {
		if try {
			a.try(set.name, func() (any, error) { return nil, set.do() })
			continue
		}
		a.note(set.name, setting, set.do())
	}
}

var udpNothing = []row{
	{name: "UDP methods of a nil pointer", do: func(a *actor) {
		_, c, _ := a.nothing()
		a.udpNothing(c)
	}},
	{name: "UDP methods of the zero value", do: func(a *actor) {
		_, c, _ := a.zero()
		a.udpNothing(c)
	}},
}

func (a *actor) udpNothing(c udpConn) {
	for _, method := range []struct {
		name string
		do   func() (any, error)
	}{
		{"Read", func() (any, error) { return c.Read(make([]byte, 1)) }},
		{"Write", func() (any, error) { return c.Write(make([]byte, 1)) }},
		{"ReadFrom", func() (any, error) {
			_, addr, err := c.ReadFrom(make([]byte, 1))
			return something(addr), err
		}},
		{"ReadFromUDP", func() (any, error) {
			_, addr, err := c.ReadFromUDP(make([]byte, 1))
			return something(addr), err
		}},
		{"ReadFromUDPAddrPort", func() (any, error) {
			_, addr, err := c.ReadFromUDPAddrPort(make([]byte, 1))
			return addr, err
		}},
		{"WriteTo", func() (any, error) { return c.WriteTo(make([]byte, 1), a.there()) }},
		{"WriteTo nobody", func() (any, error) { return c.WriteTo(make([]byte, 1), nil) }},
		{"WriteToUDP", func() (any, error) { return c.WriteToUDP(make([]byte, 1), nil) }},
		{"WriteToUDPAddrPort", func() (any, error) { return c.WriteToUDPAddrPort(make([]byte, 1), netip.AddrPort{}) }},
		{"LocalAddr", func() (any, error) { return something(c.LocalAddr()), nil }},
		{"RemoteAddr", func() (any, error) { return something(c.RemoteAddr()), nil }},
		{"Close", func() (any, error) { return nil, c.Close() }},
	} {
		a.try(method.name, method.do)
	}
	a.udpSetters(c, true)
}

// nameRows turn names into addresses, and find interfaces.
var nameRows = []row{
	{name: "resolve", do: func(a *actor) {
		for _, tc := range []struct{ network, address string }{
			{"foo", "127.0.0.1:80"}, {"ip", "127.0.0.1:80"}, {"", "127.0.0.1:80"}, {"tcp", ""}, {"tcp", "127.0.0.1"}, {"tcp", "127.0.0.1:-1"},
			{"tcp", "127.0.0.1:65536"}, {"tcp", "127.0.0.1:foo"}, {"tcp4", "127.0.0.1:foo"}, {"tcp4", "[::1]:80"}, {"tcp6", "127.0.0.1:80"},
			{"tcp", "::1:80"}, {"tcp", "[::1"}, {"tcp", "127.0.0.1:"}, {"tcp", ":80"}, {"tcp", "[::]:80"}, {"tcp4", ":http"},
			{"udp", "127.0.0.1:foo"}, {"udp6", "[::1]:foo"}, {"udp4", "[::1]:80"}, {"udp", "127.0.0.1:domain"}, {"udp", ""},
		} {
			addr, err := a.ResolveTCPAddr(tc.network, tc.address)
			a.note("ResolveTCPAddr "+tc.network+" "+tc.address, free, err, addr, addr == nil)
			there, err := a.ResolveUDPAddr(tc.network, tc.address)
			a.note("ResolveUDPAddr "+tc.network+" "+tc.address, free, err, there, there == nil)
		}
		for _, tc := range []struct{ network, address string }{
			{"ip", "127.0.0.1"}, {"ip4", "::1"}, {"ip6", "127.0.0.1"}, {"foo", "127.0.0.1"}, {"", "127.0.0.1"}, {"tcp", "127.0.0.1"},
			{"ip", ""}, {"ip:icmp", "127.0.0.1"}, {"ip:1", "::1"}, {"ip4:foo", "127.0.0.1"}, {"ip:", "127.0.0.1"}, {"ip6", "fe80::1%lo"},
		} {
			addr, err := a.ResolveIPAddr(tc.network, tc.address)
			a.note("ResolveIPAddr "+tc.network+" "+tc.address, free, err, addr, addr == nil)
		}
	}},
	{name: "look up a port", but: []difference{
		{
			step:   "tcp 4294967376",
			kernel: "80, nil",
			stack:  "0, AddrError{invalid port, 4294967376}",
			why:    "package net calculates modulo 1<<32",
		},
	}, do: func(a *actor) {
		for _, tc := range []struct{ network, service string }{
			{"tcp", "http"}, {"tcp4", "HTTP"}, {"udp", "domain"}, {"ip", "domain"}, {"", "https"}, {"tcp", ""}, {"tcp", "0"}, {"tcp", "65535"},
			{"tcp", "65536"}, {"tcp", "-1"}, {"tcp", "+80"}, {"tcp", "-0"}, {"tcp", "+"}, {"tcp", "-"}, {"tcp", "080"}, {"tcp", "0x50"},
			{"tcp", "8o"}, {"tcp", "99999999999999999999x"}, {"tcp", "4294967376"}, {"tcp", "foo"}, {"tcp6", "foo"}, {"udp4", "foo"}, {"udp", "telnet"},
			{"ip", "foo"}, {"", "foo"}, {"foo", "http"}, {"foo", "80"}, {"unix", "http"}, {"tcp", " 80"}, {"tcp", "\x00"}, {"tcp", "-foo"},
		} {
			port, err := a.LookupPort(tc.network, tc.service)
			a.note(tc.network+" "+tc.service, free, err, port)
		}
	}},
	{name: "find an interface", do: func(a *actor) {
		for _, name := range []string{"", "nowhere", "a name that is much too long for an interface"} {
			found, err := a.InterfaceByName(name)
			a.note("called "+name, free, err, something(found))
		}
		for _, index := range []int{0, -1, 77, math.MaxInt} {
			found, err := a.InterfaceByIndex(index)
			a.note("number", free, err, index, something(found))
		}
	}},
}
