package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

func TestEchoRequestIsAnswered(t *testing.T) {
	s := newScript(t).knowing()
	s.recv(toUs(echo4(them4, us4, "hello")))
	s.want("the reply has the request's data", "IP 192.168.69.1 > 192.168.69.100: ICMP echo reply, id 1, seq 2, length 13")
	s.recv(toUs(echo6(them6, us6, "hello, odd")))
	s.want("the reply has the request's data", "IP6 fdaa::1 > fdaa::100: ICMP6, echo reply, id 1, seq 2, length 18")
	c := s.stack.Counters()
	require.EqualValues(t, 1, c.ICMPv4.InType[wire.ICMPv4EchoRequest])
	require.EqualValues(t, 1, c.ICMPv4.OutType[wire.ICMPv4EchoReply])
	require.EqualValues(t, 1, c.ICMPv6.OutMsgs-1-1, "the reply, after the advertisements of two addresses")
	require.EqualValues(t, 1, c.IPv4.InDelivers)
	require.EqualValues(t, 1, c.IPv4.OutTransmits)
	require.EqualValues(t, 33, c.IPv4.OutOctets)
}

func TestFirstPingIsAnsweredThoughTheNeighbourIsUnknown(t *testing.T) {
	s := newScript(t)
	s.recv(toUs(echo4(them4, us4, "hello")))
	s.want("the reply waits for its way", "ARP, Request who-has 192.168.69.100 tell 192.168.69.1, length 28")
	s.recv(arpReply(them4, theirHardware))
	frames := s.want("and leaves once that is known", "IP 192.168.69.1 > 192.168.69.100: ICMP echo reply, id 1, seq 2, length 13")
	require.Equal(t, theirHardware, wire.EthernetFrame(frames[0]).Dst())

	s.recv(toUs(echo6(them6, us6, "hello")))
	s.want("IPv6 does alike",
		"IP6 fdaa::1 > ff02::1:ff00:100: ICMP6, neighbor solicitation, who has fdaa::100, source link-address 02:00:00:00:00:01, length 32")
	s.recv(nd(them6, us6, &wire.NDNeighborAdvertisementRepr{Solicited: true, Override: true, Target: them6, TargetLinkAddr: theirHardware.LinkAddr()}))
	s.want("and leaves once that is known", "IP6 fdaa::1 > fdaa::100: ICMP6, echo reply, id 1, seq 2, length 13")
}

func TestEchoFromAGroup(t *testing.T) {
	s := newScript(t).knowing()
	s.recv(toAll(echo4(them4, addr("255.255.255.255"), "")))
	s.recv(toAll(echo4(them4, addr("192.168.69.255"), "")))
	s.recv(toGroup(echo4(them4, addr("224.0.0.1"), "")))
	s.wantIdle("RFC 1122: no answer to a broadcast, lest a whole network answers")
	require.EqualValues(t, 3, s.link.Counters().Drops[DropICMPGroup])

	s.recv(toGroup(echo6(them6, addr("ff02::1"), "odd")))
	s.want("RFC 4443: a multicast is answered, from a unicast address",
		"IP6 fdaa::1 > fdaa::100: ICMP6, echo reply, id 1, seq 2, length 11")
	s.recv(toGroup(echo6(theirLinkLocal, addr("ff02::1"), "odd")))
	s.want("of the right scope", "IP6 fe80::ff:fe00:1 > fe80::64: ICMP6, echo reply, id 1, seq 2, length 11")
}

func TestPortUnreachable(t *testing.T) {
	s := newScript(t).knowing()
	s.recv(toUs(udpTo(them4, us4, 1000, 7, "hello")))
	frames := s.want("nobody is there",
		"IP 192.168.69.1 > 192.168.69.100: ICMP 192.168.69.1 udp port 7 unreachable, length 41: "+
			"IP 192.168.69.100.1000 > 192.168.69.1.7: UDP, length 5")
	require.Equal(t, udpTo(them4, us4, 1000, 7, "hello"), frames[0][14+20+8:], "the quote is the whole packet")
	s.recv(toUs(udpTo(them6, us6, 1000, 7, "hello")))
	s.want("nobody is there",
		"IP6 fdaa::1 > fdaa::100: ICMP6, destination unreachable, unreachable port, length 61: "+
			"IP6 fdaa::100.1000 > fdaa::1.7: UDP, length 5")
	s.recv(toUs(udpTo(them4, us4, 1000, 7, strings.Repeat("x", 1400))))
	require.Len(t, s.send()[0], 14+576, "RFC 1812: as much as makes 576 octets")
	s.recv(toUs(udpTo(them6, us6, 1000, 7, strings.Repeat("x", 1400))))
	require.Len(t, s.send()[0], 14+1280, "RFC 4443: as much as makes 1280 octets")
}

