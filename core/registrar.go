package core

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/registration"
	"github.com/smolnet/smolnet/core/wire"
)

// registrar is an interface on a radio that is a router of its network, as what advertises it and registers the addresses of hosts
// sees it: it implements registration.RouterOwner.
type registrar struct {
	*Interface
	router *registration.Router
}

// newRegistrar has the interface be a router of its network.
func (l *Interface) newRegistrar(config *InterfaceConfig) error {
	switch {
	case config.Autoconf:
		return errors.New("a router that listens to routers: IEEE802154.Router excludes Autoconf")
	case !config.Forward:
		return errors.New("a router that does not forward: IEEE802154.Router needs Forward")
	}
	r := &registrar{Interface: l}
	c := *l.radio.config.Router
	c.Timers, c.Owner, c.Rand = &l.stack.timers, r, l.stack.random
	var err error
	r.router, err = registration.NewRouter(c)
	l.registrar = r
	return err
}

// Registrations are the addresses that hosts have registered with the interface: none unless it is a router of a 6LoWPAN.
func (l *Interface) Registrations() []registration.Registration {
	if l.registrar == nil {
		return nil
	}
	return l.registrar.router.Registrations()
}

// SetAdvertised replaces the prefixes and contexts that the interface advertises as a router of a 6LoWPAN, under the next version, which
// is returned: see registration.Router.SetInformation. The error wraps ErrConfig; nothing has changed then.
func (l *Interface) SetAdvertised(now time.Time, prefixes []registration.Prefix, contexts []wire.NDContextRepr) (version uint32, err error) {
	t := l.stack.enter(now)
	if l.registrar == nil {
		return 0, fmt.Errorf("core: interface %q: %w: it is no router of a 6LoWPAN", l.name, ErrConfig)
	}
	router := l.registrar.router
	if err := router.SetInformation(t, prefixes, contexts); err != nil {
		return 0, fmt.Errorf("core: interface %q: %w: %w", l.name, ErrConfig, err)
	}
	l.registrar.contextsChanged(t)
	return router.Version(), nil
}

// solicited answers a router solicitation in a while, if the interface is a router.
func (l *Interface) solicited(now int64, p *packet.Packet, said wire.LinkAddr) {
	if l.registrar == nil {
		return
	}
	addr := l.onLinkAddr(said)
	if !addr.IsZero() && !p.IP.Src.IsUnspecified() {
		l.neighbours.Heard(now, p.IP.Src, addr)
	}
	l.registrar.router.Solicited(now, p.IP.Src, addr)
}

// requested has a neighbor solicitation that is to register an address do so, if the interface is a router. done reports whether
// that is all that there is to it.
func (l *Interface) requested(now int64, p *packet.Packet, message wire.ICMPv6Packet, r *wire.NDNeighborSolicitationRepr) (
	done bool, cause DropCause, ok bool) {
	if l.registrar == nil {
		return false, 0, true
	}
	option, found := wire.NDOptionsOf(message).Find(wire.NDOptionAddressRegistration)
	if !found {
		return false, 0, true
	}
	why, replied := l.registrar.router.Requested(now, registration.Solicitation{
		Source: p.IP.Src, Destination: p.IP.Dst, Target: r.Target, LinkAddr: l.onLinkAddr(r.SourceLinkAddr), Option: option,
	})
	switch {
	case replied:
		return true, 0, true
	case why == registration.CauseUnspecified:
		return false, 0, true // it is a solicitation like any other
	}
	return true, DropNDMalformed, false
}

// Advertise sends a router advertisement.
func (r *registrar) Advertise(now int64, to netip.Addr, linkAddr wire.LinkAddr, message *wire.NDRouterAdvertisementRepr) {
	r.contextsChanged(now)
	source := r.ownLinkLocalv6()
	if source.IsUnspecified() {
		return
	}
	options := wire.NDOptions(nil).Append(&wire.NDLinkAddrRepr{Addr: r.linkAddr})
	message.Options = append(options, message.Options...)
	r.sendND(now, source, to, linkAddr, message)
}

// Reply says what has become of a registration.
func (r *registrar) Reply(now int64, reply registration.Reply) {
	source := reply.Target
	if !r.has(source) {
		source = r.ownLinkLocalv6()
	}
	r.sendND(now, source, reply.To, reply.LinkAddr, &wire.NDMessageWithOptions{
		Message: &wire.NDNeighborAdvertisementRepr{
			Router: true, Solicited: true, Override: r.has(reply.Target), Target: reply.Target, TargetLinkAddr: r.target(reply.Target),
		},
		Options: wire.NDOptions(nil).Append(&reply.Option),
	})
}

// target is the link-layer address that goes with a target: none with an address that is not the interface's own, as that of a
// registration by RFC 8505 is not.
func (r *registrar) target(addr netip.Addr) wire.LinkAddr {
	if r.has(addr) {
		return r.linkAddr
	}
	return wire.LinkAddr{}
}

// Probe asks whether a host is there that has registered an address.
func (r *registrar) Probe(now int64, host registration.Registration) {
	if source := r.ownLinkLocalv6(); !source.IsUnspecified() {
		r.sendND(now, source, host.Addr, host.LinkAddr,
			&wire.NDNeighborSolicitationRepr{Target: host.Addr, SourceLinkAddr: r.linkAddr})
	}
}

// Own reports whether an address is the interface's own.
func (r *registrar) Own(addr netip.Addr) bool { return r.find(addr) != nil }

// Registered has a host be reached without being looked for.
func (r *registrar) Registered(now int64, host registration.Registration) {
	_ = r.neighbours.Static(now, host.Addr, host.LinkAddr) // which refuses what is no neighbour's address, and the router has
}

// Removed has it be looked for again.
func (r *registrar) Removed(_ int64, host registration.Registration) { r.neighbours.Remove(host.Addr) }

// contextsChanged has the interface use the contexts that it advertises, as soon as all can know them. Those that are configured
// stay.
func (r *registrar) contextsChanged(now int64) { r.radio.setContexts(r.router.Contexts(now)) }
