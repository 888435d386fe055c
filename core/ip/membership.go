package ip

import "net/netip"

// SourceFilter says whose datagrams to a multicast group are wanted: RFC 3376 section 2. The zero value wants nobody's.
type SourceFilter struct {
	// Exclude has Sources be those that are not wanted; otherwise they alone are.
	Exclude bool
	// Sources are unicast addresses of the group's family, without zones.
	Sources []netip.Addr
}

// AnySource is the filter that wants everybody's.
func AnySource() SourceFilter { return SourceFilter{Exclude: true} }

// Membership is an endpoint's share in a multicast group on one interface.
type Membership interface {
	// Link is the index of the interface.
	Link() int32

	// Group is the group's address.
	Group() netip.Addr

	// Filter returns whose datagrams are wanted, the sources sorted.
	Filter() SourceFilter

	// SetFilter changes that. A filter that wants nobody's is allowed; it does not end the membership. The errors are
	// ErrInvalid for a source that cannot be one, and ErrNoBufferSpace for more sources than there may be.
	SetFilter(now int64, f SourceFilter) error

	// Allows reports whether what source sends is wanted.
	Allows(source netip.Addr) bool

	// Leave ends the membership. Leaving again does nothing.
	Leave(now int64)
}

// Groups is the network layer, as a transport whose endpoints join multicast groups sees it.
type Groups interface {
	// JoinGroup makes an endpoint a member of the multicast group on the interface of the given index, or, for 0, on the
	// one by which packets to the group leave. The errors are ErrNoDevice, ErrInvalid for what is no group or no source,
	// and ErrNoBufferSpace for more groups or sources than there may be.
	JoinGroup(now int64, link int32, group netip.Addr, f SourceFilter) (Membership, error)
}
