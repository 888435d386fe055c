package rpl

import (
	"time"

	"github.com/smolnet/smolnet/core/timer"
)

// trickle says when to send what neighbours may have said already: often when there is news, and hardly ever when there is none
// (RFC 6206). The numbers of rules are those of its section 4.2.
type trickle struct {
	timers *timer.Heap
	rand   func() uint64
	send   func(now int64)

	min, max int64 // Imin and Imax
	k        uint8 // redundancy; 0: infinite

	timer    timer.Timer
	interval int64 // I
	end      int64 // of the interval
	counter  int   // c
	sent     bool  // the interval's time t has passed
}

// configure sets Imin, as a power of two in ms, how often it may double, and the redundancy.
func (t *trickle) configure(intervalMin, doublings, redundancy uint8) {
	t.min = intervalOf(int(intervalMin))
	t.max = intervalOf(int(intervalMin) + int(doublings))
	t.k = redundancy
}

// intervalOf is a power of two in ms, bounded.
func intervalOf(bits int) int64 { return int64(time.Millisecond) << min(bits, maxIntervalBits) }

// start begins the first interval, for which rule 1 leaves the choice between Imin and Imax.
func (t *trickle) start(now int64) {
	t.interval = t.min
	t.begin(now)
}

func (t *trickle) stop() { t.timers.Remove(&t.timer) }

// begin is rule 2: an interval begins with its counter at 0, and a random time in its second half to send at.
func (t *trickle) begin(now int64) {
	t.counter, t.sent = 0, false
	t.end = now + t.interval
	half := t.interval / 2
	t.timers.Arm(&t.timer, t, now+half+int64(t.rand()%uint64(t.interval-half)))
}

// consistent is rule 3: a neighbour has said the same.
func (t *trickle) consistent() { t.counter++ }

// inconsistent is rule 6: there is news, and the interval is Imin from now on. If it was already, it goes on.
func (t *trickle) inconsistent(now int64) {
	if t.interval > t.min {
		t.start(now)
	}
}

// Expire is rule 4, at the interval's time, and rule 5, at its end. The timer heap calls it.
func (t *trickle) Expire(now int64) {
	if t.sent {
		t.interval = min(2*t.interval, t.max)
		t.begin(now)
		return
	}
	t.sent = true
	t.timers.Arm(&t.timer, t, t.end)
	if t.k == 0 || t.counter < int(t.k) {
		t.send(now)
	}
}
