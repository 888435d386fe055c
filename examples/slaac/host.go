package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/smolnet"
)

// configure has a stack with the interface listen to routers, and tells of what it learns, until ctx is done; on a pipe, until
// everything that it has learnt has worn off.
func configure(ctx context.Context, journal *device.Journal, ifc smolnet.Interface, o *options) error {
	stack, err := smolnet.New(smolnet.Config{})
	if err != nil {
		return errors.Join(err, ifc.Device.Close())
	}
	defer stack.Close()
	watch := stack.Watch()
	ifc.Autoconf, ifc.TemporaryAddresses = true, o.temporary
	if o.secret != "" {
		secret := sha256.Sum256([]byte(o.secret))
		ifc.StableSecret = secret[:]
	}
	link, err := stack.AddInterface(ifc)
	if err != nil {
		return errors.Join(err, ifc.Device.Close())
	}
	h := &host{journal, stack, link}
	for {
		e, err := watch.Next(ctx)
		if err != nil {
			return nil // interrupted, or there are no more
		}
		h.tell(e)
		if o.Name == "pipe" && e.Kind == core.AddressRemoved && h.forgotten() {
			watch.Close()
		}
	}
}

// host is a stack that configures itself.
type host struct {
	journal *device.Journal
	stack   *smolnet.Stack
	link    *smolnet.Link
}

// forgotten reports whether nothing is left of what routers have advertised.
func (h *host) forgotten() bool {
	return len(h.link.Prefixes()) == 0 && len(h.link.NameServers()) == 0 &&
		!slices.ContainsFunc(h.link.Addresses(), func(a core.Address) bool { return a.Origin == route.Autoconf })
}

// tell prints an event, and what it means for what the interface knows.
func (h *host) tell(e core.Event) {
	h.journal.Printf("%v", e)
	switch e.Kind {
	case core.AddressAdded, core.AddressChanged:
		if e.Address.Origin == route.Autoconf {
			h.journal.More("preferred %s, valid %s", device.Left(e.Address.PreferredUntil), device.Left(e.Address.ValidUntil))
		}
	case core.RouterFound, core.RouterChanged:
		for _, r := range h.link.Routers() {
			h.journal.More("%s", describe(r))
		}
	case core.PrefixesChanged:
		for _, p := range h.link.Prefixes() {
			h.journal.More("prefix %v: on the link: %s; for addresses: %s", p.Prefix, during(p.OnLink, p.OnLinkUntil), during(p.Autonomous, p.ValidUntil))
		}
	case core.ServersChanged:
		for _, s := range h.link.NameServers() {
			h.journal.More("name server %v %s", s.Addr, device.Left(s.Until))
		}
		for _, d := range h.link.SearchDomains() {
			h.journal.More("domain %v %s", d.Name, device.Left(d.Until))
		}
		r := h.stack.Resolver()
		h.journal.More("names: of %v, below %v", r.Servers(), r.Search())
	}
}

func describe(r core.Router) string {
	if !r.Default {
		return fmt.Sprintf("router %v: leads to what its routes say", r.Addr)
	}
	reachable := "reachable"
	if !r.Reachable {
		reachable = "does not answer"
	}
	return fmt.Sprintf("router %v: leads everywhere %s, %v preference, %s", r.Addr, device.Left(r.Until), r.Preference, reachable)
}

// during says for how long something holds, if it does.
func during(holds bool, until time.Time) string {
	if !holds {
		return "no"
	}
	return device.Left(until)
}
