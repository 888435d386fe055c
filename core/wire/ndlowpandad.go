package wire

import (
	"fmt"
	"net/netip"
	"time"
)

// Types of the ICMPv6 messages by which routers of a low-power network ask a border router whether an address is unique.
const (
	ICMPv6DuplicateAddressRequest      = 157 // RFC 6775, section 4.4, and RFC 8505, section 4.2
	ICMPv6DuplicateAddressConfirmation = 158
)

// ndDuplicateAddressLen is the length of the messages with a verifier of no octets.
const ndDuplicateAddressLen = ICMPv6HeaderLen + 16

// NDDuplicateAddressRepr asks a border router whether a registered address is unique in its network, or confirms it (RFC 6775,
// section 4.4). Extended by RFC 8505 it has a transaction ID, and may have a longer verifier.
//
// These messages travel across the network: their hop limit is not NDHopLimit.
type NDDuplicateAddressRepr struct {
	Confirmation bool               // else request
	Status       RegistrationStatus // zero in a request
	Extended     bool
	TID          uint8         // orders the registrations of an address; 0 unless Extended
	Lifetime     time.Duration // of the registration; whole minutes up to NDMaxLowpanLifetime
	Owner        ROVR          // not zero; of 8 octets unless Extended
	Address      netip.Addr    // that is registered; not multicast
}

// Parse sets r to what p says. It does not look at the checksum, nor at octets behind the message. The errors are
// ErrMalformed if p is of another type or has a code that is not known, or the address is multicast, and ErrTruncated.
func (r *NDDuplicateAddressRepr) Parse(p ICMPv6Packet) error {
	if p.Type() != ICMPv6DuplicateAddressRequest && p.Type() != ICMPv6DuplicateAddressConfirmation {
		return ErrMalformed
	}
	// The lower half of the code is 0 in RFC 6775's messages, and in extended ones the length of the verifier in units of 8
	// octets. The upper half is not looked at.
	// https://www.rfc-editor.org/rfc/rfc8505.html#section-4.2
	suffix := int(p.Code() & 0x0f)
	n := max(suffix, 1) * rovrUnit
	if n > maxROVRLen {
		return ErrMalformed
	}
	if len(p) < ndDuplicateAddressLen+n {
		return ErrTruncated
	}
	owner, _ := ROVRFrom(p[ICMPv6HeaderLen : ICMPv6HeaderLen+n])
	address := netip.AddrFrom16([16]byte(p[ICMPv6HeaderLen+n:]))
	if address.IsMulticast() {
		return ErrMalformed
	}
	*r = NDDuplicateAddressRepr{
		Confirmation: p.Type() == ICMPv6DuplicateAddressConfirmation, Status: RegistrationStatus(p[4]),
		Extended: suffix != 0, Lifetime: ndMinutes(p[6:]), Owner: owner, Address: address,
	}
	if r.Extended {
		r.TID = p[5]
	}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *NDDuplicateAddressRepr) Len() int {
	return ndDuplicateAddressLen + max(r.Owner.Len(), rovrUnit)
}

// Emit writes the message, sent from src to dst, to the front of b. It panics if b is shorter than Len.
func (r *NDDuplicateAddressRepr) Emit(b []byte, src, dst netip.Addr) {
	b = b[:r.Len()]
	kind, code, tid := uint8(ICMPv6DuplicateAddressRequest), uint8(0), uint8(0)
	if r.Confirmation {
		kind = ICMPv6DuplicateAddressConfirmation
	}
	if r.Extended {
		code, tid = uint8(max(r.Owner.Len(), rovrUnit)/rovrUnit), r.TID
	}
	putICMPv6Header(b, kind, code, uint32(r.Status)<<24|uint32(tid)<<16)
	putNDMinutes(b[6:], r.Lifetime)
	copy(b[ICMPv6HeaderLen:], r.Owner.octets[:])
	putAddr16(b[len(b)-16:], r.Address)
	ICMPv6Packet(b).FillChecksum(src, dst)
}

// String prints the message as tcpdump would print such messages.
func (r *NDDuplicateAddressRepr) String() string { return formatND(r.Len(), r.Emit) }

// appendNDDuplicateAddress prints what the message says, legal or not. p has at least a header.
func appendNDDuplicateAddress(b []byte, p ICMPv6Packet) []byte {
	var r NDDuplicateAddressRepr
	switch r.Parse(p) {
	case nil:
	case ErrTruncated:
		return append(b, " [|nd]"...)
	default:
		return fmt.Appendf(b, ", bad code 0x%02x or address", p.Code())
	}
	b = fmt.Appendf(b, ", %v of %v, lifetime %dm", r.Address, r.Owner, r.Lifetime/time.Minute)
	if r.Extended {
		b = fmt.Appendf(b, ", tid %d", r.TID)
	}
	return fmt.Appendf(b, ", %v", r.Status)
}
