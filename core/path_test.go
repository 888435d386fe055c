package core

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

func TestRoute(t *testing.T) {
	s := newScript(t, func(c *InterfaceConfig) {
		c.Routes = []Route{
			{Destination: prefix("10.0.0.0/8"), Gateway: router4},
			{Destination: prefix("fdbb::/16"), Gateway: addr("fe80::fe")},
			{Destination: prefix("10.9.0.0/16")}, // on the link, though no address is in it
		}
	})
	none := netip.Addr{}
	for _, tc := range []struct {
		name     string
		link     int32
		src      netip.Addr
		dst      string
		want     int32
		source   string
		err      error
		loopback bool
		group    bool
	}{
		{name: "neighbour", dst: "192.168.69.100", want: 2, source: "192.168.69.1"},
		{name: "neighbour, IPv6", dst: "fdaa::100", want: 2, source: "fdaa::1"},
		{name: "by name of the link", link: 2, dst: "192.168.69.100", want: 2, source: "192.168.69.1"},
		{name: "by a link that does not lead there", link: 1, dst: "192.168.69.100", err: ip.ErrNetworkUnreachable},
		{name: "by a link that is not there", link: 9, dst: "192.168.69.100", err: ip.ErrNetworkUnreachable},
		{name: "behind a router", dst: "10.1.1.1", want: 2, source: "192.168.69.1"},
		{name: "on the link by a route", dst: "10.9.1.1", want: 2, source: "192.168.69.1"},
		{name: "behind a router, IPv6", dst: "fdbb::1", want: 2, source: "fdaa::1"},
		{name: "nowhere", dst: "8.8.8.8", err: ip.ErrNetworkUnreachable},
		{name: "nowhere, IPv6", dst: "2001:db8::1", err: ip.ErrNetworkUnreachable},
		{name: "from an address of ours", src: us4, dst: "10.1.1.1", want: 2, source: "192.168.69.1"},
		{name: "from an address of others", src: them4, dst: "10.1.1.1", err: ip.ErrAddressNotAvailable},
		{name: "from the other family", src: us6, dst: "10.1.1.1", err: ip.ErrAddressNotAvailable},
		{name: "from the loopback address", src: loopbackAddrv4, dst: "10.1.1.1", err: ip.ErrAddressNotAvailable},
		{name: "from the unspecified address", src: addr("0.0.0.0"), dst: "10.1.1.1", want: 2, source: "192.168.69.1"},
		{name: "ourselves", dst: "192.168.69.1", want: 1, source: "192.168.69.1", loopback: true},
		{name: "ourselves, IPv6", dst: "fdaa::1", want: 1, source: "fdaa::1", loopback: true},
		{name: "ourselves from the loopback address", src: loopbackAddrv4, dst: "192.168.69.1", want: 1, source: "127.0.0.1", loopback: true},
		{name: "loopback", dst: "127.0.0.1", want: 1, source: "127.0.0.1", loopback: true},
		{name: "loopback network", dst: "127.1.2.3", want: 1, source: "127.0.0.1", loopback: true},
		{name: "loopback, IPv6", dst: "::1", want: 1, source: "::1", loopback: true},
		{name: "link-local", link: 2, dst: "fe80::64", want: 2, source: "fe80::ff:fe00:1"},
		{name: "link-local from our link-local", src: ourLinkLocal, dst: "fe80::64", want: 2, source: "fe80::ff:fe00:1"},
		{name: "link-local without a link", dst: "fe80::64", err: ip.ErrNetworkUnreachable},
		{name: "our link-local", link: 2, dst: "fe80::ff:fe00:1", want: 1, source: "fe80::ff:fe00:1", loopback: true},
		{name: "our link-local on another link", link: 1, dst: "fe80::ff:fe00:1", err: ip.ErrNetworkUnreachable},
		{name: "all nodes", link: 2, dst: "ff02::1", want: 2, source: "fe80::ff:fe00:1", group: true},
		{name: "all nodes without a link", dst: "ff02::1", want: 2, source: "fe80::ff:fe00:1", group: true},
		{name: "group", dst: "224.0.0.251", want: 2, source: "192.168.69.1", group: true},
		{name: "group by the loopback", link: 1, dst: "224.0.0.251", err: ip.ErrNetworkUnreachable},
		{name: "broadcast", dst: "255.255.255.255", want: 2, source: "192.168.69.1", group: true},
		{name: "subnet broadcast", dst: "192.168.69.255", want: 2, source: "192.168.69.1", group: true},
		{name: "unspecified", dst: "0.0.0.0", err: ip.ErrNetworkUnreachable},
		{name: "unspecified, IPv6", dst: "::", err: ip.ErrNetworkUnreachable},
		{name: "IPv4-mapped", dst: "::ffff:192.168.69.100", err: ip.ErrNetworkUnreachable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for range 2 { // found, and remembered
				src := tc.src
				if src == none {
					src = netip.Addr{}
				}
				by, source, err := s.stack.Route(tc.link, src, addr(tc.dst))
				if tc.err != nil {
					require.ErrorIs(t, err, tc.err)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, tc.want, by.Link())
				require.Equal(t, tc.source, source.String())
				require.Equal(t, tc.loopback, by.(*path).link.loopback())
				require.Equal(t, tc.loopback, by.SegmentsTCP())
				require.Equal(t, tc.loopback, by.FillsChecksum(ip.ProtocolTCP))
				require.Equal(t, tc.loopback, by.VerifiesChecksum(ip.ProtocolUDP))
				if !tc.loopback {
					require.Equal(t, tc.group, by.(*path).neighbour == nil)
				}
			}
		})
	}
	_, _, err := s.stack.Route(0, netip.Addr{}, netip.Addr{})
	require.ErrorIs(t, err, ip.ErrNetworkUnreachable)
}

