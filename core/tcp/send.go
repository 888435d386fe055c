package tcp

import (
	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// Emit returns the next segment to leave, as ip.Sender has it. The network layer calls it, in turn with others.
func (c *Conn) Emit(now int64) (p *packet.Packet, path ip.Path, more bool) {
	p = c.nextSegment(now)
	if p == nil {
		return nil, nil, false
	}
	c.setTimers(now)
	return p, c.path, c.wantsTurn()
}

// wantsTurn reports whether there is something to send.
func (c *Conn) wantsTurn() bool {
	if c.pending != 0 {
		return true
	}
	n, fin := c.sendable()
	return n > 0 || fin
}

func (c *Conn) nextSegment(now int64) *packet.Packet {
	switch {
	case c.state == Closed || c.state == TimeWait:
		return nil
	case c.pending&pendingSYN != 0:
		return c.synSegment(now)
	case c.state == SynSent:
		c.pending = 0 // before the peer's SYN there is nothing to acknowledge
		return nil
	case c.pending&pendingRetransmit != 0:
		c.pending &^= pendingRetransmit
		if p := c.retransmission(now); p != nil {
			return p
		}
	}
	if c.pending&pendingProbe != 0 {
		c.pending &^= pendingProbe
		return c.probe(now)
	}
	if n, fin := c.sendable(); n > 0 || fin {
		return c.dataSegment(now, c.sndNxt, n, fin)
	}
	if c.pending&pendingKeepAlive != 0 {
		c.pending &^= pendingKeepAlive
		c.host.counters.KeepAlives++
		// "Such a segment generally contains SEG.SEQ = SND.NXT-1", which the peer has acknowledged and must answer.
		// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.8.4
		return c.build(c.sndUna-1, wire.TCPAck)
	}
	if c.pending&pendingACK != 0 {
		return c.build(c.acceptableSeq(), wire.TCPAck)
	}
	return nil
}

// sendable is how much payload may leave now from SND.NXT on, and whether the FIN may, behind it.
func (c *Conn) sendable() (n int, fin bool) {
	if !c.state.sends() {
		return 0, false
	}
	unsent := distance(c.sndNxt, c.sndBase) + c.sndQ.Len()
	if unsent < 0 {
		return 0, false // the FIN has left
	}
	if unsent == 0 {
		return 0, c.sndClosed
	}
	usable := distance(c.sndNxt, c.sndUna) + min(c.window.Cwnd, int(c.sndWnd))
	n = min(unsent, usable)
	if n <= 0 {
		return 0, false
	}
	// "Send data: (1) if a maximum-sized segment can be sent, i.e., if: min(D,U) >= Eff.snd.MSS; (2) or if the data is pushed and
	// all queued data can be sent now, i.e., if: [SND.NXT = SND.UNA and] PUSHed and D <= U (the bracketed condition is imposed by
	// the Nagle algorithm); (3) or if at least a fraction Fs of the maximum window can be sent, i.e., if: [SND.NXT = SND.UNA and]
	// min(D,U) >= Fs * Max(SND.WND)". The fourth, "the override timeout", is the persist timer's.
	// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.8.6.2.1
	idle := c.sndNxt == c.sndUna || !c.options.Nagle
	switch {
	case n >= int(c.sndMSS):
	case n == unsent && (idle || c.sndClosed):
	case idle && n >= int(c.maxWnd)/2:
	default:
		return 0, false
	}
	return n, n == unsent && c.sndClosed
}

// dataSegment makes a segment, or a super-segment, of up to n octets from seq on, which is SND.NXT or what is sent again.
func (c *Conn) dataSegment(now int64, seq uint32, n int, fin bool) *packet.Packet {
	mss := int(c.sndMSS)
	if n > mss {
		if most := c.superSegment(); n > most {
			n, fin = most, false
		}
		// What would be left over of a whole number of segments may wait for its turn, unless it is the last there is.
		if n > mss && n%mss != 0 && (c.options.Nagle || !c.isLast(seq, n)) {
			n, fin = n-n%mss, false
		}
	}
	p := packet.New(0)
	attached := c.sndQ.Attach(p, distance(c.sndBase, seq), n)
	if attached < n {
		n, fin = attached, false
		if n > mss && n%mss != 0 {
			n -= n % mss
			p.Truncate(n)
		}
	}
	flags := wire.TCPFlags(wire.TCPAck)
	if fin {
		flags |= wire.TCPFin
	}
	if c.isLast(seq, n) {
		// "If PUSH flags are not implemented, then the sending TCP peer: [...] MUST set the PSH bit in the last buffered segment
		// (i.e., when there is no more queued data to be sent)"
		// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.9.1.2
		flags |= wire.TCPPsh
	}
	if n > mss {
		p.SegmentSize = uint16(mss)
	}
	c.account(now, seq, n, fin)
	return c.finish(p, seq, flags)
}

// isLast reports whether the n octets from seq on are the last that are queued.
func (c *Conn) isLast(seq uint32, n int) bool {
	return n > 0 && distance(c.sndBase, seq)+n == c.sndQ.Len()
}

// superSegment is the most payload that may leave in one packet.
func (c *Conn) superSegment() int {
	mss := int(c.sndMSS)
	if !c.path.SegmentsTCP() {
		return mss
	}
	const most = 65535 - 60 - wire.TCPMaxHeaderLen // an IP packet's length less the largest headers
	return max(most-most%mss, mss)
}

// account notes that n octets from seq on, and perhaps the FIN, leave.
func (c *Conn) account(now int64, seq uint32, n int, fin bool) {
	end := seq + uint32(n)
	if fin {
		end++
	}
	c.timers.lastSent = now
	repeated := min(max(distance(seq, c.sndMax), 0), n)
	c.octets.retransmitted += uint64(repeated)
	c.octets.sent += uint64(n - repeated)
	c.host.counters.OutOctets += uint64(n - repeated)
	segments := uint64(max(1, (n+int(c.sndMSS)-1)/int(c.sndMSS)))
	if before(seq, c.sndMax) {
		// What repeats octets says nothing about the time a segment takes.
		c.rtt.cancel()
		c.host.counters.RetransSegs += segments
		c.again += uint32(segments)
	} else {
		c.host.counters.OutSegs += segments
		c.rtt.sent(now, end)
	}
	c.sndNxt = latest(c.sndNxt, end)
	c.sndMax = latest(c.sndMax, end)
}

// retransmission is one segment from SND.UNA on, whatever the windows say; nil if there is nothing to repeat.
func (c *Conn) retransmission(now int64) *packet.Packet {
	if c.sndMax == c.sndUna || !c.state.sends() {
		return nil
	}
	unacked := c.sndQ.Len() // SND.UNA is sndBase, the SYN being acknowledged
	n := min(unacked, int(c.sndMSS), max(distance(c.sndUna, c.sndMax), 1), max(int(c.sndWnd), 1))
	return c.dataSegment(now, c.sndUna, n, n == unacked && c.sndClosed)
}

// probe is one octet of data into a window that is closed, or too small to be worth filling.
//
// "The sending TCP peer must regularly transmit at least one octet of new data (if available), or retransmit to the receiving TCP
// peer even if the send window is zero, in order to "probe" the window."
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.8.6.1
func (c *Conn) probe(now int64) *packet.Packet {
	c.host.counters.ZeroWindowProbes++
	n := min(c.sndQ.Len(), max(int(c.sndWnd), 1), int(c.sndMSS))
	p := c.dataSegment(now, c.sndUna, n, false)
	if c.sndWnd == 0 {
		// The octet is not taken to have been sent: once the window opens, all is sent from SND.UNA on.
		c.sndNxt = c.sndUna
		c.rtt.cancel()
	}
	return p
}

// synSegment is the SYN, or in SYN-RECEIVED the SYN|ACK.
func (c *Conn) synSegment(now int64) *packet.Packet {
	c.pending &^= pendingSYN
	options := synOptions(ownMSS(c.path, c.id.is4(), c.options), c.rcvShift, nil)
	flags := wire.TCPFlags(wire.TCPSyn)
	window := uint16(min(c.options.ReceiveBuffer, 65535))
	if c.state == SynReceived {
		flags |= wire.TCPAck
		options.HasWindowScale = c.rcvShift != 0 || c.sndShift != 0
		c.rcvAcked = c.rcvNxt
	}
	c.account(now, c.iss, 0, true)
	if c.timers.retries > 0 {
		c.rtt.cancel()
	}
	p := packet.New(0)
	options.Emit(p.Prepend(options.Len()))
	return c.seal(p, c.iss, flags, window)
}

// acceptableSeq is the sequence number of a segment that carries nothing: SND.NXT, as far as the peer's window reaches. What lies
// beyond it, such as the octet of a window probe, the peer may not have taken, and it would drop a segment from there.
func (c *Conn) acceptableSeq() uint32 {
	if edge := c.sndUna + c.sndWnd; before(edge, c.sndMax) {
		return edge
	}
	return c.sndMax
}

// build makes a segment of flags alone.
func (c *Conn) build(seq uint32, flags wire.TCPFlags) *packet.Packet {
	c.host.counters.OutSegs++
	return c.finish(packet.New(0), seq, flags)
}

// finish makes p, which holds the payload, the segment that begins at seq; it carries an acknowledgment.
func (c *Conn) finish(p *packet.Packet, seq uint32, flags wire.TCPFlags) *packet.Packet {
	window := c.receiveWindow()
	c.rcvAcked = c.rcvNxt
	c.pending &^= pendingACK
	c.timers.ackAt = never
	return c.seal(p, seq, flags, window)
}

// seal prepends the header to p, which holds options and payload.
func (c *Conn) seal(p *packet.Packet, seq uint32, flags wire.TCPFlags, window uint16) *packet.Packet {
	headerLen := wire.TCPHeaderLen
	if flags.Has(wire.TCPSyn) {
		headerLen += p.Len()
	}
	h := wire.TCPPacket(p.Prepend(wire.TCPHeaderLen))
	h.SetSrcPort(c.id.localPort)
	h.SetDstPort(c.id.remotePort)
	h.SetSeq(seq)
	if flags.Has(wire.TCPAck) {
		h.SetAck(c.rcvNxt)
	} else {
		h.SetAck(0)
	}
	h[12] = byte(headerLen/4) << 4 // the reserved bits are zero
	h.SetFlags(flags)
	h.SetWindow(window)
	h.SetChecksum(0)
	h.SetUrgent(0)
	p.IP = packet.IPInfo{
		Src: c.id.localAddr(), Dst: c.id.remoteAddr(), Link: c.id.link, Protocol: ip.ProtocolTCP,
		HopLimit: c.options.HopLimit, TrafficClass: c.options.TrafficClass,
	}
	fillChecksum(c.path, p)
	return p
}

// sendReset sends a reset at once, outside the connection's turn: the connection is about to be gone.
func (c *Conn) sendReset(now int64) {
	c.host.sendControl(now, &control{
		local: c.LocalAddr(), remote: c.RemoteAddr(), link: c.id.link,
		// "<SEQ=SND.NXT><CTL=RST>"; the acknowledgment does no harm and lets firewalls see what it belongs to.
		// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.5
		seq: c.acceptableSeq(), ack: c.rcvNxt, flags: wire.TCPRst | wire.TCPAck,
		hopLimit: c.options.HopLimit, trafficClass: c.options.TrafficClass,
	})
}
