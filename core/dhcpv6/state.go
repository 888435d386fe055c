package dhcpv6

import "github.com/smolnet/smolnet/core/wire"

// State is what a client is doing.
//
//	Stopped ──── stateful ──→ Soliciting ─ Advertise ─→ Requesting ── Reply ──→ Bound
//	                          Soliciting ─────── Reply, with rapid commit ────→ Bound
//	Bound ────── T1 ────────→ Renewing ─── T2 ────────→ Rebinding ─ expiry ───→ Soliciting
//	                          Renewing, Rebinding ───── Reply ────────────────→ Bound
//	Bound ────── link ──────→ Confirming ─ Reply, time ───────────────────────→ Bound
//	Bound ────── conflict ──→ Declining ── Reply, time ───────→ Bound, or Soliciting without an address
//	any ──────── release ───→ Releasing ── Reply, time ───────────────────────→ Stopped
//	Stopped ──── stateless ─→ Informing ── Reply ─────→ Informed ── refresh ──→ Informing
type State uint8

const (
	Stopped    State = iota // nothing is asked for
	Soliciting              // servers are looked for
	Requesting              // a server has been chosen and asked for addresses
	Confirming              // the link may have changed, and servers are asked whether the addresses are right for it
	Assigned                // there are addresses, and nothing to be done until T1
	Renewing                // the server is asked to extend the lifetimes
	Rebinding               // any server is
	Declining               // the server is told of addresses that somebody else has
	Releasing               // the server is told that the addresses are not needed any more
	Informing               // servers are asked for what they say besides addresses
	Informed                // that is known, and nothing to be done until it is to be refreshed
)

var states = [...]string{
	Stopped: "stopped", Soliciting: "soliciting", Requesting: "requesting", Confirming: "confirming", Assigned: "bound",
	Renewing: "renewing", Rebinding: "rebinding", Declining: "declining", Releasing: "releasing", Informing: "informing",
	Informed: "informed",
}

// String is the state in a word.
func (s State) String() string {
	if int(s) < len(states) {
		return states[s]
	}
	return "unknown"
}

// exchanges are the messages that the states send, 0 where they send none.
var exchanges = [Informed + 1]uint8{
	Soliciting: wire.DHCPv6Solicit, Requesting: wire.DHCPv6Request, Confirming: wire.DHCPv6Confirm,
	Renewing: wire.DHCPv6Renew, Rebinding: wire.DHCPv6Rebind, Declining: wire.DHCPv6Decline,
	Releasing: wire.DHCPv6Release, Informing: wire.DHCPv6InformationRequest,
}
