package smolnet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/listener"
	"github.com/smolnet/smolnet/smolnet"
)

// waitingCall is a call that waits, for ever unless something is done about it.
type waitingCall struct {
	name        string
	call        func() error
	setDeadline func(time.Time) error
	release     func() error // makes the call return without an error
	close       func() error // closes what it is a call of
}

// waitingCalls returns one of each kind, each of an endpoint of its own.
func (p place) waitingCalls(t *testing.T) []waitingCall {
	dialing, listening := p.stacks(t)
	l := listen(t, listening, p.network, p.address)
	reading, reader := dial(t, dialing, l)
	writing, writer := dial(t, dialing, l)
	empty := listen(t, listening, p.network, p.address)
	receiving, sender := p.exchange(t)
	require.NoError(t, writing.SetWriteBuffer(16<<10))
	require.NoError(t, writer.SetReadBuffer(16<<10))
	const more = 512 << 10 // than the buffers hold
	return []waitingCall{
		{
			name: "Accept",
			call: func() error {
				c, err := empty.Accept()
				switch {
				case err == nil:
					c.Close()
				case c != nil:
					return fmt.Errorf("%T and %w", c, err)
				}
				return err
			},
			setDeadline: empty.SetDeadline,
			release: func() error {
				c, err := dialing.Dial(p.network, empty.Addr().String())
				if err == nil {
					err = c.Close()
				}
				return err
			},
			close: empty.Close,
		},
		{
			name: "Read",
			call: func() error {
				n, err := reading.Read(make([]byte, 1))
				if err != nil && n != 0 {
					return fmt.Errorf("%d octets and %w", n, err)
				}
				return err
			},
			setDeadline: reading.SetReadDeadline,
			release:     func() error { _, err := reader.Write([]byte("x")); return err },
			close:       reading.Close,
		},
		{
			name:        "Write",
			call:        func() error { _, err := writing.Write(make([]byte, more)); return err },
			setDeadline: writing.SetWriteDeadline,
			release: func() error {
				go io.Copy(io.Discard, writer)
				return nil
			},
			close: writing.Close,
		},
		{
			name: "ReadFrom",
			call: func() error {
				n, addr, err := receiving.ReadFrom(make([]byte, 1))
				if err != nil && (n != 0 || addr != nil) {
					return fmt.Errorf("%d octets, %T and %w", n, addr, err)
				}
				return err
			},
			setDeadline: receiving.SetReadDeadline,
			release:     func() error { _, err := sender.Write([]byte("x")); return err },
			close:       receiving.Close,
		},
	}
}

// eachCall runs a test everywhere with every kind of call.
func eachCall(t *testing.T, test func(t *testing.T, p place, c waitingCall)) {
	everywhere(t, func(t *testing.T, p place) {
		for _, c := range p.waitingCalls(t) {
			t.Log(c.name)
			test(t, p, c)
		}
	})
}

func TestDeadlineEndsEveryCall(t *testing.T) {
	eachCall(t, func(t *testing.T, p place, c waitingCall) {
		for _, timeout := range []time.Duration{
			1, 2, 100, time.Microsecond, 250 * time.Microsecond, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond,
		} {
			start := time.Now()
			require.NoError(t, c.setDeadline(start.Add(timeout)))
			wantDeadline(t, c.call())
			p.requireTook(t, timeout, start)
			wantDeadline(t, c.call())
			p.requireTook(t, timeout, start)
		}
	})
}

func TestDeadlineThatHasPassedBeforeTheCall(t *testing.T) {
	eachCall(t, func(t *testing.T, p place, c waitingCall) {
		require.NoError(t, c.release())
		p.settle()
		start := time.Now()
		for _, past := range []time.Time{time.Unix(1, 0), time.Unix(-1, 0), start.Add(-5 * time.Second), start.Add(math.MinInt64), start} {
			require.NoError(t, c.setDeadline(past))
			wantDeadline(t, c.call())
			wantDeadline(t, c.call())
		}
		p.requireTook(t, 0, start)
		require.NoError(t, c.setDeadline(time.Time{}))
		require.NoError(t, c.call(), "what was there then is there still")
	})
}

