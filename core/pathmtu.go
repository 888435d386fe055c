package core

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/wire"
)

// PathMTU is what a router has said of the way to a destination.
type PathMTU struct {
	Addr    netip.Addr // the destination
	Link    int32      // the index of the interface, for an address that means nothing without; 0 for others
	MTU     int        // the largest IP packet, in octets, that gets there
	Expires time.Time  // when it is forgotten, unless a router says so again
}

// pathMTULifetime is how long what a router has said is believed: 10 minutes, by RFC 8201 section 4 and RFC 1191 section 6.3.
// The path may be another by then, that carries more.
const pathMTULifetime = int64(10 * time.Minute)

// minPathMTUv4 is the least that a path is taken to carry in IPv4 packets, as on Linux. Where a router says less packets are of
// this size, and routers may cut them: or else whoever can forge such a message could have the stack send nothing but headers.
const minPathMTUv4 = 552

// pathMTU is what is known of the way to a destination.
type pathMTU struct {
	to      pathMTUKey
	mtu     int
	cut     bool  // IPv4: some link carries even less, and routers cut what is larger
	expires int64 // 0: forgotten, or what is known by now is elsewhere
	path    *path // that leads there, and to nobody else; nil: not made yet

	previous, next *pathMTU // by age, the oldest first
}

type pathMTUKey struct {
	addr netip.Addr
	link int32
}

// pathMTUs is all that is known of the ways to destinations.
type pathMTUs struct {
	all         map[pathMTUKey]*pathMTU
	first, last *pathMTU
}

// PathMTUs returns what routers have said of the ways to destinations, and is still believed, the oldest first.
func (s *Stack) PathMTUs() []PathMTU {
	var list []PathMTU
	for k := s.pathMTUs.first; k != nil; k = k.next {
		if k.expires > s.now {
			list = append(list, PathMTU{k.to.addr, k.to.link, k.mtu, s.epoch.Add(time.Duration(k.expires))})
		}
	}
	return list
}

// PathMTU is the largest packet that is not known to be too large for any link on the way.
func (p *path) PathMTU() int {
	if p.known != nil && p.known.expires > p.stack.now {
		return min(p.known.mtu, p.MTU())
	}
	return p.MTU()
}

// cutByRouters reports whether no packet passes on the way unless routers cut it.
func (p *path) cutByRouters() bool {
	return p.known != nil && p.known.cut && p.known.expires > p.stack.now
}

// knowing returns the path to dst, which found is, with what is known of the MTU on the way to just that destination.
func (s *Stack) knowing(found *path, link int32, dst netip.Addr) *path {
	if len(s.pathMTUs.all) == 0 {
		return found
	}
	k := s.pathMTUs.all[pathMTUKeyOf(link, dst)]
	if k == nil {
		return found
	}
	if k.path == nil || k.path.generation != s.generation || k.path.link != found.link {
		own := *found
		own.known = k
		k.path = &own
	}
	return k.path
}

func pathMTUKeyOf(link int32, dst netip.Addr) pathMTUKey {
	if !ambiguous(dst) {
		link = 0
	}
	return pathMTUKey{dst, link}
}

// learnPathMTU learns from an ICMP error that a packet of the given length, which the stack has sent, was too big, and reports
// whether the stack can have sent it. TCP has its own memory of that, for each connection, and its own judgement.
//
// What an error says is believed only if it makes a difference: one that says as much as the packet had, or more than is known,
// is old or forged.
func (s *Stack) learnPathMTU(now int64, protocol uint8, e *ip.Error, length int) (sent bool) {
	if !s.maySend(protocol, e) {
		return false
	}
	v6 := e.Dst.Is6()
	if e.MTU >= length || v6 && e.MTU < wire.IPv6MinMTU {
		// RFC 8201 section 4 has a node discard what says less than IPv6's minimum link MTU.
		return true
	}
	by := s.pathFor(e.Link, e.Src, e.Dst)
	if by == nil {
		return true
	}
	most, mtu, cut := by.PathMTU(), e.MTU, !v6 && e.MTU < minPathMTUv4
	if cut {
		mtu = min(minPathMTUv4, most)
	}
	switch k := by.known; {
	case mtu < most, cut && !by.cutByRouters():
		s.pathMTUs.put(s, now, pathMTUKeyOf(e.Link, e.Dst), mtu, cut)
		clear(s.destinations) // who asks for the way gets one that knows
		s.event(Event{Kind: PathMTULowered, Link: by.link.index, Addr: e.Dst})
	case mtu == most && k != nil && k.expires > now:
		s.pathMTUs.put(s, now, k.to, mtu, k.cut)
	}
	return true
}

// maySend reports whether the packet that an ICMP error is about is one that the stack may have sent, and for which it remembers
// the path's MTU: of a UDP endpoint, or an echo request or reply.
func (s *Stack) maySend(protocol uint8, e *ip.Error) bool {
	if len(e.Transport) < minQuotedTransport {
		return false
	}
	switch protocol {
	case ip.ProtocolUDP:
		local := netip.AddrPortFrom(e.Src, binary.BigEndian.Uint16(e.Transport))
		remote := netip.AddrPortFrom(e.Dst, binary.BigEndian.Uint16(e.Transport[2:]))
		return s.udp.Sends(local, remote, e.Link, e.Foreign)
	case ip.ProtocolICMPv4:
		return e.Transport[0] == wire.ICMPv4EchoRequest || e.Transport[0] == wire.ICMPv4EchoReply
	case ip.ProtocolICMPv6:
		return e.Transport[0] == wire.ICMPv6EchoRequest || e.Transport[0] == wire.ICMPv6EchoReply
	}
	return false
}

// put notes what is known of the way to a destination, which is the latest news then. What is too old goes, and of what
// Limits.PathMTUs has no room for the oldest.
func (m *pathMTUs) put(s *Stack, now int64, to pathMTUKey, mtu int, cut bool) {
	k := m.all[to]
	if k == nil {
		for m.first != nil && (m.first.expires <= now || len(m.all) >= s.limits.PathMTUs) {
			m.forget(m.first)
		}
		k = &pathMTU{to: to}
		if m.all == nil {
			m.all = make(map[pathMTUKey]*pathMTU)
		}
		m.all[to] = k
	} else {
		m.unlink(k)
	}
	k.mtu, k.cut, k.expires = mtu, cut, now+pathMTULifetime
	k.previous = m.last
	if m.last != nil {
		m.last.next = k
	} else {
		m.first = k
	}
	m.last = k
}

// forget forgets k. Paths that know of it have the link's MTU again.
func (m *pathMTUs) forget(k *pathMTU) {
	m.unlink(k)
	k.expires = 0
	delete(m.all, k.to)
}

func (m *pathMTUs) unlink(k *pathMTU) {
	if k.previous != nil {
		k.previous.next = k.next
	} else {
		m.first = k.next
	}
	if k.next != nil {
		k.next.previous = k.previous
	} else {
		m.last = k.previous
	}
	k.previous, k.next = nil, nil
}