func TestUnknownProtocol(t *testing.T) {
	s := newScript(t).knowing()
	s.recv(toUs(ipv4(them4, us4, 99, make([]byte, 8))))
	s.want("protocol unreachable", "IP 192.168.69.1 > 192.168.69.100: ICMP 192.168.69.1 protocol 99 unreachable, length 36: "+
		"IP 192.168.69.100 > 192.168.69.1: ip-proto-99, length 8")
	s.recv(toUs(ipv6(them6, us6, 99, make([]byte, 8))))
	frames := s.want("the next header field is to blame", "IP6 fdaa::1 > fdaa::100: ICMP6, parameter problem, next header - octet 6, length 56: "+
		"IP6 fdaa::100 > fdaa::1: ip-proto-99, length 8")
	require.EqualValues(t, 6, wire.ICMPv6Packet(frames[0][14+40:]).Pointer())
	s.recv(toUs(ipv6(them6, us6, ip.ProtocolICMPv4, make([]byte, 8))))
	require.Len(t, s.send(), 1, "ICMPv4 is no protocol of IPv6's")
	s.recv(toUs(ipv4(them4, us4, ip.ProtocolICMPv6, make([]byte, 8))))
	require.Len(t, s.send(), 1, "nor ICMPv6 of IPv4's")
	c := s.link.Counters()
	require.EqualValues(t, 4, c.Drops[DropUnknownProtocol])
	require.EqualValues(t, 2, c.IPv4.InUnknownProtos)
	require.EqualValues(t, 2, c.IPv6.InUnknownProtos)
}

func TestErrorsThatMustNotBeSent(t *testing.T) {
	linkBroadcast := func(b []byte) []byte { return ether(wire.BroadcastHardwareAddr, wire.EtherTypeIPv6, b) }
	badOption := []byte{0x83} // discard, and send an error
	for _, tc := range []struct {
		name  string
		frame []byte
	}{
		{"UDP to a broadcast address", toAll(udpTo(them4, addr("192.168.69.255"), 1000, 7, ""))},
		{"UDP to all hosts", toGroup(udpTo(them4, addr("224.0.0.1"), 1000, 7, ""))},
		{"UDP to all nodes", toGroup(udpTo(them6, addr("ff02::1"), 1000, 7, ""))},
		{"unknown protocol to a broadcast address", toAll(ipv4(them4, addr("192.168.69.255"), 99, nil))},
		{"unknown protocol to all nodes", toGroup(ipv6(them6, addr("ff02::1"), 99, nil))},
		{"unicast UDP in a link-layer broadcast", linkBroadcast(udpTo(them6, us6, 1000, 7, ""))},
		{"from 0.0.0.0", toAll(ipv4(addr("0.0.0.0"), addr("255.255.255.255"), 99, nil))},
		{"from ::", toUs(ipv6(addr("::"), us6, 99, nil))},
		{"an ICMP error with malformed options", toUs(ipv4Options(them4, us4, ip.ProtocolICMPv4, []byte{7, 1, 0, 0},
			error4(them4, wire.ICMPv4DestinationUnreachable, 0, 0, make([]byte, 28))[20:]))},
		{"an ICMPv6 error with an unknown option", toUs(ipv6(them6, us6, wire.IPv6DestinationOptions,
			append([]byte{ip.ProtocolICMPv6, 0, badOption[0], 4, 0, 0, 0, 0},
				error6(them6, wire.ICMPv6DestinationUnreachable, 0, 0, make([]byte, 48))[40:]...)))},
		{"a redirect with an unknown option", toUs(ipv6(them6, us6, wire.IPv6DestinationOptions,
			append([]byte{ip.ProtocolICMPv6, 0, badOption[0], 4, 0, 0, 0, 0}, wire.ICMPv6Redirect, 0, 0, 0, 0, 0, 0, 0)))},
		{"a later fragment with malformed options", toUs(rechecked(patched(
			ipv4Options(them4, us4, ip.ProtocolUDP, []byte{7, 1, 0, 0}, make([]byte, 8)), 6, 0, 1)))},
		{"a later fragment that ends too far", toUs(rechecked(patched(
			ipv4(them4, us4, ip.ProtocolUDP, make([]byte, 8)), 6, 0x1f, 0xff)))},
		{"a fragment of unequal length to all nodes", toGroup(ipv6(them6, addr("ff02::1"), wire.IPv6Fragment,
			append([]byte{99, 0, 0, 1, 0, 0, 0, 1}, make([]byte, 9)...)))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t).knowing()
			s.recv(tc.frame)
			s.wantIdle("no error")
			c := s.stack.Counters()
			require.Zero(t, c.ICMPv4.OutMsgs)
			require.EqualValues(t, 2, c.ICMPv6.OutMsgs, "the advertisements")
			require.EqualValues(t, 1, c.Drops.Total()+c.UDP.NoPorts, "the frame is counted: %v", c.Drops)
		})
	}
}

