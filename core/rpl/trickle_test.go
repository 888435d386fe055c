package rpl

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/timer"
)

// metronome is a trickle of which the test says when in each interval it sends.
type metronome struct {
	trickle
	heap timer.Heap
	now  int64
	draw uint64
	sent []time.Duration // when
}

func newMetronome(min, doublings, k uint8) *metronome {
	m := &metronome{}
	m.trickle = trickle{timers: &m.heap, rand: func() uint64 { return m.draw }, send: func(now int64) {
		m.sent = append(m.sent, time.Duration(now))
	}}
	m.configure(min, doublings, k)
	return m
}

func (m *metronome) advance(d time.Duration) {
	until := m.now + int64(d)
	for m.heap.Next() <= until {
		m.now = m.heap.Next()
		m.heap.Expire(m.now, 1)
	}
	m.now = until
}

const ms = time.Millisecond

func TestTrickleDoubles(t *testing.T) {
	m := newMetronome(3, 2, 1)
	m.start(0)
	m.advance(8*ms + 16*ms + 32*ms + 32*ms + 32*ms)
	require.Equal(t, []time.Duration{4 * ms, 16 * ms, 40 * ms, 72 * ms, 104 * ms}, m.sent,
		"halfway through intervals of 8, 16, and from then on of 32 ms")
}

func TestTrickleSendsInTheSecondHalf(t *testing.T) {
	m := newMetronome(3, 0, 1)
	for _, draw := range []uint64{0, uint64(4*ms) - 1, uint64(4 * ms), 1<<64 - 1} {
		m.draw = draw
		m.start(m.now)
		start := m.now
		at := time.Duration(m.heap.Next() - start)
		require.GreaterOrEqual(t, at, 4*ms)
		require.Less(t, at, 8*ms)
	}
}

func TestTrickleIsSuppressed(t *testing.T) {
	for _, row := range []struct {
		name  string
		k     uint8
		heard int
		sends bool
	}{
		{"nothing heard", 1, 0, true},
		{"one less than k", 3, 2, true},
		{"k", 3, 3, false},
		{"more than k", 3, 7, false},
		{"no suppression", 0, 1000, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := newMetronome(3, 1, row.k)
			m.start(0)
			m.advance(3 * ms)
			for range row.heard {
				m.consistent()
			}
			m.advance(2 * ms)
			require.Equal(t, row.sends, len(m.sent) == 1)
			for range row.heard {
				m.consistent() // too late for this interval, and not for the next
			}
			m.advance(13 * ms)
			require.Equal(t, 16*ms, m.sent[len(m.sent)-1], "each interval counts anew")
		})
	}
}

func TestTrickleNews(t *testing.T) {
	m := newMetronome(3, 4, 1)
	m.start(0)
	m.advance(2 * ms)
	m.inconsistent(m.now)
	m.advance(2 * ms)
	require.Equal(t, []time.Duration{4 * ms}, m.sent, "the least interval goes on")
	m.advance(96 * ms) // in the interval from 56 to 120 ms
	m.sent = nil
	m.consistent()
	m.inconsistent(m.now)
	m.advance(12 * ms)
	require.Equal(t, []time.Duration{104 * ms}, m.sent, "news begins an interval at once, whose counter is 0")
	m.stop()
	require.Equal(t, timer.Never, m.heap.Next())
}

func TestTrickleIntervalsAreBounded(t *testing.T) {
	m := newMetronome(255, 255, 1)
	require.EqualValues(t, ms<<30, m.min)
	require.EqualValues(t, ms<<30, m.max)
}
