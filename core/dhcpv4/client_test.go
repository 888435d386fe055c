package dhcpv4

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// TestMessages holds the client to RFC 2131's tables 4 and 5.
func TestMessages(t *testing.T) {
	asked := func(kind wire.DHCPv4MessageType) wire.DHCPv4Repr {
		return wire.DHCPv4Repr{
			Type: kind, XID: uint32(middle), ClientHardware: hardware, ClientID: append([]byte{1}, hardware[:]...),
			Parameters: DefaultParameters(), MaxMessageSize: 1472, Hostname: "host", VendorClass: "smolnet",
		}
	}
	bare := func(kind wire.DHCPv4MessageType) wire.DHCPv4Repr {
		return wire.DHCPv4Repr{Type: kind, XID: uint32(middle), ClientHardware: hardware, ClientID: append([]byte{1}, hardware[:]...)}
	}
	with := func(r wire.DHCPv4Repr, change func(*wire.DHCPv4Repr)) wire.DHCPv4Repr {
		change(&r)
		return r
	}
	for _, test := range []struct {
		name  string
		state State
		event func(s *script)
		want  wire.DHCPv4Repr
	}{
		{"DISCOVER", Init, func(s *script) { s.client.Start(s.now) }, asked(wire.DHCPv4Discover)},
		{"DISCOVER, repeated", Selecting, func(s *script) { s.advance(4 * time.Second) },
			with(asked(wire.DHCPv4Discover), func(r *wire.DHCPv4Repr) { r.Secs = 4 })},
		{"REQUEST, with the seconds of its DISCOVER", Selecting,
			func(s *script) { s.advance(6 * time.Second); s.receive(wire.DHCPv4Offer) },
			with(asked(wire.DHCPv4Request), func(r *wire.DHCPv4Repr) { r.Secs, r.RequestedAddr, r.ServerID = 4, address, server1 })},
		{"REQUEST, rebooting", InitReboot, func(s *script) { s.client.Start(s.now) },
			with(asked(wire.DHCPv4Request), func(r *wire.DHCPv4Repr) { r.RequestedAddr = address })},
		{"REQUEST, renewing", Bound, func(s *script) { s.advance(30 * time.Minute) },
			with(asked(wire.DHCPv4Request), func(r *wire.DHCPv4Repr) { r.ClientAddr = address })},
		{"REQUEST, rebinding", Renewing, func(s *script) { s.advance(23 * time.Minute) },
			with(asked(wire.DHCPv4Request), func(r *wire.DHCPv4Repr) { r.ClientAddr = address })},
		{"DECLINE", Checking, func(s *script) { s.client.Probed(s.now, true) },
			with(bare(wire.DHCPv4Decline), func(r *wire.DHCPv4Repr) {
				r.RequestedAddr, r.ServerID, r.Message = address, server1, "address in use"
			})},
		{"RELEASE", Bound, func(s *script) { s.client.Release(s.now) },
			with(bare(wire.DHCPv4Release), func(r *wire.DHCPv4Repr) { r.ClientAddr, r.ServerID = address, server1 })},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := in(t, test.state, func(c *Config) { c.Hostname, c.VendorClass = "host", "smolnet" })
			test.event(s)
			require.NotEmpty(t, s.sent)
			require.Equal(t, test.want, s.sent[len(s.sent)-1])
		})
	}
}

func TestMessagesAsConfigured(t *testing.T) {
	s := newScript(t, func(c *Config) {
		c.ClientID, c.Parameters, c.MaxMessageSize = []byte{255, 1, 2, 3}, []uint8{1, 3}, 600
		c.RequestedAddr, c.LeaseTime, c.Broadcast = other, 2*time.Hour, true
	})
	s.client.Start(s.now)
	require.Equal(t, []wire.DHCPv4Repr{{
		Type: wire.DHCPv4Discover, XID: uint32(middle), ClientHardware: hardware, ClientID: []byte{255, 1, 2, 3}, Broadcast: true,
		Parameters: []uint8{1, 3}, MaxMessageSize: 600, RequestedAddr: other, LeaseTime: 2 * time.Hour,
	}}, s.sent)
	s.receive(wire.DHCPv4Offer)
	require.Equal(t, 2*time.Hour, s.sent[1].LeaseTime)
	require.Equal(t, address, s.sent[1].RequestedAddr, "what is offered, not what was wished")
}