func TestErrorsAboutMulticastThatAreSent(t *testing.T) {
	s := newScript(t).knowing()
	options := func(kind byte) []byte {
		return toGroup(ipv6(them6, addr("ff02::1"), wire.IPv6DestinationOptions,
			[]byte{wire.IPv6NoNextHeader, 0, kind, 4, 0, 0, 0, 0}))
	}
	s.recv(options(0xc3))
	s.wantIdle("this option's action spares multicasts")
	s.recv(options(0x83))
	s.want("RFC 4443 section 2.4 (e.3): this one's does not",
		"IP6 fdaa::1 > fdaa::100: ICMP6, parameter problem, option - octet 42, length 56: IP6 fdaa::100 > ff02::1: DSTOPT no next header")
}

func TestErrorsAreRateLimited(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.ICMPErrorRate, c.Limits.ICMPErrorBurst = 10, 3 }).knowing()
	flood := func(n int) {
		for range n {
			s.recv(toUs(udpTo(them4, us4, 1000, 7, "")))
			s.recv(toUs(udpTo(them6, us6, 1000, 7, "")))
		}
	}
	flood(10)
	require.Len(t, s.send(), 3, "a burst, both versions together")
	s.after(99 * time.Millisecond)
	flood(1)
	s.wantIdle("a tenth of a second has not passed")
	s.after(time.Millisecond)
	flood(5)
	require.Len(t, s.send(), 1, "ten a second")
	s.after(time.Hour)
	flood(10)
	require.Len(t, s.send(), 3, "however long there was none, the burst is bounded")
	c := s.stack.Counters()
	require.EqualValues(t, c.UDP.NoPorts-7, c.ICMPv4.OutRateLimited+c.ICMPv6.OutRateLimited)
	s.recv(toUs(echo4(them4, us4, "")))
	require.Len(t, s.send(), 1, "an echo reply is no error")
}

