package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Types of neighbor discovery options.
const (
	NDOptionSourceLinkAddr    = 1  // RFC 4861, section 4.6.1
	NDOptionTargetLinkAddr    = 2  // RFC 4861, section 4.6.1
	NDOptionPrefixInformation = 3  // RFC 4861, section 4.6.2
	NDOptionRedirectedHeader  = 4  // RFC 4861, section 4.6.3
	NDOptionMTU               = 5  // RFC 4861, section 4.6.4
	NDOptionNonce             = 14 // RFC 3971, section 5.3.2, and RFC 7527
	NDOptionRouteInformation  = 24 // RFC 4191, section 2.3
	NDOptionRDNSS             = 25 // RFC 8106, section 5.1
	NDOptionDNSSL             = 31 // RFC 8106, section 5.2
)

const (
	ndOptionUnit        = 8 // octets in which options count their length
	ndOptionHeaderLen   = 2
	ndMaxOptionLen      = 255 * ndOptionUnit
	ndLinkAddrLen       = 8
	ndExtendedAddrLen   = 16
	ndPrefixLen         = 32
	ndMTULen            = 8
	ndMaxRouteLen       = 24
	ndLifetimeHeaderLen = 8 // RDNSS and DNSSL: type, length, reserved, lifetime
)

// NDInfiniteLifetime is a lifetime without end, in options that have lifetimes.
const NDInfiniteLifetime = 0xffffffff * time.Second

// NDOptions are the octets of a neighbor discovery message's options, one after another, those of types that this
// package does not know included. Made by ParseNDOptions, none of its methods panics.
type NDOptions []byte

// ParseNDOptions takes all of b for options. The errors are ErrMalformed if an option's length is 0, and
// ErrTruncated if it runs past b. With either, nothing of the message is to be used:
//
// "Nodes MUST silently discard an ND packet that contains an option with length zero."
// https://www.rfc-editor.org/rfc/rfc4861.html#section-4.6
func ParseNDOptions(b []byte) (NDOptions, error) {
	for rest := b; len(rest) > 0; {
		if len(rest) < ndOptionUnit {
			return nil, ErrTruncated
		}
		n := int(rest[1]) * ndOptionUnit
		if n == 0 {
			return nil, ErrMalformed
		}
		if n > len(rest) {
			return nil, ErrTruncated
		}
		rest = rest[n:]
	}
	return b, nil
}

// Next takes the first option off the front and returns it, or false if none is left:
//
//	for option, ok := options.Next(); ok; option, ok = options.Next() {
//		…
//	}
func (o *NDOptions) Next() (NDOption, bool) {
	b := *o
	if len(b) < ndOptionUnit {
		return nil, false
	}
	n := int(b[1]) * ndOptionUnit
	if n == 0 || n > len(b) {
		return nil, false
	}
	*o = b[n:]
	return NDOption(b[:n:n]), true
}

// Find returns the first option of the given type.
func (o NDOptions) Find(kind uint8) (NDOption, bool) {
	for option, ok := o.Next(); ok; option, ok = o.Next() {
		if option.Type() == kind {
			return option, true
		}
	}
	return nil, false
}

// Append adds an option behind the others.
func (o NDOptions) Append(option NDOptionRepr) NDOptions {
	n := len(o)
	o = append(o, make([]byte, option.Len())...)
	option.Emit(o[n:])
	return o
}

// linkAddr returns the link-layer address in the first option of the given type: the zero address if there is
// none. The error is ErrOption if it has a length that no address has.
func (o NDOptions) linkAddr(kind uint8) (LinkAddr, error) {
	option, ok := o.Find(kind)
	if !ok {
		return LinkAddr{}, nil
	}
	var r NDLinkAddrRepr
	err := r.Parse(option)
	return r.Addr, err
}

// String prints the options as tcpdump -v would, on one line.
func (o NDOptions) String() string { return string(appendNDOptions(nil, o)) }

// NDOption is one option: type, length in units of 8 octets, and what the type has.
type NDOption []byte

// Type is what the option is, such as NDOptionMTU.
func (o NDOption) Type() uint8 { return o[0] }

// Data is what follows type and length. It shares o's octets.
func (o NDOption) Data() []byte { return o[ndOptionHeaderLen:] }

