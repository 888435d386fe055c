package core

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/raw"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// rawIP opens an endpoint for IP packets.
func (s *script) rawIP(config raw.IPConfig) *raw.IP {
	s.t.Helper()
	e, err := s.stack.Raw().OpenIP(config)
	require.NoError(s.t, err)
	return e
}

func (s *script) ping(config raw.ICMPConfig) *raw.ICMP {
	s.t.Helper()
	e, err := s.stack.Raw().OpenICMP(config)
	require.NoError(s.t, err)
	return e
}

func (s *script) frames(config raw.FrameConfig) *raw.Frames {
	s.t.Helper()
	config.Link = s.link.Index()
	e, err := s.stack.Raw().OpenFrames(config)
	require.NoError(s.t, err)
	return e
}

func octets(p *packet.Packet) []byte {
	if p == nil {
		return nil
	}
	defer p.Release()
	b := make([]byte, p.Len())
	p.CopyTo(b, 0)
	return b
}

// wantPacket requires that the endpoint has received the IP packet, byte for byte.
func (s *script) wantPacket(e *raw.IP, why string, want []byte) packet.IPInfo {
	s.t.Helper()
	p, headers, ok := e.Receive()
	require.True(s.t, ok, why)
	info := p.IP
	got := octets(p)
	require.Equal(s.t, want, got, why)
	require.LessOrEqual(s.t, headers, len(got))
	return info
}

var unspecified4, unspecified6 = addr("0.0.0.0"), addr("::")

func TestRawPacketsByteForByte(t *testing.T) {
	options := []byte{7, 7, 4, 0, 0, 0, 0, 0} // a recorded route without room
	extended := ipv6(them6, us6, wire.IPv6DestinationOptions, append([]byte{99, 0, 1, 4, 0, 0, 0, 0}, "payload"...))
	for _, tc := range []struct {
		name     string
		local    netip.Addr
		protocol uint8
		packet   []byte
		headers  int
	}{
		{"IPv4", unspecified4, 99, ipv4(them4, us4, 99, []byte("payload")), 20},
		{"IPv4 with options", unspecified4, 99, ipv4Options(them4, us4, 99, options, []byte("payload")), 28},
		{"nothing behind the header", unspecified4, 99, ipv4(them4, us4, 99, nil), 20},
		{"IPv6", unspecified6, 99, ipv6(them6, us6, 99, []byte("payload")), 40},
		{"IPv6 with extension headers", unspecified6, 99, extended, 48},
		{"an echo request", unspecified4, ip.ProtocolICMPv4, echo4(them4, us4, "hello"), 20},
		{"an ICMPv6 echo request", unspecified6, ip.ProtocolICMPv6, echo6(them6, us6, "hello"), 40},
		{"a datagram", unspecified4, ip.ProtocolUDP, udpTo(them4, us4, 1000, 7, "hello"), 20},
		{"a segment", unspecified6, ip.ProtocolTCP, syn(them6, us6, 1000, 80), 40},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t).knowing()
			e := s.rawIP(raw.IPConfig{Protocol: tc.protocol, Local: tc.local})
			every := s.rawIP(raw.IPConfig{AllProtocols: true, Local: tc.local})
			other := s.rawIP(raw.IPConfig{Protocol: 98, Local: tc.local})
			s.recv(append(toUs(tc.packet), 0, 0, 0)) // the link's padding is no part of it
			p, headers, ok := e.Receive()
			require.True(t, ok)
			require.Equal(t, tc.headers, headers)
			require.Equal(t, tc.protocol, p.IP.Protocol)
			require.Equal(t, s.link.Index(), p.IP.Link)
			require.Equal(t, tc.packet, octets(p))
			info := s.wantPacket(every, "an endpoint for all protocols gets it too", tc.packet)
			require.EqualValues(t, 64, info.HopLimit)
			require.Zero(t, other.Received(), "one for another protocol does not")
		})
	}
}

