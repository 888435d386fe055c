package tcpsim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/dev/fault"
)

// transfer is one transfer from a client to a server, over a link with faults: what most scenarios need. The zero value
// sends nothing over a link without delay.
type transfer struct {
	octets int // that the client sends
	answer int // that the server sends
	rtt    time.Duration
	batch  int             // packets that a stack takes in before it answers; default: the stack's
	there  fault.Direction // what becomes of the client's frames
	client tcp.Options     // default: the stack's
	server tcp.Options
	config func(c *core.Config) // changes the configuration of both stacks
}

// outcome is what came of a transfer.
type outcome struct {
	took     time.Duration // until the server's user had read everything, since the dialling
	answered time.Duration // and until the client's had
	client   tcp.Info      // when all was done
	faults   LinkFaults
}

// run runs the transfer, with every invariant checked, until nothing is left of it.
func (x transfer) run(t *testing.T) outcome {
	t.Helper()
	s := Scenario{
		Config: Config{
			Links: []Link{{Delay: x.rtt / 2, AtoB: x.there}},
			Configure: func(_ int, c *core.Config) {
				c.Limits.PollBatch = x.batch
				if x.config != nil {
					x.config(c)
				}
			},
		},
		Flows: []FlowConfig{{Octets: [2]int{x.octets, x.answer}, Options: [2]*tcp.Options{&x.client, &x.server}}},
	}
	r, err := Run(s)
	require.NoError(t, err)
	f := &r.Flows[0]
	return outcome{took: f.Took[1], answered: f.Took[0], client: f.Info[0], faults: r.Faults[0]}
}

// bounded is a link with so many octets a second and a queue of so many octets.
func bounded(bandwidth, queue int) fault.Direction {
	return fault.Direction{Bandwidth: bandwidth, Queue: queue}
}

