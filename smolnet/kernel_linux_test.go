package smolnet_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/tap"
	"github.com/smolnet/smolnet/dev/tun"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// The tests named TestKernel have the Linux kernel as the stack's peer, over a tap or a tun in a network namespace of
// each test's own. Both sides speak package net's language, so that a conversation is written once and held each way:
// what is expected of the stack is expected of the kernel, too.

// patience bounds how long anybody waits for what must happen. Only a defect uses it up.
const patience = 30 * time.Second

// The interface that joins the two, as each calls it.
const (
	kernelInterface = "smol0"
	stackInterface  = "eth0"
)

// setup is how the two are joined.
type setup struct {
	name string
	open func(t *testing.T) dev.Device
}

var (
	overTap                = setup{"tap", tapWith(tap.Config{})}
	overTapWithoutOffloads = setup{"tap without offloads", tapWith(tap.Config{NoOffload: true})}
	overTapOfJumboFrames   = setup{"tap of jumbo frames", func(t *testing.T) dev.Device {
		require.NoError(t, netns.AddTap(kernelInterface))
		require.NoError(t, netns.SetMTU(kernelInterface, 9000))
		return overTap.open(t)
	}}
	overTun                = setup{"tun", tunWith(tun.Config{})}
	overTunWithoutOffloads = setup{"tun without offloads", tunWith(tun.Config{NoOffload: true})}
)

func tapWith(config tap.Config) func(t *testing.T) dev.Device {
	config.Name = kernelInterface
	return func(t *testing.T) dev.Device {
		t.Helper()
		device, err := tap.Open(config)
		require.NoError(t, err)
		return device
	}
}

func tunWith(config tun.Config) func(t *testing.T) dev.Device {
	config.Name = kernelInterface
	return func(t *testing.T) dev.Device {
		t.Helper()
		device, err := tun.Open(config)
		require.NoError(t, err)
		return device
	}
}

// cable is what joins a stack and the kernel.
type cable struct {
	stack, kernel *host
	link          *smolnet.Link // the stack's end
}

// host is one end of the cable.
type host struct {
	name         string
	ipv4, ipv6   netip.Addr
	linkLocal    netip.Addr
	zone         string // the interface's name
	listen       func(network, address string) (net.Listener, error)
	listenPacket func(network, address string) (net.PacketConn, error)
	dial         func(ctx context.Context, network, address string) (net.Conn, error)

	stack *smolnet.Stack // nil: it is the kernel
}

// withKernel runs a test in a namespace in which there is a stack, joined to the kernel.
func withKernel(t *testing.T, s setup, test func(t *testing.T, c *cable)) {
	t.Helper()
	t.Parallel()
	if netns.Test(t) {
		test(t, s.join(t))
	}
}

// join makes a stack whose peer is the kernel.
func (s setup) join(t *testing.T) *cable {
	t.Helper()
	device := s.open(t)
	return attach(t, device, newKernel(t), smolnet.Config{})
}

// newKernel gives the kernel its addresses.
func newKernel(t *testing.T) *host {
	t.Helper()
	k := &host{
		name: "kernel", zone: kernelInterface,
		ipv4:      netip.MustParseAddr("192.168.69.100"),
		ipv6:      netip.MustParseAddr("fdaa::100"),
		linkLocal: netip.MustParseAddr("fe80::100"),
		listen:    listenPlain, listenPacket: net.ListenPacket, dial: new(net.Dialer).DialContext,
	}
	require.NoError(t, netns.Up(kernelInterface))
	for _, address := range k.addresses() {
		require.NoError(t, netns.AddAddress(kernelInterface, address))
	}
	return k
}

// listenPlain is net.Listen without Multipath TCP, whose listeners do not tell their zone.
func listenPlain(network, address string) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	return config.Listen(context.Background(), network, address)
}

// attach makes a stack with the device, and with routes behind the kernel.
func attach(t *testing.T, device dev.Device, kernel *host, config smolnet.Config, routes ...core.Route) *cable {
	t.Helper()
	stack := newStack(t, config)
	s := &host{
		name: "stack", zone: stackInterface, stack: stack,
		ipv4:   netip.MustParseAddr("192.168.69.1"),
		ipv6:   netip.MustParseAddr("fdaa::1"),
		listen: stack.Listen, listenPacket: stack.ListenPacket, dial: stack.DialContext,
	}
	if device.Capabilities().Medium != dev.Ethernet {
		s.linkLocal = netip.MustParseAddr("fe80::1")
	}
	link, err := stack.AddInterface(smolnet.Interface{
		Name: stackInterface, Device: device, DuplicateDetection: core.DetectNone, Addresses: s.addresses(), Routes: routes,
	})
	require.NoError(t, err)
	for _, address := range prefixes(link) {
		if address.Addr().IsLinkLocalUnicast() {
			s.linkLocal = address.Addr() // made of the hardware address
		}
	}
	require.True(t, s.linkLocal.IsValid())
	return &cable{s, kernel, link}
}

