// Package slaac is what an IPv6 host does with routers, on one link: it solicits and reads their advertisements, keeps
// the default routers, routes, prefixes and name servers that it learns, each for its lifetime, chooses among routers
// by preference and reachability, and makes itself addresses (RFC 4861 section 6.3, RFC 4862 section 5.5, RFC 4191,
// RFC 7217, RFC 7559, RFC 8106 and RFC 8981).
//
// All that it learns comes from whoever sends on the link, and is bounded by Limits. What is known stays known when a
// table is full, and what is new is refused: a flood of made-up advertisements cannot push out what is in use.
//
// Times are nanoseconds since the stack's epoch; timer.Never, as the end of a lifetime, means that it has none. The
// timers live in the stack's heap.
package slaac

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// ErrInvalid is what every error about a configuration wraps.
var ErrInvalid = errors.New("slaac: invalid value")

// Link is the interface that a host belongs to. A host calls it when its own state is settled; none of its methods
// may call back into the host at once, except that SetAddress may call Duplicate.
type Link interface {
	// Solicit sends a router solicitation to all routers: from the link-local address with a source link-layer address
	// option or, while that cannot be used, from the unspecified address without.
	Solicit(now int64)

	// Probe sends one neighbour solicitation for a router that is not used because it did not answer.
	Probe(now int64, router netip.Addr)

	// Used reports whether packets have lately been sent to the router.
	Used(now int64, router netip.Addr) bool

	// SetAddress gives the interface an address, once it is found to be unique, or changes the lifetimes of one that
	// it has. The interface deprecates and removes it in time, and tells the host by Duplicate and Expired. With an
	// error there is no such address.
	SetAddress(now int64, a Address) error
	// DropAddress takes it from the interface, if it is still there.
	DropAddress(now int64, addr netip.Addr)

	// SetRoute adds a route, or changes the metric of one, which the host drops in time.
	SetRoute(now int64, r Route)
	// DropRoute removes it; its metric does not matter.
	DropRoute(now int64, r Route)

	// SetParameters tells of values for the whole link.
	SetParameters(now int64, p Parameters)

	// Managed tells of the flags: addresses, and other information, are to be had by DHCPv6. It is called for the
	// first advertisement, and when a flag is set for the first time. As DHCPv6 once begun goes on, a flag that is
	// cleared is no news.
	Managed(now int64, managed, other bool)

	// RoutersChanged, PrefixesChanged and ServersChanged tell that Routers, Prefixes, or Servers and Domains return
	// something else. A lifetime that is merely extended is no such news.
	RoutersChanged(now int64)
	PrefixesChanged(now int64)
	ServersChanged(now int64)
}

// Address is an address that a host makes for its interface.
type Address struct {
	Prefix                     netip.Prefix // the address, with the length of its prefix
	Temporary                  bool         // one of RFC 8981's
	PreferredUntil, ValidUntil int64
}

// Route is a route by a router, or to a prefix that is on the link.
type Route struct {
	Destination netip.Prefix
	Gateway     netip.Addr // the router's link-local address; zero: the destinations are on the link
	// Metric is lower for the more preferred router, and higher than any such for a router that does not answer.
	Metric int
	Until  int64 // the end of its lifetime
}

// Router is a router that advertises itself.
type Router struct {
	Addr       netip.Addr        // its link-local address, without zone
	Preference wire.NDPreference // as a default router
	Until      int64             // the end of its lifetime as a default router; 0: it is none
	Reachable  bool              // false: it has not answered, and others are preferred
}

// Prefix is a prefix that a router has advertised.
type Prefix struct {
	Prefix      netip.Prefix
	OnLinkUntil int64 // its addresses are on the link until then; 0: they are not known to be
	// Until then addresses are made from it that are preferred, and valid; 0: none are.
	PreferredUntil, ValidUntil int64
}

// Server is a recursive name server.
type Server struct {
	Addr  netip.Addr // without zone, even if it is link-local
	Until int64
}

// Domain is a domain to search for names in.
type Domain struct {
	Name  string // without a dot at the end
	Until int64
}

// Parameters are a link's parameters. Zero stands for what has not been advertised: the interface's own value holds.
type Parameters struct {
	MTU        int           // for IPv6; 1280 up to Config.MTU
	HopLimit   uint8         // of packets sent
	Reachable  time.Duration // neighbour.Config's ReachableTime, at most 1 h
	Retransmit time.Duration // neighbour.Config's Retransmit, 10 ms to 1 h
}

// Defaults of Config.
const (
	DefaultTemporaryPreferred = 24 * time.Hour

	DefaultMaxRouters  = 8
	DefaultMaxPrefixes = 8
	DefaultMaxRoutes   = 32
	DefaultMaxServers  = 8
	DefaultMaxDomains  = 8
)

