package tcp

// mtuProbe finds the largest segment that the path carries when routers do not say: packetization layer path MTU discovery. It
// lowers the maximum segment size when large segments do not arrive (a black hole), and takes that back if it does not help;
// and it searches for a larger one by segments that are probes.
// https://www.rfc-editor.org/rfc/rfc4821.html
// https://www.rfc-editor.org/rfc/rfc8899.html
//
// Every size here is a maximum segment size as the option of that name has it: the IP packet's length less the fixed IP and TCP
// headers (40 or 60 octets), the length of TCP options being part of it. A segment's size is its payload and its TCP options.
// Whatever returns a size and that it has changed tells the new maximum: segments not yet sent, and those sent again, are of
// it.
//
// A connection makes one, and starts it, at its first retransmission timeout or the first credible ICMP error about a packet
// too big; also at its start if its MSS is less than what link and peer allow. Until then nothing is to be told. From then on:
//   - tooBig, for an ICMP error whose quoted sequence number is one in flight (RFC 5927).
//   - timeout, at each retransmission timeout, before the segment is sent again, with the size of the segment at SND.UNA as it
//     was sent last and how often in a row the timer has expired (timers.retries, the present expiry counted).
//   - delivered, for each segment acknowledged, cumulatively or selectively, with the size it was sent in. If those are not
//     known, of the sizes acknowledged at once the largest will do. Not for the probe.
//   - probeDue, before a segment of new data is built. If it returns a size, the segment may be of that size, alone in its
//     packet, and probeSent follows.
//   - then, once, probeAcked when all of the probe is acknowledged, or probeLost when it was taken for lost, be it by the
//     scoreboard or by a timeout, and its octets leave again, in segments of the maximum size. What RACK takes for lost of it does
//     not count for congestion control.
type mtuProbe struct {
	waitAt  int64  // no probe before
	link    uint16 // the most that link and peer allow
	floor   uint16 // the least
	base    uint16 // what nearly every path carries
	mss     uint16
	low     uint16 // the largest delivered, or at least expected to be
	high    uint16 // the largest worth a probe
	prior   uint16 // what mss was before timeouts lowered it, until it turns out whether that helped; 0: they have not
	next    uint16 // the size to probe; 0: high
	probing uint16 // the size of the probe under way; 0: there is none
	count   uint8  // timeouts in a row when mss was last lowered or restored by them
	losses  uint8  // probes of size next lost in a row
	smaller bool   // smaller segments than mss have been delivered since one of it has
}

const (
	// No path is taken to carry less: for IPv4, a packet of 552 octets, which Linux has for its least; for IPv6 its minimum
	// link MTU.
	mtuFloor4, mtuFloor6 = 512, 1220

	// What to fall back to: RFC 4821 section 7.2 begins at 1024 octets. Here they are the segment's.
	mtuBase4, mtuBase6 = 1024, 1220

	// mtuTimeouts in a row of a large segment are a black hole, or mtuTimeoutsSmaller if smaller ones do arrive.
	mtuTimeouts, mtuTimeoutsSmaller = 3, 2

	// mtuRestore timeouts at the floor, and it was not the size.
	mtuRestore = 2

	// "The default value of MAX_PROBES is 3."
	// https://www.rfc-editor.org/rfc/rfc8899.html#section-5.1.2
	mtuProbes = 3

	// mtuGap is the difference that is not worth a probe.
	mtuGap = 8

	// mtuPause is how long to wait after a lost probe, or after a black hole, for the next.
	mtuPause = 5e9

	// PMTU_RAISE_TIMER: "This timer has a period of 600 seconds, as recommended by PLPMTUD [RFC4821]." It is also what RFC 1191
	// section 6.3 recommends to wait after a router has said what its link carries.
	// https://www.rfc-editor.org/rfc/rfc8899.html#section-5.1.1
	mtuRaise = 600e9
)

// start begins with the present maximum, mss, and the most that link and peer allow.
func (m *mtuProbe) start(mss, link int, ipv6 bool) {
	floor, base := mtuFloor4, mtuBase4
	if ipv6 {
		floor, base = mtuFloor6, mtuBase6
	}
	link = min(max(link, 1), 65535)
	mss = min(max(mss, 1), link)
	*m = mtuProbe{
		link: uint16(link), floor: uint16(min(floor, mss)), base: uint16(min(base, mss)),
		mss: uint16(mss), low: uint16(min(base, mss)), high: uint16(link),
	}
}

// tooBig learns that a router could not forward a packet larger than mss. One that claims less than the floor is taken to say
// the floor: nobody can make the segments arbitrarily small. One that claims no less than what has been sent is forged or old.
func (m *mtuProbe) tooBig(now int64, mss int) (newMSS int, changed bool) {
	size := uint16(max(min(mss, 65535), int(m.floor)))
	if size >= max(m.mss, m.probing, m.prior) {
		return int(m.mss), false
	}
	m.high, m.next, m.losses = size, 0, 0
	if m.prior != 0 {
		m.prior = max(min(m.prior, size), m.mss)
	}
	if size >= m.mss {
		// It was the probe, or a segment of before a black hole was found: there is an answer to try at once.
		m.probing, m.waitAt = 0, now
		if !worthwhile(m.mss, size) {
			m.high, m.waitAt = m.mss, now+mtuRaise
		}
		return int(m.mss), false
	}
	m.probing, m.prior = 0, 0
	m.mss, m.low = size, min(m.low, size)
	m.waitAt = now + mtuRaise
	return int(m.mss), true
}

