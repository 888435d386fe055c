package main

import (
	"bytes"
	"flag"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/examples/device"
)

func look(t *testing.T, server, kind, name string, names ...string) (string, error) {
	var out bytes.Buffer
	err := run(t.Context(), device.Lines(&out), server, kind, on(t, name), names)
	return out.String(), err
}

// on is what the command line says of the device.
func on(t *testing.T, name string, args ...string) *device.Flags {
	t.Helper()
	fs := flag.NewFlagSet("dns", flag.ContinueOnError)
	flags := device.Register(fs, "pipe")
	require.NoError(t, fs.Parse(append([]string{"-device", name}, args...)))
	return flags
}

func TestQuestionsAndAnswersAreTraced(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), device.Lines(&out), "", "A", on(t, "pipe", "-trace"), []string{"www.example"}))
	require.Contains(t, out.String(), " > 192.168.69.100.53: ")
	require.Contains(t, out.String(), "192.168.69.100.53 > 192.168.69.1.")
	require.Contains(t, out.String(), "www.example\tA\t192.168.69.80\n")
}

func TestEverythingInTheZone(t *testing.T) {
	out, err := look(t, "", "", "pipe")
	require.NoError(t, err)
	require.Equal(t, `www.example	A	192.168.69.80
www.example	AAAA	fdaa::80
web.example	A	192.168.69.80
web.example	CNAME	www.example.
example	NS	ns.example.
example	MX	10 mail.example.
example	MX	20 ns.example.
example	TXT	"a zone for show"
long.example	TXT	"`+strings.Repeat("very ", 100)+`long"
_http._tcp.example	SRV	1 1 80 www.example.
192.168.69.80	PTR	www.example.
localhost	AAAA	::1
localhost	A	127.0.0.1
nobody.example	lookup nobody.example on 192.168.69.100:53: no such host
`, out)
}

func TestNamesAndServersOfOnesOwn(t *testing.T) {
	for _, tc := range []struct {
		server, kind string
		names        []string
		want         string
	}{
		{"", "", []string{"ns.example", "192.168.69.80"}, "ns.example\tA\t192.168.69.100\n192.168.69.80\tPTR\twww.example.\n"},
		{"fdaa::100", "aaaa", []string{"www.example"}, "www.example\tAAAA\tfdaa::80\n"},
		{"[fdaa::100]:53", "mx", []string{"www.example"}, "www.example\tlookup www.example on [fdaa::100]:53: no such host\n"},
	} {
		out, err := look(t, tc.server, tc.kind, "pipe", tc.names...)
		require.NoError(t, err)
		require.Equal(t, tc.want, out)
	}
}

func TestWhatCannotBe(t *testing.T) {
	for _, tc := range []struct{ server, kind, device, want string }{
		{"", "LOC", "pipe", "-type LOC: there is A, AAAA, CNAME, MX, NS, PTR, SRV and TXT"},
		{"somebody", "", "pipe", "-server somebody: it is no address"},
		{"0.0.0.0", "", "pipe", "Servers: 0.0.0.0 is no unicast address"},
		{"", "", "token-ring", "-device token-ring: there is pipe, tap:NAME and tun:NAME"},
		{"", "", "tap:", "-device tap:: there is pipe, tap:NAME and tun:NAME"},
	} {
		_, err := look(t, tc.server, tc.kind, tc.device, "www.example")
		require.ErrorContains(t, err, tc.want)
	}
}
