package tcp

import "github.com/smolnet/smolnet/core/ip"

// forwarding is what goes on behind one interface with addresses that are not the stack's own. It lasts as long as there is a
// forwarder, or anything that one has begun.
type forwarding struct {
	forwarder *Forwarder // nil: it was closed
	occupants int        // of the table, with such an address
}

// forwarder is that of an interface, nil if there is none.
func (h *Host) forwarder(link int32) *Forwarder {
	if w := h.forwards[link]; w != nil {
		return w.forwarder
	}
	return nil
}

func (h *Host) beginForwarding(f *Forwarder) error {
	w := h.forwards[f.link]
	if w == nil {
		if err := h.network.Intercept(f.link, ip.ProtocolTCP, true); err != nil {
			return err
		}
		w = new(forwarding)
		h.forwards[f.link] = w
	}
	if w.forwarder != nil {
		return ip.ErrAddressInUse
	}
	w.forwarder = f
	return nil
}

// endForwarding lets go of an interface for which there is no more use.
func (h *Host) endForwarding(link int32) {
	if w := h.forwards[link]; w.forwarder == nil && w.occupants == 0 {
		delete(h.forwards, link)
		h.network.Intercept(link, ip.ProtocolTCP, false) // if the interface is gone, so is this
	}
}

// beginForwarded counts something that has come under a name with an address that is not the stack's own.
func (h *Host) beginForwarded(i *id) {
	w := h.forwards[i.link()]
	if w == nil { // the last of what was begun there has just left, for this to take its place
		h.network.Intercept(i.link(), ip.ProtocolTCP, true)
		w = new(forwarding)
		h.forwards[i.link()] = w
	}
	w.occupants++
}

// endForwarded counts that it has gone.
func (h *Host) endForwarded(i *id) {
	h.forwards[i.link()].occupants--
	h.endForwarding(i.link())
}
