package trace_test

import (
	"net/netip"
	"os"
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dev/trace"
)

// A datagram for a port where nobody listens, seen from the sender, in virtual time.
func Example() {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a, b := pipe.New(pipe.Config{Medium: dev.IP, Delay: 50 * time.Millisecond})
	traced, err := trace.New(a, trace.Config{Writer: os.Stdout, Name: "left"})
	if err != nil {
		panic(err)
	}

	attach := func(device dev.Device, address string) *core.Stack {
		stack, err := core.New(now, core.Config{})
		if err != nil {
			panic(err)
		}
		addresses := []netip.Prefix{netip.MustParsePrefix(address)}
		if _, err := stack.AddInterface(now, core.InterfaceConfig{Device: device, Addresses: addresses}); err != nil {
			panic(err)
		}
		return stack
	}
	client, server := attach(traced, "192.0.2.1/24"), attach(b, "192.0.2.2/24")
	defer client.Close(now)
	defer server.Close(now)

	sender, err := client.UDP().Bind(udp.BindConfig{Local: netip.MustParseAddrPort("192.0.2.1:5000")})
	if err != nil {
		panic(err)
	}
	p := packet.New(5)
	copy(p.Append(5), "hello")
	if err := sender.Send(now, p, netip.MustParseAddrPort("192.0.2.2:7"), 0); err != nil {
		panic(err)
	}
	for range 3 {
		for client.Poll(now) || server.Poll(now) {
		}
		now = now.Add(50 * time.Millisecond)
	}
	// Output:
	// 00:00:00.000000 left out IP 192.0.2.1.5000 > 192.0.2.2.7: UDP, length 5
	// 00:00:00.100000 left in  IP 192.0.2.2 > 192.0.2.1: ICMP 192.0.2.2 udp port 7 unreachable, length 41: IP 192.0.2.1.5000 > 192.0.2.2.7: UDP, length 5
}