func TestNodeClientID(t *testing.T) {
	require.Equal(t, []byte{255, 0, 0, 0, 7, 0, 3, 0, 1, 2, 0, 0, 0, 0, 1}, NodeClientID(7, []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1}))
}

// The delays double up to 64 seconds, within a second to both sides, and the identifier stays what it was, so that a slow
// server's answer is one to a message of before, too.
func TestRetransmission(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s := newScript(t, func(c *Config) { c.Rand = random.Uint64 })
	s.client.Start(s.now)
	s.advance(30 * time.Minute)
	require.Greater(t, len(s.sent), 20)
	jitters := make(map[time.Duration]bool)
	for i := 1; i < len(s.sent); i++ {
		delay, want := s.times[i]-s.times[i-1], 4*time.Second<<min(i-1, 4)
		require.InDelta(t, want, delay, float64(time.Second), "message %d", i)
		jitters[delay-want] = true
		require.Equal(t, s.sent[0].XID, s.sent[i].XID)
		require.EqualValues(t, s.times[i]/time.Second, s.sent[i].Secs)
	}
	require.Greater(t, len(jitters), 10)
	require.True(t, s.receive(wire.DHCPv4Offer))
}

func TestRequestsAreRepeatedWithTheSameIdentifier(t *testing.T) {
	count := uint64(0)
	s := newScript(t, func(c *Config) { c.Rand = func() uint64 { count++; return count } })
	s.client.Start(s.now)
	s.receive(wire.DHCPv4Offer)
	s.advance(20 * time.Second)
	require.Len(t, s.sent, 4)
	for _, r := range s.sent[1:] {
		require.Equal(t, s.sent[0].XID, r.XID)
	}
	s.advance(time.Minute)
	require.Equal(t, wire.DHCPv4Discover, s.sent[5].Type)
	require.NotEqual(t, s.sent[0].XID, s.sent[5].XID, "a new exchange")
}

func TestRenewalsAreHalfTheRestApartAndAMinuteAtLeast(t *testing.T) {
	s := in(t, Bound)
	s.advance(time.Hour - 1)
	at := func(minutes, seconds int) time.Duration {
		return time.Duration(minutes)*time.Minute + time.Duration(seconds)*time.Second
	}
	t1, t2 := at(29, 59), at(52, 30)
	var want []time.Duration
	for now := t1; now < t2; now += max((t2-now)/2, time.Minute) {
		want = append(want, now)
	}
	for now := t2; now < time.Hour; now += max((time.Hour-now)/2, time.Minute) {
		want = append(want, now)
	}
	require.Equal(t, want, s.times)
}

