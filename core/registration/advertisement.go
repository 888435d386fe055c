package registration

import (
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// borderRouter is what is known of a border router.
type borderRouter struct {
	addr    netip.Addr
	version uint32
	until   int64
}

// Advertised reads a router advertisement, sent by the router with the link-local address from, which has no zone. That the
// packet was valid by RFC 4861 section 6.1.2 is the caller's concern. It is for before package slaac's host reads the same
// advertisement, and takes out of r's options what a host of a low-power network does not listen to; it does not write to
// the octets that they share.
func (h *Host) Advertised(now int64, from netip.Addr, r *wire.NDRouterAdvertisementRepr) {
	fresh := h.learnBorderRouter(now, r.Options)
	h.contexts.routerLifetime = r.RouterLifetime
	shortest := wire.NDInfiniteLifetime
	ends := func(lifetime time.Duration) {
		if lifetime != 0 {
			shortest = min(shortest, lifetime)
		}
	}
	ends(r.RouterLifetime)
	var kept wire.NDOptions
	left := false // something has been
	extended, known := false, false
	options := r.Options
	for option, ok := options.Next(); ok; option, ok = options.Next() {
		before := len(r.Options) - len(options) - len(option)
		drop := false
		switch option.Type() {
		case wire.NDOptionPrefixInformation:
			var p wire.NDPrefixInformationRepr
			if p.Parse(option) != nil {
				break // slaac counts it
			}
			// "Should the host erroneously receive a PIO with the L (on-link) flag set, then that PIO MUST be ignored."
			// https://www.rfc-editor.org/rfc/rfc6775.html#section-5.4
			if drop = p.OnLink || !fresh; p.OnLink {
				h.counters.refuse(CauseMalformed)
			}
			if !drop && p.Autonomous {
				ends(p.ValidLifetime)
				ends(p.PreferredLifetime)
			}
		case wire.NDOptionContext:
			var c wire.NDContextRepr
			switch {
			case c.Parse(option) != nil:
				h.counters.refuse(CauseMalformed)
			case fresh:
				h.contexts.learn(now, &c)
				ends(c.Lifetime)
			}
		case wire.NDOptionCapabilities:
			var c wire.NDCapabilitiesRepr
			if c.Parse(option) != nil {
				h.counters.refuse(CauseMalformed)
				break
			}
			extended, known = c.Flags&wire.NDCapabilityExtendedRegistration != 0, true
		}
		if drop && !left {
			kept, left = slices.Clip(r.Options[:before]), true
		} else if !drop && left {
			kept = append(kept, option...)
		}
	}
	if left {
		r.Options = kept
	}
	if r.RouterLifetime != 0 {
		if by := h.learnRouter(from); by != nil {
			if known && h.cfg.Mode == ModeAuto {
				by.extended = extended
			}
			by.refreshes, by.refreshAt = 0, timer.Never
			if shortest != wire.NDInfiniteLifetime {
				by.refreshAt = now + max(h.early(int64(shortest)), int64(maxRefreshInterval))
			}
		}
	}
	h.settle(now)
}

// early is the time after which what lasts so long is renewed: two thirds of it, less up to a tenth, so that hosts which
// began together do not go on together.
func (h *Host) early(lifetime int64) int64 {
	t := lifetime / 3 * 2
	return t - int64(h.cfg.Rand()%uint64(t/10+1))
}

// learnBorderRouter reports whether prefixes and contexts are not older than what is known. Without an authoritative border
// router option they are not.
//
// Versions increase with every change, and are compared as serial numbers.
// https://www.rfc-editor.org/rfc/rfc6775.html#section-4.3
// https://www.rfc-editor.org/rfc/rfc6775.html#section-8.1
func (h *Host) learnBorderRouter(now int64, options wire.NDOptions) (fresh bool) {
	option, ok := options.Find(wire.NDOptionBorderRouter)
	if !ok {
		return true
	}
	var r wire.NDBorderRouterRepr
	if r.Parse(option) != nil || !unicast(r.Router) {
		h.counters.refuse(CauseMalformed)
		return false
	}
	i := slices.IndexFunc(h.border, func(b borderRouter) bool { return b.addr == r.Router })
	switch {
	case i < 0 && len(h.border) >= h.cfg.BorderRouters:
		h.counters.refuse(CauseFull)
		return false
	case i < 0:
		i = len(h.border)
		h.border = append(h.border, borderRouter{})
	case int32(r.Version-h.border[i].version) < 0:
		h.counters.refuse(CauseStale)
		return false
	}
	h.border[i] = borderRouter{r.Router, r.Version, now + int64(r.Lifetime)}
	return true
}

// Times at which a router is asked anew for what is about to expire: as often as one that has not been heard yet.
// https://www.rfc-editor.org/rfc/rfc6775.html#section-9
const (
	refreshInterval    = 10 * time.Second // RTR_SOLICITATION_INTERVAL
	quickRefreshes     = 3                // MAX_RTR_SOLICITATIONS
	maxRefreshInterval = time.Minute      // MAX_RTR_SOLICITATION_INTERVAL
)

// refresh asks the routers for another advertisement that have not been heard for long.
//
// Routers do not advertise unasked here: a host asks them, by unicast, well before what they have said expires.
// https://www.rfc-editor.org/rfc/rfc6775.html#section-5.4.3
func (h *Host) refresh(now int64) {
	for _, r := range h.routers {
		if !r.listed || r.refreshAt > now {
			continue
		}
		interval := refreshInterval << max(0, r.refreshes-quickRefreshes+2)
		r.refreshAt = now + int64(min(interval, maxRefreshInterval))
		r.refreshes = min(r.refreshes+1, quickRefreshes+3)
		h.told = append(h.told, told{kind: tellSolicit, request: Request{Router: r.addr}})
	}
}
