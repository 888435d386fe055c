package udp

import (
	"hash/maphash"
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/core/packet"
)

// sharers are the endpoints that share a key.
type sharers struct {
	all    []*Endpoint // in the order of binding
	byPort []*Endpoint // those among which a hash chooses
}

func (s *sharers) add(e *Endpoint) {
	s.all = append(s.all, e)
	if e.reusePort {
		s.byPort = append(s.byPort, e)
	}
}

func (s *sharers) remove(e *Endpoint) {
	for _, list := range []*[]*Endpoint{&s.all, &s.byPort} {
		if i := slices.Index(*list, e); i >= 0 {
			*list = slices.Delete(*list, i, i+1)
		}
	}
}

// share takes note of e, bound to what before has already.
func (h *Host) share(k key, before, e *Endpoint) {
	if h.sharers == nil {
		h.sharers = make(map[key]*sharers)
	}
	s := h.sharers[k]
	if s == nil {
		s = new(sharers)
		s.add(before)
		h.sharers[k] = s
	}
	s.add(e)
}

// unshare takes e from those that share a key and returns the last of the others, nil if there is none.
func (h *Host) unshare(k key, e *Endpoint) *Endpoint {
	s := h.sharers[k]
	if s == nil {
		return nil
	}
	s.remove(e)
	if len(s.all) == 1 {
		delete(h.sharers, k)
	}
	return s.all[len(s.all)-1]
}

// chosen is who of those that share a key gets what remote sends: the last that was bound or, if that has asked for it, the one that the
// hash falls to. The hash is seeded, so that nobody outside can choose whom to burden.
func (h *Host) chosen(k key, last *Endpoint, remote netip.AddrPort) *Endpoint {
	if !last.reusePort {
		return last
	}
	s := h.sharers[k]
	if s == nil {
		return last
	}
	k.remote, k.remotePort = remote.Addr().As16(), remote.Port()
	hash := maphash.Comparable(h.seed, k) >> 32
	return s.byPort[hash*uint64(len(s.byPort))>>32]
}

// deliverToGroup gives a datagram to a multicast or broadcast address to everybody who is bound to it, or to all addresses, as Linux
// does. It reports whether there was somebody, and then has taken p.
func (h *Host) deliverToGroup(p *packet.Packet, local, remote netip.AddrPort) bool {
	var last *Endpoint
	for e := h.ports[local.Port()]; e != nil; e = e.portNext {
		if !e.hears(local.Addr(), remote, p.IP.Link) {
			continue
		}
		if last != nil {
			last.take(p.Clone(), remote)
		}
		last = e
	}
	if last == nil {
		return false
	}
	last.take(p, remote)
	return true
}

// hears reports whether what remote sends to the group, and arrives by link, is for the endpoint.
func (e *Endpoint) hears(group netip.Addr, remote netip.AddrPort, link int32) bool {
	c := e.claim()
	return (e.local.Addr() == group || c.covers(group)) &&
		(!e.remote.IsValid() || e.remote == remote) &&
		(e.link == 0 || e.link == link) &&
		(!group.IsMulticast() || e.wants(group, remote.Addr(), link))
}
