package udp

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/stretchr/testify/require"
)

func TestConversation(t *testing.T) {
	s := newScript(t)
	server := s.listen("192.168.69.1:53")

	s.recv(datagram{from: "192.168.69.100:4242", to: "192.168.69.1:53", payload: "query", hopLimit: 63, class: 0xb8})
	server.wantEvents("the owner hears of it", ip.Readable)
	info := server.want("a query", "query", "192.168.69.100:4242")
	require.Equal(t, addr("192.168.69.1"), info.Dst, "the reader can tell which address it was sent to")
	require.EqualValues(t, 63, info.HopLimit)
	require.EqualValues(t, 0xb8, info.TrafficClass)
	require.EqualValues(t, 2, info.Link)
	server.wantNothing("it was the only one")

	server.send("answer", "192.168.69.100:4242")
	s.want("the answer", datagram{from: "192.168.69.1:53", to: "192.168.69.100:4242", payload: "answer"})
	s.wantIdle("one answer is enough")

	c := s.host.Counters()
	require.Equal(t, Counters{InDatagrams: 1, InOctets: 5, OutDatagrams: 1, OutOctets: 6}, c)
}

func TestDemultiplexing(t *testing.T) {
	type bound struct {
		name, local, remote string
		link                int32
		dual                bool
	}
	for _, test := range []struct {
		name     string
		bound    []bound
		from, to string
		link     int32
		want     string // who gets it; empty: nobody
	}{
		{"a specific address", []bound{{name: "a", local: "192.168.69.1:53"}}, "192.168.69.9:1", "192.168.69.1:53", 2, "a"},
		{"another address", []bound{{name: "a", local: "192.168.69.1:53"}}, "192.168.69.9:1", "10.0.0.1:53", 3, ""},
		{"another port", []bound{{name: "a", local: "192.168.69.1:53"}}, "192.168.69.9:1", "192.168.69.1:54", 2, ""},
		{"all IPv4 addresses", []bound{{name: "a", local: "0.0.0.0:53"}}, "192.168.69.9:1", "10.0.0.1:53", 3, "a"},
		{"all IPv4 addresses, over IPv6", []bound{{name: "a", local: "0.0.0.0:53"}}, "[fdaa::9]:1", "[fdaa::1]:53", 2, ""},
		{"all IPv6 addresses", []bound{{name: "a", local: "[::]:53"}}, "[fdaa::9]:1", "[fdaa::1]:53", 2, "a"},
		{"all IPv6 addresses alone", []bound{{name: "a", local: "[::]:53"}}, "192.168.69.9:1", "192.168.69.1:53", 2, ""},
		{"dual stack, IPv4", []bound{{name: "a", local: "[::]:53", dual: true}}, "192.168.69.9:1", "192.168.69.1:53", 2, "a"},
		{"dual stack, IPv6", []bound{{name: "a", local: "[::]:53", dual: true}}, "[fdaa::9]:1", "[fdaa::1]:53", 2, "a"},
		{"each family its own", []bound{{name: "a", local: "[::]:53"}, {name: "b", local: "0.0.0.0:53"}},
			"192.168.69.9:1", "192.168.69.1:53", 2, "b"},
		{"two addresses", []bound{{name: "a", local: "192.168.69.1:53"}, {name: "b", local: "10.0.0.1:53"}},
			"192.168.69.9:1", "10.0.0.1:53", 3, "b"},
		{"the connected one's peer", []bound{{name: "a", local: "192.168.69.1:53", remote: "192.168.69.9:1"}},
			"192.168.69.9:1", "192.168.69.1:53", 2, "a"},
		{"somebody else to a connected one", []bound{{name: "a", local: "192.168.69.1:53", remote: "192.168.69.9:1"}},
			"192.168.69.8:1", "192.168.69.1:53", 2, ""},
		{"another port of the connected one's peer", []bound{{name: "a", local: "192.168.69.1:53", remote: "192.168.69.9:1"}},
			"192.168.69.9:2", "192.168.69.1:53", 2, ""},
		{"broadcast", []bound{{name: "a", local: "0.0.0.0:53"}}, "192.168.69.9:1", "255.255.255.255:53", 2, "a"},
		{"broadcast, to one bound to it", []bound{{name: "a", local: "255.255.255.255:53"}}, "192.168.69.9:1", "255.255.255.255:53", 2, "a"},
		{"broadcast, to one with an address", []bound{{name: "a", local: "192.168.69.1:53"}},
			"192.168.69.9:1", "255.255.255.255:53", 2, ""},
		{"multicast", []bound{{name: "a", local: "[::]:53"}}, "[fdaa::9]:1", "[ff02::1]:53", 2, "a"},
		{"multicast, to one bound to it", []bound{{name: "a", local: "224.0.0.251:53"}}, "192.168.69.9:1", "224.0.0.251:53", 2, "a"},
		{"the link that a link-local address is on", []bound{{name: "a", local: "[fe80::1]:53", link: 3}, {name: "b", local: "[fe80::1]:53", link: 2}},
			"[fe80::9]:1", "[fe80::1]:53", 3, "a"},
		{"the other link", []bound{{name: "a", local: "[fe80::1]:53", link: 3}, {name: "b", local: "[fe80::1]:53", link: 2}},
			"[fe80::9]:1", "[fe80::1]:53", 2, "b"},
		{"a link-local address connected", []bound{{name: "a", local: "[fe80::1]:53", remote: "[fe80::9]:1", link: 3}},
			"[fe80::9]:1", "[fe80::1]:53", 3, "a"},
		{"the same from another link", []bound{{name: "a", local: "[fe80::1]:53", remote: "[fe80::9]:1", link: 3}},
			"[fe80::9]:1", "[fe80::1]:53", 2, ""},
		{"a link-local address, any link", []bound{{name: "a", local: "[::]:53"}}, "[fe80::9]:1", "[fe80::1]:53", 3, "a"},
		{"all addresses of a link", []bound{{name: "a", local: "[::]:53", link: 3}}, "[fe80::9]:1", "[fe80::1]:53", 3, "a"},
		{"all addresses of another link", []bound{{name: "a", local: "[::]:53", link: 3}}, "[fe80::9]:1", "[fe80::1]:53", 2, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			endpoints := make(map[string]*endpoint)
			for _, b := range test.bound {
				endpoints[b.name] = s.bind(BindConfig{Local: at(b.local), Remote: at(b.remote), Link: b.link, DualStack: b.dual})
			}
			d := datagram{from: test.from, to: test.to, link: test.link, payload: "hello"}
			s.recv(d)
			for name, e := range endpoints {
				if name == test.want {
					e.want("it is meant", "hello", test.from)
				}
				e.wantNothing("nobody gets it twice, or another's")
			}
			if addr := at(test.to).Addr(); test.want == "" && !group(addr) {
				s.wantUnreachable("nobody wants it", d)
			}
			s.wantIdle("there is nothing to say")
		})
	}
}

