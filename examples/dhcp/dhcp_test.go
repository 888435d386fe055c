package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/internal/netns"
)

// parse is what the command line says.
func parse(t *testing.T, args ...string) *options {
	t.Helper()
	fs := flag.NewFlagSet("dhcp", flag.ContinueOnError)
	o := register(fs)
	require.NoError(t, fs.Parse(args))
	return o
}

// dhcp runs the program in virtual time, and returns what it prints about the client, and about the server. Times, and what is of IPv6,
// are left out.
func dhcp(t *testing.T, args ...string) (client, server string, err error) {
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) { err = run(t.Context(), &out, parse(t, args...)) })
	var lines [2]strings.Builder
	for line := range strings.Lines(out.String()) {
		line = times.ReplaceAllString(line[10:], "TIME")
		if said, ok := strings.CutPrefix(line, "server: "); ok {
			lines[1].WriteString(said)
		} else if !strings.Contains(line, ":: ") && !strings.Contains(line, "fe80:") && !strings.Contains(line, "ff02:") {
			lines[0].WriteString(line)
		}
	}
	return lines[0].String(), lines[1].String(), err
}

var times = regexp.MustCompile(`\b(\d+h)?(\d+m)?\d+s\b`)

func TestLease(t *testing.T) {
	client, server, err := dhcp(t, "-mac", "02:00:00:00:00:01", "-addr", "10.0.0.1/8", "-serve", "10.0.0.7-10.0.0.9",
		"-dns", "10.0.0.2", "-dns", "10.0.0.3", "-gateway", "10.0.0.4", "-domain", "lab.example", "-lease", "2h")
	require.NoError(t, err)
	require.Equal(t, `02:00:00:00:00:01 asks for a lease
group joined: 224.0.0.1 (link 2)
route added: 10.0.0.0/8 link 2 metric 0 (link 2)
address added: 10.0.0.7/8 tentative dhcpv4 (link 2)
address changed: 10.0.0.7/8 preferred dhcpv4 (link 2)
address changed: 10.0.0.7/8 preferred dhcpv4 (link 2)
route added: 0.0.0.0/0 via 10.0.0.4 link 2 metric 0 (link 2)
lease bound: 10.0.0.7/8 from 10.0.0.1 (link 2)
routers [10.0.0.4], name servers [10.0.0.2 10.0.0.3], domains [lab.example]
`, client[:strings.Index(client, "valid")])
	require.Contains(t, client, `servers changed: (link 2)
names: of [10.0.0.2:53 10.0.0.3:53], below [lab.example.]
`)
	require.Equal(t, 3, strings.Count(client, "lease bound: "), "at first, and when it was renewed")
	require.Contains(t, client, `renewed 2 times: the lease is given back
`)
	require.Contains(t, client, `lease lost: 10.0.0.7/8 from 10.0.0.1 dhcpv4: the lease was released (link 2)
servers changed: (link 2)
names: of [], below []
`)
	require.Equal(t, []string{
		"10.0.0.1/8 hands out 10.0.0.7-10.0.0.9 for TIME",
		"10.0.0.7 is leased to 02:00:00:00:00:01 guest for TIME",
		"10.0.0.7 is leased to 02:00:00:00:00:01 guest for TIME", // renewed
		"10.0.0.7 is free again, which was 02:00:00:00:00:01 guest's", "",
	}, strings.Split(server, "\n"))
}

func TestRequestedAddress(t *testing.T) {
	client, server, err := dhcp(t, "-request", "192.168.69.150", "-hostname", "", "-mac", "02:00:00:00:00:02", "-renewals", "1")
	require.NoError(t, err)
	require.Contains(t, client, "lease bound: 192.168.69.150/24 from 192.168.69.1")
	require.Contains(t, server, "192.168.69.150 is leased to 02:00:00:00:00:02 for")
}

func TestLinkLocalWhileNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var out bytes.Buffer
		require.NoError(t, run(ctx, &out, parse(t, "-link-local", "-drop-chance", "1")))
		require.Regexp(t, `address changed: 169\.254\.\d+\.\d+/16 preferred link-local`, out.String())
		require.Contains(t, out.String(), "renewed 0 times")
		require.NotContains(t, out.String(), "lease bound")
	})
}

func TestWhatCannotBe(t *testing.T) {
	for _, tc := range []struct {
		want string
		args []string
	}{
		{"-device token-ring: there is pipe, tap:NAME and tun:NAME", []string{"-device", "token-ring"}},
		{"-serve 192.168.69.7: it is no range of addresses", []string{"-serve", "192.168.69.7"}},
		{"First and Last are no range of 192.168.69.1/24: 10.0.0.1-10.0.0.2", []string{"-serve", "10.0.0.1-10.0.0.2"}},
		{"-addr: a server needs an address of IPv4", []string{"-addr", "fdaa::1/64"}},
		{"Hostname", []string{"-hostname", "\x00"}},
		{"RequestedAddr", []string{"-request", "224.0.0.1"}},
		{"LeaseTime", []string{"-lease", "1ms"}},
	} {
		_, _, err := dhcp(t, tc.args...)
		require.ErrorContains(t, err, tc.want)
	}
}

// A client of others' gets a lease on a tap.
func TestServesOnATapUntilInterrupted(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	path, err := exec.LookPath("udhcpc")
	if err != nil && os.Getenv("CI") == "" {
		t.Skip(err) // under CI it is installed
	}
	require.NoError(t, err)
	require.NoError(t, netns.AddTap("smol0"))
	require.NoError(t, netns.Up("smol0"))
	ctx, interrupt := context.WithCancel(t.Context())
	out, written := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, written, parse(t, "-device", "tap:smol0", "-serve", "192.168.69.10-192.168.69.19", "-lease", "1h"))
		written.Close()
	}()
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	require.Contains(t, lines.Text(), "server: 192.168.69.1/24 hands out 192.168.69.10-192.168.69.19 for 1h0m0s")
	udhcpc, err := exec.CommandContext(t.Context(), path, "-f", "-q", "-n", "-i", "smol0", "-s", "/bin/true").CombinedOutput()
	require.NoError(t, err, "%s", udhcpc)
	require.Contains(t, string(udhcpc), "lease of 192.168.69.10 obtained from 192.168.69.1")
	require.True(t, lines.Scan())
	require.Contains(t, lines.Text(), "192.168.69.10 is leased to ")
	interrupt()
	require.False(t, lines.Scan())
	require.NoError(t, <-done)
}
