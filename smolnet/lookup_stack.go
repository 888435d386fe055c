package smolnet

import (
	"context"
	"net"
)

// The functions of package net that look something up, as methods. They ask the stack's Resolver, without a context.

// LookupHost looks up the addresses of a host: see Resolver.LookupHost.
func (s *Stack) LookupHost(host string) (addrs []string, err error) {
	return s.resolver.LookupHost(context.Background(), host)
}

// LookupIP looks up the addresses of a host: see Resolver.LookupIPAddr.
func (s *Stack) LookupIP(host string) ([]net.IP, error) {
	addrs, err := s.resolver.LookupIPAddr(context.Background(), host)
	if err != nil {
		return nil, err
	}
	ips := make([]net.IP, len(addrs))
	for i, addr := range addrs {
		ips[i] = addr.IP
	}
	return ips, nil
}

// LookupAddr looks up the names of an address: see Resolver.LookupAddr.
func (s *Stack) LookupAddr(addr string) (names []string, err error) {
	return s.resolver.LookupAddr(context.Background(), addr)
}

// LookupCNAME looks up the canonical name of a host: see Resolver.LookupCNAME.
func (s *Stack) LookupCNAME(host string) (cname string, err error) {
	return s.resolver.LookupCNAME(context.Background(), host)
}

// LookupMX looks up the mail servers of a domain: see Resolver.LookupMX.
func (s *Stack) LookupMX(name string) ([]*net.MX, error) {
	return s.resolver.LookupMX(context.Background(), name)
}

// LookupNS looks up the name servers of a domain: see Resolver.LookupNS.
func (s *Stack) LookupNS(name string) ([]*net.NS, error) {
	return s.resolver.LookupNS(context.Background(), name)
}

// LookupPort looks up the port of a service: see Resolver.LookupPort.
func (s *Stack) LookupPort(network, service string) (port int, err error) {
	return s.resolver.LookupPort(context.Background(), network, service)
}

// LookupSRV looks up who serves a service in a domain: see Resolver.LookupSRV.
func (s *Stack) LookupSRV(service, proto, name string) (cname string, addrs []*net.SRV, err error) {
	return s.resolver.LookupSRV(context.Background(), service, proto, name)
}

// LookupTXT looks up the texts that a domain has: see Resolver.LookupTXT.
func (s *Stack) LookupTXT(name string) ([]string, error) {
	return s.resolver.LookupTXT(context.Background(), name)
}
