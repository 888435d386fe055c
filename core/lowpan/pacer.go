package lowpan

import (
	"fmt"
	"time"
)

// OctetTime is what an octet takes in the air at 250 kbit/s, the rate of IEEE 802.15.4 in the band of 2.4 GHz.
const OctetTime = 32 * time.Microsecond

// physicalLen is the octets that go through the air around what devices carry of a frame: preamble, delimiter and length before
// it, and the checksum behind it.
const physicalLen = 4 + 1 + 1 + 2

// Pacing says how fast frames may leave. The zero value sets no bound.
//
// A radio hears nothing while it sends or waits for an acknowledgment, so that frames which come too close are lost. Whoever asks
// for acknowledgments learns of that, and needs no pacing. Without them RIOT's virtual radio, for one, takes full frames at 6 ms
// each: a Gap of 2 ms and an Octet of OctetTime.
type Pacing struct {
	// Gap is the least time between the end of a frame and the beginning of the next.
	Gap time.Duration

	// Octet is how long an octet takes in the air.
	Octet time.Duration
}

// Check reports what is wrong with p. The error wraps ErrInvalid and names the value.
func (p Pacing) Check() error {
	if p.Gap < 0 || p.Gap > maxGap {
		return fmt.Errorf("%w: Gap %v is not between 0 and %v", ErrInvalid, p.Gap, maxGap)
	}
	if p.Octet < 0 || p.Octet > maxOctetTime {
		return fmt.Errorf("%w: Octet %v is not between 0 and %v", ErrInvalid, p.Octet, maxOctetTime)
	}
	return nil
}

// The slowest there is: radios of a few kbit/s, and duty cycles that allow a frame a minute.
const (
	maxGap       = time.Minute
	maxOctetTime = 10 * time.Millisecond
)

// Pacer says when the frames of one link may leave. The zero value lets all leave at once.
type Pacer struct {
	Pacing
	free int64 // when the next may leave
}

// Next is when the next frame may leave: now, if not later.
func (p *Pacer) Next(now int64) int64 { return max(now, p.free) }

// Sent notes that a frame of so many octets leaves now, as long as devices carry it: without its checksum. One that leaves before
// its time is behind those before it all the same.
func (p *Pacer) Sent(now int64, octets int) {
	p.free = p.Next(now) + int64(p.Gap) + int64(octets+physicalLen)*int64(p.Octet)
}
