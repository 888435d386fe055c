package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// RFC 8985, section 3.2: losses found by time, of which a few would each cost a timeout by counting duplicates.
func TestRACKFindsLosses(t *testing.T) {
	t.Run("a tail: the probe's SACK shows what was lost before it", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.flies(3)
		s.after(trip)
		s.acks(1)
		s.after(2*trip + 2*time.Millisecond)
		s.leaves("the probe is the last again", 2, 3)
		s.after(trip)
		s.acks(1, [2]int{2, 3})
		s.leaves("what was sent well before the probe is lost", 1, 2)
		require.Zero(t, s.host.Counters().RetransTimeouts)
	})
	t.Run("what was sent again and is lost again", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.flies(10)
		s.after(trip)
		s.acks(0, [2]int{1, 4})
		require.Contains(t, s.left(), 0)
		s.send(4)
		for i := 4; i < 10; i++ {
			s.acks(0, [2]int{1, i + 1})
		}
		require.Equal(t, []int{10, 11, 12}, s.left()[:3])
		s.after(trip + trip/2)
		s.acks(0, [2]int{1, 11})
		require.Equal(t, 0, s.left()[0], "new data that left behind it has arrived, and it has not")
		require.Zero(t, s.host.Counters().RetransTimeouts)
	})
	t.Run("three segments ahead are enough while nothing was ever reordered", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.flies(10)
		s.after(trip)
		s.acks(0, [2]int{1, 2})
		s.acks(0, [2]int{1, 3})
		s.leaves("two are not", 0, 0)
		s.acks(0, [2]int{1, 4})
		s.leaves("at once", 0, 1)
	})
	t.Run("few segments: after the reordering window, a quarter of the least round trip", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.flies(2)
		s.after(trip)
		s.acks(0, [2]int{1, 2})
		s.after(trip/4 - 1)
		s.leaves("it may be late", 0, 0)
		s.after(1)
		s.leaves("it is lost", 0, 1)
	})
	t.Run("after the timeout that is what is due", func(t *testing.T) {
		// "Upon RTO timer expiration, RACK marks the first outstanding segment as lost (since it was sent an RTO ago); for all the
		// other segments, RACK only marks the segment as lost if the time elapsed since the segment was transmitted is at least the sum
		// of the recent RTT and the reordering window."
		// https://www.rfc-editor.org/rfc/rfc8985.html#section-6.3
		s := newSender(t, withSACK)
		s.conn.probe.spent = true // no probe
		s.flies(2)
		s.after(250 * time.Millisecond)
		s.flies(2)
		s.after(50 * time.Millisecond)
		s.leaves("the timeout", 0, 1)
		require.EqualValues(t, 1, s.host.Counters().RetransTimeouts)
		require.Equal(t, s.mss, s.conn.lost(), "the second; what left 50 ms ago is on its way")
		s.after(trip - 50*time.Millisecond)
		s.acks(0, [2]int{2, 4})
		s.after(50 * time.Millisecond)
		s.acks(1, [2]int{2, 4})
		s.leaves("and only what was lost is sent again", 1, 2)
	})
}

// RFC 8985, section 3.3: what is late is not lost.
func TestRACKBearsWithReordering(t *testing.T) {
	t.Run("within a quarter of the least round trip", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.flies(3)
		s.after(trip)
		s.acks(0, [2]int{1, 2})
		s.after(trip/4 - 1)
		s.acks(3)
		s.leaves("nothing was sent again", 0, 0)
		require.True(t, s.conn.reordering.seen)
		require.Zero(t, s.host.Counters().FastRetransmits)
	})
	t.Run("once some was seen, however many segments are ahead", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.conn.reordering.seen = true
		s.flies(10)
		s.after(trip)
		s.acks(0, [2]int{1, 10})
		s.leaves("nine are ahead", 0, 0)
		s.after(trip/4 - 1)
		s.acks(10)
		s.leaves("and it was late", 0, 0)
	})
	t.Run("a lost acknowledgment is none: blocks come newest first", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.flies(10)
		s.after(trip)
		s.acks(0, [2]int{6, 7}, [2]int{3, 4}, [2]int{1, 2})
		require.False(t, s.conn.reordering.seen, "all has come in order")
	})
	t.Run("what was sent again and comes late is none", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.flies(10)
		s.after(trip)
		s.acks(0, [2]int{1, 10})
		s.leaves("lost", 0, 1)
		s.after(trip)
		s.acks(10)
		require.False(t, s.conn.reordering.seen)
	})
	t.Run("a mark is no loss, and does not make it impatient", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.flies(10)
		s.conn.flight.recovery.phase, s.conn.recover = phaseReduced, s.conn.sndNxt
		s.after(trip)
		s.acks(0, [2]int{1, 2})
		s.leaves("one segment ahead", 0, 0)
		s.after(trip / 4)
		s.leaves("the window is over", 0, 1)
	})
}

