package slaac

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/smolnet/smolnet/core/wire"
)

// learnServers takes note of recursive name servers. One that is known has its lifetime set anew, whichever router
// tells of it.
//
// RFC 8106 section 6.2 lets a new server take the place of the one that expires first when there is no room. Here it
// does not, or anybody could replace all of them by one advertisement.
func (h *Host) learnServers(now int64, r *wire.NDRDNSSRepr) {
	for _, addr := range r.Servers {
		if !isServer(addr) {
			h.counters.Ignored++
			continue
		}
		i := slices.IndexFunc(h.servers, func(s Server) bool { return s.Addr == addr })
		switch {
		case i >= 0 && r.Lifetime == 0:
			// "A value of zero means that the RDNSS addresses MUST no longer be used."
			// https://www.rfc-editor.org/rfc/rfc8106.html#section-5.1
			h.servers = slices.Delete(h.servers, i, i+1)
			h.changed.servers = true
		case i >= 0:
			h.servers[i].Until = until(now, r.Lifetime)
		case r.Lifetime == 0:
		case len(h.servers) >= h.cfg.Limits.Servers:
			h.counters.Refused++
		default:
			h.servers = append(h.servers, Server{addr, until(now, r.Lifetime)})
			h.changed.servers = true
		}
	}
}

// isServer reports whether addr can be a server's.
func isServer(addr netip.Addr) bool {
	return !addr.IsUnspecified() && !addr.IsMulticast() && !addr.IsLoopback() && !addr.Is4In6()
}

// learnDomains takes note of search domains, in the same way.
func (h *Host) learnDomains(now int64, r *wire.NDDNSSLRepr) {
	for _, name := range r.Domains {
		i := slices.IndexFunc(h.domains, func(d Domain) bool { return strings.EqualFold(d.Name, name) })
		switch {
		case i >= 0 && r.Lifetime == 0:
			h.domains = slices.Delete(h.domains, i, i+1)
			h.changed.servers = true
		case i >= 0:
			h.domains[i].Until = until(now, r.Lifetime)
		case r.Lifetime == 0:
		case len(h.domains) >= h.cfg.Limits.Domains:
			h.counters.Refused++
		default:
			h.domains = append(h.domains, Domain{name, until(now, r.Lifetime)})
			h.changed.servers = true
		}
	}
}

// expireServers forgets the servers and domains whose lifetimes are over.
func (h *Host) expireServers(now int64) {
	before := len(h.servers) + len(h.domains)
	h.servers = slices.DeleteFunc(h.servers, func(s Server) bool { return s.Until <= now })
	h.domains = slices.DeleteFunc(h.domains, func(d Domain) bool { return d.Until <= now })
	if len(h.servers)+len(h.domains) != before {
		h.changed.servers = true
	}
}
