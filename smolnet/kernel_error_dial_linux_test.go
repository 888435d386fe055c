package smolnet_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestKernelErrorsOfDial(t *testing.T) {
	errorRows(t, dialAddresses, dialFailures, dialPatience, dialFrom, dialTyped)
}

// dialRow dials each address on each of the networks.
func dialRow(name string, networks string, addresses ...string) row {
	return row{name: name, do: func(a *actor) {
		for _, network := range strings.Fields(networks) {
			for _, address := range addresses {
				c, err := a.Dial(network, address)
				a.opened(network+" "+address, c, err)
			}
		}
	}}
}

// Why the two differ.
const (
	port0     = "datagrams to port 0 could not be sent, as the kernel says when that is tried"
	fromGroup = "nothing may be sent from the broadcast address, and the kernel chooses another without saying so"
)

var dialAddresses = []row{
	dialRow("dial an unknown network", "foo tcp5 TCP tc tcp46 udpx", "", "127.0.0.1:1", "baz"),
	{name: "dial the empty network", do: func(a *actor) {
		c, err := a.Dial("", "127.0.0.1:1")
		a.note("dial", free, err, something(c)) // there is no Net in the error
	}},
	dialRow("dial no address", "tcp tcp4 tcp6 udp udp4 udp6", ""),
	dialRow("dial without a port", "tcp udp", "192.168.69.77", "[fdaa::77]", "host", "["),
	dialRow("dial with too many colons", "tcp udp", "fdaa::77:80", "192.168.69.77:80:80", "::", "a:b:c"),
	dialRow("dial with odd brackets", "tcp udp", "[fdaa::77:80", "fdaa::77]:80", "[fdaa::77]80", "[fda[a::77]:80", "[fda]a::77]:80", "[a]b:80"),
	dialRow("dial a bad port", "tcp udp tcp4 udp6", "127.0.0.1:-1", "127.0.0.1:65536", "127.0.0.1:123456789",
		"127.0.0.1:123456789123456789123456789", "127.0.0.1:-123456789123456789123456789"),
	dialRow("dial an unknown service", "tcp tcp4 tcp6 udp", "127.0.0.1:foo", "127.0.0.1:☺", "127.0.0.1:0x50", "127.0.0.1: 80",
		"127.0.0.1:80 ", "127.0.0.1:1_0", "127.0.0.1:8.0"),
	dialRow("dial a service of the other protocol", "udp", "127.0.0.1:telnet"),
	dialRow("dial an address of the other family", "tcp4 udp4", "[::1]:80", "[fdaa::77]:80", "[fe80::77%lo]:80"),
	dialRow("dial an address of the other family, IPv6", "tcp6 udp6", "127.0.0.1:80", "[::ffff:127.0.0.1]:80"),
	dialRow("dial no host", "tcp tcp4 tcp6", ":9", "0.0.0.0:9", "[::]:9", "[::ffff:0.0.0.0]:9"),
	dialRow("dial port 0", "tcp tcp4", "127.0.0.1:0", "127.0.0.1:", "127.0.0.1:+", ":0", ":", "[::1]:0"),
	dialRow("dial UDP port 0", "udp udp4", "127.0.0.1:0").except([]difference{
		{
			step:   "udp 127.0.0.1:0",
			kernel: "something, nil",
			stack:  "nil, OpError{dial udp ->UDPAddr 127.0.0.1:0}: SyscallError{connect}: EINVAL",
			why:    port0,
		},
		{
			step:   "udp4 127.0.0.1:0",
			kernel: "something, nil",
			stack:  "nil, OpError{dial udp4 ->UDPAddr 127.0.0.1:0}: SyscallError{connect}: EINVAL",
			why:    port0,
		},
	}...),
}

