package core

import (
	"errors"
	"fmt"

	"github.com/smolnet/smolnet/core/dhcpv4"
	"github.com/smolnet/smolnet/core/dhcpv6"
	"github.com/smolnet/smolnet/core/multicast"
	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/raw"
	"github.com/smolnet/smolnet/core/reassembly"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/slaac"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
)

// ErrConfig is what every error about a configuration wraps: of a stack, an interface, an address or a route. The
// error's text names what is wrong and its value.
var ErrConfig = errors.New("invalid configuration")

// Limits are all bounds on what a stack keeps and does, whatever its peers and users ask for. A zero field stands for
// its default; no field may be negative. New checks them together.
type Limits struct {
	// Interfaces is how many interfaces there may be besides the loopback. Default 64.
	Interfaces int
	// Addresses is how many addresses an interface may have, IPv6's link-local one included. Default 32.
	Addresses int
	// Groups is how many multicast groups an interface may belong to. It belongs to a group for each IPv6 address,
	// and to one for all nodes of each family, so there must be two more than Addresses at least. Default 64.
	Groups int
	// GroupSources is how many sources the filter for a multicast group may name: a socket's, and all sockets' together
	// that name those they want. Default 64.
	GroupSources int
	// Routes is how many routes the table may hold, those that come with addresses included. Default 1024.
	Routes int
	// Paths is how many next hops are remembered with all that sending to them needs. When they are used up all are
	// found anew. It is at least Neighbours, so that a link full of neighbours does not do that all the time.
	// Default 4096.
	Paths int
	// Destinations is how many destinations are remembered with their next hops: the next power of two. One that is not
	// costs a look at the routes for a packet. Default 256.
	Destinations int

	// Neighbours is how many neighbours an interface remembers: see neighbour.Config.MaxEntries. Default 1024.
	Neighbours int
	// NeighbourQueue is the memory, in octets, of the packets that wait for one neighbour: see
	// neighbour.Config.MaxQueueOctets. Default 256 KiB.
	NeighbourQueue int
	// NeighbourQueues is the same for all neighbours of an interface together, and at least NeighbourQueue.
	// Default 4 MiB.
	NeighbourQueues int

	// Routers is how many routers that advertise themselves an interface with Autoconf knows; a new one takes the place of one that
	// has not answered, or of none. Default 8, at least 2.
	Routers int
	// RouterRoutes is how many routes, other than to everywhere, it takes from their advertisements. Default 32.
	RouterRoutes int
	// Prefixes is how many prefixes it takes from them. Default 8.
	Prefixes int
	// NameServers is how many name servers it takes from them. Default 8.
	NameServers int
	// SearchDomains is how many search domains it takes from them. Default 8.
	SearchDomains int
	// DHCPv6Addresses is how many addresses a DHCPv6 client takes from a server. Default 8.
	DHCPv6Addresses int
	// DHCPv6Servers is how many servers it remembers while it chooses among them. Default 8.
	DHCPv6Servers int
	// DHCPv6Information is how many name servers, search domains, time servers and names of such it takes, each. Default 8.
	DHCPv6Information int

	// ControlQueue is how many packets that no endpoint takes turns for may wait to leave by an interface: ARP, ICMP,
	// resets. Those beyond are dropped. What has waited for a neighbour passes through it too, but is bounded by
	// NeighbourQueues. Default 1024.
	ControlQueue int
	// ForwardQueue is the memory, in octets, of the packets on their way through the stack that wait to leave by an interface.
	// Those beyond are dropped. Default 2 MiB: some 900 full frames of 1500 octets.
	ForwardQueue int
	// Redirects is how many routes learnt from redirects are remembered; the oldest makes room. Default 128.
	Redirects int
	// Failures is how many packets that could not be sent are kept until their senders can be told, which is before the
	// next packet is taken in or leaves. Those beyond are forgotten. Default 64.
	Failures int

	// Fragmenting is the memory, in octets, of the packets that leave by an interface in fragments. Those beyond are dropped,
	// but one there may be, however large. A sender has one on its way at most. Default 4 MiB.
	Fragmenting int
	// PathMTUs is how many destinations are remembered for which a router has said what the path carries. The oldest is
	// forgotten first. Default 1024.
	PathMTUs int

	// ICMPErrorRate is how many ICMP errors a stack sends a second, over both versions. Default 1000.
	ICMPErrorRate int
	// ICMPErrorBurst is how many it may send at once after a while without any. Default 50.
	ICMPErrorBurst int

	// ExtensionHeaders is how many extension headers an IPv6 packet may have, 16 at most. Default 8.
	ExtensionHeaders int
	// ExtensionOptions is how many options other than padding one of them may have. Default 8.
	ExtensionOptions int

	// Reassembly is the memory, in octets, of fragments that wait for the others of their packets: see
	// reassembly.Config.MaxOctets. It is at least packet.MaxSize, which is the most that one takes. Default 4 MiB.
	Reassembly int
	// ReassemblyDatagrams is how many packets may be put together at once: see reassembly.Config.MaxDatagrams.
	// Default 2048.
	ReassemblyDatagrams int
	// ReassemblyFragments is how many fragments a packet may come in: see reassembly.Config.MaxFragments. Default 128.
	ReassemblyFragments int

	// Timers is how many due timers fire in one call of Input, Output or Advance; PollAt then says that more are due.
	// Default 1024.
	Timers int
	// LoopbackBatch is how many packets pass through the loopback interface in one call of PollLoopback. Default 64.
	LoopbackBatch int
	// PollBatch is how many packets Poll takes from, or gives to, a device at once. Default 64.
	PollBatch int
	// PollRounds is how often Poll looks at all devices in one call, while there is anything to do. Default 64.
	PollRounds int

	// DHCPv4 bounds what a DHCP client takes over from a server, and what a server keeps.
	DHCPv4 dhcpv4.Limits

	// Lowpan bounds what interfaces on IEEE 802.15.4 radios keep.
	Lowpan LowpanLimits

	// TCP bounds what TCP keeps, UDP what UDP keeps, and Raw what endpoints for IP packets, ICMP messages and frames keep.
	TCP tcp.Limits
	UDP udp.Limits
	Raw raw.Limits
}

