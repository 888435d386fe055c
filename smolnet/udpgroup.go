package smolnet

import (
	"net"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/internal/inet"
	"github.com/smolnet/smolnet/internal/neterr"
)

// Membership of multicast groups, in the words of golang.org/x/net's packages ipv4 and ipv6: package net has no such methods. Groups and
// sources are *net.UDPAddr or *net.IPAddr. An interface is one of the stack's, by its Index (see Stack.Interfaces); nil stands for the
// one that the group's zone names, or else for the one by which datagrams to the group leave.
//
// Without membership a socket that is bound to all addresses, or to the group's, hears what is sent to groups that others of the stack's
// have joined; with one, what its own membership lets through.
//
// Errors are in a *net.OpError: syscall.EINVAL for what is no group or no source, or of another family; ENODEV for an unknown interface;
// ENOBUFS beyond core.Limits.Groups or GroupSources; and as the methods say.

// JoinGroup has the socket hear whoever sends to the group. syscall.EADDRINUSE: it is a member already.
func (c *UDPConn) JoinGroup(ifi *net.Interface, group net.Addr) error {
	return c.setGroup(ifi, group, nil, (*udp.Endpoint).JoinGroup)
}

// LeaveGroup ends the membership, whatever its sources. syscall.EADDRNOTAVAIL: it is no member.
func (c *UDPConn) LeaveGroup(ifi *net.Interface, group net.Addr) error {
	return c.setGroup(ifi, group, nil, (*udp.Endpoint).LeaveGroup)
}

// JoinSourceSpecificGroup has the socket hear what the source sends to the group, besides what other sources send that it has joined
// with. syscall.EINVAL: it has joined by JoinGroup. EADDRNOTAVAIL: it has joined with that source already.
func (c *UDPConn) JoinSourceSpecificGroup(ifi *net.Interface, group, source net.Addr) error {
	return c.setGroup(ifi, group, source, (*udp.Endpoint).JoinGroup)
}

// LeaveSourceSpecificGroup undoes JoinSourceSpecificGroup. syscall.EADDRNOTAVAIL: it has not joined with that source.
func (c *UDPConn) LeaveSourceSpecificGroup(ifi *net.Interface, group, source net.Addr) error {
	return c.setGroup(ifi, group, source, (*udp.Endpoint).LeaveGroup)
}

// ExcludeSourceSpecificGroup has the socket, which has joined by JoinGroup, not hear the source. syscall.EINVAL: it has not.
// EADDRNOTAVAIL: the source is excluded already.
func (c *UDPConn) ExcludeSourceSpecificGroup(ifi *net.Interface, group, source net.Addr) error {
	return c.setGroup(ifi, group, source, (*udp.Endpoint).BlockSources)
}

// IncludeSourceSpecificGroup undoes ExcludeSourceSpecificGroup. syscall.EADDRNOTAVAIL: the source is not excluded.
func (c *UDPConn) IncludeSourceSpecificGroup(ifi *net.Interface, group, source net.Addr) error {
	return c.setGroup(ifi, group, source, (*udp.Endpoint).UnblockSources)
}

// SetMulticastInterface has datagrams to multicast groups leave by the interface; nil: as the routes say.
func (c *UDPConn) SetMulticastInterface(ifi *net.Interface) error {
	return c.setEndpoint(func(e *udp.Endpoint) error {
		link, err := c.ep.stack.indexOf(ifi)
		if err == nil {
			e.SetMulticastLink(link)
		}
		return err
	})
}

// SetMulticastLoopback says whether datagrams that the socket sends to multicast groups come back to the stack's own members of those
// groups, as they do by default.
func (c *UDPConn) SetMulticastLoopback(on bool) error {
	return c.setEndpoint(func(e *udp.Endpoint) error {
		e.SetMulticastLoopback(on)
		return nil
	})
}

