package registration

import (
	"container/list"
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// registry is the addresses that hosts have registered with a router.
//
// A registration costs its sender one packet, in which all can be made up. So one that is new is on probation: it is asked to
// answer, by which it proves to be there, and until it has it makes room for newer ones when the registry is full, or its
// link-layer address has its share, the oldest first. Those that have answered stay. A flood of made-up registrations thus only
// pushes out others of its kind, and a host that is there has as long to answer as it takes the flood to go through the
// registry once. RFC 6775 would have the new one refused instead, as it still is if all have answered.
// https://www.rfc-editor.org/rfc/rfc6775.html#section-6.5.3
type registry struct {
	entries     map[netip.Addr]*entry
	perLinkAddr map[wire.LinkAddr]int
	probation   list.List // of *entry, the oldest first
}

// entry is one registration.
type entry struct {
	Registration
	router    *Router
	extended  bool // it has a transaction ID
	tid       uint8
	probation *list.Element // nil: it has answered
	timer     timer.Timer
}

func (g *registry) init() {
	g.entries, g.perLinkAddr = make(map[netip.Addr]*entry), make(map[wire.LinkAddr]int)
	g.probation.Init()
}

// all returns the entries by address.
func (g *registry) all() []*entry {
	list := make([]*entry, 0, len(g.entries))
	for _, e := range g.entries {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *entry) int { return a.Addr.Compare(b.Addr) })
	return list
}

// move sets an entry's link-layer address.
func (g *registry) move(e *entry, to wire.LinkAddr) {
	if !e.LinkAddr.IsZero() {
		if g.perLinkAddr[e.LinkAddr]--; g.perLinkAddr[e.LinkAddr] == 0 {
			delete(g.perLinkAddr, e.LinkAddr)
		}
	}
	if e.LinkAddr = to; !to.IsZero() {
		g.perLinkAddr[to]++
	}
}

// confirm ends an entry's probation.
func (g *registry) confirm(e *entry) {
	if e.probation != nil {
		g.probation.Remove(e.probation)
		e.probation = nil
	}
}

// Registrations returns the addresses that are registered, in their order.
func (r *Router) Registrations() []Registration {
	registrations := make([]Registration, 0, len(r.registry.entries))
	for _, e := range r.registry.all() {
		registrations = append(registrations, e.Registration)
	}
	return registrations
}

// Lookup returns the registration of an address; ok is false if it has none.
func (r *Router) Lookup(addr netip.Addr) (registration Registration, ok bool) {
	e := r.registry.entries[addr]
	if e == nil {
		return Registration{}, false
	}
	return e.Registration, true
}

// Confirmed tells that an address has answered a neighbour solicitation, Probe's or another.
func (r *Router) Confirmed(addr netip.Addr) {
	if e := r.registry.entries[addr]; e != nil {
		r.registry.confirm(e)
	}
}

// Remove ends the registration of an address.
func (r *Router) Remove(now int64, addr netip.Addr) {
	if e := r.registry.entries[addr]; e != nil {
		r.remove(now, e)
	}
}

func (r *Router) remove(now int64, e *entry) {
	delete(r.registry.entries, e.Addr)
	removed := e.Registration
	r.registry.move(e, wire.LinkAddr{})
	r.registry.confirm(e)
	r.cfg.Timers.Remove(&e.timer)
	r.cfg.Owner.Removed(now, removed)
}

// Expire removes a registration whose lifetime is over. The timer heap calls it.
//
// "Should the Registration Lifetime in an NCE expire, then the router MUST delete the cache entry."
// https://www.rfc-editor.org/rfc/rfc6775.html#section-6.5.3
func (e *entry) Expire(now int64) { e.router.remove(now, e) }

// Solicitation is a neighbour solicitation with an address registration option that a router has received.
type Solicitation struct {
	Source, Destination, Target netip.Addr    // without zones
	LinkAddr                    wire.LinkAddr // the source link-layer address option's; none: there is none
	Option                      wire.NDOption // the first of type wire.NDOptionAddressRegistration
}

// Requested registers an address, or ends its registration, and replies. That the packet was valid by RFC 4861 section 7.1.1
// is the caller's concern. The cause is CauseNone if the registration was accepted, and else says why not. replied says that the
// solicitation has been answered; otherwise, with CauseUnspecified, it is one like any other, and with another cause to be
// ignored.
func (r *Router) Requested(now int64, s Solicitation) (cause Cause, replied bool) {
	var option wire.NDAddressRegistrationRepr
	// "If the source address of the NS is the unspecified address, or if no SLLAO is included, then any included ARO is
	// ignored, that is, the NS is processed as if it did not contain an ARO."
	// https://www.rfc-editor.org/rfc/rfc6775.html#section-6.5
	if s.Source.IsUnspecified() || s.LinkAddr.IsZero() {
		return r.counters.refuse(CauseUnspecified), false
	}
	if !r.running || option.Parse(s.Option) != nil || !unicast(s.Source) || s.Destination.IsMulticast() || s.LinkAddr.IsMulticast() {
		return r.counters.refuse(CauseMalformed), false
	}
	// "If the Length field is not two, or if the Status field is not zero, then the NS is silently ignored."
	// https://www.rfc-editor.org/rfc/rfc6775.html#section-6.5
	// RFC 8505 has other lengths, which Parse sees to.
	if option.Status != wire.RegistrationSuccess {
		return r.counters.refuse(CauseStatus), false
	}
	// A solicitation that asks for the router itself is RFC 6775's, even with a transaction ID: by a host that does not know
	// yet what the router takes.
	addr := s.Source
	extended := option.Extended && !r.cfg.Owner.Own(s.Target)
	if extended {
		addr = s.Target
	}
	status, cause := r.register(now, addr, extended, &s, &option)
	if cause == CauseMalformed {
		return r.counters.refuse(cause), false
	}
	reply := Reply{To: s.Source, LinkAddr: s.LinkAddr, Target: s.Target, Option: option}
	reply.Option.Status = status
	if status != wire.RegistrationSuccess && !extended {
		// "Address registration errors are not sent back to the source address of the NS due to a possible risk of L2 address
		// collision. Instead, the NA is sent to the link-local IPv6 address with the Interface ID part derived from the
		// EUI-64 field of the ARO as per [RFC4944]."
		// https://www.rfc-editor.org/rfc/rfc6775.html#section-6.5.2
		if eui64, ok := option.Owner.EUI64(); ok {
			reply.To, reply.LinkAddr = wire.ExtendedAddr(eui64).LinkLocal(), wire.ExtendedAddr(eui64)
		}
	}
	r.counters.Sent++
	r.cfg.Owner.Reply(now, reply)
	if cause != CauseNone {
		return r.counters.refuse(cause), true
	}
	if e := r.registry.entries[addr]; e != nil && e.probation != nil {
		r.cfg.Owner.Probe(now, e.Registration)
	}
	return CauseNone, true
}

