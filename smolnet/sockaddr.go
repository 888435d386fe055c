package smolnet

import (
	"net"
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/internal/inet"
	"github.com/smolnet/smolnet/internal/neterr"
)

// sockaddr is an address as a user has filled it in: anything may be in its fields.
type sockaddr struct {
	ip   net.IP
	port int
	addr netip.AddrPort // what the stack makes of it
}

// sockaddrOf returns nil for a nil pointer.
func sockaddrOf(n inet.Network, addr net.Addr) *sockaddr {
	switch a := addr.(type) {
	case *net.TCPAddr:
		if a != nil {
			return &sockaddr{a.IP, a.Port, plain(n, a)}
		}
	case *net.UDPAddr:
		if a != nil {
			return &sockaddr{a.IP, a.Port, plain(n, a)}
		}
	case *net.IPAddr:
		if a != nil {
			return &sockaddr{a.IP, 0, plain(n, a)}
		}
	}
	return nil
}

// sockaddrAt is sockaddrOf an address in which nothing can be wrong by itself.
func sockaddrAt(addr netip.AddrPort) *sockaddr {
	return &sockaddr{addr.Addr().AsSlice(), int(addr.Port()), addr}
}

// is4 reports whether package net takes the address for one of IPv4: whatever is no longer than those are.
func (a *sockaddr) is4() bool { return len(a.ip) <= net.IPv4len || a.ip.To4() != nil }

// wildcard reports whether the address is no host's in particular.
func (a *sockaddr) wildcard() bool { return len(a.ip) == 0 || a.ip.IsUnspecified() }

// check returns an error if the address cannot be used with a socket of the family: *net.AddrError, or ip.ErrInvalid for a
// port that there cannot be.
func (a *sockaddr) check(family byte) error {
	switch {
	case len(a.ip) == 0:
	case family == '4' && a.ip.To4() == nil:
		return &net.AddrError{Err: "non-IPv4 address", Addr: a.ip.String()}
	case a.ip.To16() == nil:
		return &net.AddrError{Err: "non-IPv6 address", Addr: a.ip.String()}
	}
	if a.port < 0 || a.port > 65535 {
		return ip.ErrInvalid
	}
	return nil
}

// checkDial returns what package net says of two addresses between which there can be no connection; local may be nil. What
// is wrong with both together is what Linux says of a socket of IPv6 with IPv4-mapped addresses.
func checkDial(n inet.Network, local, remote *sockaddr) error {
	family := n.Family()
	if family != '4' && family != '6' {
		family = '6'
		if (local == nil || local.is4()) && remote.is4() {
			family = '4'
		}
	}
	if local != nil {
		if err := local.check(family); err != nil {
			return neterr.Map("bind", err)
		}
		if n.Family() == '6' && local.is4() && !local.wildcard() {
			return neterr.Map("bind", ip.ErrInvalid)
		}
	}
	if err := remote.check(family); err != nil {
		return neterr.Map("connect", err)
	}
	if family == '4' || remote.wildcard() {
		return nil
	}
	bound := local != nil && !local.wildcard()
	switch {
	case remote.is4() && (n.Family() == '6' || bound && !local.is4()):
		return neterr.Map("connect", ip.ErrNetworkUnreachable)
	case !remote.is4() && bound && local.is4():
		return neterr.Map("connect", neterr.ErrOtherFamily)
	}
	return nil
}

// checkListen returns what package net says of an address that nobody can listen on.
func checkListen(n inet.Network, local *sockaddr) error {
	family := n.Family()
	if family != '4' && family != '6' {
		family = '6'
		if !local.wildcard() && local.is4() {
			family = '4'
		}
	}
	if err := local.check(family); err != nil {
		return neterr.Map("bind", err)
	}
	if n.Family() == '6' && !local.wildcard() && local.is4() {
		return neterr.Map("bind", ip.ErrInvalid)
	}
	return nil
}

// broadcasts reports whether addr is the broadcast address of all networks, or of one of the stack's. The mutex is held.
func (s *Stack) broadcasts(addr netip.Addr) bool {
	return addr == broadcast || slices.ContainsFunc(s.links, func(l *Link) bool { return l.ifc.Broadcasts(addr) })
}
