package core

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/rpl"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// rplRoot has the node B be a root, to whom its neighbour A and behind that C belong. other is a link beyond.
type rplRoot struct {
	*radioScript
	other *Interface
}

var (
	outside = addr("2001:db8::9")
	within  = netip.PrefixFrom(meshB, 64).Masked()
)

func newRPLRoot(t *testing.T, mode wire.RPLMode, options ...any) *rplRoot {
	options = append([]any{unacknowledged, func(c *InterfaceConfig) {
		c.Forward = true
		c.IEEE802154.RPLRoot = &rpl.RootConfig{DODAG: meshB, Mode: mode, TargetsIn: []netip.Prefix{within}}
	}}, options...)
	s := &rplRoot{radioScript: newRadioScript(t, options...)}
	var err error
	s.other, err = s.stack.AddInterface(s.now, InterfaceConfig{
		Name: "uplink", Device: &testDevice{dev.Capabilities{Medium: dev.IP, MTU: 1280}}, Forward: true, NoGroupReports: true,
		Addresses: []netip.Prefix{prefix("2001:db8::1/64")},
	})
	require.NoError(t, err)
	if mode == wire.RPLStoring {
		s.told(linkA, meshA, netip.Addr{})
		s.told(linkA, meshC, netip.Addr{})
	} else {
		s.told(meshA, meshA, meshB)
		s.told(meshC, meshC, meshA)
	}
	require.Len(t, s.link.RPLTargets(), 2)
	s.link.Neighbours().Remove(meshA) // which has told where it is
	return s
}

// told has a node tell the root that a target can be reached: by a parent, or in storing mode by the node itself.
func (s *rplRoot) told(from, target, parent netip.Addr) {
	var options wire.RPLOptions
	options = options.Append(&wire.RPLTargetRepr{Prefix: netip.PrefixFrom(target, 128)})
	options = options.Append(&wire.RPLTransitInformationRepr{PathControl: 0xff, PathLifetime: 30, Parent: parent})
	s.hear(rplPacket(from, meshB, &wire.RPLDAORepr{Options: options}))
}

func rplPacket(src, dst netip.Addr, m rpl.Message) []byte {
	b := make([]byte, m.Len())
	m.Emit(b, src, dst)
	return ipv6(src, dst, ip.ProtocolICMPv6, b)
}

// knows has the first hop's link-layer address be known.
func (s *rplRoot) knows() *rplRoot {
	require.NoError(s.t, s.link.Neighbours().Static(0, meshA, nodeA))
	s.skip()
	return s
}

// packets puts together the packets that frames from B have carried.
func (s *radioScript) packets(frames [][]byte) (packets [][]byte) {
	s.t.Helper()
	var whole []byte
	for _, b := range frames {
		var h wire.IEEE802154Repr
		require.NoError(s.t, h.Parse(wire.IEEE802154Frame(b)))
		link := wire.LowpanLink{Src: h.Src, Dst: h.Dst, Contexts: &s.link.radio.contexts}
		b = h.Payload(wire.IEEE802154Frame(b))
		var f wire.LowpanFragment
		size := 0
		if f.Parse(b) == nil {
			size, b = f.DatagramSize, b[f.Len():]
		}
		if size == 0 || f.First() {
			var headers [wire.LowpanMaxDecompressedLen]byte
			n, err := wire.DecompressIPv6(headers[:], b, size, link)
			require.NoError(s.t, err)
			whole, b = append([]byte(nil), headers[:n.Len]...), b[n.Consumed:]
		}
		if whole = append(whole, b...); size == 0 || len(whole) == size {
			packets = append(packets, whole)
		}
	}
	return packets
}

// datagram has the stack send one to C, by a connected endpoint.
func (s *rplRoot) datagram(octets int) *udp.Endpoint {
	s.t.Helper()
	e, err := s.stack.UDP().Bind(udp.BindConfig{Local: addrPort("[::]:1000"), Remote: netip.AddrPortFrom(meshC, 7)})
	require.NoError(s.t, err)
	require.NoError(s.t, e.Send(s.now, packetOf([]byte(noise(octets))), netip.AddrPort{}, 0))
	return e
}

// fails has the node that packets go to first not answer.
func (s *rplRoot) fails() {
	s.t.Helper()
	for range 4 {
		for _, b := range s.send() {
			require.NotContains(s.t, s.print(b), "who has meshC", "who is no neighbour")
		}
		s.after(time.Second)
	}
	require.Equal(s.t, "fd00::11:2233:4455:660a FAILED", s.link.Neighbours().Lookup(meshA).Neighbour().String())
}

