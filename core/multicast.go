package core

import (
	"fmt"
	"net/netip"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/multicast"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// multicastConfig is the configuration of l's groups.
func (s *Stack) multicastConfig(l *Interface) multicast.Config {
	c := s.config.Multicast
	c.Timers, c.Link, c.Rand = &s.timers, groupLink{l}, s.random
	c.MaxGroups, c.MaxSources = s.limits.Groups, s.limits.GroupSources
	c.Silent = l.silent || l.loopback()
	return c
}

// Groups returns the multicast groups that the interface belongs to, in the order in which it joined them.
func (l *Interface) Groups() []netip.Addr {
	groups := l.groups.Groups()
	addrs := make([]netip.Addr, len(groups))
	for i, g := range groups {
		addrs[i] = g.Addr()
	}
	return addrs
}

// Multicast is what the interface knows of its multicast groups and of those who query them.
func (l *Interface) Multicast() *multicast.Host { return l.groups }

// join makes the interface belong to the multicast group until as many calls of leave: for the stack's own sake.
func (l *Interface) join(addr netip.Addr) error { return l.groups.Join(l.stack.now, addr) }

func (l *Interface) leave(addr netip.Addr) { l.groups.Leave(l.stack.now, addr) }

// checkGroup judges a packet to a multicast group. If it is not to be processed, the cause says why.
//
// proxied says that the stack answers for addresses whose group it may be, without belonging to it.
//
// What tells the interface's own protocols about the group passes the filter: a querier need not be among those whose
// datagrams are wanted.
func (l *Interface) checkGroup(p *packet.Packet, proxied bool) (cause DropCause, ok bool) {
	g := l.groups.Group(p.IP.Dst)
	switch p.IP.Protocol {
	case ip.ProtocolIGMP, ip.ProtocolICMPv6, wire.IPv6HopByHop:
		if g == nil && !proxied {
			return DropNotOurs, false
		}
	default:
		if g == nil {
			return DropNotOurs, false
		}
		if !g.Allows(p.IP.Src) {
			return DropSourceFilter, false
		}
	}
	l.counters.ip(p.IP.Dst.Is6()).InMcastPkts++
	p.IP.Group = true
	return 0, true
}

// JoinGroup makes an endpoint a member of the multicast group on the interface of the given index, or, for 0, on the one by
// which packets to the group leave. It is a method of ip.Groups, for the transports.
func (s *Stack) JoinGroup(now int64, link int32, group netip.Addr, f ip.SourceFilter) (ip.Membership, error) {
	l := s.Interface(link)
	if link == 0 {
		l = s.groupInterface(group)
	}
	if l == nil || group.Is6() && !l.ipv6 {
		return nil, fmt.Errorf("no interface for group %v: %w", group, ip.ErrNoDevice)
	}
	m, err := l.groups.NewMember(now, l.index, group, f)
	if err != nil {
		return nil, err // and a nil interface
	}
	return m, nil
}

// groupLink is an interface as its groups see it: it implements multicast.Link.
type groupLink struct{ *Interface }

// SendRecords transmits an IGMPv3 or MLDv2 report.
func (l groupLink) SendRecords(now int64, records []wire.MulticastRecord) {
	if records[0].Group.Is6() {
		l.sendMLD(allMLDv2Routers, &wire.MLDv2ReportRepr{Records: records})
	} else {
		l.sendIGMP(allIGMPv3Routers, &wire.IGMPv3ReportRepr{Records: records})
	}
}

// SendReport transmits a report of an older version, to the group itself, so that its other members hear it.
func (l groupLink) SendReport(now int64, version multicast.Version, group netip.Addr) {
	switch {
	case group.Is6():
		l.sendMLD(group, &wire.MLDReportRepr{Group: group})
	case version == multicast.V1:
		l.sendIGMP(group, &wire.IGMPGroupRepr{Type: wire.IGMPv1Report, Group: group})
	default:
		l.sendIGMP(group, &wire.IGMPGroupRepr{Type: wire.IGMPv2Report, Group: group})
	}
}

// SendLeave tells the routers that nobody here listens to the group any more.
func (l groupLink) SendLeave(now int64, group netip.Addr) {
	if group.Is6() {
		l.sendMLD(allRoutersv6, &wire.MLDReportRepr{Done: true, Group: group})
	} else {
		l.sendIGMP(allRoutersv4, &wire.IGMPGroupRepr{Type: wire.IGMPv2Leave, Group: group})
	}
}

// Room is how many octets of records fit into one packet.
func (l groupLink) Room(v6 bool) int {
	if v6 {
		return l.mtuOf(true) - wire.IPv6HeaderLen - len(routerAlertv6) - wire.MLDv2ReportLen
	}
	return l.mtu - wire.IPv4HeaderLen - len(routerAlertv4) - wire.IGMPv3ReportLen
}

// GroupJoined and GroupLeft take note of groups come and gone.
func (l groupLink) GroupJoined(_ int64, group netip.Addr) {
	l.stack.event(Event{Kind: GroupJoined, Link: l.index, Addr: group})
}

func (l groupLink) GroupLeft(_ int64, group netip.Addr) {
	l.stack.event(Event{Kind: GroupLeft, Link: l.index, Addr: group})
}

// sendMembership transmits p, a whole packet from its IP header on, to the group dst.
func (l *Interface) sendMembership(p *packet.Packet, dst netip.Addr) {
	l.counters.ip(dst.Is6()).OutRequests++
	if l.neighbours != nil {
		l.prependLink(p, l.groupAddr(dst), dst.Is6())
	}
	l.enqueue(p)
}

// alerts reports whether p, whose network headers have been stripped, had a router alert option.
func (l *Interface) alerts(p *packet.Packet) bool {
	n := l.stack.networkLen
	b := p.Prepend(n)
	defer p.TrimFront(n)
	if p.IP.Dst.Is4() {
		return alertsv4(b[wire.IPv4HeaderLen:])
	}
	return alertsv6(b)
}

// alertsv4 looks for the option among those of an IPv4 header, which are sound.
func alertsv4(options []byte) bool {
	for i := 0; i < len(options) && options[i] != optionEnd; {
		switch options[i] {
		case optionNop:
			i++
			continue
		case optionRouterAlert:
			return true
		}
		i += int(options[i+1])
	}
	return false
}

// alertsv6 looks for the option in the headers of an IPv6 packet, which are sound.
func alertsv6(headers []byte) bool {
	if len(headers) < wire.IPv6HeaderLen+8 || wire.IPv6Packet(headers).NextHeader() != wire.IPv6HopByHop {
		return false
	}
	header, err := wire.ParseIPv6Options(headers[wire.IPv6HeaderLen:])
	if err != nil {
		return false
	}
	walk := header.Options()
	for option, more := walk.Next(); more; option, more = walk.Next() {
		if option.Type == wire.IPv6OptionRouterAlert {
			return true
		}
	}
	return false
}

// loop has a copy of p, which leaves for a group or a broadcast address, come back to endpoints of the stack's own that
// hear it: it passes through the loopback interface, and arrives as if by the link that it leaves by. p begins with its
// transport header.
//
// A host that belongs to the group on the interface that a packet leaves by gets a copy, unless who sends does not want that.
// https://www.rfc-editor.org/rfc/rfc1112.html#section-6.1
func (by *path) loop(p *packet.Packet) {
	l, v6 := by.link, p.IP.Dst.Is6()
	if p.IP.Dst.IsMulticast() {
		g := l.groups.Group(p.IP.Dst)
		if g == nil || !g.Allows(p.IP.Src) {
			return
		}
	} else if v6 || p.IP.Dst != broadcastAddrv4 && !l.Broadcasts(p.IP.Dst) {
		return
	}
	c := p.Clone()
	standard := uint8(0)
	if v6 {
		standard = l.params.HopLimit
	}
	c.IP.Group, c.IP.Link, c.IP.HopLimit = true, l.index, hopLimit(p, standard)
	by.prependIP(c, v6)
	l.stack.loopback.enqueue(c)
}

// looped reports whether p, which is about to pass through the loopback interface, is a copy that loop has made.
func looped(p *packet.Packet) bool { return p.IP.Loop && p.IP.Group }

// inputLooped processes such a copy.
func (s *Stack) inputLooped(now int64, p *packet.Packet) {
	l, info := s.Interface(p.IP.Link), &p.IP
	if l == nil {
		s.loopback.drop(DropInterfaceRemoved, p)
		return
	}
	info.Loop, info.Foreign = false, false
	v6 := info.Dst.Is6()
	c := l.counters.ip(v6)
	c.InReceives++
	c.InOctets += uint64(p.Len())
	headerLen := wire.IPv4HeaderLen
	pointer := 9
	if v6 {
		headerLen, pointer = wire.IPv6HeaderLen, 6
	}
	if info.Dst.IsMulticast() {
		c.InMcastPkts++
	} else {
		c.InBcastPkts++
	}
	s.strip(p, headerLen)
	l.deliver(now, p, pointer)
}
