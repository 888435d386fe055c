package smolnet_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/smolnet"
)

// output collects what a program prints.
type output struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

// run starts a program that serves until the end of the test, and waits until it is ready. end ends it before.
func run(t *testing.T, ready func(printed string) bool, name string, args ...string) (end func()) {
	t.Helper()
	_, end = runProcess(t, ready, name, args...)
	return end
}

// runProcess is run, and returns the program's process too, to which signals may be sent.
func runProcess(t *testing.T, ready func(printed string) bool, name string, args ...string) (process *os.Process, end func()) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "" {
		t.Skip(err) // under CI it is installed
	}
	require.NoError(t, err)
	var printed output
	program := exec.Command(path, args...)
	program.Stdout, program.Stderr = &printed, &printed
	require.NoError(t, program.Start())
	end = sync.OnceFunc(func() {
		program.Process.Kill()
		program.Wait()
	})
	t.Cleanup(func() {
		end()
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, printed.String())
		}
	})
	until(t, func() bool { return ready(printed.String()) }, name+" is ready")
	return program.Process, end
}

// dnsmasq starts a name server on the kernel's side that knows what args say. It is ready when it accepts TCP.
func dnsmasq(t *testing.T, at netip.AddrPort, args ...string) netip.AddrPort {
	t.Helper()
	run(t, func(string) bool {
		c, err := net.Dial("tcp", at.String())
		if err == nil {
			c.Close()
		}
		return err == nil
	}, "dnsmasq", append([]string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--pid-file=", "--user=root", "--group=root",
		"--bind-interfaces", "--listen-address=" + at.Addr().String(), "--port=" + fmt.Sprint(at.Port()),
		"--log-queries", "--log-facility=-",
	}, args...)...)
	return at
}

// zone is what the name server knows.
func zone() []string {
	args := []string{
		"--local=/test/", // nothing else of it is asked elsewhere
		"--local-ttl=300",
		"--host-record=www.test,10.1.2.3,fd01::3",
		"--cname=alias.test,www.test",
		"--host-record=only4.test,10.1.2.4",
		"--mx-host=test,second.test,20", "--mx-host=test,first.test,10",
		"--srv-host=_sip._tcp.test,sip.test,5060,1,2",
		"--txt-record=test,hello,world",
		"--ptr-record=3.2.1.10.in-addr.arpa,www.test",
	}
	for i := range 120 {
		args = append(args, fmt.Sprintf("--host-record=many.test,10.9.0.%d", i+1))
	}
	return args
}

// resolverFor makes a resolver of the cable's stack.
func (c *cable) resolverFor(t *testing.T, config smolnet.ResolverConfig) *smolnet.Resolver {
	t.Helper()
	r, err := smolnet.NewResolver(c.stack.stack, config)
	require.NoError(t, err)
	return r
}

// A real server answers package net over the kernel, and the stack's resolver over the tap: they say the same.
func TestKernelResolverAgreesWithNet(t *testing.T) {
	withKernel(t, overTap, func(t *testing.T, c *cable) {
		ctx := context.Background()
		for _, host := range []netip.Addr{c.kernel.ipv4, c.kernel.ipv6} {
			server := dnsmasq(t, netip.AddrPortFrom(host, 53), zone()...)
			ours := c.resolverFor(t, smolnet.ResolverConfig{Servers: []netip.AddrPort{server}})
			theirs := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, server.String())
			}}
			for name, look := range map[string]func(r resolver) (any, error){
				"host":          func(r resolver) (any, error) { return sorted(r.LookupHost(ctx, "www.test.")) },
				"alias":         func(r resolver) (any, error) { return sorted(r.LookupHost(ctx, "alias.test.")) },
				"many":          func(r resolver) (any, error) { return sorted(r.LookupHost(ctx, "many.test.")) },
				"no such host":  func(r resolver) (any, error) { return r.LookupHost(ctx, "nobody.test.") },
				"no IPv6":       func(r resolver) (any, error) { return r.LookupNetIP(ctx, "ip6", "only4.test.") },
				"IPv4":          func(r resolver) (any, error) { return r.LookupNetIP(ctx, "ip4", "www.test.") },
				"CNAME":         func(r resolver) (any, error) { return r.LookupCNAME(ctx, "alias.test.") },
				"MX":            func(r resolver) (any, error) { return r.LookupMX(ctx, "test.") },
				"TXT":           func(r resolver) (any, error) { return r.LookupTXT(ctx, "test.") },
				"no TXT":        func(r resolver) (any, error) { return r.LookupTXT(ctx, "www.test.") },
				"NS of nothing": func(r resolver) (any, error) { return r.LookupNS(ctx, "nobody.test.") },
				"PTR":           func(r resolver) (any, error) { return r.LookupAddr(ctx, "10.1.2.3") },
				"no PTR":        func(r resolver) (any, error) { return r.LookupAddr(ctx, "10.1.2.99") },
				"SRV": func(r resolver) (any, error) {
					name, services, err := r.LookupSRV(ctx, "sip", "tcp", "test.")
					return struct {
						name     string
						services []*net.SRV
					}{name, services}, err
				},
			} {
				t.Run(fmt.Sprintf("%s by %v", name, host), func(t *testing.T) {
					got, err := look(ours)
					want, wantErr := look(theirs)
					require.Equal(t, want, got)
					if wantErr == nil {
						require.NoError(t, err)
						return
					}
					var dnsErr, wantDNS *net.DNSError
					require.ErrorAs(t, wantErr, &wantDNS)
					require.ErrorAs(t, err, &dnsErr)
					wantDNS.Server = server.String() // package net names the one of the host's configuration
					if dnsErr.Server == "" {
						wantDNS.Server = ""
					}
					require.Equal(t, wantDNS, dnsErr)
				})
			}
		}
	})
}

