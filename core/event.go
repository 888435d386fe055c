package core

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/smolnet/smolnet/core/neighbour"
)

// Event is something that has become of an interface's addresses, of the routes, the neighbours, or of what else the stack has learnt or
// configured. Config.Event is told of each, and the logger.
type Event struct {
	Kind EventKind
	// Link is the index of the interface that it is about.
	Link int32
	// Address is set where Kind is about an address of the interface's own: as it is now, or was when it was removed.
	Address Address
	// Route is set where Kind is about a route.
	Route Route
	// Neighbour is set where Kind is about a neighbour: as it is now, or was when it was removed.
	Neighbour neighbour.Neighbour
	// Addr is somebody else's address where Kind is about a router or a path, or the group's.
	Addr netip.Addr
	// Lease is set where Kind is about a lease.
	Lease *Lease
	// Err is why something failed or was lost, nil if there is nothing to say.
	Err error
}

// EventKind says what an Event is about.
type EventKind uint8

const (
	// AddressAdded: the interface has another address. Whether it can be used yet its State says.
	AddressAdded EventKind = iota + 1
	// AddressChanged: an address has got another State, or other lifetimes.
	AddressChanged
	// AddressConflict: somebody else uses the address too. If its State is Duplicate, the stack does not use it, or not any more;
	// otherwise it defends it.
	AddressConflict
	// AddressRemoved: the address is not the interface's any more.
	AddressRemoved
	// RouteAdded: the table of routes has another one.
	RouteAdded
	// RouteRemoved: the table has one less.
	RouteRemoved
	// PathMTULowered: a router has said that the way to Addr carries only smaller packets: see Stack.PathMTUs.
	PathMTULowered
	// GroupJoined: the interface belongs to another multicast group.
	GroupJoined
	// GroupLeft: the interface does not belong to a multicast group any more.
	GroupLeft
	// NeighbourChanged: a neighbour's hardware address has become known, or is another, or it does not answer and its State is
	// neighbour.Failed. Of other changes of its State nothing is told.
	NeighbourChanged
	// NeighbourRemoved: a neighbour of which NeighbourChanged has told is remembered no longer: it was not heard of for a while, or
	// had to make room. Nothing is told of those of an interface that is removed.
	NeighbourRemoved
	// RouterFound: a router has advertised itself.
	RouterFound
	// RouterChanged: a router has begun or ceased to be a default router, to be preferred, or to answer.
	RouterChanged
	// RouterLost: a router is none any more.
	RouterLost
	// PrefixesChanged: routers have advertised another prefix, or one is over.
	PrefixesChanged
	// ServersChanged: there are other name servers, other domains to search for names in, or other time servers.
	ServersChanged
	// AdvertisementRefused: what a router has advertised cannot be had, because of Err.
	AdvertisementRefused
	// LeaseBound: a DHCP server has given the interface a lease, or renewed it. If Err is set, a part of it, such as Route, could not be
	// put to use.
	LeaseBound
	// LeaseLost: it is over, or was given back, or could not be put to use or asked for.
	LeaseLost
	// LeaseRefused: a DHCPv6 server has not given what it was asked for, or the interface cannot have Addr, which it has given.
	LeaseRefused
	// RegistrationRefused: a router of a 6LoWPAN does not register Addr, which may stay unreachable through it, because of Err.
	RegistrationRefused
	// ParentChanged: the interface reaches the root of RPL by Addr now, or by nobody if that is the zero Addr.
	ParentChanged

	numEventKinds
)

var eventKinds = [numEventKinds]string{
	AddressAdded: "address added", AddressChanged: "address changed", AddressConflict: "address conflict",
	AddressRemoved: "address removed", RouteAdded: "route added", RouteRemoved: "route removed", PathMTULowered: "path MTU lowered",
	GroupJoined: "group joined", GroupLeft: "group left",
	NeighbourChanged: "neighbour changed", NeighbourRemoved: "neighbour removed",
	RouterFound: "router found", RouterChanged: "router changed", RouterLost: "router lost", PrefixesChanged: "prefixes changed",
	ServersChanged: "servers changed", AdvertisementRefused: "advertisement refused",
	LeaseBound: "lease bound", LeaseLost: "lease lost", LeaseRefused: "lease refused",
	RegistrationRefused: "registration refused", ParentChanged: "parent changed",
}

// String is the kind in a few words of plain English.
func (k EventKind) String() string {
	if k == 0 || k >= numEventKinds {
		return fmt.Sprintf("event kind %d", uint8(k))
	}
	return eventKinds[k]
}

// String is the event on one line, as "address added: fdaa::1/64 preferred (link 2)".
func (e Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v:", e.Kind)
	if e.Address.Prefix.IsValid() {
		fmt.Fprintf(&b, " %v", e.Address)
	}
	if e.Route.Destination.IsValid() {
		fmt.Fprintf(&b, " %v", e.Route)
	}
	if e.Neighbour.Addr.IsValid() {
		fmt.Fprintf(&b, " %v", e.Neighbour)
	}
	if e.Addr.IsValid() {
		fmt.Fprintf(&b, " %v", e.Addr)
	}
	if e.Lease != nil {
		fmt.Fprintf(&b, " %v from %v", e.Lease.Prefix, e.Lease.Server)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, " %v", e.Err)
	}
	fmt.Fprintf(&b, " (link %d)", e.Link)
	return b.String()
}

// event tells of something that has happened: whoever the configuration names, and the logger.
func (s *Stack) event(e Event) {
	if s.log.debug {
		level := LevelTrace
		if e.Kind == AddressConflict || e.Err != nil {
			level = slog.LevelDebug
		}
		s.log.happened(level, s.Interface(e.Link), e)
	}
	if s.config.Event != nil {
		s.config.Event(e)
	}
}

// happened tells of an event. The caller has tested l.debug.
func (l *log) happened(level slog.Level, link *Interface, e Event) {
	attrs := make([]slog.Attr, 0, 4)
	if link != nil {
		attrs = append(attrs, slog.String("interface", link.name))
	}
	if e.Address.Prefix.IsValid() {
		attrs = append(attrs, slog.String("address", e.Address.String()))
	}
	if e.Route.Destination.IsValid() {
		attrs = append(attrs, slog.String("route", e.Route.String()))
	}
	if e.Neighbour.Addr.IsValid() {
		attrs = append(attrs, slog.String("neighbour", e.Neighbour.String()))
	}
	if e.Addr.IsValid() {
		attrs = append(attrs, slog.String("addr", e.Addr.String()))
	}
	if e.Lease != nil {
		attrs = append(attrs, slog.String("lease", e.Lease.Prefix.String()), slog.String("server", e.Lease.Server.String()))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	l.logger.LogAttrs(context.Background(), level, e.Kind.String(), attrs...)
}
