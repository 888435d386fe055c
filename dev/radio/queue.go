package radio

import "github.com/smolnet/smolnet/core/packet"

// queue holds frames in the order in which they are due, and of those that are due at once in the order in which they came.
type queue struct {
	ring []transit // a power of two long; the first frame is at head
	head int
	len  int
}

// transit is a frame on its way.
type transit struct {
	packet *packet.Packet
	due    int64
}

// first is when the first frame is due.
func (q *queue) first() int64 {
	if q.len == 0 {
		return never
	}
	return q.ring[q.head].due
}

// push adds a frame. It has to pass those that are due later, of which there are few.
func (q *queue) push(p *packet.Packet, due int64) {
	if q.len == len(q.ring) {
		ring := make([]transit, max(16, 2*len(q.ring)))
		n := copy(ring, q.ring[q.head:])
		copy(ring[n:], q.ring[:q.head])
		q.ring, q.head = ring, 0
	}
	mask := len(q.ring) - 1
	at := q.head + q.len
	for ; at > q.head && q.ring[(at-1)&mask].due > due; at-- {
		q.ring[at&mask] = q.ring[(at-1)&mask]
	}
	q.ring[at&mask] = transit{p, due}
	q.len++
}

// pop removes the first frame, which there must be.
func (q *queue) pop() *packet.Packet {
	p := q.ring[q.head].packet
	q.ring[q.head] = transit{}
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.len--
	return p
}

// release drops all frames.
func (q *queue) release() {
	for q.len > 0 {
		q.pop().Release()
	}
}
