package fault_test

import (
	"fmt"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev/fault"
	"github.com/smolnet/smolnet/dev/pipe"
)

// A link that takes 10 ms and loses a frame in ten. The seed says which. Mostly a stack gets the device; here frames are sent by hand.
func Example() {
	a, b := pipe.New(pipe.Config{})
	bad, err := fault.New(a, fault.Config{Seed: 3, Out: fault.Direction{Drop: 0.1, Delay: 10 * time.Millisecond}})
	if err != nil {
		panic(err)
	}

	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 100 {
		p := packet.New(60)
		copy(p.Append(60), "an Ethernet frame")
		if _, err := bad.Send(now, []*packet.Packet{p}); err != nil {
			panic(err)
		}
	}
	due, _ := bad.PollAt()
	fmt.Println("the first is due after", due.Sub(now))
	if _, err := bad.Send(due, nil); err != nil { // has those that are due leave
		panic(err)
	}

	pkts := make([]*packet.Packet, 100)
	n, err := b.Receive(due, pkts)
	if err != nil {
		panic(err)
	}
	for _, p := range pkts[:n] {
		p.Release()
	}
	out, _ := bad.Counters()
	fmt.Println(n, "arrived and", out.Dropped.Total(), "were lost")
	// Output:
	// the first is due after 10ms
	// 87 arrived and 13 were lost
}

// The third segment of data that is sent is lost, and whatever is sent again passes.
func ExampleDirection() {
	segments := 0
	script := func(f fault.Frame) fault.Action {
		if len(f.TCP) == 0 || len(f.TCP.Payload()) == 0 {
			return fault.Pass
		}
		if segments++; segments == 3 {
			return fault.Drop
		}
		return fault.Pass
	}
	a, _ := pipe.New(pipe.Config{})
	bad, err := fault.New(a, fault.Config{Out: fault.Direction{Script: script}})
	if err != nil {
		panic(err)
	}
	defer bad.Close()
}