func TestErrorsReachTheirEndpoint(t *testing.T) {
	for _, tc := range []struct {
		name       string
		kind, code uint8
		want       error
	}{
		{"net unreachable, which may pass", wire.ICMPv4DestinationUnreachable, wire.ICMPv4NetUnreachable, nil},
		{"host unreachable, which may pass", wire.ICMPv4DestinationUnreachable, wire.ICMPv4HostUnreachable, nil},
		{"protocol unreachable", wire.ICMPv4DestinationUnreachable, wire.ICMPv4ProtocolUnreachable, ip.ErrProtocolUnreachable},
		{"port unreachable", wire.ICMPv4DestinationUnreachable, wire.ICMPv4PortUnreachable, ip.ErrConnectionRefused},
		{"fragmentation needed", wire.ICMPv4DestinationUnreachable, wire.ICMPv4FragmentationNeeded, ip.ErrMessageTooLong},
		{"source route failed", wire.ICMPv4DestinationUnreachable, wire.ICMPv4SourceRouteFailed, nil},
		{"host unknown", wire.ICMPv4DestinationUnreachable, wire.ICMPv4HostUnknown, ip.ErrHostDown},
		{"net prohibited", wire.ICMPv4DestinationUnreachable, wire.ICMPv4NetProhibited, ip.ErrNetworkUnreachable},
		{"prohibited", wire.ICMPv4DestinationUnreachable, wire.ICMPv4AdminProhibited, ip.ErrHostUnreachable},
		{"time exceeded", wire.ICMPv4TimeExceeded, wire.ICMPv4TTLExceeded, nil},
		{"time of reassembly exceeded", wire.ICMPv4TimeExceeded, wire.ICMPv4ReassemblyTimeExceeded, nil},
		{"parameter problem", wire.ICMPv4ParameterProblem, 0, ip.ErrProtocol},
	} {
		t.Run("IPv4 "+tc.name, func(t *testing.T) {
			s := newScript(t).knowing()
			e, sent := s.connectedUDP("192.168.69.100:7")
			s.recv(toUs(error4(router4, tc.kind, tc.code, 1000, sent[:28])))
			require.Equal(t, tc.want, e.Err(), "a quote of eight octets is enough")
		})
	}
	for _, tc := range []struct {
		name       string
		kind, code uint8
		want       error
	}{
		{"no route, which may pass", wire.ICMPv6DestinationUnreachable, wire.ICMPv6NoRoute, nil},
		{"prohibited", wire.ICMPv6DestinationUnreachable, wire.ICMPv6AdminProhibited, ip.ErrPermission},
		{"beyond scope", wire.ICMPv6DestinationUnreachable, wire.ICMPv6BeyondScope, nil},
		{"address unreachable", wire.ICMPv6DestinationUnreachable, wire.ICMPv6AddressUnreachable, nil},
		{"a code that is not known", wire.ICMPv6DestinationUnreachable, 7, ip.ErrProtocol},
		{"port unreachable", wire.ICMPv6DestinationUnreachable, wire.ICMPv6PortUnreachable, ip.ErrConnectionRefused},
		{"packet too big", wire.ICMPv6PacketTooBig, 0, ip.ErrMessageTooLong},
		{"time exceeded", wire.ICMPv6TimeExceeded, 0, nil},
		{"unrecognized next header", wire.ICMPv6ParameterProblem, wire.ICMPv6UnrecognizedNextHeader, ip.ErrProtocol},
	} {
		t.Run("IPv6 "+tc.name, func(t *testing.T) {
			s := newScript(t).knowing()
			e, sent := s.connectedUDP("[fdaa::100]:7")
			s.recv(toUs(error6(them6, tc.kind, tc.code, 1280, sent)))
			require.Equal(t, tc.want, e.Err())
		})
	}
}

// connectedUDP returns an endpoint and the IP packet that it has sent.
func (s *script) connectedUDP(remote string) (*udp.Endpoint, []byte) {
	s.t.Helper()
	to := addrPort(remote)
	local := "0.0.0.0:5000"
	if to.Addr().Is6() {
		local = "[::]:5000"
	}
	e, err := s.stack.UDP().Bind(udp.BindConfig{Local: addrPort(local), Remote: to})
	require.NoError(s.t, err)
	require.NoError(s.t, e.Send(s.now, packetOf([]byte("hello")), to, 0))
	sent := s.send()
	require.Len(s.t, sent, 1)
	return e, sent[0][14:]
}

func TestErrorsAboutNothingOfOurs(t *testing.T) {
	fragment := rechecked(patched(udpTo(us4, them4, 5000, 7, "hello"), 6, 0, 1))
	fragment6 := ipv6(us6, them6, wire.IPv6Fragment, append([]byte{17, 0, 0, 8, 0, 0, 0, 1}, make([]byte, 8)...))
	for _, tc := range []struct {
		name  string
		frame []byte
	}{
		{"no quote", error4(them4, wire.ICMPv4DestinationUnreachable, 3, 0, nil)},
		{"quote shorter than a header", error4(them4, wire.ICMPv4DestinationUnreachable, 3, 0, udpTo(us4, them4, 5000, 7, "")[:19])},
		{"quote without ports", error4(them4, wire.ICMPv4DestinationUnreachable, 3, 0, udpTo(us4, them4, 5000, 7, "")[:27])},
		{"quote from others", error4(them4, wire.ICMPv4DestinationUnreachable, 3, 0, udpTo(router4, them4, 5000, 7, ""))},
		{"quote of another version", error4(them4, wire.ICMPv4DestinationUnreachable, 3, 0, udpTo(us6, them6, 5000, 7, ""))},
		{"quote of a later fragment", error4(them4, wire.ICMPv4DestinationUnreachable, 3, 0, fragment)},
		{"quote of an ICMP message", error4(them4, wire.ICMPv4DestinationUnreachable, 3, 0, echo4(us4, them4, ""))},
		{"no quote, IPv6", error6(them6, wire.ICMPv6DestinationUnreachable, 4, 0, nil)},
		{"quote shorter than a header, IPv6", error6(them6, wire.ICMPv6DestinationUnreachable, 4, 0, udpTo(us6, them6, 5000, 7, "")[:39])},
		{"quote without ports, IPv6", error6(them6, wire.ICMPv6DestinationUnreachable, 4, 0, udpTo(us6, them6, 5000, 7, "")[:47])},
		{"quote from others, IPv6", error6(them6, wire.ICMPv6DestinationUnreachable, 4, 0, udpTo(them6, us6, 5000, 7, ""))},
		{"quote of a later fragment, IPv6", error6(them6, wire.ICMPv6DestinationUnreachable, 4, 0, fragment6)},
		{"quote ends in an extension header", error6(them6, wire.ICMPv6DestinationUnreachable, 4, 0, fragment6[:44])},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t).knowing()
			e, _ := s.connectedUDP("192.168.69.100:7")
			s.recv(toUs(tc.frame))
			require.NoError(t, e.Err())
			c := s.stack.Counters()
			require.EqualValues(t, 1, c.Drops[DropICMPQuote])
			require.EqualValues(t, 1, c.ICMPv4.InErrors+c.ICMPv6.InErrors)
		})
	}
}

