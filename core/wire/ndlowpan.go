package wire

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Types of the options of neighbor discovery over low-power networks.
const (
	NDOptionAddressRegistration = 33 // RFC 6775, section 4.1, and RFC 8505, section 4.1
	NDOptionContext             = 34 // RFC 6775, section 4.2
	NDOptionBorderRouter        = 35 // RFC 6775, section 4.3
	NDOptionCapabilities        = 36 // RFC 7400, section 3.4, and RFC 8505, section 4.3
)

const (
	ndRegistrationHeaderLen = 8
	ndContextHeaderLen      = 8
	ndBorderRouterLen       = 24
	ndCapabilitiesLen       = 8
)

// NDMaxLowpanLifetime is the longest lifetime of an address registration, a context or a border router's information.
const NDMaxLowpanLifetime = 0xffff * time.Minute

// NDOptionsOf returns the options of a router or neighbor solicitation or advertisement, or of a redirect; nil of
// another message, and of one whose options ParseNDOptions refuses. They share p's octets.
func NDOptionsOf(p ICMPv6Packet) NDOptions {
	n := ndNeighborLen
	switch p.Type() {
	case ICMPv6RouterSolicitation:
		n = ndRouterSolicitationLen
	case ICMPv6RouterAdvertisement:
		n = ndRouterAdvertisementLen
	case ICMPv6NeighborSolicitation, ICMPv6NeighborAdvertisement:
	case ICMPv6Redirect:
		n = ndRedirectLen
	default:
		return nil
	}
	if len(p) < n {
		return nil
	}
	options, err := ParseNDOptions(p[n:])
	if err != nil {
		return nil
	}
	return options
}

// NDMessageWithOptions is a neighbor discovery message with more options than its representation knows of, such as a
// solicitation that registers an address.
type NDMessageWithOptions struct {
	Message interface {
		Len() int
		Emit(b []byte, src, dst netip.Addr)
	}
	Options NDOptions // that come after the message's own
}

// Len is the number of octets that Emit writes.
func (r *NDMessageWithOptions) Len() int { return r.Message.Len() + len(r.Options) }

// Emit writes the message, sent from src to dst, to the front of b. It panics if b is shorter than Len.
func (r *NDMessageWithOptions) Emit(b []byte, src, dst netip.Addr) {
	b = b[:r.Len()]
	r.Message.Emit(b, src, dst)
	copy(b[r.Message.Len():], r.Options)
	ICMPv6Packet(b).FillChecksum(src, dst)
}

// String prints the message as tcpdump -v would.
func (r *NDMessageWithOptions) String() string { return formatND(r.Len(), r.Emit) }

// RegistrationStatus is what has become of an address registration.
type RegistrationStatus uint8

// What can have become of an address registration. The first three are RFC 6775's, the others RFC 8505's.
// https://www.rfc-editor.org/rfc/rfc8505.html#section-4.1
const (
	RegistrationSuccess             RegistrationStatus = 0
	RegistrationDuplicate           RegistrationStatus = 1  // somebody else has registered the address
	RegistrationFull                RegistrationStatus = 2  // the router's neighbour cache is full
	RegistrationMoved               RegistrationStatus = 3  // there is a newer registration
	RegistrationRemoved             RegistrationStatus = 4  // the registration is no more
	RegistrationValidationRequested RegistrationStatus = 5  // the router wants the ownership to be proved
	RegistrationDuplicateSource     RegistrationStatus = 6  // the address that the solicitation came from is somebody else's
	RegistrationInvalidSource       RegistrationStatus = 7  // the address that the solicitation came from does not go with the registration
	RegistrationOffPrefix           RegistrationStatus = 8  // the address is topologically incorrect: not usable on this link
	RegistrationSaturated           RegistrationStatus = 9  // the border router's registry is full
	RegistrationValidationFailed    RegistrationStatus = 10 // the proof of ownership was not accepted
)

var registrationStatusNames = [...]string{
	"success", "duplicate address", "neighbor cache full", "moved", "removed", "validation requested",
	"duplicate source address", "invalid source address", "topologically incorrect", "registry saturated", "validation failed",
}

// String names the status.
func (s RegistrationStatus) String() string {
	if int(s) < len(registrationStatusNames) {
		return registrationStatusNames[s]
	}
	return fmt.Sprintf("unknown status (%d)", uint8(s))
}

