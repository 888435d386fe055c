package smolnet_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/tap"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// The addresses on either side of a stack that is a router: 1 and 2 are kernels in namespaces of their own.
var (
	left4, right4 = netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("10.2.0.2")
	left6, right6 = netip.MustParseAddr("fd01::1"), netip.MustParseAddr("fd02::2")
)

// between is a stack that routes between the kernel of the test's own namespace and that of another.
type between struct {
	stack *smolnet.Stack
	far   *smolnet.Link
	right *netns.Namespace
}

// newBetween makes a router whose far link has the MTU given. The kernels do not know of it: they are told. It is recorded what
// passes, if so desired: the kernels must not use offloads then, for errors quote what has come, with checksums half done.
func newBetween(t *testing.T, config tap.Config, mtu int, recorded bool) *between {
	b := &between{stack: newStack(t, smolnet.Config{})}
	var err error
	b.right, err = netns.New()
	require.NoError(t, err)
	t.Cleanup(func() { b.right.Close() })
	side := func(name, kernel4, kernel6, router4, router6 string, mtu int) *smolnet.Link {
		config.Name = name
		opened, err := tap.Open(config)
		require.NoError(t, err)
		var device dev.Device = opened
		if recorded {
			device, _ = record(t, opened)
		}
		require.NoError(t, netns.Up(name))
		require.NoError(t, netns.AddAddress(name, netip.MustParsePrefix(kernel4)))
		require.NoError(t, netns.AddAddress(name, netip.MustParsePrefix(kernel6)))
		own4, own6 := netip.MustParsePrefix(router4), netip.MustParsePrefix(router6)
		require.NoError(t, netns.AddRoute(netip.MustParsePrefix("10.0.0.0/8"), own4.Addr(), name))
		require.NoError(t, netns.AddRoute(netip.MustParsePrefix("fd00::/8"), own6.Addr(), name))
		link, err := b.stack.AddInterface(smolnet.Interface{
			Name: name, Device: device, MTU: mtu, Forward: true, Addresses: []netip.Prefix{own4, own6}, DuplicateDetection: core.DetectNone,
		})
		require.NoError(t, err)
		return link
	}
	side("left", "10.1.0.1/16", "fd01::1/64", "10.1.0.254/16", "fd01::fe/64", 0)
	require.NoError(t, b.right.Do(func() error {
		b.far = side("right", "10.2.0.2/16", "fd02::2/64", "10.2.0.254/16", "fd02::fe/64", mtu)
		return nil
	}))
	return b
}

// listen has the right kernel listen.
func (b *between) listen(t *testing.T, addr netip.Addr) net.Listener {
	var l net.Listener
	require.NoError(t, b.right.Do(func() (err error) {
		l, err = net.Listen("tcp", netip.AddrPortFrom(addr, 0).String())
		return err
	}))
	t.Cleanup(func() { l.Close() })
	return l
}

// forwarded is how many packets the router has passed on.
func (b *between) forwarded() uint64 {
	c := b.stack.Counters()
	return c.IPv4.OutForwDatagrams + c.IPv6.OutForwDatagrams
}

// TestKernelRouter: two kernels that reach each other through a stack: pings, large and small, and a web page there and back,
// also where the second link takes less than the first, of which the kernel is told.
func TestKernelRouter(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		config tap.Config
		mtu    int
	}{
		{"with offloads", tap.Config{}, 0},
		{"without offloads", tap.Config{NoOffload: true}, 0},
		{"a small MTU, with offloads", tap.Config{}, 1280},
		{"a small MTU, without offloads", tap.Config{NoOffload: true}, 1280},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if !netns.Test(t) {
				return
			}
			b := newBetween(t, tc.config, tc.mtu, false)
			for _, v := range []struct{ from, to netip.Addr }{{left4, right4}, {left6, right6}} {
				ping(t, v.from, v.to, noise(1, 56))
				ping(t, v.from, v.to, noise(1, 1200))

				content := noise(2, 3<<20)
				var page http.ServeMux
				page.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { w.Write(content) })
				page.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
				l := b.listen(t, v.to)
				go http.Serve(l, &page)
				client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
				url := "http://" + l.Addr().String() + "/"
				for _, fetch := range []func() (*http.Response, error){
					func() (*http.Response, error) { return client.Get(url) },
					func() (*http.Response, error) { return client.Post(url, "", bytes.NewReader(content)) },
				} {
					response, err := fetch()
					require.NoError(t, err, "%v", b.stack.Counters().Drops)
					got, err := io.ReadAll(response.Body)
					require.NoError(t, err, "%v", b.stack.Counters().Drops)
					require.True(t, bytes.Equal(content, got))
				}
			}
			c := b.stack.Counters()
			require.NotZero(t, b.forwarded())
			require.Zero(t, c.TCP.InSegs, "none of it was the stack's own")
			if tc.mtu != 0 {
				require.NotZero(t, c.ICMPv4.OutType[wire.ICMPv4DestinationUnreachable])
				require.NotZero(t, c.ICMPv6.OutType[wire.ICMPv6PacketTooBig])
			}
		})
	}
}

