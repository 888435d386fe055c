package fault_test

import (
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/fault"
	"github.com/smolnet/smolnet/dev/pipe"
)

// offer offers packets with the numbers from first on, before end, and returns how many were taken.
func (w *wrapped) offer(now time.Time, first, end int) int {
	w.t.Helper()
	var pkts []*packet.Packet
	for n := first; n < end; n++ {
		pkts = append(pkts, numbered(n, 60))
	}
	n, err := w.d.Send(now, pkts)
	require.NoError(w.t, err)
	for _, p := range pkts[n:] {
		p.Release()
	}
	return n
}

// until calls wait in a goroutine and returns where its result comes.
func until(wait func() error) chan error {
	done := make(chan error, 1)
	go func() { done <- wait() }()
	synctest.Wait()
	return done
}

func TestWhenTheInnerDeviceIsFullNothingIsLost(t *testing.T) {
	for _, tc := range []struct {
		name   string
		config fault.Config
		most   int
	}{
		{"nothing is done to packets", fault.Config{}, 3},
		{"something is", fault.Config{Out: fault.Direction{Rate: 1000}}, 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := wrap(t, pipe.Config{Medium: dev.IP, Queue: 3}, tc.config)
			next, got := 0, []int{}
			taken := w.offer(epoch, next, next+100)
			require.LessOrEqual(t, taken, tc.most)
			next += taken
			require.Zero(t, w.offer(epoch, next, next+100), "what was taken waits for room, and nothing joins it")
			require.Equal(t, -time.Nanosecond, w.due(), "no time will make room")
			for len(got) < 200 {
				got = append(got, w.receive(w.other, epoch)...)
				w.wake(epoch)
				next += w.offer(epoch, next, next+100)
			}
			for i, n := range got {
				require.Equal(t, i, n)
			}
		})
	}
}

func TestWhatIsOnItsWayIsBounded(t *testing.T) {
	w := wrap(t, pipe.Config{Medium: dev.IP, MTU: 65535}, fault.Config{Out: fault.Direction{Delay: time.Second}})
	taken := 0
	for {
		p := numbered(taken, 60000)
		n, err := w.d.Send(epoch, []*packet.Packet{p})
		require.NoError(t, err)
		if n == 0 {
			p.Release()
			break
		}
		taken++
	}
	require.Greater(t, taken, 800)
	require.Less(t, taken, 1200, "64 MiB")
	w.wake(at(time.Second))
	require.Len(t, w.receive(w.other, epoch), 69, "as much as the pipe holds")
}

func TestReceiveLeavesInTheInnerDeviceWhatItHasNoRoomFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := pipe.Config{Medium: dev.IP, MTU: 65535, QueueOctets: 200 << 20}
		w := wrap(t, link, fault.Config{In: fault.Direction{Delay: time.Second}})
		const frames = 1500
		w.send(w.other, epoch, 0, frames, 60000)
		require.NoError(t, w.d.WaitReceive())
		require.Empty(t, w.receive(w.d, epoch))
		done := until(w.d.WaitReceive)
		require.Empty(t, done, "there is something, but Receive would not have it")
		got := w.receive(w.d, at(time.Second))
		require.Less(t, len(got), 1200)
		require.Len(t, w.receive(w.d, at(2*time.Second)), frames-len(got))
		require.NoError(t, <-done, "it would now")
	})
}

func TestWaitReceiveReturns(t *testing.T) {
	delayed := fault.Config{Out: fault.Direction{Delay: 10 * time.Millisecond}}
	for _, tc := range []struct {
		name   string
		link   pipe.Config
		config fault.Config
		cause  func(w *wrapped)
		want   error
	}{
		{"when something arrives", ip, fault.Config{}, func(w *wrapped) { w.send(w.other, epoch, 0, 1, 60) }, nil},
		{"when the inner device's PollAt moves", pipe.Config{Medium: dev.IP, Delay: time.Second}, fault.Config{},
			func(w *wrapped) { w.send(w.other, epoch, 0, 1, 60) }, nil},
		{"when a frame is delayed, which moves PollAt", ip, delayed, func(w *wrapped) { w.send(w.d, epoch, 0, 1, 60) }, nil},
		{"when the device is closed", ip, delayed, func(w *wrapped) { w.d.Close() }, net.ErrClosed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := wrap(t, tc.link, tc.config)
				done := until(w.d.WaitReceive)
				require.Empty(t, done)
				tc.cause(w)
				require.Equal(t, tc.want, <-done)
				_ = w.d.Close()
			})
		})
	}
}

func TestWaitReceiveDoesNotReturnForAFrameBehindOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wrap(t, ip, fault.Config{Out: fault.Direction{Delay: 10 * time.Millisecond}})
		w.send(w.d, epoch, 0, 1, 60)
		require.NoError(t, w.d.WaitReceive())
		w.due()
		done := until(w.d.WaitReceive)
		w.send(w.d, at(time.Millisecond), 1, 2, 60)
		synctest.Wait()
		require.Empty(t, done, "PollAt is what it was")
		require.NoError(t, w.d.Close())
		<-done
	})
}

func TestWaitReceiveReturnsWhenTheInnerDeviceHasRoomForWhatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wrap(t, pipe.Config{Medium: dev.IP, Queue: 1}, fault.Config{Out: fault.Direction{Rate: 1000}})
		require.Equal(t, 3, w.offer(epoch, 0, 3))
		for n := range 3 {
			done := until(w.d.WaitReceive)
			if n < 2 {
				require.Empty(t, done)
			}
			require.Equal(t, []int{n}, w.receive(w.other, epoch))
			if n < 2 {
				require.NoError(t, <-done)
				w.wake(epoch) // sends the next
			} else {
				require.NoError(t, w.d.Close())
				<-done
			}
		}
	})
}

