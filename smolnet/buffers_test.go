package smolnet_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// What SetReadBuffer and SetWriteBuffer bound, and what becomes of a vector of small buffers.

// written is how many octets c takes before it has a Write wait for somebody to read.
func written(t *testing.T, c net.Conn) (octets int) {
	t.Helper()
	require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
	for {
		n, err := c.Write(make([]byte, 1000))
		octets += n
		if err != nil {
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			return octets
		}
	}
}

func TestBuffersOfAConnectionBoundWhatNobodyReads(t *testing.T) {
	for _, row := range []struct {
		name        string
		read, write int
	}{
		// What the handshake has offered, up to 64 KiB, is not taken back: smaller buffers to read are for tcp.Options.
		{"small", 128 << 10, 16 << 10},
		{"a larger one to read", 512 << 10, 16 << 10},
		{"a larger one to write", 128 << 10, 256 << 10},
		{"both larger", 512 << 10, 256 << 10},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := newPair(t, pipe.Config{})
				c, peer := dial(t, first, listen(t, second, "tcp", "192.168.69.100:0"))
				require.NoError(t, c.SetWriteBuffer(row.write))
				require.NoError(t, peer.SetReadBuffer(row.read))
				got := written(t, c)
				require.GreaterOrEqual(t, got, (row.read+row.write)/2)
				require.LessOrEqual(t, got, (row.read+row.write)*3/2)
			})
		})
	}
}

func TestReadBufferOfASocketBoundsWhatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPair(t, pipe.Config{})
		server := bind(t, second, "udp", "192.168.69.100:0")
		c, err := first.Dial("udp", server.LocalAddr().String())
		require.NoError(t, err)
		defer c.Close()
		kept := func(bytes int) (datagrams int) {
			require.NoError(t, server.SetReadBuffer(bytes))
			for range 1000 {
				_, err := c.Write(make([]byte, 1400))
				require.NoError(t, err)
			}
			synctest.Wait()
			require.NoError(t, server.SetReadDeadline(time.Now().Add(time.Second)))
			for {
				if _, _, err := server.ReadFrom(make([]byte, 1)); err != nil {
					return datagrams
				}
				datagrams++
			}
		}
		few, some, all := kept(16<<10), kept(256<<10), kept(4<<20)
		require.Equal(t, 1000, all)
		require.InDelta(t, few*16, some, float64(few*4), "sixteen times the room")
		require.LessOrEqual(t, few, 16<<10/1400)
		require.NotZero(t, few)
	})
}

func TestWriteBufferOfASocketBoundsWhatCannotLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPair(t, pipe.Config{Medium: dev.IP, Queue: 1, Delay: time.Hour})
		c, err := first.Dial("udp", "192.168.69.100:9")
		require.NoError(t, err)
		defer c.Close()
		_ = second
		socket := c.(interface{ SetWriteBuffer(int) error })
		require.NoError(t, socket.SetWriteBuffer(16<<10))
		few := written(t, c)
		require.NoError(t, socket.SetWriteBuffer(256<<10))
		more := written(t, c)
		require.Less(t, few, 32<<10)
		require.Greater(t, few+more, 100<<10)
		require.Less(t, few+more, 300<<10)
	})
}

func TestVectorOfSmallBuffersLeavesInFullSegments(t *testing.T) {
	for _, row := range []struct {
		name           string
		buffers, of    int
		buffered, most int // the send buffer, 0 for the default; segments
	}{
		{"ten octets each", 1000, 10, 0, 10_000/1460 + 2},
		{"one octet each", 5000, 1, 0, 5_000/1460 + 2},
		{"far more than the send buffer holds", 4000, 250, 32 << 10, 1_000_000/1448*11/10 + 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := newPair(t, pipe.Config{})
				c, peer := dial(t, first, listen(t, second, "tcp", "192.168.69.100:0"))
				if row.buffered != 0 {
					require.NoError(t, c.SetWriteBuffer(row.buffered))
				}
				var want []byte
				var vector net.Buffers
				for i := range row.buffers {
					b := bytes.Repeat([]byte{byte(i)}, row.of)
					want = append(want, b...)
					vector = append(vector, b)
				}
				got := make(chan []byte)
				go func() {
					b := make([]byte, len(want))
					io.ReadFull(peer, b)
					got <- b
				}()
				synctest.Wait()
				before := first.Counters().TCP.OutSegs
				n, err := c.WriteBuffers(&vector)
				require.NoError(t, err)
				require.EqualValues(t, len(want), n)
				require.Empty(t, vector, "it is consumed")
				require.True(t, bytes.Equal(want, <-got))
				segments := int(first.Counters().TCP.OutSegs - before)
				require.LessOrEqual(t, segments, row.most)
				t.Logf("%d buffers of %d octets in %d segments", row.buffers, row.of, segments)
			})
		})
	}
}

// What goes from one connection to another by io.Copy is copied within what is there already.
func TestCopyBetweenConnectionsAllocatesNothing(t *testing.T) {
	if instrumented {
		t.Skip("surveillance allocates")
	}
	for _, p := range places[:4] {
		t.Run(p.name, func(t *testing.T) {
			from, in := p.connect(t)
			out, to := p.connect(t)
			go io.Copy(out, in)
			const total = 16 << 20
			chunk, sink := make([]byte, 64<<10), make([]byte, 64<<10)
			work := func() {
				go func() {
					for range total / len(chunk) {
						from.Write(chunk)
					}
				}()
				for left := total; left > 0; {
					n, err := to.Read(sink)
					require.NoError(t, err)
					left -= n
				}
			}
			defer debug.SetGCPercent(debug.SetGCPercent(-1))
			least := ^uint64(0)
			var before, after runtime.MemStats
			for range 5 {
				work()
				runtime.ReadMemStats(&before)
				work()
				runtime.ReadMemStats(&after)
				least = min(least, after.TotalAlloc-before.TotalAlloc)
			}
			require.Less(t, least, uint64(total/64))
			t.Logf("%d octets allocated to copy %d", least, total)
		})
	}
}

func TestControlMessagesAllocateNothing(t *testing.T) {
	for _, p := range places[:4] {
		t.Run(p.name, func(t *testing.T) {
			server, client := p.exchange(t)
			require.NoError(t, server.SetControlMessage(everything, true))
			to := client.LocalAddr().(*net.UDPAddr).AddrPort()
			b, oob := make([]byte, 1400), make([]byte, 200)
			got := allocations(t, func() {
				for range 1000 {
					if _, err := client.Write(b); err != nil {
						t.Error(err)
					}
					if _, _, err := server.ReadFromUDPAddrPort(b); err != nil {
						t.Error(err)
					}
					if _, err := server.WriteToUDPAddrPort(b, to); err != nil {
						t.Error(err)
					}
					if _, err := client.Read(b); err != nil {
						t.Error(err)
					}
					if _, err := client.Write(b); err != nil {
						t.Error(err)
					}
					if _, _, _, _, err := server.ReadMsgUDPAddrPort(b, oob); err != nil {
						t.Error(err)
					}
				}
			})
			require.Less(t, got, uint64(20))
		})
	}
}

const everything = smolnet.ControlHopLimit | smolnet.ControlTrafficClass | smolnet.ControlPacketInfo
