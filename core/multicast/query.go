package multicast

import (
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// family is the state of IGMP, or of MLD.
type family struct {
	host          *Host
	v6            bool
	version       Version
	robustness    int
	queryInterval int64

	// Until when there are queriers of versions 1 and 2.
	older timer.Timer
	until [V3]int64

	// The answer to a query about all groups, in version 3: its parts leave each in a slot of its own.
	answering timer.Timer
	asked     int64 // when the query came
	slot      int64
	part      int // that leaves next
	parts     int
}

func (f *family) init(h *Host, v6 bool) {
	*f = family{host: h, v6: v6, version: V3, robustness: h.cfg.Robustness, queryInterval: int64(h.cfg.QueryInterval)}
}

// leastResponse is the time over which answers to a query are spread at least. It is the unit of IGMP, in which less cannot be
// said. MLD can say less, down to nothing; whoever does so, over and over, would have as many reports for each of his queries as
// there are groups.
const leastResponse = 100 * time.Millisecond

// Query takes note of a query, and sees to it that it is answered in time.
func (h *Host) Query(now int64, q *Query) {
	if h.closed {
		return
	}
	f := h.family(q.Group.Is6())
	general := q.Group.IsUnspecified()
	f.adopt(q)
	if general && q.Version < V3 {
		f.foundOlder(now, q)
	}
	limit := int64(max(q.MaxResponse, leastResponse))
	if !general {
		if g := h.Group(q.Group); g != nil && !g.unreported {
			g.queried(now, q.Sources, limit)
		}
		return
	}
	if f.version < V3 {
		f.queriedV2(now, limit)
	} else {
		f.queried(now, limit)
	}
}

// adopt takes over what the querier says about itself.
// https://www.rfc-editor.org/rfc/rfc3376.html#section-4.1.6
func (f *family) adopt(q *Query) {
	if q.Version < V3 {
		return
	}
	f.robustness, f.queryInterval = f.host.cfg.Robustness, int64(f.host.cfg.QueryInterval)
	if q.Robustness > 0 {
		f.robustness = q.Robustness
	}
	if q.Interval > 0 {
		f.queryInterval = int64(q.Interval)
	}
}

// foundOlder has the host speak as the querier does until nothing was heard of such a querier for a while.
//
// That while is the robustness variable times the query interval, and one query response interval.
// https://www.rfc-editor.org/rfc/rfc3376.html#section-8.12
func (f *family) foundOlder(now int64, q *Query) {
	f.until[q.Version] = now + int64(f.robustness)*f.queryInterval + int64(q.MaxResponse)
	f.chooseVersion(now)
}

// chooseVersion has the host speak the oldest version that a querier speaks.
func (f *family) chooseVersion(now int64) {
	version, next := V3, timer.Never
	for v := V2; v >= V1; v-- {
		if f.until[v] > now {
			version, next = v, min(next, f.until[v])
		}
	}
	if next != timer.Never {
		f.host.cfg.Timers.Arm(&f.older, (*olderTimer)(f), next)
	}
	if version == f.version {
		return
	}
	// Whatever was to be said in the version until now is not said any more.
	// https://www.rfc-editor.org/rfc/rfc3376.html#section-7.2.1
	f.version = version
	f.host.cfg.Timers.Stop(&f.answering)
	for i := len(f.host.order) - 1; i >= 0; i-- {
		if g := f.host.order[i]; g.family == f {
			g.stop()
			g.settle()
		}
	}
}

// olderTimer is a family of which an older querier may be gone.
type olderTimer family

// Expire goes back to a newer version.
func (t *olderTimer) Expire(now int64) { (*family)(t).chooseVersion(now) }

// reportable calls do for every group of the family that may be reported and that the interface belongs to.
func (f *family) reportable(do func(g *Group)) {
	for _, g := range f.host.order {
		if g.family == f && g.listening && !g.unreported {
			do(g)
		}
	}
}

// queriedV2 prepares the reports that answer a query about all groups: each has a slot of its own, and leaves somewhere in
// it. One that is to leave within the time that there is anyway stays where it is.
// https://www.rfc-editor.org/rfc/rfc2236.html#section-3
func (f *family) queriedV2(now, limit int64) {
	n := int64(0)
	f.reportable(func(*Group) { n++ })
	i := int64(0)
	f.reportable(func(g *Group) {
		slot := limit / n
		g.respond(now, limit, i*slot+f.host.random(slot))
		i++
	})
}

// respond has a group be reported after delay, unless that is about to happen within limit anyway.
func (g *Group) respond(now, limit, delay int64) {
	if !g.response.Armed() || g.response.Deadline()-now > limit {
		g.arm(&g.response, (*responseTimer)(g), now+delay)
	}
}

// queried prepares the answer to a query about all groups. If it needs several reports, they have slots of equal length,
// and each leaves somewhere in its slot.
// https://www.rfc-editor.org/rfc/rfc3376.html#section-5.2
func (f *family) queried(now, limit int64) {
	before := f.pending()
	f.reportable(func(g *Group) { g.general = true })
	parts := 0
	for groups := f.pending(); len(groups) > 0; parts++ {
		groups = groups[f.fitting(groups):]
	}
	if parts == 0 {
		return
	}
	slot := limit / int64(parts)
	first := now + f.host.random(slot)
	if f.answering.Armed() && f.part == 0 && f.answering.Deadline() <= first {
		// An answer to an earlier query is sooner: it does for both.
		for _, g := range f.pending() {
			g.general = false
		}
		for _, g := range before {
			g.general = true
		}
		return
	}
	f.asked, f.slot, f.part, f.parts = now, slot, 0, parts
	f.host.cfg.Timers.Arm(&f.answering, (*answerTimer)(f), first)
}

// pending are the groups that the answer to a query about all has yet to tell of.
func (f *family) pending() (groups []*Group) {
	f.reportable(func(g *Group) {
		if g.general {
			groups = append(groups, g)
		}
	})
	return groups
}

// fitting is how many of the groups, of which there is one at least, one report can tell of; one that is too large for any
// report counts as fitting into one alone.
func (f *family) fitting(groups []*Group) int {
	room := f.host.cfg.Link.Room(f.v6)
	for i, g := range groups {
		record := g.current()
		if room -= record.Len(); room < 0 {
			return max(i, 1)
		}
	}
	return len(groups)
}

// answerTimer is a family of which the next part of an answer is to leave.
type answerTimer family

// Expire sends it.
func (t *answerTimer) Expire(now int64) {
	f := (*family)(t)
	f.part++
	for {
		groups := f.pending()
		if len(groups) == 0 {
			return
		}
		var records []wire.MulticastRecord
		for _, g := range groups[:f.fitting(groups)] {
			g.general = false
			records = append(records, g.current())
		}
		f.send(now, records)
		if f.part < f.parts {
			next := f.asked + int64(f.part)*f.slot + f.host.random(f.slot)
			f.host.cfg.Timers.Arm(&f.answering, t, max(next, now))
			return
		}
	}
}

// queried prepares the answer to a query about this group, or some sources that send to it.
// https://www.rfc-editor.org/rfc/rfc3376.html#section-5.2
func (g *Group) queried(now int64, sources []netip.Addr, limit int64) {
	f := g.family
	delay := g.host.random(limit)
	if f.version < V3 {
		g.respond(now, limit, delay)
		return
	}
	at := now + delay
	if g.general && f.answering.Armed() && f.part+1 >= f.parts && f.answering.Deadline() <= at {
		return // what answers the query about all groups is sooner
	}
	pending := g.response.Armed()
	switch {
	case len(sources) == 0 || pending && len(g.asked) == 0:
		g.asked = nil // all is told
	case pending:
		g.asked = union(g.asked, sources)
	default:
		g.asked = sorted(sources)
	}
	if len(g.asked) > 2*g.host.cfg.MaxSources {
		g.asked = nil // more than there is room for: all is told
	}
	if pending {
		at = min(at, g.response.Deadline())
	}
	g.arm(&g.response, (*responseTimer)(g), at)
}

// current is the record that says what the interface's filter is.
func (g *Group) current() wire.MulticastRecord {
	kind := wire.MulticastIsInclude
	if g.filter.Exclude {
		kind = wire.MulticastIsExclude
	}
	return wire.MulticastRecord{Type: kind, Group: g.addr, Sources: g.filter.Sources}
}

// answer is the record that answers what was asked about the group, false if there is nothing to be said: of sources
// that were asked about, those that are wanted are told.
func (g *Group) answer() (wire.MulticastRecord, bool) {
	if !g.listening {
		return wire.MulticastRecord{}, false
	}
	if len(g.asked) == 0 {
		return g.current(), true
	}
	wanted := common(g.asked, g.filter.Sources)
	if g.filter.Exclude {
		wanted = without(g.asked, g.filter.Sources)
	}
	return wire.MulticastRecord{Type: wire.MulticastIsInclude, Group: g.addr, Sources: wanted}, len(wanted) > 0
}

// stop ends the family's timers.
func (f *family) stop() {
	f.host.cfg.Timers.Remove(&f.older)
	f.host.cfg.Timers.Remove(&f.answering)
}

// OlderQuerier is how long the host will still speak for the sake of an older querier, 0 if there is none.
func (h *Host) OlderQuerier(now int64, v6 bool) time.Duration {
	f := h.family(v6)
	return time.Duration(max(f.until[V1]-now, f.until[V2]-now, 0))
}