// NDOptionRepr is an option of one of the types known here. Parse's error is always ErrOption: the option is of
// another type, or not as its type should be, and is to be ignored.
type NDOptionRepr interface {
	Parse(o NDOption) error
	Len() int
	Emit(b []byte)
	String() string
}

var _ = []NDOptionRepr{
	(*NDLinkAddrRepr)(nil), (*NDPrefixInformationRepr)(nil), (*NDRedirectedHeaderRepr)(nil), (*NDMTURepr)(nil),
	(*NDNonceRepr)(nil), (*NDRouteInformationRepr)(nil), (*NDRDNSSRepr)(nil), (*NDDNSSLRepr)(nil),
	(*NDAddressRegistrationRepr)(nil), (*NDContextRepr)(nil), (*NDBorderRouterRepr)(nil), (*NDCapabilitiesRepr)(nil),
}

// ndOptionIs reports whether o is of the type, and has at least n octets.
func ndOptionIs(o NDOption, kind uint8, n int) bool { return len(o) >= n && len(o) > 0 && o[0] == kind }

// putNDOptionHeader writes type and length of an option that takes all of b.
func putNDOptionHeader(b []byte, kind uint8) { b[0], b[1] = kind, uint8(len(b)/ndOptionUnit) }

// NDLinkAddrRepr is a source or target link-layer address. The option says how long it is in units of 8 octets only, so that
// Parse yields 6 octets, as an Ethernet has them, or, where the option is longer, 8: an extended address. Who listens on a radio takes
// the first two of six for a short address, see LinkAddr.OnIEEE802154.
type NDLinkAddrRepr struct {
	Target bool // the target's, else the source's
	Addr   LinkAddr
}

// Parse sets r to what o says.
func (r *NDLinkAddrRepr) Parse(o NDOption) error {
	if len(o) == 0 || o[0] != NDOptionSourceLinkAddr && o[0] != NDOptionTargetLinkAddr {
		return ErrOption
	}
	*r = NDLinkAddrRepr{Target: o[0] == NDOptionTargetLinkAddr}
	switch len(o) {
	case ndLinkAddrLen:
		r.Addr = HardwareAddr(o[2:8]).LinkAddr()
	case ndExtendedAddrLen:
		r.Addr = ExtendedAddr([8]byte(o[2:10]))
	default:
		return ErrOption
	}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *NDLinkAddrRepr) Len() int {
	// "Length: [...] This is the length of this option (including the type and length fields) in units of 8 octets. The value of this
	// field is 2 if using EUI-64 addresses, or 1 if using 16-bit short addresses."
	// https://www.rfc-editor.org/rfc/rfc4944.html#section-8
	if r.Addr.Len() > HardwareAddrLen {
		return ndExtendedAddrLen
	}
	return ndLinkAddrLen
}

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *NDLinkAddrRepr) Emit(b []byte) {
	kind := uint8(NDOptionSourceLinkAddr)
	if r.Target {
		kind = NDOptionTargetLinkAddr
	}
	b = b[:r.Len()]
	clear(b)
	putNDOptionHeader(b, kind)
	r.Addr.AppendTo(b[:ndOptionHeaderLen])
}

// String prints the option as tcpdump -v would.
func (r *NDLinkAddrRepr) String() string {
	if r.Target {
		return "destination link-address " + r.Addr.String()
	}
	return "source link-address " + r.Addr.String()
}

// NDPrefixInformationRepr tells hosts of a prefix that is on the link, or that they may make addresses from.
type NDPrefixInformationRepr struct {
	Prefix     netip.Prefix // its bits beyond its length are zero
	OnLink     bool         // its addresses are on the link
	Autonomous bool         // it is for autoconfiguration of addresses
	// The lifetimes are whole seconds up to NDInfiniteLifetime, the preferred one at most the valid one.
	ValidLifetime, PreferredLifetime time.Duration
}

const (
	ndFlagOnLink     = 0x80
	ndFlagAutonomous = 0x40
)

