package core

import (
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// redirectLifetime is how long a redirect holds. The RFCs do not say. It has to end, because a router that knew better then may
// be gone, and nobody takes a redirect back; when it does, the first packet goes by the old way, and brings the redirect again.
// It is how long Linux keeps what it has learnt like this.
const redirectLifetime = 5 * time.Minute

// redirects are the routes to single hosts that routers on the links have told of: the one heard of longest ago, which is the
// first to end and to make room, first.
type redirects struct {
	stack *Stack
	timer timer.Timer
	list  []redirected
}

// redirected is a route, of Origin route.Redirect, and when it ends.
type redirected struct {
	route Route
	until int64
}

// inputRedirectv4 obeys a redirect, and reports whether there was anything to be believed.
//
// "A Redirect message SHOULD be silently discarded if the new gateway address it specifies is not on the same connected (sub-)
// net through which the Redirect arrived [...], or if the source of the Redirect is not the current first-hop gateway for the
// specified destination"
// https://www.rfc-editor.org/rfc/rfc1122.html#section-3.2.2.2
//
// One for a network is taken for one for the host, as the section has it, and types of service are not told apart.
func (l *Interface) inputRedirectv4(now int64, p *packet.Packet) bool {
	p.Own()
	message := wire.ICMPv4Packet(p.Head())
	quoted, err := wire.ParseIPv4Header(message.Payload())
	if err != nil || p.IP.Group || p.IP.Foreign || message.Code() > wire.ICMPv4RedirectHostForTOS || !l.hasSent(p, quoted.Src()) {
		return false
	}
	gateway := message.Gateway()
	if reservedv4(gateway) || !gateway.IsGlobalUnicast() && !gateway.IsLinkLocalUnicast() || l.Broadcasts(gateway) {
		return false
	}
	return l.redirected(now, p.IP.Src, quoted.Dst(), gateway)
}

// inputRedirectv6 obeys a redirect, whose validity as a message has been seen to, and reports whether it was to be believed.
//
// "The IP source address of the Redirect is the same as the current first-hop router for the specified ICMP Destination
// Address."
// https://www.rfc-editor.org/rfc/rfc4861.html#section-8.1
func (l *Interface) inputRedirectv6(now int64, p *packet.Packet, r *wire.NDRedirectRepr) bool {
	gateway := r.Target
	if gateway == r.Destination {
		// The destination is on the link: section 8.3.
		gateway = netip.Addr{}
	}
	if p.IP.Group || !l.redirected(now, p.IP.Src, r.Destination, gateway) {
		return false
	}
	// "If the redirect contains a Target Link-Layer Address option, the host either creates or updates the Neighbor Cache
	// entry for the target. [...] If the Target Address is not the same as the Destination Address, the host MUST set IsRouter
	// to TRUE for the target."
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-8.3
	e := l.neighbours.Lookup(r.Target)
	if !r.TargetLinkAddr.IsZero() {
		e = l.heard(now, r.Target, r.TargetLinkAddr)
	}
	if e != nil && gateway.IsValid() {
		e.SetRouter(true)
	}
	return true
}

// redirected has packets to dst leave by way of the gateway, or if that is the zero Addr straight, if it is from, the router that
// they leave by now, who says so. It reports whether they do.
func (l *Interface) redirected(now int64, from, dst, gateway netip.Addr) bool {
	s := l.stack
	// A router knows its ways by other means: RFC 4861 section 8.3, and RFC 1812 section 5.2.7.2.
	if l.ignoreRedirects || l.forwards || l.medium != dev.Ethernet || gateway == from || from == dst {
		return false
	}
	if gateway.IsValid() && (s.hasAny(gateway) || !l.onLink(gateway)) {
		return false
	}
	if by, nextHop, group := s.nextHop(0, dst); by != l || nextHop != from || group {
		return false
	}
	return s.redirects.add(now, Route{
		Destination: netip.PrefixFrom(dst, dst.BitLen()), Gateway: gateway, Link: l.index, Origin: route.Redirect,
	})
}

// add takes a route in the place of any to the same host, and of the oldest if there are too many.
func (t *redirects) add(now int64, r Route) bool {
	s := t.stack
	t.remove(func(old Route) bool { return old.Destination == r.Destination })
	if len(t.list) >= s.limits.Redirects {
		oldest := t.list[0].route
		t.remove(func(old Route) bool { return old == oldest })
	}
	if s.Interface(r.Link).setRoute(r) != nil {
		return false // somebody has configured a way, or there is no room
	}
	t.list = append(t.list, redirected{r, now + int64(redirectLifetime)})
	if len(t.list) == 1 {
		s.timers.Arm(&t.timer, t, t.list[0].until)
	}
	return true
}

// remove ends what the function says.
func (t *redirects) remove(doomed func(Route) bool) {
	kept := t.list[:0]
	for _, r := range t.list {
		if !doomed(r.route) {
			kept = append(kept, r)
		} else if l := t.stack.Interface(r.route.Link); l != nil {
			l.dropRoute(r.route)
		}
	}
	clear(t.list[len(kept):])
	if t.list = kept; len(kept) == 0 {
		t.stack.timers.Remove(&t.timer)
	}
}

// Expire ends what has held long enough.
func (t *redirects) Expire(now int64) {
	ended := 0
	for ended < len(t.list) && t.list[ended].until <= now {
		ended++
	}
	over := t.list[:ended:ended]
	t.list = t.list[ended:]
	for _, r := range over {
		if l := t.stack.Interface(r.route.Link); l != nil {
			l.dropRoute(r.route)
		}
	}
	if len(t.list) > 0 {
		t.stack.timers.Arm(&t.timer, t, t.list[0].until)
	}
}

// lost ends the redirects to a neighbour that does not answer: those who sent us there, or others, may know better.
func (t *redirects) lost(l *Interface, neighbour netip.Addr) {
	if len(t.list) > 0 {
		t.remove(func(r Route) bool {
			return r.Link == l.index && (r.Gateway == neighbour || !r.Gateway.IsValid() && r.Destination.Addr() == neighbour)
		})
	}
}
