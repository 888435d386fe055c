package udp

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/smolnet/smolnet/core/ip"
)

// choosePort returns an ephemeral port for e, which has none yet.
//
// It is RFC 6056's Algorithm 1, Simple Port Randomization: a random port of the range, or if it is taken the next one
// that is not.
// https://www.rfc-editor.org/rfc/rfc6056.html#section-3.3.1
func (h *Host) choosePort(e *Endpoint) (uint16, error) {
	if _, err := io.ReadFull(h.config.Rand, h.random[:]); err != nil {
		return 0, fmt.Errorf("udp: reading random octets: %w", err)
	}
	first := uint32(h.config.FirstPort)
	n := uint32(h.config.LastPort) - first + 1
	start := binary.NativeEndian.Uint32(h.random[:]) % n
	for i := range n {
		if port := uint16(first + (start+i)%n); h.free(e, port) {
			return port, nil
		}
	}
	return 0, ip.ErrAddressInUse
}

// free reports whether e could have the port: no other endpoint has it at the same address, or at one that includes
// the other.
func (h *Host) free(e *Endpoint, port uint16) bool {
	for other := h.ports[port]; other != nil; other = other.portNext {
		if other.link != 0 && e.link != 0 && other.link != e.link {
			continue
		}
		a, b := e.local.Addr(), other.local.Addr()
		if a == b || e.covers(b) || other.covers(a) {
			return false
		}
	}
	return true
}

// add puts e into the tables.
func (h *Host) add(e *Endpoint) {
	port := e.local.Port()
	e.portNext, h.ports[port] = h.ports[port], e
	for _, k := range e.keys() {
		h.table[k] = e
	}
	e.next = h.first
	if h.first != nil {
		h.first.previous = e
	}
	h.first = e
	h.endpoints++
	h.count(e, 1)
}

// remove takes e out of the tables; it stays among all endpoints until it is forgotten.
func (h *Host) remove(e *Endpoint) {
	for _, k := range e.keys() {
		delete(h.table, k)
	}
	h.count(e, -1)
	port := e.local.Port()
	if h.ports[port] == e {
		if h.ports[port] = e.portNext; e.portNext == nil {
			delete(h.ports, port)
		}
		return
	}
	for other := h.ports[port]; other != nil; other = other.portNext {
		if other.portNext == e {
			other.portNext = e.portNext
			return
		}
	}
}

func (h *Host) count(e *Endpoint, n int) {
	if e.remote.IsValid() {
		h.connected += n
	}
	if e.link != 0 {
		h.linked += n
	}
}
