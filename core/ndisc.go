package core

import (
	"net/netip"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// inputND processes a neighbor discovery message, which is all of p and of the given type, and takes it.
func (l *Interface) inputND(now int64, p *packet.Packet, kind uint8) {
	c := &l.stack.icmp.v6
	// "Nodes MUST silently ignore the following Neighbor Discovery and SEcure Neighbor Discovery messages if the packets
	// carrying them include an IPv6 Fragmentation Header"
	// https://www.rfc-editor.org/rfc/rfc6980.html#section-5
	if l.stack.fragmented {
		l.drop(DropNDFragment, p)
		return
	}
	// "The IP Hop Limit field has a value of 255, i.e., the packet could not possibly have been forwarded by a router."
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.1.1
	if p.IP.HopLimit != wire.NDHopLimit {
		c.InErrors++
		l.drop(DropNDHopLimit, p)
		return
	}
	if l.neighbours == nil && kind != wire.ICMPv6RouterAdvertisement {
		l.drop(DropICMPType, p) // nobody has a hardware address here
		return
	}
	p.Own()
	message := wire.ICMPv6Packet(p.Head())
	cause, ok := DropNDMalformed, false
	switch kind {
	case wire.ICMPv6NeighborSolicitation:
		cause, ok = l.inputSolicitation(now, p, message)
	case wire.ICMPv6NeighborAdvertisement:
		cause, ok = l.inputAdvertisement(now, p, message)
	case wire.ICMPv6RouterAdvertisement:
		cause, ok = l.inputRouterAdvertisement(now, p, message)
	case wire.ICMPv6Redirect:
		var r wire.NDRedirectRepr
		if p.IP.Src.IsLinkLocalUnicast() && r.Parse(message) == nil {
			cause, ok = DropRedirect, l.inputRedirectv6(now, p, &r)
		}
	case wire.ICMPv6RouterSolicitation:
		// For routers alone.
		var r wire.NDRouterSolicitationRepr
		if ok = r.Parse(message) == nil; ok {
			l.solicited(now, p, r.SourceLinkAddr)
		}
	}
	switch {
	case ok:
		p.Release()
	case cause == DropNDMalformed:
		c.InErrors++
		fallthrough
	default:
		l.drop(cause, p)
	}
}

// inputSolicitation answers somebody who looks for the hardware address of one of the interface's addresses, or wants
// to know whether it is still there, or whether the address is taken.
func (l *Interface) inputSolicitation(now int64, p *packet.Packet, message wire.ICMPv6Packet) (cause DropCause, ok bool) {
	var r wire.NDNeighborSolicitationRepr
	if r.Parse(message) != nil {
		return DropNDMalformed, false
	}
	from := p.IP.Src
	probe := from.IsUnspecified()
	// "If the IP source address is the unspecified address, the IP destination address is a solicited-node multicast
	// address. If the IP source address is the unspecified address, there is no source link-layer address option in
	// the message."
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.1.1
	if probe && (p.IP.Dst != wire.SolicitedNodeMulticast(r.Target) || !r.SourceLinkAddr.IsZero()) {
		return DropNDMalformed, false
	}
	r.SourceLinkAddr = l.onLinkAddr(r.SourceLinkAddr)
	if done, cause, ok := l.requested(now, p, message, &r); done {
		return cause, ok
	}
	own := l.find(r.Target)
	switch {
	case own == nil && !probe && l.answersFor(r.Target):
		l.advertiseProxied(now, from, &r)
		return 0, true
	case own != nil && own.state == Tentative && probe:
		l.probed(now, own, r.Nonce)
		return 0, true
	case own == nil || !own.state.usable():
		return DropNDTarget, false
	}
	answer := wire.NDNeighborAdvertisementRepr{Solicited: !probe, Override: true, Router: l.forwards, Target: r.Target,
		TargetLinkAddr: l.linkAddr}
	if probe {
		// "If the source of the solicitation is the unspecified address, the node MUST set the Solicited flag to zero
		// and multicast the advertisement to the all-nodes address."
		// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.2.4
		l.sendND(now, r.Target, allNodesv6, wire.LinkAddr{}, &answer)
		return 0, true
	}
	if !r.SourceLinkAddr.IsZero() {
		l.heard(now, from, r.SourceLinkAddr)
	}
	l.sendND(now, r.Target, from, r.SourceLinkAddr, &answer)
	return 0, true
}

// inputAdvertisement learns the hardware address of a neighbour.
func (l *Interface) inputAdvertisement(now int64, p *packet.Packet, message wire.ICMPv6Packet) (cause DropCause, ok bool) {
	var r wire.NDNeighborAdvertisementRepr
	// "If the IP Destination Address is a multicast address the Solicited flag is zero."
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.1.2
	if r.Parse(message) != nil || p.IP.Dst.IsMulticast() && r.Solicited {
		return DropNDMalformed, false
	}
	if l.answered(now, p, message, r.Target) {
		return 0, true
	}
	if own := l.find(r.Target); own != nil && own.state != Duplicate {
		if l.onLinkAddr(r.TargetLinkAddr) != l.linkAddr { // not one's own that has come back
			l.stack.icmp.v6.NeighborDuplicates++
			l.conflict(now, own)
		}
		return DropNDTarget, false
	}
	if l.registrar != nil {
		l.registrar.router.Confirmed(r.Target)
	}
	e := l.neighbours.Lookup(r.Target)
	if e == nil {
		return DropNDTarget, false
	}
	l.learnAdvertised(now, e, &r)
	return 0, true
}

// advertise tells all nodes of an address of the interface's own, unasked.
//
// "A node that has multiple IP addresses assigned to an interface MAY multicast a separate Neighbor Advertisement for
// each address." and "The Override flag MAY be set to either zero or one."
// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.2.6
func (l *Interface) advertise(now int64, addr netip.Addr) {
	l.sendND(now, addr, allNodesv6, wire.LinkAddr{},
		&wire.NDNeighborAdvertisementRepr{Override: true, Router: l.forwards, Target: addr, TargetLinkAddr: l.linkAddr})
}

// solicit asks for the neighbour's hardware address: the group that it must be in, or if to is not zero, the
// neighbour alone.
//
// "If the source address of the packet prompting the solicitation is the same as one of the addresses assigned to the
// outgoing interface, that address SHOULD be placed in the IP Source Address of the outgoing solicitation."
// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.2.2
func (l *Interface) solicit(now int64, e *neighbour.Entry, to wire.LinkAddr) {
	source := e.Source()
	if !source.IsValid() || !l.has(source) {
		by := path{stack: l.stack, link: l, nextHop: e.Addr()}
		var ok bool
		if source, ok = l.stack.source(&by, e.Addr()); !ok || !l.has(source) {
			return // without an address of its own there is nothing to be answered
		}
	}
	dst := e.Addr()
	if to.IsZero() {
		dst = wire.SolicitedNodeMulticast(dst)
	}
	l.sendND(now, source, dst, to, &wire.NDNeighborSolicitationRepr{Target: e.Addr(), SourceLinkAddr: l.linkAddr})
}

// ndMessage is a representation of a neighbor discovery message.
type ndMessage interface {
	Len() int
	Emit(b []byte, src, dst netip.Addr)
}

// sendND sends a neighbor discovery message to a group, or to a neighbour at the hardware address to; if that is
// zero, wherever the neighbour is known to be.
func (l *Interface) sendND(now int64, src, dst netip.Addr, to wire.LinkAddr, r ndMessage) {
	p := packet.New(r.Len())
	r.Emit(p.Append(r.Len()), src, dst)
	p.IP = packet.IPInfo{Src: src, Dst: dst, Link: l.index, Protocol: ip.ProtocolICMPv6, HopLimit: wire.NDHopLimit}
	by := path{stack: l.stack, link: l, nextHop: dst, generation: l.stack.generation, group: to}
	switch {
	case dst.IsMulticast():
		by.group = l.groupAddr(dst)
	case to.IsZero():
		by.neighbour = l.neighbour(now, dst)
	}
	l.stack.sendICMP(now, &l.stack.icmp.v6, &by, p)
}
