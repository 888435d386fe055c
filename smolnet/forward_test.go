package smolnet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// newGateway returns two stacks: a client, and behind a pipe the gateway by which it reaches everything else.
func newGateway(t testing.TB, link pipe.Config) (client, gateway *smolnet.Stack, inside *smolnet.Link) {
	t.Helper()
	a, b := pipe.New(link)
	client, gateway = newStack(t, smolnet.Config{}), newStack(t, smolnet.Config{})
	_, err := client.AddInterface(smolnet.Interface{Device: a, DuplicateDetection: core.DetectNone, Addresses: firstAddresses, Routes: []core.Route{
		{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.168.69.100")},
		{Destination: netip.MustParsePrefix("::/0"), Gateway: netip.MustParseAddr("fdaa::100")},
	}})
	require.NoError(t, err)
	inside, err = gateway.AddInterface(smolnet.Interface{Device: b, DuplicateDetection: core.DetectNone, Addresses: secondAddresses})
	require.NoError(t, err)
	return client, gateway, inside
}

func forwardTCP(t testing.TB, gateway *smolnet.Stack, config smolnet.ForwardConfig) *smolnet.TCPForwarder {
	t.Helper()
	f, err := gateway.ForwardTCP(config)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func forwardUDP(t testing.TB, gateway *smolnet.Stack, config smolnet.ForwardConfig) *smolnet.UDPForwarder {
	t.Helper()
	f, err := gateway.ForwardUDP(config)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

var farAddresses = []string{"203.0.113.7:443", "[2001:db8::7]:443"}

// dialed is what became of a Dial.
type dialed struct {
	conn net.Conn
	err  error
	took time.Duration
}

// dialing dials and tells later.
func dialing(ctx context.Context, client *smolnet.Stack, address string) <-chan dialed {
	done := make(chan dialed, 1)
	start := time.Now()
	go func() {
		c, err := client.DialContext(ctx, "tcp", address)
		done <- dialed{c, err, time.Since(start)}
	}()
	return done
}

func TestForwardedDialReturnsOnceItIsAccepted(t *testing.T) {
	for _, address := range farAddresses {
		for _, medium := range []pipe.Config{{}, offloading} {
			synctest.Test(t, func(t *testing.T) {
				client, gateway, inside := newGateway(t, medium)
				f := forwardTCP(t, gateway, smolnet.ForwardConfig{Link: inside})
				done := dialing(t.Context(), client, address)
				r, err := f.AcceptRequest()
				require.NoError(t, err)
				require.Equal(t, address, r.LocalAddr().String(), "whom the client means")
				time.Sleep(10 * time.Second) // until the far side is reached
				synctest.Wait()
				require.Empty(t, done, "the client waits for that")

				peer, err := r.Accept(t.Context())
				require.NoError(t, err)
				d := <-done
				require.NoError(t, d.err)
				require.Equal(t, 10*time.Second, d.took)
				require.Equal(t, address, d.conn.RemoteAddr().String())
				require.Equal(t, address, peer.LocalAddr().String())
				require.Equal(t, d.conn.LocalAddr(), peer.RemoteAddr())
				require.Equal(t, r.RemoteAddr(), peer.RemoteAddr())

				go func() { io.Copy(peer, peer); peer.CloseWrite() }()
				message := make([]byte, 300<<10)
				go func() { d.conn.Write(message); d.conn.(*smolnet.TCPConn).CloseWrite() }()
				got, err := io.ReadAll(d.conn)
				require.NoError(t, err)
				require.Equal(t, message, got)

				for _, again := range []error{r.Reject(), r.Ignore(), acceptance(r)} {
					require.ErrorIs(t, again, net.ErrClosed, "it is decided")
					require.IsType(t, (*net.OpError)(nil), again)
				}
			})
		}
	}
}

func acceptance(r *smolnet.TCPRequest) error {
	_, err := r.Accept(context.Background())
	return err
}

func TestRejectedDial(t *testing.T) {
	for _, address := range farAddresses {
		synctest.Test(t, func(t *testing.T) {
			client, gateway, inside := newGateway(t, pipe.Config{})
			f := forwardTCP(t, gateway, smolnet.ForwardConfig{Link: inside})
			done := dialing(t.Context(), client, address)
			r, err := f.AcceptRequest()
			require.NoError(t, err)
			require.NoError(t, r.Reject())
			d := <-done
			require.ErrorIs(t, d.err, syscall.ECONNREFUSED)
			require.Zero(t, d.took)
		})
	}
}

func TestIgnoredDialAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, gateway, inside := newGateway(t, pipe.Config{})
		f := forwardTCP(t, gateway, smolnet.ForwardConfig{Link: inside})
		done := dialing(t.Context(), client, farAddresses[0])
		for range 3 {
			r, err := f.AcceptRequest()
			require.NoError(t, err)
			require.NoError(t, r.Ignore())
		}
		r, err := f.AcceptRequest()
		require.NoError(t, err)
		_, err = r.Accept(t.Context())
		require.NoError(t, err)
		require.NoError(t, (<-done).err)
		require.Greater(t, gateway.Counters().TCP.Held, uint64(3))
	})
}

