package smolnet_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// Routers that radvd advertises, on the kernel's end of a tap; the kernel forwards.
var (
	firstRouter  = netip.MustParseAddr("fe80::a")
	secondRouter = netip.MustParseAddr("fe80::b")
	onTheLink    = netip.MustParsePrefix("2001:db8:1::/64")
	beyond       = netip.MustParseAddr("fd99::1") // of the kernel's, behind its routers
)

// network is a link with routers on it, and a stack that configures itself.
type network struct {
	stack   *smolnet.Stack
	link    *smolnet.Link
	capture *capture
}

// withRouters runs a test in a namespace in which there is a network, without routers at first.
func withRouters(t *testing.T, config smolnet.Interface, test func(t *testing.T, n *network)) {
	t.Helper()
	t.Parallel()
	if !netns.Test(t) {
		return
	}
	n := new(network)
	var device dev.Device
	device, n.capture = record(t, overTap.open(t))
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0))
	require.NoError(t, netns.Up(kernelInterface))
	for _, addr := range []netip.Addr{firstRouter, secondRouter, onTheLink.Addr().Next()} {
		require.NoError(t, netns.AddAddress(kernelInterface, netip.PrefixFrom(addr, 64)))
	}
	require.NoError(t, netns.AddAddress("lo", netip.PrefixFrom(beyond, 128)))
	config.Name, config.Device, config.Autoconf = stackInterface, device, true
	n.stack = newStack(t, smolnet.Config{})
	var err error
	n.link, err = n.stack.AddInterface(config)
	require.NoError(t, err)
	test(t, n)
}

// radvd advertises a router, with what its interface's configuration has besides.
func radvd(t *testing.T, router netip.Addr, config string) (process *os.Process, end func()) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "radvd.conf")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `interface %s {
		AdvSendAdvert on;
		MinRtrAdvInterval 3;
		MaxRtrAdvInterval 4;
		AdvRASrcAddress { %v; };
		%s
	};`, kernelInterface, router, config), 0o600))
	return runProcess(t, func(printed string) bool { return strings.Contains(printed, "polling for") }, "radvd",
		"--nodaemon", "--config="+file, "--pidfile="+filepath.Join(dir, "pid"), "--logmethod=stderr", "--debug=3")
}

// own returns the addresses that the stack has made itself of routers' prefixes, the stable ones or the temporary ones.
func (n *network) own(temporary bool) (addresses []core.Address) {
	for _, a := range n.link.Addresses() {
		if a.Origin == route.Autoconf && a.Temporary == temporary {
			addresses = append(addresses, a)
		}
	}
	return addresses
}

func (n *network) router(addr netip.Addr) (core.Router, bool) {
	routers := n.link.Routers()
	i := slices.IndexFunc(routers, func(r core.Router) bool { return r.Addr == addr })
	if i < 0 {
		return core.Router{}, false
	}
	return routers[i], true
}

func (n *network) dial(address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return n.stack.DialContext(ctx, "tcp", address)
}

