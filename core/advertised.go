package core

import (
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/wire"
)

// Router is a router that has advertised itself on an interface's link.
type Router struct {
	// Addr is its link-local address, without zone.
	Addr netip.Addr
	// Default says that it leads everywhere; otherwise it leads only where routes of the stack's say.
	Default bool
	// Preference is how much it is preferred to other default routers.
	Preference wire.NDPreference
	// Until is when it stops to be a default router. Zero: never, or it is none.
	Until time.Time
	// Reachable is false after it did not answer. Others are preferred to it until it is heard again.
	Reachable bool
}

// Prefix is a prefix that a router has advertised on an interface's link.
type Prefix struct {
	Prefix netip.Prefix
	// OnLink says that its addresses are reached without a router, until OnLinkUntil. Zero: for ever.
	OnLink      bool
	OnLinkUntil time.Time
	// Autonomous says that the interface has made itself addresses from it, which are preferred until PreferredUntil, and valid
	// until ValidUntil. Zero: for ever.
	Autonomous                 bool
	PreferredUntil, ValidUntil time.Time
}

// NameServer is a recursive name server that a router has advertised.
type NameServer struct {
	// Addr is its address, without zone. A link-local one is on the interface's link.
	Addr netip.Addr
	// Until is when it is no longer to be asked. Zero: never.
	Until time.Time
}

// SearchDomain is a domain to look for names in that a router has advertised.
type SearchDomain struct {
	Name  string    // without a dot at the end
	Until time.Time // when it is no longer to be used. Zero: never
}

// Routers returns the routers that have advertised themselves; nil unless the interface was configured with Autoconf.
func (l *Interface) Routers() []Router {
	if l.autoconf == nil {
		return nil
	}
	var routers []Router
	for _, r := range l.autoconf.host.Routers() {
		router := Router{Addr: r.Addr, Default: r.Until != 0, Preference: r.Preference, Reachable: r.Reachable}
		if router.Default {
			router.Until = l.stack.time(r.Until)
		}
		routers = append(routers, router)
	}
	return routers
}

// Prefixes returns the prefixes that routers have advertised; nil unless the interface was configured with Autoconf.
func (l *Interface) Prefixes() []Prefix {
	if l.autoconf == nil {
		return nil
	}
	var prefixes []Prefix
	for _, p := range l.autoconf.host.Prefixes() {
		prefix := Prefix{Prefix: p.Prefix, OnLink: p.OnLinkUntil != 0, Autonomous: p.ValidUntil != 0}
		if prefix.OnLink {
			prefix.OnLinkUntil = l.stack.time(p.OnLinkUntil)
		}
		if prefix.Autonomous {
			prefix.PreferredUntil, prefix.ValidUntil = l.stack.time(p.PreferredUntil), l.stack.time(p.ValidUntil)
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes
}

// NameServers returns the name servers that routers have advertised; nil unless the interface was configured with Autoconf.
func (l *Interface) NameServers() []NameServer {
	if l.autoconf == nil {
		return nil
	}
	var servers []NameServer
	for _, s := range l.autoconf.host.Servers() {
		servers = append(servers, NameServer{s.Addr, l.stack.time(s.Until)})
	}
	return servers
}

// SearchDomains returns the domains that routers have advertised; nil unless the interface was configured with Autoconf.
func (l *Interface) SearchDomains() []SearchDomain {
	if l.autoconf == nil {
		return nil
	}
	var domains []SearchDomain
	for _, d := range l.autoconf.host.Domains() {
		domains = append(domains, SearchDomain{d.Name, l.stack.time(d.Until)})
	}
	return domains
}
