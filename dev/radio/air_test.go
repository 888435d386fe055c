package radio_test

import (
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev/radio"
)

const (
	octet = 32 * time.Microsecond // at 250 kbit/s

	// What follows a frame that asks for an acknowledgment: 192 µs to turn round, and 11 octets.
	acknowledgment = 192*time.Microsecond + 11*octet
)

// A data frame without addresses that asks for nothing, and its time on the air, with eight octets that are not seen here.
func data(number byte, size int) (octets string, air time.Duration) {
	return "\x01\x00" + string(rune(number)) + strings.Repeat("x", size-3), time.Duration(size+8) * octet
}

func TestAirTime(t *testing.T) {
	all := nodes(radio.New(radio.Config{Bitrate: radio.Bitrate2450MHz, Latency: time.Millisecond}), 2)
	long, _ := data(1, 125)
	send(t, all[0], epoch, long)
	require.Equal(t, 4256*time.Microsecond+time.Millisecond, arrival(all[1]))
	require.Empty(t, receive(t, all[1], at(arrival(all[1])-1)))
	require.Equal(t, []string{long}, receive(t, all[1], at(arrival(all[1]))))
}

func TestTheAirIsForOneAtATime(t *testing.T) {
	all := nodes(radio.New(radio.Config{Bitrate: radio.Bitrate2450MHz}), 3)
	a1, air := data(1, 42)
	a2, _ := data(2, 42)
	b1, _ := data(3, 42)
	b2, _ := data(4, 42)
	send(t, all[0], at(0), a1, a2)
	send(t, all[1], at(time.Microsecond), b1, b2)
	require.Equal(t, air, arrival(all[1]))

	// Whoever tells the time moves everybody's frames: here the third node, which only listens.
	var got []string
	var when []time.Duration
	for range 4 {
		due := arrival(all[2])
		when = append(when, due)
		got = append(got, receive(t, all[2], at(due))...)
		receive(t, all[0], at(due))
	}
	require.Equal(t, []string{a1, b1, a2, b2}, got, "who has waited longest has its turn")
	require.Equal(t, []time.Duration{air, 2 * air, 3 * air, 4 * air}, when)
}

func TestWhoIsOutOfReachSendsAtTheSameTime(t *testing.T) {
	all := nodes(radio.New(radio.Config{Bitrate: radio.Bitrate2450MHz, Range: 1}), 5)
	a, air := data(1, 42)
	b, _ := data(2, 42)
	send(t, all[0], epoch, a)
	send(t, all[4], epoch, b)
	require.Equal(t, air, arrival(all[1]))
	require.Equal(t, air, arrival(all[3]))
	require.Negative(t, arrival(all[2]))
}

func TestFramesArriveInTheOrderOfTheirTimes(t *testing.T) {
	all := nodes(radio.New(radio.Config{Bitrate: radio.Bitrate2450MHz, Range: 1}), 3)
	long, longer := data(1, 100)
	short, shorter := data(2, 10)
	send(t, all[0], epoch, long)
	send(t, all[2], epoch, short) // which does not hear the first node, and is heard with it by the second
	require.Equal(t, shorter, arrival(all[1]))
	require.Equal(t, []string{short}, receive(t, all[1], at(shorter)))
	require.Equal(t, []string{long}, receive(t, all[1], at(longer)))
}

func TestTheAirIsKeptForAnAcknowledgment(t *testing.T) {
	all := nodes(radio.New(radio.Config{Bitrate: radio.Bitrate2450MHz}), 2)
	asking := "\x21\x00\x07" + strings.Repeat("x", 39)
	next, air := data(2, 42)
	send(t, all[0], epoch, asking, next)
	require.Equal(t, air, arrival(all[1]))
	receive(t, all[1], at(air))

	turned := air + 192*time.Microsecond
	waiting, _ := data(3, 42)
	send(t, all[1], at(turned), waiting, "\x02\x00\x07") // the second frame is the acknowledgment, and does not wait
	require.Equal(t, turned+11*octet, arrival(all[0]))
	require.Equal(t, []string{"\x02\x00\x07"}, receive(t, all[0], at(turned+11*octet)))
	require.Equal(t, 2*air+acknowledgment, arrival(all[0]))
	require.Equal(t, []string{waiting}, receive(t, all[0], at(2*air+acknowledgment)))
	require.Equal(t, []string{next}, receive(t, all[1], at(3*air+acknowledgment)))
}

func TestWhoHasTooManyFramesWaitingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := nodes(radio.New(radio.Config{Bitrate: radio.Bitrate2450MHz, SendQueue: 2}), 2)
		one, air := data(1, 42)
		start := time.Now()
		require.Equal(t, 3, offer(t, all[0], start, one, one, one, one), "one is on the air, two wait")
		require.NoError(t, all[0].WaitReceive(), "there is a PollAt now")
		due, ok := all[0].PollAt()
		require.True(t, ok)
		require.Equal(t, air, due.Sub(start))
		done := make(chan error, 1)
		go func() { done <- all[0].WaitSend() }()
		time.Sleep(air - 1) // virtual
		receive(t, all[0], time.Now())
		synctest.Wait()
		require.Empty(t, done)
		time.Sleep(time.Nanosecond)
		receive(t, all[0], time.Now())
		require.NoError(t, <-done)
		require.Equal(t, 1, offer(t, all[0], time.Now(), one, one))

		go func() { done <- all[0].WaitSend() }()
		synctest.Wait()
		require.NoError(t, all[0].Close())
		require.ErrorIs(t, <-done, net.ErrClosed)
		time.Sleep(time.Second)
		require.Len(t, receive(t, all[1], time.Now()), 2, "what waited for the air is lost")
	})
}

