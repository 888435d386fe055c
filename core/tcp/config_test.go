package tcp

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

func TestBadConfigurationIsNamed(t *testing.T) {
	for _, row := range []struct {
		want   string
		change func(*Config)
	}{
		{"Network", func(c *Config) { c.Network = nil }},
		{"Rand", func(c *Config) { c.Rand = nil }},
		{"random octets", func(c *Config) { c.Rand = strings.NewReader("few") }},
		{"MinRTO 2s", func(c *Config) { c.MinRTO = 2 * time.Second }},
		{"MaxRTO 1ms", func(c *Config) { c.MaxRTO = time.Millisecond }},
		{"TimeWait is -1s", func(c *Config) { c.TimeWait = -time.Second }},
		{"FinWait2 -1s", func(c *Config) { c.FinWait2 = -time.Second }},
		{"FirstPort 9 is above LastPort 8", func(c *Config) { c.FirstPort, c.LastPort = 9, 8 }},
		{"SYNRetries is negative: -1", func(c *Config) { c.SYNRetries = -1 }},
		{"is 255, more than 254", func(c *Config) { c.DataRetries = 255 }},
		{"InitialWindow is negative: -1", func(c *Config) { c.InitialWindow = -1 }},
		{"Limits.Backlog is negative: -7", func(c *Config) { c.Limits.Backlog = -7 }},
		{"Limits.OutOfOrder is negative: -7", func(c *Config) { c.Limits.OutOfOrder = -7 }},
		{"Limits.Backlog 101 is more than Limits.HalfOpen 100", func(c *Config) { c.Limits.Backlog, c.Limits.HalfOpen = 101, 100 }},
		{"Limits.Backlog 11 is more than Limits.Connections 10", func(c *Config) { c.Limits.Backlog, c.Limits.Connections = 11, 10 }},
		{"Limits.Listeners is negative: -7", func(c *Config) { c.Limits.Listeners = -7 }},
		{"Limits.FastOpen is negative: -7", func(c *Config) { c.Limits.FastOpen = -7 }},
		{"Limits.FastOpenPeers is negative: -7", func(c *Config) { c.Limits.FastOpenPeers = -7 }},
		{"SYNCookies is 3", func(c *Config) { c.SYNCookies = 3 }},
		{"Limits.HalfOpen is negative: -7", func(c *Config) { c.Limits.HalfOpen = -7 }},
		{"Limits.Connections is negative: -7", func(c *Config) { c.Limits.Connections = -7 }},
		{"ReceiveBuffer is 63", func(c *Config) { c.Options.ReceiveBuffer = 63 }},
		{"SendBuffer is 1073741825", func(c *Config) { c.Options.SendBuffer = 1<<30 + 1 }},
		{"DelayedACK is 500ms", func(c *Config) { c.Options.DelayedACK = 500 * time.Millisecond }},
		{"MaxSegment is 47", func(c *Config) { c.Options.MaxSegment = 47 }},
		{"TrafficClass is 0x3", func(c *Config) { c.Options.TrafficClass = 3 }},
		{"UserTimeout is -1s", func(c *Config) { c.Options.UserTimeout = -time.Second }},
		{"KeepAlive has a negative value", func(c *Config) { c.Options.KeepAlive.Idle = -1 }},
		{"KeepAlive.Count is 256", func(c *Config) { c.Options.KeepAlive.Count = 256 }},
		{`unknown congestion control "fast"`, func(c *Config) { c.Options.Congestion = "fast" }},
	} {
		t.Run(row.want, func(t *testing.T) {
			c := Config{Network: &fakeNetwork{mtu: 1500}, Epoch: epoch, Rand: rand.NewChaCha8([32]byte{})}
			row.change(&c)
			_, err := NewHost(c)
			require.ErrorContains(t, err, row.want)
		})
	}
}

// What a caller got wrong is ip.ErrInvalid, whichever way it came.
func TestBadOptionsAreInvalidArguments(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	for _, row := range []struct {
		name string
		err  error
	}{
		{"keep-alive", c.SetKeepAlive(s.now, KeepAlive{Idle: -1})},
		{"keep-alive count", c.SetKeepAlive(s.now, KeepAlive{Count: 256})},
		{"user timeout", c.SetUserTimeout(s.now, -1)},
		{"traffic class", c.SetTrafficClass(1)},
		{"Dial", func() error {
			_, err := s.host.Dial(s.now, DialConfig{Remote: s.peer, Options: &Options{ReceiveBuffer: 1}})
			return err
		}()},
		{"Listen", func() error {
			_, err := s.host.Listen(ListenConfig{Local: addPort(s.local, 1), Options: &Options{Congestion: "fast"}})
			return err
		}()},
	} {
		t.Run(row.name, func(t *testing.T) { require.ErrorIs(t, row.err, ip.ErrInvalid) })
	}
}

func TestBacklogFollowsOtherLimits(t *testing.T) {
	for _, limits := range []Limits{{HalfOpen: 100}, {Connections: 100}} {
		s := newScript(t, func(c *Config) { c.Limits = limits })
		require.Equal(t, 100, s.host.config.Limits.Backlog, "what is not said fits what is")
	}
}

// What answers for no connection carries the host's own options.
func TestResetsHaveTheHostsHopLimit(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Options.HopLimit, c.Options.TrafficClass = 9, 0x40 })
	s.recv(seg{flags: "S", win: 65535})
	require.EqualValues(t, 9, s.net.sent[0].IP.HopLimit)
	require.EqualValues(t, 0x40, s.net.sent[0].IP.TrafficClass)
	s.want("refused", seg{flags: "R.", ack: 1})
}

func TestOptionsOfAConnectionAreItsOwn(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	require.NoError(t, c.SetReadBuffer(1<<16))
	require.NoError(t, c.SetTrafficClass(0x40))
	require.Error(t, c.SetTrafficClass(1))
	c.SetHopLimit(9)
	s.write("x")
	require.EqualValues(t, 9, s.net.sent[0].IP.HopLimit)
	require.EqualValues(t, 0x40, s.net.sent[0].IP.TrafficClass)
	c.SetHopLimit(0)
	require.Zero(t, c.options.HopLimit)
	require.Equal(t, 1<<20, s.host.config.Options.ReceiveBuffer, "not everybody's")
}

func TestMaxSegment(t *testing.T) {
	s := newScript(t)
	s.dial(&Options{MaxSegment: 500})
	s.want("it is offered", seg{flags: "S", mss: 500})
	s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
	s.want("the handshake", seg{flags: ".", seq: 1, ack: 1})
	s.write(strings.Repeat("x", 501))
	s.want("and kept", seg{flags: ".", seq: 1, ack: 1, len: 500})
	s.want("and kept", seg{flags: "P.", seq: 501, ack: 1, len: 1})
}

func TestLinkOfShortFrames(t *testing.T) {
	t.Run("has small segments", func(t *testing.T) {
		s := newScript(t)
		s.net.maxSegment = 400
		s.dial(&Options{})
		s.want("offered", seg{flags: "S", mss: 400})
	})
	t.Run("unless the user knows better", func(t *testing.T) {
		s := newScript(t)
		s.net.maxSegment = 400
		s.dial(&Options{MaxSegment: 1000})
		s.want("offered", seg{flags: "S", mss: 1000})
	})
}