// One destination that nobody reaches holds up none of the others.
func TestBlackHolesBlockNobody(t *testing.T) {
	const dials = 200
	synctest.Test(t, func(t *testing.T) {
		client, gateway, inside := newGateway(t, pipe.Config{})
		f := forwardTCP(t, gateway, smolnet.ForwardConfig{Link: inside})
		go func() {
			for {
				r, err := f.AcceptRequest()
				if err != nil {
					return
				}
				go func() {
					if r.LocalAddr().(*net.TCPAddr).Port == 1 {
						time.Sleep(time.Hour) // the far side never answers
						return
					}
					if c, err := r.Accept(t.Context()); err == nil {
						io.WriteString(c, c.LocalAddr().String())
						c.Close()
					}
				}()
			}
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var holes []<-chan dialed
		var others sync.WaitGroup
		for i := range dials {
			if i%2 == 0 {
				holes = append(holes, dialing(ctx, client, "203.0.113.1:1"))
				continue
			}
			others.Go(func() {
				start := time.Now()
				address := fmt.Sprintf("203.0.113.%d:80", 2+i%200)
				c, err := client.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(c)
				c.Close()
				if err != nil || string(got) != address || time.Since(start) > 0 {
					t.Errorf("%q, %v after %v", got, err, time.Since(start))
				}
			})
		}
		others.Wait()
		for _, hole := range holes {
			require.ErrorIs(t, (<-hole).err, context.DeadlineExceeded)
		}
		require.EqualValues(t, dials, gateway.Counters().TCP.Held)
		require.EqualValues(t, dials/2, gateway.Counters().TCP.PassiveOpens)
		time.Sleep(time.Hour) // virtual
		require.EqualValues(t, dials/2, gateway.Counters().TCP.HeldTimeouts)
	})
}

func TestRequestsInFlightAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, gateway, inside := newGateway(t, pipe.Config{})
		f := forwardTCP(t, gateway, smolnet.ForwardConfig{Link: inside, InFlight: 2})
		var all []<-chan dialed
		for range 4 {
			all = append(all, dialing(t.Context(), client, farAddresses[0]))
		}
		synctest.Wait()
		require.EqualValues(t, 2, gateway.Counters().TCP.Held)
		require.EqualValues(t, 2, gateway.Counters().TCP.InFlightFull)
		for range 4 {
			r, err := f.AcceptRequest() // those beyond try again
			require.NoError(t, err)
			_, err = r.Accept(t.Context())
			require.NoError(t, err)
		}
		for _, done := range all {
			require.NoError(t, (<-done).err)
		}
	})
}

