package compat

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/stretchr/testify/require"
)

// inQUICPlaces is inPlaces with a limit for each conversation. A QUIC socket is an ordinary one: what matters is that
// it has no SyscallConn, which quic-go would want to work, and has SetReadBuffer and SetWriteBuffer.
func inQUICPlaces(t *testing.T, test func(t *testing.T, n network, ctx context.Context)) {
	inPlaces(t, func(t *testing.T, n network) { test(t, n, within(t, limit)) })
}

func packetConn(t testing.TB, n network, port string) net.PacketConn {
	t.Helper()
	s, address := n.server, n.address(port)
	if port == "" {
		s, address = n.client, ":0"
	}
	c, err := s.ListenPacket("udp", address)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// connectQUIC returns both ends of a QUIC connection, closed with the test.
func connectQUIC(t testing.TB, n network, ctx context.Context, config *quic.Config) (client, server *quic.Conn) {
	t.Helper()
	authority := newAuthority(t)
	l, err := quic.Listen(packetConn(t, n, "443"), authority.server(t, "test"), config)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	to, err := n.client.ResolveUDPAddr("udp", n.address("443"))
	require.NoError(t, err)
	client, err = quic.Dial(ctx, packetConn(t, n, ""), to, authority.client("test"), config)
	require.NoError(t, err)
	t.Cleanup(func() { client.CloseWithError(0, "") })
	server, err = l.Accept(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { server.CloseWithError(0, "") })
	return client, server
}

func TestQUICStreamsBothWays(t *testing.T) {
	inQUICPlaces(t, func(t *testing.T, n network, ctx context.Context) {
		client, server := connectQUIC(t, n, ctx, nil)
		require.IsType(t, (*net.UDPAddr)(nil), server.RemoteAddr())
		require.Equal(t, n.address("443"), client.RemoteAddr().String())

		// Each end opens streams, and echoes what comes on the streams of the other.
		echoes := func(c *quic.Conn) {
			for {
				stream, err := c.AcceptStream(ctx)
				if err != nil {
					return
				}
				go func() {
					io.Copy(stream, stream)
					stream.Close()
				}()
			}
		}
		go echoes(client)
		go echoes(server)
		var streams sync.WaitGroup
		for i := range 20 {
			from := client
			if i%2 == 1 {
				from = server
			}
			streams.Go(func() {
				stream, err := from.OpenStreamSync(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				content := random(i*30000 + 1)
				streams.Go(func() {
					stream.Write(content)
					stream.Close()
				})
				got, err := io.ReadAll(stream)
				if err != nil || !bytes.Equal(content, got) {
					t.Errorf("stream %d: %d octets came back of %d: %v", i, len(got), len(content), err)
				}
			})
		}
		streams.Wait()
	})
}

func TestQUICOneWayStream(t *testing.T) {
	inQUICPlaces(t, func(t *testing.T, n network, ctx context.Context) {
		client, server := connectQUIC(t, n, ctx, nil)
		content := random(3 << 20)
		stream, err := server.OpenUniStream()
		require.NoError(t, err)
		go func() {
			stream.Write(content)
			stream.Close()
		}()
		receive, err := client.AcceptUniStream(ctx)
		require.NoError(t, err)
		got, err := io.ReadAll(receive)
		require.NoError(t, err)
		requireSame(t, content, got)
	})
}

func TestQUICDatagrams(t *testing.T) {
	inQUICPlaces(t, func(t *testing.T, n network, ctx context.Context) {
		client, server := connectQUIC(t, n, ctx, &quic.Config{EnableDatagrams: true})
		go func() {
			for {
				datagram, err := server.ReceiveDatagram(ctx)
				if err != nil || server.SendDatagram(append([]byte("heard "), datagram...)) != nil {
					return
				}
			}
		}()
		for i := range 100 { // one after the other: nothing is lost on the way
			require.NoError(t, client.SendDatagram(fmt.Append(nil, i)))
			got, err := client.ReceiveDatagram(ctx)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint("heard ", i), string(got))
		}
		err := client.SendDatagram(random(10000))
		var tooLarge *quic.DatagramTooLargeError
		require.ErrorAs(t, err, &tooLarge)
	})
}

func TestQUICErrors(t *testing.T) {
	inQUICPlaces(t, func(t *testing.T, n network, ctx context.Context) {
		t.Run("a stream's", func(t *testing.T) {
			client, server := connectQUIC(t, n, ctx, nil)
			stream, err := client.OpenStream()
			require.NoError(t, err)
			_, err = stream.Write([]byte("hello"))
			require.NoError(t, err)
			accepted, err := server.AcceptStream(ctx)
			require.NoError(t, err)
			accepted.CancelWrite(7)
			_, err = stream.Read(make([]byte, 1))
			var reset *quic.StreamError
			require.ErrorAs(t, err, &reset)
			require.EqualValues(t, 7, reset.ErrorCode)
			require.True(t, reset.Remote)
			client.CloseWithError(0, "")
			<-server.Context().Done()
		})
		t.Run("the application's", func(t *testing.T) {
			client, server := connectQUIC(t, n, ctx, nil)
			require.NoError(t, client.CloseWithError(42, "had enough"))
			_, err := server.AcceptStream(ctx)
			var closed *quic.ApplicationError
			require.ErrorAs(t, err, &closed)
			require.Equal(t, quic.ApplicationError{Remote: true, ErrorCode: 42, ErrorMessage: "had enough"}, *closed)
		})
		t.Run("silence", func(t *testing.T) {
			client, _ := connectQUIC(t, n, ctx, &quic.Config{MaxIdleTimeout: 200 * time.Millisecond})
			_, err := client.AcceptStream(ctx)
			var idle *quic.IdleTimeoutError
			require.ErrorAs(t, err, &idle)
		})
		t.Run("nobody there", func(t *testing.T) {
			to, err := n.client.ResolveUDPAddr("udp", n.address("444"))
			require.NoError(t, err)
			_, err = quic.Dial(ctx, packetConn(t, n, ""), to, newAuthority(t).client("test"),
				&quic.Config{HandshakeIdleTimeout: 100 * time.Millisecond})
			var timeout net.Error
			require.ErrorAs(t, err, &timeout)
			require.True(t, timeout.Timeout())
		})
		t.Run("the server's certificate", func(t *testing.T) {
			l, err := quic.Listen(packetConn(t, n, "445"), newAuthority(t).server(t, "test"), nil)
			require.NoError(t, err)
			defer l.Close()
			_, err = quic.Dial(ctx, packetConn(t, n, ""), l.Addr(), newAuthority(t).client("test"), nil)
			var refused *quic.TransportError
			require.ErrorAs(t, err, &refused)
			require.True(t, refused.ErrorCode.IsCryptoError())
		})
		t.Run("the socket was closed", func(t *testing.T) {
			authority := newAuthority(t)
			l, err := quic.Listen(packetConn(t, n, "446"), authority.server(t, "test"), nil)
			require.NoError(t, err)
			defer l.Close()
			socket := packetConn(t, n, "")
			c, err := quic.Dial(ctx, socket, l.Addr(), authority.client("test"), nil)
			require.NoError(t, err)
			require.NoError(t, socket.Close())
			_, err = c.AcceptStream(ctx)
			require.True(t, errors.Is(err, net.ErrClosed) || errors.Is(err, quic.ErrTransportClosed), "%v", err)
		})
	})
}

// One socket carries a listener and any number of dialed connections.
func TestQUICTransportDialsAndListens(t *testing.T) {
	inQUICPlaces(t, func(t *testing.T, n network, ctx context.Context) {
		authority := newAuthority(t)
		end := func(s net.PacketConn) (*quic.Transport, *quic.Listener) {
			transport := &quic.Transport{Conn: s}
			l, err := transport.Listen(authority.server(t, "test"), nil)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, transport.Close()) })
			return transport, l
		}
		first, firstListener := end(packetConn(t, n, "443"))
		second, secondListener := end(packetConn(t, n, "444"))
		for range 3 {
			for _, tc := range []struct {
				from *quic.Transport
				to   *quic.Listener
			}{{first, secondListener}, {second, firstListener}} {
				dialed, err := tc.from.Dial(ctx, tc.to.Addr(), authority.client("test"), nil)
				require.NoError(t, err)
				accepted, err := tc.to.Accept(ctx)
				require.NoError(t, err)
				require.Equal(t, tc.from.Conn.LocalAddr().String(), accepted.RemoteAddr().String())
				dialed.CloseWithError(0, "")
				<-accepted.Context().Done()
			}
		}
	})
}

