package core

import (
	"fmt"

	"github.com/smolnet/smolnet/core/ieee802154"
	"github.com/smolnet/smolnet/core/lowpan"
	"github.com/smolnet/smolnet/core/registration"
	"github.com/smolnet/smolnet/core/rpl"
)

// LowpanLimits bound what an interface on an IEEE 802.15.4 radio keeps. A zero field stands for its default; no field may be negative.
type LowpanLimits struct {
	// Datagrams is how many packets may be put together at once from 6LoWPAN's fragments, of 2304 octets each: see
	// lowpan.ReassemblyConfig.MaxDatagrams. Default 64.
	Datagrams int
	// DatagramsPerNode is how many of them may come from one link-layer address. Default 8.
	DatagramsPerNode int
	// Senders is how many nodes' last frames are remembered, to recognise those that come again: see
	// ieee802154.DuplicatesConfig.MaxSources. Default 64.
	Senders int
	// FrameCounters is how many nodes' frame counters are remembered, on a radio with Security: see
	// ieee802154.SecurityConfig.MaxCounters. Default 256.
	FrameCounters int

	// BorderRouters is how many border routers a host knows. Default 4.
	BorderRouters int
	// Registrations is how many addresses may be registered with a router, at most Limits.Neighbours. Default 256, or that if it is less.
	Registrations int
	// RegistrationsPerNode is how many of them may have the same link-layer address. Default 8.
	RegistrationsPerNode int
	// Solicitors is how many hosts may wait for a router's advertisement at once. Default 16.
	Solicitors int

	// DODAGs is how many networks of RPL a leaf knows. Default 4.
	DODAGs int
	// RPLNeighbours is how many neighbours it knows in all of them, at least 2. Default 16.
	RPLNeighbours int
	// RPLAddresses is how many of its addresses it tells others of. Default 8.
	RPLAddresses int
	// RPLTargets is how many destinations a root knows. Default 128.
	RPLTargets int
}

// withDefaults fills in what is zero, and refuses what cannot be. neighbours is Limits.Neighbours.
func (l LowpanLimits) withDefaults(neighbours int) (LowpanLimits, error) {
	for _, f := range []struct {
		name     string
		value    *int
		standard int
	}{
		{"Datagrams", &l.Datagrams, lowpan.DefaultMaxDatagrams},
		{"DatagramsPerNode", &l.DatagramsPerNode, lowpan.DefaultMaxPerSource},
		{"Senders", &l.Senders, ieee802154.DefaultMaxSources},
		{"FrameCounters", &l.FrameCounters, ieee802154.DefaultMaxCounters},
		{"BorderRouters", &l.BorderRouters, registration.DefaultMaxBorder},
		{"Registrations", &l.Registrations, min(registration.DefaultMaxRegistrations, neighbours)},
		{"RegistrationsPerNode", &l.RegistrationsPerNode, registration.DefaultMaxPerLinkAddr},
		{"Solicitors", &l.Solicitors, registration.DefaultMaxSolicitors},
		{"DODAGs", &l.DODAGs, rpl.DefaultMaxDODAGs},
		{"RPLNeighbours", &l.RPLNeighbours, rpl.DefaultMaxNeighbours},
		{"RPLAddresses", &l.RPLAddresses, rpl.DefaultMaxAddresses},
		{"RPLTargets", &l.RPLTargets, rpl.DefaultMaxTargets},
	} {
		if *f.value < 0 {
			return l, fmt.Errorf("core: %w: Limits.Lowpan.%s is negative: %d", ErrConfig, f.name, *f.value)
		}
		if *f.value == 0 {
			*f.value = f.standard
		}
	}
	switch {
	case l.Registrations > neighbours:
		return l, fmt.Errorf("core: %w: Limits.Lowpan.Registrations %d is more than Limits.Neighbours %d", ErrConfig, l.Registrations, neighbours)
	case l.RPLNeighbours < 2:
		return l, fmt.Errorf("core: %w: Limits.Lowpan.RPLNeighbours %d is less than 2", ErrConfig, l.RPLNeighbours)
	}
	return l, nil
}

// bounded is a bound in a radio's configuration, which stays zero there, and what the stack's limits have for it.
type bounded struct {
	name  string
	value *int
	limit int
}

// bound gives the parts of a radio's configuration the bounds that the stack's limits have for them. What it points to becomes the
// interface's own.
func (c *IEEE802154Config) bound(limits *Limits) error {
	bounds := []bounded{
		{"Reassembly.MaxDatagrams", &c.Reassembly.MaxDatagrams, limits.Lowpan.Datagrams},
		{"Reassembly.MaxPerSource", &c.Reassembly.MaxPerSource, limits.Lowpan.DatagramsPerNode},
		{"Duplicates.MaxSources", &c.Duplicates.MaxSources, limits.Lowpan.Senders},
		{"Registration.Addresses", &c.Registration.Addresses, limits.Addresses},
		{"Registration.Routers", &c.Registration.Routers, limits.Routers},
		{"Registration.BorderRouters", &c.Registration.BorderRouters, limits.Lowpan.BorderRouters},
	}
	if c.Security != nil {
		own := *c.Security
		c.Security = &own
		bounds = append(bounds, bounded{"Security.MaxCounters", &own.MaxCounters, limits.Lowpan.FrameCounters})
	}
	if c.Router != nil {
		own := *c.Router
		c.Router = &own
		bounds = append(bounds,
			bounded{"Router.Registrations", &own.Registrations, limits.Lowpan.Registrations},
			bounded{"Router.PerLinkAddr", &own.PerLinkAddr, limits.Lowpan.RegistrationsPerNode},
			bounded{"Router.Solicitors", &own.Solicitors, limits.Lowpan.Solicitors})
	}
	if c.RPLLeaf != nil {
		own := *c.RPLLeaf
		c.RPLLeaf = &own
		bounds = append(bounds,
			bounded{"RPLLeaf.DODAGs", &own.DODAGs, limits.Lowpan.DODAGs},
			bounded{"RPLLeaf.Neighbours", &own.Neighbours, limits.Lowpan.RPLNeighbours},
			bounded{"RPLLeaf.Targets", &own.Targets, limits.Lowpan.RPLAddresses})
	}
	if c.RPLRoot != nil {
		own := *c.RPLRoot
		c.RPLRoot = &own
		bounds = append(bounds, bounded{"RPLRoot.Targets", &own.Targets, limits.Lowpan.RPLTargets})
	}
	for _, b := range bounds {
		if *b.value != 0 {
			return fmt.Errorf("IEEE802154.%s is %d, and stays zero: bounds belong in Config.Limits", b.name, *b.value)
		}
		*b.value = b.limit
	}
	return nil
}