func TestNeighboursBehindOneRouterShareAPath(t *testing.T) {
	s := newScript(t, func(c *InterfaceConfig) {
		c.Routes = []Route{{Destination: prefix("0.0.0.0/0"), Gateway: router4}}
	})
	a, _, err := s.stack.Route(0, netip.Addr{}, addr("8.8.8.8"))
	require.NoError(t, err)
	b, _, err := s.stack.Route(0, netip.Addr{}, addr("8.8.4.4"))
	require.NoError(t, err)
	require.Same(t, a, b)
	require.Len(t, s.stack.paths, 1)
}

func TestPathsAreBounded(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.Neighbours, c.Limits.Paths = 10, 10 }, func(c *InterfaceConfig) {
		c.Addresses = []netip.Prefix{prefix("10.0.0.1/8")}
	})
	first, _, err := s.stack.Route(0, netip.Addr{}, addr("10.1.0.1"))
	require.NoError(t, err)
	for i := range 1000 {
		_, _, err := s.stack.Route(0, netip.Addr{}, toAddrv4(10<<24|2<<16|uint32(i)))
		require.NoError(t, err)
		require.LessOrEqual(t, len(s.stack.paths), 10)
		require.LessOrEqual(t, s.link.Neighbours().Len(), 10)
	}
	// One that was forgotten is as good as ever.
	e := s.bind("0.0.0.0:5000")
	require.NoError(t, e.Send(s.now, packetOf([]byte("x")), addrPort("10.1.0.1:7"), 0))
	s.want("its neighbour was forgotten too", "ARP, Request who-has 10.1.0.1 tell 10.0.0.1, length 28")
	s.stack.Send(0, first, udpPacket(addr("10.0.0.1"), addr("10.1.0.1"), "y"))
	s.wantIdle("both wait for the one neighbour")
	s.recv(ether(ourHardware, wire.EtherTypeARP, arp(wire.ARPRepr{Operation: wire.ARPReply, SenderHardware: theirHardware,
		SenderProtocol: addr("10.1.0.1"), TargetHardware: ourHardware, TargetProtocol: addr("10.0.0.1")})))
	require.Len(t, s.send(), 2)
}

// udpPacket is a packet as a transport hands it down.
func udpPacket(src, dst netip.Addr, payload string) *packet.Packet {
	whole := udpTo(src, dst, 5000, 7, payload)
	headerLen := wire.IPv4HeaderLen
	if src.Is6() {
		headerLen = wire.IPv6HeaderLen
	}
	p := packetOf(whole[headerLen:])
	p.IP = packet.IPInfo{Src: src, Dst: dst, Protocol: ip.ProtocolUDP}
	return p
}

