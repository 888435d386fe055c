// Package rawsock is a device on an IEEE 802.15.4 interface that Linux has, such as wpan0, by a packet socket: what the radio
// receives reaches the stack, and what the stack sends leaves by the radio, beside whatever the kernel itself does with the
// interface. It takes the capability CAP_NET_RAW. On other systems Open fails with an error that wraps
// errors.ErrUnsupported.
//
// The interface's channel, PAN and addresses are the kernel's affair ("iwpan dev wpan0 set pan_id 0xabcd"); the stack must have
// the same PAN and addresses, since the radio delivers, and acknowledges, only what is for them. The kernel's own 6LoWPAN
// interface on top (lowpan0) must not be up: two stacks would answer.
//
// A monitor interface does as well. It delivers all that is in the air, acknowledgments too, which the stack then sends itself
// if it is configured to.
//
// For Ethernet there are package tap and the bridges of the kernel.
package rawsock

import "github.com/smolnet/smolnet/dev"

// mtu is the largest IP packet, in octets, that 6LoWPAN carries: "The MTU size for IPv6 packets over IEEE 802.15.4 is 1280
// octets."
// https://www.rfc-editor.org/rfc/rfc4944.html#section-4
const mtu = 1280

// Config says what the interface does not.
type Config struct {
	// EUI64 is the extended address, the company's octets first, of an interface that has none. Zero: the stack's
	// configuration chooses.
	EUI64 [8]byte
}

// Counters say what a device had to drop.
type Counters struct {
	// TooLong counts frames received that had more than 125 octets.
	TooLong uint64

	// BadFCS counts frames received from a monitor interface with a wrong frame check sequence. From others the kernel
	// drops these.
	BadFCS uint64

	// Down counts frames sent while the interface was down.
	Down uint64

	// NoBuffer counts frames sent for which the kernel had no room.
	NoBuffer uint64
}

var _ dev.Device = (*Device)(nil)
