package smolnet_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/dhcpv4"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// A lessor is dnsmasq as the DHCP and name server of the kernel's end of a tap.
type lessor struct {
	t       *testing.T
	printed *output
	program *exec.Cmd
}

var lessorAddr = netip.MustParseAddr("192.168.69.100")

// newLessor starts dnsmasq, which is to hand out what the options say.
func newLessor(t *testing.T, options ...string) *lessor {
	t.Helper()
	path, err := exec.LookPath("dnsmasq")
	if err != nil && os.Getenv("CI") == "" {
		t.Skip(err) // under CI it is installed
	}
	require.NoError(t, err)
	l := &lessor{t: t, printed: new(output)}
	l.program = exec.Command(path, append([]string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--pid-file=", "--user=root", "--group=root",
		"--interface=" + kernelInterface, "--bind-interfaces", "--dhcp-leasefile=" + filepath.Join(t.TempDir(), "leases"), "--no-ping",
		"--log-facility=-", "--log-dhcp", "--local=/test/", "--host-record=www.test,192.168.69.80",
	}, options...)...)
	l.program.Stdout, l.program.Stderr = l.printed, l.printed
	require.NoError(t, l.program.Start())
	t.Cleanup(func() {
		l.stop()
		if t.Failed() {
			t.Logf("dnsmasq printed:\n%s", l.printed)
		}
	})
	l.want("DHCP, IP range")
	return l
}

// stop ends the server.
func (l *lessor) stop() {
	l.program.Process.Kill()
	l.program.Wait()
}

// want waits until the server has said something.
func (l *lessor) want(said string) {
	l.t.Helper()
	until(l.t, func() bool { return strings.Contains(l.printed.String(), said) }, "dnsmasq says "+said)
}

// lessee is a stack on the tap's other end that has nothing.
type lessee struct {
	t     *testing.T
	stack *smolnet.Stack
	link  *smolnet.Link
	watch *smolnet.Watch
}

func newLessee(t *testing.T, config smolnet.Interface) *lessee {
	t.Helper()
	s := &lessee{t: t, stack: newStack(t, smolnet.Config{})}
	s.watch = s.stack.Watch()
	config.Name = stackInterface
	var err error
	s.link, err = s.stack.AddInterface(config)
	require.NoError(t, err)
	return s
}

// want waits for an event.
func (s *lessee) want(kind core.EventKind) core.Event {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		e, err := s.watch.Next(ctx)
		require.NoError(s.t, err, "waiting for: %v", kind)
		if e.Kind == kind {
			return e
		}
	}
}

// withTap runs a test in a namespace in which the kernel has one end of a tap, with an address if it is to be the server.
func withTap(t *testing.T, server bool, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	if !netns.Test(t) {
		return
	}
	require.NoError(t, netns.AddTap(kernelInterface))
	require.NoError(t, netns.Up(kernelInterface))
	if server {
		require.NoError(t, netns.AddAddress(kernelInterface, netip.PrefixFrom(lessorAddr, 24)))
	}
	test(t)
}

func TestKernelDHCPLease(t *testing.T) {
	withTap(t, true, func(t *testing.T) {
		// The device comes first: without one there is no carrier.
		device := overTap.recorded().open(t)
		server := newLessor(t, "--dhcp-range=192.168.69.50,192.168.69.60,255.255.255.0,1h",
			"--dhcp-option=121,10.0.0.0/8,192.168.69.2,0.0.0.0/0,192.168.69.3", "--dhcp-option=option:domain-search,other.test,test",
			"--dhcp-option=option:ntp-server,192.168.69.4", "--dhcp-option=option:mtu,1400")
		s := newLessee(t, smolnet.Interface{Device: device, DHCPv4: &dhcpv4.Config{Hostname: "probe"}})
		s.want(core.LeaseBound)
		lease, ok := s.link.DHCPv4Lease()
		require.True(t, ok)
		require.Equal(t, dhcpv4.Bound, lease.State)
		addr := lease.Prefix.Addr()
		require.Equal(t, netip.MustParsePrefix("192.168.69.0/24"), lease.Prefix.Masked())
		require.Equal(t, lessorAddr, lease.Server)
		require.Equal(t, []wire.DHCPv4Route{
			{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Router: netip.MustParseAddr("192.168.69.2")},
			{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Router: netip.MustParseAddr("192.168.69.3")},
		}, lease.Gateways())
		require.Equal(t, []netip.Addr{netip.MustParseAddr("192.168.69.4")}, lease.NTPServers)
		require.InDelta(t, time.Hour, time.Until(lease.ValidUntil), float64(time.Minute))
		require.Equal(t, 1400, s.link.MTU())
		own := slices.IndexFunc(s.link.Addresses(), func(a core.Address) bool { return a.Prefix == lease.Prefix })
		require.GreaterOrEqual(t, own, 0)
		require.Equal(t, core.Preferred, s.link.Addresses()[own].State)

		// The stack's resolver asks whom the lease names, for names in the domains that it names.
		require.Equal(t, []netip.AddrPort{netip.AddrPortFrom(lessorAddr, 53)}, s.stack.Resolver().Servers())
		require.Equal(t, []string{"other.test.", "test."}, s.stack.Resolver().Search())
		found, err := s.stack.Resolver().LookupHost(context.Background(), "www")
		require.NoError(t, err)
		require.Equal(t, []string{"192.168.69.80"}, found)

		require.NoError(t, s.stack.Close())
		server.want(fmt.Sprintf("DHCPRELEASE(%s) %v", kernelInterface, addr))
	})
}

