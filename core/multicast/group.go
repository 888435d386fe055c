package multicast

import (
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// Group is a group that the interface belongs to, or has left a moment ago and is still reporting so.
type Group struct {
	host       *Host
	family     *family
	addr       netip.Addr
	unreported bool

	held      int // how often the stack itself has joined
	members   []*Member
	filter    ip.SourceFilter // of all of them: the interface's
	listening bool            // the filter wants somebody's packets

	// What has changed and is yet to be reported: in version 3 the mode, for so many reports, and single sources; in
	// versions 1 and 2 the membership, for so many reports.
	change      timer.Timer
	modeReports int
	sources     []changedSource
	reports     int

	// What a query wants to know: of some sources alone if there are any.
	response timer.Timer
	asked    []netip.Addr

	general bool // the answer to a query about all groups is yet to say something about this
	last    bool // version 2: nobody else was heard to report the group since this host did
}

// changedSource is a source of which so many more reports say whether it is wanted.
type changedSource struct {
	addr    netip.Addr
	reports int
}

// Addr is the group's address.
func (g *Group) Addr() netip.Addr { return g.addr }

// Filter returns whose packets the interface takes, the sources sorted.
func (g *Group) Filter() ip.SourceFilter {
	return ip.SourceFilter{Exclude: g.filter.Exclude, Sources: slices.Clone(g.filter.Sources)}
}

// Allows reports whether anybody wants what source sends to the group.
func (g *Group) Allows(source netip.Addr) bool { return allows(&g.filter, source) }

// Members is how many listen to the group, the stack itself included.
func (g *Group) Members() int { return len(g.members) + g.held }

// empty reports whether nobody is a member.
func (g *Group) empty() bool { return g.held == 0 && len(g.members) == 0 }

// included is the set of sources that members with filters that name the wanted want.
func (g *Group) included() []netip.Addr {
	var include []netip.Addr
	for _, m := range g.members {
		if !m.filter.Exclude && len(m.filter.Sources) > 0 {
			include = union(include, m.filter.Sources)
		}
	}
	return include
}

// merged is what the filters of all members come to. If any of them excludes sources the interface does too: those that
// all such members exclude, and no member wants. Otherwise the interface wants what any member wants.
// https://www.rfc-editor.org/rfc/rfc3376.html#section-3.2
func (g *Group) merged() ip.SourceFilter {
	include := g.included()
	var exclude []netip.Addr
	excluding := g.held > 0
	for _, m := range g.members {
		switch {
		case !m.filter.Exclude:
		case !excluding:
			excluding, exclude = true, m.filter.Sources
		default:
			exclude = common(exclude, m.filter.Sources)
		}
	}
	if excluding {
		return ip.SourceFilter{Exclude: true, Sources: without(exclude, include)}
	}
	return ip.SourceFilter{Sources: include}
}

// update brings the interface's filter up to date, and reports what has changed.
func (g *Group) update(now int64) {
	before, after := g.filter, g.merged()
	if !equal(&before, &after) {
		g.filter = after
		g.listening = !nothing(&after)
		switch {
		case g.listening && nothing(&before):
			g.host.joined++
			g.host.cfg.Link.GroupJoined(now, g.addr)
		case !g.listening:
			g.host.joined--
			g.host.cfg.Link.GroupLeft(now, g.addr)
		}
		g.changed(now, &before)
	}
	g.settle()
}

// settle forgets the group if nobody is a member and there is nothing to be reported any more.
func (g *Group) settle() {
	if g.empty() && !g.change.Armed() && g.host.groups[g.addr] == g {
		g.host.forget(g)
	}
}

// changed reports that the interface's filter is not what it was before.
func (g *Group) changed(now int64, before *ip.SourceFilter) {
	switch {
	case g.unreported:
	case g.family.version < V3:
		g.changedV2(now, before)
	case before.Exclude != g.filter.Exclude:
		// The report has the whole filter, and so whatever single sources there are to tell of.
		g.modeReports, g.sources = g.family.robustness, nil
		g.reportChange(now)
	default:
		for _, source := range without(g.filter.Sources, before.Sources) {
			g.changedSource(source)
		}
		for _, source := range without(before.Sources, g.filter.Sources) {
			g.changedSource(source)
		}
		if len(g.sources) > 2*g.host.cfg.MaxSources {
			g.modeReports, g.sources = g.family.robustness, nil // sooner the whole filter than all that it has been
		}
		g.reportChange(now)
	}
}

// changedSource has as many reports as there are to be of a change tell of the source.
func (g *Group) changedSource(source netip.Addr) {
	for i := range g.sources {
		if g.sources[i].addr == source {
			g.sources[i].reports = g.family.robustness
			return
		}
	}
	g.sources = append(g.sources, changedSource{source, g.family.robustness})
}

// reportChange reports what has changed, and sets the timer if it is to be said again.
//
// A report of the new mode has all sources, and takes the place of one about single sources for as long as it is to be
// repeated; those continue afterwards if there is any left of them.
// https://www.rfc-editor.org/rfc/rfc3376.html#section-5.1
func (g *Group) reportChange(now int64) {
	var records []wire.MulticastRecord
	if g.modeReports > 0 {
		g.modeReports--
		kind := wire.MulticastToInclude
		if g.filter.Exclude {
			kind = wire.MulticastToExclude
		}
		records = append(records, wire.MulticastRecord{Type: kind, Group: g.addr, Sources: g.filter.Sources})
	} else {
		records = g.sourceRecords()
	}
	for i := range g.sources {
		g.sources[i].reports--
	}
	g.sources = slices.DeleteFunc(g.sources, func(s changedSource) bool { return s.reports == 0 })
	g.family.send(now, records)
	if g.modeReports > 0 || len(g.sources) > 0 {
		g.arm(&g.change, (*changeTimer)(g), now+g.host.random(unsolicitedInterval))
	} else {
		g.host.cfg.Timers.Stop(&g.change)
	}
}

// sourceRecords says of the sources that have changed whether they are wanted.
func (g *Group) sourceRecords() (records []wire.MulticastRecord) {
	var allow, block []netip.Addr
	for _, source := range g.sources {
		if g.Allows(source.addr) {
			allow = append(allow, source.addr)
		} else {
			block = append(block, source.addr)
		}
	}
	if len(allow) > 0 {
		records = append(records, wire.MulticastRecord{Type: wire.MulticastAllowNew, Group: g.addr, Sources: allow})
	}
	if len(block) > 0 {
		records = append(records, wire.MulticastRecord{Type: wire.MulticastBlockOld, Group: g.addr, Sources: block})
	}
	return records
}

// announce reports the group as if it had just been joined.
func (g *Group) announce(now int64) {
	switch {
	case g.unreported:
	case g.family.version < V3:
		g.changedV2(now, &ip.SourceFilter{})
	case g.filter.Exclude:
		g.modeReports, g.sources = g.family.robustness, nil
		g.reportChange(now)
	default:
		for _, source := range g.filter.Sources {
			g.changedSource(source)
		}
		g.reportChange(now)
	}
}

// changedV2 reports that the host has joined the group, or left it: sources do not matter.
// https://www.rfc-editor.org/rfc/rfc2236.html#section-3
func (g *Group) changedV2(now int64, before *ip.SourceFilter) {
	switch {
	case g.listening && nothing(before):
		g.reports = g.family.robustness
		g.reportV2(now)
	case !g.listening:
		// Who was not the last to report need not tell, because there are others. In version 1 nobody tells.
		if g.last && g.family.version == V2 {
			g.host.cfg.Link.SendLeave(now, g.addr)
		}
		g.stop()
	}
}

// reportV2 reports the group because it was joined, and sets the timer if that is to be repeated.
func (g *Group) reportV2(now int64) {
	g.sendReport(now)
	if g.reports--; g.reports > 0 {
		g.arm(&g.change, (*changeTimer)(g), now+g.host.random(unsolicitedIntervalV2))
	}
}

func (g *Group) sendReport(now int64) {
	g.last = true
	g.host.cfg.Link.SendReport(now, g.family.version, g.addr)
}

// heard takes note that somebody else has reported the group: one report is enough for the router.
// https://www.rfc-editor.org/rfc/rfc2236.html#section-3
//
// In version 3 every host reports for itself.
func (g *Group) heard() {
	if g.family.version < V3 && (g.change.Armed() || g.response.Armed()) {
		g.stop()
	}
}

// stop cancels all that is to be reported.
func (g *Group) stop() {
	g.host.cfg.Timers.Remove(&g.change)
	g.host.cfg.Timers.Remove(&g.response)
	g.modeReports, g.sources, g.reports, g.asked, g.general, g.last = 0, nil, 0, nil, false, false
}

func (g *Group) arm(t *timer.Timer, owner timer.Expirer, deadline int64) {
	g.host.cfg.Timers.Arm(t, owner, deadline)
}

// changeTimer is a group whose change is to be reported again.
type changeTimer Group

// Expire reports the change once more.
func (t *changeTimer) Expire(now int64) {
	g := (*Group)(t)
	if g.family.version < V3 {
		g.reportV2(now)
	} else {
		g.reportChange(now)
	}
	g.settle()
}

// responseTimer is a group that a query is to be answered for.
type responseTimer Group

// Expire answers.
func (t *responseTimer) Expire(now int64) {
	g := (*Group)(t)
	if g.family.version < V3 {
		g.sendReport(now)
		return
	}
	record, ok := g.answer()
	g.asked = nil
	if ok {
		g.family.send(now, []wire.MulticastRecord{record})
	}
}
