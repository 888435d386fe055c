package core

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"math/bits"
	"net/netip"

	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// Config says how a stack behaves. The zero value is a sound configuration.
type Config struct {
	// Limits bound everything. Zero fields stand for their defaults.
	Limits Limits

	// Rand is where secrets, ports, random delays and hardware addresses come from. nil: crypto/rand.Reader. A
	// simulation that is to be repeatable gives a seeded generator.
	Rand io.Reader

	// Logger is told what happens: normal events at LevelTrace, among them what becomes of connections; malformed and
	// other dropped packets, and what is exceptional, at slog.LevelDebug. nil: nobody listens.
	Logger *slog.Logger

	// TCP and UDP configure the transports. New fills in what they get from the stack: Network, Epoch and Rand. Their
	// Limits stay zero, because those in Limits hold, and so do TCP's Dropped and Event and UDP's Dropped, through which
	// the Logger hears of them.
	TCP tcp.Config
	UDP udp.Config

	// Neighbours has the times and numbers of probes of neighbour discovery. Its other fields stay zero: New fills in
	// Timers, Link and Rand, and the bounds are in Limits.
	Neighbours neighbour.Config
}

// InterfaceConfig describes an interface to be added.
type InterfaceConfig struct {
	// Name is for people; it must differ from other interfaces' names. Empty: "if" and the index.
	Name string

	// Device carries the interface's packets. It stays the caller's to close.
	Device dev.Device

	// HardwareAddr is the interface's address on an Ethernet. Zero: the device's own, or if it has none a random
	// locally administered one. On other media it stays zero.
	HardwareAddr wire.HardwareAddr

	// MTU is the largest IP packet, in octets, that the interface sends: at most the device's, which is the default.
	// Below 1280 there is no IPv6.
	MTU int

	// NoIPv6 leaves IPv6 off. Otherwise an Ethernet interface gives itself a link-local address, made from its hardware
	// address, unless Addresses has one.
	NoIPv6 bool

	// Addresses are the interface's own addresses with the prefixes of the networks that they are in, which are reached
	// without a router.
	Addresses []netip.Prefix

	// Routes lead to what lies behind routers. A Link of 0 stands for this interface, the only one that they may
	// lead to.
	Routes []Route
}

// Route is an entry of the table of routes.
type Route = route.Route

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
