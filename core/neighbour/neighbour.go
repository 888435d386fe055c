// Package neighbour finds out and remembers the hardware addresses of the neighbours on one link, for IPv4 and IPv6
// alike, as RFC 4861 describes it: with queues for packets that wait, and with unreachability detection.
//
// ARP is run through the same states. What RFC 4861 calls a solicitation is a request, and an ARP packet is one of its
// events:
//
//   - a request whose target is an address of ours: [Cache.Heard], which may create an entry, for somebody who asks for
//     us is about to talk to us, and RFC 826 has the target merge the sender;
//   - any other request, and a gratuitous packet of either operation (sender and target protocol address are the same):
//     [Cache.Advertised], not solicited, override. As RFC 826 has it, that updates an entry that exists; it creates
//     none, so that a network full of broadcasts does not fill the cache;
//   - a reply to us: [Cache.Advertised], solicited, override. It does nothing for an address that nobody has asked for.
//
// A sender protocol address of 0.0.0.0 (an RFC 5227 probe) says nothing about anybody, and is ignored.
//
// Times are nanoseconds since the stack's epoch; the cache's timers live in the stack's heap.
package neighbour

import (
	"errors"
	"fmt"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// What can be wrong with a configuration or a static entry.
var (
	ErrInvalid = errors.New("neighbour: invalid value")
	ErrLimit   = errors.New("neighbour: too many static entries")
)

// Link is the interface that a cache belongs to. A cache calls it last, when its own state is settled. Of its methods
// only Unreachable may lead to other packets being output; the others must not call into the cache.
type Link interface {
	// SendProbe transmits an ARP request or a neighbour solicitation for e.Addr(): to the hardware address to, or, if
	// that is zero, to the broadcast or solicited-node multicast address. e.Source() is what the source address
	// should be.
	SendProbe(now int64, e *Entry, to wire.LinkAddr)

	// Transmit sends p, which has been waiting, to the hardware address that e now has. It takes p.
	Transmit(now int64, e *Entry, p *packet.Packet)

	// Changed is told that e's hardware address has become known, or is another, or that e has not answered and is Failed.
	Changed(now int64, e *Entry)

	// Forgotten is told that e, of which Changed was told, is not in the cache any more; its State is what it was. Of what Close
	// forgets it is not told.
	Forgotten(e *Entry)

	// Unreachable is told of each packet that waited for a neighbour in vain, so that its sender learns of it. It
	// takes p.
	Unreachable(now int64, e *Entry, p *packet.Packet)
}

// Defaults of Config: the constants of RFC 4861 section 10, and limits.
const (
	DefaultReachableTime   = 30 * time.Second
	DefaultDelayFirstProbe = 5 * time.Second
	DefaultRetransmit      = time.Second
	DefaultMulticastProbes = 3
	DefaultUnicastProbes   = 3
	DefaultExpireAfter     = time.Minute

	DefaultMaxEntries     = 1024
	DefaultMaxQueueOctets = 256 << 10
	DefaultMaxTotalOctets = 4 << 20
)

// Config says how a cache behaves. Zero in a number or a time means its default.
type Config struct {
	// Timers, Link and Rand are what a cache works with; all are required. Package core fills them in. Rand returns
	// uniformly distributed numbers.
	Timers *timer.Heap
	Link   Link
	Rand   func() uint64

	// MaxEntries is how many neighbours are remembered at most, static ones not counted; of those there may be as
	// many again. Default 1024. When it is reached, a new neighbour takes the place of the least valuable: one that
	// did not answer or was never asked; else the one that has been STALE, and so unused, longest; else the one whose
	// resolution is under way longest, with its packets; else the one whose confirmation is oldest. What was not
	// asked for (Heard) takes the place of the first two kinds only. An evicted neighbour is forgotten altogether,
	// and with it when it was last asked.
	MaxEntries int

	// MaxQueueOctets is how much memory (packet.Packet.Cost) the packets waiting for one neighbour may take; the
	// oldest is dropped first, the newest is always kept. Default 256 KiB: 1024 bare segments, 113 full frames of
	// 1500 octets, or a few super-segments.
	MaxQueueOctets int

	// MaxTotalOctets is the same for all neighbours of the cache together; those that have waited longest, and so are
	// least likely to be there at all, lose packets first. At least MaxQueueOctets. Default 4 MiB.
	MaxTotalOctets int

	// ReachableTime is RFC 4861's BaseReachableTime: a confirmation holds for a random time between half of it and one
	// and a half. Default 30 s.
	ReachableTime time.Duration

	// DelayFirstProbe is how long an upper layer has to confirm a neighbour in use before it is probed. Default 5 s.
	DelayFirstProbe time.Duration

	// Retransmit is the time between probes of one neighbour, and the least between the last probe of a failed
	// resolution and the first of the next. Default 1 s. ARP requests are never sent faster than one a second.
	Retransmit time.Duration

	// MulticastProbes and UnicastProbes are how many probes remain unanswered before a neighbour whose address is not
	// known, or is known, counts as unreachable. Default 3 each.
	MulticastProbes, UnicastProbes int

	// ExpireAfter is when an entry that nothing has confirmed is forgotten, unless a use of it leads to a probe before;
	// and how long a failure is remembered. Default 1 min. At least 1.5 times ReachableTime.
	ExpireAfter time.Duration
}

// withDefaults fills in what is zero and refuses what cannot be.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.Timers == nil || cfg.Link == nil || cfg.Rand == nil {
		return cfg, fmt.Errorf("%w: Timers, Link and Rand are required", ErrInvalid)
	}
	for _, n := range []struct {
		name     string
		value    *int
		standard int
	}{
		{"MaxEntries", &cfg.MaxEntries, DefaultMaxEntries},
		{"MaxQueueOctets", &cfg.MaxQueueOctets, DefaultMaxQueueOctets},
		{"MaxTotalOctets", &cfg.MaxTotalOctets, max(DefaultMaxTotalOctets, cfg.MaxQueueOctets)},
		{"MulticastProbes", &cfg.MulticastProbes, DefaultMulticastProbes},
		{"UnicastProbes", &cfg.UnicastProbes, DefaultUnicastProbes},
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
		{"ReachableTime", &cfg.ReachableTime, DefaultReachableTime},
		{"DelayFirstProbe", &cfg.DelayFirstProbe, DefaultDelayFirstProbe},
		{"Retransmit", &cfg.Retransmit, DefaultRetransmit},
		{"ExpireAfter", &cfg.ExpireAfter, max(DefaultExpireAfter, cfg.ReachableTime+cfg.ReachableTime/2)},
	} {
		if *d.value < 0 || *d.value > maxTime {
			return cfg, fmt.Errorf("%w: %s %v is not between 0 and %v", ErrInvalid, d.name, *d.value, maxTime)
		}
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	if cfg.MaxTotalOctets < cfg.MaxQueueOctets {
		return cfg, fmt.Errorf("%w: MaxTotalOctets %d is less than MaxQueueOctets %d",
			ErrInvalid, cfg.MaxTotalOctets, cfg.MaxQueueOctets)
	}
	if cfg.ExpireAfter < cfg.ReachableTime+cfg.ReachableTime/2 {
		return cfg, fmt.Errorf("%w: ExpireAfter %v is less than 1.5 times ReachableTime %v",
			ErrInvalid, cfg.ExpireAfter, cfg.ReachableTime)
	}
	return cfg, nil
}

// maxTime keeps sums of configured times far from overflowing.
const maxTime = 365 * 24 * time.Hour

// Counters count what a cache has done since it was made.
type Counters struct {
	Probes      uint64 // requests and solicitations sent
	Resolved    uint64 // addresses found out for a neighbour that was being resolved
	Failed      uint64 // neighbours that did not answer their probes
	Unreachable uint64 // packets handed to Link.Unreachable
	Overflowed  uint64 // packets dropped because a queue was full
	Discarded   uint64 // packets dropped because their neighbour was evicted or removed while they waited
	Evicted     uint64 // entries that had to make room
	Refused     uint64 // neighbours that made themselves known while there was no room
}
