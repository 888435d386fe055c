package lowpan

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
)

// room is what a frame between extended addresses has, without security.
const room = 102

// cutting is what cuts a datagram of 1280 octets, once for each call, and returns the number of fragments.
func cutting(tb testing.TB) func() int {
	p := iphc.compress(content(1280, 0))
	tb.Cleanup(p.Release)
	return func() (n int) {
		for cut, _ := NewCut(p, iphc.compressed, iphc.uncompressed, 0); cut.More(); n++ {
			cut.Next(p, room).Release()
		}
		return n
	}
}

// assembling is what puts the same fragments together, likewise.
func assembling(tb testing.TB) func() int {
	s := newScript(tb)
	p := content(1280, 0)
	fragments := []*packet.Packet{}
	for from, to := 0, 128; from < len(p); from, to = to, min(to+96, len(p)) {
		q := packet.New(to - from)
		copy(q.Append(to-from), p[from:to])
		fragments = append(fragments, q)
		tb.Cleanup(q.Release)
	}
	key := keyOf(len(p), 0)
	return func() int {
		f := Fragment{Key: key}
		var whole *packet.Packet
		for _, q := range fragments {
			var cause Cause
			if whole, cause = s.reassembly.Add(s.now, &f, q); cause != None {
				tb.Fatal(cause)
			}
			f.Offset += q.Len()
		}
		whole.Release()
		key.Tag++
		s.now += 1000
		return len(fragments)
	}
}

func TestFragmentsAllocateNothing(t *testing.T) {
	if !countsAllocations {
		t.Skip("allocations are not to be counted in this build")
	}
	for name, once := range map[string]func() int{"cut": cutting(t), "reassembly": assembling(t)} {
		for range 100 {
			require.Equal(t, 13, once(), name)
		}
		require.Zero(t, testing.AllocsPerRun(100, func() { once() }), name)
	}
}

func BenchmarkCut(b *testing.B)        { perFragment(b, cutting(b)) }
func BenchmarkReassembly(b *testing.B) { perFragment(b, assembling(b)) }

func perFragment(b *testing.B, once func() int) {
	b.SetBytes(1280)
	b.ReportAllocs()
	fragments := 0
	for b.Loop() {
		fragments += once()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(fragments), "ns/fragment")
}