// "Grow the reordering window per round that sees DSACK. Reset the window after 16 DSACK-free recoveries"
// https://www.rfc-editor.org/rfc/rfc8985.html#section-6.2
func TestReorderingWindowAdapts(t *testing.T) {
	const least, smoothed = 100, 140
	var o reordering
	o.seen = true
	require.EqualValues(t, 25, o.window(least, smoothed, true))
	o.duplicate(1000, 5000)
	require.EqualValues(t, 50, o.window(least, smoothed, true))
	o.duplicate(4999, 9000)
	require.EqualValues(t, 50, o.window(least, smoothed, true), "once a round trip")
	o.duplicate(5000, 9000)
	require.EqualValues(t, 75, o.window(least, smoothed, true))
	for i := range uint32(300) {
		o.duplicate(9000+1000*i, 10000+1000*i)
	}
	require.EqualValues(t, smoothed, o.window(least, smoothed, true), "at most the smoothed round trip")
	for range 15 {
		o.recovered()
	}
	require.EqualValues(t, smoothed, o.window(least, smoothed, true))
	o.recovered()
	require.EqualValues(t, 25, o.window(least, smoothed, true), "sixteen recoveries without")
	o.recovered()
	require.EqualValues(t, 25, o.window(least, smoothed, true))

	o.round = 1 << 31
	o.duplicate(1, 1000)
	require.EqualValues(t, 50, o.window(least, smoothed, true), "a round trip from before the sequence numbers came around is over")
}

func TestDSACKWidensTheReorderingWindow(t *testing.T) {
	t.Run("while something is in flight", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.flies(4)
		s.after(trip)
		s.acks(2, [2]int{0, 1})
		require.EqualValues(t, 1, s.conn.reordering.mult)
	})
	t.Run("and when all has arrived", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.flies(4)
		s.after(trip)
		s.acks(4)
		s.acks(4, [2]int{3, 4})
		require.EqualValues(t, 1, s.conn.reordering.mult)
		require.EqualValues(t, 1, s.host.Counters().DuplicateSACKs)
	})
	t.Run("within the second block", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.flies(6)
		s.after(trip)
		s.acks(1, [2]int{3, 4}, [2]int{2, 5})
		require.EqualValues(t, 1, s.conn.reordering.mult)
	})
	t.Run("not by an acknowledgment that was overtaken", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.flies(6)
		s.after(trip)
		s.acks(6)
		s.acks(0, [2]int{1, 3})
		require.Zero(t, s.conn.reordering.mult, "what it reports has since been acknowledged, but came once")
		require.Zero(t, s.host.Counters().DuplicateSACKs)
	})
}

// "Among all the segments newly ACKed or SACKed by this ACK that pass the checks above, update the RACK.rtt to be the RTT sample
// calculated using this ACK. Furthermore, record the most recent Segment.xmit_ts in RACK.xmit_ts if it is ahead of RACK.xmit_ts."
// https://www.rfc-editor.org/rfc/rfc8985.html#section-6.2
func TestRACKMeasuresByWhatWasSentLast(t *testing.T) {
	s := newSender(t, withSACK)
	s.flies(10)
	s.after(trip)
	s.acks(0, [2]int{1, 5})
	s.leaves("lost", 0, 1)
	s.after(trip)
	s.acks(6)
	k := &s.conn.flight.rack
	require.EqualValues(t, trip, k.rtt, "the first segment's, which was sent again, not that of those which are late")
	require.Equal(t, s.since()-int64(trip), k.sentAt)
	require.Equal(t, s.conn.iss+s.at(1), k.end)

	t.Run("unless it may be the earlier copy that has arrived", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.flies(10)
		s.after(trip)
		s.acks(0, [2]int{1, 5})
		s.leaves("lost", 0, 1)
		s.after(trip / 2)
		s.acks(5)
		require.Equal(t, s.since()-int64(trip+trip/2), s.conn.flight.rack.sentAt, "faster than the path is")
	})
	t.Run("or the timestamp echoed is the earlier copy's", func(t *testing.T) {
		s := newSender(t, withBoth)
		s.flies(10)
		s.after(trip)
		s.acks(0, [2]int{1, 5})
		s.leaves("lost", 0, 1)
		s.after(trip)
		s.acks(5)
		require.Equal(t, s.since()-int64(2*trip), s.conn.flight.rack.sentAt)
	})
}

// What was sent again is forgotten as it arrives: half of the sequence space later it would seem to lie ahead.
func TestResentIsForgotten(t *testing.T) {
	var b sent
	b.push(sentRange{seq: 10, end: 20, sentAt: 1})
	b.push(sentRange{seq: 20, end: 30, sentAt: 2})
	b.resent(10, 20, 3, rateStamp{}, 100)
	require.True(t, b.resends)
	b.discard(15, func(sentRange) {})
	require.True(t, b.resends)
	b.discard(20, func(sentRange) {})
	require.False(t, b.resends)
}

// Limited transmit: each of the first two duplicates lets a new segment leave, and the congestion window stays as it is.
// https://www.rfc-editor.org/rfc/rfc3042.html#section-2
func TestLimitedTransmit(t *testing.T) {
	for _, row := range []struct {
		name    string
		opening seg
	}{{"with SACK", withSACK}, {"without", withNone}} {
		t.Run(row.name, func(t *testing.T) {
			s := newSender(t, row.opening)
			s.flies(10)
			s.send(5)
			s.leaves("cwnd is used up", 0, 0)
			s.after(trip)
			for i := range 2 {
				if row.opening.sackOK {
					s.acks(0, [2]int{1, 2 + i})
				} else {
					s.acks(0)
				}
				s.leaves("a new one", 10+i, 11+i)
				require.Equal(t, 10*s.mss, s.conn.Info().Cwnd)
			}
		})
	}
	t.Run("not beyond the peer's window", func(t *testing.T) {
		s := newSender(t, withNone)
		s.win = 10 * s.mss
		s.acks(0)
		s.flies(10)
		s.send(5)
		s.after(trip)
		s.acks(0)
		s.acks(0)
		s.leaves("there is no room", 0, 0)
	})
}
