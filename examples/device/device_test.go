package device_test

import (
	"bytes"
	"flag"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/smolnet"
)

func parse(t *testing.T, args ...string) (*device.Flags, error) {
	t.Helper()
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	f := device.Register(fs, "pipe", "loopback")
	return f, fs.Parse(args)
}

// pass sends a frame through a device with the flags, and returns what comes out.
func pass(t *testing.T, f *device.Flags, out io.Writer) int {
	t.Helper()
	inner, peer := pipe.New(pipe.Config{})
	defer peer.Close()
	wrapped, err := f.Wrap(inner, out)
	require.NoError(t, err)
	p := packet.New(64)
	clear(p.Append(64))
	pkts := []*packet.Packet{p}
	now := time.Now()
	_, err = wrapped.Send(now, pkts)
	require.NoError(t, err)
	n, err := peer.Receive(now.Add(time.Minute), pkts)
	require.NoError(t, err)
	for _, p := range pkts[:n] {
		p.Release()
	}
	require.NoError(t, wrapped.Close())
	return n
}

func TestFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "record.pcapng")
	f, err := parse(t, "-addr", "192.168.69.1/24", "-addr", "fdaa::1/64", "-gateway", "192.168.69.100", "-gateway", "fdaa::100",
		"-mac", "02:00:00:00:00:01", "-pcap", file, "-trace")
	require.NoError(t, err)
	require.Equal(t, "pipe", f.Name)
	var out bytes.Buffer
	require.Equal(t, 1, pass(t, f, &out))
	require.Contains(t, out.String(), "00:00:00:00:00:00 > 00:00:00:00:00:00")
	record, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Greater(t, len(record), 64+28, "the frame is in it")

	ifc := f.Interface(nil)
	require.Equal(t, wire.HardwareAddr{2, 0, 0, 0, 0, 1}, ifc.HardwareAddr)
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("192.168.69.1/24"), netip.MustParsePrefix("fdaa::1/64")}, ifc.Addresses)
	require.Equal(t, ifc.Addresses, f.Interface(nil, device.Own[0]).Addresses)
	require.Len(t, ifc.Routes, 2)
	require.Equal(t, "0.0.0.0/0 via 192.168.69.100 link 0 metric 0", ifc.Routes[0].String())
	require.Equal(t, "::/0 via fdaa::100 link 0 metric 0", ifc.Routes[1].String())
}

func TestFaultFlags(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want int
	}{
		{"none", nil, 1},
		{"everything is lost", []string{"-drop-chance", "1"}, 0},
		{"everything comes twice", []string{"-duplicate-chance", "1", "-seed", "7"}, 1}, // in two batches
		{"nothing is small enough", []string{"-size-limit", "10"}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := parse(t, tc.args...)
			require.NoError(t, err)
			require.Equal(t, tc.want, pass(t, f, io.Discard))
		})
	}
}

func TestWrongFlags(t *testing.T) {
	for _, args := range [][]string{
		{"-addr", "192.168.69.1"}, {"-addr", "nowhere/24"}, {"-gateway", "192.168.69"}, {"-mac", "02:00"},
		{"-mac", "02:00:00:00:00:00:00:01"}, {"-drop-chance", "often"}, {"-delay", "1"},
	} {
		_, err := parse(t, args...)
		require.ErrorContains(t, err, args[0], "%v", args)
	}
	f, err := parse(t, "-drop-chance", "2")
	require.NoError(t, err)
	inner, _ := pipe.New(pipe.Config{})
	_, err = f.Wrap(inner, io.Discard)
	require.ErrorContains(t, err, "2")
	_, err = inner.Send(time.Now(), nil)
	require.ErrorIs(t, err, net.ErrClosed, "the device is closed")
	f, _ = parse(t, "-device", "token-ring")
	_, err = f.Open(io.Discard)
	require.EqualError(t, err, "-device token-ring: there is pipe, loopback, tap:NAME and tun:NAME")
}

func TestStack(t *testing.T) {
	f, err := parse(t)
	require.NoError(t, err)
	inner, _ := pipe.New(pipe.Config{})
	stack, link, err := device.NewStack(smolnet.Config{}, f.Interface(inner, device.Own...))
	require.NoError(t, err)
	require.Equal(t, device.Own[0], link.Addresses()[0].Prefix, "as -addr does not say otherwise")
	require.NoError(t, stack.Close())

	inner, _ = pipe.New(pipe.Config{})
	_, _, err = device.NewStack(smolnet.Config{}, smolnet.Interface{Device: inner, MTU: 1e6})
	require.ErrorIs(t, err, core.ErrConfig)
	_, err = inner.Send(time.Now(), nil)
	require.ErrorIs(t, err, net.ErrClosed, "the device is closed")
}

func TestLinesAreWholeAndInOrder(t *testing.T) {
	var out bytes.Buffer
	lines := device.Lines(&out)
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 100 {
				io.WriteString(lines, "a line\n")
			}
		})
	}
	writers.Wait()
	require.Equal(t, strings.Repeat("a line\n", 800), out.String())
}