// uncut is p, which nobody may cut.
func uncut(p *packet.Packet) *packet.Packet {
	p.IP.Fragmentation = packet.DontFragment
	return p
}

// secondLink adds another interface, in 10.0.0.0/8.
func (s *script) secondLink(caps dev.Capabilities) *script {
	s.t.Helper()
	l, err := s.stack.AddInterface(s.now, InterfaceConfig{Name: "tun0", Device: &testDevice{caps}, Addresses: []netip.Prefix{prefix("10.0.0.1/8")}})
	require.NoError(s.t, err)
	return &script{t: s.t, stack: s.stack, link: l, now: s.now}
}

func TestStalePathIsRoutedAnew(t *testing.T) {
	s := newScript(t, func(c *InterfaceConfig) {
		c.Routes = []Route{{Destination: prefix("8.0.0.0/8"), Gateway: them4}}
	}).knowing()
	other := s.secondLink(dev.Capabilities{Medium: dev.IP, MTU: 1500})
	by, _, err := s.stack.Route(0, netip.Addr{}, addr("8.8.8.8"))
	require.NoError(t, err)
	sender := &testSender{by: by}
	sender.add(udpPacket(us4, addr("8.8.8.8"), "one"), udpPacket(us4, addr("8.8.8.8"), "two"))
	s.stack.Ready(by, sender)
	require.NoError(t, s.stack.AddRoute(Route{Destination: prefix("8.8.0.0/16"), Link: other.link.Index()}))
	s.stack.Send(0, by, udpPacket(us4, addr("8.8.8.8"), "zero"))
	s.wantIdle("it leaves by the better route")
	other.want("all of it, from whichever line its sender stands in", "IP 192.168.69.1.5000 > 8.8.8.8.7: UDP, length 4",
		"IP 192.168.69.1.5000 > 8.8.8.8.7: UDP, length 3", "IP 192.168.69.1.5000 > 8.8.8.8.7: UDP, length 3")
	require.NoError(t, s.stack.RemoveRoute(Route{Destination: prefix("8.8.0.0/16"), Link: other.link.Index()}))
	require.Error(t, s.stack.RemoveRoute(Route{Destination: prefix("8.8.0.0/16"), Link: other.link.Index()}))
	s.stack.Send(0, by, udpPacket(us4, addr("8.8.8.8"), "back"))
	s.want("back on the first", "IP 192.168.69.1.5000 > 8.8.8.8.7: UDP, length 4")
	require.NoError(t, s.stack.RemoveRoute(Route{Destination: prefix("8.0.0.0/8"), Gateway: them4, Link: 2}))
	s.stack.Send(0, by, udpPacket(us4, addr("8.8.8.8"), "lost"))
	sender.add(udpPacket(us4, addr("8.8.8.8"), "lost"))
	s.stack.Ready(by, sender)
	s.wantIdle("no route is left")
	c := s.link.Counters()
	require.EqualValues(t, 2, c.Drops[DropNoRoute])
	require.EqualValues(t, 2, c.IPv4.OutNoRoutes)
}

func TestRemovedInterface(t *testing.T) {
	s := newScript(t)
	other := s.secondLink(dev.Capabilities{Medium: dev.IP, MTU: 1500})
	by, _, err := s.stack.Route(0, netip.Addr{}, addr("10.0.0.2"))
	require.NoError(t, err)
	sender := &testSender{by: by}
	sender.add(udpPacket(addr("10.0.0.1"), addr("10.0.0.2"), "x"))
	s.stack.Ready(by, sender)
	s.stack.Send(0, by, udpPacket(addr("10.0.0.1"), addr("10.0.0.2"), "y"))
	other.recv(echo4(addr("10.0.0.2"), addr("10.0.0.1"), ""))
	before := s.stack.Counters()

	require.NoError(t, s.stack.RemoveInterface(s.now, other.link))
	require.ErrorIs(t, s.stack.RemoveInterface(s.now, other.link), ErrConfig)
	require.False(t, s.stack.Local(0, addr("10.0.0.1")))
	_, _, err = s.stack.Route(0, netip.Addr{}, addr("10.0.0.2"))
	require.ErrorIs(t, err, ip.ErrNetworkUnreachable)
	require.False(t, s.stack.PollLoopback(s.now), "who stood in line there is heard")
	sender.add(udpPacket(addr("10.0.0.1"), addr("10.0.0.2"), "z"))
	s.stack.Ready(by, sender)
	require.False(t, s.stack.PollLoopback(s.now), "now and later")
	s.stack.Send(0, by, udpPacket(addr("10.0.0.1"), addr("10.0.0.2"), "z"))
	other.recv(echo4(addr("10.0.0.2"), addr("10.0.0.1"), ""))

	after := s.stack.Counters()
	require.Equal(t, before.IPv4.InReceives, after.IPv4.InReceives, "what was counted remains")
	require.EqualValues(t, 2+1, after.Drops[DropInterfaceRemoved], "what waited in the control queue, and what came later")
	require.ErrorIs(t, other.link.AddAddress(s.now, prefix("10.0.0.1/8")), ErrConfig)
	again := s.secondLink(dev.Capabilities{Medium: dev.IP, MTU: 1500})
	require.EqualValues(t, 4, again.link.Index(), "an index is not used again")
}

