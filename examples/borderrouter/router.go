package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/registration"
	"github.com/smolnet/smolnet/core/rpl"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/smolnet"
)

// router is a stack with two interfaces, between which it forwards.
type router struct {
	journal  *device.Journal
	stack    *smolnet.Stack
	radio    *smolnet.Link
	ethernet *smolnet.Link
	watch    *smolnet.Watch
}

// newRouter makes a router. If it cannot, it closes the devices.
func newRouter(journal *device.Journal, o *options, radio, ethernet dev.Device) (*router, error) {
	stack, err := smolnet.New(smolnet.Config{})
	if err != nil {
		return nil, errors.Join(err, radio.Close(), ethernet.Close())
	}
	r := &router{journal: journal, stack: stack, watch: stack.Watch()}
	wired := smolnet.Interface{Name: "ethernet", Device: ethernet, Forward: true, Addresses: []netip.Prefix{o.ethernet}}
	if o.gateway.IsValid() {
		everywhere := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		wired.Routes = []core.Route{{Destination: everywhere, Gateway: o.gateway}}
	}
	if r.ethernet, err = stack.AddInterface(wired); err != nil {
		return nil, errors.Join(err, ethernet.Close(), radio.Close(), stack.Close())
	}
	if r.radio, err = stack.AddInterface(o.mesh(radio)); err != nil {
		return nil, errors.Join(err, radio.Close(), stack.Close())
	}
	return r, nil
}

// mesh describes the interface on the radio.
func (o *options) mesh(radio dev.Device) smolnet.Interface {
	ifc := o.Interface(radio)
	ifc.Forward = true
	config := ifc.IEEE802154
	config.EUI64 = extendedAddr(config.EUI64, radio.Capabilities().EUI64)
	own := addressOf(o.prefix, config.EUI64)
	ifc.Addresses = append(ifc.Addresses, netip.PrefixFrom(own, o.prefix.Bits()))
	if config.Contexts == (wire.LowpanContexts{}) && o.rpl == wire.RPLNoDownward { // RPL tells nobody of contexts
		config.Contexts[0] = wire.LowpanContext{Prefix: o.prefix.Masked(), Compress: true}
	}
	config.Router = &registration.RouterConfig{
		Prefixes:     []registration.Prefix{{Prefix: o.prefix.Masked()}},
		BorderRouter: own,
		Version:      uint32(time.Now().Unix()), // more than when it ran before
		Interval:     time.Minute,
	}
	if o.rpl != wire.RPLNoDownward {
		config.RPLRoot = &rpl.RootConfig{
			DODAG: own, Mode: o.rpl, TargetsIn: []netip.Prefix{o.prefix.Masked()},
			Prefixes: []wire.RPLPrefixInformationRepr{{
				Prefix: o.prefix.Masked(), Autonomous: true,
				ValidLifetime: wire.NDInfiniteLifetime, PreferredLifetime: wire.NDInfiniteLifetime,
			}},
		}
	}
	for id, context := range config.Contexts {
		if context.Prefix.IsValid() {
			config.Router.Contexts = append(config.Router.Contexts, wire.NDContextRepr{
				ID: uint8(id), Prefix: context.Prefix.Masked(), Compress: context.Compress, Lifetime: 24 * time.Hour,
			})
		}
	}
	return ifc
}

// extendedAddr is the address that is configured or the radio's own, or else a random one, locally administered.
func extendedAddr(configured, own [8]byte) (eui64 [8]byte) {
	switch none := [8]byte{}; {
	case configured != none:
		return configured
	case own != none:
		return own
	}
	_, _ = rand.Read(eui64[:]) // never fails
	eui64[0] = eui64[0]&^1 | 2
	return eui64
}

// addressOf is the address in a network of the node with the extended address.
func addressOf(network netip.Prefix, eui64 [8]byte) netip.Addr {
	addr := network.Addr().As16()
	id := wire.ExtendedAddr(eui64).InterfaceID()
	copy(addr[8:], id[:])
	return netip.AddrFrom16(addr)
}

// run tells what happens until ctx is done.
func (r *router) run(ctx context.Context) {
	for _, link := range []*smolnet.Link{r.radio, r.ethernet} {
		for _, own := range link.Addresses() {
			r.journal.Printf("router: %v on the %s", own.Prefix, link.Name())
		}
	}
	for {
		e, err := r.watch.Next(ctx)
		if err != nil {
			return
		}
		r.journal.Printf("router: %v", e)
	}
}
