package slaac

import (
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/wire"
)

// Advertised reads a router advertisement, sent by the router with the link-local address from, which has no zone. That
// the packet was valid by RFC 4861 section 6.1.2 is the caller's concern. It keeps nothing of r.
//
// Source link-layer address options are the caller's too: they are for its neighbour cache.
func (h *Host) Advertised(now int64, from netip.Addr, r *wire.NDRouterAdvertisementRepr) {
	if !h.running {
		return
	}
	h.counters.Advertisements++
	params := h.params
	if r.HopLimit != 0 {
		params.HopLimit = r.HopLimit
	}
	h.learnTime(&params.Reachable, r.Reachable, 0)
	h.learnTime(&params.Retransmit, r.Retransmit, minRetransmit)
	// A route information option for ::/0 overrides what the header says of it, and so comes after.
	// https://www.rfc-editor.org/rfc/rfc4191.html#section-3.1
	h.learnRoute(now, from, defaultDestination, r.Preference, r.RouterLifetime)
	options := r.Options
	for option, ok := options.Next(); ok; option, ok = options.Next() {
		if !h.learn(now, from, &params, option) {
			h.counters.Ignored++
		}
	}
	if params != h.params {
		h.params = params
		h.cfg.Link.SetParameters(now, params)
	}
	h.settle(now)
	if managed, other := h.managed || r.Managed, h.other || r.Other; !h.informed || managed != h.managed || other != h.other {
		h.informed, h.managed, h.other = true, managed, other
		h.cfg.Link.Managed(now, managed, other)
	}
}

// learn reads one option, and reports whether it made sense. Those of types not known here do.
func (h *Host) learn(now int64, from netip.Addr, params *Parameters, option wire.NDOption) bool {
	var err error
	switch option.Type() {
	case wire.NDOptionPrefixInformation:
		var r wire.NDPrefixInformationRepr
		if err = r.Parse(option); err == nil {
			h.learnPrefix(now, &r)
		}
	case wire.NDOptionRouteInformation:
		var r wire.NDRouteInformationRepr
		if err = r.Parse(option); err == nil {
			h.learnRoute(now, from, r.Prefix, r.Preference, r.Lifetime)
		}
	case wire.NDOptionMTU:
		var r wire.NDMTURepr
		if err = r.Parse(option); err == nil {
			return h.learnMTU(params, r.MTU)
		}
	case wire.NDOptionRDNSS:
		var r wire.NDRDNSSRepr
		if err = r.Parse(option); err == nil {
			h.learnServers(now, &r)
		}
	case wire.NDOptionDNSSL:
		var r wire.NDDNSSLRepr
		if err = r.Parse(option); err == nil {
			h.learnDomains(now, &r)
		}
	}
	return err == nil
}

// learnMTU takes the link's MTU, unless IPv6 could not do with it or the link is not capable of it.
//
// "If the MTU option is present, hosts SHOULD copy the option's value into LinkMTU so long as the value is greater than
// or equal to the minimum link MTU and does not exceed the maximum LinkMTU value specified in the link-type-specific
// document"
// https://www.rfc-editor.org/rfc/rfc4861.html#section-6.3.4
func (h *Host) learnMTU(params *Parameters, mtu uint32) bool {
	if mtu < wire.IPv6MinMTU || uint64(mtu) > uint64(h.cfg.MTU) {
		return false
	}
	params.MTU = int(mtu)
	return true
}

const (
	// maxLinkTime bounds the times that a router says: with longer ones nothing would ever be found out about a
	// neighbour. It is the most that a router may say of the reachable time.
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-6.2.1
	maxLinkTime = time.Hour
	// minRetransmit keeps solicitations from becoming a flood. It is Linux's.
	minRetransmit = 10 * time.Millisecond
)

// learnTime takes a time that is said, by being neither zero nor more than can be meant.
func (h *Host) learnTime(t *time.Duration, said, least time.Duration) {
	switch {
	case said == 0:
	case said > maxLinkTime:
		h.counters.Ignored++
	default:
		*t = max(said, least)
	}
}
