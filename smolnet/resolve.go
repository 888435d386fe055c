package smolnet

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"github.com/smolnet/smolnet/internal/inet"
)

// Resolve returns the addresses that "host:port" stands for on the network, which is one of "tcp", "tcp4", "tcp6",
// "udp", "udp4" and "udp6", in the order in which to try them. On "ip", "ip4" and "ip6" with a protocol, as "ip4:icmp", there are no
// ports, and "host" is all of it. It is what dialer and listener call.
//
// The host is an IPv4 address, an IPv6 address in brackets unless there are no ports, perhaps with a zone, a name for the stack's Resolver, or empty,
// which yields an invalid netip.Addr. The port is a number, the name of a well-known service, or empty for 0.
//
// The errors are net.UnknownNetworkError, *net.AddrError, and the Resolver's, *net.DNSError.
func (s *Stack) Resolve(ctx context.Context, network, address string) ([]netip.AddrPort, error) {
	n, err := inet.ParseNetwork(network)
	if err != nil {
		return nil, err
	}
	return inet.Resolve(ctx, s.Resolver(), n, address)
}

// ResolveTCPAddr returns the address of a TCP end point: see net.ResolveTCPAddr. Of several it is the first of IPv4, or
// of IPv6 if the host is a literal address in brackets.
func (s *Stack) ResolveTCPAddr(network, address string) (*net.TCPAddr, error) {
	addr, err := s.resolveOne("tcp", network, address)
	if err != nil {
		return nil, err
	}
	return net.TCPAddrFromAddrPort(addr), nil
}

// ResolveUDPAddr returns the address of a UDP end point: see net.ResolveUDPAddr. Of several it is the first of IPv4, or
// of IPv6 if the host is a literal address in brackets.
func (s *Stack) ResolveUDPAddr(network, address string) (*net.UDPAddr, error) {
	addr, err := s.resolveOne("udp", network, address)
	if err != nil {
		return nil, err
	}
	return net.UDPAddrFromAddrPort(addr), nil
}

func (s *Stack) resolveOne(protocol, network, address string) (netip.AddrPort, error) {
	if network == "" {
		network = protocol // as package net has it
	}
	n, err := inet.ParseNetworkOf(protocol, network)
	if err != nil {
		return netip.AddrPort{}, err
	}
	addrs, err := inet.Resolve(context.Background(), s.Resolver(), n, address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	want6 := n.String() == protocol && strings.Contains(address, "[")
	return preferred(addrs, want6), nil
}

// ResolveIPAddr returns the address of a host: see net.ResolveIPAddr. The network is "ip", "ip4" or "ip6". Of several it
// is the first of IPv4, or of IPv6 if the host is a literal address.
func (s *Stack) ResolveIPAddr(network, address string) (*net.IPAddr, error) {
	if network == "" {
		network = "ip" // as package net has it
	}
	n, _, err := inet.ParseIPNetwork(network, false)
	if err != nil {
		return nil, err
	}
	addrs, err := inet.Resolve(context.Background(), s.Resolver(), n, address)
	if err != nil {
		return nil, err
	}
	want6 := n == inet.IP && strings.Contains(address, ":")
	return n.Addr(preferred(addrs, want6)).(*net.IPAddr), nil
}

// preferred returns the first address of the family that is wanted, or else the first.
func preferred(addrs []netip.AddrPort, want6 bool) netip.AddrPort {
	for _, a := range addrs {
		if addr := a.Addr(); addr.IsValid() && addr.Is6() == want6 {
			return a
		}
	}
	return addrs[0]
}
