package rpl

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// Target is a destination in the network that a root knows the way to.
type Target struct {
	Prefix netip.Prefix
	// Via is, in storing mode, the link-local address of the neighbour by which it is reached, and in non-storing mode the
	// address of its parent, which is another target's or the root's.
	Via   netip.Addr
	Until int64 // the end of its lifetime; timer.Never: it has none
}

// target is a Target and how it is known.
type target struct {
	Target
	teller   netip.Addr // the source of the DAO
	sequence Sequence   // Path Sequence
}

// targets is what a root knows of the nodes below it, and the timer of the lifetime that ends first.
type targets struct {
	root  *Root
	timer timer.Timer
	table map[netip.Prefix]*target
	bits  [129]int // how many targets have a prefix of so many bits

	addresses []netip.Addr // the root's own, when last looked at
}

// maxHops is how long a source route may be, which is more than networks have: what is longer is a loop.
const maxHops = 64

// Targets returns what is known, sorted.
func (r *Root) Targets() []Target {
	list := make([]Target, 0, len(r.targets.table))
	for _, t := range r.targets.table {
		list = append(list, t.Target)
	}
	slices.SortFunc(list, func(a, b Target) int { return comparePrefixes(a.Prefix, b.Prefix) })
	return list
}

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// Route appends to hops, in non-storing mode, where a packet to dst goes, one node after another: what wire.RPLSourceRoute
// takes. The first is a neighbour, the last is dst. ok is false if there is no route, or only one that leads into a loop.
func (r *Root) Route(hops []netip.Addr, dst netip.Addr) (route []netip.Addr, ok bool) {
	if r.cfg.Mode != wire.RPLNonStoring {
		return hops, false
	}
	start := len(hops)
	route = append(hops, dst)
	for at := dst; len(route)-start <= maxHops; {
		t, ok := r.targets.lookup(at)
		if !ok {
			return hops, false
		}
		if r.targets.own(t.Via) {
			slices.Reverse(route[start:])
			return route, true
		}
		at = t.Via
		route = append(route, at)
	}
	return hops, false
}

// lookup returns the longest target that addr is in.
func (t *targets) lookup(addr netip.Addr) (*target, bool) {
	for bits := 128; bits >= 0; bits-- {
		if t.bits[bits] == 0 {
			continue
		}
		if found, ok := t.table[netip.PrefixFrom(addr, bits).Masked()]; ok {
			return found, true
		}
	}
	return nil, false
}

// own reports whether addr is the root's.
func (t *targets) own(addr netip.Addr) bool {
	if addr == t.root.cfg.DODAG {
		return true
	}
	t.addresses = t.root.cfg.Owner.Addresses(t.addresses[:0])
	return slices.Contains(t.addresses, addr)
}

// allowed reports whether a node may say that it is the way to the prefix.
func (t *targets) allowed(p netip.Prefix) bool {
	addr := p.Addr()
	if p.Bits() == 0 || addr.IsMulticast() || addr.IsLinkLocalUnicast() || addr.IsUnspecified() || addr.IsLoopback() ||
		addr.Is4In6() || p.IsSingleIP() && t.own(addr) {
		return false
	}
	return t.root.cfg.TargetsIn == nil || slices.ContainsFunc(t.root.cfg.TargetsIn, func(in netip.Prefix) bool {
		return in.Bits() <= p.Bits() && in.Contains(addr)
	})
}

// claim is what a DAO says of one target.
type claim struct {
	prefix   netip.Prefix
	via      netip.Addr // zero: not said, which only takes back what has been said
	teller   netip.Addr
	sequence Sequence
	lifetime uint8
}

// judgement is what becomes of a claim.
type judgement uint8

const (
	ignored   judgement = iota // it is old, or takes back what is not so
	accepted                   // it is news of a known target
	added                      // it is of a target that is not known
	withdrawn                  // the target is reached by that way no longer
)

