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

func TestMTUProbeSize(t *testing.T) {
	assert.LessOrEqual(t, unsafe.Sizeof(mtuProbe{}), uintptr(32))
}

// mtuScript is a probe and what happens to it.
type mtuScript struct {
	*testing.T
	mtuProbe
	now int64
}

func mtuStart(t *testing.T, mss, link int, ipv6 bool) *mtuScript {
	s := &mtuScript{T: t, now: 1e9}
	s.start(mss, link, ipv6)
	return s
}

func (s *mtuScript) timesOut(size, count int) int {
	before := int(s.mss)
	mss, changed := s.timeout(s.now, size, count)
	require.Equal(s, mss != before, changed)
	return mss
}

// search probes as often as it may for the given time on a path that carries size, whose routers say so or not, and returns how
// many probes were lost.
func (s *mtuScript) search(size int, routersSpeak bool, d time.Duration) (lost int) {
	for end := s.now + int64(d); s.now < end; s.now += 1e8 {
		probe, ok := s.probeDue(s.now, 1<<20, false)
		if !ok {
			continue
		}
		require.Greater(s, probe, int(s.mss))
		require.LessOrEqual(s, probe, int(s.link))
		s.probeSent(probe)
		_, again := s.probeDue(s.now, 1<<20, false)
		require.False(s, again, "one at a time")
		if probe <= size {
			mss, changed := s.probeAcked(s.now)
			require.True(s, changed)
			require.Equal(s, probe, mss)
			continue
		}
		lost++
		if routersSpeak {
			mss, changed := s.tooBig(s.now, size)
			require.False(s, changed, "what is in use passes")
			require.Equal(s, int(s.mss), mss)
		}
		s.probeLost(s.now)
	}
	return lost
}

func TestMTUBlackHole(t *testing.T) {
	s := mtuStart(t, 1460, 1460, false)
	assert.Equal(t, 1460, s.timesOut(1460, 1))
	assert.Equal(t, 1460, s.timesOut(1460, 2))
	assert.Equal(t, 1024, s.timesOut(1460, 3), "three in a row")
	assert.Equal(t, 512, s.timesOut(1024, 4), "that did not help")
	s.delivered(s.now, 512)
	_, ok := s.probeDue(s.now, 1<<20, false)
	assert.False(t, ok, "not at once")

	// The path carries 900 octets; it takes a while to find out.
	s.now += 6e9
	s.search(900, false, 3*time.Minute)
	assert.InDelta(t, 900, int(s.mss), mtuGap)
}

func TestMTUBlackHoleWhereSmallSegmentsPass(t *testing.T) {
	s := mtuStart(t, 1460, 1460, false)
	s.delivered(s.now, 200)
	assert.Equal(t, 1460, s.timesOut(1460, 1))
	assert.Equal(t, 1024, s.timesOut(1460, 2))

	s = mtuStart(t, 1460, 1460, false)
	s.delivered(s.now, 200)
	s.delivered(s.now, 1460)
	assert.Equal(t, 1460, s.timesOut(1460, 2), "large ones have passed as well")
	assert.Equal(t, 1024, s.timesOut(1460, 3), "but do no longer")
}

func TestMTUBlackHoleFallsToWhatHasPassed(t *testing.T) {
	s := mtuStart(t, 1460, 1460, false)
	s.delivered(s.now, 1300)
	assert.Equal(t, 1300, s.timesOut(1460, 2))
	assert.Equal(t, 1024, s.timesOut(1300, 3))
	assert.Equal(t, 512, s.timesOut(1024, 4))
}

func TestMTUSmallSegmentsAreNotLostForTheirSize(t *testing.T) {
	s := mtuStart(t, 1460, 1460, false)
	for count := 1; count <= 15; count++ {
		assert.Equal(t, 1460, s.timesOut(512, count))
	}
	s = mtuStart(t, 1460, 1460, false)
	assert.Equal(t, 512, s.timesOut(700, 3), "1024 would leave it as it is")
}

