package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/internal/netns"
)

var defaults = settings{flows: 1024, idle: time.Minute, timeout: 10 * time.Second}

// on is what the command line says of the device.
func on(t *testing.T, name string) *device.Flags {
	t.Helper()
	fs := flag.NewFlagSet("forward", flag.ContinueOnError)
	flags := device.Register(fs, "netns")
	require.NoError(t, fs.Parse([]string{"-device", name}))
	return flags
}

// lab is a NAT between two namespaces, with servers.
type lab struct {
	*testing.T
	*namespaces
	*servers
	said *transcript
}

// newLab returns nil outside of a private namespace, where the test is run by another process.
func newLab(t *testing.T, s settings) *lab {
	t.Helper()
	if !netns.Test(t) {
		return nil
	}
	l := &lab{T: t, said: newTranscript()}
	var err error
	l.namespaces, err = newNamespaces(l.said, new(device.Flags), s)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.namespaces.close()) })
	l.servers, err = startServers()
	require.NoError(t, err)
	t.Cleanup(l.servers.close)
	return l
}

// transcript is what the NAT has printed. A line can be waited for.
type transcript struct {
	mu    sync.Mutex
	more  *sync.Cond
	lines bytes.Buffer
}

func newTranscript() *transcript {
	t := new(transcript)
	t.more = sync.NewCond(&t.mu)
	return t
}

func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.more.Broadcast()
	return t.lines.Write(b)
}

// await waits until the text was printed n times.
func (t *transcript) await(text string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for strings.Count(t.lines.String(), text) < n {
		t.more.Wait()
	}
}

// clients are one for each family.
func (l *lab) clients(do func(t *testing.T, c *client)) {
	for i, address := range serverAddresses {
		name := "IPv4"
		if i > 0 {
			name = "IPv6"
		}
		l.Run(name, func(t *testing.T) {
			do(t, &client{dial: l.dial, server: address.Addr(), hole: holes[i].Addr().Next()})
		})
	}
}

func (l *lab) mustDial(t *testing.T, network, address string) net.Conn {
	c, err := l.dial(t.Context(), network, address)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestShow(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, on(t, "netns"), defaults))
	for _, want := range []string{
		"203.0.113.1: 8 HTTP requests at once, of 1 MiB each, which came back",
		"2001:db8::1: 8 connections to where nobody answers waited all the while",
		"TCP: 18 connections, ", "; 2 refused, ", "UDP: 204 flows, ", "; 2 flows refused, ",
	} {
		require.Contains(t, out.String(), want)
	}
	t.Logf("\n%s", &out)
}

func TestConnections(t *testing.T) {
	l := newLab(t, defaults)
	if l == nil {
		return
	}
	l.clients(func(t *testing.T, c *client) {
		require.NoError(t, c.exchange(t.Context(), 16, 3<<20))
		require.NoError(t, c.halfClose(t.Context(), 5<<20))
		require.NoError(t, c.refusedConnection(t.Context()))
	})
}

// The server ends its side first, and still hears the client.
func TestServerClosesItsHalfFirst(t *testing.T) {
	l := newLab(t, defaults)
	if l == nil {
		return
	}
	l.clients(func(t *testing.T, c *client) {
		heard := make(chan string, 1)
		address := at(c.server, 1000)
		require.NoError(t, l.listen(address, func(listener net.Listener) {
			serve(listener, func(conn net.Conn) {
				defer conn.Close()
				io.WriteString(conn, "that is all")
				conn.(*net.TCPConn).CloseWrite()
				b, _ := io.ReadAll(conn)
				heard <- string(b)
			})
		}))
		conn := l.mustDial(t, "tcp", address)
		b, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, "that is all", string(b))
		_, err = io.WriteString(conn, "not quite")
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		require.Equal(t, "not quite", <-heard)
	})
}

func TestResetsArePassedOn(t *testing.T) {
	l := newLab(t, defaults)
	if l == nil {
		return
	}
	l.clients(func(t *testing.T, c *client) {
		conns := make(chan *net.TCPConn, 2)
		address := at(c.server, 1000)
		require.NoError(t, l.listen(address, func(listener net.Listener) {
			serve(listener, func(conn net.Conn) { conns <- conn.(*net.TCPConn) })
		}))
		near := l.mustDial(t, "tcp", address).(*net.TCPConn)
		far := <-conns
		require.NoError(t, far.SetLinger(0))
		require.NoError(t, far.Close())
		_, err := near.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET, "the server's reset")

		near = l.mustDial(t, "tcp", address).(*net.TCPConn)
		far = <-conns
		defer far.Close()
		require.NoError(t, near.SetLinger(0))
		require.NoError(t, near.Close())
		_, err = far.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET, "the client's")
	})
	l.said.await("connection reset by peer", 4)
}

