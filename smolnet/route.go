package smolnet

import (
	"net"
	"net/netip"

	"github.com/smolnet/smolnet/core"
)

// Routes returns the table of routes: those that come with addresses, those that AddRoute and Interface.Routes have added, and
// those that the stack has learnt. IPv4 comes before IPv6, long prefixes before short ones.
func (s *Stack) Routes() []core.Route {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.Routes()
}

// AddRoute adds a route. Its gateway, if it has one, must be on a link of the stack's. The default route of a family is that to
// 0.0.0.0/0 or ::/0. The error, which wraps core.ErrConfig, names what is wrong with it, or is net.ErrClosed.
func (s *Stack) AddRoute(r core.Route) error {
	return s.change(func() error { return s.core.AddRoute(r) })
}

// RemoveRoute removes the route with r's Destination, Gateway and Link. The error wraps route.ErrNotFound, or is net.ErrClosed.
func (s *Stack) RemoveRoute(r core.Route) error {
	return s.change(func() error { return s.core.RemoveRoute(r) })
}

// ReplaceRoute puts r in the place of all routes to its Destination, or adds it if there is none, all at once. The error is
// AddRoute's; nothing has changed then.
func (s *Stack) ReplaceRoute(r core.Route) error {
	return s.change(func() error { return s.core.ReplaceRoute(r) })
}

// change has the configuration of an open stack's core changed, and what comes of that sent.
func (s *Stack) change(change func() error) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return net.ErrClosed
	}
	err := change()
	s.release()
	return err
}

// SetForward has the stack route packets that arrive by the interface and are for others, or ends that: what Interface.Forward
// begins with. See core.Interface.SetForward. The error wraps core.ErrConfig.
func (l *Link) SetForward(on bool) error {
	return l.stack.change(func() error { return l.ifc.SetForward(on) })
}

// Forwards reports whether the stack routes packets that arrive by the interface.
func (l *Link) Forwards() bool {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	return l.ifc.Forwards()
}

// SetAnyIP has the interface answer for ranges of addresses that are not its own, in place of those it answered for. Listeners
// and sockets on the wildcard address are reached at all of them. See core.Interface.SetAnyIP. The error wraps core.ErrConfig.
func (l *Link) SetAnyIP(ranges []netip.Prefix) error {
	return l.stack.change(func() error { return l.ifc.SetAnyIP(ranges) })
}

// AnyIP returns the ranges of addresses that the interface answers for though they are not its own.
func (l *Link) AnyIP() []netip.Prefix {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	return l.ifc.AnyIP()
}
