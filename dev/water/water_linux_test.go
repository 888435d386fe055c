package water_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	songgao "github.com/songgao/water"
	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/water"
	"github.com/smolnet/smolnet/internal/netns"
)

func TestMain(m *testing.M) { os.Exit(netns.Main(m)) }

func open(t *testing.T, name string, kind songgao.DeviceType) *water.Device {
	t.Helper()
	ifce, err := songgao.New(songgao.Config{
		DeviceType:             kind,
		PlatformSpecificParams: songgao.PlatformSpecificParams{Name: name},
	})
	require.NoError(t, err)
	d := water.New(ifce)
	watchdog := time.AfterFunc(20*time.Second, func() { d.Close() }) // whoever waits for what never comes is told
	t.Cleanup(func() {
		watchdog.Stop()
		require.NoError(t, d.Close())
	})
	return d
}

// next returns the next packet for which is holds.
func next(t *testing.T, d *water.Device, is func(octets []byte) bool) []byte {
	t.Helper()
	pkts := make([]*packet.Packet, 4)
	for {
		require.NoError(t, d.WaitReceive(), "the kernel has not said what was expected")
		n, err := d.Receive(time.Now(), pkts)
		require.NoError(t, err)
		require.Equal(t, 1, n, "what WaitReceive has read")
		octets := make([]byte, pkts[0].Len())
		pkts[0].CopyTo(octets, 0)
		pkts[0].Release()
		if is(octets) {
			return octets
		}
	}
}

// checksum fills in the checksum of b at octet field.
func checksum(b []byte, field int) {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[field:], ^uint16(sum))
}

func TestPingOverTun(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	d := open(t, "water0", songgao.TUN)
	require.Equal(t, dev.Capabilities{Medium: dev.IP, MTU: 1500}, d.Capabilities())
	require.Equal(t, "water0", d.Name())
	require.NoError(t, netns.Up("water0"))
	require.NoError(t, netns.AddAddress("water0", netip.MustParsePrefix("10.0.0.2/24")))

	header := []byte{0x45, 0, 0, 36, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
	checksum(header, 10)
	echo := append([]byte{8, 0, 0, 0, 0x12, 0x34, 0, 1}, "8 octets"...)
	checksum(echo, 2)
	chunk := packet.NewChunk(len(echo))
	defer chunk.Release()
	copy(chunk.Data(), echo)
	p := packet.New(len(header))
	copy(p.Append(len(header)), header)
	p.Reference(chunk, chunk.Data()[:len(echo)])
	n, err := d.Send(time.Now(), []*packet.Packet{p})
	require.NoError(t, err)
	require.Equal(t, 1, n)

	got := next(t, d, func(b []byte) bool { return b[0]>>4 == 4 && b[9] == 1 })
	require.Zero(t, got[20], "no echo reply")
	require.Equal(t, echo[4:], got[24:])
}

func TestUDPOverTap(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	d := open(t, "water1", songgao.TAP)
	require.Equal(t, dev.Ethernet, d.Capabilities().Medium)
	require.NoError(t, netns.Up("water1"))
	require.NoError(t, netns.AddAddress("water1", netip.MustParsePrefix("10.0.1.2/24")))
	mac := [6]byte{2, 0, 0, 0, 0, 1}
	require.NoError(t, netns.AddNeighbour("water1", netip.MustParseAddr("10.0.1.1"), mac))
	c, err := net.Dial("udp", "10.0.1.1:7")
	require.NoError(t, err)
	defer c.Close()
	for _, said := range []string{"hello", "again"} {
		_, err = c.Write([]byte(said))
		require.NoError(t, err)
		got := next(t, d, func(b []byte) bool { return len(b) > 42 && b[12] == 8 && b[13] == 0 })
		require.Equal(t, mac[:], got[:6])
		require.Equal(t, said, string(got[42:]))
	}
}

func TestAnInterfaceThatIsDownDoesNotEndTheDevice(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	d := open(t, "water2", songgao.TAP)
	p := packet.New(60)
	clear(p.Append(60))
	n, err := d.Send(time.Now(), []*packet.Packet{p})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.EqualValues(t, 1, d.Dropped())
}

func TestAFrameTooLongIsRefused(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	d := open(t, "water3", songgao.TUN)
	p := packet.New(1501)
	defer p.Release()
	clear(p.Append(1501))
	n, err := d.Send(time.Now(), []*packet.Packet{p})
	require.Zero(t, n)
	require.EqualError(t, err, "water3: frame of 1501 octets is too long: at most 1500 with an MTU of 1500")
}

func TestCloseWakesWhoWaits(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	d := open(t, "water4", songgao.TUN)
	ended := make(chan error)
	go func() {
		pkts := make([]*packet.Packet, 1)
		for {
			if err := d.WaitReceive(); err != nil {
				ended <- err
				return
			}
			if n, _ := d.Receive(time.Now(), pkts); n > 0 {
				pkts[0].Release()
			}
		}
	}()
	require.NoError(t, d.WaitSend())
	require.NoError(t, d.Close())
	require.NoError(t, d.Close())
	require.ErrorIs(t, <-ended, net.ErrClosed)
	_, err := d.Receive(time.Now(), make([]*packet.Packet, 1))
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = d.Send(time.Now(), []*packet.Packet{nil})
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorIs(t, d.WaitReceive(), net.ErrClosed)
	require.ErrorIs(t, d.WaitSend(), net.ErrClosed)
	_, ok := d.PollAt()
	require.False(t, ok)
}
