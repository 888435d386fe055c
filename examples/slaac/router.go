package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/smolnet"
)

// router is a stack that advertises itself, by a raw socket: as much of RFC 4861, section 6.2, as it takes for hosts to configure
// themselves.
type router struct {
	*options
	journal *device.Journal
	stack   *smolnet.Stack
	link    *smolnet.Link
	conn    *smolnet.IPConn
	retired atomic.Bool
}

// newRouter makes a router. It returns once the interface's link-local address can be used. If it cannot, it closes the interface's device.
func newRouter(ctx context.Context, journal *device.Journal, ifc smolnet.Interface, o *options) (*router, error) {
	if !o.prefix.Addr().Is6() {
		return nil, errors.Join(errors.New("-advertise: it is no prefix of IPv6"), ifc.Device.Close())
	}
	ifc.Forward = true // routers hear solicitations
	stack, link, err := device.NewStack(smolnet.Config{}, ifc)
	if err != nil {
		return nil, err
	}
	r := &router{options: o, journal: journal, stack: stack, link: link}
	if err = r.listen(ctx); err != nil {
		return nil, errors.Join(err, stack.Close())
	}
	journal.Printf("router: %v advertises %v for %v, every %v", link.HardwareAddr(), o.prefix, o.lifetime, o.interval)
	return r, nil
}

// listen makes the socket.
func (r *router) listen(ctx context.Context) error {
	for watch := r.stack.Watch(); !r.ready(); {
		if _, err := watch.Next(ctx); err != nil {
			return err
		}
	}
	conn, err := r.stack.ListenIP("ip6:ipv6-icmp", nil)
	if err != nil {
		return err
	}
	// Hosts believe only what cannot have come by another router.
	r.conn = conn
	return errors.Join(conn.SetHopLimit(wire.NDHopLimit), conn.SetMulticastHopLimit(wire.NDHopLimit),
		conn.SetControlMessage(smolnet.ControlHopLimit, true))
}

// ready reports whether the interface has an address to advertise from.
func (r *router) ready() bool {
	for _, own := range r.link.Addresses() {
		if own.Prefix.Addr().IsLinkLocalUnicast() && own.State == core.Preferred {
			return true
		}
	}
	return false
}

// run advertises, and answers who asks, until ctx is done or it has done so often enough. It says farewell, and then is silent. It closes
// the stack when ctx is done.
func (r *router) run(ctx context.Context) error {
	answered := make(chan error, 1)
	go func() { answered <- r.answer() }()
	err := r.advertise(ctx)
	if err == nil && r.advertisements > 0 {
		<-ctx.Done()
	}
	err = errors.Join(err, r.stack.Close())
	if failed := <-answered; !errors.Is(failed, net.ErrClosed) {
		err = errors.Join(err, failed)
	}
	return err
}

// advertise tells all hosts.
func (r *router) advertise(ctx context.Context) error {
	ticker := time.NewTicker(r.interval)
	defer ticker.Stop()
	for sent := 0; r.advertisements == 0 || sent < r.advertisements; sent++ {
		if err := r.send(netip.IPv6LinkLocalAllNodes(), r.lifetime); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return r.farewell()
		}
	}
	return r.farewell()
}

// farewell has hosts look for another router.
func (r *router) farewell() error {
	r.journal.Printf("router: farewell")
	r.retired.Store(true)
	return r.send(netip.IPv6LinkLocalAllNodes(), 0)
}

// answer answers solicitations. Who has no address yet will hear the next advertisement to all.
func (r *router) answer() error {
	b, oob := make([]byte, 1500), make([]byte, 128)
	for {
		n, oobn, _, from, err := r.conn.ReadMsgIP(b, oob)
		if err != nil {
			return err
		}
		var control smolnet.ControlMessage
		var solicitation wire.NDRouterSolicitationRepr
		if control.Parse(oob[:oobn]) != nil || control.HopLimit != wire.NDHopLimit || solicitation.Parse(b[:n]) != nil {
			continue
		}
		r.journal.Printf("router: %v solicits", from)
		if to, ok := netip.AddrFromSlice(from.IP); ok && !to.IsUnspecified() && !r.retired.Load() {
			_ = r.send(to, r.lifetime) // it will ask again
		}
	}
}

// send sends an advertisement whose contents hold for the lifetime.
func (r *router) send(to netip.Addr, lifetime time.Duration) error {
	message := wire.NDRouterAdvertisementRepr{HopLimit: 64, RouterLifetime: lifetime}
	for _, option := range []wire.NDOptionRepr{
		&wire.NDLinkAddrRepr{Addr: r.link.HardwareAddr().LinkAddr()},
		&wire.NDPrefixInformationRepr{
			Prefix: r.prefix.Masked(), OnLink: true, Autonomous: true, ValidLifetime: lifetime, PreferredLifetime: lifetime * 2 / 3,
		},
		&wire.NDRDNSSRepr{Lifetime: lifetime, Servers: []netip.Addr{r.dns}},
		&wire.NDDNSSLRepr{Lifetime: lifetime, Domains: []string{r.domain}},
	} {
		message.Options = message.Options.Append(option)
	}
	b := make([]byte, message.Len())
	message.Emit(b, to, to) // the stack fills in the checksum
	_, err := r.conn.WriteToIP(b, &net.IPAddr{IP: to.AsSlice(), Zone: r.link.Name()})
	return err
}
