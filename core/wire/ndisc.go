package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// NDHopLimit is the hop limit of every neighbor discovery packet. Who takes a message from a packet must see to
// it, the checksum and the addresses: the representations here know only the message.
//
// "The IP Hop Limit field has a value of 255, i.e., the packet could not possibly have been forwarded by a router."
// https://www.rfc-editor.org/rfc/rfc4861.html#section-6.1.1
const NDHopLimit = 255

// Lengths of the messages without options.
const (
	ndRouterSolicitationLen  = 8
	ndRouterAdvertisementLen = 16
	ndNeighborLen            = 24
	ndRedirectLen            = 40
)

// parseND returns the options of a message of the given type, whose fixed part has n octets. The errors are
// ErrMalformed if it is of another type or has a code, ErrTruncated if it is shorter, and ParseNDOptions'.
func parseND(p ICMPv6Packet, kind uint8, n int) (NDOptions, error) {
	if len(p) < n || len(p) < ICMPv6HeaderLen {
		return nil, ErrTruncated
	}
	if p.Type() != kind || p.Code() != 0 {
		return nil, ErrMalformed
	}
	return ParseNDOptions(p[n:])
}

// ndLinkAddrOptionLen is what an option for addr takes: nothing for the zero address.
func ndLinkAddrOptionLen(addr LinkAddr) int {
	if addr.IsZero() {
		return 0
	}
	return (&NDLinkAddrRepr{Addr: addr}).Len()
}

// putNDLinkAddr writes an option for addr, unless it is the zero address, and returns the rest of b.
func putNDLinkAddr(b []byte, addr LinkAddr, target bool) []byte {
	if addr.IsZero() {
		return b
	}
	option := NDLinkAddrRepr{Target: target, Addr: addr}
	option.Emit(b)
	return b[option.Len():]
}

// formatND prints the message that emit writes into n octets.
func formatND(n int, emit func(b []byte, src, dst netip.Addr)) string {
	b := make([]byte, n)
	emit(b, netip.IPv6Unspecified(), netip.IPv6Unspecified())
	return ICMPv6Packet(b).String()
}

// NDRouterSolicitationRepr asks routers to advertise themselves (RFC 4861, section 4.1).
type NDRouterSolicitationRepr struct {
	SourceLinkAddr LinkAddr // zero: not said, as it must be when the source address is unspecified
}

// Parse sets r to what p says. The errors are ErrTruncated, ErrMalformed, and ErrOption for a link-layer address
// of a length that none has.
func (r *NDRouterSolicitationRepr) Parse(p ICMPv6Packet) error {
	options, err := parseND(p, ICMPv6RouterSolicitation, ndRouterSolicitationLen)
	if err != nil {
		return err
	}
	addr, err := options.linkAddr(NDOptionSourceLinkAddr)
	if err != nil {
		return err
	}
	*r = NDRouterSolicitationRepr{SourceLinkAddr: addr}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *NDRouterSolicitationRepr) Len() int {
	return ndRouterSolicitationLen + ndLinkAddrOptionLen(r.SourceLinkAddr)
}

// Emit writes the message, sent from src to dst, to the front of b. It panics if b is shorter than Len.
func (r *NDRouterSolicitationRepr) Emit(b []byte, src, dst netip.Addr) {
	b = b[:r.Len()]
	putICMPv6Header(b, ICMPv6RouterSolicitation, 0, 0)
	putNDLinkAddr(b[ndRouterSolicitationLen:], r.SourceLinkAddr, false)
	ICMPv6Packet(b).FillChecksum(src, dst)
}

// String prints the message as tcpdump -v would.
func (r *NDRouterSolicitationRepr) String() string { return formatND(r.Len(), r.Emit) }

// NDRouterAdvertisementRepr is what a router tells hosts (RFC 4861, section 4.2, and RFC 4191, section 2.2).
type NDRouterAdvertisementRepr struct {
	HopLimit       uint8         // that hosts should use; 0: not said
	Managed        bool          // addresses are to be had by DHCPv6
	Other          bool          // other configuration is to be had by DHCPv6
	Preference     NDPreference  // medium unless RouterLifetime is more than 0
	RouterLifetime time.Duration // as a default router; whole seconds up to 65,535; 0: it is not a default router
	Reachable      time.Duration // how long a neighbour is reachable once confirmed; whole milliseconds; 0: not said
	Retransmit     time.Duration // time between solicitations; whole milliseconds; 0: not said
	// Options are all the options, as they came, unknown ones included. NDOptions.Append adds one.
	Options NDOptions
}

