package compat

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// serveTLS accepts one connection after the other, each in a goroutine of its own, until the listener is closed.
func serveTLS(t testing.TB, l net.Listener, config *tls.Config, serve func(*tls.Conn)) {
	l = tls.NewListener(l, config)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				serve(c.(*tls.Conn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
}

// whoIs tells the client what the server knows of it, until the client closes.
func whoIs(c *tls.Conn) {
	if c.Handshake() != nil {
		return
	}
	name := "nobody"
	if state := c.ConnectionState(); len(state.PeerCertificates) > 0 {
		name = state.PeerCertificates[0].Subject.CommonName
	}
	fmt.Fprintln(c, name)
	io.Copy(io.Discard, c)
}

func TestTLSClientAuthentication(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		authority, stranger := newAuthority(t), newAuthority(t)
		config := authority.server(t)
		config.ClientAuth = tls.RequireAndVerifyClientCert
		serveTLS(t, n.listen(t, "443"), config, whoIs)

		for _, tc := range []struct {
			name         string
			certificates []tls.Certificate
			want         string // what the client hears, or the error when it reads
		}{
			{"known", []tls.Certificate{authority.sign(t, certificateOf("alice"))}, "alice\n"},
			{"without a certificate", nil, "remote error: tls: certificate required"},
			{"with another authority's", []tls.Certificate{stranger.sign(t, certificateOf("mallory"))}, "remote error: tls: unknown certificate authority"},
		} {
			t.Log(tc.name)
			config := authority.client()
			// Whether or not the server names the authority: a stranger tries nevertheless.
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if len(tc.certificates) == 0 {
					return new(tls.Certificate), nil
				}
				return &tc.certificates[0], nil
			}
			c := tls.Client(n.dial(t, "443"), config)
			require.NoError(t, c.Handshake(), "in TLS 1.3 the server judges afterwards")
			answer := make([]byte, 100)
			k, err := c.Read(answer)
			if err != nil {
				var alert *net.OpError
				require.ErrorAs(t, err, &alert)
				require.Equal(t, tc.want, err.Error())
			} else {
				require.Equal(t, tc.want, string(answer[:k]))
			}
			require.NoError(t, c.Close())
		}
	})
}

func TestTLSServerIsVerified(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		refused := make(chan error, 1)
		serveTLS(t, n.listen(t, "443"), newAuthority(t).server(t), func(c *tls.Conn) { refused <- c.Handshake() })
		err := tls.Client(n.dial(t, "443"), newAuthority(t).client()).Handshake()
		var unverified *tls.CertificateVerificationError
		require.ErrorAs(t, err, &unverified)
		require.EqualError(t, <-refused, "remote error: tls: bad certificate")
	})
}

func TestTLSResumption(t *testing.T) {
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, n network) {
				authority := newAuthority(t)
				serveTLS(t, n.listen(t, "443"), authority.server(t), whoIs)
				config := authority.client()
				config.MinVersion, config.MaxVersion = version, version
				config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
				for _, resumed := range []bool{false, true, true} {
					c := tls.Client(n.dial(t, "443"), config)
					got := make([]byte, len("nobody\n")) // the ticket comes before it
					_, err := io.ReadFull(c, got)
					require.NoError(t, err)
					require.Equal(t, "nobody\n", string(got))
					require.Equal(t, version, c.ConnectionState().Version)
					require.Equal(t, resumed, c.ConnectionState().DidResume)
					require.NoError(t, c.Close())
				}
			})
		})
	}
}

// The client ends its direction first: the server sees the end, and only then answers.
func TestTLSHalfClose(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		authority := newAuthority(t)
		serveTLS(t, n.listen(t, "443"), authority.server(t), func(c *tls.Conn) {
			got, err := io.ReadAll(c)
			if err != nil {
				t.Error(err)
			}
			c.Write(got)
		})
		content := random(1 << 20)
		c := tls.Client(n.dial(t, "443"), authority.client())
		_, err := c.Write(content)
		require.NoError(t, err)
		require.NoError(t, c.CloseWrite())
		_, err = c.Write(content)
		require.Error(t, err)
		got, err := io.ReadAll(c)
		require.NoError(t, err)
		requireSame(t, content, got)
	})
}

// An end of the TCP connection within a record is an error, not the end.
func TestTLSTruncation(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		authority := newAuthority(t)
		serveTLS(t, n.listen(t, "443"), authority.server(t), func(c *tls.Conn) {
			fmt.Fprint(c, "to be contin")
			c.NetConn().Write([]byte{23, 3, 3, 1, 0}) // the header of a record of data
			c.NetConn().(interface{ CloseWrite() error }).CloseWrite()
			io.Copy(io.Discard, c)
		})
		c := tls.Client(n.dial(t, "443"), authority.client())
		got, err := io.ReadAll(c)
		require.Equal(t, io.ErrUnexpectedEOF, err)
		require.Equal(t, "to be contin", string(got))
		require.NoError(t, c.Close())
	})
}

func TestTLSBothWaysAtOnce(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		authority := newAuthority(t)
		serveTLS(t, n.listen(t, "443"), authority.server(t), func(c *tls.Conn) {
			io.Copy(c, c)
			c.CloseWrite()
		})
		var clients sync.WaitGroup
		for range 4 {
			clients.Go(func() {
				raw, err := n.client.Dial("tcp", n.address("443"))
				if err != nil {
					t.Error(err)
					return
				}
				c := tls.Client(raw, authority.client())
				defer c.Close()
				if err := c.Handshake(); err != nil { // it is done with a mutex locked, for which Read and Write would wait
					t.Error(err)
					return
				}
				content := random(1 << 20)
				clients.Go(func() {
					c.Write(content)
					c.CloseWrite()
				})
				got, err := io.ReadAll(c)
				if err != nil || !bytes.Equal(content, got) {
					t.Errorf("%d octets came back of %d: %v", len(got), len(content), err)
				}
			})
		}
		clients.Wait()
	})
}

func TestTLSHandshakeWithSomebodyWhoIsSilent(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		n.listen(t, "443")
		config := newAuthority(t).client()

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		require.Equal(t, context.DeadlineExceeded, tls.Client(n.dial(t, "443"), config).HandshakeContext(ctx))
		require.InDelta(t, 1, time.Since(start).Seconds(), 0.1)

		c := n.dial(t, "443")
		require.NoError(t, c.SetDeadline(time.Now().Add(time.Second)))
		requireDeadline(t, tls.Client(c, config).Handshake())
	})
}

// A deadline of the past interrupts a Read; afterwards the connection is as good as before.
func TestTLSReadIsInterrupted(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		authority := newAuthority(t)
		serveTLS(t, n.listen(t, "443"), authority.server(t), func(c *tls.Conn) { io.Copy(c, c) })
		c := tls.Client(n.dial(t, "443"), authority.client())
		require.NoError(t, c.Handshake())
		read := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 1))
			read <- err
		}()
		require.NoError(t, c.SetReadDeadline(time.Unix(1, 0)))
		requireDeadline(t, <-read)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		_, err := fmt.Fprint(c, "hello")
		require.NoError(t, err)
		got := make([]byte, 5)
		_, err = io.ReadFull(c, got)
		require.NoError(t, err)
		require.Equal(t, "hello", string(got))
		require.NoError(t, c.Close())
	})
}
