package core

import (
	"encoding/binary"
	"net/netip"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// path is the way to a next hop: all destinations behind one router share one, but for those of whose MTU something is
// known. It implements ip.Path.
type path struct {
	stack      *Stack
	link       *Interface
	nextHop    netip.Addr
	generation uint64   // of the routes and addresses that the path was found by
	known      *pathMTU // of the one destination that the path leads to; nil: nothing, and there may be many

	// On a link with link-layer addresses a packet goes to the neighbour, or if there is none to the group's link-layer address.
	neighbour *neighbour.Entry
	group     wire.LinkAddr
}

// pathKey is what there is one path for.
type pathKey struct {
	link int32
	v6   bool
	addr [16]byte
}

// destination remembers the path to an address: a place in a table in which each address has one place, so that a
// packet of a connection finds its way by one comparison.
type destination struct {
	addr netip.Addr
	link int32
	path *path
}

// unroutable is the generation of paths that are never used as they are: what is sent by one is routed by its
// destination.
const unroutable = ^uint64(0)

// Link is the index of the interface that packets leave by.
func (p *path) Link() int32 { return p.link.index }

// MTU is that interface's, for the next hop's version of IP.
func (p *path) MTU() int { return p.link.mtuOf(p.nextHop.Is6()) }

// MaxSegment is what the radio's frames make of a TCP segment; 0: nothing.
func (p *path) MaxSegment() int {
	if p.link.radio != nil {
		return p.link.radio.maxSegment
	}
	return 0
}

// SegmentsTCP reports whether the device takes super-segments of the next hop's version of IP.
func (p *path) SegmentsTCP() bool { return p.link.segments(p.nextHop.Is6()) }

// FillsChecksum reports whether the device completes the protocol's partial checksums.
func (p *path) FillsChecksum(protocol uint8) bool { return p.link.fills(protocol) }

// VerifiesChecksum reports whether the device vouches for the protocol's checksums.
func (p *path) VerifiesChecksum(protocol uint8) bool { return p.link.verifies(protocol) }

// Confirm tells the neighbour cache that the next hop has answered; where there is no neighbour it does nothing.
func (p *path) Confirm(now int64) {
	if p.neighbour != nil {
		p.neighbour.Confirm(now)
	}
}

// Timers is the stack's timer heap. Like Local, Route, Send and Ready it is a method of ip.Network, for the transports:
// users of the stack have NextTimer.
func (s *Stack) Timers() *timer.Heap { return &s.timers }

// Local reports whether addr is one of the stack's own addresses, on the interface of the given index or, for 0, on
// any, or one that it answers for: see InterfaceConfig.AnyIP. All of 127.0.0.0/8 is the loopback's own. It is a method of ip.Network, for the transports.
func (s *Stack) Local(link int32, addr netip.Addr) bool {
	return s.owns(link, addr) || s.answersFor(link, addr)
}

// owns is Local without the addresses that an interface merely answers for: packets to those, from the stack itself, leave it.
func (s *Stack) owns(link int32, addr netip.Addr) bool {
	if link == 0 {
		return s.local.contains(addr) || loopbackv4(addr)
	}
	l := s.Interface(link)
	return l != nil && (l.has(addr) || l.loopback() && loopbackv4(addr))
}

func loopbackv4(addr netip.Addr) bool { return addr.Is4() && addr.IsLoopback() }

// Route finds the path to dst and the source address to use, as ip.Network describes it. An unspecified src counts as
// none. It is for the transports.
func (s *Stack) Route(link int32, src, dst netip.Addr) (ip.Path, netip.Addr, error) {
	chosen := src.IsValid() && !src.IsUnspecified()
	found := s.pathFor(link, src, dst)
	if found == nil {
		return nil, netip.Addr{}, ip.ErrNetworkUnreachable
	}
	if chosen {
		if src.Is4() != dst.Is4() || !s.mayLeave(src, found) {
			return nil, netip.Addr{}, ip.ErrAddressNotAvailable
		}
		return found, src, nil
	}
	source, ok := s.source(found, dst)
	if !ok {
		return nil, netip.Addr{}, ip.ErrAddressNotAvailable
	}
	return found, source, nil
}

// SortDestinations sorts the addresses that a name resolved to, the one to try first first, by the stack's routes and
// addresses: see route.SortDestinations. link returns the index of the interface that a link-local address is on, 0 if
// that is not known; such an address cannot be used.
func (s *Stack) SortDestinations(addrs []netip.Addr, link func(netip.Addr) int32) {
	destinations := make([]route.Destination, len(addrs))
	for i, addr := range addrs {
		destinations[i] = route.Destination{Addr: addr, Source: s.sourceTo(link(addr), addr.Unmap().WithZone(""))}
	}
	route.SortDestinations(destinations)
	for i := range destinations {
		addrs[i] = destinations[i].Addr
	}
}

// sourceTo returns the address that packets to dst would leave with, the zero value if there is no way for them. Unlike
// Route it leaves no trace: asking for a way is no reason to look for neighbours.
func (s *Stack) sourceTo(link int32, dst netip.Addr) route.Address {
	l, nextHop, _ := s.nextHop(link, dst)
	if l == nil {
		return route.Address{}
	}
	if l.loopback() {
		return route.Address{Prefix: netip.PrefixFrom(s.loopbackSource(dst), dst.BitLen()), Link: l.index}
	}
	source, _ := route.Source(s.sources, l.index, nextHop, dst)
	return source
}

// mayLeave reports whether src, as the source of packets by the path, is the stack's own and means something there.
func (s *Stack) mayLeave(src netip.Addr, by *path) bool {
	switch {
	case by.link.loopback():
		return s.Local(0, src)
	case src.IsLoopback():
		return false
	case src.Is6() && src.IsLinkLocalUnicast():
		return by.link.has(src)
	}
	return s.Local(0, src)
}

// source chooses the source address for packets to dst.
func (s *Stack) source(by *path, dst netip.Addr) (netip.Addr, bool) {
	if by.link.loopback() {
		return s.loopbackSource(dst), true
	}
	address, ok := route.Source(s.sources, by.link.index, by.nextHop, dst)
	return address.Prefix.Addr(), ok
}

// loopbackSource is the source address for packets that never leave the stack.
func (s *Stack) loopbackSource(dst netip.Addr) netip.Addr {
	switch {
	case s.local.contains(dst):
		return dst
	case dst.Is4():
		return loopbackAddrv4
	}
	return loopbackAddrv6
}

// pathFor returns the path to dst, nil if there is none. Where the destination alone does not say which link is
// meant, link does, or else src if it is one of the stack's own addresses.
func (s *Stack) pathFor(link int32, src, dst netip.Addr) *path {
	if link == 0 && src.IsValid() && ambiguous(dst) {
		if l := s.owner(src); l != nil {
			link = l.index
		}
	}
	b := dst.As16()
	hash := (binary.LittleEndian.Uint64(b[8:]) ^ uint64(link)) * 0x9e3779b97f4a7c15
	d := &s.destinations[hash>>32&uint64(len(s.destinations)-1)]
	if d.path != nil && d.addr == dst && d.link == link {
		return d.path
	}
	found := s.findPath(link, dst)
	if found != nil {
		*d = destination{addr: dst, link: link, path: found}
	}
	return found
}

// ambiguous reports whether every link has its own meaning of the destination.
func ambiguous(dst netip.Addr) bool {
	return dst.IsMulticast() || dst.IsLinkLocalUnicast() || dst == broadcastAddrv4
}

// owner returns the interface that has the unicast address, preferring none among several.
func (s *Stack) owner(addr netip.Addr) *Interface {
	for _, l := range s.interfaces {
		if l.has(addr) {
			return l
		}
	}
	return nil
}

// findPath is pathFor without the memory.
func (s *Stack) findPath(link int32, dst netip.Addr) *path {
	l, nextHop, group := s.nextHop(link, dst)
	if l == nil {
		return nil
	}
	return s.knowing(s.pathVia(l, nextHop, group), link, dst)
}

// nextHop returns the interface by which dst is reached, nil if it is not, and the next hop, and whether that is a group's
// or broadcast address.
func (s *Stack) nextHop(link int32, dst netip.Addr) (l *Interface, nextHop netip.Addr, group bool) {
	if !dst.IsValid() || dst.IsUnspecified() || dst.Is4In6() {
		return nil, netip.Addr{}, false
	}
	if s.reachesItself(link, dst) {
		return s.loopback, dst, false
	}
	if ambiguous(dst) && (dst.Is6() || dst.IsMulticast() || dst == broadcastAddrv4) {
		l := s.Interface(link)
		if link == 0 && !(dst.Is6() && dst.IsLinkLocalUnicast()) {
			l = s.groupInterface(dst)
		}
		if l == nil || l.loopback() || !l.speaks(dst) {
			return nil, netip.Addr{}, false
		}
		return l, dst, dst.IsMulticast() || dst.Is4()
	}
	r, ok := s.routes.Lookup(link, dst)
	if !ok {
		return nil, netip.Addr{}, false
	}
	l = s.Interface(r.Link)
	if l == nil || !l.speaks(dst) {
		return nil, netip.Addr{}, false
	}
	if r.Gateway.IsValid() {
		return l, r.Gateway, false
	}
	return l, dst, l.Broadcasts(dst)
}

// reachesItself reports whether packets to dst never leave the stack.
func (s *Stack) reachesItself(link int32, dst netip.Addr) bool {
	if dst.Is6() && dst.IsLinkLocalUnicast() {
		return s.owns(link, dst)
	}
	return s.owns(0, dst)
}

// groupInterface chooses the interface for a group or broadcast that nobody has named one for: where a route leads,
// or else the first that could reach anybody.
func (s *Stack) groupInterface(dst netip.Addr) *Interface {
	if r, ok := s.routes.Lookup(0, dst); ok {
		return s.Interface(r.Link)
	}
	for _, l := range s.interfaces {
		if !l.loopback() && l.speaks(dst) && l.hasFamily(dst.Is6()) {
			return l
		}
	}
	return nil
}

// pathVia returns the one path by l to the next hop, which is a group's or broadcast address if group says so.
func (s *Stack) pathVia(l *Interface, nextHop netip.Addr, group bool) *path {
	key := pathKey{link: l.index, v6: nextHop.Is6()}
	if l.neighbours != nil {
		key.addr = nextHop.As16()
	}
	if found := s.paths[key]; found != nil {
		return found
	}
	if len(s.paths) >= s.limits.Paths {
		// Those that nobody uses any more cannot be told from the others, but all are made again cheaply.
		clear(s.paths)
		clear(s.destinations)
	}
	found := &path{stack: s, link: l, nextHop: nextHop, generation: s.generation}
	if l.neighbours != nil {
		if group {
			found.group = l.groupAddr(nextHop)
		} else {
			found.neighbour = l.neighbour(s.now, nextHop)
		}
	}
	s.paths[key] = found
	return found
}

// routesChanged makes every path stale, because routes or addresses are not what they were.
func (s *Stack) routesChanged() {
	s.generation++
	clear(s.paths)
	clear(s.destinations)
}