// passOn has a packet from outside arrive by the other link.
func (s *rplRoot) passOn(p []byte) { s.stack.Input(s.now, s.other, []*packet.Packet{packetOf(p)}) }

// uplink takes what leaves by the other link.
func (s *rplRoot) uplink() (packets [][]byte) {
	var one [1]*packet.Packet
	for s.stack.Output(s.now, s.other, one[:]) > 0 {
		packets = append(packets, octets(one[0]))
	}
	return packets
}

// A root's own packets have the source route in them, and others' are put into such as have one.
func TestRPLSourceRoutes(t *testing.T) {
	t.Run("a datagram of the root's own", func(t *testing.T) {
		s := newRPLRoot(t, wire.RPLNonStoring).knows()
		s.datagram(5)
		s.want("by A",
			"0 to A: IP6 meshB.1000 > meshA.7: srcrt (len=1, type=3, segleft=1, cmpri=15, cmpre=15, pad=7, [0]0c) UDP, length 5")
	})
	for _, tc := range []struct {
		name   string
		knows  bool
		octets int
		count  int
	}{
		{"in one packet", true, 500, 1},
		{"in one that must wait", false, 500, 1},
		{"as long as the link's MTU allows without a route", true, 1280 - 48, 2},
		{"which must wait", false, 1280 - 48, 2},
		{"in fragments", true, 3000, 3},
		{"in fragments that must wait", false, 3000, 3},
	} {
		t.Run("of the root's own "+tc.name, func(t *testing.T) {
			s := newRPLRoot(t, wire.RPLNonStoring)
			if tc.knows {
				s.knows()
			}
			s.skip()
			s.datagram(tc.octets)
			if !tc.knows {
				require.Len(t, s.send(), 1, "who is asked for A")
				s.hear(ndPacket(meshA, meshB, &wire.NDNeighborAdvertisementRepr{Solicited: true, Target: meshA, TargetLinkAddr: nodeA}))
			}
			packets := s.packets(s.send())
			require.Len(t, packets, tc.count)
			length := 0
			for _, b := range packets {
				require.LessOrEqual(t, len(b), 1280)
				p, err := wire.ParseIPv6(b)
				require.NoError(t, err)
				require.Equal(t, meshA, p.Dst())
				require.EqualValues(t, wire.IPv6Routing, p.NextHeader())
				route, err := wire.ParseRPLSourceRoute(p.Payload())
				require.NoError(t, err)
				require.Equal(t, 1, route.SegmentsLeft())
				require.Equal(t, meshC, route.Address(0, meshA))
				length += len(p.Payload()) - len(route)
				if tc.count > 1 {
					require.EqualValues(t, wire.IPv6Fragment, route.NextHeader(), "C puts them together, and nobody before")
					length -= wire.IPv6FragmentLen
				}
			}
			require.Equal(t, wire.UDPHeaderLen+tc.octets, length)
		})
	}
	for _, octets := range []int{5, 500, 1280 - 48} {
		t.Run("somebody else's", func(t *testing.T) {
			s := newRPLRoot(t, wire.RPLNonStoring)
			s.skip()
			p := udpTo(outside, meshC, 1000, 7, noise(octets))
			s.passOn(p)
			require.Len(t, s.send(), 1, "who is asked for A")
			s.hear(ndPacket(meshA, meshB, &wire.NDNeighborAdvertisementRepr{Solicited: true, Target: meshA, TargetLinkAddr: nodeA}))
			packets := s.packets(s.send())
			require.Len(t, packets, 1)
			outer, err := wire.ParseIPv6(packets[0])
			require.NoError(t, err)
			require.Equal(t, []netip.Addr{meshB, meshA}, []netip.Addr{outer.Src(), outer.Dst()})
			route, err := wire.ParseRPLSourceRoute(outer.Payload())
			require.NoError(t, err)
			require.EqualValues(t, ip.ProtocolIPv6, route.NextHeader())
			require.Equal(t, patched(p, 7, 63), outer.Payload()[len(route):])
		})
	}
}

