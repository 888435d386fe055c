package tcp

import (
	"time"

	"github.com/smolnet/smolnet/core/ip"
)

// CloseWrite ends what this side sends: a FIN follows the data that is queued. It does nothing if that was done already.
func (c *Conn) CloseWrite(now time.Time) {
	if c.sndClosed || c.state == Closed || c.state == TimeWait {
		return
	}
	t := c.host.since(now)
	c.sndClosed = true
	// The state changes as the FIN is queued, not as it leaves: a closed window may hold it back for long.
	switch c.state {
	case SynSent:
		// "Delete the TCB and return "error: closing" responses to any queued SENDs, or RECEIVEs."
		// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.4
		c.leave(Closed)
		return
	case Established, SynReceived:
		// A connection that is not established yet sends its FIN once it is.
		if c.state == Established {
			c.setState(FinWait1)
		}
	case CloseWait:
		c.setState(LastAck)
	}
	if c.full {
		c.full = false
		c.notify(ip.Writable) // who waits for room waits in vain
	}
	c.ready()
	c.setTimers(t)
}

// closeAcked is what follows once our FIN was acknowledged.
func (c *Conn) closeAcked(now int64) {
	switch c.state {
	case FinWait1:
		c.setState(FinWait2)
		c.awaitFin(now)
	case Closing:
		c.timeWait(now)
	case LastAck:
		c.leave(Closed)
	}
}

// awaitFin bounds how long a connection without a user waits for the peer to close its side. RFC 9293 has no such bound; without
// one, a peer that has vanished would leave the connection here for ever.
func (c *Conn) awaitFin(now int64) {
	if c.orphan && c.state == FinWait2 {
		c.timers.endAt = now + int64(c.host.config.FinWait2) // in place of a linger time: all is delivered
	}
}

// CloseRead drops what has not been read and will drop what still comes, acknowledging it. Reading ends.
func (c *Conn) CloseRead(now time.Time) {
	if c.rcvClosed {
		return
	}
	c.rcvClosed = true
	c.rcvUnread = 0
	c.rcvQ.Reset()
	c.charge()
	c.notify(ip.Readable)
	c.tellWindow()
}

// Close ends the connection for its user, who will hear no more of it. What was written is still sent, and sent again, in the
// background, unless SetLinger says otherwise. Unread data makes it a reset:
//
// "If such a host issues a CLOSE call while received data is still pending in the TCP connection, or if new data is received
// after CLOSE is called, its TCP implementation SHOULD send a RST to show that data was lost"
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.6.1
func (c *Conn) Close(now time.Time) {
	if c.orphan {
		return
	}
	c.orphan = true
	c.owner = nil
	unread := c.rcvUnread > 0
	c.rcvUnread = 0
	c.rcvQ.Reset()
	c.charge()
	if unread || c.timers.linger == 0 {
		c.Abort(now)
		return
	}
	c.CloseWrite(now)
	if c.state == Closed || c.state == TimeWait {
		return
	}
	t := c.host.since(now)
	if c.timers.linger > 0 {
		c.timers.endAt = t + int64(c.timers.linger)*int64(time.Second)
	}
	if c.timers.kind == timerPersist {
		// However long the window was closed before, OrphanRetries begins to count now.
		c.timers.kind, c.timers.retries, c.timers.backoff = timerNone, 0, 0
	}
	c.awaitFin(t)
	c.setTimers(t)
}

// Abort ends the connection at once, with a reset to the peer.
func (c *Conn) Abort(now time.Time) {
	t := c.host.since(now)
	switch c.state {
	case Closed, TimeWait:
		return
	case SynSent:
		// The peer does not know of the connection yet, or will be told by a reset when it answers.
	default:
		// In CLOSING and LAST-ACK too, unlike RFC 9293 section 3.10.5: there may be data before the FIN that never left.
		c.sendReset(t)
	}
	c.fail(ErrAborted)
}

// sendResetIfUnfinished tells the peer that a connection is given up while data is still on its way.
func (c *Conn) sendResetIfUnfinished(now int64) {
	if c.state.sends() {
		c.sendReset(now)
	}
}
