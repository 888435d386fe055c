package core

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// A router passes packets on that arrive by an interface and are for somebody else. They are marked, by
// packet.IPInfo.Forwarded, and keep their network headers: what else becomes of them is in transit.go.

// SetForward has the stack route packets that arrive by the interface and are for others, or ends that: what
// InterfaceConfig.Forward begins with. Such packets leave by whichever interface the routes lead to, whether that forwards
// too or not. What a forwarder of TCP or UDP asks for on the interface stays with it. Fragments are forwarded as they
// come, and IPv4's packets fragmented where they must and may be; source routes are not followed, broadcasts and multicasts are not forwarded.
//
// The error, which wraps ErrConfig, says that the interface was removed, that it is the loopback, that it is the router of a 6LoWPAN (see
// IEEE802154Config.Router) and so goes on, or that there is no room for the groups of routers.
func (l *Interface) SetForward(on bool) error {
	if err := l.setForward(on); err != nil {
		return fmt.Errorf("core: interface %q: %w: %w", l.name, ErrConfig, err)
	}
	return nil
}

// Forwards reports whether the stack routes packets that arrive by the interface.
func (l *Interface) Forwards() bool { return l.forwards }

func (l *Interface) setForward(on bool) error {
	switch {
	case on == l.forwards:
		return nil
	case l.removed || l.loopback():
		return fmt.Errorf("it cannot forward")
	case !on && l.registrar != nil:
		return fmt.Errorf("hosts send what is for others to the router that it says to be: IEEE802154.Router needs Forward")
	case !l.ipv6:
	case on:
		// "A router is required to recognize all addresses that a host is required to recognize, plus the following
		// addresses as identifying itself: [...] The All-Routers multicast addresses"
		// https://www.rfc-editor.org/rfc/rfc4291.html#section-2.8
		// The subnet-router anycast addresses are not recognised.
		if err := l.join(allRoutersv6); err != nil {
			return err
		}
	default:
		l.leave(allRoutersv6)
	}
	l.forwards = on
	return nil
}

// configureRouting sets what a new interface's configuration says of others' packets.
func (l *Interface) configureRouting(config *InterfaceConfig) error {
	l.ignoreRedirects = config.IgnoreRedirects
	if err := l.setAnyIP(config.AnyIP); err != nil {
		return err
	}
	return l.setForward(config.Forward)
}

// forwardIPv4 passes p, which begins with the header, on to where it is for, and takes it.
func (l *Interface) forwardIPv4(now int64, p *packet.Packet, header []byte) {
	l.counters.IPv4.InForwDatagrams++
	if len(header) > wire.IPv4HeaderLen && !l.checkOptionsv4(now, p, header[wire.IPv4HeaderLen:]) {
		return
	}
	// "A router MUST NOT forward a packet with an IPv4 Link-Local source or destination address, irrespective of the
	// router's default route configuration or routes obtained from dynamic routing protocols."
	// https://www.rfc-editor.org/rfc/rfc3927.html#section-7
	if p.IP.Src.IsLinkLocalUnicast() || p.IP.Dst.IsLinkLocalUnicast() {
		l.drop(DropScope, p)
		return
	}
	// "If the TTL is reduced to zero (or less), the packet MUST be discarded, and if the destination is not a multicast
	// address the router MUST send an ICMP Time Exceeded message, Code 0 (TTL Exceeded in Transit) message to the
	// source."
	// https://www.rfc-editor.org/rfc/rfc1812.html#section-5.3.1
	if p.IP.HopLimit <= 1 {
		l.sendErrorv4(now, p, wire.ICMPv4ErrorRepr{Type: wire.ICMPv4TimeExceeded, Code: wire.ICMPv4TTLExceeded})
		l.drop(DropHopLimit, p)
		return
	}
	by := l.stack.pathFor(0, netip.Addr{}, p.IP.Dst)
	switch {
	case by == nil:
		l.sendUnreachable(now, p, wire.ICMPv4NetUnreachable, 0)
		l.drop(DropUnroutable, p)
		return
	case by.link.Broadcasts(p.IP.Dst):
		// RFC 2644 has routers not forward these unless they are told to: they made whole networks answer.
		// https://www.rfc-editor.org/rfc/rfc2644.html#section-2
		l.drop(DropDirectedBroadcast, p)
		return
	case by.link == l && !l.returns(now, p):
		return
	}
	if mtu := by.link.mtu; forwardedLen(p, len(header)) > mtu && wire.IPv4Packet(header).DontFragment() {
		// "[...] when a router is unable to forward a datagram because it exceeds the MTU of the next-hop network and its
		// Don't Fragment bit is set, the router is required to return an ICMP Destination Unreachable message to the source
		// of the datagram, with the Code indicating "fragmentation needed and DF set"."
		// https://www.rfc-editor.org/rfc/rfc1191.html#section-4
		l.sendErrorv4(now, p, wire.ICMPv4ErrorRepr{Type: wire.ICMPv4DestinationUnreachable, Code: wire.ICMPv4FragmentationNeeded,
			MTU: uint16(mtu)})
		by.link.drop(DropTooBig, p)
		return
	}
	l.decrementTTL(p, header, by.link)
	by.forward(now, l, p, len(header))
}

