package tcpsim

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/smolnet/smolnet/dev/fault"
)

// models are what the literature says of a congestion control under periodic loss, each with paths on which its assumptions hold:
// losses so far apart that the recovery from one counts little, buffers and links that limit nothing.
var models = []struct {
	control string
	what    string
	window  func(loss, rtt float64) float64 // the average congestion window, segments
	paths   []modelPath
}{
	{
		// "BW = (MSS/RTT) * C / sqrt(p)", C being sqrt(3/2) where losses are periodic and each segment is acknowledged: Mathis,
		// Semke, Mahdavi, Ott: The Macroscopic Behavior of the TCP Congestion Avoidance Algorithm, 1997.
		"reno", "sqrt(3/2p)",
		func(loss, _ float64) float64 { return math.Sqrt(3 / (2 * loss)) },
		[]modelPath{{500, 50 * time.Millisecond}, {2000, 100 * time.Millisecond}, {5000, 50 * time.Millisecond}},
	}, {
		// The paths have CUBIC above its estimate of Reno's window nearly all the time: p is small and the round trip long.
		// https://www.rfc-editor.org/rfc/rfc9438.html#section-5.1
		"cubic", "((C (3+β))/(4 (1-β)))^1/4 RTT^3/4 / p^3/4",
		func(loss, rtt float64) float64 {
			const c, beta = 0.4, 0.7
			return math.Pow(c*(3+beta)/(4*(1-beta)), 0.25) * math.Pow(rtt, 0.75) / math.Pow(loss, 0.75)
		},
		[]modelPath{{5000, 300 * time.Millisecond}, {10000, 200 * time.Millisecond}, {20000, 100 * time.Millisecond}},
	},
}

// modelPath loses one segment in so many.
type modelPath struct {
	every int
	rtt   time.Duration
}

// TestModels holds Reno and CUBIC within 10 % of their models.
func TestModels(t *testing.T) {
	measured(t)
	const mss, tolerance = 1460, 0.1
	for _, m := range models {
		if !slices.Contains(accepted(), m.control) {
			continue
		}
		t.Run(m.control, func(t *testing.T) {
			results := make([]float64, len(m.paths))
			t.Run("paths", func(t *testing.T) {
				for i, p := range m.paths {
					t.Run(fmt.Sprint(p), func(t *testing.T) {
						t.Parallel()
						// The first losses come in slow start. Twenty periods later all periods are alike.
						period := time.Duration(float64(p.every) / m.window(1/float64(p.every), p.rtt.Seconds()) * float64(p.rtt))
						s := Scenario{
							Config: Config{Links: []Link{{Delay: p.rtt / 2, AtoB: fault.Direction{
								// The link is never full, but has segments arrive one after the other.
								Script: losing(every(p.every)), Bandwidth: 125_000_000, Queue: 64 * megabyte,
							}}}},
							Flows: []FlowConfig{{Octets: [2]int{endless, 0}, Options: bulk(m.control, 64*megabyte)}},
						}
						results[i] = rates(t, s, 20*period, 40*period)[0]
					})
				}
			})
			table := newTable("Octets a second with periodic loss of one segment in so many: congestion control "+m.control+" beside",
				"its model, MSS/RTT × "+m.what)
			table.corner, table.columns = "one in", []string{"RTT", "measured", "model", "ratio"}
			for i, p := range m.paths {
				model := mss / p.rtt.Seconds() * m.window(1/float64(p.every), p.rtt.Seconds())
				ratio := results[i] / model
				atLeast(t, 1-tolerance, ratio, "one in %d lost over %v", p.every, p.rtt)
				atMost(t, 1+tolerance, ratio, "one in %d lost over %v", p.every, p.rtt)
				table.rows = append(table.rows, row{fmt.Sprint(p.every), []string{
					fmt.Sprint(p.rtt), fmt.Sprintf("%.0f", results[i]), fmt.Sprintf("%.0f", model), fmt.Sprintf("%.3f", ratio),
				}})
			}
			golden(t, "model-"+m.control+".txt", table)
		})
	}
}
