package smolnet

import (
	"context"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/smolnet/smolnet/internal/inet"
)

// LookupHost looks up the addresses of a host, in the order in which to try them: see net.Resolver.LookupHost.
func (r *Resolver) LookupHost(ctx context.Context, host string) ([]string, error) {
	if _, err := netip.ParseAddr(host); err == nil {
		return []string{host}, nil
	}
	found, err := r.lookupHost(ctx, host, bothFamilies)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(found.addrs))
	for i, addr := range found.addrs {
		texts[i] = addr.String()
	}
	return texts, nil
}

// LookupIPAddr looks up the addresses of a host, in the order in which to try them: see net.Resolver.LookupIPAddr.
func (r *Resolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	addrs, err := r.lookupAddrs(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	ips := make([]net.IPAddr, len(addrs))
	for i, addr := range addrs {
		ips[i] = *ipAddr(addr)
	}
	return ips, nil
}

// LookupIP looks up the addresses of a host, in the order in which to try them: see net.Resolver.LookupIP. The network is "ip",
// "ip4" or "ip6".
func (r *Resolver) LookupIP(ctx context.Context, network, host string) ([]net.IP, error) {
	addrs, err := r.LookupNetIP(ctx, network, host)
	if err != nil {
		return nil, err
	}
	ips := make([]net.IP, len(addrs))
	for i, addr := range addrs {
		ips[i] = addr.AsSlice()
	}
	return ips, nil
}

// LookupNetIP looks up the addresses of a host, in the order in which to try them: see net.Resolver.LookupNetIP. The network is
// "ip", "ip4" or "ip6". IPv4 addresses come in their plain form, and link-local IPv6 ones with their zones if they have some.
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	switch network {
	case "ip", "ip4", "ip6":
	default:
		return nil, net.UnknownNetworkError(network)
	}
	addrs, err := r.lookupAddrs(ctx, network, host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 1 && addrs[0] == netip.IPv6Unspecified() {
		addrs = append(addrs, netip.IPv4Unspecified()) // as package net has it: any address is one of IPv4 as well
	}
	var wanted []netip.Addr
	for _, addr := range addrs {
		if network == "ip" || addr.Is4() == (network == "ip4") {
			wanted = append(wanted, addr)
		}
	}
	if wanted == nil {
		return nil, &net.AddrError{Err: "no suitable address found", Addr: host}
	}
	return wanted, nil
}

// LookupCNAME looks up the canonical name of a host, the last in the chain of its aliases, with a final dot: see
// net.Resolver.LookupCNAME. A host that has an address, but no alias, is called what it is. "localhost" and names of one label in
// ResolverConfig.Hosts have no dot.
func (r *Resolver) LookupCNAME(ctx context.Context, host string) (string, error) {
	found, err := r.lookupHost(ctx, host, allOfName)
	if err != nil {
		return "", err
	}
	if !isDomainName(found.canonical) {
		return "", &net.DNSError{Err: invalidNames, Name: host}
	}
	return found.canonical, nil
}

// LookupPort looks up the port of a service: see net.Resolver.LookupPort. The network is one of "tcp", "tcp4", "tcp6", "udp",
// "udp4", "udp6" and "ip". Besides numbers it knows the few services that package net knows where there is no system to ask.
func (r *Resolver) LookupPort(_ context.Context, network, service string) (int, error) {
	return inet.LookupPort(network, service)
}

// What a lookup of a host asks for.
var (
	bothFamilies = []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA}
	allOfName    = []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeCNAME}
)

func typesOf(network string) []dnsmessage.Type {
	switch network {
	case "ip4":
		return []dnsmessage.Type{dnsmessage.TypeA}
	case "ip6":
		return []dnsmessage.Type{dnsmessage.TypeAAAA}
	}
	return bothFamilies
}

// lookupAddrs returns the addresses of a host, which may be a literal one. They need not all be the network's.
func (r *Resolver) lookupAddrs(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr.Unmap()}, nil
	}
	found, err := r.lookupHost(ctx, host, typesOf(network))
	return found.addrs, err
}

