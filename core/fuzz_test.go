package core

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/raw"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// FuzzInput gives a stack with open endpoints whatever frames: nothing panics, nothing leaks, and nothing that leaves
// is broken. The octets are a sequence of frames, each behind two octets of length; a length's topmost bit says that
// a while passes before, the next that the device has not verified any checksum.
func FuzzInput(f *testing.F) {
	for _, frames := range [][][]byte{
		{toUs(echo4(them4, us4, "hello"))},
		{toUs(echo6(them6, us6, "hello"))},
		{toGroup(echo6(theirLinkLocal, addr("ff02::1"), ""))},
		{arpRequest(us4), toUs(udpTo(them4, us4, 1000, 7, "hello")), toUs(udpTo(them4, us4, 1000, 9, "nobody"))},
		{toUs(udpTo(them6, us6, 1000, 7, "hello")), nd(them6, us6, &wire.NDNeighborSolicitationRepr{Target: us6, SourceLinkAddr: theirHardware.LinkAddr()})},
		{toUs(syn(them4, us4, 1000, 80)), toUs(syn(them4, us4, 1000, 81)), arpReply(them4, theirHardware)},
		{toUs(syn(them6, us6, 1000, 80)), nd(them6, us6, &wire.NDNeighborAdvertisementRepr{Solicited: true, Target: them6, TargetLinkAddr: theirHardware.LinkAddr()})},
		{toUs(error4(them4, 3, 4, 576, udpTo(us4, them4, 5000, 7, "hello")))},
		{toUs(error6(them6, 2, 0, 1280, udpTo(us6, them6, 5000, 7, "hello")))},
		{toUs(extended(wire.IPv6HopByHop, 17, 0, 5, 2, 0, 0, 1, 0)), toUs(extended(wire.IPv6Routing, 17, 0, 0, 1, 0, 0, 0, 0))},
		{toUs(extended(wire.IPv6Fragment, 17, 0, 0, 0, 0, 0, 0, 1)), toUs(extended(wire.IPv6DestinationOptions, 17, 0, 0x83, 4, 0, 0, 0, 0))},
		toUsAll(inFragments(udpTo(them4, us4, 1000, 7, noise(100)), 1, 48)),
		toUsAll(inFragments(udpTo(them6, us6, 1000, 7, noise(100)), 1, 48)),
		toUsAll(inFragments(echo4(them4, us4, noise(100)), 1, 64)[:1]),
		toUsAll(inFragments(echo6(them6, us6, noise(100)), 1, 64)[:1]),
		toUsAll(inFragments(udpTo(them4, far4, 1000, 53, noise(100)), 1, 96)),
		toUsAll(inFragments(syn(them6, far6, 1000, 80), 1, 24)),
		toUsAll(inFragmentsBehind(extended(wire.IPv6HopByHop, wire.IPv6DestinationOptions, 0, 5, 2, 0, 0, 1, 0, 17, 0, 0x83, 4, 0, 0, 0, 0), 1, 16, 8)),
		{toUs(fragment6(1, 0, true, 17, make([]byte, 16))), toUs(fragment6(1, 8, true, 17, make([]byte, 16))), toUs(fragment6(1, 16, false, 17, make([]byte, 3)))},
		{toUs(fragment6(1, 65528, false, 17, make([]byte, 8))), toUs(fragment6(1, 0, true, 6, make([]byte, 9))), toUs(fragment6(1, 0, true, 60, make([]byte, 8)))},
		{toUs(ipv4Options(them4, us4, 17, []byte{131, 7, 4, 10, 0, 0, 1, 0}, nil))},
		{igmp(router4, allSystemsv4, query4(anyv4)), igmp(router4, allSystemsv4, &wire.IGMPQueryRepr{Version: 2, Group: anyv4, MaxResponse: time.Second})},
		{mld(theirLinkLocal, allNodesv6, query6(anyv6)), mld(theirLinkLocal, allNodesv6, &wire.MLDQueryRepr{Version: 1, Group: anyv6})},
		{toGroup(udpTo(them4, addr("239.1.2.3"), 1000, 7, "hello")), toGroup(udpTo(them6, addr("ff05::123"), 1000, 7, "hello"))},
		{toAll(udpTo(addr("0.0.0.0"), addr("255.255.255.255"), 68, 67, ""))},
		{toUs(ipv4(them4, us4, 99, nil)), toUs(ipv6(them6, us6, 99, nil)), ether(ourHardware, 0x88b5, nil)},
		{toUs(rechecked(patched(echo4(them4, us4, ""), 20, 0))), toUs(patched(echo6(them6, us6, ""), 40, 129))},
		{toUs(error4(them4, 11, 0, 0, echo4(us4, them4, ""))), toUs(error6(them6, 1, 0, 0, echo6(us6, them6, "")))},
		{toUs(error6(them6, 1, 4, 0, syn(us6, them6, 6000, 80)))},
	} {
		var ethernet, bare []byte
		for _, frame := range frames {
			ethernet = append(binary.BigEndian.AppendUint16(ethernet, uint16(len(frame))), frame...)
			bare = append(binary.BigEndian.AppendUint16(bare, uint16(len(frame)-14)), frame[14:]...)
		}
		f.Add(true, ethernet)
		f.Add(false, bare)
	}
	f.Fuzz(func(t *testing.T, frames bool, b []byte) {
		live := livePackets()
		medium := dev.IP
		if frames {
			medium = dev.Ethernet
		}
		s := newFuzzed(t, medium)
		for len(b) >= 2 {
			control := binary.BigEndian.Uint16(b)
			n := min(int(control&0x3fff), len(b)-2)
			if control&0x8000 != 0 {
				s.now = s.now.Add(time.Second)
				s.stack.Advance(s.now)
			}
			p := packetOf(b[2 : 2+n])
			if control&0x4000 == 0 {
				p.Checksum = packet.ChecksumVerified // so that what is behind checksums is reached
			}
			s.recvPackets(p)
			s.exchange()
			b = b[2+n:]
		}
		for range 7 { // beyond the time that fragments wait
			s.now = s.now.Add(10 * time.Second)
			s.stack.Advance(s.now)
			s.exchange()
		}
		s.stack.Close(s.now)
		if leaked := livePackets() - live; leaked != 0 {
			t.Fatalf("%d packets leaked", leaked)
		}
	})
}

