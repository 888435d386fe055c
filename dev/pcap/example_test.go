package pcap_test

import (
	"bytes"
	"fmt"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev/pcap"
	"github.com/smolnet/smolnet/dev/pipe"
)

// Both ends of a link in one capture. Mostly a file is written to; a stack gets the recorded device.
func Example() {
	var capture bytes.Buffer
	w, err := pcap.NewWriter(&capture, pcap.Config{})
	if err != nil {
		panic(err)
	}
	a, b := pipe.New(pipe.Config{})
	left, err := pcap.New(a, w, pcap.InterfaceConfig{Name: "left"})
	if err != nil {
		panic(err)
	}
	right, err := pcap.New(b, w, pcap.InterfaceConfig{Name: "right"})
	if err != nil {
		panic(err)
	}

	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	before := capture.Len()
	pkts := []*packet.Packet{packet.New(60)}
	copy(pkts[0].Append(60), "an Ethernet frame")
	for _, pass := range []func(time.Time, []*packet.Packet) (int, error){left.Send, right.Receive} {
		if _, err := pass(now, pkts); err != nil {
			panic(err)
		}
	}
	pkts[0].Release()
	fmt.Println(capture.Len()-before, "octets, error:", w.Err())
	// Output: 208 octets, error: <nil>
}