// A foundHost is what is known of a host.
type foundHost struct {
	addrs     []netip.Addr // in the order in which to try them
	canonical string       // empty: there is nothing
}

// lookupHost looks a name up, under the names that the search list makes of it until one brings something.
func (r *Resolver) lookupHost(ctx context.Context, name string, types []dnsmessage.Type) (found foundHost, err error) {
	if !isDomainName(name) {
		return found, noSuchHost(name) // nor is it one of Hosts, which are checked alike
	}
	if addrs, canonical, ok := r.hosts.lookup(name); ok {
		r.stack.sortAddrs(addrs)
		return foundHost{addrs, canonical}, nil
	}
	for _, candidate := range r.candidates(name) {
		for _, reply := range r.queryAll(ctx, candidate, types) {
			switch {
			case reply.err == nil:
				found.add(reply)
			case r.endsLookup(ctx, reply.err):
				return foundHost{}, r.failure(ctx, name, reply.err)
			case err == nil || candidate == name+".":
				err = reply.err // that of the name itself tells most
			}
		}
		if found.canonical != "" {
			r.stack.sortAddrs(found.addrs)
			return found, nil
		}
	}
	if err == nil {
		return found, noSuchHost(name) // there was nothing to be asked for
	}
	return found, r.failure(ctx, name, err)
}

// add adds what a reply says. What it calls the host counts unless a reply before it has named it.
func (f *foundHost) add(r reply) {
	canonical := r.Name.String()
	for _, record := range r.Records {
		switch body := record.Body.(type) {
		case *dnsmessage.AResource:
			f.addrs = append(f.addrs, netip.AddrFrom4(body.A))
		case *dnsmessage.AAAAResource:
			addr := netip.AddrFrom16(body.AAAA).Unmap()
			if addr.IsLinkLocalUnicast() {
				addr = addr.WithZone(r.Zone)
			}
			f.addrs = append(f.addrs, addr)
		case *dnsmessage.CNAMEResource:
			canonical = body.CNAME.String()
		}
	}
	if f.canonical == "" {
		f.canonical = canonical
	}
}

// sortAddrs sorts the addresses of a host by the stack's routes: RFC 6724, section 6.
func (s *Stack) sortAddrs(addrs []netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.core.SortDestinations(addrs, func(addr netip.Addr) int32 {
		_, link, _ := s.unzoned(addr)
		return link
	})
}

// LookupAddr looks up the names of an address: see net.Resolver.LookupAddr.
func (r *Resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	parsed, err := netip.ParseAddr(addr)
	if err == nil {
		if names := r.hosts.lookupAddr(parsed); names != nil {
			return names, nil
		}
	}
	if err != nil || parsed.Zone() != "" {
		return nil, &net.DNSError{Err: "unrecognized address", Name: addr}
	}
	records, _, err := lookupRecords[*dnsmessage.PTRResource](ctx, r, reverseName(parsed.Unmap()), dnsmessage.TypePTR)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(records))
	for i, record := range records {
		names[i] = record.PTR.String()
	}
	return wellFormed(names, addr, isDomainName)
}

// reverseName is the name under which the names of an address are.
// https://www.rfc-editor.org/rfc/rfc1035.html#section-3.5
// https://www.rfc-editor.org/rfc/rfc3596.html#section-2.5
func reverseName(addr netip.Addr) string {
	const digits = "0123456789abcdef"
	octets := addr.AsSlice()
	var name []byte
	for i := len(octets) - 1; i >= 0; i-- {
		octet := octets[i]
		if addr.Is4() {
			name = append(strconv.AppendUint(name, uint64(octet), 10), '.')
		} else {
			name = append(name, digits[octet&0xf], '.', digits[octet>>4], '.')
		}
	}
	if addr.Is4() {
		return string(name) + "in-addr.arpa."
	}
	return string(name) + "ip6.arpa."
}
