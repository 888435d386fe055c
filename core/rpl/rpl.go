// Package rpl is RPL, the routing protocol of low-power networks (RFC 6550), of two kinds of node on one link: a Leaf, which
// joins a network and forwards nothing for others, and the Root of a small network, which a border router is. A node that is
// neither, a router within the network, is none of this package's.
//
// A leaf finds DODAGs by their routers' DIOs, joins one, chooses the preferred parent among its neighbours by the objective
// function that the DODAG names, OF0 (RFC 6552) or MRHOF (RFC 6719), and tells by DAOs where it can be reached. A root sends
// DIOs at the times of Trickle (RFC 6206), and keeps what DAOs say: in storing mode as routes by its neighbours, in non-storing
// mode as a table of parents out of which it makes source routes.
//
// Messages are not secured: whoever sends on the link is believed. What they can cost is bounded by Limits.
//
// Times are nanoseconds since the stack's epoch. The timers live in the stack's heap.
package rpl

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// ErrInvalid is what every error about a configuration wraps.
var ErrInvalid = errors.New("rpl: invalid value")

// AllNodes is the group of all RPL nodes on the link, which a node's interface must be a member of.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-6
var AllNodes = netip.MustParseAddr("ff02::1a")

// Owner is the interface that a node belongs to. A node calls it when its own state is settled; none of its methods may call
// back into the node at once, except that Prefix may call AddressesChanged.
type Owner interface {
	// Send sends a message to dst: from the link-local address if dst is link-local or AllNodes, else from a global address.
	// The message is valid only during the call.
	Send(now int64, dst netip.Addr, message Message)

	// SetRoute adds a route, or changes the gateway of the one to the same destination.
	SetRoute(now int64, r Route)
	// DropRoute removes it.
	DropRoute(now int64, r Route)

	// Prefix tells of a prefix that the parent, whose link-local address is given, advertises: to make addresses from it if it
	// is autonomous, and to keep them for the lifetimes from now on. It is called for every DIO of the parent's. The prefix
	// is valid only during the call.
	Prefix(now int64, parent netip.Addr, prefix *wire.RPLPrefixInformationRepr)

	// ParentChanged tells the link-local address of a leaf's new preferred parent, by which SetRoute has added a route before;
	// zero: it has none.
	ParentChanged(now int64, parent netip.Addr)

	// Addresses appends to list the interface's own addresses that others may use, link-local ones left out.
	Addresses(list []netip.Addr) []netip.Addr

	// ETX is how many transmissions it takes to get a frame to the neighbour, times 128; ok is false if that is not known.
	ETX(neighbour netip.Addr) (etx uint16, ok bool)
}

// Message is a RPL message to be sent: *wire.RPLDISRepr, *wire.RPLDIORepr, *wire.RPLDAORepr or *wire.RPLDAOAckRepr.
type Message interface {
	Len() int
	Emit(b []byte, src, dst netip.Addr)
	String() string
}

// Route is a route by a neighbour.
type Route struct {
	Destination netip.Prefix // ::/0 by a leaf's parent, or a target of a root in storing mode
	Gateway     netip.Addr   // the neighbour's link-local address
}

// Node is what Leaf and Root have in common.
type Node interface {
	// Start begins to send and to listen. Stop forgets all that was learnt, takes it from the owner and tells those who
	// must know; Start begins anew.
	Start(now int64)
	Stop(now int64)

	// Input takes a message, whose checksum is right, that came from src to dst. It returns why the message was of no use, or
	// None.
	Input(now int64, src, dst netip.Addr, p wire.RPLPacket) Cause

	// AddressesChanged tells that Owner.Addresses returns something else.
	AddressesChanged(now int64)
	// Unreachable tells that a neighbour does not answer any more.
	Unreachable(now int64, neighbour netip.Addr)

	// Option is the packet information for a packet of this node's own into the network; ok is false if there is none to be had.
	// It is for who adds such options; package core does not.
	Option() (info wire.RPLPacketInfoRepr, ok bool)
	// CheckOption looks at the packet information of a packet that the neighbour from has sent and that is on its way to dst. If
	// it returns None, info is as it should be if the packet is sent on. Otherwise the packet is to be dropped.
	CheckOption(now int64, from, dst netip.Addr, info *wire.RPLPacketInfoRepr) Cause

	// Counters returns what the node has counted.
	Counters() Counters
}

