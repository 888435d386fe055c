package udp

import "net/netip"

// Header is what one datagram is to have in its IP header instead of what the endpoint's options and the routes say. The
// zero value changes nothing.
type Header struct {
	// Source is the address to send from, one of the stack's own; an endpoint bound to an address may send from
	// another. Not valid: as ever.
	Source netip.Addr
	// Link is the index of the interface to leave by; 0: any. An endpoint bound to a link uses that.
	Link int32
	// HopLimit is IPv4's TTL; 0: as ever.
	HopLimit uint8
	// TrafficClass is IPv4's TOS; 0: as ever, unless HasTrafficClass says that it is meant.
	TrafficClass    uint8
	HasTrafficClass bool
}

// complete fills in the endpoint's own choices.
func (h *Header) complete(e *Endpoint, dst netip.Addr) {
	if !h.Source.IsValid() {
		h.Source = e.source
	}
	if e.link != 0 {
		h.Link = e.link
	}
	if h.Link == 0 && dst.IsMulticast() {
		h.Link = e.options.MulticastLink
	}
	if h.HopLimit == 0 {
		h.HopLimit = e.hopLimit(dst)
	}
	if h.TrafficClass == 0 && !h.HasTrafficClass {
		h.TrafficClass = e.options.TrafficClass
	}
}
