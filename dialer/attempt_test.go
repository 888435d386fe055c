package dialer

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

// What becomes of dialling an address is said by its last octet.
const (
	connects = iota + 1
	waits    // for the dial to be given up
	refuses
	fails    // after a second, whatever becomes of the dial
	succeeds // after a second, whatever becomes of the dial
)

// behave is the connect of a stack whose addresses do as their last octets say. The far ends of the connections are left in
// peers.
func behave(peers chan<- net.Conn) func(context.Context, netip.AddrPort) (net.Conn, error) {
	return func(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
		last := remote.Addr().AsSlice()
		what := last[len(last)-1]
		switch what {
		case waits:
			return wait(ctx, remote)
		case refuses:
			return nil, ip.ErrConnectionRefused
		case fails, succeeds:
			time.Sleep(time.Second)
		}
		if what == fails {
			return nil, ip.ErrHostUnreachable
		}
		conn, peer := net.Pipe()
		peers <- peer
		return named{conn, remote}, nil
	}
}

// named is a connection that knows whom it leads to.
type named struct {
	net.Conn
	remote netip.AddrPort
}

func (n named) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(n.remote) }

func TestFamiliesRace(t *testing.T) {
	many := make([]string, 1000)
	for i := range many {
		many[i] = "[2001:db8::1]:80"
	}
	for _, tc := range []struct {
		name  string
		addrs []string
		want  string        // whom the connection leads to; empty: the error is
		err   string        // this
		after time.Duration // how long it took
		tried int
	}{
		{"one address", []string{"192.0.2.1:80"}, "192.0.2.1:80", "", 0, 1},
		{"a thousand", many, "[2001:db8::1]:80", "", 0, 1},
		{"the preferred one connects", []string{"192.0.2.1:80", "[2001:db8::2]:80"}, "192.0.2.1:80", "", 0, 1},
		{"the second of the preferred ones connects", []string{"[2001:db8::3]:80", "192.0.2.2:80", "[2001:db8::1]:80"},
			"[2001:db8::1]:80", "", 0, 2},
		{"IPv6 is preferred, and slow", []string{"[2001:db8::2]:80", "192.0.2.1:80"}, "192.0.2.1:80", "", fallbackDelay, 2},
		{"IPv4 is preferred, and slow", []string{"192.0.2.2:80", "[2001:db8::1]:80"}, "[2001:db8::1]:80", "", fallbackDelay, 2},
		{"the preferred one is slow, the second is not tried", []string{"[2001:db8::2]:80", "[2001:db8::1]:80", "192.0.2.1:80"},
			"192.0.2.1:80", "", fallbackDelay, 2},
		{"the other family is tried in order", []string{"[2001:db8::2]:80", "192.0.2.3:80", "192.0.2.1:80"},
			"192.0.2.1:80", "", fallbackDelay, 3},
		{"the preferred one is refused", []string{"[2001:db8::3]:80", "192.0.2.1:80"}, "192.0.2.1:80", "", 0, 2},
		{"the preferred one fails after the other began", []string{"[2001:db8::4]:80", "192.0.2.5:80"},
			"192.0.2.5:80", "", time.Second + fallbackDelay, 2},
		{"the preferred one is slow, and the other refused", []string{"[2001:db8::5]:80", "192.0.2.3:80"},
			"[2001:db8::5]:80", "", time.Second, 2},
		{"all are refused", []string{"192.0.2.3:80", "[2001:db8::3]:80", "192.0.2.3:81"},
			"", "dial tcp 192.0.2.3:80: connect: connection refused", 0, 3},
		{"the other fails first", []string{"[2001:db8::4]:80", "192.0.2.3:80"},
			"", "dial tcp [2001:db8::4]:80: connect: no route to host", time.Second, 2},
		{"both are slow", []string{"[2001:db8::2]:80", "192.0.2.2:80"}, "", "dial tcp [2001:db8::2]:80: i/o timeout", time.Hour, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // which does not end before the racers have
				s := &stack{addrs: addrPorts(tc.addrs...), connect: behave(make(chan net.Conn, 2))}
				start := time.Now()
				c, err := (&Dialer{Stack: s, Timeout: time.Hour}).Dial("tcp", "host:80")
				require.Equal(t, tc.after, time.Since(start))
				require.Len(t, s.tried, tc.tried)
				if tc.want == "" {
					require.EqualError(t, err, tc.err)
					return
				}
				require.NoError(t, err)
				require.Equal(t, tc.want, c.RemoteAddr().String())
			})
		})
	}
}

