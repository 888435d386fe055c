package link_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/internal/link"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return epoch.Add(d) }

// numbered returns a packet of size octets that begins with n.
func numbered(n, size int) *packet.Packet {
	p := packet.New(size)
	binary.BigEndian.PutUint32(p.Append(size), uint32(n))
	return p
}

func number(p *packet.Packet) int { return int(binary.BigEndian.Uint32(p.Head())) }

// send puts packets with the numbers from first on, before end, on their way and returns how many were taken.
func send(t *testing.T, q *link.Queue, now time.Time, first, end, size int) int {
	t.Helper()
	var pkts []*packet.Packet
	for n := first; n < end; n++ {
		pkts = append(pkts, numbered(n, size))
	}
	taken, err := q.Send(now, pkts)
	require.NoError(t, err)
	for _, p := range pkts[taken:] {
		p.Release()
	}
	return taken
}

// receive takes up to most packets and returns their numbers.
func receive(t *testing.T, q *link.Queue, now time.Time, most int) []int {
	t.Helper()
	pkts := make([]*packet.Packet, most)
	n, err := q.Receive(now, pkts)
	require.NoError(t, err)
	numbers := []int{}
	for _, p := range pkts[:n] {
		numbers = append(numbers, number(p))
		p.Release()
	}
	return numbers
}

func TestPacketsArriveInOrder(t *testing.T) {
	q := link.NewQueue(0, 0, 0)
	require.Empty(t, receive(t, q, epoch, 4))
	next := 0
	for round := range 50 { // the ring grows and wraps around meanwhile
		require.Equal(t, 7, send(t, q, epoch, 7*round, 7*round+7, 60))
		for _, n := range receive(t, q, epoch, 5) {
			require.Equal(t, next, n)
			next++
		}
	}
	for _, n := range receive(t, q, epoch, 1000) {
		require.Equal(t, next, n)
		next++
	}
	require.Equal(t, 350, next)
}

func TestWithNoDelayTheClocksOfTheEndsMayDiffer(t *testing.T) {
	q := link.NewQueue(0, 0, 0)
	send(t, q, at(time.Second), 0, 1, 60)
	_, ok := q.PollAt()
	require.False(t, ok)
	require.Equal(t, []int{0}, receive(t, q, at(0), 1))
}

func TestDelay(t *testing.T) {
	const delay = 100 * time.Millisecond
	q := link.NewQueue(delay, 0, 0)
	_, ok := q.PollAt()
	require.False(t, ok)

	send(t, q, at(0), 0, 1, 60)
	send(t, q, at(30*time.Millisecond), 1, 3, 60)
	due, ok := q.PollAt()
	require.True(t, ok)
	require.Equal(t, at(delay), due)

	require.Empty(t, receive(t, q, due.Add(-1), 8))
	require.Equal(t, []int{0}, receive(t, q, due, 8))
	due, ok = q.PollAt()
	require.True(t, ok)
	require.Equal(t, at(delay+30*time.Millisecond), due)
	require.Equal(t, []int{1, 2}, receive(t, q, due, 8))
	_, ok = q.PollAt()
	require.False(t, ok)
}

func TestFull(t *testing.T) {
	tests := []struct {
		name            string
		packets, octets int
		size, fit       int
	}{
		{"by packets", 3, 0, 60, 3},
		{"by octets", 0, 250, 100, 2},
		{"exactly by octets", 0, 300, 100, 3},
		{"one packet always fits", 1, 50, 100, 1},
		{"by the default of packets", 0, 0, 64, link.DefaultPackets},
		{"by the default of octets", 0, 0, 64 << 10, link.DefaultOctets >> 16},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := link.NewQueue(0, tt.packets, tt.octets)
			require.Equal(t, tt.fit, send(t, q, epoch, 0, tt.fit+2, tt.size))
			require.Zero(t, send(t, q, epoch, tt.fit, tt.fit+1, tt.size), "still full")
			require.Equal(t, []int{0}, receive(t, q, epoch, 1))
			require.NoError(t, q.WaitSend(), "there is room again")
			require.Equal(t, 1, send(t, q, epoch, tt.fit, tt.fit+2, tt.size))
			require.Len(t, receive(t, q, epoch, tt.fit+1), tt.fit, "nothing is lost, nothing more has come in")
		})
	}
}

func TestWaitSendReturnsWhenThePacketFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := link.NewQueue(0, 0, 100)
		require.Equal(t, 2, send(t, q, epoch, 0, 2, 50))
		require.Zero(t, send(t, q, epoch, 2, 3, 60))
		done := make(chan error, 1)
		go func() { done <- q.WaitSend() }()

		require.Equal(t, []int{0}, receive(t, q, epoch, 1))
		synctest.Wait()
		require.Empty(t, done, "50 octets are free, 60 are needed")

		require.Equal(t, []int{1}, receive(t, q, epoch, 1))
		require.NoError(t, <-done)
	})
}

func TestWaitReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := link.NewQueue(0, 0, 0)
		done := make(chan error, 1)
		go func() { done <- q.WaitReceive() }()
		synctest.Wait()
		require.Empty(t, done)
		send(t, q, epoch, 0, 2, 60)
		require.NoError(t, <-done)

		receive(t, q, epoch, 1)
		require.NoError(t, q.WaitReceive(), "one is still there")
		receive(t, q, epoch, 1)
		go func() { done <- q.WaitReceive() }()
		synctest.Wait()
		require.Empty(t, done)
		q.CloseReceiver()
		require.ErrorIs(t, <-done, net.ErrClosed)
	})
}

