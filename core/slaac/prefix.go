package slaac

import (
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// prefix is what a router has said of a prefix: that it is on the link, or that addresses may be made from it, or both.
type prefix struct {
	prefix                     netip.Prefix
	onLinkUntil                int64 // 0: it is not known to be on the link
	preferredUntil, validUntil int64 // 0: no addresses are made from it

	stable *address
	// duplicates is how many times the stable address was found to be somebody else's, and stableAt when the next is
	// made; timer.Never: none is.
	duplicates uint8
	stableAt   int64

	temporary      []*address // the oldest first
	tempDuplicates uint8      // in succession
	temporaryAt    int64      // when the next is made
}

// address is one that the host has made.
type address struct {
	Address
	created, desync int64 // of a temporary one
}

// twoHours is the least valid lifetime that an advertisement, which anybody could have sent, can leave an address.
const twoHours = 2 * time.Hour

// learnPrefix takes note of what a router says of a prefix.
func (h *Host) learnPrefix(now int64, r *wire.NDPrefixInformationRepr) {
	// "A router SHOULD NOT send a prefix option for the link-local prefix and a host SHOULD ignore such a prefix
	// option."
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-4.6.2
	if addr := r.Prefix.Addr(); within(r.Prefix, linkLocal) || addr.IsMulticast() || addr.IsLoopback() || within(r.Prefix, mapped) {
		h.counters.Ignored++
		return
	}
	// "If the sum of the prefix length and interface identifier length does not equal 128 bits, the Prefix Information
	// option MUST be ignored."
	// https://www.rfc-editor.org/rfc/rfc4862.html#section-5.5.3
	// That concerns addresses only: whether the prefix is on the link is another matter.
	autonomous := r.Autonomous && r.Prefix.Bits() == 64
	if r.Autonomous && !autonomous {
		h.counters.Ignored++
	}
	if !r.OnLink && !autonomous {
		return
	}
	i := slices.IndexFunc(h.prefixes, func(p *prefix) bool { return p.prefix == r.Prefix })
	if i < 0 {
		switch {
		case r.ValidLifetime == 0:
			return
		case len(h.prefixes) >= h.cfg.Limits.Prefixes:
			h.counters.Refused++
			return
		}
		i = len(h.prefixes)
		h.prefixes = append(h.prefixes, &prefix{prefix: r.Prefix, stableAt: timer.Never, temporaryAt: timer.Never})
	}
	p := h.prefixes[i]
	if r.OnLink {
		h.setOnLink(now, p, r.ValidLifetime)
	}
	if autonomous {
		h.setLifetimes(now, p, r.PreferredLifetime, r.ValidLifetime)
	}
	h.prunePrefixes()
}

// setOnLink takes note that the prefix is on the link for so long.
func (h *Host) setOnLink(now int64, p *prefix, lifetime time.Duration) {
	was := p.onLinkUntil
	if lifetime == 0 {
		h.notOnLink(now, p)
		return
	}
	p.onLinkUntil = until(now, lifetime)
	h.changed.prefixes = h.changed.prefixes || was == 0
	if p.onLinkUntil != was {
		h.cfg.Link.SetRoute(now, p.route())
	}
}

func (h *Host) notOnLink(now int64, p *prefix) {
	if p.onLinkUntil != 0 {
		r := p.route()
		p.onLinkUntil = 0
		h.changed.prefixes = true
		h.cfg.Link.DropRoute(now, r)
	}
}

// route is that of a prefix that is on the link.
func (p *prefix) route() Route {
	return Route{Destination: p.prefix, Metric: onLinkMetric, Until: p.onLinkUntil}
}

// setLifetimes takes note of how long addresses made from the prefix are preferred, and valid, and makes them if there
// are none.
func (h *Host) setLifetimes(now int64, p *prefix, preferred, valid time.Duration) {
	told := until(now, valid)
	switch {
	case p.validUntil == 0 && valid == 0:
		return
	case p.validUntil == 0:
		p.validUntil, p.stableAt = told, now
		h.changed.prefixes = true
	// The lifetime of an address is not shortened to less than two hours, lest a single advertisement by anybody takes
	// it away: RFC 4862's rule e of section 5.5.3.
	// https://www.rfc-editor.org/rfc/rfc4862.html#section-5.5.3
	case valid > twoHours || told > p.validUntil:
		p.validUntil = told
	case p.validUntil > now+int64(twoHours):
		p.validUntil = now + int64(twoHours)
	}
	// The preferred lifetime is what it is told to be even so.
	p.preferredUntil = min(until(now, preferred), p.validUntil)
	if p.stable == nil && p.stableAt == timer.Never && p.duplicates == 0 {
		p.stableAt = now // there was no room for it before
	}
	h.refresh(now, p)
	h.make(now, p)
}

// next is when time alone changes something about the prefix.
func (p *prefix) next() int64 {
	next := min(p.stableAt, p.temporaryAt)
	if p.onLinkUntil != 0 {
		next = min(next, p.onLinkUntil)
	}
	if p.validUntil != 0 {
		next = min(next, p.validUntil)
	}
	for _, a := range p.temporary {
		next = min(next, a.ValidUntil)
	}
	return next
}

// expirePrefixes forgets the prefixes and addresses whose lifetimes are over, and makes the addresses that are due.
func (h *Host) expirePrefixes(now int64) {
	for _, p := range h.prefixes {
		if p.onLinkUntil <= now {
			h.notOnLink(now, p)
		}
		if p.validUntil != 0 && p.validUntil <= now {
			h.dropAddresses(now, p)
			continue
		}
		for _, a := range slices.Clone(p.temporary) {
			if a.ValidUntil <= now {
				p.forget(a)
				h.cfg.Link.DropAddress(now, a.Prefix.Addr())
			}
		}
		h.make(now, p)
	}
	h.prunePrefixes()
}

// dropPrefix takes all that came of a prefix from the link.
func (h *Host) dropPrefix(now int64, p *prefix) {
	h.notOnLink(now, p)
	h.dropAddresses(now, p)
}

// dropAddresses takes the addresses made from the prefix from the link, and makes no more.
func (h *Host) dropAddresses(now int64, p *prefix) {
	h.changed.prefixes = h.changed.prefixes || p.validUntil != 0
	doomed := p.temporary
	if p.stable != nil {
		doomed = append([]*address{p.stable}, doomed...)
	}
	*p = prefix{prefix: p.prefix, onLinkUntil: p.onLinkUntil, stableAt: timer.Never, temporaryAt: timer.Never}
	for _, a := range doomed {
		h.cfg.Link.DropAddress(now, a.Prefix.Addr())
	}
}

// prunePrefixes forgets the prefixes that are good for nothing.
func (h *Host) prunePrefixes() {
	h.prefixes = slices.DeleteFunc(h.prefixes, func(p *prefix) bool { return p.onLinkUntil == 0 && p.validUntil == 0 })
}
