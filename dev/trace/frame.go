package trace

import (
	"fmt"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// Frame is one frame that passed a device.
type Frame struct {
	// Time is when it passed: what the caller of Send or Receive said it was.
	Time time.Time

	Direction Direction

	// Medium says what Octets begin with.
	Medium dev.Medium

	// Octets are the frame. Checksums of IPv4 headers and of ICMP messages that are the device's to fill in are filled
	// in; a partial one is not, see CompleteChecksum.
	Octets []byte

	// SegmentSize is not zero for a super-segment: its TCP payload is to leave, or came, as segments of so many octets
	// each, the last perhaps shorter.
	SegmentSize int

	// Checksum says what is known of the transport checksum.
	Checksum packet.ChecksumState

	transport, field int // of a partial checksum, as packet.PartialChecksum returns them
	offload          dev.Checksums
}

// Direction says which way a frame went.
type Direction uint8

const (
	// Sent frames were taken by the device's Send.
	Sent Direction = iota + 1
	// Received frames were delivered by its Receive.
	Received
)

// String is "out" or "in".
func (d Direction) String() string {
	switch d {
	case Sent:
		return "out"
	case Received:
		return "in"
	}
	return "unknown direction"
}

// String prints the frame with all it contains, as package wire does, and then in parentheses what the octets do not
// show or show to be wrong.
func (f *Frame) String() string {
	var text string
	switch f.Medium {
	case dev.Ethernet:
		text = wire.EthernetFrame(f.Octets).String()
	case dev.IP:
		text = wire.FormatIP(f.Octets)
	case dev.IEEE802154:
		text = wire.IEEE802154Frame(f.Octets).String()
	default:
		text = fmt.Sprintf("%v, length %d", f.Medium, len(f.Octets))
	}
	if f.SegmentSize != 0 {
		text += fmt.Sprintf(" (super-segment, %d octets each)", f.SegmentSize)
	}
	switch {
	case f.Checksum == packet.ChecksumPartial:
		text += " (partial cksum)"
	case f.badChecksum():
		text += " (bad transport cksum)"
	}
	return text
}
