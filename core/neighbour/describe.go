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
	// LinkAddr is its address on the link; zero: it is not known.
	LinkAddr wire.LinkAddr
	// State says how much that is worth.
	State State
	// Router says that it claims to be a router, by IPv6.
	Router bool
	// Queued is how many packets wait for LinkAddr.
	Queued int
}

// Neighbour describes the entry.
func (e *Entry) Neighbour() Neighbour {
	n := Neighbour{Addr: e.addr, State: e.state, Router: e.router, Queued: e.queue.Len()}
	if hw, ok := e.LinkAddr(); ok { // else it may be one of before
		n.LinkAddr = hw
	}
	return n
}

// String is the neighbour on one line, as "fe80::1 02:00:00:00:00:01 router REACHABLE".
func (n Neighbour) String() string {
	var b strings.Builder
	b.WriteString(n.Addr.String())
	if !n.LinkAddr.IsZero() {
		fmt.Fprintf(&b, " %v", n.LinkAddr)
	}
	if n.Router {
		b.WriteString(" router")
	}
	fmt.Fprintf(&b, " %v", n.State)
	return b.String()
}
