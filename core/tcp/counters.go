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
	InAfterFin       uint64 // segments whose payload or FIN was dropped: it came behind the peer's FIN
	OutNoRoutes      uint64 // SYNs dropped, and resets and other answers not sent: no route to the peer

	SynQueueFull     uint64 // SYNs dropped: too many half-open connections
	AcceptQueueFull  uint64 // SYNs and final ACKs dropped: nobody accepts
	ConnectionsFull  uint64 // final ACKs dropped: Limits.Connections
	HalfOpenTimeouts uint64 // half-open connections given up: the final ACK never came
	HalfOpenResets   uint64 // half-open connections that the peer reset

	OutOfWindow       uint64 // segments dropped: nothing in them lies in the window
	OutOfOrderDropped uint64 // segments dropped: too much is held out of order
	ChallengeAcks     uint64 // ACKs sent in answer to a suspicious segment (RFC 5961)
	ChallengeLimited  uint64 // such answers not sent because of the rate limit
	InRsts            uint64 // resets accepted; those of half-open connections are HalfOpenResets
	InRstsIgnored     uint64 // resets dropped: they belong to nothing, or are not exactly in sequence; challenged if in the window
	DataAfterClose    uint64 // connections reset because data came after Close

	RetransTimeouts  uint64 // retransmission timeouts
	FastRetransmits  uint64 // recoveries begun by duplicate acknowledgments
	ZeroWindowProbes uint64
	KeepAlives       uint64 // keep-alive probes sent
	Timeouts         uint64 // connections given up: the peer stopped answering
	TimeWaitReused   uint64 // connections in TIME-WAIT that gave way to a new SYN
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
