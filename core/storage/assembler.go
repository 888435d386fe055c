package storage

import (
	"errors"
	"slices"

	"github.com/smolnet/smolnet/core/packet"
)

// ErrAssemblerFull says that an Assembler has no room for a packet.
var ErrAssemblerFull = errors.New("out-of-order data exceeds its bound")

// maxSpan is how far apart, in sequence numbers, what an assembler holds may lie, so that serial numbers keep
// their order.
//
//	"the maximum window is guaranteed to be < 2^30"
//
// https://www.rfc-editor.org/rfc/rfc7323.html#section-2.3
const maxSpan = 1 << 30

// keptRanges is the capacity of the table of ranges that survives an assembler's becoming empty.
const keptRanges = 16

// Assembler holds what came out of order, in the packets it came in, until what is missing before it has come. It
// knows contiguous ranges of sequence numbers, compared as RFC 1982 serial numbers, which never overlap: what is
// held already wins over what comes later. The zero value is empty, ready and without bounds.
type Assembler struct {
	// MaxCost bounds the memory, in octets, that the packets pin together; 0: no bound.
	MaxCost int
	// MaxPackets bounds the number of packets; 0: no bound. It bounds the number of ranges too.
	MaxPackets int

	ranges  []assembled // in order; between any two is a gap
	packets int
	octets  int
	cost    int
}

// assembled is a contiguous range: from left up to, but without, right.
type assembled struct {
	left, right uint32
	first, last *packet.Packet
}

// Len is the number of packets held.
func (a *Assembler) Len() int { return a.packets }

// Octets is the number of octets held.
func (a *Assembler) Octets() int { return a.octets }

// Cost is the memory, in octets, that the packets held pin.
func (a *Assembler) Cost() int { return a.cost }

// NumRanges is the number of contiguous ranges held.
func (a *Assembler) NumRanges() int { return len(a.ranges) }

// Range returns the i-th contiguous range in sequence order, as RFC 2018 reports it: the first sequence number of the
// range and the one behind its last.
func (a *Assembler) Range(i int) (left, right uint32) {
	return a.ranges[i].left, a.ranges[i].right
}

// Find returns the contiguous range that holds the octet of sequence number seq, if any does.
func (a *Assembler) Find(seq uint32) (left, right uint32, ok bool) {
	if i := a.search(seq); i < len(a.ranges) && !before(seq, a.ranges[i].left) {
		return a.ranges[i].left, a.ranges[i].right, true
	}
	return 0, 0, false
}

// Next returns the first contiguous range that ends behind seq, if there is one: that which holds seq, or else the next.
func (a *Assembler) Next(seq uint32) (left, right uint32, ok bool) {
	if i := a.search(seq); i < len(a.ranges) {
		return a.ranges[i].left, a.ranges[i].right, true
	}
	return 0, 0, false
}

// Ranges yields the contiguous ranges, in sequence order; it is a range-over-func iterator.
func (a *Assembler) Ranges(yield func(left, right uint32) bool) {
	for _, r := range a.ranges {
		if !yield(r.left, r.right) {
			return
		}
	}
}

// Insert keeps those octets of p that are not held yet, and takes p, which consists of payload whose first octet has
// the sequence number p.Seq. With ErrAssemblerFull what is left of p stays the caller's.
func (a *Assembler) Insert(p *packet.Packet) error {
	if n := len(a.ranges); n > 0 {
		ahead, behind := int32(p.Seq-a.ranges[0].left), int32(a.ranges[n-1].right-p.Seq)
		if ahead <= -maxSpan || ahead > maxSpan-int32(p.Len()) || behind > maxSpan {
			return ErrAssemblerFull
		}
	}
	for p.Len() > 0 {
		i := a.search(p.Seq)
		if i == len(a.ranges) {
			return a.put(i, p)
		}
		r := &a.ranges[i]
		switch {
		case !before(p.Seq, r.left):
			trimFront(p, r.right)
		case !before(r.right, end(p)):
			p.Truncate(min(p.Len(), int(r.left-p.Seq)))
			return a.put(i, p)
		default:
			// p reaches across the range: what lies in the gap before it is copied, once.
			if err := a.putCopy(i, p, int(r.left-p.Seq)); err != nil {
				return err
			}
			// The gap is gone, and with it perhaps the range's place in the table.
			trimFront(p, a.ranges[a.search(p.Seq)].right)
		}
	}
	p.Release()
	return nil
}

