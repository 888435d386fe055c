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
	request  *Request // that was answered for somebody in particular; else nil
	path     ip.Path
	timer    timer.Timer
	peer     wire.TCPOptions // what its SYN has offered
	ts       timestamps
	irs, iss uint32
	window   uint32 // of its SYN
	sentAt   int64  // when the SYN|ACK first left
	answered int64  // when the SYN|ACK was last repeated because of a segment, or 0
	retries  uint8
	ecn      bool // both sides agree on explicit congestion notification
	grants   bool // the SYN|ACK carries a Fast Open cookie
	cookie   bool // it comes from a SYN cookie: it is in no table, and when the SYN|ACK left is not known
}

// open answers a SYN. The initial sequence number is to be at least leastISS, if that is not 0.
func (l *Listener) open(now int64, s *segment, leastISS uint32) {
	h := l.host
	i := s.name()
	path, err := h.route(&i)
	if err != nil {
		h.dropped(&h.counters.OutNoRoutes, s.packet, "no route for an answer")
		return
	}
	o := &halfOpen{
		entry: entry{id: i}, listener: l, path: path,
		peer: s.options, irs: s.seq, window: s.window, sentAt: now, ecn: l.options.acceptsECN(s.flags),
	}
	o.iss = h.isn(now, &o.id)
	if leastISS != 0 {
		o.iss = latest(o.iss, leastISS)
	}
	if l.options.FastOpen && s.options.HasFastOpen {
		if l.openFast(now, s, o) {
			return
		}
	}
	o.begin(now)
}

// begin answers the SYN, and waits for the final acknowledgment.
func (o *halfOpen) begin(now int64) {
	l, h := o.listener, o.listener.host
	o.startTimestamps(now)
	h.insert(&o.entry, o)
	h.halfOpen++
	l.halfOpen++
	l.young++
	l.perPeer.enter(&o.id)
	h.counters.PassiveOpens++
	h.network.Timers().Arm(&o.timer, o, now+int64(h.config.InitialRTO))
	o.answer(now, false)
}

// startTimestamps begins to use them if both sides have them.
func (o *halfOpen) startTimestamps(now int64) {
	o.ts.offset = o.listener.host.tsOffset(&o.id)
	if o.peer.HasTimestamps && !o.listener.options.NoTimestamps {
		o.ts.start(now, &o.peer)
	}
}

// acceptsECN reports whether a SYN with the given flags asks for explicit congestion notification, and is to have it. The bit
// that RFC 9768 calls AE says nothing here, nor do the reserved ones.
//
// "We call a SYN packet with the ECE and CWR flags set an "ECN-setup SYN packet", and we call a SYN packet with at least one of
// the ECE and CWR flags not set a "non-ECN-setup SYN packet"."
// https://www.rfc-editor.org/rfc/rfc3168.html#section-6.1.1
func (o *Options) acceptsECN(flags wire.TCPFlags) bool {
	return flags.Has(wire.TCPEce|wire.TCPCwr) && o.ECN != ECNOff
}

// synAck is a listener's SYN|ACK to a SYN with the options peer.
func (l *Listener) synAck(now int64, i *id, path ip.Path, peer *wire.TCPOptions) control {
	o := l.options
	receive, largest := l.host.receiveBuffer(o, 0)
	return control{
		id: *i, flags: wire.TCPSyn | wire.TCPAck, window: uint16(min(receive, 65535)),
		options:  o.synOptions(ownMSS(path, i.is4(), o), windowScale(largest), uint32(now/tsTick)+l.host.tsOffset(i), peer),
		hopLimit: o.HopLimit, trafficClass: o.TrafficClass,
	}
}

// answer sends the SYN|ACK, for the first time or again.
func (o *halfOpen) answer(now int64, again bool) {
	h := o.listener.host
	a := o.listener.synAck(now, &o.id, o.path, &o.peer)
	a.seq, a.ack, a.again = o.iss, o.irs+1, again
	a.options.TSEcr = o.ts.recent
	if o.ecn {
		// "When Host B sends an ECN-setup SYN-ACK packet, it sets the ECE flag but not the CWR flag."
		// https://www.rfc-editor.org/rfc/rfc3168.html#section-6.1.1
		a.flags |= wire.TCPEce
	}
	if o.grants {
		a.options.FastOpen, a.options.HasFastOpen = h.grantFastOpen(now, &o.id), true
	}
	h.sendControl(now, &a)
}