func TestBlackHolesDelayNobody(t *testing.T) {
	l := newLab(t, settings{flows: 1, idle: time.Hour, timeout: time.Hour})
	if l == nil {
		return
	}
	l.clients(func(t *testing.T, c *client) {
		unanswered := c.startDialing(t.Context(), c.hole, 200)
		defer unanswered.stop()
		require.NoError(t, c.exchange(t.Context(), 16, 1<<20))
		require.NoError(t, c.refusedConnection(t.Context()))
		require.NoError(t, unanswered.waiting(t.Context()))
	})
}

// Who gets no answer gives none, so that the client asks again.
func TestUnansweredDialsAreNotAnswered(t *testing.T) {
	l := newLab(t, settings{flows: 1, idle: time.Hour, timeout: time.Millisecond})
	if l == nil {
		return
	}
	l.clients(func(t *testing.T, c *client) {
		unanswered := c.startDialing(t.Context(), c.hole, 1)
		defer unanswered.stop()
		l.said.await("> "+at(c.hole, portHTTP)+": i/o timeout", 2)
		require.NoError(t, unanswered.waiting(t.Context()), "the client has asked twice, and goes on")
	})
	require.GreaterOrEqual(t, l.nat.counted.unanswered.Load(), int64(4))
}

func TestDatagrams(t *testing.T) {
	l := newLab(t, defaults)
	if l == nil {
		return
	}
	l.clients(func(t *testing.T, c *client) {
		require.NoError(t, c.lookUp(t.Context()))
		require.NoError(t, c.flows(t.Context(), 400, 5))
		require.NoError(t, c.refusedDatagram(t.Context()))
	})
	require.Zero(t, l.nat.counted.flowsBeyond.Load())
}

// One socket of a client's speaks to several servers, and each answers in its own name.
func TestAnswersComeFromWhomWasAsked(t *testing.T) {
	l := newLab(t, defaults)
	if l == nil {
		return
	}
	l.clients(func(t *testing.T, c *client) {
		var conn net.PacketConn
		require.NoError(t, l.inside.Do(func() (err error) {
			conn, err = net.ListenPacket("udp", ":0")
			return err
		}))
		defer conn.Close()
		for _, port := range []uint16{2001, 2002, 2003} {
			address := at(c.server, port)
			require.NoError(t, l.answer(address, func(b []byte) []byte { return append([]byte("I heard "), b...) }))
			_, err := conn.WriteTo([]byte(address), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
			require.NoError(t, err)
			b := make([]byte, 100)
			n, from, err := conn.ReadFrom(b)
			require.NoError(t, err)
			require.Equal(t, address, from.String())
			require.Equal(t, "I heard "+address, string(b[:n]))
		}
	})
}

// What does not fit the tap is cut, and arrives whole.
func TestOversizeAnswersArrive(t *testing.T) {
	l := newLab(t, defaults)
	if l == nil {
		return
	}
	l.clients(func(t *testing.T, c *client) {
		address := at(c.server, 2000)
		require.NoError(t, l.answer(address, func(b []byte) []byte { return bytes.Repeat(b, 4) }))
		conn := l.mustDial(t, "udp", address)
		before := l.nat.counted.lost.Load()
		b := make([]byte, 10000)
		for _, size := range []int{375, 1400, 1} { // four times 375 is as much as the MTU
			_, err := conn.Write(octets(1, size))
			require.NoError(t, err)
			n, err := conn.Read(b)
			require.NoError(t, err)
			require.Equal(t, bytes.Repeat(octets(1, size), 4), b[:n])
		}
		require.Zero(t, l.nat.counted.lost.Load()-before)
	})
}

func TestFlowsAreBounded(t *testing.T) {
	l := newLab(t, settings{flows: 2, idle: time.Hour, timeout: time.Hour})
	if l == nil {
		return
	}
	c := client{dial: l.dial, server: serverAddresses[0].Addr()}
	address := at(c.server, portEcho)
	for range 2 {
		require.NoError(t, echoDatagram(l.mustDial(t, "udp", address), []byte("x")))
	}
	beyond := l.mustDial(t, "udp", address)
	_, err := beyond.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, c.refusedConnection(t.Context()), "it came later than the datagram")
	require.EqualValues(t, 1, l.nat.counted.flowsBeyond.Load())
	require.EqualValues(t, 2, l.nat.counted.flows.Load())
}

func TestIdleFlowsEnd(t *testing.T) {
	l := newLab(t, settings{flows: 1, idle: 10 * time.Millisecond, timeout: time.Hour, verbose: true})
	if l == nil {
		return
	}
	l.clients(func(t *testing.T, c *client) {
		conn := l.mustDial(t, "udp", at(c.server, portEcho))
		require.NoError(t, echoDatagram(conn, []byte("x")))
		l.said.await("udp "+conn.LocalAddr().String()+" > "+conn.RemoteAddr().String()+": 1 datagrams out, 1 in", 1)
		require.NoError(t, echoDatagram(conn, []byte("y")), "there is room again, and it begins anew")
		l.said.await("udp "+conn.LocalAddr().String(), 2)
	})
}

