package core

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/storage"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

var far4, far6 = addr("203.0.113.7"), addr("2001:db8::7")

func (s *script) forwardTCP() *tcp.Forwarder {
	s.t.Helper()
	f, err := s.stack.TCP().Forward(tcp.ForwardConfig{Link: s.link.Index()})
	require.NoError(s.t, err)
	return f
}

func (s *script) forwardUDP() *udp.Forwarder {
	s.t.Helper()
	f, err := s.stack.UDP().Forward(udp.ForwardConfig{Link: s.link.Index()})
	require.NoError(s.t, err)
	return f
}

// say sends a datagram on a flow.
func (s *script) say(flow *udp.Endpoint, text string) {
	s.t.Helper()
	require.NoError(s.t, flow.Send(s.now, packetOf([]byte(text)), netip.AddrPort{}, 0))
}

func TestForeignAnswers(t *testing.T) {
	far := map[bool]netip.Addr{true: far4, false: far6}
	for _, tc := range []struct {
		name    string
		options []any
		peer    netip.Addr
		frame   func([]byte) []byte
		printed string // how what leaves begins; empty: nothing does
	}{
		{"a neighbour", nil, them4, toUs, "IP 203.0.113.7."},
		{"a neighbour, IPv6", nil, them6, toUs, "IP6 2001:db8::7."},
		{"behind a router", []any{func(c *InterfaceConfig) {
			c.Routes = []Route{{Destination: prefix("10.0.0.0/8"), Gateway: them4}}
		}}, addr("10.1.1.1"), toUs, "IP 203.0.113.7."},
		{"on an Ethernet, where nobody knows", nil, addr("10.1.1.1"), toUs, ""},
		{"on a link that leads to one place", []any{func(c *dev.Capabilities) { c.Medium = dev.IP }},
			addr("10.1.1.1"), func(b []byte) []byte { return b }, "IP 203.0.113.7."},
		{"on such a link without any address", []any{func(c *dev.Capabilities) { c.Medium = dev.IP }, func(c *InterfaceConfig) {
			c.Addresses = nil
		}}, addr("10.1.1.1"), func(b []byte) []byte { return b }, "IP 203.0.113.7."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t, tc.options...)
			if s.link.Neighbours() != nil {
				s.knowing()
			}
			f, u := s.forwardTCP(), s.forwardUDP()
			s.recv(tc.frame(syn(tc.peer, far[tc.peer.Is4()], 4242, 443)))
			r := f.Next()
			require.NotNil(t, r)
			err := r.Answer(s.now, nil)
			s.recv(tc.frame(udpTo(tc.peer, far[tc.peer.Is4()], 4242, 53, "query")))
			flow := u.Accept()
			require.NotNil(t, flow)
			if tc.printed == "" {
				require.ErrorIs(t, err, ip.ErrNetworkUnreachable)
				require.ErrorIs(t, flow.Send(s.now, packetOf(nil), netip.AddrPort{}, 0), ip.ErrNetworkUnreachable)
				s.wantIdle("nothing")
				return
			}
			require.NoError(t, err)
			s.say(flow, "answer")
			s.wantFrom("SYN|ACK and datagram", tc.printed)

			s.say(flow, "again")
			other := s.secondLink(dev.Capabilities{Medium: dev.IP, MTU: 1500})
			s.after(time.Second) // the SYN|ACK is sent again
			other.wantIdle("whatever happens to routes, they leave by the interface that they came by")
			s.wantFrom("both again", tc.printed)
		})
	}
}

// wantFrom requires that two packets leave, from an address that prints itself as from, and on an Ethernet to the peer or the router.
func (s *script) wantFrom(why, from string) {
	s.t.Helper()
	sent := s.send()
	require.Len(s.t, sent, 2, why)
	for _, b := range sent {
		s.verify(b)
		if s.link.medium == dev.Ethernet {
			require.Equal(s.t, theirHardware, wire.EthernetFrame(b).Dst(), why)
			b = wire.EthernetFrame(b).Payload()
		}
		require.Contains(s.t, wire.FormatIP(b), from, why)
	}
}

