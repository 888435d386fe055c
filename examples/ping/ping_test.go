package main

import (
	"bytes"
	"context"
	"flag"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/examples/device"
)

// on is what the command line says of the device.
func on(t *testing.T, name string, args ...string) *device.Flags {
	t.Helper()
	fs := flag.NewFlagSet("ping", flag.ContinueOnError)
	flags := device.Register(fs, "pipe")
	require.NoError(t, fs.Parse(append([]string{"-device", name}, args...)))
	return flags
}

// ping runs the program in virtual time.
func ping(t *testing.T, name string, o options, targets ...string) (out string, err error) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		err = run(t.Context(), &b, on(t, name), o, targets)
		out = b.String()
	})
	return out, err
}

var usual = options{count: 3, interval: time.Second, size: 56, timeout: 10 * time.Second}

func TestBothFamiliesFirstPacketAnswered(t *testing.T) {
	out, err := ping(t, "pipe", usual)
	require.NoError(t, err)
	require.Equal(t, `PING 192.168.69.100 (192.168.69.100) 56(84) bytes of data.
64 bytes from 192.168.69.100: icmp_seq=1 ttl=64 time=0.000 ms
64 bytes from 192.168.69.100: icmp_seq=2 ttl=64 time=0.000 ms
64 bytes from 192.168.69.100: icmp_seq=3 ttl=64 time=0.000 ms

--- 192.168.69.100 ping statistics ---
3 packets transmitted, 3 received, 0% packet loss, time 2000ms
rtt min/avg/max/mdev = 0.000/0.000/0.000/0.000 ms

PING fdaa::100 (fdaa::100) 56 data bytes
64 bytes from fdaa::100: icmp_seq=1 ttl=64 time=0.000 ms
64 bytes from fdaa::100: icmp_seq=2 ttl=64 time=0.000 ms
64 bytes from fdaa::100: icmp_seq=3 ttl=64 time=0.000 ms

--- fdaa::100 ping statistics ---
3 packets transmitted, 3 received, 0% packet loss, time 2000ms
rtt min/avg/max/mdev = 0.000/0.000/0.000/0.000 ms

`, out)
}

func TestPingOfNobody(t *testing.T) {
	out, err := ping(t, "pipe", options{count: 1, interval: time.Second, size: 4, timeout: time.Minute}, "192.168.69.77")
	require.ErrorContains(t, err, "192.168.69.77 does not answer")
	require.Equal(t, `PING 192.168.69.77 (192.168.69.77) 4(32) bytes of data.
From 192.168.69.1 Destination Host Unreachable

--- 192.168.69.77 ping statistics ---
1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 3000ms

`, out)
}

func TestPingWithoutRoomForTheTime(t *testing.T) {
	out, err := ping(t, "pipe", options{count: 1, size: 0, timeout: time.Second}, "127.0.0.1")
	require.NoError(t, err)
	require.Contains(t, out, "8 bytes from 127.0.0.1: icmp_seq=1 ttl=64\n")
	require.NotContains(t, out, "rtt")
}

func TestPingWhatDoesNotArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		flags := on(t, "pipe", "-drop-chance", "0.3", "-seed", "1", "-trace")
		require.NoError(t, run(t.Context(), device.Lines(&out), flags, options{count: 100, interval: time.Second}, []string{"192.168.69.100"}))
		require.Regexp(t, `100 packets transmitted, [3-6]\d received, (\+\d errors, )?[3-6]\d% packet loss`, out.String())
		require.Contains(t, out.String(), "out IP 192.168.69.1 > 192.168.69.100: ICMP echo request, id ")
	})
}

func TestPingUntilInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		var out bytes.Buffer
		require.NoError(t, run(ctx, &out, on(t, "pipe"), options{interval: time.Second, size: 56}, []string{"::1"}))
		require.Contains(t, out.String(), "3 packets transmitted, 3 received, 0% packet loss, time 2500ms\n")
	})
}

func TestStatistics(t *testing.T) {
	var s statistics
	require.True(t, s.add(1, 10*time.Millisecond))
	require.True(t, s.add(2, 20*time.Millisecond))
	require.False(t, s.add(2, 99*time.Millisecond), "it came before")
	require.True(t, s.add(3, 60*time.Millisecond))
	s.errors = 2
	var out bytes.Buffer
	s.print(&out, "somebody", 7, 6*time.Second)
	require.Equal(t, "\n--- somebody ping statistics ---\n"+
		"7 packets transmitted, 3 received, +1 duplicates, +2 errors, 57.14% packet loss, time 6000ms\n"+
		"rtt min/avg/max/mdev = 10.000/30.000/60.000/21.602 ms\n\n", out.String())
}

func TestWhatCannotBe(t *testing.T) {
	for _, tc := range []struct {
		device string
		o      options
		target string
		want   string
	}{
		{"token-ring", usual, "::1", "-device token-ring: there is pipe, tap:NAME and tun:NAME"},
		{"pipe", options{count: -1}, "::1", "-c, -i, -W and -s cannot be negative"},
		{"pipe", options{ttl: 256}, "::1", "invalid argument"},
		{"pipe", options{count: 1, size: 70000}, "::1", "message too long"},
		{"pipe", usual, "8.8.8.8", "network is unreachable"},
		{"pipe", usual, "nobody.example", "nobody.example"},
	} {
		_, err := ping(t, tc.device, tc.o, tc.target)
		require.ErrorContains(t, err, tc.want)
	}
}
