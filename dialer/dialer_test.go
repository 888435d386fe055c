package dialer

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/tcp"
)

// stack answers as it is told and takes note of what it is asked.
type stack struct {
	addrs   []netip.AddrPort
	connect func(ctx context.Context, remote netip.AddrPort) (net.Conn, error)

	mu      sync.Mutex // what follows may be noted by two racers at once
	tried   []string
	local   netip.AddrPort
	options Options
}

func (s *stack) Resolve(context.Context, string, string) ([]netip.AddrPort, error) {
	return s.addrs, nil
}

func (s *stack) ConnectTCP(ctx context.Context, network string, local, remote netip.AddrPort, o Options) (net.Conn, error) {
	s.mu.Lock()
	s.tried = append(s.tried, network+" "+remote.String())
	s.local, s.options = local, o
	s.mu.Unlock()
	return s.connect(ctx, remote)
}

func (s *stack) ConnectUDP(ctx context.Context, network string, local, remote netip.AddrPort, o Options) (net.Conn, error) {
	return s.ConnectTCP(ctx, network, local, remote, o)
}

func (s *stack) ConnectIP(ctx context.Context, network string, local, remote netip.Addr, o Options) (net.Conn, error) {
	return s.ConnectTCP(ctx, network, netip.AddrPortFrom(local, 0), netip.AddrPortFrom(remote, 0), o)
}

func addrPorts(texts ...string) (addrs []netip.AddrPort) {
	for _, text := range texts {
		addrs = append(addrs, netip.MustParseAddrPort(text))
	}
	return addrs
}

func refuse(context.Context, netip.AddrPort) (net.Conn, error) { return nil, ip.ErrConnectionRefused }

func wait(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestFirstAddressThatAnswersIsUsed(t *testing.T) {
	conn, _ := net.Pipe()
	s := &stack{addrs: addrPorts("192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80")}
	s.connect = func(_ context.Context, remote netip.AddrPort) (net.Conn, error) {
		if remote == s.addrs[1] {
			return conn, nil
		}
		return nil, ip.ErrConnectionRefused
	}
	got, err := (&Dialer{Stack: s}).Dial("tcp", "host:80")
	require.NoError(t, err)
	require.Equal(t, conn, got)
	require.Equal(t, []string{"tcp 192.0.2.1:80", "tcp 192.0.2.2:80"}, s.tried)
}

func TestFirstErrorIsReported(t *testing.T) {
	s := &stack{addrs: addrPorts("192.0.2.1:80", "[2001:db8::1%eth0]:80")}
	s.connect = func(_ context.Context, remote netip.AddrPort) (net.Conn, error) {
		if remote == s.addrs[0] {
			return nil, ip.ErrConnectionRefused
		}
		return nil, ip.ErrNetworkUnreachable
	}
	c, err := (&Dialer{Stack: s}).Dial("tcp", "host:80")
	require.True(t, c == nil, "no interface around a nil pointer")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.EqualError(t, err, "dial tcp 192.0.2.1:80: connect: connection refused")
	require.Len(t, s.tried, 2)
}

func TestErrorNamesBothAddresses(t *testing.T) {
	s := &stack{addrs: addrPorts("192.0.2.1:53"), connect: refuse}
	local := &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1000}
	_, err := (&Dialer{Stack: s, LocalAddr: local}).Dial("udp4", "192.0.2.1:53")
	require.EqualError(t, err, "dial udp4 10.0.0.1:1000->192.0.2.1:53: connect: connection refused")
	require.Equal(t, netip.MustParseAddr("10.0.0.1"), s.local.Addr().Unmap())
	require.EqualValues(t, 1000, s.local.Port())
}

