package registration

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// RouterOwner is the interface that a router belongs to. A router calls it when its own state is settled, so that the router's
// methods may be called back at once.
type RouterOwner interface {
	// Advertise sends a router advertisement from the link-local address, with a source link-layer address option, which is
	// required, behind r's options. It goes to a host, which has the link-layer address linkAddr, or with none to all nodes.
	Advertise(now int64, to netip.Addr, linkAddr wire.LinkAddr, r *wire.NDRouterAdvertisementRepr)

	// Reply sends a neighbour advertisement, from a router and solicited, with the option.
	Reply(now int64, r Reply)

	// Probe sends a neighbour solicitation to an address that is newly registered, to see if it is there: an answer is told
	// by Confirmed. Some attempts, as of neighbour unreachability detection, are well spent.
	Probe(now int64, r Registration)

	// Own reports whether an address is the interface's own, tentative ones included.
	Own(addr netip.Addr) bool

	// Registered tells of an address that is registered, or now has another link-layer address: it is a neighbour, to be
	// reached there until Removed.
	Registered(now int64, r Registration)
	// Removed tells that an address is no longer registered.
	Removed(now int64, r Registration)
}

// Reply is a neighbour advertisement that says what has become of a registration.
type Reply struct {
	To       netip.Addr
	LinkAddr wire.LinkAddr // of To, whatever the neighbour cache says
	Target   netip.Addr
	Option   wire.NDAddressRegistrationRepr
}

// Registration is an address that is registered with a router, of which LinkAddr is the host's on the link, Owner what it is told from
// others by, and Until the end.
type Registration struct {
	Addr     netip.Addr
	LinkAddr wire.LinkAddr
	Owner    wire.ROVR
	// Reachable says that the router was asked to see to it that the address can be reached from elsewhere.
	Reachable bool
	Until     int64
}

// Prefix is a prefix that a router advertises, for hosts to make addresses from.
type Prefix struct {
	Prefix netip.Prefix // of 64 bits
	// Preferred and Valid are the lifetimes of the addresses: whole seconds. Zero: without end.
	Preferred, Valid time.Duration
}

// Defaults of RouterConfig.
const (
	DefaultRouterLifetime   = 30 * time.Minute
	DefaultMaxDelay         = 2 * time.Second // MAX_RA_DELAY_TIME
	DefaultMaxRegistrations = 256
	DefaultMaxPerLinkAddr   = 8
	DefaultMaxSolicitors    = 16
)

// RouterConfig says how a router behaves. Zero in a number or a time means its default.
type RouterConfig struct {
	// Timers, Owner and Rand are what a router works with; all are required. Rand returns uniformly distributed numbers. Package core
	// fills them in.
	Timers *timer.Heap
	Owner  RouterOwner
	Rand   func() uint64

	// RouterLifetime is how long hosts may use the router if they do not hear more of it: whole seconds up to 65,535. Default
	// 30 min.
	RouterLifetime time.Duration
	// HopLimit, Reachable, Retransmit and MTU are advertised to hosts. 0: they are not.
	HopLimit              uint8
	Reachable, Retransmit time.Duration
	MTU                   int
	// Prefixes and Contexts are advertised, as far as they are not changed by SetInformation. There are at most 8 and 16.
	Prefixes []Prefix
	Contexts []wire.NDContextRepr
	// Options are advertised besides, such as name servers.
	Options wire.NDOptions

	// BorderRouter is the border router that prefixes and contexts come from: an address of this one, usually. The zero
	// address: it is not said, and they are for this link only.
	BorderRouter netip.Addr
	// Version is that of prefixes and contexts. SetInformation increases it. A border router must not come back with one that
	// it has used for others; that it is kept is the owner's concern.
	Version uint32
	// InformationLifetime is how long prefixes and contexts from the border router hold: whole minutes. Default 10,000 min.
	InformationLifetime time.Duration

	// Delay is how long an answer to a router solicitation waits at most. Default 2 s.
	Delay time.Duration
	// Interval is the time between advertisements that nobody has asked for: at least 10 s. 0: there are none, as befits
	// nodes that sleep.
	Interval time.Duration

	// Registrations is how many addresses can be registered. Default 256.
	Registrations int
	// PerLinkAddr is how many of them can have the same link-layer address. Default 8.
	PerLinkAddr int
	// Solicitors is how many hosts can wait for an advertisement at once. Default 16.
	Solicitors int
}

