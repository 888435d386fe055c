package tcp

import (
	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// Emit returns the next segment to leave, as ip.Sender has it. The network layer calls it, in turn with others.
func (c *Conn) Emit(now int64) (p *packet.Packet, path ip.Path, more bool) {
	p = c.nextSegment(now)
	c.setTimers(now) // also if the pace has held everything back
	if p == nil {
		return nil, nil, false
	}
	return p, c.path, c.wantsTurn()
}

// wantsTurn reports whether there is something to send.
func (c *Conn) wantsTurn() bool {
	if c.pending&^pendingRetransmit != 0 {
		return true
	}
	if _, n := c.resendable(); n > 0 {
		return true
	}
	return c.sendable() > 0
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
	}
	if seq, n := c.resendable(); n > 0 {
		if n = c.paced(now, n); n > 0 {
			c.pending &^= pendingRetransmit
			return c.dataSegment(now, seq, n)
		}
	} else if c.lost() == 0 {
		c.pending &^= pendingRetransmit
	}
	if c.pending&pendingTailProbe != 0 {
		c.pending &^= pendingTailProbe
		if p := c.sendProbe(now); p != nil {
			return p
		}
	}
	if c.pending&pendingProbe != 0 {
		c.pending &^= pendingProbe
		return c.windowProbe(now)
	}
	if n := c.sendable(); n > 0 {
		if n = c.paced(now, n); n > 0 {
			if p := c.mtuProbeSegment(now, n); p != nil {
				return p
			}
			return c.dataSegment(now, c.sndNxt, n)
		}
	}
	if c.pending&pendingKeepAlive != 0 {
		c.pending &^= pendingKeepAlive
		c.host.counters.KeepAlives++
		// "Such a segment generally contains SEG.SEQ = SND.NXT-1", which the peer has acknowledged and must answer.
		// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.8.4
		return c.build(now, c.sndUna-1, wire.TCPAck)
	}
	if c.pending&pendingACK != 0 {
		return c.build(now, c.acceptableSeq(), wire.TCPAck)
	}
	return nil
}

// unsent is how many octets are still to be sent for the first time, the FIN being one.
func (c *Conn) unsent() int {
	n := distance(c.sndNxt, c.sndBase) + c.sndQ.Len()
	if c.sndClosed {
		n++
	}
	return n
}

// sendable is how many octets may leave now from SND.NXT on, the FIN being one.
func (c *Conn) sendable() int {
	unsent := c.unsent()
	if unsent <= 0 || !c.state.sends() {
		return 0
	}
	payload := unsent
	if c.sndClosed {
		payload--
	}
	if payload == 0 {
		return 1 // a FIN waits for no window
	}
	if f := c.flight; f != nil && (f.paceAt != never || len(f.sent.all()) >= maxSentRanges) {
		return 0
	}
	n := min(payload, distance(c.sndNxt, c.sndUna+c.sndWnd), c.window.Cwnd-c.inFlight())
	if c.flight != nil && c.flight.recovery.frto == frtoNew {
		n = min(n, distance(c.sndNxt, c.recover)+2*int(c.sndMSS))
	}
	if n <= 0 {
		return 0
	}
	// "Send data: (1) if a maximum-sized segment can be sent, i.e., if: min(D,U) >= Eff.snd.MSS; (2) or if the data is pushed and
	// all queued data can be sent now, i.e., if: [SND.NXT = SND.UNA and] PUSHed and D <= U (the bracketed condition is imposed by
	// the Nagle algorithm); (3) or if at least a fraction Fs of the maximum window can be sent, i.e., if: [SND.NXT = SND.UNA and]
	// min(D,U) >= Fs * Max(SND.WND)". The fourth, "the override timeout", is the persist timer's.
	// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.8.6.2.1
	idle := c.sndNxt == c.sndUna || !c.options.Nagle
	switch {
	case n >= int(c.sndMSS):
	case n == payload && (idle || c.sndClosed):
	case idle && n >= int(c.maxWnd)/2:
	default:
		return 0
	}
	if n == payload {
		n = unsent
	}
	return n
}

// resendable is the first stretch of what was lost, as far as it may leave now.
func (c *Conn) resendable() (seq uint32, n int) {
	f := c.flight
	if f == nil || f.sent.lost == 0 || f.recovery.frto == frtoNew || !c.state.sends() || f.paceAt != never {
		return 0, 0
	}
	mss := int(c.sndMSS)
	room := c.window.Cwnd - c.inFlight()
	if c.pending&pendingRetransmit != 0 || c.inFlight() == 0 {
		room = max(room, mss) // one segment leaves whatever the congestion window says, lest nothing ever does
	}
	if room < min(mss, f.sent.lost) {
		return 0, 0
	}
	seq, n = f.sent.nextLost(min(room, 65535)) // more fits in no packet, and need not be looked at
	window := distance(seq, c.sndUna+c.sndWnd)
	if window <= 0 && c.sndClosed && seq == c.finSeqOut() {
		return seq, 1 // a FIN waits for no window
	}
	if seq+uint32(n) == c.sndNxt && n < mss {
		n = min(n+max(c.unsent(), 0), mss) // what was never sent travels along
	}
	return seq, max(min(n, window), 0)
}

