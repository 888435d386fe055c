package tcp

import (
	"crypto/sha256"
	"encoding/binary"
)

// cookies make and check SYN cookies: initial sequence numbers of this side that hold what a half-open connection would, so
// that a listener whose queue is full need not keep one.
// https://www.rfc-editor.org/rfc/rfc4987.html#section-3.6
//
// The number grows like the clock of other initial sequence numbers (RFC 6528), by 2^24 each slot of 64 seconds, from a hash of
// the connection's name. Its low 24 bits hide an index into cookieMSS by adding a hash of the name, the peer's initial sequence
// number and the slot. A guess hits one of the 8 values of one of the two slots that are accepted once in 2^28 times.
//
// When to call what:
//   - start, with 32 random octets, before anything else; and rotate, with others, every so often, not within a minute or two
//     of the time before.
//   - encode, when a SYN is answered without being remembered, for the SYN|ACK's sequence number.
//   - check, when an ACK arrives that no connection nor half-open one is for, at a listener that has lately sent cookies: with
//     SEG.ACK-1 and SEG.SEQ-1.
//   - cookieOptions.timestamp, if the SYN had the timestamps option, for the SYN|ACK's TSval, and cookieOptionsIn for the ACK's
//     TSecr. Without it the connection has neither window scaling nor SACK nor ECN.
type cookies struct {
	secret, previous [sha256.Size]byte
	since            int64 // the first slot of secret
}

// cookieSlot is how long a slot lasts: a cookie is accepted for one to two of them.
const cookieSlot = 64e9

// cookieMSS are the values that a cookie can hold: the least that every host takes, IPv6's, and those of common links and
// tunnels.
var cookieMSS = [8]uint16{536, 1220, 1300, 1400, 1440, 1452, 1460, 8960}

// start begins with the given secret.
func (c *cookies) start(secret [sha256.Size]byte) { *c = cookies{secret: secret} }

// rotate changes to a new secret from the next slot on. Cookies of before are still accepted until their slots are over.
func (c *cookies) rotate(now int64, secret [sha256.Size]byte) {
	next := now/cookieSlot + 1
	if c.since < next {
		c.previous = c.secret
	} // else the secret that is replaced was never used
	c.secret, c.since = secret, next
}

// encode is the initial sequence number for a SYN with initial sequence number peer and a maximum segment size of mss. id names
// the connection: addresses and ports; at most 64 octets count. What is kept of mss is the largest value of cookieMSS that is
// not more, or the least.
func (c *cookies) encode(now int64, id []byte, peer uint32, mss int) uint32 {
	index := 0
	for i, m := range cookieMSS {
		if int(m) <= mss {
			index = i
		}
	}
	slot := now / cookieSlot
	base, mask := c.hash(id, peer, slot)
	return base + uint32(slot)<<24 + (mask+uint32(index))&(1<<24-1)
}

// check reports whether isn is a cookie for id and the peer's initial sequence number of the present or the previous slot, and
// which maximum segment size it holds.
func (c *cookies) check(now int64, id []byte, peer, isn uint32) (mss int, ok bool) {
	slot := now / cookieSlot
	for _, s := range [...]int64{slot, slot - 1} {
		if s < 0 {
			break
		}
		base, mask := c.hash(id, peer, s)
		hidden := isn - base
		index := (hidden - mask) & (1<<24 - 1)
		if uint8(hidden>>24) == uint8(s) && index < uint32(len(cookieMSS)) {
			return int(cookieMSS[index]), true
		}
	}
	return 0, false
}

// hash is where the sequence numbers of id begin, and what hides the index.
func (c *cookies) hash(id []byte, peer uint32, slot int64) (base, mask uint32) {
	secret := &c.secret
	if slot < c.since {
		secret = &c.previous
	}
	var b [sha256.Size + 64 + 12]byte
	copy(b[:], secret[:])
	copy(b[sha256.Size:sha256.Size+64], id)
	tail := b[sha256.Size+64:]
	sum := sha256.Sum256(b[:]) // of the name alone: below, the slot is not 0
	base = binary.BigEndian.Uint32(sum[:])
	binary.BigEndian.PutUint32(tail, peer)
	binary.BigEndian.PutUint64(tail[4:], uint64(slot)+1)
	sum = sha256.Sum256(b[:])
	return base, binary.BigEndian.Uint32(sum[:])
}

// cookieOptions are what a SYN|ACK's TSval holds of the SYN's options.
type cookieOptions struct {
	windowScale    uint8 // 0 to 14, if hasWindowScale
	hasWindowScale bool
	sack           bool
	ecn            bool
}

const (
	cookieNoScale = 15
	cookieSACK    = 1 << 4
	cookieECN     = 1 << 5
	cookieBits    = 1<<6 - 1
)

// timestamp is the TSval of a SYN|ACK: the last value of clock, which is the timestamp clock with the connection's offset, that
// has the options in its low 6 bits. It is never ahead of the clock, so that those after it are not behind, and less than
// 64 ticks behind: by so much a round-trip time measured by it is too long.
func (o cookieOptions) timestamp(clock uint32) uint32 {
	bits := uint32(cookieNoScale)
	if o.hasWindowScale {
		bits = uint32(min(o.windowScale, 14))
	}
	if o.sack {
		bits |= cookieSACK
	}
	if o.ecn {
		bits |= cookieECN
	}
	ts := clock&^cookieBits | bits
	if before(clock, ts) {
		ts -= cookieBits + 1
	}
	return ts
}

// cookieOptionsIn are the options in the TSecr that answers such a TSval. It is not protected: a peer that echoes something
// else chooses its options anew, which are its own to choose.
func cookieOptionsIn(echo uint32) (o cookieOptions) {
	if scale := uint8(echo & 15); scale != cookieNoScale {
		o.windowScale, o.hasWindowScale = scale, true
	}
	o.sack = echo&cookieSACK != 0
	o.ecn = echo&cookieECN != 0
	return o
}
