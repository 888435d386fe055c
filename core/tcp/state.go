package tcp

// State is a connection's state, as RFC 9293 section 3.3.2 names them. LISTEN has no value: a Listener is a
// type of its own.
//
//	                 ┌───────────── Dial ─────────────┐        SYN to a Listener
//	                 ▼                                │                │
//	             SYN-SENT ──── SYN (both open) ──▶ SYN-RECEIVED   (SYN queue)
//	                 │ SYN|ACK                        │ ACK            │ ACK
//	                 └────────────┬───────────────────┴────────────────┘
//	                              ▼
//	    ┌──── CloseWrite ──── ESTABLISHED ──── FIN ────┐
//	    ▼                                              ▼
//	FIN-WAIT-1 ── FIN ──▶ CLOSING                  CLOSE-WAIT
//	    │ ACK                │ ACK                     │ CloseWrite
//	    ▼                    ▼                         ▼
//	FIN-WAIT-2 ── FIN ──▶ TIME-WAIT                LAST-ACK ── ACK ──▶ CLOSED
type State uint8

const (
	Closed      State = iota // no connection, or none any more
	SynSent                  // waits for the peer's SYN, having sent one
	SynReceived              // waits for the SYN sent to be acknowledged, having received one
	Established              // data flows both ways
	FinWait1                 // waits for the FIN sent to be acknowledged; the peer may go on sending
	FinWait2                 // waits for the peer's FIN
	CloseWait                // the peer has finished, the user has not
	Closing                  // both have finished; waits for the FIN sent to be acknowledged
	LastAck                  // as Closing, but the peer was first
	TimeWait                 // over, but remembered until no segment of it can be on its way any more
)

var stateNames = [...]string{
	"CLOSED", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK",
	"TIME-WAIT",
}

// String is the state's name as RFC 9293 writes it: "SYN-SENT".
func (s State) String() string { return stateNames[s] }

// synchronized reports whether both sides know each other's sequence numbers.
func (s State) synchronized() bool { return s >= Established }

// sends reports whether data or a FIN may still have to be sent, or sent again.
func (s State) sends() bool {
	switch s {
	case Established, CloseWait, FinWait1, Closing, LastAck:
		return true
	}
	return false
}

// receives reports whether the peer may still send data.
func (s State) receives() bool {
	switch s {
	case Established, FinWait1, FinWait2:
		return true
	}
	return false
}