func TestMTUOutage(t *testing.T) {
	// Nothing passes for a long time: the size is lowered, and restored, and lowered again; it is what it was if that is what
	// the path carries when it is back.
	s := mtuStart(t, 1460, 1460, false)
	var sizes []int
	size := 1460
	for count := 1; count <= 15; count++ {
		size = s.timesOut(size, count)
		sizes = append(sizes, size)
	}
	assert.Equal(t, []int{1460, 1460, 1024, 512, 512, 1460, 1460, 1460, 1024, 512, 512, 1460, 1460, 1460, 1024}, sizes)

	s.delivered(s.now, 1024)
	s.now += 6e9
	lost := s.search(1460, false, time.Second)
	assert.Zero(t, lost)
	assert.Equal(t, 1460, int(s.mss), "the first probe is of the size before")
	_, ok := s.probeDue(s.now+int64(time.Hour), 1<<20, false)
	assert.False(t, ok, "nothing is larger")
}

func TestMTUTimeoutsWithProgressBetween(t *testing.T) {
	s := mtuStart(t, 1460, 1460, false)
	assert.Equal(t, 1024, s.timesOut(1460, 3))
	s.delivered(s.now, 1024)
	assert.Equal(t, 1024, s.timesOut(1024, 1))
	assert.Equal(t, 1024, s.timesOut(1024, 2))
	assert.Equal(t, 512, s.timesOut(1024, 3))
}

func TestMTULargeSegmentArrivesAfterAll(t *testing.T) {
	s := mtuStart(t, 1460, 1460, false)
	assert.Equal(t, 1024, s.timesOut(1460, 3))
	s.delivered(s.now, 1460)
	size, ok := s.probeDue(s.now, 1<<20, false)
	assert.True(t, ok)
	assert.Equal(t, 1460, size)
}

func TestMTUIPv6HasNothingBelowItsMinimum(t *testing.T) {
	s := mtuStart(t, 1440, 1440, true)
	assert.Equal(t, 1220, s.timesOut(1440, 3))
	assert.Equal(t, 1220, s.timesOut(1220, 4))
	assert.Equal(t, 1440, s.timesOut(1220, 5))

	s = mtuStart(t, 1220, 1220, true)
	assert.Equal(t, 1220, s.timesOut(1220, 10))

	s = mtuStart(t, 8940, 8940, true)
	mss, changed := s.tooBig(s.now, 1000)
	assert.True(t, changed)
	assert.Equal(t, 1220, mss)
}

func TestMTUTooBig(t *testing.T) {
	for _, row := range []struct {
		name     string
		reported int
		mss      int
	}{
		{"less", 1300, 1300},
		{"a little less", 1459, 1459},
		{"what it is", 1460, 1460},
		{"more", 9000, 1460},
		{"more than there can be", 1 << 20, 1460},
		{"the floor", 512, 512},
		{"less than the floor", 28, 512},
		{"nothing", 0, 512},
		{"less than nothing", -40, 512},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := mtuStart(t, 1460, 1460, false)
			mss, changed := s.tooBig(s.now, row.reported)
			assert.Equal(t, row.mss, mss)
			assert.Equal(t, row.mss != 1460, changed)
			_, ok := s.probeDue(s.now+599e9, 1<<20, false)
			assert.False(t, ok, "routers are believed for ten minutes")
			size, ok := s.probeDue(s.now+600e9, 1<<20, false)
			if row.mss <= 1460-mtuGap {
				assert.True(t, ok)
				assert.Equal(t, 1460, size)
			} else {
				assert.False(t, ok)
			}
		})
	}
}

func TestMTUTooBigDuringABlackHole(t *testing.T) {
	s := mtuStart(t, 1460, 1460, false)
	assert.Equal(t, 1024, s.timesOut(1460, 3))
	_, changed := s.tooBig(s.now, 1400)
	assert.False(t, changed)
	s.delivered(s.now, 1024)
	s.now += 6e9
	assert.Zero(t, s.search(1400, false, time.Second), "the router's word is what is probed first")
	assert.Equal(t, 1400, int(s.mss))
}

func TestMTURestoresNoMoreThanARouterCarries(t *testing.T) {
	s := mtuStart(t, 1460, 1460, false)
	assert.Equal(t, 1024, s.timesOut(1460, 3))
	s.tooBig(s.now, 1400)
	assert.Equal(t, 512, s.timesOut(1024, 4))
	assert.Equal(t, 1400, s.timesOut(512, 6))
}

