// Package fault is a device around a device that injures what passes: it drops frames, corrupts, duplicates, reorders and
// delays them, has them wait for a bandwidth, marks them for congestion, and does as a script says. What it does follows
// from a seed and from the times that its callers tell, and from nothing else, so that a simulation can be repeated.
//
// It injures real frames. What a stack leaves to the device, the package does first: it completes checksums and splits
// super-segments, so that damage is found and a loss is that of one segment. To find damage the stack that receives must
// verify checksums: this device never claims to have done so, but a bare pipe at the other end may.
package fault

import (
	"fmt"
	"time"

	"github.com/smolnet/smolnet/core/wire"
)

// Config says what becomes of frames. The zero value changes nothing.
type Config struct {
	// Seed is that of the random source: the same seed and the same calls give the same faults.
	Seed uint64

	// Out is what becomes of frames that are sent into the inner device, In of those that are received from it.
	Out, In Direction
}

// Direction says what becomes of the frames that pass one way. A frame goes through it in the order in which the fields
// are listed here: a script decides or leaves it to the rest, some are dropped, some corrupted, some doubled, and what is
// left waits in a queue for the bandwidth and is then delayed.
type Direction struct {
	// Script is asked about each frame before anything else. Default: nobody is. It may change the configuration, but not
	// send or receive.
	Script func(f Frame) Action

	// MaxSize is how many octets of IP packet, or of frame without link header, pass; larger ones are dropped silently, as
	// by a black hole. Default: no limit.
	MaxSize int

	// Rate is how many frames pass in each Interval, by a token bucket that holds as many; more are dropped. Default: no
	// limit.
	Rate int

	// Interval is Rate's. Default: 50 ms.
	Interval time.Duration

	// Drop, Corrupt, Duplicate and Reorder are probabilities from 0 to 1, for each frame by itself: that it is dropped,
	// has one octet changed, passes twice, and passes ReorderBy later than its turn while others overtake it. What damage
	// looks like on the air is Drop: a radio drops what its frame check sequence finds; Corrupt is what that overlooks.
	Drop, Corrupt, Duplicate, Reorder float64

	// Mark is the probability that an ECN-capable IP packet is marked: congestion experienced (RFC 3168).
	Mark float64

	// MarkAbove is how many octets may wait for the bandwidth before an ECN-capable IP packet that joins them, and makes
	// them more, is marked. Default: never.
	MarkAbove int

	// Bandwidth is how many octets of frame pass in a second. Default: no limit.
	Bandwidth int

	// Queue is how many octets may wait for the bandwidth, those of the frame that is being sent included; a frame that
	// finds no room is dropped, unless nothing is before it. Default: 64 KiB.
	Queue int

	// Delay is how long each frame takes to pass, and Jitter what is added, at random: something below it. Jitter by itself
	// never changes the order: who is faster waits for those before.
	Delay, Jitter time.Duration

	// ReorderBy is how much later than its turn a reordered frame passes. Default: 10 ms.
	ReorderBy time.Duration
}

// Frame is a frame that a Script judges. What it refers to may only be looked at, and only during the call.
type Frame struct {
	N    int            // how many frames came this way before
	Now  time.Time      // as the caller of Send or Receive told it
	Data []byte         // the whole frame, link header first, checksums complete
	IP   []byte         // from the IP header on; nil if it is no IP packet
	TCP  wire.TCPPacket // nil unless it is a TCP segment in an unfragmented IP packet
}

// Action is what a Script has become of a frame. The zero value leaves it to chance.
type Action struct {
	Kind  ActionKind
	Delay time.Duration // of ActionHold: how much later than its turn the frame passes
}

// ActionKind says what to do.
type ActionKind uint8

const (
	ActionPass    ActionKind = iota // what the Direction says otherwise
	ActionDrop                      // the frame is lost
	ActionCorrupt                   // one octet is changed, at random, and nothing else is left to chance
	ActionHold                      // the frame is held back, others overtake it, and nothing else is left to chance
)

// What a Script answers.
var (
	Pass    = Action{}
	Drop    = Action{Kind: ActionDrop}
	Corrupt = Action{Kind: ActionCorrupt}
)

// Hold holds a frame back for so long, while others overtake it.
func Hold(d time.Duration) Action { return Action{Kind: ActionHold, Delay: d} }

// Counters count what has become of the frames that came one way.
type Counters struct {
	Frames     uint64 // that came, each segment of a super-segment for itself if anything is to be done to it
	Passed     uint64 // that were handed on, duplicates included
	Dropped    Drops
	Corrupted  uint64
	Duplicated uint64
	Reordered  uint64 // held back, at random or by the script
	Marked     uint64
}

// Drops count the frames dropped, by what dropped them.
type Drops struct {
	Script uint64
	Size   uint64 // Direction.MaxSize
	Rate   uint64 // Direction.Rate
	Chance uint64 // Direction.Drop
	Queue  uint64 // Direction.Queue
	Device uint64 // the inner device would not send them, or was closed
}

// Total is all of them.
func (d Drops) Total() uint64 { return d.Script + d.Size + d.Rate + d.Chance + d.Queue + d.Device }

// What a Direction does unless it says otherwise.
const (
	defaultInterval  = 50 * time.Millisecond
	defaultQueue     = 64 << 10
	defaultReorderBy = 10 * time.Millisecond
)

// withDefaults returns the direction with its defaults. The error names the value that is wrong.
func (c Direction) withDefaults(name string) (Direction, error) {
	for _, p := range []struct {
		field string
		value float64
	}{
		{"Drop", c.Drop}, {"Corrupt", c.Corrupt}, {"Duplicate", c.Duplicate}, {"Reorder", c.Reorder}, {"Mark", c.Mark},
	} {
		if !(p.value >= 0 && p.value <= 1) { // which NaN is not
			return c, fmt.Errorf("fault: %s.%s is %v: a probability is from 0 to 1", name, p.field, p.value)
		}
	}
	for _, n := range []struct {
		field string
		value int64
	}{
		{"MaxSize", int64(c.MaxSize)}, {"Rate", int64(c.Rate)}, {"Interval", int64(c.Interval)},
		{"MarkAbove", int64(c.MarkAbove)}, {"Bandwidth", int64(c.Bandwidth)}, {"Queue", int64(c.Queue)},
		{"Delay", int64(c.Delay)}, {"Jitter", int64(c.Jitter)}, {"ReorderBy", int64(c.ReorderBy)},
	} {
		if n.value < 0 {
			return c, fmt.Errorf("fault: %s.%s is %d: it cannot be negative", name, n.field, n.value)
		}
	}
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
	if c.Queue == 0 {
		c.Queue = defaultQueue
	}
	if c.ReorderBy == 0 {
		c.ReorderBy = defaultReorderBy
	}
	return c, nil
}

// harmless reports whether frames pass as they are and at once.
func (c *Direction) harmless() bool {
	return c.Script == nil && c.MaxSize == 0 && c.Rate == 0 &&
		c.Drop == 0 && c.Corrupt == 0 && c.Duplicate == 0 && c.Reorder == 0 && c.Mark == 0 &&
		c.Bandwidth == 0 && c.Delay == 0 && c.Jitter == 0
}
