package ieee802154

import "github.com/smolnet/smolnet/core/wire"

// Links estimates how good the links to neighbours are, by ETX: how often a frame is sent until it is acknowledged.
//
// It keeps two averages for each neighbour, each weighing a frame an eighth of all before it: of how often a frame is sent, and of
// how many are acknowledged. Their quotient needs no penalty to be made up for a frame that was given up. A neighbour of which
// nothing is known begins as if all had gone well, and one frame that is lost does not make it a bad one.
type Links struct {
	neighbours table[quality]
}

// DefaultMaxLinks is how many neighbours a Links keeps of which NewLinks is not told otherwise.
const DefaultMaxLinks = 64

// ETXUnit is the ETX of a link on which every frame is acknowledged at once. RPL's ETX object has it times 128, in 16 bits.
// https://www.rfc-editor.org/rfc/rfc6551.html#section-4.3.2
const ETXUnit = 128

// quality is what is known of the link to one neighbour, in units of 1/4096.
type quality struct{ sent, acked int32 }

const (
	qualityUnit  = 4096
	qualityShift = 3    // a frame weighs an eighth
	maxAttempts  = 1024 // more than that is no different
)

// NewLinks returns a Links that knows of no neighbour. It keeps so many, 64 if that is 0 or less; the one not sent to for
// longest makes room.
func NewLinks(size int) *Links {
	if size <= 0 {
		size = DefaultMaxLinks
	}
	return &Links{neighbours: newTable[quality](size)}
}

// Transmitted is called when a frame to a neighbour, sent so many times, was acknowledged or given up. A frame that is not to be
// acknowledged says nothing about the link.
func (l *Links) Transmitted(addr wire.LinkAddr, attempts int, acked bool) {
	if attempts <= 0 {
		return
	}
	q := l.neighbours.use(addr)
	if q.sent == 0 {
		*q = quality{qualityUnit, qualityUnit}
	}
	q.sent = average(q.sent, int32(min(attempts, maxAttempts))*qualityUnit)
	got := int32(0)
	if acked {
		got = qualityUnit
	}
	q.acked = average(q.acked, got)
}

// average moves a running average towards a sample.
func average(old, sample int32) int32 { return old + (sample-old)>>qualityShift }

// ETX is the estimate for the link to a neighbour in units of 1/128, as RPL's ETX metric has it: 128 at best, 65535 for that or
// more. ok is false if nothing is known.
func (l *Links) ETX(addr wire.LinkAddr) (etx uint16, ok bool) {
	q := l.neighbours.find(addr)
	if q == nil {
		return 0, false
	}
	if q.acked == 0 {
		return 0xffff, true
	}
	sent, acked := int64(q.sent), int64(q.acked)
	return uint16(min((sent*ETXUnit+acked/2)/acked, 0xffff)), true
}
