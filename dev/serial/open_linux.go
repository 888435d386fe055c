package serial

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Open makes a device of the terminal device at path, such as /dev/ttyUSB0: 8 data bits, no parity, one stop bit, no flow
// control, and nothing interpreted. baud is the line's speed, any that the hardware can do within 3 %; 0 keeps what it has, since
// many a USB device has no such thing. What came before is discarded. Only Linux has this; elsewhere the error wraps
// errors.ErrUnsupported, and New makes a device of a line that was opened by other means.
func Open(path string, baud int, cfg Config) (*Device, error) {
	if baud < 0 || uint64(baud) > 1<<32-1 {
		return nil, fmt.Errorf("serial: %s: a speed of %d baud is impossible", path, baud)
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	if err := makeRaw(fd, uint32(baud)); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("serial: %s: %w", path, err)
	}
	return New(os.NewFile(uintptr(fd), path), cfg), nil
}

// makeRaw has a terminal carry octets as they are.
func makeRaw(fd int, baud uint32) error {
	t, err := unix.IoctlGetTermios(fd, getTermios)
	if err == unix.ENOTTY {
		return fmt.Errorf("it is not a terminal device: %w", err)
	}
	if err != nil {
		return os.NewSyscallError("TCGETS", err)
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.INPCK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL |
		unix.IUCLC | unix.IXON | unix.IXOFF | unix.IXANY
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag &^= unix.CSIZE | unix.PARENB | unix.CSTOPB | unix.CRTSCTS
	t.Cflag |= unix.CS8 | unix.CREAD | unix.CLOCAL
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if baud != 0 {
		const inputShift = 16 // of the input's speed in the flags; zero there: as the output's
		t.Cflag &^= unix.CBAUD | unix.CBAUD<<inputShift
		t.Cflag |= unix.BOTHER
		t.Ispeed, t.Ospeed = baud, baud
	}
	if err := unix.IoctlSetTermios(fd, setTermios, t); err != nil {
		return os.NewSyscallError("TCSETS", err)
	}
	if t, err = unix.IoctlGetTermios(fd, getTermios); err != nil {
		return os.NewSyscallError("TCGETS", err)
	}
	if baud != 0 && !near(t.Ospeed, baud) {
		return fmt.Errorf("its speed is %d baud, where %d was asked for", t.Ospeed, baud)
	}
	return os.NewSyscallError("TCFLSH", unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIOFLUSH))
}

// near reports whether two ends at the speeds a and b understand each other: within a frame of ten bits they must not drift
// apart by half a bit, which both of them share.
func near(a, b uint32) bool {
	difference := max(a, b) - min(a, b)
	return uint64(difference)*100 <= uint64(b)*3
}