func TestICMPChecksumOfTheDevice(t *testing.T) {
	s := newScript(t, func(c *dev.Capabilities) {
		c.Checksum = dev.Checksums{IPv4: dev.ChecksumNone, ICMPv4: dev.ChecksumNone, ICMPv6: dev.ChecksumNone}
	}).knowing()
	s.recv(toUs(patched(echo4(them4, us4, "hello"), 22, 0, 0)))
	s.recv(toUs(patched(echo6(them6, us6, "hello"), 42, 0, 0)))
	frames := s.send()
	require.Len(t, frames, 2, "the device vouches for what it delivers")
	require.Equal(t, []byte{0, 0}, frames[0][14+10:14+12], "and fills in the header's checksum")
	require.Equal(t, []byte{0, 0}, frames[0][14+20+2:14+20+4], "and the message's")
	require.Equal(t, []byte{0, 0}, frames[1][14+40+2:14+40+4])
}

func TestRateLimit(t *testing.T) {
	for _, rate := range []int{1, 7, 1000, 1e9} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			r := newRateLimit(rate, 5)
			allowed := 0
			second := int64(time.Second)
			for now := int64(0); now < 10*second; now += second / 50 {
				for range 30 {
					if r.allow(now) {
						allowed++
					}
				}
			}
			require.LessOrEqual(t, allowed, 10*rate+5)
			require.GreaterOrEqual(t, allowed, min(10*rate, 5*50*9), "it is used up as far as bursts of five allow")
		})
	}
}

func TestSuperSegmentIsQuotedAsFarAsItGoes(t *testing.T) {
	// What comes in referenced pieces is quoted across them.
	s := newScript(t).knowing()
	whole := toUs(udpTo(them4, us4, 1000, 7, strings.Repeat("x", 1000)))
	p := packetOf(whole[:42])
	chunk := packet.NewChunk(1000)
	copy(chunk.Data(), whole[42:])
	p.Reference(chunk, chunk.Data()[:1000])
	chunk.Release()
	s.recvPackets(p)
	frames := s.send()
	require.Len(t, frames, 1)
	require.Equal(t, whole[14:14+548], frames[0][14+28:])
}

func TestErrorsReachTheirConnection(t *testing.T) {
	for _, tc := range []struct {
		remote string
		refuse func(syn []byte) []byte
	}{
		{"192.168.69.100:80", func(syn []byte) []byte {
			return error4(them4, wire.ICMPv4DestinationUnreachable, wire.ICMPv4PortUnreachable, 0, syn[:28])
		}},
		{"[fdaa::100]:80", func(syn []byte) []byte {
			return error6(them6, wire.ICMPv6DestinationUnreachable, wire.ICMPv6PortUnreachable, 0, syn)
		}},
	} {
		t.Run(tc.remote, func(t *testing.T) {
			s := newScript(t).knowing()
			c, err := s.stack.TCP().Dial(s.now, tcp.DialConfig{Remote: addrPort(tc.remote)})
			require.NoError(t, err)
			sent := s.send()
			require.Len(t, sent, 1)
			s.recv(toUs(tc.refuse(sent[0][14:])))
			require.ErrorIs(t, c.Err(), ip.ErrConnectionRefused)
		})
	}
}