const (
	ndFlagManaged = 0x80
	ndFlagOther   = 0x40
)

// Parse sets r to what p says; Options shares p's octets. What the options contain is not looked at. The errors
// are ErrTruncated and ErrMalformed.
func (r *NDRouterAdvertisementRepr) Parse(p ICMPv6Packet) error {
	options, err := parseND(p, ICMPv6RouterAdvertisement, ndRouterAdvertisementLen)
	if err != nil {
		return err
	}
	*r = NDRouterAdvertisementRepr{
		HopLimit:       p[4],
		Managed:        p[5]&ndFlagManaged != 0,
		Other:          p[5]&ndFlagOther != 0,
		Preference:     ndPreference(p[5]),
		RouterLifetime: time.Duration(binary.BigEndian.Uint16(p[6:])) * time.Second,
		Reachable:      time.Duration(binary.BigEndian.Uint32(p[8:])) * time.Millisecond,
		Retransmit:     time.Duration(binary.BigEndian.Uint32(p[12:])) * time.Millisecond,
		Options:        options,
	}
	// "If the Router Lifetime is zero, the preference value MUST be set to (00) by the sender and MUST be ignored
	// by the receiver. If the Reserved (10) value is received, the receiver MUST treat the value as if it were
	// (00)."
	// https://www.rfc-editor.org/rfc/rfc4191.html#section-2.2
	if r.RouterLifetime == 0 || r.Preference == ndPreferenceReserved {
		r.Preference = NDPreferenceMedium
	}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *NDRouterAdvertisementRepr) Len() int { return ndRouterAdvertisementLen + len(r.Options) }

// Emit writes the message, sent from src to dst, to the front of b. It panics if b is shorter than Len.
func (r *NDRouterAdvertisementRepr) Emit(b []byte, src, dst netip.Addr) {
	b = b[:r.Len()]
	copy(b[ndRouterAdvertisementLen:], r.Options)
	var flags uint8
	if r.Managed {
		flags |= ndFlagManaged
	}
	if r.Other {
		flags |= ndFlagOther
	}
	lifetime := min(max(r.RouterLifetime/time.Second, 0), 0xffff)
	if lifetime != 0 {
		flags |= r.Preference.flags()
	}
	putICMPv6Header(b, ICMPv6RouterAdvertisement, 0, uint32(r.HopLimit)<<24|uint32(flags)<<16|uint32(lifetime))
	putNDMilliseconds(b[8:], r.Reachable)
	putNDMilliseconds(b[12:], r.Retransmit)
	ICMPv6Packet(b).FillChecksum(src, dst)
}

// putNDMilliseconds writes d as 32 bits of milliseconds, rounded down.
func putNDMilliseconds(b []byte, d time.Duration) {
	binary.BigEndian.PutUint32(b, uint32(min(max(d/time.Millisecond, 0), 0xffffffff)))
}

// String prints the message as tcpdump -v would.
func (r *NDRouterAdvertisementRepr) String() string { return formatND(r.Len(), r.Emit) }

// NDNeighborSolicitationRepr asks for the link-layer address of a neighbour, or whether it is still there, or
// whether an address is taken (RFC 4861, section 4.3).
type NDNeighborSolicitationRepr struct {
	Target         netip.Addr // not multicast
	SourceLinkAddr LinkAddr   // zero: not said, as it must be when the source address is unspecified
	// Nonce tells the sender's own solicitations, looped back, from others' (RFC 7527). nil: none. Else its length
	// is 2 less than a multiple of 8; Emit adds zeros to another length.
	Nonce []byte
}

// Parse sets r to what p says; Nonce shares p's octets. The errors are ErrTruncated, ErrMalformed, and ErrOption
// for a link-layer address of a length that none has.
func (r *NDNeighborSolicitationRepr) Parse(p ICMPv6Packet) error {
	options, err := parseND(p, ICMPv6NeighborSolicitation, ndNeighborLen)
	if err != nil {
		return err
	}
	target, err := ndTarget(p)
	if err != nil {
		return err
	}
	addr, err := options.linkAddr(NDOptionSourceLinkAddr)
	if err != nil {
		return err
	}
	*r = NDNeighborSolicitationRepr{Target: target, SourceLinkAddr: addr}
	if option, ok := options.Find(NDOptionNonce); ok {
		r.Nonce = option.Data()
	}
	return nil
}

// ndTarget returns the target address, of which p has all octets.
func ndTarget(p ICMPv6Packet) (netip.Addr, error) {
	target := netip.AddrFrom16([16]byte(p[8:24]))
	// "Target Address is not a multicast address."
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-7.1.1
	if target.IsMulticast() {
		return netip.Addr{}, ErrMalformed
	}
	return target, nil
}

