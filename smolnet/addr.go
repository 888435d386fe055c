package smolnet

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/internal/inet"
	"github.com/smolnet/smolnet/internal/neterr"
)

// unzoned returns an address as the core has it, without a zone, and the index of the interface that the zone
// names, 0 if the address needs none. The mutex is held.
func (s *Stack) unzoned(addr netip.Addr) (netip.Addr, int32, error) {
	zone := addr.Zone()
	addr = addr.WithZone("")
	if !addr.Is6() || !addr.IsLinkLocalUnicast() && !addr.IsLinkLocalMulticast() && !addr.IsInterfaceLocalMulticast() {
		return addr, 0, nil
	}
	for _, l := range s.links {
		if l.ifc.Name() == zone || strconv.Itoa(int(l.ifc.Index())) == zone {
			return addr, l.ifc.Index(), nil
		}
	}
	if addr.IsLinkLocalUnicast() {
		return addr, 0, ip.ErrInvalid // which link is meant?
	}
	return addr, 0, nil
}

// hasLink reports whether there is an interface of the given index. The mutex is held.
func (s *Stack) hasLink(index int32) bool {
	return slices.ContainsFunc(s.links, func(l *Link) bool { return l.ifc.Index() == index })
}

// shown returns an address of the core's as users see it: with the zone of the given interface if it is link-local, and
// in IPv4-mapped form if so asked.
func (s *Stack) shown(addr netip.AddrPort, link int32, mapped bool) netip.AddrPort {
	a := addr.Addr()
	switch {
	case a.Is4() && mapped:
		a = netip.AddrFrom16(a.As16())
	case a.Is6() && a.IsLinkLocalUnicast():
		a = a.WithZone(s.zone(link))
	default:
		return addr
	}
	return netip.AddrPortFrom(a, addr.Port())
}

// zone returns the name of an interface.
func (s *Stack) zone(link int32) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		if l.ifc.Index() == link {
			return l.ifc.Name()
		}
	}
	return strconv.Itoa(int(link))
}

// endpoints are the two ends of a connection to be, as the core has them.
type endpoints struct {
	local, remote netip.AddrPort
	link          int32
}

// connecting returns where a connection is to lead. A remote address that is missing or unspecified is the stack
// itself. The mutex is held.
func (s *Stack) connecting(n inet.Network, local, remote netip.AddrPort) (e endpoints, err error) {
	r, l := remote.Addr().Unmap(), local.Addr().Unmap()
	if bound := local != (netip.AddrPort{}); bound || !r.IsValid() || !n.Has(r) { // else nothing can be wrong
		var from *sockaddr
		if bound {
			from = sockaddrAt(local)
		}
		if err := checkDial(n, from, sockaddrAt(remote)); err != nil {
			return e, err
		}
	}
	if !r.IsValid() || r.IsUnspecified() {
		r = itself(n, l, r)
	}
	if r, e.link, err = s.unzoned(r); err != nil {
		return e, err
	}
	if l.IsValid() && !l.IsUnspecified() {
		var link int32
		if l, link, err = s.unzoned(l); err != nil {
			return e, neterr.Map("bind", err)
		}
		if e.link == 0 {
			e.link = link
		}
	} else {
		l = netip.Addr{}
	}
	e.local = netip.AddrPortFrom(l, local.Port())
	e.remote = netip.AddrPortFrom(r, remote.Port())
	return e, nil
}

// itself returns the loopback address to connect to in place of no address, or one that is unspecified: it is of the family
// of the local address, if there is one.
func itself(n inet.Network, local, remote netip.Addr) netip.Addr {
	like := remote
	if local.IsValid() && !local.IsUnspecified() {
		like = local
	}
	if n.Family() == '6' || like.Is6() {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// listening returns what to listen on as the core has it, and whether that is both families. The mutex is held.
func (s *Stack) listening(n inet.Network, local netip.AddrPort) (addr netip.AddrPort, link int32, dual bool, err error) {
	a := local.Addr().Unmap()
	if a.IsValid() && !a.IsUnspecified() {
		a, link, err = s.unzoned(a)
		return netip.AddrPortFrom(a, local.Port()), link, false, err
	}
	a = netip.IPv6Unspecified()
	switch n.Family() {
	case '4':
		a = netip.IPv4Unspecified()
	case '6':
	default:
		dual = true
	}
	return netip.AddrPortFrom(a, local.Port()), 0, dual, nil
}
