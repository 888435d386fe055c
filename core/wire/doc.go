// Package wire translates between octets and the packets of Ethernet, IEEE 802.15.4, 6LoWPAN, ARP, IPv4, ICMP, IGMP, IPv6 and its
// extension headers, ICMPv6, Neighbor Discovery, Multicast Listener Discovery, RPL, UDP, TCP, DHCP, DHCPv6 and, to print them, DNS. It
// imports nothing of smolnet's, knows no stack, and works on octets from anywhere.
//
// There are two levels. The packet level is a byte slice with a type, such as [IPv4Packet]: the field accessors read
// the octets where they lie, setters change them, and Payload returns what is inside. It is made by a function that
// checks no more than that every accessor finds its octets, such as [ParseIPv4]; a conversion, IPv4Packet(b), makes
// one unchecked, to be filled in. The representation level is a struct, such as [IPv4Repr], that holds only what is
// legal and meant to be sent:
//
//   - Parse reads a packet and refuses what the protocol does not allow;
//   - Len is how many octets Emit writes;
//   - Emit writes them, checksums included unless it says otherwise, and panics only if it is given fewer;
//   - what Emit has written, Parse reads back as the same.
//
// Reading an HTTP request's front from an Ethernet frame is
//
//	frame, err := wire.ParseEthernet(b)            // check err after each
//	packet, err := wire.ParseIPv4(frame.Payload()) // if frame.EtherType() is wire.EtherTypeIPv4
//	segment, err := wire.ParseTCP(packet.Payload())
//	segment.Payload()
//
// Nothing here panics on any octets that came through a parsing function, and the packet level allocates nothing,
// printing aside. Multi-octet fields are numbers in the host's order; addresses are [net/netip.Addr], without zones.
// Slices that accessors return share the packet's octets.
//
// A parsing function looks at lengths, not at checksums. Representations of IPv4 and ICMP, whose checksums cover
// nothing but the packet, verify them; those with a pseudo-header are the caller's to verify, with VerifyChecksum,
// because the addresses are the IP packet's and a device may have done so already. [Sum] is the running Internet
// checksum that all of them are made with.
//
// # Radios
//
// Frames of IEEE 802.15.4 are an [IEEE802154Frame] and an [IEEE802154Repr], without the frame check sequence: [IEEE802154FCS],
// [AppendIEEE802154FCS] and [TrimIEEE802154FCS] are for who has it. What they carry begins with a [LowpanDispatch].
// [DecompressIPv6] makes IPv6 headers of compressed ones, and [CompressIPv6] the reverse; both need a [LowpanLink], the addresses and
// contexts that the headers leave out. A [LowpanFragment] is what goes before a part of a packet. None of that keeps anything in
// mind: package lowpan puts fragments together, and package ieee802154 secures frames.
//
//	frame, err := wire.ParseIEEE802154(b)
//	err = header.Parse(frame)
//	link := wire.LowpanLink{Src: header.Src, Dst: header.Dst, Contexts: contexts}
//	headers, err := wire.DecompressIPv6(room, header.Payload(frame), 0, link) // unless it is a fragment
//
// # Printing
//
// Every packet and every representation has a String method that prints one line in the style of tcpdump, with what
// is inside: a TCP segment in an Ethernet frame as
//
//	IP 192.168.69.1.80 > 192.168.69.100.4242: Flags [S.], seq 1, ack 2, win 65535, options [mss 1460], length 0
//
// Octets that the representation refuses are printed too, as far as they can be read. [FormatIP] prints a packet of
// either version of IP.
package wire
