package core

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/rpl"
	"github.com/smolnet/smolnet/core/slaac"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// rplNode is an interface on a radio that takes part in RPL, as what speaks that sees it: it implements rpl.Owner. What it does with
// packets is in rplpacket.go.
type rplNode struct {
	*Interface
	rpl.Node
	leaf  *rpl.Leaf // one of the two
	root  *rpl.Root
	timer timer.Timer  // armed: the node has yet to be told of other addresses
	known []netip.Addr // that it has been told of
	hops  []netip.Addr

	tunnelled bool // the packet that is being read has come in another
}

// newRPL has the interface take part in RPL.
func (l *Interface) newRPL(addresses []netip.Prefix) error {
	c := &l.radio.config
	n := &rplNode{Interface: l}
	var err error
	switch {
	case c.RPLLeaf != nil && c.RPLRoot != nil:
		return errors.New("IEEE802154.RPLLeaf and RPLRoot exclude each other")
	case c.RPLLeaf != nil:
		config := *c.RPLLeaf
		config.Timers, config.Owner, config.Rand = &l.stack.timers, n, l.stack.random
		n.leaf, err = rpl.NewLeaf(config)
		n.Node = n.leaf
	case !slices.ContainsFunc(addresses, func(own netip.Prefix) bool { return own.Addr() == c.RPLRoot.DODAG }):
		return fmt.Errorf("IEEE802154.RPLRoot.DODAG %v is not among the interface's Addresses", c.RPLRoot.DODAG)
	default:
		config := *c.RPLRoot
		config.Timers, config.Owner, config.Rand = &l.stack.timers, n, l.stack.random
		n.root, err = rpl.NewRoot(config)
		n.Node = n.root
	}
	if err != nil {
		return err
	}
	l.rpl = n
	return l.join(rpl.AllNodes)
}

// RPL is what the interface has joined as a leaf of RPL; ok is false if it is none.
func (l *Interface) RPL() (state rpl.State, ok bool) {
	if l.rpl == nil || l.rpl.leaf == nil {
		return rpl.State{}, false
	}
	return l.rpl.leaf.State(), true
}

// RPLTargets are the destinations that the interface knows as the root of RPL; nil if it is none.
func (l *Interface) RPLTargets() []rpl.Target {
	if l.rpl == nil || l.rpl.root == nil {
		return nil
	}
	return l.rpl.root.Targets()
}

// RepairRPL has all nodes choose their parents anew, if the interface is the root of RPL: a global repair.
func (l *Interface) RepairRPL(now time.Time) {
	if t := l.stack.enter(now); l.rpl != nil && l.rpl.root != nil {
		l.rpl.root.Repair(t)
	}
}

// inputRPL processes an RPL message, which is all of p, and takes it.
func (l *Interface) inputRPL(now int64, p *packet.Packet) {
	if l.rpl == nil {
		l.drop(DropICMPType, p)
		return
	}
	p.Own()
	l.rpl.located(now, p.IP.Src)
	message, err := wire.ParseRPL(p.Head())
	if err != nil || l.rpl.Input(now, p.IP.Src, p.IP.Dst, message) != rpl.None {
		l.drop(DropRPL, p)
		return
	}
	p.Release()
}

// located takes note of where a node is that tells something from an address beyond the link's, if that has the identifier which its
// frame's source makes: it is a neighbour then, and there are those that answer no solicitation in a network of RPL.
func (n *rplNode) located(now int64, src netip.Addr) {
	octets, id := src.As16(), n.radio.from.InterfaceID()
	if !src.IsLinkLocalUnicast() && !n.tunnelled && [8]byte(octets[8:]) == id {
		n.neighbours.Heard(now, src, n.radio.from)
	}
}

// arrived takes note that a neighbour has acknowledged all frames of a packet.
//
// RFC 6550 leaves it to others to find out that a neighbour cannot be reached, the link layer among them.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-1.1
func (n *rplNode) arrived(now int64, nextHop netip.Addr, at wire.LinkAddr) {
	for _, addr := range [...]netip.Addr{nextHop, at.LinkLocal()} {
		if e := n.neighbours.Lookup(addr); e != nil {
			if hw, ok := e.LinkAddr(); ok && hw == at {
				e.Confirm(now)
			}
		}
	}
}

// Send sends a message to the link, or to a node beyond it.
func (n *rplNode) Send(now int64, dst netip.Addr, message rpl.Message) {
	source := n.ownLinkLocalv6()
	by := &path{stack: n.stack, link: n.Interface, nextHop: dst, generation: n.stack.generation}
	switch {
	case dst.IsMulticast():
		by.group = n.groupAddr(dst)
	case dst.IsLinkLocalUnicast():
		by.neighbour = n.neighbour(now, dst)
	default:
		if by = n.stack.pathFor(n.index, netip.Addr{}, dst); by == nil {
			return // it is sent again when there may be one
		}
		source, _ = n.stack.source(by, dst)
	}
	if !source.IsValid() || source.IsUnspecified() {
		return
	}
	p := packet.New(message.Len())
	message.Emit(p.Append(message.Len()), source, dst)
	p.IP = packet.IPInfo{Src: source, Dst: dst, Link: n.index, Protocol: ip.ProtocolICMPv6, HopLimit: wire.NDHopLimit}
	n.stack.sendICMP(now, &n.stack.icmp.v6, by, p)
}