// judge says what becomes of a claim.
//
// Of different ways to one target the one with the newest Path Sequence counts, and of those with the same one the last that was
// told: there are nodes, RIOT's among them, whose Path Sequence is always 0. What is told of the same way by the same node always
// counts: it may have begun anew.
func (t *targets) judge(c *claim) judgement {
	known := t.table[c.prefix]
	switch {
	case known == nil && c.lifetime == 0:
		return ignored
	case known == nil:
		return added
	case c.lifetime == 0:
		if c.via.IsValid() && c.via != known.Via || c.sequence.older(known.sequence) && c.teller != known.teller {
			return ignored
		}
		return withdrawn
	case c.via == known.Via && c.teller == known.teller:
		return accepted
	}
	if c.sequence.older(known.sequence) {
		return ignored
	}
	return accepted
}

// advertised takes note of what a DAO says: all of it, or if something cannot be, nothing.
func (r *Root) advertised(now int64, src, dst netip.Addr, m *wire.RPLDAORepr) Cause {
	switch {
	case m.Instance != r.cfg.Instance:
		return WrongInstance
	case m.DODAG.IsValid() && m.DODAG != r.cfg.DODAG:
		return WrongDODAG
	case r.cfg.Mode == wire.RPLNoDownward:
		return WrongMode
	case dst.IsMulticast() || src.IsMulticast() || src.IsUnspecified() || src.IsLinkLocalUnicast() != (r.cfg.Mode == wire.RPLStoring):
		return WrongSource
	}
	count, fresh, useful := 0, 0, 0
	cause := r.claims(src, m.Options, func(c *claim) Cause {
		if !r.targets.allowed(c.prefix) {
			return ForbiddenTarget
		}
		count++
		switch r.targets.judge(c) {
		case added:
			fresh++
			useful++
		case accepted, withdrawn:
			useful++
		}
		return None
	})
	switch {
	case cause == Malformed:
		return cause
	case cause == None && count == 0:
		return Malformed
	case cause == None && fresh > 0 && len(r.targets.table)+fresh > r.cfg.Targets:
		cause = TableFull
	}
	if cause != None {
		r.counters.Refused++
		r.acknowledge(now, src, m, StatusRefused)
		return cause
	}
	r.claims(src, m.Options, func(c *claim) Cause {
		r.targets.apply(now, c)
		return None
	})
	r.acknowledge(now, src, m, StatusAccepted)
	if useful == 0 {
		return Stale
	}
	return None
}

// acknowledge answers a DAO that asks for it.
func (r *Root) acknowledge(now int64, src netip.Addr, m *wire.RPLDAORepr, status uint8) {
	if !m.Ack {
		return
	}
	r.counters.SentDAOAck++
	r.cfg.Owner.Send(now, src, &wire.RPLDAOAckRepr{Instance: m.Instance, Sequence: m.Sequence, Status: status, DODAG: m.DODAG})
}

// claims calls visit for each target of a DAO, until it returns a cause. The options are groups of targets, each group followed
// by the transit information for all of it; if there are several, the way with the most path control, if it is not taken back,
// counts.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-9.4
func (r *Root) claims(src netip.Addr, options wire.RPLOptions, visit func(*claim) Cause) Cause {
	for len(options) > 0 {
		group := options
		var best, transit wire.RPLTransitInformationRepr
		targets, transits := 0, 0
		for len(options) > 0 {
			rest := options
			option, ok := rest.Next()
			if !ok {
				return Malformed
			}
			kind := option.Type()
			if kind == wire.RPLOptionTarget {
				if transits > 0 {
					break // the next group
				}
				targets++
			}
			if kind == wire.RPLOptionTransitInformation {
				if targets == 0 || transit.Parse(option) != nil {
					return Malformed
				}
				if transits == 0 || rankTransit(&transit) > rankTransit(&best) {
					best = transit
				}
				transits++
			}
			options = rest
		}
		if targets == 0 {
			return None // nothing but padding and what is not known
		}
		if transits == 0 {
			return Malformed
		}
		c := claim{via: best.Parent, teller: src, sequence: Sequence(best.PathSequence), lifetime: best.PathLifetime}
		if r.cfg.Mode == wire.RPLStoring {
			c.via = src
		} else if c.lifetime > 0 && !validDODAG(c.via) {
			return Malformed
		}
		for option, ok := group.Next(); ok && option.Type() != wire.RPLOptionTransitInformation; option, ok = group.Next() {
			if option.Type() != wire.RPLOptionTarget {
				continue
			}
			var target wire.RPLTargetRepr
			if target.Parse(option) != nil {
				return Malformed
			}
			c.prefix = target.Prefix
			if cause := visit(&c); cause != None {
				return cause
			}
		}
	}
	return None
}

