package tcp

import (
	"slices"

	"github.com/smolnet/smolnet/core/wire"
)

// takeSACK takes the selective acknowledgments of a segment: una is what SND.UNA was before it.
func (c *Conn) takeSACK(now int64, s *segment, una uint32, a *acknowledgment) {
	blocks := s.options.SACK[:s.options.NumSACK]
	if c.takeDuplicate(blocks, s.ack, una, a) {
		blocks = blocks[1:]
	}
	f := c.flight
	if f == nil {
		return
	}
	// The block that grew last comes first. What has arrived is to be seen in the order that it was sent in, or else it looks
	// reordered whenever an acknowledgment was lost.
	slices.SortFunc(blocks, func(a, b wire.SACKBlock) int { return distance(b.Left, a.Left) })
	most := c.sackRanges()
	for _, b := range blocks {
		if !before(b.Left, b.Right) || before(b.Left, c.sndUna) || before(c.sndNxt, b.Right) {
			continue // old, or of what was never sent
		}
		f.sent.sack(b.Left, b.Right, most, func(r sentRange) {
			a.sacked += r.len()
			c.arrived(now, r, a)
		})
	}
}

// takeDuplicate takes the first block if it is a D-SACK, and reports whether it was.
//
// "A D-SACK block is only used to report a duplicate contiguous sequence of data received by the receiver in the most recent
// packet." It lies before the acknowledgment number of the same segment, ack, or within the second block. SND.UNA will not do: to
// a segment that was overtaken on its way, what it acknowledges selectively may have been acknowledged since.
// https://www.rfc-editor.org/rfc/rfc2883.html#section-4
func (c *Conn) takeDuplicate(blocks []wire.SACKBlock, ack, una uint32, a *acknowledgment) bool {
	b := blocks[0]
	if !before(b.Left, b.Right) {
		return false
	}
	below := beforeEq(b.Right, ack)
	within := len(blocks) > 1 && beforeEq(blocks[1].Left, b.Left) && beforeEq(b.Right, blocks[1].Right)
	if !below && !within {
		return false
	}
	if before(b.Left, una-c.maxWnd) {
		return true // too old to be about anything that is still remembered
	}
	c.host.counters.DuplicateSACKs++
	c.dsacks++
	a.duplicated, a.duplicateEnd = true, b.Right
	if c.flight != nil {
		c.flight.undo.duplicate(distance(b.Left, b.Right))
	}
	// A tail loss probe is sent because of the time, not because something was overtaken: that it was not needed says nothing of
	// that.
	if t := &c.probe; !(t.out && t.again && b.Right == t.end) {
		c.reordering.duplicate(c.sndUna, c.sndNxt)
	}
	return true
}
