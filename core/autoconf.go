package core

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/slaac"
	"github.com/smolnet/smolnet/core/wire"
)

// autoconf is what an interface knows from routers, and the interface as that sees it: it implements slaac.Link.
type autoconf struct {
	*Interface
	host       *slaac.Host
	secret     []byte
	identifier slaac.Identifier
	duplicates uint8          // how many link-local addresses were found to be somebody else's
	routers    []slaac.Router // as the last events have it
}

// maxLinkLocals is how many link-local addresses are tried, by RFC 7217 section 6, where they do not depend on the hardware address.
const maxLinkLocals = 4

// newAutoconf makes what listens to routers, which it does once it is started.
func (l *Interface) newAutoconf(config *InterfaceConfig) error {
	s, limits := l.stack, &l.stack.limits
	a := &autoconf{Interface: l, secret: slices.Clone(config.StableSecret), identifier: l.linkAddr.InterfaceID()}
	if l.linkAddr.IsZero() {
		a.identifier = slaac.RandomIdentifier(s.random)
	}
	var err error
	a.host, err = slaac.New(slaac.Config{
		Timers: &s.timers, Link: a, Rand: s.random, MTU: l.mtu,
		Identifier: a.identifier, Secret: a.secret, Interface: l.name, Temporary: config.TemporaryAddresses,
		LowPower: l.radio != nil,
		Limits: slaac.Limits{
			Routers: limits.Routers, Prefixes: limits.Prefixes, Routes: limits.RouterRoutes,
			Servers: limits.NameServers, Domains: limits.SearchDomains,
		},
	})
	l.autoconf = a
	if err == nil && l.radio != nil {
		err = l.newRegistrant(l.radio.config.Registration)
	}
	return err
}

// linkLocal is the link-local address that the interface gives itself.
func (l *Interface) linkLocal() netip.Prefix {
	switch a := l.autoconf; {
	case a == nil:
		return netip.PrefixFrom(l.linkAddr.LinkLocal(), linkLocalPrefix.Bits())
	case a.secret != nil:
		return slaac.Stable(linkLocalPrefix, l.name, a.duplicates, a.secret).With(linkLocalPrefix)
	default:
		return a.identifier.With(linkLocalPrefix)
	}
}

var linkLocalPrefix = netip.MustParsePrefix("fe80::/64")

// otherLinkLocal reports whether there can be another link-local address in place of one that is somebody else's.
func (l *Interface) otherLinkLocal() bool {
	return l.autoconf != nil && l.autoconf.secret != nil && l.autoconf.duplicates < maxLinkLocals-1
}

// linkLocalDuplicate gives the interface another link-local address after one that is somebody else's.
func (l *Interface) linkLocalDuplicate(now int64) {
	l.autoconf.duplicates++
	own := configured(l.linkLocal())
	own.origin = route.LinkLocal
	_ = l.setAddress(now, own) // there is room for it: one has just been removed
}

// inputRouterAdvertisement learns what a router says.
//
// "IP Source Address is a link-local address. Routers must use their link-local address as the source for Router
// Advertisement and Redirect messages so that hosts can uniquely identify routers."
// https://www.rfc-editor.org/rfc/rfc4861.html#section-6.1.2
// Parse sees to the rest of that section.
func (l *Interface) inputRouterAdvertisement(now int64, p *packet.Packet, message wire.ICMPv6Packet) (cause DropCause, ok bool) {
	var r wire.NDRouterAdvertisementRepr
	from := p.IP.Src
	if !from.IsLinkLocalUnicast() || r.Parse(message) != nil {
		return DropNDMalformed, false
	}
	if l.autoconf == nil {
		return 0, true
	}
	if l.neighbours != nil {
		// "If the advertisement contains a Source Link-Layer Address option, the link-layer address SHOULD be recorded in the
		// Neighbor Cache entry for the router (creating an entry if necessary) and the IsRouter flag in the Neighbor Cache
		// entry MUST be set to TRUE." And "If no Source Link-Layer Address is included, but a corresponding Neighbor Cache
		// entry exists, its IsRouter flag MUST be set to TRUE."
		// https://www.rfc-editor.org/rfc/rfc4861.html#section-6.3.4
		e := l.neighbours.Lookup(from)
		if option, found := r.Options.Find(wire.NDOptionSourceLinkAddr); found {
			var source wire.NDLinkAddrRepr
			if source.Parse(option) == nil {
				e = l.heard(now, from, source.Addr)
			}
		}
		if e != nil {
			e.SetRouter(true)
		}
	}
	if l.registrant != nil {
		l.registrant.host.Advertised(now, from, &r)
	}
	l.autoconf.host.Advertised(now, from, &r)
	return 0, true
}

// learnAdvertised learns from a neighbour advertisement about e, and whether a router has become a host.
func (l *Interface) learnAdvertised(now int64, e *neighbour.Entry, r *wire.NDNeighborAdvertisementRepr) {
	known := l.autoconf != nil && l.autoconf.host.Router(r.Target)
	if known {
		e.SetRouter(true) // the entry may be newer than the router's own advertisement
	}
	hw := l.onLinkAddr(r.TargetLinkAddr)
	if _, located := e.LinkAddr(); hw.IsZero() && !located {
		// Whoever is asked by unicast may leave the option out, because who asks has found the way already: and so it has, where the
		// link-layer address follows from the other. https://www.rfc-editor.org/rfc/rfc4861.html#section-4.4
		hw = l.derived(r.Target)
	}
	l.neighbours.Advertised(now, r.Target, hw, r.Solicited, r.Override, r.Router)
	if known && !e.Router() {
		l.autoconf.host.NotRouter(now, r.Target)
	}
}

