package tcp

import (
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReceiveTuningSize(t *testing.T) {
	assert.LessOrEqual(t, unsafe.Sizeof(receiveTuning{}), uintptr(32))
}

// tuned is a receiver whose reader takes what arrives, in pieces of a segment, and a sender that sends what its own window, the
// receiver's and the path allow in each round trip.
type tuned struct {
	receiveTuning
	now    int64
	rtt    time.Duration
	buffer int
	limit  int
	rcvNxt uint32
	stamps bool
}

const tunedMSS = 1000

func newTuned(rtt time.Duration, stamps bool) *tuned {
	r := &tuned{now: 1e9, rtt: rtt, buffer: 64 << 10, limit: 6 << 20, rcvNxt: 1<<32 - 5000, stamps: stamps}
	r.start(r.now, tunedMSS)
	return r
}

// roundTrip has as many octets arrive, or as many as the window has room for.
func (r *tuned) roundTrip(octets int) {
	octets = min(octets, r.buffer)
	segments := max(octets/tunedMSS, 1)
	for range segments {
		r.now += int64(r.rtt) / int64(segments)
		r.rcvNxt += tunedMSS
		if r.stamps {
			r.sampleRTT(int64(r.rtt))
		}
		r.received(r.now, r.rcvNxt, r.buffer)
		r.buffer, _ = r.consumed(r.now, tunedMSS, r.buffer, r.limit)
	}
}

func TestReceiveTuningNeverHoldsBackSlowStart(t *testing.T) {
	for _, rtt := range []time.Duration{100 * time.Microsecond, 20 * time.Millisecond, 600 * time.Millisecond} {
		t.Run(rtt.String(), func(t *testing.T) {
			r := newTuned(rtt, true)
			for flight := 10 * tunedMSS; flight < r.limit; flight *= 2 {
				require.GreaterOrEqual(t, r.buffer, flight)
				r.roundTrip(flight)
			}
			r.roundTrip(r.limit)
			r.roundTrip(r.limit)
			assert.Equal(t, r.limit, r.buffer)
		})
	}
}

func TestReceiveTuningWithoutTimestamps(t *testing.T) {
	// The round-trip time is found by how long a window takes, whether it is known from the handshake or not.
	for _, handshake := range []time.Duration{0, 40 * time.Millisecond} {
		t.Run(handshake.String(), func(t *testing.T) {
			r := newTuned(40*time.Millisecond, false)
			r.sampleRTT(int64(handshake))
			for range 30 {
				r.roundTrip(1 << 20)
			}
			assert.GreaterOrEqual(t, r.buffer, 1<<20, "as much as the sender sends in a round trip")
		})
	}
}

func TestReceiveTuningSettles(t *testing.T) {
	// A sender that sends no more than the path carries, 200 kB in a round trip, needs no more than twice of it and the allowance
	// for growth.
	r := newTuned(50*time.Millisecond, true)
	for flight := 10 * tunedMSS; flight < 200*tunedMSS; flight *= 2 {
		r.roundTrip(flight)
	}
	for range 1000 {
		r.roundTrip(200 * tunedMSS)
	}
	assert.GreaterOrEqual(t, r.buffer, 400*tunedMSS)
	assert.LessOrEqual(t, r.buffer, 4*202*tunedMSS)
}

func TestReceiveTuningIsNotMisledByPauses(t *testing.T) {
	// What is read after a pause has not grown, if as much was read before.
	r := newTuned(50*time.Millisecond, true)
	r.sampleRTT(50e6)
	read := func(octets int) {
		r.now += 50e6
		r.buffer, _ = r.consumed(r.now, octets, r.buffer, r.limit)
	}
	for octets := 10_000; octets <= 100_000; octets += 1000 {
		read(octets)
	}
	settled := r.buffer
	for range 10 {
		read(5000)
		read(100_000)
	}
	assert.Equal(t, settled, r.buffer)
}

func TestReceiveTuningSlowSender(t *testing.T) {
	r := newTuned(50*time.Millisecond, true)
	for range 1000 {
		r.roundTrip(5 * tunedMSS)
	}
	assert.Equal(t, 64<<10, r.buffer)
}

func TestReceiveTuningSlowReader(t *testing.T) {
	// However much arrives, what the reader takes counts.
	r := newTuned(50*time.Millisecond, true)
	r.sampleRTT(50e6)
	for range 100 {
		r.now += 50e6
		r.rcvNxt += 60_000
		r.received(r.now, r.rcvNxt, r.buffer)
		r.buffer, _ = r.consumed(r.now, 2000, r.buffer, r.limit)
	}
	assert.Equal(t, 64<<10, r.buffer)
}

func TestReceiveTuningLimits(t *testing.T) {
	r := newTuned(50*time.Millisecond, true)
	r.sampleRTT(50e6)
	t.Run("nothing is known without a round-trip time", func(t *testing.T) {
		var unknown receiveTuning
		unknown.start(1, tunedMSS)
		buffer, changed := unknown.consumed(1e12, 1<<20, 64<<10, 6<<20)
		assert.False(t, changed)
		assert.Equal(t, 64<<10, buffer)
	})
	t.Run("four times what was read, however fast it grows", func(t *testing.T) {
		r := newTuned(50*time.Millisecond, true)
		r.sampleRTT(50e6)
		buffer, changed := r.consumed(r.now+50e6, 1<<20, 64<<10, 6<<20)
		assert.True(t, changed)
		assert.Equal(t, 4<<20, buffer)
	})
	t.Run("the limit", func(t *testing.T) {
		buffer, changed := r.consumed(r.now+50e6, 1<<30, 64<<10, 6<<20)
		assert.True(t, changed)
		assert.Equal(t, 6<<20, buffer)
	})
	t.Run("a limit less than the buffer shrinks nothing", func(t *testing.T) {
		r := newTuned(50*time.Millisecond, true)
		r.sampleRTT(50e6)
		buffer, changed := r.consumed(r.now+50e6, 1<<20, 64<<10, 1000)
		assert.False(t, changed)
		assert.Equal(t, 64<<10, buffer)
	})
}

func TestReceiveTuningIdle(t *testing.T) {
	r := newTuned(20*time.Millisecond, true)
	for range 20 {
		r.roundTrip(1 << 20)
	}
	large := r.buffer
	require.Greater(t, large, 1<<20)

	buffer, changed := r.idle(r.now+9e9, large, 64<<10, tunedMSS)
	assert.False(t, changed, "a pause")
	assert.Equal(t, large, buffer)

	r.now += 11e9
	r.buffer, changed = r.idle(r.now, large, 64<<10, tunedMSS)
	assert.True(t, changed)
	assert.Equal(t, 64<<10, r.buffer)

	_, changed = r.idle(r.now+11e9, r.buffer, 64<<10, tunedMSS)
	assert.False(t, changed, "once")

	for range 20 {
		r.roundTrip(1 << 20)
	}
	assert.Greater(t, r.buffer, 1<<20, "it grows as it did before")
}

func TestReceiveTuningRTT(t *testing.T) {
	var r receiveTuning
	r.sampleRTT(0)
	assert.Zero(t, r.rtt)
	r.sampleRTT(10)
	assert.Equal(t, uint32(1), r.rtt, "at least a microsecond")
	r.rtt = 0
	r.sampleRTT(int64(time.Hour) * 10)
	assert.Equal(t, ^uint32(0), r.rtt)

	r = receiveTuning{}
	r.sampleRTT(80_000)
	r.sampleRTT(160_000)
	assert.Equal(t, uint32(90), r.rtt, "smoothed")
	r.received(1000, 5000, 10_000)
	r.received(30_000, 14_999, 10_000)
	assert.Equal(t, uint32(90), r.rtt, "the window is not over")
	r.received(41_000, 15_000, 10_000)
	assert.Equal(t, uint32(40), r.rtt, "a window takes at least a round trip")
	r.received(1_041_000, 25_000, 10_000)
	assert.Equal(t, uint32(40), r.rtt, "or more")
	r.received(1_042_000, 36_000, 0)
	assert.Equal(t, uint32(1), r.rtt)
	assert.Zero(t, r.windowAt, "a closed window measures nothing")
}

func TestSendBuffer(t *testing.T) {
	for _, row := range []struct {
		name                      string
		cwnd, mss, current, limit int
		want                      int
	}{
		{"twice the window", 100_000, 1000, 16 << 10, 4 << 20, 200_000},
		{"at least two initial windows", 1000, 1000, 16 << 10, 4 << 20, 20_000},
		{"at most the limit", 8 << 20, 1000, 16 << 10, 4 << 20, 4 << 20},
		{"no shrinking", 10_000, 1000, 200_000, 4 << 20, 200_000},
		{"no shrinking to the limit", 10_000, 1000, 200_000, 100_000, 200_000},
		{"a window without bound", 1 << 30, 1000, 16 << 10, 4 << 20, 4 << 20},
	} {
		t.Run(row.name, func(t *testing.T) {
			assert.Equal(t, row.want, sendBuffer(row.cwnd, row.mss, row.current, row.limit))
		})
	}
}
