package core

import (
	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// link is an interface as its neighbour cache sees it: it implements neighbour.Link.
type link struct{ *Interface }

// SendProbe asks for a neighbour's hardware address.
func (l link) SendProbe(now int64, e *neighbour.Entry, to wire.LinkAddr) {
	if e.Addr().Is4() {
		l.requestARP(e, to.Ethernet())
	} else {
		if to.IsZero() {
			to = l.derived(e.Addr())
		}
		l.solicit(now, e, to)
	}
}

// Transmit sends an IP packet that has waited for the neighbour's hardware address.
func (l link) Transmit(_ int64, e *neighbour.Entry, p *packet.Packet) {
	hw, _ := e.LinkAddr()
	if p.IP.Forwarded {
		l.prependLink(p, hw, p.IP.Dst.Is6())
		l.queueTransit(p)
		return
	}
	if by := l.cutter(p); by != nil {
		l.flushFragments(by, p, hw)
	} else {
		l.prependLink(p, hw, p.IP.Dst.Is6())
		l.control.Push(p) // bounded by what the neighbour's queue could hold
	}
	l.flushed = l.control.Len()
}

// Changed takes note that a neighbour can be reached, or not.
func (l link) Changed(now int64, e *neighbour.Entry) {
	l.neighbourChanged(now, e)
	if l.rpl != nil {
		l.rpl.neighbourChanged(now, e)
	}
	l.stack.event(Event{Kind: NeighbourChanged, Link: l.index, Neighbour: e.Neighbour()})
}

// Forgotten tells that a neighbour is not in the cache any more.
func (l link) Forgotten(e *neighbour.Entry) {
	l.stack.event(Event{Kind: NeighbourRemoved, Link: l.index, Neighbour: e.Neighbour()})
}

// Unreachable lets the sender of an IP packet know that the neighbour did not answer.
func (l link) Unreachable(now int64, e *neighbour.Entry, p *packet.Packet) {
	l.stack.redirects.lost(l.Interface, e.Addr())
	if l.rpl != nil {
		l.rpl.unroute(p)
	}
	if p.IP.Forwarded {
		l.forwardFailed(now, p)
		return
	}
	v6 := p.IP.Dst.Is6()
	l.counters.drop(DropNeighbourFailed, l.counters.ip(v6))
	if l.stack.log.debug {
		l.stack.log.dropped(l.Interface, DropNeighbourFailed, p)
	}
	if isFragment(p.Head(), v6) {
		p.Release() // the others may have left: it is for the peer to find out
		return
	}
	p.TrimFront(headerLen(p))
	l.stack.failures.add(failure{kind: ip.HostUnreachable, link: errorLink(l.Interface, p), packet: p})
}
