package smolnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dialer"
)

// inBubbles runs a test in every place, in virtual time.
func inBubbles(t *testing.T, test func(t *testing.T, p place)) {
	inPlaces(t, func(t *testing.T, p place) {
		synctest.Test(t, func(t *testing.T) { test(t, p) })
	})
}

// wantDeadline requires what package net promises of an error by a deadline.
func wantDeadline(t testing.TB, err error) {
	t.Helper()
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	op, ok := err.(*net.OpError)
	require.True(t, ok, "%T", err)
	require.True(t, op.Timeout())
	require.Equal(t, os.ErrDeadlineExceeded, op.Err, "nothing in between")
}

func TestDeadlineInThePastFailsAtOnce(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		_, err := peer.Write([]byte("hello"))
		require.NoError(t, err)
		synctest.Wait()
		for _, past := range []time.Time{time.Unix(1, 0), time.Now(), time.Now().Add(-5 * time.Second)} {
			require.NoError(t, c.SetDeadline(past))
			for range 2 {
				n, err := c.Read(make([]byte, 5))
				require.Zero(t, n, "though there is something to read")
				wantDeadline(t, err)
				n, err = c.Write([]byte("hello"))
				require.Zero(t, n, "though there is room")
				wantDeadline(t, err)
			}
		}
		require.NoError(t, c.SetDeadline(time.Time{}))
		n, err := c.Read(make([]byte, 5))
		require.NoError(t, err, "zero clears the deadline")
		require.Equal(t, 5, n)
		_, err = c.Write([]byte("hello"))
		require.NoError(t, err)
	})
}

func TestDeadlineWakesCalls(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		c, _ := p.connect(t)
		start := time.Now()
		require.NoError(t, c.SetReadDeadline(start.Add(3*time.Second)))
		_, err := c.Read(make([]byte, 1))
		wantDeadline(t, err)
		require.Equal(t, 3*time.Second, time.Since(start))

		require.NoError(t, c.SetWriteDeadline(start.Add(5*time.Second)))
		n, err := c.Write(make([]byte, 64<<20)) // more than both buffers hold
		wantDeadline(t, err)
		require.Positive(t, n, "what was written before the deadline counts")
		require.Less(t, n, 64<<20)
		require.Equal(t, 5*time.Second, time.Since(start))
	})
}

func TestDeadlineMovesWhileCallsWait(t *testing.T) {
	for _, tc := range []struct {
		name  string
		first time.Duration // 0: none
		then  time.Duration // set after a second; 0: none, and closed after 10 s
		want  time.Duration
	}{
		{"later", 2 * time.Second, 5 * time.Second, 5 * time.Second},
		{"earlier", 5 * time.Second, 2 * time.Second, 2 * time.Second},
		{"into the past", 5 * time.Second, -time.Second, time.Second},
		{"none before", 0, 2 * time.Second, 2 * time.Second},
		{"away", 2 * time.Second, 0, 10 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubbles(t, func(t *testing.T, p place) {
				c, _ := p.connect(t)
				start := time.Now()
				at := func(d time.Duration) time.Time {
					if d == 0 {
						return time.Time{}
					}
					return start.Add(d)
				}
				require.NoError(t, c.SetReadDeadline(at(tc.first)))
				done := make(chan error)
				go func() {
					_, err := c.Read(make([]byte, 1))
					done <- err
				}()
				time.Sleep(time.Second)
				require.NoError(t, c.SetReadDeadline(at(tc.then)))
				if tc.then == 0 {
					time.AfterFunc(9*time.Second, func() { c.Close() })
				}
				err := <-done
				require.Equal(t, tc.want, time.Since(start))
				if tc.then == 0 {
					require.ErrorIs(t, err, net.ErrClosed)
				} else {
					wantDeadline(t, err)
				}
			})
		})
	}
}

func TestDeadlinesOfTheTwoSidesAreApart(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(-1)))
		_, err := c.Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(-1)))
		_, err = peer.Write([]byte("x"))
		require.NoError(t, err)
		_, err = c.Read(make([]byte, 1))
		require.NoError(t, err)
	})
}