// timeout learns that the timer has expired, for a segment of the given size, count times in a row.
//
// RFC 4821 section 7.7 lowers the size to what is known to pass, next to what it began with, and then halves it with each further
// timeout; and RFC 8899 has a state for when not even that helps.
func (m *mtuProbe) timeout(now int64, size, count int) (newMSS int, changed bool) {
	if count < int(m.count) {
		m.count = 0 // there was progress meanwhile
	}
	most := mtuTimeouts
	switch {
	case m.prior != 0 && m.mss > m.floor:
		most = 1
	case m.prior != 0:
		most = mtuRestore
	case size <= int(m.floor):
		return int(m.mss), false // what is as small is not lost for its size
	case m.smaller:
		most = mtuTimeoutsSmaller
	}
	if count-int(m.count) < most {
		return int(m.mss), false
	}
	m.count, m.losses, m.next = uint8(min(count, 255)), 0, 0
	if m.prior != 0 && m.mss == m.floor {
		m.mss, m.prior, m.smaller = m.prior, 0, false
		m.high = max(m.high, m.mss)
		return int(m.mss), true
	}
	if m.prior == 0 {
		m.prior = m.mss
	}
	before := m.mss
	m.lower()
	for m.mss > m.floor && int(m.mss) >= size {
		m.lower() // else it would leave just as it did
	}
	if m.mss == before {
		m.prior = 0
		return int(m.mss), false
	}
	m.high, m.low = m.prior, min(m.low, m.mss)
	m.probing = 0 // lost with the rest
	m.waitAt = now + mtuPause
	return int(m.mss), true
}

// lower is one step down.
func (m *mtuProbe) lower() {
	switch {
	case m.mss > m.low && m.low >= m.base:
		m.mss = m.low
	case m.mss > m.base:
		m.mss = m.base
	default:
		m.mss = max(m.mss/2, m.floor)
	}
}

// delivered learns that a segment of the given size has arrived.
func (m *mtuProbe) delivered(now int64, size int) {
	switch {
	case size > int(m.mss):
		// Sent before the size was lowered. It arrived nevertheless: the next probe finds out whether others do.
		if m.prior != 0 {
			m.prior, m.waitAt = 0, now
		}
	case size < int(m.mss):
		m.smaller = true
		m.low = max(m.low, uint16(max(size, 0)))
	default:
		m.smaller, m.low = false, m.mss
		if m.prior != 0 {
			// It helped, or the path works again; a probe of the size before tells which.
			m.prior, m.waitAt = 0, now+mtuPause
		}
	}
}

// probeDue returns the size of a probe, its TCP options included, if one may be sent now. available is how many octets are
// waiting to be sent that the windows allow; recovering is whether losses are being recovered from.
//
// Behind the probe there must be enough to send for its loss to be noticed without a timeout, as RFC 4821 section 7.4 asks.
func (m *mtuProbe) probeDue(now int64, available int, recovering bool) (size int, ok bool) {
	if !worthwhile(m.mss, m.link) || recovering || m.probing != 0 || m.prior != 0 || now < m.waitAt {
		return 0, false
	}
	if !worthwhile(m.mss, m.high) {
		m.high, m.next, m.losses = m.link, 0, 0 // the search begins anew
	}
	size = int(m.next)
	if size == 0 {
		size = int(m.high)
	}
	if available < size+3*int(m.mss) {
		return 0, false
	}
	return size, true
}

// probeSent notes that a probe of the given size has left.
func (m *mtuProbe) probeSent(size int) { m.probing = uint16(size) }

// probeAcked learns that the probe has arrived: the path carries its size.
func (m *mtuProbe) probeAcked(now int64) (newMSS int, changed bool) {
	if m.probing <= m.mss {
		m.probing = 0
		return int(m.mss), false
	}
	m.mss, m.low, m.smaller = m.probing, m.probing, false
	m.high = max(m.high, m.mss)
	m.probing, m.losses = 0, 0
	m.waitAt = now
	m.narrow(now)
	return int(m.mss), true
}

// probeLost learns that the probe has not arrived. So may any segment not; the size counts as too large after three in a row.
func (m *mtuProbe) probeLost(now int64) {
	if m.probing == 0 {
		return // a router has said so already
	}
	size := m.probing
	m.probing, m.waitAt = 0, now+mtuPause
	if m.losses++; m.losses < mtuProbes {
		return
	}
	m.losses = 0
	m.high = max(size-1, m.mss)
	m.narrow(now)
}

// narrow halves the range that is searched, or ends the search.
func (m *mtuProbe) narrow(now int64) {
	if !worthwhile(m.mss, m.high) {
		m.high, m.next = m.mss, 0
		m.waitAt = now + mtuRaise
		return
	}
	m.next = m.mss + (m.high-m.mss+1)/2
}

// worthwhile reports whether larger is enough more than mss.
func worthwhile(mss, larger uint16) bool { return int(larger) >= int(mss)+mtuGap }
