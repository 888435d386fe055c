package loopback_test

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/loopback"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func frame(octets string) *packet.Packet {
	p := packet.New(len(octets))
	copy(p.Append(len(octets)), octets)
	return p
}

func TestDefaultsNeedNoChecksum(t *testing.T) {
	caps := loopback.New(loopback.Config{}).Capabilities()
	require.Equal(t, dev.IP, caps.Medium)
	require.Equal(t, 65535, caps.MTU)
	require.True(t, caps.SegmentTCP4)
	require.True(t, caps.SegmentTCP6)
	require.Equal(t, dev.ChecksumNone, caps.Checksum.TCP)
	require.Equal(t, dev.ChecksumNone, caps.Checksum.IPv4)
}

func TestWithoutOffloadsItIsAPlainLink(t *testing.T) {
	caps := loopback.New(loopback.Config{Medium: dev.Ethernet, MTU: 1500, NoOffload: true}).Capabilities()
	require.Equal(t, dev.Capabilities{Medium: dev.Ethernet, MTU: 1500}, caps)
}

func TestItReceivesWhatItSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := loopback.New(loopback.Config{Queue: 2})
		done := make(chan error, 1)
		go func() { done <- d.WaitReceive() }()
		synctest.Wait()
		require.Empty(t, done)

		pkts := []*packet.Packet{frame("one"), frame("two"), frame("three")}
		n, err := d.Send(epoch, pkts)
		require.NoError(t, err)
		require.Equal(t, 2, n, "the queue is full")
		require.NoError(t, <-done)
		go func() { done <- d.WaitSend() }()
		synctest.Wait()
		require.Empty(t, done)

		got := make([]*packet.Packet, 1)
		for i, want := range []string{"one", "two", "three"} {
			n, err = d.Receive(epoch, got)
			require.NoError(t, err)
			require.Equal(t, 1, n)
			require.Equal(t, want, string(got[0].Head()))
			got[0].Release()
			if i == 0 {
				require.NoError(t, <-done)
				n, err = d.Send(epoch, pkts[2:])
				require.NoError(t, err)
				require.Equal(t, 1, n)
			}
		}
		_, ok := d.PollAt()
		require.False(t, ok)
		require.NoError(t, d.Close())
	})
}

func TestAFrameTooLongIsRefused(t *testing.T) {
	d := loopback.New(loopback.Config{MTU: 4})
	n, err := d.Send(epoch, []*packet.Packet{frame("12345")})
	require.Zero(t, n)
	require.EqualError(t, err, "loopback: frame of 5 octets is too long: at most 4 with an MTU of 4")
}

func TestCloseWakesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := loopback.New(loopback.Config{Queue: 1})
		done := make(chan error, 2)
		go func() { done <- d.WaitReceive() }()
		synctest.Wait()
		require.NoError(t, d.Close())
		require.NoError(t, d.Close())
		require.ErrorIs(t, <-done, net.ErrClosed)
		require.ErrorIs(t, d.WaitSend(), net.ErrClosed)

		d = loopback.New(loopback.Config{Queue: 1})
		_, err := d.Send(epoch, []*packet.Packet{frame("1"), frame("2")})
		require.NoError(t, err)
		go func() { done <- d.WaitSend() }()
		synctest.Wait()
		require.NoError(t, d.Close())
		require.ErrorIs(t, <-done, net.ErrClosed)
	})
}

func BenchmarkLoopback(b *testing.B) {
	const size, batch = 65535, 32
	d := loopback.New(loopback.Config{})
	defer d.Close()
	pkts := make([]*packet.Packet, batch)
	b.SetBytes(size)
	b.ReportAllocs()
	for i := 0; i < b.N; i += batch {
		for i := range pkts {
			pkts[i] = packet.New(size)
			pkts[i].Append(size)
		}
		if n, err := d.Send(epoch, pkts); n != batch || err != nil {
			b.Fatal(n, err)
		}
		if n, err := d.Receive(epoch, pkts); n != batch || err != nil {
			b.Fatal(n, err)
		}
		for _, p := range pkts {
			p.Release()
		}
	}
}
