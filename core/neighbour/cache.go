package neighbour

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/wire"
)

// Cache is the neighbour cache of one interface.
type Cache struct {
	cfg      Config
	entries  map[netip.Addr]*Entry
	ranks    [ranks]list
	queued   int // octets of memory that waiting packets take
	counters Counters
	closed   bool

	reachable, retransmit, expireAfter time.Duration // as configured
}

// New returns an empty cache. The error wraps ErrInvalid and names the value.
func New(cfg Config) (*Cache, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Cache{
		cfg: cfg, entries: make(map[netip.Addr]*Entry),
		reachable: cfg.ReachableTime, retransmit: cfg.Retransmit, expireAfter: cfg.ExpireAfter,
	}, nil
}

// Len is the number of entries, static ones included.
func (c *Cache) Len() int { return len(c.entries) }

// Queued is the memory, in octets, that packets take which wait for neighbours.
func (c *Cache) Queued() int { return c.queued }

// Counters returns what the cache has counted.
func (c *Cache) Counters() Counters { return c.counters }

// Lookup returns the entry of addr, or nil.
func (c *Cache) Lookup(addr netip.Addr) *Entry { return c.entries[addr] }

// Entry returns the entry of addr, a unicast address without zone, and creates it if need be, without asking anybody.
// It may evict another. It is never nil; after Close it is dead.
func (c *Cache) Entry(addr netip.Addr) *Entry {
	if e := c.entries[addr]; e != nil {
		return e
	}
	return c.add(addr, true)
}

// All yields the entries: the least valuable, which would be evicted first, come first.
func (c *Cache) All() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		for i := range c.ranks {
			for e := c.ranks[i].first; e != nil; e = e.next {
				if !yield(e) {
					return
				}
			}
		}
	}
}

// Neighbours returns what is known of all neighbours, ordered by their addresses, IPv4's first.
func (c *Cache) Neighbours() []Neighbour {
	all := make([]Neighbour, 0, len(c.entries))
	for e := range c.All() {
		all = append(all, e.Neighbour())
	}
	slices.SortFunc(all, func(a, b Neighbour) int { return a.Addr.Compare(b.Addr) })
	return all
}

// Heard takes note of a neighbour's own claim to a hardware address: the source link-layer address of a solicitation,
// router advertisement or the like, or the sender of an ARP request for an address of ours. It returns the entry, or
// nil if there is none and no room for one, or if the claim is not credible: addr or hw being no unicast address.
func (c *Cache) Heard(now int64, addr netip.Addr, hw wire.LinkAddr) *Entry {
	if c.closed || !isUnicast(addr) || !isStation(hw) {
		return nil
	}
	e := c.entries[addr]
	if e == nil {
		if e = c.add(addr, false); e == nil {
			c.counters.Refused++
			return nil
		}
	}
	switch {
	case e.state == Static:
	case e.state < Stale:
		// "If an entry does not already exist, the node SHOULD create a new one and set its reachability state to
		// STALE as specified in Section 7.3.3."
		// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.2.3
		e.learn(now, hw, Stale)
	case e.hw != hw:
		// "If an entry already exists, and the cached link-layer address differs from the one in the received Source
		// Link-Layer option, the cached address should be replaced by the received address, and the entry's
		// reachability state MUST be set to STALE."
		// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.2.3
		e.learn(now, hw, Stale)
	case e.state == Stale:
		// It is still there, so it is kept for longer, but hearing it does not tell that it hears us.
		e.learn(now, hw, Stale)
	}
	return e
}

// Advertised takes note of a neighbour advertisement for addr, or what counts as one in ARP; a zero hw means that it
// had no target link-layer address option. It creates no entry.
//
// RFC 4861's Appendix C, which summarises section 7.2.5, contradicts it in three rows; the section holds. An
// advertisement without a link-layer address changes nothing while INCOMPLETE, not even the IsRouter flag; it
// confirms a known address if it is solicited, as the answer to a unicast probe may lack the option; and a different
// address, without override, casts doubt on a REACHABLE one, solicited or not.
func (c *Cache) Advertised(now int64, addr netip.Addr, hw wire.LinkAddr, solicited, override, router bool) {
	supplied := !hw.IsZero()
	e := c.entries[addr]
	if e == nil || e.state == Static || supplied && !isStation(hw) {
		// "If no entry exists, the advertisement SHOULD be silently discarded."
		// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.2.5
		return
	}
	if e.state < Stale {
		if !supplied {
			// "If the link layer has addresses and no Target Link-Layer Address option is included, the receiving node
			// SHOULD silently discard the received advertisement."
			// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.2.5
			return
		}
		// "If the advertisement's Solicited flag is set, the state of the entry is set to REACHABLE; otherwise, it is
		// set to STALE."
		// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.2.5
		// In the two states in which nothing has been asked, nothing can have been solicited: the address is taken,
		// being newer than nothing, but will have to be confirmed.
		state := Stale
		if solicited && e.state == Incomplete {
			state = Reachable
		}
		e.router = router
		e.learn(now, hw, state)
		return
	}
	changed := supplied && hw != e.hw
	if changed && !override {
		// "a. If the state of the entry is REACHABLE, set it to STALE, but do not update the entry in any other way.
		// b. Otherwise, the received advertisement should be ignored and MUST NOT update the cache."
		// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.2.5
		if e.state == Reachable {
			e.enter(now, Stale)
		}
		return
	}
	// "The IsRouter flag in the cache entry MUST be set based on the Router flag in the received advertisement."
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.2.5
	e.router = router
	if !supplied {
		hw = e.hw
	}
	// "If the Solicited flag is set, the state of the entry MUST be set to REACHABLE. If the Solicited flag is zero
	// and the link-layer address was updated with a different address, the state MUST be set to STALE. Otherwise, the
	// entry's state remains unchanged."
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.2.5
	switch {
	case solicited:
		e.learn(now, hw, Reachable)
	case changed, e.state == Stale: // entering STALE again only keeps the entry for longer
		e.learn(now, hw, Stale)
	}
}