// Linux: what a raw socket is open for is not answered with an error.
func TestRawEndpointMakesItsProtocolKnown(t *testing.T) {
	for _, tc := range []struct {
		name     string
		local    netip.Addr
		frame    []byte
		answered bool
	}{
		{"IPv4", unspecified4, toUs(ipv4(them4, us4, 99, nil)), false},
		{"IPv6", unspecified6, toUs(ipv6(them6, us6, 99, nil)), false},
		{"ICMPv6 over IPv4", unspecified4, toUs(ipv4(them4, us4, ip.ProtocolICMPv6, nil)), true},
		{"another protocol", unspecified4, toUs(ipv4(them4, us4, 98, nil)), true},
		{"from another peer than the one it is connected to", unspecified4, toUs(ipv4(addr("192.168.69.101"), us4, 97, nil)), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t).knowing()
			require.NoError(t, s.link.Neighbours().Static(0, addr("192.168.69.101"), otherHardware.LinkAddr()))
			s.rawIP(raw.IPConfig{Protocol: 99, Local: tc.local})
			s.rawIP(raw.IPConfig{Protocol: 97, Remote: them4})
			s.recv(tc.frame)
			c := s.stack.Counters()
			if tc.answered {
				require.Len(t, s.send(), 1)
				require.EqualValues(t, 1, c.Drops[DropUnknownProtocol])
				return
			}
			s.wantIdle("no error")
			require.Zero(t, c.Drops.Total())
			require.EqualValues(t, 1, c.IPv4.InDelivers+c.IPv6.InDelivers)
		})
	}
}

func TestRawEndpointsGetCopies(t *testing.T) {
	s := newScript(t).knowing()
	a := s.rawIP(raw.IPConfig{Protocol: ip.ProtocolICMPv4, Local: unspecified4})
	b := s.rawIP(raw.IPConfig{Protocol: ip.ProtocolICMPv4, Local: us4})
	u := s.bind("0.0.0.0:7")
	s.recv(toUs(echo4(them4, us4, "hello")))
	s.want("the stack goes on", "IP 192.168.69.1 > 192.168.69.100: ICMP echo reply, id 1, seq 2, length 13")
	s.wantPacket(a, "and so does everybody", echo4(them4, us4, "hello"))
	s.wantPacket(b, "the reply was made in place, of what is not theirs", echo4(them4, us4, "hello"))
	s.rawIP(raw.IPConfig{Protocol: ip.ProtocolUDP, Local: unspecified4})
	s.recv(toUs(udpTo(them4, us4, 1000, 7, "hello")))
	s.wantDatagram(u, "hello", "192.168.69.100:1000")
	s.recv(toUs(ipv4(them4, addr("192.168.69.55"), ip.ProtocolICMPv4, nil)))
	require.Zero(t, a.Received(), "what is not to the stack is not taken in")
}

func TestRawEndpointHearsWhatItIsBoundTo(t *testing.T) {
	for _, tc := range []struct {
		name   string
		config raw.IPConfig
		frame  []byte
		hears  bool
	}{
		{"its address", raw.IPConfig{Local: us4}, toUs(ipv4(them4, us4, 99, nil)), true},
		{"another address", raw.IPConfig{Local: us4}, toAll(ipv4(them4, addr("192.168.69.255"), 99, nil)), false},
		{"a broadcast, bound to none", raw.IPConfig{Local: unspecified4}, toAll(ipv4(them4, addr("192.168.69.255"), 99, nil)), true},
		{"a group, bound to it", raw.IPConfig{Local: addr("ff02::1")}, toGroup(ipv6(them6, addr("ff02::1"), 99, nil)), true},
		{"its peer", raw.IPConfig{Remote: them4}, toUs(ipv4(them4, us4, 99, nil)), true},
		{"not its peer", raw.IPConfig{Remote: router4}, toUs(ipv4(them4, us4, 99, nil)), false},
		{"its link", raw.IPConfig{Local: unspecified4, Link: 2}, toUs(ipv4(them4, us4, 99, nil)), true},
		{"another link", raw.IPConfig{Local: unspecified4, Link: 1}, toUs(ipv4(them4, us4, 99, nil)), false},
		{"the other version", raw.IPConfig{Local: unspecified6}, toUs(ipv4(them4, us4, 99, nil)), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t).knowing()
			tc.config.Protocol = 99
			e := s.rawIP(tc.config)
			s.recv(tc.frame)
			require.Equal(t, tc.hears, e.Received() == 1)
		})
	}
}

// RFC 3542, section 3.1: the kernel verifies what comes and computes what leaves.
func TestRawICMPv6Checksum(t *testing.T) {
	s := newScript(t).knowing()
	e := s.rawIP(raw.IPConfig{Protocol: ip.ProtocolICMPv6, Local: unspecified6})
	every := s.rawIP(raw.IPConfig{AllProtocols: true, Local: unspecified6})
	s.recv(toUs(patched(echo6(them6, us6, "hello"), 42, 1, 2)))
	require.Zero(t, e.Received()+every.Received())
	require.EqualValues(t, 1, s.stack.Counters().Raw.InChecksumErrors)

	require.NoError(t, e.Send(s.now, packetOf([]byte{wire.ICMPv6EchoRequest, 0, 9, 9, 0, 5, 0, 6, 'x'}), them6, raw.Header{}))
	s.want("with the right checksum", "IP6 fdaa::1 > fdaa::100: ICMP6, echo request, id 5, seq 6, length 9")
	require.ErrorIs(t, e.Send(s.now, packetOf([]byte{1, 2, 3}), them6, raw.Header{}), ip.ErrInvalid)
}

