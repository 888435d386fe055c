package core

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// Address is an address of an interface's own, as of when it was asked for.
type Address struct {
	// Prefix is the address with the length of the prefix of the network that it is in.
	Prefix netip.Prefix
	// State says whether it can be used.
	State AddressState
	// Origin says where it came from.
	Origin Origin
	// Temporary says that it was made for privacy, by RFC 8981: packets to strangers leave from it.
	Temporary bool
	// PreferredUntil and ValidUntil are when it will be deprecated, and when removed. Zero: never.
	PreferredUntil, ValidUntil time.Time
}

// String is the address on one line, as "fdaa::1/64 preferred autoconf".
func (a Address) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %v", a.Prefix, a.State)
	if a.Origin != route.Static {
		fmt.Fprintf(&b, " %v", a.Origin)
	}
	if a.Temporary {
		b.WriteString(" temporary")
	}
	return b.String()
}

// Origin says where an address or a route came from.
type Origin = route.Origin

// AddressState is what an address may be used for, after RFC 4862 section 2.
type AddressState uint8

const (
	// Tentative: the address may be somebody else's, which is being found out. It is not used, nor answered for.
	Tentative AddressState = iota
	// Preferred: the address may be used for anything.
	Preferred
	// Deprecated says that the address is used by what uses it already, and for anything new only if there is no other.
	Deprecated
	// Duplicate: the address is somebody else's. It is not used.
	Duplicate

	numAddressStates
)

var addressStates = [numAddressStates]string{"tentative", "preferred", "deprecated", "duplicate"}

// String is the state in a word.
func (s AddressState) String() string {
	if s >= numAddressStates {
		return fmt.Sprintf("address state %d", uint8(s))
	}
	return addressStates[s]
}

// usable reports whether packets may be sent from such an address, and are received at it.
func (s AddressState) usable() bool { return s == Preferred || s == Deprecated }

var (
	broadcastAddrv4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	loopbackAddrv4  = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	loopbackAddrv6  = netip.IPv6Loopback()
	allSystemsv4    = netip.AddrFrom4([4]byte{224, 0, 0, 1})
	allNodesv6      = netip.IPv6LinkLocalAllNodes()
	allRoutersv6    = netip.IPv6LinkLocalAllRouters()
)

// address is an address that an interface has, or wants to have.
type address struct {
	addressConfig
	link      *Interface
	state     AddressState
	detection detection // of duplicates
	timer     timer.Timer
}

// addressConfig says what an address is to be.
type addressConfig struct {
	prefix    netip.Prefix
	origin    Origin
	temporary bool
	offLink   bool // there is no route to the prefix because of it
	// preferredUntil and validUntil are when the address will be deprecated, and removed. timer.Never: never.
	preferredUntil, validUntil int64
}

// configured is the configuration of an address that somebody has given the interface for good.
func configured(prefix netip.Prefix) addressConfig {
	return addressConfig{prefix: prefix, preferredUntil: timer.Never, validUntil: timer.Never}
}

func (a *address) addr() netip.Addr { return a.prefix.Addr() }

// describe is the address as its users see it.
func (a *address) describe() Address {
	return Address{
		Prefix: a.prefix, State: a.state, Origin: a.origin, Temporary: a.temporary,
		PreferredUntil: a.link.stack.time(a.preferredUntil), ValidUntil: a.link.stack.time(a.validUntil),
	}
}

// time is a time of the stack's, zero for never.
func (s *Stack) time(t int64) time.Time {
	if t == timer.Never {
		return time.Time{}
	}
	return s.epoch.Add(time.Duration(t))
}

// Addresses returns the interface's own addresses, in the order in which they were added.
func (l *Interface) Addresses() []Address {
	addresses := make([]Address, len(l.addresses))
	for i, a := range l.addresses {
		addresses[i] = a.describe()
	}
	return addresses
}

// hasAny reports whether addr is one of the stack's own addresses, in whatever state.
func (s *Stack) hasAny(addr netip.Addr) bool {
	return slices.ContainsFunc(s.interfaces, func(l *Interface) bool { return l.find(addr) != nil || l.loopback() && loopbackv4(addr) })
}

// Settling reports whether addresses of the family that the stack was configured with are being looked for on their links still, or
// registered there, unless routers take long over that.
func (s *Stack) Settling(v6 bool) bool {
	for _, l := range s.interfaces {
		for _, a := range l.addresses {
			if a.state == Tentative && !a.detection.late && a.addr().Is6() == v6 && (a.origin == route.Static || a.origin == route.LinkLocal && v6) {
				return true
			}
		}
	}
	return false
}

