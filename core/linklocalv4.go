package core

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/core/linklocal"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/dev"
)

// linkLocalv4 claims an IPv4 link-local address for an interface that has no other. It is the claimer's linklocal.Link.
type linkLocalv4 struct {
	*Interface
	claimer *linklocal.Claimer
}

// newLinkLocalv4 makes what claims an address once it is started.
func (l *Interface) newLinkLocalv4() (*linkLocalv4, error) {
	if l.medium != dev.Ethernet {
		return nil, fmt.Errorf("IPv4 link-local addresses on a medium without hardware addresses, %v", l.medium)
	}
	c := &linkLocalv4{Interface: l}
	var err error
	c.claimer, err = linklocal.New(linklocal.Config{Timers: &l.stack.timers, Link: c, HardwareAddr: l.hardware})
	return c, err
}

// claimLinkLocalv4 has the interface claim a link-local address if it is to, and has no other. With a DHCP client that says when.
func (l *Interface) claimLinkLocalv4(now int64) {
	if l.linkLocalv4 != nil && l.dhcpv4 == nil && !l.removed {
		l.linkLocalv4.start(now)
	}
}

// start claims an address unless there is a better one.
//
// "a host SHOULD NOT have both an operable routable address and an IPv4 Link-Local address configured on the same interface."
// https://www.rfc-editor.org/rfc/rfc3927.html#section-1.9
func (c *linkLocalv4) start(now int64) {
	if !slices.ContainsFunc(c.addresses, func(a *address) bool { return a.addr().Is4() && a.state != Duplicate }) {
		c.claimer.Start(now)
	}
}

// Probe implements linklocal.Link.
func (c *linkLocalv4) Probe(now int64, addr netip.Addr) {
	err := c.setAddress(now, addressConfig{
		prefix: netip.PrefixFrom(addr, linklocal.Prefix.Bits()), origin: route.LinkLocal, preferredUntil: timer.Never, validUntil: timer.Never,
	})
	if err != nil {
		c.claimer.Stop(now) // another interface has the network
	}
}

// Withdraw implements linklocal.Link.
func (c *linkLocalv4) Withdraw(now int64, addr netip.Addr) {
	if a := c.find(addr); a != nil && a.origin == route.LinkLocal {
		c.dropAddress(now, addr)
	}
}

// giveWay ends the use of the link-local address, in favour of another.
func (c *linkLocalv4) giveWay(now int64) {
	if c != nil {
		c.claimer.Stop(now)
	}
}
