package rpl

import (
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// everywhere is the destination of the route by the parent.
var everywhere = netip.PrefixFrom(netip.IPv6Unspecified(), 0)

// choose has the leaf use the best parent of the best DODAG there is now.
func (l *Leaf) choose(now int64) {
	best, parent, by := l.joined, (*neighbour)(nil), path{}
	if best != nil {
		parent, by = l.best(now, best)
	}
	for _, d := range l.dodags {
		if d == l.joined || parent != nil && !d.better(best) {
			continue
		}
		if n, p := l.best(now, d); n != nil {
			best, parent, by = d, n, p
		}
	}
	if parent == nil {
		l.detach(now)
	} else {
		l.attach(now, best, parent, by)
	}
	l.silence.arm()
}

// better reports whether a leaf should rather be in d than in other: one that is grounded, or else one that its root prefers. Of
// equals, the one that was first heard of stays.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-8.2.2.3
func (d *dodag) better(other *dodag) bool {
	if d.grounded != other.grounded {
		return d.grounded
	}
	return d.preference > other.preference
}

// best returns the neighbour by which the DODAG is to be joined, and the path by it; nil if there is none. The preferred parent
// is only given up for one that the objective function finds better. Neighbours that did not acknowledge DAOs are for lack of
// others.
func (l *Leaf) best(now int64, d *dodag) (best *neighbour, by path) {
	if !d.configured {
		return nil, path{}
	}
	objective := objectiveOf(d.config.Objective)
	better := func(n *neighbour, p path) bool {
		if shunned := n.shunned > now; best == nil || shunned != (best.shunned > now) {
			return best == nil || !shunned
		}
		if best == l.parent { // which stays if all refuse
			return n.shunned <= now && objective.prefers(p, by)
		}
		return p.cost < by.cost
	}
	if l.parent != nil && d == l.joined && d.neighbour(l.parent.addr) == l.parent {
		if p, ok := l.path(d, objective, l.parent); ok {
			best, by = l.parent, p
		}
	}
	for _, n := range d.neighbours {
		if n == l.parent {
			continue
		}
		if p, ok := l.path(d, objective, n); ok && better(n, p) {
			best, by = n, p
		}
	}
	return best, by
}

// path is the path by a neighbour; ok is false if it must not be used, because of the objective function or because it would take
// the leaf further from the root than its DODAG allows.
//
// L being the lowest rank that a node has had in this version, its rank must not exceed L + DAGMaxRankIncrease; 0 means that
// there is no such limit. That no parent has the leaf's own rank or a greater one follows from how ranks are made.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-8.2.2.4
func (l *Leaf) path(d *dodag, objective objective, n *neighbour) (p path, ok bool) {
	etx, known := l.cfg.Owner.ETX(n.addr)
	p, ok = objective.path(&d.config, n, etx, known)
	if !ok || dagRank(p.rank, &d.config) <= dagRank(n.rank, &d.config) {
		return p, false
	}
	if increase := uint32(d.config.MaxRankIncrease); increase > 0 && d.lowest != wire.RPLInfiniteRank {
		ok = uint32(p.rank) <= uint32(d.lowest)+increase
	}
	return p, ok
}

// attach makes n of d the preferred parent, if it is not.
func (l *Leaf) attach(now int64, d *dodag, n *neighbour, by path) {
	l.rank, d.lowest = by.rank, min(d.lowest, by.rank)
	if n == l.parent {
		return
	}
	// After a new version a neighbour is another one even if its address is the same: it is to be told anew where the leaf is.
	before, previous := netip.Addr{}, l.joined
	if l.parent != nil {
		before = l.parent.addr
	}
	if before.IsValid() && (before != n.addr || d != previous) && previous.neighbour(before) == l.parent {
		l.advertiser.retract(now, previous, before, d)
	}
	l.joined, l.parent = d, n
	l.solicitor.stop()
	if before != n.addr {
		if before.IsValid() {
			l.cfg.Owner.DropRoute(now, Route{everywhere, before})
		}
		l.cfg.Owner.SetRoute(now, Route{everywhere, n.addr})
		l.counters.ParentChanges++
		l.cfg.Owner.ParentChanged(now, n.addr)
	}
	l.advertiser.soon(now)
}

// detach takes note that there is no parent any more, and begins to look for one.
func (l *Leaf) detach(now int64) {
	l.rank = wire.RPLInfiniteRank
	if l.parent == nil {
		return
	}
	before := l.parent.addr
	l.parent = nil
	l.advertiser.stop()
	l.counters.ParentChanges++
	l.counters.Repairs++
	l.cfg.Owner.DropRoute(now, Route{everywhere, before})
	l.cfg.Owner.ParentChanged(now, netip.Addr{})
	l.solicitor.start(now)
}

// Times after which a router that has not been heard is thought to be gone.
const (
	minSilence = 10 * time.Second
	maxSilence = time.Hour
	// probeInterval is how long a parent has to answer, and maxProbes how often it is asked before it is given up.
	probeInterval = 5 * time.Second
	maxProbes     = 3
)

// silentAfter is how long a DODAG's routers may be silent. They send no less than once in Trickle's greatest interval, unless
// others do so in their place.
func (d *dodag) silentAfter() int64 {
	if !d.configured {
		return int64(maxSilence)
	}
	longest := intervalOf(int(d.config.IntervalMin) + int(d.config.IntervalDoublings))
	return min(max(2*longest, int64(minSilence)), int64(maxSilence))
}

// silence is the timer of the router that has been silent for the longest time.
type silence struct {
	leaf  *Leaf
	timer timer.Timer
}

// deadline is when something is to be done about a neighbour's silence.
func (s *silence) deadline(d *dodag, n *neighbour) int64 {
	return n.heard + d.silentAfter() + int64(n.probes)*int64(probeInterval)
}

func (s *silence) arm() {
	next := timer.Never
	for _, d := range s.leaf.dodags {
		for _, n := range d.neighbours {
			next = min(next, s.deadline(d, n))
		}
	}
	if next == timer.Never {
		s.leaf.cfg.Timers.Stop(&s.timer)
		return
	}
	s.leaf.cfg.Timers.Arm(&s.timer, s, next)
}

// Expire asks the preferred parent for a sign of life, and forgets those that have given none. The timer heap calls it.
func (s *silence) Expire(now int64) {
	l := s.leaf
	for _, d := range l.dodags {
		for i := 0; i < len(d.neighbours); i++ {
			switch n := d.neighbours[i]; {
			case s.deadline(d, n) > now:
			case n == l.parent && n.probes < maxProbes:
				n.probes++
				l.sendDIS(now, n.addr)
			default:
				d.remove(n.addr)
				i--
			}
		}
	}
	l.choose(now)
}
