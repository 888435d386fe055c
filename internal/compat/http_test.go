package compat

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// serveHTTP runs server on l until the test ends. A server that was shut down earlier is fine.
func serveHTTP(t testing.TB, server *http.Server, l net.Listener) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.Equal(t, http.ErrServerClosed, <-done)
	})
}

// newHTTPClient returns a client that dials through the client's stack: all it takes is DialContext.
func newHTTPClient(t testing.TB, n network) (*http.Client, *http.Transport) {
	transport := &http.Transport{DialContext: n.client.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}, transport
}

func echo(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).EnableFullDuplex() // HTTP/2 always has it, and says that it knows nothing of it
	io.Copy(w, r.Body)
}

// exchange posts body and returns what the server answers.
func exchange(client *http.Client, url string, body io.Reader) (*http.Response, []byte, error) {
	response, err := client.Post(url, "", body)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	return response, got, err
}

func TestHTTPKeepAlive(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		var connections atomic.Int32
		serveHTTP(t, &http.Server{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }),
			ConnState: func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					connections.Add(1)
				}
			},
		}, n.listen(t, "80"))
		client, transport := newHTTPClient(t, n)

		for i := range 20 {
			path := fmt.Sprint("/", i)
			_, got, err := exchange(client, "http://"+n.address("80")+path, nil)
			require.NoError(t, err)
			require.Equal(t, path, string(got))
		}
		require.EqualValues(t, 1, connections.Load())

		transport.CloseIdleConnections()
		_, _, err := exchange(client, "http://"+n.address("80"), nil)
		require.NoError(t, err)
		require.EqualValues(t, 2, connections.Load(), "the first was closed")
	})
}

func TestHTTPIdleConnectionOfTheServersIsNotUsedOnceClosed(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		server := &http.Server{Handler: http.HandlerFunc(echo), IdleTimeout: time.Second}
		serveHTTP(t, server, n.listen(t, "80"))
		client, _ := newHTTPClient(t, n)
		for range 3 {
			_, got, err := exchange(client, "http://"+n.address("80"), bytes.NewReader([]byte("hello")))
			require.NoError(t, err)
			require.Equal(t, "hello", string(got))
			time.Sleep(2 * time.Second) // of virtual time: the server closes, and the transport hears of it
		}
	})
}

func TestHTTPLargeBodiesBothWaysAtOnce(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		serveHTTP(t, &http.Server{Handler: http.HandlerFunc(echo)}, n.listen(t, "80"))
		client, _ := newHTTPClient(t, n)
		var clients sync.WaitGroup
		for i := range 4 {
			clients.Go(func() {
				body := random(1<<20 + i)
				response, got, err := exchange(client, "http://"+n.address("80"), bytes.NewReader(body))
				if err != nil || response.StatusCode != http.StatusOK || !bytes.Equal(body, got) {
					t.Errorf("%d octets came back of %d: %v", len(got), len(body), err)
				}
			})
		}
		clients.Wait()
	})
}

// Each side says something only when it has heard what the other said last, in one request and its response.
func TestHTTPChunks(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		serveHTTP(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "Lines")
			control := http.NewResponseController(w)
			if err := control.EnableFullDuplex(); err != nil {
				t.Error(err)
			}
			lines, count := bufio.NewReader(r.Body), 0
			for {
				line, err := lines.ReadString('\n')
				if err != nil {
					break
				}
				count++
				fmt.Fprint(w, "heard ", line)
				control.Flush()
			}
			w.Header().Set("Lines", fmt.Sprint(count, " of ", r.TransferEncoding))
		})}, n.listen(t, "80"))
		client, _ := newHTTPClient(t, n)

		body, say := io.Pipe()
		go fmt.Fprintln(say, "0")
		response, err := client.Post("http://"+n.address("80"), "", body)
		require.NoError(t, err)
		defer response.Body.Close()
		require.Equal(t, []string{"chunked"}, response.TransferEncoding)
		answers := bufio.NewReader(response.Body)
		for i := range 10 {
			answer, err := answers.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintln("heard", i), answer)
			fmt.Fprintln(say, i+1)
		}
		require.NoError(t, say.Close())
		rest, err := io.ReadAll(answers)
		require.NoError(t, err)
		require.Equal(t, "heard 10\n", string(rest))
		require.Equal(t, "11 of [chunked]", response.Trailer.Get("Lines"))
	})
}

func TestHTTPExpectContinue(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		serveHTTP(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/refused" {
				w.WriteHeader(http.StatusExpectationFailed)
				return
			}
			echo(w, r)
		})}, n.listen(t, "80"))
		client, transport := newHTTPClient(t, n)
		transport.ExpectContinueTimeout = time.Hour

		for _, tc := range []struct {
			path      string
			status    int
			continued bool
		}{
			{"/accepted", http.StatusOK, true},
			{"/refused", http.StatusExpectationFailed, false},
		} {
			content := random(100 << 10)
			body := bytes.NewReader(content)
			var continued atomic.Bool
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { continued.Store(true) }})
			request, err := http.NewRequestWithContext(ctx, "POST", "http://"+n.address("80")+tc.path, body)
			require.NoError(t, err)
			request.Header.Set("Expect", "100-continue")
			response, err := client.Do(request)
			require.NoError(t, err)
			got, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			response.Body.Close()
			require.Equal(t, tc.status, response.StatusCode)
			require.Equal(t, tc.continued, continued.Load())
			if tc.continued {
				requireSame(t, content, got)
			} else {
				require.Equal(t, len(content), body.Len(), "nothing of the body was sent")
			}
		}
	})
}