// withDefaults fills in what is zero, and refuses what cannot be.
func (l Limits) withDefaults() (Limits, error) {
	for _, f := range []struct {
		name     string
		value    *int
		standard int
	}{
		{"Interfaces", &l.Interfaces, 64},
		{"Addresses", &l.Addresses, 32},
		{"Groups", &l.Groups, max(64, l.Addresses+2)},
		{"GroupSources", &l.GroupSources, multicast.DefaultMaxSources},
		{"Routes", &l.Routes, route.DefaultLimit},
		{"Neighbours", &l.Neighbours, neighbour.DefaultMaxEntries},
		{"Paths", &l.Paths, max(4096, l.Neighbours)},
		{"Destinations", &l.Destinations, 256},
		{"NeighbourQueue", &l.NeighbourQueue, neighbour.DefaultMaxQueueOctets},
		{"NeighbourQueues", &l.NeighbourQueues, max(neighbour.DefaultMaxTotalOctets, l.NeighbourQueue)},
		{"Routers", &l.Routers, slaac.DefaultMaxRouters},
		{"RouterRoutes", &l.RouterRoutes, slaac.DefaultMaxRoutes},
		{"Prefixes", &l.Prefixes, slaac.DefaultMaxPrefixes},
		{"NameServers", &l.NameServers, slaac.DefaultMaxServers},
		{"SearchDomains", &l.SearchDomains, slaac.DefaultMaxDomains},
		{"DHCPv6Addresses", &l.DHCPv6Addresses, dhcpv6.DefaultMaxAddresses},
		{"DHCPv6Servers", &l.DHCPv6Servers, dhcpv6.DefaultMaxServers},
		{"DHCPv6Information", &l.DHCPv6Information, dhcpv6.DefaultMaxInformation},
		{"ControlQueue", &l.ControlQueue, 1024},
		{"ForwardQueue", &l.ForwardQueue, 2 << 20},
		{"Redirects", &l.Redirects, 128},
		{"Failures", &l.Failures, 64},
		{"Fragmenting", &l.Fragmenting, 4 << 20},
		{"PathMTUs", &l.PathMTUs, 1024},
		{"ICMPErrorRate", &l.ICMPErrorRate, 1000},
		{"ICMPErrorBurst", &l.ICMPErrorBurst, 50},
		{"ExtensionHeaders", &l.ExtensionHeaders, 8},
		{"ExtensionOptions", &l.ExtensionOptions, 8},
		{"Reassembly", &l.Reassembly, reassembly.DefaultMaxOctets},
		{"ReassemblyDatagrams", &l.ReassemblyDatagrams, reassembly.DefaultMaxDatagrams},
		{"ReassemblyFragments", &l.ReassemblyFragments, reassembly.DefaultMaxFragments},
		{"Timers", &l.Timers, 1024},
		{"LoopbackBatch", &l.LoopbackBatch, 64},
		{"PollBatch", &l.PollBatch, 64},
		{"PollRounds", &l.PollRounds, 64},
	} {
		if *f.value < 0 {
			return l, fmt.Errorf("core: %w: Limits.%s is negative: %d", ErrConfig, f.name, *f.value)
		}
		if *f.value == 0 {
			*f.value = f.standard
		}
	}
	var err error
	if l.DHCPv4, err = l.DHCPv4.WithDefaults(); err != nil {
		return l, fmt.Errorf("core: %w: %w", ErrConfig, err)
	}
	if l.Lowpan, err = l.Lowpan.withDefaults(l.Neighbours); err != nil {
		return l, err
	}
	return l, l.contradiction()
}

