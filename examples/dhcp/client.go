package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/dhcpv4"
	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/smolnet"
)

// lease has a stack with the interface get a lease and keep it, and tells of what comes of it: until it was renewed as often as wanted,
// or ctx is done. Then it is given back.
func lease(ctx context.Context, journal *device.Journal, ifc smolnet.Interface, o *options) error {
	stack, err := smolnet.New(smolnet.Config{})
	if err != nil {
		return errors.Join(err, ifc.Device.Close())
	}
	defer stack.Close()
	watch := stack.Watch()
	ifc.DHCPv4 = &dhcpv4.Config{
		Hostname: o.hostname, RequestedAddr: o.requested,
		MinLease: 5 * time.Second, // for those who want to see renewals
	}
	ifc.LinkLocalv4 = o.linkLocal
	link, err := stack.AddInterface(ifc)
	if err != nil {
		return errors.Join(err, ifc.Device.Close())
	}
	journal.Printf("%v asks for a lease", link.HardwareAddr())

	bound, renewals := false, 0
	for o.renewals == 0 || renewals < o.renewals {
		e, err := watch.Next(ctx)
		if err != nil {
			break // interrupted
		}
		tell(journal, stack, e)
		switch {
		case e.Kind == core.LeaseLost:
			bound = false
		case e.Kind == core.LeaseBound && bound:
			renewals++
		case e.Kind == core.LeaseBound:
			bound = true
		}
	}
	journal.Printf("renewed %d times: the lease is given back", renewals)
	link.StopDHCPv4()
	watch.Close()
	for {
		e, err := watch.Next(context.Background())
		if err != nil {
			return nil // there are no more
		}
		tell(journal, stack, e)
	}
}

// tell prints an event.
func tell(journal *device.Journal, stack *smolnet.Stack, e core.Event) {
	journal.Printf("%v", e)
	switch {
	case e.Kind == core.LeaseBound && e.Lease != nil:
		for _, line := range describe(e.Lease) {
			journal.More("%s", line)
		}
	case e.Kind == core.ServersChanged:
		r := stack.Resolver()
		journal.More("names: of %v, below %v", r.Servers(), r.Search())
	}
}

// describe is what a lease says, besides the address.
func describe(l *core.Lease) (lines []string) {
	var told []string
	add := func(what string, values any, said bool) {
		if said {
			told = append(told, fmt.Sprintf("%s %v", what, values))
		}
	}
	add("routers", l.Routers, len(l.Routers) > 0)
	add("routes", l.Routes, len(l.Routes) > 0)
	add("name servers", l.DNSServers, len(l.DNSServers) > 0)
	add("domains", l.Search(), len(l.Search()) > 0)
	add("time servers", l.NTPServers, len(l.NTPServers) > 0)
	add("hostname", l.Hostname, l.Hostname != "")
	add("MTU", l.MTU, l.MTU != 0)
	if len(told) > 0 {
		lines = append(lines, strings.Join(told, ", "))
	}
	if l.ValidUntil.IsZero() {
		return append(lines, "valid for ever")
	}
	return append(lines, fmt.Sprintf("valid %s; to be renewed in %v, or else by any server in %v",
		device.Left(l.ValidUntil), round(time.Until(l.RenewAt)), round(time.Until(l.RebindAt))))
}

func round(d time.Duration) time.Duration { return max(0, d).Round(time.Second) }
