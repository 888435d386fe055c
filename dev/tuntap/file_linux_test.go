package tuntap_test

import (
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/tuntap"
	"github.com/smolnet/smolnet/internal/netns"
)

// attached opens an interface as a program does that then hands it over.
func attached(t *testing.T, name string, flags uint16) *os.File {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	f := os.NewFile(uintptr(fd), "handed over")
	t.Cleanup(func() { f.Close() })
	ifr, err := unix.NewIfreq(name)
	require.NoError(t, err)
	ifr.SetUint16(flags)
	require.NoError(t, unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr))
	return f
}

func TestFromFile(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	const noPI, vnet = unix.IFF_NO_PI, unix.IFF_VNET_HDR
	tests := []struct {
		name    string
		medium  dev.Medium
		flags   uint16
		offload bool
		want    string
	}{
		{"tap with offloads", dev.Ethernet, unix.IFF_TAP | noPI | vnet, true, ""},
		{"tap without", dev.Ethernet, unix.IFF_TAP | noPI, false, ""},
		{"tun with offloads", dev.IP, unix.IFF_TUN | noPI | vnet, true, ""},
		{"one queue of several", dev.IP, unix.IFF_TUN | noPI | vnet | unix.IFF_MULTI_QUEUE, true, ""},
		{"tun as a tap", dev.Ethernet, unix.IFF_TUN | noPI, false, "is not a tap"},
		{"tap as a tun", dev.IP, unix.IFF_TAP | noPI, false, "is not a tun"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name := newName()
			f := attached(t, name, tt.flags)
			d, err := tuntap.FromFile(tt.medium, f)
			if tt.want != "" {
				require.ErrorContains(t, err, "handed over: "+name+" "+tt.want)
				_, err = f.Stat()
				require.NoError(t, err, "the file is left alone")
				return
			}
			require.NoError(t, err)
			require.Equal(t, name, d.Name())
			require.Equal(t, tt.medium, d.Capabilities().Medium)
			require.Equal(t, tt.offload, d.Capabilities().SegmentTCP4)
			_, err = f.Stat()
			require.ErrorIs(t, err, os.ErrClosed, "the file was taken over")

			require.NoError(t, netns.Up(name))
			ended := make(chan error)
			go func() {
				for {
					if err := d.WaitReceive(); err != nil {
						ended <- err
						return
					}
					receiveAll(d)
				}
			}()
			require.NoError(t, d.Close())
			require.ErrorIs(t, <-ended, net.ErrClosed, "a file that was blocking is woken all the same")
			_, err = net.InterfaceByName(name)
			require.Error(t, err, "it has gone with its last file")
		})
	}

	t.Run("another file", func(t *testing.T) {
		f, err := os.Open(os.DevNull)
		require.NoError(t, err)
		defer f.Close()
		_, err = tuntap.FromFile(dev.IP, f)
		require.ErrorContains(t, err, os.DevNull+": it is not attached to a tap or tun")
	})
	t.Run("closed file", func(t *testing.T) {
		f, err := os.Open(os.DevNull)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		_, err = tuntap.FromFile(dev.IP, f)
		require.Error(t, err)
	})
}

func TestAnInterfaceWithSeveralQueuesIsAttachedTo(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	name := newName()
	first := attached(t, name, unix.IFF_TAP|unix.IFF_NO_PI|unix.IFF_VNET_HDR|unix.IFF_MULTI_QUEUE)
	d, err := tuntap.Open(dev.Ethernet, tuntap.Config{Name: name})
	require.NoError(t, err)
	require.NoError(t, d.Close())
	require.NoError(t, first.Close())
}