// fuzzed is a stack with endpoints of all kinds.
type fuzzed struct {
	*script
	listener  *tcp.Listener
	conns     []*tcp.Conn
	endpoints []*udp.Endpoint
	packets   []*raw.IP
	pings     []*raw.ICMP
	tap       *raw.Frames
}

func newFuzzed(t *testing.T, medium dev.Medium) *fuzzed {
	s := &fuzzed{script: &script{t: t, now: epoch}}
	var err error
	fail := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.stack, err = New(epoch, Config{Rand: seeded()})
	fail(err)
	ifc := InterfaceConfig{Device: &testDevice{dev.Capabilities{Medium: medium, MTU: 1500}}, DuplicateDetection: DetectNone,
		Addresses: []netip.Prefix{prefix("192.168.69.1/24"), prefix("fdaa::1/64"), prefix("fe80::ff:fe00:1/64")}}
	if medium == dev.Ethernet {
		ifc.HardwareAddr = ourHardware
	}
	s.link, err = s.stack.AddInterface(epoch, ifc)
	fail(err)
	s.listener, err = s.stack.TCP().Listen(tcp.ListenConfig{Local: addrPort("[::]:80"), DualStack: true})
	fail(err)
	s.forwardTCP()
	s.forwardUDP()
	for _, config := range []udp.BindConfig{
		{Local: addrPort("[::]:7"), DualStack: true},
		{Local: addrPort("0.0.0.0:5000"), Remote: addrPort("192.168.69.100:7")},
		{Local: addrPort("[::]:5000"), Remote: addrPort("[fdaa::100]:7")},
	} {
		e, err := s.stack.UDP().Bind(config)
		fail(err)
		s.endpoints = append(s.endpoints, e)
	}
	for _, group := range []string{"239.1.2.3", "ff05::123"} {
		fail(s.endpoints[0].JoinGroup(epoch, s.link.Index(), addr(group)))
	}
	s.openRaw(fail)
	for _, config := range []tcp.DialConfig{
		{Local: addrPort("192.168.69.1:6000"), Remote: addrPort("192.168.69.100:80")},
		{Local: addrPort("[fdaa::1]:6000"), Remote: addrPort("[fdaa::100]:80")},
	} {
		c, err := s.stack.TCP().Dial(epoch, config)
		fail(err)
		s.conns = append(s.conns, c)
	}
	s.exchange()
	return s
}

func (s *fuzzed) openRaw(fail func(error)) {
	host := s.stack.Raw()
	for _, config := range []raw.IPConfig{
		{AllProtocols: true, Local: unspecified4}, {AllProtocols: true, Local: unspecified6, ReceiveBuffer: 1}, {Protocol: 99, Local: unspecified4},
		{Protocol: ip.ProtocolICMPv6, Local: unspecified6}, {Protocol: ip.ProtocolICMPv4, Remote: them4},
	} {
		e, err := host.OpenIP(config)
		fail(err)
		s.packets = append(s.packets, e)
	}
	for _, config := range []raw.ICMPConfig{
		{Ident: 1, Local: unspecified4, Errors: true}, {Ident: 1, Remote: them6}, {Transport: ip.ProtocolUDP, Port: 5000, Local: unspecified4},
		{Transport: ip.ProtocolTCP, Port: 6000, Local: unspecified6},
	} {
		e, err := host.OpenICMP(config)
		fail(err)
		s.pings = append(s.pings, e)
	}
	if s.link.medium == dev.Ethernet {
		var err error
		s.tap, err = host.OpenFrames(raw.FrameConfig{Link: s.link.Index()})
		fail(err)
	}
}

