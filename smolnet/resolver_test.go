package smolnet_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// small is a zone for tests that are not about records.
var small = map[string][]dnsmessage.ResourceBody{
	"www.example.":            addresses("192.0.2.1"),
	"host.lan.example.":       addresses("192.0.2.2"),
	"a.b.lan.example.":        addresses("192.0.2.3"),
	"www.example.corp.":       addresses("192.0.2.4"),
	"1.2.0.192.in-addr.arpa.": {pointer("www.example.")},
}

// resolving runs a test in virtual time with two stacks, of which the second serves the small zone.
func resolving(t *testing.T, test func(t *testing.T, asking *smolnet.Stack, server *nameServer)) {
	synctest.Test(t, func(t *testing.T) {
		asking, serving := newPair(t, pipe.Config{})
		test(t, asking, serveNames(t, serving, small))
	})
}

func TestResolverConfigIsChecked(t *testing.T) {
	_, err := smolnet.NewResolver(nil, smolnet.ResolverConfig{})
	require.ErrorIs(t, err, core.ErrConfig, "there is nobody to ask through")
	stack := newStack(t, smolnet.Config{})
	servers := func(addrs ...string) smolnet.ResolverConfig {
		var c smolnet.ResolverConfig
		for _, addr := range addrs {
			c.Servers = append(c.Servers, netip.MustParseAddrPort(addr))
		}
		return c
	}
	table := func(name string, addrs ...netip.Addr) smolnet.ResolverConfig {
		return smolnet.ResolverConfig{Hosts: map[string][]netip.Addr{name: addrs}}
	}
	addr := netip.MustParseAddr("192.0.2.1")
	for _, tc := range []struct {
		want   string // how the error ends; empty: none
		config smolnet.ResolverConfig
	}{
		{"", smolnet.ResolverConfig{}},
		{"", smolnet.ResolverConfig{Search: []string{"example.", "lan", "."}, NDots: 15, CacheEntries: -1}},
		{"", servers("192.0.2.1:0", "[fe80::1%if2]:53", "127.0.0.1:5353")},
		{"Servers: invalid AddrPort has no address", smolnet.ResolverConfig{Servers: make([]netip.AddrPort, 1)}},
		{"Servers: 0.0.0.0 is no unicast address", servers("0.0.0.0:53")},
		{"Servers: 224.0.0.251 is no unicast address", servers("192.0.2.1:53", "224.0.0.251:53")},
		{"Servers: 255.255.255.255 is no unicast address", servers("255.255.255.255:53")},
		{"Servers: fe80::1 lacks the name of its interface as a zone", servers("[fe80::1]:53")},
		{`Search: "a b" is no domain name`, smolnet.ResolverConfig{Search: []string{"example", "a b"}}},
		{`Search: "" is no domain name`, smolnet.ResolverConfig{Search: []string{""}}},
		{"NDots 16 is more than 15", smolnet.ResolverConfig{NDots: 16}},
		{"Timeout -1s is negative", smolnet.ResolverConfig{Timeout: -time.Second}},
		{"Attempts -1 is negative", smolnet.ResolverConfig{Attempts: -1}},
		{"MaxTTL -1ns is negative", smolnet.ResolverConfig{MaxTTL: -1}},
		{`Hosts: "a b" is no host's name`, table("a b", addr)},
		{`Hosts: "." is no host's name`, table(".", addr)},
		{`Hosts: "printer" has no address`, table("printer")},
		{`Hosts: "printer" has an invalid address`, table("printer", addr, netip.Addr{})},
		{`Hosts: "Localhost." is always the stack itself`, table("Localhost.", addr)},
		{`Hosts: "printer" is there twice, in other letters or with a final dot`,
			smolnet.ResolverConfig{Hosts: map[string][]netip.Addr{"printer": {addr}, "Printer.": {addr}}}},
	} {
		_, err := smolnet.NewResolver(stack, tc.config)
		_, ofStack := smolnet.New(smolnet.Config{Resolver: tc.config})
		if tc.want == "" {
			require.NoError(t, err)
			require.NoError(t, ofStack)
			continue
		}
		require.ErrorIs(t, err, core.ErrConfig)
		require.EqualError(t, err, "smolnet: invalid configuration: ResolverConfig."+tc.want)
		require.Equal(t, err, ofStack)
	}
}

func TestStackAsksItsOwnResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe.New(pipe.Config{})
		serving := newStack(t, smolnet.Config{})
		_, err := serving.AddInterface(smolnet.Interface{Device: b, DuplicateDetection: core.DetectNone, Addresses: secondAddresses})
		require.NoError(t, err)
		asking := newStack(t, smolnet.Config{Resolver: smolnet.ResolverConfig{Servers: nameServers}})
		_, err = asking.AddInterface(smolnet.Interface{Device: a, DuplicateDetection: core.DetectNone, Addresses: firstAddresses})
		require.NoError(t, err)
		serveNames(t, serving, map[string][]dnsmessage.ResourceBody{
			"www.example.":            addresses("192.168.69.100"),
			"mail.example.":           {mailServer(1, "www.example.")},
			"ns.example.":             {&dnsmessage.NSResource{NS: dnsName("www.example.")}},
			"text.example.":           {text("text")},
			"_http._tcp.example.":     {server(0, 0, 80, "www.example.")},
			"1.2.0.192.in-addr.arpa.": {pointer("www.example.")},
		})

		hosts, err := asking.LookupHost("www.example")
		require.NoError(t, err)
		require.Equal(t, []string{"192.168.69.100"}, hosts)
		ips, err := asking.LookupIP("www.example")
		require.NoError(t, err)
		require.Equal(t, "[192.168.69.100]", texts([]any{ips}, false)[0])
		names, err := asking.LookupAddr("192.0.2.1")
		require.NoError(t, err)
		require.Equal(t, []string{"www.example."}, names)
		cname, err := asking.LookupCNAME("www.example")
		require.NoError(t, err)
		require.Equal(t, "www.example.", cname)
		mx, err := asking.LookupMX("mail.example")
		require.NoError(t, err)
		require.Equal(t, []*net.MX{{Host: "www.example.", Pref: 1}}, mx)
		ns, err := asking.LookupNS("ns.example")
		require.NoError(t, err)
		require.Equal(t, []*net.NS{{Host: "www.example."}}, ns)
		port, err := asking.LookupPort("tcp", "https")
		require.NoError(t, err)
		require.Equal(t, 443, port)
		cname, srv, err := asking.LookupSRV("http", "tcp", "example")
		require.NoError(t, err)
		require.Equal(t, "_http._tcp.example.", cname)
		require.Equal(t, []*net.SRV{{Target: "www.example.", Port: 80}}, srv)
		txt, err := asking.LookupTXT("text.example")
		require.NoError(t, err)
		require.Equal(t, []string{"text"}, txt)
		_, err = asking.LookupIP("nobody.example")
		require.EqualError(t, err, "lookup nobody.example on 192.168.69.100:53: no such host")

		// And so do those who dial a name.
		l := listen(t, serving, "tcp", ":80")
		c, err := asking.Dial("tcp", "www.example:http")
		require.NoError(t, err)
		require.Equal(t, "192.168.69.100:80", c.RemoteAddr().String())
		c.Close()
		l.Close()
	})
}