// Static sets the hardware address of addr for good; packets that wait for it leave. The error, which names the value,
// wraps ErrInvalid or ErrLimit.
func (c *Cache) Static(now int64, addr netip.Addr, hw wire.LinkAddr) error {
	switch {
	case c.closed || !isUnicast(addr) || addr.Zone() != "":
		return fmt.Errorf("%w: %v cannot have a static entry", ErrInvalid, addr)
	case !isStation(hw):
		return fmt.Errorf("%w: %v cannot be the hardware address of %v", ErrInvalid, hw, addr)
	}
	e := c.entries[addr]
	if e == nil || e.state != Static {
		if c.ranks[rankStatic].length >= c.cfg.MaxEntries {
			return fmt.Errorf("%w: %v would exceed the limit of %d", ErrLimit, addr, c.cfg.MaxEntries)
		}
	}
	if e == nil {
		e = c.create(addr)
	}
	e.learn(now, hw, Static)
	return nil
}

// Remove forgets addr, static or not, and drops what waits for it. It reports whether there was an entry.
func (c *Cache) Remove(addr netip.Addr) bool {
	e := c.entries[addr]
	if e == nil {
		return false
	}
	c.forget(e)
	return true
}

// Flush forgets everything but static entries, as is right when the link went down or changed, and drops what waits.
func (c *Cache) Flush() {
	for i := range rankStatic {
		c.forgetAll(&c.ranks[i])
	}
}

// SetTimes sets ReachableTime and Retransmit anew, as a router asks for. 0 stands for what the cache was configured with. Timers
// that run are left to run out.
func (c *Cache) SetTimes(reachable, retransmit time.Duration) {
	c.cfg.ReachableTime, c.cfg.Retransmit = cmp.Or(reachable, c.reachable), cmp.Or(retransmit, c.retransmit)
	c.cfg.ExpireAfter = max(c.expireAfter, c.cfg.ReachableTime+c.cfg.ReachableTime/2)
}

// Close forgets everything and drops what waits, and whatever is output to its entries from now on.
func (c *Cache) Close() {
	c.closed = true
	for i := range c.ranks {
		c.forgetAll(&c.ranks[i])
	}
}

// isUnicast reports whether addr can be one neighbour's.
func isUnicast(addr netip.Addr) bool {
	return addr.IsValid() && !addr.IsUnspecified() && !addr.IsMulticast() && addr != broadcast
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// isStation reports whether hw can be one neighbour's.
func isStation(hw wire.LinkAddr) bool { return !hw.IsZero() && !hw.IsMulticast() }

// longAgo is when a neighbour was last probed that never was.
const longAgo = math.MinInt64 / 2

// create makes an entry, whatever the bounds.
func (c *Cache) create(addr netip.Addr) *Entry {
	e := &Entry{cache: c, addr: addr, probed: longAgo}
	if c.closed {
		e.Dead = true
		return e
	}
	c.entries[addr] = e
	c.ranks[rankIdle].append(e)
	return e
}

// interval is the least time between two probes of one neighbour.
func (c *Cache) interval(addr netip.Addr) int64 {
	if addr.Is4() {
		// "A mechanism to prevent ARP flooding (repeatedly sending an ARP Request for the same IP address, at a high
		// rate) MUST be included. The recommended maximum rate is 1 per second per destination."
		// https://www.rfc-editor.org/rfc/rfc1122.html#section-2.3.2.1
		return int64(max(c.cfg.Retransmit, time.Second))
	}
	// "A node MUST NOT send Neighbor Solicitations to the same neighbor more frequently than once every RetransTimer
	// milliseconds."
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.3.3
	return int64(c.cfg.Retransmit)
}

// reachableTime draws how long a confirmation holds.
func (c *Cache) reachableTime() int64 {
	// "This value should be a uniformly distributed random value between MIN_RANDOM_FACTOR and MAX_RANDOM_FACTOR times
	// BaseReachableTime milliseconds."
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-6.3.2
	base := uint64(c.cfg.ReachableTime)
	return int64(base/2 + c.cfg.Rand()%(base+1))
}
