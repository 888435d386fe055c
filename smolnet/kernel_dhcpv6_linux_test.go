package smolnet_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/dhcpv6"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// The network that the DHCPv6 servers in these tests hand out addresses of, and the server's own address.
var (
	dhcpv6Network = netip.MustParsePrefix("fd00:6::/64")
	dhcpv6Server  = netip.MustParseAddr("fd00:6::1")
)

// joinDHCPv6 makes a stack that knows no more of the network than the way, and the kernel, which is in it.
func joinDHCPv6(t *testing.T) *cable {
	t.Helper()
	device := overTap.recorded().open(t)
	kernel := newKernel(t)
	require.NoError(t, netns.AddAddress(kernelInterface, netip.PrefixFrom(dhcpv6Server, 64)))
	return attach(t, device, kernel, smolnet.Config{}, core.Route{Destination: dhcpv6Network})
}

// dhcpv6Dnsmasq has dnsmasq hand out what the range says.
func dhcpv6Dnsmasq(t *testing.T, dhcpRange string, args ...string) {
	t.Helper()
	run(t, func(printed string) bool { return strings.Contains(printed, "DHCPv6") }, "dnsmasq", append([]string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--pid-file=", "--user=root", "--group=root",
		"--port=0", "--bind-interfaces", "--interface=" + kernelInterface, "--enable-ra", "--log-dhcp", "--log-facility=-",
		"--dhcp-leasefile=" + filepath.Join(t.TempDir(), "leases"), "--dhcp-range=" + dhcpRange,
		"--dhcp-option=option6:dns-server,[fd00:6::53]", "--dhcp-option=option6:domain-search,example.com,lan",
		"--dhcp-option=option6:ntp-server,[fd00:6::123]",
	}, args...)...)
}

// events is what happens to a stack, of the kind: each call waits for the next.
func events(t *testing.T, c *cable, kind core.EventKind) func() core.Event {
	watch := c.stack.stack.Watch()
	t.Cleanup(func() { watch.Close() })
	return func() core.Event {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for {
			e, err := watch.Next(ctx)
			require.NoError(t, err, "%v does not happen", kind)
			if e.Kind == kind {
				return e
			}
		}
	}
}

// dnsmasq gives the stack an address, by which the kernel reaches it, and takes it back.
func TestKernelDHCPv6Stateful(t *testing.T) {
	t.Parallel()
	if !netns.Test(t) {
		return
	}
	c := joinDHCPv6(t)
	dhcpv6Dnsmasq(t, "fd00:6::100,fd00:6::1ff,64,600")
	bound, lost := events(t, c, core.LeaseBound), events(t, c, core.LeaseLost)
	require.NoError(t, c.link.StartDHCPv6(true))
	bound()
	lease, ok := c.link.DHCPv6Lease()
	require.True(t, ok)
	require.Equal(t, dhcpv6.Assigned, lease.State)
	require.Len(t, lease.Addresses, 1)
	address := lease.Addresses[0]
	require.Equal(t, 128, address.Prefix.Bits())
	require.True(t, dhcpv6Network.Contains(address.Prefix.Addr()), "%v", address)
	require.Equal(t, route.DHCPv6, address.Origin)
	require.False(t, address.ValidUntil.IsZero())
	require.Equal(t, dhcpv6.Information{
		NameServers: []netip.Addr{netip.MustParseAddr("fd00:6::53")}, Domains: []string{"example.com", "lan"},
		TimeServers: []netip.Addr{netip.MustParseAddr("fd00:6::123")},
	}, lease.Information)

	// A TCP connection to the address.
	until(t, func() bool {
		lease, _ := c.link.DHCPv6Lease()
		return lease.Addresses[0].State == core.Preferred
	}, "the address is in use")
	listener, err := c.stack.listen("tcp", "[::]:80")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			conn.Write([]byte("hello\n"))
			conn.Close()
		}
	}()
	conn, err := net.Dial("tcp", netip.AddrPortFrom(address.Prefix.Addr(), 80).String())
	require.NoError(t, err)
	defer conn.Close()
	said, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "hello\n", said)

	c.link.StopDHCPv6()
	until(t, func() bool {
		lease, _ := c.link.DHCPv6Lease()
		return lease.State == dhcpv6.Stopped
	}, "the server has answered the release")
	lost()
	lease, _ = c.link.DHCPv6Lease()
	require.Empty(t, lease.Addresses)
	require.Empty(t, lease.NameServers)
}

// dnsmasq says what there is to know besides addresses.
func TestKernelDHCPv6Stateless(t *testing.T) {
	t.Parallel()
	if !netns.Test(t) {
		return
	}
	c := joinDHCPv6(t)
	dhcpv6Dnsmasq(t, "fd00:6::,ra-stateless")
	changed := events(t, c, core.ServersChanged)
	require.NoError(t, c.link.StartDHCPv6(false))
	changed()
	lease, ok := c.link.DHCPv6Lease()
	require.True(t, ok)
	require.Equal(t, dhcpv6.Informed, lease.State)
	require.Empty(t, lease.Addresses)
	require.Equal(t, []netip.Addr{netip.MustParseAddr("fd00:6::53")}, lease.NameServers)
	require.Equal(t, []string{"example.com", "lan"}, lease.Domains)
}

