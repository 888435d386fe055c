package core

import (
	"net/netip"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/multicast"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

var (
	allMLDv2Routers = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x16})
)

// routerAlertv6 is the header of hop-by-hop options as it is in all that the stack says of its groups: the router alert
// option of RFC 2711 with the value for Multicast Listener Discovery, and two octets of padding.
var routerAlertv6 = [8]byte{ip.ProtocolICMPv6, 0, wire.IPv6OptionRouterAlert, 2, 0, 0, wire.IPv6OptionPadN, 0}

// inputMLD processes a Multicast Listener Discovery message, which is all of p and of the given type, and takes it.
func (l *Interface) inputMLD(now int64, p *packet.Packet, kind uint8) {
	c := &l.stack.icmp.v6
	p.Own()
	message := wire.ICMPv6Packet(p.Head())
	cause, ok := DropMembershipType, false // a message for routers alone
	switch kind {
	case wire.ICMPv6MulticastQuery:
		cause, ok = l.inputMLDQuery(now, p, message)
	case wire.ICMPv6MulticastReport:
		cause, ok = l.inputMLDReport(p, message)
	}
	if ok {
		p.Release()
		return
	}
	if cause != DropMembershipType {
		c.InErrors++
	}
	l.drop(cause, p)
}

// checkMLD judges a message by its IP header: it must come from the link and say so, and be such that routers look at it.
// https://www.rfc-editor.org/rfc/rfc3810.html#section-5
//
// A report may come from a host that has no address yet.
// https://www.rfc-editor.org/rfc/rfc3590.html#section-4
func (l *Interface) checkMLD(p *packet.Packet, report bool) (cause DropCause, ok bool) {
	switch {
	case p.IP.HopLimit != wire.MLDHopLimit:
		return DropMembershipHopLimit, false
	case !p.IP.Src.IsLinkLocalUnicast() && !(report && p.IP.Src.IsUnspecified()):
		return DropMembershipSource, false
	case !l.alerts(p):
		return DropRouterAlert, false
	}
	return 0, true
}

// inputMLDQuery processes a router's question.
func (l *Interface) inputMLDQuery(now int64, p *packet.Packet, message wire.ICMPv6Packet) (cause DropCause, ok bool) {
	if cause, ok = l.checkMLD(p, false); !ok {
		return cause, false
	}
	var r wire.MLDQueryRepr
	if r.Parse(message) != nil {
		return DropMLDMalformed, false
	}
	l.groups.Query(now, &multicast.Query{
		Version: multicast.Version(r.Version) + 1, Group: r.Group, Sources: r.Sources, MaxResponse: r.MaxResponse,
		Robustness: int(r.Robustness), Interval: r.Interval,
	})
	return 0, true
}

// inputMLDReport takes note that another host has reported a group.
func (l *Interface) inputMLDReport(p *packet.Packet, message wire.ICMPv6Packet) (cause DropCause, ok bool) {
	if cause, ok = l.checkMLD(p, true); !ok {
		return cause, false
	}
	var r wire.MLDReportRepr
	if r.Parse(message) != nil {
		return DropMLDMalformed, false
	}
	l.groups.Heard(r.Group)
	return 0, true
}

// mldMessage is a representation of a Multicast Listener Discovery message.
type mldMessage interface {
	Len() int
	Emit(b []byte, src, dst netip.Addr)
}

// sendMLD transmits a message to the group dst.
func (l *Interface) sendMLD(dst netip.Addr, r mldMessage) {
	if l.removed {
		return
	}
	// They come from the link-local address, or from nobody's as long as there is none.
	// https://www.rfc-editor.org/rfc/rfc3810.html#section-5.2.13
	p, src := packet.New(r.Len()), l.ownLinkLocalv6()
	r.Emit(p.Append(r.Len()), src, dst)
	c := &l.stack.icmp.v6
	c.OutMsgs++
	c.OutType[p.Head()[0]]++
	if l.fills(ip.ProtocolICMPv6) {
		wire.ICMPv6Packet(p.Head()).SetChecksum(0)
	}
	copy(p.Prepend(len(routerAlertv6)), routerAlertv6[:])
	p.IP = packet.IPInfo{Src: src, Dst: dst, Link: l.index, Protocol: wire.IPv6HopByHop, HopLimit: wire.MLDHopLimit}
	prependIPv6(p, 0, &l.stack.flowLabels)
	p.IP.Protocol = ip.ProtocolICMPv6
	l.sendMembership(p, dst)
}
