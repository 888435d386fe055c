package smolnet_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/smolnet/smolnet/smolnet"
)

func TestLocalhost(t *testing.T) {
	resolving(t, func(t *testing.T, asking *smolnet.Stack, server *nameServer) {
		server.zone = map[string][]dnsmessage.ResourceBody{"localhost.": addresses("192.0.2.66"), "localhost.corp.": addresses("192.0.2.66")}
		r := newResolver(t, asking, smolnet.ResolverConfig{Servers: nameServers, Search: []string{"corp"}})
		for _, name := range []string{"localhost", "LocalHost", "localhost.", "www.localhost", "www.localhost."} {
			found, err := r.LookupHost(t.Context(), name)
			require.NoError(t, err, name)
			require.Equal(t, []string{"::1", "127.0.0.1"}, found, name)
			_, err = r.LookupTXT(t.Context(), name)
			require.EqualError(t, err, "lookup "+name+": no such host")
		}
		v4, err := r.LookupNetIP(t.Context(), "ip4", "localhost")
		require.NoError(t, err)
		require.Equal(t, []netip.Addr{netip.MustParseAddr("127.0.0.1")}, v4)
		v6, err := r.LookupNetIP(t.Context(), "ip6", "localhost")
		require.NoError(t, err)
		require.Equal(t, []netip.Addr{netip.IPv6Loopback()}, v6)
		cname, err := r.LookupCNAME(t.Context(), "localhost.")
		require.NoError(t, err)
		require.Equal(t, "localhost", cname)
		for _, addr := range []string{"127.0.0.1", "127.1.2.3", "::1"} {
			names, err := r.LookupAddr(t.Context(), addr)
			require.NoError(t, err)
			require.Equal(t, []string{"localhost"}, names)
		}
		require.Empty(t, server.heard())

		l := listen(t, asking, "tcp", "localhost:0")
		c, err := asking.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		c.Close()
	})
}

func TestHosts(t *testing.T) {
	resolving(t, func(t *testing.T, asking *smolnet.Stack, server *nameServer) {
		r := newResolver(t, asking, smolnet.ResolverConfig{Servers: nameServers, Hosts: map[string][]netip.Addr{
			"Printer":         {netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.168.69.7")},
			"www.Example.":    {netip.MustParseAddr("192.0.2.8"), netip.MustParseAddr("::ffff:192.0.2.7")},
			"router.corp":     {netip.MustParseAddr("fe80::1%first")},
			"myself":          {netip.MustParseAddr("127.0.1.1")},
			"host.lan.home":   {netip.MustParseAddr("fdaa::7")},
			"elsewhere.local": {netip.MustParseAddr("192.0.2.9")},
		}})
		for name, want := range map[string][]string{
			"printer":          {"192.168.69.7", "192.0.2.7"}, // that there is a way to goes first
			"PRINTER.":         {"192.168.69.7", "192.0.2.7"},
			"www.example":      {"192.0.2.8", "192.0.2.7"},
			"router.corp.":     {"fe80::1%first"},
			"elsewhere.local.": {"192.0.2.9"},
		} {
			found, err := r.LookupHost(t.Context(), name)
			require.NoError(t, err, name)
			require.Equal(t, want, found, name)
		}
		ips, err := r.LookupIPAddr(t.Context(), "router.corp")
		require.NoError(t, err)
		require.Equal(t, []net.IPAddr{{IP: net.ParseIP("fe80::1"), Zone: "first"}}, ips)
		_, err = r.LookupNetIP(t.Context(), "ip4", "router.corp")
		require.Equal(t, &net.AddrError{Err: "no suitable address found", Addr: "router.corp"}, err)

		for name, want := range map[string]string{"printer": "printer", "WWW.example": "www.example.", "host.lan.home.": "host.lan.home."} {
			cname, err := r.LookupCNAME(t.Context(), name)
			require.NoError(t, err)
			require.Equal(t, want, cname)
		}
		for addr, want := range map[string][]string{
			"192.0.2.7":        {"Printer", "www.Example."},
			"::ffff:192.0.2.8": {"www.Example."},
			"fe80::1%first":    {"router.corp."},
			"127.0.1.1":        {"myself"},
		} {
			names, err := r.LookupAddr(t.Context(), addr)
			require.NoError(t, err, addr)
			require.Equal(t, want, names, addr)
		}
		require.Empty(t, server.heard())

		names, err := r.LookupAddr(t.Context(), "192.0.2.1")
		require.NoError(t, err)
		require.Equal(t, []string{"www.example."}, names, "the server is asked for the others")
	})
}

func TestWhatIsNoNameIsNoHost(t *testing.T) {
	r := newResolver(t, newStack(t, smolnet.Config{}), smolnet.ResolverConfig{Hosts: map[string][]netip.Addr{
		"kiosk": {netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("::ffff:192.0.2.7")},
	}})
	for _, name := range []string{"", ".", "kiosk..", "\u212aiosk", "a..localhost", ".localhost", "no name.localhost", "\x00.localhost"} {
		_, err := r.LookupHost(t.Context(), name)
		require.EqualError(t, err, "lookup "+name+": no such host", "%q", name)
	}
	found, err := r.LookupHost(t.Context(), "KIOSK")
	require.NoError(t, err)
	require.Equal(t, []string{"192.0.2.7"}, found, "an address that is there twice is one")
	names, err := r.LookupAddr(t.Context(), "192.0.2.7")
	require.NoError(t, err)
	require.Equal(t, []string{"kiosk"}, names)
}
