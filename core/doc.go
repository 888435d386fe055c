// Package core is a TCP/IP stack without goroutines, locks, clock and I/O: it is told the time and given packets, and
// says what to send and when to be called again. Package smolnet builds package net's functions upon it; this package
// is for who wants to drive a stack themselves, as a simulation does.
//
// # Time
//
// Every entry takes the time. It may be any: real, or made up. What matters is that it does not run backwards. PollAt
// says when time alone makes a difference.
//
// # Driving a stack
//
// The simple way is Poll, which takes packets in from all devices, sends what is to be sent, and is to be called
// again when a device has received something, when a user has done something, or at the time that PollAt says:
//
//	for {
//		stack.Poll(now)
//		// use connections and endpoints
//		// wait until PollAt, or for a device
//	}
//
// Who has a goroutine for each device guards the stack with a mutex, and calls Input with what a device has received,
// Output for what it should send, PollLoopback while the loopback interface is Pending, and Advance when PollAt's
// time has come. Any of them, and any call to a connection or endpoint, may make any interface Pending.
//
// # Connections and endpoints
//
// They come from the stack's TCP, UDP and Raw, see packages tcp, udp and raw. None of their calls waits. An ip.Owner is told
// when there is something to be done; it only takes note.
//
// # Addresses and configuration
//
// An interface has the addresses that InterfaceConfig.Addresses or Interface.AddAddress gives it, and on an Ethernet or a radio an
// IPv6 link-local one. With InterfaceConfig.Autoconf it makes itself others from what routers advertise, and takes routes, name servers and
// parameters of the link from them; DHCPv4 and DHCPv6 have it ask servers, and LinkLocalv4 is for where there are none. What is learnt
// takes effect by itself, lasts as long as its source says, and never takes the place of what was configured. What
// packets do not need, such as name servers, is there to be asked for.
//
// An address that may be somebody else's is Tentative, and not used, until that has been found out: DuplicateDetection says for
// which that is done. Stack.Settling tells whether it is worth waiting for; sending from such an address fails meanwhile.
//
// Tables can be listed: Interface.Addresses, Neighbours, Groups, Routers, Prefixes, NameServers, SearchDomains, DHCPv4Lease,
// DHCPv6Lease, DHCPv4Bindings, Registrations and RPLTargets, Stack.Routes and PathMTUs. All have bounds, in Limits or, on a radio, in
// IEEE802154Config, and what was learnt has an end. Config.Event is told of every Event, which is a change to one of them, and so is
// the logger: at LevelTrace, or slog.LevelDebug if it is a failure.
//
// Before it closes a stack that has leases, a program calls StopDHCPv4 and StopDHCPv6 of its interfaces, and sends what is then to be
// sent.
//
// # Multicast
//
// An interface belongs to the groups of all nodes and of its own addresses, and to those that endpoints join; it speaks IGMP
// and Multicast Listener Discovery about them. What an endpoint sends to a group or a broadcast address comes back to whoever
// in the same stack hears it. On a radio it speaks neither: nobody listens.
//
// # Routing
//
// A stack is a host unless an interface is told to forward: InterfaceConfig.Forward or Interface.SetForward. What arrives there for
// others leaves by whichever interface the routes lead to, with what ICMP has to be said of it, and in turns with what the
// stack itself sends. Nothing is routed to groups, nor advertised to hosts. A host follows redirects, unless
// InterfaceConfig.IgnoreRedirects says otherwise; and an interface may answer for addresses that are not its own:
// InterfaceConfig.AnyIP.
//
// # Radios
//
// On a device of medium dev.IEEE802154 an interface speaks 6LoWPAN, as InterfaceConfig.IEEE802154 says. Beneath IP it compresses
// headers, cuts packets into frames, secures these, acknowledges those of others and sends its own again: packages ieee802154 and
// lowpan. Neighbours' link-local addresses follow from their link-layer addresses and back, so that nobody asks for those.
//
// With InterfaceConfig.Autoconf it registers its addresses with the routers that it hears; an address is Tentative until a router has
// confirmed it, the link-local one aside. With IEEE802154Config.Router it is such a router, a border router for instance: package
// registration. With IEEE802154Config.RPLLeaf or RPLRoot it takes part in RPL, at the edge or as the root: package rpl.
//
// There is no IPv4 on a radio, and nothing is forwarded between nodes but by a router or a root.
package core
