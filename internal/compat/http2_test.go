package compat

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// http2 is a way to speak HTTP/2: what client and server need for it.
type http2 struct {
	name, scheme string
	protocols    func(*http.Protocols)
}

var http2s = []http2{
	{"over TLS", "https", func(p *http.Protocols) { p.SetHTTP2(true) }},
	{"h2c", "http", func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }},
}

// start serves on port 443 until the test ends, and returns a client and the server's URL.
func (h http2) start(t *testing.T, n network, server *http.Server) (*http.Client, string) {
	t.Helper()
	client, transport := newHTTPClient(t, n)
	transport.Protocols, server.Protocols = new(http.Protocols), new(http.Protocols)
	h.protocols(transport.Protocols)
	h.protocols(server.Protocols)
	l := n.listen(t, "443")
	if h.scheme == "https" {
		authority := newAuthority(t)
		l = tls.NewListener(l, authority.server(t, "h2"))
		transport.TLSClientConfig = authority.client()
	}
	serveHTTP(t, server, l)
	return client, h.scheme + "://" + n.address("443")
}

func inHTTP2s(t *testing.T, test func(t *testing.T, n network, h http2)) {
	for _, h := range http2s {
		// HTTP/2 writes with a mutex locked.
		t.Run(h.name, func(t *testing.T) { inPlaces(t, func(t *testing.T, n network) { test(t, n, h) }) })
	}
}

func TestHTTP2ManyStreamsAtOnce(t *testing.T) {
	inHTTP2s(t, func(t *testing.T, n network, h http2) {
		const streams = 100
		var connections sync.Map // the addresses from which they came
		var arrived sync.WaitGroup
		arrived.Add(streams)
		client, url := h.start(t, n, &http.Server{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/together" {
					connections.Store(r.RemoteAddr, true)
					arrived.Done()
					arrived.Wait() // until all are here: they are concurrent
				}
				io.Copy(w, r.Body)
			}),
		})
		_, _, err := exchange(client, url, nil) // so that there is a connection, before a hundred want one
		require.NoError(t, err)
		var clients sync.WaitGroup
		for i := range streams {
			clients.Go(func() {
				body := random(300*i + i)
				response, got, err := exchange(client, url+"/together", bytes.NewReader(body))
				if err != nil || response.ProtoMajor != 2 || !bytes.Equal(body, got) {
					t.Errorf("stream %d: %d octets came back of %d: %v", i, len(got), len(body), err)
				}
			})
		}
		clients.Wait()
		var addresses []any
		connections.Range(func(address, _ any) bool {
			addresses = append(addresses, address)
			return true
		})
		require.Less(t, len(addresses), streams) // mostly one; the transport may dial another when so many want one at once
	})
}

func TestHTTP2LargeBodiesBothWaysAtOnce(t *testing.T) {
	inHTTP2s(t, func(t *testing.T, n network, h http2) {
		client, url := h.start(t, n, &http.Server{Handler: http.HandlerFunc(echo)})
		var clients sync.WaitGroup
		for range 2 {
			clients.Go(func() {
				body := random(1 << 20)
				response, got, err := exchange(client, url, bytes.NewReader(body))
				if err != nil || response.ProtoMajor != 2 || !bytes.Equal(body, got) {
					t.Errorf("%d octets came back of %d: %v", len(got), len(body), err)
				}
			})
		}
		clients.Wait()
	})
}

func TestHTTP2CancelledStreamLeavesTheOthersAlone(t *testing.T) {
	inHTTP2s(t, func(t *testing.T, n network, h http2) {
		gone := make(chan error, 1)
		client, url := h.start(t, n, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/endless" {
				heard := make([]byte, 100)
				for {
					n, err := r.Body.Read(heard)
					w.Write(heard[:n])
					http.NewResponseController(w).Flush()
					if err != nil {
						return
					}
				}
			}
			var err error
			for block := random(64 << 10); err == nil; {
				_, err = w.Write(block)
			}
			<-r.Context().Done()
			gone <- r.Context().Err()
		})})

		body, say := io.Pipe()
		go say.Write([]byte("before"))
		other, err := client.Post(url, "", body)
		require.NoError(t, err)
		defer other.Body.Close()
		heard := make([]byte, len("before"))
		_, err = io.ReadFull(other.Body, heard)
		require.NoError(t, err)
		require.Equal(t, "before", string(heard))

		ctx, cancel := context.WithCancel(within(t, limit))
		request, err := http.NewRequestWithContext(ctx, "GET", url+"/endless", nil)
		require.NoError(t, err)
		endless, err := client.Do(request)
		require.NoError(t, err)
		defer endless.Body.Close()
		_, err = io.CopyN(io.Discard, endless.Body, 1<<20)
		require.NoError(t, err)
		cancel()
		_, err = io.Copy(io.Discard, endless.Body)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, context.Canceled, <-gone)

		go func() {
			say.Write([]byte("after"))
			say.Close()
		}()
		rest, err := io.ReadAll(other.Body)
		require.NoError(t, err)
		require.Equal(t, "after", string(rest))
	})
}

func TestHTTP2Shutdown(t *testing.T) {
	inHTTP2s(t, func(t *testing.T, n network, h http2) {
		begun, finish := make(chan struct{}), make(chan struct{})
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(begun)
			<-finish
			fmt.Fprint(w, "finished")
		})}
		client, url := h.start(t, n, server)
		type result struct {
			body []byte
			err  error
		}
		results := make(chan result, 1)
		go func() {
			_, body, err := exchange(client, url, nil)
			results <- result{body, err}
		}()
		<-begun
		stopped := make(chan struct{})
		server.RegisterOnShutdown(func() { close(stopped) })
		down := make(chan error, 1)
		go func() { down <- server.Shutdown(within(t, limit)) }()
		<-stopped
		close(finish)
		r := <-results
		require.NoError(t, r.err)
		require.Equal(t, "finished", string(r.body))
		require.NoError(t, <-down)
	})
}

// A transport with a DialContext does not speak HTTP/2 unless it is told to, as README has it.
func TestHTTP2WantsForceAttempt(t *testing.T) {
	inPlaces(t, func(t *testing.T, n network) {
		authority := newAuthority(t)
		server := &http.Server{
			Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }),
			TLSConfig: authority.server(t),
		}
		l := n.listen(t, "443")
		done := make(chan error, 1)
		go func() { done <- server.ServeTLS(l, "", "") }()
		for _, tc := range []struct {
			force bool
			want  string
		}{{false, "HTTP/1.1"}, {true, "HTTP/2.0"}} {
			client, transport := newHTTPClient(t, n)
			transport.TLSClientConfig = authority.client()
			transport.ForceAttemptHTTP2 = tc.force
			_, got, err := exchange(client, "https://"+n.address("443"), nil)
			require.NoError(t, err)
			require.Equal(t, tc.want, string(got))
		}
		require.NoError(t, server.Close())
		require.Equal(t, http.ErrServerClosed, <-done)
	})
}