func TestLocalAddr(t *testing.T) {
	for _, tc := range []struct {
		name    string
		network string
		local   net.Addr
		want    []string // what is tried; none: an error
	}{
		{"of IPv4", "tcp", &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}, []string{"tcp 192.0.2.1:80"}},
		{"of IPv6", "tcp", &net.TCPAddr{IP: net.ParseIP("2001:db8::2")}, []string{"tcp [2001:db8::1]:80"}},
		{"any", "tcp", &net.TCPAddr{Port: 7}, []string{"tcp 192.0.2.1:80", "tcp [2001:db8::1]:80"}},
		{"unspecified", "tcp", &net.TCPAddr{IP: net.IPv4zero}, []string{"tcp 192.0.2.1:80", "tcp [2001:db8::1]:80"}},
		{"a nil pointer", "tcp", (*net.TCPAddr)(nil), []string{"tcp 192.0.2.1:80", "tcp [2001:db8::1]:80"}},
		{"of UDP for TCP", "tcp", &net.UDPAddr{Port: 7}, nil},
		{"of TCP for UDP", "udp", &net.TCPAddr{Port: 7}, nil},
		{"of something else", "tcp", &net.IPAddr{}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &stack{addrs: addrPorts("192.0.2.1:80", "[2001:db8::1]:80"), connect: refuse}
			_, err := (&Dialer{Stack: s, LocalAddr: tc.local}).Dial(tc.network, "host:80")
			require.Error(t, err)
			require.Equal(t, tc.want, s.tried)
			if tc.want == nil {
				var wrong *net.AddrError
				require.ErrorAs(t, err, &wrong)
				require.Equal(t, "mismatched local address type", wrong.Err)
			}
		})
	}
}

func TestLocalAddrOfAnotherFamily(t *testing.T) {
	s := &stack{addrs: addrPorts("192.0.2.1:80"), connect: refuse}
	_, err := (&Dialer{Stack: s, LocalAddr: &net.TCPAddr{IP: net.IPv6loopback}}).Dial("tcp", "192.0.2.1:80")
	require.EqualError(t, err, "dial tcp: address [::1]:0: no suitable address found")
	require.Empty(t, s.tried)
}

// port is what is left of the port 80 on the network.
func port(network string) string {
	if strings.HasPrefix(network, "ip") {
		return "0"
	}
	return "80"
}

func TestNetworks(t *testing.T) {
	for _, network := range []string{"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "ip:1", "ip4:ICMP", "ip6:ipv6-icmp"} {
		s := &stack{addrs: addrPorts("192.0.2.1:80"), connect: refuse}
		_, err := (&Dialer{Stack: s}).Dial(network, "192.0.2.1:80")
		require.ErrorIs(t, err, syscall.ECONNREFUSED, network)
		require.Equal(t, []string{network + " 192.0.2.1:" + port(network)}, s.tried, "with its protocol")
	}
	for _, network := range []string{"", "foo", "tcp5", "ip4", "ip5:icmp", "udp:1", "unix"} {
		_, err := (&Dialer{Stack: &stack{}}).Dial(network, "192.0.2.1:80")
		var unknown net.UnknownNetworkError
		require.ErrorAs(t, err, &unknown)
		require.EqualValues(t, network, unknown)
	}
	_, err := (&Dialer{Stack: &stack{}}).Dial("tcp", "")
	require.EqualError(t, err, "dial tcp: missing address")
}

