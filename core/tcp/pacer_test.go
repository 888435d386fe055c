package tcp

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPacerSize(t *testing.T) {
	assert.LessOrEqual(t, unsafe.Sizeof(pacer{}), uintptr(24))
}

// paced sends segments of need octets whenever the pacer lets it, waking late by what late returns, for the given time, and
// returns what has left.
func paced(t *testing.T, p *pacer, start, rate int64, mss, need int, span int64, late func() int64) (total int64) {
	t.Helper()
	for now := start; now < start+span; {
		if p.budget(now, rate, mss) >= need {
			p.sent(now, need)
			total += int64(need)
			continue
		}
		at := p.next(now, rate, mss, need)
		if at <= now {
			t.Fatal("a wait that is none")
		}
		now = at + late()
	}
	return total
}

func TestPacerKeepsTheRate(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	punctual := func() int64 { return 0 }
	for _, row := range []struct {
		name string
		rate int64
		mss  int
		need int
		span time.Duration
		late func() int64
	}{
		{"a modem", 7001, 536, 536, time.Hour, punctual},
		{"one octet at a time", 999, 1, 1, 10 * time.Minute, punctual},
		{"a megabit", 125_000, 1448, 1448, time.Hour, punctual},
		{"a gigabit, segments", 125_000_000, 1448, 1448, 2 * time.Second, punctual},
		{"a gigabit, super-segments", 125_000_000, 1448, 45 * 1448, 20 * time.Second, punctual},
		{"a gigabit, late timers", 125_000_000, 1448, 1448, 2 * time.Second, func() int64 { return random.Int64N(1_500_000) }},
		{"100 Gbit/s", 12_500_000_000, 8948, 7 * 8948, time.Second, punctual},
		{"100 Gbit/s, late timers", 12_500_000_000, 8948, 7 * 8948, time.Second, func() int64 { return random.Int64N(50_000) }},
		{"a rate without a round number", 1_234_567, 1447, 1447, 10 * time.Minute, punctual},
	} {
		t.Run(row.name, func(t *testing.T) {
			var p pacer
			p.budget(1, row.rate, row.mss) // as of now
			p.sent(1, int(p.credit))
			total := paced(t, &p, 1, row.rate, row.mss, row.need, int64(row.span), row.late)
			expected := float64(row.rate) * row.span.Seconds()
			assert.InEpsilon(t, expected, float64(total), 0.001)
		})
	}
}

func TestPacerAllowance(t *testing.T) {
	for _, row := range []struct {
		name      string
		rate      int64
		mss       int
		allowance int
	}{
		{"an initial window at a low rate", 1000, 1448, 14480},
		{"an initial window of large segments", 1000, 4000, 14600},
		{"two segments of jumbo frames", 1000, 8948, 17896},
		{"a millisecond", 20_000_000, 1448, 20_000},
		{"a super-segment at a high rate", 12_500_000_000, 1448, 64 << 10},
		{"two segments even of jumbo frames", 12_500_000_000, 60000, 120_000},
		{"beyond any rate", 1<<63 - 1, 1448, 64 << 10},
	} {
		for _, idle := range []time.Duration{0, time.Minute, 100 * time.Hour, 200 * 365 * 24 * time.Hour} {
			t.Run(row.name+" after "+idle.String(), func(t *testing.T) {
				var p pacer
				require.Equal(t, row.allowance, p.budget(0, row.rate, row.mss), "the first burst")
				p.sent(0, row.allowance)
				if idle == 0 {
					require.Zero(t, p.budget(0, row.rate, row.mss))
					return
				}
				require.Equal(t, row.allowance, p.budget(int64(idle), row.rate, row.mss))
				p.sent(int64(idle), row.allowance)
				require.Zero(t, p.budget(int64(idle), row.rate, row.mss))
			})
		}
	}
}