// readRaw reads what the raw endpoints have got, and pings whoever has answered a ping.
func (s *fuzzed) readRaw() {
	for _, e := range s.packets {
		for p, headers, ok := e.Receive(); ok; p, headers, ok = e.Receive() {
			if headers > p.Len() || p.IP.Dst.Is4() && p.Len() != wire.IPv4Packet(p.Head()).TotalLen() {
				s.t.Fatalf("a packet of %d octets with %d of headers", p.Len(), headers)
			}
			p.Release()
		}
		_ = e.Err()
	}
	for _, e := range s.pings {
		for p := e.Receive(); p != nil; p = e.Receive() {
			to := p.IP
			if b := p.Header(8); !s.stack.Local(0, to.Src) && (b[0] == wire.ICMPv4EchoReply || b[0] == wire.ICMPv6EchoReply) {
				b[0] = wire.ICMPv4EchoRequest
				if to.Src.Is6() {
					b[0] = wire.ICMPv6EchoRequest
				}
				if err := e.Send(s.now, p, to.Src, raw.Header{Link: to.Link}); err != raw.ErrWouldBlock {
					continue
				}
			}
			p.Release()
		}
		_ = e.Err()
	}
	if s.tap != nil {
		for p := s.tap.Receive(); p != nil; p = s.tap.Receive() {
			p.Release()
		}
	}
}

// exchange lets the endpoints do what they can, and checks what leaves.
func (s *fuzzed) exchange() {
	for c := s.listener.Accept(); c != nil; c = s.listener.Accept() {
		s.conns = append(s.conns, c)
	}
	for _, c := range s.conns {
		b := read(s.now, c)
		write(s.now, c, &b)
		if c.ReadClosed() {
			c.Close(s.now)
		}
	}
	s.readRaw()
	for _, e := range s.endpoints {
		for p, from, ok := e.Receive(); ok; p, from, ok = e.Receive() {
			info := p.IP
			if err := e.Send(s.now, p, from, info.Link); err == udp.ErrWouldBlock {
				p.Release()
			}
		}
		_ = e.Err()
	}
	for range 100 {
		more := s.stack.PollLoopback(s.now)
		for _, b := range s.send() {
			s.check(b)
		}
		if !more {
			return
		}
	}
	s.t.Fatal("the stack talks to itself for ever")
}

// check is verify for a stack under fire: what leaves must be sound.
func (s *fuzzed) check(b []byte) {
	if s.link.medium == dev.Ethernet {
		frame, err := wire.ParseEthernet(b)
		if err != nil || frame.Src() != ourHardware || frame.Dst() == ourHardware {
			s.t.Fatalf("bad frame: %x", b)
		}
		if frame.EtherType() == wire.EtherTypeARP {
			return
		}
	}
	ipPacket := b
	if s.link.medium == dev.Ethernet {
		ipPacket = b[14:]
	}
	if !echoReply(ipPacket) { // whose checksum is as wrong as that of the request that the device has vouched for
		s.verify(b)
	}
	if len(ipPacket) > s.link.mtu {
		s.t.Fatalf("%d octets leave where the MTU is %d", len(ipPacket), s.link.mtu)
	}
	var src, dst netip.Addr
	if ipPacket[0]>>4 == 4 {
		src, dst = wire.IPv4Packet(ipPacket).Src(), wire.IPv4Packet(ipPacket).Dst()
	} else {
		src, dst = wire.IPv6Packet(ipPacket).Src(), wire.IPv6Packet(ipPacket).Dst()
	}
	if src.IsUnspecified() && dst == allMLDv2Routers {
		return // a report, while the interface has no address for sure
	}
	// Forwarders speak for others, with whatever address somebody has sent to.
	if src.IsUnspecified() || src.IsLoopback() || src.IsMulticast() || s.stack.Local(0, dst) || dst.IsLoopback() || dst.IsUnspecified() {
		s.t.Fatalf("a packet from %v to %v leaves", src, dst)
	}
}

func echoReply(b []byte) bool {
	if b[0]>>4 == 4 {
		return b[9] == ip.ProtocolICMPv4 && b[20] == wire.ICMPv4EchoReply
	}
	return b[6] == ip.ProtocolICMPv6 && b[40] == wire.ICMPv6EchoReply
}
