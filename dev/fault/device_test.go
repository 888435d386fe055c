package fault_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/fault"
	"github.com/smolnet/smolnet/dev/pipe"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return epoch.Add(d) }

// wrapped is a faulty device on one end of a pipe, and the other end.
type wrapped struct {
	t     testing.TB
	d     *fault.Device
	other *pipe.Device
}

func wrap(t testing.TB, link pipe.Config, config fault.Config) *wrapped {
	t.Helper()
	a, b := pipe.New(link)
	d, err := fault.New(a, config)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, d.Close())
		require.NoError(t, b.Close())
	})
	return &wrapped{t, d, b}
}

// numbered returns a packet of size octets that begins with n: no IP packet.
func numbered(n, size int) *packet.Packet {
	p := packet.New(size)
	b := p.Append(size)
	clear(b)
	binary.BigEndian.PutUint32(b, uint32(n))
	return p
}

// send sends packets with the numbers from first on, before end.
func (w *wrapped) send(d dev.Device, now time.Time, first, end, size int) {
	w.t.Helper()
	for n := first; n < end; n++ {
		taken, err := d.Send(now, []*packet.Packet{numbered(n, size)})
		require.NoError(w.t, err)
		require.Equal(w.t, 1, taken)
	}
}

// receive takes all that there is and returns the numbers.
func (w *wrapped) receive(d dev.Device, now time.Time) []int {
	w.t.Helper()
	numbers := []int{}
	for _, b := range w.frames(d, now) {
		numbers = append(numbers, int(binary.BigEndian.Uint32(b)))
	}
	return numbers
}

// frames takes all that there is.
func (w *wrapped) frames(d dev.Device, now time.Time) (frames [][]byte) {
	w.t.Helper()
	pkts := make([]*packet.Packet, 16)
	for {
		n, err := d.Receive(now, pkts)
		require.NoError(w.t, err)
		for _, p := range pkts[:n] {
			require.Nil(w.t, p.Next)
			b := make([]byte, p.Len())
			p.CopyTo(b, 0)
			frames = append(frames, b)
			p.Release()
		}
		if n < len(pkts) {
			return frames
		}
	}
}

// wake has the device see to what is due, as a stack does at PollAt's time.
func (w *wrapped) wake(now time.Time) {
	require.Empty(w.t, w.receive(w.d, now))
}

// due is PollAt, as the time since the epoch; negative: never.
func (w *wrapped) due() time.Duration {
	if when, ok := w.d.PollAt(); ok {
		return when.Sub(epoch)
	}
	return -1
}

var ip = pipe.Config{Medium: dev.IP}

func TestConfigurationsThatAreWrong(t *testing.T) {
	a, _ := pipe.New(ip)
	for _, tc := range []struct {
		name   string
		config fault.Config
		want   string
	}{
		{"probability above 1", fault.Config{Out: fault.Direction{Drop: 1.5}}, "fault: Out.Drop is 1.5: a probability is from 0 to 1"},
		{"probability below 0", fault.Config{In: fault.Direction{Mark: -1}}, "fault: In.Mark is -1: a probability is from 0 to 1"},
		{"no number", fault.Config{In: fault.Direction{Reorder: math.NaN()}}, "fault: In.Reorder is NaN: a probability is from 0 to 1"},
		{"negative delay", fault.Config{Out: fault.Direction{Delay: -1}}, "fault: Out.Delay is -1: it cannot be negative"},
		{"negative queue", fault.Config{In: fault.Direction{Queue: -7}}, "fault: In.Queue is -7: it cannot be negative"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := fault.New(a, tc.config)
			require.EqualError(t, err, tc.want)
		})
	}
	_, err := fault.New(nil, fault.Config{})
	require.EqualError(t, err, "fault: there is no inner device")
}

