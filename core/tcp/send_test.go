package tcp

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
)

func TestDataIsSegmented(t *testing.T) {
	s := newScript(t)
	s.accepted()
	s.write(strings.Repeat("x", 3000))
	s.want("full segments", seg{flags: ".", seq: 1, ack: 1, len: 1460})
	s.want("full segments", seg{flags: ".", seq: 1461, ack: 1, len: 1460})
	s.want("the last pushes", seg{flags: "P.", seq: 2921, ack: 1, len: 80})
	s.wantIdle("that was all")
}

func TestSuperSegments(t *testing.T) {
	s := newScript(t)
	s.net.segment = true
	s.accepted()
	s.net.offload = true
	s.write(strings.Repeat("x", 10_000))
	require.Len(t, s.net.sent, 1)
	p := s.net.sent[0]
	require.EqualValues(t, 1460, p.SegmentSize)
	require.Equal(t, 10_020, p.Len(), "all in one packet, for the device to cut")
	require.Equal(t, packet.ChecksumPartial, p.Checksum)
	require.EqualValues(t, 1+7, s.host.Counters().OutSegs, "counted as what the peer will see")
	p.Release()
	s.net.sent = nil
}

func TestInitialWindow(t *testing.T) {
	s := newScript(t)
	s.accepted()
	s.write(strings.Repeat("x", 100_000))
	for i := range uint32(10) {
		s.want("ten segments", seg{flags: ".", seq: 1 + 1460*i, ack: 1, len: 1460})
	}
	s.wantIdle("and no more before an acknowledgment")
	s.recv(seg{flags: ".", seq: 1, ack: 2921, win: 65535})
	for i := range uint32(4) {
		s.want("slow start: two for each that has arrived", seg{flags: ".", seq: 14601 + 1460*i, ack: 1, len: 1460})
	}
	s.wantIdle("and no more")
}

func TestNagle(t *testing.T) {
	t.Run("off, as package net has it", func(t *testing.T) {
		s := newScript(t)
		s.accepted()
		s.write("a")
		s.write("b")
		s.want("at once", seg{flags: "P.", seq: 1, ack: 1, data: "a"})
		s.want("at once", seg{flags: "P.", seq: 2, ack: 1, data: "b"})
	})
	t.Run("on", func(t *testing.T) {
		s := newScript(t)
		c := s.accepted(func(c *ListenConfig) { c.Options = &Options{Nagle: true} })
		s.write("a")
		s.want("nothing is in flight", seg{flags: "P.", seq: 1, ack: 1, data: "a"})
		s.write("b")
		s.write("c")
		s.wantIdle("small segments wait")
		s.recv(seg{flags: ".", seq: 1, ack: 2, win: 65535})
		s.want("until what is in flight has arrived", seg{flags: "P.", seq: 2, ack: 1, data: "bc"})
		s.write("d")
		s.wantIdle("it waits")
		c.SetNoDelay(true)
		s.want("until it need not", seg{flags: "P.", seq: 4, ack: 1, data: "d"})
	})
}

func TestSillyWindowIsNotFilled(t *testing.T) {
	s := newScript(t)
	s.accepted()
	s.write(strings.Repeat("x", 14600))
	for i := range uint32(10) {
		s.want("a window's worth", seg{flags: map[bool]string{true: "P.", false: "."}[i == 9], seq: 1 + 1460*i, ack: 1, len: 1460})
	}
	s.write(strings.Repeat("y", 5000))
	s.wantIdle("cwnd is used up")
	s.recv(seg{flags: ".", seq: 1, ack: 14601, win: 100})
	s.wantIdle("100 octets of window are not worth a segment")
	s.after(199 * time.Millisecond)
	s.wantIdle("for as long as the timeout")
	s.after(time.Millisecond)
	s.want("then they are: the override timeout", seg{flags: ".", seq: 14601, ack: 1, len: 100})
}