func TestNamesThatAreTried(t *testing.T) {
	tooLong := strings.Repeat("a.", 124) + "long" // of 252 octets
	for _, tc := range []struct {
		name   string
		config smolnet.ResolverConfig
		lookup string
		asked  []string // names; the last one exists, unless there is an error
		err    string
	}{
		{name: "without a search list", lookup: "www.example", asked: []string{"www.example."}},
		{name: "a single label", lookup: "host", config: smolnet.ResolverConfig{Search: []string{"nowhere", "lan.example"}},
			asked: []string{"host.nowhere.", "host.lan.example."}},
		{name: "a single label that is nowhere", lookup: "nobody", config: smolnet.ResolverConfig{Search: []string{"lan.example."}},
			asked: []string{"nobody.lan.example.", "nobody."}, err: "lookup nobody on 192.168.69.100:53: no such host"},
		{name: "a single label that is absolute", lookup: "host.", config: smolnet.ResolverConfig{Search: []string{"lan.example"}},
			asked: []string{"host."}, err: "lookup host. on 192.168.69.100:53: no such host"},
		{name: "enough dots", lookup: "www.example", config: smolnet.ResolverConfig{Search: []string{"corp"}},
			asked: []string{"www.example."}},
		{name: "enough dots, but not there", lookup: "a.b", config: smolnet.ResolverConfig{Search: []string{"corp", "lan.example"}},
			asked: []string{"a.b.", "a.b.corp.", "a.b.lan.example."}},
		{name: "not enough dots", lookup: "www.example", config: smolnet.ResolverConfig{Search: []string{"corp"}, NDots: 2},
			asked: []string{"www.example.corp."}},
		{name: "no dots needed", lookup: "host", config: smolnet.ResolverConfig{Search: []string{"lan.example"}, NDots: -1},
			asked: []string{"host.", "host.lan.example."}},
		{name: "too long with the search list", lookup: tooLong, config: smolnet.ResolverConfig{Search: []string{"corp"}},
			asked: []string{tooLong + "."}, err: "lookup " + tooLong + " on 192.168.69.100:53: no such host"},
		{name: "hidden services", lookup: "hidden.Onion", config: smolnet.ResolverConfig{Search: []string{"onion"}},
			err: "lookup hidden.Onion: no such host"},
		{name: "hidden services, absolute", lookup: "hidden.onion.", err: "lookup hidden.onion.: no such host"},
		{name: "no name", lookup: "a..b", err: "lookup a..b: no such host"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resolving(t, func(t *testing.T, asking *smolnet.Stack, server *nameServer) {
				tc.config.Servers = nameServers
				r := newResolver(t, asking, tc.config)
				_, err := r.LookupNetIP(t.Context(), "ip4", tc.lookup)
				var want []string
				for _, name := range tc.asked {
					want = append(want, "udp "+name+" A")
				}
				require.Equal(t, want, server.heard())
				if tc.err == "" {
					require.NoError(t, err)
				} else {
					require.EqualError(t, err, tc.err)
					require.True(t, err.(*net.DNSError).IsNotFound)
				}

				_, err = r.LookupTXT(t.Context(), tc.lookup) // of which there is none, wherever
				require.ErrorContains(t, err, "no such host")
				require.Equal(t, tc.lookup, err.(*net.DNSError).Name)
			})
		})
	}
}

func TestBothFamiliesAreAskedForAtOnce(t *testing.T) {
	resolving(t, func(t *testing.T, asking *smolnet.Stack, server *nameServer) {
		r := newResolver(t, asking, smolnet.ResolverConfig{Servers: nameServers})
		_, err := r.LookupHost(t.Context(), "www.example")
		require.NoError(t, err)
		heard := server.heard()
		slices.Sort(heard)
		require.Equal(t, []string{"udp www.example. A", "udp www.example. AAAA"}, heard)
		_, err = r.LookupHost(t.Context(), "WWW.Example.")
		require.NoError(t, err)
		require.Empty(t, server.heard(), "both answers are kept, that there is no AAAA too")
		time.Sleep(61 * time.Second)
		_, err = r.LookupHost(t.Context(), "www.example")
		require.NoError(t, err)
		require.Len(t, server.heard(), 2, "but not for ever")
	})
}

