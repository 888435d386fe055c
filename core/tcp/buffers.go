package tcp

import "time"

// What buffers that tune themselves begin with, octets.
const (
	initialBuffer         = 128 << 10
	initialBufferSegments = 20 // but twice an initial window of full segments at least, however large those are
)

// receiveBuffer is what the receive buffer of a connection with the options begins with, if full segments have mss octets, and the most that
// it may become.
func (h *Host) receiveBuffer(o *Options, mss uint16) (initial, largest int) {
	return bufferSize(o.ReceiveBuffer, mss, h.config.Limits.ReceiveBuffer)
}

// sendBuffer is the same of the send buffer.
func (h *Host) sendBuffer(o *Options, mss uint16) (initial, largest int) {
	return bufferSize(o.SendBuffer, mss, h.config.Limits.SendBuffer)
}

func bufferSize(fixed int, mss uint16, limit int) (initial, largest int) {
	if fixed != 0 {
		return fixed, fixed
	}
	return min(max(initialBuffer, initialBufferSegments*int(mss)), limit), limit
}

// largestWindow is the most that the receive buffer may become.
func (c *Conn) largestWindow() int {
	_, largest := c.host.receiveBuffer(c.options, 0)
	return max(largest, int(c.rcvBuffer))
}

// tuneReceive learns that the reader has taken n octets.
func (c *Conn) tuneReceive(now time.Time, n int) {
	if c.tuning == nil || c.options.ReceiveBuffer != 0 || n == 0 {
		return
	}
	_, largest := c.host.receiveBuffer(c.options, 0)
	size, changed := c.tuning.consumed(c.host.since(now), n, int(c.rcvBuffer), largest)
	if changed && !c.host.memory.pressed() {
		c.rcvBuffer = int32(size)
	}
}

// tuningWorthwhile is how many octets a connection must have received for its buffer to be tuned: before, the initial size will
// do, and nothing is measured.
const tuningWorthwhile = 16 << 10

// measureReceive learns that a segment with payload has arrived.
func (c *Conn) measureReceive(now int64, s *segment) {
	if c.options.ReceiveBuffer != 0 {
		return
	}
	if c.tuning == nil {
		if c.octets.received < tuningWorthwhile {
			return
		}
		c.own().tuning = new(receiveTuning)
		c.tuning.start(now, int(c.rcvMSS))
		c.tuning.sampleRTT(c.rtt.srtt)
	}
	if c.ts.on && s.options.HasTimestamps && s.options.TSEcr != 0 && s.size >= int(c.rcvMSS) {
		if ticks := distance(s.options.TSEcr, c.ts.val(now)); ticks >= 0 {
			// Of round trips shorter than a tick most take none and some take one: on the average that is right.
			c.tuning.sampleRTT(max(int64(ticks)*tsTick, 1))
		}
	}
	c.tuning.received(now, c.rcvNxt, max(distance(c.rcvNxt, c.rcvEdge), 0))
}

// shrinkIdle gives back what an idle connection's receive buffer has grown by.
func (c *Conn) shrinkIdle(now int64) {
	if c.tuning == nil || c.options.ReceiveBuffer != 0 || c.rcvUnread > 0 || c.rcvOoo != nil {
		return
	}
	initial, _ := c.host.receiveBuffer(c.options, ownMSS(c.path, c.id.is4(), c.options))
	if size, changed := c.tuning.idle(now, int(c.rcvBuffer), initial, int(c.rcvMSS)); changed {
		c.rcvBuffer = int32(size)
		c.own().tuning = nil
	}
}

// tuneSend lets the send buffer follow the congestion window.
func (c *Conn) tuneSend() {
	if c.options.SendBuffer != 0 || c.host.memory.pressed() {
		return
	}
	_, largest := c.host.sendBuffer(c.options, 0)
	c.sndBuffer = int32(sendBuffer(c.window.Cwnd, int(c.sndMSS), int(c.sndBuffer), largest))
}