// TestTimes is about smoltcp's issues 307 and 1028: T1 and T2 are kept where they are sound, and mended where not.
func TestTimes(t *testing.T) {
	const never = time.Duration(timer.Never)
	for _, test := range []struct {
		name                       string
		lease, t1, t2              time.Duration
		wantT1, wantT2, wantExpire time.Duration
	}{
		{"the server's", 1000 * time.Second, 100 * time.Second, 200 * time.Second, 100 * time.Second, 200 * time.Second, 1000 * time.Second},
		{"defaults", 3200 * time.Second, 0, 0, 1599 * time.Second, 2800 * time.Second, 3200 * time.Second},
		{"T1 only", 3200 * time.Second, 100 * time.Second, 0, 100 * time.Second, 2800 * time.Second, 3200 * time.Second},
		{"T2 only", 3200 * time.Second, 0, 3000 * time.Second, 1599 * time.Second, 3000 * time.Second, 3200 * time.Second},
		{"early T2 only", 3200 * time.Second, 0, 100 * time.Second, 49 * time.Second, 100 * time.Second, 3200 * time.Second},
		{"T1 after T2", 3200 * time.Second, 3000 * time.Second, 100 * time.Second, 1599 * time.Second, 2800 * time.Second, 3200 * time.Second},
		{"T1 is T2", 3200 * time.Second, 100 * time.Second, 100 * time.Second, 100 * time.Second, 2800 * time.Second, 3200 * time.Second},
		{"T1 after the lease", 3200 * time.Second, 4000 * time.Second, 0, 1599 * time.Second, 2800 * time.Second, 3200 * time.Second},
		{"T2 after the lease", 3200 * time.Second, 100 * time.Second, 4000 * time.Second, 100 * time.Second, 2800 * time.Second, 3200 * time.Second},
		{"both after the lease", 3200 * time.Second, 4000 * time.Second, 5000 * time.Second, 1599 * time.Second, 2800 * time.Second, 3200 * time.Second},
		{"all the same", 3200 * time.Second, 3200 * time.Second, 3200 * time.Second, 1599 * time.Second, 2800 * time.Second, 3200 * time.Second},
		{"the shortest T2", 30 * time.Second, 0, time.Second, 468750031, time.Second, 30 * time.Second},
		{"without end", wire.DHCPv4Infinite, 100 * time.Second, 200 * time.Second, never, never, never},
		{"nearly without end", wire.DHCPv4Infinite - time.Second, 100 * time.Second, 200 * time.Second,
			100 * time.Second, 200 * time.Second, wire.DHCPv4Infinite - time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := in(t, Requesting)
			require.True(t, s.receive(wire.DHCPv4ACK, func(r *wire.DHCPv4Repr) {
				r.LeaseTime, r.RenewalTime, r.RebindingTime = test.lease, test.t1, test.t2
			}))
			l := s.client.Lease()
			require.Equal(t, []time.Duration{0, test.wantT1, test.wantT2, test.wantExpire},
				[]time.Duration{time.Duration(l.Start), time.Duration(l.Renew), time.Duration(l.Rebind), time.Duration(l.Expire)})
		})
	}
}

// Any three times that a server may send are in order afterwards.
func TestTimesAreAlwaysInOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		s := in(t, Requesting, func(c *Config) { c.Rand = random.Uint64 })
		draw := func() time.Duration { return time.Duration(random.Uint64N(100)) * time.Second }
		if s.receive(wire.DHCPv4ACK, func(r *wire.DHCPv4Repr) { r.LeaseTime, r.RenewalTime, r.RebindingTime = draw(), draw(), draw() }) {
			l := s.client.Lease()
			require.True(t, l.Start < l.Renew && l.Renew < l.Rebind && l.Rebind < l.Expire, "%+v", l)
		}
	}
}

func TestInfiniteLeaseIsNeverRenewed(t *testing.T) {
	s := in(t, Requesting)
	s.receive(wire.DHCPv4ACK, func(r *wire.DHCPv4Repr) { r.LeaseTime = wire.DHCPv4Infinite })
	s.client.Probed(s.now, false)
	s.events = nil
	s.advance(1000 * 24 * time.Hour)
	s.wantIdle("a lease without end needs nothing")
	require.Equal(t, timer.Never, s.timers.Next())
}

// "The client records the lease expiration time as the sum of the time at which the original request was sent and the
// duration of the lease from the DHCPACK message."
func TestLeaseCountsFromTheRequest(t *testing.T) {
	s := in(t, Selecting)
	s.advance(3 * time.Second)
	s.receive(wire.DHCPv4Offer)
	s.advance(5 * time.Second)
	s.receive(wire.DHCPv4ACK)
	require.Equal(t, int64(3*time.Second), s.client.Lease().Start)
	require.Equal(t, int64(time.Hour+3*time.Second), s.client.Lease().Expire)
}

func TestAcknowledgmentsThatComeTooLate(t *testing.T) {
	s := in(t, Requesting)
	s.advance(40 * time.Second)
	require.False(t, s.receive(wire.DHCPv4ACK, func(r *wire.DHCPv4Repr) { r.LeaseTime = 35 * time.Second }))
	s.wantState(Requesting, "the lease is over already")
}

