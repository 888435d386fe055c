package udp

import (
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/storage"
	"github.com/smolnet/smolnet/core/wire"
)

// Endpoint sends and receives datagrams at a local address, or all of them, and a port. If it is connected it does so
// with one remote address only, and learns of errors.
type Endpoint struct {
	host  *Host
	owner ip.Owner

	local, remote netip.AddrPort // neither changes; remote is not valid unless connected
	source        netip.Addr     // of its datagrams; not valid: chosen for each
	link          int32
	dualStack     bool
	reusePort     bool
	reuseAddr     bool
	closed        bool
	flow          bool // a Forwarder has made it: it takes no port from others
	foreign       bool // local is not the stack's own
	options       Options
	memberships   []ip.Membership
	err           error // what an ICMP error said, until somebody asks

	receiving     storage.Queue // payload; Seq is the sender's port
	receiveBuffer int
	dropped       uint64

	sending    storage.Queue // from the UDP header on, IP filled in
	sendBuffer int
	waiting    bool    // Send had no room, and nobody was told since that there is
	path       ip.Path // of the first of them; the endpoint stands in line at its link
	turn       ip.Turn

	portNext, portPrevious *Endpoint
	next, previous         *Endpoint
}

// defaultMulticastHopLimit is the hop limit of datagrams to groups for which nobody chose one.
//
// "If the upper-layer protocol chooses not to specify a time-to-live, it should default to 1 for all multicast IP
// datagrams, so that an explicit choice is required to multicast beyond a single network."
// https://www.rfc-editor.org/rfc/rfc1112.html#section-6.1
const defaultMulticastHopLimit = 1

// maxLength is the most octets that an IPv4 packet can have with its header, and an IPv6 packet after it.
const maxLength = 65535

// keys are what the endpoint is found by.
func (e *Endpoint) keys() []key {
	keys := []key{keyOf(e.local, e.remote, e.link)}
	if e.dualStack {
		keys = append(keys, keyOf(netip.AddrPortFrom(netip.IPv4Unspecified(), e.local.Port()), e.remote, e.link))
	}
	return keys
}

// speaks reports whether the endpoint's addresses are of addr's family.
func (e *Endpoint) speaks(addr netip.Addr) bool {
	return e.local.Addr().Is4() == addr.Is4() || e.dualStack
}

// LocalAddr is the address and port that the endpoint is bound to, without zone. It never changes.
func (e *Endpoint) LocalAddr() netip.AddrPort { return e.local }

// RemoteAddr is the address and port that the endpoint is connected to, without zone; not valid if it is not. It
// never changes.
func (e *Endpoint) RemoteAddr() netip.AddrPort { return e.remote }

// Link is the index of the interface that the endpoint is bound to, 0 if none. It never changes.
func (e *Endpoint) Link() int32 { return e.link }

// SetOwner has owner told from now on what happens; nil: nobody.
func (e *Endpoint) SetOwner(owner ip.Owner) { e.owner = owner }

// SetHopLimit sets the hop limit of datagrams to unicast and broadcast addresses; 0: the interface's,
// 64 unless routers say otherwise.
func (e *Endpoint) SetHopLimit(limit uint8) { e.options.HopLimit = limit }

// SetMulticastHopLimit sets the hop limit of datagrams to multicast addresses; 0: the default, 1.
func (e *Endpoint) SetMulticastHopLimit(limit uint8) { e.options.MulticastHopLimit = limit }

// SetTrafficClass sets the traffic class, IPv4's TOS, of datagrams.
func (e *Endpoint) SetTrafficClass(class uint8) { e.options.TrafficClass = class }

// SetPathMTUDiscovery says what becomes from now on of datagrams larger than the link, or the path, carries.
func (e *Endpoint) SetPathMTUDiscovery(m PathMTUDiscovery) { e.options.PathMTUDiscovery = m }

// SetBroadcast says whether datagrams may be sent to the broadcast address 255.255.255.255, as they may by default.
// Otherwise Send fails with ip.ErrPermission.
func (e *Endpoint) SetBroadcast(allowed bool) { e.options.NoBroadcast = !allowed }

// SetReceiveBuffer bounds the memory, in octets, that received datagrams may pin until they are read; those for which
// there is no room are dropped. 0: as Limits say. More than Limits.MaxBuffer is taken for that; less than 0 is
// ip.ErrInvalid.
func (e *Endpoint) SetReceiveBuffer(octets int) error {
	return e.setBuffers(octets, e.sendBuffer)
}

// SetSendBuffer bounds the memory, in octets, that datagrams may pin until they have left; Send then fails with
// ErrWouldBlock. 0: as Limits say. More than Limits.MaxBuffer is taken for that; less than 0 is ip.ErrInvalid.
func (e *Endpoint) SetSendBuffer(octets int) error {
	return e.setBuffers(e.receiveBuffer, octets)
}

