package dhcpv4

// State is a client's state, as RFC 2131 has it in figure 5, with two more: one for the time in which the address is
// checked, and one for a client that does not run.
//
//	INIT ─────────── DISCOVER ──→ SELECTING ── OFFER: REQUEST ──→ REQUESTING
//	INIT-REBOOT ──── REQUEST ───→ REBOOTING
//	REQUESTING, REBOOTING ── ACK ──→ CHECKING ── nobody has it ──→ BOUND
//	                                 CHECKING ── conflict: DECLINE ──→ INIT, after 10 s
//	BOUND ────────── T1: REQUEST to the server ──→ RENEWING
//	RENEWING ─────── T2: REQUEST to all ─────────→ REBINDING
//	RENEWING, REBINDING ── ACK ────→ BOUND
//	REQUESTING, REBOOTING, RENEWING, REBINDING ── NAK ──→ INIT
//	REBINDING ────── the lease's end ──→ INIT
type State uint8

const (
	// Stopped: the client has not been started, or has been released.
	Stopped State = iota
	// Init: nothing is known; the client waits before it begins.
	Init
	// InitReboot: an address is known from before; the client has not been started.
	InitReboot
	// Selecting: a DISCOVER is out, and offers are welcome.
	Selecting
	// Requesting: an offer was taken up, and is to be acknowledged.
	Requesting
	// Rebooting: the address of before is to be acknowledged.
	Rebooting
	// Checking: the lease is there, and the link finds out whether another host has its address.
	Checking
	// Bound: the lease is in use.
	Bound
	// Renewing: it is in use, and its server is asked for more.
	Renewing
	// Rebinding: it is in use, and any server is asked for more.
	Rebinding
)

// String is the state's name as RFC 2131 writes it: "INIT-REBOOT".
func (s State) String() string {
	if s > Rebinding {
		return "unknown"
	}
	return [...]string{
		"STOPPED", "INIT", "INIT-REBOOT", "SELECTING", "REQUESTING", "REBOOTING", "CHECKING", "BOUND", "RENEWING", "REBINDING",
	}[s]
}
