// Package core is a TCP/IP stack without goroutines, locks, clock and I/O: it is told the time and given packets, and
// says what to send and when to be called again. Package smolnet builds package net's functions upon it; this package
// is for who wants to drive a stack themselves, as a simulation does.
//
// # Time
//
// Every entry takes the time. It may be any: real, or made up. What matters is that it does not run backwards. PollAt
// says when time alone makes a difference.
//
// # Driving a stack
//
// The simple way is Poll, which takes packets in from all devices, sends what is to be sent, and is to be called
// again when a device has received something, when a user has done something, or at the time that PollAt says:
//
//	for {
//		stack.Poll(now)
//		// use connections and endpoints
//		// wait until PollAt, or for a device
//	}
//
// Who has a goroutine for each device guards the stack with a mutex, and calls Input with what a device has received,
// Output for what it should send, PollLoopback while the loopback interface is Pending, and Advance when PollAt's
// time has come. Any of them, and any call to a connection or endpoint, may make any interface Pending.
//
// # Connections and endpoints
//
// They come from the stack's TCP and UDP, see packages tcp and udp. None of their calls waits. An ip.Owner is told
// when there is something to be done; it only takes note.
//
// # What is not there yet
//
//   - reassembly and fragmentation: fragments are dropped, but for IPv6's atomic ones
//   - forwarding: the stack is a host
//   - multicast group membership: an interface belongs to the groups of all nodes and of its own addresses, and tells
//     nobody
//   - duplicate address detection, and whatever routers advertise; both are received and counted
//   - raw and ICMP endpoints: echo requests are answered, replies counted
//   - path MTU discovery: packet-too-big messages reach the transports, and nobody else remembers them
//   - packets to a group or broadcast address do not come back to endpoints of the same stack
//   - IEEE 802.15.4
package core
