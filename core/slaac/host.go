package slaac

import (
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// Host is what one interface knows from routers.
type Host struct {
	cfg       Config
	counters  Counters
	running   bool
	solicitor solicitor
	lifetimes lifetimes
	watch     watch

	params         Parameters
	informed       bool // the link has been told of the flags
	managed, other bool
	failures       int // how many routers have been found unreachable

	routers  []*router
	routes   []*route // default routes included
	prefixes []*prefix
	servers  []Server
	domains  []Domain

	changed changes
}

// changes is what the link has yet to be told of.
type changes struct{ routers, prefixes, servers bool }

// New returns a host that knows nothing and does nothing until Start. The error wraps ErrInvalid and names the value.
func New(cfg Config) (*Host, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Host{cfg: cfg}
	h.solicitor.host, h.lifetimes.host, h.watch.host = h, h, h
	return h, nil
}

// Start begins to listen to routers and to solicit them. It is also for an interface that comes up again, or is attached
// to a link that may be another: what is known stays known until it expires.
func (h *Host) Start(now int64) {
	h.running = true
	h.solicitor.start(now)
}

// Stop forgets all that was learnt, and takes it from the link.
func (h *Host) Stop(now int64) {
	h.running, h.informed, h.managed, h.other = false, false, false, false
	h.solicitor.stop()
	h.cfg.Timers.Remove(&h.solicitor.timer)
	for _, p := range h.prefixes {
		h.dropPrefix(now, p)
	}
	for _, r := range h.routes {
		h.withdraw(now, r)
	}
	h.changed = changes{len(h.routers) > 0, len(h.prefixes) > 0, len(h.servers)+len(h.domains) > 0}
	h.routers, h.routes, h.prefixes, h.servers, h.domains = nil, nil, nil, nil, nil
	if h.params != (Parameters{}) {
		h.params = Parameters{}
		h.cfg.Link.SetParameters(now, h.params)
	}
	h.settle(now)
	h.cfg.Timers.Remove(&h.lifetimes.timer)
	h.cfg.Timers.Remove(&h.watch.timer)
}

// Counters returns what the host has counted.
func (h *Host) Counters() Counters { return h.counters }

// Parameters returns what routers have said of the link.
func (h *Host) Parameters() Parameters { return h.params }

// Routers returns the routers that are known, in the order in which they were first heard.
func (h *Host) Routers() []Router {
	routers := make([]Router, len(h.routers))
	for i, r := range h.routers {
		routers[i] = Router{Addr: r.addr, Reachable: r.failed == 0}
		if d := h.defaultRoute(r); d != nil {
			routers[i].Preference, routers[i].Until = d.preference, d.until
		}
	}
	return routers
}

// Routes returns the routes that are known, those of prefixes that are on the link included, in the order in which they
// were first heard.
func (h *Host) Routes() []Route {
	var routes []Route
	for _, p := range h.prefixes {
		if p.onLinkUntil != 0 {
			routes = append(routes, p.route())
		}
	}
	for _, r := range h.routes {
		routes = append(routes, Route{Destination: r.destination, Gateway: r.by.addr, Metric: r.metric, Until: r.until})
	}
	return routes
}

// Restore has the link set all routes again, of which it may have lost some.
func (h *Host) Restore(now int64) {
	for _, p := range h.prefixes {
		if p.onLinkUntil != 0 {
			h.cfg.Link.SetRoute(now, p.route())
		}
	}
	for _, r := range h.routes {
		if r.installed {
			h.cfg.Link.SetRoute(now, r.route())
		}
	}
}

// Prefixes returns the prefixes that are known, in the order in which they were first heard.
func (h *Host) Prefixes() []Prefix {
	prefixes := make([]Prefix, len(h.prefixes))
	for i, p := range h.prefixes {
		prefixes[i] = Prefix{p.prefix, p.onLinkUntil, p.preferredUntil, p.validUntil}
	}
	return prefixes
}

// Servers returns the recursive name servers, the one that was first heard of first.
func (h *Host) Servers() []Server { return slices.Clone(h.servers) }

// Domains returns the domains to search for names in, the one that was first heard of first.
func (h *Host) Domains() []Domain { return slices.Clone(h.domains) }

// until is the end of a lifetime, rounded to whole seconds as it came.
func until(now int64, lifetime time.Duration) int64 {
	if lifetime == wire.NDInfiniteLifetime {
		return timer.Never
	}
	return now + int64(lifetime)
}

// settle does what follows from what has changed: routes are brought in line with the routers, the link is told, and
// the timers are set.
func (h *Host) settle(now int64) {
	h.choose(now)
	told := h.changed
	h.changed = changes{}
	if told.routers {
		h.cfg.Link.RoutersChanged(now)
	}
	if told.prefixes {
		h.cfg.Link.PrefixesChanged(now)
	}
	if told.servers {
		h.cfg.Link.ServersChanged(now)
	}
	h.lifetimes.arm()
	h.watch.arm(now)
}

// lifetimes is the timer of the lifetime that ends first. The tables are small enough to be looked through.
type lifetimes struct {
	host  *Host
	timer timer.Timer
}

func (l *lifetimes) arm() {
	h, next := l.host, timer.Never
	for _, r := range h.routes {
		next = min(next, r.until)
	}
	for _, p := range h.prefixes {
		next = min(next, p.next())
	}
	for i := range h.servers {
		next = min(next, h.servers[i].Until)
	}
	for i := range h.domains {
		next = min(next, h.domains[i].Until)
	}
	if next == timer.Never {
		h.cfg.Timers.Stop(&l.timer)
		return
	}
	h.cfg.Timers.Arm(&l.timer, l, next)
}

// Expire forgets what has come to its end, and makes the addresses that are due. The timer heap calls it.
func (l *lifetimes) Expire(now int64) {
	h := l.host
	h.expireRoutes(now)
	h.expirePrefixes(now)
	h.expireServers(now)
	h.settle(now)
}

// Duplicate tells that an address that the host has made is somebody else's; the link has taken it off.
func (h *Host) Duplicate(now int64, addr netip.Addr) {
	p, a := h.address(addr)
	if a == nil {
		return
	}
	h.counters.Duplicates++
	h.duplicate(now, p, a)
	h.lifetimes.arm()
}

// Expired tells that an address's valid lifetime is over; the link has taken it off.
func (h *Host) Expired(now int64, addr netip.Addr) {
	if p, a := h.address(addr); a != nil {
		p.forget(a)
		h.lifetimes.arm()
	}
}