func TestPacerOwesWhatALateTimerCost(t *testing.T) {
	const rate, mss = 100_000_000, 1000 // an octet in 10 ns
	var p pacer
	p.budget(1, rate, mss)
	p.sent(1, 64<<10)
	require.Equal(t, p.next(1, rate, mss, 1000), p.due)
	due := p.due

	// The timer fires 1.5 ms late: what was to leave in that time may leave at once, beside the burst of 65536 octets, which
	// would have been all otherwise.
	now := due + 1_500_000
	require.InDelta(t, 1000+150_000, p.budget(now, rate, mss), 1)
	p.sent(now, 100_000)
	require.InDelta(t, 51_000, p.budget(now, rate, mss), 1)
	require.InDelta(t, 51_100, p.budget(now+1000, rate, mss), 1, "in turn with others, a little later")

	// A pause after that is no lateness.
	require.Equal(t, 64<<10, p.budget(now+int64(time.Minute), rate, mss))
}

func TestPacerIdleIsNoLateness(t *testing.T) {
	const rate, mss = 100_000_000, 1000
	var p pacer
	p.budget(1, rate, mss)
	p.sent(1, 64<<10)
	now := p.next(1, rate, mss, 1000)
	p.sent(now, p.budget(now, rate, mss))
	require.Equal(t, 64<<10, p.budget(now+int64(time.Hour), rate, mss))
}

func TestPacerDebt(t *testing.T) {
	const rate, mss = 1_000_000, 1000
	var p pacer
	p.budget(1, rate, mss)
	p.sent(1, 20_000) // a super-segment, say
	require.Zero(t, p.budget(1, rate, mss))
	require.Equal(t, int64(1+11_000_000), p.next(1, rate, mss, 1000), "10000 octets of debt and 1000 more")
	require.Equal(t, int64(1+20_000_000), p.next(1, rate, mss, 50_000), "no more than the allowance can be waited for")
	require.Equal(t, int64(5), p.next(5, 0, mss, 1000), "no rate, no wait")
}

func TestPacerNextIsNeitherEarlyNorLate(t *testing.T) {
	for _, rate := range []int64{333, 1_234_567, 7_654_321_987} {
		var p pacer
		p.budget(1, rate, 1448)
		p.sent(1, 1<<20)
		now := int64(1)
		for range 100 {
			at := p.next(now, rate, 1448, 1000)
			early := p
			require.Less(t, early.budget(at-1, rate, 1448), 1000)
			require.GreaterOrEqual(t, p.budget(at, rate, 1448), 1000)
			p.sent(at, 1001)
			now = at
		}
	}
}

func TestPacerRateChanges(t *testing.T) {
	var p pacer
	p.budget(1, 1_000_000, 1000)
	p.sent(1, 10_000)
	// 300 µs at 1 Moctet/s and 350 µs at 2 Moctets/s, in steps that are no whole octets.
	for now := int64(1); now <= 300_001; now += 333 {
		p.budget(now, 1_000_000, 1000)
	}
	p.budget(300_001, 1_000_000, 1000)
	for now := int64(300_001); now <= 650_001; now += 77 {
		p.budget(now, 2_000_000, 1000)
	}
	require.Equal(t, 1000, p.budget(650_001, 2_000_000, 1000))
}

func TestPacerWithoutRate(t *testing.T) {
	var p pacer
	for now := range int64(10) {
		require.Equal(t, pacerUnlimited, p.budget(now, 0, 1448))
		p.sent(now, 1<<20)
	}
	require.Equal(t, 10*1448, p.budget(20, 1000, 1448), "nothing is owed for what was not paced")
	p.sent(20, pacerUnlimited)
	p.sent(20, pacerUnlimited)
	require.Zero(t, p.budget(20, 1, 1448))
	require.Positive(t, p.next(20, 1, 1448, 1448), "no overflow")
}

func TestPacerTimeStandsStillOrGoesBack(t *testing.T) {
	var p pacer
	p.budget(1000, 1_000_000, 1000)
	p.sent(1000, 10_000)
	for _, now := range []int64{1000, 999, 0} {
		require.Zero(t, p.budget(now, 1_000_000, 1000), strconv.FormatInt(now, 10))
	}
}