// register registers an address, and returns the status to be replied.
func (r *Router) register(now int64, addr netip.Addr, extended bool, s *Solicitation, option *wire.NDAddressRegistrationRepr) (
	wire.RegistrationStatus, Cause) {
	g := &r.registry
	if !unicast(addr) {
		return 0, CauseMalformed
	}
	if r.cfg.Owner.Own(addr) {
		return wire.RegistrationDuplicate, CauseDuplicate
	}
	// That anybody could have an address registered that is somebody else's on the other side of the router is not what
	// registrations are for. RFC 8505 has a status for it.
	if !addr.IsLinkLocalUnicast() && !slices.ContainsFunc(r.prefixes, func(p Prefix) bool { return p.Prefix.Contains(addr) }) {
		return wire.RegistrationOffPrefix, CauseOffPrefix
	}
	if extended && s.Source != addr {
		if status := r.checkSource(s, option); status != wire.RegistrationSuccess {
			return status, CauseSource
		}
	}
	e := g.entries[addr]
	switch {
	case e != nil && e.Owner != option.Owner:
		return wire.RegistrationDuplicate, CauseDuplicate
	case e != nil && e.extended && option.Extended && option.TID != e.tid && !newerTID(option.TID, e.tid):
		return wire.RegistrationMoved, CauseMoved
	case option.Lifetime == 0:
		// "If the ARO contains a zero Registration Lifetime, then any existing NCE for the IPv6 source address of the NS MUST
		// be deleted and an NA sent as above."
		// https://www.rfc-editor.org/rfc/rfc6775.html#section-6.5.3
		if e != nil {
			r.remove(now, e)
		}
		return wire.RegistrationSuccess, CauseNone
	}
	if e == nil || e.LinkAddr != s.LinkAddr {
		if g.perLinkAddr[s.LinkAddr] >= r.cfg.PerLinkAddr && !r.makeRoom(now, e, s.LinkAddr) {
			return wire.RegistrationFull, CauseFull
		}
	}
	told := e != nil && e.LinkAddr == s.LinkAddr && e.Reachable == option.Reachable
	if e == nil {
		if len(g.entries) >= r.cfg.Registrations && !r.makeRoom(now, nil, wire.LinkAddr{}) {
			return wire.RegistrationFull, CauseFull
		}
		e = &entry{Registration: Registration{Addr: addr, Owner: option.Owner}, router: r}
		g.entries[addr] = e
		e.probation = g.probation.PushBack(e)
	}
	g.move(e, s.LinkAddr)
	e.extended, e.tid, e.Reachable = option.Extended, option.TID, option.Reachable
	e.Until = now + int64(option.Lifetime)
	r.cfg.Timers.Arm(&e.timer, e, e.Until)
	r.counters.Registrations++
	if !told {
		r.cfg.Owner.Registered(now, e.Registration)
	}
	return wire.RegistrationSuccess, CauseNone
}

// checkSource says whether an address may be registered from s's source: a link-local address that the same owner has
// registered, or that follows from the link-layer address which it comes from.
//
// RFC 8505 demands the former. The latter is for hosts that take their first address to be known, as RFC 6775 has it.
// https://www.rfc-editor.org/rfc/rfc8505.html#section-5.6
func (r *Router) checkSource(s *Solicitation, option *wire.NDAddressRegistrationRepr) wire.RegistrationStatus {
	e := r.registry.entries[s.Source]
	switch {
	case !s.Source.IsLinkLocalUnicast():
		return wire.RegistrationInvalidSource
	case e != nil && e.Owner != option.Owner:
		return wire.RegistrationDuplicateSource
	case e != nil:
		return wire.RegistrationSuccess
	}
	source := s.Source.As16()
	if [8]byte(source[8:]) == s.LinkAddr.InterfaceID() {
		return wire.RegistrationSuccess
	}
	return wire.RegistrationInvalidSource
}

// makeRoom removes the registration that has been longest on probation: of those with the link-layer address, if that is not
// zero, and other than e. It reports whether there was one.
func (r *Router) makeRoom(now int64, e *entry, linkAddr wire.LinkAddr) bool {
	for oldest := r.registry.probation.Front(); oldest != nil; oldest = oldest.Next() {
		candidate := oldest.Value.(*entry)
		if candidate != e && (linkAddr.IsZero() || candidate.LinkAddr == linkAddr) {
			r.remove(now, candidate)
			return true
		}
	}
	return false
}
