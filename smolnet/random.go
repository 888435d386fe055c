package smolnet

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
)

// random is the stack's source of randomness for those who do not hold its mutex.
type random struct{ stack *Stack }

// Read reads random octets.
func (r random) Read(b []byte) (int, error) {
	r.stack.mu.Lock()
	defer r.stack.mu.Unlock()
	return io.ReadFull(r.stack.rand, b)
}

// Uint64 makes it a rand.Source, for choices that need not be secret: they are made even if the source has run dry.
func (r random) Uint64() uint64 {
	var b [8]byte
	if _, err := r.Read(b[:]); err != nil {
		return rand.Uint64()
	}
	return binary.NativeEndian.Uint64(b[:])
}
