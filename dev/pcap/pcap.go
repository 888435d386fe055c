// Package pcap is a device around a device that records what passes, in a file that Wireshark, tshark and tcpdump read.
//
//	w, err := pcap.NewWriter(file, pcap.Config{})
//	device, err := pcap.New(inner, w, pcap.InterfaceConfig{Name: "left"})
//
// Frames are recorded at the time the caller of Send or Receive gives, so a capture made in virtual time has virtual
// times. What is recorded is what would be on the wire: a checksum that the stack left to the device is completed in the
// record. A super-segment is recorded as the one large packet that it is, as captures on Linux show it, and marked as
// such where the format can.
//
// References: PCAPNG is draft-ietf-opsawg-pcapng, PCAP draft-ietf-opsawg-pcap, link types are
// draft-ietf-opsawg-pcaplinktype.
package pcap

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/net/bpf"

	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/trace"
)

// Format is a file format.
type Format uint8

const (
	// PCAPNG records any number of devices, each with its name and link type, and which way frames went.
	PCAPNG Format = iota
	// PCAP, the format of tcpdump, records one device, without its name and without directions. Times have nanoseconds.
	PCAP
)

// Config says what a Writer writes.
type Config struct {
	// Format is the file's. Default: PCAPNG.
	Format Format

	// SnapLen is how many octets of a frame are recorded at most; its length is recorded in any case. Default: all.
	SnapLen int
}

// Writer writes a capture, to which any number of devices may contribute at once. The frames of one device are in the
// order in which they passed; those of several are as their goroutines come.
type Writer struct {
	snapLen    int
	classic    bool
	interfaces uint32

	mu     sync.Mutex
	w      io.Writer
	err    error
	record []byte // where what is written is put together
}

// NewWriter returns a Writer that writes to w. Each frame is one call of Write, so the capture is whole at any time; a
// bufio.Writer makes that cheaper, and must be flushed in the end. w is called with a mutex held: it must neither use the
// devices that are recorded nor wait for anything that does.
//
// The errors are those of the configuration and of writing the file's first octets.
func NewWriter(w io.Writer, cfg Config) (*Writer, error) {
	if cfg.SnapLen < 0 {
		return nil, fmt.Errorf("pcap: SnapLen of %d octets is negative", cfg.SnapLen)
	}
	c := &Writer{w: w, snapLen: cfg.SnapLen}
	if c.snapLen >= unlimited {
		c.snapLen = 0
	}
	switch cfg.Format {
	case PCAP:
		c.classic = true // the header is for New, which knows the link type
	case PCAPNG:
		c.write(appendSection(nil))
	default:
		return nil, fmt.Errorf("pcap: unknown format %d", cfg.Format)
	}
	return c, c.err
}

// Err is the first error of writing. With it the capture has ended; the devices work on.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// add begins a device's part in the capture and returns its number there.
func (w *Writer) add(caps *dev.Capabilities, name string) (uint32, error) {
	link, err := linkTypeOf(caps.Medium)
	if err != nil {
		return 0, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.classic {
		if w.interfaces > 0 {
			return 0, errors.New("pcap: the format PCAP records one device only, PCAPNG more")
		}
		w.write(appendFileHeader(nil, link, w.snapLen))
	} else {
		w.write(appendInterface(nil, link, w.snapLen, caps, name))
	}
	w.interfaces++
	return w.interfaces - 1, w.err
}

// frame records a frame of the interface.
func (w *Writer) frame(id uint32, f *trace.Frame) error {
	f.CompleteChecksum()
	captured := f.Octets
	if w.snapLen != 0 && len(captured) > w.snapLen {
		captured = captured[:w.snapLen]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.classic {
		w.record = appendPacket(w.record[:0], f, captured)
	} else {
		w.record = appendEnhancedPacket(w.record[:0], id, f, captured)
	}
	w.write(w.record)
	return w.err
}

// write writes what belongs together. It is called with the mutex held.
func (w *Writer) write(b []byte) {
	if w.err == nil {
		if _, err := w.w.Write(b); err != nil {
			w.err = fmt.Errorf("pcap: %w", err)
		}
	}
}

// InterfaceConfig says how a device is recorded.
type InterfaceConfig struct {
	// Name is the interface's in the capture. Empty: it has none.
	Name string

	// Only restricts the record to one direction. Default: both.
	Only trace.Direction

	// Filter, if not nil, is run on each frame, and only those it accepts any octets of are recorded, up to SnapLen. The
	// programs that "tcpdump -dd" prints are of its kind; they must be made for the device's medium.
	Filter *bpf.VM
}

// Device is a recorded device. It implements dev.Device.
type Device struct {
	dev.Device
	writer *Writer
}

var _ dev.Device = (*Device)(nil)

// New returns a device that does what inner does and records it with w. Closing it closes inner, and not the capture. The
// errors are a medium that the format has no link type for, a second device in a PCAP, and those of writing.
func New(inner dev.Device, w *Writer, cfg InterfaceConfig) (*Device, error) {
	caps := inner.Capabilities()
	var id uint32
	traced, err := trace.New(inner, trace.Config{
		Handler: func(f *trace.Frame) error { return w.frame(id, f) },
		Only:    cfg.Only,
		Filter:  cfg.Filter,
	})
	if err != nil {
		return nil, err
	}
	if id, err = w.add(&caps, cfg.Name); err != nil {
		return nil, err
	}
	return &Device{Device: traced, writer: w}, nil
}

// Err is the Writer's.
func (d *Device) Err() error { return d.writer.Err() }
