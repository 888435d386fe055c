package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/storage"
)

// A path that swallows large packets without a word: RFC 4821's black hole.
func TestBlackHole(t *testing.T) {
	for _, row := range []struct {
		name    string
		path    simulatedPath
		options *Options
		mss     int // what is left in the end, octets of payload
	}{
		{"everything above 1400 octets vanishes", simulatedPath{hole: 1400}, nil, 1024 - timestampsLen},
		{"above 1024 octets", simulatedPath{hole: 1024}, nil, 512 - timestampsLen},
		{"above 600 octets", simulatedPath{hole: 600}, nil, 512 - timestampsLen},
		{"without timestamps and SACK", simulatedPath{hole: 1400}, &Options{NoSACK: true, NoTimestamps: true}, 1024},
		{"jumbo frames", simulatedPath{hole: 1500, mtu: 9000}, nil, 1024 - timestampsLen},
		{"in super-segments", simulatedPath{hole: 0, mtu: 1500, segment: true}, nil, 1448},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.path.delay = 10 * time.Millisecond
			w := newWorld(t, row.path)
			client, server := w.connect(row.options)
			took := w.transfer(client, server, 256<<10)
			require.Less(t, took, 30*time.Second)
			require.LessOrEqual(t, client.Info().SendMSS, max(row.path.hole-40, row.mss))
			require.GreaterOrEqual(t, client.Info().SendMSS, row.mss, "no smaller than need be")
			require.Equal(t, row.path.hole > 0, w.hosts[0].Counters().BlackHoles > 0)
			w.transfer(server, client, 64<<10)
			w.closeBoth(client, server)
		})
	}
}

// Once the hole is gone, probes find out, and cost nothing that congestion control takes for congestion.
func TestProbesFindTheLargerPath(t *testing.T) {
	w := newWorld(t, simulatedPath{hole: 1400, delay: 10 * time.Millisecond})
	client, server := w.connect(nil)
	w.stream(client, server, 256<<10)
	require.Less(t, client.Info().SendMSS, 1400)
	w.path.hole = 0
	for range 40 {
		w.pass(20 * time.Second)
		w.stream(client, server, 64<<10)
	}
	require.Equal(t, 1448, client.Info().SendMSS)
	require.NotZero(t, w.hosts[0].Counters().PathMTURaised)
	w.closeBoth(client, server)
}

// While it is still there, a probe that is lost is no loss to congestion control.
func TestALostProbeIsNoCongestion(t *testing.T) {
	w := newWorld(t, simulatedPath{hole: 1400, delay: 10 * time.Millisecond})
	client, server := w.connect(nil)
	w.stream(client, server, 256<<10)
	before := w.hosts[0].Counters()
	for range 40 {
		w.pass(20 * time.Second)
		w.stream(client, server, 64<<10)
	}
	after := w.hosts[0].Counters()
	require.Greater(t, after.PathMTUProbes, before.PathMTUProbes)
	require.Equal(t, before.FastRetransmits, after.FastRetransmits)
	require.Equal(t, before.RetransTimeouts, after.RetransTimeouts)
	require.LessOrEqual(t, client.Info().SendMSS, 1400-52)
	require.Greater(t, client.Info().SendMSS, 1400-52-8, "the search ends close to what the path carries")
	w.closeBoth(client, server)
}

// A path that loses everything for a while is no black hole: the segment size is what it was before.
func TestAnOutageIsNoBlackHole(t *testing.T) {
	w := newWorld(t, simulatedPath{delay: 10 * time.Millisecond})
	client, server := w.connect(nil)
	w.stream(client, server, 64<<10)
	w.path.hole = 1
	w.write(client, 20000)
	w.pass(20 * time.Second)
	w.path.hole = 0
	w.pass(60 * time.Second)
	w.read(server, 20000)
	for range 40 {
		w.pass(20 * time.Second)
		w.stream(client, server, 64<<10)
	}
	require.Equal(t, 1448, client.Info().SendMSS)
	w.closeBoth(client, server)
}

// stream has n octets go from one side to the other, which stay open.
func (w *world) stream(from, to *Conn, n int) {
	w.t.Helper()
	var fill storage.Fill
	var queue storage.Queue
	buffer := make([]byte, n)
	for written, got := 0, 0; got < n; {
		room, err := from.Reserve(&fill, n-written)
		require.NoError(w.t, err)
		if room > 0 {
			written += fill.Write(buffer[:room])
			from.Commit(w.time(), &fill)
		}
		w.send()
		if k := to.Receive(n, &queue); k > 0 {
			queue.Reset()
			got += k
			to.Consumed(w.time(), k)
			w.send()
		} else if got < n {
			require.True(w.t, w.step(), "nothing moves any more: %+v", from.Info())
		}
	}
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	end := w.now + int64(d)
	for w.send(); w.next() <= end; {
		w.step()
	}
	w.now = end
}
