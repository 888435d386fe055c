package tun_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/tun"
	"github.com/smolnet/smolnet/internal/netns"
)

func TestOpen(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	d, err := tun.Open(tun.Config{Name: "tun0"})
	require.NoError(t, err)
	require.Equal(t, "tun0", d.Name())
	require.Equal(t, dev.IP, d.Capabilities().Medium)
	require.Equal(t, 1500, d.Capabilities().MTU)
	require.True(t, d.Capabilities().SegmentTCP6)
	require.NoError(t, d.Close())

	d, err = tun.Open(tun.Config{NoOffload: true})
	require.NoError(t, err)
	require.Equal(t, "tun0", d.Name(), "the system chooses the name")
	require.False(t, d.Capabilities().SegmentTCP6)
	require.NoError(t, d.Close())
}

func TestFromFileRefusesAnotherFile(t *testing.T) {
	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer f.Close()
	_, err = tun.FromFile(f)
	require.ErrorContains(t, err, "it is not attached to a tap or tun")
}