// quic-go complains once in the life of a program when it cannot set a socket's buffers.
func TestQUICDoesNotComplain(t *testing.T) {
	var said strings.Builder
	log.SetOutput(&said)
	defer log.SetOutput(os.Stderr)
	n := onLoopback(t)
	connectQUIC(t, n, within(t, limit), nil)
	require.Empty(t, said.String())
}

func TestHTTP3(t *testing.T) {
	inQUICPlaces(t, func(t *testing.T, n network, ctx context.Context) {
		authority := newAuthority(t)
		server := &http3.Server{
			TLSConfig: http3.ConfigureTLSConfig(authority.server(t)),
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Peer", r.RemoteAddr)
				io.Copy(w, r.Body)
			}),
		}
		done := make(chan error, 1)
		socket := packetConn(t, n, "443")
		go func() { done <- server.Serve(socket) }()

		// A transport dials with a socket of the host's unless told otherwise.
		sockets := &quic.Transport{Conn: packetConn(t, n, "")}
		transport := &http3.Transport{
			TLSClientConfig: authority.client(),
			Dial: func(ctx context.Context, address string, config *tls.Config, options *quic.Config) (*quic.Conn, error) {
				to, err := n.client.ResolveUDPAddr("udp", address)
				if err != nil {
					return nil, err
				}
				return sockets.DialEarly(ctx, to, config, options)
			},
		}
		client := &http.Client{Transport: transport, Timeout: limit}
		var clients sync.WaitGroup
		for i := range 20 {
			clients.Go(func() {
				body := random(i*10000 + i)
				response, got, err := exchange(client, "https://"+n.address("443"), bytes.NewReader(body))
				if err != nil || response.ProtoMajor != 3 || !bytes.Equal(body, got) {
					t.Errorf("%d octets came back of %d: %v", len(got), len(body), err)
				}
			})
		}
		clients.Wait()

		require.NoError(t, transport.Close())
		require.NoError(t, sockets.Close())
		require.NoError(t, server.Shutdown(ctx))
		require.Equal(t, http.ErrServerClosed, <-done)
	})
}