func TestAWrongConfigurationChangesNothing(t *testing.T) {
	w := wrap(t, ip, fault.Config{Out: fault.Direction{Drop: 1}})
	require.Error(t, w.d.SetConfig(fault.Config{In: fault.Direction{Drop: 2}}))
	w.send(w.d, epoch, 0, 1, 60)
	require.Empty(t, w.receive(w.other, epoch))
}

func TestCapabilitiesAreTheInnerDevicesButForVerifying(t *testing.T) {
	checksums := dev.Checksums{IPv4: dev.ChecksumNone, UDP: dev.ChecksumRx, TCP: dev.ChecksumTx}
	w := wrap(t, pipe.Config{MTU: 9000, Checksum: checksums, SegmentTCP6: true}, fault.Config{})
	require.Equal(t, dev.Capabilities{Medium: dev.Ethernet, MTU: 9000, SegmentTCP6: true,
		Checksum: dev.Checksums{IPv4: dev.ChecksumTx, TCP: dev.ChecksumTx}}, w.d.Capabilities())
}

func TestTheZeroValuePassesPacketsAsTheyAre(t *testing.T) {
	w := wrap(t, ip, fault.Config{})
	sent := numbered(1, 60)
	n, err := w.d.Send(epoch, []*packet.Packet{sent})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	got := make([]*packet.Packet, 2)
	n, err = w.other.Receive(epoch, got)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Same(t, sent, got[0])
	n, err = w.other.Send(epoch, got[:1])
	require.NoError(t, err)
	require.Equal(t, 1, n)
	n, err = w.d.Receive(epoch, got)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Same(t, sent, got[0])
	sent.Release()
	require.Equal(t, -time.Nanosecond, w.due())
	out, in := w.d.Counters()
	require.Equal(t, fault.Counters{Frames: 1, Passed: 1}, out)
	require.Equal(t, fault.Counters{Frames: 1, Passed: 1}, in)
}

func TestTheZeroValueAllocatesNothing(t *testing.T) {
	if checked {
		t.Skip("a checked build allocates")
	}
	for _, tc := range []struct {
		name   string
		config fault.Config
	}{
		{"the zero value", fault.Config{}},
		{"nor does what injures, once warm", fault.Config{
			Out: fault.Direction{Drop: .1, Corrupt: .1, Duplicate: .1, Reorder: .1, Bandwidth: 1e9, Queue: 1 << 20},
			In:  fault.Direction{Corrupt: .1, Rate: 1000, Jitter: time.Microsecond, Mark: 1},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := wrap(t, ip, tc.config)
			pkts := make([]*packet.Packet, 32)
			now := epoch
			round := func() {
				for _, way := range [][2]dev.Device{{w.d, w.other}, {w.other, w.d}} {
					for i := range pkts {
						pkts[i] = packet.New(1400)
						pkts[i].Append(1400)
					}
					if n, err := way[0].Send(now, pkts); n != len(pkts) || err != nil {
						t.Fatal(n, err)
					}
					now = now.Add(20 * time.Millisecond)
					for range 3 {
						w.d.PollAt()
						n, _ := way[1].Receive(now, pkts)
						for _, p := range pkts[:n] {
							p.Release()
						}
						n, _ = way[0].Receive(now, pkts)
						for _, p := range pkts[:n] {
							p.Release()
						}
					}
				}
			}
			for range 20 {
				round()
			}
			require.Zero(t, testing.AllocsPerRun(200, round))
		})
	}
}

