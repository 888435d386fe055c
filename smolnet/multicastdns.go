package smolnet

import (
	"context"
	"net"
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/internal/dns"
	"github.com/smolnet/smolnet/internal/inet"
)

// multicastGroups are where the hosts on a link are asked for their names, in each family.
// https://www.rfc-editor.org/rfc/rfc6762.html#section-3
var multicastGroups = []struct {
	network, any string
	group        netip.AddrPort
}{
	{"udp4", "0.0.0.0", netip.MustParseAddrPort("224.0.0.251:5353")},
	{"udp6", "::", netip.MustParseAddrPort("[ff02::fb]:5353")},
}

// multicastDNS opens a socket for every interface but the loopback and every family that it has an address of. A port chosen at
// random tells that it is no full Multicast DNS querier that asks, so that the answer comes to it alone.
func (s *Stack) multicastDNS(context.Context) (sockets []dns.MulticastSocket, err error) {
	for _, l := range s.Links()[1:] {
		addresses := l.Addresses()
		for _, g := range multicastGroups {
			ofFamily := func(own netip.Prefix) bool { return own.Addr().Is4() == g.group.Addr().Is4() }
			if !slices.ContainsFunc(addresses, ofFamily) {
				continue
			}
			c, err := s.bindOn(l, g.network, netip.MustParseAddr(g.any))
			if err != nil {
				for _, socket := range sockets {
					socket.Conn.Close()
				}
				return nil, err
			}
			group := net.UDPAddrFromAddrPort(g.group)
			if g.group.Addr().Is6() {
				group.Zone = l.Name()
			}
			sockets = append(sockets, dns.MulticastSocket{Conn: c, Zone: l.Name(), Group: group, OnLink: l.onLink})
		}
	}
	return sockets, nil
}

// bindOn makes a socket that sends and receives by one interface alone, at a port that is chosen.
func (s *Stack) bindOn(l *Link, network string, unspecified netip.Addr) (*UDPConn, error) {
	n, err := inet.ParseNetwork(network)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.unlock()
	c, err := s.bindUDP(n, udp.BindConfig{Local: netip.AddrPortFrom(unspecified, 0), Link: l.ifc.Index()})
	if err != nil {
		return nil, err
	}
	c.ep.mapped = unspecified.Is6()
	return c, nil
}

// onLink reports whether an address is in one of the interface's networks.
func (l *Link) onLink(addr netip.Addr) bool {
	return slices.ContainsFunc(l.Addresses(), func(own netip.Prefix) bool { return own.Contains(addr.WithZone("")) })
}
