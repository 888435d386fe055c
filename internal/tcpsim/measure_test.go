package tcpsim

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/dev/fault"
)

// megabyte is a buffer that limits nothing on the paths where it is used.
const (
	megabyte = 1 << 20
	endless  = 1 << 40 // octets that no flow ever comes to the end of
)

// bulk are the options of a flow that neither buffers nor delayed acknowledgments limit.
func bulk(control string, buffer int) [2]*tcp.Options {
	o := &tcp.Options{ReceiveBuffer: buffer, SendBuffer: buffer, Congestion: control, DelayedACK: -1}
	return [2]*tcp.Options{o, o}
}

// rates lets the flows of a scenario run and returns the octets a second that each one's server has read between the two
// moments.
func rates(t *testing.T, s Scenario, from, to time.Duration) []float64 {
	t.Helper()
	n, err := New(s.Config)
	require.NoError(t, err)
	for _, cfg := range s.Flows {
		_, err := n.Add(cfg)
		require.NoError(t, err)
	}
	never := func() bool { return false }
	rates := make([]float64, len(n.flows))
	require.NoError(t, n.Run(from, never))
	for i, f := range n.flows {
		rates[i] = -float64(f.Read(1))
	}
	require.NoError(t, n.Run(to-from, never))
	for i, f := range n.flows {
		rates[i] = (rates[i] + float64(f.Read(1))) / (to - from).Seconds()
	}
	require.NoError(t, n.Abandon())
	return rates
}

// losing drops those segments of data that drop says, numbered from 1 as they are sent for the first time. What is sent
// again passes.
func losing(drop func(n int) bool) func(fault.Frame) fault.Action {
	var next uint32
	count := 0
	return func(f fault.Frame) fault.Action {
		if f.TCP == nil || len(f.TCP.Payload()) == 0 || count > 0 && int32(f.TCP.Seq()-next) < 0 {
			return fault.Pass
		}
		next = f.TCP.Seq() + uint32(len(f.TCP.Payload()))
		if count++; drop(count) {
			return fault.Drop
		}
		return fault.Pass
	}
}

// every is each n-th of them: the periodic loss that models of congestion control assume.
func every(n int) func(int) bool { return func(i int) bool { return i%n == 0 } }

// only is those listed.
func only(numbers ...int) func(int) bool {
	return func(i int) bool { return slices.Contains(numbers, i) }
}
