package tcp

import "github.com/smolnet/smolnet/core/wire"

// ECN says what a connection makes of explicit congestion notification (RFC 3168).
type ECN uint8

const (
	// ECNAccept uses it if the peer asks for it.
	ECNAccept ECN = iota + 1
	// ECNRequest also asks for it; a SYN that is not answered is repeated without.
	ECNRequest
	// ECNOff neither asks for it nor accepts it.
	ECNOff
)

// The codepoints of the two low bits of the traffic class.
// https://www.rfc-editor.org/rfc/rfc3168.html#section-5
const (
	ecnCapable = 2 // ECT(0)
	ecnMarked  = 3 // CE
	ecnField   = 3
)

// ecn is a connection's part in explicit congestion notification.
type ecn struct {
	on   bool // both SYNs have agreed to it
	echo bool // a mark has come, and the peer has not yet said that it knows: ECE goes with every acknowledgment
	cwr  bool // the window was reduced: CWR goes with the next new data
	mute bool // a SYN that does not ask for it has left as well: nothing that this side sends may be marked
}

// ecnOfSYN is what the flags of this side's SYN or SYN|ACK say of it. Only the first SYN asks: there are paths on which nothing
// comes of one that does.
//
// "A host that receives no reply to an ECN-setup SYN within the normal SYN retransmission timeout interval MAY resend the SYN and
// any subsequent SYN retransmissions with CWR and ECE cleared."
// https://www.rfc-editor.org/rfc/rfc3168.html#section-6.1.1.1
func (c *Conn) ecnOfSYN() wire.TCPFlags {
	switch {
	case c.state == SynReceived && c.ecn.on:
		return wire.TCPEce
	case c.state == SynSent && c.options.ECN == ECNRequest && c.timers.retries == 0:
		return wire.TCPEce | wire.TCPCwr
	}
	return 0
}

// agreeECN takes what the peer's SYN, or SYN|ACK, says to a SYN that asked: the one with ECE and CWR asks as well, the other agrees
// with ECE alone. Both flags in a SYN|ACK are an echo of reserved bits by who knows nothing of them.
//
// "A host MUST NOT set ECT on data packets unless it has sent at least one ECN-setup SYN or ECN-setup SYN-ACK packet, and has
// received at least one ECN-setup SYN or ECN-setup SYN-ACK packet, and has sent no non-ECN-setup SYN or non-ECN-setup SYN-ACK
// packet."
// https://www.rfc-editor.org/rfc/rfc3168.html#section-6.1.1
func (c *Conn) agreeECN(s *segment) {
	if c.options.ECN != ECNRequest {
		return
	}
	agrees := wire.TCPFlags(wire.TCPEce)
	if !s.has(wire.TCPAck) {
		agrees |= wire.TCPCwr
	}
	c.ecn.on = s.flags&(wire.TCPEce|wire.TCPCwr) == agrees
	c.ecn.mute = c.timers.retries > 0
}

// receivedMark takes what a segment with payload says of congestion on its way here.
//
// A mark has ECE set in every acknowledgment, until a segment with CWR says that the peer knows.
// https://www.rfc-editor.org/rfc/rfc3168.html#section-6.1.3
func (c *Conn) receivedMark(s *segment) {
	if !c.ecn.on {
		return
	}
	if s.has(wire.TCPCwr) {
		c.ecn.echo = false
	}
	if s.length > 0 && s.packet.IP.TrafficClass&ecnField == ecnMarked {
		c.host.counters.InMarked++
		c.ecn.echo = true
		c.pending |= pendingACK
	}
}

// takeMark learns that the peer has got marked packets.
//
// "If the sender receives an ECN-Echo (ECE) ACK packet [...], then the sender knows that congestion was encountered in the
// network on the path from the sender to the receiver. The indication of congestion should be treated just as a congestion loss
// in non-ECN-Capable TCP. [...] TCP should not react to congestion indications more than once every window of data".
// https://www.rfc-editor.org/rfc/rfc3168.html#section-6.1.2
func (c *Conn) takeMark(now int64, s *segment, a *acknowledgment) {
	if !c.ecn.on || !s.has(wire.TCPEce) || c.flight.recovery.phase != phaseOpen || beforeEq(c.sndUna, c.recover) {
		return // up to recover, what comes tells of what left before the window was reduced
	}
	c.host.counters.CongestionMarks++
	c.slowDown(now, a, true)
	c.flight.undo = undo{} // a mark is no loss that may prove to be none
	c.flight.recovery.phase = phaseReduced
	c.recover = c.sndNxt
}

// tellReduced has the next new data tell the peer that the window was reduced, for whatever reason: marks from before are no
// reason to reduce it again. RFC 3168, section 6.1.2, wants CWR after a loss as well as after a mark.
// https://www.rfc-editor.org/rfc/rfc3168.html#section-6.1.2
func (c *Conn) tellReduced() { c.ecn.cwr = c.ecn.on }
