package tcp

import "time"

// Info is a connection's condition at one moment: what Linux has in its tcp_info. Amounts are octets unless it says otherwise, and
// of payload; rates are octets a second.
type Info struct {
	State             State
	Options           Options // what was asked for, defaults filled in; see below for what came of it
	CongestionControl string

	// What both sides have agreed to in the handshake.
	SACK, Timestamps, ECN               bool
	FastOpen                            bool  // data that came with the SYN was taken (RFC 7413)
	SendWindowScale, ReceiveWindowScale uint8 // shifts; 0 also if not negotiated

	RTT, RTTVar, MinRTT time.Duration // smoothed, its variation, and the least; 0: not measured yet
	RTO                 time.Duration // the retransmission timeout, backoff included

	SendMSS    int // of payload in a full segment sent
	ReceiveMSS int // in the largest segment received
	PathMTU    int // the largest IP packet that the path is taken to carry

	Cwnd       int   // congestion window
	Ssthresh   int   // slow start threshold
	PacingRate int64 // at which segments leave; 0: as fast as the windows allow
	SendWindow int   // what the peer offers

	InFlight int // sent, and neither known to have arrived nor taken for lost
	Sacked   int // known to have arrived out of order
	Lost     int // taken for lost, and still to be sent again

	Recovery      Recovery      // what is being repaired
	Reordering    bool          // whether segments were seen to arrive out of order
	ReorderWindow time.Duration // how much later than one sent after it a segment may arrive before it is taken for lost
	DSACKs        uint64        // reports of the peer's that something has come twice (RFC 2883)

	// DeliveryRate is at what rate data has arrived, by the acknowledgment that told last; 0: not measured yet. DeliveryLimited
	// says that there was too little to send at the time: the path may carry more.
	DeliveryRate    int64
	DeliveryLimited bool

	Retransmits uint64 // segments sent again, SYNs included
	Timeouts    int    // retransmission timeouts in a row, since something was last acknowledged
	Backoff     int    // doublings of the timeout at the moment
	Probes      int    // of a closed window, or for life, since the peer was last heard

	OctetsSent          uint64 // without repetitions
	OctetsAcked         uint64 // of those sent
	OctetsRetransmitted uint64
	OctetsReceived      uint64 // in order

	Unsent     int // written and never sent
	Unread     int // received in order and not consumed
	OutOfOrder int // held out of order

	ReceiveWindow                           int // what is offered to the peer
	ReceiveBuffer, SendBuffer               int // what they may hold at present
	LargestReceiveBuffer, LargestSendBuffer int // to which they may tune themselves
	QuickACKs                               int // segments still to be acknowledged without delay

	LastSent, LastReceived time.Time // when data left, and when anything acceptable came; at first when the connection began
}

// Recovery is what a connection is repairing.
type Recovery uint8

const (
	RecoveryNone      Recovery = iota // nothing is known to be lost
	RecoveryReduction                 // nothing is lost, but the congestion window comes down because of a mark (RFC 3168)
	RecoveryFast                      // losses that were found by what has arrived
	RecoveryTimeout                   // what was in flight at a retransmission timeout
)

var recoveryNames = [...]string{"none", "reduction", "fast", "timeout"}

// String is a word for it: "none", "reduction", "fast" or "timeout".
func (r Recovery) String() string { return recoveryNames[r] }

// Info describes the connection as it is now.
func (c *Conn) Info() Info {
	i := Info{
		State: c.State(), Options: *c.options, CongestionControl: c.congestion.Name(),
		SACK: c.sackOK, Timestamps: c.ts.on, ECN: c.ecn.on, FastOpen: c.opensFast,
		SendWindowScale: c.sndShift, ReceiveWindowScale: c.rcvShift,
		RTT: nanoseconds(c.rtt.srtt), RTTVar: nanoseconds(c.rtt.rttvar), MinRTT: nanoseconds(c.rtt.min),
		RTO:     nanoseconds(c.timeout()),
		SendMSS: int(c.sndMSS), ReceiveMSS: int(c.rcvMSS), PathMTU: c.pathMTU(),
		Cwnd: c.window.Cwnd, Ssthresh: c.window.Ssthresh, PacingRate: c.window.Pacing, SendWindow: int(c.sndWnd),
		InFlight: c.inFlight(), Lost: c.lost(),
		Reordering: c.reordering.seen, DSACKs: uint64(c.dsacks),
		DeliveryRate: int64(c.deliveryRate), DeliveryLimited: c.limited,
		Retransmits: uint64(c.again),
		Timeouts:    int(c.timers.retries), Backoff: int(c.timers.backoff), Probes: int(c.timers.probes),
		OctetsSent: c.octets.sent, OctetsRetransmitted: c.octets.retransmitted, OctetsReceived: c.octets.received,
		Unsent: max(distance(c.sndNxt, c.sndBase)+c.sndQ.Len(), 0), Unread: int(c.rcvUnread),
		ReceiveWindow: max(distance(c.rcvNxt, c.rcvEdge), 0),
		ReceiveBuffer: int(c.rcvBuffer), SendBuffer: int(c.sndBuffer), QuickACKs: int(c.quick),
		LastSent:     c.host.config.Epoch.Add(nanoseconds(c.timers.lastSent)),
		LastReceived: c.host.config.Epoch.Add(nanoseconds(c.timers.lastReceived)),
	}
	i.OctetsAcked = i.OctetsSent - uint64(c.unacked())
	_, i.LargestReceiveBuffer = c.host.receiveBuffer(c.options, 0)
	_, i.LargestSendBuffer = c.host.sendBuffer(c.options, 0)
	if c.rcvOoo != nil {
		i.OutOfOrder = c.rcvOoo.Octets()
	}
	if f := c.flight; f != nil {
		i.Sacked, i.Recovery = f.sent.sacked, Recovery(f.recovery.phase)
	}
	if c.sackOK {
		i.ReorderWindow = nanoseconds(c.reordering.window(c.rtt.min, c.rtt.srtt, c.urgent()))
	}
	return i
}

// unacked is how many octets of payload were sent and not acknowledged: what the sequence numbers say, less a FIN that has left.
func (c *Conn) unacked() int {
	fin := max(distance(c.iss+1+uint32(c.octets.sent), c.sndNxt), 0)
	return max(distance(c.sndBase, c.sndNxt)-fin, 0)
}

// pathMTU is the largest IP packet that the path is taken to carry: what the link does, unless there was reason to doubt it.
func (c *Conn) pathMTU() int {
	mtu := c.path.MTU()
	if m := c.mtu; m != nil && m.mss < m.link {
		headers := 60
		if c.id.is4() {
			headers = 40
		}
		mtu = min(mtu, int(m.mss)+headers)
	}
	return mtu
}