// neighbourChanged takes note that a neighbour can be reached, or not.
func (l *Interface) neighbourChanged(now int64, e *neighbour.Entry) {
	switch {
	case l.autoconf == nil || !e.Addr().Is6():
	case e.State() == neighbour.Failed:
		l.autoconf.host.Unreachable(now, e.Addr())
	default:
		l.autoconf.host.Reachable(now, e.Addr())
	}
}

// Solicit asks routers to advertise themselves.
//
// "The IP source address is set to either one of the interface's unicast addresses or the unspecified address. The Source
// Link-Layer Address option SHOULD be set to the host's link-layer address, if the IP source address is not the unspecified
// address."
// https://www.rfc-editor.org/rfc/rfc4861.html#section-6.3.7
func (a *autoconf) Solicit(now int64) {
	source, message := a.ownLinkLocalv6(), wire.NDRouterSolicitationRepr{}
	if !source.IsUnspecified() {
		message.SourceLinkAddr = a.linkAddr
	}
	if a.registrant != nil {
		a.sendND(now, source, allRoutersv6, wire.LinkAddr{}, a.registrant.solicitation(&message))
		return
	}
	a.sendND(now, source, allRoutersv6, wire.LinkAddr{}, &message)
}

// Probe asks whether an unreachable router is back.
func (a *autoconf) Probe(now int64, router netip.Addr) {
	if a.neighbours != nil {
		a.solicit(now, a.neighbour(now, router), wire.LinkAddr{})
	}
}

// Used reports whether packets have been sent to the router within the last minute or so.
func (a *autoconf) Used(_ int64, router netip.Addr) bool {
	if a.neighbours == nil {
		return false
	}
	e := a.neighbours.Lookup(router)
	return e != nil && e.State() > neighbour.Stale
}

// SetAddress gives the interface an address. That its prefix is on the link is another matter: SetRoute's.
func (a *autoconf) SetAddress(now int64, own slaac.Address) error {
	err := a.setAddress(now, addressConfig{
		prefix: own.Prefix, origin: route.Autoconf, temporary: own.Temporary, offLink: true,
		preferredUntil: own.PreferredUntil, validUntil: own.ValidUntil,
	})
	if err != nil {
		a.stack.event(Event{Kind: AdvertisementRefused, Link: a.index, Err: err})
	}
	return err
}

func (a *autoconf) DropAddress(now int64, addr netip.Addr) {
	if own := a.find(addr); own != nil && own.origin == route.Autoconf {
		a.dropAddress(now, addr)
	}
}

// SetRoute adds a route, unless somebody has configured one like it, which stays.
func (a *autoconf) SetRoute(_ int64, r slaac.Route) {
	if err := a.setRoute(a.route(r)); err != nil && !errors.Is(err, route.ErrDuplicate) {
		a.stack.event(Event{Kind: AdvertisementRefused, Link: a.index, Err: err})
	}
}

func (a *autoconf) DropRoute(_ int64, r slaac.Route) { a.dropRoute(a.route(r)) }

func (a *autoconf) route(r slaac.Route) Route {
	return Route{Destination: r.Destination, Gateway: r.Gateway, Metric: r.Metric, Link: a.index, Origin: route.Autoconf}
}

// SetParameters takes over what routers say of the link.
func (a *autoconf) SetParameters(_ int64, p slaac.Parameters) {
	a.params = p
	if a.registrant != nil {
		a.registrant.host.SetRetransmit(p.Retransmit)
	}
	if a.neighbours != nil {
		a.neighbours.SetTimes(p.Reachable, p.Retransmit)
	}
}

// Managed tells of routers' flags that concern DHCPv6.
func (a *autoconf) Managed(now int64, managed, other bool) { a.managed(now, managed, other) }

// RoutersChanged tells of what has become of the routers since the last time.
func (a *autoconf) RoutersChanged(now int64) {
	before := a.routers
	a.routers = a.host.Routers()
	if a.registrant != nil {
		a.registrant.host.SetRouters(now, a.routers)
	}
	tell := func(kind EventKind, addr netip.Addr) { a.stack.event(Event{Kind: kind, Link: a.index, Addr: addr}) }
	for _, r := range before {
		if !slices.ContainsFunc(a.routers, func(other slaac.Router) bool { return other.Addr == r.Addr }) {
			tell(RouterLost, r.Addr)
		}
	}
	for _, r := range a.routers {
		i := slices.IndexFunc(before, func(other slaac.Router) bool { return other.Addr == r.Addr })
		switch {
		case i < 0:
			tell(RouterFound, r.Addr)
		case before[i].Reachable != r.Reachable || before[i].Preference != r.Preference || (before[i].Until == 0) != (r.Until == 0):
			tell(RouterChanged, r.Addr)
		}
	}
}

func (a *autoconf) PrefixesChanged(int64) {
	a.stack.event(Event{Kind: PrefixesChanged, Link: a.index})
}

func (a *autoconf) ServersChanged(int64) {
	a.stack.event(Event{Kind: ServersChanged, Link: a.index})
}
