package smolnet

import (
	"sync/atomic"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/internal/inet"
)

// endpoint is what the shell knows of one of core's endpoints, whose owner it is: who waits for it, and what has
// happened that they have yet to be told. The stack's mutex guards it, but for the order in which calls come.
type endpoint struct {
	stack       *Stack
	noted       *endpoint // who is behind it in the stack's list of those that something happened to
	read, write side      // reading and accepting; writing and connecting
	events      ip.Event  // what happened; not zero: it is in that list
	closed      bool      // by its user
	reported    bool      // the user knows that it has failed
	network     inet.Network
	mapped      bool // IPv4 addresses are shown in their IPv4-mapped form, as on package net's dual-stack sockets
}

// side is one of the two things that go on with an endpoint at the same time. One call at a time goes about it, and
// may wait for something to happen. What few need of it is made when it is first needed, because most connections
// are idle.
type side struct {
	queue    atomic.Pointer[chan struct{}] // one slot: where calls wait for their turn
	wake     chan struct{}                 // one slot: where the call whose turn it is waits
	deadline *deadline
	inside   atomic.Int32 // the call whose turn it is, and those that wait for it
	waiting  bool         // the call whose turn it is waits
	shut     bool         // CloseRead or CloseWrite was called
}

// Events that concern each side.
const (
	readEvents  = ip.Readable | ip.Accepted | ip.Failed | ip.Closed
	writeEvents = ip.Writable | ip.Connected | ip.Failed | ip.Closed
)

// Notify takes note of events. The core calls it, with the mutex held; the waiting are woken when that is released.
func (e *endpoint) Notify(events ip.Event) {
	if e.events == 0 {
		if e.stack.lastNoted == nil {
			e.stack.firstNoted = e
		} else {
			e.stack.lastNoted.noted = e
		}
		e.stack.lastNoted = e
	}
	e.events |= events
}

// open reports whether neither the endpoint's user nor the stack's has closed it.
func (e *endpoint) open() bool { return !e.closed && !e.stack.closed }

// close makes every call on the endpoint return, once the mutex is released.
func (e *endpoint) close() {
	e.closed = true
	e.clearDeadlines()
	e.Notify(ip.Closed)
}

// wait releases the mutex until something has happened that concerns the side, and takes it again. It is the
// caller's turn.
func (e *endpoint) wait(d *side) {
	wake := d.prepare()
	e.stack.unlock()
	<-wake
	e.stack.mu.Lock()
}

// prepare says that the caller is about to wait for what it returns.
func (d *side) prepare() <-chan struct{} {
	if d.wake == nil {
		d.wake = make(chan struct{}, 1)
	}
	d.waiting = true
	return d.wake
}

// wakeable returns the channel that wakes whoever waits on the side, once, or nil if nobody does.
func (d *side) wakeable() chan<- struct{} {
	if !d.waiting {
		return nil
	}
	d.waiting = false
	return d.wake
}

// wakes are channels of goroutines to wake once the mutex is released.
type wakes struct {
	channels [16]chan<- struct{}
	n        int
}

func (w *wakes) add(d *side) {
	switch wake := d.wakeable(); {
	case wake == nil:
	case w.n < len(w.channels):
		w.channels[w.n] = wake
		w.n++
	default:
		poke(wake) // it works with the mutex held as well, only less well
	}
}

// poke puts something into a channel of one slot, unless something is in it.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// unlock releases the mutex and then wakes those to whom something has happened.
func (s *Stack) unlock() {
	var w wakes
	for e := s.firstNoted; e != nil; {
		events, next := e.events, e.noted
		e.events, e.noted = 0, nil
		if events&readEvents != 0 {
			w.add(&e.read)
		}
		if events&writeEvents != 0 {
			w.add(&e.write)
		}
		e = next
	}
	s.firstNoted, s.lastNoted = nil, nil
	s.mu.Unlock()
	for _, wake := range w.channels[:w.n] {
		poke(wake)
	}
}

// enter waits for the caller's turn: calls come one at a time, in the order of their arrival. They wait on a
// channel, so that one that is held up for long, by a peer that does not read, leaves the others blocked as
// testing/synctest understands it, which they would not be on a mutex.
func (d *side) enter() {
	if d.inside.Add(1) > 1 {
		<-d.tokens()
	}
}

// leave ends the caller's turn.
func (d *side) leave() {
	if d.inside.Add(-1) > 0 {
		d.tokens() <- struct{}{} // there is one token, that of whose turn it is
	}
}

// tokens is where the turn is passed on to the call that has waited longest.
func (d *side) tokens() chan struct{} {
	if queue := d.queue.Load(); queue != nil {
		return *queue
	}
	queue := make(chan struct{}, 1)
	if d.queue.CompareAndSwap(nil, &queue) {
		return queue
	}
	return *d.queue.Load()
}
