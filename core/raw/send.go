package raw

import (
	"net/netip"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// Header is what one packet is to have in its IP header instead of what the endpoint's options and the routes say. The zero
// value changes nothing.
type Header struct {
	// Source is the address to send from, one of the stack's own. Not valid: as ever.
	Source netip.Addr
	// Link is the index of the interface to leave by; 0: any. An endpoint bound to a link uses that.
	Link int32
	// HopLimit is IPv4's TTL; 0: as ever.
	HopLimit uint8
	// TrafficClass is IPv4's TOS; 0: as ever, unless HasTrafficClass says that it is meant.
	TrafficClass    uint8
	HasTrafficClass bool
}

// defaultMulticastHopLimit is the hop limit of packets to groups for which nobody chose one: see core/udp.
const defaultMulticastHopLimit = 1

// complete fills in the endpoint's own choices for a packet to dst.
func (h *Header) complete(e *Endpoint, dst netip.Addr) {
	if !h.Source.IsValid() {
		h.Source = e.local
	}
	if h.Source.IsValid() && group(h.Source) {
		h.Source = netip.Addr{} // an endpoint bound to a group only receives there
	}
	if e.link != 0 {
		h.Link = e.link
	}
	own, standard := e.options.HopLimit, uint8(0) // the interface's
	if dst.IsMulticast() {
		own, standard = e.options.MulticastHopLimit, defaultMulticastHopLimit
	}
	fill(&h.HopLimit, own)
	fill(&h.HopLimit, standard)
	if h.TrafficClass == 0 && !h.HasTrafficClass {
		h.TrafficClass = e.options.TrafficClass
	}
}

// route fills in p.IP for a packet of the protocol to the given address, or to where the endpoint is connected, and returns the path
// that it leaves by. headers is how many octets of IP header it is yet to get.
func (e *Endpoint) route(p *packet.Packet, to netip.Addr, protocol uint8, h Header, headers int) (ip.Path, error) {
	if e.closed {
		return nil, ErrClosed
	}
	dst := plain(to)
	if !dst.IsValid() {
		dst = e.remote
	}
	otherLink := e.link != 0 && h.Link != 0 && h.Link != e.link
	h.complete(e, dst)
	switch {
	case !dst.IsValid() || needsLink(dst, h.Link) || otherLink:
		return nil, ip.ErrInvalid
	case dst.Is6() != e.v6:
		return nil, ip.ErrNetworkUnreachable
	case dst == broadcast && e.options.NoBroadcast:
		return nil, ip.ErrPermission
	}
	path, source, err := e.host.network.Route(h.Link, h.Source, dst)
	switch {
	case err != nil:
		return nil, err
	case headers == 0 && p.Len() > path.MTU(), headers+p.Len() > e.longest():
		return nil, ip.ErrMessageTooLong // what brings its own header is not fragmented
	}
	p.IP = packet.IPInfo{
		Src: source, Dst: dst, Link: h.Link, Protocol: protocol, HopLimit: h.HopLimit, TrafficClass: h.TrafficClass,
		Group: group(dst),
	}
	return path, nil
}

// longest is how many octets an IP packet can have with its header. IPv6's length does not count that.
func (e *Endpoint) longest() int {
	if e.v6 {
		return wire.IPv6HeaderLen + wire.IPv6MaxPayloadLen
	}
	return wire.IPv4MaxLen
}

// headerLen is how many octets the IP header has that the stack makes.
func (e *Endpoint) headerLen() int {
	if e.v6 {
		return wire.IPv6HeaderLen
	}
	return wire.IPv4HeaderLen
}

// blocked reports whether the send queue has no room for p.
func (e *Endpoint) blocked(p *packet.Packet) bool {
	return e.sending.Len() > 0 && e.sending.Cost()+p.Cost() > e.sendBuffer
}

// enqueue puts p, which is ready to leave by path, into the send queue.
func (e *Endpoint) enqueue(path ip.Path, p *packet.Packet) {
	if e.sending.Len() == 0 {
		e.path = path
		e.host.network.Ready(path, e)
	}
	e.sending.Push(p)
}

// sent ends a call of Send: p, unless it is queued or its caller's still, is released.
func (e *Endpoint) sent(p *packet.Packet, err error) error {
	switch err {
	case nil:
	case ErrWouldBlock:
		e.waiting = true
		e.host.counters.OutQueueFull++
	default:
		e.host.counters.OutErrors++
		p.Release()
	}
	return err
}

// Turn is the endpoint's place in the line at a link: see ip.Sender.
func (e *Endpoint) Turn() *ip.Turn { return &e.turn }

// Emit returns the next packet to leave: see ip.Sender.
func (e *Endpoint) Emit(int64) (p *packet.Packet, path ip.Path, more bool) {
	p, path = e.sending.Pop(), e.path
	if p == nil {
		return nil, nil, false
	}
	e.host.counters.OutPackets++
	more = e.follow(p)
	e.room()
	if e.closed && e.sending.Len() == 0 {
		e.forget()
	}
	return p, path, more
}

// follow finds the path of the packet behind the one before, and reports whether it leaves by the same link. If not, the
// endpoint gets in line at the other.
func (e *Endpoint) follow(before *packet.Packet) bool {
	for next := e.sending.Peek(); next != nil; next = e.sending.Peek() {
		if next.IP.Dst == before.IP.Dst && next.IP.Link == before.IP.Link && next.IP.Src == before.IP.Src {
			return true
		}
		path, _, err := e.host.network.Route(next.IP.Link, next.IP.Src, next.IP.Dst)
		if err != nil { // there was a way when it was queued
			e.host.counters.OutErrors++
			e.sending.Pop().Release()
			continue
		}
		here := path.Link() == e.path.Link()
		e.path = path
		if !here {
			e.host.network.Ready(path, e)
		}
		return here
	}
	e.path = nil
	return false
}

// room tells the owner that there is room to send again, once there is a good deal and if somebody waits for it.
func (e *Endpoint) room() {
	if e.waiting && e.sending.Cost() <= e.sendBuffer/2 {
		e.waiting = false
		e.notify(ip.Writable)
	}
}
