package tcp

import "github.com/smolnet/smolnet/core/tcp/congestion"

// undo remembers what a connection was before its window was reduced, until it is clear that there was a reason to: what was
// taken for lost may have been late.
type undo struct {
	armed  bool
	again  bool   // something was sent again since
	octets int    // octets sent again whose first copy is not known to have arrived as well
	stamp  uint32 // TSval as the first of them left
	window congestion.Window
}

// begin remembers the window as it is.
func (u *undo) begin(c *Conn) { *u = undo{armed: true, window: c.window} }

// sentAgain notes that n octets were sent again.
func (u *undo) sentAgain(n int, tsVal uint32) {
	if !u.armed {
		return
	}
	if !u.again {
		u.again, u.stamp = true, tsVal
	}
	u.octets += n
}

// duplicate notes that the peer has got n octets twice (RFC 3708).
func (u *undo) duplicate(n int) { u.octets = max(u.octets-n, 0) }

// delayed reports whether an acknowledgment answers a segment from before anything was sent again: nothing was, or its timestamp
// tells, which is the Eifel detection of RFC 3522.
// https://www.rfc-editor.org/rfc/rfc3522.html#section-3.2
func (u *undo) delayed(a *acknowledgment) bool {
	return u.armed && (!u.again || a.hasEcho && before(a.echo, u.stamp))
}

// possible reports whether everything that was sent again was so without need.
func (u *undo) possible(a *acknowledgment) bool {
	return u.armed && u.octets == 0 || u.delayed(a)
}

// undoReduction takes back what the latest loss or timeout has done to the window.
func (c *Conn) undoReduction() {
	f := c.flight
	c.host.counters.SpuriousRecoveries++
	c.window.Cwnd = max(c.window.Cwnd, f.undo.window.Cwnd)
	c.window.Ssthresh = max(c.window.Ssthresh, f.undo.window.Ssthresh)
	c.congestion.Undo(&c.window)
	if c.validation != nil {
		c.validation.undo()
	}
	f.undo = undo{}
	f.recovery = recovery{}
	f.dupAcks, f.dupOctets = 0, 0
	c.recover = c.sndUna // without SACK, duplicates that answer what was sent again tell of no loss
}
