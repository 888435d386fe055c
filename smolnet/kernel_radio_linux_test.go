package smolnet_test

import (
	"encoding/binary"
	"net/netip"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev/rawsock"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// kernelRadio makes an interface that the kernel takes for a radio's: a tun of that type. What it sends can be read from the file, and
// what is written to the file it receives, each frame behind two octets of flags and two with its protocol.
func kernelRadio(t *testing.T, name string) *os.File {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	require.NoError(t, err)
	ifr, err := unix.NewIfreq(name)
	require.NoError(t, err)
	ifr.SetUint16(unix.IFF_TUN)
	require.NoError(t, unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr))
	require.NoError(t, unix.IoctlSetInt(fd, unix.TUNSETLINK, unix.ARPHRD_IEEE802154))
	file := os.NewFile(uintptr(fd), name)
	t.Cleanup(func() { file.Close() })
	require.NoError(t, netns.Up(name))
	return file
}

// hand has one radio receive what the other sends, until that is gone.
func hand(to, from *os.File) {
	b := make([]byte, 2000)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		if n > 4 && binary.BigEndian.Uint16(b[2:]) == unix.ETH_P_IEEE802154 { // and not what the kernel says by itself
			_, _ = to.Write(b[:n])
		}
	}
}

// Two stacks, each by a packet socket on a radio's interface of the kernel's, of which one receives what the other sends.
func TestKernelRadio(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	near, far := kernelRadio(t, "wpan0"), kernelRadio(t, "wpan1")
	go hand(near, far)
	go hand(far, near)
	var stacks [2]*smolnet.Stack
	for i, name := range []string{"wpan0", "wpan1"} {
		device, err := rawsock.Open(name, rawsock.Config{EUI64: meshEUI64(1 + i)})
		require.NoError(t, err)
		stacks[i] = newStack(t, smolnet.Config{})
		_, err = stacks[i].AddInterface(smolnet.Interface{
			Name: "radio", Device: device, Addresses: []netip.Prefix{netip.PrefixFrom(meshAddr(1+i), 64)},
			IEEE802154: &core.IEEE802154Config{PAN: 0x23, Contexts: wire.LowpanContexts{0: {Prefix: meshPrefix, Compress: true}}},
		})
		require.NoError(t, err)
	}
	for _, to := range []netip.Addr{radioAddr(t, stacks[1]), meshAddr(2)} {
		testRadioPing(t, stacks[0], to)
		testRadioUDP(t, stacks[0], stacks[1], to)
		testRadioTransfer(t, stacks[0], stacks[1], netip.AddrPortFrom(to, 7), 100<<10)
		testRadioHTTP(t, stacks[0], stacks[1], to)
	}
}
