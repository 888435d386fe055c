package congestion

import (
	"math"
	"math/bits"
)

// bbrModel is what BBR knows of the path: how fast it delivers, and how long it takes when no queue is in the way. Both cannot be
// seen at once, for to see the one there must be too much in flight, and to see the other there must be little.
type bbrModel struct {
	bandwidths maxFilter // BtlBw: octets a second
	limited    uint64    // samples of what left before this many octets were delivered are limited by ProbeRTT

	// Round trips, as packets see them: a round ends when something is acknowledged that was sent after its beginning.
	round      uint32
	roundStart bool   // the latest Ack has begun a round
	roundEnd   uint64 // octets delivered when the round began
	total      uint64 // octets delivered up to the latest Ack

	rtt   int64 // RTprop: ns, the least of the latest ten seconds; 0: not measured yet
	rttAt int64 // when that was seen last

	// Octets acknowledged beyond what the bandwidth has room for, since acknowledgments began to come faster than that.
	extra   maxFilter
	acked   int64
	ackedAt int64
}

// rttWindow is how long a least round trip time is believed, in ns. "RTpropFilterLen = 10 secs"
// https://datatracker.ietf.org/doc/html/draft-cardwell-iccrg-bbr-congestion-control-00#section-4.1.2.2
const rttWindow = 10 * second

// bandwidth is BtlBw, in octets a second; 0: not measured yet.
func (m *bbrModel) bandwidth() int64 { return m.bandwidths.max }

// extraAcked is by how many octets acknowledgments were lately ahead of the bandwidth.
func (m *bbrModel) extraAcked() int64 { return m.extra.max }

// updateBandwidth takes a delivery rate sample.
//
// "By default, the estimator discards application-limited samples, since by definition they reflect application limits.
// However, the estimator does use application-limited samples if the measured delivery rate happens to be larger than the current
// BBR.BtlBw estimate"
// https://datatracker.ietf.org/doc/html/draft-cardwell-iccrg-bbr-congestion-control-00#section-4.1.1.4
func (m *bbrModel) updateBandwidth(a *Ack) {
	r := &a.Rate
	m.total = r.Total
	m.roundStart = false
	if r.Interval <= 0 || r.Delivered <= 0 {
		return
	}
	if r.Prior >= m.roundEnd {
		m.roundEnd = r.Total
		m.round++
		m.roundStart = true
	}
	rate := min(mulDiv(int64(r.Delivered), second, r.Interval), maxRate)
	if !m.isLimited(a) || rate >= m.bandwidth() {
		m.bandwidths.add(m.round, rate)
	}
}

// isLimited says whether the sample could not show the bandwidth, because the application or ProbeRTT had too little in flight.
func (m *bbrModel) isLimited(a *Ack) bool { return a.Rate.AppLimited || a.Rate.Prior < m.limited }

// limit makes the samples of all that is in flight, and of what is sent until it has arrived, limited ones.
func (m *bbrModel) limit(a *Ack) { m.limited = a.Rate.Total + uint64(a.Flight) + 1 }

// restartRound begins a round now.
func (m *bbrModel) restartRound() { m.roundEnd = m.total }

// updateRTT takes a round trip time, and says whether the least had not been seen for so long that it was to be measured anew.
//
// https://datatracker.ietf.org/doc/html/draft-cardwell-iccrg-bbr-congestion-control-00#section-4.1.2.3
func (m *bbrModel) updateRTT(a *Ack) (expired bool) {
	rtt := a.RTT
	if m.rtt == 0 && rtt == 0 {
		rtt = a.SRTT // of the handshake
	}
	expired = m.rtt != 0 && a.Now > m.rttAt+rttWindow
	if rtt > 0 && (m.rtt == 0 || rtt <= m.rtt || expired) {
		m.rtt, m.rttAt = rtt, a.Now
	}
	return expired
}

// updateAggregation measures by how much acknowledgments run ahead of the bandwidth: they are being collected and released in
// bursts, by radio links, by devices that merge segments, and by receivers that delay ACKs. This is not in version 00 of the
// draft but in its successors.
//
// https://datatracker.ietf.org/doc/html/draft-cardwell-iccrg-bbr-congestion-control-02#section-4.5.5
func (m *bbrModel) updateAggregation(w *Window, a *Ack) {
	if m.bandwidth() == 0 {
		return
	}
	expected := mulDiv(m.bandwidth(), a.Now-m.ackedAt, second)
	if m.acked <= expected {
		m.acked, m.ackedAt, expected = 0, a.Now, 0
	}
	m.acked += int64(a.Delivered)
	m.extra.add(m.round, min(m.acked-expected, int64(w.Cwnd)))
}

// mulDiv is x·y/z, none of them negative and z not 0, or the greatest int64 if it has no room for that.
func mulDiv(x, y, z int64) int64 {
	hi, lo := bits.Mul64(uint64(x), uint64(y))
	if hi >= uint64(z) {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, uint64(z))
	return int64(min(q, math.MaxInt64))
}
