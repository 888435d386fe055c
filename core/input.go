package core

import (
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// Input processes a batch of packets that link's device received: frames, or IP packets if that is the device's
// medium. It takes the packets and clears the slice. Due timers fire first. Its work is bounded by the batch.
func (s *Stack) Input(now time.Time, link *Interface, pkts []*packet.Packet) {
	t := s.enter(now)
	for i, p := range pkts {
		pkts[i] = nil
		if link.removed {
			s.rest.drop(DropInterfaceRemoved, nil)
			p.Release()
			continue
		}
		link.counters.Link.InFrames++
		link.counters.Link.InOctets += uint64(p.Len())
		p.IP = packet.IPInfo{Link: link.index}
		switch link.medium {
		case dev.Ethernet:
			link.inputFrame(t, p)
		case dev.IEEE802154:
			link.radio.input(t, p)
		default:
			link.inputIP(t, p)
		}
	}
}

// inputFrame processes an Ethernet frame.
func (l *Interface) inputFrame(now int64, p *packet.Packet) {
	b := p.Header(wire.EthernetHeaderLen)
	if b == nil {
		l.drop(DropFrameTruncated, p)
		return
	}
	frame := wire.EthernetFrame(b)
	tapped := l.tapped && l.stack.raw.InputFrame(p, frame.EtherType())
	dst := frame.Dst()
	switch {
	case dst == l.hardware:
	case dst.IsMulticast(): // broadcast included
		p.IP.Group = true
	default:
		l.drop(DropOtherHost, p)
		return
	}
	if frame.Src().IsMulticast() {
		l.drop(DropFrameSource, p)
		return
	}
	switch frame.EtherType() {
	case wire.EtherTypeIPv4:
		p.TrimFront(wire.EthernetHeaderLen)
		l.inputIPv4(now, p)
	case wire.EtherTypeIPv6:
		p.TrimFront(wire.EthernetHeaderLen)
		l.inputIPv6(now, p)
	case wire.EtherTypeARP:
		p.TrimFront(wire.EthernetHeaderLen)
		l.inputARP(now, p)
	case wire.EtherTypeVLAN, wire.EtherTypeQinQ:
		l.unknownFrame(DropVLAN, p, tapped)
	default:
		if frame.Is8023() {
			l.unknownFrame(DropIEEE8023, p, tapped)
		} else {
			l.unknownFrame(DropEtherType, p, tapped)
		}
	}
}

// unknownFrame ends a frame that the stack has no use for. One that a raw endpoint has got is not lost.
func (l *Interface) unknownFrame(cause DropCause, p *packet.Packet, tapped bool) {
	if tapped {
		p.Release()
		return
	}
	l.drop(cause, p)
}

// inputIP processes a packet of a medium that carries nothing but IP.
func (l *Interface) inputIP(now int64, p *packet.Packet) {
	b := p.Header(1)
	switch {
	case b == nil:
		l.drop(DropFrameTruncated, p)
	case b[0]>>4 == 4:
		l.inputIPv4(now, p)
	case b[0]>>4 == 6:
		l.inputIPv6(now, p)
	default:
		l.drop(DropVersion, p)
	}
}

// deliver hands a packet, now without its network headers, to the protocol that it carries. pointer is where the header
// before the payload names that protocol, counted from the IP header, for the parameter problem of IPv6.
func (l *Interface) deliver(now int64, p *packet.Packet, pointer int) {
	s := l.stack
	v6 := p.IP.Dst.Is6()
	if p.IP.Foreign && !l.intercepts(p) {
		l.drop(DropNotOurs, p)
		return
	}
	copied := s.raw.ReceivesIP() && l.inputRaw(p, v6)
	switch p.IP.Protocol {
	case ip.ProtocolTCP:
		l.delivered(p, v6)
		s.tcp.Input(now, l.arrival(v6), p)
	case ip.ProtocolUDP:
		l.delivered(p, v6)
		if (l.dhcpv4 != nil || l.dhcpv4Server != nil) && l.inputDHCPv4(now, p) {
			return
		}
		if l.dhcpv6 != nil && l.inputDHCPv6(now, p) {
			return
		}
		s.udp.Input(now, l.arrival(v6), p)
	case ip.ProtocolICMPv4:
		if v6 {
			l.unknownProtocol(now, p, pointer, copied)
			return
		}
		l.delivered(p, v6)
		l.inputICMPv4(now, p)
	case ip.ProtocolIGMP:
		if v6 {
			l.refuseProtocol(now, p, pointer)
			return
		}
		l.delivered(p, v6)
		l.inputIGMP(now, p)
	case ip.ProtocolICMPv6:
		if !v6 {
			l.unknownProtocol(now, p, pointer, copied)
			return
		}
		l.delivered(p, v6)
		l.inputICMPv6(now, p)
	case ip.ProtocolIPv6:
		if l.rpl == nil || !v6 {
			l.unknownProtocol(now, p, pointer, copied)
			return
		}
		l.delivered(p, v6)
		l.rpl.inputTunnelled(now, p)
	default:
		l.unknownProtocol(now, p, pointer, copied)
	}
}

// unknownProtocol ends a packet whose payload is of a protocol that the stack does not speak: a raw endpoint may.
func (l *Interface) unknownProtocol(now int64, p *packet.Packet, pointer int, copied bool) {
	if !copied {
		l.refuseProtocol(now, p, pointer)
		return
	}
	l.delivered(p, p.IP.Dst.Is6())
	p.Release()
}

func (l *Interface) delivered(p *packet.Packet, v6 bool) {
	l.counters.ip(v6).InDelivers++
	if l.stack.log.trace {
		l.stack.log.passed(l, "packet received", p)
	}
}

// refuseProtocol answers a packet whose payload is of a protocol that the stack does not speak.
func (l *Interface) refuseProtocol(now int64, p *packet.Packet, pointer int) {
	if p.IP.Dst.Is4() {
		// "A host SHOULD generate Destination Unreachable messages with code: 2 (Protocol Unreachable), when the
		// designated transport protocol is not supported"
		// https://www.rfc-editor.org/rfc/rfc1122.html#section-3.2.2.1
		l.sendErrorv4(now, p, wire.ICMPv4ErrorRepr{
			Type: wire.ICMPv4DestinationUnreachable, Code: wire.ICMPv4ProtocolUnreachable})
	} else {
		// "If [...] the Next Header value in the current header is unrecognized by the node, it should discard the
		// packet and send an ICMP Parameter Problem message to the source of the packet, with an ICMP Code value of
		// 1"
		// https://www.rfc-editor.org/rfc/rfc8200.html#section-4
		l.sendProblemv6(now, p, wire.ICMPv6UnrecognizedNextHeader, pointer)
	}
	l.drop(DropUnknownProtocol, p)
}

// drop ends a packet on its way in or out, for the cause, and counts it. What an IPv4 or IPv6 packet is dropped for
// before its IP field is filled in goes through dropv4 and dropv6.
func (l *Interface) drop(cause DropCause, p *packet.Packet) {
	switch {
	case !p.IP.Dst.IsValid():
		l.discard(cause, nil, p)
	case p.IP.Dst.Is6():
		l.dropv6(cause, p)
	default:
		l.dropv4(cause, p)
	}
}

func (l *Interface) dropv4(cause DropCause, p *packet.Packet) { l.discard(cause, &l.counters.IPv4, p) }
func (l *Interface) dropv6(cause DropCause, p *packet.Packet) { l.discard(cause, &l.counters.IPv6, p) }

func (l *Interface) discard(cause DropCause, version *IPCounters, p *packet.Packet) {
	l.counters.drop(cause, version)
	if l.stack.log.debug {
		l.stack.log.dropped(l, cause, p)
	}
	p.Release()
}
