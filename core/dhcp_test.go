package core

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/dhcpv4"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
)

// lessor is two stacks on a pipe: a server at 10.0.0.1/24, and a client with nothing.
type lessor struct {
	t              *testing.T
	now            time.Time
	stacks         [2]*Stack // the server's, the client's
	server, client *Interface
	events         []Event // the client's
	devices        [2]dev.Device
}

func newLessor(t *testing.T, server dhcpv4.ServerConfig, change ...func(*InterfaceConfig)) *lessor {
	s := &lessor{t: t, now: epoch}
	a, b := pipe.New(pipe.Config{})
	s.devices = [2]dev.Device{a, b}
	for i := range s.stacks {
		config := Config{Rand: rand.NewChaCha8([32]byte{byte(i)})}
		if i == 1 {
			config.Event = func(e Event) { s.events = append(s.events, e) }
		}
		var err error
		s.stacks[i], err = New(s.now, config)
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		for _, stack := range s.stacks {
			stack.Close(s.now)
		}
		for _, device := range s.devices {
			drain(t, device, s.now)
		}
	})
	var err error
	s.server, err = s.stacks[0].AddInterface(s.now, InterfaceConfig{Device: a, NoIPv6: true, Addresses: []netip.Prefix{prefix("10.0.0.1/24")},
		DHCPv4Server: &server})
	require.NoError(t, err)
	client := InterfaceConfig{Device: b, NoIPv6: true, DHCPv4: &dhcpv4.Config{Hostname: "client"}}
	for _, f := range change {
		f(&client)
	}
	s.client, err = s.stacks[1].AddInterface(s.now, client)
	require.NoError(t, err)
	return s
}

// drain ends a device, and what is on its way in it.
func drain(t *testing.T, device dev.Device, now time.Time) {
	pkts := make([]*packet.Packet, 1)
	for {
		if n, err := device.Receive(now.Add(time.Hour), pkts); n == 0 || err != nil {
			break
		}
		pkts[0].Release()
	}
	require.NoError(t, device.Close())
}

// run lets time pass.
func (s *lessor) run(d time.Duration) {
	until := s.now.Add(d)
	for {
		for s.stacks[0].Poll(s.now) || s.stacks[1].Poll(s.now) {
		}
		next := until
		for _, stack := range s.stacks {
			if at, ok := stack.PollAt(); ok && at.Before(next) {
				next = at
			}
		}
		if !next.After(s.now) && s.now.Equal(until) {
			return
		}
		if next.After(s.now) {
			s.now = next
		}
	}
}

// kinds returns what has happened since the last time, without what happens to routes and addresses.
func (s *lessor) kinds() []EventKind {
	var kinds []EventKind
	for _, e := range s.events {
		if e.Kind == LeaseBound || e.Kind == LeaseLost || e.Kind == ServersChanged {
			kinds = append(kinds, e.Kind)
		}
	}
	s.events = nil
	return kinds
}

func (s *lessor) state() dhcpv4.State {
	lease, ok := s.client.DHCPv4Lease()
	require.True(s.t, ok)
	return lease.State
}

func fullServer() dhcpv4.ServerConfig {
	return dhcpv4.ServerConfig{
		First: addr("10.0.0.100"), Last: addr("10.0.0.110"), LeaseTime: time.Hour,
		Routers: []netip.Addr{addr("10.0.0.1"), addr("10.0.0.2")}, DNSServers: []netip.Addr{addr("10.0.0.53")},
		DomainName: "example.com", DomainSearch: []string{"a.example.com", "b.example.com"}, MTU: 1400,
		NTPServers: []netip.Addr{addr("10.0.0.123")},
	}
}