func (e *Endpoint) setBuffers(receive, send int) error {
	limits := &e.host.config.Limits
	if receive < 0 || send < 0 {
		return ip.ErrInvalid
	}
	fill(&receive, limits.ReceiveBuffer)
	fill(&send, limits.SendBuffer)
	e.receiveBuffer, e.sendBuffer = min(receive, limits.MaxBuffer), min(send, limits.MaxBuffer)
	e.room()
	return nil
}

// Source is the address that a datagram to dst by the given link (0: any) would be sent from. It is not valid if there is no way.
func (e *Endpoint) Source(dst netip.Addr, link int32) netip.Addr {
	_, source, err := e.host.network.Route(link, e.source, dst)
	if err != nil {
		return netip.Addr{}
	}
	return source
}

// Received is how many datagrams wait to be read.
func (e *Endpoint) Received() int { return e.receiving.Len() }

// Dropped is how many datagrams have been dropped because there was no room in the receive queue.
func (e *Endpoint) Dropped() uint64 { return e.dropped }

// Err returns, once, what the latest ICMP error about a datagram of a connected endpoint means.
func (e *Endpoint) Err() error {
	err := e.err
	e.err = nil
	return err
}

// Receive returns the datagram that has waited longest and who sent it: p is its payload, and p.IP its addresses, hop
// limit and link. It reports false if there is none.
func (e *Endpoint) Receive() (p *packet.Packet, from netip.AddrPort, ok bool) {
	p = e.receiving.Pop()
	if p == nil {
		return nil, netip.AddrPort{}, false
	}
	return p, netip.AddrPortFrom(p.IP.Src, uint16(p.Seq)), true
}

// take takes a datagram from remote that is for the endpoint.
func (e *Endpoint) take(p *packet.Packet, remote netip.AddrPort) {
	p.TrimFront(wire.UDPHeaderLen)
	p.Seq = uint32(remote.Port())
	e.deliver(p)
}

// deliver takes the payload of a datagram that is for the endpoint.
func (e *Endpoint) deliver(p *packet.Packet) {
	h := e.host
	p.Compact()
	if e.receiving.Len() > 0 && e.receiving.Cost()+p.Cost() > e.receiveBuffer {
		e.dropped++
		h.drop(p, &h.counters.InReceiveQueueFull, "receive queue full")
		return
	}
	h.counters.InDatagrams++
	h.counters.InOctets += uint64(p.Len())
	e.receiving.Push(p)
	e.notify(ip.Readable)
}

// fail takes note of an error, for the next call of Err.
func (e *Endpoint) fail(err error) {
	e.err = err
	e.notify(ip.Readable | ip.Writable)
}

// Send queues p, the payload of a datagram, to leave for to by the link of the given index (0: any; an endpoint bound
// to a link uses that). If to is not valid it goes to where the endpoint is connected. p comes from packet.New, so
// that there is room for the headers.
//
// It takes p, on error too, unless the error is ErrWouldBlock: then p stays the caller's, unchanged. The other errors
// are ip.ErrMessageTooLong if there cannot be so long a datagram, or if it is too long for the path and must not be cut
// (see PathMTUDiscovery), ip.ErrInvalid for a destination that there cannot be, ip.ErrPermission for broadcasts where they are not allowed, those of ip.Network.Route, and ErrClosed.
func (e *Endpoint) Send(now time.Time, p *packet.Packet, to netip.AddrPort, link int32) error {
	return e.SendWith(now, p, to, Header{Link: link})
}