func TestKernelDHCPRenewal(t *testing.T) {
	withTap(t, true, func(t *testing.T) {
		device := overTapWithoutOffloads.recorded().open(t)
		newLessor(t, "--dhcp-range=192.168.69.50,192.168.69.60,255.255.255.0,2m", "--dhcp-option=option:T1,3")
		s := newLessee(t, smolnet.Interface{Device: device, DuplicateDetection: core.DetectNone, DHCPv4: &dhcpv4.Config{}})
		first := s.want(core.LeaseBound).Lease
		require.Equal(t, 3*time.Second, first.RenewAt.Sub(first.ValidUntil.Add(-2*time.Minute)))
		second := s.want(core.LeaseBound).Lease
		require.Equal(t, first.Prefix, second.Prefix)
		require.True(t, second.ValidUntil.After(first.ValidUntil))
		s.want(core.LeaseBound)
		for _, a := range s.link.Addresses() {
			require.Equal(t, core.Preferred, a.State)
		}
	})
}

// A server that knows nothing of the lease, and hands out others, refuses to renew it.
func TestKernelDHCPRefusal(t *testing.T) {
	withTap(t, true, func(t *testing.T) {
		device := overTap.recorded().open(t)
		options := []string{"--dhcp-authoritative", "--dhcp-option=option:T1,3"}
		server := newLessor(t, append(options, "--dhcp-range=192.168.69.50,192.168.69.60,255.255.255.0,2m")...)
		s := newLessee(t, smolnet.Interface{Device: device, DuplicateDetection: core.DetectNone, DHCPv4: &dhcpv4.Config{}})
		s.want(core.LeaseBound)
		server.stop()
		server = newLessor(t, append(options, "--dhcp-range=192.168.69.150,192.168.69.160,255.255.255.0,2m")...)
		require.ErrorIs(t, s.want(core.LeaseLost).Err, dhcpv4.ErrRefused)
		server.want("DHCPNAK")
		lease := s.want(core.LeaseBound).Lease
		require.GreaterOrEqual(t, lease.Prefix.Addr().As4()[3], byte(150))
		require.Len(t, slices.DeleteFunc(s.link.Addresses(), func(a core.Address) bool { return a.Prefix.Addr().Is6() }), 1)
	})
}

// The address of before is asked for at once.
func TestKernelDHCPReboot(t *testing.T) {
	withTap(t, true, func(t *testing.T) {
		device := overTap.recorded().open(t)
		server := newLessor(t, "--dhcp-range=192.168.69.50,192.168.69.60,255.255.255.0,1h", "--dhcp-authoritative")
		previous := netip.MustParseAddr("192.168.69.57")
		s := newLessee(t, smolnet.Interface{Device: device, DuplicateDetection: core.DetectNone, DHCPv4: &dhcpv4.Config{Previous: previous}})
		require.Equal(t, previous, s.want(core.LeaseBound).Lease.Prefix.Addr())
		require.NotContains(t, server.printed.String(), "DHCPDISCOVER")
	})
}

// An address that the kernel has, of which the server does not know, is declined.
func TestKernelDHCPConflict(t *testing.T) {
	withTap(t, true, func(t *testing.T) {
		device := overTap.recorded().open(t)
		taken := netip.MustParseAddr("192.168.69.57")
		require.NoError(t, netns.AddAddress(kernelInterface, netip.PrefixFrom(taken, 32)))
		server := newLessor(t, "--dhcp-range=192.168.69.50,192.168.69.60,255.255.255.0,1h")
		s := newLessee(t, smolnet.Interface{Device: device,
			// To the kernel the address is its own: what is sent to it does not leave.
			DHCPv4: &dhcpv4.Config{RequestedAddr: taken, Broadcast: true}})
		s.want(core.AddressConflict)
		server.want(fmt.Sprintf("DHCPDECLINE(%s) %v", kernelInterface, taken))
		require.NotEqual(t, taken, s.want(core.LeaseBound).Lease.Prefix.Addr())
	})
}