// TestFeatures has, for each feature that can be switched off, a scenario that falls behind without it. Of those that cannot be there
// are scenarios in core/tcp: internal/arch lists them all.
func TestFeatures(t *testing.T) {
	const (
		sizable = 1 << 20
		ms      = time.Millisecond
		fast    = 12_500_000 // octets a second: 100 Mbit/s
	)
	both := func(change func(o *tcp.Options)) func(x *transfer) {
		return func(x *transfer) {
			change(&x.client)
			change(&x.server)
		}
	}
	noSACK := both(func(o *tcp.Options) { o.NoSACK = true })
	for _, row := range []struct {
		name     string
		transfer transfer
		without  func(x *transfer) // switches the feature off
		gain     float64           // by how many times it costs less with it, at least

		// cost is what the feature is to save. Default: time.
		cost func(o *outcome) float64
	}{
		{
			name:     "windows beyond 64 KiB",
			transfer: transfer{octets: 8 * sizable, rtt: 100 * ms, there: bounded(fast, sizable)},
			without:  func(x *transfer) { x.server.ReceiveBuffer = 65535 }, gain: 3,
		}, {
			name:     "receive buffers that tune themselves",
			transfer: transfer{octets: 8 * sizable, rtt: 100 * ms, there: bounded(fast, sizable)},
			without:  func(x *transfer) { x.server.ReceiveBuffer = 128 << 10 }, gain: 2,
		}, {
			name:     "send buffers that tune themselves",
			transfer: transfer{octets: 8 * sizable, rtt: 100 * ms, there: bounded(fast, sizable)},
			without:  func(x *transfer) { x.client.SendBuffer = 128 << 10 }, gain: 2,
		}, {
			name:     "an initial window of ten segments",
			transfer: transfer{octets: 14_000, rtt: 100 * ms},
			without:  func(x *transfer) { x.config = func(c *core.Config) { c.TCP.InitialWindow = 1 } }, gain: 2,
		}, {
			name: "a retransmission timeout that may be less than a second",
			transfer: transfer{
				octets: 14_600, rtt: 20 * ms, there: fault.Direction{Script: losing(only(10))},
				client: tcp.Options{NoSACK: true}, // no probe comes before it
			},
			without: func(x *transfer) {
				x.there.Script = losing(only(10))
				x.config = func(c *core.Config) { c.TCP.MinRTO = time.Second }
			}, gain: 3,
		}, {
			name: "acknowledgments without delay at the start",
			transfer: transfer{
				answer: 20_000, rtt: 4 * ms, config: func(c *core.Config) { c.TCP.InitialWindow = 1 },
				client: tcp.Options{ReceiveBuffer: 32 << 10}, // not so much that its window is worth an update
			},
			without: func(x *transfer) {
				x.config = func(c *core.Config) { c.TCP.InitialWindow, c.TCP.QuickACKs = 1, -1 }
			}, gain: 2,
			cost: func(o *outcome) float64 { return o.answered.Seconds() },
		}, {
			name:     "selective acknowledgments",
			transfer: transfer{octets: 2 * sizable, rtt: 50 * ms, there: fault.Direction{Drop: 0.03}, client: tcp.Options{Congestion: "none"}},
			without:  noSACK, gain: 2,
		}, {
			name:     "a probe of the tail",
			transfer: transfer{octets: 14_600, rtt: 20 * ms, there: fault.Direction{Script: losing(only(10))}},
			without: func(x *transfer) {
				x.there.Script = losing(only(10))
				noSACK(x)
			}, gain: 2,
		}, {
			name: "patience with segments out of order",
			transfer: transfer{octets: 4 * sizable, rtt: 20 * ms, there: fault.Direction{
				Reorder: 0.02, ReorderBy: 8 * ms, Bandwidth: fast, Queue: sizable,
			}},
			without: both(func(o *tcp.Options) { o.NoSACK, o.NoTimestamps = true, true }), gain: 2,
		}, {
			name: "timestamps that tell a late segment from a lost one",
			transfer: transfer{
				octets: 4 * sizable, rtt: 20 * ms, there: fault.Direction{Reorder: 0.02, ReorderBy: 8 * ms, Bandwidth: fast, Queue: sizable},
				client: tcp.Options{NoSACK: true},
			},
			without: both(func(o *tcp.Options) { o.NoTimestamps = true }), gain: 1.5,
		}, {
			name: "BBR where losses are no sign of congestion",
			transfer: transfer{
				octets: 16 * sizable, rtt: 20 * ms, there: fault.Direction{Drop: 0.01, Bandwidth: 5 * fast, Queue: 2 * sizable},
				client: tcp.Options{Congestion: "bbr"},
			},
			without: both(func(o *tcp.Options) { o.Congestion = "cubic" }), gain: 10,
		}, {
			name: "CUBIC where windows are large",
			transfer: transfer{
				octets: 64 * sizable, rtt: 200 * ms, there: fault.Direction{Script: losing(every(8000)), Bandwidth: fast, Queue: 4 * sizable},
			},
			without: func(x *transfer) {
				x.there.Script = losing(every(8000))
				x.client.Congestion = "reno"
			}, gain: 1.5,
		}, {
			name: "HyStart++ where the queue is short",
			transfer: transfer{
				octets: 4 * sizable, rtt: 100 * ms, there: bounded(fast, 800<<10),
			},
			without: func(x *transfer) { x.client.Congestion = "reno" }, gain: 3,
			cost: func(o *outcome) float64 { return 1 + float64(o.faults.AtoB.Dropped.Queue) },
		}, {
			name: "BBR and its pace keep the queue short",
			transfer: transfer{
				octets: 8 * sizable, rtt: 20 * ms, there: fault.Direction{Bandwidth: fast, Queue: 4 * sizable},
				client: tcp.Options{Congestion: "bbr"},
			},
			without: func(x *transfer) { x.client.Congestion = "reno" }, gain: 3,
			cost: func(o *outcome) float64 { return (o.client.RTT - 20*ms).Seconds() },
		}, {
			name: "marks in the place of losses",
			transfer: transfer{
				octets: 8 * sizable, rtt: 20 * ms, client: tcp.Options{ECN: tcp.ECNRequest, Congestion: "reno"},
				there: fault.Direction{Bandwidth: fast / 2, Queue: 200 << 10, MarkAbove: 50 << 10},
			},
			without: func(x *transfer) { x.server.ECN = tcp.ECNOff }, gain: 10,
			cost: func(o *outcome) float64 { return 1 + float64(o.faults.AtoB.Dropped.Queue) },
		}, {
			name:     "delayed acknowledgments",
			transfer: transfer{octets: sizable, rtt: 20 * ms, config: func(c *core.Config) { c.TCP.QuickACKs = -1 }, batch: 1},
			without:  func(x *transfer) { x.server.DelayedACK = -1 }, gain: 1.5,
			cost: func(o *outcome) float64 { return float64(o.faults.BtoA.Frames) },
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			cost := row.cost
			if cost == nil {
				cost = func(o *outcome) float64 { return o.took.Seconds() }
			}
			with := row.transfer.run(t)
			row.without(&row.transfer)
			without := row.transfer.run(t)
			t.Logf("with it %v and a cost of %.3g, without %v and %.3g", with.took, cost(&with), without.took, cost(&without))
			atLeast(t, row.gain, cost(&without)/cost(&with), "the gain")
		})
	}
}

// TestFastOpenSavesARoundTrip has the second connection's request travel with its SYN.
func TestFastOpenSavesARoundTrip(t *testing.T) {
	const rtt = 100 * time.Millisecond
	second := func(fast bool) time.Duration {
		options := &tcp.Options{FastOpen: fast}
		request := FlowConfig{Octets: [2]int{200, 1000}, Options: [2]*tcp.Options{options, options}}
		again := request
		again.Start = time.Second
		r, err := Run(Scenario{Config: Config{Links: []Link{{Delay: rtt / 2}}}, Flows: []FlowConfig{request, again}})
		require.NoError(t, err)
		return r.Flows[1].Took[0]
	}
	with, without := second(true), second(false)
	t.Logf("with it %v, without %v", with, without)
	require.Equal(t, rtt, without-with)
}
