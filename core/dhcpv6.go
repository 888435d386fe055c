package core

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/dhcpv6"
	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/wire"
)

// DHCPv6Config says what an interface asks DHCPv6 servers for (RFC 8415), and as whom.
type DHCPv6Config struct {
	// Mode says what is asked for. Default: what routers say is to be had, if the interface listens to them.
	Mode DHCPv6Mode
	// DUID tells the stack from all other clients, and should be the same whenever it runs. nil: it is made from the
	// interface's hardware address, or where there is none at random.
	DUID wire.DHCPv6DUID
	// IAID tells the interface from others of the same DUID. 0: the interface's index.
	IAID uint32
	// RapidCommit has servers that are willing assign addresses at once, without a choice between servers.
	RapidCommit bool
}

// DHCPv6Mode is what an interface asks DHCPv6 servers for.
type DHCPv6Mode uint8

const (
	DHCPv6AsAdvertised DHCPv6Mode = iota // what routers say is to be had
	DHCPv6Off                            // nothing, whatever routers say
	DHCPv6Stateless                      // name servers and the like
	DHCPv6Stateful                       // addresses, too

	numDHCPv6Modes
)

// dhcpv6Client is what asks DHCPv6 servers for an interface, once there is something to ask for. It is the client's dhcpv6.Link.
type dhcpv6Client struct {
	*Interface
	client *dhcpv6.Client
}

// DHCPv6Lease is what DHCPv6 servers have given an interface, as of when it was asked for.
type DHCPv6Lease struct {
	// State is what the client is doing.
	State dhcpv6.State
	// Server is who the addresses are from, or what else there is; nil: nobody.
	Server wire.DHCPv6DUID
	// Addresses are those of the interface's own that the server has given it.
	Addresses []Address
	// Information is what the server has said besides.
	dhcpv6.Information
}

// DHCPv6Lease returns what the interface has got from DHCPv6 servers. It is false if it does not ask any, or no longer.
func (l *Interface) DHCPv6Lease() (DHCPv6Lease, bool) {
	if l.dhcpv6 == nil || l.dhcpv6.client.State() == dhcpv6.Stopped {
		return DHCPv6Lease{}, false
	}
	c := l.dhcpv6.client
	described := DHCPv6Lease{State: c.State(), Server: c.Server(), Information: c.Information()}
	for _, lease := range c.Leases() {
		if a := l.find(lease.Addr); a != nil && a.origin == route.DHCPv6 {
			described.Addresses = append(described.Addresses, a.describe())
		}
	}
	return described, true
}

// StartDHCPv6 has the interface ask DHCPv6 servers for addresses and what else there is to know, or, not stateful, for
// the latter alone; a client that gets addresses already goes on with that. The error wraps ErrConfig, and names what is
// wrong.
func (l *Interface) StartDHCPv6(now time.Time, stateful bool) error {
	t := l.stack.enter(now)
	if err := l.startDHCPv6(t, stateful); err != nil {
		return fmt.Errorf("core: interface %q: %w: %w", l.name, ErrConfig, err)
	}
	return nil
}

func (l *Interface) startDHCPv6(now int64, stateful bool) error {
	switch {
	case l.removed:
		return errors.New("DHCPv6 on an interface that was removed")
	case l.loopback():
		return errors.New("DHCPv6 on the loopback interface")
	case !l.ipv6:
		return fmt.Errorf("DHCPv6 needs IPv6, which is off, or an MTU of %d; it is %d", wire.IPv6MinMTU, l.mtu)
	}
	if l.dhcpv6 == nil {
		if err := l.newDHCPv6(); err != nil {
			return err
		}
	}
	l.dhcpv6.client.Start(now, stateful)
	return nil
}

// newDHCPv6 makes a client that does nothing yet.
func (l *Interface) newDHCPv6() error {
	s := l.stack
	config := dhcpv6.Config{
		Timers: &s.timers, Rand: s.random, DUID: l.dhcpv6Config.DUID, IAID: l.dhcpv6Config.IAID,
		RapidCommit: l.dhcpv6Config.RapidCommit, MaxAddresses: s.limits.DHCPv6Addresses, MaxServers: s.limits.DHCPv6Servers,
		MaxInformation: s.limits.DHCPv6Information,
	}
	switch {
	case config.DUID != nil:
	case !l.hardware.IsZero():
		config.DUID = wire.DHCPv6DUIDLinkAddr(l.hardware)
	default:
		var id [16]byte
		if _, err := io.ReadFull(s.rand, id[:]); err != nil {
			return fmt.Errorf("reading random octets for a DUID: %w", err)
		}
		config.DUID = wire.DHCPv6DUIDUUID(id)
	}
	if config.IAID == 0 {
		config.IAID = uint32(l.index)
	}
	d := &dhcpv6Client{Interface: l}
	config.Link = d
	var err error
	if d.client, err = dhcpv6.New(config); err != nil {
		return err
	}
	l.dhcpv6 = d
	return nil
}

// configureDHCPv6 takes over the configuration, and starts a client if that is what it says.
func (l *Interface) configureDHCPv6(now int64, config DHCPv6Config) error {
	switch {
	case config.Mode >= numDHCPv6Modes:
		return fmt.Errorf("DHCPv6.Mode %d is none", config.Mode)
	case config.DUID != nil && !config.DUID.Valid():
		return fmt.Errorf("DHCPv6.DUID has %d octets instead of 3 to 130", len(config.DUID))
	}
	l.dhcpv6Config = config
	if config.Mode == DHCPv6Stateless || config.Mode == DHCPv6Stateful {
		return l.startDHCPv6(now, config.Mode == DHCPv6Stateful)
	}
	return nil
}

