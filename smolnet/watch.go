package smolnet

import (
	"context"
	"net"

	"github.com/smolnet/smolnet/core"
)

// Watch is a stream of what becomes of a stack's addresses, its routes, its neighbours, and whatever else it learns and configures.
type Watch struct {
	stack *Stack

	// Guarded by the stack's mutex.
	events []core.Event // the oldest first
	lost   int
	closed bool

	more chan struct{} // one slot
}

// watchDepth is how many events are kept for who does not ask for them.
const watchDepth = 1024

// Watch begins to keep events for the caller, who calls Next for them, and Close in the end.
func (s *Stack) Watch() *Watch {
	w := &Watch{stack: s, more: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches = append(s.watches, w)
	w.closed = s.closed
	return w
}

// Next waits for the next event. The error is the context's, or net.ErrClosed once there are no more because the Watch or the stack
// was closed. One goroutine at a time may call it.
func (w *Watch) Next(ctx context.Context) (core.Event, error) {
	for {
		w.stack.mu.Lock()
		if len(w.events) > 0 {
			e := w.events[0]
			w.events = w.events[1:]
			w.stack.mu.Unlock()
			return e, nil
		}
		closed := w.closed
		w.stack.mu.Unlock()
		if closed {
			return core.Event{}, net.ErrClosed
		}
		select {
		case <-w.more:
		case <-ctx.Done():
			return core.Event{}, ctx.Err()
		}
	}
}

// Lost is how many events were dropped, the oldest first, because Next was not called for too long: 1,024 are kept.
func (w *Watch) Lost() int {
	w.stack.mu.Lock()
	defer w.stack.mu.Unlock()
	return w.lost
}

// Close ends the keeping of events; Next returns those that there are. Closing again does nothing.
func (w *Watch) Close() error {
	s := w.stack
	s.mu.Lock()
	defer s.mu.Unlock()
	w.close()
	for i, other := range s.watches {
		if other == w {
			s.watches = append(s.watches[:i:i], s.watches[i+1:]...)
			break
		}
	}
	return nil
}

func (w *Watch) close() {
	w.closed = true
	poke(w.more)
}

// happened is told of an event by the core, with the mutex held.
func (s *Stack) happened(e core.Event) {
	for _, w := range s.watches {
		if len(w.events) == watchDepth {
			w.events = w.events[1:]
			w.lost++
		}
		w.events = append(w.events, e)
		poke(w.more)
	}
	if e.Kind == core.ServersChanged {
		s.serversChanged.Add(1)
	}
	if e.Address.Prefix.IsValid() && s.settling != nil {
		close(s.settling)
		s.settling = nil
	}
}
