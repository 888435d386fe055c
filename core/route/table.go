// Package route decides where packets go and whom they come from: a table of routes, the choice of a source address,
// and the order in which to try several destinations.
package route

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// DefaultLimit is how many routes a table holds if its Limit is zero.
const DefaultLimit = 1024

// What can be wrong with a route. The errors that Table returns wrap one of these and name the value.
var (
	ErrInvalid   = errors.New("invalid route")
	ErrDuplicate = errors.New("duplicate route")
	ErrNotFound  = errors.New("no such route")
	ErrLimit     = errors.New("too many routes")
)

// Route says by which interface, and by way of which router, a range of destinations is reached.
type Route struct {
	// Destination is the range, without host bits set: 192.0.2.0/24, not 192.0.2.1/24. An IPv4 range is written as
	// such, not as an IPv4-mapped IPv6 one.
	Destination netip.Prefix
	// Gateway is the router, of the same address family, without zone. Zero: the destinations are on the link.
	Gateway netip.Addr
	// Metric decides between routes of the same Destination: the lowest wins. Not negative.
	Metric int
	// Link is the index of the interface, 1 or more.
	Link int32
	// Origin says where the route came from. It does not distinguish routes.
	Origin Origin
}

// Origin says where an address or a route came from.
type Origin uint8

const (
	Static    Origin = iota // somebody has configured it
	LinkLocal               // made by the stack itself, for one link
	Autoconf                // from a router's advertisements
	DHCPv4                  // from a DHCP server
	DHCPv6                  // from a DHCPv6 server
	Redirect                // from a router that knew a better way
	RPL                     // from a node of the same low-power network

	numOrigins
)

var origins = [numOrigins]string{"static", "link-local", "autoconf", "dhcpv4", "dhcpv6", "redirect", "rpl"}

// String is the origin in a word.
func (o Origin) String() string {
	if o >= numOrigins {
		return fmt.Sprintf("origin %d", uint8(o))
	}
	return origins[o]
}

// String is the route on one line: "192.0.2.0/24 via 198.51.100.1 link 2 metric 0".
func (r Route) String() string {
	via := ""
	if r.Gateway.IsValid() {
		via = fmt.Sprintf(" via %v", r.Gateway)
	}
	return fmt.Sprintf("%v%s link %d metric %d", r.Destination, via, r.Link, r.Metric)
}

// Table holds the routes of a stack. The zero value is empty and ready.
type Table struct {
	// Limit is the largest number of routes; zero means DefaultLimit.
	Limit int

	v4, v6     []length
	count      int
	generation uint64
}

// length holds the routes of one family with prefixes of one length: by address, then metric, then age.
type length struct {
	bits   int
	routes []Route
}

// Generation changes with every change of the table, so that whoever keeps the result of a Lookup knows when to look
// again.
func (t *Table) Generation() uint64 { return t.generation }

// Len is the number of routes.
func (t *Table) Len() int { return t.count }

// Add adds a route. A route that differs from another in nothing but the metric is a duplicate of it: remove that
// first. The error wraps ErrInvalid, ErrDuplicate or ErrLimit, and names the value.
func (t *Table) Add(r Route) error {
	if err := r.check(); err != nil {
		return err
	}
	family := t.family(r.Destination.Addr())
	i, found := slices.BinarySearchFunc(*family, r.Destination.Bits(), byLength)
	if found && slices.ContainsFunc((*family)[i].routes, r.same) {
		return fmt.Errorf("%w: %v", ErrDuplicate, r)
	}
	limit := t.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	if t.count >= limit {
		return fmt.Errorf("%w: %v would exceed the limit of %d", ErrLimit, r, limit)
	}
	if !found {
		*family = slices.Insert(*family, i, length{bits: r.Destination.Bits()})
	}
	l := &(*family)[i]
	// Among equals the newest goes last, so that the first to be added stays in use.
	j, _ := slices.BinarySearchFunc(l.routes, r, func(have, new Route) int {
		if order := have.compare(new); order != 0 {
			return order
		}
		return -1
	})
	l.routes = slices.Insert(l.routes, j, r)
	t.count++
	t.generation++
	return nil
}

// Remove removes the route with r's Destination, Gateway and Link; r's Metric does not matter. The error wraps
// ErrNotFound and names the value.
func (t *Table) Remove(r Route) error {
	if t.remove(r.same) == 0 {
		return fmt.Errorf("%w: %v", ErrNotFound, r)
	}
	return nil
}

