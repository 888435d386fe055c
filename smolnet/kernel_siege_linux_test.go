package smolnet_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/dhcpv4"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// siegeLimits are tighter than the defaults, so that floods reach them.
var siegeLimits = core.Limits{
	Addresses: 12, Groups: 24, Routes: 64, Neighbours: 64, Redirects: 16, PathMTUs: 16, Reassembly: 256 << 10,
	Routers: 4, RouterRoutes: 8, Prefixes: 4, NameServers: 4, SearchDomains: 4,
}

// A siege is a stack that configures itself in every way it can, while somebody on its link attacks it. Its peer is the kernel.
type siege struct {
	*cable
	capture *capture
	calls   []call
}

// A call is from one to the other, who sends back what he is sent.
type call struct {
	way     way
	address string
	held    net.Conn // from before the siege
}

// withSiege runs a test in a namespace in which there is a stack, ready to be attacked. What it sends is recorded.
func withSiege(t *testing.T, test func(t *testing.T, s *siege)) {
	t.Helper()
	t.Parallel()
	if !netns.Test(t) {
		return
	}
	device, capture := record(t, overTap.open(t))
	kernel := newKernel(t)
	newLessor(t, "--dhcp-range=192.168.69.50,192.168.69.60,255.255.255.0,1h",
		"--enable-ra", "--dhcp-range=::100,::1ff,constructor:"+kernelInterface+",64,1h")
	stack := newStack(t, smolnet.Config{Limits: siegeLimits})
	bound := stack.Watch()
	defer bound.Close()
	own4, own6 := netip.MustParsePrefix("192.168.69.1/24"), netip.MustParsePrefix("fdaa::1/64")
	link, err := stack.AddInterface(smolnet.Interface{
		Name: stackInterface, Device: device, Addresses: []netip.Prefix{own4, own6}, DuplicateDetection: core.DetectNone,
		Autoconf: true, TemporaryAddresses: true, DHCPv4: &dhcpv4.Config{},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for want := map[bool]bool{true: true, false: true}; len(want) > 0; {
		e, err := bound.Next(ctx)
		require.NoError(t, err, "it configures itself")
		if e.Kind == core.LeaseBound {
			delete(want, e.Lease != nil) // of DHCPv4
		}
	}
	own := &host{
		name: "stack", zone: stackInterface, stack: stack, ipv4: own4.Addr(), ipv6: own6.Addr(),
		listen: stack.Listen, listenPacket: stack.ListenPacket, dial: stack.DialContext,
	}
	s := &siege{cable: &cable{own, kernel, link}, capture: capture}
	for _, w := range s.ways() {
		l := w.listen(t)
		go serveEcho(l)
		c, err := w.dial("tcp", l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		s.calls = append(s.calls, call{w, l.Addr().String(), c})
	}
	require.NoError(t, s.converse())
	test(t, s)
}

// serveEcho sends back to whoever connects what he sends.
func serveEcho(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(struct{ io.Writer }{c}, c)
		}()
	}
}

// converse has those talk that are connected, and others connect.
func (s *siege) converse() error {
	for _, c := range s.calls {
		if err := c.talk(c.held); err != nil {
			return fmt.Errorf("%v, connected for long: %w", c.way, err)
		}
		conn, err := c.way.dial("tcp", c.address)
		if err == nil {
			err = c.talk(conn)
			conn.Close()
		}
		if err != nil {
			return fmt.Errorf("%v: %w", c.way, err)
		}
	}
	return nil
}

// talk says something, and waits for it to come back.
func (c call) talk(conn net.Conn) error {
	const said = "still there?"
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, said); err != nil {
		return err
	}
	heard := make([]byte, len(said))
	if _, err := io.ReadFull(conn, heard); err != nil {
		return err
	}
	if string(heard) != said {
		return fmt.Errorf("%q was said, and %q heard", said, heard)
	}
	return nil
}

// received is how many packets have come, those of the conversations left out.
func (s *siege) received() uint64 {
	c := s.stack.stack.Counters()
	return c.IPv4.InReceives + c.IPv6.InReceives - c.TCP.InSegs
}

// requireBounded holds that no table has more than it may.
func (s *siege) requireBounded(t *testing.T) {
	t.Helper()
	l := siegeLimits
	require.LessOrEqual(t, len(s.link.Addresses()), l.Addresses)
	require.LessOrEqual(t, len(s.link.Routers()), l.Routers)
	require.LessOrEqual(t, len(s.link.Prefixes()), l.Prefixes)
	require.LessOrEqual(t, len(s.link.NameServers()), l.NameServers)
	require.LessOrEqual(t, len(s.link.SearchDomains()), l.SearchDomains)
	require.LessOrEqual(t, len(s.stack.stack.Routes()), l.Routes)
	require.LessOrEqual(t, len(s.stack.stack.PathMTUs()), l.PathMTUs)
}