// TestRenewalKeepsWhatIsNotSaid is about smoltcp's issue 445: an acknowledgment of a renewal that has neither routers nor a
// mask.
func TestRenewalKeepsWhatIsNotSaid(t *testing.T) {
	s := in(t, Requesting)
	s.receive(wire.DHCPv4ACK, func(r *wire.DHCPv4Repr) {
		r.SubnetBits, r.BroadcastAddr, r.NTPServers, r.MTU = 20, netip.MustParseAddr("10.0.15.255"), []netip.Addr{server1}, 1400
		r.DomainSearch, r.Hostname = []string{"a.example"}, "host"
	})
	s.client.Probed(s.now, false)
	before := *s.client.Lease()
	s.advance(30 * time.Minute)
	s.wantState(Renewing, "T1")
	require.True(t, s.receive(wire.DHCPv4ACK, func(r *wire.DHCPv4Repr) {
		*r = wire.DHCPv4Repr{Type: r.Type, XID: r.XID, ClientHardware: r.ClientHardware, YourAddr: address, LeaseTime: 2 * time.Hour}
	}))
	s.wantState(Bound, "the lease is renewed")
	after := *s.client.Lease()
	require.Equal(t, after.Start+int64(2*time.Hour), after.Expire)
	require.True(t, before.equal(&after), "%+v\n%+v", before, after)

	s.advance(time.Hour)
	require.True(t, s.receive(wire.DHCPv4ACK, func(r *wire.DHCPv4Repr) {
		r.SubnetBits, r.Routers, r.DNSServers, r.MTU = 24, []netip.Addr{other}, []netip.Addr{other}, 1300
	}))
	after = *s.client.Lease()
	require.Equal(t, netip.PrefixFrom(address, 24), after.Prefix)
	require.Equal(t, []netip.Addr{other}, after.Routers)
	require.Equal(t, []netip.Addr{other}, after.DNSServers)
	require.Equal(t, 1300, after.MTU)
	require.False(t, before.equal(&after))
}

// What is wrong with an offer, or an acknowledgment, does not become a lease.
func TestUnacceptable(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(r *wire.DHCPv4Repr)
	}{
		{"another exchange", func(r *wire.DHCPv4Repr) { r.XID++ }},
		{"another client", func(r *wire.DHCPv4Repr) { r.ClientHardware[5]++ }},
		{"no address", func(r *wire.DHCPv4Repr) { r.YourAddr = netip.Addr{} }},
		{"an address of the loopback", func(r *wire.DHCPv4Repr) { r.YourAddr = netip.MustParseAddr("127.0.0.1") }},
		{"a group's address", func(r *wire.DHCPv4Repr) { r.YourAddr = netip.MustParseAddr("224.0.0.1") }},
		{"everybody's address", func(r *wire.DHCPv4Repr) { r.YourAddr = broadcastAddr }},
		{"an address of no network", func(r *wire.DHCPv4Repr) { r.YourAddr = netip.MustParseAddr("0.0.0.1") }},
		{"the network's address", func(r *wire.DHCPv4Repr) { r.YourAddr = netip.MustParseAddr("10.0.0.0") }},
		{"the network's broadcast address", func(r *wire.DHCPv4Repr) { r.YourAddr = netip.MustParseAddr("10.0.0.255") }},
		{"no server", func(r *wire.DHCPv4Repr) { r.ServerID = netip.Addr{} }},
		{"a group as server", func(r *wire.DHCPv4Repr) { r.ServerID = netip.MustParseAddr("224.0.0.1") }},
		{"no time", func(r *wire.DHCPv4Repr) { r.LeaseTime = 0 }},
		{"too short a time", func(r *wire.DHCPv4Repr) { r.LeaseTime = 29 * time.Second }},
	} {
		t.Run(test.name, func(t *testing.T) {
			for state, kind := range map[State]wire.DHCPv4MessageType{Selecting: wire.DHCPv4Offer, Requesting: wire.DHCPv4ACK} {
				s := in(t, state)
				require.False(t, s.receive(kind, test.change))
				s.wantState(state, test.name)
				require.True(t, s.receive(kind), "the next is taken")
			}
		})
	}
	s := in(t, Selecting)
	for _, garbage := range [][]byte{nil, make([]byte, 10), make([]byte, 300)} {
		require.False(t, s.client.Receive(s.now, garbage))
	}
}