func TestConflictingAddresses(t *testing.T) {
	type bound struct {
		local, remote string
		link          int32
		dual          bool
	}
	for _, test := range []struct {
		name          string
		first, second bound
		conflict      bool
	}{
		{"the same", bound{local: "192.168.69.1:53"}, bound{local: "192.168.69.1:53"}, true},
		{"another port", bound{local: "192.168.69.1:53"}, bound{local: "192.168.69.1:54"}, false},
		{"another address", bound{local: "192.168.69.1:53"}, bound{local: "10.0.0.1:53"}, false},
		{"one and all", bound{local: "192.168.69.1:53"}, bound{local: "0.0.0.0:53"}, true},
		{"all and one", bound{local: "0.0.0.0:53"}, bound{local: "192.168.69.1:53"}, true},
		{"all IPv4 and all IPv6", bound{local: "0.0.0.0:53"}, bound{local: "[::]:53"}, false},
		{"all IPv4 and everything", bound{local: "0.0.0.0:53"}, bound{local: "[::]:53", dual: true}, true},
		{"everything and one IPv4", bound{local: "[::]:53", dual: true}, bound{local: "10.0.0.1:53"}, true},
		{"all IPv6 and one IPv4", bound{local: "[::]:53"}, bound{local: "10.0.0.1:53"}, false},
		{"two links", bound{local: "[fe80::1]:53", link: 2}, bound{local: "[fe80::1]:53", link: 3}, false},
		{"a link and any", bound{local: "[fe80::1]:53", link: 2}, bound{local: "[::]:53"}, true},
		{"two destinations", bound{local: "10.0.0.1:53", remote: "10.0.0.2:1"}, bound{local: "10.0.0.1:53", remote: "10.0.0.3:1"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			config := func(b bound) BindConfig {
				return BindConfig{Local: at(b.local), Remote: at(b.remote), Link: b.link, DualStack: b.dual}
			}
			first := s.bind(config(test.first))
			if test.conflict {
				s.wantBindError("it is taken", config(test.second), ip.ErrAddressInUse)
			} else {
				s.bind(config(test.second)).Close()
			}
			first.Close()
			s.bind(config(test.second))
		})
	}
}