// ROVR is a registration ownership verifier: what tells the owner of a registered address from others. It has 8, 16, 24
// or 32 octets; of 8, it is the EUI-64 of the owner's interface, unless it was made otherwise. Equal ones are ==. The
// zero value is none.
//
// https://www.rfc-editor.org/rfc/rfc8505.html#section-5.3
type ROVR struct {
	octets [maxROVRLen]byte // zero from len on
	len    uint8
}

const (
	rovrUnit   = 8 // octets of which a verifier has one to four times as many
	maxROVRLen = 4 * rovrUnit
)

// ROVRFrom is the verifier with b's octets; ok is false if b has not 8, 16, 24 or 32.
func ROVRFrom(b []byte) (v ROVR, ok bool) {
	if len(b) == 0 || len(b) > maxROVRLen || len(b)%rovrUnit != 0 {
		return v, false
	}
	v.len = uint8(copy(v.octets[:], b))
	return v, true
}

// EUI64ROVR is the verifier that is an EUI-64, as RFC 6775 knows no others.
func EUI64ROVR(eui64 [8]byte) (v ROVR) {
	v.len = uint8(copy(v.octets[:], eui64[:]))
	return v
}

// Len is the number of octets: 0, 8, 16, 24 or 32.
func (v ROVR) Len() int { return int(v.len) }

// IsZero reports whether v is none.
func (v ROVR) IsZero() bool { return v.len == 0 }

// AppendTo appends the octets to b.
func (v ROVR) AppendTo(b []byte) []byte { return append(b, v.octets[:v.len]...) }

// EUI64 is v as an EUI-64; ok is false if v has not 8 octets.
func (v ROVR) EUI64() (eui64 [8]byte, ok bool) { return [8]byte(v.octets[:8]), v.len == 8 }

// String prints an EUI-64 as a link-layer address, and a longer verifier in hexadecimal.
func (v ROVR) String() string {
	if eui64, ok := v.EUI64(); ok {
		return ExtendedAddr(eui64).String()
	}
	if v.len == 0 {
		return "none"
	}
	return hex.EncodeToString(v.octets[:v.len])
}

// NDAddressRegistrationRepr registers an address with a router, in a neighbor solicitation, and says what has become of
// that, in an advertisement (RFC 6775, section 4.1). Extended by RFC 8505 it has a transaction ID besides.
type NDAddressRegistrationRepr struct {
	Status RegistrationStatus // zero in a solicitation
	Opaque uint8              // for the use of what Instance names
	// Instance is the two bits that say what Opaque is for: 0: nothing, or an RPL instance.
	Instance uint8
	// Reachable asks the router to see to it that the address can be reached from elsewhere.
	Reachable bool
	// Extended says that TID is meant, and that the solicitation's target, not its source, is what is registered.
	Extended bool
	TID      uint8         // orders the registrations of an address; 0 unless Extended
	Lifetime time.Duration // of the registration; whole minutes up to NDMaxLowpanLifetime; 0 ends it
	Owner    ROVR          // not zero; of 8 octets unless Extended
}

const (
	ndFlagRegistrationTID       = 0x01
	ndFlagRegistrationReachable = 0x02
	ndRegistrationInstanceShift = 2
)

// Parse sets r to what o says.
func (r *NDAddressRegistrationRepr) Parse(o NDOption) error {
	if !ndOptionIs(o, NDOptionAddressRegistration, ndRegistrationHeaderLen) {
		return ErrOption
	}
	owner, ok := ROVRFrom(o[ndRegistrationHeaderLen:])
	extended := o[4]&ndFlagRegistrationTID != 0
	// RFC 6775's own has an EUI-64: a length of 2.
	// https://www.rfc-editor.org/rfc/rfc6775.html#section-6.5
	if !ok || !extended && owner.Len() != rovrUnit {
		return ErrOption
	}
	*r = NDAddressRegistrationRepr{
		Status: RegistrationStatus(o[2]), Opaque: o[3],
		Instance: o[4] >> ndRegistrationInstanceShift & 3, Reachable: o[4]&ndFlagRegistrationReachable != 0,
		Extended: extended, Lifetime: ndMinutes(o[6:]), Owner: owner,
	}
	if extended {
		r.TID = o[5]
	}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *NDAddressRegistrationRepr) Len() int {
	return ndRegistrationHeaderLen + max(r.Owner.Len(), rovrUnit)
}

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *NDAddressRegistrationRepr) Emit(b []byte) {
	b = b[:r.Len()]
	copy(b[ndRegistrationHeaderLen:], r.Owner.octets[:])
	putNDOptionHeader(b, NDOptionAddressRegistration)
	b[2], b[3], b[4], b[5] = uint8(r.Status), r.Opaque, r.Instance&3<<ndRegistrationInstanceShift, 0
	if r.Reachable {
		b[4] |= ndFlagRegistrationReachable
	}
	if r.Extended {
		b[4] |= ndFlagRegistrationTID
		b[5] = r.TID
	}
	putNDMinutes(b[6:], r.Lifetime)
}

