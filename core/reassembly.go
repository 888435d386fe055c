package core

import (
	"net/netip"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/reassembly"
	"github.com/smolnet/smolnet/core/wire"
)

// reassemblyConfig is the configuration of the stack's table of fragments.
func (s *Stack) reassemblyConfig() reassembly.Config {
	c := s.config.Reassembly
	c.Timers, c.Owner = &s.timers, reassembler{s}
	c.MaxOctets = s.limits.Reassembly
	c.MaxDatagrams = s.limits.ReassemblyDatagrams
	c.MaxFragments = s.limits.ReassemblyFragments
	return c
}

// fragmentCauses are why packets are dropped that the table refuses or gives up.
var fragmentCauses = [reassembly.Causes]DropCause{
	reassembly.Empty:            DropFragmentLength,
	reassembly.Unaligned:        DropFragmentLength,
	reassembly.TooLong:          DropFragmentLength,
	reassembly.Duplicate:        DropFragmentDuplicate,
	reassembly.Overlap:          DropFragmentOverlap,
	reassembly.TooMany:          DropFragmentCount,
	reassembly.ContradictoryECN: DropFragmentECN,
	reassembly.Evicted:          DropFragmentEvicted,
	reassembly.TimedOut:         DropFragmentTimeout,
	reassembly.Closed:           DropInterfaceRemoved,
}

// inputFragmentv4 takes p, a fragment that begins with its IPv4 header, and returns the packet that it was the last missing part
// of, if it was: likewise with a header.
func (l *Interface) inputFragmentv4(now int64, p *packet.Packet, headerLen int) *packet.Packet {
	c := &l.counters.IPv4
	c.ReasmReqds++
	h := wire.IPv4Packet(p.Head())
	offset := h.FragmentOffset()
	if tinyv4(p.IP.Protocol, offset, p.Len()-headerLen) {
		c.ReasmFails++
		l.drop(DropFragmentTiny, p)
		return nil
	}
	f := reassembly.Fragment{
		Key: reassembly.Key{
			Src: p.IP.Src, Dst: p.IP.Dst, ID: uint32(h.ID()), Protocol: p.IP.Protocol, Link: fragmentLink(p),
		},
		Offset: offset, More: h.MoreFragments(), HeaderLen: headerLen,
	}
	whole, cause := l.stack.fragments.Add(now, &f, p)
	if cause != reassembly.None {
		l.refuseFragment(c, cause, p)
	}
	if whole == nil {
		return nil
	}
	c.ReasmOKs++
	h = wire.IPv4Packet(whole.Head())
	h[1] = whole.IP.TrafficClass
	h.SetTotalLen(len(h))
	h.SetFragment(0, false)
	h.FillChecksum()
	return whole
}

// tinyv4 reports whether a fragment is one of those that hide a transport's header from filters, by ending within it or by
// coming as its second half.
//
// https://www.rfc-editor.org/rfc/rfc1858.html#section-3
// https://www.rfc-editor.org/rfc/rfc3128.html#section-2
// No link has an MTU so small that an honest sender would have to do that.
func tinyv4(protocol uint8, offset, length int) bool {
	switch offset {
	case 0:
		return length > 0 && length < transportLen(protocol)
	case 8:
		return protocol == ip.ProtocolTCP
	}
	return false
}

// transportLen is the least that a header of the protocol has, in octets.
func transportLen(protocol uint8) int {
	switch protocol {
	case ip.ProtocolTCP:
		return wire.TCPHeaderLen
	case ip.ProtocolUDP:
		return wire.UDPHeaderLen
	case ip.ProtocolICMPv4, ip.ProtocolICMPv6:
		return wire.ICMPv6HeaderLen
	}
	return 1
}

