package tcp

import (
	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/wire"
)

// payload takes what a segment carries: octets and FIN.
func (c *Conn) payload(now int64, s *segment) {
	if s.spans() == 0 {
		return
	}
	if !c.state.receives() {
		// "This should not occur since a FIN has been received from the remote side. Ignore the segment text."
		// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.7.4
		c.host.dropped(&c.host.counters.InAfterFin, s.packet, "data after the FIN")
		return
	}
	if c.orphan && s.length > 0 && before(c.rcvNxt, s.seq+uint32(s.length)) {
		// "if new data is received after CLOSE is called, its TCP implementation SHOULD send a RST to show that data was lost"
		// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.6.1
		c.host.counters.DataAfterClose++
		c.sendReset(now)
		c.leave(Closed)
		return
	}
	c.receivedMark(s)
	if s.has(wire.TCPFin) {
		c.finKnown, c.finSeq = true, s.seq+uint32(s.length)
	}
	if s.length > 0 {
		c.data(s)
	}
	switch {
	case c.finKnown && !before(c.rcvNxt, c.finSeq): // beyond it only if the peer has sent data behind its FIN
		c.fin(now)
	case c.finKnown:
		c.pending |= pendingACK // the FIN is out of order, like data before it
	}
	if c.state != TimeWait {
		c.measureReceive(now, s)
		c.acknowledgeSoon(now)
	}
}

// data takes the octets of a segment, which lie in the window and end after RCV.NXT.
func (c *Conn) data(s *segment) {
	c.rcvMSS = max(c.rcvMSS, uint16(min(s.size, 65535)))
	p := s.packet
	p.Seq = s.seq
	if s.seq != c.rcvNxt {
		// "A TCP receiver SHOULD send an immediate duplicate ACK when an out-of-order segment arrives."
		// https://www.rfc-editor.org/rfc/rfc5681.html#section-3.2
		c.pending |= pendingACK
		if c.rcvOoo == nil {
			c.rcvOoo = c.newOutOfOrder()
		}
		c.reportOverlap(s)
		if c.host.memory.full() || c.rcvOoo.Insert(p) != nil {
			c.host.dropped(&c.host.counters.OutOfOrderDropped, p, "too much out of order")
			if c.rcvOoo.Len() == 0 {
				c.rcvOoo = nil
			}
			return
		}
		s.packet = nil
		c.rcvOoo.touched(s.seq)
		return
	}
	if c.rcvOoo != nil {
		c.reportOverlap(s)
	}
	s.packet = nil
	c.inOrder(s.length)
	if c.rcvClosed {
		p.Release()
	} else {
		c.rcvQ.Append(p)
	}
	if c.rcvOoo != nil {
		c.fillGap()
	}
	if !c.rcvClosed {
		c.notify(ip.Readable)
	}
}

// inOrder accounts for n octets that have arrived in order.
func (c *Conn) inOrder(n int) {
	c.rcvNxt += uint32(n)
	c.octets.received += uint64(n)
	c.host.counters.InOctets += uint64(n)
	if !c.rcvClosed {
		c.rcvUnread += int32(n)
	}
}

// fillGap takes over what was held out of order and has come in order.
func (c *Conn) fillGap() {
	// "a TCP receiver SHOULD send an immediate ACK when the incoming segment fills in all or part of a gap in the sequence space."
	// https://www.rfc-editor.org/rfc/rfc5681.html#section-3.2
	c.pending |= pendingACK
	for p := c.rcvOoo.Pop(c.rcvNxt); p != nil; p = c.rcvOoo.Pop(c.rcvNxt) {
		c.inOrder(p.Len())
		if c.rcvClosed {
			p.Release()
		} else {
			c.rcvQ.Append(p)
		}
	}
	if c.rcvOoo.Len() == 0 {
		c.rcvOoo = nil
	}
}

// fin is the peer's FIN, everything before it having arrived.
//
// "If the FIN bit is set, signal the user "connection closing" and return any pending RECEIVEs with same message, advance RCV.NXT
// over the FIN, and send an acknowledgment for the FIN."
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.7.4
func (c *Conn) fin(now int64) {
	c.rcvNxt++
	c.rcvEdge = latest(c.rcvEdge, c.rcvNxt) // a FIN may arrive where there is no window
	c.rcvFin = true
	c.pending |= pendingACK
	switch c.state {
	case Established:
		c.setState(CloseWait)
	case FinWait1:
		c.setState(Closing)
	case FinWait2:
		c.timeWait(now)
	}
	c.notify(ip.Readable)
}

// quickACKs is how many segments are acknowledged without delay as data begins to flow.
func (h *Host) quickACKs() uint8 { return uint8(max(h.config.QuickACKs, 0)) }

