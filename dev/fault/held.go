package fault

import (
	"time"

	"github.com/smolnet/smolnet/core/packet"
)

// held are the frames of one direction that are on their way, the next one due first: a binary heap by time, and of
// those due at the same time by the order in which they came.
type held struct {
	heap   []transit
	order  uint64 // frames that ever came
	octets int    // of memory, see packet.Packet.Cost
}

// transit is a frame on its way.
type transit struct {
	packet *packet.Packet
	due    time.Time
	order  uint64
}

func (t *transit) before(other *transit) bool {
	return t.due.Before(other.due) || t.due.Equal(other.due) && t.order < other.order
}

// maxHeld is the memory, in octets, that the frames of one direction hold before no more are taken: what passes in half
// a second at a gigabit a second. It can be exceeded by what is being taken at that time.
const maxHeld = 64 << 20

func (h *held) empty() bool { return len(h.heap) == 0 }
func (h *held) full() bool  { return h.octets >= maxHeld }

// next is when the first frame is due; ok is false if there is none.
func (h *held) next() (due time.Time, ok bool) {
	if h.empty() {
		return time.Time{}, false
	}
	return h.heap[0].due, true
}

// due reports whether a frame is due.
func (h *held) due(now time.Time) bool { return !h.empty() && !h.heap[0].due.After(now) }

// push adds a frame.
func (h *held) push(p *packet.Packet, due time.Time) {
	h.order++
	h.octets += p.Cost()
	h.heap = append(h.heap, transit{p, due, h.order})
	i := len(h.heap) - 1
	for i > 0 {
		above := (i - 1) / 2
		if !h.heap[i].before(&h.heap[above]) {
			break
		}
		h.heap[i], h.heap[above] = h.heap[above], h.heap[i]
		i = above
	}
}

// pop removes the first frame, which there must be.
func (h *held) pop() *packet.Packet {
	p := h.heap[0].packet
	last := len(h.heap) - 1
	h.heap[0] = h.heap[last]
	h.heap[last] = transit{}
	h.heap = h.heap[:last]
	for i := 0; ; {
		first := 2*i + 1
		if second := first + 1; second < last && h.heap[second].before(&h.heap[first]) {
			first = second
		}
		if first >= last || !h.heap[first].before(&h.heap[i]) {
			break
		}
		h.heap[i], h.heap[first] = h.heap[first], h.heap[i]
		i = first
	}
	h.octets -= p.Cost()
	return p
}

// release releases all frames, and returns how many.
func (h *held) release() int {
	n := len(h.heap)
	for _, t := range h.heap {
		t.packet.Release()
	}
	h.heap, h.octets = nil, 0
	return n
}