// Parse sets r to what o says.
func (r *NDPrefixInformationRepr) Parse(o NDOption) error {
	if len(o) != ndPrefixLen || o[0] != NDOptionPrefixInformation || o[2] > 128 {
		return ErrOption
	}
	valid, preferred := ndSeconds(o[4:]), ndSeconds(o[8:])
	// "If the preferred lifetime is greater than the valid lifetime, silently ignore the Prefix Information option."
	// https://www.rfc-editor.org/rfc/rfc4862.html#section-5.5.3
	if preferred > valid {
		return ErrOption
	}
	// "The bits in the prefix after the prefix length are reserved and MUST be initialized to zero by the sender and
	// ignored by the receiver."
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-4.6.2
	*r = NDPrefixInformationRepr{
		Prefix:            netip.PrefixFrom(netip.AddrFrom16([16]byte(o[16:32])), int(o[2])).Masked(),
		OnLink:            o[3]&ndFlagOnLink != 0,
		Autonomous:        o[3]&ndFlagAutonomous != 0,
		ValidLifetime:     valid,
		PreferredLifetime: preferred,
	}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *NDPrefixInformationRepr) Len() int { return ndPrefixLen }

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *NDPrefixInformationRepr) Emit(b []byte) {
	b = b[:ndPrefixLen]
	clear(b)
	putNDOptionHeader(b, NDOptionPrefixInformation)
	b[2] = ndPrefixBits(r.Prefix)
	if r.OnLink {
		b[3] |= ndFlagOnLink
	}
	if r.Autonomous {
		b[3] |= ndFlagAutonomous
	}
	putNDSeconds(b[4:], r.ValidLifetime)
	putNDSeconds(b[8:], min(r.PreferredLifetime, r.ValidLifetime))
	putAddr16(b[16:], r.Prefix.Masked().Addr())
}

// String prints the option as tcpdump -v would.
func (r *NDPrefixInformationRepr) String() string {
	b := fmt.Appendf(nil, "prefix info %v, Flags [", r.Prefix)
	switch {
	case r.OnLink && r.Autonomous:
		b = append(b, "onlink, auto"...)
	case r.OnLink:
		b = append(b, "onlink"...)
	case r.Autonomous:
		b = append(b, "auto"...)
	default:
		b = append(b, "none"...)
	}
	b = append(b, "], valid time "...)
	b = appendNDLifetime(b, r.ValidLifetime)
	b = append(b, ", pref. time "...)
	return string(appendNDLifetime(b, r.PreferredLifetime))
}

// NDRedirectedHeaderRepr is the packet that caused a redirect.
type NDRedirectedHeaderRepr struct {
	// Quote is the packet from its IPv6 header on, as far as it was given: at most 2,032 octets, the rest is not
	// emitted. A packet of which not all is there is followed by up to seven zeros, as options are counted in
	// units of 8 octets.
	Quote []byte
}

// Parse sets r to what o says; Quote shares o's octets.
func (r *NDRedirectedHeaderRepr) Parse(o NDOption) error {
	if !ndOptionIs(o, NDOptionRedirectedHeader, ndOptionUnit) {
		return ErrOption
	}
	quote := []byte(o[8:])
	if p, err := ParseIPv6Header(quote); err == nil {
		quote = p // without the padding
	}
	*r = NDRedirectedHeaderRepr{Quote: quote}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *NDRedirectedHeaderRepr) Len() int { return min(8+roundUp8(len(r.Quote)), ndMaxOptionLen) }

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *NDRedirectedHeaderRepr) Emit(b []byte) {
	b = b[:r.Len()]
	clear(b[8+copy(b[8:], r.Quote):])
	clear(b[:8])
	putNDOptionHeader(b, NDOptionRedirectedHeader)
}

// String prints the option, without the packet.
func (r *NDRedirectedHeaderRepr) String() string {
	return fmt.Sprintf("redirected header %d octets", len(r.Quote))
}

// NDMTURepr tells hosts the MTU of the link.
type NDMTURepr struct {
	MTU uint32 // octets
}

// Parse sets r to what o says.
func (r *NDMTURepr) Parse(o NDOption) error {
	if len(o) != ndMTULen || o[0] != NDOptionMTU {
		return ErrOption
	}
	*r = NDMTURepr{MTU: binary.BigEndian.Uint32(o[4:])}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *NDMTURepr) Len() int { return ndMTULen }

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *NDMTURepr) Emit(b []byte) {
	binary.BigEndian.PutUint32(b, NDOptionMTU<<24|1<<16)
	binary.BigEndian.PutUint32(b[4:], r.MTU)
}

