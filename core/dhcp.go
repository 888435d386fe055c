package core

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/dhcpv4"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// dhcpClient is what configures an interface for IPv4: a client of DHCP, and what has become of its lease. It is the client's
// dhcpv4.Link.
type dhcpClient struct {
	*Interface
	client *dhcpv4.Client
	bound  bool              // the lease is in use
	routes []Route           // that the lease has brought, the first the most important
	server wire.HardwareAddr // that the lease's server has, or the router to it, as of its last message

	servers, search any // of the last event about them
}

// Lease is what a DHCP server has given an interface, as of when it was asked for.
type Lease struct {
	// State is the client's. There is a lease from dhcpv4.Checking on; from dhcpv4.Bound on it is in use.
	State dhcpv4.State
	// Lease is what was given. Its times are for the stack; the times below are everybody's.
	dhcpv4.Lease
	// RenewAt and RebindAt are when the lease is to be renewed, by its server and by any. ValidUntil is its end. Zero: never.
	RenewAt, RebindAt, ValidUntil time.Time
}

// InUse reports whether the interface is configured by the lease.
func (l *Lease) InUse() bool { return l.Prefix.IsValid() && l.State != dhcpv4.Checking }

// StartDHCPv4 has the interface, an Ethernet's, get itself an IPv4 address, routes and so on from a DHCP server. It must not do so
// already. The error wraps ErrConfig, and names what is wrong with the configuration.
func (l *Interface) StartDHCPv4(now time.Time, config dhcpv4.Config) error {
	t := l.stack.enter(now)
	if err := l.startDHCPv4(t, config); err != nil {
		return fmt.Errorf("core: interface %q: %w: %w", l.name, ErrConfig, err)
	}
	return nil
}

func (l *Interface) startDHCPv4(now int64, config dhcpv4.Config) error {
	switch {
	case l.removed:
		return errors.New("DHCP on an interface that was removed")
	case l.medium != dev.Ethernet:
		return fmt.Errorf("DHCP on a medium without hardware addresses, %v", l.medium)
	case l.dhcpv4 != nil:
		return errors.New("DHCP is running already")
	}
	s := l.stack
	d := &dhcpClient{Interface: l}
	config.Timers, config.Link, config.Rand, config.HardwareAddr, config.Limits = &s.timers, d, s.random, l.hardware, s.limits.DHCPv4
	var err error
	if d.client, err = dhcpv4.NewClient(config); err != nil {
		return err
	}
	l.dhcpv4 = d
	d.client.Start(now)
	return nil
}

// StopDHCPv4 gives the lease back and takes what it has brought from the interface. The message to the server, if there is one, is
// then to be sent. If there is no client it does nothing.
func (l *Interface) StopDHCPv4(now time.Time) {
	t := l.stack.enter(now)
	if d := l.dhcpv4; d != nil {
		d.client.Release(t)
		l.dhcpv4 = nil
		l.claimLinkLocalv4(t)
	}
}

// RenewDHCPv4 has the DHCP client make sure of its lease, or begin anew if it has none: for when the link was away, and may be
// another network's now. It reports whether there is a client.
func (l *Interface) RenewDHCPv4(now time.Time) bool {
	t := l.stack.enter(now)
	if l.dhcpv4 == nil {
		return false
	}
	l.dhcpv4.client.Restart(t)
	return true
}

// DHCPv4Lease returns what the DHCP client has, and false if there is no client.
func (l *Interface) DHCPv4Lease() (Lease, bool) {
	if l.dhcpv4 == nil {
		return Lease{}, false
	}
	c := l.dhcpv4.client
	described := Lease{State: c.State()}
	if lease := c.Lease(); lease != nil {
		described.Lease = *lease
		described.RenewAt, described.RebindAt = l.stack.time(lease.Renew), l.stack.time(lease.Rebind)
		described.ValidUntil = l.stack.time(lease.Expire)
	}
	return described, true
}

// Send implements dhcpv4.Link.
func (d *dhcpClient) Send(now int64, message []byte, src, dst netip.Addr) {
	from, to := netip.AddrPortFrom(src, wire.DHCPv4ClientPort), netip.AddrPortFrom(dst, wire.DHCPv4ServerPort)
	hw := wire.HardwareAddr{}
	if d.client.State() == dhcpv4.Stopped {
		hw = d.server // there is no time to look for it
	}
	d.sendDHCPv4(now, message, from, to, hw)
}

// Probe implements dhcpv4.Link: the address becomes the interface's, tentatively. What cannot be the interface's address is refused
// as if it were somebody else's.
func (d *dhcpClient) Probe(now int64, lease *dhcpv4.Lease) {
	if err := d.setAddress(now, leased(lease)); err != nil {
		d.stack.event(Event{Kind: LeaseLost, Link: d.index, Err: err})
		d.client.Probed(now, true)
	}
}

func leased(lease *dhcpv4.Lease) addressConfig {
	return addressConfig{
		prefix: lease.Prefix, origin: route.DHCPv4, preferredUntil: lease.Expire, validUntil: lease.Expire,
	}
}