func TestZeroWindow(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	s.write("hello")
	s.wantIdle("the window is closed")
	wait := c.Info().RTO
	s.after(wait - 1)
	s.wantIdle("not before the timeout")
	s.after(1)
	s.want("a probe carries one octet of data: RFC 9293, 3.8.6.1", seg{flags: ".", seq: 1, ack: 1, data: "h"})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	s.wantIdle("the peer is alive, and its window still closed")
	for range 50 {
		s.after(60 * time.Second)
		s.want("probing goes on for as long as the peer answers", seg{flags: ".", seq: 1, ack: 1, data: "h"})
		for _, p := range s.net.sent {
			p.Release() // earlier on there are several a minute
		}
		s.net.sent = nil
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	}
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 1000})
	s.want("it opens: everything is sent", seg{flags: "P.", seq: 1, ack: 1, data: "hello"})
	require.NotZero(t, s.host.Counters().ZeroWindowProbes)
}

func TestZeroWindowProbeIsTaken(t *testing.T) {
	s := newScript(t)
	s.accepted()
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	s.write("hello")
	s.after(200 * time.Millisecond)
	s.want("a probe", seg{flags: ".", seq: 1, ack: 1, data: "h"})
	s.recv(seg{flags: ".", seq: 1, ack: 2, win: 100})
	s.want("its octet was taken: the rest follows", seg{flags: "P.", seq: 2, ack: 1, data: "ello"})
}

func TestZeroWindowDeadPeer(t *testing.T) {
	s := newScript(t, func(c *Config) { c.DataRetries = 3 })
	c := s.accepted()
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	s.write("hello")
	s.after(10 * time.Minute)
	require.ErrorIs(t, c.Err(), ErrTimeout, "a peer that answers no probe is dead")
	for range 4 {
		s.want("probes", seg{flags: ".", seq: 1, ack: 1, data: "h"})
	}
	s.want("then a reset", seg{flags: "R.", seq: 1, ack: 1})
}

func TestWindowUpdateOfPeerWithClosedWindow(t *testing.T) {
	// Both windows are closed and a probe is out: an acknowledgment must not lie beyond what the peer takes.
	s := newScript(t)
	s.accepted()
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	s.write("hello")
	s.after(200 * time.Millisecond)
	s.want("a probe", seg{flags: ".", seq: 1, ack: 1, data: "h"})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0, data: "data"})
	s.after(40 * time.Millisecond)
	s.want("acknowledged from within the window", seg{flags: ".", seq: 1, ack: 5})
}

func TestPeerShrinksItsWindow(t *testing.T) {
	s := newScript(t)
	s.accepted()
	s.write("0123456789")
	s.want("ten octets", seg{flags: "P.", seq: 1, ack: 1, data: "0123456789"})
	s.recv(seg{flags: ".", seq: 1, ack: 5, win: 0})
	s.wantIdle("the peer has taken four and closed the window over the rest")
	s.after(200 * time.Millisecond)
	s.want("which is probed for", seg{flags: ".", seq: 5, ack: 1, data: "4"})
	s.recv(seg{flags: ".", seq: 1, ack: 5, win: 100})
	s.want("and sent once there is room", seg{flags: "P.", seq: 5, ack: 1, data: "456789"})
}

func TestWriterIsToldOfRoom(t *testing.T) {
	s := newScript(t)
	c := s.accepted(func(c *ListenConfig) { c.Options = &Options{SendBuffer: 1000} })
	require.Equal(t, 1000, s.writeSome(strings.Repeat("x", 5000)))
	require.Zero(t, s.writeSome("more"))
	s.want("what there was", seg{flags: "P.", seq: 1, ack: 1, len: 1000})
	s.owner.take()
	s.recv(seg{flags: ".", seq: 1, ack: 101, win: 65535})
	require.Zero(t, s.owner.take()&ip.Writable, "a little room wakes nobody")
	s.recv(seg{flags: ".", seq: 1, ack: 901, win: 65535})
	require.NotZero(t, s.owner.take()&ip.Writable)
	require.Equal(t, 100, c.sndQ.Len())
}