// finSeqOut is the sequence number of this side's FIN, once all before it is written.
func (c *Conn) finSeqOut() uint32 { return c.sndBase + uint32(c.sndQ.Len()) }

// dataSegment makes a segment, or a super-segment, of up to n octets from seq on, the FIN being one: of what is new, or of what
// is sent again.
func (c *Conn) dataSegment(now int64, seq uint32, n int) *packet.Packet {
	return c.segmentOf(now, seq, n, int(c.sndMSS)-c.sackOptionLen(), 0)
}

// segmentOf is dataSegment with a maximum segment size of the caller's, and flags for the scoreboard.
func (c *Conn) segmentOf(now int64, seq uint32, n, mss int, record sentFlags) *packet.Packet {
	last := distance(seq, c.finSeqOut()) // octets that there are
	fin := c.sndClosed && n > last
	n = min(n, last)
	if n > mss {
		if most := c.superSegment(mss); n > most {
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
	fresh := seq == c.sndNxt
	c.account(now, seq, n, fin, record)
	class := c.options.TrafficClass
	if c.ecn.on && fresh && n > 0 && c.sndWnd > 0 {
		// Only new data may be marked, and says that the window was reduced: not what is sent again, nor an acknowledgment alone,
		// nor a probe of a closed window, which the peer need not take.
		// https://www.rfc-editor.org/rfc/rfc3168.html#section-6.1.4 to 6.1.6
		if !c.ecn.mute {
			class |= ecnCapable
		}
		if c.ecn.cwr {
			c.ecn.cwr = false
			flags |= wire.TCPCwr
		}
	}
	return c.finish(now, p, seq, flags, class)
}

// isLast reports whether the n octets from seq on are the last that are queued.
func (c *Conn) isLast(seq uint32, n int) bool {
	return n > 0 && distance(c.sndBase, seq)+n == c.sndQ.Len()
}

// superSegment is the most payload that may leave in one packet, as segments of mss octets.
func (c *Conn) superSegment(mss int) int {
	if !c.path.SegmentsTCP() {
		return mss
	}
	const most = 65535 - 60 - wire.TCPMaxHeaderLen // an IP packet's length less the largest headers
	return max(most-most%mss, mss)
}

// account notes that n octets from seq on, and perhaps the FIN, leave.
func (c *Conn) account(now int64, seq uint32, n int, fin bool, record sentFlags) {
	end := seq + uint32(n)
	if fin {
		end++
	}
	fresh := c.flight == nil || c.flight.sent.empty()
	f := c.launch(now)
	c.restartTimers(now, seq)
	c.timers.lastSent = now
	repeated := min(max(distance(seq, c.sndNxt), 0), n)
	c.octets.retransmitted += uint64(repeated)
	c.octets.sent += uint64(n - repeated)
	c.host.counters.OutOctets += uint64(n - repeated)
	segments := uint64(max(1, (n+int(c.sndMSS)-1)/int(c.sndMSS)))
	stamp := f.delivery.leaves(now, fresh)
	f.prr.sent(distance(seq, end))
	if before(seq, c.sndNxt) {
		c.host.counters.RetransSegs += segments
		c.again += uint32(segments)
		if f.sent.resent(seq, earliest(end, c.sndNxt), now, stamp, maxSentRanges) {
			c.mtu.probeLost(now)
		}
		f.undo.sentAgain(distance(seq, earliest(end, c.sndNxt)), c.ts.val(now))
	} else {
		c.host.counters.OutSegs += segments
	}
	if before(c.sndNxt, end) {
		r := sentRange{seq: c.sndNxt, end: end, sentAt: now, flags: record, rate: stamp}
		c.sndNxt = end
		if c.unsent() <= 0 && c.inFlight() < c.window.Cwnd {
			// There is nothing more to send though there might be: what is measured until this has arrived says nothing of the
			// path.
			f.delivery.limited = max(f.delivery.total+uint64(c.inFlight()), 1)
		}
		if f.delivery.limited != 0 {
			r.flags |= sentAppLimited
		}
		f.sent.push(r)
	}
	f.pacer.sent(now, distance(seq, end))
}

// restartTimers starts over the timers that a segment from seq on has start over as it leaves.
func (c *Conn) restartTimers(now int64, seq uint32) {
	f, t := c.flight, &c.timers
	if f.sent.empty() {
		t.since = now
	}
	if c.inFlight() == 0 {
		f.restarted = now
	}
	switch {
	case t.kind == timerProbe:
		t.kind = timerNone
	case t.kind == timerRetransmit && c.sackOK && seq == c.sndUna && before(seq, c.sndNxt):
		// The segment that the timer stands for leaves again, and is given its time. Without SACK the timer is impatient: RFC 6582.
		f.restarted, t.kind = now, timerNone
	}
}

// windowProbe is one octet of data into a window that is closed, or too small to be worth filling.
//
// "The sending TCP peer must regularly transmit at least one octet of new data (if available), or retransmit to the receiving TCP
// peer even if the send window is zero, in order to "probe" the window."
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.8.6.1
func (c *Conn) windowProbe(now int64) *packet.Packet {
	c.host.counters.ZeroWindowProbes++
	n := min(c.sndQ.Len(), max(int(c.sndWnd), 1), int(c.sndMSS))
	p := c.dataSegment(now, c.sndUna, n)
	if c.sndWnd == 0 {
		// The octet is not taken to be on its way: once the window opens, all is sent from SND.UNA on.
		c.flight.sent.loseAll()
	}
	return p
}

// synSegment is the SYN, or in SYN-RECEIVED the SYN|ACK.
func (c *Conn) synSegment(now int64) *packet.Packet {
	c.pending &^= pendingSYN
	options := c.options.synOptions(ownMSS(c.path, c.id.is4(), c.options), c.rcvShift, c.ts.val(now), nil)
	flags := wire.TCPFlags(wire.TCPSyn)
	window := uint16(min(int(c.rcvBuffer), 65535))
	if c.state == SynReceived {
		flags |= wire.TCPAck
		options.HasWindowScale = c.rcvShift != 0 || c.sndShift != 0
		options.SACKPermitted = c.sackOK
		options.HasTimestamps, options.TSEcr = c.ts.on, c.ts.recent
		c.rcvAcked = c.rcvNxt
	}
	flags |= c.ecnOfSYN()
	c.timers.lastSent = now
	if c.timers.retries > 0 || c.sndNxt != c.iss {
		c.host.counters.RetransSegs++
		c.again++
	} else {
		c.host.counters.OutSegs++
	}
	c.sndNxt = c.iss + 1
	p := packet.New(0)
	if c.fastOpen != nil && c.state == SynSent {
		c.addFastOpen(now, p, &options)
	}
	options.Emit(p.Prepend(options.Len()))
	return c.seal(p, c.iss, flags, window, options.Len(), c.options.TrafficClass)
}

// acceptableSeq is the sequence number of a segment that carries nothing: SND.NXT, as far as the peer's window reaches. What lies
// beyond it, such as the octet of a window probe, the peer may not have taken, and it would drop a segment from there.
func (c *Conn) acceptableSeq() uint32 {
	if edge := c.sndUna + c.sndWnd; before(edge, c.sndNxt) {
		return edge
	}
	return c.sndNxt
}

// build makes a segment of flags alone.
func (c *Conn) build(now int64, seq uint32, flags wire.TCPFlags) *packet.Packet {
	c.host.counters.OutSegs++
	return c.finish(now, packet.New(0), seq, flags, c.options.TrafficClass)
}

// finish makes p, which holds the payload, the segment that begins at seq; it carries an acknowledgment.
func (c *Conn) finish(now int64, p *packet.Packet, seq uint32, flags wire.TCPFlags, class uint8) *packet.Packet {
	var options wire.TCPOptions
	c.ts.echo(now, &options)
	c.sackOptions(&options)
	length := options.Len()
	if length > 0 {
		options.Emit(p.Prepend(length))
	}
	if c.ecn.echo {
		flags |= wire.TCPEce
	}
	window := c.receiveWindow()
	c.rcvAcked = c.rcvNxt
	c.pending &^= pendingACK
	c.timers.ackAt = never
	return c.seal(p, seq, flags, window, length, class)
}

// seal prepends the header to p, which holds so many octets of options, and the payload.
func (c *Conn) seal(p *packet.Packet, seq uint32, flags wire.TCPFlags, window uint16, options int, class uint8) *packet.Packet {
	headerLen := wire.TCPHeaderLen + options
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
		Src: c.id.localAddr(), Dst: c.id.remoteAddr(), Link: c.id.link(), Foreign: c.id.foreign(),
		Protocol: ip.ProtocolTCP, HopLimit: c.options.HopLimit, TrafficClass: class,
		Fragmentation: packet.DontFragment, // it has the segments' size follow the path's MTU
	}
	fillChecksum(c.path, p)
	return p
}

// sendReset sends a reset at once, outside the connection's turn: the connection is about to be gone.
func (c *Conn) sendReset(now int64) {
	c.host.sendControl(now, &control{
		id: c.id,
		// "<SEQ=SND.NXT><CTL=RST>"; the acknowledgment does no harm and lets firewalls see what it belongs to.
		// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.5
		seq: c.acceptableSeq(), ack: c.rcvNxt, flags: wire.TCPRst | wire.TCPAck,
		options:  c.resetOptions(now),
		hopLimit: c.options.HopLimit, trafficClass: c.options.TrafficClass,
	})
}
