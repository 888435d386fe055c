package smolnet_test

import (
	"context"
	"net"
	"testing"
	"time"
)

func TestKernelErrorsOfListen(t *testing.T) { errorRows(t, listenRows, acceptRows) }

// Why the two differ.
const toGroup = "no connection can be to a group"

var listenRows = []row{
	{name: "listen", but: []difference{
		{
			step:   "tcp 224.0.0.1:0",
			kernel: "something, nil",
			stack:  "nil, OpError{listen tcp ->TCPAddr 224.0.0.1:0}: SyscallError{bind}: EADDRNOTAVAIL",
			why:    toGroup,
		},
		{
			step:   "tcp 255.255.255.255:0",
			kernel: "something, nil",
			stack:  "nil, OpError{listen tcp ->TCPAddr 255.255.255.255:0}: SyscallError{bind}: EADDRNOTAVAIL",
			why:    toGroup,
		},
		{
			step:   "tcp [ff02::1]:0",
			kernel: "nil, OpError{listen tcp ->TCPAddr [ff02::1]:0}: SyscallError{bind}: EINVAL",
			stack:  "nil, OpError{listen tcp ->TCPAddr [ff02::1]:0}: SyscallError{bind}: EADDRNOTAVAIL",
			why:    toGroup,
		},
	}, do: func(a *actor) {
		for _, tc := range []struct{ network, address string }{
			{"foo", ""}, {"tcp5", "127.0.0.1:0"}, {"udp", "127.0.0.1:0"}, {"tcp", "127.0.0.1"}, {"tcp", "127.0.0.1:-1"},
			{"tcp", "127.0.0.1:65536"}, {"tcp", "127.0.0.1:☺"}, {"tcp", "127.0.0.1:foo"}, {"tcp4", "127.0.0.1:foo"}, {"tcp", "[::1"},
			{"tcp", "::1:0"}, {"tcp4", "[::1]:0"}, {"tcp6", "127.0.0.1:0"}, {"tcp", "192.168.69.77:0"}, {"tcp", "[fdaa::77]:0"},
			{"tcp", "203.0.113.1:80"}, {"tcp", "[fe80::77]:0"}, {"tcp", "[fe80::77%nowhere]:0"}, {"tcp", "224.0.0.1:0"},
			{"tcp", "255.255.255.255:0"}, {"tcp", "[ff02::1]:0"},
		} {
			l, err := a.Listen(tc.network, tc.address)
			a.opened(tc.network+" "+tc.address, l, err)
		}
	}},
	{name: "listen where somebody does", do: func(a *actor) {
		taken := a.listener()
		l, err := a.Listen("tcp", taken.Addr().String())
		a.opened("Listen", l, err)
		l, err = a.ListenTCP("tcp", taken.Addr().(*net.TCPAddr))
		a.opened("ListenTCP", l, err)
		port := taken.Addr().(*net.TCPAddr).Port
		a.call(&net.TCPAddr{Port: port}, ":TAKEN")
		l, err = a.ListenTCP("tcp", &net.TCPAddr{Port: port})
		a.opened("everywhere", l, err)
		l, err = a.ListenTCP("tcp4", &net.TCPAddr{Port: port})
		a.opened("everywhere in IPv4", l, err)
	}},
	{name: "ListenTCP", do: func(a *actor) {
		for _, tc := range []struct {
			step, network string
			addr          *net.TCPAddr
		}{
			{"unknown network", "foo", nil},
			{"no network", "", &net.TCPAddr{}},
			{"the other protocol", "udp", &net.TCPAddr{}},
			{"port -1", "tcp", &net.TCPAddr{Port: -1}},
			{"port 65536", "tcp", &net.TCPAddr{Port: 65536}},
			{"an IP of 3 octets", "tcp", &net.TCPAddr{IP: net.IP{1, 2, 3}}},
			{"IPv6 by tcp4", "tcp4", &net.TCPAddr{IP: net.IPv6loopback}},
			{"IPv4 by tcp6", "tcp6", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}},
			{"somebody else's", "tcp", &net.TCPAddr{IP: net.IPv4(192, 168, 69, 77)}},
			{"link-local without a zone", "tcp", &net.TCPAddr{IP: net.ParseIP("fe80::77")}},
		} {
			l, err := a.ListenTCP(tc.network, tc.addr)
			a.opened(tc.step, l, err)
		}
	}},
	{name: "listen with a context that is cancelled", do: func(a *actor) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		l, err := a.ListenBy(ctx, "tcp", "127.0.0.1")
		a.opened("without a port", l, err)
		l, err = a.ListenBy(ctx, "tcp", "127.0.0.1:foo")
		a.opened("at an unknown service", l, err)
	}},
}

var acceptRows = []row{
	{name: "accept after Close", do: func(a *actor) {
		l := a.listener()
		a.note("Close", closing, l.Close())
		a.accept("Accept", l)
		a.accept("Accept again", l)
		a.note("SetDeadline", free, l.SetDeadline(time.Time{})) // bare: package net breaks its own rule
		a.note("Close again", closing, l.Close())
		a.note("Addr", free, nil, l.Addr())
	}},
	{name: "accept while somebody closes", do: func(a *actor) {
		l := a.listener()
		timer := time.AfterFunc(10*time.Millisecond, func() { l.Close() })
		defer timer.Stop()
		a.accept("Accept", l)
	}},
	{name: "accept until a deadline", do: func(a *actor) {
		l := a.listener()
		a.must(l.SetDeadline(time.Unix(1, 0)))
		a.accept("past", l)
		a.must(l.SetDeadline(time.Now().Add(10 * time.Millisecond)))
		a.accept("soon", l)
		a.accept("again", l)
		a.must(l.SetDeadline(time.Time{}))
		timer := time.AfterFunc(10*time.Millisecond, func() { l.SetDeadline(time.Unix(1, 0)) })
		defer timer.Stop()
		a.accept("set meanwhile", l)
	}},
}