// AddAddress gives the interface another address, with the prefix of the network that it is in. Unless
// InterfaceConfig.DuplicateDetection forbids it, an IPv6 address is Tentative until nobody on the link has claimed it. The
// error wraps ErrConfig, and names the address and what is wrong with it.
func (l *Interface) AddAddress(now time.Time, prefix netip.Prefix) error {
	t := l.stack.enter(now)
	err := l.addAddress(configured(prefix))
	if err != nil {
		return fmt.Errorf("core: interface %q: %w: %w", l.name, ErrConfig, err)
	}
	l.detect(t, l.find(prefix.Addr()), 0)
	return nil
}

// RemoveAddress takes an address from the interface, and the route to its network unless another address is in it. It
// reports whether the interface had the address.
func (l *Interface) RemoveAddress(now time.Time, addr netip.Addr) bool {
	t := l.stack.enter(now)
	return !l.loopback() && l.dropAddress(t, addr)
}

// setAddress gives the interface an address that it has learnt of, or has it last for longer or less long if it has it already.
// The error names the address and what is wrong with it; one that somebody has configured stays as it is.
func (l *Interface) setAddress(now int64, c addressConfig) error {
	a := l.find(c.prefix.Addr())
	if a == nil {
		if err := l.addAddress(c); err != nil {
			return err
		}
		l.detect(now, l.find(c.prefix.Addr()), 0)
		return nil
	}
	if a.origin == route.RPL && c.origin == route.Autoconf {
		a.origin = c.origin // a router says the same, and it is its affair from now on
	}
	if a.origin != c.origin {
		return fmt.Errorf("address %v is a duplicate of %v", c.prefix, a.describe())
	}
	state, same := a.state, a.prefix == c.prefix && a.temporary == c.temporary
	if a.prefix != c.prefix || a.offLink != c.offLink {
		l.removePrefixRoute(a)
		a.addressConfig = c
		if err := l.addPrefixRoute(a); err != nil {
			l.dropAddress(now, c.prefix.Addr())
			return err
		}
	}
	a.addressConfig = c
	a.age(now)
	if a.state != state || !same { // else all that changes is how long it lasts, as with every advertisement of a router's
		l.stack.addressesChanged()
	}
	l.addressEvent(AddressChanged, a)
	return nil
}

// dropAddress takes an address from the interface, and reports whether it had it.
func (l *Interface) dropAddress(now int64, addr netip.Addr) bool {
	i := slices.IndexFunc(l.addresses, func(a *address) bool { return a.addr() == addr })
	if i < 0 {
		return false
	}
	a := l.addresses[i]
	if l.registrant != nil {
		l.registrant.host.RemoveAddress(now, addr)
	}
	l.addresses = slices.Delete(l.addresses, i, i+1)
	l.stack.timers.Remove(&a.timer)
	l.removePrefixRoute(a)
	if a.origin == route.Static {
		l.restoreRoutes(now)
	}
	l.leaveGroups(addr)
	l.stack.addressesChanged()
	l.addressEvent(AddressRemoved, a)
	if addr.Is4() && a.origin != route.LinkLocal {
		l.claimLinkLocalv4(now)
	}
	return true
}

// addAddress makes the address the interface's, tentatively: detect is to follow.
func (l *Interface) addAddress(c addressConfig) error {
	if err := l.checkAddress(c.prefix); err != nil {
		return err
	}
	a := &address{addressConfig: c, link: l, detection: detection{due: timer.Never}}
	if err := l.joinGroups(a.addr()); err != nil {
		return fmt.Errorf("address %v: %w", a.prefix, err)
	}
	if err := l.addPrefixRoute(a); err != nil {
		l.leaveGroups(a.addr())
		return err
	}
	l.addresses = append(l.addresses, a)
	l.addressEvent(AddressAdded, a)
	return nil
}

// hasPrefixRoute reports whether the network that the address is in is reached by the interface because of it.
func (a *address) hasPrefixRoute() bool {
	return !a.offLink && !a.prefix.IsSingleIP() && !isLinkLocalv6(a.prefix)
}

func (l *Interface) addPrefixRoute(a *address) error {
	if !a.hasPrefixRoute() {
		return nil
	}
	err := l.setRoute(Route{Destination: a.prefix.Masked(), Link: l.index, Origin: a.origin})
	if err != nil && !errors.Is(err, route.ErrDuplicate) { // another address is in the same network
		return fmt.Errorf("address %v: %w", a.prefix, err)
	}
	return nil
}