func TestHTTPShutdown(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		content := random(1 << 20)
		begun, finish := make(chan struct{}), make(chan struct{})
		l := n.listen(t, "80")
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/active" {
				w.Write(content[:1])
				http.NewResponseController(w).Flush()
				close(begun)
				<-finish
				w.Write(content[1:])
			}
		})}
		serveHTTP(t, server, l)
		client, _ := newHTTPClient(t, n)

		idle := n.dial(t, "80")
		fmt.Fprint(idle, "GET /idle HTTP/1.1\r\nHost: server\r\n\r\n")
		fromIdle := bufio.NewReader(idle)
		response, err := http.ReadResponse(fromIdle, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode)

		active, err := client.Get("http://" + n.address("80") + "/active")
		require.NoError(t, err)
		defer active.Body.Close()
		<-begun

		down := make(chan error, 1)
		go func() { down <- server.Shutdown(t.Context()) }()
		_, err = fromIdle.ReadByte()
		require.Equal(t, io.EOF, err, "the idle connection is closed at once")
		synctest.Wait()
		require.Empty(t, down, "the active one is waited for")
		_, err = n.client.Dial("tcp", n.address("80"))
		require.ErrorIs(t, err, syscall.ECONNREFUSED)

		close(finish)
		got, err := io.ReadAll(active.Body)
		require.NoError(t, err)
		requireSame(t, content, got)
		require.NoError(t, <-down)
	})
}

func TestHTTPClientCancelsWithinTheBody(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		type outcome struct{ write, cause error }
		gone := make(chan outcome, 1)
		serveHTTP(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var o outcome
			for block := random(64 << 10); o.write == nil; {
				_, o.write = w.Write(block)
			}
			<-r.Context().Done()
			o.cause = r.Context().Err()
			gone <- o
		})}, n.listen(t, "80"))
		client, _ := newHTTPClient(t, n)

		ctx, cancel := context.WithCancel(t.Context())
		request, err := http.NewRequestWithContext(ctx, "GET", "http://"+n.address("80"), nil)
		require.NoError(t, err)
		response, err := client.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		_, err = io.CopyN(io.Discard, response.Body, 1<<20)
		require.NoError(t, err)
		cancel()
		_, err = io.Copy(io.Discard, response.Body)
		require.ErrorIs(t, err, context.Canceled)

		o := <-gone
		require.Equal(t, context.Canceled, o.cause)
		require.True(t, errors.Is(o.write, syscall.ECONNRESET) || errors.Is(o.write, syscall.EPIPE), "%v", o.write)
	})
}

func TestHTTPServersTimeouts(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		failed := make(chan error, 1)
		serveHTTP(t, &http.Server{
			ReadHeaderTimeout: 3 * time.Second,
			ReadTimeout:       5 * time.Second,
			WriteTimeout:      7 * time.Second,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				for block := random(64 << 10); err == nil; {
					_, err = w.Write(block)
				}
				failed <- err
			}),
		}, n.listen(t, "80"))

		t.Log("a header that never ends")
		c, start := n.dial(t, "80"), time.Now()
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: ")
		_, err := io.Copy(io.Discard, c)
		require.NoError(t, err)
		require.InDelta(t, 3, time.Since(start).Seconds(), 0.1)

		t.Log("a body that never ends")
		c, start = n.dial(t, "80"), time.Now()
		fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: server\r\nContent-Length: 1000\r\n\r\nhello")
		requireDeadline(t, <-failed)
		require.InDelta(t, 5, time.Since(start).Seconds(), 0.1)

		t.Log("a client that does not read")
		c, start = n.dial(t, "80"), time.Now()
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: server\r\n\r\n")
		requireDeadline(t, <-failed)
		require.InDelta(t, 7, time.Since(start).Seconds(), 0.1)
	})
}

func requireDeadline(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout())
}

