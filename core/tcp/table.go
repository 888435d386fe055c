package tcp

import (
	"hash/maphash"

	"github.com/smolnet/smolnet/core/ip"
)

// table finds what belongs to a connection's name. It hashes with a seed of its own, so that nobody outside can choose names that
// fall together, and links its entries through themselves, so that one costs a pointer.
type table struct {
	seed    maphash.Seed
	buckets []*entry // a power of two
	len     int
}

// entry is a place in the table, embedded in what stands there.
type entry struct {
	id       id
	next     *entry
	occupant occupant
}

// occupant is what stands in the table under a connection's name: a Conn, a half-open record or a TIME-WAIT record.
type occupant interface {
	// segment takes an arriving segment and its packet.
	segment(now int64, s *segment)
	// unreachable learns of an ICMP error about a segment that was sent with the sequence number seq.
	unreachable(now int64, e *ip.Error, seq uint32)
}

func newTable() table {
	return table{seed: maphash.MakeSeed(), buckets: make([]*entry, 16)}
}

func (t *table) bucket(i *id) **entry {
	return &t.buckets[maphash.Comparable(t.seed, *i)&uint64(len(t.buckets)-1)]
}

func (t *table) lookup(i *id) *entry {
	for e := *t.bucket(i); e != nil; e = e.next {
		if e.id == *i {
			return e
		}
	}
	return nil
}

// insert adds e, whose name must be free.
func (t *table) insert(e *entry, o occupant) {
	if t.len >= len(t.buckets) {
		t.grow()
	}
	e.occupant = o
	b := t.bucket(&e.id)
	e.next, *b = *b, e
	t.len++
}

// remove takes e out; it reports false if e was not there.
func (t *table) remove(e *entry) bool {
	for link := t.bucket(&e.id); *link != nil; link = &(*link).next {
		if *link == e {
			*link, e.next, e.occupant = e.next, nil, nil
			t.len--
			return true
		}
	}
	return false
}

func (t *table) grow() {
	old := t.buckets
	t.buckets = make([]*entry, 2*len(old))
	for _, e := range old {
		for e != nil {
			next := e.next
			b := t.bucket(&e.id)
			e.next, *b = *b, e
			e = next
		}
	}
}

// all calls f for each occupant; f may remove the one it is called for.
func (t *table) all(f func(*entry)) {
	for _, e := range t.buckets {
		for e != nil {
			next := e.next
			f(e)
			e = next
		}
	}
}

// any reports whether f holds for an occupant.
func (t *table) any(f func(*entry) bool) bool {
	for _, e := range t.buckets {
		for ; e != nil; e = e.next {
			if f(e) {
				return true
			}
		}
	}
	return false
}