func TestBindErrors(t *testing.T) {
	s := newScript(t)
	for _, test := range []struct {
		name   string
		config BindConfig
		want   error
	}{
		{"no address", BindConfig{}, ip.ErrInvalid},
		{"another's address", BindConfig{Local: at("192.168.69.7:53")}, ip.ErrAddressNotAvailable},
		{"another link's address", BindConfig{Local: at("192.168.69.1:53"), Link: 3}, ip.ErrAddressNotAvailable},
		{"link-local without a link", BindConfig{Local: at("[fe80::1]:53")}, ip.ErrInvalid},
		{"to link-local without a link", BindConfig{Remote: at("[fe80::9]:53")}, ip.ErrInvalid},
		{"to port 0", BindConfig{Remote: at("10.0.0.2:0")}, ip.ErrInvalid},
		{"from one family to another", BindConfig{Local: at("[fdaa::1]:0"), Remote: at("10.0.0.2:5")}, ip.ErrInvalid},
		{"from another's address", BindConfig{Local: at("10.0.0.7:0"), Remote: at("10.0.0.2:5")}, ip.ErrAddressNotAvailable},
		{"a negative buffer", BindConfig{Local: at("0.0.0.0:0"), ReceiveBuffer: -1}, ip.ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) { s.wantBindError(test.name, test.config, test.want) })
	}
	s.noRoute = netip.MustParsePrefix("203.0.113.0/24")
	s.wantBindError("there is no route", BindConfig{Remote: at("203.0.113.1:53")}, ip.ErrNetworkUnreachable)
	require.Zero(t, s.host.Endpoints())
}

