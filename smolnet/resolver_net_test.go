package smolnet_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// lookups is what *net.Resolver and *smolnet.Resolver have in common.
type lookups interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
	LookupIP(ctx context.Context, network, host string) ([]net.IP, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupPort(ctx context.Context, network, service string) (int, error)
	LookupCNAME(ctx context.Context, host string) (string, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupNS(ctx context.Context, name string) ([]*net.NS, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

var (
	_ lookups = (*net.Resolver)(nil)
	_ lookups = (*smolnet.Resolver)(nil)
)

// Kinds of lookups, as functions that return what can be compared.

type lookup func(ctx context.Context, r lookups) (any, error)

// texts are the values in a form that does not depend on how an address is kept, sorted if their order is left to chance or to
// routes.
func texts[T any](values []T, sorted bool) (all []string) {
	for _, value := range values {
		all = append(all, fmt.Sprintf("%+v", value))
	}
	if sorted {
		slices.Sort(all)
	}
	return all
}

func hosts(name string) lookup {
	return func(ctx context.Context, r lookups) (any, error) {
		addrs, err := r.LookupHost(ctx, name)
		return texts(addrs, true), err
	}
}

func ips(network, name string) lookup {
	return func(ctx context.Context, r lookups) (any, error) {
		addrs, err := r.LookupIP(ctx, network, name)
		return texts(addrs, true), err
	}
}

func ipAddrs(name string) lookup {
	return func(ctx context.Context, r lookups) (any, error) {
		addrs, err := r.LookupIPAddr(ctx, name)
		return texts(addrs, true), err
	}
}

func netIPs(network, name string) lookup {
	return func(ctx context.Context, r lookups) (any, error) {
		addrs, err := r.LookupNetIP(ctx, network, name)
		return texts(addrs, true), err
	}
}

func port(network, service string) lookup {
	return func(ctx context.Context, r lookups) (any, error) { return r.LookupPort(ctx, network, service) }
}

func cname(name string) lookup {
	return func(ctx context.Context, r lookups) (any, error) { return r.LookupCNAME(ctx, name) }
}

func srv(service, proto, name string) lookup {
	return func(ctx context.Context, r lookups) (any, error) {
		cname, servers, err := r.LookupSRV(ctx, service, proto, name)
		var all []string
		for _, server := range servers {
			all = append(all, fmt.Sprintf("%+v", *server))
		}
		return append([]string{cname}, all...), err
	}
}

func mx(name string) lookup {
	return func(ctx context.Context, r lookups) (any, error) {
		servers, err := r.LookupMX(ctx, name)
		var all []string
		for _, server := range servers {
			all = append(all, fmt.Sprintf("%+v", *server))
		}
		return all, err
	}
}

func ns(name string) lookup {
	return func(ctx context.Context, r lookups) (any, error) {
		servers, err := r.LookupNS(ctx, name)
		var all []string
		for _, server := range servers {
			all = append(all, server.Host)
		}
		return all, err
	}
}

func txt(name string) lookup {
	return func(ctx context.Context, r lookups) (any, error) { return r.LookupTXT(ctx, name) }
}

func ptr(addr string) lookup {
	return func(ctx context.Context, r lookups) (any, error) { return r.LookupAddr(ctx, addr) }
}

// readHostConfig has package net read what it reads of the host's configuration, and make what it keeps of it, outside of every
// bubble.
var readHostConfig = sync.OnceFunc(func() {
	refuse := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("nobody is asked") }
	r := net.Resolver{PreferGo: true, Dial: refuse}
	r.LookupHost(context.Background(), "www.example.")
	r.LookupAddr(context.Background(), "192.0.2.1")
	r.LookupPort(context.Background(), "tcp", "http")
})

// TestAsPackageNetLooksUp asks package net's resolver and the stack's the same, of the same server.
func TestAsPackageNetLooksUp(t *testing.T) {
	readHostConfig()
	zone := map[string][]dnsmessage.ResourceBody{
		"www.example.":        addresses("192.0.2.1", "192.0.2.2", "2001:db8::1"),
		"v4.example.":         addresses("192.0.2.4"),
		"v6.example.":         addresses("2001:db8::6"),
		"mapped.example.":     addresses("::ffff:192.0.2.4"),
		"alias.example.":      alias("www.example."),
		"chain.example.":      alias("alias.example."),
		"dangling.example.":   alias("nowhere.example."),
		"unsuitable.example.": alias("texts.example."),
		"odd.example.":        alias("odd name.example."),
		"odd name.example.":   addresses("192.0.2.7"),
		"texts.example.":      {text("one"), text("two ", "and ", "three"), text("")},
		"mail.example.":       {mailServer(20, "b.example."), mailServer(10, "a.example."), mailServer(30, ".")},
		"oddmail.example.":    {mailServer(20, "-b.example."), mailServer(10, "192.0.2.1."), mailServer(5, "good.example.")},
		"badmail.example.":    {mailServer(20, "a b.example.")},
		"ns.example.":         {&dnsmessage.NSResource{NS: dnsName("b.example.")}, &dnsmessage.NSResource{NS: dnsName("a.example.")}},
		"oddns.example.":      {&dnsmessage.NSResource{NS: dnsName("b.example.")}, &dnsmessage.NSResource{NS: dnsName("1.2.3.4.")}},
		"nsalias.example.":    alias("ns.example."),
		"_sip._tcp.example.":  {server(20, 0, 5060, "b.example."), server(10, 5, 5061, "a.example."), server(30, 1, 5062, ".")},
		"_odd._tcp.example.":  {server(20, 0, 5060, "b.example."), server(10, 5, 5061, "a/b.example.")},
		"_far._tcp.example.":  alias("_sip._tcp.example."),
		"servers.example.":    {server(1, 1, 80, "www.example.")},
		"failing.example.":    nil,
		"refusing.example.":   nil,
		"confused.example.":   nil,
		"lame.example.":       nil,
		"silent.example.":     nil,
		"large.example.":      {text("large")},
		"both.example.":       addresses("192.0.2.8"),
		"1.2.0.192.in-addr.arpa.": {
			pointer("www.example."), pointer("www2.example.")},
		"2.2.0.192.in-addr.arpa.": {pointer("www.example."), pointer("odd name.example.")},
		"3.2.0.192.in-addr.arpa.": alias("3.of.example."),
		"3.of.example.":           {pointer("three.example.")},
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.": {pointer("v6.example.")},
	}
	odd := map[string]func(string, *dnsmessage.Message){
		"failing.example.":  says(dnsmessage.RCodeServerFailure),
		"refusing.example.": says(dnsmessage.RCodeRefused),
		"confused.example.": says(dnsmessage.RCodeFormatError),
		"lame.example.":     knowsNothing,
		"silent.example.":   silence,
		"large.example.":    truncates,
		"both.example.": func(network string, m *dnsmessage.Message) {
			if m.Questions[0].Type == dnsmessage.TypeAAAA {
				says(dnsmessage.RCodeServerFailure)(network, m)
			}
		},
	}
	for _, tc := range []lookupCase{
		{name: "host", lookup: hosts("www.example.")},
		{name: "host in capital letters", lookup: hosts("WWW.Example.")},
		{name: "host by its alias", lookup: hosts("chain.example.")},
		{name: "host that does not exist", lookup: hosts("nowhere.example.")},
		{name: "host without address", lookup: hosts("texts.example.")},
		{name: "host that is an alias of one that does not exist", lookup: hosts("dangling.example.")},
		{name: "host that is an alias of one without address", lookup: hosts("unsuitable.example.")},
		{name: "no host", lookup: hosts("")},
		{name: "host that is an address", lookup: hosts("192.0.2.9")},
		{name: "host that is an address with a zone", lookup: hosts("fe80::1%eth0")},
		{name: "host that is an address in another form", lookup: hosts("::ffff:1.2.3.4")},
		{name: "host that is almost an address", lookup: hosts("192.0.2.256")},
		{name: "host with a space", lookup: hosts("a b.example.")},
		{name: "host with an empty label", lookup: hosts("a..example.")},
		{name: "host with a hyphen too many", lookup: hosts("-a.example.")},
		{name: "host of the root", lookup: hosts(".")},
		{name: "host when the server fails", lookup: hosts("failing.example.")},
		{name: "host when the server refuses", lookup: hosts("refusing.example.")},
		{name: "host when the server knows nothing", lookup: hosts("lame.example.")},
		{name: "host when the server fails for one family", lookup: hosts("both.example.")},

		{name: "addresses", lookup: ipAddrs("www.example.")},
		{name: "addresses of an address", lookup: ipAddrs("192.0.2.9")},
		{name: "addresses of an address with a zone", lookup: ipAddrs("fe80::1%eth0")},
		{name: "addresses of nobody", lookup: ipAddrs("")},
		{name: "addresses when the server says nothing", lookup: ipAddrs("silent.example.")},
		{name: "addresses when the context has ended", lookup: ipAddrs("www.example."), timeout: -1},
		{name: "addresses when the context does not last", lookup: ipAddrs("silent.example."), timeout: time.Second},

		{name: "ip", lookup: ips("ip", "www.example.")},
		{name: "ip4", lookup: ips("ip4", "www.example.")},
		{name: "ip6", lookup: ips("ip6", "www.example.")},
		{name: "ip4 of a host that has none", lookup: ips("ip4", "v6.example.")},
		{name: "ip6 of a host that has none", lookup: ips("ip6", "v4.example.")},
		{name: "ip6 that is ip4", lookup: ips("ip6", "mapped.example.")},
		{name: "ip4 of an address", lookup: ips("ip4", "192.0.2.9")},
		{name: "ip6 of an address of the other family", lookup: ips("ip6", "192.0.2.9")},
		{name: "ip4 of an address of the other family", lookup: ips("ip4", "::1")},
		{name: "ip of any address", lookup: ips("ip", "::")},
		{name: "ip4 of any address", lookup: ips("ip4", "::")},
		{name: "ip6 of any address", lookup: ips("ip6", "::")},
		{name: "ip of nobody", lookup: ips("ip", "")},
		{name: "ip with a zone", lookup: ips("ip", "fe80::1%eth0")},
		{name: "unknown network", lookup: ips("ip5", "www.example.")},
		{name: "network of another kind", lookup: ips("tcp", "www.example.")},
		{name: "no network", lookup: ips("", "www.example.")},
		{name: "netip", lookup: netIPs("ip", "www.example.")},
		{name: "netip of IPv4", lookup: netIPs("ip4", "www.example.")},
		{name: "netip of IPv6", lookup: netIPs("ip6", "www.example.")},
		{name: "netip of an address", lookup: netIPs("ip", "2001:db8::9")},
		{name: "netip of nobody", lookup: netIPs("ip", "")},
		{name: "netip of an unknown network", lookup: netIPs("ip5", "www.example.")},

		{name: "port", lookup: port("tcp", "http")},
		{name: "port by number", lookup: port("udp", "4711")},
		{name: "port by too large a number", lookup: port("tcp", "65536")},
		{name: "port of an unknown service", lookup: port("tcp", "no-such-service")},
		{name: "port of an unknown network", lookup: port("sctp", "http")},

		{name: "canonical name", lookup: cname("www.example.")},
		{name: "canonical name of an alias", lookup: cname("alias.example.")},
		{name: "canonical name of nobody's alias", lookup: cname("dangling.example.")},
		{name: "canonical name of nobody", lookup: cname("nowhere.example.")},
		{name: "canonical name of one without address", lookup: cname("texts.example.")},
		{name: "canonical name that is odd", lookup: cname("odd.example.")},
		{name: "canonical name of an address", lookup: cname("192.0.2.1")},
		{name: "canonical name when the server fails", lookup: cname("failing.example.")},

		{name: "servers", lookup: srv("sip", "tcp", "example.")},
		{name: "servers by their name", lookup: srv("", "", "servers.example.")},
		{name: "servers by an alias", lookup: srv("far", "tcp", "example.")},
		{name: "servers of which one is odd", lookup: srv("odd", "tcp", "example.")},
		{name: "servers there are none of", lookup: srv("no", "tcp", "example.")},
		{name: "servers of a service that is odd", lookup: srv("a b", "tcp", "example.")},

		{name: "mail servers", lookup: mx("mail.example.")},
		{name: "mail servers that are odd", lookup: mx("oddmail.example.")},
		{name: "mail servers that are all odd", lookup: mx("badmail.example.")},
		{name: "mail servers there are none of", lookup: mx("www.example.")},
		{name: "name servers", lookup: ns("ns.example.")},
		{name: "name servers that are odd", lookup: ns("oddns.example.")},
		{name: "name servers by an alias", lookup: ns("nsalias.example.")},
		{name: "name servers of an odd name", lookup: ns("a b.example.")},

		{name: "texts", lookup: txt("texts.example.")},
		{name: "text that is large", lookup: txt("large.example.")},
		{name: "text of nobody", lookup: txt("")},
		{name: "text there is none of", lookup: txt("www.example.")},
		{name: "text of a name that does not exist", lookup: txt("nowhere.example.")},
		{name: "text when the server fails", lookup: txt("failing.example.")},
		{name: "text when the server refuses", lookup: txt("refusing.example.")},
		{name: "text when the server does not understand", lookup: txt("confused.example.")},
		{name: "text when the server knows nothing", lookup: txt("lame.example.")},
		{name: "text when the server says nothing", lookup: txt("silent.example.")},

		{name: "names", lookup: ptr("192.0.2.1")},
		{name: "names of which one is odd", lookup: ptr("192.0.2.2")},
		{name: "names by an alias", lookup: ptr("192.0.2.3")},
		{name: "names of an IPv6 address", lookup: ptr("2001:db8::1")},
		{name: "names of an address in another form", lookup: ptr("::ffff:192.0.2.1")},
		{name: "names there are none of", lookup: ptr("192.0.2.99")},
		{name: "names of no address", lookup: ptr("www.example")},
		{name: "names of an address with a zone", lookup: ptr("fe80::1%eth0")},
		{name: "names of nothing", lookup: ptr("")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asking, serving := newPair(t, pipe.Config{})
				serveNames(t, serving, zone).odd = odd
				ours := newResolver(t, asking, smolnet.ResolverConfig{Servers: nameServers})
				nets := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
					return asking.DialContext(ctx, network, "192.168.69.100:53")
				}}
				want, wantErr := tc.run(t, nets)
				got, gotErr := tc.run(t, ours)
				if wantErr == nil {
					require.NoError(t, gotErr)
				} else {
					require.EqualError(t, comparable(gotErr), comparable(wantErr).Error())
					require.Equal(t, comparable(wantErr), comparable(gotErr))
					for _, target := range []error{context.Canceled, context.DeadlineExceeded} {
						require.Equal(t, errors.Is(wantErr, target), errors.Is(gotErr, target), target)
					}
				}
				require.Equal(t, fmt.Sprint(want), fmt.Sprint(got))
				time.Sleep(time.Minute) // what package net has begun and does not wait for ends
			})
		})
	}
}

// A lookupCase is a row of the table above.
type lookupCase struct {
	name    string
	lookup  lookup
	timeout time.Duration // of the context; 0: none, less: it has been canceled
}

func (tc lookupCase) run(t *testing.T, r lookups) (any, error) {
	ctx, cancel := context.WithCancel(t.Context())
	if tc.timeout > 0 {
		ctx, cancel = context.WithTimeout(t.Context(), tc.timeout)
	}
	defer cancel()
	if tc.timeout < 0 {
		cancel()
	}
	return tc.lookup(ctx, r)
}

var connection = regexp.MustCompile(`192\.168\.69\.1:\d+->192\.168\.69\.100:53`)

// comparable returns the error without what cannot be the same: port numbers, the server that package net thinks it has asked,
// and the identity of what is wrapped.
func comparable(err error) error {
	var of *net.DNSError
	if !errors.As(err, &of) {
		return err
	}
	bare := *of
	if bare.Server != "" {
		bare.Server = "server"
	}
	if bare.UnwrapErr != nil {
		bare.UnwrapErr = errors.New(bare.UnwrapErr.Error())
	}
	bare.Err = connection.ReplaceAllString(bare.Err, "connection")
	return &bare
}