// inputFragmentv6 processes the fragment header of p, which begins with its IPv6 header. It reports true for an atomic fragment,
// which is a whole packet. Any other it takes, and processes the packet that it was the last missing part of, if it was.
func (l *Interface) inputFragmentv6(now int64, p *packet.Packet, header wire.IPv6Extension) bool {
	fragment := wire.IPv6FragmentPacket(header.Octets)
	at := wire.IPv6HeaderLen + header.Offset
	nested := l.stack.fragmented
	l.stack.fragmented = true
	c := &l.counters.IPv6
	if nested {
		// "IPv6 nodes must accept and attempt to process extension headers in any order and occurring any number of times
		// in the same packet [...]"
		// https://www.rfc-editor.org/rfc/rfc8200.html#section-4.1
		// But nobody sends fragments of fragments, and so that nobody can nest them without end, they are refused, as on
		// Linux.
		l.sendProblemv6(now, p, wire.ICMPv6ErroneousHeader, at)
		l.drop(DropFragmentNested, p)
		return false
	}
	offset, more := fragment.Offset(), fragment.More()
	if offset == 0 && !more {
		// "A host that receives an IPv6 packet that includes a Fragment Header with the "Fragment Offset" equal to 0 and
		// the "M" flag equal to 0 MUST process that packet in isolation from any other packets/fragments"
		// https://www.rfc-editor.org/rfc/rfc6946.html#section-4
		return true
	}
	c.ReasmReqds++
	payload := p.Head()[at+wire.IPv6FragmentLen:]
	if offset == 0 && len(payload) > 0 && !wholeChain(fragment.NextHeader(), payload) {
		// "If the first fragment does not include all headers through an Upper-Layer header, then that fragment should be
		// discarded and an ICMP Parameter Problem, Code 3, message should be sent to the source of the fragment, with the
		// Pointer field set to zero."
		// https://www.rfc-editor.org/rfc/rfc8200.html#section-4.5
		c.ReasmFails++
		l.sendProblemv6(now, p, wire.ICMPv6IncompleteHeaderChain, 0)
		l.drop(DropFragmentTiny, p)
		return false
	}
	f := reassembly.Fragment{
		Key:    reassembly.Key{Src: p.IP.Src, Dst: p.IP.Dst, ID: fragment.ID(), Link: fragmentLink(p)},
		Offset: offset, More: more, HeaderLen: at + wire.IPv6FragmentLen,
	}
	whole, cause := l.stack.fragments.Add(now, &f, p)
	switch cause {
	case reassembly.None:
	case reassembly.Unaligned:
		// "If the length of a fragment, as derived from the fragment packet's Payload Length field, is not a multiple of 8
		// octets and the M flag of that fragment is 1, then that fragment must be discarded and an ICMP Parameter Problem,
		// Code 0, message should be sent to the source of the fragment, pointing to the Payload Length field of the
		// fragment packet."
		// https://www.rfc-editor.org/rfc/rfc8200.html#section-4.5
		l.sendProblemv6(now, p, wire.ICMPv6ErroneousHeader, 4)
		l.refuseFragment(c, cause, p)
	case reassembly.TooLong:
		// "If the length and offset of a fragment are such that the Payload Length of the packet reassembled from that
		// fragment would exceed 65,535 octets, then that fragment must be discarded and an ICMP Parameter Problem, Code 0,
		// message should be sent to the source of the fragment, pointing to the Fragment Offset field of the fragment
		// packet."
		// https://www.rfc-editor.org/rfc/rfc8200.html#section-4.5
		l.sendProblemv6(now, p, wire.ICMPv6ErroneousHeader, at+2)
		l.refuseFragment(c, cause, p)
	default:
		l.refuseFragment(c, cause, p)
	}
	if whole != nil {
		c.ReasmOKs++
		removeFragmentHeader(whole)
		l.inputPayloadv6(now, whole)
	}
	return false
}

// wholeChain reports whether the first fragment of a packet has all headers through the upper layer's.
func wholeChain(nextHeader uint8, payload []byte) bool {
	walk := wire.WalkIPv6(nextHeader, payload)
	for more := true; more; {
		_, more = walk.Next()
	}
	switch {
	case walk.Err() != nil:
		return walk.Err() == wire.ErrMalformed // too many: for the whole packet to be dropped
	case walk.Protocol() == wire.IPv6NoNextHeader:
		return true
	}
	return len(walk.Payload()) >= transportLen(walk.Protocol())
}

