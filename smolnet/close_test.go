package smolnet_test

import (
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

var deadlineNever time.Time

// ours returns the stacks of the goroutines that run this module's code, but for the one that asks.
func ours() []string {
	b := make([]byte, 1<<20)
	b = b[:runtime.Stack(b, true)]
	var found []string
	for i, goroutine := range strings.Split(string(b), "\n\n") {
		if i > 0 && strings.Contains(goroutine, "github.com/smolnet/") && !strings.Contains(goroutine, "testing.(*T).Run") {
			found = append(found, goroutine)
		}
	}
	return found
}

// A hundred connections one after the other leave neither goroutines nor ports behind: afterwards there are as many ports as ever.
func TestConnectionsLeaveNothing(t *testing.T) {
	const cycles = 100
	synctest.Test(t, func(t *testing.T) {
		first, second := newPairOf(t, pipe.Config{}, smolnet.Config{TCP: tcp.Config{FirstPort: 30000, LastPort: 30000 + 2*cycles - 1}})
		l := listen(t, second, "tcp", "192.168.69.100:80")
		cycle := func() {
			c, peer := dial(t, first, l)
			_, err := c.Write([]byte("hello"))
			require.NoError(t, err)
			require.NoError(t, c.CloseWrite())
			got, err := io.ReadAll(peer)
			require.NoError(t, err)
			require.Equal(t, "hello", string(got))
			require.NoError(t, peer.Close())
			require.NoError(t, c.Close())
			synctest.Wait()
		}
		cycle()
		before := len(ours())
		for range cycles {
			cycle()
		}
		require.Len(t, ours(), before)
		time.Sleep(2 * time.Minute) // virtual: TIME-WAIT is over
		for range 2 * cycles {
			dial(t, first, l)
		}
		_, err := first.Dial("tcp", "192.168.69.100:80")
		require.ErrorIs(t, err, syscall.EADDRNOTAVAIL, "that were all ports")
	})
}

func TestCloseLeavesNothing(t *testing.T) {
	requireNoneOfOurs(t)
	for range 50 { // pairs
		first, second := newPair(t, pipe.Config{Delay: time.Nanosecond})
		l := listen(t, second, "tcp", ":7")
		c, peer := dial(t, first, listen(t, second, "tcp", "192.168.69.100:0"))
		idle, _ := dial(t, first, listen(t, second, "tcp", "[fdaa::100]:0"))
		require.NoError(t, idle.SetDeadline(time.Now().Add(time.Hour)))
		u := bind(t, first, "udp", ":7")
		local := bind(t, second, "udp", "127.0.0.1:0")

		go io.Copy(peer, peer)
		_, err := c.Write(make([]byte, 100<<10))
		require.NoError(t, err)
		_, err = io.ReadFull(c, make([]byte, 100<<10))
		require.NoError(t, err)

		var calls sync.WaitGroup
		for _, call := range []func() error{
			func() error { _, err := l.Accept(); return err },
			func() error { _, err := l.Accept(); return err },
			func() error { _, err := idle.Read(make([]byte, 1)); return err },
			func() error { _, err := idle.Read(make([]byte, 1)); return err },
			func() error { _, err := idle.Write(make([]byte, 64<<20)); return err },
			func() error { _, err := idle.Write(make([]byte, 64<<20)); return err },
			func() error { _, _, err := u.ReadFrom(make([]byte, 1)); return err },
			func() error { _, _, err := local.ReadFrom(make([]byte, 1)); return err },
			func() error { _, err := first.Dial("tcp", "192.168.69.77:7"); return err },
			func() error { _, err := c.WriteTo(io.Discard); return err },
		} {
			calls.Go(func() {
				if err := call(); err == nil {
					t.Error("a blocked call succeeded")
				}
			})
		}
		var closers sync.WaitGroup
		for _, s := range []*smolnet.Stack{first, second, first} {
			closers.Go(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		closers.Wait()
		calls.Wait()
	}
	requireNoneOfOurs(t)
}

// requireNoneOfOurs requires that no goroutine runs this module's code. Those that have done their last may take a moment
// to be gone.
func requireNoneOfOurs(t *testing.T) {
	for end := time.Now().Add(30 * time.Second); len(ours()) > 0 && time.Now().Before(end); {
		runtime.Gosched()
	}
	require.Empty(t, ours())
}

func TestClosedStack(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		dialing, listening := p.stacks(t)
		l := listen(t, listening, p.network, p.address)
		c, peer := dial(t, dialing, l)
		u := bind(t, dialing, "udp", ":0")
		require.NoError(t, dialing.Close())
		require.NoError(t, dialing.Close(), "a second time does nothing")

		b := make([]byte, 1)
		for _, call := range []func() error{
			func() error { _, err := dialing.Dial("tcp", "127.0.0.1:7"); return err },
			func() error { _, err := dialing.Dial("udp", "127.0.0.1:7"); return err },
			func() error { _, err := dialing.Listen("tcp", ":0"); return err },
			func() error { _, err := dialing.ListenPacket("udp", ":0"); return err },
			func() error { _, err := c.Read(b); return err },
			func() error { _, err := c.Write(b); return err },
			func() error { return c.SetNoDelay(true) },
			func() error { return c.SetDeadline(deadlineNever) },
			func() error { _, _, err := u.ReadFrom(b); return err },
			func() error { _, err := u.WriteTo(b, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7}); return err },
		} {
			err := call()
			require.ErrorIs(t, err, net.ErrClosed)
			require.IsType(t, (*net.OpError)(nil), err)
		}
		require.NoError(t, c.Close(), "who opened it may close it")
		require.NoError(t, u.Close())
		require.ErrorIs(t, c.Close(), net.ErrClosed)
		if dialing != listening {
			_, err := peer.Read(b)
			require.Error(t, err, "the peer was told")
		}
		_, err := dialing.AddInterface(smolnet.Interface{})
		require.ErrorIs(t, err, net.ErrClosed)
		dialing.Counters()
	})
}

func TestCloseTellsThePeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPair(t, pipe.Config{})
		l := listen(t, second, "tcp", ":7")
		var peers []net.Conn
		for range 100 {
			_, err := first.Dial("tcp", "192.168.69.100:7")
			require.NoError(t, err)
			peer, err := l.Accept()
			require.NoError(t, err)
			peers = append(peers, peer)
		}
		require.NoError(t, first.Close())
		start := time.Now()
		for _, peer := range peers {
			_, err := peer.Read(make([]byte, 1))
			require.Error(t, err)
		}
		require.Zero(t, time.Since(start))
	})
}