// Expire is called by the stack's timer heap: the final acknowledgment has not come.
func (o *halfOpen) Expire(now int64) {
	h := o.listener.host
	if most := o.listener.synRetries(); int(o.retries) >= most {
		h.counters.HalfOpenTimeouts++
		if most < h.config.SYNRetries {
			h.counters.HalfOpenStale++
		}
		o.forget(ErrTimeout)
		return
	}
	if o.retries == 0 {
		o.listener.young--
	}
	o.retries++
	o.grants = false // it may be the option that does not get through
	wait := doubled(int64(h.config.InitialRTO), o.retries, int64(h.config.MaxRTO))
	h.network.Timers().Arm(&o.timer, o, now+wait)
	o.answer(now, true)
}

// forget drops the record, and with it the attempt to connect, because of err.
func (o *halfOpen) forget(err error) {
	o.listener.host.counters.AttemptFails++
	o.leave()
	if o.request != nil {
		o.request.fail(err)
	}
}

// leave frees the place of the record.
func (o *halfOpen) leave() {
	h := o.listener.host
	if !o.cookie && h.remove(&o.entry) {
		h.halfOpen--
		o.listener.halfOpen--
		o.listener.perPeer.leave(&o.id)
		if o.retries == 0 {
			o.listener.young--
		}
	}
	h.network.Timers().Remove(&o.timer)
}

// segment is what SYN-RECEIVED does with an arriving segment.
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.7.4
func (o *halfOpen) segment(now int64, s *segment) {
	h := o.listener.host
	next := o.irs + 1
	receive, _ := h.receiveBuffer(o.listener.options, 0)
	edge := next + uint32(min(receive, 65535))
	if s.has(wire.TCPRst) {
		o.reset(now, s, edge)
		return
	}
	if o.ts.on && s.options.HasTimestamps {
		if o.ts.old(now, s.options.TSVal) {
			h.dropped(&h.counters.TimestampOld, s.packet, "old timestamp")
			o.repeat(now)
			return
		}
		o.ts.update(now, s.options.TSVal, s.seq, next)
	}
	switch {
	case s.has(wire.TCPSyn):
		if s.seq == o.irs && !o.listener.options.acceptsECN(s.flags) {
			// "If a host has received at least one non-ECN-setup SYN or non-ECN-setup SYN-ACK packet, then it SHOULD NOT set ECT on
			// data packets." A SYN that is not answered is often repeated without.
			// https://www.rfc-editor.org/rfc/rfc3168.html#section-6.1.1
			o.ecn = false
		}
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
		o.forget(ErrReset)
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

// complete makes a connection of the record, if there is room: s is the final acknowledgment, perhaps with data.
func (o *halfOpen) complete(now int64, s *segment) bool {
	l := o.listener
	h := l.host
	if o.request == nil && l.full(s) {
		return false
	}
	if h.connections >= h.config.Limits.Connections {
		h.dropped(&h.counters.ConnectionsFull, s.packet, "too many connections")
		return false
	}
	sample := o.roundTrip(now, s)
	if o.ts.on && !s.options.HasTimestamps {
		// RFC 7323 section 3.2 has segments without the option dropped, and so do connections. But some peers leave it out of
		// this one segment, and without it they would never be heard: it is taken to say nothing new.
		s.options.HasTimestamps, s.options.TSVal, s.options.TSEcr = true, o.ts.recent, 0
	}
	o.leave()
	c := h.newConn(o.id, o.path, l.options)
	c.accepted = true
	c.start(now, o.iss)
	c.sndNxt, c.sndUna = o.iss+1, o.iss+1
	c.irs = o.irs
	c.rcvNxt, c.rcvAcked = o.irs+1, o.irs+1
	c.rcvEdge = c.rcvNxt + uint32(min(int(c.rcvBuffer), 65535))
	c.negotiated(now, &o.peer)
	c.ecn.on = o.ecn
	c.sndWnd, c.maxWnd = o.window, o.window
	c.sndWl1, c.sndWl2 = o.irs, o.iss
	c.firstRTT(sample)
	c.handshakeTook(o.retries)
	c.quick = h.quickACKs()
	c.enter(Established)
	h.event(c, "established")
	if o.request != nil {
		o.request.complete(c)
		c.segment(now, s)
		return true
	}
	l.accepted = append(l.accepted, c)
	c.segment(now, s)
	l.notify(ip.Accepted)
	return true
}

// roundTrip is how long the SYN|ACK took to be acknowledged by s; 0 if that cannot be known. Where it was sent more than once the
// timestamp says which was answered.
func (o *halfOpen) roundTrip(now int64, s *segment) int64 {
	switch {
	case o.cookie:
		return 0
	case o.retries == 0 && o.answered == 0:
		return max(now-o.sentAt, 1)
	case o.ts.on && s.options.HasTimestamps:
		return o.ts.roundTrip(now, s.options.TSEcr, o.sentAt)
	}
	return 0
}

// unreachable: a half-open connection is not ended by what anybody on the way may claim; its timer ends it.
func (o *halfOpen) unreachable(int64, *ip.Error, uint32) {}
