package core

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// fragment6 is a fragment of a packet from them6 to us6.
func fragment6(id uint32, offset int, more bool, nextHeader uint8, payload []byte) []byte {
	return ipv6(them6, us6, wire.IPv6Fragment, fragmented6(id, offset, more, nextHeader, payload))
}

// fragmented6 is a fragment header and what follows it.
func fragmented6(id uint32, offset int, more bool, nextHeader uint8, payload []byte) []byte {
	r := wire.IPv6FragmentRepr{NextHeader: nextHeader, Offset: offset, More: more, ID: id}
	b := make([]byte, r.Len())
	r.Emit(b)
	return append(b, payload...)
}

// inFragments makes fragments of an IP packet: each has size octets of its payload, the last perhaps less.
func inFragments(b []byte, id uint32, size int) (fragments [][]byte) {
	if b[0]>>4 == 6 {
		return inFragmentsBehind(b, id, size, 0)
	}
	headerLen := wire.IPv4Packet(b).HeaderLen()
	payload := b[headerLen:]
	for offset := 0; offset < len(payload); offset += size {
		end := min(offset+size, len(payload))
		p := wire.IPv4Packet(append(slices.Clone(b[:headerLen]), payload[offset:end]...))
		p.SetID(uint16(id))
		p.SetTotalLen(len(p))
		p.SetFragment(offset, end < len(payload))
		p.FillChecksum()
		fragments = append(fragments, p)
	}
	return fragments
}

// inFragmentsBehind makes fragments of an IPv6 packet of which so many octets of extension headers are to be in every fragment.
func inFragmentsBehind(b []byte, id uint32, size, extensions int) (fragments [][]byte) {
	pointer := 6
	if extensions > 0 {
		pointer = wire.IPv6HeaderLen // one header, that is
	}
	headerLen := wire.IPv6HeaderLen + extensions
	payload := b[headerLen:]
	for offset := 0; offset < len(payload); offset += size {
		end := min(offset+size, len(payload))
		p := wire.IPv6Packet(slices.Clone(b[:headerLen]))
		p[pointer] = wire.IPv6Fragment
		p = append(p, fragmented6(id, offset, end < len(payload), b[pointer], payload[offset:end])...)
		p.SetPayloadLen(len(p) - wire.IPv6HeaderLen)
		fragments = append(fragments, p)
	}
	return fragments
}

// toUsAll are frames for the stack.
func toUsAll(packets [][]byte) (frames [][]byte) {
	for _, b := range packets {
		frames = append(frames, toUs(b))
	}
	return frames
}

// recvAll has packets come in order.
func (s *script) recvAll(packets [][]byte) {
	for _, b := range packets {
		s.recv(toUs(b))
	}
}

func noise(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8)
	}
	return string(b)
}

func TestDatagramsInFragments(t *testing.T) {
	for _, tc := range []struct {
		name     string
		from, to netip.Addr
		longest  int
	}{
		{"IPv4", them4, us4, 65507},
		{"IPv6", them6, us6, 65527},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t)
			e := s.bind(netip.AddrPortFrom(tc.to, 7).String())
			wanted := 0
			for i, n := range []int{1473, 4000, 9000, 65000, tc.longest} {
				said := noise(n)
				fragments := inFragments(udpTo(tc.from, tc.to, 1000, 7, said), uint32(i), 1448)
				wanted += len(fragments)
				if i%2 == 0 {
					slices.Reverse(fragments)
				}
				s.recvAll(fragments)
				info := s.wantDatagram(e, said, netip.AddrPortFrom(tc.from, 1000).String())
				require.Equal(t, packet.IPInfo{Src: tc.from, Dst: tc.to, Link: s.link.Index(), Protocol: ip.ProtocolUDP, HopLimit: 64}, info)
			}
			counters := s.link.Counters()
			c := counters.ip(tc.from.Is6())
			require.EqualValues(t, wanted, c.ReasmReqds)
			require.EqualValues(t, 5, c.ReasmOKs)
			require.Zero(t, c.ReasmFails)
			require.EqualValues(t, 5, c.InDelivers)
			require.Zero(t, counters.Drops.Total())
			require.Zero(t, s.stack.fragments.Octets())
		})
	}
}

