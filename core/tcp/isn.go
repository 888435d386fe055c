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
	var b [len(h.secret) + 36]byte
	n := copy(b[:], h.secret[:])
	n += copy(b[n:], i.local[:])
	n += copy(b[n:], i.remote[:])
	binary.BigEndian.PutUint16(b[n:], i.localPort)
	binary.BigEndian.PutUint16(b[n+2:], i.remotePort)
	sum := sha256.Sum256(b[:])
	return binary.BigEndian.Uint32(sum[:]) + uint32(now/4000)
}
