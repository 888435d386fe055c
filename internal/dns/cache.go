package dns

import (
	"container/list"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// maxCachedSize is how large the messages may be, in octets, that an answer is kept of.
	maxCachedSize = 4096

	// costPerEntry is how much memory, in octets, entries may take on average, about: so a full cache is bounded in memory too,
	// whatever servers send. Most take much less.
	costPerEntry = 8 << 10

	// failureTTL is how long it is kept that servers fail, the least that is asked of resolvers. What went wrong on this side,
	// and servers that said nothing, are not kept: the network may have come up since, and a timeout has slowed down callers
	// enough. https://www.rfc-editor.org/rfc/rfc9520.html#section-3.2
	failureTTL = time.Second

	// anyType stands for all types in a key: a name that does not exist has none of them.
	// https://www.rfc-editor.org/rfc/rfc2308.html#section-5
	anyType dnsmessage.Type = 0
)

// A cache keeps results until they expire, or are used less than others when there are too many.
type cache struct {
	bound   int // entries
	cost    int // of all that are there
	entries map[key]*list.Element
	recent  list.List // of *cached, the one used last in front
}

type cached struct {
	key     key
	result  result
	stored  time.Time
	expires time.Time
}

// cost is about how much memory, in octets, the answer takes at most: a record is much larger than in a message, where names are
// compressed, and so is a text that has many short strings.
func (a *Answer) cost() int {
	const record, textOctet = 600, 16
	return record*(len(a.Aliases)+len(a.Records)) + textOctet*a.size
}

// get returns what is known at a time. Its TTLs are what is left of them.
func (c *cache) get(k key, now time.Time) (result, bool) {
	for _, k := range []key{{k.name, anyType}, k} {
		element, ok := c.entries[k]
		if !ok {
			continue
		}
		entry := element.Value.(*cached)
		if !now.Before(entry.expires) {
			c.remove(element)
			continue
		}
		c.recent.MoveToFront(element)
		known := result{entry.result.answer.clone(), entry.result.err}
		known.answer.Cached = true
		age := uint32(now.Sub(entry.stored) / time.Second)
		countDown(known.answer.Aliases, age)
		countDown(known.answer.Records, age)
		return known, true
	}
	return result{}, false
}

func countDown(resources []dnsmessage.Resource, age uint32) {
	for i := range resources {
		header := &resources[i].Header
		header.TTL -= min(header.TTL, age)
	}
}

// put keeps a result, if it is to be kept.
func (c *cache) put(k key, r result, now time.Time) {
	expires := r.answer.Expires
	switch {
	case r.err == nil, r.err == ErrNoData:
	case r.err == ErrNXDomain && len(r.answer.Aliases) == 0:
		k.qtype = anyType
	case r.err == ErrNXDomain:
	case serverFailed(r.err):
		expires = now.Add(failureTTL)
	default:
		return
	}
	if c.bound <= 0 || r.answer.size > maxCachedSize || !now.Before(expires) {
		return
	}
	if former, ok := c.entries[k]; ok {
		c.remove(former)
	}
	cost := r.answer.cost()
	for len(c.entries) >= c.bound || len(c.entries) > 0 && c.cost+cost > c.bound*costPerEntry {
		c.remove(c.recent.Back())
	}
	if c.entries == nil {
		c.entries = make(map[key]*list.Element)
	}
	c.cost += cost
	c.entries[k] = c.recent.PushFront(&cached{key: k, result: r, stored: now, expires: expires})
}

// serverFailed reports whether the error is what a server said, or that what it said made no sense.
func serverFailed(err error) bool {
	switch err {
	case ErrServerFailure, ErrServerMisbehaving, ErrLameReferral, ErrMalformed, ErrInvalidResponse, ErrChain:
		return true
	}
	return false
}

func (c *cache) remove(element *list.Element) {
	entry := element.Value.(*cached)
	c.cost -= entry.result.answer.cost()
	delete(c.entries, entry.key)
	c.recent.Remove(element)
}

func (c *cache) clear() {
	c.cost = 0
	clear(c.entries)
	c.recent.Init()
}
