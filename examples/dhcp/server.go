package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/dhcpv4"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/smolnet"
)

// server is a stack that hands out addresses, and tells of who has got which.
type server struct {
	journal *device.Journal
	stack   *smolnet.Stack
	link    *smolnet.Link
	leases  map[netip.Addr]core.DHCPv4Binding // as far as they were told of
}

// newServer makes a server. If it cannot, it closes the interface's device.
func newServer(journal *device.Journal, ifc smolnet.Interface, o *options) (*server, error) {
	own, err := firstIPv4(ifc.Addresses)
	if err == nil {
		ifc.DHCPv4Server, err = o.server(own)
	}
	if err != nil {
		return nil, errors.Join(err, ifc.Device.Close())
	}
	s := &server{journal: journal, leases: map[netip.Addr]core.DHCPv4Binding{}}
	if s.stack, s.link, err = device.NewStack(smolnet.Config{}, ifc); err != nil {
		return nil, err
	}
	journal.Printf("server: %v hands out %s for %v", own, o.pool, o.lease)
	return s, nil
}

func firstIPv4(prefixes []netip.Prefix) (netip.Prefix, error) {
	for _, p := range prefixes {
		if p.Addr().Is4() {
			return p, nil
		}
	}
	return netip.Prefix{}, errors.New("-addr: a server needs an address of IPv4")
}

// server is what the server with the address is to hand out.
func (o *options) server(own netip.Prefix) (*dhcpv4.ServerConfig, error) {
	c := &dhcpv4.ServerConfig{
		Addr: own, LeaseTime: o.lease, Authoritative: true,
		DNSServers: o.dns, DomainName: o.domain,
	}
	first, last, _ := strings.Cut(o.pool, "-")
	var err, err2 error
	c.First, err = netip.ParseAddr(first)
	c.Last, err2 = netip.ParseAddr(last)
	if err != nil || err2 != nil {
		return nil, fmt.Errorf("-serve %s: it is no range of addresses", o.pool)
	}
	for _, gateway := range o.Gateways {
		if gateway.Is4() {
			c.Routers = append(c.Routers, gateway)
		}
	}
	if len(c.Routers) == 0 {
		c.Routers = []netip.Addr{own.Addr()}
	}
	if len(c.DNSServers) == 0 {
		c.DNSServers = []netip.Addr{own.Addr()}
	}
	return c, nil
}

// run tells of leases as they change, until ctx is done, and a second longer: what was given back may be on its way still.
func (s *server) run(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for last := false; !last; {
		last = ctx.Err() != nil
		<-ticker.C
		s.look()
	}
}

// look tells of what has changed since the last time.
func (s *server) look() {
	before := maps.Clone(s.leases)
	clear(s.leases)
	for _, b := range s.link.DHCPv4Bindings() {
		s.leases[b.Addr] = b
		if before[b.Addr] != b {
			s.journal.Printf("server: %v is leased to %s %s", b.Addr, client(b.HardwareAddr, b.Hostname), device.Left(b.ValidUntil))
		}
		delete(before, b.Addr)
	}
	for addr, b := range before {
		s.journal.Printf("server: %v is free again, which was %s's", addr, client(b.HardwareAddr, b.Hostname))
	}
}

// client is how a client is called.
func client(hardware wire.HardwareAddr, hostname string) string {
	return strings.TrimSpace(hardware.String() + " " + hostname)
}