func TestFallbackDelay(t *testing.T) {
	for _, tc := range []struct {
		name    string
		network string
		delay   time.Duration
		want    time.Duration
	}{
		{"default", "tcp", 0, 300 * time.Millisecond},
		{"the shortest", "tcp", 1, 1},
		{"shorter", "tcp", 200 * time.Millisecond, 200 * time.Millisecond},
		{"longer than the address has", "tcp", time.Hour, 10 * time.Second},
		{"off", "tcp", -1, 5 * time.Second},
		{"of one family", "tcp6", 0, 5 * time.Second},
		{"of datagrams", "udp", 0, 5 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &stack{addrs: addrPorts("[2001:db8::2]:80", "192.0.2.1:80"), connect: behave(make(chan net.Conn, 1))}
				start := time.Now()
				d := Dialer{Stack: s, FallbackDelay: tc.delay, Timeout: 10 * time.Second}
				_, err := d.Dial(tc.network, "host:80")
				require.Equal(t, tc.want, time.Since(start))
				if tc.delay == time.Hour {
					require.EqualError(t, err, "dial tcp [2001:db8::2]:80: i/o timeout")
					return
				}
				require.NoError(t, err)
			})
		})
	}
}

func TestLoserIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peers := make(chan net.Conn, 2)
		s := &stack{addrs: addrPorts("[2001:db8::5]:80", "192.0.2.5:80"), connect: behave(peers)}
		c, err := (&Dialer{Stack: s, FallbackDelay: 100 * time.Millisecond}).Dial("tcp", "host:80")
		require.NoError(t, err)
		require.Equal(t, "[2001:db8::5]:80", c.RemoteAddr().String())
		<-peers
		_, err = (<-peers).Read(make([]byte, 1))
		require.Equal(t, io.EOF, err, "who came second connected for nothing")
		require.NoError(t, c.SetDeadline(time.Now()), "the winner is open")
	})
}

func TestRaceIsCancelled(t *testing.T) {
	for _, tc := range []struct {
		name  string
		after time.Duration
		named string
	}{
		{"before it begins", 0, "[2001:db8::2]:80"},
		{"while one family runs", 100 * time.Millisecond, "[2001:db8::2]:80"},
		{"while both run", time.Second, "[2001:db8::2]:80"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				if tc.after == 0 {
					cancel()
				}
				time.AfterFunc(tc.after, cancel)
				s := &stack{addrs: addrPorts("[2001:db8::2]:80", "192.0.2.2:80"), connect: wait}
				start := time.Now()
				_, err := (&Dialer{Stack: s}).DialContext(ctx, "tcp", "host:80")
				require.Equal(t, tc.after, time.Since(start))
				require.EqualError(t, err, "dial tcp "+tc.named+": operation was canceled")
			})
		})
	}
}

func TestPartialDeadline(t *testing.T) {
	now := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name      string
		left      time.Duration
		remaining int
		want      time.Duration
	}{
		{"all of it", 12 * time.Second, 1, 12 * time.Second},
		{"a half", 12 * time.Second, 2, 6 * time.Second},
		{"a third", 12 * time.Second, 3, 4 * time.Second},
		{"the least", 12 * time.Second, 999, 2 * time.Second},
		{"less than the least", 1900 * time.Millisecond, 999, 1900 * time.Millisecond},
		{"next to nothing", time.Millisecond, 1, time.Millisecond},
		{"nothing", 0, 2, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, now.Add(tc.want), partialDeadline(now, now.Add(tc.left), tc.remaining))
		})
	}
}

