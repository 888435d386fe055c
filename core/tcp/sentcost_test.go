package tcp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// sentCost counts what operations on a sent write: the slots of its table that are not what they were.
type sentCost struct {
	sent   sent
	before []sentRange
	slots  int
}

func (c *sentCost) of(operation func(s *sent)) {
	operation(&c.sent)
	after := c.sent.ranges[:cap(c.sent.ranges)]
	for i, r := range after {
		if i >= len(c.before) || c.before[i] != r {
			c.slots++
		}
	}
	c.before = append(c.before[:0], after...)
}

const stormSegment = 1448

// fill has n segments on their way, each of which left at another time.
func (c *sentCost) fill(n int) {
	for i := range uint32(n) {
		c.sent.push(sentRange{seq: i * stormSegment, end: (i + 1) * stormSegment, sentAt: int64(i)})
	}
	c.before = append(c.before[:0], c.sent.ranges[:cap(c.sent.ranges)]...)
}

// Every other segment is lost of a large window, and each of the others has an acknowledgment of its own. Then the holes are filled.
func TestSACKStormCostsWhatItSays(t *testing.T) {
	const segments = 10_000
	for _, row := range []struct {
		name  string
		merge bool // all left in one burst, and are one range
	}{{"each left at another time", false}, {"all left at once", true}} {
		t.Run(row.name, func(t *testing.T) {
			var c sentCost
			if row.merge {
				c.sent.push(sentRange{seq: 0, end: segments * stormSegment})
			} else {
				c.fill(segments)
			}
			calls := 0
			for i := uint32(1); i < segments; i += 2 {
				sack := func(s *sent) {
					for block := i; block+6 > i && block < segments; block -= 2 { // the newest, and the two before
						s.sack(block*stormSegment, (block+1)*stormSegment, maxSentRanges, func(sentRange) { calls++ })
					}
				}
				if i%500 == 1 {
					c.of(sack)
				} else {
					sack(&c.sent)
					c.before = append(c.before[:0], c.sent.ranges[:cap(c.sent.ranges)]...)
				}
			}
			require.Equal(t, segments/2, calls, "each is told of once")
			require.Equal(t, segments/2*stormSegment, c.sent.sacked)
			require.Len(t, c.sent.all(), segments)
			require.LessOrEqual(t, c.slots, segments/500*4, "an acknowledgment touches the ranges that it is about, however many there are")

			// What is sent again in a row is found without a look at all before it.
			for c.sent.loseAll(); c.sent.lost > 0; {
				seq, n := c.sent.nextLost(stormSegment)
				require.Equal(t, stormSegment, n)
				require.Equal(t, seq, c.sent.lostFrom, "the search goes on where it was")
				c.sent.resent(seq, seq+stormSegment, 1e9, rateStamp{}, maxSentRanges)
			}
			c.sent.sack(0, segments*stormSegment, maxSentRanges, func(sentRange) {})
			require.Len(t, c.sent.all(), 1, "what has all arrived is one range")
		})
	}
}

// A window that stays full: as one segment is acknowledged another leaves.
func TestFullWindowIsNotCopiedForEachSegment(t *testing.T) {
	const rounds = 5000
	var c sentCost
	c.fill(1000)
	window := uint32(cap(c.sent.ranges)) // what fills the table exactly is the worst
	c.sent.reset(true)
	c.fill(int(window))
	require.Len(t, c.sent.ranges, cap(c.sent.ranges))
	for i := window; i < window+rounds; i++ {
		c.of(func(s *sent) {
			s.discard((i-window+1)*stormSegment, func(sentRange) {})
			s.push(sentRange{seq: i * stormSegment, end: (i + 1) * stormSegment, sentAt: int64(i)})
		})
	}
	require.LessOrEqual(t, c.slots, 6*rounds)
	require.LessOrEqual(t, cap(c.sent.ranges), 4*int(window), "and the table does not grow with what has passed through it")
}

func TestSentStaysWithinItsBound(t *testing.T) {
	const limit = 100
	var s sent
	s.push(sentRange{seq: 0, end: 1000})
	for i := uint32(1); i < 999; i += 2 {
		s.sack(i, i+1, limit, func(sentRange) {})
	}
	require.LessOrEqual(t, len(s.all()), limit)
	require.GreaterOrEqual(t, s.sacked, limit/2-1, "as much is noted as fits")
	s.loseAll()
	for total := 0; s.lost > 0; total++ {
		require.Less(t, total, 1000, "what is lost is sent again, and comes to an end")
		seq, n := s.nextLost(3)
		s.resent(seq, seq+uint32(n), 1, rateStamp{}, limit)
		require.LessOrEqual(t, len(s.all()), limit)
	}
}

// The first segment of a large window is lost, and all others arrive one by one.
func TestWhatArrivesBehindOneHoleMovesLittle(t *testing.T) {
	const segments = 10_000
	var c sentCost
	c.fill(segments)
	for i := uint32(1); i < segments; i++ {
		sack := func(s *sent) { s.sack(stormSegment, (i+1)*stormSegment, maxSentRanges, func(sentRange) {}) }
		if i%500 != 1 {
			sack(&c.sent)
			c.before = append(c.before[:0], c.sent.ranges[:cap(c.sent.ranges)]...)
			continue
		}
		c.of(sack)
	}
	require.LessOrEqual(t, c.slots, segments/500*4)
	require.Len(t, c.sent.all(), 2)
}
