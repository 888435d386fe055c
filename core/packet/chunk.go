package packet

import "sync/atomic"

// Chunk is a reference-counted buffer from the pool. Octets that have been written and shown to others never change, so
// any number of packets may reference them; the buffer goes back to the pool with the last reference.
type Chunk struct {
	// Next links chunks into the list of whoever filled them.
	Next *Chunk

	refs  atomic.Int32
	class uint8
	data  []byte
}

// NewChunk returns a chunk of at least size octets, holding one reference. It panics if size exceeds MaxSize.
func NewChunk(size int) *Chunk {
	c := newChunk(classFor(size))
	debugNewChunk(c)
	return c
}

// Data is the chunk's whole buffer.
func (c *Chunk) Data() []byte { return c.data }

// Retain adds a reference.
func (c *Chunk) Retain() { c.refs.Add(1) }

// Release drops a reference; with the last, the chunk goes back to the pool.
func (c *Chunk) Release() {
	switch refs := c.refs.Add(-1); {
	case refs == 0:
		c.Next = nil
		debugDropChunk(c)
		chunkPools[c.class].Put(c)
	case refs < 0:
		panic("packet: chunk released twice")
	}
}

// Shared reports whether anybody else holds a reference.
func (c *Chunk) Shared() bool { return c.refs.Load() > 1 }
