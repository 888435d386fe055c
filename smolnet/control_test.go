package smolnet_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/listener"
	"github.com/smolnet/smolnet/smolnet"
)

// requireBegins requires of the first packet that a side sends that it is a SYN as Control has asked for.
func requireBegins(t *testing.T, tap *tapped) {
	t.Helper()
	packets := tap.takes()
	require.NotEmpty(t, packets)
	require.EqualValues(t, 3, packets[0].ip.TTL())
	require.EqualValues(t, 0xb8, packets[0].ip.TOS())
	segment, err := wire.ParseTCP(packets[0].ip.Payload())
	require.NoError(t, err)
	require.True(t, segment.Flags().Has(wire.TCPSyn))
	var options wire.TCPOptions
	require.NoError(t, options.Parse(segment.Options()))
	require.EqualValues(t, 500, options.MSS)
	require.EqualValues(t, 5, options.WindowScale, "1 MiB in 16 bits")
	require.False(t, options.SACKPermitted)
}

// What Control asks for is in force before the first packet leaves: before a SYN, and before it is answered.
func TestControl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stacks, taps := newTapped(t, pipe.Config{}, smolnet.Config{})
		type key struct{}
		var calls []string
		lc := listener.ListenConfig{Stack: stacks[1], ReadBuffer: 4096}
		lc.Control = func(network, address string, o *listener.Options) error {
			calls = append(calls, network+" "+address)
			require.Equal(t, 4096, o.ReadBuffer, "what the fields say")
			o.ReadBuffer, o.Backlog = 1<<20, 1
			o.TCP.HopLimit, o.TCP.TrafficClass, o.TCP.MaxSegment, o.TCP.NoSACK, o.TCP.Congestion = 3, 0xb8, 500, true, "reno"
			return nil
		}
		l, err := lc.Listen(t.Context(), "tcp", ":80")
		require.NoError(t, err)
		defer l.Close()

		d := dialer.Dialer{Stack: stacks[0], WriteBuffer: 4096}
		d.Control = func(ctx context.Context, network, address string, o *dialer.Options) error {
			calls = append(calls, ctx.Value(key{}).(string)+" "+network+" "+address)
			require.Equal(t, 4096, o.WriteBuffer, "what the fields say")
			o.ReadBuffer, o.WriteBuffer = 1<<20, 1<<19
			o.TCP.HopLimit, o.TCP.TrafficClass, o.TCP.MaxSegment, o.TCP.NoSACK, o.TCP.Congestion = 3, 0xb8, 500, true, "bbr"
			return nil
		}
		c, err := d.DialContext(context.WithValue(t.Context(), key{}, "value"), "tcp", "192.168.69.100:80")
		require.NoError(t, err)
		defer c.Close()
		a, err := l.Accept()
		require.NoError(t, err)
		defer a.Close()
		require.Equal(t, []string{"tcp6 :80", "value tcp4 192.168.69.100:80"}, calls)
		requireBegins(t, taps[0])
		requireBegins(t, taps[1])
		for conn, congestion := range map[net.Conn]string{c: "bbr", a: "reno"} {
			info, err := conn.(*smolnet.TCPConn).Info()
			require.NoError(t, err)
			require.Equal(t, congestion, info.CongestionControl)
			require.Equal(t, 1<<20, info.ReceiveBuffer)
		}
	})
}

func TestControlOfDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stacks, taps := newTapped(t, pipe.Config{}, smolnet.Config{})
		var calls []string
		lc := listener.ListenConfig{Stack: stacks[1]}
		lc.Control = func(network, address string, o *listener.Options) error {
			calls = append(calls, network+" "+address)
			o.UDP.HopLimit, o.UDP.TrafficClass = 3, 0xb8
			return nil
		}
		server, err := lc.ListenPacket(t.Context(), "udp4", "192.168.69.100:53")
		require.NoError(t, err)
		defer server.Close()
		d := dialer.Dialer{Stack: stacks[0]}
		d.Control = func(_ context.Context, network, address string, o *dialer.Options) error {
			calls = append(calls, network+" "+address)
			o.UDP.HopLimit, o.UDP.TrafficClass = 3, 0xb8
			return nil
		}
		client, err := d.Dial("udp", "192.168.69.100:53")
		require.NoError(t, err)
		defer client.Close()
		_, err = client.Write([]byte("x"))
		require.NoError(t, err)
		_, from, err := server.ReadFrom(make([]byte, 1))
		require.NoError(t, err)
		_, err = server.WriteTo([]byte("y"), from)
		require.NoError(t, err)
		_, err = client.Read(make([]byte, 1))
		require.NoError(t, err)
		require.Equal(t, []string{"udp4 192.168.69.100:53", "udp4 192.168.69.100:53"}, calls)
		for _, tap := range taps {
			packets := tap.takes()
			require.NotEmpty(t, packets)
			require.EqualValues(t, 3, packets[0].ip.TTL())
			require.EqualValues(t, 0xb8, packets[0].ip.TOS())
		}
	})
}