// A router says all that it can, and then goes.
func TestKernelAutoconf(t *testing.T) {
	secret := []byte("sixteen octets!!")
	withRouters(t, smolnet.Interface{StableSecret: secret, TemporaryAddresses: true}, func(t *testing.T, n *network) {
		program, _ := radvd(t, firstRouter, `
			AdvDefaultLifetime 600;
			AdvDefaultPreference high;
			AdvLinkMTU 1400;
			AdvCurHopLimit 33;
			AdvReachableTime 20000;
			prefix 2001:db8:1::/64 { AdvValidLifetime 3600; AdvPreferredLifetime 1800; DeprecatePrefix on; };
			route 2001:db8:f::/48 { AdvRoutePreference low; AdvRouteLifetime 600; };
			RDNSS 2001:db8:1::53 2001:db8:1::54 { AdvRDNSSLifetime 300; };
			DNSSL example.com example.net { AdvDNSSLLifetime 300; };`)
		preferred := func(a core.Address) bool { return a.State == core.Preferred }
		until(t, func() bool {
			return slices.ContainsFunc(n.own(false), preferred) && slices.ContainsFunc(n.own(true), preferred)
		}, "there are addresses")

		stable, temporary := n.own(false)[0], n.own(true)[0]
		require.True(t, onTheLink.Contains(stable.Prefix.Addr()) && onTheLink.Contains(temporary.Prefix.Addr()))
		require.WithinDuration(t, time.Now().Add(time.Hour), stable.ValidUntil, 2*patience)
		require.WithinDuration(t, time.Now().Add(30*time.Minute), stable.PreferredUntil, 2*patience)
		r, ok := n.router(firstRouter)
		require.True(t, ok)
		require.True(t, r.Default && r.Reachable)
		require.Equal(t, wire.NDPreferenceHigh, r.Preference)
		require.WithinDuration(t, time.Now().Add(10*time.Minute), r.Until, 2*patience)
		prefixes := n.link.Prefixes()
		require.Len(t, prefixes, 1)
		require.Equal(t, onTheLink, prefixes[0].Prefix)
		require.True(t, prefixes[0].OnLink && prefixes[0].Autonomous)
		var servers, domains []string
		for _, s := range n.link.NameServers() {
			servers = append(servers, s.Addr.String())
		}
		for _, d := range n.link.SearchDomains() {
			domains = append(domains, d.Name)
		}
		require.Equal(t, []string{"2001:db8:1::53", "2001:db8:1::54"}, servers)
		require.Equal(t, []string{"example.com", "example.net"}, domains)

		// The kernel reaches the stack at its new address.
		l, err := n.stack.Listen("tcp", net.JoinHostPort(stable.Prefix.Addr().String(), "0"))
		require.NoError(t, err)
		defer l.Close()
		called, err := net.DialTimeout("tcp", l.Addr().String(), patience)
		require.NoError(t, err)
		defer called.Close()

		// The stack reaches what is behind the router, from its temporary address, and with the router's parameters.
		far, err := listenPlain("tcp", net.JoinHostPort(beyond.String(), "0"))
		require.NoError(t, err)
		defer far.Close()
		c, err := n.dial(far.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		require.Equal(t, temporary.Prefix.Addr(), c.LocalAddr().(*net.TCPAddr).AddrPort().Addr())
		info, err := c.(*smolnet.TCPConn).Info()
		require.NoError(t, err)
		require.Equal(t, 1400, info.PathMTU)
		require.Equal(t, 1500, n.link.MTU())

		// It goes, and says so.
		require.NoError(t, program.Signal(syscall.SIGTERM))
		until(t, func() bool { return len(n.link.Routers()) == 0 }, "there is no router any more")
		require.Empty(t, n.link.NameServers())
		require.Empty(t, n.link.SearchDomains())
		for _, a := range append(n.own(false), n.own(true)...) {
			require.Equal(t, core.Deprecated, a.State, "%v", a)
			require.WithinDuration(t, time.Now().Add(time.Hour), a.ValidUntil, 2*patience, "which nobody can take away at once")
		}
		_, err = n.dial("[fd99::1]:80")
		requireSystemError(t, err, "dial", "connect", syscall.ENETUNREACH)

		require.NotEmpty(t, n.capture.tshark(t, "icmpv6.type == 133"), "the stack has solicited")
		sent := fmt.Sprintf("tcp && ipv6.src == %v", temporary.Prefix.Addr())
		require.NotEmpty(t, n.capture.tshark(t, sent))
		require.Empty(t, n.capture.tshark(t, sent+" && ipv6.hlim != 33"), "the router's hop limit")
	})
}

// Of two routers the preferred one dies, without a word. The other takes over.
func TestKernelTwoRouters(t *testing.T) {
	withRouters(t, smolnet.Interface{}, func(t *testing.T, n *network) {
		const prefix = `AdvReachableTime 1000; AdvDefaultLifetime 600; prefix 2001:db8:1::/64 { };`
		_, kill := radvd(t, firstRouter, "AdvDefaultPreference high;"+prefix)
		radvd(t, secondRouter, prefix)
		until(t, func() bool {
			_, one := n.router(firstRouter)
			_, two := n.router(secondRouter)
			return one && two && slices.ContainsFunc(n.own(false), func(a core.Address) bool { return a.State == core.Preferred })
		}, "both are known")

		far, err := net.ListenPacket("udp", net.JoinHostPort(beyond.String(), "0"))
		require.NoError(t, err)
		defer far.Close()
		near, err := n.stack.Dial("udp", far.LocalAddr().String())
		require.NoError(t, err)
		defer near.Close()
		say := func() {
			_, err := near.Write([]byte("still there?"))
			require.True(t, err == nil || strings.Contains(err.Error(), "no route to host"), "%v", err)
		}
		hears := func() bool {
			require.NoError(t, far.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
			_, _, err := far.ReadFrom(make([]byte, 100))
			return err == nil
		}
		say()
		until(t, hears, "the first router forwards")

		kill()
		require.NoError(t, netns.RemoveAddress(kernelInterface, netip.PrefixFrom(firstRouter, 64)))
		require.Eventually(t, func() bool {
			say()
			r, ok := n.router(firstRouter)
			return ok && !r.Reachable
		}, patience, 20*time.Millisecond, "it is found to be dead because it is in use")
		for hears() {
		}
		say()
		until(t, hears, "the second router forwards")
		r, _ := n.router(secondRouter)
		require.True(t, r.Reachable)

		require.NoError(t, netns.AddAddress(kernelInterface, netip.PrefixFrom(firstRouter, 64)))
		radvd(t, firstRouter, "AdvDefaultPreference high;"+prefix)
		until(t, func() bool {
			r, ok := n.router(firstRouter)
			return ok && r.Reachable
		}, "it has been heard again")
	})
}
