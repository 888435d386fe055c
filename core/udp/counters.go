package udp

// Counters are a host's statistics. Those of RFC 4113's udp group carry its names; the others say what became of a
// datagram.
type Counters struct {
	InDatagrams  uint64 // datagrams put into an endpoint's receive queue
	NoPorts      uint64 // datagrams for which there was no endpoint
	InErrors     uint64 // datagrams that could not be delivered for any other reason
	OutDatagrams uint64 // datagrams handed to the network layer

	InOctets  uint64 // octets of payload in InDatagrams
	OutOctets uint64 // octets of payload in OutDatagrams

	InHeaderErrors     uint64 // of InErrors: shorter than a header, or port 0
	InLengthErrors     uint64 // of InErrors: the length field contradicts the header or the packet
	InChecksumErrors   uint64 // of InErrors: the checksum was wrong
	InNoChecksum       uint64 // of InErrors: without a checksum, over IPv6
	InReceiveQueueFull uint64 // of InErrors: the endpoint's queue was full
	InFlowsFull        uint64 // of InErrors: it would be a new flow, and too many wait to be accepted, or Limits.Endpoints
	InNotForwarded     uint64 // of InErrors: to others' addresses, behind a forwarder that was closed

	Flows         uint64 // flows that forwarders have begun
	FlowsRejected uint64 // of Flows: the user has rejected them

	NoPortsGroup uint64 // of NoPorts: sent to a broadcast or multicast address, and so not answered

	OutErrors    uint64 // datagrams that Send refused for good, or that had no way any more when they were to leave
	OutQueueFull uint64 // times that Send refused a datagram for lack of room

	ErrorsDelivered uint64 // ICMP errors that reached a connected endpoint
	ErrorsIgnored   uint64 // ICMP errors that were about no connected endpoint's datagram
}
