package timer

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// alarm is an owner that takes note of when it was called, and may do something then.
type alarm struct {
	timer  Timer
	fired  []int64
	before func() // what the test wants to look at or do
}

func (a *alarm) Expire(now int64) {
	a.fired = append(a.fired, now)
	if a.before != nil {
		a.before()
	}
}

func TestHeapAgainstModel(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 1))
		var h Heap
		alarms := make([]alarm, 1+random.IntN(40))
		deadlines := make(map[*alarm]int64) // the model: what is armed, and for when
		var now int64
		for range 1500 {
			a := &alarms[random.IntN(len(alarms))]
			switch random.IntN(8) {
			case 0, 1:
				deadlines[a] = now + int64(random.IntN(100)) - 5
				h.Arm(&a.timer, a, deadlines[a])
			case 2: // as an acknowledgment does, again and again
				if a.timer.Armed() {
					deadlines[a] += int64(random.IntN(50))
					h.Arm(&a.timer, a, deadlines[a])
				}
			case 3:
				h.Stop(&a.timer)
				delete(deadlines, a)
			case 4:
				h.Remove(&a.timer)
				delete(deadlines, a)
			case 5, 6:
				now += int64(random.IntN(20))
				budget := random.IntN(5)
				order := int64(-1 << 62)
				for i := range alarms {
					a := &alarms[i]
					a.fired = nil
					a.before = func() {
						require.False(t, a.timer.Armed(), "a timer that expires is disarmed")
						require.LessOrEqual(t, order, deadlines[a], "in the order of their deadlines")
						order = deadlines[a]
						require.LessOrEqual(t, order, now, "never early")
						delete(deadlines, a)
						if random.IntN(3) == 0 {
							deadlines[a] = now + 1 + int64(random.IntN(9))
							h.Arm(&a.timer, a, deadlines[a])
						}
					}
				}
				n := h.Expire(now, budget)
				fired := 0
				for i := range alarms {
					fired += len(alarms[i].fired)
				}
				require.Equal(t, n, fired)
				require.LessOrEqual(t, n, budget)
				if n < budget {
					for _, deadline := range deadlines {
						require.Greater(t, deadline, now, "what is due is not left out")
					}
				}
			case 7:
				first := Never
				for _, deadline := range deadlines {
					first = min(first, deadline)
				}
				require.Equal(t, first, h.Next())
			}
			for i := range alarms {
				a := &alarms[i]
				deadline, armed := deadlines[a]
				if !armed {
					deadline = Never
				}
				if a.timer.Armed() != armed || a.timer.Deadline() != deadline {
					require.Fail(t, "a timer does not know when it is due", "%v %v", a.timer, deadline)
				}
			}
			for i, queued := range h.timers {
				if int(queued.index) != i+1 || h.timers[(i-1)/2].queued > queued.queued && i > 0 {
					require.Fail(t, "the heap is out of order")
				}
			}
		}
	}
}

func TestZeroHeap(t *testing.T) {
	var h Heap
	var a alarm
	require.Equal(t, Never, h.Next())
	require.Zero(t, h.Expire(1000, 10))
	require.False(t, a.timer.Armed())
	require.Equal(t, Never, a.timer.Deadline())
	h.Stop(&a.timer)
	h.Remove(&a.timer)
	h.Arm(&a.timer, &a, 5)
	require.EqualValues(t, 5, h.Next())
	require.Zero(t, h.Expire(4, 10))
	require.Equal(t, 1, h.Expire(5, 10), "due at its very nanosecond")
	require.Equal(t, Never, h.Next())
}

func TestArmedMeanwhileForNowIsDue(t *testing.T) {
	var h Heap
	var a alarm
	again := 3
	a.before = func() {
		if again--; again > 0 {
			h.Arm(&a.timer, &a, 7)
		}
	}
	h.Arm(&a.timer, &a, 7)
	require.Equal(t, 2, h.Expire(7, 2), "a budget ends even a timer that never gives up")
	require.Equal(t, 1, h.Expire(7, 2))
	require.Equal(t, []int64{7, 7, 7}, a.fired)
}

func TestExpiryMayRemoveOthers(t *testing.T) {
	var h Heap
	var a, b, c alarm
	a.before = func() { h.Remove(&b.timer); h.Stop(&c.timer) }
	for i, x := range []*alarm{&a, &b, &c} {
		h.Arm(&x.timer, x, int64(i))
	}
	require.Equal(t, 1, h.Expire(10, 10))
	require.Empty(t, b.fired)
	require.Empty(t, c.fired)
	require.Empty(t, h.timers)
}

func TestRemoveForgetsTheOwner(t *testing.T) {
	var h Heap
	var a alarm
	h.Arm(&a.timer, &a, 7)
	h.Remove(&a.timer)
	require.Nil(t, a.timer.owner)
	require.Empty(t, h.timers)
	require.Nil(t, h.timers[:1][0], "nor does the heap's array keep it")
}

func TestMovingLaterTouchesNothingElse(t *testing.T) {
	var h Heap
	alarms := make([]alarm, 100)
	for i := range alarms {
		h.Arm(&alarms[i].timer, &alarms[i], int64(i))
	}
	before := append([]*Timer(nil), h.timers...)
	for i := range alarms {
		h.Arm(&alarms[i].timer, &alarms[i], 1000+int64(i))
	}
	require.Equal(t, before, h.timers)
	require.EqualValues(t, 1000, h.Next())
}

func TestHeapDoesNotAllocate(t *testing.T) {
	var h Heap
	alarms := make([]alarm, 100)
	for i := range alarms {
		alarms[i].fired = make([]int64, 0, 1000)
	}
	now := int64(0)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		for i := range alarms {
			h.Arm(&alarms[i].timer, &alarms[i], now+int64(i%10))
		}
		now += 10
		h.Expire(now, 1000)
	}))
}

func BenchmarkHeap(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		alarms := make([]struct {
			timer Timer
			idle
		}, n)
		b.Run(fmt.Sprint("later/", n), func(b *testing.B) {
			var h Heap
			for i := range alarms {
				h.Arm(&alarms[i].timer, &alarms[i], int64(i))
			}
			now, i := int64(0), 0
			for b.Loop() {
				now += int64(time.Microsecond)
				h.Arm(&alarms[i].timer, &alarms[i], now+int64(time.Second))
				if i++; i == n {
					i = 0
				}
				if i%64 == 0 {
					h.Expire(now, 100)
				}
			}
			for i := range alarms {
				h.Remove(&alarms[i].timer)
			}
		})
	}
}

type idle struct{}

func (idle) Expire(int64) {}