func TestWaitSend(t *testing.T) {
	for _, tc := range []struct {
		name   string
		config fault.Config
	}{
		{"nothing is done to packets", fault.Config{}},
		{"something is", fault.Config{Out: fault.Direction{Rate: 1000}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := wrap(t, pipe.Config{Medium: dev.IP, Queue: 2}, tc.config)
				for taken := 1; taken > 0; taken = w.offer(epoch, 0, 5) {
				}
				done := until(w.d.WaitSend)
				require.Empty(t, done)
				w.receive(w.other, epoch)
				require.NoError(t, <-done)
				w.offer(epoch, 5, 7)
				require.Len(t, w.receive(w.other, epoch), 2)

				for taken := 1; taken > 0; taken = w.offer(epoch, 0, 5) {
				}
				done = until(w.d.WaitSend)
				require.NoError(t, w.d.Close())
				require.ErrorIs(t, <-done, net.ErrClosed)
			})
		})
	}
}

func TestWaitSendReturnsWhenDelayedFramesHaveLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wrap(t, pipe.Config{Medium: dev.IP, MTU: 65535, QueueOctets: 200 << 20},
			fault.Config{Out: fault.Direction{Delay: time.Second}})
		for pkts := []*packet.Packet{nil}; ; {
			pkts[0] = numbered(0, 60000)
			if n, err := w.d.Send(epoch, pkts); n == 0 {
				require.NoError(t, err)
				pkts[0].Release()
				break
			}
		}
		done := until(w.d.WaitSend)
		require.Empty(t, done)
		w.wake(at(time.Second))
		require.NoError(t, <-done)
		require.Equal(t, 1, w.offer(at(time.Second), 0, 1))
	})
}

// refusing is a device that cannot send some frames, and breaks at last.
type refusing struct {
	*pipe.Device
	sent   int
	broken bool
}

func (r *refusing) Send(now time.Time, pkts []*packet.Packet) (int, error) {
	if r.broken {
		return 0, net.ErrClosed
	}
	for i := range pkts {
		if r.sent++; r.sent%3 == 0 {
			return i, errors.New("not this one")
		}
		if _, err := r.Device.Send(now, pkts[i:i+1]); err != nil {
			return i, err
		}
	}
	return len(pkts), nil
}

func TestAFrameThatTheInnerDeviceRefusesIsDropped(t *testing.T) {
	a, b := pipe.New(ip)
	inner := &refusing{Device: a}
	d, err := fault.New(inner, fault.Config{Out: fault.Direction{Rate: 1000}})
	require.NoError(t, err)
	w := &wrapped{t, d, b}
	require.Equal(t, 7, w.offer(epoch, 0, 7))
	require.Equal(t, []int{0, 1, 3, 4, 6}, w.receive(b, epoch))
	out, _ := d.Counters()
	require.Equal(t, fault.Counters{Frames: 7, Passed: 5, Dropped: fault.Drops{Device: 2}}, out)

	inner.broken = true
	pkts := []*packet.Packet{numbered(7, 60)}
	n, err := d.Send(epoch, pkts)
	require.ErrorIs(t, err, net.ErrClosed)
	require.Equal(t, 1, n, "it was taken, and dropped")
	require.NoError(t, d.Close())
}

// Goroutines at all methods at once push frames both ways, through a pipe that is nearly always full.
func TestAllMethodsAtOnce(t *testing.T) {
	const frames = 5000
	some := fault.Direction{Drop: .01, Duplicate: .01, Reorder: .01, ReorderBy: time.Microsecond, Jitter: 2 * time.Microsecond}
	for _, tc := range []struct {
		name   string
		config fault.Config
	}{{"nothing is done to packets", fault.Config{}}, {"something is", fault.Config{Out: some, In: some}}} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := wrap(t, pipe.Config{Medium: dev.IP, Queue: 3}, tc.config)
				var wg sync.WaitGroup
				for _, d := range []dev.Device{w.d, w.other} {
					wg.Go(func() {
						for n := 0; n < frames; {
							pkts := []*packet.Packet{numbered(n, 60), numbered(n+1, 60)}
							for len(pkts) > 0 {
								k, err := d.Send(time.Now(), pkts)
								if err != nil {
									panic(err)
								}
								n += k
								if pkts = pkts[k:]; len(pkts) > 0 && d.WaitSend() != nil {
									panic("closed")
								}
							}
						}
					})
				}
				var received [2]int
				var receivers sync.WaitGroup
				for i, d := range []dev.Device{w.d, w.other} {
					moved := make(chan struct{})
					receivers.Go(func() {
						for d.WaitReceive() == nil {
							moved <- struct{}{}
						}
						close(moved)
					})
					receivers.Go(func() {
						pkts := make([]*packet.Packet, 4)
						for {
							n, _ := d.Receive(time.Now(), pkts)
							received[i] += n
							for _, p := range pkts[:n] {
								p.Release()
							}
							if n == len(pkts) {
								continue
							}
							var timer <-chan time.Time
							if due, ok := d.PollAt(); ok {
								timer = time.After(time.Until(due))
							}
							select {
							case <-timer:
							case _, ok := <-moved:
								if !ok {
									return
								}
							}
						}
					})
				}
				wg.Wait()
				time.Sleep(time.Second) // virtual; all that was delayed arrives
				out, in := w.d.Counters()
				require.NoError(t, w.d.Close())
				require.NoError(t, w.other.Close())
				receivers.Wait()
				for i, c := range []fault.Counters{in, out} {
					require.EqualValues(t, frames, c.Frames)
					require.EqualValues(t, c.Passed, received[i])
					require.Equal(t, c.Passed, c.Frames+c.Duplicated-c.Dropped.Chance)
				}
			})
		})
	}
}