// Nobody configures anything: dnsmasq's router advertisements say what is to be had.
func TestKernelDHCPv6AsAdvertised(t *testing.T) {
	for _, test := range []struct {
		name, dhcpRange string
		event           core.EventKind
		origins         []core.Origin // of the addresses in the network
	}{
		{"managed", "fd00:6::100,fd00:6::1ff,64,600", core.LeaseBound, []core.Origin{route.DHCPv6}},
		{"other", "fd00:6::,ra-stateless", core.ServersChanged, []core.Origin{route.Autoconf}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if !netns.Test(t) {
				return
			}
			device := overTap.recorded().open(t)
			kernel := newKernel(t)
			require.NoError(t, netns.AddAddress(kernelInterface, netip.PrefixFrom(dhcpv6Server, 64)))
			dhcpv6Dnsmasq(t, test.dhcpRange)
			stack := newStack(t, smolnet.Config{})
			c := &cable{&host{stack: stack}, kernel, nil}
			happened := events(t, c, test.event)
			var err error
			c.link, err = stack.AddInterface(smolnet.Interface{Name: stackInterface, Device: device, Autoconf: true})
			require.NoError(t, err)
			for {
				happened()
				if lease, ok := c.link.DHCPv6Lease(); ok && len(lease.NameServers) > 0 {
					require.Equal(t, []netip.Addr{netip.MustParseAddr("fd00:6::53")}, lease.NameServers)
					require.Equal(t, []string{"example.com", "lan"}, lease.Domains)
					break
				}
			}
			until(t, func() bool {
				var origins []core.Origin
				for _, a := range c.link.Addresses() {
					if dhcpv6Network.Contains(a.Prefix.Addr()) && a.State == core.Preferred {
						origins = append(origins, a.Origin)
					}
				}
				return slices.Equal(test.origins, origins)
			}, "the addresses are those that the router says")
		})
	}
}

// kea hands out addresses for a few seconds, and extends them each second or two; when it is gone, they go too.
func TestKernelDHCPv6ShortLeases(t *testing.T) {
	for _, rapidCommit := range []bool{false, true} {
		name := "with a choice"
		if rapidCommit {
			name = "with rapid commit"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !netns.Test(t) {
				return
			}
			device := overTap.recorded().open(t)
			kernel := newKernel(t)
			require.NoError(t, netns.AddAddress(kernelInterface, netip.PrefixFrom(dhcpv6Server, 64)))
			end := kea(t, rapidCommit)
			stack := newStack(t, smolnet.Config{})
			c := &cable{&host{stack: stack}, kernel, nil}
			bound, lost := events(t, c, core.LeaseBound), events(t, c, core.LeaseLost)
			var err error
			c.link, err = stack.AddInterface(smolnet.Interface{
				Name: stackInterface, Device: device, Routes: []core.Route{{Destination: dhcpv6Network}},
				DHCPv6: core.DHCPv6Config{Mode: core.DHCPv6Stateful, RapidCommit: rapidCommit},
			})
			require.NoError(t, err)
			first := bound()
			lease, _ := c.link.DHCPv6Lease()
			require.Len(t, lease.Addresses, 1)
			require.Equal(t, first.Addr, lease.Addresses[0].Prefix.Addr())
			for range 2 {
				require.Equal(t, first.Addr, bound().Addr, "the lease is renewed")
			}
			renewed, _ := c.link.DHCPv6Lease()
			require.True(t, renewed.Addresses[0].ValidUntil.After(lease.Addresses[0].ValidUntil))

			end()
			lost()
			require.NotContains(t, prefixes(c.link), lease.Addresses[0].Prefix)
		})
	}
}

// kea starts Kea's server, which has leases for six seconds. end stops it.
func kea(t *testing.T, rapidCommit bool) (end func()) {
	t.Helper()
	dir := t.TempDir()
	config, err := json.Marshal(map[string]any{"Dhcp6": map[string]any{
		"interfaces-config":  map[string]any{"interfaces": []string{kernelInterface}},
		"lease-database":     map[string]any{"type": "memfile", "persist": false},
		"server-id":          map[string]any{"type": "LL", "persist": false},
		"preferred-lifetime": 5, "valid-lifetime": 6, "renew-timer": 1, "rebind-timer": 3,
		"subnet6": []any{map[string]any{
			"id": 1, "subnet": dhcpv6Network.String(), "interface": kernelInterface, "rapid-commit": rapidCommit,
			"pools": []any{map[string]any{"pool": "fd00:6::100-fd00:6::1ff"}},
		}},
		"option-data": []any{map[string]any{"name": "dns-servers", "data": "fd00:6::53"}},
		"loggers": []any{map[string]any{"name": "kea-dhcp6", "severity": "INFO",
			"output_options": []any{map[string]any{"output": "stdout", "flush": true}}}},
	}})
	require.NoError(t, err)
	file := filepath.Join(dir, "kea.json")
	require.NoError(t, os.WriteFile(file, config, 0o600))
	for _, variable := range []string{"KEA_PIDFILE_DIR", "KEA_LOCKFILE_DIR"} {
		require.NoError(t, os.Setenv(variable, dir)) // of a process that runs this test alone
	}
	return run(t, func(printed string) bool { return strings.Contains(printed, "DHCP6_STARTED") }, "kea-dhcp6", "-c", file)
}
