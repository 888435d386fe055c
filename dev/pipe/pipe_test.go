package pipe_test

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func frame(octets string) *packet.Packet {
	p := packet.New(len(octets))
	copy(p.Append(len(octets)), octets)
	return p
}

// receive takes what has arrived.
func receive(t *testing.T, d *pipe.Device, now time.Time) []string {
	t.Helper()
	pkts := make([]*packet.Packet, 16)
	n, err := d.Receive(now, pkts)
	require.NoError(t, err)
	got := []string{}
	for _, p := range pkts[:n] {
		p.Own()
		got = append(got, string(p.Head()))
		p.Release()
	}
	return got
}

func TestDefaults(t *testing.T) {
	a, b := pipe.New(pipe.Config{})
	require.Equal(t, dev.Capabilities{Medium: dev.Ethernet, MTU: 1500}, a.Capabilities())
	require.Equal(t, a.Capabilities(), b.Capabilities())
}

func TestOffloadsAreThoseOfTheConfiguration(t *testing.T) {
	checksums := dev.Checksums{TCP: dev.ChecksumTx, UDP: dev.ChecksumNone}
	a, _ := pipe.New(pipe.Config{Medium: dev.IP, MTU: 9000, Checksum: checksums, SegmentTCP6: true})
	require.Equal(t, dev.Capabilities{Medium: dev.IP, MTU: 9000, Checksum: checksums, SegmentTCP6: true},
		a.Capabilities())
}

func TestEachEndReceivesWhatTheOtherSends(t *testing.T) {
	a, b := pipe.New(pipe.Config{})
	n, err := a.Send(epoch, []*packet.Packet{frame("one"), frame("two")})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	n, err = b.Send(epoch, []*packet.Packet{frame("three")})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, []string{"one", "two"}, receive(t, b, epoch))
	require.Equal(t, []string{"three"}, receive(t, a, epoch))
}

func TestReferencedPayloadArrives(t *testing.T) {
	a, b := pipe.New(pipe.Config{})
	chunk := packet.NewChunk(100)
	copy(chunk.Data(), "payload")
	p := frame("header, ")
	p.Reference(chunk, chunk.Data()[:7])
	chunk.Release()
	_, err := a.Send(epoch, []*packet.Packet{p})
	require.NoError(t, err)
	require.Equal(t, []string{"header, payload"}, receive(t, b, epoch))
}

func TestDelayDiffersByDirection(t *testing.T) {
	tests := []struct {
		name        string
		cfg         pipe.Config
		there, back time.Duration
	}{
		{"the same both ways", pipe.Config{Delay: 50 * time.Millisecond}, 50 * time.Millisecond, 50 * time.Millisecond},
		{"another back", pipe.Config{Delay: time.Second, DelayBack: time.Millisecond}, time.Second, time.Millisecond},
		{"none back", pipe.Config{Delay: time.Second, DelayBack: -1}, time.Second, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := pipe.New(tt.cfg)
			for _, way := range []struct {
				from, to *pipe.Device
				delay    time.Duration
			}{{a, b, tt.there}, {b, a, tt.back}} {
				_, err := way.from.Send(epoch, []*packet.Packet{frame("x")})
				require.NoError(t, err)
				due, ok := way.to.PollAt()
				require.Equal(t, way.delay > 0, ok)
				if ok {
					require.Equal(t, epoch.Add(way.delay), due)
					require.Empty(t, receive(t, way.to, due.Add(-1)))
				}
				require.Equal(t, []string{"x"}, receive(t, way.to, epoch.Add(way.delay)))
			}
		})
	}
}

func TestAFrameTooLongIsRefusedAndTheRestMayBeTriedAgain(t *testing.T) {
	a, b := pipe.New(pipe.Config{Medium: dev.IP, MTU: 5})
	pkts := []*packet.Packet{frame("first"), frame("second"), frame("third")}
	n, err := a.Send(epoch, pkts)
	require.Equal(t, 1, n)
	require.EqualError(t, err, "pipe: frame of 6 octets is too long: at most 5 with an MTU of 5")
	pkts[n].Release()
	n, err = a.Send(epoch, pkts[n+1:])
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, []string{"first", "third"}, receive(t, b, epoch))
}

