package route

import "net/netip"

// scope is how far an address reaches. The numbers are those of IPv6 multicast addresses (RFC 4291 section 2.7), and
// unicast addresses are compared with them.
// https://www.rfc-editor.org/rfc/rfc6724.html#section-3.1
type scope uint8

const (
	scopeLinkLocal scope = 0x2
	scopeSiteLocal scope = 0x5
	scopeGlobal    scope = 0xe
)

func scopeOf(addr netip.Addr) scope {
	switch {
	case addr.Is6() && addr.IsMulticast():
		octets := addr.As16()
		return scope(octets[1] & 0x0f)
	case addr.Is4() && addr.IsMulticast():
		// RFC 6724 gives IPv4 groups no scope. As global ones they are not sent to from 169.254/16 by a host that has
		// something better.
		return scopeGlobal
	case addr.IsLinkLocalUnicast(), addr.IsLoopback():
		// IPv4's 169.254/16 and 127/8 have link-local scope, and all else, private addresses included, has global
		// scope.
		// https://www.rfc-editor.org/rfc/rfc6724.html#section-3.2
		// "It is treated as having Link-Local scope, and may be thought of as the Link-Local unicast address of a
		// virtual interface", says RFC 4291 of ::1.
		// https://www.rfc-editor.org/rfc/rfc4291.html#section-2.5.3
		return scopeLinkLocal
	case siteLocal.Contains(addr):
		return scopeSiteLocal
	}
	return scopeGlobal
}

var siteLocal = netip.MustParsePrefix("fec0::/10")

// policy is a row of the policy table.
type policy struct {
	prefix     netip.Prefix
	precedence uint8
	label      uint8
}

// policies is RFC 6724's default policy table, the longest prefixes first.
// https://www.rfc-editor.org/rfc/rfc6724.html#section-2.1
var policies = [...]policy{
	{netip.MustParsePrefix("::1/128"), 50, 0},
	{netip.MustParsePrefix("::ffff:0:0/96"), 35, 4},
	{netip.MustParsePrefix("::/96"), 1, 3},
	{netip.MustParsePrefix("2001::/32"), 5, 5},
	{netip.MustParsePrefix("2002::/16"), 30, 2},
	{netip.MustParsePrefix("3ffe::/16"), 1, 12},
	{netip.MustParsePrefix("fec0::/10"), 1, 11},
	{netip.MustParsePrefix("fc00::/7"), 3, 13},
	{netip.MustParsePrefix("::/0"), 40, 1},
}

// policyOf returns the row of addr; an IPv4 address has that of its IPv4-mapped IPv6 form.
func policyOf(addr netip.Addr) *policy {
	if addr.Is4() {
		return &policies[1]
	}
	last := len(policies) - 1 // which contains everything
	for i := range last {
		if policies[i].prefix.Contains(addr) {
			return &policies[i]
		}
	}
	return &policies[last]
}
