package tcpsim

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev/fault"
)

var (
	seed  = flag.Uint64("seed", 0, "the one seed that TestChaos runs, instead of all")
	log   = flag.Bool("log", false, "print every segment")
	first = flag.Uint64("first", 1, "the first of the seeds that TestChaos runs")
	seeds = flag.Int("seeds", defaultSeeds, "how many seeds TestChaos runs, beside a fresh one")
)

// controls are the congestion controls that there are to be; accepted are those of them that the stack has.
var controls = []string{"none", "reno", "cubic", "bbr"}

func accepted() (names []string) {
	for _, name := range controls {
		if Accepts(name) {
			names = append(names, name)
		}
	}
	return names
}

// shards is how many parallel tests the seeds are spread over.
const shards = 16

// TestChaos runs many scenarios, the same each time, and one that is new each time; the log says which.
func TestChaos(t *testing.T) {
	if *seed != 0 {
		runChaos(t, *seed, func(s *Scenario, r *Result) { t.Logf("%v%+v", s, r) })
		return
	}
	fresh := rand.Uint64()
	t.Logf("the fresh seed is %d", fresh)
	var flows, wrapped, injured [2]atomic.Int64
	var kinds [6]atomic.Int64
	count := func(s *Scenario, r *Result) {
		for _, f := range r.Flows {
			for side, isn := range f.ISN {
				flows[side].Add(1)
				if isn+uint32(f.Octets[side]) < isn {
					wrapped[side].Add(1)
				}
			}
		}
		for _, l := range r.Faults {
			for i, c := range []uint64{
				l.AtoB.Dropped.Total(), l.AtoB.Corrupted, l.AtoB.Duplicated, l.AtoB.Reordered, l.AtoB.Dropped.Queue, l.AtoB.Dropped.Script,
			} {
				if c > 0 {
					kinds[i].Add(1)
				}
			}
			injured[0].Add(int64(l.AtoB.Dropped.Total() + l.AtoB.Corrupted + l.AtoB.Duplicated + l.AtoB.Reordered))
			injured[1].Add(int64(l.BtoA.Dropped.Total() + l.BtoA.Corrupted + l.BtoA.Duplicated + l.BtoA.Reordered))
		}
	}
	t.Run("seeds", func(t *testing.T) {
		for shard := range shards {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				for i := shard; i < *seeds; i += shards {
					runChaos(t, *first+uint64(i), count)
				}
				if shard == 0 {
					runChaos(t, fresh, count)
				}
			})
		}
	})
	for side := range flows {
		require.Greater(t, 5*wrapped[side].Load(), flows[side].Load(), "many of the flows wrap, this way: %d", side)
		require.Greater(t, injured[side].Load(), flows[side].Load(), "the links do harm, this way: %d", side)
	}
	for i := range kinds {
		require.Positive(t, kinds[i].Load(), "each kind of harm is done: %d", i)
	}
}

func runChaos(t *testing.T, seed uint64, look func(*Scenario, *Result)) {
	s, err := Chaos(seed, accepted())
	require.NoError(t, err)
	if *log {
		s.Log = os.Stderr
	}
	r, err := Run(s)
	if err != nil {
		t.Errorf("go test -run TestChaos -seed %d: %v\n%v", seed, err, &s)
		return
	}
	look(&s, r)
}

// The same seed gives the same segments at the same times.
func TestChaosIsReproducible(t *testing.T) {
	for seed := range uint64(20) {
		var traces [3]uint64
		for i := range traces {
			runChaos(t, seed+1, func(_ *Scenario, r *Result) { traces[i] = r.Trace })
		}
		require.NotZero(t, traces[0])
		require.Equal(t, traces[0], traces[1], "seed %d", seed+1)
		require.Equal(t, traces[0], traces[2], "seed %d", seed+1)
	}
}

// Every scenario is one worth running.
func TestChaosScenarios(t *testing.T) {
	for seed := range uint64(200) {
		s, err := Chaos(seed, accepted())
		require.NoError(t, err)
		for _, l := range s.Links {
			d, kinds := l.AtoB, 0
			outage := false
			for at := time.Duration(0); at < 5*time.Second && d.Script != nil; at += 10 * time.Millisecond {
				outage = outage || d.Script(fault.Frame{Now: epoch.Add(at), TCP: make(wire.TCPPacket, 20)}) == fault.Drop
			}
			for _, on := range []bool{
				d.Drop > 0, d.Corrupt > 0, d.Duplicate > 0, d.Reorder > 0, d.Jitter > 0, d.Bandwidth > 0, d.Rate > 0, outage,
			} {
				if on {
					kinds++
				}
			}
			require.GreaterOrEqual(t, kinds, leastFaults, "%v", &s)
		}
		for _, f := range s.Flows {
			require.GreaterOrEqual(t, min(f.Octets[0], f.Octets[1]), 256<<10)
		}
	}
}
