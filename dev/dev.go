// Package dev is the contract between a stack and what carries its packets: a tap, a tun, a loopback, an in-memory
// link, a radio. Below it is one package for each device and each wrapper around devices.
package dev

import (
	"time"

	"github.com/smolnet/smolnet/core/packet"
)

// Device carries packets. Receive, Send and the two Waits may each be in use by one goroutine at a time, all at once; none
// calls into a stack. A device may use mutexes of its own, held across no call out.
type Device interface {
	// Capabilities says what the device is and can do. It does not change once the device is attached to a stack.
	Capabilities() Capabilities

	// Receive fills pkts with packets that have arrived, without waiting, and returns how many; they become the
	// caller's. 0 and nil: nothing now. An error says that the device is broken, net.ErrClosed that it was closed.
	Receive(now time.Time, pkts []*packet.Packet) (int, error)

	// Send transmits pkts, without waiting, and returns how many it took; those become the device's. Fewer than all,
	// and nil: the device is full, see WaitSend. An error: pkts[n] cannot be sent; it stays the caller's, and so do those
	// behind it, which may be tried again unless the error is net.ErrClosed.
	Send(now time.Time, pkts []*packet.Packet) (int, error)

	// PollAt returns when time alone will make a difference, such as a delayed packet becoming due.
	PollAt() (time.Time, bool)

	// WaitReceive waits until Receive has something, or PollAt has changed. After Close it returns net.ErrClosed.
	WaitReceive() error

	// WaitSend waits until the device has room again. It is called only after a Send that took fewer than all packets.
	// After Close it returns net.ErrClosed.
	WaitSend() error

	// Close ends the device and wakes both Waits. Closing again does nothing and returns nil.
	Close() error
}

// Medium says what a device's packets begin with.
type Medium uint8

const (
	// Ethernet frames: the 14-octet header without preamble and frame check sequence.
	Ethernet Medium = iota + 1
	// IP packets, version 4 or 6, without any link header.
	IP
	// IEEE802154 frames without preamble and frame check sequence, which are the device's affair, with 6LoWPAN inside.
	IEEE802154
)

// String is the medium's name in plain English.
func (m Medium) String() string {
	switch m {
	case Ethernet:
		return "Ethernet"
	case IP:
		return "IP"
	case IEEE802154:
		return "IEEE 802.15.4"
	}
	return "unknown medium"
}

// Capabilities say what a device is and what it does so that the stack need not. The zero value of every offload means
// that the stack does it.
type Capabilities struct {
	Medium Medium

	// MTU is the largest IP packet, in octets, that the device carries; link headers do not count. At most 65,535. An IEEE 802.15.4
	// frame has up to 125 octets nevertheless: the stack cuts the packet into as many as it takes.
	MTU int

	// HardwareAddr is the link-layer address that comes with the device, such as a radio's. Zero: it has none of its own
	// and the stack's configuration chooses.
	HardwareAddr [6]byte

	// EUI64 is the extended address that comes with an IEEE 802.15.4 radio, the company's octets first. Zero: it has none of
	// its own and the stack's configuration chooses.
	EUI64 [8]byte

	// Acknowledges says that an IEEE 802.15.4 radio sends acknowledgments, waits for them and retransmits itself, or that its
	// frames need none. Otherwise the stack does it, if it is configured to, and Receive yields acknowledgments too.
	Acknowledges bool

	Checksum Checksums

	// SegmentTCP4 and SegmentTCP6 say that Send takes super-segments over IPv4 and IPv6: packets with a SegmentSize, up to
	// 65,535 octets of IP packet whatever the MTU, with a partial checksum. Receive may yield such packets in any case.
	SegmentTCP4, SegmentTCP6 bool
}

// Checksums say, for each protocol, which checksums are the device's affair.
type Checksums struct {
	IPv4, ICMPv4, ICMPv6, UDP, TCP Checksum
}

// Checksum says in which directions the device takes care of a checksum.
type Checksum uint8

const (
	// ChecksumTx: the device fills in the checksum. UDP and TCP packets then leave the stack with the state
	// packet.ChecksumPartial, the others with a zero field.
	ChecksumTx Checksum = 1 << iota
	// ChecksumRx: what the device delivers is correct and is not verified, whatever the packet's own state says. A device
	// that has verified only some packets says so packet by packet instead.
	ChecksumRx
	// ChecksumNone: the stack neither fills in nor verifies.
	ChecksumNone = ChecksumTx | ChecksumRx
)