// Whatever comes in fragments is processed as if it had come whole.
func TestProtocolsInFragments(t *testing.T) {
	s := newScript(t).knowing()
	s.recvAll(inFragments(echo4(them4, us4, noise(100)), 1, 8))
	s.recvAll(inFragments(echo6(them6, us6, noise(100)), 1, 8))
	s.want("echo requests", "IP 192.168.69.1 > 192.168.69.100: ICMP echo reply, id 1, seq 2, length 108",
		"IP6 fdaa::1 > fdaa::100: ICMP6, echo reply, id 1, seq 2, length 108")
	s.recvAll(inFragments(syn(them4, us4, 1000, 80)[:40], 2, 24))
	s.recvAll(inFragments(syn(them6, us6, 1000, 80), 2, 24))
	require.Len(t, s.send(), 2, "segments to a closed port")

	s.recvAll(inFragments(udpTo(them4, us4, 1000, 9, noise(100)), 3, 48))
	sent := s.send()
	require.Len(t, sent, 1)
	s.verify(sent[0])
	quote := wire.IPv4Packet(wire.ICMPv4Packet(wire.IPv4Packet(sent[0][14:]).Payload()).Payload())
	require.True(t, quote.VerifyChecksum(), "the quoted header is the whole packet's, and sound")
	require.Equal(t, 128, quote.TotalLen())
	require.False(t, quote.IsFragment())
	require.Equal(t, noise(100), string(wire.UDPPacket(quote.Payload()).Payload()))

	s.recvAll(inFragments(udpTo(them6, us6, 1000, 9, noise(100)), 3, 48))
	s.want("and in IPv6", "IP6 fdaa::1 > fdaa::100: ICMP6, destination unreachable, unreachable port, length 156: "+
		"IP6 fdaa::100.1000 > fdaa::1.9: UDP, length 100")

	options := ipv4Options(them4, us4, 99, []byte{1, 7, 3, 4, 0, 0, 0, 0}, []byte(noise(40)))
	s.recvAll(inFragments(options, 4, 16))
	sent = s.send()
	require.Len(t, sent, 1)
	quote = wire.IPv4Packet(wire.ICMPv4Packet(wire.IPv4Packet(sent[0][14:]).Payload()).Payload())
	require.Equal(t, 28, quote.HeaderLen(), "the options of the first fragment are the packet's")
	require.Equal(t, noise(40), string(quote.Payload()))
}

// The headers in front of the fragment header are processed with each fragment, those behind it with the packet.
func TestExtensionHeadersAroundFragments(t *testing.T) {
	datagram := udpTo(them6, us6, 1000, 7, noise(100))[wire.IPv6HeaderLen:]
	destination := func(next, option byte) []byte { return []byte{next, 0, option, 4, 0, 0, 0, 0} }
	both := func(before, after byte) []byte {
		return ipv6(them6, us6, wire.IPv6HopByHop, slices.Concat(
			destination(wire.IPv6DestinationOptions, before), destination(ip.ProtocolUDP, after), datagram))
	}
	s := newScript(t).knowing()
	e := s.bind("[::]:7")
	s.recvAll(inFragmentsBehind(both(0x1e, 0x1e), 1, 64, 8))
	s.wantDatagram(e, noise(100), "[fdaa::100]:1000")
	s.recvAll(inFragments(both(0x1e, 0x1e), 2, 64)[1:])
	s.wantIdle("a part is not looked into")

	fragments := inFragmentsBehind(both(0x1e, 0x83), 3, 64, 8)
	s.recvAll(fragments[:1])
	s.wantIdle("options behind the fragment header say nothing before the packet is whole")
	s.recvAll(fragments[1:])
	sent := s.send()
	require.Len(t, sent, 1)
	problem := wire.ICMPv6Packet(wire.IPv6Packet(sent[0][14:]).Payload())
	require.Equal(t, []uint8{wire.ICMPv6ParameterProblem, wire.ICMPv6UnrecognizedOption}, []uint8{problem.Type(), problem.Code()})
	require.EqualValues(t, 50, problem.Pointer(), "it points into the packet as it was before it was fragmented")
	require.Equal(t, both(0x1e, 0x83), []byte(problem.Body()))

	s.recvAll(inFragmentsBehind(both(0x83, 0x1e), 4, 64, 8)[1:])
	require.Len(t, s.send(), 1, "those in front of it do at once")
	require.EqualValues(t, 1, s.stack.fragments.Len(), "and the fragment is not kept")

	unknown := ipv6(them6, us6, wire.IPv6HopByHop, append(destination(99, 0x1e), datagram...))
	s.recvAll(inFragmentsBehind(unknown, 5, 64, 8))
	s.want("the protocol is unknown", "IP6 fdaa::1 > fdaa::100: ICMP6, parameter problem, next header - octet 40, length 164: "+
		"IP6 fdaa::100 > fdaa::1: HBH ip-proto-99, length 108")
	s.recvAll(inFragments(ipv6(them6, us6, 99, datagram), 6, 64))
	s.want("and without other headers", "IP6 fdaa::1 > fdaa::100: ICMP6, parameter problem, next header - octet 6, length 156: "+
		"IP6 fdaa::100 > fdaa::1: ip-proto-99, length 108")

	nested := ipv6(them6, us6, wire.IPv6Fragment, fragmented6(9, 0, true, ip.ProtocolUDP, datagram[:64]))
	s.recvAll(inFragments(nested, 7, 40))
	require.EqualValues(t, 1, s.link.Counters().Drops[DropFragmentNested], "a fragment of a fragment")
}

