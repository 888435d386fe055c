package lowpan

import (
	"bytes"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/timer"
)

// datagram is what has come of one datagram. As none is long, there is a buffer for the whole of it from the first to arrive on,
// and every fragment is copied to its place: however small they are, they take no more memory than that.
type datagram struct {
	reassembly *Reassembly
	key        Key
	known      bool           // a known source has sent of it
	elided     bool           // its first fragment has come, and said that the UDP checksum was left out
	whole      *packet.Packet // as long as the datagram
	missing    int            // octets that have not come
	here       units          // that have come
	begins     units          // with which a fragment begins
	timer      timer.Timer
	prev, next *datagram
}

// Expire gives the datagram up. The timer heap calls it.
func (d *datagram) Expire(now int64) { d.reassembly.giveUp(now, d, TimedOut) }

// part is the units of a fragment: from up to, but not including, to.
type part struct{ from, to int }

// judge says how p, a fragment with the units of part, goes with those that are here: None if it overlaps none of them.
//
// "If a link fragment that overlaps another fragment is received, as identified above, and differs in either the size or
// datagram_offset of the overlapped fragment, the fragment(s) already accumulated in the reassembly buffer SHALL be discarded."
// https://www.rfc-editor.org/rfc/rfc4944.html#section-5.3
//
// One that differs only in what it carries is of another datagram, which has the tag because its sender has been restarted.
func (d *datagram) judge(part part, p *packet.Packet) Cause {
	switch d.here.count(part.from, part.to) {
	case 0:
		return None
	case part.to - part.from:
		if d.isFragment(part) && d.same(part, p) {
			return Duplicate
		}
	}
	return Overlap
}

// isFragment reports whether units that are all here came as one fragment.
func (d *datagram) isFragment(part part) bool {
	return d.begins.has(part.from) && d.begins.count(part.from, part.to) == 1 &&
		(part.to*unit >= int(d.key.Size) || !d.here.has(part.to) || d.begins.has(part.to))
}

// same reports whether units that are here hold the octets of p.
func (d *datagram) same(part part, p *packet.Packet) bool {
	rest := d.whole.Head()[part.from*unit:]
	for _, piece := range p.Pieces() {
		if !bytes.HasPrefix(rest, piece) {
			return false
		}
		rest = rest[len(piece):]
	}
	return true
}

// insert copies p to its units, none of which is here.
func (d *datagram) insert(part part, p *packet.Packet) {
	d.here.add(part.from, part.to)
	d.begins.add(part.from, part.from+1)
	d.missing -= p.CopyTo(d.whole.Head()[part.from*unit:], 0)
}