// Bounds of times.
const (
	minAdvertisementInterval = 10 * time.Second // MIN_DELAY_BETWEEN_RAS
	maxInterval              = 18 * time.Hour
	// contextDelay is MIN_CONTEXT_CHANGE_DELAY.
	// https://www.rfc-editor.org/rfc/rfc6775.html#section-9
	contextDelay = 5 * time.Minute

	maxPrefixes = 8
)

// withDefaults fills in what is zero and refuses what cannot be.
func (cfg RouterConfig) withDefaults() (RouterConfig, error) {
	if cfg.Timers == nil || cfg.Owner == nil || cfg.Rand == nil {
		return cfg, fmt.Errorf("%w: Timers, Owner and Rand are required", ErrInvalid)
	}
	if cfg.MTU != 0 && (cfg.MTU < wire.IPv6MinMTU || cfg.MTU > 1<<16) {
		return cfg, fmt.Errorf("%w: MTU %d is not between %d and %d", ErrInvalid, cfg.MTU, wire.IPv6MinMTU, 1<<16)
	}
	if cfg.BorderRouter.IsValid() && !unicast(cfg.BorderRouter) {
		return cfg, fmt.Errorf("%w: BorderRouter %v is not IPv6 unicast", ErrInvalid, cfg.BorderRouter)
	}
	if cfg.Interval != 0 {
		if err := bounded("Interval", &cfg.Interval, 0, minAdvertisementInterval, maxInterval); err != nil {
			return cfg, err
		}
	}
	for _, t := range []struct {
		name                  string
		value                 *time.Duration
		standard, least, most time.Duration
	}{
		{"RouterLifetime", &cfg.RouterLifetime, DefaultRouterLifetime, time.Second, 0xffff * time.Second},
		{"InformationLifetime", &cfg.InformationLifetime, wire.NDBorderRouterDefaultLifetime, time.Minute, wire.NDMaxLowpanLifetime},
		{"Delay", &cfg.Delay, DefaultMaxDelay, 1, time.Minute},
	} {
		if err := bounded(t.name, t.value, t.standard, t.least, t.most); err != nil {
			return cfg, err
		}
	}
	if err := counted([]count{
		{"Registrations", &cfg.Registrations, DefaultMaxRegistrations},
		{"PerLinkAddr", &cfg.PerLinkAddr, DefaultMaxPerLinkAddr},
		{"Solicitors", &cfg.Solicitors, DefaultMaxSolicitors},
	}); err != nil {
		return cfg, err
	}
	return cfg, validInformation(cfg.Prefixes, cfg.Contexts)
}

// validInformation refuses prefixes and contexts that cannot be advertised.
func validInformation(prefixes []Prefix, contexts []wire.NDContextRepr) error {
	if len(prefixes) > maxPrefixes {
		return fmt.Errorf("%w: %d prefixes are more than %d", ErrInvalid, len(prefixes), maxPrefixes)
	}
	for _, p := range prefixes {
		switch {
		case p.Prefix.Bits() != 64 || !unicast(p.Prefix.Addr()) || p.Prefix.Addr().IsLinkLocalUnicast():
			return fmt.Errorf("%w: prefix %v is not of 64 bits, or not for addresses", ErrInvalid, p.Prefix)
		case p.Preferred < 0 || p.Valid < 0 || p.Valid != 0 && (p.Preferred == 0 || p.Preferred > p.Valid):
			return fmt.Errorf("%w: prefix %v preferred for %v is valid for %v", ErrInvalid, p.Prefix, p.Preferred, p.Valid)
		}
	}
	var known [maxContexts]bool
	for _, c := range contexts {
		switch {
		case c.ID >= maxContexts || known[c.ID]:
			return fmt.Errorf("%w: context %d is there already, or beyond %d", ErrInvalid, c.ID, maxContexts-1)
		case !c.Prefix.IsValid() || !c.Prefix.Addr().Is6() || c.Prefix.Addr().Is4In6():
			return fmt.Errorf("%w: context %d: prefix %v is not IPv6", ErrInvalid, c.ID, c.Prefix)
		case c.Lifetime < 0 || c.Lifetime > wire.NDMaxLowpanLifetime:
			return fmt.Errorf("%w: context %d: lifetime %v is not between 0 and %v", ErrInvalid, c.ID, c.Lifetime, wire.NDMaxLowpanLifetime)
		}
		known[c.ID] = true
	}
	return nil
}

