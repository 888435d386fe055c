package neighbour

import "net/netip"

// rank is how valuable an entry is. The order is the order of eviction; within a rank it is that of becoming of it.
type rank uint8

const (
	rankIdle    rank = iota // nothing is known, and nothing waits
	rankStale               // STALE, and so not used since it became so
	rankWaiting             // packets wait for an answer
	rankActive              // DELAY, PROBE or REACHABLE: in use, or confirmed a short while ago
	rankStatic              // never evicted
	ranks       = iota
)

// list links entries of one rank, oldest first.
type list struct {
	first, last *Entry
	length      int
}

func (l *list) append(e *Entry) {
	e.prev, e.next = l.last, nil
	if l.last == nil {
		l.first = e
	} else {
		l.last.next = e
	}
	l.last = e
	l.length++
}

func (l *list) remove(e *Entry) {
	if e.prev == nil {
		l.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		l.last = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.prev, e.next = nil, nil
	l.length--
}

// reconsider gives e the rank that it should have by now.
func (c *Cache) reconsider(e *Entry) {
	to := rankIdle
	switch {
	case e.state == Static:
		to = rankStatic
	case e.state > Stale:
		to = rankActive
	case e.state == Stale:
		to = rankStale
	case e.queue.Len() > 0:
		to = rankWaiting
	}
	if to == e.rank {
		return
	}
	c.ranks[e.rank].remove(e)
	e.rank = to
	c.ranks[to].append(e)
}

// add makes an entry, and room for it if need be. It returns nil if it was not wanted and everything there is more
// valuable.
func (c *Cache) add(addr netip.Addr, wanted bool) *Entry {
	if len(c.entries)-c.ranks[rankStatic].length >= c.cfg.MaxEntries {
		victim := c.leastValuable(wanted)
		if victim == nil {
			return nil
		}
		c.counters.Evicted++
		c.forget(victim)
	}
	return c.create(addr)
}

// leastValuable returns the entry to give up for a new one. What is merely heard on the link must not push out anything
// that is in use, or a flood of made-up neighbours would cut off the real ones.
//
// An entry whose resolution is under way longest is likely a neighbour that does not exist, since those that do answer
// within milliseconds. Its packets are lost without a word to their senders, for it may be there after all.
func (c *Cache) leastValuable(wanted bool) *Entry {
	for i := range rankActive {
		if i == rankWaiting && !wanted {
			return nil
		}
		if e := c.ranks[i].first; e != nil {
			return e
		}
	}
	oldest := c.ranks[rankActive].first
	for e := oldest; e != nil; e = e.next {
		if e.confirmed < oldest.confirmed {
			oldest = e
		}
	}
	return oldest
}

// forget takes e out of the cache.
func (c *Cache) forget(e *Entry) {
	c.cfg.Timers.Remove(&e.timer)
	delete(c.entries, e.addr)
	c.ranks[e.rank].remove(e)
	e.Dead = true
	waiting := e.takeQueue()
	c.counters.Discarded += uint64(waiting.Len())
	waiting.Reset()
	if e.told && !c.closed {
		c.cfg.Link.Forgotten(e)
	}
	e.state = None
}

func (c *Cache) forgetAll(l *list) {
	for l.first != nil {
		c.forget(l.first)
	}
}