// testSender is a sender with packets ready.
type testSender struct {
	turn    ip.Turn
	by      ip.Path
	packets []*packet.Packet
}

func (s *testSender) add(pkts ...*packet.Packet) { s.packets = append(s.packets, pkts...) }
func (s *testSender) Turn() *ip.Turn             { return &s.turn }
func (s *testSender) Emit(int64) (*packet.Packet, ip.Path, bool) {
	if len(s.packets) == 0 {
		return nil, nil, false
	}
	p := s.packets[0]
	s.packets = s.packets[1:]
	return p, s.by, len(s.packets) > 0
}

func TestSendersTakeTurns(t *testing.T) {
	s := newScript(t).knowing()
	by, _, err := s.stack.Route(0, netip.Addr{}, them4)
	require.NoError(t, err)
	a, b := &testSender{by: by}, &testSender{by: by}
	a.add(udpPacket(us4, them4, "a"), udpPacket(us4, them4, "aa"), udpPacket(us4, them4, "aaa"))
	b.add(udpPacket(us4, them4, "bbbb"))
	for range 2 { // however often they are called ready
		s.stack.Ready(by, a)
		s.stack.Ready(by, b)
	}
	s.want("one packet each", "IP 192.168.69.1.5000 > 192.168.69.100.7: UDP, length 1", "IP 192.168.69.1.5000 > 192.168.69.100.7: UDP, length 4",
		"IP 192.168.69.1.5000 > 192.168.69.100.7: UDP, length 2", "IP 192.168.69.1.5000 > 192.168.69.100.7: UDP, length 3")
}

func TestControlQueue(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.ControlQueue = 20 }).knowing()
	by, _, err := s.stack.Route(0, netip.Addr{}, them4)
	require.NoError(t, err)
	sender := &testSender{by: by}
	sender.add(udpPacket(us4, them4, "data"), udpPacket(us4, them4, "data"))
	s.stack.Ready(by, sender)
	for range 30 {
		s.recv(toUs(echo4(them4, us4, "")))
	}
	sent := s.send()
	require.Len(t, sent, 22)
	require.EqualValues(t, 10, s.link.Counters().Drops[DropControlQueue])
	for i, b := range sent {
		protocol := wire.IPv4Packet(b[14:]).Protocol()
		require.Equal(t, i == 8 || i == 17, protocol == ip.ProtocolUDP, "a flood of pings first, but not for ever: packet %d", i)
	}
}

func TestManySendersForOneUnknownNeighbour(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.ControlQueue = 10 })
	by, _, err := s.stack.Route(0, netip.Addr{}, them4)
	require.NoError(t, err)
	for range 1000 {
		sender := &testSender{by: by}
		sender.add(udpPacket(us4, them4, "x"))
		s.stack.Ready(by, sender)
	}
	s.want("all wait for one answer", "ARP, Request who-has 192.168.69.100 tell 192.168.69.1, length 28")
	s.recv(arpReply(them4, theirHardware))
	require.Len(t, s.send(), 1000, "none is lost: what waits is bounded elsewhere")
}