// SetRoute adds a route, unless somebody has configured one like it, which stays. It takes the place of the one by another gateway.
func (n *rplNode) SetRoute(_ int64, r rpl.Route) {
	for _, old := range n.stack.Routes() {
		if old.Origin == route.RPL && old.Link == n.index && old.Destination == r.Destination && old.Gateway != r.Gateway {
			n.dropRoute(old)
		}
	}
	if err := n.setRoute(n.route(r)); err != nil && !errors.Is(err, route.ErrDuplicate) {
		n.stack.event(Event{Kind: AdvertisementRefused, Link: n.index, Err: err})
	}
}

// DropRoute removes it.
func (n *rplNode) DropRoute(_ int64, r rpl.Route) { n.dropRoute(n.route(r)) }

func (n *rplNode) route(r rpl.Route) Route {
	return Route{Destination: r.Destination, Gateway: r.Gateway, Link: n.index, Origin: route.RPL}
}

// Prefix makes an address from a prefix that the parent advertises. RFC 6550 has it advertised as in a router advertisement, section
// 6.7.10, and nobody looks for duplicates of what is made from an EUI-64.
func (n *rplNode) Prefix(now int64, _ netip.Addr, prefix *wire.RPLPrefixInformationRepr) {
	if !prefix.Autonomous || prefix.Prefix.Bits() != 64 || prefix.Prefix.Addr().IsLinkLocalUnicast() {
		return
	}
	own := addressConfig{
		prefix: slaac.Identifier(n.linkAddr.InterfaceID()).With(prefix.Prefix), origin: route.RPL, offLink: true,
		preferredUntil: until(now, prefix.PreferredLifetime), validUntil: until(now, prefix.ValidLifetime),
	}
	if a := n.find(own.prefix.Addr()); a != nil && a.origin != route.RPL {
		return // it is there for another reason
	}
	if prefix.ValidLifetime == 0 {
		n.dropAddress(now, own.prefix.Addr())
		return
	}
	if err := n.setAddress(now, own); err != nil {
		n.stack.event(Event{Kind: AdvertisementRefused, Link: n.index, Err: err})
	}
}

// until is the end of a lifetime that begins now.
func until(now int64, lifetime time.Duration) int64 {
	if lifetime >= wire.NDInfiniteLifetime {
		return timer.Never
	}
	return now + int64(lifetime)
}

// ParentChanged tells of another way out.
func (n *rplNode) ParentChanged(_ int64, parent netip.Addr) {
	n.stack.event(Event{Kind: ParentChanged, Link: n.index, Addr: parent})
}

// Addresses are those that others may send to.
func (n *rplNode) Addresses(list []netip.Addr) []netip.Addr {
	for _, a := range n.addresses {
		if addr := a.addr(); a.state.usable() && addr.Is6() && !addr.IsLinkLocalUnicast() {
			list = append(list, addr)
		}
	}
	return list
}

// ETX is what acknowledgments tell of a neighbour.
func (n *rplNode) ETX(addr netip.Addr) (etx uint16, ok bool) {
	return n.radio.links.ETX(n.derived(addr))
}

// addressesChanged has the node be told of other addresses, soon: it may have brought the change about itself, and is not to be
// called back.
func (n *rplNode) addressesChanged() {
	if !n.removed {
		n.stack.timers.Arm(&n.timer, n, n.stack.now)
	}
}

// Expire is called by the stack's timer heap: something has become of an address. That one lasts for longer, as each message of a
// parent's says, is nothing to tell others.
func (n *rplNode) Expire(now int64) {
	list := n.Addresses(nil)
	if !slices.Equal(list, n.known) {
		n.known = list
		n.AddressesChanged(now)
	}
}

// linksChanged has a leaf look anew for the best parent.
func (n *rplNode) linksChanged(now int64) {
	if n.leaf != nil {
		n.leaf.LinksChanged(now)
	}
}

// neighbourChanged has the node do without a neighbour that does not answer.
func (n *rplNode) neighbourChanged(now int64, e *neighbour.Entry) {
	if e.State() == neighbour.Failed {
		n.Unreachable(now, e.Addr())
	}
}

// stop ends it.
func (n *rplNode) stop(now int64) {
	n.Stop(now)
	n.stack.timers.Remove(&n.timer)
}
