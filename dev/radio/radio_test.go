package radio_test

import (
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/radio"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return epoch.Add(d) }

func frame(octets string) *packet.Packet {
	p := packet.New(len(octets))
	copy(p.Append(len(octets)), octets)
	return p
}

// send sends frames, all of which are taken.
func send(t testing.TB, n *radio.Node, now time.Time, octets ...string) {
	t.Helper()
	require.Equal(t, len(octets), offer(t, n, now, octets...))
}

// offer sends frames and returns how many were taken.
func offer(t testing.TB, n *radio.Node, now time.Time, octets ...string) int {
	t.Helper()
	pkts := make([]*packet.Packet, len(octets))
	for i := range pkts {
		pkts[i] = frame(octets[i])
	}
	taken, err := n.Send(now, pkts)
	require.NoError(t, err)
	for _, p := range pkts[taken:] {
		p.Release()
	}
	return taken
}

// receive takes what has arrived.
func receive(t testing.TB, n *radio.Node, now time.Time) []string {
	t.Helper()
	pkts := make([]*packet.Packet, 64)
	got := []string{}
	for {
		taken, err := n.Receive(now, pkts)
		require.NoError(t, err)
		for _, p := range pkts[:taken] {
			p.Own()
			got = append(got, string(p.Head()))
			p.Release()
		}
		if taken < len(pkts) {
			return got
		}
	}
}

// arrival is when the node's first frame arrives, since the epoch; negative: never.
func arrival(n *radio.Node) time.Duration {
	if due, ok := n.PollAt(); ok {
		return due.Sub(epoch)
	}
	return -1
}

// nodes are as many on a line, a unit apart.
func nodes(m *radio.Medium, number int) (all []*radio.Node) {
	for i := range number {
		all = append(all, m.Node(radio.NodeConfig{X: float64(i)}))
	}
	return all
}

func TestCapabilities(t *testing.T) {
	m := radio.New(radio.Config{})
	all := nodes(m, 2)
	require.Equal(t, dev.Capabilities{Medium: dev.IEEE802154, MTU: 1280, EUI64: [8]byte{2, 0, 0, 0, 0, 0, 0, 1}},
		all[0].Capabilities())
	require.Equal(t, [8]byte{2, 0, 0, 0, 0, 0, 0, 2}, all[1].Capabilities().EUI64)
	eui64 := [8]byte{0x1a, 0x0b, 0x42, 0xff, 0xfe, 0, 0, 1}
	require.Equal(t, eui64, m.Node(radio.NodeConfig{EUI64: eui64}).Capabilities().EUI64)
	require.True(t, radio.New(radio.Config{Acknowledges: true}).Node(radio.NodeConfig{}).Capabilities().Acknowledges)
}

func TestEveryNodeInReachHearsAFrame(t *testing.T) {
	all := nodes(radio.New(radio.Config{}), 4)
	send(t, all[1], epoch, "one", "two")
	send(t, all[2], epoch, "three")
	require.Equal(t, []string{"one", "two", "three"}, receive(t, all[0], epoch))
	require.Equal(t, []string{"three"}, receive(t, all[1], epoch))
	require.Equal(t, []string{"one", "two"}, receive(t, all[2], epoch))
	require.Equal(t, []string{"one", "two", "three"}, receive(t, all[3], epoch))
	require.Equal(t, radio.Stats{Sent: 2, Heard: 1}, all[1].Stats())
}

func TestEveryNodeOwnsWhatItHears(t *testing.T) {
	all := nodes(radio.New(radio.Config{}), 4)
	chunk := packet.NewChunk(100)
	copy(chunk.Data(), "payload")
	p := frame("header, ")
	p.Reference(chunk, chunk.Data()[:7])
	chunk.Release()
	p.IP.Link, p.Seq = 3, 7
	taken, err := all[0].Send(epoch, []*packet.Packet{p})
	require.NoError(t, err)
	require.Equal(t, 1, taken)
	for _, n := range all[1:] {
		got := make([]*packet.Packet, 2)
		taken, err := n.Receive(epoch, got)
		require.NoError(t, err)
		require.Equal(t, 1, taken)
		require.Zero(t, got[0].IP, "the sender's notes do not travel")
		require.Zero(t, got[0].Seq)
		got[0].Own()
		require.Equal(t, "header, payload", string(got[0].Head()))
		clear(got[0].Head())
		got[0].Release()
	}
}

func TestAFrameTooLongIsRefusedAndTheRestMayBeTriedAgain(t *testing.T) {
	all := nodes(radio.New(radio.Config{}), 2)
	pkts := []*packet.Packet{frame(strings.Repeat("x", 125)), frame(strings.Repeat("y", 126)), frame("third")}
	n, err := all[0].Send(epoch, pkts)
	require.Equal(t, 1, n)
	require.ErrorContains(t, err, "radio: frame of 126 octets is too long: at most 125")
	pkts[n].Release()
	n, err = all[0].Send(epoch, pkts[n+1:])
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Len(t, receive(t, all[1], epoch), 2)
}

func TestAFullQueueLosesFrames(t *testing.T) {
	all := nodes(radio.New(radio.Config{Queue: 2}), 3)
	send(t, all[0], epoch, "one", "two")
	require.Equal(t, []string{"one", "two"}, receive(t, all[2], epoch))
	send(t, all[0], epoch, "three", "four", "five")
	require.Equal(t, []string{"one", "two"}, receive(t, all[1], epoch))
	require.Equal(t, []string{"three", "four"}, receive(t, all[2], epoch))
	require.EqualValues(t, 3, all[1].Stats().Dropped)
	require.EqualValues(t, 1, all[2].Stats().Dropped)
	require.EqualValues(t, 4, all[2].Stats().Heard)
}

func TestLatency(t *testing.T) {
	const latency = 5 * time.Millisecond
	all := nodes(radio.New(radio.Config{Latency: latency}), 2)
	require.Negative(t, arrival(all[1]))
	send(t, all[0], at(0), "one")
	send(t, all[0], at(time.Millisecond), "two")
	require.Equal(t, latency, arrival(all[1]))
	require.Negative(t, arrival(all[0]))
	require.Empty(t, receive(t, all[1], at(latency-1)))
	require.Equal(t, []string{"one"}, receive(t, all[1], at(latency)))
	require.Equal(t, latency+time.Millisecond, arrival(all[1]))
	require.Equal(t, []string{"two"}, receive(t, all[1], at(time.Second)))
	require.Negative(t, arrival(all[1]))
}

func TestWithoutLatencyTheClocksOfNodesMayDiffer(t *testing.T) {
	all := nodes(radio.New(radio.Config{}), 2)
	send(t, all[0], at(time.Hour), "one")
	require.Negative(t, arrival(all[1]))
	require.Equal(t, []string{"one"}, receive(t, all[1], at(0)))
}

func TestLossyFramesAreLostForEachNodeByItself(t *testing.T) {
	const frames = 10_000
	all := nodes(radio.New(radio.Config{Seed: 1, Loss: .2}), 3)
	both := 0
	for range frames {
		send(t, all[0], epoch, "x")
		if len(receive(t, all[1], epoch))+len(receive(t, all[2], epoch)) == 2 {
			both++
		}
	}
	for _, n := range all[1:] {
		stats := n.Stats()
		require.InDelta(t, .2*frames, stats.Lost, .015*frames)
		require.EqualValues(t, frames, stats.Heard+stats.Lost)
	}
	require.InDelta(t, .8*.8*frames, both, .015*frames)
}

func TestTheSameSeedLosesTheSameFrames(t *testing.T) {
	// pattern is which of a hundred frames the second node hears, while others send as often as said.
	pattern := func(seed uint64, others int) []string {
		all := nodes(radio.New(radio.Config{Seed: seed, Loss: .5}), 3)
		for i := range 100 {
			for range others {
				send(t, all[2], epoch, "other")
			}
			send(t, all[0], epoch, string(rune(i)))
		}
		heard := []string{}
		for _, f := range receive(t, all[1], epoch) {
			if f != "other" {
				heard = append(heard, f)
			}
		}
		return heard
	}
	require.Equal(t, pattern(7, 0), pattern(7, 0))
	require.Equal(t, pattern(7, 0), pattern(7, 3), "what passes elsewhere changes nothing")
	require.NotEqual(t, pattern(7, 0), pattern(8, 0))
}

func TestProbabilitiesOutOfRange(t *testing.T) {
	all := nodes(radio.New(radio.Config{Loss: 1.5}), 2)
	send(t, all[0], epoch, "x")
	require.Empty(t, receive(t, all[1], epoch))
	all = nodes(radio.New(radio.Config{Loss: -1}), 2)
	send(t, all[0], epoch, "x")
	require.Len(t, receive(t, all[1], epoch), 1)
}

func TestLosslessSendersWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := nodes(radio.New(radio.Config{Lossless: true, Queue: 2}), 3)
		require.Equal(t, 2, offer(t, all[0], time.Now(), "one", "two", "three"))
		done := make(chan error, 2)
		go func() { done <- all[0].WaitSend() }()
		receive(t, all[1], time.Now())
		synctest.Wait()
		require.Empty(t, done, "the third node has no room")
		require.Equal(t, []string{"one", "two"}, receive(t, all[2], time.Now()))
		require.NoError(t, <-done)
		require.Equal(t, 1, offer(t, all[0], time.Now(), "three"))

		require.Equal(t, 1, offer(t, all[0], time.Now(), "four", "five"))
		go func() { done <- all[0].WaitSend() }()
		synctest.Wait()
		receive(t, all[2], time.Now())
		require.NoError(t, all[1].Close())
		require.NoError(t, <-done, "who is gone holds nobody up")
		require.Equal(t, 1, offer(t, all[0], time.Now(), "five"))
		require.Equal(t, []string{"five"}, receive(t, all[2], time.Now()))
		require.Zero(t, all[2].Stats().Dropped)
	})
}

func TestWaitReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := nodes(radio.New(radio.Config{}), 2)
		done := make(chan error, 1)
		go func() { done <- all[1].WaitReceive() }()
		synctest.Wait()
		require.Empty(t, done)
		send(t, all[0], time.Now(), "one", "two")
		require.NoError(t, <-done)
		taken, err := all[1].Receive(time.Now(), make([]*packet.Packet, 1))
		require.NoError(t, err)
		require.Equal(t, 1, taken)
		require.NoError(t, all[1].WaitReceive(), "one is still there")
		receive(t, all[1], time.Now())
		go func() { done <- all[1].WaitReceive() }()
		synctest.Wait()
		require.Empty(t, done)
		require.NoError(t, all[1].Close())
		require.ErrorIs(t, <-done, net.ErrClosed)
	})
}

func TestWithLatencyWaitReceiveReturnsWhenPollAtBecomesEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := nodes(radio.New(radio.Config{Latency: time.Second}), 3)
		done := make(chan error, 1)
		send(t, all[0], time.Now(), "one")
		require.NoError(t, all[1].WaitReceive())
		_, ok := all[1].PollAt()
		require.True(t, ok)

		go func() { done <- all[1].WaitReceive() }()
		send(t, all[2], time.Now(), "two")
		synctest.Wait()
		require.Empty(t, done, "a frame behind the first does not move PollAt")
		time.Sleep(time.Second) // virtual
		require.Equal(t, []string{"one", "two"}, receive(t, all[1], time.Now()))
		_, ok = all[1].PollAt()
		require.False(t, ok)
		send(t, all[2], time.Now(), "three")
		require.NoError(t, <-done)
		require.NoError(t, all[1].Close())
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := nodes(radio.New(radio.Config{Lossless: true, Queue: 1}), 3)
		require.Equal(t, 1, offer(t, all[0], time.Now(), "last words", "unsaid"))
		done := make(chan error, 2)
		go func() { done <- all[0].WaitReceive() }()
		go func() { done <- all[0].WaitSend() }()
		synctest.Wait()
		require.Empty(t, done)

		require.NoError(t, all[0].Close())
		require.NoError(t, all[0].Close())
		require.ErrorIs(t, <-done, net.ErrClosed)
		require.ErrorIs(t, <-done, net.ErrClosed)
		require.ErrorIs(t, all[0].WaitReceive(), net.ErrClosed)
		require.ErrorIs(t, all[0].WaitSend(), net.ErrClosed)
		late := frame("late")
		_, err := all[0].Send(time.Now(), []*packet.Packet{late})
		require.ErrorIs(t, err, net.ErrClosed)
		late.Release()
		_, err = all[0].Receive(time.Now(), make([]*packet.Packet, 1))
		require.ErrorIs(t, err, net.ErrClosed)

		require.Equal(t, []string{"last words"}, receive(t, all[1], time.Now()))
		require.Equal(t, []string{"last words"}, receive(t, all[2], time.Now()))
		send(t, all[1], time.Now(), "more")
		require.Equal(t, []string{"more"}, receive(t, all[2], time.Now()))
	})
}