func TestRetransmission(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.write("hello")
	s.want("data", seg{flags: "P.", seq: 1, ack: 1, data: "hello"})
	for i := range 8 {
		wait := min(200*time.Millisecond<<i, time.Minute)
		s.after(wait - 1)
		s.wantIdle("not before the timeout")
		s.after(1)
		s.want("again, after twice as long each time", seg{flags: "P.", seq: 1, ack: 1, data: "hello"})
	}
	require.EqualValues(t, 8, s.host.Counters().RetransSegs)
	before := c.Info().RTT
	s.recv(seg{flags: ".", seq: 1, ack: 6, win: 65535})
	require.Equal(t, before, c.Info().RTT, "Karn: what was sent twice is not measured")
	s.after(time.Hour)
	s.wantIdle("acknowledged")
}

func TestRetransmissionLimit(t *testing.T) {
	s := newScript(t, func(c *Config) { c.DataRetries = 2 })
	c := s.accepted()
	s.write("hello")
	for range 3 {
		s.want("data", seg{flags: "P.", seq: 1, ack: 1, data: "hello"})
		s.after(c.Info().RTO)
	}
	s.want("given up, with a reset", seg{flags: "R.", seq: 6, ack: 1})
	require.ErrorIs(t, c.Err(), ErrTimeout)
	require.EqualValues(t, 1, s.host.Counters().Timeouts)
}

func TestUserTimeout(t *testing.T) {
	s := newScript(t)
	c := s.accepted(func(c *ListenConfig) { c.Options = &Options{UserTimeout: time.Second} })
	s.write("hello")
	s.after(time.Second - 1)
	require.NoError(t, c.Err())
	s.after(1)
	require.ErrorIs(t, c.Err(), ErrTimeout)
	for _, p := range s.net.sent {
		p.Release()
	}
	s.net.sent = nil
}

func TestGoBackAfterTimeout(t *testing.T) {
	s := newScript(t)
	s.accepted()
	s.write(strings.Repeat("x", 14600))
	for i := range uint32(10) {
		s.want("a window's worth", seg{flags: map[bool]string{true: "P.", false: "."}[i == 9], seq: 1 + 1460*i, ack: 1, len: 1460})
	}
	s.after(200 * time.Millisecond)
	s.want("after the timeout one segment", seg{flags: ".", seq: 1, ack: 1, len: 1460})
	s.wantIdle("cwnd is one segment")
	s.recv(seg{flags: ".", seq: 1, ack: 1461, win: 65535})
	s.want("slow start from there", seg{flags: ".", seq: 1461, ack: 1, len: 1460})
	s.want("slow start from there", seg{flags: ".", seq: 2921, ack: 1, len: 1460})
	s.wantIdle("two")
	s.recv(seg{flags: ".", seq: 1, ack: 14601, win: 65535})
	s.wantIdle("the rest had arrived all along")
}

func TestFastRetransmit(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.write(strings.Repeat("x", 14600))
	for i := range uint32(10) {
		s.want("a window's worth", seg{flags: map[bool]string{true: "P.", false: "."}[i == 9], seq: 1 + 1460*i, ack: 1, len: 1460})
	}
	s.recv(seg{flags: ".", seq: 1, ack: 1461, win: 65535})
	for range 2 {
		s.recv(seg{flags: ".", seq: 1, ack: 1461, win: 65535})
		s.wantIdle("two duplicates may be reordering")
	}
	s.recv(seg{flags: ".", seq: 1, ack: 1461, win: 65535})
	s.want("three are a loss", seg{flags: ".", seq: 1461, ack: 1, len: 1460})
	require.Equal(t, RecoveryFast, c.Info().Recovery)
	require.Equal(t, 9*1460/2, c.Info().Ssthresh)
	s.recv(seg{flags: ".", seq: 1, ack: 4381, win: 65535})
	s.want("a partial acknowledgment shows the next (NewReno)", seg{flags: ".", seq: 4381, ack: 1, len: 1460})
	s.recv(seg{flags: ".", seq: 1, ack: 14601, win: 65535})
	require.Equal(t, RecoveryNone, c.Info().Recovery)
	require.Equal(t, 9*1460/2, c.Info().Cwnd, "RFC 9937: at the end of recovery the window is what it was to come down to")
	s.wantIdle("all is repaired")
	require.EqualValues(t, 1, s.host.Counters().FastRetransmits)
}