func TestRejectedFlow(t *testing.T) {
	for _, tc := range []struct {
		name     string
		from, to netip.Addr
		printed  string
	}{
		{"IPv4", them4, far4, "IP 203.0.113.7 > 192.168.69.100: ICMP 203.0.113.7 udp port 53 unreachable"},
		{"IPv6", them6, far6, "IP6 2001:db8::7 > fdaa::100: ICMP6, destination unreachable, unreachable port, length 56: IP6 fdaa::100.4242 > 2001:db8::7.53: UDP"},
		{"to ourselves", them4, us4, "IP 192.168.69.1 > 192.168.69.100: ICMP 192.168.69.1 udp port 53 unreachable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t).knowing()
			u := s.forwardUDP()
			s.recv(toUs(udpTo(tc.from, tc.to, 4242, 53, "query")))
			flow := u.Accept()
			require.NotNil(t, flow)
			s.wantIdle("nothing yet")
			require.True(t, flow.Reject(s.now))
			sent := s.send()
			require.Len(t, sent, 1)
			s.verify(sent[0])
			require.Contains(t, wire.FormatIP(wire.EthernetFrame(sent[0]).Payload()), tc.printed)

			for range 100 {
				s.recv(toUs(udpTo(tc.from, tc.to, 4242, 53, "query")))
				require.True(t, u.Accept().Reject(s.now))
			}
			require.Less(t, len(s.send()), 60, "errors are limited in rate")
		})
	}
}

func TestForeignPackets(t *testing.T) {
	for _, tc := range []struct {
		name     string
		tcp, udp bool
		frame    []byte
		want     DropCause
		taken    bool
	}{
		{"TCP that nobody takes", false, true, toUs(syn(them4, far4, 1, 2)), DropNotOurs, false},
		{"TCP, IPv6, that nobody takes", false, true, toUs(syn(them6, far6, 1, 2)), DropNotOurs, false},
		{"UDP that nobody takes", true, false, toUs(udpTo(them4, far4, 1, 2, "x")), DropNotOurs, false},
		{"TCP", true, false, toUs(syn(them4, far4, 1, 2)), 0, true},
		{"UDP", false, true, toUs(udpTo(them6, far6, 1, 2, "x")), 0, true},
		{"to somebody's link-local address", true, false, toUs(syn(them6, addr("fe80::7"), 1, 2)), 0, true},
		{"echo request", true, true, toUs(echo4(them4, far4, "x")), DropNotOurs, false},
		{"echo request, IPv6", true, true, toUs(echo6(them6, far6, "x")), DropNotOurs, false},
		{"another protocol", true, true, toUs(ipv4(them4, far4, 99, nil)), DropNotOurs, false},
		{"another protocol, IPv6", true, true, toUs(ipv6(them6, far6, 99, nil)), DropNotOurs, false},
		{"in a broadcast frame", true, true, toAll(udpTo(them4, far4, 1, 2, "x")), DropLinkGroup, false},
		{"to a group", true, true, toGroup(udpTo(them4, addr("224.0.0.99"), 1, 2, "x")), DropNotOurs, false},
		{"to the loopback address", true, true, toUs(udpTo(them4, addr("127.0.0.1"), 1, 2, "x")), DropMartianDestination, false},
		{"to a reserved address", true, true, toUs(udpTo(them4, addr("240.0.0.1"), 1, 2, "x")), DropMartianDestination, false},
		{"from our own address", true, true, toUs(udpTo(us4, far4, 1, 2, "x")), DropOwnSource, false},
		{"from a martian", true, true, toUs(udpTo(addr("127.0.0.1"), far4, 1, 2, "x")), DropMartianSource, false},
		{"from nobody", true, true, toUs(udpTo(addr("::"), far6, 1, 2, "x")), DropMartianSource, false},
		{"from nobody, TCP", true, true, toUs(syn(addr("::"), far6, 1, 2)), DropMartianSource, false},
		{"from where it goes", true, true, toUs(syn(far4, far4, 2, 2)), DropMartianSource, false},
		{"from where it goes, IPv6", true, true, toUs(udpTo(far6, far6, 2, 2, "x")), DropMartianSource, false},
		{"malformed options", true, true, toUs(ipv4Options(them4, far4, ip.ProtocolUDP, []byte{7, 1, 0, 0}, make([]byte, 8))),
			DropOptions, false},
		{"an option that wants an error", true, true, toUs(ipv6(them6, far6, wire.IPv6DestinationOptions,
			append([]byte{ip.ProtocolUDP, 0, 0xc1, 0, 1, 2, 0, 0}, make([]byte, 8)...))), DropExtensionOption, false},
		{"for another station", true, true, ether(otherHardware, wire.EtherTypeIPv4, syn(them4, far4, 1, 2)), DropOtherHost, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t).knowing()
			pending := func() bool { return false }
			if tc.tcp {
				f := s.forwardTCP()
				pending = func() bool { return f.Next() != nil }
			}
			if tc.udp {
				u := s.forwardUDP()
				before := pending
				pending = func() bool { return before() || u.Accept() != nil }
			}
			s.recv(tc.frame)
			s.wantIdle("nobody is answered, not by an error either")
			c := s.stack.Counters()
			require.Zero(t, c.ICMPv4.OutErrors+c.ICMPv6.OutErrors, "nor is one tried")
			require.Equal(t, tc.taken, pending())
			if tc.taken {
				require.Zero(t, s.link.Counters().Drops.Total())
				return
			}
			require.EqualValues(t, 1, s.link.Counters().Drops[tc.want], "%v", s.link.Counters().Drops)
		})
	}
}

