package serial_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/smolnet/smolnet/dev/serial"
)

// terminal makes a pseudo-terminal and returns its controlling end and the path of the other, which is a terminal device.
func terminal(t *testing.T) (*os.File, string) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	far := os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { far.Close() })
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	return far, fmt.Sprintf("/dev/pts/%d", number)
}

// open opens the terminal device. Who waits in vain is told.
func open(t *testing.T, path string, baud int) *serial.Device {
	t.Helper()
	d, err := serial.Open(path, baud, serial.Config{})
	require.NoError(t, err)
	watchdog := time.AfterFunc(20*time.Second, func() { d.Close() })
	t.Cleanup(func() {
		watchdog.Stop()
		require.NoError(t, d.Close())
	})
	return d
}

func TestATerminalCarriesEveryOctet(t *testing.T) {
	for _, baud := range []int{0, 115200, 250000} {
		t.Run(fmt.Sprint(baud), func(t *testing.T) {
			far, path := terminal(t)
			a, b := open(t, path, baud), serial.New(far, serial.Config{})
			defer b.Close()
			var want []string
			for first := 0; first < 256; first += 64 {
				octets := make([]byte, 64)
				for i := range octets {
					octets[i] = byte(first + i)
				}
				want = append(want, string(octets))
			}
			send(t, a, want...)
			require.Equal(t, want, receive(t, b, len(want)))
			send(t, b, want...)
			require.Equal(t, want, receive(t, a, len(want)))
		})
	}
}

func TestSpeed(t *testing.T) {
	far, path := terminal(t)
	open(t, path, 250000)
	conn, err := far.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, conn.Control(func(fd uintptr) {
		attributes, err := unix.IoctlGetTermios(int(fd), unix.TCGETS2)
		require.NoError(t, err)
		require.EqualValues(t, 250000, attributes.Ospeed)
		require.EqualValues(t, 250000, attributes.Ispeed)
	}))
}

func TestClosingATerminalWakesWhoWaits(t *testing.T) {
	_, path := terminal(t)
	d := open(t, path, 0)
	ended := make(chan error)
	go func() { ended <- d.WaitReceive() }()
	require.NoError(t, d.Close())
	require.ErrorIs(t, <-ended, net.ErrClosed)
}

// An adapter that is pulled out is gone for good.
func TestATerminalThatIsGone(t *testing.T) {
	far, path := terminal(t)
	d := open(t, path, 0)
	require.NoError(t, far.Close())
	err := d.WaitReceive()
	require.ErrorContains(t, err, path)
	require.NotErrorIs(t, err, net.ErrClosed)
}

func TestWhatCannotBeOpened(t *testing.T) {
	_, path := terminal(t)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, tt := range []struct {
		name, path string
		baud       int
		want       string
	}{
		{"nothing", file + "s", 0, "no such file"},
		{"a file", file, 0, "it is not a terminal device"},
		{"a negative speed", path, -1, "a speed of -1 baud is impossible"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := serial.Open(tt.path, tt.baud, serial.Config{})
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, tt.path)
		})
	}
}