// decrementTTL lowers the TTL in the header of p, which leaves by out.
func (l *Interface) decrementTTL(p *packet.Packet, header []byte, out *Interface) {
	before := binary.BigEndian.Uint16(header[8:])
	p.IP.HopLimit--
	header[8] = p.IP.HopLimit
	var checksum uint16
	switch {
	case !l.verifiesIPv4:
		checksum = wire.UpdateChecksum(binary.BigEndian.Uint16(header[10:]), before, binary.BigEndian.Uint16(header[8:]))
	case !out.fillsIPv4:
		// What the device vouches for may never have been computed.
		binary.BigEndian.PutUint16(header[10:], 0)
		checksum = wire.Checksum(header)
	}
	binary.BigEndian.PutUint16(header[10:], checksum)
}

// forwardIPv6 passes p, which begins with the header, on to where it is for, and takes it.
func (l *Interface) forwardIPv6(now int64, p *packet.Packet) {
	l.counters.IPv6.InForwDatagrams++
	headerLen := wire.IPv6HeaderLen
	if p.IP.Protocol == wire.IPv6HopByHop {
		var ok bool
		if headerLen, ok = l.forwardedOptions(now, p); !ok {
			return
		}
	}
	// "Routers must not forward any packets with Link-Local source or destination addresses to other links."
	// https://www.rfc-editor.org/rfc/rfc4291.html#section-2.5.6
	if p.IP.Dst.IsLinkLocalUnicast() {
		l.drop(DropScope, p)
		return
	}
	if p.IP.Src.IsLinkLocalUnicast() {
		// "If the reason for the failure to deliver is that the destination is beyond the scope of the source address,
		// the Code field is set to 2."
		// https://www.rfc-editor.org/rfc/rfc4443.html#section-3.1
		l.sendUnreachable(now, p, 0, wire.ICMPv6BeyondScope)
		l.drop(DropScope, p)
		return
	}
	// "If a router receives a packet with a Hop Limit of zero, or if a router decrements a packet's Hop Limit to zero, it
	// MUST discard the packet and originate an ICMPv6 Time Exceeded message with Code 0 to the source of the packet."
	// https://www.rfc-editor.org/rfc/rfc4443.html#section-3.3
	if p.IP.HopLimit <= 1 {
		l.sendErrorv6(now, p, wire.ICMPv6ErrorRepr{Type: wire.ICMPv6TimeExceeded, Code: wire.ICMPv6HopLimitExceeded}, false)
		l.drop(DropHopLimit, p)
		return
	}
	by := l.stack.pathFor(0, netip.Addr{}, p.IP.Dst)
	switch {
	case by == nil:
		l.sendUnreachable(now, p, 0, wire.ICMPv6NoRoute)
		l.drop(DropUnroutable, p)
		return
	case by.link == l && !l.returns(now, p):
		return
	}
	mtu := by.link.mtuOf(true)
	if by.link.rpl != nil {
		mtu = by.link.rpl.carried(mtu, p.IP.Dst)
	}
	if forwardedLen(p, headerLen) > mtu {
		// "A Packet Too Big MUST be sent by a router in response to a packet that it cannot forward because the packet is
		// larger than the MTU of the outgoing link."
		// https://www.rfc-editor.org/rfc/rfc4443.html#section-3.2
		l.sendErrorv6(now, p, wire.ICMPv6ErrorRepr{Type: wire.ICMPv6PacketTooBig, MTU: uint32(mtu)}, false)
		by.link.drop(DropTooBig, p)
		return
	}
	p.IP.HopLimit--
	p.Header(wire.IPv6HeaderLen)[7] = p.IP.HopLimit
	if l.rpl != nil && by.link != l && headerLen > wire.IPv6HeaderLen {
		headerLen = l.rpl.unmark(p, headerLen)
	}
	by.forward(now, l, p, headerLen)
}

// forwardedOptions obeys the hop-by-hop options of p, which are for every node on the way, and returns the length of the
// headers up to their end. A router alert, which asks routers to look more closely, is among those it knows; nothing here
// would. If the packet is not to be forwarded, forwardedOptions has dealt with it.
func (l *Interface) forwardedOptions(now int64, p *packet.Packet) (headerLen int, ok bool) {
	if b := p.Header(wire.IPv6HeaderLen + 8); b != nil {
		headerLen = wire.IPv6HeaderLen + (int(b[wire.IPv6HeaderLen+1])+1)*8
		if b = p.Header(headerLen); b != nil {
			return headerLen, l.inputOptions(now, p, wire.IPv6OptionsPacket(b[wire.IPv6HeaderLen:]), wire.IPv6HeaderLen)
		}
	}
	l.drop(DropExtension, p)
	return 0, false
}

