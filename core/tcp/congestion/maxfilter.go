package congestion

import "slices"

// maxFilter is a windowed maximum: the greatest of the values of the latest ten rounds that had any. The zero value has none.
//
// A round without values does not count: an application that is silent for a minute has learnt nothing new of the path, and
// should not forget what it knew.
type maxFilter struct {
	max    int64
	round  uint32 // to which the newest slot belongs
	newest uint8
	slots  [10]int64 // the greatest value of each round
}

// add takes a value, not negative, of a round. Rounds never go back.
func (f *maxFilter) add(round uint32, v int64) {
	if round != f.round {
		f.round = round
		f.newest = (f.newest + 1) % uint8(len(f.slots))
		f.slots[f.newest] = 0
		f.max = slices.Max(f.slots[:])
	}
	f.slots[f.newest] = max(f.slots[f.newest], v)
	f.max = max(f.max, v)
}
