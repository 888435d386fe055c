package smolnet

import "github.com/smolnet/smolnet/core"

// Routers returns the routers that have advertised themselves; nil unless Interface.Autoconf was set.
func (l *Link) Routers() []core.Router {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	return l.ifc.Routers()
}

// Prefixes returns the prefixes that routers have advertised; nil unless Interface.Autoconf was set.
func (l *Link) Prefixes() []core.Prefix {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	return l.ifc.Prefixes()
}

// NameServers returns the name servers that routers have advertised; nil unless Interface.Autoconf was set.
func (l *Link) NameServers() []core.NameServer {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	return l.ifc.NameServers()
}

// SearchDomains returns the domains that routers have advertised; nil unless Interface.Autoconf was set.
func (l *Link) SearchDomains() []core.SearchDomain {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	return l.ifc.SearchDomains()
}
