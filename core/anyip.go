package core

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/core/wire"
)

// SetAnyIP has the interface answer for ranges of addresses that are not its own, in place of those it answered for: what
// arrives by it for them is the stack's, to be had by listeners and endpoints on wildcard addresses, and pings are answered
// from the address that was asked. On an Ethernet the neighbours are told that the addresses are here. Sockets may be bound to
// them. The stack itself does not have them: what it sends to them leaves, as do packets from others with such a source
// arrive. An address of the stack's own stays that, whatever range it is in. Without an address of its own in a network the interface
// has no neighbours there unless a route says so.
//
// The error, which wraps ErrConfig, names a range that cannot be had: one with host bits set, of addresses that are no
// host's, or of IPv6's link-local ones.
func (l *Interface) SetAnyIP(ranges []netip.Prefix) error {
	if err := l.setAnyIP(ranges); err != nil {
		return fmt.Errorf("core: interface %q: %w: %w", l.name, ErrConfig, err)
	}
	return nil
}

// AnyIP returns the ranges of addresses that the interface answers for though they are not its own.
func (l *Interface) AnyIP() []netip.Prefix { return slices.Clone(l.anyIP) }

func (l *Interface) setAnyIP(ranges []netip.Prefix) error {
	for _, r := range ranges {
		addr := r.Addr()
		switch {
		case !r.IsValid() || addr.Is4In6() || addr.Zone() != "":
			return fmt.Errorf("%v is no range of addresses to answer for", r)
		case r != r.Masked():
			return fmt.Errorf("range %v has host bits set; its range is %v", r, r.Masked())
		case r.Bits() > 0 && !addr.IsGlobalUnicast():
			return fmt.Errorf("range %v has addresses that mean nothing beyond a link or a host", r)
		case l.removed || l.loopback():
			return fmt.Errorf("range %v: the interface can only answer for itself", r)
		}
	}
	l.anyIP = append([]netip.Prefix(nil), ranges...) // nil if there are none
	return nil
}

// answersFor reports whether the interface answers for addr though it is not its own.
func (l *Interface) answersFor(addr netip.Addr) bool {
	for i := range l.anyIP {
		if l.anyIP[i].Contains(addr) {
			return addr.IsGlobalUnicast() && !reservedv4(addr) && !l.Broadcasts(addr) && !l.stack.hasAny(addr)
		}
	}
	return false
}

// answersFor reports whether the interface of the given index, or any for 0, answers for addr though it is not its own.
func (s *Stack) answersFor(link int32, addr netip.Addr) bool {
	for _, l := range s.interfaces {
		if l.anyIP != nil && (link == 0 || l.index == link) && l.answersFor(addr) {
			return true
		}
	}
	return false
}

// proxiesFor reports whether dst, a group, may be that in which the neighbours look for an address that the interface
// answers for: a solicited-node multicast address. Nobody can join those of all addresses in a range.
func (l *Interface) proxiesFor(dst *[16]byte) bool {
	return l.anyIP != nil && [13]byte(dst[:]) == solicitedNodePrefix
}

var solicitedNodePrefix = [13]byte{0: 0xff, 1: 0x02, 11: 0x01, 12: 0xff}

// advertiseProxied answers from, who looks for an address that the interface answers for though it is not its own: as a proxy,
// so that the answer of whoever has the address would be preferred. RFC 4861 has proxies wait for up to a second, so that the
// answers of several do not collide, and says that this is not necessary where there is only one, as here.
// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.2.8
func (l *Interface) advertiseProxied(now int64, from netip.Addr, r *wire.NDNeighborSolicitationRepr) {
	if !r.SourceLinkAddr.IsZero() {
		l.heard(now, from, r.SourceLinkAddr)
	}
	by := path{stack: l.stack, link: l, nextHop: from}
	source, ok := l.stack.source(&by, from)
	if !ok || !l.has(source) {
		source = r.Target
	}
	l.sendND(now, source, from, r.SourceLinkAddr,
		&wire.NDNeighborAdvertisementRepr{Solicited: true, Target: r.Target, TargetLinkAddr: l.linkAddr})
}
