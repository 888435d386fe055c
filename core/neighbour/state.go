package neighbour

// State is RFC 4861's reachability state of a neighbour, section 7.3.2, with two for what it keeps no entry for, and
// one for entries that do not change.
//
//	NONE, FAILED ───── packet ─────→ INCOMPLETE ── answer ──────→ REACHABLE
//	                                 INCOMPLETE ── no answer ───→ FAILED
//	                                 INCOMPLETE ── other news ──→ STALE
//	REACHABLE ── time, or doubt ───→ STALE ─────── packet ──────→ DELAY
//	DELAY ────── time ─────────────→ PROBE ─────── no answer ───→ FAILED
//	STALE, DELAY, PROBE ────────── answer, confirmation ────────→ REACHABLE
//	STALE, FAILED ──────────────── time ────────────────────────→ forgotten
type State uint8

// The order matters: with a state above Stale a packet is sent without further ado.
const (
	// None: nothing has been sent to the neighbour, and nothing heard from it. The next packet starts resolution.
	None State = iota
	// Failed: the neighbour did not answer. The next packet starts resolution anew, at the rate that probes may have.
	Failed
	// Incomplete: probes are under way, and packets wait for an answer.
	Incomplete
	// Stale: the hardware address is known and not known to be good. It is used, and doing so leads to Delay.
	Stale
	// Delay: the address is in use, and an upper layer has a while to confirm it.
	Delay
	// Probe: the address is in use, and being verified by unicast probes.
	Probe
	// Reachable: the neighbour was confirmed a short while ago.
	Reachable
	// Static: the address was configured. It is never probed and never changed by what is heard.
	Static
)

// String is the state's name as Linux writes it: "REACHABLE".
func (s State) String() string {
	switch s {
	case None:
		return "NONE"
	case Failed:
		return "FAILED"
	case Incomplete:
		return "INCOMPLETE"
	case Stale:
		return "STALE"
	case Delay:
		return "DELAY"
	case Probe:
		return "PROBE"
	case Reachable:
		return "REACHABLE"
	case Static:
		return "STATIC"
	}
	return "unknown"
}
