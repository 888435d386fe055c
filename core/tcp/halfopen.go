package tcp

import (
	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// halfOpen is a connection in SYN-RECEIVED that a SYN to a listener began: what must be known to answer it, without
// buffers. It becomes a Conn with the final acknowledgment.
type halfOpen struct {
	entry
	listener *Listener
	path     ip.Path
	timer    timer.Timer
	peer     wire.TCPOptions // what its SYN has offered
	irs, iss uint32
	window   uint32 // of its SYN
	sentAt   int64
	retries  uint8
	answered int64 // when the SYN|ACK was last repeated because of a segment, or 0
}

// open answers a SYN. The initial sequence number is to be at least leastISS, if that is not 0.
func (l *Listener) open(now int64, s *segment, leastISS uint32) {
	h := l.host
	path, _, err := h.network.Route(s.link, s.local.Addr(), s.remote.Addr())
	if err != nil {
		h.dropped(&h.counters.OutNoRoutes, s.packet, "no route for an answer")
		return
	}
	o := &halfOpen{
		entry: entry{id: newID(s.local, s.remote, s.link)}, listener: l, path: path,
		peer: s.options, irs: s.seq, window: s.window, sentAt: now,
	}
	o.iss = h.isn(now, &o.id)
	if leastISS != 0 {
		o.iss = latest(o.iss, leastISS)
	}
	h.table.insert(&o.entry, o)
	h.halfOpen++
	l.halfOpen++
	h.counters.PassiveOpens++
	h.network.Timers().Arm(&o.timer, o, now+int64(h.config.InitialRTO))
	o.answer(now, false)
}

// answer sends the SYN|ACK, for the first time or again.
func (o *halfOpen) answer(now int64, again bool) {
	options := o.listener.options
	o.listener.host.sendControl(now, &control{
		local: o.id.localAddrPort(), remote: o.id.remoteAddrPort(), link: o.id.link,
		seq: o.iss, ack: o.irs + 1, flags: wire.TCPSyn | wire.TCPAck,
		window:   uint16(min(options.ReceiveBuffer, 65535)),
		options:  synOptions(ownMSS(o.path, o.id.is4(), options), windowScale(options.ReceiveBuffer), &o.peer),
		hopLimit: options.HopLimit, trafficClass: options.TrafficClass, again: again,
	})
}

// Expire is called by the stack's timer heap: the final acknowledgment has not come.
func (o *halfOpen) Expire(now int64) {
	h := o.listener.host
	if int(o.retries) >= h.config.SYNRetries {
		h.counters.HalfOpenTimeouts++
		o.forget()
		return
	}
	o.retries++
	wait := doubled(int64(h.config.InitialRTO), o.retries, int64(h.config.MaxRTO))
	h.network.Timers().Arm(&o.timer, o, now+wait)
	o.answer(now, true)
}

// forget drops the record, and with it the attempt to connect.
func (o *halfOpen) forget() {
	o.listener.host.counters.AttemptFails++
	o.leave()
}

// leave frees the place of the record.
func (o *halfOpen) leave() {
	h := o.listener.host
	if h.table.remove(&o.entry) {
		h.halfOpen--
		o.listener.halfOpen--
	}
	h.network.Timers().Remove(&o.timer)
}

// segment is what SYN-RECEIVED does with an arriving segment.
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.7.4
func (o *halfOpen) segment(now int64, s *segment) {
	h := o.listener.host
	next := o.irs + 1
	edge := next + uint32(min(o.listener.options.ReceiveBuffer, 65535))
	switch {
	case s.has(wire.TCPRst):
		o.reset(now, s, edge)
	case s.has(wire.TCPSyn):
		// The SYN again: the SYN|ACK may have been lost. Any other SYN gets the same, as a challenge.
		o.repeat(now)
	case before(s.seq, next) && beforeEq(s.end(), next), before(edge, s.seq):
		h.dropped(&h.counters.OutOfWindow, s.packet, "outside the window")
		o.repeat(now)
	case !s.has(wire.TCPAck):
		// "if the ACK bit is off, drop the segment and return"
		h.dropped(&h.counters.InNoAck, s.packet, "no ACK")
	case s.ack != o.iss+1:
		// "If the segment acknowledgment is not acceptable, form a reset segment".
		h.refuse(now, s)
	default:
		o.complete(now, s)
	}
}

// reset takes a RST. Only one that is exactly in sequence ends the attempt: a wrong guess must not take the place of the
// connection away.
//
// "If the RST bit is set and the sequence number does not exactly match the next expected sequence value, yet is within the
// current receive window, TCP MUST send an acknowledgment (challenge ACK)." The SYN|ACK is one: a peer that has reset the
// connection answers it with a RST that is exact.
// https://www.rfc-editor.org/rfc/rfc5961.html#section-3.2
func (o *halfOpen) reset(now int64, s *segment, edge uint32) {
	h, next := o.listener.host, o.irs+1
	if s.seq == next {
		h.counters.HalfOpenResets++
		o.forget()
		return
	}
	h.ignoreReset(s)
	if before(next, s.seq) && before(s.seq, edge) {
		o.repeat(now)
	}
}

// repeat answers a segment with the SYN|ACK. The timer repeats it anyway, so that a flood is not answered one by one.
func (o *halfOpen) repeat(now int64) {
	if o.answered == 0 || now-o.answered >= challengeInterval {
		o.answered = max(now, 1)
		o.answer(now, true)
	}
}

// complete makes a connection of the record: s is the final acknowledgment, perhaps with data.
func (o *halfOpen) complete(now int64, s *segment) {
	l := o.listener
	h := l.host
	if len(l.accepted) >= l.backlog {
		h.dropped(&h.counters.AcceptQueueFull, s.packet, "accept queue full")
		return
	}
	if h.connections >= h.config.Limits.Connections {
		h.dropped(&h.counters.ConnectionsFull, s.packet, "too many connections")
		return
	}
	o.leave()
	c := h.newConn(o.id, o.path, l.options)
	c.start(now, o.iss)
	c.sndNxt, c.sndMax = o.iss+1, o.iss+1
	c.irs = o.irs
	c.rcvNxt, c.rcvAcked = o.irs+1, o.irs+1
	c.rcvEdge = c.rcvNxt + uint32(min(l.options.ReceiveBuffer, 65535))
	c.negotiated(&o.peer)
	c.sndWnd, c.maxWnd = o.window, o.window
	c.sndWl1, c.sndWl2 = o.irs, o.iss
	if o.retries == 0 && o.answered == 0 {
		c.rtt.sent(o.sentAt, o.iss+1)
	}
	c.handshakeTook(o.retries)
	c.enter(Established)
	h.event(c, "established")
	l.accepted = append(l.accepted, c)
	c.segment(now, s)
	if l.owner != nil {
		l.owner.Notify(ip.Accepted)
	}
}

// unreachable: a half-open connection is not ended by what anybody on the way may claim; its timer ends it.
func (o *halfOpen) unreachable(int64, *ip.Error, uint32) {}
