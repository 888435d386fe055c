package smolnet

import (
	"errors"
	"net"
	"time"
)

const (
	batchSize = 64 // packets that go to or come from a device at once

	// How often a goroutine that has something else to do sends a batch, or moves the loopback's packets a round,
	// before it leaves the rest to the link's own goroutine.
	sendBudget     = 16
	loopbackBudget = 16
)

// release ends what a goroutine has done to the core with the mutex held: it sends what there is to send as far as
// nobody else does, sees to the timer, releases the mutex and wakes those to whom something has happened.
func (s *Stack) release() {
	for _, l := range s.links {
		if l.wantsSender() {
			l.send()
		}
	}
	s.schedule()
	s.unlock()
}

// wantsSender reports whether there is something to send that nobody takes care of.
func (l *Link) wantsSender() bool { return !l.sending && l.ifc.Pending() }

// send makes the caller the link's sender for a while. The mutex is held, but released in between.
func (l *Link) send() {
	l.sending, l.full = true, false
	if l.device == nil {
		l.loop()
		return
	}
	for range sendBudget {
		if !l.sendBatch() {
			return
		}
	}
	l.handOver()
}

// sendBatch sends a batch, or what is left of one, and reports whether the caller is the sender still.
func (l *Link) sendBatch() bool {
	s := l.stack
	now := time.Now()
	if l.first == l.last {
		l.first, l.last = 0, 0
		if l.ifc.Pending() {
			l.last = s.core.Output(now, l.ifc, l.outgoing[:])
			if loopback := s.links[0]; loopback.wantsSender() {
				loopback.send() // copies of what leaves for groups
			}
		}
		if l.last == 0 {
			l.stepDown()
			return false
		}
	}
	closed := l.closed
	s.unlock()
	full := false
	for l.first < l.last && !closed && !full {
		n, err := l.device.Send(now, l.outgoing[l.first:l.last])
		clear(l.outgoing[l.first : l.first+n])
		l.first += n
		switch {
		case err == nil:
			full = l.first < l.last
		case errors.Is(err, net.ErrClosed):
			closed = true
		case l.first < l.last:
			s.mu.Lock()
			l.refused()
			s.unlock()
		}
	}
	s.mu.Lock()
	if closed {
		l.closed = true
		l.discard()
	}
	if l.full = full; full {
		l.handOver()
		return false
	}
	return true
}

// loop moves the loopback's packets.
func (l *Link) loop() {
	s := l.stack
	for range loopbackBudget {
		if !s.core.PollLoopback(time.Now()) {
			l.stepDown()
			return
		}
		s.unlock()
		s.mu.Lock()
	}
	l.handOver()
}

// handOver makes the link's own goroutine the sender.
func (l *Link) handOver() {
	s := l.stack
	if s.closed {
		l.discard()
		l.stepDown()
		return
	}
	if !l.hasSender {
		l.hasSender = true
		l.handedOver = make(chan struct{}, 1)
		s.goroutines.Go(l.sender)
	}
	poke(l.handedOver)
}

// stepDown ends being the sender.
func (l *Link) stepDown() {
	l.sending = false
	l.stack.steppedDown.Broadcast()
}

// sender is the link's own sending goroutine: it sends what others did not want to wait for.
func (l *Link) sender() {
	s := l.stack
	for {
		select {
		case <-l.handedOver:
		case <-s.ctx.Done():
			select {
			case <-l.handedOver: // before: it is for this goroutine still to step down
			default:
				return
			}
		}
		var err error
		if l.first < l.last {
			err = l.device.WaitSend()
		}
		s.mu.Lock()
		l.closed = l.closed || err != nil
		l.send()
		s.schedule()
		s.unlock()
	}
}

// receiver is the link's own receiving goroutine.
func (l *Link) receiver() {
	for {
		err := l.device.WaitReceive()
		if err == nil {
			err = l.receive()
		}
		if err != nil {
			if !errors.Is(err, net.ErrClosed) && l.stack.logger != nil {
				l.stack.logger.Debug("device failed", "interface", l.ifc.Name(), "error", err)
			}
			return
		}
	}
}

// receive takes in what the device has. The error says that it was closed or is broken.
func (l *Link) receive() error {
	s := l.stack
	for {
		l.receiving.Lock()
		now := time.Now()
		n, err := l.device.Receive(now, l.incoming[:])
		pollAt, timed := l.device.PollAt()
		s.mu.Lock()
		l.pollAt, l.timed = pollAt, timed
		if s.closed {
			for _, p := range l.incoming[:n] {
				p.Release()
			}
			n, err = 0, net.ErrClosed
		}
		if n > 0 {
			s.core.Input(now, l.ifc, l.incoming[:n])
		}
		l.receiving.Unlock()
		s.release()
		if err != nil || n < batchSize {
			return err
		}
	}
}

// schedule sets the stack's timer for when time will make a difference. A timer that is set for earlier is left alone:
// most deadlines move later, or are forgotten, before they come.
func (s *Stack) schedule() {
	at, ok := s.nextDeadline()
	if !ok || s.closed || !s.wakeAt.IsZero() && !at.Before(s.wakeAt) {
		return
	}
	s.wakeAt = at
	if s.timer == nil {
		s.goroutines.Add(1)
		s.timer = time.AfterFunc(time.Until(at), s.expire)
	} else if !s.timer.Reset(time.Until(at)) {
		s.goroutines.Add(1)
	}
}

// nextDeadline returns the earliest deadline of the core's, or of a device that has packets on their way.
func (s *Stack) nextDeadline() (at time.Time, ok bool) {
	at, ok = s.core.NextTimer()
	for _, l := range s.links {
		if l.timed && (!ok || l.pollAt.Before(at)) {
			at, ok = l.pollAt, true
		}
	}
	return at, ok
}

// expire is what the timer calls. Each call was counted among the goroutines when the timer was set.
func (s *Stack) expire() {
	defer s.goroutines.Done()
	s.mu.Lock()
	s.wakeAt = time.Time{}
	if s.closed {
		s.unlock()
		return
	}
	now := time.Now()
	var due []*Link
	for _, l := range s.links {
		if l.timed && !l.pollAt.After(now) {
			l.timed = false
			due = append(due, l)
		}
	}
	s.core.Advance(now)
	s.release()
	for _, l := range due {
		_ = l.receive() // the receiver will hear of an error too
	}
}
