package smolnet

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/internal/dns"
	"github.com/smolnet/smolnet/internal/inet"
)

// multicastDNSFamilies are where the hosts on a link are asked for their names, in each family.
// https://www.rfc-editor.org/rfc/rfc6762.html#section-3
var multicastDNSFamilies = []multicastDNSFamily{
	{inet.UDP4, netip.IPv4Unspecified(), netip.MustParseAddrPort("224.0.0.251:5353")},
	{inet.UDP6, netip.IPv6Unspecified(), netip.MustParseAddrPort("[ff02::fb]:5353")},
}

type multicastDNSFamily struct {
	network inet.Network
	any     netip.Addr
	group   netip.AddrPort
}

// maxMulticastDNS is the largest message, in octets.
// https://www.rfc-editor.org/rfc/rfc6762.html#section-17
const maxMulticastDNS = 9000

// multicastDNS lists every interface but the loopback with every family that it has an address of.
func (s *Stack) multicastDNS() (links []dns.MulticastLink) {
	for _, l := range s.Links()[1:] {
		addresses := l.Addresses()
		for _, f := range multicastDNSFamilies {
			ofFamily := func(own core.Address) bool { return own.Prefix.Addr().Is4() == f.any.Is4() }
			if !slices.ContainsFunc(addresses, ofFamily) {
				continue
			}
			links = append(links, dns.MulticastLink{
				Zone: l.Name(), Family: f.network.Family(),
				Open: func(heard func([]byte, dns.Origin)) (dns.MulticastSocket, error) { return l.openMulticastDNS(f, heard) },
			})
		}
	}
	return links
}

// A multicastDNSSocket sends and receives by one interface alone.
type multicastDNSSocket struct {
	*UDPConn
	link      *Link
	group     netip.AddrPort
	exclusive bool
	heard     func(message []byte, origin dns.Origin)
}

// openMulticastDNS makes a socket at port 5353 and begins to receive. The port may be shared with others who share it, such as a
// responder.
func (l *Link) openMulticastDNS(f multicastDNSFamily, heard func([]byte, dns.Origin)) (dns.MulticastSocket, error) {
	s := l.stack
	m := &multicastDNSSocket{link: l, group: f.group, heard: heard}
	s.mu.Lock()
	defer s.release() // reports leave
	config := udp.BindConfig{
		Local: netip.AddrPortFrom(f.any, f.group.Port()), Link: l.ifc.Index(),
		Options: udp.Options{MulticastHopLimit: 255, MulticastLink: l.ifc.Index(), NoMulticastAll: true},
	}
	c, err := s.bindUDP(f.network, config)
	if m.exclusive = err == nil; m.exclusive {
		// Nobody else has it so far. But others may come, so it is bound again in the way that allows it.
		c.ep.close()
		c.udp.Close()
	}
	if err == nil || errors.Is(err, ip.ErrAddressInUse) {
		config.ReuseAddr = true
		c, err = s.bindUDP(f.network, config)
	}
	if err != nil {
		return nil, err
	}
	if err := c.udp.JoinGroup(time.Now(), l.ifc.Index(), f.group.Addr()); err != nil {
		c.ep.close()
		c.udp.Close()
		return nil, err
	}
	c.ep.mapped = f.any.Is6()
	c.control.Store(uint32(ControlHopLimit | ControlPacketInfo))
	m.UDPConn = c
	s.goroutines.Go(m.receive)
	return m, nil
}

// Send sends a message to the group.
func (m *multicastDNSSocket) Send(message []byte) error {
	_, err := m.WriteToUDPAddrPort(message, netip.AddrPortFrom(m.zoned(m.group.Addr()), m.group.Port()))
	return err
}

func (m *multicastDNSSocket) zoned(addr netip.Addr) netip.Addr {
	if addr.Is6() {
		return addr.WithZone(m.link.Name())
	}
	return addr
}

// Exclusive reports whether nobody else had the port when the socket was opened. Who comes later gets what is sent to this host
// alone, which then is lost; but a question is repeated in a way that the answer goes to all.
func (m *multicastDNSSocket) Exclusive() bool { return m.exclusive }

// receive hands on what arrives until the socket is closed, or the stack.
func (m *multicastDNSSocket) receive() {
	defer m.Close()
	stop := context.AfterFunc(m.link.stack.ctx, func() { m.Close() })
	defer stop()
	message, oob := make([]byte, maxMulticastDNS), make([]byte, 256)
	for {
		n, oobn, flags, from, err := m.ReadMsgUDPAddrPort(message, oob)
		if err != nil {
			return
		}
		var control ControlMessage
		if flags&msgTrunc != 0 || control.Parse(oob[:oobn]) != nil {
			continue
		}
		addr := from.Addr().Unmap()
		m.heard(message[:n], dns.Origin{
			From: netip.AddrPortFrom(addr, from.Port()), ToGroup: control.Dst.Unmap() == m.group.Addr(),
			OnLink: addr.IsLinkLocalUnicast() || m.link.onLink(addr), Own: m.link.owns(addr), HopLimit: control.HopLimit,
		})
	}
}

// onLink reports whether an address is in one of the interface's networks.
func (l *Link) onLink(addr netip.Addr) bool {
	return slices.ContainsFunc(l.Addresses(), func(own core.Address) bool { return own.Prefix.Contains(addr.WithZone("")) })
}

// owns reports whether an address is one of the interface's.
func (l *Link) owns(addr netip.Addr) bool {
	return slices.ContainsFunc(l.Addresses(), func(own core.Address) bool { return own.Prefix.Addr() == addr.WithZone("") })
}
