package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/storage"
)

// Each feature of the sending side has a scenario here in which a connection without it falls behind.

// scenario transfers n octets from host 0 to host 1 over a path of 20 ms there and back, and returns how long it took.
func scenario(t *testing.T, options Options, n int, data func(n, again int) (bool, time.Duration), configure ...func(*Config)) (*world, time.Duration) {
	w := newWorld(t, simulatedPath{delay: 10 * time.Millisecond, bandwidth: 20 << 20, queue: 32 << 20}, configure...)
	return w, w.bulk(options, n, data)
}

// bulk opens a connection and transfers n octets that are all there from the beginning, so that all segments but the last are full ones.
func (w *world) bulk(options Options, n int, data func(n, again int) (bool, time.Duration)) time.Duration {
	w.t.Helper()
	options.SendBuffer, options.ReceiveBuffer = 8<<20, 8<<20
	client, server := w.connect(&options)
	for w.step() { // the handshake is complete for both
	}
	w.data = data
	began := w.now
	var f storage.Fill
	room, err := client.Reserve(&f, n)
	require.NoError(w.t, err)
	require.Equal(w.t, n, room)
	f.Write(make([]byte, n))
	client.Commit(w.time(), &f)
	client.CloseWrite(w.time())
	w.send()
	for i := 0; server.Received() < n; i++ {
		require.True(w.t, w.step(), "nothing moves any more: %+v", client.Info())
		if i%100 == 0 {
			wantConsistent(w.t, w.hosts[0])
		}
	}
	took := time.Duration(w.now - began)
	w.closeBoth(client, server)
	return took
}

// lost are the packets that are lost, by number.
func lost(numbers ...int) func(n, again int) (bool, time.Duration) {
	return func(n, again int) (bool, time.Duration) {
		for _, k := range numbers {
			if k == n {
				return true, 0
			}
		}
		return false, 0
	}
}

const segments = 1448 // octets of a full one

// Ten losses in a window are repaired in a round trip or two; without selective acknowledgments each takes one.
func TestScenarioSACK(t *testing.T) {
	holes := lost(70, 72, 74, 76, 78, 80, 82, 84, 86, 88)
	w, with := scenario(t, Options{}, 300*segments, holes)
	require.Zero(t, w.hosts[0].Counters().RetransTimeouts)
	require.EqualValues(t, 10, w.hosts[0].Counters().RetransSegs, "just what was lost")
	_, without := scenario(t, Options{NoSACK: true}, 300*segments, holes)
	t.Logf("with SACK %v, without %v", with, without)
	require.Less(t, with+6*20*time.Millisecond, without)
}

// The last of a transfer is lost: a probe comes after two round trips, and without it the timeout after 200 ms.
func TestScenarioTailLossProbe(t *testing.T) {
	tail := lost(29)
	w, with := scenario(t, Options{}, 30*segments, tail)
	require.Zero(t, w.hosts[0].Counters().RetransTimeouts)
	require.NotZero(t, w.hosts[0].Counters().TailLossProbes)
	w, without := scenario(t, Options{NoSACK: true}, 30*segments, tail)
	require.NotZero(t, w.hosts[0].Counters().RetransTimeouts)
	t.Logf("with a probe %v, without %v", with, without)
	require.Less(t, with+100*time.Millisecond, without)
}

// What is sent again is lost again: what has left after it and arrived tells. Duplicates that are counted do not.
func TestScenarioRACKLostRetransmission(t *testing.T) {
	twice := func(n, again int) (bool, time.Duration) { return n == 70 || again == 1, 0 }
	w, with := scenario(t, Options{}, 300*segments, twice)
	require.Zero(t, w.hosts[0].Counters().RetransTimeouts)
	w, without := scenario(t, Options{NoSACK: true}, 300*segments, twice)
	require.NotZero(t, w.hosts[0].Counters().RetransTimeouts)
	t.Logf("with RACK %v, without %v", with, without)
	require.Less(t, with+100*time.Millisecond, without)
}

