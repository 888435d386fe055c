package tcp

import (
	"container/list"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// fastOpen is what a connection remembers of TCP Fast Open (RFC 7413) until its handshake is complete: data travels in the SYN,
// if the client shows by a cookie, which the server has granted to its address before, that the address is its own.
//
// On the side that listens such a connection is in SYN-RECEIVED, with the SYN|ACK outside of its flight, but sends and receives
// as in ESTABLISHED, which is what its state field says.
//
// On the side that dials the data in the SYN is not taken to be sent until a SYN|ACK acknowledges it. If none does it simply leaves
// after the handshake.
type fastOpen struct {
	listener *Listener       // nil on the side that dials
	peer     wire.TCPOptions // what its SYN has offered
	sentAt   int64           // when the SYN|ACK first left
	again    bool            // it left more than once
	grants   bool            // a cookie goes with it

	cookie   wire.FastOpenCookie // of the server dialed; none: the SYN asks for one
	mss      uint16              // that the server has offered before, 0 if not known
	data     int                 // octets that the SYN carried
	offered  bool                // the SYN had the option
	timedOut bool                // and nobody answered it in time
}

// fastOpenSecret is what a host makes the cookies from that it grants.
type fastOpenSecret struct{ key [32]byte }

// fastOpenSlot is how often the cookies change; those of the slot before are accepted too. A cookie that leaks serves for so long
// to have others' addresses send SYNs with data.
const fastOpenSlot = int64(time.Hour)

// cookie is what the peer of the connection named i is granted in the given slot.
func (f *fastOpenSecret) cookie(i *id, slot int64) wire.FastOpenCookie {
	var b [len(f.key) + 40]byte
	n := copy(b[:], f.key[:])
	n += copy(b[n:], i.remote[:])
	n += copy(b[n:], i.local[:])
	binary.BigEndian.PutUint64(b[n:], uint64(slot))
	sum := sha256.Sum256(b[:])
	c, _ := wire.NewFastOpenCookie(sum[:8])
	return c
}

// grantFastOpen is the cookie for the peer of the connection named i.
func (h *Host) grantFastOpen(now int64, i *id) wire.FastOpenCookie {
	h.counters.FastOpenGranted++
	return h.fastOpen.cookie(i, now/fastOpenSlot)
}

// checkFastOpen reports whether c was granted to the peer of the connection named i, and whether it is the one that it would be
// granted now.
func (h *Host) checkFastOpen(now int64, i *id, c *wire.FastOpenCookie) (valid, fresh bool) {
	slot := now / fastOpenSlot
	for _, s := range [...]int64{slot, slot - 1} {
		if own := h.fastOpen.cookie(i, s); subtle.ConstantTimeCompare(own.Bytes(), c.Bytes()) == 1 {
			return true, s == slot
		}
	}
	return false, false
}

// pendingFastOpens are a listener's connections that began with data in their SYN and wait for the final acknowledgment.
//
// Those that are reset go on counting for a while: a SYN with a stolen cookie and somebody else's address is answered by that host
// with a reset, and would else cost the attacker nothing.
// https://www.rfc-editor.org/rfc/rfc7413.html#section-5.1
type pendingFastOpens struct {
	count  int
	resets []int64 // when each that was reset no longer counts, in order
}

const fastOpenResetCounts = int64(time.Minute)

func (p *pendingFastOpens) full(now int64, limit int) bool {
	for len(p.resets) > 0 && p.resets[0] <= now {
		p.resets = p.resets[1:]
	}
	if len(p.resets) == 0 {
		p.resets = nil
	}
	return p.count+len(p.resets) >= limit
}

// openFast opens a connection at once for a SYN with data and a valid cookie, in place of the half-open record o, which is in no
// table yet. It reports false if the handshake is to go on as usual.
func (l *Listener) openFast(now int64, s *segment, o *halfOpen) bool {
	h := l.host
	valid, fresh := h.checkFastOpen(now, &o.id, &s.options.FastOpen)
	o.grants = !fresh
	switch {
	case !valid && s.options.FastOpen.Len() > 0:
		h.counters.FastOpenRefused++
		return false
	case !valid, s.length == 0:
		return false
	case l.fastOpen.full(now, h.config.Limits.FastOpen), h.connections >= h.config.Limits.Connections:
		h.counters.FastOpenFull++
		return false
	}
	h.counters.PassiveOpens++
	h.counters.FastOpenAccepted++
	l.fastOpen.count++
	c := h.newConn(o.id, o.path, l.options)
	c.accepted = true
	c.start(now, o.iss)
	c.sndUna, c.sndNxt = o.iss+1, o.iss+1
	c.receivedSYN(now, s)
	c.ecn.on = o.ecn
	c.own().fastOpen = &fastOpen{listener: l, peer: o.peer, sentAt: now, grants: o.grants}
	c.enter(Established)
	s.trimFront(c.rcvNxt)
	s.trimBack(c.rcvEdge)
	c.opensFast = true
	c.payload(now, s)
	c.answerFast(now, false)
	l.accepted = append(l.accepted, c)
	c.charge()
	c.setTimers(now)
	l.notify(ip.Accepted)
	return true
}

// openedFast reports whether the connection, which a SYN with data has opened, still waits for the final acknowledgment.
func (c *Conn) openedFast() bool { return c.fastOpen != nil && c.fastOpen.listener != nil }

// answerFast sends the SYN|ACK, which acknowledges the data of the SYN too.
func (c *Conn) answerFast(now int64, again bool) {
	f := c.fastOpen
	a := f.listener.synAck(now, &c.id, c.path, &f.peer)
	a.seq, a.ack, a.again = c.iss, c.rcvNxt, again
	a.options.TSEcr = c.ts.recent
	if c.ecn.on {
		a.flags |= wire.TCPEce
	}
	if f.grants && !again {
		a.options.FastOpen, a.options.HasFastOpen = c.host.grantFastOpen(now, &c.id), true
	}
	a.window = uint16(min(max(int(c.rcvBuffer)-int(c.rcvUnread), 0), 65535))
	c.rcvEdge = latest(c.rcvEdge, c.rcvNxt+uint32(a.window))
	c.rcvAcked = c.rcvNxt
	c.pending &^= pendingACK
	c.timers.ackAt = never
	f.again = f.again || again
	c.host.sendControl(now, &a)
}

// synAgain answers the SYN that has opened the connection, if it is that: the SYN|ACK may have been lost.
func (c *Conn) synAgain(now int64, s *segment) bool {
	if !s.has(wire.TCPSyn) || s.has(wire.TCPAck) || s.seq != c.irs {
		return false
	}
	if c.ts.on && s.options.HasTimestamps {
		c.ts.update(now, s.options.TSVal, s.seq, c.rcvAcked)
	}
	if c.challenged == 0 || challengeTime(now)-c.challenged >= challengeTime(challengeInterval) {
		c.challenged = challengeTime(now)
		c.answerFast(now, true)
	}
	return true
}

// fastOpenTimeout repeats the SYN|ACK. What else is in flight waits for it to be acknowledged.
func (c *Conn) fastOpenTimeout(now int64) {
	t := &c.timers
	t.retries = saturate(t.retries)
	if int(t.retries) > c.host.config.SYNRetries || c.outOfPatience(now) {
		c.giveUp(now)
		return
	}
	t.backoff = saturate(t.backoff)
	c.host.counters.RetransTimeouts++
	c.answerFast(now, true)
	t.kind, t.at = timerRetransmit, c.patient(now+c.timeout())
}

// completeFastOpen ends the handshake: s is the final acknowledgment, perhaps of data too.
func (c *Conn) completeFastOpen(now int64, s *segment) {
	f := c.fastOpen
	c.leaveFastOpen()
	sample := int64(0)
	if !f.again {
		sample = max(now-f.sentAt, 1)
	} else if c.ts.on {
		sample = c.ts.roundTrip(now, s.options.TSEcr, f.sentAt)
	}
	c.firstRTT(sample)
	c.quick = c.host.quickACKs()
	retries := c.timers.retries
	c.timers.retries, c.timers.kind = 0, timerNone
	c.handshakeTook(retries)
	c.host.event(c, "established")
}

// leaveFastOpen ends what the connection remembers of it.
func (c *Conn) leaveFastOpen() {
	if c.openedFast() {
		c.fastOpen.listener.fastOpen.count--
	}
	if c.fastOpen != nil {
		c.own().fastOpen = nil
	}
}

// resetFastOpen learns that the peer resets the connection.
func (c *Conn) resetFastOpen(now int64) {
	if c.openedFast() {
		p := &c.fastOpen.listener.fastOpen
		p.resets = append(p.resets, now+fastOpenResetCounts)
	}
}

// requestFastOpen has the SYN of a connection that is dialed carry the cookie and data, or ask for a cookie.
func (c *Conn) requestFastOpen(now int64) {
	if c.options.FastOpen {
		c.own().fastOpen = c.host.servers.open(now, fastOpenKeyOf(&c.id))
	}
}

// addFastOpen adds to the SYN in p, which holds nothing yet, what opens fast.
//
// A SYN that is sent again has neither option nor data, and the server is dialed without them for a while: there are middleboxes
// that drop what they do not know.
// https://www.rfc-editor.org/rfc/rfc7413.html#section-4.1.3.1
func (c *Conn) addFastOpen(now int64, p *packet.Packet, options *wire.TCPOptions) {
	f := c.fastOpen
	switch {
	case c.timers.retries > 0:
		if f.offered && !f.timedOut {
			f.timedOut = true
			c.host.counters.FastOpenTimeouts++
			c.host.servers.timedOut(now, fastOpenKeyOf(&c.id))
		}
		return
	case f.cookie.Len() > 0 && c.sndQ.Len() == 0:
		return // it is kept for a connection that has something to send
	}
	options.FastOpen, options.HasFastOpen = f.cookie, true
	f.offered = true
	if f.cookie.Len() == 0 {
		return
	}
	// The MSS is remembered with the cookie; where it is not known it is the default.
	// https://www.rfc-editor.org/rfc/rfc7413.html#section-4.1.3
	mss := f.mss
	if mss == 0 {
		mss = defaultMSS(c.id.is4())
	}
	mss = min(mss, ownMSS(c.path, c.id.is4(), c.options))
	f.data = c.sndQ.Attach(p, 0, min(c.sndQ.Len(), int(mss)-options.Len()))
}

// dataInSYN is how many octets beyond the SYN an acknowledgment in SYN-SENT may acknowledge. One that does so without SYN comes
// ahead of a SYN|ACK that was lost or overtaken, with data that did not wait for the handshake.
func (c *Conn) dataInSYN() uint32 {
	if c.fastOpen == nil {
		return 0
	}
	return uint32(c.fastOpen.data)
}

// fastOpenAcked learns from the SYN|ACK, which has acknowledged the SYN, how much of the data has arrived, and the cookie.
func (c *Conn) fastOpenAcked(now int64, s *segment) {
	f := c.fastOpen
	if f == nil {
		return
	}
	c.own().fastOpen = nil
	servers, key := &c.host.servers, fastOpenKeyOf(&c.id)
	if n := distance(c.sndUna, s.ack); n > 0 {
		c.sndNxt = s.ack
		c.octets.sent += uint64(n)
		c.host.counters.OutOctets += uint64(n)
		c.host.counters.FastOpenUsed++
		c.opensFast = true
		c.newlyAcked(now, s.ack, &c.host.acking)
		servers.worked(key)
	}
	if s.options.HasFastOpen && s.options.FastOpen.Len() > 0 && f.offered {
		mss := uint16(0)
		if s.options.HasMSS {
			mss = max(s.options.MSS, minMSS)
		}
		servers.learn(key, s.options.FastOpen, mss)
	}
}

// fastOpenPeers are the servers that a host's dialers know something of. The zero value, with a limit, is empty.
type fastOpenPeers struct {
	limit int
	byKey map[fastOpenKey]*list.Element
	order list.List // of *fastOpenPeer, what was learned last at the end
}

// fastOpenKey is what a cookie holds for: it was granted to an address, by an address.
type fastOpenKey struct {
	local, remote [16]byte
	link          int32
}

func fastOpenKeyOf(i *id) fastOpenKey { return fastOpenKey{i.local, i.remote, i.link()} }

type fastOpenPeer struct {
	key      fastOpenKey
	cookie   wire.FastOpenCookie
	mss      uint16 // of its SYN|ACK, 0 if it had none
	timeouts uint8  // since data in a SYN was last acknowledged
	until    int64  // no SYN is to have the option before
}

// The least and the most time for which a SYN that nobody answered keeps others from having the option; it doubles each time.
const (
	fastOpenPause     = int64(time.Minute)
	fastOpenLongPause = int64(time.Hour)
)

// open is what a connection to key begins with; nil: it is to begin as usual.
func (p *fastOpenPeers) open(now int64, key fastOpenKey) *fastOpen {
	e := p.byKey[key]
	if e == nil {
		return &fastOpen{}
	}
	peer := e.Value.(*fastOpenPeer)
	if now < peer.until {
		return nil
	}
	return &fastOpen{cookie: peer.cookie, mss: peer.mss}
}

// learn keeps the cookie that key has granted.
func (p *fastOpenPeers) learn(key fastOpenKey, cookie wire.FastOpenCookie, mss uint16) {
	peer := p.renew(key)
	peer.cookie, peer.mss = cookie, mss
}

// worked learns that key has taken the data in a SYN.
func (p *fastOpenPeers) worked(key fastOpenKey) {
	if e := p.byKey[key]; e != nil {
		peer := e.Value.(*fastOpenPeer)
		peer.timeouts, peer.until = 0, 0
	}
}

// timedOut learns that a SYN to key with the option was not answered in time.
func (p *fastOpenPeers) timedOut(now int64, key fastOpenKey) {
	peer := p.renew(key)
	peer.until = now + doubled(fastOpenPause, peer.timeouts, fastOpenLongPause)
	peer.timeouts = saturate(peer.timeouts)
}

// renew returns what is known of key, now the newest there is.
func (p *fastOpenPeers) renew(key fastOpenKey) *fastOpenPeer {
	if e := p.byKey[key]; e != nil {
		p.order.MoveToBack(e)
		return e.Value.(*fastOpenPeer)
	}
	if p.byKey == nil {
		p.byKey = make(map[fastOpenKey]*list.Element)
	}
	if p.order.Len() >= p.limit {
		oldest := p.order.Remove(p.order.Front()).(*fastOpenPeer)
		delete(p.byKey, oldest.key)
	}
	peer := &fastOpenPeer{key: key}
	p.byKey[key] = p.order.PushBack(peer)
	return peer
}
