package core

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/lowpan"
	"github.com/smolnet/smolnet/core/registration"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
)

// frame is one for us from a node that he makes up.
func (f flooder) frame(payload []byte) []byte { return f.from(f.eui(), payload) }

func (f flooder) eui() (eui [8]byte) {
	binary.BigEndian.PutUint64(eui[:], f.Uint64())
	eui[0] = 6
	return eui
}

func (f flooder) from(eui [8]byte, payload []byte) []byte {
	return radioFrame(wire.IEEE802154Repr{Type: wire.IEEE802154Data, Version: wire.IEEE802154Version2006, AckRequest: true, PANCompression: true,
		Seq: uint8(f.Uint32()), DstPAN: radioPAN, SrcPAN: radioPAN, Dst: nodeB, Src: wire.ExtendedAddr(eui)}, payload)
}

func (f flooder) octets(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(f.Uint32())
	}
	return b
}

// fragment is of a datagram that he makes up.
func (f flooder) fragment(eui [8]byte) []byte {
	h := wire.LowpanFragment{DatagramSize: 40 + f.IntN(2008), Tag: uint16(f.Uint32())}
	var payload []byte
	if f.IntN(3) == 0 {
		payload = append(payload, 0x7a, 0x33, 58)
	} else {
		h.Offset = 8 * (1 + f.IntN(h.DatagramSize/8))
	}
	b := make([]byte, h.Len())
	h.Emit(b)
	return f.from(eui, append(append(b, payload...), f.octets(8*(1+f.IntN(10)))...))
}

// said is a packet to us from a node that he makes up, compressed.
func (f flooder) said(ip func(from netip.Addr, eui [8]byte) []byte) []byte {
	eui := f.eui()
	id := wire.ExtendedAddr(eui).InterfaceID()
	from := addr("fe80::").As16()
	copy(from[8:], id[:])
	packet := ip(netip.AddrFrom16(from), eui)
	payload := compress(packet, wire.LowpanLink{Src: wire.ExtendedAddr(eui), Dst: nodeB})
	if len(payload) > wire.IEEE802154MaxFrameLen-radioHeader {
		payload = payload[:wire.IEEE802154MaxFrameLen-radioHeader] // which is malformed
	}
	return f.from(eui, payload)
}

// flooded is a stack on a radio, under fire.
type flooded struct {
	*radioScript
	e       *udp.Endpoint
	a       netip.Addr // by which A goes
	flood   func() []byte
	between time.Duration
	answers int  // frames that have left to others than A, and are no acknowledgments
	heard   bool // A has got something since the last time
}

// give has a frame arrive. A, and nobody else, acknowledges what leaves.
func (c *flooded) give(frame []byte) {
	c.after(c.between)
	c.recv(frame)
	for sent := c.send(); sent != nil; sent = c.send() {
		for _, b := range sent {
			switch frame := wire.IEEE802154Frame(b); {
			case frame.Type() == wire.IEEE802154Ack:
			case frame.Dst() == nodeA:
				c.acked()
				if ip := c.packet(b); ip[40] == wire.ICMPv6NeighborSolicitation && ip[6] == 58 {
					c.recv(c.frame(c.compressed(ndPacket(linkA, linkB, &wire.NDNeighborAdvertisementRepr{Solicited: true, Target: linkA}))))
				} else {
					c.heard = true
				}
			default:
				c.answers++
			}
		}
	}
	r := c.link.radio
	require.LessOrEqual(c.t, r.reassembly.Len(), lowpan.DefaultMaxDatagrams)
	require.LessOrEqual(c.t, r.reassembly.Octets(), lowpan.DefaultMaxDatagrams*2304)
	require.LessOrEqual(c.t, c.link.Neighbours().Len(), radioLimits.Neighbours+len(c.link.Registrations()), "those who are registered stay")
	require.LessOrEqual(c.t, len(c.link.Registrations()), 16)
	require.LessOrEqual(c.t, c.link.control.Len(), radioLimits.ControlQueue)
	require.LessOrEqual(c.t, len(c.link.Addresses()), radioLimits.Addresses)
	require.LessOrEqual(c.t, len(c.link.Routers()), radioLimits.Routers)
}

var radioLimits = Limits{Neighbours: 32, ControlQueue: 64, Addresses: 8, Routers: 3, Prefixes: 3, RouterRoutes: 4, Paths: 64, Destinations: 64,
	Lowpan: LowpanLimits{Registrations: 16, FrameCounters: 4}}

