package core

import (
	"reflect"

	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/raw"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
)

// Counters are those of a whole stack since it was made: the sum over its interfaces, those removed since included,
// and the counters of the transports. Names are those of the standard MIBs, without the table's prefix. A
// super-segment (see packet.Packet.SegmentSize) counts as the one packet that it is to the stack.
type Counters struct {
	InterfaceCounters
	ICMPv4, ICMPv6 ICMPCounters
	TCP            tcp.Counters
	UDP            udp.Counters
	Raw            raw.Counters
}

// InterfaceCounters are those of one interface.
type InterfaceCounters struct {
	Link       LinkCounters
	ARP        ARPCounters
	IPv4, IPv6 IPCounters
	IGMP       IGMPCounters
	Neighbours neighbour.Counters
	Drops      Drops
}

// LinkCounters count frames, or packets on a medium without frames, with all their octets, after RFC 2863's ifTable.
type LinkCounters struct {
	InFrames   uint64
	InOctets   uint64
	OutFrames  uint64 // handed to the device, or to whoever sends for it
	OutOctets  uint64
	OutErrors  uint64 // the device refused the frame: see Interface.Refused
	OutDropped uint64 // did not leave: some queue was full, the neighbour did not answer, or, as OutErrors, the device refused
}

// ARPCounters count ARP packets.
type ARPCounters struct {
	InRequests  uint64
	InReplies   uint64
	OutRequests uint64 // announcements included
	OutReplies  uint64
	Conflicts   uint64 // packets that claim one of the interface's own addresses
}

// IPCounters are RFC 4293's ipIfStatsTable, for one version of IP. Octets include the IP header and not the link's.
type IPCounters struct {
	InReceives       uint64
	InOctets         uint64
	InHdrErrors      uint64
	InAddrErrors     uint64
	InUnknownProtos  uint64
	InTruncatedPkts  uint64
	ReasmReqds       uint64 // fragments received
	ReasmOKs         uint64 // packets put together
	ReasmFails       uint64 // packets given up, and fragments that could not be of any
	InForwDatagrams  uint64 // for somebody else, on an interface that forwards
	InNoRoutes       uint64 // of those, dropped for want of a route
	InDiscards       uint64
	InDelivers       uint64 // handed to a transport or to ICMP
	OutForwDatagrams uint64 // forwarded by this interface
	OutRequests      uint64 // handed down by a transport or by ICMP
	OutNoRoutes      uint64
	OutDiscards      uint64
	OutFragReqds     uint64 // packets that had to be cut into fragments
	OutFragOKs       uint64 // of OutFragReqds: all fragments have left
	OutFragFails     uint64 // packets that had to be cut, and must not be or for which there was no room
	OutFragCreates   uint64 // fragments made
	OutTransmits     uint64
	OutOctets        uint64
	InMcastPkts      uint64
	OutMcastPkts     uint64
	InBcastPkts      uint64
	OutBcastPkts     uint64
}

// ICMPCounters are RFC 4293's icmpStatsTable and icmpMsgStatsTable, for one version of ICMP.
type ICMPCounters struct {
	InMsgs   uint64
	InErrors uint64 // malformed, wrong checksum, or invalid by the message's own rules
	OutMsgs  uint64
	// OutErrors are messages that were not sent because something within ICMP forbade it or failed.
	OutErrors uint64
	// OutRateLimited are errors not sent because Limits.ICMPErrorRate was used up; they are among OutErrors.
	OutRateLimited uint64
	InType         [256]uint64 // by the message's type
	OutType        [256]uint64
	// NeighborDuplicates are advertisements by others for one of the stack's own addresses.
	NeighborDuplicates uint64
}

// Counters returns the sums as of now.
func (s *Stack) Counters() Counters {
	c := Counters{InterfaceCounters: s.rest, ICMPv4: s.icmp.v4, ICMPv6: s.icmp.v6,
		TCP: s.tcp.Counters(), UDP: s.udp.Counters(), Raw: s.raw.Counters()}
	for _, l := range s.interfaces {
		counters := l.Counters()
		c.InterfaceCounters.add(&counters)
	}
	return c
}

// Counters returns the interface's counters as of now.
func (l *Interface) Counters() InterfaceCounters {
	c := l.counters
	if l.neighbours != nil {
		c.Neighbours = l.neighbours.Counters()
		lost := c.Neighbours.Overflowed + c.Neighbours.Discarded
		c.Drops[DropNeighbourQueue] += lost
		c.Link.OutDropped += lost
	}
	return c
}

func (c *InterfaceCounters) add(other *InterfaceCounters) {
	addFields(reflect.ValueOf(c).Elem(), reflect.ValueOf(other).Elem())
}

// addFields adds every uint64 of from to its counterpart in to.
func addFields(to, from reflect.Value) {
	switch to.Kind() {
	case reflect.Uint64:
		to.SetUint(to.Uint() + from.Uint())
	case reflect.Struct:
		for i := range to.NumField() {
			addFields(to.Field(i), from.Field(i))
		}
	case reflect.Array:
		for i := range to.Len() {
			addFields(to.Index(i), from.Index(i))
		}
	}
}

// ip returns the counters of the packet's version of IP.
func (c *InterfaceCounters) ip(v6 bool) *IPCounters {
	if v6 {
		return &c.IPv6
	}
	return &c.IPv4
}

// drop counts a packet that goes no further under its cause and the MIB counter that it falls under, among those of
// its version of IP; nil if it is none.
func (c *InterfaceCounters) drop(cause DropCause, ip *IPCounters) {
	c.Drops[cause]++
	if effect := dropCauses[cause].effect; effect == outDiscard || effect == outNoRoute {
		c.Link.OutDropped++
	}
	if ip == nil {
		return
	}
	switch dropCauses[cause].effect {
	case headerError:
		ip.InHdrErrors++
	case addressError:
		ip.InAddrErrors++
	case unknownProtocol:
		ip.InUnknownProtos++
	case truncated:
		ip.InTruncatedPkts++
	case inNoRoute:
		ip.InNoRoutes++
	case inDiscard:
		ip.InDiscards++
	case outDiscard:
		ip.OutDiscards++
	case outNoRoute:
		ip.OutNoRoutes++
	}
}