var dialFailures = []row{
	{name: "dial refused", do: func(a *actor) {
		for _, host := range []netip.Addr{a.peer.ipv4, a.peer.ipv6, a.peer.linkLocal.WithZone(a.self.zone), a.self.ipv4, a.self.ipv6} {
			c, err := a.Dial("tcp", netip.AddrPortFrom(host, unused).String())
			a.opened("dial "+a.anonymous(host.String()), c, err)
		}
	}},
	dialRow("dial refused by oneself", "tcp", "127.0.0.1:9", "127.9.9.9:9", "[::1]:9", "[::ffff:127.0.0.1]:9"),
	dialRow("dial without a route", "tcp udp", "203.0.113.1:80", "[2001:db8::1]:80"),
	dialRow("dial an address that nobody has", "tcp", "192.168.69.77:80", "[fdaa::77]:80"),
	dialRow("dial link-local without a zone", "tcp udp", "[fe80::77]:80", "[fe80::77%nowhere]:80"),
	dialRow("dial multicast", "tcp", "224.0.0.1:80", "[ff02::1]:80"),
	dialRow("dial broadcast", "tcp", "255.255.255.255:80", "192.168.69.255:80"),
	dialRow("dial what is no address of a host", "tcp", "0.0.0.1:9", "240.0.0.1:9"),
	{name: "dial and be reset at once", do: func(a *actor) {
		l, err := a.peerWorld.Listen("tcp", a.port(0))
		a.must(err)
		a.must(l.Close())
		c, err := a.Dial("tcp", l.Addr().String())
		a.call(l.Addr(), "REMOTE")
		a.opened("dial", c, err)
	}},
}

var dialPatience = []row{
	{name: "dial with a timeout", do: func(a *actor) {
		for _, address := range []string{silent4, silent6} {
			c, err := a.DialTimeout("tcp", address, 10*time.Millisecond)
			a.expired(address, c, err)
		}
	}},
	{name: "dial with a timeout that is over", do: func(a *actor) {
		for _, network := range []string{"tcp", "udp"} {
			for _, timeout := range []time.Duration{-1, 1, -time.Hour} {
				c, err := a.DialTimeout(network, silent4, timeout)
				a.opened(network+" "+timeout.String(), c, err)
			}
		}
	}},
	{name: "dial with a deadline", do: func(a *actor) {
		c, err := a.DialBy(context.Background(), net.Dialer{Deadline: time.Now().Add(10 * time.Millisecond)}, "tcp", silent4)
		a.expired("soon", c, err)
		c, err = a.DialBy(context.Background(), net.Dialer{Deadline: time.Unix(1, 0)}, "tcp", silent4)
		a.opened("past", c, err)
		c, err = a.DialBy(context.Background(), net.Dialer{Deadline: time.Unix(1, 0)}, "udp", silent4)
		a.opened("past, UDP", c, err)
		c, err = a.DialBy(context.Background(), net.Dialer{Deadline: time.Unix(1, 0)}, "tcp", "bad")
		a.opened("past, and the address is bad", c, err)
		c, err = a.DialBy(context.Background(), net.Dialer{Deadline: time.Unix(1, 0)}, "tcp", ":9")
		a.opened("past, and there is no host", c, err)
	}},
	{name: "dial with a context that has a deadline", do: func(a *actor) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		c, err := a.DialContext(ctx, "tcp", silent4)
		a.expired("during", c, err)
		c, err = a.DialContext(ctx, "tcp", silent4)
		a.opened("before", c, err)
		c, err = a.DialContext(ctx, "udp", silent4)
		a.opened("before, UDP", c, err)
		c, err = a.DialBy(ctx, net.Dialer{LocalAddr: &net.TCPAddr{Port: 7}}, "tcp", silent4)
		a.opened("before, from a port", c, err)
		c, err = a.DialContext(ctx, "foo", silent4)
		a.opened("before, and the network is unknown", c, err)
	}},
	{name: "dial with a context that is cancelled", do: func(a *actor) {
		ctx, cancel := context.WithCancel(context.Background())
		timer := time.AfterFunc(10*time.Millisecond, cancel)
		defer timer.Stop()
		c, err := a.DialContext(ctx, "tcp", silent4)
		a.opened("during", c, err)
		c, err = a.DialContext(ctx, "tcp6", silent6)
		a.opened("before", c, err)
		c, err = a.DialContext(ctx, "udp", silent4)
		a.opened("before, UDP", c, err)
		c, err = a.DialContext(ctx, "tcp", a.port(unused))
		a.opened("before, and it would be refused", c, err)
		c, err = a.DialContext(ctx, "tcp", "bad")
		a.opened("before, and the address is bad", c, err)
		c, err = a.DialContext(ctx, "tcp", "127.0.0.1:foo")
		a.opened("before, and the service is unknown", c, err)
	}},
	{name: "dial with a context that is cancelled for a cause", do: func(a *actor) {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(context.DeadlineExceeded)
		c, err := a.DialContext(ctx, "tcp", silent4)
		a.opened("before", c, err)
	}},
	{name: "dial with a Cancel channel", do: func(a *actor) {
		cancel := make(chan struct{})
		timer := time.AfterFunc(10*time.Millisecond, func() { close(cancel) })
		defer timer.Stop()
		//lint:ignore SA1019 deprecated, and works
		d := net.Dialer{Cancel: cancel}
		c, err := a.DialBy(context.Background(), d, "tcp", silent4)
		a.opened("during", c, err)
		c, err = a.DialBy(context.Background(), d, "tcp", silent4)
		a.opened("before", c, err)
	}},
	{name: "dial with a nil context", do: func(a *actor) {
		a.try("dial", func() (any, error) {
			//lint:ignore SA1012 that is what is tried
			_, err := a.DialContext(nil, "tcp", silent4)
			return nil, err
		})
	}},
}