// What has waited for a neighbour leaves before what the same senders have had to send since, however much it is. It leaves behind
// the answers that stood in line before it, and afterwards the control queue and the endpoints take turns again.
func TestWhatHasWaitedIsNotOvertaken(t *testing.T) {
	const waiting = 3 * controlBurst
	s := newScript(t)
	e := s.bind("0.0.0.0:5000")
	next := 0
	send := func(n int) {
		for range n {
			require.NoError(t, e.Send(s.now, packetOf([]byte{byte(next)}), netip.AddrPortFrom(them4, 7), 0))
			next++
		}
	}
	send(waiting)
	s.want("all wait for one answer", "ARP, Request who-has 192.168.69.100 tell 192.168.69.1, length 28")
	send(waiting)
	ping := toUs(echo4(addr("192.168.69.99"), us4, ""))
	require.NoError(t, s.link.Neighbours().Static(0, addr("192.168.69.99"), otherHardware.LinkAddr()))
	s.recv(ping)
	s.recv(arpReply(them4, theirHardware))
	for range 2 * controlBurst {
		s.recv(ping)
	}
	datagrams, pings, pingsBefore := 0, 0, 0
	for _, b := range s.send() {
		if wire.IPv4Packet(b[14:]).Protocol() != ip.ProtocolUDP {
			pings++
			continue
		}
		if datagrams == 2*waiting-1 {
			pingsBefore = pings
		}
		require.EqualValues(t, datagrams, b[len(b)-1], "in the order in which they were sent")
		datagrams++
	}
	require.Equal(t, 2*waiting, datagrams)
	require.Equal(t, 1+2*controlBurst, pings)
	require.Equal(t, pings, pingsBefore, "what came later to the control queue left in turns with what was sent later")
}

func TestTooLargePacketFails(t *testing.T) {
	s := newScript(t, func(c *InterfaceConfig) { c.MTU = 1280 }).knowing()
	e, err := s.stack.UDP().Bind(udp.BindConfig{Local: addrPort("0.0.0.0:5000"), Remote: addrPort("192.168.69.100:7")})
	require.NoError(t, err)
	by, _, err := s.stack.Route(0, netip.Addr{}, them4)
	require.NoError(t, err)
	require.Equal(t, 1280, by.MTU())
	s.stack.Send(0, by, udpPacket(us4, them4, string(make([]byte, 1252))))
	require.Len(t, s.send(), 1, "just fits")
	s.stack.Send(0, by, uncut(udpPacket(us4, them4, string(make([]byte, 1253)))))
	require.NoError(t, e.Err(), "not while it is being handed down")
	at, ok := s.stack.PollAt()
	require.True(t, ok)
	require.False(t, at.After(s.now), "but at once afterwards")
	s.wantIdle("it does not fit")
	require.ErrorIs(t, e.Err(), ip.ErrMessageTooLong)
	require.EqualValues(t, 1, s.link.Counters().Drops[DropTooBig])
	for range 100 {
		s.stack.Send(0, by, uncut(udpPacket(us4, them4, string(make([]byte, 1253)))))
	}
	s.after(0)
	require.EqualValues(t, 101, s.link.Counters().Drops[DropTooBig], "those beyond Limits.Failures are forgotten")
}

// superSegment is TCP with n octets of payload, a FIN, and a partial checksum, for segments of the given size.
func superSegment(src, dst netip.Addr, n, size int) *packet.Packet {
	r := wire.TCPRepr{SrcPort: 5000, DstPort: 80, Seq: 1<<32 - 100, Ack: 7, Flags: wire.TCPAck | wire.TCPFin | wire.TCPPsh | wire.TCPCwr, Window: 1000,
		Options: wire.TCPOptions{HasTimestamps: true, TSVal: 1, TSEcr: 2}}
	p := packet.New(r.Len() + n)
	r.Emit(p.Append(r.Len()))
	payload := p.Append(n)
	for i := range payload {
		payload[i] = byte(i * 7)
	}
	var sum wire.Sum
	sum.AddPseudoHeader(src, dst, ip.ProtocolTCP, p.Len())
	wire.TCPPacket(p.Head()).SetChecksum(sum.Fold())
	p.SetPartialChecksum(0, wire.TCPChecksumField)
	p.SegmentSize = uint16(size)
	p.IP = packet.IPInfo{Src: src, Dst: dst, Protocol: ip.ProtocolTCP}
	return p
}

