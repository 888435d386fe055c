package smolnet_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// sendingNothing is a device that takes no packet, for the reason given; nil: it has no room.
type sendingNothing struct {
	dev.Device
	reason error
	closed chan struct{}
}

func (d *sendingNothing) Send(time.Time, []*packet.Packet) (int, error) {
	select {
	case <-d.closed:
		return 0, net.ErrClosed
	default:
		return 0, d.reason
	}
}

func (d *sendingNothing) WaitSend() error {
	<-d.closed
	return net.ErrClosed
}

func (d *sendingNothing) Close() error {
	close(d.closed)
	return d.Device.Close()
}

func TestWhatTheDeviceRefusesIsCounted(t *testing.T) {
	for _, tc := range []struct {
		name   string
		reason error
		before uint64 // how many of three datagrams are counted before the stack is closed
	}{
		{"cannot send them", errors.New("cannot"), 3},
		{"was closed by somebody", net.ErrClosed, 3},
		{"has no room until it is closed", nil, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var log bytes.Buffer // written with the stack's mutex held
			s := newStack(t, smolnet.Config{
				Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			})
			a, b := pipe.New(pipe.Config{Medium: dev.IP})
			defer b.Close()
			l, err := s.AddInterface(smolnet.Interface{
				Device:    &sendingNothing{a, tc.reason, make(chan struct{})},
				NoIPv6:    true,
				Addresses: firstAddresses[:1],
			})
			require.NoError(t, err)
			c, err := s.Dial("udp", "192.168.69.100:7")
			require.NoError(t, err)
			for range 3 {
				_, err := c.Write([]byte("hello"))
				require.NoError(t, err, "the network may lose a datagram")
			}
			require.Equal(t, tc.before, l.Counters().Drops[core.DropDevice])
			require.Equal(t, tc.before, l.Counters().Link.OutErrors)
			require.Equal(t, tc.before, s.Counters().Link.OutErrors)

			require.NoError(t, s.Close())
			require.EqualValues(t, 3, s.Counters().Drops[core.DropDevice])
			require.EqualValues(t, 3, s.Counters().Link.OutErrors)
			require.Equal(t, 3, strings.Count(log.String(), core.DropDevice.String()))
		})
	}
}
