// Package storage holds what endpoints keep: octets to send, packets received, and what came out of order.
//
// Nothing here copies an octet to keep it, except where a little of it would pin much memory. The types hold nothing
// while they are empty, and are guarded by whatever guards the endpoint.
package storage

import "github.com/smolnet/smolnet/core/packet"

// Queue is a first-in, first-out queue of packets, which it owns. The zero value is empty and ready.
//
// Packets must not be changed while they are in it, because it keeps account of them.
type Queue struct {
	head, tail   *packet.Packet
	length       int
	octets, cost int
}

// Len is the number of packets in the queue.
func (q *Queue) Len() int { return q.length }

// Octets is the number of octets in all packets together.
func (q *Queue) Octets() int { return q.octets }

// Cost is the memory, in octets, that the packets pin: see packet.Packet.Cost.
func (q *Queue) Cost() int { return q.cost }

// Push puts p at the back.
func (q *Queue) Push(p *packet.Packet) {
	p.Next = nil
	if q.tail == nil {
		q.head = p
	} else {
		q.tail.Next = p
	}
	q.tail = p
	q.account(p)
}

// PushFront puts p at the front.
func (q *Queue) PushFront(p *packet.Packet) {
	p.Next = q.head
	q.head = p
	if q.tail == nil {
		q.tail = p
	}
	q.account(p)
}

func (q *Queue) account(p *packet.Packet) {
	q.length++
	q.octets += p.Len()
	q.cost += p.Cost()
}

// Peek returns the packet at the front, which stays there, or nil.
func (q *Queue) Peek() *packet.Packet { return q.head }

// Pop removes and returns the packet at the front, or nil.
func (q *Queue) Pop() *packet.Packet {
	p := q.head
	if p == nil {
		return nil
	}
	q.head = p.Next
	if q.head == nil {
		q.tail = nil
	}
	p.Next = nil
	q.length--
	q.octets -= p.Len()
	q.cost -= p.Cost()
	return p
}

// Read copies octets from the front to b, across packets, and returns how many; packets are released as they are used
// up. 0 means that the queue, or b, is empty.
func (q *Queue) Read(b []byte) int {
	n := 0
	for n < len(b) && q.head != nil {
		p := q.Pop()
		taken := p.CopyTo(b[n:], 0)
		n += taken
		if taken == p.Len() {
			p.Release()
			continue
		}
		p.TrimFront(taken)
		q.PushFront(p)
	}
	return n
}

// Reset releases every packet.
func (q *Queue) Reset() {
	for p := q.Pop(); p != nil; p = q.Pop() {
		p.Release()
	}
}