func TestDHCPv4ConfiguresTheInterface(t *testing.T) {
	s := newLessor(t, fullServer())
	s.run(time.Second)
	require.Equal(t, dhcpv4.Checking, s.state())
	require.Equal(t, []Address{{Prefix: prefix("10.0.0.100/24"), State: Tentative, Origin: route.DHCPv4,
		PreferredUntil: epoch.Add(time.Hour), ValidUntil: epoch.Add(time.Hour)}}, s.client.Addresses())

	s.run(10 * time.Second)
	require.Equal(t, dhcpv4.Bound, s.state())
	require.Equal(t, []EventKind{LeaseBound, ServersChanged}, s.kinds())
	require.Equal(t, Preferred, s.client.Addresses()[0].State)
	require.Equal(t, 1400, s.client.MTU())
	link := s.client.Index()
	require.ElementsMatch(t, []Route{
		{Destination: prefix("10.0.0.0/24"), Link: link, Origin: route.DHCPv4},
		{Destination: prefix("0.0.0.0/0"), Gateway: addr("10.0.0.1"), Link: link, Origin: route.DHCPv4},
		{Destination: prefix("0.0.0.0/0"), Gateway: addr("10.0.0.2"), Metric: 1, Link: link, Origin: route.DHCPv4},
	}, s.stacks[1].Routes())

	lease, _ := s.client.DHCPv4Lease()
	require.Equal(t, []netip.Addr{addr("10.0.0.53")}, lease.DNSServers)
	require.Equal(t, []netip.Addr{addr("10.0.0.123")}, lease.NTPServers)
	require.Equal(t, []string{"a.example.com", "b.example.com"}, lease.Search())
	require.Equal(t, epoch.Add(time.Hour), lease.ValidUntil)
	require.Equal(t, []DHCPv4Binding{{addr("10.0.0.100"), s.client.HardwareAddr(), "client", epoch.Add(time.Hour)}},
		s.server.DHCPv4Bindings(s.now))

	s.run(10 * time.Hour)
	require.Equal(t, dhcpv4.Bound, s.state())
	require.NotEmpty(t, s.kinds(), "the lease is renewed all the time")
	for _, e := range s.events {
		require.NotEqual(t, LeaseLost, e.Kind)
	}
	require.True(t, s.client.Addresses()[0].ValidUntil.After(s.now))

	s.client.StopDHCPv4(s.now)
	require.Empty(t, s.client.Addresses())
	require.Empty(t, s.stacks[1].Routes())
	require.Equal(t, 1500, s.client.MTU())
	require.Equal(t, []EventKind{LeaseLost, ServersChanged}, s.kinds())
	s.run(time.Second)
	require.Empty(t, s.server.DHCPv4Bindings(s.now), "the server has been told")
	_, ok := s.client.DHCPv4Lease()
	require.False(t, ok)
}

func TestDHCPv4RoutesInPlaceOfRouters(t *testing.T) {
	config := fullServer()
	config.Routes = []wire.DHCPv4Route{
		{Prefix: prefix("192.168.0.0/16"), Router: addr("10.0.0.3")}, {Prefix: prefix("172.16.0.0/12"), Router: netip.IPv4Unspecified()},
		{Prefix: prefix("0.0.0.0/0"), Router: addr("10.9.9.9")},
	}
	s := newLessor(t, config)
	s.run(10 * time.Second)
	link := s.client.Index()
	require.ElementsMatch(t, []Route{
		{Destination: prefix("10.0.0.0/24"), Link: link, Origin: route.DHCPv4},
		{Destination: prefix("192.168.0.0/16"), Gateway: addr("10.0.0.3"), Link: link, Origin: route.DHCPv4},
		{Destination: prefix("172.16.0.0/12"), Link: link, Origin: route.DHCPv4},
		{Destination: prefix("10.9.9.9/32"), Link: link, Origin: route.DHCPv4},
		{Destination: prefix("0.0.0.0/0"), Gateway: addr("10.9.9.9"), Link: link, Origin: route.DHCPv4},
	}, s.stacks[1].Routes())
}

