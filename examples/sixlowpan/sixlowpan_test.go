package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/registration"
	"github.com/smolnet/smolnet/core/rpl"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev/zep"
	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/smolnet"
	"github.com/smolnet/smolnet/smolnet/httpclient"
)

// programVariable has the test's own program be the command.
const programVariable = "SMOLNET_SIXLOWPAN"

func TestMain(m *testing.M) {
	if os.Getenv(programVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// parse is what the command line says.
func parse(t *testing.T, args ...string) (*options, []string) {
	t.Helper()
	fs := flag.NewFlagSet("sixlowpan", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	o := register(fs)
	require.NoError(t, fs.Parse(args))
	return o, fs.Args()
}

// sixlowpan runs the program in virtual time.
func sixlowpan(t *testing.T, args ...string) (out string, err error) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		o, rest := parse(t, args...)
		err = run(t.Context(), device.Lines(&b), o, rest)
		out = b.String()
	})
	return out, err
}

func TestTwoNodesInMemory(t *testing.T) {
	out, err := sixlowpan(t, "-c", "2", "-context", "0=2001:db8::/64,3=2001:db8:3::/48")
	require.NoError(t, err)
	for _, want := range []string{
		"fe80::1 echoes at port 7, and tells of itself at http://[fe80::1]:80/\n",
		"64 octets from fe80::1%radio: number 2, ",
		"2 of 2 answered\n",
		"56 octets from [fe80::2%radio]:",
		"56 octets from fe80::1%radio: number 2, ",
		"2 of 2 answered\n",
		"5600 octets to fe80::1%radio and back in ",
		"GET of / from [fe80::2%radio]:",
		"200 OK\nPAN 0x0023\naddress fe80::1/64\ncontext 0 2001:db8::/64\ncontext 3 2001:db8:3::/48\n",
	} {
		_, rest, found := strings.Cut(out, want)
		require.True(t, found, "%s is to come in its turn in\n%s", want, out)
		out = rest
	}
}

func TestWhatIsLostIsNotAnswered(t *testing.T) {
	out, err := sixlowpan(t, "-drop-chance", "1", "-c", "2", "ping")
	require.ErrorContains(t, err, "ping fe80::1%radio: no answer")
	require.Contains(t, out, "nothing from fe80::1%radio: number 2\n0 of 2 answered\n")

	_, err = sixlowpan(t, "-drop-chance", "1", "tcp")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = sixlowpan(t, "-drop-chance", "1", "get")
	require.ErrorContains(t, err, "deadline exceeded")
}

func TestWhatCannotBe(t *testing.T) {
	for _, tc := range []struct {
		want string
		args []string
	}{
		{"-device token-ring: there is radio", []string{"-device", "token-ring"}},
		{"-device zep:[::1]:1: there is radio", []string{"-device", "zep:[::1]:1"}},
		{"-c and -W are more than nothing", []string{"-c", "0"}},
		{"-i and -s are not negative", []string{"-s", "-1"}},
		{`there is no command "pong"`, []string{"pong"}},
		{`unexpected argument "now"`, []string{"ping", "fe80::1", "now"}},
		{"-autoconf and -rpl take a border router", []string{"-rpl"}},
		{"nobody", []string{"ping", "nobody.example"}},
	} {
		_, err := sixlowpan(t, tc.args...)
		require.ErrorContains(t, err, tc.want)
	}
}

// process is the program as a process of its own.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	out   io.ReadCloser
	lines *bufio.Scanner
	err   bytes.Buffer
}

// start starts the program. It ends with the test.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	p := &process{t: t, cmd: exec.CommandContext(t.Context(), path, args...)}
	p.cmd.Env = append(os.Environ(), programVariable+"=1", "GORACE=atexit_sleep_ms=0") // the race detector's linger a second
	p.cmd.Stderr = &p.err
	p.out, err = p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	p.lines = bufio.NewScanner(p.out)
	return p
}

// wants reads a line that contains the text.
func (p *process) wants(text string) (line string) {
	p.t.Helper()
	if !p.lines.Scan() {
		_ = p.cmd.Wait()
		require.Fail(p.t, "it has ended", "%s was to come; it said %s", text, &p.err)
	}
	require.Contains(p.t, p.lines.Text(), text)
	return p.lines.Text()
}

// ends reads what is left to read, until the program has ended.
func (p *process) ends() string {
	p.t.Helper()
	rest, err := io.ReadAll(p.out)
	require.NoError(p.t, err)
	require.NoError(p.t, p.cmd.Wait(), "%s%s", rest, &p.err)
	return string(rest)
}

// interrupt ends a program that runs until it is interrupted.
func (p *process) interrupt() {
	p.t.Helper()
	go io.Copy(io.Discard, p.out)
	require.NoError(p.t, p.cmd.Process.Signal(os.Interrupt))
	require.NoError(p.t, p.cmd.Wait(), &p.err)
}

// freePorts returns UDP addresses of the loopback's that nobody uses.
func freePorts(t *testing.T, n int) (free []netip.AddrPort) {
	t.Helper()
	for range n {
		c, err := net.ListenPacket("udp6", "[::1]:0")
		require.NoError(t, err)
		defer c.Close()
		free = append(free, c.LocalAddr().(*net.UDPAddr).AddrPort())
	}
	return free
}

