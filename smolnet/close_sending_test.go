package smolnet_test

import (
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// slowDevice takes its time to send.
type slowDevice struct {
	dev.Device
	gate atomic.Pointer[chan struct{}] // Send waits until it is closed
}

func (d *slowDevice) Send(now time.Time, pkts []*packet.Packet) (int, error) {
	if gate := d.gate.Load(); gate != nil {
		<-*gate
	}
	return d.Device.Send(now, pkts)
}

// Somebody is sending while the stack closes: the device is not closed before the peers were told.
func TestCloseTellsThePeersThoughSomebodyIsSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe.New(pipe.Config{})
		slow := &slowDevice{Device: a}
		first, second := newStack(t, smolnet.Config{}), newStack(t, smolnet.Config{})
		_, err := first.AddInterface(smolnet.Interface{Device: slow, DuplicateDetection: core.DetectNone, Addresses: firstAddresses})
		require.NoError(t, err)
		_, err = second.AddInterface(smolnet.Interface{Device: b, DuplicateDetection: core.DetectNone, Addresses: secondAddresses})
		require.NoError(t, err)
		c, peer := dial(t, first, listen(t, second, "tcp", "192.168.69.100:0"))

		gate := make(chan struct{})
		slow.gate.Store(&gate)
		go c.Write([]byte("x"))
		synctest.Wait()
		go first.Close()
		synctest.Wait()
		close(gate)

		got := make([]byte, 1)
		_, err = io.ReadFull(peer, got)
		require.NoError(t, err)
		_, err = peer.Read(got)
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
}
