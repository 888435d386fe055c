package core

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/lowpan"
	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/wire"
)

// What becomes of a frame: it is delivered, or dropped for a cause of its own, and acknowledged if it is a whole frame for us.
func TestRadioFrames(t *testing.T) {
	datagram := udpTo(linkA, linkB, 1000, 7, "hello")
	inFull := append([]byte{0x41}, datagram...)
	header := func(change func(h *wire.IEEE802154Repr)) func(s *radioScript) []byte {
		return func(s *radioScript) []byte {
			h := s.header()
			change(&h)
			return radioFrame(h, inFull)
		}
	}
	carrying := func(payload ...byte) func(s *radioScript) []byte {
		return func(s *radioScript) []byte { return s.frame(payload) }
	}
	const delivered = numDropCauses
	const acked, unheard = true, false
	for _, tc := range []struct {
		name  string
		frame func(s *radioScript) []byte
		cause DropCause
		acked bool
	}{
		{"compressed", func(s *radioScript) []byte { return s.frame(s.compressed(datagram)) }, delivered, acked},
		{"uncompressed", carrying(inFull...), delivered, acked},
		{"to all, whom nobody acknowledges", func(s *radioScript) []byte {
			group := udpTo(linkA, allNodesv6, 1000, 7, "hello")
			return s.toAll(compress(group, wire.LowpanLink{Src: nodeA, Dst: wire.BroadcastShortAddr}))
		}, delivered, unheard},
		{"without a request for acknowledgment", header(func(h *wire.IEEE802154Repr) { h.AckRequest = false }), delivered, unheard},
		{"of 2003's edition", header(func(h *wire.IEEE802154Repr) { h.Version = wire.IEEE802154Version2003 }), delivered, acked},
		{"to our short address", header(func(h *wire.IEEE802154Repr) { h.Dst = wire.ShortAddr(0x660b) }), delivered, acked},
		{"from a short address", header(func(h *wire.IEEE802154Repr) { h.Src = wire.ShortAddr(0x660a) }), delivered, acked},
		{"to every network", header(func(h *wire.IEEE802154Repr) { h.DstPAN, h.PANCompression = wire.BroadcastPAN, false }), delivered, acked},
		{"from another network", header(func(h *wire.IEEE802154Repr) { h.SrcPAN, h.PANCompression = 0x99, false }), delivered, acked},

		{"no octet", func(*radioScript) []byte { return nil }, DropRadioMalformed, unheard},
		{"one octet", func(*radioScript) []byte { return []byte{0x41} }, DropRadioMalformed, unheard},
		{"cut in the header", func(s *radioScript) []byte { return s.frame(nil)[:radioHeader-1] }, DropRadioMalformed, unheard},
		{"of a type that is none", func(s *radioScript) []byte { return patched(s.frame(inFull), 0, 0x65) }, DropRadioMalformed, unheard},
		{"of an edition that is none", func(s *radioScript) []byte { return patched(s.frame(inFull), 1, 0xfc) }, DropRadioMalformed, unheard},
		{"with a reserved address mode", func(s *radioScript) []byte { return patched(s.frame(inFull), 1, 0xd4) }, DropRadioMalformed, unheard},
		{"a beacon", func(*radioScript) []byte {
			return radioFrame(wire.IEEE802154Repr{Type: wire.IEEE802154Beacon, SrcPAN: radioPAN, Src: nodeA}, make([]byte, 4))
		}, DropRadioType, unheard},
		{"a command", header(func(h *wire.IEEE802154Repr) { h.Type = wire.IEEE802154Command }), DropRadioType, unheard},
		{"of another network", header(func(h *wire.IEEE802154Repr) { h.DstPAN, h.SrcPAN = 0x99, 0x99 }), DropRadioPAN, unheard},
		{"to somebody else", header(func(h *wire.IEEE802154Repr) { h.Dst = nodeC }), DropOtherHost, unheard},
		{"to another short address", header(func(h *wire.IEEE802154Repr) { h.Dst = wire.ShortAddr(0x660c) }), DropOtherHost, unheard},
		{"to the coordinator", header(func(h *wire.IEEE802154Repr) { h.Dst, h.PANCompression = wire.LinkAddr{}, false }), DropOtherHost, unheard},
		{"from nobody", header(func(h *wire.IEEE802154Repr) { h.Src, h.PANCompression = wire.LinkAddr{}, false }), DropFrameSource, unheard},
		{"from all", header(func(h *wire.IEEE802154Repr) { h.Src = wire.BroadcastShortAddr }), DropFrameSource, unheard},
		{"from a group", header(func(h *wire.IEEE802154Repr) { h.Src = wire.ShortAddr(0x8001) }), DropFrameSource, unheard},
		{"from ourselves", header(func(h *wire.IEEE802154Repr) { h.Src = nodeB }), DropFrameSource, unheard},
		{"secured, and we have no key", header(func(h *wire.IEEE802154Repr) {
			h.Secured, h.Security = true, wire.IEEE802154Security{Level: 5, KeyMode: wire.IEEE802154KeyIndex, KeyIndex: 1}
		}), DropRadioKey, acked},

		{"empty", carrying(), DropLowpanTruncated, acked},
		{"not 6LoWPAN", carrying(0x00, 1, 2, 3), DropLowpanDispatch, acked},
		{"HC1", carrying(0x42, 0xff, 64), DropLowpanDispatch, acked},
		{"a dispatch of another page", carrying(0xf1, 0x60), DropLowpanDispatch, acked},
		{"the escape dispatch", carrying(0x40, 0x80), DropLowpanDispatch, acked},
		{"half a compressed header", carrying(0x7a), DropLowpanTruncated, acked},
		{"a compressed header without what it does not elide", carrying(0x60, 0x00, 1, 2, 3), DropLowpanTruncated, acked},
		{"an uncompressed header cut short", carrying(inFull[:40]...), DropLowpanTruncated, acked},
		{"IPv4, which a radio does not carry", carrying(append([]byte{0x41}, udpTo(them4, us4, 1000, 7, "long enough for a header")...)...), DropVersion, acked},
		{"a reserved multicast mode", carrying(0x7a, 0x3d, 0x3a, 0, 0, 0, 0), DropLowpanHeader, acked},
		{"a reserved next header compression", carrying(0x7e, 0x33, 0xd0, 0), DropLowpanHeader, acked},
		{"an extension header of a length that it cannot have", carrying(0x7e, 0x33, 0xe2, 0x3a, 0x05, 1, 2, 3, 4, 5), DropLowpanHeader, acked},
		{"a source by a context that nobody told", carrying(0x7a, 0x73, 0x3a, 0x80, 0), DropLowpanContext, acked},
		{"a destination by a context that nobody told", carrying(0x7a, 0xb7, 0x05, 0x3a, 0x80, 0), DropLowpanContext, acked},
		{"a group by a context that nobody told", carrying(0x7a, 0x3c, 0x3a, 0, 0, 0, 0, 0, 0), DropLowpanContext, acked},
		{"headers around headers", func(s *radioScript) []byte {
			return s.frame(append(bytes.Repeat([]byte{0x7e, 0x33, 0xee}, 5), 0x7a, 0x33, 0x3a, 0x80))
		}, DropLowpanHeaders, acked},
		{"more extension headers than may be", func(s *radioScript) []byte {
			return s.frame(append([]byte{0x7e, 0x33}, bytes.Repeat([]byte{0xe7, 0}, 40)...))
		}, DropLowpanHeaders, acked},
		{"a UDP checksum left out", carrying(0x7e, 0x33, 0xf7, 0x07, 'h', 'i'), DropLowpanChecksum, acked},

		{"a fragment cut in its header", carrying(0xc1, 0x00, 0x00), DropLowpanTruncated, acked},
		{"a later fragment cut in its header", carrying(0xe1, 0x00, 0x00, 0x01), DropLowpanTruncated, acked},
		{"a first fragment of a datagram without octets", carrying(0xc0, 0x00, 0, 1, 0x7a, 0x33, 0x3a, 0x80), DropLowpanFragment, acked},
		{"a later fragment of a datagram without octets", carrying(0xe0, 0x00, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8), DropLowpanFragment, acked},
		{"of a datagram shorter than a header", carrying(0xe0, 39, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8), DropLowpanFragment, acked},
		{"of a datagram shorter than its headers", carrying(append([]byte{0xc0, 44, 0, 1}, compress(datagram, wire.LowpanLink{Src: nodeA, Dst: nodeB})...)...),
			DropLowpanFragment, acked},
		{"a first fragment longer than its datagram", carrying(append([]byte{0xc0, 50, 0, 1}, inFull...)...), DropLowpanFragment, acked},
		{"a later fragment at the beginning", carrying(0xe1, 0, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8), DropLowpanFragment, acked},
		{"a fragment beyond the end", carrying(0xe1, 0, 0, 1, 32, 1, 2, 3, 4, 5, 6, 7, 8), DropLowpanFragment, acked},
		{"a fragment across the end", carrying(0xe1, 0, 0, 1, 31, 1, 2, 3, 4, 5, 6, 7, 8, 9), DropLowpanFragment, acked},
		{"a fragment of half a unit", carrying(0xe1, 0, 0, 1, 5, 1, 2, 3, 4), DropLowpanFragment, acked},
		{"a fragment without octets", carrying(0xe1, 0, 0, 1, 5), DropLowpanFragment, acked},
		{"a first fragment with a context that nobody told", carrying(0xc1, 0, 0, 1, 0x7a, 0x73, 0x3a, 0x80), DropLowpanContext, acked},
		{"a fragment in a fragment", carrying(0xc1, 0, 0, 1, 0xc1, 0, 0, 1, 0x7a, 0x33, 0x3a), DropLowpanDispatch, acked},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newRadioScript(t, func(c *IEEE802154Config) { c.ShortAddr = 0x660b })
			e := s.bind("[::]:7")
			s.recv(tc.frame(s))
			if tc.acked {
				require.Len(t, s.send(), 1, "the acknowledgment and no more")
			} else {
				s.wantIdle("there is nothing to say")
			}
			drops := s.link.Counters().Drops
			if tc.cause == delivered {
				require.Zero(t, drops.Total(), "%v", drops)
				s.wantDatagram(e, "hello", netip.AddrPortFrom(linkA, 1000).String())
				return
			}
			require.EqualValues(t, 1, drops[tc.cause], "%v", drops)
			require.EqualValues(t, 1, drops.Total(), "%v", drops)
			require.Zero(t, s.link.radio.reassembly.Octets(), "nothing of it stays")
			_, _, ok := e.Receive()
			require.False(t, ok)
		})
	}
}

