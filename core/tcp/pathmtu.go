package tcp

import "github.com/smolnet/smolnet/core/packet"

// packetTooBig lowers the segment size to what a router has let know that it can pass on, and sends again what was too large.
func (c *Conn) packetTooBig(now int64, mtu int) {
	if !c.state.synchronized() {
		return
	}
	headers := 60
	if c.id.is4() {
		headers = 40
	}
	if mss, lower := c.probeMTU().tooBig(now, mtu-headers); lower {
		c.host.counters.PathMTUReduced++
		c.setMSS(mss)
		if c.flight != nil {
			c.flight.sent.loseAll()
		}
		c.ready()
		c.setTimers(now)
	}
}

// probeMTU returns what finds the largest segment that the path carries, and makes it if there is none yet.
func (c *Conn) probeMTU() *mtuProbe {
	if c.mtu == nil {
		c.own().mtu = new(mtuProbe)
		c.mtu.start(int(c.sndMSS)+c.optionsLen(), int(c.sndMSS)+c.optionsLen(), !c.id.is4())
	}
	return c.mtu
}

// optionsLen is how many octets of options every segment carries.
func (c *Conn) optionsLen() int {
	if c.ts.on {
		return timestampsLen
	}
	return 0
}

// setMSS changes the size of the segments to be sent: mss counts options.
func (c *Conn) setMSS(mss int) {
	old, mss := int(c.sndMSS), mss-c.optionsLen()
	c.sndMSS = uint16(mss)
	if mss < old && !c.window.Autonomous {
		// "cwnd SHOULD be reduced by the ratio of the old segment size to the new segment size", lest what was a few large segments
		// become a burst of small ones.
		// https://www.rfc-editor.org/rfc/rfc5681.html#section-3.1
		c.window.Cwnd = int(int64(c.window.Cwnd) * int64(mss) / int64(old))
	}
	c.window.Cwnd = max(c.window.Cwnd, mss) // or nothing could leave
}

// suspectBlackHole is told of a retransmission timeout: if it is large segments that do not arrive, smaller ones are sent.
func (c *Conn) suspectBlackHole(now int64) {
	size := min(int(c.sndMSS), distance(c.sndUna, c.sndNxt)) + c.optionsLen()
	if mss, changed := c.probeMTU().timeout(now, size, int(c.timers.retries)); changed {
		c.host.counters.BlackHoles++
		c.setMSS(mss)
	}
}

// mtuArrived notes that a range has arrived, whose segments tell what the path carries.
func (c *Conn) mtuArrived(now int64, r sentRange) {
	if !r.is(sentProbe) {
		c.mtu.delivered(now, min(r.len(), int(c.sndMSS))+c.optionsLen())
		return
	}
	if mss, changed := c.mtu.probeAcked(now); changed {
		c.host.counters.PathMTURaised++
		c.setMSS(mss)
	}
}

// mtuProbeSegment is a segment of new data that is larger than others, to find out whether it arrives; nil if none is due. n octets
// may leave.
func (c *Conn) mtuProbeSegment(now int64, n int) *packet.Packet {
	if c.mtu == nil {
		return nil
	}
	recovering := c.flight != nil && c.flight.recovery.phase != phaseOpen || c.lost() > 0
	size, due := c.mtu.probeDue(now, n+c.optionsLen(), recovering)
	if !due {
		return nil
	}
	c.host.counters.PathMTUProbes++
	first, options := c.sndNxt, c.optionsLen()+c.sackOptionLen()
	p := c.segmentOf(now, first, size-options, size-options, sentProbe)
	c.mtu.probeSent(distance(first, c.sndNxt) + options) // what lies in small chunks may have made it smaller
	return p
}