// Router advertises prefixes and contexts on one link, and registers the addresses of the hosts there.
type Router struct {
	cfg      RouterConfig
	counters Counters
	running  bool
	registry registry

	prefixes []Prefix
	contexts []advertisedContext
	version  uint32

	// Advertisements to come: to each of the solicitors, and to all nodes.
	solicitors []solicitor
	allAt      int64 // timer.Never: none
	all        int64 // when the last was sent to all nodes, if ever is set
	ever       bool
	timer      timer.Timer
}

// advertisedContext is a context, with the time from which on it is for compression.
type advertisedContext struct {
	wire.NDContextRepr
	compressAt int64
}

// solicitor is a host that waits for an advertisement.
type solicitor struct {
	addr     netip.Addr
	linkAddr wire.LinkAddr
	at       int64
}

// NewRouter returns a router that does nothing until Start. The error wraps ErrInvalid and names the value.
func NewRouter(cfg RouterConfig) (*Router, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Router{cfg: cfg, version: cfg.Version, allAt: timer.Never, prefixes: slices.Clone(cfg.Prefixes)}
	for _, c := range cfg.Contexts {
		r.contexts = append(r.contexts, advertisedContext{NDContextRepr: c})
	}
	r.registry.init()
	return r, nil
}

// Start begins to advertise and to register.
func (r *Router) Start(now int64) {
	r.running = true
	if r.cfg.Interval != 0 {
		r.advertiseAll(now)
	}
	r.arm()
}

// Stop ends that, and forgets all registrations.
func (r *Router) Stop(now int64) {
	r.running, r.solicitors, r.allAt = false, nil, timer.Never
	r.cfg.Timers.Remove(&r.timer)
	for _, e := range r.registry.all() {
		r.remove(now, e)
	}
}

// Counters returns what the router has counted.
func (r *Router) Counters() Counters { return r.counters }

// Version returns the version of prefixes and contexts.
func (r *Router) Version() uint32 { return r.version }

// Contexts returns the contexts that the router advertises, by which it compresses itself: Compress says whether it may yet,
// at now.
func (r *Router) Contexts(now int64) []Context {
	var contexts []Context
	for _, c := range r.contexts {
		if c.Lifetime != 0 {
			contexts = append(contexts, Context{c.ID, c.Prefix.Masked(), c.Compress && c.compressAt <= now, timer.Never})
		}
	}
	return contexts
}

// SetInformation replaces prefixes and contexts, and advertises them under a new version to those who ask. Hosts keep what is
// no longer advertised for the rest of its lifetime, unless they are told to forget it: a context by a lifetime of zero, a
// prefix, more or less, by a short one. The error wraps ErrInvalid; nothing has changed then.
//
// A context that is new is advertised for decompression only at first, until every host can have heard of it: for five
// minutes, which RFC 6775 has for the least.
// https://www.rfc-editor.org/rfc/rfc6775.html#section-7.2
func (r *Router) SetInformation(now int64, prefixes []Prefix, contexts []wire.NDContextRepr) error {
	if err := validInformation(prefixes, contexts); err != nil {
		return err
	}
	before := r.contexts
	r.prefixes, r.contexts = slices.Clone(prefixes), nil
	for _, c := range contexts {
		at := now + int64(contextDelay)
		for _, b := range before {
			if b.ID == c.ID && b.Prefix.Masked() == c.Prefix.Masked() {
				at = b.compressAt
			}
		}
		r.contexts = append(r.contexts, advertisedContext{c, at})
	}
	r.version++
	if r.running && r.cfg.Interval != 0 {
		r.advertiseAll(now)
		r.arm()
	}
	return nil
}

