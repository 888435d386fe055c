// Package lowpan carries IPv6 packets that are larger than the frames of an IEEE 802.15.4 link: it cuts them into fragments, puts
// fragments together again and paces the frames, as RFC 4944 describes it.
//
// A datagram's headers are compressed before it is cut, and decompressed in its first fragment before that is put together with
// the others; package wire does both. Sizes and offsets count octets of the datagram without compression.
//
// Times are nanoseconds since the stack's epoch; the timers live in the stack's heap.
package lowpan

import "errors"

// ErrInvalid is what every error about a configuration wraps.
var ErrInvalid = errors.New("lowpan: invalid value")

// unit is what offsets are given in, in octets.
const unit = 8
