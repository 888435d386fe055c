package core

import (
	"time"

	"github.com/smolnet/smolnet/core/packet"
)

// Poll does all that there is to do at once: it takes packets in from all devices, passes those of the loopback, and
// sends what is to be sent, in turns until nothing is left or Limits.PollRounds is reached. It reports whether it has
// received or sent anything, by which another stack may have got something to do, on an in-memory link for one. It is
// for a stack without goroutines, whose user calls it when a device has something, or when PollAt says so; who has
// goroutines calls Input and Output from them instead.
func (s *Stack) Poll(now time.Time) (progress bool) {
	s.enter(now)
	for range s.limits.PollRounds {
		looped := s.loopback.Pending()
		again := s.PollLoopback(now)
		for _, l := range s.interfaces {
			if l.device != nil {
				received, sent := l.receive(now), l.send(now)
				again = again || received || sent
			}
		}
		progress = progress || again || looped
		if !again && !s.loopback.Pending() {
			break
		}
	}
	return progress
}

// receive takes in a batch of packets from the device, and reports whether there were any.
func (l *Interface) receive(now time.Time) bool {
	if l.broken != nil {
		return false
	}
	s := l.stack
	n, err := l.device.Receive(now, s.batch)
	if err != nil {
		l.broken = err
		if s.log.debug {
			s.log.logger.Debug("device failed", "interface", l.name, "error", err)
		}
	}
	if n > 0 {
		s.Input(now, l, s.batch[:n])
	}
	return n > 0
}

// send gives the device a batch of packets, or what it had no room for the last time, and reports whether it took any.
func (l *Interface) send(now time.Time) (progress bool) {
	if len(l.outgoing) == 0 {
		if !l.Pending() {
			l.stuck = false
			return false
		}
		if l.batch == nil {
			l.batch = make([]*packet.Packet, l.stack.limits.PollBatch)
		}
		n := l.stack.Output(now, l, l.batch)
		l.outgoing = l.batch[:n]
	}
	for len(l.outgoing) > 0 {
		n, err := l.device.Send(now, l.outgoing)
		clear(l.outgoing[:n])
		l.outgoing = l.outgoing[n:]
		progress = progress || n > 0
		if err == nil || len(l.outgoing) == 0 {
			break
		}
		// The device cannot send this one, and perhaps nothing any more.
		l.Refused(l.outgoing[0])
		l.outgoing[0] = nil
		l.outgoing = l.outgoing[1:]
		progress = true
	}
	l.stuck = len(l.outgoing) > 0
	return progress
}

// Refused takes back a packet that Output handed out and the interface's device would not send, or was closed before
// it could: it is counted, as DropDevice and among the link's OutErrors, told to the logger, and released. Who calls
// Output calls it; Poll does so itself. What comes back after the interface was removed is in the interface's counters
// alone.
func (l *Interface) Refused(p *packet.Packet) {
	l.counters.Link.OutErrors++
	l.drop(DropDevice, p)
}
