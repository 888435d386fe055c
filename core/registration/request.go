package registration

import (
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

const (
	// maxSolicitations is MAX_UNICAST_SOLICIT: how many solicitations of one request a router may leave unanswered.
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-10
	maxSolicitations = 3
	// retryInterval is the time after which a router is asked again that did not answer, or did not want to.
	retryInterval = time.Minute
)

// settle does what is due, tells the owner what came of it, and sets the timer.
func (h *Host) settle(now int64) {
	h.contexts.expire(now)
	h.expireBorderRouters(now)
	h.expireRequests(now)
	for _, r := range h.routers {
		if r.unasked <= now {
			r.unasked = 0
		}
	}
	for _, a := range h.addresses {
		h.expireBindings(now, a)
		h.choose(now, a)
	}
	for _, a := range h.addresses {
		h.compare(a)
	}
	for _, r := range h.routers {
		if r.request == nil {
			h.ask(now, r)
		}
	}
	h.refresh(now)
	if h.contexts.changed {
		h.contexts.changed = false
		h.told = append(h.told, told{kind: tellContexts})
	}
	h.arm()
	h.tell(now)
}

// Expire does what is due. The timer heap calls it.
func (h *Host) Expire(now int64) { h.settle(now) }

func (h *Host) expireBorderRouters(now int64) {
	for i := len(h.border) - 1; i >= 0; i-- {
		if h.border[i].until <= now {
			h.border = append(h.border[:i], h.border[i+1:]...)
		}
	}
}

// expireRequests sends requests again that were not answered, or gives them up.
func (h *Host) expireRequests(now int64) {
	for _, r := range h.routers {
		b := r.request
		if b == nil || r.retryAt > now {
			continue
		}
		if r.sent < maxSolicitations {
			h.send(now, b)
			continue
		}
		r.request = nil
		b.state = idle
		if r.bare {
			// It is a router that knows of no registrations, and so has no objections.
			h.registered(now, b, h.cfg.Lifetime)
			continue
		}
		// RFC 6775 has the router forgotten with all that was registered there, as after any failure of neighbour
		// unreachability detection.
		// https://www.rfc-editor.org/rfc/rfc6775.html#section-5.5.3
		r.unasked = now + int64(retryInterval)
		for _, a := range h.addresses {
			b := a.at(r)
			b.state, b.until = idle, 0
		}
		h.told = append(h.told, told{kind: tellUnreachable, request: Request{Router: r.addr}})
	}
}

// expireBindings forgets what is over, and begins another round of registrations if it is time.
func (h *Host) expireBindings(now int64, a *address) {
	for _, b := range a.bindings {
		if b.until != 0 && b.until <= now {
			b.until = 0
		}
		if b.state == refused && b.retryAt <= now {
			b.state = idle
		}
	}
	if a.renewAt <= now {
		h.renew(a)
	}
}

// renew begins another round of registrations of an address, with all routers that have it.
//
// "The TID is a sequence number that is incremented by the 6LN with each re-registration to a 6LR." And "When a Registered
// Node is registered with multiple 6LRs in parallel, the same TID MUST be used."
// https://www.rfc-editor.org/rfc/rfc8505.html#section-5.2
func (h *Host) renew(a *address) {
	a.renewAt = timer.Never
	a.tid = nextTID(a.tid)
	for _, b := range a.bindings {
		switch {
		case b.state == asked:
			// What is under way is of the last round; its answer will be too.
			b.router.request = nil
			b.state = due
		case b.state == idle && b.until != 0:
			b.state = due
		}
	}
}

// choose picks the routers that an address is to be registered with: the first that have not refused it.
func (h *Host) choose(now int64, a *address) {
	n := 0
	for _, r := range h.routers {
		b := a.at(r)
		if !h.eligible(now, b) {
			continue
		}
		n++
		switch {
		case n > h.cfg.Registrars && b.state == due:
			b.state = idle // it was to be renewed there; now it runs out
		case n <= h.cfg.Registrars && b.state == idle && b.until == 0:
			b.state = due
		}
	}
}

// eligible reports whether an address can be registered with a router, and is to be.
func (h *Host) eligible(now int64, b *binding) bool {
	r := b.router
	switch {
	case !r.listed || r.unasked > now || b.state == refused:
		return false
	case !r.extended:
		// Of link-local addresses, RFC 6775's routers take those that follow from an EUI-64 to be unique.
		return !b.address.own
	}
	source := h.source(b)
	return source == b || source.state != refused
}

// source is the binding of the address that a router is asked from.
//
// "When sending an NS(EARO) to a 6LR, a 6LN MUST use a Link-Local Address as the Source Address of the registration, whatever
// the type of IPv6 Address that is being registered. That Link-Local Address MUST be either an address that is already
// registered to the 6LR or the address that is being registered."
// https://www.rfc-editor.org/rfc/rfc8505.html#section-5.6
func (h *Host) source(b *binding) *binding {
	if !b.router.extended || b.address.addr.IsLinkLocalUnicast() {
		return b
	}
	for _, a := range h.addresses {
		if a.addr.IsLinkLocalUnicast() {
			return a.at(b.router)
		}
	}
	return b
}

// ask sends a router the first request that is due.
func (h *Host) ask(now int64, r *registrar) {
	for _, a := range h.addresses {
		b := a.at(r)
		if b.state != due {
			continue
		}
		if source := h.source(b); source != b && source.until == 0 {
			continue // the address to ask from comes first
		}
		r.request, r.sent, r.bare = b, 0, false
		b.state = asked
		h.send(now, b)
		return
	}
}

// send sends a request that is under way.
func (h *Host) send(now int64, b *binding) {
	b.router.sent++
	b.router.retryAt = now + int64(h.retransmit)
	h.tellRequest(b, h.cfg.Lifetime)
}

// tellRequest has the owner send a registration of so long.
func (h *Host) tellRequest(b *binding, lifetime time.Duration) {
	a, r := b.address, b.router
	// The solicitation is for the router itself, as any of neighbour unreachability detection, and
	//
	// "the address that is to be registered MUST be the IPv6 source address of the NS message."
	// https://www.rfc-editor.org/rfc/rfc6775.html#section-4.1
	//
	// RFC 8505 has an extended option even for routers that know of none, which are to ignore what is new in it. That is
	// left to those that understand it.
	request := Request{
		Router: r.addr, Source: a.addr, Target: r.addr, Address: a.addr,
		Option: wire.NDAddressRegistrationRepr{Lifetime: lifetime, Owner: wire.EUI64ROVR(h.cfg.EUI64)},
	}
	if r.extended {
		// "[...] the Registered Address is found in the Target Address field of the NS and NA messages as opposed to the
		// Source Address field."
		// https://www.rfc-editor.org/rfc/rfc8505.html#section-5.5
		request.Source, request.Target = h.source(b).address.addr, a.addr
		request.Option.Owner = h.cfg.ROVR
		request.Option.Extended, request.Option.TID = true, a.tid
		// "When registering, a 6LN that acts only as a host MUST set the R flag to indicate that it is not a router and
		// that it will not handle its own reachability."
		// https://www.rfc-editor.org/rfc/rfc8505.html#section-5.1
		request.Option.Reachable = !h.cfg.Routes
	}
	h.told = append(h.told, told{kind: tellRequest, request: request})
}

// registered takes note that a router has an address for so long.
func (h *Host) registered(now int64, b *binding, lifetime time.Duration) {
	a := b.address
	b.state, b.until = idle, now+int64(lifetime)
	a.moved = 0
	a.renewAt = min(a.renewAt, now+h.early(int64(lifetime)))
}

// compare tells the owner if an address has become registered, or no longer is.
func (h *Host) compare(a *address) {
	registered := false
	for _, b := range a.bindings {
		registered = registered || b.until != 0
	}
	if registered == a.registered {
		return
	}
	a.registered = registered
	kind := tellUnregistered
	if registered {
		kind = tellRegistered
	}
	h.told = append(h.told, told{kind: kind, request: Request{Address: a.addr}})
}

// arm sets the timer.
func (h *Host) arm() {
	next := h.contexts.next()
	for i := range h.border {
		next = min(next, h.border[i].until)
	}
	for _, r := range h.routers {
		if r.request != nil {
			next = min(next, r.retryAt)
		}
		if r.listed {
			next = min(next, r.refreshAt)
			if r.unasked != 0 {
				next = min(next, r.unasked)
			}
		}
	}
	for _, a := range h.addresses {
		next = min(next, a.renewAt)
		for _, b := range a.bindings {
			if b.until != 0 {
				next = min(next, b.until)
			}
			if b.state == refused {
				next = min(next, b.retryAt)
			}
		}
	}
	if next == timer.Never {
		h.cfg.Timers.Stop(&h.timer)
		return
	}
	h.cfg.Timers.Arm(&h.timer, h, next)
}

// tell tells the owner what there is to tell. The owner may call the host meanwhile.
func (h *Host) tell(now int64) {
	list := h.told
	h.told = nil
	owner := h.cfg.Owner
	for i := range list {
		switch t, r := &list[i], &list[i].request; t.kind {
		case tellRequest:
			h.counters.Sent++
			owner.Register(now, *r)
		case tellSolicit:
			h.counters.Sent++
			owner.SolicitRouter(now, r.Router)
		case tellRegistered:
			owner.Registered(now, r.Address)
		case tellUnregistered:
			owner.Unregistered(now, r.Address)
		case tellDuplicate:
			owner.Duplicate(now, r.Address)
		case tellRefused:
			owner.Refused(now, r.Address, r.Router, t.status)
		case tellUnreachable:
			owner.Unreachable(now, r.Router)
		case tellContexts:
			owner.ContextsChanged(now)
		}
	}
	if h.told == nil {
		h.told = list[:0]
	}
}
