package smolnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/listener"
	"github.com/smolnet/smolnet/smolnet"
)

func TestInfoOfAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPair(t, pipe.Config{Delay: 10 * time.Millisecond})
		c, peer := dial(t, first, listen(t, second, "tcp", "192.168.69.100:0"))
		_, err := c.Write(make([]byte, 5000))
		require.NoError(t, err)
		_, err = io.ReadFull(peer, make([]byte, 5000))
		require.NoError(t, err)
		time.Sleep(time.Second)

		i, err := c.Info()
		require.NoError(t, err)
		require.Equal(t, tcp.Established, i.State)
		require.Equal(t, "cubic", i.CongestionControl)
		require.True(t, i.SACK && i.Timestamps)
		require.EqualValues(t, 5000, i.OctetsSent)
		require.EqualValues(t, 5000, i.OctetsAcked)
		require.InDelta(t, 20*time.Millisecond, i.MinRTT, float64(time.Millisecond))
		require.Equal(t, 1500, i.PathMTU)
		require.Equal(t, 15*time.Second, i.Options.KeepAlive.Idle, "as package net has it")
		require.WithinDuration(t, time.Now(), i.LastReceived, time.Second)
		theirs, err := peer.Info()
		require.NoError(t, err)
		require.EqualValues(t, 5000, theirs.OctetsReceived)

		require.NoError(t, peer.SetLinger(0))
		require.NoError(t, peer.Close())
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		i, err = c.Info()
		require.NoError(t, err, "one that has failed is one's own still")
		require.Equal(t, tcp.Closed, i.State)
		require.EqualValues(t, 5000, i.OctetsAcked)

		require.NoError(t, c.Close())
		_, err = c.Info()
		requireOp(t, err, "get")
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestCongestionControlByName(t *testing.T) {
	inBubbles(t, func(t *testing.T, p place) {
		c, peer := p.connect(t)
		want := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
		done := make(chan error)
		go func() {
			for _, name := range []string{"bbr", "reno", "none", "cubic"} {
				if _, err := c.Write(want); err != nil {
					done <- err
				}
				if err := c.SetCongestionControl(name); err != nil {
					done <- err
				}
			}
			done <- c.CloseWrite()
		}()
		got, err := io.ReadAll(peer)
		require.NoError(t, err)
		require.NoError(t, <-done)
		require.True(t, bytes.Equal(bytes.Repeat(want, 4), got), "%d octets", len(got))
		i, err := c.Info()
		require.NoError(t, err)
		require.Equal(t, "cubic", i.CongestionControl)
	})
}

func TestSettingsOutOfRange(t *testing.T) {
	c, _ := places[0].connect(t)
	before, err := c.Info()
	require.NoError(t, err)
	for _, tc := range []struct {
		name string
		set  func() error
	}{
		{"unknown congestion control", func() error { return c.SetCongestionControl("vegas") }},
		{"negative user timeout", func() error { return c.SetUserTimeout(-1) }},
		{"negative hop limit", func() error { return c.SetHopLimit(-1) }},
		{"hop limit of more than an octet", func() error { return c.SetHopLimit(256) }},
		{"negative traffic class", func() error { return c.SetTrafficClass(-1) }},
		{"traffic class of more than an octet", func() error { return c.SetTrafficClass(math.MaxInt) }},
		{"delayed ACK of half a second", func() error { return c.SetDelayedACK(500 * time.Millisecond) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.set()
			requireOp(t, err, "set")
			require.Equal(t, os.NewSyscallError("setsockopt", syscall.EINVAL), err.(*net.OpError).Err)
			now, err := c.Info()
			require.NoError(t, err)
			require.Equal(t, before.Options, now.Options)
		})
	}
	require.NoError(t, c.Close())
	for _, set := range []func() error{
		func() error { return c.SetCongestionControl("reno") }, func() error { return c.SetUserTimeout(0) },
		func() error { return c.SetHopLimit(1) }, func() error { return c.SetTrafficClass(0) },
		func() error { return c.SetDelayedACK(0) },
	} {
		require.ErrorIs(t, set(), net.ErrClosed)
	}
	var none *smolnet.TCPConn
	_, err = none.Info()
	require.Equal(t, syscall.EINVAL, err)
	require.Equal(t, syscall.EINVAL, none.SetHopLimit(1))
}

func TestHeaderSettingsAreOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, far := newBare(t)
		go func() {
			synctest.Wait()
			ip, segment := far.last()
			far.answers(ip, segment, wire.TCPSyn)
		}()
		nc, err := s.Dial("tcp", "192.168.69.100:80")
		require.NoError(t, err)
		c := nc.(*smolnet.TCPConn)
		require.NoError(t, c.SetHopLimit(3))
		require.NoError(t, c.SetTrafficClass(0xbb))
		_, err = c.Write([]byte("x"))
		require.NoError(t, err)
		synctest.Wait()
		ip, _ := far.last()
		require.EqualValues(t, 3, ip.TTL())
		require.EqualValues(t, 0xb8, ip.TOS(), "without the bits that are ECN's")
		require.NoError(t, c.SetLinger(0))
		require.NoError(t, c.Close())
	})
}

// How a connection begins is said once for a stack, and by each dialer and listener as it likes.
func TestOptionsOfStackDialerAndListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPairOf(t, pipe.Config{}, smolnet.Config{
			TCP:    tcp.Config{Options: tcp.Options{Congestion: "reno", HopLimit: 7}},
			Limits: core.Limits{TCP: tcp.Limits{ReceiveBuffer: 1 << 20, SendBuffer: 2 << 20, Memory: 64 << 20}},
		})
		lc := listener.ListenConfig{Stack: second, TCP: tcp.Options{Congestion: "none", NoTimestamps: true}, ReadBuffer: 4096}
		l, err := lc.Listen(t.Context(), "tcp", "192.168.69.100:7")
		require.NoError(t, err)
		defer l.Close()
		d := dialer.Dialer{
			Stack: first, KeepAlive: time.Minute, WriteBuffer: 4096,
			TCP: tcp.Options{Congestion: "bbr", SendBuffer: 8192, UserTimeout: time.Minute},
		}
		c, err := d.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		a, err := l.Accept()
		require.NoError(t, err)
		defer a.Close()

		ours, err := c.(*smolnet.TCPConn).Info()
		require.NoError(t, err)
		require.Equal(t, "bbr", ours.CongestionControl, "what the dialer says")
		require.EqualValues(t, 7, ours.Options.HopLimit, "what the stack says where the dialer says nothing")
		require.Equal(t, time.Minute, ours.Options.KeepAlive.Idle, "package net's fields")
		require.Equal(t, 8192, ours.SendBuffer, "the more special one")
		require.Equal(t, 1<<20, ours.LargestReceiveBuffer, "the stack's limit")
		require.False(t, ours.Timestamps, "the listener does not want them")
		theirs, err := a.(*smolnet.TCPConn).Info()
		require.NoError(t, err)
		require.Equal(t, "none", theirs.CongestionControl, "what the listener says")
		require.Equal(t, 4096, theirs.ReceiveBuffer)
		require.Equal(t, 2<<20, theirs.LargestSendBuffer)

		_, err = (&dialer.Dialer{Stack: first, TCP: tcp.Options{Congestion: "vegas"}}).Dial("tcp", l.Addr().String())
		requireOp(t, err, "dial")
		require.ErrorIs(t, err, syscall.EINVAL)
		_, err = (&listener.ListenConfig{Stack: first, TCP: tcp.Options{MaxSegment: 1}}).Listen(t.Context(), "tcp", ":8")
		requireOp(t, err, "listen")
		require.ErrorIs(t, err, syscall.EINVAL)
	})
}

