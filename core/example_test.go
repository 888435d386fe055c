package core_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/storage"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/dev/pipe"
)

// world is two stacks joined by a link with a delay, in virtual time.
type world struct {
	now     time.Time
	stacks  []*core.Stack
	devices [2]*pipe.Device
}

func newWorld() *world {
	w := &world{now: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}
	w.devices[0], w.devices[1] = pipe.New(pipe.Config{Delay: 50 * time.Millisecond})
	for i, device := range w.devices {
		stack, err := core.New(w.now, core.Config{})
		if err != nil {
			panic(err)
		}
		address := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 24)
		_, err = stack.AddInterface(w.now, core.InterfaceConfig{Device: device, Addresses: []netip.Prefix{address}})
		if err != nil {
			panic(err)
		}
		w.stacks = append(w.stacks, stack)
	}
	return w
}

// until lets time pass until done.
func (w *world) until(done func() bool) {
	for {
		for w.stacks[0].Poll(w.now) || w.stacks[1].Poll(w.now) {
		}
		if done() {
			return
		}
		next := w.now.Add(time.Hour)
		for _, stack := range w.stacks {
			if at, ok := stack.PollAt(); ok && at.Before(next) {
				next = at
			}
		}
		w.now = next
	}
}

// close ends the world. The devices are ours to close.
func (w *world) close() {
	for i, stack := range w.stacks {
		stack.Close(w.now)
		w.devices[i].Close()
	}
}

// A datagram goes from one stack to another, and the connection refused comes back. No real time passes.
func Example() {
	w := newWorld()
	defer w.close()
	client, server := w.stacks[0], w.stacks[1]
	start := w.now

	receiver, err := server.UDP().Bind(udp.BindConfig{Local: netip.MustParseAddrPort("192.0.2.2:7")})
	if err != nil {
		panic(err)
	}
	sender, err := client.UDP().Bind(udp.BindConfig{Local: netip.MustParseAddrPort("0.0.0.0:5000")})
	if err != nil {
		panic(err)
	}
	p := packet.New(5)
	copy(p.Append(5), "hello")
	if err := sender.Send(w.now, p, netip.MustParseAddrPort("192.0.2.2:7"), 0); err != nil {
		panic(err)
	}
	w.until(func() bool { return receiver.Received() > 0 })
	p, from, _ := receiver.Receive()
	fmt.Printf("%v: %s from %v\n", w.now.Sub(start), p.Head(), from)
	p.Release()

	refused, err := client.TCP().Dial(w.now, tcp.DialConfig{Remote: netip.MustParseAddrPort("192.0.2.2:80")})
	if err != nil {
		panic(err)
	}
	w.until(func() bool { return refused.Err() != nil })
	fmt.Printf("%v: %v\n", w.now.Sub(start), refused.Err())

	// The datagram left after 50 ms, when the receiver had announced its address.

	// Output:
	// 100ms: hello from 192.0.2.1:5000
	// 200ms: connection refused
}

// A connection carries octets from one stack to the other.
func Example_connection() {
	w := newWorld()
	defer w.close()
	client, server := w.stacks[0], w.stacks[1]
	start := w.now

	listener, err := server.TCP().Listen(tcp.ListenConfig{Local: netip.MustParseAddrPort("192.0.2.2:80")})
	if err != nil {
		panic(err)
	}
	c, err := client.TCP().Dial(w.now, tcp.DialConfig{Remote: netip.MustParseAddrPort("192.0.2.2:80")})
	if err != nil {
		panic(err)
	}
	w.until(func() bool { return c.State() == tcp.Established })
	fmt.Println(w.now.Sub(start), c.State())

	var fill storage.Fill
	if _, err := c.Reserve(&fill, 100); err != nil {
		panic(err)
	}
	fill.Write([]byte("hello"))
	c.Commit(w.now, &fill)
	w.until(func() bool { return listener.Pending() > 0 })
	accepted := listener.Accept()
	w.until(func() bool { return accepted.Received() > 0 })

	var received storage.Queue
	n := accepted.Receive(100, &received)
	b := make([]byte, n)
	received.Read(b)
	accepted.Consumed(w.now, n)
	fmt.Printf("%v %s\n", w.now.Sub(start), b)

	// Output:
	// 150ms ESTABLISHED
	// 200ms hello
}