func TestDropCorruptAndDuplicateHappenAsOftenAsTheyShould(t *testing.T) {
	const frames = 10000
	for _, tc := range []struct {
		name   string
		set    func(d *fault.Direction)
		count  func(c fault.Counters) uint64
		passed func(n uint64) uint64 // of frames, if n were hit
	}{
		{"drop", func(d *fault.Direction) { d.Drop = .2 },
			func(c fault.Counters) uint64 { return c.Dropped.Chance }, func(n uint64) uint64 { return frames - n }},
		{"corrupt", func(d *fault.Direction) { d.Corrupt = .2 },
			func(c fault.Counters) uint64 { return c.Corrupted }, func(uint64) uint64 { return frames }},
		{"duplicate", func(d *fault.Direction) { d.Duplicate = .2 },
			func(c fault.Counters) uint64 { return c.Duplicated }, func(n uint64) uint64 { return frames + n }},
	} {
		for _, way := range []string{"out", "in"} {
			t.Run(tc.name+" "+way, func(t *testing.T) {
				var config fault.Config
				tc.set(map[string]*fault.Direction{"out": &config.Out, "in": &config.In}[way])
				w := wrap(t, ip, config)
				from, to := dev.Device(w.d), dev.Device(w.other)
				if way == "in" {
					from, to = to, from
				}
				passed := 0
				for n := 0; n < frames; n += 100 {
					w.send(from, epoch, n, n+100, 60)
					passed += len(w.receive(to, epoch))
				}
				out, in := w.d.Counters()
				c := map[string]fault.Counters{"out": out, "in": in}[way]
				hit := tc.count(c)
				require.InDelta(t, 2000, hit, 150)
				require.EqualValues(t, frames, c.Frames)
				require.Equal(t, tc.passed(hit), c.Passed)
				require.EqualValues(t, c.Passed, passed)
				require.Equal(t, c.Passed+c.Dropped.Total(), c.Frames+c.Duplicated, "every frame is accounted for")
			})
		}
	}
}

func TestCorruptingChangesOneOctetAnywhere(t *testing.T) {
	w := wrap(t, ip, fault.Config{Out: fault.Direction{Corrupt: 1}})
	var hit [40]int
	for range 2000 {
		p := packet.New(40)
		clear(p.Append(40))
		_, err := w.d.Send(epoch, []*packet.Packet{p})
		require.NoError(t, err)
		changed := 0
		for i, octet := range w.frames(w.other, epoch)[0] {
			if octet != 0 {
				hit[i]++
				changed++
			}
		}
		require.Equal(t, 1, changed)
	}
	for i, n := range hit {
		require.NotZero(t, n, "octet %d", i)
	}
}

func TestCorruptingDoesNotTouchWhatIsReferenced(t *testing.T) {
	w := wrap(t, ip, fault.Config{Out: fault.Direction{Corrupt: 1}})
	chunk := packet.NewChunk(100)
	data := chunk.Data()[:100]
	clear(data)
	for range 50 {
		p := packet.New(0)
		p.Reference(chunk, data)
		_, err := w.d.Send(epoch, []*packet.Packet{p})
		require.NoError(t, err)
		require.NotEqual(t, make([]byte, 100), w.frames(w.other, epoch)[0])
		require.Equal(t, make([]byte, 100), data, "the stack still has to send this again")
	}
	chunk.Release()
}

func TestADelayedFrameLeavesWhenSomebodySaysThatItIsDue(t *testing.T) {
	w := wrap(t, ip, fault.Config{Out: fault.Direction{Delay: 10 * time.Millisecond}})
	w.send(w.d, at(0), 0, 1, 60)
	w.send(w.d, at(5*time.Millisecond), 1, 2, 60)
	require.Equal(t, 10*time.Millisecond, w.due())
	require.Empty(t, w.receive(w.other, at(time.Hour)), "time is what the device's callers tell it")
	w.wake(at(10*time.Millisecond - 1))
	require.Empty(t, w.receive(w.other, epoch))

	w.wake(at(10 * time.Millisecond))
	require.Equal(t, []int{0}, w.receive(w.other, epoch))
	require.Equal(t, 10*time.Millisecond, w.due(), "there is something at the other end now")
	w.wake(at(10 * time.Millisecond))
	require.Equal(t, 15*time.Millisecond, w.due())
	w.send(w.d, at(15*time.Millisecond), 2, 3, 60)
	require.Equal(t, []int{1}, w.receive(w.other, epoch), "a call of Send will do")
	require.Equal(t, 25*time.Millisecond, w.due())
}

