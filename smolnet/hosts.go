package smolnet

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// hosts are the names that nobody is asked for: those of ResolverConfig.Hosts, and "localhost".
type hosts struct {
	addrs map[string][]netip.Addr // by names in small letters without a final dot
	names map[netip.Addr][]string // as shown, in order
}

func newHosts(table map[string][]netip.Addr) (hosts, error) {
	h := hosts{make(map[string][]netip.Addr), make(map[netip.Addr][]string)}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		key := folded(name)
		switch {
		case !isDomainName(name) || name == ".":
			return h, fmt.Errorf("ResolverConfig.Hosts: %q is no host's name", name)
		case isLocalhost(name):
			return h, fmt.Errorf("ResolverConfig.Hosts: %q is always the stack itself", name)
		case h.addrs[key] != nil:
			return h, fmt.Errorf("ResolverConfig.Hosts: %q is there twice, in other letters or with a final dot", name)
		case len(table[name]) == 0:
			return h, fmt.Errorf("ResolverConfig.Hosts: %q has no address", name)
		}
		for _, addr := range table[name] {
			if !addr.IsValid() {
				return h, fmt.Errorf("ResolverConfig.Hosts: %q has an invalid address", name)
			}
			if addr = addr.Unmap(); slices.Contains(h.addrs[key], addr) {
				continue
			}
			h.addrs[key] = append(h.addrs[key], addr)
			h.names[addr] = append(h.names[addr], absolute(name))
		}
	}
	return h, nil
}

// lookup returns the addresses of a domain name and the name as it is shown.
func (h *hosts) lookup(name string) (addrs []netip.Addr, canonical string, ok bool) {
	if isLocalhost(name) {
		return []netip.Addr{loopback4, loopback6}, absolute(folded(name)), true
	}
	addrs, ok = h.addrs[folded(name)]
	return slices.Clone(addrs), absolute(folded(name)), ok
}

// lookupAddr returns the names of an address.
func (h *hosts) lookupAddr(addr netip.Addr) []string {
	addr = addr.Unmap()
	names := slices.Clone(h.names[addr])
	if names == nil && addr.IsLoopback() {
		return []string{localhost}
	}
	return names
}

var (
	loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	loopback6 = netip.IPv6Loopback()
)

const localhost = "localhost"

// isLocalhost reports whether the name is the stack's own for ever, whatever servers or a table may say. Libraries are to know
// that and not to ask for it: https://www.rfc-editor.org/rfc/rfc6761.html#section-6.3
func isLocalhost(name string) bool { return below(name, localhost) }

func folded(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// absolute returns the name with a final dot, as names from DNS have it, but for those of one label, as which package net shows
// the names of the hosts file.
func absolute(name string) string {
	if !strings.Contains(name, ".") {
		return name
	}
	return rooted(name)
}
