package tcp

import (
	"crypto/sha256"
	"encoding/binary"
)

// isn returns the initial sequence number of the connection named i.
//
// "ISN = M + F(localip, localport, remoteip, remoteport, secretkey)", M being a timer of 4 microseconds and F "a
// pseudorandom function".
// https://www.rfc-editor.org/rfc/rfc6528.html#section-3
func (h *Host) isn(now int64, i *id) uint32 {
	sum := h.hash(i)
	return binary.BigEndian.Uint32(sum[:]) + uint32(now/4000)
}

// tsOffset is what is added to the timestamp clock on the connection named i: the same whenever the name is used again, so that
// the timestamps of one incarnation follow those of the one before, and RFC 6191 can tell them apart.
// https://www.rfc-editor.org/rfc/rfc7323.html#section-5.4
func (h *Host) tsOffset(i *id) uint32 {
	sum := h.hash(i)
	return binary.BigEndian.Uint32(sum[4:])
}

// hash is RFC 6528's F. Of a name several things are made in a row: the latest hash is remembered.
func (h *Host) hash(i *id) [sha256.Size]byte {
	if h.hashed != *i {
		h.hashed, h.hashOf = *i, h.newHash(i)
	}
	return h.hashOf
}

func (h *Host) newHash(i *id) [sha256.Size]byte {
	var b [len(h.secret) + 36]byte
	n := copy(b[:], h.secret[:])
	n += copy(b[n:], i.local[:])
	n += copy(b[n:], i.remote[:])
	binary.BigEndian.PutUint16(b[n:], i.localPort)
	binary.BigEndian.PutUint16(b[n+2:], i.remotePort)
	return sha256.Sum256(b[:])
}
