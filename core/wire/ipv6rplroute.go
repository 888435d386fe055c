package wire

import (
	"fmt"
	"net/netip"
)

// IPv6RoutingRPL is the type of RPL's routing headers.
const IPv6RoutingRPL = 3

// rplRouteHeaderLen is what a source routing header has before its addresses.
const rplRouteHeaderLen = 8

// RPLSourceRoutePacket is RPL's source routing header (RFC 6554, section 3). Its addresses have no more octets than those in
// which they differ from the packet's destination. Made by ParseRPLSourceRoute, none of its methods panics.
type RPLSourceRoutePacket []byte

// ParseRPLSourceRoute takes b for a source routing header. The errors are ErrTruncated if b is shorter than any header, ErrLength
// if the header's length is more than b has or is not that of a number of addresses and the padding, and ErrMalformed if it is of
// another routing type.
func ParseRPLSourceRoute(b []byte) (RPLSourceRoutePacket, error) {
	h, err := parseIPv6Extension(b)
	if err != nil {
		return nil, err
	}
	p := RPLSourceRoutePacket(h)
	if p[2] != IPv6RoutingRPL {
		return nil, ErrMalformed
	}
	// What is left of the addresses' octets once the last is taken off belongs to addresses of equal length.
	rest := len(p) - rplRouteHeaderLen - p.Padding() - p.lastLen()
	if len(p) == rplRouteHeaderLen && p.Padding() == 0 {
		return p, nil // no addresses
	}
	if rest < 0 || rest%p.innerLen() != 0 {
		return nil, ErrLength
	}
	return p, nil
}

// NextHeader is the protocol number of what follows the header.
func (p RPLSourceRoutePacket) NextHeader() uint8 { return p[0] }

// SegmentsLeft is how many of the addresses are still to be visited.
func (p RPLSourceRoutePacket) SegmentsLeft() int { return int(p[3]) }

// CmprI is how many octets all addresses but the last share with the destination, and leave out: 0 to 15.
func (p RPLSourceRoutePacket) CmprI() int { return int(p[4] >> 4) }

// CmprE is how many octets the last address shares with the destination, and leaves out: 0 to 15.
func (p RPLSourceRoutePacket) CmprE() int { return int(p[4] & 15) }

// Padding is how many octets at the end belong to no address.
func (p RPLSourceRoutePacket) Padding() int { return int(p[5] >> 4) }

func (p RPLSourceRoutePacket) innerLen() int { return 16 - p.CmprI() }
func (p RPLSourceRoutePacket) lastLen() int  { return 16 - p.CmprE() }

// Count is how many addresses there are.
//
// n = (((Hdr Ext Len * 8) - Pad - (16 - CmprE)) / (16 - CmprI)) + 1
// https://www.rfc-editor.org/rfc/rfc6554.html#section-3
func (p RPLSourceRoutePacket) Count() int {
	if len(p) == rplRouteHeaderLen {
		return 0
	}
	return (len(p)-rplRouteHeaderLen-p.Padding()-p.lastLen())/p.innerLen() + 1
}

// octets are those that the header has of address i.
func (p RPLSourceRoutePacket) octets(i int) []byte {
	start := rplRouteHeaderLen + i*p.innerLen()
	if i == p.Count()-1 {
		return p[start : start+p.lastLen()]
	}
	return p[start : start+p.innerLen()]
}

// Address is address i, counted from 0, of a packet to dst. It is zero if there is no such address.
func (p RPLSourceRoutePacket) Address(i int, dst netip.Addr) netip.Addr {
	if i < 0 || i >= p.Count() {
		return netip.Addr{}
	}
	full, octets := dst.As16(), p.octets(i)
	copy(full[16-len(octets):], octets)
	return netip.AddrFrom16(full)
}

// Advance takes the packet to dst, which has arrived there, one hop on: it returns the destination that the packet is sent on
// to, and has dst take that one's place in the header. With no segments left the destination is zero, and what follows
// the header is for this node. own, if it is not nil, says which addresses are this node's.
//
// The errors leave p as it was. ErrLength: more segments are left than there are addresses, of which the sender is to be told by
// a parameter problem of code 0 that points to SegmentsLeft, 3 octets into the header. ErrMalformed: an address is multicast, or
// the route visits this node, another, and this node again, of which RFC 6554 has the sender told by a parameter problem too,
// because such a loop is an attack.
// https://www.rfc-editor.org/rfc/rfc6554.html#section-4.2
func (p RPLSourceRoutePacket) Advance(dst netip.Addr, own func(netip.Addr) bool) (next netip.Addr, err error) {
	left, n := p.SegmentsLeft(), p.Count()
	switch {
	case left == 0:
		return netip.Addr{}, nil
	case left > n:
		return netip.Addr{}, ErrLength
	}
	i := n - left
	next = p.Address(i, dst)
	if next.IsMulticast() || dst.IsMulticast() || own != nil && p.returns(dst, own) {
		return netip.Addr{}, ErrMalformed
	}
	was, octets := dst.As16(), p.octets(i)
	copy(octets, was[16-len(octets):])
	p[3]--
	return next, nil
}

