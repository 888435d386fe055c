package smolnet_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/smolnet"
)

func TestCloseEndsEveryCall(t *testing.T) {
	eachCall(t, func(t *testing.T, p place, c waitingCall) {
		first, second := start(c.call), start(c.call)
		p.settle()
		require.NoError(t, c.close())
		for _, done := range []<-chan error{first, second, start(c.call)} {
			err := <-done
			require.ErrorIs(t, err, net.ErrClosed)
			op, ok := err.(*net.OpError)
			require.True(t, ok, "%T", err)
			require.False(t, op.Timeout() || op.Temporary(), "whoever tries again would do so for ever")
		}
	})
}

func TestCloseEndsEveryCallThatHasADeadline(t *testing.T) {
	eachCall(t, func(t *testing.T, p place, c waitingCall) {
		for _, deadline := range []time.Time{time.Now().Add(time.Hour), time.Unix(1, 0)} {
			require.NoError(t, c.setDeadline(deadline))
		}
		require.NoError(t, c.close())
		require.ErrorIs(t, c.call(), net.ErrClosed, "that it is closed weighs more")
		require.ErrorIs(t, c.setDeadline(time.Time{}), net.ErrClosed)
	})
}

func TestPeersCloseEndsRead(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		done := start(func() error {
			_, err := c.Read(make([]byte, 1))
			return err
		})
		p.settle()
		require.NoError(t, peer.Close())
		require.Equal(t, io.EOF, <-done, "bare")
	})
}

func TestReadIntoNothingEndsWithTheSocket(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		socket, _ := p.exchange(t)
		done := start(func() error {
			_, _, err := socket.ReadFromUDPAddrPort([]byte{})
			return err
		})
		p.settle()
		require.NoError(t, socket.Close())
		require.ErrorIs(t, <-done, net.ErrClosed)
	})
}

func TestBothSidesCloseOneDirectionAfterTheOther(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		require.NoError(t, c.CloseWrite())
		n, err := peer.Read(make([]byte, 1))
		require.Zero(t, n)
		require.Equal(t, io.EOF, err)
		require.NoError(t, peer.CloseWrite())
		n, err = c.Read(make([]byte, 1))
		require.Zero(t, n)
		require.Equal(t, io.EOF, err)
		for _, side := range []*smolnet.TCPConn{c, peer} {
			_, err = side.Write([]byte("x"))
			require.ErrorIs(t, err, syscall.EPIPE)
			requireWellFormed(t, err, "write")
			require.NoError(t, side.Close())
		}
	})
}

func TestReadAfterCloseRead(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		_, err := peer.Write([]byte("hello"))
		require.NoError(t, err)
		p.settle()
		require.NoError(t, c.CloseRead())
		n, err := c.Read(make([]byte, 1))
		require.Zero(t, n, "what had come before is dropped")
		require.Equal(t, io.EOF, err)
		_, err = c.Write([]byte("and back"))
		require.NoError(t, err)
		require.NoError(t, c.CloseWrite())
		got, err := io.ReadAll(peer)
		require.NoError(t, err)
		require.Equal(t, "and back", string(got))
	})
}

func TestCloseAgainAndAgain(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		dialing, listening := p.stacks(t)
		l := listen(t, listening, p.network, p.address)
		c, accepted := dial(t, dialing, l)
		socket, connected := p.exchange(t)
		for _, half := range []func() error{c.CloseRead, c.CloseWrite} {
			for range 3 {
				require.NoError(t, half(), "as often as one likes")
			}
		}
		for _, closer := range []io.Closer{c, accepted, l, socket, connected} {
			require.NoError(t, closer.Close())
			for range 3 {
				err := closer.Close()
				requireWellFormed(t, err, "close")
				require.ErrorIs(t, err, net.ErrClosed)
				require.ErrorContains(t, err, "use of closed network connection", "programs look for these words")
			}
		}
	})
}

func TestPortIsFreeAfterClose(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		_, listening := p.stacks(t)
		for range 10 {
			l := listen(t, listening, p.network, p.address)
			socket, err := listening.ListenPacket("udp", l.Addr().String())
			require.NoError(t, err, "a port of UDP is none of TCP")
			for range 3 {
				require.NoError(t, l.Close())
				l = listen(t, listening, p.network, l.Addr().String())
				require.NoError(t, socket.Close())
				socket, err = listening.ListenPacket("udp", l.Addr().String())
				require.NoError(t, err)
			}
			require.NoError(t, l.Close())
			require.NoError(t, socket.Close())
		}
	})
}

// A client that gives up before it was accepted does not end a server that ends with the first error of Accept.
func TestAbortedConnectionsDoNotFailAccept(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		dialing, listening := p.stacks(t)
		l := listen(t, listening, p.network, p.address)
		for range 3 {
			c, err := dialing.Dial(p.network, l.Addr().String())
			require.NoError(t, err)
			require.NoError(t, c.(*smolnet.TCPConn).SetLinger(0))
			require.NoError(t, c.Close())
		}
		good, err := dialing.Dial(p.network, l.Addr().String())
		require.NoError(t, err)
		defer good.Close()
		p.settle()
		for {
			c, err := l.Accept()
			require.NoError(t, err)
			defer c.Close()
			if c.RemoteAddr().String() == good.LocalAddr().String() {
				break
			}
			_, err = c.Read(make([]byte, 1))
			require.ErrorIs(t, err, syscall.ECONNRESET, "it is of the connection that one hears so")
		}
	})
}

func TestResetIsNotTemporary(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		done := start(func() error { _, err := c.Read(make([]byte, 1)); return err })
		p.settle()
		require.NoError(t, peer.SetLinger(0))
		require.NoError(t, peer.Close())
		err := <-done
		require.ErrorIs(t, err, syscall.ECONNRESET)
		requireWellFormed(t, err, "read")
		require.False(t, err.(*net.OpError).Temporary() || err.(net.Error).Timeout())
	})
}

// A server's loop, which goes on after a timeout and ends after Close.
func TestAcceptLoop(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		dialing, listening := p.stacks(t)
		l := listen(t, listening, p.network, p.address)
		served, timeouts := 0, 0
		ended := start(func() error {
			for timeouts < 1000 {
				l.SetDeadline(time.Now().Add(5 * time.Millisecond))
				c, err := l.Accept()
				if malformed := wellFormed(err, "accept"); malformed != nil {
					return malformed
				}
				switch e, ok := err.(net.Error); {
				case err == nil:
					served++
					c.Close()
				case ok && e.Timeout():
					timeouts++
				default:
					return err
				}
			}
			return errors.New("far more timeouts than there is time for")
		})
		for range 3 {
			c, err := dialing.Dial(p.network, l.Addr().String())
			require.NoError(t, err)
			_, err = c.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err, "it was accepted and closed")
			require.NoError(t, c.Close())
			time.Sleep(7 * time.Millisecond) // past a deadline
		}
		require.NoError(t, l.Close())
		require.ErrorIs(t, <-ended, net.ErrClosed)
		require.Equal(t, 3, served)
		if p.virtual {
			require.Positive(t, timeouts)
		}
	})
}
