package tcpsim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smolnet/smolnet/dev/fault"
)

// The bottleneck that flows share: 20 Mbit/s with a drop-tail queue of one bandwidth-delay product, over 40 ms.
const (
	bottleneck      = 2_500_000 // octets a second
	bottleneckRTT   = 40 * time.Millisecond
	bottleneckQueue = bottleneck / 25
)

// The flows have some time to find their shares, and are then measured.
const (
	fairFrom = 20 * time.Second
	fairTo   = 80 * time.Second
)

// mixes are the congestion controls that share the bottleneck, flow by flow in turns, and the least of Jain's index that up to eight
// flows of them must reach, and that sixteen must, and the least share of the bottleneck that they must use together.
//
// Flows of the same kind share evenly. Sixteen of BBR's do so in most runs, but not in all: they are limited by their windows of twice what
// they take for their share of the path, which with a queue of one bandwidth-delay product upholds whatever shares they have, and who
// has once got several times as much as the others may keep it for a minute.
//
// Between kinds it is known that they do not: what limits BBR's version 1 fills a queue as large as this, loss does not slow it down, and
// so Reno and CUBIC are left with little. Nobody may be left with nothing: see leastShare.
var mixes = []struct {
	controls []string
	jain     float64
	crowded  float64
	used     float64
}{
	{[]string{"none"}, 0.95, 0.95, 0.90},
	{[]string{"reno"}, 0.97, 0.97, 0.95},
	{[]string{"cubic"}, 0.97, 0.97, 0.95},
	{[]string{"bbr"}, 0.90, 0.40, 0.95},
	{[]string{"reno", "cubic"}, 0.95, 0.93, 0.95},
	{[]string{"reno", "bbr"}, 0.50, 0.55, 0.95},
	{[]string{"cubic", "bbr"}, 0.50, 0.55, 0.95},
}

// leastShare is how much of an even share every flow must get.
const leastShare = 0.03

// jain is Jain's fairness index: 1 if all have the same, 1/n if one has all.
func jain(shares []float64) float64 {
	var sum, squares float64
	for _, x := range shares {
		sum += x
		squares += x * x
	}
	return sum * sum / (float64(len(shares)) * squares)
}

func TestFairness(t *testing.T) {
	measured(t)
	counts := []int{2, 4, 8, 16}
	results := make(map[string][][]float64)
	t.Run("mixes", func(t *testing.T) {
		for _, m := range mixes {
			if !all(m.controls, Accepts) {
				continue
			}
			name := strings.Join(m.controls, "+")
			shares := make([][]float64, len(counts))
			results[name] = shares
			for i, count := range counts {
				t.Run(fmt.Sprintf("%s %d", name, count), func(t *testing.T) {
					t.Parallel()
					shares[i] = rates(t, fairScenario(m.controls, count), fairFrom, fairTo)
				})
			}
		}
	})
	table := newTable("Jain's index of flows that share 20 Mbit/s with a queue of 100 kB over 40 ms, and the share of it that they",
		"use together, by how many they are; below, the least and the largest octets a second of one.")
	table.corner = "flows"
	for _, count := range counts {
		table.columns = append(table.columns, fmt.Sprint(count), "used")
	}
	for _, m := range mixes {
		name := strings.Join(m.controls, "+")
		if results[name] == nil {
			continue
		}
		index, extremes := row{name: name}, row{}
		for i, shares := range results[name] {
			used := 0.0
			for _, x := range shares {
				used += x / (bottleneck * 1460.0 / 1500)
			}
			least, most := slices.Min(shares), slices.Max(shares)
			fair := m.jain
			if counts[i] == 16 {
				fair = m.crowded
			}
			atLeast(t, fair, jain(shares), "Jain's index of %d flows of %s", counts[i], name)
			atLeast(t, leastShare*bottleneck/float64(counts[i]), least, "the least of %d flows of %s", counts[i], name)
			atLeast(t, m.used, used, "what %d flows of %s use together", counts[i], name)
			index.cells = append(index.cells, fmt.Sprintf("%.4f", jain(shares)), fmt.Sprintf("%.3f", used))
			extremes.cells = append(extremes.cells, fmt.Sprintf("%.0f", least), fmt.Sprintf("%.0f", most))
		}
		table.rows = append(table.rows, index, extremes)
	}
	golden(t, "fairness.txt", table)
}

func all(names []string, f func(string) bool) bool {
	for _, name := range names {
		if !f(name) {
			return false
		}
	}
	return true
}

func fairScenario(controls []string, count int) Scenario {
	s := Scenario{Config: Config{
		Seed: uint64(count),
		Links: []Link{{
			Delay: bottleneckRTT / 2,
			// A little jitter, as any host has, or else the flows march in step and the same one always finds the queue full.
			AtoB: fault.Direction{Bandwidth: bottleneck, Queue: bottleneckQueue, Jitter: time.Millisecond},
			BtoA: fault.Direction{Jitter: time.Millisecond},
		}},
	}}
	for i := range count {
		s.Flows = append(s.Flows, FlowConfig{
			Octets: [2]int{endless, 0}, Options: bulk(controls[i%len(controls)], fairBuffer(controls)),
			Start: time.Duration(i) * 313 * time.Millisecond,
		})
	}
	return s
}

// fairBuffer is the flows' buffers: more than the path holds, unless nothing else keeps them from drowning it.
func fairBuffer(controls []string) int {
	if slices.Contains(controls, "none") {
		return 64 << 10
	}
	return megabyte
}
