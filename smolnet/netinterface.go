package smolnet

import (
	"errors"
	"net"
	"net/netip"

	"github.com/smolnet/smolnet/internal/neterr"
)

// NetInterface describes an interface of a stack in package net's words: its fields are net.Interface's, and so are its
// methods. (That type's own methods would ask the operating system for the addresses of its interface of that number.)
type NetInterface struct {
	net.Interface
	addrs, groups []net.Addr
}

// Addrs returns the interface's addresses as they were when it was asked for: *net.IPNet with the prefix of the network that
// each is in.
func (i *NetInterface) Addrs() ([]net.Addr, error) { return i.addrs, nil }

// MulticastAddrs returns the multicast groups to which the interface belonged when it was asked for, *net.IPAddr.
func (i *NetInterface) MulticastAddrs() ([]net.Addr, error) { return i.groups, nil }

// Interfaces returns the stack's interfaces, the loopback first: see net.Interfaces, and Links for more than that tells.
func (s *Stack) Interfaces() ([]NetInterface, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]NetInterface, 0, len(s.links))
	for _, l := range s.links {
		all = append(all, l.describe())
	}
	return all, nil
}

// InterfaceByIndex returns the interface of that index: see net.InterfaceByIndex.
func (s *Stack) InterfaceByIndex(index int) (*NetInterface, error) {
	if index <= 0 {
		return nil, noInterface("invalid network interface index")
	}
	return s.interfaceBy(func(l *Link) bool { return l.Index() == index })
}

// InterfaceByName returns the interface of that name: see net.InterfaceByName.
func (s *Stack) InterfaceByName(name string) (*NetInterface, error) {
	if name == "" {
		return nil, noInterface("invalid network interface name")
	}
	return s.interfaceBy(func(l *Link) bool { return l.Name() == name })
}

func (s *Stack) interfaceBy(is func(*Link) bool) (*NetInterface, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		if is(l) {
			found := l.describe()
			return &found, nil
		}
	}
	return nil, noInterface("no such network interface")
}

func noInterface(text string) error {
	return neterr.Op("route", "", "ip+net", nil, nil, errors.New(text))
}

// InterfaceAddrs returns the addresses of all interfaces: see net.InterfaceAddrs.
func (s *Stack) InterfaceAddrs() ([]net.Addr, error) {
	interfaces, err := s.Interfaces()
	var all []net.Addr
	for _, i := range interfaces {
		all = append(all, i.addrs...)
	}
	return all, err
}

// describe is called with the stack's mutex held.
func (l *Link) describe() NetInterface {
	i := NetInterface{Interface: net.Interface{
		Index: l.Index(), Name: l.Name(), MTU: l.ifc.MTU(), Flags: net.FlagUp | net.FlagRunning,
	}}
	switch {
	case l.device == nil:
		i.Flags |= net.FlagLoopback
	case l.LinkAddr().IsZero():
		i.Flags |= net.FlagPointToPoint | net.FlagMulticast
	default:
		i.HardwareAddr = l.LinkAddr().AppendTo(nil)
		i.Flags |= net.FlagBroadcast | net.FlagMulticast
	}
	for _, address := range l.ifc.Addresses() {
		prefix := address.Prefix
		i.addrs = append(i.addrs, &net.IPNet{
			IP:   prefix.Addr().AsSlice(),
			Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()),
		})
	}
	for _, group := range l.ifc.Groups() {
		i.groups = append(i.groups, ipAddr(group))
	}
	return i
}

func ipAddr(addr netip.Addr) *net.IPAddr {
	return &net.IPAddr{IP: addr.AsSlice(), Zone: addr.Zone()}
}