// The node that packets go to first is looked for, and if it does not answer, who has sent them is told.
func TestRPLFirstHop(t *testing.T) {
	unreachable := func(s *rplRoot, p []byte) {
		answers := s.uplink()
		require.Len(s.t, answers, 1)
		answer := wire.IPv6Packet(answers[0])
		require.Equal(s.t, outside, answer.Dst())
		m := wire.ICMPv6Packet(answer.Payload())
		require.Equal(s.t, wire.ICMPv6DestinationUnreachable, int(m.Type()))
		require.Equal(s.t, wire.ICMPv6AddressUnreachable, int(m.Code()))
		p = patched(p, 7, 63) // it was on its way
		require.Equal(s.t, p, []byte(m.Body()), "what could not be sent, as it came")
	}
	for _, octets := range []int{5, 500, 1240, 3000} {
		t.Run("asked for first", func(t *testing.T) {
			s := newRPLRoot(t, wire.RPLNonStoring)
			s.skip()
			s.datagram(octets)
			s.want("and nobody else",
				"0 to all: IP6 meshB > ff02::1:ff55:660a: ICMP6, neighbor solicitation, who has meshA, source link-address B, length 40")
		})
		t.Run("fails, and the sender is told", func(t *testing.T) {
			s := newRPLRoot(t, wire.RPLNonStoring)
			e := s.datagram(octets)
			s.fails()
			require.ErrorIs(t, e.Err(), ip.ErrHostUnreachable)
		})
	}
	for _, octets := range []int{5, 500, 1000} {
		t.Run("fails, and who has sent the packet is told", func(t *testing.T) {
			s := newRPLRoot(t, wire.RPLNonStoring)
			p := udpTo(outside, meshC, 1000, 7, noise(octets))
			s.passOn(p)
			s.fails()
			unreachable(s, p)
		})
	}
}

// newRPLLeaf has the node B be a leaf that has joined no network yet.
func newRPLLeaf(t *testing.T, options ...any) *radioScript {
	return newRadioScript(t, append([]any{unacknowledged, func(c *IEEE802154Config) { c.RPLLeaf = &rpl.LeafConfig{} }}, options...)...)
}

// What the root has put into another packet comes from beyond the link, and nothing that concerns the link alone is believed.
func TestRPLTunnelled(t *testing.T) {
	limited := func(p []byte, limit uint8) []byte { return patched(p, 7, limit) }
	hello := udpTo(outside, meshB, 1000, 7, "hello")
	const delivered = numDropCauses
	for _, tc := range []struct {
		name  string
		inner []byte
		cause DropCause
	}{
		{"a datagram", hello, delivered},
		{"at the end of its hops", limited(hello, 1), delivered},
		{"with all of them", limited(hello, 255), delivered},
		{"to a neighbour from there", udpTo(meshA, meshB, 1000, 7, "hello"), delivered},
		{"from a link-local address", udpTo(linkA, meshB, 1000, 7, "hello"), DropTunnel},
		{"to one", udpTo(outside, linkB, 1000, 7, "hello"), DropTunnel},
		{"to a group of the link's", udpTo(outside, allNodesv6, 1000, 7, "hello"), DropTunnel},
		{"neighbor discovery", ndPacket(meshA, meshB, &wire.NDNeighborSolicitationRepr{Target: meshB, SourceLinkAddr: nodeA}), DropNDHopLimit},
		{"neighbor discovery of the link's", ndPacket(linkA, linkB, &wire.NDNeighborSolicitationRepr{Target: linkB, SourceLinkAddr: nodeA}), DropTunnel},
		{"RPL", rplPacket(linkA, meshB, &wire.RPLDIORepr{Rank: 256, DODAG: meshA}), DropTunnel},
		{"for somebody else", udpTo(outside, meshC, 1000, 7, "hello"), DropNotOurs},
		{"in yet another", ipv6(outside, meshB, ip.ProtocolIPv6, hello), DropTunnel},
		{"not IPv6", udpTo(them4, us4, 1000, 7, "long enough for a header"), DropTunnel},
		{"half a header", hello[:30], DropTunnel},
		{"nothing", nil, DropTunnel},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newRPLLeaf(t)
			s.skip()
			e := s.bind("[::]:7")
			s.hear(ipv6(meshA, meshB, ip.ProtocolIPv6, tc.inner))
			s.wantIdle("there is nothing to say")
			drops := s.link.Counters().Drops
			if tc.cause != delivered {
				require.EqualValues(t, 1, drops[tc.cause], "%v", drops)
				require.EqualValues(t, 1, drops.Total(), "%v", drops)
				return
			}
			require.Zero(t, drops.Total(), "%v", drops)
			p, _, ok := e.Receive()
			require.True(t, ok)
			require.Equal(t, "hello", string(octets(p)))
		})
	}
}

// A root passes on what nodes have put into packets to it, as if it had come as it is.
func TestRPLTunnelledToRoot(t *testing.T) {
	s := newRPLRoot(t, wire.RPLNonStoring)
	inner := udpTo(meshC, outside, 7, 1000, "hello")
	s.hear(ipv6(meshC, meshB, ip.ProtocolIPv6, inner))
	require.Equal(t, [][]byte{patched(inner, 7, 63)}, s.uplink())
}

