// Package timer keeps the deadlines of a stack: a heap whose work follows what happens, not how many timers exist.
//
// A deadline that moves later, as TCP's does with every acknowledgment, costs one store: the heap finds out when the
// earlier one comes up. Times are nanoseconds since the stack's epoch; nothing here reads a clock.
package timer

import "math"

// Never is the deadline of a timer that is not armed.
const Never int64 = math.MaxInt64

// Expirer is what a timer belongs to.
type Expirer interface {
	// Expire is called once the deadline has passed; the timer is then disarmed and may be armed anew.
	Expire(now int64)
}

// Timer is one deadline, embedded by value in what it belongs to. The zero value is not armed.
type Timer struct {
	owner    Expirer
	deadline int64 // when to expire, if armed
	queued   int64 // what the heap has it under: never later than deadline while armed
	index    int32 // position in the heap plus one; 0: not in it
	armed    bool
}

// Armed reports whether the timer will expire.
func (t *Timer) Armed() bool { return t.armed }

// Deadline is when the timer will expire, or Never.
func (t *Timer) Deadline() int64 {
	if !t.armed {
		return Never
	}
	return t.deadline
}

// Heap holds the timers of one stack. The zero value is empty and ready.
type Heap struct {
	timers []*Timer
}

// Arm sets t, which belongs to owner, to expire at deadline, in place of whatever it was set to.
func (h *Heap) Arm(t *Timer, owner Expirer, deadline int64) {
	t.owner, t.deadline, t.armed = owner, deadline, true
	switch {
	case t.index == 0:
		t.queued = deadline
		h.timers = append(h.timers, t)
		t.index = int32(len(h.timers))
		h.up(len(h.timers) - 1)
	case deadline < t.queued:
		t.queued = deadline
		h.up(int(t.index) - 1)
	}
}

// Stop disarms t. It stays in the heap until its time comes, so that stopping and arming again costs nothing.
func (h *Heap) Stop(t *Timer) { t.armed = false }

// Remove disarms t and takes it out of the heap, as its owner must before it is forgotten.
func (h *Heap) Remove(t *Timer) {
	t.armed = false
	if t.index != 0 {
		h.remove(int(t.index) - 1)
	}
	t.owner = nil
}

// Next is the deadline of the timer that expires first, or Never.
func (h *Heap) Next() int64 {
	for len(h.timers) > 0 {
		first := h.timers[0]
		if first.armed && first.deadline == first.queued {
			return first.deadline
		}
		h.settle(first)
	}
	return Never
}

// Expire calls, in the order of their deadlines, the owners of the timers due at now, at most budget of them, and
// reports how many it called. A timer armed meanwhile for now or earlier counts as due.
func (h *Heap) Expire(now int64, budget int) int {
	n := 0
	for n < budget && h.Next() <= now {
		first := h.timers[0]
		h.remove(0)
		first.armed = false
		first.owner.Expire(now)
		n++
	}
	return n
}

// settle gives the first timer the place it should have by now.
func (h *Heap) settle(first *Timer) {
	if !first.armed {
		h.remove(0)
		return
	}
	first.queued = first.deadline
	h.down(0)
}

func (h *Heap) remove(i int) {
	last := len(h.timers) - 1
	h.timers[i].index = 0
	if i != last {
		h.place(i, h.timers[last])
	}
	h.timers[last] = nil
	h.timers = h.timers[:last]
	if i != last && !h.down(i) {
		h.up(i)
	}
}

func (h *Heap) place(i int, t *Timer) {
	h.timers[i] = t
	t.index = int32(i + 1)
}

func (h *Heap) up(i int) {
	t := h.timers[i]
	for i > 0 {
		parent := (i - 1) / 2
		if h.timers[parent].queued <= t.queued {
			break
		}
		h.place(i, h.timers[parent])
		i = parent
	}
	h.place(i, t)
}

// down moves the timer at i towards the leaves and reports whether it moved.
func (h *Heap) down(i int) bool {
	t, start := h.timers[i], i
	for {
		child := 2*i + 1
		if child >= len(h.timers) {
			break
		}
		if right := child + 1; right < len(h.timers) && h.timers[right].queued < h.timers[child].queued {
			child = right
		}
		if t.queued <= h.timers[child].queued {
			break
		}
		h.place(i, h.timers[child])
		i = child
	}
	h.place(i, t)
	return i != start
}