// A host that has the address already keeps it.
func TestDHCPv4Conflict(t *testing.T) {
	config := fullServer()
	config.First = addr("10.0.0.1")
	s := newLessor(t, config, func(c *InterfaceConfig) { c.DHCPv4.RequestedAddr = addr("10.0.0.105") })
	require.NoError(t, s.server.AddAddress(s.now, prefix("10.0.0.105/24"))) // nobody has told the server of it
	s.run(5 * time.Second)
	require.Equal(t, dhcpv4.Init, s.state(), "the offer was declined")
	require.Empty(t, s.client.Addresses())
	s.run(30 * time.Second)
	require.Equal(t, dhcpv4.Bound, s.state())
	require.Equal(t, prefix("10.0.0.3/24"), s.client.Addresses()[0].Prefix, "the first that is nobody else's nor a router's")
}

func TestDHCPv4ServerGone(t *testing.T) {
	s := newLessor(t, fullServer(), func(c *InterfaceConfig) { c.LinkLocalv4 = true })
	s.run(10 * time.Second)
	require.Equal(t, dhcpv4.Bound, s.state())
	s.kinds()
	server := s.server.dhcpv4Server
	s.server.dhcpv4Server = nil
	s.run(59 * time.Minute)
	require.Equal(t, dhcpv4.Rebinding, s.state())
	require.Equal(t, prefix("10.0.0.100/24"), s.client.Addresses()[0].Prefix, "the address stays while it is being renewed")
	s.run(time.Minute)
	require.Equal(t, dhcpv4.Selecting, s.state())
	require.Equal(t, []EventKind{LeaseLost, ServersChanged}, s.kinds())
	require.Empty(t, s.client.Addresses())

	s.run(time.Minute)
	require.Len(t, s.client.Addresses(), 1, "a link-local address takes its place")
	own := s.client.Addresses()[0]
	require.True(t, prefix("169.254.0.0/16").Contains(own.Prefix.Addr()))
	require.Equal(t, Preferred, own.State)
	require.Equal(t, route.LinkLocal, own.Origin)

	s.server.dhcpv4Server = server
	s.run(2 * time.Minute)
	require.Equal(t, dhcpv4.Bound, s.state())
	require.Len(t, s.client.Addresses(), 1)
	require.Equal(t, prefix("10.0.0.100/24"), s.client.Addresses()[0].Prefix, "the same as before, and nothing else")
}

func TestDHCPv4RefusedRenewal(t *testing.T) {
	s := newLessor(t, fullServer())
	s.run(10 * time.Second)
	var err error
	s.server.dhcpv4Server, err = dhcpv4.NewServer(dhcpv4.ServerConfig{Addr: prefix("10.0.0.1/24"), First: addr("10.0.0.200"), LeaseTime: time.Hour,
		Authoritative: true})
	require.NoError(t, err)
	s.run(31 * time.Minute)
	require.Equal(t, dhcpv4.Bound, s.state())
	require.Equal(t, prefix("10.0.0.200/24"), s.client.Addresses()[0].Prefix)
	require.Equal(t, []EventKind{LeaseBound, ServersChanged, LeaseLost, ServersChanged, LeaseBound}, s.kinds())
}

// A configured address that is the same as the lease's, or one that another interface is in the network of, is in the way.
func TestDHCPv4WhatCannotBeUsedIsDeclined(t *testing.T) {
	s := newLessor(t, fullServer(), func(c *InterfaceConfig) { c.Addresses = []netip.Prefix{prefix("10.0.0.100/24")} })
	s.run(5 * time.Second)
	require.Equal(t, dhcpv4.Init, s.state())
	require.Equal(t, []EventKind{LeaseLost}, s.kinds())
	s.run(20 * time.Second)
	require.Equal(t, dhcpv4.Bound, s.state())
	require.Equal(t, prefix("10.0.0.101/24"), s.client.Addresses()[1].Prefix)
}

func TestDHCPv4WithoutChecking(t *testing.T) {
	s := newLessor(t, fullServer(), func(c *InterfaceConfig) { c.DuplicateDetection = DetectNone })
	s.run(0)
	require.Equal(t, dhcpv4.Bound, s.state(), "at once")
}

