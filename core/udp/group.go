package udp

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/ip"
)

// JoinGroup makes the endpoint a member of the multicast group on the interface of the given index; 0: the one by which
// datagrams to the group leave. Without sources it hears whoever sends to the group. With sources it hears them alone, in
// addition to those that it has joined with before: source-specific multicast, RFC 4607.
//
// The errors are Linux's: ip.ErrAddressInUse if it is a member already, ip.ErrInvalid for what is no group or no source, for
// a group of a family that the endpoint does not speak, and for sources of a group that it has joined without any;
// ip.ErrAddressNotAvailable for a source that it has joined already, ip.ErrNoDevice if there is no such interface,
// ip.ErrNoBufferSpace for more groups or sources than the limits allow, and ErrClosed.
func (e *Endpoint) JoinGroup(now time.Time, link int32, group netip.Addr, sources ...netip.Addr) error {
	group = group.Unmap().WithZone("")
	t := e.host.time(now)
	m := e.membership(link, group)
	switch {
	case e.closed:
		return ErrClosed
	case m == nil:
		return e.join(t, link, group, ip.SourceFilter{Exclude: len(sources) == 0, Sources: sources})
	case len(sources) == 0:
		return fmt.Errorf("group %v on link %d: %w", group, m.Link(), ip.ErrAddressInUse)
	}
	return amend(t, m, false, sources, true)
}

// LeaveGroup ends the membership; with sources that in the group as far as it is about them, and all of it with the last. A
// link of 0 stands for any. The errors are ip.ErrAddressNotAvailable if the endpoint is no member, or not with such a
// source, ip.ErrInvalid if it has not joined with sources at all, and ErrClosed.
func (e *Endpoint) LeaveGroup(now time.Time, link int32, group netip.Addr, sources ...netip.Addr) error {
	group = group.Unmap().WithZone("")
	t := e.host.time(now)
	m := e.membership(link, group)
	switch {
	case e.closed:
		return ErrClosed
	case m == nil:
		return fmt.Errorf("group %v on link %d: %w", group, link, ip.ErrAddressNotAvailable)
	case len(sources) > 0:
		if err := amend(t, m, false, sources, false); err != nil {
			return err
		}
		if len(m.Filter().Sources) > 0 {
			return nil
		}
	}
	e.memberships = slices.DeleteFunc(e.memberships, func(other ip.Membership) bool { return other == m })
	m.Leave(t)
	return nil
}

// BlockSources has the endpoint hear nothing any more that the sources send to a group that it has joined without
// sources. The errors are ip.ErrInvalid if it has not, ip.ErrAddressNotAvailable for a source that is blocked already,
// and else JoinGroup's.
func (e *Endpoint) BlockSources(now time.Time, link int32, group netip.Addr, sources ...netip.Addr) error {
	return e.block(now, link, group, sources, true)
}

// UnblockSources undoes BlockSources, whose errors it has; ip.ErrAddressNotAvailable is for a source that is not
// blocked.
func (e *Endpoint) UnblockSources(now time.Time, link int32, group netip.Addr, sources ...netip.Addr) error {
	return e.block(now, link, group, sources, false)
}

func (e *Endpoint) block(now time.Time, link int32, group netip.Addr, sources []netip.Addr, add bool) error {
	group = group.Unmap().WithZone("")
	t := e.host.time(now)
	m := e.membership(link, group)
	switch {
	case e.closed:
		return ErrClosed
	case m == nil:
		return fmt.Errorf("group %v on link %d: not a member: %w", group, link, ip.ErrInvalid)
	}
	return amend(t, m, true, sources, add)
}

