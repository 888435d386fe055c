// Package multicast is a host's side of IGMP and MLD: which groups an interface belongs to, whose packets to them are
// wanted, and what routers are told of both.
//
// IGMPv3 (RFC 3376) and MLDv2 (RFC 3810) are one protocol with two layouts, and so are IGMPv2 (RFC 2236) and MLDv1
// (RFC 2710): they are run through the same states here, and named by IGMP's version numbers. IGMPv1 differs from
// version 2 in that nobody tells that they leave.
//
// A [Host] belongs to one interface. Who listens to a group is a [Member] of it, with a filter of its own; the filters
// of all members make the interface's, and it is the interface's that is reported. Octets are the [Link]'s matter.
//
// Times are nanoseconds since the stack's epoch; timers live in the stack's heap.
package multicast

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// ErrConfig is what the error about a configuration wraps.
var ErrConfig = errors.New("multicast: invalid configuration")

// Version is a version of IGMP or, one less, of MLD.
type Version uint8

const (
	V1 Version = iota + 1 // IGMPv1: reports of single groups
	V2                    // IGMPv2 and MLDv1: and that the last listener has left
	V3                    // IGMPv3 and MLDv2: reports of many groups, with sources
)

// Link is the interface that a Host belongs to. None of its methods may call into the Host.
type Link interface {
	// SendRecords transmits a report of version 3 with the records, which are of one family and not empty. They are the
	// link's only until it returns.
	SendRecords(now int64, records []wire.MulticastRecord)

	// SendReport transmits a report of version 1 or 2 of the group.
	SendReport(now int64, version Version, group netip.Addr)

	// SendLeave tells that the host has left the group: version 2's message.
	SendLeave(now int64, group netip.Addr)

	// Room is how many octets of records fit into one report of the family.
	Room(v6 bool) int

	// GroupJoined and GroupLeft take note that the interface begins or ceases to belong to the group.
	GroupJoined(now int64, group netip.Addr)
	GroupLeft(now int64, group netip.Addr)
}

// Defaults of Config, of RFC 3376 section 8 and RFC 3810 section 9.
const (
	DefaultRobustness    = 2
	DefaultQueryInterval = 125 * time.Second
	DefaultMaxGroups     = 64
	DefaultMaxSources    = 64
)

// Config says how a Host behaves. Zero in a number or a time means its default.
type Config struct {
	// Timers, Link and Rand are what a Host works with; all are required. Package core fills them in. Rand returns
	// uniformly distributed numbers.
	Timers *timer.Heap
	Link   Link
	Rand   func() uint64

	// Silent has nothing ever be reported.
	Silent bool

	// MaxGroups is how many groups the interface may belong to. Default 64.
	MaxGroups int

	// MaxSources is how many sources the filter of a member may have, and how many those that are wanted by any of a
	// group's members may be. Default 64.
	MaxSources int

	// Robustness is how often what has changed is reported, as long as no querier says otherwise: 1 to 7. Default 2.
	Robustness int

	// QueryInterval is how often queriers query, as long as none says otherwise: it matters for how long an older
	// querier is remembered. Default 125 s.
	QueryInterval time.Duration
}

// withDefaults fills in what is zero and refuses what cannot be.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.Timers == nil || cfg.Link == nil || cfg.Rand == nil {
		return cfg, fmt.Errorf("%w: Timers, Link and Rand are required", ErrConfig)
	}
	for _, n := range []struct {
		name                     string
		value                    *int
		standard, least, highest int
	}{
		{"MaxGroups", &cfg.MaxGroups, DefaultMaxGroups, 1, 1 << 16},
		{"MaxSources", &cfg.MaxSources, DefaultMaxSources, 1, 1 << 15},
		{"Robustness", &cfg.Robustness, DefaultRobustness, 1, 7},
	} {
		if *n.value == 0 {
			*n.value = n.standard
		}
		if *n.value < n.least || *n.value > n.highest {
			return cfg, fmt.Errorf("%w: %s %d is not between %d and %d", ErrConfig, n.name, *n.value, n.least, n.highest)
		}
	}
	if cfg.QueryInterval == 0 {
		cfg.QueryInterval = DefaultQueryInterval
	}
	if cfg.QueryInterval < 0 || cfg.QueryInterval > maxInterval {
		return cfg, fmt.Errorf("%w: QueryInterval %v is not between 0 and %v", ErrConfig, cfg.QueryInterval, maxInterval)
	}
	return cfg, nil
}

// maxInterval is the longest query interval that a querier can tell of.
const maxInterval = 31744 * time.Second

// Times between reports that nobody has asked for are random, and at most as long as this.
const (
	// https://www.rfc-editor.org/rfc/rfc3376.html#section-8.11
	unsolicitedInterval = int64(time.Second)
	// https://www.rfc-editor.org/rfc/rfc2236.html#section-8.10
	unsolicitedIntervalV2 = int64(10 * time.Second)
)

// Query is what a querier asks.
type Query struct {
	Version     Version
	Group       netip.Addr    // the family's unspecified address: all groups
	Sources     []netip.Addr  // of these alone; none: of all
	MaxResponse time.Duration // how long answers may take

	// Version 3 alone has these; 0 stands for the defaults.

	Robustness int
	Interval   time.Duration
}
