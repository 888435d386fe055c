package tcp

import "github.com/smolnet/smolnet/core/tcp/congestion"

// delivery measures the rate at which what was sent arrives, whatever the sender and the acknowledgments do meanwhile: how much
// was delivered between a segment's leaving and its acknowledgment.
//
// https://www.ietf.org/archive/id/draft-ietf-ccwg-bbr-04.html#name-delivery-rate-samples
type delivery struct {
	total       uint64 // octets delivered since the connection began
	at          int64  // when total last grew
	firstSentAt int64  // when the segment left that was last found to have arrived
	limited     uint64 // segments that leave before total reaches it leave while there is too little to send; 0: none do

	// The sample that the acknowledgment being taken in makes: of the segment sent last of those newly delivered.
	newest rateStamp
	sentAt int64
	end    uint32
	known  bool
	idle   bool // whether it was limited by what there was to send
}

// rateStamp is what a segment takes along as it leaves.
type rateStamp struct {
	total       uint64
	at          int64
	firstSentAt int64
}

// leaves returns the stamp of a segment that leaves now. fresh says that nothing is in flight.
func (d *delivery) leaves(now int64, fresh bool) rateStamp {
	if fresh {
		d.firstSentAt, d.at = now, now
	}
	return rateStamp{total: d.total, at: d.at, firstSentAt: d.firstSentAt}
}

// arrived notes that r, octets of it, was delivered.
func (d *delivery) arrived(now int64, r sentRange) {
	d.total += uint64(r.len())
	d.at = now
	if d.known && sentAfter(d.sentAt, d.end, r.sentAt, r.end) {
		return
	}
	d.known, d.newest, d.sentAt, d.end, d.idle = true, r.rate, r.sentAt, r.end, r.is(sentAppLimited)
}

// sample is what the acknowledgment that has been taken in says; minRTT is the least round trip, 0 if not known.
func (d *delivery) sample(minRTT int64) (r congestion.Rate) {
	if d.limited != 0 && d.total > d.limited {
		d.limited = 0
	}
	r.Total = d.total
	if !d.known {
		return r
	}
	d.known = false
	d.firstSentAt = d.sentAt
	r.Prior, r.AppLimited = d.newest.total, d.idle
	r.Delivered = int(d.total - d.newest.total)
	// The longer of the two: acknowledgments may come in a burst, and so may what was sent.
	r.Interval = max(d.at-d.newest.at, d.sentAt-d.newest.firstSentAt)
	if r.Interval < minRTT || r.Interval <= 0 {
		// A segment that was sent again may seem to have been delivered faster than the path can; it was the first copy.
		r.Interval = 0
	}
	return r
}

// measured remembers the sample for Info.
func (c *Conn) measured(r *congestion.Rate) {
	if r.Interval > 0 {
		c.deliveryRate = float32(float64(r.Delivered) * 1e9 / float64(r.Interval))
		c.limited = r.AppLimited
	}
}