func TestUndecidedRequestEnds(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(t *testing.T, gateway *smolnet.Stack, f *smolnet.TCPForwarder)
		want error
		dial error
	}{
		{"by its timeout", func(t *testing.T, _ *smolnet.Stack, _ *smolnet.TCPForwarder) {
			time.Sleep(time.Minute)
		}, syscall.ETIMEDOUT, context.DeadlineExceeded},
		{"with the forwarder", func(t *testing.T, _ *smolnet.Stack, f *smolnet.TCPForwarder) {
			require.NoError(t, f.Close())
			require.ErrorIs(t, f.Close(), net.ErrClosed)
		}, net.ErrClosed, syscall.ECONNREFUSED},
		{"with the stack", func(t *testing.T, gateway *smolnet.Stack, _ *smolnet.TCPForwarder) {
			require.NoError(t, gateway.Close())
		}, net.ErrClosed, syscall.ECONNREFUSED},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, gateway, inside := newGateway(t, pipe.Config{})
				f := forwardTCP(t, gateway, smolnet.ForwardConfig{Link: inside, Timeout: 33 * time.Second})
				ctx, cancel := context.WithTimeout(t.Context(), 33*time.Second)
				defer cancel()
				done := dialing(ctx, client, farAddresses[0])
				r, err := f.AcceptRequest()
				require.NoError(t, err)
				tc.end(t, gateway, f)
				for _, call := range []func() error{func() error { return acceptance(r) }, r.Reject, r.Ignore} {
					err := call()
					if !errors.Is(err, tc.want) {
						require.ErrorIs(t, err, net.ErrClosed)
					}
					require.IsType(t, (*net.OpError)(nil), err)
				}
				require.ErrorIs(t, (<-done).err, tc.dial)
			})
		})
	}
}

func TestRequestContext(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(gateway *smolnet.Stack, f *smolnet.TCPForwarder, r *smolnet.TCPRequest)
		want error
	}{
		{"the timeout", func(*smolnet.Stack, *smolnet.TCPForwarder, *smolnet.TCPRequest) { time.Sleep(time.Minute) }, syscall.ETIMEDOUT},
		{"the forwarder is closed", func(_ *smolnet.Stack, f *smolnet.TCPForwarder, _ *smolnet.TCPRequest) { f.Close() }, net.ErrClosed},
		{"the stack is closed", func(s *smolnet.Stack, _ *smolnet.TCPForwarder, _ *smolnet.TCPRequest) { s.Close() }, net.ErrClosed},
		{"accepted", func(_ *smolnet.Stack, _ *smolnet.TCPForwarder, r *smolnet.TCPRequest) {
			_, err := r.Accept(r.Context())
			require.NoError(t, err, "its context ends afterwards")
		}, context.Canceled},
		{"rejected", func(_ *smolnet.Stack, _ *smolnet.TCPForwarder, r *smolnet.TCPRequest) { r.Reject() }, context.Canceled},
		{"ignored", func(_ *smolnet.Stack, _ *smolnet.TCPForwarder, r *smolnet.TCPRequest) { r.Ignore() }, context.Canceled},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, gateway, inside := newGateway(t, pipe.Config{})
				f := forwardTCP(t, gateway, smolnet.ForwardConfig{Link: inside, Timeout: time.Minute})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := dialing(ctx, client, farAddresses[0])
				r, err := f.AcceptRequest()
				require.NoError(t, err)
				require.NoError(t, r.Context().Err())
				tc.end(gateway, f, r)
				<-r.Context().Done()
				require.ErrorIs(t, context.Cause(r.Context()), tc.want)
				cancel()
				if d := <-done; d.conn != nil {
					d.conn.Close()
				}
			})
		})
	}
}

// Who first asks for it when all is over is told so.
func TestRequestContextAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, gateway, inside := newGateway(t, pipe.Config{})
		f := forwardTCP(t, gateway, smolnet.ForwardConfig{Link: inside})
		done := dialing(t.Context(), client, farAddresses[0])
		r, err := f.AcceptRequest()
		require.NoError(t, err)
		require.NoError(t, r.Reject())
		<-r.Context().Done()
		<-done
		require.NoError(t, (*smolnet.TCPRequest)(nil).Context().Err())
	})
}

