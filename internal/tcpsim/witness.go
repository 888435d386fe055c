package tcpsim

import (
	"fmt"

	"github.com/smolnet/smolnet/core/wire"
)

// witness is what the wire has shown of one end of a connection, and what must hold of each segment that this end sends:
//
//   - it acknowledges nothing that was not sent, and no acknowledgment goes back;
//   - the right edge of the window never moves left, until the peer's FIN has arrived and windows mean nothing any more; but by less
//     than the unit of the window field it may seem to, where a window that is no multiple of it was rounded;
//   - its payload lies in the window, in the largest that has reached this end; one octet may lie right behind it, to
//     probe a window that is closed;
//   - its payload leaves no hole in what was sent, ends where the user's octets do, and does not move the FIN;
//   - a bare acknowledgment has a cause: a segment that has arrived and is not another bare acknowledgment in its place,
//     or a user that has read.
//
// Positions count the octets of a direction from its SYN, which is 0, in 64 bits: they never wrap, whatever the sequence
// numbers do, and what the stacks make of sequence numbers is compared with them.
type witness struct {
	known bool // a SYN was seen
	isn   uint32
	next  int64 // after the last octet ever sent
	fin   int64 // where the FIN is; 0: not sent
	una   int64 // the largest acknowledgment that has arrived

	acked   int64 // the largest acknowledgment sent
	edge    int64 // the right edge of the largest window offered
	granted int64 // that of the largest window that has arrived

	offersScale bool
	shift       uint8

	causes   int // bare acknowledgments that may still leave
	lastTime uint32
}

const (
	// mostCauses bounds the causes for an acknowledgment that may be saved up: a batch of segments may arrive before one is sent.
	mostCauses = 512
	// mostQuiet is how many segments may pass, both ways together, that move nothing: neither what was sent, nor what was
	// acknowledged, nor a window.
	mostQuiet = 20_000
)

// position is where a sequence number lies in the direction that begins at isn: the position next to near.
func position(seq, isn uint32, near int64) int64 {
	return near + int64(int32(seq-isn-uint32(near)))
}

// scale is how many bits the window fields of an end are to be shifted by, once the handshake is over.
func (x *witness) scale(y *witness) uint8 {
	if x.offersScale && y.offersScale {
		return x.shift
	}
	return 0
}

// witness looks at a segment of one of the flows, which a stack sends, or receives.
func (n *Network) witness(s *segment, sent bool) error {
	var f *Flow
	from := 0
	if i := int(s.src) - firstClientPort; i >= 0 && i < len(n.flows) {
		f = n.flows[i]
	} else if i := int(s.dst) - firstClientPort; i >= 0 && i < len(n.flows) {
		f, from = n.flows[i], 1
	} else {
		return nil
	}
	if sent {
		e := f.ends[from]
		e.touch()
		if err := f.sent(from, s); err != nil {
			return fmt.Errorf("%v sends [%v] seq %d ack %d win %d of %d octets: %w", e, s.flags, s.seq, s.ack, s.window, s.length, err)
		}
		return nil
	}
	f.ends[1-from].touch()
	f.received(1-from, s)
	return nil
}

// sent checks a segment that one end sends.
func (f *Flow) sent(side int, s *segment) error {
	x, y := &f.ends[side].witness, &f.ends[1-side].witness
	f.quiet++
	if f.quiet > mostQuiet {
		return fmt.Errorf("%d segments have passed and moved nothing", f.quiet)
	}
	if s.has(wire.TCPRst) {
		f.resets++
		return nil
	}
	if s.has(wire.TCPSyn) {
		if err := f.sentSYN(x, s); err != nil {
			return err
		}
	} else if !x.known {
		return fmt.Errorf("no SYN came before")
	}
	if s.has(wire.TCPAck) {
		if err := f.sentACK(x, y, s); err != nil {
			return err
		}
	}
	if s.length > 0 || s.has(wire.TCPFin) {
		return f.sentData(f.ends[side], s)
	}
	if !s.has(wire.TCPSyn) {
		if x.causes--; x.causes < 0 {
			return fmt.Errorf("a bare acknowledgment without a cause")
		}
	}
	return nil
}

