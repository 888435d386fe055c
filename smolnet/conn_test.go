package smolnet_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

func TestEndOfStreamIsBareEOF(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		_, err := peer.Write([]byte("hello"))
		require.NoError(t, err)
		require.NoError(t, peer.CloseWrite())
		got, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, "hello", string(got))
		for range 2 {
			n, err := c.Read(make([]byte, 1))
			require.Zero(t, n)
			require.True(t, err == io.EOF, "%v", err)
		}

		_, err = c.Write([]byte("and back"))
		require.NoError(t, err, "the other direction is open still")
		require.NoError(t, c.Close())
		got, err = io.ReadAll(peer)
		require.NoError(t, err)
		require.Equal(t, "and back", string(got))
	})
}

func TestWriteAfterCloseWrite(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		c, _ := p.connect(t)
		for range 3 {
			require.NoError(t, c.CloseWrite(), "as often as one likes")
		}
		_, err := c.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.EPIPE)
		requireOp(t, err, "write")
	})
}

func TestCloseWriteFailsWriteUnderWay(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		done := make(chan error)
		var written int
		go func() {
			var err error
			written, err = c.Write(make([]byte, 64<<20))
			done <- err
		}()
		synctest.Wait()
		require.NoError(t, c.CloseWrite())
		require.ErrorIs(t, <-done, syscall.EPIPE)
		n, err := io.Copy(io.Discard, peer)
		require.NoError(t, err)
		require.EqualValues(t, written, n, "what Write says was written arrives, and no more")
	})
}

func TestCloseRead(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		done := make(chan error)
		go func() {
			_, err := c.Read(make([]byte, 1))
			done <- err
		}()
		synctest.Wait()
		for range 3 {
			require.NoError(t, c.CloseRead())
		}
		require.Equal(t, io.EOF, <-done, "a Read under way ends")
		_, err := c.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)

		_, err = peer.Write(make([]byte, 8<<20))
		require.NoError(t, err, "the peer is not held up by what nobody will read")
		_, err = c.Write([]byte("x"))
		require.NoError(t, err)
		_, err = peer.Read(make([]byte, 1))
		require.NoError(t, err)
	})
}

func TestZeroLengthCalls(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		c, _ := p.connect(t)
		n, err := c.Read(nil)
		require.NoError(t, err, "it does not wait")
		require.Zero(t, n)
		n, err = c.Write(nil)
		require.NoError(t, err)
		require.Zero(t, n)
		require.NoError(t, c.Close())
		_, err = c.Read(nil)
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = c.Write(nil)
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestCloseUnblocksCalls(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		c, _ := p.connect(t)
		var calls sync.WaitGroup
		for range 3 {
			calls.Go(func() {
				_, err := c.Read(make([]byte, 1))
				requireOp(t, err, "read")
				require.ErrorIs(t, err, net.ErrClosed)
			})
			calls.Go(func() {
				_, err := c.Write(make([]byte, 64<<20))
				requireOp(t, err, "write")
				require.ErrorIs(t, err, net.ErrClosed)
			})
			calls.Go(func() {
				_, err := io.Copy(io.Discard, c)
				require.ErrorIs(t, err, net.ErrClosed)
			})
		}
		synctest.Wait()
		require.NoError(t, c.Close())
		calls.Wait()
	})
}

