package dialer

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/internal/inet"
	"github.com/smolnet/smolnet/internal/neterr"
)

// attempt is one dial: to any of several addresses that stand for the same host.
type attempt struct {
	*Dialer
	network inet.Network
	name    string   // of the network, as it was given
	local   net.Addr // may be nil
	options Options
}

// fallbackDelay is how much of a start the preferred family gets by default.
const fallbackDelay = 300 * time.Millisecond

// outcome is how one of the racers has fared.
type outcome struct {
	conn    net.Conn
	err     error
	primary bool
}

// race tries the primaries and, unless they soon lead to a connection, the fallbacks, which are of the other family, at the same
// time. The first connection wins; the other racer is told to stop, and what it connects nevertheless is closed. If all fail it
// is the error of the first address that the caller gets to see.
//
//	"In order to avoid unreasonable network load, connection attempts SHOULD NOT be made simultaneously. Instead, one connection
//	attempt to a single address is started first, followed by the others in the list, one at a time."
//
// https://www.rfc-editor.org/rfc/rfc8305.html#section-5
//
// As in package net the families race, not single addresses.
//
// The racers share a copy of the attempt and of its Dialer, so that one that is no race need not be allocated.
func (a attempt) race(ctx context.Context, primaries, fallbacks []netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	outcomes, over := make(chan outcome), make(chan struct{})
	defer close(over)
	d := *a.Dialer
	a.Dialer = &d
	start := func(addrs []netip.AddrPort, primary bool) {
		conn, err := a.serial(ctx, addrs)
		select {
		case outcomes <- outcome{conn, err, primary}:
		case <-over:
			if err == nil {
				conn.Close()
			}
		}
	}
	go start(primaries, true)
	delay := a.FallbackDelay
	if delay == 0 {
		delay = fallbackDelay
	}
	begin := time.NewTimer(delay)
	defer begin.Stop()
	var first error
	for failed := 0; failed < 2; {
		select {
		case <-begin.C:
			go start(fallbacks, false)
		case o := <-outcomes:
			if o.err == nil {
				return o.conn, nil
			}
			failed++
			if o.primary {
				first = o.err
				if begin.Stop() {
					begin.Reset(0)
				}
			}
		}
	}
	return nil, first
}

// partition divides the addresses into those of the first one's family and the others.
func partition(addrs []netip.AddrPort) (primaries, fallbacks []netip.AddrPort) {
	other := func(addr netip.AddrPort) bool { return addr.Addr().Is4() != addrs[0].Addr().Is4() }
	if !slices.ContainsFunc(addrs, other) {
		return addrs, nil
	}
	for _, addr := range addrs {
		if !other(addr) {
			primaries = append(primaries, addr)
		} else {
			fallbacks = append(fallbacks, addr)
		}
	}
	return primaries, fallbacks
}

// serial tries one address after the other. The first error is what the caller gets to see, as the most relevant one, unless
// there is no time for all: then it is the context's, about the address that is not tried any more.
func (a *attempt) serial(ctx context.Context, addrs []netip.AddrPort) (net.Conn, error) {
	var first error
	for i, addr := range addrs {
		if err := ctx.Err(); err != nil {
			return nil, a.failure(addr, err) // the caller has given up, whatever went wrong before
		}
		c, err := a.single(ctx, addr, len(addrs)-i)
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = a.failure(addr, err)
		}
	}
	return nil, first
}

// single tries one address, of so many that remain to be tried, and gives it its share of the time.
func (a *attempt) single(ctx context.Context, addr netip.AddrPort, remaining int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		if sooner := partialDeadline(time.Now(), deadline, remaining); sooner.Before(deadline) {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, sooner)
			defer cancel()
		}
	}
	options, err := a.controlled(ctx, addr)
	if err != nil {
		return nil, err
	}
	local, _ := a.network.AddrPort(a.local)
	switch a.network.Protocol() {
	case "tcp":
		return a.Stack.ConnectTCP(ctx, a.name, local, addr, options)
	case "udp":
		return a.Stack.ConnectUDP(ctx, a.name, local, addr, options)
	}
	return a.Stack.ConnectIP(ctx, a.name, local.Addr(), addr.Addr(), options)
}

// controlled returns the options, as Control wants them.
func (a *attempt) controlled(ctx context.Context, addr netip.AddrPort) (Options, error) {
	if a.Control == nil {
		return a.options, nil
	}
	options := a.options
	err := a.Control(ctx, a.network.Of(addr.Addr()).String(), a.network.Addr(addr).String(), &options)
	return options, err
}

// leastShare is what an address gets at least of the time that remains, if so much remains.
const leastShare = 2 * time.Second

// partialDeadline returns when to turn to the next of the remaining addresses.
func partialDeadline(now, deadline time.Time, remaining int) time.Time {
	left := deadline.Sub(now)
	return now.Add(min(left, max(leastShare, left/time.Duration(remaining))))
}

func (a *attempt) failure(addr netip.AddrPort, err error) error {
	return neterr.Op("dial", "connect", a.name, a.local, a.network.Addr(addr), err)
}
