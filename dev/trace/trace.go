// Package trace is a device around a device that tells what passes: every frame that the inner device takes or delivers,
// at the time and in the order it does, as a line of text much like tcpdump's, as a record of log/slog, or to a function.
//
//	00:00:00.050000 eth0 in  IP 192.0.2.1.5000 > 192.0.2.2.7: UDP, length 5
//
// Frames are shown as they are. A super-segment is one frame and is called one, and so is a checksum that the stack left
// to the device, wholly or in part: it is not wrong. A wrong one is called wrong: it explains why nobody listened.
package trace

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/net/bpf"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
)

// DefaultTimeFormat is how a line begins unless Config says otherwise: the time of day, as tcpdump has it.
const DefaultTimeFormat = "15:04:05.000000"

// Config says where frames are told, and which. Exactly one of Writer, Logger and Handler is set.
//
// Whichever it is, it is called with a mutex of the device's held, for one frame after another. It must neither use the
// device nor wait for anything that does, such as a connection through it.
type Config struct {
	// Writer gets a line for each frame, each with one call of Write. Devices that share a Writer need one that may be
	// called concurrently, as an *os.File may.
	Writer io.Writer

	// Logger gets a record for each frame: the text is its message, and "interface", "direction" and "length" are its
	// attributes. Its time is the frame's. While the level is not enabled, frames pass as if there were no trace.
	Logger *slog.Logger

	// Handler is called with each frame, which is its own until it returns.
	Handler func(*Frame) error

	// Level is the level of the Logger's records. Default: slog.LevelInfo.
	Level slog.Level

	// Name is what lines and records call the device. Empty: they do not.
	Name string

	// TimeFormat is what lines begin with, in the manner of time.Time.Format. Default: DefaultTimeFormat.
	TimeFormat string

	// Only restricts the trace to one direction. Default: both.
	Only Direction

	// Filter, if not nil, is run on each frame, and only those it accepts any octets of are shown, always whole. The
	// programs that "tcpdump -dd" prints are of its kind; they must be made for the device's medium.
	Filter *bpf.VM
}

// Device is a traced device. It implements dev.Device.
type Device struct {
	inner dev.Device
	caps  dev.Capabilities
	cfg   Config
	show  func(*Frame) error
	line  []byte // where lines are put together

	sent batch // Send's alone

	mu      sync.Mutex
	sending bool
	waiting batch // received while a Send was going on
	err     error
}

var _ dev.Device = (*Device)(nil)

// New returns a device that does what inner does and tells of it. Closing it closes inner.
func New(inner dev.Device, cfg Config) (*Device, error) {
	if cfg.TimeFormat == "" {
		cfg.TimeFormat = DefaultTimeFormat
	}
	d := &Device{inner: inner, caps: inner.Capabilities(), cfg: cfg}
	places := 0
	if cfg.Writer != nil {
		d.show = d.write
		places++
	}
	if cfg.Logger != nil {
		d.show = d.log
		places++
	}
	if cfg.Handler != nil {
		d.show = cfg.Handler
		places++
	}
	if places != 1 {
		return nil, errors.New("trace: exactly one of Writer, Logger and Handler must be set")
	}
	if cfg.Only > Received {
		return nil, errors.New("trace: Only is no direction")
	}
	return d, nil
}

// Err is the first error of the Writer, Logger or Handler. With it the trace has ended; the device works on.
func (d *Device) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// Capabilities are the inner device's.
func (d *Device) Capabilities() dev.Capabilities { return d.inner.Capabilities() }

// PollAt is the inner device's.
func (d *Device) PollAt() (time.Time, bool) { return d.inner.PollAt() }

// WaitReceive waits for the inner device.
func (d *Device) WaitReceive() error { return d.inner.WaitReceive() }

// WaitSend waits for the inner device.
func (d *Device) WaitSend() error { return d.inner.WaitSend() }

// Close closes the inner device.
func (d *Device) Close() error { return d.inner.Close() }

