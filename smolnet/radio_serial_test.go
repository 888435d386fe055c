package smolnet_test

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/dev/serial"
	"github.com/smolnet/smolnet/smolnet"
)

// baud is a serial line that takes its time for every octet, of ten bits.
type baud struct {
	io.ReadWriteCloser
	rate   int
	closed chan struct{}
}

func (l baud) Write(b []byte) (int, error) {
	select {
	case <-time.After(time.Duration(len(b)) * 10 * time.Second / time.Duration(l.rate)): // virtual
		return l.ReadWriteCloser.Write(b)
	case <-l.closed:
		return 0, net.ErrClosed
	}
}

func (l baud) Close() error {
	close(l.closed)
	return l.ReadWriteCloser.Close()
}

// Two stacks, each at an end of a serial line. Whoever is at the other end of one that is so slow cannot acknowledge within the time of
// the air, so that either the radio does, or nobody.
func TestRadioSerial(t *testing.T) {
	for _, tc := range []struct {
		name   string
		device serial.Config
		config core.IEEE802154Config
	}{
		{"acknowledged by the radios", serial.Config{Acknowledges: true}, core.IEEE802154Config{}},
		{"not acknowledged", serial.Config{}, core.IEEE802154Config{NoAcknowledgments: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var lines [2]net.Conn
				lines[0], lines[1] = net.Pipe()
				var stacks [2]*smolnet.Stack
				for i, line := range lines {
					device := tc.device
					device.EUI64 = meshEUI64(1 + i)
					stacks[i] = newStack(t, smolnet.Config{})
					_, err := stacks[i].AddInterface(smolnet.Interface{
						Name: "radio", Device: serial.New(baud{line, 115200, make(chan struct{})}, device), IEEE802154: &tc.config,
					})
					require.NoError(t, err)
				}
				to := radioAddr(t, stacks[1])
				testRadioPing(t, stacks[0], to)
				testRadioUDP(t, stacks[0], stacks[1], to)
				took := testRadioTransfer(t, stacks[0], stacks[1], netip.AddrPortFrom(to, 7), 100<<10)
				require.Less(t, took, 20*time.Second, "the octets alone take nine")
				testRadioHTTP(t, stacks[0], stacks[1], to)
				for _, s := range stacks {
					require.Zero(t, s.Counters().TCP.RetransTimeouts)
				}
			})
		})
	}
}
