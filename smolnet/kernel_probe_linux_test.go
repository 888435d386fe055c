package smolnet_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

// program runs a program to its end, and returns what it has printed and the status that it has ended with. Where there is none
// of the name the test is skipped, outside CI.
func program(t *testing.T, name string, args ...string) (printed string, status int) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "" {
		t.Skip(err) // under CI it is installed
	}
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	b, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.Exited() {
		return string(b), ended.ExitCode()
	}
	require.NoError(t, err, "%s", b)
	return string(b), 0
}

// ndisc6 finds the stack, at all of its addresses and no others. rdisc6 does not: the stack is no router.
func TestKernelDiscoveryPrograms(t *testing.T) {
	withKernel(t, overTap.recorded(), func(t *testing.T, c *cable) {
		hardware := c.link.HardwareAddr()
		for _, own := range []netip.Addr{c.stack.ipv6, c.stack.linkLocal} {
			printed, status := program(t, "ndisc6", "-1", "-q", "-w", "10000", own.String(), kernelInterface)
			require.Zero(t, status, printed)
			require.True(t, strings.EqualFold(hardware.String(), strings.TrimSpace(printed)), "%v has %s", own, printed)
		}
		printed, status := program(t, "ndisc6", "-r", "1", "-w", "200", "-m", "fdaa::77", kernelInterface)
		require.Equal(t, 2, status, printed)
		require.Contains(t, printed, "No response")

		for _, target := range []string{"ff02::2", "ff02::1", c.stack.linkLocal.String()} {
			printed, status := program(t, "rdisc6", "-r", "1", "-w", "200", target, kernelInterface)
			require.Equal(t, 2, status, printed)
			require.Contains(t, printed, "No response")
		}
		require.NotZero(t, c.stack.stack.Counters().ICMPv6.InType[wire.ICMPv6RouterSolicitation], "though it was asked")
	})
}

// scans are what nmap is asked to do, and what it is to find: TCP port 80 is open, and UDP port 7, and no others are.
var scans = []struct {
	name  string
	args  []string
	ipv4  bool // only
	wants []string
}{
	{"connecting", []string{"-sT", "-p", "75-85"}, false, []string{`80/tcp +open `, `79/tcp +closed`, `81/tcp +closed`}},
	{"half open", []string{"-sS", "-p", "75-85"}, false, []string{`80/tcp +open `, `79/tcp +closed`}},
	{"all flags", []string{"-sX", "-p", "80,81"}, false, []string{`80/tcp +open\|filtered`, `81/tcp +closed`}},
	{"by ACK", []string{"-sA", "-p", "80,81"}, false, []string{`80/tcp +unfiltered`, `81/tcp +unfiltered`}},
	{"of UDP", []string{"-sU", "-p", "6-8"}, false, []string{`7/udp +open `, `6/udp +closed`, `8/udp +closed`}},
	{"of protocols", []string{"-sO", "-p", "1,6,17,47,132"}, true,
		[]string{`1 +open +icmp`, `6 +open +tcp`, `17 +open`, `47 +closed`, `132 +closed`}},
	{"in fragments", []string{"-sS", "-p", "79,80", "--mtu", "24", "--data-length", "60"}, true,
		[]string{`80/tcp +open `, `79/tcp +closed`}},
	// RFC 1858 has fragments dropped that are so small that a TCP header is in several.
	{"in tiny fragments", []string{"-sS", "-p", "79,80", "-f"}, true, []string{`80/tcp +filtered`, `79/tcp +filtered`}},
	{"with bad checksums", []string{"-sS", "-p", "80,81", "--badsum"}, true, []string{`80/tcp +filtered`, `81/tcp +filtered`}},
	{"of the way", []string{"--traceroute", "-sS", "-p", "80"}, false, []string{`80/tcp +open `}},
	{"of the system", []string{"-O", "--max-os-tries", "1", "-p", "79,80"}, false, []string{`80/tcp +open `, `79/tcp +closed`}},
}

// nmap finds what there is, by all its means, and nothing breaks.
func TestKernelPortScans(t *testing.T) {
	for _, version := range []string{"-4", "-6"} {
		t.Run("IPv"+version[1:], func(t *testing.T) {
			withKernel(t, overTap.recorded(), func(t *testing.T, c *cable) {
				target := c.stack.ipv4
				if version == "-6" {
					target = c.stack.ipv6
				}
				open, err := c.stack.listen("tcp", "[::]:80")
				require.NoError(t, err)
				defer open.Close()
				socket, err := c.stack.listenPacket("udp", "[::]:7")
				require.NoError(t, err)
				defer socket.Close()
				go echo(socket)
				for _, scan := range scans {
					if target.Is6() && scan.ipv4 {
						continue
					}
					t.Run(scan.name, func(t *testing.T) {
						args := append([]string{version, "-n", "-Pn", "-T5", "--max-retries", "1", target.String()}, scan.args...)
						printed, status := program(t, "nmap", args...)
						require.Zero(t, status, printed)
						for _, want := range scan.wants {
							require.Regexp(t, `(?m)^`+want, printed)
						}
					})
				}
				c.inEveryWay(t, bothAtOnce)
			})
		})
	}
}

// echo sends back whatever a socket is sent.
func echo(socket net.PacketConn) {
	b := make([]byte, 1<<16)
	for {
		n, from, err := socket.ReadFrom(b)
		if err != nil {
			return
		}
		_, _ = socket.WriteTo(b[:n], from)
	}
}
