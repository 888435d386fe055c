package core

import (
	"math/rand/v2"
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

var (
	ourHardware   = wire.HardwareAddr{2, 0, 0, 0, 0, 1}
	theirHardware = wire.HardwareAddr{2, 0, 0, 0, 0, 0x64}
	otherHardware = wire.HardwareAddr{2, 0, 0, 0, 0, 0x99}

	us4, them4, router4 = addr("192.168.69.1"), addr("192.168.69.100"), addr("192.168.69.254")
	us6, them6          = addr("fdaa::1"), addr("fdaa::100")
	ourLinkLocal        = addr("fe80::ff:fe00:1")
	theirLinkLocal      = addr("fe80::64")

	epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
)

func addr(s string) netip.Addr         { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix     { return netip.MustParsePrefix(s) }
func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// testDevice is a device that only says what it is: what arrives and what leaves passes through Input and Output.
type testDevice struct{ caps dev.Capabilities }

func (d *testDevice) Capabilities() dev.Capabilities                       { return d.caps }
func (d *testDevice) Receive(time.Time, []*packet.Packet) (int, error)     { return 0, nil }
func (d *testDevice) Send(_ time.Time, pkts []*packet.Packet) (int, error) { return 0, nil }
func (d *testDevice) PollAt() (time.Time, bool)                            { return time.Time{}, false }
func (d *testDevice) WaitReceive() error                                   { return nil }
func (d *testDevice) WaitSend() error                                      { return nil }
func (d *testDevice) Close() error                                         { return nil }

// script is a conversation with a stack: what arrives at its one interface, and what must leave by it.
type script struct {
	t     *testing.T
	stack *Stack
	link  *Interface
	now   time.Time
}

// seeded is a random number generator that says the same every time.
func seeded() *rand.ChaCha8 { return rand.NewChaCha8([32]byte{1}) }

// newScript makes a stack with the addresses us4, us6 and ourLinkLocal on an Ethernet. options are func(*Config),
// func(*InterfaceConfig) and func(*dev.Capabilities).
func newScript(t *testing.T, options ...any) *script {
	config := Config{Rand: seeded()}
	caps := dev.Capabilities{Medium: dev.Ethernet, MTU: 1500}
	ifc := InterfaceConfig{
		Name: "eth0", HardwareAddr: ourHardware, NoGroupReports: true,
		Addresses:          []netip.Prefix{prefix("192.168.69.1/24"), prefix("fdaa::1/64")},
		DuplicateDetection: DetectNone, // which has scripts of its own
	}
	for _, option := range options {
		switch option := option.(type) {
		case func(*Config):
			option(&config)
		case func(*InterfaceConfig):
			option(&ifc)
		case func(*dev.Capabilities):
			option(&caps)
		default:
			require.Failf(t, "unknown option", "%T", option)
		}
	}
	if caps.Medium != dev.Ethernet {
		ifc.HardwareAddr = wire.HardwareAddr{}
	}
	stack, err := New(epoch, config)
	require.NoError(t, err)
	ifc.Device = &testDevice{caps}
	s := &script{t: t, stack: stack, now: epoch}
	s.link, err = stack.AddInterface(s.now, ifc)
	require.NoError(t, err)
	t.Cleanup(func() { stack.Close(s.now) })
	s.skip() // what announces the addresses
	return s
}

// knowing makes the stack know the neighbours, so that a script need not resolve them.
func (s *script) knowing() *script {
	for _, a := range []netip.Addr{them4, them6, theirLinkLocal} {
		require.NoError(s.t, s.link.Neighbours().Static(0, a, theirHardware.LinkAddr()))
	}
	return s
}

// recv has a frame arrive.
func (s *script) recv(frame []byte) {
	s.t.Helper()
	s.recvPackets(packetOf(frame))
}

func (s *script) recvPackets(pkts ...*packet.Packet) {
	s.stack.Input(s.now, s.link, pkts)
}

func packetOf(b []byte) *packet.Packet {
	p := packet.New(len(b))
	copy(p.Append(len(b)), b)
	return p
}

// send takes what leaves, each as one slice.
func (s *script) send() (frames [][]byte) {
	for {
		var pkts [7]*packet.Packet
		n := s.stack.Output(s.now, s.link, pkts[:])
		for _, p := range pkts[:n] {
			b := make([]byte, p.Len())
			p.CopyTo(b, 0)
			frames = append(frames, b)
			p.Release()
		}
		if n == 0 {
			require.False(s.t, s.link.Pending(), "what is pending leaves")
			return frames
		}
	}
}

func (s *script) skip() { s.send() }

// want requires that exactly these frames leave now, as they print themselves, with right checksums.
func (s *script) want(why string, frames ...string) [][]byte {
	s.t.Helper()
	sent := s.send()
	var printed []string
	for _, b := range sent {
		if s.link.medium == dev.IP {
			printed = append(printed, wire.FormatIP(b))
		} else {
			printed = append(printed, wire.EthernetFrame(b).String())
		}
		s.verify(b)
	}
	require.Equal(s.t, frames, printed, why)
	return sent
}

// wantIdle requires that nothing leaves now.
func (s *script) wantIdle(why string) {
	s.t.Helper()
	s.want(why)
}

// verify checks the checksums of what left.
func (s *script) verify(b []byte) {
	s.t.Helper()
	if s.link.medium == dev.Ethernet {
		if wire.EthernetFrame(b).EtherType() == wire.EtherTypeARP {
			return
		}
		b = wire.EthernetFrame(b).Payload()
	}
	var src, dst netip.Addr
	var protocol uint8
	var payload []byte
	if b[0]>>4 == 4 {
		p, err := wire.ParseIPv4(b)
		require.NoError(s.t, err)
		require.True(s.t, p.VerifyChecksum(), "IPv4 header checksum")
		require.True(s.t, p.DontFragment())
		src, dst, protocol, payload = p.Src(), p.Dst(), p.Protocol(), p.Payload()
	} else {
		p, err := wire.ParseIPv6(b)
		require.NoError(s.t, err)
		src, dst, protocol, payload = p.Src(), p.Dst(), p.NextHeader(), p.Payload()
	}
	if protocol == wire.IPv6HopByHop {
		options := (int(payload[1]) + 1) * 8
		protocol, payload = payload[0], payload[options:]
	}
	switch protocol {
	case ip.ProtocolTCP, ip.ProtocolUDP, ip.ProtocolICMPv4, ip.ProtocolICMPv6, ip.ProtocolIGMP:
	default:
		return
	}
	var sum wire.Sum
	if protocol != ip.ProtocolICMPv4 && protocol != ip.ProtocolIGMP {
		sum.AddPseudoHeader(src, dst, protocol, len(payload))
	}
	sum.Add(payload)
	require.Equal(s.t, uint16(0), sum.Checksum(), "checksum of protocol %d", protocol)
}

// after lets time pass.
func (s *script) after(d time.Duration) {
	s.now = s.now.Add(d)
	s.stack.Advance(s.now)
}

// bind opens a UDP endpoint.
func (s *script) bind(local string) *udp.Endpoint {
	s.t.Helper()
	e, err := s.stack.UDP().Bind(udp.BindConfig{Local: addrPort(local)})
	require.NoError(s.t, err)
	return e
}

// wantDatagram requires that the endpoint has received the payload.
func (s *script) wantDatagram(e *udp.Endpoint, payload, from string) packet.IPInfo {
	s.t.Helper()
	p, sender, ok := e.Receive()
	require.True(s.t, ok, "a datagram has arrived")
	defer p.Release()
	b := make([]byte, p.Len())
	p.CopyTo(b, 0)
	require.Equal(s.t, payload, string(b))
	require.Equal(s.t, from, sender.String())
	return p.IP
}

// Hand-made packets, from the inside out.

func ether(dst wire.HardwareAddr, kind wire.EtherType, payload []byte) []byte {
	r := wire.EthernetRepr{Dst: dst, Src: theirHardware, EtherType: kind}
	b := make([]byte, r.Len())
	r.Emit(b)
	return append(b, payload...)
}

// toUs is a frame for the stack, with an IP packet.
func toUs(b []byte) []byte {
	if b[0]>>4 == 4 {
		return ether(ourHardware, wire.EtherTypeIPv4, b)
	}
	return ether(ourHardware, wire.EtherTypeIPv6, b)
}

// toGroup is a frame for the multicast group that the IP packet in it goes to.
func toGroup(b []byte) []byte {
	if b[0]>>4 == 4 {
		return ether(wire.MulticastHardwareAddr(wire.IPv4Packet(b).Dst()), wire.EtherTypeIPv4, b)
	}
	return ether(wire.MulticastHardwareAddr(wire.IPv6Packet(b).Dst()), wire.EtherTypeIPv6, b)
}

func toAll(b []byte) []byte { return ether(wire.BroadcastHardwareAddr, wire.EtherTypeIPv4, b) }

func ipv4(src, dst netip.Addr, protocol uint8, payload []byte) []byte {
	return ipv4Options(src, dst, protocol, nil, payload)
}

func ipv4Options(src, dst netip.Addr, protocol uint8, options, payload []byte) []byte {
	r := wire.IPv4Repr{Src: src, Dst: dst, Protocol: protocol, TTL: 64, PayloadLen: len(options) + len(payload)}
	b := make([]byte, r.Len())
	r.Emit(b)
	b = append(append(b, options...), payload...)
	b[0] += uint8(len(options) / 4)
	wire.IPv4Packet(b).FillChecksum()
	return b
}

func ipv6(src, dst netip.Addr, protocol uint8, payload []byte) []byte {
	r := wire.IPv6Repr{Src: src, Dst: dst, NextHeader: protocol, HopLimit: 64, PayloadLen: len(payload)}
	b := make([]byte, r.Len())
	r.Emit(b)
	return append(b, payload...)
}

func udpTo(src, dst netip.Addr, srcPort, dstPort uint16, payload string) []byte {
	r := wire.UDPRepr{SrcPort: srcPort, DstPort: dstPort, PayloadLen: len(payload)}
	b := make([]byte, r.Len())
	r.Emit(b)
	b = append(b, payload...)
	wire.UDPPacket(b).FillChecksum(src, dst)
	if src.Is4() {
		return ipv4(src, dst, ip.ProtocolUDP, b)
	}
	return ipv6(src, dst, ip.ProtocolUDP, b)
}

func echo4(src, dst netip.Addr, data string) []byte {
	r := wire.ICMPv4EchoRepr{Ident: 1, Seq: 2, Data: []byte(data)}
	b := make([]byte, r.Len())
	r.Emit(b)
	return ipv4(src, dst, ip.ProtocolICMPv4, b)
}

func echo6(src, dst netip.Addr, data string) []byte {
	r := wire.ICMPv6EchoRepr{Ident: 1, Seq: 2, Data: []byte(data)}
	b := make([]byte, r.Len())
	r.Emit(b, src, dst)
	return ipv6(src, dst, ip.ProtocolICMPv6, b)
}

func error4(src netip.Addr, kind, code uint8, mtu uint16, quote []byte) []byte {
	r := wire.ICMPv4ErrorRepr{Type: kind, Code: code, MTU: mtu, Quote: quote}
	b := make([]byte, r.Len())
	r.Emit(b)
	return ipv4(src, us4, ip.ProtocolICMPv4, b)
}

func error6(src netip.Addr, kind, code uint8, mtu uint32, quote []byte) []byte {
	r := wire.ICMPv6ErrorRepr{Type: kind, Code: code, MTU: mtu, Quote: quote}
	b := make([]byte, r.Len())
	r.Emit(b, src, us6)
	return ipv6(src, us6, ip.ProtocolICMPv6, b)
}

func syn(src, dst netip.Addr, srcPort, dstPort uint16) []byte {
	r := wire.TCPRepr{SrcPort: srcPort, DstPort: dstPort, Seq: 1000, Flags: wire.TCPSyn, Window: 1000}
	b := make([]byte, r.Len())
	r.Emit(b)
	wire.TCPPacket(b).FillChecksum(src, dst)
	if src.Is4() {
		return ipv4(src, dst, ip.ProtocolTCP, b)
	}
	return ipv6(src, dst, ip.ProtocolTCP, b)
}

func arp(r wire.ARPRepr) []byte {
	b := make([]byte, r.Len())
	r.Emit(b)
	return b
}

// arpRequest is theirs for the address.
func arpRequest(target netip.Addr) []byte {
	return ether(wire.BroadcastHardwareAddr, wire.EtherTypeARP, arp(wire.ARPRepr{
		Operation: wire.ARPRequest, SenderHardware: theirHardware, SenderProtocol: them4, TargetProtocol: target}))
}

// arpReply is theirs to us.
func arpReply(sender netip.Addr, hw wire.HardwareAddr) []byte {
	return ether(ourHardware, wire.EtherTypeARP, arp(wire.ARPRepr{
		Operation: wire.ARPReply, SenderHardware: hw, SenderProtocol: sender,
		TargetHardware: ourHardware, TargetProtocol: us4}))
}

// nd is a frame with a neighbor discovery message.
func nd(src, dst netip.Addr, r ndMessage) []byte {
	b := make([]byte, r.Len())
	r.Emit(b, src, dst)
	p := ipv6(src, dst, ip.ProtocolICMPv6, b)
	wire.IPv6Packet(p).SetHopLimit(wire.NDHopLimit)
	if dst.IsMulticast() {
		return toGroup(p)
	}
	return toUs(p)
}

// patched is b with octets overwritten from offset on.
func patched(b []byte, offset int, octets ...byte) []byte {
	b = append([]byte(nil), b...)
	copy(b[offset:], octets)
	return b
}

// rechecked is an IPv4 packet with its header checksum made right.
func rechecked(b []byte) []byte {
	wire.IPv4Packet(b).FillChecksum()
	return b
}
