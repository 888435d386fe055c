package rawsock

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
)

// A tun never leaves a socket without room. Another socket, which nobody reads, does.
func full(t *testing.T) (d *Device, far int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fds[1]) })
	d = &Device{name: "wpan0", caps: dev.Capabilities{Medium: dev.IEEE802154, MTU: mtu}, file: os.NewFile(uintptr(fds[0]), "wpan0")}
	d.rx.init(d)
	d.tx.init(d)
	d.raw, err = d.file.SyscallConn()
	require.NoError(t, err)
	for {
		pkts := make([]*packet.Packet, 4)
		for i := range pkts {
			pkts[i] = packet.New(125)
			clear(pkts[i].Append(125))
		}
		n, err := d.Send(time.Now(), pkts)
		require.NoError(t, err)
		for _, p := range pkts[n:] {
			p.Release()
		}
		if n < len(pkts) {
			return d, fds[1]
		}
	}
}

func TestWaitSendWaitsForRoom(t *testing.T) {
	d, far := full(t)
	require.NoError(t, d.raw.Control(func(fd uintptr) { require.False(t, roomy(fd)) }))
	roomy := make(chan error)
	go func() { roomy <- d.WaitSend() }()
	select {
	case err := <-roomy:
		t.Fatal("there is no room", err)
	default:
	}
	for {
		if _, err := unix.Read(far, make([]byte, 200)); err != nil {
			require.Equal(t, unix.EAGAIN, err)
			break
		}
	}
	require.NoError(t, <-roomy)
	require.NoError(t, d.Close())
}

func TestCloseWakesWhoWaitsForRoom(t *testing.T) {
	d, _ := full(t)
	ended := make(chan error)
	go func() { ended <- d.WaitSend() }()
	require.NoError(t, d.Close())
	require.ErrorIs(t, <-ended, net.ErrClosed)
}
