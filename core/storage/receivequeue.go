package storage

import "github.com/smolnet/smolnet/core/packet"

// ReceiveQueue holds the received octets of a stream, in order, in the packets they came in, until a reader
// detaches them. The zero value is empty and ready.
type ReceiveQueue struct {
	queue Queue
}

// Octets is the number of octets in the queue.
func (q *ReceiveQueue) Octets() int { return q.queue.octets }

// Cost is the memory, in octets, that the queue pins.
func (q *ReceiveQueue) Cost() int { return q.queue.cost }

// Append puts p, trimmed to its payload, at the back, and takes it. A payload much smaller than its buffer is copied
// behind the octets before it, or else to a smaller buffer, so that a sender of tiny segments cannot pin much memory.
func (q *ReceiveQueue) Append(p *packet.Packet) {
	n := p.Len()
	switch {
	case n == 0:
		p.Release()
	case q.queue.tail != nil && absorb(q.queue.tail, p):
		q.queue.octets += n
	default:
		p.Compact()
		q.queue.Push(p)
	}
}

// Detach moves whole packets from the front to the back of into until that has made n octets or the queue is empty, and
// returns how many octets it moved.
func (q *ReceiveQueue) Detach(n int, into *Queue) int {
	moved := 0
	for moved < n {
		p := q.queue.Pop()
		if p == nil {
			break
		}
		moved += p.Len()
		into.Push(p)
	}
	return moved
}

// Reset releases everything.
func (q *ReceiveQueue) Reset() { q.queue.Reset() }

// absorb copies p behind the octets of before and releases it, if p is much smaller than what it pins and before has
// the room.
func absorb(before, p *packet.Packet) bool {
	n := p.Len()
	if 4*n > p.Cost() || before.Tailroom() < n {
		return false
	}
	p.CopyTo(before.Append(n), 0)
	p.Release()
	return true
}
