package multicast

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/core/ip"
)

// Member is somebody who listens to a group: it implements ip.Membership.
type Member struct {
	link   int32
	group  *Group // nil: it has left
	filter ip.SourceFilter
}

var _ ip.Membership = (*Member)(nil)

// Link is the index of the interface.
func (m *Member) Link() int32 { return m.link }

// Group is the group's address; not valid after Leave.
func (m *Member) Group() netip.Addr {
	if m.group == nil {
		return netip.Addr{}
	}
	return m.group.addr
}

// Filter returns whose packets are wanted.
func (m *Member) Filter() ip.SourceFilter {
	return ip.SourceFilter{Exclude: m.filter.Exclude, Sources: slices.Clone(m.filter.Sources)}
}

// Allows reports whether what source sends is wanted.
func (m *Member) Allows(source netip.Addr) bool { return allows(&m.filter, source) }

// SetFilter changes whose packets are wanted: see ip.Membership.
func (m *Member) SetFilter(now int64, f ip.SourceFilter) error {
	g := m.group
	if g == nil {
		return ip.ErrNoDevice
	}
	for _, source := range f.Sources {
		if !source.IsValid() || source.Is4() != g.addr.Is4() || source.Is4In6() || source.IsMulticast() ||
			source.IsUnspecified() || source.Zone() != "" {
			return fmt.Errorf("%v is no source of packets to %v: %w", source, g.addr, ip.ErrInvalid)
		}
	}
	before := m.filter
	m.filter = ip.SourceFilter{Exclude: f.Exclude, Sources: sorted(f.Sources)}
	limit := g.host.cfg.MaxSources
	if n := max(len(m.filter.Sources), len(g.included())); n > limit {
		m.filter = before
		return fmt.Errorf("group %v: %d sources exceed the limit of %d: %w", g.addr, n, limit, ip.ErrNoBufferSpace)
	}
	g.update(now)
	return nil
}

// Leave ends the membership. Leaving again does nothing.
func (m *Member) Leave(now int64) {
	g := m.group
	if g == nil {
		return
	}
	m.group, m.filter = nil, ip.SourceFilter{}
	i := slices.Index(g.members, m)
	g.members = slices.Delete(g.members, i, i+1)
	g.update(now)
}
