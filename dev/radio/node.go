package radio

import (
	"fmt"
	"net"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/internal/link"
)

// Node is a radio. It implements dev.Device.
type Node struct {
	// What changes is guarded by the medium's mutex.

	medium *Medium
	index  int // among the medium's nodes
	caps   dev.Capabilities

	readable, writable chan struct{} // one slot each: something has changed for who waits
	done               chan struct{} // closed with the node

	config NodeConfig
	edges  map[*Node]*edge // to whoever was in reach, or had something set
	reach  []*edge         // to whom it reaches now, by index

	inbox  queue // frames that were heard, due when they have arrived
	outbox queue // frames that wait for the air
	busy   int64 // until when the air is taken around here
	ready  int64 // since when it is the turn of the outbox's first frame, once the air is free
	heard  uint64

	full    bool  // the last Send took fewer frames than it was given, and there is no room yet
	waited  *Node // whose inbox had no room then
	told    int64 // when time makes a difference, by the last PollAt
	moved   bool  // that has become earlier since PollAt and WaitReceive last looked
	closed  bool
	counted Stats
}

var _ dev.Device = (*Node)(nil)

// Stats count what has become of a node's frames until now.
type Stats struct {
	Sent           uint64 // frames that were transmitted, however often
	Retransmitted  uint64 // transmissions beyond the first of a frame, by a radio that acknowledges
	Unacknowledged uint64 // frames that were for nobody, or nobody heard, by a radio that acknowledges
	Heard          uint64 // frames that came to the node
	Lost           uint64 // transmissions in reach of the node that it did not hear, by chance
	Dropped        uint64 // frames that came while the node's queue was full
}

// Stats returns what has become of the node's frames until now.
func (n *Node) Stats() Stats {
	n.medium.mu.Lock()
	defer n.medium.mu.Unlock()
	return n.counted
}

// Capabilities says what the radio is: of the medium IEEE 802.15.4, with an MTU of 1280 and the address of the configuration.
func (n *Node) Capabilities() dev.Capabilities { return n.caps }

// Send transmits frames, or has them wait for the air. It takes fewer than all while as many as Config.SendQueue wait, or, if
// the medium is lossless, while a node in reach has no room. A frame of more than 125 octets is an error.
func (n *Node) Send(now time.Time, pkts []*packet.Packet) (int, error) {
	fit, bad := link.CheckFrames(&n.caps, pkts)
	m := n.medium
	m.mu.Lock()
	defer m.mu.Unlock()
	if n.closed {
		return 0, net.ErrClosed
	}
	m.tell(now)
	m.advance()
	n.full, n.waited = false, nil
	sent := 0
	for sent < fit && n.take(pkts[sent]) {
		sent++
	}
	n.stir()
	if sent == fit && bad != nil {
		return sent, fmt.Errorf("radio: %w", bad)
	}
	return sent, nil
}

// take takes a frame to send and reports whether there was room.
func (n *Node) take(p *packet.Packet) bool {
	m := n.medium
	switch {
	case m.config.Bitrate == 0:
		if m.config.Lossless {
			if n.waited = n.crowded(); n.waited != nil {
				n.full = true
				return false
			}
		}
		m.transmit(n, p, m.now)
	case isAcknowledgment(p):
		m.transmit(n, p, m.now)
	case n.outbox.len == m.config.SendQueue:
		n.full = true
		return false
	default:
		if n.outbox.len == 0 {
			n.ready = max(n.ready, m.now)
		}
		n.outbox.push(p, past)
		m.advance()
	}
	return true
}

// crowded is a node in reach that has no room, or nil.
func (n *Node) crowded() *Node {
	for _, e := range n.reach {
		if e.to.inbox.len >= n.medium.config.Queue {
			return e.to
		}
	}
	return nil
}

