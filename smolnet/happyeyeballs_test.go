package smolnet_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/internal/inet"
	"github.com/smolnet/smolnet/smolnet"
)

// oneHost is a resolver that has these addresses for every name.
type oneHost []netip.Addr

func (h oneHost) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) { return h, nil }

func (h oneHost) LookupPort(_ context.Context, network, service string) (int, error) {
	return inet.LookupPort(network, service)
}

func hostOf(numbers ...string) (h oneHost) {
	for _, number := range numbers {
		h = append(h, netip.MustParseAddr(number))
	}
	return h
}

// Where nobody is.
const (
	hole4 = "192.168.69.7"
	hole6 = "fdaa::7"
)

func TestHappyEyeballs(t *testing.T) {
	const there4, there6 = "192.168.69.100", "fdaa::100"
	for _, tc := range []struct {
		name    string
		host    oneHost
		network string
		delay   time.Duration
		want    string
		after   time.Duration
	}{
		{"IPv6 answers", hostOf(there6, there4), "tcp", 0, there6, 0},
		{"IPv4 answers", hostOf(there4, there6), "tcp", 0, there4, 0},
		{"IPv6 is a hole", hostOf(hole6, there4), "tcp", 0, there4, 300 * time.Millisecond},
		{"IPv4 is a hole", hostOf(hole4, there6), "tcp", 0, there6, 300 * time.Millisecond},
		{"IPv6 is a hole, at once", hostOf(hole6, there4), "tcp", 1, there4, 1},
		{"IPv6 is a hole, after a while", hostOf(hole6, there4), "tcp", time.Second, there4, time.Second},
		{"no route for IPv6", hostOf("2001:db8::1", there4), "tcp", time.Hour, there4, 0},
		{"one after the other", hostOf(hole6, there4), "tcp", -1, there4, 5 * time.Second},
		{"only IPv4 counts", hostOf(hole6, there4), "tcp4", 0, there4, 0},
		{"only IPv6 counts", hostOf(hole6, there4, there6), "tcp6", 0, there6, 5 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stacks, _ := newTapped(t, pipe.Config{}, smolnet.Config{})
				listen(t, stacks[1], "tcp", ":80")
				start := time.Now()
				d := dialer.Dialer{Stack: stacks[0], Resolver: tc.host, FallbackDelay: tc.delay, Timeout: 10 * time.Second}
				c, err := d.Dial(tc.network, "name:80")
				require.NoError(t, err)
				require.Equal(t, tc.after, time.Since(start))
				require.Equal(t, tc.want, c.RemoteAddr().(*net.TCPAddr).IP.String())
				require.NoError(t, c.Close())
			})
		})
	}
}

// A refusal has nobody wait for the other family; if all refuse it is that of the first address that counts.
func TestHappyEyeballsAfterARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := onPipe(t)
		l := listen(t, second, "tcp4", ":80")
		start := time.Now()
		d := dialer.Dialer{Stack: first, Resolver: hostOf("fdaa::100", "192.168.69.100"), FallbackDelay: time.Hour}
		c, err := d.Dial("tcp", "name:80")
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.NoError(t, l.Close())
		_, err = d.Dial("tcp", "name:80")
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		require.EqualError(t, err, "dial tcp [fdaa::100]:80: connect: connection refused")
		require.Zero(t, time.Since(start))
	})
}

// stubborn is a stack whose dials go on though they are told to stop, and go on together.
type stubborn struct {
	*smolnet.Stack
	together chan struct{}
}

func (s stubborn) ConnectTCP(_ context.Context, network string, local, remote netip.AddrPort, o dialer.Options) (net.Conn, error) {
	select {
	case s.together <- struct{}{}:
	case <-s.together:
	}
	return s.Stack.ConnectTCP(context.Background(), network, local, remote, o)
}

func TestBothFamiliesConnectAndOneIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPair(t, pipe.Config{Delay: 10 * time.Millisecond})
		l := listen(t, second, "tcp", ":80")
		d := dialer.Dialer{Stack: stubborn{first, make(chan struct{})}, Resolver: hostOf("fdaa::100", "192.168.69.100")}
		c, err := d.Dial("tcp", "name:80")
		require.NoError(t, err)
		require.NoError(t, c.Close())
		for range 2 {
			a, err := l.Accept()
			require.NoError(t, err)
			_, err = a.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err)
			require.NoError(t, a.Close())
		}
	})
}

// A dial that loses or is given up leaves nothing: no goroutine, no connection that is half open, and no port.
func TestDialsThatAreGivenUpLeaveNothing(t *testing.T) {
	const ports, delay = 4, 50 * time.Millisecond
	for _, tc := range []struct {
		name string
		host oneHost
		give time.Duration // when the dial is given up
		won  bool          // the dial was not in vain
	}{
		{"nobody answers", hostOf(hole4), time.Second, false},
		{"nobody answers in either family", hostOf(hole6, hole4), time.Second, false},
		{"the SYN is on its way", hostOf("192.168.69.100"), delay / 2, false},
		{"the answer is on its way", hostOf("192.168.69.100"), delay * 3 / 2, false},
		{"in both families", hostOf("192.168.69.100", "fdaa::100"), delay * 3 / 2, false},
		{"IPv6 loses", hostOf(hole6, "192.168.69.100"), time.Hour, true},
		{"IPv4 loses its answer", hostOf("fdaa::100", "192.168.69.100"), time.Hour, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stacks, _ := newTapped(t, pipe.Config{Delay: delay}, smolnet.Config{
					TCP: tcp.Config{FirstPort: 30000, LastPort: 30000 + ports - 1},
				})
				l := listen(t, stacks[1], "tcp", ":80")
				synctest.Wait()
				goroutines := len(ours())
				for range 10 * ports {
					ctx, cancel := context.WithTimeout(t.Context(), tc.give)
					d := dialer.Dialer{Stack: stacks[0], Resolver: tc.host, FallbackDelay: time.Millisecond}
					c, err := d.DialContext(ctx, "tcp", "name:80")
					cancel()
					if tc.won {
						require.NoError(t, err)
						require.NoError(t, c.(*smolnet.TCPConn).SetLinger(0))
						require.NoError(t, c.Close())
					} else {
						require.ErrorIs(t, err, context.DeadlineExceeded)
					}
					time.Sleep(10 * delay) // virtual: what is on its way arrives
				}
				require.NoError(t, l.Close()) // and with it go those that were accepted and reset
				synctest.Wait()
				require.Len(t, ours(), goroutines)
				for _, s := range stacks {
					counters := s.Counters().TCP
					require.Zero(t, counters.CurrEstab)
					require.Zero(t, counters.HalfOpenTimeouts)
				}
				counters := stacks[1].Counters().TCP
				require.Equal(t, counters.PassiveOpens, counters.HalfOpenResets+counters.EstabResets, "everyone who came is gone")
			})
		})
	}
}
