package compat

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

// The payloads of RFC 4254 that the package leaves to its users, as https://www.rfc-editor.org/rfc/rfc4254.html#section-7 has
// them.
type (
	sshForward struct {
		Host string
		Port uint32
	}
	sshForwarded struct{ Port uint32 }
	sshChannel   struct {
		Host       string
		Port       uint32
		OriginHost string
		OriginPort uint32
	}
)

// sshServer accepts clients that have its password, runs the commands "cat" and "exit", and forwards ports both ways.
type sshServer struct {
	n      network
	config *ssh.ServerConfig
	key    ssh.PublicKey
	all    sync.WaitGroup
}

// startSSH runs a server on port 22 until the test ends. Its clients must have closed by then.
func startSSH(t testing.TB, n network) *sshServer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	s := &sshServer{n: n, key: signer.PublicKey(), config: &ssh.ServerConfig{
		PasswordCallback: func(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			if c.User() != "alice" || string(password) != "secret" {
				return nil, errors.New("no")
			}
			return nil, nil
		},
	}}
	s.config.AddHostKey(signer)
	l := n.listen(t, "22")
	s.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.all.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.all.Wait()
	})
	return s
}

func (s *sshServer) serve(c net.Conn) {
	defer c.Close()
	server, channels, requests, err := ssh.NewServerConn(c, s.config)
	if err != nil {
		return
	}
	s.all.Go(func() { s.forwards(server, requests) })
	for channel := range channels {
		switch channel.ChannelType() {
		case "session":
			if accepted, requests, err := channel.Accept(); err == nil {
				s.all.Go(func() { s.session(accepted, requests) })
			}
		case "direct-tcpip":
			s.all.Go(func() { s.direct(channel) })
		default:
			channel.Reject(ssh.UnknownChannelType, "")
		}
	}
}

// session runs one command.
func (s *sshServer) session(c ssh.Channel, requests <-chan *ssh.Request) {
	defer c.Close()
	for r := range requests {
		var command struct{ Line string }
		if r.Type != "exec" || ssh.Unmarshal(r.Payload, &command) != nil {
			r.Reply(false, nil)
			continue
		}
		r.Reply(true, nil)
		var code uint32
		switch command.Line {
		case "cat":
			io.Copy(c, c)
			fmt.Fprint(c.Stderr(), "meow")
		case "exit":
			code = 3
		default:
			code = 127
		}
		c.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{code}))
		return
	}
}

// direct connects a channel to where the client wants it: a local forward.
func (s *sshServer) direct(channel ssh.NewChannel) {
	var to sshChannel
	if err := ssh.Unmarshal(channel.ExtraData(), &to); err != nil {
		channel.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	out, err := s.n.server.Dial("tcp", net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port))))
	if err != nil {
		channel.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	defer out.Close()
	in, requests, err := channel.Accept()
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	join(in, out)
}

// forwards listens where the client wants it to and hands it what is accepted there: remote forwards.
func (s *sshServer) forwards(c *ssh.ServerConn, requests <-chan *ssh.Request) {
	var listeners []net.Listener
	for r := range requests {
		var at sshForward
		if r.Type != "tcpip-forward" || ssh.Unmarshal(r.Payload, &at) != nil {
			r.Reply(r.Type == "cancel-tcpip-forward", nil)
			continue
		}
		l, err := s.n.server.Listen("tcp", net.JoinHostPort(at.Host, strconv.Itoa(int(at.Port))))
		if err != nil {
			r.Reply(false, nil)
			continue
		}
		listeners = append(listeners, l)
		port := l.Addr().(*net.TCPAddr).Port
		r.Reply(true, ssh.Marshal(sshForwarded{uint32(port)}))
		s.all.Go(func() {
			for {
				in, err := l.Accept()
				if err != nil {
					return
				}
				s.all.Go(func() {
					defer in.Close()
					from := in.RemoteAddr().(*net.TCPAddr)
					out, requests, err := c.OpenChannel("forwarded-tcpip",
						ssh.Marshal(sshChannel{at.Host, uint32(port), from.IP.String(), uint32(from.Port)}))
					if err != nil {
						return
					}
					go ssh.DiscardRequests(requests)
					join(out, in)
				})
			}
		})
	}
	for _, l := range listeners {
		l.Close()
	}
}