// Len is the number of octets that Emit writes.
func (r *NDNeighborSolicitationRepr) Len() int {
	n := ndNeighborLen + ndLinkAddrOptionLen(r.SourceLinkAddr)
	if len(r.Nonce) > 0 {
		nonce := NDNonceRepr{r.Nonce}
		n += nonce.Len()
	}
	return n
}

// Emit writes the message, sent from src to dst, to the front of b. It panics if b is shorter than Len.
func (r *NDNeighborSolicitationRepr) Emit(b []byte, src, dst netip.Addr) {
	b = b[:r.Len()]
	putICMPv6Header(b, ICMPv6NeighborSolicitation, 0, 0)
	putAddr16(b[8:], r.Target)
	rest := putNDLinkAddr(b[ndNeighborLen:], r.SourceLinkAddr, false)
	if len(r.Nonce) > 0 {
		nonce := NDNonceRepr{r.Nonce}
		nonce.Emit(rest)
	}
	ICMPv6Packet(b).FillChecksum(src, dst)
}

// String prints the message as tcpdump -v would.
func (r *NDNeighborSolicitationRepr) String() string { return formatND(r.Len(), r.Emit) }

// NDNeighborAdvertisementRepr is the answer to a solicitation, or news unasked for (RFC 4861, section 4.4).
type NDNeighborAdvertisementRepr struct {
	Router         bool       // the sender is a router
	Solicited      bool       // it answers a solicitation. Must be false if it is sent to a multicast address
	Override       bool       // TargetLinkAddr replaces what was known
	Target         netip.Addr // not multicast
	TargetLinkAddr LinkAddr
}

const (
	ndFlagRouter    = 0x80
	ndFlagSolicited = 0x40
	ndFlagOverride  = 0x20
)

// Parse sets r to what p says. A zero TargetLinkAddr means that p does not say it. The errors are ErrTruncated,
// ErrMalformed, and ErrOption for a link-layer address of a length that none has.
func (r *NDNeighborAdvertisementRepr) Parse(p ICMPv6Packet) error {
	options, err := parseND(p, ICMPv6NeighborAdvertisement, ndNeighborLen)
	if err != nil {
		return err
	}
	target, err := ndTarget(p)
	if err != nil {
		return err
	}
	addr, err := options.linkAddr(NDOptionTargetLinkAddr)
	if err != nil {
		return err
	}
	*r = NDNeighborAdvertisementRepr{
		Router:         p[4]&ndFlagRouter != 0,
		Solicited:      p[4]&ndFlagSolicited != 0,
		Override:       p[4]&ndFlagOverride != 0,
		Target:         target,
		TargetLinkAddr: addr,
	}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *NDNeighborAdvertisementRepr) Len() int {
	return ndNeighborLen + ndLinkAddrOptionLen(r.TargetLinkAddr)
}

// Emit writes the message, sent from src to dst, to the front of b. It panics if b is shorter than Len.
func (r *NDNeighborAdvertisementRepr) Emit(b []byte, src, dst netip.Addr) {
	b = b[:r.Len()]
	var flags uint32
	if r.Router {
		flags |= ndFlagRouter
	}
	if r.Solicited {
		flags |= ndFlagSolicited
	}
	if r.Override {
		flags |= ndFlagOverride
	}
	putICMPv6Header(b, ICMPv6NeighborAdvertisement, 0, flags<<24)
	putAddr16(b[8:], r.Target)
	putNDLinkAddr(b[ndNeighborLen:], r.TargetLinkAddr, true)
	ICMPv6Packet(b).FillChecksum(src, dst)
}

// String prints the message as tcpdump -v would.
func (r *NDNeighborAdvertisementRepr) String() string { return formatND(r.Len(), r.Emit) }

// NDRedirectRepr is a router's news of a better first hop, or that a destination is on the link (RFC 4861, section
// 4.5).
type NDRedirectRepr struct {
	Target         netip.Addr // the first hop to use: a router's link-local address, or Destination itself
	Destination    netip.Addr // whose first hop it is, not multicast
	TargetLinkAddr LinkAddr   // zero: not said
	// Quote is the packet that caused the redirect, which may end anywhere. nil: none. See NDRedirectedHeaderRepr.
	Quote []byte
}

// NDMaxRedirectQuoteLen is how many octets of a packet a redirect may quote without exceeding the minimum IPv6 MTU.
const NDMaxRedirectQuoteLen = IPv6MinMTU - IPv6HeaderLen - ndRedirectLen - ndLinkAddrLen - ndOptionUnit

