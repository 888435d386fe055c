package multicast

import (
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/core/ip"
)

// Sets of addresses are sorted slices without duplicates.

func sorted(addrs []netip.Addr) []netip.Addr {
	set := slices.Clone(addrs)
	slices.SortFunc(set, netip.Addr.Compare)
	return slices.Compact(set)
}

func contains(set []netip.Addr, addr netip.Addr) bool {
	_, found := slices.BinarySearchFunc(set, addr, netip.Addr.Compare)
	return found
}

func union(a, b []netip.Addr) []netip.Addr { return sorted(append(slices.Clone(a), b...)) }

// common is what is in both.
func common(a, b []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(a), func(addr netip.Addr) bool { return !contains(b, addr) })
}

// without is what is in a and not in b.
func without(a, b []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(a), func(addr netip.Addr) bool { return contains(b, addr) })
}

// allows reports whether what source sends is wanted by the filter, whose sources are a set.
func allows(f *ip.SourceFilter, source netip.Addr) bool {
	if len(f.Sources) == 0 {
		return f.Exclude
	}
	return contains(f.Sources, source) != f.Exclude
}

// nothing reports whether the filter wants nobody's packets, which is to say that there is no interest in the group.
func nothing(f *ip.SourceFilter) bool { return !f.Exclude && len(f.Sources) == 0 }

func equal(a, b *ip.SourceFilter) bool {
	return a.Exclude == b.Exclude && slices.Equal(a.Sources, b.Sources)
}
