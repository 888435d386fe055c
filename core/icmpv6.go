package core

import (
	"net/netip"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// minICMPv6 is the length of the shortest message: RPL's have fields where others have four octets at least, and some have but two.
const minICMPv6 = 6

// inputICMPv6 processes what should be an ICMPv6 message, and takes it.
func (l *Interface) inputICMPv6(now int64, p *packet.Packet) {
	c := &l.stack.icmp.v6
	c.InMsgs++
	b := p.Header(minICMPv6)
	if b == nil || p.Len() < wire.ICMPv6HeaderLen && b[0] != wire.ICMPv6RPL {
		c.InErrors++
		l.drop(DropICMPMalformed, p)
		return
	}
	var pseudo wire.Sum
	pseudo.AddPseudoHeader(p.IP.Src, p.IP.Dst, ip.ProtocolICMPv6, p.Len())
	if !l.validICMP(p, pseudo) {
		c.InErrors++
		l.drop(DropICMPChecksum, p)
		return
	}
	kind := b[0]
	c.InType[kind]++
	switch kind {
	case wire.ICMPv6EchoRequest:
		if p.IP.Src.IsUnspecified() {
			l.drop(DropUnspecifiedIPv6, p)
			return
		}
		// "An Echo Reply SHOULD be sent in response to an Echo Request message sent to an IPv6 multicast or anycast
		// address."
		// https://www.rfc-editor.org/rfc/rfc4443.html#section-4.2
		l.replyEcho(now, p, c, wire.ICMPv6EchoRequest, wire.ICMPv6EchoReply)
	case wire.ICMPv6EchoReply:
		l.completeReceived(p)
		if !l.stack.raw.InputEcho(p) {
			l.drop(DropICMPReply, p)
		}
	case wire.ICMPv6DestinationUnreachable, wire.ICMPv6PacketTooBig, wire.ICMPv6TimeExceeded, wire.ICMPv6ParameterProblem:
		if !l.inputErrorv6(now, p) {
			c.InErrors++
			l.drop(DropICMPQuote, p)
			return
		}
		p.Release()
	case wire.ICMPv6RouterSolicitation, wire.ICMPv6RouterAdvertisement, wire.ICMPv6NeighborSolicitation,
		wire.ICMPv6NeighborAdvertisement, wire.ICMPv6Redirect:
		l.inputND(now, p, kind)
	case wire.ICMPv6MulticastQuery, wire.ICMPv6MulticastReport, wire.ICMPv6MulticastDone, wire.ICMPv6MulticastReport2:
		l.inputMLD(now, p, kind)
	case wire.ICMPv6RPL:
		l.inputRPL(now, p)
	default:
		l.drop(DropICMPType, p)
	}
}

// inputErrorv6 hands an ICMPv6 error to the transport whose packet it quotes, and reports whether it could be such an
// error.
func (l *Interface) inputErrorv6(now int64, p *packet.Packet) bool {
	p.Own()
	message := wire.ICMPv6Packet(p.Head())
	quoted, err := wire.ParseIPv6Header(message.Body())
	// Only what a router says of a packet's size concerns groups, and the transports do not lower their sizes for
	// those.
	if err != nil || p.IP.Group {
		return false
	}
	s, link := l.stack, p.IP.Link
	if !l.hasSent(p, quoted.Src()) {
		return false
	}
	walk := quoted.Extensions()
	for more := true; more; {
		_, more = walk.Next()
	}
	if walk.Err() != nil || walk.LaterFragment() {
		return false
	}
	e := ip.Error{
		Kind: errorKindv6(message.Type(), message.Code()),
		Src:  quoted.Src(), Dst: quoted.Dst(), Link: link, From: p.IP.Src, Foreign: p.IP.Foreign,
		Transport: walk.Payload(),
	}
	if e.Kind == ip.PacketTooBig {
		e.MTU = int(min(message.MTU(), maxMTU))
		length := wire.IPv6HeaderLen + quoted.PayloadLen()
		if s.learnPathMTU(now, walk.Protocol(), &e, length) && walk.Protocol() == ip.ProtocolICMPv6 {
			return true // there is nobody else to be told
		}
	}
	if s.raw.Endpoints() > 0 {
		l.completeReceived(p)
	}
	told := s.raw.Error(walk.Protocol(), &e, p)
	return s.reportError(now, walk.Protocol(), &e) || told
}

// errorKindv6 is what an ICMPv6 error means for a transport, after RFC 5461 section 2.2 and Linux.
func errorKindv6(kind, code uint8) ip.ErrorKind {
	switch kind {
	case wire.ICMPv6PacketTooBig:
		return ip.PacketTooBig
	case wire.ICMPv6TimeExceeded:
		return ip.TimeExceeded
	case wire.ICMPv6ParameterProblem:
		return ip.ParameterProblem
	}
	switch code {
	case wire.ICMPv6NoRoute:
		return ip.NetUnreachable
	case wire.ICMPv6PortUnreachable:
		return ip.PortUnreachable
	case wire.ICMPv6AdminProhibited, wire.ICMPv6SourcePolicy, wire.ICMPv6RejectRoute:
		return ip.AdminProhibited
	case wire.ICMPv6BeyondScope, wire.ICMPv6AddressUnreachable:
		return ip.HostUnreachable
	}
	return ip.ParameterProblem // a code that is not known: as on Linux
}

// sendProblemv6 answers p with a parameter problem about the octet at pointer, counted from the IPv6 header.
func (l *Interface) sendProblemv6(now int64, p *packet.Packet, code uint8, pointer int) {
	l.sendErrorv6(now, p, wire.ICMPv6ErrorRepr{Type: wire.ICMPv6ParameterProblem, Code: code, Pointer: uint32(pointer)}, false)
}

// sendErrorv6 answers p with the ICMPv6 error, whose quote it fills in, unless p must not be answered; evenGroup says
// that it may be if it came to a group, by RFC 4443 section 2.4 (e.3). p remains the caller's, and as it is.
func (l *Interface) sendErrorv6(now int64, p *packet.Packet, r wire.ICMPv6ErrorRepr, evenGroup bool) {
	if !p.IP.Foreign { // as in IPv4
		l.emitErrorv6(now, p, r, evenGroup)
	}
}

// emitErrorv6 is sendErrorv6, also for a packet to somebody else's address.
func (l *Interface) emitErrorv6(now int64, p *packet.Packet, r wire.ICMPv6ErrorRepr, evenGroup bool) {
	s := l.stack
	c := &s.icmp.v6
	message := packet.New(wire.ICMPv6HeaderLen + wire.ICMPv6MaxQuoteLen)
	message.Append(wire.ICMPv6HeaderLen)
	r.Quote = s.quote(message, p, wire.ICMPv6MaxQuoteLen)
	if p.IP.Group && !evenGroup || !answerablev6(p, r.Quote) {
		message.Release()
		return
	}
	// "If the message is a response to a message sent to one of the node's unicast addresses, the Source Address of
	// the reply MUST be that same address."
	// https://www.rfc-editor.org/rfc/rfc4443.html#section-2.2
	source := p.IP.Dst
	if source.IsMulticast() {
		source = netip.Addr{}
	}
	by, source, err := s.routeError(p, source)
	if err != nil {
		c.OutErrors++
		message.Release()
		return
	}
	if !s.icmp.errors.allow(now) {
		c.OutErrors++
		c.OutRateLimited++
		message.Release()
		return
	}
	message.IP = errorInfo(p, source, ip.ProtocolICMPv6)
	r.Emit(message.Head(), source, p.IP.Src)
	s.sendICMP(now, c, by, message)
}

// answerablev6 reports whether an error may be sent about p, of which quote is the front, as far as that does not
// depend on what it was sent to.
//
// "An ICMPv6 error message MUST NOT be originated as a result of receiving the following: (e.1) An ICMPv6 error
// message. (e.2) An ICMPv6 redirect message. [...] (e.6) A packet whose source address does not uniquely identify a
// single node"
// https://www.rfc-editor.org/rfc/rfc4443.html#section-2.4
func answerablev6(p *packet.Packet, quote []byte) bool {
	if p.IP.Src.IsUnspecified() {
		return false
	}
	header, err := wire.ParseIPv6Header(quote)
	if err != nil {
		return false
	}
	walk := header.Extensions()
	fragment := false
	for extension, more := walk.Next(); more; extension, more = walk.Next() {
		if extension.Type == wire.IPv6Fragment {
			f := wire.IPv6FragmentPacket(extension.Octets)
			fragment = f.More() || f.Offset() != 0
		}
	}
	if walk.Err() != nil || walk.LaterFragment() {
		// What the packet is cannot be seen, and so it may be an error. But errors are no longer than the least MTU and so
		// do not come in fragments; and RFC 8200, section 4.5, wants answers about those.
		return fragment
	}
	if walk.Protocol() != ip.ProtocolICMPv6 {
		return true
	}
	message := wire.ICMPv6Packet(walk.Payload())
	return len(message) > 0 && !message.IsError() && message.Type() != wire.ICMPv6Redirect
}
