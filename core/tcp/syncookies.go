package tcp

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/smolnet/smolnet/core/wire"
)

// SYNCookies says when a listener answers a SYN without remembering it, by a cookie: a sequence number that holds what has to be
// known, and that the final ACK brings back. Such a SYN|ACK is not repeated if it is lost.
type SYNCookies uint8

const (
	// CookiesWhenFull has a cookie sent when the SYN queue is full.
	CookiesWhenFull SYNCookies = iota
	// CookiesAlways has no half-open connection be remembered: for tests, and for those who are always under attack.
	CookiesAlways
	// CookiesNever has a SYN dropped that finds the queue full.
	CookiesNever
)

// synCookies are a host's cookies, and when it last had use for them.
type synCookies struct {
	cookies
	until    int64 // before it some that were sent may come back
	rotateAt int64 // when the secret is to be replaced
}

// cookieRotation is how long a secret is used.
const cookieRotation = int64(time.Hour)

// sendCookie answers a SYN without remembering it.
func (l *Listener) sendCookie(now int64, s *segment) {
	h := l.host
	i := s.name()
	path, err := h.route(&i)
	if err != nil {
		h.dropped(&h.counters.OutNoRoutes, s.packet, "no route for an answer")
		return
	}
	h.rotateCookies(now)
	name := i.octets()
	mss := int(defaultMSS(i.is4()))
	if s.options.HasMSS && s.options.MSS != 0 {
		mss = int(s.options.MSS)
	}
	a := l.synAck(now, &i, path, &s.options)
	a.seq, a.ack = h.cookies.encode(now, name[:], s.seq, mss), s.seq+1
	if a.options.HasTimestamps {
		kept := cookieOptions{
			windowScale: s.options.WindowScale, hasWindowScale: s.options.HasWindowScale,
			sack: a.options.SACKPermitted, ecn: l.options.acceptsECN(s.flags),
		}
		if kept.ecn {
			a.flags |= wire.TCPEce
		}
		a.options.TSVal = kept.timestamp(a.options.TSVal)
	} else {
		a.options.HasWindowScale, a.options.SACKPermitted = false, false // the final ACK would not tell
	}
	h.cookies.until = now + 2*cookieSlot
	h.counters.CookiesSent++
	h.sendControl(now, &a)
}

// rotateCookies replaces the secret if it is old enough.
func (h *Host) rotateCookies(now int64) {
	if now < h.cookies.rotateAt {
		return
	}
	var secret [sha256.Size]byte
	if h.cookies.rotateAt != 0 && h.random(secret[:]) == nil {
		h.cookies.rotate(now, secret)
	}
	h.cookies.rotateAt = now + cookieRotation
}

// takeCookie makes a connection if s is the final acknowledgment of a handshake that was answered with a cookie. It reports false
// if s belongs to nothing. While no cookie is out that costs nothing.
func (l *Listener) takeCookie(now int64, s *segment) bool {
	h := l.host
	if now >= h.cookies.until || s.has(wire.TCPSyn) {
		return false
	}
	if l.full(s) {
		return true // valid or not: what follows it would hold no cookie, and must not be answered with a reset
	}
	i := s.name()
	name := i.octets()
	mss, ok := h.cookies.check(now, name[:], s.seq-1, s.ack-1)
	if !ok {
		h.counters.CookiesFailed++
		return false
	}
	path, err := h.route(&i)
	if err != nil {
		h.dropped(&h.counters.OutNoRoutes, s.packet, "no route for an answer")
		return true
	}
	o := &halfOpen{
		entry: entry{id: i}, listener: l, path: path, irs: s.seq - 1, iss: s.ack - 1, window: s.window, cookie: true,
		peer: wire.TCPOptions{MSS: uint16(mss), HasMSS: true},
	}
	if s.options.HasTimestamps && !l.options.NoTimestamps {
		kept := cookieOptionsIn(s.options.TSEcr)
		o.peer.HasTimestamps, o.peer.TSVal = true, s.options.TSVal
		o.peer.WindowScale, o.peer.HasWindowScale = kept.windowScale, kept.hasWindowScale
		o.peer.SACKPermitted = kept.sack
		o.ecn = kept.ecn && l.options.ECN != ECNOff
	}
	o.startTimestamps(now)
	if o.complete(now, s) {
		h.counters.CookiesReceived++
		h.counters.PassiveOpens++
	}
	return true
}

// octets are the name as it goes into a hash.
func (i *id) octets() (b [40]byte) {
	n := copy(b[:], i.local[:])
	n += copy(b[n:], i.remote[:])
	binary.BigEndian.PutUint16(b[n:], i.localPort)
	binary.BigEndian.PutUint16(b[n+2:], i.remotePort)
	binary.BigEndian.PutUint32(b[n+4:], uint32(i.scope))
	return b
}
