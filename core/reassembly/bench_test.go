package reassembly

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
)

// datagramIn is what puts a datagram of so many octets in frames of 1500 through a table, once for each call.
func datagramIn(tb testing.TB, octets int, key Key) func() {
	s := newScript(tb)
	const payload = 1480
	return func() {
		var whole *packet.Packet
		for offset := 0; offset < octets; offset += payload {
			n := min(payload, octets-offset)
			p := packet.New(len(headers) + n)
			p.Append(len(headers) + n)
			p.IP.Src, p.IP.Dst = key.Src, key.Dst
			f := Fragment{Key: key, Offset: offset, More: offset+n < octets, HeaderLen: len(headers)}
			var cause Cause
			if whole, cause = s.table.Add(s.now, &f, p); cause != None {
				tb.Fatal(causeNames[cause])
			}
		}
		if whole.Len() != len(headers)+octets {
			tb.Fatal(whole.Len())
		}
		whole.Release()
		key.ID++
	}
}

func TestReassemblyAllocatesNothing(t *testing.T) {
	if !countsAllocations {
		t.Skip("allocations are not to be counted in this build")
	}
	for _, key := range []Key{key4, key6} {
		for _, octets := range []int{2000, 65_000} {
			once := datagramIn(t, octets, key)
			for range 100 {
				once()
			}
			require.Zero(t, testing.AllocsPerRun(100, once))
		}
	}
}

func BenchmarkReassembly(b *testing.B) {
	for _, octets := range []int{2000, 9000, 65_000} {
		b.Run(fmt.Sprintf("octets=%d", octets), func(b *testing.B) {
			once := datagramIn(b, octets, key4)
			b.SetBytes(int64(octets))
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
		})
	}
}
