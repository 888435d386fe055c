package udp

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"

	"github.com/smolnet/smolnet/core/ip"
)

// choosePort returns an ephemeral port for e, which has none yet.
//
// It is RFC 6056's Algorithm 1, Simple Port Randomization: a random port of the range, or if it is taken the next one
// that is not.
// https://www.rfc-editor.org/rfc/rfc6056.html#section-3.3.1
func (h *Host) choosePort(e *Endpoint) (uint16, error) {
	if _, err := io.ReadFull(h.config.Rand, h.random[:]); err != nil {
		return 0, fmt.Errorf("udp: reading random octets: %w", err)
	}
	first := uint32(h.config.FirstPort)
	n := uint32(h.config.LastPort) - first + 1
	c := e.claim()
	c.reusePort, c.reuseAddr = false, false // whoever asks for any port wants one for himself
	start := binary.NativeEndian.Uint32(h.random[:]) % n
	for i := range n {
		c.local = netip.AddrPortFrom(c.local.Addr(), uint16(first+(start+i)%n))
		if h.free(&c) && !h.flowing(e, c.local.Port()) {
			return c.local.Port(), nil
		}
	}
	return 0, ip.ErrAddressInUse
}

// flowing reports whether what e would receive at the port goes to a Forwarder's flow, which is not among the ports.
func (h *Host) flowing(e *Endpoint, port uint16) bool {
	if e.link == 0 {
		return false // a flow's link is always known
	}
	other := h.table[keyOf(netip.AddrPortFrom(e.local.Addr(), port), e.remote, e.link)]
	return other != nil && other.flow
}

// claim is what an endpoint asks for when it is bound, before connecting gives it an address.
type claim struct {
	local                netip.AddrPort // an unspecified address stands for all of its family's
	link                 int32
	dualStack            bool
	reusePort, reuseAddr bool
}

// claimOf is what e, which has a port, claims: as on Linux, one that is to be connected and names no address claims all first.
func claimOf(config *BindConfig, e *Endpoint) claim {
	c := e.claim()
	if asked := config.Local.Addr(); e.remote.IsValid() && (!asked.IsValid() || asked.IsUnspecified()) {
		all := netip.IPv4Unspecified()
		if e.remote.Addr().Is6() {
			all, c.dualStack = netip.IPv6Unspecified(), config.DualStack
		}
		c.local = netip.AddrPortFrom(all, c.local.Port())
	}
	return c
}

// claim is what e has.
func (e *Endpoint) claim() claim {
	return claim{e.local, e.link, e.dualStack, e.reusePort, e.reuseAddr}
}

// covers reports whether the claim is to all addresses of a kind and addr is one of them.
func (c *claim) covers(addr netip.Addr) bool {
	own := c.local.Addr()
	return own.IsUnspecified() && (own.Is4() == addr.Is4() || c.dualStack)
}

// free reports whether nobody else has what c claims, or includes it, or is included by it, unless all share it on purpose.
func (h *Host) free(c *claim) bool {
	for e := h.ports[c.local.Port()]; e != nil; e = e.portNext {
		switch other := e.claim(); {
		case other.link != 0 && c.link != 0 && other.link != c.link:
		case other.reusePort && c.reusePort, other.reuseAddr && c.reuseAddr:
		case c.local == other.local, c.covers(other.local.Addr()), other.covers(c.local.Addr()):
			return false
		}
	}
	return true
}

// add puts e into the tables.
func (h *Host) add(e *Endpoint) {
	if !e.flow {
		port := e.local.Port()
		if e.portNext = h.ports[port]; e.portNext != nil {
			e.portNext.portPrevious = e
		}
		h.ports[port] = e
	}
	for _, k := range e.keys() {
		if before := h.table[k]; before != nil {
			h.share(k, before, e)
		}
		h.table[k] = e
	}
	e.next = h.first
	if h.first != nil {
		h.first.previous = e
	}
	h.first = e
	h.endpoints++
	h.count(e, 1)
}

// remove takes e out of the tables; it stays among all endpoints until it is forgotten.
func (h *Host) remove(e *Endpoint) {
	for _, k := range e.keys() {
		if left := h.unshare(k, e); left != nil {
			h.table[k] = left
		} else {
			delete(h.table, k)
		}
	}
	h.count(e, -1)
	if e.flow {
		return
	}
	switch port := e.local.Port(); {
	case e.portPrevious != nil:
		e.portPrevious.portNext = e.portNext
	case e.portNext != nil:
		h.ports[port] = e.portNext
	default:
		delete(h.ports, port)
	}
	if e.portNext != nil {
		e.portNext.portPrevious = e.portPrevious
	}
	e.portNext, e.portPrevious = nil, nil
}

func (h *Host) count(e *Endpoint, n int) {
	if e.remote.IsValid() {
		h.connected += n
	}
	if e.link != 0 {
		h.linked += n
	}
	if e.foreign {
		h.forwards[e.link].flows += n
		h.endForwarding(e.link)
	}
}