// Find returns the route with r's Destination, Gateway and Link.
func (t *Table) Find(r Route) (Route, bool) {
	for _, l := range *t.family(r.Destination.Addr()) {
		if l.bits == r.Destination.Bits() {
			if i := slices.IndexFunc(l.routes, r.same); i >= 0 {
				return l.routes[i], true
			}
		}
	}
	return Route{}, false
}

// RemoveLink removes all routes by an interface and returns how many there were.
func (t *Table) RemoveLink(link int32) int {
	return t.remove(func(r Route) bool { return r.Link == link })
}

func (t *Table) remove(doomed func(Route) bool) int {
	before := t.count
	for _, family := range []*[]length{&t.v4, &t.v6} {
		for i := range *family {
			l := &(*family)[i]
			t.count -= len(l.routes)
			l.routes = slices.DeleteFunc(l.routes, doomed)
			t.count += len(l.routes)
		}
		*family = slices.DeleteFunc(*family, func(l length) bool { return len(l.routes) == 0 })
	}
	if t.count != before {
		t.generation++
	}
	return before - t.count
}

// Lookup returns the best route to dst: the longest prefix, then the lowest metric, then the oldest. link, if not 0, is
// the index of the interface that it must lead to. dst's zone does not matter; an IPv4-mapped IPv6 address is looked up
// as the IPv6 address that it is.
func (t *Table) Lookup(link int32, dst netip.Addr) (Route, bool) {
	family := t.v6
	if dst.Is4() {
		family = t.v4
	}
	for i := range family {
		l := &family[i]
		prefix, _ := dst.Prefix(l.bits) // l.bits is not too many for the family; the zero Addr gives the zero Prefix
		first, found := slices.BinarySearchFunc(l.routes, prefix.Addr(), byAddress)
		if !found {
			continue
		}
		for j := first; j < len(l.routes) && l.routes[j].Destination == prefix; j++ {
			if link == 0 || l.routes[j].Link == link {
				return l.routes[j], true
			}
		}
	}
	return Route{}, false
}

// Routes returns all routes: IPv4 before IPv6, long prefixes before short ones, then by address, metric and age.
func (t *Table) Routes() []Route {
	routes := make([]Route, 0, t.count)
	for _, family := range [][]length{t.v4, t.v6} {
		for _, l := range family {
			routes = append(routes, l.routes...)
		}
	}
	return routes
}

func (t *Table) family(addr netip.Addr) *[]length {
	if addr.Is4() {
		return &t.v4
	}
	return &t.v6
}

// byLength orders the longest prefixes first.
func byLength(l length, bits int) int { return bits - l.bits }

func byAddress(r Route, addr netip.Addr) int { return r.Destination.Addr().Compare(addr) }

func (r Route) compare(other Route) int {
	if order := r.Destination.Addr().Compare(other.Destination.Addr()); order != 0 {
		return order
	}
	switch {
	case r.Metric < other.Metric:
		return -1
	case r.Metric > other.Metric:
		return 1
	}
	return 0
}

// same reports whether two routes are one but for the metric.
func (r Route) same(other Route) bool {
	return r.Destination == other.Destination && r.Gateway == other.Gateway && r.Link == other.Link
}

func (r Route) check() error {
	fail := func(why string) error { return fmt.Errorf("%w: %v: %s", ErrInvalid, r, why) }
	addr, gateway := r.Destination.Addr(), r.Gateway
	switch {
	case !r.Destination.IsValid():
		return fail("the destination is no prefix")
	case addr.Is4In6():
		return fail("the destination is an IPv4-mapped IPv6 prefix")
	case r.Destination != r.Destination.Masked():
		return fail(fmt.Sprintf("the destination has host bits set; its range is %v", r.Destination.Masked()))
	case r.Metric < 0:
		return fail("the metric is negative")
	case r.Link < 1:
		return fail("there is no such interface")
	case !gateway.IsValid():
		return nil
	case gateway.Is4() != addr.Is4() || gateway.Is4In6():
		return fail("the gateway is not of the destination's address family")
	case gateway.Zone() != "":
		return fail("the gateway has a zone; the link says where it is")
	case gateway.IsUnspecified() || gateway.IsMulticast() || gateway == broadcast:
		return fail("the gateway is no unicast address")
	}
	return nil
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
