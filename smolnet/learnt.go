package smolnet

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/smolnet/smolnet/core"
)

// following is what a resolver takes over from what the stack has learnt: the servers and domains that it was not configured with.
// Looking for news when it is asked, it never has to be called by the stack, whose mutex is held when there are some.
type following struct {
	mu              sync.Mutex
	servers, search bool   // these are taken over
	seen            uint64 // of Stack.serversChanged, what was taken over
	domains         []string
}

// follow brings the resolver's servers and domains up to date with what the stack has learnt.
func (r *Resolver) follow() {
	f := &r.following
	f.mu.Lock()
	defer f.mu.Unlock()
	changed := r.stack.serversChanged.Load()
	if f.seen == changed {
		return
	}
	f.seen = changed
	servers, search := r.stack.learntServers()
	if f.servers {
		r.client.SetServers(servers)
	}
	if f.search {
		f.domains = search
	}
}

// searchList returns the domains in which names are looked for, each with a final dot.
func (r *Resolver) searchList() []string {
	r.follow()
	r.following.mu.Lock()
	defer r.following.mu.Unlock()
	return r.following.domains
}

// Search returns the domains in which a name is looked for that has no final dot.
func (r *Resolver) Search() []string { return slices.Clone(r.searchList()) }

// SetSearch replaces the domains in which a name is looked for that has no final dot, see ResolverConfig.Search, and those that DHCP
// servers and routers have told of. The error, which wraps core.ErrConfig, names what is wrong; then the former ones stay.
func (r *Resolver) SetSearch(domains []string) error {
	domains, err := checkSearch(domains)
	if err != nil {
		return fmt.Errorf("smolnet: %w: %w", core.ErrConfig, err)
	}
	r.following.mu.Lock()
	defer r.following.mu.Unlock()
	r.following.search, r.following.domains = false, domains
	return nil
}

// learntServers returns the name servers and the domains that the stack has learnt of, those of its interfaces in turn.
func (s *Stack) learntServers() (servers []netip.AddrPort, search []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	learn := func(l *Link, addrs []netip.Addr, domains []string) {
		for _, addr := range addrs {
			if addr.Is6() && addr.IsLinkLocalUnicast() {
				addr = addr.WithZone(l.Name())
			}
			if server := netip.AddrPortFrom(addr, dnsPort); !slices.Contains(servers, server) {
				servers = append(servers, server)
			}
		}
		domains, err := checkSearch(domains)
		if err != nil {
			return
		}
		for _, domain := range domains {
			if !slices.Contains(search, domain) {
				search = append(search, domain)
			}
		}
	}
	for _, l := range s.links {
		if lease, ok := l.ifc.DHCPv4Lease(); ok && lease.InUse() {
			learn(l, lease.DNSServers, lease.Search())
		}
		if lease, ok := l.ifc.DHCPv6Lease(); ok {
			learn(l, lease.NameServers, lease.Domains)
		}
		for _, server := range l.ifc.NameServers() {
			learn(l, []netip.Addr{server.Addr}, nil)
		}
		for _, domain := range l.ifc.SearchDomains() {
			learn(l, nil, []string{domain.Name})
		}
	}
	return servers, search
}