// RFC 8200 section 4.5 lists what is wrong with fragments and who is told.
func TestParameterProblemsOfFragments(t *testing.T) {
	hop := []byte{wire.IPv6Fragment, 0, 1, 4, 0, 0, 0, 0}
	for _, tc := range []struct {
		name  string
		frame []byte
		want  string
	}{
		{"not a multiple of eight octets", toUs(fragment6(1, 0, true, 17, make([]byte, 15))), "erroneous - octet 4"},
		{"neither is a later one", toUs(fragment6(1, 8, true, 17, make([]byte, 15))), "erroneous - octet 4"},
		{"ends beyond the longest packet", toUs(fragment6(1, 65528, false, 17, make([]byte, 8))), "erroneous - octet 42"},
		{"ping of death", toUs(fragment6(1, 65528, false, 58, make([]byte, 8))), "erroneous - octet 42"},
		{"behind other headers", toUs(ipv6(them6, us6, wire.IPv6HopByHop, slices.Concat(hop,
			fragmented6(1, 65520, false, 17, make([]byte, 8))))), "erroneous - octet 50"},
		{"no upper-layer header", toUs(fragment6(1, 0, true, wire.IPv6DestinationOptions, []byte{17, 0, 1, 4, 0, 0, 0, 0})), "incomplete header chain - octet 0"},
		{"half an upper-layer header", toUs(fragment6(1, 0, true, 6, make([]byte, 16))), "incomplete header chain - octet 0"},
		{"half an extension header", toUs(fragment6(1, 0, true, wire.IPv6DestinationOptions, []byte{17, 1, 1, 4, 0, 0, 0, 0})), "incomplete header chain - octet 0"},
		{"a fragment of a fragment", toUs(ipv6(them6, us6, wire.IPv6Fragment,
			fragmented6(1, 0, false, wire.IPv6Fragment, fragmented6(2, 0, true, 17, make([]byte, 8))))), "erroneous - octet 48"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t).knowing()
			s.recv(tc.frame)
			sent := s.send()
			require.Len(t, sent, 1)
			require.Contains(t, wire.EthernetFrame(sent[0]).String(), "parameter problem, "+tc.want)
			s.verify(sent[0])
			require.Zero(t, s.stack.fragments.Len())
		})
	}
}

func TestFragmentsThatNobodyIsToldOf(t *testing.T) {
	for _, tc := range []struct {
		name      string
		fragments [][]byte
	}{
		{"overlapping", [][]byte{fragment6(1, 0, true, 17, make([]byte, 16)), fragment6(1, 8, true, 17, make([]byte, 16))}},
		{"teardrop", [][]byte{
			rechecked(patched(ipv4(them4, us4, 17, make([]byte, 32)), 6, 0x20, 0)),
			rechecked(patched(ipv4(them4, us4, 17, make([]byte, 4)), 6, 0, 3)),
		}},
		{"too long, IPv4", [][]byte{rechecked(patched(ipv4(them4, us4, 1, make([]byte, 8)), 6, 0x1f, 0xff))}},
		{"without octets", [][]byte{fragment6(1, 0, true, 17, nil), fragment6(1, 8, false, 17, nil)}},
		{"what may be an error", [][]byte{fragment6(1, 0, true, ip.ProtocolICMPv6, make([]byte, 15))}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t).knowing()
			s.recvAll(tc.fragments)
			s.wantIdle("not at once")
			require.Positive(t, s.link.Counters().IPv4.ReasmFails+s.link.Counters().IPv6.ReasmFails)
			s.after(2 * time.Minute)
			s.wantIdle("nor later")
		})
	}
}

