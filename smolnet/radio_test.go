package smolnet_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev/radio"
	"github.com/smolnet/smolnet/smolnet"
)

// radioNode makes a stack that is a node of a radio medium. What it draws by chance follows from the number.
func radioNode(t testing.TB, medium *radio.Medium, number byte, node radio.NodeConfig, ifc smolnet.Interface) *smolnet.Stack {
	t.Helper()
	s := newStack(t, smolnet.Config{Rand: rand.NewChaCha8([32]byte{number})})
	ifc.Name, ifc.Device = "radio", medium.Node(node)
	_, err := s.AddInterface(ifc)
	require.NoError(t, err)
	return s
}

// radioAddr is the address by which neighbours on a radio know a node.
func radioAddr(t testing.TB, s *smolnet.Stack) netip.Addr { return linkLocal(t, s).WithZone("radio") }

// radios are the kinds that there are: those that acknowledge frames and send them again by themselves, and others, for which the
// stack does it.
var radios = []struct {
	name   string
	config radio.Config
}{
	{"acknowledged by the radios", radio.Config{Bitrate: radio.Bitrate2450MHz, Acknowledges: true}},
	{"acknowledged by the stacks", radio.Config{Bitrate: radio.Bitrate2450MHz}},
}

// Over a radio everything works as it does elsewhere, whatever of its frames is lost.
func TestRadio(t *testing.T) {
	for _, kind := range radios {
		for _, loss := range []float64{0, 0.01, 0.05, 0.1} {
			for seed := range byte(3) {
				t.Run(fmt.Sprintf("%s, %v%% of frames lost, seed %d", kind.name, loss*100, seed), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						config := kind.config
						config.Seed, config.Loss = uint64(seed), loss
						medium := radio.New(config)
						first := radioNode(t, medium, 2*seed, radio.NodeConfig{}, smolnet.Interface{})
						second := radioNode(t, medium, 2*seed+1, radio.NodeConfig{}, smolnet.Interface{})
						testRadioPing(t, first, radioAddr(t, second))
						testRadioUDP(t, first, second, radioAddr(t, second))
						// The octets alone, without headers, would take 3.3 seconds.
						most := time.Duration((7 + 100*loss) * float64(time.Second))
						require.Less(t, testRadioTransfer(t, first, second, netip.AddrPortFrom(radioAddr(t, second), 7), 100<<10), most)
						require.Less(t, testRadioTransfer(t, second, first, netip.AddrPortFrom(radioAddr(t, first), 7), 100<<10), most)
						testRadioHTTP(t, first, second, radioAddr(t, second))
					})
				})
			}
		}
	}
}

// patterned is data of which no part is like another.
func patterned(octets int) []byte {
	b := make([]byte, octets)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

// tries is how often something is sent that may be lost.
const tries = 20

// testRadioPing pings with packets of one frame and of many. As frames that are lost are sent again, few pings are.
func testRadioPing(t *testing.T, s *smolnet.Stack, to netip.Addr) {
	c, err := s.DialPing("ip6", nil, &net.IPAddr{IP: to.AsSlice(), Zone: to.Zone()})
	require.NoError(t, err)
	defer c.Close()
	for _, octets := range []int{8, 56, 64, 100, 127, 256, 500, 1000, 1200} {
		answered := 0
		for number := range tries {
			request := wire.ICMPv6EchoRepr{Seq: uint16(octets + number), Data: patterned(octets)}
			message := make([]byte, request.Len())
			request.Emit(message, to, to)
			_, err := c.Write(message)
			require.NoError(t, err)
			if radioAnswered(t, c, func(b []byte) bool {
				var reply wire.ICMPv6EchoRepr
				require.NoError(t, reply.Parse(wire.ICMPv6Packet(b)))
				return reply.Reply && reply.Seq == request.Seq && bytes.Equal(request.Data, reply.Data)
			}) {
				answered++
			}
		}
		require.Greater(t, answered, tries/2, "pings of %d octets", octets)
	}
}

// radioAnswered waits for what is an answer, and reports whether it has come.
func radioAnswered(t *testing.T, c net.Conn, answer func([]byte) bool) bool {
	require.NoError(t, c.SetReadDeadline(time.Now().Add(5*time.Second)))
	b := make([]byte, wire.IPv6MinMTU)
	for {
		n, err := c.Read(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
		require.NoError(t, err)
		if answer(b[:n]) {
			return true
		}
	}
}

// testRadioUDP has datagrams echoed.
func testRadioUDP(t *testing.T, client, server *smolnet.Stack, to netip.Addr) {
	l, err := server.ListenPacket("udp", "[::]:7")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		b := make([]byte, wire.IPv6MinMTU)
		for {
			n, from, err := l.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = l.WriteTo(b[:n], from)
		}
	}()
	c, err := client.Dial("udp", netip.AddrPortFrom(to, 7).String())
	require.NoError(t, err)
	defer c.Close()
	answered := 0
	for number := range tries {
		sent := patterned(1 + number*1200/tries)
		_, err := c.Write(sent)
		require.NoError(t, err)
		if radioAnswered(t, c, func(b []byte) bool { return bytes.Equal(sent, b) }) {
			answered++
		}
	}
	require.Greater(t, answered, tries/2)
}

// testRadioTransfer sends so many octets by TCP, and returns how long that took.
func testRadioTransfer(t *testing.T, client, server *smolnet.Stack, to netip.AddrPort, octets int) (took time.Duration) {
	start := time.Now()
	require.NoError(t, radioTransfer(client, server, to, octets))
	took = time.Since(start)
	t.Logf("%d octets in %v: %.0f kbit/s; drops %v, %v", octets, took, float64(octets)*8/1000/took.Seconds(),
		client.Counters().Drops, server.Counters().Drops)
	return took
}

// radioTransfer sends so many octets by TCP, and compares what arrives.
func radioTransfer(client, server *smolnet.Stack, to netip.AddrPort, octets int) error {
	l, err := server.Listen("tcp", fmt.Sprintf("[::]:%d", to.Port()))
	if err != nil {
		return err
	}
	defer l.Close()
	type outcome struct {
		hash [sha256.Size]byte
		err  error
	}
	received := make(chan outcome, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			received <- outcome{err: err}
			return
		}
		defer c.Close()
		b, err := io.ReadAll(c)
		received <- outcome{sha256.Sum256(b), err}
	}()
	c, err := client.Dial("tcp", to.String())
	if err != nil {
		return err
	}
	defer c.Close()
	sent := patterned(octets)
	if _, err = c.Write(sent); err != nil {
		return err
	}
	if err = c.(*smolnet.TCPConn).CloseWrite(); err != nil {
		return err
	}
	got := <-received
	if got.err == nil && got.hash != sha256.Sum256(sent) {
		return errors.New("what was received is not what was sent")
	}
	return got.err
}

// testRadioHTTP fetches a page of some segments.
func testRadioHTTP(t *testing.T, client, server *smolnet.Stack, to netip.Addr) {
	l, err := server.Listen("tcp", "[::]:80")
	require.NoError(t, err)
	body := bytes.Repeat([]byte("hello over the air "), 100)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return client.DialContext(ctx, network, netip.AddrPortFrom(to, 80).String())
	}}
	defer transport.CloseIdleConnections()
	for range 3 {
		r, err := (&http.Client{Transport: transport}).Get("http://server/")
		require.NoError(t, err)
		got, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		require.Equal(t, body, got)
	}
}
