package smolnet

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// LookupMX looks up the mail servers of a domain, by preference and at random among those of the same: see
// net.Resolver.LookupMX. Those whose names are malformed are left out, and then there is an error along with the others.
func (r *Resolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	records, _, err := lookupRecords[*dnsmessage.MXResource](ctx, r, name, dnsmessage.TypeMX)
	if err != nil {
		return nil, err
	}
	servers := make([]*net.MX, len(records))
	for i, record := range records {
		servers[i] = &net.MX{Host: record.MX.String(), Pref: record.Pref}
	}
	shuffle := rand.New(random{r.stack})
	shuffle.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
	slices.SortStableFunc(servers, func(a, b *net.MX) int { return cmp.Compare(a.Pref, b.Pref) })
	return wellFormed(servers, name, func(mx *net.MX) bool { return isDomainName(mx.Host) || isAddress(mx.Host) })
}

// isAddress reports whether what should be a name is an address, as some have it in MX records.
func isAddress(name string) bool {
	addr, err := netip.ParseAddr(strings.TrimSuffix(name, "."))
	return err == nil && addr.Zone() == ""
}

// LookupNS looks up the name servers of a domain: see net.Resolver.LookupNS. Those whose names are malformed are left out, and
// then there is an error along with the others.
func (r *Resolver) LookupNS(ctx context.Context, name string) ([]*net.NS, error) {
	records, _, err := lookupRecords[*dnsmessage.NSResource](ctx, r, name, dnsmessage.TypeNS)
	if err != nil {
		return nil, err
	}
	servers := make([]*net.NS, len(records))
	for i, record := range records {
		servers[i] = &net.NS{Host: record.NS.String()}
	}
	return wellFormed(servers, name, func(ns *net.NS) bool { return isDomainName(ns.Host) })
}

// LookupTXT looks up the texts that a domain has, the strings of each record joined: see net.Resolver.LookupTXT.
func (r *Resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	records, _, err := lookupRecords[*dnsmessage.TXTResource](ctx, r, name, dnsmessage.TypeTXT)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(records))
	for i, record := range records {
		texts[i] = strings.Join(record.TXT, "")
	}
	return texts, nil
}

// LookupSRV looks up who serves a service in a domain, under the name _service._proto.name, or under name alone if service and
// proto are both empty: see net.Resolver.LookupSRV. The servers are in the order in which to try them: by priority, and among
// those of the same at random by weight (RFC 2782). Those whose names are malformed are left out, and then there is an error along
// with the others. cname is the canonical name that the records are under.
func (r *Resolver) LookupSRV(ctx context.Context, service, proto, name string) (cname string, servers []*net.SRV, err error) {
	target := name
	if service != "" || proto != "" {
		target = "_" + service + "._" + proto + "." + name
	}
	records, cname, err := lookupRecords[*dnsmessage.SRVResource](ctx, r, target, dnsmessage.TypeSRV)
	if err != nil {
		return "", nil, err
	}
	if !isDomainName(cname) {
		return "", nil, &net.DNSError{Err: "SRV header name is invalid", Name: name}
	}
	for _, record := range records {
		servers = append(servers, &net.SRV{
			Target: record.Target.String(), Port: record.Port, Priority: record.Priority, Weight: record.Weight,
		})
	}
	sortServers(servers, rand.New(random{r.stack}))
	servers, err = wellFormed(servers, name, func(srv *net.SRV) bool { return isDomainName(srv.Target) })
	return cname, servers, err
}

// sortServers puts servers in the order in which to try them: each of those with the lowest priority is the next with a
// probability in proportion to its weight; those of weight 0 come last but for a small chance.
// https://www.rfc-editor.org/rfc/rfc2782.html
func sortServers(servers []*net.SRV, chance *rand.Rand) {
	slices.SortStableFunc(servers, func(a, b *net.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Weight, b.Weight))
	})
	for len(servers) > 0 {
		equals := 0
		sum := 0
		for equals < len(servers) && servers[equals].Priority == servers[0].Priority {
			sum += int(servers[equals].Weight)
			equals++
		}
		// The one at which the running sum of weights reaches the number drawn goes first, and the others stay in order.
		drawn := chance.IntN(sum + 1)
		next := 0
		for drawn -= int(servers[0].Weight); drawn > 0; drawn -= int(servers[next].Weight) {
			next++
		}
		chosen := servers[next]
		copy(servers[1:next+1], servers[:next])
		servers[0] = chosen
		servers = servers[1:]
	}
}

// lookupRecords looks up the records of a type that a name has, or one of the names that the search list makes of it, and returns
// them with the canonical name that has them.
func lookupRecords[Body dnsmessage.ResourceBody](
	ctx context.Context, r *Resolver, name string, qtype dnsmessage.Type,
) (records []Body, cname string, err error) {
	if !isDomainName(name) || isLocalhost(name) {
		return nil, "", noSuchHost(name)
	}
	for _, candidate := range r.candidates(name) {
		answer, failed := r.query(ctx, candidate, qtype)
		if failed == nil {
			for _, record := range answer.Records {
				if body, ok := record.Body.(Body); ok {
					records = append(records, body)
				}
			}
			return records, answer.Name.String(), nil
		}
		if err = failed; r.endsLookup(ctx, err) {
			break
		}
	}
	if err == nil {
		return nil, "", noSuchHost(name) // there was nothing to be asked for
	}
	return nil, "", r.failure(ctx, name, err)
}

// invalidNames is package net's word for what follows.
const invalidNames = "DNS response contained records which contain invalid names"

// wellFormed returns those of the records of a name that are well formed, and an error if there are others.
func wellFormed[T any](records []T, name string, ok func(T) bool) ([]T, error) {
	kept := slices.DeleteFunc(slices.Clone(records), func(record T) bool { return !ok(record) })
	if len(kept) < len(records) {
		return kept, &net.DNSError{Err: invalidNames, Name: name}
	}
	return kept, nil
}
