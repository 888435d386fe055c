package wire

import (
	"encoding/binary"
	"fmt"
)

// Types of the option in the hop-by-hop options header by which routers notice that RPL's routes are loops.
const (
	IPv6OptionRPL     = 0x63 // RFC 6553: who does not know it discards the packet
	IPv6OptionRPLSkip = 0x23 // RFC 9008, section 4.2: who does not know it skips it
)

// RPLPacketInfoRepr is the RPL packet information, in the RPL option of a packet (RFC 6553, section 3, and RFC 6550, section
// 11.2).
type RPLPacketInfoRepr struct {
	Skip            bool   // the type is IPv6OptionRPLSkip, else IPv6OptionRPL
	Down            bool   // O: the packet goes away from the root
	RankError       bool   // R: a router has seen the packet go the wrong way
	ForwardingError bool   // F: the sender had no route down, and sends the packet back
	Instance        uint8  // RPLInstanceID
	SenderRank      uint16 // of the node that sent the packet on
}

const (
	rplInfoLen = 4

	rplInfoDown            = 0x80
	rplInfoRankError       = 0x40
	rplInfoForwardingError = 0x20
)

// Parse sets r to what o says; sub-TLVs behind it, of which none are defined, are skipped. The error is ErrOption if o is of
// another type or too short.
func (r *RPLPacketInfoRepr) Parse(o IPv6Option) error {
	if o.Type != IPv6OptionRPL && o.Type != IPv6OptionRPLSkip || len(o.Data) < rplInfoLen {
		return ErrOption
	}
	*r = RPLPacketInfoRepr{
		Skip:            o.Type == IPv6OptionRPLSkip,
		Down:            o.Data[0]&rplInfoDown != 0,
		RankError:       o.Data[0]&rplInfoRankError != 0,
		ForwardingError: o.Data[0]&rplInfoForwardingError != 0,
		Instance:        o.Data[1],
		SenderRank:      binary.BigEndian.Uint16(o.Data[2:]),
	}
	return nil
}

// Len is the number of octets that Emit writes: 6, with which a hop-by-hop options header has 8 and no padding.
func (r *RPLPacketInfoRepr) Len() int { return 2 + rplInfoLen }

// Emit writes the option, type and length included, to the front of b: for IPv6OptionsRepr.Options, or over an option of the
// same type. It panics if b is shorter than Len.
func (r *RPLPacketInfoRepr) Emit(b []byte) {
	b = b[:r.Len()]
	b[0], b[1], b[2], b[3] = IPv6OptionRPL, rplInfoLen, 0, r.Instance
	if r.Skip {
		b[0] = IPv6OptionRPLSkip
	}
	if r.Down {
		b[2] |= rplInfoDown
	}
	if r.RankError {
		b[2] |= rplInfoRankError
	}
	if r.ForwardingError {
		b[2] |= rplInfoForwardingError
	}
	binary.BigEndian.PutUint16(b[4:], r.SenderRank)
}

// String prints the option.
func (r *RPLPacketInfoRepr) String() string {
	direction, flags := "up", ""
	if r.Down {
		direction = "down"
	}
	if r.RankError {
		flags += ",rank-error"
	}
	if r.ForwardingError {
		flags += ",forwarding-error"
	}
	return fmt.Sprintf("rpl %s%s,instance:%d,rank:%d", direction, flags, r.Instance, r.SenderRank)
}