func TestReassemblyTimesOut(t *testing.T) {
	s := newScript(t).knowing()
	s.recvAll(inFragments(udpTo(them4, us4, 1000, 7, noise(100)), 1, 48)[:2])
	s.recvAll(inFragments(udpTo(them6, us6, 1000, 7, noise(100)), 1, 48)[:2])
	s.recvAll(inFragments(udpTo(them4, us4, 1000, 7, noise(100)), 2, 48)[1:])
	s.recvAll(inFragments(udpTo(them6, us6, 1000, 7, noise(100)), 2, 48)[1:])
	s.recv(toGroup(inFragments(udpTo(them4, addr("224.0.0.1"), 1000, 7, noise(100)), 3, 48)[0]))
	s.recv(toGroup(inFragments(udpTo(them6, addr("ff02::1"), 1000, 7, noise(100)), 3, 48)[0]))
	at, ok := s.stack.PollAt()
	require.True(t, ok)
	require.Equal(t, epoch.Add(30*time.Second), at)
	s.after(30*time.Second - 1)
	s.wantIdle("29.999999999 s")
	s.after(1)
	s.want("IPv4's has passed, and only those are told whose first fragment has come",
		"IP 192.168.69.1 > 192.168.69.100: ICMP ip reassembly time exceeded, length 76: "+
			"IP 192.168.69.100.1000 > 192.168.69.1.7: UDP, length 100 [60 octets missing] (frag 1:48@0+)")
	s.after(30 * time.Second)
	s.want("and IPv6's", "IP6 fdaa::1 > fdaa::100: ICMP6, time exceeded (reassembly), length 104: "+
		"IP6 fdaa::100.1000 > fdaa::1.7: frag (0x00000001:0+) UDP, length 100 [60 octets missing]")
	_, ok = s.stack.PollAt()
	require.False(t, ok)
	c := s.link.Counters()
	require.EqualValues(t, 5, c.IPv4.ReasmReqds)
	require.EqualValues(t, 3, c.IPv4.ReasmFails, "packets, not fragments")
	require.EqualValues(t, 3, c.IPv6.ReasmFails)
	require.EqualValues(t, 10, c.Drops[DropFragmentTimeout], "fragments")

	s = newScript(t, func(c *Config) { c.Reassembly.Timeout4 = time.Second }).knowing()
	s.recvAll(inFragments(udpTo(them4, us4, 1000, 7, noise(100)), 1, 48)[:2])
	s.after(time.Second)
	require.Len(t, s.send(), 1, "the time can be chosen")
}

// Congestion that one fragment met is the packet's: its receiver sees it, and its header says it.
//
// https://www.rfc-editor.org/rfc/rfc3168.html#section-5.3
func TestCongestionOfFragments(t *testing.T) {
	s := newScript(t).knowing()
	e4, e6 := s.bind("0.0.0.0:7"), s.bind("[::]:7")
	marked := func(b []byte, ecn uint8) []byte {
		if b[0]>>4 == 6 {
			wire.IPv6Packet(b).SetTrafficClass(0xb8 | ecn)
			return b
		}
		return rechecked(patched(b, 1, 0xb8|ecn))
	}
	receive := func(b []byte, ecn ...uint8) {
		for i, fragment := range inFragments(b, 1, 56) {
			s.recv(toUs(marked(fragment, ecn[i])))
		}
	}
	for _, port := range []uint16{7, 9} {
		receive(udpTo(them4, us4, 1000, port, noise(100)), 2, 3)
		receive(udpTo(them6, us6, 1000, port, noise(100)), 2, 3)
	}
	require.EqualValues(t, 0xbb, s.wantDatagram(e4, noise(100), "192.168.69.100:1000").TrafficClass)
	require.EqualValues(t, 0xbb, s.wantDatagram(e6, noise(100), "[fdaa::100]:1000").TrafficClass)
	sent := s.send()
	require.Len(t, sent, 2)
	require.EqualValues(t, 0xbb, wire.IPv4Packet(wire.ICMPv4Packet(wire.IPv4Packet(sent[0][14:]).Payload()).Payload()).TOS())
	require.EqualValues(t, 0xbb, wire.IPv6Packet(wire.ICMPv6Packet(wire.IPv6Packet(sent[1][14:]).Payload()).Body()).TrafficClass())
	receive(udpTo(them4, us4, 1000, 7, noise(100)), 3, 0)
	receive(udpTo(them6, us6, 1000, 7, noise(100)), 0, 2)
	require.EqualValues(t, 4, s.link.Counters().Drops[DropFragmentECN])
}