// rankTransit orders ways: those that are not taken back first, then by path control, whose highest bits are for the most
// preferred.
func rankTransit(t *wire.RPLTransitInformationRepr) int {
	rank := int(t.PathControl)
	if t.PathLifetime > 0 {
		rank += 256
	}
	return rank
}

// apply takes over a claim.
func (t *targets) apply(now int64, c *claim) {
	switch t.judge(c) {
	case added:
		if len(t.table) >= t.root.cfg.Targets {
			return // one DAO has told of a target, taken it back and told of another
		}
		if t.table == nil {
			t.table = make(map[netip.Prefix]*target)
		}
		known := &target{Target: Target{Prefix: c.prefix}}
		t.table[c.prefix] = known
		t.bits[c.prefix.Bits()]++
		t.set(now, known, c)
	case accepted:
		t.set(now, t.table[c.prefix], c)
	case withdrawn:
		t.drop(now, t.table[c.prefix])
	}
}

// set takes over what is said of a target.
func (t *targets) set(now int64, known *target, c *claim) {
	moved := known.Via != c.via
	known.Via, known.teller, known.sequence, known.Until = c.via, c.teller, c.sequence, timer.Never
	if d, infinite := lifetime(c.lifetime, &t.root.cfg.Configuration); !infinite {
		known.Until = now + int64(d)
	}
	// A timer that is too early, because what it was for has been told again, does no harm.
	if known.Until < t.timer.Deadline() {
		t.root.cfg.Timers.Arm(&t.timer, t, known.Until)
	}
	if moved && t.root.cfg.Mode == wire.RPLStoring {
		t.root.cfg.Owner.SetRoute(now, known.route())
	}
}

func (t *target) route() Route { return Route{Destination: t.Prefix, Gateway: t.Via} }

// drop forgets a target.
func (t *targets) drop(now int64, known *target) {
	delete(t.table, known.Prefix)
	t.bits[known.Prefix.Bits()]--
	if t.root.cfg.Mode == wire.RPLStoring {
		t.root.cfg.Owner.DropRoute(now, known.route())
	}
}

// dropWhere forgets the targets of which it is so, in order.
func (t *targets) dropWhere(now int64, so func(*target) bool) {
	var list []*target
	for _, known := range t.table {
		if so(known) {
			list = append(list, known)
		}
	}
	slices.SortFunc(list, func(a, b *target) int { return comparePrefixes(a.Prefix, b.Prefix) })
	for _, known := range list {
		t.drop(now, known)
	}
}

// dropGateway forgets the targets by a neighbour.
func (t *targets) dropGateway(now int64, gateway netip.Addr) {
	t.dropWhere(now, func(known *target) bool { return known.Via == gateway })
}

// dropRoute forgets the target that dst is in, if it is by the neighbour.
func (t *targets) dropRoute(now int64, dst, gateway netip.Addr) {
	if known, ok := t.lookup(dst); ok && known.Via == gateway {
		t.drop(now, known)
	}
}

// clear forgets everything.
func (t *targets) clear(now int64) {
	t.dropWhere(now, func(*target) bool { return true })
	t.table = nil
	t.root.cfg.Timers.Remove(&t.timer)
}

// Expire forgets what has come to its end. The timer heap calls it.
func (t *targets) Expire(now int64) {
	t.dropWhere(now, func(known *target) bool { return known.Until <= now })
	next := timer.Never
	for _, known := range t.table {
		next = min(next, known.Until)
	}
	if next != timer.Never {
		t.root.cfg.Timers.Arm(&t.timer, t, next)
	}
}
