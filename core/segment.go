package core

import (
	"encoding/binary"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// segmentLen is how long the segments of a super-segment are, with their TCP headers.
func segmentLen(p *packet.Packet) int {
	header := p.Header(wire.TCPHeaderLen)
	if header == nil {
		return p.Len()
	}
	return wire.TCPPacket(header).HeaderLen() + int(p.SegmentSize)
}

// segment sends p, a super-segment for a device that takes none, as the segments that it stands for. It happens when
// the routes have changed under a connection that had a device which does it, or a router has lowered the link's MTU.
func (by *path) segment(now int64, p *packet.Packet) {
	if p.IP.Protocol != ip.ProtocolTCP || tcpHeaderLen(p, 0) == 0 {
		by.link.drop(DropTooBig, p)
		return
	}
	by.link.counters.ip(p.IP.Dst.Is6()).OutRequests-- // each segment counts instead
	segmentTCP(p, 0, func(segment *packet.Packet) {
		if segment = by.emit(now, segment, nil); segment != nil {
			by.link.enqueue(segment)
		}
	})
	p.Release()
}

// tcpHeaderLen is the length of the TCP header offset octets into p, 0 if it cannot be one.
func tcpHeaderLen(p *packet.Packet, offset int) int {
	b := p.Header(offset + wire.TCPHeaderLen)
	if b == nil {
		return 0
	}
	n := wire.TCPPacket(b[offset:]).HeaderLen()
	if n < wire.TCPHeaderLen || p.Header(offset+n) == nil {
		return 0
	}
	return n
}

// segmentTCP calls each with the segments that p stands for, whole checksums included. Before its TCP header p has network
// octets of other headers, of which each segment has a copy. It reports false if p has no TCP header there.
func segmentTCP(p *packet.Packet, network int, each func(segment *packet.Packet)) bool {
	size, tcpLen := int(p.SegmentSize), tcpHeaderLen(p, network)
	if tcpLen == 0 {
		return false
	}
	headerLen := network + tcpLen
	seq := wire.TCPPacket(p.Header(headerLen)[network:]).Seq()
	for offset := headerLen; offset < p.Len(); offset += size {
		n := min(size, p.Len()-offset)
		q := packet.New(headerLen + n)
		b := q.Append(headerLen + n)
		p.CopyTo(b[:headerLen], 0)
		p.CopyTo(b[headerLen:], offset)
		q.IP = p.IP
		b = b[network:]
		t := wire.TCPPacket(b)
		t.SetSeq(seq + uint32(offset-headerLen))
		if offset > headerLen {
			t.SetFlags(t.Flags() &^ wire.TCPCwr)
		}
		if offset+n < p.Len() {
			t.SetFlags(t.Flags() &^ (wire.TCPFin | wire.TCPPsh))
		}
		var sum wire.Sum
		sum.AddPseudoHeader(q.IP.Src, q.IP.Dst, ip.ProtocolTCP, len(b))
		t.SetChecksum(0)
		sum.Add(b)
		binary.BigEndian.PutUint16(b[wire.TCPChecksumField:], sum.Checksum())
		each(q)
	}
	return true
}
