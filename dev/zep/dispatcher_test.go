package zep_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev/zep"
)

// dispatcher runs one until the test ends.
func dispatcher(t *testing.T, config zep.DispatcherConfig) *zep.Dispatcher {
	t.Helper()
	config.Local = "127.0.0.1:0"
	d, err := zep.NewDispatcher(config)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- d.Run() }()
	t.Cleanup(func() {
		require.NoError(t, d.Close())
		require.NoError(t, d.Close())
		require.ErrorIs(t, <-done, net.ErrClosed)
	})
	return d
}

// greet has the device send its HELLO.
func greet(t *testing.T, d *zep.Device) {
	t.Helper()
	require.NoError(t, d.WaitReceive())
	_, err := d.Receive(now, nil)
	require.NoError(t, err)
}

func TestADispatcherHandsOnWhatItGets(t *testing.T) {
	hub := dispatcher(t, zep.DispatcherConfig{})
	var all []*zep.Device
	for range 4 {
		d := open(t, zep.Config{Local: "127.0.0.1:0", Remote: hub.LocalAddr().String(), Hello: true})
		greet(t, d)
		all = append(all, d)
	}
	send(t, all[0], "one")
	for _, d := range all[1:] {
		require.Equal(t, "one", receive(t, d))
	}
	send(t, all[3], "two")
	for _, d := range all[:3] {
		require.Equal(t, "two", receive(t, d))
		require.Zero(t, d.Stats().Dropped, "a HELLO goes to nobody")
	}
	stats := hub.Stats()
	require.Equal(t, 4, stats.Members)
	require.EqualValues(t, 6, stats.Received)
}

func TestADispatcherHandsOnNothingElse(t *testing.T) {
	hub := dispatcher(t, zep.DispatcherConfig{Members: 2})
	first, second, third := socket(t, "127.0.0.1:0"), socket(t, "127.0.0.1:0"), socket(t, "127.0.0.1:0")
	say := func(from *net.UDPConn, b []byte) {
		_, err := from.WriteToUDPAddrPort(b, hub.LocalAddr())
		require.NoError(t, err)
	}
	say(first, octets(t, ping))
	say(second, []byte("no such protocol"))
	say(second, append(octets(t, ping), make([]byte, 160)...))
	say(second, octets(t, ping))
	require.Equal(t, octets(t, ping), datagram(t, first))
	say(third, octets(t, ping)) // is one too many
	acknowledgment := octets(t, "4558 02 02 00000001")
	say(first, acknowledgment)
	require.Equal(t, acknowledgment, datagram(t, second))
	stats := hub.Stats()
	stats.Sent = 0 // the last is perhaps not yet counted
	require.Equal(t, zep.DispatcherStats{Members: 2, Received: 6, Malformed: 2, Refused: 1}, stats)
}

func TestDispatchersThatCannotBe(t *testing.T) {
	_, err := zep.NewDispatcher(zep.DispatcherConfig{Local: "127.0.0.1"})
	require.ErrorContains(t, err, `zep: local address "127.0.0.1": `)
	taken := socket(t, "127.0.0.1:0").LocalAddr().String()
	_, err = zep.NewDispatcher(zep.DispatcherConfig{Local: taken})
	require.ErrorContains(t, err, "zep: listen udp "+taken)
}
