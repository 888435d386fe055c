package smolnet

import (
	"net"
	"os"
	"time"
)

// deadline is the time after which the calls on one side of an endpoint fail. It is made when the first is set. The
// stack's mutex guards it.
type deadline struct {
	at     time.Time // zero: none
	passed bool
	timer  *time.Timer // set for at or, left over from before, for earlier
}

// passed reports whether calls on the side fail by now.
func (d *side) passed() bool { return d.deadline != nil && d.deadline.passed }

// unusable is why calls on one of the endpoint's sides fail by now: it was closed, or the side's deadline has passed. The mutex is held.
func (e *endpoint) unusable(d *side) error {
	switch {
	case !e.open():
		return net.ErrClosed
	case d.passed():
		return os.ErrDeadlineExceeded
	}
	return nil
}

// setDeadlines sets when the calls on some sides fail, or returns net.ErrClosed.
func (e *endpoint) setDeadlines(at time.Time, sides ...*side) error {
	s := e.stack
	s.mu.Lock()
	defer s.unlock()
	if !e.open() {
		return net.ErrClosed
	}
	for _, d := range sides {
		e.setDeadline(d, at)
	}
	return nil
}

// setDeadline sets when the calls on the side fail, those under way included. Zero: never.
func (e *endpoint) setDeadline(d *side, at time.Time) {
	l := d.deadline
	if l == nil {
		if at.IsZero() {
			return
		}
		l = new(deadline)
		d.deadline = l
	}
	l.at, l.passed = at, false
	if at.IsZero() {
		l.stop()
		return
	}
	left := time.Until(at)
	switch {
	case left <= 0:
		l.stop()
		l.pass(d)
	case l.timer == nil:
		l.timer = time.AfterFunc(left, func() {
			e.stack.mu.Lock()
			e.expire(d)
			e.stack.unlock()
		})
	default:
		l.timer.Reset(left)
	}
}

func (l *deadline) stop() {
	if l.timer != nil {
		l.timer.Stop()
	}
}

// expire makes calls on the side fail if the deadline has come. The timer may have fired for one that was moved
// since, or the wall clock may have been set back.
func (e *endpoint) expire(d *side) {
	l := d.deadline
	if l == nil || l.at.IsZero() || l.passed {
		return
	}
	if left := time.Until(l.at); left > 0 {
		l.timer.Reset(left)
		return
	}
	l.pass(d)
}

func (l *deadline) pass(d *side) {
	l.passed = true
	if wake := d.wakeable(); wake != nil {
		poke(wake)
	}
}

// clearDeadlines is part of closing the endpoint.
func (e *endpoint) clearDeadlines() {
	for _, d := range [...]*side{&e.read, &e.write} {
		if d.deadline != nil {
			d.deadline.stop()
			d.deadline = nil
		}
	}
}