func TestHTTPClientsTimeouts(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		serveHTTP(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/body" {
				w.Write([]byte("hello"))
				http.NewResponseController(w).Flush()
			}
			<-r.Context().Done()
		})}, n.listen(t, "80"))
		n.listen(t, "81") // accepts nobody

		for _, tc := range []struct {
			name  string
			url   string
			limit func(*http.Client, *http.Transport)
		}{
			{"for all of it, while waiting for the header", "http://" + n.address("80") + "/header",
				func(c *http.Client, _ *http.Transport) { c.Timeout = 2 * time.Second }},
			{"for all of it, while reading the body", "http://" + n.address("80") + "/body",
				func(c *http.Client, _ *http.Transport) { c.Timeout = 2 * time.Second }},
			{"for the header", "http://" + n.address("80") + "/header",
				func(_ *http.Client, t *http.Transport) { t.ResponseHeaderTimeout = 2 * time.Second }},
			{"for the handshake of TLS", "https://" + n.address("81"),
				func(_ *http.Client, t *http.Transport) { t.TLSHandshakeTimeout = 2 * time.Second }},
		} {
			t.Log(tc.name)
			client, transport := newHTTPClient(t, n)
			tc.limit(client, transport)
			start := time.Now()
			_, _, err := exchange(client, tc.url, nil)
			var timeout net.Error
			require.ErrorAs(t, err, &timeout)
			require.True(t, timeout.Timeout(), "%v", err)
			require.InDelta(t, 2, time.Since(start).Seconds(), 0.1)
		}
	})
}

func TestHTTPClientsErrors(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		client, _ := newHTTPClient(t, n)
		_, err := client.Get("http://" + n.address("80"))
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		var wrapped *url.Error
		require.ErrorAs(t, err, &wrapped)
		require.IsType(t, (*net.OpError)(nil), wrapped.Err)
		require.Equal(t, "dial", wrapped.Err.(*net.OpError).Op)
		require.Contains(t, err.Error(), "dial tcp "+n.address("80")+": connect: connection refused")

		l := n.listen(t, "81")
		go func() {
			if c, err := l.Accept(); err == nil {
				http.ReadRequest(bufio.NewReader(c))
				c.Close() // without a word
			}
		}()
		_, err = client.Get("http://" + n.address("81"))
		require.ErrorIs(t, err, io.EOF)
	})
}

func TestHTTPHijack(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		serveHTTP(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, buffered, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, buffered)
			}()
		})}, n.listen(t, "80"))

		content := random(1 << 20)
		c := n.dial(t, "80")
		go func() {
			fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: server\r\n\r\n")
			c.Write(content)
			c.(interface{ CloseWrite() error }).CloseWrite()
		}()
		got, err := io.ReadAll(c)
		require.NoError(t, err)
		requireSame(t, content, got)
	})
}

// A reverse proxy in the middle is a server and a client at once, and passes an upgraded connection on in both
// directions. It writes with a mutex locked, for which a timer of its own waits.
func TestHTTPReverseProxy(t *testing.T) {
	inPlaces(t, func(t *testing.T, n network) {
		serveHTTP(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") == "" {
				body, err := io.ReadAll(r.Body) // all of it first: the proxy is not full duplex
				if err != nil {
					t.Error(err)
				}
				w.Write(body)
				return
			}
			c, buffered, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
			io.Copy(c, buffered)
		})}, n.listen(t, "8080"))
		target, err := url.Parse("http://" + n.address("8080"))
		require.NoError(t, err)
		proxy := httputil.NewSingleHostReverseProxy(target)
		transport := &http.Transport{DialContext: n.server.DialContext}
		proxy.Transport = transport
		t.Cleanup(transport.CloseIdleConnections)
		serveHTTP(t, &http.Server{Handler: proxy}, n.listen(t, "80"))

		client, _ := newHTTPClient(t, n)
		content := random(1 << 20)
		_, got, err := exchange(client, "http://"+n.address("80"), bytes.NewReader(content))
		require.NoError(t, err)
		requireSame(t, content, got)

		request, err := http.NewRequest("GET", "http://"+n.address("80"), nil)
		require.NoError(t, err)
		request.Header.Set("Connection", "upgrade")
		request.Header.Set("Upgrade", "echo")
		response, err := client.Do(request)
		require.NoError(t, err)
		require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
		c := response.Body.(io.ReadWriteCloser)
		defer c.Close()
		go c.Write(content)
		got = make([]byte, len(content))
		_, err = io.ReadFull(c, got)
		require.NoError(t, err)
		requireSame(t, content, got)
	})
}

// Package httptest has no place for another network: its server listens on the host's loopback when it is made, and its
// client dials that. Both are fields and can be replaced before it starts.
func TestHTTPTestServer(t *testing.T) {
	start := map[string]func(*httptest.Server){"http": (*httptest.Server).Start, "https": (*httptest.Server).StartTLS}
	for scheme, start := range start {
		t.Run(scheme, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, n network) {
				server := httptest.NewUnstartedServer(http.HandlerFunc(echo))
				require.NoError(t, server.Listener.Close())
				server.Listener = n.listen(t, "8000")
				start(server)
				defer server.Close()
				require.Equal(t, scheme+"://"+n.address("8000"), server.URL)

				client := server.Client()
				transport := client.Transport.(*http.Transport)
				transport.DialContext = n.client.DialContext
				url := server.URL
				if transport.TLSClientConfig != nil {
					transport.TLSClientConfig.ServerName = "example.com" // its certificate is for that and the loopback
				}
				content := random(100 << 10)
				_, got, err := exchange(client, url, bytes.NewReader(content))
				require.NoError(t, err)
				requireSame(t, content, got)
			})
		})
	}
}
