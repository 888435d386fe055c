package core

import (
	"encoding/binary"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/raw"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// Raw is the stack's raw endpoints: those for IP packets, for ICMP messages and for frames.
func (s *Stack) Raw() *raw.Host { return s.raw }

// inputRaw gives copies of p, a packet now without its network headers, to the raw endpoints that it concerns, and reports whether
// there are such.
func (l *Interface) inputRaw(p *packet.Packet, v6 bool) bool {
	s := l.stack
	if p.IP.Foreign || !s.raw.Wants(v6, p.IP.Protocol) {
		return false
	}
	l.completeReceived(p)
	p.Prepend(s.networkLen)
	if !v6 && l.verifiesIPv4 {
		if b := wire.IPv4Packet(p.Header(s.networkLen)); b[10] == 0 && b[11] == 0 {
			b.FillChecksum()
		}
	}
	taken := s.raw.Input(p, s.networkLen)
	p.TrimFront(s.networkLen)
	return taken
}

// completeReceived fills in the checksum that nobody has computed because p, which begins with its transport header, never left
// memory: what a raw endpoint gets to see is what would have been on a wire.
func (l *Interface) completeReceived(p *packet.Packet) {
	switch protocol := p.IP.Protocol; {
	case p.Checksum == packet.ChecksumPartial:
		completeChecksum(p)
		p.Checksum = packet.ChecksumVerified
	case l.verifies(protocol) && (protocol == ip.ProtocolICMPv4 || protocol == ip.ProtocolICMPv6):
		b := p.Header(wire.ICMPv4HeaderLen)
		if b == nil || b[2] != 0 || b[3] != 0 {
			return
		}
		var sum wire.Sum
		if protocol == ip.ProtocolICMPv6 {
			sum.AddPseudoHeader(p.IP.Src, p.IP.Dst, protocol, p.Len())
		}
		addFrom(&sum, p, 0)
		binary.BigEndian.PutUint16(b[2:], sum.Checksum())
	}
}

// Tap has endpoints be handed the frames that arrive by the interface of the given index, or ends that. It is a method of raw.Links.
func (s *Stack) Tap(link int32, on bool) (ip.Path, error) {
	l := s.Interface(link)
	switch {
	case l == nil:
		return nil, ip.ErrNoDevice
	case l.medium != dev.Ethernet:
		return nil, ip.ErrNotSupported
	}
	l.tapped = on
	return &l.arrivalv4, nil
}

// emitWhole is emit for a packet that brings the header itself: that of IP, or as a frame that of the link.
func (by *path) emitWhole(now int64, p *packet.Packet) *packet.Packet {
	l := by.link
	switch v6 := p.IP.Dst.Is6(); {
	case l.removed:
		l.drop(DropInterfaceRemoved, p)
		return nil
	case !p.IP.Dst.IsValid():
		return p
	default:
		l.counters.ip(v6).OutRequests++
		if !v6 {
			header := wire.IPv4Packet(p.Header(int(p.Head()[0]&0xf) * 4))
			header[10], header[11] = 0, 0
			if !l.fillsIPv4 {
				header.FillChecksum()
			}
		}
		return by.transmit(now, p)
	}
}

// headerLen is how many octets of IP header p, which the stack sends, begins with.
func headerLen(p *packet.Packet) int {
	switch {
	case p.IP.Dst.Is6():
		return wire.IPv6HeaderLen // what the stack sends has no extension headers
	case p.IP.Whole:
		return int(p.Head()[0]&0xf) * 4
	}
	return wire.IPv4HeaderLen
}
