package core

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"math/bits"
	"net/netip"

	"github.com/smolnet/smolnet/core/dhcpv4"
	"github.com/smolnet/smolnet/core/multicast"
	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/reassembly"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// Config says how a stack behaves. The zero value is a sound configuration.
type Config struct {
	// Limits bound everything. Zero fields stand for their defaults.
	Limits Limits

	// Event is told what becomes of addresses, routes and whatever else the stack learns and configures. It is called while the
	// stack works, so it only takes note: it must not call back into the stack. nil: nobody listens.
	Event func(Event)

	// Rand is where secrets, ports, random delays and hardware addresses come from. nil: crypto/rand.Reader. A
	// simulation that is to be repeatable gives a seeded generator.
	Rand io.Reader

	// NoFlowLabels leaves the flow label of IPv6 packets zero. Otherwise those of TCP and UDP have one that tells flows apart,
	// by RFC 6437: a seeded hash of addresses, ports and protocol.
	NoFlowLabels bool

	// Logger is told what happens: normal events at LevelTrace, among them what becomes of connections; malformed and
	// other dropped packets, and what is exceptional, at slog.LevelDebug. nil: nobody listens.
	Logger *slog.Logger

	// NoEchoReply leaves echo requests ("pings") unanswered by the stack: a raw endpoint may answer them.
	NoEchoReply bool

	// TCP and UDP configure the transports. New fills in what they get from the stack: Network, Epoch and Rand. Their
	// Limits stay zero, because those in Limits hold, and so do TCP's Dropped and Event and UDP's Dropped, through which
	// the Logger hears of them.
	TCP tcp.Config
	UDP udp.Config

	// Neighbours has the times and numbers of probes of neighbour discovery. Its other fields stay zero: New fills in
	// Timers, Link and Rand, and the bounds are in Limits.
	Neighbours neighbour.Config

	// Multicast has the robustness and the query interval of IGMP and MLD. Its other fields stay zero, as Neighbours'.
	Multicast multicast.Config

	// Reassembly has the times that fragments wait for the others of their packets. Its other fields stay zero: New fills in
	// Timers and Owner, and the bounds are in Limits.
	Reassembly reassembly.Config
}

// InterfaceConfig describes an interface to be added.
type InterfaceConfig struct {
	// Name is for people; it must differ from other interfaces' names. Empty: "if" and the index.
	Name string

	// Device carries the interface's packets. It stays the caller's to close.
	Device dev.Device

	// HardwareAddr is the interface's address on an Ethernet; on other media it stays zero. Zero: the device's own, or if it has
	// none a random locally administered one.
	HardwareAddr wire.HardwareAddr

	// IEEE802154 configures an interface on such a radio. nil: as the zero IEEE802154Config; on other media it is nil.
	IEEE802154 *IEEE802154Config

	// MTU is the largest IP packet, in octets, that the interface sends: at most the device's, which is the default.
	// Below 1280 there is no IPv6.
	MTU int

	// NoIPv6 leaves IPv6 off, which a radio cannot do without. Otherwise an interface on an Ethernet or a radio gives itself a link-local
	// address, made from its hardware address or EUI-64, unless Addresses has one.
	NoIPv6 bool

	// NoGroupReports has the interface tell nobody of the multicast groups that it belongs to: it then receives only what
	// reaches it anyway. Otherwise it speaks IGMP and Multicast Listener Discovery, on any medium but IEEE 802.15.4; on one without
	// hardware addresses it belongs to no groups for its addresses' sake, and so is silent until somebody joins one.
	NoGroupReports bool

	// Forward has the stack route packets that arrive by this interface and are for others to whichever interface leads to
	// them, itself not excepted: see Interface.SetForward. Without it the stack is a host, and they are dropped.
	Forward bool

	// IgnoreRedirects has the stack stay with its routes when a router on the link knows a better way. Redirects are ignored
	// where Forward is set, too.
	IgnoreRedirects bool

	// AnyIP are ranges of addresses that the interface answers for though they are not its own: see Interface.SetAnyIP.
	AnyIP []netip.Prefix

	// Addresses are the interface's own addresses with the prefixes of the networks that they are in, which are reached
	// without a router.
	Addresses []netip.Prefix

	// DuplicateDetection says which addresses are looked for on the link before they are used.
	DuplicateDetection DuplicateDetection

	// Autoconf listens to routers on the link: the interface makes itself addresses from the prefixes that they advertise, finds
	// its way by them, and learns name servers. By default it has only what it is given, and a link-local address.
	Autoconf bool
	// StableSecret makes the interface's own addresses, the link-local one included, different for each prefix and secret, and
	// always the same for one prefix, secret and Name (RFC 7217): at least 16 octets that nobody else knows, kept for as long as the
	// addresses are to stay. nil: they are made from the hardware address, or where there is none at random.
	StableSecret []byte
	// TemporaryAddresses makes further addresses, random and for a day each, which are preferred for what the stack begins
	// (RFC 8981).
	TemporaryAddresses bool

	// Routes lead to what lies behind routers. A Link of 0 stands for this interface, the only one that they may
	// lead to.
	Routes []Route

	// DHCPv4 has the interface, an Ethernet's, get itself an IPv4 address, routes and so on from a DHCP server; see
	// Interface.StartDHCPv4. What package core fills in stays zero. nil: it does not.
	DHCPv4 *dhcpv4.Config

	// LinkLocalv4 has the interface, an Ethernet's, give itself an IPv4 link-local address (RFC 3927) if it has no other
	// IPv4 address: with DHCPv4 once no server answers, until one does; otherwise at once.
	LinkLocalv4 bool

	// DHCPv4Server has the interface hand out addresses of its network; see Interface.ServeDHCPv4. nil: it does not.
	DHCPv4Server *dhcpv4.ServerConfig

	// DHCPv6 says what the interface asks DHCPv6 servers for. By default that is what routers say, if it listens to them.
	DHCPv6 DHCPv6Config
}