// The lease of a conflict that shows later is given up.
func TestDHCPv4LateConflict(t *testing.T) {
	s := newLessor(t, fullServer())
	s.run(10 * time.Second)
	for range 2 {
		s.client.conflict(int64(s.now.Sub(epoch)), s.client.find(addr("10.0.0.100")))
	}
	require.Equal(t, dhcpv4.Init, s.state())
	require.Empty(t, s.client.Addresses())
	require.Empty(t, s.stacks[1].Routes())
	s.run(30 * time.Second)
	require.Equal(t, prefix("10.0.0.101/24"), s.client.Addresses()[0].Prefix)
}

func TestDHCPv4LinkAway(t *testing.T) {
	s := newLessor(t, fullServer())
	require.False(t, s.server.RenewDHCPv4(s.now))
	s.run(10 * time.Second)
	require.True(t, s.client.RenewDHCPv4(s.now))
	require.Equal(t, dhcpv4.Rebooting, s.state())
	require.Equal(t, Preferred, s.client.Addresses()[0].State)
	s.run(time.Second)
	require.Equal(t, dhcpv4.Bound, s.state())
}

// dhcpFrame is a frame with a datagram.
func dhcpFrame(dst wire.HardwareAddr, to netip.AddrPort, change ...func(datagram wire.UDPPacket)) []byte {
	reply := wire.DHCPv4Repr{Type: wire.DHCPv4Offer, ServerID: them4, YourAddr: us4, LeaseTime: time.Hour, ClientHardware: ourHardware}
	datagram := wire.UDPPacket(make([]byte, wire.UDPHeaderLen+reply.Len()))
	header := wire.UDPRepr{SrcPort: 67, DstPort: to.Port(), PayloadLen: reply.Len()}
	header.Emit(datagram)
	reply.Emit(datagram.Payload())
	datagram.FillChecksum(them4, to.Addr())
	for _, f := range change {
		f(datagram)
	}
	p := packetOf(datagram)
	p.IP = packet.IPInfo{Src: them4, Dst: to.Addr(), Protocol: 17}
	prependIPv4(p, 0, true)
	frame := wire.EthernetRepr{Dst: dst, Src: theirHardware, EtherType: wire.EtherTypeIPv4}
	frame.Emit(p.Prepend(wire.EthernetHeaderLen))
	defer p.Release()
	return append([]byte(nil), p.Head()...)
}

// A client without an address takes what is sent to the address that it is to have, and nothing else there.
func TestDHCPv4TakesUnicastWithoutAnAddress(t *testing.T) {
	for _, test := range []struct {
		name  string
		frame []byte
		drop  DropCause // that the frame is counted under
	}{
		{"to the client's port", dhcpFrame(ourHardware, netip.AddrPortFrom(us4, 68)), DropDHCPv4},
		{"to everybody", dhcpFrame(wire.BroadcastHardwareAddr, netip.AddrPortFrom(broadcastAddrv4, 68)), DropDHCPv4},
		{"to everybody's hardware address", dhcpFrame(wire.BroadcastHardwareAddr, netip.AddrPortFrom(us4, 68)), DropNotOurs},
		{"to another port", dhcpFrame(ourHardware, netip.AddrPortFrom(us4, 69)), DropNotOurs},
		{"of a wrong checksum", dhcpFrame(ourHardware, netip.AddrPortFrom(us4, 68), func(d wire.UDPPacket) { d.SetChecksum(d.Checksum() ^ 1) }),
			DropDHCPv4},
		{"of a wrong length", dhcpFrame(ourHardware, netip.AddrPortFrom(us4, 68), func(d wire.UDPPacket) { d.SetLength(7) }), DropDHCPv4},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t, func(c *InterfaceConfig) { c.Addresses, c.NoIPv6, c.DHCPv4 = nil, true, &dhcpv4.Config{} })
			s.recv(test.frame) // of another exchange of messages: it answers nothing
			counters := s.link.Counters()
			require.EqualValues(t, 1, counters.Drops[test.drop])
			require.EqualValues(t, 1, counters.Drops.Total())
		})
	}
}