func TestForwardingEnds(t *testing.T) {
	s := newScript(t).knowing()
	f := s.forwardTCP()
	f.Close(s.now)
	s.recv(toUs(syn(them4, far4, 1, 2)))
	require.EqualValues(t, 1, s.link.Counters().Drops[DropNotOurs])
	require.ErrorIs(t, s.stack.Intercept(s.link.Index(), ip.ProtocolICMPv4, true), ip.ErrInvalid)
	require.ErrorIs(t, s.stack.Intercept(loopbackIndex, ip.ProtocolTCP, true), ip.ErrInvalid)
	f = s.forwardTCP()
	s.recv(toUs(syn(them4, far4, 1, 2)))
	require.NoError(t, s.stack.RemoveInterface(s.now, s.link))
	require.ErrorIs(t, f.Next().Answer(s.now, nil), ip.ErrNetworkUnreachable, "its interface is gone")
	f.Close(s.now)
}

// ICMP errors about what was sent from somebody else's address go to that address, and reach who has sent it.
func TestErrorsAboutForeignPackets(t *testing.T) {
	s := newScript(t).knowing()
	u := s.forwardUDP()
	for _, tc := range []struct {
		peer, far netip.Addr
		icmp      func(dst netip.Addr, quote []byte) []byte
	}{
		{them4, far4, func(dst netip.Addr, quote []byte) []byte {
			r := wire.ICMPv4ErrorRepr{Type: wire.ICMPv4DestinationUnreachable, Code: wire.ICMPv4PortUnreachable, Quote: quote}
			b := make([]byte, r.Len())
			r.Emit(b)
			return ipv4(them4, dst, ip.ProtocolICMPv4, b)
		}},
		{them6, far6, func(dst netip.Addr, quote []byte) []byte {
			r := wire.ICMPv6ErrorRepr{Type: wire.ICMPv6DestinationUnreachable, Code: wire.ICMPv6PortUnreachable, Quote: quote}
			b := make([]byte, r.Len())
			r.Emit(b, them6, dst)
			return ipv6(them6, dst, ip.ProtocolICMPv6, b)
		}},
	} {
		s.recv(toUs(udpTo(tc.peer, tc.far, 4242, 53, "query")))
		flow := u.Accept()
		s.say(flow, "answer")
		sent := s.send()
		require.Len(t, sent, 1)
		quote := sent[0][wire.EthernetHeaderLen:]
		ours := us4
		if tc.far.Is6() {
			ours = us6
		}
		s.recv(toUs(tc.icmp(ours, quote)))
		s.recv(toUs(tc.icmp(tc.far.Next(), quote)))
		require.NoError(t, flow.Err(), "they went to somebody who has not sent that")
		s.recv(toUs(tc.icmp(tc.far, quote)))
		require.ErrorIs(t, flow.Err(), ip.ErrConnectionRefused)
	}
	require.EqualValues(t, 4, s.link.Counters().Drops[DropICMPQuote])
}