// returns judges p, which is to leave by the interface that it came by, and tells its sender of the shorter way if there is
// one. If p is not to leave, returns has dealt with it and reports false.
func (l *Interface) returns(now int64, p *packet.Packet) bool {
	_, nextHop, _ := l.stack.nextHop(0, p.IP.Dst)
	switch l.medium {
	case dev.Ethernet:
		l.sendRedirect(now, nextHop, p)
		return true
	case dev.IEEE802154:
		return true // it is the way between nodes that do not hear each other, and no redirect says otherwise
	}
	if nextHop != p.IP.Dst {
		return true
	}
	// A link without neighbours leads to one place, from where p would come back:
	//
	// "One specific case in which a Destination Unreachable message is sent with a code 3 is in response to a packet
	// received by a router from a point-to-point link, destined to an address within a subnet assigned to that same link
	// (other than one of the receiving router's own addresses). In such a case, the packet MUST NOT be forwarded back
	// onto the arrival link."
	// https://www.rfc-editor.org/rfc/rfc4443.html#section-3.1
	l.sendUnreachable(now, p, wire.ICMPv4HostUnreachable, wire.ICMPv6AddressUnreachable)
	l.drop(DropReturn, p)
	return false
}

// sendUnreachable tells the sender of p, which is not forwarded, with the code of its version of IP.
func (l *Interface) sendUnreachable(now int64, p *packet.Packet, v4, v6 uint8) {
	if p.IP.Dst.Is4() {
		l.sendErrorv4(now, p, wire.ICMPv4ErrorRepr{Type: wire.ICMPv4DestinationUnreachable, Code: v4})
	} else {
		l.sendErrorv6(now, p, wire.ICMPv6ErrorRepr{Type: wire.ICMPv6DestinationUnreachable, Code: v6}, false)
	}
}

// sendRedirect tells the sender of p, which leaves by the interface that it came by, of the next hop, if both are in one
// network: then p need not have come here.
func (l *Interface) sendRedirect(now int64, nextHop netip.Addr, p *packet.Packet) {
	v6 := p.IP.Dst.Is6()
	source, ok := l.redirectSource(p, nextHop)
	// "A router MUST limit the rate at which Redirect messages are sent" by RFC 4861 section 8.2, and RFC 1812 section
	// 4.3.2.8 has the like.
	if !ok || !l.stack.icmp.redirects.allow(now) {
		return
	}
	if !v6 {
		// "Routers MUST NOT generate the Redirect for Network or Redirect for Network and Type of Service messages"
		// https://www.rfc-editor.org/rfc/rfc1812.html#section-5.2.7.2
		l.sendErrorv4(now, p, wire.ICMPv4ErrorRepr{Type: wire.ICMPv4Redirect, Code: wire.ICMPv4RedirectHost, Gateway: nextHop})
		return
	}
	quote := p.Header(min(p.Len(), wire.NDMaxRedirectQuoteLen))
	if !answerablev6(p, quote) {
		return
	}
	redirect := wire.NDRedirectRepr{Target: nextHop, Destination: p.IP.Dst, Quote: quote}
	if e := l.neighbours.Lookup(nextHop); e != nil {
		redirect.TargetLinkAddr, _ = e.LinkAddr()
	}
	l.sendND(now, source, p.IP.Src, wire.LinkAddr{}, &redirect)
}

// redirectSource returns the address that the sender of p knows the stack by, as far as that matters to a redirect, and
// whether there may be one.
//
// "The packet is being forwarded out the same physical interface that it was received from," "The IP source address in
// the packet is on the same Logical IP (sub)network as the next-hop IP address"
// https://www.rfc-editor.org/rfc/rfc1812.html#section-5.2.7.2
//
// In IPv6 a router is known by its link-local address, and so is whom it redirects to, unless that is the destination.
func (l *Interface) redirectSource(p *packet.Packet, nextHop netip.Addr) (netip.Addr, bool) {
	if nextHop.Is6() && (!l.onLink(p.IP.Src) || nextHop != p.IP.Dst && !nextHop.IsLinkLocalUnicast()) {
		return netip.Addr{}, false
	}
	for _, own := range l.stack.sources {
		switch addr := own.Prefix.Addr(); {
		case own.Link != l.index || addr.Is4() != nextHop.Is4():
		case addr.Is4() && own.Prefix.Contains(p.IP.Src) && own.Prefix.Contains(nextHop),
			addr.Is6() && addr.IsLinkLocalUnicast():
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// forwardFailed ends p, which was to leave by the interface and begins with its IP header, because the neighbour did not
// answer.
func (l *Interface) forwardFailed(now int64, p *packet.Packet) {
	if in := l.stack.Interface(p.IP.Link); in != nil {
		l.stack.networkLen = 0
		in.sendUnreachable(now, p, wire.ICMPv4HostUnreachable, wire.ICMPv6AddressUnreachable)
	}
	l.drop(DropNeighbourFailed, p)
}
