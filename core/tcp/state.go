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
	Closed State = iota
	SynSent
	SynReceived
	Established
	FinWait1
	FinWait2
	CloseWait
	Closing
	LastAck
	TimeWait
)

var stateNames = [...]string{
	"CLOSED", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK",
	"TIME-WAIT",
}

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
