package core

import (
	"encoding/binary"
	"net/netip"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/rpl"
	"github.com/smolnet/smolnet/core/wire"
)

// RPL marks packets: a hop-by-hop option says which way they go, and a source routing header which, if only the root knows. The stack
// reads the option, and adds none to what it sends itself: routers that want one encapsulate a packet of whoever does not know RPL
// (RFC 9008). It adds source routing headers as a root, and follows none, because it passes nothing on for others inside the
// network.

// readOption looks at the RPL option at offset in p, and brings it up to date if p is on its way through. It reports false if p is to
// be dropped.
func (n *rplNode) readOption(now int64, p *packet.Packet, option wire.IPv6Option, offset int) bool {
	var info wire.RPLPacketInfoRepr
	if info.Parse(option) != nil {
		return false
	}
	from := n.radio.from.LinkLocal()
	if n.CheckOption(now, from, p.IP.Dst, &info) != rpl.None {
		return false
	}
	if p.IP.Forwarded {
		b := p.Header(offset + info.Len())[offset:]
		length := b[1]
		info.Emit(b)
		b[1] = length // what is behind, which nobody knows yet, stays a part of it
	}
	return true
}

// unmark takes the hop-by-hop options off p, which leaves the network, if they are RPL's alone: others would not know what to do with
// them. headerLen is the length of the headers up to their end, which unmark returns anew.
// https://www.rfc-editor.org/rfc/rfc9008.html#section-4.2
func (n *rplNode) unmark(p *packet.Packet, headerLen int) int {
	b := p.Header(headerLen)
	walk := wire.IPv6OptionsPacket(b[wire.IPv6HeaderLen:]).Options()
	for option, more := walk.Next(); more; option, more = walk.Next() {
		if option.Type != wire.IPv6OptionRPL && option.Type != wire.IPv6OptionRPLSkip {
			return headerLen
		}
	}
	length := headerLen - wire.IPv6HeaderLen
	next := b[wire.IPv6HeaderLen]
	copy(b[length:], b[:wire.IPv6HeaderLen])
	p.TrimFront(length)
	b = p.Header(wire.IPv6HeaderLen)
	b[6] = next
	binary.BigEndian.PutUint16(b[4:], uint16(p.Len()-wire.IPv6HeaderLen))
	p.IP.Protocol = next
	return wire.IPv6HeaderLen
}

// sourceRoute gives p, which begins with its IPv6 header and leaves by the path, the route that only a root knows, and returns it with the
// path to the first node on that. A packet of somebody else's is put into one of the root's own:
// that is what RFC 6554 has routers do that are not the source.
// https://www.rfc-editor.org/rfc/rfc6554.html#section-4.1
func (n *rplNode) sourceRoute(by *path, p *packet.Packet) (*path, *packet.Packet) {
	hops := n.routeTo(p.IP.Dst)
	if hops == nil {
		return by, p
	}
	first := n.stack.pathVia(n.Interface, hops[0], false)
	source, ok := n.stack.source(first, hops[0])
	if !ok {
		return by, p
	}
	next, own := p.Header(wire.IPv6HeaderLen)[6], false
	switch next {
	case wire.IPv6HopByHop, wire.IPv6Routing, ip.ProtocolIPv6: // what must come before the header, or that of somebody else
	default:
		own = !p.IP.Forwarded
	}
	if !own {
		next = ip.ProtocolIPv6
	}
	dst, header := wire.RPLSourceRoute(next, hops)
	before := wire.IPv6HeaderLen + header.Len()
	q, skipped := packet.New(before+p.Len()), 0
	if own {
		skipped = wire.IPv6HeaderLen
	}
	b := q.Append(before + p.Len() - skipped)
	p.CopyTo(b[:wire.IPv6HeaderLen], 0)
	p.CopyTo(b[before:], skipped)
	outer := wire.IPv6Repr{Src: source, Dst: dst, NextHeader: wire.IPv6Routing, HopLimit: defaultHopLimit, PayloadLen: len(b) - wire.IPv6HeaderLen}
	if own {
		packetHeader := wire.IPv6Packet(b)
		outer.Src, outer.HopLimit = packetHeader.Src(), packetHeader.HopLimit()
		outer.TrafficClass, outer.FlowLabel = packetHeader.TrafficClass(), packetHeader.FlowLabel()
	}
	outer.Emit(b)
	header.Emit(b[wire.IPv6HeaderLen:])
	q.IP = p.IP // which says still what p is, for whoever is told if it cannot be sent
	q.IP.Fragmentation = packet.DontFragment
	p.Release()
	return first, q
}

