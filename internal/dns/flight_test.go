package dns

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// slow answers a second after it has been asked.
func slow(a *ask) {
	time.Sleep(time.Second)
	host(a)
}

func TestManyAskTheSame(t *testing.T) {
	test(t, map[netip.AddrPort]script{first: slow}, func(t *testing.T, f *fakeNetwork, config Config) {
		c := New(config)
		answers := make(chan Answer)
		for _, name := range []string{"www.example.", "WWW.example.", "www.example."} {
			go func() {
				answer, err := c.Query(t.Context(), name, typeA)
				require.NoError(t, err)
				answers <- answer
			}()
		}
		one, other := <-answers, <-answers
		<-answers
		require.Equal(t, []string{"udp 192.0.2.1 www.example. A"}, f.heard())
		require.False(t, one.Cached)
		one.Records[0].Header.TTL = 0
		require.EqualValues(t, 300, other.Records[0].Header.TTL, "each has records of its own")
	})
}

func TestOtherTypesAreOtherQuestions(t *testing.T) {
	test(t, map[netip.AddrPort]script{first: slow}, func(t *testing.T, f *fakeNetwork, config Config) {
		c := New(config)
		spent := took(func() {
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = c.Query(t.Context(), "www.example.", typeAAAA)
			}()
			wantAnswer(t, c, "www.example.", typeA)
			<-done
		})
		require.Equal(t, time.Second, spent)
		require.Len(t, f.heard(), 2)
	})
}

func TestOneWhoLeavesDisturbsNobody(t *testing.T) {
	test(t, map[netip.AddrPort]script{first: slow}, func(t *testing.T, f *fakeNetwork, config Config) {
		c := New(config)
		hurried, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		left := make(chan error)
		go func() {
			_, err := c.Query(hurried, "www.example.", typeA)
			left <- err
		}()
		synctest.Wait() // the hurried one is the first to ask
		start := time.Now()
		stayed := make(chan error)
		go func() {
			_, err := c.Query(t.Context(), "www.example.", typeA)
			stayed <- err
		}()
		err := <-left
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.True(t, err.(*Error).Timeout())
		require.Equal(t, time.Second/2, time.Since(start))
		require.NoError(t, <-stayed)
		require.Equal(t, time.Second, time.Since(start))
		require.Len(t, f.heard(), 1)
	})
}

func TestLastWhoLeavesEndsTheQuestion(t *testing.T) {
	test(t, nil, func(t *testing.T, f *fakeNetwork, config Config) {
		c := New(config)
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		for range 2 {
			go func() {
				_, err := c.Query(ctx, "www.example.", typeA)
				left <- err
			}()
		}
		time.Sleep(time.Second)
		cancel()
		require.ErrorIs(t, <-left, context.Canceled)
		require.ErrorIs(t, <-left, context.Canceled)
		synctest.Wait()
		require.Equal(t, 1, f.opened, "nobody else is asked")
		require.Equal(t, f.opened, f.closed, "at once")
		require.Len(t, f.heard(), 1)
		require.Empty(t, c.flights)

		f.follow(map[netip.AddrPort]script{first: host})
		wantAnswer(t, c, "www.example.", typeA)
		require.Len(t, f.heard(), 1, "whoever comes later asks anew")
	})
}

func TestNobodyJoinsAQuestionThatIsGivenUp(t *testing.T) {
	test(t, map[netip.AddrPort]script{first: host}, func(t *testing.T, f *fakeNetwork, config Config) {
		config.Dial = func(ctx context.Context, network string, server netip.AddrPort) (net.Conn, error) {
			time.Sleep(time.Second) // deaf to the context
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return f.dial(ctx, network, server)
		}
		c := New(config)
		hurried, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		_, err := c.Query(hurried, "www.example.", typeA)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Len(t, wantAnswer(t, c, "www.example.", typeA), 1)
	})
}

func TestContextThatHasEndedAsksNothing(t *testing.T) {
	test(t, map[netip.AddrPort]script{first: host}, func(t *testing.T, f *fakeNetwork, config Config) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := New(config).Query(ctx, "www.example.", typeA)
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, f.heard())
	})
}

func TestServersChangeWhileOneIsAsked(t *testing.T) {
	test(t, map[netip.AddrPort]script{first: slow, second: host}, func(t *testing.T, f *fakeNetwork, config Config) {
		c := New(config)
		former := make(chan Answer)
		go func() {
			answer, err := c.Query(t.Context(), "www.example.", typeA)
			require.NoError(t, err)
			former <- answer
		}()
		synctest.Wait()
		c.SetServers([]netip.AddrPort{second})
		answer, err := c.Query(t.Context(), "www.example.", typeA)
		require.NoError(t, err)
		require.Equal(t, second, answer.Server, "nobody joins a question to a former server")
		require.Equal(t, first, (<-former).Server)
		answer, err = c.Query(t.Context(), "www.example.", typeA)
		require.NoError(t, err)
		require.Equal(t, second, answer.Server, "nor is its answer kept")
		require.True(t, answer.Cached)
	})
}
