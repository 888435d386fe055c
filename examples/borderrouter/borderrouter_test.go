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
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/dev/zep"
	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// parse is what the command line says.
func parse(t *testing.T, args ...string) *options {
	t.Helper()
	fs := flag.NewFlagSet("borderrouter", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	o := register(fs)
	require.NoError(t, fs.Parse(args))
	return o
}

func TestShow(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	for i, tc := range []struct {
		args  []string
		known string // of the node
	}{
		{[]string{"-pan", "7"}, "2001:db8:1::2 is registered by 02:00:00:00:00:00:00:02"},
		{[]string{"-ack=false"}, "2001:db8:2::2 is registered by 02:00:00:00:00:00:00:02"},
		{[]string{"-drop-chance", "0.05"}, "2001:db8:3::2 is registered by 02:00:00:00:00:00:00:02"},
		{[]string{"-rpl", "storing"}, "2001:db8:4::2/128 is reached by fe80::2"},
		{[]string{"-rpl", "non-storing"}, "2001:db8:5::2/128 is reached by 2001:db8:5::1"},
	} {
		number := i + 1
		var out bytes.Buffer
		o := parse(t, append(tc.args, "-tap", fmt.Sprintf("smol%d", number),
			"-prefix", fmt.Sprintf("2001:db8:%d::/64", number), "-ethernet", fmt.Sprintf("fdaa:%d::1/64", number))...)
		require.NoError(t, run(t.Context(), &out, o))
		said := out.String()
		node := fmt.Sprintf("2001:db8:%d::2", number)
		for _, want := range []string{
			fmt.Sprintf("node: %s is its address\n", node),
			fmt.Sprintf("the kernel fetches http://[%s]:80/ in ", node),
			fmt.Sprintf("200 OK, \"hello to [%v]:", kernelAddr(o).Addr()),
			fmt.Sprintf("the node fetches http://[%v]:80/ in ", kernelAddr(o).Addr()),
			fmt.Sprintf("200 OK, \"hello to [%s]:", node),
			tc.known,
			" packets forwarded\n",
		} {
			_, rest, found := strings.Cut(said, want)
			require.True(t, found, "%s is to come in its turn in\n%s", want, &out)
			said = rest
		}
	}
}

// A node on a virtual radio and the kernel behind a tap, each a server for the other, until the router is interrupted.
func TestRoutesUntilInterrupted(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	require.NoError(t, netns.AddTap("smol0"))
	require.NoError(t, netns.AddAddress("smol0", device.Peer[1]))
	require.NoError(t, netns.Up("smol0"))
	require.NoError(t, netns.AddRoute(netip.MustParsePrefix("2001:db8:6::/64"), device.Own[1].Addr(), "smol0"))

	port := freePorts(t, 2)
	ctx, interrupt := context.WithCancel(t.Context())
	out, written := io.Pipe()
	routed := make(chan error, 1)
	go func() {
		device := fmt.Sprintf("zep:%v,%v", port[0], port[1])
		routed <- run(ctx, written, parse(t, "-device", device, "-eui64", "02:00:00:00:00:00:00:01", "-gateway", "fdaa::100"))
	}()
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	require.Contains(t, lines.Text(), "router: 2001:db8:6::1/64 on the radio")
	go io.Copy(io.Discard, out)

	d, err := zep.Open(zep.Config{Local: port[1].String(), Remote: port[0].String(), EUI64: [8]byte{0: 2, 7: 7}})
	require.NoError(t, err)
	node, link, err := device.NewStack(smolnet.Config{}, smolnet.Interface{
		Name: "radio", Device: d, IEEE802154: &core.IEEE802154Config{PAN: 0x23}, Autoconf: true,
	})
	require.NoError(t, err)
	defer node.Close()
	own, err := awaitAddr(t.Context(), node, link)
	require.NoError(t, err)
	require.Equal(t, netip.MustParseAddr("2001:db8:6::7"), own)

	l, err := node.Listen("tcp", "[::]:7")
	require.NoError(t, err)
	echoed(t, l, func() (net.Conn, error) { return net.Dial("tcp", netip.AddrPortFrom(own, 7).String()) })
	l, err = net.Listen("tcp", "[fdaa::100]:7")
	require.NoError(t, err)
	echoed(t, l, func() (net.Conn, error) { return node.Dial("tcp", l.Addr().String()) })

	interrupt()
	require.NoError(t, <-routed)
	written.Close()
}

// echoed has a stream go to a listener and back.
func echoed(t *testing.T, l net.Listener, dial func() (net.Conn, error)) {
	t.Helper()
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = io.Copy(c, c)
			c.Close()
		}
		done <- err
	}()
	c, err := dial()
	require.NoError(t, err)
	defer c.Close()
	sent := bytes.Repeat([]byte("there and back again "), 500)
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(sent)
		if err == nil {
			err = c.(interface{ CloseWrite() error }).CloseWrite()
		}
		written <- err
	}()
	received, err := io.ReadAll(c)
	require.NoError(t, err)
	require.NoError(t, <-written)
	require.Equal(t, sent, received)
	require.NoError(t, <-done)
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

func TestAddresses(t *testing.T) {
	configured, own := [8]byte{0: 2, 7: 1}, [8]byte{0: 2, 7: 2}
	require.Equal(t, configured, extendedAddr(configured, own))
	require.Equal(t, own, extendedAddr([8]byte{}, own))
	random := extendedAddr([8]byte{}, [8]byte{})
	require.EqualValues(t, 2, random[0]&3, "an individual address, locally administered")
	require.Equal(t, netip.MustParseAddr("2001:db8::1"), addressOf(netip.MustParsePrefix("2001:db8::/64"), configured))
}

func TestWhatCannotBe(t *testing.T) {
	for _, tc := range []struct {
		want string
		args []string
	}{
		{"-device token-ring: there is netns, zep:LOCAL,REMOTE", []string{"-device", "token-ring"}},
		{"-prefix 10.0.0.0/8: it is no /64 of IPv6", []string{"-prefix", "10.0.0.0/8"}},
		{"-prefix 2001:db8::/48: it is no /64 of IPv6", []string{"-prefix", "2001:db8::/48"}},
		{"-ethernet 10.0.0.1/8: it is no address of IPv6", []string{"-ethernet", "10.0.0.1/8"}},
		{"-gateway 10.0.0.1: it is no address of IPv6", []string{"-gateway", "10.0.0.1"}},
		{"-tap a name that is too long: ", []string{"-device", "zep:[::1]:0,[::1]:1", "-tap", "a name that is too long"}},
	} {
		require.ErrorContains(t, run(t.Context(), io.Discard, parse(t, tc.args...)), tc.want)
	}
}
