// Package congestion decides how much a connection may have in flight, and how fast it may send.
//
// A Controller learns of what happens to the connection as events and answers by changing the connection's Window. It keeps
// no time and reads no clock: times are nanoseconds since the stack's epoch.
package congestion

// Window is a connection's congestion state, in octets, as RFC 5681 section 2 names it. The connection owns it; its
// Controller changes it, and so does loss recovery, unless Autonomous says otherwise.
type Window struct {
	Cwnd     int   // congestion window: the limit on what is in flight
	Ssthresh int   // slow start threshold: below it cwnd grows exponentially
	Pacing   int64 // octets a second at which segments leave; 0: as fast as the windows allow

	// Autonomous says that the Controller decides about Cwnd in loss recovery and in idle times too: neither proportional
	// rate reduction (RFC 9937) nor congestion window validation (RFC 7661) touches it.
	Autonomous bool

	acked int32 // octets acknowledged since cwnd last grew, in congestion avoidance
}

// Ack is what a Controller learns of an acknowledgment that tells of newly delivered octets.
type Ack struct {
	Now       int64
	Acked     int // octets newly acknowledged cumulatively
	Delivered int // octets newly known to have arrived, be it cumulatively or selectively
	Lost      int // octets that this acknowledgment has let be taken for lost
	Prior     int // octets in flight before it
	Flight    int // octets in flight after it: sent, and neither arrived nor lost
	MSS       int // octets of a full segment

	Una, Nxt uint32 // SND.UNA and SND.NXT after it, by which round trips are counted

	Limited    bool // whether cwnd limited what was in flight, so that it may grow; never said if Window.Autonomous
	Recovering bool // whether fast recovery is under way: unless Window.Autonomous it has set Cwnd already

	RTT    int64 // what this acknowledgment has measured; 0: nothing
	SRTT   int64 // smoothed; 0: not measured yet
	MinRTT int64 // the least of the connection; 0: not measured yet

	Rate Rate
}

// Rate is a sample of the delivery rate (draft-ietf-ccwg-bbr, section "Delivery Rate Samples"), about the segment sent
// last of those newly known to have arrived.
type Rate struct {
	Delivered  int    // octets delivered in Interval
	Interval   int64  // 0: there is no sample
	AppLimited bool   // there was too little to send when the segment left, so that the rate says nothing of the path
	Prior      uint64 // Total when the segment left
	Total      uint64 // octets delivered since the connection began
}

// Loss is what a Controller learns of congestion.
type Loss struct {
	Now    int64
	Flight int // octets in flight; for Loss and Timeout before anything was taken for lost
	MSS    int
	ECN    bool // a router has marked a packet (RFC 3168) instead of dropping it
}

// Controller is a congestion control algorithm. Its methods are events in a connection's life.
type Controller interface {
	// Name is what the algorithm is chosen by.
	Name() string
	// Start begins a connection, with the initial window in octets. It is called again, before any data was sent, if the
	// handshake shows that the window must be smaller.
	Start(w *Window, initial int)
	// Ack: octets were delivered.
	Ack(w *Window, a *Ack)
	// Loss: a loss was found, or a mark has come, and recovery begins; it is called once for what happens in a round trip. The
	// Controller sets Ssthresh; recovery moves Cwnd there.
	Loss(w *Window, l Loss)
	// Recovered: all that was in flight at the Loss has arrived, without a Timeout since. The Controller sets Cwnd.
	Recovered(w *Window, l Loss)
	// Timeout: the retransmission timer has expired, for the first time for the segment it is about. The Controller sets
	// Ssthresh and Cwnd.
	Timeout(w *Window, l Loss)
	// Undo: the latest Loss or Timeout was none. Cwnd and Ssthresh have been restored; whatever else the Controller has
	// changed it restores itself.
	Undo(w *Window)
	// Restart: data is about to be sent, and nothing was in flight for the given time.
	Restart(w *Window, now, idle int64)
}

// unlimited is a window that limits nothing: the largest that TCP's sequence space has room for.
const unlimited = 1 << 30

// ByName returns a new Controller of the algorithm called name: "cubic", "bbr", "reno" or "none"; nil for any other.
func ByName(name string) Controller {
	switch name {
	case "cubic":
		return new(Cubic)
	case "bbr":
		return new(BBR)
	case "reno":
		return Reno{}
	case "none":
		return None{}
	}
	return nil
}