func TestLimitsAreValidatedTogether(t *testing.T) {
	for _, tc := range []struct {
		name   string
		limits tcp.Limits
		want   string
	}{
		{"a receive buffer of nothing to speak of", tcp.Limits{ReceiveBuffer: 1}, "ReceiveBuffer"},
		{"a send buffer beyond what a window can express", tcp.Limits{SendBuffer: 1<<30 + 1}, "SendBuffer"},
		{"no memory", tcp.Limits{Memory: -1}, "Memory"},
		{"fewer than no listeners", tcp.Limits{Listeners: -1}, "Listeners"},
		{"fewer than none opened fast", tcp.Limits{FastOpen: -1}, "FastOpen"},
		{"fewer than no cookies", tcp.Limits{FastOpenPeers: -1}, "FastOpenPeers"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := smolnet.New(smolnet.Config{Limits: core.Limits{TCP: tc.limits}})
			require.ErrorIs(t, err, core.ErrConfig)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestDialFastOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = 50 * time.Millisecond
		first, second := newPair(t, pipe.Config{Delay: delay})
		lc := listener.ListenConfig{Stack: second, TCP: tcp.Options{FastOpen: true}}
		l, err := lc.Listen(t.Context(), "tcp", "192.168.69.100:7")
		require.NoError(t, err)
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					io.Copy(c, c)
					c.Close()
				}()
			}
		}()
		warm, err := first.Dial("tcp", "192.168.69.100:7") // the neighbours know each other
		require.NoError(t, err)
		require.NoError(t, warm.Close())
		for i, want := range []time.Duration{4 * delay, 2 * delay} {
			began := time.Now()
			c, err := first.DialFastOpen(context.Background(), "tcp", "192.168.69.100:7", []byte("hello"))
			require.NoError(t, err)
			b := make([]byte, 5)
			_, err = io.ReadFull(c, b)
			require.NoError(t, err)
			require.Equal(t, "hello", string(b))
			require.InDelta(t, want, time.Since(began), float64(time.Millisecond), "a cookie is granted, and then it saves a round trip")
			info, err := c.(*smolnet.TCPConn).Info()
			require.NoError(t, err)
			require.Equal(t, i == 1, info.FastOpen)
			require.NoError(t, c.Close())
		}
		require.EqualValues(t, 1, first.Counters().TCP.FastOpenUsed)

		_, err = first.DialFastOpen(t.Context(), "udp", "192.168.69.100:7", nil)
		requireOp(t, err, "dial")
		require.True(t, errors.As(err, new(net.UnknownNetworkError)))
		_, err = first.DialFastOpen(t.Context(), "tcp", "192.168.69.100:7", make([]byte, 9<<20))
		require.ErrorIs(t, err, syscall.EINVAL, "more than the send buffer may become")
	})
}

// busy is a device that has no room for anything for a while, and counts the segments with payload that it sends.
type busy struct {
	dev.Device
	mu       sync.Mutex
	free     chan struct{} // closed: there is room; nil: so there always was
	payloads []int
	pushed   bool // the last of them had PSH set
}

func (d *busy) room() chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.free
}

func (d *busy) Send(now time.Time, pkts []*packet.Packet) (int, error) {
	if free := d.room(); free != nil {
		select {
		case <-free:
		default:
			return 0, nil
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range pkts {
		octets := make([]byte, p.Len())
		p.CopyTo(octets, 0)
		segment := wire.TCPPacket(wire.IPv4Packet(octets).Payload())
		if n := len(segment.Payload()); n > 0 {
			d.payloads, d.pushed = append(d.payloads, n), segment.Flags().Has(wire.TCPPsh)
		}
	}
	return d.Device.Send(now, pkts)
}

func (d *busy) WaitSend() error {
	<-d.room()
	return nil
}

// What is written while the device is busy leaves in full segments: there is nothing that Linux's TCP_CORK would add.
func TestWritesWhileTheDeviceIsBusyLeaveTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe.New(pipe.Config{Medium: dev.IP})
		device := &busy{Device: a}
		first, second := newStack(t, smolnet.Config{}), newStack(t, smolnet.Config{})
		_, err := first.AddInterface(smolnet.Interface{Device: device, NoIPv6: true, Addresses: firstAddresses[:1]})
		require.NoError(t, err)
		_, err = second.AddInterface(smolnet.Interface{Device: b, NoIPv6: true, Addresses: secondAddresses[:1]})
		require.NoError(t, err)
		c, peer := dial(t, first, listen(t, second, "tcp", "192.168.69.100:0"))
		synctest.Wait()

		device.mu.Lock()
		device.free = make(chan struct{})
		device.mu.Unlock()
		for range 50 {
			_, err := c.Write(bytes.Repeat([]byte("x"), 100))
			require.NoError(t, err)
		}
		synctest.Wait()
		close(device.free)
		_, err = io.ReadFull(peer, make([]byte, 5000))
		require.NoError(t, err)
		device.mu.Lock()
		defer device.mu.Unlock()
		require.Equal(t, []int{100, 1448, 1448, 1448, 556}, device.payloads, "the first was on its way to the device")
		require.True(t, device.pushed)
	})
}
