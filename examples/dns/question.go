package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/smolnet/smolnet/smolnet"
)

// question is a name and the type of the records to look up; empty: addresses, or names if the name is an address.
type question struct{ name, kind string }

// answer looks the question up and prints a line for each record. That there is none is an answer too.
func (q question) answer(ctx context.Context, out io.Writer, r *smolnet.Resolver) error {
	records, err := q.lookup(ctx, r)
	for _, record := range records {
		fmt.Fprintf(out, "%s\t%s\n", q.name, record)
	}
	var failure *net.DNSError
	if errors.As(err, &failure) {
		_, err = fmt.Fprintf(out, "%s\t%v\n", q.name, err)
	}
	return err
}

// lookup returns what there is, each record as its type and what is in it.
func (q question) lookup(ctx context.Context, r *smolnet.Resolver) ([]string, error) {
	switch q.kind {
	case "":
		if _, err := netip.ParseAddr(q.name); err == nil {
			return question{q.name, "PTR"}.lookup(ctx, r)
		}
		return q.addresses(ctx, r, "ip")
	case "A":
		return q.addresses(ctx, r, "ip4")
	case "AAAA":
		return q.addresses(ctx, r, "ip6")
	case "CNAME":
		cname, err := r.LookupCNAME(ctx, q.name)
		if err != nil {
			return nil, err
		}
		return []string{"CNAME\t" + cname}, nil
	case "MX":
		servers, err := r.LookupMX(ctx, q.name)
		return lines(servers, func(mx *net.MX) string { return fmt.Sprintf("MX\t%d %s", mx.Pref, mx.Host) }), err
	case "NS":
		servers, err := r.LookupNS(ctx, q.name)
		return lines(servers, func(ns *net.NS) string { return "NS\t" + ns.Host }), err
	case "PTR":
		names, err := r.LookupAddr(ctx, q.name)
		return lines(names, func(name string) string { return "PTR\t" + name }), err
	case "SRV":
		_, servers, err := r.LookupSRV(ctx, "", "", q.name)
		return lines(servers, func(srv *net.SRV) string {
			return fmt.Sprintf("SRV\t%d %d %d %s", srv.Priority, srv.Weight, srv.Port, srv.Target)
		}), err
	case "TXT":
		texts, err := r.LookupTXT(ctx, q.name)
		return lines(texts, func(text string) string { return fmt.Sprintf("TXT\t%q", text) }), err
	}
	return nil, fmt.Errorf("-type %s: there is A, AAAA, CNAME, MX, NS, PTR, SRV and TXT", q.kind)
}

func (q question) addresses(ctx context.Context, r *smolnet.Resolver, network string) ([]string, error) {
	addrs, err := r.LookupNetIP(ctx, network, q.name)
	return lines(addrs, func(addr netip.Addr) string {
		if addr.Is4() {
			return "A\t" + addr.String()
		}
		return "AAAA\t" + addr.String()
	}), err
}

// lines returns a line for each value.
func lines[T any](values []T, line func(T) string) (all []string) {
	for _, value := range values {
		all = append(all, line(value))
	}
	return all
}
