package smolnet_test

import (
	"cmp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/dev/fault"
)

// TestKernelUnderFaultsWithoutOptions: what the kernel will not agree to, the stack does without.
func TestKernelUnderFaultsWithoutOptions(t *testing.T) {
	const noSACK, noTimestamps, noScale, noECN = "tcp_sack=0", "tcp_timestamps=0", "tcp_window_scaling=0", "tcp_ecn=0"
	faults := fault.Direction{Delay: time.Millisecond, Drop: 0.01}
	for _, o := range []ordeal{
		{name: "SACK", sysctls: []string{noSACK}, without: selectiveACK},
		{name: "timestamps", sysctls: []string{noTimestamps}, without: timestamps},
		{name: "window scaling", sysctls: []string{noScale}, without: windowScale},
		{name: "ECN", sysctls: []string{noECN}, stack: tcp.Options{ECN: tcp.ECNRequest}},
		{name: "any", sysctls: []string{noSACK, noTimestamps, noScale, noECN}, without: usual},
		{name: "any, IPv6", sysctls: []string{noSACK, noTimestamps, noScale, noECN}, without: usual, ipv6: true},
	} {
		o.octets, o.faults = some, faults
		o.test(t)
	}
}

// TestKernelUnderFaultsWithBBR: losses hardly matter to who measures what passes.
func TestKernelUnderFaultsWithBBR(t *testing.T) {
	for _, o := range []ordeal{
		{name: "1 % lost", faults: fault.Direction{Delay: time.Millisecond, Drop: 0.01}},
		{name: "bottleneck", faults: fault.Direction{Delay: time.Millisecond, Bandwidth: 20 << 20}},
	} {
		o.octets, o.congestion, o.stack.Congestion = 4*some, "bbr", "bbr"
		o.test(t)
	}
}

// TestKernelUnderCongestion: a bottleneck loses what finds no room, and where the kernel asks for ECN marks what has to
// wait instead.
func TestKernelUnderCongestion(t *testing.T) {
	const bandwidth = 20 << 20
	askForECN := []string{"tcp_ecn=1"}
	for _, o := range []ordeal{
		{name: "loss", faults: fault.Direction{Delay: time.Millisecond, Bandwidth: bandwidth}},
		{
			name: "marks", faults: fault.Direction{
				Delay: time.Millisecond, Bandwidth: bandwidth, Queue: 512 << 10, MarkAbove: 32 << 10,
			},
			sysctls: askForECN, kernelCalls: true, with: ecn,
			check: func(t *testing.T, o *outcome) {
				marksAreHeeded(t, o)
				require.Zero(t, o.out.Dropped.Total())
				require.Zero(t, o.in.Dropped.Total())
			},
		},
		{
			name: "marks at random", octets: some, faults: fault.Direction{Delay: time.Millisecond, Mark: 0.01},
			sysctls: askForECN, kernelCalls: true, with: ecn, check: marksAreHeeded,
		},
		{
			name: "marks, for which both ask", octets: some, faults: fault.Direction{Delay: time.Millisecond, Mark: 0.01},
			sysctls: askForECN, stack: tcp.Options{ECN: tcp.ECNRequest}, with: ecn, check: marksAreHeeded,
		},
		{
			name: "marks and losses, IPv6", octets: some, faults: fault.Direction{Delay: time.Millisecond, Mark: 0.01, Drop: 0.005},
			sysctls: askForECN, kernelCalls: true, with: ecn, ipv6: true, check: marksAreHeeded,
		},
	} {
		o.octets = cmp.Or(o.octets, 4*some)
		o.test(t)
	}
}

// marksAreHeeded: frames were marked both ways, the kernel knows of ECN-capable ones from the stack, and the stack has told
// it of marks.
func marksAreHeeded(t *testing.T, o *outcome) {
	require.Positive(t, o.out.Marked)
	require.Positive(t, o.in.Marked)
	require.Positive(t, o.stack.InMarked)
	require.Positive(t, o.stack.CongestionMarks)
	require.NotZero(t, options(o.receiver.Options)&ecnSeen)
	require.Positive(t, o.sender.Delivered_ce)
}

// TestKernelOverBlackHole: whoever sends more than passes learns of it from what does not arrive.
func TestKernelOverBlackHole(t *testing.T) {
	for _, o := range []ordeal{
		{name: "IPv4"},
		{name: "IPv6", ipv6: true},
	} {
		o.octets, o.faults = some, fault.Direction{Delay: time.Millisecond, MaxSize: 1400}
		o.sysctls = []string{"tcp_mtu_probing=1"}
		o.test(t)
	}
}