// unicast is a frame of version 2006 that asks for an acknowledgment, from the first node of a medium to the second.
const unicast = "\x61\xdc\x07\x23\x00\x02\x00\x00\x00\x00\x00\x00\x02\x01\x00\x00\x00\x00\x00\x00\x02payload"

func TestARadioThatAcknowledgesTriesFourTimes(t *testing.T) {
	const frames = 10_000
	for _, tt := range []struct {
		name, frame string
		arrive      float64
	}{
		{"asking", unicast, 1 - .5*.5*.5*.5},
		{"asking, to a short address", "\x21\x98\x07\x23\x00\xef\xbe\x23\x00\x01\x00", 1 - .5*.5*.5*.5},
		{"asking, without sequence number and PAN", "\x61\x2d\x02\x00\x00\x00\x00\x00\x00\x02", 1 - .5*.5*.5*.5},
		{"asking, of version 2015", "\x61\xac\x07\x23\x00\x02\x00\x00\x00\x00\x00\x00\x02\x01\x00", 1 - .5*.5*.5*.5},
		{"not asking", "\x41" + unicast[1:], .5},
		{"an acknowledgment", "\x22\x00\x07", .5},
		{"too short to ask", "\x21", .5},
		{"cut short", unicast[:12], .5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := radio.New(radio.Config{Seed: 3, Loss: .5, Acknowledges: true})
			a := m.Node(radio.NodeConfig{})
			b := m.Node(radio.NodeConfig{ShortAddr: 0xbeef})
			for range frames / 100 {
				for range 100 {
					send(t, a, epoch, tt.frame)
				}
				receive(t, b, epoch)
			}
			sent, heard := a.Stats(), b.Stats()
			require.InDelta(t, tt.arrive*frames, heard.Heard, .02*frames)
			require.EqualValues(t, frames, sent.Sent)
			require.EqualValues(t, frames+sent.Retransmitted, heard.Heard+heard.Lost)
			if tt.arrive > .5 {
				require.EqualValues(t, frames-heard.Heard, sent.Unacknowledged)
			} else {
				require.Zero(t, sent.Retransmitted)
				require.Zero(t, sent.Unacknowledged)
			}
		})
	}
}

func TestOthersHearARetransmittedFrameOnce(t *testing.T) {
	m := radio.New(radio.Config{Acknowledges: true, Bitrate: radio.Bitrate2450MHz})
	all := nodes(m, 3)
	m.SetLoss(all[0], all[1], 1)
	send(t, all[0], epoch, unicast)
	transmission := time.Duration(len(unicast)+8)*octet + acknowledgment
	require.Equal(t, transmission-acknowledgment, arrival(all[2]))
	require.Equal(t, []string{unicast}, receive(t, all[2], at(time.Second)))
	require.Empty(t, receive(t, all[1], at(time.Second)))
	require.Equal(t, radio.Stats{Sent: 1, Retransmitted: 3, Unacknowledged: 1}, all[0].Stats())
	require.EqualValues(t, 4, all[1].Stats().Lost)

	m.SetLoss(all[0], all[1], 0)
	send(t, all[0], at(time.Second), unicast, unicast)
	require.Equal(t, time.Second+transmission-acknowledgment, arrival(all[1]))
	receive(t, all[1], at(time.Second+transmission))
	require.Equal(t, time.Second+2*transmission-acknowledgment, arrival(all[1]), "there was no need for more")
}

func TestAFrameForNobodyIsTriedInVain(t *testing.T) {
	all := nodes(radio.New(radio.Config{Acknowledges: true}), 2)
	for _, octets := range []string{
		strings.Replace(unicast, "\x02\x00\x00\x00\x00\x00\x00\x02", "\x09\x00\x00\x00\x00\x00\x00\x02", 1), // no such node
		"\x21\x00\x07", // without destination
		"\x21\x98\x07\x23\x00\x00\x00\x23\x00\x01\x00", // short address 0, which is nobody's
	} {
		before := all[0].Stats().Unacknowledged
		send(t, all[0], epoch, octets)
		require.Equal(t, before+1, all[0].Stats().Unacknowledged)
		require.Equal(t, []string{octets}, receive(t, all[1], epoch), "the medium hides nothing")
	}
}

// Two nodes as stacks have them, in virtual time: each waits for PollAt by a timer, and for WaitReceive in a goroutine.
func TestInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rounds = 50
		all := nodes(radio.New(radio.Config{Bitrate: radio.Bitrate2450MHz}), 2)
		run := func(n *radio.Node, answer func(*packet.Packet) bool) {
			moved := make(chan struct{})
			go func() {
				for n.WaitReceive() == nil {
					moved <- struct{}{}
				}
				close(moved)
			}()
			pkts := make([]*packet.Packet, 4)
			for {
				var timer <-chan time.Time
				if due, ok := n.PollAt(); ok {
					timer = time.After(time.Until(due))
				}
				select {
				case <-timer:
				case _, ok := <-moved:
					if !ok {
						return
					}
				}
				taken, err := n.Receive(time.Now(), pkts)
				if err != nil {
					continue
				}
				for _, p := range pkts[:taken] {
					if answer(p) {
						_, _ = n.Send(time.Now(), []*packet.Packet{p})
					} else {
						p.Release()
					}
				}
			}
		}
		start, left := time.Now(), 2*rounds
		ended := make(chan struct{})
		go run(all[1], func(*packet.Packet) bool { return true })
		go run(all[0], func(*packet.Packet) bool {
			if left--; left == 0 {
				close(ended)
			}
			return left > 1
		})
		octets, air := data(1, 42)
		send(t, all[0], start, octets, octets) // so that one waits for the air
		<-ended
		require.Equal(t, 4*rounds*air, time.Since(start), "the air was never free")
		require.NoError(t, all[0].Close())
		require.NoError(t, all[1].Close())
	})
}
