package route

import (
	"cmp"
	"net/netip"
	"slices"
)

// Destination is an address that a name resolved to, with the source that Source chooses for it.
type Destination struct {
	Addr   netip.Addr
	Source Address // zero: there is no route, or no source, and the destination cannot be used
}

// SortDestinations sorts the addresses of a host, the one to try first first. It follows RFC 6724 section 6; what its
// rules do not tell apart stays in order.
//
// Not applied are rule 4 (home addresses), as in Source; rule 7 (native transport), because no interface says that it
// is a tunnel; and, among IPv4 addresses, rule 9 (longest matching prefix), because IPv4 addresses tell little about
// where they are, and it would undo the round robin of DNS servers.
func SortDestinations(destinations []Destination) {
	slices.SortStableFunc(destinations, func(a, b Destination) int { return a.compare(&b) })
}

// compare returns less than 0 if d is to be tried before other, by the first of the rules that tells them apart.
// https://www.rfc-editor.org/rfc/rfc6724.html#section-6
func (d *Destination) compare(other *Destination) int {
	a, b := d.traits(), other.traits()
	switch {
	case a.usable != b.usable: // "Rule 1: Avoid unusable destinations."
		return first(a.usable)
	case !a.usable:
		return 0
	case a.matchesScope != b.matchesScope: // "Rule 2: Prefer matching scope."
		return first(a.matchesScope)
	case d.Source.Deprecated != other.Source.Deprecated: // "Rule 3: Avoid deprecated addresses."
		return first(other.Source.Deprecated)
	case a.matchesLabel != b.matchesLabel: // "Rule 5: Prefer matching label."
		return first(a.matchesLabel)
	case a.precedence != b.precedence: // "Rule 6: Prefer higher precedence."
		return cmp.Compare(b.precedence, a.precedence)
	case a.scope != b.scope: // "Rule 8: Prefer smaller scope."
		return cmp.Compare(a.scope, b.scope)
	}
	// "Rule 9: Use longest matching prefix."
	return cmp.Compare(b.common, a.common)
}

// traits are what destinations are compared by.
type traits struct {
	usable, matchesScope, matchesLabel bool
	precedence                         uint8
	scope                              scope
	common                             int
}

func (d *Destination) traits() traits {
	addr, source := d.Addr.Unmap().WithZone(""), d.Source.Prefix.Addr()
	if !source.IsValid() || source.Is4() != addr.Is4() {
		return traits{}
	}
	policy, scope := policyOf(addr), scopeOf(addr)
	t := traits{
		usable:       true,
		matchesScope: scope == scopeOf(source),
		matchesLabel: policy.label == policyOf(source).label,
		precedence:   policy.precedence,
		scope:        scope,
	}
	if addr.Is6() {
		t.common = commonPrefixLen(d.Source.Prefix, addr)
	}
	return t
}

// first returns what sorts a before b if a is, and otherwise b before a.
func first(a bool) int {
	if a {
		return -1
	}
	return 1
}