// What the device vouches for are packets: nobody has verified what they are fragments of.
func TestFragmentsAreVerifiedWhole(t *testing.T) {
	all := dev.Checksums{IPv4: dev.ChecksumNone, ICMPv4: dev.ChecksumNone, ICMPv6: dev.ChecksumNone, UDP: dev.ChecksumNone, TCP: dev.ChecksumNone}
	s := newScript(t, func(c *dev.Capabilities) { c.Checksum = all }).knowing()
	e := s.bind("[::]:7")
	bad := udpTo(them6, us6, 1000, 7, noise(100))
	bad[60] ^= 1
	s.recv(toUs(bad))
	p, _, ok := e.Receive()
	require.True(t, ok, "the device has verified it, it says")
	p.Release()

	receive := func(b []byte) {
		fragments := inFragments(b, 1, 48)
		for _, fragment := range fragments {
			p := packetOf(toUs(fragment))
			p.Checksum = packet.ChecksumVerified
			s.recvPackets(p)
		}
	}
	receive(bad)
	_, _, ok = e.Receive()
	require.False(t, ok)
	receive(udpTo(them6, us6, 1000, 7, noise(100)))
	s.wantDatagram(e, noise(100), "[fdaa::100]:1000")
	for _, b := range [][]byte{echo4(them4, us4, noise(100)), echo6(them6, us6, noise(100)), append(syn(them6, us6, 1000, 80), make([]byte, 40)...)} {
		b[len(b)-1] ^= 1
		if b[6] == ip.ProtocolTCP {
			wire.IPv6Packet(b).SetPayloadLen(len(b) - 40)
		}
		receive(b)
	}
	s.wantIdle("none of them is answered")
	c := s.stack.Counters()
	require.EqualValues(t, 2, c.Drops[DropICMPChecksum])
	require.EqualValues(t, 1, c.UDP.InChecksumErrors)
	require.EqualValues(t, 1, c.TCP.InChecksumErrors)
}

func TestFragmentsOfForwardedDatagrams(t *testing.T) {
	s := newScript(t).knowing()
	u := s.forwardUDP()
	for _, pair := range [][2]netip.Addr{{them4, far4}, {them6, far6}} {
		s.recvAll(inFragments(udpTo(pair[0], pair[1], 1000, 7, noise(3000)), 1, 1448))
		flow := u.Accept()
		require.NotNil(t, flow)
		p, _, ok := flow.Receive()
		require.True(t, ok)
		require.Equal(t, 3000, p.Len())
		require.True(t, p.IP.Foreign)
		p.Release()
	}
	s.recvAll(inFragments(udpTo(them4, far4, 1000, 7, noise(3000)), 2, 1448)[:1])
	s.recvAll(inFragments(udpTo(them6, far6, 1000, 7, noise(3000)), 2, 1448)[:1])
	s.recv(toUs(ipv6(them6, far6, wire.IPv6Fragment, fragmented6(3, 0, true, 17, make([]byte, 9)))))
	s.after(time.Hour)
	s.wantIdle("the stack does not speak for others")
}