func TestAFullQueueIsNoError(t *testing.T) {
	a, b := pipe.New(pipe.Config{Medium: dev.IP, MTU: 5, Queue: 1})
	pkts := []*packet.Packet{frame("one"), frame("two"), frame("too long")}
	n, err := a.Send(epoch, pkts)
	require.NoError(t, err, "the frame that cannot be sent is not the next one")
	require.Equal(t, 1, n)
	receive(t, b, epoch)
	n, err = a.Send(epoch, pkts[1:])
	require.Error(t, err)
	require.Equal(t, 1, n)
	pkts[2].Release()
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe.New(pipe.Config{Queue: 1})
		pkts := []*packet.Packet{frame("last words"), frame("unsaid")}
		n, err := a.Send(time.Now(), pkts)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		done := make(chan error, 2)
		go func() { done <- a.WaitReceive() }()
		go func() { done <- a.WaitSend() }()
		synctest.Wait()
		require.Empty(t, done)

		require.NoError(t, a.Close())
		require.NoError(t, a.Close())
		require.ErrorIs(t, <-done, net.ErrClosed)
		require.ErrorIs(t, <-done, net.ErrClosed)
		require.ErrorIs(t, a.WaitReceive(), net.ErrClosed)
		require.ErrorIs(t, a.WaitSend(), net.ErrClosed)
		_, err = a.Send(time.Now(), pkts[1:])
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = a.Receive(time.Now(), pkts[:1])
		require.ErrorIs(t, err, net.ErrClosed)

		require.Equal(t, []string{"last words"}, receive(t, b, time.Now()))
		n, err = b.Send(time.Now(), pkts[1:])
		require.NoError(t, err)
		require.Equal(t, 1, n, "the other end talks to nobody, and does not notice")
		require.NoError(t, b.Close())
	})
}

// A poller as a stack has it: it waits for PollAt by a timer, and for WaitReceive in a goroutine.
func TestInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay, rounds = 100 * time.Millisecond, 20
		a, b := pipe.New(pipe.Config{Delay: delay})
		echo := func(d *pipe.Device, answer func(*packet.Packet) bool) {
			moved := make(chan struct{})
			go func() {
				for d.WaitReceive() == nil {
					moved <- struct{}{}
				}
				close(moved)
			}()
			pkts := make([]*packet.Packet, 4)
			for {
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
				n, err := d.Receive(time.Now(), pkts)
				if err != nil {
					continue
				}
				for _, p := range pkts[:n] {
					if answer(p) {
						_, _ = d.Send(time.Now(), []*packet.Packet{p})
					} else {
						p.Release()
					}
				}
			}
		}
		start, left := time.Now(), rounds
		ended := make(chan struct{})
		go echo(b, func(*packet.Packet) bool { return true })
		go echo(a, func(*packet.Packet) bool {
			if left--; left == 0 {
				close(ended)
			}
			return left > 0
		})
		_, err := a.Send(start, []*packet.Packet{frame("ping")})
		require.NoError(t, err)
		<-ended
		require.Equal(t, 2*rounds*delay, time.Since(start))
		require.NoError(t, a.Close())
		require.NoError(t, b.Close())
	})
}

func BenchmarkPipe(b *testing.B) {
	for _, bb := range []struct {
		name string
		size int
	}{{"64", 64}, {"1514", 1514}, {"65535", 65535}} {
		b.Run(bb.name, func(b *testing.B) {
			from, to := pipe.New(pipe.Config{MTU: 65535})
			defer from.Close()
			defer to.Close()
			const batch = 32
			pkts := make([]*packet.Packet, batch)
			b.SetBytes(int64(bb.size))
			b.ReportAllocs()
			for i := 0; i < b.N; i += batch {
				for i := range pkts {
					pkts[i] = packet.New(bb.size)
					pkts[i].Append(bb.size)
				}
				if n, err := from.Send(epoch, pkts); n != batch || err != nil {
					b.Fatal(n, err)
				}
				n, err := to.Receive(epoch, pkts)
				if n != batch || err != nil {
					b.Fatal(n, err)
				}
				for _, p := range pkts {
					p.Release()
				}
			}
		})
	}
}

// Sender and receiver are goroutines, as two stacks are.
func BenchmarkPipeConcurrent(b *testing.B) {
	const size, batch = 1514, 32
	from, to := pipe.New(pipe.Config{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		pkts := make([]*packet.Packet, batch)
		for to.WaitReceive() == nil {
			for {
				n, _ := to.Receive(epoch, pkts)
				for _, p := range pkts[:n] {
					p.Release()
				}
				if n == 0 {
					break
				}
			}
		}
	}()
	b.SetBytes(size)
	b.ReportAllocs()
	pkts := make([]*packet.Packet, batch)
	for i := 0; i < b.N; i += batch {
		for i := range pkts {
			pkts[i] = packet.New(size)
			pkts[i].Append(size)
		}
		for left := pkts; ; {
			n, err := from.Send(epoch, left)
			if err != nil {
				b.Fatal(err)
			}
			if left = left[n:]; len(left) == 0 {
				break
			}
			if err := from.WaitSend(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.StopTimer()
	to.Close()
	from.Close()
	<-done
}
