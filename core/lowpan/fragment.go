package lowpan

import (
	"fmt"

	"github.com/smolnet/smolnet/core/wire"
)

// Key says which fragments are of one datagram:
//
// "The recipient of link fragments SHALL use (1) the sender's 802.15.4 source address (or the Originator Address if a Mesh
// Addressing field is present), (2) the destination's 802.15.4 address (or the Final Destination address if a Mesh Addressing
// field is present), (3) datagram_size, and (4) datagram_tag to identify all the link fragments that belong to a given datagram."
// https://www.rfc-editor.org/rfc/rfc4944.html#section-5.3
type Key struct {
	Src, Dst wire.LinkAddr
	Size     uint16 // of the datagram, in octets and without compression
	Tag      uint16
}

// Fragment says where a fragment belongs.
type Fragment struct {
	Key
	Offset int // in the datagram without compression, in octets: 0 in the first fragment

	// Known: the source is one that the stack knows, such as a neighbour whose address it has verified or one that has the link's
	// key. Unknown ones, of which anybody can make up as many as he likes, cannot displace what comes from known ones.
	Known bool

	// ElidedChecksum: the sender has left out the UDP checksum, which only the first fragment says, and only the whole datagram
	// allows to fill in. With the whole datagram, Reassembly.Add sets it to what the first fragment said.
	ElidedChecksum bool
}

// Cause says why a fragment was refused, or a datagram given up.
type Cause uint8

const (
	// None: the fragment was taken.
	None Cause = iota

	// TooShort: the datagram is said to be shorter than an IPv6 header.
	TooShort
	// Empty: the fragment has no octets.
	Empty
	// Unaligned: the fragment does not begin at a multiple of eight octets, or is not the last and does not end at one.
	Unaligned
	// TooLong: the fragment ends beyond the end of the datagram.
	TooLong
	// Duplicate: the very same fragment has come before, or one of a datagram that was completed just now.
	Duplicate
	// Full: the source is unknown, and the fragments of known ones take all the room.
	Full

	// Overlap: a fragment came that overlaps another and is not the same. The datagram begins anew with it.
	Overlap
	// Evicted: another datagram needed the room.
	Evicted
	// TimedOut: the missing fragments did not come in time.
	TimedOut
	// Closed: the reassembly was closed.
	Closed

	// Causes is how many causes there are.
	Causes = iota
)

var causeNames = [Causes]string{
	None: "none", TooShort: "too short", Empty: "empty", Unaligned: "unaligned", TooLong: "too long", Duplicate: "duplicate",
	Full: "full", Overlap: "overlap", Evicted: "evicted", TimedOut: "timed out", Closed: "closed",
}

// String is the cause in a word or two.
func (c Cause) String() string {
	if int(c) < len(causeNames) {
		return causeNames[c]
	}
	return fmt.Sprintf("Cause(%d)", uint8(c))
}