// stranger is an address of nobody's type.
type stranger struct{}

func (stranger) Network() string { return "strange" }
func (stranger) String() string  { return "somewhere" }

// dialFrom dials from addresses that cannot be.
var dialFrom = []row{
	{name: "dial from an address of another type", do: func(a *actor) {
		for _, from := range []net.Addr{
			&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.UnixAddr{Name: "x", Net: "unix"}, stranger{},
		} {
			c, err := a.DialBy(context.Background(), net.Dialer{LocalAddr: from}, "tcp", "127.0.0.1:9")
			a.opened("tcp from "+something(from)+from.Network(), c, err)
		}
		for _, from := range []net.Addr{
			&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}, stranger{},
		} {
			c, err := a.DialBy(context.Background(), net.Dialer{LocalAddr: from}, "udp", "127.0.0.1:9")
			a.opened("udp from "+from.Network(), c, err)
		}
	}},
	{name: "dial from an address of the other family", do: func(a *actor) {
		for _, tc := range []struct{ network, from, to string }{
			{"tcp", "127.0.0.1", "[::1]:9"}, {"tcp", "::1", "127.0.0.1:9"}, {"tcp4", "::1", "127.0.0.1:9"},
			{"tcp6", "127.0.0.1", "[::1]:9"},
		} {
			c, err := a.DialBy(context.Background(), net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(tc.from)}}, tc.network, tc.to)
			a.opened(tc.network+" "+tc.from+" "+tc.to, c, err)
			c, err = a.DialBy(context.Background(), net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(tc.from)}},
				"udp"+tc.network[3:], tc.to)
			a.opened("udp"+tc.network[3:]+" "+tc.from+" "+tc.to, c, err)
		}
	}},
	{name: "dial from an address of somebody else's", but: []difference{
		{
			step:   "tcp4 255.255.255.255",
			kernel: "nil, OpError{dial tcp4 TCPAddr 255.255.255.255:0->TCPAddr PEER4:9}: SyscallError{connect}: ECONNREFUSED",
			stack:  "nil, OpError{dial tcp4 TCPAddr 255.255.255.255:0->TCPAddr PEER4:9}: SyscallError{bind}: EADDRNOTAVAIL",
			why:    fromGroup,
		},
		{
			step:   "udp4 255.255.255.255",
			kernel: "something, nil",
			stack:  "nil, OpError{dial udp4 UDPAddr 255.255.255.255:0->UDPAddr PEER4:9}: SyscallError{bind}: EADDRNOTAVAIL",
			why:    fromGroup,
		},
	}, do: func(a *actor) {
		for _, tc := range []struct{ network, from string }{
			{"tcp", "192.168.69.77"}, {"tcp", "10.1.1.1"}, {"tcp4", "255.255.255.255"},
		} {
			c, err := a.DialBy(context.Background(), net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(tc.from)}}, tc.network, a.port(unused))
			a.opened(tc.network+" "+tc.from, c, err)
			c, err = a.DialBy(context.Background(), net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(tc.from)}},
				"udp"+tc.network[3:], a.port(unused))
			a.opened("udp"+tc.network[3:]+" "+tc.from, c, err)
		}
		c, err := a.DialBy(context.Background(), net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("fdaa::77")}}, "tcp",
			netip.AddrPortFrom(a.peer.ipv6, unused).String())
		a.opened("IPv6", c, err)
	}},
	{name: "dial from an address with no such zone", do: func(a *actor) {
		c, err := a.DialBy(context.Background(), net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("fe80::77"), Zone: "nowhere"}},
			"tcp6", netip.AddrPortFrom(a.peer.ipv6, unused).String())
		a.opened("tcp", c, err)
	}},
	{name: "dial from a port in use", do: func(a *actor) {
		l := a.listener()
		d := net.Dialer{LocalAddr: l.Addr()}
		c, err := a.DialBy(context.Background(), d, "tcp", a.port(unused))
		a.opened("a listener's", c, err)
		u := a.bound(a.world, netip.AddrPortFrom(a.self.ipv4, 0).String())
		a.call(u.LocalAddr(), "SOCKET")
		c, err = a.DialBy(context.Background(), net.Dialer{LocalAddr: u.LocalAddr()}, "udp", a.port(unused))
		a.opened("a UDP socket's", c, err)
	}},
	{name: "dial from the ports of a connection", do: func(a *actor) {
		c, _ := a.tcp()
		again, err := a.DialBy(context.Background(), net.Dialer{LocalAddr: c.LocalAddr()}, "tcp", c.RemoteAddr().String())
		a.opened("dial", again, err)
	}},
	{name: "dial from nowhere in particular and be refused", do: func(a *actor) {
		for _, from := range []*net.TCPAddr{{}, {IP: net.IPv4zero}, {IP: net.IPv6unspecified}} {
			c, err := a.DialBy(context.Background(), net.Dialer{LocalAddr: from}, "tcp", a.port(unused))
			a.opened("from "+from.String(), c, err)
		}
	}},
	{name: "dial from nil addresses", but: []difference{
		{
			step:   "nil pointer",
			kernel: "OpError{dial tcp typed nil->TCPAddr PEER4:9}: SyscallError{connect}: ECONNREFUSED",
			stack:  "OpError{dial tcp ->TCPAddr PEER4:9}: SyscallError{connect}: ECONNREFUSED",
			why:    ownRule,
		},
	}, do: func(a *actor) {
		c, err := a.DialBy(context.Background(), net.Dialer{LocalAddr: nil}, "tcp", a.port(unused))
		a.opened("nil", c, err)
		a.try("nil pointer", func() (any, error) {
			_, err := a.DialBy(context.Background(), net.Dialer{LocalAddr: (*net.TCPAddr)(nil)}, "tcp", a.port(unused))
			return nil, err
		})
		a.try("nil pointer of the other type", func() (any, error) {
			_, err := a.DialBy(context.Background(), net.Dialer{LocalAddr: (*net.UDPAddr)(nil)}, "tcp", a.port(unused))
			return nil, err
		})
	}},
}

