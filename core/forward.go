package core

import (
	"fmt"
	"net/netip"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// Intercept has a transport be handed packets to any unicast address that arrive by the interface of the given index, or
// ends that. It is a method of ip.Network, for the transports: see their Forward.
func (s *Stack) Intercept(link int32, protocol uint8, on bool) error {
	l := s.Interface(link)
	if l == nil || l.loopback() {
		return fmt.Errorf("interface %d: %w", link, ip.ErrInvalid)
	}
	switch protocol {
	case ip.ProtocolTCP:
		l.interceptsTCP = on
	case ip.ProtocolUDP:
		l.interceptsUDP = on
	default:
		return fmt.Errorf("protocol %d: %w", protocol, ip.ErrInvalid)
	}
	return nil
}

// checkForeign judges a packet to a unicast address that is not the stack's own. Who has sent it must be somebody to answer:
// what goes back to nobody, or to the address that it comes from, might come in again, and so without end.
func (l *Interface) checkForeign(p *packet.Packet) (cause DropCause, ok bool) {
	switch {
	case !l.interceptsTCP && !l.interceptsUDP && !l.forwards && l.anyIP == nil:
		return DropNotOurs, false
	case p.IP.Group:
		return DropLinkGroup, false
	case p.IP.Src.IsUnspecified(), p.IP.Src == p.IP.Dst:
		return DropMartianSource, false
	}
	switch {
	case l.answersFor(p.IP.Dst):
	case l.forwards && !l.claims(p):
		p.IP.Forwarded = true
	case l.interceptsTCP, l.interceptsUDP:
		p.IP.Foreign = true
	default:
		return DropNotOurs, false
	}
	return 0, true
}

// claims reports whether p, which begins with its IP header and is for somebody else, is what a forwarder on the interface asks
// for, rather than to be routed: of the protocol, or an ICMP error about such a packet.
func (l *Interface) claims(p *packet.Packet) bool {
	if !l.interceptsTCP && !l.interceptsUDP {
		return false
	}
	wanted := func(protocol uint8) bool {
		return protocol == ip.ProtocolTCP && l.interceptsTCP || protocol == ip.ProtocolUDP && l.interceptsUDP
	}
	front := p.Head() // the headers are in it
	if p.IP.Dst.Is4() {
		header := wire.IPv4Packet(front)
		if header.Protocol() != ip.ProtocolICMPv4 {
			return wanted(header.Protocol())
		}
		message, err := wire.ParseICMPv4(header.Payload())
		if err != nil || !message.IsError() {
			return false
		}
		quoted, err := wire.ParseIPv4Header(message.Payload())
		return err == nil && wanted(quoted.Protocol())
	}
	protocol, payload := transportv6(wire.IPv6Packet(front))
	if protocol != ip.ProtocolICMPv6 {
		return wanted(protocol)
	}
	message, err := wire.ParseICMPv6(payload)
	if err != nil || !message.IsError() {
		return false
	}
	quoted, err := wire.ParseIPv6Header(message.Body())
	if err != nil {
		return false
	}
	protocol, _ = transportv6(quoted)
	return wanted(protocol)
}

// transportv6 returns what follows the extension headers, as far as they can be read.
func transportv6(header wire.IPv6Packet) (protocol uint8, payload []byte) {
	walk := header.Extensions()
	for more := true; more; {
		_, more = walk.Next()
	}
	return walk.Protocol(), walk.Payload()
}

// intercepts reports whether a packet to an address that is not the stack's own, now without its network headers, is for a
// transport nevertheless: one that asks for such, or, in an ICMP error, one that has sent from there.
func (l *Interface) intercepts(p *packet.Packet) bool {
	switch p.IP.Protocol {
	case ip.ProtocolTCP:
		return l.interceptsTCP
	case ip.ProtocolUDP:
		return l.interceptsUDP
	case ip.ProtocolICMPv4:
		b := p.Header(wire.ICMPv4HeaderLen)
		return b != nil && p.IP.Dst.Is4() && wire.ICMPv4Packet(b).IsError()
	case ip.ProtocolICMPv6:
		b := p.Header(wire.ICMPv6HeaderLen)
		return b != nil && p.IP.Dst.Is6() && wire.ICMPv6Packet(b).IsError()
	}
	return false
}

// hasSent reports whether src can be the source of a packet that the stack has sent, and that the ICMP error p is about.
func (l *Interface) hasSent(p *packet.Packet, src netip.Addr) bool {
	s := l.stack
	switch {
	case p.IP.Foreign:
		return src == p.IP.Dst
	case src.Is6() && src.IsLinkLocalUnicast():
		return s.Local(p.IP.Link, src)
	}
	return s.Local(0, src)
}

// RouteBack finds the path to dst by the interface, as ip.Network describes it. It is for the transports.
func (s *Stack) RouteBack(link int32, dst netip.Addr) (ip.Path, error) {
	found := s.pathBack(link, dst)
	if found == nil {
		return nil, ip.ErrNetworkUnreachable
	}
	return found, nil
}

// pathBack returns the path by the interface to dst, nil if there is none. Where there are no next hops to choose between, the
// interface is all that has to be known, and no route is needed.
func (s *Stack) pathBack(link int32, dst netip.Addr) *path {
	if found := s.pathFor(link, netip.Addr{}, dst); found != nil {
		return found
	}
	l := s.Interface(link)
	if l == nil || l.medium != dev.IP || !l.speaks(dst) {
		return nil
	}
	return s.pathVia(l, dst, false)
}
