package smolnet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/smolnet/smolnet/core/ip"
)

// network is one of the networks that the stack knows by the names of package net, as a number to save memory.
type network uint8

var networks = [...]string{"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"}

// networkOf returns the network of the name, or net.UnknownNetworkError.
func networkOf(name string) (network, error) {
	n := slices.Index(networks[:], name)
	if n < 0 {
		return 0, net.UnknownNetworkError(name)
	}
	return network(n), nil
}

func (n network) String() string { return networks[n] }

// protocol is "tcp" or "udp".
func (n network) protocol() string { return networks[n][:3] }

// family is '4' or '6' for networks of one family.
func (n network) family() byte { return networks[n][len(networks[n])-1] }

// has reports whether addr is an address of the network.
func (n network) has(addr netip.Addr) bool {
	switch n.family() {
	case '4':
		return addr.Is4()
	case '6':
		return addr.Is6()
	}
	return true
}

// Resolve returns the addresses that "host:port" stands for on the network, which is one of "tcp", "tcp4", "tcp6",
// "udp", "udp4" and "udp6", in the order in which to try them. It is what dialer and listener call.
//
// The host is an IPv4 address, an IPv6 address in brackets, perhaps with a zone, or empty, which yields an invalid
// netip.Addr. Host names are not resolved yet. The port is a number, the name of one of a few well-known services,
// or empty for 0.
//
// The errors are net.UnknownNetworkError, *net.AddrError, and *net.DNSError with IsNotFound.
func (s *Stack) Resolve(_ context.Context, network, address string) ([]netip.AddrPort, error) {
	n, err := networkOf(network)
	if err != nil {
		return nil, err
	}
	if address == "" {
		return []netip.AddrPort{{}}, nil
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := portOf(n, service)
	if err != nil {
		return nil, err
	}
	if host == "" {
		return []netip.AddrPort{netip.AddrPortFrom(netip.Addr{}, port)}, nil
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	addrs := []netip.Addr{addr.Unmap()}
	if addr == netip.IPv6Unspecified() {
		// As in package net, "[::]" is any address: of IPv4 too, unless the network excludes it.
		addrs = append(addrs, netip.IPv4Unspecified())
	}
	var found []netip.AddrPort
	for _, addr := range addrs {
		if n.has(addr) {
			found = append(found, netip.AddrPortFrom(addr, port))
		}
	}
	if found == nil {
		return nil, &net.AddrError{Err: "no suitable address found", Addr: host}
	}
	return found, nil
}

// services are the names that package net knows without asking the system.
var services = map[string]map[string]uint16{
	"tcp": {
		"domain": 53, "ftp": 21, "ftps": 990, "gopher": 70, "http": 80, "https": 443, "imap2": 143, "imap3": 220,
		"imaps": 993, "pop3": 110, "pop3s": 995, "smtp": 25, "submissions": 465, "ssh": 22, "telnet": 23,
	},
	"udp": {"domain": 53},
}

func portOf(n network, service string) (uint16, error) {
	if service == "" {
		return 0, nil
	}
	number, err := strconv.Atoi(service)
	if err == nil && number >= 0 && number <= 65535 {
		return uint16(number), nil
	}
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		if port, ok := services[n.protocol()][service]; ok {
			return port, nil
		}
		return 0, &net.DNSError{Err: "unknown port", Name: n.String() + "/" + service, IsNotFound: true}
	}
	return 0, &net.AddrError{Err: "invalid port", Addr: service}
}

// unzoned returns an address as the core has it, without a zone, and the index of the interface that the zone
// names, 0 if the address needs none. The mutex is held.
func (s *Stack) unzoned(addr netip.Addr) (netip.Addr, int32, error) {
	zone := addr.Zone()
	addr = addr.WithZone("")
	if !addr.Is6() || !addr.IsLinkLocalUnicast() && !addr.IsLinkLocalMulticast() && !addr.IsInterfaceLocalMulticast() {
		return addr, 0, nil
	}
	for _, l := range s.links {
		if l.ifc.Name() == zone || strconv.Itoa(int(l.ifc.Index())) == zone {
			return addr, l.ifc.Index(), nil
		}
	}
	if addr.IsLinkLocalUnicast() {
		return addr, 0, ip.ErrInvalid // which link is meant?
	}
	return addr, 0, nil
}

// shown returns an address of the core's as users see it: with the zone of the given interface if it is link-local, and
// in IPv4-mapped form if so asked.
func (s *Stack) shown(addr netip.AddrPort, link int32, mapped bool) netip.AddrPort {
	a := addr.Addr()
	switch {
	case a.Is4() && mapped:
		a = netip.AddrFrom16(a.As16())
	case a.Is6() && a.IsLinkLocalUnicast():
		a = a.WithZone(s.zone(link))
	default:
		return addr
	}
	return netip.AddrPortFrom(a, addr.Port())
}

// zone returns the name of an interface.
func (s *Stack) zone(link int32) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		if l.ifc.Index() == link {
			return l.ifc.Name()
		}
	}
	return strconv.Itoa(int(link))
}

// endpoints are the two ends of a connection to be, as the core has them.
type endpoints struct {
	local, remote netip.AddrPort
	link          int32
}

// connecting returns where a connection is to lead. A remote address that is missing or unspecified is the stack
// itself. The mutex is held.
func (s *Stack) connecting(n network, local, remote netip.AddrPort) (e endpoints, err error) {
	r, l := remote.Addr().Unmap(), local.Addr().Unmap()
	if !r.IsValid() || r.IsUnspecified() {
		r = n.itself(l, r)
	}
	if r, e.link, err = s.unzoned(r); err != nil {
		return e, err
	}
	if l.IsValid() && !l.IsUnspecified() {
		var link int32
		if l, link, err = s.unzoned(l); err != nil {
			return e, err
		}
		if e.link == 0 {
			e.link = link
		}
	} else {
		l = netip.Addr{}
	}
	e.local = netip.AddrPortFrom(l, local.Port())
	e.remote = netip.AddrPortFrom(r, remote.Port())
	return e, nil
}

// itself returns the loopback address to connect to in place of no address, or one that is unspecified.
func (n network) itself(local, remote netip.Addr) netip.Addr {
	v6 := n.family() == '6' || remote.Is6() ||
		!remote.IsValid() && local.Is6() && !local.IsUnspecified()
	if v6 {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// listening returns what to listen on as the core has it, and whether that is both families. The mutex is held.
func (s *Stack) listening(n network, local netip.AddrPort) (addr netip.AddrPort, link int32, dual bool, err error) {
	a := local.Addr().Unmap()
	if a.IsValid() && !a.IsUnspecified() {
		a, link, err = s.unzoned(a)
		return netip.AddrPortFrom(a, local.Port()), link, false, err
	}
	a = netip.IPv6Unspecified()
	switch n.family() {
	case '4':
		a = netip.IPv4Unspecified()
	case '6':
	default:
		dual = true
	}
	return netip.AddrPortFrom(a, local.Port()), 0, dual, nil
}