// hear puts a frame on its way to the node, which arrives when it is due.
func (n *Node) hear(p *packet.Packet, due int64) {
	if n.inbox.len >= n.medium.config.Queue {
		n.counted.Dropped++
		p.Release()
		return
	}
	n.counted.Heard++
	// What the sending stack knew of the packet is not the receiver's to see.
	p.IP = packet.IPInfo{}
	p.Seq = 0
	n.inbox.push(p, due)
	if n.medium.timed() {
		n.stir()
	} else if n.inbox.len == 1 {
		signal(n.readable)
	}
}

// Receive takes frames that have arrived. It is also what has frames of the node's own that wait for the air leave, at PollAt's
// time.
func (n *Node) Receive(now time.Time, pkts []*packet.Packet) (int, error) {
	m := n.medium
	m.mu.Lock()
	defer m.mu.Unlock()
	if n.closed {
		return 0, net.ErrClosed
	}
	m.tell(now)
	m.advance()
	taken := 0
	for taken < len(pkts) && n.inbox.first() <= m.now {
		pkts[taken] = n.inbox.pop()
		taken++
	}
	if taken > 0 && m.config.Lossless {
		m.roomAt(n)
	}
	return taken, nil
}

// roomAt has those go on sending who have waited for room at the node n.
func (m *Medium) roomAt(n *Node) {
	for _, sender := range m.nodes {
		if sender.waited != n {
			continue
		}
		if sender.waited = sender.crowded(); sender.waited == nil {
			sender.roomy()
		}
	}
}

// roomy has WaitSend return.
func (n *Node) roomy() {
	n.full, n.waited = false, nil
	signal(n.writable)
}

// next is when time will make a difference: the first frame arrives, or the air may be free for one that waits.
func (n *Node) next() int64 {
	at := n.inbox.first()
	if n.outbox.len > 0 {
		at = min(at, max(n.busy, n.ready))
	}
	return at
}

// stir wakes who waits to receive if next has become earlier than PollAt has said.
func (n *Node) stir() {
	if n.medium.timed() && n.next() < n.told {
		n.moved = true
		signal(n.readable)
	}
}

// PollAt is when the first frame on its way to the node arrives, or the air may be free for one of its own that waits.
func (n *Node) PollAt() (time.Time, bool) {
	m := n.medium
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.timed() {
		return time.Time{}, false
	}
	n.moved = false
	n.told = n.next()
	if n.told == never {
		return time.Time{}, false
	}
	return m.epoch.Add(time.Duration(n.told)), true
}

// WaitReceive waits until Receive has something or, where frames take time to pass, until PollAt has become earlier. It does
// not return because a frame arrives that PollAt has told of: that is for a timer.
func (n *Node) WaitReceive() error {
	for {
		n.medium.mu.Lock()
		ready := n.moved
		if !n.medium.timed() {
			ready = n.inbox.len > 0
		}
		n.moved = false
		closed := n.closed
		n.medium.mu.Unlock()
		switch {
		case closed:
			return net.ErrClosed
		case ready:
			return nil
		}
		select {
		case <-n.readable:
		case <-n.done:
		}
	}
}

// WaitSend waits until there is room for the frame that Send had no room for. That the air has become free only a caller of
// Send or Receive can tell, at PollAt's time.
func (n *Node) WaitSend() error {
	for {
		n.medium.mu.Lock()
		full, closed := n.full, n.closed
		n.medium.mu.Unlock()
		switch {
		case closed:
			return net.ErrClosed
		case !full:
			return nil
		}
		select {
		case <-n.writable:
		case <-n.done:
		}
	}
}

// Close switches the radio off. What it has transmitted still arrives; what waits for the air is lost. Closing again does
// nothing.
func (n *Node) Close() error {
	m := n.medium
	m.mu.Lock()
	defer m.mu.Unlock()
	if n.closed {
		return nil
	}
	n.closed = true
	close(n.done)
	n.inbox.release()
	n.outbox.release()
	m.rejoin(n)
	return nil
}

// signal wakes who waits on c, or will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