// rplInfo is a packet with an RPL option before what it carries, and others.
func rplInfo(p []byte, options ...byte) []byte {
	h := wire.IPv6OptionsRepr{NextHeader: p[6], Options: options}
	b := make([]byte, h.Len())
	h.Emit(b)
	p = append(append(append([]byte(nil), p[:40]...), b...), p[40:]...)
	p[6] = wire.IPv6HopByHop
	wire.IPv6Packet(p).SetPayloadLen(len(p) - 40)
	return p
}

// A root reads the RPL option of packets, takes it off those that leave the network and brings up to date those that go back in.
func TestRPLOptionAtRoot(t *testing.T) {
	up := []byte{0x63, 4, 0, 0, 2, 0}
	toUs, out, in := udpTo(meshC, meshB, 7, 1000, "hello"), udpTo(meshC, outside, 7, 1000, "hello"), udpTo(meshC, meshA, 7, 1000, "hello")
	onWay := func(p []byte) []byte { return patched(p, 7, 63) }
	for _, tc := range []struct {
		name     string
		p        []byte
		up, down []byte // as it leaves, if it does
		cause    DropCause
		here     bool
	}{
		{name: "to the root", p: rplInfo(toUs, up...), here: true},
		{name: "out", p: rplInfo(out, up...), up: onWay(out)},
		{name: "out, of the type that others skip", p: rplInfo(out, 0x23, 4, 0, 0, 2, 0), up: onWay(out)},
		{name: "out, with another option", p: rplInfo(out, 0x63, 4, 0, 0, 2, 0, 0x05, 2, 0, 0), up: onWay(rplInfo(out, 0x63, 4, 0x80, 0, 0, 1, 0x05, 2, 0, 0))},
		{name: "back in", p: rplInfo(in, up...), down: onWay(rplInfo(in, 0x63, 4, 0x80, 0, 0, 1))},
		{name: "back in, with what nobody knows", p: rplInfo(in, 0x63, 9, 0, 0, 2, 0, 1, 2, 3, 4, 5),
			down: onWay(rplInfo(in, 0x63, 9, 0x80, 0, 0, 1, 1, 2, 3, 4, 5))},
		{name: "of another instance", p: rplInfo(in, 0x63, 4, 0, 9, 2, 0), cause: DropRPLOption},
		{name: "shorter than an option", p: rplInfo(in, 0x63, 3, 0, 9, 2), cause: DropRPLOption},
		{name: "in a loop", p: rplInfo(in, 0x63, 4, 0xc0, 0, 2, 0), cause: DropRPLOption},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newRPLRoot(t, wire.RPLStoring)
			e := s.bind("[::]:1000")
			s.skip()
			s.hear(tc.p)
			var wantUp, wantDown [][]byte
			if tc.up != nil {
				wantUp = append(wantUp, tc.up)
			}
			if tc.down != nil {
				wantDown = append(wantDown, tc.down)
			}
			require.Equal(t, wantUp, s.uplink())
			require.Equal(t, wantDown, s.packets(s.send()))
			require.Equal(t, tc.here, e.Received() > 0)
			total := 0
			if tc.cause != 0 {
				total++
				require.Equal(t, 1, s.drops(tc.cause))
			}
			require.EqualValues(t, total, s.link.Counters().Drops.Total(), "%v", s.link.Counters().Drops)
		})
	}
}

// Where the link takes datagrams as long as 6LoWPAN has them, a source route leaves less for others' packets, and they are told.
func TestRPLLongestDatagram(t *testing.T) {
	for _, tc := range []struct {
		name   string
		octets int
		fits   bool
	}{
		{"with its route", wire.LowpanMaxDatagramSize - 40 - 16 - 48, true},
		{"longer", wire.LowpanMaxDatagramSize - 40 - 16 - 48 + 1, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newRPLRoot(t, wire.RPLNonStoring, func(c *dev.Capabilities) { c.MTU = wire.LowpanMaxDatagramSize }).knows()
			p := udpTo(outside, meshC, 1000, 7, noise(tc.octets))
			s.passOn(p)
			packets, answers := s.packets(s.send()), s.uplink()
			if tc.fits {
				require.Empty(t, answers)
				require.Len(t, packets, 1)
				require.Len(t, packets[0], wire.LowpanMaxDatagramSize)
				return
			}
			require.Empty(t, packets)
			require.Len(t, answers, 1)
			m := wire.ICMPv6Packet(wire.IPv6Packet(answers[0]).Payload())
			require.EqualValues(t, wire.ICMPv6PacketTooBig, m.Type())
			require.EqualValues(t, wire.LowpanMaxDatagramSize-40-16, m.MTU())
		})
	}
}