// withDefaults checks the configuration and fills in what is not given.
func (c Config) withDefaults() (Config, error) {
	var err error
	if c.Limits, err = c.Limits.withDefaults(); err != nil {
		return c, err
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.TCP.Dropped != nil || c.TCP.Event != nil || c.UDP.Dropped != nil {
		return c, fmt.Errorf("core: %w: Config.TCP or Config.UDP has a Dropped or Event, which are the Logger's", ErrConfig)
	}
	if c.TCP.Network != nil || c.TCP.Rand != nil || !c.TCP.Epoch.IsZero() || c.TCP.Limits != (tcp.Limits{}) {
		return c, fmt.Errorf("core: %w: Config.TCP has a Network, Rand, Epoch or Limits, which are the stack's", ErrConfig)
	}
	if c.UDP.Network != nil || c.UDP.Rand != nil || !c.UDP.Epoch.IsZero() || c.UDP.Limits != (udp.Limits{}) {
		return c, fmt.Errorf("core: %w: Config.UDP has a Network, Rand, Epoch or Limits, which are the stack's", ErrConfig)
	}
	n := &c.Neighbours
	if n.Timers != nil || n.Link != nil || n.Rand != nil || n.MaxEntries != 0 || n.MaxQueueOctets != 0 || n.MaxTotalOctets != 0 {
		return c, fmt.Errorf("core: %w: Config.Neighbours has more than times and numbers of probes; bounds belong in Config.Limits",
			ErrConfig)
	}
	if m := &c.Multicast; m.Timers != nil || m.Link != nil || m.Rand != nil || m.Silent || m.MaxGroups != 0 || m.MaxSources != 0 {
		return c, fmt.Errorf("core: %w: Config.Multicast has more than a robustness and a query interval; bounds belong in Config.Limits",
			ErrConfig)
	}
	if r := c.Reassembly; r != (reassembly.Config{Timeout4: r.Timeout4, Timeout6: r.Timeout6}) {
		return c, fmt.Errorf("core: %w: Config.Reassembly has more than times; bounds belong in Config.Limits", ErrConfig)
	}
	return c, nil
}

// neighbourConfig is the configuration of l's neighbour cache.
func (s *Stack) neighbourConfig(l *Interface) neighbour.Config {
	c := s.config.Neighbours
	c.Timers, c.Link, c.Rand = &s.timers, link{l}, s.random
	c.MaxEntries = s.limits.Neighbours
	c.MaxQueueOctets, c.MaxTotalOctets = s.limits.NeighbourQueue, s.limits.NeighbourQueues
	return c
}

// powerOfTwo is n, or the next larger power of two.
func powerOfTwo(n int) int { return 1 << bits.Len(uint(n-1)) }