// exchange has A say something, in a frame and in fragments, in the midst of the flood, and get an answer.
func (c *flooded) exchange() {
	c.t.Helper()
	for _, said := range []string{"hello", noise(300)} {
		for _, frame := range c.frames(udpTo(c.a, linkB, 1000, 7, said)) {
			c.give(frame)
			c.give(c.flood())
			c.give(c.flood())
		}
		c.wantDatagram(c.e, said, netip.AddrPortFrom(c.a, 1000).String())
	}
	// A datagram may be lost, among the others of those who wait until nobody answers; it is sent again then.
	c.heard = false
	const patience, tries = time.Second, 3
	begin := c.now
	for try := 0; !c.heard; c.give(c.flood()) {
		if c.now.Sub(begin) >= time.Duration(try)*patience {
			require.Less(c.t, try, tries, "A is answered")
			require.NoError(c.t, c.e.Send(c.now, packetOf([]byte("hello")), netip.AddrPortFrom(c.a, 1000), c.link.Index()))
			try++
		}
	}
}

// Floods of all that somebody in reach can send: what the stack remembers stays within its bounds, and who has nothing to do with it
// is served.
func TestRadioFloods(t *testing.T) {
	const floods = 3000
	host := []any{func(c *InterfaceConfig) { c.Addresses, c.Autoconf = nil, true }}
	router := []any{
		func(c *InterfaceConfig) { c.Addresses, c.Forward = []netip.Prefix{netip.PrefixFrom(globalB, 64)}, true },
		func(c *IEEE802154Config) {
			c.Router = &registration.RouterConfig{Prefixes: []registration.Prefix{{Prefix: prefix("2001:db8::/64")}}}
		},
	}
	const hostile = 0x99
	c := [8]byte{6, 0x99}
	for _, tc := range []struct {
		name    string
		options []any
		frame   func(f flooder) []byte
		answers int // the most frames that may leave because of it, but for acknowledgments
	}{
		{"of octets", nil, func(f flooder) []byte { return f.octets(f.IntN(wire.IEEE802154MaxFrameLen + 1)) }, 0},
		{"of frames cut short", nil, func(f flooder) []byte {
			frame := f.said(func(from netip.Addr, _ [8]byte) []byte { return udpTo(from, linkB, 1000, 9, "hello") })
			return frame[:f.IntN(len(frame))]
		}, 0},
		{"of frames of other networks, and to others", nil, func(f flooder) []byte {
			return patched(f.frame(f.octets(50)), 3+f.IntN(2)*2, hostile)
		}, 0},
		{"of payloads", nil, func(f flooder) []byte { return f.frame(f.octets(f.IntN(100))) }, 40},
		{"of compressed headers", nil, func(f flooder) []byte {
			return f.frame(append([]byte{0x60 | byte(f.IntN(32)), byte(f.Uint32())}, f.octets(f.IntN(90))...))
		}, floods},
		{"of headers in headers", nil, func(f flooder) []byte {
			return f.frame(append(bytes.Repeat([]byte{0x7e, 0x33, 0xee}, 4+f.IntN(30)), 0x7a, 0x33, 58))
		}, 0},
		{"of extension headers", nil, func(f flooder) []byte {
			return f.frame(append([]byte{0x7e, 0x33}, bytes.Repeat([]byte{0xe1 | byte(f.IntN(4))<<1, 0}, 1+f.IntN(48))...))
		}, 40},
		{"of fragments by one", nil, func(f flooder) []byte { return f.fragment(c) }, 0},
		{"of fragments by many", nil, func(f flooder) []byte { return f.fragment(f.eui()) }, 0},
		{"of first fragments of the longest datagrams", nil, func(f flooder) []byte {
			return f.frame([]byte{0xc7, 0xff, byte(f.Uint32()), byte(f.Uint32()), 0x7a, 0x33, 58, 128, 0, 0, 0, 0, 0, 0, 0})
		}, 0},
		{"of datagrams without octets", nil, func(f flooder) []byte {
			return f.frame(append([]byte{0xc0 | byte(f.IntN(2))<<5, byte(f.IntN(40)), byte(f.Uint32()), 1, byte(f.Uint32())}, f.octets(8)...))
		}, 0},
		{"of fragments past the end", nil, func(f flooder) []byte {
			return f.frame(append([]byte{0xe1, byte(f.Uint32()), byte(f.Uint32()), 1, 64 + byte(f.IntN(192))}, f.octets(16)...))
		}, 0},
		{"of unknown contexts", nil, func(f flooder) []byte { return f.frame([]byte{0x7a, 0xf3, byte(f.Uint32()), 58, 128, 0}) }, 0},
		{"of copies", nil, func(f flooder) []byte {
			return flooder{rand.New(rand.NewPCG(3, 4))}.said(func(from netip.Addr, _ [8]byte) []byte { return echo6(from, linkB, "hello") })
		}, 100},
		{"of pings", nil, func(f flooder) []byte {
			return f.said(func(from netip.Addr, _ [8]byte) []byte { return echo6(from, linkB, "hello") })
		}, floods * 6},
		{"of datagrams to nobody", nil, func(f flooder) []byte {
			return f.said(func(from netip.Addr, _ [8]byte) []byte { return udpTo(from, linkB, 1000, 9, "hello") })
		}, floods * 6},
		{"of mesh headers", nil, func(f flooder) []byte { return f.frame(append([]byte{0x80 | byte(f.IntN(64))}, f.octets(40)...)) }, 40},
		{"of beacons and commands", nil, func(f flooder) []byte { return patched(f.frame(f.octets(20)), 0, []byte{0x60, 0x63}[f.IntN(2)]) }, 0},
		{"of requests for acknowledgments", nil, func(f flooder) []byte { return f.from(c, nil) }, 0},
		{"of acknowledgments", nil, func(f flooder) []byte {
			return radioFrame(wire.IEEE802154Repr{Type: wire.IEEE802154Ack, Seq: uint8(f.Uint32())}, nil)
		}, 0},
		{"of secured frames, and we have no key", nil, func(f flooder) []byte {
			return patched(f.frame(append([]byte{0x0d, byte(f.Uint32()), 0, 0, 0, 1}, f.octets(60)...)), 0, 0x69)
		}, 0},
		{"of forged frames", []any{secured(1), func(c *IEEE802154Config) { c.Security.AcceptUnsecured = true }},
			func(f flooder) []byte {
				return patched(f.frame(append([]byte{byte(f.IntN(8)) | 0x08, byte(f.Uint32()), 0, 0, 0, 1}, f.octets(60)...)), 0, 0x69)
			}, 40},
		{"of solicitations of neighbours", nil, func(f flooder) []byte {
			return f.said(func(from netip.Addr, eui [8]byte) []byte {
				return ndPacket(from, linkB, &wire.NDNeighborSolicitationRepr{Target: linkB, SourceLinkAddr: wire.ExtendedAddr(eui)})
			})
		}, floods * 6},
		{"of advertisements of routers", host, func(f flooder) []byte {
			ra := &wire.NDRouterAdvertisementRepr{RouterLifetime: time.Duration(f.IntN(9000)) * time.Second}
			switch f.IntN(3) {
			case 0:
				ra.Options = ra.Options.Append(&wire.NDPrefixInformationRepr{Prefix: f.prefix(), Autonomous: true, ValidLifetime: 4 * time.Hour, PreferredLifetime: time.Hour})
			case 1:
				ra.Options = ra.Options.Append(&wire.NDContextRepr{ID: uint8(f.IntN(16)), Prefix: f.prefix(), Compress: f.IntN(2) == 0, Lifetime: time.Duration(f.IntN(100)) * time.Minute})
			case 2:
				ra.Options = ra.Options.Append(&wire.NDBorderRouterRepr{Version: f.Uint32(), Lifetime: time.Hour, Router: f.addr6("2001:db8::")})
			}
			return f.said(func(from netip.Addr, _ [8]byte) []byte { return ndPacket(from, linkB, ra) })
		}, floods * 6},
		{"of solicitations of routers", router, func(f flooder) []byte {
			return f.said(func(from netip.Addr, eui [8]byte) []byte {
				return ndPacket(from, allRoutersv6, &wire.NDRouterSolicitationRepr{SourceLinkAddr: wire.ExtendedAddr(eui)})
			})
		}, floods * 6},
		{"of registrations", router, func(f flooder) []byte {
			return f.said(func(from netip.Addr, eui [8]byte) []byte {
				return asks(from, linkB, wire.ExtendedAddr(eui), eui, time.Hour)
			})
		}, floods * 6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newRadioScript(t, append([]any{func(c *Config) { c.Limits = radioLimits }}, tc.options...)...)
			f := flooder{rand.New(rand.NewPCG(1, 2))}
			c := &flooded{radioScript: s, e: s.bind("[::]:7"), a: linkA, flood: func() []byte { return tc.frame(f) }, between: 4 * time.Millisecond}
			if s.link.registrar != nil { // where those who have answered stay registered
				c.a = globalA
				c.give(s.frame(s.compressed(asks(globalA, linkB, nodeA, euiA, time.Hour))))
				c.give(s.frame(s.compressed(ndPacket(globalA, linkB, &wire.NDNeighborAdvertisementRepr{Solicited: true, Target: globalA}))))
			}
			for range 200 {
				c.give(c.flood())
			}
			c.exchange()
			heap := func() int {
				var m runtime.MemStats
				runtime.GC()
				runtime.GC() // the first leaves what is in pools
				runtime.ReadMemStats(&m)
				return int(m.HeapAlloc)
			}
			before := heap()
			for i := range floods {
				c.give(c.flood())
				if i%100 == 99 {
					c.exchange()
				}
			}
			require.LessOrEqual(t, c.answers, tc.answers)
			require.Less(t, heap(), before+(256<<10))
		})
	}
}
