package compat

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
)

// webSocket is what a conversation needs of either library's connection.
type webSocket interface {
	send(message []byte) error
	receive() ([]byte, error)          // also answers pings and the peer's close
	ping() error                       // waits for the pong, while somebody receives
	bye(code int, reason string) error // closes, and waits for the peer's answer
	closedWith(err error) int          // the code of the peer's, if that is why receive failed
	drop()                             // without another word
}

// webSockets is a library: how it dials and how it upgrades a request.
type webSockets struct {
	name    string
	dial    func(t *testing.T, n network, url string) webSocket
	upgrade func(w http.ResponseWriter, r *http.Request) (webSocket, error)
}

var webSocketLibraries = []webSockets{
	{"coder", dialCoder, upgradeCoder},
	{"gorilla", dialGorilla, upgradeGorilla},
}

type coderSocket struct {
	*coder.Conn
	ctx context.Context
}

func dialCoder(t *testing.T, n network, url string) webSocket {
	client, _ := newHTTPClient(t, n)
	c, response, err := coder.Dial(t.Context(), url, &coder.DialOptions{HTTPClient: client})
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	c.SetReadLimit(-1)
	return coderSocket{c, t.Context()}
}

func upgradeCoder(w http.ResponseWriter, r *http.Request) (webSocket, error) {
	c, err := coder.Accept(w, r, nil)
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(-1)
	return coderSocket{c, context.Background()}, nil
}

func (c coderSocket) send(message []byte) error { return c.Write(c.ctx, coder.MessageBinary, message) }

func (c coderSocket) receive() ([]byte, error) {
	_, message, err := c.Read(c.ctx)
	return message, err
}

func (c coderSocket) ping() error { return c.Ping(c.ctx) }

func (c coderSocket) bye(code int, reason string) error {
	return c.Close(coder.StatusCode(code), reason)
}

func (c coderSocket) closedWith(err error) int { return int(coder.CloseStatus(err)) }
func (c coderSocket) drop()                    { c.CloseNow() }

type gorillaSocket struct {
	*gorilla.Conn
	pong chan string
}

func newGorilla(c *gorilla.Conn) webSocket {
	s := gorillaSocket{c, make(chan string, 1)}
	c.SetPongHandler(func(data string) error {
		s.pong <- data
		return nil
	})
	return s
}

func dialGorilla(t *testing.T, n network, url string) webSocket {
	dialer := gorilla.Dialer{NetDialContext: n.client.DialContext}
	c, _, err := dialer.DialContext(t.Context(), url, nil)
	require.NoError(t, err)
	return newGorilla(c)
}

func upgradeGorilla(w http.ResponseWriter, r *http.Request) (webSocket, error) {
	c, err := new(gorilla.Upgrader).Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	return newGorilla(c), nil
}

func (c gorillaSocket) send(message []byte) error {
	return c.WriteMessage(gorilla.BinaryMessage, message)
}

func (c gorillaSocket) receive() ([]byte, error) {
	_, message, err := c.ReadMessage()
	return message, err
}

func (c gorillaSocket) ping() error {
	if err := c.WriteControl(gorilla.PingMessage, []byte("are you there?"), time.Now().Add(time.Second)); err != nil {
		return err
	}
	if got := <-c.pong; got != "are you there?" {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (c gorillaSocket) bye(code int, reason string) error {
	if err := c.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(code, reason), time.Now().Add(time.Second)); err != nil {
		return err
	}
	_, _, err := c.ReadMessage()
	c.Close()
	if c.closedWith(err) != code {
		return err
	}
	return nil
}

func (c gorillaSocket) closedWith(err error) int {
	if closed, ok := err.(*gorilla.CloseError); ok {
		return closed.Code
	}
	return -1
}

func (c gorillaSocket) drop() { c.Close() }

// inWebSockets runs a test with each library as the client of each. The server does what serve says.
func inWebSockets(t *testing.T, serve func(webSocket), test func(t *testing.T, client webSocket)) {
	for _, client := range webSocketLibraries {
		for _, server := range webSocketLibraries {
			t.Run(client.name+" with "+server.name, func(t *testing.T) {
				inVirtualTime(t, func(t *testing.T, n network) {
					done := make(chan struct{})
					serveHTTP(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						defer close(done)
						c, err := server.upgrade(w, r)
						if err != nil {
							t.Error(err)
							return
						}
						defer c.drop()
						serve(c)
					})}, n.listen(t, "80"))
					c := client.dial(t, n, "ws://"+n.address("80")+"/")
					test(t, c)
					c.drop()
					<-done
				})
			})
		}
	}
}

func echoMessages(c webSocket) {
	for {
		message, err := c.receive()
		if err != nil || c.send(message) != nil {
			return
		}
	}
}

func TestWebSocketEchoesWhatIsSentMeanwhile(t *testing.T) {
	inWebSockets(t, echoMessages, func(t *testing.T, c webSocket) {
		messages := [][]byte{{}, random(1), random(125), random(126), random(65535), random(65536), random(300000)}
		go func() {
			for _, m := range messages {
				if err := c.send(m); err != nil {
					t.Error(err)
				}
			}
		}()
		for _, m := range messages {
			got, err := c.receive()
			require.NoError(t, err)
			requireSame(t, m, got)
		}
	})
}

func TestWebSocketPing(t *testing.T) {
	inWebSockets(t, echoMessages, func(t *testing.T, c webSocket) {
		received := make(chan string)
		go func() {
			defer close(received)
			for {
				message, err := c.receive()
				if err != nil {
					return
				}
				received <- string(message)
			}
		}()
		for range 3 {
			start := time.Now()
			require.NoError(t, c.ping())
			require.LessOrEqual(t, time.Since(start), 4*delay, "a round trip")
			require.NoError(t, c.send([]byte("between pings")))
			require.Equal(t, "between pings", <-received)
		}
		c.drop()
		<-received
	})
}

func TestWebSocketClientCloses(t *testing.T) {
	serve := func(c webSocket) {
		_, err := c.receive()
		if code := c.closedWith(err); code != 4321 {
			t.Errorf("closed with %d: %v", code, err)
		}
	}
	inWebSockets(t, serve, func(t *testing.T, c webSocket) {
		require.NoError(t, c.bye(4321, "had enough"))
	})
}

func TestWebSocketServerCloses(t *testing.T) {
	serve := func(c webSocket) {
		if err := c.bye(1013, "try again later"); err != nil {
			t.Error(err)
		}
	}
	inWebSockets(t, serve, func(t *testing.T, c webSocket) {
		_, err := c.receive()
		require.Equal(t, 1013, c.closedWith(err), "%v", err)
		require.Contains(t, err.Error(), "try again later")
	})
}

// A peer that is gone without a word has not closed.
func TestWebSocketDropped(t *testing.T) {
	serve := func(c webSocket) { c.send([]byte("hello")) }
	inWebSockets(t, serve, func(t *testing.T, c webSocket) {
		got, err := c.receive()
		require.NoError(t, err)
		require.Equal(t, "hello", string(got))
		_, err = c.receive()
		require.Error(t, err)
		require.NotEqual(t, 1000, c.closedWith(err))
		require.ErrorContains(t, err, "EOF")
	})
}
