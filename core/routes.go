package core

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/core/route"
)

// Route is an entry of the table of routes.
type Route = route.Route

// AddRoute adds a route, in the place of one with its Destination, Gateway and Link that the stack has learnt. Its gateway, if it has
// one, must be on a link of the stack's. The error wraps ErrConfig, and names the route and what is wrong with it.
func (s *Stack) AddRoute(r Route) error { return s.replaceRoutes(nil, r) }

// replaceRoutes puts r in the place of the others, which are in the table.
func (s *Stack) replaceRoutes(replaced []Route, r Route) error {
	l := s.Interface(r.Link)
	if l == nil {
		return fmt.Errorf("core: route %v: %w: there is no interface %d", r, ErrConfig, r.Link)
	}
	if err := l.addRoute(r, replaced...); err != nil {
		return fmt.Errorf("core: interface %q: %w: %w", l.name, ErrConfig, err)
	}
	return nil
}

// addRoute adds a route that somebody has configured, in the place of others. If there is an error nothing has changed.
func (l *Interface) addRoute(r Route, replaced ...Route) error {
	s := l.stack
	switch {
	case r.Link != l.index:
		return fmt.Errorf("route %v: it leads to interface %d instead of %d", r, r.Link, l.index)
	case l.loopback():
		return fmt.Errorf("route %v: nothing lies behind the loopback interface", r)
	case r.Gateway.IsValid() && s.hasAny(r.Gateway):
		return fmt.Errorf("route %v: its gateway %v is the stack itself", r, r.Gateway)
	case r.Gateway.IsValid() && !l.onLink(r.Gateway):
		return fmt.Errorf("route %v: its gateway %v is in none of the interface's networks", r, r.Gateway)
	case r.Destination.IsValid() && !l.speaks(r.Destination.Addr()):
		return fmt.Errorf("route %v: the interface has no IPv6", r)
	}
	if old, found := s.routes.Find(r); found && old.Origin != route.Static && r.Origin == route.Static && !slices.Contains(replaced, old) {
		replaced = append(slices.Clip(replaced), old) // it was learnt: see setRoute
	}
	for _, old := range replaced {
		_ = s.routes.Remove(old)
	}
	err := s.routes.Add(r)
	if err != nil {
		for _, old := range replaced {
			_ = s.routes.Add(old)
		}
		return err
	}
	s.routesChanged()
	for _, old := range replaced {
		s.event(Event{Kind: RouteRemoved, Link: old.Link, Route: old})
	}
	l.routeEvent(RouteAdded, r)
	return nil
}

// setRoute adds a route that the stack has learnt of or, if there is one like it that it has learnt too, gives that another metric.
// The error is route.ErrDuplicate if there is one that somebody has configured.
func (l *Interface) setRoute(r Route) error {
	routes := &l.stack.routes
	switch old, found := routes.Find(r); {
	case !found:
	case old == r:
		return nil
	case old.Origin == route.Static && r.Origin != route.Static:
		return fmt.Errorf("%w: %v", route.ErrDuplicate, r)
	default:
		l.dropRoute(old)
	}
	if err := routes.Add(r); err != nil {
		return err
	}
	l.stack.routesChanged()
	l.routeEvent(RouteAdded, r)
	return nil
}

// dropRoute removes a route that setRoute has added, and reports whether there was one of that Origin.
func (l *Interface) dropRoute(r Route) bool {
	old, found := l.stack.routes.Find(r)
	if !found || old.Origin != r.Origin {
		return false
	}
	_ = l.stack.routes.Remove(old)
	l.stack.routesChanged()
	l.routeEvent(RouteRemoved, old)
	return true
}

// restoreRoutes has the interface have all routes that it has learnt, after one is gone that somebody had configured: another like
// it may have stood back for that.
func (l *Interface) restoreRoutes(now int64) {
	if l.removed {
		return
	}
	if l.autoconf != nil {
		l.autoconf.host.Restore(now)
	}
	if l.dhcpv4 != nil && l.dhcpv4.bound {
		l.dhcpv4.restoreRoutes()
	}
}

func (l *Interface) routeEvent(kind EventKind, r Route) {
	l.stack.event(Event{Kind: kind, Link: l.index, Route: r})
}

// onLink reports whether addr can be reached without a router.
func (l *Interface) onLink(addr netip.Addr) bool {
	return addr.Is6() && addr.IsLinkLocalUnicast() && l.ipv6 ||
		slices.ContainsFunc(l.addresses, func(own *address) bool { return own.prefix.Contains(addr) })
}

// RemoveRoute removes the route with r's Destination, Gateway and Link. The error wraps route.ErrNotFound.
func (s *Stack) RemoveRoute(r Route) error {
	old, _ := s.routes.Find(r)
	if err := s.routes.Remove(r); err != nil {
		return fmt.Errorf("core: %w", err)
	}
	s.routesChanged()
	s.event(Event{Kind: RouteRemoved, Link: old.Link, Route: old})
	if l := s.Interface(old.Link); l != nil && old.Origin == route.Static {
		l.restoreRoutes(s.now)
	}
	return nil
}

// ReplaceRoute puts r in the place of whatever routes have its Destination and Metric, or adds it if none has. The error is
// AddRoute's; nothing has changed then.
func (s *Stack) ReplaceRoute(r Route) error {
	var replaced []Route
	for _, old := range s.routes.Routes() {
		if old.Destination == r.Destination && (old.Metric == r.Metric || old.Gateway == r.Gateway && old.Link == r.Link) {
			replaced = append(replaced, old)
		}
	}
	return s.replaceRoutes(replaced, r)
}

// Routes returns the table of routes, those that come with addresses included.
func (s *Stack) Routes() []Route { return s.routes.Routes() }
