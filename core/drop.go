package core

import "fmt"

// DropCause names the reason why a packet was dropped. Every packet that the network layer does not hand on is counted
// under exactly one, see Drops; what a transport drops is in its own counters.
type DropCause uint8

// What can be wrong with a frame.
const (
	DropFrameTruncated DropCause = iota // shorter than its link header
	DropFrameSource                     // the source is a group address
	DropOtherHost                       // unicast to another station
	DropIEEE8023                        // IEEE 802.3 length instead of an EtherType
	DropVLAN                            // carries an IEEE 802.1Q tag
	DropEtherType                       // a protocol that the stack does not speak
	DropVersion                         // the version field contradicts the EtherType, or is neither 4 nor 6

	// What can be wrong with a frame of IEEE 802.15.4.
	DropRadioMalformed // truncated, contradictory, or of an edition that the stack does not know
	DropRadioType      // neither data nor an acknowledgment
	DropRadioPAN       // of another personal area network
	DropRadioDuplicate // came before: its acknowledgment was lost
	DropRadioUnsecured // secured less than it has to be
	DropRadioSecurity  // secured in a way that the stack does not know, or cannot be secured
	DropRadioKey       // secured with a key, or by a node, that is not known
	DropRadioReplay    // with a frame counter that was used before: a copy
	DropRadioSources   // from more nodes than Limits.Lowpan.FrameCounters has counters remembered of
	DropRadioForged    // its message integrity code is wrong
	DropRadioNoAck     // was sent as often as allowed, and not acknowledged

	// What can be wrong with 6LoWPAN in it.
	DropLowpanTruncated // shorter than its headers
	DropLowpanDispatch  // not 6LoWPAN, or of a kind that the stack does not know
	DropLowpanHeader    // a compressed header that cannot be
	DropLowpanContext   // a compressed header with an unknown context
	DropLowpanHeaders   // more headers than are allowed
	DropLowpanChecksum  // without a checksum, and nothing else vouches for it
	DropLowpanFragment  // a fragment of impossible size or place
	DropLowpanDuplicate // a fragment that came before
	DropLowpanFull      // a fragment for which there is no room
	DropLowpanOverlap   // fragments that overlap
	DropLowpanEvicted   // fragments that had to make room for newer ones
	DropLowpanTimeout   // fragments, and others of their packet did not come in time

	// What can be wrong with an ARP packet.
	DropARPMalformed // truncated, or not about Ethernet and IPv4
	DropARPSource    // the sender's addresses cannot be a station's
	DropARPTarget    // asks or tells about an address that does not concern the stack

	// What can be wrong with an IP header.
	DropTruncated          // shorter than its headers say or need
	DropHeaderLength       // the length fields contradict each other
	DropHeaderChecksum     // IPv4: the header checksum is wrong
	DropOptions            // IPv4: the options are malformed
	DropSourceRoute        // IPv4: the source route has further hops
	DropMartianSource      // a source that no packet may have here
	DropMartianDestination // a destination that no packet may have here
	DropOwnSource          // came from outside with one of the stack's own addresses as source
	DropNotOurs            // to an address or group that is not the stack's, and the interface does not forward
	DropLinkGroup          // IPv4: unicast inside a link-layer broadcast or multicast
	DropJumbogram          // IPv6: a payload above 65,535 octets

	// Why a fragment did not become part of a packet.
	DropFragmentLength    // empty, not a multiple of eight octets, or beyond the end of the longest packet
	DropFragmentTiny      // a first fragment without the headers that must be in it
	DropFragmentNested    // IPv6: a fragment header behind another
	DropFragmentDuplicate // came before
	DropFragmentOverlap   // of a packet whose fragments overlap, or contradict each other about where it ends
	DropFragmentCount     // of a packet in more fragments than Limits allow
	DropFragmentECN       // of a packet whose fragments contradict each other about ECN
	DropFragmentEvicted   // had to make room for newer ones
	DropFragmentTimeout   // others of its packet did not come in time

	// What can be wrong with IPv6 extension headers.
	DropExtension       // truncated or malformed
	DropExtensionOrder  // hop-by-hop options other than first
	DropExtensionCount  // more headers or options than Limits allow
	DropExtensionOption // an unknown option says that the packet is to be discarded
	DropRoutingHeader   // a routing header with segments left
	DropUnspecifiedIPv6 // the unspecified source with another protocol than ICMPv6
	DropUnknownProtocol // a protocol that the stack does not speak
	DropNoNextHeader    // IPv6: nothing follows the headers

	// What can be wrong with ICMP.
	DropICMPMalformed // truncated or contradictory
	DropICMPChecksum  // the checksum is wrong
	DropICMPType      // a type or code that the stack does not act on
	DropICMPGroup     // an echo request to a broadcast address
	DropICMPReply     // an echo reply that nobody waits for
	DropICMPEcho      // an echo request, and Config says not to reply
	DropICMPQuote     // an error that does not quote enough, or nothing that the stack could have sent
	DropNDHopLimit    // neighbour discovery from beyond the link
	DropNDMalformed   // neighbour discovery that RFC 4861 calls invalid
	DropNDTarget      // neighbour discovery about an address that does not concern the stack
	DropNDFragment    // neighbour discovery in fragments
	DropRPL           // an RPL message that was of no use
	DropRPLOption     // an RPL option that contradicts the way the packet has come
	DropTunnel        // a packet inside another, which cannot be
	DropRedirect      // a redirect that is not to be followed, or not to be believed

	// Why a packet to somebody else was not forwarded. Too large, and unreachable neighbours, are among those below.
	DropHopLimit          // its hop limit, or IPv4's TTL, is used up
	DropScope             // a link-local source or destination
	DropUnroutable        // no route to its destination
	DropDirectedBroadcast // IPv4: to the broadcast address of another interface's subnet
	DropReturn            // it would go back by the link, which has no neighbours to choose between

	// What can be wrong with IGMP and Multicast Listener Discovery, and with what comes to a group.
	DropSourceFilter       // nobody wants what its source sends to the group
	DropIGMPMalformed      // truncated or contradictory
	DropIGMPChecksum       // the checksum is wrong
	DropMLDMalformed       // a length or group that cannot be
	DropMembershipHopLimit // from beyond the link
	DropMembershipSource   // from or to an address that such messages do not have
	DropRouterAlert        // without the router alert option
	DropMembershipType     // unknown, or for routers alone

	// Why a packet did not leave.
	DropNoRoute          // no route to its destination, or no interface for it
	DropTooBig           // larger than the link's MTU
	DropFragmenting      // too many packets were leaving in fragments already
	DropControlQueue     // the interface's control queue was full
	DropForwardQueue     // the interface's queue for forwarded packets was full
	DropNeighbourQueue   // the queue for the neighbour was full, or the neighbour forgotten while they waited
	DropNeighbourFailed  // the neighbour did not answer
	DropDevice           // the device refused it
	DropInterfaceRemoved // its interface was removed meanwhile, or the stack closed

	DropDHCPv4 // a DHCP message that answers nothing, or a malformed one
	DropDHCPv6 // a DHCPv6 message that answers nothing, or a malformed one

	numDropCauses
)

