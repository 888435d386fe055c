package radio_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev/radio"
)

const batch = 64

// round sends a batch of frames from one node, and has the others receive it.
func round(t testing.TB, pkts []*packet.Packet, all []*radio.Node, now, then time.Time) {
	for i := range pkts {
		pkts[i] = packet.New(125)
		copy(pkts[i].Append(125), unicast)
	}
	for left := pkts; len(left) > 0; {
		n, err := all[0].Send(now, left)
		if err != nil {
			t.Fatal(err)
		}
		left = left[n:]
		now = then
		for _, receiver := range all[1:] {
			receiver.PollAt()
			n, err := receiver.Receive(now, pkts[:len(pkts)-len(left)])
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range pkts[:n] {
				p.Release()
			}
		}
	}
}

func TestNothingIsAllocatedOnceWarm(t *testing.T) {
	if checked {
		t.Skip("a checked build allocates")
	}
	for _, tt := range []struct {
		name   string
		config radio.Config
	}{
		{"at once", radio.Config{Lossless: true}},
		{"with loss and acknowledgments", radio.Config{Loss: .5, Acknowledges: true}},
		{"with air time", radio.Config{Bitrate: radio.Bitrate2450MHz, SendQueue: batch}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := nodes(radio.New(tt.config), 3)
			pkts := make([]*packet.Packet, batch)
			now := epoch
			once := func() {
				then := now.Add(time.Second)
				round(t, pkts, all, now, then)
				now = then
			}
			for range 10 {
				once()
			}
			require.Zero(t, testing.AllocsPerRun(100, once))
		})
	}
}

func BenchmarkMedium(b *testing.B) {
	for _, bb := range []struct {
		name   string
		config radio.Config
		nodes  int
	}{
		{"two nodes", radio.Config{Lossless: true}, 2},
		{"two nodes with loss and acknowledgments", radio.Config{Loss: .1, Acknowledges: true}, 2},
		{"ten nodes", radio.Config{Lossless: true}, 10},
		{"two nodes with air time", radio.Config{Bitrate: 1e9, SendQueue: batch}, 2},
	} {
		b.Run(bb.name, func(b *testing.B) {
			all := nodes(radio.New(bb.config), bb.nodes)
			pkts := make([]*packet.Packet, batch)
			b.ReportAllocs()
			now := epoch
			for i := 0; i < b.N; i += batch {
				then := now.Add(time.Millisecond)
				round(b, pkts, all, now, then)
				now = then
			}
		})
	}
}

// Sender and receiver are goroutines, as two stacks are.
func BenchmarkMediumConcurrent(b *testing.B) {
	all := nodes(radio.New(radio.Config{Lossless: true}), 2)
	done := make(chan struct{})
	go func() {
		defer close(done)
		pkts := make([]*packet.Packet, batch)
		for all[1].WaitReceive() == nil {
			for {
				n, _ := all[1].Receive(epoch, pkts)
				for _, p := range pkts[:n] {
					p.Release()
				}
				if n == 0 {
					break
				}
			}
		}
	}()
	b.ReportAllocs()
	pkts := make([]*packet.Packet, batch)
	for i := 0; i < b.N; i += batch {
		for i := range pkts {
			pkts[i] = packet.New(125)
			pkts[i].Append(125)
		}
		for left := pkts; ; {
			n, err := all[0].Send(epoch, left)
			if err != nil {
				b.Fatal(err)
			}
			if left = left[n:]; len(left) == 0 {
				break
			}
			if err := all[0].WaitSend(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.StopTimer()
	all[1].Close()
	all[0].Close()
	<-done
}
