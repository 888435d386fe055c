package dhcpv4

import (
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// Lease is what a server has given a client. Its slices are not to be changed.
type Lease struct {
	Prefix        netip.Prefix // the address, with the length of its network's prefix
	BroadcastAddr netip.Addr   // not valid: the server did not say
	Server        netip.Addr   // the server's identifier, which is where renewals go

	Routers      []netip.Addr       // default routers, the best first
	Routes       []wire.DHCPv4Route // routes, instead of Routers, if there are any
	DNSServers   []netip.Addr
	NTPServers   []netip.Addr
	DomainName   string   // the domain that the client is in
	DomainSearch []string // domains to look for names in
	Hostname     string
	MTU          int // octets, 576 at least; 0: the server did not say

	// When the lease was asked for, when it is to be renewed by its server (T1), and by any (T2), and when it ends:
	// nanoseconds since the stack's epoch, or timer.Never.
	Start, Renew, Rebind, Expire int64
}

// Gateways returns the routes that the lease brings besides that to its own network.
func (l *Lease) Gateways() []wire.DHCPv4Route {
	// "If the DHCP server returns both a Classless Static Routes option and a Router option, the DHCP client MUST ignore
	// the Router option."
	// https://www.rfc-editor.org/rfc/rfc3442.html
	if len(l.Routes) > 0 {
		return l.Routes
	}
	routes := make([]wire.DHCPv4Route, len(l.Routers))
	for i, router := range l.Routers {
		routes[i] = wire.DHCPv4Route{Prefix: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Router: router}
	}
	return routes
}

// Search returns the domains to look for names in: the search list, or else the domain that the client is in.
func (l *Lease) Search() []string {
	if len(l.DomainSearch) == 0 && l.DomainName != "" {
		return []string{l.DomainName}
	}
	return l.DomainSearch
}

// equal reports whether the two are the same but for their times.
func (l *Lease) equal(other *Lease) bool {
	return l.Prefix == other.Prefix && l.BroadcastAddr == other.BroadcastAddr && l.Server == other.Server &&
		slices.Equal(l.Routers, other.Routers) && slices.Equal(l.Routes, other.Routes) &&
		slices.Equal(l.DNSServers, other.DNSServers) && slices.Equal(l.NTPServers, other.NTPServers) &&
		l.DomainName == other.DomainName && slices.Equal(l.DomainSearch, other.DomainSearch) &&
		l.Hostname == other.Hostname && l.MTU == other.MTU
}

// minMTU is the least MTU that a server is believed: what every host must be able to receive (RFC 1122, section 3.3.2).
// With less, anybody on the link could make all of the host's packets tiny.
const minMTU = 576

// leaseFrom makes a lease of what a server acknowledges. What it does not say stays as it is in old, the lease that is
// renewed, if there is one; nothing of the message is kept.
func (c *Client) leaseFrom(r *wire.DHCPv4Repr, old *Lease) *Lease {
	limits := &c.cfg.Limits
	l := &Lease{
		Prefix:        netip.PrefixFrom(r.YourAddr, r.SubnetBits),
		BroadcastAddr: r.BroadcastAddr,
		Server:        r.ServerID,
		Routers:       hostsOf(r.Routers, limits.Routers),
		Routes:        routesOf(r.Routes, limits.Routes),
		DNSServers:    hostsOf(r.DNSServers, limits.Servers),
		NTPServers:    hostsOf(r.NTPServers, limits.Servers),
		DomainName:    r.DomainName,
		DomainSearch:  slices.Clone(r.DomainSearch[:min(len(r.DomainSearch), limits.Domains)]),
		Hostname:      r.Hostname,
	}
	if r.MTU >= minMTU {
		l.MTU = int(r.MTU)
	}
	if r.SubnetBits == 0 {
		l.Prefix = netip.PrefixFrom(r.YourAddr, classBits(r.YourAddr))
	}
	if old != nil && old.Prefix.Addr() == r.YourAddr {
		l.keep(old, r)
	}
	c.schedule(l, r)
	return l
}

// keep takes over from old what r does not say.
func (l *Lease) keep(old *Lease, r *wire.DHCPv4Repr) {
	if r.SubnetBits == 0 {
		l.Prefix = old.Prefix
	}
	if !l.BroadcastAddr.IsValid() {
		l.BroadcastAddr = old.BroadcastAddr
	}
	if !l.Server.IsValid() {
		l.Server = old.Server
	}
	// Routers that come without routes are new routes, not additions to the old ones.
	if l.Routes == nil && l.Routers == nil {
		l.Routes, l.Routers = old.Routes, old.Routers
	}
	if l.DNSServers == nil {
		l.DNSServers = old.DNSServers
	}
	if l.NTPServers == nil {
		l.NTPServers = old.NTPServers
	}
	if l.DomainName == "" {
		l.DomainName = old.DomainName
	}
	if l.DomainSearch == nil {
		l.DomainSearch = old.DomainSearch
	}
	if l.Hostname == "" {
		l.Hostname = old.Hostname
	}
	if l.MTU == 0 {
		l.MTU = old.MTU
	}
}

// schedule sets the lease's times.
func (c *Client) schedule(l *Lease, r *wire.DHCPv4Repr) {
	// "The client records the lease expiration time as the sum of the time at which the original request was sent and
	// the duration of the lease from the DHCPACK message."
	// https://www.rfc-editor.org/rfc/rfc2131.html#section-4.4.1
	l.Start = c.requested
	if r.LeaseTime >= wire.DHCPv4Infinite {
		l.Renew, l.Rebind, l.Expire = timer.Never, timer.Never, timer.Never
		return
	}
	// "T1 MUST be earlier than T2, which, in turn, MUST be earlier than the time at which the client's lease will expire."
	// "T1 defaults to (0.5 * duration_of_lease). T2 defaults to (0.875 * duration_of_lease)."
	// https://www.rfc-editor.org/rfc/rfc2131.html#section-4.4.5
	lease, t1, t2 := r.LeaseTime, r.RenewalTime, r.RebindingTime
	if t2 <= 0 || t2 >= lease || t2 <= t1 && t1 < lease && t1 > 0 {
		t2 = lease / 8 * 7
	}
	if t1 <= 0 || t1 >= t2 {
		// "Times T1 and T2 SHOULD be chosen with some random "fuzz" around a fixed value, to avoid synchronization of
		// client reacquisition."
		if t1 = lease / 2; t1 >= t2 {
			t1 = t2 / 2
		}
		t1 -= time.Duration(c.cfg.Rand() % uint64(t1/16+1))
	}
	l.Renew, l.Rebind, l.Expire = l.Start+int64(t1), l.Start+int64(t2), l.Start+int64(lease)
}

// hostsOf returns the first of the addresses, limit of them at most, that hosts can have; nil if there are none.
func hostsOf(addrs []netip.Addr, limit int) []netip.Addr {
	var found []netip.Addr
	for _, addr := range addrs {
		if unicast(addr) && len(found) < limit && !slices.Contains(found, addr) {
			found = append(found, addr)
		}
	}
	return found
}

func routesOf(routes []wire.DHCPv4Route, limit int) []wire.DHCPv4Route {
	var found []wire.DHCPv4Route
	for _, route := range routes {
		if (unicast(route.Router) || route.Router.IsUnspecified()) && len(found) < limit && !slices.Contains(found, route) {
			found = append(found, route)
		}
	}
	return found
}

// classBits is the length of the prefix that the address had when networks had classes (RFC 791, section 3.2), for a
// server that does not give a mask.
func classBits(addr netip.Addr) int {
	switch first := addr.As4()[0]; {
	case first < 128:
		return 8
	case first < 192:
		return 16
	default:
		return 24
	}
}