func TestKeepAlive(t *testing.T) {
	keep := KeepAlive{Enable: true, Idle: 10 * time.Second, Interval: time.Second, Count: 3}
	t.Run("a live peer", func(t *testing.T) {
		s := newScript(t)
		c := s.accepted(func(c *ListenConfig) { c.Options = &Options{KeepAlive: keep} })
		for range 5 {
			s.after(10 * time.Second)
			s.want("a probe: an octet before SND.NXT, without data", seg{flags: ".", seq: 0, ack: 1})
			s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
		}
		s.after(5 * time.Second)
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "x"})
		s.after(40 * time.Millisecond)
		s.want("data", seg{flags: ".", seq: 1, ack: 2})
		s.after(9 * time.Second)
		s.wantIdle("whatever comes puts the probe off")
		require.NoError(t, c.Err())
	})
	t.Run("a dead peer", func(t *testing.T) {
		s := newScript(t)
		c := s.accepted(func(c *ListenConfig) { c.Options = &Options{KeepAlive: keep} })
		s.after(10 * time.Second)
		for range 3 {
			s.want("a probe a second", seg{flags: ".", seq: 0, ack: 1})
			s.wantIdle("one")
			s.after(time.Second)
		}
		s.want("then a reset", seg{flags: "R.", seq: 1, ack: 1})
		require.ErrorIs(t, c.Err(), ErrTimeout)
	})
	t.Run("kept up by a forger", func(t *testing.T) {
		s := newScript(t)
		c := s.accepted(func(c *ListenConfig) { c.Options = &Options{KeepAlive: keep, DelayedACK: -1} })
		s.after(5 * time.Second)
		s.recv(seg{flags: ".", seq: 1, ack: 5000, win: 65535, data: "forged"})
		s.want("an ACK of what was never sent is challenged", seg{flags: ".", seq: 1, ack: 1})
		s.after(5 * time.Second)
		s.want("and does not put off the probe", seg{flags: ".", seq: 0, ack: 1})
		require.NoError(t, c.Err())
	})
	t.Run("answered by us", func(t *testing.T) {
		s := newScript(t)
		s.accepted()
		s.recv(seg{flags: ".", seq: 0, ack: 1, win: 65535})
		s.want("a peer's probe", seg{flags: ".", seq: 1, ack: 1})
	})
	t.Run("off by default", func(t *testing.T) {
		s := newScript(t)
		s.accepted()
		s.after(24 * time.Hour)
		s.wantIdle("nothing")
	})
}

func TestPacketTooBig(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.write(strings.Repeat("x", 1460))
	s.want("a full segment", seg{flags: "P.", seq: 1, ack: 1, len: 1460})
	s.icmp(ip.PacketTooBig, 1000, 5000)
	s.wantIdle("about a segment that is not in flight: ignored")
	s.icmp(ip.PacketTooBig, 1000, 1)
	s.want("smaller segments, at once", seg{flags: ".", seq: 1, ack: 1, len: 960})
	s.want("smaller segments, at once", seg{flags: "P.", seq: 961, ack: 1, len: 500})
	s.icmp(ip.PacketTooBig, 68, 1)
	require.Equal(t, 512, c.Info().SendMSS, "a forged value does not go below the floor")
	for _, p := range s.net.sent {
		p.Release()
	}
	s.net.sent = nil
}

func TestReachabilityIsConfirmed(t *testing.T) {
	s := newScript(t)
	s.accepted()
	before := s.net.confirm
	s.write("x")
	s.want("data", seg{flags: "P.", seq: 1, ack: 1, data: "x"})
	s.recv(seg{flags: ".", seq: 1, ack: 2, win: 65535})
	require.Equal(t, before+1, s.net.confirm, "progress says that the neighbour is reachable")
}