// resumed follows up a segment that comes after the peer was silent for long. The peer begins with a small congestion window
// again, and wants acknowledgments as at the start; unless it has little to send, for which no window is too small.
func (c *Conn) resumed(now int64, s *segment) {
	if now-c.timers.lastReceived <= c.rtt.rto {
		return
	}
	c.shrinkIdle(now)
	if s.length > 0 && s.length >= int(c.rcvMSS) {
		c.quick = c.host.quickACKs()
	}
}

// acknowledgeSoon decides whether what has arrived is acknowledged at once or may wait a little.
func (c *Conn) acknowledgeSoon(now int64) {
	due := distance(c.rcvAcked, c.rcvNxt)
	if due == 0 || c.pending&pendingACK != 0 {
		return
	}
	// "Specifically, an ACK SHOULD be generated for at least every second full-sized segment"
	// https://www.rfc-editor.org/rfc/rfc5681.html#section-4.2
	//
	// Earlier if segments are large, or the window small: a sender that has no more than one such segment's worth of window or
	// buffer would otherwise wait for the delay to pass.
	if c.quick > 0 {
		c.quick--
		c.pending |= pendingACK
		return
	}
	if due >= min(2*int(c.rcvMSS), 16<<10, int(c.rcvBuffer)/4) || c.options.DelayedACK < 0 {
		c.pending |= pendingACK
		return
	}
	if c.timers.ackAt == never {
		c.timers.ackAt = now + int64(c.options.DelayedACK)
	}
}

// receiveWindow moves the right edge of the window as far as the buffer allows, and returns what the window field is to hold.
func (c *Conn) receiveWindow() uint16 {
	if edge := c.freeEdge(); c.worthMoving(edge) {
		c.rcvEdge = edge
	}
	window := max(distance(c.rcvNxt, c.rcvEdge), 0)
	unit := 1 << c.rcvShift
	field := window >> c.rcvShift
	if window&(unit-1) != 0 {
		// "If the sequence number is then updated by a number of bytes smaller than that granularity, the TCP will have to either
		// advertise a new window that is beyond what it previously advertised (and perhaps beyond the buffer) or will have to
		// advertise a smaller window".
		// https://www.rfc-editor.org/rfc/rfc7323.html#section-2.4
		//
		// Beyond, so that the right edge never moves left, as long as it leaves the buffer by little; a peer that makes it creep
		// on with tiny segments sees it rounded down instead, and what it was offered is still taken.
		if beyond := distance(c.bufferEdge(), c.rcvNxt+uint32((field+1)<<c.rcvShift)); beyond <= int(c.rcvBuffer)/16 {
			field++
		}
	}
	field = min(field, 65535)
	c.rcvEdge = latest(c.rcvEdge, c.rcvNxt+uint32(field<<c.rcvShift))
	return uint16(field)
}

// freeEdge is the right edge of the window that there is room for.
func (c *Conn) freeEdge() uint32 {
	edge := c.bufferEdge()
	switch {
	case !c.host.memory.full():
		return edge
	case c.rcvUnread > 0:
		return c.rcvEdge // it stays where it is
	}
	return earliest(edge, c.rcvNxt+uint32(c.rcvMSS)) // a connection that holds nothing is offered a segment
}

// bufferEdge is the right edge of the window that the buffer has room for, whatever the others hold. It lies before RCV.NXT if more
// than the buffer holds is unread: it must not move on with what comes.
func (c *Conn) bufferEdge() uint32 {
	return c.rcvNxt + uint32(min(int(c.rcvBuffer)-int(c.rcvUnread), 65535<<c.rcvShift))
}

// worthMoving avoids the silly window at the receiver's end.
//
// "The suggested SWS avoidance algorithm for the receiver is to keep RCV.NXT+RCV.WND fixed until the reduction satisfies:
// RCV.BUFF - RCV.USER - RCV.WND >= min( Fr * RCV.BUFF, Eff.snd.MSS ) where Fr is a fraction whose recommended value is 1/2"
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.8.6.2.2
func (c *Conn) worthMoving(edge uint32) bool {
	return distance(c.rcvEdge, edge) >= min(int(c.rcvBuffer)/2, int(c.rcvMSS))
}

// tellWindow lets the peer know of room in the buffer, if that cannot wait.
func (c *Conn) tellWindow() {
	if c.state.receives() && c.windowUpdateDue() {
		c.pending |= pendingACK
		c.ready()
	}
}

// windowUpdateDue reports whether reading has made so much room that the peer must be told without waiting for its next
// segment: at least twice what it may still send, or a sixteenth of the buffer. An acknowledgment often leaves before what it
// acknowledges is read, and the window it offers lacks that: a peer that does not fill the window at once would never see all of it.
func (c *Conn) windowUpdateDue() bool {
	edge := c.freeEdge()
	left := max(distance(c.rcvNxt, c.rcvEdge), 0)
	return c.worthMoving(edge) && (distance(c.rcvNxt, edge) >= 2*left || distance(c.rcvEdge, edge) >= int(c.rcvBuffer)/16)
}
