package core

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// localAddrs is the set of the stack's own unicast addresses. It is asked for every packet received, so it is kept in
// the form that headers have: a few addresses are compared one by one, many are looked up.
type localAddrs struct {
	v4     []uint32
	v6     [][16]byte
	manyv4 map[uint32]struct{}
	manyv6 map[[16]byte]struct{}
}

// fewAddrs is how many addresses are compared one by one.
const fewAddrs = 8

func (a *localAddrs) containsv4(addr uint32) bool {
	if a.manyv4 == nil {
		for _, own := range a.v4 {
			if own == addr {
				return true
			}
		}
		return false
	}
	_, ok := a.manyv4[addr]
	return ok
}

func (a *localAddrs) containsv6(addr *[16]byte) bool {
	if a.manyv6 == nil {
		for i := range a.v6 {
			if a.v6[i] == *addr {
				return true
			}
		}
		return false
	}
	_, ok := a.manyv6[*addr]
	return ok
}

// contains reports whether addr is in the set.
func (a *localAddrs) contains(addr netip.Addr) bool {
	if addr.Is4() {
		b := addr.As4()
		return a.containsv4(binary.BigEndian.Uint32(b[:]))
	}
	b := addr.As16()
	return a.containsv6(&b)
}

// rebuild makes the set anew from the addresses of all interfaces, after any of them has changed. A link-local
// address that several interfaces have is in it once.
func (a *localAddrs) rebuild(interfaces []*Interface) {
	*a = localAddrs{}
	for _, l := range interfaces {
		for _, own := range l.addresses {
			if !own.state.usable() {
				continue
			}
			if addr := own.addr(); addr.Is4() {
				b := addr.As4()
				a.v4 = append(a.v4, binary.BigEndian.Uint32(b[:]))
			} else if b := addr.As16(); !slices.Contains(a.v6, b) {
				a.v6 = append(a.v6, b)
			}
		}
	}
	if len(a.v4) > fewAddrs {
		a.manyv4 = make(map[uint32]struct{}, len(a.v4))
		for _, addr := range a.v4 {
			a.manyv4[addr] = struct{}{}
		}
	}
	if len(a.v6) > fewAddrs {
		a.manyv6 = make(map[[16]byte]struct{}, len(a.v6))
		for _, addr := range a.v6 {
			a.manyv6[addr] = struct{}{}
		}
	}
}
