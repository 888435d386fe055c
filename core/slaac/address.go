package slaac

import (
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/timer"
)

const (
	// maxDuplicates is IDGEN_RETRIES, and TEMP_IDGEN_RETRIES: how often an address is made anew because it was found to
	// be somebody else's.
	// https://www.rfc-editor.org/rfc/rfc7217.html#section-7
	// https://www.rfc-editor.org/rfc/rfc8981.html#section-3.8
	maxDuplicates = 3
	// maxRetryDelay is IDGEN_DELAY: before a stable address is made anew a random time up to it passes, so that hosts
	// which have got in each other's way do not do it again.
	// https://www.rfc-editor.org/rfc/rfc7217.html#section-6
	maxRetryDelay = time.Second

	// regenerateAdvance is REGEN_ADVANCE: how long before a temporary address is deprecated the next is made, so that it
	// has been found to be unique by then. It is 2 s and the time that it takes to be found so maxDuplicates times, with
	// RFC 4862's defaults.
	// https://www.rfc-editor.org/rfc/rfc8981.html#section-3.8
	regenerateAdvance = 2*time.Second + maxDuplicates*time.Second

	// maxTemporaries is how many temporary addresses there are of one prefix at most: the next is made after 0.6 of the
	// time for which one may be preferred at the earliest, and none is valid for more than twice that time. What
	// advertisements say does not matter: the newest follows the prefix for as long as it is not too old.
	maxTemporaries = 5
)

// make makes the addresses that are due.
func (h *Host) make(now int64, p *prefix) {
	if p.stableAt <= now {
		h.makeStable(now, p)
	}
	if p.temporaryAt <= now {
		if len(p.temporary) > 0 {
			p.tempDuplicates = 0 // the last one was unique
		}
		h.makeTemporary(now, p)
	}
}

// makeStable makes the address that the interface always has in the prefix.
func (h *Host) makeStable(now int64, p *prefix) {
	p.stableAt = timer.Never
	id := h.cfg.Identifier
	if h.cfg.Secret != nil {
		id = Stable(p.prefix, h.cfg.Interface, p.duplicates, h.cfg.Secret)
	}
	a := &address{Address: Address{
		Prefix: id.With(p.prefix), PreferredUntil: p.preferredUntil, ValidUntil: p.validUntil,
	}}
	p.stable = a
	h.set(now, p, a)
}

// set gives the link an address, and forgets it if the link does not want it.
func (h *Host) set(now int64, p *prefix, a *address) {
	if h.cfg.Link.SetAddress(now, a.Address) != nil {
		p.forget(a)
	}
}

// makeTemporary makes a temporary address, if it will live long enough to be worth it.
func (h *Host) makeTemporary(now int64, p *prefix) {
	p.temporaryAt = timer.Never
	a := &address{created: now, desync: int64(h.cfg.Rand() % uint64(h.cfg.TemporaryPreferred*4/10))}
	a.Temporary = true
	a.PreferredUntil, a.ValidUntil = h.temporaryLifetimes(p, a)
	// "A temporary address is created only if this calculated preferred lifetime is greater than REGEN_ADVANCE time
	// units."
	// https://www.rfc-editor.org/rfc/rfc8981.html#section-3.4
	if a.PreferredUntil-now <= int64(regenerateAdvance) {
		return
	}
	id := RandomIdentifier(h.cfg.Rand)
	a.Prefix = id.With(p.prefix)
	if _, taken := h.address(a.Prefix.Addr()); id.reserved() || id == h.cfg.Identifier || taken != nil {
		return // the random numbers are none
	}
	p.temporary = append(p.temporary, a)
	p.temporaryAt = regeneration(a)
	h.set(now, p, a)
}

// temporaryLifetimes returns until when a temporary address is preferred, and valid: no longer than the prefix is, and
// not longer than such an address may be in all. A random part of that is left out, so that neither hosts nor the
// addresses of a host change together.
// https://www.rfc-editor.org/rfc/rfc8981.html#section-3.4
func (h *Host) temporaryLifetimes(p *prefix, a *address) (preferredUntil, validUntil int64) {
	validUntil = min(p.validUntil, a.created+int64(h.cfg.TemporaryValid))
	return min(p.preferredUntil, a.created+int64(h.cfg.TemporaryPreferred)-a.desync, validUntil), validUntil
}

// regeneration is when the successor of a temporary address is made.
func regeneration(a *address) int64 { return a.PreferredUntil - int64(regenerateAdvance) }

// refresh passes the prefix's lifetimes on to the addresses made from it.
func (h *Host) refresh(now int64, p *prefix) {
	if a := p.stable; a != nil && (a.PreferredUntil != p.preferredUntil || a.ValidUntil != p.validUntil) {
		a.PreferredUntil, a.ValidUntil = p.preferredUntil, p.validUntil
		h.set(now, p, a)
	}
	for _, a := range slices.Clone(p.temporary) {
		preferredUntil, validUntil := h.temporaryLifetimes(p, a)
		if a.PreferredUntil != preferredUntil || a.ValidUntil != validUntil {
			a.PreferredUntil, a.ValidUntil = preferredUntil, validUntil
			h.set(now, p, a)
		}
	}
	if !h.cfg.Temporary || p.tempDuplicates > maxDuplicates {
		return
	}
	p.temporaryAt = now
	if n := len(p.temporary); n > 0 {
		p.temporaryAt = max(now, regeneration(p.temporary[n-1]))
	}
}

// duplicate deals with an address that is somebody else's.
func (h *Host) duplicate(now int64, p *prefix, a *address) {
	p.forget(a)
	if a.Temporary {
		p.tempDuplicates++
		p.temporaryAt = timer.Never
		if p.tempDuplicates <= maxDuplicates {
			h.makeTemporary(now, p)
		}
		return
	}
	// An identifier made from the hardware address leads to the same address again; it takes somebody to sort that out.
	p.duplicates++
	p.stableAt = timer.Never
	if h.cfg.Secret != nil && p.duplicates <= maxDuplicates {
		p.stableAt = now + int64(h.cfg.Rand()%uint64(maxRetryDelay))
	}
}

// address returns the address of the host's with the prefix that it was made from, nil if the host has none such.
func (h *Host) address(addr netip.Addr) (*prefix, *address) {
	for _, p := range h.prefixes {
		if p.stable != nil && p.stable.Prefix.Addr() == addr {
			return p, p.stable
		}
		for _, a := range p.temporary {
			if a.Prefix.Addr() == addr {
				return p, a
			}
		}
	}
	return nil, nil
}

// forget removes an address that the link does not have.
func (p *prefix) forget(a *address) {
	if p.stable == a {
		p.stable = nil
	}
	p.temporary = slices.DeleteFunc(p.temporary, func(other *address) bool { return other == a })
}
