package core

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
)

// A flooder is somebody on the link who sends what he likes, from wherever he likes.
type flooder struct{ *rand.Rand }

func (f flooder) addr4() netip.Addr {
	return netip.AddrFrom4([4]byte{192, 168, 69, byte(101 + f.IntN(150))})
}

// addr6 is an address in a network, of which there are 16 octets.
func (f flooder) addr6(network string) netip.Addr {
	b := addr(network).As16()
	binary.BigEndian.PutUint64(b[8:], f.Uint64()|1)
	return netip.AddrFrom16(b)
}

func (f flooder) hardware() wire.HardwareAddr {
	return wire.HardwareAddr{2, 1, byte(f.Uint32()), byte(f.Uint32()), byte(f.Uint32()), byte(f.Uint32())}
}

func (f flooder) prefix() netip.Prefix {
	b := addr("2001:db8::").As16()
	binary.BigEndian.PutUint32(b[4:], f.Uint32())
	return netip.PrefixFrom(netip.AddrFrom16(b), 64)
}

func (f flooder) advertisement() *wire.NDRouterAdvertisementRepr {
	return advertisement(time.Duration(f.IntN(9000))*time.Second, sourceOption(f.hardware()),
		&wire.NDPrefixInformationRepr{Prefix: f.prefix(), OnLink: true, Autonomous: true, ValidLifetime: 4 * time.Hour, PreferredLifetime: 2 * time.Hour},
		&wire.NDRouteInformationRepr{Prefix: f.prefix(), Lifetime: time.Hour},
		&wire.NDRDNSSRepr{Lifetime: time.Hour, Servers: []netip.Addr{f.addr6("2001:db8::")}},
		&wire.NDDNSSLRepr{Lifetime: time.Hour, Domains: []string{string(rune('a'+f.IntN(26))) + ".example"}})
}

