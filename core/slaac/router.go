package slaac

import (
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// router is a router by which there is a route at least.
type router struct {
	addr   netip.Addr
	failed int // 0: it is reachable, as far as is known; else the how many-th router it was to be found unreachable
}

// route is a way by a router. A router is a default router by having one to everywhere.
type route struct {
	destination netip.Prefix
	by          *router
	preference  wire.NDPreference
	until       int64

	// What the link knows of it.
	metric    int
	told      int64 // the end of its lifetime
	installed bool
}

var defaultDestination = netip.PrefixFrom(netip.IPv6Unspecified(), 0)

// Metrics: of routes to prefixes on the link, of routes by routers of medium preference, and of routes by routers that do
// not answer. The first two are Linux's.
const (
	onLinkMetric      = 256
	mediumMetric      = 1024
	unreachableMetric = 2048
)

// learnRoute takes note that from offers a way to destination for so long; if that is zero, that it no longer does.
func (h *Host) learnRoute(now int64, from netip.Addr, destination netip.Prefix, preference wire.NDPreference, lifetime time.Duration) {
	if addr := destination.Addr(); addr.IsMulticast() || addr.IsLoopback() || within(destination, linkLocal) || within(destination, mapped) {
		h.counters.Ignored++
		return
	}
	i := slices.IndexFunc(h.routes, func(r *route) bool { return r.destination == destination && r.by.addr == from })
	switch {
	case i >= 0 && lifetime == 0:
		// At once, as RFC 4861 has it for default routers and RFC 4191 for other routes.
		// https://www.rfc-editor.org/rfc/rfc4861.html#section-6.3.4
		h.dropRoute(now, h.routes[i])
		h.prune()
	case i >= 0:
		r := h.routes[i]
		h.changed.routers = h.changed.routers || r.preference != preference
		r.preference, r.until = preference, until(now, lifetime)
	case lifetime != 0:
		by := h.admit(now, from, destination)
		if by == nil {
			h.counters.Refused++
			return
		}
		h.routes = append(h.routes, &route{destination: destination, by: by, preference: preference, until: until(now, lifetime)})
		h.changed.routers = true
	}
}

var (
	linkLocal = netip.MustParsePrefix("fe80::/10")
	mapped    = netip.MustParsePrefix("::ffff:0:0/96")
)

// within reports whether all of p is in other.
func within(p, other netip.Prefix) bool { return p.Bits() >= other.Bits() && other.Contains(p.Addr()) }

// admit returns the router to which a new route is to be added, nil if there is no room for it or the route.
func (h *Host) admit(now int64, addr netip.Addr, destination netip.Prefix) *router {
	if destination != defaultDestination {
		specific := 0
		for _, r := range h.routes {
			if r.destination != defaultDestination {
				specific++
			}
		}
		if specific >= h.cfg.Limits.Routes {
			return nil
		}
	}
	if r := h.router(addr); r != nil {
		return r
	}
	if len(h.routers) >= h.cfg.Limits.Routers {
		longest := h.longestFailed()
		if longest == nil {
			return nil
		}
		h.dropRouter(now, longest)
	}
	r := &router{addr: addr}
	h.routers = append(h.routers, r)
	return r
}

func (h *Host) router(addr netip.Addr) *router {
	for _, r := range h.routers {
		if r.addr == addr {
			return r
		}
	}
	return nil
}

// Router reports whether the router with the link-local address is known.
func (h *Host) Router(addr netip.Addr) bool { return h.router(addr) != nil }

// longestFailed is the router that has been unreachable longest, nil if none is.
func (h *Host) longestFailed() *router {
	var longest *router
	for _, r := range h.routers {
		if r.failed != 0 && (longest == nil || r.failed < longest.failed) {
			longest = r
		}
	}
	return longest
}

// defaultRoute is the route that makes r a default router, nil if it is none.
func (h *Host) defaultRoute(r *router) *route {
	for _, candidate := range h.routes {
		if candidate.by == r && candidate.destination == defaultDestination {
			return candidate
		}
	}
	return nil
}

// NotRouter tells that a neighbour has said that it is no router.
//
// "In those cases where the IsRouter flag changes from TRUE to FALSE as a result of this update, the node MUST remove
// that router from the Default Router List and update the Destination Cache entries for all destinations using that
// neighbor as a router"
// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.2.5
func (h *Host) NotRouter(now int64, addr netip.Addr) {
	if r := h.router(addr); r != nil {
		h.dropRouter(now, r)
		h.settle(now)
	}
}

// Unreachable tells that a neighbour did not answer. If it is a router, others are used in its place from now on.
//
// "Routers that are reachable or probably reachable (i.e., in any state other than INCOMPLETE) SHOULD be preferred over
// routers whose reachability is unknown or suspect" and "When no routers on the list are known to be reachable or
// probably reachable, routers SHOULD be selected in a round-robin fashion"
// https://www.rfc-editor.org/rfc/rfc4861.html#section-6.3.6
// Here that comes from an unreachable router going to the end of the line each time that it fails.
func (h *Host) Unreachable(now int64, addr netip.Addr) {
	r := h.router(addr)
	if r == nil {
		return
	}
	h.changed.routers = h.changed.routers || r.failed == 0
	h.counters.Unreachable++
	h.failures++
	r.failed = h.failures
	h.settle(now)
}

// Reachable tells that a neighbour has been heard after all.
func (h *Host) Reachable(now int64, addr netip.Addr) {
	if r := h.router(addr); r != nil && r.failed != 0 {
		r.failed = 0
		h.changed.routers = true
		h.settle(now)
	}
}

// dropRouter forgets a router with its routes.
func (h *Host) dropRouter(now int64, r *router) {
	for _, doomed := range slices.Clone(h.routes) {
		if doomed.by == r {
			h.dropRoute(now, doomed)
		}
	}
	h.prune()
}

func (h *Host) dropRoute(now int64, r *route) {
	h.routes = slices.DeleteFunc(h.routes, func(other *route) bool { return other == r })
	h.changed.routers = true
	h.withdraw(now, r)
}

// withdraw takes a route from the link.
func (h *Host) withdraw(now int64, r *route) {
	if r.installed {
		r.installed = false
		h.cfg.Link.DropRoute(now, r.route())
	}
}

func (r *route) route() Route {
	return Route{Destination: r.destination, Gateway: r.by.addr, Metric: r.metric, Until: r.until}
}

// prune forgets the routers that offer nothing.
func (h *Host) prune() {
	h.routers = slices.DeleteFunc(h.routers, func(r *router) bool {
		return !slices.ContainsFunc(h.routes, func(other *route) bool { return other.by == r })
	})
}

// expireRoutes forgets the routes whose lifetimes are over.
func (h *Host) expireRoutes(now int64) {
	for _, r := range slices.Clone(h.routes) {
		if r.until <= now {
			h.dropRoute(now, r)
		}
	}
	h.prune()
}

// choose brings the link's routes in line with what is known of the routers. Of routes to one destination the metric
// chooses: by reachability first, then by preference.
//
// RFC 4191 section 3.2 wants reachability to count for more than the length of the prefix too: a router that does not
// answer is avoided even if the only other one that does has just a shorter prefix to offer.
// https://www.rfc-editor.org/rfc/rfc4191.html#section-3.2
func (h *Host) choose(now int64) {
	hadDefault, hasDefault := h.solicitor.satisfied, false
	for _, r := range h.routes {
		// A router that cannot be reached is one more reason to look for others where they do not advertise unasked.
		// https://www.rfc-editor.org/rfc/rfc6775.html#section-5.3
		hasDefault = hasDefault || r.destination == defaultDestination && (!h.cfg.LowPower || r.by.failed == 0)
		metric := mediumMetric - int(r.preference)
		if r.by.failed != 0 {
			if r.destination != defaultDestination && h.covered(r) {
				h.withdraw(now, r)
				continue
			}
			metric = unreachableMetric + h.place(r.by)
		}
		if !r.installed || metric != r.metric || r.until != r.told {
			r.installed, r.metric, r.told = true, metric, r.until
			h.cfg.Link.SetRoute(now, r.route())
		}
	}
	h.solicitor.satisfied = hasDefault
	switch {
	case hasDefault:
		h.solicitor.answered()
	case hadDefault && h.running:
		// There may be another router that waits to be asked.
		h.solicitor.start(now)
	}
}

// covered reports whether a router that can be reached has a way to all of r's destination.
func (h *Host) covered(r *route) bool {
	return slices.ContainsFunc(h.routes, func(other *route) bool {
		return other.by.failed == 0 && within(r.destination, other.destination)
	})
}

// place is r's place in the line of unreachable routers.
func (h *Host) place(r *router) int {
	place := 0
	for _, other := range h.routers {
		if other.failed != 0 && other.failed < r.failed {
			place++
		}
	}
	return place
}

// watch looks after routers that are not used because they did not answer.
type watch struct {
	host  *Host
	timer timer.Timer
}

// watchInterval is the least time between two probes of an unreachable router.
//
// RFC 4191 section 3.2 has a host that sends to another router than it would if that could be reached probe the latter,
// but no more often than once a minute, and only as long as there is something to send.
// https://www.rfc-editor.org/rfc/rfc4191.html#section-3.2
const watchInterval = time.Minute

// arm sets the timer if there is a router to look after, and another in its place.
func (w *watch) arm(now int64) {
	h, failed := w.host, 0
	for _, r := range h.routers {
		if r.failed != 0 {
			failed++
		}
	}
	switch {
	case failed == 0 || failed == len(h.routers):
		h.cfg.Timers.Stop(&w.timer)
	case !w.timer.Armed():
		h.cfg.Timers.Arm(&w.timer, w, now+int64(watchInterval))
	}
}

// Expire probes the routers that are avoided, if those in their place are in use. The timer heap calls it.
func (w *watch) Expire(now int64) {
	h, link := w.host, w.host.cfg.Link
	if slices.ContainsFunc(h.routers, func(r *router) bool { return r.failed == 0 && link.Used(now, r.addr) }) {
		for _, r := range slices.Clone(h.routers) {
			if r.failed != 0 {
				link.Probe(now, r.addr)
			}
		}
	}
	w.arm(now)
}