func TestADelayedFrameIsReceivedLater(t *testing.T) {
	w := wrap(t, ip, fault.Config{In: fault.Direction{Delay: 10 * time.Millisecond}})
	w.send(w.other, epoch, 0, 3, 60)
	require.Empty(t, w.receive(w.d, at(time.Millisecond)))
	require.Equal(t, 11*time.Millisecond, w.due(), "a frame comes when it is taken from the inner device")
	require.Empty(t, w.receive(w.d, at(11*time.Millisecond-1)))
	require.Equal(t, []int{0, 1, 2}, w.receive(w.d, at(11*time.Millisecond)))
	require.Equal(t, -time.Nanosecond, w.due())
}

func TestPollAtIsTheEarlierOfItsOwnAndTheInnerDevices(t *testing.T) {
	w := wrap(t, pipe.Config{Medium: dev.IP, Delay: 10 * time.Millisecond},
		fault.Config{Out: fault.Direction{Delay: 20 * time.Millisecond}})
	w.send(w.d, at(0), 0, 1, 60)
	require.Equal(t, 20*time.Millisecond, w.due())
	w.send(w.other, at(5*time.Millisecond), 1, 2, 60)
	require.Equal(t, 15*time.Millisecond, w.due())
	require.Equal(t, []int{1}, w.receive(w.d, at(15*time.Millisecond)))
	require.Equal(t, 20*time.Millisecond, w.due())
}

func TestJitterDelaysButKeepsTheOrder(t *testing.T) {
	const delay, jitter = 10 * time.Millisecond, 5 * time.Millisecond
	w := wrap(t, ip, fault.Config{Out: fault.Direction{Delay: delay, Jitter: jitter}})
	w.send(w.d, epoch, 0, 100, 60)
	next, times := 0, map[time.Duration]bool{}
	for due := w.due(); due >= 0; due = w.due() {
		require.GreaterOrEqual(t, due, delay)
		require.Less(t, due, delay+jitter)
		times[due] = true
		w.wake(at(due))
		for _, n := range w.receive(w.other, epoch) {
			require.Equal(t, next, n)
			next++
		}
	}
	require.Equal(t, 100, next)
	require.Greater(t, len(times), 2, "they were not delayed alike")
}

func TestAReorderedFrameIsOvertaken(t *testing.T) {
	w := wrap(t, ip, fault.Config{Out: fault.Direction{Reorder: .1, ReorderBy: 3 * time.Millisecond}})
	var got []int
	for n := range 1000 {
		now := at(time.Duration(n) * time.Millisecond)
		w.send(w.d, now, n, n+1, 60)
		got = append(got, w.receive(w.other, now)...)
	}
	w.wake(at(time.Hour))
	got = append(got, w.receive(w.other, epoch)...)
	require.Len(t, got, 1000)
	late := 0
	for i, n := range got {
		if i > 0 && n < got[i-1] {
			late++
			require.LessOrEqual(t, got[i-1]-n, 3)
		}
	}
	out, _ := w.d.Counters()
	require.InDelta(t, 100, late, 40)
	require.InDelta(t, late, out.Reordered, 30, "some are held back one after the other")
}

func TestAScriptDecides(t *testing.T) {
	script := func(f fault.Frame) fault.Action {
		switch f.N {
		case 1:
			return fault.Drop
		case 3:
			return fault.Hold(7 * time.Millisecond)
		case 5:
			return fault.Corrupt
		}
		return fault.Pass
	}
	w := wrap(t, ip, fault.Config{Out: fault.Direction{Script: script}})
	w.send(w.d, epoch, 0, 5, 60)
	require.Equal(t, []int{0, 2, 4}, w.receive(w.other, epoch))
	require.Equal(t, 7*time.Millisecond, w.due())
	w.wake(at(7 * time.Millisecond))
	require.Equal(t, []int{3}, w.receive(w.other, epoch))
	w.send(w.d, at(8*time.Millisecond), 5, 6, 4)
	require.NotEqual(t, []int{5}, w.receive(w.other, epoch))

	out, _ := w.d.Counters()
	require.Equal(t, fault.Counters{Frames: 6, Passed: 5, Dropped: fault.Drops{Script: 1}, Corrupted: 1, Reordered: 1}, out)
}