// As net/http stops its Reads in the background.
func TestDeadlineInThePastWakesEveryCall(t *testing.T) {
	eachCall(t, func(t *testing.T, p place, c waitingCall) {
		for _, past := range []time.Time{time.Unix(1, 0), time.Now().Add(-5 * time.Second), time.Now()} {
			done := start(c.call)
			p.settle()
			require.NoError(t, c.setDeadline(past))
			wantDeadline(t, <-done)
			require.NoError(t, c.setDeadline(time.Time{}))
		}
		done := start(c.call)
		require.NoError(t, c.release())
		require.NoError(t, <-done, "and it goes on from there")
	})
}

func TestLastDeadlineCounts(t *testing.T) {
	never, past := time.Time{}, -5*time.Second
	t.Run("none", func(t *testing.T) {
		eachCall(t, func(t *testing.T, p place, c waitingCall) {
			require.NoError(t, c.setDeadline(time.Now().Add(past)))
			require.NoError(t, c.setDeadline(time.Now().Add(time.Hour)))
			require.NoError(t, c.setDeadline(never))
			done := start(c.call)
			if p.virtual {
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				select {
				case err := <-done:
					t.Fatal("it returned: ", err)
				default:
				}
			}
			require.NoError(t, c.release())
			require.NoError(t, <-done)
		})
	})
	t.Run("sooner", func(t *testing.T) {
		eachCall(t, func(t *testing.T, p place, c waitingCall) {
			begin := time.Now()
			require.NoError(t, c.setDeadline(begin.Add(time.Hour)))
			require.NoError(t, c.setDeadline(never))
			require.NoError(t, c.setDeadline(begin.Add(10*time.Millisecond)))
			wantDeadline(t, c.call())
			p.requireTook(t, 10*time.Millisecond, begin)
		})
	})
	t.Run("later", func(t *testing.T) {
		eachCall(t, func(t *testing.T, p place, c waitingCall) {
			begin := time.Now()
			require.NoError(t, c.setDeadline(begin.Add(10*time.Millisecond)))
			require.NoError(t, c.setDeadline(begin.Add(30*time.Millisecond)))
			wantDeadline(t, c.call())
			p.requireTook(t, 30*time.Millisecond, begin)
		})
	})
}

func TestDeadlinesAreForOneSide(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		past, never := time.Now().Add(-5*time.Second), time.Time{}
		c, peer := p.connect(t)
		go io.Copy(peer, peer)
		for range 3 {
			require.NoError(t, c.SetDeadline(past))
			require.NoError(t, c.SetWriteDeadline(never))
			_, err := c.Write([]byte("x"))
			require.NoError(t, err)
			_, err = c.Read(make([]byte, 1))
			wantDeadline(t, err)

			require.NoError(t, c.SetDeadline(past))
			require.NoError(t, c.SetReadDeadline(never))
			_, err = c.Read(make([]byte, 1))
			require.NoError(t, err)
			_, err = c.Write([]byte("x"))
			wantDeadline(t, err)
		}
	})
}