// Fragments may take different ways, but what is link-local is on one link.
func TestFragmentsByTwoLinks(t *testing.T) {
	s := newScript(t)
	other, err := s.stack.AddInterface(s.now, InterfaceConfig{DuplicateDetection: DetectNone,
		Device: &testDevice{ethernet(1500)}, HardwareAddr: ourHardware,
		Addresses: []netip.Prefix{prefix("10.0.0.1/24"), prefix("fe80::ff:fe00:1/64")},
	})
	require.NoError(t, err)
	e4, e6 := s.bind("0.0.0.0:7"), s.bind("[::]:7")
	for _, b := range [][]byte{
		udpTo(addr("10.1.1.1"), us4, 1000, 7, noise(100)), udpTo(addr("fdcc::1"), us6, 1000, 7, noise(100)),
		udpTo(theirLinkLocal, ourLinkLocal, 1000, 7, noise(100)),
	} {
		for i, fragment := range inFragments(b, 1, 64) {
			link := []*Interface{s.link, other}[i]
			s.stack.Input(s.now, link, []*packet.Packet{packetOf(toUs(fragment))})
		}
	}
	s.wantDatagram(e4, noise(100), "10.1.1.1:1000")
	s.wantDatagram(e6, noise(100), "[fdcc::1]:1000")
	_, _, ok := e6.Receive()
	require.False(t, ok)
	require.Equal(t, 2, s.stack.fragments.Len())

	u := s.forwardUDP()
	require.NoError(t, s.stack.Intercept(other.Index(), ip.ProtocolUDP, true))
	for i, fragment := range inFragments(udpTo(them4, far4, 1000, 7, noise(100)), 1, 64) {
		link := []*Interface{s.link, other}[i]
		s.stack.Input(s.now, link, []*packet.Packet{packetOf(toUs(fragment))})
	}
	require.Nil(t, u.Accept(), "nor is what is forwarded joined, because its answers leave by where it came from")
	require.Equal(t, 4, s.stack.fragments.Len())

	s.recvAll(inFragments(udpTo(them4, us4, 1000, 7, noise(100)), 2, 64)[:1])
	require.NoError(t, s.stack.RemoveInterface(s.now, s.link))
	s.after(time.Hour)
	require.EqualValues(t, 5, s.stack.Counters().Drops[DropFragmentTimeout], "those of an interface that is gone count, too")
}

func TestCloseDropsFragments(t *testing.T) {
	s := newScript(t)
	s.recvAll(inFragments(udpTo(them4, us4, 1000, 7, noise(100)), 1, 48)[:2])
	s.stack.Close(s.now)
	c := s.stack.Counters()
	require.EqualValues(t, 2, c.Drops[DropInterfaceRemoved])
	require.EqualValues(t, 1, c.IPv4.ReasmFails)
}

func TestFragmentsByLoopback(t *testing.T) {
	s := newScript(t)
	e := s.bind("[::1]:7")
	for _, fragment := range inFragments(udpTo(addr("::1"), addr("::1"), 1000, 7, noise(3000)), 1, 1448) {
		s.stack.loopback.control.Push(packetOf(fragment))
	}
	require.False(t, s.stack.PollLoopback(s.now))
	s.wantDatagram(e, noise(3000), "[::1]:1000")
}

// https://www.rfc-editor.org/rfc/rfc6980.html#section-5
func TestNeighborDiscoveryInFragmentsIsIgnored(t *testing.T) {
	s := newScript(t)
	solicitation := nd(theirLinkLocal, us6, &wire.NDNeighborSolicitationRepr{Target: us6, SourceLinkAddr: theirHardware.LinkAddr()})[14:]
	s.recvAll(inFragments(solicitation, 1, 1448))
	s.wantIdle("an atomic fragment")
	s.recvAll(inFragments(solicitation, 2, 24))
	s.wantIdle("two fragments")
	require.EqualValues(t, 2, s.link.Counters().Drops[DropNDFragment])
	s.recv(toUs(solicitation))
	require.Len(t, s.send(), 1)
}

func TestReassemblyConfig(t *testing.T) {
	for _, tc := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Limits.Reassembly = 1000 }, "Limits.Reassembly 1000 is less than the largest buffer, 73728"},
		{func(c *Config) { c.Limits.ReassemblyDatagrams = -1 }, "Limits.ReassemblyDatagrams is negative: -1"},
		{func(c *Config) { c.Limits.ReassemblyFragments = -1 }, "Limits.ReassemblyFragments is negative: -1"},
		{func(c *Config) { c.Reassembly.MaxOctets = 1 }, "Config.Reassembly has more than times"},
		{func(c *Config) { c.Reassembly.Timeout6 = -1 }, "Timeout6 -1ns is not between 0"},
	} {
		var c Config
		tc.change(&c)
		_, err := New(epoch, c)
		require.ErrorIs(t, err, ErrConfig)
		require.ErrorContains(t, err, tc.want)
	}
}