// Config says how a host behaves. Zero in a number or a time means its default.
type Config struct {
	// Timers, Link and Rand are what a host works with; all are required. Rand returns uniformly distributed numbers,
	// which nobody can guess if temporary addresses are to be of use.
	Timers *timer.Heap
	Link   Link
	Rand   func() uint64

	// MTU is that of the link, the most that routers can set: at least 1280, and required.
	MTU int

	// Identifier is the interface identifier to make addresses with, from the hardware address: see EUI64. It is
	// not used with a Secret.
	Identifier Identifier

	// Secret makes interface identifiers stable and opaque (RFC 7217): the same for one prefix, secret and Interface,
	// and unrelated for others. RFC 7217 asks for 16 octets at least. nil: Identifier is used for every prefix, by
	// which others recognise the host wherever it goes.
	Secret []byte
	// Interface is the interface's name, by which its identifiers differ from those of others with the same Secret.
	Interface string

	// Temporary makes temporary addresses besides, which outgoing connections prefer (RFC 8981).
	Temporary bool
	// TemporaryPreferred and TemporaryValid are how long a temporary address is preferred, and valid, at most: the second
	// is up to twice the first, which is its default. TemporaryPreferred is 1 day by default, and at least 1 minute.
	TemporaryPreferred, TemporaryValid time.Duration

	// LowPower solicits routers as hosts of low-power networks do, where routers do not advertise unasked (RFC 6775): more
	// often in the long run, and also while no default router can be reached.
	LowPower bool

	// Limits bound what a host learns.
	Limits Limits
}

// Limits bound what one host learns. A zero field stands for its default.
type Limits struct {
	// Routers is how many routers are known. When there are so many, the one that has been found unreachable, if one
	// has, makes room for a new one. At least 2, as RFC 4861 asks for. Default 8.
	Routers int
	// Prefixes is how many prefixes are known. Each may have an address and, with Temporary, up to five temporary ones. Default 8.
	Prefixes int
	// Routes is how many routes, other than default routes, are known. Default 32.
	Routes int
	// Servers is how many recursive name servers are known. Default 8.
	Servers int
	// Domains is how many search domains are known. Default 8.
	Domains int
}

// withDefaults fills in what is zero and refuses what cannot be.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.Timers == nil || cfg.Link == nil || cfg.Rand == nil {
		return cfg, fmt.Errorf("%w: Timers, Link and Rand are required", ErrInvalid)
	}
	if cfg.MTU < wire.IPv6MinMTU {
		return cfg, fmt.Errorf("%w: MTU %d is less than %d", ErrInvalid, cfg.MTU, wire.IPv6MinMTU)
	}
	if cfg.Secret != nil && len(cfg.Secret) < minSecretLen {
		return cfg, fmt.Errorf("%w: Secret has %d octets instead of at least %d", ErrInvalid, len(cfg.Secret), minSecretLen)
	}
	for _, n := range []struct {
		name     string
		value    *int
		standard int
	}{
		{"Limits.Routers", &cfg.Limits.Routers, DefaultMaxRouters},
		{"Limits.Prefixes", &cfg.Limits.Prefixes, DefaultMaxPrefixes},
		{"Limits.Routes", &cfg.Limits.Routes, DefaultMaxRoutes},
		{"Limits.Servers", &cfg.Limits.Servers, DefaultMaxServers},
		{"Limits.Domains", &cfg.Limits.Domains, DefaultMaxDomains},
	} {
		if *n.value < 0 {
			return cfg, fmt.Errorf("%w: %s %d is negative", ErrInvalid, n.name, *n.value)
		}
		if *n.value == 0 {
			*n.value = n.standard
		}
	}
	// "a host MUST retain at least two router addresses and SHOULD retain more."
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-6.3.4
	if cfg.Limits.Routers < 2 {
		return cfg, fmt.Errorf("%w: Limits.Routers %d is less than 2", ErrInvalid, cfg.Limits.Routers)
	}
	if cfg.TemporaryPreferred == 0 {
		cfg.TemporaryPreferred = DefaultTemporaryPreferred
	}
	if cfg.TemporaryValid == 0 {
		cfg.TemporaryValid = 2 * cfg.TemporaryPreferred
	}
	switch preferred, valid := cfg.TemporaryPreferred, cfg.TemporaryValid; {
	case preferred < minTemporary || preferred > maxTime:
		return cfg, fmt.Errorf("%w: TemporaryPreferred %v is not between %v and %v", ErrInvalid, preferred, minTemporary, maxTime)
	case valid < preferred || valid > 2*preferred:
		return cfg, fmt.Errorf("%w: TemporaryValid %v is not between TemporaryPreferred %v and twice that",
			ErrInvalid, valid, preferred)
	}
	return cfg, nil
}

const (
	// minSecretLen is 128 bits.
	// https://www.rfc-editor.org/rfc/rfc7217.html#section-5
	minSecretLen = 16
	// minTemporary leaves a temporary address, of which 0.4 may be taken off, more life than it takes to make the next.
	minTemporary = time.Minute
	// maxTime keeps sums of configured times far from overflowing.
	maxTime = 365 * 24 * time.Hour
)

// Counters count what a host has done since it was made.
type Counters struct {
	Solicitations  uint64 // router solicitations sent
	Advertisements uint64 // router advertisements read
	Ignored        uint64 // options that were malformed or said what cannot be
	Refused        uint64 // routers, routes, prefixes, servers and domains for which there was no room
	Duplicates     uint64 // addresses that were made and found to be somebody else's
	Unreachable    uint64 // routers that did not answer
}
