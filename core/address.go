package core

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

var (
	broadcastAddrv4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	loopbackAddrv4  = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	loopbackAddrv6  = netip.IPv6Loopback()
	allSystemsv4    = netip.AddrFrom4([4]byte{224, 0, 0, 1})
	allNodesv6      = netip.IPv6LinkLocalAllNodes()
)

// AddAddress gives the interface another address, with the prefix of the network that it is in, and tells the link of
// it. The error wraps ErrConfig, and names the address and what is wrong with it.
func (l *Interface) AddAddress(now time.Time, address netip.Prefix) error {
	t := l.stack.enter(now)
	if err := l.addAddress(address); err != nil {
		return fmt.Errorf("core: interface %q: %w: %w", l.name, ErrConfig, err)
	}
	l.announce(t, address.Addr())
	return nil
}

// RemoveAddress takes an address from the interface, and the route to its network unless another address is in it. It
// reports whether the interface had the address.
func (l *Interface) RemoveAddress(now time.Time, addr netip.Addr) bool {
	l.stack.enter(now)
	if !l.has(addr) || l.loopback() {
		return false
	}
	i := slices.IndexFunc(l.addresses, func(own netip.Prefix) bool { return own.Addr() == addr })
	address := l.addresses[i]
	l.addresses = slices.Delete(l.addresses, i, i+1)
	inNetwork := func(own netip.Prefix) bool { return own.Masked() == address.Masked() }
	if !slices.ContainsFunc(l.addresses, inNetwork) {
		_ = l.stack.routes.Remove(route.Route{Destination: address.Masked(), Link: l.index})
	}
	l.leaveGroups(addr)
	l.stack.addressesChanged()
	return true
}

// addAddress makes the address the interface's own.
func (l *Interface) addAddress(address netip.Prefix) error {
	s := l.stack
	if err := l.checkAddress(address); err != nil {
		return err
	}
	if err := l.joinGroups(address.Addr()); err != nil {
		return fmt.Errorf("address %v: %w", address, err)
	}
	if !address.IsSingleIP() && !isLinkLocalv6(address) {
		err := s.routes.Add(route.Route{Destination: address.Masked(), Link: l.index})
		if err != nil && !errors.Is(err, route.ErrDuplicate) { // another address is in the same network
			l.leaveGroups(address.Addr())
			return fmt.Errorf("address %v: %w", address, err)
		}
	}
	l.addresses = append(l.addresses, address)
	s.addressesChanged()
	return nil
}

// checkAddress returns what is wrong with the address for this interface.
func (l *Interface) checkAddress(address netip.Prefix) error {
	addr := address.Addr()
	fail := func(format string, args ...any) error {
		return fmt.Errorf("address %v %w", address, fmt.Errorf(format, args...))
	}
	switch {
	case l.removed:
		return fail("on an interface that was removed")
	case !address.IsValid():
		return fail("is no address with a prefix length")
	case addr.Is4In6():
		return fail("is an IPv4-mapped IPv6 address")
	case addr.IsUnspecified(), addr.IsMulticast(), reservedv4(addr):
		return fail("is no unicast address")
	case addr.IsLoopback() != l.loopback():
		return fail("and this interface do not go together: only the loopback has loopback addresses, and no others")
	case addr.Is6() && !l.ipv6:
		return fail("needs IPv6, which is off, or an MTU of %d; it is %d", wire.IPv6MinMTU, l.mtu)
	case addr.Is4() && address.Bits() < 31 && addr == address.Masked().Addr():
		return fail("is that of the network itself")
	case len(l.addresses) >= l.stack.limits.Addresses:
		return fail("would exceed Limits.Addresses, %d", l.stack.limits.Addresses)
	}
	if last, ok := subnetBroadcast(address); ok && toAddrv4(last) == addr {
		return fail("is the broadcast address of its network")
	}
	for _, other := range l.stack.interfaces {
		for _, taken := range other.addresses {
			if err := overlap(l == other, address, taken); err != nil {
				return fail("%w, of interface %q", err, other.name)
			}
		}
	}
	return nil
}

// overlap returns how two addresses, of one interface or of two, exclude each other. Several addresses in one network
// are in order on one interface. On two, neither would know which of them the neighbours in that network are behind;
// except with link-local addresses, which come with the interface's name.
func overlap(sameInterface bool, address, taken netip.Prefix) error {
	switch {
	case isLinkLocalv6(address) && !sameInterface:
	case address.Addr() == taken.Addr():
		return fmt.Errorf("is a duplicate of %v", taken)
	case sameInterface || address.IsSingleIP() || taken.IsSingleIP():
	case address.Overlaps(taken):
		return fmt.Errorf("overlaps with %v", taken)
	}
	return nil
}

// reservedv4 reports whether addr is in 0.0.0.0/8 or 240.0.0.0/4, which nobody may have by RFC 6890 section 2.2.2.
func reservedv4(addr netip.Addr) bool {
	if !addr.Is4() {
		return false
	}
	first := addr.As4()[0]
	return first == 0 || first >= 240
}

