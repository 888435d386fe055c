package core

import (
	"encoding/binary"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// inputICMPv4 processes what should be an ICMP message, and takes it.
func (l *Interface) inputICMPv4(now int64, p *packet.Packet) {
	c := &l.stack.icmp.v4
	c.InMsgs++
	b := p.Header(wire.ICMPv4HeaderLen)
	if b == nil {
		c.InErrors++
		l.drop(DropICMPMalformed, p)
		return
	}
	if !l.validICMP(p, wire.Sum{}) {
		c.InErrors++
		l.drop(DropICMPChecksum, p)
		return
	}
	kind := b[0]
	c.InType[kind]++
	switch kind {
	case wire.ICMPv4EchoRequest:
		// "An ICMP Echo Request destined to an IP broadcast or IP multicast address MAY be silently discarded."
		// Otherwise one packet would make a whole network answer.
		// https://www.rfc-editor.org/rfc/rfc1122.html#section-3.2.2.6
		if p.IP.Group {
			l.drop(DropICMPGroup, p)
			return
		}
		l.replyEcho(now, p, c, wire.ICMPv4EchoRequest, wire.ICMPv4EchoReply)
	case wire.ICMPv4EchoReply:
		l.completeReceived(p)
		if !l.stack.raw.InputEcho(p) {
			l.drop(DropICMPReply, p)
		}
	case wire.ICMPv4DestinationUnreachable, wire.ICMPv4TimeExceeded, wire.ICMPv4ParameterProblem:
		if !l.inputErrorv4(now, p) {
			c.InErrors++
			l.drop(DropICMPQuote, p)
			return
		}
		p.Release()
	case wire.ICMPv4Redirect:
		if !l.inputRedirectv4(now, p) {
			l.drop(DropRedirect, p)
			return
		}
		p.Release()
	default:
		l.drop(DropICMPType, p)
	}
}

// inputErrorv4 hands an ICMP error to the transport whose packet it quotes, and reports whether it could be such an
// error.
func (l *Interface) inputErrorv4(now int64, p *packet.Packet) bool {
	p.Own()
	message := wire.ICMPv4Packet(p.Head())
	quoted, err := wire.ParseIPv4Header(message.Payload())
	s := l.stack
	if err != nil || p.IP.Group || quoted.FragmentOffset() != 0 || !l.hasSent(p, quoted.Src()) {
		return false
	}
	e := ip.Error{
		Kind: errorKindv4(message.Type(), message.Code()),
		Src:  quoted.Src(), Dst: quoted.Dst(), Link: p.IP.Link, From: p.IP.Src, Foreign: p.IP.Foreign,
		Transport: quoted.Payload(),
	}
	if e.Kind == ip.PacketTooBig {
		e.MTU = int(message.MTU())
		if s.learnPathMTU(now, quoted.Protocol(), &e, quoted.TotalLen()) && quoted.Protocol() == ip.ProtocolICMPv4 {
			return true // there is nobody else to be told
		}
	}
	if s.raw.Endpoints() > 0 {
		l.completeReceived(p)
	}
	told := s.raw.Error(quoted.Protocol(), &e, p)
	if message.Type() == wire.ICMPv4TimeExceeded && message.Code() == wire.ICMPv4ReassemblyTimeExceeded {
		return true // something was lost: as on Linux, that is for the transport to find out by itself
	}
	return s.reportError(now, quoted.Protocol(), &e) || told
}

// errorKindv4 is what an ICMP error means for a transport, after RFC 1122 section 4.2.3.9, RFC 1812 section 5.2.7.1, and Linux.
func errorKindv4(kind, code uint8) ip.ErrorKind {
	switch kind {
	case wire.ICMPv4TimeExceeded:
		return ip.TimeExceeded
	case wire.ICMPv4ParameterProblem:
		return ip.ParameterProblem
	}
	switch code {
	case wire.ICMPv4NetUnreachable, wire.ICMPv4NetUnreachableForTOS:
		return ip.NetUnreachable
	case wire.ICMPv4NetUnknown, wire.ICMPv4NetProhibited:
		return ip.NetProhibited
	case wire.ICMPv4HostUnknown:
		return ip.HostDown
	case wire.ICMPv4ProtocolUnreachable:
		return ip.ProtocolUnreachable
	case wire.ICMPv4PortUnreachable:
		return ip.PortUnreachable
	case wire.ICMPv4FragmentationNeeded:
		return ip.PacketTooBig
	case wire.ICMPv4SourceRouteFailed:
		return ip.SourceRouteFailed
	case wire.ICMPv4SourceHostIsolated, wire.ICMPv4HostProhibited, wire.ICMPv4AdminProhibited,
		wire.ICMPv4HostPrecedenceViolation, wire.ICMPv4PrecedenceCutoff:
		return ip.HostProhibited
	}
	return ip.HostUnreachable
}

// maxQuotev4 is how much of a packet an error quotes.
//
// "[...] the ICMP datagram SHOULD contain as much of the original datagram as possible without the length of the ICMP
// datagram exceeding 576 bytes."
// https://www.rfc-editor.org/rfc/rfc1812.html#section-4.3.2.3
const maxQuotev4 = wire.IPv4MinMTU - wire.IPv4HeaderLen - wire.ICMPv4HeaderLen

// sendErrorv4 answers p with the ICMP error, whose quote it fills in, unless p must not be answered. p remains the
// caller's, and as it is. A packet to somebody else's address is not answered: the stack does not speak for others where no forwarder
// has told it what to say.
func (l *Interface) sendErrorv4(now int64, p *packet.Packet, r wire.ICMPv4ErrorRepr) {
	if !p.IP.Foreign {
		l.emitErrorv4(now, p, r)
	}
}

// emitErrorv4 is sendErrorv4, also for a packet to somebody else's address.
func (l *Interface) emitErrorv4(now int64, p *packet.Packet, r wire.ICMPv4ErrorRepr) {
	s := l.stack
	c := &s.icmp.v4
	message := packet.New(wire.ICMPv4HeaderLen + maxQuotev4)
	message.Append(wire.ICMPv4HeaderLen)
	r.Quote = s.quote(message, p, maxQuotev4)
	if !answerablev4(p, r.Quote) {
		message.Release()
		return
	}
	by, source, err := s.routeError(p, p.IP.Dst)
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
	r.Emit(message.Head())
	message.IP = errorInfo(p, source, ip.ProtocolICMPv4)
	s.sendICMP(now, c, by, message)
}

// answerablev4 reports whether an error may be sent about p, of which header is the front.
//
// "An ICMP error message MUST NOT be sent as the result of receiving: an ICMP error message, or a datagram destined
// to an IP broadcast or IP multicast address, or a datagram sent as a link-layer broadcast, or a non-initial
// fragment, or a datagram whose source address does not define a single host -- e.g., a zero address, a loopback
// address, a broadcast address, a multicast address, or a Class E address."
// https://www.rfc-editor.org/rfc/rfc1122.html#section-3.2.2
// A loopback address is well-defined inside the stack, and comes from nowhere else; the others are martians but for
// zero.
func answerablev4(p *packet.Packet, header []byte) bool {
	if p.IP.Group || p.IP.Src.IsUnspecified() || binary.BigEndian.Uint16(header[6:])&0x1fff != 0 {
		return false
	}
	if p.IP.Protocol != ip.ProtocolICMPv4 {
		return true
	}
	message := header[int(header[0]&0xf)*4:]
	return len(message) >= wire.ICMPv4HeaderLen && !wire.ICMPv4Packet(message).IsError()
}
