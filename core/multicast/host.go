package multicast

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/ip"
)

// Host is the multicast side of one interface.
type Host struct {
	cfg    Config
	groups map[netip.Addr]*Group // those included that were left and have yet to be reported so
	order  []*Group              // the same in the order of joining
	joined int                   // groups that the interface belongs to
	v4, v6 family
	closed bool
}

// New returns a Host that belongs to no group. The error wraps ErrConfig and names the value.
func New(cfg Config) (*Host, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Host{cfg: cfg, groups: make(map[netip.Addr]*Group)}
	h.v4.init(h, false)
	h.v6.init(h, true)
	return h, nil
}

// family returns the state of the protocol for the group's family.
func (h *Host) family(v6 bool) *family {
	if v6 {
		return &h.v6
	}
	return &h.v4
}

// Group returns the group of the address if the interface belongs to it, else nil.
func (h *Host) Group(addr netip.Addr) *Group {
	if g := h.groups[addr]; g != nil && g.listening {
		return g
	}
	return nil
}

// Groups returns the groups that the interface belongs to, in the order in which they were joined.
func (h *Host) Groups() []*Group {
	groups := make([]*Group, 0, h.joined)
	for _, g := range h.order {
		if g.listening {
			groups = append(groups, g)
		}
	}
	return groups
}

// Version is the version of the protocol of the family that the host speaks at the moment, for the sake of the oldest
// querier that has been heard lately.
func (h *Host) Version(v6 bool) Version { return h.family(v6).version }

// Robustness is how often changes are reported in the family, as the querier has said.
func (h *Host) Robustness(v6 bool) int { return h.family(v6).robustness }

// QueryInterval is how often the family's querier queries, as it has said.
func (h *Host) QueryInterval(v6 bool) time.Duration { return time.Duration(h.family(v6).queryInterval) }

// Join makes the interface belong to the group, whoever sends to it, until as many calls of Leave: for the stack itself.
// The errors are ip.ErrInvalid for what is no group, and ip.ErrNoBufferSpace if there are MaxGroups.
func (h *Host) Join(now int64, addr netip.Addr) error {
	g, err := h.group(addr)
	if err != nil {
		return err
	}
	g.held++
	g.update(now)
	return nil
}

// Leave undoes one call of Join.
func (h *Host) Leave(now int64, addr netip.Addr) {
	if g := h.groups[addr]; g != nil && g.held > 0 {
		g.held--
		g.update(now)
	}
}

// NewMember makes somebody listen to the group, on the link of the given index. The errors are Join's, and those of
// ip.Membership's SetFilter.
func (h *Host) NewMember(now int64, link int32, addr netip.Addr, f ip.SourceFilter) (*Member, error) {
	g, err := h.group(addr)
	if err != nil {
		return nil, err
	}
	m := &Member{link: link, group: g}
	g.members = append(g.members, m)
	if err := m.SetFilter(now, f); err != nil {
		m.Leave(now)
		return nil, err
	}
	return m, nil
}

// group returns the group of the address, a new one if need be.
func (h *Host) group(addr netip.Addr) (*Group, error) {
	switch g := h.groups[addr]; {
	case h.closed:
		return nil, fmt.Errorf("group %v: the interface was removed: %w", addr, ip.ErrNoDevice)
	case !addr.IsMulticast() || addr.Is4In6() || addr.Zone() != "":
		return nil, fmt.Errorf("%v is no multicast group: %w", addr, ip.ErrInvalid)
	case g != nil && (g.listening || len(g.members) > 0):
		return g, nil
	case h.occupied() >= h.cfg.MaxGroups:
		return nil, fmt.Errorf("group %v would exceed the limit of %d: %w", addr, h.cfg.MaxGroups, ip.ErrNoBufferSpace)
	case g != nil:
		return g, nil
	}
	if len(h.order) >= 2*h.cfg.MaxGroups {
		// Somebody joins and leaves all the time. What was left longest ago has been reported once at least.
		h.forget(h.order[slices.IndexFunc(h.order, func(g *Group) bool { return g.empty() })])
	}
	g := &Group{host: h, family: h.family(addr.Is6()), addr: addr, unreported: h.cfg.Silent || unreported(addr)}
	h.groups[addr] = g
	h.order = append(h.order, g)
	return g, nil
}

// occupied is how many groups somebody is a member of, whether or not that one wants anything.
func (h *Host) occupied() int {
	n := 0
	for _, g := range h.order {
		if !g.empty() {
			n++
		}
	}
	return n
}

// forget forgets a group that nobody is a member of.
func (h *Host) forget(g *Group) {
	g.stop()
	delete(h.groups, g.addr)
	h.order = slices.DeleteFunc(h.order, func(other *Group) bool { return other == g })
}

// Heard takes note of a report of version 1 or 2 by somebody else.
func (h *Host) Heard(addr netip.Addr) {
	if g := h.Group(addr); g != nil {
		g.heard()
	}
}

// Announce reports all groups of the family anew, as if they had just been joined: after the interface has got an
// address that the reports come from, without which they may have counted for nothing.
// https://www.rfc-editor.org/rfc/rfc3590.html#section-4
func (h *Host) Announce(now int64, v6 bool) {
	for _, g := range h.order {
		if g.addr.Is6() == v6 && g.listening {
			g.announce(now)
		}
	}
}

// Close ends all memberships without telling anybody, and every timer.
func (h *Host) Close() {
	h.closed = true
	for len(h.order) > 0 {
		g := h.order[0]
		for _, m := range g.members {
			m.group = nil
		}
		g.members, g.held, g.listening = nil, 0, false
		h.forget(g)
	}
	h.joined = 0
	h.v4.stop()
	h.v6.stop()
}

// random is a random time of at least zero and below limit.
func (h *Host) random(limit int64) int64 { return int64(h.cfg.Rand() % uint64(max(limit, 1))) }

// unreported reports whether membership of the group is nobody's business: all nodes belong to the first, and the
// others reach no further than the node itself.
// https://www.rfc-editor.org/rfc/rfc3376.html#section-5
// https://www.rfc-editor.org/rfc/rfc3810.html#section-6
func unreported(addr netip.Addr) bool {
	if addr.Is4() {
		return addr == netip.AddrFrom4([4]byte{224, 0, 0, 1})
	}
	scope := addr.As16()[1] & 0xf
	return addr == netip.IPv6LinkLocalAllNodes() || scope <= 1
}