func TestRawSending(t *testing.T) {
	s := newScript(t).knowing()
	e := s.rawIP(raw.IPConfig{Protocol: 99, Local: unspecified4})
	payload := func() *packet.Packet { return packetOf([]byte("payload")) }
	require.NoError(t, e.Send(s.now, payload(), them4, raw.Header{HopLimit: 3, TrafficClass: 8}))
	frames := s.send()
	require.Len(t, frames, 1)
	header := wire.IPv4Packet(frames[0][14:])
	require.EqualValues(t, []any{uint8(99), uint8(3), uint8(8), us4, them4}, []any{header.Protocol(), header.TTL(), header.TOS(), header.Src(), header.Dst()})
	require.Equal(t, "payload", string(header.Payload()))

	for _, tc := range []struct {
		name   string
		size   int
		to     netip.Addr
		header raw.Header
		want   error
	}{
		{"no route", 1, addr("8.8.8.8"), raw.Header{}, ip.ErrNetworkUnreachable},
		{"the other version", 1, them6, raw.Header{}, ip.ErrNetworkUnreachable},
		{"nowhere", 1, netip.Addr{}, raw.Header{}, ip.ErrInvalid},
		{"more than IPv4 can carry", 65516, them4, raw.Header{}, ip.ErrMessageTooLong},
		{"from somebody else", 1, them4, raw.Header{Source: router4}, ip.ErrAddressNotAvailable},
	} {
		require.ErrorIs(t, e.Send(s.now, packetOf(make([]byte, tc.size)), tc.to, tc.header), tc.want, tc.name)
	}
	e.Close()
	require.ErrorIs(t, e.Send(s.now, payload(), them4, raw.Header{}), raw.ErrClosed)
	require.Zero(t, s.stack.Raw().Endpoints())
}

func TestRawSendingWithHeader(t *testing.T) {
	s := newScript(t)
	e := s.rawIP(raw.IPConfig{Protocol: 255, Local: unspecified4, IncludeHeader: true})
	forged := ipv4Options(addr("10.0.0.9"), addr("10.0.0.8"), 99, []byte{7, 7, 4, 0, 0, 0, 0, 0}, []byte("payload"))
	asGiven := patched(forged, 2, 0xff, 0xff) // whatever its length says
	asGiven = patched(asGiven, 10, 1, 2)
	require.NoError(t, e.Send(s.now, packetOf(asGiven), them4, raw.Header{}))
	s.want("the next hop is asked for", "ARP, Request who-has 192.168.69.100 tell 192.168.69.1, length 28")
	s.recv(arpReply(them4, theirHardware))
	frames := s.send()
	require.Len(t, frames, 1)
	require.Equal(t, forged, frames[0][14:], "length and checksum are made right, all else is the user's")

	own := patched(forged, 12, 0, 0, 0, 0)
	require.NoError(t, e.Send(s.now, packetOf(own), them4, raw.Header{}))
	require.Equal(t, us4, wire.IPv4Packet(s.send()[0][14:]).Src(), "a source that is left out is the stack's")

	six := s.rawIP(raw.IPConfig{Protocol: 255, Local: unspecified6, IncludeHeader: true})
	s.knowing()
	whole := ipv6(addr("fdaa::9"), addr("fdaa::8"), 99, []byte("payload"))
	require.NoError(t, six.Send(s.now, packetOf(whole), them6, raw.Header{}))
	require.Equal(t, whole, s.send()[0][14:])
	for name, b := range map[string][]byte{
		"nothing": nil, "too short": forged[:19], "the other version": whole, "a header longer than all": {0x4f, 19: 0},
	} {
		require.ErrorIs(t, e.Send(s.now, packetOf(b), them4, raw.Header{}), ip.ErrInvalid, name)
	}
}

// A neighbour that does not answer, and options in the header that was included.
func TestRawSendingWithHeaderToNobody(t *testing.T) {
	s := newScript(t)
	e := s.rawIP(raw.IPConfig{Protocol: 99, Remote: them4, IncludeHeader: true})
	forged := ipv4Options(us4, them4, 99, []byte{7, 7, 4, 0, 0, 0, 0, 0}, []byte("a payload"))
	require.NoError(t, e.Send(s.now, packetOf(forged), netip.Addr{}, raw.Header{}))
	for range 20 {
		s.after(time.Second)
		s.skip()
	}
	require.ErrorIs(t, e.Err(), ip.ErrHostUnreachable)
	require.NoError(t, e.Err(), "once")
}