// removePrefixRoute removes the route to the network that the address is in. If another address is in it too the route stays, as
// that address's from now on.
func (l *Interface) removePrefixRoute(a *address) {
	if !a.hasPrefixRoute() {
		return
	}
	heir := slices.IndexFunc(l.addresses, func(other *address) bool {
		return other != a && other.hasPrefixRoute() && other.prefix.Masked() == a.prefix.Masked()
	})
	if heir >= 0 && l.addresses[heir].origin == a.origin {
		return
	}
	if l.dropRoute(Route{Destination: a.prefix.Masked(), Link: l.index, Origin: a.origin}) && heir >= 0 {
		_ = l.addPrefixRoute(l.addresses[heir]) // there is room for it: one has just been removed
	}
}

// use begins to use the address: nobody else has it.
func (a *address) use(now int64) {
	a.state = Preferred
	a.age(now)
	l := a.link
	l.stack.addressesChanged()
	l.addressEvent(AddressChanged, a)
	l.announce(now, a.addr())
	if isLinkLocalv6(a.prefix) {
		l.groups.Announce(now, true) // reports had no address to come from
	}
	l.addressReady(now, a)
}

// age brings the state of an address that is in use up to date, and arms its timer.
func (a *address) age(now int64) {
	if a.state.usable() {
		a.state = Preferred
		if now >= a.preferredUntil {
			a.state = Deprecated
		}
	}
	a.arm(now)
}

// arm sets the timer for what is to happen next.
func (a *address) arm(now int64) {
	next := min(a.validUntil, a.detection.due)
	if a.preferredUntil > now {
		next = min(next, a.preferredUntil)
	}
	timers := &a.link.stack.timers
	if next == timer.Never {
		timers.Remove(&a.timer)
	} else {
		timers.Arm(&a.timer, a, next)
	}
}

// Expire is called by the stack's timer heap: the address is to be probed or announced again, or its lifetime is over.
func (a *address) Expire(now int64) {
	l := a.link
	if now >= a.validUntil {
		l.dropAddress(now, a.addr())
		l.addressExpired(now, a)
		return
	}
	if now >= a.detection.due {
		l.detectNext(now, a)
		if a.link.find(a.addr()) != a {
			return
		}
	}
	if before := a.state; before.usable() {
		a.age(now)
		if a.state != before {
			l.stack.addressesChanged()
			l.addressEvent(AddressChanged, a)
		}
		return
	}
	a.arm(now)
}

func (l *Interface) addressEvent(kind EventKind, a *address) {
	if l.rpl != nil {
		l.rpl.addressesChanged()
	}
	l.stack.event(Event{Kind: kind, Link: l.index, Address: a.describe()})
}

// addressReady tells whoever the address came from that it is in use.
func (l *Interface) addressReady(now int64, a *address) {
	if a.addr().Is4() {
		if a.origin != route.LinkLocal {
			l.linkLocalv4.giveWay(now)
		}
		l.learntv4(now, a, false)
	}
}

// addressDuplicate tells them that it cannot be, or no longer: it is somebody else's, and was removed.
func (l *Interface) addressDuplicate(now int64, a *address) {
	if a.addr().Is4() {
		l.learntv4(now, a, true)
		return
	}
	switch a.origin {
	case route.LinkLocal:
		l.linkLocalDuplicate(now)
	case route.Autoconf:
		l.autoconf.host.Duplicate(now, a.addr())
	case route.DHCPv6:
		if l.dhcpv6 != nil {
			l.dhcpv6.client.Duplicate(now, a.addr())
		}
	}
}

// addressExpired tells them that its time is over, and that it was removed.
func (l *Interface) addressExpired(now int64, a *address) {
	if a.origin == route.Autoconf && l.autoconf != nil {
		l.autoconf.host.Expired(now, a.addr())
	}
}

// ownLinkLocalv6 is the interface's IPv6 link-local address, from which it speaks to routers and the like; the unspecified address as
// long as there is none in use.
func (l *Interface) ownLinkLocalv6() netip.Addr {
	for _, a := range l.addresses {
		if isLinkLocalv6(a.prefix) && a.state.usable() {
			return a.addr()
		}
	}
	return netip.IPv6Unspecified()
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
	if err := l.join(allNodesv6); err != nil || l.neighbours == nil {
		return err // where nobody has a hardware address nobody looks for one
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
	if l.neighbours != nil {
		l.leave(wire.SolicitedNodeMulticast(addr))
	}
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