func TestClosedConnection(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		c, _ := p.connect(t)
		local, remote := c.LocalAddr(), c.RemoteAddr()
		require.NoError(t, c.Close())
		b := make([]byte, 1)
		for _, tc := range []struct {
			op   string
			call func() error
		}{
			{"read", func() error { _, err := c.Read(b); return err }},
			{"write", func() error { _, err := c.Write(b); return err }},
			{"close", c.Close},
			{"close", c.CloseRead},
			{"close", c.CloseWrite},
			{"readfrom", func() error { _, err := c.ReadFrom(strings.NewReader("x")); return err }},
			{"writeto", func() error { _, err := c.WriteTo(io.Discard); return err }},
			{"write", func() error { _, err := c.WriteBuffers(&net.Buffers{b}); return err }},
			{"set", func() error { return c.SetDeadline(time.Time{}) }},
			{"set", func() error { return c.SetReadDeadline(time.Now()) }},
			{"set", func() error { return c.SetWriteDeadline(time.Now()) }},
			{"set", func() error { return c.SetKeepAlive(true) }},
			{"set", func() error { return c.SetKeepAlivePeriod(time.Second) }},
			{"set", func() error { return c.SetKeepAliveConfig(net.KeepAliveConfig{}) }},
			{"set", func() error { return c.SetLinger(1) }},
			{"set", func() error { return c.SetNoDelay(false) }},
			{"set", func() error { return c.SetReadBuffer(1 << 10) }},
			{"set", func() error { return c.SetWriteBuffer(1 << 10) }},
		} {
			err := tc.call()
			require.ErrorIs(t, err, net.ErrClosed)
			requireOp(t, err, tc.op)
			require.ErrorContains(t, err, "use of closed network connection")
			require.False(t, err.(net.Error).Timeout() || err.(*net.OpError).Temporary())
		}
		require.Equal(t, local, c.LocalAddr(), "addresses stay")
		require.Equal(t, remote, c.RemoteAddr())
	})
}

func TestNoConnection(t *testing.T) {
	for _, c := range []*smolnet.TCPConn{nil, {}} {
		_, err := c.Read(nil)
		require.Equal(t, syscall.EINVAL, err)
		_, err = c.Write(nil)
		require.Equal(t, syscall.EINVAL, err)
		require.Equal(t, syscall.EINVAL, c.Close())
		require.Equal(t, syscall.EINVAL, c.CloseWrite())
		require.Equal(t, syscall.EINVAL, c.SetDeadline(time.Time{}))
		require.Equal(t, syscall.EINVAL, c.SetReadBuffer(1))
		require.Nil(t, c.LocalAddr())
		require.Nil(t, c.RemoteAddr())
	}
	for _, c := range []*smolnet.UDPConn{nil, {}} {
		_, _, err := c.ReadFrom(nil)
		require.Equal(t, syscall.EINVAL, err)
		_, err = c.WriteTo(nil, nil)
		require.Equal(t, syscall.EINVAL, err)
		require.Equal(t, syscall.EINVAL, c.Close())
		require.Equal(t, syscall.EINVAL, c.SetDeadline(time.Time{}))
		require.Nil(t, c.LocalAddr())
	}
	for _, l := range []*smolnet.TCPListener{nil, {}} {
		_, err := l.Accept()
		require.Equal(t, syscall.EINVAL, err)
		require.Equal(t, syscall.EINVAL, l.Close())
		require.Nil(t, l.Addr())
	}
}

func TestCloseWithUnreadDataResets(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		for _, tc := range []struct {
			name string
			read int
		}{{"nothing read", 0}, {"a part read", 2}} {
			c, peer := p.connect(t)
			_, err := peer.Write([]byte("hello"))
			require.NoError(t, err)
			synctest.Wait()
			_, err = c.Read(make([]byte, tc.read))
			require.NoError(t, err)
			require.NoError(t, c.Close())
			_, err = peer.Read(make([]byte, 1))
			require.ErrorIs(t, err, syscall.ECONNRESET, tc.name)
			requireOp(t, err, "read")
			require.False(t, err.(net.Error).Timeout())
		}
	})
}

func TestLingerOfZeroResets(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		require.NoError(t, c.SetLinger(0))
		require.NoError(t, c.Close())
		_, err := peer.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		_, err = peer.Write(make([]byte, 1))
		require.ErrorIs(t, err, syscall.EPIPE, "the reset was reported; now there is nothing to write to")
		require.ErrorIs(t, peer.CloseWrite(), syscall.ENOTCONN)
		require.NoError(t, peer.Close())

		c, peer = p.connect(t)
		require.NoError(t, c.SetLinger(0))
		require.NoError(t, c.Close())
		synctest.Wait()
		_, err = peer.Write(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET, "the writer is the first to hear of it")
		_, err = peer.Write(make([]byte, 1))
		require.ErrorIs(t, err, syscall.EPIPE)
	})
}

