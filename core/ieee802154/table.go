package ieee802154

import "github.com/smolnet/smolnet/core/wire"

// table keeps something about each of a number of nodes. When it is full, the one that was used least recently makes room.
type table[V any] struct {
	index          map[wire.LinkAddr]int32
	rows           []row[V]
	newest, oldest int32 // rows; none if there is none
	max            int
}

// row is what is kept of one node. Rows are linked in the order of their use.
type row[V any] struct {
	addr         wire.LinkAddr
	newer, older int32
	value        V
}

const none int32 = -1

func newTable[V any](size int) table[V] {
	return table[V]{index: make(map[wire.LinkAddr]int32), newest: none, oldest: none, max: size}
}

// find returns what is kept of a node, or nil.
func (t *table[V]) find(addr wire.LinkAddr) *V {
	if i, ok := t.index[addr]; ok {
		return &t.rows[i].value
	}
	return nil
}

// use returns what is kept of a node, a zero V if nothing was, which makes it the one most recently used. It is valid until use is
// called again.
func (t *table[V]) use(addr wire.LinkAddr) *V {
	if t.newest != none && t.rows[t.newest].addr == addr {
		return &t.rows[t.newest].value // as for most frames
	}
	i, known := t.index[addr]
	switch {
	case known:
		t.unlink(i)
	case len(t.rows) < t.max:
		i = int32(len(t.rows))
		t.rows = append(t.rows, row[V]{addr: addr})
		t.index[addr] = i
	default:
		i = t.oldest
		t.unlink(i)
		delete(t.index, t.rows[i].addr)
		t.rows[i] = row[V]{addr: addr}
		t.index[addr] = i
	}
	t.rows[i].newer, t.rows[i].older = none, t.newest
	if t.newest == none {
		t.oldest = i
	} else {
		t.rows[t.newest].newer = i
	}
	t.newest = i
	return &t.rows[i].value
}

// unlink takes a row out of the order.
func (t *table[V]) unlink(i int32) {
	r := &t.rows[i]
	if r.newer == none {
		t.newest = r.older
	} else {
		t.rows[r.newer].older = r.older
	}
	if r.older == none {
		t.oldest = r.newer
	} else {
		t.rows[r.older].newer = r.newer
	}
}