func TestMTUProbesASizeThreeTimes(t *testing.T) {
	s := mtuStart(t, 1024, 1460, false)
	for range mtuProbes {
		size, ok := s.probeDue(s.now, 1<<20, false)
		require.True(t, ok)
		require.Equal(t, 1460, size)
		s.probeSent(size)
		s.probeLost(s.now)
		_, ok = s.probeDue(s.now, 1<<20, false)
		require.False(t, ok, "there is a pause")
		s.now += mtuPause
	}
	size, _ := s.probeDue(s.now, 1<<20, false)
	assert.Equal(t, 1242, size, "the middle")
}

func TestMTUSearch(t *testing.T) {
	for _, link := range []int{1460, 8960} {
		for _, size := range []int{1024, 1100, 1380, 1412, 1452, 1460, 4000, 8960} {
			if size > link {
				continue
			}
			for _, speaking := range []bool{false, true} {
				name := strconv.Itoa(size) + " of " + strconv.Itoa(link) + " with routers that speak " + strconv.FormatBool(speaking)
				t.Run(name, func(t *testing.T) {
					s := mtuStart(t, 1024, link, false)
					lost := s.search(size, speaking, 9*time.Minute)
					assert.LessOrEqual(t, int(s.mss), size)
					assert.Greater(t, int(s.mss), size-mtuGap)
					if speaking {
						assert.LessOrEqual(t, lost, 1)
					} else {
						assert.LessOrEqual(t, lost, 11*mtuProbes)
					}
				})
			}
		}
	}
}

func TestMTUSearchSurvivesLosses(t *testing.T) {
	// A third of the probes is lost, whatever their size: those of a size that passes hardly ever three in a row.
	random := rand.New(rand.NewPCG(3, 4))
	s := mtuStart(t, 1024, 8960, false)
	for end := s.now + int64(40*time.Minute); s.now < end; s.now += 1e8 {
		if probe, ok := s.probeDue(s.now, 1<<20, false); ok {
			s.probeSent(probe)
			if probe <= 4400 && random.IntN(3) > 0 {
				s.probeAcked(s.now)
			} else {
				s.probeLost(s.now)
			}
		}
	}
	assert.InDelta(t, 4400, int(s.mss), mtuGap)
}

func TestMTUSearchBeginsAnew(t *testing.T) {
	s := mtuStart(t, 1024, 1460, false)
	s.search(1300, false, 5*time.Minute)
	require.InDelta(t, 1300, int(s.mss), mtuGap)
	before := s.mss
	assert.Zero(t, s.search(1460, false, 4*time.Minute), "not yet")
	assert.Equal(t, before, s.mss)
	assert.Zero(t, s.search(1460, false, 10*time.Minute))
	assert.Equal(t, 1460, int(s.mss), "the path has become better")
}

func TestMTUProbePreconditions(t *testing.T) {
	s := mtuStart(t, 1024, 1460, false)
	for _, row := range []struct {
		name       string
		available  int
		recovering bool
		due        bool
	}{
		{"enough to send", 1460 + 3*1024, false, true},
		{"too little behind it", 1460 + 3*1024 - 1, false, false},
		{"losses being recovered from", 1 << 20, true, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, ok := s.probeDue(s.now, row.available, row.recovering)
			assert.Equal(t, row.due, ok)
		})
	}
}

func TestMTUBounds(t *testing.T) {
	// Whatever is told, in whatever order, the size stays between the floor and what link and peer allow.
	random := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		link := 1 + random.IntN(65535)
		start, ipv6 := random.IntN(70000), random.IntN(2) == 0
		s := mtuStart(t, start, link, ipv6)
		floor := int(s.floor)
		for range 500 {
			s.now += random.Int64N(20e9)
			switch random.IntN(6) {
			case 0:
				s.tooBig(s.now, random.IntN(80000)-1000)
			case 1:
				s.timeout(s.now, random.IntN(66000), random.IntN(300))
			case 2:
				s.delivered(s.now, random.IntN(66000))
			case 3:
				s.probeAcked(s.now)
			case 4:
				s.probeLost(s.now)
			case 5:
				if size, ok := s.probeDue(s.now, 1<<20, false); ok {
					require.LessOrEqual(t, size, link)
					require.Greater(t, size, int(s.mss))
					s.probeSent(size)
				}
			}
			require.LessOrEqual(t, int(s.mss), link)
			require.GreaterOrEqual(t, int(s.mss), floor)
			require.LessOrEqual(t, s.mss, s.high)
		}
	}
}
