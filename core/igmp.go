package core

import (
	"net/netip"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/multicast"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

var (
	allRoutersv4     = netip.AddrFrom4([4]byte{224, 0, 0, 2})
	allIGMPv3Routers = netip.AddrFrom4([4]byte{224, 0, 0, 22})
)

// optionRouterAlert is the type of the option that has routers look at a packet: RFC 2113.
const optionRouterAlert = 148

// routerAlertv4 is the option as it is in all that the stack says of its groups.
var routerAlertv4 = [4]byte{optionRouterAlert, 4, 0, 0}

// igmpTOS is the precedence of internetwork control.
// https://www.rfc-editor.org/rfc/rfc3376.html#section-4
const igmpTOS = 0xc0

// IGMPCounters count IGMP messages.
type IGMPCounters struct {
	InMsgs    uint64
	InErrors  uint64 // malformed, wrong checksum, or invalid by the rules for who may send what
	InQueries uint64
	InReports uint64 // of others, of groups that the interface belongs to
	OutMsgs   uint64
}

// inputIGMP processes what should be an IGMP message, and takes it.
func (l *Interface) inputIGMP(now int64, p *packet.Packet) {
	c := &l.counters.IGMP
	c.InMsgs++
	p.Own()
	message, err := wire.ParseIGMP(p.Head())
	if err != nil {
		c.InErrors++
		l.drop(DropIGMPMalformed, p)
		return
	}
	cause, ok := DropIGMPMalformed, false
	switch message.Type() {
	case wire.IGMPQuery:
		cause, ok = l.inputIGMPQuery(now, p, message)
	case wire.IGMPv1Report, wire.IGMPv2Report:
		cause, ok = l.inputIGMPReport(p, message)
	case wire.IGMPv2Leave, wire.IGMPv3Report:
		cause = DropMembershipType // for routers alone
	default:
		cause = DropMembershipType
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

// checkIGMP judges a message by its IP header: it must come from the link, and be such that routers look at it.
// https://www.rfc-editor.org/rfc/rfc3376.html#section-4
//
// Version 1 knows no router alert option.
func (l *Interface) checkIGMP(p *packet.Packet, version uint8) (cause DropCause, ok bool) {
	switch {
	case p.IP.HopLimit != 1:
		return DropMembershipHopLimit, false
	case version > 1 && !l.alerts(p):
		return DropRouterAlert, false
	}
	return 0, true
}

// inputIGMPQuery processes a router's question.
func (l *Interface) inputIGMPQuery(now int64, p *packet.Packet, message wire.IGMPPacket) (cause DropCause, ok bool) {
	var r wire.IGMPQueryRepr
	if err := r.Parse(message); err != nil {
		return igmpCause(err), false
	}
	if cause, ok = l.checkIGMP(p, r.Version); !ok {
		return cause, false
	}
	// A question about all groups that did not go to all systems is no querier's.
	// https://www.rfc-editor.org/rfc/rfc3376.html#section-9.1
	if r.Group.IsUnspecified() && p.IP.Dst != allSystemsv4 {
		return DropMembershipSource, false
	}
	l.counters.IGMP.InQueries++
	l.groups.Query(now, &multicast.Query{
		Version: multicast.Version(r.Version), Group: r.Group, Sources: r.Sources, MaxResponse: r.MaxResponse,
		Robustness: int(r.Robustness), Interval: r.Interval,
	})
	return 0, true
}

// inputIGMPReport takes note that another host has reported a group.
func (l *Interface) inputIGMPReport(p *packet.Packet, message wire.IGMPPacket) (cause DropCause, ok bool) {
	var r wire.IGMPGroupRepr
	if err := r.Parse(message); err != nil {
		return igmpCause(err), false
	}
	version := uint8(2)
	if r.Type == wire.IGMPv1Report {
		version = 1
	}
	if cause, ok = l.checkIGMP(p, version); !ok {
		return cause, false
	}
	l.counters.IGMP.InReports++
	l.groups.Heard(r.Group)
	return 0, true
}

func igmpCause(err error) DropCause {
	if err == wire.ErrChecksum {
		return DropIGMPChecksum
	}
	return DropIGMPMalformed
}

// igmpMessage is a representation of an IGMP message.
type igmpMessage interface {
	Len() int
	Emit(b []byte)
}

// sendIGMP transmits a message to the group dst. It comes from an address of the interface's, or from nobody's if it has
// none.
func (l *Interface) sendIGMP(dst netip.Addr, r igmpMessage) {
	if l.removed {
		return
	}
	p := packet.New(r.Len())
	r.Emit(p.Append(r.Len()))
	p.IP = packet.IPInfo{Src: l.membershipSourcev4(), Dst: dst, Link: l.index, Protocol: ip.ProtocolIGMP, HopLimit: 1, TrafficClass: igmpTOS}
	prependIPv4Alert(p)
	l.counters.IGMP.OutMsgs++
	l.sendMembership(p, dst)
}

// membershipSourcev4 is the address that the interface's IGMP messages come from.
func (l *Interface) membershipSourcev4() netip.Addr {
	for _, a := range l.addresses {
		if a.addr().Is4() && a.state.usable() {
			return a.addr()
		}
	}
	return netip.IPv4Unspecified()
}

// prependIPv4Alert prepends the header that p.IP describes, with the router alert option.
func prependIPv4Alert(p *packet.Packet) {
	copy(p.Prepend(len(routerAlertv4)), routerAlertv4[:])
	prependIPv4(p, dontFragmentv4, false)
	b := p.Header(wire.IPv4HeaderLen + len(routerAlertv4))
	b[0] += uint8(len(routerAlertv4) / 4)
	wire.IPv4Packet(b).FillChecksum()
}
