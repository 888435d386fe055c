package fault

import (
	"encoding/binary"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// finisher makes real frames of packets: what a stack leaves to a device, or a device has spared itself, it does.
type finisher struct {
	medium dev.Medium

	// zero are the checksums that a field of zero leaves to be filled in.
	zero dev.Checksums
}

// finishes reports whether even a frame that passes untouched has to be finished, since checksums are missing from it of
// which the packet does not say so itself.
func (f *finisher) finishes() bool {
	return f.zero.IPv4 != 0 || f.zero.ICMPv4 != 0 || f.zero.ICMPv6 != 0
}

// frames returns the frames that p stands for, linked through Next, with all octets their own and all checksums
// complete. It takes p.
func (f *finisher) frames(p *packet.Packet) *packet.Packet {
	p.Own()
	b := p.Head()
	l := layoutOf(b, f.medium)
	if p.SegmentSize != 0 {
		if segment := l.tcp(b); segment != nil && len(segment.Payload()) > int(p.SegmentSize) {
			return split(p, &l, len(segment)-len(segment.Payload()))
		}
		p.SegmentSize = 0
	}
	switch p.Checksum {
	case packet.ChecksumPartial:
		completePartial(p)
	case packet.ChecksumVerified:
		// Who has verified the checksum may have left it as it was or not.
		fillTransport(b, &l)
	}
	p.Checksum = packet.ChecksumFull
	f.fillZero(b, &l)
	return p
}

// untouched does to a frame that passes as it is what finishes is about.
func (f *finisher) untouched(p *packet.Packet) {
	p.Own()
	l := layoutOf(p.Head(), f.medium)
	f.fillZero(p.Head(), &l)
}

// fillZero fills in the checksums that are the device's to fill in and that no state of the packet tells of: those of
// the IP header and of ICMP. A checksum that is zero by right stays as it is.
func (f *finisher) fillZero(b []byte, l *layout) {
	if h := b[l.network:]; l.version == 4 && f.zero.IPv4 != 0 && wire.IPv4Packet(h).Checksum() == 0 {
		wire.IPv4Packet(h[:l.end-l.network]).FillChecksum()
	}
	if l.transport == 0 {
		return
	}
	icmp := l.version == 4 && l.protocol == protocolICMPv4 && f.zero.ICMPv4 != 0 ||
		l.version == 6 && l.protocol == protocolICMPv6 && f.zero.ICMPv6 != 0
	if icmp && l.end-l.transport >= 4 && binary.BigEndian.Uint16(b[l.transport+2:]) == 0 {
		fillTransport(b, l)
	}
}

// fillTransport computes the checksum of the transport protocol from nothing. A UDP datagram that has none stays so.
func fillTransport(b []byte, l *layout) {
	if l.transport == 0 {
		return
	}
	switch body := b[l.transport:l.end]; l.protocol {
	case protocolTCP:
		if segment, err := wire.ParseTCP(body); err == nil {
			segment.FillChecksum(l.src, l.dst)
		}
	case protocolUDP:
		if datagram, err := wire.ParseUDP(body); err == nil && datagram.Checksum() != 0 {
			datagram.FillChecksum(l.src, l.dst)
		}
	case protocolICMPv4:
		if message, err := wire.ParseICMPv4(body); err == nil {
			message.FillChecksum()
		}
	case protocolICMPv6:
		if message, err := wire.ParseICMPv6(body); err == nil {
			message.FillChecksum(l.src, l.dst)
		}
	}
}

// completePartial completes a partial checksum, wherever it is. One outside of the packet is left alone.
func completePartial(p *packet.Packet) {
	b := p.Head()
	offset, field := p.PartialChecksum()
	if offset < 0 || field < 0 || offset+field+2 > len(b) {
		return
	}
	var sum wire.Sum
	sum.Add(b[offset:])
	checksum := sum.Checksum()
	if field == wire.UDPChecksumField {
		checksum = wire.UDPChecksum(sum)
	}
	binary.BigEndian.PutUint16(b[offset+field:], checksum)
}

// split returns the segments that p, a super-segment laid out as l says with a TCP header of so many octets, stands
// for, as a network card makes them. It takes p.
func split(p *packet.Packet, l *layout, tcpHeaderLen int) (first *packet.Packet) {
	b := p.Head()
	headers := l.transport + tcpHeaderLen
	payload, size := b[headers:l.end], int(p.SegmentSize)
	last := &first
	for offset := 0; offset < len(payload); offset += size {
		n := min(size, len(payload)-offset)
		q := packet.New(headers + n)
		frame := q.Append(headers + n)
		copy(frame, b[:headers])
		copy(frame[headers:], payload[offset:offset+n])
		segment := wire.TCPPacket(frame[l.transport:])
		segment.SetSeq(segment.Seq() + uint32(offset))
		// The first segment alone says that the window was reduced, the last alone ends and pushes.
		if offset > 0 {
			segment.SetFlags(segment.Flags() &^ wire.TCPCwr)
		}
		if offset+n < len(payload) {
			segment.SetFlags(segment.Flags() &^ (wire.TCPFin | wire.TCPPsh))
		}
		if l.version == 4 {
			h := wire.IPv4Packet(frame[l.network:])
			h.SetTotalLen(len(h))
			h.SetID(h.ID() + uint16(offset/size))
			h.FillChecksum()
		} else {
			h := wire.IPv6Packet(frame[l.network:])
			h.SetPayloadLen(len(h) - wire.IPv6HeaderLen)
		}
		segment.FillChecksum(l.src, l.dst)
		q.IP = p.IP
		*last, last = q, &q.Next
	}
	p.Release()
	return first
}