// TestKernelHearsFromARouter: what the kernel is told of packets that do not get through: as traceroute has it, by a hop limit of 1,
// and of hosts that are not there.
func TestKernelHearsFromARouter(t *testing.T) {
	t.Parallel()
	if !netns.Test(t) {
		return
	}
	b := newBetween(t, tap.Config{NoOffload: true}, 0, true)
	for _, tc := range []struct {
		name    string
		network string
		address string
		hops    int
		from    string // who says so
		want    syscall.Errno
	}{
		{"hop limit, IPv4", "udp4", "10.2.0.2:33434", 1, "10.1.0.254", syscall.EHOSTUNREACH},
		{"hop limit, IPv6", "udp6", "[fd02::2]:33434", 1, "fd01::fe", syscall.EHOSTUNREACH},
		{"the second hop, IPv4", "udp4", "10.2.0.2:33434", 2, "10.2.0.2", syscall.ECONNREFUSED},
		{"the second hop, IPv6", "udp6", "[fd02::2]:33434", 2, "fd02::2", syscall.ECONNREFUSED},
		{"no route, IPv4", "udp4", "10.9.0.1:7", 64, "10.1.0.254", syscall.ENETUNREACH},
		{"no route, IPv6", "udp6", "[fd09::1]:7", 64, "fd01::fe", syscall.ENETUNREACH},
		{"nobody there, IPv4", "udp4", "10.2.0.77:7", 64, "10.1.0.254", syscall.EHOSTUNREACH},
		{"nobody there, IPv6", "udp6", "[fd02::77]:7", 64, "fd01::fe", syscall.EHOSTUNREACH},
	} {
		t.Run(tc.name, func(t *testing.T) {
			socket, err := net.Dial(tc.network, tc.address)
			require.NoError(t, err)
			defer socket.Close()
			raw, err := socket.(*net.UDPConn).SyscallConn()
			require.NoError(t, err)
			level, hops, errors := syscall.IPPROTO_IP, syscall.IP_TTL, syscall.IP_RECVERR
			if tc.network == "udp6" {
				level, hops, errors = syscall.IPPROTO_IPV6, syscall.IPV6_UNICAST_HOPS, syscall.IPV6_RECVERR
			}
			require.NoError(t, raw.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), level, hops, tc.hops)
				if err == nil {
					err = syscall.SetsockoptInt(int(fd), level, errors, 1)
				}
			}))
			require.NoError(t, err)
			require.NoError(t, socket.SetDeadline(time.Now().Add(patience)))
			_, err = socket.Write([]byte("anybody?"))
			require.NoError(t, err)
			_, err = socket.Read(make([]byte, 1))
			require.ErrorIs(t, err, tc.want)
		})
	}
	require.NotZero(t, b.forwarded())
}

// ownLinkLocal is the address that the kernel has made itself, by which it speaks as a router.
func ownLinkLocal(t *testing.T) netip.Addr {
	link, err := net.InterfaceByName(kernelInterface)
	require.NoError(t, err)
	addresses, err := link.Addrs()
	require.NoError(t, err)
	for _, address := range addresses {
		addr := netip.MustParsePrefix(address.String()).Addr()
		if addr.IsLinkLocalUnicast() && addr != netip.MustParseAddr("fe80::100") {
			return addr
		}
	}
	t.Fatalf("the kernel has no address of its own making among %v", addresses)
	return netip.Addr{}
}

// TestKernelRedirects: the kernel, as a router, tells the stack of a better way.
func TestKernelRedirects(t *testing.T) {
	withKernel(t, overTap.recorded(), func(t *testing.T, c *cable) {
		for _, setting := range []string{
			"ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv4/conf/" + kernelInterface + "/send_redirects", "ipv4/conf/all/send_redirects",
		} {
			if err := os.WriteFile("/proc/sys/net/"+setting, []byte("1"), 0); err != nil {
				t.Skipf("the kernel cannot be made a router here: %v", err)
			}
		}
		better4, better6 := netip.MustParseAddr("192.168.69.253"), netip.MustParseAddr("fe80::fd")
		hardware := [6]byte{2, 0, 0, 0, 0, 0xfd}
		for _, better := range []netip.Addr{better4, better6} {
			require.NoError(t, netns.AddNeighbour(kernelInterface, better, hardware))
		}
		require.NoError(t, netns.AddRoute(netip.MustParsePrefix("198.51.100.0/24"), better4, kernelInterface))
		require.NoError(t, netns.AddRoute(netip.MustParsePrefix("2001:db8::/32"), better6, kernelInterface))
		index := int32(c.link.Index())
		for _, tc := range []struct {
			away            string
			gateway, better netip.Addr
		}{
			{"198.51.100.9", c.kernel.ipv4, better4},
			{"2001:db8::9", ownLinkLocal(t), better6},
		} {
			away := netip.MustParseAddr(tc.away)
			everywhere := netip.PrefixFrom(away, 0).Masked()
			require.NoError(t, c.stack.stack.AddRoute(core.Route{Destination: everywhere, Gateway: tc.gateway, Link: index}))
			socket, err := c.stack.dial(t.Context(), "udp", netip.AddrPortFrom(away, 7).String())
			require.NoError(t, err)
			defer socket.Close()
			want := core.Route{Destination: netip.PrefixFrom(away, away.BitLen()), Gateway: tc.better, Link: index, Origin: route.Redirect}
			require.Eventually(t, func() bool {
				// The kernel limits its redirects, and the first packets may find it looking for somebody.
				_, err := socket.Write([]byte("which way?"))
				require.NoError(t, err)
				for _, r := range c.stack.stack.Routes() {
					if r == want {
						return true
					}
				}
				return false
			}, patience, 50*time.Millisecond, "%v", want)
		}
	})
}