// String prints the option.
func (r *NDAddressRegistrationRepr) String() string {
	b := fmt.Appendf(nil, "address registration %v, lifetime %dm", r.Owner, r.Lifetime/time.Minute)
	if r.Extended {
		b = fmt.Appendf(b, ", tid %d", r.TID)
	}
	if r.Reachable {
		b = append(b, ", reachable"...)
	}
	if r.Instance != 0 || r.Opaque != 0 {
		b = fmt.Appendf(b, ", opaque %d/0x%02x", r.Instance, r.Opaque)
	}
	return string(fmt.Appendf(b, ", %v", r.Status))
}

// NDContextRepr tells hosts of a context for header compression (RFC 6775, section 4.2).
type NDContextRepr struct {
	ID       uint8         // 0 to 15
	Prefix   netip.Prefix  // its bits beyond its length are zero
	Compress bool          // it is for compression too, else for decompression only
	Lifetime time.Duration // whole minutes up to NDMaxLowpanLifetime; 0: the context is to be forgotten
}

const ndFlagContextCompress = 0x10

// Parse sets r to what o says.
func (r *NDContextRepr) Parse(o NDOption) error {
	// A length of 2 has room for 64 bits of the prefix, one of 3 for all.
	// https://www.rfc-editor.org/rfc/rfc6775.html#section-4.2
	if !ndOptionIs(o, NDOptionContext, ndContextHeaderLen+8) || len(o) > ndContextHeaderLen+16 || o[2] > 128 ||
		o[2] > 64 && len(o) < ndContextHeaderLen+16 {
		return ErrOption
	}
	var addr [16]byte
	copy(addr[:], o[ndContextHeaderLen:])
	*r = NDContextRepr{
		ID: o[3] & 0x0f, Prefix: netip.PrefixFrom(netip.AddrFrom16(addr), int(o[2])).Masked(),
		Compress: o[3]&ndFlagContextCompress != 0, Lifetime: ndMinutes(o[6:]),
	}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *NDContextRepr) Len() int {
	if ndPrefixBits(r.Prefix) > 64 {
		return ndContextHeaderLen + 16
	}
	return ndContextHeaderLen + 8
}

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *NDContextRepr) Emit(b []byte) {
	b = b[:r.Len()]
	clear(b)
	putNDOptionHeader(b, NDOptionContext)
	b[2], b[3] = ndPrefixBits(r.Prefix), r.ID&0x0f
	if r.Compress {
		b[3] |= ndFlagContextCompress
	}
	putNDMinutes(b[6:], r.Lifetime)
	addr := r.Prefix.Masked().Addr().As16()
	copy(b[ndContextHeaderLen:], addr[:])
}

// String prints the option.
func (r *NDContextRepr) String() string {
	use := "decompress"
	if r.Compress {
		use = "compress"
	}
	return fmt.Sprintf("context %d %v, %s, lifetime %dm", r.ID, r.Prefix, use, r.Lifetime/time.Minute)
}

// NDBorderRouterRepr says which border router a router advertisement's prefixes and contexts come from (RFC 6775, section
// 4.3: the authoritative border router option).
type NDBorderRouterRepr struct {
	Version  uint32        // of the prefixes and contexts; increases, by serial number arithmetic, with every change
	Lifetime time.Duration // of them; whole minutes from 1 to NDMaxLowpanLifetime
	Router   netip.Addr    // the border router's address
}

// NDBorderRouterDefaultLifetime is what no lifetime stands for in an authoritative border router option.
const NDBorderRouterDefaultLifetime = 10_000 * time.Minute