func TestTimeouts(t *testing.T) {
	const forever = time.Duration(1<<63 - 1)
	for _, tc := range []struct {
		name     string
		timeout  time.Duration
		deadline time.Duration // from now on
		ctx      time.Duration
		want     time.Duration
	}{
		{"timeout", time.Second, 0, 0, time.Second},
		{"deadline", 0, time.Second, 0, time.Second},
		{"context", 0, 0, time.Second, time.Second},
		{"timeout first", time.Second, 2 * time.Second, 3 * time.Second, time.Second},
		{"deadline first", 2 * time.Second, time.Second, 3 * time.Second, time.Second},
		{"context first", 3 * time.Second, 2 * time.Second, time.Second, time.Second},
		{"timeout past", -5 * time.Second, 0, 0, 0},
		{"timeout long past", -1 << 63, 0, 0, 0},
		{"timeout past, deadline not", -5 * time.Second, 5 * time.Second, 0, 0},
		{"deadline past", 0, -5 * time.Second, 0, 0},
		{"the longest timeout", forever, 0, time.Minute, time.Minute},
		{"the latest deadline", 0, forever, time.Minute, time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				d := Dialer{Stack: &stack{addrs: addrPorts("192.0.2.1:80"), connect: wait}, Timeout: tc.timeout}
				if tc.deadline != 0 {
					d.Deadline = start.Add(tc.deadline)
				}
				ctx := t.Context()
				if tc.ctx != 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tc.ctx)
					defer cancel()
				}
				_, err := d.DialContext(ctx, "tcp", "192.0.2.1:80")
				require.Equal(t, tc.want, time.Since(start))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.True(t, err.(net.Error).Timeout())
				require.EqualError(t, err, "dial tcp 192.0.2.1:80: i/o timeout")
			})
		})
	}
}

func TestAddressesShareTheTime(t *testing.T) {
	for _, tc := range []struct {
		name    string
		addrs   int
		timeout time.Duration
		want    []time.Duration // when each is tried
		named   string          // by the error
	}{
		{"one has it all", 1, 30 * time.Second, []time.Duration{0}, "192.0.2.1:80"},
		{"evenly", 3, 30 * time.Second, []time.Duration{0, 10 * time.Second, 20 * time.Second}, "192.0.2.1:80"},
		{"at least two seconds each", 3, 3 * time.Second, []time.Duration{0, 2 * time.Second}, "192.0.2.3:80"},
		{"what there is, if that is less", 3, time.Second, []time.Duration{0}, "192.0.2.2:80"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				s := &stack{addrs: addrPorts("192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80")[:tc.addrs]}
				var tried []time.Duration
				s.connect = func(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
					tried = append(tried, time.Since(start))
					return wait(ctx, remote)
				}
				_, err := (&Dialer{Stack: s, Timeout: tc.timeout}).Dial("tcp", "host:80")
				require.EqualError(t, err, "dial tcp "+tc.named+": i/o timeout")
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, tc.want, tried)
				require.Equal(t, tc.timeout, time.Since(start))
			})
		})
	}
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		s := &stack{addrs: addrPorts("192.0.2.1:80", "192.0.2.2:80"), connect: wait}
		_, err := (&Dialer{Stack: s}).DialContext(ctx, "tcp", "host:80")
		require.ErrorIs(t, err, context.Canceled)
		require.EqualError(t, err, "dial tcp 192.0.2.2:80: operation was canceled", "the address whose turn it would be")
		require.Len(t, s.tried, 1, "nobody waits for the second address any more")
	})
}

func TestCancelOfTheDialer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, after := range []time.Duration{0, time.Second} {
			cancel := make(chan struct{})
			if after == 0 {
				close(cancel)
			} else {
				time.AfterFunc(after, func() { close(cancel) })
			}
			start := time.Now()
			s := &stack{addrs: addrPorts("192.0.2.1:80"), connect: wait}
			_, err := (&Dialer{Stack: s, Cancel: cancel}).Dial("tcp", "host:80")
			require.Equal(t, after, time.Since(start))
			require.ErrorIs(t, err, context.Canceled)
			require.EqualError(t, err, "dial tcp 192.0.2.1:80: operation was canceled")
		}
	})
}

// A caller that gives up is told so, though an address has failed before: it may ask with errors.Is.
func TestCancelAfterAnAddressHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stack{addrs: addrPorts("192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80")}
		s.connect = func(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
			if remote == s.addrs[0] {
				return nil, ip.ErrConnectionRefused
			}
			return wait(ctx, remote)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := (&Dialer{Stack: s}).DialContext(ctx, "tcp", "host:80")
		require.EqualError(t, err, "dial tcp 192.0.2.3:80: operation was canceled")
	})
}