// dialTyped is DialTCP and DialUDP.
var dialTyped = []row{
	{name: "DialTCP", do: func(a *actor) {
		here, there := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: unused}
		for _, tc := range []struct {
			step, network string
			from, to      *net.TCPAddr
		}{
			{"refused", "tcp", nil, there},
			{"refused, from", "tcp4", here, there},
			{"unknown network", "foo", here, there},
			{"unknown network, and nowhere", "udp", nil, nil},
			{"no network", "", nil, there},
			{"nowhere", "tcp", nil, nil},
			{"nowhere, from", "tcp", here, nil},
			{"no host", "tcp", nil, &net.TCPAddr{Port: unused}},
			{"port -1", "tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: -1}},
			{"port 65536", "tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 65536}},
			{"from port -1", "tcp", &net.TCPAddr{Port: -1}, there},
			{"from port 65536", "tcp", &net.TCPAddr{Port: 65536}, there},
			{"an IP of 3 octets", "tcp", nil, &net.TCPAddr{IP: net.IP{1, 2, 3}, Port: unused}},
			{"an IP of 3 octets, IPv4", "tcp4", nil, &net.TCPAddr{IP: net.IP{1, 2, 3}, Port: unused}},
			{"an IP of 3 octets, IPv6", "tcp6", nil, &net.TCPAddr{IP: net.IP{1, 2, 3}, Port: unused}},
			{"from an IP of 3 octets", "tcp", &net.TCPAddr{IP: net.IP{1, 2, 3}}, there},
			{"IPv6 by tcp4", "tcp4", nil, &net.TCPAddr{IP: net.IPv6loopback, Port: unused}},
			{"IPv4 by tcp6", "tcp6", nil, there},
			{"from IPv4 to IPv6", "tcp", here, &net.TCPAddr{IP: net.IPv6loopback, Port: unused}},
			{"from IPv6 to IPv4", "tcp", &net.TCPAddr{IP: net.IPv6loopback}, there},
			{"from IPv6 by tcp4", "tcp4", &net.TCPAddr{IP: net.IPv6loopback}, there},
			{"from somebody else's", "tcp", &net.TCPAddr{IP: net.IPv4(192, 168, 69, 77)}, there},
			{"multicast", "tcp", nil, &net.TCPAddr{IP: net.IPv4(224, 0, 0, 1), Port: unused}},
			{"port 0", "tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}},
		} {
			c, err := a.DialTCP(tc.network, tc.from, tc.to)
			a.opened(tc.step, c, err)
		}
	}},
	{name: "DialUDP", but: []difference{
		{
			step:   "broadcast",
			kernel: "nil, OpError{dial udp ->UDPAddr 255.255.255.255:9}: SyscallError{connect}: ENETUNREACH",
			stack:  "something, nil",
			why:    "the kernel needs a default route for it, and the stack sends it by its link",
		},
	}, do: func(a *actor) {
		here, there := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: unused}
		for _, tc := range []struct {
			step, network string
			from, to      *net.UDPAddr
		}{
			{"unknown network", "foo", here, there},
			{"unknown network, and nowhere", "tcp", nil, nil},
			{"nowhere", "udp", nil, nil},
			{"nowhere, from", "udp6", here, nil},
			{"port -1", "udp", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: -1}},
			{"port 65536", "udp", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 65536}},
			{"from port 65536", "udp", &net.UDPAddr{Port: 65536}, there},
			{"an IP of 3 octets", "udp", nil, &net.UDPAddr{IP: net.IP{1, 2, 3}, Port: unused}},
			{"IPv6 by udp4", "udp4", nil, &net.UDPAddr{IP: net.IPv6loopback, Port: unused}},
			{"IPv4 by udp6", "udp6", nil, there},
			{"from IPv4 to IPv6", "udp", here, &net.UDPAddr{IP: net.IPv6loopback, Port: unused}},
			{"from IPv6 to IPv4", "udp", &net.UDPAddr{IP: net.IPv6loopback}, there},
			{"from somebody else's", "udp", &net.UDPAddr{IP: net.IPv4(192, 168, 69, 77)}, there},
			{"no route", "udp", nil, &net.UDPAddr{IP: net.IPv4(203, 0, 113, 1), Port: unused}},
			{"link-local without a zone", "udp", nil, &net.UDPAddr{IP: net.ParseIP("fe80::77"), Port: unused}},
			{"broadcast", "udp", nil, &net.UDPAddr{IP: net.IPv4bcast, Port: unused}},
		} {
			c, err := a.DialUDP(tc.network, tc.from, tc.to)
			a.opened(tc.step, c, err)
		}
	}},
}