// effect is which of the MIB's counters a dropped packet falls under.
type effect uint8

const (
	noEffect effect = iota // not an IP packet (yet), or delivered to a protocol that counts it
	headerError
	addressError
	unknownProtocol
	truncated
	inDiscard
	inNoRoute
	outDiscard
	outNoRoute
)

var dropCauses = [numDropCauses]struct {
	name   string
	effect effect
}{
	DropFrameTruncated:     {"frame truncated", noEffect},
	DropFrameSource:        {"frame from a group address", noEffect},
	DropOtherHost:          {"frame to another station", noEffect},
	DropIEEE8023:           {"IEEE 802.3 frame", noEffect},
	DropVLAN:               {"IEEE 802.1Q frame", noEffect},
	DropEtherType:          {"unknown EtherType", noEffect},
	DropVersion:            {"wrong IP version", headerError},
	DropARPMalformed:       {"malformed ARP", noEffect},
	DropARPSource:          {"impossible ARP sender", noEffect},
	DropARPTarget:          {"ARP about others", noEffect},
	DropTruncated:          {"truncated", truncated},
	DropHeaderLength:       {"contradictory length", headerError},
	DropHeaderChecksum:     {"wrong header checksum", headerError},
	DropOptions:            {"malformed IPv4 options", headerError},
	DropSourceRoute:        {"source route", addressError},
	DropMartianSource:      {"martian source", addressError},
	DropMartianDestination: {"martian destination", addressError},
	DropOwnSource:          {"own address as source", addressError},
	DropNotOurs:            {"not to this host", addressError},
	DropLinkGroup:          {"unicast in a link-layer broadcast", addressError},
	DropRadioMalformed:     {"malformed IEEE 802.15.4 frame", noEffect},
	DropRadioType:          {"neither data nor acknowledgment", noEffect},
	DropRadioPAN:           {"other personal area network", noEffect},
	DropRadioDuplicate:     {"duplicate frame", noEffect},
	DropRadioUnsecured:     {"frame not secured enough", noEffect},
	DropRadioSecurity:      {"frame security of another kind", noEffect},
	DropRadioKey:           {"unknown key or device", noEffect},
	DropRadioReplay:        {"replayed frame", noEffect},
	DropRadioSources:       {"too many secured sources", noEffect},
	DropRadioForged:        {"forged frame", noEffect},
	DropLowpanChecksum:     {"no UDP checksum", noEffect},
	DropRadioNoAck:         {"not acknowledged", outDiscard},
	DropLowpanTruncated:    {"truncated 6LoWPAN header", noEffect},
	DropLowpanDispatch:     {"unknown 6LoWPAN dispatch", noEffect},
	DropLowpanHeader:       {"impossible 6LoWPAN compression", noEffect},
	DropLowpanContext:      {"unknown 6LoWPAN context", noEffect},
	DropLowpanHeaders:      {"too many 6LoWPAN headers", noEffect},
	DropLowpanFragment:     {"impossible 6LoWPAN fragment", noEffect},
	DropLowpanDuplicate:    {"duplicate 6LoWPAN fragment", noEffect},
	DropLowpanFull:         {"no room for a 6LoWPAN fragment", noEffect},
	DropLowpanOverlap:      {"overlapping 6LoWPAN fragments", noEffect},
	DropLowpanEvicted:      {"6LoWPAN fragments evicted", noEffect},
	DropLowpanTimeout:      {"6LoWPAN fragments timed out", noEffect},
	DropFragmentLength:     {"fragment of an impossible length", noEffect},
	DropFragmentTiny:       {"first fragment without headers", noEffect},
	DropFragmentNested:     {"fragment in a fragment", noEffect},
	DropFragmentDuplicate:  {"duplicate fragment", noEffect},
	DropFragmentOverlap:    {"overlapping fragments", noEffect},
	DropFragmentCount:      {"too many fragments", noEffect},
	DropFragmentECN:        {"fragments with contradictory ECN", noEffect},
	DropFragmentEvicted:    {"fragments evicted", noEffect},
	DropFragmentTimeout:    {"fragments timed out", noEffect},
	DropJumbogram:          {"jumbogram", headerError},
	DropExtension:          {"malformed extension header", headerError},
	DropExtensionOrder:     {"misplaced hop-by-hop options", headerError},
	DropExtensionCount:     {"too many extension headers or options", headerError},
	DropExtensionOption:    {"unknown option that discards", headerError},
	DropRoutingHeader:      {"routing header with segments left", headerError},
	DropUnspecifiedIPv6:    {"unspecified source", addressError},
	DropUnknownProtocol:    {"unknown protocol", unknownProtocol},
	DropNoNextHeader:       {"no next header", inDiscard},
	DropICMPMalformed:      {"malformed ICMP", noEffect},
	DropICMPChecksum:       {"wrong ICMP checksum", noEffect},
	DropICMPType:           {"unknown ICMP type", noEffect},
	DropICMPGroup:          {"echo request to a broadcast address", noEffect},
	DropICMPReply:          {"unexpected echo reply", noEffect},
	DropICMPEcho:           {"unwanted echo request", noEffect},
	DropICMPQuote:          {"ICMP error about nothing of ours", noEffect},
	DropNDHopLimit:         {"neighbour discovery from beyond the link", noEffect},
	DropNDMalformed:        {"invalid neighbour discovery", noEffect},
	DropNDTarget:           {"neighbour discovery about others", noEffect},
	DropNDFragment:         {"neighbour discovery in fragments", noEffect},
	DropRPL:                {"RPL message of no use", noEffect},
	DropRPLOption:          {"contradictory RPL option", headerError},
	DropTunnel:             {"impossible packet in a packet", noEffect},
	DropRedirect:           {"redirect not followed", noEffect},
	DropHopLimit:           {"hop limit used up", headerError},
	DropScope:              {"link-local, to be forwarded", addressError},
	DropUnroutable:         {"no route to forward by", inNoRoute},
	DropDirectedBroadcast:  {"directed broadcast", addressError},
	DropReturn:             {"back to where it came from", addressError},
	DropSourceFilter:       {"unwanted source", noEffect},
	DropIGMPMalformed:      {"malformed IGMP", noEffect},
	DropIGMPChecksum:       {"wrong IGMP checksum", noEffect},
	DropMLDMalformed:       {"malformed MLD", noEffect},
	DropMembershipHopLimit: {"group membership from beyond the link", noEffect},
	DropMembershipSource:   {"group membership between impossible addresses", noEffect},
	DropRouterAlert:        {"no router alert", noEffect},
	DropMembershipType:     {"group membership for routers", noEffect},
	DropNoRoute:            {"no route", outNoRoute},
	DropTooBig:             {"larger than the MTU", outDiscard},
	DropFragmenting:        {"too many packets leave in fragments", outDiscard},
	DropControlQueue:       {"control queue full", outDiscard},
	DropForwardQueue:       {"forward queue full", outDiscard},
	DropNeighbourQueue:     {"neighbour queue full", noEffect},
	DropNeighbourFailed:    {"neighbour unreachable", outDiscard},
	DropDevice:             {"refused by the device", outDiscard},
	DropInterfaceRemoved:   {"interface removed", outDiscard},
	DropDHCPv4:             {"DHCP message that answers nothing", noEffect},
	DropDHCPv6:             {"DHCPv6 message that answers nothing", noEffect},
}

// String is the cause in a few words of plain English.
func (c DropCause) String() string {
	if c >= numDropCauses {
		return fmt.Sprintf("drop cause %d", uint8(c))
	}
	return dropCauses[c].name
}

// Drops counts the dropped packets by cause: drops[core.DropVLAN] is how many carried an IEEE 802.1Q tag.
type Drops [numDropCauses]uint64

// Total is the number of packets dropped, whatever the cause.
func (d Drops) Total() uint64 {
	var total uint64
	for _, n := range d {
		total += n
	}
	return total
}

// String lists the causes that have occurred.
func (d Drops) String() string {
	s := ""
	for cause, n := range d {
		if n > 0 {
			if s != "" {
				s += ", "
			}
			s += fmt.Sprintf("%s %d", DropCause(cause), n)
		}
	}
	if s == "" {
		return "none"
	}
	return s
}