func isLinkLocalv6(address netip.Prefix) bool {
	return address.Addr().Is6() && address.Addr().IsLinkLocalUnicast()
}

// subnetBroadcast returns the last address of an IPv4 network, which is its broadcast address unless the network is
// too small to have one: RFC 3021.
func subnetBroadcast(address netip.Prefix) (uint32, bool) {
	if !address.Addr().Is4() || address.Bits() > 30 {
		return 0, false
	}
	b := address.Masked().Addr().As4()
	return binary.BigEndian.Uint32(b[:]) | broadcastv4>>address.Bits(), true
}

func toAddrv4(addr uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(addr >> 24), byte(addr >> 16), byte(addr >> 8), byte(addr)})
}

// eui64 is the link-local address made from a hardware address.
//
// "[...] is to insert two octets, with hexadecimal values of 0xFF and 0xFE [...], in the middle of the 48-bit MAC
// (between the company_id and vendor-supplied id)" and to invert the "u" (universal/local) bit.
// https://www.rfc-editor.org/rfc/rfc4291.html#appendix-A
func eui64(hw wire.HardwareAddr) netip.Addr {
	return netip.AddrFrom16([16]byte{
		0: 0xfe, 1: 0x80,
		8: hw[0] ^ 2, 9: hw[1], 10: hw[2], 11: 0xff, 12: 0xfe, 13: hw[3], 14: hw[4], 15: hw[5],
	})
}

// joinGroups joins the groups that the owner of the address belongs to.
//
// "A node is required to compute and join (on the appropriate interface) the associated Solicited-Node multicast
// addresses for all unicast and anycast addresses that have been configured for the node's interfaces"
// https://www.rfc-editor.org/rfc/rfc4291.html#section-2.7.1
func (l *Interface) joinGroups(addr netip.Addr) error {
	if l.loopback() {
		return nil
	}
	if addr.Is4() {
		return l.join(allSystemsv4)
	}
	if err := l.join(allNodesv6); err != nil {
		return err
	}
	err := l.join(wire.SolicitedNodeMulticast(addr))
	if err != nil {
		l.leave(allNodesv6)
	}
	return err
}

func (l *Interface) leaveGroups(addr netip.Addr) {
	if addr.Is4() {
		l.leave(allSystemsv4)
		return
	}
	l.leave(allNodesv6)
	l.leave(wire.SolicitedNodeMulticast(addr))
}

// announce tells the link that addr is the interface's own, so that those who knew it elsewhere learn better.
func (l *Interface) announce(now int64, addr netip.Addr) {
	switch {
	case l.medium != dev.Ethernet:
	case addr.Is4():
		l.announceARP(addr)
	default:
		l.advertise(now, addr)
	}
}

// AddRoute adds a route. Its gateway, if it has one, must be on a link of the stack's. The error wraps ErrConfig, and
// names the route and what is wrong with it.
func (s *Stack) AddRoute(r Route) error {
	l := s.Interface(r.Link)
	if l == nil {
		return fmt.Errorf("core: route %v: %w: there is no interface %d", r, ErrConfig, r.Link)
	}
	if err := l.addRoute(r); err != nil {
		return fmt.Errorf("core: interface %q: %w: %w", l.name, ErrConfig, err)
	}
	return nil
}

func (l *Interface) addRoute(r Route) error {
	switch {
	case r.Link != l.index:
		return fmt.Errorf("route %v: it leads to interface %d instead of %d", r, r.Link, l.index)
	case l.loopback():
		return fmt.Errorf("route %v: nothing lies behind the loopback interface", r)
	case r.Gateway.IsValid() && l.stack.Local(0, r.Gateway):
		return fmt.Errorf("route %v: its gateway %v is the stack itself", r, r.Gateway)
	case r.Gateway.IsValid() && !l.onLink(r.Gateway):
		return fmt.Errorf("route %v: its gateway %v is in none of the interface's networks", r, r.Gateway)
	case r.Destination.IsValid() && !l.speaks(r.Destination.Addr()):
		return fmt.Errorf("route %v: the interface has no IPv6", r)
	}
	if err := l.stack.routes.Add(r); err != nil {
		return err
	}
	l.stack.routesChanged()
	return nil
}

// onLink reports whether addr can be reached without a router.
func (l *Interface) onLink(addr netip.Addr) bool {
	return addr.Is6() && addr.IsLinkLocalUnicast() && l.ipv6 ||
		slices.ContainsFunc(l.addresses, func(own netip.Prefix) bool { return own.Contains(addr) })
}

// RemoveRoute removes the route with r's Destination, Gateway and Link. The error wraps route.ErrNotFound.
func (s *Stack) RemoveRoute(r Route) error {
	if err := s.routes.Remove(r); err != nil {
		return fmt.Errorf("core: %w", err)
	}
	s.routesChanged()
	return nil
}

// Routes returns the table of routes, those that come with addresses included.
func (s *Stack) Routes() []Route { return s.routes.Routes() }
