package tcp

// frto is where a connection stands in finding out whether a retransmission timeout was spurious: the F-RTO of RFC 5682. After
// the first segment was sent again, new data is sent rather than the rest: what is acknowledged then tells.
type frto uint8

const (
	frtoOff   frto = iota // not in doubt, or not any more
	frtoFirst             // the first segment was sent again
	frtoNew               // it was acknowledged; up to two new segments leave
)

// judgeTimeout is an acknowledgment after a retransmission timeout.
func (c *Conn) judgeTimeout(a *acknowledgment) {
	f := c.flight
	r := &f.recovery
	switch {
	case a.moved && f.undo.delayed(a), r.frto == frtoNew && a.original && !a.beyond:
		// Either the timestamp tells, or this: "If the Cumulative Acknowledgment field or a SACK information in the ACK does not
		// cover more than "RecoveryPoint" AND it acknowledges data that was not acknowledged earlier (either with cumulative
		// acknowledgment or using SACK information), declare the timeout spurious". What was taken for lost is on its way.
		// https://www.rfc-editor.org/rfc/rfc5682.html#section-3.1
		f.sent.findLost()
		c.timers.backoff = 0
		c.undoReduction()
	case r.frto == frtoNew && (a.moved || a.duplicate || a.sacked > 0):
		// "set the congestion window to no more than 3 * MSS and proceed with the conventional RTO recovery". No less either: the
		// two new segments may still count as in flight, and then the third is the one to go on with.
		// https://www.rfc-editor.org/rfc/rfc5682.html#section-3.1
		r.frto = frtoOff
		least := 3 * int(c.sndMSS)
		if c.window.Autonomous {
			least = max(least, c.window.Cwnd)
		}
		c.window.Cwnd = least
	case r.frto == frtoFirst && a.moved:
		// All that was sent again must have arrived, and there must be something new to send: else the conventional recovery goes
		// on. What is acknowledged along with it may have waited for it, and tells nothing.
		// https://www.rfc-editor.org/rfc/rfc5682.html#section-2.1
		r.frto = frtoOff
		if !f.sent.all()[0].is(sentAgain) && c.sendable() > 0 {
			r.frto = frtoNew
			c.recover = c.sndNxt
		}
	case r.frto == frtoFirst && a.duplicate && !c.sackOK:
		r.frto = frtoOff
	}
}