// A deadline passes though there is something to read, and room to write, all the time.
func TestDeadlinePassesBetweenCalls(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		_, err := peer.Write(make([]byte, 100))
		require.NoError(t, err)
		receiving, sending := p.exchange(t)
		for range 100 {
			_, err := sending.Write([]byte("x"))
			require.NoError(t, err)
		}
		p.settle()
		for _, tc := range []struct {
			name        string
			setDeadline func(time.Time) error
			call        func() (int, error)
		}{
			{"Read", c.SetReadDeadline, func() (int, error) { return c.Read(make([]byte, 1)) }},
			{"Write", c.SetWriteDeadline, func() (int, error) { return c.Write(make([]byte, 1)) }},
			{"ReadFrom", receiving.SetReadDeadline, func() (int, error) {
				n, _, err := receiving.ReadFrom(make([]byte, 1))
				return n, err
			}},
			{"WriteTo", receiving.SetWriteDeadline, func() (int, error) { return receiving.WriteTo(make([]byte, 1), sending.LocalAddr()) }},
		} {
			const timeout, pause = 30 * time.Millisecond, 12 * time.Millisecond
			begin := time.Now()
			require.NoError(t, tc.setDeadline(begin.Add(timeout)))
			succeeded := 0
			for {
				n, err := tc.call()
				if err != nil {
					require.Zero(t, n)
					wantDeadline(t, err)
					break
				}
				require.Equal(t, 1, n)
				succeeded++
				time.Sleep(pause)
			}
			require.GreaterOrEqual(t, time.Since(begin), timeout)
			if p.virtual {
				require.Equal(t, 3, succeeded, tc.name)
			}
			_, err := tc.call()
			wantDeadline(t, err)
		}
	})
}

func TestDeadlineEndsWriteToOverASlowLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPair(t, pipe.Config{Medium: dev.IP, Queue: 1, Delay: time.Second})
		to := bind(t, second, "udp", "192.168.69.100:0").LocalAddr()
		c := bind(t, first, "udp", "192.168.69.1:0")
		require.NoError(t, c.SetWriteBuffer(1<<10))
		for _, timeout := range []time.Duration{1, time.Microsecond, time.Millisecond, 100 * time.Millisecond} {
			begin := time.Now()
			require.NoError(t, c.SetWriteDeadline(begin.Add(timeout)))
			n, err := 0, error(nil)
			for err == nil {
				n, err = c.WriteTo(make([]byte, 1000), to)
			}
			require.Zero(t, n)
			wantDeadline(t, err)
			require.Equal(t, timeout, time.Since(begin), "it has waited for room")
		}
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		_, err := c.WriteTo([]byte("x"), to)
		require.NoError(t, err)
	})
}

func TestCopyEndsWithTheDeadlineOnSoManyProcessors(t *testing.T) {
	for _, processors := range []int{1, 4} {
		before := runtime.GOMAXPROCS(processors)
		everywhere(t, func(t *testing.T, p place) {
			for _, timeout := range []time.Duration{
				1, 2, 50, 500, time.Microsecond, 25 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 5 * time.Millisecond,
			} {
				c, _ := p.connect(t)
				begin := time.Now()
				require.NoError(t, c.SetDeadline(begin.Add(timeout)))
				n, err := io.Copy(io.Discard, c)
				require.Zero(t, n)
				p.requireTook(t, timeout, begin)
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				require.True(t, err.(net.Error).Timeout())
			}
		})
		runtime.GOMAXPROCS(before)
	}
}

