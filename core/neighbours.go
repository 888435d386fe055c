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
func (l link) SendProbe(now int64, e *neighbour.Entry, to wire.HardwareAddr) {
	if e.Addr().Is4() {
		l.requestARP(e, to)
	} else {
		l.solicit(now, e, to)
	}
}

// Transmit sends an IP packet that has waited for the neighbour's hardware address.
func (l link) Transmit(_ int64, e *neighbour.Entry, p *packet.Packet) {
	hw, _ := e.HardwareAddr()
	l.prependEthernet(p, hw, p.IP.Dst.Is6())
	l.control.Push(p) // bounded by what the neighbour's queue could hold
	l.flushed = l.control.Len()
}

// Unreachable lets the sender of an IP packet know that the neighbour did not answer.
func (l link) Unreachable(_ int64, _ *neighbour.Entry, p *packet.Packet) {
	v6 := p.IP.Dst.Is6()
	l.counters.drop(DropNeighbourFailed, l.counters.ip(v6))
	if l.stack.log.debug {
		l.stack.log.dropped(l.Interface, DropNeighbourFailed, p)
	}
	headerLen := wire.IPv4HeaderLen // what the stack sends has neither options nor extension headers
	if v6 {
		headerLen = wire.IPv6HeaderLen
	}
	p.TrimFront(headerLen)
	l.stack.failures.add(failure{kind: ip.HostUnreachable, link: errorLink(l.Interface, p), packet: p})
}
