package core

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/registration"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/slaac"
	"github.com/smolnet/smolnet/core/wire"
)

// registrant is an interface on a radio that listens to routers, as what registers its addresses with them sees it: it implements
// registration.HostOwner.
type registrant struct {
	*Interface
	host *registration.Host
}

// newRegistrant makes what registers the interface's addresses.
func (l *Interface) newRegistrant(config registration.HostConfig) error {
	r := &registrant{Interface: l}
	config.Timers, config.Owner, config.Rand = &l.stack.timers, r, l.stack.random
	config.EUI64, _ = l.linkAddr.Extended()
	var err error
	r.host, err = registration.NewHost(config)
	l.registrant = r
	return err
}

// register has a new address of the interface's be registered, and reports whether that has to be done before it is used.
func (l *Interface) register(now int64, a *address) (tentative bool) {
	if l.registrant == nil || !a.addr().Is6() {
		return false
	}
	tentative, err := l.registrant.host.AddAddress(now, a.addr())
	return tentative && err == nil // there is room for as many as an interface has
}

// registrationWait is how long routers have to advertise themselves, which takes them up to two seconds, and to register an address.
const registrationWait = 5 * time.Second

// awaitRegistration has an address that somebody has configured, and that there would be without any router too, be used if there is
// none after a while. What becomes of it with a router that comes later is told as for others.
func (l *Interface) awaitRegistration(now int64, a *address) {
	if a.origin == route.Static || a.origin == route.LinkLocal {
		a.detection.due = now + int64(registrationWait)
		a.arm(now)
	}
}

// reachesRouter reports whether there is a router to register addresses with.
func (r *registrant) reachesRouter() bool {
	return slices.ContainsFunc(r.autoconf.routers, func(router slaac.Router) bool { return router.Until != 0 && router.Reachable })
}

// registers reports whether addr is being registered: until it is, nothing is taken in to it but the answer.
func (l *Interface) registers(addr netip.Addr) bool {
	if l.registrant == nil {
		return false
	}
	a := l.find(addr)
	return a != nil && a.state == Tentative
}

// answered has the registrant read a neighbor advertisement, and reports whether that is about an address of the interface's own: such
// an answer of RFC 8505 has the registered address for its target, and claims nothing.
func (l *Interface) answered(now int64, p *packet.Packet, message wire.ICMPv6Packet, target netip.Addr) bool {
	if l.registrant == nil {
		return false
	}
	option, found := wire.NDOptionsOf(message).Find(wire.NDOptionAddressRegistration)
	answer := registration.Answer{Source: p.IP.Src, Destination: p.IP.Dst, Target: target, Option: option}
	l.registrant.host.Answered(now, answer)
	return found && l.find(target) != nil
}

// Register asks a router to register an address.
func (r *registrant) Register(now int64, request registration.Request) {
	r.sendND(now, request.Source, request.Router, r.derived(request.Router), &wire.NDMessageWithOptions{
		Message: &wire.NDNeighborSolicitationRepr{Target: request.Target, SourceLinkAddr: r.linkAddr},
		Options: wire.NDOptions(nil).Append(&request.Option),
	})
}

// SolicitRouter asks a router to say again what it has advertised.
func (r *registrant) SolicitRouter(now int64, router netip.Addr) {
	if source := r.ownLinkLocalv6(); !source.IsUnspecified() {
		message := wire.NDRouterSolicitationRepr{SourceLinkAddr: r.linkAddr}
		r.sendND(now, source, router, r.derived(router), r.solicitation(&message))
	}
}

// solicitation is a message that asks routers to advertise themselves, with what goes with it in a 6LoWPAN.
func (r *registrant) solicitation(message *wire.NDRouterSolicitationRepr) ndMessage {
	if options := r.host.Capabilities(); options != nil {
		return &wire.NDMessageWithOptions{Message: message, Options: options}
	}
	return message
}

// Registered has an address be used.
func (r *registrant) Registered(now int64, addr netip.Addr) {
	if a := r.find(addr); a != nil && a.state == Tentative {
		a.use(now)
	}
}

// Unregistered takes no address away: it is unique still, and neighbours reach it.
func (r *registrant) Unregistered(int64, netip.Addr) {}

// Duplicate ends the use of an address.
func (r *registrant) Duplicate(now int64, addr netip.Addr) {
	if a := r.find(addr); a != nil {
		r.duplicate(now, a)
	}
}

// Refused tells that a router does not register an address.
func (r *registrant) Refused(_ int64, addr, router netip.Addr, status wire.RegistrationStatus) {
	r.stack.event(Event{Kind: RegistrationRefused, Link: r.index, Addr: addr, Err: fmt.Errorf("router %v: %v", router, status)})
}

// Unreachable has another router be used than one that does not answer.
func (r *registrant) Unreachable(now int64, router netip.Addr) {
	r.autoconf.host.Unreachable(now, router)
}

// ContextsChanged takes over what routers say of contexts. Those that are configured stay.
func (r *registrant) ContextsChanged(int64) { r.radio.setContexts(r.host.Contexts()) }