func TestExpiredConnectionIsUsableAgain(t *testing.T) {
	// net/http stops a Read in its background so, and goes on to use the connection.
	inBubbles(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		done := make(chan error)
		go func() {
			_, err := c.Read(make([]byte, 1))
			done <- err
		}()
		synctest.Wait()
		require.NoError(t, c.SetReadDeadline(time.Unix(1, 0)))
		wantDeadline(t, <-done)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		_, err := peer.Write([]byte("x"))
		require.NoError(t, err)
		n, err := c.Read(make([]byte, 1))
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}

func TestCallsThatWaitForTheirTurnSeeTheDeadline(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		c, _ := p.connect(t)
		require.NoError(t, c.SetDeadline(time.Now().Add(time.Second)))
		var calls sync.WaitGroup
		for range 3 {
			calls.Go(func() {
				_, err := c.Read(make([]byte, 1))
				wantDeadline(t, err)
			})
			calls.Go(func() {
				_, err := c.Write(make([]byte, 64<<20))
				wantDeadline(t, err)
			})
		}
		start := time.Now()
		calls.Wait()
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestAcceptDeadline(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		dialing, listening := p.stacks(t)
		l := listen(t, listening, p.network, p.address)
		start := time.Now()
		require.NoError(t, l.SetDeadline(start.Add(time.Second)))
		c, err := l.Accept()
		require.True(t, c == nil)
		wantDeadline(t, err)
		require.Equal(t, time.Second, time.Since(start))

		d, err := dialing.Dial(p.network, l.Addr().String())
		require.NoError(t, err)
		defer d.Close()
		synctest.Wait()
		_, err = l.Accept()
		wantDeadline(t, err)
		require.NoError(t, l.SetDeadline(time.Time{}))
		c, err = l.Accept()
		require.NoError(t, err)
		c.Close()
	})
}

func TestIdleTimeoutThatIsExtendedAgainAndAgain(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		go func() {
			for range 10 {
				time.Sleep(time.Second)
				peer.Write([]byte("x"))
			}
		}()
		start := time.Now()
		n := 0
		for {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(1500*time.Millisecond)))
			if _, err := c.Read(make([]byte, 1)); err != nil {
				wantDeadline(t, err)
				break
			}
			n++
		}
		require.Equal(t, 10, n)
		require.Equal(t, 11500*time.Millisecond, time.Since(start))
	})
}

func TestCopyEndsWithTheDeadline(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		for _, timeout := range []time.Duration{1, 2, 100, time.Microsecond, 250 * time.Microsecond, time.Millisecond, time.Second} {
			c, _ := p.connect(t)
			start := time.Now()
			require.NoError(t, c.SetDeadline(start.Add(timeout)))
			n, err := io.Copy(io.Discard, c)
			require.Zero(t, n)
			require.Equal(t, timeout, time.Since(start))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.True(t, err.(net.Error).Timeout())
		}
	})
}

func TestDeadlineRace(t *testing.T) {
	c, peer := places[0].connect(t)
	go io.Copy(peer, peer)
	const n = 1000
	var calls sync.WaitGroup
	calls.Go(func() {
		for range n {
			c.SetReadDeadline(time.Now().Add(2 * time.Microsecond))
			c.SetWriteDeadline(time.Now().Add(2 * time.Microsecond))
		}
	})
	calls.Go(func() {
		for range n {
			if _, err := c.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
		}
	})
	calls.Go(func() {
		for range n {
			if _, err := c.Write(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
		}
	})
	calls.Wait()
}

func TestDialTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := onPipe(t)
		require.NoError(t, second.Close()) // nobody answers any more
		for _, tc := range []struct {
			name   string
			dialer dialer.Dialer
			want   time.Duration
		}{
			{"timeout", dialer.Dialer{Timeout: 500 * time.Millisecond}, 500 * time.Millisecond},
			{"in the past", dialer.Dialer{Timeout: -5 * time.Second}, 0},
			{"deadline", dialer.Dialer{Deadline: time.Now().Add(time.Second)}, 500 * time.Millisecond},
		} {
			start := time.Now()
			tc.dialer.Stack = first
			c, err := tc.dialer.Dial("tcp", "192.168.69.100:80")
			require.True(t, c == nil)
			require.ErrorIs(t, err, context.DeadlineExceeded, tc.name)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
			require.EqualError(t, err, "dial tcp 192.168.69.100:80: i/o timeout")
			require.Equal(t, tc.want, time.Since(start), tc.name)
		}
	})
}

func TestDialCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := onPipe(t)
		require.NoError(t, second.Close())
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		start := time.Now()
		_, err := first.DialContext(ctx, "tcp", "192.168.69.100:80")
		require.Equal(t, 100*time.Millisecond, time.Since(start))
		require.ErrorIs(t, err, context.Canceled)
		require.EqualError(t, err, "dial tcp 192.168.69.100:80: operation was canceled")

		_, err = first.DialContext(ctx, "udp", "192.168.69.100:80")
		require.ErrorIs(t, err, context.Canceled)
		require.Zero(t, first.Counters().TCP.CurrEstab)
	})
}

func TestContextDoesNotOutliveTheDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialing, listening := onPipe(t)
		l := listen(t, listening, "tcp", "192.168.69.100:0")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		c, err := dialing.DialContext(ctx, "tcp", l.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		accepted, err := l.Accept()
		require.NoError(t, err)
		defer accepted.Close()
		cancel()
		time.Sleep(2 * time.Second)
		_, err = c.Write([]byte("x"))
		require.NoError(t, err)
		_, err = accepted.Read(make([]byte, 1))
		require.NoError(t, err)
	})
}
