package core

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/raw"
	"github.com/smolnet/smolnet/core/wire"
)

// request4 is an echo request as a user of an ICMP endpoint fills it in.
func request4(seq byte) *packet.Packet {
	return packetOf([]byte{wire.ICMPv4EchoRequest, 0, 0xba, 0xad, 0xff, 0xff, 0, seq, 'x'})
}

func request6(seq byte) *packet.Packet {
	return packetOf([]byte{wire.ICMPv6EchoRequest, 0, 0xba, 0xad, 0xff, 0xff, 0, seq, 'x'})
}

// reply is the answer to the request that left.
func reply(frame []byte) []byte {
	b := frame[14:]
	if b[0]>>4 == 4 {
		request := wire.IPv4Packet(b)
		var echo wire.ICMPv4EchoRepr
		if err := echo.Parse(wire.ICMPv4Packet(request.Payload())); err != nil {
			panic(err)
		}
		echo.Reply = true
		answer := make([]byte, echo.Len())
		echo.Emit(answer)
		return ipv4(request.Dst(), request.Src(), ip.ProtocolICMPv4, answer)
	}
	request := wire.IPv6Packet(b)
	var echo wire.ICMPv6EchoRepr
	if err := echo.Parse(wire.ICMPv6Packet(request.Payload())); err != nil {
		panic(err)
	}
	echo.Reply = true
	answer := make([]byte, echo.Len())
	echo.Emit(answer, request.Dst(), request.Src())
	return ipv6(request.Dst(), request.Src(), ip.ProtocolICMPv6, answer)
}

func TestFirstPingOfAnUnknownNeighbour(t *testing.T) {
	s := newScript(t)
	e := s.ping(raw.ICMPConfig{Local: unspecified4, Ident: 7})
	require.NoError(t, e.Send(s.now, request4(1), them4, raw.Header{}))
	require.NoError(t, e.Send(s.now, request4(2), them4, raw.Header{}))
	s.want("the neighbour is asked for first", "ARP, Request who-has 192.168.69.100 tell 192.168.69.1, length 28")
	s.recv(arpReply(them4, theirHardware))
	frames := s.want("both have waited",
		"IP 192.168.69.1 > 192.168.69.100: ICMP echo request, id 7, seq 1, length 9",
		"IP 192.168.69.1 > 192.168.69.100: ICMP echo request, id 7, seq 2, length 9")
	s.recv(toUs(reply(frames[0])))
	p := e.Receive()
	require.NotNil(t, p)
	require.Equal(t, them4, p.IP.Src)
	require.EqualValues(t, 64, p.IP.HopLimit, "what was left of it")
	require.Equal(t, reply(frames[0])[20:], octets(p), "from the ICMP header on")
	require.Nil(t, e.Receive())
}

func TestPingIPv6(t *testing.T) {
	s := newScript(t).knowing()
	e := s.ping(raw.ICMPConfig{Remote: them6, Ident: 7})
	require.NoError(t, e.Send(s.now, request6(1), netip.Addr{}, raw.Header{HopLimit: 5}))
	frames := s.want("", "IP6 fdaa::1 > fdaa::100: ICMP6, echo request, id 7, seq 1, length 9")
	require.EqualValues(t, 5, frames[0][14+7])
	s.recv(toUs(reply(frames[0])))
	require.Equal(t, reply(frames[0])[40:], octets(e.Receive()))
}

func TestPingReceives(t *testing.T) {
	other := func(b []byte) []byte { return rechecked(patched(b, 12, 192, 168, 69, 101)) }
	for _, tc := range []struct {
		name    string
		config  raw.ICMPConfig
		answer  func(request []byte) []byte
		receive bool
	}{
		{"a reply", raw.ICMPConfig{Ident: 7, Local: unspecified4}, reply, true},
		{"a reply to its address", raw.ICMPConfig{Ident: 7, Local: us4}, reply, true},
		{"a reply from its peer", raw.ICMPConfig{Ident: 7, Remote: them4}, reply, true},
		{"one by its link", raw.ICMPConfig{Ident: 7, Local: unspecified4, Link: 2}, reply, true},
		{"one from another than its peer", raw.ICMPConfig{Ident: 7, Remote: them4}, func(b []byte) []byte { return other(reply(b)) }, false},
		{"another identifier", raw.ICMPConfig{Ident: 8, Local: unspecified4},
			func([]byte) []byte { return echo4(them4, us4, "") }, false}, // a request, id 1: answered by the stack
		{"an error, unasked for", raw.ICMPConfig{Ident: 7, Local: unspecified4},
			func(b []byte) []byte { return error4(router4, wire.ICMPv4TimeExceeded, 0, 0, b[14:]) }, false},
		{"an error, asked for", raw.ICMPConfig{Ident: 7, Local: unspecified4, Errors: true},
			func(b []byte) []byte { return error4(router4, wire.ICMPv4TimeExceeded, 0, 0, b[14:]) }, true},
		{"an error about another's request", raw.ICMPConfig{Ident: 7, Local: unspecified4, Errors: true}, func(b []byte) []byte {
			return error4(router4, wire.ICMPv4TimeExceeded, 0, 0, patched(b[14:], 24, 0, 9))
		}, false},
		{"an error about a reply", raw.ICMPConfig{Ident: 7, Local: unspecified4, Errors: true}, func(b []byte) []byte {
			return error4(router4, wire.ICMPv4TimeExceeded, 0, 0, patched(b[14:], 20, wire.ICMPv4EchoReply))
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t).knowing()
			e := s.ping(tc.config)
			require.NoError(t, e.Send(s.now, request4(1), them4, raw.Header{}))
			frames := s.send()
			require.Len(t, frames, 1)
			s.recv(toUs(tc.answer(frames[0])))
			require.Equal(t, tc.receive, e.Received() == 1)
		})
	}
}

