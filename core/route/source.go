package route

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Address is an address of the stack's own, as far as the choice of a source is concerned.
type Address struct {
	Prefix     netip.Prefix // the address itself, host bits and all, and the length of its subnet's prefix
	Link       int32        // the index of the interface that it is assigned to
	Deprecated bool         // RFC 4862: still valid, but not for anything new if there is another
	Temporary  bool         // RFC 8981: made for privacy, and preferred
	Tentative  bool         // RFC 4862: not yet known to be unique, and never chosen
}

// Source chooses the source address for packets to dst, of either family, from candidates: the addresses of all
// interfaces in the order in which they were configured, of which the first wins where no rule decides. It follows RFC
// 6724 section 5, and where that is about IPv6 alone, does the like for IPv4.
//
// link is the index of the interface by which dst is reached; for a link-local address of the stack's own it is the
// interface that has it; 0 means that it does not matter. nextHop is the gateway on the way; dst or the zero Addr mean
// that there is none. The zones of both are ignored. Source reports false if no candidate may be used.
//
// Of all the section's rules, two are not applied. Rule 4 (home addresses) is about Mobile IPv6, which the stack does
// not speak. Rule 5.5 (prefixes advertised by the next hop) "is only applicable to implementations that track this
// information". In its place, for IPv4, stands a preference for addresses whose subnet the next hop is in: a
// neighbour need not answer an ARP request from a foreign one.
func Source(candidates []Address, link int32, nextHop, dst netip.Addr) (Address, bool) {
	dst, nextHop = dst.Unmap().WithZone(""), nextHop.Unmap().WithZone("")
	if !dst.IsValid() {
		return Address{}, false
	}
	if !nextHop.IsValid() {
		nextHop = dst
	}
	c := choice{dst: dst, nextHop: nextHop, link: link, scope: scopeOf(dst), label: policyOf(dst).label}
	var best *Address
	for i := range candidates {
		if a := &candidates[i]; c.eligible(a) && (best == nil || c.prefers(a, best)) {
			best = a
		}
	}
	if best == nil {
		return Address{}, false
	}
	return *best, true
}

// choice is what the rules compare addresses by.
type choice struct {
	dst, nextHop netip.Addr
	link         int32
	scope        scope
	label        uint8
}

func (c *choice) eligible(a *Address) bool {
	addr := a.Prefix.Addr()
	if a.Tentative || !addr.IsValid() || addr.Is4() != c.dst.Is4() || addr.IsUnspecified() || addr.IsMulticast() {
		return false
	}
	if c.link == 0 || a.Link == c.link {
		return true
	}
	// "For all multicast and link-local destination addresses, the set of candidate source addresses MUST only include
	// addresses assigned to interfaces belonging to the same link as the outgoing interface."
	// https://www.rfc-editor.org/rfc/rfc6724.html#section-4
	// A link-local source, conversely, means nothing on another link, nor a loopback address outside the stack.
	return c.scope != scopeLinkLocal && !c.dst.IsMulticast() && c.dst != broadcast && scopeOf(addr) != scopeLinkLocal
}

// prefers reports whether a is a better source than b by the first of the rules that tells them apart.
// https://www.rfc-editor.org/rfc/rfc6724.html#section-5
func (c *choice) prefers(a, b *Address) bool {
	addrA, addrB := a.Prefix.Addr(), b.Prefix.Addr()

	// "Rule 1: Prefer same address."
	if a, b := addrA == c.dst, addrB == c.dst; a != b {
		return a
	}
	// "Rule 2: Prefer appropriate scope. If Scope(SA) < Scope(SB): If Scope(SA) < Scope(D), then prefer SB and
	// otherwise prefer SA."
	if a, b := scopeOf(addrA), scopeOf(addrB); a < b {
		return a >= c.scope
	} else if b < a {
		return b < c.scope
	}
	// "Rule 3: Avoid deprecated addresses."
	if a.Deprecated != b.Deprecated {
		return b.Deprecated
	}
	// "Rule 5: Prefer outgoing interface."
	if a, b := a.Link == c.link, b.Link == c.link; a != b {
		return a
	}
	if c.dst.Is4() {
		if a, b := a.Prefix.Contains(c.nextHop), b.Prefix.Contains(c.nextHop); a != b {
			return a
		}
	}
	// "Rule 6: Prefer matching label."
	if a, b := policyOf(addrA).label == c.label, policyOf(addrB).label == c.label; a != b {
		return a
	}
	// "Rule 7: Prefer temporary addresses."
	if a.Temporary != b.Temporary {
		return a.Temporary
	}
	// "Rule 8: Use longest matching prefix."
	return commonPrefixLen(a.Prefix, c.dst) > commonPrefixLen(b.Prefix, c.dst)
}

// commonPrefixLen is how many leading bits source and dst, of one family, have in common, "up to the length of S's
// prefix (i.e., the portion of the address not including the interface ID)".
// https://www.rfc-editor.org/rfc/rfc6724.html#section-2.2
func commonPrefixLen(source netip.Prefix, dst netip.Addr) int {
	if dst.Is4() {
		a, b := source.Addr().As4(), dst.As4()
		return min(source.Bits(), bits.LeadingZeros32(binary.BigEndian.Uint32(a[:])^binary.BigEndian.Uint32(b[:])))
	}
	a, b := source.Addr().As16(), dst.As16()
	n := bits.LeadingZeros64(binary.BigEndian.Uint64(a[:]) ^ binary.BigEndian.Uint64(b[:]))
	if n == 64 {
		n += bits.LeadingZeros64(binary.BigEndian.Uint64(a[8:]) ^ binary.BigEndian.Uint64(b[8:]))
	}
	return min(source.Bits(), n)
}