// One packet in twenty takes half as long again: with RACK hardly anything is sent twice, once it has seen that.
func TestScenarioRACKReordering(t *testing.T) {
	late := func(n, again int) (bool, time.Duration) {
		if n%20 == 19 {
			return false, 4 * time.Millisecond
		}
		return false, 0
	}
	const n = 1000
	w, with := scenario(t, Options{}, n*segments, late)
	require.Less(t, w.hosts[0].Counters().RetransSegs, uint64(n/100))
	v, without := scenario(t, Options{NoSACK: true, NoTimestamps: true}, n*segments, late)
	t.Logf("with RACK %v and %d sent again, without %v and %d", with, w.hosts[0].Counters().RetransSegs, without, v.hosts[0].Counters().RetransSegs)
	require.Greater(t, v.hosts[0].Counters().RetransSegs, 4*w.hosts[0].Counters().RetransSegs)
	require.Less(t, 2*with, without)
}

// Where neither selective acknowledgments nor new data can tell that a segment was late, the timestamp echoed does.
func TestScenarioTimestamps(t *testing.T) {
	late := func(n, again int) (bool, time.Duration) {
		if n%50 == 49 {
			return false, 8 * time.Millisecond
		}
		return false, 0
	}
	w, with := scenario(t, Options{NoSACK: true}, 800*segments, late)
	v, without := scenario(t, Options{NoSACK: true, NoTimestamps: true}, 800*segments, late)
	t.Logf("with timestamps %v, without %v", with, without)
	require.NotZero(t, w.hosts[0].Counters().SpuriousRecoveries)
	require.Zero(t, v.hosts[0].Counters().SpuriousRecoveries)
	require.Less(t, 2*with, without)
}

// The path stands still for half a second, and loses nothing: what was in flight is not sent again, and the window stays. Without
// F-RTO all of the window would be.
func TestScenarioFRTO(t *testing.T) {
	for _, row := range []struct {
		name    string
		options Options
	}{
		{"with SACK", Options{NoTimestamps: true}},
		{"without", Options{NoTimestamps: true, NoSACK: true}},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, simulatedPath{delay: 10 * time.Millisecond, bandwidth: 20 << 20, queue: 32 << 20})
			w.bulk(row.options, 1000*segments, func(n, again int) (bool, time.Duration) {
				if n == 100 {
					w.freeAt[1] = w.now + int64(500*time.Millisecond)
				}
				return false, 0
			})
			counters := w.hosts[0].Counters()
			require.NotZero(t, counters.RetransTimeouts)
			require.NotZero(t, counters.SpuriousRecoveries)
			require.LessOrEqual(t, counters.RetransSegs, counters.RetransTimeouts+counters.TailLossProbes)
		})
	}
}

// After a loss what leaves is spread over the round trip. If the window came down at once nothing would leave for a third of it.
func TestScenarioPRR(t *testing.T) {
	w := newWorld(t, simulatedPath{delay: 50 * time.Millisecond, bandwidth: 1 << 20, queue: 4 << 20})
	repaired := 0
	w.bulk(Options{}, 800*segments, func(n, again int) (bool, time.Duration) {
		if again > 0 {
			repaired = n
		}
		return n == 250 && again == 0, 0
	})
	require.EqualValues(t, 1, w.hosts[0].Counters().FastRetransmits)
	require.EqualValues(t, 1, w.hosts[0].Counters().RetransSegs)
	longest, burst, most := int64(0), 1, 1
	for i := repaired + 1; w.left[i] < w.left[repaired]+int64(150*time.Millisecond); i++ {
		gap := w.left[i] - w.left[i-1]
		longest = max(longest, gap)
		if burst++; gap > 0 {
			burst = 1
		}
		most = max(most, burst)
	}
	t.Logf("the longest silence was %v, the largest burst %d segments", time.Duration(longest), most)
	require.Less(t, time.Duration(longest), 10*time.Millisecond)
	require.LessOrEqual(t, most, 4)
}

// Three segments are in flight and the first is lost: two duplicates are too few. Each has let a new segment leave, and so there are
// more.
func TestScenarioLimitedTransmit(t *testing.T) {
	small := func(c *Config) { c.InitialWindow = 3 }
	w, took := scenario(t, Options{NoSACK: true}, 20*segments, lost(0), small)
	require.Zero(t, w.hosts[0].Counters().RetransTimeouts)
	require.EqualValues(t, 1, w.hosts[0].Counters().FastRetransmits)
	require.Less(t, took, 200*time.Millisecond)
}