// Point-to-point networks have no addresses of their own.
func TestLeaseOfASmallNetwork(t *testing.T) {
	for bits, addr := range map[int]string{31: "10.0.0.0", 32: "10.0.0.0", 30: "10.0.0.1"} {
		s := in(t, Selecting)
		require.True(t, s.receive(wire.DHCPv4Offer, func(r *wire.DHCPv4Repr) { r.SubnetBits, r.YourAddr = bits, netip.MustParseAddr(addr) }))
	}
}

func TestLease(t *testing.T) {
	many := func(n int) []netip.Addr {
		addrs := []netip.Addr{netip.MustParseAddr("224.0.0.1"), server1, server1}
		for i := range n {
			addrs = append(addrs, netip.AddrFrom4([4]byte{10, 1, 0, uint8(i)}))
		}
		return addrs
	}
	route := func(prefix, router string) wire.DHCPv4Route {
		return wire.DHCPv4Route{Prefix: netip.MustParsePrefix(prefix), Router: netip.MustParseAddr(router)}
	}
	lease := func(t *testing.T, change func(r *wire.DHCPv4Repr)) *Lease {
		s := in(t, Requesting)
		require.True(t, s.receive(wire.DHCPv4ACK, change))
		return s.client.Lease()
	}
	t.Run("a mask that is missing is the class's", func(t *testing.T) {
		l := lease(t, func(r *wire.DHCPv4Repr) { r.SubnetBits = 0 })
		require.Equal(t, netip.MustParsePrefix("10.0.0.100/8"), l.Prefix)
		require.Equal(t, []int{16, 24}, []int{classBits(netip.MustParseAddr("172.16.0.1")), classBits(netip.MustParseAddr("192.168.0.1"))})
	})
	t.Run("routers in their order", func(t *testing.T) {
		l := lease(t, func(r *wire.DHCPv4Repr) { r.Routers = []netip.Addr{server2, server1} })
		require.Equal(t, []wire.DHCPv4Route{route("0.0.0.0/0", "10.0.0.2"), route("0.0.0.0/0", "10.0.0.1")}, l.Gateways())
	})
	t.Run("routes in place of routers", func(t *testing.T) {
		routes := []wire.DHCPv4Route{route("192.168.0.0/16", "10.0.0.9"), route("172.16.0.0/12", "0.0.0.0")}
		l := lease(t, func(r *wire.DHCPv4Repr) { r.Routes = routes })
		require.Equal(t, routes, l.Gateways())
	})
	t.Run("everything is bounded", func(t *testing.T) {
		l := lease(t, func(r *wire.DHCPv4Repr) {
			r.Routers, r.DNSServers, r.NTPServers = many(50), many(50), many(50)
			for i := range 50 {
				r.Routes = append(r.Routes, wire.DHCPv4Route{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, uint8(i), 0, 0}), 16), Router: server1})
				r.DomainSearch = append(r.DomainSearch, "example.com")
			}
		})
		require.Len(t, l.Routers, 8)
		require.Equal(t, server1, l.Routers[0])
		require.Len(t, l.DNSServers, 8)
		require.Len(t, l.NTPServers, 8)
		require.Len(t, l.Routes, 32)
		require.Len(t, l.DomainSearch, 16)
	})
	t.Run("an MTU that is too small is not believed", func(t *testing.T) {
		require.Equal(t, 576, lease(t, func(r *wire.DHCPv4Repr) { r.MTU = 576 }).MTU)
		require.Zero(t, lease(t, func(r *wire.DHCPv4Repr) { r.MTU = 575 }).MTU)
	})
	t.Run("domains to search", func(t *testing.T) {
		require.Equal(t, []string{"example.com"}, lease(t, func(r *wire.DHCPv4Repr) {}).Search())
		require.Equal(t, []string{"a.b"}, lease(t, func(r *wire.DHCPv4Repr) { r.DomainSearch = []string{"a.b"} }).Search())
	})
}

