package lowpan

import "math/bits"

// units is a set of the units of eight octets of which the longest datagram has 256.
type units [4]uint64

// mask is what word i of the set has of the units from up to, but not including, to.
func mask(from, to, i int) uint64 {
	from, to = max(from-64*i, 0), min(to-64*i, 64)
	if from >= to {
		return 0
	}
	return ^uint64(0) >> (64 - (to - from)) << from
}

// add puts the units from up to, but not including, to into the set.
func (u *units) add(from, to int) {
	for i := from / 64; i <= (to-1)/64; i++ {
		u[i] |= mask(from, to, i)
	}
}

// count is how many of the units from up to, but not including, to are in the set.
func (u *units) count(from, to int) (n int) {
	for i := from / 64; i <= (to-1)/64; i++ {
		n += bits.OnesCount64(u[i] & mask(from, to, i))
	}
	return n
}

// has reports whether a unit is in the set.
func (u *units) has(unit int) bool { return u[unit/64]>>(unit%64)&1 != 0 }
