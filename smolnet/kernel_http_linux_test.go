package smolnet_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// noise returns n octets that say nothing, the same ones for the same seed.
func noise(seed, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

// large is a body that takes thousands of segments.
const large = 16 << 20

// protocol is what web pages are asked for by.
type protocol struct {
	name       string
	tls, http2 bool
}

// site is a web server of the server's, and a client of the client's.
type site struct {
	*httptest.Server
	client      *http.Client
	connections atomic.Int32 // opened
}

func (w way) site(t *testing.T, p protocol, handler http.Handler) *site {
	s := &site{Server: httptest.NewUnstartedServer(handler)}
	s.Listener.Close()
	s.Listener = w.listen(t)
	s.EnableHTTP2 = p.http2
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	if p.tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	s.client = s.Client()
	s.client.Timeout = patience
	transport := s.client.Transport.(*http.Transport)
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return w.client.dial(ctx, network, address)
	}
	if p.tls {
		transport.TLSClientConfig.ServerName = "example.com" // is in the certificate, the address is not
	}
	return s
}

// ask returns what the site answers, and the version of HTTP that it did so by.
func (s *site) ask(t *testing.T, method, path string, body io.Reader) (answer []byte, version int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, body)
	require.NoError(t, err)
	response, err := s.client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode)
	return answer, response.ProtoMajor
}

// browse asks for pages small and large, all over one connection.
func (w way) browse(t *testing.T, p protocol) {
	page := noise(1, large)
	digest := func(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }
	mux := http.NewServeMux()
	mux.HandleFunc("GET /number/{n}", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.PathValue("n"))
	})
	mux.HandleFunc("GET /large", func(w http.ResponseWriter, r *http.Request) {
		w.Write(page)
	})
	mux.HandleFunc("PUT /large", func(w http.ResponseWriter, r *http.Request) {
		hash := sha256.New()
		if _, err := io.Copy(hash, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%x", hash.Sum(nil))
	})
	s := w.site(t, p, mux)

	for n := range 100 {
		answer, version := s.ask(t, http.MethodGet, "/number/"+strconv.Itoa(n), nil)
		require.Equal(t, strconv.Itoa(n), string(answer))
		require.Equal(t, p.http2, version == 2)
	}
	down, _ := s.ask(t, http.MethodGet, "/large", nil)
	require.Equal(t, digest(page), digest(down))
	sum, _ := s.ask(t, http.MethodPut, "/large", bytes.NewReader(noise(2, large)))
	require.Equal(t, digest(noise(2, large)), string(sum))
	require.EqualValues(t, 1, s.connections.Load(), "the connection was kept")
}

func TestKernelHTTP(t *testing.T) {
	for _, p := range []protocol{
		{name: "HTTP 1.1"},
		{name: "HTTP 1.1 over TLS", tls: true},
		{name: "HTTP 2 over TLS", tls: true, http2: true},
	} {
		t.Run(p.name, func(t *testing.T) {
			withKernel(t, overTap, func(t *testing.T, c *cable) {
				c.inEveryWay(t, func(t *testing.T, w way) { w.browse(t, p) })
			})
		})
	}
}
