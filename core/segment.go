package core

import (
	"encoding/binary"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// segment sends p, a super-segment for a device that takes none, as the segments that it stands for. It happens when
// the routes have changed under a connection that had a device which does it.
func (by *path) segment(now int64, p *packet.Packet) {
	size := int(p.SegmentSize)
	header := p.Header(wire.TCPHeaderLen)
	if p.IP.Protocol != ip.ProtocolTCP || header == nil {
		by.link.drop(DropTooBig, p)
		return
	}
	headerLen := wire.TCPPacket(header).HeaderLen()
	if headerLen < wire.TCPHeaderLen || p.Header(headerLen) == nil {
		by.link.drop(DropTooBig, p)
		return
	}
	by.link.counters.ip(p.IP.Dst.Is6()).OutRequests-- // each segment counts instead
	seq := wire.TCPPacket(header).Seq()
	for offset := headerLen; offset < p.Len(); offset += size {
		n := min(size, p.Len()-offset)
		q := packet.New(headerLen + n)
		b := q.Append(headerLen + n)
		p.CopyTo(b[:headerLen], 0)
		p.CopyTo(b[headerLen:], offset)
		q.IP = p.IP
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
		if q = by.emit(now, q); q != nil {
			by.link.enqueue(q)
		}
	}
	p.Release()
}
