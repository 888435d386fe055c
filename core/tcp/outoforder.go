package tcp

import (
	"math"

	"github.com/smolnet/smolnet/core/storage"
	"github.com/smolnet/smolnet/core/wire"
)

// outOfOrder is what has arrived out of order, and the order in which the peer is told of it.
type outOfOrder struct {
	storage.Assembler
	recent [maxSACKBlocks]uint32 // an octet of each range lately added to, the latest first
	count  int
}

// maxSACKBlocks is how many blocks there is room for in a segment's options, three if there are timestamps as well.
const maxSACKBlocks = 4

// touched notes that the octet seq, which is held, has arrived last.
//
// "The first SACK block (i.e., the one immediately following the kind and length fields in the option) MUST specify the contiguous
// block of data containing the segment which triggered this ACK [...] The SACK option SHOULD be filled out by repeating the most
// recently reported SACK blocks".
// https://www.rfc-editor.org/rfc/rfc2018.html#section-4
func (o *outOfOrder) touched(seq uint32) {
	left, right, ok := o.Find(seq)
	if !ok {
		return
	}
	kept := [maxSACKBlocks]uint32{seq}
	n := 1
	for _, r := range o.recent[:o.count] {
		if inside := !before(r, left) && before(r, right); !inside && n < len(kept) {
			kept[n] = r
			n++
		}
	}
	o.recent, o.count = kept, n
}

// blocks adds up to n blocks to options, the most recent first.
func (o *outOfOrder) blocks(options *wire.TCPOptions, n int) {
	for i := 0; i < o.count && options.NumSACK < n; i++ {
		if left, right, ok := o.Find(o.recent[i]); ok {
			options.SACK[options.NumSACK] = wire.SACKBlock{Left: left, Right: right}
			options.NumSACK++
		}
	}
}

func (c *Conn) newOutOfOrder() *outOfOrder {
	limit, buffer := int64(c.host.config.Limits.OutOfOrder), int(c.rcvBuffer)
	if limit == 0 {
		limit = max(outOfOrderFactor*int64(buffer), minOutOfOrder)
	}
	o := new(outOfOrder)
	o.MaxCost = int(min(limit, math.MaxInt/2)) // so that what it is compared with cannot overflow either
	o.MaxPackets = max(minOutOfOrderPackets, buffer/leastOctetsPerPacket)
	return o
}

// outOfOrderFactor is how many octets of memory an octet of the receive buffer may take out of order. A window that was
// offered is to be kept whole, however it arrives: a buffer of 2 KiB that holds one segment of 536 octets is the worst of
// what is common, and neighbours are put together.
const outOfOrderFactor = 4

// minOutOfOrder is memory for a few frames: with less, a connection with a small buffer could hold none at all.
const minOutOfOrder = 16 << 10

// These bound the packets held out of order, and so the work that a segment can make: there may be one for so many octets of
// the receive buffer, and some in any case.
const (
	minOutOfOrderPackets = 4096
	leastOctetsPerPacket = 512
)

// sackBlocks is how many blocks the next segment carries.
func (c *Conn) sackBlocks() int {
	if !c.sackOK {
		return 0
	}
	n := 0
	if c.rcvOoo != nil {
		n = c.rcvOoo.count
	}
	if c.duplicate.Left != c.duplicate.Right {
		n++
	}
	if c.ts.on {
		return min(n, maxSACKBlocks-1)
	}
	return min(n, maxSACKBlocks)
}

// sackOptionLen is how many octets of the next segment's options they take.
func (c *Conn) sackOptionLen() int {
	if n := c.sackBlocks(); n > 0 {
		return 4 + 8*n
	}
	return 0
}

// sackOptions adds the selective acknowledgments that are due to a segment's options.
func (c *Conn) sackOptions(o *wire.TCPOptions) {
	n := c.sackBlocks()
	if n == 0 {
		return
	}
	if c.duplicate.Left != c.duplicate.Right {
		// A duplicate is reported in the first block, and once.
		// https://www.rfc-editor.org/rfc/rfc2883.html#section-4
		o.SACK[0], o.NumSACK = c.duplicate, 1
		c.duplicate = wire.SACKBlock{}
	}
	if c.rcvOoo != nil {
		c.rcvOoo.blocks(o, n)
	}
}

// reportOverlap notes the first stretch of a segment that is held already, unless a part before it has arrived twice as well.
func (c *Conn) reportOverlap(s *segment) {
	end := s.seq + uint32(s.length)
	if left, right, ok := c.rcvOoo.Next(s.seq); ok && before(left, end) && s.seq == s.origin {
		c.arrivedTwice(latest(left, s.seq), earliest(right, end))
	}
}

// arrivedTwice notes that the octets from left to right have arrived before.
func (c *Conn) arrivedTwice(left, right uint32) {
	c.host.counters.InDuplicates++
	if c.sackOK {
		c.duplicate = wire.SACKBlock{Left: left, Right: right}
	}
}