func TestPingThatIsConnectedLearnsOfErrors(t *testing.T) {
	s := newScript(t).knowing()
	e := s.ping(raw.ICMPConfig{Remote: them4})
	require.NoError(t, e.Send(s.now, request4(1), netip.Addr{}, raw.Header{}))
	frames := s.send()
	s.recv(toUs(error4(router4, wire.ICMPv4DestinationUnreachable, wire.ICMPv4HostProhibited, 0, frames[0][14:14+28])))
	require.ErrorIs(t, e.Err(), ip.ErrHostUnreachable)

	silent := s.ping(raw.ICMPConfig{Remote: addr("192.168.69.77")})
	require.NoError(t, silent.Send(s.now, request4(1), netip.Addr{}, raw.Header{}))
	for range 20 {
		s.after(time.Second)
		s.skip()
	}
	require.ErrorIs(t, silent.Err(), ip.ErrHostUnreachable, "the stack itself knows that nobody is there")
}

func TestPingSends(t *testing.T) {
	s := newScript(t).knowing()
	e := s.ping(raw.ICMPConfig{Local: unspecified4})
	require.NotZero(t, e.Ident(), "one is chosen")
	for name, b := range map[string][]byte{
		"a reply": {0, 0, 0, 0, 0, 0, 0, 0}, "a code": {8, 1, 0, 0, 0, 0, 0, 0}, "too short": {8, 0, 0, 0, 0, 0, 0},
		"an ICMPv6 request": {128, 0, 0, 0, 0, 0, 0, 0},
	} {
		require.ErrorIs(t, e.Send(s.now, packetOf(b), them4, raw.Header{}), ip.ErrInvalid, name)
	}
	_, err := s.stack.Raw().OpenICMP(raw.ICMPConfig{Local: us4, Ident: e.Ident()})
	require.ErrorIs(t, err, ip.ErrAddressInUse)
	s.ping(raw.ICMPConfig{Local: unspecified6, Ident: e.Ident()}) // that is another protocol
	e.Close()
	s.ping(raw.ICMPConfig{Local: us4, Ident: e.Ident()})
	for name, config := range map[string]raw.ICMPConfig{
		"no address": {}, "a port without a transport": {Local: unspecified4, Port: 7}, "a transport without a port": {Local: unspecified4, Transport: ip.ProtocolUDP},
		"another transport": {Local: unspecified4, Transport: 99, Port: 7}, "link-local without a link": {Remote: theirLinkLocal},
	} {
		_, err := s.stack.Raw().OpenICMP(config)
		require.ErrorIs(t, err, ip.ErrInvalid, name)
	}
	_, err = s.stack.Raw().OpenICMP(raw.ICMPConfig{Local: them4})
	require.ErrorIs(t, err, ip.ErrAddressNotAvailable)
}

// smoltcp's icmp socket bound to Endpoint::Udp: the errors about what has left from a port, which need not be open.
func TestErrorsAboutAPort(t *testing.T) {
	for _, tc := range []struct {
		name      string
		local     netip.Addr
		transport uint8
		message   []byte
		receive   bool
	}{
		{"about a datagram", unspecified4, ip.ProtocolUDP, error4(them4, 3, 3, 0, udpTo(us4, them4, 5000, 7, "hello")), true},
		{"about a datagram, IPv6", unspecified6, ip.ProtocolUDP, error6(them6, 1, 4, 0, udpTo(us6, them6, 5000, 7, "hello")), true},
		{"about a segment", us4, ip.ProtocolTCP, error4(them4, 3, 3, 0, syn(us4, them4, 5000, 7)), true},
		{"about the time that its fragments took", unspecified4, ip.ProtocolUDP, error4(them4, 11, 1, 0, udpTo(us4, them4, 5000, 7, "hello")), true},
		{"about another port", unspecified4, ip.ProtocolUDP, error4(them4, 3, 3, 0, udpTo(us4, them4, 5001, 7, "hello")), false},
		{"about the other protocol", unspecified4, ip.ProtocolUDP, error4(them4, 3, 3, 0, syn(us4, them4, 5000, 7)), false},
		{"about the other version", unspecified4, ip.ProtocolUDP, error6(them6, 1, 4, 0, udpTo(us6, them6, 5000, 7, "hello")), false},
		{"about somebody else's", unspecified4, ip.ProtocolUDP, error4(them4, 3, 3, 0, udpTo(router4, them4, 5000, 7, "hello")), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t).knowing()
			e := s.ping(raw.ICMPConfig{Local: tc.local, Transport: tc.transport, Port: 5000})
			s.recv(toUs(tc.message))
			if !tc.receive {
				require.Nil(t, e.Receive())
				return
			}
			headers := 20
			if tc.local.Is6() {
				headers = 40
			}
			require.Equal(t, tc.message[headers:], octets(e.Receive()), "the whole message, its quote included")
			require.ErrorIs(t, e.Send(s.now, request4(1), them4, raw.Header{}), ip.ErrNotSupported)
		})
	}
}

func TestNoEchoReply(t *testing.T) {
	s := newScript(t, func(c *Config) { c.NoEchoReply = true }).knowing()
	e := s.rawIP(raw.IPConfig{Protocol: ip.ProtocolICMPv4, Local: unspecified4})
	s.recv(toUs(echo4(them4, us4, "hello")))
	s.recv(toUs(echo6(them6, us6, "hello")))
	s.wantIdle("no reply")
	require.EqualValues(t, 2, s.stack.Counters().Drops[DropICMPEcho])
	s.wantPacket(e, "somebody else may answer", echo4(them4, us4, "hello"))
}
