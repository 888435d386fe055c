package smolnet_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/smolnet"
)

func TestManyAcceptAtOnce(t *testing.T) {
	inPlaces(t, func(t *testing.T, p place) {
		dialing, listening := p.stacks(t)
		l := listen(t, listening, p.network, p.address)
		const acceptors, dials = 10, 100
		var accepting sync.WaitGroup
		accepted := make(chan string, dials)
		for range acceptors {
			accepting.Go(func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					accepted <- c.RemoteAddr().String()
					c.Close()
				}
			})
		}
		want := make(map[string]bool)
		for range dials {
			c, err := dialing.Dial(p.network, l.Addr().String())
			require.NoError(t, err)
			want[c.LocalAddr().String()] = true
			_, err = c.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err)
			require.NoError(t, c.Close())
		}
		require.NoError(t, l.Close())
		accepting.Wait()
		close(accepted)
		for addr := range accepted {
			delete(want, addr)
		}
		require.Empty(t, want, "each is accepted once")
	})
}

func TestManyExchangesAtOnce(t *testing.T) {
	inPlaces(t, func(t *testing.T, p place) {
		dialing, listening := p.stacks(t)
		l := listen(t, listening, p.network, p.address)
		const conns, messages, size = 4, 200, 512
		var all sync.WaitGroup
		for i := range conns {
			c, peer := dial(t, dialing, l)
			all.Go(func() { io.Copy(peer, peer); peer.Close() })
			all.Go(func() {
				defer c.Close()
				got := make([]byte, size)
				for m := range messages {
					want := bytes.Repeat([]byte{byte(i), byte(m)}, size/2)
					if _, err := c.Write(want); err != nil {
						t.Error(err)
						return
					}
					if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(want, got) {
						t.Errorf("connection %d, message %d: %v", i, m, err)
						return
					}
				}
			})
		}
		all.Wait()
	})
}

// A Write, and net.Buffers, may be larger than 32 bits can count, and than TCP's sequence numbers.
func TestWriteBeyond32Bits(t *testing.T) {
	if testing.Short() || instrumented {
		t.Skip("5 GiB take long")
	}
	size := uint64(5<<30 + 1<<20)
	if size != uint64(uint(size)) {
		t.Skip("an int has 32 bits")
	}
	b := make([]byte, size) // never touched: it takes no memory
	for name, write := range map[string]func(c *smolnet.TCPConn) (int64, error){
		"Write":       func(c *smolnet.TCPConn) (int64, error) { n, err := c.Write(b); return int64(n), err },
		"net.Buffers": func(c *smolnet.TCPConn) (int64, error) { return (&net.Buffers{b}).WriteTo(c) },
	} {
		t.Run(name, func(t *testing.T) {
			c, peer := places[0].connect(t)
			var n int64
			var failed error
			done := make(chan struct{})
			go func() {
				defer close(done)
				n, failed = write(c)
				c.Close()
			}()
			got, err := io.Copy(io.Discard, peer)
			require.NoError(t, err)
			require.EqualValues(t, size, got)
			<-done
			require.NoError(t, failed)
			require.EqualValues(t, size, n)
		})
	}
}

// What comes out of a pipe goes on at once, and the connection stays open behind it.
func TestCopyFromAPipe(t *testing.T) {
	inPlaces(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		r, w, err := os.Pipe()
		require.NoError(t, err)
		defer r.Close()
		copied := make(chan error)
		go func() {
			n, err := io.Copy(c, r)
			if err == nil && n != 2 {
				err = fmt.Errorf("%d octets", n)
			}
			copied <- err
		}()
		for _, b := range []byte("xy") {
			_, err = w.Write([]byte{b})
			require.NoError(t, err)
			got := make([]byte, 2)
			n, err := peer.Read(got)
			require.NoError(t, err)
			require.Equal(t, []byte{b}, got[:n], "it does not wait for more")
		}
		require.NoError(t, w.Close())
		require.NoError(t, <-copied)
		_, err = c.Write([]byte("z"))
		require.NoError(t, err)
		require.NoError(t, c.Close())
		got, err := io.ReadAll(peer)
		require.NoError(t, err)
		require.Equal(t, "z", string(got))
	})
}

// What ends a dial is nothing to the connection that has come of it.
func TestCancelAfterTheDial(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		dialing, listening := p.stacks(t)
		l := listen(t, listening, p.network, p.address)
		for range 10 {
			cancel := make(chan struct{})
			//lint:ignore SA1019 it is deprecated, and works
			d := dialer.Dialer{Stack: dialing, Cancel: cancel, Timeout: time.Second, Deadline: time.Now().Add(2 * time.Second)}
			c, err := d.Dial(p.network, l.Addr().String())
			require.NoError(t, err)
			close(cancel)
			a, err := l.Accept()
			require.NoError(t, err)
			synctest.Wait()
			time.Sleep(5 * time.Second)
			_, err = c.Write([]byte("echo"))
			require.NoError(t, err)
			go func() {
				io.CopyN(a, a, 4)
				a.Close()
			}()
			got, err := io.ReadAll(c)
			require.NoError(t, err)
			require.Equal(t, "echo", string(got))
			require.NoError(t, c.Close())
		}
	})
}

// Zones are those of the stack that shows them: each end names the link as it does itself.
func TestLinkLocalConversations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := onPipe(t)
		there := linkLocal(t, second).WithZone("second").String()
		for _, network := range []string{"tcp", "tcp6"} {
			l := listen(t, second, network, "["+there+"]:0")
			require.Equal(t, "second", l.Addr().(*net.TCPAddr).Zone)
			to := *l.Addr().(*net.TCPAddr)
			to.Zone = "first"
			c, err := first.Dial(network, to.String())
			require.NoError(t, err)
			a, err := l.Accept()
			require.NoError(t, err)
			requireZones(t, "first", c.LocalAddr(), c.RemoteAddr())
			requireZones(t, "second", a.LocalAddr(), a.RemoteAddr())
			_, err = c.Write([]byte("hello"))
			require.NoError(t, err)
			require.NoError(t, c.Close())
			got, err := io.ReadAll(a)
			require.NoError(t, err)
			require.Equal(t, "hello", string(got))
			require.NoError(t, a.Close())
		}
		for _, network := range []string{"udp", "udp6"} {
			server := bind(t, second, network, "["+there+"]:0")
			to := *server.LocalAddr().(*net.UDPAddr)
			require.Equal(t, "second", to.Zone)
			to.Zone = "first"
			c, err := first.Dial(network, to.String())
			require.NoError(t, err)
			requireZones(t, "first", c.LocalAddr(), c.RemoteAddr())
			_, err = c.Write([]byte("hello"))
			require.NoError(t, err)
			b := make([]byte, 10)
			n, from, err := server.ReadFrom(b)
			require.NoError(t, err)
			requireZones(t, "second", from)
			_, err = server.WriteTo(b[:n], from)
			require.NoError(t, err)
			n, err = c.Read(b)
			require.NoError(t, err)
			require.Equal(t, "hello", string(b[:n]))
			require.NoError(t, c.Close())
		}
	})
}

func requireZones(t *testing.T, want string, addrs ...net.Addr) {
	t.Helper()
	for _, addr := range addrs {
		switch addr := addr.(type) {
		case *net.TCPAddr:
			require.Equal(t, want, addr.Zone)
		case *net.UDPAddr:
			require.Equal(t, want, addr.Zone)
		default:
			t.Fatalf("%T", addr)
		}
	}
}