// contradiction returns an error if two limits, or a limit and what must be possible, contradict each other.
func (l *Limits) contradiction() error {
	for _, c := range []struct {
		wrong bool
		what  string
		why   string
		value int
		other int
	}{
		{l.Addresses < 2, "Addresses", "the least that an IPv6 interface needs,", l.Addresses, 2},
		{l.Routers < 2, "Routers", "the least that RFC 4861 allows,", l.Routers, 2},
		{l.Groups < l.Addresses+2, "Groups", "Limits.Addresses plus one group for all nodes of each family,", l.Groups, l.Addresses + 2},
		{l.Paths < l.Neighbours, "Paths", "Limits.Neighbours", l.Paths, l.Neighbours},
		{l.NeighbourQueues < l.NeighbourQueue, "NeighbourQueues", "Limits.NeighbourQueue", l.NeighbourQueues, l.NeighbourQueue},
		{l.Reassembly < packet.MaxSize, "Reassembly", "the largest buffer,", l.Reassembly, packet.MaxSize},
	} {
		if c.wrong {
			return fmt.Errorf("core: %w: Limits.%s %d is less than %s %d", ErrConfig, c.what, c.value, c.why, c.other)
		}
	}
	switch {
	case l.ExtensionHeaders > wire.IPv6MaxExtensions:
		return fmt.Errorf("core: %w: Limits.ExtensionHeaders %d is more than %d",
			ErrConfig, l.ExtensionHeaders, wire.IPv6MaxExtensions)
	case l.ICMPErrorRate > 1e9:
		return fmt.Errorf("core: %w: Limits.ICMPErrorRate %d is more than one a nanosecond", ErrConfig, l.ICMPErrorRate)
	case l.Destinations > 1<<20:
		return fmt.Errorf("core: %w: Limits.Destinations %d is more than %d", ErrConfig, l.Destinations, 1<<20)
	}
	return nil
}
