// Package zep is a virtual IEEE 802.15.4 radio: it carries frames in UDP datagrams, by the ZigBee Encapsulation Protocol,
// version 2. RIOT's native nodes speak it, and Wireshark reads it.
//
// Two nodes speak with each other directly, each with the other's address as its Remote; several do so through a dispatcher,
// ours or RIOT's zep_dispatch, which is the Remote of each and hands on what it gets to all others.
//
// The protocol has no document of its own: Wireshark's dissector, packet-zep.c, and RIOT's net/zep.h say what it is.
package zep

import (
	"time"
)

// DefaultPort is the protocol's UDP port.
const DefaultPort = 17754

// Config says what the radio is like. Remote must be set.
type Config struct {
	// Local is the UDP address to receive at, "host:port". Default: any address, and a port that the system chooses.
	Local string

	// Remote is the UDP address of the other node, or of the dispatcher, "host:port". What comes from any other address is
	// dropped.
	Remote string

	// Channel is the radio's. What was sent on another one is dropped. Default: 26.
	Channel uint8

	// DeviceID is said in every datagram; nobody cares. Default: 0.
	DeviceID uint16

	// EUI64 is the radio's extended address, the company's octets first. Default: none, so that the stack's configuration
	// chooses.
	EUI64 [8]byte

	// Hello has the radio make itself known when it begins to receive, and every minute, so that a dispatcher has it hear
	// others before it has sent anything. What it says is EUI64.
	Hello bool
}

// defaultChannel is the last one of the 2,450 MHz band, and RIOT's.
const defaultChannel = 26

// helloInterval is how often a radio makes itself known.
const helloInterval = time.Minute

// Stats count what has become of frames until now.
type Stats struct {
	Sent       uint64 // frames
	SendFailed uint64 // frames that the system refused to send, such as for want of a route: a radio has no such thing
	Received   uint64 // frames
	Dropped    Drops
}

// Drops count the datagrams dropped, by what was wrong with them.
type Drops struct {
	Source    uint64 // not from Remote
	Malformed uint64 // no header of the protocol
	Version   uint64 // neither 1 nor 2
	Type      uint64 // no data: an acknowledgment of the protocol's own, which is ignored, a HELLO, or unknown
	Channel   uint64 // another one
	Length    uint64 // not what the header says, more than a frame can have, or nothing
	FCS       uint64 // a wrong frame check sequence
}

// Total is the number of datagrams dropped.
func (d *Drops) Total() uint64 {
	return d.Source + d.Malformed + d.Version + d.Type + d.Channel + d.Length + d.FCS
}

// count counts a datagram that is dropped.
func (d *Drops) count(wrong fault) {
	switch wrong {
	case wrongSource:
		d.Source++
	case malformed:
		d.Malformed++
	case wrongVersion:
		d.Version++
	case wrongType:
		d.Type++
	case wrongChannel:
		d.Channel++
	case wrongLength:
		d.Length++
	case wrongFCS:
		d.FCS++
	}
}
