package inet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Resolver turns names into numbers. *smolnet.Resolver is one, and so is *net.Resolver.
type Resolver interface {
	// LookupNetIP returns the addresses of a host: of the network "ip4", "ip6", or "ip" for both, in the order in which to
	// try them.
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	// LookupPort returns the port of a service.
	LookupPort(ctx context.Context, network, service string) (int, error)
}

// Resolve returns the addresses that "host:port", or for the networks of IP "host", stands for on the network, at least one, in the order in which to try
// them, IPv4's in their plain form. An empty host yields an invalid netip.Addr, and so does an empty address, with port 0.
//
// The errors are *net.AddrError, and those of the Resolver.
func Resolve(ctx context.Context, r Resolver, n Network, address string) ([]netip.AddrPort, error) {
	if address == "" {
		return []netip.AddrPort{{}}, nil
	}
	if n.Protocol() == "ip" {
		return resolveIP(ctx, r, n, address)
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := r.LookupPort(ctx, n.String(), service)
	if err != nil {
		return nil, err
	}
	if host == "" {
		return []netip.AddrPort{netip.AddrPortFrom(netip.Addr{}, uint16(port))}, nil
	}
	var literal [2]netip.Addr
	addrs, err := lookup(ctx, r, "ip"+strings.TrimPrefix(n.String(), n.Protocol()), host, literal[:0])
	if err != nil {
		return nil, err
	}
	var found []netip.AddrPort
	for _, addr := range addrs {
		if addr = addr.Unmap(); n.Has(addr) {
			found = append(found, netip.AddrPortFrom(addr, uint16(port)))
		}
	}
	if found == nil {
		return nil, &net.AddrError{Err: "no suitable address found", Addr: host}
	}
	return found, nil
}

// resolveIP is Resolve for the networks without ports, those of IP.
func resolveIP(ctx context.Context, r Resolver, n Network, host string) ([]netip.AddrPort, error) {
	addrs, err := lookup(ctx, r, n.String(), host, nil)
	if err != nil {
		return nil, err
	}
	var found []netip.AddrPort
	for _, addr := range addrs {
		if addr = addr.Unmap(); n.Has(addr) {
			found = append(found, netip.AddrPortFrom(addr, 0))
		}
	}
	if found == nil {
		return nil, &net.AddrError{Err: "no suitable address found", Addr: host}
	}
	return found, nil
}

// lookup returns the addresses of the host, which may be a literal one: then they are put into literal.
func lookup(ctx context.Context, r Resolver, network, host string, literal []netip.Addr) ([]netip.Addr, error) {
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return r.LookupNetIP(ctx, network, host)
	case addr == netip.IPv6Unspecified():
		// As in package net, "[::]" is any address: of IPv4 too, unless the network excludes it.
		return append(literal, addr, netip.IPv4Unspecified()), nil
	}
	return append(literal, addr), nil
}

// services are the names that package net knows without asking the system.
var services = map[string]map[string]int{
	"tcp": {
		"domain": 53, "ftp": 21, "ftps": 990, "gopher": 70, "http": 80, "https": 443, "imap2": 143, "imap3": 220,
		"imaps": 993, "pop3": 110, "pop3s": 995, "smtp": 25, "submissions": 465, "ssh": 22, "telnet": 23,
	},
	"udp": {"domain": 53},
}

// LookupPort returns the port of a service: a number, the name of one of a few well-known services in letters of any case,
// or empty for 0. The network is one of those above, or "ip" or empty for either protocol.
//
// The errors are *net.AddrError, and *net.DNSError with IsNotFound.
func LookupPort(network, service string) (int, error) {
	if service == "" {
		return 0, nil
	}
	number, err := strconv.Atoi(service)
	if service == "+" || service == "-" {
		return 0, nil // as in package net
	}
	if err == nil && number >= 0 && number <= 65535 {
		return number, nil
	}
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return 0, &net.AddrError{Err: "invalid port", Addr: service}
	}
	var protocols []string
	switch network {
	case "", "ip":
		network, protocols = "ip", []string{"tcp", "udp"}
	default:
		n, err := ParseNetwork(network)
		if err != nil || n >= IP {
			return 0, &net.AddrError{Err: "unknown network", Addr: network}
		}
		network, protocols = n.Protocol(), []string{n.Protocol()}
	}
	for _, protocol := range protocols {
		if port, ok := services[protocol][strings.ToLower(service)]; ok {
			return port, nil
		}
	}
	return 0, &net.DNSError{Err: "unknown port", Name: network + "/" + service, IsNotFound: true}
}
