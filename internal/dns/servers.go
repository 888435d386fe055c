package dns

import (
	"net/netip"
	"slices"
)

// A serverList says whom to ask, in which order.
type serverList struct {
	rotate bool
	list   []netip.AddrPort // never written to, so that it can be handed out
	first  int
}

// set replaces the servers and reports whether they are others than before.
func (s *serverList) set(list []netip.AddrPort) bool {
	if slices.Equal(s.list, list) {
		return false
	}
	s.list, s.first = slices.Clone(list), 0
	return true
}

func (s *serverList) all() []netip.AddrPort { return slices.Clone(s.list) }

// order returns the servers in the order in which the next question is put to them.
func (s *serverList) order() []netip.AddrPort {
	if !s.rotate || len(s.list) < 2 {
		return s.list
	}
	turned := slices.Concat(s.list[s.first:], s.list[:s.first])
	s.first = (s.first + 1) % len(s.list)
	return turned
}
