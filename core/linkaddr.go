package core

import (
	"net/netip"

	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// onLinkAddr is an address that a neighbour discovery option said, as one of the interface's medium; zero: it cannot be one.
func (l *Interface) onLinkAddr(said wire.LinkAddr) wire.LinkAddr {
	switch {
	case l.medium == dev.IEEE802154:
		return said.OnIEEE802154()
	case said.Len() != wire.HardwareAddrLen:
		return wire.LinkAddr{}
	}
	return said
}

// groupAddr is the link-layer address of a group or a broadcast address of IP's.
func (l *Interface) groupAddr(dst netip.Addr) wire.LinkAddr {
	switch {
	case l.medium == dev.IEEE802154:
		// RFC 4944, section 9, has multicasts sent to a short address of the group's own where the mesh is below IP; it is
		// where every node is a link of its own that they go to all in reach.
		return wire.BroadcastShortAddr
	case dst.IsMulticast():
		return wire.MulticastHardwareAddr(dst).LinkAddr()
	}
	return wire.BroadcastHardwareAddr.LinkAddr()
}

// heard takes note of a neighbour that has told its link-layer address, and returns its entry; nil: it is none that a neighbour can
// have.
func (l *Interface) heard(now int64, addr netip.Addr, said wire.LinkAddr) *neighbour.Entry {
	return l.neighbours.Heard(now, addr, l.onLinkAddr(said))
}

// neighbour is the entry for the neighbour addr, whose link-layer address is known if it follows from that.
func (l *Interface) neighbour(now int64, addr netip.Addr) *neighbour.Entry {
	e := l.neighbours.Entry(addr)
	if e.State() == neighbour.None {
		if hw := l.derived(addr); !hw.IsZero() {
			l.neighbours.Heard(now, addr, hw)
		}
	}
	return e
}

// derived is the link-layer address that follows from a neighbour's IP address; zero: none does.
//
// On IEEE 802.15.4 the identifiers of link-local addresses are made from link-layer addresses, and nobody asks for those:
// https://www.rfc-editor.org/rfc/rfc6775.html#section-5.6
func (l *Interface) derived(addr netip.Addr) wire.LinkAddr {
	if l.medium != dev.IEEE802154 || !addr.IsLinkLocalUnicast() {
		return wire.LinkAddr{}
	}
	octets := addr.As16()
	id := [8]byte(octets[8:])
	if short := wire.LinkAddrFrom(id[6:]); short.InterfaceID() == id {
		return short
	}
	id[0] ^= 2
	return wire.ExtendedAddr(id)
}
