package httpclient_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/smolnet"
	"github.com/smolnet/smolnet/smolnet/httpclient"
)

// serve starts a server on the stack that answers with the protocol that it is asked in.
func serve(t *testing.T, stack *smolnet.Stack, start func(*httptest.Server)) *httptest.Server {
	t.Helper()
	l, err := stack.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto)
	}))
	server.Listener.Close()
	server.Listener = l
	start(server)
	t.Cleanup(server.Close)
	return server
}

func newStack(t *testing.T) *smolnet.Stack {
	t.Helper()
	stack, err := smolnet.New(smolnet.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stack.Close()) })
	return stack
}

func get(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	response, err := client.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

// A server that speaks HTTP/2 is spoken to in it, although the transport has a DialContext.
func TestHTTP2(t *testing.T) {
	stack := newStack(t)
	server := serve(t, stack, func(s *httptest.Server) {
		s.EnableHTTP2 = true
		s.StartTLS()
	})
	transport := httpclient.Transport(stack)
	trusted := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	transport.TLSClientConfig = &tls.Config{RootCAs: trusted}
	client := &http.Client{Transport: transport}
	defer client.CloseIdleConnections()
	require.Equal(t, "HTTP/2.0", get(t, client, server.URL))
}

func TestHTTP1(t *testing.T) {
	stack := newStack(t)
	server := serve(t, stack, (*httptest.Server).Start)
	client := httpclient.New(stack)
	defer client.CloseIdleConnections()
	require.Equal(t, "HTTP/1.1", get(t, client, server.URL))
	require.Equal(t, "HTTP/1.1", get(t, client, server.URL))
	require.EqualValues(t, 1, stack.Counters().TCP.ActiveOpens, "the connection is used again")
}

// The host's environment names a proxy that the stack knows nothing of: it is not asked.
func TestNoProxyOfTheHosts(t *testing.T) {
	require.Nil(t, httpclient.Transport(newStack(t)).Proxy)
}

// silent never connects.
type silent struct{}

func (silent) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// Whoever does not answer is not waited for forever, though the client has no timeout.
func TestDialTakesHalfAMinuteAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := httpclient.New(silent{}).Get("http://192.0.2.1/")
		require.True(t, errors.Is(err, context.DeadlineExceeded), "%v", err)
		require.Equal(t, 30*time.Second, time.Since(began))
	})
}