// heap is what the process has in use, but for the capture.
func (s *siege) heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // the first leaves what is in pools
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc) - s.capture.size()
}

// The tools of thc-ipv6, each of which goes on for some thousand packets, if it does not end by itself. TCP gets through
// meanwhile, in connections of old and in new ones, and no table grows beyond its bound.
func TestKernelUnderAttack(t *testing.T) {
	for _, attacks := range []struct {
		name  string
		tools []string // and their arguments: INTERFACE, OWN and KERNEL stand for what they say; those joined by "&" are used at once
	}{
		{"routers", []string{
			"flood_router26 INTERFACE", "flood_router26 -s -m INTERFACE", "flood_router26 -F INTERFACE",
			"flood_router6 INTERFACE",
		}},
		{"neighbours", []string{
			"flood_advertise6 INTERFACE OWN", "flood_solicitate6 INTERFACE OWN OWN", "flood_redir6 INTERFACE OWN", "flood_rs6 INTERFACE OWN",
		}},
		{"groups and errors", []string{
			"flood_mld6 INTERFACE", "flood_mld26 INTERFACE", "flood_mldrouter6 INTERFACE", "flood_unreach6 -R INTERFACE OWN",
			"smurf6 INTERFACE KERNEL",
		}},
		{"headers", []string{
			// They wait a while before they begin.
			"denial6 INTERFACE OWN 1 & denial6 INTERFACE OWN 2 & denial6 INTERFACE OWN 3 & denial6 INTERFACE OWN 4 & " +
				"denial6 INTERFACE OWN 5 & denial6 INTERFACE OWN 6 & denial6 INTERFACE OWN 7",
			"fragmentation6 -fp INTERFACE OWN 1", "fragmentation6 -fp INTERFACE OWN 10",
			"fragmentation6 -fp INTERFACE OWN 20",
		}},
		{"rubbish", []string{
			"fuzz_ip6 -a -IFSDHR -1 INTERFACE OWN", "fuzz_ip6 -a -IDHR -4 INTERFACE OWN", "fuzz_ip6 -a -ID -3 INTERFACE OWN",
			"fuzz_ip6 -a -H -7 INTERFACE OWN", "fuzz_ip6 -a -H -9 INTERFACE OWN", "fuzz_ip6 -a -J -s 80 INTERFACE OWN",
		}},
	} {
		t.Run(attacks.name, func(t *testing.T) {
			withSiege(t, func(t *testing.T, s *siege) {
				before := s.heap()
				for _, attack := range attacks.tools {
					s.endure(t, attack)
					s.requireBounded(t)
				}
				require.NoError(t, s.converse())
				require.Less(t, s.heap(), before+(8<<20))
			})
		})
	}
}

// endure has TCP go on while tools attack, until enough of their packets have come or they have ended by themselves.
func (s *siege) endure(t *testing.T, attack string) {
	t.Helper()
	const enough, tooMany = 200, 20_000
	before := s.received()
	var ended <-chan struct{}
	var ends []func()
	for tool := range strings.SplitSeq(attack, " & ") {
		over, end := s.begin(t, tool)
		ended, ends = over, append(ends, end)
	}
	end := func() {
		for _, end := range ends {
			end()
		}
	}
	defer end()
	until(t, func() bool { return s.received() > before }, attack+" has begun")
	go func() {
		for s.received() < before+tooMany {
			select {
			case <-ended:
				return
			case <-time.After(time.Millisecond):
			}
		}
		end() // what comes faster than anybody can talk has shown what it can do
	}()
	for {
		require.NoError(t, s.converse(), attack)
		select {
		case <-ended:
			return
		default:
		}
		if s.received() >= before+enough {
			return
		}
	}
}

// begin starts a tool. end stops it, if it has not ended before.
func (s *siege) begin(t *testing.T, attack string) (ended <-chan struct{}, end func()) {
	t.Helper()
	args := strings.Fields(strings.NewReplacer(
		"INTERFACE", kernelInterface, "OWN", s.stack.ipv6.String(), "KERNEL", s.kernel.ipv6.String()).Replace(attack))
	path, err := exec.LookPath("atk6-" + args[0])
	if err != nil && os.Getenv("CI") == "" {
		t.Skip(err) // under CI it is installed
	}
	require.NoError(t, err)
	tool, printed := exec.Command(path, args[1:]...), new(output)
	tool.Stdout, tool.Stderr = printed, printed
	require.NoError(t, tool.Start())
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = tool.Wait()
	}()
	end = func() {
		_ = tool.Process.Kill()
		<-over
	}
	t.Cleanup(func() {
		end()
		if t.Failed() {
			t.Logf("%s printed:\n%s", attack, printed)
		}
	})
	return over, end
}
