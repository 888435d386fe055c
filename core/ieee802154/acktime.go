package ieee802154

import "time"

// ackTime is how long acknowledgments take to come, once a frame has had its time in the air. It is more than the standard says where
// frames wait for those of others before they get there, or where the air is in truth a network. The zero value knows of none.
//
// It is estimated as TCP estimates its round trip time, from frames that were sent once only: of others nobody knows which copy was
// acknowledged. An acknowledgment that comes for them may have come late, though: from the second in a row on, the time doubles with
// each, until a frame is acknowledged at once. Frames that nobody acknowledges are no reason to wait longer for others.
// https://www.rfc-editor.org/rfc/rfc6298.html#section-2
type ackTime struct {
	mean, deviation int64
	known           bool
	doubts          uint8 // acknowledgments in a row that may have come late
}

// maxAckTime is the longest that is waited for an acknowledgment, whatever the estimate: all retries of a frame have come before
// Duplicates forgets it.
const maxAckTime = int64(250 * time.Millisecond)

// took takes note of an acknowledgment that took so long.
func (a *ackTime) took(d int64) {
	a.doubts = 0
	d = min(max(d, 0), maxAckTime)
	if !a.known {
		a.mean, a.deviation, a.known = d, d/2, true
		return
	}
	a.deviation += (max(d-a.mean, a.mean-d) - a.deviation) / 4
	a.mean += (d - a.mean) / 8
}

// doubt takes note of one that may have come late.
func (a *ackTime) doubt() { a.doubts = min(a.doubts+1, maxDoubts) }

// maxDoubts is from where on waiting twice as long makes no difference.
const maxDoubts = 16

// wait is how long to wait for the next, at least so long.
func (a *ackTime) wait(least int64) int64 {
	return max(least, min(max(least, a.mean+4*a.deviation)<<(max(a.doubts, 1)-1), maxAckTime))
}
