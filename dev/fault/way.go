package fault

import (
	"math/rand/v2"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/internal/link"
)

// way is one of the two ways through the device: what becomes of the frames that pass it, and those that are on it. All
// but finisher, which does not change, is guarded by the device's mutex.
type way struct {
	finisher
	config   Direction
	rand     *rand.Rand
	counters Counters
	held     held

	tokens   int       // frames that still pass in this interval
	interval time.Time // when it began

	idle time.Time // when the last frame that waits for the bandwidth has left
	turn time.Time // when the last frame passes that was not held back
}

// straight reports whether frames pass at once and untouched. While others are still on their way, they cannot.
func (w *way) straight() bool { return w.config.harmless() && w.held.empty() }

// chance reports true with the probability p. A probability of 0 costs no random number.
func (w *way) chance(p float64) bool { return p > 0 && w.rand.Float64() < p }

// frame is p as a script sees it.
func (w *way) frame(n uint64, now time.Time, p *packet.Packet) Frame {
	b := p.Head()
	f := Frame{N: int(n), Now: now, Data: b}
	if l := layoutOf(b, w.medium); l.version != 0 {
		f.IP = b[l.network:l.end]
		f.TCP = l.tcp(b)
	}
	return f
}

// enter begins a frame's way. It takes p, which is a real frame.
func (w *way) enter(now time.Time, p *packet.Packet, action Action) {
	c := &w.config
	w.counters.Frames++
	decided := action.Kind != ActionPass
	switch {
	case action.Kind == ActionDrop:
		drop(&w.counters.Dropped.Script, p)
	case c.MaxSize > 0 && p.Len()-link.HeaderLen(w.medium) > c.MaxSize:
		drop(&w.counters.Dropped.Size, p)
	case !w.token(now):
		drop(&w.counters.Dropped.Rate, p)
	case !decided && w.chance(c.Drop):
		drop(&w.counters.Dropped.Chance, p)
	default:
		if action.Kind == ActionCorrupt || !decided && w.chance(c.Corrupt) {
			w.corrupt(p)
		}
		var twin *packet.Packet
		if !decided && w.chance(c.Duplicate) {
			w.counters.Duplicated++
			twin = p.Clone()
		}
		w.queue(now, p, action)
		if twin != nil {
			w.queue(now, twin, action)
		}
	}
}

func drop(counter *uint64, p *packet.Packet) {
	*counter++
	p.Release()
}

// token takes a token from the bucket, and reports whether there was one. The bucket is filled at the beginning of
// every interval, of which the first begins with the first frame.
func (w *way) token(now time.Time) bool {
	c := &w.config
	if c.Rate == 0 {
		return true
	}
	if passed := now.Sub(w.interval); w.interval.IsZero() || passed >= c.Interval {
		if w.interval.IsZero() {
			w.interval = now
		} else {
			w.interval = w.interval.Add(passed - passed%c.Interval)
		}
		w.tokens = c.Rate
	}
	if w.tokens == 0 {
		return false
	}
	w.tokens--
	return true
}

// corrupt changes one octet of the frame, whichever.
func (w *way) corrupt(p *packet.Packet) {
	b := p.Head()
	if len(b) == 0 {
		return
	}
	w.counters.Corrupted++
	b[w.rand.IntN(len(b))] ^= byte(1 + w.rand.IntN(255))
}

// queue has a frame wait for the bandwidth, for the delay, and for whatever holds it back.
func (w *way) queue(now time.Time, p *packet.Packet, action Action) {
	c := &w.config
	decided := action.Kind != ActionPass
	leaves, marked := now, false
	if c.Bandwidth > 0 {
		size := p.Len()
		if w.idle.After(now) {
			leaves = w.idle
			waiting := size + octetsIn(w.idle.Sub(now), c.Bandwidth)
			if waiting > c.Queue {
				drop(&w.counters.Dropped.Queue, p)
				return
			}
			marked = c.MarkAbove > 0 && waiting > c.MarkAbove
		}
		leaves = leaves.Add(timeFor(size, c.Bandwidth))
		w.idle = leaves
	}
	if (marked || !decided && w.chance(c.Mark)) && markCongestion(p.Head(), w.medium) {
		w.counters.Marked++
	}

	due := leaves.Add(c.Delay)
	if c.Jitter > 0 {
		due = due.Add(time.Duration(w.rand.Int64N(int64(c.Jitter))))
	}
	if due.Before(w.turn) {
		due = w.turn // in a network, too, who is faster stands in a queue behind who is slower
	}
	switch {
	case action.Kind == ActionHold:
		w.counters.Reordered++
		due = due.Add(max(action.Delay, 0))
	case !decided && w.chance(c.Reorder):
		w.counters.Reordered++
		due = due.Add(c.ReorderBy)
	default:
		w.turn = due
	}
	w.held.push(p, due)
}

// timeFor is how long so many octets take at a bandwidth in octets a second, and octetsIn how many pass in a time.
func timeFor(octets, bandwidth int) time.Duration {
	return time.Duration(int64(octets) * int64(time.Second) / int64(bandwidth))
}

func octetsIn(d time.Duration, bandwidth int) int { return int(d.Seconds() * float64(bandwidth)) }

// take moves frames that are due to pkts, and returns how many.
func (w *way) take(now time.Time, pkts []*packet.Packet) int {
	n := 0
	for n < len(pkts) && w.held.due(now) {
		pkts[n] = w.held.pop()
		n++
	}
	return n
}

// deliver is take for frames that have then come through.
func (w *way) deliver(now time.Time, pkts []*packet.Packet) int {
	n := w.take(now, pkts)
	w.counters.Passed += uint64(n)
	return n
}
