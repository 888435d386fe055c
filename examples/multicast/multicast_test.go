package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/internal/netns"
)

// parse is what the command line says.
func parse(t *testing.T, args ...string) (*options, []string) {
	t.Helper()
	fs := flag.NewFlagSet("multicast", flag.ContinueOnError)
	o := register(fs)
	require.NoError(t, fs.Parse(args))
	return o, fs.Args()
}

// multicast runs the program in virtual time, and returns the lines that it prints, those of one second in the order of the alphabet:
// who hears a line may do so before the other one goes on speaking.
func multicast(t *testing.T, args ...string) ([]string, error) {
	var out bytes.Buffer
	var err error
	synctest.Test(t, func(t *testing.T) {
		o, groups := parse(t, args...)
		err = run(t.Context(), strings.NewReader(""), &out, o, groups)
	})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	slices.Sort(lines)
	return lines, err
}

func TestBothFamilies(t *testing.T) {
	lines, err := multicast(t, "-lines", "1")
	require.NoError(t, err)
	require.Equal(t, []string{
		`0.000  first joins 239.255.69.1`,
		`0.000  first joins ff15::69:1`,
		`0.000  second joins 239.255.69.1`,
		`0.000  second joins ff15::69:1`,
		`1.000  first says in 239.255.69.1: "line 1"`,
		`1.000  first says in ff15::69:1: "line 1"`,
		`1.000  second hears 192.168.69.1 in 239.255.69.1: "line 1"`,
		`1.000  second hears fdaa::1 in ff15::69:1: "line 1"`,
		`2.000  first hears 192.168.69.100 in 239.255.69.1: "line 1"`,
		`2.000  first hears fdaa::100 in ff15::69:1: "line 1"`,
		`2.000  second says in 239.255.69.1: "line 1"`,
		`2.000  second says in ff15::69:1: "line 1"`,
	}, lines)
}

func TestOneSource(t *testing.T) {
	lines, err := multicast(t, "-lines", "1", "-source", "192.168.69.1", "232.1.2.3")
	require.NoError(t, err)
	require.Equal(t, []string{
		`0.000  first joins 232.1.2.3 for 192.168.69.1`,
		`0.000  second joins 232.1.2.3 for 192.168.69.1`,
		`1.000  first says in 232.1.2.3: "line 1"`,
		`1.000  second hears 192.168.69.1 in 232.1.2.3: "line 1"`,
		`2.000  second says in 232.1.2.3: "line 1"`, // which the first has not asked for
	}, lines)
	lines, err = multicast(t, "-lines", "1", "-source", "192.168.69.1", "-source", "fdaa::1")
	require.NoError(t, err)
	require.Contains(t, lines, `1.000  second hears fdaa::1 in ff35::8000:6901: "line 1"`)
}

func TestTrace(t *testing.T) {
	lines, err := multicast(t, "-lines", "1", "-trace", "239.1.2.3")
	require.NoError(t, err)
	require.Contains(t, strings.Join(lines, "\n"), "192.168.69.1 > 224.0.0.22: igmp v3 report, 1 group record(s) [gaddr 239.1.2.3 to_ex { }]")
	require.Contains(t, strings.Join(lines, "\n"), "192.168.69.1.5000 > 239.1.2.3.5000: UDP, length 6")
}

func TestWhatCannotBe(t *testing.T) {
	for _, tc := range []struct {
		want string
		args []string
	}{
		{"-device token-ring: there is pipe, tap:NAME and tun:NAME", []string{"-device", "token-ring"}},
		{"192.168.69.1 is no multicast group", []string{"192.168.69.1"}},
		{"somebody is no multicast group", []string{"somebody"}},
		{"ff15::1: no -source is of its family", []string{"-source", "192.168.69.1", "ff15::1"}},
		{"invalid argument", []string{"-ttl", "256"}},
		{"listen udp :65536: bind: invalid argument", []string{"-port", "65536"}},
	} {
		_, err := multicast(t, tc.args...)
		require.ErrorContains(t, err, tc.want)
	}
}

// A group of the kernel's sockets hears what is typed, and is heard.
func TestTalksToTheKernel(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	require.NoError(t, netns.AddTap("smol0"))
	require.NoError(t, netns.AddAddress("smol0", device.Peer[0]))
	require.NoError(t, netns.Up("smol0"))
	smol0, err := net.InterfaceByName("smol0")
	require.NoError(t, err)
	group := &net.UDPAddr{IP: net.ParseIP("239.255.69.1"), Port: 5000}
	kernel, err := net.ListenMulticastUDP("udp4", smol0, group)
	require.NoError(t, err)
	defer kernel.Close()
	require.NoError(t, kernel.SetDeadline(time.Now().Add(30*time.Second)))

	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	typed, in := io.Pipe()
	said, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		o, groups := parse(t, "-device", "tap:smol0", group.IP.String())
		done <- run(ctx, typed, out, o, groups)
	}()
	heard := make(chan string, 1)
	go func() {
		var all strings.Builder
		b := make([]byte, 1000)
		for !strings.Contains(all.String(), "hears") {
			n, err := said.Read(b)
			if err != nil {
				break
			}
			all.Write(b[:n])
		}
		heard <- all.String()
		io.Copy(io.Discard, said)
	}()
	_, err = io.WriteString(in, "hello, kernel\n")
	require.NoError(t, err)
	b := make([]byte, 1500)
	n, from, err := kernel.ReadFromUDP(b)
	require.NoError(t, err)
	require.Equal(t, "hello, kernel", string(b[:n]))
	require.Equal(t, "192.168.69.1:5000", from.String())
	// A tap that has only just been attached to loses what the kernel sends, until it has taken note of that.
	var lines string
	for lines == "" {
		_, err = kernel.WriteTo([]byte("hello, stack"), group)
		require.NoError(t, err)
		select {
		case lines = <-heard:
		case <-time.After(10 * time.Millisecond):
		}
	}
	require.Contains(t, lines, `hears 192.168.69.100 in 239.255.69.1: "hello, stack"`)
	interrupt()
	require.NoError(t, <-done)
}