// A client that has given up meanwhile answers the SYN|ACK with a reset.
func TestAcceptForAPeerThatWentAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, gateway, inside := newGateway(t, pipe.Config{Delay: time.Millisecond})
		f := forwardTCP(t, gateway, smolnet.ForwardConfig{Link: inside})
		ctx, cancel := context.WithCancel(t.Context())
		done := dialing(ctx, client, farAddresses[0])
		r, err := f.AcceptRequest()
		require.NoError(t, err)
		cancel()
		require.ErrorIs(t, (<-done).err, context.Canceled)
		start := time.Now()
		err = acceptance(r)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Equal(t, 2*time.Millisecond, time.Since(start))
		require.EqualError(t, err, fmt.Sprintf("accept tcp %v->%v: accept: connection reset by peer", r.RemoteAddr(), r.LocalAddr()))
	})
}

func TestAcceptEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, gateway, inside := newGateway(t, pipe.Config{Delay: time.Second})
		f := forwardTCP(t, gateway, smolnet.ForwardConfig{Link: inside})
		done := dialing(t.Context(), client, farAddresses[0])
		r, err := f.AcceptRequest()
		require.NoError(t, err)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = r.Accept(over)
		require.ErrorIs(t, err, context.Canceled)

		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		c, err := r.Accept(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded, "the first time nothing was decided; now the handshake was begun")
		require.Nil(t, c)
		d := <-done
		require.NoError(t, d.err, "the SYN|ACK has reached the client")
		_, err = d.conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET, "and so has the reset")
	})
}

func TestAcceptEndsWithTheForwarder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, gateway, inside := newGateway(t, pipe.Config{Delay: time.Second})
		f := forwardTCP(t, gateway, smolnet.ForwardConfig{Link: inside})
		dialing(t.Context(), client, farAddresses[0])
		r, err := f.AcceptRequest()
		require.NoError(t, err)
		time.AfterFunc(time.Second, func() { f.Close() })
		require.ErrorIs(t, acceptance(r), net.ErrClosed)
	})
}

func TestForwarderDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, gateway, inside := newGateway(t, pipe.Config{})
		f := forwardTCP(t, gateway, smolnet.ForwardConfig{Link: inside})
		u := forwardUDP(t, gateway, smolnet.ForwardConfig{Link: inside})
		require.NoError(t, f.SetDeadline(time.Now().Add(time.Second)))
		require.NoError(t, u.SetDeadline(time.Now().Add(time.Second)))
		for _, call := range []func() error{
			func() error { _, err := f.Accept(); return err },
			func() error { _, err := f.AcceptRequest(); return err },
			func() error { _, err := u.Accept(); return err },
		} {
			err := call()
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.IsType(t, (*net.OpError)(nil), err)
		}
		time.AfterFunc(time.Second, func() { f.Close(); u.Close() })
		require.NoError(t, f.SetDeadline(time.Time{}))
		require.NoError(t, u.SetDeadline(time.Time{}))
		_, err := f.AcceptRequest()
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = u.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestForwardErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, gateway, inside := newGateway(t, pipe.Config{})
		forwardTCP(t, gateway, smolnet.ForwardConfig{Link: inside})
		forwardUDP(t, gateway, smolnet.ForwardConfig{Link: inside})
		closed := newStack(t, smolnet.Config{})
		require.NoError(t, closed.Close())
		for _, tc := range []struct {
			name  string
			stack *smolnet.Stack
			link  *smolnet.Link
			want  error
		}{
			{"a second one", gateway, inside, syscall.EADDRINUSE},
			{"no interface", gateway, nil, syscall.EINVAL},
			{"the loopback", gateway, gateway.Links()[0], syscall.EINVAL},
			{"another stack's interface", client, inside, syscall.EINVAL},
			{"a closed stack", closed, closed.Links()[0], net.ErrClosed},
		} {
			_, err := tc.stack.ForwardTCP(smolnet.ForwardConfig{Link: tc.link})
			require.ErrorIs(t, err, tc.want, tc.name)
			require.IsType(t, (*net.OpError)(nil), err)
			_, err = tc.stack.ForwardUDP(smolnet.ForwardConfig{Link: tc.link})
			require.ErrorIs(t, err, tc.want, tc.name)
			require.IsType(t, (*net.OpError)(nil), err)
		}
	})
}

func TestTransparentProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, gateway, inside := newGateway(t, pipe.Config{})
		f := forwardTCP(t, gateway, smolnet.ForwardConfig{Link: inside})
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			local := r.Context().Value(http.LocalAddrContextKey)
			fmt.Fprintf(w, "%s at %v", r.URL.Path, local)
		})}
		served := make(chan error, 1)
		go func() { served <- server.Serve(f) }()

		transport := &http.Transport{DialContext: client.DialContext}
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				address := fmt.Sprintf("203.0.113.%d:%d", i, 8000+i)
				response, err := (&http.Client{Transport: transport}).Get("http://" + address + "/x")
				if err != nil {
					t.Error(err)
					return
				}
				defer response.Body.Close()
				got, err := io.ReadAll(response.Body)
				if err != nil || string(got) != "/x at "+address {
					t.Errorf("%q, %v", got, err)
				}
			})
		}
		all.Wait()
		transport.CloseIdleConnections()
		require.NoError(t, server.Shutdown(t.Context()), "connections that live on are heard to close")
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
}

func TestForwardedFlows(t *testing.T) {
	for _, address := range farAddresses {
		synctest.Test(t, func(t *testing.T) {
			client, gateway, inside := newGateway(t, pipe.Config{})
			f := forwardUDP(t, gateway, smolnet.ForwardConfig{Link: inside})
			c, err := client.Dial("udp", address)
			require.NoError(t, err)
			for _, text := range []string{"one", "two"} {
				_, err = io.WriteString(c, text)
				require.NoError(t, err)
			}
			flow, err := f.AcceptUDP()
			require.NoError(t, err)
			require.Equal(t, address, flow.LocalAddr().String(), "whom the client means")
			require.Equal(t, c.LocalAddr(), flow.RemoteAddr())
			b := make([]byte, 100)
			for _, text := range []string{"one", "two"} {
				n, err := flow.Read(b)
				require.NoError(t, err)
				require.Equal(t, text, string(b[:n]))
			}
			_, err = io.WriteString(flow, "three")
			require.NoError(t, err)
			n, err := c.Read(b)
			require.NoError(t, err, "the client is connected: it takes answers from there only")
			require.Equal(t, "three", string(b[:n]))

			require.NoError(t, f.Close())
			_, err = io.WriteString(c, "four")
			require.NoError(t, err)
			n, err = flow.Read(b)
			require.NoError(t, err, "a flow outlives the forwarder")
			require.Equal(t, "four", string(b[:n]))
			require.NoError(t, flow.Close())
			_, err = io.WriteString(c, "five")
			require.NoError(t, err)
			synctest.Wait()
			require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
			_, err = c.Read(b)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded, "nobody speaks for others any more, not even of errors")
			again := forwardUDP(t, gateway, smolnet.ForwardConfig{Link: inside})
			_, err = io.WriteString(c, "six")
			require.NoError(t, err)
			_, err = again.Accept()
			require.NoError(t, err)
		})
	}
}

func TestRejectedFlow(t *testing.T) {
	for _, address := range farAddresses {
		synctest.Test(t, func(t *testing.T) {
			client, gateway, inside := newGateway(t, pipe.Config{})
			f := forwardUDP(t, gateway, smolnet.ForwardConfig{Link: inside})
			c, err := client.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
			require.NoError(t, err)
			_, err = io.WriteString(c, "one")
			require.NoError(t, err)
			flow, err := f.AcceptUDP()
			require.NoError(t, err)
			require.NoError(t, flow.Reject())
			_, err = c.Read(make([]byte, 1))
			require.ErrorIs(t, err, syscall.ECONNREFUSED)

			for _, call := range []func() error{flow.Reject, flow.Close} {
				err = call()
				require.ErrorIs(t, err, net.ErrClosed)
				require.IsType(t, (*net.OpError)(nil), err)
			}
			require.ErrorIs(t, c.Reject(), syscall.EINVAL, "it is no flow")
			require.ErrorIs(t, (*smolnet.UDPConn)(nil).Reject(), syscall.EINVAL)
			_, err = io.WriteString(c, "two")
			require.NoError(t, err, "it is open still")
			_, err = f.Accept()
			require.NoError(t, err)
		})
	}
}