func TestSuperSegmentForADeviceThatTakesNone(t *testing.T) {
	for _, a := range []struct{ us, them netip.Addr }{{us4, them4}, {us6, them6}} {
		t.Run(a.us.String(), func(t *testing.T) {
			s := newScript(t).knowing()
			by, _, err := s.stack.Route(0, netip.Addr{}, a.them)
			require.NoError(t, err)
			s.stack.Send(0, by, superSegment(a.us, a.them, 3000, 1400))
			whole := superSegment(a.us, a.them, 3000, 1400)
			defer whole.Release()
			header, payload := whole.Head()[:32], whole.Head()[32:]
			sent := s.send()
			require.Len(t, sent, 3)
			for i, b := range sent {
				s.verify(b)
				tcp := wire.TCPPacket(b[len(b)-32-min(1400, 3000-i*1400):])
				require.Equal(t, wire.TCPPacket(header).Seq()+uint32(i*1400), tcp.Seq())
				require.Equal(t, header[20:], tcp.Options(), "options")
				require.Equal(t, payload[i*1400:min(3000, (i+1)*1400)], []byte(tcp.Payload()))
				require.Equal(t, i == 2, tcp.Flags().Has(wire.TCPFin), "the end is in the last")
				require.Equal(t, i == 2, tcp.Flags().Has(wire.TCPPsh))
				require.Equal(t, i == 0, tcp.Flags().Has(wire.TCPCwr), "this is said once")
			}
			c := s.link.Counters()
			require.EqualValues(t, c.IPv4.OutRequests+c.IPv6.OutRequests-2, 3, "two were the advertisements")
		})
	}
}

func TestOffloadsOfTheDevice(t *testing.T) {
	s := newScript(t, func(c *dev.Capabilities) {
		c.Checksum = dev.Checksums{TCP: dev.ChecksumNone, IPv4: dev.ChecksumTx}
		c.SegmentTCP4 = true
	}).knowing()
	by, _, err := s.stack.Route(0, netip.Addr{}, them4)
	require.NoError(t, err)
	require.True(t, by.SegmentsTCP())
	require.True(t, by.FillsChecksum(ip.ProtocolTCP))
	require.False(t, by.FillsChecksum(ip.ProtocolUDP))
	by6, _, err := s.stack.Route(0, netip.Addr{}, them6)
	require.NoError(t, err)
	require.False(t, by6.SegmentsTCP(), "only IPv4's")
	s.stack.Send(0, by, superSegment(us4, them4, 60000, 1448))
	var pkts [1]*packet.Packet
	require.Equal(t, 1, s.stack.Output(s.now, s.link, pkts[:]))
	p := pkts[0]
	defer p.Release()
	require.EqualValues(t, 1448, p.SegmentSize)
	require.Equal(t, packet.ChecksumPartial, p.Checksum)
	offset, field := p.PartialChecksum()
	require.Equal(t, 14+20, offset)
	require.Equal(t, wire.TCPChecksumField, field)
	h := wire.IPv4Packet(p.Head()[14:])
	require.Equal(t, 20+32+60000, h.TotalLen(), "that of the whole super-segment")
	require.Zero(t, h.Checksum())
}

func TestPartialChecksumIsCompleted(t *testing.T) {
	s := newScript(t).knowing()
	for _, a := range []struct{ us, them netip.Addr }{{us4, them4}, {us6, them6}} {
		for n := range 4 {
			by, _, err := s.stack.Route(0, netip.Addr{}, a.them)
			require.NoError(t, err)
			p := superSegment(a.us, a.them, n, 0)
			if n > 0 { // a piece of odd length elsewhere
				chunk := packet.NewChunk(100)
				p.Reference(chunk, chunk.Data()[:2*n+1])
				chunk.Release()
				var sum wire.Sum
				sum.AddPseudoHeader(a.us, a.them, ip.ProtocolTCP, p.Len())
				wire.TCPPacket(p.Head()).SetChecksum(sum.Fold())
			}
			s.stack.Send(0, by, p)
			sent := s.send()
			require.Len(t, sent, 1)
			s.verify(sent[0])
		}
	}
}

func TestTimeDoesNotRunBackwards(t *testing.T) {
	s := newScript(t)
	s.after(time.Second)
	s.stack.Advance(epoch)
	require.EqualValues(t, time.Second, s.stack.now)
}