func TestControlIsCalledForEachAddress(t *testing.T) {
	type key struct{}
	s := &stack{addrs: addrPorts("192.0.2.3:80", "[2001:db8::3%eth0]:80", "192.0.2.1:80"), connect: behave(make(chan net.Conn, 1))}
	var calls []string
	d := Dialer{Stack: s, FallbackDelay: -1, ReadBuffer: 1000, KeepAlive: -1}
	d.Control = func(ctx context.Context, network, address string, options *Options) error {
		require.Equal(t, "value", ctx.Value(key{}))
		require.Equal(t, Options{ReadBuffer: 1000}, *options, "what the fields amount to, not what was changed for another")
		calls = append(calls, network+" "+address)
		options.WriteBuffer = 1000 * len(calls)
		options.TCP.HopLimit = 7
		return nil
	}
	ctx := context.WithValue(t.Context(), key{}, "value")
	_, err := d.DialContext(ctx, "tcp", "host:80")
	require.NoError(t, err)
	require.Equal(t, []string{"tcp4 192.0.2.3:80", "tcp6 [2001:db8::3%eth0]:80", "tcp4 192.0.2.1:80"}, calls)
	require.Equal(t, 3000, s.options.WriteBuffer)
	require.EqualValues(t, 7, s.options.TCP.HopLimit)
}

func TestControlKnowsTheFamily(t *testing.T) {
	const v4, v6 = "192.0.2.1:80", "[2001:db8::1]:80"
	for _, tc := range []struct {
		network string
		addr    netip.AddrPort
		want    string
	}{
		{"tcp", netip.MustParseAddrPort(v4), "tcp4 " + v4},
		{"tcp4", netip.MustParseAddrPort(v4), "tcp4 " + v4},
		{"tcp6", netip.MustParseAddrPort(v6), "tcp6 " + v6},
		{"udp", netip.MustParseAddrPort(v4), "udp4 " + v4},
		{"udp6", netip.MustParseAddrPort(v6), "udp6 " + v6},
		{"tcp", netip.AddrPortFrom(netip.Addr{}, 80), "tcp4 :80"},
		{"tcp6", netip.AddrPortFrom(netip.Addr{}, 80), "tcp6 :80"},
	} {
		t.Run(tc.network+" "+tc.want, func(t *testing.T) {
			var calls []string
			d := Dialer{Stack: &stack{addrs: []netip.AddrPort{tc.addr}, connect: refuse}}
			d.Control = func(_ context.Context, network, address string, _ *Options) error {
				calls = append(calls, network+" "+address)
				return nil
			}
			_, err := d.Dial(tc.network, "host:80")
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			dial := d.DialTCP
			if tc.network[:3] == "udp" {
				dial = d.DialUDP
			}
			_, err = dial(t.Context(), tc.network, netip.AddrPort{}, tc.addr)
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			require.Equal(t, []string{tc.want, tc.want}, calls)
		})
	}
}

func TestErrorOfControlIsTheDials(t *testing.T) {
	no := errors.New("no")
	s := &stack{addrs: addrPorts("192.0.2.1:80", "192.0.2.2:80"), connect: refuse}
	d := Dialer{Stack: s, Control: func(context.Context, string, string, *Options) error { return no }}
	c, err := d.Dial("tcp", "host:80")
	require.True(t, c == nil)
	require.EqualError(t, err, "dial tcp 192.0.2.1:80: no")
	require.Equal(t, no, err.(*net.OpError).Err, "nothing in between")
	require.Empty(t, s.tried, "nothing was sent")

	d.Control = func(_ context.Context, _, address string, _ *Options) error {
		if address == "192.0.2.1:80" {
			return no
		}
		return nil
	}
	_, err = d.Dial("tcp", "host:80")
	require.ErrorIs(t, err, no, "the first error")
	require.Equal(t, []string{"tcp 192.0.2.2:80"}, s.tried, "the other address may do")
}

// book is a resolver that knows some names.
type book map[string][]string