func (f *Flow) sentSYN(x *witness, s *segment) error {
	if x.known && x.isn != s.seq {
		if x.una > 0 {
			return fmt.Errorf("the initial sequence number is %d, and was %d", s.seq, x.isn)
		}
		*x = witness{} // what was known of the connection was forgotten, and it begins anew
	}
	if !x.known {
		x.known, x.isn, x.next = true, s.seq, 1
	}
	var o wire.TCPOptions
	if err := o.Parse(s.options); err != nil {
		return err
	}
	x.offersScale, x.shift = o.HasWindowScale, o.WindowScale
	return nil
}

func (f *Flow) sentACK(x, y *witness, s *segment) error {
	if !y.known {
		return fmt.Errorf("it acknowledges what was never sent")
	}
	ack := position(s.ack, y.isn, x.acked)
	unit := int64(1)
	if !s.has(wire.TCPSyn) {
		unit <<= x.scale(y)
	}
	edge := ack + int64(s.window)*unit
	switch {
	case ack > y.next:
		return fmt.Errorf("it acknowledges octet %d, and %d have been sent", ack, y.next)
	case ack < x.acked:
		return fmt.Errorf("it acknowledges octet %d, and %d was acknowledged before", ack, x.acked)
	case edge <= x.edge-unit && (y.fin == 0 || ack <= y.fin) && !s.has(wire.TCPSyn): // which if it is repeated has no scale to say so
		return fmt.Errorf("the right edge of the window moves left, from %d to %d", x.edge, edge)
	}
	if ack > x.acked || edge > x.edge {
		f.quiet = 0
	}
	x.acked, x.edge = ack, max(x.edge, edge)
	return nil
}

func (f *Flow) sentData(e *end, s *segment) error {
	x := &e.witness
	start := position(s.seq, x.isn, x.next)
	if s.has(wire.TCPSyn) {
		start++ // of TCP Fast Open; the peer has offered no window yet
	}
	stop := start + int64(s.length)
	probe := s.length == 1 && start == x.granted
	switch {
	case start > x.next:
		return fmt.Errorf("it begins at octet %d, and only %d have been sent", start, x.next)
	case stop > int64(1+e.wrote):
		return fmt.Errorf("it ends at octet %d, and only %d have been written", stop, e.wrote)
	case stop > x.granted && s.length > 0 && !probe && !s.has(wire.TCPSyn):
		return fmt.Errorf("it ends at octet %d, beyond the window, which ends at %d", stop, x.granted)
	case x.fin != 0 && stop > x.fin, s.has(wire.TCPFin) && x.fin != 0 && stop != x.fin:
		return fmt.Errorf("it ends at octet %d, and the FIN is at %d", stop, x.fin)
	}
	if s.has(wire.TCPFin) {
		x.fin = stop
		stop++
	}
	if stop > x.next {
		x.next = stop
		f.quiet = 0
	}
	return nil
}

// received takes note of a segment that reaches one end undamaged.
func (f *Flow) received(side int, s *segment) {
	x, y := &f.ends[side].witness, &f.ends[1-side].witness
	if !y.known {
		return
	}
	switch {
	case s.has(wire.TCPSyn|wire.TCPAck) && x.known:
		x.granted = max(x.granted, position(s.ack, x.isn, x.next)+int64(s.window)) // behind what the SYN has carried
	case s.has(wire.TCPSyn):
		x.granted = max(x.granted, 1+int64(s.window))
	case s.has(wire.TCPAck) && x.known:
		ack := position(s.ack, x.isn, x.next)
		x.una = max(x.una, ack)
		x.granted = max(x.granted, ack+int64(s.window)<<y.scale(x))
	}
	if x.calledFor(y, s) {
		x.causes = min(x.causes+2, mostCauses) // for itself, and for the window once it was read
	}
}

// calledFor reports whether a segment that has arrived may be answered by a bare acknowledgment: unless it is one itself,
// with the sequence number that is expected, and not known to be an old one by its timestamp.
func (x *witness) calledFor(y *witness, s *segment) bool {
	old := false
	if len(s.options) > 0 {
		var o wire.TCPOptions
		if o.Parse(s.options) == nil && o.HasTimestamps {
			old = int32(o.TSVal-x.lastTime) < 0 && x.lastTime != 0
			if !old {
				x.lastTime = o.TSVal
			}
		}
	}
	return old || s.length > 0 || s.flags&(wire.TCPSyn|wire.TCPFin|wire.TCPRst) != 0 || position(s.seq, y.isn, x.acked) != x.acked
}
