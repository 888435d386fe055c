// Package ieee802154 is what a node of an IEEE 802.15.4 network keeps in mind to send and receive MAC frames: which are for it and
// to be acknowledged, how the one under way is retransmitted, which were received before, how frames are secured, and how good
// the links to its neighbours are.
//
// Everything here is a plain struct whose methods are events. Times are nanoseconds since the stack's epoch.
package ieee802154

import (
	"errors"
	"fmt"
	"time"

	"github.com/smolnet/smolnet/core/wire"
)

// ErrInvalid is what every error about a configuration wraps.
var ErrInvalid = errors.New("ieee802154: invalid value")

// Node is who a node is: what it goes by when it decides which frames are for it.
type Node struct {
	PAN      uint16        // the network that it is in
	Extended wire.LinkAddr // its extended address
	Short    wire.LinkAddr // its short address; zero if it has none
}

// Accepts reports whether the frame with the header h is for the node, or for all. Beacons and immediate acknowledgments name no
// destination and are; other frames without one are for the network's coordinator, which a Node is not.
func (n *Node) Accepts(h *wire.IEEE802154Repr) bool {
	if h.Dst.IsZero() {
		return h.Type == wire.IEEE802154Beacon || h.Type == wire.IEEE802154Ack
	}
	// In 2015's edition a frame need not say which network it is in.
	if h.HasDstPAN() && h.DstPAN != n.PAN && h.DstPAN != wire.BroadcastPAN {
		return false
	}
	return n.Is(h.Dst) || h.Dst.IsMulticast()
}

// Is reports whether addr is one of the node's addresses.
func (n *Node) Is(addr wire.LinkAddr) bool {
	return !addr.IsZero() && (addr == n.Extended || addr == n.Short)
}

// Acknowledges reports whether the frame with the header h is to be acknowledged: its sender asks for that, and it is for this
// node alone. That holds for a frame that has come before, too, since its sender has not heard so.
func (n *Node) Acknowledges(h *wire.IEEE802154Repr) bool {
	wanted := h.AckRequest && (h.Type == wire.IEEE802154Data || h.Type == wire.IEEE802154Command)
	return wanted && !h.Dst.IsMulticast() && !h.Dst.IsZero() && n.Accepts(h)
}

// Acknowledgment is the frame that acknowledges the one with the header h: for frames of 2003's and 2006's editions the immediate
// acknowledgment, three octets that are the same for both; for one of 2015's the enhanced acknowledgment, without security or
// information elements, which names the sender if h does.
func Acknowledgment(h *wire.IEEE802154Repr) wire.IEEE802154Repr {
	ack := wire.IEEE802154Repr{Type: wire.IEEE802154Ack, Seq: h.Seq}
	if h.Version < wire.IEEE802154Version2015 {
		return ack
	}
	ack.Version, ack.SeqSuppressed, ack.Dst = h.Version, h.SeqSuppressed, h.Src
	hasPAN := h.HasDstPAN() || h.HasSrcPAN()
	switch {
	case h.Src.IsZero(): // no address, no PAN identifier
	case hasPAN:
		ack.DstPAN = h.SrcPAN
	default:
		ack.PANCompression = true
	}
	return ack
}

// setDefault gives *d its default if it is zero, and makes a negative one none.
func setDefault(d *time.Duration, standard time.Duration) {
	if *d == 0 {
		*d = standard
	}
	*d = max(*d, 0)
}

// maxTime keeps sums of times far from overflowing.
const maxTime = 24 * time.Hour

// checkTime refuses a time that is no use. The error wraps ErrInvalid.
func checkTime(name string, d time.Duration) error {
	if d > maxTime {
		return fmt.Errorf("%w: %s %v exceeds %v", ErrInvalid, name, d, maxTime)
	}
	return nil
}