// resolver is package net's, and ours.
type resolver interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupCNAME(ctx context.Context, host string) (string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupNS(ctx context.Context, name string) ([]*net.NS, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

var (
	_ resolver = (*net.Resolver)(nil)
	_ resolver = (*smolnet.Resolver)(nil)
)

// sorted are the addresses in an order of their own: the one in which to try them depends on the routes.
func sorted(addrs []string, err error) ([]string, error) {
	slices.Sort(addrs)
	return addrs, err
}

// What does not fit into a datagram comes by TCP.
func TestKernelResolverTruncated(t *testing.T) {
	withKernel(t, overTap, func(t *testing.T, c *cable) {
		server := dnsmasq(t, netip.AddrPortFrom(c.kernel.ipv4, 53), zone()...)
		r := c.resolverFor(t, smolnet.ResolverConfig{Servers: []netip.AddrPort{server}})
		addrs, err := r.LookupNetIP(context.Background(), "ip4", "many.test")
		require.NoError(t, err)
		require.Len(t, addrs, 120)
		require.EqualValues(t, 1, c.counters().ActiveOpens)
	})
}

// A server that forwards what it is asked to another.
func TestKernelResolverForwarded(t *testing.T) {
	withKernel(t, overTap, func(t *testing.T, c *cable) {
		authority := dnsmasq(t, netip.MustParseAddrPort("127.0.0.1:5300"), zone()...)
		server := dnsmasq(t, netip.AddrPortFrom(c.kernel.ipv4, 53),
			fmt.Sprintf("--server=%v#%d", authority.Addr(), authority.Port()))
		r := c.resolverFor(t, smolnet.ResolverConfig{Servers: []netip.AddrPort{server}})
		for _, name := range []string{"www.test", "alias.test"} {
			addrs, err := r.LookupNetIP(context.Background(), "ip", name)
			require.NoError(t, err)
			require.ElementsMatch(t, []netip.Addr{netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fd01::3")}, addrs)
		}
	})
}

// What an answer says of how long it is good for is kept to.
func TestKernelResolverTTL(t *testing.T) {
	for _, tc := range []struct {
		name  string
		ttl   string
		again int
	}{
		{"of five minutes", "--local-ttl=300", 1},
		{"of nothing", "--local-ttl=0", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			withKernel(t, overTap, func(t *testing.T, c *cable) {
				server := dnsmasq(t, netip.AddrPortFrom(c.kernel.ipv4, 53), "--host-record=www.test,10.1.2.3", tc.ttl)
				r := c.resolverFor(t, smolnet.ResolverConfig{Servers: []netip.AddrPort{server}})
				for range 2 {
					_, err := r.LookupNetIP(context.Background(), "ip4", "www.test.")
					require.NoError(t, err)
				}
				require.EqualValues(t, tc.again, c.stack.stack.Counters().UDP.OutDatagrams)
			})
		})
	}
}

// The first server is dead: nobody has its address, or nobody listens there. The second is asked.
func TestKernelResolverDeadFirstServer(t *testing.T) {
	withKernel(t, overTap, func(t *testing.T, c *cable) {
		alive := dnsmasq(t, netip.AddrPortFrom(c.kernel.ipv4, 53), zone()...)
		for name, dead := range map[string]netip.AddrPort{
			"nobody has the address": netip.MustParseAddrPort("192.168.69.77:53"),
			"nobody listens":         netip.AddrPortFrom(c.kernel.ipv4, 54),
		} {
			t.Run(name, func(t *testing.T) {
				r := c.resolverFor(t, smolnet.ResolverConfig{
					Servers: []netip.AddrPort{dead, alive}, Timeout: 300 * time.Millisecond,
				})
				addrs, err := r.LookupNetIP(context.Background(), "ip4", "www.test.")
				require.NoError(t, err)
				require.Equal(t, []netip.Addr{netip.MustParseAddr("10.1.2.3")}, addrs)
			})
		}
	})
}

// Names are completed by the search list.
func TestKernelResolverSearchList(t *testing.T) {
	withKernel(t, overTap, func(t *testing.T, c *cable) {
		server := dnsmasq(t, netip.AddrPortFrom(c.kernel.ipv4, 53), append(zone(), "--local=/example/")...)
		r := c.resolverFor(t, smolnet.ResolverConfig{
			Servers: []netip.AddrPort{server}, Search: []string{"nowhere.example", "test"},
		})
		addrs, err := r.LookupNetIP(context.Background(), "ip4", "www")
		require.NoError(t, err)
		require.Equal(t, []netip.Addr{netip.MustParseAddr("10.1.2.3")}, addrs)

		_, err = r.LookupNetIP(context.Background(), "ip4", "www.")
		var missing *net.DNSError
		require.ErrorAs(t, err, &missing, "the final dot says that the name is complete")
	})
}

// A Dial takes a name.
func TestKernelDialName(t *testing.T) {
	withKernel(t, overTap, func(t *testing.T, c *cable) {
		server := dnsmasq(t, netip.AddrPortFrom(c.kernel.ipv4, 53),
			fmt.Sprintf("--host-record=kernel.test,%v,%v", c.kernel.ipv4, c.kernel.ipv6))
		c.stack.stack.Resolver().SetServers([]netip.AddrPort{server})
		l, err := c.kernel.listen("tcp", ":80")
		require.NoError(t, err)
		defer l.Close()
		conn, err := c.stack.dial(context.Background(), "tcp", "kernel.test:http")
		require.NoError(t, err)
		defer conn.Close()
		require.Equal(t, netip.AddrPortFrom(c.kernel.ipv4, 80).String(), conn.RemoteAddr().String(),
			"a unique local address comes behind those of IPv4: RFC 6724, section 2.1")
	})
}

// avahi starts a responder on the kernel's side whose host is printer.local. There can be one at a time. leave ends it as it should end:
// it says goodbye.
func avahi(t *testing.T) (leave func()) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "avahi.conf")
	require.NoError(t, os.WriteFile(config, []byte(`
[server]
host-name=printer
domain-name=local
use-ipv4=yes
use-ipv6=yes
allow-interfaces=`+kernelInterface+`
enable-dbus=no
[wide-area]
enable-wide-area=no
[publish]
publish-aaaa-on-ipv4=yes
publish-a-on-ipv6=yes
`), 0o644))
	process, _ := runProcess(t, func(printed string) bool { return bytes.Contains([]byte(printed), []byte("startup complete")) },
		"avahi-daemon", "--no-drop-root", "--no-chroot", "--file", config)
	return func() { require.NoError(t, process.Signal(syscall.SIGTERM)) }
}

// Avahi answers for the names of its link, until it leaves.
//
// If it is told to leave while an answer of its own waits for its turn on the other version of IP, it sends that in place of a
// goodbye. So it may take more than one avahi until one is heard to say it.
func TestKernelMulticastDNS(t *testing.T) {
	withKernel(t, overTap, func(t *testing.T, c *cable) {
		ctx := context.Background()
		r := c.resolverFor(t, smolnet.ResolverConfig{})
		for range 3 {
			leave := avahi(t)
			addrs, err := r.LookupNetIP(ctx, "ip4", "printer.local")
			require.NoError(t, err)
			require.Equal(t, []netip.Addr{c.kernel.ipv4}, addrs)
			addrs, err = r.LookupNetIP(ctx, "ip6", "printer.local")
			require.NoError(t, err)
			require.Contains(t, addrs, c.kernel.ipv6)

			leave()
			again := time.NewTicker(time.Millisecond)
			defer again.Stop()
			for patient := time.Now().Add(patience / 3); (<-again.C).Before(patient); {
				if _, err := r.LookupNetIP(ctx, "ip4", "printer.local"); err != nil {
					return
				}
			}
		}
		require.Fail(t, "the name is forgotten when its owner says goodbye, long before its two minutes are over")
	})
}
