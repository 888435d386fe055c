package radio

import (
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// headerOf is the header of a frame; one that asks for nothing if it is none that is known.
func headerOf(p *packet.Packet) (h wire.IEEE802154Repr) {
	if h.Parse(p.Header(p.Len())) != nil {
		return wire.IEEE802154Repr{}
	}
	return h
}

// isAcknowledgment reports whether the frame is an acknowledgment.
func isAcknowledgment(p *packet.Packet) bool { return headerOf(p).Type == wire.IEEE802154Ack }

// has reports whether an address is the node's.
func (n *Node) has(a wire.LinkAddr) bool {
	if number, ok := a.Short(); ok {
		return n.config.ShortAddr != 0 && number == n.config.ShortAddr
	}
	eui64, ok := a.Extended()
	return ok && eui64 == n.config.EUI64
}