// runOctets is about how much is copied at a time, in octets, before the inner device says how much of it it takes.
const runOctets = 256 << 10

// Send sends by the inner device and tells what that has taken. What it has not taken was not sent, and is told of when
// it is.
func (d *Device) Send(now time.Time, pkts []*packet.Packet) (int, error) {
	if !d.wanted(Sent) {
		return d.inner.Send(now, pkts)
	}
	sent := 0
	for {
		// A packet that is taken is the inner device's and may be gone, so a copy of it is made before.
		run := pkts[sent:]
		for i, p := range run {
			if i > 0 && len(d.sent.octets)+p.Len() > runOctets {
				run = run[:i]
				break
			}
			d.sent.add(now, Sent, p)
		}
		n, err := d.sendRun(now, run)
		sent += n
		if err != nil || n < len(run) || sent == len(pkts) {
			return sent, err
		}
	}
}

// sendRun sends packets whose copies are in d.sent. An answer may be received before the inner device's Send has
// returned; it is told after what it answers.
func (d *Device) sendRun(now time.Time, run []*packet.Packet) (int, error) {
	d.mu.Lock()
	d.sending = true
	d.mu.Unlock()

	n, err := d.inner.Send(now, run)

	d.mu.Lock()
	defer d.mu.Unlock()
	d.sending = false
	d.tell(&d.sent, n)
	d.tell(&d.waiting, len(d.waiting.frames))
	return n, err
}

// Receive receives from the inner device and tells what that has delivered.
func (d *Device) Receive(now time.Time, pkts []*packet.Packet) (int, error) {
	n, err := d.inner.Receive(now, pkts)
	if n == 0 || !d.wanted(Received) {
		return n, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range pkts[:n] {
		d.waiting.add(now, Received, p)
		if !d.sending || len(d.waiting.octets) > runOctets {
			d.tell(&d.waiting, len(d.waiting.frames))
		}
	}
	return n, err
}

// wanted reports whether frames of the direction are worth looking at.
func (d *Device) wanted(direction Direction) bool {
	if d.cfg.Only != 0 && d.cfg.Only != direction {
		return false
	}
	if d.cfg.Logger != nil && !d.cfg.Logger.Enabled(context.Background(), d.cfg.Level) {
		return false
	}
	return d.Err() == nil
}

// tell shows the first n frames of the batch and empties it. It is called with the mutex held.
func (d *Device) tell(b *batch, n int) {
	for i := range b.frames[:n] {
		f := b.frame(i)
		f.Medium = d.caps.Medium
		f.offload = d.caps.Checksum
		f.fillChecksums()
		if d.err == nil && d.accepts(f) {
			d.err = d.show(f)
		}
	}
	b.reset()
}

func (d *Device) accepts(f *Frame) bool {
	if d.cfg.Filter == nil {
		return true
	}
	octets, err := d.cfg.Filter.Run(f.Octets)
	return err == nil && octets > 0
}

// write shows a frame as a line of text.
func (d *Device) write(f *Frame) error {
	line := f.Time.AppendFormat(d.line[:0], d.cfg.TimeFormat)
	if d.cfg.Name != "" {
		line = append(append(line, ' '), d.cfg.Name...)
	}
	direction := " in  "
	if f.Direction == Sent {
		direction = " out "
	}
	line = append(append(line, direction...), f.String()...)
	d.line = append(line, '\n')
	_, err := d.cfg.Writer.Write(d.line)
	return err
}

// log shows a frame as a record. A Logger's own methods would put in the time of the clock.
func (d *Device) log(f *Frame) error {
	r := slog.NewRecord(f.Time, d.cfg.Level, f.String(), 0)
	if d.cfg.Name != "" {
		r.AddAttrs(slog.String("interface", d.cfg.Name))
	}
	r.AddAttrs(slog.String("direction", f.Direction.String()), slog.Int("length", len(f.Octets)))
	return d.cfg.Logger.Handler().Handle(context.Background(), r)
}