// String prints the option as tcpdump -v would.
func (r *NDMTURepr) String() string { return fmt.Sprintf("mtu %d", r.MTU) }

// NDNonceRepr tells a node's own solicitations from others'.
type NDNonceRepr struct {
	// Nonce is at least 6 octets, 2 less than a multiple of 8. Emit adds zeros to another length.
	Nonce []byte
}

// Parse sets r to what o says; Nonce shares o's octets.
func (r *NDNonceRepr) Parse(o NDOption) error {
	if !ndOptionIs(o, NDOptionNonce, ndOptionUnit) {
		return ErrOption
	}
	*r = NDNonceRepr{Nonce: o.Data()}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *NDNonceRepr) Len() int {
	return min(roundUp8(ndOptionHeaderLen+max(len(r.Nonce), 1)), ndMaxOptionLen)
}

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *NDNonceRepr) Emit(b []byte) {
	b = b[:r.Len()]
	clear(b[ndOptionHeaderLen+copy(b[ndOptionHeaderLen:], r.Nonce):])
	putNDOptionHeader(b, NDOptionNonce)
}

// String prints the option.
func (r *NDNonceRepr) String() string { return fmt.Sprintf("nonce %x", r.Nonce) }

// ndSeconds reads 32 bits of seconds.
func ndSeconds(b []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Second
}

// putNDSeconds writes d as 32 bits of seconds, rounded down.
func putNDSeconds(b []byte, d time.Duration) {
	d = min(max(d, 0), NDInfiniteLifetime)
	binary.BigEndian.PutUint32(b, uint32(d/time.Second))
}

func appendNDLifetime(b []byte, d time.Duration) []byte {
	if d == NDInfiniteLifetime {
		return append(b, "infinity"...)
	}
	return fmt.Appendf(b, "%ds", d/time.Second)
}

// ndPrefixBits is the prefix length, 0 of the zero Prefix.
func ndPrefixBits(p netip.Prefix) uint8 { return uint8(max(p.Bits(), 0)) }

// appendNDOptions prints options, legal or not.
func appendNDOptions(b []byte, options NDOptions) []byte {
	for i := 0; ; i++ {
		option, ok := options.Next()
		if !ok && len(options) == 0 {
			return b
		}
		if i > 0 {
			b = append(b, "; "...)
		}
		if !ok {
			return append(b, "[|nd opt]"...)
		}
		b = append(b, option.String()...)
	}
}

// String prints the option as tcpdump -v would.
func (o NDOption) String() string {
	if len(o) < ndOptionUnit {
		return "[|nd opt]"
	}
	var r NDOptionRepr
	switch o.Type() {
	case NDOptionSourceLinkAddr, NDOptionTargetLinkAddr:
		r = new(NDLinkAddrRepr)
	case NDOptionPrefixInformation:
		r = new(NDPrefixInformationRepr)
	case NDOptionRedirectedHeader:
		r = new(NDRedirectedHeaderRepr)
	case NDOptionMTU:
		r = new(NDMTURepr)
	case NDOptionNonce:
		r = new(NDNonceRepr)
	case NDOptionRouteInformation:
		r = new(NDRouteInformationRepr)
	case NDOptionRDNSS:
		r = new(NDRDNSSRepr)
	case NDOptionDNSSL:
		r = new(NDDNSSLRepr)
	case NDOptionAddressRegistration:
		r = new(NDAddressRegistrationRepr)
	case NDOptionContext:
		r = new(NDContextRepr)
	case NDOptionBorderRouter:
		r = new(NDBorderRouterRepr)
	case NDOptionCapabilities:
		r = new(NDCapabilitiesRepr)
	}
	switch {
	case r == nil:
		return fmt.Sprintf("unknown option (%d), length %d", o.Type(), len(o))
	case r.Parse(o) != nil:
		return fmt.Sprintf("bad option (%d), length %d: %x", o.Type(), len(o), o.Data())
	}
	return r.String()
}