func TestWaitReceiveWithADelayReturnsWhenPollAtMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := link.NewQueue(time.Second, 0, 0)
		send(t, q, time.Now(), 0, 1, 60)
		require.NoError(t, q.WaitReceive())

		done := make(chan error, 1)
		go func() { done <- q.WaitReceive() }()
		synctest.Wait()
		require.Empty(t, done, "that PollAt has moved was told before")
		send(t, q, time.Now(), 1, 2, 60)
		synctest.Wait()
		require.Empty(t, done, "a packet behind the first does not move PollAt")

		time.Sleep(time.Second) // virtual
		require.Equal(t, []int{0, 1}, receive(t, q, time.Now(), 8))
		send(t, q, time.Now(), 2, 3, 60)
		require.NoError(t, <-done)
		q.CloseReceiver()
	})
}

func TestCloseWakesBothWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, out := link.NewQueue(0, 0, 0), link.NewQueue(0, 1, 0)
		send(t, out, epoch, 0, 2, 60)
		done := make(chan error, 2)
		go func() { done <- in.WaitReceive() }()
		go func() { done <- out.WaitSend() }()
		synctest.Wait()
		for range 2 {
			in.CloseReceiver()
			out.CloseSender()
		}
		require.ErrorIs(t, <-done, net.ErrClosed)
		require.ErrorIs(t, <-done, net.ErrClosed)
		_, err := in.Receive(epoch, make([]*packet.Packet, 1))
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = out.Send(epoch, []*packet.Packet{numbered(1, 60)})
		require.ErrorIs(t, err, net.ErrClosed)
		require.Equal(t, []int{0}, receive(t, out, epoch, 8), "what was sent before arrives")
	})
}

func TestOnceTheReceiverIsGonePacketsAreTakenAndLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := link.NewQueue(0, 1, 0)
		send(t, q, epoch, 0, 2, 60)
		done := make(chan error, 1)
		go func() { done <- q.WaitSend() }()
		synctest.Wait()
		q.CloseReceiver()
		require.NoError(t, <-done)
		require.Equal(t, 100, send(t, q, epoch, 0, 100, 60))
	})
}

func TestTheSendersNotesDoNotTravel(t *testing.T) {
	q := link.NewQueue(0, 0, 0)
	p := numbered(1, 60)
	p.IP.Link, p.Seq = 3, 7
	p.SetPartialChecksum(20, 16)
	p.SegmentSize = 1400
	_, err := q.Send(epoch, []*packet.Packet{p})
	require.NoError(t, err)
	got := make([]*packet.Packet, 1)
	_, err = q.Receive(epoch, got)
	require.NoError(t, err)
	require.Zero(t, got[0].IP)
	require.Zero(t, got[0].Seq)
	require.Equal(t, packet.ChecksumPartial, got[0].Checksum, "an offload passes through")
	require.EqualValues(t, 1400, got[0].SegmentSize)
	got[0].Release()
}

// A goroutine at each end pushes a million octets through a queue that is nearly always full.
func TestAllMethodsAtOnce(t *testing.T) {
	const packets = 20000
	q := link.NewQueue(0, 4, 0)
	var wg sync.WaitGroup
	wg.Go(func() {
		batch := make([]*packet.Packet, 0, 7)
		for n := 0; n < packets; {
			for ; len(batch) < cap(batch) && n < packets; n++ {
				batch = append(batch, numbered(n, 60))
			}
			for len(batch) > 0 {
				k, err := q.Send(epoch, batch)
				if err != nil {
					panic(err)
				}
				if batch = batch[k:]; len(batch) > 0 && q.WaitSend() != nil {
					panic("closed")
				}
			}
			batch = make([]*packet.Packet, 0, 7)
		}
	})
	wg.Go(func() {
		pkts := make([]*packet.Packet, 3)
		for next := 0; next < packets; {
			k, err := q.Receive(epoch, pkts)
			if err != nil {
				panic(err)
			}
			for _, p := range pkts[:k] {
				if number(p) != next {
					panic(fmt.Sprintf("%d in place of %d", number(p), next))
				}
				next++
				p.Release()
			}
			if k == 0 && q.WaitReceive() != nil {
				panic("closed")
			}
			q.PollAt()
		}
	})
	wg.Wait()
}

func TestNothingIsAllocatedOnceWarm(t *testing.T) {
	if checked {
		t.Skip("a checked build allocates")
	}
	q := link.NewQueue(time.Millisecond, 0, 0)
	pkts := make([]*packet.Packet, 32)
	round := func() {
		for i := range pkts {
			pkts[i] = packet.New(1500)
			pkts[i].Append(1500)
		}
		_, _ = q.Send(epoch, pkts)
		_ = q.WaitReceive()
		q.PollAt()
		n, _ := q.Receive(at(time.Millisecond), pkts)
		for _, p := range pkts[:n] {
			p.Release()
		}
	}
	round()
	require.Zero(t, testing.AllocsPerRun(100, round))
}