func (a *Assembler) putCopy(i int, p *packet.Packet, n int) error {
	part := packet.New(n)
	p.CopyTo(part.Append(n), 0)
	part.Seq = p.Seq
	err := a.put(i, part)
	if err != nil {
		part.Release()
	}
	return err
}

// put puts p into the gap before the i-th range, which it fits in, and joins it with the ranges it touches.
func (a *Assembler) put(i int, p *packet.Packet) error {
	left, right, n := p.Seq, end(p), p.Len()
	if i > 0 && a.ranges[i-1].right == left && absorb(a.ranges[i-1].last, p) {
		i--
		a.ranges[i].right = right
	} else {
		p.Compact()
		if a.exceeds(p) {
			return ErrAssemblerFull
		}
		p.Next = nil
		a.packets++
		a.cost += p.Cost()
		a.ranges = slices.Insert(a.ranges, i, assembled{left, right, p, p})
		if i > 0 && a.ranges[i-1].right == left {
			i--
			a.join(i)
		}
	}
	a.octets += n
	if i+1 < len(a.ranges) && a.ranges[i+1].left == right {
		a.join(i)
	}
	return nil
}

// join makes one of the i-th range and the next, which begins where it ends.
func (a *Assembler) join(i int) {
	r, next := &a.ranges[i], &a.ranges[i+1]
	first := next.first
	behind, cost := first.Next, first.Cost()
	if absorb(r.last, first) {
		a.packets--
		a.cost -= cost
		first = behind
	}
	if first != nil {
		r.last.Next = first
		r.last = next.last
	}
	r.right = next.right
	a.ranges = slices.Delete(a.ranges, i+1, i+2)
}

func (a *Assembler) exceeds(p *packet.Packet) bool {
	return a.MaxPackets > 0 && a.packets >= a.MaxPackets || a.MaxCost > 0 && a.cost+p.Cost() > a.MaxCost
}

// Pop removes and returns the packet that holds the octet of sequence number next, trimmed to begin with it, and nil if
// there is none. What lies wholly before next is released. Called again with the sequence number behind what it
// returned, it yields all that is contiguous.
func (a *Assembler) Pop(next uint32) *packet.Packet {
	for len(a.ranges) > 0 && !before(next, a.ranges[0].left) {
		p := a.popFront()
		trimFront(p, next)
		if p.Len() > 0 {
			return p
		}
		p.Release()
	}
	return nil
}

func (a *Assembler) popFront() *packet.Packet {
	r := &a.ranges[0]
	p := r.first
	r.left, r.first = end(p), p.Next
	p.Next = nil
	a.packets--
	a.octets -= p.Len()
	a.cost -= p.Cost()
	if r.first == nil {
		a.ranges = slices.Delete(a.ranges, 0, 1)
		if len(a.ranges) == 0 && cap(a.ranges) > keptRanges {
			a.ranges = nil
		}
	}
	return p
}

// Reset releases everything, the table of ranges included.
func (a *Assembler) Reset() {
	for len(a.ranges) > 0 {
		a.popFront().Release()
	}
	a.ranges = nil
}

// search returns the index of the first range that ends behind seq.
func (a *Assembler) search(seq uint32) int {
	// What comes out of order mostly goes behind all that is there.
	if n := len(a.ranges); n == 0 || !before(seq, a.ranges[n-1].right) {
		return n
	}
	low, high := 0, len(a.ranges)-1
	for low < high {
		middle := int(uint(low+high) / 2)
		if before(seq, a.ranges[middle].right) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}

// before compares serial numbers (RFC 1982).
func before(a, b uint32) bool { return int32(a-b) < 0 }

func end(p *packet.Packet) uint32 { return p.Seq + uint32(p.Len()) }

// trimFront makes p begin at sequence number seq, unless it begins behind; p may end up empty.
func trimFront(p *packet.Packet, seq uint32) {
	if !before(p.Seq, seq) {
		return
	}
	n := min(p.Len(), int(seq-p.Seq))
	p.TrimFront(n)
	p.Seq += uint32(n)
}
