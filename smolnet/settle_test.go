package smolnet_test

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/smolnet"
)

// While a stack's addresses of IPv6 are being looked for on their link, those of IPv4 are what names lead to, without delay.
func TestNamesLeadToIPv4WhileIPv6Settles(t *testing.T) {
	const there4, there6 = "192.168.69.100", "2001:db8::100"
	byHosts := smolnet.Config{Resolver: smolnet.ResolverConfig{Hosts: map[string][]netip.Addr{
		"both.test": {netip.MustParseAddr(there6), netip.MustParseAddr(there4)},
		"six.test":  {netip.MustParseAddr(there6)},
	}}}
	for _, tc := range []struct {
		name, host string
		resolver   dialer.Resolver
		listens    string // if not everywhere
		settled    bool
		want       string
		least      time.Duration
		most       time.Duration
	}{
		{"by the stack's resolver, which puts IPv4 first", "both.test", nil, "", false, there4, 0, 0},
		{"by the stack's resolver, later on", "both.test", nil, "", true, there6, 0, 0},
		{"IPv6 first all the same", "both.test", hostOf(there6, there4), "", false, there4, 300 * time.Millisecond, 300 * time.Millisecond},
		{"IPv4 is refused", "both.test", hostOf(there6, there4), there6, false, there6, time.Second, 2 * time.Second},
		{"IPv6 alone", "six.test", nil, "", false, there6, time.Second, 2 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := pipe.New(pipe.Config{})
				first, second := newStack(t, byHosts), newStack(t, smolnet.Config{})
				start := time.Now()
				_, err := first.AddInterface(smolnet.Interface{Device: a, Addresses: mustPrefixes("192.168.69.1/24", "2001:db8::1/64")})
				require.NoError(t, err)
				_, err = second.AddInterface(smolnet.Interface{
					Device: b, Addresses: mustPrefixes(there4+"/24", there6+"/64"), DuplicateDetection: core.DetectNone})
				require.NoError(t, err)
				listen(t, second, "tcp", net.JoinHostPort(tc.listens, "80"))
				if tc.settled {
					time.Sleep(time.Minute)
					start = time.Now()
				}
				c, err := (&dialer.Dialer{Stack: first, Resolver: tc.resolver}).Dial("tcp", tc.host+":80")
				require.NoError(t, err)
				defer c.Close()
				require.Equal(t, net.JoinHostPort(tc.want, "80"), c.RemoteAddr().String())
				took := time.Since(start)
				require.GreaterOrEqual(t, took, tc.least)
				require.LessOrEqual(t, took, tc.most)
			})
		})
	}
}

func mustPrefixes(texts ...string) (prefixes []netip.Prefix) {
	for _, text := range texts {
		prefixes = append(prefixes, netip.MustParsePrefix(text))
	}
	return prefixes
}