func TestWhatIsNotForwardedTo(t *testing.T) {
	l := newLab(t, defaults)
	if l == nil {
		return
	}
	for _, own := range device.Own {
		address := at(own.Addr(), portHTTP)
		_, err := l.dial(t.Context(), "tcp", address)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		conn := l.mustDial(t, "udp", address)
		_, err = conn.Write([]byte("x"))
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	}
	l.said.await(errNotPermitted.Error(), 4)
	for addr, permitted := range map[string]bool{
		"203.0.113.1": true, "10.0.0.1": true, "192.168.69.2": true, "2001:db8::1": true, "fdaa::2": true,
		"192.168.69.1": false, "fdaa::1": false, "127.0.0.1": false, "::1": false, "0.0.0.0": false, "::": false,
		"169.254.1.1": false, "fe80::1%lo": false, "224.0.0.1": false, "ff02::1": false, "255.255.255.255": false,
		"::ffff:127.0.0.1": false, "::ffff:192.168.69.1": false,
	} {
		require.Equal(t, permitted, l.nat.permits(netip.MustParseAddr(addr)), addr)
	}
}

// Closing in the middle of everything ends all of it, on both sides.
func TestNothingIsLeftBehind(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	require.NoError(t, addOutside())
	servers, err := startServers()
	require.NoError(t, err)
	defer servers.close()
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for range 5 {
		n, err := newNamespaces(io.Discard, new(device.Flags), defaults)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var conns []net.Conn
		var waiting []*dialing
		for i, address := range serverAddresses {
			c := &client{dial: n.dial, server: address.Addr()}
			waiting = append(waiting, c.startDialing(ctx, holes[i].Addr().Next(), 10))
			for range 10 {
				stream, err := n.dial(ctx, "tcp", at(c.server, portEcho))
				require.NoError(t, err)
				_, err = io.WriteString(stream, "half of it")
				require.NoError(t, err)
				datagrams, err := n.dial(ctx, "udp", at(c.server, portEcho))
				require.NoError(t, err)
				require.NoError(t, echoDatagram(datagrams, []byte("x")))
				conns = append(conns, stream, datagrams)
			}
		}
		require.NoError(t, n.close())
		for i := 0; i < len(conns); i += 2 {
			_, err := conns[i].Read(make([]byte, 1))
			require.ErrorIs(t, err, syscall.ECONNRESET)
		}
		for _, c := range conns {
			c.Close()
		}
		cancel()
		for _, d := range waiting {
			d.stop()
		}
	}
	// The servers hear of the resets soon, and end their goroutines.
	ended := func() bool { return runtime.NumGoroutine() <= goroutines+1 && openFiles(t) <= files } // it is asked by one more
	require.Eventually(t, ended, 30*time.Second, time.Millisecond)
}

func openFiles(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries)
}

func TestForwardsFromADeviceUntilInterrupted(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	require.NoError(t, addOutside())
	servers, err := startServers()
	require.NoError(t, err)
	defer servers.close()
	for kind, add := range map[string]func(string) error{"tap": netns.AddTap, "tun": netns.AddTun} {
		t.Run(kind, func(t *testing.T) {
			n := new(namespaces)
			n.inside, err = netns.New()
			require.NoError(t, err)
			defer n.inside.Close()
			require.NoError(t, n.inside.Do(func() error { return add("smol0") }))

			ctx, interrupt := context.WithCancel(t.Context())
			out, written := io.Pipe()
			done := make(chan error, 1)
			go func() {
				// The device is opened inside. Sockets are opened by other goroutines, and so outside.
				done <- n.inside.Do(func() error { return run(ctx, written, on(t, kind+":smol0"), defaults) })
				written.Close()
			}()
			lines := bufio.NewScanner(out)
			require.True(t, lines.Scan())
			require.Equal(t, "forwarding TCP and UDP that enter "+kind+":smol0, by 192.168.69.1 and fdaa::1, until interrupted", lines.Text())
			require.NoError(t, n.inside.Do(func() error { return joinInside("smol0") }))
			for _, address := range serverAddresses {
				c := &client{dial: n.dial, server: address.Addr()}
				require.NoError(t, c.exchange(t.Context(), 4, 1<<20))
				require.NoError(t, c.flows(t.Context(), 4, 4))
			}
			interrupt()
			var summary []string
			for lines.Scan() {
				summary = append(summary, lines.Text())
			}
			require.NoError(t, <-done)
			require.Len(t, summary, 3)
			require.Contains(t, summary[1], "TCP: 8 connections, ")
			require.Contains(t, summary[2], "UDP: 8 flows, ")
		})
	}
}

func TestWrongFlags(t *testing.T) {
	for _, name := range []string{"token-ring", "tap", "tap:", "pipe:1", ""} {
		err := run(t.Context(), io.Discard, on(t, name), defaults)
		require.EqualError(t, err, "-device "+name+": there is netns, tap:NAME and tun:NAME")
	}
	for _, s := range []settings{{0, 1, 1, false}, {1, 0, 1, false}, {1, 1, 0, false}, {-1, 1, 1, false}} {
		require.ErrorContains(t, run(t.Context(), io.Discard, on(t, "netns"), s), "they are more than zero")
	}
}