// Closing with requests and flows in every state leaves no goroutine, and nothing in the tables.
func TestClosedForwardersLeaveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, gateway, inside := newGateway(t, pipe.Config{Delay: time.Millisecond})
		synctest.Wait()
		before := len(ours())
		for range 20 {
			f, err := gateway.ForwardTCP(smolnet.ForwardConfig{Link: inside})
			require.NoError(t, err)
			u, err := gateway.ForwardUDP(smolnet.ForwardConfig{Link: inside})
			require.NoError(t, err)
			var all []<-chan dialed
			for range 10 {
				all = append(all, dialing(t.Context(), client, farAddresses[0]))
			}
			for range 5 {
				c, err := client.Dial("udp", farAddresses[1])
				require.NoError(t, err)
				io.WriteString(c, "x")
				defer c.Close()
			}
			time.Sleep(10 * time.Millisecond) // all have arrived
			var calls sync.WaitGroup
			for i := range 5 {
				r, err := f.AcceptRequest()
				require.NoError(t, err)
				if i < 2 {
					calls.Go(func() { acceptance(r) })
				}
			}
			flow, err := u.Accept()
			require.NoError(t, err)
			require.NoError(t, flow.Close())
			require.NoError(t, f.Close())
			require.NoError(t, u.Close())
			calls.Wait()
			for _, done := range all {
				if d := <-done; d.err == nil {
					d.conn.Close()
				}
			}
		}
		time.Sleep(5 * time.Minute) // virtual: nothing is left that time has not ended
		synctest.Wait()
		require.Len(t, ours(), before)
		c := gateway.Counters()
		require.Equal(t, c.TCP.Held, uint64(200))
		require.Zero(t, c.TCP.HeldTimeouts)
		require.Zero(t, c.TCP.CurrEstab)
		drops := c.Drops[core.DropNotOurs]
		_, err := client.DialTimeout("tcp", farAddresses[0], time.Second)
		require.Error(t, err)
		synctest.Wait()
		require.Greater(t, gateway.Counters().Drops[core.DropNotOurs], drops, "the interface is as it was before")
	})
}

// What answers with the header that it was told, as QUIC servers do, finds that an address to send from which is not the stack's own.
func TestFlowAnswersFromTheAddressThatItWasTold(t *testing.T) {
	for _, address := range farAddresses {
		synctest.Test(t, func(t *testing.T) {
			client, gateway, inside := newGateway(t, pipe.Config{})
			f := forwardUDP(t, gateway, smolnet.ForwardConfig{Link: inside})
			c, err := client.Dial("udp", address)
			require.NoError(t, err)
			_, err = c.Write([]byte("query"))
			require.NoError(t, err)
			flow, err := f.AcceptUDP()
			require.NoError(t, err)
			require.NoError(t, flow.SetControlMessage(smolnet.ControlPacketInfo, true))
			b, oob := make([]byte, 100), make([]byte, 100)
			_, oobn, _, _, err := flow.ReadMsgUDP(b, oob)
			require.NoError(t, err)
			var told smolnet.ControlMessage
			require.NoError(t, told.Parse(oob[:oobn]))
			require.Equal(t, netip.MustParseAddrPort(address).Addr(), told.Dst)

			answer := smolnet.ControlMessage{Src: told.Dst, IfIndex: told.IfIndex}
			_, _, err = flow.WriteMsgUDP([]byte("answer"), answer.Marshal(), nil)
			require.NoError(t, err)
			n, err := c.Read(b)
			require.NoError(t, err)
			require.Equal(t, "answer", string(b[:n]))
			answer.Src = answer.Src.Next()
			_, _, err = flow.WriteMsgUDP([]byte("from somebody else"), answer.Marshal(), nil)
			require.Error(t, err)
			require.NoError(t, c.Close())
			require.NoError(t, flow.Close())
		})
	}
}