func TestConfigErrors(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no network":     {func(c *Config) { c.Network = nil }, "Network"},
		"ports reversed": {func(c *Config) { c.FirstPort, c.LastPort = 9, 8 }, "FirstPort 9 is above LastPort 8"},
		"negative limit": {func(c *Config) { c.Limits.Endpoints = -5 }, "Limits.Endpoints is negative: -5"},
		"contradiction":  {func(c *Config) { c.Limits.ReceiveBuffer, c.Limits.MaxBuffer = 10, 5 }, "Limits.ReceiveBuffer 10 exceeds Limits.MaxBuffer 5"},
	} {
		t.Run(name, func(t *testing.T) {
			config := Config{Network: &script{}, Rand: rand.NewChaCha8([32]byte{})}
			test.change(&config)
			_, err := NewHost(config)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestConnectedToItsChosenSource(t *testing.T) {
	s := newScript(t)
	for _, test := range []struct{ local, remote, want string }{
		{"", "192.168.69.9:53", "192.168.69.1"},
		{"", "10.9.9.9:53", "10.0.0.1"},
		{"0.0.0.0:0", "10.9.9.9:53", "10.0.0.1"},
		{"", "[fdaa::9]:53", "fdaa::1"},
		{"", "[::ffff:10.9.9.9]:53", "10.0.0.1"},
		{"192.168.69.1:0", "10.9.9.9:53", "192.168.69.1"},
	} {
		e := s.dial(test.local, test.remote)
		require.Equal(t, addr(test.want), e.LocalAddr().Addr())
		require.Equal(t, plain(at(test.remote)), e.RemoteAddr())
		e.Close()
	}
	e := s.bind(BindConfig{Local: at("[::]:0"), Remote: at("10.9.9.9:53"), DualStack: true})
	require.Equal(t, addr("10.0.0.1"), e.LocalAddr().Addr())
}

func TestEphemeralPorts(t *testing.T) {
	s := newScript(t)
	seen := make(map[uint16]bool)
	ascending := 0
	var before uint16
	for range 200 {
		e := s.listen("0.0.0.0:0")
		port := e.LocalAddr().Port()
		require.GreaterOrEqual(t, port, uint16(49152))
		require.False(t, seen[port], "each its own")
		seen[port] = true
		if port > before {
			ascending++
		}
		before = port
	}
	require.InDelta(t, 100, ascending, 40, "in no order")

	s = newScript(t, func(c *Config) { c.FirstPort, c.LastPort = 5000, 5003 })
	s.listen("10.0.0.1:5001")
	for range 3 {
		port := s.listen("0.0.0.0:0").LocalAddr().Port()
		require.Contains(t, []uint16{5000, 5002, 5003}, port, "a taken port is passed over")
	}
	s.wantBindError("they are used up", BindConfig{Local: at("0.0.0.0:0")}, ip.ErrAddressInUse)
	s.listen("[::]:0")
	s.listen("192.168.69.1:5001").Close()
}

func TestNoRandomOctets(t *testing.T) {
	broken := errors.New("broken")
	s := newScript(t, func(c *Config) { c.Rand = readerFunc(func([]byte) (int, error) { return 0, broken }) })
	s.wantBindError("there are no ports to be had", BindConfig{Local: at("0.0.0.0:0")}, broken)
	require.Zero(t, s.host.Endpoints())
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func TestEndpointLimit(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.Endpoints = 2 })
	a := s.listen("0.0.0.0:0")
	s.listen("0.0.0.0:0")
	s.wantBindError("that is all", BindConfig{Local: at("0.0.0.0:0")}, ip.ErrNoBufferSpace)
	a.Close()
	s.listen("0.0.0.0:0")
}

func TestPortUnreachable(t *testing.T) {
	s := newScript(t)
	d := datagram{from: "192.168.69.100:4242", to: "192.168.69.1:53", payload: "anybody there?"}
	s.wantCounters("nobody is", func(c *Counters) { c.NoPorts++ }, func() { s.recv(d) })
	s.wantUnreachable("so it is answered", d)

	for _, to := range []string{"255.255.255.255:53", "224.0.0.1:53", "[ff02::1]:53"} {
		from := "192.168.69.100:4242"
		if strings.HasPrefix(to, "[") {
			from = "[fe80::9]:4242"
		}
		s.wantCounters("whom many hear nobody answers", func(c *Counters) { c.NoPorts++; c.NoPortsGroup++ },
			func() { s.recv(datagram{from: from, to: to}) })
	}
	p := d.make()
	p.IP.Link, p.IP.Group = 2, true
	s.input(p) // a unicast packet in a broadcast frame
	s.wantIdle("that one neither")

	s = newScript(t, func(c *Config) { c.PortUnreachable = nil })
	s.recv(d)
	s.wantIdle("nobody to tell")
}

func TestBadDatagrams(t *testing.T) {
	good := datagram{from: "192.168.69.100:4242", to: "192.168.69.1:53", payload: "payload"}
	good6 := datagram{from: "[fdaa::9]:4242", to: "[fdaa::1]:53", payload: "payload"}
	set := func(at int, b ...byte) func(*packet.Packet) {
		return func(p *packet.Packet) { copy(p.Head()[at:], b) }
	}
	for _, test := range []struct {
		name   string
		d      datagram
		injure func(p *packet.Packet)
		cause  func(c *Counters) *uint64
		told   string
	}{
		{"empty", good, func(p *packet.Packet) { p.Truncate(0) }, func(c *Counters) *uint64 { return &c.InHeaderErrors }, "truncated header"},
		{"half a header", good, func(p *packet.Packet) { p.Truncate(7) }, func(c *Counters) *uint64 { return &c.InHeaderErrors }, "truncated header"},
		{"to port 0", good, set(2, 0, 0), func(c *Counters) *uint64 { return &c.InHeaderErrors }, "port zero"},
		{"length 0", good, set(4, 0, 0), func(c *Counters) *uint64 { return &c.InLengthErrors }, "contradictory length"},
		{"length 7", good, set(4, 0, 7), func(c *Counters) *uint64 { return &c.InLengthErrors }, "contradictory length"},
		{"length beyond the packet", good, set(4, 0, 16), func(c *Counters) *uint64 { return &c.InLengthErrors }, "contradictory length"},
		{"cut short", good, func(p *packet.Packet) { p.Truncate(14) }, func(c *Counters) *uint64 { return &c.InLengthErrors }, "contradictory length"},
		{"wrong checksum", good, set(10, 'X'), func(c *Counters) *uint64 { return &c.InChecksumErrors }, "wrong checksum"},
		{"wrong pseudo-header", good, func(p *packet.Packet) { p.IP.Src = addr("192.168.69.99") }, func(c *Counters) *uint64 { return &c.InChecksumErrors }, "wrong checksum"},
		{"no checksum over IPv6", good6, set(6, 0, 0), func(c *Counters) *uint64 { return &c.InNoChecksum }, "no checksum"},
		{"wrong checksum over IPv6", good6, set(10, 'X'), func(c *Counters) *uint64 { return &c.InChecksumErrors }, "wrong checksum"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			e := s.bind(BindConfig{Local: at("[::]:53"), DualStack: true})
			p := test.d.make()
			p.IP.Link = 2
			test.injure(p)
			var told []string
			s.host.config.Dropped = func(p *packet.Packet, cause string) {
				require.True(t, p.IP.Src.IsValid())
				told = append(told, cause)
			}
			s.wantCounters("it is dropped and counted", func(c *Counters) { c.InErrors++; *test.cause(c)++ }, func() { s.input(p) })
			require.Equal(t, []string{test.told}, told)
			e.wantNothing("and reaches nobody")
			e.wantEvents("nor is anybody told", 0)
			s.wantIdle("or answered")
		})
	}
}

func TestChecksumsThatNeedNoLookingAt(t *testing.T) {
	for _, test := range []struct {
		name   string
		link   int32
		change func(p *packet.Packet)
	}{
		{"none over IPv4", 2, func(p *packet.Packet) { wire.UDPPacket(p.Head()).SetChecksum(0) }},
		{"verified by the device", 2, func(p *packet.Packet) {
			wire.UDPPacket(p.Head()).SetChecksum(1)
			p.Checksum = packet.ChecksumVerified
		}},
		{"partial: it never left memory", 2, func(p *packet.Packet) {
			wire.UDPPacket(p.Head()).SetChecksum(1)
			p.SetPartialChecksum(0, wire.UDPChecksumField)
		}},
		{"all of them verified by the device", 3, func(p *packet.Packet) { wire.UDPPacket(p.Head()).SetChecksum(1) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			s.links[3].verifies = true
			e := s.listen("0.0.0.0:53")
			d := datagram{from: "10.9.9.9:4242", to: "10.0.0.1:53", payload: "fine"}
			p := d.make()
			p.IP.Link = test.link
			test.change(p)
			s.input(p)
			e.want("it is delivered", "fine", "10.9.9.9:4242")
		})
	}
}

func TestWhatIsBehindTheDatagramIsCutOff(t *testing.T) {
	s := newScript(t)
	e := s.listen("0.0.0.0:53")
	d := datagram{from: "10.9.9.9:4242", to: "10.0.0.1:53", payload: "short", link: 2}
	p := d.make()
	copy(p.Append(10), "padding...")
	s.input(p)
	e.want("the padding is not the reader's", "short", "10.9.9.9:4242")
}

func TestErrorsReachTheConnectedOnly(t *testing.T) {
	s := newScript(t)
	connected := s.dial("192.168.69.1:1000", "192.168.69.100:53")
	other := s.dial("192.168.69.1:1001", "192.168.69.100:53")
	open := s.listen("0.0.0.0:2000")

	connected.send("anybody there?", "")
	s.want("a query", datagram{from: "192.168.69.1:1000", to: "192.168.69.100:53", payload: "anybody there?"})
	s.wantCounters("nobody is", func(c *Counters) { c.ErrorsDelivered++ }, func() {
		s.error(ip.PortUnreachable, "192.168.69.1:1000", "192.168.69.100:53")
	})
	connected.wantEvents("a reader and a writer want to know", ip.Readable|ip.Writable)
	require.ErrorIs(t, connected.Err(), ip.ErrConnectionRefused)
	require.NoError(t, connected.Err(), "once")
	require.NoError(t, other.Err(), "it is none of its business")

	open.send("anybody there?", "192.168.69.100:53")
	s.want("a query", datagram{from: "192.168.69.1:2000", to: "192.168.69.100:53", payload: "anybody there?"})
	s.wantCounters("an unconnected endpoint lives on", func(c *Counters) { c.ErrorsIgnored++ }, func() {
		s.error(ip.PortUnreachable, "192.168.69.1:2000", "192.168.69.100:53")
	})
	open.wantEvents("and hears nothing", 0)
	require.NoError(t, open.Err())

	for kind, want := range map[ip.ErrorKind]error{
		ip.NetProhibited: ip.ErrNetworkUnreachable, ip.HostProhibited: ip.ErrHostUnreachable,
		ip.AdminProhibited: ip.ErrPermission, ip.PacketTooBig: ip.ErrMessageTooLong,
	} {
		s.error(kind, "192.168.69.1:1000", "192.168.69.100:53")
		require.ErrorIs(t, connected.Err(), want)
	}
	for _, kind := range []ip.ErrorKind{ip.NetUnreachable, ip.HostUnreachable, ip.TimeExceeded, ip.SourceRouteFailed} {
		s.error(kind, "192.168.69.1:1000", "192.168.69.100:53")
		require.NoError(t, connected.Err(), "it may pass")
	}
	s.host.Error(0, &ip.Error{
		Kind: ip.HostUnreachable, Src: addr("192.168.69.1"), Dst: addr("192.168.69.100"), Link: 2,
		Transport: quote("192.168.69.1:1000", "192.168.69.100:53"),
	})
	require.ErrorIs(t, connected.Err(), ip.ErrHostUnreachable, "the stack itself knows that there is nobody")
	s.error(ip.PortUnreachable, "192.168.69.1:1000", "192.168.69.100:54")
	require.NoError(t, connected.Err(), "about another's datagram")
	s.host.Error(0, &ip.Error{Kind: ip.PortUnreachable, Src: addr("192.168.69.1"), Dst: addr("192.168.69.100"), Transport: []byte{3}})
	require.NoError(t, connected.Err(), "a quote too short to tell")
	s.error(ip.ErrorKind(99), "192.168.69.1:1000", "192.168.69.100:53")
	require.NoError(t, connected.Err(), "an error of no meaning")
}

func TestCloseOfTheHost(t *testing.T) {
	s := newScript(t)
	a, b := s.listen("0.0.0.0:53"), s.dial("", "10.9.9.9:53")
	b.send("never leaves", "")
	s.recv(datagram{from: "192.168.69.9:1", to: "192.168.69.1:53", payload: "never read"})
	b.Close()
	a.events = 0
	s.host.Close()
	a.wantEvents("it was closed over its owner's head", ip.Closed)
	b.wantEvents("its owner knows already", 0)
	a.wantNothing("what it had is gone")
	a.wantSendError("it is closed", "too late", "10.9.9.9:53", ErrClosed)
	s.wantIdle("nothing leaves any more")
	s.wantBindError("nothing can be opened", BindConfig{Local: at("0.0.0.0:0")}, ErrClosed)
	s.host.Close()
}

func FuzzInput(f *testing.F) {
	d := datagram{from: "192.168.69.9:1", to: "192.168.69.1:53", payload: "payload"}
	p := d.make()
	f.Add(contents(p), true)
	p.Release()
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, b []byte, v4 bool) {
		s := newScript(t)
		e := s.bind(BindConfig{Local: at("[::]:53"), DualStack: true})
		p := text(string(b[:min(len(b), 65535)]))
		p.IP = packet.IPInfo{Src: addr("fdaa::9"), Dst: addr("fdaa::1"), Link: 2}
		if v4 {
			p.IP.Src, p.IP.Dst = addr("192.168.69.9"), addr("192.168.69.1")
		}
		s.input(p)
		for p, _, ok := e.Receive(); ok; p, _, ok = e.Receive() {
			p.Release()
		}
		s.host.Error(0, &ip.Error{Kind: ip.PortUnreachable, Src: addr("192.168.69.1"), Dst: addr("192.168.69.9"), Transport: b})
		for _, p := range s.unreachable {
			p.Release()
		}
		s.unreachable = nil
		c := s.host.Counters()
		require.EqualValues(t, 1, c.InDatagrams+c.NoPorts+c.InErrors, "each datagram is counted once")
	})
}