func TestDeadlineIsPutOffByBothSides(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		const n = 1000
		var calls sync.WaitGroup
		for _, side := range []struct {
			setDeadline func(time.Time) error
			call        func([]byte) (int, error)
		}{{peer.SetReadDeadline, peer.Read}, {peer.SetWriteDeadline, peer.Write}} {
			calls.Go(func() {
				for range n {
					err := side.setDeadline(time.Now().Add(time.Hour))
					if err == nil {
						_, err = side.call(make([]byte, 1))
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range n {
			_, err := c.Write([]byte("x"))
			require.NoError(t, err)
			_, err = c.Read(make([]byte, 1))
			require.NoError(t, err)
		}
		calls.Wait()
	})
}

func TestDeadlineRacesWithCalls(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		go io.Copy(peer, peer)
		const n = 300
		var calls sync.WaitGroup
		calls.Go(func() {
			tick := time.NewTicker(2 * time.Microsecond)
			defer tick.Stop()
			for range n {
				if err := errors.Join(
					c.SetReadDeadline(time.Now().Add(2*time.Microsecond)), c.SetWriteDeadline(time.Now().Add(2*time.Microsecond)),
				); err != nil {
					t.Error(err)
				}
				<-tick.C
			}
		})
		for _, call := range []func([]byte) (int, error){c.Read, c.Write} {
			calls.Go(func() {
				for range n {
					if _, err := call(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error(err)
					}
				}
			})
		}
		calls.Wait()
	})
}

func TestManySetDeadlinesAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		dialing, listening := p.stacks(t)
		l := listen(t, listening, p.network, p.address)
		var conns [10]*smolnet.TCPConn
		for i := range conns {
			conns[i], _ = dial(t, dialing, l)
		}
		now := time.Now()
		var setters sync.WaitGroup
		for i := range 8 {
			setters.Go(func() {
				for j := 100; j > 0; j-- { // ever earlier
					for k, c := range conns {
						further := time.Duration(i*j*k) * time.Second
						if err := errors.Join(
							c.SetReadDeadline(now.Add(2*time.Hour+further)), c.SetWriteDeadline(now.Add(time.Hour+further)),
						); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		setters.Wait()
		if !p.virtual {
			return
		}
		_, err := conns[0].Read(make([]byte, 1))
		wantDeadline(t, err)
		require.Equal(t, 2*time.Hour, time.Since(now), "the further of the first connection is none")
	})
}

// A SYN to a listener whose accept queue is full is dropped, so that nobody answers it.
func TestDialTimeoutWhileTheBacklogIsFull(t *testing.T) {
	for _, tc := range []struct {
		name              string
		timeout, deadline time.Duration // 0: none
		want              time.Duration
	}{
		{"timeout in the past", -5 * time.Second, 0, 0},
		{"deadline in the past", 0, -5 * time.Second, 0},
		{"timeout in the past, deadline in the future", -5 * time.Second, 5 * time.Second, 0},
		{"timeout in the future, deadline in the past", 5 * time.Second, -5 * time.Second, 0},
		{"timeout before all time", math.MinInt64, 0, 0},
		{"deadline before all time", 0, math.MinInt64, 0},
		{"timeout", 5 * time.Millisecond, 0, 5 * time.Millisecond},
		{"deadline", 0, 5 * time.Millisecond, 5 * time.Millisecond},
		{"timeout before the deadline", 5 * time.Millisecond, 5 * time.Second, 5 * time.Millisecond},
		{"deadline before the timeout", 5 * time.Second, 5 * time.Millisecond, 5 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, p place) {
				dialing, listening := p.stacks(t)
				lc := listener.ListenConfig{Stack: listening, Backlog: 1}
				l, err := lc.Listen(t.Context(), p.network, p.address)
				require.NoError(t, err)
				defer l.Close()
				first, err := dialing.Dial(p.network, l.Addr().String())
				require.NoError(t, err)
				defer first.Close()
				p.settle()

				d := dialer.Dialer{Stack: dialing, Timeout: tc.timeout}
				begin := time.Now()
				if tc.deadline != 0 {
					d.Deadline = begin.Add(tc.deadline)
				}
				c, err := d.Dial(p.network, l.Addr().String())
				require.True(t, c == nil, "no interface around a nil pointer")
				p.requireTook(t, tc.want, begin)
				requireOp(t, err, "dial")
				require.True(t, err.(net.Error).Timeout())
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
			})
		})
	}
}

func TestDialTimeoutBeyondAllTime(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		dialing, listening := p.stacks(t)
		l := listen(t, listening, p.network, p.address)
		for _, d := range []dialer.Dialer{
			{Timeout: math.MaxInt64},
			{Deadline: time.Now().Add(math.MaxInt64)},
			{Timeout: math.MaxInt64, Deadline: time.Now().Add(math.MaxInt64)},
		} {
			d.Stack = dialing
			c, err := d.Dial(p.network, l.Addr().String())
			require.NoError(t, err)
			require.NoError(t, c.Close())
		}
	})
}