func TestStrictErrors(t *testing.T) {
	resolving(t, func(t *testing.T, asking *smolnet.Stack, server *nameServer) {
		server.odd["www.example."] = func(network string, m *dnsmessage.Message) {
			if m.Questions[0].Type == dnsmessage.TypeAAAA {
				says(dnsmessage.RCodeServerFailure)(network, m)
			}
		}
		config := smolnet.ResolverConfig{Servers: nameServers, Search: []string{"corp"}}
		hosts, err := newResolver(t, asking, config).LookupHost(t.Context(), "www.example")
		require.NoError(t, err)
		require.Equal(t, []string{"192.0.2.1"}, hosts)

		config.StrictErrors = true
		_, err = newResolver(t, asking, config).LookupHost(t.Context(), "www.example")
		require.Equal(t, &net.DNSError{
			Err: "server misbehaving", Name: "www.example", Server: "192.168.69.100:53", IsTemporary: true,
		}, err)
		server.heard()
		server.odd["www.example."] = says(dnsmessage.RCodeServerFailure)
		_, err = newResolver(t, asking, config).LookupTXT(t.Context(), "www.example")
		require.EqualError(t, err, "lookup www.example on 192.168.69.100:53: server misbehaving")
		require.NotContains(t, server.heard(), "udp www.example.corp. TXT")
	})
}

func TestServersThatFail(t *testing.T) {
	dead := netip.MustParseAddrPort("192.168.69.99:53") // nobody has that address
	closed := netip.MustParseAddrPort("192.168.69.100:54")
	good := netip.MustParseAddrPort("192.168.69.100:53")
	for _, tc := range []struct {
		name    string
		servers []netip.AddrPort
		err     string // what is in it
	}{
		{name: "the first is dead", servers: []netip.AddrPort{dead, good}},
		{name: "the first refuses", servers: []netip.AddrPort{closed, good}},
		{name: "all refuse", servers: []netip.AddrPort{closed}, err: "192.168.69.100:54: read: connection refused"},
		{name: "there is no way", servers: []netip.AddrPort{netip.MustParseAddrPort("198.51.100.1:53")},
			err: "dial udp 198.51.100.1:53: connect: network is unreachable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resolving(t, func(t *testing.T, asking *smolnet.Stack, server *nameServer) {
				r := newResolver(t, asking, smolnet.ResolverConfig{Servers: tc.servers})
				found, err := r.LookupHost(t.Context(), "www.example")
				if tc.err == "" {
					require.NoError(t, err)
					require.Equal(t, []string{"192.0.2.1"}, found)
					return
				}
				require.ErrorContains(t, err, tc.err)
				var failure *net.DNSError
				require.ErrorAs(t, err, &failure)
				require.True(t, failure.IsTemporary)
				require.False(t, failure.IsNotFound)
			})
		})
	}
}

func TestServersAreReplaced(t *testing.T) {
	resolving(t, func(t *testing.T, asking *smolnet.Stack, server *nameServer) {
		r := asking.Resolver()
		_, err := r.LookupHost(t.Context(), "www.example")
		require.Equal(t, &net.DNSError{Err: "no such host", Name: "www.example", IsNotFound: true}, err, "there is nobody to ask")
		require.Empty(t, r.Servers())

		require.NoError(t, r.SetServers(nameServers))
		require.Equal(t, []netip.AddrPort{netip.MustParseAddrPort("192.168.69.100:53")}, r.Servers())
		_, err = r.LookupHost(t.Context(), "www.example")
		require.NoError(t, err)

		err = r.SetServers([]netip.AddrPort{netip.MustParseAddrPort("[::]:53")})
		require.ErrorIs(t, err, core.ErrConfig)
		require.EqualError(t, err, "smolnet: invalid configuration: ResolverConfig.Servers: :: is no unicast address")
		require.Len(t, r.Servers(), 1)
	})
}

func TestServerOnTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asking, serving := newPair(t, pipe.Config{})
		serveNames(t, serving, small).odd["www.example."] = truncates // so that TCP finds its way too
		own := linkLocal(t, serving)
		r := newResolver(t, asking, smolnet.ResolverConfig{
			Servers: []netip.AddrPort{netip.AddrPortFrom(own.WithZone("first"), 53)},
		})
		found, err := r.LookupHost(t.Context(), "www.example")
		require.NoError(t, err)
		require.Equal(t, []string{"192.0.2.1"}, found)
		_, err = r.LookupTXT(t.Context(), "nobody.example")
		require.EqualError(t, err, "lookup nobody.example on ["+own.String()+"%first]:53: no such host")
	})
}