// Frames that were forwarded below IP, which nobody does here.
func TestRadioMesh(t *testing.T) {
	mesh := func(origin, dest wire.LinkAddr) []byte {
		h := wire.LowpanMeshHeader{HopsLeft: 3, Origin: origin, Dest: dest}
		b := make([]byte, h.Len())
		h.Emit(b)
		return b
	}
	from := func(origin, dest wire.LinkAddr, ip []byte) []byte {
		return append(mesh(origin, dest), compress(ip, wire.LowpanLink{Src: origin, Dst: dest})...)
	}
	ours, all := udpTo(linkC, linkB, 1000, 7, "hello"), udpTo(linkC, allNodesv6, 1000, 7, "hello")
	const delivered = numDropCauses
	for _, tc := range []struct {
		name    string
		payload []byte
		cause   DropCause
	}{
		{"for us, from C by A", from(nodeC, nodeB, ours), delivered},
		{"for our short address", from(nodeC, wire.ShortAddr(0x660b), udpTo(linkC, addr("fe80::ff:fe00:660b"), 1000, 7, "hello")), delivered},
		{"for all, with a broadcast header", append(append(mesh(nodeC, wire.BroadcastShortAddr), 0x50, 9),
			compress(all, wire.LowpanLink{Src: nodeC, Dst: wire.BroadcastShortAddr})...), delivered},
		{"a broadcast header alone", append([]byte{0x50, 9}, compress(udpTo(linkA, linkB, 1000, 7, "hello"), wire.LowpanLink{Src: nodeA, Dst: nodeB})...), delivered},
		{"for others", from(nodeC, nodeA, ours), DropOtherHost},
		{"from a group", from(wire.ShortAddr(0x8001), nodeB, ours), DropFrameSource},
		{"cut short", mesh(nodeC, nodeB)[:16], DropLowpanTruncated},
		{"cut behind", mesh(nodeC, nodeB), DropLowpanTruncated},
		{"with hops in an octet that is not there", []byte{0x8f}, DropLowpanTruncated},
		{"with half a broadcast header", append(mesh(nodeC, nodeB), 0x50), DropLowpanTruncated},
		{"two of them", append(mesh(nodeC, nodeB), from(nodeC, nodeB, ours)...), DropLowpanDispatch},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newRadioScript(t, unacknowledged, func(c *IEEE802154Config) { c.ShortAddr = 0x660b }, func(c *InterfaceConfig) {
				c.Addresses = append(c.Addresses, prefix("fe80::ff:fe00:660b/64"), netip.PrefixFrom(linkB, 64))
			})
			e := s.bind("[::]:7")
			s.recv(s.frame(tc.payload))
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

// A UDP checksum that the sender has left out is made up if something else has held the payload's integrity.
func TestRadioElidedChecksum(t *testing.T) {
	// elided is the headers of a packet, compressed without UDP's checksum, and what they stand for.
	elided := func(ip []byte) (headers []byte, consumed int) {
		headers = make([]byte, wire.LowpanMaxHeaderLen)
		n, consumed := wire.CompressIPv6(headers, ip, len(ip), wire.LowpanLink{Src: nodeA, Dst: nodeB, ElideChecksum: true})
		return headers[:n:n], consumed
	}
	short, long := udpTo(linkA, linkB, 1000, 7, "hello"), udpTo(linkA, linkB, 1000, 7, noise(100))
	headers, consumed := elided(short)
	whole := append(headers, short[consumed:]...)
	headers, consumed = elided(long)
	first := append(append([]byte{0xc0, uint8(len(long)), 0, 1}, headers...), long[consumed:72]...)
	later := append([]byte{0xe0, uint8(len(long)), 0, 1, 9}, long[72:]...)
	t.Run("who is told that frames are whole takes it", func(t *testing.T) {
		s := newRadioScript(t, unacknowledged, func(c *IEEE802154Config) { c.ElidedChecksums = true })
		e := s.bind("[::]:7")
		s.recv(s.frame(whole))
		s.wantDatagram(e, "hello", netip.AddrPortFrom(linkA, 1000).String())
		require.Zero(t, s.link.Counters().Drops.Total())
	})
	t.Run("nobody else does", func(t *testing.T) {
		s := newRadioScript(t, unacknowledged)
		s.recv(s.frame(whole))
		require.Equal(t, 1, s.drops(DropLowpanChecksum))
	})
	t.Run("of a datagram in fragments it is made up once all have come", func(t *testing.T) {
		for _, parts := range [][2][]byte{{first, later}, {later, first}} {
			s := newRadioScript(t, unacknowledged, func(c *IEEE802154Config) { c.ElidedChecksums = true })
			e := s.bind("[::]:7")
			s.recv(s.frame(parts[0]))
			s.recv(s.frame(parts[1]))
			s.wantDatagram(e, noise(100), netip.AddrPortFrom(linkA, 1000).String())
		}
	})
	t.Run("a fragment without it is dropped, and what comes behind waits in vain", func(t *testing.T) {
		s := newRadioScript(t, unacknowledged)
		s.recv(s.frame(first))
		require.Equal(t, 1, s.drops(DropLowpanChecksum))
		s.recv(s.frame(later))
		require.Equal(t, 1, s.link.radio.reassembly.Len())
		s.after(lowpan.DefaultTimeout)
		require.Equal(t, 1, s.drops(DropLowpanTimeout))
		require.Zero(t, s.link.radio.reassembly.Octets())
	})
}

// A radio carries IPv6 only, and all that is said of link-local addresses is in them.
func TestRadioNeighbours(t *testing.T) {
	t.Run("a link-local neighbour needs no resolution", func(t *testing.T) {
		s := newRadioScript(t, unacknowledged)
		e := s.bind("[::]:7")
		require.NoError(t, e.Send(s.now, packetOf([]byte("hello")), netip.AddrPortFrom(linkA, 7), s.link.Index()))
		s.want("at once", "0 to A: IP6 linkB.7 > linkA.7: UDP, length 5")
	})
	t.Run("nor one with a short address", func(t *testing.T) {
		s := newRadioScript(t, unacknowledged)
		e := s.bind("[::]:7")
		require.NoError(t, e.Send(s.now, packetOf([]byte("hello")), addrPort("[fe80::ff:fe00:1234]:7"), s.link.Index()))
		s.want("at once", "0 to 0x1234: IP6 linkB.7 > fe80::ff:fe00:1234.7: UDP, length 5")
	})
	t.Run("others are asked for by all", func(t *testing.T) {
		s := newRadioScript(t, unacknowledged)
		e := s.bind("[::]:7")
		require.NoError(t, e.Send(s.now, packetOf([]byte("hello")), netip.AddrPortFrom(meshA, 7), 0))
		s.want("a solicitation, with our address in eight octets",
			"0 to all: IP6 meshB > ff02::1:ff55:660a: ICMP6, neighbor solicitation, who has meshA, source link-address B, length 40")
		s.hear(ndPacket(meshA, meshB, &wire.NDNeighborAdvertisementRepr{Solicited: true, Override: true, Target: meshA, TargetLinkAddr: nodeA}))
		s.want("what has waited for the answer", "1 to A: IP6 meshB.7 > meshA.7: UDP, length 5")
		require.Equal(t, nodeA, s.neighbour(meshA).LinkAddr)
	})
	t.Run("groups are all nodes", func(t *testing.T) {
		s := newRadioScript(t)
		e := s.bind("[::]:7")
		require.NoError(t, e.Send(s.now, packetOf([]byte("hello")), addrPort("[ff02::123]:7"), s.link.Index()))
		require.NoError(t, e.Send(s.now, packetOf([]byte("hello")), addrPort("[ff02::123]:7"), s.link.Index()))
		s.want("nobody acknowledges them, so that they follow each other",
			"0 to all: IP6 linkB.7 > ff02::123.7: UDP, length 5", "1 to all: IP6 linkB.7 > ff02::123.7: UDP, length 5")
	})
	t.Run("nobody is told of groups", func(t *testing.T) {
		s := newRadioScript(t)
		e := s.bind("[::]:7")
		require.NoError(t, e.JoinGroup(s.now, s.link.Index(), addr("ff05::123")))
		s.after(time.Minute)
		s.hearAll(mld(linkA, allNodesv6, query6(anyv6))[14:])
		s.after(time.Minute)
		s.wantIdle("not even when asked")
	})
	t.Run("IPv4 has no way", func(t *testing.T) {
		s := newRadioScript(t, func(c *InterfaceConfig) { c.Addresses = append(c.Addresses, prefix("192.168.69.1/24")) })
		e := s.bind("0.0.0.0:7")
		require.Error(t, e.Send(s.now, packetOf([]byte("hello")), netip.AddrPortFrom(them4, 7), 0))
		s.wantIdle("nor is anybody asked for")
	})
	t.Run("a neighbour with a short address", func(t *testing.T) {
		s := newRadioScript(t, unacknowledged)
		e := s.bind("[::]:7")
		// An option has no room for an address of two octets alone: six of eight stand for padding.
		s.hear(ndPacket(meshA, meshB, &wire.NDNeighborSolicitationRepr{Target: meshB, SourceLinkAddr: wire.ShortAddr(0x1234)}))
		s.want("is answered there", "0 to 0x1234: IP6 meshB > meshA: ICMP6, neighbor advertisement, tgt is meshB, Flags [solicited, override], destination link-address B, length 40")
		require.Equal(t, wire.ShortAddr(0x1234), s.neighbour(meshA).LinkAddr)
		require.NoError(t, e.Send(s.now, packetOf([]byte("hello")), netip.AddrPortFrom(meshA, 7), 0))
		s.want("and sent to", "1 to 0x1234: IP6 meshB.7 > meshA.7: UDP, length 5")
	})
	t.Run("an extended address on an Ethernet is none", func(t *testing.T) {
		s := newScript(t)
		s.recv(nd(them6, us6, &wire.NDNeighborSolicitationRepr{Target: us6, SourceLinkAddr: nodeA}))
		s.want("who says so is asked for another", "IP6 fdaa::1 > ff02::1:ff00:100: ICMP6, neighbor solicitation, who has fdaa::100, source link-address 02:00:00:00:00:01, length 32")
	})
	t.Run("a neighbour is looked for again", func(t *testing.T) {
		s := newRadioScript(t, unacknowledged)
		e := s.bind("[::]:7")
		say := func() {
			require.NoError(t, e.Send(s.now, packetOf([]byte("hello")), netip.AddrPortFrom(linkA, 7), s.link.Index()))
		}
		say()
		s.want("it is where its address says", "0 to A: IP6 linkB.7 > linkA.7: UDP, length 5")
		s.after(5 * time.Second)
		s.want("nobody has confirmed that it is there", "1 to A: IP6 linkB > linkA: ICMP6, neighbor solicitation, who has linkA, source link-address B, length 40")
		s.after(time.Second)
		s.want("nor answered", "2 to A: IP6 linkB > linkA: ICMP6, neighbor solicitation, who has linkA, source link-address B, length 40")
		s.hear(ndPacket(linkA, linkB, &wire.NDNeighborAdvertisementRepr{Solicited: true, Override: true, Target: linkA}))
		require.Equal(t, neighbour.Reachable, s.neighbour(linkA).State)
		s.after(time.Minute)
		s.wantIdle("it is")
	})
}

// neighbour is what the stack knows of a neighbour.
func (s *radioScript) neighbour(addr netip.Addr) neighbour.Neighbour {
	s.t.Helper()
	e := s.link.Neighbours().Lookup(addr)
	require.NotNil(s.t, e, "%v is known", addr)
	return e.Neighbour()
}