// Advertisement returns what the router says of itself, but for the source link-layer address option, which its owner adds.
func (r *Router) Advertisement(now int64) wire.NDRouterAdvertisementRepr {
	ra := wire.NDRouterAdvertisementRepr{
		HopLimit: r.cfg.HopLimit, RouterLifetime: r.cfg.RouterLifetime, Reachable: r.cfg.Reachable, Retransmit: r.cfg.Retransmit,
	}
	var o wire.NDOptions
	if r.cfg.BorderRouter.IsValid() {
		o = o.Append(&wire.NDBorderRouterRepr{
			Version: r.version, Lifetime: r.cfg.InformationLifetime, Router: r.cfg.BorderRouter,
		})
	}
	for _, p := range r.prefixes {
		// "A router MUST NOT set the L (on-link) flag in the PIOs, since that might trigger hosts to send multicast NSs."
		// https://www.rfc-editor.org/rfc/rfc6775.html#section-6.1
		pio := wire.NDPrefixInformationRepr{
			Prefix: p.Prefix.Masked(), Autonomous: true, PreferredLifetime: p.Preferred, ValidLifetime: p.Valid,
		}
		if p.Preferred == 0 {
			pio.PreferredLifetime = wire.NDInfiniteLifetime
		}
		if p.Valid == 0 {
			pio.ValidLifetime = wire.NDInfiniteLifetime
		}
		o = o.Append(&pio)
	}
	for _, c := range r.contexts {
		said := c.NDContextRepr
		said.Compress = said.Compress && c.compressAt <= now
		o = o.Append(&said)
	}
	if r.cfg.MTU != 0 {
		o = o.Append(&wire.NDMTURepr{MTU: uint32(r.cfg.MTU)})
	}
	capabilities := wire.NDCapabilityExtendedRegistration | wire.NDCapabilityRouter
	if r.cfg.BorderRouter.IsValid() && r.cfg.Owner.Own(r.cfg.BorderRouter) {
		capabilities |= wire.NDCapabilityBorderRouter
	}
	o = o.Append(&wire.NDCapabilitiesRepr{Flags: capabilities})
	ra.Options = append(o, r.cfg.Options...)
	return ra
}

// Solicited answers a router solicitation, from a host with the link-layer address that its source link-layer address option
// says, in a while. That the packet was valid by RFC 4861 section 6.1.1 is the caller's concern. The cause is CauseNone, or
// says why it has no answer of its own.
//
// The answer goes by unicast to whoever asks with its address, as all hosts do here. Others', from the unspecified address, goes to
// all nodes, and no sooner than 10 s after the last.
// https://www.rfc-editor.org/rfc/rfc6775.html#section-6.3
func (r *Router) Solicited(now int64, from netip.Addr, linkAddr wire.LinkAddr) Cause {
	if !r.running {
		return r.counters.refuse(CauseUnasked)
	}
	defer r.arm()
	at := now + int64(r.cfg.Rand()%uint64(r.cfg.Delay))
	if from.IsUnspecified() || linkAddr.IsZero() {
		r.advertiseAll(at)
		return CauseNone
	}
	if slices.ContainsFunc(r.solicitors, func(s solicitor) bool { return s.addr == from }) {
		return CauseNone // it will have its answer
	}
	if len(r.solicitors) >= r.cfg.Solicitors {
		// One to all nodes will do for whoever is in the crowd.
		r.advertiseAll(now)
		return r.counters.refuse(CauseFull)
	}
	r.solicitors = append(r.solicitors, solicitor{from, linkAddr, at})
	return CauseNone
}

// advertiseAll sends an advertisement to all nodes at the time, or as soon as may be after it.
func (r *Router) advertiseAll(at int64) {
	if r.ever {
		at = max(at, r.all+int64(minAdvertisementInterval))
	}
	r.allAt = min(r.allAt, at)
}

func (r *Router) arm() {
	next := r.allAt
	for _, s := range r.solicitors {
		next = min(next, s.at)
	}
	if next == timer.Never {
		r.cfg.Timers.Stop(&r.timer)
		return
	}
	r.cfg.Timers.Arm(&r.timer, r, next)
}

var allNodes = netip.MustParseAddr("ff02::1")

// Expire sends the advertisements that are due. The timer heap calls it.
func (r *Router) Expire(now int64) {
	var ready []solicitor
	r.solicitors = slices.DeleteFunc(r.solicitors, func(s solicitor) bool {
		if s.at <= now {
			ready = append(ready, s)
		}
		return s.at <= now
	})
	if r.allAt <= now {
		ready = append(ready, solicitor{addr: allNodes})
		r.all, r.ever, r.allAt = now, true, timer.Never
		if r.cfg.Interval != 0 {
			r.allAt = now + int64(r.cfg.Interval)
		}
	}
	r.arm()
	for _, s := range ready {
		r.counters.Sent++
		ra := r.Advertisement(now)
		r.cfg.Owner.Advertise(now, s.addr, s.linkAddr, &ra)
	}
}