// What a router, or the stack itself, says of a packet's size reaches the connection.
func TestForeignPathMTU(t *testing.T) {
	s := newScript(t).knowing()
	f := s.forwardTCP()
	s.recv(toUs(syn(them4, far4, 4242, 443)))
	require.NoError(t, f.Next().Answer(s.now, nil))
	answer := s.send()[0][wire.EthernetHeaderLen+wire.IPv4HeaderLen:]
	r := wire.TCPRepr{SrcPort: 4242, DstPort: 443, Seq: 1001, Ack: wire.TCPPacket(answer).Seq() + 1, Flags: wire.TCPAck, Window: 65535}
	b := make([]byte, r.Len())
	r.Emit(b)
	wire.TCPPacket(b).FillChecksum(them4, far4)
	s.recv(toUs(ipv4(them4, far4, ip.ProtocolTCP, b)))
	conn := f.Accept()
	require.NotNil(t, conn)
	var fill storage.Fill
	_, err := conn.Reserve(&fill, 536)
	require.NoError(t, err)
	fill.Write(make([]byte, 536))
	conn.Commit(s.now, &fill)
	segment := s.send()[0][wire.EthernetHeaderLen:]

	e := wire.ICMPv4ErrorRepr{Type: wire.ICMPv4DestinationUnreachable, Code: wire.ICMPv4FragmentationNeeded, MTU: 560, Quote: segment}
	b = make([]byte, e.Len())
	e.Emit(b)
	s.recv(toUs(ipv4(router4, far4, ip.ProtocolICMPv4, b)))
	require.EqualValues(t, 1, s.stack.Counters().TCP.PathMTUReduced)

	again := s.send()[0][wire.EthernetHeaderLen:]
	p := packetOf(again[wire.IPv4HeaderLen:])
	p.IP = packet.IPInfo{Src: far4, Dst: them4, Link: s.link.Index(), Protocol: ip.ProtocolTCP, Foreign: true}
	s.stack.failures.add(failure{kind: ip.PacketTooBig, mtu: 520, link: s.link.Index(), packet: p})
	s.after(0)
	require.EqualValues(t, 2, s.stack.Counters().TCP.PathMTUReduced)
}

// A neighbour that does not answer is reported to the flow towards it.
func TestForeignFailures(t *testing.T) {
	s := newScript(t)
	u := s.forwardUDP()
	s.recv(toUs(udpTo(them4, far4, 4242, 53, "query")))
	flow := u.Accept()
	s.say(flow, "answer")
	require.Contains(t, wire.EthernetFrame(s.send()[0]).String(), "who-has 192.168.69.100 tell 192.168.69.1", "by our own address")
	for range 10 {
		s.after(time.Second)
		s.skip()
	}
	s.after(time.Second)
	require.ErrorIs(t, flow.Err(), ip.ErrHostUnreachable)
	flow.SetPathMTUDiscovery(udp.PathMTUDo)
	require.ErrorIs(t, flow.Send(s.now, packetOf(make([]byte, 1500)), netip.AddrPort{}, 0), ip.ErrMessageTooLong)
}