// Parse sets r to what p says; Quote shares p's octets. The errors are ErrTruncated, ErrMalformed, and ErrOption
// for a link-layer address of a length that none has.
func (r *NDRedirectRepr) Parse(p ICMPv6Packet) error {
	options, err := parseND(p, ICMPv6Redirect, ndRedirectLen)
	if err != nil {
		return err
	}
	target, destination := netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[24:40]))
	// "The ICMP Destination Address field in the redirect message does not contain a multicast address."
	// "The ICMP Target Address is either a link-local address (when redirected to a router) or the same as the ICMP
	// Destination Address (when redirected to the on-link destination)."
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-8.1
	if destination.IsMulticast() || !target.IsLinkLocalUnicast() && target != destination {
		return ErrMalformed
	}
	addr, err := options.linkAddr(NDOptionTargetLinkAddr)
	if err != nil {
		return err
	}
	*r = NDRedirectRepr{Target: target, Destination: destination, TargetLinkAddr: addr}
	if option, ok := options.Find(NDOptionRedirectedHeader); ok {
		var header NDRedirectedHeaderRepr
		if header.Parse(option) == nil {
			r.Quote = header.Quote
		}
	}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *NDRedirectRepr) Len() int {
	n := ndRedirectLen + ndLinkAddrOptionLen(r.TargetLinkAddr)
	if len(r.Quote) > 0 {
		header := NDRedirectedHeaderRepr{r.Quote}
		n += header.Len()
	}
	return n
}

// Emit writes the message, sent from src to dst, to the front of b. It panics if b is shorter than Len.
func (r *NDRedirectRepr) Emit(b []byte, src, dst netip.Addr) {
	b = b[:r.Len()]
	putICMPv6Header(b, ICMPv6Redirect, 0, 0)
	putAddr16(b[8:], r.Target)
	putAddr16(b[24:], r.Destination)
	rest := putNDLinkAddr(b[ndRedirectLen:], r.TargetLinkAddr, true)
	if len(r.Quote) > 0 {
		header := NDRedirectedHeaderRepr{r.Quote}
		header.Emit(rest)
	}
	ICMPv6Packet(b).FillChecksum(src, dst)
}

// String prints the message as tcpdump -v would.
func (r *NDRedirectRepr) String() string { return formatND(r.Len(), r.Emit) }

// appendNDMessage prints what a neighbor discovery message says, legal or not. p has at least a header.
func appendNDMessage(b []byte, p ICMPv6Packet) []byte {
	n := ndNeighborLen
	switch p.Type() {
	case ICMPv6RouterSolicitation:
		n = ndRouterSolicitationLen
	case ICMPv6RouterAdvertisement:
		n = ndRouterAdvertisementLen
	case ICMPv6Redirect:
		n = ndRedirectLen
	}
	if len(p) < n {
		return append(b, " [|nd]"...)
	}
	switch p.Type() {
	case ICMPv6RouterAdvertisement:
		b = fmt.Appendf(b, ", hop limit %d, Flags [%s], pref %v, router lifetime %ds, reachable time %dms, retrans timer %dms",
			p[4], ndFlagNames(p[5], "managed", "other stateful", ""), ndPreference(p[5]), binary.BigEndian.Uint16(p[6:]),
			binary.BigEndian.Uint32(p[8:]), binary.BigEndian.Uint32(p[12:]))
	case ICMPv6NeighborSolicitation:
		b = fmt.Appendf(b, ", who has %v", netip.AddrFrom16([16]byte(p[8:24])))
	case ICMPv6NeighborAdvertisement:
		b = fmt.Appendf(b, ", tgt is %v, Flags [%s]", netip.AddrFrom16([16]byte(p[8:24])),
			ndFlagNames(p[4], "router", "solicited", "override"))
	case ICMPv6Redirect:
		b = fmt.Appendf(b, ", %v to %v", netip.AddrFrom16([16]byte(p[24:40])), netip.AddrFrom16([16]byte(p[8:24])))
	}
	if len(p) > n {
		b = append(b, ", "...)
		b = appendNDOptions(b, NDOptions(p[n:]))
	}
	return b
}

// ndFlagNames lists the names of the highest bits of flags that are set, highest first.
func ndFlagNames(flags uint8, names ...string) string {
	list := ""
	for i, name := range names {
		if flags&(0x80>>i) == 0 || name == "" {
			continue
		}
		if list != "" {
			list += ", "
		}
		list += name
	}
	if list == "" {
		return "none"
	}
	return list
}