func (b book) LookupNetIP(_ context.Context, network, host string) (addrs []netip.Addr, err error) {
	for _, number := range b[network+" "+host] {
		addrs = append(addrs, netip.MustParseAddr(number))
	}
	if addrs == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

func (b book) LookupPort(_ context.Context, network, service string) (int, error) {
	if service == "echo" {
		return 7, nil
	}
	return net.LookupPort(network, service)
}

var _ Resolver = (*net.Resolver)(nil)

func TestResolver(t *testing.T) {
	names := book{
		"ip host":  {"2001:db8::1", "192.0.2.1", "::ffff:192.0.2.2"},
		"ip4 host": {"192.0.2.1"},
		"ip6 host": {"2001:db8::1"},
	}
	for _, tc := range []struct {
		network, address string
		want             []string
		err              string
	}{
		{"tcp", "host:80", []string{"tcp [2001:db8::1]:80", "tcp 192.0.2.1:80", "tcp 192.0.2.2:80"}, ""},
		{"tcp4", "host:echo", []string{"tcp4 192.0.2.1:7"}, ""},
		{"udp6", "host:80", []string{"udp6 [2001:db8::1]:80"}, ""},
		{"tcp", "192.0.2.9:80", []string{"tcp 192.0.2.9:80"}, ""},
		{"tcp", "[2001:db8::9%eth0]:80", []string{"tcp [2001:db8::9%eth0]:80"}, ""},
		{"tcp4", "[::ffff:192.0.2.9]:80", []string{"tcp4 192.0.2.9:80"}, ""},
		{"tcp6", "192.0.2.9:80", nil, "dial tcp6: address 192.0.2.9: no suitable address found"},
		{"tcp6", "[::ffff:192.0.2.9]:80", nil, "dial tcp6: address ::ffff:192.0.2.9: no suitable address found"},
		{"tcp", "other:80", nil, "dial tcp: lookup other: no such host"},
		{"tcp", "host", nil, "dial tcp: address host: missing port in address"},
		{"tcp", "host:65536", nil, "dial tcp: address 65536: invalid port"},
	} {
		t.Run(tc.network+" "+tc.address, func(t *testing.T) {
			s := &stack{connect: refuse}
			_, err := (&Dialer{Stack: s, Resolver: names}).Dial(tc.network, tc.address)
			if tc.err != "" {
				require.EqualError(t, err, tc.err)
			} else {
				require.ErrorIs(t, err, syscall.ECONNREFUSED)
			}
			require.Equal(t, tc.want, s.tried)
		})
	}
}

// silent is a resolver that never knows.
type silent struct{ book }

func (silent) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestTimeoutIncludesResolving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		d := Dialer{Stack: &stack{}, Resolver: silent{}, Timeout: time.Second}
		_, err := d.Dial("tcp", "host:80")
		require.Equal(t, time.Second, time.Since(start))
		require.EqualError(t, err, "dial tcp: i/o timeout")
		require.True(t, err.(net.Error).Timeout())

		cancel := make(chan struct{})
		time.AfterFunc(time.Second, func() { close(cancel) })
		d = Dialer{Stack: &stack{}, Resolver: silent{}, Cancel: cancel}
		_, err = d.Dial("tcp", "host:80")
		require.EqualError(t, err, "dial tcp: operation was canceled")
	})
}

func TestAddressesThatNeedNoLookingUp(t *testing.T) {
	local, remote := netip.MustParseAddrPort("192.0.2.9:1000"), netip.MustParseAddrPort("192.0.2.1:80")
	s := &stack{connect: refuse}
	d := Dialer{Stack: s, LocalAddr: &net.UnixAddr{}, Timeout: time.Minute}
	for _, tc := range []struct {
		name string
		dial func() (net.Conn, error)
		err  string
	}{
		{"TCP", func() (net.Conn, error) { return d.DialTCP(t.Context(), "tcp", local, remote) },
			"dial tcp 192.0.2.9:1000->192.0.2.1:80: connect: connection refused"},
		{"UDP", func() (net.Conn, error) { return d.DialUDP(t.Context(), "udp4", local, remote) },
			"dial udp4 192.0.2.9:1000->192.0.2.1:80: connect: connection refused"},
		{"from anywhere", func() (net.Conn, error) { return d.DialTCP(t.Context(), "tcp", netip.AddrPort{}, remote) },
			"dial tcp :0->192.0.2.1:80: connect: connection refused"},
		{"UDP's network for TCP", func() (net.Conn, error) { return d.DialTCP(t.Context(), "udp", local, remote) },
			"dial udp 192.0.2.9:1000->192.0.2.1:80: unknown network udp"},
		{"no network", func() (net.Conn, error) { return d.DialUDP(t.Context(), "", local, remote) },
			"dial 192.0.2.9:1000->192.0.2.1:80: unknown network "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := tc.dial()
			require.True(t, c == nil)
			require.EqualError(t, err, tc.err)
		})
	}
	require.Len(t, s.tried, 3)
}