// SetMulticastAll says whether the socket hears what is sent to groups that only others have joined, as it does by default: Linux's
// IP_MULTICAST_ALL.
func (c *UDPConn) SetMulticastAll(on bool) error {
	return c.setEndpoint(func(e *udp.Endpoint) error {
		e.SetMulticastAll(on)
		return nil
	})
}

// groupCall is one of udp.Endpoint's methods about groups.
type groupCall func(e *udp.Endpoint, now time.Time, link int32, group netip.Addr, sources ...netip.Addr) error

// setGroup calls do with the addresses as the core has them. source may be nil where the method has none.
func (c *UDPConn) setGroup(ifi *net.Interface, group, source net.Addr, do groupCall) error {
	return c.set(func() error {
		g, sources, err := groupAddrs(group, source)
		if err != nil {
			return err
		}
		s := c.ep.stack
		s.mu.Lock()
		defer s.release() // reports leave
		if !c.ep.open() {
			return net.ErrClosed
		}
		link, err := s.indexOf(ifi)
		if err == nil && link == 0 && g.Zone() != "" {
			_, link, err = s.unzoned(g)
		}
		if err != nil {
			return err
		}
		return do(c.udp, time.Now(), link, g.WithZone(""), sources...)
	})
}

// groupAddrs are the addresses of a group and, unless source is nil, one source.
func groupAddrs(group, source net.Addr) (g netip.Addr, sources []netip.Addr, err error) {
	g, ok := addrOf(group)
	if !ok {
		return g, nil, ip.ErrInvalid
	}
	if source != nil {
		s, ok := addrOf(source)
		if !ok {
			return g, nil, ip.ErrInvalid
		}
		sources = append(sources, s.WithZone(""))
	}
	return g, sources, nil
}

// addrOf is the IP address of a, false if it has none.
func addrOf(a net.Addr) (netip.Addr, bool) {
	switch a := a.(type) {
	case *net.UDPAddr:
		if a != nil {
			addr := a.AddrPort().Addr().Unmap()
			return addr, addr.IsValid()
		}
	case *net.IPAddr:
		if a != nil {
			addr, ok := netip.AddrFromSlice(a.IP)
			return addr.Unmap().WithZone(a.Zone), ok
		}
	}
	return netip.Addr{}, false
}

// indexOf is the index of an interface, 0 for nil. The error is ip.ErrNoDevice. The mutex is held.
func (s *Stack) indexOf(ifi *net.Interface) (int32, error) {
	switch {
	case ifi == nil:
		return 0, nil
	case ifi.Index <= 0 || int(int32(ifi.Index)) != ifi.Index || !s.hasLink(int32(ifi.Index)):
		return 0, ip.ErrNoDevice
	}
	return int32(ifi.Index), nil
}

// listenGroup makes the socket of ListenMulticastUDP.
func (s *Stack) listenGroup(n inet.Network, ifi *net.Interface, group netip.AddrPort) (*UDPConn, error) {
	s.mu.Lock()
	defer s.release()
	addr := group.Addr().Unmap()
	link, err := s.indexOf(ifi)
	if err == nil && link == 0 && addr.Zone() != "" {
		_, link, err = s.unzoned(addr)
	}
	if err != nil {
		return nil, err
	}
	unspecified := netip.IPv6Unspecified()
	if addr.Is4() {
		unspecified = netip.IPv4Unspecified()
	}
	c, err := s.bindUDP(n, udp.BindConfig{
		Local: netip.AddrPortFrom(unspecified, group.Port()), DualStack: addr.Is6() && n.Family() != '6', ReuseAddr: true,
		Options: udp.Options{NoMulticastLoop: true, MulticastLink: link},
	})
	if err != nil {
		return nil, neterr.Map("bind", err)
	}
	c.ep.mapped = addr.Is6()
	if err := c.udp.JoinGroup(time.Now(), link, addr.WithZone("")); err != nil {
		c.ep.close()
		c.udp.Close()
		return nil, err
	}
	return c, nil
}