// addresses are the host's own, with the networks that they are in.
func (h *host) addresses() []netip.Prefix {
	prefixes := []netip.Prefix{netip.PrefixFrom(h.ipv4, 24), netip.PrefixFrom(h.ipv6, 64)}
	if h.linkLocal.IsValid() {
		prefixes = append(prefixes, netip.PrefixFrom(h.linkLocal, 64))
	}
	return prefixes
}

// counters are the stack's of TCP.
func (c *cable) counters() tcp.Counters { return c.stack.stack.Counters().TCP }

// way is who calls whom, and by which version of IP.
type way struct {
	*cable
	client, server *host
	from, to       netip.Addr
}

// ways are all of them.
func (c *cable) ways() []way {
	k, s := c.kernel, c.stack
	return []way{
		{c, k, s, k.ipv4, s.ipv4},
		{c, k, s, k.ipv6, s.ipv6},
		{c, s, k, s.ipv4, k.ipv4},
		{c, s, k, s.ipv6, k.ipv6},
	}
}

// inEveryWay holds a conversation each way.
func (c *cable) inEveryWay(t *testing.T, conversation func(t *testing.T, w way)) {
	for _, w := range c.ways() {
		t.Run(w.String(), func(t *testing.T) { conversation(t, w) })
	}
}

func (w way) String() string {
	version := 6
	if w.to.Is4() {
		version = 4
	}
	return fmt.Sprintf("%s calls %s by IPv%d", w.client.name, w.server.name, version)
}

// port is the server's address with a port.
func (w way) port(port int) string { return net.JoinHostPort(w.to.String(), strconv.Itoa(port)) }

// listen has the server listen on a port that it chooses.
func (w way) listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := w.server.listen("tcp", w.port(0))
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// dial has the client connect. It is for any goroutine.
func (w way) dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return w.client.dial(ctx, network, address)
}

// stream is a TCP connection of either side's.
type stream interface {
	net.Conn
	CloseWrite() error
	SetLinger(sec int) error
}

var (
	_ stream = (*net.TCPConn)(nil)
	_ stream = (*smolnet.TCPConn)(nil)
)

// connect returns both ends of a connection.
func (w way) connect(t testing.TB) (client, server stream) {
	t.Helper()
	l := w.listen(t)
	dialed, err := w.dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { dialed.Close() })
	accepted, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { accepted.Close() })
	for _, end := range []net.Conn{dialed, accepted} {
		require.NoError(t, end.SetDeadline(time.Now().Add(patience)))
	}
	return dialed.(stream), accepted.(stream)
}

// udp returns a socket of the server's that anybody may send to, and one of the client's that is connected to it.
func (w way) udp(t testing.TB) (client net.Conn, server net.PacketConn) {
	t.Helper()
	server, err := w.server.listenPacket("udp", w.port(0))
	require.NoError(t, err)
	t.Cleanup(func() { server.Close() })
	client, err = w.dial("udp", server.LocalAddr().String())
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	require.NoError(t, server.SetDeadline(time.Now().Add(patience)))
	require.NoError(t, client.SetDeadline(time.Now().Add(patience)))
	return client, server
}

// until waits for something of which no event tells.
func until(t testing.TB, happened func() bool, what string) {
	t.Helper()
	require.Eventually(t, happened, patience, time.Millisecond, what)
}

// kernelCounter is a counter of the kernel's, as netstat -s has it: one of TcpExt in /proc/net/netstat.
func kernelCounter(t testing.TB, name string) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/net/netstat")
	require.NoError(t, err)
	var names []string
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "TcpExt:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i := range names {
			if names[i] == name {
				value, err := strconv.Atoi(fields[i])
				require.NoError(t, err)
				return value
			}
		}
	}
	t.Fatalf("the kernel has no counter %s", name)
	return 0
}