// Floods of every message by which somebody can make a stack remember something, or answer. What it remembers stays within the
// bounds, what it answers is no flood, and who has nothing to do with all that is served.
func TestFloods(t *testing.T) {
	const floods, between = 5000, 100 * time.Microsecond // half a second
	for _, tc := range []struct {
		name  string
		frame func(f flooder) []byte
		most  int // frames that may leave because of it
	}{
		{"advertisements of many routers", func(f flooder) []byte { return nd(f.addr6("fe80::"), allNodesv6, f.advertisement()) }, 300},
		{"advertisements of a router that changes its mind", func(f flooder) []byte { return nd(otherRouter, allNodesv6, f.advertisement()) }, 300},
		{"advertisements of neighbours", func(f flooder) []byte {
			from := f.addr6("fe80::")
			return nd(from, allNodesv6, &wire.NDNeighborAdvertisementRepr{Target: from, Override: true, TargetLinkAddr: f.hardware().LinkAddr()})
		}, 20},
		{"solicitations", func(f flooder) []byte {
			return nd(f.addr6("fdaa::"), us6, &wire.NDNeighborSolicitationRepr{Target: us6, SourceLinkAddr: f.hardware().LinkAddr()})
		}, floods + 20},
		{"solicitations of others", func(f flooder) []byte {
			return nd(f.addr6("fdaa::"), allNodesv6, &wire.NDNeighborSolicitationRepr{Target: f.addr6("fdaa::"), SourceLinkAddr: f.hardware().LinkAddr()})
		}, 20},
		{"ARP requests", func(f flooder) []byte {
			r := wire.ARPRepr{Operation: wire.ARPRequest, SenderHardware: f.hardware(), SenderProtocol: f.addr4(), TargetProtocol: f.addr4()}
			b := make([]byte, r.Len())
			r.Emit(b)
			return ether(wire.BroadcastHardwareAddr, wire.EtherTypeARP, b)
		}, 20},
		{"redirects, IPv4", func(f flooder) []byte {
			return redirect4(router4, better4, netip.AddrFrom4([4]byte{8, byte(f.Uint32()), byte(f.Uint32()), 1}), 1)
		}, 20},
		{"redirects, IPv6", func(f flooder) []byte { return redirect6(theirLinkLocal, f.addr6("fe80::"), f.addr6("2001:db8::")) }, 20},
		{"queries, IGMP", func(f flooder) []byte {
			return igmp(router4, allSystemsv4, &wire.IGMPQueryRepr{Version: 3, Group: anyv4, MaxResponse: 100 * time.Millisecond, Robustness: 2})
		}, 250},
		{"queries for a group, IGMP", func(f flooder) []byte {
			return igmp(router4, addr("239.1.2.3"), &wire.IGMPQueryRepr{Version: 2, Group: addr("239.1.2.3"), MaxResponse: 100 * time.Millisecond})
		}, 150},
		{"queries, MLD", func(f flooder) []byte {
			return mld(theirLinkLocal, allNodesv6, &wire.MLDQueryRepr{Version: 2, Group: anyv6, MaxResponse: time.Millisecond, Robustness: 2})
		}, 250},
		{"queries in an old version, MLD", func(f flooder) []byte {
			return mld(theirLinkLocal, allNodesv6, &wire.MLDQueryRepr{Version: 1, Group: anyv6})
		}, 150},
		{"packets too big", func(f flooder) []byte {
			return toUs(error6(f.addr6("2001:db8::"), 2, 0, 1280, udpTo(us6, f.addr6("2001:db8::"), 7, 7, "hello")))
		}, 20},
		{"DHCP", func(f flooder) []byte {
			r := wire.DHCPv4Repr{Type: wire.DHCPv4MessageType(1 + f.IntN(8)), XID: f.Uint32(), ServerID: f.addr4(), YourAddr: f.addr4(),
				LeaseTime: time.Hour, ClientHardware: ourHardware}
			b := make([]byte, r.Len())
			r.Emit(b)
			return toAll(udpTo(f.addr4(), broadcastAddrv4, 67, 68, string(b)))
		}, 30},
		{"DHCPv6", func(f flooder) []byte {
			r := wire.DHCPv6Repr{Type: uint8(1 + f.IntN(13)), ClientID: configuredDUID, ServerID: wire.DHCPv6DUID{0, 9, byte(f.Uint32())},
				IAs: []wire.DHCPv6IANA{{IAID: 7, Addresses: []wire.DHCPv6IAAddr{{Addr: f.addr6("fd00:6::"), Preferred: time.Hour, Valid: time.Hour}}}}}
			return toUs(udpTo(f.addr6("fe80::"), ourLinkLocal, wire.DHCPv6ServerPort, wire.DHCPv6ClientPort, string(r.Append(nil))))
		}, 60},
		{"datagrams to nobody", func(f flooder) []byte { return toUs(udpTo(f.addr6("fdaa::"), us6, 1000, 9, "hello")) }, 2000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newLessee(t)
			defer func() { c.stack.Close(c.now) }()
			e, err := c.stack.UDP().Bind(udp.BindConfig{Local: addrPort("[::]:7"), DualStack: true})
			require.NoError(t, err)
			f := flooder{rand.New(rand.NewPCG(1, 2))}
			c.give(tc.frame(f))
			c.echo(e)
			heap := func() int {
				var m runtime.MemStats
				runtime.GC()
				runtime.GC() // the first leaves what is in pools
				runtime.ReadMemStats(&m)
				return int(m.HeapAlloc)
			}
			before := heap()
			c.total = 0
			for i := range floods {
				c.give(tc.frame(f))
				c.pause(between)
				if i%100 == 99 {
					c.echo(e)
				}
			}
			require.LessOrEqual(t, c.total, tc.most+2*floods/100, "of which some are what was said to those who are served")
			require.Less(t, heap(), before+(1<<20))
		})
	}
}

// echo has somebody who is known send a datagram by each version, which is answered to him though he may have been forgotten.
func (c *lessee) echo(e *udp.Endpoint) {
	c.t.Helper()
	for _, pair := range [][2]netip.Addr{{them4, us4}, {them6, us6}} {
		them, us := pair[0], pair[1]
		c.give(toUs(udpTo(them, us, 1000, 7, "hello")))
		p, from, ok := e.Receive()
		require.True(c.t, ok, "%v is heard", them)
		require.Equal(c.t, netip.AddrPortFrom(them, 1000), from)
		require.NoError(c.t, e.Send(c.now, p, from, 0))
		c.collect()
		if !c.leaves(them) {
			if them.Is4() {
				c.give(arpReply(them, theirHardware))
			} else {
				c.give(nd(them, us, &wire.NDNeighborAdvertisementRepr{Solicited: true, Override: true, Target: them, TargetLinkAddr: theirHardware.LinkAddr()}))
			}
			require.True(c.t, c.leaves(them), "%v is answered", them)
		}
	}
}

// leaves reports whether a datagram to somebody was among what has left last.
func (c *lessee) leaves(to netip.Addr) bool {
	for _, b := range c.sent {
		frame := wire.EthernetFrame(b)
		if frame.EtherType() == wire.EtherTypeIPv4 && wire.IPv4Packet(frame.Payload()).Dst() == to ||
			frame.EtherType() == wire.EtherTypeIPv6 && wire.IPv6Packet(frame.Payload()).Dst() == to && frame.Payload()[6] == 17 {
			return frame.Dst() == theirHardware
		}
	}
	return false
}
