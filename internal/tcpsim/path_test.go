package tcpsim

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev/fault"
)

// goodputs runs a scenario for each congestion control and each of n columns, and returns the octets a second of the
// first flow.
func goodputs(t *testing.T, n int, scenario func(control string, column int) Scenario) map[string][]float64 {
	t.Helper()
	results := make(map[string][]float64)
	t.Run("cells", func(t *testing.T) {
		for _, control := range accepted() {
			cells := make([]float64, n)
			results[control] = cells
			for i := range cells {
				t.Run(fmt.Sprintf("%s %d", control, i), func(t *testing.T) {
					t.Parallel()
					r, err := Run(scenario(control, i))
					require.NoError(t, err)
					cells[i] = r.Flows[0].Goodput(0)
				})
			}
		}
	})
	return results
}

// fill fills in the table's rows, a congestion control each.
func (t *table) fill(results map[string][]float64) {
	t.corner = "control"
	for _, control := range accepted() {
		r := row{name: control}
		for _, x := range results[control] {
			r.cells = append(r.cells, fmt.Sprintf("%.0f", x))
		}
		t.rows = append(t.rows, r)
	}
}

// TestGoodputOverReordering has segments overtaken by others for half a round trip. Nothing is lost, and so nothing
// should be gained by sending again: whoever takes reordering for loss falls behind.
func TestGoodputOverReordering(t *testing.T) {
	measured(t)
	const rtt = 40 * time.Millisecond
	shares := []float64{0, 0.001, 0.01, 0.05, 0.1}
	results := goodputs(t, len(shares), func(control string, i int) Scenario {
		return Scenario{
			Config: Config{Seed: 1, Links: []Link{{
				Delay: rtt / 2,
				AtoB:  fault.Direction{Reorder: shares[i], ReorderBy: rtt / 2, Bandwidth: bottleneck, Queue: megabyte},
			}}},
			Flows: []FlowConfig{{Octets: [2]int{10 << 20, 0}, Options: bulk(control, 256<<10)}},
		}
	})
	table := newTable("Octets a second, by the share of segments that others overtake for 20 ms: 10 MiB at 20 Mbit/s over 40 ms with",
		"buffers of 256 KiB.")
	for _, share := range shares {
		table.columns = append(table.columns, fmt.Sprintf("%.3f", share))
	}
	for control, cells := range results {
		for i, share := range shares[1:] {
			atLeast(t, leastReordered[control]*cells[0], cells[i+1], "%s, %v reordered", control, share)
		}
	}
	table.fill(results)
	golden(t, "goodput-reorder.txt", table)
}

// leastReordered is the share of the goodput that must be left at any share of reordering.
//
// RACK's reordering window grows with each D-SACK, and so recoveries without need end within the first half second, and most are undone.
// Some are not, because the losses are real: once something that was sent again has arrived in its place, what had left before it and
// comes later is too old for PAWS (RFC 7323, section 5.3) and dropped. From such a loss in its first round trips Reno, and CUBIC where it does as
// Reno would, take most of these 10 MiB to grow back.
var leastReordered = map[string]float64{"none": 0.85, "reno": 0.65, "cubic": 0.65, "bbr": 0.85}

// TestGoodputOverDelay holds bulk transfers to what the path allows: its bandwidth, or a window each round trip, after a
// slow start that doubles the window each round trip until then.
func TestGoodputOverDelay(t *testing.T) {
	measured(t)
	const octets, buffer, bandwidth = 10 << 20, 4 * megabyte, 12_500_000
	delays := []time.Duration{time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
		300 * time.Millisecond, time.Second}
	results := goodputs(t, len(delays), func(control string, i int) Scenario {
		return Scenario{
			Config: Config{Seed: 1, Links: []Link{{
				Delay: delays[i] / 2,
				AtoB:  fault.Direction{Bandwidth: bandwidth, Queue: 8 * megabyte},
			}}},
			Flows: []FlowConfig{{Octets: [2]int{octets, 0}, Options: bulk(control, buffer)}},
		}
	})
	table := newTable("Octets a second, by round-trip time: 10 MiB at 100 Mbit/s with buffers of 4 MiB.")
	for _, rtt := range delays {
		table.columns = append(table.columns, rtt.String())
	}
	for control, cells := range results {
		for i, rtt := range delays {
			atLeast(t, octets/(leastDelayed*delayBound(octets, buffer, bandwidth, rtt.Seconds())), cells[i], "%s over %v", control, rtt)
		}
	}
	table.fill(results)
	golden(t, "goodput-delay.txt", table)
}

// leastDelayed is how many times as long as its bound a transfer may take.
const leastDelayed = 1.25

// delayBound is how many seconds a transfer takes: a round trip for the handshake, slow start from ten segments until a
// window fills the path or holds all the rest, the rest at full rate, and the way there.
func delayBound(octets, buffer, bandwidth, rtt float64) float64 {
	rate := min(bandwidth*1460/1500, buffer/rtt)
	window := 10 * 1460.0
	took := rtt
	for octets > window && window/rtt < rate {
		took += rtt
		octets -= window
		window *= 2
	}
	return took + octets/rate + rtt/2
}
