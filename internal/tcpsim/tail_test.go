package tcpsim

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev/fault"
)

// TestTailLoss measures how long it takes until everything is there, of an exchange whose last segments are lost once,
// beyond what it takes if nothing is lost: with one, less than 300 ms at a round trip of 20 ms.
func TestTailLoss(t *testing.T) {
	measured(t)
	const (
		rtt      = 20 * time.Millisecond
		segments = 30
		most     = 300 * time.Millisecond
	)
	run := func(t *testing.T, control string, lost int) time.Duration {
		last := func(n int) bool { return n > segments-lost && n <= segments }
		r, err := Run(Scenario{
			Config: Config{Links: []Link{{Delay: rtt / 2, AtoB: fault.Direction{Script: losing(last)}}}},
			Flows:  []FlowConfig{{Octets: [2]int{segments * 1460, 0}, Options: bulk(control, megabyte)}},
		})
		require.NoError(t, err)
		require.EqualValues(t, lost, r.Faults[0].AtoB.Dropped.Script)
		return r.Flows[0].Took[1]
	}
	table := newTable("Milliseconds that an exchange of 30 segments over 20 ms takes longer because its last segments are lost once.")
	table.corner = "lost"
	counts := []int{1, 2, 3, 10}
	for _, lost := range counts {
		table.rows = append(table.rows, row{name: fmt.Sprint(lost)})
	}
	for _, control := range accepted() {
		table.columns = append(table.columns, control)
		without := run(t, control, 0)
		for i, lost := range counts {
			took := run(t, control, lost) - without
			if lost == 1 {
				atMost(t, most.Seconds(), took.Seconds(), "recovery from one tail loss with %s", control)
			}
			table.rows[i].cells = append(table.rows[i].cells, fmt.Sprintf("%.1f", took.Seconds()*1e3))
		}
	}
	golden(t, "tail-loss.txt", table)
}