// routeTo is the source route to dst, which a packet needs that goes there; nil: it needs none. It is valid until the next call.
func (n *rplNode) routeTo(dst netip.Addr) []netip.Addr {
	if n.root == nil || !dst.Is6() || dst.IsMulticast() {
		return nil
	}
	hops, ok := n.root.Route(n.hops[:0], dst)
	n.hops = hops[:0]
	if !ok || len(hops) < 2 {
		return nil
	}
	return hops
}

// first is the path to where packets to dst that leave by the path go first.
func (n *rplNode) first(by *path, dst netip.Addr) *path {
	if hops := n.routeTo(dst); hops != nil {
		return n.stack.pathVia(n.Interface, hops[0], false)
	}
	return by
}

// overhead is how many octets a source routing header adds to packets of the root's own to dst.
func (n *rplNode) overhead(dst netip.Addr) int {
	hops := n.routeTo(dst)
	if hops == nil {
		return 0
	}
	_, header := wire.RPLSourceRoute(0, hops)
	return header.Len()
}

// carried is how long a packet of somebody else's to dst may be where the link's MTU is so much: inside a packet that has its source
// route it must not be longer than 6LoWPAN's datagrams. That leaves what IPv6 needs for routes of forty nodes that have nothing in common.
func (n *rplNode) carried(mtu int, dst netip.Addr) int {
	overhead := n.overhead(dst)
	if overhead == 0 {
		return mtu
	}
	return max(min(mtu, wire.LowpanMaxDatagramSize-wire.IPv6HeaderLen-overhead), wire.IPv6MinMTU)
}

// extensionUnit is what the lengths of extension headers are counted in, and the least that one has.
const extensionUnit = 8

// unroute undoes what sourceRoute has done to p, which cannot be sent: p begins with its own IPv6 header again.
func (n *rplNode) unroute(p *packet.Packet) {
	b := p.Header(wire.IPv6HeaderLen + extensionUnit)
	if b == nil || b[6] != wire.IPv6Routing || wire.IPv6Packet(b).Dst() == p.IP.Dst {
		return // it has no route of the root's
	}
	next, length := b[wire.IPv6HeaderLen], (int(b[wire.IPv6HeaderLen+1])+1)*extensionUnit
	if next == ip.ProtocolIPv6 {
		p.TrimFront(wire.IPv6HeaderLen + length)
		return
	}
	b = p.Header(wire.IPv6HeaderLen + length)
	dst := p.IP.Dst.As16()
	copy(b[length:], b[:wire.IPv6HeaderLen])
	p.TrimFront(length)
	b = b[length:]
	b[6] = next
	binary.BigEndian.PutUint16(b[4:], uint16(p.Len()-wire.IPv6HeaderLen))
	copy(b[24:], dst[:])
}

// inputTunnelled processes the IPv6 packet that p, now without its network headers, carries: the root has put it into another. What is
// inside has come from beyond the link, whatever its hop limit says, and so is nothing that concerns the link alone: neither neighbor
// discovery nor RPL, for which a neighbour's link-local address is all that vouches.
func (n *rplNode) inputTunnelled(now int64, p *packet.Packet) {
	b := p.Header(wire.IPv6HeaderLen)
	if n.tunnelled || b == nil || b[0]>>4 != 6 || ofLink(wire.IPv6Packet(b).Src()) || ofLink(wire.IPv6Packet(b).Dst()) {
		n.drop(DropTunnel, p)
		return
	}
	b[7] = min(b[7], wire.NDHopLimit-1)
	p.IP = packet.IPInfo{Link: n.index, Group: p.IP.Group}
	n.tunnelled = true
	n.inputIPv6(now, p)
	n.tunnelled = false
}

// ofLink reports whether an address has its meaning on its link alone.
func ofLink(addr netip.Addr) bool {
	return addr.IsLinkLocalUnicast() || addr.IsLinkLocalMulticast() || addr.IsInterfaceLocalMulticast()
}
