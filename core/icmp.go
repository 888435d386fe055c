package core

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// icmp is what both versions of ICMP share, and what they count.
type icmp struct {
	v4, v6    ICMPCounters
	errors    rateLimit
	redirects rateLimit // a tenth of errors', so that hosts that do not heed them do not use those up
}

func newICMP(limits *Limits) icmp {
	return icmp{
		errors:    newRateLimit(limits.ICMPErrorRate, limits.ICMPErrorBurst),
		redirects: newRateLimit(max(limits.ICMPErrorRate/10, 1), max(limits.ICMPErrorBurst/10, 1)),
	}
}

// rateLimit is a token bucket, kept as the time at which it will be full: each token taken puts that off by the time
// that one needs to grow.
//
// "Rate-limiting MUST be done [...] a recommended method for implementing the rate-limiting function is a token bucket"
// https://www.rfc-editor.org/rfc/rfc4443.html#section-2.4
type rateLimit struct {
	interval int64 // between tokens, in nanoseconds
	burst    int64 // what a full bucket stands for, in nanoseconds
	full     int64 // when the bucket will be full
}

func newRateLimit(rate, burst int) rateLimit {
	interval := int64(time.Second) / int64(rate)
	return rateLimit{interval: interval, burst: interval * int64(burst)}
}

// allow takes a token, and reports whether there was one.
func (r *rateLimit) allow(now int64) bool {
	full := max(r.full, now) + r.interval
	if full-now > r.burst {
		return false
	}
	r.full = full
	return true
}

// validICMP reports whether the message that is all of p has the right checksum, or need not be looked at. pseudo is
// the sum of the pseudo-header if the protocol has one.
func (l *Interface) validICMP(p *packet.Packet, pseudo wire.Sum) bool {
	if !p.Unverified(l.verifies(p.IP.Protocol)) {
		return true
	}
	addFrom(&pseudo, p, 0)
	return pseudo.Checksum() == 0
}

// replyEcho turns p, an echo request, into the reply, and sends it from the address that the request was for, or if
// that was a group's, from one of the stack's own.
func (l *Interface) replyEcho(now int64, p *packet.Packet, c *ICMPCounters, request, reply uint8) {
	s := l.stack
	if s.config.NoEchoReply {
		l.drop(DropICMPEcho, p)
		return
	}
	src, dst := p.IP.Dst, p.IP.Src
	if p.IP.Group {
		src = netip.Addr{}
	}
	by, source, err := s.Route(replyLink(p, dst), src, dst)
	if err != nil {
		c.OutErrors++
		l.drop(DropNoRoute, p)
		return
	}
	b := p.Header(wire.ICMPv4HeaderLen)
	checksum := wire.UpdateChecksum(binary.BigEndian.Uint16(b[2:]), uint16(request)<<8, uint16(reply)<<8)
	if source != p.IP.Dst && p.IP.Dst.Is6() {
		checksum = updateAddress(checksum, p.IP.Dst, source)
	}
	b[0] = reply
	binary.BigEndian.PutUint16(b[2:], checksum)
	p.Checksum, p.SegmentSize = packet.ChecksumFull, 0
	p.IP = packet.IPInfo{Src: source, Dst: dst, Link: replyLink(p, dst), Protocol: p.IP.Protocol, TrafficClass: p.IP.TrafficClass}
	s.sendICMP(now, c, by, p)
}

// updateAddress is the checksum after one address in the pseudo-header has taken the place of another.
func updateAddress(checksum uint16, from, to netip.Addr) uint16 {
	a, b := from.As16(), to.As16()
	for i := 0; i < len(a); i += 2 {
		checksum = wire.UpdateChecksum(checksum, binary.BigEndian.Uint16(a[i:]), binary.BigEndian.Uint16(b[i:]))
	}
	return checksum
}

// replyLink is the link that an answer to p, at the address dst, must leave by; 0 if the address alone says where it
// is.
func replyLink(p *packet.Packet, dst netip.Addr) int32 {
	if dst.IsLinkLocalUnicast() {
		return p.IP.Link
	}
	return 0
}