// removeFragmentHeader makes p, which has the headers of its first fragment, the packet that it was before it was fragmented:
//
// "The Next Header field of the last header of the Per-Fragment headers is obtained from the Next Header field of the first
// fragment's Fragment header."
// https://www.rfc-editor.org/rfc/rfc8200.html#section-4.5
func removeFragmentHeader(p *packet.Packet) {
	h := wire.IPv6Packet(p.Head())
	walk := h.Extensions()
	for {
		pointer := walk.Pointer()
		header, ok := walk.Next()
		if !ok {
			return // there is one: it was found in the first fragment
		}
		if header.Type == wire.IPv6Fragment {
			h[pointer] = header.Octets[0]
			copy(h[wire.IPv6FragmentLen:], h[:wire.IPv6HeaderLen+header.Offset])
			break
		}
	}
	p.TrimFront(wire.IPv6FragmentLen)
	h = wire.IPv6Packet(p.Head())
	h.SetPayloadLen(len(h) - wire.IPv6HeaderLen)
	h.SetTrafficClass(p.IP.TrafficClass)
	p.IP.Protocol = h.NextHeader()
}

// fragmentLink is the interface that fragments of one packet must all come by, because what their addresses say depends on it;
// 0 if they say the same everywhere.
func fragmentLink(p *packet.Packet) int32 {
	if p.IP.Group || p.IP.Foreign || scoped(p.IP.Src) || scoped(p.IP.Dst) {
		return p.IP.Link
	}
	return 0
}

// scoped reports whether an address may mean another host, or other hosts, on another link.
func scoped(addr netip.Addr) bool {
	return addr.IsLinkLocalUnicast() || addr.IsMulticast() || addr.IsUnspecified()
}

// refuseFragment drops a fragment that the table has not taken.
func (l *Interface) refuseFragment(c *IPCounters, cause reassembly.Cause, p *packet.Packet) {
	switch cause {
	case reassembly.Empty, reassembly.Unaligned, reassembly.TooLong:
		c.ReasmFails++ // any other is of a packet that is counted as a whole
	}
	l.drop(fragmentCauses[cause], p)
}

// reassembler is a stack as its table of fragments sees it: it implements reassembly.Owner.
type reassembler struct{ *Stack }

// Abandon drops the fragments of a packet, and tells their sender if time is what was short.
func (s reassembler) Abandon(now int64, cause reassembly.Cause, fragments *packet.Packet, headerLen int) {
	c, v6 := &s.rest, fragments.IP.Dst.Is6()
	l := s.Interface(fragments.IP.Link)
	if l != nil {
		c = &l.counters
	}
	c.ip(v6).ReasmFails++
	if cause == reassembly.TimedOut && headerLen > 0 && l != nil {
		s.networkLen = headerLen
		l.sendReassemblyTimeout(now, fragments)
		s.networkLen = 0
	}
	for p := fragments; p != nil; {
		next := p.Next
		p.Next = nil
		s.dropFragment(fragmentCauses[cause], p)
		p = next
	}
}

// dropFragment drops a fragment, whose interface may be gone.
func (s reassembler) dropFragment(cause DropCause, p *packet.Packet) {
	if l := s.Interface(p.IP.Link); l != nil {
		l.drop(cause, p)
		return
	}
	s.rest.drop(cause, s.rest.ip(p.IP.Dst.Is6()))
	p.Release()
}

// sendReassemblyTimeout tells the sender of a packet, of which p was the first fragment, that the others did not come.
//
// "If this timeout expires, the partially-reassembled datagram MUST be discarded and an ICMP Time Exceeded message sent to the
// source host (if fragment zero has been received)."
// https://www.rfc-editor.org/rfc/rfc1122.html#section-3.3.2
// "If the first fragment (i.e., the one with a Fragment Offset of zero) has been received, an ICMP Time Exceeded -- Fragment
// Reassembly Time Exceeded message should be sent to the source of that fragment."
// https://www.rfc-editor.org/rfc/rfc8200.html#section-4.5
func (l *Interface) sendReassemblyTimeout(now int64, p *packet.Packet) {
	if p.IP.Dst.Is4() {
		l.sendErrorv4(now, p, wire.ICMPv4ErrorRepr{Type: wire.ICMPv4TimeExceeded, Code: wire.ICMPv4ReassemblyTimeExceeded})
	} else {
		l.sendErrorv6(now, p, wire.ICMPv6ErrorRepr{Type: wire.ICMPv6TimeExceeded, Code: wire.ICMPv6ReassemblyTimedOut}, false)
	}
}
