package main

import (
	"bytes"
	"context"
	"flag"
	"os"
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
	fs := flag.NewFlagSet("slaac", flag.ContinueOnError)
	o := register(fs)
	require.NoError(t, fs.Parse(append([]string{"-mac", "02:00:00:00:00:01"}, args...)))
	return o
}

// slaac runs the program in virtual time, and returns what it prints, but for when, and for when somebody solicits.
func slaac(t *testing.T, args ...string) (string, error) {
	var out bytes.Buffer
	var err error
	synctest.Test(t, func(t *testing.T) { err = run(t.Context(), &out, parse(t, args...)) })
	var kept strings.Builder
	for line := range strings.Lines(out.String()) {
		if line = line[10:]; !strings.HasSuffix(line, "solicits\n") {
			kept.WriteString(line)
		}
	}
	return kept.String(), err
}

func TestEverythingIsLearntAndWearsOff(t *testing.T) {
	out, err := slaac(t, "-advertise", "2001:db8:1::/64", "-lifetime", "1h", "-interval", "10m", "-dns", "2001:db8::1", "-domain", "lab.example")
	require.NoError(t, err)
	for _, want := range []string{
		"router: 02:00:00:00:00:fe advertises 2001:db8:1::/64 for 1h0m0s, every 10m0s\n",
		"address added: fe80::ff:fe00:1/64 tentative link-local (link 2)\n",
		"route added: 2001:db8:1::/64 link 2 metric 256 (link 2)\n",
		"address added: 2001:db8:1::ff:fe00:1/64 tentative autoconf (link 2)\npreferred for 40m0s, valid for 1h0m0s\n",
		"route added: ::/0 via fe80::ff:fe00:fe link 2 metric 1024 (link 2)\n",
		"router found: fe80::ff:fe00:fe (link 2)\nrouter fe80::ff:fe00:fe: leads everywhere for 1h0m0s, medium preference, reachable\n",
		"prefixes changed: (link 2)\nprefix 2001:db8:1::/64: on the link: for 1h0m0s; for addresses: for 1h0m0s\n",
		"servers changed: (link 2)\nname server 2001:db8::1 for 1h0m0s\ndomain lab.example for 1h0m0s\n" +
			"names: of [[2001:db8::1]:53], below [lab.example.]\n",
		"address changed: 2001:db8:1::ff:fe00:1/64 preferred autoconf (link 2)\n",
		"router: farewell\n",
		"address changed: 2001:db8:1::ff:fe00:1/64 deprecated autoconf (link 2)\npreferred no longer, valid for 50m0s\n",
		"router lost: fe80::ff:fe00:fe (link 2)\n",
		"servers changed: (link 2)\nnames: of [], below []\n",
		"address removed: 2001:db8:1::ff:fe00:1/64 deprecated autoconf (link 2)\n",
	} {
		i := strings.Index(out, want)
		require.GreaterOrEqual(t, i, 0, "%s is to come in its turn in\n%s", want, out)
		out = out[i:]
	}
	require.NotContains(t, out, "temporary")
}

func TestTemporaryAndStableAddresses(t *testing.T) {
	out, err := slaac(t, "-temporary", "-secret", "nobody knows")
	require.NoError(t, err)
	stable := regexp.MustCompile(`address removed: (2001:db8:69:\S+)/64 deprecated autoconf \(`).FindStringSubmatch(out)
	require.NotNil(t, stable, out)
	require.NotContains(t, stable[1], "ff:fe00:1", "it does not tell of the hardware address")
	require.Regexp(t, `address removed: 2001:db8:69:\S+/64 deprecated autoconf temporary`, out)
	again, err := slaac(t, "-secret", "nobody knows")
	require.NoError(t, err)
	require.Contains(t, again, stable[1], "it is the same the next time")
}

func TestWhatCannotBe(t *testing.T) {
	for _, tc := range []struct {
		want string
		args []string
	}{
		{"-device token-ring: there is pipe, tap:NAME and tun:NAME", []string{"-device", "token-ring"}},
		{"-advertise: it is no prefix of IPv6", []string{"-advertise", "10.0.0.0/8"}},
		{"-interval", []string{"-interval", "0"}},
		{"-lifetime", []string{"-lifetime", "1ms"}},
	} {
		_, err := slaac(t, tc.args...)
		require.ErrorContains(t, err, tc.want)
	}
}

// The kernel makes itself an address from what is advertised.
func TestAdvertisesOnATapUntilInterrupted(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	require.NoError(t, netns.AddTap("smol0"))
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv6/conf/smol0/accept_ra", []byte("1"), 0o644))
	ctx, interrupt := context.WithTimeout(t.Context(), time.Minute)
	defer interrupt()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, new(bytes.Buffer), parse(t, "-device", "tap:smol0", "-advertise", "2001:db8:7::/64", "-interval", "100ms", "-lifetime", "1h"))
	}()
	require.NoError(t, netns.Up("smol0"))
	require.Eventually(t, func() bool {
		addresses, err := os.ReadFile("/proc/net/if_inet6")
		require.NoError(t, err)
		return strings.Contains(string(addresses), "20010db80007")
	}, 30*time.Second, 10*time.Millisecond)
	interrupt()
	require.NoError(t, <-done)
}
