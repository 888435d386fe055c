package dhcpv4

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// service is a conversation with a server.
type service struct {
	t      *testing.T
	now    int64
	server *Server
}

func newService(t *testing.T, change ...func(*ServerConfig)) *service {
	cfg := ServerConfig{
		Addr: netip.MustParsePrefix("10.0.0.1/24"), First: netip.MustParseAddr("10.0.0.100"), Last: netip.MustParseAddr("10.0.0.103"),
		Routers: []netip.Addr{server1}, DNSServers: []netip.Addr{server2}, DomainName: "example.com", MTU: 1400,
		Static: []Static{
			{HardwareAddr: wire.HardwareAddr{2, 0, 0, 0, 0, 0x50}, Addr: netip.MustParseAddr("10.0.0.50"), Hostname: "fifty"},
			{ClientID: []byte("\x00name"), Addr: netip.MustParseAddr("10.0.0.51")},
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	server, err := NewServer(cfg)
	require.NoError(t, err)
	return &service{t: t, server: server}
}

// client is a message of the client of the number.
func client(n byte, kind wire.DHCPv4MessageType, change ...func(*wire.DHCPv4Repr)) wire.DHCPv4Repr {
	r := wire.DHCPv4Repr{Type: kind, XID: 7, ClientHardware: wire.HardwareAddr{2, 0, 0, 0, 0, n}}
	for _, f := range change {
		f(&r)
	}
	return r
}

func (s *service) receive(r wire.DHCPv4Repr) (*wire.DHCPv4Repr, netip.AddrPort) {
	s.t.Helper()
	b := make([]byte, r.Len())
	r.Emit(b)
	answer, to := s.server.Receive(s.now, b)
	if answer == nil {
		return nil, to
	}
	p, err := wire.ParseDHCPv4(answer)
	require.NoError(s.t, err)
	var a wire.DHCPv4Repr
	require.NoError(s.t, a.Parse(p))
	require.Equal(s.t, r.XID, a.XID)
	require.Equal(s.t, r.ClientHardware, a.ClientHardware)
	require.Equal(s.t, server1, a.ServerID)
	return &a, to
}

// want has the server receive r, and checks the answer: "Offer 10.0.0.100", "NACK", or "" for none.
func (s *service) want(why, want string, r wire.DHCPv4Repr) *wire.DHCPv4Repr {
	s.t.Helper()
	a, _ := s.receive(r)
	got := ""
	if a != nil {
		got = a.Type.String()
		if a.YourAddr.IsValid() {
			got += " " + a.YourAddr.String()
		}
	}
	require.Equal(s.t, want, got, why)
	return a
}

func ask(addr string) func(*wire.DHCPv4Repr) {
	return func(r *wire.DHCPv4Repr) { r.RequestedAddr = netip.MustParseAddr(addr) }
}

func at(addr string) func(*wire.DHCPv4Repr) {
	return func(r *wire.DHCPv4Repr) { r.ClientAddr = netip.MustParseAddr(addr) }
}

func to(addr netip.Addr) func(*wire.DHCPv4Repr) {
	return func(r *wire.DHCPv4Repr) { r.ServerID = addr }
}

// lease gives the client of the number a lease of the address.
func (s *service) lease(n byte, addr string) {
	s.t.Helper()
	s.want("an offer", "Offer "+addr, client(n, wire.DHCPv4Discover, ask(addr)))
	s.want("a lease", "ACK "+addr, client(n, wire.DHCPv4Request, ask(addr), to(server1)))
}

func (s *service) advance(d time.Duration) { s.now += int64(d) }

func TestServer(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*ServerConfig)
		talk   func(s *service)
	}{
		{"a new client gets the first free address", nil, func(s *service) {
			s.want("an offer", "Offer 10.0.0.100", client(1, wire.DHCPv4Discover))
			s.want("the same once more", "Offer 10.0.0.100", client(1, wire.DHCPv4Discover))
			s.want("another for another", "Offer 10.0.0.101", client(2, wire.DHCPv4Discover))
			s.want("a lease", "ACK 10.0.0.100", client(1, wire.DHCPv4Request, ask("10.0.0.100"), to(server1)))
		}},
		{"a client gets what it wishes", nil, func(s *service) {
			s.want("a free address", "Offer 10.0.0.102", client(1, wire.DHCPv4Discover, ask("10.0.0.102")))
			s.want("somebody else's", "Offer 10.0.0.100", client(2, wire.DHCPv4Discover, ask("10.0.0.102")))
			s.want("not of the range", "Offer 10.0.0.101", client(3, wire.DHCPv4Discover, ask("10.0.0.99")))
			s.want("the server's", "Offer 10.0.0.103", client(4, wire.DHCPv4Discover, ask("10.0.0.1")))
			s.want("nothing is left", "", client(5, wire.DHCPv4Discover))
		}},
		{"a client gets what it had", nil, func(s *service) {
			s.lease(1, "10.0.0.103")
			s.advance(2 * time.Hour)
			s.want("even afterwards", "Offer 10.0.0.103", client(1, wire.DHCPv4Discover))
		}},
		{"a lease that is over is another's in the end", nil, func(s *service) {
			for n := range byte(4) {
				s.lease(n, fmt.Sprintf("10.0.0.%d", 100+n))
				s.advance(time.Minute)
			}
			s.want("nothing is left", "", client(9, wire.DHCPv4Discover))
			s.advance(57 * time.Minute)
			s.want("the one that has been over longest", "Offer 10.0.0.100", client(9, wire.DHCPv4Discover))
		}},
		{"settled addresses", nil, func(s *service) {
			a := s.want("by hardware address", "Offer 10.0.0.50", client(0x50, wire.DHCPv4Discover, ask("10.0.0.100")))
			require.Equal(s.t, "fifty", a.Hostname)
			s.want("no other", "NACK", client(0x50, wire.DHCPv4Request, ask("10.0.0.100"), to(server1)))
			s.want("a lease", "ACK 10.0.0.50", client(0x50, wire.DHCPv4Request, ask("10.0.0.50"), to(server1)))
			named := func(r *wire.DHCPv4Repr) { r.ClientID = []byte("\x00name") }
			a = s.want("by identifier", "Offer 10.0.0.51", client(0x50, wire.DHCPv4Discover, named))
			require.Equal(s.t, []byte("\x00name"), a.ClientID, "which comes back")
			s.want("not for others", "Offer 10.0.0.100", client(1, wire.DHCPv4Discover, ask("10.0.0.51")))
		}},
		{"two clients with one hardware address", nil, func(s *service) {
			named := func(name string) func(*wire.DHCPv4Repr) {
				return func(r *wire.DHCPv4Repr) { r.ClientID = []byte(name) }
			}
			s.want("one", "Offer 10.0.0.100", client(1, wire.DHCPv4Discover, named("\x00a")))
			s.want("the other", "Offer 10.0.0.101", client(1, wire.DHCPv4Discover, named("\x00b")))
		}},
		{"an offer is kept for a minute", nil, func(s *service) {
			s.want("an offer", "Offer 10.0.0.100", client(1, wire.DHCPv4Discover))
			s.want("another", "Offer 10.0.0.101", client(2, wire.DHCPv4Discover, ask("10.0.0.100")))
			s.advance(61 * time.Second)
			s.want("now it is free", "Offer 10.0.0.100", client(3, wire.DHCPv4Discover, ask("10.0.0.100")))
			s.want("too late", "NACK", client(1, wire.DHCPv4Request, ask("10.0.0.100"), to(server1)))
		}},
		{"an offer that was not taken up is free at once", nil, func(s *service) {
			s.want("an offer", "Offer 10.0.0.100", client(1, wire.DHCPv4Discover))
			s.want("the other server's offer is taken", "", client(1, wire.DHCPv4Request, ask("10.0.0.7"), to(server2)))
			s.want("for the next", "Offer 10.0.0.100", client(2, wire.DHCPv4Discover, ask("10.0.0.100")))
		}},
		{"a lease stays when another server is asked", nil, func(s *service) {
			s.lease(1, "10.0.0.100")
			s.want("asked", "", client(1, wire.DHCPv4Request, ask("10.0.0.7"), to(server2)))
			require.Len(s.t, s.server.Bindings(s.now), 1)
		}},
		{"renewal", nil, func(s *service) {
			s.lease(1, "10.0.0.100")
			s.advance(30 * time.Minute)
			r := client(1, wire.DHCPv4Request, at("10.0.0.100"))
			a := s.want("renewed", "ACK 10.0.0.100", r)
			require.Equal(s.t, time.Hour, a.LeaseTime)
			require.Equal(s.t, netip.MustParseAddr("10.0.0.100"), a.ClientAddr)
			_, dst := s.receive(r)
			require.Equal(s.t, netip.MustParseAddrPort("10.0.0.100:68"), dst)
			require.Equal(s.t, int64(90*time.Minute), s.server.Bindings(s.now)[0].Expire)
		}},
		{"renewal and reboot of a stranger", nil, func(s *service) {
			s.want("silence", "", client(1, wire.DHCPv4Request, at("10.0.0.100")))
			s.want("silence", "", client(1, wire.DHCPv4Request, ask("10.0.0.100")))
			s.want("wrong network", "NACK", client(1, wire.DHCPv4Request, ask("10.0.1.100")))
			s.want("wrong network", "NACK", client(1, wire.DHCPv4Request, at("10.0.1.100")))
		}},
		{"renewal and reboot of a stranger, by the only server", func(c *ServerConfig) { c.Authoritative = true }, func(s *service) {
			s.want("renewed", "ACK 10.0.0.100", client(1, wire.DHCPv4Request, at("10.0.0.100")))
			s.want("somebody else's", "NACK", client(2, wire.DHCPv4Request, ask("10.0.0.100")))
			s.want("free", "ACK 10.0.0.101", client(2, wire.DHCPv4Request, ask("10.0.0.101")))
			s.want("not to be had", "NACK", client(3, wire.DHCPv4Request, ask("10.0.0.99")))
			s.want("another in place of its own", "ACK 10.0.0.102", client(2, wire.DHCPv4Request, ask("10.0.0.102")))
			require.Len(s.t, s.server.Bindings(s.now), 2, "a client has one address")
		}},
		{"reboot with another address than the client's", nil, func(s *service) {
			s.lease(1, "10.0.0.100")
			s.want("known", "ACK 10.0.0.100", client(1, wire.DHCPv4Request, ask("10.0.0.100")))
			s.lease(2, "10.0.0.101")
			s.want("not its own", "NACK", client(1, wire.DHCPv4Request, ask("10.0.0.101")))
		}},
		{"decline", nil, func(s *service) {
			s.lease(1, "10.0.0.100")
			s.want("by a stranger", "", client(2, wire.DHCPv4Decline, ask("10.0.0.100"), to(server1)))
			require.Len(s.t, s.server.Bindings(s.now), 1)
			s.want("not to this server", "", client(1, wire.DHCPv4Decline, ask("10.0.0.100"), to(server2)))
			require.Len(s.t, s.server.Bindings(s.now), 1)
			s.want("by its owner", "", client(1, wire.DHCPv4Decline, ask("10.0.0.100"), to(server1)))
			require.Empty(s.t, s.server.Bindings(s.now))
			s.want("another", "Offer 10.0.0.101", client(1, wire.DHCPv4Discover, ask("10.0.0.100")))
			s.advance(11 * time.Minute)
			s.want("good again", "Offer 10.0.0.100", client(2, wire.DHCPv4Discover, ask("10.0.0.100")))
		}},
		{"release", nil, func(s *service) {
			s.lease(1, "10.0.0.100")
			s.want("by a stranger", "", client(2, wire.DHCPv4Release, at("10.0.0.100"), to(server1)))
			require.Len(s.t, s.server.Bindings(s.now), 1)
			s.want("by its owner", "", client(1, wire.DHCPv4Release, at("10.0.0.100"), to(server1)))
			require.Empty(s.t, s.server.Bindings(s.now))
			s.want("it is kept for its owner", "Offer 10.0.0.100", client(1, wire.DHCPv4Discover))
			s.want("by its owner", "", client(1, wire.DHCPv4Release, at("10.0.0.100"), to(server1)))
		}},
		{"inform", nil, func(s *service) {
			a := s.want("no address is given", "ACK", client(1, wire.DHCPv4Inform, at("10.0.0.7")))
			require.Zero(s.t, a.LeaseTime)
			require.Equal(s.t, "example.com", a.DomainName)
			_, dst := s.receive(client(1, wire.DHCPv4Inform, at("10.0.0.7")))
			require.Equal(s.t, netip.MustParseAddrPort("10.0.0.7:68"), dst)
			s.want("from nowhere", "", client(1, wire.DHCPv4Inform))
		}},
		{"lease times", func(c *ServerConfig) { c.LeaseTime, c.MaxLeaseTime = time.Minute, 10*time.Minute }, func(s *service) {
			wish := func(d time.Duration) func(*wire.DHCPv4Repr) { return func(r *wire.DHCPv4Repr) { r.LeaseTime = d } }
			require.Equal(s.t, time.Minute, s.want("", "Offer 10.0.0.100", client(1, wire.DHCPv4Discover)).LeaseTime)
			require.Equal(s.t, 5*time.Minute, s.want("", "Offer 10.0.0.100", client(1, wire.DHCPv4Discover, wish(5*time.Minute))).LeaseTime)
			require.Equal(s.t, 10*time.Minute, s.want("", "Offer 10.0.0.100", client(1, wire.DHCPv4Discover, wish(time.Hour))).LeaseTime)
		}},
		{"for ever", func(c *ServerConfig) { c.LeaseTime = wire.DHCPv4Infinite }, func(s *service) {
			s.lease(1, "10.0.0.100")
			require.Equal(s.t, timer.Never, s.server.Bindings(s.now)[0].Expire)
		}},
		{"what is asked for", nil, func(s *service) {
			a := s.want("all", "Offer 10.0.0.100", client(1, wire.DHCPv4Discover))
			require.Equal(s.t, []netip.Addr{server1}, a.Routers)
			require.Equal(s.t, []netip.Addr{server2}, a.DNSServers)
			require.Equal(s.t, uint16(1400), a.MTU)
			require.Equal(s.t, 24, a.SubnetBits)
			require.Equal(s.t, netip.MustParseAddr("10.0.0.255"), a.BroadcastAddr)
			a = s.want("routers", "Offer 10.0.0.100",
				client(1, wire.DHCPv4Discover, func(r *wire.DHCPv4Repr) { r.Parameters = []uint8{wire.DHCPv4OptionRouters} }))
			require.Equal(s.t, []netip.Addr{server1}, a.Routers)
			require.Nil(s.t, a.DNSServers)
		}},
		{"by way of a relay agent", nil, func(s *service) {
			relayed := func(addr string) func(*wire.DHCPv4Repr) {
				return func(r *wire.DHCPv4Repr) { r.RelayAddr = netip.MustParseAddr(addr) }
			}
			a, dst := s.receive(client(1, wire.DHCPv4Discover, relayed("10.0.0.9")))
			require.Equal(s.t, wire.DHCPv4Offer, a.Type)
			require.Equal(s.t, netip.MustParseAddrPort("10.0.0.9:67"), dst)
			require.Equal(s.t, netip.MustParseAddr("10.0.0.9"), a.RelayAddr)
			a, dst = s.receive(client(1, wire.DHCPv4Request, ask("10.9.0.1"), relayed("10.0.0.9")))
			require.Equal(s.t, wire.DHCPv4NAK, a.Type)
			require.True(s.t, a.Broadcast)
			require.Equal(s.t, netip.MustParseAddrPort("10.0.0.9:67"), dst)
			s.want("of another network", "", client(1, wire.DHCPv4Discover, relayed("10.0.1.9")))
		}},
		{"answers are broadcast to who has no address", nil, func(s *service) {
			_, dst := s.receive(client(1, wire.DHCPv4Discover))
			require.Equal(s.t, netip.MustParseAddrPort("255.255.255.255:68"), dst)
			a, dst := s.receive(client(1, wire.DHCPv4Request, at("10.0.1.100")))
			require.Equal(s.t, wire.DHCPv4NAK, a.Type)
			require.Equal(s.t, netip.MustParseAddrPort("255.255.255.255:68"), dst, "and so are refusals")
		}},
		{"messages of servers and others' are nothing to it", nil, func(s *service) {
			s.want("an offer", "", client(1, wire.DHCPv4Offer))
			for _, garbage := range [][]byte{nil, make([]byte, 300)} {
				answer, _ := s.server.Receive(s.now, garbage)
				require.Nil(s.t, answer)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			change := test.change
			if change == nil {
				change = func(*ServerConfig) {}
			}
			test.talk(newService(t, change))
		})
	}
}

// Clients that never end do not fill the memory, and those that have a lease keep it.
func TestServerIsBounded(t *testing.T) {
	s := newService(t, func(c *ServerConfig) {
		c.Addr, c.First, c.Last, c.Limits.Leases = netip.MustParsePrefix("10.0.0.1/8"), netip.Addr{}, netip.Addr{}, 100
	})
	s.lease(1, "10.0.0.100")
	for i := range 10000 {
		s.receive(client(2, wire.DHCPv4Discover, func(r *wire.DHCPv4Repr) { r.ClientHardware[1], r.ClientHardware[2] = byte(i), byte(i>>8) }))
		require.LessOrEqual(t, len(s.server.bindings), 100)
		require.LessOrEqual(t, len(s.server.clients), 100)
		s.advance(time.Second / 10)
	}
	s.want("the lease holds", "ACK 10.0.0.100", client(1, wire.DHCPv4Request, at("10.0.0.100")))
}

// A client that can take little gets the most important.
func TestServerShortensAnswers(t *testing.T) {
	s := newService(t, func(c *ServerConfig) {
		for i := range 50 {
			c.NTPServers = append(c.NTPServers, netip.AddrFrom4([4]byte{10, 2, 0, byte(i + 1)}))
			c.DomainSearch = append(c.DomainSearch, fmt.Sprintf("d%d.example.com", i))
		}
	})
	b := func(size uint16) int {
		r := client(1, wire.DHCPv4Discover, func(r *wire.DHCPv4Repr) { r.MaxMessageSize = size })
		q := make([]byte, r.Len())
		r.Emit(q)
		answer, _ := s.server.Receive(s.now, q)
		return len(answer)
	}
	require.LessOrEqual(t, b(0), 576-28)
	require.LessOrEqual(t, b(576), 576-28)
	require.Greater(t, b(1400), 600)
	require.LessOrEqual(t, b(0xffff), 1500-28)
	a := s.want("an offer", "Offer 10.0.0.100", client(1, wire.DHCPv4Discover))
	require.Equal(t, []netip.Addr{server1}, a.Routers)
}

func TestServerConfig(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*ServerConfig)
		want   string
	}{
		{"no address", func(c *ServerConfig) { c.Addr = netip.Prefix{} }, "dhcpv4: invalid value: Addr is not a host's: invalid Prefix"},
		{"the network's address", func(c *ServerConfig) { c.Addr = netip.MustParsePrefix("10.0.0.0/24") },
			"dhcpv4: invalid value: Addr is not a host's: 10.0.0.0/24"},
		{"range of another network", func(c *ServerConfig) { c.Last = netip.MustParseAddr("10.0.1.1") },
			"dhcpv4: invalid value: First and Last are no range of 10.0.0.1/24: 10.0.0.100-10.0.1.1"},
		{"range the wrong way round", func(c *ServerConfig) { c.First = netip.MustParseAddr("10.0.0.200") },
			"dhcpv4: invalid value: First and Last are no range of 10.0.0.1/24: 10.0.0.200-10.0.0.103"},
		{"lease", func(c *ServerConfig) { c.LeaseTime = time.Millisecond }, "dhcpv4: invalid value: LeaseTime: 1ms"},
		{"MTU", func(c *ServerConfig) { c.MTU = 67 }, "dhcpv4: invalid value: MTU: 67"},
		{"settled address of another network", func(c *ServerConfig) { c.Static[0].Addr = netip.MustParseAddr("10.0.1.1") },
			"dhcpv4: invalid value: Static: 10.0.1.1 is not an address for a client in 10.0.0.1/24"},
		{"settled address of nobody", func(c *ServerConfig) { c.Static[1].ClientID = nil }, "dhcpv4: invalid value: Static: 10.0.0.51 is nobody's"},
		{"limits", func(c *ServerConfig) { c.Limits.Leases = -1 }, "dhcpv4: invalid value: Limits.Leases is negative: -1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := newService(t).server.cfg
			cfg.MaxLeaseTime = 0
			test.change(&cfg)
			_, err := NewServer(cfg)
			require.EqualError(t, err, test.want)
		})
	}
}

func FuzzServer(f *testing.F) {
	for _, kind := range []wire.DHCPv4MessageType{wire.DHCPv4Discover, wire.DHCPv4Request, wire.DHCPv4Decline, wire.DHCPv4Release, wire.DHCPv4Inform} {
		r := client(1, kind, ask("10.0.0.100"), at("10.0.0.100"))
		b := make([]byte, r.Len())
		r.Emit(b)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newService(t, func(c *ServerConfig) { c.Authoritative = true })
		s.lease(1, "10.0.0.100")
		s.server.Receive(s.now, b)
		require.LessOrEqual(t, len(s.server.clients), len(s.server.bindings))
		for addr, b := range s.server.bindings {
			require.True(t, b.addr == addr && (b.state == declined) == (b.client == ""))
			require.True(t, b.client == "" || s.server.clients[b.client] == b)
		}
	})
}
