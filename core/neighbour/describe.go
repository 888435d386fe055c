package neighbour

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/smolnet/smolnet/core/wire"
)

// Neighbour is what is known of a neighbour, as of when it was asked for.
type Neighbour struct {
	// Addr is its IP address, without zone.
	Addr netip.Addr
	// HardwareAddr is its address on the Ethernet; zero: it is not known.
	HardwareAddr wire.HardwareAddr
	// State says how much that is worth.
	State State
	// Router says that it claims to be a router, by IPv6.
	Router bool
	// Queued is how many packets wait for HardwareAddr.
	Queued int
}

// Neighbour describes the entry.
func (e *Entry) Neighbour() Neighbour {
	n := Neighbour{Addr: e.addr, State: e.state, Router: e.router, Queued: e.queue.Len()}
	if hw, ok := e.HardwareAddr(); ok { // else it may be one of before
		n.HardwareAddr = hw
	}
	return n
}

// String is the neighbour on one line, as "fe80::1 02:00:00:00:00:01 router REACHABLE".
func (n Neighbour) String() string {
	var b strings.Builder
	b.WriteString(n.Addr.String())
	if !n.HardwareAddr.IsZero() {
		fmt.Fprintf(&b, " %v", n.HardwareAddr)
	}
	if n.Router {
		b.WriteString(" router")
	}
	fmt.Fprintf(&b, " %v", n.State)
	return b.String()
}