var _ = []Node{(*Leaf)(nil), (*Root)(nil)}

// Defaults of the limits.
const (
	DefaultMaxDODAGs     = 4
	DefaultMaxNeighbours = 16
	DefaultMaxAddresses  = 8
	DefaultMaxTargets    = 128
)

// LeafConfig says how a leaf behaves. Zero in a number means its default.
type LeafConfig struct {
	// Timers, Owner and Rand are what a leaf works with; all are required. Rand returns uniformly distributed numbers. Package core
	// fills them in.
	Timers *timer.Heap
	Owner  Owner
	Rand   func() uint64

	// Instances are the RPLInstanceIDs whose DODAGs may be joined. nil: of any global instance.
	Instances []uint8
	// DODAG is the only DODAG ID that may be joined. Zero: any.
	DODAG netip.Addr

	// DODAGs is how many DODAGs are known. Default 4.
	DODAGs int
	// Neighbours is how many neighbours are known, of all DODAGs. At least 2. Default 16.
	Neighbours int
	// Targets is how many of the leaf's addresses are told of. Default 8.
	Targets int
}

// RootConfig says how a root behaves, and what its DODAG is like. Zero in a number means its default.
type RootConfig struct {
	// Timers, Owner and Rand are what a root works with; all are required. Rand returns uniformly distributed numbers. Package core
	// fills them in.
	Timers *timer.Heap
	Owner  Owner
	Rand   func() uint64

	Instance uint8      // RPLInstanceID, below 128: a global one
	DODAG    netip.Addr // DODAG ID: an address of the root's own, not link-local. Required
	// Mode is wire.RPLStoring or wire.RPLNonStoring; zero, wire.RPLNoDownward, keeps no downward routes.
	Mode wire.RPLMode
	// Floating says that the DODAG leads nowhere but to the root. Preference is 0 to 7, higher is more preferred.
	Floating   bool
	Preference uint8
	// Prefixes are advertised for nodes to make addresses from.
	Prefixes []wire.RPLPrefixInformationRepr
	// TargetsIn are where what DAOs tell of must be. nil: anywhere but where the root's own and all link-local addresses are.
	TargetsIn []netip.Prefix

	// Configuration is set for the whole DODAG. Zero stands for the defaults of RFC 6550, section 17, in IntervalMin (3: 8 ms),
	// IntervalDoublings (20), Redundancy (10), MinHopRankIncrease (256), and for 30 lifetime units of a minute. The objective
	// function is OF0 if it is zero.
	Configuration wire.RPLDODAGConfigurationRepr

	// Targets is how many destinations are known. Default 128.
	Targets int
}

// Defaults of RPL's constants.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-17
const (
	defaultIntervalMin        = 3
	defaultIntervalDoublings  = 20
	defaultRedundancy         = 10
	defaultMinHopRankIncrease = 256
	// RFC 6550 leaves the lifetime of routes to whoever configures the root.
	defaultLifetime     = 30
	defaultLifetimeUnit = 60
)

// maxIntervalBits keeps Trickle's greatest interval, a power of two in ms, within three weeks.
const maxIntervalBits = 30

