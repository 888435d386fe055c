package smolnet_test

import (
	"context"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/listener"
)

// dialAll opens so many connections at once and returns where they will come, each with its error.
func (w way) dialAll(count int, address string) (<-chan net.Conn, <-chan error) {
	conns, failures := make(chan net.Conn, count), make(chan error, count)
	for range count {
		go func() {
			conn, err := w.dial("tcp", address)
			if err != nil {
				failures <- err
				return
			}
			conns <- conn
		}()
	}
	return conns, failures
}

// echoAll accepts connections and echoes what comes by them.
func echoAll(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			io.Copy(conn, conn)
		}()
	}
}

// hearEcho says something on a connection and expects to hear it again, and then the end.
func hearEcho(conn net.Conn, said []byte) error {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := conn.Write(said); err != nil {
		return err
	}
	if err := expect(conn, said); err != nil {
		return err
	}
	if err := conn.(stream).CloseWrite(); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 1))
	if err == io.EOF {
		return nil
	}
	return err
}

// TestKernelThousandConnectionsAtOnce: a thousand connections come to be while nobody accepts any; then each echoes a
// KiB.
func TestKernelThousandConnectionsAtOnce(t *testing.T) {
	const count = 1000
	withKernel(t, overTap, func(t *testing.T, c *cable) {
		c.inEveryWay(t, func(t *testing.T, w way) {
			w.connect(t) // so that each knows where the other is: few packets may wait for that
			before := c.counters()
			l := w.listen(t)
			dialed, failures := w.dialAll(count, l.Addr().String())
			var conns []net.Conn
			for range count {
				select {
				case conn := <-dialed:
					conns = append(conns, conn)
				case err := <-failures:
					require.NoError(t, err)
				}
			}

			go echoAll(l)
			var echoes []<-chan error
			for i, conn := range conns {
				echoes = append(echoes, start(func() error { return hearEcho(conn, noise(i, 1024)) }))
			}
			for _, echo := range echoes {
				require.NoError(t, <-echo)
			}
			after := c.counters()
			require.Equal(t, before.EstabResets, after.EstabResets, "none was reset")
			require.Equal(t, before.AttemptFails, after.AttemptFails)
			require.EqualValues(t, count, after.PassiveOpens+after.ActiveOpens-before.PassiveOpens-before.ActiveOpens)
		})
	})
}

// TestKernelFullBacklog: more connections are asked for than may wait to be accepted. They are kept waiting, not
// refused.
func TestKernelFullBacklog(t *testing.T) {
	const backlog, count = 32, 64
	withKernel(t, overTap, func(t *testing.T, c *cable) {
		for _, tc := range []struct {
			w      way
			listen func(address string) (net.Listener, error)
			full   func() bool // connections were turned away for now
		}{
			{
				c.ways()[0],
				func(address string) (net.Listener, error) {
					config := listener.ListenConfig{Stack: c.stack.stack, Backlog: backlog}
					return config.Listen(context.Background(), "tcp", address)
				},
				func() bool { return c.counters().AcceptQueueFull+c.counters().SynQueueFull > 0 },
			},
			{
				c.ways()[2],
				func(address string) (net.Listener, error) {
					l, err := listenPlain("tcp", address)
					if err != nil {
						return nil, err
					}
					raw, err := l.(*net.TCPListener).SyscallConn()
					if err != nil {
						return nil, err
					}
					var listening error
					err = raw.Control(func(fd uintptr) { listening = syscall.Listen(int(fd), backlog) })
					if err == nil {
						err = listening
					}
					return l, err
				},
				func() bool { return kernelCounter(t, "ListenOverflows") > 0 },
			},
		} {
			t.Run(tc.w.String(), func(t *testing.T) {
				l, err := tc.listen(tc.w.port(0))
				require.NoError(t, err)
				defer l.Close()
				dialed, failures := tc.w.dialAll(count, l.Addr().String())
				until(t, tc.full, "the backlog is full")
				go echoAll(l)
				for i := range count {
					select {
					case conn := <-dialed:
						require.NoError(t, hearEcho(conn, noise(i, 1024)))
					case err := <-failures:
						require.NoError(t, err)
					}
				}
				require.Zero(t, c.counters().EstabResets)
				require.Zero(t, c.counters().AttemptFails)
			})
		}
	})
}