// join carries what comes on one to the other and back, until both have ended.
func join(channel ssh.Channel, c net.Conn) {
	var ways sync.WaitGroup
	ways.Go(func() {
		io.Copy(channel, c)
		channel.CloseWrite()
	})
	ways.Go(func() {
		io.Copy(c, channel)
		c.(interface{ CloseWrite() error }).CloseWrite()
	})
	ways.Wait()
	channel.Close()
}

// dial connects as alice. The package's own Dial would go through the host: this is what it does beyond that.
func (s *sshServer) dial(password string) (*ssh.Client, error) {
	c, err := s.n.client.Dial("tcp", s.n.address("22"))
	if err != nil {
		return nil, err
	}
	connection, channels, requests, err := ssh.NewClientConn(c, s.n.address("22"), &ssh.ClientConfig{
		User:            "alice",
		Auth:            []ssh.AuthMethod{ssh.Password(password)},
		HostKeyCallback: ssh.FixedHostKey(s.key),
	})
	if err != nil {
		c.Close()
		return nil, err
	}
	return ssh.NewClient(connection, channels, requests), nil
}

// connectSSH returns a client, to be closed by the caller.
func connectSSH(t testing.TB, n network) *ssh.Client {
	t.Helper()
	c, err := startSSH(t, n).dial("secret")
	require.NoError(t, err)
	return c
}

func TestSSHAuthentication(t *testing.T) {
	inPlaces(t, func(t *testing.T, n network) {
		_, err := startSSH(t, n).dial("guess")
		require.ErrorContains(t, err, "unable to authenticate")
	})
}

func TestSSHExec(t *testing.T) {
	inPlaces(t, func(t *testing.T, n network) {
		c := connectSSH(t, n)
		defer c.Close()
		var sessions sync.WaitGroup
		for i := range 8 {
			sessions.Go(func() {
				session, err := c.NewSession()
				if err != nil {
					t.Error(err)
					return
				}
				content := random(i * 100000)
				var out, errs bytes.Buffer
				session.Stdin, session.Stdout, session.Stderr = bytes.NewReader(content), &out, &errs
				if err := session.Run("cat"); err != nil || !bytes.Equal(content, out.Bytes()) || errs.String() != "meow" {
					t.Errorf("%d octets came back of %d, and %q: %v", out.Len(), len(content), &errs, err)
				}
			})
		}
		sessions.Wait()

		session, err := c.NewSession()
		require.NoError(t, err)
		err = session.Run("exit")
		var exit *ssh.ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, 3, exit.ExitStatus())
	})
}

// The client dials from where the server is.
func TestSSHLocalForward(t *testing.T) {
	inPlaces(t, func(t *testing.T, n network) {
		c := connectSSH(t, n)
		defer c.Close()
		echoOn(t, n.listen(t, "7"))
		exchangeWith(t, func() (net.Conn, error) { return c.Dial("tcp", n.address("7")) })
		_, err := c.Dial("tcp", n.address("8"))
		require.ErrorContains(t, err, "connection refused")
	})
}

// The client listens where the server is.
func TestSSHRemoteForward(t *testing.T) {
	inPlaces(t, func(t *testing.T, n network) {
		c := connectSSH(t, n)
		defer c.Close()
		l, err := c.Listen("tcp", n.address("0"))
		require.NoError(t, err)
		echoOn(t, l)
		exchangeWith(t, func() (net.Conn, error) { return n.client.Dial("tcp", l.Addr().String()) })
	})
}

// echoOn echoes what comes on each connection until the listener is closed, at the latest with the test.
func echoOn(t testing.TB, l net.Listener) {
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
}

// exchangeWith sends to an echo on several connections at once, ends its direction, and reads to the end.
func exchangeWith(t testing.TB, dial func() (net.Conn, error)) {
	t.Helper()
	var connections sync.WaitGroup
	for i := range 4 {
		connections.Go(func() {
			c, err := dial()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			content := random(i*100000 + 1)
			connections.Go(func() {
				c.Write(content)
				c.(interface{ CloseWrite() error }).CloseWrite()
			})
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(content, got) {
				t.Errorf("%d octets came back of %d: %v", len(got), len(content), err)
			}
		})
	}
	connections.Wait()
}