// withDefaults fills in what is zero and refuses what cannot be.
func (cfg LeafConfig) withDefaults() (LeafConfig, error) {
	if cfg.Timers == nil || cfg.Owner == nil || cfg.Rand == nil {
		return cfg, fmt.Errorf("%w: Timers, Owner and Rand are required", ErrInvalid)
	}
	for _, n := range []limit{
		{"DODAGs", &cfg.DODAGs, DefaultMaxDODAGs}, {"Neighbours", &cfg.Neighbours, DefaultMaxNeighbours},
		{"Targets", &cfg.Targets, DefaultMaxAddresses},
	} {
		if err := n.complete(); err != nil {
			return cfg, err
		}
	}
	if cfg.Neighbours < 2 {
		return cfg, fmt.Errorf("%w: Neighbours %d is less than 2", ErrInvalid, cfg.Neighbours)
	}
	return cfg, nil
}

// withDefaults fills in what is zero and refuses what cannot be.
func (cfg RootConfig) withDefaults() (RootConfig, error) {
	if cfg.Timers == nil || cfg.Owner == nil || cfg.Rand == nil {
		return cfg, fmt.Errorf("%w: Timers, Owner and Rand are required", ErrInvalid)
	}
	if err := (limit{"Targets", &cfg.Targets, DefaultMaxTargets}).complete(); err != nil {
		return cfg, err
	}
	c := &cfg.Configuration
	setDefault(&c.IntervalMin, defaultIntervalMin)
	setDefault(&c.IntervalDoublings, defaultIntervalDoublings)
	setDefault(&c.Redundancy, defaultRedundancy)
	setDefault(&c.MinHopRankIncrease, defaultMinHopRankIncrease)
	setDefault(&c.DefaultLifetime, defaultLifetime)
	setDefault(&c.LifetimeUnit, defaultLifetimeUnit)
	switch {
	case cfg.Instance >= localInstance:
		return cfg, fmt.Errorf("%w: Instance %d is not below %d", ErrInvalid, cfg.Instance, localInstance)
	case !validDODAG(cfg.DODAG):
		return cfg, fmt.Errorf("%w: DODAG %v is not a unicast IPv6 address beyond the link", ErrInvalid, cfg.DODAG)
	case cfg.Mode > wire.RPLStoring:
		return cfg, fmt.Errorf("%w: Mode %v is not supported by a root", ErrInvalid, cfg.Mode)
	case cfg.Preference > 7:
		return cfg, fmt.Errorf("%w: Preference %d is more than 7", ErrInvalid, cfg.Preference)
	case int(c.IntervalMin)+int(c.IntervalDoublings) > maxIntervalBits:
		return cfg, fmt.Errorf("%w: Configuration's IntervalMin %d and IntervalDoublings %d are more than %d together",
			ErrInvalid, c.IntervalMin, c.IntervalDoublings, maxIntervalBits)
	case c.Objective > wire.RPLObjectiveMRHOF:
		return cfg, fmt.Errorf("%w: Configuration's Objective %d is not known", ErrInvalid, c.Objective)
	}
	return cfg, nil
}

// limit is a field that bounds something.
type limit struct {
	name     string
	value    *int
	standard int
}

func (l limit) complete() error {
	if *l.value < 0 {
		return fmt.Errorf("%w: %s %d is negative", ErrInvalid, l.name, *l.value)
	}
	if *l.value == 0 {
		*l.value = l.standard
	}
	return nil
}

func setDefault[T uint8 | uint16](value *T, standard T) {
	if *value == 0 {
		*value = standard
	}
}

// localInstance is the first RPLInstanceID of a local instance.
const localInstance = 0x80

// validDODAG reports whether addr can be a DODAG ID, which is an address of the root's that others can send to.
func validDODAG(addr netip.Addr) bool {
	return addr.Is6() && !addr.Is4In6() && !addr.IsUnspecified() && !addr.IsMulticast() && !addr.IsLoopback() &&
		!addr.IsLinkLocalUnicast()
}

// lifetime is a path lifetime in the DODAG's units.
func lifetime(n uint8, config *wire.RPLDODAGConfigurationRepr) (d time.Duration, infinite bool) {
	if n == wire.RPLInfiniteLifetime {
		return 0, true
	}
	return time.Duration(n) * time.Duration(config.LifetimeUnit) * time.Second, false
}
