package tcp

import (
	"hash/maphash"
	"slices"
)

// addListener puts l into the host's tables. Where there are listeners already, all share the address on purpose.
func (h *Host) addListener(l *Listener) {
	for _, k := range l.keys {
		if first := h.listeners[k]; first != nil {
			if h.sharers == nil {
				h.sharers = make(map[listenKey][]*Listener)
			}
			if h.sharers[k] == nil {
				h.sharers[k] = []*Listener{first}
			}
			h.sharers[k] = append(h.sharers[k], l)
			continue
		}
		h.listeners[k] = l
	}
	h.listening++
	h.ports.add(l.addr.Port())
}

// removeListener takes l out of the host's tables.
func (h *Host) removeListener(l *Listener) {
	for _, k := range l.keys {
		sharers := slices.DeleteFunc(h.sharers[k], func(other *Listener) bool { return other == l })
		switch len(sharers) {
		case 0:
			delete(h.listeners, k)
			continue
		case 1:
			delete(h.sharers, k)
		default:
			h.sharers[k] = sharers
		}
		h.listeners[k] = sharers[0]
	}
	h.listening--
	if len(l.keys) > 0 { // a forwarder's has none
		h.ports.remove(l.addr.Port())
	}
}

// listenerFor finds who listens for a segment. Of those that share the address it is the one that the connection's name falls to: by a
// seeded hash, so that nobody outside can choose whom to burden, and the same for all segments while those who share are the
// same.
func (h *Host) listenerFor(s *segment) *Listener {
	k, l := h.listenerAt(s.local, s.link)
	if l == nil || !l.binding.reusePort || len(h.sharers[k]) == 0 {
		return l
	}
	sharers := h.sharers[k]
	hash := maphash.Comparable(h.table.seed, newID(s.local, s.remote, s.link))
	return sharers[hash>>32*uint64(len(sharers))>>32]
}