// managed is told by routers whether addresses, or at least other information, are to be had by DHCPv6. What has been
// begun because of it does not end when they no longer say so: addresses end with their lifetimes.
//
// "If the M flag is set, the O flag is redundant and can be ignored because DHCPv6 will return all available configuration
// information."
// https://www.rfc-editor.org/rfc/rfc4861.html#section-4.2
func (l *Interface) managed(now int64, managed, other bool) {
	if l.dhcpv6Config.Mode != DHCPv6AsAdvertised || !managed && !other {
		return
	}
	if err := l.startDHCPv6(now, managed); err != nil {
		l.stack.event(Event{Kind: LeaseLost, Link: l.index, Err: err})
	}
}

// StopDHCPv6 gives the addresses back and takes what servers have brought from the interface; routers are no longer
// listened to in this. The message to the server, if there is one, is then to be sent. If there is no client it does no
// more.
func (l *Interface) StopDHCPv6(now time.Time) {
	t := l.stack.enter(now)
	l.dhcpv6Config.Mode = DHCPv6Off
	if l.dhcpv6 != nil {
		l.dhcpv6.client.Release(t)
	}
}

// RenewDHCPv6 has the DHCPv6 client find out whether its addresses are right for the link, or begin anew if it has none:
// for when the link was away, and may be another network's now. It reports whether there is a client.
func (l *Interface) RenewDHCPv6(now time.Time) bool {
	t := l.stack.enter(now)
	if l.dhcpv6 == nil || l.dhcpv6.client.State() == dhcpv6.Stopped {
		return false
	}
	l.dhcpv6.client.LinkChanged(t)
	return true
}

// Send implements dhcpv6.Link: the message goes to all servers on the link, from the link-local address. While that is
// tentative nothing can be sent.
func (d *dhcpv6Client) Send(now int64, message []byte) bool {
	l, s := d.Interface, d.stack
	src := l.ownLinkLocalv6()
	if src.IsUnspecified() {
		return false
	}
	p := d.datagram(message, netip.AddrPortFrom(src, wire.DHCPv6ClientPort), netip.AddrPortFrom(wire.DHCPv6Servers, wire.DHCPv6ServerPort))
	p.IP.HopLimit = 1
	by := &path{stack: s, link: l, nextHop: p.IP.Dst, generation: s.generation, group: wire.MulticastHardwareAddr(p.IP.Dst).LinkAddr()}
	s.Send(now, by, p)
	return true
}

// Configured implements dhcpv6.Link.
//
// "A client MUST NOT form an implicit prefix with a length other than 128 for this address."
// https://www.rfc-editor.org/rfc/rfc8415.html#section-21.6
func (d *dhcpv6Client) Configured(now int64, lease dhcpv6.Lease) {
	err := d.setAddress(now, addressConfig{
		prefix: netip.PrefixFrom(lease.Addr, lease.Addr.BitLen()), origin: route.DHCPv6, offLink: true,
		preferredUntil: lease.PreferredUntil, validUntil: lease.ValidUntil,
	})
	if err != nil {
		d.stack.event(Event{Kind: LeaseRefused, Link: d.index, Addr: lease.Addr, Err: err})
	}
}

// Removed implements dhcpv6.Link.
func (d *dhcpv6Client) Removed(now int64, addr netip.Addr) {
	if a := d.find(addr); a != nil && a.origin == route.DHCPv6 {
		d.dropAddress(now, addr)
	}
}

// Informed implements dhcpv6.Link.
func (d *dhcpv6Client) Informed(int64, dhcpv6.Information) {
	d.stack.event(Event{Kind: ServersChanged, Link: d.index})
}

// Happened implements dhcpv6.Link. A duplicate was told of when it was found, and servers are when they change.
func (d *dhcpv6Client) Happened(_ int64, e dhcpv6.Event) {
	kinds := map[dhcpv6.EventKind]EventKind{
		dhcpv6.Bound: LeaseBound, dhcpv6.Renewed: LeaseBound, dhcpv6.Lost: LeaseLost, dhcpv6.Released: LeaseLost,
		dhcpv6.Refused: LeaseRefused,
	}
	kind, ok := kinds[e.Kind]
	if !ok {
		return
	}
	var err error
	if e.Status.Code != wire.DHCPv6Success {
		err = fmt.Errorf("server %v: %v", e.Server, e.Status)
	}
	event := Event{Kind: kind, Link: d.index, Err: err}
	if leases := d.client.Leases(); len(leases) > 0 {
		event.Addr = leases[0].Addr
	}
	d.stack.event(event)
}

// inputDHCPv6 hands a datagram to the interface's DHCPv6 client, and reports whether it is for the client; then it has
// taken it. Servers answer to the link-local address that they were asked from, and "Clients SHOULD NOT accept multicast
// messages."
// https://www.rfc-editor.org/rfc/rfc8415.html#section-16
func (l *Interface) inputDHCPv6(now int64, p *packet.Packet) bool {
	b := p.Header(wire.UDPHeaderLen)
	if b == nil || !p.IP.Dst.Is6() || !p.IP.Dst.IsLinkLocalUnicast() || wire.UDPPacket(b).DstPort() != wire.DHCPv6ClientPort {
		return false
	}
	p.Own()
	datagram, err := wire.ParseUDP(p.Head())
	trusted := p.Checksum != packet.ChecksumFull || l.verifies(ip.ProtocolUDP)
	switch {
	case err != nil, datagram.Checksum() == 0, !trusted && !datagram.VerifyChecksum(p.IP.Src, p.IP.Dst),
		l.dhcpv6.client.Receive(now, datagram.Payload()) != nil:
		l.drop(DropDHCPv6, p)
	default:
		p.Release()
	}
	return true
}