func TestWhatAScriptDecidesIsNotLeftToChance(t *testing.T) {
	certain := fault.Direction{Drop: 1, Script: func(fault.Frame) fault.Action { return fault.Hold(0) }}
	w := wrap(t, ip, fault.Config{Out: certain})
	w.send(w.d, epoch, 0, 3, 60)
	require.Equal(t, []int{0, 1, 2}, w.receive(w.other, epoch))
}

func TestAScriptMayChangeTheConfiguration(t *testing.T) {
	var w *wrapped
	w = wrap(t, ip, fault.Config{Out: fault.Direction{Script: func(f fault.Frame) fault.Action {
		if f.N == 2 {
			require.NoError(t, w.d.SetConfig(fault.Config{}))
			return fault.Drop
		}
		return fault.Pass
	}}})
	w.send(w.d, epoch, 0, 5, 60)
	require.Equal(t, []int{0, 1, 3, 4}, w.receive(w.other, epoch))
}

func TestLargerFramesThanMaxSizeVanish(t *testing.T) {
	for _, tc := range []struct {
		medium dev.Medium
		most   int
	}{{dev.IP, 100}, {dev.Ethernet, 114}} {
		t.Run(tc.medium.String(), func(t *testing.T) {
			w := wrap(t, pipe.Config{Medium: tc.medium}, fault.Config{Out: fault.Direction{MaxSize: 100}})
			w.send(w.d, epoch, 0, 1, tc.most)
			w.send(w.d, epoch, 1, 2, tc.most+1)
			require.Equal(t, []int{0}, w.receive(w.other, epoch))
			out, _ := w.d.Counters()
			require.EqualValues(t, 1, out.Dropped.Size)
		})
	}
}

func TestATokenBucketPassesSoManyInEachInterval(t *testing.T) {
	w := wrap(t, ip, fault.Config{Out: fault.Direction{Rate: 3, Interval: 10 * time.Millisecond}})
	w.send(w.d, at(time.Millisecond), 0, 5, 60)
	require.Equal(t, []int{0, 1, 2}, w.receive(w.other, epoch))
	w.send(w.d, at(11*time.Millisecond-1), 5, 6, 60)
	require.Empty(t, w.receive(w.other, epoch))
	w.send(w.d, at(16*time.Millisecond), 6, 8, 60)
	require.Equal(t, []int{6, 7}, w.receive(w.other, epoch))
	w.send(w.d, at(20*time.Millisecond), 8, 10, 60)
	require.Equal(t, []int{8}, w.receive(w.other, epoch))
	w.send(w.d, at(21*time.Millisecond), 10, 14, 60)
	require.Equal(t, []int{10, 11, 12}, w.receive(w.other, epoch), "what was left of an interval is not saved")
	out, _ := w.d.Counters()
	require.EqualValues(t, 5, out.Dropped.Rate)
}

func TestBandwidthHasAQueueThatDropsAtItsTail(t *testing.T) {
	w := wrap(t, ip, fault.Config{Out: fault.Direction{Bandwidth: 1_000_000, Queue: 5000}})
	w.send(w.d, epoch, 0, 8, 1000) // each takes a millisecond
	out, _ := w.d.Counters()
	require.EqualValues(t, 3, out.Dropped.Queue, "one is being sent, four wait behind it")
	var leaving []string
	for due := w.due(); due >= 0; due = w.due() {
		w.wake(at(due))
		leaving = append(leaving, fmt.Sprint(due, w.receive(w.other, epoch)))
		w.wake(at(due))
	}
	require.Equal(t, []string{"1ms [0]", "2ms [1]", "3ms [2]", "4ms [3]", "5ms [4]"}, leaving)

	w.send(w.d, at(10*time.Millisecond), 8, 9, 1000)
	require.Equal(t, 11*time.Millisecond, w.due(), "time in which nothing was sent is not saved")
}