// Parse sets r to what o says.
func (r *NDBorderRouterRepr) Parse(o NDOption) error {
	if len(o) != ndBorderRouterLen || o[0] != NDOptionBorderRouter {
		return ErrOption
	}
	*r = NDBorderRouterRepr{
		Version:  uint32(binary.BigEndian.Uint16(o[2:])) | uint32(binary.BigEndian.Uint16(o[4:]))<<16,
		Lifetime: ndMinutes(o[6:]), Router: netip.AddrFrom16([16]byte(o[8:24])),
	}
	if r.Lifetime == 0 {
		r.Lifetime = NDBorderRouterDefaultLifetime
	}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *NDBorderRouterRepr) Len() int { return ndBorderRouterLen }

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *NDBorderRouterRepr) Emit(b []byte) {
	b = b[:ndBorderRouterLen]
	putNDOptionHeader(b, NDOptionBorderRouter)
	binary.BigEndian.PutUint16(b[2:], uint16(r.Version))
	binary.BigEndian.PutUint16(b[4:], uint16(r.Version>>16))
	putNDMinutes(b[6:], r.Lifetime)
	putAddr16(b[8:], r.Router)
}

// String prints the option.
func (r *NDBorderRouterRepr) String() string {
	return fmt.Sprintf("border router %v, version %d, lifetime %dm", r.Router, r.Version, r.Lifetime/time.Minute)
}

// NDCapabilitiesRepr says what a node of a low-power network can do (RFC 7400, section 3.4: the capability indication
// option).
type NDCapabilitiesRepr struct {
	Flags NDCapabilities // unknown ones included
}

// NDCapabilities are capabilities of a node of a low-power network.
type NDCapabilities uint16

// The capabilities. The first is RFC 7400's, the others RFC 8505's.
const (
	NDCapabilityGHC                  NDCapabilities = 0x01 // generic header compression
	NDCapabilityExtendedRegistration NDCapabilities = 0x02 // the node takes extended address registrations (E)
	NDCapabilityRoutingRegistrar     NDCapabilities = 0x04 // it makes registered addresses reachable (P)
	NDCapabilityBorderRouter         NDCapabilities = 0x08 // it is a border router (B)
	NDCapabilityRouter               NDCapabilities = 0x10 // it is a router (L)
	NDCapabilityExtendedDuplicate    NDCapabilities = 0x20 // it takes extended duplicate address requests (D)
)

// String lists the letters of the RFCs' flags: "DLBPEG".
func (c NDCapabilities) String() string {
	const letters = "GEPBLD"
	var b strings.Builder
	for i := len(letters) - 1; i >= 0; i-- {
		if c>>i&1 != 0 {
			b.WriteByte(letters[i])
		}
	}
	if unknown := c >> len(letters); unknown != 0 {
		fmt.Fprintf(&b, "+0x%x", uint16(unknown<<len(letters)))
	}
	if b.Len() == 0 {
		return "none"
	}
	return b.String()
}

// Parse sets r to what o says.
func (r *NDCapabilitiesRepr) Parse(o NDOption) error {
	if len(o) != ndCapabilitiesLen || o[0] != NDOptionCapabilities {
		return ErrOption
	}
	*r = NDCapabilitiesRepr{NDCapabilities(binary.BigEndian.Uint16(o[2:]))}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *NDCapabilitiesRepr) Len() int { return ndCapabilitiesLen }

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *NDCapabilitiesRepr) Emit(b []byte) {
	binary.BigEndian.PutUint32(b, NDOptionCapabilities<<24|1<<16|uint32(r.Flags))
	binary.BigEndian.PutUint32(b[4:], 0)
}

// String prints the option.
func (r *NDCapabilitiesRepr) String() string { return "capabilities " + r.Flags.String() }

// ndMinutes reads 16 bits of minutes.
func ndMinutes(b []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint16(b)) * time.Minute
}

// putNDMinutes writes d as 16 bits of minutes, rounded up, lest a short lifetime becomes none.
func putNDMinutes(b []byte, d time.Duration) {
	d = min(max(d, 0), NDMaxLowpanLifetime)
	binary.BigEndian.PutUint16(b, uint16((d+time.Minute-1)/time.Minute))
}
