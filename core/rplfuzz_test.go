package core

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/rpl"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// fuzzedRPL are what a stack may be in a network of RPL.
var fuzzedRPL = []func(c *InterfaceConfig){
	func(c *InterfaceConfig) { c.IEEE802154.RPLLeaf = &rpl.LeafConfig{} },
	func(c *InterfaceConfig) { c.Autoconf, c.IEEE802154.RPLLeaf = true, &rpl.LeafConfig{} },
	func(c *InterfaceConfig) {
		c.Addresses, c.Forward = []netip.Prefix{netip.PrefixFrom(meshB, 64)}, true
		c.IEEE802154.RPLRoot = &rpl.RootConfig{DODAG: meshB, Mode: wire.RPLNonStoring}
	},
	func(c *InterfaceConfig) {
		c.Addresses, c.Forward = []netip.Prefix{netip.PrefixFrom(meshB, 64)}, true
		c.IEEE802154.RPLRoot = &rpl.RootConfig{DODAG: meshB, Mode: wire.RPLStoring}
	},
}

// FuzzRPL gives a leaf or a root of RPL, which has another link too, whatever packets: nothing panics, and nothing leaks. The octets are
// a sequence of packets, each behind two octets of length, whose two topmost bits say how long it is before it arrives, and the next
// that it comes by the other link.
func FuzzRPL(f *testing.F) {
	var daos [3]wire.RPLOptions
	for i, way := range [3][2]netip.Addr{{meshA, meshB}, {meshC, meshA}, {meshC, {}}} {
		daos[i] = daos[i].Append(&wire.RPLTargetRepr{Prefix: netip.PrefixFrom(way[0], 128)})
		daos[i] = daos[i].Append(&wire.RPLTransitInformationRepr{PathControl: 0xff, PathLifetime: 30, Parent: way[1]})
	}
	var options wire.RPLOptions
	options = options.Append(&wire.RPLDODAGConfigurationRepr{MinHopRankIncrease: 256, IntervalMin: 3, IntervalDoublings: 8, LifetimeUnit: 60})
	options = options.Append(&wire.RPLPrefixInformationRepr{Prefix: within, Autonomous: true,
		PreferredLifetime: time.Hour, ValidLifetime: time.Hour})
	inwards, upwards := udpTo(outside, meshC, 7, 7, noise(900)), udpTo(meshC, outside, 7, 7, "hello")
	_, route := wire.RPLSourceRoute(ip.ProtocolUDP, []netip.Addr{meshB, meshC})
	header := make([]byte, route.Len())
	route.Emit(header)
	const later, other = 0x8000, 0x2000
	type arrival struct {
		flags  uint16
		packet []byte
	}
	for _, arrivals := range [][]arrival{
		{
			{0, rplPacket(linkA, rpl.AllNodes, &wire.RPLDIORepr{Version: 240, Rank: 256, Mode: wire.RPLNonStoring, DODAG: meshA, Options: options})},
			{later, rplPacket(meshA, meshB, &wire.RPLDAOAckRepr{Sequence: 240})},
			{0, ipv6(meshA, meshB, ip.ProtocolIPv6, udpTo(outside, meshB, 7, 7, "hello"))},
			{0, rplInfo(udpTo(meshC, meshB, 7, 7, "hello"), 0x63, 4, 0, 0, 2, 0)},
			{0, rplPacket(linkC, linkB, &wire.RPLDISRepr{})},
			{0, rplPacket(linkA, rpl.AllNodes, &wire.RPLDIORepr{Version: 240, Rank: 0xffff, Mode: wire.RPLNonStoring, DODAG: meshA})},
		},
		{
			{0, rplPacket(meshA, meshB, &wire.RPLDAORepr{Ack: true, Options: daos[0]})},
			{0, rplPacket(meshC, meshB, &wire.RPLDAORepr{Ack: true, Options: daos[1]})},
			{other, inwards}, {0, udpTo(meshC, meshB, 7, 7, noise(500))}, {later, rplInfo(upwards, 0x63, 4, 0, 0, 2, 0)},
			{0, ipv6(meshC, meshB, ip.ProtocolIPv6, upwards)},
			{0, ipv6(meshA, meshB, wire.IPv6Routing, append(header, udpTo(meshA, meshC, 7, 7, "hello")[40:]...))},
		},
		{
			{0, rplPacket(linkA, linkB, &wire.RPLDAORepr{Ack: true, Options: daos[2]})},
			{0, rplPacket(linkC, linkB, &wire.RPLDAORepr{Ack: true, Options: daos[2]})},
			{other, inwards}, {0, rplInfo(udpTo(meshA, meshC, 7, 7, "hello"), 0x63, 4, 0x20, 0, 2, 0)}, {later, inwards},
		},
	} {
		var b []byte
		for _, a := range arrivals {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(a.packet))|a.flags), a.packet...)
		}
		for kind := range fuzzedRPL {
			f.Add(uint8(kind), b)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		live := livePackets()
		r := newFuzzedRadio(t, fuzzedRPL[int(kind)%len(fuzzedRPL)])
		from := &radioScript{script: r.script}
		uplink, err := r.stack.AddInterface(r.now, InterfaceConfig{
			Device: &testDevice{dev.Capabilities{Medium: dev.IP, MTU: 1280}}, Addresses: []netip.Prefix{prefix("2001:db8::1/64")}, Forward: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		pauses := [...]time.Duration{0, 2 * time.Millisecond, 11 * time.Second, time.Hour}
		for count := 0; len(b) >= 2 && count < 32; count++ {
			control := binary.BigEndian.Uint16(b)
			p := b[2 : 2+min(int(control&0x7ff), len(b)-2)]
			b = b[2+len(p):]
			r.pause(pauses[control>>14])
			switch {
			case control&0x2000 != 0:
				r.stack.Input(r.now, uplink, []*packet.Packet{packetOf(p)})
			case len(p) < wire.IEEE802154MaxFrameLen-radioHeader:
				r.give(from.frame(append([]byte{0x41}, p...)))
			case p[0]>>4 == 6:
				for _, frame := range from.fragments(p) {
					r.give(frame)
				}
			}
			var out [8]*packet.Packet
			for n := r.stack.Output(r.now, uplink, out[:]); n > 0; n = r.stack.Output(r.now, uplink, out[:]) {
				for _, q := range out[:n] {
					q.Release()
				}
			}
		}
		r.pause(time.Minute)
		r.stack.Close(r.now)
		if leaked := livePackets() - live; leaked != 0 {
			t.Fatalf("%d packets leaked", leaked)
		}
	})
}
