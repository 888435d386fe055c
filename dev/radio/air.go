package radio

import (
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

const (
	// What a frame has on the air beside its own octets: the frame check sequence, and before it the preamble, the delimiter
	// and the length.
	frameOverhead = 2 + 6

	// How many octets' time an acknowledgment takes: first the radio has to turn round, for 12 symbols of four bits.
	acknowledgmentTime = 6 + 3 + frameOverhead

	// "macMaxFrameRetries [...] 3", beside the first transmission, IEEE Std 802.15.4-2020, table 8-94.
	maxTransmissions = 1 + 3
)

// hearing is that a node has heard what is being transmitted, and when it will have.
type hearing struct {
	node *Node
	due  int64
}

// airTime is how long so many octets are on the air, in nanoseconds.
func (m *Medium) airTime(octets int) int64 {
	if m.config.Bitrate == 0 {
		return 0
	}
	return int64(octets) * 8 * int64(time.Second) / int64(m.config.Bitrate)
}

// advance transmits the frames for which the air has become free by now. Where several nodes wait for the same air, it is the
// turn of the one whose frame has waited longest.
func (m *Medium) advance() {
	for m.config.Bitrate > 0 {
		var next *Node
		start := m.now
		for _, n := range m.nodes {
			if n.outbox.len == 0 {
				continue
			}
			at := max(n.busy, n.ready)
			if at < start || at == start && (next == nil || n.ready < next.ready) {
				next, start = n, at
			}
		}
		if next == nil {
			return
		}
		m.transmit(next, next.outbox.pop(), start)
		next.ready = next.busy
		if next.full {
			next.roomy()
		}
	}
}

// transmit transmits a frame of the node's, the first time at start, and hands it to those who hear it.
func (m *Medium) transmit(n *Node, p *packet.Packet, start int64) {
	n.counted.Sent++
	asks := false
	var destination wire.LinkAddr
	if m.config.Bitrate > 0 || m.config.Acknowledges {
		h := headerOf(p)
		asks, destination = h.AckRequest && h.Type != wire.IEEE802154Ack, h.Dst
	}
	m.heard = m.heard[:0]
	if m.config.Acknowledges && asks {
		start = m.acknowledged(n, destination, start, m.airTime(p.Len()+frameOverhead))
	} else {
		start += m.airTime(p.Len() + frameOverhead)
		for _, e := range n.reach {
			if e.loses() {
				e.to.counted.Lost++
			} else {
				m.heard = append(m.heard, hearing{e.to, m.arrival(start)})
			}
		}
		if asks {
			start += m.airTime(acknowledgmentTime)
		}
	}
	n.occupy(start)
	m.hand(p)
}

// acknowledged transmits a frame, which is so long on the air, until a node that it is for has heard it, and returns when that
// has ended. Every other node gets it when it hears it first.
func (m *Medium) acknowledged(n *Node, destination wire.LinkAddr, start, air int64) int64 {
	m.sent++
	for transmission := range maxTransmissions {
		if transmission > 0 {
			n.counted.Retransmitted++
		}
		start += air
		arrived := false
		for _, e := range n.reach {
			switch {
			case e.to.heard == m.sent:
			case e.loses():
				e.to.counted.Lost++
			default:
				e.to.heard = m.sent
				m.heard = append(m.heard, hearing{e.to, m.arrival(start)})
				arrived = arrived || e.to.has(destination)
			}
		}
		start += m.airTime(acknowledgmentTime)
		if arrived {
			return start
		}
	}
	n.counted.Unacknowledged++
	return start
}

// arrival is when a frame arrives whose transmission ends at the time given.
func (m *Medium) arrival(end int64) int64 {
	if !m.timed() {
		return past // whatever the callers' ideas of now
	}
	return end + m.latency
}

// occupy takes the air around the node until the time given.
func (n *Node) occupy(until int64) {
	if n.medium.config.Bitrate == 0 {
		return
	}
	n.busy = max(n.busy, until)
	for _, e := range n.reach {
		e.to.busy = max(e.to.busy, until)
	}
}

// hand hands a frame to those who have heard it: the last gets it itself, the others a copy.
func (m *Medium) hand(p *packet.Packet) {
	last := len(m.heard) - 1
	if last < 0 {
		p.Release()
		return
	}
	for _, h := range m.heard[:last] {
		octets := p.Len()
		c := packet.New(octets)
		p.CopyTo(c.Append(octets), 0)
		h.node.hear(c, h.due)
	}
	m.heard[last].node.hear(p, m.heard[last].due)
}