// SendWith is Send with what the datagram is to have in its IP header. Errors are Send's, and besides
// ip.ErrAddressNotAvailable if h.Source is not the stack's own or not of the destination's family, and ip.ErrInvalid if h.Link is
// another than the one that the endpoint is bound to.
func (e *Endpoint) SendWith(_ time.Time, p *packet.Packet, to netip.AddrPort, h Header) error {
	err := e.send(p, to, h)
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

func (e *Endpoint) send(p *packet.Packet, to netip.AddrPort, h Header) error {
	if e.closed {
		return ErrClosed
	}
	to = plain(to)
	if !to.Addr().IsValid() {
		to = e.remote
	}
	dst := to.Addr()
	otherLink := e.link != 0 && h.Link != 0 && h.Link != e.link
	h.complete(e, dst)
	switch {
	case dst.IsValid() && !e.speaks(dst):
		return ip.ErrNetworkUnreachable
	case to.Port() == 0 || needsLink(dst, h.Link) || otherLink:
		return ip.ErrInvalid
	case dst == broadcast && e.options.NoBroadcast:
		return ip.ErrPermission
	}
	path, src, err := e.route(h.Link, h.Source, dst)
	if err != nil {
		return err
	}
	length, most := wire.IPv4HeaderLen+wire.UDPHeaderLen+p.Len(), maxLength
	if dst.Is6() {
		length, most = wire.IPv6HeaderLen+wire.UDPHeaderLen+p.Len(), wire.IPv6HeaderLen+maxLength
	}
	switch {
	case length > most || length > e.options.PathMTUDiscovery.most(path):
		return ip.ErrMessageTooLong
	case e.sending.Len() > 0 && e.sending.Cost()+p.Cost() > e.sendBuffer:
		return ErrWouldBlock
	}
	h.Source = src
	e.enqueue(path, p, to, &h)
	return nil
}

// route finds the way to dst, and the source address.
func (e *Endpoint) route(link int32, src, dst netip.Addr) (ip.Path, netip.Addr, error) {
	if e.foreign {
		path, err := e.host.network.RouteBack(link, dst)
		return path, src, err
	}
	return e.host.network.Route(link, src, dst)
}

func (e *Endpoint) enqueue(path ip.Path, p *packet.Packet, to netip.AddrPort, h *Header) {
	repr := wire.UDPRepr{SrcPort: e.local.Port(), DstPort: to.Port(), PayloadLen: p.Len()}
	repr.Emit(p.Prepend(repr.Len()))
	p.IP = packet.IPInfo{
		Src: h.Source, Dst: to.Addr(), Link: h.Link, Protocol: ip.ProtocolUDP,
		HopLimit: h.HopLimit, TrafficClass: h.TrafficClass, Group: group(to.Addr()), Foreign: e.foreign,
		Loop:          !e.options.NoMulticastLoop || !to.Addr().IsMulticast(), // broadcasts always do
		Fragmentation: e.options.PathMTUDiscovery.fragmentation(),
	}
	fillChecksum(path, p)
	switch next := e.sending.Peek(); {
	case next == nil:
		e.path = path
		e.host.network.Ready(path, e)
	case path != e.path && path.Link() == e.path.Link() && next.IP.Dst == p.IP.Dst && next.IP.Link == p.IP.Link:
		e.path = path // more is known of the way by now
	}
	e.sending.Push(p)
}

// hopLimit is that of datagrams to dst; 0: the interface's.
func (e *Endpoint) hopLimit(dst netip.Addr) uint8 {
	if !dst.IsMulticast() {
		return e.options.HopLimit
	}
	limit := e.options.MulticastHopLimit
	fill(&limit, defaultMulticastHopLimit)
	return limit
}

// fillChecksum fills in the checksum of the datagram p, whose field is zero, or leaves it to the path's device.
func fillChecksum(path ip.Path, p *packet.Packet) {
	header := wire.UDPPacket(p.Header(wire.UDPHeaderLen))
	if path.FillsChecksum(ip.ProtocolUDP) {
		var pseudo wire.Sum
		pseudo.AddPseudoHeader(p.IP.Src, p.IP.Dst, ip.ProtocolUDP, p.Len())
		header.SetChecksum(pseudo.Fold())
		p.SetPartialChecksum(0, wire.UDPChecksumField)
		return
	}
	header.SetChecksum(wire.UDPChecksum(sum(p)))
}

// Turn is the endpoint's place in the line at a link: see ip.Sender.
func (e *Endpoint) Turn() *ip.Turn { return &e.turn }

// Emit returns the next datagram to leave: see ip.Sender.
func (e *Endpoint) Emit(int64) (p *packet.Packet, path ip.Path, more bool) {
	p, path = e.sending.Pop(), e.path
	if p == nil {
		return nil, nil, false
	}
	e.host.counters.OutDatagrams++
	e.host.counters.OutOctets += uint64(p.Len() - wire.UDPHeaderLen)
	more = e.follow(p)
	e.room()
	if e.closed && e.sending.Len() == 0 {
		e.forget()
	}
	return p, path, more
}

// follow finds the path of the datagram behind the one before, and reports whether it leaves by the same link. If not,
// the endpoint gets in line at the other.
func (e *Endpoint) follow(before *packet.Packet) bool {
	for next := e.sending.Peek(); next != nil; next = e.sending.Peek() {
		if next.IP.Dst == before.IP.Dst && next.IP.Link == before.IP.Link && next.IP.Src == before.IP.Src {
			return true
		}
		path, _, err := e.route(next.IP.Link, next.IP.Src, next.IP.Dst)
		if err != nil { // there was a way when it was queued
			e.host.counters.OutErrors++
			e.host.dropped(next, "no route")
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

func (e *Endpoint) notify(events ip.Event) {
	if e.owner != nil {
		e.owner.Notify(events)
	}
}

// Close ends the endpoint: it receives nothing any more, its port is free, and it leaves its groups. What it has queued to send still leaves.
// Closing again does nothing.
func (e *Endpoint) Close() {
	if e.closed {
		return
	}
	e.closed = true
	e.err = nil
	e.waiting = false
	e.receiving.Reset()
	e.leaveGroups(e.host.now)
	e.host.remove(e)
	if e.sending.Len() == 0 {
		e.forget()
	}
}

// forget takes the endpoint from the list of all.
func (e *Endpoint) forget() {
	h := e.host
	if e.previous != nil {
		e.previous.next = e.next
	} else {
		h.first = e.next
	}
	if e.next != nil {
		e.next.previous = e.previous
	}
	e.next, e.previous = nil, nil
	h.endpoints--
}