// A server that offers and refuses by turns is not asked without end.
func TestRefusalsSlowDown(t *testing.T) {
	s := in(t, Requesting)
	for range 100 {
		if s.client.State() == Requesting {
			s.receive(wire.DHCPv4NAK)
		}
		if s.client.State() == Init {
			s.advance(70 * time.Second)
		}
		s.receive(wire.DHCPv4Offer)
	}
	require.Greater(t, s.now, int64(80*time.Minute))
}

func TestConflictsSlowDown(t *testing.T) {
	s := in(t, Checking)
	for range 12 {
		s.client.Probed(s.now, true)
		s.events, s.times = nil, nil
		began := s.now
		for s.client.State() == Init {
			s.advance(time.Second)
		}
		s.receive(wire.DHCPv4Offer)
		s.receive(wire.DHCPv4ACK)
		s.wantState(Checking, "another try")
		if s.client.failures <= 10 {
			require.Equal(t, int64(10*time.Second), s.now-began)
		} else {
			require.Equal(t, int64(time.Minute), s.now-began)
		}
	}
	s.client.Probed(s.now, false)
	require.Zero(t, s.client.failures)
}

func TestConfig(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(c *Config)
		want   string
	}{
		{"without timers", func(c *Config) { c.Timers = nil }, "dhcpv4: invalid value: Timers, Link, Rand and HardwareAddr are required"},
		{"without hardware address", func(c *Config) { c.HardwareAddr = wire.HardwareAddr{} },
			"dhcpv4: invalid value: Timers, Link, Rand and HardwareAddr are required"},
		{"client identifier", func(c *Config) { c.ClientID = []byte{1} }, "dhcpv4: invalid value: ClientID of 2 to 255 octets: [1]"},
		{"hostname", func(c *Config) { c.Hostname = "a\n" }, "dhcpv4: invalid value: Hostname: a\n"},
		{"address of before", func(c *Config) { c.Previous = netip.IPv6Loopback() }, "dhcpv4: invalid value: Previous: ::1"},
		{"requested address", func(c *Config) { c.RequestedAddr = broadcastAddr }, "dhcpv4: invalid value: RequestedAddr: 255.255.255.255"},
		{"lease time", func(c *Config) { c.LeaseTime = -1 }, "dhcpv4: invalid value: LeaseTime: -1ns"},
		{"message size", func(c *Config) { c.MaxMessageSize = 575 }, "dhcpv4: invalid value: MaxMessageSize: 575"},
		{"limits", func(c *Config) { c.Limits.Routes = -1 }, "dhcpv4: invalid value: Limits.Routes is negative: -1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var timers timer.Heap
			cfg := Config{Timers: &timers, Link: &script{}, Rand: rand.Uint64, HardwareAddr: hardware}
			test.change(&cfg)
			_, err := NewClient(cfg)
			require.EqualError(t, err, test.want)
			require.ErrorIs(t, err, ErrInvalid)
		})
	}
}

// FuzzClient has a client of any state receive anything.
func FuzzClient(f *testing.F) {
	s := in(&testing.T{}, Selecting)
	for _, kind := range []wire.DHCPv4MessageType{wire.DHCPv4Offer, wire.DHCPv4ACK, wire.DHCPv4NAK} {
		r := s.reply(kind)
		b := make([]byte, r.Len())
		r.Emit(b)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for state := Selecting; state <= Rebinding; state++ {
			s := in(t, state)
			s.client.Receive(s.now, b)
			if l := s.client.Lease(); l != nil {
				require.True(t, unicast(l.Prefix.Addr()) && unicast(l.Server) && l.Renew <= l.Rebind && l.Rebind <= l.Expire, "%+v", l)
			}
			s.advance(2 * time.Hour)
		}
	})
}