func TestDataBeforeResetIsRead(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		_, err := c.Write([]byte("hello"))
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, c.SetLinger(0))
		require.NoError(t, c.Close())
		got := make([]byte, 5)
		_, err = io.ReadFull(peer, got)
		require.NoError(t, err)
		_, err = peer.Read(got)
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

func TestCloseDeliversInTheBackground(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		want := make([]byte, 100<<10) // what fits the send buffer
		rand.Read(want)
		_, err := c.Write(want)
		require.NoError(t, err)
		require.NoError(t, c.Close())
		time.Sleep(time.Second)
		got, err := io.ReadAll(peer)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
	})
}

func TestWritesAreAtomic(t *testing.T) {
	inPlaces(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		const writers, each, size = 4, 8, 200 << 10
		var calls sync.WaitGroup
		for i := range writers {
			calls.Go(func() {
				for range each {
					if _, err := c.Write(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		var written [writers]int
		b := make([]byte, size)
		for range writers * each {
			_, err := io.ReadFull(peer, b)
			require.NoError(t, err)
			require.Equal(t, size, bytes.Count(b, b[:1]), "the octets of two Writes are mixed")
			written[b[0]]++
		}
		calls.Wait()
		for i := range written {
			require.Equal(t, each, written[i])
		}
	})
}

func TestConcurrentReadersLoseNothing(t *testing.T) {
	inPlaces(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		var calls sync.WaitGroup
		var mu sync.Mutex
		total := 0
		for range 4 {
			calls.Go(func() {
				b := make([]byte, 1000)
				for {
					n, err := peer.Read(b)
					mu.Lock()
					total += n
					mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
		_, err := c.Write(make([]byte, 3<<20))
		require.NoError(t, err)
		require.NoError(t, c.Close())
		calls.Wait()
		require.Equal(t, 3<<20, total)
	})
}

func TestSmallReadsOfLargePackets(t *testing.T) {
	inPlaces(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		want := make([]byte, 70000)
		rand.Read(want)
		go c.Write(want)
		got := make([]byte, 0, len(want))
		for i := 1; len(got) < len(want); i = i%97 + 1 {
			n, err := peer.Read(got[len(got):min(len(got)+i, cap(got))])
			require.NoError(t, err)
			got = got[:len(got)+n]
		}
		require.True(t, bytes.Equal(want, got))
	})
}

// The ways to get octets into a connection, and out of it.
var (
	sources = map[string]func(t *testing.T, c *smolnet.TCPConn, b []byte) (int64, error){
		"Write": func(_ *testing.T, c *smolnet.TCPConn, b []byte) (int64, error) {
			n, err := c.Write(b)
			return int64(n), err
		},
		"ReadFrom a reader": func(_ *testing.T, c *smolnet.TCPConn, b []byte) (int64, error) {
			return io.Copy(c, struct{ io.Reader }{bytes.NewReader(b)})
		},
		"ReadFrom a file": func(t *testing.T, c *smolnet.TCPConn, b []byte) (int64, error) {
			name := filepath.Join(t.TempDir(), "file")
			require.NoError(t, os.WriteFile(name, append(b, "not this"...), 0o600))
			file, err := os.Open(name)
			require.NoError(t, err)
			defer file.Close()
			return c.ReadFrom(io.LimitReader(file, int64(len(b))))
		},
		"WriteBuffers": func(_ *testing.T, c *smolnet.TCPConn, b []byte) (int64, error) {
			buffers := net.Buffers{nil, b[:1], b[1:1000], nil, b[1000:], nil}
			n, err := c.WriteBuffers(&buffers)
			if err == nil && len(buffers) != 0 {
				err = errors.New("buffers are left")
			}
			return n, err
		},
	}
	sinks = map[string]func(c *smolnet.TCPConn) ([]byte, error){
		"Read": func(c *smolnet.TCPConn) ([]byte, error) { return io.ReadAll(c) },
		"WriteTo": func(c *smolnet.TCPConn) ([]byte, error) {
			var b bytes.Buffer
			_, err := c.WriteTo(&b)
			return b.Bytes(), err
		},
		"WriteTo after a little was read": func(c *smolnet.TCPConn) ([]byte, error) {
			first := make([]byte, 3)
			if _, err := io.ReadFull(c, first); err != nil {
				return nil, err
			}
			b := bytes.NewBuffer(first)
			_, err := c.WriteTo(b)
			return b.Bytes(), err
		},
	}
)

func TestWaysToReadAndWrite(t *testing.T) {
	want := make([]byte, 3<<19)
	rand.Read(want)
	inPlaces(t, func(t *testing.T, p place) {
		for from, write := range sources {
			for to, read := range sinks {
				c, peer := p.connect(t)
				go func() {
					n, err := write(t, c, want)
					if n != int64(len(want)) || err != nil {
						t.Errorf("%s: %d, %v", from, n, err)
					}
					c.Close()
				}()
				got, err := read(peer)
				require.NoError(t, err, to)
				require.Equal(t, sha256.Sum256(want), sha256.Sum256(got), "%s, %s", from, to)
				peer.Close()
			}
		}
	})
}

func TestCopyBetweenConnections(t *testing.T) {
	inPlaces(t, func(t *testing.T, p place) {
		from, proxyIn := p.connect(t)
		proxyOut, to := p.connect(t)
		go func() {
			if _, err := io.Copy(proxyOut, proxyIn); err != nil {
				t.Error(err)
			}
			proxyOut.CloseWrite()
		}()
		want := make([]byte, 2<<20)
		rand.Read(want)
		go func() {
			from.Write(want)
			from.Close()
		}()
		got, err := io.ReadAll(to)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
	})
}

func TestCopyLetsOthersWrite(t *testing.T) {
	// A ReadFrom whose reader has nothing yet must not keep others from writing, as it does not in package net.
	inBubbles(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		r, w := io.Pipe()
		done := make(chan error)
		go func() {
			_, err := io.Copy(c, r)
			done <- err
		}()
		synctest.Wait()
		_, err := c.Write([]byte("x"))
		require.NoError(t, err)
		_, err = peer.Read(make([]byte, 1))
		require.NoError(t, err)
		w.Close()
		require.NoError(t, <-done)
	})
}

type failingReader struct{ err error }

func (r failingReader) Read(b []byte) (int, error) { return copy(b, "some"), r.err }

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestErrorsOfTheOtherSideOfACopy(t *testing.T) {
	c, peer := places[0].connect(t)
	broken := errors.New("broken")
	n, err := c.ReadFrom(failingReader{broken})
	require.EqualValues(t, 4, n)
	require.ErrorIs(t, err, broken)
	requireOp(t, err, "readfrom")
	_, err = peer.WriteTo(failingWriter{broken})
	require.ErrorIs(t, err, broken)
	requireOp(t, err, "writeto")
}

func TestBuffersSetBeforeTheHandshake(t *testing.T) {
	first := newStack(t, smolnet.Config{TCP: tcp.Config{Options: tcp.Options{ReceiveBuffer: 64, SendBuffer: 64}}})
	l := listen(t, first, "tcp", "127.0.0.1:0")
	c, peer := dial(t, first, l)
	want := make([]byte, 10000)
	rand.Read(want)
	go func() {
		c.Write(want)
		c.Close()
	}()
	got, err := io.ReadAll(peer)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
}

func TestSettingsAreTaken(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		require.NoError(t, c.SetKeepAlive(false))
		require.NoError(t, c.SetKeepAlive(true))
		require.NoError(t, c.SetKeepAlivePeriod(time.Minute))
		require.NoError(t, c.SetKeepAlivePeriod(-1))
		require.NoError(t, c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: -1, Interval: 0, Count: 5}))
		require.NoError(t, c.SetNoDelay(false))
		require.NoError(t, c.SetNoDelay(true))
		require.NoError(t, c.SetLinger(5))
		for _, size := range []int{-1, 0, 1, 4096, 1 << 20, math.MaxInt32} {
			require.NoError(t, c.SetReadBuffer(size))
			require.NoError(t, c.SetWriteBuffer(size))
		}
		multipath, err := c.MultipathTCP()
		require.NoError(t, err)
		require.False(t, multipath)
		_, err = c.Write([]byte("works still"))
		require.NoError(t, err)
		b := make([]byte, 11)
		_, err = io.ReadFull(peer, b)
		require.NoError(t, err)
	})
}

func TestKeepAliveOutOfRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPair(t, pipe.Config{})
		c, peer := dial(t, first, listen(t, second, "tcp", "192.168.69.100:0"))
		require.NoError(t, peer.SetKeepAlive(false))
		err := c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Second, Count: 1000})
		require.ErrorIs(t, err, syscall.EINVAL)
		ours, ok := err.(*net.OpError)
		require.True(t, ok, "%T", err)
		require.Equal(t, "set", ours.Op)
		require.Equal(t, os.NewSyscallError("setsockopt", syscall.EINVAL), ours.Err)

		synctest.Wait()
		before := first.Counters().TCP.KeepAlives
		time.Sleep(14 * time.Second)
		require.Equal(t, before, first.Counters().TCP.KeepAlives, "what was legal of it is not in force either")
		time.Sleep(2 * time.Second)
		require.Equal(t, before+1, first.Counters().TCP.KeepAlives, "what was in force still is")
		require.NoError(t, c.SetKeepAlivePeriod(-1))
		require.NoError(t, c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Count: -1}), "nor is it remembered")
	})
}