func TestAnyFrameFitsWhereNothingWaits(t *testing.T) {
	w := wrap(t, ip, fault.Config{Out: fault.Direction{Bandwidth: 1_000_000, Queue: 10}})
	w.send(w.d, epoch, 0, 2, 1000)
	w.wake(at(time.Millisecond))
	require.Equal(t, []int{0}, w.receive(w.other, epoch))
}

func TestBandwidthIsExact(t *testing.T) {
	const bandwidth = 1_250_000 // 10 Mbit/s
	w := wrap(t, ip, fault.Config{In: fault.Direction{Bandwidth: bandwidth, Queue: 30_000}})
	octets := 0
	for ms := range 1000 {
		now := at(time.Duration(ms) * time.Millisecond)
		w.send(w.other, now, 0, 2, 1500) // more than twice too many
		for _, b := range w.frames(w.d, now) {
			octets += len(b)
		}
	}
	require.InEpsilon(t, bandwidth, octets, .01)
	_, in := w.d.Counters()
	require.NotZero(t, in.Dropped.Queue)
}

func TestTheSameSeedGivesTheSameFaults(t *testing.T) {
	run := func(seed uint64) [32]byte {
		var got [][]byte
		all := fault.Direction{Drop: .1, Corrupt: .1, Duplicate: .1, Reorder: .1, Jitter: time.Millisecond}
		w := wrap(t, ip, fault.Config{Seed: seed, Out: all, In: all})
		for n := range 200 {
			now := at(time.Duration(n) * time.Millisecond)
			w.send(w.d, now, n, n+1, 60)
			w.send(w.other, now, n, n+1, 60)
			got = append(got, w.frames(w.d, now)...)
			got = append(got, w.frames(w.other, now)...)
		}
		return sha256.Sum256(bytes.Join(got, []byte("next")))
	}
	require.Equal(t, run(1), run(1))
	require.NotEqual(t, run(1), run(2))
}

func TestSetConfigHoldsFromNowOnAndKeepsTheOrder(t *testing.T) {
	w := wrap(t, ip, fault.Config{Out: fault.Direction{Delay: 10 * time.Millisecond}})
	w.send(w.d, epoch, 0, 1, 60)
	require.NoError(t, w.d.SetConfig(fault.Config{}))
	w.send(w.d, epoch, 1, 2, 60)
	require.Empty(t, w.receive(w.other, epoch), "one is on its way still, and nothing overtakes it")
	w.wake(at(10 * time.Millisecond))
	w.send(w.d, at(10*time.Millisecond), 2, 3, 60)
	require.Equal(t, []int{0, 1, 2}, w.receive(w.other, epoch))
}

func TestAFloodThatIsDroppedDoesNotKeepReceiveForever(t *testing.T) {
	const frames = 5000
	w := wrap(t, pipe.Config{Medium: dev.IP, Queue: frames}, fault.Config{In: fault.Direction{Drop: 1}})
	w.send(w.other, epoch, 0, frames, 60)
	w.wake(epoch)
	_, in := w.d.Counters()
	require.Less(t, in.Frames, uint64(frames))
	require.Zero(t, w.due(), "there is more")
	w.wake(epoch)
	_, in = w.d.Counters()
	require.EqualValues(t, frames, in.Dropped.Chance)
	require.Equal(t, -time.Nanosecond, w.due())
}