// Where a server is, is read from its frame, and there is not always one.
func TestDHCPv4ServersHardwareAddr(t *testing.T) {
	answering := func(d wire.UDPPacket, s *script) {
		binary.BigEndian.PutUint32(d.Payload()[4:], s.link.dhcpv4.client.XID())
		d.FillChecksum(them4, broadcastAddrv4)
	}
	for _, test := range []struct {
		name string
		recv func(s *script, frame []byte)
		want wire.HardwareAddr
	}{
		{"in one frame", func(s *script, frame []byte) { s.recv(frame) }, theirHardware},
		{"in fragments", func(s *script, frame []byte) {
			for _, fragment := range inFragments(frame[wire.EthernetHeaderLen:], 7, 160) {
				s.recv(toAll(fragment))
			}
		}, wire.HardwareAddr{}},
		{"from the stack itself", func(s *script, frame []byte) {
			e := s.bind("0.0.0.0:67")
			defer e.Close()
			datagram := frame[wire.EthernetHeaderLen+wire.IPv4HeaderLen:]
			require.NoError(s.t, e.Send(s.now, packetOf(datagram[wire.UDPHeaderLen:]), netip.AddrPortFrom(broadcastAddrv4, 68), s.link.Index()))
			s.skip()
			s.stack.PollLoopback(s.now)
		}, wire.HardwareAddr{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t, func(c *InterfaceConfig) { c.DHCPv4 = &dhcpv4.Config{} })
			var used []*packet.Packet // the next buffers are these, with what was in them
			for range 64 {
				p := packet.New(300)
				b := p.Prepend(packet.Headroom)
				copy(b, bytes.Repeat([]byte{0xee}, len(b)))
				used = append(used, p)
			}
			for _, p := range used {
				p.Release()
			}
			test.recv(s, dhcpFrame(wire.BroadcastHardwareAddr, netip.AddrPortFrom(broadcastAddrv4, 68), func(d wire.UDPPacket) { answering(d, s) }))
			require.Equal(t, dhcpv4.Requesting, s.link.dhcpv4.client.State(), "the offer is taken up")
			require.Equal(t, test.want, s.link.dhcpv4.server)
		})
	}
}

func TestDHCPv4Config(t *testing.T) {
	for _, test := range []struct {
		name   string
		medium dev.Medium
		change func(*InterfaceConfig)
		want   string
	}{
		{"no hardware addresses", dev.IP, func(c *InterfaceConfig) { c.DHCPv4 = &dhcpv4.Config{} },
			`core: interface "if2": invalid configuration: DHCP on a medium without hardware addresses, IP`},
		{"link-local without hardware addresses", dev.IP, func(c *InterfaceConfig) { c.LinkLocalv4 = true },
			`core: interface "if2": invalid configuration: IPv4 link-local addresses on a medium without hardware addresses, IP`},
		{"client", dev.Ethernet, func(c *InterfaceConfig) { c.DHCPv4 = &dhcpv4.Config{Hostname: "\n"} },
			"core: interface \"if2\": invalid configuration: dhcpv4: invalid value: Hostname: \n"},
		{"server of another network", dev.Ethernet,
			func(c *InterfaceConfig) { c.DHCPv4Server = &dhcpv4.ServerConfig{Addr: prefix("10.0.0.1/24")} },
			`core: interface "if2": invalid configuration: a DHCP server at 10.0.0.1/24, which is not the interface's address`},
	} {
		t.Run(test.name, func(t *testing.T) {
			stack, err := New(epoch, Config{})
			require.NoError(t, err)
			config := InterfaceConfig{Device: &testDevice{dev.Capabilities{Medium: test.medium, MTU: 1500}}}
			test.change(&config)
			_, err = stack.AddInterface(epoch, config)
			require.EqualError(t, err, test.want)
			require.ErrorIs(t, err, ErrConfig)
			require.Len(t, stack.Interfaces(), 1)
		})
	}
	_, err := New(epoch, Config{Limits: Limits{DHCPv4: dhcpv4.Limits{Leases: -1}}})
	require.EqualError(t, err, "core: invalid configuration: dhcpv4: invalid value: Limits.Leases is negative: -1")
}
