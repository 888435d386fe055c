package smolnet_test

import (
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev/pipe"
)

// allocations returns how many objects the whole program allocates in a run of work, after it has run warm, with
// the collector off so that pools stay filled. It is the least of several runs: in one in which the scheduler lets more be
// under way than in any before it, pools grow.
func allocations(t *testing.T, work func()) uint64 {
	t.Helper()
	if instrumented {
		t.Skip("surveillance allocates")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	least := ^uint64(0)
	for runs := 0; runs < 20 && least > 0; runs++ {
		work()
		runtime.ReadMemStats(&before)
		work()
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	return least
}

func TestBulkTransferAllocatesNothing(t *testing.T) {
	for _, p := range places[:5] {
		t.Run(p.name, func(t *testing.T) {
			c, peer := p.connect(t)
			const total = 8 << 20
			go io.CopyBuffer(io.Discard, struct{ io.Reader }{peer}, make([]byte, 64<<10))
			chunk := make([]byte, 64<<10)
			got := allocations(t, func() {
				for range total / len(chunk) {
					if _, err := c.Write(chunk); err != nil {
						t.Error(err)
					}
				}
			})
			require.Less(t, got, uint64(20))
			t.Logf("%d allocations for %d segments of 1448 octets", got, total/1448)
		})
	}
}

func TestPingPongAllocatesNothing(t *testing.T) {
	for _, p := range places[:5] {
		t.Run(p.name, func(t *testing.T) {
			c, peer := p.connect(t)
			go func() {
				b := make([]byte, 1)
				for {
					if _, err := peer.Read(b); err != nil {
						return
					}
					if _, err := peer.Write(b); err != nil {
						return
					}
				}
			}()
			b := make([]byte, 1)
			const n = 2000
			got := allocations(t, func() {
				for range n {
					if _, err := c.Write(b); err != nil {
						t.Error(err)
					}
					if _, err := c.Read(b); err != nil {
						t.Error(err)
					}
				}
			})
			require.Less(t, got, uint64(20))
			t.Logf("%d allocations for %d round trips", got, n)
		})
	}
}

func TestDeadlinesAllocateNothing(t *testing.T) {
	c, _ := places[0].connect(t)
	got := allocations(t, func() {
		for range 1000 {
			c.SetReadDeadline(time.Now().Add(time.Hour))
			c.SetReadDeadline(time.Time{})
		}
	})
	require.Less(t, got, uint64(10))
}

func TestMemoryOfIdleConnections(t *testing.T) {
	if instrumented {
		t.Skip("surveillance takes memory of its own")
	}
	first, second := newPair(t, pipe.Config{})
	l := listen(t, second, "tcp", "192.168.69.100:7")
	const n = 2000
	conns := make([]net.Conn, 0, 2*n+2)
	open := func() {
		c, err := first.Dial("tcp", "192.168.69.100:7")
		require.NoError(t, err)
		peer, err := l.Accept()
		require.NoError(t, err)
		conns = append(conns, c, peer)
	}
	open()
	before := liveMemory()
	for range n {
		open()
	}
	octets := (liveMemory() - before) / (2 * n)
	t.Logf("%d octets for an idle connection", octets)
	require.Less(t, octets, 840)
	for _, c := range conns {
		require.NoError(t, c.Close())
	}
}

func liveMemory() int {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

// What a connection keeps is allocated, on both sides, and little besides: nothing for a race that there is not, nor for options that
// nobody has asked for.
func TestDialAllocatesWhatTheConnectionKeeps(t *testing.T) {
	dialing, listening := onLoopback(t)
	l := listen(t, listening, "tcp", "127.0.0.1:0")
	address := l.Addr().String()
	const dials = 100
	got := allocations(t, func() {
		for range dials {
			c, err := dialing.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			peer, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			c.(interface{ SetLinger(int) error }).SetLinger(0) // or its port would be in TIME-WAIT
			c.Close()
			peer.Close()
		}
	})
	require.LessOrEqual(t, got, uint64(14*dials+20))
}
