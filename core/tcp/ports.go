package tcp

import (
	"fmt"
	"net/netip"

	"github.com/smolnet/smolnet/core/ip"
)

// binding is a claim to a local port, at one address or all, as bind(2) makes it.
type binding struct {
	local     netip.AddrPort // an unspecified address stands for all of its family's
	link      int32          // of a link-local address; else 0
	dualStack bool           // an unspecified IPv6 address stands for IPv4's as well
	listens   bool           // for listening, with SO_REUSEADDR, as package net has it; not so for dialing
	reusePort bool           // it is shared on purpose, with SO_REUSEPORT
}

func newBinding(local netip.AddrPort, link int32) binding {
	if !local.Addr().IsLinkLocalUnicast() {
		link = 0
	}
	return binding{local: local, link: link}
}

// at is the same claim to another port.
func (b binding) at(port uint16) binding {
	b.local = netip.AddrPortFrom(b.local.Addr(), port)
	return b
}

// covers reports whether b is bound to all addresses of a kind and addr is one of them.
func (b *binding) covers(addr netip.Addr) bool {
	own := b.local.Addr()
	return own.IsUnspecified() && (own.Is4() == addr.Is4() || b.dualStack && own.Is6())
}

// overlaps reports whether there is an address and port that both would have.
func (b *binding) overlaps(other *binding) bool {
	switch {
	case b.local.Port() != other.local.Port():
		return false
	case b.local == other.local:
		return b.link == other.link
	}
	return b.covers(other.local.Addr()) || other.covers(b.local.Addr())
}

// free reports whether the claim agrees with those of others: what listens, and the connections with the same local port. The
// rules are Linux's.
//
// Listeners disagree unless all of them share the port on purpose. A connection and a listener agree only if the connection was
// accepted, by a listener that is gone: so a server can be started anew while the connections of the one before it live on, or
// are in TIME-WAIT, but not where somebody has dialed from the port. Who dials from a port of his choice agrees with nobody.
func (h *Host) free(b *binding) bool {
	if h.ports.count(b.local.Port()) == 0 {
		return true
	}
	for _, l := range h.listeners {
		if b.overlaps(&l.binding) && !(b.reusePort && l.binding.reusePort) {
			return false
		}
	}
	return !h.table.any(func(e *entry) bool {
		if e.id.localPort != b.local.Port() || e.id.foreign() {
			return false
		}
		accepted := true
		switch o := e.occupant.(type) {
		case *halfOpen, *Request:
			return false // its listener speaks for it, or it is a forwarder's, which has no ports of its own
		case *Conn:
			accepted = o.accepted
		case *timeWait:
			accepted = o.accepted
		}
		other := newBinding(e.id.localAddrPort(), e.id.link())
		return !(b.listens && accepted) && b.overlaps(&other)
	})
}

// chooseListenPort returns the claim to an ephemeral port that nobody has.
func (h *Host) chooseListenPort(b binding) (binding, error) {
	port, err := h.choosePort(func(port uint16) bool { return h.ports.count(port) == 0 })
	if err == ErrNoPorts {
		// That is what bind(2) says; a connect that finds none says it otherwise.
		err = fmt.Errorf("%w: %w", ip.ErrAddressInUse, err)
	}
	return b.at(port), err
}

// portCounts tell how many have each local port of the stack's own: listeners, connections, half-open or in TIME-WAIT too. A map
// takes some ten octets for a connection; an array in pages is faster, but a few hundred ports chosen at random would fill all its
// pages.
type portCounts map[uint16]uint32

func (c portCounts) count(port uint16) uint32 { return c[port] }

func (c portCounts) add(port uint16) { c[port]++ }

func (c portCounts) remove(port uint16) {
	if c[port]--; c[port] == 0 {
		delete(c, port)
	}
}
