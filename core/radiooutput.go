package core

import (
	"net/netip"

	"github.com/smolnet/smolnet/core/ieee802154"
	"github.com/smolnet/smolnet/core/lowpan"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// radioSending is the packet that is on its way out by a radio: one at a time, frame by frame.
//
// Packets for a radio wait, as for other links, in the interface's queues and with their senders. What names the neighbour that they
// go to stands before them as on an Ethernet, see prependRadio.
type radioSending struct {
	packet  *packet.Packet // its headers compressed; nil: none
	dst     wire.LinkAddr
	nextHop netip.Addr          // in a network of RPL: its IPv6 destination, which may be a neighbour
	header  wire.IEEE802154Repr // of its frames
	room    int                 // that these have for it
	cut     lowpan.Cut
	whole   bool // it fits in a frame, and is not cut

	sender ieee802154.Sender
	frame  *packet.Packet // a copy of what the sender waits to be acknowledged; nil: nothing
	again  bool           // it is to be sent again

	seq   uint8 // of the next frame: macDSN
	tag   uint16
	pacer lowpan.Pacer
}

// radioHeaderLen is what precedes packets for a radio inside the stack: the length of a link-layer address, and its octets.
const radioHeaderLen = 1 + wire.ExtendedAddrLen

// prependRadio prepends to p, which begins with its IP header, the address that it goes to.
func prependRadio(p *packet.Packet, dst wire.LinkAddr) {
	b := p.Prepend(radioHeaderLen)
	b[0] = uint8(dst.Len())
	dst.AppendTo(b[1:1])
}

// pending reports whether a frame may leave now, if there are packets to make frames of.
func (r *radio) pending() bool {
	s := &r.sending
	if r.answers.Len() > 0 {
		return true
	}
	if !r.ready(r.stack.now) {
		return false
	}
	return s.again || s.packet != nil || r.hasPackets()
}

// ready reports whether a frame of the radio's own may leave.
func (r *radio) ready(now int64) bool {
	s := &r.sending
	return (s.frame == nil || s.again) && s.pacer.Next(now) <= now
}

// pull returns the next frame to leave; nil if there is none, or none may: see Interface.pull.
func (r *radio) pull(now int64, turns *int) *packet.Packet {
	// IEEE Std 802.15.4 has an acknowledgment leave as soon as the radio has turned round, whatever else waits: who has sent the frame
	// waits for it no longer than 864 us.
	if p := r.answers.Pop(); p != nil {
		return r.frameLeaves(p)
	}
	for r.ready(now) {
		s := &r.sending
		if s.again {
			s.again = false
			s.sender.Left(now)
			return r.transmit(now, clone(s.frame))
		}
		if s.packet == nil {
			p := r.pullPacket(now, turns)
			if p == nil {
				return nil
			}
			r.begin(p)
			continue
		}
		frame := r.nextFrame()
		if frame == nil {
			continue
		}
		if r.acks && s.header.AckRequest {
			s.frame = clone(frame)
			s.sender.Start(now, s.seq, frame.Len())
		}
		s.seq++
		return r.transmit(now, frame)
	}
	return nil
}

// begin compresses the headers of p, and begins to send it.
func (r *radio) begin(p *packet.Packet) {
	s := &r.sending
	b := p.Header(radioHeaderLen)
	s.dst = wire.LinkAddrFrom(b[1 : 1+b[0]])
	p.TrimFront(radioHeaderLen)
	if r.rpl != nil {
		s.nextHop = wire.IPv6Packet(p.Head()).Dst()
	}
	link := wire.LowpanLink{Src: r.linkAddr, Dst: s.dst, Contexts: &r.contexts}
	s.header = r.header(s.dst)
	s.room = r.room(&s.header)
	n, consumed := wire.CompressIPv6(r.scratch[:s.room-wire.LowpanFirstFragmentLen], p.Head(), p.Len(), link)
	p.TrimFront(consumed)
	copy(p.Prepend(n), r.scratch[:n])
	s.packet, s.whole = p, p.Len() <= s.room
	if s.whole {
		return
	}
	var ok bool
	if s.cut, ok = lowpan.NewCut(p, n, consumed, s.tag); !ok {
		r.drop(DropTooBig, p)
		s.packet = nil
		return
	}
	s.tag++
}

// nextFrame makes the next frame of the packet under way; nil: there cannot be one, and the packet is dropped.
func (r *radio) nextFrame() *packet.Packet {
	s := &r.sending
	frame, more := s.packet, false
	if s.whole {
		s.packet = nil
	} else {
		frame = s.cut.Next(s.packet, s.room)
		if more = s.cut.More(); !more {
			s.packet.Release()
			s.packet = nil
		}
	}
	h := &s.header
	h.FramePending, h.Seq = more, s.seq
	if r.security == nil {
		h.Emit(frame.Prepend(h.Len()))
		return frame
	}
	if err := r.security.Protect(h, frame); err != nil {
		r.drop(DropRadioSecurity, frame)
		if s.packet != nil {
			s.packet.Release()
			s.packet = nil
		}
		return nil
	}
	return frame
}

// header is the MAC header of a frame to dst.
func (r *radio) header(dst wire.LinkAddr) wire.IEEE802154Repr {
	return wire.IEEE802154Repr{
		Type: wire.IEEE802154Data, Version: wire.IEEE802154Version2006,
		AckRequest: r.asksForAck(dst), PANCompression: true, DstPAN: r.config.PAN, SrcPAN: r.config.PAN, Dst: dst, Src: r.linkAddr,
	}
}

func (r *radio) asksForAck(dst wire.LinkAddr) bool {
	return !r.config.NoAcknowledgments && !dst.IsMulticast()
}

// room is how many octets a frame with such a header has for 6LoWPAN.
func (r *radio) room(h *wire.IEEE802154Repr) int {
	room := wire.IEEE802154MaxFrameLen - h.Len()
	if r.security != nil {
		room -= r.security.Overhead()
	}
	return room
}

// transmit has a frame leave.
func (r *radio) transmit(now int64, frame *packet.Packet) *packet.Packet {
	r.sending.pacer.Sent(now, frame.Len())
	r.arm(now)
	return r.frameLeaves(frame)
}

// arm sets the timer for when another frame may leave, or the same must again.
func (r *radio) arm(now int64) {
	s := &r.sending
	next := timer.Never
	if at := s.pacer.Next(now); at > now {
		next = at
	}
	if at, ok := s.sender.Deadline(); ok && !s.again { // what has yet to leave is not waited for
		next = min(next, at)
	}
	if next == timer.Never {
		r.stack.timers.Stop(&r.timer)
	} else {
		r.stack.timers.Arm(&r.timer, r, next)
	}
}

// Expire is called by the stack's timer heap: a frame has not been acknowledged in time, or another may leave.
func (r *radio) Expire(now int64) {
	s := &r.sending
	if s.again {
		r.arm(now)
		return
	}
	switch s.sender.Expired(now, uint32(r.stack.random())) {
	case ieee802154.Retransmit:
		s.again = true
	case ieee802154.Failed:
		// Without it the rest of its packet is of no use to anybody.
		r.sent(false)
		if s.packet != nil {
			s.packet.Release()
			s.packet = nil
		}
		r.counters.drop(DropRadioNoAck, &r.counters.IPv6)
	}
	r.arm(now)
}

// acknowledged takes note of an acknowledgment.
func (r *radio) acknowledged(now int64, seq uint8) {
	if r.sending.sender.Acked(now, seq) {
		r.sent(true)
		r.arm(now)
	}
}

// sent ends the sending of the frame that was to be acknowledged.
func (r *radio) sent(acked bool) {
	s := &r.sending
	r.links.Transmitted(s.dst, s.sender.Attempts(), acked)
	if r.rpl != nil {
		if s.sender.Attempts() > 1 {
			r.rpl.linksChanged(r.stack.now)
		}
		if acked && s.packet == nil {
			r.rpl.arrived(r.stack.now, s.nextHop, s.dst)
		}
	}
	s.frame.Release()
	s.frame, s.again = nil, false
}

// acknowledge has an acknowledgment of the frame with the header h leave, before all else.
func (r *radio) acknowledge(h *wire.IEEE802154Repr) {
	if r.answers.Len() >= r.stack.limits.ControlQueue {
		r.counters.drop(DropControlQueue, nil)
		return
	}
	ack := ieee802154.Acknowledgment(h)
	p := packet.New(ack.Len())
	ack.Emit(p.Append(ack.Len()))
	r.answers.Push(p)
}

func (r *radio) frameLeaves(p *packet.Packet) *packet.Packet {
	r.counters.Link.OutFrames++
	r.counters.Link.OutOctets += uint64(p.Len())
	return p
}

// clone is a copy of a frame.
func clone(p *packet.Packet) *packet.Packet {
	q := packet.New(p.Len())
	p.CopyTo(q.Append(p.Len()), 0)
	q.IP = p.IP
	return q
}

// forget drops what is under way.
func (r *radio) forget() {
	s := &r.sending
	if s.packet != nil {
		r.drop(DropInterfaceRemoved, s.packet)
		s.packet = nil
	}
	if s.frame != nil {
		s.frame.Release()
		s.frame = nil
	}
	s.sender.Stop()
}
