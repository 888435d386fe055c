package tcp

import (
	"net/netip"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// segment is an arriving segment, its header read. Whoever keeps the packet sets the field to nil.
type segment struct {
	packet        *packet.Packet // the payload alone
	local, remote netip.AddrPort
	link          int32
	foreign       bool // local is not the stack's own
	seq, ack      uint32
	flags         wire.TCPFlags
	window        uint32 // as the header has it, not yet scaled
	length        int    // octets of payload
	origin        uint32 // seq as it arrived, before anything was trimmed
	opening       bool   // it arrived with SYN: its window is not scaled
	bare          bool   // it arrived without SYN, payload or FIN: an acknowledgment alone
	size          int    // octets of payload of each of the segments that the device has merged into this one
	options       wire.TCPOptions
}

func (s *segment) has(f wire.TCPFlags) bool { return s.flags&f != 0 }

// name is that of the connection which the segment belongs to.
func (s *segment) name() id {
	if s.foreign {
		return foreignID(s.local, s.remote, s.link)
	}
	return newID(s.local, s.remote, s.link)
}

// spans is SEG.LEN: the payload, and one each for SYN and FIN.
func (s *segment) spans() uint32 {
	n := uint32(s.length)
	if s.has(wire.TCPSyn) {
		n++
	}
	if s.has(wire.TCPFin) {
		n++
	}
	return n
}

// end is the sequence number after the segment's last.
func (s *segment) end() uint32 { return s.seq + s.spans() }

// trimFront drops what comes before next: the SYN, then payload, then the FIN.
func (s *segment) trimFront(next uint32) {
	n := distance(s.seq, next)
	if n <= 0 {
		return
	}
	if s.has(wire.TCPSyn) {
		s.flags &^= wire.TCPSyn
		s.seq++
		n--
	}
	cut := min(n, s.length)
	s.packet.TrimFront(cut)
	s.length -= cut
	s.seq += uint32(cut)
	if n > cut && s.has(wire.TCPFin) {
		s.flags &^= wire.TCPFin
		s.seq++
	}
}

// trimBack drops what comes at or after end.
func (s *segment) trimBack(end uint32) {
	if beforeEq(s.end(), end) {
		return
	}
	s.flags &^= wire.TCPFin | wire.TCPPsh
	s.length = min(s.length, max(0, distance(s.seq, end)))
	s.packet.Truncate(s.length)
}

// release gives the packet back unless somebody has kept it.
func (s *segment) release() {
	if s.packet != nil {
		s.packet.Release()
		s.packet = nil
	}
}