func TestAddressesAreSortedByTheStacksRoutes(t *testing.T) {
	resolving(t, func(t *testing.T, asking *smolnet.Stack, server *nameServer) {
		server.zone = map[string][]dnsmessage.ResourceBody{
			"many.example.": addresses("198.51.100.1", "192.168.69.7", "127.0.0.9", "2001:db8::1", "fdaa::9", "fe80::1"),
		}
		r := newResolver(t, asking, smolnet.ResolverConfig{Servers: nameServers})
		found, err := r.LookupHost(t.Context(), "many.example")
		require.NoError(t, err)
		require.Equal(t, []string{"127.0.0.9", "192.168.69.7", "fdaa::9"}, found[:3], "what there is a way to")
		require.ElementsMatch(t, []string{"198.51.100.1", "2001:db8::1", "fe80::1"}, found[3:], "and what not")
	})
}

func TestLookupsEnd(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(cancel context.CancelFunc, stack *smolnet.Stack)
		want error // what the error is
		text string
	}{
		{"when the context is canceled", func(cancel context.CancelFunc, _ *smolnet.Stack) { cancel() },
			context.Canceled, "operation was canceled"},
		{"when the stack is closed", func(_ context.CancelFunc, stack *smolnet.Stack) { stack.Close() },
			net.ErrClosed, "use of closed network connection"},
	} {
		for _, name := range []string{"silent.example", "silent.local"} {
			t.Run(tc.name+", "+name, func(t *testing.T) {
				resolving(t, func(t *testing.T, asking *smolnet.Stack, server *nameServer) {
					server.odd["silent.example."] = silence
					r := newResolver(t, asking, smolnet.ResolverConfig{Servers: nameServers})
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					ended := make(chan error, 2)
					go func() { _, err := r.LookupHost(ctx, name); ended <- err }()
					go func() { _, err := r.LookupTXT(ctx, name); ended <- err }()
					time.Sleep(time.Millisecond)
					synctest.Wait()
					require.Empty(t, ended)
					begun := time.Now()
					tc.end(cancel, asking)
					for range 2 {
						err := <-ended
						require.EqualError(t, err, "lookup "+name+": "+tc.text)
						require.ErrorIs(t, err, tc.want)
						require.False(t, err.(*net.DNSError).IsNotFound)
					}
					require.Zero(t, time.Since(begun), "at once")
				})
			})
		}
	}
}

func TestLookupOnAClosedStack(t *testing.T) {
	s := newStack(t, smolnet.Config{Resolver: smolnet.ResolverConfig{Servers: nameServers}})
	require.NoError(t, s.Close())
	_, err := s.LookupHost("www.example")
	require.True(t, errors.Is(err, net.ErrClosed))
	_, err = s.LookupTXT("www.example")
	require.EqualError(t, err, "lookup www.example: use of closed network connection")
	hosts, err := s.LookupHost("localhost")
	require.NoError(t, err, "for that nobody needs to be asked")
	require.ElementsMatch(t, []string{"::1", "127.0.0.1"}, hosts)
}

func TestNetResolver(t *testing.T) {
	readHostConfig()
	resolving(t, func(t *testing.T, asking *smolnet.Stack, server *nameServer) {
		server.zone = map[string][]dnsmessage.ResourceBody{"text.example.": {text("large")}}
		server.odd["text.example."] = truncates
		ours := newResolver(t, asking, smolnet.ResolverConfig{})
		r := ours.NetResolver()
		_, err := r.LookupTXT(t.Context(), "text.example.")
		require.ErrorContains(t, err, "dial udp: no DNS servers")

		// One of the servers is dead; it is asked by turns with the other.
		require.NoError(t, ours.SetServers([]netip.AddrPort{
			netip.MustParseAddrPort("192.168.69.99:53"), netip.MustParseAddrPort("192.168.69.100:53"),
			netip.MustParseAddrPort("[fdaa::100]:53"),
		}))
		texts, err := r.LookupTXT(t.Context(), "text.example.")
		require.NoError(t, err)
		require.Equal(t, []string{"large"}, texts)
		require.Equal(t, []string{"udp text.example. TXT", "tcp text.example. TXT"}, server.heard())
		time.Sleep(time.Minute)
	})
}

func TestServersOfTheSamePriorityTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asking, serving := newPairOf(t, pipe.Config{}, smolnet.Config{Rand: rand.NewChaCha8([32]byte{})})
		serveNames(t, serving, map[string][]dnsmessage.ResourceBody{
			"_http._tcp.example.": {
				server(2, 1, 80, "last.example."), server(1, 10, 80, "light.example."), server(1, 0, 80, "spare.example."),
				server(1, 30, 80, "heavy.example."),
			},
			"mail.example.": {mailServer(2, "last.example."), mailServer(1, "a.example."), mailServer(1, "b.example.")},
		})
		r := newResolver(t, asking, smolnet.ResolverConfig{Servers: nameServers})
		const times = 4000
		first := map[string]int{}
		for range times {
			_, servers, err := r.LookupSRV(t.Context(), "http", "tcp", "example")
			require.NoError(t, err)
			require.Len(t, servers, 4)
			require.Equal(t, "last.example.", servers[3].Target)
			first[servers[0].Target]++
			mail, err := r.LookupMX(t.Context(), "mail.example")
			require.NoError(t, err)
			require.Equal(t, "last.example.", mail[2].Host)
			first[mail[0].Host]++
		}
		require.InDelta(t, times*3/4, first["heavy.example."], times/20)
		require.InDelta(t, times/4, first["light.example."], times/20)
		require.InDelta(t, times/41, first["spare.example."], times/50)
		require.InDelta(t, times/2, first["a.example."], times/20)
		require.InDelta(t, times/2, first["b.example."], times/20)
	})
}

func TestTheErrorOfTheNameItselfTellsMost(t *testing.T) {
	resolving(t, func(t *testing.T, asking *smolnet.Stack, server *nameServer) {
		server.odd["failing."] = says(dnsmessage.RCodeServerFailure)
		server.odd["failing.lan."] = says(dnsmessage.RCodeServerFailure)
		r := newResolver(t, asking, smolnet.ResolverConfig{Servers: nameServers, Search: []string{"corp"}})
		for _, name := range []string{"failing", "failing.lan"} { // which is asked for last, and first
			_, err := r.LookupHost(t.Context(), name)
			require.EqualError(t, err, "lookup "+name+" on 192.168.69.100:53: server misbehaving")
			require.False(t, err.(*net.DNSError).IsNotFound)
		}
	})
}

func TestHalfAnAnswerIsNone(t *testing.T) {
	resolving(t, func(t *testing.T, asking *smolnet.Stack, server *nameServer) {
		server.zone = map[string][]dnsmessage.ResourceBody{"none.example.": nil, "www.example.": addresses("192.0.2.1")}
		silentAboutIPv6 := func(network string, m *dnsmessage.Message) {
			if m.Questions[0].Type == dnsmessage.TypeAAAA {
				silence(network, m)
			}
		}
		server.odd["none.example."], server.odd["www.example."] = silentAboutIPv6, silentAboutIPv6
		r := newResolver(t, asking, smolnet.ResolverConfig{Servers: nameServers})
		for _, name := range []string{"none.example", "www.example"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := r.LookupHost(ctx, name)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded, "it is not known that there is no such host, nor that there is no more")
			require.EqualError(t, err, "lookup "+name+": i/o timeout")
		}
		// The server's silence, though, is borne with.
		hosts, err := r.LookupHost(t.Context(), "www.example")
		require.NoError(t, err)
		require.Equal(t, []string{"192.0.2.1"}, hosts)
	})
}