// sendICMP sends p, a whole ICMP message with its checksum.
func (s *Stack) sendICMP(now int64, c *ICMPCounters, by ip.Path, p *packet.Packet) {
	b := p.Header(wire.ICMPv4HeaderLen)
	c.OutMsgs++
	c.OutType[b[0]]++
	if by.FillsChecksum(p.IP.Protocol) {
		b[2], b[3] = 0, 0
	}
	s.Send(now, by, p)
}

// quote appends to message as much of p, from its IP header on, as there is and limit allows, and returns it. p, of
// which the network layer has stripped its headers perhaps, remains as it is.
func (s *Stack) quote(message, p *packet.Packet, limit int) []byte {
	p.Prepend(s.networkLen)
	b := message.Append(min(limit, p.Len()))
	p.CopyTo(b, 0)
	p.TrimFront(s.networkLen)
	return b
}

// portUnreachable answers a datagram that UDP has no endpoint for. It takes p, which begins with the UDP header.
func (s *Stack) portUnreachable(now int64, p *packet.Packet) {
	if !p.IP.Foreign { // see sendErrorv4
		s.emitPortUnreachable(now, p)
	}
	p.Release()
}

// reject answers a flow that the user of a forwarder does not want. It takes p, a datagram as one of the flow, but without
// network headers.
func (s *Stack) reject(now int64, p *packet.Packet) {
	s.restore(p)
	s.emitPortUnreachable(now, p)
	p.Release()
}

func (s *Stack) emitPortUnreachable(now int64, p *packet.Packet) {
	l := s.Interface(p.IP.Link)
	if l == nil {
		return
	}
	if p.IP.Dst.Is4() {
		l.emitErrorv4(now, p, wire.ICMPv4ErrorRepr{
			Type: wire.ICMPv4DestinationUnreachable, Code: wire.ICMPv4PortUnreachable})
	} else {
		l.emitErrorv6(now, p, wire.ICMPv6ErrorRepr{
			Type: wire.ICMPv6DestinationUnreachable, Code: wire.ICMPv6PortUnreachable}, false)
	}
}

// restore puts before p an IP header as it may have had, and strips it again, so that it can be quoted.
func (s *Stack) restore(p *packet.Packet) {
	info, length := &p.IP, p.Len()
	if info.Dst.Is4() {
		header := wire.IPv4Repr{Src: info.Src, Dst: info.Dst, Protocol: info.Protocol, TTL: info.HopLimit, PayloadLen: length}
		header.Emit(p.Prepend(header.Len()))
		s.strip(p, header.Len())
		return
	}
	header := wire.IPv6Repr{Src: info.Src, Dst: info.Dst, NextHeader: info.Protocol, HopLimit: info.HopLimit, PayloadLen: length}
	header.Emit(p.Prepend(header.Len()))
	s.strip(p, header.Len())
}

// routeError finds the path of an ICMP error about p, and the source address, which is the one given if that is valid.
func (s *Stack) routeError(p *packet.Packet, source netip.Addr) (ip.Path, netip.Addr, error) {
	if p.IP.Forwarded {
		// "[...] the IP source address in an ICMP message originated by the router MUST be one of the IP addresses
		// associated with the physical interface over which the ICMP message is transmitted."
		// https://www.rfc-editor.org/rfc/rfc1812.html#section-4.3.2.4
		source = netip.Addr{}
	}
	if p.IP.Foreign {
		by, err := s.RouteBack(p.IP.Link, p.IP.Src)
		return by, source, err
	}
	return s.Route(replyLink(p, p.IP.Src), source, p.IP.Src)
}

// errorInfo is where an ICMP error about p goes.
func errorInfo(p *packet.Packet, source netip.Addr, protocol uint8) packet.IPInfo {
	info := packet.IPInfo{Src: source, Dst: p.IP.Src, Link: replyLink(p, p.IP.Src), Protocol: protocol, Foreign: p.IP.Foreign}
	if p.IP.Foreign {
		info.Link = p.IP.Link
	}
	return info
}
