// Package congestion decides how much a connection may have in flight.
package congestion

// Window is a connection's congestion state, in octets, as RFC 5681 section 2 names it. The connection owns it; a
// Controller changes it.
type Window struct {
	Cwnd     int // congestion window: the limit on what is in flight
	Ssthresh int // slow start threshold: below it cwnd grows exponentially
	acked    int // octets acknowledged since cwnd last grew, in congestion avoidance
}

// Ack is what a Controller learns of an acknowledgment of new data outside recovery.
type Ack struct {
	Acked   int  // octets newly acknowledged
	Flight  int  // octets in flight before it
	MSS     int  // octets of a full segment
	Limited bool // whether cwnd, not the sender or the receiver, limited what was in flight
}

// Controller is a congestion control algorithm. Its methods are events in a connection's life.
type Controller interface {
	// Name is what the algorithm is chosen by.
	Name() string
	// Start begins a connection, with the initial window in octets.
	Start(w *Window, initial int)
	// Ack: new data was acknowledged, outside loss recovery.
	Ack(w *Window, a Ack)
	// Loss: duplicate acknowledgments say that a segment was lost. The Controller sets Ssthresh; recovery sets Cwnd.
	Loss(w *Window, flight, mss int)
	// Recovered: all that was in flight at the Loss has arrived; flight octets are on their way now. Recovery has changed
	// Cwnd meanwhile; the Controller sets it anew.
	Recovered(w *Window, flight, mss int)
	// Timeout: a retransmission timeout, the first for the segment it is about.
	Timeout(w *Window, flight, mss int)
	// Idle: nothing was sent for longer than the retransmission timeout.
	Idle(w *Window, initial int)
}

// unlimited is a window that limits nothing: the largest that TCP's sequence space has room for.
const unlimited = 1 << 30

// ByName returns the algorithm called name: "reno" or "none"; ok is false for any other.
func ByName(name string) (c Controller, ok bool) {
	switch name {
	case "reno":
		return Reno{}, true
	case "none":
		return None{}, true
	}
	return nil, false
}