func TestAFrameTooLongIsRefused(t *testing.T) {
	for _, config := range []fault.Config{{}, {Out: fault.Direction{Delay: 1}}} {
		w := wrap(t, pipe.Config{Medium: dev.IP, MTU: 100}, config)
		pkts := []*packet.Packet{numbered(0, 100), numbered(1, 101)}
		n, err := w.d.Send(epoch, pkts)
		require.Equal(t, 1, n)
		require.ErrorContains(t, err, "frame of 101 octets is too long: at most 100 with an MTU of 100")
		pkts[1].Release()
	}
}

// What a radio sends is no IP packet, whatever it looks like: it is damaged, but neither finished nor marked.
func TestRadioFrames(t *testing.T) {
	radio := pipe.Config{Medium: dev.IEEE802154, MTU: 1280}
	for _, tc := range []struct {
		name      string
		direction fault.Direction
		changed   int // octets
	}{
		{"untouched", fault.Direction{}, 0},
		{"delayed by nothing", fault.Direction{Jitter: 1}, 0},
		{"marked", fault.Direction{Mark: 1}, 0},
		{"corrupted", fault.Direction{Corrupt: 1}, 1},
		{"small enough", fault.Direction{MaxSize: 125}, 0},
		{"looked at", fault.Direction{Script: func(f fault.Frame) fault.Action {
			if len(f.Data) != 125 || f.IP != nil || f.TCP != nil {
				return fault.Drop
			}
			return fault.Pass
		}}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := wrap(t, radio, fault.Config{Out: tc.direction, In: tc.direction})
			require.Equal(t, dev.Capabilities{Medium: dev.IEEE802154, MTU: 1280}, w.d.Capabilities())
			// The longest frame there is, which looks like an ECN-capable IPv4 packet with TCP inside and no checksums.
			frame := make([]byte, 125)
			copy(frame, "\x45\x02\x00\x7d\x00\x00\x00\x00\x40\x06\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02")
			frame[32] = 5 << 4
			for _, way := range [][2]dev.Device{{w.d, w.other}, {w.other, w.d}} {
				p := packet.New(125)
				copy(p.Append(125), frame)
				p.Checksum = packet.ChecksumVerified
				n, err := way[0].Send(epoch, []*packet.Packet{p})
				require.NoError(t, err)
				require.Equal(t, 1, n)
				got := w.frames(way[1], epoch.Add(time.Second))
				require.Len(t, got, 1)
				require.Len(t, got[0], len(frame))
				changed := 0
				for i := range frame {
					if got[0][i] != frame[i] {
						changed++
					}
				}
				require.Equal(t, tc.changed, changed)
			}
			p := numbered(0, 126)
			n, err := w.d.Send(epoch, []*packet.Packet{p})
			require.Zero(t, n)
			require.ErrorContains(t, err, "frame of 126 octets is too long: at most 125")
			p.Release()
		})
	}
}

func TestClosedDevice(t *testing.T) {
	w := wrap(t, ip, fault.Config{Out: fault.Direction{Delay: time.Second}, In: fault.Direction{Delay: time.Second}})
	w.send(w.d, epoch, 0, 3, 60)
	w.send(w.other, epoch, 0, 2, 60)
	w.wake(epoch)
	require.NoError(t, w.d.Close())
	require.NoError(t, w.d.Close())
	out, in := w.d.Counters()
	require.EqualValues(t, 3, out.Dropped.Device)
	require.EqualValues(t, 2, in.Dropped.Device)
	p := []*packet.Packet{numbered(0, 60)}
	_, err := w.d.Send(epoch, p)
	require.ErrorIs(t, err, net.ErrClosed)
	p[0].Release()
	_, err = w.d.Receive(epoch, p)
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorIs(t, w.d.WaitReceive(), net.ErrClosed)
	require.ErrorIs(t, w.d.WaitSend(), net.ErrClosed)
	require.Equal(t, -time.Nanosecond, w.due())
}