func TestKeepAliveOutOfRangeIsAsOnLinux(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems have other ranges")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	theirs, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer theirs.Close()
	ours, _ := places[0].connect(t)
	config := net.KeepAliveConfig{Enable: true, Count: 1000}
	their, our := theirs.(*net.TCPConn).SetKeepAliveConfig(config), ours.SetKeepAliveConfig(config)
	require.Equal(t, their.(*net.OpError).Op, our.(*net.OpError).Op)
	require.Equal(t, their.(*net.OpError).Err, our.(*net.OpError).Err)
}

func TestKeepAliveByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPair(t, pipe.Config{})
		l := listen(t, second, "tcp", "192.168.69.100:0")
		c, peer := dial(t, first, l)
		require.NoError(t, peer.SetKeepAlive(false))

		synctest.Wait()
		before := first.Counters().TCP.KeepAlives
		time.Sleep(14 * time.Second)
		require.Equal(t, before, first.Counters().TCP.KeepAlives)
		time.Sleep(2 * time.Second)
		require.Equal(t, before+1, first.Counters().TCP.KeepAlives, "after 15 s of silence")

		require.NoError(t, second.Close()) // resets go out, so the end comes at once
		_, err := c.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

func TestKeepAliveEndsADeadConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe.New(pipe.Config{Medium: dev.IP}) // without neighbours, whose absence would be noticed first
		first, second := newStack(t, smolnet.Config{}), newStack(t, smolnet.Config{})
		_, err := first.AddInterface(smolnet.Interface{Device: a, DuplicateDetection: core.DetectNone, Addresses: firstAddresses})
		require.NoError(t, err)
		_, err = second.AddInterface(smolnet.Interface{Device: b, DuplicateDetection: core.DetectNone, Addresses: secondAddresses})
		require.NoError(t, err)
		c, _ := dial(t, first, listen(t, second, "tcp", "192.168.69.100:0"))
		synctest.Wait()
		start := time.Now()
		b.Close() // pulled out
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ETIMEDOUT)
		require.True(t, err.(net.Error).Timeout())
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
		took := time.Since(start)
		require.Greater(t, took, 140*time.Second)
		require.LessOrEqual(t, took, 150*time.Second, "15 s and nine probes, 15 s apart")
	})
}

// requireOp requires that err is a *net.OpError of the operation, complete as package net's are.
func requireOp(t testing.TB, err error, op string) {
	t.Helper()
	e, ok := err.(*net.OpError)
	require.True(t, ok, "%T: %v", err, err)
	require.Equal(t, op, e.Op)
	requireRules(t, kindOf(op), err)
}
