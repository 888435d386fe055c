// Package reassembly puts fragments of IPv4 and IPv6 packets together, as RFC 791 and RFC 8200 describe it: many datagrams at
// once, within a bound of memory, and none whose fragments contradict each other.
//
// Fragments are kept as the packets that they came in, and copied once, into the packet that they are parts of, when that is
// whole. Times are nanoseconds since the stack's epoch; the table's timers live in the stack's heap.
package reassembly

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/timer"
)

// ErrInvalid is what every error about a configuration wraps.
var ErrInvalid = errors.New("reassembly: invalid value")

// Key says which fragments are of one datagram.
//
// RFC 791, section 3.2, has source, destination, protocol and identification; RFC 8200, section 4.5, leaves out the protocol.
// Neither names the link: fragments may take different ways.
type Key struct {
	Src, Dst netip.Addr // of one version of IP
	ID       uint32     // the identification: 16 bits in IPv4
	Link     int32      // the interface where the addresses mean something on one link only, else 0
	Protocol uint8      // 0 in IPv6
}

// Fragment says where a fragment belongs.
type Fragment struct {
	Key
	Offset    int  // in the datagram, in octets
	More      bool // it is not the last
	HeaderLen int  // octets of headers before it, in IPv6 its fragment header included
}

// Cause says why a fragment was refused, or a datagram given up.
type Cause uint8

const (
	// None: the fragment was taken.
	None Cause = iota

	// Empty: the fragment has no octets.
	Empty
	// Unaligned: the fragment is not the last, but its length is no multiple of eight octets.
	Unaligned
	// TooLong: the fragment ends beyond the longest packet.
	TooLong
	// Duplicate: the very same fragment has come before.
	Duplicate

	// Overlap: two fragments overlap, or contradict each other about where the datagram ends.
	Overlap
	// TooMany: the datagram comes in more fragments than Config.MaxFragments.
	TooMany
	// ContradictoryECN: some fragments say that their sender speaks ECN, others that it does not.
	ContradictoryECN
	// Evicted: a newer datagram needed the room.
	Evicted
	// TimedOut: the missing fragments did not come in time.
	TimedOut
	// Closed: the table was closed.
	Closed

	// Causes is how many causes there are.
	Causes = iota
)

// Owner is the network layer that a table belongs to. A table calls it last, when its own state is settled; it must not call
// into the table.
type Owner interface {
	// Abandon takes the fragments of a datagram that will not become whole, one at least. They are linked by Next in the
	// order of their offsets, which are in Seq, and begin with their payload; their headers lie before that, and Prepend
	// shows them again. headerLen is how many octets of headers the fragment at offset zero has, 0 if that has not come.
	Abandon(now int64, cause Cause, fragments *packet.Packet, headerLen int)
}

// Defaults of Config.
const (
	DefaultTimeout4     = 30 * time.Second
	DefaultTimeout6     = 60 * time.Second
	DefaultMaxOctets    = 4 << 20
	DefaultMaxDatagrams = 2048
	DefaultMaxFragments = 128
)

// Config says how a table behaves. Zero in a number or a time means its default.
type Config struct {
	// Timers and Owner are what a table works with; both are required. Package core fills them in.
	Timers *timer.Heap
	Owner  Owner

	// Timeout4 and Timeout6 are how long a datagram has from its first-arriving fragment on to become whole. Default 30 s
	// for IPv4, as on Linux: identifications are used again before the 60 s have passed that RFC 1122 recommends. Default
	// 60 s for IPv6, by RFC 8200.
	Timeout4, Timeout6 time.Duration

	// MaxOctets is how much memory (packet.Packet.Cost) fragments may take; the oldest datagram makes room. Default 4 MiB,
	// as on Linux: 1820 fragments in frames of 1500 octets, or forty of the longest datagrams.
	MaxOctets int

	// MaxDatagrams is how many datagrams may be under way, those included that were given up and whose fragments are still
	// to be recognized; the oldest makes room. Default 2048: more than MaxOctets holds of ordinary frames, so that it is a
	// bound for what a table knows of datagrams.
	MaxDatagrams int

	// MaxFragments is how many fragments a datagram may come in. Default 128: the longest comes in 119 over links of 576
	// octets, and in 54 over IPv6's smallest.
	MaxFragments int
}

// withDefaults fills in what is zero and refuses what cannot be. The error wraps ErrInvalid and names the
// value.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.Timers == nil || cfg.Owner == nil {
		return cfg, fmt.Errorf("%w: Timers and Owner are required", ErrInvalid)
	}
	for _, n := range []struct {
		name     string
		value    *int
		standard int
	}{
		{"MaxOctets", &cfg.MaxOctets, DefaultMaxOctets},
		{"MaxDatagrams", &cfg.MaxDatagrams, DefaultMaxDatagrams},
		{"MaxFragments", &cfg.MaxFragments, DefaultMaxFragments},
	} {
		if *n.value < 0 {
			return cfg, fmt.Errorf("%w: %s %d is negative", ErrInvalid, n.name, *n.value)
		}
		if *n.value == 0 {
			*n.value = n.standard
		}
	}
	for _, d := range []struct {
		name     string
		value    *time.Duration
		standard time.Duration
	}{
		{"Timeout4", &cfg.Timeout4, DefaultTimeout4},
		{"Timeout6", &cfg.Timeout6, DefaultTimeout6},
	} {
		if *d.value < 0 || *d.value > maxTimeout {
			return cfg, fmt.Errorf("%w: %s %v is not between 0 and %v", ErrInvalid, d.name, *d.value, maxTimeout)
		}
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	return cfg, nil
}

// maxTimeout keeps sums of times far from overflowing.
const maxTimeout = 365 * 24 * time.Hour