// returns reports whether the route comes back to this node after others.
func (p RPLSourceRoutePacket) returns(dst netip.Addr, own func(netip.Addr) bool) bool {
	visited, left := false, false
	for i := range p.Count() {
		switch {
		case !own(p.Address(i, dst)):
			left = visited
		case left:
			return true
		default:
			visited = true
		}
	}
	return false
}

// String prints the header as tcpdump would, of the addresses the octets that it has.
func (p RPLSourceRoutePacket) String() string {
	if len(p) < rplRouteHeaderLen {
		return "[|srcrt]"
	}
	s := fmt.Sprintf("srcrt (len=%d, type=%d, segleft=%d, cmpri=%d, cmpre=%d, pad=%d", p[1], p[2], p[3], p.CmprI(), p.CmprE(), p.Padding())
	if _, err := ParseRPLSourceRoute(p); err != nil {
		return s + ", [bad])"
	}
	for i := range p.Count() {
		s += fmt.Sprintf(", [%d]%x", i, p.octets(i))
	}
	return s + ")"
}

// RPLSourceRouteRepr is a source routing header of a packet to Destination.
type RPLSourceRouteRepr struct {
	NextHeader   uint8 // protocol number of what follows
	SegmentsLeft int   // how many of Addresses are still to be visited, the last ones
	// Destination is the packet's, where it goes first. The addresses leave out what they share with it.
	Destination netip.Addr
	Addresses   []netip.Addr // up to 127, so that any of them fit
}

// RPLMaxSourceRoute is how many addresses a source routing header has room for, whatever they are.
const RPLMaxSourceRoute = 255 * ipv6ExtensionUnit / 16

// Parse sets r to what p, of a packet to dst, says. The error is ErrLength if more segments are left than there are addresses.
func (r *RPLSourceRouteRepr) Parse(p RPLSourceRoutePacket, dst netip.Addr) error {
	if p.SegmentsLeft() > p.Count() {
		return ErrLength
	}
	*r = RPLSourceRouteRepr{NextHeader: p.NextHeader(), SegmentsLeft: p.SegmentsLeft(), Destination: dst}
	for i := range p.Count() {
		r.Addresses = append(r.Addresses, p.Address(i, dst))
	}
	return nil
}

// addresses are those that fit.
func (r *RPLSourceRouteRepr) addresses() []netip.Addr {
	return r.Addresses[:min(len(r.Addresses), RPLMaxSourceRoute)]
}

// compression returns how many octets the addresses leave out, and how many octets that leaves of them all.
func (r *RPLSourceRouteRepr) compression() (cmprI, cmprE, octets int) {
	addrs := r.addresses()
	last := len(addrs) - 1
	if last < 0 {
		return 0, 0, 0
	}
	cmprE = commonOctets(r.Destination, addrs[last])
	cmprI = cmprE
	if last > 0 {
		cmprI = 15
		for _, addr := range addrs[:last] {
			cmprI = min(cmprI, commonOctets(r.Destination, addr))
		}
		cmprE = min(cmprE, cmprI) // for it is completed with what all those before it have in common
	}
	return cmprI, cmprE, last*(16-cmprI) + 16 - cmprE
}

// commonOctets is how many octets two addresses begin with in common, 15 at most.
func commonOctets(a, b netip.Addr) int {
	x, y := a.As16(), b.As16()
	n := 0
	for n < 15 && x[n] == y[n] {
		n++
	}
	return n
}

// Len is the number of octets that Emit writes: a multiple of 8.
func (r *RPLSourceRouteRepr) Len() int {
	_, _, n := r.compression()
	return rplRouteHeaderLen + roundUp8(n)
}

// Emit writes the header to the front of b, the addresses as short as can be. It panics if b is shorter than Len.
func (r *RPLSourceRouteRepr) Emit(b []byte) {
	b = b[:r.Len()]
	clear(b)
	cmprI, cmprE, n := r.compression()
	padding := len(b) - rplRouteHeaderLen - n
	addrs := r.addresses()
	b[0], b[1], b[2], b[3] = r.NextHeader, uint8(len(b)/ipv6ExtensionUnit-1), IPv6RoutingRPL, uint8(min(max(r.SegmentsLeft, 0), len(addrs)))
	b[4], b[5] = uint8(cmprI<<4|cmprE), uint8(padding<<4)
	rest := b[rplRouteHeaderLen:]
	for i, addr := range addrs {
		skip := cmprI
		if i == len(addrs)-1 {
			skip = cmprE
		}
		octets := addr.As16()
		rest = rest[copy(rest, octets[skip:]):]
	}
}

// String prints the header as tcpdump would.
func (r *RPLSourceRouteRepr) String() string {
	b := make([]byte, r.Len())
	r.Emit(b)
	return RPLSourceRoutePacket(b).String()
}

// RPLSourceRoute is the header, and the destination, of a packet that visits the hops one after another, of which the last is
// where it ends. There is at least one hop; with one alone no header is needed.
func RPLSourceRoute(nextHeader uint8, hops []netip.Addr) (dst netip.Addr, r RPLSourceRouteRepr) {
	return hops[0], RPLSourceRouteRepr{NextHeader: nextHeader, SegmentsLeft: len(hops) - 1, Destination: hops[0], Addresses: hops[1:]}
}