// Two processes, each of them a node, by UDP over the system's loopback.
func TestTwoProcesses(t *testing.T) {
	port := freePorts(t, 2)
	there := []string{"-device", fmt.Sprintf("zep:%v,%v", port[0], port[1]), "-eui64", "02:00:00:00:00:00:00:0a"}
	here := []string{"-device", fmt.Sprintf("zep:%v,%v", port[1], port[0]), "-eui64", "02:00:00:00:00:00:00:0b"}
	for _, tc := range []struct {
		name, server, from string
		there, here        []string
	}{
		{"link-local addresses", "fe80::a", "fe80::b%radio", nil, nil},
		{
			"addresses of a context", "2001:db8:7::a", "2001:db8:7::b",
			[]string{"-pan", "0xbeef", "-channel", "11", "-context", "5=2001:db8:7::/64", "-addr", "2001:db8:7::a/64"},
			[]string{"-pan", "0xbeef", "-channel", "11", "-context", "5=2001:db8:7::/64", "-addr", "2001:db8:7::b/64"},
		},
		{"without acknowledgments", "fe80::a", "fe80::b%radio", []string{"-ack=false"}, []string{"-ack=false"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := start(t, append(there, tc.there...)...)
			server.wants("fe80::a echoes at port 7, and tells of itself at http://[fe80::a]:80/")
			client := func(args ...string) string {
				return start(t, append(append(here[:len(here):len(here)], tc.here...), append(args, tc.server)...)...).ends()
			}
			require.Contains(t, client("-c", "2", "-i", "0", "-s", "1200", "ping"), "2 of 2 answered")
			require.Contains(t, client("-c", "2", "-i", "0", "-s", "100", "udp"), "2 of 2 answered")
			for range 2 {
				require.Contains(t, server.wants("100 octets from "), tc.from)
			}
			require.Contains(t, client("-s", "200", "tcp"), "20000 octets to "+tc.server)
			require.Contains(t, server.wants("20000 octets from "), tc.from)
			require.Contains(t, client("get"), "200 OK\nPAN 0x")
			require.Contains(t, server.wants("GET of / from "), tc.from)
			server.interrupt()
		})
	}
}

// Three processes that hear each other by a fourth.
func TestADispatcher(t *testing.T) {
	dispatcher := start(t, "dispatch", "[::1]:0")
	line := dispatcher.wants("dispatching at [::1]:")
	device := "zep:," + strings.Fields(line)[2]
	node := func(number int, args ...string) *process {
		return start(t, append([]string{"-device", device, "-eui64", fmt.Sprintf("02:00:00:00:00:00:00:%02x", number)}, args...)...)
	}
	servers := []*process{node(1), node(2)}
	var all sync.WaitGroup
	for i, server := range servers {
		server.wants(fmt.Sprintf("fe80::%d echoes at port 7", i+1))
		client := node(i+10, "-c", "1", "-W", "1m", "ping", fmt.Sprintf("fe80::%d", i+1))
		all.Go(func() { require.Contains(t, client.ends(), "1 of 1 answered") })
	}
	all.Wait()
	for _, server := range append(servers, dispatcher) {
		server.interrupt()
	}
}

// A node gets its address from a border router, which is here in this process.
func TestABorderRouterTellsTheAddress(t *testing.T) {
	prefix, own := netip.MustParsePrefix("2001:db8:7::/64"), netip.MustParseAddr("2001:db8:7::1")
	for _, tc := range []struct {
		flag   string
		config core.IEEE802154Config
	}{
		{"-autoconf", core.IEEE802154Config{PAN: 0x23, Router: &registration.RouterConfig{
			Prefixes:     []registration.Prefix{{Prefix: prefix}},
			Contexts:     []wire.NDContextRepr{{ID: 1, Prefix: prefix, Compress: true, Lifetime: time.Hour}},
			BorderRouter: own,
		}}},
		{"-rpl", core.IEEE802154Config{PAN: 0x23, RPLRoot: &rpl.RootConfig{
			DODAG: own, Mode: wire.RPLStoring,
			Prefixes: []wire.RPLPrefixInformationRepr{{
				Prefix: prefix, Autonomous: true,
				ValidLifetime: wire.NDInfiniteLifetime, PreferredLifetime: wire.NDInfiniteLifetime,
			}},
		}}},
	} {
		t.Run(tc.flag, func(t *testing.T) {
			port := freePorts(t, 2)
			d, err := zep.Open(zep.Config{Local: port[0].String(), Remote: port[1].String(), EUI64: [8]byte{0: 2, 7: 1}})
			require.NoError(t, err)
			router, _, err := device.NewStack(smolnet.Config{}, smolnet.Interface{
				Name: "radio", Device: d, IEEE802154: &tc.config, Addresses: []netip.Prefix{netip.PrefixFrom(own, 64)}, Forward: true,
			})
			require.NoError(t, err)
			defer router.Close()
			node := start(t, "-device", fmt.Sprintf("zep:%v,%v", port[1], port[0]), "-eui64", "02:00:00:00:00:00:00:0b",
				tc.flag, "-c", "1", "ping", own.String())
			require.Contains(t, node.ends(), "1 of 1 answered")

			server := start(t, "-device", fmt.Sprintf("zep:%v,%v", port[1], port[0]), "-eui64", "02:00:00:00:00:00:00:0b", tc.flag)
			server.wants("fe80::b echoes at port 7")
			response, err := httpclient.New(router).Get("http://[2001:db8:7::b]/")
			require.NoError(t, err)
			page, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Contains(t, string(page), "address 2001:db8:7::b/")
			server.interrupt()
		})
	}
}

// A conversation in virtual time takes as long as it does on the air.
func TestTheAirTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, args := parse(t, "-c", "1", "-s", "56", "ping")
		start := time.Now()
		require.NoError(t, run(t.Context(), io.Discard, o, args))
		require.Greater(t, time.Since(start), 2*80*32*time.Microsecond)
		require.Less(t, time.Since(start), 10*time.Second)
	})
}
