package registration

import (
	"net/netip"

	"github.com/smolnet/smolnet/core/wire"
)

// Answer is a neighbour advertisement that a host has received.
type Answer struct {
	Source, Destination, Target netip.Addr    // without zones
	Option                      wire.NDOption // the first of type wire.NDOptionAddressRegistration; nil: there is none
}

// Answered reads a neighbour advertisement. That the packet was valid by RFC 4861 section 7.1.2 is the caller's concern, and
// so is its use for the neighbour cache. The cause is CauseNone if a registration was concerned, and else says why not.
func (h *Host) Answered(now int64, a Answer) Cause {
	if a.Option == nil {
		// It may answer a solicitation of neighbour unreachability detection as well, and so decides nothing yet.
		for _, r := range h.routers {
			if r.request != nil && !r.extended && a.Target == r.addr {
				r.bare = true
				return CauseNone
			}
		}
		return h.counters.refuse(CauseUnasked)
	}
	var option wire.NDAddressRegistrationRepr
	if option.Parse(a.Option) != nil {
		return h.counters.refuse(CauseMalformed)
	}
	// RFC 6775 has an answer ignored whose EUI-64 is not the interface's own.
	// https://www.rfc-editor.org/rfc/rfc6775.html#section-5.5.2
	if option.Owner != wire.EUI64ROVR(h.cfg.EUI64) && option.Owner != h.cfg.ROVR {
		return h.counters.refuse(CauseForeign)
	}
	b := h.requested(&a, &option)
	if b == nil {
		return h.notified(now, &a, &option)
	}
	b.router.request = nil
	b.state = idle
	switch s := option.Status; s {
	case wire.RegistrationSuccess:
		if option.Lifetime == 0 {
			h.refuse(now, b, wire.RegistrationRemoved)
			break
		}
		h.counters.Registrations++
		h.registered(now, b, min(option.Lifetime, h.cfg.Lifetime))
	case wire.RegistrationDuplicate:
		h.duplicate(b)
	case wire.RegistrationDuplicateSource:
		h.duplicate(h.source(b))
	case wire.RegistrationMoved:
		h.movedOn(now, b)
	default:
		h.refuse(now, b, s)
	}
	h.settle(now)
	return CauseNone
}

// requested returns the request that is answered, nil if there is none.
func (h *Host) requested(a *Answer, option *wire.NDAddressRegistrationRepr) *binding {
	var found *binding
	for _, r := range h.routers {
		b := r.request
		if b == nil {
			continue
		}
		if !r.extended {
			// An error goes to the link-local address that follows from the EUI-64.
			// https://www.rfc-editor.org/rfc/rfc6775.html#section-6.5.2
			to := a.Destination == b.address.addr ||
				option.Status != wire.RegistrationSuccess && a.Destination == wire.ExtendedAddr(h.cfg.EUI64).LinkLocal()
			if a.Target == r.addr && to {
				return b
			}
			continue
		}
		if a.Target != b.address.addr || !option.Extended || option.TID != b.address.tid {
			continue
		}
		if a.Source == r.addr {
			return b
		}
		if found == nil && h.router(a.Source) == nil {
			found = b // a router answers from whichever of its addresses
		}
	}
	return found
}

// notified deals with news, unasked for, of a registration.
//
// RFC 8505 has a router tell so of registrations that have moved or been removed.
// https://www.rfc-editor.org/rfc/rfc8505.html#section-4.1
func (h *Host) notified(now int64, a *Answer, option *wire.NDAddressRegistrationRepr) Cause {
	r, address := h.router(a.Source), h.address(a.Target)
	if r == nil || address == nil || !r.extended || !option.Extended || option.TID != address.tid {
		return h.counters.refuse(CauseUnasked)
	}
	b := address.at(r)
	if b.until == 0 || option.Status != wire.RegistrationMoved && option.Status != wire.RegistrationRemoved {
		return h.counters.refuse(CauseUnasked)
	}
	if b.state == asked {
		r.request = nil
	}
	h.refuse(now, b, option.Status)
	h.settle(now)
	return CauseNone
}

// refuse takes note that a router does not register an address for now.
func (h *Host) refuse(now int64, b *binding, status wire.RegistrationStatus) {
	b.state, b.until, b.retryAt = refused, 0, now+int64(retryInterval)
	h.told = append(h.told, told{kind: tellRefused, status: status, request: Request{Router: b.router.addr, Address: b.address.addr}})
}

// duplicate deals with an address that is somebody else's.
//
// "The host MUST NOT use the address it tried to register. If the host has valid registrations with other routers, these MUST
// be removed by registering with each using a zero ARO lifetime."
// https://www.rfc-editor.org/rfc/rfc6775.html#section-5.5.3
func (h *Host) duplicate(b *binding) {
	b.until = 0 // it is not this host's there
	h.withdraw(b.address)
	h.told = append(h.told, told{kind: tellDuplicate, request: Request{Address: b.address.addr}})
}

const (
	// maxMoves is how many times in succession a newer registration of an address is outdone.
	maxMoves = 3
	// moveStep is by how much; so often it is more than the window within which transaction IDs are compared.
	moveStep = tidWindow/maxMoves + 1
)

// movedOn deals with a router that knows of a newer registration: one from before this host was last started, most likely,
// as the address is not somebody else's.
func (h *Host) movedOn(now int64, b *binding) {
	a := b.address
	if !b.router.extended || a.moved >= maxMoves {
		a.moved = 0
		h.refuse(now, b, wire.RegistrationMoved)
		return
	}
	a.moved++
	for range moveStep {
		a.tid = nextTID(a.tid)
	}
	b.state = due
	h.renew(a)
}
