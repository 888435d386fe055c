// Package registration is what neighbour discovery does differently in a low-power network of IEEE 802.15.4: hosts register
// their addresses with routers, which so know all of them and need not ask by multicast, and border routers spread prefixes
// and contexts for header compression (RFC 6775, and RFC 8505's extended registrations).
//
// Host and Router are the two sides. Neither does what package slaac does: learning routers, prefixes and name servers from
// advertisements, and making addresses.
//
// All that they learn comes from whoever sends on the link, and is bounded. Times are nanoseconds since the stack's epoch;
// timer.Never, as the end of a lifetime, means that it has none. The timers live in the stack's heap.
package registration

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// ErrInvalid is what every error about a configuration wraps.
var ErrInvalid = errors.New("registration: invalid value")

// Cause is why a message, or part of one, was not taken.
type Cause uint8

// The causes.
const (
	CauseNone        Cause = iota
	CauseMalformed         // an option, or an address, is not as it should be
	CauseStatus            // a registration has a status already
	CauseUnasked           // it answers nothing that was asked
	CauseForeign           // the answer is for another owner
	CauseStale             // a border router has said something newer
	CauseFull              // a table has no room for it
	CauseDuplicate         // somebody else has registered the address
	CauseMoved             // there is a newer registration of the address
	CauseOffPrefix         // the address is of no prefix that the router advertises
	CauseSource            // the source address does not go with the registration
	CauseUnspecified       // the source is unspecified, or its link-layer address is not given
	causes
)

var causeNames = [causes]string{
	"none", "malformed", "status", "unasked", "foreign", "stale", "full", "duplicate", "moved", "off prefix", "source",
	"unspecified",
}

// String names the cause.
func (c Cause) String() string {
	if c < causes {
		return causeNames[c]
	}
	return fmt.Sprintf("cause %d", uint8(c))
}

// Counters count what a Host or a Router has done since it was made.
type Counters struct {
	Registrations uint64         // a host: that were confirmed; a router: that were accepted, renewals included
	Sent          uint64         // messages that the owner was asked to send
	Refused       [causes]uint64 // messages and options not taken, by Cause
}

func (c *Counters) refuse(cause Cause) Cause {
	c.Refused[cause]++
	return cause
}

// count is a number of a configuration, with its default.
type count struct {
	name     string
	value    *int
	standard int
}

// counted fills in the counts that are zero and refuses negative ones.
func counted(counts []count) error {
	for _, n := range counts {
		if *n.value < 0 {
			return fmt.Errorf("%w: %s %d is negative", ErrInvalid, n.name, *n.value)
		}
		if *n.value == 0 {
			*n.value = n.standard
		}
	}
	return nil
}

// bounded fills in a time that is zero and refuses one out of bounds.
func bounded(name string, value *time.Duration, standard, least, most time.Duration) error {
	if *value == 0 {
		*value = standard
	}
	if *value < least || *value > most {
		return fmt.Errorf("%w: %s %v is not between %v and %v", ErrInvalid, name, *value, least, most)
	}
	return nil
}

// unicast reports whether addr can be that of an interface.
func unicast(addr netip.Addr) bool {
	return addr.Is6() && !addr.Is4In6() && !addr.IsUnspecified() && !addr.IsLoopback() && !addr.IsMulticast()
}
