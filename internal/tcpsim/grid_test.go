package tcpsim

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/dev/fault"
)

// The grid of smoltcp's network simulator: 10 MiB one way, frames lost both ways, over a round trip of 100 ms.
const (
	gridOctets = 10 << 20
	gridRTT    = 100 * time.Millisecond
)

var (
	gridBuffers = []int{128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768}
	gridLosses  = []float64{0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3}
)

// smoltcpGrid is smoltcp's own table of octets a second, by buffer and loss, in which it has no congestion control:
// tests/snapshots/netsim__netsim.snap of smoltcp-rs/smoltcp at commit c03c357f59e5ebee0133230f44be719794c27ff6.
var smoltcpGrid = [][]float64{
	{1279.98, 1255.76, 1054.15, 886.36, 538.66, 227.84, 33.99, 7.18},
	{2559.91, 2507.27, 2100.03, 1770.30, 1070.71, 468.24, 66.71, 14.35},
	{5119.63, 5011.95, 4172.36, 3531.57, 2098.73, 942.38, 144.73, 29.45},
	{10238.50, 10023.19, 8340.90, 7084.25, 4003.34, 1869.94, 290.74, 60.92},
	{17535.11, 17171.82, 14093.50, 12063.90, 7205.27, 3379.12, 824.76, 131.54},
	{35062.41, 33852.31, 27011.08, 22073.09, 13680.70, 7631.11, 1617.81, 302.65},
	{77374.28, 72409.99, 58428.68, 48310.75, 29123.30, 14314.36, 2880.39, 551.60},
	{161842.28, 159448.56, 141467.31, 127073.06, 78239.08, 38637.20, 7565.64, 1112.31},
	{322944.88, 314313.90, 266384.37, 245985.29, 138762.29, 83162.99, 10739.10, 1951.95},
}

// oneSample is how far a figure may be from another that stands for the same. Each cell of both tables is one sample of what chance can
// do: of some 150 losses at 2 % a tenth more or less, and as many round trips. Over many seeds these goodputs vary by 2 to 3 %.
const oneSample = 0.03

// newerGrid is the last row again, for 32768 octets, of a later version of smoltcp, as far as it was reported: by loss.
var newerGrid = map[float64]float64{0.001: 314780, 0.01: 219671, 0.05: 76626, 0.1: 37775, 0.3: 1156}

// gridScenario is one cell's.
func gridScenario(control string, buffer int, loss float64) Scenario {
	drop := fault.Direction{Drop: loss}
	options := &tcp.Options{ReceiveBuffer: buffer, SendBuffer: buffer, Congestion: control}
	return Scenario{
		Config: Config{
			Seed:  uint64(buffer) + uint64(1e6*loss),
			Links: []Link{{Delay: gridRTT / 2, AtoB: drop, BtoA: drop}},
			// With three frames in ten lost each way, one segment in some ten thousand is lost more often than any connection
			// has patience for.
			Configure: func(_ int, c *core.Config) { c.TCP.DataRetries, c.TCP.OrphanRetries = 254, 254 },
		},
		Flows: []FlowConfig{{Octets: [2]int{gridOctets, 0}, Options: [2]*tcp.Options{options, options}}},
		Limit: 100 * 24 * time.Hour,
	}
}

// TestGoodputOverLoss measures the grid, and holds it to the window's limit where nothing is lost and to smoltcp's
// figures where something is: without congestion control, as smoltcp has it, and with BBR, which takes no random loss for
// congestion. Reno and CUBIC do, as they must; see TestModels.
func TestGoodputOverLoss(t *testing.T) {
	measured(t)
	for _, control := range accepted() {
		t.Run(control, func(t *testing.T) {
			grid := make([][]float64, len(gridBuffers))
			t.Run("rows", func(t *testing.T) {
				for i, buffer := range gridBuffers {
					grid[i] = make([]float64, len(gridLosses))
					t.Run(fmt.Sprint(buffer), func(t *testing.T) {
						t.Parallel()
						for j, loss := range gridLosses {
							r, err := Run(gridScenario(control, buffer, loss))
							require.NoError(t, err, "%v lost", loss)
							grid[i][j] = r.Flows[0].Goodput(0)
						}
					})
				}
			})
			table := newTable("Octets a second, by octets of buffer and share of frames lost each way: 10 MiB over a round trip",
				fmt.Sprintf("of 100 ms, with congestion control %q. Behind each row, how many times smoltcp's figure it is.", control))
			table.corner = `buffer\loss`
			for _, loss := range gridLosses {
				table.columns = append(table.columns, fmt.Sprintf("%.3f", loss))
			}
			for i, buffer := range gridBuffers {
				limit := float64(buffer) / gridRTT.Seconds()
				atLeast(t, 0.99*limit, grid[i][0], "%d octets of buffer, nothing lost", buffer)
				atMost(t, limit, grid[i][0], "%d octets of buffer, nothing lost", buffer)
				values, ratios := row{name: fmt.Sprint(buffer)}, row{name: "  ×"}
				for j, loss := range gridLosses {
					if j > 0 && (control == "none" || control == "bbr") {
						atLeast(t, (1-oneSample)*smoltcpGrid[i][j], grid[i][j], "%d octets of buffer, %v lost", buffer, loss)
						if buffer == 32768 {
							atLeast(t, newerGrid[loss], grid[i][j], "%d octets of buffer, %v lost", buffer, loss)
						}
					}
					values.cells = append(values.cells, fmt.Sprintf("%.2f", grid[i][j]))
					ratios.cells = append(ratios.cells, fmt.Sprintf("%.2f", grid[i][j]/smoltcpGrid[i][j]))
				}
				table.rows = append(table.rows, values, ratios)
			}
			golden(t, "goodput-loss-"+control+".txt", table)
		})
	}
}
