package tcp

import "github.com/smolnet/smolnet/core/packet"

// dropped counts a segment, or an answer, that goes no further, and tells who listens: cause says why in a few words. p
// stays the caller's.
func (h *Host) dropped(counter *uint64, p *packet.Packet, cause string) {
	*counter++
	if h.config.Dropped != nil && p != nil {
		h.config.Dropped(p, cause)
	}
}

// event tells who listens what has become of a connection.
func (h *Host) event(c *Conn, what string) {
	if h.config.Event != nil {
		h.config.Event(c, what)
	}
}
