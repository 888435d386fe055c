package raw

// Counters are a host's statistics.
type Counters struct {
	InPackets  uint64 // IP packets put into the receive queues of IP endpoints, one for each copy
	InMessages uint64 // ICMP messages put into the receive queues of ICMP endpoints
	InFrames   uint64 // frames put into the receive queues of endpoints for frames

	InReceiveQueueFull uint64 // what would have been such, but for a queue that was full
	InChecksumErrors   uint64 // ICMPv6 messages with a wrong checksum, which no IP endpoint gets to see

	OutPackets   uint64 // packets, messages and frames handed to the network layer
	OutErrors    uint64 // those that Send refused for good, or that had no way any more when they were to leave
	OutQueueFull uint64 // times that Send refused one for lack of room

	ErrorsDelivered uint64 // ICMP errors that an endpoint has learnt of
}