// What the stack's server hands out is what the kernel's clients get.
func TestKernelDHCPServer(t *testing.T) {
	for _, client := range []struct {
		name string
		args func(dir, script string) []string
		want map[string]string
	}{
		{"udhcpc", func(_, script string) []string {
			return []string{"-i", kernelInterface, "-f", "-n", "-q", "-s", script, "-x", "hostname:kernel",
				"-O", "121", "-O", "119", "-O", "26", "-O", "42"}
		}, map[string]string{
			"ip": "192.168.69.150", "subnet": "255.255.255.0", "router": "192.168.69.1", "dns": "192.168.69.53 192.168.69.54",
			"domain": "example.com", "search": "a.example.com b.example.com", "mtu": "1400", "ntpsrv": "192.168.69.123",
			"staticroutes": "10.0.0.0/8 192.168.69.2 0.0.0.0/0 192.168.69.3", "lease": "600", "serverid": "192.168.69.1",
		}},
		{"dhclient", func(dir, script string) []string {
			config := filepath.Join(dir, "dhclient.conf")
			_ = os.WriteFile(config, []byte(`option routes code 121 = string;
				send host-name "kernel";
				request subnet-mask, routes, routers, domain-name-servers, domain-name, domain-search, interface-mtu, ntp-servers;`), 0o600)
			return []string{"-4", "-1", "-d", "-cf", config, "-sf", script, "-lf", filepath.Join(dir, "leases"),
				"-pf", filepath.Join(dir, "pid"), kernelInterface}
		}, map[string]string{
			"new_ip_address": "192.168.69.150", "new_subnet_mask": "255.255.255.0", "new_routers": "192.168.69.1",
			"new_domain_name_servers": "192.168.69.53 192.168.69.54", "new_domain_name": "example.com",
			"new_domain_search": "a.example.com. b.example.com.", "new_interface_mtu": "1400", "new_ntp_servers": "192.168.69.123",
			"new_dhcp_lease_time": "600", "new_dhcp_server_identifier": "192.168.69.1",
		}},
	} {
		t.Run(client.name, func(t *testing.T) {
			withTap(t, false, func(t *testing.T) {
				path, err := exec.LookPath(client.name)
				if err != nil && os.Getenv("CI") == "" {
					t.Skip(err) // under CI it is installed
				}
				require.NoError(t, err)
				stack := newStack(t, smolnet.Config{})
				addrs := func(list ...string) (addrs []netip.Addr) {
					for _, s := range list {
						addrs = append(addrs, netip.MustParseAddr(s))
					}
					return addrs
				}
				link, err := stack.AddInterface(smolnet.Interface{
					Name: stackInterface, Device: overTap.recorded().open(t), Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.69.1/24")},
					DHCPv4Server: &dhcpv4.ServerConfig{
						First: netip.MustParseAddr("192.168.69.150"), LeaseTime: 10 * time.Minute, MaxLeaseTime: 10 * time.Minute,
						Routers: addrs("192.168.69.1"), DNSServers: addrs("192.168.69.53", "192.168.69.54"), NTPServers: addrs("192.168.69.123"),
						DomainName: "example.com", DomainSearch: []string{"a.example.com", "b.example.com"}, MTU: 1400,
						Routes: []wire.DHCPv4Route{
							{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Router: netip.MustParseAddr("192.168.69.2")},
							{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Router: netip.MustParseAddr("192.168.69.3")},
						},
					},
				})
				require.NoError(t, err)

				dir := t.TempDir()
				script, environment := filepath.Join(dir, "script"), filepath.Join(dir, "environment")
				require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\ncase \"$1$reason\" in\nbound|BOUND) env >"+environment+".new; mv "+
					environment+".new "+environment+";;\nesac\n"), 0o700))
				run(t, func(string) bool {
					_, err := os.Stat(environment)
					return err == nil
				}, path, client.args(dir, script)...)
				b, err := os.ReadFile(environment)
				require.NoError(t, err)
				got := make(map[string]string)
				for line := range strings.Lines(string(b)) {
					name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
					if _, wanted := client.want[name]; wanted {
						got[name] = value
					}
				}
				require.Equal(t, client.want, got)
				bindings := link.DHCPv4Bindings()
				require.Len(t, bindings, 1)
				require.Equal(t, netip.MustParseAddr("192.168.69.150"), bindings[0].Addr)
				require.Equal(t, "kernel", bindings[0].Hostname)
			})
		})
	}
}