// amend adds sources to the filter of a membership, or takes them from it. The membership must be of the mode.
func amend(now int64, m ip.Membership, exclude bool, sources []netip.Addr, add bool) error {
	f := m.Filter()
	if f.Exclude != exclude {
		return fmt.Errorf("group %v: joined otherwise: %w", m.Group(), ip.ErrInvalid)
	}
	for _, source := range sources {
		source = source.Unmap()
		i := slices.Index(f.Sources, source)
		switch {
		case (i >= 0) == add:
			return fmt.Errorf("source %v of group %v: %w", source, m.Group(), ip.ErrAddressNotAvailable)
		case add:
			f.Sources = append(f.Sources, source)
		default:
			f.Sources = slices.Delete(f.Sources, i, i+1)
		}
	}
	return m.SetFilter(now, f)
}

func (e *Endpoint) join(now int64, link int32, group netip.Addr, f ip.SourceFilter) error {
	switch {
	case !group.IsMulticast() || !e.speaks(group):
		return fmt.Errorf("group %v: %w", group, ip.ErrInvalid)
	case e.host.config.Groups == nil:
		return fmt.Errorf("group %v: %w", group, ip.ErrNotSupported)
	case e.link != 0 && link != 0 && link != e.link:
		return fmt.Errorf("group %v on link %d: %w", group, link, ip.ErrInvalid)
	}
	if link == 0 {
		link = e.link
	}
	f.Sources = slices.Clone(f.Sources)
	for i, source := range f.Sources {
		f.Sources[i] = source.Unmap()
	}
	m, err := e.host.config.Groups.JoinGroup(now, link, group, f)
	if err != nil {
		return err
	}
	if link == 0 && e.membership(m.Link(), group) != nil {
		m.Leave(now)
		return fmt.Errorf("group %v on link %d: %w", group, m.Link(), ip.ErrAddressInUse)
	}
	e.memberships = append(e.memberships, m)
	return nil
}

// membership returns the endpoint's membership in the group on the link, 0 for any, nil if there is none.
func (e *Endpoint) membership(link int32, group netip.Addr) ip.Membership {
	for _, m := range e.memberships {
		if m.Group() == group && (link == 0 || m.Link() == link) {
			return m
		}
	}
	return nil
}

// Memberships returns the endpoint's memberships, in the order in which they began.
func (e *Endpoint) Memberships() []ip.Membership { return slices.Clone(e.memberships) }

// LeaveGroups ends all memberships, as Close does as of the latest time that the host has been told.
func (e *Endpoint) LeaveGroups(now time.Time) { e.leaveGroups(e.host.time(now)) }

func (e *Endpoint) leaveGroups(now int64) {
	for _, m := range e.memberships {
		m.Leave(now)
	}
	e.memberships = nil
}

// wants reports whether the endpoint wants what source sends to the group and what arrives by link: as its filter says
// if it is a member. If it is not, it is as with Linux's IP_MULTICAST_ALL: it hears whatever reaches the host because of
// others, unless it has said that it will not.
func (e *Endpoint) wants(group, source netip.Addr, link int32) bool {
	if m := e.membership(link, group); m != nil {
		return m.Allows(source)
	}
	return !e.options.NoMulticastAll
}

// SetMulticastLoopback says whether what the endpoint sends to a multicast group comes back to members of the group in
// the same stack, as it does by default.
func (e *Endpoint) SetMulticastLoopback(on bool) { e.options.NoMulticastLoop = !on }

// SetMulticastAll says whether the endpoint hears what is sent to groups that others have joined, as it does by default if
// it is bound to the group or to all addresses.
func (e *Endpoint) SetMulticastAll(on bool) { e.options.NoMulticastAll = !on }

// SetMulticastLink has datagrams to multicast groups leave by the interface of the given index, unless they say otherwise;
// 0: as the routes say.
func (e *Endpoint) SetMulticastLink(link int32) { e.options.MulticastLink = link }

// time is a time of the caller's as the stack has it. It does not run backwards.
func (h *Host) time(now time.Time) int64 {
	h.now = max(h.now, int64(now.Sub(h.config.Epoch)))
	return h.now
}