// everlasting is a context that has no deadline, though it names a time.
type everlasting struct{ context.Context }

func (everlasting) Deadline() (time.Time, bool) { return time.Unix(0, 0), false }

func TestContextWithoutDeadlineMayNameATime(t *testing.T) {
	conn, _ := net.Pipe()
	s := &stack{addrs: addrPorts("192.0.2.1:80", "192.0.2.2:80")}
	s.connect = func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) { return conn, ctx.Err() }
	_, err := (&Dialer{Stack: s}).DialContext(everlasting{t.Context()}, "tcp", "host:80")
	require.NoError(t, err)
}

// Who replaces net.Dialer by this one may forget to set what that has not.
func TestStackIsNotSet(t *testing.T) {
	const want = "the Dialer's Stack is not set"
	var d Dialer
	_, err := d.Dial("tcp", "192.0.2.1:80")
	require.EqualError(t, err, "dial tcp: "+want)
	_, err = d.DialFastOpen(t.Context(), "tcp", "192.0.2.1:80", nil)
	require.EqualError(t, err, "dial tcp: "+want)
	_, err = d.DialUDP(t.Context(), "udp", netip.AddrPort{}, netip.MustParseAddrPort("192.0.2.1:80"))
	require.ErrorContains(t, err, want)
	require.IsType(t, (*net.OpError)(nil), err)
}

func TestNilContextPanics(t *testing.T) {
	var none context.Context
	require.Panics(t, func() { _, _ = (&Dialer{Stack: &stack{}}).DialContext(none, "tcp", "192.0.2.1:80") })
}

func TestOptions(t *testing.T) {
	config := net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: -1, Count: 3}
	for _, tc := range []struct {
		name   string
		dialer Dialer
		want   Options
	}{
		{"default", Dialer{}, Options{KeepAlive: net.KeepAliveConfig{Enable: true}}},
		{"period", Dialer{KeepAlive: time.Minute}, Options{KeepAlive: net.KeepAliveConfig{Enable: true, Idle: time.Minute}}},
		{"off", Dialer{KeepAlive: -1}, Options{}},
		{"config", Dialer{KeepAlive: -1, KeepAliveConfig: config}, Options{KeepAlive: config}},
		{"buffers", Dialer{KeepAlive: -1, ReadBuffer: 1000, WriteBuffer: 2000}, Options{ReadBuffer: 1000, WriteBuffer: 2000}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &stack{addrs: addrPorts("192.0.2.1:80"), connect: refuse}
			tc.dialer.Stack = s
			_, err := tc.dialer.Dial("tcp", "192.0.2.1:80")
			require.True(t, errors.Is(err, syscall.ECONNREFUSED))
			require.Equal(t, tc.want, s.options)
		})
	}
}

func TestTCPOptionsAreHandedOn(t *testing.T) {
	conn, _ := net.Pipe()
	s := &stack{addrs: addrPorts("192.0.2.1:80")}
	s.connect = func(context.Context, netip.AddrPort) (net.Conn, error) { return conn, nil }
	d := Dialer{Stack: s, TCP: tcp.Options{Congestion: "bbr"}}
	_, err := d.Dial("tcp", "host:80")
	require.NoError(t, err)
	require.Equal(t, tcp.Options{Congestion: "bbr"}, s.options.TCP)
	require.Nil(t, s.options.Data)

	_, err = d.DialFastOpen(t.Context(), "tcp", "host:80", []byte("GET"))
	require.NoError(t, err)
	require.Equal(t, tcp.Options{Congestion: "bbr", FastOpen: true}, s.options.TCP)
	require.Equal(t, "GET", string(s.options.Data))
	require.False(t, d.TCP.FastOpen, "the Dialer is as it was")
}