func TestErrorOfControlLeavesNothing(t *testing.T) {
	no := errors.New("no")
	s := newStack(t, smolnet.Config{})
	lc := listener.ListenConfig{Stack: s, Control: func(string, string, *listener.Options) error { return no }}
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:7")
	require.True(t, l == nil)
	require.EqualError(t, err, "listen tcp 127.0.0.1:7: no")
	c, err := lc.ListenPacket(t.Context(), "udp", "127.0.0.1:7")
	require.True(t, c == nil)
	require.EqualError(t, err, "listen udp 127.0.0.1:7: no")
	listen(t, s, "tcp", "127.0.0.1:7")
	bind(t, s, "udp", "127.0.0.1:7")

	before := s.Counters().TCP.ActiveOpens
	d := dialer.Dialer{Stack: s, Control: func(context.Context, string, string, *dialer.Options) error { return no }}
	_, err = d.Dial("tcp", "127.0.0.1:7")
	require.EqualError(t, err, "dial tcp 127.0.0.1:7: no")
	require.Equal(t, before, s.Counters().TCP.ActiveOpens)
}

// What Dialer's and ListenConfig's fields say of keep-alive, seen on the wire: when probes leave for a peer that is gone.
func TestKeepAliveOnTheWire(t *testing.T) {
	seconds := func(numbers ...int) (times []time.Duration) {
		for _, n := range numbers {
			times = append(times, time.Duration(n)*time.Second)
		}
		return times
	}
	custom := net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}
	for _, tc := range []struct {
		name   string
		period time.Duration
		config net.KeepAliveConfig
		want   []time.Duration // probes, and after them the reset
	}{
		{"default", 0, net.KeepAliveConfig{}, seconds(15, 30, 45, 60, 75, 90, 105, 120, 135, 150)},
		{"period", 5 * time.Second, net.KeepAliveConfig{}, seconds(5, 20, 35, 50, 65, 80, 95, 110, 125, 140)},
		{"off", -1, net.KeepAliveConfig{}, nil},
		{"config", -1, custom, seconds(5, 7, 9, 11)},
		{"config of defaults", time.Minute, net.KeepAliveConfig{Enable: true, Count: 2}, seconds(15, 30, 45)},
		{"config that is not enabled", 0, net.KeepAliveConfig{Count: 2}, seconds(15, 30, 45, 60, 75, 90, 105, 120, 135, 150)},
	} {
		for side, who := range []string{"dialed", "accepted"} {
			t.Run(who+" "+tc.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					stacks, taps := newTapped(t, pipe.Config{}, smolnet.Config{})
					lc := listener.ListenConfig{Stack: stacks[1], KeepAlive: tc.period, KeepAliveConfig: tc.config}
					d := dialer.Dialer{Stack: stacks[0], KeepAlive: tc.period, KeepAliveConfig: tc.config}
					if side == 0 {
						lc.KeepAlive, lc.KeepAliveConfig = -1, net.KeepAliveConfig{}
					} else {
						d.KeepAlive, d.KeepAliveConfig = -1, net.KeepAliveConfig{}
					}
					l, err := lc.Listen(t.Context(), "tcp4", ":80")
					require.NoError(t, err)
					defer l.Close()
					c, err := d.Dial("tcp", "192.168.69.100:80")
					require.NoError(t, err)
					defer c.Close()
					a, err := l.Accept()
					require.NoError(t, err)
					defer a.Close()
					synctest.Wait()
					taps[side].takes()
					start := time.Now()
					require.NoError(t, taps[1-side].Close(), "pulled out")
					time.Sleep(time.Hour)
					var got []time.Duration
					for _, s := range taps[side].takes() {
						got = append(got, s.at.Sub(start))
					}
					require.Equal(t, tc.want, got)
				})
			})
		}
	}
}

func TestKeepAliveOfDialTCPAndListenTCP(t *testing.T) {
	s := newStack(t, smolnet.Config{})
	l, err := s.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer l.Close()
	c, err := s.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	require.NoError(t, err)
	defer c.Close()
	a, err := l.AcceptTCP()
	require.NoError(t, err)
	defer a.Close()
	for _, conn := range []*smolnet.TCPConn{c, a} {
		info, err := conn.Info()
		require.NoError(t, err)
		k := info.Options.KeepAlive
		require.True(t, k.Enable)
		require.Equal(t, 15*time.Second, k.Idle)
		require.Equal(t, 15*time.Second, k.Interval)
		require.Equal(t, 9, k.Count)
	}
}
