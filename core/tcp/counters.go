package tcp

import "time"

// Counters are a host's statistics. Those of RFC 4022's tcp group carry its names; the others say why a segment was dropped or sent
// again.
type Counters struct {
	ActiveOpens  uint64 // connections that Dial began
	PassiveOpens uint64 // connections that a SYN to a listener began
	AttemptFails uint64 // connections that failed before they were established
	EstabResets  uint64 // connections that went from ESTABLISHED or CLOSE-WAIT straight to CLOSED: reset, or given up
	CurrEstab    uint64 // connections in ESTABLISHED or CLOSE-WAIT now
	InSegs       uint64 // segments received, bad ones included; a merged one counts as those it was made of
	OutSegs      uint64 // segments sent, without those that only repeat octets
	RetransSegs  uint64 // segments sent that repeat octets
	InErrs       uint64 // segments dropped because they were malformed
	OutRsts      uint64 // segments sent with RST

	InOctets  uint64 // octets of payload delivered in order
	OutOctets uint64 // octets of payload sent for the first time

	InChecksumErrors uint64 // of InErrs: the checksum was wrong
	InHeaderErrors   uint64 // of InErrs: the header was short or its length wrong
	InOptionErrors   uint64 // segments with a malformed option list; what could be read was used
	InFlagErrors     uint64 // of InErrs: SYN together with FIN or RST
	InGroup          uint64 // segments dropped: sent to a broadcast or multicast address
	NoListener       uint64 // segments answered with a reset: nothing is open there
	InNoAck          uint64 // segments dropped: without ACK, SYN and RST, which fits no state but CLOSED
	InNoSyn          uint64 // segments dropped: without SYN, to a connection in SYN-SENT
	InDuplicates     uint64 // segments whose octets had arrived before, all or some of them
	TimestampMissing uint64 // segments dropped: without a timestamp, where both sides had agreed on them (RFC 7323)
	TimestampOld     uint64 // segments dropped: their timestamp is older than what has arrived (PAWS, RFC 7323)
	InMarked         uint64 // segments received that a router had marked (RFC 3168)
	InAfterFin       uint64 // segments whose payload or FIN was dropped: it came behind the peer's FIN
	OutNoRoutes      uint64 // SYNs dropped, and resets and other answers not sent: no route to the peer

	SynQueueFull     uint64 // SYNs dropped: too many half-open connections, and no SYN cookie is sent
	AcceptQueueFull  uint64 // SYNs and final ACKs dropped: nobody accepts
	ConnectionsFull  uint64 // final ACKs dropped: Limits.Connections
	HalfOpenTimeouts uint64 // half-open connections given up: the final ACK never came
	HalfOpenStale    uint64 // of HalfOpenTimeouts: earlier than SYNRetries has it, to make room for new ones
	HalfOpenResets   uint64 // half-open connections that the peer reset

	Held             uint64 // SYNs that forwarders have taken to hold
	HeldDuplicates   uint64 // SYNs dropped: those before them are held still
	HeldTimeouts     uint64 // held requests that nobody has decided on in time
	HeldResets       uint64 // held requests that the peer reset
	InFlightFull     uint64 // SYNs dropped: a forwarder has too many requests in flight, or Limits.HalfOpen
	InFlightPeerFull uint64 // SYNs dropped: a forwarder has too many requests of that peer in flight
	NotForwarded     uint64 // segments dropped: to others' addresses, behind a forwarder that was closed

	CookiesSent     uint64 // SYNs answered with a SYN cookie: the SYN queue was full
	CookiesReceived uint64 // connections made from a cookie that came back
	CookiesFailed   uint64 // ACKs that belong to nothing and hold no valid cookie, while cookies are out

	FastOpenGranted  uint64 // Fast Open cookies sent
	FastOpenAccepted uint64 // connections that a SYN with data and a valid cookie opened
	FastOpenRefused  uint64 // SYNs whose cookie was not valid; the handshake goes on without their data
	FastOpenFull     uint64 // SYNs with a valid cookie whose data was not taken: Limits.FastOpen or Limits.Connections
	FastOpenUsed     uint64 // connections that Dial began and whose data the peer took with the SYN
	FastOpenTimeouts uint64 // SYNs with a Fast Open option that nobody answered in time: not tried there for a while

	OutOfWindow       uint64 // segments dropped: nothing in them lies in the window
	OutOfOrderDropped uint64 // segments dropped: too much is held out of order
	ChallengeAcks     uint64 // ACKs sent in answer to a suspicious segment (RFC 5961)
	ChallengeLimited  uint64 // such answers not sent because of the rate limit
	InRsts            uint64 // resets accepted; those of half-open connections are HalfOpenResets
	InRstsIgnored     uint64 // resets dropped: they belong to nothing, or are not exactly in sequence; challenged if in the window
	DataAfterClose    uint64 // connections reset because data came after Close

	RetransTimeouts uint64 // retransmission timeouts
	FastRetransmits uint64 // recoveries begun because of what has arrived: SACK, or duplicate acknowledgments

	SpuriousRecoveries uint64 // recoveries and timeouts taken back: nothing was lost
	TailLossProbes     uint64 // tail loss probes sent
	TailLossRecoveries uint64 // of those, which have repaired a loss
	DuplicateSACKs     uint64 // reports of octets that have arrived twice (RFC 2883)
	PathMTUReduced     uint64 // segment sizes lowered because a router said so
	PathMTURaised      uint64 // segment sizes raised by a probe that arrived
	PathMTUProbes      uint64 // probes for larger segments sent (RFC 4821)
	BlackHoles         uint64 // segment sizes changed because large segments did not arrive (RFC 4821)
	CongestionMarks    uint64 // windows reduced because of a mark (RFC 3168)

	ZeroWindowProbes uint64
	KeepAlives       uint64 // keep-alive probes sent
	Timeouts         uint64 // connections given up: the peer stopped answering
	TimeWaitReused   uint64 // connections in TIME-WAIT that gave way to a new SYN, the peer's or ours
	TimeWaitEvicted  uint64 // connections in TIME-WAIT forgotten early: Limits.TimeWait

	RTT RTT // of all connections
}

// RTT sums up the round-trip times that were measured.
type RTT struct {
	Samples  uint64
	Smoothed time.Duration // moving average over all connections, an eighth of each sample
	Min, Max time.Duration
}

func (r *RTT) add(sample time.Duration) {
	if r.Samples == 0 {
		r.Smoothed, r.Min, r.Max = sample, sample, sample
	}
	r.Samples++
	r.Smoothed += (sample - r.Smoothed) / 8
	r.Min = min(r.Min, sample)
	r.Max = max(r.Max, sample)
}
