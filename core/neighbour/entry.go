package neighbour

import (
	"net/netip"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/storage"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// Entry is what a cache knows of one neighbour, and the place where packets for it go through. Whoever sends to the
// neighbour may hold on to it.
type Entry struct {
	// Dead is set once the cache has forgotten the entry; only the cache sets it. Whoever holds on to a dead entry
	// should ask the cache for a new one; what is output to a dead one meanwhile takes that way by itself.
	Dead bool

	state  State
	rank   rank
	router bool
	told   bool          // the link knows of the entry
	hw     wire.LinkAddr // valid from Stale on
	probes int           // sent since Incomplete or Probe began
	addr   netip.Addr
	source netip.Addr
	cache  *Cache

	confirmed int64 // when the address was learnt, confirmed, or, while Stale, last heard of
	lasts     int64 // how long a confirmation holds: drawn on becoming Reachable
	probed    int64 // when the last probe was sent

	timer timer.Timer   // armed in all states but None and Static
	queue storage.Queue // empty in all states but Incomplete

	prev, next *Entry // in the list of the rank
}

// Addr is the neighbour's IP address.
func (e *Entry) Addr() netip.Addr { return e.addr }

// State is the neighbour's reachability state.
func (e *Entry) State() State { return e.state }

// LinkAddr is the neighbour's link-layer address; ok is false while it is not known.
func (e *Entry) LinkAddr() (hw wire.LinkAddr, ok bool) { return e.hw, e.state >= Stale }

// Queued is the number of packets that wait for the neighbour.
func (e *Entry) Queued() int { return e.queue.Len() }

// Source is the source address of the packet because of which the neighbour is being probed; invalid if the packet did
// not say. Probes should come from it if it is one of the interface's own.
func (e *Entry) Source() netip.Addr { return e.source }

// Router is RFC 4861's IsRouter flag: what the neighbour's last advertisement said, or SetRouter.
func (e *Entry) Router() bool { return e.router }

// SetRouter sets the IsRouter flag, as router advertisements and redirects do, or clears it, as router
// solicitations do.
func (e *Entry) SetRouter(router bool) { e.router = router }

// Output is called for each packet to the neighbour. With ok, the packet remains the caller's, to be sent to hw at
// once. Otherwise the entry has taken p: it waits for the neighbour to answer, and leaves by Link.Transmit or
// Link.Unreachable.
func (e *Entry) Output(now int64, p *packet.Packet) (hw wire.LinkAddr, ok bool) {
	if e.state > Stale {
		return e.hw, true
	}
	return e.output(now, p)
}

func (e *Entry) output(now int64, p *packet.Packet) (hw wire.LinkAddr, ok bool) {
	c := e.cache
	switch {
	case e.Dead:
		heir := c.Entry(e.addr)
		if heir.Dead { // the cache is closed
			c.counters.Discarded++
			p.Release()
			return wire.LinkAddr{}, false
		}
		return heir.Output(now, p)
	case e.state == Stale:
		// "The first time a node sends a packet to a neighbor whose entry is STALE, the sender changes the state to
		// DELAY and sets a timer to expire in DELAY_FIRST_PROBE_TIME seconds."
		// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.3.3
		e.source = p.IP.Src
		e.enter(now, Delay)
		return e.hw, true
	case e.state == Incomplete:
		e.push(p)
	default:
		e.source = p.IP.Src
		e.push(p)
		e.enter(now, Incomplete)
	}
	return wire.LinkAddr{}, false
}

// Confirm tells that the neighbour has just been heard to receive what was sent to it: TCP's acknowledgment of new
// data, for one. It costs next to nothing, and may be called for each packet.
func (e *Entry) Confirm(now int64) {
	if e.state == Reachable {
		// The timer finds out when it expires.
		e.confirmed = now
		return
	}
	e.confirm(now)
}

// confirm is the rare case, kept out of Confirm so that that can be inlined.
//
//go:noinline
func (e *Entry) confirm(now int64) {
	// "The one exception is that upper-layer advice has no effect on entries in the INCOMPLETE state (e.g., for which
	// no link-layer address is cached)."
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.3.3
	if e.state >= Stale && e.state != Static {
		e.learn(now, e.hw, Reachable)
	}
}

// Expire advances the entry's state because of time alone. The timer heap calls it.
func (e *Entry) Expire(now int64) {
	switch e.state {
	case Incomplete:
		e.retry(now, e.cache.cfg.MulticastProbes)
	case Probe:
		e.retry(now, e.cache.cfg.UnicastProbes)
	case Delay:
		e.enter(now, Probe)
	case Reachable:
		if due := e.confirmed + e.lasts; now < due {
			e.arm(due)
			return
		}
		e.enter(now, Stale)
	case Stale, Failed:
		e.cache.forget(e)
	}
}

// enter puts the entry into a state, and does what entering it involves.
func (e *Entry) enter(now int64, state State) {
	c := e.cache
	e.state = state
	c.reconsider(e)
	switch state {
	case Incomplete, Probe:
		e.probes = 0
		e.probe(now)
	case Delay:
		e.arm(now + int64(c.cfg.DelayFirstProbe))
	case Reachable:
		e.lasts = c.reachableTime()
		e.arm(now + e.lasts)
	case Stale:
		e.arm(e.confirmed + int64(c.cfg.ExpireAfter))
	case Failed:
		e.arm(now + int64(c.cfg.ExpireAfter))
	case Static:
		c.cfg.Timers.Stop(&e.timer)
	}
}

func (e *Entry) arm(deadline int64) { e.cache.cfg.Timers.Arm(&e.timer, e, deadline) }

// learn records the hardware address, and lets the packets go that have waited for it.
func (e *Entry) learn(now int64, hw wire.LinkAddr, state State) {
	c := e.cache
	if e.state == Incomplete {
		c.counters.Resolved++
	}
	changed := e.state < Stale || e.hw != hw
	e.hw, e.confirmed = hw, now
	waiting := e.takeQueue()
	e.enter(now, state)
	if changed {
		e.changed(now)
	}
	for p := waiting.Pop(); p != nil; p = waiting.Pop() {
		c.cfg.Link.Transmit(now, e, p)
	}
}

func (e *Entry) changed(now int64) {
	e.told = true
	e.cache.cfg.Link.Changed(now, e)
}

// probe asks the neighbour once more, or as soon as it may be asked.
func (e *Entry) probe(now int64) {
	c := e.cache
	interval := c.interval(e.addr)
	if due := e.probed + interval; now < due {
		e.arm(due)
		return
	}
	e.probes++
	e.probed = now
	e.arm(now + interval)
	c.counters.Probes++
	var to wire.LinkAddr
	if e.state == Probe {
		to = e.hw
	}
	c.cfg.Link.SendProbe(now, e, to)
}

// retry sends the next probe, or gives up after the last of so many.
func (e *Entry) retry(now int64, probes int) {
	if e.probes < probes {
		e.probe(now)
		return
	}
	// "If address resolution fails, the entry SHOULD be deleted, so that subsequent traffic to that neighbor invokes
	// the next-hop determination procedure again."
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.3.3
	// The entry stays instead, without an address, to know when the neighbour may be asked again. "The sender MUST
	// return ICMP destination unreachable indications with code 3 (Address Unreachable) for each packet queued
	// awaiting address resolution."
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.2.2
	c := e.cache
	c.counters.Failed++
	waiting := e.takeQueue()
	e.enter(now, Failed)
	e.changed(now)
	for p := waiting.Pop(); p != nil; p = waiting.Pop() {
		c.counters.Unreachable++
		c.cfg.Link.Unreachable(now, e, p)
	}
}

// push adds a packet to those that wait, and drops others if there are too many.
func (e *Entry) push(p *packet.Packet) {
	c := e.cache
	e.queue.Push(p)
	c.queued += p.Cost()
	c.reconsider(e)
	// "When a queue overflows, the new arrival SHOULD replace the oldest entry."
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.2.2
	for e.queue.Cost() > c.cfg.MaxQueueOctets && e.queue.Len() > 1 {
		e.drop()
	}
	for victim := c.ranks[rankWaiting].first; c.queued > c.cfg.MaxTotalOctets; victim = c.ranks[rankWaiting].first {
		if victim == e && e.queue.Len() == 1 {
			// The newest packet is kept, and lives at the cost of somebody else's.
			if victim = e.next; victim == nil {
				return
			}
		}
		victim.drop()
	}
}

// drop drops the packet that has waited longest.
func (e *Entry) drop() {
	c := e.cache
	p := e.queue.Pop()
	c.queued -= p.Cost()
	c.counters.Overflowed++
	p.Release()
	c.reconsider(e)
}

// takeQueue returns the packets that wait, which the entry then holds no longer: what is done with them may lead to new
// ones.
func (e *Entry) takeQueue() storage.Queue {
	waiting := e.queue
	e.queue = storage.Queue{}
	e.cache.queued -= waiting.Cost()
	return waiting
}