// Bound implements dhcpv4.Link: the interface is configured as the lease has it.
func (d *dhcpClient) Bound(now int64, lease *dhcpv4.Lease) {
	if err := d.setAddress(now, leased(lease)); err != nil {
		d.stack.event(Event{Kind: LeaseLost, Link: d.index, Err: err})
		d.client.Probed(now, true)
		return
	}
	d.bound = true
	d.setRoutes(lease)
	d.setMTU(lease.MTU)
	described, _ := d.DHCPv4Lease()
	d.stack.event(Event{Kind: LeaseBound, Link: d.index, Lease: &described})
	d.serversEvent(lease)
}

// Lost implements dhcpv4.Link: what the lease has brought goes with it.
func (d *dhcpClient) Lost(now int64, lease *dhcpv4.Lease, why error) {
	for _, r := range d.routes {
		d.dropRoute(r)
	}
	d.routes = nil
	d.setMTU(0)
	if a := d.find(lease.Prefix.Addr()); a != nil && a.origin == route.DHCPv4 {
		d.dropAddress(now, lease.Prefix.Addr())
	}
	if d.bound {
		d.bound = false
		d.stack.event(Event{Kind: LeaseLost, Link: d.index, Lease: &Lease{State: d.client.State(), Lease: *lease}, Err: why})
		d.serversEvent(&dhcpv4.Lease{})
	}
}

// Silent implements dhcpv4.Link: nobody hands out addresses here.
func (d *dhcpClient) Silent(now int64) {
	if d.linkLocalv4 != nil {
		d.linkLocalv4.start(now)
	}
}

// setRoutes has the interface have the routes that the lease brings, and none that one before has brought.
func (d *dhcpClient) setRoutes(lease *dhcpv4.Lease) {
	wanted := d.routesOf(lease)
	for _, old := range d.routes {
		if !slices.Contains(wanted, old) {
			d.dropRoute(old)
		}
	}
	d.routes = d.routes[:0]
	for _, r := range wanted {
		if err := d.setRoute(r); err != nil {
			d.stack.event(Event{Kind: LeaseBound, Link: d.index, Route: r, Err: err})
			continue // somebody has configured the same, or there is no room for it
		}
		d.routes = append(d.routes, r)
	}
}

// restoreRoutes has the interface have those of the lease's routes, too, that somebody had configured and has removed.
func (d *dhcpClient) restoreRoutes() {
	for _, r := range d.routesOf(d.client.Lease()) {
		if d.setRoute(r) == nil && !slices.Contains(d.routes, r) {
			d.routes = append(d.routes, r)
		}
	}
}

// routesOf returns the lease's routes. Of those to one destination the first is the best. A router outside the lease's network, as
// some clouds have it, is on the link all the same.
func (d *dhcpClient) routesOf(lease *dhcpv4.Lease) []Route {
	var routes []Route
	metrics := make(map[netip.Prefix]int)
	for _, g := range lease.Gateways() {
		r := Route{Destination: g.Prefix, Link: d.index, Origin: route.DHCPv4}
		if !g.Router.IsUnspecified() {
			if r.Gateway = g.Router; d.stack.hasAny(g.Router) {
				continue
			}
			onLink := Route{Destination: netip.PrefixFrom(g.Router, 32), Link: d.index, Origin: route.DHCPv4}
			if !lease.Prefix.Contains(g.Router) && !slices.Contains(routes, onLink) {
				routes = append(routes, onLink)
			}
		} else if g.Prefix == lease.Prefix.Masked() {
			continue // the address's own
		}
		r.Metric = metrics[g.Prefix]
		metrics[g.Prefix]++
		routes = append(routes, r)
	}
	return routes
}

// setMTU has the interface send no larger packets than a server says, nor than it was configured to; 0 is the server's saying nothing.
func (d *dhcpClient) setMTU(mtu int) {
	if d.fullMTU == 0 {
		d.fullMTU = d.mtu
	}
	if mtu == 0 {
		mtu = d.fullMTU
	}
	if d.ipv6 {
		mtu = max(mtu, wire.IPv6MinMTU) // which IPv6 cannot do without
	}
	if mtu = min(mtu, d.fullMTU); mtu != d.mtu {
		d.mtu = mtu
		d.stack.routesChanged()
	}
}

// serversEvent tells of the servers and domains that the lease brings if they are others than before.
func (d *dhcpClient) serversEvent(lease *dhcpv4.Lease) {
	servers, search := fmt.Sprint(lease.DNSServers, lease.NTPServers), fmt.Sprint(lease.Search(), lease.Hostname)
	if servers != d.servers || search != d.search {
		d.servers, d.search = servers, search
		d.stack.event(Event{Kind: ServersChanged, Link: d.index})
	}
}

// learntv4 tells whoever the IPv4 address comes from whether somebody else has it.
func (l *Interface) learntv4(now int64, a *address, conflict bool) {
	switch {
	case a.origin == route.DHCPv4 && l.dhcpv4 != nil:
		if lease := l.dhcpv4.client.Lease(); lease != nil && lease.Prefix.Addr() == a.addr() {
			l.dhcpv4.client.Probed(now, conflict)
		}
	case a.origin == route.LinkLocal && l.linkLocalv4 != nil:
		l.linkLocalv4.claimer.Probed(now, conflict)
	}
}