func TestRawErrors(t *testing.T) {
	s := newScript(t).knowing()
	connected := s.rawIP(raw.IPConfig{Protocol: 99, Remote: them4})
	bound := s.rawIP(raw.IPConfig{Protocol: 99, Local: unspecified4})
	s.recv(toUs(error4(them4, wire.ICMPv4DestinationUnreachable, wire.ICMPv4ProtocolUnreachable, 0, ipv4(us4, them4, 99, make([]byte, 8)))))
	require.ErrorIs(t, connected.Err(), ip.ErrProtocolUnreachable)
	require.NoError(t, bound.Err(), "who is not connected sends to many")
	s.recv(toUs(error4(router4, wire.ICMPv4DestinationUnreachable, wire.ICMPv4HostUnreachable, 0, ipv4(us4, them4, 99, make([]byte, 8)))))
	require.NoError(t, connected.Err(), "it may pass")
	s.recv(toUs(error4(them4, wire.ICMPv4DestinationUnreachable, wire.ICMPv4ProtocolUnreachable, 0, ipv4(us4, router4, 99, make([]byte, 8)))))
	require.NoError(t, connected.Err(), "it is about somebody else")
	require.EqualValues(t, 2, s.stack.Counters().Drops[DropICMPQuote], "who has sent this, nobody knows")
}

// A raw endpoint that nobody reads keeps what its buffer has room for, and nobody else notices.
func TestRawEndpointThatNobodyReads(t *testing.T) {
	s := newScript(t).knowing()
	e := s.rawIP(raw.IPConfig{AllProtocols: true, Local: unspecified4, ReceiveBuffer: 16 << 10})
	f := s.frames(raw.FrameConfig{ReceiveBuffer: 16 << 10})
	u := s.bind("0.0.0.0:7")
	live := livePackets()
	const n = 1000
	for range n {
		s.recv(toUs(udpTo(them4, us4, 1000, 7, strings.Repeat("x", 1000))))
		s.wantDatagram(u, strings.Repeat("x", 1000), "192.168.69.100:1000")
	}
	require.EqualValues(t, n, e.Received()+int(e.Dropped()))
	require.EqualValues(t, n, f.Received()+int(f.Dropped()))
	require.LessOrEqual(t, e.Received(), 16)
	require.Greater(t, e.Received(), 1)
	c := s.stack.Counters().Raw
	require.EqualValues(t, 2*n, c.InPackets+c.InFrames+c.InReceiveQueueFull)
	if live > 0 {
		require.LessOrEqual(t, livePackets()-live, 32)
	}
}

func TestRawCopyOfWhatNeverLeftMemory(t *testing.T) {
	s := newScript(t)
	for _, tc := range []struct{ all, loopback netip.Addr }{{unspecified4, addr("127.0.0.1")}, {unspecified6, addr("::1")}} {
		e := s.rawIP(raw.IPConfig{AllProtocols: true, Local: tc.all})
		ping := s.ping(raw.ICMPConfig{Local: tc.all})
		request := []byte{wire.ICMPv4EchoRequest, 0, 0, 0, 0, 0, 0, 1}
		if tc.all.Is6() {
			request[0] = wire.ICMPv6EchoRequest
		}
		require.NoError(t, ping.Send(s.now, packetOf(request), tc.loopback, raw.Header{}))
		u := s.bind(netip.AddrPortFrom(tc.all, 7).String())
		require.NoError(t, u.Send(s.now, packetOf([]byte("hello")), netip.AddrPortFrom(tc.loopback, 7), 0))
		for s.stack.PollLoopback(s.now) {
		}
		for range 3 {
			p, headers, ok := e.Receive()
			require.True(t, ok)
			require.NotZero(t, headers)
			b := octets(p)
			if tc.all.Is4() {
				require.NotZero(t, b[10]|b[11], "the header's checksum")
				b = patched(b, 6, 0x40) // for verify, which wants what cannot be cut
			}
			s.link.medium = dev.IP
			s.verify(b)
			s.link.medium = dev.Ethernet
		}
		s.wantDatagram(u, "hello", netip.AddrPortFrom(tc.loopback, 7).String())
		reply := ping.Receive()
		require.NotNil(t, reply)
		require.NotEqual(t, []byte{0, 0}, reply.Head()[2:4], "its checksum, too")
		reply.Release()
		e.Close()
	}
}
