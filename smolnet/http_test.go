package smolnet_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// serve runs an http.Server until the test ends, or stop is called.
func serve(t *testing.T, s *smolnet.Stack, address string, handler http.Handler) (stop func()) {
	t.Helper()
	l, err := s.Listen("tcp", address)
	require.NoError(t, err)
	server := &http.Server{Handler: handler}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	return sync.OnceFunc(func() {
		require.NoError(t, server.Close())
		require.Equal(t, http.ErrServerClosed, <-done)
	})
}

func TestHTTPInVirtualTime(t *testing.T) {
	body := make([]byte, 1<<20)
	rand.Read(body)
	for _, host := range []string{"192.168.69.100", "[fdaa::100]"} {
		t.Run(host, func(t *testing.T) {
			began := time.Now()
			var virtual time.Duration
			synctest.Test(t, func(t *testing.T) {
				client, server := newPair(t, pipe.Config{Delay: 100 * time.Millisecond})
				stop := serve(t, server, ":80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					got, err := io.ReadAll(r.Body)
					if err != nil {
						t.Error(err)
					}
					fmt.Fprintf(w, "%x\n", sha256.Sum256(got))
					w.Write(body)
				}))
				transport := &http.Transport{DialContext: client.DialContext}
				start := time.Now()
				for range 5 {
					response, err := (&http.Client{Transport: transport}).Post("http://"+host+"/", "", bytes.NewReader(body))
					require.NoError(t, err)
					got, err := io.ReadAll(response.Body)
					require.NoError(t, err)
					require.NoError(t, response.Body.Close())
					want := fmt.Appendf(nil, "%x\n%s", sha256.Sum256(body), body)
					require.True(t, bytes.Equal(want, got))
				}
				virtual = time.Since(start)
				transport.CloseIdleConnections()
				stop()
			})
			t.Logf("%v of virtual time in %v", virtual, time.Since(began))
			require.Greater(t, virtual, 2*time.Second, "five exchanges, each some round trips of 200 ms")
			require.Less(t, virtual, 30*time.Second)
		})
	}
}

func TestHTTPWithManyClients(t *testing.T) {
	inPlaces(t, func(t *testing.T, p place) {
		dialing, listening := p.stacks(t)
		l := listen(t, listening, p.network, p.address)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			w.Write(got)
		})}
		done := make(chan error, 1)
		go func() { done <- server.Serve(l) }()

		transport := &http.Transport{DialContext: dialing.DialContext}
		client := &http.Client{Transport: transport}
		var clients sync.WaitGroup
		for i := range 8 {
			clients.Go(func() {
				body := bytes.Repeat([]byte{byte(i)}, 50<<10)
				for range 4 {
					response, err := client.Post("http://"+l.Addr().String()+"/", "", bytes.NewReader(body))
					if err != nil {
						t.Error(err)
						return
					}
					got, err := io.ReadAll(response.Body)
					response.Body.Close()
					if err != nil || !bytes.Equal(body, got) {
						t.Errorf("%d octets, %v", len(got), err)
					}
				}
			})
		}
		clients.Wait()
		transport.CloseIdleConnections()
		require.NoError(t, server.Close())
		require.Equal(t, http.ErrServerClosed, <-done)
	})
}
